//! Tasks of the protocol: the extension `io.modelcontextprotocol/tasks` (SEP-2663).
//!
//! A host that knows the extension gets a task of the protocol for each task of an API. Nothing is
//! remembered here: the id holds the handle and the time at which the task began, so that
//! `tasks/get` and `tasks/cancel` are calls of the API, also in another process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmcp::{
    ErrorData,
    model::{
        CallToolResult, CreateTaskResult, DetailedTask, ErrorCode, GetTaskResult, Task,
        TaskPayload, TaskStatus,
    },
};
use serde_json::{Value, json};

use super::result;
use crate::{
    executor::{CallError, TaskError},
    outcome::{
        task_report::{TaskHandle, TaskReport},
        timestamp,
    },
};

/// Hosts are asked to look no more often.
const POLL_MS: u64 = 2_000;

/// The id of a task of the protocol: `SECONDS/HANDLE`, the time in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskId {
    began: u64,
    pub(super) handle: TaskHandle,
}

impl TaskId {
    /// Names a task.
    fn of(handle: TaskHandle, began: SystemTime) -> Self {
        let since = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: since.as_secs(), handle }
    }

    /// Reads an id.
    pub(super) fn read(text: &str) -> Result<Self, ErrorData> {
        let parts = text.split_once('/').and_then(|(began, handle)| {
            Some(Self { began: began.parse().ok()?, handle: handle.parse().ok()? })
        });
        parts.ok_or_else(|| ErrorData::invalid_params("unknown task", None))
    }

    pub(super) fn task(&self, status: TaskStatus) -> Task {
        let began = UNIX_EPOCH.checked_add(Duration::from_secs(self.began));
        let began = timestamp::rfc3339(began.unwrap_or(UNIX_EPOCH));
        let now = timestamp::rfc3339(SystemTime::now());
        let id = format!("{}/{}", self.began, self.handle);
        Task::new(id, status, began, now).with_poll_interval_ms(POLL_MS)
    }
}

/// Makes the answer to a call that began a task.
pub(super) fn created(report: TaskReport, began: SystemTime) -> CreateTaskResult {
    let message = report.summary();
    let task = TaskId::of(report.handle, began).task(TaskStatus::Working);
    CreateTaskResult::new(task.with_status_message(message))
}

/// Makes the answer to `tasks/get` about a task that goes on.
pub(super) fn working(id: &TaskId, report: &TaskReport) -> GetTaskResult {
    task_answer(id, TaskPayload::Working, Some(report.summary()))
}

/// Makes the answer to `tasks/get` about a task that has ended: with a result, or without.
pub(super) fn ended_task(
    id: &TaskId,
    ended: Result<CallToolResult, CallError>,
    is_hidden: bool,
) -> Result<GetTaskResult, ErrorData> {
    let (payload, message) = match ended {
        Ok(result) => {
            let what = if is_hidden { "may not be looked at" } else { "has ended" };
            (completed(result), Some(format!("{} {what}", id.handle.tool)))
        }
        Err(error) => failed_task(error)?,
    };
    Ok(task_answer(id, payload, message))
}

fn task_answer(id: &TaskId, payload: TaskPayload, message: Option<String>) -> GetTaskResult {
    let task = id.task(payload.status());
    let task = match message {
        Some(message) => task.with_status_message(message),
        None => task,
    };
    GetTaskResult::new(DetailedTask::new(task, payload))
}

/// Makes the state of a task that has no good end.
fn failed_task(error: CallError) -> Result<(TaskPayload, Option<String>), ErrorData> {
    let text = error.for_model();
    let CallError::Task(error) = error else {
        return Ok((completed(result::failure_result(text.clone())), Some(text)));
    };
    match *error {
        TaskError::Failed(failure) if failure.is_cancelled => {
            Ok((TaskPayload::Cancelled, Some(text)))
        }
        TaskError::Forgotten { .. } => Err(ErrorData::invalid_params(text, None)),
        TaskError::Failed(_) => Ok((completed(result::failure_result(text.clone())), Some(text))),
        TaskError::Unseen { error, .. } if error.is_gone() => {
            Err(ErrorData::invalid_params(text, None))
        }
        TaskError::Unseen { .. } => Err(ErrorData::internal_error(text, None)),
        _ => {
            let error = json!({ "code": ErrorCode::INTERNAL_ERROR.0, "message": text });
            let error = error.as_object().cloned().unwrap_or_default();
            Ok((TaskPayload::Failed { error }, Some(text)))
        }
    }
}

fn completed(result: CallToolResult) -> TaskPayload {
    let result = match serde_json::to_value(&result) {
        Ok(Value::Object(result)) => result,
        _ => serde_json::Map::new(),
    };
    TaskPayload::Completed { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_the_handle_and_the_time() {
        let handle: TaskHandle = "xo:start_vm:a/b:c".parse().unwrap();
        let id = TaskId { began: 1_795_239_235, handle };
        let task = id.task(TaskStatus::Working);
        assert_eq!(task.task_id, "1795239235/xo:start_vm:a/b:c");
        assert_eq!(task.created_at, "2026-11-21T05:33:55Z");
        assert_eq!(TaskId::read(&task.task_id).unwrap(), id);
        for wrong in ["", "xo:start_vm:a", "x/xo:start_vm:a", "1/xo", "-1/xo:start_vm:a"] {
            assert_eq!(TaskId::read(wrong).unwrap_err().code, ErrorCode::INVALID_PARAMS);
        }
    }
}
