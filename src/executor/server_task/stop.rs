//! Asking a task of a server to stop.

use std::time::Duration;

use dadl_descriptor::model::task::{TaskObservation, TaskPhase};
use serde_json::json;

use super::{InputRule, ServerTask, ServerTaskEnd};
use crate::{
    executor::{
        CallContext, CallError, Executor, TaskError, TaskFailure, WaitBudget,
        task::{asked_outcome, open_outcome},
    },
    gate::TaskRight,
    mcp_client::{CallClock, ServerError, ServerFault},
    outcome::{CallOutcome, task_report::TaskReport},
};

/// How long a task that was asked to stop is watched for its end.
const AFTER_CANCEL: Duration = Duration::from_secs(5);

impl ServerTask<'_> {
    async fn cancel(&self) -> Result<(), ServerError> {
        let clock = CallClock::new(self.time);
        let params = json!({ "taskId": self.name() });
        self.link.other("tasks/cancel", params, &clock).await.map(drop)
    }

    /// Makes the outcome for a task that has ended, whether or not because it was asked to stop.
    fn stopped(&self, state: String, phase: TaskPhase, note: String) -> CallOutcome {
        let glimpse = TaskObservation {
            state,
            phase,
            percent: None,
            message: None,
            steps: Vec::new(),
            stop_requested: false,
            reason: None,
        };
        let report = TaskReport { is_running: false, glimpse: Some(glimpse), ..self.unseen() };
        let mut outcome = open_outcome(report);
        outcome.notes.push(note);
        outcome
    }
}

impl Executor {
    /// Asks a task of a server to stop, and nothing else.
    ///
    /// # Errors
    ///
    /// [`CallError::Task`]
    pub(crate) async fn ask_to_stop(
        &self,
        right: &TaskRight,
        context: &CallContext<'_>,
    ) -> Result<(), CallError> {
        let task = ServerTask::new(self, right, context)?;
        task.cancel().await.map_err(|error| task.lost(error))
    }

    /// Asks a task of a server to stop, and looks a little while whether it does.
    ///
    /// # Errors
    ///
    /// [`CallError::Task`]: it could not be asked.
    pub async fn stop_task(
        &self,
        right: &TaskRight,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let context = context.unheard().waiting(WaitBudget::For(AFTER_CANCEL));
        let task = ServerTask::new(self, right, &context)?;
        // What it asks for is of no interest any more.
        let task = ServerTask { input: InputRule::Leave, ..task };
        // One that has ended refuses, and says so when it is looked at.
        let refusal = match task.cancel().await {
            Ok(()) => None,
            Err(error) if matches!(error.fault, ServerFault::Rpc(_)) => Some(error),
            Err(error) => return Err(task.lost(error)),
        };
        let watched = task.watch(None, &mut task.place()).await;
        match (watched, refusal) {
            (Ok(ServerTaskEnd::Result(_)), _) => {
                let note = "the task was not stopped: it has ended with success".to_owned();
                Ok(task.stopped("completed".to_owned(), TaskPhase::Succeeded, note))
            }
            (Err(CallError::Task(error)), refusal) => match *error {
                TaskError::Failed(failure) => {
                    let TaskFailure { state, is_cancelled, reason, .. } = failure;
                    if is_cancelled {
                        let note = "the task was cancelled".to_owned();
                        return Ok(task.stopped(state, TaskPhase::Cancelled, note));
                    }
                    let reason = reason.map(|it| format!(": {it}")).unwrap_or_default();
                    let note = format!(
                        "the task has ended without success{reason}; the server does not say that it \
                         was stopped"
                    );
                    Ok(task.stopped(state, TaskPhase::Failed, note))
                }
                error if refusal.is_some() => Err(error.into()),
                // The request was taken; what cannot be seen may be so.
                error => {
                    let trouble = Some(error.to_string());
                    Ok(asked_outcome(TaskReport { trouble, ..task.unseen() }, false))
                }
            },
            (Ok(ServerTaskEnd::Open(_)), Some(refusal)) => Err(task.lost(refusal)),
            (Ok(ServerTaskEnd::Open(report)), None) => Ok(asked_outcome(*report, false)),
            (Err(error), _) => Err(error),
        }
    }
}
