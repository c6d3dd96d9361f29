//! Reads an answer that may have no end: server-sent events, or JSON values line by line.

use std::time::Duration;

use bytes::Bytes;
use dadl_descriptor::model::{StreamArgument, StreamHandling, Tool};
use futures_util::{StreamExt as _, stream::BoxStream};
use http::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use super::{CallError, result::DecodedAnswer, step::RequestStep, step_queue::YieldBudget};
use crate::{
    gate::Admitted,
    http::backend::Backend,
    outcome::{AnswerPayload, chain},
    response::{
        decode_error::DecodeError,
        stream_collector::{EndOfList, SoFar, StreamCollector},
    },
};

/// Events are collected this long unless the author says otherwise.
const DURATION: Duration = Duration::from_secs(30);

/// A line takes as long as so many bytes of one, whatever is in it.
const BYTES_A_LINE: usize = 512;

/// How much of a stream is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamBounds {
    /// For so long.
    pub(crate) duration: Duration,
    /// Up to so many items.
    pub(crate) items: Option<usize>,
    /// Whether the caller said how long.
    is_callers: bool,
}

impl StreamBounds {
    /// Returns what the caller asks for, and at most what the author allows; where the author says
    /// nothing, the operator's time for a call is the bound.
    pub(crate) fn of(call: &Admitted<'_>, tool: &Tool, backend: &Backend) -> Self {
        let of_author = tool.response.streaming.max_duration;
        let wanted =
            call.arguments().stream_argument(StreamArgument::Duration).and_then(Value::as_f64);
        let wanted =
            wanted.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let most = of_author.unwrap_or(backend.settings().timeouts.call);
        let duration = match wanted {
            Some(wanted) => wanted.min(most),
            None => of_author.unwrap_or(DURATION),
        };
        let items =
            call.arguments().stream_argument(StreamArgument::MaxItems).and_then(Value::as_u64);
        let items = items.map(|items| usize::try_from(items).unwrap_or(usize::MAX));
        let items = [items, tool.response.max_items].into_iter().flatten().min();
        Self { duration, items, is_callers: wanted.is_some() }
    }
}

/// A stream that is about to be read.
pub(super) struct AnswerStream<'call> {
    pub(super) step: RequestStep<'call>,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) collector: StreamCollector,
    /// Whether the server says nothing when it fails in the middle: what shows it is told.
    pub(super) ends_silently: bool,
    /// Whether nobody expects an end.
    pub(super) is_endless: bool,
}

impl<'call> AnswerStream<'call> {
    /// The stream that the answer to `step` is.
    pub(super) fn new(
        step: RequestStep<'call>,
        status: u16,
        headers: HeaderMap,
        collector: StreamCollector,
    ) -> Self {
        let (ends_silently, is_endless) = (false, false);
        Self { step, status, headers, collector, ends_silently, is_endless }
    }

    /// Collects items until the stream ends, or enough of them are there, or a bound is reached. What
    /// came is given whatever ends it, and the notes say what that was.
    pub(super) async fn collect(
        mut self,
        mut pieces: BoxStream<'static, reqwest::Result<Bytes>>,
    ) -> Result<DecodedAnswer, CallError> {
        let RequestStep { backend, tool, .. } = self.step;
        let streaming = tool.response.streaming;
        if streaming.handling == StreamHandling::Skip {
            let notes = vec!["the stream was not read (`stream_handling: skip`)".to_owned()];
            let Self { status, headers, .. } = self;
            let (payload, size, is_cut) = (AnswerPayload::Empty, 0, false);
            return Ok(DecodedAnswer { status, headers, payload, size, notes, is_cut });
        }
        self.collector = self.collector.within(backend.settings().max_response_bytes);
        let bounds = StreamBounds::of(self.step.call, tool, backend);
        // Lines that nobody called a stream are a long list; when it goes on without an end
        // nevertheless, the time for a call ends it.
        self.is_endless =
            streaming.is_declared || self.collector.reads_events() || bounds.is_callers;
        let wanted = self.is_endless.then(|| Instant::now() + bounds.duration);
        let deadline = wanted.map_or(self.step.ends, |wanted| wanted.min(self.step.ends));
        let (mut size, mut counted) = (0_u64, 0_u64);
        let mut rest = YieldBudget::default();
        let mut notes = Vec::new();
        let mut is_cut = true;
        loop {
            if self.collector.is_full() {
                let items = self.collector.items();
                notes.push(format!("stopped after {items} items (`max_items`); there may be more"));
                is_cut = false;
                break;
            }
            let Ok(next) = tokio::time::timeout_at(deadline, pieces.next()).await else {
                let is_wanted = wanted == Some(deadline);
                notes.push(self.out_of_time(is_wanted, bounds.duration)?);
                break;
            };
            let Some(piece) = next else {
                // The last line may be long.
                let (room, pending) = (self.step.room, self.collector.pending());
                let note = room.work(pending, || self.end()).await?;
                is_cut = note.is_some();
                notes.extend(note.or_else(|| self.ended()));
                break;
            };
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    notes.push(self.broken_off(&error)?);
                    break;
                }
            };
            size += piece.len() as u64;
            rest.after_lines(&piece).await;
            let (before, fitting) = (self.collector.size(), self.collector.so_far());
            // Only the end of a long item takes long, and many ends do.
            let ends = self.collector.may_end(&piece);
            let long = if ends { self.collector.pending() + piece.len() } else { 0 };
            let lines = memchr::memchr_iter(b'\n', &piece).count();
            let long = long.max(lines.saturating_mul(BYTES_A_LINE));
            let pushed = self.step.room.work(long, || self.collector.push(&piece)).await;
            pushed.map_err(|error| self.undecodable(error))?;
            let grown = self.collector.size().saturating_sub(before);
            if let Some(note) = self.too_much(grown as u64, &mut counted, fitting)? {
                notes.push(note);
                break;
            }
        }
        drop(pieces);
        let payload = AnswerPayload::Json(self.collector.finish());
        self.step.resize(counted, payload.bytes())?;
        let Self { status, headers, .. } = self;
        Ok(DecodedAnswer { status, headers, payload, size, notes, is_cut })
    }

    /// Says that the time is up; what brought nothing and was to be a list failed.
    fn out_of_time(&self, is_wanted: bool, duration: Duration) -> Result<String, CallError> {
        let items = self.collector.items();
        let bound = self.step.backend.settings().timeouts.call;
        let (after, setting) =
            if is_wanted { (duration, "max_duration") } else { (bound, "timeout") };
        if items == 0 && !self.is_endless {
            return Err(self.step.timed_out());
        }
        Ok(format!(
            "stopped after {} s with {items} items (`{setting}`); the stream goes on",
            after.as_secs_f32(),
        ))
    }

    /// Says that the connection broke off, or that nothing came for too long.
    fn broken_off(&self, error: &reqwest::Error) -> Result<String, CallError> {
        let items = self.collector.items();
        let is_silent = error.is_timeout();
        if items == 0 && !(is_silent && self.is_endless) {
            return Err(self.step.broken_off(error));
        }
        if is_silent {
            let silence = self.step.backend.settings().timeouts.read.as_secs_f32();
            return Ok(format!(
                "stopped after {items} items: nothing came for {silence} s (`read_timeout`); the \
                 stream goes on"
            ));
        }
        let reason = chain(error);
        Ok(format!("incomplete: the connection broke off after {items} items ({reason})"))
    }

    /// Counts what came; when it is too much, gives up what came last and says so. The items that were
    /// there before are given; without any it is an error.
    fn too_much(
        &mut self,
        grown: u64,
        counted: &mut u64,
        fitting: SoFar,
    ) -> Result<Option<String>, CallError> {
        let limit = self.step.backend.settings().max_response_bytes;
        let (error, reason) = match self.step.take_room(grown) {
            Err(error) => (error, "all answers that are read take too much (`max_memory`)"),
            Ok(()) => {
                *counted += grown;
                if self.collector.size() as u64 <= limit && !self.collector.is_over() {
                    return Ok(None);
                }
                (self.step.too_large(), "they are too large (`max_response_size`)")
            }
        };
        self.collector.back_to(fitting);
        let items = self.collector.items();
        if items == 0 {
            return Err(error);
        }
        Ok(Some(format!("stopped after {items} items: {reason}; there may be more")))
    }

    /// Takes the end of the stream; returns what shows that something is missing.
    fn end(&mut self) -> Result<Option<String>, CallError> {
        let end = self.collector.end_of_list().map_err(|error| self.undecodable(error))?;
        let items = self.collector.items();
        Ok(match end {
            EndOfList::Whole => None,
            EndOfList::Cut => Some(format!(
                "incomplete: the answer ends within an item; these are the {items} before it"
            )),
            // Others are told by the connection when it is not the end.
            EndOfList::Unterminated => self.ends_silently.then(|| {
                format!("maybe incomplete: the answer ends without a line feed after {items} items")
            }),
        })
    }

    /// Says that a stream which nobody expected to be one has ended.
    fn ended(&self) -> Option<String> {
        let is_surprise =
            self.collector.reads_events() && !self.step.tool.response.streaming.is_declared;
        let items = self.collector.items();
        is_surprise.then(|| format!("the server ended the stream after {items} items"))
    }

    fn undecodable(&self, error: DecodeError) -> CallError {
        self.step.undecodable(self.status, error)
    }
}
