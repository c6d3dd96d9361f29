//! Results that are a log, and answers that nobody may see.

use std::path::PathBuf;

use dadl_mcp::{executor::CallContext, outcome::AnswerPayload};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure, serve_tools},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(
    top: r#"
requires: { features: [composites] }
_dadl_mcp:
  private: [dump, sealed]
  entries:
    of: [run]
    failed: '$.status == "failure"'
    id: $.id
    name: [$.properties.name]
    error: $.result.message"#,
    backend: r#"
  defaults: { errors: { message_path: "$.error" } }
  tools:
    run: { method: POST, path: /run, access: write, description: "Runs.", response: { streaming: true, max_duration: 5s } }
    dump: { method: GET, path: /dump, access: read, description: "Dumps." }
    sealed: { method: GET, path: /sealed, access: read, description: "Dumps." }
    send: { method: POST, path: /send, access: write, content_type: application/octet-stream, description: "Sends.", params: { file: { type: file_url, in: body, required: true } } }
  composites:
    nightly:
      description: "Runs."
      access: write
      code: |
        try { return await api.run({}); } catch (error) { return { why: error.message }; }
"#
);

fn ndjson(entries: &[Value]) -> Answer {
    let body: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
    Answer::full(200, &[("Content-Type", "application/x-ndjson")], body.as_bytes())
}

/// A run whose last entry says success.
fn failed_run() -> Vec<Value> {
    vec![
        json!({ "id": "0", "type": "start", "properties": { "name": "backup" } }),
        json!({ "id": "1", "type": "start", "properties": { "name": "db-01" } }),
        json!({ "id": "1", "type": "end", "status": "failure", "result": { "message": "disk is full" } }),
        json!({ "id": "0", "type": "end", "status": "success" }),
    ]
}

fn bench(upstream: &Upstream) -> Harness {
    Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {})
}

#[tokio::test]
async fn a_log_with_a_failure_is_a_failed_call() {
    let upstream = Upstream::start(vec![ndjson(&failed_run())]).await;
    let bench = bench(&upstream);
    let error = bench.call("run", json!({})).await.unwrap_err().for_model();
    assert!(error.ends_with("has failed in part, as its log says: db-01: disk is full"), "{error}");
    let made = bench.value("nightly", json!({})).await;
    assert_eq!(made, json!({ "why": "db-01: disk is full" }));
    let good: Vec<Value> =
        failed_run().into_iter().filter(|it| it["status"] != "failure").collect();
    let upstream = Upstream::start(vec![ndjson(&good)]).await;
    assert_eq!(self::bench(&upstream).value("run", json!({})).await, json!(good));
}

#[tokio::test]
async fn a_log_that_goes_on_has_a_note() {
    let lines: String = failed_run().iter().take(3).map(|entry| format!("{entry}\n")).collect();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n";
    let upstream = Upstream::start(vec![Answer::Hang(format!("{head}{lines}").into_bytes())]).await;
    let outcome = bench(&upstream).call("run", json!({ "duration": 0.5 })).await.unwrap();
    assert!(outcome.notes.iter().any(|note| note.contains("db-01: disk is full")), "{outcome:?}");
}

#[tokio::test]
async fn an_open_stream_tells_of_the_failure() {
    let upstream = Upstream::start(vec![ndjson(&failed_run())]).await;
    let mut client = Client::legacy(serve_tools(TOOLS, &upstream.url(), |_| {}), json!({})).await;
    let answer = client.call(1, "run", json!({})).await;
    assert!(failure(&answer).contains("db-01: disk is full"), "{answer}");
    let answer = client.call(2, "run", json!({ "open": true })).await;
    let stream = answer["result"]["structuredContent"]["stream"].clone();
    assert!(stream.is_string(), "{answer}");
    for id in 3..50 {
        let read = json!({ "stream": stream, "wait": 5 });
        let answer = client.call(id, "stream_read", read).await;
        let content = &answer["result"]["structuredContent"];
        let note = content["_note"].as_str().unwrap_or_default();
        if note.contains("db-01: disk is full") {
            return;
        }
        assert_ne!(content["state"], "ended", "{answer}");
    }
    panic!("nobody tells");
}

// Private files

const SECRET: &str = "pw-hash-of-everybody";

fn secret() -> Answer {
    ndjson(&[json!({ "data": format!("{{\"users\":\"{SECRET}\"}}") }), json!({ "id": 2 })])
}

#[tokio::test]
async fn what_nobody_may_see_goes_to_a_private_file() {
    let upstream = Upstream::start(vec![secret()]).await;
    let bench = bench(&upstream);
    let outcome = bench.call("dump", json!({})).await.unwrap();
    assert!(outcome.notes[0].contains("shown to nobody"), "{:?}", outcome.notes);
    let AnswerPayload::File(file) = &outcome.payload else { panic!("{outcome:?}") };
    assert!(!format!("{outcome:?}").contains(SECRET));
    let bytes = std::fs::read_to_string(&file.path).unwrap();
    assert!(bytes.contains(SECRET) && bytes.ends_with("{\"id\":2}\n"), "as it came: {bytes}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file.path) & 0o777, 0o600);
        assert_eq!(mode(file.path.parent().unwrap()) & 0o777, 0o700);
    }
    // No upload takes it along.
    let reference = file.path.to_string_lossy().into_owned();
    let below = file.path.strip_prefix(bench.executor.files().directory()).unwrap();
    for reference in [reference.as_str(), below.to_str().unwrap()] {
        let call =
            bench.gate.check("send", json!({ "file": reference }).as_object().unwrap().clone());
        let call = call.unwrap().admit().unwrap();
        let error = bench.executor.execute(call, &CallContext::default()).await.unwrap_err();
        assert!(error.for_model().contains("file \""), "{error}");
    }
    assert_eq!(upstream.requests().len(), 1, "nothing was sent");
}

#[tokio::test]
async fn no_door_shows_a_private_file() {
    let upstream = Upstream::start(vec![secret()]).await;
    let mut client = Client::legacy(serve_tools(TOOLS, &upstream.url(), |_| {}), json!({})).await;
    let answer = client.call(1, "dump", json!({})).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    assert!(!answer.to_string().contains(SECRET), "{answer}");
    assert!(!answer.to_string().contains("resource_link"), "{answer}");
    let content = &answer["result"]["structuredContent"];
    assert_eq!(content["private"], true, "{answer}");
    let path = PathBuf::from(content["path"].as_str().unwrap());
    assert!(std::fs::read_to_string(&path).unwrap().contains(SECRET));
    let listed = client.request(2, "resources/list", json!({})).await;
    assert!(!listed.to_string().contains(".private"), "{listed}");
    let uri = format!("file://{}", path.display());
    let read = client.request(3, "resources/read", json!({ "uri": uri })).await;
    assert!(read["error"].is_object() && !read.to_string().contains(SECRET), "{read}");
}

#[tokio::test]
async fn an_error_of_a_private_tool_is_an_error() {
    let refused = Answer::json(404, r#"{"error":"no such backup"}"#);
    let upstream = Upstream::start(vec![refused]).await;
    let bench = bench(&upstream);
    let error = bench.call("sealed", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("no such backup"), "{error}");
    assert!(!bench.executor.files().directory().join(".private").exists());
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let outcome = self::bench(&upstream).call("sealed", json!({})).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Empty));
}
