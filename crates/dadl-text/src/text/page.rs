//! Pages of a browser, which come where something else was asked for.

/// What a page begins with, in small letters.
const STARTS: &[&[u8]] = &[b"<!doctype html", b"<html", b"<head", b"<body"];

/// Returns whether a body begins as pages do.
pub fn begins_as_page(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    STARTS.iter().any(|page| {
        let start = body.get(..page.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(page)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_its_start() {
        for body in ["<!DOCTYPE html>", "\n <HTML lang=en>", "\u{feff}<!doctype HTML SYSTEM>"] {
            assert!(begins_as_page(body.as_bytes()), "{body}");
        }
        for body in ["", "<", "<?xml version='1.0'?>", "{\"html\": \"<html>\"}", "<p>"] {
            assert!(!begins_as_page(body.as_bytes()), "{body}");
        }
    }
}
