//! The shapes that the Xen Orchestra descriptor gives for answers, and what it hides.
//!
//! `DADL_XO_SAMPLES` names a page with recorded answers of a real server, which are held against the
//! shapes too; `cargo test` ignores that.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variable")]

use std::time::Duration;

use dadl_descriptor::{
    model::{AccessLevel, Descriptor, ParamLocation, RequestMethod, Tool},
    source::SourceText,
};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy, ToolPatterns},
    outcome::AnswerPayload,
};
use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Map, Value, json};

use crate::{
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_harness},
    upstream::{Answer, Upstream},
};

const DESCRIPTOR: &str = include_str!("../../dadl/xen-orchestra.dadl");

fn descriptor() -> Descriptor {
    dadl_descriptor::load(&SourceText::new("xo.dadl", DESCRIPTOR)).descriptor.unwrap()
}

async fn simulator() -> XenOrchestra {
    let options = SimulatorOptions { task_duration: Duration::ZERO, ..SimulatorOptions::default() };
    XenOrchestra::start(options).await.unwrap()
}

async fn bench() -> (XenOrchestra, Harness) {
    let simulator = simulator().await;
    let token = Fixed(Ok(simulator.token().to_owned()));
    let harness = Harness::new(DESCRIPTOR, &simulator.url(), token, |_| {});
    (simulator, harness)
}

/// The schema of a tool's answers with all types.
fn schema(tool: &Tool, descriptor: &Descriptor) -> jsonschema::Validator {
    let mut schema = (**tool.returns.as_ref().unwrap()).clone();
    schema["$defs"] = json!(descriptor.types);
    jsonschema::draft202012::new(&schema).unwrap()
}

#[track_caller]
fn conforms(schema: &jsonschema::Validator, answer: &Value, of: &str) {
    let errors: Vec<String> = schema
        .iter_errors(answer)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{of}: {errors:#?}");
}

fn is_json(tool: &Tool) -> bool {
    !tool.response.binary && !tool.response.streaming.is_declared
}

#[test]
fn every_tool_that_reads_says_what_it_returns() {
    let descriptor = descriptor();
    for tool in descriptor.tools.iter().filter(|tool| is_json(tool)) {
        if tool.method() == RequestMethod::Get {
            assert!(tool.returns.is_some(), "{}", tool.name);
        }
        if tool.description.contains("{id}") && tool.name != "add_event_subscription" {
            let created = json!({ "$ref": "#/$defs/Created" });
            assert_eq!(tool.returns.as_deref(), Some(&created), "{}", tool.name);
        }
    }
    // A list may be asked for any members: none is required.
    let types = json!(descriptor.types).to_string();
    assert!(!types.contains("\"required\""), "{types}");
}

/// Every list and every object of the simulator, with all members and with those of the default.
#[tokio::test]
async fn answers_conform() {
    let (_simulator, harness) = bench().await;
    // Something of everything: a task with parts, one that failed, a snapshot, a machine made here.
    let vms = harness.value("list_vms", json!({ "fields": "id,name_label,$container" })).await;
    let vm =
        |name: &str| vms.as_array().unwrap().iter().find(|vm| vm["name_label"] == name).unwrap();
    let _ = harness.call("start_vm", json!({ "uuid": vm("broken-01")["id"] })).await;
    let deploy = json!({ "template": "golden-debian-12", "pool": "Lab", "name": "new" });
    harness.value("deploy_vm", deploy).await;

    let descriptor = descriptor();
    let mut objects = 0;
    for tool in
        descriptor.tools.iter().filter(|tool| tool.method() == RequestMethod::Get && is_json(tool))
    {
        let paths: Vec<_> =
            tool.params.iter().filter(|param| param.is_in(ParamLocation::Path)).collect();
        let schema = schema(tool, &descriptor);
        let has_fields = tool.params.iter().any(|param| param.name == "fields");
        let mut all: Vec<Map<String, Value>> = vec![Map::new()];
        if let [id] = paths.as_slice() {
            all = ids(&harness, &descriptor, tool, &id.name).await;
            assert!(!all.is_empty(), "{}: nothing to look at", tool.name);
        }
        for arguments in all {
            let mut given = vec![arguments.clone()];
            if has_fields {
                for fields in ["*", "id", ""] {
                    let mut arguments = arguments.clone();
                    arguments.insert("fields".to_owned(), fields.into());
                    given.push(arguments);
                }
            }
            for arguments in given {
                let of = format!("{}({})", tool.name, Value::Object(arguments.clone()));
                let outcome = harness.call(&tool.name, Value::Object(arguments)).await;
                // A machine or host that is off has no statistics.
                let Ok(outcome) = outcome else {
                    assert!(tool.name.ends_with("_stats"), "{of}: {outcome:?}");
                    continue;
                };
                let AnswerPayload::Json(answer) = outcome.payload else { panic!("{of}") };
                let answer = answer.value().unwrap();
                conforms(&schema, &answer, &of);
                objects += answer.as_array().map_or(1, Vec::len);
            }
        }
    }
    assert!(objects > 1000, "{objects}");
}

/// The arguments that name the objects of a collection, the first and the last few of it.
async fn ids(
    harness: &Harness,
    descriptor: &Descriptor,
    tool: &Tool,
    param: &str,
) -> Vec<Map<String, Value>> {
    let collection = tool.path().as_str().split('/').nth(1).unwrap();
    let list = descriptor.tools.iter().find(|list| {
        list.method() == RequestMethod::Get && list.path().as_str() == format!("/{collection}")
    });
    // A user may look at own tokens only.
    if tool.name == "list_auth_tokens" {
        return vec![Map::from_iter([(param.to_owned(), "me".into())])];
    }
    let list = &list.unwrap().name;
    let mut wanted = json!({ "fields": "id" });
    if list == "list_backups" {
        wanted["backup-repository"] = json!(["*"]);
    }
    let list = harness.value(list, wanted).await;
    let list = list.as_array().unwrap();
    let some = list.iter().take(3).chain(list.iter().rev().take(3));
    some.map(|object| Map::from_iter([(param.to_owned(), object["id"].clone())])).collect()
}

/// Answers of a real server by the tools that asked (names and identifiers are others).
fn real_answers() -> Vec<(&'static str, Value)> {
    let failed_login = json!({
        "id": "0mwp-uqk", "start": 1795181237681_u64, "updatedAt": 1795181237948_u64,
        "end": 1795181237948_u64, "status": "failure",
        "properties": {
            "credentials": { "username": "someone", "password": "* obfuscated *" },
            "userData": { "ip": "127.0.0.1" }, "name": "XO user authentication",
            "type": "xo:authentication:authenticateUser",
        },
        "result": { "code": 3, "message": "invalid credentials", "name": "XoError", "stack": "at" },
    });
    let action = json!({
        "id": "0mwp-l6k", "start": 1795181278581_u64, "status": "failure",
        "properties": { "objectType": "server", "objectId": "a", "name": "n", "userId": "b", "type": "t" },
        "result": { "errno": -111, "code": "ECONNREFUSED", "message": "connect" },
    });
    let empty_dashboard = json!({
        "nPools": 0, "nHosts": 0, "resourcesOverview": { "isEmpty": true },
        "hostsStatus": { "disabled": 0, "running": 0, "halted": 0, "unknown": 0, "total": 0 },
        "vmsStatus": { "active": 0, "inactive": 0, "running": 0, "total": 0 },
        "storageRepositories": { "isEmpty": true }, "backups": { "isEmpty": true },
        "missingPatches": { "hasAuthorization": true, "nHosts": 0, "nHostsEol": { "isEmpty": true } },
        "poolsStatus": { "connected": 0, "disconnected": 0, "unreachable": 1, "unknown": 0, "total": 1 },
        "backupRepositories": { "isEmpty": true },
    });
    vec![
        ("list_tasks", json!([failed_login, action])),
        ("get_task", action.clone()),
        ("get_dashboard", empty_dashboard),
        ("list_acl_roles", json!([])),
        ("get_group", json!({ "name": "g1", "users": ["19c9"], "aclRoleIds": [], "id": "bcfb" })),
        ("list_alarms", json!([])),
        ("ping", json!({ "result": "pong", "timestamp": 1795181974501_u64 })),
        ("get_gui_routes", json!({ "xo5": "/v5", "xo6": "/v6" })),
        ("get_mcp_status", json!({ "enabled": true })),
        ("get_backup_repository_health", json!({ "success": true })),
        (
            "benchmark_backup_repository",
            json!({ "success": true, "writeRate": 295871752.4891211, "readRate": 849217654.7045394 }),
        ),
    ]
}

/// Those about users, rights and what is connected.
fn real_answers_about_users() -> Vec<(&'static str, Value)> {
    let user = json!({
        "email": "bobby", "pw_hash": "***obfuscated***", "permission": "none", "groups": ["a"],
        "name": "bobby", "preferences": {}, "id": "19c9", "href": "/rest/v0/users/19c9",
    });
    let repository = json!({
        "enabled": true, "error": "", "name": "a", "id": "a9e9", "url": "file:///srv/br", "href": "/a",
    });
    let server = json!({
        "allowUnauthorized": true, "enabled": true, "host": "127.0.0.1:1", "label": "fake",
        "username": "root", "readOnly": false, "id": "e7b6", "status": "disconnected",
    });
    let tokens = json!([
        { "created_at": 1795181174191_u64, "user_id": "a", "expiration": 1797773174191_u64, "id": "x" },
        { "created_at": 1795181176293_u64, "description": "helper", "user_id": "a", "id": "y",
          "expiration": 1810733176293_u64, "last_uses": { "127.0.0.1": { "timestamp": 1795181180592_u64 } } },
    ]);
    let privilege = json!({
        "action": "suspend", "effect": "allow", "resource": "vm", "roleId": "596f", "id": "c7db", "href": "/p",
    });
    let role = json!({
        "name": "r1", "description": "d", "id": "2f40", "userIds": ["19c9"], "groupIds": [],
        "privilegeIds": ["7bbf"],
    });
    vec![
        ("list_users", json!([user, { "href": "/rest/v0/users/19c9" }])),
        ("get_user", user.clone()),
        ("list_group_users", json!([user])),
        ("list_backup_repositories", json!([repository])),
        ("get_server", server),
        ("list_auth_tokens", tokens),
        ("list_acl_privileges", json!([privilege])),
        ("get_acl_role", role),
        ("create_user", json!({ "id": "19c9" })),
        (
            "create_auth_token",
            json!({ "token": { "created_at": 1, "id": "x", "user_id": "a", "expiration": 2 } }),
        ),
    ]
}

#[test]
fn real_answers_conform() {
    let descriptor = descriptor();
    for (tool, answer) in real_answers().into_iter().chain(real_answers_about_users()) {
        let described = descriptor.tools.iter().find(|it| it.name == tool).unwrap();
        conforms(&schema(described, &descriptor), &answer, tool);
    }
}

/// A harness that allows these tools alone.
fn some(simulator: &XenOrchestra, tools: &'static [&'static str]) -> Harness {
    let token = Fixed(Ok(simulator.token().to_owned()));
    Harness::new(DESCRIPTOR, &simulator.url(), token, |settings| {
        if !tools.is_empty() {
            let levels = AccessLevels::new(["all"]);
            let tools = Some(ToolPatterns::new(tools.iter().copied()).unwrap());
            settings.policy = AccessPolicy { levels, tools, ..AccessPolicy::default() };
        }
    })
}

async fn listed(client: &mut Client) -> Vec<Value> {
    let answer = client.request(1, "tools/list", json!({})).await;
    answer["result"]["tools"].as_array().unwrap().clone()
}

/// All shapes together are too long for a list that each conversation pays for; those of a few
/// tools are listed.
#[tokio::test]
async fn shapes_are_listed_for_a_few_tools_only() {
    let simulator = simulator().await;
    let mut client = Client::legacy(serve_harness(some(&simulator, &[]), ""), json!({})).await;
    let all = listed(&mut client).await;
    assert!(all.iter().all(|tool| tool.get("outputSchema").is_none()));

    let few = &["list_vdis", "get_vdi", "get_sr", "list_networks", "get_alarm", "create_vdi"];
    let mut client = Client::legacy(serve_harness(some(&simulator, few), ""), json!({})).await;
    let tools = listed(&mut client).await;
    let with: Vec<&str> = tools
        .iter()
        .filter(|tool| tool.get("outputSchema").is_some())
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        with,
        ["get_sr", "list_vdis", "get_vdi", "create_vdi", "list_networks", "get_alarm"]
    );
    // And answers are not put under a key of their own.
    let mut vdi = Value::Null;
    for (id, (tool, arguments)) in [
        ("list_vdis", json!({ "limit": 2 })),
        ("list_vdis", json!({ "fields": "*", "limit": 2 })),
        ("list_networks", json!({ "fields": "name_label" })),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = client.call(u32::try_from(id).unwrap() + 10, tool, arguments).await;
        let structured = &answer["result"]["structuredContent"];
        assert!(structured["result"].is_array(), "{answer}");
        if tool == "list_vdis" {
            vdi = structured["result"][0]["id"].clone();
        }
    }
    let answer = client.call(20, "get_vdi", json!({ "uuid": vdi })).await;
    assert_eq!(answer["result"]["structuredContent"]["id"], vdi, "{answer}");
}

#[tokio::test]
async fn the_health_check_needs_a_token_and_nothing_more() {
    let (simulator, harness) = bench().await;
    let health = harness.value("health", json!({})).await;
    assert_eq!((&health["ok"], &health["http_status"]), (&json!(true), &json!(200)), "{health}");
    for (suffix, ok) in [("-alice", true), ("-nobody", false)] {
        let token = Fixed(Ok(format!("{}{suffix}", simulator.token())));
        let harness = Harness::new(DESCRIPTOR, &simulator.url(), token, |_| {});
        assert_eq!(harness.value("health", json!({})).await["ok"], ok);
    }
}

/// Puts a password wherever one can be put; returns what must not be seen.
async fn secrets_of(simulator: &XenOrchestra, harness: &Harness) -> Vec<String> {
    let vm = json!({
        "template": "golden-debian-12", "pool": "Lab", "name": "secretive",
        "cloud_config": "#cloud-config\npassword: hunter2-of-cloud-init\n",
        "network_config": "version: 1 # hunter2-of-the-network\n", "start": false,
    });
    harness.value("deploy_vm", vm).await;
    let server = json!({
        "host": "10.9.9.9", "username": "root", "password": "hunter2-of-the-server",
        "httpProxy": "http://user:hunter2-of-the-proxy@10.0.0.1:3128",
    });
    harness.value("add_server", server).await;
    let repository = json!({
        "name": "cifs", "url": "smb://user:hunter2-of-the-share@host/share",
        "options": "password=hunter2-of-the-options",
    });
    harness.value("create_backup_repository", repository).await;
    let host = harness.value("list_hosts", json!({ "limit": 1 })).await[0]["id"].clone();
    for password in ["password", "chappassword", "cifspassword"] {
        let sr = json!({
            "name_label": "iscsi", "hostId": host, "SR_type": "lvmoiscsi",
            "device_config": { "target": "10.0.0.9", password: format!("hunter2-of-{password}") },
        });
        harness.value("create_sr", sr).await;
    }
    // The last is the second factor of a user.
    vec![simulator.token().to_owned(), "hunter2".to_owned(), "JBSWY3DPEHPK3PXP".to_owned()]
}

/// No tool that reads tells a password, wherever it was put.
#[tokio::test]
async fn secrets_are_hidden() {
    let (simulator, harness) = bench().await;
    let secrets = secrets_of(&simulator, &harness).await;
    let descriptor = descriptor();
    let mut hidden = 0;
    for tool in
        descriptor.tools.iter().filter(|tool| tool.method() == RequestMethod::Get && is_json(tool))
    {
        let id = tool.params.iter().find(|param| param.is_in(ParamLocation::Path));
        let mut all = vec![Map::new()];
        if let Some(id) = id {
            all = ids(&harness, &descriptor, tool, &id.name).await;
        }
        for mut arguments in all {
            if tool.params.iter().any(|param| param.name == "fields") {
                arguments.insert("fields".to_owned(), "*".into());
            }
            let outcome = harness.call(&tool.name, Value::Object(arguments)).await;
            let Ok(outcome) = outcome else { continue };
            let AnswerPayload::Json(answer) = outcome.payload else { panic!("{}", tool.name) };
            for secret in &secrets {
                assert!(!answer.as_str().contains(secret.as_str()), "{}: {answer:?}", tool.name);
            }
            hidden += answer.as_str().matches("[REDACTED]").count();
        }
    }
    assert!(hidden > 20, "{hidden}");
}

/// Neither does an open stream, whose items nobody asked for one by one.
#[tokio::test]
async fn streams_hide_secrets_too() {
    let (simulator, harness) = bench().await;
    let token = Fixed(Ok(simulator.token().to_owned()));
    let served = Harness::new(DESCRIPTOR, &simulator.url(), token, |_| {});
    let mut client = Client::legacy(serve_harness(served, ""), json!({})).await;
    let open = json!({ "open": true, "subscribe": ["task", "PBD"] });
    let answer = client.call(2, "open_events_stream", open).await;
    let stream = answer["result"]["structuredContent"]["stream"].clone();
    assert!(stream.is_string(), "{answer}");
    let secrets = secrets_of(&simulator, &harness).await;
    let mut seen = String::new();
    // The task of the machine, and three connections.
    for id in 3.. {
        let read = json!({ "stream": stream, "wait": 10, "max_items": 20 });
        seen += &client.call(id, "stream_read", read).await.to_string();
        if seen.matches("device_config").count() >= 3 && seen.contains("cloud_config") {
            break;
        }
    }
    for secret in &secrets {
        assert!(!seen.contains(secret.as_str()), "{seen}");
    }
}

#[test]
fn tools_that_hide_are_those_that_show_secrets() {
    let descriptor = descriptor();
    for tool in &descriptor.tools {
        let Some(returns) = &tool.returns else { continue };
        let returns = returns.to_string();
        let shows = ["Task", "User", "PBD", "BackupRepository", "Server", "Proxy", "Token"]
            .iter()
            .any(|name| returns.contains(&format!("/{name}\"")));
        // The one that makes a token has to tell it, and asks a person first.
        if tool.name == "create_auth_token" {
            assert_eq!(tool.access, Some(AccessLevel::Dangerous));
            continue;
        }
        assert_eq!(!tool.response.redact.is_empty(), shows, "{}", tool.name);
    }
}

/// The answers of a real server that `DADL_XO_SAMPLES` names, by the tools that would have asked.
#[test]
#[ignore = "needs DADL_XO_SAMPLES"]
fn recorded_answers_conform() {
    let path = std::env::var_os("DADL_XO_SAMPLES").expect("DADL_XO_SAMPLES names a page");
    let page = std::fs::read_to_string(path).unwrap();
    let descriptor = descriptor();
    for (name, tool) in [
        ("acl_privs", "list_acl_privileges"),
        ("alarms", "list_alarms"),
        ("br_bench", "benchmark_backup_repository"),
        ("br_health", "get_backup_repository_health"),
        ("br_list", "list_backup_repositories"),
        ("d_br_ok", "create_backup_repository"),
        ("d_tokens_f", "list_auth_tokens"),
        ("d_wait_true", "get_task"),
        ("dashboard", "get_dashboard"),
        ("f_single", "get_user"),
        ("gui", "get_gui_routes"),
        ("mcp_status", "get_mcp_status"),
        ("r_group", "get_group"),
        ("r_group_users", "list_group_users"),
        ("r_role", "get_acl_role"),
        ("r_server", "get_server"),
        ("r_task", "get_task"),
        ("token_basic", "create_auth_token"),
        ("users_fields", "list_users"),
        ("users_filter", "list_users"),
        ("users_tokens", "list_auth_tokens"),
        ("w_group", "create_group"),
        ("w_server", "add_server"),
        ("xoclient", "ping"),
    ] {
        let (_, rest) = page.split_once(&format!("\n## {name}\n")).unwrap();
        let (answer, _) = rest.split_once("\n## ").unwrap_or((rest, ""));
        let (_, body) = answer.split_once("\n\n").unwrap();
        let body: Value = serde_json::from_str(body.trim().trim_end_matches('`')).unwrap();
        let described = descriptor.tools.iter().find(|it| it.name == tool).unwrap();
        conforms(&schema(described, &descriptor), &body, name);
    }
}

#[tokio::test]
async fn fields_are_text_in_the_list_and_may_be_a_list() {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    let harness = Harness::new(DESCRIPTOR, &upstream.url(), Fixed(Ok("s3cret".to_owned())), |_| {});
    let entry = harness.gate.catalog().entries().iter().find(|it| it.name == "list_vms").unwrap();
    let schema = entry.input_schema();
    let listed = &schema["properties"]["fields"];
    assert_eq!((&listed["type"], listed.get("items")), (&json!("string"), None));
    for fields in
        [json!("id,name_label"), json!(["id", "name_label"]), json!("[\"id\",\"name_label\"]")]
    {
        harness.call("list_vms", json!({ "fields": fields })).await.unwrap();
        let request = upstream.take().remove(0);
        assert!(request.contains("fields=id,name_label HTTP/1.1"), "{fields}: {request}");
    }
}
