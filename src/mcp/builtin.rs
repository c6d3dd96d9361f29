//! Tools that belong to no descriptor: going on with a task, and cancelling it.
//!
//! They are listed after those of the catalog, and only where an allowed tool needs them. Their
//! names are reserved (see [`RESERVED`](crate::catalog::RESERVED)). What they do passes the gate
//! like any call.

use std::{sync::Arc, time::Duration};

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::{
    access::Decision,
    catalog::TaskTools,
    descriptor::model::ParamKind,
    executor::Budget,
    gate::Gate,
    outcome::{Outcome, Payload, task::TaskHandle},
    text,
};

/// A tool that belongs to no descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    /// Asks a task to stop.
    TaskCancel,
    /// Waits for a task that a call began.
    TaskWait,
}

impl Builtin {
    const ALL: [Self; 2] = [Self::TaskWait, Self::TaskCancel];

    /// Returns those that the allowed tools of `gate` need.
    pub(super) fn needed(gate: &Gate) -> Vec<Self> {
        let tools: Vec<&TaskTools> = gate.catalog().task_starters().collect();
        let is_needed = |builtin: &Self| match builtin {
            Self::TaskCancel => {
                tools.iter().filter_map(|tools| tools.cancel.as_ref()).any(is_allowed)
            }
            Self::TaskWait => tools.iter().any(|tools| is_allowed(&tools.watch)),
        };
        Self::ALL.into_iter().filter(is_needed).collect()
    }

    /// Returns the name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TaskCancel => "task_cancel",
            Self::TaskWait => "task_wait",
        }
    }

    /// Makes the tool that hosts see.
    pub(super) fn tool(self) -> Tool {
        let task = json!({ "type": "string", "description": "Its handle" });
        let wait = json!({ "type": "integer", "description": "Seconds to wait; 0 looks once" });
        let (title, description, properties) = match self {
            Self::TaskCancel => ("Task cancel", "Ask a task to stop.", json!({ "task": task })),
            Self::TaskWait => (
                "Task wait",
                "Wait for a task that a call began, and get its outcome; or its progress, while it \
                 goes on.",
                json!({ "task": task, "wait": wait }),
            ),
        };
        let schema = json!({ "type": "object", "properties": properties, "required": ["task"] });
        let schema = schema.as_object().cloned().unwrap_or_default();
        let annotations = ToolAnnotations::new()
            .read_only(self == Self::TaskWait)
            .destructive(self == Self::TaskCancel)
            .idempotent(true)
            .open_world(true);
        Tool::new(self.name(), description, Arc::new(schema))
            .with_title(title)
            .with_annotations(annotations)
    }
}

fn is_allowed(entry: &crate::catalog::Entry) -> bool {
    entry.decision == Decision::Allow
}

/// The arguments of both tools.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskArguments {
    pub(super) handle: TaskHandle,
    /// How long to wait, when the caller says.
    pub(super) wait: Option<Budget>,
}

impl TaskArguments {
    /// Reads the arguments of `builtin`; the error says what is wrong with them.
    pub(super) fn read(builtin: Builtin, mut given: Map<String, Value>) -> Result<Self, String> {
        let tool = builtin.name();
        let wrong = |reason: String| format!("the arguments of `{tool}` cannot be used: {reason}");
        let handle = match given.shift_remove("task") {
            Some(Value::String(text)) => text
                .trim()
                .parse()
                .map_err(|error| wrong(format!("`task` is \"{}\": {error}", start_of(&text))))?,
            Some(_) => return Err(wrong("`task` must be text".to_owned())),
            None => return Err(wrong("`task` (the handle of a task) is required".to_owned())),
        };
        let wait = match given.shift_remove("wait").filter(|wait| !wait.is_null()) {
            Some(wait) if builtin == Builtin::TaskWait => {
                let seconds = ParamKind::Integer.coerce(wait).ok().and_then(|wait| wait.as_u64());
                let Some(seconds) = seconds else {
                    return Err(wrong("`wait` must be a number of seconds".to_owned()));
                };
                let time = Duration::from_secs(seconds);
                Some(if seconds == 0 { Budget::AtOnce } else { Budget::For(time) })
            }
            Some(_) => return Err(wrong("there is no parameter `wait`".to_owned())),
            None => None,
        };
        match given.keys().next() {
            Some(other) => Err(wrong(format!("there is no parameter `{}`", start_of(other)))),
            None => Ok(Self { handle, wait }),
        }
    }
}

/// Says in a result how to go on with a task that does.
pub(super) fn advise(outcome: &mut Outcome, builtins: &[Builtin]) {
    if let Payload::Task(report) = &outcome.payload
        && report.is_running
        && builtins.contains(&Builtin::TaskWait)
    {
        let arguments = json!({ "task": report.handle.to_string() });
        outcome.notes.push(format!(
            "the task goes on: call {} with {arguments} to wait for its outcome",
            Builtin::TaskWait.name()
        ));
    }
}

/// Returns the start of what a caller sent, fit for a message.
fn start_of(text: &str) -> String {
    text::start_of(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_reserved() {
        for builtin in Builtin::ALL {
            assert!(crate::catalog::RESERVED.contains(&builtin.name()));
        }
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let read = |builtin, given: Value| {
            let Value::Object(given) = given else { panic!("not an object") };
            TaskArguments::read(builtin, given)
        };
        let wait = Builtin::TaskWait;
        let read_wait = |wait: Value| {
            read(Builtin::TaskWait, json!({ "task": " a:b:c ", "wait": wait })).map(|it| it.wait)
        };
        let seconds = |seconds| Ok(Some(Budget::For(Duration::from_secs(seconds))));
        assert_eq!(read_wait(json!(null)), Ok(None));
        assert_eq!(read_wait(json!(0)), Ok(Some(Budget::AtOnce)));
        assert_eq!(read_wait(json!("7")), seconds(7));
        for wrong in [json!(-1), json!(1.5), json!("soon"), json!([])] {
            assert!(read_wait(wrong).unwrap_err().contains("`wait` must be a number of seconds"));
        }
        let error = |builtin, given| read(builtin, given).unwrap_err();
        assert!(error(wait, json!({})).contains("`task` (the handle of a task) is required"));
        assert!(error(wait, json!({ "task": 1 })).contains("`task` must be text"));
        assert!(error(wait, json!({ "task": "0m8" })).contains("this is no handle"));
        assert!(error(wait, json!({ "task": "a:b:c", "x": 1 })).contains("no parameter `x`"));
        let cancel = error(Builtin::TaskCancel, json!({ "task": "a:b:c", "wait": 1 }));
        assert!(cancel.contains("there is no parameter `wait`"), "{cancel}");
    }
}
