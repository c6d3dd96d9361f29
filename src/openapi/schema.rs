//! What a schema says about a value, as far as a descriptor can say it.
//!
//! Schemas of real documents are wrong in many ways and refer to each other in circles. A [`Shape`]
//! is what can be taken from one: composition (`allOf`, `oneOf`, `anyOf`) is merged, references are
//! followed within the document, members are looked at to a bounded depth.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use super::report::{Remarks, at, item};
use crate::descriptor::model::ParamKind;

/// A reference leads to a reference at most so often.
const MAX_HOPS: usize = 16;

/// Schemas are composed of schemas at most so deep.
const MAX_COMPOSED: usize = 24;

/// Members are looked at so deep below a parameter: what lies deeper is not described.
const MAX_MEMBERS_DEPTH: usize = 3;

/// So many schemas are looked at for one parameter or body.
const BUDGET: usize = 8_000;

/// So many schemas are looked at in a whole document.
const TOTAL_BUDGET: usize = 2_000_000;

/// An object has at most so many members.
const MAX_MEMBERS: usize = 1_000;

/// The JSON types that a value may have; none means any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    const ORDER: [ParamKind; 6] = [
        ParamKind::String,
        ParamKind::Integer,
        ParamKind::Number,
        ParamKind::Boolean,
        ParamKind::Array,
        ParamKind::Object,
    ];

    /// Returns the set of one type.
    pub(super) fn one(kind: ParamKind) -> Self {
        let at = Self::ORDER.iter().position(|known| *known == kind);
        Self(at.map_or(0, |at| 1 << at))
    }

    /// Returns whether nothing is known.
    pub fn is_any(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the type is in the set.
    pub fn contains(self, kind: ParamKind) -> bool {
        self.0 & Self::one(kind).0 != 0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the types, scalars first.
    pub fn iter(self) -> impl Iterator<Item = ParamKind> {
        Self::ORDER.into_iter().filter(move |kind| self.contains(*kind))
    }
}

/// What is known about a value.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// The types that it may have.
    pub kinds: Kinds,
    /// The values that it may have, when they are listed; null is left out.
    pub values: Vec<Value>,
    /// `format`.
    pub format: Option<String>,
    /// The least number or length.
    pub min: Option<String>,
    /// The greatest number or length.
    pub max: Option<String>,
    /// `minimum`.
    pub minimum: Option<Number>,
    /// `maximum`.
    pub maximum: Option<Number>,
    /// What the server takes when it gets nothing.
    pub default: Option<Value>,
    /// A value that fits.
    pub example: Option<Value>,
    /// What the value means.
    pub description: Option<String>,
    /// Whether it should no longer be sent.
    pub deprecated: bool,
    /// Whether it comes in answers only.
    pub read_only: bool,
    /// Whether it is the bytes of a file.
    pub is_binary: bool,
    /// The items of an array.
    pub items: Option<Box<Self>>,
    /// The members of an object.
    pub members: Vec<Member>,
    /// Whether it says that an object may have other members.
    pub is_open: bool,
    /// Whether one of several sets of members fits.
    pub has_variants: bool,
    /// Required members that are not among `members`: another part may have them.
    pub(super) wanted: Vec<String>,
}

impl Shape {
    /// Makes the members required that another part of the schema requires.
    fn settle(&mut self) {
        let members = &mut self.members;
        self.wanted.truncate(MAX_MEMBERS);
        self.wanted.retain(|name| {
            let found = members.iter_mut().find(|member| member.name == *name);
            found.map(|member| member.required = true).is_none()
        });
    }
}

/// A member of an object.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Whether the object must have it.
    pub required: bool,
    /// Where it is in the document.
    pub place: String,
    /// What it is.
    pub shape: Shape,
}

/// Reads schemas of one document.
pub(super) struct Schemas<'doc> {
    pub(super) root: &'doc Value,
    pub(super) remarks: Remarks,
    /// The references that are being followed.
    open: Vec<&'doc str>,
    budget: usize,
    total: usize,
}

impl<'doc> Schemas<'doc> {
    pub(super) fn new(root: &'doc Value) -> Self {
        Self {
            root,
            remarks: Remarks::default(),
            open: Vec::new(),
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
            let (found, found_place) = self.follow(reference, &place)?;
            value = found;
            place = found_place;
        }
        self.remarks.lost(&place, "the reference leads in a circle", "write what it stands for");
        None
    }

    /// Follows one reference, as `resolve` does.
    pub(super) fn follow(&mut self, reference: &str, place: &str) -> Option<(&'doc Value, String)> {
        let Some(pointer) = reference.strip_prefix('#') else {
            let message = format!("`{}` refers to another document", excerpt(reference));
            self.remarks.lost(
                place,
                message,
                "bundle the document into one file, then import that",
            );
            return None;
        };
        let decoded = percent_decode_str(pointer).decode_utf8_lossy();
        let candidates = [pointer, decoded.as_ref()];
        for candidate in candidates {
            if let Some(found) = self.root.pointer(candidate) {
                return Some((found, candidate.to_owned()));
            }
        }
        let message = format!("nothing is at `{}`", excerpt(reference));
        self.remarks.lost(
            place,
            message,
            "add what is missing to the document, or remove the reference",
        );
        None
    }

    /// Returns what the schema at `place` says.
    pub(super) fn shape(&mut self, schema: &'doc Value, place: &str) -> Shape {
        self.budget = BUDGET.min(self.total);
        let given = self.budget;
        self.open.clear();
        let shape = self.read(schema, place, 0, 0);
        self.total -= given - self.budget;
        if self.budget == 0 {
            let message = "the schema is too large, and was read in part";
            self.remarks.lost(place, message, "check the parameters that came out of it");
        }
        shape
    }

    /// Returns what a parameter says that has its type beside its name, as Swagger 2 has it.
    pub(super) fn shape_of_parameter(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
    ) -> Shape {
        self.budget = BUDGET.min(self.total);
        let given = self.budget;
        self.open.clear();
        let shape = self.own(map, place, 0);
        self.total -= given - self.budget;
        shape
    }

    fn read(&mut self, schema: &'doc Value, place: &str, depth: usize, composed: usize) -> Shape {
        if self.budget == 0 || composed > MAX_COMPOSED {
            return Shape::default();
        }
        self.budget -= 1;
        let Value::Object(map) = schema else {
            if !schema.is_boolean() {
                let message = "a schema is not an object, and says nothing";
                self.remarks.mended(place, message, "write a schema, or `{}` for anything");
            }
            return Shape::default();
        };
        let mut shape = match map.get("$ref") {
            Some(Value::String(reference)) => self.referred(reference, place, depth, composed),
            _ => Shape::default(),
        };
        let own = self.own(map, place, depth);
        shape = merged(own, shape);
        if let Some(parts) = self.parts(map, "allOf", place) {
            for (part, place) in parts {
                let part = self.read(part, &place, depth, composed + 1);
                shape = merged(shape, part);
            }
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(parts) = self.parts(map, key, place) {
                let variants = parts
                    .into_iter()
                    .filter(|(part, _)| !is_null(part))
                    .map(|(part, place)| self.read(part, &place, depth, composed + 1))
                    .collect();
                shape = merged(shape, united(variants));
            }
        }
        shape.wanted.extend(self.required(map, place).into_iter().map(str::to_owned));
        shape.settle();
        shape
    }

    fn referred(
        &mut self,
        reference: &'doc str,
        place: &str,
        depth: usize,
        composed: usize,
    ) -> Shape {
        let Some((found, found_place)) = self.follow(reference, place) else {
            return Shape::default();
        };
        if self.open.contains(&reference) {
            // Trees and lists refer to themselves: their outermost level is described.
            let kinds = found.as_object().map(kinds).unwrap_or_default();
            return Shape { kinds, ..Shape::default() };
        }
        self.open.push(reference);
        let shape = self.read(found, &found_place, depth, composed + 1);
        self.open.pop();
        shape
    }

    fn parts(
        &mut self,
        map: &'doc Map<String, Value>,
        key: &str,
        place: &str,
    ) -> Option<Vec<(&'doc Value, String)>> {
        let place = at(place, key);
        match map.get(key)? {
            Value::Array(parts) => Some(
                parts.iter().enumerate().map(|(index, part)| (part, item(&place, index))).collect(),
            ),
            _ => {
                let message = format!("`{key}` is not a list, and was left out");
                self.remarks.mended(&place, message, "write a list of schemas");
                None
            }
        }
    }

    /// Returns the names under `required`; booleans belong to OpenAPI 2 and say nothing here.
    fn required(&mut self, map: &'doc Map<String, Value>, place: &str) -> Vec<&'doc str> {
        let place = at(place, "required");
        match map.get("required") {
            Some(Value::Array(names)) => {
                if names.iter().any(|name| !name.is_string()) {
                    let message = "`required` lists what is no name, which was left out";
                    self.remarks.mended(&place, message, "list names of members only");
                }
                names.iter().filter_map(Value::as_str).collect()
            }
            Some(Value::Bool(_)) | None => Vec::new(),
            Some(_) => {
                let message = "`required` is not a list, and was left out";
                self.remarks.mended(&place, message, "list the names of the required members");
                Vec::new()
            }
        }
    }

    /// Reads the keywords of a schema but those that refer or compose.
    fn own(&mut self, map: &'doc Map<String, Value>, place: &str, depth: usize) -> Shape {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let mut shape = Shape {
            kinds: self.kinds(map, place),
            format: text("format").map(str::to_owned),
            default: map.get("default").filter(|value| !value.is_null()).cloned(),
            example: example(map),
            description: text("description").or_else(|| text("title")).map(str::to_owned),
            deprecated: flag(map, "deprecated"),
            read_only: flag(map, "readOnly"),
            ..Shape::default()
        };
        shape.is_binary = matches!(text("type"), Some("file"))
            || (text("format") == Some("binary") && !matches!(text("type"), Some("array")))
            || (map.contains_key("contentMediaType") && !map.contains_key("contentEncoding"));
        self.bounds(map, &mut shape);
        self.values(map, place, &mut shape);
        if let Some(items) = map.get("items") {
            let place = at(place, "items");
            match items {
                // A list of schemas is one for each place, which nobody means.
                Value::Array(several) => {
                    let first = several.first();
                    shape.items =
                        first.map(|first| Box::new(self.read(first, &place, depth + 1, 0)));
                }
                one => shape.items = Some(Box::new(self.read(one, &place, depth + 1, 0))),
            }
        }
        match map.get("additionalProperties") {
            Some(Value::Bool(true) | Value::Object(_)) => shape.is_open = true,
            _ => shape.is_open = map.contains_key("patternProperties"),
        }
        if let Some(properties) = map.get("properties") {
            self.members(properties, &at(place, "properties"), depth, &mut shape);
        }
        shape
    }

    fn members(&mut self, properties: &'doc Value, place: &str, depth: usize, shape: &mut Shape) {
        let Value::Object(properties) = properties else {
            let message = "`properties` is not an object, and was left out";
            self.remarks.mended(place, message, "write an object of schemas");
            return;
        };
        if depth >= MAX_MEMBERS_DEPTH {
            return;
        }
        if properties.len() > MAX_MEMBERS {
            let message = format!("only {MAX_MEMBERS} of {} members are read", properties.len());
            self.remarks.lost(place, message, "add the parameters that you need by hand");
        }
        for (name, schema) in properties.iter().take(MAX_MEMBERS) {
            let place = at(place, name);
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
            let shape_of = self.read(schema, &place, depth + 1, 0);
            shape.members.push(Member { name: name.clone(), required, place, shape: shape_of });
        }
    }

    /// Reads the words of `type`, also those that are none.
    fn kinds(&mut self, map: &'doc Map<String, Value>, place: &str) -> Kinds {
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
            let (message, help) = match meant_word(text) {
                Some(_) => {
                    ("is not a type of JSON; what it means was taken", "write the JSON type")
                }
                None => ("is not a type of JSON, and says nothing", "write the JSON type"),
            };
            let shown = excerpt(word.as_str().unwrap_or(&word.to_string()));
            self.remarks.mended(&at(place, "type"), format!("`{shown}` {message}"), help);
        }
        kinds(map)
    }

    fn bounds(&mut self, map: &'doc Map<String, Value>, shape: &mut Shape) {
        let number = |key: &str| map.get(key).filter(|value| value.is_number());
        let bound = |keys: [&str; 3], exclusive: &str, sign: &str| {
            if let Some(limit) = number(exclusive) {
                return Some(format!("{sign} {limit}"));
            }
            let limit = keys.iter().find_map(|key| number(key))?;
            let is_exclusive = map.get(exclusive) == Some(&Value::Bool(true));
            Some(if is_exclusive { format!("{sign} {limit}") } else { limit.to_string() })
        };
        shape.min = bound(["minimum", "minLength", "minItems"], "exclusiveMinimum", "more than");
        shape.max = bound(["maximum", "maxLength", "maxItems"], "exclusiveMaximum", "less than");
        let plain = |key: &str| map.get(key).and_then(Value::as_number).cloned();
        shape.minimum = plain("minimum");
        shape.maximum = plain("maximum");
    }

    fn values(&mut self, map: &'doc Map<String, Value>, place: &str, shape: &mut Shape) {
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
                self.remarks.mended(&at(place, "enum"), message, "write a list of values");
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

/// Returns the types that a schema names, or that its keywords belong to.
fn kinds(map: &Map<String, Value>) -> Kinds {
    let mut kinds = Kinds::default();
    match map.get("type") {
        Some(Value::Array(words)) => {
            for word in words.iter().filter_map(Value::as_str) {
                kinds = kinds.union(meant_word(word).map(Kinds::one).unwrap_or_default());
            }
        }
        Some(Value::String(word)) => {
            kinds = meant_word(word).map(Kinds::one).unwrap_or_default();
        }
        _ => {}
    }
    let has = |key: &str| map.get(key).is_some_and(|value| !value.is_null());
    if !kinds.is_any() {
        kinds
    } else if has("properties") || matches!(map.get("additionalProperties"), Some(Value::Object(_)))
    {
        Kinds::one(ParamKind::Object)
    } else if has("items") {
        Kinds::one(ParamKind::Array)
    } else {
        kinds
    }
}

fn kind_of(value: &Value) -> Kinds {
    Kinds::one(match value {
        Value::Null => return Kinds::default(),
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
pub(super) fn flag(map: &Map<String, Value>, key: &str) -> bool {
    match map.get(key) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Returns the example of a schema or a parameter.
pub(super) fn example(map: &Map<String, Value>) -> Option<Value> {
    let found = map.get("example").or_else(|| match map.get("examples")? {
        Value::Array(values) => values.first(),
        // OpenAPI 3 has named examples beside a parameter.
        Value::Object(named) => named.values().next().and_then(|first| first.get("value")),
        _ => None,
    });
    found.or_else(|| map.get("x-example")).filter(|value| !value.is_null()).cloned()
}

/// Joins what two schemas say that must both fit; the first one's words count.
fn merged(first: Shape, second: Shape) -> Shape {
    let kinds = match (first.kinds.is_any(), second.kinds.is_any()) {
        (true, _) => second.kinds,
        (_, true) => first.kinds,
        // `number` beside `integer` is an integer.
        _ => {
            let both = first.kinds.intersection(second.kinds);
            let number = |kinds: Kinds| kinds.contains(ParamKind::Number);
            let integer = |kinds: Kinds| kinds.contains(ParamKind::Integer);
            if !both.is_any() {
                both
            } else if (number(first.kinds) && integer(second.kinds))
                || (integer(first.kinds) && number(second.kinds))
            {
                Kinds::one(ParamKind::Integer)
            } else {
                first.kinds
            }
        }
    };
    let values = if first.values.is_empty() {
        second.values
    } else if second.values.is_empty() {
        first.values
    } else {
        let both: Vec<Value> =
            first.values.iter().filter(|value| second.values.contains(value)).cloned().collect();
        if both.is_empty() { first.values } else { both }
    };
    let mut members = first.members;
    let mut room = MAX_MEMBERS.saturating_sub(members.len());
    for member in second.members {
        match members.iter_mut().find(|known| known.name == member.name) {
            Some(known) => {
                known.required |= member.required;
                let own = std::mem::take(&mut known.shape);
                known.shape = merged(own, member.shape);
            }
            None if room > 0 => {
                room -= 1;
                members.push(member);
            }
            None => {}
        }
    }
    let mut wanted = first.wanted;
    wanted.extend(second.wanted);
    let items = match (first.items, second.items) {
        (Some(first), Some(second)) => Some(Box::new(merged(*first, *second))),
        (first, second) => first.or(second),
    };
    let mut whole = Shape {
        kinds,
        values,
        members,
        items,
        wanted,
        format: first.format.or(second.format),
        min: first.min.or(second.min),
        max: first.max.or(second.max),
        minimum: first.minimum.or(second.minimum),
        maximum: first.maximum.or(second.maximum),
        default: first.default.or(second.default),
        example: first.example.or(second.example),
        description: first.description.or(second.description),
        deprecated: first.deprecated || second.deprecated,
        read_only: first.read_only || second.read_only,
        is_binary: first.is_binary || second.is_binary,
        is_open: first.is_open || second.is_open,
        has_variants: first.has_variants || second.has_variants,
    };
    whole.settle();
    whole
}

/// Joins what schemas say of which one must fit.
fn united(variants: Vec<Shape>) -> Shape {
    let count = variants.len();
    let mut variants = variants.into_iter();
    let Some(mut whole) = variants.next() else { return Shape::default() };
    let mut seen: Vec<(String, usize)> =
        whole.members.iter().map(|member| (member.name.clone(), 1)).collect();
    let mut differs = false;
    // What one variant requires, the others need not have.
    whole.wanted.clear();
    for variant in variants {
        // One that says nothing allows everything.
        whole.kinds = if whole.kinds.is_any() || variant.kinds.is_any() {
            Kinds::default()
        } else {
            whole.kinds.union(variant.kinds)
        };
        if whole.values.is_empty() || variant.values.is_empty() {
            whole.values.clear();
        } else {
            for value in variant.values {
                if !whole.values.contains(&value) {
                    whole.values.push(value);
                }
            }
        }
        whole.format = whole.format.filter(|format| variant.format.as_ref() == Some(format));
        whole.min = whole.min.filter(|min| variant.min.as_ref() == Some(min));
        whole.max = whole.max.filter(|max| variant.max.as_ref() == Some(max));
        whole.minimum = whole.minimum.filter(|it| variant.minimum.as_ref() == Some(it));
        whole.maximum = whole.maximum.filter(|it| variant.maximum.as_ref() == Some(it));
        whole.default = whole.default.or(variant.default);
        whole.example = whole.example.or(variant.example);
        whole.description = whole.description.or(variant.description);
        whole.is_binary |= variant.is_binary;
        whole.is_open |= variant.is_open;
        whole.has_variants |= variant.has_variants;
        whole.deprecated &= variant.deprecated;
        whole.read_only &= variant.read_only;
        whole.items = whole.items.or(variant.items);
        for member in variant.members {
            match whole.members.iter_mut().find(|known| known.name == member.name) {
                Some(known) => {
                    known.required &= member.required;
                    let own = std::mem::take(&mut known.shape);
                    known.shape = united(vec![own, member.shape]);
                    if let Some((_, times)) = seen.iter_mut().find(|(name, _)| *name == known.name)
                    {
                        *times += 1;
                    }
                }
                None => {
                    differs = true;
                    if whole.members.len() < MAX_MEMBERS {
                        seen.push((member.name.clone(), 1));
                        whole.members.push(member);
                    }
                }
            }
        }
    }
    for member in &mut whole.members {
        let times =
            seen.iter().find(|(name, _)| *name == member.name).map_or(0, |(_, times)| *times);
        if times < count {
            differs = true;
            member.required = false;
        }
    }
    whole.has_variants |= differs;
    whole
}

/// Cuts what is shown of a text of the document.
pub(super) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(80).filter(|shown| !shown.is_control()).collect();
    if shown.len() < text.len() { format!("{shown}..") } else { shown }
}
