//! Leaves members out of an object, or out of the objects of a list.

use super::scan;
use crate::growth;

/// Returns a text without the members for which `is_dropped` holds, which hears the name without its quotes
/// and the value; `None` when every member stays.
///
/// Looked at are the members of the object that the text is, or of the objects that are the items of its
/// list, and none within their values. An object of which nothing would be left stays as it is.
pub fn without_members(text: &str, is_dropped: &dyn Fn(&str, &str) -> bool) -> Option<String> {
    let mut left = MembersLeft { text, is_dropped, written: None, from: 0 };
    match scan::array_items(text) {
        Some(items) => items.for_each(|item| left.object(item)),
        None => left.object(text),
    }
    left.finish()
}

/// Returns whether a value says nothing: null, and text, a list or an object without content.
pub fn is_empty_value(value: &str) -> bool {
    matches!(value, "null" | "\"\"" | "[]" | "{}")
}

struct MembersLeft<'run> {
    text: &'run str,
    is_dropped: &'run dyn Fn(&str, &str) -> bool,
    /// What stays, from the first member on that does not.
    written: Option<String>,
    /// Up to here the text has been looked at.
    from: usize,
}

impl MembersLeft<'_> {
    fn object(&mut self, object: &str) {
        let drops = |(name, value): (&str, &str)| {
            scan::unquote(name).is_some_and(|name| (self.is_dropped)(&name, value))
        };
        let members = || scan::object_members(object).into_iter().flatten();
        let dropped = members().filter(|member| drops(*member)).count();
        // Both are parts of the same text.
        let start = object.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        let (Some(start), true) = (start, dropped > 0 && members().count() > dropped) else {
            return;
        };
        let mut written =
            self.written.take().unwrap_or_else(|| growth::text_buffer(self.text.len()));
        written.push_str(self.text.get(self.from..start).unwrap_or_default());
        written.push('{');
        for (number, (name, value)) in members().filter(|member| !drops(*member)).enumerate() {
            if number > 0 {
                written.push(',');
            }
            written.push_str(name);
            written.push(':');
            written.push_str(value);
        }
        written.push('}');
        self.written = Some(written);
        self.from = start + object.len();
    }

    fn finish(self) -> Option<String> {
        let mut written = self.written?;
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
