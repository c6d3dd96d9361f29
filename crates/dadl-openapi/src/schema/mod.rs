//! What a schema says about a value, as far as a descriptor can say it.
//!
//! Schemas of real documents are wrong in many ways and refer to each other in circles. A [`ValueShape`]
//! is what can be taken from one: composition (`allOf`, `oneOf`, `anyOf`) is merged, references are
//! followed, members are looked at to a bounded depth.

mod choice;
mod merge;
mod shape;

use std::{collections::HashSet, rc::Rc};

use serde_json::{Map, Value};

use choice::{SchemaFamily, SchemaOrigin};
use merge::{merge_shapes, unite_shapes};
use shape::MAX_MEMBERS;

use dadl_descriptor::model::ParamKind;
pub use shape::{JsonTypes, ShapeMember, ValueShape};

use super::{
    dialect::OpenApiDialect,
    documents::{DocumentSet, UnresolvedReference},
    report::{ImportRemarks, excerpt, place_at, place_item},
};

/// A reference leads to a reference at most so often.
const MAX_HOPS: usize = 16;

/// Schemas are composed of schemas at most so deep.
const MAX_COMPOSED: usize = 24;

/// Members are looked at so deep below a parameter: what lies deeper is not described.
const MAX_MEMBERS_DEPTH: usize = 3;

/// A longer pattern has no room in a description, in bytes.
const MAX_PATTERN: usize = 60;

/// So many schemas are looked at for one parameter or body.
const BUDGET: usize = 8_000;

/// So many schemas are looked at in a whole document.
const TOTAL_BUDGET: usize = 2_000_000;

/// Keys beside `$ref` that say nothing about what is sent, whether they count or not.
const SILENT: [&str; 9] = [
    "$comment",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "summary",
    "title",
    "xml",
];

/// Reads schemas of one document.
pub(super) struct SchemaReader<'doc> {
    pub(super) documents: &'doc DocumentSet,
    pub(super) remarks: ImportRemarks,
    /// The places of the references that are being followed.
    open: Vec<String>,
    /// Which schemas extend which, once that is asked for.
    family: Option<Rc<SchemaFamily>>,
    /// Whether an answer is read, of which the forms do not matter.
    pub(super) is_answer: bool,
    /// Whether what stands beside a reference counts.
    pub(super) counts_siblings: bool,
    pub(super) dialect: OpenApiDialect,
    /// Whether what nobody reads is reported.
    pub(super) is_accounted: bool,
    /// The places of the schemas that were gone through for that.
    pub(super) accounted: HashSet<String>,
    budget: usize,
    total: usize,
}

impl<'doc> SchemaReader<'doc> {
    pub(super) fn new(documents: &'doc DocumentSet) -> Self {
        Self {
            documents,
            remarks: ImportRemarks::default(),
            open: Vec::new(),
            family: None,
            is_answer: false,
            counts_siblings: documents.counts_siblings(),
            dialect: documents.dialect(),
            is_accounted: true,
            accounted: HashSet::new(),
            budget: BUDGET,
            total: TOTAL_BUDGET,
        }
    }

    /// Follows the references of anything but a schema; `None` when they lead nowhere, which is
    /// reported.
    pub(super) fn resolve(
        &mut self,
        mut value: &'doc Value,
        place: &str,
    ) -> Option<(&'doc Value, String)> {
        let mut place = place.to_owned();
        for _ in 0..MAX_HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Some((value, place));
            };
            self.beside(value, &place);
            let (found, found_place) = self.follow(reference, &place)?;
            value = found;
            place = found_place;
        }
        self.remarks.lost(&place, "the reference leads in a circle", "write what it stands for");
        None
    }

    /// Follows one reference, as `resolve` does.
    pub(super) fn follow(&mut self, reference: &str, place: &str) -> Option<(&'doc Value, String)> {
        let documents = self.documents;
        match documents.find(reference, place) {
            Ok(found) => Some(found),
            Err(gone) => {
                let shown = excerpt(reference);
                let message = match gone {
                    UnresolvedReference::Nothing if reference.starts_with('#') => {
                        format!("nothing is at `{shown}`")
                    }
                    _ => format!("`{shown}` cannot be followed: {gone}"),
                };
                self.remarks.lost(place, message, gone.help());
                None
            }
        }
    }

    /// Returns the member `key` of what is at `place`, references followed.
    pub(super) fn member(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
        key: &str,
    ) -> Option<(&'doc Value, String)> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        self.resolve(value, &place_at(place, key))
    }

    /// Reports what stands beside a reference and does not count.
    pub(super) fn beside(&mut self, value: &'doc Value, place: &str) {
        for key in value.as_object().into_iter().flat_map(Map::keys) {
            if key != "$ref" && !key.starts_with("x-") && !SILENT.contains(&key.as_str()) {
                let message = format!("`{}` beside `$ref` does not count", excerpt(key));
                let help = "write it into what the reference leads to";
                self.remarks.lost(place, message, help);
            }
        }
    }

    /// Returns what the schema at `place` says.
    pub(super) fn read_shape(&mut self, schema: &'doc Value, place: &str) -> ValueShape {
        self.budget = BUDGET.min(self.total);
        let given = self.budget;
        self.open.clear();
        let shape = self.read_schema(schema, place, 0, 0, SchemaOrigin::Itself);
        self.total -= given - self.budget;
        self.account_schema(schema, place);
        if self.budget == 0 {
            let message = "the schema is too large, and was read in part";
            self.remarks.lost(place, message, "check the parameters that came out of it");
        }
        shape
    }

    /// Adds the members that a body must have and that nothing describes: a server refuses it without.
    pub(super) fn complete(&mut self, shape: &mut ValueShape, place: &str) {
        if !shape.kinds.is_any() && !shape.kinds.contains(ParamKind::Object) {
            return;
        }
        for name in std::mem::take(&mut shape.wanted) {
            let message = format!("`{}` is required and not described", excerpt(&name));
            let help = "describe it in the document, or in the descriptor";
            self.remarks.changed(place, message, help);
            let (place, any) = (place.to_owned(), ValueShape::default());
            shape.members.push(ShapeMember { name, required: true, place, shape: any });
        }
    }

    /// Returns what a parameter says that has its type beside its name, as Swagger 2 has it.
    pub(super) fn shape_of_parameter(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
    ) -> ValueShape {
        self.budget = BUDGET.min(self.total);
        let given = self.budget;
        self.open.clear();
        let shape = self.read_own(map, place, 0);
        self.total -= given - self.budget;
        shape
    }

    fn read_schema(
        &mut self,
        schema: &'doc Value,
        place: &str,
        depth: usize,
        composed: usize,
        through: SchemaOrigin,
    ) -> ValueShape {
        if self.budget == 0 || composed > MAX_COMPOSED {
            return ValueShape::default();
        }
        self.budget -= 1;
        let Value::Object(map) = schema else {
            if !schema.is_boolean() {
                let message = "a schema is not an object, and says nothing";
                self.remarks.lost(place, message, "write a schema, or `{}` for anything");
            }
            return ValueShape::default();
        };
        let reference = map.get("$ref").or_else(|| map.get("$dynamicRef"));
        let mut shape = match reference {
            Some(Value::String(reference)) => {
                self.read_referred(reference, place, depth, composed, through)
            }
            _ => ValueShape::default(),
        };
        if matches!(map.get("$ref"), Some(Value::String(_))) && !self.counts_siblings {
            self.beside(schema, place);
            let text = map.get("description").and_then(Value::as_str);
            shape.description = text.map(str::to_owned).or(shape.description);
            return shape;
        }
        let own = self.read_own(map, place, depth);
        shape = merge_shapes(own, shape);
        if let Some(parts) = self.read_parts(map, "allOf", place) {
            let through = self.through(through, place);
            for (part, place) in parts {
                let part = self.read_schema(part, &place, depth, composed + 1, through);
                shape = merge_shapes(shape, part);
            }
        }
        // A child is no other child of what it extends.
        let is_one = through == SchemaOrigin::Part && map.contains_key("discriminator");
        for key in ["oneOf", "anyOf"].into_iter().filter(|_| !is_one) {
            if let Some(parts) = self.read_parts(map, key, place) {
                shape.nullable |= parts.iter().any(|(part, _)| is_null(part));
                let variants = parts
                    .into_iter()
                    .filter(|(part, _)| !is_null(part))
                    .map(|(part, place)| {
                        self.read_schema(part, &place, depth, composed + 1, through)
                    })
                    .collect();
                shape = merge_shapes(shape, unite_shapes(variants));
            }
        }
        if through == SchemaOrigin::Itself {
            shape = self.forms(map, place, shape, depth, composed);
        }
        shape.wanted.extend(self.read_required(map, place).into_iter().map(str::to_owned));
        shape.settle();
        shape
    }

    fn read_referred(
        &mut self,
        reference: &'doc str,
        place: &str,
        depth: usize,
        composed: usize,
        through: SchemaOrigin,
    ) -> ValueShape {
        let Some((found, found_place)) = self.follow(reference, place) else {
            return ValueShape::default();
        };
        if self.open.contains(&found_place) {
            // Trees and lists refer to themselves: their outermost level is described.
            let end = self.documents.end(found, found_place).map_or(found, |(end, _)| end);
            let kinds = end.as_object().map(schema_types).unwrap_or_default();
            return ValueShape { kinds, ..ValueShape::default() };
        }
        self.open.push(found_place.clone());
        let shape = self.read_schema(found, &found_place, depth, composed + 1, through);
        self.open.pop();
        shape
    }

    fn read_parts(
        &mut self,
        map: &'doc Map<String, Value>,
        key: &str,
        place: &str,
    ) -> Option<Vec<(&'doc Value, String)>> {
        let place = place_at(place, key);
        match map.get(key)? {
            Value::Array(parts) => Some(
                parts
                    .iter()
                    .enumerate()
                    .map(|(index, part)| (part, place_item(&place, index)))
                    .collect(),
            ),
            // It can only be meant as the one.
            part @ Value::Object(map) if !map.is_empty() => {
                let message = format!("`{key}` is not a list; the one schema was taken");
                self.remarks.mended(&place, message, "write a list of schemas");
                Some(vec![(part, place)])
            }
            _ => {
                let message = format!("`{key}` is not a list, and was left out");
                self.remarks.lost(&place, message, "write a list of schemas");
                None
            }
        }
    }

    /// Returns the names under `required`; booleans belong to OpenAPI 2 and say nothing here.
    fn read_required(&mut self, map: &'doc Map<String, Value>, place: &str) -> Vec<&'doc str> {
        let place = place_at(place, "required");
        match map.get("required") {
            Some(Value::Array(names)) => {
                if names.iter().any(|name| !name.is_string()) {
                    let message = "`required` lists what is no name, which was left out";
                    self.remarks.mended(&place, message, "list names of members only");
                }
                names.iter().filter_map(Value::as_str).collect()
            }
            Some(Value::Bool(_)) | None => Vec::new(),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "false") => Vec::new(),
            Some(Value::String(name)) => {
                let message = "`required` is not a list; the one name was taken";
                self.remarks.mended(&place, message, "list the names of the required members");
                vec![name.as_str()]
            }
            Some(_) => {
                let message = "`required` is not a list, and was left out";
                self.remarks.lost(&place, message, "list the names of the required members");
                Vec::new()
            }
        }
    }

    /// Reads the keywords of a schema but those that refer or compose.
    fn read_own(&mut self, map: &'doc Map<String, Value>, place: &str, depth: usize) -> ValueShape {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let mut shape = ValueShape {
            kinds: self.read_kinds(map, place),
            format: text("format").map(str::to_owned),
            default: map.get("default").filter(|value| !value.is_null()).cloned(),
            example: schema_example(map),
            description: text("description").or_else(|| text("title")).map(str::to_owned),
            deprecated: schema_flag(map, "deprecated"),
            read_only: schema_flag(map, "readOnly"),
            nullable: takes_null(map),
            ..ValueShape::default()
        };
        shape.is_binary = matches!(text("type"), Some("file"))
            || (text("format") == Some("binary") && !matches!(text("type"), Some("array")))
            || (map.contains_key("contentMediaType") && !map.contains_key("contentEncoding"));
        self.read_bounds(map, &mut shape);
        self.checks(map, place, &mut shape);
        self.read_values(map, place, &mut shape);
        if let Some(items) = map.get("items") {
            let place = place_at(place, "items");
            match items {
                // A list of schemas is one for each place, which nobody means.
                Value::Array(several) => {
                    let (first, place) = (several.first(), place_item(&place, 0));
                    shape.items = first.map(|first| {
                        Box::new(self.read_schema(
                            first,
                            &place,
                            depth + 1,
                            0,
                            SchemaOrigin::Itself,
                        ))
                    });
                }
                one => {
                    shape.items = Some(Box::new(self.read_schema(
                        one,
                        &place,
                        depth + 1,
                        0,
                        SchemaOrigin::Itself,
                    )))
                }
            }
        }
        match map.get("additionalProperties") {
            Some(Value::Bool(true) | Value::Object(_)) => shape.is_open = true,
            _ => {
                let rest = map.get("unevaluatedProperties");
                shape.is_open = map.contains_key("patternProperties")
                    || matches!(rest, Some(Value::Bool(true) | Value::Object(_)));
            }
        }
        if let Some(properties) = map.get("properties") {
            self.read_members(properties, &place_at(place, "properties"), depth, &mut shape);
        }
        shape
    }

    fn read_members(
        &mut self,
        properties: &'doc Value,
        place: &str,
        depth: usize,
        shape: &mut ValueShape,
    ) {
        let Value::Object(properties) = properties else {
            let message = "`properties` is not an object, and was left out";
            self.remarks.lost(place, message, "write an object of schemas");
            return;
        };
        if depth >= MAX_MEMBERS_DEPTH {
            shape.is_cut |= !properties.is_empty();
            return;
        }
        if properties.len() > MAX_MEMBERS {
            let message = format!("only {MAX_MEMBERS} of {} members are read", properties.len());
            self.remarks.lost(place, message, "add the parameters that you need by hand");
        }
        for (name, schema) in properties.iter().take(MAX_MEMBERS) {
            let place = place_at(place, name);
            // OpenAPI 2 generators write `required: true` at the member.
            let required = schema.get("required") == Some(&Value::Bool(true));
            if required {
                let message = "`required: true` stands at the member";
                self.remarks.mended(
                    &place,
                    message,
                    "list the member under `required` of its object",
                );
            }
            let shape_of = self.read_schema(schema, &place, depth + 1, 0, SchemaOrigin::Itself);
            shape.members.push(ShapeMember {
                name: name.clone(),
                required,
                place,
                shape: shape_of,
            });
        }
    }

    /// Reads the words of `type`, also those that are none.
    fn read_kinds(&mut self, map: &'doc Map<String, Value>, place: &str) -> JsonTypes {
        let words: Vec<&Value> = match map.get("type") {
            Some(Value::Array(words)) => words.iter().collect(),
            Some(word) => vec![word],
            None => Vec::new(),
        };
        for word in words {
            let text = word.as_str().unwrap_or_default();
            if word.is_null() || matches!(text, "null" | "file") || known_word(text).is_some() {
                continue;
            }
            let (place, help) = (place_at(place, "type"), "write the JSON type");
            let shown = excerpt(word.as_str().unwrap_or(&word.to_string()));
            if meant_word(text).is_some() || matches!(text, "any" | "*" | "mixed") {
                let message = format!("`{shown}` is not a type of JSON; what it means was taken");
                self.remarks.mended(&place, message, help);
            } else {
                let message = format!("`{shown}` is not a type of JSON, and says nothing");
                self.remarks.lost(&place, message, help);
            }
        }
        schema_types(map)
    }

    fn read_bounds(&mut self, map: &'doc Map<String, Value>, shape: &mut ValueShape) {
        let number = |key: &str| map.get(key).filter(|value| value.is_number());
        let bound = |keys: [&str; 4], exclusive: &str, sign: &str| {
            if let Some(limit) = number(exclusive) {
                return Some(format!("{sign} {limit}"));
            }
            let limit = keys.iter().find_map(|key| number(key))?;
            let is_exclusive = map.get(exclusive) == Some(&Value::Bool(true));
            Some(if is_exclusive { format!("{sign} {limit}") } else { limit.to_string() })
        };
        shape.min = bound(
            ["minimum", "minLength", "minItems", "minProperties"],
            "exclusiveMinimum",
            "more than",
        );
        shape.max = bound(
            ["maximum", "maxLength", "maxItems", "maxProperties"],
            "exclusiveMaximum",
            "less than",
        );
        let plain = |key: &str| map.get(key).and_then(Value::as_number).cloned();
        shape.minimum = plain("minimum");
        shape.maximum = plain("maximum");
    }

    /// Reads what the server checks besides: what a caller can be told in a few words.
    fn checks(&mut self, map: &'doc Map<String, Value>, place: &str, shape: &mut ValueShape) {
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str) {
            let is_plain = pattern.bytes().all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'`');
            if pattern.len() <= MAX_PATTERN && is_plain {
                shape.checks.push(format!("Matches `{pattern}`."));
            } else if self.is_accounted && !self.is_answer {
                let message = "the pattern is too long for a description, or too odd";
                let help = "say in the description of the parameter what its text is like";
                self.remarks.lost(&place_at(place, "pattern"), message, help);
            }
        }
        if let Some(Value::Number(unit)) = map.get("multipleOf") {
            shape.checks.push(format!("A multiple of {unit}."));
        }
        if schema_flag(map, "uniqueItems") {
            shape.checks.push("Each once.".to_owned());
        }
    }

    fn read_values(&mut self, map: &'doc Map<String, Value>, place: &str, shape: &mut ValueShape) {
        if let Some(value) = map.get("const").filter(|value| !value.is_null()) {
            shape.values.push(value.clone());
        }
        match map.get("enum") {
            Some(Value::Array(values)) => {
                for value in values {
                    if !value.is_null() && !shape.values.contains(value) {
                        shape.values.push(value.clone());
                    }
                }
            }
            Some(_) => {
                let message = "`enum` is not a list, and was left out";
                self.remarks.lost(&place_at(place, "enum"), message, "write a list of values");
            }
            None => {}
        }
        if shape.kinds.is_any() {
            for value in &shape.values {
                shape.kinds = shape.kinds.union(kind_of(value));
            }
        }
    }
}

/// Returns whether a schema allows null and nothing else.
fn is_null(schema: &Value) -> bool {
    let is_null_word = |word: &Value| word.is_null() || word.as_str() == Some("null");
    match schema.get("type") {
        Some(Value::Array(words)) => !words.is_empty() && words.iter().all(is_null_word),
        Some(word) => is_null_word(word),
        None => matches!(schema.get("enum"), Some(Value::Array(values))
            if !values.is_empty() && values.iter().all(Value::is_null)),
    }
}

/// Returns whether a schema says that null is a value: in the words of OpenAPI 3.0, Swagger 2 or
/// JSON Schema.
fn takes_null(map: &Map<String, Value>) -> bool {
    let has_null = |key: &str| {
        let value = map.get(key);
        value.and_then(Value::as_array).is_some_and(|them| {
            let is_null = |it: &Value| it.is_null() || (key == "type" && it == "null");
            them.iter().any(is_null)
        })
    };
    schema_flag(map, "nullable")
        || schema_flag(map, "x-nullable")
        || has_null("type")
        || has_null("enum")
}

/// Returns the types that a schema names, or that its keywords belong to.
fn schema_types(map: &Map<String, Value>) -> JsonTypes {
    let mut kinds = JsonTypes::default();
    match map.get("type") {
        Some(Value::Array(words)) => {
            for word in words.iter().filter_map(Value::as_str) {
                kinds = kinds.union(meant_word(word).map(JsonTypes::one).unwrap_or_default());
            }
        }
        Some(Value::String(word)) => {
            kinds = meant_word(word).map(JsonTypes::one).unwrap_or_default();
        }
        _ => {}
    }
    let has = |key: &str| map.get(key).is_some_and(|value| !value.is_null());
    if !kinds.is_any() {
        kinds
    } else if has("properties") || matches!(map.get("additionalProperties"), Some(Value::Object(_)))
    {
        JsonTypes::one(ParamKind::Object)
    } else if has("items") {
        JsonTypes::one(ParamKind::Array)
    } else {
        kinds
    }
}

fn kind_of(value: &Value) -> JsonTypes {
    JsonTypes::one(match value {
        Value::Null => return JsonTypes::default(),
        Value::Bool(_) => ParamKind::Boolean,
        Value::Number(number) if number.is_f64() => ParamKind::Number,
        Value::Number(_) => ParamKind::Integer,
        Value::String(_) => ParamKind::String,
        Value::Array(_) => ParamKind::Array,
        Value::Object(_) => ParamKind::Object,
    })
}

fn known_word(word: &str) -> Option<ParamKind> {
    Some(match word {
        "string" => ParamKind::String,
        "integer" => ParamKind::Integer,
        "number" => ParamKind::Number,
        "boolean" => ParamKind::Boolean,
        "array" => ParamKind::Array,
        "object" => ParamKind::Object,
        _ => return None,
    })
}

/// Returns the type that a word means, though it is none.
fn meant_word(word: &str) -> Option<ParamKind> {
    known_word(word).or_else(|| {
        Some(match word.to_ascii_lowercase().as_str() {
            "string" | "str" | "text" | "date" | "datetime" | "date-time" | "time" | "uuid"
            | "uri" | "url" | "email" | "enum" | "char" | "byte" | "binary" | "password" => {
                ParamKind::String
            }
            "integer" | "int" | "int32" | "int64" | "long" | "short" | "bigint" => {
                ParamKind::Integer
            }
            "number" | "float" | "double" | "decimal" => ParamKind::Number,
            "boolean" | "bool" => ParamKind::Boolean,
            "array" | "list" | "set" => ParamKind::Array,
            "object" | "map" | "dict" | "hash" | "json" => ParamKind::Object,
            _ => return None,
        })
    })
}

/// Reads a flag; generators write booleans as text.
pub(super) fn schema_flag(map: &Map<String, Value>, key: &str) -> bool {
    match map.get(key) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Returns the example of a schema or a parameter.
pub(super) fn schema_example(map: &Map<String, Value>) -> Option<Value> {
    let found = map.get("example").or_else(|| match map.get("examples")? {
        Value::Array(values) => values.first(),
        // OpenAPI 3 has named examples beside a parameter.
        Value::Object(named) => named.values().next().and_then(|first| first.get("value")),
        _ => None,
    });
    found.or_else(|| map.get("x-example")).filter(|value| !value.is_null()).cloned()
}
