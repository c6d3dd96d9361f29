//! Whether a text is JSON (RFC 8259), found out in one pass that builds nothing.
//!
//! The marks of a text are its quotes, its backslashes and its controls, found a block at a time. What lies
//! between two of them is either the inside of a string, which holds nothing else to look at, or a few tokens.

use super::quote::escaped;
use crate::blocks::{self, BLOCK};

/// What a text has between its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    Compact,
    /// White space.
    Spaced,
}

/// Checks a text whose values are nested at most `deepest` levels deep; `None` when it is no JSON, or deeper.
/// Why not is a question for a parser.
pub(super) fn check(text: &[u8], deepest: usize) -> Option<Spacing> {
    let mut marks = Marks::new(text);
    let mut grammar =
        Grammar { expected: Expected::Value, open: Vec::new(), deepest, spaced: false };
    let mut at = 0;
    while let Some(mark) = marks.next() {
        grammar.tokens(text, at, mark)?;
        at = mark + 1;
        match *text.get(mark)? {
            b'"' => {
                grammar.string()?;
                at = marks.string_end()?;
            }
            b'\n' | b'\r' | b'\t' => grammar.spaced = true,
            _ => return None,
        }
    }
    grammar.tokens(text, at, text.len())?;
    grammar.end()
}

/// The quotes, backslashes and controls of a text, one after the other.
pub(super) struct Marks<'text> {
    text: &'text [u8],
    /// Where the block begins whose marks these are.
    base: usize,
    bits: u64,
    next: usize,
}

impl<'text> Marks<'text> {
    pub(super) fn new(text: &'text [u8]) -> Self {
        Self { text, base: 0, bits: 0, next: 0 }
    }

    /// Returns where the next one is.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.base = self.next;
            // The filler is no mark.
            self.bits = blocks::bits_at(self.text, self.base, b' ', escaped)?;
            self.next += BLOCK;
        }
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }

    /// Returns where the string ends whose beginning was the last mark, behind its closing quote; `None` when
    /// something in it is no part of a string.
    #[inline]
    fn string_end(&mut self) -> Option<usize> {
        loop {
            let mark = self.next()?;
            match *self.text.get(mark)? {
                b'"' => return Some(mark + 1),
                b'\\' => match *self.text.get(mark + 1)? {
                    // It is the next mark.
                    b'"' | b'\\' => {
                        self.next()?;
                    }
                    b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        let digits = self.text.get(mark + 2..mark + 6)?;
                        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    }
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Colon,
    /// A comma, or the end of what is open.
    End,
    Name,
    NameOrEnd,
    Value,
    ValueOrEnd,
}

/// Where in a text one is.
struct Grammar {
    expected: Expected,
    /// The closing brackets of what is open.
    open: Vec<u8>,
    deepest: usize,
    spaced: bool,
}

impl Grammar {
    /// Takes the tokens between two marks.
    #[inline]
    fn tokens(&mut self, text: &[u8], from: usize, to: usize) -> Option<()> {
        if to - from == 1 {
            // Most often one stands between two strings.
            let byte = *text.get(from)?;
            if byte == b':' && self.expected == Expected::Colon {
                self.expected = Expected::Value;
                return Some(());
            }
            if byte == b',' && self.expected == Expected::End {
                return self.comma();
            }
        }
        self.any_tokens(text, from, to)
    }

    fn any_tokens(&mut self, text: &[u8], from: usize, to: usize) -> Option<()> {
        let mut at = from;
        while at < to {
            let byte = *text.get(at)?;
            at += 1;
            match (byte, self.expected) {
                (b',', Expected::End) => self.comma()?,
                (b':', Expected::Colon) => self.expected = Expected::Value,
                (b' ', _) => self.spaced = true,
                (b'{', Expected::Value | Expected::ValueOrEnd) => {
                    self.opened(b'}', Expected::NameOrEnd)?;
                }
                (b'[', Expected::Value | Expected::ValueOrEnd) => {
                    self.opened(b']', Expected::ValueOrEnd)?;
                }
                (b'}', Expected::End | Expected::NameOrEnd)
                | (b']', Expected::End | Expected::ValueOrEnd) => {
                    (self.open.pop()? == byte).then_some(())?;
                    self.expected = Expected::End;
                }
                (_, Expected::Value | Expected::ValueOrEnd) => {
                    at = scalar_end(text, at - 1)?;
                    self.expected = Expected::End;
                }
                _ => return None,
            }
        }
        Some(())
    }

    #[inline]
    fn comma(&mut self) -> Option<()> {
        let is_object = *self.open.last()? == b'}';
        self.expected = if is_object { Expected::Name } else { Expected::Value };
        Some(())
    }

    fn opened(&mut self, closing: u8, expected: Expected) -> Option<()> {
        (self.open.len() < self.deepest).then_some(())?;
        self.open.push(closing);
        self.expected = expected;
        Some(())
    }

    /// Takes a string.
    #[inline]
    fn string(&mut self) -> Option<()> {
        self.expected = match self.expected {
            Expected::Value | Expected::ValueOrEnd => Expected::End,
            Expected::Name | Expected::NameOrEnd => Expected::Colon,
            Expected::Colon | Expected::End => return None,
        };
        Some(())
    }

    fn end(&self) -> Option<Spacing> {
        let is_over = self.expected == Expected::End && self.open.is_empty();
        let spacing = if self.spaced { Spacing::Spaced } else { Spacing::Compact };
        is_over.then_some(spacing)
    }
}

/// Returns where the number or the word ends that begins at `start`.
fn scalar_end(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let word: &[u8] = match rest.first()? {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return Some(start + number_length(rest)?),
    };
    rest.starts_with(word).then_some(start + word.len())
}

fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
    };
    let some_digits = |from: usize| Some(digits(from)).filter(|end| *end > from);
    let begin = usize::from(text.first() == Some(&b'-'));
    let mut at = match text.get(begin)? {
        b'0' => begin + 1,
        _ => some_digits(begin)?,
    };
    if text.get(at) == Some(&b'.') {
        at = some_digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let is_signed = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = some_digits(at + 1 + usize::from(is_signed))?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;
    use crate::json::path::tests::value;

    fn is_json(text: &[u8]) -> bool {
        serde_json::from_slice::<IgnoredAny>(text).is_ok()
    }

    #[track_caller]
    fn agrees(text: &str) {
        assert_eq!(check(text.as_bytes(), 200).is_some(), is_json(text.as_bytes()), "{text:?}");
    }

    #[test]
    fn what_a_parser_takes_is_taken_and_nothing_else() {
        let scalars = [
            "0",
            "-0",
            "00",
            "01",
            "-",
            "1.",
            ".5",
            "1.5",
            "1e",
            "1e5",
            "1E+5",
            "1e-",
            "1.5e-07",
            "+1",
            "true",
            "tru",
            "truex",
            "false",
            "null",
            "nul",
            "nan",
            "\"\"",
            "\"",
            "\"\\\"",
            "\"\\\\\"",
            "\"\\u12aF\"",
            "\"\\u12g4\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\nb\"",
            "\"\u{7f}\u{e9}\"",
            "",
            " ",
            "\u{feff}1",
            "\\",
            "\u{0}",
            "'a'",
            "1 2",
            "1,2",
            "\"a\"\"b\"",
            "1\"a\"",
            "\"a\"1",
        ];
        for scalar in scalars {
            for text in [
                scalar.to_owned(),
                format!(" {scalar}\n"),
                format!("[{scalar}]"),
                format!("[1,{scalar} , 2]"),
                format!("{{\"a\":{scalar}}}"),
                format!("{{{scalar}:1}}"),
                format!("{{\"a\" :\t{scalar} ,\"b\":{scalar}}}"),
                format!("[{scalar}"),
                format!("{scalar}]"),
                format!("{{\"a\"{scalar}}}"),
            ] {
                agrees(&text);
                // In blocks of which the first ends somewhere within.
                for fill in [50, 58, 61, 63, 64] {
                    agrees(&format!("[\"{}\",{text}]", "x".repeat(fill)));
                }
            }
        }
    }

    #[test]
    fn brackets_and_commas_are_where_a_parser_takes_them() {
        for text in [
            "[]",
            "{}",
            "[}",
            "{]",
            "[,]",
            "{,}",
            "[1,]",
            "{\"a\":1,}",
            "[[],{}]",
            "]",
            "{\"a\"}",
            "[:]",
        ] {
            agrees(text);
        }
    }

    #[test]
    fn depth_has_a_bound_and_white_space_is_seen() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(nested(9).as_bytes(), 9), Some(Spacing::Compact));
        assert_eq!(check(nested(10).as_bytes(), 9), None);
        for (text, spacing) in [
            ("{\"a b\":[\"\\n \"]}", Spacing::Compact),
            ("[1 ]", Spacing::Spaced),
            (" 1", Spacing::Spaced),
            ("[1\n]", Spacing::Spaced),
            ("{\"a\":\t1}", Spacing::Spaced),
        ] {
            assert_eq!(check(text.as_bytes(), 9), Some(spacing), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn a_text_that_was_changed_is_judged_as_by_a_parser(
            value in value(),
            is_pretty in any::<bool>(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..3),
        ) {
            let text = match is_pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            let mut bytes = text.into_bytes();
            const SIGNS: &[u8] = b"\"\\{}[],:0 1-.e\ntnu/x\t\x01";
            for (place, sign, way) in changes {
                let at = place.index(bytes.len() + 1);
                let sign = SIGNS[usize::from(sign) % SIGNS.len()];
                match way {
                    0 if at < bytes.len() => {
                        bytes.remove(at);
                    }
                    1 if at < bytes.len() => bytes[at] = sign,
                    2 => bytes.truncate(at),
                    _ => bytes.insert(at, sign),
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert_eq!(check(text.as_bytes(), 200).is_some(), is_json(text.as_bytes()), "{}", text);
        }

        #[test]
        fn any_signs_are_judged_as_by_a_parser(text in r#"[\[\]{}",:0-1a\\ \n.e-]{0,12}"#) {
            prop_assert_eq!(check(text.as_bytes(), 200).is_some(), is_json(text.as_bytes()), "{}", text);
        }
    }
}
