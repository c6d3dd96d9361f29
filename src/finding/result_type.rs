//! What a tool gives, in the words of TypeScript: `{id: string, size: number (Bytes), ...}[]`.

use dadl_descriptor::model::ResultTypes;
use serde_json::{Map, Value};

use super::{
    choice::{ChoiceRoom, choice},
    members::{members, referred},
};
use crate::catalog::collapse_spaces;

/// Types within types are followed so far.
const MOST_DEPTH: usize = 3;
/// Of values that a text may be so many are named.
const VALUES: ChoiceRoom = ChoiceRoom { most: 8, characters: 120 };
/// Of types that a value may have so many are named.
const MOST_BRANCHES: usize = 4;
/// A description of so many characters may be a unit.
const LONGEST_UNIT: usize = 24;
/// Words of descriptions that say how a number is counted.
const UNITS: &[&str] = &[
    "byte", "ib", "second", "minute", "hour", "day", "ms", "s since", "percent", "%", "bit", "mhz",
    "cent",
];

/// Writes types within a room.
pub(super) struct TypeWriter<'types> {
    types: &'types ResultTypes,
    /// The characters that may still be written.
    room: usize,
    /// The members that the items of an answer have, where the call says so itself.
    members: Option<Vec<String>>,
}

impl<'types> TypeWriter<'types> {
    pub(super) fn new(types: &'types ResultTypes, room: usize) -> Self {
        Self { types, room, members: None }
    }

    /// Has the outermost objects written with these members alone, in this order.
    pub(super) fn with_members(mut self, members: Option<Vec<String>>) -> Self {
        self.members = members;
        self
    }

    /// Writes the type of a schema.
    pub(super) fn write(&mut self, schema: &Value) -> String {
        self.kind(schema, 0)
    }

    fn kind(&mut self, schema: &Value, depth: usize) -> String {
        let Value::Object(schema) = schema else { return "any".to_owned() };
        if schema.contains_key("$ref") {
            return match referred(schema, self.types) {
                Some((_, schema)) if depth < 2 * MOST_DEPTH => self.kind(schema, depth + 1),
                _ => "object".to_owned(),
            };
        }
        if let Some(Value::Array(values)) = schema.get("enum")
            && let Some(choice) = choice(values, VALUES)
        {
            return choice;
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = schema.get(key) {
                let mut kinds: Vec<String> = Vec::new();
                for branch in branches.iter().take(MOST_BRANCHES) {
                    let kind = self.kind(branch, depth + 1);
                    if kind != "null" && !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                return kinds.join(" | ");
            }
        }
        let is_object = schema.contains_key("properties") || schema.contains_key("allOf");
        if is_object && (depth > MOST_DEPTH || self.room == 0) {
            return "object".to_owned();
        }
        let properties = members(schema, self.types);
        if !properties.is_empty() {
            return self.object(&properties, depth);
        }
        match kind_of(schema) {
            Some("array") => {
                let item = schema.get("items").map_or_else(
                    || "any".to_owned(),
                    // A list alone has no members of its own.
                    |items| self.kind(items, depth + usize::from(depth > 0)),
                );
                if item.contains(" | ") { format!("({item})[]") } else { format!("{item}[]") }
            }
            Some("object") | None
                if schema.get("additionalProperties").is_some_and(Value::is_object) =>
            {
                let value = schema.get("additionalProperties").map(|it| self.kind(it, depth + 1));
                format!("{{[key]: {}}}", value.unwrap_or_default())
            }
            Some(kind) => collapse_spaces(kind),
            None => "any".to_owned(),
        }
    }

    fn object(&mut self, properties: &[(&str, &Value)], depth: usize) -> String {
        let named: Vec<(&str, &Value)> = match self.members.take() {
            Some(members) => {
                let property = |member: &String| {
                    let name = member.split('.').next().unwrap_or_default();
                    properties.iter().find(|(known, _)| *known == name).copied()
                };
                let mut named: Vec<(&str, &Value)> = Vec::new();
                for property in members.iter().filter_map(property) {
                    if named.iter().all(|(known, _)| *known != property.0) {
                        named.push(property);
                    }
                }
                if named.is_empty() { properties.to_vec() } else { named }
            }
            None => properties.to_vec(),
        };
        let mut parts: Vec<String> = Vec::new();
        for (name, property) in named {
            let name = collapse_spaces(name);
            if self.room < name.len() + 8 {
                self.room = 0;
                parts.push("...".to_owned());
                break;
            }
            self.room -= name.len() + 4;
            let before = self.room;
            let kind = self.kind(property, depth + 1);
            self.room = self.room.min(before.saturating_sub(kind.len()));
            let unit = unit(property).map(|unit| format!(" ({unit})")).unwrap_or_default();
            parts.push(format!("{name}: {kind}{unit}"));
        }
        format!("{{{}}}", parts.join(", "))
    }
}

/// Returns the type of a schema, its first one that is not null.
fn kind_of(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    }
}

/// Returns how a value is counted, where its description says nothing else.
fn unit(property: &Value) -> Option<String> {
    let description = collapse_spaces(property.get("description")?.as_str()?);
    let small = description.to_lowercase();
    let is_unit = description.chars().count() <= LONGEST_UNIT
        && UNITS.iter().any(|unit| small.contains(unit));
    is_unit.then_some(description)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(schema: &Value, room: usize, members: Option<&[&str]>) -> String {
        let mut types = ResultTypes::default();
        let disk = json!({ "type": "object", "properties": {
            "id": { "type": "string" },
            "size": { "type": ["integer", "null"], "description": "Bytes" },
            "state": { "type": "string", "enum": ["new", "used"] },
            "parent": { "$ref": "#/$defs/Disk" },
        } });
        types.insert("Disk".to_owned(), disk);
        let members = members.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        TypeWriter::new(&types, room).with_members(members).write(schema)
    }

    #[test]
    fn types_are_written_within_their_room() {
        let disks = json!({ "type": "array", "items": { "$ref": "#/$defs/Disk" } });
        assert_eq!(
            written(&disks, 60, None),
            "{id: string, size: integer (Bytes), state: \"new\"|\"used\", ...}[]"
        );
        assert_eq!(
            written(&disks, 60, Some(&["size", "id", "none"])),
            "{size: integer (Bytes), id: string}[]"
        );
        assert_eq!(
            written(
                &json!({ "type": "object", "additionalProperties": { "type": "number" } }),
                60,
                None
            ),
            "{[key]: number}"
        );
        assert_eq!(written(&json!({}), 60, None), "any");
        let either = json!({ "type": "array", "items": { "anyOf": [{ "type": "string" }, { "type": "null" }, { "type": "integer" }] } });
        assert_eq!(written(&either, 60, None), "(string | integer)[]");
    }

    #[test]
    fn what_types_refer_to_in_all_ways_ends() {
        let mut types = ResultTypes::default();
        for at in 0..500 {
            let refs: Vec<Value> = (at..at + 20)
                .map(|to| json!({ "$ref": format!("#/$defs/T{}", to % 500) }))
                .collect();
            let property = json!({ "anyOf": refs });
            let properties = json!({ "a": property, "b": property, "c": property });
            types.insert(format!("T{at}"), json!({ "allOf": refs, "properties": properties }));
        }
        let mut writer = TypeWriter::new(&types, 1_500);
        assert!(writer.write(&json!({ "$ref": "#/$defs/T0" })).len() < 100_000);
    }

    #[test]
    fn a_type_within_itself_ends() {
        let disk = json!({ "$ref": "#/$defs/Disk" });
        assert!(written(&disk, 100_000, None).len() < 2_000);
    }
}
