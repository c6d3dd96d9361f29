//! The text of a file, with those of the fragments that it includes, and the places in it.
//!
//! Findings hold byte ranges; this type turns them into files, lines and columns when somebody
//! asks. Nothing here opens a file.

use std::{borrow::Cow, ops::Range, sync::OnceLock};

/// Files larger than this are refused: the largest known descriptor has a third of a megabyte.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A file name and the text of that file; the texts of fragments follow it, so that an offset
/// says which file it is in.
#[derive(Debug, Clone)]
pub struct SourceText {
    name: String,
    /// That of a file inside the program is not copied.
    text: Cow<'static, str>,
    /// The offset at which each line begins, once somebody asked.
    line_starts: OnceLock<Vec<usize>>,
    /// The fragments behind the file, in the order of their texts.
    fragments: Vec<SourceFragment>,
}

/// The name of a fragment, and where its text begins.
#[derive(Debug, Clone)]
struct SourceFragment {
    name: String,
    start: usize,
    /// The number of lines before it.
    lines_before: usize,
}

/// A place as people count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePosition {
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

impl SourceText {
    /// Takes text that is in memory already.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        // A byte order mark says nothing in UTF-8, and YAML allows it at the start only.
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self::of(name, text.into())
    }

    /// Takes text that is inside the program, without a byte order mark.
    pub fn inside(name: impl Into<String>, text: &'static str) -> Self {
        Self::of(name, text.into())
    }

    fn of(name: impl Into<String>, text: Cow<'static, str>) -> Self {
        Self { name: name.into(), text, line_starts: OnceLock::new(), fragments: Vec::new() }
    }

    /// Puts a fragment behind the file and returns where its text is.
    pub(crate) fn append(&mut self, fragment: &Self) -> Range<usize> {
        let text = self.text.to_mut();
        // The line break makes it begin with a line.
        text.push('\n');
        let start = text.len();
        let lines_before = line_starts(text).count();
        text.push_str(&fragment.text);
        let end = text.len();
        self.fragments.push(SourceFragment { name: fragment.name.clone(), start, lines_before });
        self.line_starts.take();
        start..end
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

    /// Returns the name alone, for what nothing is left to be said of; the text is empty.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self::of(self.name, Cow::Borrowed(""))
    }

    /// Forgets where lines begin, for what hardly anything is left to be said of; it is found out again.
    #[must_use]
    pub fn without_lines(self) -> Self {
        Self { line_starts: OnceLock::new(), ..self }
    }

    /// Returns the name of the file itself, as findings show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the file that `offset` is in: that of a fragment, or the file's own.
    pub fn name_at(&self, offset: usize) -> &str {
        self.fragment_at(offset).map_or(&self.name, |fragment| &fragment.name)
    }

    /// Returns whether `offset` is in the file itself and not in a fragment.
    pub fn is_own(&self, offset: usize) -> bool {
        self.fragment_at(offset).is_none()
    }

    fn fragment_at(&self, offset: usize) -> Option<&SourceFragment> {
        self.fragments.iter().rev().find(|fragment| fragment.start <= offset)
    }

    /// Returns the text, without a byte order mark; those of fragments follow it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text of `span`; empty when the span is not one of this text.
    pub fn slice(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }

    /// Returns where `offset` is in its file; an offset behind the end counts as the end.
    pub fn position(&self, offset: usize) -> SourcePosition {
        let offset = self.text.floor_char_boundary(offset);
        let line_starts = self.line_starts();
        let line = line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| line_starts.get(index));
        let before = self.slice(start.copied().unwrap_or_default()..offset);
        let lines_before = self.fragment_at(offset).map_or(0, |fragment| fragment.lines_before);
        SourcePosition { line: (line - lines_before).max(1), column: before.chars().count() + 1 }
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| std::iter::once(0).chain(line_starts(&self.text)).collect())
    }

    /// Returns the line of this number, counted from 1, with its line break; empty when there is
    /// none.
    pub fn line(&self, number: usize) -> &str {
        let line_starts = self.line_starts();
        let Some(start) = number.checked_sub(1).and_then(|index| line_starts.get(index)) else {
            return "";
        };
        let end = line_starts.get(number).copied().unwrap_or(self.text.len());
        self.slice(*start..end)
    }

    /// Returns `span` cut to the text and to whole characters, so that it can be shown.
    pub fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        start..end
    }
}

/// Returns where lines begin, the first one excepted.
fn line_starts(text: &str) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, offset: usize) -> (usize, usize) {
        let SourcePosition { line, column } = SourceText::new("t", text).position(offset);
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
        assert_eq!(SourceText::new("t", "ä").clamp(&(1..9)), 0..2);
    }

    #[test]
    fn fragments_have_places_of_their_own() {
        let mut source = SourceText::new("a", "one\ntwo");
        let first = source.append(&SourceText::new("b", "three\nfour\n"));
        let second = source.append(&SourceText::new("c", ""));
        assert_eq!(source.slice(first.clone()), "three\nfour\n");
        let place = |offset: usize| {
            let SourcePosition { line, column } = source.position(offset);
            (source.name_at(offset), line, column)
        };
        assert_eq!(place(0), ("a", 1, 1));
        assert_eq!(place(7), ("a", 2, 4));
        assert_eq!(place(first.start), ("b", 1, 1));
        assert_eq!(place(first.start + 7), ("b", 2, 2));
        assert_eq!(place(first.end), ("b", 3, 1));
        assert_eq!(place(second.start), ("c", 1, 1));
    }

    #[test]
    fn drops_a_byte_order_mark() {
        let source = SourceText::from_bytes("t", b"\xef\xbb\xbfa".to_vec()).unwrap();
        assert_eq!(source.text(), "a");
    }

    #[test]
    fn refuses_what_is_no_text() {
        let latin_1 = SourceText::from_bytes("t", b"ab\xe4".to_vec()).unwrap_err();
        assert_eq!(latin_1, SourceError::Encoding { offset: 2 });
        let large = SourceText::from_bytes("t", vec![b' '; MAX_BYTES + 1]).unwrap_err();
        assert!(matches!(large, SourceError::TooLarge { .. }));
    }
}
