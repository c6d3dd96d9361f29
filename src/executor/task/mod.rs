//! Waiting for a task that a call began, and asking it to stop.
//!
//! A task is looked at again and again, with the waits of the descriptor in between; where the API
//! can, a second request beside these answers at the very end. What fails on the way and may pass
//! is tried again: the task goes on whether or not anybody can see it, and whether or not anybody
//! waits for it. What is kept here is a list of what was begun: a handle is all that another
//! process needs to go on.

mod guard;
mod poller;
mod verdict;
mod watch;

use std::time::Duration;

use dadl_descriptor::model::{ParamRole, task::TaskPhase};
use serde_json::Map;
use tokio::time::Instant;

pub(super) use self::guard::TaskGuard;
use self::{
    poller::{TaskLookKind, TaskPoller},
    watch::{TaskEnd, WatchEnd},
};
use super::{
    CallContext, CallError, Executor, TaskError, WaitBudget, result::DecodedAnswer, settle_write,
    step::RequestStep,
};
use crate::{
    gate::{Admitted, TaskRight},
    outcome::{
        AnswerPayload, CallOutcome, HeldMemory,
        task_report::{TaskHandle, TaskReport},
    },
};

/// How long a cancelled task is watched for its end.
const AFTER_CANCEL: Duration = Duration::from_secs(5);

/// Returns the id of the task that an answer began.
pub(super) fn begun_task(
    call: &Admitted<'_>,
    answer: &DecodedAnswer,
) -> Result<Option<String>, CallError> {
    let Some(tasks) = call.entry().tasks() else { return Ok(None) };
    let text = match &answer.payload {
        AnswerPayload::Json(text) => text.as_str(),
        _ => "null",
    };
    match tasks.begun_task_id(answer.status, text) {
        None => Ok(None),
        Some(Ok(id)) => Ok(Some(id)),
        Some(Err(error)) => Err(TaskError::Lost { reason: error.to_string() }.into()),
    }
}

/// Waits for the task that `step` began and makes its end the outcome of the call. When the
/// future is dropped, the task goes on, unless the context says that it is asked to stop.
pub(super) async fn follow_task(
    step: RequestStep<'_>,
    right: Option<TaskRight>,
) -> Result<CallOutcome, CallError> {
    let RequestStep { executor, call, context, .. } = step;
    let lost = || TaskError::Lost { reason: "nothing says how to watch it".to_owned() };
    let right = right.ok_or_else(lost)?;
    let mut guard = TaskGuard::new(executor, &right, context);
    executor.begun.note(&TaskReport::unseen(right.handle().clone()), &context.client);
    let watcher = TaskPoller::new(executor, &right, context).ok_or_else(lost)?;
    let budget = call_wait(call).unwrap_or(context.budget);
    // A script that waits longer than it may would take the task with it.
    let last = match context.budget {
        WaitBudget::Until(end) => Some(end),
        _ => None,
    };
    let deadline = watcher.deadline(budget);
    let deadline = last.map_or(deadline, |last| deadline.min(last));
    let unseen = watcher.unseen();
    let ended = if Instant::now() >= deadline {
        Ok(WatchEnd::Open(unseen))
    } else {
        // Whoever gives the call up has heard the handle.
        context.observer.task(&unseen);
        tokio::select! {
            biased;
            ended = watcher.run(None, deadline) => ended,
            () = context.program_ends() => Ok(WatchEnd::Open(unseen)),
        }
    };
    guard.disarm();
    let is_late = |last| Instant::now() >= last || context.has_ended();
    match ended? {
        WatchEnd::Open(report) if last.is_some_and(is_late) => {
            Err(TaskError::OutOfTime { handle: report.handle }.into())
        }
        WatchEnd::Open(report) => Ok(open_outcome(report)),
        WatchEnd::Ended(end) => watcher.outcome(end, call, step.tool).await,
    }
}

/// Returns how long the caller of a call wants to wait for its task.
fn call_wait(call: &Admitted<'_>) -> Option<WaitBudget> {
    let wait = call.arguments().given(ParamRole::Wait)?;
    Some(match wait.as_u64()? {
        0 => WaitBudget::AtOnce,
        seconds => WaitBudget::For(Duration::from_secs(seconds)),
    })
}

pub(super) fn open_outcome(report: TaskReport) -> CallOutcome {
    let notes = report.trouble.as_ref().filter(|_| report.is_hidden).map(|trouble| {
        format!(
            "the task began, but may not be looked at: {trouble}. Whether it succeeds is not known \
             here: look at what it was to change"
        )
    });
    let notes = notes.into_iter().collect();
    let payload = AnswerPayload::Task(Box::new(report));
    CallOutcome { status: 202, payload, notes, next: None, held: HeldMemory::default() }
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
    ) -> Result<CallOutcome, CallError> {
        if right.server_entry().is_some() {
            return Box::pin(self.watch_server_task(right, context)).await;
        }
        let handle = right.handle().clone();
        let watcher = TaskPoller::new(self, right, context);
        let (Some(watcher), Some(starter)) = (watcher, right.starter()) else {
            let reason = "nothing says how to watch it".to_owned();
            return Err(TaskError::State { handle, tool: String::new(), reason }.into());
        };
        let deadline = watcher.deadline(context.budget);
        match watcher.begin(deadline).await? {
            WatchEnd::Open(report) => Ok(open_outcome(report)),
            WatchEnd::Ended(end) => {
                let call = watcher.admit(TaskLookKind::Now)?;
                let mut outcome = watcher.outcome(end, &call, starter).await?;
                // What the call was given is not known here, but what it made is.
                let written = (starter, Map::new());
                settle_write::wait_until_settled(self, &call, written, context, &mut outcome).await;
                Ok(outcome)
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
    ) -> Result<CallOutcome, CallError> {
        self.execute(call, context).await?;
        let context = context.unheard();
        let unseen = TaskReport::unseen(handle.clone());
        let rules = right.and_then(TaskRight::tasks);
        let shows_it = rules.is_some_and(|tasks| tasks.stop_requested.is_some());
        let watcher =
            right.and_then(|right| Some((TaskPoller::new(self, right, &context)?, right)));
        let Some((watcher, right)) = watcher else {
            return Ok(asked_outcome(unseen, shows_it));
        };
        // What does not stop when it is asked to is looked at once.
        let patience = if right.stops() { AFTER_CANCEL } else { Duration::ZERO };
        Ok(match watcher.begin(Instant::now() + patience).await {
            // The request was taken; what cannot be seen may be so.
            Err(error) => {
                let trouble = Some(error.to_string());
                asked_outcome(TaskReport { trouble, ..watcher.unseen() }, shows_it)
            }
            Ok(WatchEnd::Open(report)) => asked_outcome(report, shows_it),
            Ok(WatchEnd::Ended(TaskEnd { glimpse, .. })) => {
                let note = match (glimpse.phase, glimpse.stop_requested || !shows_it) {
                    (TaskPhase::Cancelled, true) => "the task was cancelled".to_owned(),
                    (TaskPhase::Succeeded, _) => {
                        "the task was not stopped: it has ended with success".to_owned()
                    }
                    _ => format!(
                        "the task has ended without success{}; the API does not say that it was \
                         stopped",
                        glimpse.reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default()
                    ),
                };
                let glimpse = Some(glimpse);
                let ended = TaskReport { is_running: false, glimpse, ..watcher.unseen() };
                let mut outcome = open_outcome(ended);
                outcome.notes.push(note);
                outcome
            }
        })
    }
}

/// Says what is true of a task that was asked to stop and of which no end was seen; `shows_it` says
/// that the API shows such requests.
pub(super) fn asked_outcome(report: TaskReport, shows_it: bool) -> CallOutcome {
    let is_noted = report.glimpse.as_ref().is_some_and(|glimpse| glimpse.stop_requested);
    let note = match report.stops {
        _ if report.is_hidden => {
            "the request to stop was taken; whether the task stops cannot be seen".to_owned()
        }
        false => format!(
            "the request to stop was taken, but tasks of {} cannot be stopped: it goes on to its end",
            report.handle.tool
        ),
        true if is_noted => {
            "the API has noted the request to stop, and the task goes on so far".to_owned()
        }
        true if shows_it && report.glimpse.is_some() => {
            "the request to stop was taken, but the task does not show it and goes on".to_owned()
        }
        true => "the task was asked to stop and has not ended yet".to_owned(),
    };
    let mut outcome = open_outcome(report);
    outcome.notes.push(note);
    outcome
}
