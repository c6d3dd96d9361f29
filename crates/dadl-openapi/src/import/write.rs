//! Writes a descriptor, section by section.

use std::ops::Range;

use dadl_descriptor::model::{AccessLevel, ParamLocation};

use super::{
    ToolDraft, credential,
    descriptor_text::{TextPart, WrittenDescriptor, comment, quoted_yaml},
    pages::PageGuess,
    requests,
};
use crate::{
    model::{ApiModel, BodyEncoding, OperationInput},
    text::kind_word,
};

/// How far parameters are indented.
const INDENT: usize = 8;

/// What is written besides the tools.
pub(super) struct DescriptorHead<'a> {
    pub(super) api: &'a ApiModel,
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) openapi_source: Option<&'a str>,
    /// Operations that are not among the tools.
    pub(super) left_out: usize,
}

/// Writes a descriptor.
pub(super) fn write_descriptor(
    head: &DescriptorHead<'_>,
    tools: &[ToolDraft<'_>],
) -> WrittenDescriptor {
    let mut out = WrittenDescriptor::default();
    write_head(head, tools.len(), &mut out);
    for (index, tool) in tools.iter().enumerate() {
        if index > 0 {
            out.text.push('\n');
        }
        write_tool(tool, index, &mut out);
    }
    write_extension(head, tools, &mut out);
    out
}

/// Writes `_dadl_mcp`, if there is something to say in it.
fn write_extension(
    head: &DescriptorHead<'_>,
    tools: &[ToolDraft<'_>],
    out: &mut WrittenDescriptor,
) {
    let start = out.text.len();
    out.text.push('\n');
    out.line(0, "_dadl_mcp:");
    let from = out.text.len();
    credential::write_rules(&head.api.auth, head.name, tools, out);
    if requests::is_needed(tools) && out.text.len() > from {
        out.text.push('\n');
    }
    requests::write_requests(tools, out);
    if out.text.len() == from {
        out.text.truncate(start);
    }
}

fn write_head(head: &DescriptorHead<'_>, tools: usize, out: &mut WrittenDescriptor) {
    let DescriptorHead { api, name, description, openapi_source, left_out } = head;
    let title = if api.title.is_empty() { *name } else { api.title.as_str() };
    out.line(0, &format!("# {}, as its OpenAPI document describes it.", comment(title)));
    out.line(0, "#");
    out.line(0, "# What `review:` stands at was guessed: look at it, correct it, and remove the");
    out.line(0, "# comment. Access levels decide what runs without a question.");
    out.text.push('\n');
    out.line(0, "spec: https://dadl.ai/spec/dadl-spec-v0.2.md");
    out.text.push('\n');
    if !api.title.is_empty() {
        out.line(0, &format!("source_name: {}", quoted_yaml(title)));
    }
    if let Some(docs) = api.docs.as_deref().filter(|docs| is_url(docs)) {
        out.line(0, &format!("source_url: {}", quoted_yaml(docs)));
    }
    out.text.push('\n');
    out.line(0, "backend:");
    out.line(2, &format!("name: {name}"));
    out.line(2, "type: rest");
    if let Some(version) = api.version.as_deref().filter(|version| is_version(version)) {
        out.line(2, &format!("version: {}", quoted_yaml(version)));
    }
    match &api.base.url {
        Some(url) => out.line(2, &format!("base_url: {}", quoted_yaml(url))),
        None if api.base.path.is_empty() => {
            out.line(2, "# No base_url: set `url` for the backend.");
        }
        None => {
            let path = comment(&api.base.path);
            out.line(2, &format!("# No base_url: set `url` for the backend, ending in {path}"));
        }
    }
    let from = out.text.len();
    out.line(2, &format!("description: {}", quoted_yaml(description)));
    out.mark(from, TextPart::Head);
    if let Some(path) = openapi_source {
        out.line(2, &format!("openapi_source: {}", quoted_yaml(path)));
    }
    out.text.push('\n');
    credential::write_credential(&api.auth, name, out);
    out.text.push('\n');
    if *left_out > 0 {
        out.line(2, &format!("# {left_out} of {} operations are no tools here.", tools + left_out));
    }
    out.line(2, "tools:");
}

fn write_tool(tool: &ToolDraft<'_>, index: usize, out: &mut WrittenDescriptor) {
    let start = out.text.len();
    let operation = tool.operation;
    out.line(4, &format!("{}:", tool.name));
    out.line(6, &format!("method: {}", operation.method));
    out.line(6, &format!("path: {}", quoted_yaml(&operation.path)));
    let (access, reason) = &tool.access;
    out.line(
        6,
        &format!("access: {} # review: guessed from {}", level_word(access), comment(reason)),
    );
    let from = out.text.len();
    out.line(6, &format!("description: {}", quoted_yaml(&tool.description)));
    out.mark(from, TextPart::Description(index));
    if operation.deprecated {
        out.line(6, "deprecated: true");
    }
    let mut inputs = tool.inputs().filter(|(_, input)| input.is_in_tools()).peekable();
    if inputs.peek().is_some() {
        out.line(6, "params:");
        for (at, input) in inputs {
            let from = out.text.len();
            let default = write_param(tool, at, input, out);
            out.mark(from, TextPart::Param(index, at));
            out.parts.extend(default.map(|range| (range, TextPart::Default(index, at))));
        }
    }
    let has_body = operation.body_rules.open
        || operation.body_rules.required
        || tool.inputs().any(|(_, input)| input.location == ParamLocation::Body);
    match &operation.body {
        _ if !has_body => {}
        BodyEncoding::None | BodyEncoding::Json(None) => {}
        BodyEncoding::Json(Some(media)) | BodyEncoding::Raw(media) => {
            out.line(6, &format!("content_type: {}", quoted_yaml(media)));
        }
        BodyEncoding::Form => out.line(6, "content_type: application/x-www-form-urlencoded"),
        BodyEncoding::Multipart => out.line(6, "content_type: multipart/form-data"),
    }
    if let Some(media) = &operation.answer.file {
        match media {
            Some(media) => {
                let media = quoted_yaml(media);
                out.line(6, &format!("response: {{ binary: true, content_type: {media} }}"));
            }
            None => out.line(6, "response: { binary: true }"),
        }
    } else if operation.answer.is_stream {
        out.line(6, "response: { streaming: true }");
    } else if let [media] = operation.answer.media.as_slice() {
        out.line(6, &format!("response: {{ content_type: {} }}", quoted_yaml(media)));
    }
    if let Some(pages) = &tool.pages {
        let from = out.text.len();
        write_pages(pages, out);
        out.mark(from, TextPart::Pages(index));
    }
    out.mark(start, TextPart::Tool(index));
}

/// Writes a parameter, and returns where its default is.
fn write_param(
    tool: &ToolDraft<'_>,
    at: usize,
    input: &OperationInput,
    out: &mut WrittenDescriptor,
) -> Option<Range<usize>> {
    let from = out.text.len() + INDENT;
    let place = input.location.as_str();
    let mut line =
        format!("{}: {{ type: {}, in: {place}", quoted_yaml(&input.name), kind_word(input.kind));
    if input.required {
        line.push_str(", required: true");
    }
    let default = tool.default(at, input).map(|default| {
        let start = from + line.len();
        line.push_str(&format!(", default: {}", requests::flow_yaml(default)));
        start..from + line.len()
    });
    let description = tool.param_description(at, input);
    if !description.is_empty() {
        line.push_str(&format!(", description: {}", quoted_yaml(description)));
    }
    line.push_str(" }");
    if input.is_guess {
        line.push_str(" # review: the type is a guess");
    }
    out.line(INDENT, &line);
    default
}

fn write_pages(pages: &PageGuess, out: &mut WrittenDescriptor) {
    let pairs = |pairs: &[(&str, String)]| -> String {
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{key}: {}", quoted_yaml(value))).collect();
        pairs.join(", ")
    };
    out.line(6, "pagination: # review: guessed from the names of parameters");
    out.line(8, &format!("strategy: {}", pages.strategy));
    out.line(8, "behavior: expose");
    out.line(8, &format!("request: {{ {} }}", pairs(&pages.request)));
    if !pages.response.is_empty() {
        out.line(8, &format!("response: {{ {} }}", pairs(&pages.response)));
    }
}

fn level_word(access: &AccessLevel) -> &str {
    access.as_str()
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// `1.2` or `1.2.3`, and a suffix.
fn is_version(text: &str) -> bool {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, suffix) = text.split_at_checked(end).unwrap_or((text, ""));
    let parts: Vec<&str> = numbers.split('.').collect();
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| {
            !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit())
        })
        && suffix.len() != 1
        && suffix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
}
