//! What goes wrong between us and a server at a URL, as a [`ServerFault`].

use bytes::Bytes;
use dadl_text::text;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{CredentialRefusal, ServerFault};
use crate::{
    http::{
        backend::{Backend, ExchangeError, HttpExchange},
        mcp_authorization::ServerRefusal,
    },
    secrets::Secrets,
};

/// So much is read of what a server says beside an error, in bytes.
const MOST_SAID: usize = 64 * 1024;

/// And so long is waited for it.
const SAID_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// So much of it is told, in characters.
const LONGEST_SAID: usize = 300;

/// A longer challenge is cut, in bytes.
const LONGEST_CHALLENGE: usize = 4096;

/// A server of the newest revision says so of header fields that do not fit the message.
const FIELDS_DO_NOT_FIT: i64 = -32020;

/// An error of HTTP, and what a server says with it.
pub(super) struct HttpRefusal {
    status: StatusCode,
    challenge: Option<String>,
    body: Bytes,
    retry_after: Option<std::time::Duration>,
}

#[derive(Deserialize)]
struct RefusalEnvelope<'text> {
    #[serde(borrow, default)]
    error: Option<&'text RawValue>,
}

#[derive(Deserialize)]
struct RefusalError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl HttpRefusal {
    /// Reads what a server says with an error of HTTP.
    pub(super) async fn read(exchange: HttpExchange) -> Self {
        let status = exchange.response.status();
        let challenge = challenge_of(exchange.response.headers());
        let retry_after = exchange.retry_after;
        let mut body = Vec::new();
        let mut pieces = exchange.response.bytes_stream();
        let read = async {
            while body.len() <= MOST_SAID
                && let Some(Ok(piece)) = pieces.next().await
            {
                body.extend_from_slice(&piece);
            }
        };
        // What came until then counts.
        let _ = tokio::time::timeout(SAID_TIME, read).await;
        body.truncate(MOST_SAID);
        Self { status, challenge, body: body.into(), retry_after }
    }

    /// Returns the error of JSON-RPC, if that is what the server says.
    pub(super) fn rpc_error(&self) -> Option<&str> {
        let said: RefusalEnvelope<'_> = serde_json::from_slice(&self.body).ok()?;
        Some(said.error?.get()).filter(|error| error.starts_with('{'))
    }

    fn read_error(&self) -> Option<RefusalError> {
        serde_json::from_str(self.rpc_error()?).ok()
    }

    /// Returns whether header fields were missing, or did not fit.
    pub(super) fn is_of_fields(&self) -> bool {
        self.read_error().is_some_and(|error| error.code == FIELDS_DO_NOT_FIT)
    }

    /// Returns whether a session is not known: 404, or what many servers say instead.
    pub(super) fn is_of_session(&self) -> bool {
        let says_so = || {
            let error = self.read_error();
            error.is_some_and(|error| {
                let message = error.message.to_ascii_lowercase();
                message.contains("session") || message.contains("not initialized")
            })
        };
        match self.status {
            StatusCode::NOT_FOUND => true,
            StatusCode::BAD_REQUEST => says_so(),
            _ => false,
        }
    }

    /// Returns whether nothing takes messages at the address.
    pub(super) fn is_of_address(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
    }

    /// Returns whether it is about the credential.
    pub(super) fn is_of_credential(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
            || (self.status == StatusCode::FORBIDDEN && self.challenge.is_some())
    }

    /// Says what happened.
    pub(super) fn fault(&self, client: &Backend, is_introduction: bool) -> ServerFault {
        let (status, secrets) = (self.status.as_u16(), client.secrets());
        if self.is_of_credential() {
            // A person may log in with more rights meanwhile.
            client.authenticator().look_again();
            let challenge = self.challenge.as_ref().map(|it| secrets.text(it).into_owned());
            return ServerFault::Credential(Box::new(CredentialRefusal {
                status,
                challenge,
                has_credential: client.authenticator().has_credential(),
                command: self.command(client),
            }));
        }
        if is_introduction && self.is_of_address() {
            return ServerFault::NoEndpoint { status };
        }
        let said = self.said(secrets);
        ServerFault::Status { status, said, retry_after: self.retry_after }
    }

    /// Returns the command that logs in, with the rights that the server says are missing.
    fn command(&self, client: &Backend) -> String {
        let field = self.challenge.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
        let fields = field.map(|field| (header::WWW_AUTHENTICATE, field));
        let fields: HeaderMap = fields.into_iter().collect();
        match ServerRefusal::of(self.status, &fields, client.settings()) {
            Some(ServerRefusal::InsufficientScope { command, .. }) => command,
            _ => client.settings().setup_command(),
        }
    }

    fn said(&self, secrets: &Secrets) -> Option<String> {
        if text::begins_as_page(&self.body) {
            return None;
        }
        let said = match self.read_error() {
            Some(error) => error.message,
            None => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let said = secrets.masked(said);
        let said = text::cut_text(text::one_line(&said).trim(), LONGEST_SAID).into_owned();
        Some(said).filter(|said| !said.is_empty())
    }
}

fn challenge_of(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    let mut joined = values.join(", ");
    // A field value that can be read is ASCII.
    joined.truncate(LONGEST_CHALLENGE);
    Some(joined).filter(|joined| !joined.is_empty())
}

/// Says why nothing came back.
pub(super) fn exchange_fault(error: ExchangeError) -> ServerFault {
    match error {
        ExchangeError::Send(error) => ServerFault::NoAnswer { kind: error.kind },
        ExchangeError::Login(_, error) => {
            ServerFault::NotAsked { why: error.to_string(), is_transient: error.is_transient() }
        }
        error @ (ExchangeError::BodyTooLarge(_)
        | ExchangeError::Client(..)
        | ExchangeError::File(_)) => {
            ServerFault::NotAsked { why: error.to_string(), is_transient: false }
        }
    }
}
