//! What came from the operator (`overrides`) and what was there before, for `show` and `doctor`.

use dadl_descriptor::model::AccessLevel;
use dadl_text::text::one_line;
use serde_json::{Map, Value, json};

use crate::{
    access::UNCLASSIFIED,
    catalog::{Catalog, CatalogEntry, OverruledLevel, ProposedHints, ToolHints},
};

/// Describes what the operator says of a tool for a program: each key with its value, and what it took the
/// place of; `None` where nothing is said.
pub(super) fn details(entry: &CatalogEntry) -> Option<Value> {
    let said = entry.overridden()?;
    let mut fields = Map::new();
    let mut field = |key: &str, value: Value, original: Value| {
        fields.insert(key.to_owned(), json!({ "value": value, "original": original }));
    };
    if said.name.is_some() {
        field("name", json!(entry.name), json!(entry.declared_name()));
    }
    if said.title.is_some() {
        field("title", json!(entry.title), json!(entry.original_title()));
    }
    if said.description.is_some() {
        field("description", json!(entry.description), json!(entry.original_description()));
    }
    if let Some(OverruledLevel { level, original }) = &said.level {
        field("level", json!(word(level.as_ref())), json!(word(original.as_ref())));
    }
    if said.has_hints() {
        let (value, original) = hints(said.hints, entry.annotations).into_iter().fold(
            (Map::new(), Map::new()),
            |(mut value, mut original), (name, new, old)| {
                value.insert(name.to_owned(), new.into());
                original.insert(name.to_owned(), old.into());
                (value, original)
            },
        );
        field("annotations", value.into(), original.into());
    }
    if !said.hidden.is_empty() {
        let fixed = entry.fixed_params();
        let values: Map<String, Value> = fixed
            .map(|it| {
                (it.param.name.clone(), it.param.default.as_deref().cloned().unwrap_or_default())
            })
            .collect();
        field("hidden", values.into(), Value::Null);
    }
    if !said.keywords.is_empty() {
        field("keywords", json!(said.keywords), Value::Null);
    }
    Some(fields.into())
}

/// Says the same to a person, a line for each key.
pub(super) fn lines(entry: &CatalogEntry) -> Vec<String> {
    let Some(Value::Object(fields)) = details(entry) else { return Vec::new() };
    let author = entry.author();
    let line = |(key, field): (&String, &Value)| {
        let shown = |which: &str| match field.get(which) {
            Some(Value::String(text)) => one_line(text).into_owned(),
            Some(value) => one_line(&value.to_string()).into_owned(),
            None => String::new(),
        };
        let author = match (key.as_str(), entry.server_tool()) {
            // A server gives none.
            ("level", Some(_)) => "`levels`",
            _ => author,
        };
        match field.get("original") {
            None | Some(Value::Null) => format!("{key}: {}", shown("value")),
            // It stands above.
            Some(_) if key == "description" => {
                format!("description (of {author}: {})", shown("original"))
            }
            Some(_) => format!("{key}: {} (of {author}: {})", shown("value"), shown("original")),
        }
    };
    fields.iter().map(line).collect()
}

/// Says how many tools the operator says something else of; `None` for none.
pub(super) fn summary(catalog: &Catalog) -> Option<String> {
    let said: Vec<_> = catalog.entries().iter().filter_map(CatalogEntry::overridden).collect();
    let keys = ["name", "title", "description", "level", "annotations", "hidden", "keywords"];
    let count = |key: &str| said.iter().filter(|it| it.keys().contains(&key)).count();
    let counts = keys.iter().map(|key| (key, count(key))).filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(key, count)| format!("{key} of {count}")).collect();
    let tools = match said.len() {
        0 => return None,
        1 => "1 tool".to_owned(),
        count => format!("{count} tools"),
    };
    Some(format!("{tools} as `overrides` says: {}", counts.join(", ")))
}

fn word(level: Option<&AccessLevel>) -> &str {
    level.map_or(UNCLASSIFIED, AccessLevel::as_str)
}

/// Returns the hints that the operator gives, by the names of MCP, with those that were there.
fn hints(said: ProposedHints, own: ToolHints) -> Vec<(&'static str, bool, bool)> {
    let all = [
        ("readOnlyHint", said.read_only, own.read_only),
        ("destructiveHint", said.destructive, own.destructive),
        ("idempotentHint", said.idempotent, own.idempotent),
        ("openWorldHint", said.open_world, own.open_world),
    ];
    all.into_iter().filter_map(|(name, said, own)| Some((name, said?, own))).collect()
}
