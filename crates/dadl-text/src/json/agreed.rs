//! Whether all parsers read the same from a text.
//!
//! JSON says neither what a name means that an object has twice nor how large a number or how deep a value may be
//! (RFC 8259, sections 4, 6 and 9): some parsers take the last member and others refuse the whole text, or a number
//! that they cannot hold.

use serde_json::Value;

use super::scan;

/// A number with more characters, or with an exponent, may be more than a parser can hold.
const MOST_DIGITS: usize = 24;

/// Names of an object are compared with each other up to so many.
const MOST_NAMES: usize = 128;

/// So many objects and lists may be within each other. A message has two or three around a value, and `System.Text.Json`
/// of .NET takes 64 in all, fewer than others: serde_json 128, Jackson 1,000, Python about as many.
const MOST_LEVELS: usize = 56;

/// Returns whether no usual parser finds a value too deep.
pub fn is_shallow(value: &Value) -> bool {
    is_within(value, MOST_LEVELS)
}

/// Returns whether a value has at most so many objects and lists within each other.
pub fn is_within(value: &Value, levels: usize) -> bool {
    let inner = |value| is_within(value, levels - 1);
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(inner),
        Value::Object(members) => levels > 0 && members.values().all(inner),
        _ => true,
    }
}

/// Returns whether it is certain of compact JSON that all parsers read the same: it has small numbers, is not deep, and
/// its objects have a few names, without escapes, of which none is there twice.
pub fn is_agreed_on(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut levels = 0_usize;
    // The names of all objects that are open, and how many of them there were before each of these began.
    let (mut names, mut open): (Vec<&[u8]>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(end) = scan::string_end(bytes, at) else { return false };
                if bytes.get(end) == Some(&b':') {
                    let name = bytes.get(at..end).unwrap_or_default();
                    let own = open.last().and_then(|start| names.get(*start..));
                    let own = own.unwrap_or_default();
                    if own.len() >= MOST_NAMES || own.contains(&name) || name.contains(&b'\\') {
                        return false;
                    }
                    names.push(name);
                }
                at = end;
            }
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let is_digit = |byte: &&u8| matches!(byte, b'-' | b'.' | b'0'..=b'9');
                let length = rest.iter().take_while(is_digit).count();
                at += length;
                if length > MOST_DIGITS || matches!(bytes.get(at), Some(b'e' | b'E')) {
                    return false;
                }
            }
            b'{' | b'[' => {
                levels += 1;
                if levels > MOST_LEVELS {
                    return false;
                }
                if *byte == b'{' {
                    open.push(names.len());
                }
                at += 1;
            }
            b'}' | b']' => {
                levels = levels.saturating_sub(1);
                if *byte == b'}' {
                    names.truncate(open.pop().unwrap_or_default());
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_parsers_read_in_several_ways_is_told() {
        for (json, expect) in [
            ("1", true),
            (r#"{"a":{"a":[{"a":"a"},{"a":1}]},"b":"a"}"#, true),
            (r#"[true,-12.50,"1e999",{}]"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"[{"b":{"c":1},"a":{"b":1},"b":2}]"#, false),
            (r#"{"\/":1,"/":2}"#, false),
            ("[1e999]", false),
            ("[-1E5]", false),
        ] {
            assert_eq!(is_agreed_on(json), expect, "{json}");
        }
        assert!(is_agreed_on(&format!("[{}]", "9".repeat(MOST_DIGITS))));
        assert!(!is_agreed_on(&format!("[{}]", "9".repeat(MOST_DIGITS + 1))));
        let names = |count: usize| {
            let members: Vec<String> = (0..count).map(|it| format!("\"{it}\":{{}}")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(is_agreed_on(&names(MOST_NAMES)) && !is_agreed_on(&names(MOST_NAMES + 1)));
    }

    #[test]
    fn depth_is_told_of_texts_and_trees() {
        let nested =
            |levels: usize| ["{\"a\":[".repeat(levels / 2), "]}".repeat(levels / 2)].concat();
        for (json, expect) in [
            (nested(MOST_LEVELS), true),
            (nested(MOST_LEVELS + 2), false),
            (format!("[{}]", vec!["[{}]"; MOST_LEVELS].join(",")), true),
            (format!("[{}]", nested(MOST_LEVELS)), false),
            (format!("[\"{}\"]", "[{".repeat(MOST_LEVELS)), true),
        ] {
            assert_eq!(is_agreed_on(&json), expect, "{json}");
            assert_eq!(is_shallow(&serde_json::from_str(&json).unwrap()), expect, "{json}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What is agreed on is what its tree says.
        #[test]
        fn nothing_is_lost(
            json in r#"(\{("a":(1|"b"|\{"a":2\}),){0,3}"(a|c)":[1-9][0-9]{0,19}\})|\[([1-9]{1,3},){0,9}"x"\]"#,
        ) {
            let value: Value = serde_json::from_str(&json).unwrap();
            let again = value.to_string();
            let loses = |json: &str| json.matches(':').count() + json.matches(',').count();
            prop_assert!(!is_agreed_on(&json) || loses(&again) == loses(&json), "{json}");
        }
    }
}
