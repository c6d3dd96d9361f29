//! The name of a download.
//!
//! The backend's word counts first. What has no extension gets that of its content type, so that a
//! person's machine and a host know what to do with it.

use std::borrow::Cow;

use dadl_descriptor::model::Tool;
use http::{HeaderMap, header};
use serde_json::Value;

use super::disposition;
use crate::{
    files::{extension_of, media_type_of},
    gate::Admitted,
};

/// What bytes are called that nobody knows.
const UNKNOWN: &str = "bin";
/// A longer ending is a part of the name.
const LONGEST_EXTENSION: usize = 8;
/// Endings of paths that say what makes the answer, not what it is.
const PROGRAMS: &[&str] = &["asp", "aspx", "cgi", "do", "jsp", "php"];

/// Names a download: as the backend says, or after the tool and its path arguments.
pub(super) fn file_name(
    call: &Admitted<'_>,
    tool: &Tool,
    headers: &HeaderMap,
    content_type: &str,
) -> String {
    let given = headers.get(header::CONTENT_DISPOSITION).map(|value| decode_text(value.as_bytes()));
    if let Some(name) = given.and_then(|value| disposition::file_name(&value)) {
        return match extension_of(content_type) {
            Some(extension) if extension_in(&name).is_none() => format!("{name}.{extension}"),
            _ => name,
        };
    }
    let mut name = tool.name.clone();
    for placeholder in tool.path().placeholders() {
        if let Some(Value::String(text)) = call.arguments().get(placeholder) {
            name.push('-');
            name.push_str(text);
        }
    }
    let argument = |name: &str| {
        let value = call.arguments().get(name).and_then(Value::as_str);
        value.filter(|value| is_extension(value))
    };
    // All methods share a path, and what is packed says how in an argument.
    if tool.rpc().is_some()
        && let Some(format) = argument("format")
    {
        return name + "." + format;
    }
    let last = tool.path().as_str().rsplit('/').next().unwrap_or_default();
    let ending = last.rsplit_once('.').map(|(_, ending)| ending);
    let placeholder = ending.and_then(|it| it.strip_prefix('{')?.strip_suffix('}'));
    match (ending, placeholder) {
        (_, Some(placeholder)) if let Some(format) = argument(placeholder) => {
            // Already part of the name; as an extension it says what the file is.
            let stem = name.strip_suffix(&format!("-{format}")).unwrap_or(&name);
            format!("{stem}.{format}")
        }
        (Some(ending), None) if is_extension(ending) && !PROGRAMS.contains(&ending) => {
            name + "." + ending
        }
        _ => name + "." + extension_of(content_type).unwrap_or(UNKNOWN),
    }
}

/// Returns the extension of a name, when it has one.
fn extension_in(name: &str) -> Option<&str> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, extension) = last.rsplit_once('.')?;
    let is_known = media_type_of(last) != media_type_of("");
    (!stem.is_empty() && (is_known || is_extension(extension))).then_some(extension)
}

/// Returns whether a text may be an extension: short, and no number, which is a version.
fn is_extension(text: &str) -> bool {
    (1..=LONGEST_EXTENSION).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a field; what is not UTF-8 is ISO-8859-1 (RFC 9110, section 5.5).
fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().copied().map(char::from).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_short_and_no_number() {
        for (name, expected) in [
            ("a.csv", Some("csv")),
            ("disk.xva", Some("xva")),
            ("a.tar.gz", Some("gz")),
            ("a.7z", Some("7z")),
            ("report v1.0", None),
            ("backup.2026-11-05", None),
            ("a.b/report", None),
            (".profile", None),
            ("a.averylongending", None),
            ("a.", None),
            ("a", None),
        ] {
            assert_eq!(extension_in(name), expected, "{name}");
        }
    }

    #[test]
    fn a_field_is_read_in_its_charset() {
        assert_eq!(decode_text("é".as_bytes()), "é");
        assert_eq!(decode_text(b"\xe9"), "é");
    }
}
