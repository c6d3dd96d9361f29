//! The descriptor `danube-cloud` against the simulated product: every tool and every documented
//! error, both logins, the datacenter that an operator sets once, tasks, and the limit of requests.
//!
//! The clock of most tests is paused: it jumps to the next thing that waits, in the program and in
//! the product, which share it.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use dadl_mcp::{
    app::App,
    config::{Overrides, Settings, credentials::Credentials, env_vars::Environment},
    executor::{Budget, CallContext, CallError, TaskError},
    gate::{Consent, Refusal},
    outcome::{Outcome, Payload},
    simulator::{DanubeCloud, RecordedRequest, SimulatorOptions},
};
use serde_json::{Value, json};

use crate::{
    harness::{Fixed, Harness},
    mcp_http::Site,
    mcp_support::serve_harness,
    upstream::{Answer, Upstream},
};

const DESCRIPTOR: &str = include_str!("../../dadl/danube-cloud.dadl");

const WEB: &str = "web01.example.com";

/// A product, and the program with it as its only backend.
struct Bench {
    product: DanubeCloud,
    app: App,
    _home: tempfile::TempDir,
}

impl Bench {
    /// Everything is allowed, and the datacenter is `main`.
    async fn new() -> Self {
        Self::with("access: [all]\n    defaults: {dc: main}", &[]).await
    }

    /// The keys `more` of the backend, and more variables than that of the key.
    async fn with(more: &str, variables: &[(&str, &str)]) -> Self {
        let options = SimulatorOptions {
            record: true,
            task_duration: Duration::from_secs(20),
            ..SimulatorOptions::default()
        };
        let product = DanubeCloud::start(options).await.unwrap();
        let (app, home) = program(&product, more, variables).unwrap();
        Self { product, app, _home: home }
    }

    /// Calls a tool as a person who agrees to everything.
    async fn call(&self, tool: &str, arguments: Value) -> Result<Outcome, CallError> {
        let pending = self.app.gate.check(tool, object(arguments)).unwrap();
        let consent = Consent::given_for(pending.digest());
        let call = pending.admit_with(&consent).unwrap();
        // As long as it takes, so that a task is seen to its end.
        let context = CallContext::default().waiting(Budget::Longest);
        self.app.executor.execute(call, &context).await
    }

    async fn value(&self, tool: &str, arguments: Value) -> Value {
        value(self.call(tool, arguments).await.unwrap())
    }

    async fn error(&self, tool: &str, arguments: Value) -> String {
        self.call(tool, arguments).await.unwrap_err().for_model()
    }

    /// The requests since the last time, without the looks at tasks.
    fn requests(&self) -> Vec<RecordedRequest> {
        let requests = self.product.take_requests().into_iter();
        requests.filter(|request| !request.target.contains("/status/")).collect()
    }

    fn targets(&self) -> Vec<String> {
        self.requests().into_iter().map(|it| format!("{} {}", it.method, it.target)).collect()
    }

    async fn newest(&self, vm: &str) -> String {
        let names = self.value("list_backups", json!({ "vm": vm, "disk_id": 1 })).await;
        names[0].as_str().unwrap().to_owned()
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(value) = value else { panic!("arguments are an object") };
    value
}

fn value(outcome: Outcome) -> Value {
    match outcome.payload {
        Payload::Json(text) => text.value().unwrap(),
        Payload::Task(report) => report.to_value(),
        other => panic!("{other:?}"),
    }
}

fn body(request: &RecordedRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap_or(Value::Null)
}

/// Reads backends.yaml with one backend, or says why it cannot be used.
fn program(
    product: &DanubeCloud,
    more: &str,
    variables: &[(&str, &str)],
) -> Result<(App, tempfile::TempDir), String> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("backends.yaml");
    let url = product.url();
    let text = format!(
        "backends:\n  - name: danube\n    dadl: danube-cloud\n    url: {url}\n    {more}\n"
    );
    std::fs::write(&path, text).unwrap();
    let usual = [
        ("HOME", home.path().to_str().unwrap()),
        ("CREDENTIAL_DANUBE_CLOUD_API_KEY", product.token()),
    ];
    let environment: Environment = usual.into_iter().chain(variables.iter().copied()).collect();
    let files = Some(home.path().join("files"));
    let overrides = Overrides { config: Some(path), files, ..Overrides::default() };
    let settings = Settings::load(&overrides, &environment, home.path()).unwrap();
    let app = App::build(&settings, &Credentials::new(environment));
    app.map(|app| (app, home)).map_err(|error| error.to_string())
}

/// The names of all tools, read by somebody else.
fn tools() -> BTreeSet<String> {
    let document: Value = serde_yaml::from_str(DESCRIPTOR).unwrap();
    document["backend"]["tools"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn every_tool_does_what_it_says() {
    let bench = Bench::new().await;
    let (mut called, mut left) = (BTreeSet::new(), tools());
    let mut call = async |tool: &str, arguments: Value| {
        left.remove(tool);
        called.insert(tool.to_owned());
        bench.value(tool, arguments).await
    };

    assert_eq!(call("ping", json!({})).await, "pong");
    let all = call("list_backup_definitions", json!({})).await;
    assert!(all.as_array().unwrap().contains(&json!("hourly")), "{all}");
    let of_web = call("list_vm_backup_definitions", json!({ "vm": WEB, "extended": true })).await;
    assert_eq!(of_web[0]["dc"], "main");
    assert!(of_web.as_array().unwrap().iter().all(|it| it["backups"].is_u64()), "{of_web}");
    let daily = json!({ "vm": WEB, "definition": "daily", "disk_id": 2 });
    let shown = call("get_backup_definition", daily.clone()).await;
    assert_eq!((&shown["schedule"], &shown["retention"]), (&json!("27 4 * * *"), &json!(30)));

    let new = json!({
        "vm": WEB, "definition": "nightly", "node": "backup02.example.com",
        "schedule": "0 3 * * *", "retention": 9, "type": 2, "compression": 3,
        "bwlimit": 1_000_000, "desc": "for the auditors", "fsfreeze": true, "active": false,
    });
    let made = call("create_backup_definition", new).await;
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
    let changed = call("update_backup_definition", change).await;
    assert_eq!((&changed["bwlimit"], &changed["active"]), (&Value::Null, &json!(true)));
    assert_eq!(changed["retention"], 9);
    let gone = json!({ "vm": WEB, "definition": "nightly" });
    assert_eq!(call("delete_backup_definition", gone).await, Value::Null);

    let made =
        call("create_backup", json!({ "vm": WEB, "definition": "daily", "note": "n" })).await;
    assert_eq!(
        (&made["returncode"], &made["message"]),
        (&json!(0), &json!("Backup successfully created"))
    );
    let names = call("list_backups", json!({ "vm": WEB, "disk_id": 1, "define": "daily" })).await;
    let newest = names[0].clone();
    let backup = call("get_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert_eq!(
        (&backup["status"], &backup["note"], &backup["time"]),
        (&json!(1), &json!("n"), &json!(20))
    );
    let note = json!({ "vm": WEB, "backup": newest, "note": "keep this one" });
    assert_eq!(call("update_backup_note", note).await["note"], "keep this one");
    let restore = json!({
        "vm": WEB, "backup": newest, "target_hostname_or_uuid": "spare01.example.com",
        "target_disk_id": 1,
    });
    let restored = call("restore_backup", restore).await;
    assert_eq!(restored["message"], "Backup successfully restored");
    let one = call("delete_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert_eq!(one["message"], "Backup successfully deleted");
    let two: Vec<Value> = names.as_array().unwrap()[1..3].to_vec();
    call("delete_backups", json!({ "vm": WEB, "bkpnames": two })).await;
    let rest = call("list_backups", json!({ "vm": WEB, "disk_id": 1, "define": "daily" })).await;
    assert!(two.iter().chain([&newest]).all(|name| !rest.as_array().unwrap().contains(name)));

    let node = json!({ "node": "backup01.example.com", "full": true });
    let kept = call("list_node_backup_definitions", node.clone()).await;
    assert!(kept.as_array().unwrap().iter().any(|it| it["dc"] == "lab"), "of all datacenters");
    let node = json!({ "node": "backup01.example.com", "vm": WEB, "full": true });
    let kept = call("list_node_backups", node).await;
    assert!(kept.as_array().unwrap().iter().all(|it| it["hostname"] == WEB));

    let begun = json!({ "vm": "web02.example.com", "definition": "daily", "wait": 0 });
    let begun = call("create_backup", begun).await;
    let handle = begun["task"]["handle"].as_str().unwrap().to_owned();
    let id = handle.split(':').next_back().unwrap();
    assert_eq!(call("list_tasks", json!({})).await, json!([id]));
    let pending = call("get_task", json!({ "task_id": id })).await;
    assert!(pending["bkpname"].as_str().unwrap().starts_with("daily-"), "{pending}");
    let status = call("get_task_status", json!({ "task_id": id })).await;
    assert_eq!((&status["status"], &status["result"]), (&json!("PENDING"), &Value::Null));
    assert_eq!(call("is_task_done", json!({ "task_id": id })).await, false);
    // 410, which is what was asked for.
    let cancelled = call("cancel_task", json!({ "task_id": id, "force": true })).await;
    assert_eq!(cancelled["status"], "REVOKED");
    let stuck = json!({ "vm": "web02.example.com", "definition": "daily", "wait": 0 });
    let stuck = call("create_backup", stuck).await["task"]["handle"].as_str().unwrap().to_owned();
    let id = stuck.split(':').next_back().unwrap();
    assert_eq!(call("delete_task", json!({ "task_id": id, "force": true })).await, Value::Null);
    let log = call("list_task_log", json!({ "status": "REVOKED" })).await;
    assert_eq!(log[0]["object_name"], "web02.example.com");
    let counts = call("count_task_log", json!({ "last": 3600 })).await;
    assert_eq!((&counts["revoked"], &counts["_last"]), (&json!(1), &json!(3600)));
    assert!(left.is_empty(), "not called: {left:?}");
    assert_eq!(bench.product.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_documented_error_is_told() {
    let bench = Bench::new().await;
    let newest = bench.newest(WEB).await;
    let restore = |vm: &str, more: Value| {
        let mut arguments = json!({
            "vm": WEB, "backup": newest, "target_hostname_or_uuid": format!("{vm}.example.com"),
            "target_disk_id": 1,
        });
        arguments.as_object_mut().unwrap().extend(object(more));
        ("restore_backup", arguments)
    };
    let create = |vm: &str| {
        ("create_backup", json!({ "vm": format!("{vm}.example.com"), "definition": "daily" }))
    };
    let define = |more: Value| {
        let mut arguments = json!({
            "vm": "db01.example.com", "definition": "nightly", "node": "backup01.example.com",
            "schedule": "0 3 * * *", "retention": 9,
        });
        arguments.as_object_mut().unwrap().extend(object(more));
        ("create_backup_definition", arguments)
    };
    let missing_task = "[not_found] HTTP 404: Task does not exist (anymore)";
    let cases = [
        // 404
        (("list_backups", json!({ "vm": "nobody" })), "[not_found] HTTP 404: VM not found"),
        (("list_vm_backup_definitions", json!({ "vm": "nobody" })), "404: VM not found"),
        (("list_tasks", json!({ "dc": "nowhere" })), "404: Datacenter not found"),
        (("list_backup_definitions", json!({ "dc": "nowhere" })), "404: Datacenter not found"),
        (("get_backup", json!({ "vm": WEB, "backup": "daily-1" })), "404: Backup not found"),
        (("get_backup", json!({ "vm": WEB, "backup": newest, "dc": "lab" })), "404: VM not found"),
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
        (("get_task", json!({ "task_id": "x" })), missing_task),
        (("get_task_status", json!({ "task_id": "x" })), missing_task),
        (("is_task_done", json!({ "task_id": "x" })), missing_task),
        (("cancel_task", json!({ "task_id": "x" })), missing_task),
        (("delete_task", json!({ "task_id": "x" })), missing_task),
        (("list_task_log", json!({ "page": 99 })), "404: Invalid page."),
        // 406, 412, 417, 423, 428
        (
            define(json!({ "vm": WEB, "definition": "daily" })),
            "[conflict] HTTP 406: Backup definition already exists",
        ),
        (define(json!({ "disk_id": 9 })), "[invalid_input] HTTP 412: Invalid disk_id"),
        (
            ("list_backups", json!({ "vm": WEB, "order_by": "age" })),
            "412: Invalid order_by; Possible sort fields are: name, disk_id, size",
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
        (restore("snap01", json!({ "force": false })), "[conflict] HTTP 417: VM has snapshots"),
        (create("locked01"), "[locked] HTTP 423: VM is locked"),
        (create("down01"), "[locked] HTTP 423: Node is not operational"),
        (restore("web02", json!({})), "[locked] HTTP 423: VM is not stopped"),
        (create("new01"), "[conflict] HTTP 428: VM is not installed"),
        (restore("zone01", json!({})), "[conflict] HTTP 428: VM brand mismatch"),
        (restore("big01", json!({})), "[conflict] HTTP 428: Disk size mismatch"),
        // 400: fields, a text, a task that failed
        (
            define(json!({ "node": "nowhere" })),
            "HTTP 400: node: Object with hostname=nowhere does not exist.",
        ),
        (
            define(json!({ "schedule": "daily", "compression": 9 })),
            "schedule: Invalid cron schedule.; compression: Select a valid choice. 9 is not one of the available choices.",
        ),
        (
            define(json!({ "definition": "ninechars" })),
            "name: Ensure this value has at most 8 characters (it has 9).",
        ),
        (
            (
                "update_backup_definition",
                json!({ "vm": WEB, "definition": "daily", "desc": "x".repeat(129) }),
            ),
            "desc: Ensure this value has at most 128 characters (it has 129).",
        ),
        (
            ("update_backup_note", json!({ "vm": WEB, "backup": newest, "note": "x".repeat(129) })),
            "note: Ensure this value has at most 128",
        ),
        (create("nolock01"), "[invalid_input] HTTP 400: Task did not acquire lock"),
        (
            create("broken01"),
            "failed: msg=cannot open 'zones/backups': dataset does not exist (state \"FAILURE\")",
        ),
    ];
    for ((tool, arguments), expected) in cases {
        let error = bench.error(tool, arguments.clone()).await;
        assert!(error.contains(expected), "{tool} {arguments}: {error}");
    }
    // 409: while another task of the machine goes on.
    let begun = json!({ "vm": WEB, "definition": "daily", "wait": 0 });
    let handle = bench.value("create_backup", begun).await["task"]["handle"].clone();
    let (tool, arguments) = create("web01");
    let error = bench.error(tool, arguments).await;
    assert!(error.contains("[conflict] HTTP 409: VM has pending tasks"), "{error}");
    let error = bench.error("delete_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert!(error.contains("409: VM has pending tasks"), "{error}");
    let id = handle.as_str().unwrap().split(':').next_back().unwrap().to_owned();
    bench.product.advance(Duration::from_secs(30));
    let error = bench.error("cancel_task", json!({ "task_id": id })).await;
    assert!(error.contains("[conflict] HTTP 406: Task cannot be canceled"), "{error}");
    // Backups are switched off.
    bench.product.enable_backups(false);
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
    assert_eq!(seen[0]["node"], "gray", "owners see a color");
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
        ("delete_task", json!({ "task_id": "x" })),
    ];
    let count = refused.len();
    for (tool, arguments) in refused {
        let error = owner.error(tool, arguments).await;
        let expected = "[forbidden] HTTP 403: You do not have permission to perform this action.";
        assert!(error.contains(expected), "{tool}: {error}");
    }
    assert_eq!(owner.requests().len(), count, "nothing was tried twice");
    assert!(owner.error("list_backups", json!({ "vm": WEB })).await.contains("404: VM not found"));
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

const PASSWORD: [(&str, &str); 2] = [
    ("CREDENTIAL_DANUBE_CLOUD_USERNAME", "operator"),
    ("CREDENTIAL_DANUBE_CLOUD_PASSWORD", DanubeCloud::PASSWORD),
];

const WITH_PASSWORD: &str = "access: [all]\n    login: password\n    defaults: {dc: main}";

#[tokio::test(start_paused = true)]
async fn a_session_is_begun_anew_when_it_ends() {
    let bench = Bench::with(WITH_PASSWORD, &PASSWORD).await;
    let list = "GET /api/task/?dc=main";
    let log_in = "POST /api/accounts/login/";
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
    let requests = bench.requests();
    let lines: Vec<String> =
        requests.iter().map(|it| format!("{} {}", it.method, it.target)).collect();
    assert_eq!(lines, [log_in, list, list]);
    let given = json!({ "username": "operator", "password": DanubeCloud::PASSWORD });
    assert_eq!(body(&requests[0]), given);
    assert!(requests[1].header("authorization").unwrap().starts_with("Token "));
    assert_eq!(requests[1].header("es-api-key"), None);

    // Somebody else logs in as the same user: 403 Invalid token.
    bench.product.end_sessions();
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
    assert_eq!(bench.targets(), [list, log_in, list]);
    // A write is sent again as well, since the API did nothing but refuse.
    bench.product.end_sessions();
    bench.value("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    let create = format!("POST /api/vm/{WEB}/backup/daily/");
    assert_eq!(bench.targets(), [&*create, log_in, &*create]);
    // The hour is over: the session is begun anew before the API has to refuse.
    tokio::time::advance(Duration::from_secs(3590)).await;
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
    assert_eq!(bench.targets(), [log_in, list]);
    // The clock of the API is ahead: 403 without credentials, which says the same.
    bench.product.advance(Duration::from_secs(3600));
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
    assert_eq!(bench.targets(), [list, log_in, list]);
    // Calls side by side share one login.
    bench.product.end_sessions();
    let call = || bench.value("list_tasks", json!({}));
    let all = futures_util::future::join_all([call(), call(), call(), call()]).await;
    assert!(all.iter().all(|value| *value == json!([])));
    let logins = bench.targets().iter().filter(|line| **line == log_in).count();
    assert_eq!(logins, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_said_and_not_tried_again_at_once() {
    let wrong = [PASSWORD[0], ("CREDENTIAL_DANUBE_CLOUD_PASSWORD", "not-the-password")];
    let bench = Bench::with(WITH_PASSWORD, &wrong).await;
    let error = bench.error("list_tasks", json!({})).await;
    assert!(error.contains("HTTP 400: Unable to log in with provided credentials."), "{error}");
    assert!(error.contains("check the credentials `danube_cloud_username`"), "{error}");
    assert!(!error.contains("not-the-password"), "{error}");
    let error = bench.error("list_tasks", json!({})).await;
    assert!(error.contains("the next try is in"), "{error}");
    assert_eq!(bench.requests().len(), 1);
    let error = program(&bench.product, "login: passwort", &[]).map(drop).unwrap_err();
    assert!(error.contains("no login `passwort`: it has `password`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_datacenter_is_set_once() {
    let bench = Bench::new().await;
    let entry = bench.app.gate.catalog().find("create_backup").unwrap();
    let schema = Value::Object((*entry.input_schema).clone());
    assert_eq!(schema["properties"]["dc"]["default"], "main", "{schema}");
    assert!(!schema["required"].as_array().unwrap().contains(&json!("dc")), "{schema}");
    assert_eq!(schema["required"], json!(["vm", "definition"]));

    bench.value("list_backups", json!({ "vm": WEB })).await;
    bench.value("list_backups", json!({ "vm": "lab01.example.com", "dc": "lab" })).await;
    bench.value("update_backup_definition", json!({ "vm": WEB, "definition": "daily" })).await;
    let lab = json!({ "vm": "lab01.example.com", "definition": "daily", "dc": "lab" });
    bench.value("update_backup_definition", lab).await;
    let requests = bench.requests();
    let sent: Vec<(&str, Value)> =
        requests.iter().map(|it| (it.target.as_str(), body(it)["dc"].clone())).collect();
    assert_eq!(sent[0], (&*format!("/api/vm/{WEB}/backup/?dc=main"), Value::Null));
    assert_eq!(sent[1], ("/api/vm/lab01.example.com/backup/?dc=lab", Value::Null));
    assert_eq!(sent[2], (&*format!("/api/vm/{WEB}/define/backup/daily/"), json!("main")));
    assert_eq!(sent[3].1, "lab");

    // Without it, every call says which.
    let plain = Bench::with("access: [all]", &[]).await;
    let missing = plain.app.gate.check("list_backups", object(json!({ "vm": WEB }))).unwrap_err();
    assert!(missing.to_string().contains("`dc` (string) is required"), "{missing}");
    for (wrong, expected) in [
        ("defaults: {dcc: main}", "no tool has a parameter `dcc`; did you mean `dc`?"),
        (
            "defaults: {dc: [main]}",
            "`dc` of the tool `list_backup_definitions` must be of the type string",
        ),
        ("defaults: {disk_id: first}", "must be of the type integer, not \"first\""),
    ] {
        let error = program(&plain.product, wrong, &[]).map(drop).unwrap_err();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_what_the_api_takes() {
    let bench = Bench::new().await;
    let names = json!(["daily-1", "daily-2"]);
    bench.error("delete_backups", json!({ "vm": WEB, "bkpnames": names })).await;
    let sent = bench.requests().remove(0);
    assert_eq!((&*sent.method, &*sent.target), ("DELETE", &*format!("/api/vm/{WEB}/backup/")));
    assert_eq!(body(&sent), json!({ "bkpnames": names, "dc": "main" }));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("es-api-key"), Some("demo-token"));
    assert_eq!(sent.header("es-stream"), None);
    // Flags that are false are not there; one that is true is.
    for (flags, expected) in [
        (json!({ "full": false, "extended": false }), "dc=main"),
        (json!({ "full": true, "extended": false }), "dc=main&full=true"),
        (json!({ "extended": true }), "dc=main&extended=true"),
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
    assert_eq!(cleared.await["note"], Value::Null);
    let sent = bench.requests().remove(0);
    assert_eq!(body(&sent), json!({ "dc": "main", "note": "" }));
    let disks = bench.value("get_backup", json!({ "vm": WEB, "backup": newest })).await;
    assert_eq!(disks["status"], 1, "nothing was restored");
}

#[tokio::test(start_paused = true)]
async fn the_levels_say_what_loses_data() {
    let allowed = async |access: &str| -> BTreeSet<String> {
        let bench = Bench::with(&format!("access: [{access}]"), &[]).await;
        bench.app.gate.catalog().listed().map(|entry| entry.name.clone()).collect()
    };
    let read = allowed("read").await;
    assert!(
        read.iter().all(|name| ["list", "get", "count", "is", "ping", "health"]
            .contains(&name.split('_').next().unwrap())),
        "{read:?}"
    );
    let write = allowed("read, write").await;
    let more: Vec<&String> = write.difference(&read).collect();
    assert_eq!(
        more,
        [
            "cancel_task",
            "create_backup",
            "create_backup_definition",
            "update_backup_definition",
            "update_backup_note"
        ]
    );
    let all = allowed("all").await;
    let more: Vec<&String> = all.difference(&write).collect();
    assert_eq!(
        more,
        [
            "delete_backup",
            "delete_backup_definition",
            "delete_backups",
            "delete_task",
            "restore_backup"
        ]
    );

    let reading = Bench::with("defaults: {dc: main}", &[]).await;
    let delete = json!({ "vm": WEB, "backup": "daily-1" });
    let refused = reading.app.gate.check("delete_backup", object(delete.clone())).unwrap_err();
    assert!(matches!(refused, Refusal::Denied { .. }), "{refused}");
    let bench = Bench::new().await;
    let refused = bench.app.gate.check("delete_backup", object(delete)).unwrap().admit();
    assert!(matches!(refused, Err(Refusal::NotConfirmed { .. })));
    assert!(bench.requests().is_empty() && reading.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_many_tasks_stays_within_the_limit() {
    let bench = Bench::new().await;
    // Each would be looked at 19 times in its first minute.
    let definitions = ["web01", "web02", "db01", "shop01", "snap01"];
    let create = |vm: &str| {
        let definition = if vm == "db01" { "hourly" } else { "daily" };
        let arguments = json!({ "vm": format!("{vm}.example.com"), "definition": definition });
        bench.value("create_backup", arguments)
    };
    let made = futures_util::future::join_all(definitions.map(create)).await;
    assert!(made.iter().all(|made| made["returncode"] == 0), "{made:?}");
    assert_eq!(bench.product.throttled(), 0);
    // Calls beside it wait instead of being refused.
    for _ in 0..100 {
        bench.value("list_tasks", json!({})).await;
    }
    assert_eq!(bench.product.throttled(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_shares_the_limit_waits_as_long_as_the_api_says() {
    let bench = Bench::new().await;
    // Another program with the same user, which does not count its requests.
    let key = Fixed(Ok(bench.product.token().to_owned()));
    let other = Harness::new(DESCRIPTOR, &bench.product.url(), key, |_| {});
    let take = async |count: usize| {
        for _ in 0..count {
            other.value("list_tasks", json!({ "dc": "main" })).await;
        }
    };
    take(42).await;
    let started = tokio::time::Instant::now();
    let made = bench.value("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    assert_eq!(made["returncode"], 0);
    assert_eq!(bench.product.throttled(), 1, "one look was refused, and the next one waited");
    assert!(started.elapsed() >= Duration::from_secs(50));
    let creations = bench.requests().iter().filter(|it| it.method == "POST").count();
    assert_eq!(creations, 1);
    // A POST is not sent again by itself, but says when to come back.
    bench.product.advance(Duration::from_secs(60));
    take(45).await;
    let again = bench.call("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    let Err(CallError::Api(error)) = again else { panic!("{again:?}") };
    assert_eq!((error.status, &*error.code, error.attempts), (429, "rate_limited", 1));
    assert!(error.message.starts_with("Request was throttled."), "{error}");
    assert!(error.retry_after.is_some_and(|wait| wait.as_secs() > 50), "{error}");
    // A read waits, and is sent again.
    assert_eq!(bench.value("list_tasks", json!({})).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_pending_is_looked_at() {
    let bench = Bench::new().await;
    // 201 SUCCESS with the id of a task that does not exist.
    let define =
        json!({ "vm": "db01.example.com", "definition": "daily", "node": "backup01.example.com" });
    bench.value("create_backup_definition", define).await;
    // A backup that is lost already is deleted at once.
    let all = bench.value("list_backups", json!({ "vm": WEB, "full": true })).await;
    let lost = all.as_array().unwrap().iter().find(|it| it["status"] == 4).unwrap();
    let gone = json!({ "vm": WEB, "backup": lost["name"] });
    assert_eq!(bench.value("delete_backup", gone).await, Value::Null);
    let looks = |bench: &Bench| {
        let all = bench.product.take_requests();
        all.iter().filter(|request| request.target.contains("/status/")).count()
    };
    assert_eq!(looks(&bench), 0);
    // 20 s: five looks a second apart, then one every three seconds.
    bench.value("create_backup", json!({ "vm": WEB, "definition": "daily" })).await;
    assert_eq!(looks(&bench), 10);
    // A task that failed can be looked at, and that is no error.
    let begun = json!({ "vm": "broken01.example.com", "definition": "daily", "wait": 0 });
    let handle = bench.value("create_backup", begun).await["task"]["handle"].clone();
    bench.product.advance(Duration::from_secs(30));
    let id = handle.as_str().unwrap().split(':').next_back().unwrap().to_owned();
    let outcome = bench.call("get_task_status", json!({ "task_id": id })).await.unwrap();
    assert_eq!(outcome.status, 400);
    assert_eq!(value(outcome)["status"], "FAILURE");
    // The handle goes on with it, and says how it ended.
    let right = bench.app.gate.check_task(&handle.as_str().unwrap().parse().unwrap()).unwrap();
    let ended = bench.app.executor.watch_task(&right, &CallContext::default()).await;
    let Err(CallError::Task(error)) = ended else { panic!("{ended:?}") };
    assert!(matches!(*error, TaskError::Failed(failure) if !failure.is_cancelled));
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
    let delete = json!({ "vm": "old01.example.com", "backup": backup });
    assert_eq!(bench.value("delete_backup", delete).await["returncode"], 0);
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
    assert!(names[0].as_str().unwrap().starts_with("daily-"), "{answer}");
    let wrong = json!({ "name": "list_backups", "arguments": { "vm": "nobody", "dc": "main" } });
    let answer = site.stateless("tools/call", wrong).await.json().await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let tools = site.stateless("tools/list", json!({})).await.json().await;
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let create = tools.iter().find(|tool| tool["name"] == "create_backup_definition").unwrap();
    let properties = &create["inputSchema"]["properties"];
    assert_eq!(properties["compression"]["enum"], json!([0, 1, 2, 3]));
    assert_eq!(properties["disk_id"]["minimum"], 1);
    assert_eq!(properties["definition"]["pattern"], "^[A-Za-z0-9._-]{1,8}$");
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
    let mut child = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["serve", "--config", "backends.yaml"])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("CREDENTIAL_DANUBE_CLOUD_API_KEY", product.token())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut request = |id: u32, method: &str, parameters: Value| -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters });
        writeln!(input, "{message}").unwrap();
        loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the server is gone");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == id {
                return answer["result"].clone();
            }
        }
    };
    let hello = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let told = request(1, "initialize", hello)["instructions"].as_str().unwrap().to_owned();
    assert!(told.contains("disk_id counts from 1"), "{told}");
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
    let refused = request(6, "tools/call", call("list_backups", json!({ "vm": "nobody" })));
    assert_eq!(refused["isError"], true);
    drop(input);
    assert!(child.wait().unwrap().success());
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
            "bkpnames": ["c"], "target_hostname_or_uuid": "t", "target_disk_id": 1, "task_id": "i" });
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
