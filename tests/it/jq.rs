//! jq programs of authors and callers: what they get, what they give, and what stops them.

use std::time::Duration;

use dadl_mcp::worker::{FilterError, FilterPool};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure as mcp_failure, serve_tools, text},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(
    top: "requires: { features: [redact] }",
    auth: "type: bearer, credential: fake_token",
    backend: r#"
  tools:
    shaped:
      method: GET
      path: /things
      access: read
      description: "Things."
      response: { result_path: "$.data.items", transform: "map({id, name: .n, key})", redact: ["$[*].key"], allow_jq_override: true, max_items: 2 }
    hiding: { method: GET, path: /things, access: read, description: "Hiding.", response: { transform: ".[0].key | error", redact: ["$.key"] } }
    failing: { method: GET, path: /things, access: read, description: "Failing.", response: { transform: ".a.b" } }
    plain: { method: GET, path: /things, access: read, description: "Plain.", response: { allow_jq_override: true } }
    named:
      method: GET
      path: /things
      access: read
      description: "Named."
      params: { jq: { type: string, in: query } }
      response: { allow_jq_override: true }
    export: { method: GET, path: /things, access: read, description: "Exports.", response: { binary: true, allow_jq_override: true } }
    write: { method: POST, path: /things, access: read, description: "Writes.", response: { allow_jq_override: true } }
"#
);

async fn bench(answer: Answer) -> (Harness, Upstream) {
    let upstream = Upstream::start(vec![answer]).await;
    (Harness::new(TOOLS, &upstream.url(), Fixed(Ok("t0ken-t0ken".to_owned())), |_| {}), upstream)
}

/// What `tool` gives for `arguments` when the backend answers `body`.
async fn value(body: &str, tool: &str, arguments: Value) -> Value {
    bench(Answer::json(200, body)).await.0.value(tool, arguments).await
}

async fn failure(body: &str, tool: &str, arguments: Value) -> String {
    let (bench, _upstream) = bench(Answer::json(200, body)).await;
    bench.call(tool, arguments).await.unwrap_err().for_model()
}

const THINGS: &str = r#"{"data":{"items":[
    {"n":"a","id":9007199254740993,"key":"k-1"},
    {"n":"b","id":123456789012345678901234567890,"key":"k-2"},
    {"n":"c","id":3,"key":"k-3"}]}}"#;

#[tokio::test]
async fn each_stage_sees_what_the_one_before_made() {
    let all = value(THINGS, "shaped", json!({})).await;
    let first = json!([
        {"id": 9_007_199_254_740_993_u64, "name": "a", "key": "[REDACTED]"},
    ]);
    assert_eq!(all[0], first[0]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    // The caller's program runs before the list is cut, and after it is redacted.
    let jq = |program: &str| json!({ "jq": program });
    assert_eq!(value(THINGS, "shaped", jq("length")).await, json!(3));
    assert_eq!(value(THINGS, "shaped", jq(".[2].key")).await, json!("[REDACTED]"));
    assert_eq!(value(THINGS, "shaped", jq(".[]|.name")).await, json!(["a", "b"]));
    assert_eq!(value(THINGS, "shaped", jq("empty")).await, Value::Null);
    assert_eq!(value(THINGS, "shaped", jq("  ")).await, all);
}

#[tokio::test]
async fn numbers_and_members_stay_as_they_came() {
    let body = r#"[{"z":1,"id":123456789012345678901234567890,"a":1.10}]"#;
    let (bench, _upstream) = bench(Answer::json(200, body)).await;
    let text = |outcome: dadl_mcp::outcome::CallOutcome| match outcome.payload {
        dadl_mcp::outcome::AnswerPayload::Json(text) => text.into_string(),
        other => panic!("{other:?}"),
    };
    let same = bench.call("plain", json!({ "jq": "map(.)" })).await.unwrap();
    assert_eq!(text(same), body);
    let ids = bench.call("plain", json!({ "jq": "map(.id)" })).await.unwrap();
    assert_eq!(text(ids), "[123456789012345678901234567890]");
}

#[tokio::test]
async fn a_transform_that_fails_shows_no_raw_body() {
    let error = failure(r#"["raw-body"]"#, "failing", json!({})).await;
    assert!(error.contains("GET /things") && error.contains("`transform` failed"), "{error}");
    let error = failure(r#"[{"key":"s3cr3t-key"}]"#, "hiding", json!({})).await;
    assert!(error.contains("`transform` failed: its message is not shown"), "{error}");
    assert!(!error.contains("s3cr3t-key"), "{error}");
}

#[tokio::test]
async fn a_caller_reads_what_was_wrong_with_its_filter() {
    let error = failure(r#"{"a":"x"}"#, "plain", json!({ "jq": ".a.b" })).await;
    assert_eq!(
        error,
        "the answer to GET /things arrived, but the jq filter failed: cannot index \"x\" with \"b\""
    );
}

#[tokio::test]
async fn a_filter_that_is_no_program_sends_nothing() {
    let (bench, upstream) = bench(Answer::json(200, "{}")).await;
    for (program, reason) in [
        ("map(.a", "is not a jq program: closing parenthesis expected, but the program ends"),
        ("input", "`input` cannot be used"),
        ("foo", "`foo/0` is not defined"),
        ("import \"a\" as a; .", "modules do not exist here"),
    ] {
        let error = bench.call("write", json!({ "jq": program })).await.unwrap_err().for_model();
        assert!(error.starts_with("nothing was sent: the argument `jq` "), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let Value::Object(long) = json!({ "jq": "1,".repeat(9000) }) else { unreachable!() };
    let error = bench.gate.check("write", long).unwrap_err().to_string();
    assert!(error.contains("`jq` is longer than 16384 bytes"), "{error}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn the_filter_is_an_argument_that_is_not_sent() {
    let (bench, upstream) = bench(Answer::json(200, r#"{"a":1}"#)).await;
    let properties = |tool: &str| {
        let schema = bench.gate.catalog().find(tool).unwrap().input_schema();
        schema["properties"].as_object().unwrap().clone()
    };
    assert_eq!(properties("plain")["jq"]["type"], "string");
    assert!(properties("failing").is_empty() && properties("export").is_empty());
    let named = properties("named");
    assert_eq!(named.keys().collect::<Vec<_>>(), ["jq", "jq_filter"]);
    let arguments = json!({ "jq": "x", "jq_filter": ".a" });
    assert_eq!(bench.value("named", arguments).await, json!(1));
    assert_eq!(bench.value("write", json!({ "jq": ".a" })).await, json!(1));
    let requests = upstream.requests();
    assert!(requests[0].starts_with("GET /api/things?jq=x HTTP"), "{}", requests[0]);
    assert!(requests[1].starts_with("POST /api/things HTTP"), "{}", requests[1]);
    assert!(requests[1].ends_with("\r\n\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn text_is_a_string_unless_it_is_json() {
    let answer = |body: &[u8]| Answer::full(200, &[("Content-Type", "text/plain")], body);
    let (harness, _upstream) = bench(answer(b"a\nb")).await;
    let lines = harness.value("plain", json!({ "jq": "split(\"\\n\")" })).await;
    assert_eq!(lines, json!(["a", "b"]));
    let (harness, _upstream) = bench(answer(b"{\"a\": 1}")).await;
    assert_eq!(harness.value("plain", json!({ "jq": ".a" })).await, json!(1));
    let bytes = Answer::full(200, &[("Content-Type", "application/octet-stream")], b"{\"a\":2}");
    let (harness, _upstream) = bench(bytes).await;
    assert_eq!(harness.value("plain", json!({ "jq": ".a" })).await, json!(2));
    assert!(harness.files().is_empty());
}

/// Filters whose time does not run out on a slow machine.
pub(crate) fn filters() -> FilterPool {
    let filters = FilterPool::with_executable(env!("CARGO_BIN_EXE_dadl-mcp"));
    filters.with_time(Duration::from_secs(300))
}

/// What stops a program, and that the next one runs.
async fn stopped(program: &str) -> FilterError {
    let filters = filters();
    let error = filters.run(program, b"null").await.unwrap_err();
    assert_eq!(filters.run(".", b"[1]").await, Ok("[1]".to_owned()), "{program}");
    error
}

#[tokio::test]
async fn a_filter_without_an_end_is_stopped() {
    let filters = filters();
    for program in ["def f: f; f", "[limit(1; repeat(empty))]", "last(range(1e12))"] {
        let time = Duration::from_millis(50);
        let error = filters.clone().with_time(time).run(program, b"null").await.unwrap_err();
        assert_eq!(error, FilterError::Time(time), "{program}");
        assert_eq!(error.to_string(), "takes longer than 0.05 s");
        assert_eq!(filters.run(".", b"[1]").await, Ok("[1]".to_owned()), "{program}");
    }
}

#[tokio::test]
async fn a_filter_that_fills_the_memory_is_stopped() {
    for program in ["\"x\" * 600000000", "reduce range(40) as $i ([1]; . + .)"] {
        assert_eq!(stopped(program).await, FilterError::Memory, "{program}");
    }
}

#[tokio::test]
async fn a_filter_that_recurses_without_end_is_stopped() {
    for program in ["def f: 1 + f; f", "def f: [f]; f"] {
        assert_eq!(stopped(program).await, FilterError::Depth, "{program}");
    }
    let nested = "[".repeat(40_000_000);
    let error = filters().run(".", nested.as_bytes()).await.unwrap_err();
    assert_eq!(error, FilterError::Depth);
}

#[tokio::test]
async fn a_result_has_a_bound() {
    assert_eq!(stopped("\"x\" * 70000000").await, FilterError::Output);
}

#[tokio::test]
async fn deep_programs_are_programs_or_errors() {
    for (open, core, close) in [
        ("[", "1", "]"),
        ("-", "1", ""),
        ("(", ".", ")"),
        ("def f:", ".", ";."),
        ("try ", ".", ""),
        ("if .then ", ".", " end"),
        ("\"\\(", ".", ")\""),
        (".a|", ".", ""),
        ("{a:", "1", "}"),
        ("reduce . as $x(", ".", ";.)"),
        (". as $x|", ".", ""),
        ("[", "", ""),
    ] {
        let count = 16 * 1024 / (open.len() + close.len());
        let program = open.repeat(count) + core + &close.repeat(count);
        let result = filters().run(&program, b"null").await;
        assert!(!matches!(result, Err(FilterError::Process(_))), "{open}: {result:?}");
    }
}

#[tokio::test]
async fn a_process_that_is_no_worker_is_an_error() {
    let filters = FilterPool::with_executable("/bin/echo");
    let error = filters.run(".", b"1").await.unwrap_err().to_string();
    assert!(error.contains("not the filter process of dadl-mcp"), "{error}");
}

#[tokio::test]
async fn errors_do_not_show_what_a_tool_hides() {
    let (harness, _upstream) = bench(Answer::json(200, "[{\"key\":\"s3cr3t-key\"")).await;
    let error = harness.call("hiding", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("no valid JSON") && !error.contains("s3cr3t"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_the_filter_like_any_argument() {
    let upstream = Upstream::start(vec![Answer::json(200, THINGS)]).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("fake.dadl"), TOOLS).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(arguments).args(["--dadl", "fake.dadl", "--url", &upstream.url()]);
        command.current_dir(&home).env_clear().env("HOME", home.path());
        command.env("CREDENTIAL_FAKE_TOKEN", "t0ken-t0ken");
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (out, err) = run(&["call", "shaped", "jq=map(.name)|join(\"-\")", "--json"]);
    assert_eq!(out.trim(), "\"a-b-c\"", "{err}");
    let (out, err) = run(&["call", "shaped", "jq=env", "--json"]);
    assert_eq!(out.trim(), "{}", "{err}");
    let (_, err) = run(&["call", "shaped", "jq=map("]);
    assert!(err.contains("the argument `jq` is not a jq program"), "{err}");
    let (out, _) = run(&["show", "shaped"]);
    assert!(out.contains("jq") && out.contains("map(.id)"), "{out}");
    let (out, _) = run(&["--help"]);
    assert!(!out.contains("jq-worker"), "{out}");
}

#[tokio::test]
async fn a_host_lists_and_passes_the_filter() {
    let upstream = Upstream::start(vec![Answer::json(200, THINGS)]).await;
    let served = serve_tools(TOOLS, &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.request(1, "tools/list", json!({})).await;
    assert_eq!(
        answer["result"]["tools"][0]["inputSchema"],
        json!({"type": "object", "properties": {"jq": {
            "type": "string",
            "description": "jq filter applied to the result, such as `map(.id)`"
        }}})
    );
    let answer = client.call(2, "shaped", json!({ "jq": ".[0]" })).await;
    assert_eq!(text(&answer), r#"{"id":9007199254740993,"name":"a","key":"[REDACTED]"}"#);
    let answer = client.call(3, "shaped", json!({ "jq": ".[0]|.name.x" })).await;
    assert!(mcp_failure(&answer).contains("the jq filter failed: cannot index"), "{answer}");
}
