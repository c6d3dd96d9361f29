//! Tasks: what an action becomes while it runs, waiting for its end, and watching all of them.
//!
//! A task is pending for the configured duration, with its progress shown in quarters or every
//! second, and then its effect is applied to the state at once. A migration shows its parts too.
//! An aborted task has no effect.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::app::{App, Call};
use super::collections::{fields, watch_needs_ndjson};
use super::failure::Failure;
use super::kind::Kind;
use super::state::{State, now};
use super::store::{Properties, TaskWatcher};
use crate::simulator::core::Reply;

/// What a task does to the state when its time has come; gives its result.
pub(super) type Effect = Box<dyn FnOnce(&mut State) -> Result<Value, Failure> + Send>;

impl App {
    /// Runs an action, and answers at once or, with `sync=true`, at its end.
    pub(super) async fn run(
        self: &Arc<Self>,
        call: &Call<'_>,
        kind: Kind,
        effect: Effect,
    ) -> Result<Reply, Failure> {
        let action = call.operation.segments().last().copied().unwrap_or_default();
        let mut properties = json!({
            "objectType": kind.type_name(),
            "name": format!("REST API: {} {}", action.replace('_', " "), kind.type_name()),
            "objectId": call.capture(0),
            "userId": call.user.id,
            "type": "xo:rest-api:action",
        });
        if !call.body.is_empty()
            && let Some(properties) = properties.as_object_mut()
        {
            properties.insert("params".to_owned(), Value::Object(call.body.clone()));
        }
        let id = self.state().add_task(properties);
        let method = format!("{}.{action}", kind.type_name());
        let running = tokio::spawn(Arc::clone(self).finish(id.clone(), method, effect));
        if !call.flag("sync") {
            return Ok(Reply::json(StatusCode::ACCEPTED, &json!({"taskId": id}))
                .header(LOCATION, &Kind::Task.href(&id)));
        }
        let result = running.await.unwrap_or_else(|_| Err(Failure::unexpected("task lost")))?;
        Ok(match call.operation.status() {
            201 => Reply::json(StatusCode::CREATED, &json!({"id": result.get("id")})),
            200 => Reply::json(StatusCode::OK, &result),
            _ => Reply::empty(StatusCode::NO_CONTENT),
        })
    }

    /// Answers with a task when it has ended.
    pub(super) async fn wait_for_task(&self, call: &Call<'_>) -> Result<Reply, Failure> {
        // Subscribed before the first look, so that no end is missed in between.
        let mut ended = self.ended.subscribe();
        loop {
            {
                let state = self.state();
                let task = state.store.find(Kind::Task, call.capture(0))?;
                if task.text("status") != "pending" {
                    return Ok(Reply::json(StatusCode::OK, &Value::Object(task.clone())));
                }
            }
            if ended.changed().await.is_err() {
                return Err(Failure::unexpected("the server is stopping"));
            }
        }
    }

    /// Streams the changes of tasks. What exists already is not sent.
    pub(super) fn watch_tasks(&self, call: &Call<'_>) -> Result<Reply, Failure> {
        if !call.flag("ndjson") {
            return Err(watch_needs_ndjson());
        }
        let (sender, receiver) = mpsc::channel::<Bytes>(BACKLOG);
        let fields = fields(&call.request.query).flatten();
        self.state().store.listeners.task_watchers.push(TaskWatcher { sender, fields });
        Ok(Reply::stream("application/x-ndjson", receiver))
    }

    /// Stops a pending task.
    pub(super) fn abort(&self, id: &str) {
        let mut state = self.state();
        if !state.is_pending(id) {
            return;
        }
        state.store.update(Kind::Task, id, |task| {
            task.insert("abortionRequestedAt".to_owned(), now().into());
            task.insert("status".to_owned(), "interrupted".into());
            task.insert("updatedAt".to_owned(), now().into());
            task.insert("end".to_owned(), now().into());
            task.insert("result".to_owned(), json!({"message": "aborted", "name": "AbortError"}));
        });
        drop(state);
        self.ended.send_replace(());
    }

    async fn finish(
        self: Arc<Self>,
        id: String,
        method: String,
        effect: Effect,
    ) -> Result<Value, Failure> {
        if !self.options.task_duration.is_zero() {
            let duration = self.options.task_duration;
            let parts = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).clamp(4, 100);
            for part in 1..=parts {
                tokio::time::sleep(duration / parts).await;
                let mut state = self.state();
                if part < parts && state.is_pending(&id) {
                    let percent = part * 100 / parts;
                    state.store.update(Kind::Task, &id, |task| {
                        task.insert("progress".to_owned(), percent.into());
                        task.insert("updatedAt".to_owned(), now().into());
                        if method == "VM.migrate" {
                            task.insert("tasks".to_owned(), steps_of_migration(&id, percent));
                        }
                    });
                }
            }
        }
        let result = {
            let mut state = self.state();
            if state.store.get(Kind::Task, &id).is_some() && !state.is_pending(&id) {
                return Err(Failure::unexpected("task aborted"));
            }
            let result = effect(&mut state);
            state.store.update(Kind::Task, &id, |task| {
                let (status, shown) = match &result {
                    Ok(value) => ("success", value.clone()),
                    Err(failure) => ("failure", failure.task_result(&method)),
                };
                task.insert("status".to_owned(), status.into());
                task.insert("updatedAt".to_owned(), now().into());
                task.insert("end".to_owned(), now().into());
                if result.is_ok() {
                    task.insert("progress".to_owned(), 100.into());
                    if task.contains_key("tasks") {
                        task.insert("tasks".to_owned(), steps_of_migration(&id, 100));
                    }
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
}

/// Returns the parts of a migration that is done by `percent`; each takes a third of the time.
fn steps_of_migration(id: &str, percent: u32) -> Value {
    const NAMES: [&str; 3] = ["Prepare the target", "Copy the memory", "Switch over"];
    let begun = NAMES.iter().zip([0, 33, 66]).enumerate().filter(|(_, (_, from))| percent >= *from);
    begun
        .map(|(at, (name, from))| {
            let progress = ((percent - from) * 3).min(100);
            json!({
                "id": format!("{id}-{at}"),
                "properties": {"name": name},
                "progress": progress,
                "start": now(),
                "status": if progress == 100 { "success" } else { "pending" },
            })
        })
        .collect()
}

impl State {
    fn is_pending(&self, id: &str) -> bool {
        self.store.get(Kind::Task, id).is_some_and(|task| task.text("status") == "pending")
    }
}

/// How many messages a listener may be behind before it is dropped.
pub(super) const BACKLOG: usize = 4096;
