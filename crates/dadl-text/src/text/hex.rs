//! Bytes in hexadecimal digits, and what tells two texts apart without showing either.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Writes bytes in hexadecimal digits, in lower case.
pub fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the SHA-256 of a text in hexadecimal digits.
pub fn text_fingerprint(text: &str) -> String {
    hex_text(&Sha256::digest(text.as_bytes()))
}
