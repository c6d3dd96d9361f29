//! Outcomes and errors as tool results.
//!
//! The text is the compact JSON of the answer. `structuredContent` is the same value: an object as
//! it is, anything else as `{"result": ..}`, because revisions before 2026-07-28 allow objects
//! only. Notes are a text block of their own.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use crate::{
    executor::CallError,
    gate::Refusal,
    outcome::{JsonText, Outcome, Payload, SavedFile},
};

/// The member that holds an answer that is no object.
const RESULT: &str = "result";
/// The member that holds the arguments of the next page.
const NEXT: &str = "next";

/// A larger answer comes as text alone: hosts that take both would hold it twice.
const MOST_STRUCTURED_BYTES: usize = 256 * 1024;

/// Makes the result of a call that the backend accepted.
pub(super) fn of_outcome(outcome: Outcome) -> CallToolResult {
    let Outcome { status, payload, mut notes, next } = outcome;
    let (text, structured) = match payload {
        Payload::Empty => (format!("done (HTTP {status})"), Some(json!({ "status": status }))),
        Payload::File(file) => {
            let text = describe(&file);
            (text, Some(of_file(&file)))
        }
        Payload::Json(text) => {
            let value = structured(&text, next);
            (text.into_string(), value)
        }
        Payload::Text { text, .. } => (text, None),
    };
    let mut content = vec![ContentBlock::text(text)];
    if !notes.is_empty() {
        notes.iter_mut().for_each(|note| note.insert_str(0, "Note: "));
        content.push(ContentBlock::text(notes.join("\n")));
    }
    let mut result = CallToolResult::success(content);
    result.structured_content = structured;
    result
}

/// Makes the result of a call that failed; a model reads it and can act.
pub(super) fn of_error(error: &CallError) -> CallToolResult {
    failed(error.for_model())
}

/// Makes the result of a call that was refused before anything was sent.
pub(super) fn of_refusal(refusal: &Refusal) -> CallToolResult {
    failed(refusal.to_string())
}

fn failed(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// Makes the structured copy; none of an answer so large that a copy would help nobody, nor of one
/// that a tree cannot hold.
fn structured(text: &JsonText, next: Option<Map<String, Value>>) -> Option<Value> {
    if text.as_str().len() > MOST_STRUCTURED_BYTES {
        return None;
    }
    let value = text.value().ok()?;
    Some(match next {
        _ if text.is_object() => value,
        None => json!({ RESULT: value }),
        Some(next) => json!({ RESULT: value, NEXT: next }),
    })
}

fn of_file(file: &SavedFile) -> Value {
    json!({
        "path": file.path,
        "size": file.size,
        "content_type": file.content_type,
        "sha256": file.sha256,
    })
}

fn describe(file: &SavedFile) -> String {
    format!(
        "saved {} bytes ({}) to {}\nSHA-256 {}",
        file.size,
        file.content_type,
        file.path.display(),
        file.sha256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(payload: Payload, next: Option<Value>) -> Value {
        let next = next.map(|next| next.as_object().unwrap().clone());
        let notes = next.iter().map(|_| "there may be more".to_owned()).collect();
        let outcome = Outcome { status: 200, payload, notes, next };
        serde_json::to_value(of_outcome(outcome)).unwrap()
    }

    #[test]
    fn objects_are_kept_and_other_values_are_wrapped() {
        let result = shown(Payload::Json(JsonText::from(&json!({ "a": [1, 2] }))), None);
        assert_eq!(result["content"][0]["text"], r#"{"a":[1,2]}"#);
        assert_eq!(result["structuredContent"], json!({ "a": [1, 2] }));
        let result =
            shown(Payload::Json(JsonText::from(&json!([1]))), Some(json!({ "offset": 1 })));
        assert_eq!(result["content"][0]["text"], "[1]");
        assert_eq!(result["content"][1]["text"], "Note: there may be more");
        assert_eq!(result["structuredContent"], json!({ "result": [1], "next": { "offset": 1 } }));
    }

    #[test]
    fn text_files_and_empty_answers_say_what_they_are() {
        let text = Payload::Text { content_type: "text/markdown".into(), text: "| a |".into() };
        let result = shown(text, None);
        assert_eq!(result["content"][0]["text"], "| a |");
        assert_eq!(result.get("structuredContent"), None);
        assert_eq!(shown(Payload::Empty, None)["structuredContent"], json!({ "status": 200 }));
        let file = SavedFile {
            path: "/files/a.xva".into(),
            size: 3,
            content_type: "application/octet-stream".into(),
            sha256: "ab".into(),
        };
        let result = shown(Payload::File(file), None);
        assert_eq!(result["structuredContent"]["path"], "/files/a.xva");
        assert_eq!(result["structuredContent"]["sha256"], "ab");
    }
}
