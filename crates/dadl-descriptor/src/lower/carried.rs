//! What requests about a task take of the call that began it: `{call.NAME}` in the arguments of `watch`
//! and `cancel` of `_dadl_mcp.tasks`.

use std::collections::BTreeSet;

use super::context::{LowerContext, YamlSection};
use crate::{
    code,
    lint::names_a_secret,
    model::{
        Param, ParamKind, Tool,
        task::{TaskCall, carried::MOST},
    },
};

/// Checks what `calls`, by the keys that they stand under, ask for of the tools that begin tasks;
/// returns the names.
pub(super) fn lower<'tree, 'call>(
    section: &YamlSection<'tree>,
    calls: impl Iterator<Item = (&'static str, &'call TaskCall)>,
    starters: &BTreeSet<String>,
    tools: &[Tool],
    context: &mut LowerContext<'tree>,
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (key, call) in calls {
        let names = call.carried();
        let place = section.entry(key).map_or(&section.span, |entry| &entry.value.span);
        let mut refuse = |message: String, help: &str| {
            context.error(code::TASK_CALL, place, message).help(help);
        };
        let target = tools.iter().find(|tool| tool.name == call.tool);
        // A handle is enough to call it: nobody is asked.
        if key == "watch" && !names.is_empty() && target.is_some_and(Tool::may_change) {
            let message =
                format!("`{}` takes values of handles and may change something", call.tool);
            refuse(message, "name a GET, or a tool with `access: read`");
        }
        for name in names {
            if let Some((message, help)) = find_fault(name, starters, tools) {
                refuse(message, help);
            }
            all.insert(name.to_owned());
        }
    }
    if all.len() > MOST {
        let message = format!("handles would carry {} values", all.len());
        context
            .error(code::TASK_CALL, &section.span, message)
            .help(format!("name {MOST} parameters at most by `{{call.NAME}}`"));
    }
    all
}

/// Returns why no handle carries the parameter `name`, and what to do.
fn find_fault(
    name: &str,
    starters: &BTreeSet<String>,
    tools: &[Tool],
) -> Option<(String, &'static str)> {
    let tools = tools.iter().filter(|tool| starters.contains(&tool.name));
    let having = |tool| -> Option<(&Tool, &Param)> {
        let tool: &Tool = tool;
        Some((tool, tool.params.iter().find(|param| param.name == name)?))
    };
    let found: Vec<(&Tool, &Param)> = tools.filter_map(having).collect();
    if found.is_empty() {
        let message = format!("no tool that begins a task has a parameter `{name}`");
        return Some((message, "write its name on the wire, such as `{call.region}`"));
    }
    if names_a_secret(name) {
        return Some((
            format!("`{name}` looks like a secret, and handles are none"),
            "leave it out",
        ));
    }
    let is_large = |kind| matches!(kind, ParamKind::Array | ParamKind::FileUrl | ParamKind::Object);
    let (tool, _) = found.into_iter().find(|(_, param)| is_large(param.kind))?;
    let message = format!("`{name}` of `{}` does not fit into a handle", tool.name);
    Some((message, "name a text, a number or a boolean"))
}
