//! What text of others may do: to a terminal, to a question and to a model.
//!
//! Descriptors, servers, files and arguments bring text that this program shows. Some characters
//! in it are no text: they steer a terminal, change the order in which a line is read, or are seen
//! by nobody and read by a model all the same. This module says which ones (`kind`), and how
//! each place shows them:
//!
//! | place | function | what is left of such a character |
//! | --- | --- | --- |
//! | a value on a terminal | [`clean`], [`TerminalCleaner`], [`shown_text`] | `\u{202e}`; line breaks stay |
//! | JSON | [`shown_json`] | `\u202e`, which means the same |
//! | a name or a label, for a person | [`one_line()`] | `\u{202e}`, on one line |
//! | a question, for a person | [`quoted_text`] | `\u202e`, in quotes, and nothing that Markdown reads |
//! | words of a descriptor, for a model | [`plain_text`] | nothing |
//! | a value, for a model | [`unsmuggled`] | as it came, but for what hides text: U+FFFD |
//!
//! What is too long is cut, with one mark (`cut`); several texts of one place share its room
//! ([`fair_share`]).
//!
//! Text in any script stays readable: the joiners of Persian and of Indic scripts, emoji of several
//! characters, combining marks and right-to-left letters are no such characters where they belong.

mod cleaner;
mod cut;
mod hex;
mod kind;
mod line;
mod login;
mod page;
mod quoted;
mod share;
#[cfg(test)]
mod tests;
mod tokens;

use std::borrow::Cow;

use self::{cleaner::CleanerState, kind::is_plain};
pub use self::{
    cleaner::TerminalCleaner,
    cut::{cut_bytes, cut_prose, cut_text, start_of, text_head},
    hex::{hex_text, text_fingerprint},
    line::one_line,
    login::without_login,
    page::begins_as_page,
    quoted::{LEAST_QUOTED, quoted_json, quoted_json_within, quoted_text},
    share::fair_share,
    tokens::about_tokens,
};

/// What stands where a value was hidden.
pub const MASK: &str = "[REDACTED]";

/// What stands for a character that is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShownInstead {
    /// `\u{202e}`.
    Escape,
    /// `\u202e`, as in JSON.
    Json,
    /// U+FFFD where text is hidden; everything else stays.
    Mask,
    /// Nothing; a space for what separates lines.
    Nothing,
}

/// Makes a value fit for a terminal: bytes of any kind become UTF-8 without a control that is not
/// a line break or a tab, and without characters that nobody sees.
pub fn clean(bytes: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(bytes).is_ok_and(is_plain) {
        return Cow::Borrowed(bytes);
    }
    let mut cleaner = TerminalCleaner::default();
    let mut out = Vec::with_capacity(bytes.len() + 16);
    cleaner.push(bytes, &mut out);
    cleaner.finish(&mut out);
    Cow::Owned(out)
}

/// Does what [`clean`] does to text.
pub fn shown_text(text: &str) -> Cow<'_, str> {
    change_text(text, ShownInstead::Escape)
}

/// Writes what a terminal must not get as escapes in a JSON text, whose value stays the same.
///
/// Only strings of JSON hold such characters, so that a text which is no JSON comes out as text
/// that is none either.
pub fn shown_json(text: &str) -> Cow<'_, str> {
    change_text(text, ShownInstead::Json)
}

/// Takes away what a model would read and a person would not see, and what steers a terminal.
pub fn plain_text(text: &str) -> Cow<'_, str> {
    change_text(text, ShownInstead::Nothing)
}

/// Replaces characters that have no use but to hide text in a value: tags outside of flags, and
/// selectors of variants where there is nothing to select. All others stay.
pub fn unsmuggled(text: &str) -> Cow<'_, str> {
    // No such character is ASCII.
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    change_text(text, ShownInstead::Mask)
}

/// Returns the first character of `text` that [`plain_text`] would take away.
pub fn first_hidden(text: &str) -> Option<char> {
    if is_plain(text) {
        return None;
    }
    let mut machine = CleanerState::new(ShownInstead::Nothing);
    let mut out = String::new();
    for character in text.chars() {
        machine.push(character, &mut out);
        if machine.refused.is_some() {
            break;
        }
    }
    machine.finish(&mut out);
    machine.refused
}

fn change_text(text: &str, instead: ShownInstead) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut machine = CleanerState::new(instead);
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        machine.push(character, &mut out);
    }
    machine.finish(&mut out);
    Cow::Owned(out)
}
