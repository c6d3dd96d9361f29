//! Streams and raw bytes: events, watched tasks, exports, imports, recorded requests.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::client::Client;

async fn next(stream: &mut Incoming) -> String {
    let frame = stream.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn events() {
    let client = Client::new().await;
    let answer = client.open(Method::GET, "/events", "", Bytes::new()).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.into_body();
    let init = next(&mut stream).await;
    let data = init.strip_prefix("event: init\ndata: ").unwrap();
    let id = serde_json::from_str::<Value>(data).unwrap()["id"].as_str().unwrap().to_owned();
    let target = format!("/events/{id}/subscriptions");
    let body = r#"{"collection": "VM", "fields": ["id", "power_state"]}"#;
    let answer = client.post(&target, body).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (201, json!({"id": "VM"})));
    let vm = client.find("vms", "name_label:web-01").await;
    client.post(&format!("/vms/{vm}/actions/pause?sync=true"), "").await;
    let data = json!({"id": vm, "power_state": "Paused"});
    assert_eq!(next(&mut stream).await, format!("event: update\ndata: {data}\n\n"));
    let answer = client.send(Method::DELETE, &format!("{target}/VM"), "", Bytes::new()).await;
    assert_eq!(answer.status, 204);
    client.post(&format!("/vms/{vm}/actions/unpause?sync=true"), "").await;
    client.post(&target, r#"{"collection": "VM", "fields": ["id"]}"#).await;
    let vm = client.find("vms", "name_label:web-06").await;
    client.send(Method::DELETE, &format!("/vms/{vm}"), "", Bytes::new()).await;
    let data = json!({"id": vm});
    assert_eq!(next(&mut stream).await, format!("event: remove\ndata: {data}\n\n"));
}

#[tokio::test]
async fn watched_tasks() {
    let client = Client::with_task_duration(Duration::from_millis(4)).await;
    let target = "/tasks?ndjson=true&watch=true&fields=id,status,progress,end";
    let mut stream = client.open(Method::GET, target, "", Bytes::new()).await.into_body();
    let vm = client.find("vms", "name_label:web-06").await;
    let answer = client.post(&format!("/vms/{vm}/actions/start"), "").await;
    let id = answer.json()["taskId"].clone();
    let mut lines = String::new();
    while !lines.contains("success") {
        lines.push_str(&next(&mut stream).await);
    }
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!(["update", {"id": id, "status": "pending"}]));
    let last = lines.last().unwrap();
    assert_eq!(last[1]["status"], "success");
    assert!(last[1]["end"].is_number() && last[1].get("progress").is_none(), "{last}");
    let target = format!("/tasks/{}", id.as_str().unwrap());
    client.send(Method::DELETE, &target, "", Bytes::new()).await;
    assert_eq!(next(&mut stream).await, format!("{}\n", json!(["remove", {"id": id}])));
}

#[tokio::test]
async fn exports_repeat_themselves() {
    let client = Client::new().await;
    let disk = client.find("vdis", "").await;
    let vm = client.find("vms", "").await;
    let raw = client.get(&format!("/vdis/{disk}.raw")).await;
    assert_eq!(raw.header("content-type"), "application/octet-stream");
    assert_eq!((raw.header("content-length"), raw.body.len()), ("200000", 200_000));
    assert_eq!(client.get(&format!("/vdis/{disk}.raw")).await.body, raw.body);
    assert_ne!(client.get(&format!("/vdis/{disk}.vhd")).await.body, raw.body);
    let machine = client.get(&format!("/vms/{vm}.xva?compress=zstd")).await;
    assert_eq!(machine.header("transfer-encoding"), "chunked");
    assert_eq!(machine.body.len(), 200_000);
    assert_eq!(client.get(&format!("/vms/{vm}.raw")).await.status, 422);
    assert_eq!(client.get("/vms/nope.xva").await.status, 404);
}

#[tokio::test]
async fn imports_are_counted() {
    let client = Client::new().await;
    let storage = client.find("srs", "").await;
    let target = format!("/srs/{storage}/vdis?raw=true&name_label=my%20disk");
    let media_type = "application/octet-stream";
    let answer = client.send(Method::POST, &target, media_type, vec![7; 3_000_000].into()).await;
    assert_eq!(answer.status, 201);
    let disk = answer.json()["id"].as_str().unwrap().to_owned();
    let object = client.object(&format!("/vdis/{disk}")).await;
    assert_eq!(
        (object["size"].as_u64(), object["name_label"].as_str()),
        (Some(3_000_000), Some("my disk"))
    );
    let target = format!("/vdis/{disk}.raw");
    for (length, status) in [(3_000_000, 204), (1000, 500)] {
        let body = vec![1; length].into();
        let answer = client.send(Method::PUT, &target, media_type, body).await;
        assert_eq!(answer.status, status);
    }
    let requests = client.server.take_requests();
    let upload = requests.iter().find(|request| request.body_length == 3_000_000).unwrap();
    assert_eq!(upload.body.len(), 1024 * 1024);
    assert_eq!(upload.method, "POST");
    assert!(upload.target.ends_with("/vdis?raw=true&name_label=my%20disk"));
    assert_eq!(upload.header("content-type"), Some(media_type));
    // What sha256sum says of three million bytes of value 7.
    assert_eq!(upload.body_sha256, DIGEST);
    assert!(client.server.take_requests().is_empty());
}

#[tokio::test]
async fn refused_uploads_are_recorded_too() {
    let mut client = Client::new().await;
    client.identify(&[]);
    let body = Bytes::from(vec![0; 100_000]);
    let answer = client.send(Method::POST, "/srs/x/vdis", "application/octet-stream", body).await;
    assert_eq!(answer.status, 401);
    assert_eq!(client.server.take_requests()[0].body_length, 100_000);
}

#[tokio::test]
async fn dropping_the_server_ends_streams() {
    let client = Client::new().await;
    let answer = client.open(Method::GET, "/events", "", Bytes::new()).await;
    let mut stream = answer.into_body();
    next(&mut stream).await;
    drop(client);
    assert!(stream.frame().await.is_none_or(|frame| frame.is_err()));
}

const DIGEST: &str = "892f2fe04ec507da2fe21530851fc8c60ae8a0d9b126b61d7168fd5dbb209a1b";
