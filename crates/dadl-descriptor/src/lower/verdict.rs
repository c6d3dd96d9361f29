//! `tasks.outcome` of `_dadl_mcp`: where to find out what became of the work, when a task that says
//! that it succeeded does not mean that the work did.

use std::{collections::BTreeSet, time::Duration};

use super::{
    calls::ReadOnlyCall,
    context::{LowerContext, MappingPlace, YamlSection},
    named::{KnownTools, named_tool, tool_names},
    rules::one_or_more,
    task_state::{lower_errors, lower_state, lower_steps},
};
use crate::{
    code,
    model::{json_path::JsonPath, task::VerdictRule},
};

const KEYS: &[&str] = &[
    "only",
    "tool",
    "arguments",
    "values",
    "state",
    "result",
    "error",
    "details",
    "steps",
    "within",
];

/// How long to look when the file does not say.
const WITHIN: Duration = Duration::from_secs(3);

/// Nobody waits longer for what has been done already.
const LONGEST_WITHIN: Duration = Duration::from_secs(60);

/// Reads one mapping or a list of them.
pub(super) fn lower<'tree>(
    tasks: &YamlSection<'tree>,
    starters: &BTreeSet<String>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Vec<VerdictRule> {
    let mut verdicts: Vec<VerdictRule> = Vec::new();
    for node in one_or_more(tasks, "outcome") {
        let place = MappingPlace::Key("outcome");
        let Some(section) = context.section(node, &node.span, place, KEYS) else { continue };
        let of = lower_judged(&section, starters, known, context);
        for twice in verdicts.iter().flat_map(|other| other.of.intersection(&of)).take(1) {
            let message = format!("the tasks of `{twice}` are judged twice");
            context.error(code::TASK_OUTCOME, &node.span, message).help("name a tool once");
        }
        verdicts.extend(lower_verdict(&section, of, known, context));
    }
    verdicts
}

/// Reads which tools it is about.
fn lower_judged<'tree>(
    section: &YamlSection<'tree>,
    starters: &BTreeSet<String>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> BTreeSet<String> {
    let Some(named) = tool_names(section, "only", known, context) else { return starters.clone() };
    let stranger = named.iter().find(|name| !starters.contains(**name));
    if let (Some(name), Some(entry)) = (stranger, section.entry("only"))
        && !context.has_error
    {
        context
            .error(code::TASK_OUTCOME, &entry.value.span, format!("`{name}` begins no task"))
            .help("name tools that `tasks` is about");
    }
    named.into_iter().map(str::to_owned).collect()
}

fn lower_verdict<'tree>(
    section: &YamlSection<'tree>,
    of: BTreeSet<String>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Option<VerdictRule> {
    let values = lower_values(section, context);
    let mut names: BTreeSet<&str> = values.iter().map(|(name, _)| *name).collect();
    names.insert("task");
    let look = ReadOnlyCall { known: &names, code: code::TASK_OUTCOME, tool_key: "tool" };
    let tool = named_tool(section, known, context);
    let call = tool.and_then(|tool| look.lower(section, tool, context));
    let state = lower_state(section, context);
    let result = context.json_path(section, "result");
    let errors = lower_errors(section, context);
    let details = context.json_path(section, "details");
    let steps = lower_steps(section, context);
    let within = context.duration(section, "within").unwrap_or(WITHIN);
    if let (true, Some(entry)) = (within > LONGEST_WITHIN, section.entry("within")) {
        context
            .error(code::TASK_OUTCOME, &entry.value.span, "nobody waits so long for an outcome")
            .help("write 60s or less");
    }
    let (state, states) = state?;
    let values = values.into_iter().map(|(name, path)| (name.to_owned(), path)).collect();
    Some(VerdictRule {
        of,
        call: call?,
        values,
        state,
        states,
        result,
        errors,
        details,
        steps,
        within,
    })
}

/// Reads what the arguments need of what shows the task.
fn lower_values<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<(&'tree str, JsonPath)> {
    let Some(entry) = section.entry("values") else { return Vec::new() };
    let place = MappingPlace::Key("values");
    let Some(values) = context.open(&entry.value, &entry.key_span, place) else {
        return Vec::new();
    };
    let names = values.entries().iter().map(|entry| entry.key.as_ref());
    let path = |name: &'tree str| Some((name, context.json_path(&values, name)?));
    names.filter_map(path).collect()
}
