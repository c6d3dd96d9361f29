//! A switch of the API with which its administrator turns MCP off: through MCP every request says
//! so, at a terminal none does, and what the API answers when it is off reaches the caller at once.

use std::{process::Output, time::Duration};

use dadl_mcp::{
    call::CallChannel,
    executor::{CallContext, CallError, WaitBudget},
    gate::CallConsent,
    live::{StreamHub, StreamOwner, StreamPhase},
    outcome::{AnswerPayload, ApiError, task_report::TaskHandle},
};
use dadl_simulator::{RecordedRequest, SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_http::Site,
    mcp_support::{Client, failure, serve_harness, text},
    upstream::{Answer, Upstream},
};

const XO: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// An API with a switch, a login, pages, a stream and a task.
const SHOP: &str = api!(
    top: r#"
_dadl_mcp:
  switch:
    headers: { X-Door: mcp, X-Program: dadl-mcp }
    off: { status: [403, 503], when: '$.code == "off"' }
    state: { tool: state, on: $.on }
  tasks:
    only: [begin]
    started: { status: 202 }
    id: $.task
    watch: { tool: look, arguments: { task: "{task}" }, poll: [100ms] }
    state: { path: $.state, running: [RUNS], succeeded: [DONE], failed: [BAD] }
    cancel: { tool: stop, arguments: { task: "{task}" } }"#,
    name: "shop",
    auth: r#"type: session, login: { method: POST, path: /login, body: { p: "credential:shop_password" }, extract: { t: $.t } }, inject: [{ header: X-Session, value: "{{t}}" }]"#,
    backend: r#"
  defaults:
    errors:
      format: json
      message_path: $.message
      retry_on: [429, 503]
      retry_strategy: { max_retries: 3, backoff: fixed, initial_delay: 1ms }
  tools:
    state: { method: GET, path: /state, access: read, description: "The switch." }
    list: { method: GET, path: /things, access: read, description: "Lists.", params: { page: { type: integer, in: query } }, pagination: { strategy: page, behavior: auto, request: { page_param: page }, response: { has_more: $.more }, max_pages: 5 }, response: { result_path: $.items } }
    begin: { method: POST, path: /begin, access: write, description: "Begins." }
    look: { method: GET, path: "/tasks/{task}", access: read, description: "Looks.", params: { task: { type: string, in: path, required: true } } }
    stop: { method: DELETE, path: "/tasks/{task}", access: write, description: "Stops.", params: { task: { type: string, in: path, required: true } } }
    events: { method: GET, path: /events, access: read, description: "Events.", response: { streaming: true } }
    moved: { method: GET, path: /moved, access: read, description: "Moved." }
  composites:
    both:
      access: read
      description: "Two calls."
      code: |
        await api.moved({});
        return await api.list({});
"#
);

fn shop(upstream: &Upstream) -> Harness {
    Harness::new(SHOP, &upstream.url(), Fixed(Ok("p4ssword-of-the-shop".into())), |_| {})
}

fn login() -> Answer {
    Answer::json(200, r#"{"t": "s3ssion-of-the-shop"}"#)
}

fn off(status: u16) -> Answer {
    Answer::json(status, r#"{"code": "off", "message": "MCP is off, says Ann"}"#)
}

fn api_error(error: &CallError) -> &ApiError {
    match error {
        CallError::Api(error) => error,
        other => panic!("{other}"),
    }
}

/// Checks that each request says that it comes through MCP, or that none does.
fn assert_marked(upstream: &Upstream, marked: bool) {
    let requests = upstream.requests();
    assert!(!requests.is_empty());
    for request in requests {
        let head = request.to_ascii_lowercase();
        for field in ["\r\nx-door: mcp\r\n", "\r\nx-program: dadl-mcp\r\n"] {
            assert_eq!(head.matches(field).count(), usize::from(marked), "{request}");
        }
    }
}

#[tokio::test]
async fn each_request_of_a_call_says_where_it_comes_from() {
    let page = |items: &str, more: bool| {
        Answer::json(200, &format!(r#"{{"items": {items}, "more": {more}}}"#))
    };
    let answers = || {
        let unavailable = Answer::json(503, r#"{"message": "starting"}"#);
        let refused = Answer::json(401, "{}");
        vec![
            login(),
            page("[1]", true),
            unavailable,
            page("[2]", false),
            Answer::redirect(302, "/api/things?page=9"),
            refused,
            login(),
            Answer::redirect(302, "/api/things?page=9"),
            page("[3]", false),
            page("[4]", false),
        ]
    };
    for door in [CallChannel::Mcp, CallChannel::Terminal] {
        let upstream = Upstream::start(answers()).await;
        let mut bench = shop(&upstream);
        bench.gate = bench.gate.clone().at(door);
        assert_eq!(bench.value("list", json!({})).await, json!([1, 2]));
        assert_eq!(bench.value("both", json!({})).await, json!([4]));
        assert_eq!(upstream.requests().len(), 10);
        assert_marked(&upstream, door == CallChannel::Mcp);
    }
}

#[tokio::test]
async fn looks_at_a_task_and_the_end_of_it_have_the_door_of_the_call() {
    let state = |state: &str| Answer::json(200, &format!(r#"{{"state": "{state}"}}"#));
    for door in [CallChannel::Mcp, CallChannel::Terminal] {
        let begun = Answer::json(202, r#"{"task": "7"}"#);
        let answers = vec![login(), begun, state("RUNS"), state("DONE"), state("RUNS")];
        let upstream = Upstream::start(answers).await;
        let mut bench = shop(&upstream);
        bench.gate = bench.gate.clone().at(door);
        bench.call("begin", json!({})).await.unwrap();
        let handle: TaskHandle = "shop:begin:8".parse().unwrap();
        let right = bench.gate.check_task(&handle).unwrap();
        let context = CallContext::default().waiting(WaitBudget::AtOnce);
        bench.executor.watch_task(&right, &context).await.unwrap();
        let cancel = bench.gate.check_cancel(&handle).unwrap().admit().unwrap();
        bench.executor.cancel_task(cancel, &handle, None, &context).await.unwrap();
        assert_eq!(upstream.requests().len(), 6);
        assert_marked(&upstream, door == CallChannel::Mcp);
    }
}

#[tokio::test]
async fn a_stream_that_is_opened_again_says_so_too_and_ends_when_mcp_is_turned_off() {
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\
                  retry: 1\ndata: 1\n\n";
    let again = Answer::Close(events.as_bytes().to_vec());
    let upstream = Upstream::start(vec![login(), again.clone(), again, off(503)]).await;
    let bench = shop(&upstream);
    let arguments = json!({ "open": true }).as_object().unwrap().clone();
    let call = bench.gate.check("events", arguments).unwrap().admit().unwrap();
    let (hub, owner) = (StreamHub::default(), StreamOwner::Session(String::new()));
    let stream = hub
        .open(&bench.executor, &call, owner.clone(), &dadl_mcp::shares::ClientKey::only())
        .await
        .unwrap();
    let reason = loop {
        let wait = Duration::from_secs(300);
        let batch = hub.read(&stream, &owner, wait, 100, 1_000_000).await.unwrap();
        if let StreamPhase::Ended { reason } = batch.phase {
            break reason;
        }
    };
    assert!(reason.contains("MCP is off, says Ann"), "{reason}");
    assert!(reason.contains("the administrator of the API has turned MCP off"), "{reason}");
    assert_eq!(upstream.requests().len(), 4);
    assert_marked(&upstream, true);
}

#[tokio::test]
async fn what_is_off_is_said_at_once_and_not_tried_again() {
    for status in [503, 403] {
        let upstream = Upstream::start(vec![login(), off(status)]).await;
        let bench = shop(&upstream);
        let error = bench.call("list", json!({})).await.unwrap_err();
        assert_eq!(
            (api_error(&error).code.as_str(), api_error(&error).attempts),
            ("switched_off", 1)
        );
        let text = error.for_model();
        let expected = format!("[switched_off] HTTP {status}: MCP is off, says Ann");
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.ends_with(
                "tell the user, and look for no other way; calls work later, when it is on again"
            ),
            "{text}"
        );
        assert_eq!(upstream.requests().len(), 2);
        // The credential is as good as before: there is no second login.
        bench.call("list", json!({})).await.unwrap_err();
        assert_eq!(upstream.requests().len(), 3);
    }
}

#[tokio::test]
async fn an_outage_is_no_switch() {
    let outage = Answer::json(503, r#"{"message": "starting"}"#);
    let upstream = Upstream::start(vec![login(), outage]).await;
    let bench = shop(&upstream);
    let error = bench.call("list", json!({})).await.unwrap_err();
    assert_eq!((api_error(&error).code.as_str(), api_error(&error).attempts), ("unavailable", 4));
}

#[tokio::test]
async fn turned_off_in_the_middle_pages_tasks_and_composites_say_so() {
    let page = Answer::json(200, r#"{"items": [1], "more": true}"#);
    let upstream = Upstream::start(vec![login(), page, off(503)]).await;
    let text = shop(&upstream).call("list", json!({})).await.unwrap_err().for_model();
    assert!(text.starts_with("page 2: [switched_off]"), "{text}");
    assert!(text.contains("has turned MCP off"), "{text}");

    let begun = Answer::json(202, r#"{"task": "7"}"#);
    let upstream = Upstream::start(vec![login(), begun, off(503)]).await;
    let text = shop(&upstream).call("begin", json!({})).await.unwrap_err().for_model();
    assert!(text.contains("the task shop:begin:7 goes on, perhaps"), "{text}");
    assert!(text.contains("MCP is off, says Ann") && text.contains("has turned MCP off"), "{text}");
    assert_eq!(upstream.requests().len(), 3, "looked again");

    let upstream = Upstream::start(vec![login(), off(503)]).await;
    let text = shop(&upstream).call("both", json!({})).await.unwrap_err().for_model();
    assert!(text.contains("MCP is off, says Ann"), "{text}");
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn json_rpc_says_it_too() {
    let descriptor = api!(
        top: r#"_dadl_mcp: { switch: { headers: { X-Door: mcp }, off: { status: 503, when: '$.code == "off"' } } }"#,
        name: "rpc",
        kind: "jsonrpc",
        auth: "type: bearer, credential: rpc_token",
        backend: r#"
  jsonrpc: { path: /rpc }
  tools:
    list: { rpc_method: things.list, access: read, description: "Lists." }
"#
    );
    let upstream = Upstream::start(vec![off(503)]).await;
    let bench =
        Harness::new(descriptor, &upstream.url(), Fixed(Ok("t0ken-of-the-rpc".into())), |_| {});
    let error = bench.call("list", json!({})).await.unwrap_err();
    assert_eq!(api_error(&error).code, "switched_off");
    let requests = upstream.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].to_ascii_lowercase().contains("\r\nx-door: mcp\r\n"), "{requests:?}");
}

// Xen Orchestra

async fn simulator() -> XenOrchestra {
    let options = SimulatorOptions {
        task_duration: Duration::ZERO,
        export_size: 1024,
        record: true,
        ..SimulatorOptions::default()
    };
    XenOrchestra::start(options).await.unwrap()
}

fn xen_orchestra(simulator: &XenOrchestra) -> Harness {
    let token = Fixed(Ok(simulator.token().to_owned()));
    let harness = Harness::new(XO, &simulator.url(), token, |_| {});
    let files = harness.executor.files().directory();
    std::fs::create_dir_all(files).unwrap();
    std::fs::write(files.join("disk.raw"), b"raw bytes").unwrap();
    harness
}

fn is_marked(request: &RecordedRequest) -> bool {
    request.headers.iter().filter(|(name, _)| name == "x-xo-client").count() == 1
        && request.header("x-xo-client") == Some("mcp")
}

fn assert_all(simulator: &XenOrchestra, marked: bool) {
    let requests = simulator.take_requests();
    assert!(!requests.is_empty());
    for request in requests {
        if marked {
            assert!(is_marked(&request), "{request:?}");
        } else {
            assert_eq!(request.header("x-xo-client"), None, "{request:?}");
        }
    }
}

async fn id_of(bench: &Harness, list: &str, name: &str) -> String {
    let arguments = json!({ "filter": format!("name_label:{name}"), "fields": "id" });
    bench.value(list, arguments).await[0]["id"].as_str().unwrap().to_owned()
}

/// The calls of this API that are more than one request, and those whose answers are long.
async fn calls(bench: &Harness) -> Vec<(&'static str, Value)> {
    let vm = id_of(bench, "list_vms", "web-06").await;
    let sr = bench.value("list_srs", json!({ "fields": "id" })).await[0]["id"].clone();
    let vdi = bench.value("list_vdis", json!({ "fields": "id" })).await[0]["id"].clone();
    vec![
        ("list_vms", json!({})),
        ("get_mcp_status", json!({})),
        ("health", json!({})),
        ("find_problems", json!({})),
        ("start_vm", json!({ "uuid": vm })),
        ("export_vm_xva", json!({ "uuid": vm })),
        ("import_vdi_to_sr", json!({ "sr_uuid": sr, "name_label": "d", "file": "disk.raw" })),
        ("import_vdi_to_existing_raw", json!({ "uuid": vdi, "file": "disk.raw" })),
        ("open_events_stream", json!({ "subscribe": ["VM"], "duration": 0.05 })),
        ("list_auth_tokens", json!({ "id": "me" })),
    ]
}

#[tokio::test]
async fn all_that_xo_hears_through_mcp_says_so() {
    let simulator = simulator().await;
    let bench = xen_orchestra(&simulator);
    let calls = calls(&bench).await;
    let id = id_of(&bench, "list_vms", "web-06").await;
    simulator.take_requests();
    let mut client = Client::legacy(serve_harness(bench, ""), json!({ "elicitation": {} })).await;
    for (number, (tool, arguments)) in (1..).zip(calls) {
        client.start(number, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        loop {
            let message = client.receive().await;
            // A person is asked about what is dangerous.
            if message["method"] == "elicitation/create" {
                let result = json!({ "action": "accept", "content": { "confirm": true } });
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                client.send(&answer).await;
            } else if message["id"] == number {
                break;
            }
        }
        assert!(simulator.take_requests().iter().all(is_marked), "{tool}");
    }
    let uri = format!("xo://VM/{id}");
    client.request(100, "resources/read", json!({ "uri": uri })).await;
    assert_all(&simulator, true);
    client.request(101, "resources/subscribe", json!({ "uri": uri })).await;
    assert_all(&simulator, true);
}

#[tokio::test]
async fn over_http_it_is_the_same() {
    let simulator = simulator().await;
    let site = Site::start_served(serve_harness(xen_orchestra(&simulator), ""), |_| {}).await;
    let call = json!({ "name": "list_vms", "arguments": { "limit": 1 } });
    let mut reply = site.stateless("tools/call", call).await;
    assert_eq!(reply.status, 200);
    let answer = reply.json().await;
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_all(&simulator, true);
}

#[tokio::test]
async fn when_it_is_off_each_door_of_a_model_is_told_and_a_person_is_let_in() {
    let simulator = simulator().await;
    let bench = xen_orchestra(&simulator);
    let calls = calls(&bench).await;
    simulator.turn_mcp_off();
    let text = "MCP is disabled by administrator";
    for (tool, arguments) in &calls {
        simulator.take_requests();
        let result = bench.call(tool, arguments.clone()).await;
        if *tool == "health" {
            let AnswerPayload::Json(report) = result.unwrap().payload else { panic!("no report") };
            assert!(report.as_str().contains(text), "{report:?}");
            continue;
        }
        let error = match *tool {
            // It answers what it could find out.
            "find_problems" => continue,
            _ => result.unwrap_err().for_model(),
        };
        if *tool == "open_events_stream" {
            continue;
        }
        assert!(error.contains(text), "{tool}: {error}");
        assert!(
            error.contains("the administrator of the API has turned MCP off"),
            "{tool}: {error}"
        );
        assert_eq!(simulator.take_requests().len(), 1, "{tool}");
    }
    let arguments = json!({ "open": true, "subscribe": ["VM"] }).as_object().unwrap().clone();
    let call = bench.gate.check("open_events_stream", arguments).unwrap().admit().unwrap();
    let opened = StreamHub::default()
        .open(&bench.executor, &call, StreamOwner::Anybody, &dadl_mcp::shares::ClientKey::only())
        .await;
    assert!(opened.unwrap_err().to_string().contains(text));

    let person = bench.gate.clone().at(CallChannel::Terminal);
    for (tool, arguments) in &calls {
        if ["get_mcp_status", "open_events_stream"].contains(tool) {
            continue;
        }
        let pending = person.check(tool, arguments.as_object().unwrap().clone()).unwrap();
        let consent = CallConsent::given_for(pending.digest());
        let call = pending.admit_with(&consent).unwrap();
        let result = bench.executor.execute(call, &CallContext::default()).await;
        if let Err(error) = result {
            assert!(!error.to_string().contains("MCP"), "{tool}: {error}");
        }
    }
    simulator.turn_mcp_on();
    bench.call("list_vms", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_model_reads_why_it_is_refused() {
    let simulator = simulator().await;
    simulator.turn_mcp_off();
    let mut client = Client::legacy(serve_harness(xen_orchestra(&simulator), ""), json!({})).await;
    // A model cannot say that it is somebody else.
    let answer = client.call(1, "list_vms", json!({ "X-XO-Client": "web" })).await;
    assert!(failure(&answer).contains("X-XO-Client"), "{answer}");
    assert_eq!(simulator.take_requests().len(), 0);
    let answer = client.call(2, "list_vms", json!({})).await;
    assert_eq!(
        failure(&answer),
        "[switched_off] HTTP 503: MCP is disabled by administrator; data: \
         {\"error\":\"mcp_disabled\"} (GET /vms); the administrator of the API has turned MCP off: \
         tell the user, and look for no other way; calls work later, when it is on again"
    );
    assert_eq!(simulator.take_requests().len(), 1);
    let answer = client.request(3, "resources/read", json!({ "uri": "xo://VM/1" })).await;
    assert!(
        answer["error"]["message"].as_str().unwrap().contains("has turned MCP off"),
        "{answer}"
    );
    let answer = client.request(4, "resources/subscribe", json!({ "uri": "xo://VM/1" })).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("MCP is disabled"), "{answer}");
    simulator.turn_mcp_on();
    assert!(!text(&client.call(5, "list_vms", json!({})).await).contains("MCP"));
}

// The program

struct Shell {
    home: tempfile::TempDir,
    url: String,
    token: String,
}

impl Shell {
    fn new(url: String, token: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), url, token: token.to_owned() }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.run_plain(&[arguments, &["--dadl", "xen-orchestra", "--url", &self.url]].concat())
            .await
    }

    async fn run_plain(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", &self.token)
            .output()
            .await
            .unwrap()
    }

    /// What `doctor` says about the switch.
    async fn doctor(&self) -> (Option<i32>, String, String) {
        let output = self.run(&["doctor"]).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let line = checks.iter().find(|line| line["subject"] == "mcp").unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        (output.status.code(), text("health"), text("finding"))
    }
}

#[tokio::test]
async fn a_person_at_a_terminal_does_not_come_through_mcp() {
    let simulator = simulator().await;
    let shell = Shell::new(simulator.url(), simulator.token());
    for arguments in [
        &["call", "list_vms", "limit=1"][..],
        &["call", "find_problems"],
        &["health"],
        &["doctor"],
        &["task", "xen-orchestra:start_vm:nope", "--wait", "0"],
    ] {
        shell.run(arguments).await;
        assert_all(&simulator, false);
    }
    simulator.turn_mcp_off();
    let output = shell.run(&["call", "list_vms", "limit=1"]).await;
    assert!(output.status.success(), "{output:?}");
    let output = shell.run(&["health"]).await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn doctor_says_how_the_switch_stands() {
    let simulator = simulator().await;
    let shell = Shell::new(simulator.url(), simulator.token());
    let (code, health, finding) = shell.doctor().await;
    assert_eq!((code, health.as_str()), (Some(0), "OK"), "{finding}");
    assert!(finding.starts_with("on:"), "{finding}");
    simulator.turn_mcp_off();
    let (code, health, finding) = shell.doctor().await;
    assert_eq!((code, health.as_str()), (Some(1), "FAIL"), "{finding}");
    assert!(
        finding.starts_with("off:") && finding.contains("disabled by administrator"),
        "{finding}"
    );
    let (url, token) = (simulator.url(), simulator.token().to_owned());
    let (_, health, finding) = Shell::new(url.clone(), "wrong").doctor().await;
    // XO answers this without a login.
    assert!(finding.starts_with("off:"), "{health} {finding}");
    drop(simulator);
    let (_, health, finding) = Shell::new(url, &token).doctor().await;
    assert_eq!(
        (health.as_str(), finding.as_str()),
        ("WARN", "nobody knows whether MCP is on: the backend cannot be asked")
    );

    let list = || Answer::json(200, "[]");
    for (answer, health, start) in [
        (Answer::json(404, r#"{"error": "no such route"}"#), "OK", "no such switch"),
        (
            Answer::json(401, r#"{"error": "invalid credentials"}"#),
            "WARN",
            "nobody knows whether MCP is on: not authorized",
        ),
        (Answer::json(200, r#"{"enabled": false}"#), "FAIL", "off:"),
        (
            Answer::full(200, &[("Content-Type", "text/html")], b"<html>"),
            "WARN",
            "nobody knows whether MCP is on: backend",
        ),
        (Answer::json(503, r#"{"error": "mcp_disabled"}"#), "FAIL", "off:"),
        (Answer::json(500, r#"{"error": "oops"}"#), "WARN", "nobody knows whether MCP is on: ["),
    ] {
        let upstream = Upstream::start(vec![answer, list()]).await;
        let (_, found, finding) = Shell::new(upstream.url(), "any").doctor().await;
        assert_eq!(found, health, "{finding}");
        assert!(finding.starts_with(start), "{finding}");
    }
}

#[tokio::test]
async fn an_operator_cannot_take_the_word_away_by_mistake() {
    let simulator = simulator().await;
    let shell = Shell::new(simulator.url(), simulator.token());
    let config = |value: &str| {
        let text = format!(
            "backends:\n  - name: xo\n    dadl: xen-orchestra\n    url: {}\n    headers: {{ x-xo-client: {value} }}\n",
            simulator.url()
        );
        std::fs::write(shell.home.path().join("b.yaml"), text).unwrap();
    };
    config("web");
    let output = shell.run_plain(&["list", "--config", "b.yaml"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("`headers`: `x-xo-client` tells the API which calls come through MCP"),
        "{said}"
    );
    // The same for all calls is the operator's word.
    config("mcp");
    let call = ["call", "list_vms", "--config", "b.yaml"];
    assert!(shell.run_plain(&call).await.status.success());
    assert_all(&simulator, true);
}

#[tokio::test]
async fn show_tells_of_the_switch() {
    let shell = Shell::new("http://127.0.0.1:1/rest/v0".to_owned(), "any");
    let output = shell.run(&["show", "list_vms", "--json"]).await;
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["switch"], "x-xo-client: mcp");
}
