//! Where the values of a text begin and end.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Returns where the value that begins at `start` ends.
pub(crate) fn end(bytes: &[u8], start: usize) -> Option<usize> {
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
        let found = at + memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(found)? {
            b'"' => return Some(found + 1),
            _ => at = found + 2,
        }
    }
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
pub(crate) struct Items<'text> {
    text: &'text str,
    at: usize,
}

/// Returns the items of an array; `None` when the value is none.
pub(crate) fn items(text: &str) -> Option<Items<'_>> {
    text.starts_with('[').then_some(Items { text, at: 1 })
}

impl<'text> Iterator for Items<'text> {
    type Item = &'text str;

    fn next(&mut self) -> Option<&'text str> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b']') {
            return None;
        }
        let end = end(bytes, self.at).filter(|end| *end > self.at)?;
        let item = self.text.get(self.at..end)?;
        self.at = if bytes.get(end) == Some(&b',') { end + 1 } else { end };
        Some(item)
    }
}

/// The members of an object, each with its name as it is written.
pub(crate) struct Members<'text> {
    text: &'text str,
    at: usize,
}

/// Returns the members of an object; `None` when the value is none.
pub(crate) fn members(text: &str) -> Option<Members<'_>> {
    text.starts_with('{').then_some(Members { text, at: 1 })
}

impl<'text> Iterator for Members<'text> {
    type Item = (&'text str, &'text str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'}') {
            return None;
        }
        let name_end = string_end(bytes, self.at)?;
        let name = self.text.get(self.at..name_end)?;
        let start = name_end + 1;
        let end = end(bytes, start)?;
        let value = self.text.get(start..end)?;
        self.at = if bytes.get(end) == Some(&b',') { end + 1 } else { end };
        Some((name, value))
    }
}

/// Returns what a string says, without its quotes; `None` when it has half of a surrogate pair.
pub(crate) fn unquote(string: &str) -> Option<Cow<'_, str>> {
    let inner = string.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(string).ok().map(Cow::Owned)
}

/// Returns the value that the names lead to, object by object.
pub(crate) fn at<'text>(text: &'text str, names: &[&str]) -> Option<&'text str> {
    names.iter().try_fold(text, |text, name| {
        let is_it = |(key, _): &(&str, &str)| unquote(key).is_some_and(|key| key == *name);
        Some(members(text)?.filter(is_it).last()?.1)
    })
}

/// Checks a text and drops the white space between its tokens.
pub(crate) fn compacted(text: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text)?;
    let mut compacted = String::with_capacity(text.len());
    compact(text, &mut compacted);
    Ok(compacted)
}

/// Appends `text`, which is valid JSON, without the white space between its tokens.
fn compact(text: &str, compacted: &mut String) {
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        let (tokens, string) = rest.split_at(quote);
        push_tokens(tokens, compacted);
        // Valid JSON closes its strings; the fallback keeps the text as it is.
        let end = string_end(string.as_bytes(), 0).unwrap_or(string.len());
        let (string, after) = string.split_at(end);
        compacted.push_str(string);
        rest = after;
    }
    push_tokens(rest, compacted);
}

/// Appends what stands between two strings.
fn push_tokens(tokens: &str, compacted: &mut String) {
    if tokens.bytes().any(|byte| byte.is_ascii_whitespace()) {
        compacted.extend(tokens.split_ascii_whitespace());
    } else {
        compacted.push_str(tokens);
    }
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
            assert!(items(text).into_iter().flatten().count() <= 1, "{text}");
            assert!(members(text).into_iter().flatten().count() <= 1, "{text}");
            let _ = end(text.as_bytes(), 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn items_and_members_are_those_of_the_tree(value in value()) {
            let text = value.to_string();
            prop_assert_eq!(end(text.as_bytes(), 0), Some(text.len()));
            let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            match &value {
                Value::Array(expected) => {
                    let found: Vec<Value> = items(&text).unwrap().map(parsed).collect();
                    prop_assert_eq!(&found, expected);
                }
                Value::Object(expected) => {
                    let found = members(&text).unwrap();
                    let found = found.map(|(name, value)| (unquote(name).unwrap().into_owned(), parsed(value)));
                    prop_assert_eq!(&found.collect::<serde_json::Map<_, _>>(), expected);
                }
                _ => prop_assert!(items(&text).is_none() && members(&text).is_none()),
            }
        }
    }
}
