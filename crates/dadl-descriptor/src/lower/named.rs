//! Looks up the tools that sections of `_dadl_mcp` name (tasks, settles, uploads, ..), and checks the values
//! that they give to parameters of these tools.
//!
//! A tool with errors is known by its name only, so that its errors are not told twice.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::context::{LowerContext, YamlSection, YamlText};
use crate::{
    code,
    model::{Param, ParamKind, Tool},
    yaml::YamlValue,
};

/// The tools of the file that a section may name.
pub(super) struct KnownTools<'tree, 'tools> {
    /// The tools without errors.
    pub(super) tools: &'tools [Tool],
    /// The names of all tools, those with errors included.
    pub(super) names: BTreeSet<&'tree str>,
}

/// Returns the tool that a section names under `tool`; a name that no tool has is reported. `None` without
/// a finding is a tool with errors, which are told elsewhere.
pub(super) fn named_tool<'tree, 'tools>(
    section: &YamlSection<'tree>,
    known: &KnownTools<'tree, 'tools>,
    context: &mut LowerContext<'tree>,
) -> Option<&'tools Tool> {
    let text = context.required_text(section, "tool")?;
    let found = known.tools.iter().find(|tool| tool.name == text.value);
    if found.is_none() && !known.names.contains(text.value) {
        let meant = context.nearest_tool(text.value, known.names.iter().copied());
        let message = format!("there is no tool `{}`", text.value);
        context.error(code::TASK_CALL, &text.span, message).meant_or(meant, || {
            "name a tool of this file; a composite cannot be used here".to_owned()
        });
    }
    found
}

/// Returns the names in a list of tools, unknown ones reported; `None` when the key is absent.
pub(super) fn tool_names<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Option<BTreeSet<&'tree str>> {
    section.entry(key)?;
    let mut named = BTreeSet::new();
    for YamlText { value, span } in context.texts(section, key) {
        if known.names.contains(value) {
            named.insert(value);
            continue;
        }
        let meant = context.nearest_tool(value, known.names.iter().copied());
        let message = format!("there is no tool `{value}`");
        context.error(code::TASK_TOOL, &span, message).meant(meant);
    }
    Some(named)
}

/// Returns whether a value is of the type of a parameter.
pub(super) fn value_fits(param: &Param, value: &Json) -> bool {
    let is = |kind: ParamKind| match kind {
        ParamKind::Array => value.is_array(),
        ParamKind::Boolean => value.is_boolean(),
        ParamKind::Integer => value.is_i64() || value.is_u64(),
        ParamKind::Number => value.is_number(),
        ParamKind::Object => value.is_object(),
        ParamKind::FileUrl | ParamKind::String => value.is_string(),
        ParamKind::Union(kinds) => kinds.is_any(),
    };
    match param.kind {
        ParamKind::Union(kinds) if !kinds.is_any() => kinds.iter().any(is),
        kind => is(kind),
    }
}

/// Returns the keys of the mappings below `keys`: what a file declares there, whatever it is.
pub(super) fn declared_names<'tree>(
    backend: &YamlSection<'tree>,
    keys: &[&str],
) -> BTreeSet<&'tree str> {
    keys.iter()
        .filter_map(|key| match &backend.entry(key)?.value.value {
            YamlValue::Mapping(entries) => Some(*entries),
            _ => None,
        })
        .flatten()
        .map(|entry| entry.key.as_ref())
        .collect()
}
