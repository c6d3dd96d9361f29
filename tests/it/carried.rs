//! What the handle of a task carries of the call that began it: an API may want to know more about a task
//! than its id.

use dadl_descriptor::source::SourceText;
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    config::BackendSettings,
    executor::{CallContext, WaitBudget},
    gate::CallRefusal,
    outcome::{AnswerPayload, CallOutcome, task_report::TaskHandle},
    shares::ClientKey,
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    tasks::{lines, pending, requests, state, success},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(
    top: r#"
_dadl_mcp:
  tasks:
    only: [backup, copy]
    started: { status: 201 }
    id: $.task_id
    watch: { tool: task_status, arguments: { id: "{task}", dc: "{call.dc}" }, poll: [100ms] }
    state: { path: $.status, running: [PENDING], succeeded: [SUCCESS], failed: [FAILURE], cancelled: [REVOKED] }
    result: $.result
    cancel: { tool: task_cancel, arguments: { id: "{task}", dc: "{call.dc}", disk: "{call.disk}", why: "of {call.dc}" } }"#,
    backend: r#"
  tools:
    backup: { method: POST, path: /backup, access: write, description: "Backs up.", params: { dc: { type: string, in: body, default: main }, disk: { type: integer, in: body }, note: { type: string, in: body } } }
    copy: { method: POST, path: /copy, access: write, description: "Copies." }
    task_status: { method: GET, path: "/task/{id}", access: read, description: "A task.", params: { id: { type: string, in: path }, dc: { type: string, in: query } } }
    task_cancel: { method: PUT, path: "/task/{id}/cancel", access: write, description: "Cancels.", params: { id: { type: string, in: path }, dc: { type: string, in: body }, disk: { type: integer, in: body }, why: { type: string, in: body } } }
"#
);

fn bench(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
    Harness::new(TOOLS, url, Fixed(Ok(String::new())), change)
}

fn handle(outcome: CallOutcome) -> String {
    let AnswerPayload::Task(report) = outcome.payload else { panic!("{outcome:?}") };
    report.to_value()["task"]["handle"].as_str().unwrap().to_owned()
}

/// Begins a task and returns its handle and the lines of the requests.
async fn begin(tool: &str, arguments: Value) -> String {
    let upstream = Upstream::start(vec![pending()]).await;
    let mut arguments = arguments;
    arguments["wait"] = json!(0);
    handle(bench(&upstream.url(), |_| {}).call(tool, arguments).await.unwrap())
}

/// Looks at a task and cancels it, in a process that has only the handle; returns the line of the look
/// and the body of the cancellation.
async fn go_on(handle: &str) -> (String, Value) {
    let handle: TaskHandle = handle.parse().unwrap();
    let revoked = state(410, json!({ "status": "REVOKED", "result": null }));
    let upstream = Upstream::start(vec![Answer::json(200, "{}"), revoked]).await;
    let bench = bench(&upstream.url(), |_| {});
    let call = bench.gate.check_cancel(&handle).unwrap().admit().unwrap();
    let right = bench.gate.check_task(&handle).unwrap();
    let context = CallContext::default();
    bench.executor.cancel_task(call, &handle, Some(&right), &context).await.unwrap();
    let requests = upstream.requests();
    let body = requests[0].split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body = serde_json::from_str(body).unwrap_or_default();
    (requests[1].lines().next().unwrap().replace(" HTTP/1.1", ""), body)
}

#[tokio::test]
async fn the_values_of_the_call_travel_in_the_handle() {
    let handle = begin("backup", json!({ "dc": "lab/1", "disk": 2, "note": "x" })).await;
    assert_eq!(handle, "fake:backup,dc=lab%2F1,disk=2:1-a:b");
    let (look, cancelled) = go_on(&handle).await;
    assert_eq!(look, "GET /api/task/1-a%3Ab?dc=lab%2F1");
    assert_eq!(cancelled, json!({ "dc": "lab/1", "disk": 2, "why": "of lab/1" }));
    // Defaults of the call count.
    assert_eq!(begin("backup", json!({})).await, "fake:backup,dc=main:1-a:b");
    // What is too long stays behind, and so does what the tool has no parameter for.
    assert_eq!(begin("backup", json!({ "dc": "x".repeat(129) })).await, "fake:backup:1-a:b");
    assert_eq!(begin("copy", json!({})).await, "fake:copy:1-a:b");
}

#[tokio::test]
async fn a_handle_without_values_is_still_one() {
    let (look, cancelled) = go_on("fake:backup:1-a:b").await;
    assert_eq!((look.as_str(), cancelled), ("GET /api/task/1-a%3Ab", Value::Null));
}

#[tokio::test]
async fn the_call_itself_looks_and_stops_with_its_values() {
    let upstream = Upstream::start(vec![pending(), success(json!(1))]).await;
    let arguments = json!({ "dc": "lab" });
    assert_eq!(bench(&upstream.url(), |_| {}).value("backup", arguments.clone()).await, json!(1));
    assert_eq!(lines(&upstream), ["POST /api/backup", "GET /api/task/1-a%3Ab?dc=lab"]);
    // A person gives up.
    let upstream = Upstream::start(vec![pending(), success(json!(null))]).await;
    let bench = bench(&upstream.url(), |_| {});
    let Value::Object(arguments) = arguments else { panic!() };
    let call = bench.gate.check("backup", arguments).unwrap().admit().unwrap();
    let context = CallContext::default().waiting(WaitBudget::Longest);
    tokio::select! {
        ended = bench.executor.execute(call, &context) => panic!("{ended:?}"),
        () = async {
            while bench.executor.begun(&ClientKey::only()).is_empty() {
                tokio::task::yield_now().await;
            }
            context.on_drop.stop();
        } => {}
    }
    requests(&upstream, 2).await;
    let last = upstream.requests().pop().unwrap();
    assert!(last.starts_with("PUT /api/task/1-a%3Ab/cancel "), "{last}");
    assert!(last.contains(r#""dc":"lab""#), "{last}");
}

#[tokio::test]
async fn a_forged_handle_does_no_more_than_its_caller_may() {
    let levels = |words: &[&str]| AccessPolicy {
        levels: AccessLevels::new(words.iter().copied()),
        ..AccessPolicy::default()
    };
    let bench = bench("http://127.0.0.1:9", |it| it.policy = levels(&["read"]));
    let forged: TaskHandle = "fake:backup,dc=other:1".parse().unwrap();
    assert!(bench.gate.check_task(&forged).is_ok(), "so does calling the tool");
    assert!(matches!(bench.gate.check_cancel(&forged), Err(CallRefusal::Denied { .. })));
    let refused =
        |text: &str| bench.gate.check_task(&text.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(
        refused("fake:backup,note=x:1"),
        "there is no task \"fake:backup,note=x:1\": handles of \"backup\" carry no \"note\""
    );
    // The arguments are checked like those of any call.
    let all = self::bench("http://127.0.0.1:9", |_| {});
    let wrong = "fake:backup,disk=two:1".parse().unwrap();
    assert!(matches!(all.gate.check_cancel(&wrong), Err(CallRefusal::Arguments(_))));
    let right = all.gate.check_task(&"fake:backup,dc=a:1".parse().unwrap()).unwrap();
    let context = CallContext::default().waiting(WaitBudget::AtOnce);
    assert!(all.executor.watch_task(&right, &context).await.is_ok(), "nobody is there: it goes on");
}

#[test]
fn what_a_handle_cannot_carry_is_refused_while_loading() {
    let found = |from: &str, to: &str| {
        assert!(TOOLS.contains(from), "{from}");
        let loaded = dadl_descriptor::load(&SourceText::new("fake.dadl", TOOLS.replace(from, to)));
        let texts = loaded.diagnostics.iter().map(|it| it.message.clone());
        texts.collect::<Vec<_>>().join("\n")
    };
    let has = |found: String, text: &str| assert!(found.contains(text), "{found}");
    has(found("{call.disk}", "{call.disc}"), "no tool that begins a task has a parameter `disc`");
    let token = |text: &str| text.replace("note:", "api_token:");
    let loaded =
        SourceText::new("fake.dadl", token(TOOLS).replace("{call.disk}", "{call.api_token}"));
    let loaded = dadl_descriptor::load(&loaded);
    assert!(
        loaded
            .diagnostics
            .iter()
            .any(|it| it.message == "`api_token` looks like a secret, and handles are none")
    );
    has(
        found("disk: { type: integer, in: body }, note", "disk: { type: object, in: body }, note"),
        "`disk` of `backup` does not fit into a handle",
    );
    has(
        found(
            "task_status: { method: GET, path: \"/task/{id}\", access: read",
            "task_status: { method: POST, path: \"/task/{id}\", access: write",
        ),
        "`task_status` takes values of handles and may change something",
    );
}
