//! What a file is called, and which answers are no files.

use dadl_mcp::outcome::{AnswerPayload, CallOutcome};
use serde_json::json;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(backend: r#"
  tools:
    report: { method: GET, path: "/report", access: read, description: "Saves.", response: { binary: true } }
    page: { method: GET, path: "/page.php", access: read, description: "Saves.", response: { binary: true } }
    versioned: { method: GET, path: "/v1.0", access: read, description: "Saves.", response: { binary: true } }
    disk: { method: GET, path: "/disk.xva", access: read, description: "Saves.", response: { binary: true } }
    packed: { method: GET, path: "/packed.{format}", access: read, description: "Saves.", params: { format: { type: string, in: path, required: true } }, response: { binary: true } }
    log: { method: GET, path: "/log", access: read, description: "Reads.", response: { content_type: text/plain } }
    rows: { method: GET, path: "/rows", access: read, description: "Reads.", response: { content_type: application/json } }
    hidden: { method: GET, path: "/hidden", access: read, description: "Reads.", response: { content_type: application/json, redact: ["$.key"] } }
"#);

const NOTHING: &str = "application/octet-stream";

async fn outcome(
    tool: &str,
    arguments: serde_json::Value,
    answer: Answer,
) -> Result<CallOutcome, String> {
    let upstream = Upstream::start(vec![answer]).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok("s3cret".to_owned())), |_| {});
    harness.call(tool, arguments).await.map_err(|error| error.to_string())
}

fn answer(content_type: &str, disposition: &str, body: &[u8]) -> Answer {
    let fields = [("Content-Type", content_type), ("Content-Disposition", disposition)];
    let given = if disposition.is_empty() { &fields[..1] } else { &fields[..] };
    Answer::full(200, given, body)
}

#[tokio::test]
async fn the_extension_follows_the_name_the_path_and_the_type() {
    for (tool, content_type, disposition, expected) in [
        ("report", "image/png", "", "report.png"),
        ("report", "text/csv; charset=utf-8", "", "report.csv"),
        ("report", "application/x-ndjson", "", "report.jsonl"),
        ("report", "application/vnd.api+json", "", "report.json"),
        ("report", NOTHING, "", "report.bin"),
        ("page", "application/pdf", "", "page.pdf"),
        ("versioned", "audio/mpeg", "", "versioned.mp3"),
        ("disk", NOTHING, "", "disk.xva"),
        ("disk", "application/x-tar", "", "disk.xva"),
        ("report", "text/csv", "attachment; filename=sales", "sales.csv"),
        ("report", NOTHING, "attachment; filename=sales", "sales"),
        ("report", "text/csv", "attachment; filename=\"a;b v1.0\"", "a_b_v1.0.csv"),
        ("report", NOTHING, "attachment; filename=x.txt; filename*=UTF-8''other.csv", "other.csv"),
        ("report", "text/plain", "attachment; filename=disk.vhd", "disk.vhd"),
    ] {
        let outcome =
            outcome(tool, json!({}), answer(content_type, disposition, b"x")).await.unwrap();
        let AnswerPayload::File(file) = outcome.payload else { panic!("{tool}: no file") };
        assert_eq!(file.path.file_name().unwrap(), expected, "{tool} {content_type} {disposition}");
    }
    for (format, expected) in [("vhd", "packed.vhd"), ("20261105", "packed-20261105.zip")] {
        let answer = answer("application/zip", "", b"x");
        let outcome = outcome("packed", json!({ "format": format }), answer).await.unwrap();
        let AnswerPayload::File(file) = outcome.payload else { panic!("no file") };
        assert_eq!(file.path.file_name().unwrap(), expected);
    }
}

#[tokio::test]
async fn text_that_a_tool_declares_stays_text() {
    for nothing in [NOTHING, "binary/octet-stream", "Application/Force-Download; x=y"] {
        for body in ["plain", "[1]", "grün\n"] {
            let outcome =
                outcome("log", json!({}), answer(nothing, "", body.as_bytes())).await.unwrap();
            let AnswerPayload::Text { content_type, text } = outcome.payload else {
                panic!("{body}")
            };
            assert_eq!((content_type.as_str(), text.as_str()), ("text/plain", body));
        }
        let rows = outcome("rows", json!({}), answer(nothing, "", b"[ 1 ]")).await.unwrap();
        let AnswerPayload::Json(text) = rows.payload else { panic!("no JSON") };
        assert_eq!(text.as_str(), "[1]");
        let word = outcome("rows", json!({}), answer(nothing, "", b"done")).await.unwrap();
        assert!(matches!(word.payload, AnswerPayload::Text { text, .. } if text == "done"));
    }
    let hidden = answer(NOTHING, "", br#"{"key":"k"}"#);
    let outcome = outcome("hidden", json!({}), hidden).await.unwrap();
    let AnswerPayload::Json(text) = outcome.payload else { panic!("no JSON") };
    assert!(!text.as_str().contains("\"k\""), "{}", text.as_str());
}

#[tokio::test]
async fn what_is_no_text_is_a_file_whatever_a_tool_declares() {
    for (tool, content_type, body, expected) in [
        ("log", NOTHING, &b"a\0b"[..], "log.bin"),
        ("log", NOTHING, b"\xff\xfe\xfd", "log.bin"),
        ("rows", NOTHING, b"\x1f\x8b\x08\0", "rows.bin"),
        ("log", "image/png", b"text", "log.png"),
        ("rows", "application/zip", b"{}", "rows.zip"),
    ] {
        let outcome = outcome(tool, json!({}), answer(content_type, "", body)).await.unwrap();
        let AnswerPayload::File(file) = outcome.payload else { panic!("{tool} {content_type}") };
        assert_eq!(file.path.file_name().unwrap(), expected);
        assert_eq!(file.size, body.len() as u64);
    }
    // What cannot be redacted is not kept.
    let error = outcome("hidden", json!({}), answer(NOTHING, "", b"\0")).await.unwrap_err();
    assert!(error.contains("values that must be hidden"), "{error}");
}

#[tokio::test]
async fn what_is_too_long_to_be_read_as_text_is_a_file() {
    let body = "line\n".repeat(50_000);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {NOTHING}\r\n\r\n");
    let upstream = Upstream::start(vec![Answer::Close((head + &body).into_bytes())]).await;
    let harness =
        Harness::new(TOOLS, &upstream.url(), Fixed(Ok("s3cret".to_owned())), |settings| {
            settings.max_response_bytes = 100_000;
        });
    let outcome = harness.call("log", json!({})).await.unwrap();
    let AnswerPayload::File(file) = outcome.payload else { panic!("no file") };
    assert_eq!(std::fs::read_to_string(&file.path).unwrap(), body);
    // What has values to hide is not kept.
    let error = harness.call("hidden", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("values that must be hidden"), "{error}");
    assert_eq!(std::fs::read_dir(file.path.parent().unwrap()).unwrap().count(), 1);
}
