//! A schema whose references are what they refer to.
//!
//! Only what is inside the document counts: nothing is fetched. A reference that leads into itself, or to
//! nothing that is here, becomes any value, and so does what is beyond the bounds of depth and size; then
//! the schema says less than its author did, and nothing is checked against it.

use serde_json::{Map, Value};

/// Schemas within schemas are followed so far.
const MOST_DEPTH: usize = 48;

/// A schema of more parts is not written out.
const MOST_NODES: usize = 5_000;

/// What a schema became.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The schema without a reference.
    pub(super) schema: Map<String, Value>,
    /// Whether it says all that was declared.
    pub(super) is_whole: bool,
}

/// Writes the references of a schema out.
pub(super) fn resolve(schema: &Map<String, Value>) -> Resolved {
    // The document is being written out itself.
    let mut writer = SchemaWriter { root: schema, open: vec!["#"], nodes: 0, is_whole: true };
    let schema = writer.object(schema, 0);
    Resolved { schema, is_whole: writer.is_whole }
}

/// Words that name parts of the document, or refer to some in ways that are not followed.
const OF_DOCUMENT: [&str; 10] = [
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "$defs",
    "definitions",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$comment",
];

/// Words whose members are schemas by names.
const BY_NAME: [&str; 4] = ["properties", "patternProperties", "dependentSchemas", "dependencies"];

/// Words whose values are values, whatever they look like.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

struct SchemaWriter<'schema> {
    root: &'schema Map<String, Value>,
    /// The references that are being written out.
    open: Vec<&'schema str>,
    nodes: usize,
    is_whole: bool,
}

impl<'schema> SchemaWriter<'schema> {
    fn node(&mut self, value: &'schema Value, depth: usize) -> Value {
        match value {
            Value::Object(object) => Value::Object(self.object(object, depth)),
            Value::Array(items) => items.iter().map(|item| self.node(item, depth + 1)).collect(),
            plain => plain.clone(),
        }
    }

    fn object(&mut self, given: &'schema Map<String, Value>, depth: usize) -> Map<String, Value> {
        self.nodes += 1;
        if depth > MOST_DEPTH || self.nodes > MOST_NODES {
            self.is_whole = false;
            return Map::new();
        }
        let mut written = Map::with_capacity(given.len());
        for (word, value) in given {
            let value = match (word.as_str(), value) {
                (word, _) if OF_DOCUMENT.contains(&word) => continue,
                (word, value) if VALUES.contains(&word) => value.clone(),
                (word, Value::Object(members)) if BY_NAME.contains(&word) => members
                    .iter()
                    .map(|(name, member)| (name.clone(), self.node(member, depth + 1)))
                    .collect(),
                (_, value) => self.node(value, depth + 1),
            };
            written.insert(word.clone(), value);
        }
        self.is_whole &= !given.contains_key("$dynamicRef") && !given.contains_key("$recursiveRef");
        let Some(reference) = given.get("$ref") else { return written };
        let Some(target) = self.referred(reference, depth) else { return written };
        match written.is_empty() {
            true => target,
            // Both count, what stands beside the reference first.
            false => {
                let parts = written.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(parts) = parts {
                    parts.push(Value::Object(target));
                }
                written
            }
        }
    }

    /// Writes out what a reference refers to; `None` where that cannot be written out.
    fn referred(&mut self, reference: &'schema Value, depth: usize) -> Option<Map<String, Value>> {
        let found = reference.as_str().and_then(|text| Some((text, find(self.root, text)?)));
        let Some((text, target)) = found.filter(|(text, _)| !self.open.contains(text)) else {
            self.is_whole = false;
            return None;
        };
        let target = match target {
            ReferredSchema::Root => self.root,
            ReferredSchema::Part(Value::Object(target)) => target,
            // `true` allows all, as an empty schema does.
            ReferredSchema::Part(Value::Bool(true)) => return None,
            ReferredSchema::Part(_) => {
                self.is_whole = false;
                return None;
            }
        };
        self.open.push(text);
        let written = self.object(target, depth + 1);
        self.open.pop();
        Some(written)
    }
}

enum ReferredSchema<'schema> {
    Root,
    Part(&'schema Value),
}

/// Finds what a reference leads to within the document.
fn find<'schema>(
    root: &'schema Map<String, Value>,
    reference: &str,
) -> Option<ReferredSchema<'schema>> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(ReferredSchema::Root);
    }
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    let mut steps = pointer.strip_prefix('/')?.split('/');
    let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
    let mut part = root.get(&unescaped(steps.next()?))?;
    for step in steps {
        part = match part {
            Value::Object(members) => members.get(&unescaped(step))?,
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(ReferredSchema::Part(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn resolved(schema: &Value) -> (Value, bool) {
        let Resolved { schema, is_whole } = resolve(schema.as_object().unwrap());
        (Value::Object(schema), is_whole)
    }

    #[test]
    fn references_become_what_they_refer_to() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "a": { "$ref": "#/$defs/A" },
                "b": { "$ref": "#/definitions/b~1c", "description": "Here" },
                "c": { "type": "array", "items": { "$ref": "#/properties/d/anyOf/1" } },
                "d": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/A" }] },
                "$ref": { "type": "string" },
                "e": { "default": { "$ref": "#/$defs/A" } },
                "f": { "$ref": "#/$defs/%41" },
            },
            "$defs": { "A": { "type": "integer", "$comment": "one" } },
            "definitions": { "b/c": { "type": "string" } },
        });
        let expected = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "a": { "type": "integer" },
                "b": { "description": "Here", "allOf": [{ "type": "string" }] },
                "c": { "type": "array", "items": { "type": "integer" } },
                "d": { "anyOf": [{ "type": "null" }, { "type": "integer" }] },
                "$ref": { "type": "string" },
                "e": { "default": { "$ref": "#/$defs/A" } },
                "f": { "type": "integer" },
            },
        });
        assert_eq!(resolved(&schema), (expected, true));
    }

    #[test]
    fn what_cannot_be_written_out_is_any_value_and_said() {
        for (schema, expected) in [
            (json!({ "$ref": "#" }), json!({})),
            (
                json!({ "properties": { "a": { "$ref": "#" } } }),
                json!({ "properties": { "a": {} } }),
            ),
            (json!({ "$ref": "https://example.com/schema.json" }), json!({})),
            (json!({ "$ref": "other.json#/x", "type": "object" }), json!({ "type": "object" })),
            (json!({ "$ref": "#name", "$defs": { "a": { "$anchor": "name" } } }), json!({})),
            (json!({ "$ref": "#/$defs/missing" }), json!({})),
            (json!({ "$ref": 7 }), json!({})),
            (json!({ "$ref": "#/type", "type": "object" }), json!({ "type": "object" })),
            (json!({ "$dynamicRef": "#a" }), json!({})),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } }), json!({})),
        ] {
            assert_eq!(resolved(&schema), (expected, false), "{schema}");
        }
        // A tree is written out until it leads into itself.
        let tree = json!({ "$ref": "#/$defs/n", "$defs": {
            "n": { "properties": { "next": { "$ref": "#/$defs/n" }, "id": { "type": "string" } } },
        } });
        let expected = json!({ "properties": { "next": {}, "id": { "type": "string" } } });
        assert_eq!(resolved(&tree), (expected, false));
    }

    #[test]
    fn what_doubles_with_each_step_is_bounded() {
        let mut defs = Map::new();
        for step in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/s{}", step + 1) });
            defs.insert(format!("s{step}"), json!({ "properties": { "a": next, "b": next } }));
        }
        defs.insert("s40".to_owned(), json!({ "type": "string" }));
        let (schema, is_whole) = resolved(&json!({ "$ref": "#/$defs/s0", "$defs": defs }));
        assert!(!is_whole);
        assert!(schema.to_string().len() < 40 * MOST_NODES);
        let mut deep = json!({ "type": "string" });
        for _ in 0..100 {
            deep = json!({ "items": deep });
        }
        assert!(!resolved(&deep).1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 100,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// What is written out whole takes what the original takes, and has no reference.
        #[test]
        fn the_same_values_fit(
            a in part(), b in part(), root in part(),
            values in prop::collection::vec(value(), 1..8),
        ) {
            let schema = json!({ "allOf": [root], "$defs": { "a": a, "b": b } });
            let (whole, is_whole) = resolved(&schema);
            prop_assert!(!whole.to_string().contains("$ref"));
            if is_whole {
                let (before, after) =
                    (jsonschema::draft202012::new(&schema), jsonschema::draft202012::new(&whole));
                let (before, after) = (before.unwrap(), after.unwrap());
                for value in values {
                    prop_assert_eq!(before.is_valid(&value), after.is_valid(&value), "{} {}", schema, value);
                }
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!("x")), Just(json!([1, "x"]))];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop::collection::vec(("(a|b|c)", inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
        })
    }

    fn part() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({ "$ref": "#/$defs/a" })),
            Just(json!({ "$ref": "#/$defs/b", "type": "object" })),
            "(string|integer|object|array|null)".prop_map(|kind| json!({ "type": kind })),
            Just(json!({ "enum": [1, "x"] })),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                ("(a|b|c)", inner.clone())
                    .prop_map(|(name, schema)| json!({ "properties": { name: schema } })),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "anyOf": [a, b] })),
                inner.clone().prop_map(|items| json!({ "items": items })),
                (inner.clone(), inner).prop_map(|(mut a, b)| {
                    a["allOf"] = json!([b]);
                    a
                }),
            ]
        })
    }
}
