//! Why no client can be made that sends requests to a backend.

use std::path::Path;

use crate::config::{PrivateAddress, credentials::SecretFileError};

/// Why a client could not be built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The operator: `ca_file` cannot be read or holds no certificate.
    #[error("`ca_file` {path}: {reason}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operator: there is no client certificate to show.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The author, most likely: the descriptor leads into the operator's own network.
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    /// A bug, or a system without certificates.
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// Why there is no client certificate to show. The operator's fault; nothing of the key is told.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file is not there, or cannot be trusted.
    #[error("`{setting}` {path} {reason}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: SecretFileError,
    },
    /// It holds no certificate.
    #[error("`client_cert` {0} holds no certificate (PEM)")]
    NoCertificate(String),
    /// It holds no key.
    #[error(
        "`{setting}` {path} holds no private key that can be read: write it as PEM, not encrypted"
    )]
    NoKey {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: String,
    },
    /// They are not of the same pair, or of a kind that is not spoken.
    #[error("`client_cert` {cert} cannot be used with the key in {key}: {reason}")]
    Unfit {
        /// The file of the certificate.
        cert: String,
        /// That of the key.
        key: String,
        /// What the library said.
        reason: String,
    },
    /// There is no TLS in which it could be shown.
    #[error("`client_cert` would not be shown: the URL of the backend begins with http://")]
    Plain,
    /// What is shown to the API would be shown to a proxy.
    #[error(
        "`client_cert` would be shown to the proxy as well, which is spoken to in TLS: reach it by an \
         http:// URL, or name the host in NO_PROXY"
    )]
    Proxy,
}

impl IdentityError {
    pub(super) fn file(setting: &'static str, path: &Path, reason: SecretFileError) -> Self {
        Self::File { setting, path: path.display().to_string(), reason }
    }
}
