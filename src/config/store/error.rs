//! Why the store cannot be used.

use super::super::{
    file_trust::FileDoubt,
    keyring::{self, KeyringError},
};

/// Why the store cannot be used. Usually the operator's or the system's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file.
    #[error("the credential store {path} {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong, and what to do where that is known.
        reason: String,
    },
    /// Somebody else could have written the file, or could replace it.
    #[error("the credential store {path} cannot be trusted: {doubt}")]
    Untrusted {
        /// The file.
        path: String,
        /// Who.
        doubt: FileDoubt,
    },
    /// The keyring has the entries of a backend, and does not give or take them.
    #[error(
        "the credentials of backend \"{backend}\" are in the keyring ({}), which {error}; {}",
        keyring::NAME, next_step(.error, .backend)
    )]
    Keyring {
        /// The backend.
        backend: String,
        /// What is wrong.
        error: KeyringError,
    },
    /// The keyring no longer has what was stored there.
    #[error(
        "the credentials of backend \"{backend}\" were in the keyring ({}), and their item there \
         {reason}; run `dadl-mcp setup {backend}`",
        keyring::NAME
    )]
    Item {
        /// The backend.
        backend: String,
        /// What has become of it.
        reason: &'static str,
    },
    /// The keyring cannot be used for what is to be stored.
    #[error("the keyring ({}) {error}", keyring::NAME)]
    Unusable {
        /// What is wrong.
        error: KeyringError,
    },
}

/// Says what to do about a keyring that does not work.
fn next_step(error: &KeyringError, backend: &str) -> String {
    let file = format!("`dadl-mcp setup {backend} --store file` keeps them in a file instead");
    match error {
        KeyringError::Locked | KeyringError::Timeout(_) => format!("unlock it, or {file}"),
        KeyringError::Absent(_) => {
            format!("start dadl-mcp in the session of the user who stored them, or {file}")
        }
        _ => file,
    }
}
