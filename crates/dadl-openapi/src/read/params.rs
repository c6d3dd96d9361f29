//! `parameters`: what goes into the path, the query and the header.

use std::collections::{HashMap, HashSet};

use dadl_descriptor::model::{KindList, ParamKind, ParamLocation, ParamStyle, WholePart};
use dadl_text::{
    names::{header, param, path::path_placeholders},
    text::cut_prose,
};
use http::HeaderName;
use serde_json::{Map, Value, json};

use super::{
    DeclaredParameter, OpenApiDialect, OpenApiReader, PathItem,
    answer::is_json,
    style::{ContainerStyle, content_schema, exploded, has_content, only_kind, with_style},
};
use crate::{
    ledger::DocumentObject,
    model::{ApiOperation, OperationInput},
    report::{excerpt, place_at, place_item},
    schema::{JsonTypes, ValueShape, schema_example, schema_flag},
    text,
};

/// The longest description of a parameter, in characters, without what its schema says.
pub(super) const MAX_DESCRIPTION: usize = 200;

/// So many parameters of an operation are read.
const MAX_PARAMETERS: usize = 1_000;

/// Keywords of a schema that say what a parameter is where it has none.
const BARE: [&str; 16] = [
    "$ref",
    "allOf",
    "anyOf",
    "const",
    "default",
    "enum",
    "format",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "type",
];

/// Fields that OpenAPI describes elsewhere (OpenAPI 3.1, "Parameter Object").
const ELSEWHERE: [&str; 2] = ["accept", "content-type"];

impl<'doc> OpenApiReader<'doc> {
    /// Returns the parameters of an operation: its own, and those of its path that it does not
    /// declare again. Says as well whether there are some that cannot be followed.
    pub(super) fn read_declared(
        &mut self,
        operation: &'doc Map<String, Value>,
        path: &PathItem<'doc>,
        place: &str,
    ) -> (Vec<DeclaredParameter<'doc>>, bool) {
        let mut gone = false;
        let mut declared: Vec<DeclaredParameter<'doc>> = Vec::new();
        self.placeless = None;
        let mut seen: HashSet<(String, String)> = HashSet::new();
        let own = operation.get("parameters").map(|own| (own, place_at(place, "parameters")));
        for (list, place) in [own, path.get("parameters")].into_iter().flatten() {
            if list.is_null() {
                continue;
            }
            let Some((list, place)) = self.schemas.resolve(list, &place) else {
                gone = true;
                continue;
            };
            let Value::Array(list) = list else {
                let message = "`parameters` is not a list, and was left out";
                self.schemas.remarks.lost(&place, message, "write a list of parameters");
                continue;
            };
            let mut own = HashSet::new();
            for (index, value) in list.iter().enumerate() {
                let place = place_item(&place, index);
                if declared.len() >= MAX_PARAMETERS {
                    let message = format!("only {MAX_PARAMETERS} parameters are read");
                    self.schemas.remarks.lost(&place, message, "add those you need by hand");
                    break;
                }
                let Some((value, found)) = self.schemas.resolve(value, &place) else {
                    gone = true;
                    continue;
                };
                let Some(parameter) = self.read_parameter(value, found) else { continue };
                let key = (parameter.location.clone(), parameter.name.clone());
                if !own.insert(key.clone()) {
                    let message =
                        format!("the parameter `{}` is declared twice", excerpt(&parameter.name));
                    let help = "remove one of the two";
                    // The same twice says no more than once.
                    let first =
                        declared.iter().find(|it| key == (it.location.clone(), it.name.clone()));
                    if first.is_some_and(|first| first.value == parameter.value) {
                        self.schemas.remarks.mended(&place, message, help);
                    } else {
                        self.schemas.remarks.lost(&place, message, help);
                    }
                    continue;
                }
                // The operation's own counts before that of the path.
                if seen.insert(key) {
                    declared.push(parameter);
                }
            }
        }
        (declared, gone)
    }

    fn read_parameter(
        &mut self,
        value: &'doc Value,
        found: String,
    ) -> Option<DeclaredParameter<'doc>> {
        let Value::Object(map) = value else {
            let message = "a parameter is not an object, and was left out";
            self.schemas.remarks.lost(&found, message, "write a parameter object");
            return None;
        };
        let name = map.get("name").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        let is_required = schema_flag(map, "required");
        if name.is_empty() {
            if is_required {
                self.placeless = Some("a parameter is required, and has no name".to_owned());
            }
            let message = "a parameter has no name, and was left out";
            self.schemas.remarks.lost(&found, message, "name it in the document");
            return None;
        }
        let written = map.get("in").and_then(Value::as_str).unwrap_or_default();
        let location = match written.to_ascii_lowercase().as_str() {
            "path" | "uri" | "url" => "path",
            "query" => "query",
            "querystring" if self.is_3_2() => "querystring",
            "header" => "header",
            "cookie" => "cookie",
            "body" => "body",
            "formdata" | "form" => "formData",
            _ => {
                let name = excerpt(name);
                if is_required {
                    self.placeless = Some(format!("`{name}` is required, and has no place"));
                }
                let message = format!(
                    "the parameter `{name}` is in `{}`, which is no place",
                    excerpt(written)
                );
                let help = "write path, query, header or cookie";
                self.schemas.remarks.lost(&found, message, help);
                return None;
            }
        };
        let is_old = matches!(location, "body" | "formData");
        if location != written || (is_old && self.dialect == OpenApiDialect::OpenApi3) {
            let message = format!("`in: {}` was read as `{location}`", excerpt(written));
            self.schemas.remarks.mended(&found, message, "write what OpenAPI has");
        }
        if is_described(map) || location == "body" {
            self.schemas.account(DocumentObject::Parameter, map, &found);
        } else {
            self.schemas.account_bare(map, &found);
        }
        Some(DeclaredParameter {
            name: name.to_owned(),
            location: location.to_owned(),
            value: map,
            place: found,
        })
    }

    /// Adds the parameters of path, query and header to an operation.
    pub(super) fn read_inputs(
        &mut self,
        operation: &mut ApiOperation,
        declared: &[DeclaredParameter<'doc>],
        renamed: &HashMap<String, String>,
    ) {
        let mut in_path = Vec::new();
        let in_braces: Vec<String> =
            path_placeholders(&operation.path).map(str::to_owned).collect();
        for parameter in declared {
            let location = match parameter.location.as_str() {
                "path" => ParamLocation::Path,
                "query" => ParamLocation::Query,
                "header" => ParamLocation::Header,
                "cookie" => ParamLocation::Cookie,
                "querystring" => {
                    self.whole_query(operation, parameter);
                    continue;
                }
                _ => continue,
            };
            if location == ParamLocation::Path {
                let name = renamed.get(&parameter.name).unwrap_or(&parameter.name);
                if !in_braces.contains(name) {
                    let message =
                        format!("the path has no `{{{}}}`; left out", excerpt(&parameter.name));
                    let help = "add it to the path, or send the parameter elsewhere";
                    self.schemas.remarks.lost(&parameter.place, message, help);
                    continue;
                }
                in_path.push(name.clone());
                let shape = self.shape_of(parameter);
                let mut input = self.make_input(parameter, &shape, location);
                if parameter.value.get("required") != Some(&Value::Bool(true)) {
                    let message = format!(
                        "the path parameter `{}` is not required",
                        excerpt(&parameter.name)
                    );
                    self.schemas.remarks.mended(
                        &parameter.place,
                        message,
                        "write `required: true`",
                    );
                }
                input.required = true;
                input.name.clone_from(name);
                operation.inputs.push(input);
                continue;
            }
            if self.cannot_be_said(parameter, location) {
                operation.unsaid.push((location, parameter.name.clone()));
                continue;
            }
            if location == ParamLocation::Cookie {
                self.read_cookie(operation, parameter);
                continue;
            }
            self.sent(operation, parameter, location);
        }
        for name in in_braces {
            if !in_path.contains(&name) {
                in_path.push(name.clone());
                self.undeclared(operation, name);
            }
        }
    }

    /// Adds a parameter that is the whole query, and its members, where a form has some: a caller
    /// gives the one or the others, so that none of them is required.
    fn whole_query(&mut self, operation: &mut ApiOperation, parameter: &DeclaredParameter<'doc>) {
        let shape = self.shape_of(parameter);
        let is_json =
            content_schema(parameter.value).is_some_and(|(media, _)| media.ends_with("json"));
        let kind = if is_json { ParamKind::Object } else { ParamKind::String };
        let mut input =
            OperationInput::new(&parameter.name, ParamLocation::Query, kind, &parameter.place);
        input.form.whole = Some(WholePart::Query);
        if is_json {
            input.form.style = ParamStyle::Json;
        } else {
            input.union = Some(KindList::of([ParamKind::Object, ParamKind::String]));
        }
        input.description = self.description(&shape, &parameter.place);
        push_sentence(&mut input.description, "The whole query.");
        if is_json || shape.members.is_empty() {
            input.required = schema_flag(parameter.value, "required");
            operation.inputs.push(input);
            return;
        }
        let message = format!(
            "the members of `{}` are parameters of their own besides",
            excerpt(&parameter.name)
        );
        let help = "a call gives the whole query or its members";
        self.schemas.remarks.changed(&parameter.place, message, help);
        operation.inputs.push(input);
        for member in shape.members.iter().filter(|it| param::is_usable_with_blanks(&it.name)) {
            let made = self.make_undeclared(
                &member.name,
                ParamLocation::Query,
                &member.shape,
                &member.place,
            );
            operation.inputs.push(made);
        }
    }

    /// Adds a cookie. One that is required may be left out: a session may send it.
    fn read_cookie(&mut self, operation: &mut ApiOperation, parameter: &DeclaredParameter<'doc>) {
        let shape = self.shape_of(parameter);
        let mut input = self.make_input(parameter, &shape, ParamLocation::Cookie);
        if std::mem::take(&mut input.required) {
            let message = format!("the cookie `{}` may be left out", excerpt(&parameter.name));
            let help = "write `required: true`, unless the credential brings it";
            self.schemas.remarks.changed(&parameter.place, message, help);
        }
        operation.inputs.push(input);
    }

    /// Adds the parameter of a placeholder that the document does not declare.
    fn undeclared(&mut self, operation: &mut ApiOperation, name: String) {
        let message = format!("the placeholder `{{{}}}` is not declared", excerpt(&name));
        let help = "declare it with `in: path`; its type was taken to be string";
        self.schemas.remarks.mended(&operation.place, message, help);
        let input =
            OperationInput::new(&name, ParamLocation::Path, ParamKind::String, &operation.place);
        operation.inputs.push(OperationInput { required: true, is_guess: true, ..input });
    }

    /// Reports a parameter that a descriptor cannot have.
    fn cannot_be_said(
        &mut self,
        parameter: &DeclaredParameter<'doc>,
        location: ParamLocation,
    ) -> bool {
        let lower = parameter.name.to_ascii_lowercase();
        let shown = excerpt(&parameter.name);
        let is_credential = self.credential.iter().any(|(place, name)| {
            *place == location
                && if location == ParamLocation::Header {
                    *name == lower
                } else {
                    *name == parameter.name
                }
        });
        if is_credential {
            let message = format!("the parameter `{shown}` carries the credential");
            let help = "the program sends it, as `auth` says";
            self.schemas.remarks.changed(&parameter.place, message, help);
            return true;
        }
        let is_usable = match location {
            ParamLocation::Query => param::is_usable_with_blanks(&parameter.name),
            _ => param::is_usable(&parameter.name),
        };
        if !is_usable {
            let message = format!("the name `{shown}` has a space; left out");
            self.schemas.remarks.lost(&parameter.place, message, "no parameter can have that name");
            return true;
        }
        if !matches!(location, ParamLocation::Cookie | ParamLocation::Header) {
            return false;
        }
        if HeaderName::from_bytes(parameter.name.as_bytes()).is_err() {
            let message =
                format!("`{shown}` cannot be the name of a {}; left out", location.as_str());
            self.schemas.remarks.lost(&parameter.place, message, "correct the name");
            return true;
        }
        if location == ParamLocation::Cookie {
            return false;
        }
        if header::is_ours(&lower) {
            let message = format!("the program alone sets the header `{shown}`; left out");
            let help = "a credential belongs below `auth`";
            self.schemas.remarks.lost(&parameter.place, message, help);
            return true;
        }
        if ELSEWHERE.contains(&lower.as_str()) {
            let message = format!("the header `{shown}` follows from the media types; left out");
            let help = "write another type as `content_type` or below `defaults.headers`";
            self.schemas.remarks.changed(&parameter.place, message, help);
            return true;
        }
        false
    }

    /// Adds a parameter of the query or header as its style sends it.
    fn sent(
        &mut self,
        operation: &mut ApiOperation,
        parameter: &DeclaredParameter<'doc>,
        location: ParamLocation,
    ) {
        let shape = self.shape_of(parameter);
        let input = self.make_input(parameter, &shape, location);
        let is_object = shape.kinds.contains(ParamKind::Object)
            && !shape.kinds.contains(ParamKind::String)
            && location == ParamLocation::Query
            && !has_content(parameter);
        if !is_object
            || self.read_written(parameter.value, &shape, location) != ContainerStyle::Members
        {
            operation.inputs.push(input);
            return;
        }
        let name = excerpt(&parameter.name);
        if shape.members.is_empty() {
            operation.inputs.push(with_style(input, exploded(), &shape));
            return;
        }
        if shape.is_open {
            let message = format!("`{name}` sends any parameters that a caller thinks of");
            let help = "add the parameters that you need by hand";
            self.schemas.remarks.lost(&parameter.place, message, help);
        }
        let message = format!("the members of `{name}` are parameters of their own");
        let help = "that is what its style sends";
        self.schemas.remarks.changed(&parameter.place, message, help);
        for member in shape.members {
            if !param::is_usable_with_blanks(&member.name) {
                let message = format!("the name `{}` has a space; left out", excerpt(&member.name));
                let help = "no parameter can have that name";
                self.schemas.remarks.lost(&member.place, message, help);
                continue;
            }
            let required = input.required && member.required;
            let mut made =
                self.make_undeclared(&member.name, location, &member.shape, &member.place);
            made.required = required;
            made.form.allow_reserved = input.form.allow_reserved;
            operation.inputs.push(made);
        }
    }

    /// Returns what the schema of a parameter says; in Swagger 2 the parameter is the schema.
    fn shape_of(&mut self, parameter: &DeclaredParameter<'doc>) -> ValueShape {
        let map = parameter.value;
        let mut shape = match (map.get("schema"), content_schema(map)) {
            (Some(schema), _) => {
                self.schemas.read_shape(schema, &place_at(&parameter.place, "schema"))
            }
            (None, Some((media, value))) => {
                let place = place_at(&place_at(&parameter.place, "content"), media);
                self.content_shape(value, &place)
            }
            (None, None) => {
                if BARE.iter().any(|key| map.contains_key(*key)) {
                    if self.dialect == OpenApiDialect::OpenApi3 {
                        let message = "the type stands beside the parameter, not in `schema`";
                        let help = "write `schema`";
                        self.schemas.remarks.mended(&parameter.place, message, help);
                    }
                    self.schemas.shape_of_parameter(map, &parameter.place)
                } else {
                    ValueShape::default()
                }
            }
        };
        if let Some(own) = map.get("description").and_then(Value::as_str)
            && !own.trim().is_empty()
        {
            shape.description = Some(own.to_owned());
        }
        shape.deprecated |= schema_flag(map, "deprecated");
        if let Some(example) = schema_example(map) {
            shape.example = Some(example);
        }
        shape
    }

    /// Returns what the schema of a parameter says that is a document of its own.
    fn content_shape(&mut self, value: &'doc Value, place: &str) -> ValueShape {
        let Some((Value::Object(media), place)) = self.schemas.resolve(value, place) else {
            return ValueShape::default();
        };
        self.schemas.account(DocumentObject::Media, media, &place);
        match media.get("schema") {
            Some(schema) => self.schemas.read_shape(schema, &place_at(&place, "schema")),
            None => ValueShape::default(),
        }
    }

    /// Makes what a descriptor says of a parameter.
    fn make_input(
        &mut self,
        parameter: &DeclaredParameter<'doc>,
        shape: &ValueShape,
        location: ParamLocation,
    ) -> OperationInput {
        let place = &parameter.place;
        let required = schema_flag(parameter.value, "required");
        self.marks(parameter, shape, location);
        if let Some((media, _)) = content_schema(parameter.value) {
            // A value within a value: as JSON, or as text.
            let mut input = self.make_undeclared(&parameter.name, location, shape, place);
            let is_text = shape.kinds.contains(ParamKind::String) && media.starts_with("text/");
            if is_json(media) {
                input = with_style(input, ParamStyle::Json, shape);
                push_sentence(&mut input.description, "JSON.");
            } else if !is_text {
                input.kind = ParamKind::String;
                input.union = None;
                input.kinds = vec![ParamKind::String];
                input.is_guess = false;
                push_sentence(&mut input.description, &format!("As text in {}.", excerpt(media)));
            }
            input.required = required;
            return input;
        }
        let mut input = self.make_undeclared(&parameter.name, location, shape, place);
        input.required = required;
        input.form.allow_reserved =
            location == ParamLocation::Query && schema_flag(parameter.value, "allowReserved");
        let is_container =
            shape.kinds.contains(ParamKind::Array) || shape.kinds.contains(ParamKind::Object);
        if is_container {
            match self.read_written(parameter.value, shape, location) {
                ContainerStyle::Usual | ContainerStyle::Members => {}
                ContainerStyle::Styled(style) => input = with_style(input, style, shape),
                ContainerStyle::Other => {
                    input.kind = ParamKind::String;
                    input.union = None;
                    input.kinds = Vec::new();
                    let style = parameter.value.get("style").and_then(Value::as_str);
                    let message = format!(
                        "the style `{}` of `{}` cannot be said; it is text",
                        excerpt(style.unwrap_or_default()),
                        excerpt(&parameter.name)
                    );
                    let help = "a caller must write the whole value as the API wants it";
                    self.schemas.remarks.lost(place, message, help);
                }
            }
        } else if location == ParamLocation::Path
            && let Some("label" | "matrix") = parameter.value.get("style").and_then(Value::as_str)
            && let ContainerStyle::Styled(style) =
                self.read_written(parameter.value, shape, location)
        {
            input.form.style = style;
            input.union = Some(KindList::of([input.kind]));
        }
        input
    }

    /// Makes what a descriptor says of a value with this shape.
    pub(super) fn make_undeclared(
        &mut self,
        name: &str,
        location: ParamLocation,
        shape: &ValueShape,
        place: &str,
    ) -> OperationInput {
        let (kind, union) = param_kind(shape.kinds);
        // In a path and in a header everything is text.
        let union =
            union.filter(|_| matches!(location, ParamLocation::Body | ParamLocation::Query));
        let mut hints = Map::new();
        if union.is_some_and(|kinds| !kinds.is_any() && kinds.contains(ParamKind::Array))
            && let Some(Some(item)) = shape.items.as_deref().map(|items| only_kind(items.kinds))
        {
            hints.insert("items".to_owned(), json!({ "type": text::kind_word(item) }));
        }
        let values = enum_values(shape);
        // A descriptor that is filled in has its own words, or those of the shape.
        let (description, listing) = if self.keeps_shapes {
            (String::new(), String::new())
        } else {
            let listing = text::facts(shape).into_iter().next().filter(|_| !values.is_empty());
            (self.description(shape, place), listing.unwrap_or_default())
        };
        OperationInput {
            kinds: shape.kinds.iter().collect(),
            default: sole_value(shape),
            values,
            description,
            listing,
            union,
            hints,
            shape: self.kept(shape),
            ..OperationInput::new(name, location, kind, place)
        }
    }

    /// Returns what is kept of a shape.
    pub(super) fn kept(&self, shape: &ValueShape) -> Option<Box<ValueShape>> {
        self.keeps_shapes.then(|| Box::new(shape.clone()))
    }

    /// Writes what a schema says about a value into one line.
    pub(super) fn description(&mut self, shape: &ValueShape, place: &str) -> String {
        let text = shape.description.as_deref().map(text::prose).unwrap_or_default();
        let (line, was_cut) = cut_prose(&text, MAX_DESCRIPTION);
        let mut line = line.into_owned();
        self.cut += usize::from(was_cut);
        if shape.deprecated {
            line = format!("Deprecated. {line}").trim_end().to_owned();
        }
        if let Some((members, was_cut)) = text::member_list(shape) {
            push_sentence(&mut line, &members);
            if was_cut {
                let message = "not all members of the object are described";
                let help = "describe those that matter in the description of the parameter";
                self.schemas.remarks.lost(place, message, help);
            }
        }
        let listed = shape.values.len().max(shape.items.as_ref().map_or(0, |it| it.values.len()));
        if listed > text::MAX_VALUES {
            let message = format!("of {listed} values only the first ones are listed");
            let help = "list those that matter in the description of the parameter";
            self.schemas.remarks.lost(place, message, help);
        }
        for fact in text::facts(shape) {
            push_sentence(&mut line, &fact);
        }
        if text::has_checks_inside(shape) {
            let message = "what the server checks within the value is not described";
            let help = "say in the description of the parameter what matters";
            self.schemas.remarks.lost(place, message, help);
        }
        line
    }
}

/// Returns the type that every program knows, and the types where it is only one of them.
fn param_kind(kinds: JsonTypes) -> (ParamKind, Option<KindList>) {
    if let Some(only) = only_kind(kinds) {
        return (only, None);
    }
    let union = KindList::of(kinds.iter());
    let is_container = |kind: ParamKind| matches!(kind, ParamKind::Array | ParamKind::Object);
    // Text can say every scalar; containers are asked for as such.
    if !kinds.is_any() && kinds.iter().all(is_container) {
        (ParamKind::Array, Some(union))
    } else {
        (ParamKind::String, Some(union))
    }
}

/// Returns the one value that there is, or the one that the document has for a call without any.
fn sole_value(shape: &ValueShape) -> Option<Value> {
    match shape.values.as_slice() {
        [one] => Some(one.clone()),
        _ => shape.default.clone(),
    }
}

fn enum_values(shape: &ValueShape) -> Vec<Value> {
    match &shape.items {
        Some(items) if shape.values.is_empty() => items.values.clone(),
        _ => shape.values.clone(),
    }
}

/// Returns whether something in a parameter says what its values are.
fn is_described(map: &Map<String, Value>) -> bool {
    ["schema", "content"].iter().any(|key| map.get(*key).is_some_and(Value::is_object))
}

/// Appends a sentence.
pub(crate) fn push_sentence(line: &mut String, sentence: &str) {
    if !line.is_empty() {
        let ends = line.trim_end_matches(['"', ')']).ends_with(['.', '!', '?', ':', ';', '}', '…']);
        line.push_str(if ends { " " } else { ". " });
    }
    line.push_str(sentence);
}
