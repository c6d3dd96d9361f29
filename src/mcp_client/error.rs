//! Why a server gave no result.

use std::{path::PathBuf, time::Duration};

use super::process_end::ProcessEnd;
use crate::http::error::SendErrorKind;

/// Why a server gave no result, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server of backend \"{backend}\" {fault}{}", down_text(*down, fault))]
pub struct ServerError {
    /// The name of the backend.
    pub backend: String,
    /// What happened.
    pub fault: ServerFault,
    /// How long the server has not been there; `None` where it is, or was not there yet.
    pub down: Option<Duration>,
}

impl ServerError {
    /// Says how long the server has not been there.
    #[must_use]
    pub(super) fn down_for(self, down: Option<Duration>) -> Self {
        Self { down, ..self }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFault {
    /// So many requests or bytes wait for a server that does not read.
    #[error("does not read what it is sent; try again later")]
    Busy,
    /// The stream that had to have the answer broke off; a part of a sentence says how.
    #[error("broke its answer off: {0}")]
    BrokenOff(String),
    /// The server wants another credential than it got, or one at all.
    #[error(transparent)]
    Credential(Box<CredentialRefusal>),
    /// The process ended.
    #[error("ended{}", ended_text(*end, last_words))]
    Ended {
        /// How, when that is known.
        end: Option<ProcessEnd>,
        /// The last line of its standard error.
        last_words: Option<String>,
    },
    /// The server needs something before it goes on, which only a call of a tool can be asked for.
    #[error("asks for more input, which cannot be handed on here")]
    InputNeeded,
    /// The server has not introduced itself in time.
    #[error(
        "has not introduced itself within {} s (`start_timeout`){}",
        .after.as_secs_f64(), said_text(last_words)
    )]
    Introduction {
        /// The bound.
        after: Duration,
        /// The last line of its standard error.
        last_words: Option<String>,
    },
    /// The server cannot be reached, or did not answer.
    #[error("did not answer: {kind}; {}", kind.hint())]
    NoAnswer {
        /// What happened.
        kind: SendErrorKind,
    },
    /// There is nothing to send it as a credential, or no way to send anything; nothing was sent.
    #[error("is asked for nothing: {why}")]
    NotAsked {
        /// Why.
        why: String,
        /// Whether it may be otherwise a moment later.
        is_transient: bool,
    },
    /// The operator: the directory where the server should run is not there.
    #[error("cannot be started: its `cwd` {} is no directory", .0.display())]
    NoDirectory(PathBuf),
    /// The server does not do that, as it says itself.
    #[error("does not {0}")]
    NotOffered(&'static str),
    /// There is no room for the result beside all others; so many bytes there are in all.
    #[error(
        "answers with more than there is room for now: all answers share {0} bytes; try again later"
    )]
    NoRoom(u64),
    /// The process writes no messages of the protocol.
    #[error("is no MCP server: it writes lines such as {line:?} on its standard output")]
    NotAServer {
        /// The beginning of such a line.
        line: String,
    },
    /// The operator: at the URL is no endpoint of the protocol.
    #[error(
        "answers HTTP {status} to the first message: is `url` the whole address of its endpoint?"
    )]
    NoEndpoint {
        /// The status.
        status: u16,
    },
    /// The operator: there is no such program.
    #[error(
        "cannot be started: there is no program {command:?} (PATH is {path:?}); install it, or write its \
         whole path under `command`"
    )]
    NotFound {
        /// As it is in the settings.
        command: String,
        /// Where it was looked for.
        path: String,
    },
    /// What came is no message, and has the type of something else.
    #[error("answers with {content_type:?}: is `url` the whole address of its endpoint?")]
    OtherContent {
        /// The type.
        content_type: String,
    },
    /// The server ended several times and is not started again yet.
    #[error("{why}; it can be started again in {} s", left.as_secs() + 1)]
    Pausing {
        /// How long it is not.
        left: Duration,
        /// How it ended last.
        why: String,
    },
    /// The server does not want us, in its words.
    #[error("cannot be introduced to: {0}")]
    Refused(String),
    /// The server answered with an error of JSON-RPC.
    #[error("answered with the error {}: {}", .0.code, .0.message)]
    Rpc(RpcFailure),
    /// The server has lost the session, and the one after it.
    #[error("knows the session no more; nothing was done; try again")]
    SessionLost,
    /// The system: no process was made.
    #[error("cannot be started: {0}")]
    Start(String),
    /// The server was not there in time for the call, and goes on with its start.
    #[error("was not ready within {} s (`timeout`); try again later", .after.as_secs_f64())]
    Starting {
        /// The bound.
        after: Duration,
    },
    /// The server answered with an error of HTTP.
    #[error("answers HTTP {status}{}", said_text(said))]
    Status {
        /// The status.
        status: u16,
        /// What it says, bounded and without secrets.
        said: Option<String>,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// This program ends, or the backend is no longer in the settings.
    #[error("is being ended")]
    Stopped,
    /// The server did not answer in time; the request was cancelled.
    #[error("did not answer within {} s (`timeout`)", .after.as_secs_f64())]
    Timeout {
        /// The bound.
        after: Duration,
    },
    /// The message with the result is larger than the limit.
    #[error("answered with more than {limit} bytes (`max_response_size`)")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// So many resources of the server are watched already.
    #[error("has {0} watched resources, and there may be no more")]
    TooManyWatched(usize),
    /// The message with the result cannot be read.
    #[error("answered with what is no message of the protocol: {0}")]
    Unreadable(String),
}

/// A server that does not take a credential, or asks for one: HTTP 401, or 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} run `{command}`", refusal_text(self))]
pub struct CredentialRefusal {
    /// The status.
    pub status: u16,
    /// The value of `WWW-Authenticate`, bounded: where a credential comes from (RFC 9728), and for what it
    /// is good.
    pub challenge: Option<String>,
    /// Whether the settings name a credential.
    pub has_credential: bool,
    /// The command in which a person can say what to send.
    pub command: String,
}

fn refusal_text(refusal: &CredentialRefusal) -> String {
    match (refusal.status, refusal.has_credential) {
        (401, false) => "wants a credential, and the settings name none (HTTP 401): write `api_key_env` or `auth`, or else"
                .to_owned(),
        (401, true) => "does not accept the credential (HTTP 401):".to_owned(),
        (status, _) => {
            format!("does not let the credential do this, or wants another one (HTTP {status}):")
        }
    }
}

/// An error of JSON-RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcFailure {
    /// Its code.
    pub code: i64,
    /// What it says, bounded.
    pub message: String,
    /// What it has besides, as JSON.
    pub data: Option<String>,
}

/// The code for a method that a server does not have.
const METHOD_NOT_FOUND: i64 = -32601;

impl RpcFailure {
    /// Returns whether the server does not have the method.
    pub fn is_unknown_method(&self) -> bool {
        self.code == METHOD_NOT_FOUND
    }
}

impl ServerFault {
    /// Returns whether the server may have done what it was asked for: the request went out, and there is
    /// no answer to read.
    pub fn is_unsure(&self) -> bool {
        match self {
            Self::NoAnswer { kind } => {
                let is_redirect = matches!(
                    kind,
                    SendErrorKind::RedirectElsewhere { .. }
                        | SendErrorKind::RedirectLoop
                        | SendErrorKind::RedirectUnsafe { .. }
                        | SendErrorKind::RateLimited { .. }
                );
                !is_redirect && !kind.is_before_request()
            }
            Self::Status { status, .. } => *status >= 500,
            Self::BrokenOff(_)
            | Self::Ended { .. }
            | Self::NoRoom(_)
            | Self::NotAServer { .. }
            | Self::OtherContent { .. }
            | Self::Stopped
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable(_) => true,
            Self::Busy
            | Self::Credential(_)
            | Self::InputNeeded
            | Self::Introduction { .. }
            | Self::NoDirectory(_)
            | Self::NoEndpoint { .. }
            | Self::NotAsked { .. }
            | Self::NotFound { .. }
            | Self::NotOffered(_)
            | Self::Pausing { .. }
            | Self::Refused(_)
            | Self::Rpc(_)
            | Self::SessionLost
            | Self::Start(_)
            | Self::Starting { .. }
            | Self::TooManyWatched(_) => false,
        }
    }

    /// Returns whether it may be otherwise when the same is asked again a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy
            | Self::NoRoom(_)
            | Self::Pausing { .. }
            | Self::SessionLost
            | Self::Starting { .. } => true,
            Self::NoAnswer { kind } => kind.is_transient(),
            Self::NotAsked { is_transient, .. } => *is_transient,
            Self::Status { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Returns how long to wait before the same is asked again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Pausing { left, .. } => Some(*left),
            Self::NoAnswer { kind: SendErrorKind::RateLimited { wait } } => Some(*wait),
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Names the backend.
    pub(super) fn of(self, backend: &str) -> ServerError {
        ServerError { backend: backend.to_owned(), fault: self, down: None }
    }

    /// Returns whether the server is not there, so that no call of its has a result.
    fn is_down(&self) -> bool {
        match self {
            Self::Introduction { .. }
            | Self::NoAnswer { .. }
            | Self::NoDirectory(_)
            | Self::NoEndpoint { .. }
            | Self::NotAServer { .. }
            | Self::NotAsked { .. }
            | Self::NotFound { .. }
            | Self::Pausing { .. }
            | Self::Refused(_)
            | Self::Start(_)
            | Self::Starting { .. } => true,
            Self::BrokenOff(_)
            | Self::Busy
            | Self::Credential(_)
            | Self::Ended { .. }
            | Self::InputNeeded
            | Self::NoRoom(_)
            | Self::NotOffered(_)
            | Self::OtherContent { .. }
            | Self::Rpc(_)
            | Self::SessionLost
            | Self::Status { .. }
            | Self::Stopped
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::TooManyWatched(_)
            | Self::Unreadable(_) => false,
        }
    }
}

/// Says since when nothing works, where that is not just now.
fn down_text(down: Option<Duration>, fault: &ServerFault) -> String {
    let seconds = down.filter(|_| fault.is_down()).map_or(0, |down| down.as_secs());
    let (count, unit) = match seconds {
        0 => return String::new(),
        1..120 => (seconds, "s"),
        120..7200 => (seconds / 60, "min"),
        _ => (seconds / 3600, "h"),
    };
    format!(" (it has not been there for {count} {unit})")
}

fn ended_text(end: Option<ProcessEnd>, last_words: &Option<String>) -> String {
    let end = end.map(|end| format!(" {end}")).unwrap_or_default();
    format!("{end}{}", said_text(last_words))
}

fn said_text(last_words: &Option<String>) -> String {
    last_words.as_ref().map(|line| format!("; it said last: {line}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_how_long_a_server_has_been_down() {
        let text = |fault: ServerFault, down: Option<u64>| {
            fault.of("git").down_for(down.map(Duration::from_secs)).to_string()
        };
        let start = || ServerFault::Start("no memory".to_owned());
        let alone = "the MCP server of backend \"git\" cannot be started: no memory";
        assert_eq!(text(start(), None), alone);
        assert_eq!(text(start(), Some(0)), alone);
        for (seconds, told) in [(1, "1 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h")] {
            let expected = format!("{alone} (it has not been there for {told})");
            assert_eq!(text(start(), Some(seconds)), expected);
        }
        // It is there, and does not answer.
        assert!(!text(ServerFault::Busy, Some(60)).contains("60"));
    }
}
