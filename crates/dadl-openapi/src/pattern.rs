//! Patterns in which `*` stands for any text; the braces of paths stand for themselves.

use thiserror::Error;

/// A longer pattern fits nothing, in bytes.
const LONGEST_PATTERN: usize = 512;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// There is nothing in it.
    #[error("a pattern is empty")]
    Empty,
    /// It has more than its bound.
    #[error("a pattern has more than {} bytes", LONGEST_PATTERN)]
    TooLong,
    /// What is wrong with this one.
    #[error("`{0}` is no pattern: {1}")]
    Malformed(String, globset::ErrorKind),
}

/// A pattern, compiled.
#[derive(Debug, Clone)]
pub struct SchemaPattern {
    text: String,
    glob: globset::GlobMatcher,
}

impl SchemaPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Says which one is none.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > LONGEST_PATTERN {
            return Err(PatternError::TooLong);
        }
        let mut escaped = String::new();
        for character in text.chars() {
            if matches!(character, '{' | '}' | '[' | ']' | '?' | '\\') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        let glob = globset::GlobBuilder::new(&escaped).backslash_escape(true).build();
        let malformed =
            |error: globset::Error| PatternError::Malformed(text.to_owned(), error.kind().clone());
        let glob = glob.map_err(malformed)?;
        Ok(Self { text: text.to_owned(), glob: glob.compile_matcher() })
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        self.text == text || self.glob.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_bounded() {
        assert!(
            SchemaPattern::new(&"*a".repeat(256)).is_ok_and(|it| it.matches(&"a".repeat(10_000)))
        );
        assert!(SchemaPattern::new(&"*a".repeat(257)).is_err());
    }

    #[test]
    fn braces_are_those_of_paths() {
        let matches =
            |pattern: &str, text: &str| SchemaPattern::new(pattern).unwrap().matches(text);
        assert!(matches("GET /vms/{id}", "GET /vms/{id}"));
        assert!(matches("* /vms/{*}/actions/*", "POST /vms/{id}/actions/start"));
        assert!(!matches("/vms", "/vms/{id}"));
        assert!(!matches("/vms/{id}", "/vms/id"));
        assert!(matches("ids[]", "ids[]"));
        assert!(SchemaPattern::new("").is_err());
    }
}
