//! `_dadl_mcp.unlisted_params`: parameters that hosts need not list, in all tools or in some.

use std::collections::HashMap;

use dadl_text::names::MeantName;

use super::context::{LowerContext, YamlSection, YamlText};
use crate::{
    code,
    model::{Descriptor, Param, UnlistedParams},
};

/// Reads the names of parameters that hosts need not list: `name`, `tool.name`, or `list_*.name` for each tool
/// whose name fits.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> UnlistedParams {
    let mut unlisted = UnlistedParams::default();
    let texts = context.texts(extension, "unlisted_params");
    if texts.is_empty() {
        return unlisted;
    }
    let params = params_by_name(descriptor);
    for text in texts {
        if let Some(named) = params.get(text.value) {
            if is_optional(named, &text, context) {
                unlisted.everywhere.push(text.value.to_owned());
            }
            continue;
        }
        // A name may have a dot itself, so that the whole of it comes first.
        let of_tools = text.value.split_once('.').map(|(tools, wanted)| {
            let named = params.get(wanted).into_iter().flatten();
            named.copied().filter(|(tool, _)| fits(tools, tool)).collect::<Vec<_>>()
        });
        match of_tools {
            Some(named) if !named.is_empty() => {
                if is_optional(&named, &text, context) {
                    for (tool, param) in named {
                        let names = unlisted.of_tools.entry(tool.to_owned()).or_default();
                        names.push(param.name.clone());
                    }
                }
            }
            _ => report_unknown(&text, descriptor, context),
        }
    }
    unlisted
}

/// Returns the parameters of tools and composites by their names, each with the name of its owner.
fn params_by_name(descriptor: &Descriptor) -> HashMap<&str, Vec<(&str, &Param)>> {
    let of_tools = descriptor.tools.iter().map(|tool| (tool.name.as_str(), &tool.params));
    let composites = descriptor.composites.iter().map(|it| (it.name.as_str(), &it.params));
    let mut by_name: HashMap<&str, Vec<(&str, &Param)>> = HashMap::new();
    for (owner, params) in of_tools.chain(composites) {
        for param in params {
            by_name.entry(&param.name).or_default().push((owner, param));
        }
    }
    by_name
}

/// Returns whether one of these is optional; a required one stays listed wherever it is.
fn is_optional<'tree>(
    named: &[(&str, &Param)],
    text: &YamlText<'tree>,
    context: &mut LowerContext<'tree>,
) -> bool {
    let optional = named.iter().any(|(_, param)| !param.required);
    if !optional {
        let message = format!("`{}` is required and cannot be unlisted", text.value);
        context.warning(code::UNLISTED_PARAM, &text.span, message);
    }
    optional
}

/// Returns whether a name fits a pattern, in which one `*` may stand for anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            let rest = name.strip_prefix(before);
            rest.is_some_and(|rest| rest.ends_with(after))
        }
    }
}

fn report_unknown<'tree>(
    text: &YamlText<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let names = descriptor.tools.iter().flat_map(|tool| &tool.params);
    let meant = context.nearest(text.value, names.map(|param| param.name.as_str()));
    let message = match text.value.split_once('.') {
        Some((tools, name)) => format!("no tool `{tools}` has a parameter `{name}`"),
        None => format!("no tool has a parameter `{}`", text.value),
    };
    let help = meant.map(|meant| MeantName(meant).to_string());
    let finding = context.warning(code::UNLISTED_PARAM, &text.span, message);
    if let Some(help) = help {
        finding.help(help);
    }
}

#[cfg(test)]
mod tests {
    use crate::{load, source::SourceText};

    fn loaded(unlisted: &str) -> crate::LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp: {{unlisted_params: {unlisted}}}\n\
             backend:\n  name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             list_cats: {{method: GET, path: /c, access: read, description: C., params: {{\
             limit: {{type: integer, in: query}}, a.b: {{type: string, in: query}}}}}}\n    \
             list_dogs: {{method: GET, path: '/d/{{id}}', access: read, description: D., params: {{\
             id: {{type: string, in: path, required: true}}, limit: {{type: integer, in: query}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn has(unlisted: &str, tool: &str, param: &str) -> bool {
        let loaded = loaded(unlisted);
        assert!(loaded.diagnostics.is_empty(), "{unlisted}: {:?}", loaded.diagnostics);
        loaded.descriptor.is_some_and(|it| it.unlisted_params.has(tool, param))
    }

    fn finding(unlisted: &str) -> String {
        let found = loaded(unlisted).diagnostics;
        let texts: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
        texts.join("; ")
    }

    #[test]
    fn a_name_counts_for_all_tools_one_with_a_tool_for_that_one() {
        assert!(has("[limit]", "list_cats", "limit") && has("[limit]", "list_dogs", "limit"));
        assert!(has("[list_cats.limit]", "list_cats", "limit"));
        assert!(!has("[list_cats.limit]", "list_dogs", "limit"));
        assert!(has("['list_*.limit']", "list_dogs", "limit"));
        assert!(has("['*cats.limit']", "list_cats", "limit"));
        assert!(!has("['*cats.limit']", "list_dogs", "limit"));
        assert!(has("[a.b]", "list_cats", "a.b"));
        assert!(has("[list_cats.a.b]", "list_cats", "a.b"));
    }

    #[test]
    fn what_no_tool_has_and_what_is_required_is_told() {
        assert_eq!(finding("[limmit]"), "no tool has a parameter `limmit`");
        assert_eq!(finding("[list_cats.id]"), "no tool `list_cats` has a parameter `id`");
        assert_eq!(finding("['get_*.limit']"), "no tool `get_*` has a parameter `limit`");
        let required = "`list_dogs.id` is required and cannot be unlisted";
        assert_eq!(finding("[list_dogs.id]"), required);
    }
}
