//! One JSON-RPC message in text: what it is, whose answer an error is, and the errors themselves.
//!
//! The protocol library drops what it cannot read; here it gets the reply of JSON-RPC 2.0, in which
//! way it may have come.

use std::borrow::Cow;

use rmcp::{
    RoleServer,
    model::{ErrorCode, ErrorData},
    service::RxJsonRpcMessage,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{call_message::read_call, param_shapes};

/// An id that is longer does not come back in an error.
const MOST_ECHO: usize = 256;

/// What is to be done with a line.
pub(super) enum LineAction {
    Ignore,
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    Reply(Vec<u8>),
}

/// Reads one line; what is no message gets the reply of JSON-RPC 2.0.
pub(super) fn parse_line(line: &[u8]) -> LineAction {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return LineAction::Ignore;
    }
    if let Some(call) = read_call(line) {
        return LineAction::Message(Box::new(call));
    }
    if let Ok(message) = serde_json::from_slice(line) {
        return LineAction::Message(Box::new(message));
    }
    let value: Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => {
            let message = format!("not JSON: {error}");
            return LineAction::Reply(error_line(&Value::Null, ErrorCode::PARSE_ERROR, &message));
        }
    };
    match (value.get("id"), value.get("method")) {
        // A notification that the protocol does not know needs no answer.
        (None, Some(Value::String(_))) => LineAction::Ignore,
        (Some(id @ (Value::Number(_) | Value::String(_))), _) => {
            LineAction::Reply(match param_shapes::wrong_request(&value) {
                Some(fault) => error_line(id, ErrorCode::INVALID_PARAMS, &fault),
                None => error_line(id, ErrorCode::INVALID_REQUEST, "no JSON-RPC request of MCP"),
            })
        }
        _ => LineAction::Reply(error_line(
            &Value::Null,
            ErrorCode::INVALID_REQUEST,
            "no JSON-RPC message of MCP; one object is expected",
        )),
    }
}

/// The parts of a message that say whose answer a reply is.
#[derive(Deserialize)]
struct MessageHeading<'text> {
    #[serde(borrow)]
    id: Option<&'text RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'text, str>>,
}

/// Returns the id of a message, if it may come back.
pub(super) fn id_of(text: &[u8]) -> Value {
    let heading: Option<MessageHeading<'_>> = serde_json::from_slice(text).ok();
    let id = heading.and_then(|heading| heading.id).map(RawValue::get);
    let id = id.filter(|id| id.len() <= MOST_ECHO);
    id.and_then(|id| serde_json::from_str(id).ok())
        .filter(|id: &Value| id.is_string() || id.is_number())
        .unwrap_or(Value::Null)
}

/// Returns the text of the id of a request; `None` when the message is another one.
pub(super) fn request_id(text: &[u8]) -> Option<String> {
    let heading: MessageHeading<'_> = serde_json::from_slice(text).ok()?;
    heading.method?;
    heading.id.map(|id| id.get().to_owned())
}

/// Returns the reply to an HTTP body that is no message.
pub(super) fn rejection_line(body: &[u8]) -> Vec<u8> {
    match parse_line(body) {
        LineAction::Reply(reply) => reply,
        LineAction::Ignore | LineAction::Message(_) => {
            error_line(&Value::Null, ErrorCode::INVALID_REQUEST, "no JSON-RPC message of MCP")
        }
    }
}

/// Returns the reply to an HTTP body that would open a session and cannot.
pub(super) fn wrong_introduction(body: &[u8]) -> Option<Vec<u8>> {
    let LineAction::Message(message) = parse_line(body) else { return None };
    let fault = param_shapes::wrong_introduction(&message)?;
    Some(error_line(&id_of(body), ErrorCode::INVALID_PARAMS, &fault))
}

/// Makes an error reply; the library's own leaves out an `id` that is not known.
pub(super) fn error_line(id: &Value, code: ErrorCode, message: &str) -> Vec<u8> {
    let error = ErrorData::new(code, message.to_owned(), None);
    let mut line = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string().into_bytes();
    line.push(b'\n');
    line
}
