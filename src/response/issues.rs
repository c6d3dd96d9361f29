//! What validators say about arguments, in one sentence for each field.
//!
//! Frameworks answer a wrong argument with objects of their own (tsoa: `{"body.name": {"message", "value"}}`,
//! zod: `{"issues": [{"path", "message"}]}`, `{"fieldErrors": {"name": [..]}}`, FastAPI: `[{"loc", "msg"}]`),
//! and where a value may have one of several types, the issues of each are JSON inside of the message, and those
//! of each of these inside of theirs. What matters are the innermost messages; the values, which the caller
//! knows, are left out.

use std::borrow::Cow;

use dadl_text::{
    json::cost,
    text::{cut_text, text_head},
};
use serde_json::{Map, Value};

/// What announces issues inside of a message.
const INSIDE: &str = "Issues: [";

/// A larger answer is shown as it is, in bytes of its tree.
const LARGEST: u64 = 512 * 1024;

/// Messages may be inside of each other so deep.
const DEEPEST: usize = 40;

/// So many sentences are made.
const MOST: usize = 10;

/// So many words of a list are named.
const MOST_WORDS: usize = 30;

/// A sentence is cut, in characters.
const LONGEST: usize = 300;

/// Where validators list what they found.
const LISTS: &[&str] = &["details", "errors", "fieldErrors", "formErrors", "issues", "violations"];

/// Where they say what an issue is about.
const PLACES: &[&str] = &["path", "loc", "field", "property", "instancePath"];

/// Issues in their order.
#[derive(Default)]
struct IssueCollector(Vec<ValidationIssue>);

struct ValidationIssue {
    /// The field; empty: the whole.
    place: String,
    text: String,
    /// The only words that it may be; the text says so.
    words: Vec<String>,
}

/// Makes a sentence of the issues that a JSON value has; `None` when it has none.
pub(crate) fn issues_sentence(value: &str) -> Option<String> {
    if cost::parse_cost(value) > LARGEST {
        return None;
    }
    let mut issues = IssueCollector::default();
    let value: Value = serde_json::from_str(value).ok()?;
    // An error of its own, with a code or more beside its message, is no list of fields.
    if let Some(message) = value.get("message") {
        return issues_inside(message.as_str()?);
    }
    issues.collect(&value, "", 0)?;
    issues.written()
}

/// Makes a sentence of the issues that are inside of a message; `None` when it has none.
pub(crate) fn issues_inside(message: &str) -> Option<String> {
    let at = message.find(INSIDE)?;
    let mut issues = IssueCollector::default();
    issues.message("", message, 0);
    issues.written().or_else(|| {
        let start = message.get(..at)?.trim_end();
        (!start.is_empty()).then(|| start.to_owned())
    })
}

impl IssueCollector {
    /// Collects the issues of a value about `place`; `None` when something in it is no issue.
    fn collect(&mut self, value: &Value, place: &str, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match value {
            Value::String(text) => self.message(place, text, depth),
            Value::Array(items) if !items.is_empty() => {
                for item in items {
                    self.collect(item, place, depth + 1)?;
                }
            }
            Value::Object(members) => self.members(members, place, depth)?,
            _ => return None,
        }
        Some(())
    }

    fn members(&mut self, members: &Map<String, Value>, place: &str, depth: usize) -> Option<()> {
        let text = ["message", "msg"].iter().find_map(|name| members.get(*name)?.as_str());
        if let Some(text) = text {
            let own = PLACES.iter().find_map(|name| Some(join_place(members.get(*name)?)));
            self.message(own.as_deref().unwrap_or(place), text, depth);
            return Some(());
        }
        let mut found = None;
        for (name, value) in members {
            let is_empty = match value {
                Value::Array(items) => items.is_empty(),
                Value::Object(members) => members.is_empty(),
                Value::Null => true,
                _ => false,
            };
            if is_empty {
                continue;
            }
            let place = if LISTS.contains(&name.as_str()) { place } else { name };
            self.collect(value, place, depth + 1)?;
            found = Some(());
        }
        found
    }

    /// Takes a message, or the issues inside of it.
    fn message(&mut self, place: &str, text: &str, depth: usize) {
        let inner = text.find(INSIDE).and_then(|at| text.get(at + INSIDE.len() - 1..));
        let inner = inner.and_then(|list| {
            serde_json::Deserializer::from_str(list).into_iter::<Value>().next()?.ok()
        });
        if let Some(inner) = inner {
            let before = self.0.len();
            if self.collect(&inner, place, depth + 1).is_some() && self.0.len() > before {
                return;
            }
            self.0.truncate(before);
        }
        let text = text.find(INSIDE).and_then(|at| text.get(..at)).unwrap_or(text);
        self.add(place, text.trim());
    }

    fn add(&mut self, place: &str, text: &str) {
        let place = field_name(place);
        let (text, words) = match path_words(text) {
            Some((text, words)) => (text, words),
            None => (text, Vec::new()),
        };
        let known = self.0.iter_mut().find(|it| it.place == place && it.text == text);
        match known {
            Some(known) => {
                let new = words.into_iter().filter(|word| !known.words.contains(word));
                let new: Vec<String> = new.collect();
                known.words.extend(new);
            }
            None => self.0.push(ValidationIssue {
                place: place.into_owned(),
                text: text.to_owned(),
                words,
            }),
        }
    }

    fn written(mut self) -> Option<String> {
        // Other types that the value could have had say less than its words.
        let listed: Vec<String> =
            self.0.iter().filter(|it| !it.words.is_empty()).map(|it| it.place.clone()).collect();
        self.0.retain(|it| !it.words.is_empty() || !listed.contains(&it.place));
        let more = self.0.len().saturating_sub(MOST);
        let sentences: Vec<String> =
            self.0.iter().take(MOST).map(ValidationIssue::written).collect();
        let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
        (!sentences.is_empty()).then(|| sentences.join("; ") + &tail)
    }
}

impl ValidationIssue {
    fn written(&self) -> String {
        let Self { place, text, words } = self;
        let mut sentence = if place.is_empty() { String::new() } else { format!("{place}: ") };
        sentence.push_str(text_head(text, LONGEST));
        if !words.is_empty() {
            let shown: Vec<&str> = words.iter().take(MOST_WORDS).map(String::as_str).collect();
            sentence.extend([" ", &shown.join(", ")]);
            if words.len() > MOST_WORDS {
                sentence.push_str(", ..");
            }
        }
        cut_text(&sentence, 2 * LONGEST).into_owned()
    }
}

/// Splits `should be one of the following; ['a','b']` into its text and its words.
fn path_words(text: &str) -> Option<(&str, Vec<String>)> {
    let (text, list) = text.split_once('[')?;
    let list = list.trim_end().strip_suffix(']')?;
    let words: Option<Vec<String>> = list
        .split(',')
        .map(|word| {
            let word = word.trim();
            let inner = word.strip_prefix('\'')?.strip_suffix('\'');
            inner.map(str::to_owned)
        })
        .collect();
    let text = text.trim_end().trim_end_matches([';', ':']);
    words.map(|words| (text, words))
}

/// Returns the name of a field without the part of the request that it is in.
fn field_name(place: &str) -> Cow<'_, str> {
    let place = place.trim_start_matches('/');
    let parts = ["body", "query", "path", "params"];
    if parts.contains(&place) {
        return Cow::Borrowed("");
    }
    let inner = parts.iter().find_map(|part| place.strip_prefix(part)?.strip_prefix(['.', '/']));
    Cow::Borrowed(inner.unwrap_or(place))
}

/// Writes the place of an issue, which may be a list of names and numbers.
fn join_place(place: &Value) -> String {
    match place {
        Value::String(text) => text.clone(),
        Value::Array(names) => {
            let names =
                names.iter().map(|name| name.as_str().map_or(name.to_string(), str::to_owned));
            names.collect::<Vec<_>>().join(".")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn says(value: Value, expected: &str) {
        assert_eq!(issues_sentence(&value.to_string()).as_deref(), Some(expected), "{value}");
    }

    #[test]
    fn each_field_has_a_sentence() {
        says(
            json!({"body.name": {"message": "'name' is required"}, "granularity": {"message": "wrong", "value": "x"}}),
            "name: 'name' is required; granularity: wrong",
        );
        says(
            json!({"issues": [{"path": ["disks", 0, "size"], "message": "too small"}]}),
            "disks.0.size: too small",
        );
        says(
            json!({"formErrors": ["odd"], "fieldErrors": {"name": ["is taken", "is long"], "x": []}}),
            "odd; name: is taken; name: is long",
        );
        says(
            json!([{"loc": ["body", "age"], "msg": "not a number", "type": "int"}]),
            "age: not a number",
        );
        says(json!({"body": {"message": "bad"}}), "bad");
    }

    /// A union of a union, as tsoa writes it.
    fn nested(words: &[&str], levels: usize) -> String {
        let mut issues: Vec<Value> = words
            .iter()
            .map(|word| {
                json!({"body.SR_type": {
                    "message": format!("should be one of the following; ['{word}']"), "value": "bogus" }})
            })
            .collect();
        for level in 0..levels {
            let place = if level + 1 == levels { "body" } else { "body.SR_type" };
            let message = format!(
                "Could not match the union against any of the items. Issues: {}",
                Value::from(issues)
            );
            issues = vec![json!({ place: { "message": message, "value": "bogus" } })];
        }
        issues.remove(0).to_string()
    }

    #[test]
    fn the_innermost_messages_matter() {
        let error = nested(&["cephfs", "dummy", "ext"], 3);
        assert!(error.len() > 600);
        let expected = "SR_type: should be one of the following cephfs, dummy, ext";
        assert_eq!(issues_sentence(&error).as_deref(), Some(expected));
        let inner =
            json!([{"a": {"message": "no string"}}, {"a": {"message": "one of ['x','y']"}}]);
        let message = format!("Could not match. Issues: {inner}");
        assert_eq!(issues_inside(&message).as_deref(), Some("a: one of x, y"));
        assert_eq!(
            issues_inside("Could not match. Issues: [{\"a\":").as_deref(),
            Some("Could not match.")
        );
        assert_eq!(issues_inside("no issue"), None);
    }

    #[test]
    fn what_is_no_issue_is_left_alone() {
        for value in [
            json!({"code": 5, "name": "x"}),
            json!({"a": {"b": 1}}),
            json!({}),
            json!([]),
            json!(7),
            json!([1]),
            json!({"a": null}),
            json!({"message": "no", "code": 5}),
        ] {
            assert_eq!(issues_sentence(&value.to_string()), None, "{value}");
        }
        assert_eq!(issues_sentence("{"), None);
        assert_eq!(issues_sentence(&"[".repeat(400)), None);
    }

    #[test]
    fn it_is_bounded() {
        let many: Map<String, Value> =
            (0..500).map(|n| (format!("f{n}"), json!({ "message": "x".repeat(5_000) }))).collect();
        let text = issues_sentence(&Value::from(many).to_string());
        assert!(text.is_none_or(|text| text.len() < 10_000));
        let deep = nested(&["a"], 9);
        assert!(issues_sentence(&deep).unwrap().len() < 2_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_it_ends(text in "([{}\\[\\]\":,a-c]|Issues: \\[|message|\\PC){0,60}") {
            let _ = issues_sentence(&text);
            let _ = issues_inside(&text);
            let quoted = Value::from(text).to_string();
            let _ = issues_sentence(&format!("{{\"a\":{{\"message\":{quoted}}}}}"));
        }

        /// However deep the issues are, what is said is the words.
        #[test]
        fn words_survive(
            words in prop::collection::btree_set("[a-z]{1,6}", 1..8),
            levels in 1..5_usize,
        ) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let expected = format!("SR_type: should be one of the following {}", words.join(", "));
            prop_assert_eq!(issues_sentence(&nested(&words, levels)), Some(expected));
        }
    }
}
