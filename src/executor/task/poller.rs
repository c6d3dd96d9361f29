//! One look at a task, and what it is made with.

use std::time::Duration;

use dadl_descriptor::model::{
    Tool,
    task::{TaskObservation, TaskRules},
};
use tokio::time::Instant;

use crate::{
    catalog::CatalogOperation,
    executor::{
        AnswerMemory, CallContext, CallError, Executor, TaskError,
        look::{self, LookResult},
    },
    gate::{Admitted, TaskRight},
    http::error::{SendError, SendErrorKind},
    outcome::{
        JsonText,
        task_report::{TaskAge, TaskReport},
    },
};

/// Which call looks at a task.
#[derive(Debug, Clone, Copy)]
pub(super) enum TaskLookKind {
    /// The one that answers at once.
    Now,
    /// The one that answers when the task has ended, or after a while.
    AtEnd,
}

/// A look at a task.
pub(super) struct TaskLook {
    pub(super) glimpse: TaskObservation,
    /// All that the look showed.
    pub(super) shown: JsonText,
    /// Counts what that takes.
    pub(super) room: AnswerMemory,
}

/// A look that showed nothing.
pub(super) enum MissedLook {
    /// It may pass.
    Passing { error: CallError, retry_after: Option<Duration> },
    /// It will not.
    Lasting(CallError),
}

/// Looks at one task.
pub(super) struct TaskPoller<'run> {
    pub(super) executor: &'run Executor,
    pub(super) right: &'run TaskRight,
    pub(super) tasks: &'run TaskRules,
    pub(super) context: &'run CallContext<'run>,
    /// Since when it goes on, and whether it began then.
    pub(super) since: (Instant, bool),
    /// The tool that shows it, without retries of its own: the looks repeat themselves.
    pub(super) tool: Tool,
}

impl<'run> TaskPoller<'run> {
    pub(super) fn new(
        executor: &'run Executor,
        right: &'run TaskRight,
        context: &'run CallContext<'run>,
    ) -> Option<Self> {
        let tasks = right.tasks()?;
        let tool = look::once(right.watch().ok()?.entry().tool()?);
        let began = executor.begun.began(right.handle());
        let since = began.map_or_else(|| (Instant::now(), false), |began| (began, true));
        Some(Self { executor, right, tasks, context, since, tool })
    }

    /// Returns the report about a task that nobody has looked at.
    pub(super) fn unseen(&self) -> TaskReport {
        let (since, is_known) = self.since;
        let elapsed = if is_known { TaskAge::Began } else { TaskAge::Watched };
        TaskReport {
            stops: self.right.stops(),
            elapsed: Some(elapsed(since.elapsed())),
            ..TaskReport::unseen(self.right.handle().clone())
        }
    }

    pub(super) fn admit(&self, look: TaskLookKind) -> Result<Admitted<'run>, CallError> {
        let admitted = match look {
            TaskLookKind::Now => self.right.watch(),
            TaskLookKind::AtEnd => self.right.wait_for_end(),
        };
        admitted.map_err(|refusal| {
            let (handle, tool) = (self.right.handle().clone(), self.tool.name.clone());
            TaskError::State { handle, tool, reason: refusal.to_string() }.into()
        })
    }

    /// Looks at the task once.
    pub(super) async fn look(&self, look: TaskLookKind) -> Result<TaskLook, MissedLook> {
        let call = self.admit(look).map_err(MissedLook::Lasting)?;
        let settings = self.executor.backend(call.entry()).map_err(MissedLook::Lasting)?.settings();
        let bound = settings.timeouts.call;
        let seen = tokio::time::timeout(bound, self.look_through(&call)).await;
        let seen = seen.unwrap_or_else(|_| {
            Err(CallError::Send(SendError {
                backend: settings.name.clone(),
                request: CatalogOperation::Tool(&self.tool).summary(),
                kind: SendErrorKind::Timeout { bound: "timeout", after: bound },
                attempts: 1,
            }))
        });
        seen.map_err(|error| self.missed(error))
    }

    async fn look_through(&self, call: &Admitted<'_>) -> Result<TaskLook, CallError> {
        let LookResult { text, room, rejected } = self.shown(call, &self.tool).await?;
        let read = || self.tasks.read_observation(text.as_str());
        let glimpse = room.work(text.as_str().len(), read).await;
        // What shows no task is what its status says.
        let glimpse = glimpse.map_err(|error| match rejected {
            Some(rejected) => rejected,
            None => self.unclear(error.to_string()),
        })?;
        Ok(TaskLook { glimpse, shown: text, room })
    }

    /// Makes a call of `tool` that only looks, and returns what it gives to a caller.
    pub(super) async fn shown(
        &self,
        call: &Admitted<'_>,
        tool: &Tool,
    ) -> Result<LookResult, CallError> {
        let shown = look::look_once(self.executor, self.context, call, tool).await?;
        shown.ok_or_else(|| self.unclear("is no JSON".to_owned()))
    }

    fn unclear(&self, reason: String) -> CallError {
        let (handle, tool) = (self.right.handle().clone(), self.tool.name.clone());
        TaskError::State { handle, tool, reason }.into()
    }

    /// Decides whether another look may help.
    fn missed(&self, error: CallError) -> MissedLook {
        if error.is_transient() {
            return MissedLook::Passing { retry_after: error.retry_after(), error };
        }
        MissedLook::Lasting(match error {
            error @ CallError::Task(_) => error,
            error => {
                let (handle, error) = (self.right.handle().clone(), Box::new(error));
                TaskError::Unseen { handle, error }.into()
            }
        })
    }
}
