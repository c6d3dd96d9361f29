//! The product as a client sees it, where it has a way of its own.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::DanubeCloud;
use crate::SimulatorOptions;

/// An answer.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn detail(&self) -> (u16, &str) {
        (self.status, self.body["detail"].as_str().unwrap_or_default())
    }
}

/// A client that does what it is told.
struct Client {
    product: DanubeCloud,
}

impl Client {
    async fn start(task_duration: Duration) -> Self {
        let options = SimulatorOptions { task_duration, ..SimulatorOptions::default() };
        Self { product: DanubeCloud::start(options).await.unwrap() }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let stream = tokio::net::TcpStream::connect(self.product.address()).await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request =
            http::Request::builder().method(method).uri(format!("/api{path}")).header("host", "x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(bytes::Bytes::from(body.unwrap_or_default().to_owned()));
        let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends as `admin`, with JSON.
    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call_as(method, path, body, "demo-token").await
    }

    async fn call_as(&self, method: &str, path: &str, body: Value, key: &str) -> Answer {
        let headers = [("es-api-key", key), ("content-type", "application/json")];
        let body = (!body.is_null()).then(|| body.to_string());
        let with_body = if body.is_some() { &headers[..] } else { &headers[..1] };
        self.send(method, path, with_body, body.as_deref()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }
}

const WEB: &str = "/vm/web01.example.com";

#[tokio::test]
async fn a_path_without_its_last_slash_loses_the_body() {
    let client = Client::start(Duration::ZERO).await;
    let answer =
        client.call("POST", "/vm/web01.example.com/backup/daily", json!({"dc": "main"})).await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.header("location"), "/api/vm/web01.example.com/backup/daily/");
    let answer = client.get("/task?dc=main").await;
    assert_eq!((answer.status, answer.header("location")), (301, "/api/task/?dc=main"));
    for nothing in ["/nothing/", "/nothing", "/vm/a b/backup/", "/vm/a/backup/b/c/"] {
        let answer = client.get(&nothing.replace(' ', "%20")).await;
        assert_eq!(answer.status, 404, "{nothing}");
        assert_eq!(answer.header("content-type"), "application/json", "and it is no JSON");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_credential_is_403() {
    let client = Client::start(Duration::ZERO).await;
    let with = async |name: &'static str, value: &str| {
        client.send("GET", "/task/", &[(name, value)], None).await
    };
    let missing = (403, "Authentication credentials were not provided.");
    assert_eq!(client.send("GET", "/task/", &[], None).await.detail(), missing);
    assert_eq!(with("authorization", "Basic eDp5").await.detail(), missing);
    assert_eq!(with("es-api-key", "x").await.detail(), (403, "Invalid API key"));
    assert_eq!(with("authorization", "Token x").await.detail(), (403, "Invalid token."));
    let guest = with("es-api-key", "demo-key-guest").await;
    assert_eq!(guest.detail(), (403, "User account is not allowed to access API"));
    assert_eq!(client.send("GET", "/ping/", &[], None).await.body, "pong");
    let wrong = client.send("GET", "/ping/", &[("es-api-key", "x")], None).await;
    assert_eq!(wrong.detail(), (403, "Invalid API key"));
    let html = [("es-api-key", "demo-token"), ("accept", "text/html")];
    assert_eq!(client.send("GET", "/task/", &html, None).await.status, 406);

    let json = [("content-type", "application/json")];
    let log_in = async |password: &str| {
        let body = json!({"username": "operator", "password": password}).to_string();
        client.send("POST", "/accounts/login/", &json, Some(&body)).await
    };
    assert_eq!(
        log_in("wrong").await.detail(),
        (400, "Unable to log in with provided credentials.")
    );
    let empty = client.send("POST", "/accounts/login/", &json, Some("{}")).await;
    let required = json!(["This field is required."]);
    assert_eq!(empty.body["detail"], json!({"username": required, "password": required}));
    let first = log_in(DanubeCloud::PASSWORD).await;
    assert_eq!(first.detail(), (200, "Welcome to Danube Cloud API."));
    let first = format!("Token {}", first.body["token"].as_str().unwrap());
    assert_eq!(with("authorization", &first).await.status, 200);
    assert_eq!(with("authorization", &first.replace("Token", "token")).await.status, 200);
    let second = log_in(DanubeCloud::PASSWORD).await.body["token"].as_str().unwrap().to_owned();
    let second = format!("Token {second}");
    assert_eq!(with("authorization", &first).await.detail(), (403, "Invalid token."));
    assert_eq!(with("authorization", &second).await.header("es_username"), "operator");
    client.product.advance(Duration::from_secs(3600));
    assert_eq!(with("authorization", &second).await.detail(), missing);

    let third = log_in(DanubeCloud::PASSWORD).await.body["token"].as_str().unwrap().to_owned();
    let third = format!("Token {third}");
    let field = [("authorization", third.as_str())];
    let bye = client.send("GET", "/accounts/logout/", &field, None).await;
    assert_eq!(bye.detail(), (200, "Bye."));
    assert_eq!(with("authorization", &third).await.detail(), (403, "Invalid token."));
}

#[tokio::test]
async fn a_minute_has_45_requests() {
    let client = Client::start(Duration::ZERO).await;
    for _ in 0..45 {
        assert_eq!(client.get("/task/").await.status, 200);
    }
    let answer = client.get("/task/").await;
    assert_eq!(answer.status, 429);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let text = answer.detail().1;
    let expected = format!("Request was throttled. Expected available in {seconds}.0 seconds.");
    assert_eq!(text, expected);
    assert_eq!(client.call_as("GET", "/task/", Value::Null, "demo-key-operator").await.status, 200);
    client.product.advance(Duration::from_secs(60));
    assert_eq!(client.get("/task/").await.status, 200);
    assert_eq!(client.product.throttled(), 1);
}

#[tokio::test]
async fn parameters_are_in_the_query_or_in_a_json_body() {
    let client = Client::start(Duration::ZERO).await;
    let key = ("es-api-key", "demo-token");
    let path = format!("{WEB}/define/backup/daily/");
    // What is no JSON object is an empty body.
    let plain = [key, ("content-type", "text/plain")];
    let json = [key, ("content-type", "application/json")];
    let change = r#"{"retention": 5}"#;
    for (headers, body) in
        [(&plain, change), (&json, "[5]"), (&json, "{\"retention\": 5"), (&json, "")]
    {
        let answer = client.send("PUT", &path, headers, Some(body)).await;
        assert_eq!(
            (answer.status, &answer.body["result"]["retention"]),
            (200, &json!(30)),
            "{body}"
        );
    }
    // A query of a write says nothing.
    let ignored = format!("{path}?retention=99");
    assert_eq!(client.call("PUT", &ignored, json!({})).await.body["result"]["retention"], 30);
    assert_eq!(client.call("PATCH", &path, json!({})).await.detail().0, 405);
    // The datacenter: the parameter, the path, the one that was chosen last.
    let dc = async |path: &str| client.get(path).await.header("es_dc").to_owned();
    assert_eq!(dc("/task/").await, "main");
    assert_eq!(dc("/dc/lab/task/").await, "lab");
    assert_eq!(dc("/dc/lab/task/?dc=full").await, "full");
    assert_eq!(client.get("/task/?dc=nowhere").await.detail(), (404, "Datacenter not found"));
    let foreign = client.call_as("GET", "/task/?dc=lab", Value::Null, "demo-key-operator").await;
    assert_eq!(foreign.status, 404);
    client.product.disable_backups();
    assert_eq!(client.get(&format!("{WEB}/backup/")).await.status, 404);
    assert_eq!(client.get("/task/").await.status, 200);
}

#[tokio::test]
async fn lists_are_names_and_extended_is_a_trap() {
    let client = Client::start(Duration::ZERO).await;
    let list = async |query: &str| {
        client.get(&format!("{WEB}/define/backup/?{query}")).await.body["result"].clone()
    };
    assert_eq!(list("disk_id=1&order_by=name").await, json!(["daily", "offsite"]));
    assert_eq!(list("disk_id=1&order_by=-name").await, json!(["offsite", "daily"]));
    assert_eq!(list("full=false&disk_id=2").await, json!(["daily"]));
    assert!(list("full=true").await[0].get("backups").is_none());
    assert!(list("extended=1").await[0]["backups"].is_u64());
    assert_eq!(list("extended=false&disk_id=2").await, json!(["daily"]));
    assert!(list("full=maybe").await[0].is_object(), "what is no no is a yes");
    let one = client.get(&format!("{WEB}/define/backup/daily/?extended=false")).await;
    assert!(one.body["result"]["backups"].is_u64(), "that it is there is enough");
    assert_eq!(client.get(&format!("{WEB}/define/backup/?disk_id=9")).await.status, 412);
    assert!(client.get(&format!("{WEB}/backup/?extended=1")).await.body["result"][0].is_object());
    let wrong = client.get(&format!("{WEB}/backup/?order_by=age")).await;
    let fields = "name, created, hostname, disk_id, time, size";
    assert_eq!(
        wrong.detail(),
        (412, &*format!("Invalid order_by; Possible sort fields are: {fields}"))
    );
    let owner = client.call_as(
        "GET",
        "/vm/shop01.example.com/backup/?full=1",
        Value::Null,
        "demo-key-owner",
    );
    assert_eq!(owner.await.body["result"][0]["node"], "#f9af4b", "a color instead of the name");
}

#[tokio::test]
async fn only_the_body_tells_what_201_means() {
    let client = Client::start(Duration::from_secs(8)).await;
    let body = json!({"node": "backup01.example.com"});
    let defined = client.call("POST", &format!("{WEB}/define/backup/weekly/"), body).await;
    assert_eq!((defined.status, &defined.body["status"]), (201, &json!("SUCCESS")));
    assert_eq!(defined.body["result"]["retention"], 12);
    let dummy = defined.body["task_id"].as_str().unwrap();
    assert_eq!(defined.header("es_task_id"), dummy);
    assert_eq!(defined.header("es_task_response"), "");
    let status = client.get(&format!("/task/{dummy}/status/")).await;
    assert_eq!(status.detail(), (404, "Task does not exist (anymore)"));

    let begun = client.call("POST", &format!("{WEB}/backup/daily/"), json!({"note": "n"})).await;
    assert_eq!((begun.status, &begun.body["status"]), (201, &json!("PENDING")));
    assert_eq!(begun.header("es_task_response"), "true");
    let id = begun.body["task_id"].as_str().unwrap();
    let status = async || client.get(&format!("/task/{id}/state/")).await;
    assert_eq!(status().await.body["status"], "PENDING");
    assert_eq!(client.get("/task/").await.body, json!([id]));
    let shown = client.get(&format!("/task/{id}/")).await.body;
    let name = shown["bkpname"].as_str().unwrap().to_owned();
    assert!(name.starts_with("daily-20"), "{shown}");
    assert_eq!(shown["vm"], true);
    let elsewhere = client.get(&format!("/dc/lab/task/{id}/")).await;
    assert_eq!(elsewhere.detail(), (404, "Task does not exist"));
    let done = client.get(&format!("/task/{id}/done/")).await;
    assert_eq!((done.status, done.body), (201, json!({"done": false})));
    let path = format!("/task/{id}/status/");
    let other = client.call_as("GET", &path, Value::Null, "demo-key-owner").await;
    assert_eq!(other.status, 403);
    client.product.advance(Duration::from_secs(3));
    let now = status().await;
    assert_eq!((now.status, &now.body["status"]), (201, &json!("STARTED")));
    client.product.advance(Duration::from_secs(6));
    let now = status().await;
    assert_eq!((now.status, &now.body["result"]["returncode"]), (200, &json!(0)));
    let done = client.get(&format!("/task/{id}/done/")).await;
    assert_eq!((done.status, done.body), (200, json!({"done": true})));
    assert_eq!(client.get(&format!("/task/{id}/")).await.status, 404);
    let backup = client.get(&format!("{WEB}/backup/{name}/")).await.body["result"].clone();
    assert_eq!((&backup["status"], &backup["note"]), (&json!(1), &json!("n")));
    // An id of the right form that nobody knows looks as if it were about to begin.
    let unknown = client.get("/task/1e1d1-00000000-0000-0000-ffff/status/").await;
    assert_eq!((unknown.status, &unknown.body["status"]), (201, &json!("PENDING")));
    let unknown = "/task/1e1d1-00000000-0000-0000-ffff";
    let cancel = client.call("PUT", &format!("{unknown}/cancel/"), json!({})).await;
    assert_eq!(cancel.detail(), (406, "Task cannot be canceled"));
    let malformed = client.get("/task/x/status/").await;
    assert_eq!(malformed.detail(), (403, "Permission denied"));
}

#[tokio::test]
async fn the_owner_of_a_machine_sees_its_tasks_and_cancels_none() {
    let client = Client::start(Duration::from_secs(8)).await;
    let begun = client.call("POST", "/vm/shop01.example.com/backup/daily/", json!({})).await;
    let id = begun.body["task_id"].as_str().unwrap();
    assert!(id.starts_with("1e9d1-"), "{id}");
    let owner = async |method: &str, path: &str| {
        client.call_as(method, path, Value::Null, "demo-key-owner").await
    };
    assert_eq!(owner("GET", "/task/").await.body, json!([id]));
    assert_eq!(owner("GET", &format!("/task/{id}/")).await.status, 200);
    assert_eq!(owner("GET", &format!("/task/{id}/status/")).await.status, 201);
    let cancel = owner("PUT", &format!("/task/{id}/cancel/")).await;
    assert_eq!(cancel.detail(), (403, "Permission denied"));
    let elsewhere = client.call("PUT", &format!("/dc/lab/task/{id}/cancel/"), json!({})).await;
    assert_eq!(elsewhere.detail(), (406, "Task cannot be canceled"));
    let lost = client.call("PUT", &format!("/task/{id}/cancel/"), json!({"dc": "lab"})).await;
    assert_eq!(lost.status, 406, "the body goes before the path");
    assert_eq!(
        client.call("PUT", &format!("/dc/main/task/{id}/cancel/"), json!({})).await.status,
        410
    );
    assert_eq!(owner("GET", "/task/log/stats/").await.detail(), (403, "Permission denied"));
}

#[tokio::test]
async fn a_task_fails_with_400_and_is_revoked_with_410() {
    let client = Client::start(Duration::from_secs(8)).await;
    let begin = async |vm: &str| {
        let path = format!("/vm/{vm}.example.com/backup/daily/");
        let begun = client.call("POST", &path, json!({})).await;
        format!("/task/{}", begun.body["task_id"].as_str().unwrap_or("none"))
    };
    let failing = begin("broken01").await;
    let revoked = begin("web02").await;
    let path = format!("{revoked}/cancel/");
    let answer = client.call("PUT", &path, json!({"force": true})).await;
    assert_eq!((answer.status, &answer.body["status"]), (410, &json!("REVOKED")));
    assert_eq!(client.call("PUT", &path, json!({})).await.status, 406);
    client.product.advance(Duration::from_secs(8));
    let answer = client.get(&format!("{failing}/status/")).await;
    assert_eq!((answer.status, &answer.body["status"]), (400, &json!("FAILURE")));
    assert_eq!(answer.body["result"]["message"], "Failed to create backup");
    let done = client.get(&format!("{failing}/done/")).await;
    assert_eq!((done.status, &done.body["done"]), (400, &json!(false)));
    let gone = client.get(&format!("{revoked}/done/")).await;
    assert_eq!((gone.status, &gone.body["done"]), (410, &json!(false)));
    let lock = client.call("POST", "/vm/nolock01.example.com/backup/daily/", json!({})).await;
    assert_eq!((lock.status, &lock.body["result"]), (400, &json!("Task did not acquire lock")));
    let fields = json!({"node": "nowhere", "compression": 7, "desc": "x".repeat(129)});
    let invalid = client.call("POST", &format!("{WEB}/define/backup/ninechars/"), fields).await;
    assert_eq!((invalid.status, &invalid.body["status"]), (400, &json!("FAILURE")));
    let wrong: Vec<&String> = invalid.body["result"].as_object().unwrap().keys().collect();
    assert_eq!(wrong.len(), 6, "{wrong:?}");
    let worker = client.call("POST", "/vm/noworker01.example.com/backup/daily/", json!({})).await;
    assert_eq!(worker.body["result"], "Task queue worker (backup) is not responding!");
    // Somebody's record of a stuck task.
    let stuck = begin("web01").await;
    let path = format!("{stuck}/");
    let operator = client.call_as("DELETE", &path, json!({}), "demo-key-operator").await;
    assert_eq!(operator.status, 403);
    let safe = client.call("DELETE", &path, json!({})).await;
    assert_eq!(safe.detail(), (406, "Safe task deletion is not implemented"));
    let gone = client.call("DELETE", &path, json!({"force": true})).await;
    assert_eq!((gone.status, gone.body), (200, json!("Delete pending")));
}

#[tokio::test]
async fn a_note_turns_a_restore_into_an_edit() {
    let client = Client::start(Duration::ZERO).await;
    let name = client.get(&format!("{WEB}/backup/?disk_id=1")).await.body["result"][0].clone();
    let path = format!("{WEB}/backup/{}/", name.as_str().unwrap());
    let restore = json!({"target_hostname_or_uuid": "spare01.example.com", "target_disk_id": 1});
    let mut noted = restore.clone();
    noted["note"] = json!(null);
    let answer = client.call("PUT", &path, noted).await;
    assert_eq!((answer.status, &answer.body["result"]["note"]), (200, &json!("")));
    let answer = client.call("PUT", &path, json!({"note": "keep"})).await;
    assert_eq!((answer.status, &answer.body["result"]["note"]), (200, &json!("keep")));
    let answer = client.call("PUT", &path, json!({})).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["result"].as_object().unwrap().len(), 2);
    let answer = client.call("PUT", &path, restore).await;
    assert_eq!((answer.status, &answer.body["status"]), (201, &json!("PENDING")));
}

#[tokio::test]
async fn what_keeps_a_machine_from_being_restored() {
    let client = Client::start(Duration::from_secs(60)).await;
    let name = client.get(&format!("{WEB}/backup/?disk_id=1")).await.body["result"][0].clone();
    let path = format!("{WEB}/backup/{}/", name.as_str().unwrap());
    let restore = async |vm: &str, disk: u64, force: bool| {
        let vm = format!("{vm}.example.com");
        let body = json!({"target_hostname_or_uuid": vm, "target_disk_id": disk, "force": force});
        let answer = client.call("PUT", &path, body).await;
        let (status, detail) = answer.detail();
        (status, detail.to_owned())
    };
    let refused = |status, detail: &str| (status, detail.to_owned());
    assert_eq!(restore("nowhere", 1, true).await, refused(404, "VM not found"));
    assert_eq!(restore("web02", 1, true).await, refused(423, "VM is not stopped"));
    assert_eq!(restore("locked01", 1, true).await, refused(423, "VM is locked"));
    assert_eq!(restore("down01", 1, true).await, refused(423, "Node is not operational"));
    assert_eq!(restore("new01", 1, true).await, refused(423, "VM is not stopped"));
    assert_eq!(restore("zone01", 1, true).await, refused(428, "VM brand mismatch"));
    assert_eq!(restore("big01", 1, true).await, refused(428, "Disk size mismatch"));
    assert_eq!(restore("spare01", 5, true).await, refused(412, "Invalid target_disk_id"));
    assert_eq!(restore("spare01", 9, true).await.0, 400);
    // The size is looked at before the state.
    assert_eq!(restore("db01", 1, true).await, refused(428, "Disk size mismatch"));
    assert_eq!(restore("snap01", 1, false).await, refused(417, "VM has snapshots"));
    assert_eq!(restore("snap01", 1, true).await.0, 201);
    assert_eq!(restore("snap01", 1, true).await, refused(417, "VM backup status is not OK"));
    client.product.advance(Duration::from_secs(60));
    assert_eq!(restore("snap01", 1, false).await.0, 201, "its snapshots are gone");
    client.product.advance(Duration::from_secs(60));
    assert_eq!(restore("bhyve01", 1, true).await.0, 201, "virtual hardware is virtual hardware");
}

#[tokio::test]
async fn backups_outlive_their_definition_and_their_machine() {
    let client = Client::start(Duration::ZERO).await;
    let deleted =
        client.call("DELETE", &format!("{WEB}/define/backup/offsite/"), Value::Null).await;
    assert_eq!((deleted.status, &deleted.body["result"]), (200, &Value::Null));
    let all = client.get(&format!("{WEB}/backup/?full=true&order_by=created")).await;
    let all = all.body["result"].as_array().unwrap().clone();
    let orphan = all.iter().find(|it| it["name"].as_str().unwrap().starts_with("offsite")).unwrap();
    assert_eq!(orphan["define"], Value::Null);
    let lost = all.iter().find(|it| it["status"] == 4).unwrap()["name"].as_str().unwrap();
    let answer = client.call("DELETE", &format!("{WEB}/backup/{lost}/"), Value::Null).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("SUCCESS")), "at once");
    assert_eq!(answer.body["result"], json!({"message": "Backup successfully deleted from DB"}));
    let old = client.get("/vm/old01.example.com/backup/?full=true").await.body["result"].clone();
    assert_eq!((&old[0]["vm"], old.as_array().unwrap().len()), (&Value::Null, 2));
    let names = json!({"bkpnames": [old[0]["name"], old[1]["name"]]});
    let answer = client.call("DELETE", "/vm/old01.example.com/backup/", names).await;
    assert_eq!((answer.status, &answer.body["status"]), (201, &json!("PENDING")));
    assert_eq!(client.get("/vm/old01.example.com/backup/").await.body["result"], json!([]));
    let none = client.call("DELETE", &format!("{WEB}/backup/"), json!({"bkpnames": []})).await;
    assert_eq!(none.detail(), (412, "Invalid bkpnames"));
}

#[tokio::test]
async fn unknown_names_are_passed_over_when_some_are_known() {
    let client = Client::start(Duration::ZERO).await;
    let list = async |query: &str| {
        let path = format!("{WEB}/backup/?define=daily&disk_id=1&full=1&{query}");
        client.get(&path).await.body["result"].as_array().unwrap().clone()
    };
    let (lost, newest) = (list("order_by=created").await[0].clone(), list("").await[0].clone());
    assert_eq!((&lost["status"], &newest["status"]), (&json!(4), &json!(1)));
    let delete = async |names: Value| {
        let path = format!("{WEB}/backup/");
        let answer = client.call("DELETE", &path, json!({"bkpnames": names})).await;
        (answer.status, answer.body["status"].clone())
    };
    assert_eq!(delete(json!(["nosuch"])).await, (404, Value::Null));
    assert_eq!(delete(json!(["nosuch", lost["name"]])).await, (200, json!("SUCCESS")), "at once");
    assert_eq!(delete(json!(["nosuch", newest["name"]])).await, (201, json!("PENDING")));
    // Who has no machine of this name finds what had it.
    let of_nobody = client.get("/vm/nosuch.example.com/backup/").await;
    assert_eq!((of_nobody.status, &of_nobody.body["result"]), (200, &json!([])));
    let by_uuid = format!("/vm/{}/backup/", newest["vm_uuid"].as_str().unwrap());
    let owner = async |path: &str| {
        let answer = client.call_as("GET", path, Value::Null, "demo-key-owner").await;
        answer.body["result"].as_array().unwrap().len()
    };
    assert_eq!((owner(&by_uuid).await, owner(&format!("{WEB}/backup/?disk_id=2")).await), (0, 2));
}

#[tokio::test]
async fn a_disk_has_one_backup_task_at_a_time() {
    let client = Client::start(Duration::from_secs(60)).await;
    let path = format!("{WEB}/backup/daily/");
    let create = async |body: Value| client.call("POST", &path, body).await;
    assert_eq!(create(json!({})).await.status, 201);
    client.product.advance(Duration::from_secs(1));
    let again = create(json!({})).await;
    assert_eq!((again.status, &again.body["result"]), (400, &json!("Task did not acquire lock")));
    assert_eq!(create(json!({"disk_id": 2})).await.status, 201, "another disk is free");
    client.product.advance(Duration::from_secs(60));
    assert_eq!(create(json!({})).await.status, 201);
}

#[tokio::test]
async fn a_datacenter_may_have_limits() {
    let client = Client::start(Duration::ZERO).await;
    let define = async |name: &str, retention: u64| {
        let path = format!("/dc/lab/vm/lab01.example.com/define/backup/{name}/");
        let body = json!({"node": "backup01.example.com", "schedule": "1 2 * * *", "retention": retention});
        client.call("POST", &path, body).await.body["result"].clone()
    };
    let fault = "Ensure this value is greater than or equal to 1.";
    assert_eq!(define("a", 0).await["retention"], json!([fault]));
    assert_eq!(define("a", 60).await["retention"], 60);
    let full = "Maximum number of backup definitions reached.";
    assert_eq!(define("b", 60).await["non_field_errors"], json!([full]));
}

#[tokio::test]
async fn the_log_is_searched_with_care() {
    let client = Client::start(Duration::from_secs(60)).await;
    let status = async |query: &str| client.get(&format!("/task/log/?{query}")).await.status;
    for (query, expected) in [
        ("status=DONE", 400),
        ("order_by=name", 412),
        ("date_from=yesterday", 400),
        ("page=x", 404),
        ("page=1&date_to=2030-01-01", 200),
    ] {
        assert_eq!(status(query).await, expected, "{query}");
    }
    assert_eq!(client.get("/task/log/stats/?last=x").await.status, 412);
    let count = async |query: &str| {
        client.get(&format!("/task/log/?page=1&{query}")).await.body["count"].clone()
    };
    assert_eq!(count("object_name=web01.example.com").await, 120, "a name alone says nothing");
    assert_eq!(count("object_type=vm&object_name=web01.example.com").await, 60);
    client.call("POST", &format!("{WEB}/backup/daily/"), json!({})).await;
    assert_eq!((count("show_running=1").await, count("").await), (json!(1), json!(121)));
    client.product.advance(Duration::from_secs(60));
    assert_eq!(
        (count("show_running=1").await, count("").await),
        (json!(0), json!(122)),
        "two rows"
    );
}

#[tokio::test]
async fn the_log_has_pages() {
    let client = Client::start(Duration::ZERO).await;
    let newest = client.get("/task/log/").await.body;
    assert_eq!(newest["results"].as_array().unwrap().len(), 10);
    assert!(newest.get("count").is_none());
    let first = client.get("/task/log/?page=1").await.body;
    assert_eq!((&first["count"], first["results"].as_array().unwrap().len()), (&json!(120), 100));
    assert!(first["next"].as_str().unwrap().ends_with("/api/task/log/?page=2"));
    let second = client.get("/task/log/?page=2&order_by=time").await.body;
    assert_eq!((&second["next"], second["results"].as_array().unwrap().len()), (&Value::Null, 20));
    assert_eq!(client.get("/task/log/?page=3").await.status, 404);
    let failed = client.get("/task/log/?page=1&status=FAILURE").await.body;
    let stats = client.get("/task/log/stats/?last=999999999").await.body;
    assert_eq!(failed["count"], stats["failed"]);
}
