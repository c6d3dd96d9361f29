//! Where the state of a task is, what it means, and its errors and steps: for a task and for its outcome.

use std::collections::BTreeMap;

use super::context::{Context, Section, Text};
use crate::{
    code,
    model::{
        json_path::JsonPath,
        task::{Phase, Steps},
    },
    yaml::Value,
};

/// The keys of `state` that list states.
const PHASES: [(&str, Phase); 4] = [
    ("running", Phase::Running),
    ("succeeded", Phase::Succeeded),
    ("failed", Phase::Failed),
    ("cancelled", Phase::Cancelled),
];

pub(super) fn required_path<'tree>(
    section: &Section<'tree>,
    key: &str,
    context: &mut Context<'tree>,
) -> Option<JsonPath> {
    if section.entry(key).is_none() {
        context.missing(section, key);
    }
    context.json_path(section, key)
}

/// Reads where the state is and what the states mean.
pub(super) fn state<'tree>(
    section: &Section<'tree>,
    context: &mut Context<'tree>,
) -> Option<(JsonPath, Vec<(String, Phase)>)> {
    if section.entry("state").is_none() {
        context.missing(section, "state");
    }
    let keys = &["path", "running", "succeeded", "failed", "cancelled"];
    let state = context.subsection(section, "state", keys)?;
    let path = required_path(&state, "path", context);
    let mut meaning: BTreeMap<&str, &str> = BTreeMap::new();
    let mut states = Vec::new();
    for (key, phase) in PHASES {
        let texts = context.texts(&state, key);
        if texts.is_empty() && phase != Phase::Cancelled {
            context
                .error(code::TASK_STATE, &state.span, format!("`state` names no `{key}` state"))
                .help(format!("list the states of a task that is {key}"));
        }
        for Text { value, span } in texts {
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

pub(super) fn errors<'tree>(
    section: &Section<'tree>,
    context: &mut Context<'tree>,
) -> Vec<JsonPath> {
    match section.entry("error").map(|entry| &entry.value.value) {
        Some(Value::Sequence(_)) => context.json_paths(section, "error"),
        _ => context.json_path(section, "error").into_iter().collect(),
    }
}

pub(super) fn steps<'tree>(
    section: &Section<'tree>,
    context: &mut Context<'tree>,
) -> Option<Steps> {
    let keys = &["path", "name", "progress", "state", "error"];
    let steps = context.subsection(section, "steps", keys)?;
    let path = required_path(&steps, "path", context);
    let name = required_path(&steps, "name", context);
    let progress = context.json_path(&steps, "progress");
    let state = context.json_path(&steps, "state");
    let errors = errors(&steps, context);
    Some(Steps { path: path?, name: name?, progress, state, errors })
}
