//! Checked arguments become a request.

use dadl_descriptor::model::{Param, ParamLocation, ParamStyle, Tool};
use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE, COOKIE},
};
use serde_json::Value;
use url::Url;

use super::{
    ArgumentError, ArgumentProblem, BaseUrl, BodyLimit, CallArguments, CallChannel, CallPlan,
    accept::accept_header, body, encode, path, query, style,
};
use crate::catalog::{CatalogEntry, EntryParam};

/// HTTP libraries take URLs of up to 64 KiB; servers take less.
const LONGEST_URL: usize = 65_000;

/// Plans the request of a call of `entry` that came through `door`, whose tool is `tool`, below
/// `base`, or at the host that the path of the tool names.
///
/// The arguments are those that [`check_arguments`](super::check_arguments) gave for the same entry.
pub fn plan_call(
    entry: &CatalogEntry,
    tool: &Tool,
    base: &BaseUrl,
    arguments: &CallArguments,
    door: CallChannel,
) -> Result<CallPlan, ArgumentError> {
    let mut problems = Vec::new();
    let Some(base) = base.of_tool(tool) else {
        let problem = ArgumentProblem::value("path", "of the tool names another host");
        return Err(ArgumentError::new(entry, vec![problem]));
    };
    let base = &*base;
    let path = path::compose_path(base, tool.path().pieces(), arguments, &mut problems);
    let query = query::build_query(tool, arguments, &mut problems);
    let (body, content_type) = body::compose_body(tool, arguments);
    let headers = build_headers(tool, arguments, content_type, &mut problems);
    if !problems.is_empty() {
        return Err(ArgumentError::new(entry, problems));
    }
    let url = build_url(base, &path, &query).map_err(|error| {
        ArgumentError::new(entry, vec![ArgumentProblem::value("path", error.to_string())])
    })?;
    let limit = tool.max_body_size.map(|bytes| BodyLimit { tool: tool.name.clone(), bytes });
    let credential_optional = tool.credential_optional;
    let method = tool.method();
    Ok(CallPlan { method, url, headers, body, limit, door, credential_optional, shown: None })
}

/// Why a URL is not sent; goes on after the word for its path.
#[derive(Debug, thiserror::Error)]
enum UrlError {
    /// The URL library reads it as another.
    #[error("would not reach the server as it was composed")]
    Changed,
    /// No server takes it.
    #[error("and query are longer than any server takes")]
    Long,
}

/// Puts the URL together, and makes sure that it says what was composed: it is the last line of
/// defense against a value that leaves its place.
fn build_url(base: &BaseUrl, path: &str, query: &str) -> Result<Url, UrlError> {
    let behind = if query.is_empty() { 0 } else { "?".len() + query.len() };
    if base.origin().len() + path.len() + behind > LONGEST_URL {
        return Err(UrlError::Long);
    }
    // The host is the same in each URL, and reading it is most of reading one.
    let mut url = base.as_url().clone();
    url.set_path(path);
    if !query.is_empty() {
        url.set_query(Some(query));
    }
    let expected = if path.is_empty() { "/" } else { path };
    let kept = url.path() == expected && url.query().unwrap_or_default() == query;
    if kept && base.contains(&url) { Ok(url) } else { Err(UrlError::Changed) }
}

/// Returns the header fields: the tool's, then what the caller says.
fn build_headers(
    tool: &Tool,
    arguments: &CallArguments,
    content_type: Option<HeaderValue>,
    problems: &mut Vec<ArgumentProblem>,
) -> Vec<(HeaderName, HeaderValue)> {
    let is_json = |value: &HeaderValue| value == "application/json";
    let is_other = tool.response.binary || tool.response.streaming.is_declared;
    let mut headers: Vec<(HeaderName, HeaderValue)> = tool
        .headers
        .iter()
        // The content type depends on the body, and defaults that ask for JSON would make
        // servers refuse an export.
        .filter(|(name, _)| *name != CONTENT_TYPE)
        .filter(|(name, value)| !(is_other && *name == ACCEPT && is_json(value)))
        .cloned()
        .collect();
    if !headers.iter().any(|(name, _)| *name == ACCEPT) {
        let said = tool.http().and_then(|http| http.accept.as_deref().cloned());
        headers.push((ACCEPT, said.unwrap_or_else(|| accept_header(&tool.response))));
    }
    headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
    for (EntryParam { property, param, .. }, value) in arguments.named() {
        if !param.is_in(ParamLocation::Header) {
            continue;
        }
        match (HeaderName::from_bytes(param.wire().as_bytes()), header_value(param, value)) {
            (Ok(name), Some(value)) => {
                headers.retain(|(other, _)| *other != name);
                headers.push((name, value));
            }
            (Err(_), _) => {
                problems.push(ArgumentProblem::value(property, "is no header field name"));
            }
            (Ok(_), None) => {
                let reason = "cannot be a header field: only printable ASCII can";
                problems.push(ArgumentProblem::value(property, reason));
            }
        }
    }
    headers.extend(query::cookie_header(arguments, problems).map(|cookies| (COOKIE, cookies)));
    headers
}

/// Returns a value as its style writes it: a scalar, or an array of scalars as a list (RFC 9110,
/// 5.6.1). Servers disagree about bytes beyond ASCII, so that these are refused.
fn header_value(param: &Param, value: &Value) -> Option<HeaderValue> {
    let text = match value {
        _ if param.form.style.is_listed() => {
            style::one_text(param, value, str::to_owned).unwrap_or_default().into()
        }
        _ if param.form.style == ParamStyle::Json => {
            let json = style::json_text(param, value)?;
            style::ascii_json(&json).into_owned().into()
        }
        Value::Array(items) => {
            items.iter().map(encode::scalar_text).collect::<Option<Vec<_>>>()?.join(", ").into()
        }
        scalar => encode::scalar_text(scalar)?,
    };
    HeaderValue::from_str(&text).ok().filter(|_| text.is_ascii())
}

#[cfg(test)]
mod tests;
