//! Words of a document for a descriptor: names in snake case, and prose of one line.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::schema::Shape;
use crate::descriptor::model::ParamKind;

/// So many values of an enumeration are listed; of more, the first ones are.
pub(super) const MAX_VALUES: usize = 40;

/// Of a long enumeration so many values are listed.
const SOME_VALUES: usize = 8;

/// A longer value is cut in a description, in characters.
const MAX_VALUE: usize = 60;

/// The members of an object are described in so many characters.
const MAX_MEMBERS_TEXT: usize = 300;

/// The hexadecimal digits of a hash suffix.
const HASH_DIGITS: usize = 6;

/// Splits an identifier into its words in lower case: `GetVMs` is `get`, `vms`.
pub(super) fn words(identifier: &str) -> Vec<String> {
    let characters: Vec<char> = identifier.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, character) in characters.iter().copied().enumerate() {
        if !character.is_ascii_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let is_lower = |at: usize| characters.get(at).is_some_and(char::is_ascii_lowercase);
        let begins = character.is_ascii_uppercase()
            && match before {
                Some(before) if before.is_ascii_lowercase() || before.is_ascii_digit() => true,
                // `HTTPServer`, but not the plural `VMs`.
                Some(before) if before.is_ascii_uppercase() => {
                    let is_plural = characters.get(at + 1) == Some(&'s') && !is_lower(at + 2);
                    is_lower(at + 1) && !is_plural
                }
                _ => false,
            };
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(character.to_ascii_lowercase());
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns an identifier in snake case.
pub(super) fn snake(identifier: &str) -> String {
    words(identifier).join("_")
}

/// Returns a name of at most `max` characters: cut where a word ends, with a hash of what it stands
/// for behind.
pub(super) fn hashed(name: &str, identity: &str, max: usize) -> String {
    let digest = Sha256::digest(identity);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash.get(..HASH_DIGITS).unwrap_or_default();
    let room = max.saturating_sub(HASH_DIGITS + 1);
    let stem = if name.len() <= room {
        name
    } else {
        let cut = name.get(..room).unwrap_or(name);
        match cut.rfind('_') {
            Some(at) if at > room / 2 => cut.get(..at).unwrap_or(cut),
            _ => cut,
        }
    };
    format!("{}_{hash}", stem.trim_end_matches('_'))
}

/// Makes one line of prose: HTML and Markdown marks go, and what nobody sees.
pub(super) fn prose(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(4_096));
    // A longer text is cut anyway.
    let mut rest: String = text.chars().take(20_000).collect();
    rest = crate::text::plain(&rest).into_owned();
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
                        plain.push(' ');
                        rest = after.get(end + 1..).unwrap_or_default();
                        continue;
                    }
                    None => plain.push('<'),
                }
            }
            // `[text](address)` is its text.
            '[' => {
                if let Some((shown, behind)) = link(after) {
                    plain.push_str(shown);
                    rest = behind;
                    continue;
                }
                plain.push('[');
            }
            '*' if after.starts_with('*') => {
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            '`' => {}
            other => plain.push(other),
        }
        rest = after;
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
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
fn link(after: &str) -> Option<(&str, &str)> {
    let close = after.find(']').filter(|close| *close < 300)?;
    let (shown, rest) = (after.get(..close)?, after.get(close + 1..)?);
    let address = rest.strip_prefix('(')?;
    let end = address.find(')').filter(|end| *end < 2_000)?;
    Some((shown, address.get(end + 1..)?))
}

/// Cuts prose to `max` characters, at the end of a sentence where there is one.
///
/// Returns whether something was cut.
pub(super) fn cut(text: &str, max: usize) -> (String, bool) {
    let Some((end, _)) = text.char_indices().nth(max) else { return (text.to_owned(), false) };
    let head = text.get(..end).unwrap_or(text);
    let sentence = head.rfind(". ").filter(|at| *at * 3 > end).map(|at| at + 1);
    if let Some(sentence) = sentence {
        return (head.get(..sentence).unwrap_or(head).to_owned(), true);
    }
    let word = head.rfind(' ').filter(|at| *at * 2 > end).unwrap_or(end);
    let head = head.get(..word).unwrap_or(head).trim_end_matches([',', ';', ':', '-', ' ', '(']);
    (format!("{head} .."), true)
}

/// Returns the first paragraph of a text as prose.
pub(super) fn paragraph(text: &str) -> String {
    let first = text.split("\n\n").map(prose).find(|part| part.chars().any(char::is_alphanumeric));
    first.unwrap_or_default().trim_start_matches(['#', ' ']).to_owned()
}

/// Returns a value as a description shows it.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => prose(text),
        other => other.to_string(),
    };
    if text.chars().count() <= MAX_VALUE {
        return text;
    }
    let head: String = text.chars().take(MAX_VALUE).collect();
    format!("{head}..")
}

/// Lists the values of an enumeration; drift looks for each of them in a description.
pub(super) fn values(values: &[Value]) -> String {
    let listed = |values: &[Value]| values.iter().map(shown).collect::<Vec<_>>().join(", ");
    match values {
        [] => String::new(),
        [one] => format!("Always {}.", shown(one)),
        few if few.len() <= MAX_VALUES => format!("One of {}.", listed(few)),
        many => {
            let some = many.get(..SOME_VALUES).unwrap_or(many);
            format!("One of {} values, such as {}.", many.len(), listed(some))
        }
    }
}

/// Returns what a shape says besides its type, in short sentences.
pub(super) fn facts(shape: &Shape) -> Vec<String> {
    let mut facts = Vec::new();
    let items = shape.items.as_deref();
    if !shape.values.is_empty() {
        facts.push(values(&shape.values));
    } else if let Some(items) = items.filter(|items| !items.values.is_empty()) {
        facts.push(values(&items.values).replacen("One of", "Each one of", 1));
    }
    if let Some(format) = shape.format.as_deref().and_then(unit) {
        facts.push(format!("{format}."));
    } else if let Some(format) = items.and_then(|items| items.format.as_deref()).and_then(unit) {
        facts.push(format!("Each: {format}."));
    }
    let what = if shape.kinds.contains(ParamKind::Array) {
        " items"
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
    }
    if let Some(default) = shape.default.as_ref().filter(|value| is_short(value)) {
        facts.push(format!("Default {}.", shown(default)));
    }
    if let Some(example) = shape.example.as_ref().filter(|value| is_short(value))
        && shape.values.is_empty()
        && shape.format.as_deref().and_then(unit).is_none()
        && shape.default.is_none()
        && !matches!(example, Value::Bool(_))
    {
        facts.push(format!("E.g. {}.", shown(example)));
    }
    facts
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
pub(super) fn members(shape: &Shape) -> Option<(String, bool)> {
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

fn write_members(object: &Shape, depth: usize, text: &mut String) -> bool {
    let mut is_whole = true;
    text.push('{');
    let mut is_first = true;
    // What a caller must give comes first.
    let required = object.members.iter().filter(|member| member.required);
    let optional = object.members.iter().filter(|member| !member.required);
    for member in required.chain(optional).filter(|member| !member.shape.read_only) {
        if text.len() > MAX_MEMBERS_TEXT {
            text.push_str(", ..");
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

fn write_type(shape: &Shape, depth: usize, text: &mut String) -> bool {
    if !shape.values.is_empty() && shape.values.len() <= 8 {
        let values: Vec<String> = shape.values.iter().map(shown).collect();
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
                    _ => text.push_str(".."),
                }
                text.push(']');
            }
            ParamKind::Object if !shape.members.is_empty() && depth < 2 => {
                is_whole &= write_members(shape, depth + 1, text);
            }
            other => text.push_str(word(other)),
        }
    }
    if is_first {
        text.push_str("any");
    }
    is_whole
}

/// Returns DADL's word for a type.
pub(super) fn word(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::Array => "array",
        ParamKind::Boolean => "boolean",
        ParamKind::FileUrl => "file_url",
        ParamKind::Integer => "integer",
        ParamKind::Number => "number",
        ParamKind::Object => "object",
        ParamKind::String => "string",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_words() {
        for (name, expected) in [
            ("GetVMs", "get_vms"),
            ("listVIFs", "list_vifs"),
            ("HTTPServer", "http_server"),
            ("repos/list-for-org", "repos_list_for_org"),
            ("read_items_items__get", "read_items_items_get"),
            ("v2Größe", "v2_gr_e"),
            ("...", ""),
        ] {
            assert_eq!(snake(name), expected);
        }
    }

    #[test]
    fn long_names_end_at_a_word() {
        let name = hashed("read_core_v1_namespaced_replication_controller_scale", "x", 45);
        assert!(name.starts_with("read_core_v1_namespaced_replication_"), "{name}");
        assert!(name.len() <= 45);
        assert_ne!(name, hashed("read_core_v1_namespaced_replication_controller_scale", "y", 45));
    }

    #[test]
    fn prose_has_no_marks() {
        let text = "Lists **all** `VMs`,<br/>see [the guide](https://x/y).\n\n&lt;b&gt; a < b <field>\u{200b}";
        assert_eq!(prose(text), "Lists all VMs, see the guide. a < b <field>");
        assert_eq!(paragraph("# Title\n\nText"), "Title");
    }

    #[test]
    fn prose_is_cut_at_a_sentence() {
        assert_eq!(cut("One two. Three four five", 15), ("One two.".to_owned(), true));
        assert_eq!(cut("One two three four", 12), ("One two ..".to_owned(), true));
        assert_eq!(cut("One", 12), ("One".to_owned(), false));
    }

    #[test]
    fn enumerations_are_listed() {
        assert_eq!(values(&[json!("a"), json!(2), json!("")]), "One of a, 2, empty.");
        let many: Vec<Value> = (0..99).map(Value::from).collect();
        assert_eq!(values(&many), "One of 99 values, such as 0, 1, 2, 3, 4, 5, 6, 7.");
    }
}
