//! JSON text becomes a value without copying its strings: they are parts of the text.

use bytes::Bytes;
use jaq_json::{Map, Val, read};

/// Parses `text`; `None` when it is not the JSON that answers are made of, so that the parser of
/// `jaq` may have a look at it and say why.
pub(super) fn parse_json(text: &Bytes) -> Option<Val> {
    let mut parser = JsonParser { text, at: 0 };
    let value = parser.parse_value()?;
    parser.space();
    (parser.at == text.len()).then_some(value)
}

struct JsonParser<'text> {
    text: &'text Bytes,
    at: usize,
}

impl JsonParser<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.at += self.rest().iter().take_while(space).count();
    }

    fn take(&mut self, token: &[u8]) -> Option<()> {
        self.rest().starts_with(token).then(|| self.at += token.len())
    }

    fn parse_value(&mut self) -> Option<Val> {
        self.space();
        match self.rest().first()? {
            b'"' => self.parse_string(),
            b'{' => self.parse_object(),
            b'[' => self.parse_array(),
            b'n' => self.take(b"null").map(|()| Val::Null),
            b't' => self.take(b"true").map(|()| Val::Bool(true)),
            b'f' => self.take(b"false").map(|()| Val::Bool(false)),
            _ => self.parse_number(),
        }
    }

    fn parse_number(&mut self) -> Option<Val> {
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest().iter().take_while(is_part).count();
        let digits = self.rest().get(..length)?;
        let number = read::parse_single_num(digits)?;
        self.at += length;
        Some(Val::Num(number))
    }

    fn parse_string(&mut self) -> Option<Val> {
        self.take(b"\"")?;
        let rest = self.rest();
        let end = memchr::memchr2(b'"', b'\\', rest)?;
        if rest.get(end) == Some(&b'"') {
            let string = self.text.slice(self.at..self.at + end);
            self.at += end + 1;
            return Some(Val::utf8_str(string));
        }
        // One with escapes is left to the other parser, which makes a text of its own.
        let mut end = end;
        while rest.get(end)? != &b'"' {
            end += 2;
            end += memchr::memchr2(b'"', b'\\', rest.get(end..)?)?;
        }
        let whole = self.text.get(self.at - 1..=self.at + end)?;
        self.at += end + 1;
        read::parse_single(whole).ok()
    }

    fn parse_array(&mut self) -> Option<Val> {
        self.take(b"[")?;
        let mut items = Vec::new();
        self.space();
        if self.take(b"]").is_none() {
            loop {
                items.push(self.parse_value()?);
                self.space();
                if self.take(b"]").is_some() {
                    break;
                }
                self.take(b",")?;
            }
        }
        Some(items.into_iter().collect())
    }

    fn parse_object(&mut self) -> Option<Val> {
        self.take(b"{")?;
        let mut members = Map::default();
        self.space();
        if self.take(b"}").is_none() {
            loop {
                self.space();
                let key = self.parse_string()?;
                self.space();
                self.take(b":")?;
                let value = self.parse_value()?;
                members.insert(key, value);
                self.space();
                if self.take(b"}").is_some() {
                    break;
                }
                self.take(b",")?;
            }
        }
        Some(Val::obj(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_answers_are_made_of_and_leaves_the_rest() {
        let reads = |text: &str| parse_json(&Bytes::from(text.to_owned()));
        for text in [
            r#" {"a" : [1, -2.50, 1e3, true, false, null, "x", {}, []], "b\"\\": "\u00e9\\" } "#,
            "\"\"",
            "123456789012345678901234567890",
        ] {
            let expected = read::parse_single(text.as_bytes()).unwrap();
            assert_eq!(reads(text), Some(expected), "{text}");
        }
        for text in
            ["", "[1", "[1,]", "{\"a\"}", "{1:2}", "\"a", "\"a\\", "nul", "1 2", "-", "[1 2]"]
        {
            assert_eq!(reads(text), None, "{text}");
        }
    }
}
