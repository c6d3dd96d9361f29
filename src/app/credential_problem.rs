//! Why a descriptor does not get a credential that it names.

use std::fmt;

use dadl_descriptor::model::CredentialName;

use crate::config::{AddressKey, Origin};

/// Why a descriptor does not get a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialProblem {
    /// Two backends would send it to different places.
    #[error(
        "the credential `{credential}` ({variable}) would go to {here}, and for the backend \
         \"{other}\" to {there}; give this backend one of its own with `env: {{{credential}: \
         NAME}}`, or write `env: {{{credential}: {wanted}}}` for it if both are meant to have it"
    )]
    Shared {
        /// The name that the descriptor uses.
        credential: CredentialName,
        /// The variable that is set.
        variable: String,
        /// What `env` names when it is meant.
        wanted: String,
        /// Where it would go.
        here: String,
        /// The other backend.
        other: String,
        /// Where it goes for that one.
        there: String,
    },
    /// An address that only the descriptor gives would get what belongs to others.
    #[error(
        "`{}` of the descriptor {descriptor} leads to {origin}, which would get the credential \
         `{credential}` of {owner}; {}",
        key.as_str(),
        next_step(*key, credential, origin, owner)
    )]
    Taken {
        /// The name that the descriptor uses.
        credential: CredentialName,
        /// The key that leads there.
        key: AddressKey,
        /// The descriptor, as the settings name it.
        descriptor: String,
        /// Where it would go.
        origin: Origin,
        /// Whose it is.
        owner: CredentialOwner,
    },
}

/// Whose credential it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialOwner {
    /// Another backend of the settings.
    Backend(String),
    /// A descriptor inside the binary.
    Bundled(&'static str),
}

impl fmt::Display for CredentialOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(name) => write!(formatter, "the backend \"{name}\""),
            Self::Bundled(name) => write!(formatter, "the descriptor {name} inside dadl-mcp"),
        }
    }
}

/// Says what to do about an address that only the descriptor gives.
fn next_step(
    key: AddressKey,
    credential: &CredentialName,
    origin: &Origin,
    owner: &CredentialOwner,
) -> String {
    match (key, owner) {
        (AddressKey::BaseUrl, _) => format!(
            "if that is meant, set `url` of the backend (`--url`) to an address at {origin}"
        ),
        (_, CredentialOwner::Backend(_)) => {
            format!("give this backend one of its own with `env: {{{credential}: NAME}}`")
        }
        (_, CredentialOwner::Bundled(_)) => {
            "if that is meant, give it another name in the descriptor, and \
                                   set the credential of that name"
                .to_owned()
        }
    }
}
