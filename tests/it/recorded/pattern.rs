//! How a recorded body stands for the body of a simulator.
//!
//! Both are compared line by line. A line of JSON is compared as JSON: each member has to be there, and
//! none beside it; texts and numbers are the same. What differs between two servers for no reason that
//! matters is written as one of these:
//!
//! ```text
//! "<*>"                  any text; inside a text, any part of it
//! "<number>" "<boolean>" any number, true or false
//! "<any>"                anything
//! "<text?>" "<number?>"  such a value, or null
//! "<more>": 0            a member of an object: there may be others, the record ends here
//! "<*>": X               a member of an object: all have names that do not matter, and are like X
//! [X, "<each>"]          one or more, all like X
//! [X, Y, "<more>"]       begins like this
//! <more>                 as the last line of a body: there may be more lines
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

/// Compares a body with the lines of the record.
pub(super) fn compare(pattern: &[String], body: &str, found: &mut BTreeMap<String, String>) {
    let (pattern, is_cut) = match pattern {
        [lines @ .., last] if last == "<more>" => (lines, true),
        lines => (lines, false),
    };
    let lines: Vec<&str> = if pattern.len() == 1 && !is_cut {
        // JSON may be laid out over lines.
        Vec::from_iter(Some(body.trim_end()).filter(|body| !body.is_empty()))
    } else {
        body.trim_end().lines().collect()
    };
    if lines.len() < pattern.len() || (lines.len() > pattern.len() && !is_cut) {
        let what = format!("{} lines, not {}", lines.len(), pattern.len());
        found.insert("body".to_owned(), what);
        return;
    }
    for (at, (pattern, line)) in pattern.iter().zip(lines).enumerate() {
        let root = if at == 0 { "$".to_owned() } else { format!("line {}: $", at + 1) };
        match (serde_json::from_str(pattern), serde_json::from_str(line)) {
            (Ok(pattern), Ok(value)) => value_differs(&root, &pattern, &value, found),
            _ if fits_text(pattern, line) => {}
            _ => {
                found.insert("body".to_owned(), format!("{line}, not {pattern}"));
            }
        }
    }
}

/// Returns whether a text fits a pattern, in which `<*>` is any part.
pub(super) fn fits_text(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split("<*>");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn value_differs(
    place: &str,
    pattern: &Value,
    value: &Value,
    found: &mut BTreeMap<String, String>,
) {
    let is_fine = match (pattern, value) {
        (Value::String(pattern), value) => is_text_or_kind(pattern, value),
        (Value::Array(patterns), Value::Array(items)) => {
            return items_differ(place, patterns, items, found);
        }
        (Value::Object(patterns), Value::Object(members)) => {
            if let Some(each) = patterns.get("<*>") {
                for (name, value) in members {
                    value_differs(&format!("{place}.{name}"), each, value, found);
                }
                return;
            }
            for (name, pattern) in patterns.iter().filter(|(name, _)| *name != "<more>") {
                let place = format!("{place}.{name}");
                match members.get(name) {
                    Some(value) => value_differs(&place, pattern, value, found),
                    None => _ = found.insert(place, "is not there".to_owned()),
                }
            }
            if !patterns.contains_key("<more>") {
                for name in members.keys().filter(|name| !patterns.contains_key(*name)) {
                    found.insert(format!("{place}.{name}"), "is too much".to_owned());
                }
            }
            return;
        }
        (pattern, value) => pattern == value,
    };
    if !is_fine {
        found.insert(place.to_owned(), format!("{value}, not {pattern}"));
    }
}

fn is_text_or_kind(pattern: &str, value: &Value) -> bool {
    match pattern {
        "<any>" => true,
        "<boolean>" => value.is_boolean(),
        "<number>" => value.is_number(),
        "<number?>" => value.is_number() || value.is_null(),
        "<text?>" => value.is_string() || value.is_null(),
        pattern => value.as_str().is_some_and(|text| fits_text(pattern, text)),
    }
}

fn items_differ(
    place: &str,
    patterns: &[Value],
    items: &[Value],
    found: &mut BTreeMap<String, String>,
) {
    let mark = |last: &Value, mark: &str| last.as_str() == Some(mark);
    let (patterns, is_right): (Vec<&Value>, bool) = match patterns {
        [each, last] if mark(last, "<each>") => (vec![each; items.len()], !items.is_empty()),
        [first @ .., last] if mark(last, "<more>") => {
            (first.iter().collect(), items.len() >= first.len())
        }
        all => (all.iter().collect(), items.len() == all.len()),
    };
    if !is_right {
        let what = format!("{} items: {}", items.len(), Value::from(items.to_vec()));
        found.insert(place.to_owned(), what);
        return;
    }
    for (at, (pattern, item)) in patterns.into_iter().zip(items).enumerate() {
        value_differs(&format!("{place}[{at}]"), pattern, item, found);
    }
}

#[test]
fn a_text_fits_by_its_parts() {
    assert!(fits_text("a<*>c", "abc") && fits_text("<*>", "") && fits_text("a<*>b<*>", "axxb"));
    assert!(!fits_text("a<*>c", "ab") && !fits_text("a", "ab") && !fits_text("a<*>a", "a"));
}
