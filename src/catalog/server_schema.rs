//! The arguments of a server's tool: what its schema says of them, and how hosts see that.
//!
//! A schema of a server may be any. Its references are written out already (`resolved`); here the parts
//! and branches of the whole become one object, texts lose what a person would not see, values that hide
//! something go, and what is too long for a list is said more briefly. `portable` does the rest.

use dadl_descriptor::model::{KindList, Param, ParamKind, ParamLocation, ParamRole, Shared};
use dadl_text::text::{cut_prose, cut_text, first_hidden};
use serde_json::{Map, Value, json};

use super::{EntryParam, description::collapse_spaces, portable, schema::is_listable};

/// What is said of one argument has so many characters at most.
const LONGEST_TEXT: usize = 1024;
/// The name of a format has so many.
const LONGEST_FORMAT: usize = 40;
/// A pattern has so many bytes.
const LONGEST_PATTERN: usize = 512;
/// A default, and the values of a choice, have so many bytes of JSON.
const LONGEST_VALUES: usize = 4 * 1024;
/// A listed schema has so many bytes of JSON: each conversation pays for it.
const LONGEST_LISTED: usize = 32 * 1024;
/// Parts within parts are followed so far.
const MOST_DEPTH: usize = 16;

/// The arguments that a schema names.
#[derive(Debug, Default)]
pub(super) struct ArgumentForm {
    /// What is said of each.
    properties: Map<String, Value>,
    required: Vec<String>,
    /// Whether others may be given.
    pub(super) is_open: bool,
}

/// Reads the arguments out of a schema without references.
pub(super) fn arguments(schema: &Map<String, Value>) -> ArgumentForm {
    let mut form = ArgumentForm::default();
    add_arguments(schema, &mut form, 0);
    let says_no = schema.get("additionalProperties") == Some(&Value::Bool(false));
    form.is_open = !says_no || schema.contains_key("patternProperties");
    form.required.retain(|name| form.properties.contains_key(name));
    form
}

fn add_arguments(schema: &Map<String, Value>, form: &mut ArgumentForm, depth: usize) {
    if depth > MOST_DEPTH {
        return;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        form.add(name, property.clone(), "allOf");
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    required.filter_map(Value::as_str).for_each(|name| form.require(name));
    let listed = |word: &str| schema.get(word).and_then(Value::as_array).into_iter().flatten();
    for part in listed("allOf").filter_map(Value::as_object) {
        add_arguments(part, form, depth + 1);
    }
    for word in ["anyOf", "oneOf"] {
        let mut all: Option<ArgumentForm> = None;
        for branch in listed(word).filter_map(Value::as_object) {
            let mut one = ArgumentForm::default();
            add_arguments(branch, &mut one, depth + 1);
            let Some(all) = &mut all else {
                all = Some(one);
                continue;
            };
            // Only what each branch requires is required of all.
            all.required.retain(|name| one.required.contains(name));
            for (name, property) in one.properties {
                all.add(&name, property, "anyOf");
            }
        }
        let Some(all) = all else { continue };
        all.required.iter().for_each(|name| form.require(name));
        for (name, property) in all.properties {
            form.add(&name, property, "allOf");
        }
    }
}

impl ArgumentForm {
    /// Adds what is said of an argument; where something is said of it already, `word` joins both.
    fn add(&mut self, name: &str, property: Value, word: &str) {
        let Some(known) = self.properties.get_mut(name) else {
            self.properties.insert(name.to_owned(), property);
            return;
        };
        if *known == property {
            return;
        }
        let is_joined = known.as_object().is_some_and(|it| it.len() == 1 && it.contains_key(word));
        if let Some(Value::Array(parts)) = known.get_mut(word).filter(|_| is_joined) {
            if !parts.contains(&property) {
                parts.push(property);
            }
            return;
        }
        *known = json!({ word: [known.take(), property] });
    }

    fn require(&mut self, name: &str) {
        if !self.required.iter().any(|known| known == name) {
            self.required.push(name.to_owned());
        }
    }
}

/// Returns the parameters of these arguments. A default is the server's to fill in.
pub(super) fn params(form: &ArgumentForm) -> Vec<Shared<Param>> {
    let param = |(name, schema): (&String, &Value)| {
        let KnownKinds { kinds, is_null } = kinds_of(schema, 0);
        let kind = match kinds.iter().collect::<Vec<_>>().as_slice() {
            [one] => *one,
            _ => ParamKind::Union(kinds),
        };
        let role = ParamRole::Sent(ParamLocation::Body);
        let mut param = Param::new(name.clone(), role, kind);
        param.required = form.required.contains(name);
        if is_null {
            param.form.nullable = true;
        }
        param.description = schema.get("description").and_then(Value::as_str).map(shown_text);
        Shared::from(param)
    };
    form.properties.iter().map(param).collect()
}

/// The types of a value.
struct KnownKinds {
    /// None: any.
    kinds: KindList,
    is_null: bool,
}

fn kinds_of(schema: &Value, depth: usize) -> KnownKinds {
    let any = KnownKinds { kinds: KindList::any(), is_null: false };
    let Value::Object(schema) = schema else { return any };
    if depth > MOST_DEPTH {
        return any;
    }
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !words.is_empty() {
        let kinds = KindList::of(words.iter().filter_map(|word| kind_called(word)));
        return KnownKinds { kinds, is_null: words.contains(&"null") };
    }
    let values = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    let values = values.or_else(|| schema.get("const").map(std::slice::from_ref));
    if let Some(values) = values {
        let kinds = KindList::of(values.iter().filter_map(kind_of));
        return KnownKinds { kinds, is_null: values.contains(&Value::Null) };
    }
    for word in ["anyOf", "oneOf"] {
        let Some(branches) = schema.get(word).and_then(Value::as_array) else { continue };
        let branches: Vec<KnownKinds> = branches.iter().map(|it| kinds_of(it, depth + 1)).collect();
        let is_null = branches.iter().any(|it| it.is_null);
        // A branch that is null alone says nothing of others; one of any type allows all.
        if branches.iter().any(|it| it.kinds.is_any() && !it.is_null) {
            return KnownKinds { kinds: KindList::any(), is_null };
        }
        let kinds = KindList::of(branches.iter().flat_map(|it| it.kinds.iter()));
        return KnownKinds { kinds, is_null };
    }
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let mut parts = parts.map(|part| kinds_of(part, depth + 1));
    if let Some(known) = parts.find(|it| !it.kinds.is_any()) {
        return known;
    }
    if schema.contains_key("properties") {
        return KnownKinds { kinds: KindList::of([ParamKind::Object]), is_null: false };
    }
    any
}

fn kind_called(word: &str) -> Option<ParamKind> {
    Some(match word {
        "array" => ParamKind::Array,
        "boolean" => ParamKind::Boolean,
        "integer" => ParamKind::Integer,
        "number" => ParamKind::Number,
        "object" => ParamKind::Object,
        "string" => ParamKind::String,
        _ => return None,
    })
}

fn kind_of(value: &Value) -> Option<ParamKind> {
    Some(match value {
        Value::Array(_) => ParamKind::Array,
        Value::Bool(_) => ParamKind::Boolean,
        Value::Null => return None,
        Value::Number(number) if number.is_f64() => ParamKind::Number,
        Value::Number(_) => ParamKind::Integer,
        Value::Object(_) => ParamKind::Object,
        Value::String(_) => ParamKind::String,
    })
}

/// How much of a schema is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ShownDetail {
    All,
    /// Without what is said of members of arguments.
    NoInnerTexts,
    /// The types of arguments.
    Kinds,
}

/// Returns the schema that hosts list of a tool with this schema, which has no references. Of one that is
/// too long less is listed; all of it may be passed.
pub(super) fn listed(schema: &Map<String, Value>, params: &[EntryParam]) -> Map<String, Value> {
    let form = arguments(schema);
    let all = || params.iter().filter(|param| param.listed);
    for detail in [ShownDetail::All, ShownDetail::NoInnerTexts, ShownDetail::Kinds] {
        let listed = portable_form(&form, all(), detail);
        if bytes_of(&listed) <= LONGEST_LISTED {
            return listed;
        }
    }
    let mut room = LONGEST_LISTED / 2;
    let mut fits = |param: &&EntryParam| {
        let one = portable_form(&form, std::iter::once(*param), ShownDetail::Kinds);
        room = room.saturating_sub(bytes_of(&one));
        room > 0
    };
    let required = all().filter(|param| param.param.required);
    let others = all().filter(|param| !param.param.required);
    let kept: Vec<&EntryParam> = required.chain(others).take_while(&mut fits).collect();
    portable_form(&form, kept.into_iter(), ShownDetail::Kinds)
}

fn bytes_of(schema: &Map<String, Value>) -> usize {
    serde_json::to_string(schema).map_or(usize::MAX, |text| text.len())
}

fn portable_form<'params>(
    form: &ArgumentForm,
    params: impl Iterator<Item = &'params EntryParam>,
    detail: ShownDetail,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for EntryParam { property, param, .. } in params {
        let Some(schema) = form.properties.get(&param.name) else { continue };
        let is_needed = param.required;
        required.extend(is_needed.then(|| Value::from(property.as_str())));
        properties.insert(property.clone(), shown_schema(schema, detail, 0));
    }
    let mut listed = Map::with_capacity(3);
    listed.insert("type".to_owned(), "object".into());
    listed.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        listed.insert("required".to_owned(), required.into());
    }
    portable::make_portable(&mut listed);
    listed
}

/// Returns what is listed of a schema; words that hosts do not need go.
fn shown_schema(schema: &Value, detail: ShownDetail, depth: usize) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut shown = Map::with_capacity(schema.len());
    for (word, value) in schema {
        if let Some(value) = shown_word(word, value, detail, depth) {
            shown.insert(word.clone(), value);
        }
    }
    Value::Object(shown)
}

fn shown_word(word: &str, value: &Value, detail: ShownDetail, depth: usize) -> Option<Value> {
    let inner = |value: &Value| shown_schema(value, detail, depth + 1);
    if detail == ShownDetail::Kinds {
        return (word == "type").then(|| value.clone());
    }
    match (word, value) {
        ("description", Value::String(text)) => {
            let is_said = depth == 0 || detail == ShownDetail::All;
            is_said.then(|| shown_text(text)).filter(|text| !text.is_empty()).map(Value::from)
        }
        ("format", Value::String(text)) => {
            Some(cut_text(&collapse_spaces(text), LONGEST_FORMAT).into())
        }
        ("pattern", Value::String(text)) => {
            let is_fine = text.len() <= LONGEST_PATTERN && first_hidden(text).is_none();
            is_fine.then(|| value.clone())
        }
        // Without the characters that nobody sees these would be other values.
        ("const" | "default" | "enum" | "examples", value) => {
            let is_fine = is_listable(value) && value.to_string().len() <= LONGEST_VALUES;
            is_fine.then(|| value.clone())
        }
        ("properties", Value::Object(members)) => {
            let seen = members.iter().filter(|(name, _)| first_hidden(name).is_none());
            Some(seen.map(|(name, member)| (name.clone(), inner(member))).collect())
        }
        ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
            Some(parts.iter().map(inner).collect())
        }
        ("additionalProperties" | "items", value) => Some(inner(value)),
        // That there are some is all that counts.
        ("patternProperties", _) => Some(json!({})),
        ("prefixItems", _) => Some(json!([])),
        (
            "maxItems" | "maxLength" | "maximum" | "minItems" | "minLength" | "minimum"
            | "required" | "type",
            value,
        ) => Some(value.clone()),
        _ => None,
    }
}

fn shown_text(text: &str) -> String {
    cut_prose(&collapse_spaces(text), LONGEST_TEXT).0.into_owned()
}
