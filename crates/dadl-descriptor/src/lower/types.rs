//! `types` and `returns`: shapes of results, as a subset of JSON Schema (DADL 0.2, sections 6.5
//! and 10).
//!
//! They describe and never decide: an answer of another shape arrives all the same. Hence all
//! findings are warnings, and what is wrong says nothing about the shape.

use std::collections::BTreeMap;

use dadl_text::names::nearest_name;
use serde_json::{Map, Value as Json, json};

use super::context::{LowerContext, MappingPlace, YamlSection, join_names};
use crate::{
    code,
    model::{ResultTypes, TYPE_REF},
    yaml::{YamlEntry, YamlNode, YamlValue},
};

/// The words of `type`.
const WORDS: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// What may stand before the name of a type in `$ref`; authors copy schemas out of OpenAPI.
const PREFIXES: [&str; 6] =
    [TYPE_REF, "#/components/schemas/", "#/definitions/", "#/backend/types/", "#/types/", "types."];

/// Lowers `types`.
pub(super) fn lower<'tree>(
    backend: &YamlSection<'tree>,
    names: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> ResultTypes {
    let Some(entry) = backend.entry("types") else { return BTreeMap::new() };
    let Some(section) = context.open(&entry.value, &entry.key_span, MappingPlace::Key("types"))
    else {
        return BTreeMap::new();
    };
    let mut types = ResultTypes::new();
    for entry in section.entries() {
        let schema = lower_schema(&entry.value, names, context).unwrap_or_else(|| json!({}));
        types.insert(entry.key.clone().into_owned(), schema);
    }
    types
}

/// Returns the names of the types, before any of them is read: they refer to each other.
pub(super) fn declared_names<'tree>(backend: &YamlSection<'tree>) -> Vec<&'tree str> {
    match backend.entry("types").map(|entry| &entry.value.value) {
        Some(YamlValue::Mapping(entries)) => {
            entries.iter().map(|entry| entry.key.as_ref()).collect()
        }
        _ => Vec::new(),
    }
}

/// Lowers `returns` of a tool: the name of a type, or a schema.
pub(super) fn lower_returns<'tree>(
    tool: &YamlSection<'tree>,
    names: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> Option<Json> {
    let entry = tool.entry("returns")?;
    context.since_v02(tool, "returns");
    match &entry.value.value {
        YamlValue::Mapping(_) | YamlValue::String(_) => lower_schema(&entry.value, names, context),
        _ => {
            context.wrong_type(&entry.value, "`returns`", "the name of a type or a schema");
            None
        }
    }
}

/// Reads a schema, or a text that names a type.
fn lower_schema<'tree>(
    node: &'tree YamlNode<'tree>,
    names: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> Option<Json> {
    match &node.value {
        YamlValue::String(name) => lower_reference(name, node, names, context),
        YamlValue::Bool(_) => Some(json!({})),
        YamlValue::Mapping(entries) => {
            let mut schema = Map::new();
            for entry in *entries {
                let value = lower_keyword(entry, names, context);
                schema.extend(value.map(|value| (entry.key.clone().into_owned(), value)));
            }
            Some(Json::Object(schema))
        }
        _ => {
            report_malformed(node, "a schema", "a mapping or the name of a type", context);
            None
        }
    }
}

/// Reads the value of one keyword; those that only validate are kept as they are.
fn lower_keyword<'tree>(
    entry: &'tree YamlEntry<'tree>,
    names: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> Option<Json> {
    let node = &entry.value;
    match entry.key.as_ref() {
        "$ref" => match &node.value {
            YamlValue::String(name) => lower_reference(name, node, names, context)
                .and_then(|schema| schema.get("$ref").cloned()),
            _ => {
                report_malformed(node, "`$ref`", "the name of a type", context);
                None
            }
        },
        "type" => type_words(node, context),
        "items" => lower_schema(node, names, context),
        "additionalProperties" => match &node.value {
            YamlValue::Bool(value) => Some((*value).into()),
            _ => lower_schema(node, names, context),
        },
        "properties" => {
            let YamlValue::Mapping(entries) = &node.value else {
                report_malformed(node, "`properties`", "a mapping", context);
                return None;
            };
            let properties = entries.iter().map(|entry| {
                let schema =
                    lower_schema(&entry.value, names, context).unwrap_or_else(|| json!({}));
                (entry.key.clone().into_owned(), schema)
            });
            Some(Json::Object(properties.collect()))
        }
        key @ ("oneOf" | "anyOf" | "allOf") => {
            let YamlValue::Sequence(items) = &node.value else {
                report_malformed(node, &format!("`{key}`"), "a list", context);
                return None;
            };
            Some(items.iter().filter_map(|item| lower_schema(item, names, context)).collect())
        }
        key @ ("required" | "enum") => {
            if !matches!(node.value, YamlValue::Sequence(_)) {
                // OpenAPI 2 and many authors write `required: true` at a property.
                let flag = key == "required" && matches!(node.value, YamlValue::Bool(_));
                if !flag {
                    report_malformed(node, &format!("`{key}`"), "a list", context);
                }
                return None;
            }
            Some(node.to_json())
        }
        _ => Some(node.to_json()),
    }
}

fn type_words<'tree>(
    node: &'tree YamlNode<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Json> {
    let items = match &node.value {
        YamlValue::Sequence(items) => *items,
        _ => std::slice::from_ref(node),
    };
    let mut words = Vec::new();
    for item in items {
        let word = match &item.value {
            YamlValue::String(word) => word.as_ref(),
            YamlValue::Null => "null",
            _ => "",
        };
        if WORDS.contains(&word) {
            words.push(Json::from(word));
            continue;
        }
        let message = format!("`{}` is not a type of JSON", item_text(item));
        let finding = context.warning(code::SCHEMA, &item.span, message);
        finding.meant_or(nearest_name(word, WORDS), || {
            format!("the types are {}", join_names(&WORDS))
        });
    }
    match words.len() {
        0 => None,
        1 => words.pop(),
        _ => Some(Json::Array(words)),
    }
}

/// Returns the reference to a type; without the type, nothing is known.
fn lower_reference<'tree>(
    text: &str,
    node: &YamlNode<'tree>,
    names: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> Option<Json> {
    let name = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    if names.contains(&name) {
        return Some(json!({ "$ref": format!("{TYPE_REF}{name}") }));
    }
    let meant = context.nearest(name, names.iter().copied());
    let message = format!("the type `{name}` does not exist");
    let finding = context.warning(code::UNKNOWN_TYPE, &node.span, message);
    finding.label("no entry under `types`");
    if WORDS.contains(&name) {
        finding.help(format!("write `{{type: {name}}}`"));
    } else {
        finding.meant(meant);
    }
    None
}

fn item_text(node: &YamlNode<'_>) -> String {
    match &node.value {
        YamlValue::String(text) | YamlValue::Number(_, text) => text.clone().into_owned(),
        _ => node.kind().to_owned(),
    }
}

fn report_malformed(node: &YamlNode<'_>, what: &str, wanted: &str, context: &mut LowerContext<'_>) {
    let message = format!("{what} must be {wanted}, not {}", node.kind());
    context.warning(code::SCHEMA, &node.span, message).label("says nothing about the shape");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{LoadedDescriptor, load, model::Descriptor, source::SourceText};

    fn loaded(types: &str, returns: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  type: rest\n  \
             description: An example.\n  auth: {{type: bearer, credential: none}}\n  \
             types: {types}\n  tools:\n    get: {{method: GET, path: /x, description: R., \
             returns: {returns}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn clean(types: &str, returns: &str) -> Descriptor {
        let loaded = loaded(types, returns);
        assert_eq!(loaded.diagnostics, [], "{types} {returns}");
        loaded.descriptor.unwrap()
    }

    #[test]
    fn names_types_in_every_form() {
        let reference = json!({ "$ref": "#/$defs/A" });
        for returns in ["A", "{$ref: A}", "{$ref: '#/types/A'}", "{$ref: '#/components/schemas/A'}"]
        {
            let descriptor = clean("{A: {type: object}}", returns);
            assert_eq!(descriptor.tools[0].returns.as_deref(), Some(&reference), "{returns}");
        }
        let descriptor = clean("{A: {}}", "{type: array, items: A, maxItems: 3}");
        let expected = json!({ "type": "array", "items": reference, "maxItems": 3 });
        assert_eq!(descriptor.tools[0].returns.as_deref(), Some(&expected));
        let cycle = "{A: {properties: {b: {$ref: B}}}, B: {allOf: [{$ref: A}, {type: object}]}}";
        let descriptor = clean(cycle, "{oneOf: [A, {type: [string, 'null']}]}");
        assert_eq!(descriptor.types["B"]["allOf"][0], json!({ "$ref": "#/$defs/A" }));
    }

    #[test]
    fn what_is_wrong_is_a_warning_and_says_nothing() {
        for (types, returns, expected) in [
            ("{Item: {}}", "Itm", "D508 the type `Itm` does not exist"),
            ("{}", "{items: {$ref: X}}", "D508 the type `X` does not exist"),
            ("{}", "{type: text}", "D509 `text` is not a type of JSON"),
            ("{}", "{properties: [a]}", "D509 `properties` must be a mapping, not a list"),
            ("{A: 1}", "A", "D509 a schema must be a mapping or the name of a type, not a number"),
            ("{}", "{enum: 1}", "D509 `enum` must be a list, not a number"),
        ] {
            let loaded = loaded(types, returns);
            let found = &loaded.diagnostics[0];
            assert_eq!(format!("{} {}", found.code.0, found.message), expected);
            assert_eq!(loaded.diagnostics.len(), 1);
            assert!(loaded.descriptor.is_some(), "{types} {returns}");
        }
        let help = |returns| loaded("{Item: {}}", returns).diagnostics[0].help.clone();
        assert_eq!(help("Itm").as_deref(), Some("did you mean `Item`?"));
        assert_eq!(help("{items: string}").as_deref(), Some("write `{type: string}`"));
        let found = loaded("{}", "[A]").diagnostics;
        assert_eq!(
            found[0].message,
            "`returns` must be the name of a type or a schema, not a list"
        );
    }
}
