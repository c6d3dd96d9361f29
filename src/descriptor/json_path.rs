//! JSONPath (RFC 9535) in DADL's dialect: names, indexes and wildcards.
//!
//! Authors write hyphenated members with a dot (`$.retry-after`), which RFC 9535 does not allow;
//! they are put in brackets before the expression is compiled.

use std::{fmt, sync::Arc};

use serde_json::Value;
use serde_json_path::JsonPath as Compiled;

/// A compiled JSONPath expression.
#[derive(Clone)]
pub struct JsonPath {
    text: Arc<str>,
    compiled: Arc<Compiled>,
}

impl JsonPath {
    /// Compiles `text`; the error says what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, String> {
        let bracketed = bracket_hyphenated(text);
        let compiled = Compiled::parse(&bracketed).map_err(|error| error.to_string())?;
        Ok(Self { text: text.into(), compiled: Arc::new(compiled) })
    }

    /// Returns the expression as the author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first value that the expression selects.
    pub fn first<'value>(&self, value: &'value Value) -> Option<&'value Value> {
        self.compiled.query(value).first()
    }

    /// Returns the place of the first value that the expression selects.
    pub fn first_mut<'value>(&self, value: &'value mut Value) -> Option<&'value mut Value> {
        let located = self.compiled.query_located(value);
        let place = located.locations().next()?.to_json_pointer();
        drop(located);
        value.pointer_mut(&place)
    }

    /// Takes the first value that the expression selects out of `value`.
    pub fn take(&self, value: &mut Value) -> Option<Value> {
        self.first_mut(value).map(Value::take)
    }

    /// Returns the names of an expression that has nothing else, such as `$.data.items`.
    pub fn names(&self) -> Option<Vec<&str>> {
        let rest = self.text.strip_prefix('$')?;
        if rest.is_empty() {
            return Some(Vec::new());
        }
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        };
        let names: Vec<&str> = rest.strip_prefix('.')?.split('.').collect();
        names.iter().all(is_name).then_some(names)
    }

    /// Returns all values that the expression selects, in document order.
    pub fn all<'value>(&self, value: &'value Value) -> Vec<&'value Value> {
        self.compiled.query(value).all()
    }

    /// Returns whether the expression has names, indexes and wildcards only: no filters, slices,
    /// unions or descendants.
    pub fn is_in_dialect(&self) -> bool {
        let mut quote = None;
        let mut previous = ' ';
        for character in self.text.chars() {
            match (quote, character) {
                (Some(open), _) if character == open && previous != '\\' => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(character),
                (None, '?' | ',' | ':') => return false,
                (None, '.') if previous == '.' => return false,
                (None, _) => {}
            }
            previous = character;
        }
        true
    }

    /// Puts `mask` in the place of every value that the expression selects.
    pub fn replace_all(&self, value: &mut Value, mask: &Value) {
        let places: Vec<String> = self
            .compiled
            .query_located(value)
            .locations()
            .map(|place| place.to_json_pointer())
            .collect();
        for place in places {
            // A place below one that is masked already is gone with it.
            if let Some(selected) = value.pointer_mut(&place) {
                *selected = mask.clone();
            }
        }
    }

    /// Returns whether the expression can select at most one value.
    pub fn is_singular(&self) -> bool {
        !self.text.contains(['*', '?', ',', ':']) && !self.text.contains("..")
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonPath({})", self.text)
    }
}

impl PartialEq for JsonPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Rewrites `.a-b` to `['a-b']` outside brackets and quotes.
fn bracket_hyphenated(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 8);
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(character) = rest.chars().next() {
        let tail = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                let end = tail
                    .find(|next: char| !(next.is_alphanumeric() || next == '_' || next == '-'))
                    .unwrap_or(tail.len());
                let (name, after) = tail.split_at(end);
                if name.contains('-') {
                    result.push_str("['");
                    result.push_str(name);
                    result.push_str("']");
                    rest = after;
                    continue;
                }
            }
            _ => {}
        }
        result.push(character);
        rest = tail;
    }
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(path: &str, value: &Value) -> Option<Value> {
        JsonPath::compile(path).unwrap().first(value).cloned()
    }

    #[test]
    fn selects_members_indexes_and_hyphenated_names() {
        let value = json!({"a": {"b-c": [1, {"d": 2}]}, "x-y": {"z": 3}});
        assert_eq!(first("$.a.b-c[1].d", &value), Some(json!(2)));
        assert_eq!(first("$.x-y.z", &value), Some(json!(3)));
        assert_eq!(first("$['x-y'].z", &value), Some(json!(3)));
        assert_eq!(first("$.nope", &value), None);
        let take = |path: &str| JsonPath::compile(path).unwrap().take(&mut value.clone());
        assert_eq!(take("$.a.b-c[-1]"), Some(json!({"d": 2})));
        assert_eq!(take("$"), Some(value.clone()));
        assert_eq!(take("$.nope"), None);
    }

    #[test]
    fn knows_the_dialect() {
        let is_in_dialect = |path| JsonPath::compile(path).unwrap().is_in_dialect();
        for path in ["$", "$.a[0].b", "$.items[*].id", "$['a,b:..?'].c"] {
            assert!(is_in_dialect(path), "{path}");
        }
        for path in ["$..a", "$[0:2]", "$['a','b']", "$[?@.a]"] {
            assert!(!is_in_dialect(path), "{path}");
        }
    }

    #[test]
    fn replaces_what_it_selects() {
        let masked = |path: &str, mut value: Value| {
            JsonPath::compile(path).unwrap().replace_all(&mut value, &json!("*"));
            value
        };
        assert_eq!(masked("$[*].id", json!([{"id": 1, "n": 2}])), json!([{"id": "*", "n": 2}]));
        let odd = json!({"a/b": {"c~d": [1, {"x": 2}]}});
        assert_eq!(masked("$['a/b']['c~d'][*]", odd), json!({"a/b": {"c~d": ["*", "*"]}}));
        assert_eq!(masked("$..a", json!({"a": {"a": 1}})), json!({"a": "*"}));
        assert_eq!(masked("$", json!({"a": 1})), json!("*"));
    }

    #[test]
    fn refuses_what_is_no_path() {
        assert!(JsonPath::compile("$.page < $.pages").is_err());
        assert!(JsonPath::compile("message").is_err());
    }
}
