//! A call that nobody waits for any more: whatever it is doing, the connection to the backend
//! closes and nothing is left behind.

use std::path::Path;

use dadl_mcp::files::FileStore;
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_harness},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(backend: r#"
  tools:
    get: { method: GET, path: /thing, access: read, description: "Gets." }
    export: { method: GET, path: /export, access: read, description: "Exports.", response: { binary: true } }
    import:
      method: POST
      path: /import
      access: write
      content_type: application/octet-stream
      description: "Imports."
      params: { file: { type: file_url, in: body, required: true } }
    flaky:
      method: GET
      path: /flaky
      access: read
      description: "Is tried again."
      errors: { retry_on: [503], retry_strategy: { max_retries: 3, backoff: fixed, initial_delay: 5m } }
    list:
      method: GET
      path: /list
      access: read
      description: "Has pages."
      params: { offset: { type: integer, in: query } }
      pagination: { strategy: offset, behavior: auto, request: { offset_param: offset }, response: { has_more: "$.more" } }
    watch: { method: GET, path: /watch, access: read, description: "Never ends.", response: { streaming: true } }
    filtered: { method: GET, path: /thing, access: read, description: "Gets.", response: { allow_jq_override: true } }
"#);

/// A client of a server whose backend is at `url`, with files below `home`.
async fn client(url: &str, home: &Path) -> Client {
    let files = home.join("files");
    std::fs::create_dir_all(&files).unwrap();
    // More than what the buffers on the way take.
    std::fs::write(files.join("image.raw"), vec![7; 32 << 20]).unwrap();
    let none = Fixed(Err("none".into()));
    let harness = Harness::with_files(TOOLS, url, none, |_| {}, |_| FileStore::new(files.clone()));
    Client::legacy(serve_harness(harness, ""), json!({})).await
}

/// Returns what is in the directory of files besides the image.
fn left_behind(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home.join("files")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "image.raw").collect()
}

/// Calls `tool` and cancels when as many requests as there are answers have come.
async fn cancelled(tool: &str, arguments: Value, answers: Vec<Answer>) {
    let home = tempfile::tempdir().unwrap();
    let count = answers.len();
    let upstream = Upstream::start(answers).await;
    let mut client = client(&upstream.url(), home.path()).await;
    client.start(1, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
    while upstream.requests().len() < count {
        upstream.request_arrived().await;
    }
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    upstream.connection_closed().await;
    // The next answer is that of the next request: none comes for what was cancelled.
    client.request(2, "ping", json!({})).await;
    assert_eq!(left_behind(home.path()), Vec::<String>::new());
    assert_eq!(upstream.requests().len(), count);
}

fn hang(head: &str) -> Answer {
    Answer::Hang(head.as_bytes().to_vec())
}

#[tokio::test]
async fn before_the_head_of_the_answer() {
    cancelled("get", json!({}), vec![hang("")]).await;
}

#[tokio::test]
async fn in_the_head_of_the_answer() {
    cancelled("get", json!({}), vec![hang("HTTP/1.1 200 OK\r\nContent-Ty")]).await;
}

#[tokio::test]
async fn in_the_body_of_an_answer() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1";
    cancelled("get", json!({}), vec![hang(head)]).await;
}

#[tokio::test]
async fn in_a_download() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc";
    cancelled("export", json!({}), vec![hang(head)]).await;
}

#[tokio::test]
async fn between_pages() {
    let first = Answer::json(200, r#"{"items": [1, 2], "more": true}"#);
    cancelled("list", json!({}), vec![first, hang("")]).await;
}

#[tokio::test]
async fn in_a_stream() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
    cancelled("watch", json!({}), vec![hang(head)]).await;
}

#[tokio::test]
async fn between_retries() {
    let busy = Answer::Close(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec());
    cancelled("flaky", json!({}), vec![busy]).await;
}

/// Calls `tool`, waits for the connection, cancels, and reads the connection to its end.
async fn cancelled_at(scheme: &str, tool: &str, arguments: Value) -> Vec<u8> {
    use tokio::io::AsyncReadExt as _;
    let home = tempfile::tempdir().unwrap();
    let backend = Upstream::by_hand().await;
    let url = backend.origin().replace("http", scheme);
    let mut client = client(&url, home.path()).await;
    client.start(1, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
    let mut stream = backend.accept().await;
    let mut bytes = vec![stream.read_u8().await.unwrap()];
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes).await;
    client.request(2, "ping", json!({})).await;
    assert_eq!(left_behind(home.path()), Vec::<String>::new());
    bytes
}

#[tokio::test]
async fn before_the_connection_is_there() {
    // A greeting without an answer: the connection is never made.
    let bytes = cancelled_at("https", "get", json!({})).await;
    assert_eq!(bytes[0], 22, "a handshake of TLS");
}

#[tokio::test]
async fn in_an_upload() {
    let bytes = cancelled_at("http", "import", json!({ "file": "image.raw" })).await;
    assert!(bytes.starts_with(b"POST /import HTTP/1.1\r\n"));
    assert!(bytes.len() < 32 << 20, "{} bytes", bytes.len());
}

#[tokio::test]
async fn in_a_filter() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(vec![Answer::json(200, "[1]")]).await;
    let mut client = client(&upstream.url(), home.path()).await;
    let endless = json!({ "name": "filtered", "arguments": { "jq": "def f: f; f" } });
    client.start(1, "tools/call", endless).await;
    upstream.request_arrived().await;
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    // The process of the endless filter is gone or replaced: the next one gets its turn.
    let next = json!({ "jq": ".[0] + 1" });
    let answer = client.call(2, "filtered", next).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "result": 2 }), "{answer}");
}

#[tokio::test]
async fn while_it_waits_for_its_turn() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(vec![hang(""), Answer::json(200, "[1]")]).await;
    let files = FileStore::new(home.path().to_owned());
    let one = |settings: &mut dadl_mcp::config::BackendSettings| settings.max_calls = 1;
    let none = Fixed(Err("none".into()));
    let harness = Harness::with_files(TOOLS, &upstream.url(), none, one, |_| files);
    let mut client = Client::legacy(serve_harness(harness, ""), json!({})).await;
    for id in 1..=2 {
        client.start(id, "tools/call", json!({ "name": "get", "arguments": {} })).await;
        if id == 1 {
            upstream.request_arrived().await;
        }
    }
    for id in [2, 1] {
        client.notify("notifications/cancelled", json!({ "requestId": id })).await;
    }
    let answer = client.call(3, "get", json!({})).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "result": [1] }), "{answer}");
    assert_eq!(upstream.requests().len(), 2);
}
