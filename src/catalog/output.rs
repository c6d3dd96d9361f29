//! The shape of a tool's results: in full for people, and as MCP's `outputSchema` where that can
//! be kept.
//!
//! A client refuses a result that does not conform to a listed output schema, so that each result
//! is checked before it leaves, and one that does not conform goes under a key of its own. The
//! listed schema says what is expected and little more: every member may be missing or null.
//! Nothing forces a server to keep what a descriptor says about it.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, OnceLock},
};

use dadl_descriptor::model::{RequestMethod, ResultTypes, TYPE_REF, Tool};
use dadl_text::json::agreed;
use serde_json::{Map, Value, json};

use super::{
    CatalogOperation,
    description::collapse_spaces,
    schema::{self, is_seen},
    text_shape::TextShape,
};

/// A listed schema is at most so long, in bytes of JSON: each conversation pays for all of them.
const MOST_BYTES: usize = 1024;

/// The listed schemas of one backend are at most so long together.
const MOST_BYTES_OF_BACKEND: usize = 16 * 1024;

/// Types within types are followed so far.
const MOST_DEPTH: usize = 6;

/// A larger schema is not worked out, because it would not be listed.
const MOST_NODES: usize = 200;

/// More values of an `enum` say little.
const MOST_EXAMPLES: usize = 12;

/// The member of structured content that says in our words what there is to say about a result. Listed
/// schemas are open and do not name it.
pub(crate) const NOTE: &str = "_note";

/// The outputs of the tools of one backend.
///
/// Many tools answer the same, whose shape is worked out once.
pub(crate) struct OutputSchemas<'types> {
    types: &'types ResultTypes,
    /// By what tools return, as JSON.
    known: BTreeMap<String, Option<Arc<OutputSchema>>>,
    bytes: usize,
}

impl<'types> OutputSchemas<'types> {
    pub(crate) fn new(types: &'types ResultTypes) -> Self {
        Self { types, known: BTreeMap::new(), bytes: 0 }
    }

    /// Returns the output of an operation, when results have one shape and it is short enough.
    pub(crate) fn of(&mut self, operation: CatalogOperation<'_>) -> Option<Arc<OutputSchema>> {
        if self.are_too_long() {
            return None;
        }
        let returns = match operation {
            CatalogOperation::Tool(tool) => OutputSchema::returned(tool)?,
            CatalogOperation::Composite(_) => return None,
            CatalogOperation::Server(tool) => tool.output()?,
        };
        let known = self.known.entry(returns.to_string());
        let output =
            known.or_insert_with(|| OutputSchema::of(returns, self.types).map(Arc::new)).clone();
        self.bytes += output.as_ref().map_or(0, |output| output.bytes);
        output
    }

    /// Returns whether the schemas are too long to be listed: then none of them is, since which
    /// tool comes first in a file says nothing about it.
    pub(crate) fn are_too_long(&self) -> bool {
        self.bytes > MOST_BYTES_OF_BACKEND
    }
}

/// The shape of a tool's structured results.
#[derive(Debug)]
pub struct OutputSchema {
    schema: Arc<Map<String, Value>>,
    validator: OnceLock<Box<jsonschema::Validator>>,
    /// The same for texts, where it can be told of these.
    shape: OnceLock<Option<Box<TextShape>>>,
    bytes: usize,
}

impl OutputSchema {
    /// Returns what a tool returns, when all its results have that shape.
    fn returned(tool: &Tool) -> Option<&Value> {
        let response = &tool.response;
        // A file is described by itself, a stream has many values, a caller's program makes any
        // shape, and a redacted value is no longer of its type.
        let varies = response.binary
            || response.streaming.is_declared
            || response.allow_jq
            || !response.redact.is_empty()
            || tool.method() == RequestMethod::Head;
        tool.returns.as_deref().filter(|_| !varies)
    }

    /// Returns the output of tools that return this, when its schema is short enough.
    fn of(returns: &Value, types: &ResultTypes) -> Option<Self> {
        LeastBytes { types, left: MOST_BYTES, open: Vec::new() }.take_root(returns)?;
        let mut listing =
            ListedSchemaWriter { types, nodes: 0, open: Vec::new(), descriptions: true };
        let mut schema = listing.root(returns)?;
        if json_bytes(&schema) > MOST_BYTES {
            listing = ListedSchemaWriter { types, nodes: 0, open: Vec::new(), descriptions: false };
            schema = listing.root(returns)?;
        }
        let bytes = json_bytes(&schema);
        // Its names are those of the answers, and cannot be other ones.
        let is_listable = is_seen(&schema) && agreed::is_shallow(&schema);
        let Value::Object(schema) = schema else { return None };
        (bytes <= MOST_BYTES && is_listable).then(|| Self {
            schema: Arc::new(schema),
            validator: OnceLock::new(),
            shape: OnceLock::new(),
            bytes,
        })
    }

    /// Returns the schema that hosts list.
    pub fn schema(&self) -> &Arc<Map<String, Value>> {
        &self.schema
    }

    /// Returns whether structured content, as compact JSON, certainly conforms; otherwise its tree says so.
    pub fn accepts(&self, json: &str) -> bool {
        let shape = self.shape.get_or_init(|| TextShape::of(&self.schema).map(Box::new));
        shape.as_ref().is_some_and(|shape| json.starts_with('{') && shape.accepts(json))
    }

    /// Returns `structured`, or when it does not conform, an object that has it under a key that
    /// the schema does not know.
    pub fn conforming(&self, structured: Value) -> Value {
        let validator = self.validator.get_or_init(|| {
            let schema = Value::Object((*self.schema).clone());
            let validator = schema::compiled(&schema);
            // Invariant: `ListedSchemaWriter` writes types, properties, items, `anyOf` and annotations only.
            Box::new(validator.expect("generated schemas are valid"))
        });
        if structured.is_object() && validator.is_valid(&structured) {
            return structured;
        }
        let known = |key: &str| {
            let properties = self.schema.get("properties").and_then(Value::as_object);
            properties.is_some_and(|properties| properties.contains_key(key))
        };
        let mut key = "unexpected".to_owned();
        while known(&key) {
            key.push('_');
        }
        json!({ key: structured })
    }
}

/// Returns a schema with the types that it needs under `$defs`, for people.
pub(crate) fn in_full(schema: &Value, types: &ResultTypes) -> Value {
    let mut needed: Vec<&str> = Vec::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(name) = object.get("$ref").and_then(referred_type)
                    && !needed.contains(&name)
                    && let Some((name, schema)) = types.get_key_value(name)
                {
                    needed.push(name);
                    open.push(schema);
                }
                open.extend(object.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    needed.sort_unstable();
    let mut full = schema.as_object().cloned().unwrap_or_default();
    if !needed.is_empty() {
        let defs: Map<String, Value> = needed
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), types.get(name)?.clone())))
            .collect();
        full.insert("$defs".to_owned(), Value::Object(defs));
    }
    Value::Object(full)
}

/// Returns the name of the type that `$ref` has.
fn referred_type(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix(TYPE_REF)
}

/// Counts bytes that are written.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns how long a value is as JSON.
fn json_bytes(value: &Value) -> usize {
    let mut count = ByteCount(0);
    // A value of JSON can be written, and so can all bytes be counted.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Counts what the listed form of a schema has at least: the names of its members. Nearly all types
/// have too many to be listed, and writing all of them only to see that takes longer than the rest of
/// the catalog.
struct LeastBytes<'types> {
    types: &'types ResultTypes,
    left: usize,
    /// The types that are being counted.
    open: Vec<&'types str>,
}

impl<'types> LeastBytes<'types> {
    /// Returns `None` when the listed form is too long.
    fn take(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    /// Counts the schema of a result, of which members and items alone are sure to be listed.
    fn take_root(&mut self, schema: &'types Value) -> Option<()> {
        let mut root = schema;
        for _ in 0..MOST_DEPTH {
            let name = root.get("$ref").and_then(referred_type);
            match name.and_then(|name| self.types.get_key_value(name)) {
                Some((name, schema)) if !self.open.contains(&name.as_str()) => {
                    self.open.push(name);
                    root = schema;
                }
                _ => break,
            }
        }
        self.take_members(root, self.open.len())?;
        match root.get("items") {
            Some(items) if root.get("type").is_some_and(|kind| kind == "array") => {
                self.take_schema(items, self.open.len() + 1)
            }
            _ => Some(()),
        }
    }

    fn take_members(&mut self, schema: &'types Value, depth: usize) -> Option<()> {
        let Some(Value::Object(properties)) = schema.get("properties") else { return Some(()) };
        for (name, property) in properties {
            self.take(name.len() + r#""":{}"#.len())?;
            self.take_schema(property, depth + 1)?;
        }
        Some(())
    }

    /// Counts what is within the braces of a schema.
    fn take_schema(&mut self, schema: &'types Value, depth: usize) -> Option<()> {
        if let Some(reference) = schema.get("$ref") {
            let found = referred_type(reference).and_then(|name| self.types.get_key_value(name));
            let Some((name, schema)) = found else { return Some(()) };
            if depth > MOST_DEPTH || self.open.contains(&name.as_str()) {
                return Some(());
            }
            self.open.push(name);
            let taken = self.take_schema(schema, depth + 1);
            self.open.pop();
            return taken;
        }
        if schema.get("type").is_some_and(Value::is_string) {
            self.take(r#""type":["null"]"#.len())?;
        }
        self.take_members(schema, depth)?;
        schema.get("items").map_or(Some(()), |items| self.take_schema(items, depth + 1))
    }
}

/// Writes the listed form of a schema.
struct ListedSchemaWriter<'types> {
    types: &'types ResultTypes,
    nodes: usize,
    /// The types that are being written.
    open: Vec<&'types str>,
    descriptions: bool,
}

impl<'types> ListedSchemaWriter<'types> {
    /// Returns the schema of the structured result: an object, or a value under `result`.
    fn root(&mut self, schema: &'types Value) -> Option<Value> {
        let mut shape = self.shape(schema, 0)?;
        let is_object = |kind: &Value| match kind {
            Value::String(kind) => kind == "object",
            Value::Array(kinds) => kinds.iter().all(|kind| kind == "object" || kind == "null"),
            _ => false,
        };
        if shape.get("type").is_some_and(is_object)
            && let Value::Object(object) = &mut shape
        {
            // Results that have a member of our name do not have this shape.
            let properties = object.get("properties").and_then(Value::as_object);
            if properties.is_some_and(|properties| properties.contains_key(NOTE)) {
                return None;
            }
            // Whatever else it says of the whole object would be said of an unexpected value too.
            object.retain(|key, _| matches!(key.as_str(), "description" | "properties"));
            object.insert("type".to_owned(), "object".into());
            return Some(shape);
        }
        // Nothing is known; a schema that says so is not worth its bytes.
        if shape.as_object().is_some_and(Map::is_empty) {
            return None;
        }
        Some(json!({ "type": "object", "properties": { "result": shape } }))
    }

    /// Returns the listed form; `None` when the schema is too large.
    fn shape(&mut self, schema: &'types Value, depth: usize) -> Option<Value> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return None;
        }
        let Value::Object(schema) = schema else { return Some(json!({})) };
        if let Some(reference) = schema.get("$ref") {
            return self.named(reference, depth);
        }
        let mut shape = Map::new();
        if let Some(kinds) = type_kinds(schema) {
            shape.insert("type".to_owned(), kinds);
        }
        if self.descriptions
            && let Some(Value::String(text)) = schema.get("description")
            && !text.trim().is_empty()
        {
            shape.insert("description".to_owned(), collapse_spaces(text).into());
        }
        if let Some(Value::Array(values)) = schema.get("enum")
            && values.len() <= MOST_EXAMPLES
        {
            // A server may know more values than its description.
            shape.insert("examples".to_owned(), Value::Array(values.clone()));
        }
        if let Some(Value::Object(properties)) = schema.get("properties") {
            let mut listed = Map::new();
            for (name, property) in properties {
                listed.insert(name.clone(), self.shape(property, depth + 1)?);
            }
            shape.insert("properties".to_owned(), Value::Object(listed));
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner @ Value::Object(_)) = schema.get(key) {
                let inner = self.shape(inner, depth + 1)?;
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    shape.insert(key.to_owned(), inner);
                }
            }
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = schema.get(key) {
                let mut listed = Vec::new();
                for branch in branches {
                    let branch = self.shape(branch, depth + 1)?;
                    if !listed.contains(&branch) {
                        listed.push(branch);
                    }
                }
                // A branch that allows anything makes the others mute.
                if !listed.is_empty() && !listed.contains(&json!({})) {
                    shape.insert("anyOf".to_owned(), Value::Array(listed));
                }
            }
        }
        if let Some(Value::Array(parts)) = schema.get("allOf") {
            for part in parts {
                let part = self.shape(part, depth + 1)?;
                join_shapes(&mut shape, part);
            }
        }
        Some(Value::Object(shape))
    }

    fn named(&mut self, reference: &Value, depth: usize) -> Option<Value> {
        let found = referred_type(reference).and_then(|name| self.types.get_key_value(name));
        let Some((name, schema)) = found else { return Some(json!({})) };
        if depth > MOST_DEPTH || self.open.contains(&name.as_str()) {
            return Some(json!({}));
        }
        self.open.push(name);
        let shape = self.shape(schema, depth + 1);
        self.open.pop();
        shape
    }
}

/// Returns the types of a schema, null among them.
fn type_kinds(schema: &Map<String, Value>) -> Option<Value> {
    let mut kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.contains_key("properties") => vec!["object"],
        _ => return None,
    };
    if !kinds.contains(&"null") {
        kinds.push("null");
    }
    Some(kinds.into())
}

/// Adds a part of `allOf`; where two parts differ, the first one counts.
fn join_shapes(shape: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (key, value) in part {
        match (shape.get_mut(&key), value) {
            (Some(Value::Object(own)), Value::Object(other)) if key == "properties" => {
                for (name, property) in other {
                    own.entry(name).or_insert(property);
                }
            }
            (Some(_), _) => {}
            (None, value) => {
                shape.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture;

    fn types() -> ResultTypes {
        let types = json!({
            "Node": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": { "type": "string", "format": "uuid", "description": "Its\n id." },
                    "state": { "enum": ["on", "off"], "type": "string" },
                    "children": { "type": "array", "items": { "$ref": "#/$defs/Node" } },
                },
            },
        });
        types.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    fn of(tool: &Tool, types: &ResultTypes) -> Option<Arc<OutputSchema>> {
        OutputSchemas::new(types).of(CatalogOperation::Tool(tool))
    }

    fn output(returns: Value) -> Option<Arc<OutputSchema>> {
        let mut tool = fixture::tool("GET", "/x", &[]);
        tool.returns = Some(Box::new(returns));
        of(&tool, &types())
    }

    fn listed(returns: Value) -> Option<Value> {
        output(returns).map(|output| Value::Object((**output.schema()).clone()))
    }

    #[test]
    fn lists_what_is_expected_and_demands_nothing() {
        let expected = json!({
            "type": "object",
            "properties": {
                "id": { "type": ["string", "null"], "description": "Its id." },
                "state": { "type": ["string", "null"], "examples": ["on", "off"] },
                "children": { "type": ["array", "null"] },
            },
        });
        assert_eq!(listed(json!({ "$ref": "#/$defs/Node" })), Some(expected.clone()));
        let list = json!({ "type": "array", "items": { "$ref": "#/$defs/Node" } });
        let schema = listed(list).unwrap();
        assert_eq!(schema["properties"]["result"]["items"]["properties"], expected["properties"]);
        let parts = json!({ "allOf": [
            { "$ref": "#/$defs/Node" },
            { "properties": { "id": { "type": "integer" }, "size": { "type": "integer" } } },
        ] });
        let schema = listed(parts).unwrap();
        assert_eq!(schema["properties"]["id"], expected["properties"]["id"]);
        assert_eq!(schema["properties"]["size"], json!({ "type": ["integer", "null"] }));
        assert_eq!(schema["type"], "object");
    }

    #[test]
    fn lists_nothing_where_nothing_is_known_or_too_much() {
        assert_eq!(listed(json!({})), None);
        let wide: Map<String, Value> =
            (0..100).map(|n| (format!("property_{n}"), json!({ "type": "string" }))).collect();
        assert_eq!(listed(json!({ "type": "object", "properties": wide })), None);
        let long = "word ".repeat(400);
        let schema = json!({ "type": "object", "properties": { "a": { "description": long } } });
        assert_eq!(listed(schema).unwrap()["properties"], json!({ "a": {} }));
        let mut tool = fixture::tool("GET", "/x", &[]);
        tool.returns = Some(Box::new(json!({ "type": "object" })));
        tool.response.binary = true;
        assert!(of(&tool, &types()).is_none());
    }

    #[test]
    fn what_does_not_conform_goes_under_a_key_of_its_own() {
        let strict = output(json!({ "$ref": "#/$defs/Node" })).unwrap();
        for fine in [json!({}), json!({ "id": null, "more": 1 }), json!({ "state": "new" })] {
            assert_eq!(strict.conforming(fine.clone()), fine);
        }
        for wrong in [json!({ "id": 7 }), json!({ "children": "none" }), json!([1]), json!("x")] {
            assert_eq!(strict.conforming(wrong.clone()), json!({ "unexpected": wrong }));
        }
        let schema = json!({ "properties": { "unexpected": { "type": "string" } } });
        let other = output(schema).unwrap();
        let wrong = json!({ "unexpected": 1 });
        assert_eq!(other.conforming(wrong.clone()), json!({ "unexpected_": wrong }));
    }

    #[test]
    fn a_listed_schema_leaves_room_for_a_note() {
        let ours = json!({ "_note": { "type": "integer" }, "id": { "type": "string" } });
        assert_eq!(listed(json!({ "type": "object", "properties": ours })), None);
        let parts = json!({ "allOf": [{ "properties": ours }, { "type": "object" }] });
        assert_eq!(listed(parts), None);
        // Within a list it is a member like others.
        let list = json!({ "type": "array", "items": { "properties": ours } });
        assert!(listed(list).is_some());
        let closed = json!({
            "properties": { "id": { "type": "string" } },
            "additionalProperties": { "type": "integer" },
        });
        let schema = listed(closed).unwrap();
        let noted = json!({ "_note": "cut", "id": "a" });
        assert!(jsonschema::draft202012::is_valid(&schema, &noted), "{schema}");
    }

    #[test]
    fn people_see_all_types() {
        let full =
            in_full(&json!({ "type": "array", "items": { "$ref": "#/$defs/Node" } }), &types());
        assert_eq!(full["$defs"]["Node"]["required"], json!(["id"]));
        assert_eq!(full["items"]["$ref"], "#/$defs/Node");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 2_000,
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever a descriptor says and a server answers, the result conforms.
        #[test]
        fn every_result_conforms(schema in json_schema(), answer in any_json()) {
            let mut types = types();
            types.insert("Any".to_owned(), schema);
            let mut tool = fixture::tool("GET", "/x", &[]);
            tool.returns = Some(Box::new(json!({ "$ref": "#/$defs/Any" })));
            if let Some(output) = of(&tool, &types) {
                let schema = Value::Object((**output.schema()).clone());
                let structured = output.conforming(answer);
                assert!(jsonschema::draft202012::is_valid(&schema, &structured));
                assert!(structured.is_object());
                assert!(structured.get(NOTE).is_none());
                let noted = noted(structured);
                assert!(jsonschema::draft202012::is_valid(&schema, &noted));
            }
        }
    }

    fn noted(mut structured: Value) -> Value {
        structured[NOTE] = "cut to the first 2 of 9 items".into();
        structured
    }

    fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("(a|b|result|unexpected)", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn json_schema() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(json!({})),
            "(string|integer|object|array|null)".prop_map(|kind| json!({ "type": kind })),
            Just(json!({ "$ref": "#/$defs/Any" })),
            Just(json!({ "$ref": "#/$defs/Node" })),
            any_json().prop_map(|value| json!({ "enum": [value] })),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|items| json!({ "type": "array", "items": items })),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "oneOf": [a, b] })),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "allOf": [a, b] })),
                ("(a|b|result|unexpected)", inner.clone())
                    .prop_map(|(name, schema)| json!({ "properties": { name: schema } })),
                inner.prop_map(|all| json!({ "type": "object", "additionalProperties": all })),
            ]
        })
    }
}
