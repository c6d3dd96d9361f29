//! Reads the answers of a JSON-RPC API: a response object, or a list that its first line announces.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::{Bytes, BytesMut};
use dadl_descriptor::model::{RpcMethod, Tool};
use futures_util::{StreamExt as _, stream};
use http::header;

use super::{
    CallError, Executor,
    peek::header_text,
    read::BodyPieces,
    result::DecodedAnswer,
    step::{RequestStep, to_usize},
    stream::{AnswerStream, StreamBounds},
};
use crate::{
    call::{CallPlan, PlannedBody, RpcCall},
    http::{
        answer_start::MOST_ERROR_BYTES,
        backend::{Backend, HttpExchange},
    },
    outcome::AnswerPayload,
    response::{
        MASK,
        decode::BodyType,
        decode_error::DecodeError,
        rpc::{self, RpcError, RpcHead, RpcReply},
        rpc_error::{self, RefusedCall},
        stream_collector::StreamCollector,
    },
    secrets::Secrets,
};

/// What an answer begins with.
pub(super) enum AnswerOpening {
    /// A list; its lines follow.
    List(BodyPieces),
    /// Something else: its start, and the rest.
    Other(BytesMut, BodyPieces),
}

/// Why an answer has no beginning.
pub(super) enum OpeningError {
    Broken(reqwest::Error),
    Odd(DecodeError),
}

/// Reads as much of an answer as shows what it is.
pub(super) async fn open_envelope(
    mut pieces: BodyPieces,
    id: u64,
    secrets: &Secrets,
) -> Result<AnswerOpening, OpeningError> {
    let masked = |line: &[u8]| secrets.body(Bytes::copy_from_slice(line));
    let mut start = BytesMut::new();
    let mut searched = 0;
    loop {
        let unseen = start.get(searched..).unwrap_or_default();
        if let Some(at) = memchr::memchr(b'\n', unseen).map(|at| searched + at) {
            let line = start.get(..at).unwrap_or_default();
            // What keeps a connection alive may come before the first line.
            if !line.iter().all(u8::is_ascii_whitespace) {
                return match rpc::read_head(&masked(line), id).map_err(OpeningError::Odd)? {
                    RpcHead::List => {
                        let rest = start.split_off(at + 1).freeze();
                        let rest = stream::once(std::future::ready(Ok(rest)));
                        Ok(AnswerOpening::List(rest.chain(pieces).boxed()))
                    }
                    RpcHead::Other => Ok(AnswerOpening::Other(start, pieces)),
                };
            }
            let _ = start.split_to(at + 1);
            searched = 0;
            continue;
        }
        searched = start.len();
        if start.trim_ascii_start().len() > rpc::LONGEST_HEAD {
            return Ok(AnswerOpening::Other(start, pieces));
        }
        match pieces.next().await {
            Some(piece) => start.extend_from_slice(&piece.map_err(OpeningError::Broken)?),
            // A list without items may lack the end of its line as well.
            None => {
                return match rpc::read_head(&masked(&start), id).map_err(OpeningError::Odd)? {
                    RpcHead::List => Ok(AnswerOpening::List(stream::empty().boxed())),
                    RpcHead::Other => Ok(AnswerOpening::Other(start, pieces)),
                };
            }
        }
    }
}

impl Executor {
    /// Gives a JSON-RPC request a number that no other of this process has.
    pub(crate) fn numbered(&self, mut plan: CallPlan) -> CallPlan {
        if let PlannedBody::Rpc(call) = &mut plan.body {
            call.id = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        }
        plan
    }
}

impl RequestStep<'_> {
    /// Reads the answer to a JSON-RPC request.
    pub(super) async fn rpc_answer(
        self,
        (rpc, sent): (&RpcMethod, &RpcCall),
        exchange: HttpExchange,
    ) -> Result<DecodedAnswer, CallError> {
        let HttpExchange { response, attempts, retry_after, .. } = exchange;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let secrets = self.backend.secrets();
        let odd = |error| self.undecodable(status, error);
        let content_type = header_text(&headers, &header::CONTENT_TYPE);
        if BodyType::of(content_type) == BodyType::EventStream {
            let reason = "it is a stream of events".to_owned();
            return Err(odd(rpc::odd_answer(reason, b"")));
        }
        let late = |_| self.timed_out();
        let opening = open_envelope(response.bytes_stream().boxed(), sent.id, secrets);
        let opening = tokio::time::timeout_at(self.ends, opening).await.map_err(late)?;
        let (start, pieces) = match opening {
            Ok(AnswerOpening::Other(start, pieces)) => (start, pieces),
            Ok(AnswerOpening::List(lines)) if self.tool.response.binary => {
                return self.keep(status, headers, lines, None).await;
            }
            Ok(AnswerOpening::List(lines)) => {
                let most = StreamBounds::of(self.call, self.tool, self.backend).items;
                let collector = StreamCollector::lines(most, secrets);
                let stream = AnswerStream::new(self, status, headers, collector);
                return AnswerStream { ends_silently: true, ..stream }.collect(lines).await;
            }
            Err(OpeningError::Broken(error)) => return Err(self.broken_off(&error)),
            Err(OpeningError::Odd(error)) => return Err(odd(error)),
        };
        let taken = start.len() as u64;
        self.take_room(taken)?;
        let body = self.read_on(start, taken, pieces);
        let body = tokio::time::timeout_at(self.ends, body).await.map_err(late)??;
        let size = body.len() as u64;
        let read = || rpc::read_reply(secrets.body(body), sent.id);
        match self.room.work(to_usize(size), read).await.map_err(odd)? {
            RpcReply::Result(text)
                if self.tool.response.binary && holds_something(text.as_str()) =>
            {
                let body = Bytes::from(text.as_str().to_owned());
                let body = stream::once(std::future::ready(Ok(body))).boxed();
                self.keep(status, headers, body, None).await
            }
            RpcReply::Result(text) => {
                let payload = AnswerPayload::Json(text);
                self.resize(size, payload.bytes())?;
                Ok(DecodedAnswer {
                    status,
                    headers,
                    payload,
                    size,
                    notes: Vec::new(),
                    is_cut: false,
                })
            }
            RpcReply::Error(error) => {
                Err(self.rpc_error((rpc, sent), error, (status, retry_after, attempts)))
            }
        }
    }

    /// Makes the error of an answer that is one: its status, how long to wait, and how many requests
    /// were sent come with it.
    pub(super) fn rpc_error(
        &self,
        (rpc, sent): (&RpcMethod, &RpcCall),
        error: RpcError,
        (status, retry_after, attempts): (u16, Option<Duration>, u32),
    ) -> CallError {
        let params = &self.call.entry().params;
        let property = |wire: &str| {
            let known = params.iter().find(|known| known.param.name == wire);
            known.map_or_else(|| wire.to_owned(), |known| known.property.clone())
        };
        let error = rpc_error::api_error(RefusedCall {
            error,
            rpc,
            results: &self.tool.response,
            rules: &self.tool.errors,
            params: &sent.params,
            property: &property,
            status,
            request: self.request_line(),
            retry_after,
            attempts,
        });
        Box::new(error).into()
    }
}

/// Returns whether a result can hold anything that a file is for.
fn holds_something(text: &str) -> bool {
    text.starts_with(['"', '[', '{'])
}

/// Returns the method and the request of a plan whose tool is one of a JSON-RPC API.
pub(super) fn rpc_call<'call>(
    rpc: Option<&'call RpcMethod>,
    plan: &'call CallPlan,
) -> Option<(&'call RpcMethod, &'call RpcCall)> {
    match &plan.body {
        PlannedBody::Rpc(call) => Some((rpc?, call)),
        _ => None,
    }
}

impl Executor {
    /// Reads an answer that has to be a list; returns its lines.
    ///
    /// A list is read for as long as it lasts, and what else the server may answer up to the bound of
    /// an error.
    pub(super) async fn rpc_lines(
        &self,
        backend: &Backend,
        tool: &Tool,
        plan: &CallPlan,
        (rpc, sent): (&RpcMethod, &RpcCall),
        pieces: BodyPieces,
    ) -> Result<BodyPieces, CallError> {
        let broken = |error| CallError::Send(backend.failure(plan, &error));
        let request = || backend.request_line(plan);
        let odd = |error: DecodeError| CallError::Decode {
            backend: backend.settings().name.clone(),
            request: request(),
            status: http::StatusCode::OK.as_u16(),
            error: DecodeError { excerpt: MASK.to_owned(), ..error },
        };
        let (mut body, mut pieces) = match open_envelope(pieces, sent.id, backend.secrets()).await {
            Ok(AnswerOpening::List(lines)) => return Ok(lines),
            Ok(AnswerOpening::Other(start, pieces)) => (start, pieces),
            Err(OpeningError::Broken(error)) => return Err(broken(error)),
            Err(OpeningError::Odd(error)) => return Err(odd(error)),
        };
        while body.len() <= MOST_ERROR_BYTES
            && let Some(piece) = pieces.next().await
        {
            body.extend_from_slice(&piece.map_err(broken)?);
        }
        let body = backend.masked(body.freeze()).await;
        match rpc::read_reply(body, sent.id).map_err(odd)? {
            RpcReply::Result(_) => Err(CallError::NoStream {
                advice: None,
                request: request(),
                content_type: "that of a single result".to_owned(),
            }),
            RpcReply::Error(error) => Err(Box::new(rpc_error::api_error(RefusedCall {
                error,
                rpc,
                results: &tool.response,
                rules: &tool.errors,
                params: &sent.params,
                property: &str::to_owned,
                status: http::StatusCode::OK.as_u16(),
                request: request(),
                retry_after: None,
                attempts: 1,
            }))
            .into()),
        }
    }
}
