//! The escapes that texts are written with: those of JSON and of programming languages, of URLs and
//! of HTML, and bytes that show nothing and could stand between those of a secret.

use dadl_text::lanes::Lanes;

/// The longest number in a reference of HTML that is read.
const MOST_DIGITS: usize = 16;

/// The longest sequence of a terminal that is read.
const MOST_SEQUENCE: usize = 32;

/// What an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EscapeMeaning {
    Byte(u8),
    Char(char),
    /// Nothing that anybody sees.
    Nothing,
}

/// An escape at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EscapeSequence {
    pub(super) meaning: EscapeMeaning,
    pub(super) length: usize,
}

impl EscapeSequence {
    fn byte(byte: u8, length: usize) -> Self {
        let meaning = if is_shown(char::from(byte)) || byte >= 0x80 {
            EscapeMeaning::Byte(byte)
        } else {
            EscapeMeaning::Nothing
        };
        Self { meaning, length }
    }

    fn code(code: u32, length: usize) -> Self {
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let meaning =
            if is_shown(letter) { EscapeMeaning::Char(letter) } else { EscapeMeaning::Nothing };
        Self { meaning, length }
    }

    fn nothing(length: usize) -> Self {
        Self { meaning: EscapeMeaning::Nothing, length }
    }
}

/// Tells the bytes with which an escape, or what shows nothing, may begin.
#[inline]
pub(super) fn beginnings(lanes: Lanes) -> Lanes {
    starters(lanes) | unseen(lanes)
}

/// Tells the bytes with which what shows nothing may begin, which may be several bytes.
#[inline]
pub(super) fn unseen(lanes: Lanes) -> Lanes {
    let control = lanes.below(b' ');
    let other = lanes.at_least(0x7F);
    // Of most texts nearly all bytes are neither.
    if !(control | other).is_any() {
        return Lanes::none();
    }
    let is = |byte| lanes.equal(byte);
    (control & !(is(b'\t') | is(b'\n') | is(b'\r'))) | is(0x7F) | wide_unseen(lanes)
}

/// Tells those of them that are no ASCII.
#[inline]
pub(super) fn wide_unseen(lanes: Lanes) -> Lanes {
    lanes.equal(0xC2) | lanes.equal(0xE2) | lanes.equal(0xEF)
}

/// Returns whether what shows nothing may begin with `byte`.
fn may_be_unseen(byte: u8) -> bool {
    unseen(Lanes::new(&[byte; Lanes::COUNT])).is_any()
}

/// Tells the bytes that begin an escape that is written.
#[inline]
pub(super) fn starters(lanes: Lanes) -> Lanes {
    lanes.equal(b'\\') | lanes.equal(b'%') | lanes.equal(b'&')
}

/// Returns whether `byte` begins an escape that is written.
pub(super) fn is_starter(byte: u8) -> bool {
    (byte == b'\\') | (byte == b'%') | (byte == b'&')
}

/// Returns whether somebody would see it, or an end of a line.
fn is_shown(letter: char) -> bool {
    match letter {
        // The start of a sequence, which is passed over as a whole once it is there.
        '\u{1B}' => true,
        '\t' | '\n' | '\r' => true,
        '\u{AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}' => false,
        _ => !letter.is_control(),
    }
}

/// What is taken for an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EscapeReading {
    /// All escapes as they should be written.
    Strict,
    /// References of HTML without a semicolon, too.
    Loose,
    /// Bytes that show nothing, and no escapes.
    Unseen,
}

/// Reads the escape that `text` begins with.
pub(super) fn read_escape(text: &[u8], reading: EscapeReading) -> Option<EscapeSequence> {
    match text.first()? {
        b'\\' | b'%' | b'&' if reading == EscapeReading::Unseen => None,
        b'\\' => backslash_escape(text),
        b'%' => percent_escape(text),
        b'&' => character_reference(text, reading == EscapeReading::Loose),
        _ => unseen_character(text),
    }
}

fn backslash_escape(text: &[u8]) -> Option<EscapeSequence> {
    match text.get(1)? {
        b'u' if text.get(2) == Some(&b'{') => {
            let end = text.iter().take(12).position(|byte| *byte == b'}')?;
            Some(EscapeSequence::code(hex_number(text.get(3..end)?)?, end + 1))
        }
        b'u' => {
            let code = hex_number(text.get(2..6)?)?;
            // A character beyond the first 65,536 is written as two (RFC 8259, section 7).
            let low = || {
                let next = text.get(6..12)?.strip_prefix(b"\\u")?;
                hex_number(next).filter(|low| (0xDC00..0xE000).contains(low))
            };
            match code {
                0xD800..0xDC00 => Some(match low() {
                    Some(low) => EscapeSequence::code(
                        0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00),
                        12,
                    ),
                    None => EscapeSequence::code(code, 6),
                }),
                _ => Some(EscapeSequence::code(code, 6)),
            }
        }
        b'U' => Some(EscapeSequence::code(hex_number(text.get(2..10)?)?, 10)),
        b'x' => Some(EscapeSequence::byte(u8::try_from(hex_number(text.get(2..4)?)?).ok()?, 4)),
        b'n' => Some(EscapeSequence::byte(b'\n', 2)),
        b'r' => Some(EscapeSequence::byte(b'\r', 2)),
        b't' => Some(EscapeSequence::byte(b'\t', 2)),
        b'0' | b'a' | b'b' | b'f' | b'v' => Some(EscapeSequence::nothing(2)),
        byte @ (b'"' | b'\'' | b'`' | b'\\' | b'/') => Some(EscapeSequence::byte(*byte, 2)),
        _ => None,
    }
}

fn percent_escape(text: &[u8]) -> Option<EscapeSequence> {
    if matches!(text.get(1)?, b'u' | b'U') {
        return Some(EscapeSequence::code(hex_number(text.get(2..6)?)?, 6));
    }
    Some(EscapeSequence::byte(u8::try_from(hex_number(text.get(1..3)?)?).ok()?, 3))
}

/// Reads a character reference of HTML.
fn character_reference(text: &[u8], is_loose: bool) -> Option<EscapeSequence> {
    let body = text.get(1..)?;
    if let Some(number) = body.strip_prefix(b"#") {
        let (digits, radix, before) = match number.split_first()? {
            (b'x' | b'X', digits) => (digits, 16, 3),
            _ => (number, 10, 2),
        };
        let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
        let count = digits.iter().take(MOST_DIGITS).take_while(|byte| is_digit(byte)).count();
        let code = std::str::from_utf8(digits.get(..count)?).ok()?;
        let code = u32::from_str_radix(code, radix).ok()?;
        let is_whole = digits.get(count) == Some(&b';');
        let length = before + count + usize::from(is_whole);
        return (is_whole || is_loose).then(|| EscapeSequence::code(code, length));
    }
    let count = body.iter().take(16).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = std::str::from_utf8(body.get(..count)?).ok()?;
    if body.get(count) == Some(&b';') {
        let (_, letter) = NAMES.iter().find(|(known, _)| *known == name)?;
        return Some(EscapeSequence::code(u32::from(*letter), count + 2));
    }
    if !is_loose {
        return None;
    }
    // Old pages leave the semicolon out.
    let old = ["amp", "AMP", "lt", "LT", "gt", "GT", "quot", "QUOT"];
    let known = old.iter().find(|old| name.starts_with(**old))?;
    let (_, letter) = NAMES.iter().find(|(name, _)| name == known)?;
    Some(EscapeSequence::code(u32::from(*letter), known.len() + 1))
}

/// Reads bytes that show nothing.
fn unseen_character(text: &[u8]) -> Option<EscapeSequence> {
    let length = match text {
        [0x1B, b'[', rest @ ..] => {
            let end = rest.iter().take(MOST_SEQUENCE).position(|byte| (0x40..0x7F).contains(byte));
            end.map_or(1, |end| end + 3)
        }
        // What is between goes first.
        [0x1B, next, ..] if may_be_unseen(*next) => return None,
        [byte, ..] if *byte < 0x20 || *byte == 0x7F => {
            if matches!(byte, b'\t' | b'\n' | b'\r') {
                return None;
            }
            1
        }
        [0xC2, 0x80..=0x9F | 0xAD, ..] => 2,
        [0xE2, 0x80, 0x8B..=0x8F | 0xAA..=0xAE, ..] | [0xE2, 0x81, 0xA0..=0xAF, ..] => 3,
        [0xEF, 0xBB, 0xBF, ..] => 3,
        _ => return None,
    };
    Some(EscapeSequence::nothing(length))
}

fn hex_number(digits: &[u8]) -> Option<u32> {
    let mut code = 0_u32;
    for digit in digits {
        code = code.checked_mul(16)? + char::from(*digit).to_digit(16)?;
    }
    (!digits.is_empty()).then_some(code)
}

/// The names of HTML for characters that secrets have.
const NAMES: &[(&str, char)] = &[
    ("AMP", '&'),
    ("GT", '>'),
    ("Hat", '^'),
    ("LT", '<'),
    ("NewLine", '\n'),
    ("NonBreakingSpace", ' '),
    ("QUOT", '"'),
    ("Tab", '\t'),
    ("UnderBar", '_'),
    ("VerticalLine", '|'),
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("midast", '*'),
    ("nbsp", ' '),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("shy", '\u{AD}'),
    ("sol", '/'),
    ("verbar", '|'),
    ("vert", '|'),
    ("zwj", '\u{200D}'),
    ("zwnj", '\u{200C}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_all_kinds_are_read() {
        let cases: &[(&str, Option<(EscapeMeaning, usize)>)] = &[
            (r"\u0041bc", Some((EscapeMeaning::Char('A'), 6))),
            (r"\uD83D\uDE00", Some((EscapeMeaning::Char('😀'), 12))),
            (r"\u{1F600}", Some((EscapeMeaning::Char('😀'), 9))),
            (r"\x41", Some((EscapeMeaning::Byte(b'A'), 4))),
            (r"\/", Some((EscapeMeaning::Byte(b'/'), 2))),
            (r"\0", Some((EscapeMeaning::Nothing, 2))),
            (r"\u200b", Some((EscapeMeaning::Nothing, 6))),
            (r"\q", None),
            (r"\u00", None),
            ("%41", Some((EscapeMeaning::Byte(b'A'), 3))),
            ("%u0041", Some((EscapeMeaning::Char('A'), 6))),
            ("%4", None),
            ("% 1", None),
            ("&#65;", Some((EscapeMeaning::Char('A'), 5))),
            ("&#0000065;", Some((EscapeMeaning::Char('A'), 10))),
            ("&#x41 ", Some((EscapeMeaning::Char('A'), 5))),
            ("&amp;", Some((EscapeMeaning::Char('&'), 5))),
            ("&ampx", Some((EscapeMeaning::Char('&'), 4))),
            ("&sol;", Some((EscapeMeaning::Char('/'), 5))),
            ("&none;", None),
            ("&#;", None),
            ("\0", Some((EscapeMeaning::Nothing, 1))),
            ("\u{1B}[31mx", Some((EscapeMeaning::Nothing, 5))),
            ("\u{200B}", Some((EscapeMeaning::Nothing, 3))),
            ("\n", None),
            ("é", None),
        ];
        for (text, expected) in cases {
            let found = read_escape(text.as_bytes(), EscapeReading::Loose)
                .map(|escape| (escape.meaning, escape.length));
            assert_eq!(found, *expected, "{text:?}");
        }
        assert_eq!(read_escape(b"&#6%35;", EscapeReading::Strict), None);
        assert_eq!(read_escape(b"%41", EscapeReading::Unseen), None);
    }
}
