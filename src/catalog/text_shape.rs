//! Whether JSON text conforms to a listed schema, found out without a tree of it.
//!
//! It says yes where that is certain, which it is of what APIs usually answer, and otherwise nothing: then the
//! library that knows all of JSON Schema decides about the tree. Schemas are those that hosts are listed
//! (`super::output`): types, properties, items, `anyOf` and annotations.

use dadl_text::json::scan;
use serde_json::{Map, Value};

/// `anyOf` within `anyOf` is followed so far: each level looks at the same text once more for each branch.
const MOST_BRANCHING: usize = 2;

/// The types of JSON Schema, a bit each.
mod kind {
    pub(super) const NULL: u8 = 1;
    pub(super) const BOOLEAN: u8 = 2;
    pub(super) const INTEGER: u8 = 4;
    pub(super) const NUMBER: u8 = 8;
    pub(super) const STRING: u8 = 16;
    pub(super) const ARRAY: u8 = 32;
    pub(super) const OBJECT: u8 = 64;
    pub(super) const ANY: u8 = u8::MAX;
}

/// What a value has to be like.
#[derive(Debug, Default)]
pub(super) struct TextShape {
    /// The types that it may have.
    kinds: u8,
    properties: Vec<(Box<str>, Self)>,
    /// What all other members have to be like.
    others: Option<Box<Self>>,
    items: Option<Box<Self>>,
    /// Of these, one at least, if there is any.
    branches: Vec<Self>,
}

impl TextShape {
    /// Returns the shape of a schema; `None` where it says something that is not known here.
    pub(super) fn of(schema: &Map<String, Value>) -> Option<Self> {
        Self::read(schema, 0)
    }

    fn read(schema: &Map<String, Value>, branching: usize) -> Option<Self> {
        let inner = |value: &Value| Self::read(value.as_object()?, branching);
        let mut shape = Self { kinds: kind::ANY, ..Self::default() };
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("description" | "examples", _) => {}
                ("type", _) => shape.kinds = kinds(value)?,
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        shape.properties.push((name.as_str().into(), inner(property)?));
                    }
                }
                ("additionalProperties", _) => shape.others = Some(Box::new(inner(value)?)),
                ("items", _) => shape.items = Some(Box::new(inner(value)?)),
                ("anyOf", Value::Array(branches)) if branching < MOST_BRANCHING => {
                    let read = |it: &Value| Self::read(it.as_object()?, branching + 1);
                    shape.branches = branches.iter().map(read).collect::<Option<_>>()?;
                }
                _ => return None,
            }
        }
        Some(shape)
    }

    /// Returns whether compact JSON certainly conforms.
    pub(super) fn accepts(&self, json: &str) -> bool {
        let has = |kind: u8| self.kinds & kind != 0;
        let fits = match json.as_bytes().first() {
            Some(b'{') => has(kind::OBJECT) && self.accepts_members(json),
            Some(b'[') => has(kind::ARRAY) && self.accepts_items(json),
            Some(b'"') => has(kind::STRING),
            Some(b't' | b'f') => has(kind::BOOLEAN),
            Some(b'n') => has(kind::NULL),
            // 1.0 is an integer as well, which is left to who knows numbers.
            Some(_) => has(kind::NUMBER) || (has(kind::INTEGER) && !json.contains(['.', 'e', 'E'])),
            None => false,
        };
        fits && (self.branches.is_empty() || self.branches.iter().any(|it| it.accepts(json)))
    }

    fn accepts_members(&self, json: &str) -> bool {
        if self.properties.is_empty() && self.others.is_none() {
            return true;
        }
        let Some(mut members) = scan::object_members(json) else { return false };
        members.all(|(name, value)| {
            // One with an escape may be any.
            let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            let Some(name) = name.filter(|name| !name.contains('\\')) else { return false };
            let known = self.properties.iter().find(|(known, _)| **known == *name);
            let shape = known.map(|(_, shape)| shape).or(self.others.as_deref());
            shape.is_none_or(|shape| shape.accepts(value))
        })
    }

    fn accepts_items(&self, json: &str) -> bool {
        let Some(shape) = &self.items else { return true };
        scan::array_items(json).is_some_and(|mut items| items.all(|item| shape.accepts(item)))
    }
}

/// Returns the types that `type` names.
fn kinds(value: &Value) -> Option<u8> {
    let one = |name: &Value| {
        Some(match name.as_str()? {
            "null" => kind::NULL,
            "boolean" => kind::BOOLEAN,
            "integer" => kind::INTEGER,
            "number" => kind::NUMBER,
            "string" => kind::STRING,
            "array" => kind::ARRAY,
            "object" => kind::OBJECT,
            _ => return None,
        })
    };
    match value {
        Value::Array(names) => names.iter().try_fold(0, |all, name| Some(all | one(name)?)),
        name => one(name),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn shape(schema: &Value) -> Option<TextShape> {
        TextShape::of(schema.as_object().unwrap())
    }

    #[test]
    fn what_apis_answer_is_accepted_and_what_is_wrong_is_not() {
        let schema = json!({
            "type": "object",
            "properties": {
                "id": { "type": ["string", "null"], "description": "An id.", "examples": ["a"] },
                "size": { "type": ["integer", "null"] },
                "tags": { "type": ["array", "null"], "items": { "type": ["string", "null"] } },
                "more": { "additionalProperties": { "type": ["number"] } },
                "either": { "anyOf": [{ "type": "string" }, { "type": "boolean" }] },
            },
        });
        let shape = shape(&schema).unwrap();
        for (json, accepts) in [
            ("{}", true),
            (r#"{"id":"a","size":7,"tags":["x","y"],"unknown":[{}]}"#, true),
            (r#"{"id":null,"size":-1,"tags":[],"more":{"a":1.5},"either":true}"#, true),
            (r#"{"id":1}"#, false),
            // Each of them counts.
            (r#"{"id":"a","id":1}"#, false),
            (r#"{"size":"7"}"#, false),
            (r#"{"tags":["x",1]}"#, false),
            (r#"{"more":{"a":"b"}}"#, false),
            (r#"{"either":1}"#, false),
            ("[]", false),
            // What would be right is left to who is certain.
            (r#"{"size":7.0}"#, false),
            (r#"{"i\u0064":"a"}"#, false),
        ] {
            assert_eq!(shape.accepts(json), accepts, "{json}");
        }
    }

    #[test]
    fn what_is_not_known_has_no_shape() {
        for schema in [
            json!({ "minimum": 1 }),
            json!({ "items": true }),
            json!({ "type": "any" }),
            json!({ "properties": { "a": { "$ref": "#/x" } } }),
            json!({ "anyOf": [{ "anyOf": [{ "anyOf": [{ "type": "null" }] }] }] }),
        ] {
            assert!(shape(&schema).is_none(), "{schema}");
        }
    }

    fn any_schema() -> impl Strategy<Value = Value> {
        let name = prop::sample::select(vec![
            "null", "boolean", "integer", "number", "string", "array", "object",
        ]);
        let leaf = prop_oneof![
            Just(json!({})),
            name.clone().prop_map(|name| json!({ "type": name })),
            prop::collection::vec(name, 1..4).prop_map(|names| {
                let names: std::collections::BTreeSet<_> = names.into_iter().collect();
                json!({ "type": names })
            }),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let members = prop::collection::btree_map("(a|b|_note)", inner.clone(), 0..3);
            prop_oneof![
                inner.clone().prop_map(|items| json!({ "items": items })),
                inner.clone().prop_map(|others| json!({ "additionalProperties": others })),
                prop::collection::vec(inner, 1..3).prop_map(|all| json!({ "anyOf": all })),
                members.prop_map(|all| json!({ "type": "object", "properties": all })),
            ]
        })
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            (-9_i64..9).prop_map(Value::from),
            prop::sample::select(vec![0.5, 1.0, 1e30]).prop_map(Value::from),
            "[a\"\\\\]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("(a|b|\"|_note)", inner, 0..3)
                    .prop_map(|all| all.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// What is accepted conforms, and hardly anything else does.
        #[test]
        fn it_agrees_with_the_library(schema in any_schema(), value in any_json()) {
            let Some(shape) = shape(&schema) else { return Ok(()) };
            let conforms = jsonschema::draft202012::new(&schema).unwrap().is_valid(&value);
            let json = value.to_string();
            let accepts = shape.accepts(&json);
            prop_assert!(conforms || !accepts, "{schema} {json}");
            let is_plain = !json.contains(['\\', '.', 'e']);
            prop_assert!(accepts || !conforms || !is_plain, "{schema} {json}");
        }
    }
}
