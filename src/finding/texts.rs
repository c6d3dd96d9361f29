//! What the index is told about the tools of the catalog.

use std::{borrow::Cow, collections::HashSet};

use dadl_descriptor::model::{ResultTypes, keywords::said_words};
use dadl_search::{BackendWords, ParamText, ToolEffect, ToolText};
use serde_json::{Map, Value};

use super::{asked_params::is_passed, builtin::BuiltinText, members::referred};
use crate::catalog::{Catalog, CatalogEntry, CatalogOperation};

/// Of the words of a result so many bytes are read.
const MOST_RESULT: usize = 2_000;
/// Types within types are read so far.
const MOST_DEPTH: usize = 4;
/// So many of them are read.
const MOST_SCHEMAS: usize = 1_000;

/// Returns the texts of a tool.
pub(super) fn tool_text(entry: &CatalogEntry) -> ToolText<'_> {
    let description = match entry.operation() {
        // What a server says may be of any length.
        CatalogOperation::Server(_) => "",
        operation => operation.description(),
    };
    let is_operators = entry.overridden().is_some_and(|it| it.description.is_some());
    let is_entrys = description.is_empty() || is_operators;
    let description = if is_entrys { &entry.description } else { description };
    let hints: Vec<&str> = entry.hints().iter().map(|(_, hint)| hint.as_str()).collect();
    let passed = entry.params.iter().filter(|param| param.listed || is_passed(param));
    // Of most tools no parameter has named values.
    let has_values = entry.schema_text.get().contains("\"enum\"");
    let schema = if has_values { entry.input_schema() } else { Map::new() };
    ToolText {
        name: entry.declared_name().into(),
        listed_name: entry.name.as_str().into(),
        backend: (&*entry.backend_name).into(),
        description: description.into(),
        params: passed
            .map(|param| ParamText {
                name: param.property.as_str().into(),
                description: param.param.description.as_deref().unwrap_or_default().into(),
                values: values(&schema, &param.property),
            })
            .collect(),
        result: result_words(entry).into(),
        hints: hints.join(" ").into(),
        keywords: keywords(entry),
        effect: if entry.annotations.read_only { ToolEffect::Reads } else { ToolEffect::Changes },
        gives_list: gives_list(entry),
        // What the server lacks is no example of what it has.
        stands_alone: !entry.is_listed(),
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
        let texts =
            |words: &'_ [String]| said_words(words).map(|it| it.to_owned().into()).collect();
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
    let said = said.map(Vec::as_slice).unwrap_or_default();
    let operators = entry.overridden().map(|it| it.keywords.as_slice()).unwrap_or_default();
    said_words(said).chain(operators.iter().map(String::as_str)).map(Cow::Borrowed).collect()
}

/// Returns the words that a parameter may be.
fn values(schema: &Map<String, Value>, property: &str) -> Vec<Cow<'static, str>> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let schema = properties.and_then(|it| it.get(property));
    let values = schema.and_then(|schema| schema.get("enum")).and_then(Value::as_array);
    let texts = values.into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| Cow::Owned(text.to_owned())).collect()
}

/// Returns the names of the members of a result, and what is said of them.
fn result_words(entry: &CatalogEntry) -> String {
    let Some(returns) = entry.returned() else { return String::new() };
    let types = &entry.descriptor().types;
    let mut reader = ResultReader {
        types,
        words: String::new(),
        names: HashSet::new(),
        seen_types: HashSet::new(),
        left: MOST_SCHEMAS,
    };
    reader.read(returns, 0);
    reader.words
}

/// Gathers words; each name and each type counts once.
struct ResultReader<'schema> {
    types: &'schema ResultTypes,
    words: String,
    names: HashSet<&'schema str>,
    seen_types: HashSet<&'schema str>,
    /// How many schemas are still read.
    left: usize,
}

impl<'schema> ResultReader<'schema> {
    fn read(&mut self, schema: &'schema Value, depth: usize) {
        let Value::Object(schema) = schema else { return };
        if depth > MOST_DEPTH || self.left == 0 || self.words.len() > MOST_RESULT {
            return;
        }
        self.left -= 1;
        if let Some(description) = schema.get("description").and_then(Value::as_str) {
            self.add(description);
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, _) in properties.into_iter().flatten() {
            if self.names.insert(name) {
                self.add(name);
            }
        }
        for (_, property) in properties.into_iter().flatten() {
            self.read(property, depth + 1);
        }
        let parts = ["allOf", "anyOf", "oneOf"].into_iter();
        let parts = parts.filter_map(|key| schema.get(key).and_then(Value::as_array)).flatten();
        for part in parts.chain(schema.get("items")) {
            self.read(part, depth + 1);
        }
        if let Some((name, schema)) = referred(schema, self.types)
            && self.seen_types.insert(name)
        {
            self.read(schema, depth + 1);
        }
    }

    fn add(&mut self, text: &str) {
        let room = MOST_RESULT.saturating_sub(self.words.len());
        self.words.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        self.words.push(' ');
    }
}
