//! The query of a request, and its cookies.

use dadl_descriptor::model::{Param, ParamLocation, ParamStyle, Tool, WholePart};
use http::HeaderValue;
use serde_json::Value;
use url::form_urlencoded;

use super::{ArgumentProblem, CallArguments, encode, style};
use crate::catalog::EntryParam;

/// Returns the encoded query: the fixed one of the template, then the parameters.
pub(super) fn build_query(
    tool: &Tool,
    arguments: &CallArguments,
    problems: &mut Vec<ArgumentProblem>,
) -> String {
    let mut query = String::new();
    encode::push_text(&mut query, tool.path().query().unwrap_or_default().trim_end_matches('&'));
    for (EntryParam { property, param, .. }, value) in arguments.named() {
        if !param.is_in(ParamLocation::Query) {
            continue;
        }
        if param.form.whole == Some(WholePart::Query) {
            push_whole(&mut query, property, param, value, problems);
            continue;
        }
        problems.extend(duplicate_name(tool, property, param, &style::styled_names(param, value)));
        push_param(&mut query, param, value);
    }
    query
}

/// Appends a parameter as its style says.
fn push_param(query: &mut String, param: &Param, value: &Value) {
    let allows = param.form.allow_reserved;
    let plain = if allows { encode::encode_reserved } else { encode::encode_value };
    match param.form.style {
        ParamStyle::Usual | ParamStyle::Segments => {
            encode::push_pairs(query, param.wire(), value, plain)
        }
        ParamStyle::Json => push_all(query, &style::styled_pairs(param, value, plain)),
        ParamStyle::Listed { .. } => {
            let item = if allows { encode::reserved_item } else { encode::encode_value };
            push_all(query, &style::styled_pairs(param, value, item));
        }
    }
}

fn push_all(query: &mut String, pairs: &[(String, String)]) {
    for (name, value) in pairs {
        encode::push_pair(query, name, value);
    }
}

/// Appends what is all of the query: text as it is, an object as its pairs, or JSON.
fn push_whole(
    query: &mut String,
    property: &str,
    param: &Param,
    value: &Value,
    problems: &mut Vec<ArgumentProblem>,
) {
    let mut text = String::new();
    match value {
        _ if param.form.style == ParamStyle::Json => {
            text.extend(style::json_text(param, value).map(|json| encode::encode_value(&json)));
        }
        Value::Object(members) => {
            for (name, member) in members {
                encode::push_query(&mut text, name, member);
            }
        }
        Value::String(given) => {
            encode::push_text(&mut text, given.strip_prefix('?').unwrap_or(given));
        }
        other => text.extend(encode::scalar_text(other).map(|given| encode::encode_value(&given))),
    }
    let mut names = form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name);
    if let Some(name) = names.find(|name| param.form.not.iter().any(|not| not == name)) {
        problems.push(credential_problem(property, &name));
    }
    if !query.is_empty() && !text.is_empty() {
        query.push('&');
    }
    query.push_str(&text);
}

/// Reports a member of an object whose name is that of another part of the query.
fn duplicate_name(
    tool: &Tool,
    property: &str,
    param: &Param,
    names: &[String],
) -> Option<ArgumentProblem> {
    let fixed = tool.path().query().unwrap_or_default();
    names.iter().find_map(|name| {
        if param.form.not.contains(name) {
            return Some(credential_problem(property, name));
        }
        let mut others = tool.params.iter().filter(|it| it.is_in(ParamLocation::Query));
        let is_taken = others.any(|it| it.wire() == name && it.name != param.name)
            || form_urlencoded::parse(fixed.as_bytes()).any(|(other, _)| other == *name);
        let reason = || format!("has a member `{name}`, which is a parameter of its own");
        is_taken.then(|| ArgumentProblem::value(property, reason()))
    })
}

fn credential_problem(property: &str, name: &str) -> ArgumentProblem {
    let reason = format!("has a member `{name}`, where the credential goes");
    ArgumentProblem::value(property, reason)
}

/// Returns the cookies of a request, without that of the credential (RFC 6265, section 4.2).
pub(super) fn cookie_header(
    arguments: &CallArguments,
    problems: &mut Vec<ArgumentProblem>,
) -> Option<HeaderValue> {
    let mut field = String::new();
    for (EntryParam { property, param, .. }, value) in arguments.named() {
        if !param.is_in(ParamLocation::Cookie) {
            continue;
        }
        let pairs: Vec<(String, String)> = match param.form.style {
            ParamStyle::Usual => {
                let text = encode::scalar_text(value).map(|text| text.into_owned());
                text.map(|text| (param.wire().to_owned(), text)).into_iter().collect()
            }
            // What has a style is encoded, as in a query.
            _ => {
                let pairs = style::styled_pairs(param, value, encode::encode_value);
                pairs.into_iter().map(|(name, value)| (decode_name(param, name), value)).collect()
            }
        };
        for (name, value) in pairs {
            let is_list = param.form.style.is_listed();
            let fits = |byte: u8| is_cookie_octet(byte) && (is_list || byte != b',');
            if name != param.wire() || !value.bytes().all(fits) {
                let reason = "cannot be a cookie: spaces, quotes, commas, semicolons, backslashes \
                              and names of its own have no place there";
                problems.push(ArgumentProblem::value(property, reason));
                break;
            }
            if !field.is_empty() {
                field.push_str("; ");
            }
            field.push_str(&name);
            field.push('=');
            field.push_str(&value);
        }
    }
    if field.is_empty() {
        return None;
    }
    HeaderValue::from_str(&field).ok()
}

/// Returns the name of a cookie, which is a token and needs no encoding.
fn decode_name(param: &Param, name: String) -> String {
    if name == encode::encode_value(param.wire()) { param.wire().to_owned() } else { name }
}

/// RFC 6265, section 4.1.1; a comma is what lists have between.
fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
