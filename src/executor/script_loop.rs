//! The loop that drives a script: its calls run side by side, each through the gate, and what there is
//! to say of them is gathered for the result.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use dadl_descriptor::script::engine::{CallReply, ScriptEvent, ScriptFailure, ScriptJob};
use dadl_text::text;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::{
    inner_failure::InnerFailure,
    script::{ScriptRun, ScriptSlots},
};
use crate::{
    files::REFERENCE,
    outcome::{AnswerPayload, CallOutcome, NextPage, SavedFile},
    shares::ClientKey,
};

/// So many calls of one script are in flight; each may have an answer of the largest size.
const MOST_IN_FLIGHT: usize = 10;

/// So many notes of inner calls reach the caller.
const MOST_NOTES: usize = 20;

/// So much is told of why a call of a script brought nothing, in characters.
const MOST_REASON: usize = 300;

/// Whose script runs: it makes the calls, and keeps the log.
pub(super) trait ScriptHost: Sync {
    /// Returns what people call the script.
    fn noun(&self) -> &'static str;

    /// Makes a call of the script, through the gate; `saved` are the files of those before it.
    fn call(
        &self,
        saved: &SavedIds,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> impl Future<Output = Result<CallOutcome, InnerFailure>> + Send;

    /// Hears of a call before it is made.
    fn named(&self, _: &str) {}

    /// Hears that the script has sent all calls that it makes before one is answered.
    fn waits(&self) {}

    /// Hears that the script is over, before its last calls are.
    fn is_over(&self, _: ScriptOutcome) {}

    /// Logs a line of the script.
    fn log(&self, level: &str, text: &str);

    /// Logs a call: with its status, or why it failed.
    fn log_call(&self, tool: &str, done: Result<u16, &str>, ms: u128);
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptOutcome {
    /// It gave a result.
    Done,
    /// It gave none.
    Failed,
}

/// A script while it runs.
pub(super) struct ScriptLoop<'run, H> {
    host: &'run H,
    pub(super) has_slot: bool,
    /// What there is to say about the calls.
    pub(super) notes: Vec<String>,
    /// What is to say of tasks that may not be looked at: the script goes on without their ends.
    pub(super) unseen: Vec<String>,
}

impl<'run, H: ScriptHost> ScriptLoop<'run, H> {
    /// Prepares a run for `host`.
    pub(super) fn new(host: &'run H) -> Self {
        Self { host, has_slot: false, notes: Vec::new(), unseen: Vec::new() }
    }
}

/// Makes one call of a script.
async fn make_call<H: ScriptHost>(
    host: &H,
    saved: &SavedIds,
    id: u32,
    tool: String,
    arguments: String,
) -> InnerAnswer {
    let began = Instant::now();
    let result = match serde_json::from_str(&arguments) {
        Ok(arguments) => host.call(saved, &tool, arguments).await,
        Err(error) => Err(InnerFailure::new("invalid_input", format!("no arguments: {error}"))),
    };
    let done = result.as_ref().map(|outcome| outcome.status).map_err(|it| it.whole.as_str());
    host.log_call(&tool, done, began.elapsed().as_millis());
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
            let (notes, next) = (Vec::new(), None);
            InnerAnswer { tool, reply, notes, next, is_blind, is_hidden: false }
        }
    }
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
pub(super) struct SavedIds(Mutex<Vec<String>>);

impl SavedIds {
    fn note(&self, payload: &AnswerPayload) {
        let note = |file: &SavedFile| {
            let id = file.reference.as_deref().and_then(|it| it.strip_prefix(REFERENCE));
            self.lock().extend(id.map(str::to_owned));
        };
        match payload {
            AnswerPayload::File(file) => note(file),
            AnswerPayload::Content(content) => content.files().for_each(note),
            _ => {}
        }
    }

    pub(super) fn ids(&self) -> Vec<String> {
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

impl<H: ScriptHost> ScriptLoop<'_, H> {
    /// Runs the script and its calls until both are done.
    pub(super) async fn finish(
        &mut self,
        slots: &ScriptSlots,
        client: &ClientKey,
        job: ScriptJob,
    ) -> Result<String, ScriptFailure> {
        let internal = |message: &str| ScriptFailure { message: message.to_owned(), line: None };
        let slot = slots.take(client).await;
        let slot =
            slot.ok_or_else(|| internal("too many others wait for their turn; try again later"))?;
        self.has_slot = true;
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
                        self.host.named(&tool);
                        let (turn, saved, host) = (turns.acquire(), &saved, self.host);
                        calls.push(async move {
                            // Nobody closes it, so that there always is a turn.
                            let _turn = turn.await;
                            make_call(host, saved, id, tool, arguments).await
                        });
                    }
                    Some(ScriptEvent::Waits) => self.host.waits(),
                    Some(ScriptEvent::Log { level, text }) => self.host.log(&level, &text),
                    Some(ScriptEvent::Done { result, unlogged, open, unhandled }) => {
                        self.tell_end(&result, unlogged, unhandled);
                        ended = Some(result);
                        unheard = open;
                    }
                    None => {
                        self.host.is_over(ScriptOutcome::Failed);
                        ended = Some(Err(internal("the script engine failed")));
                    }
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
        self.tell_blind(matches!(ended, Some(Ok(_))), failed.into_values());
        ended.unwrap_or_else(|| Err(internal("the script engine failed")))
    }

    /// Takes what there is to say of a script that is done.
    fn tell_end(&mut self, result: &Result<String, ScriptFailure>, unlogged: u32, unhandled: u32) {
        if unlogged > 0 {
            self.host.log("warn", &format!("{unlogged} further lines were dropped"));
        }
        // The failure that ends a script says what there is to say.
        if unhandled > 0 && result.is_ok() {
            let failures = match unhandled {
                1 => "1 failure was".to_owned(),
                many => format!("{many} failures were"),
            };
            let noun = self.host.noun();
            self.notes.push(format!(
                "{failures} not handled by the {noun}; the log has those of its calls"
            ));
        }
        self.host.is_over(match result {
            Ok(_) => ScriptOutcome::Done,
            Err(_) => ScriptOutcome::Failed,
        });
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
            let note =
                format!("no answer, and the {} went on without it: {reason}", self.host.noun());
            note_from(&tool, &note, &mut self.notes);
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

/// Returns what a script gets: a value, text, the description of a file, or null.
fn as_json(payload: AnswerPayload) -> String {
    match payload {
        AnswerPayload::Content(content) => content.into_json().into_string(),
        AnswerPayload::Empty => "null".to_owned(),
        AnswerPayload::Json(text) => text.into_string(),
        AnswerPayload::Text { text, .. } => Value::String(text).to_string(),
        AnswerPayload::Task(report) => report.to_value().to_string(),
        AnswerPayload::File(file) => file.to_value().to_string(),
    }
}
