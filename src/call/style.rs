//! Lists, objects and JSON as one value of a request (OpenAPI's `style`, RFC 6570).
//!
//! Delimiters are the program's: they go out as they are, and what an item has of them is encoded,
//! so that no item can become two. A caller may write the delimiters as well: text is taken apart at
//! them and put together again.

use std::borrow::Cow;

use dadl_descriptor::model::{
    KindList, ListDelimiter, Param, ParamKind, ParamLocation, ParamStyle, StylePrefix,
};
use serde_json::{Map, Value};

use super::encode;

/// A part of a value that has delimiters between.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DelimitedPart<'v> {
    /// An item of a list, or a value that is alone.
    Item(Cow<'v, str>),
    /// A member of an object.
    Pair(Cow<'v, str>, Cow<'v, str>),
}

/// Returns a list or an object as one text, its items written by `encode`; `None` when nothing is in
/// it, or its style has no such text.
pub(super) fn one_text(
    param: &Param,
    value: &Value,
    encode: impl Fn(&str) -> String,
) -> Option<String> {
    let ParamStyle::Listed { lead, between, explode } = param.form.style else { return None };
    let pieces = delimited_parts(param, value);
    if pieces.is_empty() {
        return None;
    }
    let comma = encoded_delimiter(between, &encode);
    let separator = match lead {
        StylePrefix::Dot if explode => ".",
        StylePrefix::Semicolon if explode => ";",
        StylePrefix::None | StylePrefix::Dot | StylePrefix::Semicolon => comma.as_str(),
    };
    let name = || format!("{}=", encode(param.wire()));
    let mut text = match lead {
        StylePrefix::None => String::new(),
        StylePrefix::Dot => ".".to_owned(),
        StylePrefix::Semicolon if explode => ";".to_owned(),
        StylePrefix::Semicolon => format!(";{}", name()),
    };
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            text.push_str(separator);
        }
        match piece {
            DelimitedPart::Item(item) => {
                if lead == StylePrefix::Semicolon && explode {
                    text.push_str(&name());
                }
                text.push_str(&encode(item));
            }
            DelimitedPart::Pair(key, member) => {
                text.push_str(&encode(key));
                text.push_str(if explode { "=" } else { &comma });
                text.push_str(&encode(member));
            }
        }
    }
    Some(text)
}

/// Returns the pairs that a parameter becomes in a query, a form or the cookies, each half written by
/// `encode`.
pub(super) fn styled_pairs(
    param: &Param,
    value: &Value,
    encode: impl Fn(&str) -> String,
) -> Vec<(String, String)> {
    let name = || encode(param.wire());
    match param.form.style {
        ParamStyle::Json => {
            json_text(param, value).map(|text| (name(), encode(&text))).into_iter().collect()
        }
        ParamStyle::Listed { explode: true, .. } => delimited_parts(param, value)
            .into_iter()
            .map(|piece| match piece {
                DelimitedPart::Item(item) => (name(), encode(&item)),
                DelimitedPart::Pair(key, member) => (encode(&key), encode(&member)),
            })
            .collect(),
        ParamStyle::Listed { .. } => {
            one_text(param, value, &encode).map(|text| (name(), text)).into_iter().collect()
        }
        ParamStyle::Usual | ParamStyle::Segments => Vec::new(),
    }
}

/// Returns the names that a value brings into a query beside that of its parameter.
pub(super) fn styled_names(param: &Param, value: &Value) -> Vec<String> {
    if !param.form.spreads() {
        return Vec::new();
    }
    let pieces = delimited_parts(param, value).into_iter();
    pieces
        .filter_map(|piece| match piece {
            DelimitedPart::Pair(key, _) => Some(key.into_owned()),
            DelimitedPart::Item(_) => None,
        })
        .collect()
}

/// Returns a value as JSON text. Text that is JSON is that; other text is a string of JSON where the
/// parameter takes text.
pub(super) fn json_text<'v>(param: &Param, value: &'v Value) -> Option<Cow<'v, str>> {
    match value {
        Value::Null => None,
        Value::String(text) if is_json(text) => Some(Cow::Borrowed(text)),
        Value::String(_) if !KindList::of([param.kind]).contains(ParamKind::String) => None,
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// Returns JSON text in ASCII: what is beyond it stands in strings, where it may be escaped.
pub(super) fn ascii_json(json: &str) -> Cow<'_, str> {
    if json.is_ascii() {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Cow::Owned(text)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Returns what goes between items: a comma is legal everywhere, the others are encoded in a URL.
fn encoded_delimiter(between: ListDelimiter, encode: impl Fn(&str) -> String) -> String {
    match between {
        ListDelimiter::Comma => ",".to_owned(),
        ListDelimiter::Space => encode(" "),
        ListDelimiter::Tab => encode("\t"),
        ListDelimiter::Pipe => encode("|"),
    }
}

/// Takes a value apart.
fn delimited_parts<'v>(param: &Param, value: &'v Value) -> Vec<DelimitedPart<'v>> {
    let ParamStyle::Listed { explode, .. } = param.form.style else { return Vec::new() };
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => split_written(param, text),
        Value::Bool(_) | Value::Number(_) => vec![DelimitedPart::Item(text_of(value))],
        Value::Array(items) => {
            let items = items.iter().filter(|item| !item.is_null());
            items.map(|item| DelimitedPart::Item(text_of(item))).collect()
        }
        Value::Object(members) => members_of(members, explode && in_pairs(param)),
    }
}

fn members_of(members: &Map<String, Value>, repeats: bool) -> Vec<DelimitedPart<'_>> {
    let mut pieces = Vec::with_capacity(members.len());
    let mut push =
        |key, member| pieces.push(DelimitedPart::Pair(Cow::Borrowed(key), text_of(member)));
    for (key, member) in members.iter().filter(|(_, member)| !member.is_null()) {
        match member {
            Value::Array(items) if repeats => items
                .iter()
                .filter(|item| !item.is_null())
                .for_each(|item| push(key.as_str(), item)),
            _ => push(key.as_str(), member),
        }
    }
    pieces
}

/// Returns a scalar as text, and what has no text of its own as JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    encode::scalar_text(value).unwrap_or_else(|| Cow::Owned(value.to_string()))
}

/// Returns whether items stand for themselves, each with its name.
fn in_pairs(param: &Param) -> bool {
    matches!(
        param.location(),
        Some(ParamLocation::Body | ParamLocation::Cookie | ParamLocation::Query)
    )
}

/// Takes apart what a caller wrote with its delimiters, with or without what goes before it.
fn split_written<'v>(param: &Param, text: &'v str) -> Vec<DelimitedPart<'v>> {
    let ParamStyle::Listed { lead, between, explode } = param.form.style else { return Vec::new() };
    let kinds = KindList::of([param.kind]);
    let is_list = kinds.contains(ParamKind::Array);
    let is_object = kinds.contains(ParamKind::Object) && !is_list;
    let usual = match between {
        ListDelimiter::Comma => ',',
        ListDelimiter::Space => ' ',
        ListDelimiter::Tab => '\t',
        ListDelimiter::Pipe => '|',
    };
    let name = format!("{}=", param.wire());
    let (text, delimiter) = match (lead, text.strip_prefix(['.', ';'])) {
        (StylePrefix::None, _) if explode && in_pairs(param) && is_object => (text, '&'),
        (StylePrefix::Dot, Some(rest)) if text.starts_with('.') => {
            (rest, if explode { '.' } else { usual })
        }
        (StylePrefix::Semicolon, Some(rest)) if text.starts_with(';') && explode => (rest, ';'),
        (StylePrefix::Semicolon, Some(rest)) if text.starts_with(';') => {
            (rest.strip_prefix(&name).unwrap_or(text), usual)
        }
        (StylePrefix::None | StylePrefix::Dot | StylePrefix::Semicolon, _) => (text, usual),
    };
    // One value of several types is one, where a list would have a name for each item.
    let is_one = explode && in_pairs(param) && kinds.contains(ParamKind::String);
    if !(is_list || is_object) || is_one {
        let text = if lead == StylePrefix::Semicolon && explode {
            text.strip_prefix(&name).unwrap_or(text)
        } else {
            text
        };
        return vec![DelimitedPart::Item(Cow::Borrowed(text))];
    }
    let piece = |part: &'v str| match part.split_once('=') {
        Some((key, member)) if explode && is_object => {
            DelimitedPart::Pair(Cow::Borrowed(key), Cow::Borrowed(member))
        }
        _ if delimiter == ';' => {
            DelimitedPart::Item(part.strip_prefix(&name).unwrap_or(part).into())
        }
        _ => DelimitedPart::Item(Cow::Borrowed(part)),
    };
    text.split(delimiter).map(piece).collect()
}

#[cfg(test)]
mod tests;
