//! Why a server gave no result.

use std::{path::PathBuf, time::Duration};

use super::process_end::ProcessEnd;

/// Why a server gave no result, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server of backend \"{backend}\" {fault}")]
pub struct ServerError {
    /// The name of the backend.
    pub backend: String,
    /// What happened.
    pub fault: ServerFault,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFault {
    /// So many requests or bytes wait for a server that does not read.
    #[error("does not read what it is sent; try again later")]
    Busy,
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
    /// The system: no process was made.
    #[error("cannot be started: {0}")]
    Start(String),
    /// The server was not there in time for the call, and goes on with its start.
    #[error("was not ready within {} s (`timeout`); try again later", .after.as_secs_f64())]
    Starting {
        /// The bound.
        after: Duration,
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
            Self::Ended { .. }
            | Self::NoRoom(_)
            | Self::NotAServer { .. }
            | Self::Stopped
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable(_) => true,
            Self::Busy
            | Self::InputNeeded
            | Self::Introduction { .. }
            | Self::NoDirectory(_)
            | Self::NotFound { .. }
            | Self::NotOffered(_)
            | Self::Pausing { .. }
            | Self::Refused(_)
            | Self::Rpc(_)
            | Self::Start(_)
            | Self::Starting { .. }
            | Self::TooManyWatched(_) => false,
        }
    }

    /// Returns whether it may be otherwise when the same is asked again a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::NoRoom(_) | Self::Pausing { .. } | Self::Starting { .. })
    }

    /// Names the backend.
    pub(super) fn of(self, backend: &str) -> ServerError {
        ServerError { backend: backend.to_owned(), fault: self }
    }
}

fn ended_text(end: Option<ProcessEnd>, last_words: &Option<String>) -> String {
    let end = end.map(|end| format!(" {end}")).unwrap_or_default();
    format!("{end}{}", said_text(last_words))
}

fn said_text(last_words: &Option<String>) -> String {
    last_words.as_ref().map(|line| format!("; it said last: {line}")).unwrap_or_default()
}
