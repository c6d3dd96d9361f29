//! Every tool, and the requests that it makes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Bench, WEB, body, object, tools};

/// Which tools nobody has called yet.
struct Tried {
    bench: Bench,
    left: BTreeSet<String>,
}

impl Tried {
    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.left.remove(tool);
        self.bench.value(tool, arguments).await
    }
}

async fn definitions_are_read(tried: &mut Tried) {
    assert_eq!(tried.call("ping", json!({})).await, "pong");
    let all = tried.call("list_backup_definitions", json!({ "full": false })).await;
    assert!(all.as_array().unwrap().contains(&json!("hourly")), "{all}");
    let of_web =
        tried.call("list_vm_backup_definitions", json!({ "vm": WEB, "extended": true })).await;
    assert_eq!(of_web[0]["dc"], "main");
    assert!(of_web.as_array().unwrap().iter().all(|it| it["backups"].is_u64()), "{of_web}");
    let daily = json!({ "vm": WEB, "definition": "daily", "disk_id": 2 });
    let shown = tried.call("get_backup_definition", daily.clone()).await;
    assert_eq!((&shown["schedule"], &shown["retention"]), (&json!("27 4 * * *"), &json!(30)));
}

async fn definitions_are_changed(tried: &mut Tried) {
    let new = json!({
        "vm": WEB, "definition": "nightly", "node": "backup02.example.com",
        "schedule": "0 3 * * *", "retention": 9, "type": 2, "compression": 3,
        "bwlimit": 1_000_000, "desc": "for the auditors", "fsfreeze": true, "active": false, "zpool": "zones",
    });
    let made = tried.call("create_backup_definition", new).await;
    for (member, expected) in [
        ("name", json!("nightly")),
        ("node", json!("backup02.example.com")),
        ("type", json!(2)),
        ("compression", json!(3)),
        ("bwlimit", json!(1_000_000)),
        ("active", json!(false)),
        ("fsfreeze", json!(true)),
        ("retention", json!(9)),
        ("disk_id", json!(1)),
    ] {
        assert_eq!(made[member], expected, "{member}");
    }
    // Null clears, and what is not given stays.
    let change = json!({ "vm": WEB, "definition": "nightly", "bwlimit": null, "active": true });
    let changed = tried.call("update_backup_definition", change).await;
    assert_eq!((&changed["bwlimit"], &changed["active"]), (&Value::Null, &json!(true)));
    assert_eq!(changed["retention"], 9);
    let gone = json!({ "vm": WEB, "definition": "nightly" });
    assert_eq!(tried.call("delete_backup_definition", gone).await, Value::Null);
}

async fn backups_are_made_and_restored(tried: &mut Tried) {
    let made =
        tried.call("create_backup", json!({ "vm": WEB, "definition": "daily", "note": "n" })).await;
    assert_eq!(
        (&made["returncode"], &made["message"]),
        (&json!(0), &json!("Backup successfully created"))
    );
    let names = tried
        .call("list_backups", json!({ "vm": WEB, "disk_id": 1, "define": "daily", "full": false }))
        .await;
    let newest = names[0].clone();
    let backup = tried.call("get_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert_eq!(
        (&backup["status"], &backup["note"], &backup["time"]),
        (&json!(1), &json!("n"), &json!(20))
    );
    let note = json!({ "vm": WEB, "backup": newest, "note": "keep this one" });
    assert_eq!(tried.call("update_backup_note", note).await["note"], "keep this one");
    let restore = json!({
        "vm": WEB, "backup": newest, "target_hostname_or_uuid": "spare01.example.com",
        "target_disk_id": 1,
    });
    let restored = tried.call("restore_backup", restore).await;
    assert_eq!(restored["message"], "Backup successfully restored");
    let one = tried.call("delete_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert_eq!(one["message"], "Backup successfully deleted");
    let two: Vec<Value> = names.as_array().unwrap()[1..3].to_vec();
    tried.call("delete_backups", json!({ "vm": WEB, "bkpnames": two })).await;
    let rest = tried
        .call("list_backups", json!({ "vm": WEB, "disk_id": 1, "define": "daily", "full": false }))
        .await;
    assert!(two.iter().chain([&newest]).all(|name| !rest.as_array().unwrap().contains(name)));
}

async fn nodes_are_read(tried: &mut Tried) {
    let node = json!({ "node": "backup01.example.com", "full": true });
    let kept = tried.call("list_node_backup_definitions", node.clone()).await;
    assert!(kept.as_array().unwrap().iter().any(|it| it["dc"] == "lab"), "of all datacenters");
    let node = json!({ "node": "backup01.example.com", "vm": WEB, "full": true });
    let kept = tried.call("list_node_backups", node).await;
    assert!(kept.as_array().unwrap().iter().all(|it| it["hostname"] == WEB));
}

async fn tasks_are_followed(tried: &mut Tried) {
    let begun = json!({ "vm": "web02.example.com", "definition": "daily", "wait": 0 });
    let begun = tried.call("create_backup", begun).await;
    let handle = begun["task"]["handle"].as_str().unwrap().to_owned();
    let id = handle.split(':').next_back().unwrap();
    assert_eq!(tried.call("list_tasks", json!({})).await, json!([id]));
    let pending = tried.call("get_task", json!({ "task_id": id })).await;
    assert!(pending["bkpname"].as_str().unwrap().starts_with("daily-"), "{pending}");
    let status = tried.call("get_task_status", json!({ "task_id": id })).await;
    assert_eq!((&status["status"], &status["result"]), (&json!("PENDING"), &Value::Null));
    assert_eq!(tried.call("is_task_done", json!({ "task_id": id })).await, false);
    // 410, which is what was asked for.
    let cancelled = tried.call("cancel_task", json!({ "task_id": id, "force": true })).await;
    assert_eq!(cancelled["status"], "REVOKED");
    let stuck = json!({ "vm": "web02.example.com", "definition": "daily", "wait": 0 });
    let stuck =
        tried.call("create_backup", stuck).await["task"]["handle"].as_str().unwrap().to_owned();
    let id = stuck.split(':').next_back().unwrap();
    assert_eq!(
        tried.call("delete_task", json!({ "task_id": id, "force": true })).await,
        "Delete pending"
    );
    let log = tried.call("list_task_log", json!({ "status": "REVOKED" })).await;
    assert_eq!(log[0]["object_name"], "web02.example.com");
    let counts = tried.call("count_task_log", json!({ "last": 3600 })).await;
    assert_eq!((&counts["revoked"], &counts["_last"]), (&json!(1), &json!(3600)));
}

#[tokio::test(start_paused = true)]
async fn every_tool_does_what_it_says() {
    let mut tried = Tried { bench: Bench::new().await, left: tools() };
    definitions_are_read(&mut tried).await;
    definitions_are_changed(&mut tried).await;
    backups_are_made_and_restored(&mut tried).await;
    nodes_are_read(&mut tried).await;
    tasks_are_followed(&mut tried).await;
    assert!(tried.left.is_empty(), "not called: {:?}", tried.left);
    assert_eq!(tried.bench.product.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_are_what_the_api_takes() {
    let bench = Bench::new().await;
    let names = json!(["daily-1", "daily-2"]);
    bench.error("delete_backups", json!({ "vm": WEB, "bkpnames": names })).await;
    let sent = bench.requests().remove(0);
    assert_eq!(
        (&*sent.method, &*sent.target),
        ("DELETE", &*format!("/api/dc/main/vm/{WEB}/backup/"))
    );
    assert_eq!(body(&sent), json!({ "bkpnames": names }));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("es-api-key"), Some("demo-token"));
    assert_eq!(sent.header("es-stream"), None);
    // Flags that are false are not there; one that is true is.
    for (flags, expected) in [
        (json!({ "full": false, "extended": false }), "dc=main"),
        (json!({ "full": true, "extended": false }), "dc=main&full=true"),
        (json!({ "full": false, "extended": true }), "dc=main&extended=true"),
        (json!({}), "dc=main&full=true"),
    ] {
        let list = bench.value("list_backup_definitions", flags.clone()).await;
        assert_eq!(list[0].is_object(), expected != "dc=main", "{flags}");
        let sent = bench.requests().remove(0).target;
        assert_eq!(sent, format!("/api/vm/define/backup/?{expected}"));
    }
    // False that means something is sent.
    let newest = bench.newest(WEB).await;
    let restore = json!({
        "vm": WEB, "backup": newest, "target_hostname_or_uuid": "snap01.example.com",
        "target_disk_id": 1, "force": false,
    });
    bench.error("restore_backup", restore).await;
    assert_eq!(body(bench.requests().last().unwrap())["force"], false);
}

#[tokio::test(start_paused = true)]
async fn a_restore_never_sends_a_note_and_a_note_never_restores() {
    let bench = Bench::new().await;
    let newest = bench.newest(WEB).await;
    let refusal = |tool: &str, arguments: Value| {
        bench.app.gate.check(tool, object(arguments)).unwrap_err().to_string()
    };
    let restore = json!({
        "vm": WEB, "backup": newest, "target_hostname_or_uuid": "spare01.example.com",
        "target_disk_id": 1, "note": "n",
    });
    let refused = refusal("restore_backup", restore);
    assert!(refused.contains("there is no parameter `note`"), "{refused}");
    for note in [
        json!({ "vm": WEB, "backup": newest }),
        json!({ "vm": WEB, "backup": newest, "note": null }),
    ] {
        let refused = refusal("update_backup_note", note);
        assert!(refused.contains("`note` (string) is required"), "{refused}");
    }
    bench.requests();
    let cleared =
        bench.value("update_backup_note", json!({ "vm": WEB, "backup": newest, "note": "" }));
    assert_eq!(cleared.await["note"], "");
    let sent = bench.requests().remove(0);
    assert_eq!(body(&sent), json!({ "note": "" }));
    let disks = bench.value("get_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert_eq!(disks["status"], 1, "nothing was restored");
}

#[tokio::test(start_paused = true)]
async fn the_backups_of_a_deleted_machine_are_found_by_its_name() {
    let bench = Bench::new().await;
    let old = bench.value("list_backups", json!({ "vm": "old01.example.com", "full": true })).await;
    assert_eq!((&old[0]["vm"], &old[0]["define"]), (&Value::Null, &Value::Null));
    let backup = old[0]["name"].clone();
    let restore = json!({
        "vm": "old01.example.com", "backup": backup, "hostname": "old01.example.com",
        "target_hostname_or_uuid": "spare01.example.com", "target_disk_id": 1,
    });
    let restored = bench.value("restore_backup", restore).await;
    assert_eq!(restored["returncode"], 0);
    let delete = json!({ "vm": "old01.example.com", "bkpnames": [backup] });
    assert_eq!(bench.value("delete_backups", delete).await["returncode"], 0);
    let left = bench.value("list_backups", json!({ "vm": "old01.example.com" })).await;
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_read_page_by_page() {
    let bench = Bench::new().await;
    let first = bench.value("list_task_log", json!({})).await;
    assert_eq!(first.as_array().unwrap().len(), 100);
    let second = bench.value("list_task_log", json!({ "page": 2 })).await;
    assert_eq!(second.as_array().unwrap().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_body_is_lost_hits_nothing_else() {
    let bench = Bench::new().await;
    let list =
        async |disk: u64| bench.value("list_backups", json!({ "vm": WEB, "disk_id": disk })).await;
    let (first, second) = (list(1).await, list(2).await);
    assert_eq!(first[0]["name"], second[0]["name"], "two disks, one name");
    // What deletes one thing has nothing to lose: no body, and the datacenter in the path.
    for (tool, arguments) in [
        ("delete_backup", json!({ "vm": WEB, "backup": first[2]["name"], "dc": "main" })),
        ("delete_backup_definition", json!({ "vm": WEB, "definition": "offsite", "dc": "main" })),
    ] {
        bench.requests();
        bench.value(tool, arguments).await;
        let sent = bench.requests().remove(0);
        assert!(sent.body.is_empty() && sent.target.starts_with("/api/dc/main/vm/"), "{sent:?}");
        let disk = json!({ "vm": WEB, "backup": "daily-1", "definition": "daily", "disk_id": 2 });
        let refused = bench.app.gate.check(tool, object(disk)).unwrap_err().to_string();
        assert!(refused.contains("there is no parameter `disk_id`"), "{refused}");
    }
    // The other disk is named in a body without which nothing is done.
    let names = json!([second[0]["name"]]);
    bench.value("delete_backups", json!({ "vm": WEB, "bkpnames": names, "disk_id": 2 })).await;
    let sent = bench.requests().remove(0);
    assert_eq!(body(&sent), json!({ "bkpnames": names, "disk_id": 2 }));
    let (address, target) = (bench.product.address(), sent.target);
    let lost = crate::recorded::send(&address.to_string(), &format!(
        "DELETE {target} HTTP/1.1\r\nHost: x\r\nES-API-KEY: demo-token\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )).await;
    assert_eq!((lost.0, &*lost.1), (412, r#"{"detail":"Invalid bkpnames"}"#));
    assert_eq!(list(1).await[0], first[0], "it is still there");
}
