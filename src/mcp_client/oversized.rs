//! The id of a message that is too long to be kept, or that cannot be read.
//!
//! The message goes by piece by piece; what is remembered is where in its structure the reader is, and the
//! member `id` of the object that the message is, wherever it stands among the others.

use rmcp::model::RequestId;

/// A longer name of a member is not `id` nor `method`.
const LONGEST_NAME: usize = 8;

/// A longer id is none of ours.
const LONGEST_ID: usize = 64;

/// Finds the id of a message.
#[derive(Debug, Default)]
pub(super) struct IdFinder {
    depth: usize,
    /// Whether the reader is within a string, and whether the next byte is escaped.
    in_string: bool,
    is_escaped: bool,
    /// Whether the next string at the first level is the name of a member.
    expects_name: bool,
    /// Whether the string that is read is such a name.
    is_name: bool,
    name: Vec<u8>,
    /// The value of `id`, once it has begun.
    id: Option<Vec<u8>>,
    in_id: bool,
    has_method: bool,
}

impl IdFinder {
    /// Reads on.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.in_string {
                // Most of a long message is one string.
                if !self.is_escaped && !self.is_name && !self.in_id {
                    let end = memchr::memchr2(b'"', b'\\', bytes);
                    let Some(end) = end else { return };
                    if end > 0 {
                        bytes = bytes.get(end..).unwrap_or_default();
                        continue;
                    }
                }
                self.string_byte(byte);
            } else {
                self.other_byte(byte);
            }
            bytes = rest;
        }
    }

    fn string_byte(&mut self, byte: u8) {
        let ends = byte == b'"' && !self.is_escaped;
        self.is_escaped = byte == b'\\' && !self.is_escaped;
        if self.in_id {
            self.keep(byte);
        }
        if ends {
            self.in_string = false;
        } else if self.is_name && self.name.len() <= LONGEST_NAME {
            self.name.push(byte);
        }
    }

    fn other_byte(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.is_name = self.depth == 1 && self.expects_name;
                if self.is_name {
                    self.name.clear();
                    self.expects_name = false;
                }
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.expects_name = self.depth == 1 && byte == b'{';
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.in_id &= self.depth > 0;
            }
            b',' if self.depth == 1 => {
                self.in_id = false;
                self.expects_name = true;
            }
            b':' if self.depth == 1 && self.is_name => {
                self.is_name = false;
                self.has_method |= self.name == b"method";
                self.in_id = self.name == b"id";
                if self.in_id {
                    self.id = Some(Vec::new());
                }
                return;
            }
            _ => {}
        }
        if self.in_id {
            self.keep(byte);
        }
    }

    fn keep(&mut self, byte: u8) {
        match &mut self.id {
            Some(id) if id.len() <= LONGEST_ID => id.push(byte),
            _ => {}
        }
    }

    /// Returns the id, when the message is an answer that has one.
    pub(super) fn answered(&self) -> Option<RequestId> {
        let id = self.id.as_ref().filter(|_| !self.has_method)?;
        serde_json::from_slice(id).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn found(text: &str, piece: usize) -> Option<RequestId> {
        let mut finder = IdFinder::default();
        text.as_bytes().chunks(piece.max(1)).for_each(|piece| finder.push(piece));
        finder.answered()
    }

    #[test]
    fn the_id_is_that_of_the_message_alone() {
        for (text, expected) in [
            (r#"{"id":1,"result":{"id":2}}"#, Some(RequestId::Number(1))),
            (r#"{"result":{"id":2,"x":["id",":",3]},"id": 1 }"#, Some(RequestId::Number(1))),
            (r#"{"id":"a\"b","result":"#, Some(RequestId::String("a\"b".into()))),
            (r#"{"id":5,"method":"ping"}"#, None),
            (r#"{"result":{"id":2}}"#, None),
            (r#"{"x":"id","y":7}"#, None),
            (r#"{"id":{"a":1}}"#, None),
            (r#"[{"id":1}]"#, None),
            (r#""id":1"#, None),
            (r#"{"id":12"#, Some(RequestId::Number(12))),
        ] {
            for piece in [1, 2, 3, 1000] {
                assert_eq!(found(text, piece), expected, "{text}");
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            "[id\"\\\\:,{}\\[\\]é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("id|\"|method|a", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_found_wherever_the_message_is_cut(
            result in value(), id in any::<i64>(), is_first in any::<bool>(), piece in 1_usize..40,
        ) {
            let mut message = Map::new();
            let members = [("id", json!(id)), ("result", result)];
            let members: Vec<_> = if is_first { members.into() } else { members.into_iter().rev().collect() };
            message.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
            let text = Value::Object(message).to_string();
            prop_assert_eq!(found(&text, piece), Some(RequestId::Number(id)));
        }
    }
}
