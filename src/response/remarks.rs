//! What an answer says about the arguments that it is the answer to: a filter that nothing matches, and
//! members that were asked for and that nothing has.
//!
//! Many APIs give an empty list for a filter that they take for something else, and leave out without a
//! word what they do not know.

use std::borrow::Cow;

use dadl_text::{json::scan, text::cut_text};
use serde_json::Value;

use crate::{call::CallArguments, outcome::JsonText};

/// So many missing members are named.
const MOST_NAMES: usize = 10;

/// A longer name is cut, in characters.
const LONGEST_NAME: usize = 60;

/// So many members are looked for.
const MOST_WANTED: usize = 200;

/// Returns whether any argument is one that an answer can say something about.
pub(crate) fn may_be_made(arguments: &CallArguments) -> bool {
    arguments.iter().any(|(param, _)| param.rules.is_some())
}

/// Returns what the selected answer says about the arguments that somebody is to hear about, in
/// sentences.
pub(crate) fn remarks(
    arguments: &CallArguments,
    selected: &JsonText,
    is_asked: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let Some(mut items) = selected.items() else { return Vec::new() };
    let is_empty = items.next().is_none();
    let mut sentences = Vec::new();
    for (entry, value) in arguments.named() {
        let Some(rules) = &entry.param.rules else { continue };
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            // A list of names goes out as text with commas.
            Value::Array(names) if rules.names_members => {
                names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",").into()
            }
            _ => continue,
        };
        // A default is right, and nobody chose it.
        let is_default = entry.param.default.as_deref() == Some(value);
        if text.trim().is_empty() || is_default || !is_asked(&text) {
            continue;
        }
        let property = &entry.property;
        if let Some(language) = rules.language.as_ref().filter(|_| is_empty) {
            sentences.push(format!("nothing matches `{property}`: {}", language.said));
        }
        if rules.names_members && !is_empty {
            sentences.extend(missing_remark(property, &text, selected));
        }
    }
    sentences
}

/// Says which of the members that were asked for no item has.
fn missing_remark(property: &str, wanted: &str, selected: &JsonText) -> Option<String> {
    let names = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut missing: Vec<&str> = names.take(MOST_WANTED).collect();
    if missing.contains(&"*") {
        return None;
    }
    for item in selected.items()? {
        // What is no object, such as a URL, has no members to miss.
        scan::object_members(item)?;
        missing.retain(|name| !has_member(item, name));
        if missing.is_empty() {
            return None;
        }
    }
    let shown = missing.iter().take(MOST_NAMES);
    let shown: Vec<String> =
        shown.map(|name| format!("`{}`", cut_text(name, LONGEST_NAME))).collect();
    let more = missing.len().saturating_sub(MOST_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!(
        "no item has {}{more}, which `{property}` names: the name is wrong, or nothing has a value there",
        shown.join(", ")
    ))
}

/// Returns whether an object has a member, or what a dotted name leads to.
fn has_member(item: &str, name: &str) -> bool {
    let member = |object: &str, name: &str| scan::member_at(object, &[name]).is_some();
    if member(item, name) {
        return true;
    }
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() > 1 && scan::member_at(item, &parts).is_some()
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::{ValueRules, filters::FilterLanguage};
    use serde_json::json;

    use super::*;
    use crate::{call, catalog::fixture};

    fn said(arguments: Value, answer: &str) -> Vec<String> {
        let mut tool =
            fixture::tool("GET", "/x", &["filter:query:string", "fields:query:string=\"id\""]);
        let language = FilterLanguage {
            units: true,
            said: "write a:b".to_owned(),
            ..FilterLanguage::default()
        };
        tool.params[0].rules =
            Some(Box::new(ValueRules { language: Some(language.into()), ..ValueRules::default() }));
        tool.params[1].rules =
            Some(Box::new(ValueRules { names_members: true, ..ValueRules::default() }));
        let catalog = fixture::catalog(vec![tool]);
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        let arguments = call::check_arguments(&catalog.entries()[0], arguments).unwrap();
        assert!(may_be_made(&arguments));
        remarks(&arguments, &JsonText::parse(answer).unwrap(), &|_| true)
    }

    #[test]
    fn an_empty_list_says_how_filters_are_written() {
        let expected = ["nothing matches `filter`: write a:b"];
        assert_eq!(said(json!({"filter": "x", "fields": "y"}), "[ ]"), expected);
        for (arguments, answer) in [
            (json!({"filter": "x"}), "[1]"),
            (json!({"filter": " "}), "[]"),
            (json!({}), "[]"),
            (json!({"filter": "x"}), "{}"),
        ] {
            assert_eq!(said(arguments, answer), [""; 0], "{answer}");
        }
    }

    #[test]
    fn members_that_nothing_has_are_named() {
        let list = r#"[{"id":1},{"id":2,"name":"x","memory":{"size":5},"a.b":1}]"#;
        let of = |fields: &str| said(json!({ "fields": fields }), list);
        for fine in ["id", "name, id", "memory.size", "a.b", "*", "x,*", ""] {
            assert_eq!(of(fine), [""; 0], "{fine}");
        }
        let reason = "which `fields` names: the name is wrong, or nothing has a value there";
        assert_eq!(of("id,nmae"), [format!("no item has `nmae`, {reason}")]);
        assert_eq!(
            of("memory.sizes,id.x"),
            [format!("no item has `memory.sizes`, `id.x`, {reason}")]
        );
        assert_eq!(said(json!({"fields": "nope"}), r#"["/x/1"]"#), [""; 0]);
        assert_eq!(said(json!({"fields": "nope"}), "[]"), [""; 0]);
        let many = (0..30).map(|n| format!("n{n}")).collect::<Vec<_>>().join(",");
        assert!(of(&many)[0].contains("`n9` and 20 more"), "{:?}", of(&many));
    }
}
