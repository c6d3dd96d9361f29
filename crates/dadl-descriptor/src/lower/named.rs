//! Tools that a section names: all there are, those that are well formed, and what fits their parameters.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::context::{LowerContext, YamlSection, YamlText};
use crate::{
    code,
    model::{Param, ParamKind, Tool},
    yaml::YamlValue,
};

/// What a call needs to know of the file.
pub(super) struct KnownParts<'tree, 'tools> {
    pub(super) tools: &'tools [Tool],
    /// The names of all tools, those with errors included.
    pub(super) names: BTreeSet<&'tree str>,
}

/// Finds the tool that a call names; one with errors has its own findings.
pub(super) fn named_tool<'tree, 'tools>(
    section: &YamlSection<'tree>,
    known: &KnownParts<'tree, 'tools>,
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

/// Reads a list of tools; `None` when there is none.
pub(super) fn tool_names<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    known: &KnownParts<'tree, '_>,
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
pub(super) fn keyword_fits(param: &Param, value: &Json) -> bool {
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

/// Returns the names that are declared under `keys`.
pub(super) fn type_names<'tree>(
    backend: &YamlSection<'tree>,
    keys: &[&str],
) -> BTreeSet<&'tree str> {
    keys.iter()
        .filter_map(|key| match &backend.entry(key)?.value.value {
            YamlValue::Mapping(entries) => Some(entries),
            _ => None,
        })
        .flatten()
        .map(|entry| entry.key.as_ref())
        .collect()
}
