//! Whether all parsers read the same from a text.
//!
//! JSON says neither what a name means that an object has twice nor how large a number may be (RFC 8259,
//! sections 4 and 6): some parsers take the last member and others refuse the whole text, or a number that they
//! cannot hold.

use super::scan;

/// A number with more characters, or with an exponent, may be more than a parser can hold.
const MOST_DIGITS: usize = 24;

/// Names of an object are compared with each other up to so many.
const MOST_NAMES: usize = 128;

/// Returns whether it is certain of compact JSON that all parsers read the same: it has small numbers, and objects
/// of a few names, without escapes, of which none is there twice.
pub fn is_agreed_on(json: &str) -> bool {
    let bytes = json.as_bytes();
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
            b'{' => {
                open.push(names.len());
                at += 1;
            }
            b'}' => {
                names.truncate(open.pop().unwrap_or_default());
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
    use serde_json::Value;

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
