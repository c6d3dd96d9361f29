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
        AccessLevel, Composite, Descriptor, Param, ParamKind, Shared, Tool,
        preview::{MOST_READS, PreviewRule, ShownMember},
        task::TaskCall,
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
    let mut before: Vec<Asked<'_>> = Vec::new();
    for name in context.texts(section, "before") {
        before.extend(asked_about(&name, descriptor, context));
    }
    let read = context.required_text(section, "read")?;
    let has = |name: &str| before.iter().all(|(_, params)| params.iter().any(|it| it.name == name));
    let params = before.iter().flat_map(|(_, params)| *params).map(|param| param.name.as_str());
    let known: BTreeSet<&str> = params.filter(|name| has(name)).collect();
    let look = ReadOnlyCall { known: &known, code: code::PREVIEW, tool_key: "read" };
    let look = match descriptor.composites.iter().find(|it| it.name == read.value) {
        Some(composite) => {
            check_composite(&read, composite, descriptor, context)?;
            let callee = ("composite", composite.name.as_str());
            let arguments = look.lower_arguments(section, callee, &composite.params, context)?;
            TaskCall { tool: composite.name.clone(), arguments }
        }
        None => look.lower(section, reading_tool(&read, descriptor, context)?, context)?,
    };
    let mut names = Vec::new();
    placeholders(&Json::Object(look.arguments.clone()), &mut names);
    let show = lower_show(section, context);
    let mut labels = |key| -> BTreeSet<String> {
        context.texts(section, key).into_iter().map(|it| it.value.to_owned()).collect()
    };
    let (bytes, times) = (labels("bytes"), labels("times"));
    Some(PreviewRule {
        before: before.iter().map(|(name, _)| (*name).to_owned()).collect(),
        look,
        names: names.into_iter().collect(),
        show,
        bytes,
        times,
    })
}

/// The name and the parameters of what a person is asked about.
type Asked<'model> = (&'model str, &'model [Shared<Param>]);

/// Finds a tool or composite before whose calls a person is asked.
fn asked_about<'tree, 'model>(
    name: &YamlText<'tree>,
    descriptor: &'model Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<Asked<'model>> {
    let is_dangerous = |tool: &Tool| tool.access == Some(AccessLevel::Dangerous);
    let tool = descriptor.tools.iter().find(|tool| tool.name == name.value);
    let composite = descriptor.composites.iter().find(|composite| composite.name == name.value);
    let (asked, asks) = match (tool, composite) {
        (Some(tool), _) => ((tool.name.as_str(), tool.params.as_slice()), is_dangerous(tool)),
        (None, Some(composite)) => {
            let delegates = |tool: &&Tool| composite.delegates.contains(&tool.name);
            let asks = composite.access == Some(AccessLevel::Dangerous)
                || descriptor.tools.iter().filter(delegates).any(is_dangerous);
            ((composite.name.as_str(), composite.params.as_slice()), asks)
        }
        (None, None) => {
            report_missing_tool(name, &descriptor.tools, code::PREVIEW, context);
            return None;
        }
    };
    if !asks {
        let message = format!("nobody is asked before a call of `{}`", name.value);
        context
            .error(code::PREVIEW, &name.span, message)
            .help("give it `access: dangerous`, or leave it out");
        return None;
    }
    Some(asked)
}

/// Says why a composite cannot run before a person has decided; `None` when it can.
pub(super) fn harm_of(composite: &Composite, descriptor: &Descriptor) -> Option<String> {
    if composite.access != Some(AccessLevel::Read) {
        return Some("its level is not `read`".to_owned());
    }
    if let Some(file) = composite.params.iter().find(|param| param.kind == ParamKind::FileUrl) {
        return Some(format!("`{}` takes a file", file.name));
    }
    let find = |name: &str| descriptor.tools.iter().find(|tool| tool.name == name);
    let is_harmless = |tool: &Tool| {
        tool.has_no_effect()
            && tool.access == Some(AccessLevel::Read)
            && !tool.response.is_private
            && descriptor.tasks_of(&tool.name).is_none()
    };
    let harmful = composite.calls.iter().find(|name| !find(name).is_some_and(is_harmless));
    harmful.map(|name| format!("it may call `{name}`"))
}

/// Refuses a composite that may leave something behind.
fn check_composite<'tree>(
    read: &YamlText<'tree>,
    composite: &Composite,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<()> {
    let Some(reason) = harm_of(composite, descriptor) else { return Some(()) };
    let name = &composite.name;
    let message = format!("`{name}` cannot run before a person has decided: {reason}");
    context.error(code::PREVIEW_COMPOSITE, &read.span, message).help(
        "name a composite with `access: read` that calls only tools with `access: read` and without an effect, \
         each by its name",
    );
    None
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
    let shows = tool.only_shows() && descriptor.tasks_of(&tool.name).is_none();
    if !shows || tool.response.is_private {
        let message = format!("`{}` cannot be called before a person has decided", tool.name);
        context.error(code::PREVIEW, &name.span, message).help(
            "name a tool with `access: read` or `admin` and without an effect, whose answer may be seen",
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
             params: {{id: {{type: string, in: path}}}}}}\n  composites:\n    \
             safe_drop: {{access: dangerous, delegates: [drop], description: S., params: {{id: {{type: string}}}}, \
             code: \"return await api.drop({{id: params.id}});\"}}\n    \
             tidy: {{access: write, description: T., code: \"return await api.put({{id: 1}});\"}}\n    \
             card: {{access: read, description: C., params: {{id: {{type: string, required: true}}}}, \
             code: \"return await api.get({{id: params.id}});\"}}\n    \
             sly: {{access: read, description: S., code: \"return await api.put({{id: 1}});\"}}\n    \
             any: {{access: read, description: A., code: \"return await api[params.x]();\"}}\n"
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
    fn composites_show_and_are_shown() {
        let loaded = loaded(
            "{before: [drop, safe_drop], read: card, arguments: {id: '{id}'}, show: {name: $.name}}",
        );
        let found: Vec<&str> = loaded.diagnostics.iter().map(|it| it.message.as_str()).collect();
        assert!(found.iter().all(|it| it.contains("`put`") || it.contains("`any`")), "{found:?}");
        let rule = loaded.descriptor.unwrap().previews.remove(0);
        assert_eq!(rule.look.tool, "card");
        assert!(rule.before.contains("safe_drop"));
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
            (
                "{before: [drop], read: tidy, show: {name: $.name}}".into(),
                "D804 `tidy` cannot run before a person has decided: its level is not `read`",
            ),
            (
                "{before: [drop], read: sly, show: {name: $.name}}".into(),
                "D804 `sly` cannot run before a person has decided: it may call `put`",
            ),
            (
                "{before: [drop], read: any, show: {name: $.name}}".into(),
                "D804 `any` cannot run before a person has decided: it may call `drop`",
            ),
            (
                "{before: [drop], read: card, show: {name: $.name}}".into(),
                "D784 the composite `card` requires `id`",
            ),
            (
                "{before: [drop], read: card, arguments: {id: '{id}', of: 1}, show: {name: $.name}}".into(),
                "D784 the composite `card` has no parameter `of`",
            ),
            (
                "{before: [tidy], read: get, arguments: {id: x}, show: {name: $.name}}".into(),
                "D784 nobody is asked before a call of `tidy`",
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
