//! Header fields and the form of the request body.

use mime::Mime;

use super::{
    context::{LowerContext, YamlSection, YamlText},
    defaults::Defaults,
};
use crate::{
    code,
    model::{BodyKind, Param, ParamKind, ParamLocation, RequestMethod, Tool},
    yaml::YamlEntry,
};

/// A parameter with its place in the file.
type DeclaredParam<'tree> = (Param, &'tree YamlEntry<'tree>);

/// Decides how the body parameters of a tool become a body.
///
/// The tool's own `content_type` counts before the default one. A default says nothing about a
/// tool without body parameters, since such a tool sends no body.
pub(super) fn lower_body_kind<'tree>(
    tool: &YamlSection<'tree>,
    method: Option<RequestMethod>,
    params: &[DeclaredParam<'tree>],
    defaults: &Defaults<'tree>,
    context: &mut LowerContext<'tree>,
) -> BodyKind {
    let body: Vec<&DeclaredParam<'_>> =
        params.iter().filter(|(param, _)| param.is_in(ParamLocation::Body)).collect();
    refuse_files_elsewhere(params, context);
    // Outside of a multipart body a file is the whole body, whatever its type is.
    let file = body.iter().find(|(param, _)| is_file(param)).map(|(_, entry)| *entry);
    let own = context.text(tool, "content_type");
    let inherited = defaults.content_type.clone().filter(|_| !body.is_empty());
    let is_own = own.is_some();
    let kind = match own.or(inherited) {
        Some(text) => content_type(&text, context).map(|mime| (mime, text)),
        None if file.is_some() => {
            Some((mime::APPLICATION_OCTET_STREAM, YamlText { value: "", span: tool.span.clone() }))
        }
        None => Some((mime::APPLICATION_JSON, YamlText { value: "", span: tool.span.clone() })),
    };
    let Some((mime, text)) = kind else { return BodyKind::Json };
    let is_multipart = mime.type_() == mime::MULTIPART;
    if let Some(entry) = file.filter(|_| !is_own && !is_multipart) {
        context
            .warning(
                code::FILE_TYPE,
                &entry.key_span,
                format!("the file `{}` has no content type of its own", entry.key),
            )
            .label(format!("sent as {mime}"))
            .help("write `content_type: multipart/form-data`, or the type of the file");
    }
    if let Some(kind) = member_encoding(&mime).filter(|_| file.is_none()) {
        return kind;
    }
    let has_body =
        !matches!(method, Some(RequestMethod::Delete | RequestMethod::Get | RequestMethod::Head));
    if body.is_empty() && is_own && !has_body {
        context
            .warning(code::INERT, &text.span, "`content_type` has no effect without a body")
            .help("the type of the answer belongs into `response.content_type`");
        return BodyKind::Json;
    }
    match body.as_slice() {
        [] => refuse_twin_of_file(params, context),
        _ if is_multipart => {}
        whole => check_whole(whole, &mime, context),
    }
    if is_multipart { BodyKind::Multipart } else { BodyKind::Raw(Box::new(mime)) }
}

fn is_file(param: &Param) -> bool {
    param.kind == ParamKind::FileUrl
}

/// Returns the kind of a body whose members are the parameters, when `mime` is the type of one.
fn member_encoding(mime: &Mime) -> Option<BodyKind> {
    if mime.essence_str() == mime::APPLICATION_WWW_FORM_URLENCODED.essence_str() {
        Some(BodyKind::Form)
    } else if mime.suffix() == Some(mime::JSON) {
        Some(BodyKind::JsonAs(Box::new(mime.clone())))
    } else {
        is_json(mime).then_some(BodyKind::Json)
    }
}

/// Reports files that are sent in another place than the body.
fn refuse_files_elsewhere(params: &[DeclaredParam<'_>], context: &mut LowerContext<'_>) {
    for (param, entry) in params {
        if is_file(param) && !param.is_in(ParamLocation::Body) {
            let message = format!("the file `{}` is not in the body", param.name);
            context
                .error(code::FILE_PLACE, &entry.key_span, message)
                .help("write `in: body`; a URL that the API fetches itself is `type: string`");
        }
    }
}

/// Reports a parameter that has the name of the synthetic one.
fn refuse_twin_of_file(params: &[DeclaredParam<'_>], context: &mut LowerContext<'_>) {
    let twin = params.iter().find(|(param, _)| param.name == Tool::RAW_BODY_PARAM);
    if let Some((_, entry)) = twin {
        context
            .error(code::RAW_BODY, &entry.key_span, "this parameter has the name of the raw body")
            .help("declare a body parameter of the type `file_url` with another name");
    }
}

/// Reports what keeps the body parameters from being the whole body.
fn check_whole(body: &[&DeclaredParam<'_>], mime: &Mime, context: &mut LowerContext<'_>) {
    match body {
        [] => {}
        [(param, entry)] => {
            if !matches!(param.kind, ParamKind::FileUrl | ParamKind::String) {
                context
                    .error(
                        code::RAW_BODY,
                        &entry.key_span,
                        format!("`{}` is the whole body and must be text or a file", param.name),
                    )
                    .help("write `type: file_url` or `type: string`");
            }
        }
        [_, (param, entry), ..] => {
            let help = if body.iter().any(|(param, _)| is_file(param)) {
                "move the others to `in: query`, or use `multipart/form-data`"
            } else {
                "move the others to `in: query`, or use `application/json`"
            };
            context
                .error(
                    code::RAW_BODY,
                    &entry.key_span,
                    format!("a body of the type `{mime}` has a single parameter"),
                )
                .label(format!("`{}` is one too many", param.name))
                .help(help);
        }
    }
}

/// Reads a content type (RFC 9110, section 8.3.1).
fn content_type<'tree>(text: &YamlText<'tree>, context: &mut LowerContext<'tree>) -> Option<Mime> {
    let Ok(mime) = text.value.parse::<Mime>() else {
        context
            .error(
                code::CONTENT_TYPE,
                &text.span,
                format!("`{}` is not a content type", text.value),
            )
            .help("write a type and a subtype, such as `application/json`");
        return None;
    };
    if mime.type_() == mime::MULTIPART && mime.subtype() != mime::FORM_DATA {
        context
            .error(
                code::MULTIPART,
                &text.span,
                format!("a body of the type `{}` cannot be built", mime.essence_str()),
            )
            .help("the one multipart type is `multipart/form-data`");
        return None;
    }
    Some(mime)
}

fn is_json(mime: &Mime) -> bool {
    mime.essence_str() == mime::APPLICATION_JSON.essence_str()
}
