//! The text of what is sent to a client.
//!
//! The protocol library writes a message piece by piece, and a text between two escapes is a piece. Most of what is
//! sent are results of calls with texts and a value: one is written here, in one block; any other message as the
//! library does.

use dadl_text::{
    growth,
    json::{
        scan::quoted_length,
        tree::{write_text, write_tree},
    },
};
use rmcp::{
    RoleServer,
    model::{
        CallToolResult, ContentBlock, JsonRpcMessage, JsonRpcResponse, MetaObject, NumberOrString,
        ServerResult,
    },
    service::TxJsonRpcMessage,
};

/// What a result has besides its texts, about.
const BESIDES: usize = 256;

/// Writes a message.
///
/// # Errors
///
/// Those of the library.
pub(super) fn message_bytes(message: &TxJsonRpcMessage<RoleServer>) -> serde_json::Result<Vec<u8>> {
    if let JsonRpcMessage::Response(JsonRpcResponse { id, result, .. }) = message
        && let ServerResult::CallToolResult(result) = result
        && let Some(texts) = plain_texts(&result.content)
    {
        return result_bytes(id, result, &texts);
    }
    growth::json_bytes(message)
}

/// Returns the texts of a content that is nothing else.
fn plain_texts(content: &[ContentBlock]) -> Option<Vec<&str>> {
    let plain = |block| match block {
        &ContentBlock::Text(ref text) if text.meta.is_none() && text.annotations.is_none() => {
            Some(&*text.text)
        }
        _ => None,
    };
    content.iter().map(plain).collect()
}

fn result_bytes(
    id: &NumberOrString,
    result: &CallToolResult,
    texts: &[&str],
) -> serde_json::Result<Vec<u8>> {
    let CallToolResult { result_type, structured_content, is_error, meta, .. } = result;
    let length: usize =
        texts.iter().map(|text| quoted_length(text) + "{\"type\":\"text\"},".len()).sum();
    // The value says what the text does, with fewer escapes.
    let room = if structured_content.is_some() { 2 * length } else { length };
    let mut json = growth::byte_buffer(room + BESIDES);
    json.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    serde_json::to_writer(&mut json, id)?;
    json.extend_from_slice(br#","result":{"#);
    if let Some(result_type) = result_type {
        json.extend_from_slice(br#""resultType":"#);
        serde_json::to_writer(&mut json, result_type)?;
        json.push(b',');
    }
    json.extend_from_slice(br#""content":["#);
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        json.extend_from_slice(br#"{"type":"text","text":"#);
        write_text(text, &mut json);
        json.push(b'}');
    }
    json.push(b']');
    if let Some(value) = structured_content {
        json.extend_from_slice(br#","structuredContent":"#);
        write_tree(value, &mut json);
    }
    if let Some(is_error) = is_error {
        json.extend_from_slice(br#","isError":"#);
        serde_json::to_writer(&mut json, is_error)?;
    }
    if let Some(MetaObject(meta)) = meta {
        json.extend_from_slice(br#","_meta":"#);
        serde_json::to_writer(&mut json, meta)?;
    }
    json.extend_from_slice(b"}}");
    Ok(json)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn check(result: CallToolResult) {
        for id in [NumberOrString::Number(-3), NumberOrString::String("a\"\u{1}".into())] {
            let message: TxJsonRpcMessage<RoleServer> =
                JsonRpcMessage::response(ServerResult::CallToolResult(result.clone()), id);
            let written = String::from_utf8(message_bytes(&message).unwrap()).unwrap();
            assert_eq!(written, serde_json::to_string(&message).unwrap());
        }
    }

    #[test]
    fn a_result_is_written_as_the_library_does() {
        let text = |text: &str| ContentBlock::text(text);
        check(CallToolResult::success(Vec::new()));
        check(CallToolResult::error(vec![text("no \"\\\n\u{7}\u{7f}é")]));
        let mut result = CallToolResult::success(vec![text("{\"a\":1}"), text("")]);
        result.structured_content = Some(json!({ "a": [1, -2.5, null, true, "x\ty", {}] }));
        check(result.clone());
        result.result_type = None;
        result.is_error = None;
        result.meta = Some(MetaObject(Map::from_iter([("k".to_owned(), json!({ "v": "\"" }))])));
        check(result.clone());
        result.structured_content = Some(Value::Null);
        // What is more than texts is the library's.
        result.content.push(ContentBlock::image("AA==", "image/png"));
        check(result);
    }
}
