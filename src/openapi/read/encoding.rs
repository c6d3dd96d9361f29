//! `encoding` of a request body: how the fields of a form are written.

use mime::Mime;
use serde_json::{Map, Value};

use super::{
    Reader,
    params::{listed, styled},
};
use crate::{
    descriptor::model::{Between, Lead, Location, ParamKind},
    openapi::{
        ledger::Object,
        model::{Body, Operation},
        report::at,
        schema::Shape,
    },
};

impl<'doc> Reader<'doc> {
    /// Says of the fields of a form how they are written; `media` is what is said about the body, at
    /// `place`, and `shape` what it is.
    pub(super) fn encode(
        &mut self,
        operation: &mut Operation,
        media: &'doc Value,
        place: &str,
        shape: &Shape,
    ) {
        let place = at(place, "encoding");
        let said = media.get("encoding").and_then(Value::as_object);
        if !matches!(operation.body, Body::Form | Body::Multipart) {
            if said.is_some_and(|said| !said.is_empty()) {
                let message = "`encoding` means nothing for this media type";
                let help = "see what the API takes";
                self.schemas.remarks.lost(&place, message, help);
            }
            return;
        }
        for (name, own) in said.into_iter().flatten() {
            if let Value::Object(own) = own {
                self.schemas.account(Object::Encoding, own, &at(&place, name));
            }
        }
        let is_multipart = operation.body == Body::Multipart;
        let fields = operation.inputs.iter_mut().filter(|it| it.location == Location::Body);
        for input in fields {
            let own = said.and_then(|said| said.get(&input.name)).and_then(Value::as_object);
            if is_multipart {
                let is_file = input.kind == ParamKind::FileUrl || input.form.several;
                let types = own.and_then(|own| own.get("contentType")).and_then(Value::as_str);
                input.form.content_type = match types {
                    Some(types) => content_type(types, is_file),
                    // OpenAPI's own word for objects, which are written as JSON.
                    None if !is_file && is_complex(shape, &input.name) => {
                        Some(mime::APPLICATION_JSON)
                    }
                    None => None,
                };
            } else if let (Some(own), Some(member)) = (own, member(shape, &input.name))
                && member.kinds.contains(ParamKind::Array)
                && let Some(between) = between(own)
            {
                let style = listed(Lead::None, between, false);
                *input = styled(input.clone(), style, member);
            }
        }
    }
}

/// Returns the type of a field: the first that it may have. A file has its own, unless there is one
/// alone.
fn content_type(types: &str, is_file: bool) -> Option<Mime> {
    let mut types = types.split(',').map(str::trim);
    let first = types.next()?;
    let is_one = types.next().is_none() && !first.contains('*');
    let mime = first.parse().ok().filter(|_| !first.contains('*') && first.is_ascii());
    mime.filter(|_| is_one || !is_file)
}

fn member<'shape>(shape: &'shape Shape, name: &str) -> Option<&'shape Shape> {
    shape.members.iter().find(|member| member.name == name).map(|member| &member.shape)
}

/// Returns whether a field is an object, or a list of objects.
fn is_complex(shape: &Shape, name: &str) -> bool {
    let is_object = |shape: &Shape| shape.kinds.iter().collect::<Vec<_>>() == [ParamKind::Object];
    member(shape, name)
        .is_some_and(|member| is_object(member) || member.items.as_deref().is_some_and(is_object))
}

/// Returns what parts the items of a list; `None` where its name is repeated.
fn between(own: &Map<String, Value>) -> Option<Between> {
    let explode = own.get("explode").and_then(Value::as_bool);
    match own.get("style").and_then(Value::as_str).unwrap_or("form") {
        "form" if explode == Some(false) => Some(Between::Comma),
        "spaceDelimited" if explode != Some(true) => Some(Between::Space),
        "pipeDelimited" if explode != Some(true) => Some(Between::Pipe),
        _ => None,
    }
}
