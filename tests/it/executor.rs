//! Calls against a backend that answers what the test says: what leaves, what comes back, and
//! which error a person or a model reads.

use std::{sync::Arc, time::Duration};

use dadl_mcp::{config::BackendSettings, outcome::AnswerPayload};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "s3cr3t-token-value";

const TOOLS: &str = api!(
    top: "requires: { features: [idempotency, redact] }",
    auth: r#"type: bearer, credential: fake_token, header_name: Cookie, prefix: "session=""#,
    backend: r#"
  defaults:
    errors:
      message_path: "$.error"
      retry_on: [503]
      terminal: [404]
      retry_strategy: { max_retries: 2, backoff: fixed, initial_delay: 1ms }
  tools:
    get: { method: GET, path: /things, access: read, description: "Things." }
    put: { method: PUT, path: /things, access: read, description: "Puts.", params: { name: { type: string, in: body } } }
    post: { method: POST, path: /things, access: read, description: "Posts.", params: { name: { type: string, in: body } } }
    wrapped: { method: GET, path: /things, access: read, description: "Wrapped.", response: { result_path: "$.data.items", max_items: 2 } }
    tokens: { method: GET, path: /things, access: read, description: "Tokens.", response: { redact: ["$[*].id"] } }
    pay: { method: POST, path: /payments, access: read, description: "Pays.", idempotency: { header: Idempotency-Key } }
    limited: { method: GET, path: /things, access: read, description: "Limited.", errors: { rate_limit: { header: X-Left, retry_after_header: X-Reset } } }
    paged:
      method: GET
      path: /things
      access: read
      description: "Paged."
      pagination: { strategy: offset, behavior: expose, request: { offset_param: offset, limit_param: limit, limit_default: 2 } }
    export: { method: GET, path: "/things/{id}.raw", access: read, description: "Exports.", params: { id: { type: string, in: path, required: true } }, response: { binary: true } }
    import: { method: POST, path: /import, access: read, description: "Imports.", content_type: application/octet-stream }
"#
);

/// Calls the tools of the fake backend at `url`.
fn bench(url: &str) -> Harness {
    bench_with(url, |_| {})
}

fn bench_with(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
    Harness::new(TOOLS, url, Fixed(Ok(TOKEN.to_owned())), change)
}

/// What a model reads when a call without arguments fails.
async fn failure(bench: &Harness, tool: &str) -> String {
    let error = bench.call(tool, json!({})).await.unwrap_err().for_model();
    assert!(!error.contains(TOKEN), "{error}");
    error
}

/// The error of `get` when the backend gives `answers`.
async fn error(answers: Vec<Answer>) -> (String, usize) {
    let upstream = Upstream::start(answers).await;
    let error = failure(&bench(&upstream.url()), "get").await;
    (error, upstream.requests().len())
}

#[tokio::test]
async fn a_request_carries_the_credential_and_only_what_was_asked_for() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let bench = bench(&upstream.url());
    bench.value("post", json!({ "name": "a" })).await;
    bench.value("get", json!({})).await;
    let requests = upstream.requests();
    assert!(requests[0].starts_with("POST /api/things HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains(&format!("cookie: session={TOKEN}\r\n")), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\n{\"name\":\"a\"}"), "{}", requests[0]);
    assert!(!requests[1].contains("content-type"), "{}", requests[1]);
}

#[test]
fn a_call_needs_no_connection_of_a_runtime_that_stands_still() {
    let api = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let upstream = api.block_on(Upstream::start(vec![Answer::json(200, "[1]")]));
    let bench = bench(&upstream.url());
    let [one, other] =
        [(); 2].map(|()| Builder::new_current_thread().enable_all().build().unwrap());
    for runtime in [&one, &other, &one, &other] {
        assert_eq!(runtime.block_on(bench.value("get", json!({}))), json!([1]));
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_missing_credential_sends_nothing() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let bench = Harness::new(
        TOOLS,
        &upstream.url(),
        Fixed(Err("set CREDENTIAL_FAKE_TOKEN".to_owned())),
        |_| {},
    );
    assert!(failure(&bench, "get").await.contains("CREDENTIAL_FAKE_TOKEN"));
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn redirects_keep_method_body_and_cookie_within_the_origin() {
    let answers = vec![Answer::redirect(307, "/api/things/7"), Answer::json(200, "[1]")];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url());
    assert_eq!(bench.value("post", json!({ "name": "a" })).await, json!([1]));
    let second = &upstream.requests()[1];
    assert!(second.starts_with("POST /api/things/7 "), "{second}");
    assert!(second.contains("cookie: session="), "{second}");
    assert!(second.ends_with("{\"name\":\"a\"}"), "{second}");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let (text, _) = error(vec![Answer::redirect(302, &other.url())]).await;
    assert!(text.contains(&format!("another origin, http://{}", other.address)), "{text}");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let there = |at: usize| Answer::redirect(302, ["/api/others", "/api/things"][at % 2]);
    let (text, requests) = error((0..12).map(there).collect()).await;
    assert!(text.contains("redirects without end"), "{text}");
    assert_eq!(requests, 11);
}

#[tokio::test]
async fn a_write_without_a_body_says_how_long_it_is() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let bench = bench(&upstream.url());
    for (tool, length) in [("put", true), ("post", true), ("pay", true), ("get", false)] {
        bench.call(tool, json!({})).await.unwrap();
        let request = upstream.take().remove(0).to_ascii_lowercase();
        let lengths = request.matches("\r\ncontent-length: 0\r\n").count();
        assert_eq!(lengths, usize::from(length), "{request}");
        assert!(!request.contains("\r\ncontent-type:"), "{request}");
    }
}

#[tokio::test]
async fn a_redirect_to_itself_is_an_error_with_its_status() {
    for location in ["/api/things", "#later"] {
        let (text, requests) = error(vec![Answer::redirect(302, location)]).await;
        assert!(text.contains("HTTP 302"), "{text}");
        assert_eq!(requests, 1, "asking once more brings the same");
    }
}

#[tokio::test]
async fn statuses_become_errors_in_the_words_of_the_api() {
    let (text, requests) = error(vec![Answer::json(404, r#"{"error":"no such thing"}"#)]).await;
    assert_eq!(
        text,
        "[not_found] HTTP 404: no such thing (GET /things); check the identifier: look it up with a \
         tool that lists"
    );
    assert_eq!(requests, 1);
    let page = Answer::full(500, &[("Content-Type", "text/html")], b"<html><h1>Oops</h1></html>");
    let (text, _) = error(vec![page]).await;
    assert_eq!(
        text,
        "[internal] HTTP 500: Oops (GET /things); see what was done before you repeat the call"
    );
    let leaky = Answer::json(401, &format!(r#"{{"error":"bad token {TOKEN}"}}"#));
    let (text, _) = error(vec![leaky]).await;
    assert_eq!(
        text,
        "[unauthorized] HTTP 401: bad token [REDACTED] (GET /things); only the operator can replace \
         the credential, with `dadl-mcp setup`"
    );
}

#[tokio::test]
async fn a_busy_backend_is_asked_again() {
    let busy = || Answer::json(503, r#"{"error":"busy"}"#);
    let upstream = Upstream::start(vec![busy(), busy(), Answer::json(200, "[]")]).await;
    let bench = bench(&upstream.url());
    assert_eq!(bench.value("get", json!({})).await, json!([]));
    let (text, requests) = error(vec![busy()]).await;
    assert_eq!(
        text,
        "[unavailable] HTTP 503: busy (GET /things) after 3 attempts; try again later"
    );
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn a_write_that_may_have_arrived_is_not_sent_again() {
    let upstream = Upstream::start(vec![Answer::json(503, "{}")]).await;
    failure(&bench(&upstream.url()), "post").await;
    assert_eq!(upstream.requests().len(), 1);
    let upstream = Upstream::start(vec![Answer::Close(Vec::new())]).await;
    let text = failure(&bench(&upstream.url()), "post").await;
    assert!(text.contains("the connection broke"), "{text}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_backend_that_is_down_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = failure(&bench(&format!("http://{free}/api")), "get").await;
    assert!(text.contains("backend \"fake\" did not answer GET /things: no connection"), "{text}");
    assert!(text.contains("3 attempts") && text.contains("doctor"), "{text}");
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[1,";
    let (text, _) = error(vec![Answer::Close(cut.to_vec())]).await;
    assert!(text.contains("the connection broke"), "{text}");
    let chunked =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n";
    let (text, _) = error(vec![Answer::Close(chunked.to_vec())]).await;
    assert!(text.contains("the connection broke"), "{text}");
    let (text, _) = error(vec![Answer::json(200, "[1,")]).await;
    assert!(text.contains("no valid JSON") && text.contains("[1,"), "{text}");
}

#[tokio::test]
async fn a_silent_backend_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[";
    for bytes in [b"".as_slice(), head] {
        let upstream = Upstream::start(vec![Answer::Hang(bytes.to_vec())]).await;
        let bench = bench_with(&upstream.url(), |settings| {
            settings.timeouts.read = Duration::from_millis(20);
        });
        let text = failure(&bench, "get").await;
        assert!(text.contains("read_timeout of 0.02 s passed"), "{text}");
        upstream.connection_closed().await;
    }
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new())]).await;
    let bench = bench_with(&upstream.url(), |settings| {
        settings.timeouts.call = Duration::from_millis(20);
    });
    let text = failure(&bench, "get").await;
    assert!(text.contains("timeout of 0.02 s passed"), "{text}");
    upstream.connection_closed().await;
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_not_read() {
    let announced =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n";
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    for head in [announced.as_slice(), endless] {
        let upstream = Upstream::start(vec![Answer::Endless(head.to_vec())]).await;
        let bench = bench_with(&upstream.url(), |settings| {
            settings.max_response_bytes = 1_000_000;
        });
        let text = failure(&bench, "get").await;
        assert!(text.contains("larger than 1000000 bytes (`max_response_size`"), "{text}");
        upstream.connection_closed().await;
    }
}

#[tokio::test]
async fn a_text_that_its_charset_makes_too_long_is_refused() {
    let body = vec![0x80; 400_000];
    for charset in ["windows-1252", "utf-8"] {
        let content_type = format!("text/plain; charset={charset}");
        let headers = [("Content-Type", content_type.as_str())];
        let upstream = Upstream::start(vec![Answer::full(200, &headers, &body)]).await;
        let bench = bench_with(&upstream.url(), |settings| {
            settings.max_response_bytes = 1_000_000;
        });
        let text = failure(&bench, "get").await;
        assert!(text.contains("in UTF-8 it has more than 1000000 bytes"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_unpacks_beyond_the_bound_is_not_unpacked() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..32 {
        std::io::Write::write_all(&mut packer, &vec![b' '; 1 << 20]).unwrap();
    }
    let packed = packer.finish().unwrap();
    assert!(packed.len() < 1_000_000);
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    // An error is read up to a bound of its own.
    for (status, expected) in
        [(200, "larger than 1000000 bytes (`max_response_size`"), (404, "[not_found] HTTP 404")]
    {
        let upstream = Upstream::start(vec![Answer::full(status, &headers, &packed)]).await;
        let bench = bench_with(&upstream.url(), |settings| {
            settings.max_response_bytes = 1_000_000;
        });
        let text = failure(&bench, "get").await;
        assert!(text.contains(expected), "{text}");
    }
    let broken = Answer::full(200, &headers, &packed[..1000]);
    let text = failure(&bench(&Upstream::start(vec![broken]).await.url()), "get").await;
    assert!(text.contains("backend \"fake\""), "{text}");
}

#[tokio::test]
async fn an_answer_in_an_encoding_that_nobody_asked_for_is_told() {
    for encoding in ["br", "zstd", "x-of-its-own"] {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", encoding)];
        let answer = Answer::full(200, &headers, b"\x8b\x02\x80{}\x03");
        let upstream = Upstream::start(vec![answer]).await;
        let text = failure(&bench(&upstream.url()), "get").await;
        assert!(text.contains(&format!("the body is encoded as \"{encoding}\"")), "{text}");
        let request = upstream.requests()[0].to_lowercase();
        assert!(request.contains("accept-encoding: gzip\r\n"), "{request}");
    }
    let headers = [("Content-Type", "application/json"), ("Content-Encoding", "identity")];
    let upstream = Upstream::start(vec![Answer::full(200, &headers, b"{}")]).await;
    bench(&upstream.url()).call("get", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_flood_of_headers_is_not_read() {
    let many: String = (0..100_000).map(|number| format!("X-{number}: a\r\n")).collect();
    let long = format!("X-A: {}\r\n", "a".repeat(10_000_000));
    for flood in [many, long] {
        let answer = format!("HTTP/1.1 200 OK\r\n{flood}Content-Length: 2\r\n\r\n{{}}");
        let upstream = Upstream::start(vec![Answer::Close(answer.into_bytes())]).await;
        let text = failure(&bench(&upstream.url()), "put").await;
        assert!(text.contains("backend \"fake\"") && text.contains("headers"), "{text}");
    }
    let endless = b"HTTP/1.1 200 OK\r\nX-A: ".to_vec();
    let upstream = Upstream::start(vec![Answer::Endless(endless)]).await;
    let text = failure(&bench(&upstream.url()), "put").await;
    assert!(text.contains("backend \"fake\"") && text.contains("headers"), "{text}");
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_redirect_into_the_network_of_the_host_is_not_followed() {
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://localhost:1/",
        "http://0.0.0.0/",
        "//169.254.169.254/",
        "file:///etc/passwd",
    ] {
        let (text, requests) = error(vec![Answer::redirect(302, target)]).await;
        assert!(text.contains("redirect") || text.contains("another origin"), "{target}: {text}");
        assert_eq!(requests, 1, "{target}");
    }
}

#[tokio::test]
async fn cancelling_a_call_closes_the_connection_and_keeps_no_file() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\nabc";
    for (tool, arguments) in [("get", json!({})), ("export", json!({ "id": "1" }))] {
        let upstream = Upstream::start(vec![Answer::Hang(head.to_vec())]).await;
        let bench = Arc::new(bench(&upstream.url()));
        let running = Arc::clone(&bench);
        let call = tokio::spawn(async move { running.call(tool, arguments).await });
        while upstream.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        upstream.connection_closed().await;
        assert_eq!(bench.files(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_binary_answer_becomes_a_file() {
    let answer = Answer::full(200, &[("Content-Type", "application/octet-stream")], b"hello");
    let upstream = Upstream::start(vec![answer]).await;
    let bench = bench(&upstream.url());
    let outcome = bench.call("export", json!({ "id": "../x" })).await.unwrap();
    let AnswerPayload::File(file) = outcome.payload else { panic!("no file") };
    assert_eq!(std::fs::read(&file.path).unwrap(), b"hello");
    assert_eq!(file.path.parent(), Some(bench.executor.files().directory()));
    assert_eq!(file.size, 5);
    assert!(file.path.to_string_lossy().ends_with("export-.._x.raw"), "{}", file.path.display());
    let request = &upstream.requests()[0];
    assert!(request.starts_with("GET /api/things/..%2Fx.raw "), "{request}");
    assert!(request.contains("accept-encoding: identity"), "{request}");
}

#[tokio::test]
async fn a_download_that_breaks_off_leaves_nothing() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 99\r\n\r\nabc";
    let upstream = Upstream::start(vec![Answer::Close(cut.to_vec())]).await;
    let bench = bench(&upstream.url());
    let text = failure(&bench, "get").await;
    assert!(text.contains("ended after 3 bytes"), "{text}");
    assert_eq!(bench.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_is_sent_with_its_length() {
    let upstream = Upstream::start(vec![Answer::json(201, r#"{"id":"1"}"#)]).await;
    let bench = bench(&upstream.url());
    std::fs::create_dir(bench.executor.files().directory()).unwrap();
    std::fs::write(bench.executor.files().directory().join("disk.raw"), "abc").unwrap();
    bench.value("import", json!({ "file": "disk.raw" })).await;
    let request = &upstream.requests()[0];
    assert!(request.contains("content-length: 3\r\n"), "{request}");
    assert!(request.contains("content-type: application/octet-stream\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nabc"), "{request}");
    let error = bench.call("import", json!({ "file": "../other" })).await.unwrap_err();
    assert!(error.for_model().contains("file \"../other\""), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn results_are_selected_and_bounded() {
    let answer = Answer::json(200, r#"{"data":{"items":[1,2,3]}}"#);
    let upstream = Upstream::start(vec![answer, Answer::json(200, "{}")]).await;
    let bench = bench(&upstream.url());
    let outcome = bench.call("wrapped", json!({})).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Json(text) if text.as_str() == "[1,2]"));
    assert!(outcome.notes[0].contains("first 2 of 3"), "{:?}", outcome.notes);
    let error = bench.call("wrapped", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("nothing at $.data.items"), "{error}");
}

#[tokio::test]
async fn a_full_page_says_how_to_get_the_next() {
    let answers = vec![Answer::json(200, "[1,2]"), Answer::json(200, "[3]")];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url());
    let outcome = bench.call("paged", json!({ "offset": 4 })).await.unwrap();
    let next = outcome.next.unwrap();
    assert_eq!(Value::Object(next.arguments.clone()), json!({ "offset": 6 }));
    assert_eq!((&*next.reason, outcome.notes.len()), ("there may be more", 0));
    let outcome = bench.call("paged", Value::Object(next.arguments)).await.unwrap();
    assert!(outcome.next.is_none() && outcome.notes.is_empty());
    let requests = upstream.requests();
    assert!(requests[0].starts_with("GET /api/things?offset=4&limit=2 "), "{}", requests[0]);
}

#[tokio::test]
async fn a_renewed_cookie_is_used_from_then_on() {
    let renewed = [("Content-Type", "application/json"), ("Set-Cookie", "session=fresh; Path=/")];
    let upstream = Upstream::start(vec![Answer::full(200, &renewed, b"{}")]).await;
    let bench = bench(&upstream.url());
    bench.value("get", json!({})).await;
    bench.value("get", json!({})).await;
    assert!(upstream.requests()[1].contains("cookie: session=fresh\r\n"));
}

#[tokio::test]
async fn empty_answers_and_web_pages_are_told_apart_from_data() {
    let page = Answer::full(200, &[("Content-Type", "text/html")], b"<html>login</html>");
    let upstream = Upstream::start(vec![Answer::full(204, &[], b""), page]).await;
    let bench = bench(&upstream.url());
    let empty = bench.call("get", json!({})).await.unwrap();
    assert!(matches!(empty.payload, AnswerPayload::Empty) && empty.status == 204);
    // Whether it is refused depends on what the tool declares (`media_types`).
    let page = bench.call("get", json!({})).await;
    let told = page.map_or_else(|error| error.for_model(), |page| page.notes.concat());
    assert!(told.contains("web page"), "{told}");
}

#[tokio::test]
async fn a_dry_run_shows_the_request_and_hides_the_credential() {
    let bench = bench("http://127.0.0.1:1/api");
    let Value::Object(arguments) = json!({ "name": "é" }) else { unreachable!() };
    let pending = bench.gate.check("post", arguments).unwrap();
    let shown = bench.executor.dry_run(&pending).unwrap().to_string();
    assert!(shown.starts_with("POST http://127.0.0.1:1/api/things\n"), "{shown}");
    assert!(shown.contains("{\"name\":\"é\"}"), "{shown}");
    assert!(shown.contains("Cookie: session=[REDACTED]") && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn redacted_values_are_hidden_or_nothing_is_shown() {
    let answers = vec![
        Answer::json(200, r#"[{"id":"live-secret","user":"ada"},{"user":"bob"}]"#),
        Answer::full(200, &[("Content-Type", "text/plain")], b"live-secret"),
        Answer::full(200, &[("Content-Type", "application/octet-stream")], b"live-secret"),
        Answer::full(200, &[("Content-Type", "application/x-ndjson")], b"{\"id\":\"live-secret\"}"),
    ];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url());
    let hidden = bench.value("tokens", json!({})).await;
    assert_eq!(hidden, json!([{ "id": "[REDACTED]", "user": "ada" }, { "user": "bob" }]));
    for _ in 0..2 {
        let text = failure(&bench, "tokens").await;
        assert!(text.contains("must be hidden") && !text.contains("live-secret"), "{text}");
    }
    assert_eq!(bench.files(), Vec::<String>::new());
    assert_eq!(bench.value("tokens", json!({})).await, json!([{ "id": "[REDACTED]" }]));
}

#[tokio::test]
async fn a_spent_rate_limit_holds_back_every_caller() {
    let spent = [("Content-Type", "application/json"), ("X-Left", "0"), ("X-Reset", "3600")];
    let past = [("Content-Type", "application/json"), ("X-Left", "0"), ("X-Reset", "1000000000")];
    let answers = vec![Answer::full(200, &past, b"[]"), Answer::full(200, &spent, b"[]")];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url());
    for _ in 0..2 {
        assert_eq!(bench.value("limited", json!({})).await, json!([]));
    }
    // Other tools of the same backend count as well.
    for tool in ["limited", "get"] {
        let text = failure(&bench, tool).await;
        assert!(text.contains("leaves no request for 3600 s"), "{text}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_idempotency_key_is_kept_over_retries_and_new_for_each_call() {
    let busy = || Answer::json(503, r#"{"error":"busy"}"#);
    let upstream = Upstream::start(vec![busy(), Answer::json(200, "{}")]).await;
    let bench = bench(&upstream.url());
    bench.value("pay", json!({})).await;
    bench.value("pay", json!({})).await;
    let keys: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| {
            let line = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            line.unwrap_or_else(|| panic!("{request}")).to_owned()
        })
        .collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert_eq!(keys[0].len(), 36);
}

#[tokio::test]
async fn a_delay_that_outlasts_the_call_is_told_and_not_waited_for() {
    let headers = [("Content-Type", "application/json"), ("Retry-After", "400")];
    let upstream = Upstream::start(vec![Answer::full(503, &headers, br#"{"error":"busy"}"#)]).await;
    let text = failure(&bench(&upstream.url()), "get").await;
    assert_eq!(text, "[unavailable] HTTP 503: busy (GET /things); retry after 400 s");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn as_many_connections_as_calls_stay_open() {
    let backend = Upstream::by_hand().await;
    let bench = bench(&backend.url());
    let answer = Answer::json(200, "[]");
    let calls = || futures_util::future::join_all((0..100).map(|_| bench.call("get", json!({}))));
    let accepted = async {
        let mut connections = Vec::new();
        while connections.len() < 100 {
            connections.push(backend.asked().await);
        }
        for connection in &mut connections {
            connection.answer(&answer).await;
        }
        connections
    };
    let (done, mut connections) = tokio::join!(calls(), accepted);
    assert!(done.iter().all(Result::is_ok));
    // What has been read goes back to the others that wait for a call.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let again = async {
        for connection in &mut connections {
            connection.next().await;
        }
        for connection in &mut connections {
            connection.answer(&answer).await;
        }
    };
    let (done, ()) = tokio::join!(calls(), again);
    assert!(done.iter().all(Result::is_ok));
}
