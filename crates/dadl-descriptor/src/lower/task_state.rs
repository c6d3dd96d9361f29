//! Where the state of a task is, what it means, and its errors and steps: for a task and for its outcome.

use std::collections::BTreeMap;

use super::context::{LowerContext, YamlSection, YamlText};
use crate::{
    code,
    model::{
        json_path::JsonPath,
        task::{TaskPhase, TaskSteps},
    },
    yaml::YamlValue,
};

/// The keys of `state` that list states.
const PHASES: [(&str, TaskPhase); 4] = [
    ("running", TaskPhase::Running),
    ("succeeded", TaskPhase::Succeeded),
    ("failed", TaskPhase::Failed),
    ("cancelled", TaskPhase::Cancelled),
];

pub(super) fn required_path<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Option<JsonPath> {
    if section.entry(key).is_none() {
        context.report_missing(section, key);
    }
    context.json_path(section, key)
}

/// Reads where the state is and what the states mean.
pub(super) fn lower_state<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<(JsonPath, Vec<(String, TaskPhase)>)> {
    if section.entry("state").is_none() {
        context.report_missing(section, "state");
    }
    let keys = &["path", "running", "succeeded", "failed", "cancelled"];
    let state = context.subsection(section, "state", keys)?;
    let path = required_path(&state, "path", context);
    let mut meaning: BTreeMap<&str, &str> = BTreeMap::new();
    let mut states = Vec::new();
    for (key, phase) in PHASES {
        let texts = context.texts(&state, key);
        if texts.is_empty() && phase != TaskPhase::Cancelled {
            context
                .error(code::TASK_STATE, &state.span, format!("`state` names no `{key}` state"))
                .help(format!("list the states of a task that is {key}"));
        }
        for YamlText { value, span } in texts {
            match meaning.insert(value, key) {
                None => states.push((value.to_owned(), phase)),
                Some(other) => {
                    let message = format!("the state `{value}` is {other} already");
                    context
                        .error(code::TASK_STATE, &span, message)
                        .help("each state means one thing");
                }
            }
        }
    }
    Some((path?, states))
}

pub(super) fn lower_errors<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<JsonPath> {
    match section.entry("error").map(|entry| &entry.value.value) {
        Some(YamlValue::Sequence(_)) => context.json_paths(section, "error"),
        _ => context.json_path(section, "error").into_iter().collect(),
    }
}

pub(super) fn lower_steps<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<TaskSteps> {
    let keys = &["path", "name", "progress", "state", "error"];
    let steps = context.subsection(section, "steps", keys)?;
    let path = required_path(&steps, "path", context);
    let name = required_path(&steps, "name", context);
    let progress = context.json_path(&steps, "progress");
    let state = context.json_path(&steps, "state");
    let errors = lower_errors(&steps, context);
    Some(TaskSteps { path: path?, name: name?, progress, state, errors })
}
