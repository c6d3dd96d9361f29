//! The last door of messages over HTTP: no secret is in what goes out.
//!
//! A body is one message, or events that hold one each (`data: ...`), however it comes in pieces.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{Response, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Body, Frame, SizeHint};

use super::structured_text::CopySlot;
use crate::secrets::Secrets;

/// Masks an answer; one whose body has a length is a message, and others are events. A message that has no copy of its
/// value gets the one of `slot`.
pub(super) async fn masked_answer(
    answer: Response<BoxBody<Bytes, Infallible>>,
    secrets: &Secrets,
    slot: CopySlot,
) -> Response<BoxBody<Bytes, Infallible>> {
    let (mut parts, body) = answer.into_parts();
    if body.size_hint().exact().is_none() {
        let events = MaskedEvents {
            inner: body,
            secrets: secrets.clone(),
            slot,
            waiting: BytesMut::new(),
            is_over: false,
        };
        return Response::from_parts(parts, events.boxed());
    }
    let Ok(message) = body.collect().await;
    let message = secrets.message(slot.fill(message.to_bytes().into()));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Full::new(message.into()).boxed())
}

/// Events, one message each.
struct MaskedEvents {
    inner: BoxBody<Bytes, Infallible>,
    secrets: Secrets,
    slot: CopySlot,
    /// What came of a line.
    waiting: BytesMut,
    is_over: bool,
}

impl MaskedEvents {
    /// Takes what is whole.
    fn ready(&mut self) -> Bytes {
        let end = if self.is_over {
            self.waiting.len()
        } else {
            memchr::memrchr(b'\n', &self.waiting).map_or(0, |at| at + 1)
        };
        let lines = self.waiting.split_to(end);
        let mut clean = Vec::with_capacity(lines.len());
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_prefix(b"data:") {
                Some(message) => {
                    clean.extend_from_slice(b"data:");
                    let message = self.slot.fill(message.to_vec());
                    clean.extend_from_slice(&self.secrets.message(message));
                }
                None => clean.extend_from_slice(line),
            }
        }
        clean.into()
    }
}

impl Body for MaskedEvents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while !self.is_over {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(never)) => match never {},
                None => {
                    self.is_over = true;
                    break;
                }
            };
            match frame.into_data() {
                Ok(data) => self.waiting.extend_from_slice(&data),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
            let ready = self.ready();
            if !ready.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
            }
        }
        let rest = self.ready();
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty() && (self.is_over || self.inner.is_end_stream())
    }

    /// What is masked has another length.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    fn run<B>(inner: B, slot: CopySlot) -> String
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
    {
        let secrets = Secrets::default();
        secrets.add("token", "s3cret-token");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(masked_answer(Response::new(inner.boxed()), &secrets, slot));
        let collected = runtime.block_on(answer.into_body().collect());
        String::from_utf8(collected.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_masked_as_a_whole() {
        let message = r#"{"jsonrpc":"2.0","id":1,"result":{"s3cret-token":"\u0073%33cret-token"}}"#;
        let expected = r#"{"jsonrpc":"2.0","id":1,"result":{"[REDACTED]":"[REDACTED]"}}"#;
        assert_eq!(run(Full::new(Bytes::from(message)), CopySlot::default()), expected);
    }

    #[test]
    fn events_are_masked_however_they_are_cut() {
        let (slot, mark) = CopySlot::with(r#"{"a":"s3cret-token"}"#);
        let of = |value: &str| {
            let message = format!(r#"{{"result":{{"structuredContent":{value}}}}}"#);
            format!("id: 0/1\ndata: {{\"a\":\"s3cret-token\"}}\n\ndata: {message}\n\n")
        };
        let events = of(&format!("\"{mark}\""));
        let expected = of(r#"{"a":"s3cret-token"}"#).replace("s3cret-token", "[REDACTED]");
        for size in 1..events.len() {
            let pieces: Vec<_> =
                events.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
            let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            assert_eq!(
                run(StreamBody::new(futures_util::stream::iter(frames)), slot.clone()),
                expected,
                "{size}"
            );
        }
    }
}
