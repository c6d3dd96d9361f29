//! Which answers a request asks for: the `Accept` field (RFC 9110, section 12.5.1).

use dadl_descriptor::model::ResponseRules;
use http::HeaderValue;
use mime::Mime;

const JSON: &str = "application/json";
const STREAMS: &str = "text/event-stream, application/x-ndjson, application/json;q=0.9";

/// Returns what a tool can answer, where neither its author nor its caller says what to ask for. Errors
/// are JSON most of the time, so that it stays acceptable beside another type.
pub(super) fn accept_header(rules: &ResponseRules) -> HeaderValue {
    let declared = rules.content_type.as_deref().and_then(|text| text.parse::<Mime>().ok());
    if rules.binary {
        return HeaderValue::from_static("*/*");
    }
    if rules.streaming.is_declared {
        return match declared {
            Some(declared) if !STREAMS.contains(declared.essence_str()) => {
                header_value(&format!("{}, {STREAMS}", declared.essence_str()), STREAMS)
            }
            _ => HeaderValue::from_static(STREAMS),
        };
    }
    match declared {
        None => HeaderValue::from_static(JSON),
        Some(declared) if declared.essence_str() == JSON => HeaderValue::from_static(JSON),
        Some(declared) => {
            let quality = if declared.suffix() == Some(mime::JSON) { "0.9" } else { "0.5" };
            header_value(&format!("{}, {JSON};q={quality}", declared.essence_str()), JSON)
        }
    }
}

fn header_value(text: &str, otherwise: &'static str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(otherwise))
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::StreamRules;

    use super::*;

    #[test]
    fn it_follows_what_a_tool_answers() {
        let rules = |content_type: &str, binary, is_declared| ResponseRules {
            content_type: Some(content_type.to_owned()),
            binary,
            streaming: StreamRules { is_declared, ..StreamRules::default() },
            ..ResponseRules::default()
        };
        for (rules, expected) in [
            (ResponseRules::default(), JSON),
            (rules("application/json; charset=utf-8", false, false), JSON),
            (rules("text/csv; charset=utf-8", false, false), "text/csv, application/json;q=0.5"),
            (
                rules("application/vnd.api+json", false, false),
                "application/vnd.api+json, application/json;q=0.9",
            ),
            (rules("no type", false, false), JSON),
            (rules("text/csv", true, false), "*/*"),
            (rules("", false, true), STREAMS),
            (rules("application/x-ndjson", false, true), STREAMS),
            (
                rules("application/stream+json", false, true),
                "application/stream+json, text/event-stream, application/x-ndjson, \
                 application/json;q=0.9",
            ),
        ] {
            assert_eq!(accept_header(&rules), expected);
        }
    }
}
