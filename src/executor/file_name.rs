//! The name of a download.

use http::{HeaderMap, header};
use serde_json::Value;

use super::peek::header_text;
use crate::{descriptor::model::Tool, gate::Admitted};

/// Names a download: as the backend says, or after the tool and its path arguments.
pub(super) fn file_name(
    call: &Admitted<'_>,
    tool: &Tool,
    headers: &HeaderMap,
    content_type: &str,
) -> String {
    if let Some(name) = header_text(headers, &header::CONTENT_DISPOSITION).and_then(disposition) {
        return name;
    }
    let mut name = tool.name.clone();
    for placeholder in tool.path().placeholders() {
        if let Some(Value::String(text)) = call.arguments().get(placeholder) {
            name.push('-');
            name.push_str(text);
        }
    }
    // All methods share a path, and what is packed says how in an argument.
    if tool.rpc().is_some()
        && let Some(Value::String(format)) = call.arguments().get("format")
        && format.len() <= 8
        && format.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return name + "." + format;
    }
    let last = tool.path().as_str().rsplit('/').next().unwrap_or_default();
    match last.rsplit_once('.') {
        Some((_, extension)) if extension.chars().all(char::is_alphanumeric) => {
            name + "." + extension
        }
        Some((_, placeholder)) => {
            let wire = placeholder.trim_matches(['{', '}']);
            match call.arguments().get(wire).and_then(Value::as_str) {
                // Already part of the name; as an extension it says what the file is.
                Some(format) => {
                    name.strip_suffix(&format!("-{format}")).unwrap_or(&name).to_owned()
                        + "."
                        + format
                }
                None => name,
            }
        }
        None => match content_type.split(';').next() {
            Some("application/json") => name + ".json",
            Some("application/gzip") => name + ".gz",
            Some("application/zip") => name + ".zip",
            Some("application/pdf") => name + ".pdf",
            Some("text/plain") => name + ".txt",
            _ => name + ".bin",
        },
    }
}

/// Takes the file name from `Content-Disposition` (RFC 6266); its path is dropped later.
fn disposition(value: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("filename") && !value.is_empty())
            .then(|| value.to_owned())
    })
}
