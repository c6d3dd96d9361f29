//! The descriptor of XO Proxy against its simulator: every tool, what each documented error says,
//! what is refused by default, and the doors of MCP.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dadl_descriptor::{model::Descriptor, source::SourceText};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    outcome::AnswerPayload,
};
use dadl_simulator::{SimulatorOptions, XoProxy, XoProxyOptions};
use serde_json::{Map, Value, json};

use crate::{
    harness::{Fixed, Harness},
    mcp_http::Site,
    mcp_support::{Client, Served, failure, serve_harness, text},
};

const DESCRIPTOR: &str = include_str!("../../dadl/xo-proxy.dadl");

/// What proxies of today lack.
const OLD: [&str; 5] = ["cancel_task", "destroy_task", "get_events", "get_task", "list_tasks"];

struct Run {
    proxy: XoProxy,
    harness: Harness,
}

impl Run {
    async fn start(is_old: bool) -> Self {
        Self::start_with(is_old, DESCRIPTOR).await
    }

    async fn start_with(is_old: bool, descriptor: &str) -> Self {
        let common = SimulatorOptions {
            record: true,
            export_size: 1024,
            task_duration: Duration::ZERO,
            ..SimulatorOptions::default()
        };
        let proxy = XoProxy::start(XoProxyOptions { is_old, ..common.into() }).await.unwrap();
        let token = Fixed(Ok(proxy.token().to_owned()));
        let harness = Harness::new(descriptor, &proxy.url(), token, |_| {});
        Self { proxy, harness }
    }

    async fn value(&self, tool: &str, arguments: Value) -> Value {
        self.harness.value(tool, arguments).await
    }

    /// What a model reads when the call fails.
    async fn failure(&self, tool: &str, arguments: Value) -> String {
        let outcome = self.harness.call(tool, arguments).await;
        let Err(error) = outcome else { panic!("{tool}: {outcome:?}") };
        let error = error.for_model();
        for secret in ["/opt/xo-proxy", "    at ", "hunter2"] {
            assert!(!error.contains(secret), "{tool}: {error}");
        }
        error
    }

    /// The newest backup of a VM that the simulator has.
    async fn backup(&self) -> Value {
        let found = self.value("list_vm_backups", json!({ "remotes": remotes() })).await;
        let vm = found["r1"].as_object().unwrap().values().next().unwrap();
        vm.as_array().unwrap().last().unwrap().clone()
    }

    /// Arguments with which each tool succeeds.
    async fn arguments(&self) -> BTreeMap<&'static str, Value> {
        let backup = self.backup().await;
        let metadata =
            self.value("list_xo_metadata_backups", json!({ "remotes": remotes() })).await;
        let (id, disk) = (&backup["id"], &backup["disks"][0]["id"]);
        let metadata = &metadata["r1"][0]["id"];
        let mut all: BTreeMap<&str, Value> = BTreeMap::from([
            ("list_vm_backups", json!({ "remotes": remotes(), "vmId": backup["vm"]["uuid"] })),
            ("list_pool_metadata_backups", json!({ "remotes": remotes() })),
            ("list_xo_metadata_backups", json!({ "remotes": remotes() })),
            ("list_disk_partitions", json!({ "disk": disk, "remote": remote() })),
            (
                "list_partition_files",
                json!({ "disk": disk, "partition": "2", "path": "/etc", "remote": remote() }),
            ),
            (
                "fetch_partition_files",
                json!({ "disk": disk, "partition": "2", "paths": ["/etc/hosts"], "format": "tgz", "remote": remote() }),
            ),
            ("restore_metadata_backup", json!({ "backupId": metadata, "remote": remote() })),
            (
                "import_vm_backup",
                json!({ "backupId": id, "remote": remote(), "srUuid": "sr", "xapi": xapi(), "settings": {} }),
            ),
            (
                "run_backup",
                json!({
                    "job": { "id": "j1", "type": "backup", "mode": "full", "name": "n", "settings": {} },
                    "remotes": remotes(), "schedule": { "id": "s1" }, "xapis": { "p1": xapi() },
                    "recordToXapi": { "vm": "p1" }, "jobData": {},
                }),
            ),
            ("delete_vm_backup", json!({ "filename": id, "remote": remote() })),
            ("delete_vm_backups", json!({ "filenames": [], "remote": remote() })),
            ("delete_metadata_backup", json!({ "backupId": metadata, "remote": remote() })),
            ("mount_partition", json!({ "disk": disk, "partition": "2", "remote": remote() })),
            ("get_method_signature", json!({ "method": "backup.run" })),
            ("configure_updater", json!({ "channel": "latest" })),
            ("set_authentication_token", json!({ "token": "another-t0ken" })),
            ("list_newest_vm_backups", json!({ "remotes": remotes() })),
            ("get_events", json!({ "timeout": 0 })),
        ]);
        for tool in ["test_remote", "ping_remote", "get_remote_info", "get_remote_backup_size"] {
            all.insert(tool, json!({ "remote": remote() }));
        }
        all
    }
}

fn remote() -> Value {
    json!({ "url": XoProxy::REPOSITORY })
}

fn remotes() -> Value {
    json!({ "r1": remote() })
}

fn xapi() -> Value {
    let credentials = json!({ "username": "root", "password": "hunter2-of-the-pool" });
    json!({ "url": "https://pool.example.com", "credentials": credentials, "allowUnauthorized": true })
}

fn descriptor() -> Descriptor {
    let loaded = dadl_descriptor::check(&SourceText::new("xo-proxy.dadl", DESCRIPTOR));
    assert_eq!(loaded.diagnostics, []);
    loaded.descriptor.unwrap()
}

#[test]
fn the_descriptor_has_no_findings_and_the_layout() {
    descriptor();
    let formatted =
        dadl_descriptor::format::format(&SourceText::new("xo-proxy.dadl", DESCRIPTOR)).unwrap();
    assert!(formatted == DESCRIPTOR, "run `dadl-mcp fmt dadl/xo-proxy.dadl`");
}

#[tokio::test]
async fn every_method_is_a_tool_and_every_tool_a_method() {
    let run = Run::start(true).await;
    let methods = run.value("get_methods_info", json!({})).await;
    let ours: BTreeMap<String, BTreeSet<String>> = descriptor()
        .tools
        .iter()
        .map(|tool| {
            let params = tool.params.iter().map(|param| param.name.clone()).collect();
            (tool.rpc().unwrap().method.clone(), params)
        })
        .collect();
    let theirs: BTreeMap<String, BTreeSet<String>> = methods
        .as_array()
        .unwrap()
        .iter()
        .map(|method| {
            let params = method["params"].as_object().unwrap().keys().cloned().collect();
            (method["name"].as_str().unwrap().to_owned(), params)
        })
        .filter(|(name, _)| !name.starts_with("test."))
        .collect();
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn every_tool_is_called_with_success() {
    let names: Vec<String> = descriptor().offered_names().map(str::to_owned).collect();
    assert!(names.len() >= 40, "{names:?}");
    for name in names {
        let run = Run::start(OLD.contains(&name.as_str())).await;
        let mut arguments = run.arguments().await.remove(name.as_str()).unwrap_or(json!({}));
        match name.as_str() {
            "unmount_partition" => {
                let mount = run.arguments().await.remove("mount_partition").unwrap();
                arguments = json!({ "path": run.value("mount_partition", mount).await });
            }
            "get_task" | "cancel_task" | "destroy_task" => {
                let tasks = run.value("list_tasks", json!({ "limit": 1 })).await;
                arguments = json!({ "taskId": tasks[0]["id"] });
            }
            _ => {}
        }
        run.proxy.take_requests();
        let outcome = run.harness.call(&name, arguments.clone()).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_file = matches!(outcome.payload, AnswerPayload::File(_));
        let files = ["fetch_partition_files", "restore_metadata_backup"];
        assert_eq!(is_file, files.contains(&name.as_str()), "{name}");
        let request = run.proxy.take_requests().remove(0);
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/api/v1"),
            "{name}"
        );
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        // What was given and the declared defaults, and nothing else.
        let mut expected = arguments;
        let defaults = [
            ("run_backup", "streamLogs", json!(true)),
            ("import_vm_backup", "streamLogs", json!(true)),
        ];
        for (tool, param, value) in defaults {
            if tool == name {
                expected[param] = value;
            }
        }
        assert_eq!(sent["params"], expected, "{name}");
    }
}

#[tokio::test]
async fn results_have_the_shape_that_is_declared() {
    let run = Run::start(false).await;
    let backup = run.backup().await;
    for key in ["id", "mode", "timestamp", "size", "disks", "vm"] {
        assert!(backup.get(key).is_some(), "{key}: {backup}");
    }
    let log = run.arguments().await.remove("import_vm_backup").unwrap();
    let log = run.value("import_vm_backup", log).await;
    let log = log.as_array().unwrap();
    assert_eq!(log[0]["properties"]["name"], "restore");
    let end = log.last().unwrap();
    assert_eq!((&end["type"], &end["status"]), (&json!("end"), &json!("success")));
    assert!(end["result"]["id"].is_string(), "{end}");
    let check = run.value("check_appliance", json!({})).await;
    assert!(!check.as_str().unwrap().contains('\u{1b}'), "{check}");
    let ids = json!({ "remotes": remotes(), "jq": "[.r1[][].size] | length" });
    assert_eq!(run.value("list_vm_backups", ids).await, json!(9));
    let outcome = run.arguments().await.remove("fetch_partition_files").unwrap();
    let outcome = run.harness.call("fetch_partition_files", outcome).await.unwrap();
    let AnswerPayload::File(file) = outcome.payload else { panic!("{:?}", outcome.payload) };
    assert_eq!((file.name.as_str(), file.size), ("fetch_partition_files.tgz", 1024));
}

#[tokio::test]
async fn methods_that_a_proxy_lacks_are_told_apart() {
    let run = Run::start(false).await;
    for tool in OLD {
        let arguments = match tool {
            "list_tasks" | "get_events" => json!({}),
            _ => json!({ "taskId": "x" }),
        };
        let error = run.failure(tool, arguments).await;
        assert!(error.starts_with("[method_not_found] the server has no method `"), "{error}");
        assert!(error.contains("system.listMethods (tool `list_methods`)"), "{error}");
    }
    let run = Run::start(true).await;
    for tool in ["get_task", "cancel_task", "destroy_task"] {
        let error = run.failure(tool, json!({ "taskId": "x" })).await;
        assert!(error.starts_with("[not_found] no such task x"), "{error}");
    }
}

#[tokio::test]
async fn every_tool_says_which_argument_the_proxy_refuses() {
    for tool in descriptor().tools {
        // As if the descriptor had a parameter that the proxy does not know.
        let marker = format!("\n      rpc_method: {}\n", tool.rpc().unwrap().method);
        let (before, after) = DESCRIPTOR.split_once(&marker).unwrap();
        let (own, rest) = after.split_once("\n\n").unwrap();
        let own = match own.contains("      params:\n") {
            true => own.replacen(
                "      params:\n",
                "      params:\n        zz: { type: string, default: q }\n",
                1,
            ),
            false => format!("{own}\n      params: {{ zz: {{ type: string, default: q }} }}"),
        };
        let wrong = format!("{before}{marker}{own}\n\n{rest}");
        let run = Run::start_with(true, &wrong).await;
        let arguments: Map<String, Value> = tool
            .params
            .iter()
            .filter(|param| param.required && param.default.is_none())
            .map(|param| {
                let value = match param.kind {
                    dadl_descriptor::model::ParamKind::Object => json!({}),
                    dadl_descriptor::model::ParamKind::Array => json!(["x"]),
                    _ => json!("x"),
                };
                (param.name.clone(), value)
            })
            .collect();
        let error = run.failure(&tool.name, Value::Object(arguments)).await;
        let expected = "[invalid_input] invalid parameters: `zz` must NOT have additional properties (code 10)";
        assert!(error.starts_with(expected), "{}: {error}", tool.name);
    }
}

#[tokio::test]
async fn types_within_objects_are_refused_by_name() {
    let run = Run::start(false).await;
    let error = run.failure("list_vm_backups", json!({ "remotes": { "r1": "nfs://x" } })).await;
    assert!(error.contains("`remotes.r1` must be object"), "{error}");
    let error =
        run.failure("delete_vm_backups", json!({ "filenames": [7], "remote": remote() })).await;
    assert!(error.contains("`filenames.0` must be string"), "{error}");
    let error = run.failure("set_authentication_token", json!({ "token": "" })).await;
    assert!(error.contains("`token` must NOT have fewer than 1 characters"), "{error}");
    let error = run.failure("get_method_signature", json!({ "method": "nope" })).await;
    assert!(error.starts_with("[not_found] no such nope method"), "{error}");
}

#[tokio::test]
async fn errors_of_the_proxy_show_neither_stack_nor_credential() {
    let run = Run::start(false).await;
    let down = json!({ "url": "smb://me:hunter2@down.example.com/share" });
    let mut failing = run.arguments().await;
    failing.retain(|_, arguments| arguments.get("remote").is_some());
    // It never fails.
    let test = failing.remove("test_remote").unwrap();
    assert!(failing.len() >= 12, "{failing:?}");
    for (tool, mut arguments) in failing {
        arguments["remote"] = down.clone();
        let error = run.failure(tool, arguments.clone()).await;
        let expected = "[internal] mount.smb: connection timed out for smb://[REDACTED]@down.example.com/share (code -32000)";
        assert!(error.starts_with(expected), "{tool}: {error}");
        arguments["remote"] = json!({ "url": "ftp://host/" });
        let error = run.failure(tool, arguments).await;
        assert!(error.starts_with("[internal] Unhandled remote type"), "{tool}: {error}");
    }
    let mut test = test;
    test["remote"] = down.clone();
    let tested = run.value("test_remote", test).await;
    assert_eq!(tested["success"], false);
    assert!(!tested.to_string().contains("hunter2"), "{tested}");
    // Lists leave out what they cannot read, and the composite says so.
    let both = json!({ "remotes": { "r1": remote(), "r2": down } });
    for tool in ["list_vm_backups", "list_pool_metadata_backups", "list_xo_metadata_backups"] {
        let found = run.value(tool, both.clone()).await;
        assert_eq!(found.as_object().unwrap().len(), 1, "{found}");
    }
    let newest = run.value("list_newest_vm_backups", both).await;
    assert_eq!(newest["newest"].as_array().unwrap().len(), 3);
    assert_eq!(newest["unread"][0]["remote"], "r2");
    let why = newest["unread"][0]["error"].as_str().unwrap();
    assert!(why.contains("connection timed out"), "{why}");
    assert!(!newest.to_string().contains("hunter2"), "{newest}");
    // It only opens them, so that a model may call it unasked.
    let catalog = run.harness.gate.catalog();
    assert!(!catalog.find("list_newest_vm_backups").unwrap().has_effect());
    let error = run.failure("unmount_partition", json!({ "path": "/x" })).await;
    assert!(
        error.starts_with("[internal] No partition corresponding to the path /x found"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_token_is_refused_for_every_tool() {
    let run = Run::start(false).await;
    let token = Fixed(Ok("not-the-t0ken".to_owned()));
    let harness = Harness::new(DESCRIPTOR, &run.proxy.url(), token, |_| {});
    let arguments = run.arguments().await;
    for tool in descriptor().tools {
        let arguments = match tool.name.as_str() {
            "unmount_partition" => json!({ "path": "/x" }),
            "get_task" | "cancel_task" | "destroy_task" => json!({ "taskId": "x" }),
            name => arguments.get(name).cloned().unwrap_or(json!({})),
        };
        let error = harness.call(&tool.name, arguments).await.unwrap_err().for_model();
        assert!(error.starts_with("[unauthorized] HTTP 401: Unauthorized"), "{error}");
        assert!(!error.contains("not-the-t0ken"), "{error}");
    }
    let health = harness.value("health", json!({})).await;
    assert_eq!((&health["ok"], &health["http_status"]), (&json!(false), &json!(401)));
}

#[tokio::test]
async fn a_token_that_the_proxy_replaces_is_used_from_then_on() {
    let run = Run::start(false).await;
    run.proxy.renew_token("the-second-t0ken");
    for _ in 0..3 {
        assert_eq!(run.value("get_server_version", json!({})).await, json!("0.31.6"));
    }
    let cookies: Vec<String> = run
        .proxy
        .take_requests()
        .iter()
        .map(|request| request.header("cookie").unwrap().to_owned())
        .collect();
    let second = "authenticationToken=the-second-t0ken";
    assert_eq!(cookies, ["authenticationToken=demo-token", second, second]);
}

#[tokio::test]
async fn a_job_that_runs_is_not_run_twice() {
    let common = SimulatorOptions {
        task_duration: Duration::from_secs(3600),
        ..SimulatorOptions::default()
    };
    let proxy = XoProxy::start(common).await.unwrap();
    let harness =
        Harness::new(DESCRIPTOR, &proxy.url(), Fixed(Ok(proxy.token().to_owned())), |_| {});
    let job = json!({
        "job": { "id": "j1", "type": "backup", "name": "n", "settings": {} },
        "remotes": {}, "schedule": { "id": "s" },
    });
    let mut begin = job.clone();
    begin["max_items"] = json!(2);
    let log = harness.value("run_backup", begin).await;
    assert_eq!(log[0]["properties"]["jobId"], "j1");
    assert_eq!(harness.value("list_running_jobs", json!({})).await, json!(["j1"]));
    let error = harness.call("run_backup", job).await.unwrap_err().for_model();
    assert!(error.starts_with("[internal] job is already running"), "{error}");
}

/// A server with this level of access.
async fn served(run: &Run, levels: &[&str]) -> Served {
    let token = Fixed(Ok(run.proxy.token().to_owned()));
    let harness = Harness::new(DESCRIPTOR, &run.proxy.url(), token, |settings| {
        let levels = AccessLevels::new(levels.iter().copied());
        settings.policy = AccessPolicy { levels, ..AccessPolicy::default() };
    });
    serve_harness(harness, "")
}

#[tokio::test]
async fn only_what_reads_is_allowed_by_default() {
    let run = Run::start(false).await;
    let mut client = Client::legacy(served(&run, &["read"]).await, json!({})).await;
    let listed = client.request(1, "tools/list", json!({})).await;
    let listed: BTreeSet<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    let mut refused = 0;
    // Which of these a proxy has is not known yet.
    let may_lack = ["list_tasks", "get_task", "get_events"];
    for tool in descriptor().tools {
        let level = tool.access.as_ref().unwrap().as_str();
        let is_listed = level == "read" && !may_lack.contains(&tool.name.as_str());
        assert_eq!(listed.contains(tool.name.as_str()), is_listed, "{}", tool.name);
        if level == "read" {
            continue;
        }
        refused += 1;
        run.proxy.take_requests();
        let answer = client.call(refused + 1, &tool.name, json!({})).await;
        let said = answer["error"]["message"].as_str().unwrap_or_else(|| failure(&answer));
        assert!(said.contains(level), "{answer}");
        assert!(run.proxy.take_requests().is_empty(), "{}", tool.name);
    }
    assert_eq!(refused, 15);
}

#[tokio::test]
async fn a_backup_runs_over_stdio_and_its_log_is_read() {
    let run = Run::start(false).await;
    let mut client = Client::legacy(served(&run, &["read", "write"]).await, json!({})).await;
    let version = client.call(1, "get_server_version", json!({})).await;
    assert_eq!(version["result"]["structuredContent"]["result"], "0.31.6");
    let mut arguments = run.arguments().await.remove("run_backup").unwrap();
    arguments["open"] = json!(true);
    let opened = client.call(2, "run_backup", arguments).await;
    let handle = opened["result"]["structuredContent"]["stream"].clone();
    assert!(handle.is_string(), "{opened}");
    let mut log = Vec::new();
    let mut id = 2;
    // Until the run has ended; each read waits for what is new.
    while !log.iter().any(|entry: &Value| entry["type"] == "end" && entry["parentId"].is_null()) {
        id += 1;
        let read = client.call(id, "stream_read", json!({ "stream": handle, "wait": 60 })).await;
        let content = &read["result"]["structuredContent"];
        log.extend(content["items"].as_array().unwrap_or_else(|| panic!("{read}")).clone());
    }
    assert_eq!(log[0]["properties"]["jobName"], "n");
    let error = client.call(99, "get_task", json!({ "taskId": "x" })).await;
    assert!(failure(&error).starts_with("[method_not_found]"), "{error}");
}

#[tokio::test]
async fn backups_are_listed_over_http() {
    let run = Run::start(false).await;
    let site = Site::start_served(served(&run, &["read"]).await, |_| {}).await;
    let arguments = json!({ "remotes": remotes() });
    let parameters = json!({ "name": "list_newest_vm_backups", "arguments": arguments });
    let answer = site.stateless("tools/call", parameters).await.json().await;
    let newest = &answer["result"]["structuredContent"]["newest"];
    assert_eq!(newest.as_array().unwrap_or_else(|| panic!("{answer}")).len(), 3);
    let parameters = json!({ "name": "ping_remote", "arguments": { "remote": {} } });
    let answer = site.stateless("tools/call", parameters).await.json().await;
    assert!(text(&answer).starts_with("[internal] "), "{answer}");
    let parameters = json!({ "name": "run_backup", "arguments": {} });
    let answer = site.stateless("tools/call", parameters).await.json().await;
    assert!(answer.to_string().contains("write"), "{answer}");
}
