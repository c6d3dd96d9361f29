//! What the index is told about the tools of the catalog.

use std::borrow::Cow;

use dadl_search::{BackendWords, ParamText, ToolEffect, ToolText};
use serde_json::{Map, Value};

use super::builtin::BuiltinText;
use crate::catalog::{Catalog, CatalogEntry, CatalogOperation};

/// Of the words of a result so many bytes are read.
const MOST_RESULT: usize = 2_000;
/// Types within types are read so far.
const MOST_DEPTH: usize = 4;

/// Returns the texts of a tool.
pub(super) fn tool_text(entry: &CatalogEntry) -> ToolText<'_> {
    let description = match entry.operation() {
        // What a server says may be of any length.
        CatalogOperation::Server(_) => "",
        operation => operation.description(),
    };
    let description = if description.is_empty() { &entry.description } else { description };
    let hints: Vec<&str> = entry.hints().iter().map(|(_, hint)| hint.as_str()).collect();
    let listed = entry.params.iter().filter(|param| param.listed);
    ToolText {
        name: entry.declared_name().into(),
        listed_name: entry.name.as_str().into(),
        backend: (&*entry.backend_name).into(),
        description: description.into(),
        params: listed
            .map(|param| ParamText {
                name: param.property.as_str().into(),
                description: param.param.description.as_deref().unwrap_or_default().into(),
                values: values(entry, &param.property),
            })
            .collect(),
        result: result_words(entry).into(),
        hints: hints.join(" ").into(),
        keywords: keywords(entry),
        effect: if entry.annotations.read_only { ToolEffect::Reads } else { ToolEffect::Changes },
        gives_list: gives_list(entry),
    }
}

fn gives_list(entry: &CatalogEntry) -> bool {
    let returns = entry.returned();
    returns.and_then(|returns| returns.get("type")).is_some_and(|kind| kind == "array")
}

/// Returns the texts of a tool of the program itself.
pub(super) fn builtin_text(builtin: &BuiltinText) -> ToolText<'_> {
    ToolText {
        name: builtin.name.as_str().into(),
        description: builtin.description.as_str().into(),
        effect: if builtin.reads { ToolEffect::Reads } else { ToolEffect::Changes },
        ..ToolText::default()
    }
}

/// Returns what people call the things of the backends.
pub(super) fn backend_words(catalog: &Catalog) -> Vec<BackendWords<'_>> {
    let mut backends: Vec<BackendWords<'_>> = Vec::new();
    for entry in catalog.listed() {
        if backends.last().is_some_and(|it| *it.backend == *entry.backend_name) {
            continue;
        }
        let texts = |words: &'_ [String]| words.iter().map(|it| it.clone().into()).collect();
        let words = &entry.descriptor().keywords.words;
        backends.push(BackendWords {
            backend: (&*entry.backend_name).into(),
            words: words.iter().map(|(word, said)| (word.as_str().into(), texts(said))).collect(),
        });
    }
    backends
}

/// Returns what people say for what a tool does.
fn keywords(entry: &CatalogEntry) -> Vec<Cow<'_, str>> {
    let said = entry.descriptor().keywords.tools.get(entry.declared_name());
    said.into_iter().flatten().map(|it| it.as_str().into()).collect()
}

/// Returns the words that a parameter may be.
fn values<'entry>(entry: &'entry CatalogEntry, property: &str) -> Vec<Cow<'entry, str>> {
    let properties = entry.input_schema.get("properties").and_then(Value::as_object);
    let schema = properties.and_then(|it| it.get(property));
    let values = schema.and_then(|schema| schema.get("enum")).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).map(Cow::Borrowed).collect()
}

/// Returns the names of the members of a result, and what is said of them.
fn result_words(entry: &CatalogEntry) -> String {
    let mut words = String::new();
    if let Some(returns) = entry.returned() {
        let types = &entry.descriptor().types;
        add_words(returns, types, 0, &mut words);
    }
    words
}

fn add_words(
    schema: &Value,
    types: &dadl_descriptor::model::ResultTypes,
    depth: usize,
    words: &mut String,
) {
    let Value::Object(schema) = schema else { return };
    if depth > MOST_DEPTH || words.len() > MOST_RESULT {
        return;
    }
    let mut add = |text: &str| {
        words.push_str(text);
        words.push(' ');
    };
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        add(description);
    }
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    properties.keys().for_each(|name| add(name));
    let reference = schema.get("$ref").and_then(Value::as_str);
    let referred = reference
        .and_then(|it| it.strip_prefix(dadl_descriptor::model::TYPE_REF))
        .and_then(|name| types.get(name));
    let parts = ["allOf", "anyOf", "oneOf"].into_iter();
    let parts = parts.filter_map(|key| schema.get(key).and_then(Value::as_array)).flatten();
    let inner = properties.values().chain(parts).chain(schema.get("items")).chain(referred);
    for inner in inner {
        add_words(inner, types, depth + 1, words);
    }
}
