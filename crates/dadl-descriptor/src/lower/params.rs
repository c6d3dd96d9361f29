//! `params` of a tool.

use dadl_text::names::{header, param as names_of};
use http::HeaderName;
use serde_json::Value as Json;

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    code,
    model::{AuthScheme, Param, ParamKind, ParamLocation, ParamRole},
    yaml::{YamlEntry, YamlNode, YamlValue},
};

const KEYS: &[&str] = &["type", "in", "required", "default", "description"];

const KEYS_FOR_SCRIPT: &[&str] = &["type", "required", "default", "description"];

pub(super) const KINDS: [(&str, ParamKind); 7] = [
    ("string", ParamKind::String),
    ("integer", ParamKind::Integer),
    ("number", ParamKind::Number),
    ("boolean", ParamKind::Boolean),
    ("array", ParamKind::Array),
    ("object", ParamKind::Object),
    ("file_url", ParamKind::FileUrl),
];

/// Why no descriptor may set a header field. The author's fault.
#[derive(Debug, thiserror::Error)]
pub(in crate::lower) enum HeaderNameError<'name> {
    /// It is where the credential goes.
    #[error("the header `{0}` carries the credential")]
    Credential(&'name str),
    /// No field has such a name.
    #[error("`{0}` is not the name of a header")]
    Malformed(&'name str),
    /// Nobody else sets it.
    #[error("the header `{0}` is set by the program only")]
    Ours(&'name str),
}

/// Returns the parsed name of a header field that a descriptor may set.
pub(in crate::lower) fn header_name<'name>(
    name: &'name str,
    auth: Option<&AuthScheme>,
) -> Result<HeaderName, HeaderNameError<'name>> {
    let field = HeaderName::from_bytes(name.as_bytes());
    let field = field.map_err(|_| HeaderNameError::Malformed(name))?;
    if header::is_ours(field.as_str()) {
        return Err(HeaderNameError::Ours(name));
    }
    if auth.is_some_and(|auth| auth.uses_header(&field)) {
        return Err(HeaderNameError::Credential(name));
    }
    Ok(field)
}

/// Returns the entries of `params`.
fn param_entries<'tree>(
    parent: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> &'tree [YamlEntry<'tree>] {
    let Some(entry) = parent.entry("params") else { return &[] };
    let section = context.open(&entry.value, &entry.key_span, MappingPlace::Key("params"));
    section.map_or(&[], |section| section.entries())
}

/// Lowers the `params` of a tool; each comes with the entry it was read from.
pub(super) fn lower<'tree>(
    tool: &YamlSection<'tree>,
    auth: Option<&AuthScheme>,
    context: &mut LowerContext<'tree>,
) -> Vec<(Param, &'tree YamlEntry<'tree>)> {
    param_entries(tool, context)
        .iter()
        .filter_map(|entry| Some((lower_param(entry, auth, None, KEYS, context)?, entry)))
        .collect()
}

/// Lowers the `params` of a composite, which have no place in a request.
pub(super) fn lower_for_script<'tree>(
    composite: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<Param> {
    param_entries(composite, context)
        .iter()
        .filter_map(|entry| {
            lower_param(entry, None, Some(ParamRole::Script), KEYS_FOR_SCRIPT, context)
        })
        .collect()
}

/// Lowers the `params` of a JSON-RPC method: all of them are members of the request's `params`, and
/// need not say so.
pub(super) fn lower_for_rpc<'tree>(
    tool: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<(Param, &'tree YamlEntry<'tree>)> {
    let params = param_entries(tool, context).iter().filter_map(|entry| {
        let place = entry.value.entries().iter().find(|it| it.key == "in").map(|it| &it.value);
        if let Some(place) = place.filter(|place| place.text() != Some("body")) {
            let message = format!("`{}` cannot be anywhere but in `params`", entry.key);
            context
                .error(code::RPC_PARAM, &place.span, message)
                .help("remove `in`, or write `in: body`");
            return None;
        }
        let role = ParamRole::Sent(ParamLocation::Body);
        let param = lower_param(entry, None, Some(role), KEYS, context)?;
        if param.kind == ParamKind::FileUrl {
            let message = format!("the file `{}` cannot be a member of JSON", entry.key);
            context
                .error(code::RPC_PARAM, &entry.key_span, message)
                .help("a URL that the API fetches itself is `type: string`");
            return None;
        }
        Some((param, entry))
    });
    params.collect()
}

/// Reads one parameter; `role` is what becomes of it when that is no choice of the author.
fn lower_param<'tree>(
    entry: &'tree YamlEntry<'tree>,
    auth: Option<&AuthScheme>,
    role: Option<ParamRole>,
    keys: &[&'static str],
    context: &mut LowerContext<'tree>,
) -> Option<Param> {
    let name = entry.key.as_ref();
    let place = MappingPlace::Named("parameter", name);
    let section = context.section(&entry.value, &entry.key_span, place, keys)?;
    let kind = context.required_text(&section, "type");
    let kind = kind.and_then(|text| context.choice(&text, "parameter type", &KINDS));
    let role = role.or_else(|| {
        let text = context.required_text(&section, "in")?;
        let locations = ParamLocation::ALL.map(|location| (location.as_str(), location));
        context.choice(&text, "parameter place", &locations).map(ParamRole::Sent)
    });
    let is_usable = match role {
        Some(ParamRole::Sent(ParamLocation::Body | ParamLocation::Query)) => {
            names_of::is_usable_with_blanks(name)
        }
        _ => names_of::is_usable(name),
    };
    if !is_usable {
        context.error(code::TOOL_NAME, &entry.key_span, "a parameter needs a name without spaces");
    }
    let required = context.boolean(&section, "required");
    if role == Some(ParamRole::Sent(ParamLocation::Path))
        && required == Some(false)
        && let Some(entry) = section.entry("required")
    {
        context
            .warning(
                code::OPTIONAL_PATH_PARAM,
                &entry.value.span,
                format!("the path parameter `{name}` cannot be optional"),
            )
            .label("counts as `true`")
            .help("write `required: true`, or describe the path without it as another tool")
            .fix(entry.value.span.clone(), "true");
    }
    if role == Some(ParamRole::Sent(ParamLocation::Header))
        && let Err(error) = header_name(name, auth)
    {
        context.error(code::HEADER_PARAM, &entry.key_span, error.to_string());
    }
    let kind = kind?;
    let default =
        section.entry("default").and_then(|entry| lower_default(&entry.value, kind, context));
    let description = context.string(&section, "description");
    let role = role?;
    Some(Param {
        required: required.unwrap_or_default() || role == ParamRole::Sent(ParamLocation::Path),
        default: default.map(Box::new),
        description,
        ..Param::new(name, role, kind)
    })
}

/// Reads a default as its parameter's type: a lossless spelling is taken with a warning.
fn lower_default(
    node: &YamlNode<'_>,
    kind: ParamKind,
    context: &mut LowerContext<'_>,
) -> Option<Json> {
    let (wanted, _) = KINDS.iter().find(|(_, other)| *other == kind)?;
    let json = match (&node.value, kind) {
        (YamlValue::Null, _) => return None,
        (YamlValue::Number(number, _), ParamKind::Integer) if !number.is_f64() => {
            return Some(number.clone().into());
        }
        (YamlValue::Number(number, _), ParamKind::Number) => return Some(number.clone().into()),
        (YamlValue::Bool(_), ParamKind::Boolean)
        | (YamlValue::String(_), ParamKind::String)
        | (YamlValue::Sequence(_), ParamKind::Array)
        | (YamlValue::Mapping(_), ParamKind::Object) => return Some(node.to_json()),
        (YamlValue::Number(_, text), ParamKind::String) => Some(text.as_ref().into()),
        (YamlValue::Bool(value), ParamKind::String) => Some(value.to_string().into()),
        (YamlValue::String(text), _) => parse_default(text, kind),
        _ => None,
    };
    let found = node.kind();
    let message = format!("the default of this `{wanted}` parameter is {found}");
    match &json {
        Some(value) => context
            .warning(code::DEFAULT_TYPE, &node.span, message)
            .label(format!("read as `{value}`"))
            .help(format!("write {value}"))
            .fix(node.span.clone(), value.to_string()),
        None => context
            .error(code::DEFAULT_TYPE, &node.span, message)
            .help(format!("write a value of the type `{wanted}`, or remove the default")),
    };
    json
}

/// Reads text as a value of another type (`"5"`, `"true"`, `"[]"`).
fn parse_default(text: &str, kind: ParamKind) -> Option<Json> {
    let value: Json = serde_json::from_str(text).ok()?;
    let fits = match kind {
        ParamKind::Array => value.is_array(),
        ParamKind::Boolean => value.is_boolean(),
        ParamKind::Integer => value.is_i64() || value.is_u64(),
        ParamKind::Number => value.is_number(),
        ParamKind::Object => value.is_object(),
        ParamKind::FileUrl | ParamKind::String | ParamKind::Union(_) => false,
    };
    fits.then_some(value)
}
