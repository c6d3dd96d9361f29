//! The body of a request and its content type.

use http::HeaderValue;
use serde_json::{Map, Value};

use super::{Arguments, PlannedBody, encode};
use crate::descriptor::model::{BodyKind, Location, ParamKind, Tool};

/// Returns the body and, when there is one, its content type.
///
/// A file is the whole body. Where no body parameter has a value there is no body at all: servers
/// refuse a GET or a DELETE that announces JSON and sends none.
pub(super) fn compose(tool: &Tool, arguments: &Arguments) -> (PlannedBody, Option<HeaderValue>) {
    let mut members = arguments.iter().filter(|(param, _)| param.location == Location::Body);
    let file = members.clone().find(|(param, _)| param.kind == ParamKind::FileUrl);
    if let Some(reference) = file.and_then(|(_, value)| value.as_str()) {
        return (PlannedBody::File(reference.to_owned()), Some(content_type(tool)));
    }
    let bytes = match &tool.body {
        BodyKind::Json => {
            let object: Map<String, Value> =
                members.map(|(param, value)| (param.name.clone(), value.clone())).collect();
            (!object.is_empty()).then(|| Value::Object(object).to_string().into_bytes())
        }
        BodyKind::Raw(_) => members.next().map(|(_, value)| match encode::scalar(value) {
            Some(text) => text.into_owned().into_bytes(),
            None => value.to_string().into_bytes(),
        }),
    };
    match bytes {
        Some(bytes) => (PlannedBody::Bytes(bytes), Some(content_type(tool))),
        None => (PlannedBody::None, None),
    }
}

/// Returns the content type of a body that exists.
fn content_type(tool: &Tool) -> HeaderValue {
    let json = HeaderValue::from_static("application/json");
    match &tool.body {
        // A mime type is made of token characters, which every header value may hold.
        BodyKind::Raw(mime) => HeaderValue::from_str(mime.as_ref()).unwrap_or(json),
        // Authors name a JSON dialect of their own (`application/merge-patch+json`) as a header.
        BodyKind::Json => tool
            .headers
            .iter()
            .find(|(name, value)| *name == http::header::CONTENT_TYPE && is_json(value))
            .map_or(json, |(_, value)| value.clone()),
    }
}

fn is_json(value: &HeaderValue) -> bool {
    let mime = value.to_str().ok().and_then(|text| text.parse::<mime::Mime>().ok());
    mime.is_some_and(|mime| mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
}
