//! What Xen Orchestra's tasks come to: backups that fail, requests to stop, accounts that may not look,
//! and writes that show later.

use std::time::Duration;

use dadl_mcp::{
    executor::{CallContext, WaitBudget},
    outcome::{AnswerPayload, CallOutcome, task_report::TaskReport},
};
use dadl_simulator::{SimulatorOptions, WriteLag, XenOrchestra};
use serde_json::{Value, json};

use crate::{
    harness::Harness,
    xo_world::{self, World},
};

fn report(outcome: &CallOutcome) -> &TaskReport {
    match &outcome.payload {
        AnswerPayload::Task(report) => report,
        other => panic!("{other:?}"),
    }
}

/// A simulator with these options, and a backend for it.
async fn simulated(task_duration: Duration, lag: WriteLag) -> (XenOrchestra, Harness) {
    let options = SimulatorOptions { task_duration, lag, ..SimulatorOptions::default() };
    let simulator = XenOrchestra::start(options).await.unwrap();
    let harness = xo_world::harness(&simulator.url(), simulator.token());
    (simulator, harness)
}

async fn id_of(bench: &Harness, list: &str, name: &str) -> String {
    let arguments = json!({ "filter": format!("name_label:{name}"), "fields": "id" });
    bench.value(list, arguments).await[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_backup_that_failed_is_a_failed_call_although_its_task_succeeded() {
    let world = World::start().await;
    let bench = world.harness(world.simulator.token());
    let schedules = bench.value("list_schedules", json!({ "fields": "id,jobId" })).await;
    let (mut failed, mut succeeded) = (0, 0);
    for schedule in schedules.as_array().unwrap() {
        match bench.call("run_schedule", json!({ "id": schedule["id"] })).await {
            Ok(outcome) => {
                // A sequence has no log of its own.
                let AnswerPayload::Json(log) = &outcome.payload else { continue };
                let log = log.value().unwrap();
                assert_eq!(
                    (&log["status"], &log["jobId"]),
                    (&json!("success"), &schedule["jobId"])
                );
                succeeded += 1;
            }
            Err(error) => {
                let error = error.for_model();
                assert!(error.contains("ended, but what it did failed: "), "{error}");
                assert!(error.contains("getaddrinfo ENOTFOUND s3.example"), "{error}");
                assert!(error.ends_with("(`list_backup_logs` says \"failure\")"), "{error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0 && succeeded > 0, "{failed} failed, {succeeded} succeeded");
}

#[tokio::test]
async fn a_migration_that_is_asked_to_stop_goes_on_and_that_is_said() {
    let (simulator, bench) = simulated(Duration::from_secs(3600), WriteLag::None).await;
    let vm = id_of(&bench, "list_vms", "web-01").await;
    let host = id_of(&bench, "list_hosts", "xcp-02").await;
    let arguments = json!({ "uuid": vm, "hostId": host, "wait": 0 });
    let begun = bench.call("migrate_vm", arguments).await.unwrap();
    let handle = report(&begun).handle.clone();
    let call = bench.gate.check_cancel(&handle).unwrap().admit().unwrap();
    let right = bench.gate.check_task(&handle).unwrap();
    let context = CallContext::default();
    let asked = bench.executor.cancel_task(call, &handle, Some(&right), &context).await.unwrap();
    assert!(asked.notes[0].contains("tasks of migrate_vm cannot be stopped"), "{:?}", asked.notes);
    assert!(report(&asked).glimpse.as_ref().unwrap().stop_requested);
    simulator.end_tasks();
    let ended =
        bench.executor.watch_task(&right, &context.waiting(WaitBudget::Longest)).await.unwrap();
    assert_eq!(report(&ended).glimpse.as_ref().unwrap().state, "success");
}

#[tokio::test]
async fn who_may_start_a_machine_and_not_see_tasks_starts_it() {
    let world = World::start().await;
    let token = world.token_of_nobody().await;
    let user = world.find("users", "name:nobody").await;
    let role = world.act("POST", "/acl-roles", &json!({ "name": "starters" })).await;
    let role = role["id"].as_str().unwrap();
    for action in ["read", "start"] {
        let privilege =
            json!({ "resource": "vm", "action": action, "effect": "allow", "roleId": role });
        world.act("POST", "/acl-privileges", &privilege).await;
    }
    world.act("PUT", &format!("/acl-roles/{role}/users/{user}"), &Value::Null).await;
    let bench = world.harness(&token);
    let vm = world.find("vms", "name_label:web-06").await;
    let outcome = bench.call("start_vm", json!({ "uuid": vm })).await.unwrap();
    assert!(report(&outcome).is_hidden, "{outcome:?}");
    let note = &outcome.notes[0];
    assert!(note.contains("may not be looked at") && note.contains("missingPrivileges"), "{note}");
    assert!(note.contains("an administrator of XO adds it"), "{note}");
    assert_eq!(bench.value("get_vm", json!({ "uuid": vm })).await["power_state"], "Running");
}

#[tokio::test]
async fn what_was_written_is_there_for_the_next_call() {
    let (_simulator, bench) = simulated(Duration::ZERO, WriteLag::Looks(3)).await;
    let vm = id_of(&bench, "list_vms", "web-06").await;
    let state = async || bench.value("get_vm", json!({ "uuid": vm })).await["power_state"].clone();
    assert_eq!(state().await, "Halted");
    bench.call("start_vm", json!({ "uuid": vm })).await.unwrap();
    assert_eq!(state().await, "Running");
    let made = bench.value("snapshot_vm", json!({ "uuid": vm, "name_label": "s" })).await;
    let snapshot = bench.value("get_vm_snapshot", json!({ "uuid": made["id"] })).await;
    assert_eq!(snapshot["name_label"], "s");
    bench.call("add_vm_tag", json!({ "uuid": vm, "tag": "night" })).await.unwrap();
    let tags = bench.value("get_vm", json!({ "uuid": vm })).await["tags"].clone();
    assert!(tags.as_array().unwrap().contains(&json!("night")), "{tags}");
}

#[tokio::test]
async fn a_revert_tells_the_state_that_the_machine_is_in() {
    let (_simulator, bench) = simulated(Duration::ZERO, WriteLag::Looks(3)).await;
    let vm = id_of(&bench, "list_vms", "web-01").await;
    bench.value("snapshot_vm", json!({ "uuid": vm, "name_label": "before" })).await;
    for start in [false, true] {
        let arguments = json!({ "vm": vm, "snapshot": "before", "start": start });
        let reverted = bench.value("revert_vm_safely", arguments).await;
        let now = bench.value("get_vm", json!({ "uuid": vm })).await["power_state"].clone();
        assert_eq!(reverted["power_state"]["after"], now, "{reverted}");
    }
}
