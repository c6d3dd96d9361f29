//! The ledger of keywords: reports each keyword of an OpenAPI document that is not read although it may
//! matter for requests, with its place.
//!
//! Code that looks up the keys it knows says nothing of the others. So each object that is read is gone
//! through once more, by all of its keys. A key has one of four fates (`keywords`): `read`, it is used;
//! `silent`, it means nothing for requests; `lost`, it is known and cannot be expressed, and the report
//! has help; or it is unknown, and reported. Keys that begin with `x-`, and what answers alone have, are
//! left out. Schemas are gone through whole, deeper than a descriptor describes them: an unknown word may
//! stand anywhere. Values that a keyword cannot have are reported as well.

mod keywords;

use serde_json::{Map, Value};

pub(super) use keywords::DocumentObject;

use super::{
    dialect::OpenApiDialect,
    report::{excerpt, place_at, place_item},
    schema::{SchemaReader, schema_flag},
};

/// What to do about a keyword that nobody knows.
const UNKNOWN: &str = "it may be a slip: correct it, or see whether requests need what it says";

/// What to do about a keyword with a value that it cannot have.
const ODD: &str = "write what the keyword can have, or remove it";

/// The keywords of a schema that hold schemas, and are read.
const ONE: [&str; 3] = ["additionalProperties", "items", "unevaluatedProperties"];
const SEVERAL: [&str; 3] = ["allOf", "anyOf", "oneOf"];

impl<'doc> SchemaReader<'doc> {
    /// Reports what the object at `place` says and nobody reads.
    pub(super) fn account(
        &mut self,
        object: DocumentObject,
        map: &'doc Map<String, Value>,
        place: &str,
    ) {
        if !self.is_accounted || self.is_answer {
            return;
        }
        let keywords = object.keywords(self.dialect);
        for (key, value) in map.iter().filter(|(key, _)| !key.starts_with("x-")) {
            let key = key.as_str();
            // `consumes` has no effect beside `requestBody`.
            let is_idle = key == "consumes" && map.contains_key("requestBody");
            let is_known = keywords.read.contains(&key) || keywords.silent.contains(&key);
            if is_known && !is_idle {
                if object == DocumentObject::Schema && !fits(key, value) {
                    self.odd(key, value, place);
                }
                continue;
            }
            if object.may_be_schema() && DocumentObject::is_of_schemas(key) {
                continue;
            }
            let known = keywords.lost.iter().find(|(known, _)| *known == key);
            // A `refreshUrl` that is the `tokenUrl` loses nothing.
            if key == "refreshUrl" && map.get("tokenUrl") == Some(value) {
                continue;
            }
            // A container of what is referred to is no keyword.
            if known.is_some() && says_nothing(value)
                || known.is_none() && self.documents.is_referred(&place_at(place, key))
            {
                continue;
            }
            let help = known.map_or(UNKNOWN, |(_, help)| *help);
            self.unread(key, place, help);
        }
    }

    /// Does the same with the keys of a parameter that has its type beside its name, and with the
    /// schemas in it.
    pub(super) fn account_bare(&mut self, map: &'doc Map<String, Value>, place: &str) {
        if !self.is_accounted {
            return;
        }
        let parameter = DocumentObject::Parameter.keywords(self.dialect);
        let schema = DocumentObject::Schema.keywords(self.dialect);
        for (key, value) in map.iter().filter(|(key, _)| !key.starts_with("x-")) {
            let key = key.as_str();
            if parameter.read.contains(&key) || parameter.silent.contains(&key) {
                continue;
            }
            if schema.read.contains(&key) || schema.silent.contains(&key) {
                if !fits(key, value) {
                    self.odd(key, value, place);
                }
                continue;
            }
            let known = schema.lost.iter().find(|(known, _)| *known == key);
            if known.is_none() || !says_nothing(value) {
                self.unread(key, place, known.map_or(UNKNOWN, |(_, help)| *help));
            }
        }
        self.account_schemas(parts(map, place));
    }

    /// Does the same with a schema and all that it holds and refers to, each once.
    pub(super) fn account_schema(&mut self, schema: &'doc Value, place: &str) {
        if self.is_accounted && !self.is_answer {
            self.account_schemas(vec![(schema, place.to_owned())]);
        }
    }

    fn account_schemas(&mut self, mut open: Vec<(&'doc Value, String)>) {
        let documents = self.documents;
        while let Some((schema, place)) = open.pop() {
            let Value::Object(map) = schema else { continue };
            // Schemas that are `readOnly` come in answers only.
            if schema_flag(map, "readOnly") || !self.accounted.insert(place.clone()) {
                continue;
            }
            let reference = map.get("$ref").or_else(|| map.get("$dynamicRef"));
            if let Some(reference) = reference.and_then(Value::as_str) {
                open.extend(documents.find(reference, &place).ok());
                if map.contains_key("$ref") && !self.counts_siblings {
                    self.beside(schema, &place);
                    continue;
                }
            }
            self.account(DocumentObject::Schema, map, &place);
            if let Some(Value::Object(discriminator)) = map.get("discriminator") {
                self.account(
                    DocumentObject::Discriminator,
                    discriminator,
                    &place_at(&place, "discriminator"),
                );
            }
            if let Some(Value::Array(_)) = map.get("items") {
                let help = "write one schema for all items";
                self.remarks.lost(
                    &place_at(&place, "items"),
                    "`items` is a list: the first one was taken for all",
                    help,
                );
            }
            open.extend(parts(map, &place));
        }
    }

    /// Reports the keys of a map that are none of those that it can have.
    pub(super) fn account_keys(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
        is_known: impl Fn(&str) -> bool,
    ) {
        let keys = map.keys().filter(|key| self.is_accounted && !key.starts_with("x-"));
        for key in keys.filter(|key| !is_known(key)).collect::<Vec<_>>() {
            self.unread(key, place, UNKNOWN);
        }
    }

    fn unread(&mut self, key: &str, place: &str, help: &'static str) {
        self.remarks.lost(&place_at(place, key), format!("`{}` is not read", excerpt(key)), help);
    }

    fn odd(&mut self, key: &str, value: &Value, place: &str) {
        let shown = excerpt(&value.to_string());
        let message = format!("`{key}` cannot be `{shown}`, which says nothing");
        self.remarks.lost(&place_at(place, key), message, ODD);
    }
}

impl DocumentObject {
    fn is_of_schemas(key: &str) -> bool {
        let schema = Self::Schema.keywords(OpenApiDialect::OpenApi3);
        let lost = schema.lost.iter().any(|(known, _)| *known == key);
        lost || schema.read.contains(&key) || schema.silent.contains(&key)
    }
}

/// Returns the schemas that a schema holds.
fn parts<'doc>(map: &'doc Map<String, Value>, place: &str) -> Vec<(&'doc Value, String)> {
    let mut parts = Vec::new();
    for key in ONE {
        match map.get(key) {
            Some(Value::Array(several)) => {
                parts.extend(
                    several.first().map(|first| (first, place_item(&place_at(place, key), 0))),
                );
            }
            Some(one) => parts.push((one, place_at(place, key))),
            None => {}
        }
    }
    for key in SEVERAL {
        let place = place_at(place, key);
        match map.get(key) {
            Some(Value::Array(several)) => {
                let several = several.iter().enumerate();
                parts.extend(several.map(|(index, part)| (part, place_item(&place, index))));
            }
            Some(one) => parts.push((one, place)),
            None => {}
        }
    }
    if let Some(Value::Object(members)) = map.get("properties") {
        let place = place_at(place, "properties");
        parts.extend(members.iter().map(|(name, part)| (part, place_at(&place, name))));
    }
    parts
}

/// Returns whether a keyword with this value could as well be absent.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Returns whether a keyword of a schema may have such a value; what else its reader tells itself is
/// not looked at.
fn fits(key: &str, value: &Value) -> bool {
    let is_flag = || {
        let text = value.as_str().map(str::to_ascii_lowercase);
        value.is_boolean() || text.is_some_and(|text| text == "true" || text == "false")
    };
    value.is_null()
        || match key {
            "maxItems" | "maxLength" | "maxProperties" | "maximum" | "minItems" | "minLength"
            | "minProperties" | "minimum" | "multipleOf" => value.is_number(),
            "exclusiveMaximum" | "exclusiveMinimum" => value.is_number() || value.is_boolean(),
            "$dynamicRef" | "$id" | "$ref" | "contentEncoding" | "contentMediaType"
            | "description" | "format" | "id" | "pattern" | "title" => value.is_string(),
            "deprecated" | "nullable" | "readOnly" | "uniqueItems" => is_flag(),
            "additionalProperties" | "unevaluatedProperties" => {
                value.is_boolean() || value.is_object()
            }
            "discriminator" => value.is_string() || value.is_object(),
            "items" => value.is_boolean() || value.is_object() || value.is_array(),
            _ => true,
        }
}

#[cfg(test)]
mod tests;
