//! What a call gives: a result, or an error that a model can act on.

pub mod content;
mod json_text;
pub(crate) mod server_task_id;
pub mod task_report;
pub(crate) mod timestamp;
pub(crate) mod transfer;

use std::{any::Any, error::Error, fmt, path::PathBuf, sync::Arc, time::Duration};

use dadl_descriptor::offer::UnmetNeed;
use serde_json::{Map, Value};

use self::{content::ServerContent, task_report::TaskReport};

pub use self::json_text::JsonText;
pub(crate) use self::transfer::{TransferDirection, TransferProgress};

/// The result of a call that the backend accepted (2xx).
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// The status of the answer.
    pub status: u16,
    /// What the answer holds.
    pub payload: AnswerPayload,
    /// Sentences for the caller: what was cut, what was left.
    pub notes: Vec<String>,
    /// The next page, when there may be one.
    pub next: Option<NextPage>,
    /// Counts what the payload takes, for as long as it is there.
    pub held: HeldMemory,
}

/// The page behind the one that an outcome has.
#[derive(Debug, Clone, PartialEq)]
pub struct NextPage {
    /// Why there may be one.
    pub reason: String,
    /// The arguments that bring it.
    pub arguments: Map<String, Value>,
}

/// Keeps memory counted that an outcome takes; nothing for a small one.
#[derive(Clone, Default)]
pub struct HeldMemory(Option<Arc<dyn Any + Send + Sync>>);

impl HeldMemory {
    /// Keeps what `count` counts until it is dropped.
    pub(crate) fn by(count: impl Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(count)))
    }

    /// Returns what counts, for who takes the payload apart.
    pub(crate) fn into_count(self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0
    }
}

impl fmt::Debug for HeldMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Held" } else { "Held(nothing)" })
    }
}

/// What an answer holds.
#[derive(Debug, Clone)]
pub enum AnswerPayload {
    /// The content of a tool of another MCP server: for hosts always, and for programs where it is no single text
    /// or value.
    Content(Box<ServerContent>),
    /// Nothing (204, or an empty body).
    Empty,
    /// A file that was saved.
    File(SavedFile),
    /// A JSON value; NDJSON becomes an array.
    Json(JsonText),
    /// A task that goes on, or that succeeded without a result.
    Task(Box<TaskReport>),
    /// Text with its content type.
    Text {
        /// Such as `text/markdown`.
        content_type: String,
        /// The body.
        text: String,
    },
}

impl AnswerPayload {
    /// Returns how many bytes of memory it takes; little things take none.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Content(content) => content.bytes(),
            Self::Json(text) => text.as_str().len() as u64,
            Self::Text { text, .. } => text.len() as u64,
            Self::Empty | Self::File(_) | Self::Task(_) => 0,
        }
    }
}

/// A binary answer on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Where clients of an HTTP server fetch it: a URL, or a path on that server.
    pub url: Option<String>,
    /// What names it in an argument, where its path does not.
    pub reference: Option<String>,
    /// In bytes.
    pub size: u64,
    /// As the backend named it.
    pub content_type: String,
    /// In lower-case hexadecimal.
    pub sha256: String,
    /// When it is removed (RFC 3339); `None` when it stays.
    pub expires: Option<String>,
    /// Whether it holds secrets, so that nothing of it is shown and no reference leads to it.
    pub is_private: bool,
}

impl SavedFile {
    /// Returns what programs get: `url` or `path`, `file` where there is a reference, `size`,
    /// `content_type`, `sha256`, and `expires` where the file does not stay.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        match &self.url {
            Some(url) => object.insert("url".to_owned(), url.as_str().into()),
            None => object.insert("path".to_owned(), self.path.to_string_lossy().into()),
        };
        let reference = self.reference.as_deref();
        object.extend(reference.map(|reference| ("file".to_owned(), reference.into())));
        object.insert("size".to_owned(), self.size.into());
        object.insert("content_type".to_owned(), self.content_type.as_str().into());
        object.insert("sha256".to_owned(), self.sha256.as_str().into());
        let expires = self.expires.as_deref();
        object.extend(expires.map(|expires| ("expires".to_owned(), expires.into())));
        if self.is_private {
            object.insert("private".to_owned(), true.into());
        }
        Value::Object(object)
    }
}

/// How far a long call is.
#[derive(Debug, Clone, PartialEq)]
pub struct CallProgress {
    /// Bytes or seconds done.
    pub done: u64,
    /// Of how many, when known.
    pub total: Option<u64>,
    /// One sentence.
    pub message: String,
}

/// Hears about the progress of a call.
pub trait CallObserver: Send + Sync {
    /// Called when there is something new; must not block.
    fn progress(&self, progress: CallProgress);

    /// Called when bytes of a file have moved; must not block.
    fn transfer(&self, transfer: TransferProgress) {
        self.progress(transfer.into());
    }

    /// Called when a task that the call waits for was looked at; must not block.
    fn task(&self, report: &TaskReport) {
        self.progress(report.progress());
    }
}

impl CallObserver for () {
    fn progress(&self, _: CallProgress) {}
}

/// The code of an answer that says that the administrator of the API has turned MCP off.
pub const SWITCHED_OFF: &str = "switched_off";

/// The backend said no: a non-2xx answer, or a JSON-RPC error, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The status code.
    pub status: u16,
    /// The semantic code: `not_found`, `conflict`, ..
    pub code: String,
    /// The provider's own code.
    pub provider_code: Option<String>,
    /// The provider's message, or the start of the body.
    pub message: String,
    /// `GET /vms/x`: the method and the path below the base URL.
    pub request: String,
    /// How long the backend asked to wait.
    pub retry_after: Option<Duration>,
    /// How many requests were sent.
    pub attempts: u32,
    /// What a caller can do about it, where more than the status tells.
    pub hint: Option<String>,
    /// Whether it says that there is no such operation, and not that an object is missing.
    pub is_no_route: bool,
    /// What the tool needs that the server lacks, or may lack.
    pub lack: Option<Box<UnmetNeed>>,
}

/// Returns whether an answer with this status may be another a moment later.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

impl ApiError {
    /// Returns whether the answer may be another a moment later.
    pub fn is_transient(&self) -> bool {
        // Somebody has decided so.
        self.code != SWITCHED_OFF && is_transient_status(self.status)
    }

    /// Says what a caller can do about it: the hint, or as far as the status tells; that of a JSON-RPC error tells
    /// nothing, but its code does.
    pub fn next_step(&self) -> Option<&str> {
        if self.code == SWITCHED_OFF {
            return Some(
                "the administrator of the API has turned MCP off: tell the user, and look for no \
                 other way; calls work later, when it is on again",
            );
        }
        if self.lack.is_some() {
            return Some("the server has no such operation: tell the user, or use another tool");
        }
        if let Some(hint) = &self.hint {
            return Some(hint);
        }
        let status = match (self.status, self.code.as_str()) {
            (200..=299, "invalid_input" | "invalid_request") => 400,
            (200..=299, "not_found") => 404,
            (200..=299, "conflict") => 409,
            (200..=299, "internal") => 500,
            (status, _) => status,
        };
        Some(match status {
            400 | 422 => "correct the arguments and call again",
            401 => "only the operator can replace the credential, with `dadl-mcp setup`",
            403 => "the account lacks a right that its administrator has to grant",
            404 | 410 => "check the identifier: look it up with a tool that lists",
            409 | 412 => "read the object: its state has to change first",
            // The delay is told already.
            _ if self.retry_after.is_some() => return None,
            429 => "wait before the next call",
            501 => "this backend cannot do this",
            502..=504 => "try again later",
            500..=599 => "see what was done before you repeat the call",
            _ => return None,
        })
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}] ", self.code)?;
        // JSON-RPC errors come with a status that says nothing.
        if !(200..300).contains(&self.status) {
            write!(formatter, "HTTP {}: ", self.status)?;
        }
        formatter.write_str(&self.message)?;
        if let Some(code) = &self.provider_code {
            write!(formatter, " (code {code})")?;
        }
        write!(formatter, " ({})", self.request)?;
        if self.attempts > 1 {
            write!(formatter, " after {} attempts", self.attempts)?;
        }
        if let Some(delay) = self.retry_after {
            write!(formatter, "; retry after {} s", delay.as_secs())?;
        }
        if let Some(lack) = &self.lack {
            write!(formatter, "; {lack}")?;
        }
        Ok(())
    }
}

impl Error for ApiError {}

/// Joins the causes below an HTTP client's own message, which repeats the URL.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        source = cause.source();
    }
    match causes.len() {
        0 => "no further reason".to_owned(),
        // The last causes say most; the first ones are layers of the client.
        1 | 2 => causes.join(": "),
        count => causes.split_off(count - 2).join(": "),
    }
}
