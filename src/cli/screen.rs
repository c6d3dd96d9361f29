//! What is written to a stream of the process: text of others as it may be shown there, and the
//! styles of this program.
//!
//! **Invariant:** a terminal gets no control but line breaks, tabs and styles of this program. A
//! style is written as a mark that holds random bits of the process, so that no text of others can
//! be one; [`TerminalStream`] turns marks into the sequences that terminals know, and everything else passes
//! [`text::TerminalCleaner`]. A pipe gets the bytes of others as they are.

use std::{
    fmt,
    io::{self, Write},
    sync::LazyLock,
};

use clap::builder::styling::Style;
use dadl_text::text;

use super::report::ColorMode;

/// The start of every sequence for terminals that this program writes.
const CSI: &str = "\u{1b}[";
/// Longer ones are none of this program.
const MOST_STYLE_BYTES: usize = 48;

/// What stands for [`CSI`] until it reaches a [`TerminalStream`].
static MARK: LazyLock<String> =
    LazyLock::new(|| format!("\u{1b}{}[", uuid::Uuid::new_v4().simple()));

/// A style of this program: begins with `{PAINT}` and ends with `{PAINT:#}`.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle(pub(super) Style);

impl fmt::Display for TextStyle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequence =
            if formatter.alternate() { format!("{:#}", self.0) } else { self.0.to_string() };
        formatter.write_str(&ours(&sequence))
    }
}

/// Marks the styles in a text as those of this program. Nothing of others may be in it that has not
/// been cleaned.
pub(super) fn ours(styled: &str) -> String {
    styled.replace(CSI, &MARK)
}

/// Who gets what is written to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// A program, or a file.
    Pipe,
    /// A person.
    Terminal,
}

/// A stream of the process.
pub(super) struct TerminalStream<W: Write> {
    inner: W,
    kind: StreamKind,
    color: ColorMode,
    cleaner: text::TerminalCleaner,
    /// What may become a mark.
    begun: Vec<u8>,
}

impl<W: Write> TerminalStream<W> {
    pub(super) fn new(inner: W, kind: StreamKind, color: ColorMode) -> Self {
        Self { inner, kind, color, cleaner: text::TerminalCleaner::default(), begun: Vec::new() }
    }

    /// Says that all of it is JSON, which has escapes of its own.
    pub(super) fn of_json(self) -> Self {
        let mut screen = self;
        screen.cleaner = text::TerminalCleaner::of_json();
        screen
    }

    /// Takes bytes that are no style: what passes here is all that a stream gets of others.
    fn foreign(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.kind == StreamKind::Terminal {
            self.cleaner.push(bytes, out);
        } else {
            out.extend_from_slice(bytes);
        }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            if self.begun.is_empty() && *first != b'\x1b' {
                let end = memchr::memchr(b'\x1b', rest).unwrap_or(rest.len());
                let (plain, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                self.foreign(plain, out);
                rest = after;
                continue;
            }
            if self.continues(*first) {
                self.begun.push(*first);
                rest = after;
                if self.begun.len() > MARK.len() && *first == b'm' {
                    let begun = std::mem::take(&mut self.begun);
                    self.style(begun.get(MARK.len()..).unwrap_or_default(), out);
                }
            } else {
                // The byte may begin another one.
                let begun = std::mem::take(&mut self.begun);
                self.foreign(&begun, out);
                if begun.is_empty() {
                    self.foreign(&[*first], out);
                    rest = after;
                }
            }
        }
    }

    /// Returns whether what has begun may go on with this byte.
    fn continues(&self, byte: u8) -> bool {
        match MARK.as_bytes().get(self.begun.len()) {
            Some(expected) => *expected == byte,
            None => {
                (byte.is_ascii_digit() || matches!(byte, b';' | b'm'))
                    && self.begun.len() < MARK.len() + MOST_STYLE_BYTES
            }
        }
    }

    fn style(&mut self, parameters: &[u8], out: &mut Vec<u8>) {
        if self.kind == StreamKind::Terminal {
            // What waits for a neighbor has none.
            self.cleaner.finish(out);
        }
        if self.color == ColorMode::Always {
            out.extend_from_slice(CSI.as_bytes());
            out.extend_from_slice(parameters);
        }
    }

    /// Writes what has waited for more.
    fn finish(&mut self) -> io::Result<()> {
        let mut out = Vec::new();
        let begun = std::mem::take(&mut self.begun);
        self.foreign(&begun, &mut out);
        self.cleaner.finish(&mut out);
        self.inner.write_all(&out)?;
        self.inner.flush()
    }
}

impl<W: Write> Write for TerminalStream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = Vec::with_capacity(bytes.len());
        self.push(bytes, &mut out);
        self.inner.write_all(&out)?;
        Ok(bytes.len())
    }

    /// What waits for its neighbor goes on waiting.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for TerminalStream<W> {
    fn drop(&mut self) {
        // A reader that went away has what it wanted.
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::styling::{AnsiColor, Color};
    use proptest::prelude::*;

    use super::{
        ColorMode::{Always, Never},
        StreamKind::{Pipe, Terminal},
        *,
    };

    const RED: TextStyle =
        TextStyle(Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red))).bold());

    fn written(kind: StreamKind, color: ColorMode, pieces: &[&[u8]]) -> String {
        let mut bytes = Vec::new();
        let mut screen = TerminalStream::new(&mut bytes, kind, color);
        for piece in pieces {
            screen.write_all(piece).unwrap();
        }
        drop(screen);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn only_styles_of_this_program_are_styles() {
        let text = format!("{RED}a\u{1b}[31mb{RED:#}\u{9b}c");
        let text = text.as_bytes();
        let red = "\u{1b}[1m\u{1b}[31m";
        let shown = format!("{red}a\\u{{1b}}[31mb\u{1b}[0m\\u{{9b}}c");
        assert_eq!(written(Terminal, Always, &[text]), shown);
        assert_eq!(written(Terminal, Never, &[text]), "a\\u{1b}[31mb\\u{9b}c");
        assert_eq!(written(Pipe, Never, &[text]), "a\u{1b}[31mb\u{9b}c");
        assert_eq!(written(Pipe, Always, &[text]), format!("{red}a\u{1b}[31mb\u{1b}[0m\u{9b}c"));
    }

    #[test]
    fn no_mark_can_be_guessed_or_stretched() {
        let forged = MARK.replace(|c: char| c.is_ascii_hexdigit(), "0");
        let shown = written(Terminal, Always, &[forged.as_bytes(), b"31m"]);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        // Even with the bits of the process it is a style and nothing else.
        for end in
            ["2J", "31;1H", "?25l", "31", "38;5;999999999999999999999999999999999999999999999999m"]
        {
            let shown = written(Terminal, Always, &[MARK.as_bytes(), end.as_bytes()]);
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            parts in prop::collection::vec("\\PC{0,3}|\u{1b}\\[[0-9;]{0,3}m|\u{1b}|\u{9b}|RED|END", 0..8),
            size in 1..9_usize,
        ) {
            let text: String = parts
                .iter()
                .map(|part| match part.as_str() {
                    "RED" => RED.to_string(),
                    "END" => format!("{RED:#}"),
                    part => part.to_owned(),
                })
                .collect();
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            for (kind, color) in [(Terminal, Always), (Terminal, Never), (Pipe, Always), (Pipe, Never)] {
                let whole = written(kind, color, &[text.as_bytes()]);
                prop_assert_eq!(&whole, &written(kind, color, &pieces));
                if kind == Terminal {
                    let without = whole
                        .replace("\u{1b}[1m\u{1b}[31m", "")
                        .replace("\u{1b}[0m", "");
                    prop_assert_eq!(text::shown_text(&without), without.as_str());
                    prop_assert!(color == Always || whole == without);
                }
            }
        }
    }
}
