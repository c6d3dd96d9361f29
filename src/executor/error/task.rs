//! Why a task has no good end, or none that can be seen.

use super::CallError;
use crate::outcome::task_report::TaskHandle;

/// A task that did not succeed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the task {handle} {}{} ({})", self.end(), self.why(), self.where_it_says())]
pub struct TaskFailure {
    /// Names the task.
    pub handle: TaskHandle,
    /// Whether somebody asked it to stop.
    pub is_cancelled: bool,
    /// The API's own reason.
    pub reason: Option<String>,
    /// The state in the words of the API.
    pub state: String,
    /// The tool that said so, where it is not the state of the task.
    pub told_by: Option<String>,
}

impl TaskFailure {
    fn end(&self) -> &'static str {
        match (self.is_cancelled, &self.told_by) {
            (true, _) => "was cancelled",
            (false, None) => "failed",
            (false, Some(_)) => "ended, but what it did failed",
        }
    }

    fn why(&self) -> String {
        self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
    }

    fn where_it_says(&self) -> String {
        let state = &self.state;
        match &self.told_by {
            Some(tool) => format!("`{tool}` says \"{state}\""),
            None => format!("state \"{state}\""),
        }
    }
}

/// Why a task cannot be followed to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The operator: the program ends, and with it the server that has the task.
    #[error(
        "the task {handle} ends with its server, which this program ends: look at what it was to change"
    )]
    EndsToo {
        /// Names the task.
        handle: TaskHandle,
    },
    /// The remote: the task ended without success.
    #[error(transparent)]
    Failed(TaskFailure),
    /// The remote: the server that had the task does not know it.
    #[error(
        "the MCP server of backend \"{backend}\" does not know the task {handle}: {said}. It has forgotten it, \
         or was started again since; whether the work was done is not known here: look at what it was to change"
    )]
    Forgotten {
        /// Names the task.
        handle: TaskHandle,
        /// The name of the backend.
        backend: String,
        /// What the server says, bounded.
        said: String,
    },
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
