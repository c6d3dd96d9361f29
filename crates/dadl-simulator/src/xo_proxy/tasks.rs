//! `task.*` and `event.from`, which today's proxies no longer have.

use std::time::Duration;

use serde_json::{Value, json};

use super::app::{MethodOutcome, ProxyApp, ProxyCall};
use super::failure::ProxyFailure;
use crate::server::now_millis;

/// A caller waits no longer for an event, whatever it asks for.
const LONGEST_WAIT: f64 = 600.0;

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
                tasks.end(id, now_millis(), "canceled");
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
