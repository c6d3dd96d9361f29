//! Reads a non-2xx answer: code, message and details, in the words of its API.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use dadl_descriptor::model::{ErrorFormat, ErrorRules, json_path::JsonPath};
use dadl_text::{
    json::{cost, scan},
    text::cut_text,
};

use super::{decode_error, issues, xml};
use crate::outcome::{ApiError, JsonText};

/// Details beyond this many bytes of JSON are left out: they are for a model to read.
const MOST_DETAILS: usize = 2_000;

/// So many wrong fields are named.
const MOST_FIELDS: usize = 100;

/// A list of texts whose tree would take more is none that anybody reads, in bytes.
const LARGEST_LIST: u64 = 256 * 1024;

/// So many characters of a message are shown.
const MOST_MESSAGE: usize = 16_000;

/// The code of an answer that refuses the credential, whatever its status is.
pub(crate) const CREDENTIAL_REFUSED: &str = "unauthorized";

/// A non-2xx answer as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RejectedAnswer<'answer> {
    pub(crate) status: u16,
    pub(crate) body: &'answer [u8],
    pub(crate) request: &'answer str,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) attempts: u32,
}

/// Reads `rejection` by the tool's rules.
pub(crate) fn read_api_error(rejection: RejectedAnswer<'_>, rules: &ErrorRules) -> ApiError {
    let RejectedAnswer { status, body, request, retry_after, attempts } = rejection;
    let value: Option<JsonText> = match rules.format {
        ErrorFormat::Json => {
            std::str::from_utf8(body).ok().and_then(|text| JsonText::parse(text).ok())
        }
        ErrorFormat::Text => None,
        ErrorFormat::Xml => xml::xml_value(body).as_ref().map(JsonText::from),
    };
    let value = value.as_ref().map(JsonText::as_str);
    // Authors write paths into an XML document with and without its root element.
    let root = value
        .filter(|_| rules.format == ErrorFormat::Xml)
        .and_then(|document| Some(scan::object_members(document)?.next()?.1));
    let at = |path: &Option<JsonPath>| {
        let path = path.as_ref()?;
        let found = path.look(value?).or_else(|| path.look(root?))?;
        (found != "null").then(|| plain_text(found))
    };
    let message = rules.messages.iter().find_map(|path| error_sentence(path.look(value?)?));
    let issues = || {
        let found = rules.message_path.as_ref()?.look(value?)?;
        if found.starts_with('"') {
            issues::issues_inside(&scan::unquote(found)?)
        } else {
            issues::issues_sentence(found)
        }
    };
    let message = message
        .or_else(issues)
        .or_else(|| {
            at(&rules.message_path)
                .filter(|message| !message.is_empty())
                .map(|message| message + &error_details(value, rules))
        })
        .unwrap_or_else(|| fallback_message(status, body));
    let hint = rules.hint(status, &message, value);
    let said = hint.and_then(|hint| hint.code.as_ref());
    let mapped = || rules.map.iter().find(|(it, _)| *it == status).map(|(_, code)| code);
    let code = said.or_else(mapped).cloned().unwrap_or_else(|| default_code(status).to_owned());
    let hint = hint.map(|hint| hint.hint.clone());
    ApiError {
        status,
        code,
        provider_code: at(&rules.code_path),
        message,
        request: request.to_owned(),
        retry_after,
        attempts,
        hint,
        is_no_route: false,
        lack: None,
    }
}

/// DADL's default codes by status (v0.2).
fn default_code(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_input",
        401 => CREDENTIAL_REFUSED,
        403 => "forbidden",
        404 | 410 => "not_found",
        408 | 504 => "timeout",
        409 | 412 => "conflict",
        429 => "rate_limited",
        502 | 503 => "unavailable",
        500..=599 => "internal",
        _ => "error",
    }
}

/// Adds what the error object holds beside the message, such as the missing privileges.
fn error_details(value: Option<&str>, rules: &ErrorRules) -> String {
    let members = || value.and_then(scan::object_members).into_iter().flatten();
    let is = |key: &str, name: &str| scan::unquote(key).is_some_and(|key| key == name);
    // Only where the message is a member of the whole body: deeper ones have their own context.
    let Some(name) = rules
        .message_path
        .as_ref()
        .and_then(|path| path.as_str().strip_prefix("$."))
        .filter(|name| members().any(|(key, _)| is(key, name)))
    else {
        return String::new();
    };
    let mut text = String::new();
    for (key, value) in members() {
        let is_said = is(key, name) || is(key, "stack");
        if is_said || is_empty(value) || matches!(value, "true" | "false") {
            continue;
        }
        if text.len() + value.len() <= MOST_DETAILS {
            // Writing to a string cannot fail.
            let _ = write!(text, "; {}: {value}", scan::unquote(key).unwrap_or_default());
        }
    }
    text
}

/// Makes a sentence of what one of several places has; of the errors of fields, one sentence for
/// each: `{"name": ["is taken"]}` says "name: is taken".
fn error_sentence(value: &str) -> Option<String> {
    if is_empty(value) {
        return None;
    }
    let texts = |value: &str| match value {
        text if text.starts_with('"') => scan::unquote(text).map(Cow::into_owned),
        // What is larger is shown as it is, as far as that goes.
        items if cost::parse_cost(items) > LARGEST_LIST => None,
        items => {
            let texts = scan::array_items(items)?.map(scan::unquote);
            texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(" "))
        }
    };
    let fields = scan::object_members(value).and_then(|members| {
        let fields = members
            .take(MOST_FIELDS)
            .map(|(name, value)| Some(format!("{}: {}", scan::unquote(name)?, texts(value)?)));
        fields.collect::<Option<Vec<_>>>().map(|fields| fields.join("; "))
    });
    let text = fields.or_else(|| texts(value)).unwrap_or_else(|| plain_text(value));
    let short = cut_text(text.trim(), MOST_DETAILS).into_owned();
    (!short.is_empty()).then_some(short)
}

fn is_empty(value: &str) -> bool {
    matches!(value, "null" | "[]" | "{}" | "\"\"")
}

fn plain_text(value: &str) -> String {
    let text = if value.starts_with('"') { scan::unquote(value) } else { Some(value.into()) };
    cut_text(&text.unwrap_or_default(), MOST_MESSAGE).into_owned()
}

/// Says something when the body has no message: its start, or the reason phrase.
fn fallback_message(status: u16, body: &[u8]) -> String {
    let text = decode_error::excerpt(&without_markup(body));
    if !text.is_empty() {
        return text;
    }
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no message")
        .to_owned()
}

/// Leaves the text of an HTML page: tags, scripts and styles say nothing to a model.
fn without_markup(body: &[u8]) -> Vec<u8> {
    let start = body.trim_ascii_start();
    let is_markup = start.first() == Some(&b'<');
    if !is_markup {
        return body.to_vec();
    }
    let page = String::from_utf8_lossy(start.get(..64 * 1024).unwrap_or(start));
    let mut text = String::new();
    let mut rest: &str = &page;
    while let Some(open) = rest.find('<') {
        let (before, tag) = rest.split_at(open);
        text.push_str(before);
        text.push(' ');
        let lower = tag.get(..8).unwrap_or(tag).to_ascii_lowercase();
        let skipped = ["script", "style"]
            .iter()
            .find(|name| lower.strip_prefix('<').is_some_and(|rest| rest.starts_with(**name)));
        let end = match skipped {
            Some(name) => tag.find(&format!("</{name}")),
            None => Some(0),
        };
        let Some(close) = end.and_then(|from| Some(from + tag.get(from..)?.find('>')? + 1)) else {
            rest = "";
            break;
        };
        rest = tag.get(close..).unwrap_or_default();
    }
    text.push_str(rest);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> ErrorRules {
        ErrorRules {
            message_path: Some(JsonPath::compile("$.error").unwrap()),
            code_path: Some(JsonPath::compile("$.code").unwrap()),
            map: vec![(409, "busy".to_owned())],
            ..ErrorRules::default()
        }
    }

    fn shown(status: u16, body: &str) -> String {
        let rejection = RejectedAnswer {
            status,
            body: body.as_bytes(),
            request: "GET /vms/x",
            retry_after: None,
            attempts: 1,
        };
        read_api_error(rejection, &rules()).to_string()
    }

    #[test]
    fn takes_message_code_and_details_from_the_body() {
        assert_eq!(
            shown(404, r#"{"error":"no such VM x","data":{"id":"x","type":"VM"}}"#),
            r#"[not_found] HTTP 404: no such VM x; data: {"id":"x","type":"VM"} (GET /vms/x)"#
        );
        assert_eq!(
            shown(409, r#"{"error":"taken","code":17,"data":{}}"#),
            "[busy] HTTP 409: taken; code: 17 (code 17) (GET /vms/x)"
        );
        assert_eq!(
            shown(422, r#"{"error":{"body.name":{"message":"'name' is required"}},"data":{}}"#),
            "[invalid_input] HTTP 422: name: 'name' is required (GET /vms/x)"
        );
        // As XO answers it, shortened: three kinds of storage of twenty, one in the other.
        let nested = r#"{"error":{"body":{"message":"Could not match the intersection against every type. Issues: [{\"body.SR_type\":{\"message\":\"Could not match the union against any of the items. Issues: [{\\\"body.SR_type\\\":{\\\"message\\\":\\\"should be one of the following; ['cephfs']\\\",\\\"value\\\":\\\"bogus\\\"}},{\\\"body.SR_type\\\":{\\\"message\\\":\\\"should be one of the following; ['ext']\\\",\\\"value\\\":\\\"bogus\\\"}}]\",\"value\":\"bogus\"}}]","value":{"name_label":"x","SR_type":"bogus"}}},"data":{}}"#;
        assert_eq!(
            shown(422, nested),
            "[invalid_input] HTTP 422: SR_type: should be one of the following cephfs, ext (GET /vms/x)"
        );
        assert_eq!(
            shown(422, r#"{"error":{"odd":1}}"#),
            r#"[invalid_input] HTTP 422: {"odd":1} (GET /vms/x)"#
        );
    }

    #[test]
    fn the_message_is_where_something_is() {
        let path = |text: &str| JsonPath::compile(text).unwrap();
        let paths = ["$.detail", "$.result.detail", "$.result.message", "$.result"];
        let rules = ErrorRules { messages: paths.map(path).to_vec(), ..rules() };
        let message = |body: &str| {
            let body = body.as_bytes();
            let rejection = RejectedAnswer {
                status: 400,
                body,
                request: "PUT /x",
                retry_after: None,
                attempts: 1,
            };
            read_api_error(rejection, &rules).message
        };
        assert_eq!(message(r#"{"detail": "no", "result": "other"}"#), "no");
        assert_eq!(message(r#"{"result": {"message": "m", "detail": "d"}}"#), "d");
        assert_eq!(message(r#"{"result": {"message": "m", "detail": ""}}"#), "m");
        assert_eq!(message(r#"{"result": "no lock"}"#), "no lock");
        let fields = r#"{"result": {"name": ["is taken", "is long"], "node": ["is gone"]}}"#;
        assert_eq!(message(fields), "name: is taken is long; node: is gone");
        assert_eq!(message(r#"{"result": {"a": 1}}"#), r#"{"a":1}"#);
        assert_eq!(message(r#"{"error": "old", "result": null}"#), "old");
        assert_eq!(message("oops"), "oops");
    }

    #[test]
    fn xml_is_searched_with_and_without_its_root_element() {
        let body = b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>";
        for (message, code) in [("$.Error.Message", "$.Error.Code"), ("$.Message", "$.Code")] {
            let rules = ErrorRules {
                format: ErrorFormat::Xml,
                message_path: Some(JsonPath::compile(message).unwrap()),
                code_path: Some(JsonPath::compile(code).unwrap()),
                ..ErrorRules::default()
            };
            let rejection = RejectedAnswer {
                status: 404,
                body,
                request: "GET /x",
                retry_after: None,
                attempts: 1,
            };
            let shown = read_api_error(rejection, &rules).to_string();
            assert_eq!(shown, "[not_found] HTTP 404: no such key (code NoSuchKey) (GET /x)");
        }
    }

    #[test]
    fn falls_back_to_the_start_of_the_body() {
        let page = "<!DOCTYPE html><html><head><style>b{}</style></head><body><pre>Cannot GET /x</pre></body></html>";
        assert_eq!(shown(404, page), "[not_found] HTTP 404: Cannot GET /x (GET /vms/x)");
        assert_eq!(shown(500, "oops"), "[internal] HTTP 500: oops (GET /vms/x)");
        assert_eq!(shown(503, ""), "[unavailable] HTTP 503: Service Unavailable (GET /vms/x)");
        assert_eq!(
            shown(500, "<script>while(1)"),
            "[internal] HTTP 500: Internal Server Error (GET /vms/x)"
        );
    }
}
