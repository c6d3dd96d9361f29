//! The body of a request and its content type.

use http::HeaderValue;
use serde_json::{Map, Value};

use super::{Arguments, Multipart, PlannedBody, RpcCall, encode};
use crate::descriptor::model::{BodyKind, Location, Param, ParamKind, Request, Tool};

/// Returns the body and, when there is one, its content type.
///
/// A file is the whole body, except in a multipart one. Where no body parameter has a value there is no body at all: servers
/// refuse a GET or a DELETE that announces JSON and sends none.
pub(super) fn compose(tool: &Tool, arguments: &Arguments) -> (PlannedBody, Option<HeaderValue>) {
    let mut members = arguments.iter().filter(|(param, _)| param.is_in(Location::Body));
    let kind = match &tool.request {
        Request::Http(http) => &http.body,
        Request::Rpc(rpc) => {
            let call = RpcCall { id: 0, method: rpc.method.clone(), params: object(tool, members) };
            return (PlannedBody::Rpc(call), Some(content_type(&BodyKind::Json)));
        }
    };
    if *kind == BodyKind::Multipart {
        return multipart(tool, members);
    }
    let file = members.clone().find(|(param, _)| param.kind == ParamKind::FileUrl);
    if let Some(reference) = file.and_then(|(_, value)| value.as_str()) {
        return (PlannedBody::File(reference.to_owned()), Some(content_type(kind)));
    }
    let bytes = match kind {
        BodyKind::Form => {
            let mut pairs = String::new();
            for (name, value) in object(tool, members) {
                encode::push_query(&mut pairs, &name, &value);
            }
            (!pairs.is_empty()).then(|| pairs.into_bytes())
        }
        BodyKind::Json | BodyKind::JsonAs(_) => {
            let object = object(tool, members);
            (!object.is_empty()).then(|| Value::Object(object).to_string().into_bytes())
        }
        // Returned above.
        BodyKind::Multipart => None,
        BodyKind::Raw(_) => members.next().map(|(_, value)| match encode::scalar(value) {
            Some(text) => text.into_owned().into_bytes(),
            None => value.to_string().into_bytes(),
        }),
    };
    match bytes {
        Some(bytes) => (PlannedBody::Bytes(bytes), Some(content_type(kind))),
        None => (PlannedBody::None, None),
    }
}

/// Returns the fields, then the files: some servers stop reading at the first file.
fn multipart<'a>(
    tool: &Tool,
    members: impl Iterator<Item = (&'a Param, &'a Value)> + Clone,
) -> (PlannedBody, Option<HeaderValue>) {
    let is_file = |param: &Param| param.kind == ParamKind::FileUrl;
    let mut multipart = Multipart { fields: Vec::new() };
    for (name, value) in object(tool, members.clone().filter(|(param, _)| !is_file(param))) {
        multipart.push(&name, &value);
    }
    for (param, value) in members.filter(|(param, _)| is_file(param)) {
        multipart.push_file(&param.name, value.as_str().unwrap_or_default());
    }
    if multipart.fields.is_empty() {
        return (PlannedBody::None, None);
    }
    (PlannedBody::Multipart(multipart), Some(content_type(&BodyKind::Multipart)))
}

/// Returns the body parameters as the members of an object.
fn object<'a>(
    tool: &Tool,
    members: impl Iterator<Item = (&'a Param, &'a Value)>,
) -> Map<String, Value> {
    let mut object = Map::new();
    for (param, value) in members {
        if tool.nest_body_keys {
            insert_nested(&mut object, &param.name, value);
        } else {
            object.insert(param.name.clone(), value.clone());
        }
    }
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
            HeaderValue::from_str(mime.as_ref()).unwrap_or(json)
        }
    }
}
