//! The parameters of a request: the query of a GET, the JSON body of everything else.

use serde_json::{Map, Value};

use super::failure::DanubeFailure;
use crate::server::QueryParams;

/// The parameters of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestData {
    values: Map<String, Value>,
    /// Whether they come from a query, where everything is text.
    is_query: bool,
}

impl RequestData {
    /// Takes a query.
    pub(super) fn of_query(query: &QueryParams) -> Self {
        let pairs = query.pairs().iter().cloned();
        Self { values: pairs.map(|(name, value)| (name, value.into())).collect(), is_query: true }
    }

    /// Reads a body. One that is no JSON object, or says that it is something else, has no parameters:
    /// nothing is refused, and the defaults count.
    pub(super) fn of_body(media_type: Option<&str>, body: &[u8]) -> Self {
        let essence = media_type.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Self::default();
        }
        Self { values: serde_json::from_slice(body).unwrap_or_default(), is_query: false }
    }

    /// Returns whether there is such a parameter, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Returns a value as it came.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Returns a text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Reads a boolean: whatever is not one of the words for no is a yes.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        Some(match self.values.get(name)? {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => {
                let text = text.to_ascii_lowercase();
                !matches!(
                    text.as_str(),
                    "" | "0" | "f" | "n" | "no" | "none" | "null" | "off" | "false"
                )
            }
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        })
    }

    /// Says whether a parameter of a query is there and not empty: how `extended` of one definition is read.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.is_query && self.text(name).is_some()
    }

    /// Reads a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, DanubeFailure> {
        let number = match self.values.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        number.map(Some).ok_or_else(|| DanubeFailure::field(name, "Enter a whole number."))
    }

    /// Returns the number of a disk, from 1.
    pub(super) fn disk_id(&self, name: &str) -> Result<Option<u64>, DanubeFailure> {
        match self.number(name) {
            Ok(Some(0)) | Err(_) => Err(DanubeFailure::new(412, format!("Invalid {name}"))),
            other => other,
        }
    }
}

/// How to sort a list: fields, each with whether it is the largest first.
///
/// The product takes a sign of either kind for "the other way round".
pub(super) fn order<'text>(
    data: &'text RequestData,
    allowed: &[&str],
    usual: &'text str,
) -> Result<Vec<(&'text str, bool)>, DanubeFailure> {
    let text = data.text("order_by").unwrap_or(usual);
    text.split(',')
        .map(|field| {
            let name = field.trim_start_matches(['+', '-', ' ']);
            if allowed.contains(&name) {
                return Ok((name, name != field));
            }
            let allowed = allowed.join(", ");
            Err(DanubeFailure::new(
                412,
                format!("Invalid order_by; Possible sort fields are: {allowed}"),
            ))
        })
        .collect()
}

/// Sorts objects by some of their members.
pub(super) fn sort(objects: &mut [Value], order: &[(&str, bool)]) {
    objects.sort_by(|one, other| {
        let by_field = order.iter().map(|(field, is_descending)| {
            let (one, other) = (one.get(field), other.get(field));
            let ordering = match (one.and_then(Value::as_u64), other.and_then(Value::as_u64)) {
                (Some(one), Some(other)) => one.cmp(&other),
                _ => one.and_then(Value::as_str).cmp(&other.and_then(Value::as_str)),
            };
            if *is_descending { ordering.reverse() } else { ordering }
        });
        by_field.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
}

/// Makes the answer of a list: names unless objects are wanted, without what only sorts them.
pub(super) fn listed(objects: Vec<Value>, wants_objects: bool, hidden: &[&str]) -> Value {
    objects
        .into_iter()
        .map(|mut object| {
            if !wants_objects {
                return object.get("name").cloned().unwrap_or_default();
            }
            if let Some(members) = object.as_object_mut() {
                members.retain(|name, _| !hidden.contains(&name.as_str()));
            }
            object
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_are_read_in_two_ways() {
        let data = RequestData::of_query(&QueryParams::new("full=0&extended=false&x=maybe"));
        assert_eq!(data.flag("full"), Some(false));
        assert_eq!(data.flag("none"), None);
        assert_eq!(data.flag("x"), Some(true), "odd ones are none for no");
        assert!(data.is_set("extended") && !data.is_set("none"));
        let body = RequestData::of_body(Some("application/json"), br#"{"extended": true}"#);
        assert!(!body.is_set("extended"), "only a GET has it");
    }

    #[test]
    fn both_signs_turn_the_order_round() {
        let sorted = |query: &str| {
            let data = RequestData::of_query(&QueryParams::new(query));
            let order = order(&data, &["name", "size"], "name")?;
            let mut objects =
                vec![json!({"name": "b", "size": 9}), json!({"name": "a", "size": 10})];
            sort(&mut objects, &order);
            Ok::<_, DanubeFailure>(objects[0]["name"].clone())
        };
        assert_eq!(sorted("").unwrap(), "a");
        assert_eq!(sorted("order_by=%2Bname").unwrap(), "b");
        assert_eq!(sorted("order_by=-name").unwrap(), "b");
        assert_eq!(sorted("order_by=-size,name").unwrap(), "a");
        let Err(DanubeFailure::Raised(status, text)) = sorted("order_by=age") else { panic!() };
        assert_eq!(status, 412);
        assert_eq!(text, "Invalid order_by; Possible sort fields are: name, size");
    }

    #[test]
    fn what_is_no_json_object_is_no_body() {
        let read = |media_type, body: &[u8]| RequestData::of_body(media_type, body).has("a");
        assert!(read(Some("application/json; charset=utf-8"), br#"{"a":1}"#));
        for (media_type, body) in [
            (Some("text/plain"), &br#"{"a":1}"#[..]),
            (None, br#"{"a":1}"#),
            (Some("application/json"), br#"[{"a":1}]"#),
            (Some("application/json"), br#"{"a":1"#),
            (Some("application/json"), b""),
        ] {
            assert!(!read(media_type, body), "{media_type:?}");
        }
    }
}
