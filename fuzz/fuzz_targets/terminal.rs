//! Any bytes become text that steers no terminal, however they are cut, and JSON keeps its meaning.
#![no_main]

use dadl_text::text::{self, TerminalCleaner};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Steers a terminal, or is seen by nobody wherever it stands.
fn is_never_shown(character: char) -> bool {
    let is_control = character.is_control() && !matches!(character, '\n' | '\t');
    let code = u32::from(character);
    is_control
        || matches!(
            code,
            0xad | 0x61c | 0x180e | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x206f
                | 0x115f | 0x1160 | 0x3164 | 0xffa0 | 0xfeff | 0xfff9..=0xfffb | 0xe000..=0xf8ff
                | 0xfdd0..=0xfdef | 0xf0000..
        )
        || code & 0xfffe == 0xfffe
}

fn in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut cleaner, mut out) = (TerminalCleaner::default(), Vec::new());
    pieces.for_each(|piece| cleaner.push(piece, &mut out));
    cleaner.finish(&mut out);
    out
}

fuzz_target!(|bytes: &[u8]| {
    let (first, rest) = bytes.split_first().unwrap_or((&1, bytes));
    let cleaned = text::clean(rest);
    assert_eq!(*cleaned, in_pieces(rest.chunks(usize::from(*first).max(1))));
    let shown = std::str::from_utf8(&cleaned).expect("text");
    assert!(!shown.contains(is_never_shown), "{shown:?}");
    assert_eq!(text::clean(&cleaned), cleaned);
    let Ok(given) = std::str::from_utf8(rest) else { return };
    assert_eq!(text::first_hidden(&text::plain_text(given)), None);
    let line = text::one_line(given);
    assert!(!line.contains(|c| is_never_shown(c) || matches!(c, '\n' | '\t')), "{line:?}");
    let value = Value::from(given);
    let json = value.to_string();
    let json = text::shown_json(&json);
    assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON"), value);
    assert_eq!(text::shown_text(&json), json);
    let quoted = text::quoted_json(&value);
    assert!(!quoted.contains(|c| is_never_shown(c) || "\n<>`".contains(c)), "{quoted:?}");
});
