//! What hosts and the command line see.

use std::{process::Command, time::Duration};

use dadl_simulator::{DanubeCloud, SimulatorOptions};
use serde_json::{Value, json};

use super::{DESCRIPTOR, WEB};
use crate::{
    harness::{Fixed, Harness},
    mcp_http::Site,
    mcp_support::serve_harness,
    process::Process,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_sees_it_over_http() {
    let options = SimulatorOptions { task_duration: Duration::ZERO, ..SimulatorOptions::default() };
    let product = DanubeCloud::start(options).await.unwrap();
    let key = Fixed(Ok(product.token().to_owned()));
    let harness = Harness::new(DESCRIPTOR, &product.url(), key, |_| {});
    let site = Site::start_served(serve_harness(harness, ""), |_| {}).await;
    let call = json!({ "name": "list_backups", "arguments": { "vm": WEB, "dc": "main" } });
    let answer = site.stateless("tools/call", call).await.json().await;
    let names = &answer["result"]["structuredContent"]["result"];
    assert!(names[0]["name"].as_str().unwrap().starts_with("daily-"), "{answer}");
    let wrong = json!({ "vm": "nobody", "dc": "main" });
    let wrong = json!({ "name": "list_vm_backup_definitions", "arguments": wrong });
    let answer = site.stateless("tools/call", wrong).await.json().await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let tools = site.stateless("tools/list", json!({})).await.json().await;
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let create = tools.iter().find(|tool| tool["name"] == "create_backup_definition").unwrap();
    let properties = &create["inputSchema"]["properties"];
    // The check tells the bounds of what it refuses.
    let said = json!({ "type": "integer", "description": "0 none, 1 gzip, 2 bzip2, 3 xz" });
    assert_eq!(properties["compression"], said);
    assert_eq!(properties["definition"].get("pattern"), None);
    let wrong = json!({ "vm": WEB, "dc": "main", "definition": "far too long", "node": "n", "compression": 4 });
    let wrong = json!({ "name": "create_backup_definition", "arguments": wrong });
    let answer = site.stateless("tools/call", wrong).await.json().await;
    let told = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("definition") && told.contains("compression"), "{told}");
    let restore = tools.iter().find(|tool| tool["name"] == "restore_backup").unwrap();
    assert_eq!(restore["annotations"]["destructiveHint"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_host_sees_it_over_stdio() {
    let product = DanubeCloud::start(SimulatorOptions::default()).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let settings = format!(
        "backends:\n  - {{name: danube, dadl: danube-cloud, url: '{}', access: [read, write], \
         defaults: {{dc: main}}}}\n",
        product.url()
    );
    std::fs::write(home.path().join("backends.yaml"), settings).unwrap();
    let mut process = Process::with(&["serve", "--config", "backends.yaml"], |command| {
        command
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("CREDENTIAL_DANUBE_CLOUD_API_KEY", product.token());
    });
    let told = process.initialize()["instructions"].as_str().unwrap().to_owned();
    assert!(told.contains("disk_id counts from 1"), "{told}");
    let mut request = |id: u32, method: &str, parameters: Value| {
        process.request(id, method, &parameters)["result"].take()
    };
    let tools = request(2, "tools/list", json!({}))["tools"].as_array().unwrap().clone();
    let create = tools.iter().find(|tool| tool["name"] == "create_backup").unwrap();
    assert_eq!(create["inputSchema"]["properties"]["dc"]["default"], "main");
    assert!(tools.iter().all(|tool| tool["name"] != "restore_backup"), "it is dangerous");
    assert!(tools.iter().any(|tool| tool["name"] == "task_wait"));
    let call = |tool: &str, arguments: Value| json!({ "name": tool, "arguments": arguments });
    let begun = json!({ "vm": "web02.example.com", "definition": "daily", "wait": 0 });
    let begun = request(3, "tools/call", call("create_backup", begun));
    let task = begun["structuredContent"]["task"]["handle"].as_str().unwrap().to_owned();
    product.advance(Duration::from_secs(5));
    let waited = request(4, "tools/call", call("task_wait", json!({ "task": task, "wait": 5 })));
    assert_eq!(waited["structuredContent"]["returncode"], 0, "{waited}");
    let newest = json!({ "vm": "web02.example.com" });
    let newest = request(5, "tools/call", call("list_backups", newest));
    assert_eq!(newest["structuredContent"]["result"].as_array().unwrap().len(), 2);
    let refused =
        request(6, "tools/call", call("get_backup", json!({ "vm": "nobody", "backup": "x" })));
    assert_eq!(refused["isError"], true);
    assert_eq!(process.end(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_doctor_tells_a_wrong_key_from_a_lack_of_rights() {
    let product = DanubeCloud::start(SimulatorOptions::default()).await.unwrap();
    let doctor = |key: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(["doctor", "--json", "--dadl", "danube-cloud", "--url", &product.url()])
            .env_clear()
            .env("HOME", std::env::temp_dir())
            .env("CREDENTIAL_DANUBE_CLOUD_API_KEY", key)
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let last = report["checks"].as_array().unwrap().last().unwrap().clone();
        (output.status.code().unwrap(), last.to_string())
    };
    let (code, last) = doctor(product.token());
    assert_eq!(code, 0, "{last}");
    let (code, last) = doctor("demo-key-nobody");
    assert_eq!(code, 1);
    assert!(last.contains("[unauthorized] HTTP 403: Invalid API key"), "{last}");
    assert!(last.contains("the credential is wrong or expired"), "{last}");
    let (code, last) = doctor("demo-key-guest");
    assert_eq!(code, 1);
    assert!(last.contains("the account lacks a right"), "{last}");
}
