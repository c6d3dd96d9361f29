//! Every documented error, and what the API does otherwise.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, DESCRIPTOR, WEB, object};
use crate::{
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

/// A tool and its arguments.
type Call = (&'static str, Value);

fn restore(newest: &str, vm: &str, more: Value) -> Call {
    let mut arguments = json!({
        "vm": WEB, "backup": newest, "target_hostname_or_uuid": format!("{vm}.example.com"),
        "target_disk_id": 1,
    });
    arguments.as_object_mut().unwrap().extend(object(more));
    ("restore_backup", arguments)
}

fn create(vm: &str) -> Call {
    ("create_backup", json!({ "vm": format!("{vm}.example.com"), "definition": "daily" }))
}

fn define(more: Value) -> Call {
    let mut arguments = json!({
        "vm": "db01.example.com", "definition": "nightly", "node": "backup01.example.com",
        "schedule": "0 3 * * *", "retention": 9,
    });
    arguments.as_object_mut().unwrap().extend(object(more));
    ("create_backup_definition", arguments)
}

/// 404: what is not there.
fn missing(newest: &str) -> Vec<(Call, &'static str)> {
    let unknown = "1e1d1-00000000-0000-0000-ffff";
    vec![
        (
            ("create_backup", json!({ "vm": "nobody", "definition": "daily" })),
            "[not_found] HTTP 404: VM not found",
        ),
        (("list_vm_backup_definitions", json!({ "vm": "nobody" })), "404: VM not found"),
        (("list_tasks", json!({ "dc": "nowhere" })), "404: Datacenter not found"),
        (("list_backup_definitions", json!({ "dc": "nowhere" })), "404: Datacenter not found"),
        (("get_backup", json!({ "vm": WEB, "backup": "daily-1" })), "404: Backup not found"),
        (
            ("get_backup", json!({ "vm": WEB, "backup": newest, "dc": "lab" })),
            "404: Backup not found",
        ),
        (("delete_backup", json!({ "vm": WEB, "backup": "daily-1" })), "404: Backup not found"),
        (
            ("update_backup_note", json!({ "vm": WEB, "backup": "x", "note": "n" })),
            "404: Backup not found",
        ),
        (
            ("get_backup_definition", json!({ "vm": WEB, "definition": "x" })),
            "404: Backup definition not found",
        ),
        (
            ("update_backup_definition", json!({ "vm": WEB, "definition": "x" })),
            "404: Backup definition not found",
        ),
        (
            ("delete_backup_definition", json!({ "vm": WEB, "definition": "x" })),
            "404: Backup definition not found",
        ),
        (("list_node_backups", json!({ "node": "nowhere" })), "404: Node not found"),
        (("list_node_backup_definitions", json!({ "node": "nowhere" })), "404: Node not found"),
        (("get_task", json!({ "task_id": unknown })), "[not_found] HTTP 404: Task does not exist"),
        (("get_task_status", json!({ "task_id": "x" })), "[forbidden] HTTP 403: Permission denied"),
        (("cancel_task", json!({ "task_id": unknown })), "406: Task cannot be canceled"),
        (("cancel_task", json!({ "task_id": "x" })), "[forbidden] HTTP 403: Permission denied"),
        (("delete_task", json!({ "task_id": unknown, "force": true })), "404: Task does not exist"),
        (
            ("delete_task", json!({ "task_id": unknown, "force": false })),
            "406: Safe task deletion is not implemented",
        ),
        (("list_task_log", json!({ "page": 99 })), "404: Invalid page."),
    ]
}

/// 406, 412, 417, 423, 428: what the state does not allow.
fn refused(newest: &str) -> Vec<(Call, &'static str)> {
    vec![
        (
            define(json!({ "vm": WEB, "definition": "daily" })),
            "[conflict] HTTP 406: Backup definition already exists",
        ),
        (define(json!({ "disk_id": 9 })), "[invalid_input] HTTP 412: Invalid disk_id"),
        (
            ("list_backups", json!({ "vm": WEB, "order_by": "age" })),
            "412: Invalid order_by; Possible sort fields are: name, created, hostname",
        ),
        (("list_backup_definitions", json!({ "order_by": "size" })), "412: Invalid order_by"),
        (("delete_backups", json!({ "vm": WEB, "bkpnames": [] })), "412: Invalid bkpnames"),
        (
            ("delete_backups", json!({ "vm": WEB, "bkpnames": ["daily-1"] })),
            "404: Backup not found",
        ),
        (
            (
                "create_backup",
                json!({ "vm": "full01.example.com", "definition": "daily", "dc": "full" }),
            ),
            "[conflict] HTTP 417: DC backup size limit reached",
        ),
        (
            restore(newest, "snap01", json!({ "force": false })),
            "[conflict] HTTP 417: VM has snapshots",
        ),
        (restore(newest, "locked01", json!({})), "[locked] HTTP 423: VM is locked"),
        (create("down01"), "[locked] HTTP 423: Node is not operational"),
        (restore(newest, "web02", json!({})), "[locked] HTTP 423: VM is not stopped"),
        (create("new01"), "[locked] HTTP 423: VM is not operational"),
        (
            (
                "update_backup_definition",
                json!({ "vm": "down01.example.com", "definition": "daily" }),
            ),
            "[locked] HTTP 423: Node is not operational",
        ),
        (restore(newest, "zone01", json!({})), "[conflict] HTTP 428: VM brand mismatch"),
        (restore(newest, "big01", json!({})), "[conflict] HTTP 428: Disk size mismatch"),
    ]
}

/// 400: fields, a text, a task that failed.
fn failed() -> Vec<(Call, &'static str)> {
    vec![
        (
            define(json!({ "node": "nowhere" })),
            "HTTP 400: node: Object with hostname=nowhere does not exist.",
        ),
        (
            define(json!({ "zpool": "tank", "node": "backup02.example.com" })),
            "HTTP 400: zpool: Zpool does not exist on node.",
        ),
        (
            (
                "update_backup_definition",
                json!({ "vm": "lab01.example.com", "definition": "daily", "dc": "lab", "retention": 61 }),
            ),
            "HTTP 400: retention: Ensure this value is less than or equal to 60.",
        ),
        (create("nolock01"), "[locked] HTTP 400: Task did not acquire lock"),
        (
            create("noworker01"),
            "[unavailable] HTTP 400: Task queue worker (backup) is not responding!",
        ),
        (
            create("broken01"),
            "failed: msg=cannot open 'zones/backups': dataset does not exist (state \"FAILURE\")",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_documented_error_is_told() {
    let bench = Bench::new().await;
    let newest = bench.newest(WEB).await;
    let cases = [missing(&newest), refused(&newest), failed()];
    for ((tool, arguments), expected) in cases.into_iter().flatten() {
        let error = bench.error(tool, arguments.clone()).await;
        assert!(error.contains(expected), "{tool} {arguments}: {error}");
    }
    // While another task of the disk goes on.
    let begun = json!({ "vm": WEB, "definition": "daily", "wait": 0 });
    let handle = bench.value("create_backup", begun).await["task"]["handle"].clone();
    let (tool, arguments) = create("web01");
    let error = bench.error(tool, arguments.clone()).await;
    assert!(error.contains("[conflict] HTTP 406: Backup already exists"), "{error}");
    tokio::time::advance(Duration::from_secs(1)).await;
    let error = bench.error(tool, arguments).await;
    assert!(error.contains("[locked] HTTP 400: Task did not acquire lock"), "{error}");
    assert!(error.contains("nothing is wrong with the arguments"), "{error}");
    let error = bench.error("delete_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert!(error.contains("[locked] HTTP 400: Task did not acquire lock"), "{error}");
    // 409: it is the target of a restore.
    let spare = json!({ "vm": "spare01.example.com", "definition": "daily", "node": "backup01.example.com" });
    bench.value("create_backup_definition", spare).await;
    let begun = json!({ "vm": "spare01.example.com", "definition": "daily", "wait": 0 });
    bench.value("create_backup", begun).await;
    let (tool, arguments) = restore(&newest, "spare01", json!({}));
    let error = bench.error(tool, arguments).await;
    assert!(error.contains("[conflict] HTTP 409: VM has pending tasks"), "{error}");
    let id = handle.as_str().unwrap().split(':').next_back().unwrap().to_owned();
    bench.product.advance(Duration::from_secs(30));
    let error = bench.error("cancel_task", json!({ "task_id": id })).await;
    assert!(error.contains("[conflict] HTTP 406: Task cannot be canceled"), "{error}");
    assert!(error.contains("dc is not the datacenter"), "{error}");
    // Backups are switched off.
    bench.product.disable_backups();
    let error = bench.error("list_backup_definitions", json!({})).await;
    assert!(error.contains("[not_found] HTTP 404: Not found."), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_rights_is_told_from_a_wrong_key() {
    let as_user = async |name: &str| {
        let key = format!("demo-key-{name}");
        let variables = [("CREDENTIAL_DANUBE_CLOUD_API_KEY", key.as_str())];
        Bench::with("access: [all]\n    defaults: {dc: main}", &variables).await
    };
    let owner = as_user("owner").await;
    let shop = "shop01.example.com";
    let seen = owner.value("list_backups", json!({ "vm": shop, "full": true })).await;
    assert_eq!(seen[0]["node"], "#f9af4b", "owners see a color");
    let backup = seen[0]["name"].clone();
    let target = json!({ "target_hostname_or_uuid": shop, "target_disk_id": 1 });
    let with = |more: &Value| {
        let mut arguments = json!({ "vm": shop, "backup": backup });
        arguments.as_object_mut().unwrap().extend(object(more.clone()));
        arguments
    };
    let define = json!({ "vm": shop, "definition": "weekly", "node": "backup01.example.com" });
    owner.requests();
    let refused = [
        ("create_backup", json!({ "vm": shop, "definition": "daily" })),
        ("restore_backup", with(&target)),
        ("update_backup_note", with(&json!({ "note": "n" }))),
        ("delete_backup", with(&json!({}))),
        ("delete_backups", json!({ "vm": shop, "bkpnames": [backup] })),
        ("create_backup_definition", define),
        ("update_backup_definition", json!({ "vm": shop, "definition": "daily" })),
        ("delete_backup_definition", json!({ "vm": shop, "definition": "daily" })),
        ("list_node_backups", json!({ "node": "backup01.example.com" })),
        ("list_node_backup_definitions", json!({ "node": "backup01.example.com" })),
        ("delete_task", json!({ "task_id": "x", "force": true })),
    ];
    let count = refused.len();
    for (tool, arguments) in refused {
        let error = owner.error(tool, arguments).await;
        let expected = "[forbidden] HTTP 403: Permission denied";
        assert!(error.contains(expected), "{tool}: {error}");
    }
    assert_eq!(owner.requests().len(), count, "nothing was tried twice");
    // Backups of the datacenter are for whoever sees it, by hostname; definitions are for owners.
    assert_ne!(owner.value("list_backups", json!({ "vm": WEB })).await, json!([]));
    let error = owner.error("list_vm_backup_definitions", json!({ "vm": WEB })).await;
    assert!(error.contains("404: VM not found"), "{error}");
    for (name, expected) in [
        ("nobody", "[unauthorized] HTTP 403: Invalid API key"),
        ("guest", "[forbidden] HTTP 403: User account is not allowed to access API"),
    ] {
        let bench = as_user(name).await;
        let error = bench.error("list_tasks", json!({})).await;
        assert!(error.contains(expected), "{error}");
        assert_eq!(bench.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_may_fail_with_any_status() {
    // What the simulator does not do: a failure with 200, a page instead of JSON.
    let failed =
        r#"{"task_id": "a", "status": "FAILURE", "result": {"message": "no", "detail": ""}}"#;
    let answers = vec![
        Answer::json(200, failed),
        Answer::json(200, failed),
        Answer::json(403, "<html>Forbidden by the proxy</html>"),
        Answer::json(400, r#"{"status": "UNHEARD", "result": "of"}"#),
    ];
    let upstream = Upstream::start(answers).await;
    let bench = Harness::new(DESCRIPTOR, &upstream.url(), Fixed(Ok("k3y".to_owned())), |_| {});
    let error = bench.call("list_backups", json!({ "vm": "a", "dc": "b" })).await.unwrap_err();
    assert_eq!(error.for_model(), "[error] no (GET /vm/a/backup/)");
    let status = bench.value("get_task_status", json!({ "task_id": "a" })).await;
    assert_eq!(status["status"], "FAILURE", "to see a failure is a success");
    let error = bench.call("list_backups", json!({ "vm": "a", "dc": "b" })).await.unwrap_err();
    assert!(
        error.for_model().starts_with("[forbidden] HTTP 403: Forbidden by the proxy"),
        "{error}"
    );
    let error = bench.call("get_task_status", json!({ "task_id": "a" })).await.unwrap_err();
    assert!(error.for_model().starts_with("[invalid_input] HTTP 400: of"), "{error}");
}

#[tokio::test]
async fn what_destroys_is_sent_once() {
    // A connection that breaks, and a gateway that gave up: nobody knows what was done.
    for answer in [Answer::json(503, "{}"), Answer::Close(Vec::new())] {
        let upstream = Upstream::start(vec![answer]).await;
        let bench = Harness::new(DESCRIPTOR, &upstream.url(), Fixed(Ok("k3y".to_owned())), |_| {});
        let vm = json!({ "vm": "a", "dc": "b", "backup": "c", "definition": "d", "note": "n",
            "bkpnames": ["c"], "target_hostname_or_uuid": "t", "target_disk_id": 1, "task_id": "i",
            "force": true });
        let once = [
            "create_backup",
            "restore_backup",
            "update_backup_note",
            "delete_backup",
            "delete_backups",
            "delete_backup_definition",
            "cancel_task",
            "delete_task",
        ];
        for (sent, tool) in once.iter().enumerate() {
            let entry = bench.gate.catalog().find(tool).unwrap();
            let takes = |name: &String| entry.params.iter().any(|param| param.property == *name);
            let arguments = vm.as_object().unwrap().clone().into_iter();
            let arguments: serde_json::Map<String, Value> =
                arguments.filter(|(name, _)| takes(name)).collect();
            bench.call(tool, Value::Object(arguments)).await.unwrap_err();
            assert_eq!(upstream.requests().len(), sent + 1, "{tool}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_api_refuses_is_refused_before_it_is_sent() {
    let bench = Bench::new().await;
    let note =
        |text: String| ("create_backup", json!({ "vm": WEB, "definition": "daily", "note": text }));
    let mut refused: Vec<Call> = "<>%$&;'\"".chars().map(|c| note(format!("a{c}b"))).collect();
    refused.push(note("x".repeat(129)));
    for fields in [
        json!({ "desc": "a;b" }),
        json!({ "schedule": "1 2 * jan mon" }),
        json!({ "schedule": "@daily" }),
        json!({ "schedule": "1  2 * * *" }),
        json!({ "definition": "-x" }),
        json!({ "definition": "ninechars" }),
        json!({ "bwlimit": 2_147_483_648_u64 }),
        json!({ "compression": 9 }),
        json!({ "retention": 65_537 }),
        json!({ "type": 3 }),
    ] {
        refused.push(define(fields));
    }
    refused.push(restore("daily-1", "spare01", json!({ "target_disk_id": 7 })));
    refused.push(restore("-x", "spare01", json!({})));
    refused.push(("list_task_log", json!({ "status": "DONE" })));
    refused.push(("list_task_log", json!({ "date_from": "yesterday" })));
    for (tool, arguments) in refused {
        let refusal = bench.app.gate.check(tool, object(arguments.clone()));
        assert!(refusal.is_err(), "{tool} {arguments}");
    }
    for fields in [
        json!({ "schedule": "*/5 1-3,7 * * 1-5", "definition": "a", "bwlimit": 0 }),
        json!({ "schedule": "99 2 * * *", "definition": "0.b-c_d", "desc": "äöü (x), y." }),
    ] {
        let (tool, arguments) = define(fields);
        bench.value(tool, arguments).await;
    }
}
