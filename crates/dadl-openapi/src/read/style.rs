//! `style`, `explode` and `content`: how a value is written into its place.

use dadl_descriptor::model::{Between, KindList, Lead, Location, ParamKind, Style};
use serde_json::{Map, Value, json};

use super::{
    Dialect, Reader,
    params::{Declared, only},
};
use crate::{
    model::Input,
    report::{at, excerpt},
    schema::{Shape, flag},
    text,
};

/// How a container is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// As a descriptor writes it: a repeated name, or `name[key]`.
    Usual,
    /// As one text, or as pairs that have the names of its members.
    Styled(Style),
    /// The members of an object are parameters of their own.
    Members,
    /// In a way that a descriptor cannot say.
    Other,
}

impl<'doc> Reader<'doc> {
    /// Reports what stands beside the schema of a parameter and cannot be said.
    pub(super) fn marks(&mut self, parameter: &Declared<'doc>, shape: &Shape, location: Location) {
        let Declared { name, value: map, place, .. } = parameter;
        let name = excerpt(name);
        if let Some(Value::Object(content)) = map.get("content")
            && content.len() > 1
        {
            let message = format!("`{name}` has several media types, and the first one is sent");
            let help = "write the one that is meant";
            self.schemas.remarks.lost(&at(place, "content"), message, help);
        }
        let is_text = shape.kinds.is_any() || shape.kinds.contains(ParamKind::String);
        let may_be_empty = matches!(location, Location::Body | Location::Query);
        if flag(map, "allowEmptyValue") && may_be_empty && !is_text {
            let message = format!("`{name}` may be empty, and no value of its type is");
            let help = "let its type be text, if requests need it empty";
            self.schemas.remarks.lost(&at(place, "allowEmptyValue"), message, help);
        }
        if self.dialect == Dialect::Swagger2 {
            return;
        }
        if flag(map, "allowReserved") && (location != Location::Query || has_content(parameter)) {
            let message = format!("the reserved characters of `{name}` are encoded");
            let help = "only those of a query can stay";
            self.schemas.remarks.lost(&at(place, "allowReserved"), message, help);
        }
        let styles: &[&str] = match location {
            Location::Path => &["simple", "label", "matrix"],
            Location::Header => &["simple"],
            Location::Cookie => &["form", "simple", "cookie"],
            Location::Query | Location::Body => {
                &["form", "spaceDelimited", "pipeDelimited", "deepObject"]
            }
        };
        let style = map.get("style").and_then(Value::as_str);
        let is_container =
            shape.kinds.contains(ParamKind::Array) || shape.kinds.contains(ParamKind::Object);
        if let Some(style) = style.filter(|style| !styles.contains(style) && !is_container) {
            let message = format!("`{}` is no style of a {}", excerpt(style), location.as_str());
            let help = "write one that OpenAPI has there";
            self.schemas.remarks.lost(&at(place, "style"), message, help);
        }
    }

    /// Returns how a container is written (OpenAPI 3.1, "Style Values"; Swagger 2,
    /// `collectionFormat`).
    pub(super) fn written(
        &self,
        map: &Map<String, Value>,
        shape: &Shape,
        location: Location,
    ) -> Written {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        if self.dialect == Dialect::Swagger2 {
            let format = text("collectionFormat").unwrap_or("csv");
            return match (collection(format), location) {
                (None, _) => Written::Usual,
                (Some(Between::Comma), _) | (_, Location::Query) => {
                    let between = collection(format).unwrap_or(Between::Comma);
                    Written::Styled(listed(Lead::None, between, false))
                }
                (Some(_), _) => Written::Other,
            };
        }
        if location != Location::Query {
            let explode = flag(map, "explode");
            let simple = |lead| Written::Styled(listed(lead, Between::Comma, explode));
            return match text("style").unwrap_or("simple") {
                "simple" => simple(Lead::None),
                "label" if location == Location::Path => simple(Lead::Dot),
                "matrix" if location == Location::Path => simple(Lead::Semicolon),
                // One cookie; as it is by default, several have the same name.
                "form"
                    if location == Location::Cookie && map.contains_key("explode") && !explode =>
                {
                    simple(Lead::None)
                }
                _ => Written::Other,
            };
        }
        let joined = |between| Written::Styled(listed(Lead::None, between, false));
        let is_array = shape.kinds.contains(ParamKind::Array);
        let style = text("style").unwrap_or("form");
        let explode = match map.get("explode") {
            Some(Value::Bool(value)) => *value,
            _ => style == "form",
        };
        match (style, explode) {
            ("form", true) if is_array => Written::Usual,
            ("form", true) => Written::Members,
            ("form", false) => joined(Between::Comma),
            // As it is for an array, several readers disagree; most repeat the name.
            ("deepObject", _) => Written::Usual,
            ("spaceDelimited", false) => joined(Between::Space),
            ("pipeDelimited", false) => joined(Between::Pipe),
            ("spaceDelimited" | "pipeDelimited", true) if is_array => Written::Usual,
            _ => Written::Other,
        }
    }
}

pub(super) fn listed(lead: Lead, between: Between, explode: bool) -> Style {
    Style::Listed { lead, between, explode }
}

/// Returns what Swagger 2 writes between the items of a list; `None` for a repeated name.
pub(super) fn collection(format: &str) -> Option<Between> {
    match format {
        "multi" => None,
        "ssv" => Some(Between::Space),
        "tsv" => Some(Between::Tab),
        "pipes" => Some(Between::Pipe),
        _ => Some(Between::Comma),
    }
}

/// Makes an input one that other programs take for text and that is written in this style.
pub(super) fn styled(input: Input, style: Style, shape: &Shape) -> Input {
    let mut input = Input { union: Some(KindList::of(shape.kinds.iter())), ..input };
    if let Some(Some(item)) = shape.items.as_deref().map(|items| only(items.kinds)) {
        input.hints.insert("items".to_owned(), json!({ "type": text::word(item) }));
    }
    if !input.kinds.is_empty() && !input.kinds.contains(&ParamKind::String) {
        input.kinds.push(ParamKind::String);
    }
    input.kind = ParamKind::String;
    input.is_guess = false;
    input.form.style = style;
    input
}

pub(super) fn has_content(parameter: &Declared<'_>) -> bool {
    parameter.value.get("schema").is_none() && content(parameter.value).is_some()
}

/// Returns the media type of a parameter that is a document of its own.
pub(super) fn content(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let Some(Value::Object(content)) = map.get("content") else { return None };
    content.iter().next().map(|(media, value)| (media.as_str(), value))
}
