//! `_dadl_mcp.shown`: what a model gets of the results of tools.
//!
//! What is said of `"*"` counts for every tool; what is said of a tool by its name counts before it, key by
//! key.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    uploads::report_missing_tool,
};
use crate::{
    code,
    model::{Descriptor, ResultTypes, ShownRules, TYPE_REF, Tool},
    yaml::YamlEntry,
};

const KEYS: &[&str] = &["empty", "omit"];

/// Stands for every tool.
const ALL: &str = "*";

/// What the file says of one tool, or of all.
struct SaidOfResults<'tree> {
    /// `None` for all.
    tool: Option<&'tree str>,
    omit: Option<Vec<YamlText<'tree>>>,
    empty: Option<bool>,
}

/// Reads `shown` of the extension into the tools that it is about.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(entry) = extension.entry("shown") else { return };
    let place = MappingPlace::Key("shown");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else { return };
    let said: Vec<_> = section
        .entries()
        .iter()
        .filter_map(|entry| read(entry, &descriptor.tools, context))
        .collect();
    let Descriptor { tools, types, .. } = descriptor;
    let mut reported = BTreeSet::new();
    for tool in tools {
        let own = said.iter().find(|said| said.tool == Some(&tool.name));
        let fitting = || own.into_iter().chain(said.iter().find(|said| said.tool.is_none()));
        let omit = fitting().find_map(|said| said.omit.as_deref()).unwrap_or_default();
        let empty = fitting().find_map(|said| said.empty).unwrap_or(true);
        if omit.is_empty() && empty {
            continue;
        }
        let required = tool
            .returns
            .as_ref()
            .map(|returns| required_members(returns, types))
            .unwrap_or_default();
        for name in omit.iter().filter(|name| required.iter().any(|it| it == name.value)) {
            if reported.insert(name.span.start) {
                let message = format!(
                    "results of `{}` have to have `{}`, and keep it",
                    tool.name, name.value
                );
                context
                    .error(code::SHOWN_REQUIRED, &name.span, message)
                    .help("take it out of `omit`, or out of `required` of the type");
            }
        }
        let omitted = omit.iter().map(|name| name.value.to_owned()).collect();
        tool.shown = ShownRules { omitted, omits_empty: !empty, required }.into();
    }
}

fn read<'tree>(
    entry: &'tree YamlEntry<'tree>,
    tools: &[Tool],
    context: &mut LowerContext<'tree>,
) -> Option<SaidOfResults<'tree>> {
    let place = MappingPlace::Named("rule", &entry.key);
    let section = context.section(&entry.value, &entry.key_span, place, KEYS)?;
    let omit = section.entry("omit").is_some().then(|| context.texts(&section, "omit"));
    let empty = context.boolean(&section, "empty");
    for name in omit.iter().flatten().filter(|name| name.value.trim().is_empty()) {
        let message = "a member without a name cannot be left out".to_owned();
        context.error(code::SHOWN, &name.span, message);
    }
    if section.entries().is_empty() {
        let message = format!("nothing is said of `{}`", entry.key);
        context
            .error(code::SHOWN, &entry.key_span, message)
            .help("`omit` names members that are left out; `empty: false` leaves out those without a value");
    }
    if entry.key == ALL {
        return Some(SaidOfResults { tool: None, omit, empty });
    }
    let Some(tool) = tools.iter().find(|tool| tool.name == entry.key) else {
        let name = YamlText { value: &entry.key, span: entry.key_span.clone() };
        report_missing_tool(&name, tools, code::SHOWN, context);
        return None;
    };
    if tool.response.binary || tool.response.is_private {
        let message = format!("the answer of `{}` goes to a file", tool.name);
        context.error(code::SHOWN, &entry.key_span, message);
    }
    Some(SaidOfResults { tool: Some(&entry.key), omit, empty })
}

/// Returns the members that an object, or the items of a list, must have in one of the shapes that a schema
/// allows.
fn required_members(schema: &Value, types: &ResultTypes) -> Vec<String> {
    let mut required = BTreeSet::new();
    let mut open = vec![(schema, true)];
    // Types name one another, and some name themselves.
    let mut followed = BTreeSet::new();
    while let Some((schema, may_be_list)) = open.pop() {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let reference = reference.filter(|name| followed.insert((*name, may_be_list)));
        let named = reference.and_then(|it| types.get(it.strip_prefix(TYPE_REF)?));
        open.extend(named.map(|schema| (schema, may_be_list)));
        for key in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(key).and_then(Value::as_array);
            open.extend(parts.into_iter().flatten().map(|part| (part, may_be_list)));
        }
        if may_be_list && let Some(items) = schema.get("items") {
            open.push((items, false));
        }
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        required.extend(names.filter_map(Value::as_str));
    }
    required.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(shown: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nrequires: {{features: [returns]}}\n_dadl_mcp:\n  \
             shown: {shown}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  auth: {{type: bearer, credential: key}}\n  \
             types:\n    Thing: {{type: object, required: [id], properties: {{id: {{type: string}}}}}}\n  \
             tools:\n    \
             list: {{method: GET, path: /things, access: read, description: L., returns: {{type: array, items: Thing}}}}\n    \
             find: {{method: GET, path: /find, access: read, description: F.}}\n    \
             save: {{method: GET, path: /save, access: read, description: S., response: {{binary: true}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn rules(omitted: &[&str], omits_empty: bool, required: &[&str]) -> ShownRules {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        ShownRules { omitted: owned(omitted), omits_empty, required: owned(required) }
    }

    #[test]
    fn what_is_said_of_a_tool_goes_before_what_is_said_of_all() {
        let found = loaded("{\"*\": {omit: [href], empty: false}, find: {empty: true}}");
        assert_eq!(found.diagnostics, []);
        let tools = found.descriptor.unwrap().tools;
        let shown: Vec<_> = tools.iter().map(|tool| (*tool.shown).clone()).collect();
        let expected = [
            rules(&["href"], true, &["id"]),
            rules(&["href"], false, &[]),
            rules(&["href"], true, &[]),
        ];
        assert_eq!(shown, expected);
        let kept = loaded("{\"*\": {omit: [id]}, list: {omit: []}}");
        assert_eq!(kept.diagnostics, []);
    }

    #[test]
    fn types_are_followed_to_their_end() {
        let reference = |number: u32| json!({ "$ref": format!("{TYPE_REF}T{number}") });
        let types: ResultTypes = (0..200)
            .map(|number| {
                let others =
                    [reference((number + 1) % 200), reference(number), reference(number / 2)];
                let schema = match number {
                    199 => json!({ "allOf": others, "required": ["last"] }),
                    _ => json!({ "allOf": others }),
                };
                (format!("T{number}"), schema)
            })
            .collect();
        assert_eq!(required_members(&reference(0), &types), ["last"]);
        let list = json!({ "type": "array", "items": reference(0) });
        assert_eq!(required_members(&list, &types), ["last"]);
    }

    #[test]
    fn what_is_of_no_use_is_found() {
        let findings = |shown: &str| -> Vec<String> {
            let found = loaded(shown).diagnostics;
            found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
        };
        let required = "D783 results of `list` have to have `id`, and keep it";
        assert_eq!(findings("{list: {omit: [id]}}"), [required]);
        assert_eq!(findings("{\"*\": {omit: [id]}}"), [required]);
        assert_eq!(findings("{lst: {empty: false}}"), ["D782 the file has no tool `lst`"]);
        assert_eq!(findings("{find: {}}"), ["D782 nothing is said of `find`"]);
        assert_eq!(
            findings("{save: {empty: false}}"),
            ["D782 the answer of `save` goes to a file"]
        );
        let nameless = "D782 a member without a name cannot be left out";
        assert_eq!(findings("{find: {omit: [\"\"]}}"), [nameless]);
    }
}
