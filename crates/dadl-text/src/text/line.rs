//! Text of others as a part of one line: a name, a label, a sentence in a sentence.

use std::borrow::Cow;

use super::{
    kind::{CharacterKind, character_kind, separates},
    shown_text,
};

/// More marks on one letter are shown as escapes: they would cover the lines beside it.
const MOST_MARKS: usize = 4;

/// Writes a text on one line: each run of white space is a space, and what steers a terminal or is
/// not seen is an escape.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Cow::Borrowed(text);
    }
    let words: Vec<&str> = text
        .split(|c: char| {
            (c.is_whitespace() && character_kind(c) != CharacterKind::Hidden) || separates(c)
        })
        .collect();
    let mut joined = String::with_capacity(text.len());
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    let cleaned = shown_text(&joined);
    let mut marks = 0;
    let mut line = String::with_capacity(cleaned.len());
    for character in cleaned.chars() {
        marks = if is_mark(character) { marks + 1 } else { 0 };
        // A mark at the start would sit on what stands before the text.
        if marks > MOST_MARKS || (marks > 0 && line.is_empty()) {
            line.extend(character.escape_unicode());
        } else {
            line.push(character);
        }
    }
    Cow::Owned(line)
}

/// Returns whether a character is drawn on the one before it.
pub(super) fn is_mark(character: char) -> bool {
    // The standard library escapes what extends a grapheme, and what cannot be printed.
    !character.is_ascii()
        && character_kind(character) == CharacterKind::Plain
        && character.escape_debug().len() > 1
        && !is_unprintable(character)
}

/// Returns whether nothing is known of a character that would be seen, such as one that Unicode has
/// not assigned; and spaces that are not the usual one.
pub(super) fn is_unprintable(character: char) -> bool {
    // Behind another character, the standard library escapes only what cannot be printed.
    let mut text = String::from("a");
    text.push(character);
    !character.is_ascii() && text.escape_debug().count() > 2
}
