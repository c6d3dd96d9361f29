//! The shapes of results: schemas of answers with the types that they refer to, as a descriptor has
//! them.

use std::collections::{BTreeSet, HashMap};

use dadl_descriptor::model::{ResultTypes, TYPE_REF, Tool};
use serde_json::{Map, Value, json};

use super::{
    documents::DocumentSet, model::OperationAnswer, schema::SchemaReader, text::clean_description,
};

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
pub(super) struct ResultSchemas<'doc> {
    schemas: SchemaReader<'doc>,
    /// The author's types; those of the document do not replace them.
    own: BTreeSet<String>,
    types: ResultTypes,
    /// References that were kept and not followed yet: the name of the type, and its schema.
    wanted: Vec<(String, &'doc Value, String)>,
    /// Where the types are that have their names.
    places: HashMap<String, String>,
    nodes: usize,
}

impl<'doc> ResultSchemas<'doc> {
    /// Begins for a document and a descriptor with types of its own.
    pub(super) fn new(documents: &'doc DocumentSet, own: &ResultTypes) -> Self {
        Self {
            schemas: SchemaReader::new(documents),
            own: own.keys().cloned().collect(),
            types: ResultTypes::new(),
            wanted: Vec::new(),
            places: HashMap::new(),
            nodes: 0,
        }
    }

    /// Returns the shape of a tool's result: of the answer in JSON, and in it what the tool's
    /// `result_path` selects.
    pub(super) fn of(&mut self, tool: &Tool, answer: &OperationAnswer) -> Option<Value> {
        let place = answer.schema.as_deref()?;
        let (schema, place) = self.schemas.documents.at(place)?;
        let (schema, place) = match &tool.response.result_path {
            None => (schema, place),
            Some(path) => self.select(schema, &place, path.as_str())?,
        };
        let kept = self.keep(schema, &place, 0)?;
        kept.as_object().is_some_and(|kept| !kept.is_empty()).then_some(kept)
    }

    /// Returns the types that the results refer to, and those that these refer to.
    pub(super) fn into_types(mut self) -> ResultTypes {
        while let Some((name, schema, place)) = self.wanted.pop() {
            if !self.types.contains_key(&name) {
                let schema = self.keep(schema, &place, 0);
                self.types.insert(name, schema.unwrap_or_else(|| json!({})));
            }
        }
        self.types
    }

    /// Follows the names and indexes of a JSONPath through schemas.
    fn select(
        &mut self,
        schema: &'doc Value,
        place: &str,
        path: &str,
    ) -> Option<(&'doc Value, String)> {
        let (mut schema, mut place) = (schema, place.to_owned());
        let rest = path.strip_prefix('$')?;
        for part in rest.split('.').skip(1) {
            let (name, index) = match part.split_once('[') {
                Some((name, index)) => (name, Some(index)),
                None => (part, None),
            };
            (schema, place) = self.member(schema, &place, name, 0)?;
            match index.map(|index| index.trim_end_matches(']').parse::<i64>()) {
                None => {}
                Some(Ok(_)) => {
                    (schema, place) = self.schemas.resolve(schema, &place)?;
                    schema = schema.get("items")?;
                }
                Some(Err(_)) => return None,
            }
        }
        let head = rest.split('.').next().unwrap_or_default();
        head.is_empty().then_some((schema, place))
    }

    /// Finds a member of an object schema, and the place of what has it.
    fn member(
        &mut self,
        schema: &'doc Value,
        place: &str,
        name: &str,
        depth: usize,
    ) -> Option<(&'doc Value, String)> {
        if depth > MAX_COMPOSED {
            return None;
        }
        let (schema, place) = self.schemas.resolve(schema, place)?;
        if let Some(found) = schema.get("properties").and_then(|all| all.get(name)) {
            return Some((found, place));
        }
        let parts = ["allOf", "oneOf", "anyOf"];
        let parts = parts.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
        parts.take(MAX_PARTS).find_map(|part| self.member(part, &place, name, depth + 1))
    }

    /// Returns a schema without what only validates; `None` when there is no room. The place tells the
    /// file.
    fn keep(&mut self, schema: &'doc Value, place: &str, depth: usize) -> Option<Value> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return None;
        }
        let Value::Object(object) = schema else { return Some(json!({})) };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let Some((found, place)) = self.schemas.follow(reference, place) else {
                return Some(json!({}));
            };
            let Some(name) = type_name(&place).map(str::to_owned) else { return Some(json!({})) };
            let known = self.places.entry(name.clone()).or_insert_with(|| place.clone());
            if self.own.contains(&name) || *known != place {
                return Some(json!({}));
            }
            self.wanted.push((name.clone(), found, place));
            return Some(json!({ "$ref": format!("{TYPE_REF}{name}") }));
        }
        let mut kept = Map::new();
        for (key, value) in object {
            let value = match key.as_str() {
                "description" => value.as_str().and_then(clean_description).map(Value::from),
                key if KEYWORDS.contains(&key) => Some(value.clone()),
                "items" | "additionalProperties" if value.is_object() => {
                    Some(self.keep(value, place, depth + 1).unwrap_or_else(|| json!({})))
                }
                "properties" => value.as_object().map(|properties| {
                    let kept = properties.iter().map(|(name, property)| {
                        let property = self.keep(property, place, depth + 1);
                        (name.clone(), property.unwrap_or_else(|| json!({})))
                    });
                    Value::Object(kept.collect())
                }),
                "oneOf" | "anyOf" | "allOf" => value.as_array().map(|parts| {
                    let kept = parts.iter().map(|part| self.keep(part, place, depth + 1));
                    kept.map(|part| part.unwrap_or_else(|| json!({}))).collect()
                }),
                _ => None,
            };
            kept.extend(value.map(|value| (key.clone(), value)));
        }
        Some(Value::Object(kept))
    }
}

/// Returns the name of the schema at a place: below its key, or in a file of its own.
fn type_name(place: &str) -> Option<&str> {
    let (file, pointer) = match place.split_once('#') {
        Some((file, pointer)) if !place.starts_with('/') => (file, pointer),
        _ => ("", place),
    };
    let name = if pointer.is_empty() {
        let name = file.rsplit('/').next()?;
        name.split_once('.').map_or(name, |(stem, _)| stem)
    } else if file.is_empty() {
        let prefixes = ["/components/schemas/", "/definitions/"];
        prefixes.iter().find_map(|prefix| pointer.strip_prefix(prefix))?
    } else {
        pointer.rsplit('/').next()?
    };
    Some(name).filter(|name| !name.is_empty() && !name.contains('/'))
}
