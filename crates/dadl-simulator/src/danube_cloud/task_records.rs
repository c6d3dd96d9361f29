//! What is kept of tasks, and of their log.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::records::BackupKey;
use crate::server::SimulatedDate;

/// One task.
#[derive(Debug, Clone)]
pub(super) struct DanubeTask {
    pub(super) id: String,
    pub(super) user: &'static str,
    /// Who owns the machine, and so sees the task.
    pub(super) owner: &'static str,
    pub(super) dc: String,
    /// The machine that it is about, by its UUID.
    pub(super) machine: String,
    pub(super) disk_id: u64,
    pub(super) begun: Duration,
    pub(super) ends: Duration,
    pub(super) end: Option<TaskEnd>,
    pub(super) effect: TaskEffect,
    pub(super) fails: bool,
    /// What the API shows of it while it is pending.
    pub(super) details: Value,
}

/// What a task does when it ends.
#[derive(Debug, Clone)]
pub(super) enum TaskEffect {
    /// A backup is there.
    Create(BackupKey),
    /// Backups are gone.
    Delete(Vec<BackupKey>),
    /// A backup is in the place of a disk of the machine.
    Restore(BackupKey, u64),
}

/// How a task ended.
#[derive(Debug, Clone)]
pub(super) enum TaskEnd {
    Failure(Value),
    Revoked,
    Success(Value),
}

/// What the log keeps of a task.
#[derive(Debug, Clone)]
pub(super) struct LogEntry {
    pub(super) task: String,
    pub(super) user: &'static str,
    pub(super) dc: String,
    pub(super) status: &'static str,
    pub(super) time: SimulatedDate,
    pub(super) message: &'static str,
    pub(super) object: String,
}

impl DanubeTask {
    /// Says whether it has not ended.
    pub(super) const fn is_pending(&self) -> bool {
        self.end.is_none()
    }

    /// Returns the status code, the state and the result.
    pub(super) fn envelope(&self, now: Duration) -> (StatusCode, Value) {
        let (status, state, result) = match &self.end {
            None => {
                let half = self.begun + (self.ends.saturating_sub(self.begun)) / 4;
                let state =
                    if now < half || self.ends == self.begun { "PENDING" } else { "STARTED" };
                (StatusCode::CREATED, state, Value::Null)
            }
            Some(TaskEnd::Success(result)) => (StatusCode::OK, "SUCCESS", result.clone()),
            Some(TaskEnd::Failure(result)) => (StatusCode::BAD_REQUEST, "FAILURE", result.clone()),
            Some(TaskEnd::Revoked) => {
                (StatusCode::GONE, "REVOKED", json!("TaskRevokedError: terminated"))
            }
        };
        (status, json!({"task_id": self.id, "status": state, "result": result}))
    }
}
