//! The descriptor `danube-cloud` against the simulated product: every tool and every documented
//! error, both logins, the datacenter that an operator sets once, tasks, and the limit of requests.
//!
//! The clock of most tests is paused: it jumps to the next thing that waits, in the program and in
//! the product, which share it.

mod errors;
mod hosts;
mod real;
mod tasks;
mod tools;

use std::{collections::BTreeSet, time::Duration};

use dadl_mcp::{
    app::App,
    config::{Settings, SettingsOverrides, credentials::CredentialResolver, env_vars::Environment},
    executor::{CallContext, CallError, WaitBudget},
    gate::{CallConsent, CallRefusal},
    outcome::{AnswerPayload, CallOutcome},
};
use dadl_simulator::{DanubeCloud, RecordedRequest, SimulatorOptions};
use serde_json::{Value, json};

const DESCRIPTOR: &str = include_str!("../../../dadl/danube-cloud.dadl");

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
    async fn call(&self, tool: &str, arguments: Value) -> Result<CallOutcome, CallError> {
        let pending = self.app.gate.check(tool, object(arguments)).unwrap();
        let consent = CallConsent::given_for(pending.digest());
        let call = pending.admit_with(&consent).unwrap();
        // As long as it takes, so that a task is seen to its end.
        let context = CallContext::default().waiting(WaitBudget::Longest);
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
        let found = self.value("list_backups", json!({ "vm": vm, "disk_id": 1 })).await;
        found[0]["name"].as_str().unwrap().to_owned()
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    let Value::Object(value) = value else { panic!("arguments are an object") };
    value
}

fn value(outcome: CallOutcome) -> Value {
    match outcome.payload {
        AnswerPayload::Json(text) => text.value().unwrap(),
        AnswerPayload::Task(report) => report.to_value(),
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
    let overrides = SettingsOverrides { config: Some(path), files, ..SettingsOverrides::default() };
    let settings = Settings::load(&overrides, &environment, home.path()).unwrap();
    let app = App::build(&settings, &CredentialResolver::new(environment));
    app.map(|app| (app, home)).map_err(|error| error.to_string())
}

/// The names of all tools, read by somebody else.
fn tools() -> BTreeSet<String> {
    let document: Value = serde_saphyr::from_str(DESCRIPTOR).unwrap();
    document["backend"]["tools"].as_object().unwrap().keys().cloned().collect()
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
    let create = format!("POST /api/dc/main/vm/{WEB}/backup/daily/");
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
    let schema = Value::Object(entry.input_schema());
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
    assert_eq!(sent[0], (&*format!("/api/vm/{WEB}/backup/?dc=main&full=true"), Value::Null));
    assert_eq!(sent[1], ("/api/vm/lab01.example.com/backup/?dc=lab&full=true", Value::Null));
    assert_eq!(sent[2], (&*format!("/api/dc/main/vm/{WEB}/define/backup/daily/"), Value::Null));
    assert_eq!(sent[3].0, "/api/dc/lab/vm/lab01.example.com/define/backup/daily/");

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
    assert!(matches!(refused, CallRefusal::Denied { .. }), "{refused}");
    let bench = Bench::new().await;
    let refused = bench.app.gate.check("delete_backup", object(delete)).unwrap().admit();
    assert!(matches!(refused, Err(CallRefusal::NotConfirmed { .. })));
    assert!(bench.requests().is_empty() && reading.requests().is_empty());
}
