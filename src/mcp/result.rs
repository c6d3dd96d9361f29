//! An outcome becomes the result of a tool call.
//!
//! The value goes out twice, as the protocol asks: as `structuredContent` for programs and as
//! compact JSON text for models. Clients before 2026-07-28 accept an object only, so every other
//! value is wrapped as `{"result": ..}`; the text is the bare value in either case. What there is to say
//! besides comes before the value in both (see [`notes`](super::notes)).
//!
//! A value goes to a model as it is, with one exception: characters whose only use is to hide text
//! in text become U+FFFD, and the result says how many there were. In the JSON text others that
//! nobody sees are written as escapes, which mean the same.

use std::borrow::Cow;

use dadl_text::{json::agreed, text};
use rmcp::model::{CallToolResult, ContentBlock, MetaObject, ProtocolVersion};
use serde_json::{Map, Value, json};

use super::{
    file_resources, media,
    notes::{self, ResultNotes},
    structured_text::{CopyForm, StructuredCopy},
};
use crate::{
    catalog::{NOTE, OutputSchema},
    outcome::{AnswerPayload, CallOutcome, JsonText, SavedFile},
};

/// An answer beyond this comes as text alone.
const MOST_STRUCTURED_BYTES: usize = 256 * 1024;

/// The same where a client insists on structured content, because an output schema is listed.
const MOST_DECLARED_BYTES: usize = 4 * 1024 * 1024;

/// The tree of a structured copy takes at most so many bytes: that of a list of small objects takes
/// 25 times what its text does, and that of an answer in bad faith a hundred times.
const MOST_TREE_BYTES: u64 = 8 * 1024 * 1024;

/// The same where a client insists on structured content.
const MOST_DECLARED_TREE_BYTES: u64 = 64 * 1024 * 1024;

/// No text has a tree of more bytes for each byte.
const MOST_TREE_OF_BYTE: u64 = 256;

/// So much of a content type is said, in characters.
const LONGEST_TYPE: usize = 100;

/// What programs read about the next page, below `_meta` of the result.
const NEXT: &str = "dadl-mcp/next";

/// Makes the result of a call that the backend accepted; `cut` says how much of it is left, and `output`
/// is what the tool's listing says about its results, to which the structured copy, of this `form` where
/// that can be, conforms. `has_room` takes so many bytes of memory.
pub(super) fn success(
    outcome: CallOutcome,
    cut: Option<&str>,
    output: Option<&OutputSchema>,
    form: CopyForm,
    has_room: &dyn Fn(u64) -> bool,
) -> CallToolResult {
    // What the answer takes is counted until the result is made.
    let CallOutcome { status, payload, notes: said, next, held: _held } = outcome;
    let mut notes = ResultNotes::of(cut, next.as_ref(), &said);
    let next = next.map(|next| next.arguments);
    let meta = next
        .as_ref()
        .map(|next| MetaObject(Map::from_iter([(NEXT.to_owned(), Value::Object(next.clone()))])));
    let (text, structured) = match payload {
        // Its parts are shown by themselves.
        AnswerPayload::Content(_) => (Some("done, without content".to_owned()), None),
        AnswerPayload::Empty => {
            (Some(format!("done (HTTP {status})")), Some(json!({ "status": status })))
        }
        AnswerPayload::File(file) => {
            notes.first(&saved(&file));
            (None, Some(file.to_value()))
        }
        AnswerPayload::Json(text) => {
            let (most, most_tree) = match output {
                Some(_) => (MOST_DECLARED_BYTES, MOST_DECLARED_TREE_BYTES),
                None => (MOST_STRUCTURED_BYTES, MOST_TREE_BYTES),
            };
            let fits = text.as_str().len() <= most;
            let takes_text = fits && form == CopyForm::Text && next.is_none();
            let copy = || copied_text(&text, most_tree, output, has_room);
            if let Some(copy) = takes_text.then(copy).flatten() {
                let text = shown_json(text.into_string()).told(&mut notes);
                return noted(notes, Some(text), Some(StructuredCopy::Text(copy)));
            }
            let value = fits.then(|| parse_tree(&text, most_tree, has_room)).flatten();
            // The arguments of the next page are of another text.
            let is_clean = || next.is_none() && hides_nothing(text.as_str());
            let is_clean = value.is_some() && is_clean();
            let structured = value.map(|value| match notes::object_of(value, next) {
                value if is_clean => value,
                value => masked_value(value),
            });
            (Some(shown_json(text.into_string()).told(&mut notes)), structured)
        }
        AnswerPayload::Task(report) => {
            let value = masked_value(report.to_value());
            (Some(shown_json(value.to_string()).text), Some(value).filter(agreed::is_shallow))
        }
        AnswerPayload::Text { text, .. } => (Some(shown_masked(text).told(&mut notes)), None),
    };
    let structured = match output {
        None => structured,
        Some(output) => {
            // Without a copy of its own, the text is all there is.
            let of_text = || json!({ "text": in_short(text.as_deref().unwrap_or_default()) });
            Some(output.conforming(structured.unwrap_or_else(of_text)))
        }
    };
    let mut result = noted(notes, text, structured.map(StructuredCopy::Tree));
    result.meta = meta;
    result
}

/// Makes the result of a tool of this server, whose value is an object of its own.
pub(super) fn own_result(value: &JsonText, mut notes: ResultNotes) -> CallToolResult {
    let tree = parse_tree(value, MOST_TREE_BYTES, &|_| true);
    let is_clean = hides_nothing(value.as_str());
    let structured = tree.map(|tree| if is_clean { tree } else { masked_value(tree) });
    let text = shown_json(value.as_str().to_owned()).told(&mut notes);
    noted(notes, Some(text), structured.map(StructuredCopy::Tree))
}

/// Puts what there is to say before the value.
fn noted(
    notes: ResultNotes,
    text: Option<String>,
    structured: Option<StructuredCopy>,
) -> CallToolResult {
    let note = notes.joined();
    let structured = structured.map(|copy| match copy {
        StructuredCopy::Tree(tree) => StructuredCopy::Tree(notes::noted(tree, note.as_deref())),
        StructuredCopy::Text(json) => {
            StructuredCopy::Text(notes::noted_text(json, note.as_deref()))
        }
    });
    let content = note.into_iter().chain(text).map(ContentBlock::text).collect();
    let mut result = CallToolResult::success(content);
    if let Some(structured) = structured {
        structured.put(&mut result);
    }
    result
}

/// Returns the structured copy of a value as text: the value, where that is an object. `None` where it is not
/// certain that this is what its tree would become, which takes at most `most` bytes: hosts build it.
fn copied_text(
    text: &JsonText,
    most: u64,
    output: Option<&OutputSchema>,
    has_room: &dyn Fn(u64) -> bool,
) -> Option<String> {
    let json = text.as_str();
    if json.len() as u64 * MOST_TREE_OF_BYTE > most && text.tree_cost() > most {
        return None;
    }
    // A member of our name would be wrapped.
    let is_plain = hides_nothing(json)
        && memchr::memmem::find(json.as_bytes(), NOTE.as_bytes()).is_none()
        && agreed::is_agreed_on(json);
    if !is_plain || !has_room(json.len() as u64) {
        return None;
    }
    let copy =
        if json.starts_with('{') { json.to_owned() } else { format!("{{\"result\":{json}}}") };
    output.is_none_or(|output| output.accepts(&copy)).then_some(copy)
}

/// Links a saved file as the resource that [`file_resources`] reads. Clients before 2025-06-18 know
/// no such content.
pub(super) fn file_link(
    file: &SavedFile,
    version: Option<&ProtocolVersion>,
) -> Option<ContentBlock> {
    if file.is_private {
        return None;
    }
    let knows_links = version.is_none_or(|version| *version >= ProtocolVersion::V_2025_06_18);
    let mut link = knows_links.then(|| file_resources::of_saved(file)).flatten()?;
    // Hosts make an image of such a link, at a URL that a model's provider cannot fetch.
    if media::is_image(&file.content_type) {
        link.mime_type = None;
    }
    Some(ContentBlock::resource_link(link))
}

/// Says where a file is: its URL where clients have no use for its path.
pub(super) fn saved(file: &SavedFile) -> String {
    let SavedFile { path, url, size, content_type, sha256, expires, .. } = file;
    let path = path.to_string_lossy();
    let place = url.as_deref().unwrap_or(&path);
    let content_type = text::start_of(content_type, LONGEST_TYPE);
    let mut text = format!("saved to {place} ({size} bytes, {content_type}, sha256 {sha256})");
    if let Some(expires) = expires {
        text.push_str(&format!(", kept until {expires}"));
    }
    text
}

/// Makes the result of a call that failed, with a text that a model can act on.
pub(super) fn failure_result(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text::shown_text(&text))])
}

/// A text for a model, and what is to be said about it.
pub(super) struct ShownText {
    text: String,
    remark: Option<String>,
}

impl ShownText {
    /// Returns the text, and notes what is to be said about it.
    pub(super) fn told(self, notes: &mut ResultNotes) -> String {
        if let Some(remark) = &self.remark {
            notes.first(remark);
        }
        self.text
    }
}

/// Writes a JSON value for a model.
pub(super) fn shown_json(value: String) -> ShownText {
    let shown = shown_masked(value);
    let escaped = match text::shown_json(&shown.text) {
        Cow::Owned(escaped) => Some(escaped),
        Cow::Borrowed(_) => None,
    };
    match escaped {
        Some(text) => ShownText { text, ..shown },
        None => shown,
    }
}

/// Masks what hides text in a text.
pub(super) fn shown_masked(text: String) -> ShownText {
    let Cow::Owned(masked) = text::unsmuggled(&text) else {
        return ShownText { text, remark: None };
    };
    let count = |text: &str| text.matches(char::REPLACEMENT_CHARACTER).count();
    let remark = match count(&masked) - count(&text) {
        0 => None,
        1 => Some("1 character that nobody sees and that can hide text was replaced".to_owned()),
        many => {
            Some(format!("{many} characters that nobody sees and that can hide text were replaced"))
        }
    };
    ShownText { text: masked, remark }
}

/// Returns a text without what hides text in it.
pub(super) fn masked_text(text: String) -> String {
    shown_masked(text).text
}

/// Returns the same of JSON.
pub(super) fn masked_json(json: String) -> String {
    shown_json(json).text
}

/// Returns whether the texts in JSON certainly hide nothing: what does is neither ASCII nor written with it.
fn hides_nothing(json: &str) -> bool {
    json.is_ascii() && memchr::memmem::find(json.as_bytes(), br"\u").is_none()
}

/// Masks what hides text in the texts of a value.
fn masked_value(value: Value) -> Value {
    match value {
        Value::String(text) => shown_masked(text).text.into(),
        Value::Array(items) => items.into_iter().map(masked_value).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (shown_masked(name).text, masked_value(value)))
            .collect(),
        other => other,
    }
}

/// Returns a text, or where it is when it is too long to be held twice.
fn in_short(text: &str) -> String {
    match text.len() {
        0..=MOST_STRUCTURED_BYTES => text.to_owned(),
        size => format!("the answer has {size} bytes; it is in the content of this result"),
    }
}

/// Builds the tree of a value, unless it takes too much memory or is nested more than parsers read.
fn parse_tree(text: &JsonText, most: u64, has_room: &dyn Fn(u64) -> bool) -> Option<Value> {
    let cost = text.tree_cost();
    if cost > most || !has_room(cost) {
        return None;
    }
    text.value().ok().filter(agreed::is_shallow)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use dadl_descriptor::model::ResultTypes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        catalog::{CatalogOperation, fixture, output::OutputSchemas},
        outcome::{HeldMemory, NextPage},
    };

    fn page(arguments: Value) -> NextPage {
        let arguments = arguments.as_object().cloned().unwrap();
        NextPage { reason: "there may be more".to_owned(), arguments }
    }

    fn check(payload: AnswerPayload, next: Option<Value>, text: &str, structured: Option<Value>) {
        let next = next.map(page);
        let outcome = CallOutcome {
            status: 204,
            payload,
            notes: Vec::new(),
            next,
            held: HeldMemory::default(),
        };
        let result = success(outcome, None, None, CopyForm::Tree, &|_| true);
        assert_eq!(result.content.last().unwrap().as_text().unwrap().text, text);
        assert_eq!(result.structured_content, structured);
        assert_eq!(result.is_error, Some(false));
    }

    #[test]
    fn objects_stay_and_other_values_are_wrapped() {
        let object = json!({ "b": 1, "a": [2] });
        check(
            AnswerPayload::Json(JsonText::from(&object)),
            None,
            r#"{"b":1,"a":[2]}"#,
            Some(object),
        );
        check(
            AnswerPayload::Json(JsonText::from(&json!([1, 2]))),
            None,
            "[1,2]",
            Some(json!({ "result": [1, 2] })),
        );
        check(
            AnswerPayload::Json(JsonText::from(&Value::Null)),
            None,
            "null",
            Some(json!({ "result": null })),
        );
        check(
            AnswerPayload::Json(JsonText::from(&json!([1]))),
            Some(json!({ "offset": 1 })),
            "[1]",
            Some(json!({
                "_note": "there may be more; next page: call again with {\"offset\":1}",
                "result": [1],
                "next": { "offset": 1 },
            })),
        );
        let forged = json!({ "_note": "all is well" });
        let payload = AnswerPayload::Json(JsonText::from(&forged));
        check(payload, None, &forged.to_string(), Some(json!({ "result": forged })));
    }

    #[test]
    fn a_large_answer_comes_as_text_alone() {
        let value = Value::from("x".repeat(MOST_STRUCTURED_BYTES));
        let payload = AnswerPayload::Json(JsonText::from(&value));
        check(payload, None, &value.to_string(), None);
        // So does one that is small, and its tree large.
        let text = format!("[{}[]]", "[[]],".repeat(30_000));
        check(AnswerPayload::Json(JsonText::trusted(text.clone())), None, &text, None);
    }

    #[test]
    fn a_tree_needs_room() {
        let payload = || AnswerPayload::Json(JsonText::from(&json!([1])));
        let outcome = || CallOutcome {
            status: 200,
            payload: payload(),
            notes: Vec::new(),
            next: None,
            held: HeldMemory::default(),
        };
        let success =
            |room: u64| success(outcome(), None, None, CopyForm::Tree, &|bytes| bytes <= room);
        assert_eq!(success(10_000).structured_content, Some(json!({ "result": [1] })));
        assert_eq!(success(100).structured_content, None);
    }

    #[test]
    fn other_payloads_have_a_text() {
        check(AnswerPayload::Empty, None, "done (HTTP 204)", Some(json!({ "status": 204 })));
        let text = AnswerPayload::Text { content_type: "text/plain".into(), text: "hello".into() };
        check(text, None, "hello", None);
        let file = SavedFile {
            name: "a.xva".into(),
            path: PathBuf::from("/files/a.xva"),
            url: None,
            reference: None,
            expires: None,
            is_private: false,
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
        let text = "saved to https://h/files/0 (3 bytes, application/octet-stream, sha256 ab), kept \
                    until 2026-11-21T05:33:55Z";
        check(
            AnswerPayload::File(stored),
            None,
            text,
            Some(json!({
                "_note": text,
                "url": "https://h/files/0",
                "file": "dadl-file:0",
                "size": 3,
                "content_type": "application/octet-stream",
                "sha256": "ab",
                "expires": "2026-11-21T05:33:55Z",
            })),
        );
        let text = "saved to /files/a.xva (3 bytes, application/octet-stream, sha256 ab)";
        check(
            AnswerPayload::File(file),
            None,
            text,
            Some(json!({
                "_note": text,
                "path": "/files/a.xva",
                "size": 3,
                "content_type": "application/octet-stream",
                "sha256": "ab",
            })),
        );
    }

    #[test]
    fn what_there_is_to_say_comes_first_in_both() {
        let arguments = json!({ "offset": 2 });
        let next = Some(page(arguments.clone()));
        let notes = vec!["stopped".to_owned(), "more".to_owned()];
        let payload = AnswerPayload::Json(JsonText::from(&json!({ "items": ["\u{e0041}"] })));
        let outcome =
            CallOutcome { status: 200, payload, notes, next, held: HeldMemory::default() };
        let result = success(outcome, Some("cut"), None, CopyForm::Tree, &|_| true);
        let texts: Vec<&str> =
            result.content.iter().map(|block| &*block.as_text().unwrap().text).collect();
        let note = "1 character that nobody sees and that can hide text was replaced\ncut\nthere \
                    may be more; next page: call again with {\"offset\":2}\nstopped\nmore";
        assert_eq!(texts, [note, "{\"items\":[\"\u{fffd}\"]}"]);
        let structured = result.structured_content.unwrap();
        assert_eq!(structured, json!({ "_note": note, "items": ["\u{fffd}"] }));
        assert!(structured.to_string().starts_with("{\"_note\":\"1 character"), "{structured}");
        assert_eq!(result.meta.unwrap()[NEXT], arguments);
    }

    #[test]
    fn what_parsers_read_in_several_ways_is_no_copy() {
        for (json, expect) in [
            (r#"{"a":1,"a":2}"#, Some(json!({ "a": 2 }))),
            ("[1e999]", None),
            (r#"{"a":1}"#, Some(json!(r#"{"a":1}"#))),
        ] {
            let payload = AnswerPayload::Json(JsonText::trusted(json.to_owned()));
            let (notes, next, held) = (Vec::new(), None, HeldMemory::default());
            let outcome = CallOutcome { status: 200, payload, notes, next, held };
            let result = success(outcome, None, None, CopyForm::Text, &|_| true);
            assert_eq!(result.structured_content, expect, "{json}");
            assert_eq!(result.content.last().unwrap().as_text().unwrap().text, json);
        }
    }

    /// A client whose parser finds a message too deep sees nothing of it, and may end.
    #[test]
    fn what_parsers_find_too_deep_is_no_copy() {
        let nested = |levels| ["[".repeat(levels), "]".repeat(levels)].concat();
        for form in [CopyForm::Text, CopyForm::Tree] {
            let payload = AnswerPayload::Json(JsonText::trusted(nested(56)));
            let (notes, next, held) = (Vec::new(), None, HeldMemory::default());
            let outcome = CallOutcome { status: 200, payload, notes, next, held };
            let result = success(outcome, None, None, form, &|_| true);
            assert!(result.structured_content.is_some());
        }
        for levels in [57, 120, 3_000] {
            let json = nested(levels);
            for (form, output) in [
                (CopyForm::Text, None),
                (CopyForm::Tree, None),
                (CopyForm::Text, Some(declared())),
                (CopyForm::Tree, Some(declared())),
            ] {
                let payload = AnswerPayload::Json(JsonText::trusted(json.clone()));
                let (notes, next, held) = (Vec::new(), None, HeldMemory::default());
                let outcome = CallOutcome { status: 200, payload, notes, next, held };
                let result = success(outcome, None, output.as_deref(), form, &|_| true);
                let copy = result.structured_content.unwrap_or_default();
                assert_eq!(copy.is_object(), output.is_some(), "{levels}");
                assert!(agreed::is_agreed_on(&copy.to_string()), "{levels}");
                assert_eq!(result.content.last().unwrap().as_text().unwrap().text, json);
            }
            let value = JsonText::trusted(format!("{{\"a\":{json}}}"));
            assert_eq!(own_result(&value, ResultNotes::default()).structured_content, None);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\]{0,4}|[é\u{1}\u{200b}a]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("(id|_note|result|é)", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A client sees the same, whichever way the copy takes.
        #[test]
        fn a_copy_as_text_is_what_its_tree_says(
            value in any_json(),
            notes in prop::collection::vec("[a\"é]{1,4}", 0..2),
            is_declared in any::<bool>(),
            has_next in any::<bool>(),
        ) {
            let output = is_declared.then(declared);
            let made = |form| {
                let next = has_next.then(|| page(json!({ "offset": 1 })));
                let payload = AnswerPayload::Json(JsonText::from(&value));
                let (status, notes, held) = (200, notes.clone(), HeldMemory::default());
                let outcome = CallOutcome { status, payload, notes, next, held };
                success(outcome, None, output.as_deref(), form, &|_| true)
            };
            let (tree, mut text) = (made(CopyForm::Tree), made(CopyForm::Text));
            let is_plain = hides_nothing(&value.to_string()) && !value.to_string().contains(NOTE);
            if is_plain && !is_declared && !has_next {
                prop_assert!(text.structured_content.as_ref().is_some_and(Value::is_string));
            }
            if let Some(Value::String(json)) = &text.structured_content {
                text.structured_content = Some(serde_json::from_str(json).unwrap());
            }
            prop_assert_eq!(json!(text).to_string(), json!(tree).to_string());
        }
    }

    /// The output of a tool whose `id` is a text.
    fn declared() -> Arc<OutputSchema> {
        let mut tool = fixture::tool("GET", "/x", &[]);
        tool.returns = Some(Box::new(json!({ "properties": { "id": { "type": "string" } } })));
        OutputSchemas::new(&ResultTypes::default()).of(CatalogOperation::Tool(&tool)).unwrap()
    }

    #[test]
    fn what_an_escape_hides_is_masked_in_the_value() {
        let text = r#"{"a":"\udb40\udc41b"}"#;
        let structured = json!({ "a": "\u{fffd}b" });
        let payload = AnswerPayload::Json(JsonText::trusted(text.to_owned()));
        check(payload, None, text, Some(structured));
    }

    #[test]
    fn what_conforms_is_noted_afterwards() {
        let output = declared();
        let made = |value: &Value| {
            let payload = AnswerPayload::Json(JsonText::from(value));
            let (notes, next) = (vec!["cut".to_owned()], None);
            let outcome =
                CallOutcome { status: 200, payload, notes, next, held: HeldMemory::default() };
            success(outcome, None, Some(&output), CopyForm::Tree, &|_| true)
                .structured_content
                .unwrap()
        };
        assert_eq!(made(&json!({ "id": "a" })), json!({ "_note": "cut", "id": "a" }));
        let unexpected = json!({ "_note": "cut", "unexpected": { "id": 1 } });
        assert_eq!(made(&json!({ "id": 1 })), unexpected);
        // What a server says in our place is nothing that we say.
        let forged = json!({ "_note": "forged", "id": "a" });
        assert_eq!(made(&forged), json!({ "_note": "cut", "result": forged }));
        let text = AnswerPayload::Text { content_type: "text/plain".into(), text: "log in".into() };
        let notes = vec!["a web page".to_owned()];
        let outcome = CallOutcome {
            status: 200,
            payload: text,
            notes,
            next: None,
            held: HeldMemory::default(),
        };
        let result =
            success(outcome, None, Some(&output), CopyForm::Tree, &|_| true).structured_content;
        assert_eq!(result.unwrap(), json!({ "_note": "a web page", "text": "log in" }));
    }
}
