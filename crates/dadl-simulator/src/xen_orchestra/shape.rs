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
pub(super) enum BodyShape {
    Any,
    Array(Box<Self>),
    Boolean,
    Intersection(Vec<Self>),
    Nullable(Box<Self>),
    Number,
    Object { fields: Vec<ShapeField>, model: bool },
    OneOf(Vec<String>),
    OpenObject,
    String,
    Union(Vec<Self>),
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ShapeField {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) shape: BodyShape,
}

impl BodyShape {
    /// Compiles the notation. Gives `None` when it is malformed, which a test rules out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = ShapeParser { rest: text.trim() };
        let shape = parser.union()?;
        parser.rest.is_empty().then_some(shape)
    }

    /// Checks a value, converts text to numbers and booleans where asked for, and collects the
    /// complaints under the names XO uses.
    pub(super) fn check(&self, name: &str, value: &mut Value, errors: &mut Map<String, Value>) {
        self.validate(name, value, errors, ExtraProperties::Refuse);
    }

    fn validate(
        &self,
        name: &str,
        value: &mut Value,
        errors: &mut Map<String, Value>,
        extras: ExtraProperties,
    ) {
        let complaint = match self {
            Self::Any => None,
            Self::Array(element) => array(element, name, value, errors, extras),
            Self::Boolean => match value.as_str() {
                Some("true") => {
                    *value = true.into();
                    None
                }
                Some("false") => {
                    *value = false.into();
                    None
                }
                _ => (!value.is_boolean()).then(|| "invalid boolean value".to_owned()),
            },
            Self::Intersection(parts) => return intersection(parts, name, value, errors, extras),
            Self::Nullable(inner) => {
                let mut ignored = Map::new();
                if !value.is_null() {
                    inner.validate(name, value, &mut ignored, extras);
                }
                (!ignored.is_empty()).then(|| NO_SCHEMA.to_owned())
            }
            Self::Number => {
                let number = value.as_str().and_then(|text| text.trim().parse::<f64>().ok());
                if let Some(number) = number {
                    *value = json!(number);
                }
                (!value.is_number()).then(|| "invalid float number".to_owned())
            }
            Self::Object { fields, model } => {
                return object(fields, *model, name, value, errors, extras);
            }
            Self::OneOf(words) => one_of(words, name, value, extras),
            Self::OpenObject => (!value.is_object()).then(|| "invalid object".to_owned()),
            Self::String => (!value.is_string()).then(|| "invalid string value".to_owned()),
            Self::Union(alternatives) => union(alternatives, name, value, extras),
        };
        if let Some(message) = complaint {
            errors.insert(name.to_owned(), json!({"message": message, "value": value}));
        }
    }

    /// Returns the properties of every way to satisfy an object shape.
    fn variants(&self) -> Vec<Vec<&ShapeField>> {
        match self {
            Self::Object { fields, .. } => vec![fields.iter().collect()],
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
enum ExtraProperties {
    Ignore,
    Refuse,
}

fn array(
    element: &BodyShape,
    name: &str,
    value: &mut Value,
    errors: &mut Map<String, Value>,
    extras: ExtraProperties,
) -> Option<String> {
    let Some(elements) = value.as_array_mut() else {
        return Some("invalid array".to_owned());
    };
    let mut found = Map::new();
    for (index, inner) in elements.iter_mut().enumerate() {
        element.validate(&format!("{name}.${index}"), inner, &mut found, extras);
    }
    // Of a list of alternatives XO says no more than that it does not fit.
    if matches!(element, BodyShape::Union(_)) && !found.is_empty() {
        return Some(NO_SCHEMA.to_owned());
    }
    errors.extend(found);
    None
}

fn one_of(words: &[String], name: &str, value: &Value, extras: ExtraProperties) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if words.contains(&text) {
        return None;
    }
    let message = |word: &String| format!("should be one of the following; ['{word}']");
    if let ([word], ExtraProperties::Ignore) = (words, extras) {
        return Some(message(word));
    }
    let issue = |word| json!({name: {"message": message(word), "value": value}});
    Some(no_alternative(words.iter().map(issue).collect(), extras))
}

fn union(
    alternatives: &[BodyShape],
    name: &str,
    value: &mut Value,
    extras: ExtraProperties,
) -> Option<String> {
    let mut issues = Vec::new();
    for alternative in alternatives {
        let mut found = Map::new();
        let mut candidate = value.clone();
        alternative.validate(name, &mut candidate, &mut found, extras);
        if found.is_empty() {
            *value = candidate;
            return None;
        }
        issues.push(Value::Object(found));
    }
    Some(no_alternative(issues, extras))
}

fn object(
    fields: &[ShapeField],
    model: bool,
    name: &str,
    value: &mut Value,
    errors: &mut Map<String, Value>,
    extras: ExtraProperties,
) {
    let Some(properties) = value.as_object_mut() else {
        errors.insert(name.to_owned(), json!({"message": "invalid object", "value": value}));
        return;
    };
    let surplus: Map<String, Value> = properties
        .iter()
        .filter(|(key, _)| {
            extras == ExtraProperties::Refuse && fields.iter().all(|f| f.name != **key)
        })
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
    parts: &[BodyShape],
    name: &str,
    value: &mut Value,
    errors: &mut Map<String, Value>,
    extras: ExtraProperties,
) {
    let received = value.clone();
    let mut issues = Vec::new();
    for part in parts {
        let mut found = Map::new();
        part.validate(name, value, &mut found, ExtraProperties::Ignore);
        if !found.is_empty() {
            issues.push(Value::Object(found));
        }
    }
    let message = if issues.is_empty() {
        let whole = BodyShape::Intersection(parts.to_vec());
        let variants = whole.variants();
        let open = parts.contains(&BodyShape::OpenObject);
        // All properties are of one way, and all that this way needs are there.
        let is_whole = variants.iter().any(|fields| {
            let keys = received.as_object().into_iter().flat_map(Map::keys);
            let known = keys.into_iter().all(|key| fields.iter().any(|field| field.name == *key));
            known
                && fields.iter().all(|field| !field.required || received.get(&field.name).is_some())
        });
        if is_whole || open || extras == ExtraProperties::Ignore {
            return;
        }
        let names: Vec<Vec<&str>> = variants
            .iter()
            .map(|fields| fields.iter().map(|field| field.name.as_str()).collect())
            .collect();
        format!(
            "Could not match intersection against any of the possible combinations: {}",
            json!(names)
        )
    } else {
        let issues = Value::Array(issues);
        format!("Could not match the intersection against every type. Issues: {issues}")
    };
    errors.insert(name.to_owned(), json!({"message": message, "value": received}));
}

/// Reads the notation from left to right.
struct ShapeParser<'a> {
    rest: &'a str,
}

impl ShapeParser<'_> {
    fn union(&mut self) -> Option<BodyShape> {
        let mut alternatives = vec![self.intersection()?];
        while self.take("or ") {
            alternatives.push(self.intersection()?);
        }
        Some(single(alternatives, BodyShape::Union))
    }

    fn intersection(&mut self) -> Option<BodyShape> {
        let mut parts = vec![self.unit()?];
        while self.take("&") {
            parts.push(self.unit()?);
        }
        Some(single(parts, BodyShape::Intersection))
    }

    fn unit(&mut self) -> Option<BodyShape> {
        let shape = if self.take("{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                let name = self.word();
                let required = self.take("*");
                if name.is_empty() || !self.take(":") {
                    return None;
                }
                fields.push(ShapeField { name, required, shape: self.union()? });
                self.take(",");
            }
            BodyShape::Object { fields, model: self.take("!") }
        } else if self.take("[") {
            let element = self.union()?;
            self.take("]").then(|| BodyShape::Array(Box::new(element)))?
        } else if self.take("(") {
            let inner = self.union()?;
            self.take(")").then_some(inner)?
        } else if self.take("<") {
            let (words, rest) = self.rest.split_once('>')?;
            self.rest = rest.trim_start();
            BodyShape::OneOf(words.split(' ').map(|word| word.replace("\"\"", "")).collect())
        } else {
            match self.word().as_str() {
                "any" => BodyShape::Any,
                "boolean" => BodyShape::Boolean,
                "number" => BodyShape::Number,
                "object" => BodyShape::OpenObject,
                "string" => BodyShape::String,
                _ => return None,
            }
        };
        Some(if self.take("?") { BodyShape::Nullable(Box::new(shape)) } else { shape })
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

fn single(mut shapes: Vec<BodyShape>, many: fn(Vec<BodyShape>) -> BodyShape) -> BodyShape {
    if shapes.len() > 1 {
        return many(shapes);
    }
    shapes.pop().unwrap_or(BodyShape::Any)
}

/// Says that no alternative fits. XO shortens that, but not where it is inside another complaint.
fn no_alternative(issues: Vec<Value>, extras: ExtraProperties) -> String {
    match extras {
        ExtraProperties::Refuse => NO_SCHEMA.to_owned(),
        ExtraProperties::Ignore => {
            let issues = Value::Array(issues);
            format!("Could not match the union against any of the items. Issues: {issues}")
        }
    }
}

/// What XO says about unions and enumerations.
const NO_SCHEMA: &str = "Value does not match any allowed schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: &str, mut value: Value, expected: Value) {
        let mut errors = Map::new();
        BodyShape::parse(shape).unwrap().check("body", &mut value, &mut errors);
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
    fn says_of_each_alternative_why_it_does_not_fit_inside_intersections() {
        let issue = |word: &str| {
            json!({"body.type": {
                "message": format!("should be one of the following; ['{word}']"), "value": "c",
            }})
        };
        let union = |issues: Value| {
            format!("Could not match the union against any of the items. Issues: {issues}")
        };
        let inner = json!([{"body.type": {
            "message": union(json!([issue("a"), issue("b")])), "value": "c",
        }}]);
        let message =
            format!("Could not match the intersection against every type. Issues: {inner}");
        let expected = json!({"body": {"message": message, "value": {"type": "c"}}});
        check("{type: <a b>} & {x: string}", json!({"type": "c"}), expected);
    }

    #[test]
    fn lists_of_alternatives_are_one_complaint() {
        let message = "Value does not match any allowed schema";
        check(
            "{vdis: [({size*: number} or {destroy*: boolean})]}",
            json!({"vdis": [{"size": 1}, {}]}),
            json!({"body.vdis": {"message": message, "value": [{"size": 1}, {}]}}),
        );
    }

    #[test]
    fn what_is_needed_decides_between_combinations() {
        let shape =
            "{auto: boolean} & ({evacuate: <false>} or {force: boolean, evacuate*: <true>})";
        check(shape, json!({"force": true, "evacuate": true}), json!({}));
        check(
            shape,
            json!({"force": true}),
            json!({"body": {
                "message": "Could not match intersection against any of the possible \
                    combinations: [[\"auto\",\"evacuate\"],[\"auto\",\"force\",\"evacuate\"]]",
                "value": {"force": true},
            }}),
        );
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
