//! Batches over HTTP: each message is handled as one that came alone, and what comes of them is one
//! stream of events. It cannot be resumed, because the events of several requests have no order.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::{Body, Frame};
use rmcp::model::ErrorCode;
use serde_json::Value;

use super::{
    HttpEndpoint,
    answer::{HttpAnswer, json_answer, text_answer, unfailing},
    is_json, session_of,
};
use crate::mcp::{
    accept,
    batch::{self, MessageBatch},
    json_rpc::{error_line, id_of, request_id},
    masked_events,
    sessions::{PendingRequest, SessionRefusal},
    structured_text::CopySlot,
};

impl HttpEndpoint {
    /// Answers a batch, under the same checks as a message.
    pub(super) async fn batch(&self, mut parts: Parts, body: &Bytes) -> HttpAnswer {
        if let Err(refused) = self.check_names(parts.uri.clone(), &parts.headers).await {
            return *refused;
        }
        if accept::spelled_out(&Method::POST, &parts.headers).is_none() {
            let text = "a client must accept application/json and text/event-stream";
            return text_answer(StatusCode::NOT_ACCEPTABLE, text);
        }
        if !is_json(&parts.headers) {
            let text = "Content-Type must be application/json";
            return text_answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
        let session = session_of(&parts).map(str::to_owned);
        let reject =
            |status, reply: Vec<u8>| json_answer(status, self.secrets.message(reply).into());
        let version = match &session {
            Some(session) if !self.sessions.has(session) => {
                return text_answer(StatusCode::NOT_FOUND, "not found: there is no such session");
            }
            Some(session) => self.sessions.version(session),
            None => None,
        };
        let batch = match batch::read_batch(body, version.as_ref()) {
            Ok(batch) => batch,
            Err(error) => return reject(StatusCode::BAD_REQUEST, error.reply()),
        };
        let session = session.unwrap_or_default();
        match self.begin(&session, &batch) {
            Ok(pending) => parts.extensions.insert(Arc::new(pending)),
            Err(reply) => return reject(StatusCode::TOO_MANY_REQUESTS, reply),
        };
        // That of the whole.
        parts.headers.remove(header::CONTENT_LENGTH);
        self.handle_all(&parts, batch).await
    }

    /// Notes that the requests of a batch are under way.
    fn begin(&self, session: &str, batch: &MessageBatch) -> Result<Vec<PendingRequest>, Vec<u8>> {
        let ids = batch.parts.iter().filter_map(|part| request_id(&part.text));
        let begun = ids.map(|id| self.sessions.begin(session, &id)).collect::<Result<Vec<_>, _>>();
        let refused = |refused: SessionRefusal| {
            error_line(&Value::Null, ErrorCode::INVALID_REQUEST, &refused.to_string())
        };
        Ok(begun.map_err(refused)?.into_iter().flatten().collect())
    }

    async fn handle_all(&self, parts: &Parts, batch: MessageBatch) -> HttpAnswer {
        let MessageBatch { parts: messages, mut answers, .. } = batch;
        let (mut head, mut events) = (None, Vec::new());
        for message in messages {
            let id = id_of(&message.text);
            let one = Request::from_parts(parts.clone(), Full::new(Bytes::from(message.text)));
            let answer = self.mcp.handle(one).await;
            match answer.status() {
                StatusCode::ACCEPTED => {}
                StatusCode::OK => {
                    let (parts, body) = answer.into_parts();
                    head.get_or_insert(parts);
                    events.push(AnswerEvents { body, waiting: BytesMut::new(), is_over: false });
                }
                status => {
                    let reason = format!("the message was refused: {status}");
                    answers.push(error_line(&id, ErrorCode::INVALID_REQUEST, &reason));
                }
            }
        }
        let Some(head) = head else {
            if answers.is_empty() {
                return text_answer(StatusCode::ACCEPTED, "");
            }
            let answers = self.secrets.message(batch::join_answers(&answers));
            return json_answer(StatusCode::BAD_REQUEST, answers.into());
        };
        let mut ready = BytesMut::new();
        for answer in &answers {
            push_event(answer.trim_ascii(), &mut ready);
        }
        let merged = Response::from_parts(head, MergedEvents { ready, sources: events }.boxed());
        masked_events::masked_answer(merged, &self.secrets, CopySlot::default())
            .await
            .map(unfailing)
    }
}

fn push_event(data: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

/// The events of several answers, as they come.
struct MergedEvents {
    /// Whole events.
    ready: BytesMut,
    sources: Vec<AnswerEvents>,
}

/// The events of one answer.
struct AnswerEvents {
    body: BoxBody<Bytes, Infallible>,
    /// What came of an event.
    waiting: BytesMut,
    is_over: bool,
}

impl AnswerEvents {
    /// Takes whole events; what they say about resuming is left out.
    fn take(&mut self, context: &mut Context<'_>, ready: &mut BytesMut) {
        while let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.waiting.extend_from_slice(&data);
                    }
                }
                Some(Err(never)) => match never {},
                None => {
                    self.is_over = true;
                    break;
                }
            }
        }
        while let Some(end) = memchr::memmem::find(&self.waiting, b"\n\n") {
            let event = self.waiting.split_to(end + 2).freeze();
            for line in event.split(|byte| *byte == b'\n') {
                let data = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii);
                match data {
                    Some(data) if !data.is_empty() => push_event(data, ready),
                    // It keeps the connection.
                    _ if line.starts_with(b":") => ready.extend_from_slice(b":\n\n"),
                    _ => {}
                }
            }
        }
    }
}

impl Body for MergedEvents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { ready, sources } = self.get_mut();
        for source in sources.iter_mut() {
            source.take(context, ready);
        }
        sources.retain(|source| !source.is_over);
        match (ready.is_empty(), sources.is_empty()) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(ready.split().freeze())))),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    #[test]
    fn events_of_several_answers_become_one_stream() {
        let source = |text: &'static str, size: usize| {
            let pieces: Vec<Bytes> = text.as_bytes().chunks(size).map(Bytes::from_static).collect();
            let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
            AnswerEvents { body, waiting: BytesMut::new(), is_over: false }
        };
        for size in 1..40 {
            let mut ready = BytesMut::new();
            push_event(b"{\"id\":0}", &mut ready);
            let sources = vec![
                source("data: \nid: 0/0\nretry: 3000\n\ndata: {\"id\":1}\nid: 1/0\n\n", size),
                source(":\n\ndata: {\"id\":2}\n\ndata: {\"id\":3}\n\ndata: half", size),
            ];
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let all =
                runtime.block_on(MergedEvents { ready, sources }.collect()).unwrap().to_bytes();
            let all = String::from_utf8(all.to_vec()).unwrap();
            let mut events: Vec<&str> = all.split_terminator("\n\n").collect();
            events.sort_unstable();
            let expected = [
                ":",
                "data: {\"id\":0}",
                "data: {\"id\":1}",
                "data: {\"id\":2}",
                "data: {\"id\":3}",
            ];
            assert_eq!(events, expected, "{size}");
        }
    }
}
