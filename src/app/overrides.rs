//! What the operator says of single tools gets into force: levels and fixed values in the tools themselves,
//! so that they count for whatever looks at these, the rest where entries of the catalog are made.
//!
//! A level is the operator's word and may be any. One that calls a tool a read whose author does not makes
//! it no safe request: it is not repeated and scripts that only read do not call it.

use std::{collections::BTreeSet, sync::Arc};

use dadl_descriptor::model::{
    AccessLevel, Descriptor, KindList, Param, ParamKind, ParamLocation, ParamRole, Shared, Tool,
};
use dadl_text::names::{OrMeant, nearest_name};
use dadl_text::text::{cut_text, one_line};
use serde_json::Value;

use super::operator::{DefaultError, set_default};
use crate::{
    catalog::{AppliedOverride, AppliedOverrides, OverruledLevel, ServerTools},
    config::{ToolOverride, ToolOverrides},
};

/// So much of a name of a server is repeated.
const LONGEST_NAME: usize = 100;

/// An override that does not fit the descriptor. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverrideError {
    /// Another tool has the name already.
    #[error(
        "`overrides`: `{tool}` cannot be called `{name}`: another tool of the backend has that name"
    )]
    Name {
        /// The tool.
        tool: String,
        /// What it was to be called.
        name: String,
    },
    /// A fixed value for a parameter that no such tool has.
    #[error(
        "`overrides`: `{name}` in `hidden` of `{pattern}` is no parameter of {}{}",
        cut_text(tool, LONGEST_NAME),
        OrMeant(.meant.as_deref())
    )]
    Parameter {
        /// The parameter.
        name: String,
        /// The key of the override.
        pattern: String,
        /// A tool that it is about.
        tool: String,
        /// A parameter with a similar name.
        meant: Option<String>,
    },
    /// A fixed value that is none for its parameter.
    #[error("`overrides`: `{name}` in `hidden` of the tool `{tool}` {problem}")]
    Value {
        /// The parameter.
        name: String,
        /// The tool.
        tool: String,
        /// Why it is none.
        problem: DefaultError,
    },
}

/// Changes the tools of `descriptor` as `said`; returns what hosts see of it.
///
/// # Errors
///
/// All overrides that do not fit.
pub(super) fn apply_to_descriptor(
    said: &ToolOverrides,
    descriptor: &mut Descriptor,
) -> Result<AppliedOverrides, Vec<OverrideError>> {
    let mut applied = AppliedOverrides::default();
    if said.is_empty() {
        return Ok(applied);
    }
    let mut errors = missing_params(said, descriptor);
    for tool in &mut descriptor.tools {
        let Some(said) = said.of(&tool.name) else { continue };
        note(&mut applied, &tool.name.clone(), apply_to_tool(&said, tool, &mut errors));
    }
    for composite in &mut descriptor.composites {
        let Some(said) = said.of(&composite.name) else { continue };
        let hidden = fix_params(&said, &composite.name, &mut composite.params, &mut errors);
        let level = overrule(said.level.clone(), &mut composite.access);
        note(&mut applied, &composite.name, shown(said, level, hidden));
    }
    if let Some(health) = &mut descriptor.health {
        // The check is another way to call a tool: what is said of that one counts here too.
        let declared = health.declared.as_deref().and_then(|name| said.of(name));
        if let Some(ToolOverride { level, hidden, .. }) = declared {
            let mut said = ToolOverride::default();
            (said.level, said.hidden) = (level, hidden);
            apply_to_tool(&said, &mut health.tool, &mut Vec::new());
        }
        if let Some(said) = said.of(&health.tool.name) {
            let name = health.tool.name.clone();
            note(&mut applied, &name, apply_to_tool(&said, &mut health.tool, &mut errors));
        }
    }
    let taken = applied.drop_taken_names(descriptor.names());
    errors.extend(taken.into_iter().map(|(tool, name)| OverrideError::Name { tool, name }));
    if errors.is_empty() { Ok(applied) } else { Err(errors) }
}

/// Changes the tools of a server, which nobody else has yet; returns what hosts see of it, and what an
/// operator should know. A server may change what it lists, so that nothing here keeps its tools away: a
/// value that does not fit is sent all the same, and then the server's own schema refuses the call.
pub(super) fn apply_to_server(
    said: &ToolOverrides,
    tools: &mut ServerTools,
) -> (AppliedOverrides, Vec<String>) {
    let (mut applied, mut errors) = (AppliedOverrides::default(), Vec::new());
    if said.is_empty() {
        return (applied, Vec::new());
    }
    let mut remarks = Vec::new();
    for tool in tools.each_mut() {
        let Some(of_tool) = said.of(&tool.name) else { continue };
        let name = tool.name.clone();
        let hidden = fix_server_params(&of_tool, &name, tool.params_mut(), &mut errors);
        let level = overrule(of_tool.level.clone(), &mut tool.access);
        if let Some(named) = said.named(&name) {
            for param in named.hidden.keys().filter(|param| !hidden.contains(param)) {
                // Whoever hides it does not want callers to give it, named or not.
                tool.params_mut().push(unlisted_param(param, named.hidden.get(param)));
                remarks.push(format!(
                    "`{param}` in `hidden` of `{}` is in no list of the server; it is sent all the same",
                    shown_name(&name)
                ));
            }
        }
        let hidden = tool.params().iter().filter(|it| it.fixed).map(|it| it.name.clone()).collect();
        note(&mut applied, &name, shown(of_tool, level, hidden));
    }
    let names: Vec<String> = tools.iter().map(|tool| tool.name.clone()).collect();
    for (tool, name) in applied.drop_taken_names(names.iter().map(String::as_str)) {
        let tool = shown_name(&tool);
        remarks.push(format!(
            "`{tool}` keeps its name: `overrides` calls it `{name}`, and so is another tool of the server"
        ));
    }
    remarks.extend(errors.iter().map(ToString::to_string));
    (applied, remarks)
}

fn shown_name(name: &str) -> String {
    cut_text(&one_line(name), LONGEST_NAME).into_owned()
}

/// Keeps what is said of a tool, if anything is in force.
fn note(applied: &mut AppliedOverrides, tool: &str, said: AppliedOverride) {
    if !said.keys().is_empty() {
        applied.0.insert(tool.to_owned(), Arc::new(said));
    }
}

fn shown(
    said: ToolOverride,
    level: Option<OverruledLevel>,
    hidden: Vec<String>,
) -> AppliedOverride {
    let ToolOverride { name, title, description, annotations: hints, keywords, .. } = said;
    AppliedOverride { name, title, description, level, hints, hidden, keywords }
}

fn apply_to_tool(
    said: &ToolOverride,
    tool: &mut Tool,
    errors: &mut Vec<OverrideError>,
) -> AppliedOverride {
    let hidden = fix_params(said, &tool.name, &mut tool.params, errors);
    let level = overrule(said.level.clone(), &mut tool.access);
    if let Some(OverruledLevel { level: Some(AccessLevel::Read), original: Some(original) }) =
        &level
    {
        tool.lowered |= *original != AccessLevel::Read;
    }
    shown(said.clone(), level, hidden)
}

/// Puts a level in the place of another one.
fn overrule(
    level: Option<Option<AccessLevel>>,
    place: &mut Option<AccessLevel>,
) -> Option<OverruledLevel> {
    let level = level?;
    let original = std::mem::replace(place, level.clone());
    Some(OverruledLevel { level, original })
}

/// Fixes the values of parameters; returns their names.
fn fix_params(
    said: &ToolOverride,
    tool: &str,
    params: &mut [Shared<Param>],
    errors: &mut Vec<OverrideError>,
) -> Vec<String> {
    let mut fixed = Vec::new();
    for param in params {
        let Some(value) = said.hidden.get(&param.name) else { continue };
        let set = set_default(param, value);
        errors.extend(set.err().map(|problem| OverrideError::Value {
            name: param.name.clone(),
            tool: tool.to_owned(),
            problem,
        }));
        param.fixed = true;
        fixed.push(param.name.clone());
    }
    fixed
}

/// Does the same for a tool of a server: a value that does not fit is kept as it is.
fn fix_server_params(
    said: &ToolOverride,
    tool: &str,
    params: &mut [Shared<Param>],
    errors: &mut Vec<OverrideError>,
) -> Vec<String> {
    for param in params.iter_mut() {
        if let Some(value) = said.hidden.get(&param.name) {
            param.default = Some(Box::new(value.clone()));
            param.required = false;
        }
    }
    fix_params(said, tool, params, errors)
}

/// Makes a parameter that a server does not name.
fn unlisted_param(name: &str, value: Option<&Value>) -> Shared<Param> {
    let role = ParamRole::Sent(ParamLocation::Body);
    let default = value.cloned().map(Box::new);
    let kind = ParamKind::Union(KindList::any());
    Param { default, fixed: true, ..Param::new(name, role, kind) }.into()
}

/// Finds fixed values for parameters that none of the tools has which they are for. An override that is
/// for no tool at all is told as a pattern that matches none.
fn missing_params(said: &ToolOverrides, descriptor: &Descriptor) -> Vec<OverrideError> {
    let tools = descriptor.tools.iter().map(|tool| (&tool.name, &tool.params));
    let composites = descriptor.composites.iter().map(|it| (&it.name, &it.params));
    let health = descriptor.health.iter().map(|it| (&it.tool.name, &it.tool.params));
    let all: Vec<_> = tools.chain(composites).chain(health).collect();
    let mut errors = Vec::new();
    for (one, name) in said.hidden() {
        let about = || all.iter().filter(|(tool, _)| one.fits(tool));
        let names = about().flat_map(|(_, params)| params.iter().map(|it| it.name.as_str()));
        let names: BTreeSet<&str> = names.collect();
        let Some((first, _)) = about().next() else { continue };
        if names.contains(name) {
            continue;
        }
        let more = about().count() - 1;
        errors.push(OverrideError::Parameter {
            name: name.to_owned(),
            pattern: one.pattern.clone(),
            tool: match more {
                0 => format!("`{first}`"),
                more => format!("`{first}` and of none of {more} more tools"),
            },
            meant: nearest_name(name, names.iter().copied()).map(str::to_owned),
        });
    }
    errors
}
