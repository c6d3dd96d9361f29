//! The structured copy of a value as JSON text, from where a result is made to where its message is written.
//!
//! Most values go out twice, in a text and as structured content. The protocol library holds the latter as a
//! tree, which takes longer to build, to write and to drop than everything else that is done with a small
//! answer. Where this program writes the message, the text of the value is written twice instead.
//!
//! **Invariant:** structured content is an object. A string in its place is the JSON text of one, which is in
//! results of requests that are marked with [`TakesCopies`] alone: whoever marks a request writes the messages
//! that answer it with [`message_bytes`], hands them on as [`with_trees`] makes them, or has what the library wrote
//! go through [`with_object`].

use std::sync::Arc;

use dadl_text::json::{scan, writer};
use http::request::Parts;
use rmcp::{
    RoleServer,
    model::{CallToolResult, JsonRpcMessage, ServerJsonRpcMessage, ServerResult},
    service::RequestContext,
};
use serde_json::Value;

/// The name of the field.
const FIELD: &str = "structuredContent";

/// Marks a request whose answer is written here.
#[derive(Debug, Clone, Copy)]
pub(super) struct TakesCopies;

/// How the structured copy of a value is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyForm {
    Tree,
    /// Where the text is a copy as it is.
    Text,
}

impl CopyForm {
    /// Returns what the writer of the answer to a request takes.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        let extensions = &context.extensions;
        let is_marked = extensions.get::<TakesCopies>().is_some()
            || extensions
                .get::<Parts>()
                .is_some_and(|it| it.extensions.get::<TakesCopies>().is_some());
        if is_marked { Self::Text } else { Self::Tree }
    }
}

/// A structured copy: an object.
#[derive(Debug)]
pub(super) enum StructuredCopy {
    Tree(Value),
    /// Its JSON text, compact.
    Text(String),
}

impl StructuredCopy {
    /// Puts it into a result.
    pub(super) fn put(self, result: &mut CallToolResult) {
        result.structured_content = Some(match self {
            Self::Tree(tree) => tree,
            Self::Text(json) => Value::String(json),
        });
    }
}

/// Writes a message as JSON.
///
/// # Errors
///
/// Those of [`writer::json_bytes`].
pub(super) fn message_bytes(message: &ServerJsonRpcMessage) -> serde_json::Result<Vec<u8>> {
    writer::json_bytes_with(message, FIELD)
}

/// Returns a message that is written elsewhere.
pub(super) fn with_trees(mut message: Arc<ServerJsonRpcMessage>) -> Arc<ServerJsonRpcMessage> {
    if copy_in(&message).is_none() {
        return message;
    }
    let made = Arc::make_mut(&mut message);
    if let JsonRpcMessage::Response(response) = made
        && let ServerResult::CallToolResult(result) = &mut response.result
        && let Some(Value::String(json)) = &result.structured_content
    {
        // The text has all of it where no tree can be made.
        result.structured_content = serde_json::from_str(json).ok();
    }
    message
}

/// Returns a message that the library has written, with the object of which it has the text.
pub(super) fn with_object(mut message: Vec<u8>) -> Vec<u8> {
    // Within a text it would have a backslash.
    if memchr::memmem::find(&message, b"\"structuredContent\":\"{").is_none() {
        return message;
    }
    let object = || {
        let text = std::str::from_utf8(&message).ok()?.trim_ascii_start();
        let quoted = scan::member_at(text, &["result", FIELD])?;
        let start = quoted.as_ptr().addr().checked_sub(message.as_ptr().addr())?;
        Some((start..start + quoted.len(), scan::unquoted(quoted)?))
    };
    if let Some((place, object)) = object() {
        message.splice(place, object.into_bytes());
    }
    message
}

/// Returns the copy that a message has as text.
fn copy_in(message: &ServerJsonRpcMessage) -> Option<&str> {
    let JsonRpcMessage::Response(response) = message else { return None };
    let ServerResult::CallToolResult(result) = &response.result else { return None };
    result.structured_content.as_ref()?.as_str()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ContentBlock, RequestId};
    use serde_json::json;

    use super::*;

    fn message(copy: StructuredCopy) -> Arc<ServerJsonRpcMessage> {
        let mut result = CallToolResult::success(vec![ContentBlock::text("{\"a\":\"\\n\"}")]);
        copy.put(&mut result);
        let result = ServerResult::CallToolResult(result);
        Arc::new(ServerJsonRpcMessage::response(result, RequestId::Number(1)))
    }

    #[test]
    fn what_is_no_copy_stays() {
        for text in [
            r#"{"result":{"structuredContent":{"structuredContent":"{\"a\":1}"}}}"#,
            r#"{"result":{"_meta":{"structuredContent":"{}"},"content":[]}}"#,
            r#"{"params":{"structuredContent":"{}"}}"#,
            r#"{"result":[{"structuredContent":"{}"}]}"#,
            r#"["structuredContent":"{}"}"#,
            r#"{"result":{"structuredContent":"{"#,
        ] {
            assert_eq!(with_object(text.into()), text.as_bytes());
        }
        assert_eq!(with_object(b"\"structuredContent\":\"{\xff".to_vec()).last(), Some(&0xFF));
    }

    #[test]
    fn a_copy_is_the_same_in_either_form() {
        let json = r#"{"a":"\n","b":[{"structuredContent":"x"}]}"#;
        let tree = message(StructuredCopy::Tree(serde_json::from_str(json).unwrap()));
        let text = message(StructuredCopy::Text(json.to_owned()));
        let expected = serde_json::to_string(&*tree).unwrap();
        for message in [&tree, &text] {
            let written = String::from_utf8(message_bytes(message).unwrap()).unwrap();
            assert_eq!(written, expected);
            let elsewhere = with_trees(Arc::clone(message));
            assert_eq!(serde_json::to_string(&*elsewhere).unwrap(), expected);
            for (before, behind) in [("", ""), (" ", "\n")] {
                let library = serde_json::to_string(&**message).unwrap();
                let written = with_object(format!("{before}{library}{behind}").into_bytes());
                assert_eq!(
                    String::from_utf8(written).unwrap(),
                    format!("{before}{expected}{behind}")
                );
            }
        }
        let empty = ServerJsonRpcMessage::response(ServerResult::empty(()), RequestId::Number(1));
        assert_eq!(message_bytes(&empty).unwrap(), json!(empty).to_string().into_bytes());
        assert_eq!(json!(*with_trees(Arc::new(empty.clone()))), json!(empty));
    }
}
