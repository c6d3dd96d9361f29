//! What the tree of a text would take in memory, before it is built.

use serde_json::Value;

use super::scan;

/// Trees are not built deeper (the bound of the parser).
const DEEPEST: usize = 128;

/// What the allocator adds to a block, and rounds it up by.
const BLOCK: u64 = 32;

/// The place of a value in an array or as a member.
const VALUE: u64 = size_of::<Value>() as u64;

/// A member: its hash, its name and its value.
const MEMBER: u64 = 8 + size_of::<String>() as u64 + VALUE;

/// The place of a member in the index of an object, with a control byte.
const INDEX: u64 = 9;

/// A tree that takes more is not built where one value is wanted.
const SMALL: u64 = 256 * 1024;

/// Returns how many bytes the tree of a valid text takes at most, while it is built and after; more than
/// `u64::MAX / 2` when it is too deep for a tree.
pub fn parse_cost(text: &str) -> u64 {
    of_bytes(text.as_bytes())
}

/// Returns the same of bytes that nobody has checked: whatever a parser builds of them before it finds
/// what is wrong.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let mut cost = VALUE;
    let mut open: Vec<(bool, u64)> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(end) = scan::string_end(bytes, at) else { break };
                // A string with escapes is put together in a buffer before it is copied.
                cost += (end - at) as u64 * 2 + BLOCK;
                at = end;
                continue;
            }
            b'[' | b'{' => {
                if open.len() >= DEEPEST {
                    return u64::MAX;
                }
                let is_empty = matches!(bytes.get(at + 1), Some(b']' | b'}'));
                open.push((*byte == b'{', u64::from(!is_empty)));
            }
            b',' => {
                if let Some((_, count)) = open.last_mut() {
                    *count += 1;
                }
            }
            b']' | b'}' => {
                if let Some((is_object, count)) = open.pop() {
                    cost += container(is_object, count);
                }
            }
            _ => {}
        }
        at += 1;
    }
    cost
}

/// Returns the tree of a value, unless it is large or too deep.
pub fn small(text: &str) -> Option<Value> {
    parse_tree(text, SMALL)
}

/// Returns the tree of a value that takes at most `most` bytes; nothing when it is no value.
pub fn parse_tree(text: &str, most: u64) -> Option<Value> {
    (parse_cost(text) <= most).then(|| serde_json::from_str(text).ok()).flatten()
}

/// What a container takes beside what its values have of their own. Room is doubled when there is too
/// little, and the old is there until the new is filled.
fn container(is_object: bool, count: u64) -> u64 {
    if count == 0 {
        return 0;
    }
    let (places, room) = if is_object {
        let places = (count * 8).div_ceil(7).next_power_of_two().max(4);
        (places, places * 7 / 8 * MEMBER + places * INDEX)
    } else {
        let places = count.next_power_of_two().max(4);
        (places, places * VALUE)
    };
    let old = if places > 4 { room / 2 } else { 0 };
    room + old + 3 * BLOCK
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::path::tests::value;

    /// What a tree holds, by the capacities of its parts.
    fn real(value: &Value) -> u64 {
        VALUE + held(value)
    }

    fn held(value: &Value) -> u64 {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.capacity() as u64,
            Value::Array(items) => {
                items.capacity() as u64 * VALUE + items.iter().map(held).sum::<u64>()
            }
            Value::Object(members) => {
                let inner = |(name, value): (&String, &Value)| name.capacity() as u64 + held(value);
                members.len() as u64 * (MEMBER + INDEX) + members.iter().map(inner).sum::<u64>()
            }
        }
    }

    #[test]
    fn small_values_are_the_dearest() {
        for text in ["[0]", "[[]]", r#"{"":0}"#, "[0,0,0,0,0]"] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert!(parse_cost(text) >= real(&value), "{text}");
            assert!(parse_cost(text) < 40 * real(&value), "{text}");
        }
        assert_eq!(parse_cost("1"), VALUE);
        assert_eq!(parse_cost(&("[".repeat(200) + &"]".repeat(200))), u64::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_tree_takes_more(value in value()) {
            let text = value.to_string();
            let parsed: Value = serde_json::from_str(&text).unwrap();
            prop_assert!(parse_cost(&text) >= real(&parsed));
        }
    }
}
