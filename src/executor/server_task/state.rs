//! A task as its server writes it, in either revision, and what that means.

use std::time::Duration;

use dadl_descriptor::model::task::{TaskObservation, TaskPhase};
use dadl_text::{
    json::scan,
    text::{cut_text, one_line},
};
use serde::Deserialize;
use serde_json::Value;

use crate::mcp_client::RawResult;

/// A longer name is none, in bytes.
const LONGEST_ID: usize = 1024;

/// What a server says of a task is cut behind so many characters.
const LONGEST_MESSAGE: usize = 300;

/// The same of its state.
const LONGEST_STATE: usize = 40;

/// The pause between two looks, where the server does not say, and its bounds.
pub(super) const USUAL_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A task as a server writes it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskState {
    pub(super) task_id: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    status_message: Option<String>,
    /// In milliseconds, as 2026-07-28 has it.
    #[serde(default)]
    poll_interval_ms: Option<f64>,
    /// The same of 2025-11-25.
    #[serde(default)]
    poll_interval: Option<f64>,
}

/// A state, and the answer that had it where it was looked for.
pub(super) struct SeenTask {
    pub(super) state: TaskState,
    pub(super) looked: Option<RawResult>,
}

impl TaskState {
    pub(super) fn read(text: &str) -> Option<Self> {
        let state: Self = serde_json::from_str(text).ok()?;
        (1..=LONGEST_ID).contains(&state.task_id.len()).then_some(state)
    }

    /// Returns how long to wait before the next look.
    pub(super) fn pause(&self) -> Duration {
        let said = self.poll_interval_ms.or(self.poll_interval).filter(|it| it.is_finite());
        let said = said.map(|ms| Duration::from_secs_f64(ms.clamp(0.0, 1e9) / 1000.0));
        said.unwrap_or(USUAL_PAUSE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// Returns what it means; one that nobody knows goes on.
    pub(super) fn phase(&self) -> TaskPhase {
        match self.status.as_str() {
            "completed" => TaskPhase::Succeeded,
            "failed" => TaskPhase::Failed,
            "cancelled" => TaskPhase::Cancelled,
            _ => TaskPhase::Running,
        }
    }

    /// Returns what people see of it, cleaned and bounded.
    pub(super) fn observation(&self) -> TaskObservation {
        let message = self.status_message.as_deref().map(clean).filter(|it| !it.is_empty());
        TaskObservation {
            state: cut_text(&one_line(&self.status), LONGEST_STATE).into_owned(),
            phase: self.phase(),
            percent: None,
            message,
            steps: Vec::new(),
            stop_requested: false,
            reason: None,
        }
    }
}

impl SeenTask {
    /// Reads the answer to a look.
    pub(super) fn read(looked: RawResult) -> Option<Self> {
        let state = TaskState::read(looked.as_str())?;
        Some(Self { state, looked: Some(looked) })
    }

    /// Returns what the task asks for, as it is written (2026-07-28).
    pub(super) fn inputs(&self) -> Option<&str> {
        scan::member_at(self.looked.as_ref()?.as_str(), &["inputRequests"])
    }

    /// Returns what its error says, where it failed (2026-07-28).
    pub(super) fn error(&self) -> Option<String> {
        let looked = self.looked.as_ref()?;
        let error = scan::member_at(looked.as_str(), &["error", "message"])?;
        let error: Value = serde_json::from_str(error).ok()?;
        Some(clean(error.as_str()?))
    }
}

/// Makes one bounded line of what a server says.
pub(super) fn clean(words: &str) -> String {
    cut_text(&one_line(words), LONGEST_MESSAGE).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_has_bounds() {
        let pause = |text: &str| TaskState::read(text).unwrap().pause();
        assert_eq!(pause(r#"{"taskId":"a"}"#), USUAL_PAUSE);
        assert_eq!(pause(r#"{"taskId":"a","pollInterval":0}"#), SHORTEST_PAUSE);
        assert_eq!(pause(r#"{"taskId":"a","pollIntervalMs":-5}"#), SHORTEST_PAUSE);
        assert_eq!(pause(r#"{"taskId":"a","pollIntervalMs":1e300}"#), LONGEST_PAUSE);
        assert_eq!(pause(r#"{"taskId":"a","pollIntervalMs":200}"#), Duration::from_millis(200));
        assert_eq!(TaskState::read("{}"), None);
        assert_eq!(TaskState::read(r#"{"taskId":""}"#), None);
    }

    #[test]
    fn what_a_server_says_is_bounded() {
        let said =
            format!(r#"{{"taskId":"a","status":"{0}","statusMessage":"{0}\n"}}"#, "x".repeat(999));
        let seen = TaskState::read(&said).unwrap().observation();
        assert_eq!(seen.phase, TaskPhase::Running);
        assert!(seen.state.chars().count() <= LONGEST_STATE + 1, "{seen:?}");
        assert!(seen.message.unwrap().chars().count() <= LONGEST_MESSAGE + 1);
    }
}
