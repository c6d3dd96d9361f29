//! The text of one file and the places in it.
//!
//! Findings hold byte ranges; this type turns them into lines and columns when somebody asks.
//! Nothing here opens a file.

use std::ops::Range;

/// Files larger than this are refused: the largest known descriptor has a third of a megabyte.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A file name and the text of that file.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
    /// The offset at which each line begins.
    line_starts: Vec<usize>,
}

/// A place as people count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

/// Why bytes are not the text of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The author's editor saved another encoding.
    #[error("byte {offset} is not UTF-8")]
    Encoding {
        /// The first byte that is wrong.
        offset: usize,
    },
    /// Most likely the wrong file.
    #[error("the file has {size} bytes; the limit is {MAX_BYTES}")]
    TooLarge {
        /// The size of the file.
        size: usize,
    },
}

impl Source {
    /// Takes text that is in memory already.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        // A byte order mark says nothing in UTF-8, and YAML allows it at the start only.
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let line_starts = std::iter::once(0)
            .chain(
                text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1),
            )
            .collect();
        Self { name: name.into(), text, line_starts }
    }

    /// Takes the bytes of a file.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, SourceError> {
        if bytes.len() > MAX_BYTES {
            return Err(SourceError::TooLarge { size: bytes.len() });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => Err(SourceError::Encoding { offset: error.utf8_error().valid_up_to() }),
        }
    }

    /// Returns the file name, as findings show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text of `span`; empty when the span is not one of this text.
    pub fn slice(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }

    /// Returns where `offset` is; an offset behind the end counts as the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = floor_char_boundary(&self.text, offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index));
        let before = self.slice(start.copied().unwrap_or_default()..offset);
        Position { line: line.max(1), column: before.chars().count() + 1 }
    }

    /// Returns `span` cut to the text and to whole characters, so that it can be shown.
    pub fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let start = floor_char_boundary(&self.text, span.start);
        let end = floor_char_boundary(&self.text, span.end).max(start);
        start..end
    }
}

/// Returns the nearest character boundary that is not behind `offset`.
fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, offset: usize) -> (usize, usize) {
        let Position { line, column } = Source::new("t", text).position(offset);
        (line, column)
    }

    #[test]
    fn counts_lines_and_characters_from_one() {
        assert_eq!(position("a\nbc\n", 0), (1, 1));
        assert_eq!(position("a\nbc\n", 3), (2, 2));
        assert_eq!(position("a\nbc\n", 5), (3, 1));
        assert_eq!(position("äö: x", 4), (1, 3));
    }

    #[test]
    fn stays_within_the_text() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("ab", 99), (1, 3));
        assert_eq!(position("ä", 1), (1, 1));
        assert_eq!(Source::new("t", "ä").clamp(&(1..9)), 0..2);
    }

    #[test]
    fn drops_a_byte_order_mark() {
        let source = Source::from_bytes("t", b"\xef\xbb\xbfa".to_vec()).unwrap();
        assert_eq!(source.text(), "a");
    }

    #[test]
    fn refuses_what_is_no_text() {
        let latin_1 = Source::from_bytes("t", b"ab\xe4".to_vec()).unwrap_err();
        assert_eq!(latin_1, SourceError::Encoding { offset: 2 });
        let large = Source::from_bytes("t", vec![b' '; MAX_BYTES + 1]).unwrap_err();
        assert!(matches!(large, SourceError::TooLarge { .. }));
    }
}
