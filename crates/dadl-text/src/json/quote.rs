//! Writes texts as strings of JSON.

use crate::{
    blocks::{self, BLOCK},
    growth,
    lanes::Lanes,
};

/// A short text, in bytes.
const SHORT: usize = BLOCK;

/// So many bytes of a text are written at once.
const PIECE: usize = 4 * BLOCK;

/// A byte takes six at most.
const LONGEST_ESCAPE: usize = 6;

/// So many bytes are copied at once.
const STEP: usize = 16;

/// What a piece takes, and what is written beyond.
const ROOM: usize = PIECE * LONGEST_ESCAPE + STEP;

/// Returns a text as a JSON string, in a block of its length.
pub fn quote_text(text: &str) -> String {
    let mut quoted = growth::byte_buffer(quoted_length(text));
    quoted.push(b'"');
    append_escaped(text, &mut quoted);
    quoted.push(b'"');
    // What is written is UTF-8.
    String::from_utf8(quoted).unwrap_or_default()
}

/// Returns how long a text is as a JSON string.
pub fn quoted_length(text: &str) -> usize {
    let (blocks, rest) = text.as_bytes().as_chunks::<BLOCK>();
    let more = blocks.iter().map(more_of_block).sum::<usize>();
    text.len() + more + rest.iter().map(|byte| more_of(*byte)).sum::<usize>() + 2
}

fn more_of_block(block: &[u8; BLOCK]) -> usize {
    if blocks::has_any(block, |lanes| lanes.below(b' ')) {
        return block.iter().map(|byte| more_of(*byte)).sum();
    }
    blocks::bits(block, escaped).count_ones() as usize
}

fn more_of(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 1,
        0..0x20 => 5,
        _ => 0,
    }
}

/// Appends the inside of a text's JSON string, without its quotes.
pub(super) fn append_escaped(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    // Most short ones need no escape, and no room of their own.
    if bytes.len() <= SHORT && blocks::first(bytes, b' ', escaped).is_none() {
        return growth::append_to(out, bytes);
    }
    let mut room = [0; ROOM];
    for start in (0..bytes.len()).step_by(PIECE) {
        let length = escape_piece(bytes, start, &mut room);
        growth::append_to(out, room.get(..length).unwrap_or_default());
    }
}

/// Tells the bytes that have an escape.
#[inline]
pub(super) fn escaped(lanes: Lanes) -> Lanes {
    lanes.equal(b'"') | lanes.equal(b'\\') | lanes.below(b' ')
}

/// Writes the piece of a text that begins at `start`; returns how many bytes it has now.
fn escape_piece(text: &[u8], start: usize, room: &mut [u8; ROOM]) -> usize {
    let end = text.len().min(start + PIECE);
    let mut to = 0;
    // What is before has been written.
    let mut from = start;
    for base in (start..end).step_by(BLOCK) {
        let mut marks = blocks::bits_at(text, base, b' ', escaped).unwrap_or_default();
        while marks != 0 {
            let mark = base + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            to = copy(text, from, mark, room, to);
            let byte = text.get(mark).copied().unwrap_or_default();
            from = mark;
            if byte < b' ' {
                to = escape_control(byte, room, to);
                from += 1;
            } else {
                // A quote or a backslash stays, behind a backslash.
                place(u128::from(b'\\'), room, to);
                to += 1;
            }
        }
    }
    copy(text, from, end, room, to)
}

/// Writes a text from `from` to `end` as it is; returns where the next byte comes.
#[inline]
fn copy(text: &[u8], from: usize, end: usize, room: &mut [u8; ROOM], to: usize) -> usize {
    let mut at = from;
    loop {
        // What is written beyond the end is written over.
        place(bytes_at(text, at), room, to + (at - from));
        at += STEP;
        if at >= end {
            return to + (end - from);
        }
    }
}

/// Returns the next bytes of a text; what is behind its end is zero.
#[inline]
fn bytes_at(text: &[u8], at: usize) -> u128 {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => rest.iter().rev().fold(0, |all, byte| all << 8 | u128::from(*byte)),
    }
}

/// Puts bytes at `to`.
#[inline]
fn place(bytes: u128, room: &mut [u8; ROOM], to: usize) {
    if let Some(place) = room.get_mut(to..).and_then(|rest| rest.first_chunk_mut::<STEP>()) {
        *place = bytes.to_le_bytes();
    }
}

/// Writes a control at `to`; returns where the next byte comes.
fn escape_control(control: u8, room: &mut [u8; ROOM], to: usize) -> usize {
    let digit = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    let (escape, length) = match control {
        b'\n' => (*b"\\n\0\0\0\0\0\0", 2),
        b'\r' => (*b"\\r\0\0\0\0\0\0", 2),
        b'\t' => (*b"\\t\0\0\0\0\0\0", 2),
        0x08 => (*b"\\b\0\0\0\0\0\0", 2),
        0x0C => (*b"\\f\0\0\0\0\0\0", 2),
        _ => {
            let (high, low) = (digit(control >> 4), digit(control & 15));
            ([b'\\', b'u', b'0', b'0', high, low, 0, 0], LONGEST_ESCAPE)
        }
    };
    place(u64::from_le_bytes(escape).into(), room, to);
    to + length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let expected = Value::from(text).to_string();
        assert_eq!(quoted_length(text), expected.len(), "{text:?}");
        assert_eq!(quote_text(text), expected);
    }

    #[test]
    fn a_text_is_written_as_by_the_library() {
        for character in '\0'..='\u{ff}' {
            for before in 0..9 {
                check(&format!("{}{character}yz{character}", "x".repeat(before)));
            }
            check(&character.to_string().repeat(3 * PIECE + 5));
        }
        check(&"[{\"a\":\"b\\n\"},".repeat(1000));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is(text in any::<String>(), signs in r#"["\\a\n\t{},:é日]{0,200}"#, count in 1..50_usize) {
            check(&text);
            check(&signs);
            check(&(text + &signs).repeat(count));
        }
    }
}
