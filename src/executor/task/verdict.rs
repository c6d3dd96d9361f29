//! What became of the work of a task that says that it succeeded.

use std::time::Duration;

use dadl_descriptor::model::{
    Tool,
    task::{JudgedOutcome, TaskPhase, TaskStateError, VerdictRule},
};
use tokio::time::Instant;

use super::poller::{TaskLook, TaskPoller};
use crate::{
    executor::{CallError, look::LookResult},
    outcome::JsonText,
    response::masked_error,
};

/// The pause before the second look; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What became of the work.
pub(super) enum TaskVerdict {
    /// It succeeded.
    Good(LookResult),
    /// It did not; the tool says so.
    Bad { tool: String, judged: JudgedOutcome },
    /// The tool does not say, and why.
    Unknown { tool: String, why: String },
}

impl TaskPoller<'_> {
    /// Finds out what became of the work of a task that succeeded; `None` when its state says it.
    pub(super) async fn decided(&self, seen: &TaskLook) -> Option<TaskVerdict> {
        let handle = self.right.handle();
        let (at, verdict) = self.tasks.verdict_of(&handle.tool)?;
        let tool = verdict.call.tool.clone();
        let unknown = |why: String| TaskVerdict::Unknown { tool: tool.clone(), why };
        let values = match verdict.values_in(seen.shown.as_str(), &handle.id) {
            Ok(values) => values,
            Err(path) => return Some(unknown(format!("the task has nothing usable at {path}"))),
        };
        let ends = Instant::now() + verdict.within;
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match self.look_once(at, verdict, &values).await {
                Ok(decided) => return Some(decided),
                Err(UndecidedLook::Lasting(why)) => return Some(unknown(why)),
                Err(UndecidedLook::Passing(why)) => why,
            };
            if Instant::now() + pause >= ends {
                return Some(unknown(why));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn look_once(
        &self,
        at: usize,
        verdict: &VerdictRule,
        values: &[(String, String)],
    ) -> Result<TaskVerdict, UndecidedLook> {
        let lasting = |error: CallError| match error.is_transient() {
            true => UndecidedLook::Passing(format!("it failed: {error}")),
            false => UndecidedLook::Lasting(format!("it failed: {}", error.for_model())),
        };
        let refused = |error: crate::gate::CallRefusal| UndecidedLook::Lasting(error.to_string());
        let call = self.right.verdict(at, values).map_err(refused)?;
        let Some(tool) = call.entry().tool() else {
            return Err(UndecidedLook::Lasting("it cannot be called".to_owned()));
        };
        let shown = self.shown(&call, tool).await.map_err(lasting)?;
        if let Some(rejected) = shown.rejected {
            return Err(lasting(rejected));
        }
        let hidden = self.right.starter().map(|starter| hide(&shown.text, starter));
        // What cannot be hidden is not told.
        let text = match &hidden {
            Some(Some(hidden)) => hidden.as_str(),
            Some(None) => return Err(UndecidedLook::Lasting("it cannot be shown".to_owned())),
            None => shown.text.as_str(),
        };
        match verdict.read(text) {
            Ok(JudgedOutcome { phase: TaskPhase::Succeeded, .. }) => Ok(TaskVerdict::Good(shown)),
            Ok(JudgedOutcome { phase: TaskPhase::Running, state, .. }) => {
                Err(UndecidedLook::Passing(format!("it says \"{state}\"")))
            }
            Ok(judged) => Ok(TaskVerdict::Bad { tool: tool.name.clone(), judged }),
            Err(error @ TaskStateError::Absent { .. }) => {
                Err(UndecidedLook::Passing(format!("what it shows {error}")))
            }
            Err(error) => Err(UndecidedLook::Lasting(format!("what it shows {error}"))),
        }
    }
}

/// Why a look did not tell.
enum UndecidedLook {
    /// A later one may.
    Passing(String),
    /// None will.
    Lasting(String),
}

/// Hides in `text` what `starter` hides in its results; `None` when nothing tells what that is.
fn hide(text: &JsonText, starter: &Tool) -> Option<String> {
    if starter.response.redact.is_empty() {
        return Some(text.as_str().to_owned());
    }
    masked_error::in_json(text.as_str(), &starter.response).map(|(text, _)| text)
}
