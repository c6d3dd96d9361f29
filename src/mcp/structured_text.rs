//! The structured copy of a value as JSON text, from where a result is made to where its message is written.
//!
//! Most values go out twice, in a text and as structured content. The protocol library holds the latter as a
//! tree, which takes longer to build, to write and to drop than everything else that is done with a small
//! answer. Where this program writes the message, the text of the value is written twice instead.
//!
//! **Invariant:** structured content is an object. A string in its place is the JSON text of one, which is in
//! results of requests that are marked with [`TakesCopies`] alone: whoever marks a request writes the messages
//! that answer it with [`message_bytes`], or hands them on as [`with_trees`] makes them. Where the library writes
//! the message, the copy waits in a [`CopySlot`], and takes its place when the message is sent on.

use std::sync::{Arc, LazyLock, OnceLock};

use dadl_text::json::writer;
use http::request::Parts;
use rmcp::{
    RoleServer,
    model::{CallToolResult, JsonRpcMessage, ServerJsonRpcMessage, ServerResult},
    service::RequestContext,
};
use serde_json::Value;
use uuid::Uuid;

/// The name of the field.
const FIELD: &str = "structuredContent";

/// Marks a request whose answer is written here.
#[derive(Debug, Clone, Copy)]
pub(super) struct TakesCopies;

/// What the library writes in place of a copy: nobody who fills a message with something knows it.
static MARK: LazyLock<String> = LazyLock::new(|| Uuid::new_v4().simple().to_string());

/// The place for the copy that answers one request, beside a message that the library writes; a clone is the same
/// place.
#[derive(Debug, Clone, Default)]
pub(super) struct CopySlot(Arc<OnceLock<String>>);

impl CopySlot {
    fn of(context: &RequestContext<RoleServer>) -> Option<&Self> {
        context.extensions.get::<Parts>()?.extensions.get()
    }

    /// Takes the copy out of the result that answers a request, if the request has a place for it.
    pub(super) fn keep(
        mut result: CallToolResult,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        if let Some(Self(slot)) = Self::of(context)
            && let Some(Value::String(json)) = &mut result.structured_content
        {
            let mark = MARK.as_str().into();
            if let Err(json) = slot.set(std::mem::replace(json, mark)) {
                // One that comes twice is none of these.
                result.structured_content = serde_json::from_str(&json).ok();
            }
        }
        result
    }

    /// A place that has a copy, and what the library writes for it.
    #[cfg(test)]
    pub(super) fn with(json: &str) -> (Self, &'static str) {
        (Self(Arc::new(OnceLock::from(json.to_owned()))), &MARK)
    }

    /// Returns a message that the library wrote, with the copy in its place.
    pub(super) fn fill(&self, message: Vec<u8>) -> Vec<u8> {
        let Some(json) = self.0.get() else { return message };
        let mark = format!("\"{FIELD}\":\"{}\"", *MARK);
        let place = memchr::memmem::find(&message, mark.as_bytes());
        let Some((before, rest)) = place.and_then(|at| message.split_at_checked(at)) else {
            return message;
        };
        let value = FIELD.len() + "\"\":".len();
        let (name, behind) = (mark.get(..value), rest.get(mark.len()..));
        [before, name.unwrap_or_default().as_bytes(), json.as_bytes(), behind.unwrap_or_default()]
            .concat()
    }
}

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
        let is_marked =
            context.extensions.get::<TakesCopies>().is_some() || CopySlot::of(context).is_some();
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
    fn a_copy_takes_its_place_in_what_the_library_wrote() {
        let slot = CopySlot::default();
        let of_library = |slot: &CopySlot, copy: &str| {
            let message = message(StructuredCopy::Text(copy.to_owned()));
            let library = serde_json::to_vec(&*message).unwrap();
            String::from_utf8(slot.fill([b" ", library.as_slice(), b"\n"].concat())).unwrap()
        };
        // What nobody has kept stays, whatever is written there.
        assert!(of_library(&slot, MARK.as_str()).contains(MARK.as_str()));
        let json = r#"{"a":"\n","b":[{"structuredContent":"x"}]}"#;
        let (slot, _) = CopySlot::with(json);
        let tree = message(StructuredCopy::Tree(serde_json::from_str(json).unwrap()));
        let expected = format!(" {}\n", serde_json::to_string(&*tree).unwrap());
        assert_eq!(of_library(&slot, MARK.as_str()), expected);
        assert_eq!(
            slot.fill(b"{\"structuredContent\":\"{}\"}".to_vec()),
            b"{\"structuredContent\":\"{}\"}"
        );
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
        }
        let empty = ServerJsonRpcMessage::response(ServerResult::empty(()), RequestId::Number(1));
        assert_eq!(message_bytes(&empty).unwrap(), json!(empty).to_string().into_bytes());
        assert_eq!(json!(*with_trees(Arc::new(empty.clone()))), json!(empty));
    }
}
