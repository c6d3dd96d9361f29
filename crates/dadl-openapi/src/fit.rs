//! What a server has, by its own document.

use std::collections::BTreeSet;

use dadl_descriptor::offer::{LONGEST_HAS, MOST_HAS, ServerOffer};
use dadl_text::{json::cost, names::path::anonymous};

use super::{DocumentError, matching::expanded, read::read_document};

/// The values of the document of a server take at most so many bytes of memory: it is read while
/// calls go on.
const MAX_TREE: u64 = 64 * 1024 * 1024;

/// Reads what a server has out of its document.
///
/// # Errors
///
/// The bytes are no document, or one without bounds.
pub fn document_offer(bytes: &[u8]) -> Result<ServerOffer, DocumentError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::Encoding)?;
    // What is no JSON has bounds of its own.
    if text.trim_start().starts_with('{') && cost::parse_cost(text) > MAX_TREE {
        return Err(DocumentError::TooComplex);
    }
    let (api, _) = read_document(bytes)?;
    let mut has = BTreeSet::new();
    for operation in &api.operations {
        let method = operation.method.as_str();
        let paths = expanded(operation).into_iter().map(|(path, _)| path);
        for path in std::iter::once(operation.path.clone()).chain(paths) {
            let path = anonymous(&path);
            let line = format!("{method} {}", path.trim_end_matches('/'));
            if line.len() > LONGEST_HAS || has.len() >= MOST_HAS {
                return Err(DocumentError::TooComplex);
            }
            has.insert(line);
        }
    }
    let version = api.version.as_deref().and_then(|version| version.parse().ok());
    let below = anonymous(&api.base.path).trim_end_matches('/').to_owned();
    if below.len() > LONGEST_HAS {
        return Err(DocumentError::TooComplex);
    }
    Ok(ServerOffer { version, below, has })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_paths_are_offered() {
        let document = r#"{"openapi": "3.0.0", "info": {"title": "t", "version": "0.33.0-rc"},
            "servers": [{"url": "/rest/v0/"}], "paths": {
            "/vms/{id}.{format}": {"get": {"parameters": [
                {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
                {"name": "format", "in": "path", "required": true,
                 "schema": {"enum": ["xva", "ova"]}}]}},
            "/vms/": {"get": {}, "post": {}}}}"#;
        let offer = document_offer(document.as_bytes()).unwrap();
        assert_eq!(offer.version.unwrap().to_string(), "0.33.0");
        assert_eq!(offer.below, "/rest/v0");
        let has: Vec<&str> = offer.has.iter().map(String::as_str).collect();
        let expected =
            ["GET /vms", "GET /vms/{}.ova", "GET /vms/{}.xva", "GET /vms/{}.{}", "POST /vms"];
        assert_eq!(has, expected);
    }

    #[test]
    fn a_document_without_bounds_is_no_offer() {
        let long = "x".repeat(LONGEST_HAS);
        let long = format!(r#"{{"openapi": "3.0.0", "paths": {{"/{long}": {{"get": {{}}}}}}}}"#);
        assert!(matches!(document_offer(long.as_bytes()), Err(DocumentError::TooComplex)));
        let many: Vec<String> =
            (0..=MOST_HAS).map(|at| format!(r#""/{at}": {{"get": {{}}}}"#)).collect();
        let many = format!(r#"{{"openapi": "3.0.0", "paths": {{{}}}}}"#, many.join(","));
        assert!(matches!(document_offer(many.as_bytes()), Err(DocumentError::TooComplex)));
        let deep = format!(r#"{{"openapi": "3.0.0", "x": [{}0]}}"#, "[],".repeat(900_000));
        assert!(matches!(document_offer(deep.as_bytes()), Err(DocumentError::TooComplex)));
        assert!(document_offer(b"<html></html>").is_err());
    }
}
