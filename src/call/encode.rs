//! Percent-encoding (RFC 3986) and the flat form of query values.
//!
//! Values are encoded down to the unreserved characters, so that no value can end its segment or
//! its pair, whatever the server splits at. Text of the descriptor keeps its delimiters.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Everything but the unreserved characters (RFC 3986, section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What neither a path nor a query may contain. The URL parser would encode some of it in one
/// and not in the other, and takes a backslash for a slash.
pub(crate) const TEXT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// [`VALUE`] without the delimiters that a query may hold and that end nothing in it.
const RESERVED: &AsciiSet = &VALUE
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';');

/// The same for the items of a list.
const RESERVED_ITEM: &AsciiSet = &RESERVED.add(b',');

/// Returns a value, encoded.
pub(super) fn encode_value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// Returns a value of a query that may hold delimiters (`allow_reserved`).
pub(super) fn encode_reserved(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns an item of a list in a query that may hold delimiters.
pub(super) fn reserved_item(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_ITEM).to_string()
}

/// Appends a pair whose halves are encoded.
pub(super) fn push_pair(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    query.push_str(value);
}

/// Appends text of the descriptor; what it has encoded already stays so.
pub(super) fn push_text(target: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, from_percent) = rest.split_at(at);
        let after = from_percent.get(1..).unwrap_or_default();
        let encoded = after.len() >= 2 && after.bytes().take(2).all(|b| b.is_ascii_hexdigit());
        target.extend(utf8_percent_encode(before, TEXT));
        target.push_str(if encoded { "%" } else { "%25" });
        rest = after;
    }
    target.extend(utf8_percent_encode(rest, TEXT));
}

/// Appends a parameter to a query.
///
/// Arrays repeat the name, objects become `name[key]=value`, and null, an empty array and an
/// empty object are left out: a query has no form for them.
pub(super) fn push_query(query: &mut String, name: &str, value: &Value) {
    push_pairs(query, name, value, encode_value);
}

/// Appends a parameter to a query, its scalars written by `encode`.
pub(super) fn push_pairs(
    query: &mut String,
    name: &str,
    value: &Value,
    encode: fn(&str) -> String,
) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if item.is_array() || item.is_object() {
                    // Repeating the name would mix the members of neighbors.
                    let name = name.strip_suffix("[]").unwrap_or(name);
                    push_pairs(query, &format!("{name}[{at}]"), item, encode);
                } else {
                    push_pairs(query, name, item, encode);
                }
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                push_pairs(query, &format!("{name}[{key}]"), member, encode);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            if let Some(text) = scalar_text(value) {
                push_pair(query, &encode_value(name), &encode(&text));
            }
        }
    }
}

/// Returns the text of a scalar. Integers have all their digits; fractions are the shortest text
/// that reads back as the same number.
pub(super) fn scalar_text(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Bool(true) => Some("true".into()),
        Value::Bool(false) => Some("false".into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(name: &str, value: Value) -> String {
        let mut query = String::new();
        push_query(&mut query, name, &value);
        query.replace("%5B", "[").replace("%5D", "]")
    }

    #[test]
    fn text_keeps_delimiters_and_what_is_encoded() {
        let text = |text| {
            let mut target = String::new();
            push_text(&mut target, text);
            target
        };
        assert_eq!(text("/a:b;c=d,e@f!$&()*+~"), "/a:b;c=d,e@f!$&()*+~");
        assert_eq!(text("/a b%20c%zz%"), "/a%20b%20c%25zz%25");
        assert_eq!(text("/ü\\x"), "/%C3%BC%5Cx");
        assert_eq!(text("%ü"), "%25%C3%BC");
    }

    #[test]
    fn scalars_are_text() {
        assert_eq!(query("a", json!("x y+z&=%/?#")), "a=x%20y%2Bz%26%3D%25%2F%3F%23");
        assert_eq!(query("a", json!("")), "a=");
        assert_eq!(query("a", json!(u64::MAX)), "a=18446744073709551615");
        assert_eq!(query("a", json!(0.1)), "a=0.1");
        assert_eq!(query("a", json!(false)), "a=false");
        assert_eq!(query("a", json!(null)), "");
    }

    #[test]
    fn arrays_repeat_the_name() {
        assert_eq!(query("a", json!([1, "b", true])), "a=1&a=b&a=true");
        assert_eq!(query("a[]", json!([1, 2])), "a[]=1&a[]=2");
        assert_eq!(query("a", json!([])), "");
        assert_eq!(query("a", json!([null, 1])), "a=1");
        assert_eq!(query("a[]", json!([{"b": 1}, {"b": 2}])), "a[0][b]=1&a[1][b]=2");
    }

    #[test]
    fn objects_become_brackets() {
        let value = json!({"a": 1, "b": {"c": [1, 2], "d": null}});
        assert_eq!(query("f", value), "f[a]=1&f[b][c]=1&f[b][c]=2");
    }
}
