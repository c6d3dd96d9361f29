//! The tasks that calls of this process began, and how they were last seen.
//!
//! A call that was cancelled leaves its task behind and has no answer: here its client finds the
//! handle. Nothing else needs it: a handle is all that is needed to go on with a task.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use dadl_text::text::start_of;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    outcome::{
        task_report::{TaskHandle, TaskReport},
        timestamp,
    },
    shares::ClientKey,
};

/// So many tasks are known; ended ones make room first, then the oldest.
const MOST: usize = 256;
/// So many of one client.
const MOST_OF_CLIENT: usize = 64;
/// So much is kept of what an API says about a task.
const LONGEST_WORDS: usize = 300;

/// The tasks that calls began; a clone holds the same.
#[derive(Debug, Clone, Default)]
pub(super) struct BegunTasks(Arc<Mutex<VecDeque<KnownTask>>>);

/// A task.
#[derive(Debug)]
struct KnownTask {
    /// Whose call began it.
    client: ClientKey,
    handle: String,
    /// The tool that began it.
    tool: String,
    began: SystemTime,
    /// The same, on a clock that nobody sets.
    since: Instant,
    /// `None` when nobody here can tell any more.
    is_running: Option<bool>,
    /// What the last look showed.
    shown: Map<String, Value>,
    /// When that was; `None` when nobody has looked.
    seen: Option<SystemTime>,
}

impl BegunTasks {
    /// Notes a task that a call of `client` began.
    pub(super) fn note(&self, report: &TaskReport, client: &ClientKey) {
        let known = KnownTask {
            client: client.clone(),
            handle: report.handle.to_string(),
            tool: report.handle.tool.clone(),
            began: SystemTime::now(),
            since: Instant::now(),
            is_running: Some(report.is_running),
            shown: Map::new(),
            seen: None,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An API may answer twice with the same task.
        all.retain(|it| it.handle != known.handle || it.client != *client);
        if all.iter().filter(|it| it.client == *client).count() >= MOST_OF_CLIENT {
            make_room(&mut all, |it| it.client == *client);
        }
        if all.len() >= MOST {
            make_room(&mut all, |_| true);
        }
        all.push_back(known);
    }

    /// Notes what a look showed, if a call of this process began the task.
    pub(super) fn saw(&self, report: &TaskReport) {
        let is_running = Some(report.is_running);
        self.look(report, is_running);
    }

    /// Notes that a look failed for good.
    pub(super) fn lost(&self, report: &TaskReport) {
        // Nobody knows whether it goes on.
        let is_running = None;
        self.look(report, is_running);
    }

    /// Returns when a call of this process began a task.
    pub(super) fn when(&self, handle: &TaskHandle) -> Option<SystemTime> {
        let handle = handle.to_string();
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().find(|it| it.handle == handle).map(|it| it.began)
    }

    fn look(&self, report: &TaskReport, is_running: Option<bool>) {
        let handle = report.handle.to_string();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for known in all.iter_mut().filter(|it| it.handle == handle) {
            known.is_running = is_running;
            known.seen = Some(SystemTime::now());
            known.shown = report_members(report);
        }
    }

    /// Returns when a call of this process began the task.
    pub(super) fn began(&self, handle: &TaskHandle) -> Option<Instant> {
        let handle = handle.to_string();
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|known| known.handle == handle).map(|known| known.since)
    }

    /// Returns the tasks that calls of `client` began, the newest first.
    pub(super) fn tasks_of(&self, client: &ClientKey) -> Vec<Value> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().filter(|it| it.client == *client).map(KnownTask::value).collect()
    }
}

/// Forgets a task of those that `may_go`: the oldest that has ended, or else the oldest.
fn make_room(all: &mut VecDeque<KnownTask>, may_go: impl Fn(&KnownTask) -> bool) {
    let ended = all.iter().position(|it| may_go(it) && it.is_running != Some(true));
    let at = ended.or_else(|| all.iter().position(may_go));
    at.and_then(|at| all.remove(at));
}

/// Returns what is kept of a report, within a bound.
fn report_members(report: &TaskReport) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut insert = |name: &str, text: Option<&str>| {
        let text = text.map(|text| start_of(text, LONGEST_WORDS));
        shown.extend(text.map(|text| (name.to_owned(), text.into())));
    };
    let glimpse = report.glimpse.as_ref();
    insert("state", glimpse.map(|it| it.state.as_str()));
    insert("message", glimpse.and_then(|it| it.message.as_deref()));
    insert("reason", glimpse.and_then(|it| it.reason.as_deref()));
    insert("trouble", report.trouble.as_deref());
    let percent = glimpse.and_then(|it| it.percent);
    shown.extend(percent.map(|percent| ("progress".to_owned(), json!(percent))));
    if report.is_running && glimpse.is_some_and(|it| it.stop_requested) {
        shown.insert("stop_requested".to_owned(), true.into());
    }
    shown
}

impl KnownTask {
    /// Returns `{"task", "tool", "began", "running", "seen"}` with what the last look showed.
    fn value(&self) -> Value {
        let mut value = Map::new();
        value.insert("task".to_owned(), self.handle.as_str().into());
        value.insert("tool".to_owned(), self.tool.as_str().into());
        value.insert("began".to_owned(), timestamp::rfc3339(self.began).into());
        value.extend(self.is_running.map(|is_running| ("running".to_owned(), is_running.into())));
        value.extend(self.shown.clone());
        let seen = self.seen.map(|seen| ("seen".to_owned(), timestamp::rfc3339(seen).into()));
        value.extend(seen);
        Value::Object(value)
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::task::{TaskObservation, TaskPhase};

    use super::*;

    fn report(id: usize, is_running: bool) -> TaskReport {
        let handle = format!("fake:backup:{id}").parse().unwrap();
        TaskReport { is_running, ..TaskReport::unseen(handle) }
    }

    fn client(host: &str, session: &str) -> ClientKey {
        ClientKey { host: host.to_owned(), session: session.to_owned() }
    }

    fn handles(begun: &BegunTasks, client: &ClientKey) -> Vec<String> {
        let handle = |value: Value| value["task"].as_str().unwrap().to_owned();
        begun.tasks_of(client).into_iter().map(handle).collect()
    }

    #[test]
    fn each_client_has_its_own_the_newest_first() {
        let begun = BegunTasks::default();
        let (one, other) = (client("h", "1"), client("h", "2"));
        begun.note(&report(1, true), &one);
        begun.note(&report(2, true), &other);
        begun.note(&report(3, true), &one);
        begun.note(&report(1, true), &one);
        assert_eq!(handles(&begun, &one), ["fake:backup:1", "fake:backup:3"]);
        assert_eq!(handles(&begun, &other), ["fake:backup:2"]);
        assert!(
            begun.tasks_of(&client("h", "")).is_empty()
                && begun.tasks_of(&ClientKey::only()).is_empty()
        );
    }

    #[test]
    fn a_task_is_shown_as_it_was_last_seen() {
        let begun = BegunTasks::default();
        let client = ClientKey::only();
        begun.note(&report(1, true), &client);
        let unseen = begun.tasks_of(&client).remove(0);
        assert_eq!((&unseen["running"], unseen.get("seen")), (&json!(true), None));
        let glimpse = TaskObservation {
            state: "done".into(),
            phase: TaskPhase::Succeeded,
            percent: Some(100.0),
            message: Some("x".repeat(10_000)),
            steps: Vec::new(),
            stop_requested: false,
            reason: None,
        };
        begun.saw(&TaskReport { glimpse: Some(glimpse), ..report(1, false) });
        // Nobody's.
        begun.saw(&report(7, true));
        let seen = begun.tasks_of(&client).remove(0);
        assert_eq!((&seen["running"], &seen["state"]), (&json!(false), &json!("done")));
        assert_eq!((&seen["progress"], &seen["tool"]), (&json!(100.0), &json!("backup")));
        assert!(seen["message"].as_str().unwrap().len() < 310 && seen["seen"].is_string());
    }

    #[test]
    fn what_has_ended_makes_room_first() {
        let begun = BegunTasks::default();
        let (one, other) = (client("a", ""), client("b", ""));
        for id in 0..MOST_OF_CLIENT {
            begun.note(&report(id, true), &one);
        }
        begun.saw(&report(5, false));
        begun.note(&report(100, true), &one);
        assert!(!handles(&begun, &one).contains(&"fake:backup:5".to_owned()));
        begun.note(&report(101, true), &one);
        let left = handles(&begun, &one);
        assert_eq!(left.len(), MOST_OF_CLIENT);
        assert!(!left.contains(&"fake:backup:0".to_owned()), "{left:?}");
        for id in 0..2 * MOST {
            begun.note(&report(id, true), &client(&format!("h{id}"), ""));
        }
        begun.note(&report(1, true), &other);
        assert_eq!(begun.0.lock().unwrap().len(), MOST);
        assert_eq!(handles(&begun, &other), ["fake:backup:1"]);
    }
}
