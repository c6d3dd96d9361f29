//! The members of an object, those of its parts (`allOf`) included.

use std::collections::HashSet;

use dadl_descriptor::model::{ResultTypes, TYPE_REF};
use serde_json::{Map, Value};

/// Parts within parts are read so far.
const MOST_DEPTH: usize = 8;
/// So many parts are looked at.
const MOST_PARTS: usize = 500;
/// So many members are read.
const MOST_MEMBERS: usize = 500;

/// Returns the members of an object. Each type is read once, and of two members of one name the first one
/// counts, so that types that refer to each other take no longer than they are large.
pub(super) fn members<'schema>(
    schema: &'schema Map<String, Value>,
    types: &'schema ResultTypes,
) -> Vec<(&'schema str, &'schema Value)> {
    let mut reader = MemberReader {
        types,
        members: Vec::new(),
        names: HashSet::new(),
        seen: HashSet::new(),
        parts: 0,
    };
    reader.read(schema, 0);
    reader.members
}

/// Returns the type that a reference names, and its name.
pub(super) fn referred<'types>(
    schema: &Map<String, Value>,
    types: &'types ResultTypes,
) -> Option<(&'types str, &'types Value)> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix(TYPE_REF)?;
    types.get_key_value(name).map(|(name, schema)| (name.as_str(), schema))
}

struct MemberReader<'schema> {
    types: &'schema ResultTypes,
    members: Vec<(&'schema str, &'schema Value)>,
    names: HashSet<&'schema str>,
    /// The types that were read.
    seen: HashSet<&'schema str>,
    parts: usize,
}

impl<'schema> MemberReader<'schema> {
    fn read(&mut self, schema: &'schema Map<String, Value>, depth: usize) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                if self.members.len() >= MOST_MEMBERS {
                    return;
                }
                if self.names.insert(name) {
                    self.members.push((name, property));
                }
            }
        }
        let Some(Value::Array(parts)) = schema.get("allOf").filter(|_| depth < MOST_DEPTH) else {
            return;
        };
        for part in parts.iter().filter_map(Value::as_object) {
            if self.parts >= MOST_PARTS {
                return;
            }
            self.parts += 1;
            let part = match referred(part, self.types) {
                Some((name, _)) if !self.seen.insert(name) => None,
                Some((_, schema)) => schema.as_object(),
                None => Some(part),
            };
            if let Some(part) = part {
                self.read(part, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_is_read_once() {
        let count = 500;
        let mut types = ResultTypes::default();
        for at in 0..count {
            let refs: Vec<Value> = (at..at + 20)
                .map(|to| json!({ "$ref": format!("{TYPE_REF}T{}", to % count) }))
                .collect();
            types.insert(
                format!("T{at}"),
                json!({ "allOf": refs, "properties": { format!("m{at}"): {}, "id": {} } }),
            );
        }
        let schema = json!({ "allOf": [{ "$ref": format!("{TYPE_REF}T0") }], "properties": { "id": { "type": "string" } } });
        let members = members(schema.as_object().unwrap(), &types);
        assert_eq!(members[0], ("id", &json!({ "type": "string" })));
        assert_eq!(members.iter().filter(|(name, _)| *name == "id").count(), 1);
        assert!((20..=MOST_PARTS).contains(&members.len()), "{}", members.len());
    }
}
