//! Tasks: what an action becomes while it runs, waiting for its end, and watching all of them.
//!
//! A task is pending for the configured duration, and then its effect is applied to the state at
//! once. Only what goes from host to host of a pool says how far it is. To abort a task is a wish:
//! it is noted, and the action goes on and succeeds, except for a sequence of schedules.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::app::{XenApp, XenCall};
use super::collections::{fields, watch_needs_ndjson};
use super::failure::XenFailure;
use super::kind::XenKind;
use super::object::{Properties, XenObject};
use super::state::XenState;
use super::store::TaskWatcher;
use crate::server::{HttpReply, now_millis};

/// What a task does to the state when its time has come; gives its result.
pub(super) type StateEffect = Box<dyn FnOnce(&mut XenState) -> Result<Value, XenFailure> + Send>;

impl XenApp {
    /// Runs an action, and answers at once or, with `sync=true`, at its end.
    pub(super) async fn run(
        self: &Arc<Self>,
        call: &XenCall<'_>,
        kind: XenKind,
        effect: StateEffect,
    ) -> Result<HttpReply, XenFailure> {
        let action = call.operation.segments().last().copied().unwrap_or_default();
        let (manner, what) = match action {
            "rolling_reboot" => (TaskManner::Rolling, "rolling pool reboot".to_owned()),
            "rolling_update" => (TaskManner::Rolling, "rolling pool update".to_owned()),
            _ if kind == XenKind::Schedule && self.state().is_sequence(call.capture(0)) => {
                (TaskManner::Stoppable, format!("{action} {}", kind.type_name()))
            }
            _ => (TaskManner::Silent, format!("{} {}", action.replace('_', " "), kind.type_name())),
        };
        let mut properties = json!({
            "objectType": kind.type_name(),
            "name": format!("REST API: {what}"),
            "objectId": call.capture(0),
            "userId": call.user.id,
            "type": "xo:rest-api:action",
        });
        if !call.body.is_empty()
            && let Some(properties) = properties.as_object_mut()
        {
            properties.insert("params".to_owned(), Value::Object(call.body.clone()));
        }
        // From before the task is there, so that none misses that it is to end.
        let hurried = self.hurried.subscribe();
        let id = self.state().add_task(properties);
        let method = format!("{}.{action}", kind.type_name());
        let finish = Arc::clone(self).finish(id.clone(), method, manner, hurried, effect);
        let running = tokio::spawn(finish);
        if !call.flag("sync") {
            return Ok(HttpReply::json(StatusCode::ACCEPTED, &json!({"taskId": id}))
                .header(LOCATION, &XenKind::Task.href(&id)));
        }
        let result = running.await.unwrap_or_else(|_| Err(XenFailure::unexpected("task lost")))?;
        Ok(match call.operation.status() {
            201 => HttpReply::json(StatusCode::CREATED, &json!({"id": result.get("id")})),
            200 => HttpReply::json(StatusCode::OK, &result),
            _ => HttpReply::empty(StatusCode::NO_CONTENT),
        })
    }

    /// Answers with a task when it has ended.
    pub(super) async fn wait_for_task(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        // Subscribed before the first look, so that no end is missed in between.
        let mut ended = self.ended.subscribe();
        loop {
            {
                let state = self.state();
                let task = state.store.find(XenKind::Task, call.capture(0))?;
                if task.text("status") != "pending" {
                    return Ok(HttpReply::json(StatusCode::OK, &Value::Object(task.clone())));
                }
            }
            if ended.changed().await.is_err() {
                return Err(XenFailure::unexpected("the server is stopping"));
            }
        }
    }

    /// Streams the changes of tasks. What exists already is not sent.
    pub(super) fn watch_tasks(&self, call: &XenCall<'_>) -> Result<HttpReply, XenFailure> {
        if !call.flag("ndjson") {
            return Err(watch_needs_ndjson());
        }
        let (sender, receiver) = mpsc::channel::<Bytes>(BACKLOG);
        let fields = fields(&call.request.query).flatten();
        self.state().store.listeners.task_watchers.push(TaskWatcher { sender, fields });
        Ok(HttpReply::stream("application/x-ndjson", receiver))
    }

    /// Notes that somebody wants a pending task to stop. Next to nothing in XO looks at that.
    pub(super) fn abort(&self, id: &str) {
        let mut state = self.state();
        if !state.is_pending(id) {
            return;
        }
        state.store.update(XenKind::Task, id, |task| {
            task.insert("abortionRequestedAt".to_owned(), now_millis().into());
            task.insert("updatedAt".to_owned(), now_millis().into());
        });
        drop(state);
        self.ended.send_replace(());
    }

    async fn finish(
        self: Arc<Self>,
        id: String,
        method: String,
        manner: TaskManner,
        hurried: watch::Receiver<()>,
        effect: StateEffect,
    ) -> Result<Value, XenFailure> {
        if !self.options.task_duration.is_zero() {
            tokio::select! {
                () = self.pass_time(&id, manner) => {}
                () = hurried_along(hurried) => {}
                () = self.stopped(&id), if manner == TaskManner::Stoppable => {}
            }
        }
        let result = {
            let mut state = self.state();
            let is_stopped = manner == TaskManner::Stoppable && state.is_to_stop(&id);
            let result = match is_stopped {
                true => Err(XenFailure::unexpected("This operation was aborted")),
                false => effect(&mut state),
            };
            state.store.update(XenKind::Task, &id, |task| {
                let (status, shown) = match &result {
                    Ok(value) => ("success", value.clone()),
                    Err(failure) if is_stopped => ("interrupted", failure.task_result(&method)),
                    Err(failure) => ("failure", failure.task_result(&method)),
                };
                task.insert("status".to_owned(), status.into());
                task.insert("updatedAt".to_owned(), now_millis().into());
                task.insert("end".to_owned(), now_millis().into());
                if result.is_ok() && manner == TaskManner::Rolling {
                    show_progress(task, 100);
                }
                if !shown.is_null() {
                    task.insert("result".to_owned(), shown);
                }
            });
            result
        };
        self.ended.send_replace(());
        result
    }

    /// Lets the time of a task pass. Most show nothing of how far they are.
    async fn pass_time(&self, id: &str, manner: TaskManner) {
        let duration = self.options.task_duration;
        if manner != TaskManner::Rolling {
            return tokio::time::sleep(duration).await;
        }
        let parts = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).clamp(4, 100);
        for part in 0..parts {
            self.state().store.update(XenKind::Task, id, |task| {
                show_progress(task, part * 100 / parts);
                task.insert("updatedAt".to_owned(), now_millis().into());
            });
            tokio::time::sleep(duration / parts).await;
        }
    }

    /// Ends when somebody wants a task to stop.
    async fn stopped(&self, id: &str) {
        let mut changes = self.ended.subscribe();
        while !self.state().is_to_stop(id) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What a task shows and heeds while it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TaskManner {
    /// Nothing, as nearly all.
    Silent,
    /// A rolling update or reboot says how far it is.
    Rolling,
    /// A sequence of schedules ends when it is aborted.
    Stoppable,
}

/// Ends when the tasks that run are to end.
async fn hurried_along(mut hurried: watch::Receiver<()>) {
    if hurried.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Says in a task that goes from host to host how far it is.
fn show_progress(task: &mut XenObject, percent: u32) {
    let (id, start) = (task.text("id").to_owned(), task.number("start"));
    let step = |name: &str, number: u32, percent: u32| {
        let mut step = json!({
            "id": format!("{id}-{number}"),
            "properties": {"name": name, "progress": percent},
            "start": start,
            "status": if percent == 100 { "success" } else { "pending" },
        });
        if percent == 100
            && let Some(step) = step.as_object_mut()
        {
            step.insert("end".to_owned(), now_millis().into());
        }
        step
    };
    let steps = [step("Listing missing patches", 0, 100), step("Restarting hosts", 1, percent)];
    task.insert("tasks".to_owned(), steps.into_iter().collect());
    if let Some(properties) = task.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("progress".to_owned(), percent.into());
    }
}

impl XenState {
    fn is_pending(&self, id: &str) -> bool {
        self.store.get(XenKind::Task, id).is_some_and(|task| task.text("status") == "pending")
    }

    fn is_to_stop(&self, id: &str) -> bool {
        let task = self.store.get(XenKind::Task, id);
        task.is_some_and(|task| task.contains_key("abortionRequestedAt"))
    }
}

/// How many messages a listener may be behind before it is dropped.
pub(super) const BACKLOG: usize = 16_384;
