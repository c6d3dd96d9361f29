//! `_dadl_mcp.uploads`: what an upload must be like, and which tool knows.

use super::context::{LowerContext, MappingPlace, YamlSection, YamlText};
use crate::{
    code,
    model::{AccessLevel, BodyKind, Descriptor, Param, ParamLocation, Shared, Tool, UploadSize},
    yaml::YamlValue,
};

const KEYS: &[&str] = &["size"];
const SIZE_KEYS: &[&str] = &["tool", "path"];

/// Reads `uploads` of the extension into the tools that it names.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(entry) = extension.entry("uploads") else { return };
    let place = MappingPlace::Key("uploads");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else { return };
    for entry in section.entries() {
        let place = MappingPlace::Named("upload", &entry.key);
        let Some(rules) = context.section(&entry.value, &entry.key_span, place, KEYS) else {
            continue;
        };
        let name = YamlText { value: &entry.key, span: entry.key_span.clone() };
        let upload = uploading_tool(&name, &descriptor.tools, context);
        let size =
            lower_size(&rules, upload.and_then(|at| descriptor.tools.get(at)), descriptor, context);
        if let Some(tool) = upload.and_then(|at| descriptor.tools.get_mut(at)) {
            tool.upload_size = size.map(Box::new);
        }
    }
}

/// Finds a tool whose body is one file.
fn uploading_tool<'tree>(
    name: &YamlText<'tree>,
    tools: &[Tool],
    context: &mut LowerContext<'tree>,
) -> Option<usize> {
    let found = tools.iter().position(|tool| tool.name == name.value);
    if let Some(tool) = found.and_then(|at| tools.get(at)) {
        if matches!(tool.body(), Some(BodyKind::Raw(_))) {
            return found;
        }
        let message = format!("the body of the tool `{}` is not one file", name.value);
        context
            .error(code::UPLOAD_TOOL, &name.span, message)
            .label("only the length of a whole body is checked")
            .help("name a tool whose `content_type` is that of a file");
        return None;
    }
    report_missing_tool(name, tools, code::UPLOAD_TOOL, context);
    None
}

fn lower_size<'tree>(
    rules: &YamlSection<'tree>,
    upload: Option<&Tool>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<UploadSize> {
    let section = context.subsection(rules, "size", SIZE_KEYS)?;
    let name = context.required_text(&section, "tool");
    let path = match section.entry("path").map(|entry| &entry.value.value) {
        None | Some(YamlValue::Null) => {
            context
                .report_missing(&section, "path")
                .help("write where the length is: `path: $.size`");
            None
        }
        Some(_) => context.json_path(&section, "path"),
    };
    let tool = asked_tool(&name?, upload, &descriptor.tools, context)?;
    Some(UploadSize { tool, path: path? })
}

/// Finds the tool that is asked for the length: one that only reads, and that can be called with
/// what the upload is called with.
fn asked_tool<'tree>(
    name: &YamlText<'tree>,
    upload: Option<&Tool>,
    tools: &[Tool],
    context: &mut LowerContext<'tree>,
) -> Option<Tool> {
    let Some(tool) = tools.iter().find(|tool| tool.name == name.value) else {
        report_missing_tool(name, tools, code::UPLOAD_SIZE, context);
        return None;
    };
    let mut refuse = |message: String, help: &str| {
        context.error(code::UPLOAD_SIZE, &name.span, message).help(help.to_owned());
        None
    };
    if !tool.method().is_safe()
        || tool.access.as_ref().is_some_and(|access| *access != AccessLevel::Read)
    {
        let message = format!("the tool `{}` may change something", tool.name);
        return refuse(message, "name a GET with `access: read`");
    }
    if tool.response.binary || tool.response.streaming.is_declared {
        let message = format!("the answer of the tool `{}` is no JSON", tool.name);
        return refuse(message, "name a tool whose answer has the length in it");
    }
    let upload = upload?;
    let is_given = |param: &Shared<Param>| {
        upload
            .params
            .iter()
            .any(|known| known.name == param.name && !known.is_in(ParamLocation::Body))
    };
    let missing = tool.params.iter().find(|param| param.is_needed() && !is_given(param));
    if let Some(missing) = missing {
        let message = format!(
            "the tool `{}` requires `{}`, which `{}` does not have",
            tool.name, missing.name, upload.name
        );
        return refuse(message, "name a tool that is called with the same parameters");
    }
    let mut tool = tool.clone();
    tool.params.retain(|param| is_given(param) || param.default.is_some());
    if let Some(http) = tool.http_mut() {
        http.pagination = None;
    }
    tool.upload_size = None;
    Some(tool)
}

pub(super) fn report_missing_tool<'tree>(
    name: &YamlText<'tree>,
    tools: &[Tool],
    code: crate::diagnostic::RuleCode,
    context: &mut LowerContext<'tree>,
) {
    let names = tools.iter().map(|tool| tool.name.as_str());
    let meant = context.nearest_tool(name.value, names);
    let message = format!("the file has no tool `{}`", name.value);
    context.error(code, &name.span, message).meant(meant);
}
