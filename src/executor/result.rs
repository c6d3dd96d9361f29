//! An answer becomes the result of its call.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::{
    CallError, callers_jq,
    queue::{NoRoom, Room},
};
use crate::{
    call::CallPlan,
    descriptor::model::Tool,
    gate::Admitted,
    http::{backend::Backend, error::SendErrorKind, upload::Activity},
    outcome::{Held, JsonText, Outcome, Payload},
    response::{
        MASK,
        decode::DecodeError,
        page::{self, Signals},
        shape::{self, RunFilter, ShapeError},
    },
    worker::{FilterError, Filters},
};

/// A bound that no clock can hold is as good as this one.
const LONGEST_CALL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) struct Target<'call> {
    pub(super) backend: &'call Backend,
    pub(super) call: &'call Admitted<'call>,
    pub(super) tool: &'call Tool,
    /// What is being sent.
    pub(super) activity: &'call Activity,
    /// What is being read.
    pub(super) room: &'call Room,
    /// When the time of the call is over.
    pub(super) ends: Instant,
}

/// Returns when the time of a call is over that begins now.
pub(super) fn end_of_call(backend: &Backend) -> Instant {
    let now = Instant::now();
    now.checked_add(backend.settings().timeouts.call).unwrap_or(now + LONGEST_CALL)
}

impl Target<'_> {
    /// Returns what the rest of the pipeline works on. Programs work on JSON, whatever the content
    /// type says; other text is a string to them.
    pub(super) fn readable(&self, payload: Payload, plan: &CallPlan) -> Result<Payload, CallError> {
        let Payload::Text { text, .. } = &payload else { return Ok(payload) };
        let rules = &self.tool.response;
        if !rules.redact.is_empty() {
            return Err(CallError::Redaction { request: self.backend.request_line(plan) });
        }
        if rules.transform.is_none() && callers_jq(self.call).is_none() {
            return Ok(payload);
        }
        if let Ok(text) = JsonText::parse(text) {
            return Ok(Payload::Json(text));
        }
        let text = JsonText::string_within(text, self.most());
        text.map(Payload::Json).ok_or_else(|| self.too_large(plan))
    }

    /// Selects the result in an answer.
    pub(super) fn select(&self, text: JsonText, plan: &CallPlan) -> Result<JsonText, CallError> {
        shape::select(text, self.tool.response.result_path.as_ref(), self.most())
            .map_err(|error| self.misshapen(error, plan))
    }

    /// Returns how many bytes an answer may have.
    pub(super) fn most(&self) -> usize {
        usize::try_from(self.backend.settings().max_response_bytes).unwrap_or(usize::MAX)
    }

    /// Takes a selected result through the rest of the pipeline.
    pub(super) async fn shape(
        &self,
        selected: JsonText,
        status: u16,
        plan: &CallPlan,
        filters: &Filters,
    ) -> Result<Outcome, CallError> {
        let jq = callers_jq(self.call);
        let filters = Filtering { filters, room: self.room };
        let (text, note) = shape::shape(selected, &self.tool.response, jq, &filters, self.most())
            .await
            .map_err(|error| self.misshapen(error, plan))?;
        let notes = note.into_iter().collect();
        let payload = Payload::Json(text);
        Ok(Outcome { status, payload, notes, next: None, held: Held::default() })
    }

    fn misshapen(&self, error: ShapeError<FilterError>, plan: &CallPlan) -> CallError {
        let request = self.backend.request_line(plan);
        match error {
            ShapeError::Jq(error) => CallError::Jq { request, error },
            ShapeError::NothingAt(path) => CallError::ResultPath { request, path },
            ShapeError::Path(key, path, error) => {
                CallError::Path { request, tool: self.tool.name.clone(), key, path, error }
            }
            ShapeError::Room(limit) => CallError::Crowded { request, limit },
            // jq quotes values in its messages, and these are not redacted yet.
            ShapeError::Transform(error) if !self.tool.response.redact.is_empty() => {
                CallError::Transform { request, error: error.without_data() }
            }
            ShapeError::Transform(error) => CallError::Transform { request, error },
        }
    }

    /// Makes the error of a body that is not what its content type says.
    pub(super) fn undecodable(
        &self,
        plan: &CallPlan,
        status: u16,
        error: DecodeError,
    ) -> CallError {
        let backend = self.backend.settings().name.clone();
        // What a tool hides must not show in an error either.
        let hides = !self.tool.response.redact.is_empty();
        let error = if hides { DecodeError { excerpt: MASK.to_owned(), ..error } } else { error };
        CallError::Decode { backend, request: self.backend.request_line(plan), status, error }
    }

    /// Takes room for `bytes` of an answer.
    pub(super) fn take_room(&self, bytes: u64, plan: &CallPlan) -> Result<(), CallError> {
        self.resize(0, bytes, plan)
    }

    /// Notes that `before` bytes of an answer became `after`.
    pub(super) fn resize(&self, before: u64, after: u64, plan: &CallPlan) -> Result<(), CallError> {
        self.room.resize(before, after).map_err(|NoRoom(limit)| CallError::Crowded {
            request: self.backend.request_line(plan),
            limit,
        })
    }

    /// Makes the error of a call whose time is over.
    pub(super) fn timed_out(&self, plan: &CallPlan) -> CallError {
        let after = self.backend.settings().timeouts.call;
        let kind = SendErrorKind::Timeout { bound: "timeout", after };
        CallError::Send(self.backend.failed(plan, kind))
    }

    /// Makes the error of an answer beyond the backend's bound.
    pub(super) fn too_large(&self, plan: &CallPlan) -> CallError {
        let settings = self.backend.settings();
        CallError::TooLarge {
            backend: settings.name.clone(),
            request: self.backend.request_line(plan),
            limit: settings.max_response_bytes,
        }
    }
}

/// The filters of a call, whose results are counted among its bytes.
pub(super) struct Filtering<'call> {
    pub(super) filters: &'call Filters,
    pub(super) room: &'call Room,
}

impl RunFilter for Filtering<'_> {
    type Error = FilterError;

    async fn run(&self, program: &str, input: &JsonText) -> Result<JsonText, FilterError> {
        let input = input.as_str().as_bytes();
        let room = |bytes| self.room.grow(bytes).map_err(|NoRoom(limit)| limit);
        let made = self.filters.run_within(program, input, room).await?;
        // The input is gone when its result is there. Less always fits.
        let _ = self.room.resize(input.len() as u64, 0);
        Ok(JsonText::trusted(made))
    }

    fn resized(&self, before: usize, after: usize) -> Result<(), u64> {
        self.room.resize(before as u64, after as u64).map_err(|NoRoom(limit)| limit)
    }

    async fn work<T: Send>(&self, size: usize, work: impl FnOnce() -> T + Send) -> T {
        self.room.work(size, work).await
    }
}

/// Makes a number of bytes one of a text that is there.
pub(super) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// An answer that was read and decoded.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    /// The length of the body in bytes.
    pub(super) size: u64,
    /// What the caller should know about it.
    pub(super) notes: Vec<String>,
    /// Whether it is a part of a stream or of a list that goes on, or broke off.
    pub(super) is_cut: bool,
}

/// Makes the result of an answer that is all there is, or one page of more.
pub(super) async fn finish(
    target: Target<'_>,
    plan: &CallPlan,
    answer: Answer,
    filters: &Filters,
) -> Result<Outcome, CallError> {
    let Target { call, tool, .. } = target;
    let Answer { status, headers, payload, notes, .. } = answer;
    let size = payload.bytes();
    let prepared = || {
        let text = match target.readable(payload, plan)? {
            Payload::Json(text) => text,
            payload => return Ok(Err(payload)),
        };
        let signals = tool
            .pagination()
            .map(|pagination| (pagination, Signals::read(pagination, &plan.url, &headers, &text)));
        let selected = target.select(text, plan)?;
        let page = signals.map(|(pagination, signals)| {
            let items = selected.items().map(Iterator::count);
            let (arguments, url) = (call.arguments(), &plan.url);
            let page = page::Page { arguments, url, signals: &signals, items, before: 0 };
            page::tell(call.entry(), pagination, page::following(pagination, page), items)
        });
        Ok::<_, CallError>(Ok((selected, page)))
    };
    let (selected, page) = match target.room.work(to_usize(size), prepared).await? {
        Ok(prepared) => prepared,
        Err(payload) => return Ok(unread(status, payload, notes)),
    };
    target.resize(size, selected.as_str().len() as u64, plan)?;
    let mut outcome = target.shape(selected, status, plan, filters).await?;
    outcome.notes.extend(notes);
    if let Some(page) = page {
        outcome.notes.extend(page.note);
        outcome.next = page.arguments;
    }
    Ok(outcome)
}

/// Makes the result of an answer that is no JSON.
fn unread(status: u16, payload: Payload, notes: Vec<String>) -> Outcome {
    let mut outcome = Outcome { status, payload, notes, next: None, held: Held::default() };
    if let Payload::Text { content_type, .. } = &outcome.payload
        && content_type.starts_with("text/html")
    {
        outcome
            .notes
            .push("the answer is a web page, not data: the operator should check `url`".into());
    }
    outcome
}
