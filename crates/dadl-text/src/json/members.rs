//! Leaves members out of an object, or out of the objects of a list.

use super::scan;
use crate::growth;

/// Returns a text without the members for which `is_dropped` holds, which hears the name without its quotes
/// and the value; `None` when every member stays.
///
/// Looked at are the members of the object that the text is, or of the objects that are the items of its
/// list, and none within their values. An object of which nothing would be left stays as it is.
pub fn without_members(text: &str, is_dropped: &dyn Fn(&str, &str) -> bool) -> Option<String> {
    let mut left = MembersLeft { text, is_dropped, written: String::new(), from: 0 };
    // What is no JSON, if anything is, stays from there on.
    let _ = match text.starts_with('[') {
        true => left.items(),
        false => left.value(0).map(drop),
    };
    left.finish()
}

/// Returns whether a value says nothing: null, and text, a list or an object without content.
pub fn is_empty_value(value: &str) -> bool {
    matches!(value, "null" | "\"\"" | "[]" | "{}")
}

struct MembersLeft<'run> {
    text: &'run str,
    is_dropped: &'run dyn Fn(&str, &str) -> bool,
    /// What stays of the text before `from`, when it is less.
    written: String,
    from: usize,
}

impl MembersLeft<'_> {
    fn items(&mut self) -> Option<()> {
        let mut at = 1;
        while self.byte(at)? != b']' {
            let end = self.value(at).filter(|end| *end > at)?;
            at = if self.byte(end) == Some(b',') { end + 1 } else { end };
        }
        Some(())
    }

    /// Looks at the value that begins at `start`; returns where it ends.
    fn value(&mut self, start: usize) -> Option<usize> {
        if self.byte(start)? != b'{' {
            return scan::value_end(self.text.as_bytes(), start);
        }
        let before = (self.written.len(), self.from);
        let (mut stays, mut is_last_dropped) = (false, false);
        let mut at = start + 1;
        let mut members = scan::object_members(self.text.get(start..)?)?;
        while let Some((name, value)) = members.next() {
            let behind = start + members.place();
            is_last_dropped =
                scan::unquote(name).is_some_and(|name| (self.is_dropped)(&name, value));
            if is_last_dropped {
                self.drop_part(at, behind);
            }
            stays |= !is_last_dropped;
            at = behind;
        }
        if !stays {
            // Back to what there was before this object.
            self.written.truncate(before.0);
            self.from = before.1;
        } else if is_last_dropped {
            // The comma behind the last one that stays.
            self.written.pop();
        }
        (self.byte(at)? == b'}').then_some(at + 1)
    }

    /// Leaves out what is between two places.
    fn drop_part(&mut self, start: usize, end: usize) {
        if self.written.capacity() == 0 {
            self.written = growth::text_buffer(self.text.len());
        }
        self.written.push_str(self.text.get(self.from..start).unwrap_or_default());
        self.from = end;
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn finish(self) -> Option<String> {
        let mut written = self.written;
        if self.from == 0 {
            return None;
        }
        written.push_str(self.text.get(self.from..).unwrap_or_default());
        Some(growth::shortened(written, self.text.len()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::json::path::tests::value;

    fn left(text: &str) -> Option<String> {
        without_members(text, &|name, value| name == "é" || is_empty_value(value))
    }

    #[test]
    fn members_of_an_object_and_of_items_are_left_out() {
        for (text, expected) in [
            (r#"{"a":1,"b":null,"c":[],"é":"x"}"#, Some(r#"{"a":1}"#)),
            (
                r#"[{"b":"","a":1},2,{"a":{}},{"a":{},"\u00e9":1,"c":false}]"#,
                Some(r#"[{"a":1},2,{"a":{}},{"c":false}]"#),
            ),
            // Nothing within a value, and no item of a list.
            (r#"{"a":{"b":null},"c":[null,"",{}]}"#, None),
            (r#"[null,"",[],{},[{"a":1,"b":null}]]"#, None),
            (r#"{"a":0,"b":" ","c":"null"}"#, None),
            // An object of which nothing would be left.
            (r#"{"a":null,"é":"x"}"#, None),
            ("\"\"", None),
            ("[]", None),
        ] {
            assert_eq!(left(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_tree_without_them_is_the_same(value in value()) {
            let drop = |value: &mut Value| if let Value::Object(members) = value {
                let mut less = members.clone();
                less.retain(|name, value| name != "é" && !is_empty_value(&value.to_string()));
                if !less.is_empty() {
                    *members = less;
                }
            };
            let mut expected = value.clone();
            match &mut expected {
                Value::Array(items) => items.iter_mut().for_each(drop),
                other => drop(other),
            }
            let text = value.to_string();
            let found = left(&text);
            prop_assert_eq!(found.is_none(), value == expected);
            prop_assert_eq!(found.unwrap_or(text), expected.to_string());
        }
    }
}
