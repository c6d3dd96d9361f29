//! The shapes of request bodies: a small notation, and the check that gives XO's messages.
//!
//! The notation is the last column of `operations.txt`:
//!
//! - `string`, `number`, `boolean`, `object`, `any`, and `[shape]` for arrays
//! - `{name: shape, needed*: shape}`, closed; a `!` after it marks a model, which XO's
//!   validator reports differently when it meets properties too many
//! - `<a b "">` for one of these words
//! - `shape?` for "or null", `one or other` for a union, `one & other` for an intersection
//!
//! The messages are those of tsoa, which XO's REST API is built with, except that XO shortens
//! what is said about unions.

use serde_json::{Map, Value, json};

/// The shape of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Any,
    Array(Box<Self>),
    Boolean,
    Intersection(Vec<Self>),
    Nullable(Box<Self>),
    Number,
    Object { fields: Vec<Field>, model: bool },
    OneOf(Vec<String>),
    OpenObject,
    String,
    Union(Vec<Self>),
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

impl Shape {
    /// Compiles the notation. Gives `None` when it is malformed, which a test rules out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text.trim() };
        let shape = parser.union()?;
        parser.rest.is_empty().then_some(shape)
    }

    /// Checks a value, converts text to numbers and booleans where asked for, and collects the
    /// complaints under the names XO uses.
    pub(super) fn check(&self, name: &str, value: &mut Value, errors: &mut Map<String, Value>) {
        self.validate(name, value, errors, Extras::Refuse);
    }

    fn validate(
        &self,
        name: &str,
        value: &mut Value,
        errors: &mut Map<String, Value>,
        extras: Extras,
    ) {
        let complaint = match self {
            Self::Any => None,
            Self::Array(element) => match value.as_array_mut() {
                Some(elements) => {
                    for (index, inner) in elements.iter_mut().enumerate() {
                        element.validate(&format!("{name}.${index}"), inner, errors, extras);
                    }
                    None
                }
                None => Some("invalid array"),
            },
            Self::Boolean => match value.as_str() {
                Some("true") => {
                    *value = true.into();
                    None
                }
                Some("false") => {
                    *value = false.into();
                    None
                }
                _ => (!value.is_boolean()).then_some("invalid boolean value"),
            },
            Self::Intersection(parts) => return intersection(parts, name, value, errors, extras),
            Self::Nullable(inner) => {
                let mut ignored = Map::new();
                if !value.is_null() {
                    inner.validate(name, value, &mut ignored, extras);
                }
                (!ignored.is_empty()).then_some(NO_SCHEMA)
            }
            Self::Number => {
                let number = value.as_str().and_then(|text| text.trim().parse::<f64>().ok());
                if let Some(number) = number {
                    *value = json!(number);
                }
                (!value.is_number()).then_some("invalid float number")
            }
            Self::Object { fields, model } => {
                return object(fields, *model, name, value, errors, extras);
            }
            Self::OneOf(words) => {
                let text = match &*value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (!words.contains(&text)).then_some(NO_SCHEMA)
            }
            Self::OpenObject => (!value.is_object()).then_some("invalid object"),
            Self::String => (!value.is_string()).then_some("invalid string value"),
            Self::Union(alternatives) => {
                let fits = alternatives.iter().any(|alternative| {
                    let mut ignored = Map::new();
                    let mut candidate = value.clone();
                    alternative.validate(name, &mut candidate, &mut ignored, extras);
                    if ignored.is_empty() {
                        *value = candidate;
                    }
                    ignored.is_empty()
                });
                (!fits).then_some(NO_SCHEMA)
            }
        };
        if let Some(message) = complaint {
            errors.insert(name.to_owned(), json!({"message": message, "value": value}));
        }
    }

    /// Returns the property names of every way to satisfy an object shape.
    fn variants(&self) -> Vec<Vec<&str>> {
        match self {
            Self::Object { fields, .. } => {
                vec![fields.iter().map(|field| field.name.as_str()).collect()]
            }
            Self::Union(alternatives) => alternatives.iter().flat_map(Self::variants).collect(),
            Self::Intersection(parts) => parts.iter().fold(vec![vec![]], |known, part| {
                let new = part.variants();
                known
                    .iter()
                    .flat_map(|old| new.iter().map(move |more| [&old[..], &more[..]].concat()))
                    .collect()
            }),
            _ => vec![vec![]],
        }
    }
}

/// What becomes of properties that are not declared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Extras {
    Ignore,
    Refuse,
}

fn object(
    fields: &[Field],
    model: bool,
    name: &str,
    value: &mut Value,
    errors: &mut Map<String, Value>,
    extras: Extras,
) {
    let Some(properties) = value.as_object_mut() else {
        errors.insert(name.to_owned(), json!({"message": "invalid object", "value": value}));
        return;
    };
    let surplus: Map<String, Value> = properties
        .iter()
        .filter(|(key, _)| extras == Extras::Refuse && fields.iter().all(|f| f.name != **key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let excess =
        |names: &str| format!("\"{names}\" is an excess property and therefore is not allowed");
    if !model && !surplus.is_empty() {
        let names = surplus.keys().map(String::as_str).collect::<Vec<_>>().join(",");
        errors.insert(name.to_owned(), json!({"message": excess(&names), "value": surplus}));
    }
    for field in fields {
        let path = format!("{name}.{}", field.name);
        match properties.get_mut(&field.name) {
            Some(inner) => field.shape.validate(&path, inner, errors, extras),
            None if field.required => {
                let message = format!("'{}' is required", field.name);
                errors.insert(path, json!({"message": message}));
            }
            None => {}
        }
    }
    if model {
        for key in surplus.keys() {
            errors.insert(format!("{name}.{key}"), json!({"message": excess(key), "value": key}));
        }
    }
}

fn intersection(
    parts: &[Shape],
    name: &str,
    value: &mut Value,
    errors: &mut Map<String, Value>,
    extras: Extras,
) {
    let received = value.clone();
    let mut issues = Vec::new();
    for part in parts {
        let mut found = Map::new();
        part.validate(name, value, &mut found, Extras::Ignore);
        if !found.is_empty() {
            issues.push(Value::Object(found));
        }
    }
    let message = if issues.is_empty() {
        let variants = Shape::Intersection(parts.to_vec());
        let variants = variants.variants();
        let open = parts.contains(&Shape::OpenObject);
        let declared = variants.iter().any(|names| {
            let keys = received.as_object().into_iter().flat_map(Map::keys);
            keys.into_iter().all(|key| names.contains(&key.as_str()))
        });
        if declared || open || extras == Extras::Ignore {
            return;
        }
        format!(
            "Could not match intersection against any of the possible combinations: {}",
            json!(variants)
        )
    } else {
        let issues = Value::Array(issues);
        format!("Could not match the intersection against every type. Issues: {issues}")
    };
    errors.insert(name.to_owned(), json!({"message": message, "value": received}));
}

/// Reads the notation from left to right.
struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn union(&mut self) -> Option<Shape> {
        let mut alternatives = vec![self.intersection()?];
        while self.take("or ") {
            alternatives.push(self.intersection()?);
        }
        Some(single(alternatives, Shape::Union))
    }

    fn intersection(&mut self) -> Option<Shape> {
        let mut parts = vec![self.unit()?];
        while self.take("&") {
            parts.push(self.unit()?);
        }
        Some(single(parts, Shape::Intersection))
    }

    fn unit(&mut self) -> Option<Shape> {
        let shape = if self.take("{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                let name = self.word();
                let required = self.take("*");
                if name.is_empty() || !self.take(":") {
                    return None;
                }
                fields.push(Field { name, required, shape: self.union()? });
                self.take(",");
            }
            Shape::Object { fields, model: self.take("!") }
        } else if self.take("[") {
            let element = self.union()?;
            self.take("]").then(|| Shape::Array(Box::new(element)))?
        } else if self.take("(") {
            let inner = self.union()?;
            self.take(")").then_some(inner)?
        } else if self.take("<") {
            let (words, rest) = self.rest.split_once('>')?;
            self.rest = rest.trim_start();
            Shape::OneOf(words.split(' ').map(|word| word.replace("\"\"", "")).collect())
        } else {
            match self.word().as_str() {
                "any" => Shape::Any,
                "boolean" => Shape::Boolean,
                "number" => Shape::Number,
                "object" => Shape::OpenObject,
                "string" => Shape::String,
                _ => return None,
            }
        };
        Some(if self.take("?") { Shape::Nullable(Box::new(shape)) } else { shape })
    }

    fn word(&mut self) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word.to_owned()
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }
}

fn single(mut shapes: Vec<Shape>, many: fn(Vec<Shape>) -> Shape) -> Shape {
    if shapes.len() > 1 {
        return many(shapes);
    }
    shapes.pop().unwrap_or(Shape::Any)
}

/// What XO says about unions and enumerations.
const NO_SCHEMA: &str = "Value does not match any allowed schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: &str, mut value: Value, expected: Value) {
        let mut errors = Map::new();
        Shape::parse(shape).unwrap().check("body", &mut value, &mut errors);
        assert_eq!(Value::Object(errors), expected);
    }

    #[test]
    fn says_what_tsoa_says() {
        let user = "{permission: <none admin>, password*: string, name*: string}";
        check(user, json!({"name": "a", "password": "b"}), json!({}));
        check(
            user,
            json!({}),
            json!({
                "body.password": {"message": "'password' is required"},
                "body.name": {"message": "'name' is required"},
            }),
        );
        check(user, json!([]), json!({"body": {"message": "invalid object", "value": []}}));
        check(
            user,
            json!({"name": 1, "password": "b", "permission": "root"}),
            json!({
                "body.permission": {
                    "message": "Value does not match any allowed schema", "value": "root",
                },
                "body.name": {"message": "invalid string value", "value": 1},
            }),
        );
        let message = "\"zzz\" is an excess property and therefore is not allowed";
        check(
            "{name: string}",
            json!({"name": "a", "zzz": 1}),
            json!({"body": {"message": message, "value": {"zzz": 1}}}),
        );
        check(
            "{name: string}!",
            json!({"name": "a", "zzz": 1}),
            json!({"body.zzz": {"message": message, "value": "zzz"}}),
        );
        check("{size: number, on: boolean}", json!({"size": "1", "on": "false"}), json!({}));
        check("{a: string?, b: [string]}", json!({"a": null, "b": ["c"]}), json!({}));
    }

    #[test]
    fn reports_intersections_as_one_text() {
        let shape = "{type: string} & {VDI*: string, VM*: string}";
        check(
            shape,
            json!({"vm": "a"}),
            json!({"body": {
                "message": "Could not match the intersection against every type. Issues: \
                    [{\"body.VDI\":{\"message\":\"'VDI' is required\"},\
                    \"body.VM\":{\"message\":\"'VM' is required\"}}]",
                "value": {"vm": "a"},
            }}),
        );
        check(shape, json!({"VDI": "a", "VM": "b", "type": "Disk"}), json!({}));
        check(
            shape,
            json!({"VDI": "a", "VM": "b", "x": 1}),
            json!({"body": {
                "message": "Could not match intersection against any of the possible \
                    combinations: [[\"type\",\"VDI\",\"VM\"]]",
                "value": {"VDI": "a", "VM": "b", "x": 1},
            }}),
        );
    }
}
