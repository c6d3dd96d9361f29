//! The shapes of results: schemas of answers with the types that they refer to, as a descriptor has
//! them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{enrich::description, model::Answer, schema::Schemas};
use crate::descriptor::model::{TYPE_REF, Tool, Types};

/// Schemas nest at most so deep.
const MAX_DEPTH: usize = 24;

/// The schemas that are kept have at most so many nodes together.
const MAX_NODES: usize = 100_000;

/// A member is looked for in at most so many parts of a schema, and so deep in parts of parts.
const MAX_PARTS: usize = 24;
const MAX_COMPOSED: usize = 8;

/// What a kept schema says; the rest only validates.
const KEYWORDS: [&str; 5] = ["type", "required", "enum", "description", "format"];

/// Collects the schemas that results need.
pub(super) struct Results<'doc> {
    schemas: Schemas<'doc>,
    /// The author's types; those of the document do not replace them.
    own: BTreeSet<String>,
    types: Types,
    /// References that were kept and not followed yet.
    wanted: Vec<&'doc str>,
    nodes: usize,
}

impl<'doc> Results<'doc> {
    /// Begins for a document and a descriptor with types of its own.
    pub(super) fn new(root: &'doc Value, own: &Types) -> Self {
        Self {
            schemas: Schemas::new(root),
            own: own.keys().cloned().collect(),
            types: Types::new(),
            wanted: Vec::new(),
            nodes: 0,
        }
    }

    /// Returns the shape of a tool's result: of the answer in JSON, and in it what the tool's
    /// `result_path` selects.
    pub(super) fn of(&mut self, tool: &Tool, answer: &Answer) -> Option<Value> {
        let schema = self.schemas.root.pointer(answer.schema.as_deref()?)?;
        let schema = match &tool.response.result_path {
            None => schema,
            Some(path) => self.select(schema, path.as_str())?,
        };
        let kept = self.keep(schema, 0)?;
        kept.as_object().is_some_and(|kept| !kept.is_empty()).then_some(kept)
    }

    /// Returns the types that the results refer to, and those that these refer to.
    pub(super) fn into_types(mut self) -> Types {
        while let Some(reference) = self.wanted.pop() {
            let Some(name) = type_name(reference) else { continue };
            if self.types.contains_key(name) {
                continue;
            }
            let found = self.schemas.follow(reference, "");
            let schema = found.and_then(|(schema, _)| self.keep(schema, 0));
            self.types.insert(name.to_owned(), schema.unwrap_or_else(|| json!({})));
        }
        self.types
    }

    /// Follows the names and indexes of a JSONPath through schemas.
    fn select(&mut self, schema: &'doc Value, path: &str) -> Option<&'doc Value> {
        let mut schema = schema;
        let rest = path.strip_prefix('$')?;
        for part in rest.split('.').skip(1) {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, Some(index)),
                None => (part, None),
            };
            schema = self.member(schema, name, 0)?;
            match index.map(|index| index.trim_end_matches(']').parse::<i64>()) {
                None => {}
                Some(Ok(_)) => schema = self.schemas.resolve(schema, "")?.0.get("items")?,
                Some(Err(_)) => return None,
            }
        }
        let head = rest.split('.').next().unwrap_or_default();
        head.is_empty().then_some(schema)
    }

    /// Finds a member of an object schema.
    fn member(&mut self, schema: &'doc Value, name: &str, depth: usize) -> Option<&'doc Value> {
        if depth > MAX_COMPOSED {
            return None;
        }
        let (schema, _) = self.schemas.resolve(schema, "")?;
        if let Some(found) = schema.get("properties").and_then(|all| all.get(name)) {
            return Some(found);
        }
        let parts = ["allOf", "oneOf", "anyOf"];
        let parts = parts.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
        parts.take(MAX_PARTS).find_map(|part| self.member(part, name, depth + 1))
    }

    /// Returns a schema without what only validates; `None` when there is no room.
    fn keep(&mut self, schema: &'doc Value, depth: usize) -> Option<Value> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return None;
        }
        let Value::Object(object) = schema else { return Some(json!({})) };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let Some(name) = type_name(reference) else { return Some(json!({})) };
            if self.own.contains(name) {
                return Some(json!({}));
            }
            self.wanted.push(reference);
            return Some(json!({ "$ref": format!("{TYPE_REF}{name}") }));
        }
        let mut kept = Map::new();
        for (key, value) in object {
            let value = match key.as_str() {
                "description" => value.as_str().and_then(description).map(Value::from),
                key if KEYWORDS.contains(&key) => Some(value.clone()),
                "items" | "additionalProperties" if value.is_object() => {
                    Some(self.keep(value, depth + 1).unwrap_or_else(|| json!({})))
                }
                "properties" => value.as_object().map(|properties| {
                    let kept = properties.iter().map(|(name, property)| {
                        let property = self.keep(property, depth + 1);
                        (name.clone(), property.unwrap_or_else(|| json!({})))
                    });
                    Value::Object(kept.collect())
                }),
                "oneOf" | "anyOf" | "allOf" => value.as_array().map(|parts| {
                    let kept = parts.iter().map(|part| self.keep(part, depth + 1));
                    kept.map(|part| part.unwrap_or_else(|| json!({}))).collect()
                }),
                _ => None,
            };
            kept.extend(value.map(|value| (key.clone(), value)));
        }
        Some(Value::Object(kept))
    }
}

/// Returns the name that a reference to a schema of the document ends in.
fn type_name(reference: &str) -> Option<&str> {
    let prefixes = ["#/components/schemas/", "#/definitions/"];
    prefixes.iter().find_map(|prefix| reference.strip_prefix(prefix)).filter(|it| !it.contains('/'))
}
