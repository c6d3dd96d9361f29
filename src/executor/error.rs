//! Why a call has no result.

pub(super) mod media_type;
mod task;
mod tool_failure;
mod unsure;
mod upload_size;

use std::time::Duration;

use dadl_descriptor::model::json_path::PathError;
use dadl_text::text;

pub(crate) use self::{
    media_type::MediaTypeError, task::TaskFailure, unsure::UnsureError,
    upload_size::UploadSizeError,
};
pub use self::{task::TaskError, tool_failure::ToolFailure};
use super::BusyError;
use crate::{
    call::ArgumentError,
    files::FileError,
    http::{
        backend::ExchangeError,
        error::{SendError, SendErrorKind},
        login::LoginError,
        upload::BodyTooLarge,
    },
    mcp_client::{ServerError, ServerFault},
    outcome::ApiError,
    response::decode_error::DecodeError,
    worker::FilterError,
};

/// Why a call has no result.
///
/// The text of each variant may be shown to a model: it names backend, tool and what to do, and
/// holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The remote said no.
    #[error(transparent)]
    Api(#[from] Box<ApiError>),
    /// The caller: an argument makes no request.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The operator: too much happens at once. Nothing was sent.
    #[error("the call was not made: {0}; try again later")]
    Busy(#[from] BusyError),
    /// The author: the script of a composite failed, or hit a limit.
    #[error("composite \"{composite}\" failed: {reason}")]
    Composite {
        /// The MCP name of the composite.
        composite: String,
        /// What happened, with the line of the descriptor where it is known.
        reason: String,
    },
    /// The caller: the body is larger than the tool allows.
    #[error(transparent)]
    BodyTooLarge(#[from] BodyTooLarge),
    /// The operator: too many answers are being read at once.
    #[error(
        "the answer to {request} was not read to its end: all answers that are being read have \
         {limit} bytes together (`max_memory` of `limits`); narrow the call or try again later"
    )]
    Crowded {
        /// The method and the path below the base URL.
        request: String,
        /// The bound that was hit.
        limit: u64,
    },
    /// The remote: the body is not what its content type says.
    #[error("backend \"{backend}\" answered {request} with HTTP {status}, but {error}")]
    Decode {
        /// The name of the backend.
        backend: String,
        /// The method and the path below the base URL.
        request: String,
        /// The status of the answer.
        status: u16,
        /// What is wrong with the body.
        error: DecodeError,
    },
    /// The remote: the body is encoded in a way that it was not asked for.
    #[error(
        "backend \"{backend}\" answered {request} with HTTP {status}, but the body is encoded as \
         {encoding:?}, and only gzip was asked for; it cannot be read"
    )]
    Encoded {
        /// The name of the backend.
        backend: String,
        /// The method and the path below the base URL.
        request: String,
        /// The status of the answer.
        status: u16,
        /// `Content-Encoding` (RFC 9110, section 8.4).
        encoding: String,
    },
    /// The remote: what was done failed in part, as the entries of its log say.
    #[error("what {request} did has failed in part, as its log says: {failures}")]
    Entries {
        /// The method and the path below the base URL.
        request: String,
        /// What failed, and why.
        failures: String,
    },
    /// The caller or the system: a file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The remote: the answer is no JSON, so that nothing can be hidden in it.
    #[error(
        "the answer to {request} holds values that must be hidden, but is no JSON; it is not shown"
    )]
    Redaction {
        /// The method and the path below the base URL.
        request: String,
    },
    /// The caller: its jq program is none, or cannot be compiled. Nothing was sent.
    #[error("nothing was sent: the argument `{property}` {error}")]
    Filter {
        /// The argument.
        property: String,
        /// What is wrong with it.
        error: FilterError,
    },
    /// The operator or the remote: there is no credential to send. Nothing was sent.
    #[error("backend \"{backend}\": {error}")]
    Login {
        /// The name of the backend.
        backend: String,
        /// Why not.
        error: Box<LoginError>,
    },
    /// The caller: its jq program gives no result.
    #[error("the answer to {request} arrived, but the jq filter {error}")]
    Jq {
        /// The method and the path below the base URL.
        request: String,
        /// What the filter failed with.
        error: FilterError,
    },
    /// The operator, most likely: what answers is not the API, or it answers something else.
    #[error(transparent)]
    MediaType(#[from] Box<MediaTypeError>),
    /// One of the pages that the program walks through failed; those before it are not returned,
    /// because nobody could tell that they are not all.
    #[error("page {number}: {error}")]
    Page {
        /// The number of the page, from 1.
        number: u32,
        /// What happened.
        error: Box<Self>,
    },
    /// The remote or the author: the answer cannot be kept open.
    #[error(
        "the answer to {request} is no stream: its content type is {content_type}{}",
        .advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default()
    )]
    NoStream {
        /// The method and the path below the base URL.
        request: String,
        /// What the answer says that it is.
        content_type: String,
        /// What to look at, where a page came.
        advice: Option<String>,
    },
    /// The caller: this door opens no streams. Nothing was sent.
    #[error(
        "nothing was sent: a stream is opened by a call of its own to a running server; on the \
         command line, `dadl-mcp watch` prints events"
    )]
    NoStreams,
    /// The remote: a later page has no list where the first one has.
    #[error("the answer to {request} has no list where the pages before it have one")]
    PageShape {
        /// The method and the path below the base URL.
        request: String,
    },
    /// The remote or the author: what a path selects cannot be found within bounds, so that the result
    /// is not shown.
    #[error(
        "the answer to {request} arrived, but `{key}` of `{tool}` ({path}) cannot be followed: {error}"
    )]
    Path {
        /// The method and the path below the base URL.
        request: String,
        /// The tool.
        tool: String,
        /// The key of the descriptor.
        key: &'static str,
        /// The path, or all of them.
        path: String,
        /// Which bound was hit.
        error: PathError,
    },
    /// The remote or the author: `result_path` selects nothing.
    #[error(
        "the answer to {request} has nothing at {path}, where the descriptor expects the result"
    )]
    ResultPath {
        /// The method and the path below the base URL.
        request: String,
        /// The path.
        path: String,
    },
    /// The operator: the client.
    #[error("{message}")]
    Settings {
        /// What is missing or wrong, naming the setting.
        message: String,
    },
    /// The caller: the file does not have the length that the backend takes.
    #[error(transparent)]
    UploadSize(#[from] Box<UploadSizeError>),
    /// The remote or the operator: another MCP server gave no result.
    #[error(transparent)]
    Server(#[from] Box<ServerError>),
    /// The request brought no answer.
    #[error("{0}; {hint}", hint = .0.kind.hint())]
    Send(SendError),
    /// The call began a task, and that has no good end.
    #[error(transparent)]
    Task(#[from] Box<TaskError>),
    /// The caller or the remote: the tool of another MCP server says that it failed.
    #[error(transparent)]
    ToolFailed(Box<ToolFailure>),
    /// The author or the remote: the descriptor's jq program does not fit the answer.
    #[error("the answer to {request} arrived, but the descriptor's `transform` {error}")]
    Transform {
        /// The method and the path below the base URL.
        request: String,
        /// What the program failed with.
        error: FilterError,
    },
    /// The remote: more bytes than allowed.
    #[error(
        "the answer to {request} is larger than {limit} bytes (`max_response_size` of backend \"{backend}\"); narrow the call"
    )]
    TooLarge {
        /// The name of the backend.
        backend: String,
        /// The method and the path below the base URL.
        request: String,
        /// The bound that was hit.
        limit: u64,
    },
    /// A write that may have been done, although there is no result.
    #[error(transparent)]
    Unsure(#[from] Box<UnsureError>),
}

impl From<TaskError> for CallError {
    fn from(error: TaskError) -> Self {
        Self::Task(Box::new(error))
    }
}

impl From<ServerError> for CallError {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl From<ExchangeError> for CallError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::BodyTooLarge(error) => Self::BodyTooLarge(error),
            ExchangeError::Client(..) => Self::Settings { message: error.to_string() },
            ExchangeError::File(error) => Self::File(error),
            ExchangeError::Login(backend, error) => Self::Login { backend, error },
            ExchangeError::Send(error) => Self::Send(error),
        }
    }
}

impl CallError {
    /// Says what happened in words that a model can act on: with what it can do next where the
    /// remote said no.
    ///
    /// What nobody would see of the words of a server is written as escapes.
    pub fn for_model(&self) -> String {
        let next = match self {
            // What it says is the next step.
            Self::Unsure(_) => None,
            other => other.rejection().and_then(ApiError::next_step),
        };
        let text = match next {
            Some(next) => format!("{self}; {next}"),
            None => self.to_string(),
        };
        text::shown_text(&text).into_owned()
    }

    /// Returns the answer with which the remote said no to this call.
    fn rejection(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            other => other.inner()?.rejection(),
        }
    }

    /// Returns whether nobody knows if the call has done something.
    pub(crate) fn may_have_been_done(&self) -> bool {
        matches!(self, Self::Unsure(_)) || self.inner().is_some_and(Self::may_have_been_done)
    }

    /// Returns whether the same call may have a result a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.is_transient(),
            Self::Busy(_) | Self::Crowded { .. } => true,
            Self::Filter { error, .. } | Self::Jq { error, .. } | Self::Transform { error, .. } => {
                error.is_transient()
            }
            Self::Login { error, .. } => error.is_transient(),
            Self::Send(error) => error.kind.is_transient(),
            Self::Server(error) => error.fault.is_transient(),
            // It must not be repeated.
            Self::Unsure(_) => false,
            other => other.inner().is_some_and(Self::is_transient),
        }
    }

    /// Returns whether the same request is refused however often it is made: what a server refuses
    /// once, it refuses again, unless it says that it is busy.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Api(error) => !error.is_transient(),
            Self::Argument(_) | Self::NoStream { .. } => true,
            _ => false,
        }
    }

    /// Returns whether the remote says that what was asked for is not there any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(error.status, 404 | 410))
    }

    /// Returns whether nobody knows what the answer would have been: it did not come, cannot be read, or
    /// says nothing about what was asked.
    pub(crate) fn is_blind(&self) -> bool {
        match self {
            Self::Api(error) => error.status == 401 || error.is_transient(),
            Self::Crowded { .. }
            | Self::Decode { .. }
            | Self::Encoded { .. }
            | Self::Login { .. }
            | Self::MediaType(_)
            | Self::PageShape { .. }
            | Self::Path { .. }
            | Self::ResultPath { .. }
            | Self::Send(_)
            | Self::Server(_)
            | Self::TooLarge { .. }
            | Self::Transform { .. } => true,
            other => other.inner().is_some_and(Self::is_blind),
        }
    }

    /// Returns how long to wait for that, when it is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            Self::Login { error, .. } => error.retry_after(),
            Self::Send(SendError { kind: SendErrorKind::RateLimited { wait }, .. }) => Some(*wait),
            Self::Server(error) => error.fault.retry_after(),
            other => other.inner()?.retry_after(),
        }
    }

    /// Returns what kept one request of several from its result.
    pub(crate) fn inner(&self) -> Option<&Self> {
        match self {
            Self::Page { error, .. } => Some(error),
            Self::Unsure(unsure) => Some(&unsure.error),
            Self::Task(error) => match &**error {
                TaskError::Unseen { error, .. } => Some(error),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether the backend, or what gives its credential, could not be reached, did not answer
    /// in time or cannot do so now.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Login { error, .. } => error.is_transient(),
            Self::Send(_) => true,
            Self::Server(error) => !matches!(error.fault, ServerFault::Rpc(_)),
            other => other.inner().is_some_and(Self::is_unreachable),
        }
    }
}
