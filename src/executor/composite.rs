//! A composite from its script to its result.
//!
//! The script runs on a thread of its own (see [`ScriptRun`]); its calls run here, all at once, each
//! through the gate. The time limit covers both, and dropping the future ends both.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dadl_descriptor::{
    model::{AccessLevel, Composite},
    script::engine::{CallReply, ScriptEvent, ScriptFailure, ScriptJob},
};
use dadl_text::text;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::{
    CallContext, CallError, Executor, TaskError, WaitBudget,
    call_bounds::NoRoom,
    script::{MOST_RUNS, ScriptRun},
};
use crate::{
    files::REFERENCE,
    gate::{Admitted, CallRefusal},
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText, NextPage},
};

/// So many calls of one script are in flight; each may have an answer of the largest size.
const MOST_IN_FLIGHT: usize = 10;

/// So long before its time is over a script learns that a task which it waits for goes on.
const TO_LEARN: Duration = Duration::from_millis(250);

/// So many of the tasks that may not be looked at are told with a failure.
const MOST_UNSEEN: usize = 3;
/// What is said of a composite that was ended and may have changed something.
const WHAT_WAS_BEGUN: &str =
    "; what it had begun may have been done: look before it is called again";

/// So many notes of inner calls reach the caller.
const MOST_NOTES: usize = 20;

/// So much is told of why a call of a script brought nothing, in characters.
const MOST_REASON: usize = 300;

/// Runs `composite`, which `call` calls.
pub(super) async fn run(
    executor: &Executor,
    call: &Admitted<'_>,
    composite: &Composite,
    context: &CallContext<'_>,
) -> Result<CallOutcome, CallError> {
    let most_bytes = executor.backend(call.entry())?.settings().max_response_bytes;
    executor.check_handles(call.arguments()).await?;
    let notes = Vec::new();
    // A script learns that a task goes on before its own time is over.
    let budget =
        WaitBudget::Until((Instant::now() + composite.timeout.saturating_sub(TO_LEARN)).into());
    let context = &context.clone().waiting(budget).of_script(call.arguments());
    let unseen = Vec::new();
    let mut running =
        RunningComposite { executor, call, composite, context, has_slot: false, notes, unseen };
    let ended = tokio::time::timeout(composite.timeout, running.finish()).await;
    let result = ended.unwrap_or_else(|_| {
        let after = composite.timeout.as_secs_f64();
        let message = if running.has_slot {
            let may_change = composite.access != Some(AccessLevel::Read);
            let done = if may_change { WHAT_WAS_BEGUN } else { "" };
            format!("it did not end within {after} s{done}")
        } else {
            format!("{MOST_RUNS} others were running for {after} s; try again later")
        };
        Err(ScriptFailure { message, line: None })
    });
    let failed =
        |reason: String| CallError::Composite { composite: call.entry().name.clone(), reason };
    let text = result.map_err(|failure| failed(running.explain(failure)))?;
    if text.len() as u64 > most_bytes {
        return Err(failed(format!(
            "its result is larger than {most_bytes} bytes (`max_response_size` of backend \"{}\")",
            call.entry().backend_name
        )));
    }
    // As text: it may have integers of any length.
    let value = executor.room(&context.client).work(text.len(), || JsonText::parse(&text)).await;
    let value =
        value.map_err(|error| failed(format!("its result cannot be shown as JSON: {error}")))?;
    let room = executor.room(&context.client);
    room.grow(value.as_str().len() as u64).map_err(|NoRoom(limit)| {
        failed(format!(
            "there is no room for its result: all answers that are being read have {limit} bytes \
             together (`max_memory` of `limits`)"
        ))
    })?;
    let (payload, notes) = (AnswerPayload::Json(value), running.notes);
    Ok(CallOutcome { status: 200, payload, notes, next: None, held: HeldMemory::by(room) })
}

/// A composite while it runs.
struct RunningComposite<'run> {
    executor: &'run Executor,
    call: &'run Admitted<'run>,
    composite: &'run Composite,
    context: &'run CallContext<'run>,
    has_slot: bool,
    notes: Vec<String>,
    /// What is to say of tasks that may not be looked at: the script goes on without their ends.
    unseen: Vec<String>,
}

/// What an inner call gave.
struct InnerAnswer {
    tool: String,
    reply: CallReply,
    notes: Vec<String>,
    /// Whether it began a task that may not be looked at.
    is_hidden: bool,
    next: Option<NextPage>,
    /// Whether nobody knows what there would have been.
    is_blind: bool,
}

/// The ids of the files that the calls of a script saved: they are its caller's, as those that the caller
/// named.
#[derive(Default)]
struct SavedIds(Mutex<Vec<String>>);

impl SavedIds {
    fn note(&self, payload: &AnswerPayload) {
        let AnswerPayload::File(file) = payload else { return };
        let id = file.reference.as_deref().and_then(|it| it.strip_prefix(REFERENCE));
        self.lock().extend(id.map(str::to_owned));
    }

    fn ids(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pages that a script knows of and has not read.
#[derive(Default)]
struct UnreadPages(Vec<(String, NextPage)>);

impl UnreadPages {
    /// Notes a call: one with the arguments of a page reads it.
    fn called(&mut self, tool: &str, arguments: &str) {
        if self.0.is_empty() {
            return;
        }
        let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
        self.0.retain(|(of, next)| {
            let is_given = |(name, value): (&String, &Value)| {
                arguments.get(name).is_some_and(|given| is_same(given, value))
            };
            of != tool || !next.arguments.iter().all(is_given)
        });
    }

    /// Says of each tool once that there is more.
    fn notes(self) -> Vec<(String, String)> {
        let mut notes: Vec<(String, String)> = Vec::new();
        for (tool, next) in self.0 {
            if !notes.iter().any(|(of, _)| *of == tool) {
                let reason = format!("not all pages were read: {}", next.reason);
                notes.push((tool, reason));
            }
        }
        notes
    }
}

/// Returns whether two arguments are the same one: scripts write a number as a text, or the other way.
fn is_same(given: &Value, value: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    given == value || text(given) == text(value)
}

impl RunningComposite<'_> {
    /// Runs the script and its calls until both are done.
    async fn finish(&mut self) -> Result<String, ScriptFailure> {
        let deadline = Instant::now() + self.composite.timeout;
        let internal = |message: &str| ScriptFailure { message: message.to_owned(), line: None };
        let slot = self.executor.slots.take(&self.context.client).await;
        let slot =
            slot.ok_or_else(|| internal("too many others wait for their turn; try again later"))?;
        self.has_slot = true;
        let job = ScriptJob {
            code: self.composite.script.code.clone(),
            params: Value::Object(self.params()).to_string(),
            tools: self.composite.calls.to_vec(),
            deadline,
        };
        let mut run = ScriptRun::start(job, slot)
            .map_err(|error| internal(&format!("the system has no thread: {error}")))?;
        let turns = Semaphore::new(MOST_IN_FLIGHT);
        let saved = SavedIds::default();
        let mut calls = FuturesUnordered::new();
        let mut ended = None;
        let mut failed = HashMap::new();
        let mut unheard = Vec::new();
        let mut unread = UnreadPages::default();
        // Calls that nobody awaits are finished as well: half a request helps nobody.
        while ended.is_none() || !calls.is_empty() {
            tokio::select! {
                event = run.next(), if ended.is_none() => match event {
                    Some(ScriptEvent::Call { id, tool, arguments }) => {
                        unread.called(&tool, &arguments);
                        let (executor, call, context) = (self.executor, self.call, self.context);
                        let (turn, saved) = (turns.acquire(), &saved);
                        calls.push(async move {
                            // Nobody closes it, so that there always is a turn.
                            let _turn = turn.await;
                            executor.inner((call, saved), context, id, tool, arguments).await
                        });
                    }
                    Some(ScriptEvent::Log { level, text }) => self.log(&level, &text),
                    Some(ScriptEvent::Done { result, unlogged, open, unhandled }) => {
                        if unlogged > 0 {
                            self.log("warn", &format!("{unlogged} further lines were dropped"));
                        }
                        // The failure that ends a composite says what there is to say.
                        if unhandled > 0 && result.is_ok() {
                            let failures = match unhandled {
                                1 => "1 failure was".to_owned(),
                                many => format!("{many} failures were"),
                            };
                            self.notes.push(format!(
                                "{failures} not handled by the composite; the log has those of \
                                 its calls"
                            ));
                        }
                        ended = Some(result);
                        unheard = open;
                    }
                    None => ended = Some(Err(internal("the script engine failed"))),
                },
                Some(answer) = calls.next(), if !calls.is_empty() => {
                    let InnerAnswer { tool, reply, notes, next, is_blind, is_hidden } = answer;
                    self.heard(&tool, &notes, is_hidden);
                    if unread.0.len() < MOST_NOTES {
                        unread.0.extend(next.map(|next| (tool.clone(), next)));
                    }
                    if let Err(error) = &reply.result {
                        failed.insert(reply.id, (tool, whole(error), is_blind));
                    }
                    run.reply(reply);
                }
            }
        }
        for (tool, note) in unread.notes() {
            note_from(&tool, &note, &mut self.notes);
        }
        for (tool, error, _) in unheard.iter().filter_map(|id| failed.remove(id)) {
            note_from(&tool, &format!("not awaited, and failed: {error}"), &mut self.notes);
        }
        let went_on = matches!(ended, Some(Ok(_)));
        self.tell_blind(went_on, failed.into_values());
        ended.unwrap_or_else(|| Err(internal("the script engine failed")))
    }

    /// Takes the notes of an inner call.
    fn heard(&mut self, tool: &str, notes: &[String], is_hidden: bool) {
        for note in notes {
            if is_hidden {
                self.unseen.push(format!("{tool}: {note}"));
            }
            note_from(tool, note, &mut self.notes);
        }
    }

    /// Tells of calls that brought nothing to a script which went on without them: what it says of the
    /// rest is not all.
    fn tell_blind(&mut self, went_on: bool, failed: impl Iterator<Item = (String, String, bool)>) {
        let blind = failed.filter(|(_, _, is_blind)| went_on && *is_blind);
        let reasons: BTreeMap<String, String> =
            blind.map(|(tool, error, _)| (tool, error)).collect();
        for (tool, error) in reasons {
            let reason = text::cut_text(&error, MOST_REASON);
            let note = format!("no answer, and the composite went on without it: {reason}");
            note_from(&tool, &note, &mut self.notes);
        }
    }

    /// Returns the arguments under the names that the descriptor has for them.
    fn params(&self) -> Map<String, Value> {
        let arguments = self.call.arguments().iter();
        arguments.map(|(param, value)| (param.name.clone(), value.clone())).collect()
    }

    fn log(&self, level: &str, text: &str) {
        let backend = &*self.call.entry().backend_name;
        let composite = self.composite.name.as_str();
        match level {
            "debug" => tracing::debug!(backend, composite, text, "console"),
            "warn" => tracing::warn!(backend, composite, text, "console"),
            "error" => tracing::error!(backend, composite, text, "console"),
            _ => tracing::info!(backend, composite, text, "console"),
        }
    }

    /// Says what went wrong and where in the descriptor.
    fn explain(&self, failure: ScriptFailure) -> String {
        let ScriptFailure { mut message, line } = failure;
        for note in self.unseen.iter().take(MOST_UNSEEN) {
            message.push_str(&format!("; {note}"));
        }
        match (line, self.composite.script.first_line) {
            (None, _) => message,
            (Some(line), Some(first)) => {
                format!("{message} (line {} of the descriptor)", first + line - 1)
            }
            (Some(line), None) => format!("{message} (line {line} of its code)"),
        }
    }
}

fn note_from(tool: &str, note: &str, notes: &mut Vec<String>) {
    if notes.len() < MOST_NOTES {
        notes.push(format!("{tool}: {note}"));
    } else if notes.len() == MOST_NOTES {
        notes.push("more notes of inner calls were left out".to_owned());
    }
}

/// Returns the text for people of an error that a script gets.
fn whole(error: &str) -> String {
    let error: Option<Map<String, Value>> = serde_json::from_str(error).ok();
    let whole = error.and_then(|error| error.get("whole")?.as_str().map(str::to_owned));
    whole.unwrap_or_default()
}

impl Executor {
    /// Makes one call of a script.
    async fn inner(
        &self,
        (composite, saved): (&Admitted<'_>, &SavedIds),
        context: &CallContext<'_>,
        id: u32,
        tool: String,
        arguments: String,
    ) -> InnerAnswer {
        let began = Instant::now();
        let result = self.call_within((composite, saved), context, &tool, &arguments).await;
        let backend = &*composite.entry().backend_name;
        let parent = composite.entry().declared_name();
        let ms = began.elapsed().as_millis();
        match &result {
            Ok(outcome) => {
                let status = outcome.status;
                tracing::info!(backend, composite = parent, tool, status, ms, "inner call");
            }
            Err(failed) => {
                let error = failed.whole.as_str();
                tracing::info!(backend, composite = parent, tool, error, ms, "inner call");
            }
        }
        match result {
            Ok(outcome) => {
                let (notes, next) = (outcome.notes, outcome.next);
                let held = outcome.held.into_count();
                saved.note(&outcome.payload);
                let is_hidden =
                    matches!(&outcome.payload, AnswerPayload::Task(report) if report.is_hidden);
                let result = Ok(as_json(outcome.payload));
                let reply = CallReply { id, result, held };
                InnerAnswer { tool, reply, notes, next, is_blind: false, is_hidden }
            }
            Err(failed) => {
                let (result, is_blind) = (Err(failed.as_json()), failed.is_blind);
                let reply = CallReply { id, result, held: None };
                InnerAnswer {
                    tool,
                    reply,
                    notes: Vec::new(),
                    next: None,
                    is_blind,
                    is_hidden: false,
                }
            }
        }
    }

    async fn call_within(
        &self,
        (composite, saved): (&Admitted<'_>, &SavedIds),
        context: &CallContext<'_>,
        tool: &str,
        arguments: &str,
    ) -> Result<CallOutcome, InnerFailure> {
        let arguments: Map<String, Value> = serde_json::from_str(arguments).map_err(|error| {
            InnerFailure::new("invalid_input", format!("no arguments: {error}"))
        })?;
        let call = composite.call_within(tool, arguments, || saved.ids()).map_err(|refusal| {
            let code = match refusal {
                CallRefusal::Arguments(_)
                | CallRefusal::NoTask { .. }
                | CallRefusal::UnknownTool { .. } => "invalid_input",
                CallRefusal::Denied { .. } | CallRefusal::NotConfirmed { .. } => "forbidden",
            };
            InnerFailure::new(code, refusal.to_string())
        })?;
        if let Some(report) = self.check_health(&call).await {
            return Ok(report.into());
        }
        // The gate admits tools only.
        let Some(tool) = call.entry().tool() else {
            return Err(InnerFailure::new(
                "invalid_input",
                "a composite calls no composites".to_owned(),
            ));
        };
        self.request(&call, tool, context).await.map_err(InnerFailure::from)
    }
}

/// Why an inner call failed: what a script gets to see, and `whole`, all that is known.
struct InnerFailure {
    code: String,
    http_status: Option<u16>,
    message: String,
    provider_code: Option<String>,
    whole: String,
    /// Whether there is no answer, or none that can be used: not even a no.
    is_blind: bool,
}

impl InnerFailure {
    fn new(code: &str, message: String) -> Self {
        let (code, whole) = (code.to_owned(), message.clone());
        let is_blind = false;
        Self { code, http_status: None, message, provider_code: None, whole, is_blind }
    }

    fn as_json(&self) -> String {
        let Self { code, http_status, message, provider_code, whole, .. } = self;
        json!({
            "code": code,
            "http_status": http_status,
            "message": message,
            "provider_code": provider_code,
            "whole": whole,
        })
        .to_string()
    }
}

impl From<CallError> for InnerFailure {
    fn from(error: CallError) -> Self {
        let is_blind = error.is_blind();
        Self { is_blind, ..Self::of(error) }
    }
}

impl InnerFailure {
    fn of(error: CallError) -> Self {
        let whole = error.for_model();
        if let Some(inner) = error.inner() {
            let inner = Self::of(inner.clone());
            return Self { message: whole.clone(), whole, ..inner };
        }
        match error {
            CallError::Api(error) => Self {
                code: error.code.clone(),
                http_status: Some(error.status),
                // Whoever reads what the script makes of it is helped by the hint.
                message: match &error.hint {
                    Some(hint) => format!("{}; {hint}", error.message),
                    None => error.message.clone(),
                },
                provider_code: error.provider_code.clone(),
                whole,
                is_blind: false,
            },
            CallError::Argument(_) => Self::new("invalid_input", whole),
            CallError::Entries { failures, .. } => {
                Self { message: failures, whole, ..Self::new("internal", String::new()) }
            }
            CallError::Send(_) => Self::new("unavailable", whole),
            error if error.is_transient() => Self::new("unavailable", whole),
            CallError::Task(error) => match *error {
                TaskError::OutOfTime { .. } => Self::new("timeout", whole),
                // What a script shows or compares is the reason in the words of the API.
                TaskError::Failed(failure) => {
                    let message = failure.reason.unwrap_or_else(|| whole.clone());
                    Self { message, whole, ..Self::new("internal", String::new()) }
                }
                _ => Self::new("internal", whole),
            },
            _ => Self::new("internal", whole),
        }
    }
}

/// Returns what a script gets: a value, text, the description of a file, or null.
fn as_json(payload: AnswerPayload) -> String {
    match payload {
        AnswerPayload::Empty => "null".to_owned(),
        AnswerPayload::Json(text) => text.into_string(),
        AnswerPayload::Text { text, .. } => Value::String(text).to_string(),
        AnswerPayload::Task(report) => report.to_value().to_string(),
        AnswerPayload::File(file) => file.to_value().to_string(),
    }
}
