//! What a server asks a person for, as a host may show it: named, bounded, cleaned and flat.
//!
//! The words are a stranger's. They are quoted line by line below a sentence of ours that says whose they
//! are, so that no server speaks in our place; what a server gets back is what the person gave to its own
//! question, never a consent to a call of ours.

use dadl_text::text::{cut_text, one_line, quoted_text, shown_text, start_of};
use serde_json::{Map, Value, json};
use url::Url;

/// What is asked is cut behind so many characters.
const LONGEST_MESSAGE: usize = 2_000;

/// So many lines of it are shown.
const MOST_LINES: usize = 40;

/// A form has no more fields.
const MOST_FIELDS: usize = 32;

/// The name of a field is no longer, in bytes.
const LONGEST_NAME: usize = 64;

/// A title or a description of a field is cut behind so many characters.
const LONGEST_TEXT: usize = 300;

/// A field offers no more values to choose from.
const MOST_CHOICES: usize = 100;

/// A value to choose from, or one that is there already, is no longer, in bytes.
const LONGEST_VALUE: usize = 200;

/// A URL is no longer, in bytes.
const LONGEST_URL: usize = 2_000;

/// An answer is no longer, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What a person is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Elicitation {
    /// Values.
    Form {
        /// The question.
        message: String,
        /// An object whose properties are texts, numbers, truth values and choices.
        schema: Map<String, Value>,
    },
    /// A visit to a page.
    Page {
        /// The question.
        message: String,
        /// The page.
        url: String,
        /// What the server calls the visit; may be empty.
        id: String,
    },
}

/// Why a person is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElicitationFault {
    /// The server needs a field that no form can have.
    #[error("no form can have the field {} that it needs", quoted_text(.0, LONGEST_NAME))]
    Field(String),
    /// There are too many fields.
    #[error("its form has more than {MOST_FIELDS} fields")]
    Fields,
    /// The schema is none.
    #[error("it says of no form what is wanted")]
    Schema,
    /// The page has an address that nobody opens.
    #[error(
        "the address that it wants to be opened is no URL that begins with http:// or https://"
    )]
    Url,
}

impl Elicitation {
    /// Reads what a server asks for.
    pub(super) fn read(backend: &str, params: &Value) -> Result<Self, ElicitationFault> {
        let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
        let message = question(backend, text("message"));
        if text("mode") == "url" {
            let url = text("url");
            let parsed = Url::parse(url).map_err(|_| ElicitationFault::Url)?;
            let is_fine = matches!(parsed.scheme(), "http" | "https")
                && parsed.host_str().is_some()
                && parsed.username().is_empty()
                && parsed.password().is_none()
                && url.len() <= LONGEST_URL;
            if !is_fine {
                return Err(ElicitationFault::Url);
            }
            let id = start_of(text("elicitationId"), LONGEST_VALUE);
            // As it is read, and not as it is written.
            return Ok(Self::Page { message, url: parsed.into(), id });
        }
        let schema = params.get("requestedSchema").and_then(Value::as_object);
        let schema = flat_schema(schema.ok_or(ElicitationFault::Schema)?)?;
        Ok(Self::Form { message, schema })
    }

    /// Returns of what a person gave what was asked for; nothing where it is too long.
    pub(super) fn taken(&self, content: Value) -> Option<Value> {
        let Self::Form { schema, .. } = self else { return Some(json!({})) };
        let fields = schema.get("properties").and_then(Value::as_object);
        let Value::Object(given) = content else { return Some(json!({})) };
        let is_field = |name: &String| fields.is_some_and(|fields| fields.contains_key(name));
        let taken: Map<String, Value> = given
            .into_iter()
            .filter(|(name, value)| is_field(name) && !value.is_object() && !value.is_null())
            .collect();
        let taken = Value::Object(taken);
        (taken.to_string().len() <= LONGEST_ANSWER).then_some(taken)
    }
}

/// Puts the words of a server below a sentence of ours.
fn question(backend: &str, words: &str) -> String {
    let cut = cut_text(words, LONGEST_MESSAGE);
    let quoted: Vec<String> = cut
        .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .take(MOST_LINES)
        .map(|line| format!("> {}", shown_text(&one_line(line))))
        .collect();
    format!(
        "The MCP server of backend \"{backend}\" asks. These are its words, and your answer goes to \
         it:\n{}",
        quoted.join("\n")
    )
}

/// Makes a schema that each host can show: of fields without fields of their own. What cannot be one is
/// left out unless the server needs it.
fn flat_schema(schema: &Map<String, Value>) -> Result<Map<String, Value>, ElicitationFault> {
    let nothing = Map::new();
    let properties = match schema.get("properties") {
        None => &nothing,
        Some(properties) => properties.as_object().ok_or(ElicitationFault::Schema)?,
    };
    if properties.len() > MOST_FIELDS {
        return Err(ElicitationFault::Fields);
    }
    let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice);
    let required = required.unwrap_or_default();
    let mut fields = Map::new();
    for (name, field) in properties {
        match flat_field(field).filter(|_| is_name(name)) {
            Some(field) => drop(fields.insert(name.clone(), field)),
            None if required.iter().any(|it| it == name) => {
                return Err(ElicitationFault::Field(name.clone()));
            }
            None => {}
        }
    }
    let required: Vec<Value> = required
        .iter()
        .filter(|name| name.as_str().is_some_and(|name| fields.contains_key(name)))
        .cloned()
        .collect();
    let mut flat = Map::new();
    flat.insert("type".to_owned(), "object".into());
    flat.insert("properties".to_owned(), Value::Object(fields));
    if !required.is_empty() {
        flat.insert("required".to_owned(), required.into());
    }
    Ok(flat)
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && is_seen(name)
}

/// Returns whether people see all of a text: what comes back is compared with it by the server.
fn is_seen(text: &str) -> bool {
    shown_text(text) == text && one_line(text) == text
}

/// Makes a field that hosts know, or none.
fn flat_field(field: &Value) -> Option<Value> {
    let kind = field.get("type").and_then(Value::as_str)?;
    let keys: &[&str] = match kind {
        "string" => &["minLength", "maxLength", "format", "default", "enum", "enumNames", "oneOf"],
        "number" | "integer" => &["minimum", "maximum", "default"],
        "boolean" => &["default"],
        "array" => &["minItems", "maxItems", "items", "default"],
        _ => return None,
    };
    let mut flat = Map::new();
    flat.insert("type".to_owned(), kind.into());
    for key in ["title", "description"] {
        if let Some(Value::String(text)) = field.get(key) {
            let text = cut_text(&shown_text(&one_line(text)), LONGEST_TEXT).into_owned();
            flat.insert(key.to_owned(), text.into());
        }
    }
    for key in keys {
        let Some(value) = field.get(*key) else { continue };
        let value = match *key {
            "enum" => choices(value, |it| it.is_string())?,
            "enumNames" => match choices(value, Value::is_string) {
                Some(names) => names,
                None => continue,
            },
            "oneOf" => choices(value, is_choice)?,
            "items" => flat_items(value)?,
            "format" => match value.as_str() {
                Some("email" | "uri" | "date" | "date-time") => value.clone(),
                _ => continue,
            },
            "default" => match is_default(kind, value) {
                true => value.clone(),
                false => continue,
            },
            _ if value.is_number() => value.clone(),
            _ => continue,
        };
        flat.insert((*key).to_owned(), value);
    }
    (kind != "array" || flat.contains_key("items")).then_some(Value::Object(flat))
}

fn choices(value: &Value, is_one: impl Fn(&Value) -> bool) -> Option<Value> {
    let items = value.as_array().filter(|items| items.len() <= MOST_CHOICES)?;
    let is_fine = |it: &Value| is_one(it) && it.as_str().is_none_or(is_value);
    items.iter().all(is_fine).then(|| value.clone())
}

fn is_value(text: &str) -> bool {
    text.len() <= LONGEST_VALUE && is_seen(text)
}

/// Returns whether this is a choice with a title.
fn is_choice(value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str).is_some_and(is_value);
    value.as_object().is_some_and(|members| members.len() == 2) && text("const") && text("title")
}

/// Makes the items of a field with several choices.
fn flat_items(items: &Value) -> Option<Value> {
    if let Some(listed) = items.get("enum") {
        return Some(json!({ "type": "string", "enum": choices(listed, Value::is_string)? }));
    }
    Some(json!({ "anyOf": choices(items.get("anyOf")?, is_choice)? }))
}

fn is_default(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.as_str().is_some_and(is_value),
        "number" | "integer" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => choices(value, Value::is_string).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(properties: Value, required: Value) -> Result<Value, ElicitationFault> {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        let params = json!({ "message": "Who?", "requestedSchema": schema });
        match Elicitation::read("notes", &params)? {
            Elicitation::Form { schema, .. } => Ok(Value::Object(schema)),
            Elicitation::Page { .. } => panic!("a page"),
        }
    }

    #[test]
    fn a_form_is_flat_and_keeps_its_order() {
        let fields = json!({
            "name": { "type": "string", "title": "Your\nname", "minLength": 1, "x": 1 },
            "age": { "type": "integer", "minimum": 0, "default": 3 },
            "color": { "type": "string", "enum": ["red", "blue"], "enumNames": ["Red", "Blue"] },
            "many": { "type": "array", "items": { "type": "string", "enum": ["a"] } },
            "deep": { "type": "object", "properties": {} },
        });
        let flat = form(fields, json!(["name", "deep2"])).unwrap();
        assert_eq!(
            flat,
            json!({
                "type": "object",
                "properties": {
                    "name": { "type": "string", "title": "Your name", "minLength": 1 },
                    "age": { "type": "integer", "minimum": 0, "default": 3 },
                    "color": {
                        "type": "string", "enum": ["red", "blue"], "enumNames": ["Red", "Blue"],
                    },
                    "many": { "type": "array", "items": { "type": "string", "enum": ["a"] } },
                },
                "required": ["name"],
            })
        );
        let names: Vec<&String> = flat["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["name", "age", "color", "many"]);
        let deep = json!({ "deep": { "type": "object" } });
        assert_eq!(form(deep, json!(["deep"])), Err(ElicitationFault::Field("deep".to_owned())));
        let hidden = json!({ "color": { "type": "string", "enum": ["re\u{202e}d"] } });
        assert_eq!(form(hidden, json!([])).unwrap()["properties"], json!({}));
        assert_eq!(
            Elicitation::read("notes", &json!({ "message": "?" })),
            Err(ElicitationFault::Schema)
        );
    }

    #[test]
    fn a_question_says_whose_it_is_and_quotes_each_line() {
        let params = json!({
            "message": "Your name?\n\nThe MCP server of backend \"bank\" asks:\u{1b}[2J",
            "requestedSchema": { "type": "object", "properties": {} },
        });
        let Ok(Elicitation::Form { message, .. }) = Elicitation::read("notes", &params) else {
            panic!("no form")
        };
        let lines: Vec<&str> = message.lines().collect();
        assert!(lines[0].starts_with("The MCP server of backend \"notes\" asks."), "{message}");
        assert!(lines[1..].iter().all(|line| line.starts_with("> ")), "{message}");
        assert!(!message.contains('\u{1b}'), "{message}");
    }

    #[test]
    fn a_page_has_an_address_that_can_be_opened() {
        let read = |url: &str| {
            Elicitation::read("notes", &json!({ "mode": "url", "message": "?", "url": url }))
        };
        assert!(matches!(read("https://example.com/x"), Ok(Elicitation::Page { .. })));
        for url in ["file:///etc/passwd", "javascript:1", "https://u:p@example.com", "no"] {
            assert_eq!(read(url), Err(ElicitationFault::Url), "{url}");
        }
    }

    #[test]
    fn an_answer_has_what_was_asked_for() {
        let params = json!({ "message": "?", "requestedSchema": {
            "type": "object", "properties": { "a": { "type": "string" } },
        } });
        let form = Elicitation::read("notes", &params).unwrap();
        assert_eq!(form.taken(json!({ "a": "x", "b": 1 })), Some(json!({ "a": "x" })));
        assert_eq!(form.taken(Value::Null), Some(json!({})));
        assert_eq!(form.taken(json!({ "a": "x".repeat(LONGEST_ANSWER) })), None);
    }
}
