//! Runs of Base64 and of hexadecimal digits in a text, and what they stand for.

use std::ops::Range;

/// The value of each character of both alphabets of Base64 (RFC 4648), 255 for others.
#[expect(
    clippy::indexing_slicing,
    reason = "the tables are 256 and 64 long, and this is a constant"
)]
const BASE64: [u8; 256] = {
    let mut table = [255; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

fn value(byte: u8) -> u8 {
    BASE64.get(usize::from(byte)).copied().unwrap_or(255)
}

/// Returns whether `byte` is a character of Base64.
pub(super) fn is_base64(byte: u8) -> bool {
    value(byte) != 255
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Finds the runs of at least `least` bytes that are of a kind; it looks at few of the others.
fn find(text: &[u8], least: usize, is: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let least = least.max(1);
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            // A run from `from` on, or later, has its byte at one of these places.
            let probe = from + least - 1;
            if !is(*text.get(probe)?) {
                from = probe + 1;
                continue;
            }
            let before = text.get(from..probe).unwrap_or_default();
            let start = from + before.iter().rposition(|byte| !is(*byte)).map_or(0, |at| at + 1);
            let rest = text.get(probe..).unwrap_or_default();
            let end = probe + rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
            from = end + 1;
            if end - start >= least {
                return Some(start..end);
            }
        }
    })
}

/// Finds the runs of Base64.
pub(super) fn base64(text: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    find(text, least, is_base64)
}

/// Finds the runs of hexadecimal digits.
pub(super) fn hex(text: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    find(text, least, is_hex)
}

/// Decodes a run of Base64 from its byte `skip` on into `bytes`.
pub(super) fn decode_base64(run: &[u8], skip: usize, bytes: &mut Vec<u8>) {
    let run = run.get(skip..).unwrap_or_default();
    let (groups, rest) = run.as_chunks::<4>();
    bytes.clear();
    bytes.resize(groups.len() * 3, 0);
    let (places, _) = bytes.as_chunks_mut::<3>();
    for (place, [a, b, c, d]) in places.iter_mut().zip(groups) {
        let (a, b, c, d) = (value(*a), value(*b), value(*c), value(*d));
        *place = [(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d];
    }
    match *rest {
        [a, b] => bytes.push((value(a) << 2) | (value(b) >> 4)),
        [a, b, c] => {
            let (a, b, c) = (value(a), value(b), value(c));
            bytes.extend_from_slice(&[(a << 2) | (b >> 4), (b << 4) | (c >> 2)]);
        }
        _ => {}
    }
}

/// Returns which characters the byte `at` of what [`decode_base64`] gave is made of.
pub(super) fn made_of_base64(at: usize, skip: usize) -> Range<usize> {
    let first = skip + at / 3 * 4 + at % 3;
    first..first + 2
}

/// Decodes a run of digits from its byte `skip` on into `bytes`.
pub(super) fn decode_hex(run: &[u8], skip: usize, bytes: &mut Vec<u8>) {
    bytes.clear();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    let run = run.get(skip..).unwrap_or_default();
    bytes.extend(run.chunks_exact(2).map(|pair| match *pair {
        [high, low] => (digit(high) << 4) | digit(low),
        _ => 0,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_with_their_ends() {
        let text = b"--abcd++ ef-- 0123456789 x 12345 ";
        let all: Vec<_> = base64(text, 5).map(|run| &text[run]).collect();
        assert_eq!(all, [b"--abcd++".as_slice(), b"0123456789", b"12345"]);
        let all: Vec<_> = hex(b"xx0123abcdyy01", 6).collect();
        assert_eq!(all.as_slice(), std::slice::from_ref(&(2..10)));
        assert_eq!(hex(b"", 6).count() + hex(b"012", 6).count(), 0);
    }

    #[test]
    fn base64_is_decoded_at_any_place() {
        let mut bytes = Vec::new();
        decode_base64(b"xaGVsbG8", 1, &mut bytes);
        assert_eq!(bytes, b"hello");
        assert_eq!(made_of_base64(4, 1), 6..8);
        decode_hex(b"f68656c", 1, &mut bytes);
        assert_eq!(bytes, b"hel");
    }
}
