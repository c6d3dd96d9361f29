//! The calls that were recorded from a real proxy, made again, and what has no record.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{XoProxy, XoProxyOptions};
use crate::SimulatorOptions;

struct Client {
    proxy: XoProxy,
    token: String,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: String,
}

impl Client {
    async fn new(is_old: bool) -> Self {
        let common = SimulatorOptions {
            task_duration: Duration::ZERO,
            export_size: 300_000,
            ..SimulatorOptions::default()
        };
        let options = XoProxyOptions { is_old, ..common.into() };
        let proxy = XoProxy::start(options).await.unwrap();
        let token = proxy.token().to_owned();
        Self { proxy, token }
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.proxy.address()).await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "proxy")
            .header("cookie", format!("a=b; authenticationToken={}", self.token))
            .body(Full::new(bytes::Bytes::from(body.to_owned())));
        let (parts, body) = sender.send_request(request.unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn post(&self, body: &Value) -> Answer {
        self.send(Method::POST, "/api/v1", &body.to_string()).await
    }

    async fn call(&self, method: &str, params: Value) -> Answer {
        self.post(&json!({ "id": 7, "jsonrpc": "2.0", "method": method, "params": params })).await
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await.json();
        assert_eq!(answer["id"], 7, "{answer}");
        answer["result"].clone()
    }

    async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.call(method, params).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, JSON));
        let error = answer.json()["error"].clone();
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

fn remote() -> Value {
    json!({ "url": XoProxy::REPOSITORY })
}

#[tokio::test]
async fn what_is_no_call_is_answered_as_it_was_recorded() {
    let mut client = Client::new(false).await;
    let answer = client.send(Method::POST, "/api/v1", "{no").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, TEXT));
    let expected = json!({ "code": -32700, "message": "invalid JSON" });
    assert_eq!(answer.json(), json!({ "error": expected, "id": null, "jsonrpc": "2.0" }));

    let batch = json!([{ "id": 0, "jsonrpc": "2.0", "method": "system.listMethods" }]);
    let answer = client.post(&batch).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, JSON));
    let expected = json!({ "code": -32601, "message": "method not found" });
    assert_eq!(answer.json(), json!({ "error": expected, "jsonrpc": "2.0" }));

    let answer = client.send(Method::GET, "/api/v1", "").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::METHOD_NOT_ALLOWED, TEXT)
    );
    assert_eq!((answer.header("allow"), answer.body.as_str()), ("POST", "Method Not Allowed"));
    assert_eq!(answer.header("expect-ct"), "max-age=0");

    let answer =
        client.post(&json!({ "jsonrpc": "2.0", "method": "system.getServerVersion" })).await;
    assert_eq!(answer.json(), json!({ "jsonrpc": "2.0", "result": "0.31.6" }));

    client.token = "other".to_owned();
    let answer = client.post(&json!({})).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::UNAUTHORIZED, TEXT));
    assert_eq!(answer.body, "Unauthorized");
}

#[tokio::test]
async fn results_are_those_that_were_recorded() {
    let client = Client::new(false).await;
    let answer = client.call("appliance.getInfo", json!({})).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, JSON));
    let expected = json!({ "os": "debian", "osVersion": "12" });
    assert_eq!(answer.json(), json!({ "id": 7, "jsonrpc": "2.0", "result": expected }));
    let r1 = json!({ "remotes": { "r1": { "url": "nfs://host:/empty" } } });
    assert_eq!(client.result("backup.listVmBackups", r1).await, json!({ "r1": {} }));
    let bad = json!({ "remote": { "url": "ftp://host" } });
    let expected = json!({ "success": false, "error": "Unhandled remote type" });
    assert_eq!(client.result("remote.test", bad).await, expected);
    let info = client.result("remote.getInfo", json!({ "remote": remote() })).await;
    assert_eq!(info["size"], 270_553_174_016_u64);
    let ping = client.result("remote.ping", json!({ "remote": remote() })).await;
    assert_eq!(ping, json!({ "success": true }));
    let signature =
        client.result("system.methodSignature", json!({ "method": "backup.run" })).await;
    let object = json!({ "type": "object" });
    let expected = json!({
        "description": "run a backup job", "name": "backup.run", "result": {},
        "params": {
            "job": object, "remotes": object, "schedule": object, "xapis": object,
            "jobData": object, "recordToXapi": object, "streamLogs": { "type": "boolean" },
        },
    });
    assert_eq!(signature, expected);
}

#[tokio::test]
async fn lists_are_those_that_were_recorded() {
    let client = Client::new(false).await;
    let head = json!({ "id": 7, "jsonrpc": "2.0", "result": { "$responseType": "ndjson" } });
    let answer = client.call("system.listMethods", json!({})).await;
    assert_eq!(answer.header("content-type"), JSON);
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let lines = answer.lines();
    assert_eq!((&lines[0], &lines[1], lines.len()), (&head, &json!("system.getMethodsInfo"), 36));
    assert!(!lines.contains(&json!("task.getAll")));
    let answer = client.call("test.range", json!({ "stop": 3 })).await;
    assert_eq!(answer.lines(), [head.clone(), json!(0), json!(1), json!(2)]);
    let answer = client.call("backup.listRunningJobs", json!({})).await;
    assert_eq!(answer.lines(), [head]);
}

#[tokio::test]
async fn errors_are_those_that_were_recorded() {
    let client = Client::new(false).await;
    let answer = client.call("test.range", json!({ "stop": "x", "zz": 1 })).await;
    let violation = |place: &str, schema: &str, keyword: &str, params: Value, message: &str| {
        json!({
            "instancePath": place, "schemaPath": schema, "keyword": keyword, "params": params,
            "message": message,
        })
    };
    let expected = json!({ "code": 10, "message": "invalid parameters", "data": { "errors": [
        violation("", "#/additionalProperties", "additionalProperties",
            json!({ "additionalProperty": "zz" }), "must NOT have additional properties"),
        violation("/stop", "#/properties/stop/type", "type", json!({ "type": "number" }), "must be number"),
    ] } });
    assert_eq!(answer.json(), json!({ "error": expected, "id": 7, "jsonrpc": "2.0" }));
    let answer = client.call("system.methodSignature", json!({ "name": "x" })).await;
    let expected = json!([
        violation(
            "",
            "#/required",
            "required",
            json!({ "missingProperty": "method" }),
            "must have required property 'method'"
        ),
        violation(
            "",
            "#/additionalProperties",
            "additionalProperties",
            json!({ "additionalProperty": "name" }),
            "must NOT have additional properties"
        ),
    ]);
    assert_eq!(answer.json()["error"]["data"]["errors"], expected);
    let answer = client.call("system.methodSignature", json!({ "method": "nope" })).await;
    let data = json!({ "id": "method", "type": "nope" });
    let expected = json!({ "message": "no such nope method", "code": 1, "data": data });
    assert_eq!(answer.json()["error"], expected);
    let answer = client.call("task.getAll", json!({})).await;
    let expected = json!({
        "code": -32601, "data": "task.getAll", "message": "method not found: task.getAll",
    });
    assert_eq!(answer.json()["error"], expected);
    let answer = client.call("test.throw", json!({ "message": "boom" })).await.json();
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["message"]),
        (&json!(-32000), &json!("boom"))
    );
    let stack = answer["error"]["data"]["stack"].as_str().unwrap();
    assert!(stack.starts_with("Error: boom\n    at "), "{stack}");
}

#[tokio::test]
async fn types_of_params_are_checked() {
    let client = Client::new(false).await;
    for (method, params, place) in [
        ("backup.listVmBackups", json!({ "remotes": { "a": 1 } }), "/remotes/a"),
        ("backup.deleteVmBackups", json!({ "filenames": [1], "remote": {} }), "/filenames/0"),
        ("authentication.setToken", json!({ "token": "" }), "/token"),
        ("remote.test", json!([1]), ""),
    ] {
        let answer = client.call(method, params).await.json();
        assert_eq!(answer["error"]["data"]["errors"][0]["instancePath"], place, "{answer}");
    }
}

#[tokio::test]
async fn backups_are_listed_opened_and_deleted() {
    let client = Client::new(false).await;
    let remotes =
        json!({ "remotes": { "r1": remote(), "gone": { "url": "nfs://down.example.com:/" } } });
    let backups = client.result("backup.listVmBackups", remotes.clone()).await;
    // What cannot be read is left out without a word.
    assert_eq!(backups.as_object().unwrap().len(), 1);
    let vms = backups["r1"].as_object().unwrap();
    assert_eq!(vms.len(), 3);
    let (vm, of_vm) = vms.iter().next().unwrap();
    let mut one = remotes.clone();
    one["vmId"] = json!(vm);
    let one = client.result("backup.listVmBackups", one).await;
    assert_eq!(one["r1"], json!({ vm: of_vm }));
    let disk = &of_vm[0]["disks"][0]["id"];
    let on_disk = |more: Value| {
        let mut params = json!({ "disk": disk, "remote": remote() });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let partitions = client.call("backup.listDiskPartitions", on_disk(json!({}))).await.lines();
    assert_eq!(partitions.len(), 3);
    let files = on_disk(json!({ "partition": "2", "path": "/etc" }));
    assert!(client.result("backup.listPartitionFiles", files).await["hosts"].is_object());
    let fetch = on_disk(json!({ "partition": "2", "paths": ["/etc/hosts"], "format": "zip" }));
    let answer = client.call("backup.fetchPartitionFiles", fetch).await;
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    let unknown = json!({ "disk": "/x.vhd", "remote": remote() });
    let answer = client.call("backup.listDiskPartitions", unknown).await.json();
    let (message, data) = (&answer["error"]["message"], &answer["error"]["data"]);
    assert!(message.as_str().unwrap().starts_with("ENOENT"), "{message}");
    assert_eq!((&data["errno"], &data["code"]), (&json!(-2), &json!("ENOENT")));
    assert!(data["path"].as_str().unwrap().ends_with("/x.vhd"), "{data}");
    let fetch = on_disk(json!({ "partition": "2", "paths": ["/etc/hosts"] }));
    let answer = client.call("backup.fetchPartitionFiles", fetch).await;
    assert_eq!(answer.header("content-type"), "application/octet-stream", "zip unless it is said");
    let none = json!({ "remotes": { "x": remote() }, "vmId": "nope" });
    assert_eq!(client.result("backup.listVmBackups", none).await, json!({ "x": { "nope": [] } }));
    let delete = json!({ "filename": of_vm[0]["id"], "remote": remote() });
    assert_eq!(client.result("backup.deleteVmBackup", delete.clone()).await, json!(true));
    assert_eq!(client.result("backup.deleteVmBackup", delete).await, json!(true), "it is gone");
    let nothing = json!({ "backupId": "nope", "remote": remote() });
    let (_, message) = client.error("backup.deleteMetadataBackup", nothing).await;
    assert_eq!(message, "The id (nope) not correspond to a metadata folder");
    let settings = client
        .result("backup.listXoMetadataBackups", json!({ "remotes": { "r": remote() } }))
        .await;
    let settings = json!({ "backupId": settings["r"][0]["id"], "remote": remote() });
    let log = client.call("backup.restoreMetadataBackup", settings).await.lines();
    assert!(log.last().unwrap()["result"].as_str().unwrap().contains("pw_hash"), "all of it");
}

#[tokio::test(start_paused = true)]
async fn runs_write_a_log_that_is_kept_alive() {
    let common =
        SimulatorOptions { task_duration: Duration::from_secs(90), ..SimulatorOptions::default() };
    let proxy = XoProxy::start(common).await.unwrap();
    let token = proxy.token().to_owned();
    let client = Client { proxy, token };
    let params = json!({
        "job": { "id": "j1", "type": "backup", "name": "nightly", "mode": "full", "settings": {} },
        "remotes": {},
        "schedule": { "id": "s1" }, "streamLogs": true,
    });
    let answer = client.call("backup.run", params.clone()).await;
    assert!(answer.body.contains("\n "), "{}", answer.body);
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line.trim()).unwrap()).collect();
    assert_eq!(lines[0]["result"]["$responseType"], "ndjson");
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["status"]), (&json!("end"), &json!("success")));
    // No VM was backed up, and the run is a success.
    let mut down = params.clone();
    down["remotes"] = json!({ "r": { "url": "nfs://down.example.com:/" } });
    let answer = client.call("backup.run", down).await;
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line.trim()).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["status"], "success");
    let failed = lines.iter().filter(|line| line["status"] == "failure").count();
    assert_eq!(failed, 3);
    let mut quiet = params;
    quiet["streamLogs"] = json!(false);
    assert_eq!(client.result("backup.run", quiet.clone()).await, json!(true));
    quiet["job"] = json!({ "id": "j2" });
    let (code, message) = client.error("backup.run", quiet).await;
    assert_eq!((code, &*message), (-32000, "unknown error from the peer"));
}

#[tokio::test]
async fn a_token_is_replaced_by_a_cookie_and_by_a_call() {
    let mut client = Client::new(false).await;
    client.proxy.renew_token("second");
    let answer = client.call("system.getServerVersion", json!({})).await;
    assert_eq!(answer.header("set-cookie"), "authenticationToken=second");
    assert_eq!(client.call("x", json!({})).await.status, StatusCode::UNAUTHORIZED);
    client.token = "second".to_owned();
    let answer = client.call("authentication.setToken", json!({ "token": "third" })).await;
    assert_eq!(answer.json()["result"], true);
    assert_eq!(client.call("x", json!({})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_old_proxy_has_tasks_and_events() {
    let client = Client::new(true).await;
    let tasks = client.call("task.getAll", json!({ "limit": 1 })).await.lines();
    assert_eq!(tasks.len(), 2);
    let events = client.result("event.from", json!({})).await;
    assert_eq!(events["events"].as_array().unwrap().len(), 4);
    let none = client.result("event.from", json!({ "token": events["token"], "timeout": 0 })).await;
    assert_eq!(none, json!({ "events": [], "token": events["token"] }));
    let id = json!({ "taskId": tasks[1]["id"] });
    assert_eq!(client.result("task.get", id.clone()).await, tasks[1]);
    assert_eq!(client.result("task.destroy", id.clone()).await, json!(true));
    assert_eq!(client.error("task.get", id).await.0, 1);
}
