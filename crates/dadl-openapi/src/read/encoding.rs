//! `encoding`: how the fields of a form are written.

use dadl_descriptor::model::{ParamKind, ParamLocation, ParamStyle};
use mime::Mime;
use serde_json::{Map, Value};

use super::{
    OpenApiReader,
    answer::{is_json, media_essence},
    params::push_sentence,
    style::{ContainerStyle, exploded, with_style},
};
use crate::{
    ledger::DocumentObject,
    model::{ApiOperation, BodyEncoding, OperationInput},
    report::{excerpt, place_at},
    schema::{ValueShape, schema_flag},
};

/// What says how a list or an object is written.
const STYLES: [&str; 3] = ["allowReserved", "explode", "style"];

/// What the document says of a field.
pub(super) struct Encoded<'doc> {
    name: &'doc str,
    map: &'doc Map<String, Value>,
    place: String,
}

impl Encoded<'_> {
    /// Returns the media types that the field may have.
    fn types(&self) -> Vec<&str> {
        let text = self.map.get("contentType").and_then(Value::as_str).unwrap_or_default();
        text.split(',').map(str::trim).filter(|media| !media.is_empty()).collect()
    }

    /// Returns whether another style than the usual one is meant.
    fn has_style(&self) -> bool {
        STYLES.iter().any(|key| self.map.contains_key(*key))
    }
}

impl<'doc> OpenApiReader<'doc> {
    /// Returns what the document says of the fields of a body of this media type.
    pub(super) fn encoding(
        &mut self,
        media_type: &str,
        media: &'doc Value,
        place: &str,
    ) -> Vec<Encoded<'doc>> {
        let mut all = Vec::new();
        let Value::Object(media) = media else { return all };
        let Some((fields, place)) = self.schemas.member(media, place, "encoding") else {
            return all;
        };
        let Value::Object(fields) = fields else {
            let message = "`encoding` is not an object, and was left out";
            self.schemas.remarks.lost(&place, message, "write an object of fields");
            return all;
        };
        let essence = media_essence(media_type);
        let has_fields =
            matches!(essence.as_str(), "application/x-www-form-urlencoded" | "multipart/form-data");
        if !has_fields && !fields.is_empty() {
            let message = format!("a body of the type `{}` has no fields", excerpt(&essence));
            let help = "`encoding` is about forms and multipart/form-data";
            self.schemas.remarks.lost(&place, message, help);
            return all;
        }
        for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with("x-")) {
            let found = self.schemas.resolve(value, &place_at(&place, name));
            let Some((Value::Object(map), place)) = found else { continue };
            self.schemas.account(DocumentObject::Encoding, map, &place);
            all.push(Encoded { name, map, place });
        }
        all
    }

    /// Writes the fields of a form as the document says.
    pub(super) fn encode(
        &mut self,
        operation: &mut ApiOperation,
        all: &[Encoded<'doc>],
        shape: &ValueShape,
    ) {
        let is_multipart = match operation.body {
            BodyEncoding::Multipart => true,
            BodyEncoding::Form => false,
            _ => return,
        };
        if is_multipart {
            // OpenAPI's own word for objects, which are written as JSON.
            let has_styles = self.schemas.counts_siblings;
            let is_said = |name: &str| {
                let field = all.iter().find(|field| field.name == name);
                field.is_some_and(|it| !it.types().is_empty() || has_styles && it.has_style())
            };
            for input in operation.inputs.iter_mut().filter(|it| it.location == ParamLocation::Body)
            {
                if !is_said(&input.name) && is_complex(shape, &input.name) {
                    input.form.content_type = Some(mime::APPLICATION_JSON);
                }
            }
        }
        for field in all {
            let member = shape.members.iter().find(|member| member.name == field.name);
            let input = operation
                .inputs
                .iter_mut()
                .find(|input| input.location == ParamLocation::Body && input.name == field.name);
            let (Some(member), Some(input)) = (member, input) else {
                if member.is_none() {
                    let message = format!("the form has no field `{}`", excerpt(field.name));
                    let help = "describe the field, or remove what says how it is written";
                    self.schemas.remarks.lost(&field.place, message, help);
                }
                continue;
            };
            if is_multipart {
                self.part(input, field, &member.shape);
            } else {
                self.pair(input, field, &member.shape);
            }
        }
    }

    /// Writes a field of a form that goes into one text.
    fn pair(&mut self, input: &mut OperationInput, field: &Encoded<'doc>, shape: &ValueShape) {
        input.form.allow_reserved = schema_flag(field.map, "allowReserved");
        if field.has_style() {
            self.container(input, field, shape);
            return;
        }
        match field.types().as_slice() {
            [] => {}
            [media, ..] if is_json(media) => {
                *input = with_style(input.clone(), ParamStyle::Json, shape)
            }
            [media, ..] if media_essence(media).starts_with("text/") => {}
            [media, ..] => {
                let message =
                    format!("a field of a form cannot have the type `{}`", excerpt(media));
                let help = "say in the description of the parameter how its text is written";
                self.schemas.remarks.lost(&place_at(&field.place, "contentType"), message, help);
            }
        }
    }

    /// Writes a part of a multipart body.
    fn part(&mut self, input: &mut OperationInput, field: &Encoded<'doc>, shape: &ValueShape) {
        if field.has_style() {
            // What came with OpenAPI 3.1, as siblings of references did.
            if self.schemas.counts_siblings {
                if field.map.get("style").and_then(Value::as_str) == Some("deepObject") {
                    let message = "a multipart body has no fields in the style `deepObject`";
                    let help = "the value is sent as JSON: write another style";
                    self.schemas.remarks.lost(&place_at(&field.place, "style"), message, help);
                } else {
                    self.container(input, field, shape);
                }
                return;
            }
            let keys = STYLES.iter().filter(|key| field.map.contains_key(**key));
            for key in keys {
                let message = format!("`{key}` says nothing of a multipart body in OpenAPI 3.0");
                let help = "write `contentType`, or a form";
                self.schemas.remarks.lost(&place_at(&field.place, key), message, help);
            }
        }
        let types = field.types();
        let Some(first) = types.first() else { return };
        let is_file = input.kind == ParamKind::FileUrl;
        // Of several types a file has its own.
        if is_file && (types.len() > 1 || first.contains('*')) {
            if !self.keeps_shapes {
                push_sentence(
                    &mut input.description,
                    &format!("Of the type {}.", excerpt(&types.join(", "))),
                );
            }
            return;
        }
        match first.parse::<Mime>() {
            Ok(mime) if !first.contains('*') => {
                let kinds = shape.kinds;
                if is_json(first) && (kinds.is_any() || kinds.contains(ParamKind::String)) {
                    *input = with_style(input.clone(), ParamStyle::Json, shape);
                }
                input.form.content_type = Some(mime);
            }
            Ok(_) => {}
            Err(_) => {
                let message = format!("`{}` is no media type", excerpt(first));
                let help = "write the type of the part";
                self.schemas.remarks.lost(&place_at(&field.place, "contentType"), message, help);
            }
        }
    }

    /// Writes a list or an object in its style.
    fn container(&mut self, input: &mut OperationInput, field: &Encoded<'doc>, shape: &ValueShape) {
        let is_container =
            shape.kinds.contains(ParamKind::Array) || shape.kinds.contains(ParamKind::Object);
        if !is_container {
            return;
        }
        let style = match self.read_written(field.map, shape, ParamLocation::Query) {
            ContainerStyle::Usual => return,
            ContainerStyle::Members => exploded(),
            ContainerStyle::Styled(style) => style,
            ContainerStyle::Other => {
                let style = field.map.get("style").and_then(Value::as_str).unwrap_or_default();
                let name = excerpt(field.name);
                let message = format!("the style `{}` of `{name}` cannot be said", excerpt(style));
                let help = "the field is sent as usual: check what the API makes of it";
                self.schemas.remarks.lost(&place_at(&field.place, "style"), message, help);
                return;
            }
        };
        *input = with_style(input.clone(), style, shape);
    }
}

/// Returns whether a field is an object, or a list of objects.
fn is_complex(shape: &ValueShape, name: &str) -> bool {
    let is_object =
        |shape: &ValueShape| shape.kinds.iter().collect::<Vec<_>>() == [ParamKind::Object];
    let member = shape.members.iter().find(|member| member.name == name);
    member.is_some_and(|member| {
        is_object(&member.shape) || member.shape.items.as_deref().is_some_and(is_object)
    })
}

/// Makes files of the members of a multipart body that are no text.
pub(super) fn files(media_type: &str, all: &[Encoded<'_>], shape: &mut ValueShape) {
    if media_essence(media_type) != "multipart/form-data" {
        return;
    }
    for field in all.iter().filter(|field| field.types().first().is_some_and(|it| is_bytes(it))) {
        let member = shape.members.iter_mut().find(|member| member.name == field.name);
        let Some(member) = member else { continue };
        let is_list = member.shape.kinds.contains(ParamKind::Array);
        let value = match member.shape.items.as_deref_mut().filter(|_| is_list) {
            Some(items) => items,
            None => &mut member.shape,
        };
        let is_encoded = matches!(value.format.as_deref(), Some("byte" | "base64"));
        let may_be_text = value.kinds.iter().all(|kind| kind == ParamKind::String);
        value.is_binary |= may_be_text && !is_encoded && value.values.is_empty();
    }
}

/// Returns whether what has this media type is in files.
fn is_bytes(media: &str) -> bool {
    let essence = media_essence(media);
    let known = ["audio/", "font/", "image/", "video/"].iter().any(|it| essence.starts_with(it));
    let others = ["octet-stream", "pdf", "zip", "gzip", "x-tar", "x-7z-compressed"];
    known || essence.strip_prefix("application/").is_some_and(|it| others.contains(&it))
}
