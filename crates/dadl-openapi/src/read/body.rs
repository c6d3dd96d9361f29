//! `requestBody`, or parameters in `body` and `formData`.

use dadl_descriptor::model::{
    BodyRules, KindList, ParamKind, ParamLocation, ParamStyle, StylePrefix, WholePart,
};
use dadl_text::{names::param, text::cut_prose};
use mime::Mime;
use serde_json::{Map, Value, json};

use super::{
    DeclaredParameter, OpenApiDialect, OpenApiReader, encoding, list_of, media_essence,
    params::MAX_DESCRIPTION,
    style::{collection_delimiter, with_style},
};
use crate::{
    ledger::DocumentObject,
    model::{ApiOperation, BodyEncoding, OperationInput},
    report::{excerpt, place_at},
    schema::{ValueShape, schema_flag},
    text,
};

/// The name of the parameter that is a whole body.
const FILE: &str = "file";

/// What is known of a body before its media type is chosen.
struct BodyContents {
    has_members: bool,
    /// Whether a multipart form of the operation has files.
    has_files: bool,
}

impl<'doc> OpenApiReader<'doc> {
    /// Adds what the body of an operation holds; returns false when that cannot be followed.
    pub(super) fn read_body(
        &mut self,
        operation: &mut ApiOperation,
        value: &'doc Map<String, Value>,
        place: &str,
        declared: &[DeclaredParameter<'doc>],
    ) -> bool {
        if let Some(body) = value.get("requestBody").filter(|body| !body.is_null()) {
            let place = place_at(place, "requestBody");
            let Some((body, place)) = self.schemas.resolve(body, &place) else { return false };
            let Value::Object(body) = body else {
                let message = "`requestBody` is not an object, and was left out";
                self.schemas.remarks.lost(&place, message, "write a request body object");
                return true;
            };
            return self.request_body(operation, body, &place);
        }
        let consumes = match value.get("consumes") {
            Some(_) => list_of(value, "consumes"),
            None => self.root.as_object().map(|root| list_of(root, "consumes")).unwrap_or_default(),
        };
        operation.media = consumes.iter().map(|media| media.to_ascii_lowercase()).collect();
        let form: Vec<&DeclaredParameter<'doc>> =
            declared.iter().filter(|it| it.location == "formData").collect();
        let mut bodies = declared.iter().filter(|it| it.location == "body");
        if let Some(body) = bodies.next() {
            for other in bodies.chain(form.iter().copied()) {
                let message = format!("`{}` is beside another body", excerpt(&other.name));
                let help = "an operation has one body: correct the document";
                self.schemas.remarks.lost(&other.place, message, help);
            }
            let schema = body.value.get("schema");
            let place = place_at(&body.place, "schema");
            let mut shape = match schema {
                Some(schema) => self.schemas.read_shape(schema, &place),
                None => ValueShape::default(),
            };
            if shape.description.is_none() {
                shape.description =
                    body.value.get("description").and_then(Value::as_str).map(str::to_owned);
            }
            self.schemas.complete(&mut shape, &place);
            let media: Vec<&str> = consumes.iter().map(String::as_str).collect();
            let has_members = shape.kinds.contains(ParamKind::Object);
            let media = self.choose_media(
                &media,
                &body.place,
                BodyContents { has_members, has_files: false },
            );
            let required = schema_flag(body.value, "required");
            self.read_whole(operation, &media, &shape, required, &body.place);
        } else if !form.is_empty() {
            self.read_form(operation, &form, &consumes);
        }
        true
    }

    fn request_body(
        &mut self,
        operation: &mut ApiOperation,
        body: &'doc Map<String, Value>,
        place: &str,
    ) -> bool {
        self.schemas.account(DocumentObject::RequestBody, body, place);
        if body.get("content").is_some_and(|content| content.get("$ref").is_some())
            && self.schemas.member(body, place, "content").is_none()
        {
            return false;
        }
        let content = self.schemas.member(body, place, "content");
        let Some((Value::Object(content), place)) = content else {
            let place = place_at(place, "content");
            let message = "the body has no `content`, and was left out";
            self.schemas.remarks.lost(&place, message, "write the media type of the body");
            return true;
        };
        let media: Vec<&str> = content.keys().map(String::as_str).collect();
        operation.media = media.iter().map(|media| media.to_ascii_lowercase()).collect();
        if media.is_empty() {
            let message = "the body has no media type, and was left out";
            self.schemas.remarks.lost(&place, message, "write the media type of the body");
            return true;
        }
        let has_members = content.values().any(|it| {
            it.pointer("/schema/type").and_then(Value::as_str) == Some("object")
                || it.pointer("/schema/$ref").is_some()
        });
        let has_files = self.has_files(content, &place);
        let chosen = self.choose_media(&media, &place, BodyContents { has_members, has_files });
        let (media, place) = match content.get(chosen.as_str()) {
            Some(_) => match self.schemas.member(content, &place, &chosen) {
                Some(found) => found,
                None => return false,
            },
            None => (&Value::Null, place_at(&place, &chosen)),
        };
        if let Value::Object(media) = media {
            self.schemas.account(DocumentObject::Media, media, &place);
        }
        let schema = media.get("schema");
        let mut shape = match schema {
            Some(schema) => self.schemas.read_shape(schema, &place_at(&place, "schema")),
            None => ValueShape::default(),
        };
        if shape.description.is_none() {
            shape.description = body.get("description").and_then(Value::as_str).map(str::to_owned);
        }
        self.schemas.complete(&mut shape, &place_at(&place, "schema"));
        let encoding = self.encoding(&chosen, media, &place);
        encoding::files(&chosen, &encoding, &mut shape);
        self.read_whole(operation, &chosen, &shape, schema_flag(body, "required"), &place);
        self.encode(operation, &encoding, &shape);
        true
    }

    /// Returns whether a body that may be JSON or multipart holds files, which JSON cannot carry.
    fn has_files(&mut self, content: &'doc Map<String, Value>, place: &str) -> bool {
        let multipart =
            content.iter().find(|(media, _)| media_essence(media) == "multipart/form-data");
        let Some((media, value)) = multipart.filter(|_| content.len() > 1) else { return false };
        let Some(schema) = value.get("schema") else { return false };
        let shape = self.schemas.read_shape(schema, &place_at(&place_at(place, media), "schema"));
        shape.members.iter().any(|member| {
            let items = member.shape.items.as_deref();
            member.shape.is_binary || items.is_some_and(|items| items.is_binary)
        })
    }

    /// Chooses one of the media types that an operation takes.
    fn choose_media(
        &mut self,
        media: &[&str],
        place: &str,
        BodyContents { has_members, has_files }: BodyContents,
    ) -> String {
        let rank = |media: &str| {
            match media_essence(media).as_str() {
                "multipart/form-data" if has_files => -1,
                "application/json" => 0,
                "text/json" => 1,
                // Changes as a list of steps: no object.
                "application/json-patch+json" => 20,
                "*/*" | "application/*" if has_members => 6,
                other if other.ends_with("+json") => 2,
                "multipart/form-data" => 4,
                "application/x-www-form-urlencoded" => 3,
                "application/octet-stream" => 5,
                "text/plain" => 7,
                other if other.starts_with("multipart/") => 30,
                _ => 10,
            }
        };
        let chosen = media.iter().copied().min_by_key(|media| rank(media));
        let Some(chosen) = chosen else { return "application/json".to_owned() };
        let others: Vec<String> =
            media.iter().filter(|other| **other != chosen).map(|other| excerpt(other)).collect();
        if !others.is_empty() {
            let message = format!(
                "the body may also be {}; the tool sends {}",
                others.join(", "),
                excerpt(chosen)
            );
            let help = "write another `content_type` and its parameters, or a second tool";
            self.schemas.remarks.lost(place, message, help);
        }
        chosen.to_owned()
    }

    /// Makes inputs of a body with one schema.
    fn read_whole(
        &mut self,
        operation: &mut ApiOperation,
        media: &str,
        shape: &ValueShape,
        required: bool,
        place: &str,
    ) {
        let Some(body) = self.written_as(media, shape, place) else { return };
        if !shape.members.is_empty() && !matches!(body, BodyEncoding::Raw(_)) {
            self.read_members(operation, shape, required, place, &body);
            operation.body_rules.required = required && !has_required_member(operation);
            if matches!(body, BodyEncoding::Json(_)) && !only_object(shape) {
                self.beside_members(operation, shape, place, media);
            }
            operation.body = body;
            return;
        }
        let is_map = shape.kinds.is_any() || only_object(shape);
        let media = match &body {
            BodyEncoding::None => return,
            BodyEncoding::Raw(media) => media.clone(),
            BodyEncoding::Json(media) => {
                let media = media.clone().unwrap_or_else(|| "application/json".to_owned());
                self.whole_json(operation, shape, required, place, &media);
                return;
            }
            BodyEncoding::Multipart if shape.is_binary => {
                let mut input = self.read_file(operation, shape, place, "multipart/form-data");
                input.required = required;
                operation.inputs.push(input);
                operation.body = body;
                return;
            }
            BodyEncoding::Form | BodyEncoding::Multipart if is_map => {
                operation.body_rules = BodyRules { open: true, required, ..BodyRules::default() };
                operation.body = body;
                return;
            }
            BodyEncoding::Form | BodyEncoding::Multipart => {
                let message = "the form is no object with fields, and was left out";
                let help = "name the fields as parameters";
                self.schemas.remarks.lost(place, message, help);
                return;
            }
        };
        let mut input = self.read_file(operation, shape, place, &media);
        input.required = required;
        operation.inputs.push(input);
        operation.body = BodyEncoding::Raw(media);
    }

    /// Makes an input of a JSON body that is an object with members or something else, such as a list
    /// of such objects: the whole, where a caller does not give the members.
    fn beside_members(
        &mut self,
        operation: &mut ApiOperation,
        shape: &ValueShape,
        place: &str,
        media: &str,
    ) {
        let mut input = self.read_file(operation, shape, place, media);
        input.kind = ParamKind::String;
        input.kinds = shape.kinds.iter().collect();
        input.union = Some(KindList::of(shape.kinds.iter()));
        input.form.whole = Some(WholePart::Json);
        input.description = "The whole body, instead of its members.".to_owned();
        operation.inputs.push(input);
    }

    /// Makes an input of a JSON body that is no object with members of known names: the value, or a
    /// file that holds it. The members of an object may be given by their names as well.
    fn whole_json(
        &mut self,
        operation: &mut ApiOperation,
        shape: &ValueShape,
        required: bool,
        place: &str,
        media: &str,
    ) {
        let mut input = self.read_file(operation, shape, place, media);
        input.required = required;
        if !self.keeps_shapes {
            input.description = self.description(shape, place);
        }
        input.union = Some(KindList::of(shape.kinds.iter()));
        input.form.nullable = shape.nullable;
        if let Some(items) = shape.items.as_deref().filter(|items| !items.kinds.is_any()) {
            let words: Vec<&str> = items.kinds.iter().map(text::kind_word).collect();
            let words: Value = match words.as_slice() {
                [one] => (*one).into(),
                several => several.into(),
            };
            input.hints.insert("items".to_owned(), json!({ "type": words }));
        }
        if only_object(shape) {
            input.required = false;
            operation.body_rules = BodyRules { open: true, required, ..BodyRules::default() };
        }
        operation.inputs.push(input);
        operation.body = BodyEncoding::Raw(media.to_owned());
    }

    /// Returns how a body of this media type is written; `None` when it cannot be.
    fn written_as(&mut self, media: &str, shape: &ValueShape, place: &str) -> Option<BodyEncoding> {
        let media_type = media_essence(media);
        let is_wild = media_type.contains('*');
        Some(match media_type.as_str() {
            "application/json" | "text/json" => BodyEncoding::Json(None),
            _ if is_wild
                && (!shape.members.is_empty() || shape.kinds.contains(ParamKind::Object)) =>
            {
                BodyEncoding::Json(None)
            }
            "application/x-www-form-urlencoded" => BodyEncoding::Form,
            "multipart/form-data" => BodyEncoding::Multipart,
            other if other.ends_with("+json") && other.parse::<Mime>().is_ok() => {
                BodyEncoding::Json(Some(other.to_owned()))
            }
            other if other.starts_with("multipart/") => {
                let message = format!("a body of the type `{}` cannot be built", excerpt(other));
                let help = "the one multipart type is multipart/form-data; left out";
                self.schemas.remarks.lost(place, message, help);
                return None;
            }
            other if !is_wild && other.parse::<Mime>().is_ok() => {
                BodyEncoding::Raw(other.to_owned())
            }
            other => {
                let message = format!("`{}` is no type of a body", excerpt(other));
                let help = "application/octet-stream was taken: write the one that you send";
                self.schemas.remarks.changed(place, message, help);
                BodyEncoding::Raw("application/octet-stream".to_owned())
            }
        })
    }

    /// Makes an input of each member of a body.
    fn read_members(
        &mut self,
        operation: &mut ApiOperation,
        shape: &ValueShape,
        required: bool,
        place: &str,
        body: &BodyEncoding,
    ) {
        operation.body_rules.open = shape.is_open;
        if shape.min.as_deref().is_some_and(|min| min != "0") || shape.max.is_some() {
            let message = "how many members the body has is checked, and not described";
            let help = "say in the description of the tool how many a call needs";
            self.schemas.remarks.lost(place, message, help);
        }
        if shape.has_variants {
            let message = "not all members of the body go together: it has several forms";
            let help = "say in the descriptions which ones do, or write a tool for each form";
            self.schemas.remarks.lost(place, message, help);
        }
        for member in shape.members.iter().filter(|member| !member.shape.read_only) {
            if !required && member.required {
                let message =
                    format!("the body is optional, but `{}` within it is not", member.name);
                let help = "the parameter is optional: say when it is needed";
                self.schemas.remarks.lost(&member.place, message, help);
            }
            let is_required = required && member.required;
            self.read_member(
                operation,
                &member.name,
                &member.shape,
                is_required,
                &member.place,
                body,
            );
        }
    }

    fn read_form(
        &mut self,
        operation: &mut ApiOperation,
        form: &[&DeclaredParameter<'doc>],
        consumes: &[String],
    ) {
        let has_file = form.iter().any(|field| {
            field.value.get("type").and_then(Value::as_str) == Some("file")
                || field.value.get("format").and_then(Value::as_str) == Some("binary")
        });
        let says_multipart = consumes.iter().any(|media| media.starts_with("multipart/form-data"));
        let says_form =
            consumes.iter().any(|media| media.starts_with("application/x-www-form-urlencoded"));
        let body = if has_file || (says_multipart && !says_form) {
            BodyEncoding::Multipart
        } else {
            BodyEncoding::Form
        };
        for field in form {
            let mut shape = match field.value.get("schema") {
                Some(schema) => self.schemas.read_shape(schema, &place_at(&field.place, "schema")),
                None => self.schemas.shape_of_parameter(field.value, &field.place),
            };
            self.marks(field, &shape, ParamLocation::Body);
            if let Some(own) = field.value.get("description").and_then(Value::as_str) {
                shape.description = Some(own.to_owned());
            }
            let required = schema_flag(field.value, "required");
            self.read_member(operation, &field.name, &shape, required, &field.place, &body);
            let format = field.value.get("collectionFormat").and_then(Value::as_str);
            if self.dialect == OpenApiDialect::Swagger2
                && let Some(between) = collection_delimiter(format.unwrap_or("csv"))
                && let Some(input) = operation
                    .inputs
                    .pop_if(|input| input.kind == ParamKind::Array && input.name == field.name)
            {
                let style = ParamStyle::Listed { lead: StylePrefix::None, between, explode: false };
                operation.inputs.push(with_style(input, style, &shape));
            }
        }
        operation.body = body;
    }

    /// Adds a member of a body.
    fn read_member(
        &mut self,
        operation: &mut ApiOperation,
        name: &str,
        shape: &ValueShape,
        required: bool,
        place: &str,
        body: &BodyEncoding,
    ) {
        if !param::is_usable_with_blanks(name) {
            let message = format!("the name `{}` has a space; left out", excerpt(name));
            let help = "no parameter can have that name";
            self.schemas.remarks.lost(place, message, help);
            operation.unsaid.push((ParamLocation::Body, name.to_owned()));
            return;
        }
        let is_multipart = *body == BodyEncoding::Multipart;
        let holds_files = shape.items.as_deref().is_some_and(|items| items.is_binary);
        if is_multipart && (shape.is_binary || holds_files) {
            let is_other = |kind: &ParamKind| match kind {
                ParamKind::String => false,
                ParamKind::Array => !holds_files,
                _ => true,
            };
            if !shape.kinds.is_any() && shape.kinds.iter().any(|kind| is_other(&kind)) {
                let message = format!("`{}` is a file or something else", excerpt(name));
                let help = "it is sent as a file: write a second tool for what else it is";
                self.schemas.remarks.lost(place, message, help);
            }
            let shape =
                ValueShape { kinds: Default::default(), values: Vec::new(), ..shape.clone() };
            let mut input = self.made_file(name, &shape, place);
            input.form.several = holds_files;
            input.required = required;
            operation.inputs.push(input);
            return;
        }
        let mut input = self.make_undeclared(name, ParamLocation::Body, shape, place);
        input.required = required;
        input.form.nullable = shape.nullable && matches!(body, BodyEncoding::Json(_));
        operation.inputs.push(input);
    }

    /// Makes the parameter that is a whole body.
    fn read_file(
        &mut self,
        operation: &ApiOperation,
        shape: &ValueShape,
        place: &str,
        media: &str,
    ) -> OperationInput {
        let is_taken = |name: &str| {
            operation
                .inputs
                .iter()
                .any(|input| input.name == name && input.location != ParamLocation::Path)
        };
        let mut name = FILE.to_owned();
        while is_taken(&name) {
            name.insert_str(0, "body_");
        }
        let is_text = media.parse::<Mime>().is_ok_and(|it| WholePart::of(&it) == WholePart::Text);
        if is_text && !shape.is_binary {
            let plain =
                ValueShape { description: shape.description.clone(), ..ValueShape::default() };
            let mut input = self.made_file(&name, &plain, place);
            input.kind = ParamKind::String;
            input.kinds = vec![ParamKind::String, ParamKind::FileUrl];
            return input;
        }
        let mut input = self.made_file(&name, shape, place);
        // Text is what a raw body may be as well.
        input.kinds = vec![ParamKind::FileUrl, ParamKind::String];
        input
    }

    fn made_file(&mut self, name: &str, shape: &ValueShape, place: &str) -> OperationInput {
        let description = shape.description.as_deref().map(text::prose).unwrap_or_default();
        let (description, _) = cut_prose(&description, MAX_DESCRIPTION);
        OperationInput {
            kinds: vec![ParamKind::FileUrl],
            description: description.into_owned(),
            shape: self.kept(shape),
            ..OperationInput::new(name, ParamLocation::Body, ParamKind::FileUrl, place)
        }
    }
}

/// Returns whether a value is an object and nothing else.
fn only_object(shape: &ValueShape) -> bool {
    shape.kinds.contains(ParamKind::Object) && shape.kinds.iter().count() == 1
}

fn has_required_member(operation: &ApiOperation) -> bool {
    operation.inputs.iter().any(|input| input.location == ParamLocation::Body && input.required)
}
