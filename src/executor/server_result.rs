//! The result of a tool of another MCP server, read into what callers get.
//!
//! The text is a stranger's and may be large: its blocks are found in it without a tree, what is Base64 is
//! copied once, and what cannot be read is handed on as it came. What the protocol has beside it (`_meta`)
//! is the server's own business.

use std::borrow::Cow;

use dadl_text::{
    json::{cost, quote, scan},
    text::{cut_text, one_line, quoted_text},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    catalog::{ServerTool, content_annotations},
    outcome::{
        AnswerPayload, JsonText,
        content::{ContentPart, MediaKind, MediaPart, ServerContent, TextPart},
    },
};

/// What a tool says of its failure is cut behind so many characters.
const LONGEST_FAILURE: usize = 4000;

/// A result with more blocks is handed on as it came.
const MOST_BLOCKS: usize = 1000;

/// A block that is not known is read if its tree takes no more, in bytes.
const MOST_OF_BLOCK: u64 = 4 * 1024 * 1024;

/// Structured content whose tree takes more is not compared with its schema.
const MOST_CHECKED: u64 = 8 * 1024 * 1024;

/// Larger annotations are left out, in bytes.
const LARGEST_ANNOTATIONS: usize = 4096;

/// So much of a content type, or of what does not fit a schema, is said, in characters.
const LONGEST_WORDS: usize = 200;

/// What a result comes to.
#[derive(Debug, PartialEq)]
pub(super) enum ReadResult {
    /// The tool says that it failed, in these words.
    Failure(String),
    /// What the caller gets.
    Content(ServerContent),
}

/// A block as it is written.
#[derive(Deserialize)]
struct Block<'text> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'text, str>,
    /// It may be most of the result.
    #[serde(borrow, default)]
    text: Option<&'text RawValue>,
    #[serde(borrow, default)]
    data: Option<Cow<'text, str>>,
    #[serde(borrow, default, rename = "mimeType")]
    mime_type: Option<Cow<'text, str>>,
    #[serde(borrow, default)]
    resource: Option<Contents<'text>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'text, str>>,
    #[serde(borrow, default)]
    annotations: Option<&'text RawValue>,
}

/// The resource in a block.
#[derive(Deserialize)]
struct Contents<'text> {
    #[serde(borrow, default)]
    uri: Cow<'text, str>,
    #[serde(borrow, default, rename = "mimeType")]
    mime_type: Option<Cow<'text, str>>,
    #[serde(borrow, default)]
    text: Option<&'text RawValue>,
    #[serde(borrow, default)]
    blob: Option<Cow<'text, str>>,
}

/// Reads a result.
pub(super) fn read_result(text: &str) -> ReadResult {
    let member = |name: &str| scan::member_at(text, &[name]);
    let structured = member("structuredContent").filter(|it| *it != "null");
    let content = member("content").unwrap_or("[]");
    let blocks = read_blocks(content);
    if member("isError") == Some("true") {
        return ReadResult::Failure(failure(blocks.as_deref(), structured.unwrap_or(content)));
    }
    // What cannot be read is handed on as it came.
    let blocks = blocks.unwrap_or_else(|| vec![ContentPart::Other(owned(content))]);
    ReadResult::Content(ServerContent { blocks, structured: structured.map(owned) })
}

/// Makes a payload of content for programs: a text alone and a value alone are what they are for APIs as
/// well.
pub(super) fn payload_for_programs(mut content: ServerContent) -> AnswerPayload {
    let is_value = content.blocks.is_empty() || content.is_structured_as_text();
    if is_value && let Some(structured) = content.structured {
        return AnswerPayload::Json(structured);
    }
    let is_text = content.structured.is_none() && content.only_text().is_some();
    if is_text && let Some(ContentPart::Text(TextPart { text, .. })) = content.blocks.pop() {
        return match JsonText::of_words(&text) {
            Some(json) => AnswerPayload::Json(json),
            None => AnswerPayload::Text { content_type: "text/plain".to_owned(), text },
        };
    }
    AnswerPayload::Content(Box::new(content))
}

/// Says where structured content is not what its tool declares, if it is not.
pub(super) fn remark(tool: &ServerTool, content: &ServerContent) -> Option<String> {
    tool.output_schema.as_ref()?;
    // Words alone are for whoever reads them; hosts get them as a value that they can take.
    let structured = content.structured.as_ref()?;
    let value = cost::parse_tree(structured.as_str(), MOST_CHECKED)?;
    let why = tool.output_fault(&value)?;
    let why = cut_text(&one_line(&why), LONGEST_WORDS).into_owned();
    Some(format!("the structured content is not what the server declares: {why}"))
}

fn owned(text: &str) -> JsonText {
    JsonText::trusted(text.to_owned())
}

fn read_blocks(content: &str) -> Option<Vec<ContentPart>> {
    let blocks: Vec<&str> = scan::array_items(content)?.take(MOST_BLOCKS + 1).collect();
    (blocks.len() <= MOST_BLOCKS).then(|| blocks.into_iter().map(read_block).collect())
}

fn read_block(text: &str) -> ContentPart {
    let other = || ContentPart::Other(without_meta(text));
    let Ok(block) = serde_json::from_str::<Block<'_>>(text) else { return other() };
    let annotations = block.annotations.and_then(read_annotations);
    let media = |kind, mime_type: Option<Cow<'_, str>>, data: Cow<'_, str>| {
        let content_type = mime_type.map(Cow::into_owned).unwrap_or_default();
        let (data, annotations) = (data.into_owned(), annotations.clone());
        ContentPart::Media(MediaPart { kind, content_type, data, annotations })
    };
    let kind = block.kind.clone();
    match (&*kind, block) {
        ("text", Block { text: Some(text), .. }) => {
            let part = |text| ContentPart::Text(TextPart { text, annotations });
            scan::unquoted(text.get()).map_or_else(other, part)
        }
        ("image", Block { data: Some(data), mime_type, .. }) => {
            media(MediaKind::Image, mime_type, data)
        }
        ("audio", Block { data: Some(data), mime_type, .. }) => {
            media(MediaKind::Audio, mime_type, data)
        }
        ("resource_link", Block { uri: Some(_), .. }) => ContentPart::Link(without_meta(text)),
        ("resource", Block { resource: Some(contents), .. }) => match contents {
            Contents { uri, mime_type, text: None, blob: Some(blob) } => {
                media(MediaKind::Resource(uri.into_owned()), mime_type, blob)
            }
            Contents { uri, mime_type, text: Some(words), .. } => {
                let annotations = annotations.as_ref();
                let words = words.get();
                ContentPart::Resource(resource(&uri, mime_type.as_deref(), words, annotations))
            }
            _ => other(),
        },
        _ => other(),
    }
}

/// Reads what hosts may know of the annotations of a block.
fn read_annotations(text: &RawValue) -> Option<Value> {
    if text.get().len() > LARGEST_ANNOTATIONS {
        return None;
    }
    content_annotations(&serde_json::from_str(text.get()).ok()?)
}

/// Writes the block of a resource that is text.
fn resource(
    uri: &str,
    mime_type: Option<&str>,
    words: &str,
    annotations: Option<&Value>,
) -> JsonText {
    let quoted = quote::quote_text;
    let mime_type = mime_type.map(|it| format!("\"mimeType\":{},", quoted(it)));
    let annotations = annotations.map(|it| format!(",\"annotations\":{it}"));
    JsonText::trusted(format!(
        "{{\"type\":\"resource\",\"resource\":{{\"uri\":{},{}\"text\":{words}}}{}}}",
        quoted(uri),
        mime_type.unwrap_or_default(),
        annotations.unwrap_or_default()
    ))
}

/// Leaves out of a block what the protocol has beside it; a large one stays as it is.
fn without_meta(block: &str) -> JsonText {
    let has_meta = scan::member_at(block, &["_meta"]).is_some();
    match has_meta.then(|| cost::parse_tree(block, MOST_OF_BLOCK)).flatten() {
        Some(Value::Object(mut members)) => {
            members.shift_remove("_meta");
            JsonText::from(&Value::Object(members))
        }
        _ => owned(block),
    }
}

/// Says what a tool says of its failure.
fn failure(blocks: Option<&[ContentPart]>, rest: &str) -> String {
    let texts = blocks.unwrap_or_default().iter().filter_map(|block| match block {
        ContentPart::Text(part) => Some(part.text.clone()),
        ContentPart::Media(MediaPart { kind, content_type, .. }) => {
            let content_type = quoted_text(content_type, LONGEST_WORDS);
            Some(format!("({} of the type {content_type})", kind.block_type()))
        }
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    let words = if texts.is_empty() { rest.to_owned() } else { texts.join("\n") };
    cut_text(words.trim(), LONGEST_FAILURE).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(result: &Value) -> ServerContent {
        match read_result(&result.to_string()) {
            ReadResult::Content(content) => content,
            ReadResult::Failure(words) => panic!("{words}"),
        }
    }

    fn paid(result: Value) -> Value {
        match payload_for_programs(read(&result)) {
            AnswerPayload::Json(json) => json!({ "json": json.value().unwrap() }),
            AnswerPayload::Text { text, .. } => json!({ "text": text }),
            AnswerPayload::Content(content) => content.into_json().value().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn block(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    #[test]
    fn one_text_and_one_value_are_what_they_are_for_apis() {
        assert_eq!(paid(json!({ "content": [block("hello")] })), json!({ "text": "hello" }));
        assert_eq!(paid(json!({ "content": [block("5")] })), json!({ "text": "5" }));
        let value = json!({ "json": { "a": 1 } });
        assert_eq!(paid(json!({ "content": [block("{\"a\":1}")] })), value);
        assert_eq!(paid(json!({ "content": [block("{a: 1}")] })), json!({ "text": "{a: 1}" }));
        let structured =
            |text: &str| paid(json!({ "content": [block(text)], "structuredContent": { "a": 1 } }));
        assert_eq!(structured("{\n \"a\": 1 }"), value);
        assert_eq!(paid(json!({ "structuredContent": { "a": 1 } })), value);
        // Programs get the value, whatever is said beside it.
        assert_eq!(structured("it is one"), json!({ "a": 1 }));
        for nothing in [json!({}), json!({ "content": [] })] {
            assert_eq!(paid(nothing), Value::Null);
        }
    }

    #[test]
    fn blocks_stay_what_they_are_without_what_is_beside_them() {
        let meta = json!({ "x": 1 });
        let result = json!({ "_meta": meta, "content": [
            { "type": "text", "text": "a", "_meta": meta, "annotations": { "priority": 0.5, "x": 1 } },
            { "type": "image", "data": "AA==", "mimeType": "image/png", "_meta": meta },
            { "type": "audio", "data": "AA==", "mimeType": "audio/wav" },
            { "type": "resource_link", "uri": "note://a", "name": "a", "_meta": meta },
            { "type": "resource", "resource": { "uri": "note://b", "text": "b", "_meta": meta } },
            { "type": "resource", "resource": { "uri": "note://c", "mimeType": "x/y", "blob": "AA==" } },
            { "type": "new", "what": [1], "_meta": meta },
            { "type": "image", "data": 1 },
            5,
        ] });
        let content = [
            json!({ "type": "text", "text": "a", "annotations": { "priority": 0.5 } }),
            json!({ "type": "image", "data": "AA==", "mimeType": "image/png" }),
            json!({ "type": "audio", "data": "AA==", "mimeType": "audio/wav" }),
            json!({ "type": "resource_link", "uri": "note://a", "name": "a" }),
            json!({ "type": "resource", "resource": { "uri": "note://b", "text": "b" } }),
            json!({ "type": "resource",
                    "resource": { "uri": "note://c", "mimeType": "x/y", "blob": "AA==" } }),
            json!({ "type": "new", "what": [1] }),
            json!({ "type": "image", "data": 1 }),
            json!(5),
        ];
        assert_eq!(paid(result), json!({ "content": content }));
        assert_eq!(paid(json!({ "content": "none" })), json!({ "content": ["none"] }));
        let many: Vec<Value> = (0..=MOST_BLOCKS).map(|_| block("a")).collect();
        let content = read(&json!({ "content": many }));
        assert!(matches!(content.blocks.as_slice(), [ContentPart::Other(_)]));
    }

    #[test]
    fn a_failure_is_what_the_tool_says() {
        let failure = |result: Value| match read_result(&result.to_string()) {
            ReadResult::Failure(words) => words,
            ReadResult::Content(content) => panic!("{content:?}"),
        };
        let content = json!([block("no such file"), block("try another")]);
        let words = failure(json!({ "content": content, "isError": true }));
        assert_eq!(words, "no such file\ntry another");
        let picture = json!([{ "type": "image", "data": "AA==", "mimeType": "image/png" }]);
        let words = failure(json!({ "content": picture, "isError": true }));
        assert!(words.starts_with("(image of the type"), "{words}");
        // What cannot be read is no success.
        let words = failure(json!({ "isError": true, "content": [{ "text": 1 }] }));
        assert_eq!(words, "[{\"text\":1}]");
        let words = failure(json!({ "content": [block(&"x".repeat(10_000))], "isError": true }));
        assert!(words.chars().count() <= LONGEST_FAILURE + 1);
        assert_eq!(
            paid(json!({ "content": [block("a")], "isError": false })),
            json!({ "text": "a" })
        );
    }
}
