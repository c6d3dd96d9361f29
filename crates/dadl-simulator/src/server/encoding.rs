//! Decoders for what clients put in paths and headers. Bad input gives `None` or the
//! replacement character, never a panic.

use percent_encoding::percent_decode_str;

/// Decodes percent escapes as UTF-8; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Decodes Base64 (RFC 4648, section 4) with or without padding.
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut accumulator = 0_u32;
    let mut bits = 0;
    for character in text.trim_end_matches('=').bytes() {
        let digit = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        accumulator = (accumulator << 6 | u32::from(digit)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((accumulator >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_basic_credentials() {
        assert_eq!(
            base64_decode("YWRtaW5AYWRtaW4ubmV0OmFkbWlu").as_deref(),
            Some(b"admin@admin.net:admin".as_slice())
        );
        assert_eq!(base64_decode("YQ==").as_deref(), Some(b"a".as_slice()));
        assert_eq!(base64_decode("a b"), None);
        assert_eq!(percent_decode("a%2Fb%ff"), "a/b\u{fffd}");
    }
}
