//! `_dadl_mcp.requests`: what there is to know about the requests of tools that `tools` cannot say.
//!
//! What is said of `"*"` counts for every tool that it fits; what is said of a tool by its name
//! counts before it, and must fit.

mod apply;
mod read;

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    code,
    model::{Composite, Descriptor},
    yaml::YamlEntry,
};

/// Stands for every tool.
const ALL: &str = "*";

/// Reads `requests` of the extension into the tools that it is about.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(entry) = extension.entry("requests") else { return };
    let place = MappingPlace::Key("requests");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else { return };
    let (shared, own): (Vec<_>, Vec<_>) =
        section.entries().iter().partition(|entry| entry.key == ALL);
    for entry in shared {
        of_all(entry, descriptor, context);
    }
    for entry in own {
        of_one(entry, descriptor, context);
    }
}

fn of_all<'tree>(
    entry: &'tree YamlEntry<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(rules) = read::read_rules(entry, context) else { return };
    let mut used = vec![false; rules.params.len()];
    let Descriptor { tools, health, auth, auth_rules, .. } = descriptor;
    let checks = health.iter_mut().map(|health| &mut health.tool);
    for tool in tools.iter_mut().chain(checks) {
        let mut target = apply::TargetTool { tool, auth, logins: &auth_rules.logins, name: None };
        target.apply_rules(&rules, &mut used, context);
    }
    for (param, _) in rules.params.iter().zip(used).filter(|(_, is_used)| !is_used) {
        let params = descriptor.tools.iter().flat_map(|tool| &tool.params);
        let params = params.map(|param| param.name.as_str()).filter(|name| *name != param.name);
        let meant = context.nearest(param.name, params);
        let message = format!("`{}` is no parameter that this could be said of", param.name);
        context.warning(code::REQUEST_NAME, &param.span, message).meant(meant);
    }
}

fn of_one<'tree>(
    entry: &'tree YamlEntry<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let name = entry.key.as_ref();
    if let Some(composite) = descriptor.composites.iter_mut().find(|it| it.name == name) {
        if let Some(rules) = read::read_rules(entry, context) {
            of_composite(composite, &rules, context);
        }
        return;
    }
    let Descriptor { tools, health, auth, auth_rules, .. } = descriptor;
    let Some(tool) = tools.iter_mut().find(|tool| tool.name == name) else {
        let names = tools.iter().map(|tool| tool.name.as_str());
        let meant = context.nearest_tool(name, names);
        let message = format!("the file has no tool `{name}`");
        context.warning(code::REQUEST_NAME, &entry.key_span, message).meant(meant);
        return;
    };
    let Some(rules) = read::read_rules(entry, context) else { return };
    let mut used = vec![false; rules.params.len()];
    let logins = &auth_rules.logins;
    apply::TargetTool { tool, auth, logins, name: Some(&entry.key_span) }
        .apply_rules(&rules, &mut used, context);
    // The health check sends what its tool sends.
    let checks = health.iter_mut().filter(|it| it.declared.as_deref() == Some(name));
    for health in checks {
        let mut target = apply::TargetTool { tool: &mut health.tool, auth, logins, name: None };
        target.apply_rules(&rules, &mut used, context);
    }
}

/// Says of the parameters of a composite what they may be: they have no place in a request.
fn of_composite(
    composite: &mut Composite,
    rules: &read::ToolRules<'_>,
    context: &mut LowerContext<'_>,
) {
    if let Some(span) = &rules.about_request {
        let message = format!("the composite `{}` sends no request of its own", composite.name);
        context
            .warning(code::REQUEST_NAME, span, message)
            .help("say it of the tools that it calls");
    }
    for wanted in &rules.params {
        let Some(param) = composite.params.iter_mut().find(|it| it.name == wanted.name) else {
            apply::unknown_param(wanted, &composite.name, &composite.params, context);
            continue;
        };
        if let Some(span) = &wanted.about_request {
            let message = format!("`{}` is in no request", wanted.name);
            context
                .warning(code::REQUEST_NAME, span, message)
                .help("`type`, `nullable` and what `values` knows can be said of it");
        }
        apply::apply_kind(param, wanted, apply::SaidScope::OneTool, context);
        apply::apply_hints(
            param,
            wanted,
            &mut composite.value_hints,
            apply::SaidScope::OneTool,
            context,
        );
    }
}

#[cfg(test)]
mod tests;
