//! Looks at the head and the start of an answer: what it is, before all of it is read.

use dadl_descriptor::model::ToolRequest;
use dadl_text::text::cut_text;
use http::{HeaderMap, StatusCode, header};

use super::{CallError, step::RequestStep};
use crate::{
    http::backend::Backend,
    outcome::JsonText,
    response::{decode::BodyType, media::says_nothing},
};

/// Returns the field `name`, when it is text.
pub(super) fn header_text<'headers>(
    headers: &'headers HeaderMap,
    name: &header::HeaderName,
) -> Option<&'headers str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// So many characters of an encoding are shown.
const MOST_ENCODING: usize = 40;

/// Returns the encoding that an answer still has, as it may be shown.
pub(super) fn kept_encoding(backend: &Backend, headers: &HeaderMap) -> Option<String> {
    let encoding = header_text(headers, &header::CONTENT_ENCODING)?;
    let is_none = matches!(encoding.trim(), "" | "identity");
    (!is_none).then(|| cut_text(&backend.secrets().text(encoding), MOST_ENCODING).into_owned())
}

/// Refuses an answer in an encoding that nobody has taken off it: what is read would make no sense.
pub(super) fn check_encoding(
    backend: &Backend,
    response: &reqwest::Response,
    request: impl FnOnce() -> String,
) -> Result<(), CallError> {
    match kept_encoding(backend, response.headers()) {
        None => Ok(()),
        Some(encoding) => Err(CallError::Encoded {
            backend: backend.settings().name.clone(),
            request: request(),
            status: response.status().as_u16(),
            encoding,
        }),
    }
}

impl RequestStep<'_> {
    /// Returns what an answer is taken for: what the server says; where that is nothing, and the
    /// descriptor declares text, that text.
    pub(super) fn content_type<'own>(&'own self, headers: &'own HeaderMap) -> Option<&'own str> {
        let sent = header_text(headers, &header::CONTENT_TYPE);
        let rules = &self.tool.response;
        let declared = rules.content_type.as_deref();
        let is_known = BodyType::of(sent) != BodyType::Unknown && !says_nothing(sent);
        if is_known || rules.binary || self.tool.rpc().is_some() {
            return sent;
        }
        match BodyType::of(declared) {
            BodyType::Text => declared,
            // By its first bytes: some that are said to answer JSON answer a word.
            BodyType::Json | BodyType::Ndjson if says_nothing(sent) => None,
            _ => sent,
        }
    }

    /// Returns whether an answer may go on without an end, whatever the descriptor says.
    pub(super) fn is_stream(&self, response: &reqwest::Response) -> bool {
        let content_type = self.content_type(response.headers());
        // The first line of a JSON-RPC answer shows whether it is a list.
        self.tool.rpc().is_some()
            || matches!(BodyType::of(content_type), BodyType::EventStream | BodyType::Ndjson)
    }

    /// Returns whether an answer goes to a file.
    pub(super) fn is_download(&self, response: &reqwest::Response) -> bool {
        let rules = &self.tool.response;
        if response.status() == StatusCode::NO_CONTENT || response.content_length() == Some(0) {
            return false;
        }
        let most = self.backend.settings().max_response_bytes;
        let content_type = match response.content_length() {
            // What cannot be read as text is still a file.
            Some(length) if length > most => header_text(response.headers(), &header::CONTENT_TYPE),
            _ => self.content_type(response.headers()),
        };
        // What a program works on is read, whatever its content type says.
        let is_read = rules.transform.is_some() || self.call.arguments().jq().is_some();
        let kind = BodyType::of(content_type);
        let is_binary = kind == BodyType::Binary && !is_read;
        match self.tool.request {
            // An error comes with the same status, and only its content type tells it from a file.
            ToolRequest::Rpc(_) => {
                is_binary || (rules.binary && matches!(kind, BodyType::Binary | BodyType::Unknown))
            }
            ToolRequest::Http(_) => rules.binary || is_binary,
        }
    }

    /// Returns whether its answers show how a task is: its tool watches tasks, or cancels them.
    pub(super) fn shows_tasks(&self) -> bool {
        let tasks = self.call.entry().descriptor().tasks.as_ref();
        tasks.is_some_and(|tasks| {
            let calls = std::iter::once(&tasks.watch).chain(&tasks.cancel);
            calls.into_iter().any(|call| call.tool == self.tool.name)
        })
    }

    /// Returns whether `body`, an answer of such a tool, shows a task.
    pub(super) fn shows_task(&self, body: &[u8]) -> bool {
        let tasks = self.call.entry().descriptor().tasks.as_ref();
        let answer = std::str::from_utf8(body).ok().and_then(|text| JsonText::parse(text).ok());
        let (Some(tasks), Some(answer)) = (tasks, answer) else { return false };
        let shown = match &self.tool.response.result_path {
            Some(path) => path.look(answer.as_str()),
            None => Some(answer.as_str()),
        };
        shown.is_some_and(|shown| tasks.read_observation(shown).is_ok())
    }
}
