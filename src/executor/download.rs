//! A binary answer becomes a file, over several connections if need be.
//!
//! A server that names the version of what it sends, and sends parts of it, lets a transfer go on
//! where it broke off: within the call, and after this process was killed. The request is the same
//! as before, with `Range` and `If-Range` (RFC 9110, sections 13.1.5 and 14.2), so that a changed
//! file comes whole. From other servers an answer comes whole or not at all.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, stream::BoxStream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::{CallError, Executor, Target, file_name, header_text};
use crate::{
    call::{CallPlan, PlannedBody},
    descriptor::model::Method,
    files::{FileError, Fingerprint, Incoming, Leftover, Saving},
    http::{backend::Exchange, error::SendErrorKind},
    outcome::{Held, Observer, Outcome, Payload, Progress, transfer},
};

/// A transfer is continued so many times.
const MOST_RESUMES: u32 = 8;
/// The pause before the first of them; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The bytes of an answer.
type Body = BoxStream<'static, reqwest::Result<bytes::Bytes>>;

/// What a part of an answer is.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// The rest that was asked for.
    Rest,
    /// All of it: it has changed, or the server does not send parts.
    Whole,
    /// Something else, for this reason.
    Other(String),
}

/// What the rest of a transfer came as.
enum Rest {
    Part(Body),
    Whole(Body, Option<u64>),
    Refused(String),
}

/// An answer whose body goes to a file, and what is there of it already.
pub(super) struct Download {
    pub(super) exchange: Exchange,
    leftover: Option<Leftover>,
}

impl Executor {
    /// Sends the request; when a call before it left a part of its answer, for the rest alone.
    pub(super) async fn send_or_continue(
        &self,
        target: Target<'_>,
        plan: &CallPlan,
    ) -> Result<Download, CallError> {
        let leftover = match fingerprint(target, plan) {
            Some(request) => self.files.leftover(&request).await,
            None => None,
        };
        let Some(leftover) = leftover else {
            let exchange = self.send(target, plan).await?;
            return Ok(Download { exchange, leftover: None });
        };
        let offset = leftover.offset();
        let rest = ranged(plan, offset, &leftover.validator);
        let exchange = match rest {
            Some(rest) => self.send(target, &rest).await,
            None => self.send(target, plan).await,
        };
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(CallError::Api(error)) if error.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                leftover.discard();
                let exchange = self.send(target, plan).await?;
                return Ok(Download { exchange, leftover: None });
            }
            // It stays for another call.
            Err(error) => return Err(error),
        };
        match part(&exchange.response, offset, leftover.total, &leftover.validator) {
            Part::Rest => Ok(Download { exchange, leftover: Some(leftover) }),
            Part::Whole => {
                leftover.discard();
                Ok(Download { exchange, leftover: None })
            }
            Part::Other(reason) => {
                tracing::debug!(%reason, "cannot go on with an unfinished file");
                leftover.discard();
                let exchange = self.send(target, plan).await?;
                Ok(Download { exchange, leftover: None })
            }
        }
    }

    /// Streams a body to a file.
    pub(super) async fn download(
        &self,
        target: Target<'_>,
        plan: &CallPlan,
        download: Download,
        observer: &dyn Observer,
    ) -> Result<Outcome, CallError> {
        let Target { backend, call, tool, .. } = target;
        let Download { exchange: Exchange { response, .. }, leftover } = download;
        let headers = response.headers();
        let expected = tool.response.content_type.as_deref();
        let content_type = header_text(headers, &header::CONTENT_TYPE)
            .or(expected)
            .unwrap_or("application/octet-stream");
        let name = file_name(call, tool, headers, content_type);
        let name = backend.secrets().text(&name).into_owned();
        let content_type = backend.secrets().text(content_type).into_owned();
        let before = leftover.as_ref().map_or(0, Leftover::offset);
        let incoming = Incoming {
            name: &name,
            content_type: &content_type,
            total: total(&response).and_then(|rest| before.checked_add(rest)),
            ttl: tool.response.ttl.or(backend.settings().file_ttl),
            idle: backend.settings().timeouts.read,
            is_upload: false,
            client: target.room.client(),
        };
        let validator = validator(headers);
        let known = leftover.as_ref().map(|leftover| leftover.validator.clone());
        let validator = known.or(validator);
        let request = fingerprint(target, plan);
        let status = match leftover {
            Some(_) => StatusCode::OK,
            None => response.status(),
        };
        let mut notes = Vec::new();
        let mut saving = match leftover {
            Some(leftover) => {
                notes.push(format!(
                    "{} of it were there already, from a call that did not end",
                    transfer::size(before)
                ));
                self.files.resume(incoming, leftover, observer).await?
            }
            None => self.files.begin(incoming).await?,
        };
        if let (Some(request), Some(validator)) = (&request, &validator) {
            saving.resumable(request.clone(), validator.clone());
        }
        // Without both, what broke off is lost.
        let mut validator = request.is_some().then_some(validator).flatten();
        let mut body = response.bytes_stream().boxed();
        let mut resumes = 0;
        loop {
            let Err(error) = saving.receive(body, observer).await else { break };
            let FileError::Interrupted { received, mut reason, .. } = error else {
                return Err(error.into());
            };
            body = loop {
                let Some(version) = validator.clone().filter(|_| resumes < MOST_RESUMES) else {
                    let kept = saving.leave();
                    return Err(FileError::Interrupted { received, reason, kept }.into());
                };
                let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(resumes));
                resumes += 1;
                let message = format!(
                    "the connection was lost after {}; going on from there ({resumes})",
                    transfer::size(received)
                );
                observer.progress(Progress { done: received, total: saving.total(), message });
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
                match self.rest(target, plan, &saving, &version).await {
                    Ok(Rest::Part(rest)) => break rest,
                    Ok(Rest::Whole(whole, total)) => {
                        saving.restart(total).await?;
                        validator = None;
                        notes.push("the server has another version now; it began anew".to_owned());
                        break whole;
                    }
                    Ok(Rest::Refused(why)) => {
                        // What is there is no beginning of what the server has now.
                        let reason = format!("{reason}; then {why}");
                        let error = FileError::Interrupted { received, reason, kept: false };
                        return Err(error.into());
                    }
                    Err(error) if error.is_unreachable() => reason = error.to_string(),
                    Err(error) => {
                        let reason = format!("{reason}; then {error}");
                        let kept = saving.leave();
                        return Err(FileError::Interrupted { received, reason, kept }.into());
                    }
                }
            };
        }
        if resumes > 0 {
            let times = if resumes == 1 { "once".to_owned() } else { format!("{resumes} times") };
            notes.push(format!("the connection was lost {times} on the way"));
        }
        let payload = Payload::File(saving.finish(observer).await?);
        Ok(Outcome { status: status.as_u16(), payload, notes, next: None, held: Held::default() })
    }

    /// Asks for what is missing of `saving`.
    async fn rest(
        &self,
        target: Target<'_>,
        plan: &CallPlan,
        saving: &Saving,
        validator: &str,
    ) -> Result<Rest, CallError> {
        let offset = saving.received();
        let Some(plan) = ranged(plan, offset, validator) else {
            return Ok(Rest::Refused("its entity tag is no field value".to_owned()));
        };
        let bound = target.backend.settings().timeouts.call;
        let sent = tokio::time::timeout(bound, self.send(target, &plan)).await;
        let Exchange { response, .. } = sent.unwrap_or_else(|_| {
            let kind = SendErrorKind::Timeout { bound: "timeout", after: bound };
            Err(CallError::Send(target.backend.failed(&plan, kind)))
        })?;
        Ok(match part(&response, offset, saving.total(), validator) {
            Part::Rest => Rest::Part(response.bytes_stream().boxed()),
            Part::Whole => {
                let total = total(&response);
                Rest::Whole(response.bytes_stream().boxed(), total)
            }
            Part::Other(reason) => Rest::Refused(reason),
        })
    }
}

/// Returns the length of a body as it is saved.
fn total(response: &reqwest::Response) -> Option<u64> {
    // An encoded body has another length than the bytes that arrive here.
    let encoded = response.headers().contains_key(header::CONTENT_ENCODING);
    response.content_length().filter(|_| !encoded)
}

/// Names a request whose answer may come in parts: one that only reads, and asks for the bytes as
/// they are.
fn fingerprint(target: Target<'_>, plan: &CallPlan) -> Option<Fingerprint> {
    let asks_for_a_part = plan.headers.iter().any(|(name, _)| *name == header::RANGE);
    if plan.method != Method::Get
        || plan.body != PlannedBody::None
        || !target.tool.response.binary
        || asks_for_a_part
    {
        return None;
    }
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    add(target.backend.settings().name.as_bytes());
    add(plan.url.as_str().as_bytes());
    for (name, value) in &plan.headers {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
    Some(Fingerprint(digest.finalize().into()))
}

/// Returns the same request for the bytes from `offset` on, of the version that `validator` names.
fn ranged(plan: &CallPlan, offset: u64, validator: &str) -> Option<CallPlan> {
    let mut plan = plan.clone();
    plan.headers.push((header::RANGE, HeaderValue::from_str(&format!("bytes={offset}-")).ok()?));
    plan.headers.push((header::IF_RANGE, HeaderValue::from_str(validator).ok()?));
    Some(plan)
}

/// Returns what names the version of an answer whose rest may be asked for later: a strong entity
/// tag, or a date that is as good (RFC 9110, sections 8.8.1 and 8.8.2.2).
fn validator(headers: &HeaderMap) -> Option<String> {
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
fn part(response: &reqwest::Response, offset: u64, total: Option<u64>, validator: &str) -> Part {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Part::Whole;
    }
    let headers = response.headers();
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Part::Other("the server encodes the rest".to_owned());
    }
    if validator.starts_with('"')
        && header_text(headers, &header::ETAG).is_some_and(|tag| tag != validator)
    {
        return Part::Other("the server sent a part of another version".to_owned());
    }
    let range = header_text(headers, &header::CONTENT_RANGE).unwrap_or_default();
    match content_range(range) {
        // What is announced twice has to be the same.
        Some((first, last, whole))
            if first == offset
                && fits(last, whole, total)
                && response
                    .content_length()
                    .is_none_or(|length| Some(length) == (last - first).checked_add(1)) =>
        {
            Part::Rest
        }
        _ => Part::Other(format!("the server sent another part than the one from byte {offset}")),
    }
}

/// Returns whether a part that ends at `last` of `whole` bytes is the rest of `total` bytes.
fn fits(last: u64, whole: Option<u64>, total: Option<u64>) -> bool {
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
                if fits(last, whole, total) {
                    assert!(whole.or(total) == last.checked_add(1), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_range_is_read_as_it_is_written() {
        for huge in ["18446744073709551615", "99999999999999999999"] {
            let range = content_range(&format!("bytes 5-{huge}/*"));
            assert!(range.is_none_or(|(_, last, whole)| !fits(last, whole, None)), "{huge}");
        }
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(content_range("Bytes 5-9/*"), Some((5, 9, None)));
        for wrong in
            ["", "bytes */10", "bytes 5-10/10", "bytes 9-5/10", "items 5-9/10", "bytes 5-9"]
        {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert!(fits(9, Some(10), Some(10)) && fits(9, None, Some(10)) && fits(9, Some(10), None));
        assert!(
            !fits(8, Some(10), Some(10)) && !fits(9, None, None) && !fits(10, Some(11), Some(10))
        );
    }
}
