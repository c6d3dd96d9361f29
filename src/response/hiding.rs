//! Hides in an error what a tool hides in its results.
//!
//! The paths of `redact` are those of a result, and an error has another shape: besides what they
//! select, every member is hidden that has the name of one that they select.

use serde_json::Value;

use super::MASK;
use crate::descriptor::model::ResponseRules;

/// Values that are shorter occur by chance.
const SHORTEST: usize = 4;

/// What is said instead of a body that cannot be taken apart.
pub(crate) const UNSEEN: &str =
    "its body is not shown: the tool hides values (`redact`), and nothing can be hidden in it";

/// Hides values in an error; returns the texts that were hidden.
pub(crate) fn in_error(value: &mut Value, rules: &ResponseRules) -> Vec<String> {
    let mut hidden = Vec::new();
    if rules.redact.is_empty() {
        return hidden;
    }
    for path in &rules.redact {
        for found in path.all(value) {
            texts(found, &mut hidden);
        }
        path.replace_all(value, &Value::from(MASK));
        let result = rules.result_path.as_ref().and_then(|result| result.first_mut(value));
        if let Some(result) = result {
            for found in path.all(result) {
                texts(found, &mut hidden);
            }
            path.replace_all(result, &Value::from(MASK));
        }
    }
    let names: Vec<&str> =
        rules.redact.iter().filter_map(|path| last_name(path.as_str())).collect();
    by_name(value, &names, &mut hidden);
    hidden
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
                    texts(value, hidden);
                    *value = MASK.into();
                } else {
                    by_name(value, names, hidden);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| by_name(item, names, hidden)),
        // APIs put JSON into texts.
        Value::String(text) if text.starts_with(['{', '[']) => {
            if let Ok(mut inner) = serde_json::from_str(text) {
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

fn texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(members) => members.values().for_each(|value| texts(value, all)),
        Value::Bool(_) | Value::Null => all.push(value.to_string()),
    }
}

/// Returns the last name of a path: `password` of `$[*].password` and of `$.keys['password'][0]`.
fn last_name(path: &str) -> Option<&str> {
    let mut path = path.trim_end();
    loop {
        if let Some(inner) = path.strip_suffix(']') {
            let (before, selector) = inner.rsplit_once('[')?;
            let name = selector.trim().strip_prefix(['\'', '"']);
            if let Some(name) = name.and_then(|name| name.strip_suffix(['\'', '"'])) {
                return Some(name);
            }
            path = before;
        } else {
            let (before, name) = path.rsplit_once('.')?;
            if !matches!(name, "" | "*") {
                return Some(name);
            }
            path = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::descriptor::json_path::JsonPath;

    #[test]
    fn the_last_name_of_a_path_is_found() {
        for (path, name) in [
            ("$.a.password", Some("password")),
            ("$[*].password", Some("password")),
            ("$..keys[0]", Some("keys")),
            ("$['a b'][*]", Some("a b")),
            ("$.a.*", Some("a")),
            ("$[*]", None),
            ("$", None),
        ] {
            assert_eq!(last_name(path), name, "{path}");
        }
    }

    #[test]
    fn values_are_hidden_wherever_they_are_in_an_error() {
        let compile = |path: &str| JsonPath::compile(path).unwrap();
        let rules = ResponseRules {
            result_path: Some(compile("$.data")),
            redact: vec![compile("$.x.*"), compile("$[*].password")],
            ..ResponseRules::default()
        };
        let mut error = json!({
            "message": "not hunter22",
            "data": { "x": { "y": "inner" } },
            "sent": [{ "password": "hunter22" }],
            "text": "{\"password\":7654,\"b\":1}",
        });
        let hidden = in_error(&mut error, &rules);
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
    }
}
