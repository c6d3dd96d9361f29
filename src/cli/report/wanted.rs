//! Which credentials a descriptor wants, and where they would go.

use dadl_descriptor::model::{Descriptor, auth::receivers::CredentialReceiver};

use crate::config::Origin;

/// A credential that a descriptor wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedCredential {
    /// The login that has to be chosen for it (`_dadl_mcp.auth.logins`), unless it is `auth`.
    pub login: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it goes.
    pub sent_to: Vec<String>,
    /// Where the access token goes that it gives.
    pub access_token_sent_to: Vec<String>,
}

impl WantedCredential {
    /// Returns what `descriptor` wants.
    pub fn of(descriptor: &Descriptor) -> Vec<Self> {
        let logins = descriptor.auth_rules.logins.iter();
        let logins = logins.map(|(name, auth)| (Some(name.clone()), auth));
        let mut wanted = Vec::new();
        for (login, auth) in std::iter::once((None, &descriptor.auth)).chain(logins) {
            for name in auth.credentials() {
                let (token, sent): (Vec<_>, Vec<_>) = auth
                    .receivers(name)
                    .into_iter()
                    .partition(|receiver| *receiver == CredentialReceiver::ApiByToken);
                let places = |receivers: Vec<CredentialReceiver<'_>>| {
                    receivers
                        .into_iter()
                        .map(|receiver| receiver_place(receiver, descriptor))
                        .collect()
                };
                wanted.push(Self {
                    login: login.clone(),
                    name: name.0.clone(),
                    sent_to: places(sent),
                    access_token_sent_to: places(token),
                });
            }
        }
        wanted
    }

    /// Says it in words.
    pub(super) fn sentence(&self) -> String {
        let Self { login, name, sent_to, access_token_sent_to } = self;
        let mut text =
            format!("gets the credential `{name}`, which goes to {}", sent_to.join(" and "));
        if !access_token_sent_to.is_empty() {
            let places = access_token_sent_to.join(" and ");
            text = format!("{text}, and the access token that it gives to {places}");
        }
        match login {
            Some(login) => format!("{text} (with `login: {login}`)"),
            None => text,
        }
    }
}

/// Says where a receiver is.
fn receiver_place(receiver: CredentialReceiver<'_>, descriptor: &Descriptor) -> String {
    match receiver {
        CredentialReceiver::Api | CredentialReceiver::ApiByToken => {
            let base = descriptor.base_url.as_deref().and_then(|base| base.parse::<Origin>().ok());
            // A placeholder is no host.
            let base = base.filter(|base| !base.as_str().contains(['{', '}']));
            base.map_or_else(|| "the `url` of the backend".to_owned(), String::from)
        }
        CredentialReceiver::Authorize(url) | CredentialReceiver::Token(url) => {
            url.origin().ascii_serialization()
        }
        CredentialReceiver::TokenOfItsOwn => "the token endpoint that it names".to_owned(),
    }
}
