//! Tasks as callers see them: the handle that names one, and what is known of it.

use std::{fmt, str::FromStr, time::Duration};

use dadl_descriptor::model::task::{
    TaskObservation, TaskPhase, TaskStep, carried::CarriedValues, is_id,
};
use dadl_text::text::one_line;
use serde_json::{Map, Value, json};

use super::CallProgress;

/// Names a task of a backend: `BACKEND:TOOL:ID`, or `BACKEND:TOOL,NAME=VALUE:ID` where requests about it
/// need something that the call had.
///
/// It holds all that is needed to go on with the task in another process: the backend as the
/// settings call it, the tool that began the task (as the descriptor calls it), whose rules apply
/// to the result, the id that the API gave, and values of the call that the descriptor names. It gives
/// no right: what is made of it passes the gate like a call with these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskHandle {
    /// The name of the backend.
    pub backend: String,
    /// The tool that began the task, by its name in the descriptor.
    pub tool: String,
    /// The id in the words of the API.
    pub id: String,
    /// What it carries of the call.
    pub carried: CarriedValues,
}

/// A text that is no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no handle of a task; a handle looks like `backend:tool:id`, as a result gave it")]
pub struct NoHandle;

impl FromStr for TaskHandle {
    type Err = NoHandle;

    fn from_str(text: &str) -> Result<Self, NoHandle> {
        // Names of backends and tools have no colon; an id may.
        let (backend, rest) = text.split_once(':').ok_or(NoHandle)?;
        let (tool, id) = rest.split_once(':').ok_or(NoHandle)?;
        let (tool, carried) = match tool.split_once(',') {
            Some((tool, carried)) => (tool, carried.parse().map_err(|_| NoHandle)?),
            None => (tool, CarriedValues::default()),
        };
        let is_name = |name: &str| {
            let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            (1..=200).contains(&name.len()) && name.chars().all(is_fine)
        };
        if !is_name(backend) || !is_name(tool) || !is_id(id) {
            return Err(NoHandle);
        }
        Ok(Self { backend: backend.to_owned(), tool: tool.to_owned(), id: id.to_owned(), carried })
    }
}

impl fmt::Display for TaskHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, tool, id, carried } = self;
        let comma = if carried.is_empty() { "" } else { "," };
        write!(formatter, "{backend}:{tool}{comma}{carried}:{id}")
    }
}

/// What is known of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReport {
    /// Names it.
    pub handle: TaskHandle,
    /// Whether it goes on; otherwise it succeeded and left no result, or nobody can tell.
    pub is_running: bool,
    /// Whether the API refuses to show it, so that nobody here can tell how it is.
    pub is_hidden: bool,
    /// Whether it stops when it is asked to, as far as the descriptor says.
    pub stops: bool,
    /// For how long it has been running.
    pub elapsed: Option<TaskAge>,
    /// What the last look at it showed; `None` when nobody has looked yet.
    pub glimpse: Option<TaskObservation>,
    /// Why the last looks showed nothing.
    pub trouble: Option<String>,
}

/// How long ago a task began, or else how long it has been watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskAge {
    /// Since a call of this process began it.
    Began(Duration),
    /// Since this process looks at it.
    Watched(Duration),
}

impl TaskAge {
    /// Returns it in whole seconds.
    fn seconds(self) -> u64 {
        match self {
            Self::Began(time) | Self::Watched(time) => time.as_secs(),
        }
    }
}

impl fmt::Display for TaskAge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let words = if matches!(self, Self::Began(_)) { "for" } else { "watched for" };
        match seconds {
            0..120 => write!(formatter, "{words} {seconds} s"),
            _ => write!(formatter, "{words} {} min", seconds / 60),
        }
    }
}

impl TaskReport {
    /// Returns the report about a task that nobody has looked at.
    pub fn unseen(handle: TaskHandle) -> Self {
        Self {
            handle,
            is_running: true,
            is_hidden: false,
            stops: true,
            elapsed: None,
            glimpse: None,
            trouble: None,
        }
    }

    /// Returns how long a task has been going on whose progress is not told.
    fn going_on(&self) -> Option<TaskAge> {
        let is_told = self.glimpse.as_ref().is_some_and(|glimpse| glimpse.percent.is_some());
        self.elapsed.filter(|elapsed| self.is_running && !is_told && elapsed.seconds() > 0)
    }

    /// Returns what programs get: `{"task": {"handle", "id", "running", "state", "progress",
    /// "elapsed", "message", "steps", "reason", "stop_requested", "stoppable", "trouble"}}`; what is not
    /// known or goes without saying is left out.
    pub fn to_value(&self) -> Value {
        let Self { handle, is_running, glimpse, trouble, .. } = self;
        let mut task = Map::new();
        task.insert("handle".to_owned(), handle.to_string().into());
        task.insert("id".to_owned(), handle.id.as_str().into());
        if !self.is_hidden {
            task.insert("running".to_owned(), (*is_running).into());
        }
        if let Some(elapsed @ TaskAge::Began(_)) = self.going_on() {
            task.insert("elapsed".to_owned(), elapsed.seconds().into());
        }
        if let Some(TaskObservation {
            state,
            percent,
            message,
            steps,
            stop_requested,
            reason,
            ..
        }) = glimpse
        {
            task.insert("state".to_owned(), state.as_str().into());
            task.extend(percent.map(|percent| ("progress".to_owned(), shown_percent(percent))));
            let message = message.as_deref();
            task.extend(message.map(|message| ("message".to_owned(), message.into())));
            if !steps.is_empty() {
                let steps = steps.iter().map(|TaskStep { name, percent, .. }| match percent {
                    Some(percent) => json!({ "name": name, "progress": shown_percent(*percent) }),
                    None => json!({ "name": name }),
                });
                task.insert("steps".to_owned(), steps.collect());
            }
            let reason = reason.as_deref();
            task.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
            if *stop_requested {
                task.insert("stop_requested".to_owned(), true.into());
            }
        }
        if *is_running && !self.stops {
            task.insert("stoppable".to_owned(), false.into());
        }
        task.extend(trouble.as_deref().map(|text| ("trouble".to_owned(), text.into())));
        json!({ "task": task })
    }

    /// Says how far the task is, in one line without its handle.
    pub fn summary(&self) -> String {
        let Some(glimpse) = &self.glimpse else {
            return one_line(self.trouble.as_deref().unwrap_or("running")).into_owned();
        };
        let TaskObservation { state, percent, message, steps, stop_requested, reason, phase } =
            glimpse;
        let mut text = message.as_ref().map(|text| format!("{text}: ")).unwrap_or_default();
        text.push_str(state);
        if let Some(percent) = percent {
            text.push_str(&format!(", {} %", percent.floor()));
        }
        if let Some(elapsed) = self.going_on() {
            text.push_str(&format!(" {elapsed}"));
        }
        let steps: Vec<String> = steps
            .iter()
            // Those that are done are of the past.
            .filter(|step| !step.is_done())
            .map(|TaskStep { name, percent, .. }| match percent {
                Some(percent) => format!("{name} {} %", percent.floor()),
                None => name.clone(),
            })
            .collect();
        if !steps.is_empty() {
            text.push_str(&format!(" ({})", steps.join(", ")));
        }
        if *phase == TaskPhase::Running && *stop_requested {
            text.push_str(match self.stops {
                true => ", asked to stop",
                false => ", asked to stop, which it does not heed",
            });
        }
        if let Some(reason) = reason {
            text.push_str(&format!("; {reason}"));
        }
        if let Some(trouble) = &self.trouble {
            text.push_str(&format!("; {trouble}"));
        }
        one_line(&text).into_owned()
    }

    /// Returns the progress in percent, whose sentence has the handle: whoever hears it can go on with
    /// the task though the call has no answer.
    pub fn progress(&self) -> CallProgress {
        let percent = self.glimpse.as_ref().and_then(|glimpse| glimpse.percent);
        // From 0 to 100, so that nothing is lost; where nothing tells, seconds.
        let elapsed = || self.going_on().map_or(0, TaskAge::seconds);
        let done = percent.map_or_else(elapsed, |percent| percent as u64);
        let message = format!("task {}: {}", self.handle, self.summary());
        CallProgress { done, total: percent.map(|_| 100), message }
    }
}

/// Returns a percentage, as an integer where it is one.
fn shown_percent(percent: f64) -> Value {
    if percent.fract() == 0.0 { json!(percent as u64) } else { json!(percent) }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::task::TaskPhase;

    use super::*;

    #[test]
    fn a_handle_is_read_as_it_was_written() {
        let handle: TaskHandle = "xo-lab:start_vm:0m8:x/1".parse().unwrap();
        assert_eq!((handle.backend.as_str(), handle.tool.as_str()), ("xo-lab", "start_vm"));
        assert_eq!(
            (handle.id.as_str(), handle.to_string()),
            ("0m8:x/1", "xo-lab:start_vm:0m8:x/1".into())
        );
        let handle: TaskHandle = "dc:backup,dc=lab%2F1,disk=2:0m8".parse().unwrap();
        assert_eq!((handle.tool.as_str(), handle.id.as_str()), ("backup", "0m8"));
        assert_eq!(
            (handle.carried.get("dc"), handle.carried.get("disk")),
            (Some("lab/1"), Some("2"))
        );
        assert_eq!(handle.to_string(), "dc:backup,dc=lab%2F1,disk=2:0m8");
        for wrong in [
            "",
            "xo",
            "xo:start",
            "xo:start:",
            ":start:1",
            "x o:start:1",
            "xo:s/t:1",
            "xo:start:a b",
            "xo:start:a\n",
            "xo:start,:a",
            "xo:start,dc:a",
            "xo:,dc=a:b",
        ] {
            assert_eq!(wrong.parse::<TaskHandle>(), Err(NoHandle), "{wrong:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever text a model sends, what is read from it is what it says.
        #[test]
        fn any_text_is_a_handle_or_refused(text in ".{0,60}|[a-z-]{1,5}:[a-z_.]{1,5}(,[a-z]{1,2}=[a-z%0-9A-F]{0,4}){0,3}:[^ ]{1,9}") {
            if let Ok(handle) = text.parse::<TaskHandle>() {
                assert_eq!(handle.to_string(), text);
            }
        }
    }

    #[test]
    fn a_report_says_what_is_known() {
        let handle: TaskHandle = "xo:move:7".parse().unwrap();
        let step = |name: &str, percent| TaskStep { name: name.to_owned(), percent, phase: None };
        let glimpse = TaskObservation {
            state: "pending".into(),
            phase: TaskPhase::Running,
            percent: Some(40.5),
            message: Some("Move a VM".into()),
            steps: vec![step("prepare", Some(100.0)), step("copy", Some(12.0)), step("boot", None)],
            stop_requested: false,
            reason: None,
        };
        let glimpse = Some(glimpse);
        let report = TaskReport { glimpse, ..TaskReport::unseen(handle) };
        assert_eq!(report.summary(), "Move a VM: pending, 40 % (copy 12 %, boot)");
        let progress = report.progress();
        assert_eq!((progress.done, progress.total), (40, Some(100)));
        let expected = "task xo:move:7: Move a VM: pending, 40 % (copy 12 %, boot)";
        assert_eq!(progress.message, expected);
        assert_eq!(
            report.to_value(),
            json!({ "task": {
                "handle": "xo:move:7", "id": "7", "running": true, "state": "pending",
                "progress": 40.5, "message": "Move a VM",
                "steps": [
                    { "name": "prepare", "progress": 100 }, { "name": "copy", "progress": 12 },
                    { "name": "boot" },
                ],
            } })
        );
        let unseen =
            TaskReport { glimpse: None, trouble: Some("no answer".into()), ..report.clone() };
        assert_eq!((unseen.progress().total, unseen.summary().as_str()), (None, "no answer"));
        // Where no progress is told, no number is made up: how long it has been, and what it is at.
        let running = |phase| TaskStep { phase: Some(phase), ..step("copy", None) };
        let glimpse = TaskObservation {
            percent: None,
            steps: vec![running(TaskPhase::Succeeded), running(TaskPhase::Running)],
            stop_requested: true,
            ..report.glimpse.clone().unwrap()
        };
        let elapsed = Some(TaskAge::Began(Duration::from_millis(12_900)));
        let slow = TaskReport { glimpse: Some(glimpse), elapsed, stops: false, ..report.clone() };
        assert_eq!(
            slow.summary(),
            "Move a VM: pending for 12 s (copy), asked to stop, which it does not heed"
        );
        assert_eq!((slow.progress().done, slow.progress().total), (12, None));
        let task = &slow.to_value()["task"];
        assert_eq!((&task["elapsed"], task.get("progress")), (&json!(12), None));
        assert_eq!((&task["stop_requested"], &task["stoppable"]), (&json!(true), &json!(false)));
        let watched = Some(TaskAge::Watched(Duration::from_secs(180)));
        let watched = TaskReport { elapsed: watched, ..slow };
        assert!(watched.summary().contains("pending watched for 3 min (copy)"));
        assert_eq!(watched.to_value()["task"].get("elapsed"), None, "when it began is not known");
        let hidden = TaskReport { is_running: false, is_hidden: true, ..unseen.clone() };
        assert_eq!(hidden.to_value()["task"].get("running"), None);
        let task = &unseen.to_value()["task"];
        assert_eq!((&task["trouble"], task.get("state")), (&json!("no answer"), None));
    }
}
