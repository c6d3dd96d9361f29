//! Writes texts as strings of JSON.

use crate::{
    blocks::{self, BLOCK},
    growth, words,
};

/// A short text, in bytes.
const SHORT: usize = BLOCK;

/// So many bytes of a text are written at once.
const PIECE: usize = 256;

/// A byte takes six at most.
const LONGEST_ESCAPE: usize = 6;

/// What a piece takes, and eight bytes that are written beyond.
const ROOM: usize = PIECE * LONGEST_ESCAPE + 8;

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
    if blocks::has_any(block, |word| words::below(word, b' ')) {
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
    for piece in bytes.chunks(PIECE) {
        let length = escape_piece(piece, &mut room);
        growth::append_to(out, room.get(..length).unwrap_or_default());
    }
}

/// Tells the bytes that have an escape.
#[inline]
pub(super) fn escaped(word: u64) -> u64 {
    words::equal(word, b'"') | words::equal(word, b'\\') | words::below(word, b' ')
}

/// Writes a piece of a text; returns how many bytes it has now.
fn escape_piece(piece: &[u8], room: &mut [u8; ROOM]) -> usize {
    let (words, rest) = piece.as_chunks::<8>();
    let mut to = 0;
    for bytes in words {
        let word = u64::from_le_bytes(*bytes);
        if words::has_below(word, b' ') {
            to = bytes.iter().fold(to, |to, byte| escape_byte(*byte, room, to));
            continue;
        }
        let mut marks = words::equal(word, b'"') | words::equal(word, b'\\');
        // How many bits of the word are written.
        let mut done = 0;
        while marks != 0 {
            // A quote or a backslash stays, behind a backslash.
            let at = marks.trailing_zeros() - 7;
            place(word >> done, room, to);
            to += (at - done) as usize / 8;
            place(u64::from(b'\\'), room, to);
            to += 1;
            done = at;
            marks &= marks - 1;
        }
        place(word >> done, room, to);
        to += 8 - done as usize / 8;
    }
    rest.iter().fold(to, |to, byte| escape_byte(*byte, room, to))
}

/// Puts the bytes of a word at `to`.
#[inline]
fn place(word: u64, room: &mut [u8; ROOM], to: usize) {
    if let Some(place) = room.get_mut(to..).and_then(|rest| rest.first_chunk_mut::<8>()) {
        *place = word.to_le_bytes();
    }
}

/// Writes one byte at `to`; returns where the next one comes.
fn escape_byte(byte: u8, room: &mut [u8; ROOM], to: usize) -> usize {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        0..0x20 => {
            let digit = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            let escape = [b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15), 0, 0];
            place(u64::from_le_bytes(escape), room, to);
            return to + LONGEST_ESCAPE;
        }
        _ => {
            place(u64::from(byte), room, to);
            return to + 1;
        }
    };
    place(u64::from(b'\\') | (u64::from(short) << 8), room, to);
    to + 2
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
