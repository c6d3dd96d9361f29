//! The bytes of a document, as a tree of values.

use dadl_descriptor::yaml::{self, YamlArena};
use dadl_text::{json::cost, text::begins_as_page};
use serde_json::Value;
use thiserror::Error;

/// Larger documents are not read, in bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The values of a document take at most so many bytes of memory; those of a large one by others take a
/// third.
pub(super) const MAX_TREE: u64 = 512 * 1024 * 1024;

/// Why bytes are no document, in words that follow a colon.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// There are more bytes than are read.
    #[error("it is larger than {} bytes", MAX_BYTES)]
    TooLarge,
    /// The bytes are no text.
    #[error("it is not UTF-8")]
    Encoding,
    /// The tree would take too much memory, or too many levels.
    #[error("it has too many values or levels")]
    TooComplex,
    /// It begins like JSON, and is none.
    #[error("it is not JSON: {0}")]
    Json(serde_json::Error),
    /// It is a page of a browser.
    #[error("it is a web page and no document: the address may lack a part, or want a login")]
    Page,
    /// It is not YAML: the first thing that is wrong with it.
    #[error("it is not YAML: {0}")]
    Yaml(String),
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It says that it is of this version.
    #[error("OpenAPI {0} is not known")]
    UnknownVersion(String),
    /// It does not say that it is a document.
    #[error("it has neither `openapi` nor `swagger`")]
    NoVersion,
}

/// Reads a document, JSON or YAML; returns what its tree costs as well.
///
/// # Errors
///
/// Says why it is none.
pub(super) fn parse_document(bytes: &[u8]) -> Result<(Value, u64), DocumentError> {
    let (document, cost) = parse_tree(bytes, MAX_TREE)?;
    let version = ["openapi", "swagger"].iter().find_map(|key| document.get(key));
    match version.map(|version| version.as_str().map_or(version.to_string(), str::to_owned)) {
        Some(version) if version.starts_with("3.") || version.starts_with("2.") => {
            Ok((document, cost))
        }
        Some(version) => Err(DocumentError::UnknownVersion(version)),
        None => Err(DocumentError::NoVersion),
    }
}

/// Reads JSON or YAML whose tree costs no more than `most`; what is no JSON has bounds of its own.
///
/// # Errors
///
/// Says why it is neither.
pub(super) fn parse_tree(bytes: &[u8], most: u64) -> Result<(Value, u64), DocumentError> {
    if bytes.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::Encoding)?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if begins_as_page(text.as_bytes()) {
        return Err(DocumentError::Page);
    }
    if text.starts_with('{') {
        let cost = cost::parse_cost(text);
        if cost > most {
            return Err(DocumentError::TooComplex);
        }
        return Ok((serde_json::from_str(text).map_err(DocumentError::Json)?, cost));
    }
    let mut findings = Vec::new();
    let arena = YamlArena::for_length(text.len());
    match (yaml::parse_yaml(text, &arena, &mut findings), findings.into_iter().next()) {
        (Some(root), _) => Ok((root.to_json(), 0)),
        (None, Some(finding)) => Err(DocumentError::Yaml(finding.message)),
        (None, None) => Err(DocumentError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        parse_document(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_document_of_values_alone_is_not_read() {
        let many = format!(r#"{{"openapi":"3.0.0","x":[{}0]}}"#, "[],".repeat(4_300_000));
        assert!(many.len() < MAX_BYTES);
        assert_eq!(problem(many.as_bytes()), "it has too many values or levels");
        let deep =
            format!(r#"{{"openapi":"3.0.0","x":{}{}}}"#, "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(problem(deep.as_bytes()), "it has too many values or levels");
        assert!(parse_document(br#"{"openapi":"3.0.0","x":[[],[]]}"#).is_ok());
    }

    #[test]
    fn says_what_is_no_document() {
        for (text, expected) in [
            ("{", "it is not JSON: EOF while parsing an object at line 1 column 1"),
            ("", "it is empty"),
            ("a: [", "it is not YAML: a bracket or brace has no partner"),
            ("{}", "it has neither `openapi` nor `swagger`"),
            ("openapi: 4.0.0", "OpenAPI 4.0.0 is not known"),
        ] {
            assert_eq!(problem(text.as_bytes()), expected);
        }
        assert_eq!(problem(b"\xff"), "it is not UTF-8");
        let large = vec![b' '; MAX_BYTES + 1];
        assert_eq!(problem(&large), "it is larger than 33554432 bytes");
    }
}
