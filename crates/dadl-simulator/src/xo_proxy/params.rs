//! The parameters of a method, and what the proxy's validator says about others.
//!
//! All violations come at once: what is missing, what is too much, and then what has another type.

use serde_json::{Map, Value, json};

use super::failure::ProxyFailure;

/// A named parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct MethodParam {
    pub(super) name: &'static str,
    pub(super) kind: ParamType,
    pub(super) is_optional: bool,
    /// What counts when nothing is given.
    pub(super) default: Option<&'static str>,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParamType {
    Boolean,
    Number,
    Object,
    /// An object whose members are objects.
    Objects,
    String,
    Strings,
    /// Text that is not empty.
    Words,
}

impl ParamType {
    /// Returns the schema that the proxy shows.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Number => json!({ "type": "number" }),
            Self::Object => json!({ "type": "object" }),
            Self::Objects => {
                json!({ "type": "object", "additionalProperties": { "type": "object" } })
            }
            Self::String => json!({ "type": "string" }),
            Self::Strings => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Words => json!({ "type": "string", "minLength": 1 }),
        }
    }

    fn check(self, name: &str, value: &Value, errors: &mut Vec<Value>) {
        let place = format!("/{name}");
        let schema = format!("#/properties/{name}");
        let fits = match self {
            Self::Boolean => value.is_boolean(),
            Self::Number => value.is_number(),
            Self::Object | Self::Objects => value.is_object(),
            Self::String | Self::Words => value.is_string(),
            Self::Strings => value.is_array(),
        };
        if !fits {
            errors.push(wrong_type(&place, &schema, type_name(self)));
            return;
        }
        match (self, value) {
            (Self::Objects, Value::Object(members)) => {
                for (key, _) in members.iter().filter(|(_, member)| !member.is_object()) {
                    let schema = format!("{schema}/additionalProperties");
                    errors.push(wrong_type(&format!("{place}/{key}"), &schema, "object"));
                }
            }
            (Self::Strings, Value::Array(items)) => {
                for (at, _) in items.iter().enumerate().filter(|(_, item)| !item.is_string()) {
                    let schema = format!("{schema}/items");
                    errors.push(wrong_type(&format!("{place}/{at}"), &schema, "string"));
                }
            }
            (Self::Words, Value::String(text)) if text.is_empty() => errors.push(violation(
                &place,
                &format!("{schema}/minLength"),
                "minLength",
                json!({ "limit": 1 }),
                "must NOT have fewer than 1 characters",
            )),
            _ => {}
        }
    }
}

fn type_name(kind: ParamType) -> &'static str {
    match kind {
        ParamType::Boolean => "boolean",
        ParamType::Number => "number",
        ParamType::Object | ParamType::Objects => "object",
        ParamType::String | ParamType::Words => "string",
        ParamType::Strings => "array",
    }
}

fn wrong_type(place: &str, schema: &str, wanted: &str) -> Value {
    let message = format!("must be {wanted}");
    violation(place, &format!("{schema}/type"), "type", json!({ "type": wanted }), &message)
}

fn violation(place: &str, schema: &str, keyword: &str, params: Value, message: &str) -> Value {
    json!({
        "instancePath": place, "schemaPath": schema, "keyword": keyword, "params": params,
        "message": message,
    })
}

/// Checks what a call gives to a method with these parameters.
pub(super) fn check(
    params: &[MethodParam],
    given: Value,
) -> Result<Map<String, Value>, ProxyFailure> {
    let Value::Object(given) = given else {
        return Err(ProxyFailure::invalid(vec![wrong_type("", "#", "object")]));
    };
    let mut errors = Vec::new();
    for param in params.iter().filter(|it| !it.is_optional && !given.contains_key(it.name)) {
        let message = format!("must have required property '{}'", param.name);
        let missing = json!({ "missingProperty": param.name });
        errors.push(violation("", "#/required", "required", missing, &message));
    }
    for name in given.keys().filter(|name| params.iter().all(|param| param.name != **name)) {
        let extra = json!({ "additionalProperty": name });
        let message = "must NOT have additional properties";
        let schema = "#/additionalProperties";
        errors.push(violation("", schema, "additionalProperties", extra, message));
    }
    for param in params {
        if let Some(value) = given.get(param.name) {
            param.kind.check(param.name, value, &mut errors);
        }
    }
    if errors.is_empty() { Ok(given) } else { Err(ProxyFailure::invalid(errors)) }
}
