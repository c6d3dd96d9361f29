//! `task.*` and `event.from`, which today's proxies no longer have.

use std::time::Duration;

use serde_json::{Value, json};

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;
use super::runs::now;
use crate::server::SeededGenerator;

/// A caller waits no longer for an event, whatever it asks for.
const LONGEST_WAIT: f64 = 600.0;

/// The tasks, and how they came to be what they are.
#[derive(Debug, Default)]
pub(super) struct ProxyTasks {
    all: Vec<Value>,
    /// What happened: `add`, `mod` or `del`, and the task.
    events: Vec<(&'static str, Value)>,
}

impl ProxyTasks {
    /// One task that has ended, and one that has failed; both began at `start`, in milliseconds.
    pub(super) fn new(generator: &mut SeededGenerator, start: u64) -> Self {
        let mut tasks = Self::default();
        for (status, name) in [("success", "backup run"), ("failure", "restore")] {
            let id = generator.base36(11);
            tasks.begin(&id, start, &json!({ "name": name }));
            tasks.end(&id, start + 600_000, status);
        }
        tasks
    }

    pub(super) fn begin(&mut self, id: &str, start: u64, data: &Value) {
        let task = json!({ "id": id, "start": start, "status": "pending", "data": data });
        self.all.push(task.clone());
        self.events.push(("add", task));
    }

    pub(super) fn end(&mut self, id: &str, end: u64, status: &str) {
        let found = self.all.iter_mut().find(|task| task["id"] == id);
        let Some(task) = found.filter(|task| task["status"] == "pending") else { return };
        if let Some(members) = task.as_object_mut() {
            members.insert("end".to_owned(), end.into());
            members.insert("status".to_owned(), status.into());
        }
        let task = task.clone();
        self.events.push(("mod", task));
    }

    fn find(&self, id: &str) -> Result<&Value, ProxyFailure> {
        let found = self.all.iter().find(|task| task["id"] == id);
        found.ok_or_else(|| ProxyFailure::no_such(id, "task"))
    }

    /// Returns what happened after `token`, as `event.from` does.
    fn since(&self, token: usize) -> Option<Value> {
        let events: Vec<Value> = self
            .events
            .iter()
            .skip(token)
            .map(|(operation, task)| {
                json!({ "class": "Task", "operation": operation, "snapshot": task })
            })
            .collect();
        let token = self.events.len().to_string();
        (!events.is_empty()).then(|| json!({ "events": events, "token": token }))
    }
}

impl ProxyApp {
    /// Tells those who wait that something has happened to a task.
    pub(super) fn announce(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn task(&self, call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
        let id = call.text("taskId");
        let mut state = self.state();
        let tasks = &mut state.tasks;
        let value = match call.name {
            "getAll" => {
                let limit = call.params.get("limit").and_then(Value::as_u64);
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                let all = tasks.all.iter().take(limit.unwrap_or(usize::MAX));
                return Ok(MethodOutcome::List(all.cloned().collect()));
            }
            "get" => tasks.find(id)?.clone(),
            "cancel" => {
                tasks.find(id)?;
                tasks.end(id, now(), "canceled");
                true.into()
            }
            _ => {
                let task = tasks.find(id)?.clone();
                tasks.all.retain(|task| task["id"] != id);
                tasks.events.push(("del", task));
                true.into()
            }
        };
        drop(state);
        self.announce();
        Ok(MethodOutcome::Value(value))
    }

    pub(super) async fn events(&self, call: &ProxyCall) -> Result<MethodOutcome, ProxyFailure> {
        let token = call.text("token");
        let from = if token.is_empty() { Ok(0) } else { token.parse::<usize>() };
        let from = from.map_err(|_| ProxyFailure::thrown(format!("invalid token {token}")))?;
        let seconds = call.params.get("timeout").and_then(Value::as_f64).unwrap_or_default();
        let wait = Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT));
        // Subscribed before the first look, so that nothing is missed in between.
        let mut changed = self.changed.subscribe();
        let happened = async {
            loop {
                if let Some(events) = self.state().tasks.since(from) {
                    return events;
                }
                if changed.changed().await.is_err() {
                    return Value::Null;
                }
            }
        };
        let nothing = json!({ "events": [], "token": token });
        let events = tokio::time::timeout(wait.unwrap_or_default(), happened).await;
        Ok(MethodOutcome::Value(events.unwrap_or(nothing)))
    }
}
