//! Why a body is not what its content type says, and what is shown of it.

use dadl_text::text::cut_bytes;
use serde_json::Value;

use super::MASK;

/// How much of a body that makes no sense is shown.
const EXCERPT: usize = 200;

/// A body that is not what its content type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no valid {expected}: {reason}; {}", excerpt_sentence(.excerpt))]
pub struct DecodeError {
    /// `JSON`, `NDJSON`.
    pub expected: &'static str,
    /// What the parser said, with line and column.
    pub reason: String,
    /// The start of the body.
    pub excerpt: String,
}

fn excerpt_sentence(excerpt: &str) -> String {
    match excerpt {
        MASK => "what it begins with is not shown: the tool hides values (`redact`)".to_owned(),
        excerpt => format!("it begins with {}", Value::from(excerpt)),
    }
}

/// Returns as much of a body as its excerpt is made of.
pub(super) fn skip_blank(body: &[u8]) -> &[u8] {
    body.get(..EXCERPT * 4).unwrap_or(body)
}

/// Returns the start of a body for an error message, on one line.
pub fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(skip_blank(body));
    let mut words = String::with_capacity(EXCERPT);
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > EXCERPT {
            break;
        }
    }
    cut_bytes(&words, EXCERPT).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(b"<html>\n  <b>x"), "<html> <b>x");
        assert!(excerpt("é".repeat(5000).as_bytes()).chars().count() <= EXCERPT + 1);
        assert!(excerpt("wörd ".repeat(5000).as_bytes()).len() <= EXCERPT + 8);
    }
}
