//! A JSON-RPC error in words that a model can act on.
//!
//! Servers put their insides into errors: stack traces, paths, the arguments of the call with its
//! credentials. What is shown is the message, and of `data` what helps a caller: which parameters
//! are wrong, which object is missing. Errors of the server itself show a word of their data and no
//! more.

use std::{fmt::Write as _, time::Duration};

use dadl_descriptor::model::{ErrorRules, ResponseRules, RpcMethod};
use dadl_text::text::{cut_bytes, without_login};
use serde_json::{Map, Value, json};

use super::{MASK, masked_error, rpc::RpcError};
use crate::outcome::ApiError;

/// Section 5.1 of the specification.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;

/// Details beyond this many bytes of JSON are left out: they are for a model to read.
const MOST_DETAILS: usize = 2_000;

/// So many bytes of a message are shown.
const MOST_MESSAGE: usize = 4_000;

/// So many wrong parameters are named.
const MOST_VIOLATIONS: usize = 20;

/// Values that are shorter occur by chance.
const SHORTEST_SECRET: usize = 4;

/// Where servers put the list of what is wrong with the parameters.
const LISTS: [&str; 4] = ["errors", "violations", "issues", "details"];

/// What a call was answered with.
pub(crate) struct RefusedCall<'call> {
    /// The error.
    pub(crate) error: RpcError,
    /// The method that was called.
    pub(crate) rpc: &'call RpcMethod,
    /// What is hidden in its results.
    pub(crate) results: &'call ResponseRules,
    /// What to do about its errors.
    pub(crate) rules: &'call ErrorRules,
    /// Its parameters, as they were sent.
    pub(crate) params: &'call Map<String, Value>,
    /// The name of a parameter for the caller, by its name on the wire.
    pub(crate) property: &'call dyn Fn(&str) -> String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// Names the request.
    pub(crate) request: String,
    /// How long the backend asked to wait.
    pub(crate) retry_after: Option<Duration>,
    /// How many requests were sent.
    pub(crate) attempts: u32,
}

/// Makes an error of the API.
pub(crate) fn api_error(refused: RefusedCall<'_>) -> ApiError {
    let RefusedCall {
        mut error,
        rpc,
        results,
        rules,
        params,
        property,
        status,
        request,
        retry_after,
        attempts,
    } = refused;
    let hidden = match &mut error.data {
        Some(data) if !results.redact.is_empty() => masked_error::in_value(data, results),
        _ => Some(Vec::new()),
    };
    if hidden.is_none() {
        error.data = None;
    }
    let message = match error.code {
        Some(METHOD_NOT_FOUND) => method_not_found(rpc),
        code => {
            let mut message = plain_message(&error.message);
            if message.is_empty() {
                message.push_str("the server gave no message");
            }
            let data = error.data.as_ref().and_then(clean_value);
            if is_of_the_server(code) {
                add_cause(data.as_ref(), &mut message);
            } else if let Some(data) = data {
                add_details(&data, property, &mut message);
            }
            message
        }
    };
    let message =
        masked_error::in_text(without_secrets(message, params), &hidden.unwrap_or_default());
    let hint = || {
        let (code, text, data) = (error.code, &error.message, &error.data);
        let body = json!({ "code": code, "message": text, "data": data }).to_string();
        rules.hint(status, &message, Some(&body))
    };
    let hint = if rules.hints.is_empty() { None } else { hint() };
    let said = hint.and_then(|hint| hint.code.clone());
    let code = error.code.and_then(|code| {
        let named = rpc.codes.iter().find(|(known, _)| *known == code);
        named.map(|(_, word)| word.clone())
    });
    ApiError {
        status,
        code: said.or(code).unwrap_or_else(|| default_code(error.code).to_owned()),
        provider_code: error.code.map(|code| code.to_string()),
        message,
        request,
        retry_after,
        attempts,
        hint: hint.map(|hint| hint.hint.clone()),
        is_no_route: error.code == Some(METHOD_NOT_FOUND),
        lack: None,
    }
}

fn default_code(code: Option<i64>) -> &'static str {
    match code {
        Some(PARSE_ERROR | INVALID_REQUEST) => "invalid_request",
        Some(METHOD_NOT_FOUND) => "method_not_found",
        Some(INVALID_PARAMS) => "invalid_input",
        code if is_of_the_server(code) => "internal",
        _ => "error",
    }
}

/// Returns whether the server says that something went wrong in it, and not with the call.
fn is_of_the_server(code: Option<i64>) -> bool {
    matches!(code, None | Some(INTERNAL_ERROR | -32099..=-32000))
}

fn method_not_found(rpc: &RpcMethod) -> String {
    let list = match &rpc.lists_methods {
        Some(tool) => format!("system.listMethods (tool `{tool}`) says which methods it has"),
        None => "its documentation says which methods it has".to_owned(),
    };
    format!(
        "the server has no method `{}`: it is too old or too new for this tool; {list}",
        rpc.method
    )
}

/// Adds the little of an internal error that helps: its own message, when the outer one says
/// nothing, and a word such as `ENOENT`.
fn add_cause(data: Option<&Value>, message: &mut String) {
    let Some(Value::Object(data)) = data else { return };
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let cause = plain_message(text("message"));
    if !cause.is_empty() && !message.contains(&cause) {
        // Writing to a string cannot fail.
        let _ = write!(message, ": {cause}");
    }
    let word = text("code");
    let is_word = word.len() <= 64
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'0'..=b'9'));
    if is_word && !word.is_empty() && !message.contains(word) {
        let _ = write!(message, " ({word})");
    }
}

/// Adds which parameters are wrong, or else what the data hold.
fn add_details(data: &Value, property: &dyn Fn(&str) -> String, message: &mut String) {
    let list = match data {
        Value::Array(items) => Some(items),
        Value::Object(members) => {
            LISTS.iter().find_map(|name| members.get(*name)).and_then(Value::as_array)
        }
        _ => None,
    };
    let violations: Option<Vec<String>> = list
        .filter(|items| !items.is_empty())
        .and_then(|items| items.iter().map(|item| schema_violation(item, property)).collect());
    if let Some(violations) = violations {
        let shown = violations.iter().take(MOST_VIOLATIONS).cloned().collect::<Vec<_>>();
        let _ = write!(message, ": {}", shown.join("; "));
        if violations.len() > MOST_VIOLATIONS {
            let _ = write!(message, "; and {} more", violations.len() - MOST_VIOLATIONS);
        }
        return;
    }
    let text = match data {
        Value::Null => return,
        Value::String(text) => text.clone(),
        data => data.to_string(),
    };
    if !text.is_empty() && text.len() <= MOST_DETAILS && !message.contains(&text) {
        let _ = write!(message, "; data: {text}");
    }
}

/// Says what is wrong with one parameter: the words of JSON Schema validators, or of others.
fn schema_violation(item: &Value, property: &dyn Fn(&str) -> String) -> Option<String> {
    if let Value::String(text) = item {
        return Some(text.clone());
    }
    let members = item.as_object()?;
    let text = |key: &str| members.get(key).and_then(Value::as_str);
    let reason = text("message").or_else(|| text("reason")).or_else(|| text("error"))?;
    let place = ["instancePath", "dataPath", "property", "path", "field", "param"]
        .iter()
        .find_map(|key| text(key))
        .unwrap_or_default();
    // `/remotes/a/url`, `.remotes['a'].url` and `@.remotes` are the same place.
    let mut names: Vec<&str> = place
        .split(['/', '.', '[', ']', '\'', '"', '@', '$'])
        .filter(|it| !it.is_empty())
        .collect();
    let inner = members.get("params").and_then(|params| {
        let find = |key: &str| params.get(key).and_then(Value::as_str);
        find("missingProperty").or_else(|| find("additionalProperty"))
    });
    // Older validators name what is missing with the dot before it.
    names.extend(inner.map(|name| name.trim_start_matches('.')));
    let Some((first, rest)) = names.split_first() else { return Some(reason.to_owned()) };
    let mut name = property(first);
    for part in rest {
        name.push('.');
        name.push_str(part);
    }
    Some(format!("`{name}` {reason}"))
}

/// Returns a message without its stack, on one line and not too long.
fn plain_message(message: &str) -> String {
    let text = without_stack(message).split_whitespace().collect::<Vec<_>>().join(" ");
    cut_bytes(&text, MOST_MESSAGE).into_owned()
}

/// Returns data without stacks: neither members of that name nor texts that are some.
fn clean_value(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => {
            let kept = without_stack(text).trim();
            (text.is_empty() || !kept.is_empty()).then(|| kept.into())
        }
        Value::Array(items) => Some(items.iter().filter_map(clean_value).collect()),
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| !is_stack(name));
            let members =
                members.filter_map(|(name, value)| Some((name.clone(), clean_value(value)?)));
            Some(Value::Object(members.collect()))
        }
        other => Some(other.clone()),
    }
}

fn is_stack(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("stack") || name.contains("trace")
}

/// Cuts a text where a stack trace begins: JavaScript, Java and Python write them in their ways,
/// with line breaks or with the escapes of a text within a text.
fn without_stack(text: &str) -> &str {
    let marks = ["Traceback (most recent", "Require stack:", "File \""];
    let marked = marks.iter().filter_map(|mark| {
        let at = text.find(mark)?;
        let rest = text.get(at..)?;
        // A file may be named in a sentence.
        (!mark.starts_with("File") || rest.contains(", line ")).then_some(at)
    });
    let frames = text.match_indices("at ").filter_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let begins = before.is_empty() || before.ends_with(char::is_whitespace)
            // The escape of a line feed in a text within a text.
            || before.ends_with("\\n") || before.ends_with("\\t");
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.split("\\n").next().unwrap_or_default();
        (begins && is_frame(line)).then_some(at)
    });
    let cut = marked.chain(frames).min().unwrap_or(text.len());
    let kept = text.get(..cut).unwrap_or_default();
    // What leads to the first frame.
    kept.trim_end_matches([' ', '\t', '\n', '\r']).trim_end_matches("\\n").trim_end()
}

/// Returns whether `at ..` names a place in a program.
fn is_frame(line: &str) -> bool {
    if line.contains("(<anonymous>)") || line.contains("(native") || line.contains("(node:") {
        return true;
    }
    let mut numbers = 0;
    let mut most = 0;
    let mut rest = line;
    while let Some((_, after)) = rest.split_once(':') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        numbers = if digits > 0 { numbers + 1 } else { 0 };
        most = most.max(numbers);
        let next = after.get(digits..).unwrap_or_default();
        // `Foo.java:12)`
        if digits > 0 && next.starts_with(')') && line.contains('(') {
            return true;
        }
        if digits > 0 && !next.starts_with(':') {
            numbers = 0;
        }
        rest = after;
    }
    most >= 2 && line.contains(['/', '\\', '('])
}

/// Hides what the caller sent as a secret, and the user and password of every URL.
fn without_secrets(message: String, params: &Map<String, Value>) -> String {
    let mut secrets = Vec::new();
    params.iter().for_each(|(name, value)| collect_secrets(name, value, &mut secrets));
    let mut message = message;
    for secret in secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        if message.contains(secret) {
            message = message.replace(secret, MASK);
        }
    }
    without_login(&message)
}

/// Collects the texts whose names say that they are secrets.
fn collect_secrets<'params>(name: &str, value: &'params Value, secrets: &mut Vec<&'params str>) {
    match value {
        Value::String(text) => {
            let name = name.to_ascii_lowercase();
            let words = ["password", "passwd", "secret", "token", "credential", "apikey"];
            if words.iter().any(|word| name.contains(word)) {
                secrets.push(text);
            }
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| collect_secrets(name, value, secrets));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_secrets(name, item, secrets)),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
