//! The form of an input schema that every host, and what it converts a schema for, takes.
//!
//! Some refuse the request of a model, or the whole list of tools, for one word in one of them. So
//! the listed schema has what all of them read, and says the rest in words:
//!
//! | what is refused | what is listed |
//! | --- | --- |
//! | `items` or a member without a type | the types of JSON |
//! | `true` and `false` for a schema, `additionalProperties` without one | nothing, or the same |
//! | `enum` of numbers | their bounds, and the values in words |
//! | `enum` with an empty text, or of several types | the values in words |
//! | `oneOf`, `allOf`, `const` | `anyOf`, one schema of all parts, `enum` |
//! | formats but for `date-time`, names in `required` that are no members | nothing |
//!
//! Nothing becomes narrower, but that a list without a known type has no lists or nulls in it: in
//! each conversation a model pays for that word once for each list. What is checked is another
//! schema.

use dadl_text::text::cut_text;
use serde_json::{Map, Value, json};

use super::name::is_property_name;

/// Values that are said in words take so many characters at most.
const MOST_WORDS: usize = 120;

/// Schemas within schemas are followed so far: converters call themselves.
const MOST_DEPTH: usize = 16;

/// The types of JSON Schema.
const KINDS: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// The types of JSON that stand for any value, without lists and null.
const ANY: [&str; 4] = ["string", "number", "boolean", "object"];

/// Makes the properties of a listed schema portable.
pub(super) fn make_portable(schema: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for property in properties.values_mut() {
        if !is_plain(property) {
            *property = Value::Object(portable_node(property.take(), SchemaPosition::Member, 0));
        }
    }
}

/// Returns whether a property has nothing to change: nearly all of them.
fn is_plain(property: &Value) -> bool {
    property.as_object().is_some_and(|property| {
        let is_typed = property.contains_key("type");
        is_typed
            && property.iter().all(|(key, value)| match key.as_str() {
                "type" => kind_called(value).is_some_and(|it| !matches!(it, "array" | "null")),
                "description" => value.is_string(),
                "properties" => value.as_object().is_some_and(Map::is_empty),
                "default" => true,
                _ => false,
            })
    })
}

/// Where a schema is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SchemaPosition {
    /// A member of an object, or a branch.
    Member,
    /// What a list has.
    Item,
    /// What a list of lists has.
    ItemWithLists,
}

/// Returns the schema of any value.
fn any_value(place: SchemaPosition) -> Map<String, Value> {
    let mut schema = Map::new();
    let mut kinds = ANY.to_vec();
    if place != SchemaPosition::Item {
        kinds.push("array");
    }
    schema.insert("type".to_owned(), kinds.into());
    if place != SchemaPosition::Item {
        schema.insert("items".to_owned(), Value::Object(any_value(SchemaPosition::Item)));
    }
    schema
}

/// Returns a schema in the portable form.
fn portable_node(given: Value, place: SchemaPosition, depth: usize) -> Map<String, Value> {
    let Value::Object(given) = given else { return any_value(place) };
    let mut given = with_parts(given, depth);
    if let Some(value) = given.remove("const") {
        given.entry("enum").or_insert_with(|| json!([value]));
    }
    if let Some(branches) = given.remove("oneOf") {
        given.entry("anyOf").or_insert(branches);
    }
    let kinds = schema_kinds(&given);
    let mut words = Vec::new();
    let mut schema = if depth >= MOST_DEPTH {
        any_value(place)
    } else if !kinds.is_empty() {
        of_kinds(&mut given, kinds, depth, &mut words)
    } else if let Some(Value::Array(branches)) = given.remove("anyOf") {
        portable_union(branches, place, depth)
    } else {
        any_value(place)
    };
    append_description(&mut schema, &given, &words);
    for key in ["default", "examples"] {
        let is_fine = |value: &Value| key == "default" || value.is_array();
        if let Some(value) = given.remove(key).filter(is_fine) {
            schema.insert(key.to_owned(), value);
        }
    }
    schema
}

/// Returns a schema with the parts of `allOf` in it; where two differ, the first one counts.
fn with_parts(mut schema: Map<String, Value>, depth: usize) -> Map<String, Value> {
    let Some(Value::Array(parts)) = schema.remove("allOf") else { return schema };
    if depth >= MOST_DEPTH {
        return schema;
    }
    for part in parts {
        let Value::Object(part) = part else { continue };
        for (key, value) in with_parts(part, depth + 1) {
            match (schema.get_mut(&key), value) {
                (Some(Value::Object(own)), Value::Object(other)) if key == "properties" => {
                    for (name, member) in other {
                        own.entry(name).or_insert(member);
                    }
                }
                (Some(Value::Array(own)), Value::Array(other)) if key == "required" => {
                    own.extend(other);
                }
                (Some(_), _) => {}
                (None, value) => {
                    schema.insert(key, value);
                }
            }
        }
    }
    schema
}

/// Returns the types that a schema says or means; none when it may be any.
fn schema_kinds(schema: &Map<String, Value>) -> Vec<&'static str> {
    let mut kinds: Vec<&'static str> = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(kind_called).collect(),
        Some(kind) => kind_called(kind).into_iter().collect(),
        None => Vec::new(),
    };
    let has = |key: &str| schema.contains_key(key);
    if kinds.is_empty() && !has("anyOf") {
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            kinds = values.iter().map(kind_of).collect();
        } else if has("properties") || has("required") || has("additionalProperties") {
            kinds.push("object");
        } else if has("items") || has("prefixItems") {
            kinds.push("array");
        }
    }
    let mut distinct = Vec::with_capacity(kinds.len());
    for kind in kinds {
        if !distinct.contains(&kind) {
            distinct.push(kind);
        }
    }
    distinct
}

fn kind_called(name: &Value) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| name == kind)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Object(_) => "object",
        Value::String(_) => "string",
    }
}

/// Returns the schema of a value of these types.
fn of_kinds(
    given: &mut Map<String, Value>,
    mut kinds: Vec<&'static str>,
    depth: usize,
    words: &mut Vec<String>,
) -> Map<String, Value> {
    let mut schema = Map::new();
    let values = given.remove("enum");
    let is_null = kinds.contains(&"null");
    kinds.retain(|kind| *kind != "null");
    if kinds.is_empty() {
        // Some read null as a property of another type alone.
        kinds.push("string");
    }
    let has = |kind: &str| kinds.contains(&kind);
    let mut choice = None;
    if let Some(Value::Array(values)) = values.filter(|values| values != &json!([])) {
        choice = Some(EnumRewrite::of(values, &kinds, words));
    }
    // The values leave out null.
    let is_null = is_null && !matches!(choice, Some(EnumRewrite::Texts(_)));
    let kind: Value = match (kinds.as_slice(), is_null) {
        ([one], false) => (*one).into(),
        (_, true) => kinds.iter().copied().chain(["null"]).collect::<Vec<_>>().into(),
        (_, false) => kinds.clone().into(),
    };
    schema.insert("type".to_owned(), kind);
    if has("array") {
        schema.insert("items".to_owned(), Value::Object(portable_items(given, depth)));
    }
    if has("object") {
        portable_members(given, &mut schema, kinds.len() == 1, depth, words);
    }
    let mut keep = |key: &str, is_fine: &dyn Fn(&Value) -> bool| {
        if let Some(value) = given.get(key).filter(|value| is_fine(value)) {
            schema.insert(key.to_owned(), value.clone());
        }
    };
    if has("array") {
        keep("minItems", &Value::is_u64);
        keep("maxItems", &Value::is_u64);
    }
    if has("string") {
        keep("pattern", &Value::is_string);
        keep("minLength", &Value::is_u64);
        keep("maxLength", &Value::is_u64);
        keep("format", &|format| format == "date-time");
    }
    if has("integer") || has("number") {
        keep("minimum", &Value::is_number);
        keep("maximum", &Value::is_number);
    }
    match choice {
        Some(EnumRewrite::Texts(texts)) => {
            schema.insert("enum".to_owned(), texts.into());
        }
        Some(EnumRewrite::Between(least, most)) => {
            schema.insert("minimum".to_owned(), least);
            schema.insert("maximum".to_owned(), most);
        }
        Some(EnumRewrite::InWords) | None => {}
    }
    schema
}

/// What becomes of `enum`.
enum EnumRewrite {
    Texts(Vec<Value>),
    Between(Value, Value),
    InWords,
}

impl EnumRewrite {
    fn of(values: Vec<Value>, kinds: &[&str], words: &mut Vec<String>) -> Self {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let [kind] = kinds else {
            words.push(one_of(&values));
            return Self::InWords;
        };
        match *kind {
            "string" if values.iter().all(is_text) => return Self::Texts(values),
            "integer" | "number" if values.iter().all(Value::is_number) => {
                let mut sorted: Vec<&Value> = values.iter().collect();
                sorted.sort_by(|one, other| compare_values(one, other));
                let follows = |pair: &[&Value]| match pair {
                    [one, other] => one.as_i64().zip(other.as_i64()).is_some_and(|(one, other)| {
                        other == one || one.checked_add(1) == Some(other)
                    }),
                    _ => true,
                };
                let is_whole = *kind == "integer" && sorted.windows(2).all(follows);
                if !is_whole {
                    words.push(one_of(&values));
                }
                if let (Some(least), Some(most)) = (sorted.first(), sorted.last()) {
                    return Self::Between(Value::clone(least), Value::clone(most));
                }
            }
            "boolean" if values.contains(&true.into()) && values.contains(&false.into()) => {}
            _ => words.push(one_of(&values)),
        }
        Self::InWords
    }
}

fn compare_values(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let number = |value: &Value| value.as_f64().unwrap_or_default();
            number(one).total_cmp(&number(other))
        }
    }
}

fn one_of(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    format!("one of {}", cut_text(&values.join(", "), MOST_WORDS))
}

/// Returns what a list has.
fn portable_items(given: &mut Map<String, Value>, depth: usize) -> Map<String, Value> {
    let place = if has_lists(given) { SchemaPosition::ItemWithLists } else { SchemaPosition::Item };
    // What is said of the items behind the first ones is not said of these.
    let is_of_all = !given.contains_key("prefixItems");
    match given.remove("items").filter(|items| is_of_all && items.is_object()) {
        Some(items) => portable_node(items, place, depth + 1),
        None => any_value(place),
    }
}

/// Returns whether a list is said to have lists.
fn has_lists(schema: &Map<String, Value>) -> bool {
    let is_list_of_lists =
        |value: &Value| value.as_array().is_some_and(|items| items.iter().any(Value::is_array));
    let examples = schema.get("examples").and_then(Value::as_array);
    let mut values = schema.get("default").into_iter().chain(examples.into_iter().flatten());
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    values.any(is_list_of_lists) || description.contains("[[")
}

/// Adds what is said of the members of an object.
fn portable_members(
    given: &mut Map<String, Value>,
    schema: &mut Map<String, Value>,
    is_only_kind: bool,
    depth: usize,
    words: &mut Vec<String>,
) {
    let declared = match given.remove("properties") {
        Some(Value::Object(declared)) => declared,
        _ => Map::new(),
    };
    let mut unnamed = Vec::new();
    let mut properties = Map::with_capacity(declared.len());
    for (name, member) in declared {
        if is_property_name(&name) {
            let member = Value::Object(portable_node(member, SchemaPosition::Member, depth + 1));
            properties.insert(name, member);
        } else {
            unnamed.push(Value::from(name).to_string());
        }
    }
    let mut required: Vec<Value> = Vec::new();
    if let Some(Value::Array(names)) = given.remove("required") {
        for name in names {
            let is_member = name.as_str().is_some_and(|name| properties.contains_key(name));
            if is_member && !required.contains(&name) {
                required.push(name);
            }
        }
    }
    // Hosts refuse objects without `properties`.
    if is_only_kind || !properties.is_empty() {
        schema.insert("properties".to_owned(), Value::Object(properties));
    }
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    // What is said of all others is not said of those that are left out here.
    let others = given
        .remove("additionalProperties")
        .filter(|_| unnamed.is_empty() && !given.contains_key("patternProperties"));
    if let Some(others @ Value::Object(_)) = others
        && others != json!({})
    {
        let others = portable_node(others, SchemaPosition::Member, depth + 1);
        schema.insert("additionalProperties".to_owned(), Value::Object(others));
    }
    if !unnamed.is_empty() {
        words.push(format!("also {}", cut_text(&unnamed.join(", "), MOST_WORDS)));
    }
}

/// Returns a schema of several branches.
fn portable_union(branches: Vec<Value>, place: SchemaPosition, depth: usize) -> Map<String, Value> {
    let says_null = |branch: &Value| branch.get("type").is_some_and(|kind| kind == "null");
    let is_null = branches.iter().any(says_null);
    let mut listed: Vec<Map<String, Value>> = Vec::new();
    for branch in branches.into_iter().filter(|branch| !says_null(branch)) {
        let says_a_kind = branch.as_object().is_some_and(|branch| {
            let inner = ["anyOf", "oneOf", "allOf", "const"];
            !schema_kinds(branch).is_empty() || inner.iter().any(|key| branch.contains_key(*key))
        });
        if !says_a_kind {
            // A branch that allows anything makes the others mute.
            return any_value(place);
        }
        let mut branch = portable_node(branch, place, depth + 1);
        if is_null {
            // Some read null as a property of another type alone.
            or_null(&mut branch);
        }
        if !listed.contains(&branch) {
            listed.push(branch);
        }
    }
    match listed.pop() {
        None if is_null => {
            let mut text = Map::new();
            text.insert("type".to_owned(), json!(["string", "null"]));
            text
        }
        None => any_value(place),
        Some(only) if listed.is_empty() => only,
        Some(last) => {
            listed.push(last);
            let mut schema = Map::new();
            let branches = listed.into_iter().map(Value::Object).collect();
            schema.insert("anyOf".to_owned(), Value::Array(branches));
            schema
        }
    }
}

/// Lets a schema be null too.
fn or_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.iter_mut().filter_map(Value::as_object_mut).for_each(or_null);
        // Two may have differed in null alone.
        let mut at = 0;
        while let Some(branch) = branches.get(at).cloned() {
            let is_known = branches.iter().take(at).any(|other| *other == branch);
            if is_known {
                branches.remove(at);
            } else {
                at += 1;
            }
        }
    }
    // No value of `enum` is null.
    if let Some(values) = schema.remove("enum") {
        let words = one_of(values.as_array().map(Vec::as_slice).unwrap_or_default());
        let given = schema.clone();
        append_description(schema, &given, &[words]);
    }
    match schema.get_mut("type") {
        Some(Value::Array(kinds)) if !kinds.contains(&"null".into()) => kinds.push("null".into()),
        Some(kind @ Value::String(_)) => *kind = json!([kind.take(), "null"]),
        _ => {}
    }
}

/// Adds the description, with what is said in words behind it.
fn append_description(
    schema: &mut Map<String, Value>,
    given: &Map<String, Value>,
    words: &[String],
) {
    let text = |key| given.get(key).and_then(Value::as_str).unwrap_or_default().trim();
    let mut description = text("description").to_owned();
    if description.is_empty() && schema.get("format").is_none() {
        description = text("format").to_owned();
    }
    for words in words {
        if description.ends_with('.') {
            description.pop();
        }
        if !description.is_empty() {
            description.push_str("; ");
        }
        description.push_str(words);
    }
    if !description.is_empty() {
        schema.insert("description".to_owned(), description.into());
    }
}

#[cfg(test)]
pub(super) mod tests;
