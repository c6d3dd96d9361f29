//! `preview` of `_dadl_mcp`: what a person is shown of a thing before a dangerous call about it.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{
    calls::{ReadOnlyCall, placeholders},
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    rules::one_or_more,
    uploads::report_missing_tool,
};
use crate::{
    code,
    model::{
        AccessLevel, Descriptor, Tool,
        preview::{MOST_READS, PreviewRule, ShownMember},
    },
};

const KEYS: &[&str] = &["before", "read", "arguments", "show", "bytes", "times"];

/// So many values of one call are shown.
const MOST_SHOWN: usize = 12;

/// A label has at most so many characters.
const LONGEST_LABEL: usize = 40;

/// Reads the rules into `descriptor`.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Vec<PreviewRule> {
    let mut rules: Vec<PreviewRule> = Vec::new();
    for node in one_or_more(extension, "preview") {
        let place = MappingPlace::Key("preview");
        let Some(section) = context.section(node, &node.span, place, KEYS) else { continue };
        let rule = lower_rule(&section, descriptor, context);
        let is_full = |name: &&String| {
            rules.iter().filter(|rule| rule.before.contains(*name)).count() >= MOST_READS
        };
        if let Some(name) = rule.as_ref().and_then(|rule| rule.before.iter().find(is_full)) {
            let message = format!("more than {MOST_READS} calls are made before `{name}`");
            context
                .error(code::PREVIEW, &section.span, message)
                .help("each is a request while a person waits: leave the least out");
        }
        rules.extend(rule);
    }
    rules
}

fn lower_rule<'tree>(
    section: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<PreviewRule> {
    for key in ["before", "show"] {
        if section.entry(key).is_none() {
            context.report_missing(section, key);
        }
    }
    let mut before: Vec<&Tool> = Vec::new();
    for name in context.texts(section, "before") {
        before.extend(dangerous_tool(&name, descriptor, context));
    }
    let read = context.required_text(section, "read")?;
    let reader = reading_tool(&read, descriptor, context)?;
    let has =
        |name: &str| before.iter().all(|tool| tool.params.iter().any(|param| param.name == name));
    let params = before.iter().flat_map(|tool| &tool.params).map(|param| param.name.as_str());
    let known: BTreeSet<&str> = params.filter(|name| has(name)).collect();
    let look = ReadOnlyCall { known: &known, code: code::PREVIEW, tool_key: "read" };
    let look = look.lower(section, reader, context)?;
    let mut names = Vec::new();
    placeholders(&Json::Object(look.arguments.clone()), &mut names);
    let show = lower_show(section, context);
    let mut labels = |key| -> BTreeSet<String> {
        context.texts(section, key).into_iter().map(|it| it.value.to_owned()).collect()
    };
    let (bytes, times) = (labels("bytes"), labels("times"));
    Some(PreviewRule {
        before: before.iter().map(|tool| tool.name.clone()).collect(),
        look,
        names: names.into_iter().collect(),
        show,
        bytes,
        times,
    })
}

/// Finds a tool before whose calls a person is asked.
fn dangerous_tool<'tree, 'tools>(
    name: &YamlText<'tree>,
    descriptor: &'tools Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<&'tools Tool> {
    let Some(tool) = descriptor.tools.iter().find(|tool| tool.name == name.value) else {
        report_missing_tool(name, &descriptor.tools, code::PREVIEW, context);
        return None;
    };
    if tool.access != Some(AccessLevel::Dangerous) {
        let message = format!("nobody is asked before a call of `{}`", tool.name);
        context
            .error(code::PREVIEW, &name.span, message)
            .help("give it `access: dangerous`, or leave it out");
        return None;
    }
    Some(tool)
}

/// Finds the tool that shows something, and leaves nothing behind.
fn reading_tool<'tree, 'tools>(
    name: &YamlText<'tree>,
    descriptor: &'tools Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<&'tools Tool> {
    let Some(tool) = descriptor.tools.iter().find(|tool| tool.name == name.value) else {
        report_missing_tool(name, &descriptor.tools, code::PREVIEW, context);
        return None;
    };
    let is_harmless = tool.has_no_effect()
        && tool.access == Some(AccessLevel::Read)
        && descriptor.tasks_of(&tool.name).is_none();
    if !is_harmless || tool.response.is_private {
        let message = format!("`{}` cannot be called before a person has decided", tool.name);
        context.error(code::PREVIEW, &name.span, message).help(
            "name a tool with `access: read` and without an effect, whose answer may be seen",
        );
        return None;
    }
    Some(tool)
}

fn lower_show<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<ShownMember> {
    let Some(entry) = section.entry("show") else { return Vec::new() };
    let place = MappingPlace::Key("show");
    let Some(shown) = context.open(&entry.value, &entry.key_span, place) else {
        return Vec::new();
    };
    let mut show = Vec::new();
    for entry in shown.entries() {
        let label = entry.key.as_ref();
        if !is_label(label) {
            let message = format!("`{label}` is no label");
            context.error(code::PREVIEW, &entry.key_span, message).help(format!(
                "write 1 to {LONGEST_LABEL} small letters, digits, blanks and hyphens"
            ));
        }
        let path = context.json_path(&shown, label);
        show.extend(path.map(|path| ShownMember { label: label.to_owned(), path }));
    }
    let count = shown.entries().len();
    if !(1..=MOST_SHOWN).contains(&count) {
        let message = format!("`show` has {count} values, and may have 1 to {MOST_SHOWN}");
        context.error(code::PREVIEW, &entry.value.span, message);
    }
    show
}

/// Returns whether a text cannot be taken for words of the question.
fn is_label(text: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || " -".contains(it);
    (1..=LONGEST_LABEL).contains(&text.len()) && text.chars().all(is_plain) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(rule: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  preview: {rule}\n  effects: {{some: [pop]}}\n\
             backend:\n  name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             drop: {{method: DELETE, path: '/x/{{id}}', access: dangerous, description: D., \
             params: {{id: {{type: string, in: path}}, force: {{type: boolean, in: query}}}}}}\n    \
             wipe: {{method: POST, path: '/x/{{id}}/wipe', access: dangerous, description: W., \
             params: {{id: {{type: string, in: path}}}}}}\n    \
             put: {{method: PUT, path: '/x/{{id}}', access: write, description: P., \
             params: {{id: {{type: string, in: path}}}}}}\n    \
             pop: {{method: GET, path: '/pop', access: read, description: P.}}\n    \
             get: {{method: GET, path: '/x/{{id}}', access: read, description: G., \
             params: {{id: {{type: string, in: path}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    #[test]
    fn rules_are_read() {
        let loaded = loaded(
            "[{before: [drop, wipe], read: get, arguments: {id: '{id}'}, show: {name: $.name, \
             used space: '$.disks[*].size'}, bytes: [used space]}]",
        );
        assert_eq!(loaded.diagnostics, []);
        let rule = loaded.descriptor.unwrap().previews.remove(0);
        assert_eq!(rule.before.len(), 2);
        let labels: Vec<&str> = rule.show.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["name", "used space"]);
        assert_eq!(rule.names, ["id".to_owned()].into());
    }

    #[test]
    fn what_cannot_work_is_said() {
        let rest = "arguments: {id: '{id}'}, show: {name: $.name}";
        let rule = "before: [drop], read: get, arguments: {id: '{id}'}";
        for (rule, expected) in [
            (format!("{{read: get, {rest}}}"), "D009 `preview` has no `before`"),
            (format!("{{{rule}}}"), "D009 `preview` has no `show`"),
            (format!("{{before: [dorp], read: get, {rest}}}"), "D784 the file has no tool `dorp`"),
            (
                format!("{{before: [put], read: get, {rest}}}"),
                "D784 nobody is asked before a call of `put`",
            ),
            (
                format!("{{before: [drop], read: put, {rest}}}"),
                "D784 `put` cannot be called before a person has decided",
            ),
            (
                "{before: [drop], read: pop, show: {name: $.name}}".into(),
                "D784 `pop` cannot be called before a person has decided",
            ),
            (
                "{before: [drop, wipe], read: get, arguments: {id: '{force}'}, show: {name: $.name}}"
                    .into(),
                "D784 `{force}` stands for nothing",
            ),
            (
                "{before: [drop], read: get, show: {name: $.name}}".into(),
                "D784 the tool `get` requires `id`",
            ),
            (format!("{{{rule}, show: {{}}}}"), "D784 `show` has 0 values, and may have 1 to 12"),
            (format!("{{{rule}, show: {{Request: $.a}}}}"), "D784 `Request` is no label"),
        ] {
            let found = loaded(&rule).diagnostics;
            let texts: Vec<String> =
                found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect();
            assert!(texts.iter().any(|it| it == expected), "{rule}: {texts:?}");
        }
        let five = format!("{{{rule}, show: {{name: $.name}}}}, ").repeat(5);
        let found = loaded(&format!("[{five}]")).diagnostics;
        let message = "more than 4 calls are made before `drop`";
        assert!(found.iter().any(|it| it.message == message), "{found:?}");
    }
}
