//! The body of a request and its content type.

use std::borrow::Cow;

use dadl_descriptor::model::{
    BodyKind, KindList, Param, ParamKind, ParamLocation, ParamStyle, Tool, ToolRequest, WholePart,
};
use http::HeaderValue;
use serde_json::{Map, Value};

use super::{CallArguments, MultipartBody, PlannedBody, RpcCall, convert, encode, handle, style};

/// Returns the body and, when there is one, its content type.
///
/// A whole body is what its parameter says. Where no body parameter has a value there is no body at all, unless
/// the API wants one: servers refuse a GET or a DELETE that announces JSON and sends none.
pub(super) fn compose_body(
    tool: &Tool,
    arguments: &CallArguments,
) -> (PlannedBody, Option<HeaderValue>) {
    let mut members = arguments.iter().filter(|(param, _)| param.is_in(ParamLocation::Body));
    let http = match &tool.request {
        ToolRequest::Http(http) => http,
        ToolRequest::Rpc(rpc) => {
            let params = object_body(tool, members, &Map::new());
            let call = RpcCall { id: 0, method: rpc.method.clone(), params };
            return (PlannedBody::Rpc(call), Some(content_type(&BodyKind::Json)));
        }
    };
    let kind = &http.body;
    if *kind == BodyKind::Multipart {
        return multipart_body(tool, members, arguments.others(), http.rules.required);
    }
    let is_whole = |param: &Param| param.form.whole.is_some() || param.kind == ParamKind::FileUrl;
    if let Some((param, value)) = members.clone().find(|(param, _)| is_whole(param)) {
        return (whole_body(arguments, param, value), Some(content_type(kind)));
    }
    let is_wanted = http.rules.required;
    let bytes = match kind {
        BodyKind::Form => {
            let mut pairs = String::new();
            let usual = members.clone().filter(|(param, _)| param.form.style == ParamStyle::Usual);
            let plain = usual.clone().filter(|(param, _)| !param.form.allow_reserved);
            for (name, value) in object_body(tool, plain, arguments.others()) {
                encode::push_query(&mut pairs, &name, &value);
            }
            for (param, value) in usual.filter(|(param, _)| param.form.allow_reserved) {
                encode::push_pairs(&mut pairs, param.wire(), value, encode::encode_reserved);
            }
            for (param, value) in members {
                let allows = param.form.allow_reserved && param.form.style.is_listed();
                let item = if allows { encode::reserved_item } else { encode::encode_value };
                for (name, value) in style::styled_pairs(param, value, item) {
                    encode::push_pair(&mut pairs, &name, &value);
                }
            }
            (is_wanted || !pairs.is_empty()).then(|| pairs.into_bytes())
        }
        // A whole body of JSON that was not given may have members in its place.
        BodyKind::Raw(_) if !http.rules.open => {
            members.next().map(|(_, value)| text_of(value).into_bytes())
        }
        BodyKind::Json | BodyKind::JsonAs(_) | BodyKind::Raw(_) => {
            let object = object_body(tool, members, arguments.others());
            let has_body = is_wanted || !object.is_empty();
            has_body.then(|| Value::Object(object).to_string().into_bytes())
        }
        // Returned above.
        BodyKind::Multipart => None,
    };
    match bytes {
        Some(bytes) => (PlannedBody::Bytes(bytes), Some(content_type(kind))),
        None => (PlannedBody::None, None),
    }
}

/// Returns a body that is the value of one parameter. Text that may be text goes out as such,
/// unless it is the handle of a file, or JSON takes it and a file of the directory has that name.
fn whole_body(arguments: &CallArguments, param: &Param, value: &Value) -> PlannedBody {
    let Value::String(text) = value else {
        return PlannedBody::Bytes(text_of(value).into_bytes());
    };
    let file = || PlannedBody::File(text.clone());
    let kinds = KindList::of([param.kind]);
    match param.form.whole {
        _ if param.kind == ParamKind::FileUrl || handle::is_bare(text) => file(),
        Some(WholePart::Json) if arguments.is_of_file(param, text) => {
            PlannedBody::Bytes(value.to_string().into_bytes())
        }
        Some(WholePart::Json) if convert::is_json_of(text, kinds) => {
            PlannedBody::Bytes(text.clone().into_bytes())
        }
        Some(WholePart::Json) if kinds.contains(ParamKind::String) => {
            let otherwise = value.to_string().into_bytes();
            PlannedBody::Named { name: text.clone(), otherwise }
        }
        Some(WholePart::Json) => file(),
        Some(WholePart::Bytes | WholePart::Query | WholePart::Text) | None => {
            PlannedBody::Bytes(text.clone().into_bytes())
        }
    }
}

fn text_of(value: &Value) -> String {
    encode::scalar_text(value).map_or_else(|| value.to_string(), Cow::into_owned)
}

/// Returns the fields, then the files: some servers stop reading at the first file.
fn multipart_body<'a>(
    tool: &Tool,
    members: impl Iterator<Item = (&'a Param, &'a Value)> + Clone,
    others: &Map<String, Value>,
    is_wanted: bool,
) -> (PlannedBody, Option<HeaderValue>) {
    let is_file = |param: &Param| param.kind == ParamKind::FileUrl;
    let mut multipart = MultipartBody { fields: Vec::new() };
    let is_text = |param: &Param| !is_file(param) && param.form.style == ParamStyle::Usual;
    let texts = members.clone().filter(|(param, _)| is_text(param));
    for (name, value) in object_body(tool, texts, others) {
        multipart.push(&name, &value);
    }
    for (param, value) in members.clone().filter(|(param, _)| !is_file(param)) {
        for (name, text) in style::styled_pairs(param, value, str::to_owned) {
            multipart.push(&name, &text.into());
        }
    }
    for (param, value) in members.clone().filter(|(param, _)| is_file(param)) {
        let references = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for reference in references.iter().filter_map(Value::as_str) {
            multipart.push_file(param.wire(), reference);
        }
    }
    for (param, _) in members {
        if let Some(content_type) = &param.form.content_type {
            multipart.set_type(param.wire(), content_type);
        }
    }
    if multipart.fields.is_empty() && !is_wanted {
        return (PlannedBody::None, None);
    }
    (PlannedBody::Multipart(multipart), Some(content_type(&BodyKind::Multipart)))
}

/// Returns the body parameters as the members of an object, and then the others.
fn object_body<'a>(
    tool: &Tool,
    members: impl Iterator<Item = (&'a Param, &'a Value)>,
    others: &Map<String, Value>,
) -> Map<String, Value> {
    let mut object = Map::new();
    for (param, value) in members {
        if tool.nest_body_keys {
            insert_nested(&mut object, param.wire(), value);
        } else {
            object.insert(param.wire().to_owned(), value.clone());
        }
    }
    object.extend(others.clone());
    object
}

/// Puts `a.b` into the object `a`. Where `a` has a value that is no object the name stays whole:
/// nothing that the caller gave is lost.
fn insert_nested(object: &mut Map<String, Value>, name: &str, value: &Value) {
    if let Some((first, rest)) = name.split_once('.')
        && !first.is_empty()
        && !rest.is_empty()
        && let Value::Object(inner) =
            object.entry(first).or_insert_with(|| Value::Object(Map::new()))
    {
        return insert_nested(inner, rest, value);
    }
    match (object.get_mut(name), value) {
        // The object itself may be given beside some of its members.
        (Some(Value::Object(present)), Value::Object(members)) => {
            present.extend(members.clone());
        }
        _ => {
            object.insert(name.to_owned(), value.clone());
        }
    }
}

/// Returns the content type of a body that exists.
fn content_type(kind: &BodyKind) -> HeaderValue {
    let json = HeaderValue::from_static("application/json");
    match kind {
        BodyKind::Form => HeaderValue::from_static("application/x-www-form-urlencoded"),
        BodyKind::Json => json,
        // The boundary joins while the body is sent.
        BodyKind::Multipart => HeaderValue::from_static("multipart/form-data"),
        // A mime type is made of token characters, which every header value may hold.
        BodyKind::JsonAs(mime) | BodyKind::Raw(mime) => {
            HeaderValue::from_str(AsRef::<str>::as_ref(&**mime)).unwrap_or(json)
        }
    }
}
