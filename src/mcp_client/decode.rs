//! One message of a server: which kind it is, whose, and where its result is.
//!
//! The protocol library reads each result into a tree by trying one type after another, which costs ten
//! times what checking it does and drops what it does not know. So only the envelope is read here.

use std::{borrow::Cow, ops::Range};

use dadl_text::{json::scan, text};
use rmcp::model::{ProgressToken, RequestId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::RpcFailure;

/// What an error says is cut there, in characters.
const LONGEST_MESSAGE: usize = 2000;

/// An error carries no more besides, in bytes.
const MOST_DATA: usize = 64 * 1024;

/// A batch has no more messages.
const MOST_PARTS: usize = 1000;

/// A message, as far as it has to be known to whom it goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ServerMessage {
    /// The result of a request of ours, with its place in the text.
    Answer { id: RequestId, result: Range<usize> },
    /// A request of ours failed; of which nothing is known without an id.
    Failure { id: Option<RequestId>, failure: RpcFailure },
    /// The server wants something.
    Request { id: RequestId },
    /// The server tells something, with the place of what it tells.
    Notification { method: String, params: Option<Range<usize>> },
    /// Several messages, which servers of 2025-03-26 may send as one.
    Batch,
}

/// How far the server says that a request is.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerProgress {
    /// Grows.
    pub progress: f64,
    /// What it grows to, when that is known.
    pub total: Option<f64>,
    /// What the server does, without secrets, as it is.
    pub message: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'text> {
    #[serde(borrow, default)]
    id: Option<&'text RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'text, str>>,
    #[serde(borrow, default)]
    params: Option<&'text RawValue>,
    #[serde(borrow, default)]
    result: Option<&'text RawValue>,
    #[serde(borrow, default)]
    error: Option<&'text RawValue>,
}

#[derive(Deserialize)]
struct ErrorObject<'text> {
    #[serde(default)]
    code: i64,
    #[serde(borrow, default)]
    message: Cow<'text, str>,
    #[serde(borrow, default)]
    data: Option<&'text RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProgressParams {
    progress_token: ProgressToken,
    progress: f64,
    total: Option<f64>,
    message: Option<String>,
}

/// Why a line is no message, for the log and for the call that waited for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnreadableMessage {
    /// The line is no JSON.
    #[error("it is no JSON: {0}")]
    Json(String),
    /// The JSON is none of the messages of JSON-RPC.
    #[error("it is no message of JSON-RPC")]
    Shape,
}

/// Reads the envelope of a message.
pub(super) fn read_message(message: &str) -> Result<ServerMessage, UnreadableMessage> {
    if message.trim_start().starts_with('[') {
        return Ok(ServerMessage::Batch);
    }
    let envelope: Envelope<'_> = serde_json::from_str(message)
        .map_err(|error| UnreadableMessage::Json(error.to_string()))?;
    let id = envelope.id.and_then(|id| serde_json::from_str::<RequestId>(id.get()).ok());
    match envelope {
        Envelope { method: None, result: Some(result), error: None, .. } => {
            let id = id.ok_or(UnreadableMessage::Shape)?;
            Ok(ServerMessage::Answer { id, result: place(message, result) })
        }
        Envelope { method: None, result: None, error: Some(error), .. } => {
            Ok(ServerMessage::Failure { id, failure: read_failure(error.get()) })
        }
        Envelope { method: Some(method), params, result: None, error: None, .. } => match id {
            Some(id) => Ok(ServerMessage::Request { id }),
            None => Ok(ServerMessage::Notification {
                method: method.into_owned(),
                params: params.map(|params| place(message, params)),
            }),
        },
        _ => Err(UnreadableMessage::Shape),
    }
}

/// Returns the messages of a batch.
pub(super) fn batch_parts(message: &str) -> Result<Vec<String>, UnreadableMessage> {
    let message =
        scan::compacted(message).map_err(|error| UnreadableMessage::Json(error.to_string()))?;
    let parts = scan::array_items(&message).into_iter().flatten();
    // A batch within a batch is none.
    let parts = parts.filter(|part| part.starts_with('{')).take(MOST_PARTS + 1);
    let parts: Vec<String> = parts.map(str::to_owned).collect();
    if parts.len() > MOST_PARTS { Err(UnreadableMessage::Shape) } else { Ok(parts) }
}

/// Reads the parameters of `notifications/progress`.
pub(super) fn read_progress(params: &str) -> Option<(ProgressToken, ServerProgress)> {
    let params: ProgressParams = serde_json::from_str(params).ok()?;
    let ProgressParams { progress_token, progress, total, message } = params;
    Some((progress_token, ServerProgress { progress, total, message }))
}

fn read_failure(error: &str) -> RpcFailure {
    match serde_json::from_str::<ErrorObject<'_>>(error) {
        Ok(error) => RpcFailure {
            code: error.code,
            message: text::cut_text(&error.message, LONGEST_MESSAGE).into_owned(),
            data: error
                .data
                .map(RawValue::get)
                .filter(|it| it.len() <= MOST_DATA)
                .map(str::to_owned),
        },
        // The request failed all the same.
        Err(_) => RpcFailure {
            code: 0,
            message: text::cut_text(error, LONGEST_MESSAGE).into_owned(),
            data: None,
        },
    }
}

/// Returns where a part of a text is.
fn place(text: &str, part: &RawValue) -> Range<usize> {
    // Both are parts of the same text.
    let start = part.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + part.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_from_the_others() {
        let read = |text| read_message(text);
        let text = r#" {"result" : {"a":1} , "id": 3,"jsonrpc":"2.0"}"#;
        let Ok(ServerMessage::Answer { id, result }) = read(text) else { panic!() };
        assert_eq!((id, &text[result]), (RequestId::Number(3), r#"{"a":1}"#));
        let failure =
            RpcFailure { code: -1, message: "no".to_owned(), data: Some("[1]".to_owned()) };
        let expected = ServerMessage::Failure { id: Some(RequestId::String("a".into())), failure };
        let text = r#"{"id":"a","error":{"code":-1,"message":"no","data":[1]}}"#;
        assert_eq!(read(text), Ok(expected));
        assert!(matches!(
            read(r#"{"id":null,"error":"no"}"#),
            Ok(ServerMessage::Failure { id: None, .. })
        ));
        let request = ServerMessage::Request { id: RequestId::Number(1) };
        assert_eq!(read(r#"{"id":1,"method":"ping"}"#), Ok(request));
        let text = r#"{"method":"notifications/\u0078","params":{"a":[]}}"#;
        let Ok(ServerMessage::Notification { method, params: Some(params) }) = read(text) else {
            panic!()
        };
        assert_eq!((method.as_str(), &text[params]), ("notifications/x", r#"{"a":[]}"#));
        assert_eq!(read(" [1]"), Ok(ServerMessage::Batch));
        let batch = batch_parts(r#"[{"id":1}, [{}], 2, {"id":2}]"#);
        assert_eq!(batch.unwrap(), [r#"{"id":1}"#, r#"{"id":2}"#]);
        let many = format!("[{}{{}}]", "{},".repeat(MOST_PARTS));
        assert_eq!(batch_parts(&many), Err(UnreadableMessage::Shape));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["{}", r#"{"id":1}"#, r#"{"id":1,"method":"a","result":{}}"#, "{\"result\":{}}"]
        {
            assert_eq!(read_message(text), Err(UnreadableMessage::Shape), "{text}");
        }
        for text in
            ["Listening on stdio", "", "{\"id\":1", "1", "{\"id\":1,\"id\":2,\"result\":{}}"]
        {
            assert!(matches!(read_message(text), Err(UnreadableMessage::Json(_))), "{text}");
        }
        let deep =
            format!("{{\"id\":1,\"result\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(matches!(read_message(&deep), Ok(ServerMessage::Answer { .. })));
    }

    #[test]
    fn progress_may_be_a_fraction() {
        let (token, progress) =
            read_progress(r#"{"progressToken":7,"progress":0.5,"total":1,"message":"half"}"#)
                .unwrap();
        assert_eq!(token, ProgressToken(RequestId::Number(7)));
        let message = Some("half".to_owned());
        assert_eq!(progress, ServerProgress { progress: 0.5, total: Some(1.0), message });
        assert!(read_progress("{}").is_none());
    }
}
