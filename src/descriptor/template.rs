//! Path templates such as `/vms/{id}.{format}`, split once at load time.
//!
//! A template can only name something below the base URL: an absolute URL, a network-path
//! reference (`//host`), a dot segment or a fragment is an error here, so that later stages have
//! nothing to check and credentials cannot leave the host they belong to.

use std::ops::Range;

use crate::names::path::is_dot_segment;

/// The path of a tool, relative to the base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    pieces: Vec<Piece>,
    query: Option<String>,
}

/// A part of a path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that is sent as it is; may contain `/`.
    Literal(String),
    /// The name of a path parameter.
    Placeholder(String),
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The reason, without the template itself.
    pub message: String,
    /// The bytes of the template that are wrong.
    pub range: Range<usize>,
}

impl PathTemplate {
    /// Splits `text`; it may end in a fixed query (`/search?kind=vm`).
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let whole = 0..text.len();
        let fail = |message: &str, range: Range<usize>| {
            Err(TemplateError { message: message.to_owned(), range })
        };
        let names_a_host =
            text.split(['/', '?', '#', '{']).next().is_some_and(|first| first.contains(':'))
                || text.starts_with("//");
        if names_a_host {
            return fail("a path cannot name another host", whole);
        }
        // URL parsers read a backslash as a slash.
        let is_wrong = |other: char| matches!(other, '#' | '\\') || other.is_control();
        if let Some((at, wrong)) = text.char_indices().find(|(_, other)| is_wrong(*other)) {
            let range = at..at + wrong.len_utf8();
            return fail("a path cannot contain `#`, `\\` or control characters", range);
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (text, None),
        };
        if query.as_deref().is_some_and(|query| query.contains(['{', '}'])) {
            let at = path.len();
            return fail("placeholders belong into the path, not into its query", at..text.len());
        }
        let mut offset = 0;
        for segment in path.split('/') {
            if is_dot_segment(segment) {
                return fail("a path cannot contain dot segments", offset..offset + segment.len());
            }
            offset += segment.len() + 1;
        }
        Ok(Self { text: text.to_owned(), pieces: split(path)?, query })
    }

    /// Returns the template as the author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the parts of the path, without the query.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Returns the fixed query, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the placeholders from left to right.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }
}

/// Splits a path into literals and placeholders.
fn split(path: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, from_brace) = rest.split_at(open);
        let at = path.len() - from_brace.len();
        let close = from_brace.find('}').filter(|_| from_brace.starts_with('{'));
        let Some(close) = close else {
            let message = "a brace has no partner".to_owned();
            return Err(TemplateError { message, range: at..at + 1 });
        };
        let name = from_brace.get(1..close).unwrap_or_default();
        if name.is_empty() || name.contains(['{', '/']) {
            let message = "a placeholder needs a name between its braces".to_owned();
            return Err(TemplateError { message, range: at..at + close + 1 });
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(Piece::Placeholder(name.to_owned()));
        rest = from_brace.get(close + 1..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(text: &str) -> Vec<String> {
        PathTemplate::parse(text).unwrap().placeholders().map(str::to_owned).collect()
    }

    fn error(text: &str) -> String {
        PathTemplate::parse(text).unwrap_err().message
    }

    #[test]
    fn finds_placeholders_in_any_place() {
        assert_eq!(placeholders("/vms/{id}.{format}"), ["id", "format"]);
        assert_eq!(placeholders("/ping"), Vec::<String>::new());
        assert_eq!(placeholders("/fetch?url=http://x"), Vec::<String>::new());
        assert_eq!(placeholders("{a}{b}"), ["a", "b"]);
    }

    #[test]
    fn keeps_a_fixed_query() {
        let template = PathTemplate::parse("/search/?kind=vm").unwrap();
        assert_eq!(template.query(), Some("kind=vm"));
        assert_eq!(template.pieces(), [Piece::Literal("/search/".to_owned())]);
    }

    #[test]
    fn refuses_what_leaves_the_base() {
        assert!(error("https://evil.example/x").contains("another host"));
        assert!(error("//evil.example/x").contains("another host"));
        assert!(error("https:evil.example").contains("another host"));
        assert!(error("/a/../b").contains("dot segments"));
        assert!(error("/a/%2E%2e/b").contains("dot segments"));
        assert!(error("/a/.%2e").contains("dot segments"));
        assert!(error("/a\\..\\b").contains("control"));
        assert_eq!(PathTemplate::parse("/a\u{85}").unwrap_err().range, 2..4);
        assert!(error("/a/{b").contains("partner"));
        assert!(error("/a/}").contains("partner"));
        assert!(error("/a/{}").contains("name"));
        assert!(error("/a#b").contains('#'));
    }
}
