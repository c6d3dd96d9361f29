//! What an HTTP request is answered with, beside what the protocol library says.

use std::{borrow::Cow, convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};

/// After how many seconds a client should come back when there is no room.
const COME_BACK: HeaderValue = HeaderValue::from_static("5");

/// An answer; one that sends a file may break off.
pub(in crate::mcp) type HttpAnswer = Response<BoxBody<Bytes, io::Error>>;

/// Says that there is no room, and when to come back.
pub(in crate::mcp) fn busy(text: &'static str) -> HttpAnswer {
    let mut answer = text_answer(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(header::RETRY_AFTER, COME_BACK);
    answer
}

/// A body that is there already does not break off.
pub(super) fn unfailing<B>(body: B) -> BoxBody<Bytes, io::Error>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    body.map_err(|never| match never {}).boxed()
}

/// Answers with JSON.
pub(in crate::mcp) fn json_answer(status: StatusCode, body: Bytes) -> HttpAnswer {
    let mut answer = Response::new(unfailing(Full::new(body)));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// Answers with a text for people.
pub(in crate::mcp) fn text_answer(
    status: StatusCode,
    text: impl Into<Cow<'static, str>>,
) -> HttpAnswer {
    let text = match text.into() {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => text.into(),
    };
    let is_empty = text.is_empty();
    let mut answer = Response::new(unfailing(Full::new(text)));
    *answer.status_mut() = status;
    if !is_empty {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    answer
}
