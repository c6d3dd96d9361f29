//! An object as XO shows it, and how its properties are read.

use serde_json::{Map, Value};

/// An object as XO shows it.
pub(super) type XenObject = Map<String, Value>;

/// Reading an object's properties without minding whether they are there.
pub(super) trait Properties {
    /// Returns a text, or the empty text.
    fn text(&self, property: &str) -> &str;
    /// Returns a number, or 0.
    fn number(&self, property: &str) -> u64;
    /// Returns the texts of a list.
    fn list(&self, property: &str) -> Vec<String>;
    /// Says whether a list holds a text.
    fn lists(&self, property: &str, element: &str) -> bool;
}

impl Properties for XenObject {
    fn text(&self, property: &str) -> &str {
        self.get(property).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, property: &str) -> u64 {
        self.get(property).and_then(Value::as_u64).unwrap_or_default()
    }

    fn list(&self, property: &str) -> Vec<String> {
        let elements = self.get(property).and_then(Value::as_array);
        elements.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn lists(&self, property: &str, element: &str) -> bool {
        let elements = self.get(property).and_then(Value::as_array);
        elements.is_some_and(|elements| elements.iter().any(|other| other == element))
    }
}
