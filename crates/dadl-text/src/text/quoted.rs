//! Text of others inside of a question: in quotes, on one line, and such that two different texts
//! never look alike.
//!
//! The question may be shown by a terminal, by a host as plain text, or by one that reads Markdown
//! or HTML. What these would take for anything else than text is written as `\u003c`, so that a
//! quoted text looks the same everywhere. Backslashes and quotes are written so too: a backslash
//! always begins an escape.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    cleaner::write_json,
    hex::text_fingerprint,
    kind::{CharacterKind, character_kind},
    line::{is_mark, is_unprintable},
};

/// Of a longer value, so many characters are shown.
const LONGEST_SHOWN: usize = 500;
/// Those of them that stand at its end; a third at most.
const TAIL: usize = 80;
/// Of a value that is not ASCII, so many characters are shown as they are read.
const LONGEST_READ: usize = 200;
/// What is said of a value that is cut takes no more characters.
const LONGEST_MARK: usize = 160;
/// A value that is cut takes at least so many characters.
pub const LEAST_QUOTED: usize = LONGEST_MARK + 80;
/// More marks on one letter are escapes.
const MOST_MARKS: usize = 2;

/// Which letters stand as they are; the others are escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShownLetters {
    /// Those of any script.
    All,
    /// Those of ASCII.
    Ascii,
}

/// Writes a text in quotes: letters of any script as they are, in at most `most` characters.
pub fn quoted_text(text: &str, most: usize) -> String {
    let mut out = String::new();
    write_text(text, ShownLetters::All, most, &mut out);
    if out.chars().count() > most {
        let head: String = out.chars().take(most).collect();
        return format!("{}…\"", whole_escapes(&head));
    }
    out
}

/// Writes a JSON value in ASCII, and how it is read where that differs. Of a long one the middle is
/// left out, with its length and its digest.
pub fn quoted_json(value: &Value) -> String {
    write_cut(value, LONGEST_SHOWN, LONGEST_READ)
}

/// Writes the same in at most `most` characters, or in [`LEAST_QUOTED`].
pub fn quoted_json_within(value: &Value, most: usize) -> String {
    let text = quoted_json(value);
    if text.chars().count() <= most {
        return text;
    }
    let room = most.max(LEAST_QUOTED) - LONGEST_MARK;
    write_cut(value, room * 2 / 3, room / 3)
}

/// Writes `longest` characters of a value, and `longest_read` of how it is read.
fn write_cut(value: &Value, longest: usize, longest_read: usize) -> String {
    let mut exact = String::new();
    write_value(value, ShownLetters::Ascii, &mut exact);
    let mut read = String::new();
    write_value(value, ShownLetters::All, &mut read);
    let mut text = cut_exact(&exact, longest);
    if read != exact {
        // Behind the exact spelling: right-to-left letters move what stands beside them.
        let head: String = read.chars().take(longest_read).collect();
        let mark = if head.len() < read.len() { "…" } else { "" };
        let _ = write!(text, ", which reads {}{mark}", whole_escapes(&head));
    }
    text
}

/// Leaves out the middle of a long ASCII text.
fn cut_exact(exact: &str, longest: usize) -> String {
    if exact.len() <= longest {
        return exact.to_owned();
    }
    let tail = TAIL.min(longest / 3);
    let head = whole_escapes(exact.get(..longest - tail).unwrap_or_default());
    let from = exact.len() - tail;
    // Not from the middle of an escape.
    let before = from.saturating_sub(5);
    let from = match exact.get(before..from).and_then(|text| text.rfind('\\')) {
        Some(at) => (before + at).max(head.len()),
        None => from,
    };
    let (hidden, tail) =
        (exact.get(head.len()..from).unwrap_or_default(), exact.get(from..).unwrap_or_default());
    let digest = text_fingerprint(hidden);
    let count = hidden.len();
    format!("{head}… ({count} characters are not shown here, their SHA-256 is {digest}) …{tail}")
}

/// Returns a text without an escape at its end that was cut.
fn whole_escapes(text: &str) -> &str {
    let tail = text.char_indices().rev().take(5).find(|(_, character)| *character == '\\');
    match tail {
        Some((at, _)) if text.get(at + 1..at + 2) == Some("u") || at + 1 == text.len() => {
            text.get(..at).unwrap_or(text)
        }
        _ => text,
    }
}

fn write_value(value: &Value, letters: ShownLetters, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{value}");
        }
        Value::String(text) => write_text(text, letters, usize::MAX, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_value(item, letters, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (at, (name, item)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_text(name, letters, usize::MAX, out);
                out.push(':');
                write_value(item, letters, out);
            }
            out.push('}');
        }
    }
}

/// Writes a text in quotes; one that is written beyond `most` characters may end early.
fn write_text(text: &str, letters: ShownLetters, most: usize, out: &mut String) {
    out.push('"');
    let mut before = None;
    let mut marks = 0;
    let mut written = 0_usize;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied();
        marks = if is_mark(character) { marks + 1 } else { 0 };
        let has_room = marks <= MOST_MARKS && (marks == 0 || before.is_some());
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_bare(character, before, after)
                && (letters == ShownLetters::All || character.is_ascii())
                && has_room =>
            {
                out.push(character);
            }
            _ => {
                // Writing to a string cannot fail.
                let _ = write_json(character, out);
            }
        }
        before = Some(character);
        written += 1;
        if written > most {
            break;
        }
    }
    out.push('"');
}

/// Returns whether a character means itself, wherever it is shown and whatever stands beside it.
fn is_bare(character: char, before: Option<char>, after: Option<char>) -> bool {
    let is_word = |neighbor: Option<char>| neighbor.is_some_and(char::is_alphanumeric);
    match character {
        // Quotes and escapes; elements and entities; code, emphasis, links, formulas and tables.
        '"' | '\\' | '<' | '>' | '&' | '`' | '*' | '~' | ']' | '$' | '|' => false,
        // Within a word it is part of a name.
        '_' => is_word(before) && is_word(after),
        // HTML shows several as one, and none at an end.
        ' ' => after.is_some_and(|next| next != ' ') && before.is_some(),
        _ if character.is_ascii() => !character.is_ascii_control(),
        _ => character_kind(character) == CharacterKind::Plain && !is_unprintable(character),
    }
}
