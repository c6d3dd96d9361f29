//! Reads a whole answer and makes a value of it, by what the answer is: a stream, the answer to a
//! JSON-RPC request, a text, or a file after all.

use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, header};

use super::{
    CallError,
    peek::{check_encoding, header_text},
    result::DecodedAnswer,
    rpc,
    step::{RequestStep, to_usize},
    stream::{AnswerStream, StreamBounds},
};
use crate::{
    http::backend::HttpExchange,
    outcome::AnswerPayload,
    response::{
        decode::{self, BodyType},
        stream_collector::StreamCollector,
    },
};

impl RequestStep<'_> {
    /// Reads an answer and decodes it.
    pub(super) async fn answer(self, exchange: HttpExchange) -> Result<DecodedAnswer, CallError> {
        check_encoding(self.backend, &exchange.response, || self.request_line())?;
        self.check_page(&exchange)?;
        let kind = BodyType::of(self.content_type(exchange.response.headers()));
        if let Some(sent) = rpc::rpc_call(self.tool.rpc(), self.plan)
            && kind != BodyType::Binary
        {
            return Box::pin(self.rpc_answer(sent, exchange)).await;
        }
        let HttpExchange { response, landed, .. } = exchange;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let secrets = self.backend.secrets();
        let most = || StreamBounds::of(self.call, self.tool, self.backend).items;
        let collector = match kind {
            BodyType::EventStream => Some(StreamCollector::events(most(), secrets)),
            BodyType::Ndjson => Some(StreamCollector::lines(most(), secrets)),
            _ => None,
        };
        if let Some(collector) = collector {
            let stream = AnswerStream::new(self, status, headers, collector);
            return Box::pin(stream.collect(response.bytes_stream().boxed())).await;
        }
        let body = if response.content_length().is_none() && self.may_be_file(&headers) {
            let mut rest = response.bytes_stream().boxed();
            match Box::pin(self.gather(BytesMut::new(), 0, &mut rest)).await? {
                (body, None) => body.freeze(),
                // What is too long to be read as text is still a file.
                (start, Some(piece)) => {
                    let read = start.len() as u64;
                    let start = stream::iter([Ok(start.freeze()), Ok(piece)]);
                    let body = start.chain(rest).boxed();
                    let answer = Box::pin(self.keep(status, headers, body, None)).await?;
                    self.resize(read, 0)?;
                    return Ok(answer);
                }
            }
        } else {
            self.read(response).await?
        };
        let size = body.len() as u64;
        let content_type = self.content_type(&headers);
        if self.is_no_text(&headers, &body) {
            let body = stream::once(std::future::ready(Ok(body))).boxed();
            let answer = Box::pin(self.keep(status, headers, body, Some(size))).await?;
            self.resize(size, 0)?;
            return Ok(answer);
        }
        let decoded = || {
            Ok(match decode::decode(secrets.body(body), content_type, self.most())? {
                // What a charset hides shows itself only now.
                AnswerPayload::Text { content_type, text } => {
                    let content_type = secrets.text(&content_type).into_owned();
                    AnswerPayload::Text { content_type, text: secrets.masked(text) }
                }
                payload => payload,
            })
        };
        let decoded = self.room.work(to_usize(size), decoded).await;
        let from = (&headers, status);
        let payload = decoded.map_err(|error| self.unreadable(from, landed.as_ref(), error))?;
        let mut notes = Vec::new();
        let declared = || self.as_declared(payload, from, landed.as_ref(), &mut notes);
        let payload = self.room.work(to_usize(size), declared).await?;
        self.resize(size, payload.bytes())?;
        Ok(DecodedAnswer { status, headers, payload, size, notes, is_cut: false })
    }

    /// Returns whether a body is a file to the server, and text to the descriptor.
    fn may_be_file(&self, headers: &HeaderMap) -> bool {
        let sent = BodyType::of(header_text(headers, &header::CONTENT_TYPE));
        let rules = &self.tool.response;
        let is_read = rules.transform.is_some() || self.call.arguments().jq().is_some();
        sent == BodyType::Binary && !is_read
    }

    /// Returns whether a body was read as the text that the descriptor declares, and is none.
    fn is_no_text(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let declared = self.tool.response.content_type.as_deref().unwrap_or_default();
        self.may_be_file(headers)
            && !declared.to_ascii_lowercase().contains("charset=")
            && (body.contains(&0) || std::str::from_utf8(body).is_err())
    }
}
