//! Answers in bad faith: small on the wire, large as text, and many times larger as a tree.

use std::io::Write as _;

use dadl_mcp::{
    config::{BackendSettings, OperatorLimits},
    executor::CallError,
    outcome::AnswerPayload,
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_tools},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(top: "requires: { features: [redact] }", backend: r#"
  defaults:
    errors: { message_path: "$.error" }
  tools:
    plain: { method: GET, path: /x, access: read, description: "Plain." }
    redacted: { method: GET, path: /x, access: read, description: "Redacted.", response: { redact: ["$[*].password", "$..token"] } }
    masked: { method: GET, path: /x, access: read, description: "Masked.", response: { redact: ["$[*]"] } }
    selected: { method: GET, path: /x, access: read, description: "Selected.", response: { result_path: "$[*].a" } }
    deep: { method: GET, path: /x, access: read, description: "Deep.", response: { result_path: "$..*..*..*" } }
    last: { method: GET, path: /x, access: read, description: "Last.", response: { result_path: "$..[-1]" } }
    judged: { method: GET, path: /x, access: read, description: "Judged.", response: { result_path: "$..[?@.a == 1]" } }
    first: { method: GET, path: /x, access: read, description: "First.", response: { max_items: 2 } }
    paged:
      method: GET
      path: /x
      access: read
      description: "Paged."
      pagination: { strategy: cursor, behavior: auto, max_pages: 3, request: { cursor_param: cursor }, response: { next_cursor: "$[0].next", has_more: "$[0].more" } }
"#);

const ALL: &[&str] =
    &["plain", "redacted", "masked", "selected", "deep", "last", "judged", "first", "paged"];

/// Bodies of about `size` bytes in which each value takes little, or too much, of the text.
fn shapes(size: usize) -> Vec<(&'static str, String)> {
    let row =
        |item: &str| format!("[{}{item}]", format!("{item},").repeat(size / (item.len() + 1)));
    let nest =
        |open: &str, close: &str, levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
    let keys: Vec<String> = (0..size / 12).map(|number| format!("\"k{number:06}\":0")).collect();
    vec![
        ("empty arrays", row("[]")),
        ("empty objects", row("{}")),
        ("small objects", row(r#"{"":{}}"#)),
        ("numbers", row("0")),
        ("short lists", row("[0]")),
        ("nested", row(&nest("[", "]", 100))),
        ("nested objects", row(&nest(r#"{"a":"#, "}", 100))),
        ("too deep", nest("[", "]", size / 2)),
        ("many names", format!("{{{}}}", keys.join(","))),
        ("one name", format!("{{{}\"a\":1}}", "\"a\":[1],".repeat(size / 8))),
        ("a long string", format!("[\"{}\"]", "x".repeat(size))),
        ("escapes", format!("[\"{}\"]", "\\u0061\\n".repeat(size / 8))),
        ("passwords", row(r#"{"password":"","a":1}"#)),
        ("cut off", "[[],".repeat(size / 4)),
    ]
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body).unwrap();
    packer.finish().unwrap()
}

fn bomb(content_type: &str, body: &str) -> Answer {
    let headers = [("Content-Type", content_type), ("Content-Encoding", "gzip")];
    Answer::full(200, &headers, &packed(body.as_bytes()))
}

fn bench(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
    Harness::new(TOOLS, url, Fixed(Ok("t0ken-of-the-test".to_owned())), change)
}

#[tokio::test]
async fn any_shape_gives_a_result_or_a_typed_error_and_the_memory_back() {
    const SIZE: usize = 40_000;
    for (shape, body) in shapes(SIZE) {
        for content_type in ["application/json", "application/x-ndjson", "text/html"] {
            let upstream = Upstream::start(vec![bomb(content_type, &body)]).await;
            let bench = bench(&upstream.url(), |settings| {
                settings.max_response_bytes = 3 * SIZE as u64;
            });
            for tool in ALL {
                let called = bench.call(tool, json!({})).await;
                match &called {
                    Ok(outcome) => {
                        let held = bench.executor.bytes_in_memory();
                        let size = match &outcome.payload {
                            AnswerPayload::Json(text) => text.as_str().len(),
                            AnswerPayload::Text { text, .. } => text.len(),
                            _ => 0,
                        };
                        assert!(held >= size as u64, "{shape}, {tool}: {held} of {size}");
                        assert!(size <= 3 * SIZE, "{shape}, {tool}: {size}");
                    }
                    Err(
                        CallError::Decode { .. }
                        | CallError::MediaType(_)
                        | CallError::Path { .. }
                        | CallError::Redaction { .. }
                        | CallError::ResultPath { .. }
                        | CallError::TooLarge { .. }
                        | CallError::Page { .. },
                    ) => {}
                    Err(error) => panic!("{shape}, {tool}: {error}"),
                }
                drop(called);
                assert_eq!(bench.executor.bytes_in_memory(), 0, "{shape}, {tool}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_gives_each_value_once_however_many_ways_lead_there() {
    let body = r#"{"a":{"b":[{"c":[1,2,{"d":[3,{"e":4}]}]},{"c":[5,{"f":[6,[7,[8,[9]]]]}]}]},"g":[[[[[[10]]]]]]}"#;
    let upstream = Upstream::start(vec![Answer::json(200, body)]).await;
    let bench = bench(&upstream.url(), |_| {});
    let found = bench.value("deep", json!({})).await;
    let found = found.as_array().unwrap();
    assert!(found.contains(&json!(10)) && found.contains(&json!([9])), "{found:?}");
    assert!(found.len() < body.len());
}

#[tokio::test]
async fn a_path_that_takes_too_long_says_which_one_of_which_tool() {
    let nested = format!("{}{}0{}", "[".repeat(120), "[],".repeat(20_000), "]".repeat(120));
    let upstream = Upstream::start(vec![Answer::json(200, &nested)]).await;
    let bench = bench(&upstream.url(), |_| {});
    for (tool, path) in [("last", "$..[-1]"), ("judged", "$..[?@.a == 1]")] {
        let error = bench.call(tool, json!({})).await.unwrap_err().for_model();
        let expected = format!("`result_path` of `{tool}` ({path}) cannot be followed: ");
        assert!(error.contains(&expected) && error.contains("too many steps"), "{error}");
    }
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let upstream = Upstream::start(vec![Answer::json(200, &deep)]).await;
    let bench = self::bench(&upstream.url(), |_| {});
    let error = bench.call("redacted", json!({})).await.unwrap_err().to_string();
    assert!(
        error.contains("(`$[*].password, $..token`)")
            || error.contains("nested more than 128 deep"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_mask_adds_counts() {
    let zeros = format!("[{}0]", "0,".repeat(1_000));
    let upstream = Upstream::start(vec![Answer::json(200, &zeros)]).await;
    let small = bench(&upstream.url(), |settings| settings.max_response_bytes = 4_000);
    let error = small.call("masked", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::Path { key: "redact", .. }), "{error}");
    let mut large = bench(&upstream.url(), |_| {});
    large.executor = large
        .executor
        .clone()
        .with_limits(OperatorLimits { memory: 4_000, ..OperatorLimits::default() });
    let error = large.call("masked", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::Crowded { limit: 4_000, .. }), "{error}");
    assert_eq!(large.executor.bytes_in_memory(), 0);
    let whole = bench(&upstream.url(), |_| {});
    let masked = whole.value("masked", json!({})).await;
    assert_eq!(masked.as_array().unwrap().len(), 1_001);
}

#[tokio::test]
async fn a_result_counts_until_nobody_has_it() {
    let body = json!(["x".repeat(3_000)]).to_string();
    let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
    let mut bench = bench(&upstream.url(), |_| {});
    let limits = OperatorLimits { memory: 2 * body.len() as u64, ..OperatorLimits::default() };
    bench.executor = bench.executor.clone().with_limits(limits);
    let one = bench.call("plain", json!({})).await.unwrap();
    let two = bench.call("redacted", json!({})).await.unwrap();
    let error = bench.call("plain", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::Crowded { .. }), "{error}");
    drop((one, two));
    bench.call("plain", json!({})).await.unwrap();
}

#[tokio::test]
async fn an_honest_list_of_ten_megabytes_is_selected_and_redacted() {
    let tools = TOOLS.replace(
        "result_path: \"$[*].a\"",
        "result_path: \"$.data[*]\", redact: [\"$[*].password\"]",
    );
    let item = |number| {
        format!(
            r#"{{"id":"vm-{number:08}","name":"machine {number}","memory":{number}.5,"tags":["a","b"],"password":"hunter2"}}"#
        )
    };
    let items: Vec<String> = (0..120_000).map(item).collect();
    let body = format!(r#"{{"data": [{}]}}"#, items.join(", "));
    assert!(body.len() > 10_000_000);
    let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
    let bench =
        Harness::new(&tools, &upstream.url(), Fixed(Ok("t0ken-of-the-test".into())), |_| {});
    let outcome = bench.call("selected", json!({})).await.unwrap();
    let AnswerPayload::Json(text) = outcome.payload else { panic!() };
    let expected = items.join(",").replace("hunter2", "[REDACTED]");
    assert!(text.as_str() == format!("[{expected}]"));
}

/// The process may have so much memory, in KiB: less than one tree would take.
#[cfg(target_os = "linux")]
const MEMORY: u32 = 640 * 1024;

/// Calls a tool with the program itself, in a process that may not have much memory.
#[cfg(target_os = "linux")]
fn call_within(descriptor: &std::path::Path, url: &str, tool: &str) -> String {
    let program = env!("CARGO_BIN_EXE_dadl-mcp");
    let script = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let output = std::process::Command::new("sh")
        .args(["-c", &script, program, "call", tool, "--dadl"])
        .arg(descriptor)
        .args(["--url", url])
        .env_clear()
        .env("HOME", descriptor.parent().unwrap())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0..=9)), "{tool}: {:?}: {err}", output.status);
    assert!(!err.contains("memory allocation"), "{tool}: {err}");
    err + &String::from_utf8_lossy(output.stdout.get(..400).unwrap_or(&output.stdout))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_small_body_that_grows_does_not_fill_the_memory() {
    const SIZE: usize = 10_000_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fake.dadl");
    std::fs::write(&file, TOOLS).unwrap();
    let body = format!("[{}0]", "{\"\":{}},".repeat(SIZE / 8));
    let upstream = Upstream::start(vec![bomb("application/json", &body)]).await;
    let url = upstream.url();
    let call = move |tool: &'static str| {
        let (file, url) = (file.clone(), url.clone());
        tokio::task::spawn_blocking(move || call_within(&file, &url, tool))
    };
    for tool in ["redacted", "paged"] {
        let said = call(tool).await.unwrap();
        assert!(!said.is_empty(), "{tool}");
    }
}

/// Several such calls and a ping of one session, on threads that all could be busy with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_answered_beside_large_answers() {
    let body = format!("[{}[]]", "[],".repeat(200_000));
    let upstream = Upstream::start(vec![bomb("application/json", &body)]).await;
    let served = serve_tools(TOOLS, &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    for id in 1..5 {
        client.start(id, "tools/call", json!({ "name": "redacted", "arguments": {} })).await;
    }
    client.start(5, "ping", json!({})).await;
    let mut answered = Vec::new();
    for _ in 0..5 {
        let answer = client.receive().await;
        assert!(answer["error"].is_null(), "{answer}");
        answered.push(answer["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_host_gets_no_tree_of_a_small_text_with_a_large_one() {
    let body = format!("[{}[]]", "[[]],".repeat(30_000));
    let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
    let mut served = serve_tools(TOOLS, &upstream.url(), |_| {});
    served.server = served.server.with_most_chars(1_000_000);
    let mut client = Client::legacy(served, json!({})).await;
    let result = client.call(1, "plain", json!({})).await;
    assert_eq!(result["result"]["content"][0]["text"], body);
    assert_eq!(result["result"]["structuredContent"], Value::Null);
}
