//! Handles of stored files in the texts of arguments.
//!
//! `dadl-file:ID` names a file. A text that is nothing but this and `#base64`, `#dataurl` or `#url`
//! stands for what the file is as text. Whoever sends the call puts that in its place; what is checked,
//! asked about, shown and logged is the handle.

use std::collections::HashMap;

use serde_json::Value;

/// Begins the handle of a stored file.
pub(crate) const REFERENCE: &str = "dadl-file:";

/// A text that stands for a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHandle<'text> {
    /// What names the file, as it was written.
    pub(crate) id: &'text str,
    /// As what, as it was written.
    pub(crate) form: &'text str,
}

impl<'text> FileHandle<'text> {
    /// Reads a text that is nothing else; what is wrong with it shows where the file is looked for.
    pub(crate) fn read(text: &'text str) -> Option<Self> {
        let (id, form) = after_scheme(text)?.split_once('#')?;
        Some(Self { id, form })
    }
}

/// Returns whether text names a stored file itself.
pub(super) fn is_bare(text: &str) -> bool {
    after_scheme(text).is_some_and(|id| !id.is_empty() && !id.contains('#'))
}

/// Returns the id of the file that a text names or stands for.
pub(super) fn id_of(text: &str) -> Option<&str> {
    let named = after_scheme(text)?;
    Some(named.split_once('#').map_or(named, |(id, _)| id))
}

/// Returns what is behind the scheme, in a text that may be a handle: one word.
fn after_scheme(text: &str) -> Option<&str> {
    let is_gap = |other: char| other.is_whitespace() || other.is_control();
    text.strip_prefix(REFERENCE).filter(|rest| !rest.contains(is_gap))
}

/// Returns whether any text of a value, at any depth, is one of those.
pub(super) fn any_text(value: &Value, is_one: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_one(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, is_one)),
        Value::Object(members) => members.values().any(|member| any_text(member, is_one)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Hands the texts of a value over, in their order.
pub(super) fn each_text<'v>(value: &'v Value, take: &mut impl FnMut(&'v str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, take)),
        Value::Object(members) => members.values().for_each(|member| each_text(member, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a value with other texts in the place of these.
pub(super) fn replace_texts(value: &Value, texts: &HashMap<String, String>) -> Value {
    match value {
        Value::String(text) => texts.get(text).unwrap_or(text).as_str().into(),
        Value::Array(items) => items.iter().map(|item| replace_texts(item, texts)).collect(),
        Value::Object(members) => {
            let members = members.iter();
            members.map(|(name, member)| (name.clone(), replace_texts(member, texts))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_handle_is_the_whole_text() {
        let read = |text| FileHandle::read(text).map(|handle| (handle.id, handle.form));
        assert_eq!(read("dadl-file:0f#base64"), Some(("0f", "base64")));
        assert_eq!(read("dadl-file:#"), Some(("", "")));
        assert_eq!(read("dadl-file:a#b#url"), Some(("a", "b#url")));
        for text in [
            "dadl-file:0f",
            "see dadl-file:0f#url",
            "dadl-file:0f#url here",
            " dadl-file:0f#url",
            "dadl-file:0f#url\n",
            "DADL-FILE:0f#url",
            "[\"dadl-file:0f#url\"]",
            "#url",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_is_named_bare_or_with_a_form() {
        for (text, bare, id) in [
            ("dadl-file:0123", true, Some("0123")),
            ("dadl-file:0123#base64", false, Some("0123")),
            ("dadl-file:", false, Some("")),
            ("dadl-file:a b", false, None),
            (" dadl-file:a", false, None),
            ("see dadl-file:a", false, None),
            ("x", false, None),
        ] {
            assert_eq!((is_bare(text), id_of(text)), (bare, id), "{text}");
        }
    }

    #[test]
    fn texts_are_replaced_and_names_are_not() {
        let texts = HashMap::from([("a".to_owned(), "A".to_owned())]);
        let value = json!({"a": ["a", {"b": "a", "c": "aa"}, 1, null, true], "d": "a"});
        let expected = json!({"a": ["A", {"b": "A", "c": "aa"}, 1, null, true], "d": "A"});
        assert_eq!(replace_texts(&value, &texts), expected);
        let mut seen = Vec::new();
        each_text(&value, &mut |text| seen.push(text));
        assert_eq!(seen, ["a", "a", "aa", "a"]);
        assert!(any_text(&value, &|text| text == "aa") && !any_text(&value, &|text| text == "b"));
    }
}
