//! Decodes a whole body by its content type (RFC 9110, section 8.3).

use bytes::{Buf as _, Bytes};
use dadl_text::{growth, json::scan};
use encoding_rs::Encoding;
use mime::Mime;

use super::{
    decode_error::{DecodeError, excerpt},
    stream_collector::StreamCollector,
};
use crate::{
    outcome::{AnswerPayload, JsonText},
    secrets::Secrets,
};

/// A byte order mark.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// So much of a text is decoded at once, in bytes.
const PIECE: usize = 16 * 1024;

/// What kind of body a content type announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// Anything that is not text: it goes to a file.
    Binary,
    /// `application/json` and `+json`.
    Json,
    /// One JSON value a line.
    Ndjson,
    /// Server-sent events: an answer without an end.
    EventStream,
    /// Text of any kind.
    Text,
    /// No content type: decided by the first bytes.
    Unknown,
}

impl BodyType {
    /// Classifies a `Content-Type` field.
    pub fn of(content_type: Option<&str>) -> Self {
        // Most answers say this, and each is asked several times.
        if content_type == Some("application/json") {
            return Self::Json;
        }
        let Some(text) = content_type.filter(|text| !text.trim().is_empty()) else {
            return Self::Unknown;
        };
        let Ok(mime) = text.parse::<Mime>() else { return Self::Unknown };
        if mime.suffix() == Some(mime::JSON) {
            return Self::Json;
        }
        match (mime.type_().as_str(), mime.subtype().as_str()) {
            ("application", "json") => Self::Json,
            ("application", "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "json-seq") => {
                Self::Ndjson
            }
            ("text", "event-stream") => Self::EventStream,
            ("text", _) => Self::Text,
            ("application", "xml" | "yaml" | "x-yaml" | "javascript" | "toml" | "graphql") => {
                Self::Text
            }
            _ if mime.suffix() == Some(mime::XML) => Self::Text,
            _ => Self::Binary,
        }
    }
}

/// Decodes `body`; binary bodies never come here. Text has at most `most` bytes, in UTF-8.
pub fn decode(
    body: Bytes,
    content_type: Option<&str>,
    most: usize,
) -> Result<AnswerPayload, DecodeError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(AnswerPayload::Empty);
    }
    match BodyType::of(content_type) {
        BodyType::Json => decode_json(body).map(AnswerPayload::Json),
        BodyType::Ndjson => decode_ndjson(&body).map(AnswerPayload::Json),
        BodyType::Unknown if is_json(&body) => decode_json(body).map(AnswerPayload::Json),
        BodyType::Unknown => decode_text(body, None, most),
        BodyType::Text | BodyType::EventStream | BodyType::Binary => {
            decode_text(body, content_type, most)
        }
    }
}

/// Takes the JSON of a body, which becomes the text: there is no second one.
fn decode_json(mut body: Bytes) -> Result<JsonText, DecodeError> {
    // A byte order mark is no JSON (RFC 8259, section 8.1), yet some servers send one.
    if body.starts_with(MARK) {
        body.advance(MARK.len());
    }
    let fail = |reason: String, body: &[u8]| DecodeError {
        expected: "JSON",
        reason,
        excerpt: excerpt(body),
    };
    // JSON is UTF-8 (RFC 8259, section 8.1).
    let text = String::from_utf8(Vec::from(body)).map_err(|error| {
        let reason = format!("byte {} is not UTF-8", error.utf8_error().valid_up_to());
        fail(reason, error.as_bytes())
    })?;
    let compacted = scan::compacted_in_place(text);
    let text = compacted.map_err(|(text, error)| fail(error.to_string(), text.as_bytes()))?;
    Ok(JsonText::trusted(text))
}

fn is_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(MARK).unwrap_or(body);
    std::str::from_utf8(body).is_ok_and(|text| scan::check_json(text).is_ok())
}

fn decode_ndjson(body: &[u8]) -> Result<JsonText, DecodeError> {
    let mut collector = StreamCollector::lines(None, &Secrets::default());
    collector.push(body)?;
    collector.end()?;
    Ok(collector.finish())
}

/// Reads a text by its charset. In UTF-8 it can take three times the bytes.
fn decode_text(
    body: Bytes,
    content_type: Option<&str>,
    most: usize,
) -> Result<AnswerPayload, DecodeError> {
    let charset = content_type
        .and_then(|text| text.parse::<Mime>().ok())
        .and_then(|mime| mime.get_param(mime::CHARSET).map(|name| name.to_string()));
    let encoding =
        charset.and_then(|name| Encoding::for_label(name.as_bytes())).unwrap_or(encoding_rs::UTF_8);
    // What begins with a mark says itself what it is.
    let (encoding, mark) = Encoding::for_bom(&body).unwrap_or((encoding, 0));
    let is_text = encoding == encoding_rs::UTF_8 && std::str::from_utf8(&body).is_ok();
    let text = if is_text {
        let text = Vec::from(body.slice(mark..));
        String::from_utf8(text).unwrap_or_default()
    } else {
        let rest = body.get(mark..).unwrap_or_default();
        in_utf8(rest, encoding, most).ok_or_else(|| DecodeError {
            expected: "text",
            reason: format!("in UTF-8 it has more than {most} bytes (`max_response_size`)"),
            excerpt: excerpt(&body),
        })?
    };
    let content_type = content_type.unwrap_or("text/plain").to_owned();
    Ok(AnswerPayload::Text { content_type, text })
}

/// Decodes `body` piece by piece; `None` when it has more than `most` bytes then.
fn in_utf8(body: &[u8], encoding: &'static Encoding, most: usize) -> Option<String> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::new();
    let mut piece = String::with_capacity(PIECE * 4);
    let mut rest = body;
    loop {
        let now = rest.get(..PIECE).unwrap_or(rest);
        let is_last = now.len() == rest.len();
        // What a piece becomes has room: three bytes for one, and what was left of the last one.
        let (_, read, _) = decoder.decode_to_string(now, &mut piece, is_last);
        if text.len() + piece.len() > most {
            return None;
        }
        growth::append_text(&mut text, &piece);
        piece.clear();
        rest = rest.get(read..).unwrap_or_default();
        if is_last && rest.is_empty() {
            return Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decode(body: &[u8], content_type: Option<&str>) -> Result<AnswerPayload, DecodeError> {
        super::decode(Bytes::copy_from_slice(body), content_type, usize::MAX)
    }

    fn value(body: &[u8], content_type: &str) -> Value {
        match decode(body, Some(content_type)).unwrap() {
            AnswerPayload::Json(text) => text.value().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn content_types_are_told_apart() {
        let cases = [
            ("application/json; charset=utf-8", BodyType::Json),
            ("application/problem+json", BodyType::Json),
            ("application/x-ndjson", BodyType::Ndjson),
            ("text/markdown", BodyType::Text),
            ("text/event-stream", BodyType::EventStream),
            ("application/atom+xml", BodyType::Text),
            ("application/octet-stream", BodyType::Binary),
            ("image/png", BodyType::Binary),
            ("nonsense", BodyType::Unknown),
        ];
        for (text, expected) in cases {
            assert_eq!(BodyType::of(Some(text)), expected, "{text}");
        }
    }

    #[test]
    fn json_and_ndjson_become_values() {
        assert_eq!(value(b"{\"a\":1}", "application/json"), json!({"a": 1}));
        assert_eq!(value(b"{\"a\":1}\n\n[2]\n", "application/x-ndjson"), json!([{"a": 1}, [2]]));
        assert_eq!(
            value(b"18446744073709551615", "application/json").to_string(),
            "18446744073709551615"
        );
    }

    #[test]
    fn broken_bodies_are_errors_that_show_where() {
        let error = decode(b"{\"a\":", Some("application/json")).unwrap_err().to_string();
        assert!(error.contains("JSON") && error.contains("line 1 column 5"), "{error}");
        let error = decode(b"{}\nx\n", Some("application/x-ndjson")).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn text_follows_its_charset() {
        let AnswerPayload::Text { text, .. } =
            decode(b"caf\xe9", Some("text/plain; charset=iso-8859-1")).unwrap()
        else {
            panic!("no text")
        };
        assert_eq!(text, "café");
        assert!(matches!(decode(b" \n", Some("text/plain")).unwrap(), AnswerPayload::Empty));
        assert!(matches!(decode(b"[1]", None).unwrap(), AnswerPayload::Json(_)));
        assert!(matches!(decode(b"hello", None).unwrap(), AnswerPayload::Text { .. }));
    }

    #[test]
    fn a_text_that_becomes_longer_has_a_bound() {
        let decoded = |body: &[u8], charset: &str, most| {
            let content_type = format!("text/plain; charset={charset}");
            super::decode(Bytes::copy_from_slice(body), Some(&content_type), most)
        };
        for (body, charset) in [(vec![0x80; 60_000], "windows-1252"), (vec![0xFF; 60_000], "utf-8")]
        {
            let error = decoded(&body, charset, 179_999).unwrap_err().to_string();
            assert!(error.contains("max_response_size"), "{error}");
            let AnswerPayload::Text { text, .. } = decoded(&body, charset, 180_000).unwrap() else {
                panic!("no text")
            };
            assert_eq!(text.chars().count(), 60_000);
        }
    }

    #[test]
    fn a_long_text_is_what_its_decoder_makes_of_it_at_once() {
        let texts = ["\u{65e5}\u{672c}\u{8a9e} x".repeat(9_000), "caf\u{e9} ".repeat(9_000)];
        for name in ["shift_jis", "iso-2022-jp", "utf-16le", "euc-jp", "windows-1252", "utf-8"] {
            let encoding = Encoding::for_label(name.as_bytes()).unwrap();
            for text in &texts {
                let mut bytes = match name {
                    "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                    _ => encoding.encode(text).0.into_owned(),
                };
                bytes.push(0xE3);
                let expected = encoding.decode_without_bom_handling(&bytes).0;
                assert_eq!(in_utf8(&bytes, encoding, usize::MAX).unwrap(), expected, "{name}");
            }
        }
        for (body, expected) in [(&b"\xFF\xFEa\0"[..], "a"), (b"\xEF\xBB\xBFa\xC3\xA9", "a\u{e9}")]
        {
            let AnswerPayload::Text { text, .. } = decode(body, Some("text/plain")).unwrap() else {
                panic!("no text")
            };
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn json_is_not_copied() {
        let body = b"[ 1 , 2 ]".to_vec();
        let place = body.as_ptr();
        let AnswerPayload::Json(text) =
            super::decode(body.into(), Some("application/json"), 0).unwrap()
        else {
            panic!("no JSON")
        };
        assert_eq!((text.as_str(), text.as_str().as_ptr()), ("[1,2]", place));
    }
}
