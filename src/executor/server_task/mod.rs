//! A task of another MCP server: followed by the call that began it, and by whoever has its handle.
//!
//! Tasks of 2025-11-25 (`tasks/get`, `tasks/result`) and of the extension of 2026-07-28 (`tasks/get` with
//! the result in it, `tasks/update`) are followed alike. Nothing is kept of a task but that it began: the
//! server has it, and says how it is. A server that was started again may know nothing of it, which is told.

mod answers;
mod state;
mod stop;
mod watch;

use std::time::Duration;

use dadl_text::json::scan;
use tokio::time::Instant;

use self::{
    state::{SeenTask, TaskState},
    watch::ServerTaskEnd,
};
use super::{
    CallContext, CallError, Executor, TaskError, WaitBudget,
    server_call::MadeOutcome,
    server_questions::CallQuestions,
    task::{TaskGuard, open_outcome},
};
use crate::{
    catalog::{CatalogEntry, ServerTool},
    config::BackendSettings,
    gate::{Admitted, TaskRight},
    mcp_client::{CallClock, CallerPlace, RawResult, ServerLink},
    outcome::{
        CallOutcome,
        server_task_id::ServerTaskId,
        task_report::{TaskAge, TaskReport},
    },
};

/// Nobody waits longer for a task.
const MOST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What is done where a task asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputRule {
    /// Whoever waits is asked; a person's part is declined where nobody can be.
    Ask,
    /// It is left to be asked for: whoever waits asks in a way of its own, or does not care.
    Leave,
}

/// A task, and what is needed to look at it.
struct ServerTask<'run> {
    executor: &'run Executor,
    right: &'run TaskRight,
    entry: &'run CatalogEntry,
    tool: &'run ServerTool,
    link: ServerLink,
    context: &'run CallContext<'run>,
    /// How long it is waited for.
    clock: CallClock,
    questions: CallQuestions<'run>,
    input: InputRule,
    /// How long one look may take.
    time: Duration,
    /// Since when it goes on, and whether it began then.
    since: (Instant, bool),
}

impl<'run> ServerTask<'run> {
    fn new(
        executor: &'run Executor,
        right: &'run TaskRight,
        context: &'run CallContext<'run>,
    ) -> Result<Self, CallError> {
        let lost = || TaskError::Lost { reason: "nothing says how to watch it".to_owned() };
        let entry = right.server_entry().ok_or_else(lost)?;
        let tool = entry.server_tool().ok_or_else(lost)?;
        let link = executor.server_link(entry.backend)?;
        let settings = executor.client(entry)?.settings();
        let clock = CallClock::new(patience(context, settings));
        let offer = executor.server_offer(entry.backend);
        let questions =
            CallQuestions::new((&entry.backend_name, &link), offer, context, &clock, None);
        let leaves = context.questions.is_some_and(|asker| asker.asks_later());
        let began = executor.begun.began(right.handle());
        Ok(Self {
            executor,
            right,
            entry,
            tool,
            link,
            context,
            clock,
            questions,
            input: if leaves { InputRule::Leave } else { InputRule::Ask },
            time: settings.timeouts.call,
            since: began.map_or_else(|| (Instant::now(), false), |began| (began, true)),
        })
    }

    /// Takes a place at which questions of the server arrive.
    fn place(&self) -> CallerPlace {
        self.link.place(self.context.client.clone(), self.questions.can_ask())
    }

    /// Returns the name that the server knows.
    fn name(&self) -> String {
        ServerTaskId::name_in(&self.right.handle().id).into_owned()
    }

    /// Returns the report about a task that nobody has looked at.
    fn unseen(&self) -> TaskReport {
        let (since, is_known) = self.since;
        let elapsed = if is_known { TaskAge::Began } else { TaskAge::Watched };
        let elapsed = Some(elapsed(since.elapsed()));
        TaskReport { elapsed, ..TaskReport::unseen(self.right.handle().clone()) }
    }

    fn report(&self, state: &TaskState) -> TaskReport {
        let glimpse = state.observation();
        let is_running = glimpse.phase == dadl_descriptor::model::task::TaskPhase::Running;
        TaskReport { is_running, glimpse: Some(glimpse), ..self.unseen() }
    }

    /// Tells who listens, and whoever asks for a list later.
    fn tell(&self, report: &TaskReport) {
        self.executor.begun.saw(report);
        self.context.observer.task(report);
    }

    /// Makes the outcome of how the waiting ended.
    async fn outcome(
        &self,
        end: ServerTaskEnd,
        place: &CallerPlace,
    ) -> Result<CallOutcome, CallError> {
        let mut outcome = match end {
            ServerTaskEnd::Open(report) => open_outcome(*report),
            ServerTaskEnd::Result(result) => {
                let Self { executor, entry, tool, context, .. } = self;
                match executor.server_outcome(result, entry, tool, context).await? {
                    MadeOutcome::Done(outcome) => *outcome,
                    MadeOutcome::Failed(words) => {
                        return Err(MadeOutcome::failure(entry, tool, words, self.notes(place)));
                    }
                }
            }
        };
        outcome.notes.extend(self.notes(place));
        Ok(outcome)
    }

    fn notes(&self, place: &CallerPlace) -> Vec<String> {
        self.questions.notes(place)
    }
}

/// Returns how long a call waits.
fn patience(context: &CallContext<'_>, settings: &BackendSettings) -> Duration {
    let left = |end: Instant| end.saturating_duration_since(Instant::now());
    let time = match context.budget {
        WaitBudget::AtOnce => Duration::ZERO,
        WaitBudget::Brief => settings.task_after,
        WaitBudget::Longest => MOST_WAIT,
        WaitBudget::For(time) => time,
        WaitBudget::Until(end) => left(end),
        // What was before the task, such as a person's answer, took of the host's time as well.
        WaitBudget::Usual => settings.task_wait.saturating_sub(context.since.elapsed()),
    };
    time.min(MOST_WAIT)
}

impl Executor {
    /// Follows the task that a call began. When the future is dropped, the task goes on, unless the context
    /// says that it is asked to stop.
    pub(super) async fn follow_server_task(
        &self,
        call: &Admitted<'_>,
        begun: &RawResult,
        mut place: CallerPlace,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let lost = || TaskError::Lost { reason: "it has no name that can be used".to_owned() };
        // The older revision has the task in a member of its own.
        let nested = scan::member_at(begun.as_str(), &["task"]);
        let state = TaskState::read(nested.unwrap_or(begun.as_str())).ok_or_else(lost)?;
        let right = call.server_task(&state.task_id).ok_or_else(lost)?;
        let mut guard = TaskGuard::new(self, &right, context);
        self.begun.note(&TaskReport::unseen(right.handle().clone()), &context.client);
        let task = ServerTask::new(self, &right, context)?;
        let ended = task.watch(Some(SeenTask { state, looked: None }), &mut place).await;
        guard.disarm();
        let ended = ended?;
        if let ServerTaskEnd::Open(report) = &ended {
            let handle = report.handle.clone();
            if context.has_ended() && task.link.ends_with_us() {
                return Err(TaskError::EndsToo { handle }.into());
            }
            // A script that waits longer than it may would take the task with it.
            if matches!(context.budget, WaitBudget::Until(_)) {
                return Err(TaskError::OutOfTime { handle }.into());
            }
        }
        task.outcome(ended, &place).await
    }

    /// Waits for the task of a server that a handle names; at least one look is made.
    pub(super) async fn watch_server_task(
        &self,
        right: &TaskRight,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let task = ServerTask::new(self, right, context)?;
        let mut place = task.place();
        let ended = task.watch(None, &mut place).await?;
        task.outcome(ended, &place).await
    }

    /// Returns whether a task ends with this program, as its server does.
    pub(crate) fn ends_with_us(&self, right: &TaskRight) -> bool {
        let entry = right.server_entry();
        let link = entry.and_then(|entry| self.server_link(entry.backend).ok());
        link.is_some_and(|link| link.ends_with_us())
    }
}
