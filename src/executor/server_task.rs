//! A call that a server goes on with as a task is followed to its end, within the time of the call.
//!
//! Tasks of 2025-11-25 (`tasks/get`, `tasks/result`) and of the extension of 2026-07-28 (`tasks/get` with
//! the result in it, `tasks/update`) are followed alike. When the caller goes away the task is asked to
//! stop; when the time is over it goes on, and the caller is told its name at the server.

use std::time::Duration;

use dadl_text::{
    json::scan,
    text::{cut_text, one_line, quoted_text},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::server_exchange::{ServerEnd, ServerExchange};
use crate::{
    mcp_client::{CallClock, CallerPlace, RawResult, ServerError, ServerFault, ServerLink},
    outcome::CallProgress,
};

/// A longer id is none, in bytes.
const LONGEST_ID: usize = 1024;

/// What a server says of a task is cut behind so many characters.
const LONGEST_MESSAGE: usize = 300;

/// The pause between two looks, where the server does not say, and its bounds.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a server may take to hear that a task is to stop.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A task as a server writes it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskState {
    task_id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    status_message: Option<String>,
    /// In milliseconds, as 2026-07-28 has it.
    #[serde(default)]
    poll_interval_ms: Option<f64>,
    /// The same of 2025-11-25.
    #[serde(default)]
    poll_interval: Option<f64>,
}

impl TaskState {
    fn read(text: &str) -> Option<Self> {
        let state: Self = serde_json::from_str(text).ok()?;
        (1..=LONGEST_ID).contains(&state.task_id.len()).then_some(state)
    }

    fn pause(&self) -> Duration {
        let said = self.poll_interval_ms.or(self.poll_interval).filter(|it| it.is_finite());
        let said = said.map(|ms| Duration::from_secs_f64(ms.clamp(0.0, 1e9) / 1000.0));
        said.unwrap_or(USUAL_PAUSE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// Says how it is, in one line.
    fn summary(&self) -> String {
        let message = self.status_message.as_deref().unwrap_or_default();
        let said = if message.is_empty() { String::new() } else { format!(": {message}") };
        let text = format!("{}{said}", self.status);
        cut_text(&one_line(&text), LONGEST_MESSAGE).into_owned()
    }
}

/// Asks a task to stop when nobody follows it any more.
struct FollowedTask {
    link: ServerLink,
    id: Option<String>,
}

impl FollowedTask {
    /// It has ended, or goes on.
    fn leave(&mut self) {
        self.id = None;
    }
}

impl Drop for FollowedTask {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        // At the end of the program there is no runtime, and soon no server.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let link = self.link.clone();
        runtime.spawn(async move {
            let (params, clock) = (json!({ "taskId": id }), CallClock::new(STOP_TIME));
            if let Err(error) = link.other("tasks/cancel", params, &clock).await {
                tracing::debug!(%error, "a task could not be asked to stop");
            }
        });
    }
}

impl ServerExchange<'_> {
    /// Follows the task that a call began.
    pub(super) async fn follow(
        &self,
        begun: &RawResult,
        place: &mut CallerPlace,
    ) -> Result<ServerEnd, ServerError> {
        let nested = scan::member_at(begun.as_str(), &["task"]);
        // The older revision has the task in a member of its own.
        let is_older = nested.is_some();
        let Some(mut state) = TaskState::read(nested.unwrap_or(begun.as_str())) else {
            return Ok(ServerEnd::Failed("it goes on as a task without a name".to_owned()));
        };
        let id = state.task_id.clone();
        let mut followed = FollowedTask { link: self.link.clone(), id: Some(id.clone()) };
        let (mut looked, mut given): (Option<RawResult>, Option<String>) = (None, None);
        loop {
            self.tell(&state);
            let end = match state.status.as_str() {
                "completed" => Some(self.completed(&id, looked.take(), is_older, place).await),
                "failed" | "cancelled" => {
                    Some(Ok(ServerEnd::Failed(failure(&state, looked.as_ref()))))
                }
                // There the questions come with the result.
                "input_required" if is_older => {
                    Some(self.completed(&id, None, is_older, place).await)
                }
                "input_required" => {
                    let asked = looked.as_ref().and_then(inputs_of);
                    // A task that has not taken what it was given asks nobody twice.
                    let is_new = asked.is_some() && asked != given;
                    given = asked.or(given);
                    match looked.as_ref().filter(|_| is_new) {
                        Some(looked) => self.give_input(&id, looked, place).await.transpose(),
                        None => None,
                    }
                }
                _ => None,
            };
            match end {
                Some(Err(error)) if is_late(&error) => {
                    followed.leave();
                    return Ok(self.goes_on(&state));
                }
                Some(Ok(end)) => {
                    if !matches!(state.status.as_str(), "input_required") || is_older {
                        followed.leave();
                    }
                    return Ok(end);
                }
                Some(end) => return end,
                None => {}
            }
            match self.look(&state, &id, place).await {
                Ok(Some(seen)) => {
                    match TaskState::read(seen.as_str()) {
                        Some(newer) => state = newer,
                        None => return Ok(ServerEnd::Failed("its task cannot be read".to_owned())),
                    }
                    looked = Some(seen);
                }
                Ok(None) => {
                    followed.leave();
                    return Ok(self.goes_on(&state));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at a task again after a pause; nothing when the time is over.
    async fn look(
        &self,
        state: &TaskState,
        id: &str,
        place: &mut CallerPlace,
    ) -> Result<Option<RawResult>, ServerError> {
        let pause = state.pause();
        if pause >= self.clock.left() {
            return Ok(None);
        }
        self.questions.during(place, tokio::time::sleep(pause)).await;
        let request = self.link.other("tasks/get", json!({ "taskId": id }), self.clock);
        match self.questions.during(place, request).await {
            Ok(seen) => Ok(Some(seen)),
            Err(error) if is_late(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the result of a task that has ended well.
    async fn completed(
        &self,
        id: &str,
        looked: Option<RawResult>,
        is_older: bool,
        place: &mut CallerPlace,
    ) -> Result<ServerEnd, ServerError> {
        let result = if is_older {
            let request = self.link.other("tasks/result", json!({ "taskId": id }), self.clock);
            Some(self.questions.during(place, request).await?)
        } else {
            let looked = match looked {
                Some(looked) => looked,
                // It was over before anybody looked.
                None => {
                    let request = self.link.other("tasks/get", json!({ "taskId": id }), self.clock);
                    self.questions.during(place, request).await?
                }
            };
            looked.member("result")
        };
        Ok(match result {
            Some(result) => ServerEnd::Result(result),
            None => ServerEnd::Failed("its task has ended without a result".to_owned()),
        })
    }

    /// Gives a task what it asks for; what is not given ends the call.
    async fn give_input(
        &self,
        id: &str,
        looked: &RawResult,
        place: &mut CallerPlace,
    ) -> Result<Option<ServerEnd>, ServerError> {
        let given = match self.questions.inputs(looked).await {
            Ok(given) => given,
            Err(why) => return Ok(Some(ServerEnd::Failed(why.to_string()))),
        };
        let params = json!({ "taskId": id, "inputResponses": given.responses });
        let request = self.link.other("tasks/update", params, self.clock);
        self.questions.during(place, request).await.map(|_| None)
    }

    fn tell(&self, state: &TaskState) {
        let elapsed = self.time.saturating_sub(self.clock.left()).as_secs();
        let message = format!("task of the server: {}", state.summary());
        self.context.observer.progress(CallProgress { done: elapsed, total: None, message });
    }

    /// Says that a task goes on for which there is no more time.
    fn goes_on(&self, state: &TaskState) -> ServerEnd {
        ServerEnd::Failed(format!(
            "it did not end within {} s (`timeout`), and goes on at the server as the task {} ({}); its \
             result is not fetched",
            self.time.as_secs_f64(),
            quoted_text(&state.task_id, LONGEST_MESSAGE),
            state.summary()
        ))
    }
}

/// Returns what a task asks for, as it is written.
fn inputs_of(looked: &RawResult) -> Option<String> {
    scan::member_at(looked.as_str(), &["inputRequests"]).map(str::to_owned)
}

fn is_late(error: &ServerError) -> bool {
    matches!(error.fault, ServerFault::Timeout { .. } | ServerFault::Starting { .. })
}

/// Says why a task has no good end.
fn failure(state: &TaskState, looked: Option<&RawResult>) -> String {
    let error = looked.and_then(|it| scan::member_at(it.as_str(), &["error", "message"]));
    let error = error.and_then(|it| serde_json::from_str::<Value>(it).ok());
    let error = error.as_ref().and_then(Value::as_str).unwrap_or_default();
    let said = if error.is_empty() { String::new() } else { format!(": {error}") };
    let text = format!("its task is {}{said}", state.summary());
    cut_text(&one_line(&text), 2 * LONGEST_MESSAGE).into_owned()
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
}
