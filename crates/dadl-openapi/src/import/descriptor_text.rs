//! The text of a descriptor under way, line by line, and which part of it is which.

use std::ops::Range;

use dadl_text::text::cut_prose;

use crate::text::prose;

/// A longer comment is cut, in characters.
const MAX_COMMENT: usize = 100;

/// A part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextPart {
    /// Before the tools.
    Head,
    /// The description of a tool.
    Description(usize),
    /// A parameter of a tool.
    Param(usize, usize),
    /// The default of a parameter of a tool.
    Default(usize, usize),
    /// The pagination of a tool.
    Pages(usize),
    /// Anything else of a tool.
    Tool(usize),
}

/// A descriptor and its parts.
#[derive(Debug, Default)]
pub(super) struct WrittenDescriptor {
    pub(super) text: String,
    pub(super) parts: Vec<(Range<usize>, TextPart)>,
}

impl WrittenDescriptor {
    /// Returns the part that a byte belongs to: the smallest one.
    pub(super) fn part(&self, at: usize) -> TextPart {
        let around = self.parts.iter().filter(|(range, _)| range.contains(&at));
        around.min_by_key(|(range, _)| range.len()).map_or(TextPart::Head, |(_, part)| *part)
    }

    pub(super) fn line(&mut self, indent: usize, text: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(text);
        self.text.push('\n');
    }

    pub(super) fn mark(&mut self, from: usize, part: TextPart) {
        self.parts.push((from..self.text.len(), part));
    }
}

/// Returns text between double quotes, as YAML reads it.
pub(super) fn quoted_yaml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(character),
            '\u{a0}'..='\u{2027}'
            | '\u{202f}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}' => out.push(character),
            '\u{10000}'.. => out.push(character),
            other if u32::from(other) < 0x100 => {
                out.push_str(&format!("\\x{:02x}", u32::from(other)));
            }
            other => out.push_str(&format!("\\u{:04x}", u32::from(other))),
        }
    }
    out.push('"');
    out
}

/// Returns text that can stand in a comment.
pub(super) fn comment(text: &str) -> String {
    cut_prose(&prose(text), MAX_COMMENT).0.into_owned()
}
