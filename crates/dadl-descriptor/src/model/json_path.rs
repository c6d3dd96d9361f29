//! JSONPath (RFC 9535) in DADL's dialect: names, indexes and wildcards.
//!
//! Authors write hyphenated members with a dot (`$.retry-after`), which RFC 9535 does not allow;
//! they are put in brackets before the expression is compiled.

use std::{fmt, sync::Arc};

use dadl_text::json::path::CompiledPath;

pub use dadl_text::json::path::{PathError, PathSyntaxError};

/// A compiled JSONPath expression; what it costs to evaluate is bounded.
#[derive(Clone)]
pub struct JsonPath {
    text: Arc<str>,
    path: Arc<CompiledPath>,
}

impl JsonPath {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// It is no path, or costs too much.
    pub fn compile(text: &str) -> Result<Self, PathSyntaxError> {
        let path = CompiledPath::compile(&bracket_hyphenated(text))?;
        Ok(Self { text: text.into(), path: Arc::new(path) })
    }

    /// Returns the expression as the author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first value that the expression selects in a compact JSON text.
    ///
    /// # Errors
    ///
    /// It cannot be found within bounds.
    pub fn first<'text>(&self, text: &'text str) -> Result<Option<&'text str>, PathError> {
        self.path.first(text)
    }

    /// Returns the first value that the expression selects; nothing when it cannot be found within
    /// bounds.
    pub fn look<'text>(&self, text: &'text str) -> Option<&'text str> {
        self.first(text).ok().flatten()
    }

    /// Returns all values that the expression selects, in document order.
    ///
    /// # Errors
    ///
    /// They cannot be found within bounds.
    pub fn all<'text>(&self, text: &'text str) -> Result<Vec<&'text str>, PathError> {
        self.path.all(text)
    }

    /// Returns an array of all values that the expression selects, of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// It is larger, or cannot be made within bounds.
    pub fn array(&self, text: &str, most: usize) -> Result<String, PathError> {
        self.path.array(text, most)
    }

    /// Returns `text` with `mask`, which is JSON, in the place of every value that one of `paths`
    /// selects; `None` when there is none. It has at most `most` bytes, or as many as the text.
    ///
    /// # Errors
    ///
    /// It is larger, or cannot be made within bounds.
    pub fn mask(
        paths: &[Self],
        text: &str,
        mask: &str,
        most: usize,
    ) -> Result<Option<String>, PathError> {
        let paths: Vec<&CompiledPath> = paths.iter().map(|path| &*path.path).collect();
        CompiledPath::mask(&paths, text, mask, most)
    }

    /// Returns the names of an expression that has nothing else, such as `$.data.items`.
    pub fn names(&self) -> Option<Vec<&str>> {
        self.path.names()
    }

    /// Returns whether the expression has names, indexes and wildcards only: no filters, slices,
    /// unions or descendants.
    pub fn is_in_dialect(&self) -> bool {
        self.path.is_plain()
    }

    /// Returns whether the expression can select at most one value.
    pub fn is_singular(&self) -> bool {
        self.path.is_singular()
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
    use super::*;

    fn first<'text>(path: &str, text: &'text str) -> Option<&'text str> {
        JsonPath::compile(path).unwrap().look(text)
    }

    #[test]
    fn selects_members_indexes_and_hyphenated_names() {
        let text = r#"{"a":{"b-c":[1,{"d":2}]},"x-y":{"z":3}}"#;
        assert_eq!(first("$.a.b-c[1].d", text), Some("2"));
        assert_eq!(first("$.x-y.z", text), Some("3"));
        assert_eq!(first("$['x-y'].z", text), Some("3"));
        assert_eq!(first("$.nope", text), None);
        assert_eq!(first("$.a.b-c[-1]", text), Some(r#"{"d":2}"#));
        assert_eq!(first("$", text), Some(text));
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
        let masked = |path: &str, text: &str| {
            let path = [JsonPath::compile(path).unwrap()];
            JsonPath::mask(&path, text, "\"*\"", usize::MAX).unwrap().unwrap()
        };
        assert_eq!(masked("$[*].id", r#"[{"id":1,"n":2}]"#), r#"[{"id":"*","n":2}]"#);
        let odd = r#"{"a/b":{"c~d":[1,{"x":2}]}}"#;
        assert_eq!(masked("$['a/b']['c~d'][*]", odd), r#"{"a/b":{"c~d":["*","*"]}}"#);
        assert_eq!(masked("$..a", r#"{"a":{"a":1}}"#), r#"{"a":"*"}"#);
        assert_eq!(masked("$", r#"{"a":1}"#), r#""*""#);
    }

    #[test]
    fn refuses_what_is_no_path() {
        assert!(JsonPath::compile("$.page < $.pages").is_err());
        assert!(JsonPath::compile("message").is_err());
    }
}
