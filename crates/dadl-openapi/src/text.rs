//! Prose of a document for a descriptor: on one line, without marks, and what a schema says.

use dadl_descriptor::model::ParamKind;
use dadl_text::text::{cut_prose, cut_text, plain_text, text_head};
use serde_json::Value;

use super::schema::ValueShape;

/// So many values of an enumeration are listed; of more, the first ones are.
pub(super) const MAX_VALUES: usize = 40;

/// Of a long enumeration so many values are listed.
const SOME_VALUES: usize = 8;

/// A longer value is cut in a description, in characters.
const MAX_VALUE: usize = 60;

/// The members of an object are described in so many characters.
const MAX_MEMBERS_TEXT: usize = 300;

/// Of a text so many characters are read: a longer one is cut anyway.
const MAX_READ: usize = 20_000;

/// Makes one line of prose: HTML and Markdown marks go, and what nobody sees.
pub(super) fn prose(text: &str) -> String {
    let mut prose = String::with_capacity(text.len().min(4_096));
    let mut rest = plain_text(text_head(text, MAX_READ)).into_owned();
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")]
    {
        if rest.contains(entity) {
            rest = rest.replace(entity, character);
        }
    }
    let mut rest = rest.as_str();
    while let Some(next) = rest.chars().next() {
        let after = rest.get(next.len_utf8()..).unwrap_or_default();
        match next {
            '<' => {
                // A tag begins with a letter or a slash and ends on the same line.
                let end = after.find('>').filter(|end| {
                    after.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
                        && *end < 200
                        && after.get(..*end).is_some_and(is_tag)
                });
                match end {
                    Some(end) => {
                        prose.push(' ');
                        rest = after.get(end + 1..).unwrap_or_default();
                        continue;
                    }
                    None => prose.push('<'),
                }
            }
            // `[text](address)` is its text.
            '[' => {
                if let Some((shown, behind)) = markdown_link(after) {
                    prose.push_str(shown);
                    rest = behind;
                    continue;
                }
                prose.push('[');
            }
            '*' if after.starts_with('*') => {
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            '`' => {}
            other => prose.push(other),
        }
        rest = after;
    }
    let words: Vec<&str> = prose.split_whitespace().collect();
    words.join(" ").replace("&amp;", "&")
}

/// Returns whether what is between `<` and `>` is an HTML tag and not, say, `<field>`.
fn is_tag(inside: &str) -> bool {
    const TAGS: &[&str] = &[
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
    ];
    let name = inside.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or_default();
    TAGS.contains(&name.to_ascii_lowercase().as_str())
}

/// Splits `text](address)` off.
fn markdown_link(after: &str) -> Option<(&str, &str)> {
    let close = after.find(']').filter(|close| *close < 300)?;
    let (shown, rest) = (after.get(..close)?, after.get(close + 1..)?);
    let address = rest.strip_prefix('(')?;
    let end = address.find(')').filter(|end| *end < 2_000)?;
    Some((shown, address.get(end + 1..)?))
}

/// Returns the first paragraph of a text as prose.
pub(super) fn paragraph(text: &str) -> String {
    let first = text.split("\n\n").map(prose).find(|part| part.chars().any(char::is_alphanumeric));
    first.unwrap_or_default().trim_start_matches(['#', ' ']).to_owned()
}

/// Returns a value as a description shows it.
pub(super) fn shown_value(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => prose(text),
        other => other.to_string(),
    };
    cut_text(&text, MAX_VALUE).into_owned()
}

/// Lists the values of an enumeration; drift looks for each of them in a description.
pub(super) fn shown_values(values: &[Value]) -> String {
    let listed = |values: &[Value]| values.iter().map(shown_value).collect::<Vec<_>>().join(", ");
    match values {
        [] => String::new(),
        [one] => format!("Always {}.", shown_value(one)),
        few if few.len() <= MAX_VALUES => format!("One of {}.", listed(few)),
        many => {
            let some = many.get(..SOME_VALUES).unwrap_or(many);
            format!("One of {} values, such as {}.", many.len(), listed(some))
        }
    }
}

/// Returns what a shape says besides its type, in short sentences.
pub(super) fn facts(shape: &ValueShape) -> Vec<String> {
    let mut facts = Vec::new();
    let items = shape.items.as_deref();
    if !shape.values.is_empty() {
        facts.push(shown_values(&shape.values));
    } else if let Some(items) = items.filter(|items| !items.values.is_empty()) {
        facts.push(shown_values(&items.values).replacen("One of", "Each one of", 1));
    }
    if let Some(format) = shape.format.as_deref().and_then(unit) {
        facts.push(format!("{format}."));
    } else if let Some(format) = items.and_then(|items| items.format.as_deref()).and_then(unit) {
        facts.push(format!("Each: {format}."));
    }
    let what = if shape.kinds.contains(ParamKind::Array) {
        " items"
    } else if shape.kinds.contains(ParamKind::Object) {
        " members"
    } else if shape.kinds.contains(ParamKind::String) && !shape.kinds.contains(ParamKind::Integer) {
        " characters"
    } else {
        ""
    };
    if shape.values.is_empty() {
        facts.extend(match (shape.min.as_deref(), shape.max.as_deref()) {
            (Some(min), Some(max)) if min == max => Some(format!("{min}{what}.")),
            (Some(min), Some(max)) => Some(format!("{min} to {max}{what}.")),
            // At least nothing says nothing.
            (Some("0"), None) => None,
            (Some(min), None) => Some(format!("At least {min}{what}.")),
            (None, Some(max)) => Some(format!("At most {max}{what}.")),
            (None, None) => None,
        });
        facts.extend(shape.checks.iter().cloned());
    }
    if let Some(default) = shape.default.as_ref().filter(|value| is_short(value)) {
        facts.push(format!("Default {}.", shown_value(default)));
    }
    if let Some(example) = shape.example.as_ref().filter(|value| is_short(value))
        && shape.values.is_empty()
        && shape.format.as_deref().and_then(unit).is_none()
        && shape.default.is_none()
        && !matches!(example, Value::Bool(_))
    {
        facts.push(format!("E.g. {}.", shown_value(example)));
    }
    facts
}

/// Returns whether the server checks something within the value that nothing says.
pub(super) fn has_checks_inside(shape: &ValueShape) -> bool {
    let has_checks = |inner: &ValueShape| {
        let is_least = |min: &str| min != "0";
        inner.values.is_empty()
            && (inner.min.as_deref().is_some_and(is_least)
                || inner.max.is_some()
                || !inner.checks.is_empty())
            || has_checks_inside(inner)
    };
    shape.items.as_deref().is_some_and(has_checks)
        || shape.members.iter().any(|member| !member.shape.read_only && has_checks(&member.shape))
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && text.len() <= MAX_VALUE,
        Value::Bool(_) | Value::Number(_) => true,
        Value::Array(items) => !items.is_empty() && value.to_string().len() <= MAX_VALUE,
        Value::Null | Value::Object(_) => false,
    }
}

/// Returns the words for a format that says more than the type does.
fn unit(format: &str) -> Option<&str> {
    match format {
        "int32" | "int64" | "double" | "float" | "binary" | "string" | "integer" | "number"
        | "boolean" | "" | "int" | "long" => None,
        "byte" | "base64" => Some("Base64"),
        "date" => Some("YYYY-MM-DD"),
        "date-time" => Some("Date and time (RFC 3339)"),
        "unix-time" | "timestamp" => Some("Seconds since 1970"),
        "uuid" => Some("UUID"),
        "uri" | "url" => Some("URL"),
        "email" => Some("E-mail address"),
        other if other.len() <= 40 && !other.contains(|it: char| it.is_control()) => Some(other),
        _ => None,
    }
}

/// Describes the members of an object, or of the objects of an array: `{name: string, size?:
/// integer}`. The flag says that not all of it had room.
pub(super) fn member_list(shape: &ValueShape) -> Option<(String, bool)> {
    let object = match shape.items.as_deref() {
        Some(items) if shape.members.is_empty() => items,
        _ => shape,
    };
    if object.members.is_empty() {
        return None;
    }
    let mut text = String::new();
    let is_whole = write_members(object, 0, &mut text);
    Some((text, !is_whole))
}

fn write_members(object: &ValueShape, depth: usize, text: &mut String) -> bool {
    let mut is_whole = true;
    text.push('{');
    let mut is_first = true;
    // What a caller must give comes first.
    let required = object.members.iter().filter(|member| member.required);
    let optional = object.members.iter().filter(|member| !member.required);
    for member in required.chain(optional).filter(|member| !member.shape.read_only) {
        if text.len() > MAX_MEMBERS_TEXT {
            text.push_str(", …");
            is_whole = false;
            break;
        }
        if !is_first {
            text.push_str(", ");
        }
        is_first = false;
        text.push_str(&prose(&member.name));
        text.push_str(if member.required { ": " } else { "?: " });
        is_whole &= write_type(&member.shape, depth, text);
    }
    text.push('}');
    is_whole
}

fn write_type(shape: &ValueShape, depth: usize, text: &mut String) -> bool {
    if !shape.values.is_empty() && shape.values.len() <= 8 {
        let values: Vec<String> = shape.values.iter().map(shown_value).collect();
        text.push_str(&values.join("|"));
        return true;
    }
    let mut is_whole = true;
    let mut is_first = true;
    for kind in shape.kinds.iter() {
        if !is_first {
            text.push('|');
        }
        is_first = false;
        match kind {
            ParamKind::Array => {
                text.push('[');
                match shape.items.as_deref() {
                    Some(items) if depth < 3 => is_whole &= write_type(items, depth + 1, text),
                    _ => text.push('…'),
                }
                text.push(']');
            }
            ParamKind::Object if !shape.members.is_empty() && depth < 2 => {
                is_whole &= write_members(shape, depth + 1, text);
            }
            ParamKind::Object if shape.is_cut || !shape.members.is_empty() => {
                text.push_str("object");
                is_whole = false;
            }
            other => text.push_str(kind_word(other)),
        }
    }
    if is_first {
        text.push_str("any");
    }
    is_whole
}

/// Returns DADL's word for a type.
pub(super) fn kind_word(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Array => "array",
        ParamKind::Boolean => "boolean",
        ParamKind::FileUrl => "file_url",
        ParamKind::Integer => "integer",
        ParamKind::Number => "number",
        ParamKind::Object => "object",
        ParamKind::String => "string",
        ParamKind::Union(_) => "any",
    }
}

/// A longer description is cut, in characters: models read it in each conversation.
pub(super) const MAX_DESCRIPTION: usize = 240;

/// Returns a text of the document as a description; `None` when it says nothing.
pub(super) fn clean_description(text: &str) -> Option<String> {
    let line = prose(text);
    (!line.is_empty()).then(|| cut_prose(&line, MAX_DESCRIPTION).0.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prose_has_no_marks() {
        let text = "Lists **all** `VMs`,<br/>see [the guide](https://x/y).\n\n&lt;b&gt; a < b <field>\u{200b}";
        assert_eq!(prose(text), "Lists all VMs, see the guide. a < b <field>");
        assert_eq!(paragraph("# Title\n\nText"), "Title");
    }

    #[test]
    fn enumerations_are_listed() {
        assert_eq!(shown_values(&[json!("a"), json!(2), json!("")]), "One of a, 2, empty.");
        let many: Vec<Value> = (0..99).map(Value::from).collect();
        assert_eq!(shown_values(&many), "One of 99 values, such as 0, 1, 2, 3, 4, 5, 6, 7.");
    }
}
