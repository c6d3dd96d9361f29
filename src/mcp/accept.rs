//! Which answers a client takes: the `Accept` fields of a request (RFC 9110, section 12.5.1).
//!
//! The library wants the media types of the transport spelled out. A client that takes anything, or
//! says nothing, takes them too.

use http::{HeaderMap, HeaderValue, Method, header};

/// One message.
const JSON: (&str, &str) = ("application", "json");
/// A stream of them.
const EVENTS: (&str, &str) = ("text", "event-stream");

/// Returns what a client could have written to say that it takes what a request of this method may
/// be answered with; `None` when it does not take it.
pub(super) fn spelled_out(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let (wanted, text): (&[_], _) = match *method {
        Method::POST => (&[JSON, EVENTS], "application/json, text/event-stream"),
        Method::GET => (&[EVENTS], "text/event-stream"),
        _ => return None,
    };
    let mut fields = headers.get_all(header::ACCEPT).into_iter();
    if let (Some(field), None) = (fields.next(), fields.next())
        && field == text
    {
        // Most clients write it so.
        return Some(field.clone());
    }
    let ranges = MediaRanges::read(headers)?;
    let takes_all = wanted.iter().all(|wanted| ranges.take(*wanted));
    takes_all.then_some(HeaderValue::from_static(text))
}

/// Media ranges, and whether what they match is taken.
struct MediaRanges<'fields>(Vec<(&'fields str, bool)>);

impl<'fields> MediaRanges<'fields> {
    /// Reads all fields; `None` when one of them is no text.
    fn read(headers: &'fields HeaderMap) -> Option<Self> {
        let mut ranges = Vec::new();
        for value in headers.get_all(header::ACCEPT) {
            let text = value.to_str().ok()?;
            ranges.extend(
                unquoted(text, ',').map(str::trim).filter(|it| !it.is_empty()).map(parse_range),
            );
        }
        Some(Self(ranges))
    }

    /// Returns whether a media type is taken: the range that says most about it decides.
    fn take(&self, (kind, subkind): (&str, &str)) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let precision = |range: &str| match range.split_once('/') {
            Some((a, b)) if a.eq_ignore_ascii_case(kind) && b.eq_ignore_ascii_case(subkind) => {
                Some(2)
            }
            Some((a, "*")) if a.eq_ignore_ascii_case(kind) => Some(1),
            Some(("*", "*")) => Some(0),
            // Old clients of Java write it so.
            None if range == "*" => Some(0),
            _ => None,
        };
        let matching = self.0.iter().filter_map(|(range, taken)| Some((precision(range)?, *taken)));
        matching.max().is_some_and(|(_, taken)| taken)
    }
}

/// Reads a media range without its parameters, and whether its weight is more than none.
fn parse_range(text: &str) -> (&str, bool) {
    let mut parts = unquoted(text, ';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let is_none = |part: &str| {
        let weight = part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0_f32))
    };
    (range, !parts.any(is_none))
}

/// Splits a text where the separator is not within quotes.
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        is_escaped = is_quoted && character == '\\';
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[&str]) -> HeaderMap {
        let value = |field: &&str| (header::ACCEPT, HeaderValue::from_str(field).unwrap());
        let mut headers = HeaderMap::new();
        headers.extend(fields.iter().map(value));
        headers
    }

    fn takes(method: Method, fields: &[&str]) -> bool {
        spelled_out(&method, &headers(fields)).is_some()
    }

    #[test]
    fn who_takes_anything_takes_both() {
        for fields in [
            &[] as &[&str],
            &[""],
            &[" , "],
            &["*/*"],
            &["*"],
            &["*/*;q=0.1"],
            &["text/html, image/gif, *; q=.2, */*; q=.2"],
            &["application/*, text/*"],
            &["application/json", "text/event-stream"],
            &["Application/JSON;charset=utf-8,TEXT/EVENT-STREAM"],
            &["application/json;x=\"a,b;q=0\", */*"],
            &["*/*;q=0, application/json, text/event-stream"],
            &["text/*;q=0, application/*, text/event-stream;q=0.001"],
        ] {
            let both = spelled_out(&Method::POST, &headers(fields)).unwrap();
            assert_eq!(both, "application/json, text/event-stream", "{fields:?}");
            assert!(takes(Method::GET, fields), "{fields:?}");
        }
    }

    #[test]
    fn who_takes_one_of_them_or_neither_is_left_alone() {
        for fields in [
            &["application/json"] as &[&str],
            &["application/*"],
            &["text/event-stream;q=0, */*"],
            &["text/event-stream; Q=0.000, */*"],
            &["*/*;q=0"],
            &["text/html"],
            &["json"],
            &["*/json"],
            &["\"*/*"],
            &["application/jsonp, text/event-streams"],
        ] {
            assert!(!takes(Method::POST, fields), "{fields:?}");
            assert!(!takes(Method::GET, fields), "{fields:?}");
        }
        assert!(!takes(Method::POST, &["text/*"]));
        assert!(takes(Method::GET, &["text/*"]));
        assert!(!takes(Method::DELETE, &["*/*"]));
        let mut unreadable = HeaderMap::new();
        unreadable.insert(header::ACCEPT, HeaderValue::from_bytes(b"*/*, \xff").unwrap());
        assert_eq!(spelled_out(&Method::POST, &unreadable), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_makes_it_fail(field in "[ -~]{0,40}|[*/,;q=01.\" \\\\a]{0,30}") {
            let both = headers(&[&field, "application/json, text/event-stream"]);
            // What is spelled out counts, unless a field around it is unclear or refuses it.
            let _ = spelled_out(&Method::POST, &both);
            let taken = takes(Method::POST, &[&field]);
            prop_assert!(!taken || takes(Method::GET, &[&field]));
        }
    }
}
