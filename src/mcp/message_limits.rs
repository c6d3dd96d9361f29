//! What a message of a client may be, found out before it is built.
//!
//! A message becomes a tree that takes many times the bytes of its text, and some parts of it are
//! kept or come back in answers. So the text is looked at first: how many values it has, and how
//! long the parts are that are no arguments of a call. What a session keeps of its client's
//! introduction is cut to what is used.

use dadl_text::{json::cost, text::text_head};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, Implementation, InitializeRequestParams,
    JsonRpcMessage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest message, in bytes.
pub(super) const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The largest `initialize`.
const MOST_INITIALIZE: usize = 64 * 1024;
/// The values of it take at most so many bytes of memory.
const MOST_INTRODUCED: u64 = 256 * 1024;
/// How much a message may have besides the arguments of a call.
const MOST_BESIDES: usize = 256 * 1024;
/// The largest id, method, progress token, cursor, name or URI.
const MOST_NAME: usize = 4 * 1024;
/// The values of a message take at most so many bytes of memory.
const MOST_TREE_BYTES: u64 = 64 * 1024 * 1024;
/// A session keeps so many characters of each thing that its client says about itself.
const MOST_KEPT: usize = 100;

/// Why a message is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMuch {
    /// A part of it is too long.
    #[error("{part} has {size} bytes, and may have {most}")]
    Part { part: &'static str, size: usize, most: usize },
    /// Its values take too much.
    #[error("the message has too many values or levels")]
    Values,
    /// Its parts cannot be told.
    #[error("the message is large, and its parts cannot be told: {0}")]
    Unclear(String),
}

impl TooMuch {
    /// Returns the code of JSON-RPC for it: what is not built cannot be read.
    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Values => ErrorCode::PARSE_ERROR,
            Self::Part { .. } | Self::Unclear(_) => ErrorCode::INVALID_REQUEST,
        }
    }
}

/// The parts of a message that are looked at.
#[derive(Debug, Default, Deserialize)]
struct MessageParts<'text> {
    #[serde(borrow)]
    id: Option<&'text RawValue>,
    #[serde(borrow)]
    method: Option<&'text RawValue>,
    #[serde(borrow)]
    params: Option<&'text RawValue>,
}

/// The parts of its parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageParams<'text> {
    #[serde(borrow)]
    arguments: Option<&'text RawValue>,
    #[serde(borrow)]
    name: Option<&'text RawValue>,
    #[serde(borrow)]
    uri: Option<&'text RawValue>,
    #[serde(borrow)]
    cursor: Option<&'text RawValue>,
    #[serde(borrow)]
    task_id: Option<&'text RawValue>,
    #[serde(borrow)]
    request_id: Option<&'text RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'text RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageMeta<'text> {
    #[serde(borrow)]
    progress_token: Option<&'text RawValue>,
}

/// Returns how many bytes a message takes in memory, at most.
///
/// # Errors
///
/// [`TooMuch`] when it must not be built.
pub(super) fn weigh(text: &[u8]) -> Result<u64, TooMuch> {
    let tree = cost::of_bytes(text);
    if tree > MOST_TREE_BYTES {
        return Err(TooMuch::Values);
    }
    // Of a small one no part is large.
    if text.len() > MOST_NAME {
        check_message(text, tree)?;
    }
    Ok(text.len() as u64 + tree)
}

fn check_message(text: &[u8], tree: u64) -> Result<(), TooMuch> {
    // What is no message is refused by whoever builds it; it keeps nothing.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return bound("a batch, or what has not the shape of a message,", text.len(), MOST_BESIDES);
    }
    let unclear = |error: serde_json::Error| TooMuch::Unclear(error.to_string());
    let MessageParts { id, method, params } = serde_json::from_slice(text).map_err(unclear)?;
    let length = |part: Option<&RawValue>| part.map_or(0, |part| part.get().len());
    bound("`id`", length(id), MOST_NAME)?;
    bound("`method`", length(method), MOST_NAME)?;
    if method.is_some_and(|method| method.get() == "\"initialize\"") {
        bound("`initialize`", text.len(), MOST_INITIALIZE)?;
        if tree > MOST_INTRODUCED {
            return Err(TooMuch::Values);
        }
    }
    let is_object = |part: &&RawValue| part.get().starts_with('{');
    let params: MessageParams<'_> = match params.filter(is_object) {
        Some(params) => serde_json::from_str(params.get()).map_err(unclear)?,
        None => MessageParams::default(),
    };
    for (part, value) in [
        ("`name`", params.name),
        ("`uri`", params.uri),
        ("`cursor`", params.cursor),
        ("`taskId`", params.task_id),
        ("`requestId`", params.request_id),
    ] {
        bound(part, length(value), MOST_NAME)?;
    }
    if let Some(meta) = params.meta.filter(is_object) {
        let MessageMeta { progress_token } = serde_json::from_str(meta.get()).map_err(unclear)?;
        bound("`progressToken`", length(progress_token), MOST_NAME)?;
    }
    let besides = text.len() - length(params.arguments);
    bound("what the message has besides `arguments`", besides, MOST_BESIDES)
}

fn bound(part: &'static str, size: usize, most: usize) -> Result<(), TooMuch> {
    if size > most { Err(TooMuch::Part { part, size, most }) } else { Ok(()) }
}

/// Cuts what a client says about itself to what is used of it.
pub(super) fn cut_introduction(message: &mut ClientJsonRpcMessage) {
    let JsonRpcMessage::Request(request) = message else { return };
    let ClientRequest::InitializeRequest(initialize) = &mut request.request else { return };
    cut_params(&mut initialize.params);
}

fn cut_params(params: &mut InitializeRequestParams) {
    params.meta = None;
    let capabilities = &mut params.capabilities;
    let has_tasks = capabilities.supports_tasks();
    capabilities.experimental = None;
    capabilities.roots = None;
    if let Some(sampling) = &mut capabilities.sampling {
        sampling.context = None;
        sampling.tools = sampling.tools.take().map(|_| Default::default());
    }
    if has_tasks && let Some(extensions) = &mut capabilities.extensions {
        let tasks = rmcp::model::TASKS_EXTENSION_ID;
        extensions.retain(|name, _| name == tasks);
        extensions.values_mut().for_each(|settings| *settings = Default::default());
    } else {
        capabilities.extensions = None;
    }
    let Implementation { name, version, .. } = &params.client_info;
    let kept = |text: &str| text_head(text, MOST_KEPT).to_owned();
    params.client_info = Implementation::new(kept(name), kept(version));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn weight(value: &Value) -> Result<u64, TooMuch> {
        weigh(value.to_string().as_bytes())
    }

    fn call(arguments: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": { "name": "x", "arguments": arguments } })
    }

    #[test]
    fn arguments_may_be_long_and_nothing_else() {
        let long = "x".repeat(MOST_BESIDES);
        assert!(weight(&call(&json!({ "text": long }))).is_ok());
        let mut refused = Vec::new();
        for pointer in ["/id", "/method", "/params/name", "/params/_meta", "/other"] {
            let mut message = call(&json!({}));
            message["other"] = Value::Null;
            message["params"]["_meta"] = Value::Null;
            *message.pointer_mut(pointer).unwrap() = json!(long);
            refused.push(weight(&message).unwrap_err().to_string());
        }
        for member in ["cursor", "uri", "taskId", "requestId"] {
            let message = json!({ "id": 1, "method": "x", "params": { member: long } });
            refused.push(weight(&message).unwrap_err().to_string());
        }
        let message =
            json!({ "id": 1, "method": "x", "params": { "_meta": { "progressToken": long } } });
        refused.push(weight(&message).unwrap_err().to_string());
        assert_eq!(refused[0], "`id` has 262146 bytes, and may have 4096");
        let response = json!({ "id": 1, "result": { "action": long } });
        assert!(weight(&response).is_err());
        // Twice the same name would leave open which of them counts.
        let twice = format!(r#"{{"id":1,"id":"{}","method":"ping"}}"#, "x".repeat(MOST_NAME));
        assert!(weigh(twice.as_bytes()).is_err());
    }

    #[test]
    fn an_introduction_is_short_and_less_of_it_is_kept() {
        let initialize = |size: usize| {
            json!({
                "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                    "protocolVersion": "2025-11-25",
                    "_meta": { "a": "b" },
                    "capabilities": {
                        "elicitation": {}, "roots": {}, "sampling": {},
                        "experimental": { "x": { "y": vec![0; size] } },
                        "extensions": { rmcp::model::TASKS_EXTENSION_ID: { "z": vec![0; size] }, "o": {} },
                    },
                    "clientInfo": { "name": "n".repeat(size), "version": "1", "title": "t".repeat(size) },
                },
            })
        };
        assert!(weight(&initialize(40_000)).is_err());
        assert_eq!(weight(&initialize(9_000)), Err(TooMuch::Values));
        let text = initialize(400).to_string();
        assert!(weigh(text.as_bytes()).is_ok());
        let mut message: ClientJsonRpcMessage = serde_json::from_str(&text).unwrap();
        cut_introduction(&mut message);
        let kept = serde_json::to_value(&message).unwrap();
        let params = &kept["params"];
        assert!(params.to_string().len() < 600, "{params}");
        assert_eq!(params["clientInfo"]["name"], "n".repeat(MOST_KEPT));
        assert!(params["capabilities"]["elicitation"].is_object());
        assert!(params["capabilities"]["extensions"][rmcp::model::TASKS_EXTENSION_ID].is_object());
    }

    #[test]
    fn values_are_counted_before_they_are_built() {
        let many = format!("[{}0]", "0,".repeat(2_000_000));
        let text = format!(r#"{{"id":1,"method":"tools/call","params":{{"arguments":{many}}}}}"#);
        assert_eq!(weigh(text.as_bytes()), Err(TooMuch::Values));
        assert!(weight(&call(&json!({ "text": "x".repeat(4_000_000) }))).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_makes_it_fail(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = weigh(&text);
            let _ = check_message(&text, 1);
        }
    }
}
