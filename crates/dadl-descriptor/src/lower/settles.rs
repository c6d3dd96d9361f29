//! `settles` of `_dadl_mcp`: how to see that what was written is there, for an API that shows it a little
//! later.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value as Json;

use super::{
    calls::{ReadOnlyCall, placeholders},
    context::{LowerContext, MappingPlace, YamlSection},
    named::{KnownTools, declared_names, tool_names},
};
use crate::{
    code,
    model::{
        Tool,
        settle::{MADE, SettleCondition, SettleRule},
    },
};

const KEYS: &[&str] =
    &["after", "id", "read", "arguments", "path", "is", "is_not", "steady", "gone", "within"];

/// How long to look when the file does not say.
const WITHIN: Duration = Duration::from_secs(2);

/// Nobody waits longer for what has been done already.
const LONGEST_WITHIN: Duration = Duration::from_secs(30);

/// Reads the rules; `tools` are those of the file that are well formed.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    backend: &YamlSection<'tree>,
    tools: &[Tool],
    context: &mut LowerContext<'tree>,
) -> Vec<SettleRule> {
    let nodes = context.items(extension, "settles");
    if nodes.is_empty() {
        return Vec::new();
    }
    let known = KnownTools { tools, names: declared_names(backend, &["tools"]) };
    let mut rules = Vec::new();
    for node in nodes {
        let place = MappingPlace::Only("an item of `settles`");
        let Some(section) = context.section(node, &node.span, place, KEYS) else { continue };
        rules.extend(lower_settle(&section, &known, context));
    }
    rules
}

fn lower_settle<'tree>(
    section: &YamlSection<'tree>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Option<SettleRule> {
    if section.entry("after").is_none() {
        context.report_missing(section, "after");
    }
    // A name that is none has been told.
    let after = tool_names(section, "after", known, context).filter(|after| !after.is_empty())?;
    let id = context.json_path(section, "id");
    let read = context.required_text(section, "read")?;
    let tool = known.tools.iter().find(|tool| tool.name == read.value);
    if tool.is_none() && !known.names.contains(read.value) {
        let meant = context.nearest_tool(read.value, known.names.iter().copied());
        let message = format!("there is no tool `{}`", read.value);
        context.error(code::SETTLES, &read.span, message).meant(meant);
    }
    let tool = tool?;
    let written: Vec<&Tool> =
        known.tools.iter().filter(|tool| after.contains(tool.name.as_str())).collect();
    // What each of the tools has.
    let mut given: BTreeSet<&str> = written
        .first()
        .map(|tool| tool.params.iter().map(|param| param.name.as_str()).collect())
        .unwrap_or_default();
    given.retain(|name| {
        written.iter().all(|tool| tool.params.iter().any(|param| param.name == *name))
    });
    if id.is_some() {
        given.insert(MADE);
    }
    let look = ReadOnlyCall { known: &given, code: code::SETTLES, tool_key: "read" };
    let call = look.lower(section, tool, context)?;
    let until = lower_until(section, context)?;
    let within = lower_within(section, context);
    let mut used = Vec::new();
    placeholders(&Json::Object(call.arguments.clone()), &mut used);
    if let SettleCondition::Is { value, .. } | SettleCondition::IsNot { value, .. } = &until {
        let mut named = Vec::new();
        placeholders(&Json::String(value.clone()), &mut named);
        if let Some(unknown) = named.iter().find(|name| !given.contains(name.as_str())) {
            let message = format!("`{{{unknown}}}` stands for nothing");
            context
                .error(code::SETTLES, &section.span, message)
                .help("name a parameter that each tool in `after` has");
        }
        used.extend(named);
    }
    let after = after.into_iter().map(str::to_owned).collect();
    Some(SettleRule { after, id, look: call, names: used.into_iter().collect(), until, within })
}

/// Reads when it is there.
fn lower_until<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<SettleCondition> {
    let gone = context.boolean(section, "gone").unwrap_or_default();
    let steady = context.duration(section, "steady");
    let said: Vec<&str> = ["is", "is_not", "steady", "gone"]
        .into_iter()
        .filter(|key| section.entry(key).is_some())
        .collect();
    let path = context.json_path(section, "path");
    let needs_path = said.iter().any(|key| *key != "gone");
    if said.len() > 1 || needs_path != section.entry("path").is_some() {
        context.error(code::SETTLES, &section.span, "nothing says clearly when it is there").help(
            "write `path` with one of `is`, `is_not` and `steady`; or `gone: true`; or nothing",
        );
        return None;
    }
    let mut value = |key: &str| {
        let entry = section.entry(key)?;
        match entry.value.to_json() {
            Json::String(text) => Some(text),
            value @ (Json::Bool(_) | Json::Number(_)) => Some(value.to_string()),
            _ => {
                context.wrong_type(&entry.value, &format!("`{key}`"), "a single value");
                None
            }
        }
    };
    Some(match said.first() {
        None => SettleCondition::There,
        Some(&"is") => SettleCondition::Is { value: value("is")?, path: path? },
        Some(&"is_not") => SettleCondition::IsNot { value: value("is_not")?, path: path? },
        Some(&"steady") => SettleCondition::Steady { path: path?, time: steady? },
        _ if gone => SettleCondition::Gone,
        _ => SettleCondition::There,
    })
}

fn lower_within<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Duration {
    let within = context.duration(section, "within").unwrap_or(WITHIN);
    let steady = section.entry("steady").and_then(|_| context.duration(section, "steady"));
    if let (true, Some(entry)) =
        (within > LONGEST_WITHIN, section.entry("within").or_else(|| section.entry("steady")))
    {
        context
            .error(code::SETTLES, &entry.value.span, "nobody waits so long for what has been done")
            .help("write 30s or less");
    }
    if let (true, Some(entry)) = (steady.is_some_and(|it| it >= within), section.entry("steady")) {
        context
            .error(code::SETTLES, &entry.value.span, "`steady` is not shorter than `within`")
            .help("raise `within`, or shorten it");
    }
    within
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, model::settle::SettleCondition, source::SourceText};

    fn loaded(rule: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  settles:\n    - {rule}\n\
             backend:\n  name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             make: {{method: POST, path: /x, access: write, description: M., \
             params: {{name: {{type: string, in: body}}}}}}\n    \
             tag: {{method: PUT, path: '/x/{{id}}/tags/{{tag}}', access: write, description: T., \
             params: {{id: {{type: string, in: path}}, tag: {{type: string, in: path}}}}}}\n    \
             get: {{method: GET, path: '/x/{{id}}', access: read, description: G., \
             params: {{id: {{type: string, in: path}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    #[test]
    fn rules_are_read() {
        let rule = |text: &str| {
            let loaded = loaded(text);
            assert_eq!(loaded.diagnostics, [], "{text}");
            loaded.descriptor.unwrap().settles.remove(0)
        };
        let made = rule("{after: [make], id: $.id, read: get, arguments: {id: '{id}'}}");
        assert!(matches!(made.until, SettleCondition::There) && made.within.as_secs() == 2);
        let tagged = rule(
            "{after: [tag], read: get, arguments: {id: '{id}'}, path: '$.tags[*]', is: '{tag}'}",
        );
        let names: Vec<&str> = tagged.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["id", "tag"]);
        let on = rule("{after: [tag], read: get, arguments: {id: '{id}'}, path: $.on, is: true}");
        assert!(matches!(on.until, SettleCondition::Is { value, .. } if value == "true"));
        let gone = rule("{after: [tag], read: get, arguments: {id: '{id}'}, gone: true}");
        assert!(matches!(gone.until, SettleCondition::Gone));
        let steady = "{after: [tag], read: get, arguments: {id: '{id}'}, path: $.s, steady: 500ms}";
        assert!(
            matches!(rule(steady).until, SettleCondition::Steady { time, .. } if time.as_millis() == 500)
        );
    }

    #[test]
    fn what_cannot_work_is_said() {
        let read = "read: get, arguments: {id: '{id}'}";
        for (rule, expected) in [
            (format!("{{{read}}}"), "D009 an item of `settles` has no `after`"),
            (format!("{{after: [maek], {read}}}"), "D724 there is no tool `maek`"),
            ("{after: [tag], read: gett}".into(), "D728 there is no tool `gett`"),
            ("{after: [tag], read: tag}".into(), "D728 `tag` cannot be called to look"),
            (format!("{{after: [make], {read}}}"), "D728 `{id}` stands for nothing"),
            (format!("{{after: [make, tag], {read}}}"), "D728 `{id}` stands for nothing"),
            ("{after: [tag], read: get}".into(), "D728 the tool `get` requires `id`"),
            (
                format!("{{after: [tag], {read}, is: a}}"),
                "D728 nothing says clearly when it is there",
            ),
            (
                format!("{{after: [tag], {read}, path: $.a}}"),
                "D728 nothing says clearly when it is there",
            ),
            (
                format!("{{after: [tag], {read}, path: $.a, is: a, is_not: b}}"),
                "D728 nothing says clearly when it is there",
            ),
            (
                format!("{{after: [tag], {read}, path: $.a, is: '{{x}}'}}"),
                "D728 `{x}` stands for nothing",
            ),
            (
                format!("{{after: [tag], {read}, within: 1m}}"),
                "D728 nobody waits so long for what has been done",
            ),
            (
                format!("{{after: [tag], {read}, path: $.a, steady: 5s}}"),
                "D728 `steady` is not shorter than `within`",
            ),
        ] {
            let found = loaded(&rule).diagnostics;
            let found: Vec<String> =
                found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect();
            assert_eq!(found, [expected], "{rule}");
        }
    }
}
