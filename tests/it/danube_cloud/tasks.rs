//! Tasks, and the limit of requests.

use std::time::Duration;

use dadl_mcp::executor::{CallContext, CallError, TaskError};
use serde_json::json;

use super::{Bench, DESCRIPTOR, WEB, value};
use crate::harness::{Fixed, Harness};

#[tokio::test(start_paused = true)]
async fn waiting_for_many_tasks_stays_within_the_limit() {
    let bench = Bench::new().await;
    // Each would be looked at 19 times in its first minute.
    let definitions = ["web01", "web02", "db01", "shop01", "snap01"];
    let create = |vm: &str| {
        let definition = if vm == "db01" { "hourly" } else { "daily" };
        let arguments = json!({ "vm": format!("{vm}.example.com"), "definition": definition });
        bench.value("create_backup", arguments)
    };
    let made = futures_util::future::join_all(definitions.map(create)).await;
    assert!(made.iter().all(|made| made["returncode"] == 0), "{made:?}");
    assert_eq!(bench.product.throttled(), 0);
    // Calls beside it wait instead of being refused.
    for _ in 0..100 {
        bench.value("list_tasks", json!({})).await;
    }
    assert_eq!(bench.product.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_shares_the_limit_waits_as_long_as_the_api_says() {
    let bench = Bench::new().await;
    // Another program with the same user, which does not count its requests.
    let key = Fixed(Ok(bench.product.token().to_owned()));
    let other = Harness::new(DESCRIPTOR, &bench.product.url(), key, |_| {});
    let take = async |count: usize| {
        for _ in 0..count {
            other.value("list_tasks", json!({ "dc": "main" })).await;
        }
    };
    take(42).await;
    let started = tokio::time::Instant::now();
    let made = bench.value("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    assert_eq!(made["returncode"], 0);
    assert_eq!(bench.product.throttled(), 1, "one look was refused, and the next one waited");
    assert!(started.elapsed() >= Duration::from_secs(50));
    let creations = bench.requests().iter().filter(|it| it.method == "POST").count();
    assert_eq!(creations, 1);
    // A POST is not sent again by itself, but says when to come back.
    bench.product.advance(Duration::from_secs(60));
    take(45).await;
    let again = bench.call("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    let Err(CallError::Api(error)) = again else { panic!("{again:?}") };
    assert_eq!((error.status, &*error.code, error.attempts), (429, "rate_limited", 1));
    assert!(error.message.starts_with("Request was throttled."), "{error}");
    assert!(error.retry_after.is_some_and(|wait| wait.as_secs() > 50), "{error}");
    // A read waits, and is sent again.
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_pending_is_looked_at() {
    let bench = Bench::new().await;
    // 201 SUCCESS with the id of a task that does not exist.
    let define =
        json!({ "vm": "db01.example.com", "definition": "daily", "node": "backup01.example.com" });
    bench.value("create_backup_definition", define).await;
    // A backup that is lost already is deleted at once.
    let all = bench.value("list_backups", json!({ "vm": WEB })).await;
    let lost = all.as_array().unwrap().iter().find(|it| it["status"] == 4).unwrap();
    let gone = json!({ "vm": WEB, "backup": lost["name"] });
    let gone = bench.value("delete_backup", gone).await;
    assert_eq!(gone["message"], "Backup successfully deleted from DB");
    let looks = |bench: &Bench| {
        let all = bench.product.take_requests();
        all.iter().filter(|request| request.target.contains("/status/")).count()
    };
    assert_eq!(looks(&bench), 0);
    // 20 s: five looks a second apart, then one every three seconds.
    bench.value("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    assert_eq!(looks(&bench), 10);
    // A task that failed can be looked at, and that is no error.
    let begun = json!({ "vm": "broken01.example.com", "definition": "daily", "wait": 0 });
    let handle = bench.value("create_backup", begun).await["task"]["handle"].clone();
    bench.product.advance(Duration::from_secs(30));
    let id = handle.as_str().unwrap().split(':').next_back().unwrap().to_owned();
    let outcome = bench.call("get_task_status", json!({ "task_id": id })).await.unwrap();
    assert_eq!(outcome.status, 400);
    assert_eq!(value(outcome)["status"], "FAILURE");
    // The handle goes on with it, and says how it ended.
    let right = bench.app.gate.check_task(&handle.as_str().unwrap().parse().unwrap()).unwrap();
    let ended = bench.app.executor.watch_task(&right, &CallContext::default()).await;
    let Err(CallError::Task(error)) = ended else { panic!("{ended:?}") };
    assert!(matches!(*error, TaskError::Failed(failure) if !failure.is_cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_task_is_cancelled_in_the_datacenter_of_its_call() {
    let bench = Bench::new().await;
    // Not the one that calls have when they name none.
    let begun = json!({ "vm": "lab01.example.com", "definition": "daily", "dc": "lab", "wait": 0 });
    let handle = bench.value("create_backup", begun).await["task"]["handle"].clone();
    let handle = handle.as_str().unwrap().to_owned();
    assert!(handle.starts_with("danube:create_backup,dc=lab:1e1d2-"), "{handle}");
    let id = handle.split(':').next_back().unwrap();
    let elsewhere = bench.error("cancel_task", json!({ "task_id": id })).await;
    assert!(elsewhere.contains("[conflict] HTTP 406: Task cannot be canceled"), "{elsewhere}");
    let cancel = async |handle: &str| {
        let handle = handle.parse().unwrap();
        let call = bench.app.gate.check_cancel(&handle).unwrap().admit().unwrap();
        let right = bench.app.gate.check_task(&handle).unwrap();
        let context = CallContext::default();
        bench.app.executor.cancel_task(call, &handle, Some(&right), &context).await
    };
    // A handle of before asks where a call without a datacenter would.
    let old = cancel(&format!("danube:create_backup:{id}")).await.unwrap_err().for_model();
    assert!(old.contains("406: Task cannot be canceled"), "{old}");
    let cancelled = cancel(&handle).await.unwrap();
    assert_eq!(cancelled.notes, ["the task was cancelled"]);
    let status = bench.call("get_task_status", json!({ "task_id": id })).await.unwrap();
    let status = value(status);
    assert_eq!(
        (&status["status"], &status["result"]),
        (&json!("REVOKED"), &json!("TaskRevokedError: terminated"))
    );
    let done = bench.value("is_task_done", json!({ "task_id": id })).await;
    assert_eq!(done, false, "410 is an answer");
}
