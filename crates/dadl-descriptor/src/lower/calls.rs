//! Calls that the file names for later: their arguments have names in braces, which stand for what is
//! known only then.

use std::collections::BTreeSet;

use dadl_text::names::nearest_name;
use serde_json::{Map, Value as Json};

use super::{
    context::{LowerContext, MappingPlace, YamlSection, join_names},
    named::value_fits,
};
use crate::{
    diagnostic::RuleCode,
    model::{BodyKind, Param, ParamKind, Shared, Tool, task::TaskCall},
};

/// What a call that only looks may use.
pub(super) struct ReadOnlyCall<'names> {
    /// What names in braces may stand for.
    pub(super) known: &'names BTreeSet<&'names str>,
    /// The code of its findings.
    pub(super) code: RuleCode,
    /// The key that names the tool.
    pub(super) tool_key: &'static str,
}

impl ReadOnlyCall<'_> {
    /// Reads `arguments` and holds them against the parameters of `tool`, which has to read only.
    pub(super) fn lower<'tree>(
        &self,
        section: &YamlSection<'tree>,
        tool: &Tool,
        context: &mut LowerContext<'tree>,
    ) -> Option<TaskCall> {
        let Self { code, tool_key, .. } = *self;
        let sends_file = |param: &Shared<Param>| param.kind == ParamKind::FileUrl;
        if let Some(entry) = section.entry(tool_key)
            && (!tool.only_reads()
                || tool.response.binary
                || tool.response.is_stream()
                || matches!(tool.body(), Some(BodyKind::Raw(_) | BodyKind::Multipart))
                || tool.params.iter().any(sends_file))
        {
            let message = format!("`{}` cannot be called to look", tool.name);
            context
                .error(code, &entry.value.span, message)
                .help("name a tool that only reads, and answers JSON");
            return None;
        }
        self.lower_arguments(section, ("tool", &tool.name), &tool.params, context)
            .map(|arguments| TaskCall { tool: tool.name.clone(), arguments })
    }

    /// Reads `arguments` and holds them against the parameters of what is called, of which its kind and its
    /// name are given.
    pub(super) fn lower_arguments<'tree>(
        &self,
        section: &YamlSection<'tree>,
        (kind, callee): (&str, &str),
        params: &[Shared<Param>],
        context: &mut LowerContext<'tree>,
    ) -> Option<Map<String, Json>> {
        let code = self.code;
        let mut arguments = Map::new();
        if let Some(entry) = section.entry("arguments") {
            let given =
                context.open(&entry.value, &entry.key_span, MappingPlace::Key("arguments"))?;
            for argument in given.entries() {
                let name = argument.key.as_ref();
                let value = argument.value.to_json();
                let Some(param) = params.iter().find(|param| param.name == name) else {
                    let message = format!("the {kind} `{callee}` has no parameter `{name}`");
                    let params = params.iter().map(|param| param.name.as_str());
                    let meant = nearest_name(name, params.clone());
                    context.error(code, &argument.key_span, message).meant_or(meant, || {
                        format!("it takes {}", join_names(&params.collect::<Vec<_>>()))
                    });
                    continue;
                };
                let mut names = Vec::new();
                placeholders(&value, &mut names);
                if let Some(unknown) = names.iter().find(|name| !self.known.contains(name.as_str()))
                {
                    let known: Vec<String> =
                        self.known.iter().map(|name| format!("{{{name}}}")).collect();
                    context
                        .error(
                            code,
                            &argument.value.span,
                            format!("`{{{unknown}}}` stands for nothing"),
                        )
                        .help(format!("there are {}", join_names(&known)));
                } else if names.is_empty() && !value_fits(param, &value) {
                    let given = argument.value.kind();
                    let message = format!("`{name}` of `{callee}` takes no {given}");
                    context.error(code, &argument.value.span, message);
                }
                arguments.insert(name.to_owned(), value);
            }
        }
        let is_missing =
            |param: &&Shared<Param>| param.is_needed() && !arguments.contains_key(&param.name);
        for param in params.iter().filter(is_missing) {
            let message = format!("the {kind} `{callee}` requires `{}`", param.name);
            context
                .error(code, &section.span, message)
                .help(format!("add `{}` to `arguments`", param.name));
        }
        Some(arguments)
    }
}

/// Collects the names in braces.
pub(super) fn placeholders(value: &Json, names: &mut Vec<String>) {
    match value {
        Json::String(text) => {
            let mut rest = text.as_str();
            while let Some((_, after)) = rest.split_once('{') {
                let Some((name, after)) = after.split_once('}') else { return };
                let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                if !name.is_empty() && name.chars().all(is_name) {
                    names.push(name.to_owned());
                }
                rest = after;
            }
        }
        Json::Array(items) => items.iter().for_each(|item| placeholders(item, names)),
        Json::Object(members) => members.values().for_each(|item| placeholders(item, names)),
        _ => {}
    }
}
