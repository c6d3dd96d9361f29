//! An outcome becomes the result of a tool call.
//!
//! The value goes out twice, as the protocol asks: as `structuredContent` for programs and as
//! compact JSON text for models. Clients before 2026-07-28 accept an object only, so every other
//! value is wrapped as `{"result": ..}`; the text is the bare value in either case.
//!
//! A value goes to a model as it is, with one exception: characters whose only use is to hide text
//! in text become U+FFFD, and the result says how many there were. In the JSON text others that
//! nobody sees are written as escapes, which mean the same.

use std::borrow::Cow;

use rmcp::model::{CallToolResult, ContentBlock, ProtocolVersion};
use serde_json::{Map, Value, json};

use crate::{
    catalog::Output,
    outcome::{JsonText, Outcome, Payload, SavedFile},
    text,
};

/// An answer beyond this comes as text alone.
const MOST_STRUCTURED_BYTES: usize = 256 * 1024;

/// The same where a client insists on structured content, because an output schema is listed.
const MOST_DECLARED_BYTES: usize = 4 * 1024 * 1024;

/// The tree of a structured copy takes at most so many bytes: that of a list of small objects takes
/// 25 times what its text does, and that of an answer in bad faith a hundred times.
pub(super) const MOST_TREE_BYTES: u64 = 8 * 1024 * 1024;

/// The same where a client insists on structured content.
const MOST_DECLARED_TREE_BYTES: u64 = 64 * 1024 * 1024;

/// Makes the result of a call that the backend accepted; `output` is what the tool's listing says
/// about its results, and the structured copy conforms to it. `has_room` takes so many bytes of memory.
pub(super) fn success(
    outcome: Outcome,
    output: Option<&Output>,
    has_room: &dyn Fn(u64) -> bool,
) -> CallToolResult {
    // What the answer takes is counted until the result is made.
    let Outcome { status, payload, notes, next, held: _held } = outcome;
    let mut remarks: Vec<String> = remarks(&notes, next.as_ref()).into_iter().collect();
    let (text, structured) = match payload {
        Payload::Empty => (format!("done (HTTP {status})"), Some(json!({ "status": status }))),
        Payload::File(file) => {
            let (text, structured) = saved(&file);
            (text, Some(structured))
        }
        Payload::Json(text) => {
            let (most, most_tree) = match output {
                Some(_) => (MOST_DECLARED_BYTES, MOST_DECLARED_TREE_BYTES),
                None => (MOST_STRUCTURED_BYTES, MOST_TREE_BYTES),
            };
            let fits = text.as_str().len() <= most;
            let value = fits.then(|| tree(&text, most_tree, has_room)).flatten();
            let structured = value.map(|value| masked_value(structured(value, next)));
            let shown = json(text.into_string());
            remarks.extend(shown.remark);
            (shown.text, structured)
        }
        Payload::Task(report) => {
            let value = masked_value(report.to_value());
            (json(value.to_string()).text, Some(value))
        }
        Payload::Text { text, .. } => {
            let shown = masked(text);
            remarks.extend(shown.remark);
            (shown.text, None)
        }
    };
    let structured = match output {
        None => structured,
        // Without a copy of its own, the text is all there is.
        Some(output) => {
            let value = structured.unwrap_or_else(|| json!({ "text": in_short(&text) }));
            Some(output.conforming(value))
        }
    };
    let mut content = vec![ContentBlock::text(text)];
    content.extend(remarks.into_iter().map(ContentBlock::text));
    let mut result = CallToolResult::success(content);
    result.structured_content = structured;
    result
}

/// Links a saved file as the resource that [`super::resources`] reads. Clients before 2025-06-18 know
/// no such content.
pub(super) fn link(file: &SavedFile, version: Option<&ProtocolVersion>) -> Option<ContentBlock> {
    let knows_links = version.is_none_or(|version| *version >= ProtocolVersion::V_2025_06_18);
    knows_links.then(|| super::resources::of_saved(file)).flatten().map(ContentBlock::resource_link)
}

/// Says where a file is: its URL where clients have no use for its path.
fn saved(file: &SavedFile) -> (String, Value) {
    let SavedFile { path, url, size, content_type, expires, .. } = file;
    let path = path.to_string_lossy();
    let place = url.as_deref().unwrap_or(&path);
    let mut text = format!("saved to {place} ({size} bytes, {content_type})");
    if let Some(expires) = expires {
        text.push_str(&format!(", kept until {expires}"));
    }
    (text, file.to_value())
}

/// Makes the result of a call that failed, with a text that a model can act on.
pub(super) fn failure(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text::shown(&text))])
}

/// A text for a model, and what is to be said about it.
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) remark: Option<String>,
}

/// Writes a JSON value for a model.
pub(super) fn json(value: String) -> Shown {
    let shown = masked(value);
    let escaped = match text::json(&shown.text) {
        Cow::Owned(escaped) => Some(escaped),
        Cow::Borrowed(_) => None,
    };
    match escaped {
        Some(text) => Shown { text, ..shown },
        None => shown,
    }
}

/// Masks what hides text in a text.
pub(super) fn masked(text: String) -> Shown {
    let Cow::Owned(masked) = text::unsmuggled(&text) else {
        return Shown { text, remark: None };
    };
    let count = |text: &str| text.matches(char::REPLACEMENT_CHARACTER).count();
    let remark = match count(&masked) - count(&text) {
        0 => None,
        1 => Some("1 character that nobody sees and that can hide text was replaced".to_owned()),
        many => {
            Some(format!("{many} characters that nobody sees and that can hide text were replaced"))
        }
    };
    Shown { text: masked, remark }
}

/// Masks what hides text in the texts of a value.
pub(super) fn masked_value(value: Value) -> Value {
    match value {
        Value::String(text) => masked(text).text.into(),
        Value::Array(items) => items.into_iter().map(masked_value).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (masked(name).text, masked_value(value)))
            .collect(),
        other => other,
    }
}

/// Joins what the caller should know besides the value.
fn remarks(notes: &[String], next: Option<&Map<String, Value>>) -> Option<String> {
    let mut lines = notes.to_vec();
    if let Some(next) = next {
        let arguments = serde_json::to_string(next).unwrap_or_default();
        lines.push(format!("next page: call again with {arguments}"));
    }
    (!lines.is_empty()).then(|| text::shown(&lines.join("\n")).into_owned())
}

/// Returns a text, or where it is when it is too long to be held twice.
fn in_short(text: &str) -> String {
    match text.len() {
        0..=MOST_STRUCTURED_BYTES => text.to_owned(),
        size => format!("the answer has {size} bytes; it is in the content of this result"),
    }
}

/// Builds the tree of a value, unless it takes too much memory or is nested beyond any tree.
pub(super) fn tree(text: &JsonText, most: u64, has_room: &dyn Fn(u64) -> bool) -> Option<Value> {
    let cost = text.tree_cost();
    if cost > most || !has_room(cost) {
        return None;
    }
    text.value().ok()
}

/// Makes the structured copy: an object stays as it is and has no room for `next`.
fn structured(value: Value, next: Option<Map<String, Value>>) -> Value {
    if value.is_object() {
        return value;
    }
    let mut object = Map::new();
    object.insert("result".to_owned(), value);
    if let Some(next) = next {
        object.insert("next".to_owned(), Value::Object(next));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::outcome::Held;

    fn check(payload: Payload, next: Option<Value>, text: &str, structured: Option<Value>) {
        let next = next.map(|next| next.as_object().unwrap().clone());
        let outcome =
            Outcome { status: 204, payload, notes: Vec::new(), next, held: Held::default() };
        let result = success(outcome, None, &|_| true);
        assert_eq!(result.content[0].as_text().unwrap().text, text);
        assert_eq!(result.structured_content, structured);
        assert_eq!(result.is_error, Some(false));
    }

    #[test]
    fn objects_stay_and_other_values_are_wrapped() {
        let object = json!({ "b": 1, "a": [2] });
        check(Payload::Json(JsonText::from(&object)), None, r#"{"b":1,"a":[2]}"#, Some(object));
        check(
            Payload::Json(JsonText::from(&json!([1, 2]))),
            None,
            "[1,2]",
            Some(json!({ "result": [1, 2] })),
        );
        check(
            Payload::Json(JsonText::from(&Value::Null)),
            None,
            "null",
            Some(json!({ "result": null })),
        );
        check(
            Payload::Json(JsonText::from(&json!([1]))),
            Some(json!({ "offset": 1 })),
            "[1]",
            Some(json!({ "result": [1], "next": { "offset": 1 } })),
        );
    }

    #[test]
    fn a_large_answer_comes_as_text_alone() {
        let value = Value::from("x".repeat(MOST_STRUCTURED_BYTES));
        let payload = Payload::Json(JsonText::from(&value));
        check(payload, None, &value.to_string(), None);
        // So does one that is small, and its tree large.
        let text = format!("[{}[]]", "[[]],".repeat(30_000));
        check(Payload::Json(JsonText::trusted(text.clone())), None, &text, None);
    }

    #[test]
    fn a_tree_needs_room() {
        let payload = || Payload::Json(JsonText::from(&json!([1])));
        let outcome = || Outcome {
            status: 200,
            payload: payload(),
            notes: Vec::new(),
            next: None,
            held: Held::default(),
        };
        let success = |room: u64| success(outcome(), None, &|bytes| bytes <= room);
        assert_eq!(success(10_000).structured_content, Some(json!({ "result": [1] })));
        assert_eq!(success(100).structured_content, None);
    }

    #[test]
    fn other_payloads_have_a_text() {
        check(Payload::Empty, None, "done (HTTP 204)", Some(json!({ "status": 204 })));
        let text = Payload::Text { content_type: "text/plain".into(), text: "hello".into() };
        check(text, None, "hello", None);
        let file = SavedFile {
            name: "a.xva".into(),
            path: PathBuf::from("/files/a.xva"),
            url: None,
            reference: None,
            expires: None,
            size: 3,
            content_type: "application/octet-stream".into(),
            sha256: "ab".into(),
        };
        let stored = SavedFile {
            url: Some("https://h/files/0".into()),
            reference: Some("dadl-file:0".into()),
            expires: Some("2026-11-21T05:33:55Z".into()),
            ..file.clone()
        };
        check(
            Payload::File(stored),
            None,
            "saved to https://h/files/0 (3 bytes, application/octet-stream), kept until \
             2026-11-21T05:33:55Z",
            Some(json!({
                "url": "https://h/files/0",
                "file": "dadl-file:0",
                "size": 3,
                "content_type": "application/octet-stream",
                "sha256": "ab",
                "expires": "2026-11-21T05:33:55Z",
            })),
        );
        check(
            Payload::File(file),
            None,
            "saved to /files/a.xva (3 bytes, application/octet-stream)",
            Some(json!({
                "path": "/files/a.xva",
                "size": 3,
                "content_type": "application/octet-stream",
                "sha256": "ab",
            })),
        );
    }

    #[test]
    fn notes_and_the_next_page_are_a_second_block() {
        let next = json!({ "offset": 2 }).as_object().cloned();
        let notes = vec!["cut".to_owned(), "more".to_owned()];
        let payload = Payload::Json(JsonText::from(&json!({ "items": [] })));
        let outcome = Outcome { status: 200, payload, notes, next, held: Held::default() };
        let result = success(outcome, None, &|_| true);
        let texts: Vec<&str> =
            result.content.iter().map(|block| &*block.as_text().unwrap().text).collect();
        let remarks = "cut\nmore\nnext page: call again with {\"offset\":2}";
        assert_eq!(texts, [r#"{"items":[]}"#, remarks]);
        assert_eq!(result.structured_content, Some(json!({ "items": [] })));
    }
}
