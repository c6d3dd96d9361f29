//! Parts of an answer that is too long for one connection: what names its version, how its rest is
//! asked for, and what came instead (RFC 9110, sections 8.8, 13.1.5 and 14).

use std::time::{Duration, SystemTime};

use dadl_descriptor::model::RequestMethod;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::{peek::header_text, step::RequestStep};
use crate::{
    call::{CallPlan, PlannedBody},
    files::RequestFingerprint,
};

/// What a part of an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RangePart {
    /// The rest that was asked for.
    Rest,
    /// All of it: it has changed, or the server does not send parts.
    Whole,
    /// Something else, for this reason.
    Other(String),
}

/// Returns the length of a body as it is saved.
pub(super) fn total(response: &reqwest::Response) -> Option<u64> {
    // An encoded body has another length than the bytes that arrive here.
    let encoded = response.headers().contains_key(header::CONTENT_ENCODING);
    response.content_length().filter(|_| !encoded)
}

impl RequestStep<'_> {
    /// Names a request whose answer may come in parts: one that only reads, and asks for the bytes as
    /// they are.
    pub(super) fn fingerprint(&self) -> Option<RequestFingerprint> {
        let Self { backend, tool, plan, .. } = self;
        let asks_for_a_part = plan.headers.iter().any(|(name, _)| *name == header::RANGE);
        if plan.method != RequestMethod::Get
            || plan.body != PlannedBody::None
            || !tool.response.binary
            || asks_for_a_part
        {
            return None;
        }
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        add(backend.settings().name.as_bytes());
        add(plan.url.as_str().as_bytes());
        for (name, value) in &plan.headers {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        Some(RequestFingerprint(digest.finalize().into()))
    }
}

/// Returns the same request for the bytes from `offset` on, of the version that `validator` names.
pub(super) fn ranged(plan: &CallPlan, offset: u64, validator: &str) -> Option<CallPlan> {
    let mut plan = plan.clone();
    plan.headers.push((header::RANGE, HeaderValue::from_str(&format!("bytes={offset}-")).ok()?));
    plan.headers.push((header::IF_RANGE, HeaderValue::from_str(validator).ok()?));
    Some(plan)
}

/// Returns what names the version of an answer whose rest may be asked for later: a strong entity
/// tag, or a date that is as good (RFC 9110, sections 8.8.1 and 8.8.2.2).
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| header_text(headers, &name);
    let in_bytes =
        |units: &str| units.split(',').any(|unit| unit.trim().eq_ignore_ascii_case("bytes"));
    if !text(header::ACCEPT_RANGES).is_some_and(in_bytes)
        || headers.contains_key(header::CONTENT_ENCODING)
    {
        return None;
    }
    if let Some(tag) = text(header::ETAG) {
        return (tag.starts_with('"') && tag.len() > 2).then(|| tag.to_owned());
    }
    let date = |name| text(name).and_then(|text| httpdate::parse_http_date(text).ok());
    let (modified, sent): (SystemTime, SystemTime) =
        (date(header::LAST_MODIFIED)?, date(header::DATE)?);
    // Within one second there may have been another version.
    let is_strong = sent.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1));
    is_strong.then(|| text(header::LAST_MODIFIED).unwrap_or_default().to_owned())
}

/// Says what an answer to a request for the bytes from `offset` on is.
pub(super) fn range_part(
    response: &reqwest::Response,
    offset: u64,
    total: Option<u64>,
    validator: &str,
) -> RangePart {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return RangePart::Whole;
    }
    let headers = response.headers();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return RangePart::Other("the server encodes the rest".to_owned());
    }
    if validator.starts_with('"')
        && header_text(headers, &header::ETAG).is_some_and(|tag| tag != validator)
    {
        return RangePart::Other("the server sent a part of another version".to_owned());
    }
    let range = header_text(headers, &header::CONTENT_RANGE).unwrap_or_default();
    match content_range(range) {
        // What is announced twice has to be the same.
        Some((first, last, whole))
            if first == offset
                && range_fits(last, whole, total)
                && response
                    .content_length()
                    .is_none_or(|length| Some(length) == (last - first).checked_add(1)) =>
        {
            RangePart::Rest
        }
        _ => RangePart::Other(format!(
            "the server sent another part than the one from byte {offset}"
        )),
    }
}

/// Returns whether a part that ends at `last` of `whole` bytes is the rest of `total` bytes.
fn range_fits(last: u64, whole: Option<u64>, total: Option<u64>) -> bool {
    let is_end = |length: u64| last.checked_add(1) == Some(length);
    match (whole, total) {
        (Some(whole), Some(total)) => whole == total && is_end(total),
        (Some(length), None) | (None, Some(length)) => is_end(length),
        // Nobody knows where the end is.
        (None, None) => false,
    }
}

/// Reads `bytes 5-9/10` (RFC 9110, section 14.4): first and last byte, and the length of the whole.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, whole) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (first, last) = (number(first)?, number(last)?);
    let whole = match whole.trim() {
        "*" => None,
        whole => Some(number(whole)?),
    };
    let is_range = unit.eq_ignore_ascii_case("bytes")
        && first <= last
        && whole.is_none_or(|whole| last < whole);
    is_range.then_some((first, last, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn only_a_strong_validator_lets_a_transfer_go_on() {
        let check = |fields: &[(&'static str, &'static str)], expect: Option<&str>| {
            assert_eq!(validator(&headers(fields)).as_deref(), expect, "{fields:?}");
        };
        let ranges = ("accept-ranges", "bytes");
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let date = |second| match second {
            37 => ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            _ => ("date", "Sun, 06 Nov 1994 08:49:38 GMT"),
        };
        check(&[ranges, ("etag", "\"a\"")], Some("\"a\""));
        check(&[("etag", "\"a\"")], None);
        check(&[("accept-ranges", "none"), ("etag", "\"a\"")], None);
        check(&[ranges, ("etag", "W/\"a\"")], None);
        check(&[ranges, ("etag", "W/\"a\""), modified, date(38)], None);
        check(&[ranges, ("etag", "\"a\""), ("content-encoding", "gzip")], None);
        check(&[ranges, modified, date(38)], Some(modified.1));
        check(&[ranges, modified, date(37)], None);
        check(&[ranges, modified], None);
        check(&[ranges], None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever range a server writes, it has a first and a last byte of something that long.
        #[test]
        fn any_range_lies_within_the_whole(
            text in "bytes [0-9]{1,22}-[0-9]{1,22}/([0-9]{1,22}|\\*)|[ -~]{0,30}",
            total: Option<u64>,
        ) {
            if let Some((first, last, whole)) = content_range(&text) {
                assert!(first <= last && whole.is_none_or(|whole| last < whole), "{text}");
                if range_fits(last, whole, total) {
                    assert!(whole.or(total) == last.checked_add(1), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_range_is_read_as_it_is_written() {
        for huge in ["18446744073709551615", "99999999999999999999"] {
            let range = content_range(&format!("bytes 5-{huge}/*"));
            assert!(range.is_none_or(|(_, last, whole)| !range_fits(last, whole, None)), "{huge}");
        }
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(content_range("Bytes 5-9/*"), Some((5, 9, None)));
        for wrong in
            ["", "bytes */10", "bytes 5-10/10", "bytes 9-5/10", "items 5-9/10", "bytes 5-9"]
        {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert!(
            range_fits(9, Some(10), Some(10))
                && range_fits(9, None, Some(10))
                && range_fits(9, Some(10), None)
        );
        assert!(
            !range_fits(8, Some(10), Some(10))
                && !range_fits(9, None, None)
                && !range_fits(10, Some(11), Some(10))
        );
    }
}
