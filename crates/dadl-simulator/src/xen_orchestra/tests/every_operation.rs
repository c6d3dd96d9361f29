//! Calls every operation of the table once with the least it needs, on a server of its own, and
//! wants a documented success; operations with `sync` are called both ways.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::client::Client;
use crate::xen_orchestra::operations::{BodyRule, XenOperation, operations};
use crate::xen_orchestra::shape::BodyShape;

#[tokio::test]
async fn every_operation_succeeds() {
    let mut calls = 0;
    for operation in operations() {
        let ways: &[&str] = match operation.query.contains(&"sync") {
            true => &["?sync=false", "?sync=true"],
            false => &[""],
        };
        for way in ways {
            check(operation, way).await;
        }
        calls += 1;
    }
    assert_eq!(calls, 260);
}

async fn check(operation: &XenOperation, way: &str) {
    let client = Client::new().await;
    let setting = prepare(&client, operation).await;
    let target = format!("{}{way}", setting.path);
    let (content_type, body) = match &operation.body {
        None => ("", Bytes::new()),
        Some(BodyRule::Bytes) => {
            let length = setting.upload;
            ("application/octet-stream", Bytes::from(vec![0; length]))
        }
        Some(BodyRule::Json { shape, .. }) => {
            let mut body = least(shape);
            for (name, value) in setting.body {
                body[name] = value;
            }
            ("application/json", body.to_string().into())
        }
    };
    let answer = client.open(operation.method.clone(), &target, content_type, body).await;
    let status = answer.status();
    if operation.path == "/events" {
        // This one never ends.
        assert_eq!(status, 200);
        return;
    }
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body);
    let what = format!("{} {target}: {status} {text:.300}", operation.method);
    assert!(operation.statuses.contains(&status.as_u16()), "{what}");
    assert_eq!(status == 202, way == "?sync=false", "{what}");
    if status == 202 {
        let task = serde_json::from_slice::<Value>(&body).unwrap();
        let task = format!("/tasks/{}?wait=true", task["taskId"].as_str().unwrap());
        let task = client.object(&task).await;
        assert_eq!(task["status"], "success", "{what}: {task}");
    }
    if status == 201 && operation.path != "/events/{id}/subscriptions" {
        let created = serde_json::from_slice::<Value>(&body).unwrap();
        assert!(created["id"].is_string() || created["token"].is_object(), "{what}");
    }
    drop(setting.stream);
}

/// What a call needs beside the table.
struct Setting {
    path: String,
    body: Map<String, Value>,
    upload: usize,
    stream: Option<Incoming>,
}

/// Chooses the objects that an operation can work on, and brings them into the right state.
async fn prepare(client: &Client, operation: &XenOperation) -> Setting {
    let mut setting =
        Setting { path: operation.path.to_owned(), body: Map::new(), upload: 1000, stream: None };
    let collection = operation.segments()[0].to_owned();
    let last = operation.segments().last().copied().unwrap_or_default();
    let id = match (collection.as_str(), operation.method.as_str(), last) {
        ("vms", _, "start") | ("vms", "DELETE", "{id}") => {
            client.find("vms", "name_label:web-06").await
        }
        ("vms", _, "resume") => client.find("vms", "power_state:Suspended").await,
        ("vms", _, "unpause") => {
            let vm = client.find("vms", "name_label:web-01").await;
            client.post(&format!("/vms/{vm}/actions/pause?sync=true"), "").await;
            vm
        }
        ("vms", _, "revert_snapshot") => {
            let vm = client.find("vms", "name_label:db-01").await;
            let machine = client.object(&format!("/vms/{vm}")).await;
            setting.body.insert("snapshotId".into(), machine["snapshots"][0].clone());
            vm
        }
        ("hosts", _, "forget") => {
            let host = client.find("hosts", "name_label:xcp-03").await;
            client.post(&format!("/hosts/{host}/actions/emergency_shutdown?sync=true"), "").await;
            host
        }
        ("servers", _, "connect") => {
            let server = client.find("servers", "label:Lab").await;
            client.post(&format!("/servers/{server}/actions/disconnect?sync=true"), "").await;
            server
        }
        ("vbds" | "vifs", _, "connect") => client.find(&collection, "!attached?").await,
        ("vbds" | "vifs", _, "disconnect") => client.find(&collection, "attached?").await,
        ("networks", "DELETE", "{id}") => client.find("networks", "name_label:Storage").await,
        ("vm-templates", "DELETE", "{id}") => {
            client.find("vm-templates", "name_label:golden").await
        }
        ("users", "DELETE", _) => client.find("users", "name:bob").await,
        ("acl-roles", "PATCH" | "DELETE", _) => client.find("acl-roles", "name:web").await,
        ("events", _, _) if operation.path != "/events" => {
            let (id, stream) = lower_subscribe(client).await;
            setting.stream = Some(stream);
            id
        }
        _ if operation.path.contains("{id}") => {
            let collection = collection.split(".{").next().unwrap_or_default();
            client.find(collection, "").await
        }
        _ => String::new(),
    };
    let user = client.find("users", "name:bob").await;
    let group = client.find("groups", "name:developers").await;
    if operation.method == Method::DELETE && collection == "acl-roles" {
        assign(client, &id, &user, &group).await;
    }
    if operation.method == Method::PUT && last == "{id}.{format}" {
        let disk = client.object(&format!("/vdis/{id}")).await;
        // Seeded disks are far too long to upload here.
        let body = json!({"srId": disk["$SR"], "virtual_size": 4096}).to_string();
        let created = client.post("/vdis", &body).await.json();
        setting.upload = 4096;
        setting.path = format!("/vdis/{}.raw", created["id"].as_str().unwrap());
    }
    let format = if collection.starts_with("vdi") { "raw" } else { "xva" };
    for (capture, value) in [
        ("{id}", id.as_str()),
        ("{format}", format),
        ("{tag}", "new%20tag"),
        ("{data_source}", "memory"),
        ("{userId}", &user),
        ("{groupId}", &group),
        ("{subscriptionId}", "VM"),
    ] {
        setting.path = setting.path.replace(capture, value);
    }
    fill_missing(client, operation, &mut setting.body).await;
    setting
}

/// Gives a role to a user and a group.
async fn assign(client: &Client, role: &str, user: &str, group: &str) {
    for member in [format!("users/{user}"), format!("groups/{group}")] {
        let target = format!("/acl-roles/{role}/{member}");
        client.send(Method::PUT, &target, "", Bytes::new()).await;
    }
}

/// Opens the stream of events, and has it bring those of machines.
async fn lower_subscribe(client: &Client) -> (String, Incoming) {
    let answer = client.open(Method::GET, "/events", "", Bytes::new()).await;
    let mut stream = answer.into_body();
    let init = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8_lossy(&init).into_owned();
    let id = text.split('"').nth(3).unwrap().to_owned();
    let body = r#"{"collection": "VM"}"#;
    client.post(&format!("/events/{id}/subscriptions"), body).await;
    (id, stream)
}

/// Finds the objects that a body must name.
async fn fill_missing(client: &Client, operation: &XenOperation, body: &mut Map<String, Value>) {
    let Some(BodyRule::Json { shape, .. }) = &operation.body else {
        return;
    };
    for name in least(shape).as_object().unwrap().keys() {
        let value: Value = match name.as_str() {
            "VDI" => client.find("vdis", "").await.into(),
            "VM" | "vmId" => client.find("vms", "").await.into(),
            "action" => "start".into(),
            "host" if operation.path.contains("add_host") => {
                client.find("hosts", "name_label:lab-01").await.into()
            }
            "hostId" => client.find("hosts", "name_label:xcp-02").await.into(),
            "network" | "networkId" => client.find("networks", "").await.into(),
            "pif" => client.find("pifs", "").await.into(),
            "pifIds" => json!([client.find("pifs", "").await]),
            "resource" => "vm".into(),
            "roleId" => client.find("acl-roles", "name:web").await.into(),
            "srId" => client.find("srs", "").await.into(),
            "template" => {
                let template = client.find("vm-templates", "").await;
                let template = client.object(&format!("/vm-templates/{template}")).await;
                template["uuid"].clone()
            }
            _ => continue,
        };
        body.entry(name.clone()).or_insert(value);
    }
}

/// Returns the least value of a shape: required properties alone.
fn least(shape: &BodyShape) -> Value {
    match shape {
        BodyShape::Any | BodyShape::OpenObject => json!({}),
        BodyShape::Array(_) => json!([]),
        BodyShape::Boolean => json!(true),
        BodyShape::Intersection(parts) => {
            let parts = parts.iter().map(least);
            let properties = parts.filter_map(|part| part.as_object().cloned());
            Value::Object(properties.flatten().collect())
        }
        BodyShape::Nullable(_) => Value::Null,
        BodyShape::Number => json!(1),
        BodyShape::Object { fields, .. } => {
            let required = fields.iter().filter(|field| field.required);
            required.map(|field| (field.name.clone(), least(&field.shape))).collect()
        }
        BodyShape::OneOf(words) => json!(words[0]),
        BodyShape::String => json!("something"),
        BodyShape::Union(alternatives) => least(&alternatives[0]),
    }
}
