//! `style`, `explode` and `content`: how a value is written into its place.

use dadl_descriptor::model::{
    KindList, ListDelimiter, ParamKind, ParamLocation, ParamStyle, StylePrefix,
};
use serde_json::{Map, Value, json};

use super::{DeclaredParameter, OpenApiDialect, OpenApiReader};
use crate::{
    model::OperationInput,
    report::{excerpt, place_at},
    schema::{JsonTypes, ValueShape, schema_flag},
    text,
};

/// How a container is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainerStyle {
    /// As a descriptor writes it: a repeated name, or `name[key]`.
    Usual,
    /// As one text, or as pairs that have the names of its members.
    Styled(ParamStyle),
    /// The members of an object are parameters of their own.
    Members,
    /// In a way that a descriptor cannot say.
    Other,
}

impl<'doc> OpenApiReader<'doc> {
    /// Reports what stands beside the schema of a parameter and cannot be said.
    pub(super) fn marks(
        &mut self,
        parameter: &DeclaredParameter<'doc>,
        shape: &ValueShape,
        location: ParamLocation,
    ) {
        let DeclaredParameter { name, value: map, place, .. } = parameter;
        let name = excerpt(name);
        if let Some(Value::Object(content)) = map.get("content")
            && content.len() > 1
        {
            let message = format!("`{name}` has several media types, and the first one is sent");
            let help = "write the one that is meant";
            self.schemas.remarks.lost(&place_at(place, "content"), message, help);
        }
        let is_text = shape.kinds.is_any() || shape.kinds.contains(ParamKind::String);
        let may_be_empty = matches!(location, ParamLocation::Body | ParamLocation::Query);
        if schema_flag(map, "allowEmptyValue") && may_be_empty && !is_text {
            let message = format!("`{name}` may be empty, and no value of its type is");
            let help = "let its type be text, if requests need it empty";
            self.schemas.remarks.lost(&place_at(place, "allowEmptyValue"), message, help);
        }
        if self.dialect == OpenApiDialect::Swagger2 {
            return;
        }
        if schema_flag(map, "allowReserved")
            && (location != ParamLocation::Query || has_content(parameter))
        {
            let message = format!("the reserved characters of `{name}` are encoded");
            let help = "only those of a query can stay";
            self.schemas.remarks.lost(&place_at(place, "allowReserved"), message, help);
        }
        let styles: &[&str] = match location {
            ParamLocation::Path => &["simple", "label", "matrix"],
            ParamLocation::Header => &["simple"],
            ParamLocation::Cookie => &["form", "simple", "cookie"],
            ParamLocation::Query | ParamLocation::Body => {
                &["form", "spaceDelimited", "pipeDelimited", "deepObject"]
            }
        };
        let style = map.get("style").and_then(Value::as_str);
        let is_container =
            shape.kinds.contains(ParamKind::Array) || shape.kinds.contains(ParamKind::Object);
        if let Some(style) = style.filter(|style| !styles.contains(style) && !is_container) {
            let message = format!("`{}` is no style of a {}", excerpt(style), location.as_str());
            let help = "write one that OpenAPI has there";
            self.schemas.remarks.lost(&place_at(place, "style"), message, help);
        }
    }

    /// Returns how a container is written (OpenAPI 3.1, "Style Values"; Swagger 2,
    /// `collectionFormat`).
    pub(super) fn read_written(
        &self,
        map: &Map<String, Value>,
        shape: &ValueShape,
        location: ParamLocation,
    ) -> ContainerStyle {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        if self.dialect == OpenApiDialect::Swagger2 {
            let format = text("collectionFormat").unwrap_or("csv");
            return match (collection_delimiter(format), location) {
                (None, _) => ContainerStyle::Usual,
                (Some(ListDelimiter::Comma), _) | (_, ParamLocation::Query) => {
                    let between = collection_delimiter(format).unwrap_or(ListDelimiter::Comma);
                    ContainerStyle::Styled(joined(between))
                }
                (Some(_), _) => ContainerStyle::Other,
            };
        }
        if location != ParamLocation::Query {
            let explode = schema_flag(map, "explode");
            let simple = |lead| {
                ContainerStyle::Styled(ParamStyle::Listed {
                    lead,
                    between: ListDelimiter::Comma,
                    explode,
                })
            };
            return match text("style").unwrap_or("simple") {
                "simple" => simple(StylePrefix::None),
                "label" if location == ParamLocation::Path => simple(StylePrefix::Dot),
                "matrix" if location == ParamLocation::Path => simple(StylePrefix::Semicolon),
                // One cookie; as it is by default, several have the same name.
                "form"
                    if location == ParamLocation::Cookie
                        && map.contains_key("explode")
                        && !explode =>
                {
                    simple(StylePrefix::None)
                }
                _ => ContainerStyle::Other,
            };
        }
        let styled = |between| ContainerStyle::Styled(joined(between));
        let is_array = shape.kinds.contains(ParamKind::Array);
        let style = text("style").unwrap_or("form");
        let explode = match map.get("explode") {
            Some(Value::Bool(value)) => *value,
            _ => style == "form",
        };
        match (style, explode) {
            ("form", true) if is_array => ContainerStyle::Usual,
            ("form", true) => ContainerStyle::Members,
            ("form", false) => styled(ListDelimiter::Comma),
            // As it is for an array, several readers disagree; most repeat the name.
            ("deepObject", _) => ContainerStyle::Usual,
            ("spaceDelimited", false) => styled(ListDelimiter::Space),
            ("pipeDelimited", false) => styled(ListDelimiter::Pipe),
            ("spaceDelimited" | "pipeDelimited", true) if is_array => ContainerStyle::Usual,
            _ => ContainerStyle::Other,
        }
    }
}

/// A list or an object in one parameter, with this between its items.
fn joined(between: ListDelimiter) -> ParamStyle {
    ParamStyle::Listed { lead: StylePrefix::None, between, explode: false }
}

/// A list or an object whose items are parameters of their own.
pub(super) fn exploded() -> ParamStyle {
    ParamStyle::Listed { lead: StylePrefix::None, between: ListDelimiter::Comma, explode: true }
}

/// Returns what Swagger 2 writes between the items of a list; `None` for a repeated name.
pub(super) fn collection_delimiter(format: &str) -> Option<ListDelimiter> {
    match format {
        "multi" => None,
        "ssv" => Some(ListDelimiter::Space),
        "tsv" => Some(ListDelimiter::Tab),
        "pipes" => Some(ListDelimiter::Pipe),
        _ => Some(ListDelimiter::Comma),
    }
}

/// Makes an input one that other programs take for text and that is written in this style.
pub(super) fn with_style(
    input: OperationInput,
    style: ParamStyle,
    shape: &ValueShape,
) -> OperationInput {
    let mut input = OperationInput { union: Some(KindList::of(shape.kinds.iter())), ..input };
    if let Some(Some(item)) = shape.items.as_deref().map(|items| only_kind(items.kinds)) {
        input.hints.insert("items".to_owned(), json!({ "type": text::kind_word(item) }));
    }
    if !input.kinds.is_empty() && !input.kinds.contains(&ParamKind::String) {
        input.kinds.push(ParamKind::String);
    }
    input.kind = ParamKind::String;
    input.is_guess = false;
    input.form.style = style;
    input
}

pub(super) fn has_content(parameter: &DeclaredParameter<'_>) -> bool {
    parameter.value.get("schema").is_none() && content_schema(parameter.value).is_some()
}

/// Returns the media type of a parameter that is a document of its own.
pub(super) fn content_schema(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let Some(Value::Object(content)) = map.get("content") else { return None };
    content.iter().next().map(|(media, value)| (media.as_str(), value))
}

/// Returns the type of a value that has one.
pub(super) fn only_kind(kinds: JsonTypes) -> Option<ParamKind> {
    match kinds.iter().collect::<Vec<_>>().as_slice() {
        [one] => Some(*one),
        [ParamKind::Integer, ParamKind::Number] => Some(ParamKind::Number),
        _ => None,
    }
}
