//! A script that a caller brings: many calls for the price of one, and only its result is read.
//!
//! It runs in the sandbox of composites, with a tool of the API behind each name. Where a person can be
//! asked, its first change waits for a yes that is given to the script as a whole; the time that a person
//! takes counts against no bound. What it changed is told at every end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dadl_descriptor::script::{
    self,
    api::{ScriptApi, ScriptNames, UnknownScriptTool},
    deadline::RunDeadline,
    engine::{MOST_BUSY, MOST_CALLS, ScriptFailure, ScriptJob},
};
use dadl_text::text::{self, quoted_text};
use serde_json::{Map, Value};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{
    CallContext, Executor,
    change_approval::{ChangeApproval, ChangeQuestion, ChangeRefusal},
    change_ledger::{ChangeEnd, LedgerGuard, ScriptEnd},
    inner_failure::InnerFailure,
    script::MOST_CALLER_RUNS,
    script_loop::{SavedIds, ScriptHost, ScriptLoop, ScriptOutcome},
    script_result::{self, ScriptResultError},
};
use crate::{
    access::AccessDecision,
    catalog::{Catalog, CatalogEntry},
    finding,
    gate::{CallRefusal, Gate, script::ScriptScope},
    outcome::{AnswerPayload, CallOutcome, CallProgress, HeldMemory},
};

/// How long a script runs, unless the operator says otherwise: as long as a composite.
const DEFAULT_TIME: Duration = Duration::from_secs(30);

/// So often the end of a run is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A script that waits for a person ends when even a patient host has given up.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// So much of a result is taken, in bytes; what a model sees of it is another bound.
const MOST_RESULT: usize = 16 * 1024 * 1024;

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 100;

/// A script and what it may do.
#[derive(Debug, Clone)]
pub struct CallerScript {
    /// JavaScript or TypeScript: the body of an async function with the parameter `api`, or a function.
    pub code: String,
    /// What it may call.
    pub scope: ScriptScope,
    /// How long it may run; waiting for a person does not count.
    pub time: Duration,
    /// How many calls it may make.
    pub most_calls: u32,
}

impl CallerScript {
    /// Makes a script with the usual bounds.
    pub fn new(code: String, scope: ScriptScope) -> Self {
        Self { code, scope, time: DEFAULT_TIME, most_calls: MOST_CALLS }
    }
}

/// Finds and describes tools for a script.
pub trait ScriptGuide: Send + Sync {
    /// Returns what a search for tools answers.
    fn search(&self, queries: Vec<String>) -> String;

    /// Returns the signature of a tool with all that is known about it; `None` when there is no such tool.
    fn describe(&self, name: &str) -> Option<String>;

    /// Returns the signature of a tool in a line.
    fn signature(&self, entry: &CatalogEntry) -> String;
}

/// Why a script has no result. The text says what it changed before.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The caller, or an API: the script failed.
    #[error("the script failed: {reason}{}", tail(.changes))]
    Failed {
        /// What happened, with the line where it is known.
        reason: String,
        /// What it had changed.
        changes: Option<String>,
    },
    /// The script took too long.
    #[error("the script did not end within {} s{}", .time.as_secs_f64(), tail(.changes))]
    Late {
        /// How long it may run.
        time: Duration,
        /// What it had changed.
        changes: Option<String>,
    },
    /// The operator: the program ends.
    #[error("the server is ending, and the script with it{}", tail(.changes))]
    Ended {
        /// What it had changed.
        changes: Option<String>,
    },
    /// The system or others: there was no turn for it. Nothing was called.
    #[error("the script was not run: {MOST_CALLER_RUNS} others were running; try again later")]
    Busy,
    /// The caller: what it returned is too large, or no JSON.
    #[error("the script ended, but its result cannot be shown: {reason}{}", tail(.changes))]
    Result {
        /// Why not.
        reason: ScriptResultError,
        /// What it had changed.
        changes: Option<String>,
    },
}

fn tail(changes: &Option<String>) -> String {
    match changes {
        Some(changes) => format!(
            ". {changes}. Do not run it again as a whole: look first, then do what is missing"
        ),
        None => String::new(),
    }
}

impl ScriptError {
    /// Says it in words that a model can act on.
    pub fn for_model(&self) -> String {
        text::shown_text(&self.to_string()).into_owned()
    }
}

impl Executor {
    /// Runs a script whose calls pass `gate`. `approval` asks a person before its first change, where one can
    /// be asked.
    ///
    /// # Errors
    ///
    /// See [`ScriptError`].
    pub async fn run_script(
        &self,
        gate: &Gate,
        script: &CallerScript,
        approval: Option<&dyn ChangeApproval>,
        guide: &dyn ScriptGuide,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, ScriptError> {
        script::check_length(&script.code)
            .map_err(|problem| ScriptError::Failed { reason: problem.message, changes: None })?;
        let deadline = Arc::new(RunDeadline::after(script.time));
        let names = CallerNames::new(gate.clone(), script.scope);
        let host = CallerHost {
            executor: self,
            gate,
            script,
            approval,
            guide,
            context: context.clone().of_code(),
            deadline: Arc::clone(&deadline),
            ledger: self.ledgers.open(&context.client),
            asked: AsyncMutex::new(None),
            named: Mutex::default(),
            is_quiet: AtomicBool::new(false),
            quiet: Notify::new(),
            has_failed: AtomicBool::new(false),
        };
        let mut running = ScriptLoop::new(&host);
        let api: Arc<dyn ScriptNames> = Arc::new(names);
        let job = |code: String| ScriptJob {
            code,
            params: "{}".to_owned(),
            api: ScriptApi::Open(Arc::clone(&api)),
            most_calls: script.most_calls,
            most_busy: MOST_BUSY,
            deadline: Arc::clone(&deadline),
        };
        let run = host.run(&mut running, job);
        let ended = tokio::select! {
            ended = run => Some(ended),
            () = passed(&deadline) => None,
            () = context.program_ends() => {
                return Err(ScriptError::Ended { changes: host.ledger.close(ScriptEnd::Cancelled) });
            }
        };
        let (has_slot, notes, unseen) = (running.has_slot, running.notes, running.unseen);
        let close = |end| host.ledger.close(end);
        match ended {
            None if !has_slot => Err(ScriptError::Busy),
            None => Err(ScriptError::Late { time: script.time, changes: close(ScriptEnd::Failed) }),
            Some(Err(failure)) => {
                let reason = reason_of(failure, &unseen);
                Err(ScriptError::Failed { reason, changes: close(ScriptEnd::Failed) })
            }
            Some(Ok(text)) => {
                let changes = close(ScriptEnd::Done);
                let wrong = |reason| ScriptError::Result { reason, changes: changes.clone() };
                let value = self.script_value(text, MOST_RESULT, &context.client).await;
                let (value, held) = value.map_err(wrong)?;
                let notes = changes.into_iter().chain(notes).collect();
                let payload = AnswerPayload::Json(value);
                Ok(CallOutcome { status: 200, payload, notes, next: None, held })
            }
        }
    }

    /// Returns what scripts of `client` changed, the newest first.
    pub fn script_changes(&self, client: &crate::shares::ClientKey) -> Vec<Value> {
        self.ledgers.scripts_of(client)
    }
}

/// Waits until a run's time is over, wherever its end has moved.
async fn passed(deadline: &RunDeadline) {
    loop {
        match deadline.time_left() {
            Duration::ZERO => return,
            // It may have moved closer meanwhile: a person has answered.
            left => tokio::time::sleep(left.min(LOOK)).await,
        }
    }
}

/// Says why a script failed, and where.
fn reason_of(failure: ScriptFailure, unseen: &[String]) -> String {
    let ScriptFailure { message, line } = failure;
    let message = script_result::with_unseen(message, unseen);
    match line {
        Some(line) => format!("{message} (line {line})"),
        None => message,
    }
}

/// Whose calls those of a caller's script are.
struct CallerHost<'run> {
    executor: &'run Executor,
    gate: &'run Gate,
    script: &'run CallerScript,
    approval: Option<&'run dyn ChangeApproval>,
    guide: &'run dyn ScriptGuide,
    context: CallContext<'run>,
    deadline: Arc<RunDeadline>,
    ledger: LedgerGuard,
    /// What a person said, once one was asked.
    asked: AsyncMutex<Option<Result<(), ChangeRefusal>>>,
    /// How many calls were asked for, by tool.
    named: Mutex<BTreeMap<String, usize>>,
    /// Whether the script waits for an answer: all that it asks for until then is named.
    is_quiet: AtomicBool,
    quiet: Notify,
    /// Whether the script is over without a result: what it asked for is not begun any more.
    has_failed: AtomicBool,
}

impl ScriptHost for CallerHost<'_> {
    fn noun(&self) -> &'static str {
        "script"
    }

    fn named(&self, tool: &str) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        *named.entry(tool.to_owned()).or_default() += 1;
        self.is_quiet.store(false, Ordering::Relaxed);
    }

    fn waits(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
        self.quiet.notify_one();
    }

    fn is_over(&self, outcome: ScriptOutcome) {
        self.has_failed.store(outcome == ScriptOutcome::Failed, Ordering::Relaxed);
        self.waits();
    }

    async fn call(
        &self,
        saved: &SavedIds,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallOutcome, InnerFailure> {
        if let Some(helper) = tool.strip_prefix("dadl.") {
            return self.help(helper, &arguments);
        }
        let scope = self.script.scope;
        let admitted = self.gate.admit_for_script(scope, tool, arguments, || saved.ids());
        let call = admitted.map_err(|refusal| self.explained(tool, refusal))?;
        let entry = call.entry();
        let changes = entry.may_change();
        if changes {
            self.approved(entry).await?;
            if self.has_failed.load(Ordering::Relaxed) {
                return Err(InnerFailure::new("internal", "the script is over".to_owned()));
            }
        }
        let shown = Value::Object(call.arguments().as_object()).to_string();
        let change = changes.then(|| self.ledger.begin(&entry.name, &shown));
        let budget = script_result::task_budget(self.deadline.at());
        let context = self.context.clone().waiting(budget);
        let done = Box::pin(self.executor.execute(call, &context)).await;
        if let Some(at) = change {
            let end = match &done {
                Ok(CallOutcome { payload: AnswerPayload::Task(report), .. })
                    if report.is_running =>
                {
                    ChangeEnd::Begun(report.handle.to_string())
                }
                Ok(_) => ChangeEnd::Done,
                Err(error) if error.may_have_been_done() => ChangeEnd::Unsure,
                Err(error) => ChangeEnd::Failed(error.for_model()),
            };
            self.ledger.end(at, end);
            self.tell(&entry.name);
        }
        done.map_err(InnerFailure::from)
    }

    fn log(&self, level: &str, text: &str) {
        tracing::debug!(level, text, "console of a script");
    }

    fn log_call(&self, tool: &str, done: Result<u16, &str>, ms: u128) {
        match done {
            Ok(status) => tracing::info!(tool, status, ms, "call of a script"),
            Err(error) => tracing::info!(tool, error, ms, "call of a script"),
        }
    }
}

impl CallerHost<'_> {
    /// Runs the script. It may be TypeScript, which the engine cannot compile: as long as nothing was called,
    /// it can begin anew without its types.
    async fn run(
        &self,
        running: &mut ScriptLoop<'_, Self>,
        job: impl Fn(String) -> ScriptJob,
    ) -> Result<String, ScriptFailure> {
        let Executor { caller_slots, filters, .. } = self.executor;
        let (slots, client, code) =
            (caller_slots.of(self.script.scope), &self.context.client, &self.script.code);
        let ended = running.finish(slots, client, job(code.clone())).await;
        // Whoever is not compiled is told the line; a limit or a crowd has none.
        let may_have_types = ended.as_ref().is_err_and(|failure| failure.line.is_some());
        if !may_have_types || self.has_called() {
            return ended;
        }
        match filters.of(client).erase_types(code).await {
            Ok(plain) if plain != *code => running.finish(slots, client, job(plain)).await,
            _ => ended,
        }
    }

    /// Returns whether the script has called anything.
    fn has_called(&self) -> bool {
        !self.named.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Waits for the yes to all changes of this script, where a person can be asked.
    async fn approved(&self, entry: &CatalogEntry) -> Result<(), InnerFailure> {
        let Some(approval) = self.approval else { return Ok(()) };
        if !self.gate.asks_before_changes(entry) {
            return Ok(());
        }
        let mut asked = self.asked.lock().await;
        if asked.is_none() {
            // The person sees all that the script wants so far.
            while !self.is_quiet.load(Ordering::Relaxed) {
                self.quiet.notified().await;
            }
            let question = self.question();
            let left = self.deadline.time_left();
            self.deadline.move_to(PATIENCE);
            let answer = approval.approve(question).await;
            self.deadline.move_to(left);
            *asked = Some(answer);
        }
        match &*asked {
            Some(Err(reason)) => {
                let message = format!("nothing was changed by this call: {reason}");
                Err(InnerFailure::new("forbidden", message))
            }
            _ => Ok(()),
        }
    }

    fn question(&self) -> ChangeQuestion {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let mut question = ChangeQuestion {
            changes: Vec::new(),
            backends: Vec::new(),
            most: self.script.most_calls,
        };
        for (name, count) in named.iter() {
            let Some(entry) = self.gate.catalog().find(name).filter(|it| it.may_change()) else {
                continue;
            };
            question.changes.push((name.clone(), *count));
            let backend = entry.backend_name.to_string();
            if !question.backends.contains(&backend) {
                question.backends.push(backend);
            }
        }
        question
    }

    /// Says in a note of progress how far the script is: its caller may never get an answer.
    fn tell(&self, tool: &str) {
        let done = self.ledger.count();
        let plural = if done == 1 { "change" } else { "changes" };
        let message = format!("{done} {plural} by the script, the last one by {tool}");
        self.context.observer.progress(CallProgress { done: done as u64, total: None, message });
    }

    /// Answers a call of a helper.
    fn help(
        &self,
        helper: &str,
        arguments: &Map<String, Value>,
    ) -> Result<CallOutcome, InnerFailure> {
        let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let text = match helper {
            "search" => {
                let queries = arguments.get("queries").cloned().and_then(finding::as_queries);
                let wrong = || {
                    let message =
                        format!("dadl.search takes a text, or {}", finding::queries_expected());
                    InnerFailure::new("invalid_input", message)
                };
                self.guide.search(queries.ok_or_else(wrong)?)
            }
            _ => {
                let name = given("name");
                let unknown = || {
                    let message = format!("there is no tool {}", quoted_text(name, LONGEST_NAME));
                    InnerFailure::new("invalid_input", message)
                };
                self.guide.describe(name).ok_or_else(unknown)?
            }
        };
        let payload = AnswerPayload::Text { content_type: "text/plain".to_owned(), text };
        let (notes, held) = (Vec::new(), HeldMemory::default());
        Ok(CallOutcome { status: 200, payload, notes, next: None, held })
    }

    /// Says with a wrong call what a right one looks like.
    fn explained(&self, tool: &str, refusal: CallRefusal) -> InnerFailure {
        let is_mistake = matches!(refusal, CallRefusal::Arguments(_));
        let entry = self.gate.catalog().find(tool).filter(|_| is_mistake);
        match entry {
            Some(entry) => {
                let signature = self.guide.signature(entry);
                InnerFailure::new("invalid_input", format!("{refusal}; it is {signature}"))
            }
            None => refusal.into(),
        }
    }
}

/// The names behind `api` of a caller's script.
#[derive(Debug)]
struct CallerNames {
    gate: Gate,
    scope: ScriptScope,
    /// The names of the backends as identifiers, by position.
    backends: Vec<String>,
}

impl CallerNames {
    fn new(gate: Gate, scope: ScriptScope) -> Self {
        let mut backends: Vec<String> = Vec::new();
        for entry in gate.catalog().entries() {
            while backends.len() <= entry.backend.0 {
                backends.push(String::new());
            }
            if let Some(name) = backends.get_mut(entry.backend.0).filter(|name| name.is_empty()) {
                *name = script_name(&entry.backend_name);
            }
        }
        Self { gate, scope, backends }
    }

    fn catalog(&self) -> &Catalog {
        self.gate.catalog()
    }
}

/// Returns a name as a script writes it behind a dot.
pub(crate) fn script_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '$' { c } else { '_' };
    name.chars().map(plain).collect()
}

impl ScriptNames for CallerNames {
    fn backends(&self) -> &[String] {
        &self.backends
    }

    fn tools(&self, backend: &str) -> Vec<String> {
        let callable = self
            .catalog()
            .entries()
            .iter()
            .filter(|entry| self.gate.is_for_script(self.scope, entry));
        match self.backends.iter().position(|known| !backend.is_empty() && known == backend) {
            Some(at) => callable
                .filter(|entry| entry.backend.0 == at)
                .map(|entry| entry.declared_name().to_owned())
                .collect(),
            None => callable.map(|entry| entry.name.clone()).collect(),
        }
    }

    fn find(&self, backend: &str, name: &str) -> Result<String, UnknownScriptTool> {
        let at = self.backends.iter().position(|known| !backend.is_empty() && known == backend);
        let entry = match at {
            Some(at) => self.catalog().find_declared(crate::catalog::BackendId(at), name),
            None => None,
        };
        // The name that hosts know finds a tool of this backend, not one of another.
        let is_meant = |entry: &&CatalogEntry| at.is_none_or(|at| entry.backend.0 == at);
        if let Some(entry) = entry.or_else(|| self.catalog().find(name).filter(is_meant)) {
            return Ok(entry.name.clone());
        }
        let nearest = self.catalog().nearest(name).and_then(|near| {
            let entry = self.catalog().find(near)?;
            let is_allowed = entry.decision == AccessDecision::Allow;
            is_allowed.then(|| match at {
                Some(_) => entry.declared_name().to_owned(),
                None => near.to_owned(),
            })
        });
        Err(UnknownScriptTool { name: name.to_owned(), nearest })
    }
}
