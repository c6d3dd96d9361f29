//! What the handle of a task carries of the call that began it, for requests about the task.
//!
//! Some APIs look a task up by its id and by something else that only the call that began it knew, such as
//! a datacenter. A descriptor asks for it by `{call.NAME}` in the arguments of `watch` and `cancel`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde_json::Value;

/// What stands before the name of a parameter, in braces.
const CALL: &str = "{call.";

/// So many values are carried.
pub const MOST: usize = 4;

/// A longer value is not carried, in bytes.
const LONGEST: usize = 128;

/// Values of the call that began a task, by their names on the wire.
///
/// As text it is `NAME=VALUE,NAME=VALUE`, in the order of the names, with `%XX` for all bytes but those
/// that RFC 3986 calls unreserved; each value has one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CarriedValues(BTreeMap<String, String>);

/// A text that carries nothing that could have been put into a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not what the handle of a task carries")]
pub struct NotCarried;

impl CarriedValues {
    /// Takes the values of `names` that there are. What is no text, number or boolean, or too long to
    /// travel, stays behind.
    pub fn of<'value>(
        names: &BTreeSet<String>,
        value: impl Fn(&str) -> Option<&'value Value>,
    ) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let taken = names.iter().take(MOST).filter_map(|name| {
            let text = text(value(name)?).filter(|text| fits_handle(text))?;
            Some((name.clone(), text))
        });
        Self(taken.collect())
    }

    /// Returns whether nothing is carried.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the names of what is carried.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn fits_handle(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
}

impl fmt::Display for CarriedValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            formatter.write_str(if at == 0 { "" } else { "," })?;
            write_escaped(name, formatter)?;
            formatter.write_str("=")?;
            write_escaped(value, formatter)?;
        }
        Ok(())
    }
}

fn write_escaped(text: &str, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                write!(formatter, "{}", char::from(byte))?;
            }
            other => write!(formatter, "%{other:02X}")?,
        }
    }
    Ok(())
}

impl FromStr for CarriedValues {
    type Err = NotCarried;

    fn from_str(text: &str) -> Result<Self, NotCarried> {
        let mut carried = BTreeMap::new();
        for pair in text.split(',') {
            let (name, value) = pair.split_once('=').ok_or(NotCarried)?;
            let (name, value) = (unescaped(name)?, unescaped(value)?);
            if name.is_empty() || !fits_handle(&value) || carried.len() >= MOST {
                return Err(NotCarried);
            }
            carried.insert(name, value);
        }
        let carried = Self(carried);
        // Another order, the same name twice, another way to write a byte: none is ours.
        if carried.to_string() == text { Ok(carried) } else { Err(NotCarried) }
    }
}

fn unescaped(text: &str) -> Result<String, NotCarried> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit =
            || rest.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(NotCarried);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| NotCarried)?);
    }
    String::from_utf8(bytes).map_err(|_| NotCarried)
}

/// Returns the names of the parameters that `value` asks for.
pub(crate) fn names_in(value: &Value) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    match value {
        Value::String(text) => {
            let parts = text.split(CALL).skip(1);
            names.extend(parts.filter_map(|part| part.split_once('}').map(|(name, _)| name)));
        }
        Value::Array(items) => names.extend(items.iter().flat_map(names_in)),
        Value::Object(members) => names.extend(members.values().flat_map(names_in)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    names
}

/// Puts what is carried, and `id` for `task`, into the places of a text; `None` when one of them has
/// nothing. What was put in is not read again.
pub(crate) fn fill_template(
    text: &str,
    task: &str,
    id: &str,
    carried: &CarriedValues,
) -> Option<String> {
    let mut filled = String::with_capacity(text.len() + id.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let (value, after) = if let Some(after) = from.strip_prefix(task) {
            (Cow::Borrowed(id), after)
        } else if let Some((name, after)) =
            from.strip_prefix(CALL).and_then(|it| it.split_once('}'))
        {
            (Cow::Borrowed(carried.get(name)?), after)
        } else {
            (Cow::Borrowed("{"), from.get(1..).unwrap_or_default())
        };
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn carried(values: &Value) -> CarriedValues {
        let names = values.as_object().unwrap().keys().cloned().collect();
        CarriedValues::of(&names, |name| values.get(name))
    }

    #[test]
    fn what_is_short_and_simple_travels() {
        let values = json!({ "dc": "ma in,ü=%", "disk": 2, "force": true, "none": null });
        let taken = carried(&values);
        assert_eq!(taken.to_string(), "dc=ma%20in%2C%C3%BC%3D%25,disk=2,force=true");
        assert_eq!(taken.to_string().parse(), Ok(taken));
        let long = json!({ "a": "x".repeat(LONGEST + 1), "b": "", "c": ["x"], "d": { "e": 1 } });
        assert!(carried(&long).is_empty());
        let many = carried(&json!({ "a": 1, "b": 2, "c": 3, "d": 4, "e": 5 }));
        assert_eq!(many.names().count(), MOST);
    }

    #[test]
    fn each_value_has_one_text() {
        for wrong in [
            "",
            "dc",
            "dc=",
            "=main",
            "dc=%6dain",
            "dc=%2",
            "dc=%zz",
            "dc=%FF",
            "dc=a b",
            "dc=a,dc=b",
            "b=1,a=2",
            "a=1,",
            "a=1,b=2,c=3,d=4,e=5",
            "dc=%c3%bc",
            "dc={task}",
        ] {
            assert_eq!(wrong.parse::<CarriedValues>(), Err(NotCarried), "{wrong:?}");
        }
    }

    #[test]
    fn places_are_filled_once() {
        let taken = carried(&json!({ "dc": "{task}{call.dc}" }));
        let fill = |text: &str| fill_template(text, "{task}", "7", &taken);
        assert_eq!(fill("{task}/{call.dc}/{x").as_deref(), Some("7/{task}{call.dc}/{x"));
        assert_eq!(fill("{call.node}"), None);
        assert_eq!(names_in(&json!({ "a": ["{call.x}-{call.y}"], "b": "{call.z" })).len(), 2);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever a call was given, what is read from the handle is that, and has no place of its own.
        #[test]
        fn what_travels_arrives(value in ".{1,60}", name in "[a-z$.]{1,8}", text in ".{0,30}|[a-z]{1,3}=[a-z%0-9A-F]{1,6}") {
            let values = Value::Object([(name, json!(value))].into_iter().collect());
            let taken = carried(&values);
            let travels = taken.to_string();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~%=,".contains(c);
            proptest::prop_assert!(travels.chars().all(is_plain));
            if !taken.is_empty() {
                proptest::prop_assert_eq!(travels.parse::<CarriedValues>(), Ok(taken));
            }
            if let Ok(read) = text.parse::<CarriedValues>() {
                proptest::prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
