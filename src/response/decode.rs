//! Decodes a whole body by its content type (RFC 9110, section 8.3).

use mime::Mime;

use super::{MASK, collect::Collector};
use crate::{
    outcome::{JsonText, Payload},
    secrets::Secrets,
    text::cut_bytes,
};

/// How much of a body that makes no sense is shown.
const EXCERPT: usize = 200;

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

/// A body that is not what its content type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no valid {expected}: {reason}; {}", beginning(.excerpt))]
pub struct DecodeError {
    /// `JSON`, `NDJSON`.
    pub expected: &'static str,
    /// What the parser said, with line and column.
    pub reason: String,
    /// The start of the body.
    pub excerpt: String,
}

fn beginning(excerpt: &str) -> String {
    match excerpt {
        MASK => "what it begins with is not shown: the tool hides values (`redact`)".to_owned(),
        excerpt => format!("it begins with {excerpt:?}"),
    }
}

/// Decodes `body`; binary bodies never come here.
pub fn decode(body: &[u8], content_type: Option<&str>) -> Result<Payload, DecodeError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Payload::Empty);
    }
    match BodyType::of(content_type) {
        BodyType::Json => json(body).map(Payload::Json),
        BodyType::Ndjson => ndjson(body).map(Payload::Json),
        BodyType::Unknown => Ok(json(body).map_or_else(|_| text(body, None), Payload::Json)),
        BodyType::Text | BodyType::EventStream | BodyType::Binary => Ok(text(body, content_type)),
    }
}

/// Returns the start of a body for an error message, on one line.
pub fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..EXCERPT * 4).unwrap_or(body));
    let mut words = String::with_capacity(EXCERPT);
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > EXCERPT {
            break;
        }
    }
    cut_bytes(&words, EXCERPT).into_owned()
}

fn json(body: &[u8]) -> Result<JsonText, DecodeError> {
    // A byte order mark is no JSON (RFC 8259, section 8.1), yet some servers send one.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    JsonText::parse(utf8(body, "JSON")?).map_err(|error| DecodeError {
        expected: "JSON",
        reason: error.to_string(),
        excerpt: excerpt(body),
    })
}

fn ndjson(body: &[u8]) -> Result<JsonText, DecodeError> {
    let mut collector = Collector::lines(None, &Secrets::default());
    collector.push(body)?;
    collector.end()?;
    Ok(collector.finish())
}

/// JSON is UTF-8 (RFC 8259, section 8.1).
fn utf8<'body>(body: &'body [u8], expected: &'static str) -> Result<&'body str, DecodeError> {
    std::str::from_utf8(body).map_err(|error| DecodeError {
        expected,
        reason: format!("byte {} is not UTF-8", error.valid_up_to()),
        excerpt: excerpt(body),
    })
}

fn text(body: &[u8], content_type: Option<&str>) -> Payload {
    let charset = content_type
        .and_then(|text| text.parse::<Mime>().ok())
        .and_then(|mime| mime.get_param(mime::CHARSET).map(|name| name.to_string()));
    let encoding = charset
        .and_then(|name| encoding_rs::Encoding::for_label(name.as_bytes()))
        .unwrap_or(encoding_rs::UTF_8);
    let (text, _, _) = encoding.decode(body);
    let content_type = content_type.unwrap_or("text/plain").to_owned();
    Payload::Text { content_type, text: text.into_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value(body: &[u8], content_type: &str) -> Value {
        match decode(body, Some(content_type)).unwrap() {
            Payload::Json(text) => text.value().unwrap(),
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
        let Payload::Text { text, .. } =
            decode(b"caf\xe9", Some("text/plain; charset=iso-8859-1")).unwrap()
        else {
            panic!("no text")
        };
        assert_eq!(text, "café");
        assert!(matches!(decode(b" \n", Some("text/plain")).unwrap(), Payload::Empty));
        assert!(matches!(decode(b"[1]", None).unwrap(), Payload::Json(_)));
        assert!(matches!(decode(b"hello", None).unwrap(), Payload::Text { .. }));
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(b"<html>\n  <b>x"), "<html> <b>x");
        assert!(excerpt("é".repeat(5000).as_bytes()).chars().count() <= EXCERPT + 1);
        assert!(excerpt("wörd ".repeat(5000).as_bytes()).len() <= EXCERPT + 8);
    }
}
