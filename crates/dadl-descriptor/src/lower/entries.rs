//! `entries` of `_dadl_mcp`: results that are a log, and how its entries tell that something failed.

use super::{
    context::{LowerContext, MappingPlace, YamlSection},
    named::{KnownTools, tool_names},
    rules::{lower_conditions, one_or_more},
};
use crate::{
    code,
    model::{Tool, entries::EntryRules, json_path::JsonPath},
};

const KEYS: &[&str] = &["of", "failed", "id", "name", "error"];

/// Reads one mapping or a list of them; `known` are the tools of the file.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Vec<EntryRules> {
    let mut rules = Vec::new();
    for node in one_or_more(extension, "entries") {
        let place = MappingPlace::Key("entries");
        let Some(section) = context.section(node, &node.span, place, KEYS) else { continue };
        for key in ["of", "failed"] {
            if section.entry(key).is_none() {
                context.report_missing(&section, key);
            }
        }
        let of = tool_names(&section, "of", known, context).unwrap_or_default();
        let hides =
            |tool: &&Tool| of.contains(tool.name.as_str()) && !tool.response.redact.is_empty();
        if let (Some(tool), Some(entry)) = (known.tools.iter().find(hides), section.entry("of")) {
            let message = format!("`{}` hides values, which a reason could show", tool.name);
            context.error(code::ENTRIES, &entry.value.span, message).help("leave it out");
        }
        let mut paths = |key: &str| -> Vec<JsonPath> {
            match section.entry(key).map(|entry| &entry.value.value) {
                Some(crate::yaml::YamlValue::Sequence(_)) => context.json_paths(&section, key),
                _ => context.json_path(&section, key).into_iter().collect(),
            }
        };
        let (names, errors) = (paths("name"), paths("error"));
        rules.push(EntryRules {
            of: of.into_iter().map(str::to_owned).collect(),
            failed: lower_conditions(&section, "failed", context),
            id: context.json_path(&section, "id"),
            names,
            errors,
        });
    }
    rules
}
