//! The tasks that older proxies show.

use serde_json::{Value, json};

use super::failure::ProxyFailure;
use crate::server::SeededGenerator;

/// The tasks, and how they came to be what they are.
#[derive(Debug, Default)]
pub(super) struct ProxyTasks {
    pub(super) all: Vec<Value>,
    /// What happened: `add`, `mod` or `del`, and the task.
    pub(super) events: Vec<(&'static str, Value)>,
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

    pub(super) fn find(&self, id: &str) -> Result<&Value, ProxyFailure> {
        let found = self.all.iter().find(|task| task["id"] == id);
        found.ok_or_else(|| ProxyFailure::no_such(id, "task"))
    }

    /// Returns what happened after `token`, as `event.from` does.
    pub(super) fn since(&self, token: usize) -> Option<Value> {
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
