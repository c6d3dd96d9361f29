//! Text that comes in pieces, character by character: what is decided by a neighbour waits for it.

use std::fmt::Write as _;

use super::{
    ShownInstead,
    kind::{
        CharacterKind, END_OF_TAGS, FLAG, character_kind, is_flag, joins, joins_after, selects,
        separates,
    },
};

/// So many tags make a flag.
const TAGS_OF_FLAG: usize = 6;

/// Makes a stream of bytes fit for a terminal, however it is cut; [`clean`](super::clean) does the
/// same to a whole.
#[derive(Debug)]
pub struct TerminalCleaner {
    machine: CleanerState,
    /// The start of a character whose end has not come.
    partial: Vec<u8>,
}

impl Default for TerminalCleaner {
    fn default() -> Self {
        Self { machine: CleanerState::new(ShownInstead::Escape), partial: Vec::new() }
    }
}

impl TerminalCleaner {
    /// Writes escapes as JSON has them, for a stream of JSON values.
    pub fn of_json() -> Self {
        Self { machine: CleanerState::new(ShownInstead::Json), partial: Vec::new() }
    }

    /// Takes the next bytes and appends what can be shown of them to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let joined;
        let mut rest = bytes;
        if !self.partial.is_empty() {
            joined = [self.partial.as_slice(), bytes].concat();
            self.partial.clear();
            rest = &joined;
        }
        let mut text = String::with_capacity(rest.len());
        while !rest.is_empty() {
            let error = match std::str::from_utf8(rest) {
                Ok(valid) => {
                    self.machine.push_all(valid, &mut text);
                    break;
                }
                Err(error) => error,
            };
            let (valid, after) = rest.split_at_checked(error.valid_up_to()).unwrap_or_default();
            self.machine.push_all(std::str::from_utf8(valid).unwrap_or_default(), &mut text);
            let Some(length) = error.error_len() else {
                self.partial.extend_from_slice(after);
                break;
            };
            let (invalid, after) = after.split_at_checked(length).unwrap_or((after, &[]));
            self.machine.finish(&mut text);
            escape_bytes(invalid, &mut text);
            rest = after;
        }
        out.extend_from_slice(text.as_bytes());
    }

    /// Says that nothing follows: appends what has waited for a neighbour.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.machine.finish(&mut text);
        escape_bytes(&std::mem::take(&mut self.partial), &mut text);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes bytes that are no text; those from 0x80 to 0x9f are controls for some terminals.
fn escape_bytes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

/// Decides about one character after the other.
#[derive(Debug)]
pub(super) struct CleanerState {
    instead: ShownInstead,
    /// The last character that was shown, where a neighbour may depend on it.
    before: Option<char>,
    held: HeldCharacter,
    /// The first character that was not shown.
    pub(super) refused: Option<char>,
}

/// What waits for its neighbour.
#[derive(Debug)]
enum HeldCharacter {
    Joiner(char),
    Nothing,
    Return,
    Tags(String),
}

impl CleanerState {
    pub(super) fn new(instead: ShownInstead) -> Self {
        Self { instead, before: None, held: HeldCharacter::Nothing, refused: None }
    }

    pub(super) fn push_all(&mut self, text: &str, out: &mut String) {
        for character in text.chars() {
            self.push(character, out);
        }
    }

    pub(super) fn push(&mut self, character: char, out: &mut String) {
        if let HeldCharacter::Tags(tags) = &mut self.held
            && character_kind(character) == CharacterKind::Tag
            && tags.chars().count() < TAGS_OF_FLAG
        {
            tags.push(character);
            if character == END_OF_TAGS {
                self.settle(Some(character), out);
            }
            return;
        }
        self.settle(Some(character), out);
        match character_kind(character) {
            CharacterKind::Plain | CharacterKind::Layout => self.show(character, out),
            CharacterKind::Return if self.instead == ShownInstead::Mask => {
                self.show(character, out)
            }
            CharacterKind::Return => self.held = HeldCharacter::Return,
            CharacterKind::Joiner => match self.before {
                Some(before) if joins_after(character, before) => {
                    self.held = HeldCharacter::Joiner(character);
                }
                _ => self.refuse(character, out),
            },
            CharacterKind::Selector => match self.before {
                Some(before) if selects(before, character) => self.show(character, out),
                _ => self.refuse(character, out),
            },
            CharacterKind::Tag if self.before == Some(FLAG) && character != END_OF_TAGS => {
                self.held = HeldCharacter::Tags(character.into());
            }
            CharacterKind::Tag | CharacterKind::Hidden => self.refuse(character, out),
        }
    }

    /// Says that nothing follows.
    pub(super) fn finish(&mut self, out: &mut String) {
        self.settle(None, out);
        self.before = None;
    }

    /// Decides about what waits, now that `next` is known.
    fn settle(&mut self, next: Option<char>, out: &mut String) {
        match std::mem::replace(&mut self.held, HeldCharacter::Nothing) {
            HeldCharacter::Nothing => {}
            HeldCharacter::Joiner(joiner) => match (self.before, next) {
                (Some(before), Some(next)) if joins(before, joiner, next) => {
                    self.show(joiner, out);
                }
                _ => self.refuse(joiner, out),
            },
            // Together they are one line break.
            HeldCharacter::Return if next == Some('\n') => {}
            HeldCharacter::Return => self.refuse('\r', out),
            HeldCharacter::Tags(tags) if is_flag(&tags) => {
                tags.chars().for_each(|tag| self.show(tag, out));
            }
            HeldCharacter::Tags(tags) => tags.chars().for_each(|tag| self.refuse(tag, out)),
        }
    }

    fn show(&mut self, character: char, out: &mut String) {
        out.push(character);
        self.before = Some(character);
    }

    fn refuse(&mut self, character: char, out: &mut String) {
        let is_smuggled =
            matches!(character_kind(character), CharacterKind::Tag | CharacterKind::Selector)
                || matches!(character, '\u{e0080}'..='\u{e0fff}');
        if self.instead == ShownInstead::Mask && !is_smuggled {
            return self.show(character, out);
        }
        self.before = None;
        self.refused.get_or_insert(character);
        // Writing to a string cannot fail.
        let _ = match (self.instead, character) {
            (ShownInstead::Escape, '\r') => write!(out, "\\r"),
            (ShownInstead::Escape, _) => write!(out, "\\u{{{:x}}}", u32::from(character)),
            // Outside of strings it is white space, and inside JSON has it as an escape already.
            (ShownInstead::Json, '\r') => write!(out, " "),
            (ShownInstead::Json, _) => write_json(character, out),
            (ShownInstead::Mask, _) => write!(out, "{}", char::REPLACEMENT_CHARACTER),
            (ShownInstead::Nothing, _) if separates(character) || character == '\r' => {
                write!(out, " ")
            }
            (ShownInstead::Nothing, _) => Ok(()),
        };
    }
}

/// Writes a character as JSON spells it in escapes.
pub(super) fn write_json(character: char, out: &mut String) -> std::fmt::Result {
    character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
}
