//! Tasks as hosts see them: the built-in tools, progress, cancellation, and the tasks of the
//! protocol, over stdio and HTTP and in both eras.

use std::time::Duration;

use dadl_mcp::{
    access::{AccessLevels, AccessPolicy, ToolPatterns},
    config::BackendSettings,
    http::settled,
};
use serde_json::{Value, json};

use crate::{
    mcp_http::Site,
    mcp_support::{Client, failure, serve_tools, text, with_capabilities, with_meta},
    tasks::{TOOLS, lines, pending, requests, state, success},
    upstream::{Answer, Upstream},
};

const HANDLE: &str = "fake:backup:1-a:b";
const CANCEL: &str = "PUT /api/task/1-a%3Ab/cancel/";

fn running() -> Answer {
    state(201, json!({ "status": "STARTED", "progress": 40 }))
}

async fn client(upstream: &Upstream) -> Client {
    Client::legacy(serve_tools(TOOLS, &upstream.url(), |_| {}), json!({})).await
}

/// The tools that a policy leaves to list.
async fn listed(policy: AccessPolicy) -> Vec<String> {
    let served = serve_tools(TOOLS, "http://127.0.0.1:9", |it| it.policy = policy);
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.request(1, "tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_built_in_tools_are_listed_where_they_are_needed() {
    let levels = |words: &[&str]| AccessPolicy {
        levels: AccessLevels::new(words.iter().copied()),
        ..AccessPolicy::default()
    };
    let all = listed(levels(&["all"])).await;
    assert_eq!(all[all.len() - 4..], ["task_wait", "task_cancel", "task_list", "read_result"]);
    // A tool of the descriptor that is called so gets another name.
    assert!(all.iter().any(|name| name.starts_with("task_cancel_")), "{all:?}");
    assert_eq!(
        listed(levels(&["read"])).await,
        ["task_status", "read_result"],
        "nothing begins a task"
    );
    let only = AccessPolicy {
        tools: Some(ToolPatterns::new(["backup"]).unwrap()),
        ..levels(&["read", "write"])
    };
    assert_eq!(
        listed(only).await,
        ["backup", "task_wait", "task_cancel", "task_list", "read_result"]
    );
    let excluded = AccessPolicy {
        exclude_tools: ToolPatterns::new(["task_*", "both", "hasty"]).unwrap(),
        ..levels(&["all"])
    };
    assert_eq!(listed(excluded).await, ["backup", "secret", "listed", "read_result"]);
}

#[tokio::test]
async fn over_budget_another_process_goes_on() {
    let upstream = Upstream::start(vec![pending(), running(), success(json!({ "n": 1 }))]).await;
    let mut first = client(&upstream).await;
    let answer = first.call(1, "backup", json!({ "vm": "web", "wait": 0 })).await;
    let task = json!({ "handle": HANDLE, "id": "1-a:b", "running": true });
    assert_eq!(answer["result"]["structuredContent"]["task"], task);
    assert_eq!(answer["result"]["isError"], false);
    let advice = answer["result"]["structuredContent"]["_note"].as_str().unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], advice);
    let expected = format!("the task goes on: call task_wait with {{\"task\":\"{HANDLE}\"}}");
    assert!(advice.starts_with(&expected), "{advice}");
    drop(first);
    let mut second = client(&upstream).await;
    let answer = second.call(1, "task_wait", json!({ "task": HANDLE, "wait": 0 })).await;
    assert_eq!(answer["result"]["structuredContent"]["task"]["progress"], 40);
    let answer = second.call(2, "task_wait", json!({ "task": HANDLE })).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "n": 1 }));
    assert_eq!(text(&answer), r#"{"n":1}"#);
}

#[tokio::test]
async fn a_failure_is_one_and_a_wrong_handle_is_refused() {
    let failed = state(400, json!({ "status": "FAILURE", "result": { "detail": "no space" } }));
    let upstream = Upstream::start(vec![pending(), failed]).await;
    let mut client = client(&upstream).await;
    let expected = format!("the task {HANDLE} failed: no space (state \"FAILURE\")");
    let answer = client.call(1, "backup", json!({ "vm": "web" })).await;
    assert_eq!(failure(&answer), expected);
    let answer = client.call(2, "task_wait", json!({ "task": HANDLE })).await;
    assert_eq!(failure(&answer), expected);
    let count = upstream.requests().len();
    for (handle, reason) in [
        ("1-a:b", "this is no handle of a task"),
        ("fake:backup:../../x y", "this is no handle of a task"),
        ("xo:backup:1", "no backend \"xo\" has tasks"),
        ("fake:task_status:1", "has no tool \"task_status\" that begins tasks"),
    ] {
        for tool in ["task_wait", "task_cancel"] {
            let answer = client.call(3, tool, json!({ "task": handle })).await;
            assert!(failure(&answer).contains(reason), "{tool}: {answer}");
        }
    }
    assert_eq!(upstream.requests().len(), count, "nothing was sent");
}

#[tokio::test]
async fn progress_says_how_far_the_task_is() {
    let at = |percent| state(201, json!({ "status": "STARTED", "progress": percent }));
    let upstream =
        Upstream::start(vec![pending(), at(10), at(10), at(10), at(10), at(70), success(json!(1))])
            .await;
    let mut client = client(&upstream).await;
    let call = json!({
        "name": "backup", "arguments": { "vm": "web" }, "_meta": { "progressToken": "p" }
    });
    client.start(1, "tools/call", call).await;
    let (mut last, mut messages) = (-1.0, Vec::new());
    loop {
        let message = client.receive().await;
        let Some(progress) = message["params"]["progress"].as_f64() else {
            assert_eq!(text(&message), "1");
            break;
        };
        assert!(progress > last, "values grow");
        last = progress;
        messages.push(message["params"]["message"].as_str().unwrap().to_owned());
        if progress >= 1.0 {
            assert_eq!(message["params"]["total"], 100.0, "{message}");
        }
    }
    let start = format!("task {HANDLE}: ");
    assert!(messages.iter().all(|message| message.starts_with(&start)), "{messages:?}");
    assert_eq!(messages.last(), Some(&format!("{start}SUCCESS, 100 %")), "{messages:?}");
}

/// Begins a task, does `what`, and returns what was sent until all has settled.
async fn left_alone(what: impl AsyncFnOnce(&mut Client, &Upstream)) -> Vec<String> {
    let upstream = Upstream::start(vec![pending(), silent()]).await;
    let mut client = client(&upstream).await;
    client.start(1, "tools/call", json!({ "name": "backup", "arguments": { "vm": "a" } })).await;
    requests(&upstream, 2).await;
    what(&mut client, &upstream).await;
    settled().await;
    // The end of the session comes after that of its calls.
    client.shutdown.cancel();
    while client.next().await.is_some() {}
    client.ended().await.unwrap();
    settled().await;
    lines(&upstream)
}

#[tokio::test]
async fn a_cancelled_call_leaves_its_task_alone() {
    let reasons = [
        json!("stop"),
        json!("MCP request cancelled by caller"),
        json!("McpError: MCP error -32001: Request timed out"),
        json!(null),
    ];
    for reason in reasons {
        let cancelled = left_alone(async |client, upstream| {
            let mut cancelled = json!({ "requestId": 1 });
            if !reason.is_null() {
                cancelled["reason"] = reason.clone();
            }
            client.notify("notifications/cancelled", cancelled).await;
            // The call was dropped.
            upstream.connection_closed().await;
        });
        let lines = cancelled.await;
        assert!(!lines.iter().any(|line| line == CANCEL), "{reason}: {lines:?}");
    }
}

#[tokio::test]
async fn a_host_that_went_away_and_a_restart_leave_the_task_alone() {
    let lines = left_alone(async |client, upstream| {
        client.close_input().await;
        upstream.connection_closed().await;
    });
    let lines = lines.await;
    assert!(!lines.iter().any(|line| line == CANCEL), "{lines:?}");
    let lines = left_alone(async |_, _| {}).await;
    assert!(!lines.iter().any(|line| line == CANCEL), "{lines:?}");
}

/// An answer that does not come.
fn silent() -> Answer {
    Answer::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec())
}

#[tokio::test]
async fn what_a_cancelled_call_began_is_named_at_once_and_can_be_stopped() {
    let taken = state(200, json!({ "status": "STARTED" }));
    let revoked = state(410, json!({ "status": "REVOKED", "result": null }));
    let upstream = Upstream::start(vec![pending(), silent(), taken, revoked]).await;
    let mut client = client(&upstream).await;
    let call = json!({
        "name": "backup", "arguments": { "vm": "web" }, "_meta": { "progressToken": "p" }
    });
    client.start(1, "tools/call", call).await;
    let first = client.receive().await;
    assert_eq!(first["params"]["message"], format!("task {HANDLE}: running"), "{first}");
    requests(&upstream, 2).await;
    client.notify("notifications/cancelled", json!({ "requestId": 1, "reason": "late" })).await;
    upstream.connection_closed().await;
    let answer = client.call(2, "task_list", json!({})).await;
    let task = &answer["result"]["structuredContent"]["tasks"][0];
    assert_eq!((&task["task"], &task["running"]), (&json!(HANDLE), &json!(true)), "{answer}");
    assert_eq!(task["tool"], "backup");
    assert_eq!(upstream.requests().len(), 2, "nothing is asked of the API");
    client.call(3, "task_cancel", json!({ "task": HANDLE })).await;
    assert_eq!(lines(&upstream)[2], CANCEL);
    let answer = client.call(4, "task_list", json!({})).await;
    let task = &answer["result"]["structuredContent"]["tasks"][0];
    assert_eq!((&task["state"], &task["running"]), (&json!("REVOKED"), &json!(false)), "{answer}");
    assert!(failure(&client.call(5, "task_list", json!({ "all": true })).await).contains("`all`"));
}

#[tokio::test]
async fn task_list_has_what_composites_begin() {
    let upstream = Upstream::start(vec![pending(), success(json!(1))]).await;
    let mut client = client(&upstream).await;
    let empty = client.call(1, "task_list", json!({})).await;
    assert_eq!(empty["result"]["structuredContent"], json!({ "tasks": [] }));
    client.call(2, "both", json!({})).await;
    let answer = client.call(3, "task_list", json!({})).await;
    let task = &answer["result"]["structuredContent"]["tasks"][0];
    assert_eq!((&task["task"], &task["state"]), (&json!(HANDLE), &json!("SUCCESS")), "{answer}");
}

#[tokio::test]
async fn a_host_that_hears_of_progress_waits_no_longer() {
    let change = |it: &mut BackendSettings| it.task_wait = Duration::from_millis(300);
    let call = |with: fn(Value) -> Value| {
        let mut call = with(backup());
        call["_meta"]["progressToken"] = json!("p");
        call
    };
    let is_over_budget = |answer: &Value| {
        let task = &answer["result"]["structuredContent"]["task"];
        assert_eq!(task["running"], true, "{answer}");
    };
    for is_later in [false, true] {
        let upstream = Upstream::start(vec![pending(), running()]).await;
        let served = serve_tools(TOOLS, &upstream.url(), change);
        let (mut client, call) = if is_later {
            (Client::connect(served), call(with_meta))
        } else {
            (Client::legacy(served, json!({})).await, call(|it| it))
        };
        client.start(1, "tools/call", call).await;
        let mut answer = client.receive().await;
        while answer["id"] != 1 {
            answer = client.receive().await;
        }
        is_over_budget(&answer);
    }
    let upstream = Upstream::start(vec![pending(), running()]).await;
    let site = Site::start_served(serve_tools(TOOLS, &upstream.url(), change), |_| {}).await;
    let session = site.session(json!({})).await;
    let params = call(|it| it);
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut reply = site.in_session(&session, &call).await;
    let mut answer = reply.event().await;
    while !answer["result"].is_object() {
        answer = reply.event().await;
    }
    is_over_budget(&answer);
}

#[tokio::test]
async fn a_server_that_ends_hands_its_tasks_over() {
    let upstream = Upstream::start(vec![pending(), silent()]).await;
    let mut client = client(&upstream).await;
    client.start(1, "tools/call", json!({ "name": "backup", "arguments": { "vm": "a" } })).await;
    requests(&upstream, 2).await;
    let wait = json!({ "name": "task_wait", "arguments": { "task": HANDLE } });
    client.start(2, "tools/call", wait).await;
    requests(&upstream, 3).await;
    client.shutdown.cancel();
    let mut answers = [client.receive().await, client.receive().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    let [call, wait] = answers;
    assert_eq!(call["result"]["structuredContent"]["task"]["handle"], HANDLE, "{call}");
    assert!(call.to_string().contains("task_wait"), "{call}");
    assert!(failure(&wait).contains(&format!("the task {HANDLE} goes on")), "{wait}");
    assert!(client.next().await.is_none());
    client.ended().await.unwrap();
    settled().await;
    assert!(!lines(&upstream).iter().any(|line| line == CANCEL));
}

#[tokio::test]
async fn a_call_that_was_piped_in_leaves_the_handle_of_its_task() {
    let upstream = Upstream::start(vec![pending(), running()]).await;
    let mut client = client(&upstream).await;
    client.start(1, "tools/call", backup()).await;
    client.close_input().await;
    let answer = client.receive().await;
    assert!(text(&answer).contains(HANDLE), "{answer}");
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    client.ended().await.unwrap();
    assert!(!lines(&upstream).iter().any(|line| line == CANCEL));
}

#[tokio::test]
async fn a_task_that_the_api_denies_is_not_said_to_run() {
    let gone = Answer::json(404, r#"{"detail":"no such task"}"#);
    let upstream = Upstream::start(vec![pending(), gone]).await;
    let mut client = client(&upstream).await;
    let answer = client.call(1, "backup", json!({ "vm": "web" })).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let answer = client.call(2, "task_list", json!({})).await;
    let task = &answer["result"]["structuredContent"]["tasks"][0];
    assert_eq!((&task["task"], task.get("running")), (&json!(HANDLE), None), "{answer}");
    assert!(task["trouble"].as_str().unwrap().contains("no such task"), "{answer}");
}

#[tokio::test]
async fn cancelling_task_wait_ends_the_waiting_only() {
    let upstream = Upstream::start(vec![running()]).await;
    let mut client = client(&upstream).await;
    let call = json!({ "name": "task_wait", "arguments": { "task": HANDLE } });
    client.start(1, "tools/call", call).await;
    requests(&upstream, 2).await;
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    client.request(2, "ping", json!({})).await;
    client.shutdown.cancel();
    while client.next().await.is_some() {}
    client.ended().await.unwrap();
    settled().await;
    assert!(!lines(&upstream).iter().any(|line| line == CANCEL));
}

#[tokio::test]
async fn task_cancel_stops_the_task() {
    let taken = state(200, json!({ "status": "STARTED" }));
    let revoked = state(410, json!({ "status": "REVOKED", "result": null }));
    let upstream = Upstream::start(vec![taken, revoked]).await;
    let mut client = client(&upstream).await;
    let answer = client.call(1, "task_cancel", json!({ "task": HANDLE })).await;
    assert_eq!(answer["result"]["structuredContent"]["task"]["state"], "REVOKED");
    assert_eq!(answer["result"]["structuredContent"]["_note"], "the task was cancelled");
    assert_eq!(lines(&upstream)[0], CANCEL);
}

/// Cancelling is dangerous here.
fn dangerous() -> String {
    TOOLS.replace(
        "path: \"/task/{id}/cancel/\", access: write",
        "path: \"/task/{id}/cancel/\", access: dangerous",
    )
}

#[tokio::test]
async fn a_dangerous_cancel_needs_a_person() {
    let upstream = Upstream::start(vec![running()]).await;
    let served = serve_tools(&dangerous(), &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.call(1, "task_cancel", json!({ "task": HANDLE })).await;
    assert!(failure(&answer).contains("was not called"), "{answer}");
    assert!(upstream.requests().is_empty());
}

// The tasks of the protocol

/// What a host says that knows tasks.
fn knows_tasks(parameters: Value) -> Value {
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    with_capabilities(parameters, tasks)
}

fn backup() -> Value {
    json!({ "name": "backup", "arguments": { "vm": "web" } })
}

#[tokio::test]
async fn a_host_that_knows_tasks_gets_one_that_outlives_the_process() {
    let answers = vec![pending(), running(), running(), success(json!({ "n": 1 }))];
    let upstream = Upstream::start(answers).await;
    let served = || serve_tools(TOOLS, &upstream.url(), |it| it.task_after = Duration::ZERO);
    let mut first = Client::connect(served());
    let answer = first.request(1, "tools/call", knows_tasks(backup())).await;
    let task = &answer["result"];
    assert_eq!(task["resultType"], "task", "{answer}");
    assert_eq!((&task["status"], &task["ttlMs"]), (&json!("working"), &Value::Null));
    let id = task["taskId"].as_str().unwrap().to_owned();
    assert!(id.ends_with(&format!("/{HANDLE}")), "{id}");
    assert_eq!(lines(&upstream), ["POST /api/vm/web/backup/"], "the host does the waiting");
    let get = || knows_tasks(json!({ "taskId": id }));
    let answer = first.request(2, "tasks/get", get()).await;
    assert_eq!(answer["result"]["status"], "working", "{answer}");
    assert_eq!(answer["result"]["statusMessage"], "STARTED, 40 %");
    assert_eq!(answer["result"]["createdAt"], task["createdAt"]);
    drop(first);
    let mut second = Client::connect(served());
    assert_eq!(second.request(1, "tasks/get", get()).await["result"]["status"], "working");
    let answer = second.request(2, "tasks/get", get()).await;
    assert_eq!(answer["result"]["status"], "completed", "{answer}");
    assert_eq!(answer["result"]["statusMessage"], "backup has ended", "{answer}");
    assert_eq!(answer["result"]["result"]["structuredContent"], json!({ "n": 1 }));
    // A call that says how long it waits is answered as before.
    let mut call = backup();
    call["arguments"]["wait"] = json!(0);
    let answer = second.request(3, "tools/call", knows_tasks(call)).await;
    assert_ne!(answer["result"]["resultType"], "task", "{answer}");
}

#[tokio::test]
async fn what_a_model_does_not_get_of_results_it_does_not_get_of_tasks() {
    let tools = TOOLS.replace("  tasks:\n", "  shown: { \"*\": { omit: [href] } }\n  tasks:\n");
    let result = || success(json!({ "n": 1, "href": "/vms/1" }));
    let upstream = Upstream::start(vec![pending(), result(), result()]).await;
    let served = || serve_tools(&tools, &upstream.url(), |it| it.task_after = Duration::ZERO);
    let mut client = Client::legacy(served(), json!({})).await;
    client.call(1, "backup", json!({ "vm": "web", "wait": 0 })).await;
    let answer = client.call(2, "task_wait", json!({ "task": HANDLE })).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "n": 1 }));
    let mut later = Client::connect(served());
    let get = knows_tasks(json!({ "taskId": format!("1795239235/{HANDLE}") }));
    let answer = later.request(1, "tasks/get", get).await;
    assert_eq!(answer["result"]["result"]["structuredContent"], json!({ "n": 1 }), "{answer}");
}

#[tokio::test]
async fn a_task_that_ends_soon_is_one_call() {
    let upstream = Upstream::start(vec![pending(), running(), success(json!({ "n": 1 }))]).await;
    let mut client = Client::connect(serve_tools(TOOLS, &upstream.url(), |_| {}));
    let answer = client.request(1, "tools/call", knows_tasks(backup())).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "n": 1 }), "{answer}");
    // One that does not is a task, after the time of the setting.
    let upstream = Upstream::start(vec![pending(), running()]).await;
    let change = |it: &mut BackendSettings| it.task_after = Duration::from_millis(300);
    let mut client = Client::connect(serve_tools(TOOLS, &upstream.url(), change));
    let answer = client.request(1, "tools/call", knows_tasks(backup())).await;
    assert_eq!(answer["result"]["resultType"], "task", "{answer}");
    assert_eq!(answer["result"]["statusMessage"], "STARTED, 40 %");
    assert!(lines(&upstream).len() > 1, "it was looked at");
}

#[tokio::test]
async fn a_task_of_the_protocol_fails_and_is_cancelled_as_the_apis_does() {
    let failed = state(400, json!({ "status": "FAILURE", "result": { "detail": "no space" } }));
    let revoked = state(410, json!({ "status": "REVOKED", "result": null }));
    let gone = Answer::json(404, r#"{"detail":"no such task"}"#);
    let odd = state(200, json!({ "status": "ODD" }));
    let down = Answer::json(503, r#"{"detail":"update"}"#);
    let taken = state(200, json!({ "status": "STARTED" }));
    let answers = vec![failed, down, taken, revoked, odd, gone];
    let upstream = Upstream::start(answers).await;
    let mut client = Client::connect(serve_tools(TOOLS, &upstream.url(), |_| {}));
    let parameters = || knows_tasks(json!({ "taskId": format!("1795239235/{HANDLE}") }));
    let answer = client.request(1, "tasks/get", parameters()).await;
    assert_eq!(answer["result"]["status"], "completed", "{answer}");
    assert_eq!(answer["result"]["result"]["isError"], true);
    assert_eq!(answer["result"]["createdAt"], "2026-11-21T05:33:55Z");
    let answer = client.request(2, "tasks/get", parameters()).await;
    assert_eq!(answer["result"]["status"], "working", "trouble passes: {answer}");
    let answer = client.request(3, "tasks/cancel", parameters()).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert_eq!(lines(&upstream)[2], CANCEL);
    let answer = client.request(4, "tasks/get", parameters()).await;
    assert_eq!(answer["result"]["status"], "cancelled", "{answer}");
    let answer = client.request(5, "tasks/get", parameters()).await;
    assert_eq!(answer["result"]["status"], "failed", "{answer}");
    let answer = client.request(6, "tasks/get", parameters()).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    for id in ["x", "1/fake:task_status:1", "1/xo:backup:1"] {
        let answer = client.request(7, "tasks/get", knows_tasks(json!({ "taskId": id }))).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

#[tokio::test]
async fn a_host_that_knows_no_tasks_waits() {
    let upstream = Upstream::start(vec![pending(), success(json!({ "n": 1 }))]).await;
    let mut client = Client::connect(serve_tools(TOOLS, &upstream.url(), |_| {}));
    let answer = client.stateless_call(1, backup()).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "n": 1 }), "{answer}");
    let get = with_meta(json!({ "taskId": format!("1/{HANDLE}") }));
    let answer = client.request(2, "tasks/get", get).await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
}

// HTTP

#[tokio::test]
async fn both_eras_wait_over_http() {
    let answers = vec![pending(), success(json!(1)), pending(), success(json!(2))];
    let upstream = Upstream::start(answers).await;
    let site = Site::start_served(serve_tools(TOOLS, &upstream.url(), |_| {}), |_| {}).await;
    let answer = site.stateless("tools/call", backup()).await.json().await;
    assert_eq!(text(&answer), "1");
    let session = site.session(json!({})).await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": backup() });
    let answer = site.in_session(&session, &call).await.event().await;
    assert_eq!(text(&answer), "2");
}

#[tokio::test]
async fn a_request_that_is_closed_leaves_the_task_alone() {
    let upstream = Upstream::start(vec![pending(), silent()]).await;
    let site = Site::start_served(serve_tools(TOOLS, &upstream.url(), |_| {}), |_| {}).await;
    tokio::select! {
        _ = site.stateless("tools/call", backup()) => panic!("the task goes on"),
        () = requests(&upstream, 2) => {}
    }
    upstream.connection_closed().await;
    settled().await;
    assert!(!lines(&upstream).iter().any(|line| line == CANCEL));
    // Whoever comes back from there finds it.
    let list = json!({ "name": "task_list", "arguments": {} });
    let answer = site.stateless("tools/call", list).await.json().await;
    assert_eq!(answer["result"]["structuredContent"]["tasks"][0]["task"], HANDLE, "{answer}");
}

#[tokio::test]
async fn a_session_lists_its_own_tasks_alone() {
    let upstream = Upstream::start(vec![pending()]).await;
    let site = Site::start_served(serve_tools(TOOLS, &upstream.url(), |_| {}), |_| {}).await;
    let (one, other) = (site.session(json!({})).await, site.session(json!({})).await);
    let call = |name: &str, arguments: Value| {
        let params = json!({ "name": name, "arguments": arguments });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
    };
    let begin = call("backup", json!({ "vm": "web", "wait": 0 }));
    site.in_session(&one, &begin).await.event().await;
    let list = call("task_list", json!({}));
    let listed = async |session: &str| {
        let answer = site.in_session(session, &list).await.event().await;
        answer["result"]["structuredContent"]["tasks"].as_array().unwrap().len()
    };
    assert_eq!((listed(&one).await, listed(&other).await), (1, 0));
    let answer = site.stateless("tools/call", list["params"].clone()).await.json().await;
    assert_eq!(answer["result"]["structuredContent"]["tasks"], json!([]), "{answer}");
}

#[tokio::test]
async fn a_task_of_the_protocol_over_http() {
    let upstream = Upstream::start(vec![pending(), success(json!({ "n": 1 }))]).await;
    let site = Site::start_served(
        serve_tools(TOOLS, &upstream.url(), |it| it.task_after = Duration::ZERO),
        |_| {},
    )
    .await;
    let answer = site.stateless_with("tools/call", knows_tasks(backup())).await.json().await;
    let id = answer["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let mut get = knows_tasks(json!({ "taskId": id }));
    // The header that names what a request is about.
    get["name"] = json!(id);
    let answer = site.stateless_with("tasks/get", get).await.json().await;
    assert_eq!(answer["result"]["status"], "completed", "{answer}");
}
