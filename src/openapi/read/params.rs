//! `parameters`: what goes into the path, the query and the header.

use std::collections::{HashMap, HashSet};

use http::HeaderName;
use serde_json::{Map, Value};

use super::{Dialect, Item, Reader};
use crate::{
    descriptor::model::{Location, ParamKind},
    names::{header, path::placeholders},
    openapi::{
        model::{Input, Operation},
        report::{at, excerpt, item},
        schema::{Kinds, Shape, example, flag},
        text,
    },
    text::cut_prose,
};

/// The longest description of a parameter, in characters, without what its schema says.
pub(super) const MAX_DESCRIPTION: usize = 200;

/// So many parameters of an operation are read.
const MAX_PARAMETERS: usize = 1_000;

/// Fields that OpenAPI describes elsewhere (OpenAPI 3.1, "Parameter Object").
const ELSEWHERE: [&str; 2] = ["accept", "content-type"];

/// A parameter as the document has it.
pub(super) struct Declared<'doc> {
    pub(super) name: String,
    /// `path`, `query`, `header`, `cookie`, `body` or `formData`.
    pub(super) location: String,
    pub(super) value: &'doc Map<String, Value>,
    pub(super) place: String,
}

/// How a container is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// As a descriptor writes it: a repeated name, or `name[key]`.
    Usual,
    /// With this between the items.
    Joined(&'static str),
    /// The members of an object are parameters of their own.
    Members,
    /// In a way that a descriptor cannot say.
    Other,
}

impl<'doc> Reader<'doc> {
    /// Returns the parameters of an operation: its own, and those of its path that it does not
    /// declare again. Says as well whether there are some that cannot be followed.
    pub(super) fn declared(
        &mut self,
        operation: &'doc Map<String, Value>,
        path: &Item<'doc>,
        place: &str,
    ) -> (Vec<Declared<'doc>>, bool) {
        let mut gone = false;
        let mut declared: Vec<Declared<'doc>> = Vec::new();
        let mut seen: HashSet<(String, String)> = HashSet::new();
        let own = operation.get("parameters").map(|own| (own, at(place, "parameters")));
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
                self.schemas.remarks.mended(&place, message, "write a list of parameters");
                continue;
            };
            let mut own = HashSet::new();
            for (index, value) in list.iter().enumerate() {
                let place = item(&place, index);
                if declared.len() >= MAX_PARAMETERS {
                    let message = format!("only {MAX_PARAMETERS} parameters are read");
                    self.schemas.remarks.lost(&place, message, "add those you need by hand");
                    break;
                }
                let Some((value, found)) = self.schemas.resolve(value, &place) else {
                    gone = true;
                    continue;
                };
                let Some(parameter) = self.parameter(value, found) else { continue };
                let key = (parameter.location.clone(), parameter.name.clone());
                if !own.insert(key.clone()) {
                    let message =
                        format!("the parameter `{}` is declared twice", excerpt(&parameter.name));
                    self.schemas.remarks.mended(&place, message, "remove one of the two");
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

    fn parameter(&mut self, value: &'doc Value, found: String) -> Option<Declared<'doc>> {
        let Value::Object(map) = value else {
            let message = "a parameter is not an object, and was left out";
            self.schemas.remarks.mended(&found, message, "write a parameter object");
            return None;
        };
        let name = map.get("name").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if name.is_empty() {
            let message = "a parameter has no name, and was left out";
            self.schemas.remarks.lost(&found, message, "name it in the document");
            return None;
        }
        let written = map.get("in").and_then(Value::as_str).unwrap_or_default();
        let location = match written.to_ascii_lowercase().as_str() {
            "path" | "uri" | "url" => "path",
            "query" | "querystring" => "query",
            "header" => "header",
            "cookie" => "cookie",
            "body" => "body",
            "formdata" | "form" => "formData",
            _ => {
                let message = format!(
                    "the parameter `{}` is in `{}`, which is no place",
                    excerpt(name),
                    excerpt(written)
                );
                let help = "write path, query, header or cookie";
                self.schemas.remarks.lost(&found, message, help);
                return None;
            }
        };
        let is_old = matches!(location, "body" | "formData");
        if location != written || (is_old && self.dialect == Dialect::OpenApi3) {
            let message = format!("`in: {}` was read as `{location}`", excerpt(written));
            self.schemas.remarks.mended(&found, message, "write what OpenAPI has");
        }
        Some(Declared {
            name: name.to_owned(),
            location: location.to_owned(),
            value: map,
            place: found,
        })
    }

    /// Adds the parameters of path, query and header to an operation.
    pub(super) fn inputs(
        &mut self,
        operation: &mut Operation,
        declared: &[Declared<'doc>],
        renamed: &HashMap<String, String>,
    ) {
        let mut in_path = Vec::new();
        let in_braces: Vec<String> = placeholders(&operation.path).map(str::to_owned).collect();
        for parameter in declared {
            let location = match parameter.location.as_str() {
                "path" => Location::Path,
                "query" => Location::Query,
                "header" => Location::Header,
                "cookie" => {
                    let message = format!("the cookie `{}`", excerpt(&parameter.name));
                    let help = "a descriptor sends no cookie but that of the credential: write it \
                                below `auth` if it is one";
                    self.schemas.remarks.lost(&parameter.place, message, help);
                    continue;
                }
                _ => continue,
            };
            if location == Location::Path {
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
                let mut input = self.input(parameter, &shape, location);
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
            self.sent(operation, parameter, location);
        }
        for name in in_braces {
            if !in_path.contains(&name) {
                in_path.push(name.clone());
                self.undeclared(operation, name);
            }
        }
    }

    /// Adds the parameter of a placeholder that the document does not declare.
    fn undeclared(&mut self, operation: &mut Operation, name: String) {
        let message = format!("the placeholder `{{{}}}` is not declared", excerpt(&name));
        let help = "declare it with `in: path`; its type was taken to be string";
        self.schemas.remarks.mended(&operation.place, message, help);
        let input = Input::new(&name, Location::Path, ParamKind::String, &operation.place);
        operation.inputs.push(Input { required: true, is_guess: true, ..input });
    }

    /// Reports a parameter that a descriptor cannot have.
    fn cannot_be_said(&mut self, parameter: &Declared<'doc>, location: Location) -> bool {
        let lower = parameter.name.to_ascii_lowercase();
        let shown = excerpt(&parameter.name);
        let is_credential = match &self.credential {
            Some((place, name)) => {
                *place == location
                    && if location == Location::Header {
                        *name == lower
                    } else {
                        *name == parameter.name
                    }
            }
            None => false,
        };
        if is_credential {
            let message = format!("the parameter `{shown}` carries the credential");
            let help = "the program sends it, as `auth` says";
            self.schemas.remarks.changed(&parameter.place, message, help);
            return true;
        }
        if parameter.name.chars().any(|it| it.is_whitespace() || it.is_control()) {
            let message = format!("the name `{shown}` has a space; left out");
            self.schemas.remarks.lost(&parameter.place, message, "no parameter can have that name");
            return true;
        }
        if location != Location::Header {
            return false;
        }
        if HeaderName::from_bytes(parameter.name.as_bytes()).is_err() {
            let message = format!("`{shown}` cannot be the name of a header; left out");
            self.schemas.remarks.lost(&parameter.place, message, "correct the name");
            return true;
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
    fn sent(&mut self, operation: &mut Operation, parameter: &Declared<'doc>, location: Location) {
        let shape = self.shape_of(parameter);
        let input = self.input(parameter, &shape, location);
        let is_object = shape.kinds.contains(ParamKind::Object)
            && !shape.kinds.contains(ParamKind::String)
            && location == Location::Query
            && !has_content(parameter);
        if !is_object || self.written(parameter, &shape, location) != Written::Members {
            operation.inputs.push(input);
            return;
        }
        let name = excerpt(&parameter.name);
        if shape.is_open || shape.members.is_empty() {
            let message = format!("`{name}` sends any parameters that a caller thinks of");
            let help = "add the parameters that you need by hand";
            self.schemas.remarks.lost(&parameter.place, message, help);
        }
        if !shape.members.is_empty() {
            let message = format!("the members of `{name}` are parameters of their own");
            let help = "that is what its style sends";
            self.schemas.remarks.changed(&parameter.place, message, help);
        }
        for member in shape.members {
            if member.name.chars().any(|it| it.is_whitespace() || it.is_control())
                || member.name.is_empty()
            {
                let message = format!("the name `{}` has a space; left out", excerpt(&member.name));
                let help = "no parameter can have that name";
                self.schemas.remarks.lost(&member.place, message, help);
                continue;
            }
            let required = input.required && member.required;
            let mut made = self.made(&member.name, location, &member.shape, &member.place);
            made.required = required;
            operation.inputs.push(made);
        }
    }

    /// Returns what the schema of a parameter says; in Swagger 2 the parameter is the schema.
    fn shape_of(&mut self, parameter: &Declared<'doc>) -> Shape {
        let map = parameter.value;
        let mut shape = match (map.get("schema"), content(map)) {
            (Some(schema), _) => self.schemas.shape(schema, &at(&parameter.place, "schema")),
            (None, Some((_, media))) => match media.get("schema") {
                Some(schema) => {
                    let place = at(&parameter.place, "content");
                    self.schemas.shape(schema, &place)
                }
                None => Shape::default(),
            },
            (None, None) => {
                let known = ["type", "$ref", "enum", "items", "allOf", "format"];
                if known.iter().any(|key| map.contains_key(*key)) {
                    if self.dialect == Dialect::OpenApi3 {
                        let message = "the type stands beside the parameter, not in `schema`";
                        let help = "write `schema`";
                        self.schemas.remarks.mended(&parameter.place, message, help);
                    }
                    self.schemas.shape_of_parameter(map, &parameter.place)
                } else {
                    Shape::default()
                }
            }
        };
        if let Some(own) = map.get("description").and_then(Value::as_str)
            && !own.trim().is_empty()
        {
            shape.description = Some(own.to_owned());
        }
        shape.deprecated |= flag(map, "deprecated");
        if let Some(example) = example(map) {
            shape.example = Some(example);
        }
        shape
    }

    /// Makes what a descriptor says of a parameter.
    fn input(&mut self, parameter: &Declared<'doc>, shape: &Shape, location: Location) -> Input {
        let place = &parameter.place;
        let required = flag(parameter.value, "required");
        if let Some((media, _)) = content(parameter.value) {
            // A value within a value: it goes out as text.
            let mut input = self.made(&parameter.name, location, shape, place);
            let is_text = shape.kinds.contains(ParamKind::String) && media.starts_with("text/");
            if !is_text {
                input.kind = ParamKind::String;
                input.kinds = vec![ParamKind::String];
                input.is_guess = false;
                push(&mut input.description, &format!("As text in {}.", excerpt(media)));
            }
            input.required = required;
            return input;
        }
        let mut input = self.made(&parameter.name, location, shape, place);
        input.required = required;
        let container = matches!(input.kind, ParamKind::Array | ParamKind::Object);
        if container {
            match self.written(parameter, shape, location) {
                Written::Usual | Written::Members => {}
                Written::Joined(separator) => {
                    input.kind = ParamKind::String;
                    input.kinds = vec![ParamKind::String];
                    let what = if shape.kinds.contains(ParamKind::Array) {
                        "Several"
                    } else {
                        "Names and values"
                    };
                    push(&mut input.description, &format!("{what} with {separator} between."));
                }
                Written::Other => {
                    input.kind = ParamKind::String;
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
        } else if location == Location::Path
            && let Some(style @ ("label" | "matrix")) =
                parameter.value.get("style").and_then(Value::as_str)
        {
            let message =
                format!("the style `{style}` of `{}` cannot be said", excerpt(&parameter.name));
            let help = "write the mark into the path, before the placeholder";
            self.schemas.remarks.lost(place, message, help);
        }
        input
    }

    /// Returns how a container is written (OpenAPI 3.1, "Style Values"; Swagger 2,
    /// `collectionFormat`).
    fn written(&self, parameter: &Declared<'doc>, shape: &Shape, location: Location) -> Written {
        let map = parameter.value;
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        if self.dialect == Dialect::Swagger2 {
            return match text("collectionFormat").unwrap_or("csv") {
                "multi" => Written::Usual,
                "ssv" => Written::Joined("spaces"),
                "tsv" => Written::Joined("tabs"),
                "pipes" => Written::Joined("`|`"),
                _ => Written::Joined("commas"),
            };
        }
        if location != Location::Query {
            return match text("style").unwrap_or("simple") {
                "simple" => Written::Joined("commas"),
                _ => Written::Other,
            };
        }
        let is_array = shape.kinds.contains(ParamKind::Array);
        let style = text("style").unwrap_or("form");
        let explode = match map.get("explode") {
            Some(Value::Bool(value)) => *value,
            _ => style == "form",
        };
        match (style, explode) {
            ("form", true) if is_array => Written::Usual,
            ("form", true) => Written::Members,
            ("form", false) => Written::Joined("commas"),
            // As it is for an array, several readers disagree; most repeat the name.
            ("deepObject", _) => Written::Usual,
            ("spaceDelimited", false) => Written::Joined("spaces"),
            ("pipeDelimited", false) => Written::Joined("`|`"),
            ("spaceDelimited" | "pipeDelimited", true) if is_array => Written::Usual,
            _ => Written::Other,
        }
    }

    /// Makes what a descriptor says of a value with this shape.
    pub(super) fn made(
        &mut self,
        name: &str,
        location: Location,
        shape: &Shape,
        place: &str,
    ) -> Input {
        let (kind, is_guess) = kind(shape.kinds);
        let takes_several = shape.kinds.iter().filter(|it| *it != ParamKind::Integer).count() > 1;
        if is_guess && takes_several {
            let several: Vec<&str> = shape.kinds.iter().map(text::word).collect();
            let message = format!(
                "`{}` takes {}; the descriptor says {}",
                excerpt(name),
                several.join(" or "),
                text::word(kind)
            );
            let help = "write another type, if that is what you send";
            self.schemas.remarks.lost(place, message, help);
        } else if is_guess {
            let message = format!("nothing says what `{}` is; it is text", excerpt(name));
            let help = "write the type, if you know it";
            self.schemas.remarks.changed(place, message, help);
        }
        let values = enumeration(shape);
        // A descriptor that is filled in has its own words, or those of the shape.
        let (description, listing) = if self.keeps_shapes {
            (String::new(), String::new())
        } else {
            let listing = text::facts(shape).into_iter().next().filter(|_| !values.is_empty());
            (self.description(shape, place), listing.unwrap_or_default())
        };
        Input {
            kinds: shape.kinds.iter().collect(),
            values,
            description,
            listing,
            is_guess,
            shape: self.kept(shape),
            ..Input::new(name, location, kind, place)
        }
    }

    /// Returns what is kept of a shape.
    pub(super) fn kept(&self, shape: &Shape) -> Option<Box<Shape>> {
        self.keeps_shapes.then(|| Box::new(shape.clone()))
    }

    /// Writes what a schema says about a value into one line.
    fn description(&mut self, shape: &Shape, place: &str) -> String {
        let text = shape.description.as_deref().map(text::prose).unwrap_or_default();
        let (line, was_cut) = cut_prose(&text, MAX_DESCRIPTION);
        let mut line = line.into_owned();
        self.cut += usize::from(was_cut);
        if shape.deprecated {
            line = format!("Deprecated. {line}").trim_end().to_owned();
        }
        if let Some((members, was_cut)) = text::members(shape) {
            push(&mut line, &members);
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
            push(&mut line, &fact);
        }
        line
    }
}

/// Returns the type that a descriptor says, and whether it is a choice.
fn kind(kinds: Kinds) -> (ParamKind, bool) {
    let all: Vec<ParamKind> = kinds.iter().collect();
    match all.as_slice() {
        [one] => (*one, false),
        [] => (ParamKind::String, true),
        [ParamKind::Integer, ParamKind::Number] => (ParamKind::Number, false),
        _ => {
            // Text can say every scalar; containers are asked for as such.
            let only_containers =
                all.iter().all(|kind| matches!(kind, ParamKind::Array | ParamKind::Object));
            if only_containers { (ParamKind::Array, true) } else { (ParamKind::String, true) }
        }
    }
}

fn enumeration(shape: &Shape) -> Vec<Value> {
    match &shape.items {
        Some(items) if shape.values.is_empty() => items.values.clone(),
        _ => shape.values.clone(),
    }
}

fn has_content(parameter: &Declared<'_>) -> bool {
    parameter.value.get("schema").is_none() && content(parameter.value).is_some()
}

/// Returns the media type of a parameter that is a document of its own.
fn content(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let Some(Value::Object(content)) = map.get("content") else { return None };
    content.iter().next().map(|(media, value)| (media.as_str(), value))
}

/// Appends a sentence.
pub(in crate::openapi) fn push(line: &mut String, sentence: &str) {
    if !line.is_empty() {
        let ends = line.trim_end_matches(['"', ')']).ends_with(['.', '!', '?', ':', ';', '}', '…']);
        line.push_str(if ends { " " } else { ". " });
    }
    line.push_str(sentence);
}
