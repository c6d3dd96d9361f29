//! Values become what their parameters take, where nothing is lost by it.
//!
//! A value keeps the kind that the caller gave: of several types the first that it fits exactly
//! counts, and then the first that it can become. Hosts write lists as JSON text, and models lists
//! with commas; what only looks like another kind stays what it is.

use dadl_descriptor::model::{
    KindList, Param, ParamKind, ParamLocation, ParamRole, ParamStyle, Tool, ToolRequest, WholePart,
};
use serde_json::Value;

use super::handle::{self, FileHandle};
use crate::catalog::CatalogOperation;

/// What became of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Conversion {
    /// It fits now.
    Value(Value),
    /// It stands for nothing.
    Absent,
    /// It is of another kind.
    Wrong(Value),
    /// It cannot be what it has to be, and why.
    Refused(&'static str),
}

/// How a value is written where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireFormat {
    /// As JSON.
    Json,
    /// As text that may have several items: a query, a header, a form.
    Items,
    /// As one text: a path.
    Text,
    /// Not at all.
    Kept,
}

impl WireFormat {
    /// Returns how the value of a parameter of `operation` is written.
    pub(super) fn of(param: &Param, operation: CatalogOperation<'_>) -> Self {
        let is_json = || match operation {
            CatalogOperation::Tool(Tool { request: ToolRequest::Http(http), .. }) => {
                http.body.is_json()
            }
            CatalogOperation::Tool(Tool { request: ToolRequest::Rpc(_), .. })
            | CatalogOperation::Server(_) => true,
            CatalogOperation::Composite(_) => false,
        };
        match param.role {
            ParamRole::Sent(ParamLocation::Body) if is_json() => Self::Json,
            ParamRole::Sent(ParamLocation::Path) => Self::Text,
            ParamRole::Sent(_) => Self::Items,
            ParamRole::Script | ParamRole::Jq | ParamRole::Stream(_) | ParamRole::Wait => {
                Self::Kept
            }
        }
    }
}

/// Returns whether a value has to be looked at though the schema takes it.
pub(super) fn needs_look(param: &Param, value: &Value) -> bool {
    let form = &param.form;
    match param.kind {
        ParamKind::FileUrl => true,
        _ if form.whole.is_some() || form.several || form.style != ParamStyle::Usual => true,
        ParamKind::Union(kinds) => !kinds.is_any(),
        // A double without a fraction is an integer by JSON Schema, not on the wire.
        ParamKind::Integer => value.is_f64(),
        _ => false,
    }
}

/// Makes of a value what its parameter takes.
pub(super) fn fit_value(param: &Param, target: WireFormat, value: Value) -> Conversion {
    if let Some(fitted) = as_handle(param, &value) {
        return fitted;
    }
    if param.form.several {
        return fit_files(value);
    }
    match (param.form.whole, param.kind) {
        (Some(WholePart::Json), kind) => return fit_whole(KindList::of([kind]), value),
        (Some(WholePart::Text | WholePart::Bytes), kind) | (None, kind @ ParamKind::FileUrl) => {
            return kind.coerce(value).map_or_else(Conversion::Wrong, Conversion::Value);
        }
        _ => {}
    }
    let kinds = KindList::of([param.kind]);
    if kinds.is_any() {
        return Conversion::Value(value);
    }
    if let Value::String(text) = &value
        && let Some(inner) = parse_container(text).filter(|inner| kind_accepts(kinds, inner))
    {
        return Conversion::Value(inner);
    }
    if kind_accepts(kinds, &value) {
        return Conversion::Value(value);
    }
    let is_written = match param.form.style {
        ParamStyle::Listed { .. } => !value.is_null(),
        ParamStyle::Json => value.is_string(),
        ParamStyle::Usual | ParamStyle::Segments => {
            param.form.whole == Some(WholePart::Query) && value.is_string()
        }
    };
    if is_written {
        return Conversion::Value(value);
    }
    if value == "" && !kinds.contains(ParamKind::String) {
        return Conversion::Absent;
    }
    if let Some(value) = kinds.iter().find_map(|kind| kind.coerce(value.clone()).ok()) {
        return Conversion::Value(value);
    }
    if can_be_text(kinds, target, &value) && handle::any_text(&value, &is_handle) {
        // Nothing looks into text that is JSON.
        return Conversion::Refused("is text, in which a file's handle would stay as it is");
    }
    as_text(kinds, target, &value)
        .or_else(|| as_list(kinds, target, &value))
        .map_or(Conversion::Wrong(value), Conversion::Value)
}

fn kind_accepts(kinds: KindList, value: &Value) -> bool {
    kinds.iter().any(|kind| kind.accepts(value))
}

/// Reads text that is JSON of a list or of an object.
fn parse_container(text: &str) -> Option<Value> {
    if !is_like_container(text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn is_like_container(text: &str) -> bool {
    text.trim_start().starts_with(['[', '{'])
}

/// Writes an object, or a list in JSON, as text where text is wanted.
fn as_text(kinds: KindList, target: WireFormat, value: &Value) -> Option<Value> {
    can_be_text(kinds, target, value).then(|| value.to_string().into())
}

fn can_be_text(kinds: KindList, target: WireFormat, value: &Value) -> bool {
    let is_written = match value {
        Value::Object(_) => matches!(target, WireFormat::Json | WireFormat::Items),
        Value::Array(_) => target == WireFormat::Json,
        _ => false,
    };
    is_written && kinds.contains(ParamKind::String)
}

/// Takes a text that stands for a file: where text is taken, as one text, whatever the file has in it.
fn as_handle(param: &Param, value: &Value) -> Option<Conversion> {
    let is_body = param.is_in(ParamLocation::Body);
    let takes_file = is_body && (param.form.several || param.kind == ParamKind::FileUrl);
    if takes_file && handle::any_text(value, &is_handle) {
        return Some(Conversion::Refused("takes the file itself: give `dadl-file:ID` alone"));
    }
    let text = value.as_str().filter(|text| is_handle(text))?;
    let kinds = KindList::of([param.kind]);
    let is_text = kinds.contains(ParamKind::String) || param.kind == ParamKind::FileUrl;
    match (param.form.style, param.form.whole) {
        (ParamStyle::Listed { .. } | ParamStyle::Segments, _) => {
            let is_taken = is_text || kinds.contains(ParamKind::Array);
            let item = || Value::Array(vec![text.into()]);
            Some(if is_taken {
                Conversion::Value(item())
            } else {
                Conversion::Wrong(value.clone())
            })
        }
        (_, Some(WholePart::Json)) if !is_text => {
            Some(Conversion::Refused("takes the file itself: give `dadl-file:ID` alone"))
        }
        _ => None,
    }
}

fn is_handle(text: &str) -> bool {
    FileHandle::read(text).is_some()
}

/// Makes a list of one item, or of text with commas, where the items are written as text anyway.
fn as_list(kinds: KindList, target: WireFormat, value: &Value) -> Option<Value> {
    if target != WireFormat::Items || !kinds.contains(ParamKind::Array) {
        return None;
    }
    match value {
        Value::String(text) => Some(text.split(',').map(str::trim).collect()),
        Value::Bool(_) | Value::Number(_) => Some(Value::Array(vec![value.clone()])),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

/// Takes the names of files: one, or a list of them.
fn fit_files(value: Value) -> Conversion {
    let is_list = |value: &Value| {
        value
            .as_array()
            .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string))
    };
    let value = match &value {
        Value::String(text) => parse_container(text).filter(is_list).unwrap_or(value),
        _ => value,
    };
    if value.is_string() || is_list(&value) {
        Conversion::Value(value)
    } else {
        Conversion::Refused("must be the name of a file, or a list of names")
    }
}

/// Takes what can be a whole JSON body: JSON, as a value or as text, or what names a file.
fn fit_whole(kinds: KindList, value: Value) -> Conversion {
    let Value::String(text) = &value else {
        if kinds.is_any() || kind_accepts(kinds, &value) {
            return Conversion::Value(value);
        }
        let coerced = kinds.iter().find_map(|kind| kind.coerce(value.clone()).ok());
        return coerced.map_or(Conversion::Wrong(value), Conversion::Value);
    };
    if !kinds.contains(ParamKind::String)
        && let Some(value) = kinds.iter().find_map(|kind| kind.coerce(value.clone()).ok())
        && !is_json_of(text, kinds)
    {
        // Written as another language writes it.
        return Conversion::Value(value);
    }
    let is_fine = kinds.contains(ParamKind::String)
        || is_json_of(text, kinds)
        || !is_like_container(text) && !text.trim().is_empty();
    if is_fine {
        Conversion::Value(value)
    } else {
        Conversion::Refused("is neither JSON of its type nor the name of a file")
    }
}

/// Returns whether text is JSON of one of these types. Where only text is wanted it is text,
/// whatever it looks like.
pub(super) fn is_json_of(text: &str, kinds: KindList) -> bool {
    if kinds == KindList::of([ParamKind::String]) {
        return false;
    }
    let value: Option<Value> = serde_json::from_str(text).ok();
    value.is_some_and(|value| kinds.is_any() || kind_accepts(kinds, &value))
}

#[cfg(test)]
mod tests;
