//! The input schema of a tool, in the subset of JSON Schema that every host accepts.
//!
//! One object with a type for each property. Every word costs the model tokens in each
//! conversation, so that nothing is written that says nothing. What the author and an OpenAPI
//! document know about values is listed (in the form of `portable`), but not checked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dadl_descriptor::model::{Param, ParamKind, ParamRole, ParamStyle, WholePart};
use dadl_text::{json::agreed, text};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use super::{
    EntryParam,
    description::{append_sentence, collapse_spaces},
};

/// Returns the schema that hosts list: without the parameters that no model needs, and without
/// `additionalProperties`, which a model pays for and which the check enforces anyway.
pub(crate) fn listed_schema(params: &[EntryParam]) -> Map<String, Value> {
    let mut schema = object_schema(params.iter().filter(|param| param.listed), property);
    // What this program adds has a type that no file says.
    let texts = |param: &&EntryParam| {
        matches!(param.param.role, ParamRole::Stream(_)) && param.param.kind == ParamKind::Array
    };
    for EntryParam { property, .. } in params.iter().filter(texts) {
        if let Some(Value::Object(property)) =
            schema.get_mut("properties").and_then(|it| it.get_mut(property))
        {
            property.insert("items".to_owned(), json!({ "type": "string" }));
        }
    }
    schema
}

/// Returns the text of a schema.
pub(crate) fn text(schema: &Map<String, Value>) -> Arc<RawValue> {
    // Invariant: a map whose keys are texts can be written.
    to_raw_value(schema).expect("a JSON object is JSON").into()
}

/// Compiles a schema that was made here. It says the same in Draft 7 as in 2020-12, whose schema of schemas, with
/// which the library checks the first one, takes four times as long to compile and half a megabyte more for good.
///
/// # Errors
///
/// A keyword has a value that it cannot have, or a pattern that the library does not read.
pub(super) fn compiled(
    schema: &Value,
) -> Result<jsonschema::Validator, jsonschema::ValidationError<'static>> {
    // In 2020-12 a format says nothing that is checked.
    jsonschema::draft7::options().should_validate_formats(false).build(schema)
}

/// What an API may refuse of a value whose type is right.
const BOUNDS: &[&str] = &["enum", "maxLength", "maximum", "minLength", "minimum", "pattern"];

/// Returns the schema that arguments are checked against: all parameters that a caller may give, and nothing
/// else. Of what is
/// known about values, what the API certainly refuses is part of it.
///
/// Values that are written in one text or are a whole body may be given in several ways: they are
/// looked at one by one.
pub(crate) fn checked_schema(
    params: &[EntryParam],
    hints: &BTreeMap<String, Map<String, Value>>,
) -> Map<String, Value> {
    let given = params.iter().filter(|param| !param.param.fixed);
    let mut schema = object_schema(given, |EntryParam { param, .. }| {
        let form = &param.form;
        let is_free = form.whole.is_some() || form.several || form.style != ParamStyle::Usual;
        let mut property = Map::new();
        if !is_free {
            property.extend(schema_types(param).map(|types| ("type".to_owned(), types)));
        }
        if let Some(hints) = hints.get(&param.name).filter(|_| param.enforced) {
            let bounds = hints.iter().filter(|(name, _)| BOUNDS.contains(&name.as_str()));
            property.extend(bounds.map(|(name, bound)| (name.clone(), bound.clone())));
        }
        property.into()
    });
    schema.insert("additionalProperties".to_owned(), false.into());
    schema
}

/// Says how long a call waits for a task when its caller does not say.
pub(crate) fn add_task_wait(
    schema: &mut Map<String, Value>,
    params: &[EntryParam],
    wait: Duration,
) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for EntryParam { property, param, .. } in params {
        if let (ParamRole::Wait, Some(Value::Object(property))) =
            (&param.role, properties.get_mut(property))
        {
            property.insert("default".to_owned(), wait.as_secs().into());
        }
    }
}

fn object_schema<'params>(
    params: impl Iterator<Item = &'params EntryParam> + Clone,
    property: impl Fn(&EntryParam) -> Value,
) -> Map<String, Value> {
    let required: Vec<Value> = params
        .clone()
        .filter(|param| param.param.required)
        .map(|param| Value::from(param.property.as_str()))
        .collect();
    let mut properties = Map::with_capacity(params.clone().count());
    properties.extend(params.map(|param| (param.property.clone(), property(param))));
    // Each schema stays for as long as the program runs: a map has room for what is in it.
    let mut schema = Map::with_capacity(2 + usize::from(!required.is_empty()));
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    schema
}

/// Returns whether a keyword bounds values without naming them. A description says it in fewer words, and
/// where it is checked, the check tells what was expected.
fn is_bound(keyword: &str, hint: &Value) -> bool {
    match keyword {
        "enum" => hint.as_array().is_some_and(|all| all.iter().all(Value::is_number)),
        other => BOUNDS.contains(&other),
    }
}

/// Adds what is known about values to a listed schema; it is no part of the checked one. Bounds that are
/// checked are left to the check.
pub(crate) fn add_hints(
    schema: &mut Map<String, Value>,
    params: &[EntryParam],
    hints: &BTreeMap<String, Map<String, Value>>,
) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for EntryParam { property, param, .. } in params {
        if let (Some(Value::Object(property)), Some(hints)) =
            (properties.get_mut(property), hints.get(&param.name))
        {
            let hints = hints.iter().filter(|(name, hint)| {
                is_listable(hint) && !(param.enforced && is_bound(name, hint))
            });
            property.extend(hints.map(|(name, hint)| (name.clone(), hint.clone())));
        }
    }
}

/// Returns whether a person sees every character of a value. Others are not listed: without the
/// characters that nobody sees they would be other values.
pub(crate) fn is_seen(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text::first_hidden(text).is_none(),
        Value::Array(items) => items.iter().all(is_seen),
        Value::Object(members) => {
            members.iter().all(|(name, value)| text::first_hidden(name).is_none() && is_seen(value))
        }
    }
}

/// A value that a schema has may be so deep. Those who read the list find all of it too deep if one is.
const MOST_LEVELS: usize = 16;

/// Returns whether a list may have a value, such as a default: everything in it can be seen, and it is not deep.
pub(super) fn is_listable(value: &Value) -> bool {
    agreed::is_within(value, MOST_LEVELS) && is_seen(value)
}

/// Returns the types that are listed for a parameter; `None` for any.
fn schema_types(param: &Param) -> Option<Value> {
    let mut types = param.kind.schema_types();
    if param.form.several {
        types = vec!["array"];
    }
    if types.is_empty() {
        return None;
    }
    // What is one text on the wire is listed as text, which each conversation pays for: a list is
    // understood all the same.
    let is_one_text = matches!(param.form.style, ParamStyle::Listed { explode: false, .. });
    if is_one_text && types.contains(&"string") {
        types = vec!["string"];
    }
    // The name of a file.
    if param.form.whole == Some(WholePart::Json) && !types.contains(&"string") {
        types.push("string");
    }
    if param.form.nullable {
        types.push("null");
    }
    Some(match types.as_slice() {
        [one] => (*one).into(),
        several => several.into(),
    })
}

/// Says how a file is given: in every conversation, once for each parameter that takes one.
pub(super) fn how_given(param: &Param) -> Option<&'static str> {
    match (param.form.whole, param.kind) {
        (Some(WholePart::Json), _) => Some("JSON, or the name of a file in the files directory."),
        (Some(WholePart::Text), _) => Some("Text, or dadl-file:ID."),
        (_, ParamKind::FileUrl) if param.form.several => {
            Some("Files: their names in the files directory, or dadl-file:ID.")
        }
        (_, ParamKind::FileUrl) => {
            Some("A file: its name in the files directory, or dadl-file:ID.")
        }
        _ => None,
    }
}

fn property(EntryParam { param, .. }: &EntryParam) -> Value {
    let types = schema_types(param);
    // Hosts refuse arrays without `items` and objects without `properties`.
    let inner = match param.kind {
        ParamKind::FileUrl if param.form.several => Some(("items", json!({ "type": "string" }))),
        ParamKind::Array => Some(("items", json!({}))),
        ParamKind::Object => Some(("properties", json!({}))),
        _ => None,
    };
    let mut description = param.description.as_deref().map(collapse_spaces).unwrap_or_default();
    if let Some(how) = how_given(param) {
        append_sentence(&mut description, how);
    }
    // What stands for all members says nothing about them.
    let names_all = |default: &Value| {
        *default == "*" && param.rules.as_ref().is_some_and(|rules| rules.names_members)
    };
    let default = param.default.as_deref().filter(|it| is_listable(it) && !names_all(it));
    let description = Some(Value::from(description)).filter(|it| it != "");
    let members = [
        types.map(|types| ("type", types)),
        inner,
        description.map(|description| ("description", description)),
        default.map(|default| ("default", default.clone())),
    ];
    let mut property = Map::with_capacity(members.iter().flatten().count());
    property.extend(members.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)));
    Value::Object(property)
}
