//! `tools`: one operation each.

use std::collections::{BTreeSet, HashMap};

use http::HeaderName;

use super::{
    body,
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    defaults,
    defaults::Defaults,
    errors, jsonrpc,
    meta::description,
    pagination, params, response, types,
};
use crate::{
    code,
    model::{
        AccessLevel, AuthScheme, BodyKind, BodyRules, Deprecation, Pagination, Param,
        ParamLocation, RequestMethod, RestOperation, RpcMethod, Shared, Tool, ToolRequest,
        template::{OtherHost, PathTemplate},
    },
    units,
    yaml::{YamlEntry, YamlValue},
};

const KEYS: &[&str] = &[
    "method",
    "path",
    "rpc_method",
    "access",
    "description",
    "params",
    "content_type",
    "nest_body_keys",
    "max_body_size",
    "depends_on",
    "response",
    "pagination",
    "errors",
    "returns",
    "idempotency",
    "deprecated",
    "retry_unsafe",
    "replaced_by",
];

/// So many placeholders of a path are reported.
const MAX_PLACEHOLDERS: usize = 20;

/// Longer paths are no paths, and each placeholder is looked for among the parameters.
const MAX_PATH_BYTES: usize = 4096;

/// Lowers all tools and gives each its hints; the hints of composites are left.
pub(super) fn lower_all<'tree>(
    backend: &YamlSection<'tree>,
    defaults: &Defaults<'tree>,
    auth: Option<&AuthScheme>,
    names: &BTreeSet<&'tree str>,
    types: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> (Vec<Tool>, HintsByTool<'tree>) {
    let Some(entry) = backend.entry("tools") else {
        context.report_missing(backend, "tools");
        return Default::default();
    };
    let section = match &entry.value.value {
        YamlValue::Null => None,
        _ => {
            let place = MappingPlace::Key("tools");
            let Some(section) = context.open(&entry.value, &entry.key_span, place) else {
                return Default::default();
            };
            Some(section).filter(|section| !section.entries().is_empty())
        }
    };
    let Some(section) = section else {
        context
            .error(code::NO_TOOLS, &entry.key_span, "the backend has no tools")
            .help("describe at least one operation");
        return Default::default();
    };
    let mut hints = lower_hints(backend, names, context);
    // A tool is large, and nearly every entry is one: room for twice as many would stay.
    let mut tools = Vec::with_capacity(section.entries().len());
    tools.extend(section.entries().iter().filter_map(|entry| {
        let mut tool = lower(entry, defaults, auth, names, types, context)?;
        tool.hints = hints.remove(entry.key.as_ref()).unwrap_or_default();
        Some(tool)
    }));
    (tools, hints)
}

/// Returns the parameters in a list that has room for no more: to collect them would keep the room that
/// their entries had.
fn without_entries(params: Vec<(Param, &YamlEntry<'_>)>) -> Vec<Shared<Param>> {
    let mut alone = Vec::with_capacity(params.len());
    alone.extend(params.into_iter().map(|(param, _)| param.into()));
    alone
}

fn lower<'tree>(
    entry: &'tree YamlEntry<'tree>,
    defaults: &Defaults<'tree>,
    auth: Option<&AuthScheme>,
    names: &BTreeSet<&'tree str>,
    types: &[&'tree str],
    context: &mut LowerContext<'tree>,
) -> Option<Tool> {
    let name = entry.key.as_ref();
    check_name(entry, context);
    let place = MappingPlace::Named("tool", name);
    if matches!(entry.value.value, YamlValue::Null) {
        context.error(code::MISSING_KEY, &entry.key_span, format!("{place} has no keys"));
        return None;
    }
    let section = context.section(&entry.value, &entry.key_span, place, KEYS)?;
    let (target, params) = match &defaults.rpc {
        Some(shared) => lower_rpc_target(&section, shared, context),
        None => lower_rest_target(&section, auth, defaults, context),
    };
    let description = description(&section, context);
    let nest_body_keys =
        defaults::nest_body_keys(&section, context).unwrap_or(defaults.nest_body_keys);
    let max_body_size = max_body_size(&section, context);
    let returns = types::lower_returns(&section, types, context);
    let idempotency = lower_idempotency(&section, &params, defaults, context);
    context.since_v02(&section, "retry_unsafe");
    let response = response::lower(&section, context);
    let response = match response {
        // A tool's own rules replace the defaults, but nothing takes a redaction back.
        Some(mut rules) => {
            rules.redact.extend(defaults.response.redact.iter().cloned());
            rules.into()
        }
        None => defaults.response.clone(),
    };
    let request = match target {
        RequestTarget::Http { method, path, body } => {
            let pagination = lower_pagination(&section, method, response.binary, defaults, context);
            let target = method.zip(path);
            target.map(|(method, path)| {
                let rules = BodyRules::default();
                ToolRequest::Http(RestOperation {
                    method,
                    path,
                    body,
                    pagination,
                    rules,
                    accept: None,
                })
            })
        }
        RequestTarget::Rpc(rpc) => rpc.map(ToolRequest::Rpc),
    };
    let errors = errors::lower(&section, context);
    let errors = errors.map_or_else(|| defaults.errors.clone(), Shared::from);
    let access = context.text(&section, "access").map(|text| AccessLevel::from_word(text.value));
    let retry_unsafe = context.boolean(&section, "retry_unsafe").unwrap_or_default();
    let deprecated = lower_deprecation(&section, names, context);
    let depends_on = context.texts(&section, "depends_on");
    for text in &depends_on {
        unknown_tool(text.value, &text.span, "depends_on", names, context);
    }
    Some(Tool {
        access,
        description,
        params: without_entries(params),
        nest_body_keys,
        max_body_size,
        idempotency: idempotency.map(Box::new),
        headers: defaults.headers.fields.clone(),
        errors,
        response,
        retry_unsafe,
        deprecated: deprecated.map(Box::new),
        depends_on: depends_on.into_iter().map(|text| text.value.to_owned()).collect(),
        returns: returns.map(Box::new),
        ..Tool::new(name.to_owned(), request?)
    })
}

/// Where a tool sends what, as far as it is right.
enum RequestTarget {
    Http { method: Option<RequestMethod>, path: Option<PathTemplate>, body: BodyKind },
    Rpc(Option<RpcMethod>),
}

/// The parameters of a tool, each with its place in the file.
type PlacedParams<'tree> = Vec<(Param, &'tree YamlEntry<'tree>)>;

/// Reads an operation of a REST API.
fn lower_rest_target<'tree>(
    section: &YamlSection<'tree>,
    auth: Option<&AuthScheme>,
    defaults: &Defaults<'tree>,
    context: &mut LowerContext<'tree>,
) -> (RequestTarget, PlacedParams<'tree>) {
    jsonrpc::refuse_name(section, context);
    let methods = RequestMethod::ALL.map(|method| (method.as_str(), method));
    let method = context.required_text(section, "method");
    let method = method.and_then(|text| context.choice(&text, "method", &methods));
    let mut params = params::lower(section, auth, context);
    let path = lower_path(section, &params, context);
    let body = body::lower_body_kind(section, method, &params, defaults, context);
    for (param, _) in &mut params {
        body.settle(param);
    }
    (RequestTarget::Http { method, path, body }, params)
}

/// Reads a method of a JSON-RPC API.
fn lower_rpc_target<'tree>(
    section: &YamlSection<'tree>,
    shared: &jsonrpc::JsonRpcShared,
    context: &mut LowerContext<'tree>,
) -> (RequestTarget, PlacedParams<'tree>) {
    let rpc = shared.lower_method(section, context);
    let params = params::lower_for_rpc(section, context);
    (RequestTarget::Rpc(rpc), params)
}

/// Reads the field of the idempotency key; it must be nobody else's.
fn lower_idempotency<'tree>(
    tool: &YamlSection<'tree>,
    params: &[(Param, &'tree YamlEntry<'tree>)],
    defaults: &Defaults<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<HeaderName> {
    let section = context.subsection(tool, "idempotency", &["header", "generate"])?;
    if let Some(entry) = tool.entry("idempotency") {
        context.since_v02(tool, "idempotency");
        context.requires_feature(entry, "idempotency");
    }
    if let Some(text) = context.text(&section, "generate") {
        context.choice(&text, "key generator", &[("uuid_v4", ())]);
    }
    let text = context.required_text(&section, "header")?;
    let name = match params::header_name(text.value, None) {
        Ok(name) => name,
        Err(error) => {
            context.error(code::HEADER_PARAM, &text.span, error.to_string());
            return None;
        }
    };
    let is_param = params.iter().any(|(param, _)| {
        param.is_in(ParamLocation::Header) && param.name.eq_ignore_ascii_case(name.as_str())
    });
    let is_default = defaults.headers.fields.iter().any(|(field, _)| *field == name);
    if is_param || is_default {
        let other = if is_param { "a parameter" } else { "a default header" };
        let message = format!("the header `{}` is set by {other} already", text.value);
        context.error(code::HEADER_PARAM, &text.span, message);
        return None;
    }
    Some(name)
}

pub(super) fn check_name<'tree>(entry: &'tree YamlEntry<'tree>, context: &mut LowerContext<'tree>) {
    let name = entry.key.as_ref();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if !is_name {
        context
            .error(code::TOOL_NAME, &entry.key_span, format!("`{name}` is not a tool name"))
            .help("begin with a letter or `_`, go on with letters, digits, `_`, `-` and `.`");
    }
}

/// Lowers the path and compares its placeholders with the path parameters.
fn lower_path<'tree>(
    section: &YamlSection<'tree>,
    params: &[(Param, &'tree YamlEntry<'tree>)],
    context: &mut LowerContext<'tree>,
) -> Option<PathTemplate> {
    let text = context.required_text(section, "path")?;
    if text.value.len() > MAX_PATH_BYTES {
        let message = format!("the path is longer than {MAX_PATH_BYTES} bytes");
        context.error(code::PATH, &text.span, message);
        return None;
    }
    let template = context.template_of_tool(&text)?;
    if template.elsewhere() == Some(&OtherHost::Unclear) {
        // Nothing is ever put into it.
        return Some(template);
    }
    let in_path = || params.iter().filter(|(param, _)| param.is_in(ParamLocation::Path));
    let has_param = |name: &&str| in_path().any(|(param, _)| param.name == *name);
    for name in template.placeholders().filter(|name| !has_param(name)).take(MAX_PLACEHOLDERS) {
        let braced = format!("{{{name}}}");
        let at = text.value.find(&braced).unwrap_or_default();
        let span = text.part(context.source, &(at..at + braced.len()));
        let elsewhere = params.iter().any(|(param, _)| param.name == name);
        let names = in_path().map(|(param, _)| param.name.as_str());
        let meant = context.nearest(name, names).map(|meant| format!("{{{meant}}}"));
        let finding = context.error(
            code::PLACEHOLDER,
            &span,
            format!("the placeholder `{braced}` has no path parameter"),
        );
        finding.label("no entry under `params` with `in: path`");
        if elsewhere {
            finding.help(format!("write `in: path` for the parameter `{name}`"));
        } else {
            finding.meant_or(meant.as_deref(), || {
                format!("declare `{name}: {{type: string, in: path}}`")
            });
        }
    }
    for (param, entry) in in_path() {
        if !template.placeholders().any(|name| name == param.name) {
            context
                .error(
                    code::UNUSED_PATH_PARAM,
                    &entry.key_span,
                    format!("the path has no placeholder `{{{}}}`", param.name),
                )
                .help("add the placeholder to the path, or send the parameter elsewhere");
        }
    }
    Some(template)
}

fn max_body_size<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<u64> {
    let YamlText { value, span } = context.text(section, "max_body_size")?;
    let size = units::parse_size(value);
    if size.is_none() {
        context
            .error(code::SIZE, &span, format!("`max_body_size` is not a size: `{value}`"))
            .help("write a number and a unit, such as `500KB` or `10MB`");
    }
    size
}

/// Returns the pagination of a tool: its own, or the default for a GET that returns data.
///
/// `pagination: none` switches the default off.
fn lower_pagination<'tree>(
    section: &YamlSection<'tree>,
    method: Option<RequestMethod>,
    is_binary: bool,
    defaults: &Defaults<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Shared<Pagination>> {
    let Some(entry) = section.entry("pagination") else {
        let is_list = method == Some(RequestMethod::Get) && !is_binary;
        return defaults.pagination.clone().filter(|_| is_list);
    };
    if let YamlValue::String(text) = &entry.value.value {
        if text != "none" {
            context
                .error(
                    code::UNKNOWN_VALUE,
                    &entry.value.span,
                    format!("unknown pagination `{text}`"),
                )
                .help("write `none`, or a mapping with a `strategy`");
        }
        return None;
    }
    pagination::lower(section, context).map(Shared::from)
}

/// Lowers `deprecated` and `replaced_by`; a successor alone deprecates too.
fn lower_deprecation<'tree>(
    section: &YamlSection<'tree>,
    names: &BTreeSet<&'tree str>,
    context: &mut LowerContext<'tree>,
) -> Option<Deprecation> {
    context.since_v02(section, "deprecated");
    context.since_v02(section, "replaced_by");
    let replaced_by = context.text(section, "replaced_by");
    if let Some(text) = &replaced_by {
        unknown_tool(text.value, &text.span, "replaced_by", names, context);
    }
    let (is_deprecated, reason) = match section.entry("deprecated").map(|entry| &entry.value) {
        None => (replaced_by.is_some(), None),
        Some(node) => match &node.value {
            YamlValue::Bool(value) => (*value, None),
            _ => {
                let text = context.node_text(node, "`deprecated`");
                (text.is_some(), text.map(|text| text.value.to_owned()))
            }
        },
    };
    let replaced_by = replaced_by.map(|text| text.value.to_owned());
    is_deprecated.then_some(Deprecation { reason, replaced_by })
}

/// Reports a reference to a tool that is not there.
pub(super) fn unknown_tool<'tree>(
    name: &str,
    span: &std::ops::Range<usize>,
    key: &str,
    names: &BTreeSet<&'tree str>,
    context: &mut LowerContext<'tree>,
) {
    if names.contains(name) {
        return;
    }
    let meant = context.nearest_tool(name, names.iter().copied());
    let message = format!("`{key}` names the tool `{name}`, which does not exist");
    context.warning(code::UNKNOWN_TOOL, span, message).meant(meant);
}

/// The hints of each tool, by its name.
pub(super) type HintsByTool<'tree> = HashMap<&'tree str, Vec<(String, String)>>;

fn lower_hints<'tree>(
    backend: &YamlSection<'tree>,
    names: &BTreeSet<&'tree str>,
    context: &mut LowerContext<'tree>,
) -> HintsByTool<'tree> {
    let mut hints = HintsByTool::new();
    let Some(entry) = backend.entry("hints") else { return hints };
    let place = MappingPlace::Key("hints");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else { return hints };
    for entry in section.entries() {
        unknown_tool(&entry.key, &entry.key_span, "hints", names, context);
        let place = MappingPlace::Named("hints of", &entry.key);
        let Some(section) = context.open(&entry.value, &entry.key_span, place) else { continue };
        let texts = section.entries().iter().filter_map(|hint| match &hint.value.value {
            YamlValue::String(text) | YamlValue::Number(_, text) => {
                Some((hint.key.clone().into_owned(), text.clone().into_owned()))
            }
            YamlValue::Bool(value) => Some((hint.key.clone().into_owned(), value.to_string())),
            YamlValue::Mapping(_) | YamlValue::Null | YamlValue::Sequence(_) => {
                context
                    .warning(
                        code::HINT_VALUE,
                        &hint.value.span,
                        format!("the hint `{}` is {}", hint.key, hint.value.kind()),
                    )
                    .label("ignored when the file is served")
                    .help("write one text, number or boolean for each hint");
                None
            }
        });
        hints.insert(&entry.key, texts.collect());
    }
    hints
}
