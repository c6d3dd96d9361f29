//! Hides in an error what a tool hides in its results.
//!
//! The paths of `redact` are those of a result, and an error has another shape: every member is
//! hidden that has the name of one that they select, wherever it is. Where no name tells what is
//! hidden, or the body cannot be taken apart, nothing of it is shown.

use dadl_descriptor::model::{ResponseRules, Tool};
use dadl_text::json::cost;
use http::StatusCode;
use serde_json::Value;

use super::{
    MASK,
    api_error::{self, RejectedAnswer},
};
use crate::outcome::ApiError;

/// Values that are shorter occur by chance.
const SHORTEST: usize = 4;

/// The tree of an error takes no more, in bytes.
const MOST_TREE_BYTES: u64 = 8 * 1024 * 1024;

/// What is said instead of a body that cannot be taken apart.
const UNSEEN: &str =
    "its body is not shown: the tool hides values (`redact`), and nothing can be hidden in it";

/// Reads an error by the rules of a tool, without what it hides.
pub(crate) fn read_masked_error(rejection: RejectedAnswer<'_>, tool: &Tool) -> ApiError {
    if tool.response.redact.is_empty() {
        return api_error::read_api_error(rejection, &tool.errors);
    }
    let text = std::str::from_utf8(rejection.body).ok();
    let parted = text.and_then(|text| in_json(text, &tool.response));
    // The words of the status, which many servers send as the body, are nobody's data.
    if text.is_some_and(|text| is_phrase(rejection.status, text)) {
        return api_error::read_api_error(rejection, &tool.errors);
    }
    let Some((body, hidden)) = parted else {
        let mut error =
            api_error::read_api_error(RejectedAnswer { body: b"", ..rejection }, &tool.errors);
        if !rejection.body.trim_ascii().is_empty() {
            UNSEEN.clone_into(&mut error.message);
        }
        return error;
    };
    let error = api_error::read_api_error(
        RejectedAnswer { body: body.as_bytes(), ..rejection },
        &tool.errors,
    );
    let provider_code = error.provider_code.map(|code| in_text(code, &hidden));
    ApiError { message: in_text(error.message, &hidden), provider_code, ..error }
}

fn is_phrase(status: u16, text: &str) -> bool {
    let status = StatusCode::from_u16(status).ok();
    let phrase = status.and_then(|status| status.canonical_reason());
    phrase.is_some_and(|phrase| phrase.eq_ignore_ascii_case(text.trim()))
}

/// Hides values in the JSON text of an error, and returns it with the texts that were hidden. `None`
/// when nothing tells which they are, or the text cannot be taken apart.
pub(crate) fn in_json(text: &str, rules: &ResponseRules) -> Option<(String, Vec<String>)> {
    let mut value = cost::parse_tree(text, MOST_TREE_BYTES)?;
    let hidden = in_value(&mut value, rules)?;
    Some((value.to_string(), hidden))
}

/// Hides values in what came with an error; returns the texts that were hidden. `None` when nothing
/// tells which they are.
pub(crate) fn in_value(value: &mut Value, rules: &ResponseRules) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for path in &rules.redact {
        names.extend(last_names(path.as_str())?);
    }
    let mut hidden = Vec::new();
    by_name(value, &names, &mut hidden);
    Some(hidden)
}

/// Hides texts that were hidden elsewhere.
pub(crate) fn in_text(mut text: String, hidden: &[String]) -> String {
    for hidden in hidden.iter().filter(|hidden| hidden.len() >= SHORTEST && *hidden != MASK) {
        if text.contains(hidden.as_str()) {
            text = text.replace(hidden.as_str(), MASK);
        }
    }
    text
}

fn by_name(value: &mut Value, names: &[&str], hidden: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if names.contains(&name.as_str()) {
                    collect_texts(value, hidden);
                    *value = MASK.into();
                } else {
                    by_name(value, names, hidden);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| by_name(item, names, hidden)),
        // APIs put JSON into texts.
        Value::String(text) if text.starts_with(['{', '[']) => {
            if let Some(mut inner) = cost::parse_tree(text, MOST_TREE_BYTES) {
                let before = hidden.len();
                by_name(&mut inner, names, hidden);
                if hidden.len() > before {
                    *text = inner.to_string();
                }
            }
        }
        _ => {}
    }
}

fn collect_texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, all)),
        Value::Object(members) => members.values().for_each(|value| collect_texts(value, all)),
        Value::Bool(_) | Value::Null => all.push(value.to_string()),
    }
}

/// Returns the last names of a path: `password` of `$[*].password` and of `$.keys['password'][0]`.
fn last_names(path: &str) -> Option<Vec<&str>> {
    let mut path = path.trim_end();
    loop {
        if let Some(inner) = path.strip_suffix(']') {
            let (before, selectors) = inner.rsplit_once('[')?;
            if selectors.trim_start().starts_with(['\'', '"']) {
                return selectors.split(',').map(quoted_part).collect();
            }
            path = before;
        } else {
            let (before, name) = path.rsplit_once('.')?;
            if !matches!(name, "" | "*") {
                return Some(vec![name]);
            }
            path = before;
        }
    }
}

/// Returns a name that is written without escapes.
fn quoted_part(text: &str) -> Option<&str> {
    let text = text.trim();
    let mark = text.chars().next().filter(|mark| matches!(mark, '\'' | '"'))?;
    let name = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!name.contains([mark, '\\'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::json_path::JsonPath;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_names_of_a_path_are_found() {
        for (path, names) in [
            ("$.a.password", Some(vec!["password"])),
            ("$[*].password", Some(vec!["password"])),
            ("$..keys[0]", Some(vec!["keys"])),
            ("$['a b'][*]", Some(vec!["a b"])),
            ("$..['a', \"b\"]", Some(vec!["a", "b"])),
            ("$[?@.x=='y'].password", Some(vec!["password"])),
            ("$.a.*", Some(vec!["a"])),
            ("$['a,b']", None),
            ("$[*]", None),
            ("$", None),
        ] {
            assert_eq!(last_names(path), names, "{path}");
        }
    }

    #[test]
    fn values_are_hidden_wherever_they_are_in_an_error() {
        let compile = |path: &str| JsonPath::compile(path).unwrap();
        let redact = vec![compile("$.x.*"), compile("$[*].password")];
        let rules = ResponseRules { redact, ..ResponseRules::default() };
        let mut error = json!({
            "message": "not hunter22",
            "data": { "x": { "y": "inner" } },
            "sent": [{ "password": "hunter22" }],
            "text": "{\"password\":7654,\"b\":1}",
        });
        let hidden = in_value(&mut error, &rules).unwrap();
        assert_eq!(
            error,
            json!({
                "message": "not hunter22",
                "data": { "x": MASK },
                "sent": [{ "password": MASK }],
                "text": "{\"password\":\"[REDACTED]\",\"b\":1}",
            })
        );
        assert_eq!(in_text("not hunter22 or 7654".into(), &hidden), "not [REDACTED] or [REDACTED]");
        let rules = ResponseRules { redact: vec![compile("$[*]")], ..ResponseRules::default() };
        assert_eq!(in_value(&mut error, &rules), None);
    }
}
