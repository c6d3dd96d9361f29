//! `_dadl_mcp.events`: which stream tells what changes, and what it is about.

use dadl_text::names::MeantName;

use super::context::{LowerContext, YamlSection};
use crate::{
    code,
    model::{
        AccessLevel, Descriptor, Param, ParamKind, Tool,
        events::{CollectionLister, EventRules, ObjectReader, ResourceRules, SubscribeCall},
    },
};

const KEYS: &[&str] = &[
    "stream",
    "subscribe",
    "keep_alive",
    "silence",
    "changes",
    "object",
    "collection",
    "resources",
];
const SUBSCRIBE_KEYS: &[&str] = &["opening", "id", "tool", "arguments"];
const RESOURCES_KEYS: &[&str] = &["scheme", "read", "list"];

/// Schemes that mean something else to whoever reads a URI.
const TAKEN: &[&str] =
    &["data", "dadl-file", "file", "ftp", "git", "http", "https", "ui", "ws", "wss"];

/// Reads the block, after the tools.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<EventRules> {
    let section = context.subsection(extension, "events", KEYS)?;
    let stream = context.required_text(&section, "stream");
    if let Some(stream) = &stream {
        let problem = match find_tool(descriptor, stream.value) {
            None => Some("does not exist".to_owned()),
            Some(tool) if !tool.response.is_stream() => {
                Some("has no `streaming: true` in its `response`".to_owned())
            }
            Some(tool) => {
                required_params(tool).next().map(|param| format!("needs `{}`", param.name))
            }
        };
        if let Some(problem) = problem {
            let message = format!("the tool `{}` of the events {problem}", stream.value);
            let help = meant_tool(descriptor, stream.value, context);
            context.error(code::EVENTS_STREAM, &stream.span, message).help(help.unwrap_or_else(
                || "name a tool that streams events and needs no argument".to_owned(),
            ));
        }
    }
    let subscribe = lower_subscribe(&section, descriptor, context);
    let keep_alive = context.strings(&section, "keep_alive");
    let silence = context.duration(&section, "silence").filter(|silence| !silence.is_zero());
    let changes = context.strings(&section, "changes");
    let object = context.json_path(&section, "object");
    let collection = context.json_path(&section, "collection");
    let resources = lower_resources(&section, descriptor, context);
    if let (Some(_), Some(entry)) = (&resources, section.entry("resources")) {
        let missing = [("changes", changes.is_empty()), ("object", object.is_none())];
        for (key, _) in missing.iter().filter(|(_, is_missing)| *is_missing) {
            context
                .error(
                    code::EVENTS_OBJECT,
                    &entry.key_span,
                    format!("the events have `resources`, but no `{key}`"),
                )
                .label("nobody could be told that one of them changed")
                .help("say which events are changes, and where an event names its object");
        }
    }
    let stream = stream?.value.to_owned();
    Some(EventRules {
        stream,
        subscribe,
        keep_alive,
        silence,
        changes,
        object,
        collection,
        resources,
    })
}

fn find_tool<'descriptor>(
    descriptor: &'descriptor Descriptor,
    name: &str,
) -> Option<&'descriptor Tool> {
    descriptor.tools.iter().find(|tool| tool.name == name)
}

fn required_params(tool: &Tool) -> impl Iterator<Item = &Param> {
    tool.params.iter().map(|param| &**param).filter(|param| param.is_needed())
}

fn meant_tool(
    descriptor: &Descriptor,
    name: &str,
    context: &mut LowerContext<'_>,
) -> Option<String> {
    if find_tool(descriptor, name).is_some() {
        return None;
    }
    let names = descriptor.tools.iter().map(|tool| tool.name.as_str());
    context.nearest_tool(name, names).map(|meant| MeantName(meant).to_string())
}

/// Reads how a collection is added to a stream.
fn lower_subscribe<'tree>(
    events: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<SubscribeCall> {
    let section = context.subsection(events, "subscribe", SUBSCRIBE_KEYS)?;
    let opening = context.required_text(&section, "opening");
    let name = context.required_text(&section, "tool");
    if section.entry("id").is_none() {
        context.report_missing(&section, "id");
    }
    let id = context.json_path(&section, "id");
    let entry = section.entry("arguments");
    if entry.is_none() {
        context.report_missing(&section, "arguments");
    }
    let span = entry.map_or(&section.span, |entry| &entry.key_span);
    let given = entry.and_then(|entry| {
        let place = super::context::MappingPlace::Key("arguments");
        context.open(&entry.value, &entry.key_span, place)
    });
    let arguments: Vec<(String, serde_json::Value)> = given
        .iter()
        .flat_map(|given| given.entries())
        .map(|entry| (entry.key.as_ref().to_owned(), entry.value.to_json()))
        .collect();
    let Some(tool) = name.as_ref().and_then(|name| find_tool(descriptor, name.value)) else {
        if let Some(name) = &name {
            let message = format!("the tool `{}` of the subscription does not exist", name.value);
            let help = meant_tool(descriptor, name.value, context);
            let finding = context.error(code::EVENTS_SUBSCRIBE, &name.span, message);
            if let Some(help) = help {
                finding.help(help);
            }
        }
        return None;
    };
    for entry in given.iter().flat_map(|given| given.entries()) {
        if tool.params.iter().all(|param| param.name != entry.key) {
            let message = format!("the tool `{}` has no parameter `{}`", tool.name, entry.key);
            context.error(code::EVENTS_SUBSCRIBE, &entry.key_span, message);
        }
    }
    for param in
        required_params(tool).filter(|param| arguments.iter().all(|(name, _)| *name != param.name))
    {
        let message = format!("the subscription has no `{}`, which is required", param.name);
        context.error(code::EVENTS_SUBSCRIBE, span, message);
    }
    for placeholder in [SubscribeCall::STREAM, SubscribeCall::COLLECTION] {
        if entry.is_some() && arguments.iter().all(|(_, value)| value != placeholder) {
            context
                .error(
                    code::EVENTS_SUBSCRIBE,
                    span,
                    format!("no argument of the subscription is \"{placeholder}\""),
                )
                .help("the stream's identifier and the collection are put in their places");
        }
    }
    Some(SubscribeCall {
        opening: opening?.value.to_owned(),
        id: id?,
        tool: tool.name.clone(),
        arguments,
    })
}

/// Reads which objects are resources.
fn lower_resources<'tree>(
    events: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<ResourceRules> {
    let section = context.subsection(events, "resources", RESOURCES_KEYS)?;
    let scheme = context.required_text(&section, "scheme");
    if let Some(scheme) = &scheme {
        let problem = if TAKEN.contains(&scheme.value) {
            Some("has a meaning of its own")
        } else if is_scheme(scheme.value) {
            None
        } else {
            Some("is no URI scheme")
        };
        if let Some(problem) = problem {
            context
                .error(
                    code::EVENTS_SCHEME,
                    &scheme.span,
                    format!("the scheme `{}` of the resources {problem}", scheme.value),
                )
                .help("write a short name of lower-case letters, digits and hyphens, such as `xo`");
        }
    }
    let Some(entry) = section.entry("read") else {
        context.report_missing(&section, "read");
        return None;
    };
    let place = super::context::MappingPlace::Key("read");
    let read = context.open(&entry.value, &entry.key_span, place)?;
    let mut readers: Vec<ObjectReader> = Vec::new();
    for entry in read.entries() {
        let Some(name) = context.node_text(&entry.value, format!("`{}`", entry.key)) else {
            continue;
        };
        let collection = entry.key.as_ref();
        let tool = find_tool(descriptor, name.value);
        let problem = match tool {
            None => Some("does not exist".to_owned()),
            Some(tool) if tool.access.as_ref() != Some(&AccessLevel::Read) => {
                Some("does not have `access: read`".to_owned())
            }
            Some(tool) if tool.response.binary || tool.response.streaming.is_declared => {
                Some("answers no value".to_owned())
            }
            Some(tool) if identifier_param(tool).is_none() => {
                Some("must have exactly one required parameter, of type string".to_owned())
            }
            Some(_) if !is_collection(collection) => Some(
                "reads a collection whose name has other characters than letters, digits, \
                 `-`, `.` and `_`"
                    .to_owned(),
            ),
            Some(_) if readers.iter().any(|it| it.collection.eq_ignore_ascii_case(collection)) => {
                Some("reads a collection whose name differs from another one by case".to_owned())
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            let message =
                format!("the tool `{}` of the resource `{collection}` {problem}", name.value);
            let help = meant_tool(descriptor, name.value, context);
            let finding = context.error(code::EVENTS_READER, &name.span, message);
            if let Some(help) = help {
                finding.help(help);
            }
        } else if let Some((tool, param)) =
            tool.and_then(|tool| Some((tool, identifier_param(tool)?)))
        {
            readers.push(ObjectReader {
                collection: collection.to_owned(),
                tool: tool.name.clone(),
                param: param.name.clone(),
            });
        }
    }
    let listers = lower_listers(&section, &readers, descriptor, context);
    Some(ResourceRules { scheme: scheme?.value.to_owned(), readers, listers })
}

/// Reads of which collections a few objects are listed.
fn lower_listers<'tree>(
    resources: &YamlSection<'tree>,
    readers: &[ObjectReader],
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Vec<CollectionLister> {
    let Some(entry) = resources.entry("list") else { return Vec::new() };
    let place = super::context::MappingPlace::Key("list");
    let Some(list) = context.open(&entry.value, &entry.key_span, place) else { return Vec::new() };
    let mut listers = Vec::new();
    for entry in list.entries() {
        let Some(name) = context.node_text(&entry.value, format!("`{}`", entry.key)) else {
            continue;
        };
        let collection = entry.key.as_ref();
        let reader = readers.iter().find(|reader| reader.collection == collection);
        let tool = find_tool(descriptor, name.value);
        let problem = match tool {
            None => Some("does not exist".to_owned()),
            Some(tool) if tool.access.as_ref() != Some(&AccessLevel::Read) => {
                Some("does not have `access: read`".to_owned())
            }
            Some(tool) if tool.response.binary || tool.response.is_stream() => {
                Some("answers no list".to_owned())
            }
            Some(tool) if let Some(param) = required_params(tool).next() => {
                Some(format!("needs `{}`", param.name))
            }
            Some(_) if reader.is_none() => Some("lists what no tool in `read` reads".to_owned()),
            Some(_) => None,
        };
        if let Some(problem) = problem {
            let message =
                format!("the tool `{}`, which lists `{collection}`, {problem}", name.value);
            let help = meant_tool(descriptor, name.value, context);
            let finding = context.error(code::EVENTS_READER, &name.span, message);
            if let Some(help) = help {
                finding.help(help);
            }
        } else if let (Some(tool), Some(reader)) = (tool, reader) {
            let (collection, tool) = (reader.collection.clone(), tool.name.clone());
            listers.push(CollectionLister { collection, tool });
        }
    }
    listers
}

/// Returns the parameter that names the object.
fn identifier_param(tool: &Tool) -> Option<&Param> {
    let mut all = required_params(tool);
    let param = all.next().filter(|param| param.kind == ParamKind::String)?;
    all.next().is_none().then_some(param)
}

/// RFC 3986, section 3.1, in lower case; without `+`, which tells backends apart.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && (2..=20).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_collection(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}
