//! Tasks: waiting for them, progress and end, going on in another process, cancelling.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dadl_mcp::{
    access::{AccessLevels, AccessPolicy, ToolPatterns},
    config::BackendSettings,
    executor::{CallContext, CallError, OnDrop, WaitBudget},
    gate::{CallConsent, CallRefusal},
    outcome::{
        AnswerPayload, CallObserver, CallOutcome, CallProgress,
        task_report::{TaskHandle, TaskReport},
    },
    shares::ClientKey,
};
use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

/// An API that decides by the body, and shows failed tasks with a status of their own.
pub(crate) const TOOLS: &str = api!(
    top: r#"
requires: { features: [composites, redact] }
_dadl_mcp:
  tasks:
    only: [backup, secret, listed]
    started: { status: [200, 201], when: ['$.status == "PENDING"', '$.status == "STARTED"'] }
    id: $.task_id
    watch: { tool: task_status, arguments: { id: "{task}" }, poll: [100ms] }
    state:
      path: $.status
      running: [PENDING, STARTED]
      succeeded: [SUCCESS]
      failed: [FAILURE]
      cancelled: [REVOKED]
    result: $.result
    error: [$.result.detail, $.result.message, $.result]
    progress: $.progress
    cancel: { tool: task_cancel, arguments: { id: "{task}", force: false } }
    max_wait: 1h"#,
    backend: r#"
  defaults:
    errors: { message_path: "$.detail", retry_on: [503] }
  tools:
    backup: { method: POST, path: "/vm/{vm}/backup/", access: write, description: "Backs up.", params: { vm: { type: string, in: path } }, response: { result_path: $.result, allow_jq_override: true } }
    secret: { method: POST, path: /secret/, access: write, description: "Makes a secret.", response: { result_path: $.result, transform: "{token: .token, name: .name}", redact: [$.token] } }
    listed: { method: POST, path: /listed/, access: write, description: "Has a wait.", params: { wait: { type: string, in: body } }, response: { max_items: 2 } }
    task_status: { method: GET, path: "/task/{id}/status/", access: read, description: "A task.", params: { id: { type: string, in: path } }, response: { redact: [$.password] } }
    task_cancel: { method: PUT, path: "/task/{id}/cancel/", access: write, description: "Cancels.", params: { id: { type: string, in: path }, force: { type: boolean, in: body } } }
  composites:
    both:
      description: "Backs up."
      access: write
      timeout: 5s
      code: |
        try { return { got: await api.backup({ vm: "a" }) }; } catch (error) { return { error: error.message, code: error.code }; }
    hasty:
      description: "Has no time."
      access: write
      timeout: 1s
      code: |
        const code = async wait => { try { return await api.backup({ vm: "a", ...wait }); } catch (error) { return error.code; } };
        return [await code({ wait: 0 }), await code({ wait: 600 })];
"#
);

pub(crate) fn pending() -> Answer {
    Answer::json(201, r#"{"task_id":"1-a:b","status":"PENDING","result":null}"#)
}

pub(crate) fn state(status: u16, body: Value) -> Answer {
    Answer::json(status, &body.to_string())
}

pub(crate) fn success(result: Value) -> Answer {
    state(200, json!({ "task_id": "1-a:b", "status": "SUCCESS", "result": result }))
}

fn bench(url: &str) -> Harness {
    bench_with(url, |_| {})
}

fn bench_with(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
    Harness::new(TOOLS, url, Fixed(Ok(String::new())), change)
}

/// Calls `backup` of a backend that gives `answers`; the lines of its requests come too.
async fn backup(
    answers: Vec<Answer>,
    wait: Value,
) -> (Result<CallOutcome, CallError>, Vec<String>) {
    let upstream = Upstream::start(answers).await;
    let outcome = bench(&upstream.url()).call("backup", with_wait(wait)).await;
    (outcome, lines(&upstream))
}

fn with_wait(wait: Value) -> Value {
    let mut arguments = json!({ "vm": "web" });
    if !wait.is_null() {
        arguments["wait"] = wait;
    }
    arguments
}

pub(crate) fn lines(upstream: &Upstream) -> Vec<String> {
    let line = |request: String| request.lines().next().unwrap().replace(" HTTP/1.1", "");
    upstream.requests().into_iter().map(line).collect()
}

fn value(outcome: CallOutcome) -> Value {
    match outcome.payload {
        AnswerPayload::Json(text) => text.value().unwrap(),
        AnswerPayload::Task(report) => report.to_value(),
        other => panic!("{other:?}"),
    }
}

/// The context of a call that waits so long, and that nobody hears.
fn waiting(budget: WaitBudget) -> CallContext<'static> {
    CallContext::default().waiting(budget)
}

/// Notes what a call reports.
#[derive(Default)]
struct Heard(Mutex<Vec<TaskReport>>);

impl CallObserver for Heard {
    fn progress(&self, _: CallProgress) {}

    fn task(&self, report: &TaskReport) {
        self.0.lock().unwrap().push(report.clone());
    }
}

const STARTED: &str = "POST /api/vm/web/backup/";
const LOOK: &str = "GET /api/task/1-a%3Ab/status/";

#[tokio::test]
async fn a_call_waits_for_its_task_and_gives_the_result() {
    let running = state(201, json!({ "status": "STARTED", "result": null }));
    let answers = vec![pending(), running, success(json!({ "name": "b1", "size": 12 }))];
    let (outcome, lines) = backup(answers, json!(null)).await;
    assert_eq!(value(outcome.unwrap()), json!({ "name": "b1", "size": 12 }));
    assert_eq!(lines, [STARTED, LOOK, LOOK]);
}

#[tokio::test]
async fn an_answer_that_began_no_task_is_the_result() {
    let (outcome, lines) = backup(vec![success(json!([1]))], json!(null)).await;
    assert_eq!(value(outcome.unwrap()), json!([1]), "201 alone is no task");
    assert_eq!(lines, [STARTED]);
}

#[tokio::test]
async fn a_task_without_a_result_gives_its_end() {
    let (outcome, _) = backup(vec![pending(), success(json!(null))], json!(null)).await;
    let task = json!({ "handle": "fake:backup:1-a:b", "id": "1-a:b", "running": false, "state": "SUCCESS" });
    assert_eq!(value(outcome.unwrap()), json!({ "task": task }));
}

#[tokio::test]
async fn a_failure_is_the_apis_own() {
    let error = |body: Value, status| async move {
        let (outcome, lines) = backup(vec![pending(), state(status, body)], json!(null)).await;
        assert_eq!(lines, [STARTED, LOOK], "a task that ended is not looked at again");
        outcome.unwrap_err().for_model()
    };
    let full = json!({ "status": "FAILURE", "result": { "message": "x", "detail": "no space" } });
    assert_eq!(
        error(full.clone(), 400).await,
        "the task fake:backup:1-a:b failed: no space (state \"FAILURE\")"
    );
    assert_eq!(
        error(full, 200).await,
        "the task fake:backup:1-a:b failed: no space (state \"FAILURE\")"
    );
    assert_eq!(
        error(json!({ "status": "REVOKED", "result": null }), 410).await,
        "the task fake:backup:1-a:b was cancelled (state \"REVOKED\")"
    );
}

#[tokio::test]
async fn an_unknown_state_and_a_missing_id_are_errors() {
    let (outcome, lines) =
        backup(vec![pending(), state(200, json!({ "status": "PAUSED" }))], json!(null)).await;
    assert_eq!(
        outcome.unwrap_err().for_model(),
        "the task fake:backup:1-a:b goes on, perhaps: what `task_status` shows is in the state \
         \"PAUSED\", which the descriptor does not know (it knows PENDING, STARTED, SUCCESS, \
         FAILURE, REVOKED)"
    );
    assert_eq!(lines.len(), 2, "nobody looks for a state that will never be known");
    let (outcome, _) = backup(vec![state(201, json!({ "status": "PENDING" }))], json!(null)).await;
    assert_eq!(
        outcome.unwrap_err().for_model(),
        "the call began a task, but in its answer there is no id at $.task_id; the task goes on \
         unseen"
    );
}

#[tokio::test]
async fn over_budget_the_handle_is_the_result() {
    let running = || state(201, json!({ "status": "STARTED", "progress": 40 }));
    let open = json!({
        "handle": "fake:backup:1-a:b", "id": "1-a:b", "running": true, "state": "STARTED",
        "progress": 40,
    });
    let (outcome, lines) = backup(vec![pending(), running()], json!(1)).await;
    assert_eq!(value(outcome.unwrap()), json!({ "task": open }));
    assert!(lines.len() > 2 && lines[1..].iter().all(|line| line == LOOK), "{lines:?}");
    let (outcome, lines) = backup(vec![pending(), running()], json!(0)).await;
    let unseen = json!({ "handle": "fake:backup:1-a:b", "id": "1-a:b", "running": true });
    assert_eq!(value(outcome.unwrap()), json!({ "task": unseen }));
    assert_eq!(lines, [STARTED]);
    // The setting of the backend, where the call says nothing.
    let upstream = Upstream::start(vec![pending(), running()]).await;
    let bench = bench_with(&upstream.url(), |it| it.task_wait = Duration::from_millis(300));
    assert_eq!(value(bench.call("backup", with_wait(json!(null))).await.unwrap())["task"], open);
    // No call waits longer than the descriptor allows.
    let short = TOOLS.replace("max_wait: 1h", "max_wait: 300ms");
    let upstream = Upstream::start(vec![pending(), running()]).await;
    let bench = Harness::new(&short, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    assert_eq!(value(bench.call("backup", with_wait(json!(99_999))).await.unwrap())["task"], open);
}

#[tokio::test]
async fn the_wait_of_a_call_is_checked() {
    let bench = bench("http://127.0.0.1:9");
    let refusal = |arguments: Value| {
        let Value::Object(arguments) = arguments else { panic!() };
        bench.gate.check("backup", arguments).map(drop).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(refusal(json!({ "vm": "a", "wait": "30" })), Ok(()));
    assert!(refusal(json!({ "vm": "a", "wait": -1 })).unwrap_err().contains("cannot be negative"));
    assert!(refusal(json!({ "vm": "a", "wait": 1.5 })).is_err());
    let properties = |tool: &str| {
        let schema = bench.gate.catalog().find(tool).unwrap().input_schema();
        schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(properties("backup"), ["vm", "jq", "wait"]);
    assert_eq!(properties("listed"), ["wait", "wait_seconds"], "a parameter keeps its name");
    assert_eq!(properties("task_status"), ["id"]);
    assert_eq!(properties("both"), [] as [String; 0]);
}

#[tokio::test]
async fn the_rules_of_the_tool_apply_to_the_result() {
    let result = json!({ "token": "s3cr3t", "name": "n", "password": "p", "more": 1 });
    let upstream = Upstream::start(vec![pending(), success(result.clone())]).await;
    let bench = bench(&upstream.url());
    let made = bench.value("secret", json!({})).await;
    assert_eq!(made, json!({ "token": "[REDACTED]", "name": "n" }));
    let upstream = Upstream::start(vec![pending(), success(json!([1, 2, 3]))]).await;
    let outcome = self::bench(&upstream.url()).call("listed", json!({})).await.unwrap();
    assert_eq!(outcome.notes.len(), 1, "cut to two items: {:?}", outcome.notes);
    assert_eq!(value(outcome), json!([1, 2]));
    let upstream = Upstream::start(vec![
        pending(),
        success(json!({ "id": 12345678901234567890_u64, "x": 1 })),
    ])
    .await;
    let arguments = json!({ "vm": "web", "jq": ".id" });
    assert_eq!(
        self::bench(&upstream.url()).value("backup", arguments).await.to_string(),
        "12345678901234567890"
    );
}

#[tokio::test]
async fn a_reason_does_not_show_what_the_tool_hides() {
    let failed = json!({ "status": "FAILURE", "result": { "token": "s3cr3t", "why": "x" } });
    let upstream = Upstream::start(vec![pending(), state(400, failed)]).await;
    let error = bench(&upstream.url()).call("secret", json!({})).await.unwrap_err().for_model();
    assert!(error.contains(r#"{"token":"[REDACTED]","why":"x"}"#), "{error}");
}

#[tokio::test]
async fn trouble_on_the_way_loses_no_task() {
    let down = || Answer::json(503, r#"{"detail":"update"}"#);
    let busy = Answer::full(429, &[("Retry-After", "1")], b"slow down");
    let cut = Answer::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec());
    let answers = vec![pending(), down(), busy, cut, success(json!(7))];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url());
    let heard = Heard::default();
    let arguments = json!({ "vm": "web" }).as_object().unwrap().clone();
    let call = bench.gate.check("backup", arguments).unwrap().admit().unwrap();
    let outcome = bench.executor.execute(call, &CallContext::heard_by(&heard)).await.unwrap();
    assert_eq!(value(outcome), json!(7));
    let troubles: Vec<bool> =
        heard.0.lock().unwrap().iter().map(|report| report.trouble.is_some()).collect();
    assert_eq!(troubles, [false, true, true, true, false]);
    // One that says that there is no such task is believed.
    let gone = Answer::json(404, r#"{"detail":"Task does not exist"}"#);
    let (outcome, lines) = backup(vec![pending(), gone], json!(null)).await;
    let error = outcome.unwrap_err().for_model();
    assert!(error.contains("the task fake:backup:1-a:b goes on, perhaps"), "{error}");
    assert!(error.contains("HTTP 404: Task does not exist"), "{error}");
    assert_eq!(lines.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_come_back_ends_the_waiting() {
    // Whether it says so or says nothing.
    let upstream = Upstream::start(vec![Answer::json(503, r#"{"detail":"update"}"#)]).await;
    let bench = bench(&upstream.url());
    let handle: TaskHandle = "fake:backup:1-a:b".parse().unwrap();
    let right = bench.gate.check_task(&handle).unwrap();
    let started = Instant::now();
    let outcome = bench.executor.watch_task(&right, &waiting(WaitBudget::Longest)).await.unwrap();
    let elapsed = started.elapsed().as_secs();
    assert!((120..600).contains(&elapsed), "after {elapsed} s of an hour");
    let task = &value(outcome)["task"];
    assert_eq!((&task["handle"], &task["running"]), (&json!("fake:backup:1-a:b"), &json!(true)));
    assert!(task["trouble"].as_str().unwrap().starts_with("the last look failed: "), "{task}");
}

#[tokio::test]
async fn progress_is_reported_at_every_look() {
    let at = |percent| state(201, json!({ "status": "STARTED", "progress": percent }));
    let answers = vec![pending(), at(10), at(10), at(70), success(json!(null))];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url());
    let heard = Heard::default();
    let arguments = json!({ "vm": "web" }).as_object().unwrap().clone();
    let call = bench.gate.check("backup", arguments).unwrap().admit().unwrap();
    bench.executor.execute(call, &CallContext::heard_by(&heard)).await.unwrap();
    let heard = heard.0.lock().unwrap();
    let done: Vec<u64> = heard.iter().map(|report| report.progress().done).collect();
    assert_eq!(done, [0, 10, 10, 70, 100], "the end as well");
    assert_eq!(heard[3].summary(), "STARTED, 70 %");
    assert_eq!((heard[4].summary().as_str(), heard[4].is_running), ("SUCCESS, 100 %", false));
    let named =
        |report: &TaskReport| report.progress().message.starts_with("task fake:backup:1-a:b: ");
    assert!(heard.iter().all(named), "whoever gives up knows the handle");
}

/// Waits until `count` requests have come.
pub(crate) async fn requests(upstream: &Upstream, count: usize) {
    while upstream.requests().len() < count {
        upstream.request_arrived().await;
    }
}

#[tokio::test]
async fn a_failed_task_is_told_to_its_end() {
    let failed = state(400, json!({ "status": "FAILURE", "progress": 40 }));
    let upstream = Upstream::start(vec![pending(), failed]).await;
    let bench = bench(&upstream.url());
    let heard = Heard::default();
    let arguments = json!({ "vm": "web" }).as_object().unwrap().clone();
    let call = bench.gate.check("backup", arguments).unwrap().admit().unwrap();
    bench.executor.execute(call, &CallContext::heard_by(&heard)).await.unwrap_err();
    let last = heard.0.lock().unwrap().pop().unwrap();
    assert_eq!((last.summary().as_str(), last.is_running), ("FAILURE, 40 %", false));
}

#[tokio::test]
async fn the_usual_wait_counts_from_when_the_call_came() {
    let upstream = Upstream::start(vec![pending(), pending(), running()]).await;
    let bench = bench_with(&upstream.url(), |it| it.task_wait = Duration::from_secs(20));
    let call = || {
        let arguments = json!({ "vm": "web" }).as_object().unwrap().clone();
        bench.gate.check("backup", arguments).unwrap().admit().unwrap()
    };
    let before = Instant::now().checked_sub(Duration::from_secs(20)).unwrap();
    // A person's answer, a turn and the request itself took all of it.
    let context = CallContext { since: before, ..CallContext::default() };
    let outcome = bench.executor.execute(call(), &context).await.unwrap();
    assert_eq!(value(outcome)["task"]["running"], true);
    assert_eq!(lines(&upstream), [STARTED], "the handle comes at once");
    // What a caller asks for counts from now.
    let context = context.waiting(WaitBudget::For(Duration::from_millis(300)));
    bench.executor.execute(call(), &context).await.unwrap();
    assert!(lines(&upstream).len() > 2);
}

#[tokio::test]
async fn what_was_begun_is_listed_for_whoever_began_it() {
    let upstream = Upstream::start(vec![pending(), success(json!(1))]).await;
    let bench = bench(&upstream.url());
    let client = |session: &str| ClientKey { host: "h".to_owned(), session: session.to_owned() };
    let arguments = json!({ "vm": "web" }).as_object().unwrap().clone();
    let call = bench.gate.check("backup", arguments).unwrap().admit().unwrap();
    let context = waiting(WaitBudget::AtOnce).of(client("1"));
    bench.executor.execute(call, &context).await.unwrap();
    let begun = bench.executor.begun(&client("1")).remove(0);
    assert_eq!((&begun["task"], &begun["running"]), (&json!("fake:backup:1-a:b"), &json!(true)));
    assert_eq!((&begun["tool"], begun.get("seen")), (&json!("backup"), None));
    assert!(bench.executor.begun(&client("2")).is_empty());
    // Whoever looks, the list says how it was last seen.
    let right = bench.gate.check_task(&"fake:backup:1-a:b".parse().unwrap()).unwrap();
    bench.executor.watch_task(&right, &waiting(WaitBudget::Usual)).await.unwrap();
    let begun = bench.executor.begun(&client("1")).remove(0);
    assert_eq!((&begun["state"], &begun["running"]), (&json!("SUCCESS"), &json!(false)));
    assert!(bench.executor.begun(&ClientKey::only()).is_empty(), "it began nothing");
}

#[tokio::test]
async fn a_dropped_call_leaves_its_task() {
    let upstream = Upstream::start(vec![pending(), success(json!(null))]).await;
    let bench = begun_and_dropped(&upstream, false).await;
    dadl_mcp::http::settled().await;
    assert!(lines(&upstream).iter().all(|line| !line.starts_with("PUT ")));
    assert_eq!(bench.executor.begun(&ClientKey::only())[0]["task"], "fake:backup:1-a:b");
}

#[tokio::test]
async fn a_call_that_a_person_stops_asks_its_task_to_stop() {
    let upstream = Upstream::start(vec![pending(), success(json!(null))]).await;
    let bench = begun_and_dropped(&upstream, true).await;
    requests(&upstream, 2).await;
    let cancel = upstream.requests().pop().unwrap();
    assert!(cancel.starts_with("PUT /api/task/1-a%3Ab/cancel/ "), "{cancel}");
    assert!(cancel.ends_with("{\"force\":false}"), "{cancel}");
    drop(bench);
}

/// Begins a task and drops the call that waits for it, which a person stops or not.
async fn begun_and_dropped(upstream: &Upstream, is_stopped: bool) -> Harness {
    let bench = bench(&upstream.url());
    let heard = Heard::default();
    let arguments = json!({ "vm": "web" }).as_object().unwrap().clone();
    let call = bench.gate.check("backup", arguments).unwrap().admit().unwrap();
    let context = CallContext::heard_by(&heard).waiting(WaitBudget::Longest);
    let begun = async {
        while heard.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = bench.executor.execute(call, &context) => panic!("it is not over"),
        () = async {
            begun.await;
            if is_stopped {
                context.on_drop.stop();
            }
        } => {}
    }
    bench
}

#[tokio::test]
async fn a_handle_is_enough_to_go_on() {
    let handle: TaskHandle = "fake:secret:1-a:b".parse().unwrap();
    let running = state(201, json!({ "status": "STARTED" }));
    let result = json!({ "token": "s3cr3t", "name": "n" });
    let answers = vec![running.clone(), running, success(result)];
    let upstream = Upstream::start(answers).await;
    // Nothing began a task here.
    let bench = bench(&upstream.url());
    let right = bench.gate.check_task(&handle).unwrap();
    let once = bench.executor.watch_task(&right, &waiting(WaitBudget::AtOnce)).await.unwrap();
    assert_eq!(value(once)["task"]["state"], "STARTED");
    let ended = bench.executor.watch_task(&right, &waiting(WaitBudget::Usual)).await.unwrap();
    assert_eq!(value(ended), json!({ "token": "[REDACTED]", "name": "n" }), "its rules apply");
    assert_eq!(lines(&upstream), [LOOK, LOOK, LOOK]);
}

#[tokio::test]
async fn the_gate_refuses_what_is_no_task_or_not_allowed() {
    let refusal = |bench: &Harness, handle: &str| {
        let handle: TaskHandle = handle.parse().unwrap();
        bench.gate.check_task(&handle).map(drop).unwrap_err()
    };
    let bench = bench("http://127.0.0.1:9");
    let text = |handle: &str| refusal(&bench, handle).to_string();
    assert_eq!(
        text("xo:backup:1"),
        "there is no task \"xo:backup:1\": no backend \"xo\" has tasks"
    );
    assert_eq!(
        text("fake:task_cancel:1"),
        "there is no task \"fake:task_cancel:1\": backend \"fake\" has no tool \"task_cancel\" that \
         begins tasks"
    );
    let levels = |words: &[&str]| AccessPolicy {
        levels: AccessLevels::new(words.iter().copied()),
        ..AccessPolicy::default()
    };
    let handle: TaskHandle = "fake:backup:1".parse().unwrap();
    // A process that may only write cannot look at what another has begun.
    let bench = bench_with("http://127.0.0.1:9", |it| it.policy = levels(&["write"]));
    assert!(matches!(refusal(&bench, "fake:backup:1"), CallRefusal::Denied { .. }));
    // One that may only read looks, and cancels nothing.
    let bench = bench_with("http://127.0.0.1:9", |it| it.policy = levels(&["read"]));
    assert!(bench.gate.check_task(&handle).is_ok());
    assert!(matches!(bench.gate.check_cancel(&handle), Err(CallRefusal::Denied { .. })));
    // What `tools` leaves out is not listed, but a task can be looked at.
    let bench = bench_with("http://127.0.0.1:9", |it| {
        it.policy.tools = Some(ToolPatterns::new(["backup"]).unwrap());
    });
    assert!(bench.gate.check_task(&handle).is_ok() && bench.gate.check_cancel(&handle).is_ok());
    let bench = bench_with("http://127.0.0.1:9", |it| {
        it.policy.exclude_tools = ToolPatterns::new(["task_*"]).unwrap();
    });
    assert!(matches!(refusal(&bench, "fake:backup:1"), CallRefusal::Denied { .. }));
}

#[tokio::test]
async fn watching_belongs_to_the_call_that_was_allowed() {
    let upstream = Upstream::start(vec![pending(), success(json!(1))]).await;
    let bench = bench_with(&upstream.url(), |it| {
        it.policy =
            AccessPolicy { levels: AccessLevels::new(["write"]), ..AccessPolicy::default() };
    });
    assert_eq!(bench.value("backup", json!({ "vm": "web" })).await, json!(1));
}

#[tokio::test]
async fn a_composite_gets_the_end_of_a_task() {
    let upstream = Upstream::start(vec![pending(), success(json!({ "name": "b1" }))]).await;
    let outcome = bench(&upstream.url()).value("both", json!({})).await;
    assert_eq!(outcome, json!({ "got": { "name": "b1" } }));
    let failed = state(400, json!({ "status": "FAILURE", "result": "no lock" }));
    let upstream = Upstream::start(vec![pending(), failed]).await;
    let outcome = bench(&upstream.url()).value("both", json!({})).await;
    assert_eq!(outcome, json!({ "error": "no lock", "code": "internal" }));
}

#[tokio::test]
async fn a_composite_that_has_no_time_left_leaves_the_task_alone() {
    let upstream = Upstream::start(vec![pending(), pending(), running(), pending()]).await;
    // Each look and each further call is answered alike.
    let outcome = bench(&upstream.url()).value("hasty", json!({})).await;
    assert_eq!(outcome[0]["task"]["handle"], "fake:backup:1-a:b");
    assert_eq!(outcome[1], "timeout");
    dadl_mcp::http::settled().await;
    assert!(lines(&upstream).iter().all(|line| !line.starts_with("PUT ")));
}

fn running() -> Answer {
    state(201, json!({ "status": "STARTED" }))
}

#[tokio::test]
async fn cancelling_says_what_became_of_the_task() {
    let handle: TaskHandle = "fake:backup:1-a:b".parse().unwrap();
    let revoked = || state(410, json!({ "status": "REVOKED", "result": null }));
    let taken = || state(200, json!({ "status": "STARTED" }));
    let cancel = |answers| {
        let handle = handle.clone();
        async move {
            let upstream = Upstream::start(answers).await;
            let bench = bench(&upstream.url());
            let call = bench.gate.check_cancel(&handle).unwrap().admit().unwrap();
            let right = bench.gate.check_task(&handle).unwrap();
            let outcome = bench
                .executor
                .cancel_task(call, &handle, Some(&right), &CallContext::default())
                .await;
            outcome.map(|outcome| (outcome.notes.clone(), value(outcome)))
        }
    };
    let (notes, task) = cancel(vec![taken(), revoked()]).await.unwrap();
    assert_eq!(notes, ["the task was cancelled"]);
    assert_eq!(
        (&task["task"]["state"], &task["task"]["running"]),
        (&json!("REVOKED"), &json!(false))
    );
    let (notes, _) = cancel(vec![taken(), success(json!(1))]).await.unwrap();
    assert_eq!(notes, ["the task was not stopped: it has ended with success"]);
    let refused = Answer::json(406, r#"{"detail":"not cancelable"}"#);
    let error = cancel(vec![refused]).await.unwrap_err().for_model();
    assert!(error.contains("HTTP 406: not cancelable"), "{error}");
}

// Xen Orchestra

/// The simulator, and a backend for it with the descriptor of the program.
async fn xen_orchestra(task_duration: Duration) -> (XenOrchestra, Harness) {
    let options = SimulatorOptions { task_duration, record: true, ..SimulatorOptions::default() };
    let simulator = XenOrchestra::start(options).await.unwrap();
    let text = include_str!("../../dadl/xen-orchestra.dadl");
    let token = Fixed(Ok(simulator.token().to_owned()));
    let harness = Harness::new(text, &simulator.url(), token, |_| {});
    (simulator, harness)
}

async fn id_of(bench: &Harness, list: &str, name: &str) -> String {
    let arguments = json!({ "filter": format!("name_label:{name}"), "fields": "id" });
    bench.value(list, arguments).await[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_action_of_xen_orchestra_gives_its_end_at_once() {
    // Polls alone would find the end a second later; nothing here waits for one.
    let (simulator, bench) = xen_orchestra(Duration::from_millis(40)).await;
    let vm = id_of(&bench, "list_vms", "web-06").await;
    let started = value(bench.call("start_vm", json!({ "uuid": vm })).await.unwrap());
    assert_eq!(started["task"]["state"], "success", "{started}");
    let snapshot = bench.value("snapshot_vm", json!({ "uuid": vm, "name_label": "s" })).await;
    let id = snapshot["id"].as_str().unwrap();
    assert_eq!(bench.value("get_vm_snapshot", json!({ "uuid": id })).await["name_label"], "s");
    let polls: Vec<String> = simulator
        .take_requests()
        .into_iter()
        .map(|request| request.target)
        .filter(|target| target.contains("/tasks/"))
        .collect();
    assert!(polls.iter().all(|target| target.ends_with("wait=true")), "{polls:?}");
    let vm = id_of(&bench, "list_vms", "broken-01").await;
    let error = bench.call("start_vm", json!({ "uuid": vm })).await.unwrap_err().for_model();
    assert!(error.contains("failed: NO_HOSTS_AVAILABLE"), "{error}");
    assert!(error.ends_with("(state \"failure\")"), "{error}");
    // XO's own way to wait still works, though it is not listed.
    let outcome = bench
        .call(
            "clean_shutdown_vm",
            json!({ "uuid": id_of(&bench, "list_vms", "web-06").await, "sync": true }),
        )
        .await;
    assert!(matches!(outcome.unwrap().payload, AnswerPayload::Empty));
}

#[tokio::test]
async fn a_rolling_update_shows_its_parts_and_a_migration_does_not() {
    let (simulator, bench) = xen_orchestra(Duration::from_secs(3600)).await;
    let bench = Arc::new(bench);
    let follow = async |tool: &'static str, arguments: Value, until: fn(&TaskReport) -> bool| {
        let heard = Arc::new(Heard::default());
        let (running, observer) = (Arc::clone(&bench), Arc::clone(&heard));
        let call = tokio::spawn(async move {
            let arguments = arguments.as_object().unwrap().clone();
            let pending = running.gate.check(tool, arguments).unwrap();
            let consent = CallConsent::given_for(pending.digest());
            let call = pending.admit_with(&consent).unwrap();
            running.executor.execute(call, &CallContext::heard_by(&*observer)).await.map(drop)
        });
        while !heard.0.lock().unwrap().iter().any(until) {
            tokio::task::yield_now().await;
        }
        simulator.end_tasks();
        call.await.unwrap().unwrap();
        let heard = heard.0.lock().unwrap();
        // What was seen last before the end, which is always all of it.
        let mut running = heard.iter().rev().filter(|report| report.is_running);
        running.find_map(|report| report.glimpse.clone()).unwrap()
    };
    let pool = id_of(&bench, "list_pools", "Production").await;
    let glimpse = follow("rolling_update_pool", json!({ "pool_id": pool }), |it| {
        it.glimpse.as_ref().is_some_and(|glimpse| glimpse.percent.is_some())
    });
    let glimpse = glimpse.await;
    assert_eq!(glimpse.message.as_deref(), Some("REST API: rolling pool update"));
    assert_eq!(glimpse.steps[1].name, "Restarting hosts");
    let vm = id_of(&bench, "list_vms", "web-01").await;
    let host = id_of(&bench, "list_hosts", "xcp-02").await;
    let arguments = json!({ "uuid": vm, "hostId": host });
    let glimpse = follow("migrate_vm", arguments, |it| it.glimpse.is_some()).await;
    assert_eq!((glimpse.percent, glimpse.steps.len()), (None, 0));
}

#[tokio::test]
async fn an_action_of_xen_orchestra_goes_on_when_a_person_stops_it() {
    let (simulator, bench) = xen_orchestra(Duration::from_secs(3600)).await;
    let vm = id_of(&bench, "list_vms", "web-06").await;
    let heard = Arc::new(Heard::default());
    let (gate, executor, observer) =
        (bench.gate.clone(), bench.executor.clone(), Arc::clone(&heard));
    let arguments = json!({ "uuid": vm }).as_object().unwrap().clone();
    let on_drop = OnDrop::default();
    on_drop.stop();
    let call = tokio::spawn(async move {
        let call = gate.check("start_vm", arguments).unwrap().admit().unwrap();
        let context = CallContext { on_drop, ..CallContext::heard_by(&*observer) };
        executor.execute(call, &context).await.map(drop)
    });
    let handle = loop {
        let begun = heard.0.lock().unwrap().first().map(|report| report.handle.clone());
        match begun {
            Some(handle) => break handle,
            None => tokio::task::yield_now().await,
        }
    };
    call.abort();
    let task = json!({ "id": handle.id });
    let asked = async || {
        let task = bench.value("get_task", task.clone()).await;
        assert_eq!(task["status"], "pending");
        task["abortionRequestedAt"].is_number()
    };
    while !asked().await {}
    simulator.end_tasks();
    let right = bench.gate.check_task(&handle).unwrap();
    bench.executor.watch_task(&right, &waiting(WaitBudget::Longest)).await.unwrap();
    let vm = bench.value("get_vm", json!({ "uuid": vm })).await;
    assert_eq!(vm["power_state"], "Running");
}
