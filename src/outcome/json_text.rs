//! JSON that is passed on without being taken apart.
//!
//! Most answers go to the caller as they came. Building a tree of a large one and writing it again
//! costs ten times what checking it does, and would round numbers beyond 64 bits; so an answer is
//! kept as text, checked and without white space between its tokens, and read only where something
//! has to be taken out of it.

use std::{borrow::Cow, fmt};

use dadl_text::{
    growth,
    json::{cost, quote, scan, tree::read_tree},
};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

/// A JSON value as compact text (RFC 8259).
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(String);

impl JsonText {
    /// Checks `text` and drops the white space between its tokens.
    ///
    /// # Errors
    ///
    /// Says where the text is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        scan::compacted(text).map(Self)
    }

    /// Reads a text that is an object or a list of JSON: other JSON is a text as well.
    pub(crate) fn of_words(text: &str) -> Option<Self> {
        let is_one = text.trim_start().starts_with(['{', '[']);
        if is_one { Self::parse(text).ok() } else { None }
    }

    /// Wraps text that was put together from checked parts.
    pub(crate) fn trusted(text: String) -> Self {
        Self(text)
    }

    /// Joins compact JSON texts into an array.
    pub(crate) fn array(items: &[&str]) -> Self {
        let length = items.iter().map(|item| item.len() + 1).sum::<usize>() + 2;
        let mut text = growth::text_buffer(length);
        text.push('[');
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            text.push_str(item);
        }
        text.push(']');
        Self(text)
    }

    /// Makes a JSON string of a text.
    pub(crate) fn string(text: &str) -> Self {
        Self(quote::quote_text(text))
    }

    /// The same, unless it would be longer than `most` bytes: a text can become six times as long.
    pub(crate) fn string_within(text: &str, most: usize) -> Option<Self> {
        (quote::quoted_length(text) <= most).then(|| Self::string(text))
    }

    /// Returns the items of an array, one by one.
    pub(crate) fn items(&self) -> Option<scan::ArrayItems<'_>> {
        scan::array_items(&self.0)
    }

    /// Returns the members of an object in their order, one by one, with their names as JSON.
    pub(crate) fn members(&self) -> Option<scan::ObjectMembers<'_>> {
        scan::object_members(&self.0)
    }

    /// Returns how many bytes the tree would take at most.
    pub(crate) fn tree_cost(&self) -> u64 {
        cost::parse_cost(&self.0)
    }

    /// Returns the value that the names lead to, object by object.
    pub(crate) fn member(&self, names: &[&str]) -> Option<Self> {
        let mut text = self.as_str();
        for name in names {
            let mut parser = serde_json::Deserializer::from_str(text);
            text = parser.deserialize_map(MemberFinder(name)).ok()??.get();
        }
        Some(Self(growth::copy(text)))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Returns whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// Builds the tree, which takes many times the memory of the text: where the text is a server's,
    /// `tree_cost` is asked first.
    ///
    /// # Errors
    ///
    /// The value is nested too deeply, or a string has half of a surrogate pair.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        read_tree(&self.0)
    }
}

impl From<&Value> for JsonText {
    fn from(value: &Value) -> Self {
        Self(value.to_string())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonText({})", self.0)
    }
}

/// Finds the member of this name without building the others; the last one counts.
struct MemberFinder<'name>(&'name str);

impl<'text> Visitor<'text> for MemberFinder<'_> {
    type Value = Option<&'text RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<Cow<'text, str>>()? {
            if key == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn compacted(text: &str) -> String {
        JsonText::parse(text).unwrap().into_string()
    }

    #[test]
    fn drops_white_space_between_tokens_only() {
        assert_eq!(compacted(" { \"a b\" : [ 1 , 2 ] }\n"), r#"{"a b":[1,2]}"#);
        assert_eq!(compacted(r#"{"a":"x \" { } \\"}"#), r#"{"a":"x \" { } \\"}"#);
        assert_eq!(compacted("\"\\\\\" "), "\"\\\\\"");
        assert_eq!(compacted(" true "), "true");
    }

    #[test]
    fn keeps_every_digit() {
        let digits = "123456789012345678901234567890.00";
        assert_eq!(compacted(digits), digits);
    }

    #[test]
    fn takes_what_a_tree_cannot_hold() {
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        let text = JsonText::parse(&deep).unwrap();
        assert_eq!(text.as_str(), deep);
        assert!(text.value().is_err());
        assert!(JsonText::parse("[1,").is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn means_the_same_and_is_as_short_as_it_can_be(value in value()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let text = JsonText::parse(&pretty).unwrap();
            prop_assert_eq!(text.as_str(), value.to_string());
            prop_assert_eq!(text.value().unwrap(), value);
        }
    }

    #[test]
    fn debug_shows_the_text() {
        assert_eq!(format!("{:?}", JsonText::from(&json!([1]))), "JsonText([1])");
    }
}
