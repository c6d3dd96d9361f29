//! Writes `_dadl_mcp.requests`: what `tools` cannot say.

use dadl_descriptor::model::{
    ListDelimiter, ParamKind, ParamLocation, ParamStyle, StylePrefix, WholePart,
};
use serde_json::{Map, Value};

use super::{
    ToolDraft,
    descriptor_text::{TextPart, WrittenDescriptor, quoted_yaml},
};
use crate::{
    model::{BodyEncoding, OperationInput},
    text::kind_word,
};

/// Longer keywords about the values of a parameter are left out: a descriptor has no room for more.
const MAX_HINTS: usize = 2_000;

/// Returns whether there is something to say about the requests of the tools.
pub(super) fn is_needed(tools: &[ToolDraft<'_>]) -> bool {
    tools.iter().any(has_json) || tools.iter().any(is_said)
}

fn has_json(tool: &ToolDraft<'_>) -> bool {
    matches!(tool.operation.body, BodyEncoding::Json(_))
        && tool.inputs().any(|(_, input)| input.location == ParamLocation::Body)
}

/// Writes what there is to say about the requests of the tools, if there is something.
pub(super) fn write_requests(tools: &[ToolDraft<'_>], out: &mut WrittenDescriptor) {
    if !is_needed(tools) {
        return;
    }
    out.line(2, "requests:");
    if tools.iter().any(has_json) {
        out.line(4, "\"*\": { nulls: declared }");
    }
    for (index, tool) in tools.iter().enumerate().filter(|(_, tool)| is_said(tool)) {
        write_tool(tool, index, out);
    }
}

/// Returns whether there is something to say of a tool.
fn is_said(tool: &ToolDraft<'_>) -> bool {
    let operation = tool.operation;
    operation.accept.is_some()
        || operation.body_rules.open
        || operation.body_rules.required
        || tool.inputs().any(|(_, input)| !input_keys(tool, input).is_empty())
}

fn write_tool(tool: &ToolDraft<'_>, index: usize, out: &mut WrittenDescriptor) {
    let start = out.text.len();
    let operation = tool.operation;
    out.line(4, &format!("{}:", tool.name));
    if let Some(accept) = &operation.accept {
        out.line(6, &format!("accept: {}", quoted_yaml(accept)));
    }
    let rules = operation.body_rules;
    let said: Vec<&str> = [("required: true", rules.required), ("open: true", rules.open)]
        .into_iter()
        .filter_map(|(text, is_so)| is_so.then_some(text))
        .collect();
    if !said.is_empty() {
        out.line(6, &format!("body: {{ {} }}", said.join(", ")));
    }
    let params: Vec<(usize, &OperationInput, Vec<String>)> = tool
        .inputs()
        .map(|(at, input)| (at, input, input_keys(tool, input)))
        .filter(|(_, _, keys)| !keys.is_empty())
        .collect();
    if !params.is_empty() {
        out.line(6, "params:");
    }
    for (at, input, keys) in params {
        let from = out.text.len();
        out.line(8, &format!("{}: {{ {} }}", quoted_yaml(&input.name), keys.join(", ")));
        out.mark(from, TextPart::Param(index, at));
    }
    out.mark(start, TextPart::Tool(index));
}

/// Returns what is said of a parameter, each a key and its value.
fn input_keys(tool: &ToolDraft<'_>, input: &OperationInput) -> Vec<String> {
    let mut keys = Vec::new();
    let form = &input.form;
    if let Some(wire) = &input.wire {
        keys.push(format!("name: {}", quoted_yaml(wire)));
    }
    if !input.is_in_tools() {
        let is_query = form.whole == Some(WholePart::Query);
        let place = if is_query { "querystring" } else { input.location.as_str() };
        keys.push(format!("in: {place}"));
    }
    match input.union {
        _ if form.several => keys.push("type: files".to_owned()),
        Some(kinds) if kinds.is_any() => keys.push("type: any".to_owned()),
        Some(kinds) => {
            let words: Vec<&str> = kinds.iter().map(kind_word).collect();
            match words.as_slice() {
                [one] => keys.push(format!("type: {one}")),
                several => keys.push(format!("type: [{}]", several.join(", "))),
            }
        }
        None if !input.is_in_tools() => keys.push(format!("type: {}", kind_word(input.kind))),
        None => {}
    }
    if !input.is_in_tools() {
        if input.required {
            keys.push("required: true".to_owned());
        }
        let at = tool.operation.inputs.iter().position(|other| std::ptr::eq(other, input));
        if let Some(default) = at.and_then(|at| tool.default(at, input)) {
            keys.push(format!("default: {}", flow_yaml(default)));
        }
        let description = at.map(|at| tool.param_description(at, input)).unwrap_or_default();
        if !description.is_empty() {
            keys.push(format!("description: {}", quoted_yaml(description)));
        }
    }
    if form.nullable {
        keys.push("nullable: true".to_owned());
    }
    keys.extend(input_style(input));
    if form.allow_reserved {
        keys.push("allow_reserved: true".to_owned());
    }
    if let Some(mime) = &form.content_type {
        keys.push(format!("content_type: {}", quoted_yaml(mime.as_ref())));
    }
    if form.whole == Some(WholePart::Json) {
        keys.push("whole: true".to_owned());
    }
    keys.extend(input_hints(&input.hints, input));
    keys
}

fn input_style(input: &OperationInput) -> Option<String> {
    let ParamStyle::Listed { lead, between, explode } = input.form.style else {
        return match input.form.style {
            ParamStyle::Json => Some("style: json".to_owned()),
            ParamStyle::Segments => Some("style: segments".to_owned()),
            ParamStyle::Usual | ParamStyle::Listed { .. } => None,
        };
    };
    let is_pairs = matches!(input.location, ParamLocation::Body | ParamLocation::Query);
    let style = match (lead, between) {
        (StylePrefix::Dot, _) => "label",
        (StylePrefix::Semicolon, _) => "matrix",
        (StylePrefix::None, ListDelimiter::Comma) if is_pairs => "form",
        (StylePrefix::None, ListDelimiter::Comma) => "simple",
        (StylePrefix::None, ListDelimiter::Space) => "spaceDelimited",
        (StylePrefix::None, ListDelimiter::Tab) => "tabDelimited",
        (StylePrefix::None, ListDelimiter::Pipe) => "pipeDelimited",
    };
    Some(format!("style: {style}, explode: {explode}"))
}

/// Returns the keywords about values.
fn input_hints(hints: &Map<String, Value>, input: &OperationInput) -> Vec<String> {
    // A file is named by text, whatever it holds.
    if input.kind == ParamKind::FileUrl && input.union.is_none() {
        return Vec::new();
    }
    let written: Vec<String> =
        hints.iter().map(|(keyword, value)| format!("{keyword}: {}", flow_yaml(value))).collect();
    let length: usize = written.iter().map(String::len).sum();
    if length > MAX_HINTS { Vec::new() } else { written }
}

/// Returns a value as YAML in one line.
pub(super) fn flow_yaml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted_yaml(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(flow_yaml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, member)| format!("{}: {}", quoted_yaml(name), flow_yaml(member)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    }
}
