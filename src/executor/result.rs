//! An answer becomes the result of its call.

use dadl_descriptor::model::entries::EntryFailures;
use http::HeaderMap;

use super::{
    CallError,
    call_bounds::{AnswerMemory, NoRoom},
    step::{RequestStep, to_usize},
};
use crate::{
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText},
    response::{
        api_error::RejectedAnswer,
        masked_error,
        media::is_page_type,
        page::{self, PageSignals},
        remarks,
        shape::{self, RunFilter, ShapeError},
    },
    worker::{FilterError, FilterPool},
};

/// An answer that was read and decoded.
pub(super) struct DecodedAnswer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) payload: AnswerPayload,
    /// The length of the body in bytes.
    pub(super) size: u64,
    /// What the caller should know about it.
    pub(super) notes: Vec<String>,
    /// Whether it is a part of a stream or of a list that goes on, or broke off.
    pub(super) is_cut: bool,
}

impl RequestStep<'_> {
    /// Refuses a 2xx answer that says in its body that it is an error.
    pub(super) fn judge(&self, answer: &DecodedAnswer) -> Result<(), CallError> {
        let failed = &self.tool.errors.failed;
        let (false, AnswerPayload::Json(text)) = (failed.is_empty(), &answer.payload) else {
            return Ok(());
        };
        let text = text.as_str();
        if self.shows_tasks() || !failed.iter().any(|it| it.holds(text) == Some(true)) {
            return Ok(());
        }
        let rejection = RejectedAnswer {
            status: answer.status,
            body: text.as_bytes(),
            request: &self.request_line(),
            retry_after: None,
            attempts: 1,
        };
        Err(Box::new(masked_error::read_masked_error(rejection, self.tool)).into())
    }

    /// Refuses a log that says that something failed; returns what there is to say of one that goes on.
    pub(super) fn judge_entries(
        &self,
        answer: &DecodedAnswer,
    ) -> Result<Option<String>, CallError> {
        let rules = self.call.entry().descriptor().entries_of(&self.tool.name);
        let (Some(rules), AnswerPayload::Json(text)) = (rules, &answer.payload) else {
            return Ok(None);
        };
        let Some(failures) = EntryFailures::of_list(text.as_str(), rules).sentence() else {
            return Ok(None);
        };
        match answer.is_cut {
            true => Ok(Some(format!("what the log tells so far has failed in part: {failures}"))),
            false => Err(CallError::Entries { request: self.request_line(), failures }),
        }
    }

    /// Makes the result of an answer that is all there is, or one page of more.
    pub(super) async fn finish(self, answer: DecodedAnswer) -> Result<CallOutcome, CallError> {
        let Self { call, tool, plan, .. } = self;
        let DecodedAnswer { status, headers, payload, notes, .. } = answer;
        let size = payload.bytes();
        let prepared = || {
            let text = match self.readable(payload)? {
                AnswerPayload::Json(text) => text,
                payload => return Ok(Err(payload)),
            };
            let signals = tool.pagination().map(|pagination| {
                (pagination, PageSignals::read(pagination, &plan.url, &headers, &text))
            });
            let selected = self.select(text)?;
            let page = signals.map(|(pagination, signals)| {
                let items = selected.items().map(Iterator::count);
                let (arguments, url) = (call.arguments(), &plan.url);
                let page = page::ResultPage { arguments, url, signals: &signals, items, before: 0 };
                page::page_note(
                    call.entry(),
                    pagination,
                    page::following_page(pagination, page),
                    items,
                )
            });
            Ok::<_, CallError>(Ok((selected, page)))
        };
        let (selected, page) = match self.room.work(to_usize(size), prepared).await? {
            Ok(prepared) => prepared,
            Err(payload) => return Ok(unread(status, payload, notes, self.expects_page())),
        };
        self.resize(size, selected.as_str().len() as u64)?;
        let mut outcome = self.shape(selected, status).await?;
        outcome.notes.extend(notes);
        match page.flatten() {
            Some(page::PageNote::Next(next)) => outcome.next = Some(next),
            Some(page::PageNote::Note(note)) => outcome.notes.push(note),
            None => {}
        }
        Ok(outcome)
    }

    /// Returns what the rest of the pipeline works on. Programs work on JSON, whatever the content
    /// type says; other text is a string to them.
    pub(super) fn readable(&self, payload: AnswerPayload) -> Result<AnswerPayload, CallError> {
        let AnswerPayload::Text { text, .. } = &payload else { return Ok(payload) };
        let rules = &self.tool.response;
        if !rules.redact.is_empty() {
            return Err(CallError::Redaction { request: self.request_line() });
        }
        if rules.transform.is_none() && self.call.arguments().jq().is_none() {
            return Ok(payload);
        }
        if let Ok(text) = JsonText::parse(text) {
            return Ok(AnswerPayload::Json(text));
        }
        let text = JsonText::string_within(text, self.most());
        text.map(AnswerPayload::Json).ok_or_else(|| self.too_large())
    }

    /// Selects the result in an answer.
    pub(super) fn select(&self, text: JsonText) -> Result<JsonText, CallError> {
        shape::select_path(text, self.tool.response.result_path.as_ref(), self.most())
            .map_err(|error| self.misshapen(error))
    }

    /// Takes a selected result through the rest of the pipeline.
    pub(super) async fn shape(
        self,
        selected: JsonText,
        status: u16,
    ) -> Result<CallOutcome, CallError> {
        let arguments = self.call.arguments();
        let jq = arguments.jq();
        let mut notes = Vec::new();
        if remarks::may_be_made(arguments) {
            let size = selected.as_str().len();
            let is_asked = |text: &str| self.context.is_asked(text);
            notes =
                self.room.work(size, || remarks::remarks(arguments, &selected, &is_asked)).await;
        }
        let filters = CallFilters { filters: self.filters, room: self.room };
        let (text, note) =
            shape::shape_result(selected, &self.tool.response, jq, &filters, self.most())
                .await
                .map_err(|error| self.misshapen(error))?;
        notes.extend(note);
        let payload = AnswerPayload::Json(text);
        Ok(CallOutcome { status, payload, notes, next: None, held: HeldMemory::default() })
    }

    fn misshapen(&self, error: ShapeError<FilterError>) -> CallError {
        let request = self.request_line();
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
}

/// Makes the result of an answer that is no JSON.
fn unread(
    status: u16,
    payload: AnswerPayload,
    notes: Vec<String>,
    expects_page: bool,
) -> CallOutcome {
    let mut outcome =
        CallOutcome { status, payload, notes, next: None, held: HeldMemory::default() };
    if let AnswerPayload::Text { content_type, .. } = &outcome.payload
        && is_page_type(Some(content_type))
        && !expects_page
    {
        outcome
            .notes
            .push("the answer is a web page, not data: the operator should check `url`".into());
    }
    outcome
}

/// The filters of a call, whose results are counted among its bytes.
pub(super) struct CallFilters<'call> {
    pub(super) filters: &'call FilterPool,
    pub(super) room: &'call AnswerMemory,
}

impl RunFilter for CallFilters<'_> {
    type Error = FilterError;

    async fn run(&self, program: &str, input: &JsonText) -> Result<JsonText, FilterError> {
        let input = input.as_str().as_bytes();
        let room = |bytes| self.room.grow(bytes).map_err(|NoRoom(limit)| limit);
        let made = Box::pin(self.filters.run_within(program, input, room)).await?;
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
