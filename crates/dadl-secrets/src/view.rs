//! A text with its escapes taken out, each byte of which knows where it came from.

use std::ops::Range;

use dadl_text::blocks;

use super::escapes::{self, EscapeMeaning, EscapeReading, EscapeSequence};

/// A text, or what a text stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextView<'text> {
    pub(super) bytes: &'text [u8],
    /// Where each byte came from, unless it is the text itself.
    spans: Option<&'text [OriginSpan]>,
    /// Where the text begins in that of which places are told.
    base: usize,
}

/// Where a byte came from, from the beginning of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct OriginSpan {
    from: u32,
    to: u32,
}

/// What a text stands for.
#[derive(Debug, Default)]
pub(super) struct DecodedView {
    bytes: Vec<u8>,
    spans: Vec<OriginSpan>,
    base: usize,
}

impl<'text> TextView<'text> {
    /// Returns a text whose first byte is at `base`.
    pub(super) fn plain(bytes: &'text [u8], base: usize) -> Self {
        Self { bytes, spans: None, base }
    }

    /// Returns where a range of bytes came from.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let Some(spans) = self.spans else {
            return self.base + range.start..self.base + range.end;
        };
        let of = |at: usize| spans.get(at).copied().unwrap_or(OriginSpan { from: 0, to: 0 });
        let (first, last) = (of(range.start), of(range.end.saturating_sub(1)));
        self.base + first.from as usize..self.base + last.to as usize
    }

    /// Returns a part of the text.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let spans = self.spans.map(|spans| spans.get(range.clone()).unwrap_or_default());
        let base = if spans.is_some() { self.base } else { self.base + range.start };
        Self { bytes: self.bytes.get(range).unwrap_or_default(), spans, base }
    }

    fn span(&self, from: usize, to: usize) -> OriginSpan {
        match self.spans {
            None => OriginSpan { from: narrow_index(from), to: narrow_index(to) },
            Some(spans) => {
                let of =
                    |at: usize| spans.get(at).copied().unwrap_or(OriginSpan { from: 0, to: 0 });
                OriginSpan { from: of(from).from, to: of(to.saturating_sub(1)).to }
            }
        }
    }

    /// Takes one layer of escapes out.
    pub(super) fn unescaped(&self, reading: EscapeReading) -> DecodedView {
        let mut view = DecodedView {
            bytes: Vec::with_capacity(self.bytes.len()),
            spans: Vec::with_capacity(self.bytes.len()),
            base: self.base,
        };
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let length = plain_length(rest);
            if length > 0 {
                self.copy(at..at + length, &mut view);
                at += length;
                continue;
            }
            let Some(EscapeSequence { meaning, length }) = escapes::read_escape(rest, reading)
            else {
                self.copy(at..at + 1, &mut view);
                at += 1;
                continue;
            };
            let span = self.span(at, at + length);
            match meaning {
                EscapeMeaning::Byte(byte) => view.push(&[byte], span),
                EscapeMeaning::Char(letter) => {
                    view.push(letter.encode_utf8(&mut [0; 4]).as_bytes(), span);
                }
                EscapeMeaning::Nothing => {}
            }
            at += length;
        }
        view
    }

    /// Appends a part as it is.
    fn copy(&self, part: Range<usize>, view: &mut DecodedView) {
        view.bytes.extend_from_slice(self.bytes.get(part.clone()).unwrap_or_default());
        match self.spans {
            None => view.spans.extend(
                part.map(|at| OriginSpan { from: narrow_index(at), to: narrow_index(at + 1) }),
            ),
            Some(spans) => {
                view.spans.extend_from_slice(spans.get(part).unwrap_or_default());
            }
        }
    }

    /// Returns bytes that were made of this text: each with the range of those that it is made of.
    pub(super) fn decoded(&self, bytes: impl Iterator<Item = (u8, Range<usize>)>) -> DecodedView {
        let mut view = DecodedView { base: self.base, ..DecodedView::default() };
        for (byte, made_of) in bytes {
            view.push(&[byte], self.span(made_of.start, made_of.end));
        }
        view
    }
}

impl DecodedView {
    /// Returns it as a text.
    pub(super) fn text(&self) -> TextView<'_> {
        TextView { bytes: &self.bytes, spans: Some(&self.spans), base: self.base }
    }

    fn push(&mut self, bytes: &[u8], span: OriginSpan) {
        self.bytes.extend_from_slice(bytes);
        self.spans.extend(std::iter::repeat_n(span, bytes.len()));
    }
}

/// Returns how many bytes at the beginning of a text stand for themselves.
fn plain_length(text: &[u8]) -> usize {
    blocks::first(text, b' ', escapes::beginnings).unwrap_or(text.len())
}

/// Blocks are small.
fn narrow_index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
