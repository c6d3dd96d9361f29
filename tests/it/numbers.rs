//! Numbers of servers that are far too large, negative, or none: each has a bound, and nothing waits
//! for one longer than its call may take.

use std::time::Duration;

use dadl_mcp::{
    executor::{CallContext, CallError, WaitBudget},
    http::error::SendErrorKind,
    live::{StreamHub, StreamOwner},
    outcome::AnswerPayload,
};
use serde_json::json;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(
    top: r#"
_dadl_mcp:
  tasks:
    only: [begin]
    started: { status: 202 }
    id: $.task
    watch: { tool: look, arguments: { task: "{task}" }, poll: [100ms] }
    state: { path: $.state, running: [RUNS], succeeded: [DONE], failed: [BAD] }
    progress: $.progress
    max_wait: 3h"#,
    name: "numbers",
    auth: "type: bearer, credential: token",
    backend: r#"
  defaults:
    errors:
      format: json
      message_path: $.message
      retry_on: [429, 503]
      retry_strategy: { max_retries: 3, backoff: fixed, initial_delay: 1ms }
      rate_limit: { header: X-Remaining, retry_after_header: X-Reset }
  tools:
    get: { method: GET, path: /get, access: read, description: "Gets." }
    list: { method: GET, path: /list, access: read, description: "Lists.", params: { page: { type: integer, in: query } }, pagination: { strategy: page, behavior: auto, request: { page_param: page }, response: { total_pages_header: X-Pages, total_count_header: X-Total }, max_pages: 3 } }
    events: { method: GET, path: /events, access: read, description: "Events.", response: { streaming: true } }
    save: { method: GET, path: /save, access: read, description: "Saves.", response: { binary: true } }
    begin: { method: POST, path: /begin, access: write, description: "Begins." }
    look: { method: GET, path: "/tasks/{task}", access: read, description: "Looks.", params: { task: { type: string, in: path, required: true } } }
"#
);

fn bench(upstream: &Upstream) -> Harness {
    Harness::new(TOOLS, &upstream.url(), Fixed(Ok("t0ken-of-the-numbers".into())), |_| {})
}

/// What no server should write where it writes how long to wait.
const DELAYS: &[&str] = &[
    "9999999999999",
    "18446744073709551615",
    "99999999999999999999999999",
    "1e300",
    "1e19",
    "999999999",
    "Fri, 31 Dec 9999 23:59:59 GMT",
];

#[tokio::test]
async fn a_delay_of_centuries_ends_the_call_at_once() {
    for status in [429, 503] {
        for delay in DELAYS {
            let answer = Answer::full(status, &[("Retry-After", delay)], b"{}");
            let upstream = Upstream::start(vec![answer]).await;
            let error = bench(&upstream).call("get", json!({})).await.unwrap_err();
            let CallError::Api(error) = error else { panic!("{delay}: {error}") };
            assert_eq!(error.attempts, 1, "{delay}");
            let asked = error.retry_after.unwrap();
            assert_eq!(asked, Duration::from_secs(31 * 24 * 3600), "{delay}");
            assert!(error.to_string().ends_with("; retry after 2678400 s"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_delay_that_is_none_or_over_holds_nobody_up() {
    for delay in
        ["-1", "NaN", "inf", "-9999999999999", "soon", "", "0", "Thu, 01 Jan 1970 00:00:00 GMT"]
    {
        let answer = Answer::full(503, &[("Retry-After", delay)], b"{}");
        let good = Answer::json(200, "[7]");
        let upstream = Upstream::start(vec![answer.clone(), answer, good]).await;
        assert_eq!(bench(&upstream).value("get", json!({})).await, json!([7]), "{delay}");
    }
}

#[tokio::test]
async fn a_rate_limit_without_end_is_told_and_bounded() {
    for delay in DELAYS {
        let headers = [("X-Remaining", "0"), ("X-Reset", *delay)];
        let upstream = Upstream::start(vec![Answer::full(200, &headers, b"[1]")]).await;
        let bench = bench(&upstream);
        bench.call("get", json!({})).await.unwrap();
        let error = bench.call("get", json!({})).await.unwrap_err();
        let CallError::Send(error) = error else { panic!("{delay}: {error}") };
        let SendErrorKind::RateLimited { wait } = error.kind else { panic!("{delay}: {error}") };
        assert!(wait <= Duration::from_secs(3600), "{delay}: {wait:?}");
        assert_eq!(upstream.requests().len(), 1, "{delay}");
    }
    for remaining in ["-1", "NaN", "1e9", "18446744073709551616", ""] {
        let headers = [("X-Remaining", remaining), ("X-Reset", "9999999999999")];
        let upstream = Upstream::start(vec![Answer::full(200, &headers, b"[1]")]).await;
        let bench = bench(&upstream);
        bench.call("get", json!({})).await.unwrap();
        bench.call("get", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn pages_and_totals_of_any_size_end() {
    for number in ["18446744073709551615", "99999999999999999999", "-1", "NaN", "1e18", "0"] {
        let headers =
            [("Content-Type", "application/json"), ("X-Pages", number), ("X-Total", number)];
        let pages = [&b"[1]"[..], b"[2]", b"[3]", b"[4]"];
        let pages = pages.map(|page| Answer::full(200, &headers, page)).to_vec();
        let upstream = Upstream::start(pages).await;
        let items = bench(&upstream).value("list", json!({})).await;
        assert!(items.as_array().unwrap().len() <= 3, "{number}: {items}");
        let page = json!({ "page": i64::MAX });
        bench(&upstream).call("list", page).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_comes_again_after_a_bounded_pause() {
    for retry in ["0", "00000000000000000000001", "-1", "1e9", "NaN"] {
        let events = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\
             retry: {retry}\ndata: 1\n\n"
        );
        let upstream = Upstream::start(vec![Answer::Close(events.into_bytes())]).await;
        let bench = bench(&upstream);
        let arguments = json!({ "open": true }).as_object().unwrap().clone();
        let call = bench.gate.check("events", arguments).unwrap().admit().unwrap();
        let (hub, owner) = (StreamHub::default(), StreamOwner::Session(String::new()));
        let stream = hub
            .open(&bench.executor, &call, owner.clone(), &dadl_mcp::shares::ClientKey::only())
            .await
            .unwrap();
        let mut seen = 0;
        while seen < 2 {
            let wait = Duration::from_secs(300);
            let batch = hub.read(&stream, &owner, wait, 100, 1_000_000).await.unwrap();
            seen += batch.taken.items.iter().filter(|item| item.contains("message")).count();
        }
    }
}

/// What a server says about the length of what is missing, which it sends as it is.
#[tokio::test]
async fn a_rest_whose_lengths_contradict_each_other_is_not_taken() {
    let whole = vec![b'x'; 2 * 1024 * 1024];
    let head = |status: &str, length: u64, more: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nETag: \"v1\"\r\n\
             Accept-Ranges: bytes\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    };
    let (start, rest) = whole.split_at(1024 * 1024);
    let size = whole.len() as u64;
    for (length, range) in [
        (u64::MAX - 2, format!("bytes 1048576-2097151/{size}")),
        (rest.len() as u64, format!("bytes 1048576-18446744073709551615/{size}")),
        (rest.len() as u64, "bytes 1048576-18446744073709551615/*".to_owned()),
        (rest.len() as u64, "bytes 99999999999999999999-2097151/*".to_owned()),
    ] {
        let broken = [head("200 OK", size, "").as_bytes(), start].concat();
        let range = format!("Content-Range: {range}\r\nConnection: close\r\n");
        let odd = [head("206 Partial Content", length, &range).as_bytes(), rest].concat();
        let good = [head("200 OK", size, "").as_bytes(), &whole].concat();
        let answers = vec![Answer::Close(broken), Answer::Close(odd), Answer::Bytes(good)];
        let upstream = Upstream::start(answers).await;
        let bench = bench(&upstream);
        let error = bench.call("save", json!({})).await.unwrap_err().to_string();
        assert!(error.contains("another part than the one from byte"), "{range}: {error}");
        let outcome = bench.call("save", json!({})).await.unwrap();
        let AnswerPayload::File(file) = outcome.payload else { panic!("{outcome:?}") };
        assert_eq!(file.size, size, "{range}");
    }
}

#[tokio::test]
async fn a_length_that_no_disk_has_is_refused_before_a_byte_is_written() {
    for length in [u64::MAX - 2, i64::MAX as u64 + 1, i64::MAX as u64] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
        );
        let upstream = Upstream::start(vec![Answer::Hang(head.into_bytes())]).await;
        let bench = bench(&upstream);
        let save = || bench.call("save", json!({}));
        let (first, second) = tokio::join!(save(), save());
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert!(matches!(error, CallError::File(_)), "{length}: {error}");
        }
        assert_eq!(bench.files(), Vec::<String>::new());
        // An answer that is read into memory is refused by its length as well.
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n["
        );
        let upstream = Upstream::start(vec![Answer::Hang(head.into_bytes())]).await;
        let error = self::bench(&upstream).call("get", json!({})).await.unwrap_err();
        assert!(matches!(error, CallError::TooLarge { .. }), "{length}: {error}");
    }
    for length in ["18446744073709551616", "-1", "1e3", "0x10", "5, 6"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n[1]"
        );
        let upstream = Upstream::start(vec![Answer::Close(head.into_bytes())]).await;
        let error = bench(&upstream).call("get", json!({})).await.unwrap_err();
        assert!(error.is_unreachable(), "{length}: {error}");
    }
}

#[tokio::test]
async fn odd_statuses_are_errors_with_a_number() {
    for status in [400, 418, 499, 599, 600, 999] {
        let upstream = Upstream::start(vec![Answer::json(status, r#"{"message": "odd"}"#)]).await;
        let error = bench(&upstream).call("get", json!({})).await.unwrap_err();
        let CallError::Api(error) = error else { panic!("{status}: {error}") };
        assert_eq!((error.status, error.message.as_str()), (status, "odd"));
    }
    for status in ["0", "99", "1000", "-200", "20", "2e2", "NaN"] {
        let head = format!("HTTP/1.1 {status} Odd\r\nContent-Length: 3\r\n\r\n[1]");
        let upstream = Upstream::start(vec![Answer::Close(head.into_bytes())]).await;
        let error = bench(&upstream).call("get", json!({})).await.unwrap_err();
        assert!(error.is_unreachable(), "{status}: {error}");
    }
    // However often a server says that it will say something.
    let mut flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(5_000);
    flood.push_str("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    flood.push_str(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]",
    );
    let upstream = Upstream::start(vec![Answer::Bytes(flood.into_bytes())]).await;
    assert_eq!(bench(&upstream).value("get", json!({})).await, json!([1]));
}

#[tokio::test]
async fn chunks_of_any_size_are_bounded() {
    for chunk in ["ffffffffffffffff", "fffffffffffffffff", "7fffffffffffffff", "-1", "1e3"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             {chunk}\r\n[1]\r\n0\r\n\r\n"
        );
        let upstream = Upstream::start(vec![Answer::Close(answer.into_bytes())]).await;
        bench(&upstream).call("get", json!({})).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_task_is_as_far_as_it_can_be() {
    for (progress, expected) in [
        (json!(1e300), Some(100.0)),
        (json!(101), Some(100.0)),
        (json!(-5), Some(0.0)),
        (json!("NaN"), None),
        (json!("inf"), None),
        (json!("99999999999999999999%"), Some(100.0)),
        (json!({}), None),
    ] {
        let look = json!({ "state": "RUNS", "progress": progress }).to_string();
        let begun = Answer::json(202, r#"{"task": "7"}"#);
        let upstream = Upstream::start(vec![begun, Answer::json(200, &look)]).await;
        let bench = bench(&upstream);
        // However long a caller says that it waits.
        let arguments = json!({ "wait": 0 }).as_object().unwrap().clone();
        let call = bench.gate.check("begin", arguments).unwrap().admit().unwrap();
        bench.executor.execute(call, &CallContext::default()).await.unwrap();
        let handle = "numbers:begin:7".parse().unwrap();
        let right = bench.gate.check_task(&handle).unwrap();
        let context = CallContext::default().waiting(WaitBudget::For(Duration::ZERO));
        let outcome = bench.executor.watch_task(&right, &context).await.unwrap();
        let AnswerPayload::Task(report) = outcome.payload else { panic!("{outcome:?}") };
        assert_eq!(report.glimpse.unwrap().percent, expected, "{progress}");
    }
}

#[tokio::test]
async fn a_wait_of_any_length_ends_with_its_task() {
    let done = Answer::json(200, r#"{"state": "DONE"}"#);
    // A look that failed says how long to wait; the next one is not put off for a month.
    let begun = Answer::json(202, r#"{"task": "7"}"#);
    let upstream = Upstream::start(vec![begun, done]).await;
    let bench = bench(&upstream);
    let outcome = bench.call("begin", json!({ "wait": i64::MAX })).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Task(_)), "{outcome:?}");
}

#[tokio::test]
async fn json_rpc_codes_and_ids_of_any_size_are_told() {
    let descriptor = api!(
        name: "rpc",
        kind: "jsonrpc",
        auth: "type: bearer, credential: rpc_token",
        backend: r#"
  jsonrpc: { path: /rpc }
  tools:
    list: { rpc_method: things.list, access: read, description: "Lists." }
"#
    );
    let token = || Fixed(Ok("t0ken-of-the-rpc".into()));
    for code in
        ["9223372036854775807", "-9223372036854775808", "99999999999999999999", "1e300", "1.5"]
    {
        let body = format!(
            r#"{{"jsonrpc": "2.0", "id": null, "error": {{"code": {code}, "message": "odd"}}}}"#
        );
        let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
        let bench = Harness::new(descriptor, &upstream.url(), token(), |_| {});
        let error = bench.call("list", json!({})).await.unwrap_err();
        let CallError::Api(error) = error else { panic!("{code}: {error}") };
        assert!(error.message.contains("odd"), "{code}: {error}");
    }
    for id in ["18446744073709551616", "1e300", "-1", "1.0"] {
        let body = format!(r#"{{"jsonrpc": "2.0", "id": {id}, "result": 1}}"#);
        let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
        let bench = Harness::new(descriptor, &upstream.url(), token(), |_| {});
        let error = bench.call("list", json!({})).await.unwrap_err().to_string();
        assert!(error.contains("its id is"), "{id}: {error}");
    }
}

/// Numbers of settings have the bounds of those of descriptors.
#[test]
fn durations_of_settings_have_a_bound() {
    let home = tempfile::tempdir().unwrap();
    let run = |timeout: &str| {
        let text = format!(
            "backends:\n  - name: xo\n    dadl: xen-orchestra\n    url: http://127.0.0.1:1/rest/v0\n    options: {{ timeout: {timeout} }}\n"
        );
        std::fs::write(home.path().join("b.yaml"), text).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(["call", "list_vms", "--config", "b.yaml"])
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "any")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for timeout in ["9999999d", "99999999999999999d", "36500d1ms"] {
        let (code, said) = run(timeout);
        assert_eq!(code, Some(3), "{timeout}: {said}");
        assert!(said.contains("`timeout` is not a duration"), "{timeout}: {said}");
    }
    let (code, said) = run("36500d");
    assert_eq!(code, Some(6), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
