//! A JSON-RPC API that answers what the test says: each kind of answer, and each error.

use std::time::Duration;

use dadl_mcp::{
    config::BackendSettings,
    gate::PendingCall,
    live::{StreamHub, StreamOwner, StreamPhase},
    outcome::AnswerPayload,
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "s3cr3t-token-value";

const TOOLS: &str = api!(
    top: r#"
requires: { features: [redact] }
_dadl_mcp:
  tasks:
    only: [start]
    started: { when: "$.task" }
    id: $.task
    watch: { tool: look, arguments: { id: "{task}" }, poll: [100ms] }
    state: { path: $.state, running: [on], succeeded: [done], failed: [bad] }
    result: $.result"#,
    kind: "jsonrpc",
    auth: r#"type: bearer, credential: fake_token, header_name: Cookie, prefix: "session=""#,
    backend: r#"
  jsonrpc: { path: /rpc, errors: { 1: not_found, 10: invalid_input } }
  defaults:
    errors: { retry_on: [503], retry_strategy: { max_retries: 2, backoff: fixed, initial_delay: 1ms } }
  health: { tool: version, expect_path: "$.number" }
  tools:
    list: { rpc_method: system.listMethods, access: read, description: "Methods." }
    version: { rpc_method: system.version, access: read, description: "Version." }
    read: { rpc_method: thing.read, access: read, description: "Reads.", params: { id: { type: string }, "sr[id]": { type: string }, how: { type: string, default: all } } }
    write: { rpc_method: thing.write, access: write, description: "Writes.", params: { token: { type: string } } }
    shaped: { rpc_method: thing.read, access: read, description: "Shaped.", response: { result_path: "$.items", transform: "map({id, s: .secret})", redact: ["$[*].s"], max_items: 2, allow_jq_override: true } }
    few: { rpc_method: thing.all, access: read, description: "Few.", response: { max_items: 2 } }
    file: { rpc_method: thing.fetch, access: read, description: "File.", params: { format: { type: string, default: zip } }, response: { binary: true } }
    follow: { rpc_method: thing.run, access: write, description: "Follows.", response: { streaming: true, max_duration: 10s } }
    start: { rpc_method: thing.start, access: write, description: "Starts." }
    look: { rpc_method: thing.look, access: read, description: "Looks.", params: { id: { type: string, required: true } } }
"#
);

fn bench_with(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
    Harness::new(TOOLS, url, Fixed(Ok(TOKEN.to_owned())), change)
}

fn bench(url: &str) -> Harness {
    bench_with(url, |_| {})
}

/// The answer to the request `id` with this result.
fn result(id: u64, result: &str) -> Answer {
    Answer::json(200, &format!(r#"{{"id":{id},"jsonrpc":"2.0","result":{result}}}"#))
}

/// The error of the first request.
fn refusal(error: &str) -> Answer {
    Answer::json(200, &format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#))
}

/// The first lines of an answer that has no announced length.
fn chunked(content_type: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    format!("{head}{:x}\r\n{body}\r\n", body.len()).into_bytes()
}

const LIST: &str = "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"$responseType\":\"ndjson\"}}\n";

/// What a model reads when a call of `tool` fails.
async fn failure(answers: Vec<Answer>, tool: &str, arguments: Value) -> (String, usize) {
    let upstream = Upstream::start(answers).await;
    let error = bench(&upstream.url()).call(tool, arguments).await.unwrap_err().for_model();
    assert!(!error.contains(TOKEN), "{error}");
    (error, upstream.requests().len())
}

/// The result and the notes of a call of `tool`.
async fn gives(answer: Answer, tool: &str) -> (Value, Vec<String>) {
    let upstream = Upstream::start(vec![answer]).await;
    let outcome = bench(&upstream.url()).call(tool, json!({})).await.unwrap();
    match outcome.payload {
        AnswerPayload::Json(text) => (text.value().unwrap(), outcome.notes),
        other => panic!("{other:?}"),
    }
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_request_has_the_method_what_was_given_and_an_id_of_its_own() {
    let upstream = Upstream::start(vec![result(1, "1"), result(2, "2"), result(3, "3")]).await;
    let bench = bench(&upstream.url());
    assert_eq!(bench.value("read", json!({ "id": "x", "sr_id": null })).await, json!(1));
    assert_eq!(bench.value("list", json!({})).await, json!(2));
    assert_eq!(bench.value("read", json!({ "sr_id": "y", "how": "some" })).await, json!(3));
    let requests = upstream.requests();
    for request in &requests {
        assert!(request.starts_with("POST /api/rpc HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("cookie: session={TOKEN}\r\n")), "{request}");
        assert!(request.contains("content-type: application/json\r\n"), "{request}");
    }
    let sent: Vec<Value> = requests.iter().map(|request| body(request)).collect();
    let call = |id, method, params: Value| json!({ "id": id, "jsonrpc": "2.0", "method": method, "params": params });
    assert_eq!(sent[0], call(1, "thing.read", json!({ "id": "x", "how": "all" })));
    assert_eq!(sent[1], call(2, "system.listMethods", json!({})));
    assert_eq!(sent[2], call(3, "thing.read", json!({ "sr[id]": "y", "how": "some" })));
}

#[tokio::test]
async fn unknown_arguments_send_nothing() {
    let upstream = Upstream::start(vec![result(1, "1")]).await;
    let bench = bench(&upstream.url());
    let arguments = json!({ "ids": "x" }).as_object().unwrap().clone();
    let refused = bench.gate.check("read", arguments).unwrap_err().to_string();
    assert!(refused.contains("there is no parameter `ids`"), "{refused}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_dry_run_shows_the_request() {
    let bench = bench("http://127.0.0.1:9/api");
    let arguments = json!({ "id": "x" }).as_object().unwrap().clone();
    let pending = bench.gate.check("read", arguments).unwrap();
    let shown = bench.executor.dry_run(&pending).unwrap().to_string();
    assert!(shown.starts_with("POST http://127.0.0.1:9/api/rpc\n"), "{shown}");
    let call = r#"{"id":0,"jsonrpc":"2.0","method":"thing.read","params":{"id":"x","how":"all"}}"#;
    assert!(shown.contains(call), "{shown}");
    assert!(shown.ends_with("with Cookie: session=[REDACTED]"), "{shown}");
}

#[tokio::test]
async fn results_are_shaped_as_others_are() {
    let items = r#"{"items":[{"id":1,"secret":"a"},{"id":2,"secret":"b"},{"id":3,"secret":"c"}]}"#;
    let (value, notes) = gives(result(1, items), "shaped").await;
    assert_eq!(value, json!([{ "id": 1, "s": "[REDACTED]" }, { "id": 2, "s": "[REDACTED]" }]));
    assert!(notes[0].contains("the first 2 of 3 items"), "{notes:?}");
    let upstream = Upstream::start(vec![result(1, items)]).await;
    let bench = bench(&upstream.url());
    let ids = bench.value("shaped", json!({ "jq": "map(.s) | unique" })).await;
    assert_eq!(ids, json!(["[REDACTED]"]));
    let digits = "[1.50,123456789012345678901234567890]";
    let upstream = Upstream::start(vec![result(1, digits)]).await;
    let outcome = self::bench(&upstream.url()).call("list", json!({})).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Json(text) if text.as_str() == digits));
}

#[tokio::test]
async fn a_first_line_can_announce_a_list() {
    let text = format!("{LIST}{{\"id\":\"a\"}}\n  \n   {{\"id\":\"b\"}}\n");
    let whole = Answer::json(200, &text);
    let (value, notes) = gives(whole, "list").await;
    assert_eq!((value, notes), (json!([{ "id": "a" }, { "id": "b" }]), vec![]));
    // What keeps a connection alive may come first.
    let (value, _) = gives(Answer::json(200, &format!("   \n  {LIST}1\n")), "list").await;
    assert_eq!(value, json!([1]));
    for empty in [LIST, LIST.trim_end()] {
        assert_eq!(gives(Answer::json(200, empty), "list").await.0, json!([]));
    }
}

#[tokio::test]
async fn a_list_is_collected_up_to_its_bounds() {
    let text = format!("{LIST}1\n2\n3\n4\n");
    let (value, notes) = gives(Answer::json(200, &text), "few").await;
    assert_eq!(value, json!([1, 2]));
    assert!(notes[0].contains("stopped after 2 items"), "{notes:?}");
    let long = format!("{LIST}\"{}\"\n", "x".repeat(3000));
    let upstream = Upstream::start(vec![Answer::json(200, &long)]).await;
    let bench = bench_with(&upstream.url(), |settings| settings.max_response_bytes = 2000);
    let error = bench.call("list", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("larger than 2000 bytes"), "{error}");
}

#[tokio::test]
async fn a_list_that_breaks_off_says_so() {
    // The server ends its list without a word when it fails in the middle.
    let (value, notes) = gives(Answer::json(200, &format!("{LIST}1\n{{\"a\":")), "list").await;
    assert_eq!(value, json!([1]));
    assert_eq!(notes, ["incomplete: the answer ends within an item; these are the 1 before it"]);
    let (value, notes) = gives(Answer::json(200, &format!("{LIST}1\n2")), "list").await;
    assert_eq!(value, json!([1, 2]));
    assert!(notes[0].starts_with("maybe incomplete: "), "{notes:?}");
    let broken = Answer::Close(chunked("application/json", &format!("{LIST}1\n2\n")));
    let (value, notes) = gives(broken, "list").await;
    assert_eq!(value, json!([1, 2]));
    assert!(
        notes[0].starts_with("incomplete: the connection broke off after 2 items"),
        "{notes:?}"
    );
    // Nothing at all is no list.
    let broken = || Answer::Close(chunked("application/json", LIST));
    let (error, _) = failure(vec![broken()], "write", json!({})).await;
    assert!(error.contains("the connection broke"), "{error}");
    let cut = Answer::json(200, &format!("{LIST}{{\"a\":"));
    let (error, _) = failure(vec![cut], "list", json!({})).await;
    assert!(error.contains("no valid NDJSON"), "{error}");
}

#[tokio::test]
async fn binary_answers_are_files() {
    let bytes = Answer::full(200, &[("Content-Type", "application/octet-stream")], b"PK\x03\x04");
    let upstream = Upstream::start(vec![bytes]).await;
    let bench = bench(&upstream.url());
    let outcome = bench.call("file", json!({})).await.unwrap();
    let AnswerPayload::File(file) = outcome.payload else { panic!("{:?}", outcome.payload) };
    assert_eq!((file.name.as_str(), file.size), ("file.zip", 4));
    assert_eq!(bench.files().len(), 1);
    assert_eq!(body(&upstream.requests()[0])["params"], json!({ "format": "zip" }));
}

#[tokio::test]
async fn a_tool_that_answers_files_can_answer_an_error_and_keeps_a_list() {
    let error = r#"{"code":1,"message":"no such backup","data":{"id":"x"}}"#;
    let (text, _) = failure(vec![refusal(error)], "file", json!({})).await;
    assert_eq!(
        text,
        "[not_found] no such backup; data: {\"id\":\"x\"} (code 1) (POST /rpc thing.fetch); check the identifier: look it up with a tool that lists"
    );
    // What its author keeps in a file is no text for a model, whatever it is made of.
    let log = Answer::json(200, &format!("{LIST}{{\"event\":\"start\"}}\n"));
    let upstream = Upstream::start(vec![log]).await;
    let bench = bench(&upstream.url());
    let outcome = bench.call("file", json!({})).await.unwrap();
    let AnswerPayload::File(file) = outcome.payload else { panic!("{:?}", outcome.payload) };
    assert_eq!(std::fs::read_to_string(&file.path).unwrap(), "{\"event\":\"start\"}\n");
}

#[tokio::test]
async fn errors_come_with_the_status_of_a_success() {
    let data = r#"{"errors":[{"instancePath":"","params":{"additionalProperty":"sr[id]"},"message":"must NOT have additional properties"},{"instancePath":"/id","message":"must be string"}]}"#;
    let error = format!(r#"{{"code":10,"message":"invalid parameters","data":{data}}}"#);
    let (text, requests) = failure(vec![refusal(&error)], "read", json!({})).await;
    assert_eq!(
        text,
        "[invalid_input] invalid parameters: `sr_id` must NOT have additional properties; `id` \
         must be string (code 10) (POST /rpc thing.read); correct the arguments and call again"
    );
    assert_eq!(requests, 1);
    let error = r#"{"code":-32601,"message":"method not found: thing.read","data":"thing.read"}"#;
    let (text, _) = failure(vec![refusal(error)], "read", json!({})).await;
    assert!(text.starts_with("[method_not_found] the server has no method `thing.read`"), "{text}");
    assert!(text.contains("system.listMethods (tool `list`)"), "{text}");
    let text = Answer::full(
        200,
        &[("Content-Type", "text/plain; charset=utf-8")],
        br#"{"error":{"code":-32700,"message":"invalid JSON"},"id":null,"jsonrpc":"2.0"}"#,
    );
    let (text, _) = failure(vec![text], "read", json!({})).await;
    assert_eq!(
        text,
        "[invalid_request] invalid JSON (code -32700) (POST /rpc thing.read); correct the arguments and call again"
    );
}

#[tokio::test]
async fn stacks_and_secrets_are_not_shown() {
    let error = r#"{"code":-32000,"message":"ENOENT: no file\n    at open (/opt/xo-proxy/index.mjs:1:2)","data":{"stack":"Error\n    at x (/opt/y.js:3:4)","code":"ENOENT","env":"PATH"}}"#;
    let (text, _) = failure(vec![refusal(error)], "read", json!({})).await;
    assert_eq!(
        text,
        "[internal] ENOENT: no file (code -32000) (POST /rpc thing.read); see what was done before you repeat the call"
    );
    let error = r#"{"code":-32000,"message":"invalid authentication token: my-new-t0ken"}"#;
    let (text, _) =
        failure(vec![refusal(error)], "write", json!({ "token": "my-new-t0ken" })).await;
    assert_eq!(
        text,
        "[internal] invalid authentication token: [REDACTED] (code -32000) (POST /rpc thing.write); see what was done before you repeat the call"
    );
    let error = format!(r#"{{"code":2,"message":"{TOKEN}"}}"#);
    let (text, _) = failure(vec![refusal(&error)], "read", json!({})).await;
    assert!(text.starts_with("[error] [REDACTED]"), "{text}");
}

#[tokio::test]
async fn http_errors_are_read_as_they_are() {
    let plain = |status, text: &str| {
        Answer::full(status, &[("Content-Type", "text/plain")], text.as_bytes())
    };
    let (text, _) = failure(vec![plain(401, "Unauthorized")], "read", json!({})).await;
    let told = "[unauthorized] HTTP 401: Unauthorized (POST /rpc thing.read)";
    assert!(text.starts_with(told), "{text}");
    let (text, _) = failure(vec![plain(405, "Method Not Allowed")], "read", json!({})).await;
    assert!(text.contains("HTTP 405: Method Not Allowed"), "{text}");
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    let (text, _) = failure(vec![result(7, "1")], "read", json!({})).await;
    assert!(text.contains("its id is 7, and that of the request is 1"), "{text}");
    let other = LIST.replace("\"id\":1", "\"id\":2") + "1\n";
    let (text, _) = failure(vec![Answer::json(200, &other)], "read", json!({})).await;
    assert!(text.contains("its id is 2"), "{text}");
    let page = Answer::full(200, &[("Content-Type", "text/html")], b"<html>Hello</html>");
    let (text, _) = failure(vec![page], "read", json!({})).await;
    assert!(text.contains("a web page (text/html) instead of JSON"), "{text}");
    for body in ["[1]", "{}", "\"x\"", r#"[{"id":1,"result":1}]"#] {
        let (text, _) = failure(vec![Answer::json(200, body)], "read", json!({})).await;
        assert!(text.contains("no valid JSON-RPC 2.0 answer"), "{text}");
    }
    let (text, _) = failure(vec![Answer::full(204, &[], b"")], "read", json!({})).await;
    assert!(text.contains("it is empty"), "{text}");
    // What a tool hides does not show in an error either.
    let (text, _) = failure(vec![Answer::json(200, "[\"hidden\"]")], "shaped", json!({})).await;
    assert!(!text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn only_what_reads_is_called_again() {
    let busy = || Answer::full(503, &[], b"");
    let upstream = Upstream::start(vec![busy(), busy(), result(1, "1")]).await;
    assert_eq!(bench(&upstream.url()).value("read", json!({})).await, json!(1));
    let ids: Vec<Value> = upstream.requests().iter().map(|it| body(it)["id"].clone()).collect();
    assert_eq!(ids, [1, 1, 1]);
    let (text, requests) = failure(vec![busy()], "write", json!({})).await;
    assert_eq!(requests, 1, "{text}");
    let (_, requests) =
        failure(vec![refusal(r#"{"code":-32000,"message":"x"}"#)], "read", json!({})).await;
    assert_eq!(requests, 1);
    let (_, requests) = failure(vec![Answer::Close(Vec::new())], "write", json!({})).await;
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_call_is_never_a_get() {
    let (text, requests) =
        failure(vec![Answer::redirect(303, "/api/other")], "read", json!({})).await;
    assert!(text.contains("redirect 303"), "{text}");
    assert_eq!(requests, 1);
    let answers = vec![Answer::redirect(307, "/api/other"), result(1, "1")];
    let upstream = Upstream::start(answers).await;
    assert_eq!(bench(&upstream.url()).value("read", json!({})).await, json!(1));
    assert!(upstream.requests()[1].starts_with("POST /api/other "));
}

#[tokio::test]
async fn a_renewed_cookie_is_used_from_then_on() {
    let renewed = Answer::full(
        200,
        &[
            ("Content-Type", "application/json"),
            ("Set-Cookie", "session=the-new-t0ken; Path=/; HttpOnly"),
        ],
        br#"{"id":1,"jsonrpc":"2.0","result":true}"#,
    );
    let upstream = Upstream::start(vec![renewed, result(2, "\"the-new-t0ken\"")]).await;
    let bench = bench(&upstream.url());
    bench.value("list", json!({})).await;
    assert_eq!(bench.value("list", json!({})).await, json!("[REDACTED]"));
    assert!(upstream.requests()[1].contains("cookie: session=the-new-t0ken\r\n"));
}

#[tokio::test]
async fn health_is_a_call() {
    for (answer, ok, error) in [
        (result(1, r#"{"number":1}"#), true, ""),
        (result(1, "{}"), false, "nothing at $.number"),
        (refusal(r#"{"code":-32000,"message":"no"}"#), false, "[internal] no"),
        (Answer::full(401, &[], b"Unauthorized"), false, "HTTP 401"),
    ] {
        let upstream = Upstream::start(vec![answer]).await;
        let report = bench(&upstream.url()).value("health", json!({})).await;
        assert_eq!(report["ok"], ok, "{report}");
        assert!(report["error"].as_str().unwrap_or_default().contains(error), "{report}");
        assert_eq!(body(&upstream.requests()[0])["method"], "system.version");
    }
}

#[tokio::test]
async fn a_call_can_begin_a_task() {
    let answers = vec![
        result(1, r#"{"task":"t1"}"#),
        result(2, r#"{"state":"on"}"#),
        result(3, r#"{"state":"done","result":[1,2]}"#),
    ];
    let upstream = Upstream::start(answers).await;
    assert_eq!(bench(&upstream.url()).value("start", json!({})).await, json!([1, 2]));
    let look = body(&upstream.requests()[2]);
    assert_eq!((&look["method"], &look["params"]), (&json!("thing.look"), &json!({ "id": "t1" })));
}

#[tokio::test]
async fn a_stream_is_collected_for_its_time() {
    let lines = chunked("application/json", &format!("{LIST}1\n \n2\n"));
    let upstream = Upstream::start(vec![Answer::Hang(lines)]).await;
    let bench = bench(&upstream.url());
    let outcome = bench.call("follow", json!({ "max_items": 2 })).await.unwrap();
    let AnswerPayload::Json(text) = outcome.payload else { panic!("{:?}", outcome.payload) };
    assert_eq!(text.as_str(), "[1,2]");
    assert!(outcome.notes[0].contains("stopped after 2 items"), "{:?}", outcome.notes);
    assert_eq!(upstream.requests().len(), 1);
}

/// Opens the stream of `follow`, which is more than a read.
async fn opened(upstream: &Upstream, hub: &StreamHub) -> Result<String, String> {
    let bench = bench(&upstream.url());
    let arguments = json!({ "open": true }).as_object().unwrap().clone();
    let call = bench.gate.check("follow", arguments).and_then(PendingCall::admit).unwrap();
    let handle = hub
        .open(&bench.executor, &call, StreamOwner::Anybody, &dadl_mcp::shares::ClientKey::only())
        .await;
    handle.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_list_can_stay_open_and_is_not_begun_again() {
    let lines = chunked("application/json", &format!("{LIST}1\n \n2\n"));
    let upstream = Upstream::start(vec![Answer::Close(lines)]).await;
    let hub = StreamHub::default();
    let handle = opened(&upstream, &hub).await.unwrap();
    let mut items = Vec::new();
    let reason = loop {
        let batch = hub.read(&handle, &StreamOwner::Anybody, Duration::from_secs(60), 9, 999).await;
        let batch = batch.unwrap();
        items.extend(batch.taken.items);
        if let StreamPhase::Ended { reason } = batch.phase {
            break reason;
        }
    };
    assert_eq!(items, ["1", "2"]);
    // What the call does would be done twice.
    assert!(reason.contains("not opened again"), "{reason}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn what_is_no_list_cannot_stay_open() {
    let hub = StreamHub::default();
    let error = r#"{"code":1,"message":"no such job"}"#;
    for (answer, expected) in [
        (refusal(error), "[not_found] no such job"),
        (result(1, "1"), "is no stream"),
        (result(2, "1"), "its id is 2"),
        (Answer::full(401, &[], b"Unauthorized"), "HTTP 401"),
    ] {
        let upstream = Upstream::start(vec![answer]).await;
        let said = opened(&upstream, &hub).await.unwrap_err();
        assert!(said.contains(expected), "{said}");
        assert_eq!(upstream.requests().len(), 1);
    }
}
