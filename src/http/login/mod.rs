//! Logins that take a request of their own: OAuth 2.0 and sessions.
//!
//! `renew_login` turns what an operator has given into what requests carry. It runs in a task of its
//! own, which ends when it ends and not when the call that needed it does: a refresh token that
//! the server has replaced must be kept, whoever waits for it.
//!
//! **Invariants:** secrets go to the URL that the descriptor names and nowhere else, redirects
//! included; answers are read up to a bound, and within a time; what a server says about a
//! refused login is shown with everything that was sent to it masked.

mod assertion;
mod endpoint;
mod error;
mod oauth2;
mod session;

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use dadl_descriptor::model::{
    RateLimitHeaders,
    auth::login::{OAuth2, SessionAuth},
};
use dadl_text::text::{MASK, begins_as_page, cut_text, one_line, plain_text};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Client;
use secrecy::SecretString;
use tokio::time::Instant;

pub use self::endpoint::TokenEndpoint;
pub(crate) use self::{
    endpoint::{ClientIdentity, TokenError, TokenResponse},
    error::{LoginError, UnsendableValue},
};
use super::{
    auth::{AppliedCredential, AsyncSource},
    certificate_trust,
    connection_guard::{self, ConnectionGuard},
    error::SendErrorKind,
    throttle,
};
use crate::{
    call::BaseUrl, config::BackendSettings, outcome::chain, response::media, secrets::Secrets,
};

/// A login takes no longer, whatever the timeouts of calls are.
const LONGEST: Duration = Duration::from_secs(60);

/// An answer to a login that is longer is no such answer.
const MOST_BYTES: usize = 1024 * 1024;

/// A server's own words are cut to this many characters.
const MOST_WORDS: usize = 300;

/// Where a login happens.
#[derive(Debug, Clone)]
pub(crate) struct LoginSite {
    /// The backend's settings.
    pub(crate) settings: BackendSettings,
    /// Its base URL.
    pub(crate) base: BaseUrl,
    /// Its client, for its own origin.
    pub(crate) client: Client,
    /// Where else it may connect.
    pub(crate) guard: ConnectionGuard,
    /// The path in which base URLs of the API end, where this one does not.
    pub(crate) missing_path: Option<String>,
    /// What tells the API where the call comes from that needs the login.
    pub(crate) marks: Vec<(HeaderName, HeaderValue)>,
}

/// What a login gave.
pub(crate) struct RenewedLogin {
    /// What requests carry.
    pub(crate) applied: AppliedCredential,
    /// When it ends, when that is known.
    pub(crate) ends: Option<Instant>,
    /// When to renew it.
    pub(crate) renew: Option<Instant>,
}

/// What a login remembers between two renewals.
#[derive(Default)]
pub(crate) struct LoginMemory {
    /// A refresh token that the server gave and that could not be stored.
    unsaved: Mutex<Option<SecretString>>,
    /// The access token that was used last: whoever asks for another has no use for it.
    used: Mutex<Option<SecretString>>,
}

/// A way to log in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoginKind<'auth> {
    OAuth2(&'auth OAuth2),
    /// The session, and how long one lasts, when that is known.
    Session(&'auth SessionAuth, Option<Duration>),
}

/// Logs in.
///
/// # Errors
///
/// See [`LoginError`].
pub(crate) async fn renew_login(
    login: LoginKind<'_>,
    source: &AsyncSource,
    memory: &LoginMemory,
    site: &LoginSite,
) -> Result<RenewedLogin, LoginError> {
    let renewed = async {
        match login {
            LoginKind::OAuth2(oauth2) => oauth2::renew_oauth2(oauth2, source, memory, site).await,
            LoginKind::Session(session, lifetime) => {
                session::renew_session(session, lifetime, source, site).await
            }
        }
    };
    tokio::time::timeout(LONGEST, renewed).await.unwrap_or(Err(LoginError::Slow))
}

/// Why a request of a login brought no answer, or none that is read.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    /// The network or the remote.
    #[error("{reason}")]
    Broken { reason: String, is_transient: bool },
    /// The remote.
    #[error("its answer is larger than {MOST_BYTES} bytes")]
    TooLarge,
}

/// Says why a request brought no answer.
fn no_answer(error: reqwest::Error) -> NoAnswer {
    let is_transient = is_transient(&error);
    let reason = match (
        connection_guard::address_refusal(&error),
        certificate_trust::certificate_refusal(&error),
    ) {
        (Some(refused), _) => refused.to_string(),
        (None, Some(refused)) => {
            let hint = SendErrorKind::Certificate(Box::new(refused.clone())).hint();
            format!("{refused}; {hint}")
        }
        (None, None) => format!("no answer ({})", chain(&error.without_url())),
    };
    NoAnswer::Broken { reason, is_transient }
}

fn is_transient(error: &reqwest::Error) -> bool {
    // Which bound it was does not matter here.
    SendErrorKind::from_reqwest(error, Duration::ZERO, Duration::ZERO).is_transient()
}

/// Reads an answer up to [`MOST_BYTES`].
async fn read_answer(response: reqwest::Response) -> Result<Bytes, NoAnswer> {
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| {
            let is_transient = is_transient(&error);
            NoAnswer::Broken { reason: chain(&error.without_url()), is_transient }
        })?;
        if body.len() + piece.len() > MOST_BYTES {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Returns whether an answer is a page of a browser.
fn is_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let label = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    media::is_page_type(label) || begins_as_page(body)
}

/// Returns how long an answer asks to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    throttle::reset_delay(headers, &RateLimitHeaders::default(), SystemTime::now())
}

/// Makes a server's words fit for a message: without `secrets` and `known`, on one line, not too long.
fn describe_answer(text: &str, secrets: &[&str], known: &Secrets) -> String {
    let mut text = known.text(text).into_owned();
    for secret in secrets.iter().filter(|secret| secret.len() > 2) {
        text = text.replace(secret, MASK);
    }
    cut_text(&one_line(&plain_text(&text)), MOST_WORDS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_server_are_masked_and_short() {
        assert_eq!(
            describe_answer("no\n such  client abc\u{7}", &["abc", "no"], &Secrets::default()),
            "no such client [REDACTED]"
        );
        assert_eq!(
            describe_answer(&"x".repeat(400), &[], &Secrets::default()).chars().count(),
            MOST_WORDS + 1
        );
    }
}
