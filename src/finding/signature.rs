//! A tool as a model calls it, on one line: `list_vms(filter?: string): {id: string, ...}[]  // read. VMs.`

use std::fmt::Write as _;

use dadl_descriptor::model::AccessLevel;
use dadl_text::text::cut_prose;
use serde_json::{Map, Value};

use super::{
    asked_params::unlisted_params,
    choice::{ChoiceRoom, choice},
    result_type::TypeWriter,
};
use crate::{
    access::UNCLASSIFIED,
    catalog::{CatalogEntry, CatalogOperation, collapse_spaces},
};

/// The characters of a type of a result, beside others and alone.
const RESULT_ROOM: usize = 200;
const FULL_RESULT_ROOM: usize = 1_500;
/// The characters of optional parameters beside other tools.
const PARAMS_ROOM: usize = 260;
/// The characters of a description beside other tools.
const DESCRIPTION_ROOM: usize = 160;
const BRIEF_ROOM: usize = 80;
/// The characters of what is said of one parameter beside other tools.
const PARAM_TEXT_ROOM: usize = 60;
/// The characters of the names of parameters for which there is no more room.
const NAMES_ROOM: usize = 400;
/// Of values that a parameter may have so many are named, beside other tools and alone.
const VALUES: ChoiceRoom = ChoiceRoom { most: 12, characters: 160 };
const FULL_VALUES: ChoiceRoom = ChoiceRoom { most: 100, characters: 2_000 };

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureRoom {
    /// A short line about what may be of no use: what it takes, and what it does.
    Brief,
    /// A line among others.
    Line,
    /// Everything.
    Full,
}

/// Writes the signature of a tool.
pub(super) fn signature(entry: &CatalogEntry, room: SignatureRoom) -> String {
    let mut text = format!("{}({})", entry.name, params(entry, room));
    if room != SignatureRoom::Brief
        && let Some(result) = result_type(entry, room)
    {
        let _ = write!(text, ": {result}");
    }
    let level = entry.access().map_or(UNCLASSIFIED, AccessLevel::as_str);
    let _ = write!(text, "  // {}", collapse_spaces(level));
    if entry.access() == Some(&AccessLevel::Read) && entry.has_effect() {
        text.push_str(", leaves something behind: not by api_read");
    }
    for note in notes(entry) {
        let _ = write!(text, ", {note}");
    }
    let description = match room {
        SignatureRoom::Brief => cut_prose(&entry.description, BRIEF_ROOM).0.into_owned(),
        SignatureRoom::Line => cut_prose(&entry.description, DESCRIPTION_ROOM).0.into_owned(),
        SignatureRoom::Full => entry.description.clone(),
    };
    let _ = write!(text, ". {description}");
    if room == SignatureRoom::Full {
        write_params(entry, &mut text);
    }
    text
}

/// Says what a call brings besides a result.
fn notes(entry: &CatalogEntry) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if matches!(entry.operation(), CatalogOperation::Composite(_)) {
        notes.push("composite");
    }
    if entry.may_begin_task() {
        notes.push("begins a task");
    }
    if entry.tool().is_some_and(|tool| tool.response.is_stream()) {
        notes.push("stream");
    }
    notes
}

fn schema_properties(
    schema: &Map<String, Value>,
) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().filter_map(|(name, it)| Some((name, it.as_object()?)))
}

fn is_required(schema: &Map<String, Value>, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|it| it == name))
}

/// Writes the parameters: the required ones, as many of the others as there is room for, and of the rest
/// the names.
fn params(entry: &CatalogEntry, room: SignatureRoom) -> String {
    let (mut left, values) = match room {
        SignatureRoom::Brief => (0, VALUES),
        SignatureRoom::Line => (PARAMS_ROOM, VALUES),
        SignatureRoom::Full => (usize::MAX, FULL_VALUES),
    };
    let mut parts = Vec::new();
    let mut rest = Vec::new();
    let listed = entry.input_schema();
    for (name, schema) in schema_properties(&listed) {
        let needed = is_required(&listed, name);
        let mark = if needed { "" } else { "?" };
        let mut part = format!("{name}{mark}: {}", param_type(schema, values));
        if let Some(default) = schema.get("default").filter(|it| !it.is_null() && !is_long(it)) {
            let _ = write!(part, " = {}", collapse_spaces(&default.to_string()));
        }
        if room == SignatureRoom::Line
            && let Some(said) = schema.get("description").and_then(Value::as_str)
            && said.chars().count() <= PARAM_TEXT_ROOM
        {
            let _ = write!(part, " ({})", collapse_spaces(said));
        }
        if needed || part.len() <= left {
            left = left.saturating_sub(part.len());
            parts.push(part);
        } else {
            rest.push(name);
        }
    }
    match room {
        SignatureRoom::Brief if !rest.is_empty() => parts.push("...".to_owned()),
        _ => add_names(&rest, &mut parts),
    }
    parts.join(", ")
}

/// Adds names of parameters as far as they have room, and how many more there are.
fn add_names(names: &[&String], parts: &mut Vec<String>) {
    let mut left = NAMES_ROOM;
    let mut missing = 0;
    for name in names {
        if name.len() <= left && missing == 0 {
            left -= name.len();
            parts.push(format!("{name}?"));
        } else {
            missing += 1;
        }
    }
    if missing > 0 {
        parts.push(format!("...{missing} more"));
    }
}

/// Lists of members and texts of several lines say little beside other tools.
fn is_long(value: &Value) -> bool {
    value.to_string().len() > 32
}

/// Returns the type of a listed property.
fn param_type(schema: &Map<String, Value>, room: ChoiceRoom) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array)
        && let Some(choice) = choice(values, room)
    {
        return choice;
    }
    let kind = |kind: &str| match (kind, schema.get("items").and_then(Value::as_object)) {
        ("array", Some(items)) => {
            let item = param_type(items, room);
            if item.contains('|') { format!("({item})[]") } else { format!("{item}[]") }
        }
        ("array", None) => "any[]".to_owned(),
        (kind, _) => collapse_spaces(kind),
    };
    match schema.get("type") {
        Some(Value::String(one)) => kind(one),
        Some(Value::Array(several)) => {
            let kinds = several.iter().filter_map(Value::as_str).map(kind);
            kinds.collect::<Vec<_>>().join("|")
        }
        _ => "any".to_owned(),
    }
}

/// Writes what is said of each parameter, a line for each.
fn write_params(entry: &CatalogEntry, text: &mut String) {
    let listed = entry.input_schema();
    for (name, schema) in schema_properties(&listed) {
        let said = schema.get("description").and_then(Value::as_str).map(collapse_spaces);
        let default = schema.get("default").filter(|it| is_long(it));
        let bounds = ["minimum", "maximum", "minLength", "maxLength", "pattern", "format"];
        let bounds = bounds.iter().filter_map(|key| {
            let bound = schema.get(*key)?;
            Some(format!("{key} {}", collapse_spaces(&bound.to_string())))
        });
        let mut parts: Vec<String> = said.into_iter().filter(|it| !it.is_empty()).collect();
        parts.extend(bounds);
        parts.extend(default.map(|it| format!("default {}", collapse_spaces(&it.to_string()))));
        if !parts.is_empty() {
            let _ = write!(text, "\n  {name}: {}", parts.join("; "));
        }
    }
    let unlisted = unlisted_params(entry).map(|known| {
        let said = known.param.description.as_deref().map(collapse_spaces);
        let said = said.filter(|it| !it.is_empty()).map(|it| format!(": {it}"));
        format!("\n  {}?{}", known.property, said.unwrap_or_default())
    });
    text.extend(unlisted);
}

/// Returns what comes back; `None` where nobody says.
fn result_type(entry: &CatalogEntry, room: SignatureRoom) -> Option<String> {
    if entry.tool().is_some_and(|tool| tool.response.binary) {
        return Some("file".to_owned());
    }
    let returns = entry.returned()?;
    let room = match room {
        SignatureRoom::Brief | SignatureRoom::Line => RESULT_ROOM,
        SignatureRoom::Full => FULL_RESULT_ROOM,
    };
    let types = &entry.descriptor().types;
    Some(TypeWriter::new(types, room).with_members(default_members(entry)).write(returns))
}

/// Returns the members that the items of an answer have when nobody says which.
fn default_members(entry: &CatalogEntry) -> Option<Vec<String>> {
    let names_members = |param: &&crate::catalog::EntryParam| {
        param.param.rules.as_ref().is_some_and(|rules| rules.names_members)
    };
    let param = entry.params.iter().find(names_members)?;
    let default = param.param.default.as_deref()?.as_str()?;
    let members: Vec<String> = default.split(',').map(|it| it.trim().to_owned()).collect();
    (!members.iter().any(|it| it == "*")).then_some(members)
}
