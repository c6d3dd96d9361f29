//! Where the values of a text begin and end.

use std::{borrow::Cow, ops::Range};

use serde::de::{Error as _, IgnoredAny};

use super::check::{self, Spacing};
use crate::{
    growth,
    words::{self, WORD},
};

/// The parser remembers each level of what it checks.
const DEEPEST: usize = 512 * 1024;

/// A long string is read in pieces of so many bytes.
const PIECE: usize = 64 * 1024;

/// Two escapes that stand for one character have no more bytes.
const ESCAPE: usize = 12;

/// Returns where the value that begins at `start` ends.
pub fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => string_end(bytes, start),
        b'[' | b'{' => container_end(bytes, start),
        _ => {
            let rest = bytes.get(start..)?;
            let length = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}'));
            Some(start + length.unwrap_or(rest.len()))
        }
    }
}

/// Returns where the string that begins at `start` ends, behind its closing quote.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let found = at + quote_or_backslash(bytes.get(at..)?)?;
        match bytes.get(found)? {
            b'"' => return Some(found + 1),
            _ => at = found + 2,
        }
    }
}

/// So many bytes are looked at before a long string is searched in larger parts, which takes a while to begin.
const NEAR: usize = 4 * WORD;

/// Returns where the first quote or backslash is.
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (near, _) = bytes.get(..NEAR).unwrap_or_default().as_chunks::<WORD>();
    for (number, word) in near.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let marks = words::equal(word, b'"') | words::equal(word, b'\\');
        if marks != 0 {
            return Some(number * WORD + words::first(marks));
        }
    }
    let behind = near.len() * WORD;
    memchr::memchr2(b'"', b'\\', bytes.get(behind..)?).map(|at| behind + at)
}

fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// The items of an array.
pub struct ArrayItems<'text> {
    text: &'text str,
    at: usize,
}

/// Returns the items of an array; `None` when the value is none.
pub fn array_items(text: &str) -> Option<ArrayItems<'_>> {
    text.starts_with('[').then_some(ArrayItems { text, at: 1 })
}

impl<'text> Iterator for ArrayItems<'text> {
    type Item = &'text str;

    fn next(&mut self) -> Option<&'text str> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b']') {
            return None;
        }
        let end = value_end(bytes, self.at).filter(|end| *end > self.at)?;
        let item = self.text.get(self.at..end)?;
        self.at = if bytes.get(end) == Some(&b',') { end + 1 } else { end };
        Some(item)
    }
}

/// The members of an object, each with its name as it is written.
pub struct ObjectMembers<'text> {
    text: &'text str,
    at: usize,
}

/// Returns the members of an object; `None` when the value is none.
pub fn object_members(text: &str) -> Option<ObjectMembers<'_>> {
    text.starts_with('{').then_some(ObjectMembers { text, at: 1 })
}

impl ObjectMembers<'_> {
    /// Returns where the next member begins, or the end of the object.
    pub(super) fn place(&self) -> usize {
        self.at
    }
}

impl<'text> Iterator for ObjectMembers<'text> {
    type Item = (&'text str, &'text str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'}') {
            return None;
        }
        let name_end = string_end(bytes, self.at)?;
        let name = self.text.get(self.at..name_end)?;
        let start = name_end + 1;
        let end = value_end(bytes, start)?;
        let value = self.text.get(start..end)?;
        self.at = if bytes.get(end) == Some(&b',') { end + 1 } else { end };
        Some((name, value))
    }
}

/// Returns what a string says, without its quotes; `None` when it has half of a surrogate pair.
pub fn unquote(string: &str) -> Option<Cow<'_, str>> {
    let inner = string.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(string).ok().map(Cow::Owned)
}

/// Returns what a string says, without its quotes, in a block of its own; `None` when it is no string, or has
/// half of a surrogate pair. No part of it is there twice meanwhile.
pub fn unquoted(string: &str) -> Option<String> {
    let mut rest = string.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', rest.as_bytes()).is_none() {
        return Some(growth::copy(rest));
    }
    let mut text = growth::text_buffer(rest.len());
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(piece_end(rest));
        let piece: String = serde_json::from_str(&format!("\"{piece}\"")).ok()?;
        growth::append_text(&mut text, &piece);
        rest = behind;
    }
    Some(text)
}

/// Returns where the inner part of a string can be cut: not within what one escape, or two, stand for.
fn piece_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = PIECE;
    while let Some(before) = bytes.get(at.saturating_sub(ESCAPE)..at) {
        match memchr::memrchr(b'\\', before) {
            Some(escape) => at += escape + 1,
            None if text.is_char_boundary(at) => return at,
            None => at += 1,
        }
    }
    bytes.len()
}

/// Returns the value that the names lead to, object by object.
pub fn member_at<'text>(text: &'text str, names: &[&str]) -> Option<&'text str> {
    names.iter().try_fold(text, |text, name| {
        let is_it = |(key, _): &(&str, &str)| unquote(key).is_some_and(|key| key == *name);
        Some(object_members(text)?.filter(is_it).last()?.1)
    })
}

/// Checks a text and drops the white space between its tokens.
pub fn compacted(text: &str) -> Result<String, serde_json::Error> {
    match spacing(text)? {
        Spacing::Compact => Ok(growth::copy(text)),
        Spacing::Spaced => Ok(compact_in_place(growth::copy(text))),
    }
}

/// Does the same with a text whose place it takes; the text comes back with the error.
pub fn compacted_in_place(text: String) -> Result<String, (String, serde_json::Error)> {
    match spacing(&text) {
        Ok(Spacing::Compact) => Ok(text),
        Ok(Spacing::Spaced) => Ok(compact_in_place(text)),
        Err(error) => Err((text, error)),
    }
}

/// Checks that a text is JSON.
pub fn check_json(text: &str) -> Result<(), serde_json::Error> {
    spacing(text).map(|_| ())
}

/// Checks that a text is JSON, and says what it has between its tokens.
fn spacing(text: &str) -> Result<Spacing, serde_json::Error> {
    match check::check(text.as_bytes(), DEEPEST) {
        Some(spacing) => Ok(spacing),
        None => read_by_parser(text).map(|()| Spacing::Spaced),
    }
}

/// Asks the parser, which says what is wrong and where.
fn read_by_parser(text: &str) -> Result<(), serde_json::Error> {
    if is_too_deep(text.as_bytes()) {
        return Err(serde_json::Error::custom(format!("it is nested more than {DEEPEST} deep")));
    }
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// Returns whether values are nested deeper than anything that makes sense; a short text has no room for it.
fn is_too_deep(bytes: &[u8]) -> bool {
    if bytes.len() <= DEEPEST {
        return false;
    }
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => match string_end(bytes, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => return false,
            },
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// Drops the white space between the tokens of valid JSON where it is: there is no second text, unless the
/// white space was most of it.
pub fn compact_in_place(text: String) -> String {
    let mut bytes = text.into_bytes();
    let before = bytes.len();
    // What has been looked at ends at `at`; what of it stays begins at `from`, and is moved to `to`.
    let (mut from, mut to, mut at) = (0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            // Valid JSON closes its strings; else the rest stays.
            b'"' => at = string_end(&bytes, at).unwrap_or(bytes.len()),
            byte if byte.is_ascii_whitespace() => {
                to = move_back(&mut bytes, from..at, to);
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest.iter().position(|byte| !byte.is_ascii_whitespace());
                at += length.unwrap_or(rest.len());
                from = at;
            }
            _ => at += 1,
        }
    }
    let to = move_back(&mut bytes, from..at, to);
    bytes.truncate(to);
    // Invariant: only ASCII was taken out.
    growth::shortened(String::from_utf8(bytes).unwrap_or_default(), before)
}

/// Moves a part to a place before it; returns where it ends there.
fn move_back(bytes: &mut [u8], part: Range<usize>, to: usize) -> usize {
    let length = part.len();
    if part.start > to {
        bytes.copy_within(part, to);
    }
    to + length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::json::path::tests::value;

    #[test]
    fn parts_of_odd_texts_are_some_part_of_them() {
        for text in ["", "[", "{", "[1", "{\"a", "{\"a\"", "{\"a\":", "\"\\", "[\"\\\"", "]", "[}"]
        {
            assert!(array_items(text).into_iter().flatten().count() <= 1, "{text}");
            assert!(object_members(text).into_iter().flatten().count() <= 1, "{text}");
            let _ = value_end(text.as_bytes(), 0);
        }
    }

    #[test]
    fn nothing_is_nested_without_a_bound() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check_json(&nested(DEEPEST)).is_ok());
        let error = check_json(&nested(DEEPEST + 1)).unwrap_err().to_string();
        assert!(error.contains("nested more than 524288 deep"), "{error}");
        assert!(check_json(&format!("[\"{}\"]", "[".repeat(DEEPEST + 1))).is_ok());
        assert!(check_json(&format!("[{}[]]", "[],".repeat(DEEPEST))).is_ok());
    }

    #[test]
    fn white_space_goes_without_a_second_text() {
        let text = String::from(" { \"a b\" : [ 1 , \"\\\" \\\\\" ] ,\n\t\"\u{e9} \" : null } ");
        let place = text.as_ptr();
        let compact = compact_in_place(text);
        assert_eq!(compact, "{\"a b\":[1,\"\\\" \\\\\"],\"\u{e9} \":null}");
        assert_eq!(compact.as_ptr(), place);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_text_is_compacted_where_it_is_as_in_a_second_one(value in value()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(&compacted(&pretty).unwrap(), &value.to_string());
            prop_assert_eq!(&compacted_in_place(pretty).unwrap(), &value.to_string());
            let odd = value.to_string().replace(',', " ,\r\n\t ").replace(':', ": ");
            match serde_json::from_str::<Value>(&odd) {
                Ok(expected) => prop_assert_eq!(compacted(&odd).unwrap(), expected.to_string()),
                Err(expected) => {
                    // A control in a string, after which the places differ.
                    prop_assert!(compacted(&odd).is_err(), "{}", expected);
                }
            }
        }

        #[test]
        fn a_long_string_says_what_a_parser_reads(
            parts in proptest::collection::vec("[a\"\\\\\n\u{e9}\u{1f600}]{0,20}", 1..3),
            count in 1..2000_usize,
        ) {
            let text = parts.concat().repeat(count);
            let quoted = Value::from(text.as_str()).to_string();
            prop_assert_eq!(unquoted(&quoted), Some(text));
            let escaped = format!("\"{}\"", "\\ud83d\\ude00".repeat(count));
            prop_assert_eq!(unquoted(&escaped), Some("\u{1f600}".repeat(count)));
        }

        #[test]
        fn items_and_members_are_those_of_the_tree(value in value()) {
            let text = value.to_string();
            prop_assert_eq!(value_end(text.as_bytes(), 0), Some(text.len()));
            let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            match &value {
                Value::Array(expected) => {
                    let found: Vec<Value> = array_items(&text).unwrap().map(parsed).collect();
                    prop_assert_eq!(&found, expected);
                }
                Value::Object(expected) => {
                    let found = object_members(&text).unwrap();
                    let found = found.map(|(name, value)| (unquote(name).unwrap().into_owned(), parsed(value)));
                    prop_assert_eq!(&found.collect::<serde_json::Map<_, _>>(), expected);
                }
                _ => prop_assert!(array_items(&text).is_none() && object_members(&text).is_none()),
            }
        }
    }
}
