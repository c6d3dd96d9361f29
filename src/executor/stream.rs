//! Reads an answer that may have no end: server-sent events, or JSON values line by line.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use serde_json::Value;
use tokio::time::Instant;

use super::{CallError, Target};
use crate::{
    call::CallPlan,
    descriptor::model::{StreamArgument, StreamHandling, Tool},
    gate::Admitted,
    http::backend::Backend,
    outcome::{Payload, chain},
    response::{
        collect::{Collector, EndOfList},
        decode::DecodeError,
    },
};

/// Events are collected this long unless the author says otherwise.
const DURATION: Duration = Duration::from_secs(30);

/// How much of a stream is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// For so long.
    pub(crate) duration: Duration,
    /// Up to so many items.
    pub(crate) items: Option<usize>,
    /// Whether the caller said how long.
    is_callers: bool,
}

impl Bounds {
    /// Returns what the caller asks for, and at most what the author allows; where the author says
    /// nothing, the operator's time for a call is the bound.
    pub(crate) fn of(call: &Admitted<'_>, tool: &Tool, backend: &Backend) -> Self {
        let of_author = tool.response.streaming.max_duration;
        let wanted = call.arguments().stream(StreamArgument::Duration).and_then(Value::as_f64);
        let wanted =
            wanted.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let most = of_author.unwrap_or(backend.settings().timeouts.call);
        let duration = match wanted {
            Some(wanted) => wanted.min(most),
            None => of_author.unwrap_or(DURATION),
        };
        let items = call.arguments().stream(StreamArgument::MaxItems).and_then(Value::as_u64);
        let items = items.map(|items| usize::try_from(items).unwrap_or(usize::MAX));
        let items = [items, tool.response.max_items].into_iter().flatten().min();
        Self { duration, items, is_callers: wanted.is_some() }
    }
}

/// A stream that is about to be read.
pub(super) struct Stream<'call> {
    pub(super) target: Target<'call>,
    pub(super) plan: &'call CallPlan,
    pub(super) status: u16,
    pub(super) collector: Collector,
    /// Whether the server says nothing when it fails in the middle: what shows it is told.
    pub(super) ends_silently: bool,
}

impl Stream<'_> {
    /// Collects items until the stream ends, or enough of them are there, or the time is up.
    /// Returns them with the number of bytes read, and what was left.
    pub(super) async fn collect(
        mut self,
        mut pieces: BoxStream<'static, reqwest::Result<Bytes>>,
    ) -> Result<(Payload, u64, Vec<String>), CallError> {
        let Target { backend, tool, .. } = self.target;
        let streaming = tool.response.streaming;
        if streaming.handling == StreamHandling::Skip {
            let note = "the stream was not read (`stream_handling: skip`)".to_owned();
            return Ok((Payload::Empty, 0, vec![note]));
        }
        // Lines that nobody called a stream are a long list, which has an end.
        let is_endless = streaming.is_declared || self.collector.reads_events();
        let bounds = Bounds::of(self.target.call, tool, backend);
        let duration = bounds.duration;
        let is_endless = is_endless || bounds.is_callers;
        let deadline = is_endless.then(|| Instant::now() + duration);
        let limit = backend.settings().max_response_bytes;
        let (mut size, mut counted) = (0_u64, 0_u64);
        let mut notes = Vec::new();
        loop {
            if self.collector.is_full() {
                let items = self.collector.items();
                notes.push(format!("stopped after {items} items (`max_items`); there may be more"));
                break;
            }
            let next = match deadline {
                Some(deadline) => match tokio::time::timeout_at(deadline, pieces.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        notes.push(format!(
                            "stopped after {} s with {} items (`max_duration`); the stream goes on",
                            duration.as_secs_f32(),
                            self.collector.items()
                        ));
                        break;
                    }
                },
                None => pieces.next().await,
            };
            let Some(piece) = next else {
                notes.extend(self.end()?);
                break;
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) if self.ends_silently && self.collector.items() > 0 => {
                    let (items, reason) = (self.collector.items(), chain(&error));
                    notes.push(format!(
                        "incomplete: the connection broke off after {items} items ({reason})"
                    ));
                    break;
                }
                Err(error) => return Err(CallError::Send(backend.failure(self.plan, &error))),
            };
            size += piece.len() as u64;
            let before = self.collector.size();
            // Only a long line takes long.
            let pending = self.collector.pending() + piece.len();
            let pushed = self.target.room.work(pending, || self.collector.push(&piece)).await;
            pushed.map_err(|error| self.undecodable(error))?;
            let grown = self.collector.size().saturating_sub(before);
            self.target.take_room(grown as u64, self.plan)?;
            counted += grown as u64;
            if self.collector.size() as u64 > limit {
                return Err(self.target.too_large(self.plan));
            }
        }
        drop(pieces);
        let text = self.collector.finish();
        let payload = Payload::Json(text);
        self.target.resize(counted, payload.bytes(), self.plan)?;
        Ok((payload, size, notes))
    }

    /// Takes the end of the stream; returns what is to be said about it.
    fn end(&mut self) -> Result<Option<String>, CallError> {
        if !self.ends_silently {
            let end = self.collector.end();
            return end.map(|()| None).map_err(|error| self.undecodable(error));
        }
        let end = self.collector.end_of_list().map_err(|error| self.undecodable(error))?;
        let items = self.collector.items();
        Ok(match end {
            EndOfList::Whole => None,
            EndOfList::Cut => Some(format!(
                "incomplete: the answer ends within an item; these are the {items} before it"
            )),
            EndOfList::Unterminated => Some(format!(
                "maybe incomplete: the answer ends without a line feed after {items} items"
            )),
        })
    }

    fn undecodable(&self, error: DecodeError) -> CallError {
        self.target.undecodable(self.plan, self.status, error)
    }
}
