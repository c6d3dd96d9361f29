//! Why there is no credential to send.

use std::time::Duration;

use dadl_descriptor::model::CredentialName;

use super::{LONGEST, assertion::AccountError};
use crate::{config::credentials::SourceError, http::client_error::ClientError, outcome};

/// How long another process that renews with the same refresh token is waited for.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(45);

/// Why there is no credential to send: sentences for the operator, without secrets.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The operator: the service account is none.
    #[error("credential `{name}` {error}")]
    Account {
        /// The credential that holds it.
        name: CredentialName,
        /// What is wrong with it.
        error: AccountError,
    },
    /// The operator: another process uses the refresh token, and each use replaces it.
    #[error("another process has been renewing with `{name}` for {} s; end it", LOCK_WAIT.as_secs())]
    Busy {
        /// The refresh token.
        name: CredentialName,
    },
    /// The operator: the client for the token endpoint cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The operator: a credential is missing, or the store or the keyring does not give it.
    #[error(transparent)]
    Credential(#[from] SourceError),
    /// The process is about to end, most likely.
    #[error("the login was interrupted; call again")]
    Interrupted,
    /// The network or the remote: no answer.
    #[error("{text}")]
    NoAnswer {
        /// What was asked, and what happened.
        text: String,
        /// Whether that may pass.
        is_transient: bool,
    },
    /// The author: the descriptor does not say where tokens come from.
    #[error("the descriptor has no `token_url`")]
    NoTokenUrl,
    /// The author: the path of the login leads out of the base URL.
    #[error("{0}")]
    Path(String),
    /// The operator or the remote: the server was asked and said no. Asking again with the same
    /// credentials gives the same, and may lock an account.
    #[error("{text}")]
    Refused {
        /// What was asked, what it said, and what to check.
        text: String,
    },
    /// The same credentials were refused a moment ago: the server was not asked.
    #[error(
        "{refusal}; with the same credentials the next try is in {} s", left.as_secs_f32().ceil()
    )]
    RefusedBefore {
        /// What it said then.
        refusal: String,
        /// How long until it is asked again.
        left: Duration,
    },
    /// The remote or the network: it takes too long.
    #[error("the login took longer than {} s", LONGEST.as_secs())]
    Slow,
    /// The remote: it cannot do it now.
    #[error("{text}")]
    Unavailable {
        /// What was asked, and what it said.
        text: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The operator: the server replaced a refresh token, and the new one cannot be stored.
    #[error(
        "the server replaced the refresh token `{name}`, and the new one cannot be stored ({error}); \
         make the store writable before this process ends, and call again"
    )]
    Unkept {
        /// The refresh token.
        name: CredentialName,
        /// Why not.
        error: Box<SourceError>,
    },
    /// The operator or the remote: a value that no request can hold.
    #[error("{what} {reason}")]
    Unsendable {
        /// Whose value it is.
        what: String,
        /// Why not.
        reason: UnsendableValue,
    },
    /// The remote or the author: an answer that holds no credential.
    #[error("{text}")]
    Unusable {
        /// What was asked, and what is wrong with the answer.
        text: String,
    },
    /// The operator: what a user is called.
    #[error("a user name for Basic authentication cannot contain `:`")]
    UserName,
}

/// Why a value cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsendableValue {
    /// It would end the cookie.
    #[error("has characters that a cookie cannot hold (RFC 6265)")]
    Cookie,
    /// It would end the field.
    #[error("has characters that a header field cannot hold")]
    Field,
}

impl UnsendableValue {
    /// Says whose value it is.
    pub(crate) fn of(self, what: impl Into<String>) -> LoginError {
        LoginError::Unsendable { what: what.into(), reason: self }
    }
}

impl LoginError {
    /// Sorts an answer with `status` that holds no credential.
    pub(super) fn answered(text: String, status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            400 | 401 | 403 | 422 => Self::Refused { text },
            status if outcome::is_transient_status(status) => {
                Self::Unavailable { text, retry_after }
            }
            _ => Self::Unusable { text },
        }
    }

    /// Returns whether it may be otherwise a moment later, with the same credentials.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Interrupted | Self::Slow | Self::Unavailable { .. } => true,
            Self::Credential(error) => error.is_transient(),
            Self::NoAnswer { is_transient, .. } => *is_transient,
            Self::Account { .. }
            | Self::Client(_)
            | Self::NoTokenUrl
            | Self::Path(_)
            | Self::Refused { .. }
            | Self::RefusedBefore { .. }
            | Self::Unkept { .. }
            | Self::Unsendable { .. }
            | Self::Unusable { .. }
            | Self::UserName => false,
        }
    }

    /// Returns how long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_known_by_the_status() {
        let wait = Some(Duration::from_secs(7));
        for status in 100..600_u16 {
            let error = LoginError::answered("no".to_owned(), status, wait);
            let passes = matches!(status, 408 | 425 | 429 | 500..);
            assert_eq!(error.is_transient(), passes, "{status}");
            assert_eq!(error.retry_after(), wait.filter(|_| passes), "{status}");
        }
    }
}
