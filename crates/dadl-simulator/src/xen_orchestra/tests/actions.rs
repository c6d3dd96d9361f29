//! Actions: what they answer, what they change, and how they fail.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::client::Client;
use crate::{SimulatorOptions, WriteLag};

#[tokio::test]
async fn power() {
    let client = Client::new().await;
    let vm = client.find("vms", "name_label:web-06").await;
    let path = format!("/vms/{vm}");
    let answer = client.post(&format!("{path}/actions/start"), "").await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), format!("/rest/v0/tasks/{id}"));
    let task = client.object(&format!("/tasks/{id}?wait=true")).await;
    assert_eq!(task["status"], "success");
    assert_eq!(task["properties"]["name"], "REST API: start VM");
    assert_eq!(task["properties"]["objectId"], vm.as_str());
    let machine = client.object(&path).await;
    assert_eq!(machine["power_state"], "Running");
    let host = format!("/hosts/{}", machine["$container"].as_str().unwrap());
    let residents = client.object(&host).await["residentVms"].clone();
    assert!(residents.as_array().unwrap().contains(&json!(vm)));
    let answer = client.post(&format!("{path}/actions/start?sync=true"), "").await;
    assert_eq!(answer.status, 500);
    let message = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(message.starts_with("VM_BAD_POWER_STATE(OpaqueRef:"), "{message}");
    assert!(message.ends_with(", halted, running)"), "{message}");
    assert!(answer.json()["info"].is_string());
    let answer = client.post(&format!("{path}/actions/clean_shutdown?sync=true"), "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (204, ""));
    assert_eq!(client.object(&path).await["power_state"], "Halted");
    let tasks = client.objects(&format!("/tasks?filter=properties:objectId:{vm}")).await;
    assert_eq!(tasks.len(), 3);
    // One that runs is shut down hard, and deleted.
    client.post(&format!("{path}/actions/start?sync=true"), "").await;
    let host = client.object(&path).await["$container"].as_str().unwrap().to_owned();
    let answer = client.send(Method::DELETE, &path, "", Bytes::new()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(client.get(&path).await.status, 404);
    let residents = client.object(&format!("/hosts/{host}")).await["residentVms"].clone();
    assert!(!residents.as_array().unwrap().contains(&json!(vm)));
}

#[tokio::test]
async fn machines_that_refuse() {
    let client = Client::new().await;
    // Nobody in it hears a request.
    let vm = client.find("vms", "name_label:build-01").await;
    for action in ["clean_shutdown", "clean_reboot", "suspend"] {
        let answer = client.post(&format!("/vms/{vm}/actions/{action}?sync=true"), "").await;
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(message.starts_with("VM_LACKS_FEATURE(OpaqueRef:"), "{message}");
    }
    let answer = client.post(&format!("/vms/{vm}/actions/hard_shutdown?sync=true"), "").await;
    assert_eq!(answer.status, 204);
    let host = client.find("hosts", "name_label:xcp-02").await;
    let body = json!({ "hostId": host }).to_string();
    let answer = client.post(&format!("/vms/{vm}/actions/migrate?sync=true"), &body).await;
    let message = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(message.ends_with(", running, halted)"), "{message}");
    let vm = client.find("vms", "name_label:wiki").await;
    let answer = client.send(Method::DELETE, &format!("/vms/{vm}"), "", Bytes::new()).await;
    assert_eq!(answer.status, 403);
    let operation = "destroy is blocked: protected from accidental deletion";
    assert_eq!(
        answer.json(),
        json!({"error": format!("forbidden operation: {operation}"), "data": {"operation": operation}})
    );
}

#[tokio::test]
async fn a_disk_is_plugged_into_a_machine_that_runs() {
    let client = Client::new().await;
    let disk = client.find("vdis", "name_label:web-06").await;
    for (vm, attached) in [("web-05", true), ("win-02", false)] {
        let vm = client.find("vms", &format!("name_label:{vm}")).await;
        let body = json!({ "VM": vm, "VDI": disk }).to_string();
        let made = client.post("/vbds", &body).await.json();
        let path = format!("/vbds/{}", made["id"].as_str().unwrap());
        assert_eq!(client.object(&path).await["attached"], attached);
        let answer = client.post(&format!("{path}/actions/connect?sync=true"), "").await;
        assert_eq!(answer.status == 204, !attached, "{answer:?}");
    }
}

#[tokio::test]
async fn a_machine_that_never_starts() {
    let client = Client::new().await;
    let vm = client.find("vms", "name_label:broken-01").await;
    let answer = client.post(&format!("/vms/{vm}/actions/start"), "{}").await;
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    let answer = client.get(&format!("/tasks/{id}?wait=true")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "failure");
    assert_eq!(answer.json()["result"]["code"], "NO_HOSTS_AVAILABLE");
    assert_eq!(answer.json()["result"]["name"], "XapiError");
}

#[tokio::test]
async fn new_machines() {
    let client = Client::new().await;
    let pool = client.find("pools", "name_label:Production").await;
    let template = client.find("vm-templates", "name_label:golden").await;
    let target = format!("/pools/{pool}/actions/create_vm?sync=true");
    let body = json!({
        "name_label": "new", "template": template, "boot": true, "cpus": 3, "memory": 1 << 30,
    });
    let answer = client.post(&target, &body.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let vm = answer.json()["id"].as_str().unwrap().to_owned();
    let machine = client.object(&format!("/vms/{vm}")).await;
    assert_eq!(machine["power_state"], "Running");
    assert_eq!(machine["CPUs"]["number"], 3);
    let answer = client.post(&format!("/vms/{vm}/actions/snapshot"), "").await;
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    let task = client.object(&format!("/tasks/{id}?wait=true")).await;
    let snapshot = task["result"]["id"].as_str().unwrap().to_owned();
    let object = client.object(&format!("/vm-snapshots/{snapshot}")).await;
    assert_eq!(object["$snapshot_of"], vm.as_str());
    assert_eq!(client.objects(&format!("/vm-snapshots/{snapshot}/vdis")).await.len(), 1);
    let target = format!("/vms/{vm}/actions/clone?sync=true");
    let answer = client.post(&target, r#"{"name_label": "copy"}"#).await;
    let copy = client.object(&format!("/vms/{}", answer.json()["id"].as_str().unwrap())).await;
    assert_eq!(
        (copy["name_label"].as_str(), copy["power_state"].as_str()),
        (Some("copy"), Some("Halted"))
    );
    let target = format!("/vms/{vm}/actions/migrate?sync=true");
    for host in ["xcp-01", "xcp-02"] {
        let host = client.find("hosts", &format!("name_label:{host}")).await;
        let body = json!({"hostId": host}).to_string();
        assert_eq!(client.post(&target, &body).await.status, 204);
        assert_eq!(client.object(&format!("/vms/{vm}")).await["$container"], host.as_str());
    }
}

#[tokio::test]
async fn disks_of_new_machines() {
    let client = Client::new().await;
    let pool = client.find("pools", "name_label:Production").await;
    let filter = format!("/vm-templates?fields=*&filter=$pool:{pool}");
    let templates = client.objects(&filter).await;
    let named = |name: &str| templates.iter().find(|one| one["name_label"] == name).unwrap();
    let (golden, ubuntu) = (named("golden-debian-12"), named("Ubuntu Noble Numbat 24.04"));
    let storage = client.find("srs", &format!("$pool:{pool}%20name_label:Local")).await;
    let target = format!("/pools/{pool}/actions/create_vm?sync=true");
    let create = async |template: &Value, more: Value| {
        let mut body = json!({"name_label": "new", "template": template});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.post(&target, &body.to_string()).await
    };
    let disks = async |answer: super::client::Answer| {
        assert_eq!(answer.status, 201, "{answer:?}");
        let vm = answer.json()["id"].as_str().unwrap().to_owned();
        let disks = client.objects(&format!("/vms/{vm}/vdis?fields=*")).await;
        disks.iter().map(|disk| disk["size"].as_u64().unwrap() >> 30).collect::<Vec<_>>()
    };
    assert_eq!(disks(create(&golden["uuid"], json!({})).await).await, [10]);
    let grown = json!({"vdis": [{"userdevice": "0", "size": 20_u64 << 30, "sr": storage}]});
    assert_eq!(disks(create(&golden["uuid"], grown).await).await, [20]);
    let smaller = json!({"vdis": [{"userdevice": "0", "size": 1}]});
    assert_eq!(create(&golden["uuid"], smaller).await.status, 500);
    // One without a system has no disk unless one is asked for, and its identifier is no UUID.
    assert_eq!(disks(create(&ubuntu["uuid"], json!({})).await).await, [] as [u64; 0]);
    let new = json!({"vdis": [{"name_label": "a", "size": 5_u64 << 30, "sr": storage}]});
    assert_eq!(disks(create(&ubuntu["uuid"], new).await).await, [5]);
    assert_eq!(create(&ubuntu["id"], json!({})).await.status, 404);
    let dropped = json!({"vdis": [{"userdervice": "0", "destroy": true}]});
    assert_eq!(create(&golden["uuid"], dropped).await.status, 500);
    assert_eq!(create(&json!("nothing"), json!({})).await.status, 404);
}

#[tokio::test]
async fn edits() {
    let client = Client::new().await;
    let vm = client.find("vms", "name_label:mail").await;
    let path = format!("/vms/{vm}");
    let body = Bytes::from(r#"{"nameLabel": "post", "memory": "6GiB", "cpus": 2, "notes": "n"}"#);
    let answer = client.send(Method::PATCH, &path, "application/json", body).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (204, ""));
    let tag = format!("{path}/tags/a%2Fb");
    assert_eq!(client.send(Method::PUT, &tag, "", Bytes::new()).await.status, 204);
    let machine = client.object(&path).await;
    assert_eq!(machine["name_label"], "post");
    assert_eq!(machine["memory"]["size"], 6_u64 << 30);
    assert!(machine["tags"].as_array().unwrap().contains(&json!("a/b")));
    client.send(Method::DELETE, &tag, "", Bytes::new()).await;
    let machine = client.object(&path).await;
    assert!(!machine["tags"].as_array().unwrap().contains(&json!("a/b")));
}

#[tokio::test]
async fn aborted_tasks_go_on() {
    // Longer than any test run: it ends because the test says so.
    let client = Client::with_task_duration(Duration::from_secs(3600)).await;
    let vm = client.find("vms", "name_label:web-06").await;
    let answer = client.post(&format!("/vms/{vm}/actions/start"), "").await;
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    assert_eq!(client.object(&format!("/tasks/{id}")).await["status"], "pending");
    assert_eq!(client.post(&format!("/tasks/{id}/actions/abort"), "").await.status, 202);
    let task = client.object(&format!("/tasks/{id}")).await;
    assert_eq!(task["status"], "pending");
    assert!(task["abortionRequestedAt"].is_number(), "{task}");
    client.server.end_tasks();
    let task = client.object(&format!("/tasks/{id}?wait=true")).await;
    assert_eq!(task["status"], "success");
    assert!(task.get("progress").is_none(), "{task}");
    assert_eq!(client.object(&format!("/vms/{vm}")).await["power_state"], "Running");
}

#[tokio::test]
async fn sequences_of_schedules_stop() {
    let client = Client::with_task_duration(Duration::from_secs(3600)).await;
    let schedule = client.find("schedules", "name:Saturday").await;
    let answer = client.post(&format!("/schedules/{schedule}/actions/run"), "").await;
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    client.post(&format!("/tasks/{id}/actions/abort"), "").await;
    let task = client.object(&format!("/tasks/{id}?wait=true")).await;
    assert_eq!(task["status"], "interrupted");
}

#[tokio::test]
async fn rolling_updates_say_how_far_they_are() {
    let client = Client::with_task_duration(Duration::from_secs(3600)).await;
    let pool = client.find("pools", "name_label:Production").await;
    let answer = client.post(&format!("/pools/{pool}/actions/rolling_update"), "").await;
    let id = answer.json()["taskId"].as_str().unwrap().to_owned();
    let task = loop {
        let task = client.object(&format!("/tasks/{id}")).await;
        if task.get("tasks").is_some() {
            break task;
        }
    };
    assert_eq!(task["properties"]["name"], "REST API: rolling pool update");
    assert_eq!(task["properties"]["progress"], 0);
    assert_eq!(task["tasks"][1]["properties"]["progress"], 0);
    client.server.end_tasks();
    let task = client.object(&format!("/tasks/{id}?wait=true")).await;
    assert_eq!(task["properties"]["progress"], 100);
    assert_eq!(task["tasks"][1]["status"], "success");
}

#[tokio::test]
async fn a_backup_fails_in_its_log_alone() {
    let client = Client::new().await;
    for (job, status) in [("databases", "success"), ("mail", "failure")] {
        let job = client.find("backup-jobs", &format!("name:{job}")).await;
        let schedule = client.find("schedules", &format!("jobId:{job}")).await;
        let answer = client.post(&format!("/schedules/{schedule}/actions/run"), "").await;
        let id = answer.json()["taskId"].as_str().unwrap().to_owned();
        let task = client.object(&format!("/tasks/{id}?wait=true")).await;
        assert_eq!(task["status"], "success");
        let logs = format!("/backup-logs?fields=*&filter=scheduleId:{schedule}");
        let log = client.objects(&logs).await.pop().unwrap();
        assert!(log["start"].as_u64() >= task["start"].as_u64(), "{log}");
        assert_eq!(log["status"], status, "{log}");
        assert_eq!(log["tasks"][0]["status"], status, "{log}");
    }
}

#[tokio::test]
async fn what_is_written_is_seen_later() {
    let options = SimulatorOptions {
        task_duration: Duration::ZERO,
        lag: WriteLag::Looks(1),
        ..SimulatorOptions::default()
    };
    let client = Client::with(options).await;
    let storage = client.find("srs", "name_label:nfs-storage").await;
    let body = json!({ "srId": storage, "virtual_size": 4096, "name_label": "late" });
    let made = client.post("/vdis", &body.to_string()).await.json();
    let path = format!("/vdis/{}", made["id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.status, 404);
    assert_eq!(client.object(&path).await["name_label"], "late");
    client.send(Method::DELETE, &path, "", Bytes::new()).await;
    // Looked for in a list first, where it still is.
    assert_eq!(client.objects("/vdis?filter=name_label:late").await.len(), 1);
    assert_eq!(client.get(&path).await.status, 404);
    let vm = client.find("vms", "name_label:web-06").await;
    let path = format!("/vms/{vm}");
    client.post(&format!("{path}/actions/start?sync=true"), "").await;
    client.send(Method::PUT, &format!("{path}/tags/new"), "", Bytes::new()).await;
    // That request looked: the VM runs now, and has the tag for those who look again.
    let machine = client.object(&path).await;
    assert_eq!(machine["power_state"], "Running");
    // Users are not of a pool.
    let user = client.post("/users", r#"{"name": "late", "password": "x"}"#).await.json();
    let user = format!("/users/{}", user["id"].as_str().unwrap());
    assert_eq!(client.get(&user).await.status, 200);
}

#[tokio::test]
async fn references_resolve() {
    let client = Client::new().await;
    for (collection, property, target) in [
        ("vms", "$pool", "pools"),
        ("vms", "$VBDs", "vbds"),
        ("vms", "VIFs", "vifs"),
        ("vms", "snapshots", "vm-snapshots"),
        ("hosts", "controlDomain", "vm-controllers"),
        ("hosts", "PIFs", "pifs"),
        ("hosts", "$PBDs", "pbds"),
        ("hosts", "PGPUs", "pgpus"),
        ("hosts", "PCIs", "pcis"),
        ("vifs", "$network", "networks"),
        ("vifs", "$VM", "vms"),
        ("vdis", "$SR", "srs"),
        ("vdis", "$VBDs", "vbds"),
        ("srs", "VDIs", "vdis"),
        ("srs", "$PBDs", "pbds"),
        ("pools", "master", "hosts"),
        ("pools", "default_SR", "srs"),
        ("pgpus", "pci", "pcis"),
        ("proxies", "vmUuid", "vms"),
        ("schedules", "jobId", "backup-jobs"),
        ("backup-logs", "jobId", "backup-jobs"),
        ("backup-logs", "scheduleId", "schedules"),
        ("backup-archives", "backupRepository", "backup-repositories"),
        ("acl-privileges", "roleId", "acl-roles"),
        ("groups", "users", "users"),
        ("messages", "$object", "vms"),
    ] {
        let known = client.objects(&format!("/{target}?fields=id")).await;
        let known: Vec<_> = known.iter().map(|object| object["id"].clone()).collect();
        // What is off may belong to a job that is no backup job.
        let filter = if collection == "schedules" { "enabled?" } else { "" };
        let target = format!("/{collection}?fields={property}&filter={filter}&backup-repository=*");
        let objects = client.objects(&target).await;
        assert!(!objects.is_empty(), "{collection}");
        for object in objects {
            let value = object[property].clone();
            let references = value.as_array().cloned().unwrap_or_else(|| vec![value]);
            for reference in references {
                assert!(known.contains(&reference), "{collection} {property} {reference}");
            }
        }
    }
    assert!(client.objects("/backup-archives").await.is_empty());
    let archive = client.objects("/backup-archives?backup-repository=*").await[0]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(client.get(&archive).await.status, 200);
}
