//! What became of the work of a task: at every door, whatever the state of the task says.

use dadl_mcp::{
    executor::{CallContext, WaitBudget},
    outcome::{AnswerPayload, CallOutcome, task_report::TaskHandle},
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure, serve_tools, with_capabilities},
    upstream::{Answer, Upstream},
};

/// An API whose tasks succeed whatever comes of their work, and that stops some of them only.
pub(crate) const TOOLS: &str = api!(
    top: r#"
requires: { features: [composites, redact] }
_dadl_mcp:
  tasks:
    only: [run, move, secret]
    started: { status: 202 }
    id: $.task
    watch: { tool: get_task, arguments: { id: "{task}" }, poll: [100ms] }
    state: { path: $.state, running: [on], succeeded: [done], failed: [bad], cancelled: [halted] }
    result: $.result
    error: $.result.message
    details: $.result.data
    steps: { path: "$.steps[*]", name: $.name, state: $.state, error: $.why }
    cancel: { tool: stop, arguments: { id: "{task}" }, only: [run], requested: $.stop_at }
    outcome:
      only: [run, secret]
      values: { what: $.what }
      tool: list_logs
      arguments: { filter: "of:{what}", limit: 1 }
      state: { path: "$[0].state", running: [on], succeeded: [fine], failed: [broken] }
      steps: { path: "$[0].parts[*]", name: $.name, state: $.state, error: $.why }
      result: "$[0]"
      within: 1s"#,
    backend: r#"
  defaults: { errors: { message_path: "$.error" } }
  tools:
    run: { method: POST, path: /run, access: write, description: "Runs." }
    move: { method: POST, path: /move, access: write, description: "Moves." }
    secret: { method: POST, path: /secret, access: write, description: "Runs.", response: { redact: [$.parts] } }
    get_task: { method: GET, path: "/tasks/{id}", access: read, description: "A task.", params: { id: { type: string, in: path } }, response: { redact: [$.password] } }
    stop: { method: POST, path: "/tasks/{id}/stop", access: write, description: "Stops.", params: { id: { type: string, in: path } } }
    list_logs: { method: GET, path: /logs, access: read, description: "Logs.", params: { filter: { type: string, in: query }, limit: { type: integer, in: query } } }
  composites:
    nightly:
      description: "Runs."
      access: write
      code: |
        const made = await api.run({});
        if (!made.id) throw new Error("it has no id");
        return made;
"#
);

const HANDLE: &str = "fake:run:t1";

pub(crate) fn answer(status: u16, body: &Value) -> Answer {
    Answer::json(status, &body.to_string())
}

/// A task that succeeded, whose work is `what`.
fn done(more: Value) -> Answer {
    let mut task = json!({ "state": "done", "what": "w1" });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer(200, &task)
}

/// The log of the work.
fn log(entry: Value) -> Answer {
    answer(200, &json!([entry]))
}

fn broken() -> Answer {
    let parts = json!([
        { "name": "web", "state": "fine" }, { "name": "db", "state": "broken", "why": "disk is full" },
    ]);
    log(json!({ "id": "l1", "state": "broken", "parts": parts }))
}

async fn site(task: Answer, logs: Answer) -> Upstream {
    let began = answer(202, &json!({ "task": "t1" }));
    Upstream::routes(&[
        ("POST /api/run", began.clone()),
        ("POST /api/secret", began.clone()),
        ("POST /api/move", began),
        ("GET /api/tasks/*", task),
        ("POST /api/tasks/*/stop", answer(200, &json!({}))),
        ("GET /api/logs", logs),
    ])
    .await
}

fn bench(upstream: &Upstream) -> Harness {
    Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {})
}

async fn client(upstream: &Upstream) -> Client {
    Client::legacy(serve_tools(TOOLS, &upstream.url(), |_| {}), json!({})).await
}

fn value(outcome: CallOutcome) -> Value {
    match outcome.payload {
        AnswerPayload::Json(text) => text.value().unwrap(),
        AnswerPayload::Task(report) => report.to_value(),
        other => panic!("{other:?}"),
    }
}

const BROKEN: &str = "the task fake:run:t1 ended, but what it did failed: db: disk is full (`list_logs` \
                      says \"broken\")";

#[tokio::test]
async fn work_that_failed_is_told_at_every_door() {
    let upstream = site(done(json!({})), broken()).await;
    let mut client = client(&upstream).await;
    let answer = client.call(1, "run", json!({})).await;
    assert_eq!(failure(&answer), BROKEN);
    let answer = client.call(2, "task_list", json!({})).await;
    let known = &answer["result"]["structuredContent"]["tasks"][0];
    assert_eq!((&known["running"], &known["state"]), (&json!(false), &json!("broken")));
    assert_eq!(known["reason"], "db: disk is full", "{answer}");
    let answer = client.call(3, "task_wait", json!({ "task": HANDLE })).await;
    assert_eq!(failure(&answer), BROKEN);
    let answer = client.call(4, "nightly", json!({})).await;
    assert!(failure(&answer).contains("db: disk is full"), "{answer}");
    let requests = upstream.requests();
    let asked: Vec<&String> = requests.iter().filter(|it| it.contains("/logs")).collect();
    assert!(asked.iter().all(|it| it.starts_with("GET /api/logs?filter=of%3Aw1&limit=1 ")));
    // A task of the protocol.
    let mut host = Client::connect(serve_tools(TOOLS, &upstream.url(), |_| {}));
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let get = with_capabilities(json!({ "taskId": format!("1795239235/{HANDLE}") }), tasks);
    let answer = host.request(1, "tasks/get", get).await;
    assert_eq!(answer["result"]["status"], "completed", "{answer}");
    assert_eq!(answer["result"]["result"]["isError"], true, "{answer}");
    assert_eq!(answer["result"]["result"]["content"][0]["text"], BROKEN);
}

#[tokio::test]
async fn work_that_succeeded_gives_what_was_written_about_it() {
    let entry = json!({ "id": "l1", "state": "fine", "parts": [] });
    let upstream = site(done(json!({ "result": 7 })), log(entry.clone())).await;
    assert_eq!(bench(&upstream).value("run", json!({})).await, entry);
    let outcome = bench(&upstream).call("move", json!({})).await.unwrap();
    assert_eq!(value(outcome), json!(7), "other tasks are what they say");
}

#[tokio::test]
async fn what_was_not_written_down_yet_is_looked_for() {
    let task = done(json!({}));
    let begun = answer(202, &json!({ "task": "t1" }));
    let none = answer(200, &json!([]));
    let late = log(json!({ "state": "on" }));
    let upstream = Upstream::start(vec![begun, task, none, late, broken()]).await;
    let error = bench(&upstream).call("run", json!({})).await.unwrap_err().for_model();
    assert_eq!(error, BROKEN);
}

#[tokio::test]
async fn an_outcome_that_nobody_tells_is_a_note() {
    let note = async |task: Answer, logs: Answer| {
        let upstream = site(task, logs).await;
        let outcome = bench(&upstream).call("run", json!({})).await.unwrap();
        let note = outcome.notes.join("; ");
        assert_eq!(value(outcome)["task"]["state"], "done");
        note
    };
    let forbidden = answer(403, &json!({ "error": "no right" }));
    let note_of = note(done(json!({})), forbidden).await;
    assert!(note_of.contains("does not say whether its work succeeded"), "{note_of}");
    assert!(note_of.contains("`list_logs`") && note_of.contains("no right"), "{note_of}");
    let note_of = note(done(json!({})), answer(200, &json!([]))).await;
    assert!(note_of.contains("has no state at $[0].state"), "{note_of}");
    let note_of = note(done(json!({})), log(json!({ "state": "odd" }))).await;
    assert!(note_of.contains("\"odd\", which the descriptor does not know"), "{note_of}");
    // What could say something else in a filter is not put there.
    for odd in [json!("a of:b"), json!(null), json!({})] {
        let note_of = note(done(json!({ "what": odd })), broken()).await;
        assert!(note_of.contains("nothing usable at $.what"), "{note_of}");
    }
}

#[tokio::test]
async fn a_reason_hides_what_the_tool_hides() {
    let upstream = site(done(json!({})), broken()).await;
    let error = bench(&upstream).call("secret", json!({})).await.unwrap_err().for_model();
    assert!(!error.contains("disk is full") && error.contains("broken"), "{error}");
}

#[tokio::test]
async fn details_and_failed_steps_are_reasons() {
    let steps = json!([{ "name": "copy", "state": "bad", "why": "no space" }]);
    let result = json!({ "message": "incorrect state", "data": { "actual": "Halted" } });
    let task = answer(200, &json!({ "state": "bad", "result": result, "steps": steps }));
    let upstream = site(task, broken()).await;
    let error = bench(&upstream).call("move", json!({})).await.unwrap_err().for_model();
    assert_eq!(
        error,
        "the task fake:move:t1 failed: incorrect state ({\"actual\":\"Halted\"}); copy: no space \
         (state \"bad\")"
    );
}

// A task that may not be looked at.

fn hidden() -> Answer {
    answer(403, &json!({ "error": "not enough privileges: task:read" }))
}

#[tokio::test]
async fn a_task_that_may_not_be_looked_at_is_a_note_at_every_door() {
    let upstream = site(hidden(), broken()).await;
    let mut client = client(&upstream).await;
    let says = |answer: &Value| {
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        let content = &answer["result"]["structuredContent"];
        let note = content["_note"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(note.contains("began, but may not be looked at"), "{note}");
        assert!(note.contains("not enough privileges: task:read"), "{note}");
        assert!(!note.contains("task_wait"), "waiting helps nobody: {note}");
        assert_eq!(content["task"]["handle"], HANDLE);
        assert_eq!(content["task"].get("running"), None, "nobody can tell: {answer}");
        assert_eq!(answer["result"]["content"][0]["text"], note);
    };
    says(&client.call(1, "run", json!({})).await);
    says(&client.call(2, "task_wait", json!({ "task": HANDLE })).await);
    let answer = client.call(3, "task_list", json!({})).await;
    let known = &answer["result"]["structuredContent"]["tasks"][0];
    assert_eq!(known.get("running"), None, "{answer}");
    assert!(known["trouble"].as_str().unwrap().contains("task:read"), "{answer}");
    // A script that needs what it cannot have says both.
    let answer = client.call(4, "nightly", json!({})).await;
    let said = failure(&answer);
    assert!(said.contains("it has no id") && said.contains("may not be looked at"), "{said}");
    let mut host = Client::connect(serve_tools(TOOLS, &upstream.url(), |_| {}));
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let get = with_capabilities(json!({ "taskId": format!("1795239235/{HANDLE}") }), tasks);
    let answer = host.request(1, "tasks/get", get).await;
    assert_eq!(answer["result"]["status"], "completed", "nobody looks for ever: {answer}");
    assert_eq!(answer["result"]["result"]["isError"], false, "{answer}");
    let note = answer["result"]["result"]["content"][0]["text"].as_str().unwrap();
    assert!(note.contains("may not be looked at"), "{note}");
}

// Stopping

async fn cancelled(tool: &str, task: Answer) -> (Vec<String>, Value) {
    let upstream = site(task, log(json!({ "state": "fine" }))).await;
    let bench = bench(&upstream);
    let handle: TaskHandle = format!("fake:{tool}:t1").parse().unwrap();
    let call = bench.gate.check_cancel(&handle).unwrap().admit().unwrap();
    let right = bench.gate.check_task(&handle).unwrap();
    let context = CallContext::default();
    let outcome = bench.executor.cancel_task(call, &handle, Some(&right), &context).await.unwrap();
    assert!(upstream.requests()[0].starts_with("POST /api/tasks/t1/stop "));
    (outcome.notes.clone(), value(outcome))
}

#[tokio::test]
async fn a_stop_that_does_not_stop_is_told_as_it_is() {
    let on = |stop_at: Value| answer(200, &json!({ "state": "on", "stop_at": stop_at }));
    let (notes, task) = cancelled("move", on(json!(1_795_000_000_000_u64))).await;
    let unheeded = "the request to stop was taken, but tasks of move cannot be stopped: it goes on to \
                    its end";
    assert_eq!(notes, [unheeded]);
    assert_eq!(
        (&task["task"]["running"], &task["task"]["stoppable"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(task["task"]["stop_requested"], true);
    let (notes, _) = cancelled("run", on(json!(7))).await;
    assert_eq!(notes, ["the API has noted the request to stop, and the task goes on so far"]);
    let (notes, _) = cancelled("run", on(json!(null))).await;
    assert_eq!(notes, ["the request to stop was taken, but the task does not show it and goes on"]);
    let (notes, _) = cancelled("run", hidden()).await;
    assert!(notes[1].contains("whether the task stops cannot be seen"), "{notes:?}");
    // Stopped is what the API says is stopped.
    let halted = |stop_at: Value| answer(200, &json!({ "state": "halted", "stop_at": stop_at }));
    let (notes, _) = cancelled("run", halted(json!(7))).await;
    assert_eq!(notes, ["the task was cancelled"]);
    let (notes, _) = cancelled("run", halted(json!(null))).await;
    assert!(notes[0].contains("does not say that it was stopped"), "{notes:?}");
    let (notes, _) = cancelled("move", done(json!({ "stop_at": 7 }))).await;
    assert_eq!(notes, ["the task was not stopped: it has ended with success"]);
}

#[tokio::test]
async fn who_waits_hears_that_a_task_cannot_be_stopped() {
    let on = answer(200, &json!({ "state": "on" }));
    let upstream = site(on, broken()).await;
    let mut client = client(&upstream).await;
    let answer = client.call(1, "move", json!({ "wait": 0 })).await;
    let note = answer["result"]["structuredContent"]["_note"].as_str().unwrap();
    assert!(note.contains("it cannot be stopped"), "{note}");
    let answer = client.call(2, "run", json!({ "wait": 0 })).await;
    let note = answer["result"]["structuredContent"]["_note"].as_str().unwrap();
    assert!(!note.contains("cannot be stopped"), "{note}");
    let answer = client.call(3, "task_cancel", json!({ "task": "fake:move:t1" })).await;
    let note = answer["result"]["structuredContent"]["_note"].as_str().unwrap();
    assert!(note.contains("tasks of move cannot be stopped"), "{note}");
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_a_failure() {
    let halted = answer(200, &json!({ "state": "halted" }));
    let upstream = site(halted, broken()).await;
    let error = bench(&upstream).call("move", json!({})).await.unwrap_err().for_model();
    assert_eq!(error, "the task fake:move:t1 failed (state \"halted\")");
    let halted = answer(200, &json!({ "state": "halted", "stop_at": 7 }));
    let upstream = site(halted, broken()).await;
    let error = bench(&upstream).call("move", json!({})).await.unwrap_err().for_model();
    assert_eq!(error, "the task fake:move:t1 was cancelled (state \"halted\")");
}

#[tokio::test]
async fn a_handle_shows_an_outcome_to_those_who_may_see_it() {
    let upstream = site(done(json!({})), broken()).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |settings| {
        settings.policy.exclude_tools = dadl_mcp::access::ToolPatterns::new(["list_logs"]).unwrap();
    });
    // Whoever began the task hears what became of it.
    let error = harness.call("run", json!({})).await.unwrap_err().for_model();
    assert_eq!(error, BROKEN);
    let right = harness.gate.check_task(&HANDLE.parse().unwrap()).unwrap();
    let context = CallContext::default().waiting(WaitBudget::AtOnce);
    let outcome = harness.executor.watch_task(&right, &context).await.unwrap();
    assert!(outcome.notes[0].contains("is not allowed"), "{:?}", outcome.notes);
}
