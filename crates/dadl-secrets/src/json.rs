//! Masks secrets in JSON, so that it stays JSON: whole strings and numbers, and parts of strings.
//!
//! The text is passed over token by token, and nothing is built of it.

use std::ops::Range;

use dadl_text::growth;

use dadl_text::text::MASK;

/// What the protocol needs to tell messages apart: members of a message, and of its parameters.
const ENVELOPE: [&[&[u8]]; 2] =
    [&[b"\"id\"", b"\"jsonrpc\"", b"\"method\""], &[b"\"progressToken\"", b"\"requestId\""]];

/// What JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonKind {
    /// A message of JSON-RPC.
    Message,
    Value,
}

/// Writes `text`, which is JSON, without what `find` finds in its tokens. Only those that `found`
/// meets are looked at again: a secret is what one token holds. The envelope of a message is left
/// alone.
pub(super) fn mask_json(
    text: &[u8],
    found: &[Range<usize>],
    find: impl Fn(&[u8]) -> Vec<Range<usize>>,
    kind: JsonKind,
) -> Vec<u8> {
    let mut clean = growth::byte_buffer(text.len() + found.len() * MASK.len());
    let mut found = found.iter().peekable();
    let mut place = JsonPlace::default();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let end = match byte {
            b'"' => end_of_string(text, at),
            b'{' | b'[' | b'}' | b']' | b':' | b',' => at + 1,
            byte if byte.is_ascii_whitespace() => at + 1,
            _ => end_of_scalar(text, at),
        };
        let token = text.get(at..end).unwrap_or_default();
        let is_envelope = kind == JsonKind::Message && place.is_envelope();
        place.see(token);
        while found.next_if(|range| range.end <= at).is_some() {}
        let mut met = Vec::new();
        while let Some(range) = found.peek().filter(|range| range.start < end) {
            met.push(range.start.max(at)..range.end.min(end));
            if range.end > end {
                break;
            }
            found.next();
        }
        let is_punctuation = end == at + 1 && !byte.is_ascii_alphanumeric();
        if met.is_empty() || is_envelope || is_punctuation {
            clean.extend_from_slice(token);
        } else if let Some(inner) = token.strip_prefix(b"\"") {
            mask_string(
                inner.strip_suffix(b"\"").unwrap_or(inner),
                at + 1,
                &met,
                &find,
                &mut clean,
            );
        } else {
            clean.push(b'"');
            clean.extend_from_slice(MASK.as_bytes());
            clean.push(b'"');
        }
        at = end;
    }
    clean
}

/// Writes a string whose inside begins at `base`.
fn mask_string(
    inner: &[u8],
    base: usize,
    met: &[Range<usize>],
    find: impl Fn(&[u8]) -> Vec<Range<usize>>,
    clean: &mut Vec<u8>,
) {
    let mut ranges = find(inner);
    // What is a secret because of what is around the string.
    let end = base + inner.len();
    let around = met.iter().filter(|range| range.start >= base && range.end <= end);
    ranges.extend(around.map(|range| range.start - base..range.end - base));
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    clean.push(b'"');
    replace_ranges(inner, &ranges, clean);
    clean.push(b'"');
}

/// Writes `text` with the mask in the place of each of `ranges`, which are in order.
pub(super) fn replace_ranges(text: &[u8], ranges: &[Range<usize>], clean: &mut Vec<u8>) {
    let mut done = 0;
    for range in ranges {
        if range.start >= done {
            clean.extend_from_slice(text.get(done..range.start).unwrap_or_default());
            let is_wide = text.get(range.start + 1) == Some(&0) && range.len() > 2;
            for (number, byte) in MASK.bytes().enumerate() {
                // Every other byte of UTF-16 is zero, and stays so.
                if is_wide && number > 0 {
                    clean.push(0);
                }
                clean.push(byte);
            }
        }
        done = done.max(range.end);
    }
    clean.extend_from_slice(text.get(done..).unwrap_or_default());
}

/// Returns where the string ends that begins at `start`.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(next) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += next;
        if text.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

fn end_of_scalar(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let is_end = |byte: &u8| matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"');
    let length = rest.iter().skip(1).position(|byte| is_end(byte) || byte.is_ascii_whitespace());
    start + length.map_or(rest.len(), |length| length + 1)
}

/// Where in a message a token is.
#[derive(Default)]
struct JsonPlace {
    depth: usize,
    /// The last name of a member, if it is one of the envelope.
    is_envelope: bool,
    /// Whether the last token was one.
    is_named: bool,
}

impl JsonPlace {
    /// Returns whether the next token is a value of the envelope.
    fn is_envelope(&self) -> bool {
        self.is_envelope
    }

    fn see(&mut self, token: &[u8]) {
        match token {
            b"{" | b"[" => {
                self.depth += 1;
                (self.is_envelope, self.is_named) = (false, false);
            }
            b"}" | b"]" => {
                self.depth = self.depth.saturating_sub(1);
                (self.is_envelope, self.is_named) = (false, false);
            }
            b":" => self.is_envelope = self.is_named,
            b"," => (self.is_envelope, self.is_named) = (false, false),
            token if token.iter().all(u8::is_ascii_whitespace) => {}
            token => {
                let names = self.depth.checked_sub(1).and_then(|depth| ENVELOPE.get(depth));
                self.is_named = !self.is_envelope && names.is_some_and(|it| it.contains(&token));
                self.is_envelope = false;
            }
        }
    }
}
