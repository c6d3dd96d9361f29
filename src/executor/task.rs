//! Waiting for a task that a call began, and asking it to stop.
//!
//! A task is looked at again and again, with the waits of the descriptor in between; where the API
//! can, a second request beside these answers at the very end. What fails on the way and may pass
//! is tried again: the task goes on whether or not anybody can see it. Nothing is kept here: a
//! handle is all that another process needs to go on.

use std::{pin::Pin, time::Duration};

use tokio::time::Instant;

use super::{
    Answer, Budget, CallContext, CallError, Executor, Leave, Room, Target, end_of_call,
    name_refusal,
};
use crate::{
    call,
    catalog::Operation,
    descriptor::{
        model::{ErrorRules, RetryStrategy, Role, Tool},
        task::{Glimpse, Phase, Tasks},
    },
    gate::{Admitted, TaskRight},
    http::{
        backend::{Exchange, ExchangeError, start_of},
        error::{SendError, SendErrorKind},
        retry::RetryRules,
        under_way::UnderWay,
        upload::Activity,
    },
    outcome::{
        Held, JsonText, Outcome, Payload,
        task::{TaskHandle, TaskReport},
    },
    response::{api_error::Rejection, hiding, shape},
    worker::Filters,
};

/// When looks have failed for so long, the waiting is over; the task may go on.
const LONGEST_TROUBLE: Duration = Duration::from_secs(120);

/// Whatever an answer asks for, the next look comes after this time, unless the descriptor's own
/// waits are longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A request to cancel a task that nobody waits for may take so long.
const CANCEL_TIME: Duration = Duration::from_secs(8);

/// How long a dropped call waits for the word that it only took too long.
const LEAVE_GRACE: Duration = Duration::from_millis(100);

/// How long a cancelled task is watched for its end.
const AFTER_CANCEL: Duration = Duration::from_secs(5);

/// A task that did not succeed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the task {handle} {}{} (state \"{state}\")", if *.is_cancelled { "was cancelled" } else { "failed" }, .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
pub struct TaskFailure {
    /// Names the task.
    pub handle: TaskHandle,
    /// Whether somebody asked it to stop.
    pub is_cancelled: bool,
    /// The API's own reason.
    pub reason: Option<String>,
    /// The state in the words of the API.
    pub state: String,
}

/// Why a task cannot be followed to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The remote: the task ended without success.
    #[error(transparent)]
    Failed(TaskFailure),
    /// The remote or the author: the task began, and nothing names it.
    #[error("the call began a task, but in its answer {reason}; the task goes on unseen")]
    Lost {
        /// What is wrong with the answer.
        reason: String,
    },
    /// The author: a composite waited for as long as it may.
    #[error("the task {handle} goes on, but the composite has no time left to wait for it")]
    OutOfTime {
        /// Names the task.
        handle: TaskHandle,
    },
    /// The author or the remote: the state of the task cannot be told.
    #[error("the task {handle} goes on, perhaps: what `{tool}` shows {reason}")]
    State {
        /// Names the task.
        handle: TaskHandle,
        /// The tool that shows it.
        tool: String,
        /// What is wrong with the state.
        reason: String,
    },
    /// The task cannot be looked at.
    #[error("the task {handle} goes on, perhaps, but it cannot be looked at: {error}")]
    Unseen {
        /// Names the task.
        handle: TaskHandle,
        /// What happened.
        error: Box<CallError>,
    },
}

/// A look at a task.
struct Seen {
    glimpse: Glimpse,
    /// All that the look showed.
    shown: JsonText,
    /// Counts what that takes.
    room: Room,
}

/// A look that showed nothing.
enum Missed {
    /// It may pass.
    Passing { error: CallError, retry_after: Option<Duration> },
    /// It will not.
    Lasting(CallError),
}

/// How the watching ended.
enum End {
    /// The task goes on.
    Open(TaskReport),
    /// The task ended.
    Ended(Seen),
}

/// Returns the id of the task that an answer began.
pub(super) fn began(call: &Admitted<'_>, answer: &Answer) -> Result<Option<String>, CallError> {
    let Some(tasks) = call.entry().tasks() else { return Ok(None) };
    let text = match &answer.payload {
        Payload::Json(text) => text.as_str(),
        _ => "null",
    };
    match tasks.began(answer.status, text) {
        None => Ok(None),
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(reason)) => Err(TaskError::Lost { reason }.into()),
    }
}

/// Returns whether the answers of `tool` show how a task is: it watches tasks, or cancels them.
pub(super) fn shows_tasks(call: &Admitted<'_>, tool: &Tool) -> bool {
    let tasks = call.entry().descriptor().tasks.as_ref();
    tasks.is_some_and(|tasks| {
        let calls = std::iter::once(&tasks.watch).chain(&tasks.cancel);
        calls.into_iter().any(|call| call.tool == tool.name)
    })
}

/// Returns whether `body`, the answer of such a tool, shows a task.
pub(super) fn shows_task(call: &Admitted<'_>, tool: &Tool, body: &[u8]) -> bool {
    let tasks = call.entry().descriptor().tasks.as_ref();
    let answer = std::str::from_utf8(body).ok().and_then(|text| JsonText::parse(text).ok());
    let (Some(tasks), Some(answer)) = (tasks, answer) else { return false };
    let shown = match &tool.response.result_path {
        Some(path) => path.look(answer.as_str()),
        None => Some(answer.as_str()),
    };
    shown.is_some_and(|shown| tasks.read(shown).is_ok())
}

/// Waits for the task `id` that `target` began and makes its end the outcome of the call. The task
/// is cancelled when the future is dropped.
pub(super) async fn follow(
    executor: &Executor,
    target: Target<'_>,
    id: String,
    context: &CallContext<'_>,
) -> Result<Outcome, CallError> {
    let lost = || TaskError::Lost { reason: "nothing says how to watch it".to_owned() };
    let right = target.call.task(id).ok_or_else(lost)?;
    let mut guard = Guard::new(executor, &right, &context.leave);
    let watcher = Watcher::new(executor, &right, context).ok_or_else(lost)?;
    let budget = call_wait(target.call).unwrap_or(context.budget);
    // A script that waits longer than it may would take the task with it.
    let last = match context.budget {
        Budget::Until(end) => Some(end),
        _ => None,
    };
    let deadline = after(watcher.time(budget));
    let deadline = last.map_or(deadline, |last| deadline.min(last));
    let ended = if budget == Budget::AtOnce {
        Ok(End::Open(watcher.unseen()))
    } else {
        context.observer.task(&watcher.unseen());
        tokio::select! {
            biased;
            ended = watcher.run(None, deadline) => ended,
            () = context.leave.program_ends() => Ok(End::Open(watcher.unseen())),
        }
    };
    guard.disarm();
    let is_late = |last| Instant::now() >= last || context.leave.is_set();
    match ended? {
        End::Open(report) if last.is_some_and(is_late) => {
            Err(TaskError::OutOfTime { handle: report.handle }.into())
        }
        End::Open(report) => Ok(open(report)),
        End::Ended(seen) => watcher.outcome(seen, target).await,
    }
}

/// Returns the point in time after `wait`, which no clock may reach.
fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + LONGEST_TROUBLE)
}

/// Returns how long the caller of a call wants to wait for its task.
fn call_wait(call: &Admitted<'_>) -> Option<Budget> {
    let wait = call.arguments().given(Role::Wait)?;
    Some(match wait.as_u64()? {
        0 => Budget::AtOnce,
        seconds => Budget::For(Duration::from_secs(seconds)),
    })
}

fn open(report: TaskReport) -> Outcome {
    let payload = Payload::Task(Box::new(report));
    Outcome { status: 202, payload, notes: Vec::new(), next: None, held: Held::default() }
}

impl Executor {
    /// Waits for a task that a handle names, and returns its outcome as the call that began it
    /// would have. At least one look is made, whatever the budget of `context`. Dropping the future
    /// ends the waiting only.
    ///
    /// # Errors
    ///
    /// [`CallError::Task`].
    pub async fn watch_task(
        &self,
        right: &TaskRight,
        context: &CallContext<'_>,
    ) -> Result<Outcome, CallError> {
        let handle = right.handle().clone();
        let watcher = Watcher::new(self, right, context);
        let (Some(watcher), Some(starter)) = (watcher, right.starter()) else {
            let reason = "nothing says how to watch it".to_owned();
            return Err(TaskError::State { handle, tool: String::new(), reason }.into());
        };
        let deadline = after(watcher.time(context.budget));
        match watcher.begin(deadline).await? {
            End::Open(report) => Ok(open(report)),
            End::Ended(seen) => {
                let call = watcher.admit(false)?;
                let backend = self.backend(call.entry())?;
                let activity = Activity::default();
                let room = self.bounds.room(&context.client);
                let target = Target {
                    backend,
                    call: &call,
                    tool: starter,
                    activity: &activity,
                    room: &room,
                    ends: end_of_call(backend),
                };
                watcher.outcome(seen, target).await
            }
        }
    }

    /// Asks a task to stop, and looks a little while whether it does. `right` is that to look at
    /// it, when there is one.
    ///
    /// # Errors
    ///
    /// Those of the cancelling call.
    pub async fn cancel_task(
        &self,
        call: Admitted<'_>,
        handle: &TaskHandle,
        right: Option<&TaskRight>,
        context: &CallContext<'_>,
    ) -> Result<Outcome, CallError> {
        self.execute(call, context).await?;
        let context = context.unheard();
        let unseen =
            TaskReport { handle: handle.clone(), is_running: true, glimpse: None, trouble: None };
        let Some(watcher) = right.and_then(|right| Watcher::new(self, right, &context)) else {
            return Ok(asked(unseen));
        };
        let deadline = Instant::now() + AFTER_CANCEL;
        Ok(match watcher.begin(deadline).await {
            // The request was taken; what cannot be seen may be so.
            Err(error) => asked(TaskReport { trouble: Some(error.to_string()), ..unseen }),
            Ok(End::Open(report)) => asked(report),
            Ok(End::Ended(Seen { glimpse, .. })) => {
                let note = match glimpse.phase {
                    Phase::Cancelled => "the task was cancelled",
                    _ => "the task ended before it could be cancelled",
                };
                let glimpse = Some(glimpse);
                let mut outcome = open(TaskReport { is_running: false, glimpse, ..unseen });
                outcome.notes.push(note.to_owned());
                outcome
            }
        })
    }

    /// Asks a task to stop that nobody waits for any more.
    async fn cancel_left(&self, right: &TaskRight) -> Result<(), String> {
        let call = right.cancel().map_err(|refusal| refusal.to_string())?;
        let context = CallContext::default();
        match tokio::time::timeout(CANCEL_TIME, self.execute(call, &context)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", CANCEL_TIME.as_secs())),
        }
    }
}

fn asked(report: TaskReport) -> Outcome {
    let mut outcome = open(report);
    outcome.notes.push("the task was asked to stop and has not ended yet".to_owned());
    outcome
}

/// Looks at one task.
struct Watcher<'run> {
    executor: &'run Executor,
    right: &'run TaskRight,
    tasks: &'run Tasks,
    context: &'run CallContext<'run>,
    /// What runs its filters.
    filters: Filters,
    /// The tool that shows it, without retries of its own: the looks repeat themselves.
    tool: Tool,
}

type Look<'run> = Pin<Box<dyn Future<Output = Result<Seen, Missed>> + Send + 'run>>;

impl<'run> Watcher<'run> {
    fn new(
        executor: &'run Executor,
        right: &'run TaskRight,
        context: &'run CallContext<'run>,
    ) -> Option<Self> {
        let tasks = right.tasks()?;
        let mut tool = right.watch(false).ok()?.entry().tool()?.clone();
        let retry = RetryStrategy { max_retries: 0, ..tool.errors.retry };
        tool.errors = ErrorRules { retry, ..tool.errors };
        let filters = executor.filters.of(&context.client);
        Some(Self { executor, right, tasks, context, filters, tool })
    }

    /// Returns how long to wait.
    fn time(&self, budget: Budget) -> Duration {
        let settings = self.admit(false).ok().and_then(|call| {
            let backend = self.executor.backend(call.entry()).ok()?;
            Some((backend.settings().task_wait, backend.settings().task_wait_progress))
        });
        let (usual, heard) = settings.unwrap_or_default();
        let time = match budget {
            Budget::AtOnce => Duration::ZERO,
            // An operator who raises the one means the other as well.
            Budget::Heard => heard.max(usual),
            Budget::Longest => self.tasks.max_wait,
            Budget::For(time) => time,
            Budget::Until(end) => end.saturating_duration_since(Instant::now()),
            Budget::Usual => usual,
        };
        time.min(self.tasks.max_wait)
    }

    /// Returns the report about a task that nobody has looked at.
    fn unseen(&self) -> TaskReport {
        let handle = self.right.handle().clone();
        TaskReport { handle, is_running: true, glimpse: None, trouble: None }
    }

    fn admit(&self, blocking: bool) -> Result<Admitted<'run>, CallError> {
        self.right.watch(blocking).map_err(|refusal| {
            let (handle, tool) = (self.right.handle().clone(), self.tool.name.clone());
            TaskError::State { handle, tool, reason: refusal.to_string() }.into()
        })
    }

    /// Looks at once, and then watches until `deadline`.
    async fn begin(&self, deadline: Instant) -> Result<End, CallError> {
        let first = self.look(false).await;
        let is_over = Instant::now() >= deadline;
        let report = match first {
            Ok(seen) if seen.glimpse.phase != Phase::Running => return Ok(End::Ended(seen)),
            Ok(seen) => TaskReport { glimpse: Some(seen.glimpse), ..self.unseen() },
            Err(Missed::Lasting(error)) => return Err(error),
            Err(Missed::Passing { error, .. }) => {
                TaskReport { trouble: Some(error.to_string()), ..self.unseen() }
            }
        };
        self.context.observer.task(&report);
        if is_over {
            return Ok(End::Open(report));
        }
        self.run(Some(report), deadline).await
    }

    /// Watches until the task has ended, or until `deadline`.
    async fn run(&self, report: Option<TaskReport>, deadline: Instant) -> Result<End, CallError> {
        let mut report = report.unwrap_or_else(|| self.unseen());
        let mut looks = 0;
        let mut troubled: Option<Instant> = None;
        let mut poll = self.look_after(self.tasks.pause(looks), false);
        // It never ends by itself where there is no such call.
        let mut blocking =
            self.tasks.blocking.as_ref().map(|_| self.look_after(Duration::ZERO, true));
        loop {
            let blocked = async {
                match &mut blocking {
                    Some(look) => look.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                seen = blocked => match seen {
                    Ok(seen) if seen.glimpse.phase != Phase::Running => return Ok(End::Ended(seen)),
                    // A server or a proxy that waits for a while only: ask again.
                    Ok(_) | Err(Missed::Passing { .. }) => {
                        blocking = Some(self.look_after(self.tasks.pause(usize::MAX), true));
                    }
                    // The polls find out whether that is so for them too.
                    Err(Missed::Lasting(_)) => blocking = None,
                },
                seen = &mut poll => {
                    looks += 1;
                    let mut pause = self.tasks.pause(looks);
                    match seen {
                        Ok(seen) if seen.glimpse.phase != Phase::Running => {
                            return Ok(End::Ended(seen));
                        }
                        Ok(seen) => {
                            troubled = None;
                            report.trouble = None;
                            report.glimpse = Some(seen.glimpse);
                        }
                        Err(Missed::Lasting(error)) => return Err(error),
                        Err(Missed::Passing { error, retry_after }) => {
                            let since = *troubled.get_or_insert_with(Instant::now);
                            report.trouble = Some(format!("the last look failed: {error}"));
                            if since.elapsed() > LONGEST_TROUBLE {
                                return Ok(End::Open(report));
                            }
                            pause = pause.max(retry_after.unwrap_or_default().min(LONGEST_PAUSE));
                        }
                    }
                    self.context.observer.task(&report);
                    poll = self.look_after(pause, false);
                }
                () = tokio::time::sleep_until(deadline) => return Ok(End::Open(report)),
            }
        }
    }

    fn look_after<'look>(&'look self, pause: Duration, blocking: bool) -> Look<'look> {
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            self.look(blocking).await
        })
    }

    /// Looks at the task once.
    async fn look(&self, blocking: bool) -> Result<Seen, Missed> {
        let call = self.admit(blocking).map_err(Missed::Lasting)?;
        let settings = self.executor.backend(call.entry()).map_err(Missed::Lasting)?.settings();
        let bound = settings.timeouts.call;
        match tokio::time::timeout(bound, self.look_through(&call)).await {
            Ok(seen) => seen,
            Err(_) => {
                let error = SendError {
                    backend: settings.name.clone(),
                    request: Operation::Tool(&self.tool).summary(),
                    kind: SendErrorKind::Timeout { bound: "timeout", after: bound },
                    attempts: 1,
                };
                Err(self.missed(CallError::Send(error)))
            }
        }
    }

    async fn look_through(&self, call: &Admitted<'_>) -> Result<Seen, Missed> {
        let (executor, tool) = (self.executor, &self.tool);
        let missed = |error| self.missed(error);
        let backend = executor.backend(call.entry()).map_err(missed)?;
        let plan = call::plan(call.entry(), tool, backend.base(), call.arguments(), call.door());
        let plan = executor.numbered(plan.map_err(|error| missed(error.into()))?);
        let (activity, room) = (Activity::default(), executor.bounds.room(&self.context.client));
        let ends = end_of_call(backend);
        let target = Target { backend, call, tool, activity: &activity, room: &room, ends };
        let rules = RetryRules {
            errors: &tool.errors,
            method: tool.method(),
            retry_unsafe: false,
            is_patient: true,
        };
        let sent = backend.send(&plan, rules, false, &executor.files, &activity).await;
        let exchange = sent.map_err(|error: ExchangeError| missed(error.into()))?;
        let status = exchange.response.status();
        let (text, rejected) = if status.is_success() {
            let answer = executor.answer(target, &plan, exchange).await.map_err(missed)?;
            match target.readable(answer.payload, &plan).map_err(missed)? {
                Payload::Json(text) => (text, None),
                _ => return Err(missed(self.unclear("is no JSON".to_owned()))),
            }
        } else {
            // Some APIs show a task that failed with a status of its own.
            let Exchange { response, attempts, retry_after, refusal, .. } = exchange;
            let body = backend.masked(start_of(response).await).await;
            let rejection = Rejection {
                status: status.as_u16(),
                body: &body,
                request: &backend.request_line(&plan),
                retry_after,
                attempts,
            };
            let mut error = hiding::read(rejection, tool);
            name_refusal(&mut error, refusal, tool);
            let error: CallError = Box::new(error).into();
            match std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok()) {
                Some(text) => (text, Some(error)),
                None => return Err(missed(error)),
            }
        };
        let status = status.as_u16();
        let seen = async {
            let before = text.as_str().len();
            let selected = room.work(before, || target.select(text, &plan)).await?;
            target.resize(before as u64, selected.as_str().len() as u64, &plan)?;
            let shown = target.shape(selected, status, &plan, &self.filters).await?;
            let Payload::Json(shown) = shown.payload else {
                return Err(self.unclear("is no JSON".to_owned()));
            };
            let read = || self.tasks.read(shown.as_str());
            let glimpse = room.work(shown.as_str().len(), read).await;
            let glimpse = glimpse.map_err(|reason| self.unclear(reason))?;
            Ok(Seen { glimpse, shown, room: room.clone() })
        };
        match (seen.await, rejected) {
            (Ok(seen), _) => Ok(seen),
            (Err(_), Some(rejected)) => Err(missed(rejected)),
            (Err(error), None) => Err(missed(error)),
        }
    }

    fn unclear(&self, reason: String) -> CallError {
        let (handle, tool) = (self.right.handle().clone(), self.tool.name.clone());
        TaskError::State { handle, tool, reason }.into()
    }

    /// Decides whether another look may help.
    fn missed(&self, error: CallError) -> Missed {
        if error.is_transient() {
            return Missed::Passing { retry_after: error.retry_after(), error };
        }
        Missed::Lasting(match error {
            error @ CallError::Task(_) => error,
            error => {
                let (handle, error) = (self.right.handle().clone(), Box::new(error));
                TaskError::Unseen { handle, error }.into()
            }
        })
    }

    /// Makes the end of the task the outcome of the call that began it: the rules of its tool
    /// apply to the result, but for `result_path`, which is about the tool's own answers.
    async fn outcome(&self, seen: Seen, target: Target<'_>) -> Result<Outcome, CallError> {
        let Seen { glimpse, shown, room } = seen;
        let handle = self.right.handle().clone();
        if glimpse.phase != Phase::Succeeded {
            return Err(TaskError::Failed(TaskFailure {
                handle,
                is_cancelled: glimpse.phase == Phase::Cancelled,
                reason: self.reason(&shown, target.tool),
                state: glimpse.state,
            })
            .into());
        }
        let done = TaskReport { handle, is_running: false, glimpse: Some(glimpse), trouble: None };
        let before = shown.as_str().len();
        let most = target.most();
        let result = || {
            let path = self.tasks.result.as_ref()?;
            // Whatever is wrong with it, there is no result.
            let selected = shape::select::<()>(shown, Some(path), most).ok()?;
            Some(selected).filter(|selected| selected.as_str() != "null")
        };
        let Some(result) = room.work(before, result).await else {
            let payload = Payload::Task(Box::new(done));
            let held = Held::default();
            return Ok(Outcome { status: 200, payload, notes: Vec::new(), next: None, held });
        };
        // For the words of errors only: nothing is sent any more.
        let call = self.admit(false)?;
        let plan = call::plan(
            call.entry(),
            &self.tool,
            target.backend.base(),
            call.arguments(),
            call.door(),
        )?;
        // What it takes was counted with the look.
        let of_look = Target { room: &room, ..target };
        of_look.resize(before as u64, result.as_str().len() as u64, &plan)?;
        let outcome = of_look.shape(result, 200, &plan, &self.filters).await?;
        Ok(Outcome { held: Held::by(room), ..outcome })
    }

    /// Returns why the task failed, without what the tool that began it hides in its results.
    fn reason(&self, shown: &JsonText, starter: &Tool) -> Option<String> {
        let text = shown.as_str();
        if starter.response.redact.is_empty() {
            return self.tasks.reason_in(text);
        }
        let result = self.tasks.result.as_ref().and_then(|path| path.look(text));
        let without = match result {
            None => text.to_owned(),
            Some(result) => {
                // Both are parts of the same text.
                let from = result.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
                let (before, after) = (text.get(..from)?, text.get(from + result.len()..)?);
                let most = result.len().saturating_mul(2);
                let result = JsonText::trusted(result.to_owned());
                let hidden = shape::redact(result, &starter.response.redact, most).ok()?;
                [before, hidden.as_str(), after].concat()
            }
        };
        // What cannot be hidden is not told.
        let (without, hidden) = hiding::in_json(&without, &starter.response)?;
        self.tasks.reason_in(&without).map(|reason| hiding::in_text(reason, &hidden))
    }
}

/// Cancels a task when the call that began it is dropped. The request is made in a task of its
/// own, which the process waits for at its end.
struct Guard {
    armed: Option<(Executor, TaskRight, Leave)>,
}

impl Guard {
    fn new(executor: &Executor, right: &TaskRight, leave: &Leave) -> Self {
        Self { armed: Some((executor.clone(), right.clone(), leave.clone())) }
    }

    fn disarm(&mut self) {
        self.armed = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((executor, right, leave)) = self.armed.take() else { return };
        let task = right.handle().to_string();
        let goes_on = move |task: &str| {
            tracing::warn!("nobody waits for the task {task} any more; it goes on");
        };
        let runtime = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = runtime.filter(|_| right.can_cancel() && !leave.is_set()) else {
            return goes_on(&task);
        };
        let under_way = UnderWay::begin();
        runtime.spawn(async move {
            let _under_way = under_way;
            tokio::time::sleep(LEAVE_GRACE).await;
            if leave.is_set() {
                return goes_on(&task);
            }
            match executor.cancel_left(&right).await {
                Ok(()) => tracing::warn!("asked the task {task} to stop: its call was cancelled"),
                Err(error) => {
                    tracing::warn!("the task {task} could not be cancelled and goes on: {error}");
                }
            }
        });
    }
}
