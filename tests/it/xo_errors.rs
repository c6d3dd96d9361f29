//! Every tool of the Xen Orchestra descriptor, called so that it goes well, and once for each error
//! that XO documents for its operation: `xo_errors.txt`. What a model reads names the status, what
//! XO says, and what to do next.

use std::{collections::BTreeMap, fs};

use serde_json::{Map, Value, json};

use crate::{
    every_tool::{RawTool, tools},
    harness::Harness,
    openapi_documents,
    upstream::{Answer, Upstream},
    xo_world::{ADMINISTRATOR, World, harness},
};

/// The documented errors of each tool.
fn documented() -> BTreeMap<&'static str, Vec<u16>> {
    let mut table = BTreeMap::new();
    let mut statuses: Vec<u16> = Vec::new();
    for line in include_str!("xo_errors.txt").lines().filter(|line| !line.starts_with('#')) {
        match line.strip_suffix(':') {
            Some("none") => statuses.clear(),
            Some(header) => {
                statuses = header.split(' ').map(|status| status.parse().unwrap()).collect();
            }
            None => {
                for tool in line.split_whitespace() {
                    assert!(
                        table.insert(tool, statuses.clone()).is_none(),
                        "{tool} is there twice"
                    );
                }
            }
        }
    }
    table
}

/// The documented tools with an error, and how the descriptor has them.
fn with(status: u16) -> Vec<(&'static str, RawTool)> {
    let mut all = tools();
    let documented = documented().into_iter().filter(|(_, statuses)| statuses.contains(&status));
    documented.map(|(name, _)| (name, all.remove(name).unwrap())).collect()
}

/// What a model reads about a call that must fail.
async fn failure(harness: &Harness, tool: &str, arguments: Map<String, Value>) -> String {
    let shown = Value::Object(arguments.clone());
    match harness.call(tool, Value::Object(arguments)).await {
        Ok(outcome) => panic!("{tool}({shown}) went well: {outcome:?}"),
        Err(error) => error.for_model(),
    }
}

/// Checks that an error names the status, has words of XO's, and says what to do next.
#[track_caller]
fn assert_tells(tool: &str, text: &str, status: u16, words: &str) {
    assert!(text.contains(&format!("HTTP {status}: ")), "{tool}: {text}");
    assert!(text.contains(words), "{tool} does not say {words}: {text}");
    let next = match status {
        _ if text.contains("already exists") => "it is there already",
        400 | 422 => "correct the arguments",
        401 => "only the operator",
        403 => "the account",
        404 => "look it up",
        409 => "state",
        501 if text.contains("this server may lack") => "or use another tool",
        501 => "cannot do this",
        502 | 503 if text.contains("it may have been done") => "before you have looked",
        502 | 503 => "later",
        _ => "before you repeat",
    };
    assert!(text.contains(next), "{tool} does not say {next}: {text}");
}

#[test]
#[ignore = "needs DADL_XO_OPENAPI"]
fn the_table_is_what_xo_documents() {
    let path = openapi_documents::xen_orchestra();
    let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    // The names of parameters differ, and formats are tools of their own.
    let anonymous = |path: &str| {
        let segments = path.split('/').map(|segment| match segment.split_once('.') {
            _ if segment.starts_with('{') && segment.ends_with('}') && segment.contains(".{") => {
                "{}.{}"
            }
            Some(("{uuid}", "xva" | "ova" | "raw" | "vhd")) => "{}.{}",
            _ if segment.starts_with('{') => "{}",
            _ => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    };
    let mut operations = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(responses) = operation["responses"].as_object() else { continue };
            let statuses = responses.keys().filter_map(|status| status.parse::<u16>().ok());
            let mut statuses: Vec<u16> = statuses.filter(|status| *status >= 400).collect();
            statuses.sort_unstable();
            operations.insert(format!("{} {}", method.to_uppercase(), anonymous(path)), statuses);
        }
    }
    let mut tools = tools();
    for (name, statuses) in documented() {
        let tool = tools.remove(name).unwrap();
        let operation = format!("{} {}", tool.method, anonymous(&tool.path));
        match operations.get(&operation) {
            Some(found) => assert_eq!(*found, statuses, "{name}: {operation}"),
            // Few servers have it.
            None => assert!(statuses.is_empty(), "{name}: no {operation}"),
        }
    }
}

#[tokio::test]
async fn the_table_has_every_tool() {
    let documented: Vec<&str> = documented().into_keys().collect();
    let tools = tools();
    assert_eq!(documented, tools.keys().map(String::as_str).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_tool_does_its_work() {
    let shared = World::start().await;
    let reading = shared.harness(shared.simulator.token());
    for (name, tool) in tools() {
        if tool.method == "GET" {
            do_work(&shared, &reading, &name, &tool).await;
        } else {
            let world = World::start().await;
            let harness = world.harness(world.simulator.token());
            do_work(&world, &harness, &name, &tool).await;
        }
    }
}

async fn do_work(world: &World, harness: &Harness, name: &str, tool: &RawTool) {
    let mut arguments = world.arguments(name, tool).await;
    if name == "open_events_stream" {
        arguments.insert("duration".to_owned(), json!(0.01));
    }
    let shown = Value::Object(arguments.clone());
    let outcome = harness.call(name, Value::Object(arguments)).await;
    let outcome = outcome.unwrap_or_else(|error| panic!("{name}({shown}): {error}"));
    assert!((200..300).contains(&outcome.status), "{name}({shown}): {outcome:?}");
}

#[tokio::test]
async fn a_token_that_is_not_valid() {
    let world = World::start().await;
    let harness = world.harness("not-the-token");
    for (name, tool) in with(401) {
        let arguments = world.arguments(name, &tool).await;
        let text = failure(&harness, name, arguments).await;
        assert_tells(name, &text, 401, "invalid credentials");
        assert!(!text.contains("not-the-token"), "{text}");
    }
}

#[tokio::test]
async fn an_account_that_may_nothing() {
    let world = World::start().await;
    let harness = world.harness(&world.token_of_nobody().await);
    for (name, tool) in with(403) {
        let mut arguments = world.arguments(name, &tool).await;
        let is_about_tokens = name.ends_with("_auth_token") || name.ends_with("_auth_tokens");
        if is_about_tokens {
            // Of themselves users may see and make tokens.
            arguments.insert("id".to_owned(), world.find("users", "name:admin").await.into());
        }
        let text = failure(&harness, name, arguments).await;
        if is_about_tokens {
            assert_tells(name, &text, 403, "forbidden operation");
        } else {
            assert_tells(name, &text, 403, "not enough privileges");
            assert!(text.contains("missingPrivileges"), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_not_there() {
    let world = World::start().await;
    let harness = world.harness(world.simulator.token());
    for (name, tool) in with(404) {
        let mut arguments = world.arguments(name, &tool).await;
        // The first of these that a tool has: the object in the path, or one that the body names.
        if name == "list_backups" {
            arguments.insert("backup-repository".to_owned(), json!([]));
        }
        let ids = [
            "uuid",
            "id",
            "pool_id",
            "sr_uuid",
            "VM",
            "vmId",
            "srId",
            "hostId",
            "roleId",
            "backup-repository",
        ];
        let id = ids.into_iter().find(|id| arguments.contains_key(*id));
        let id = id.unwrap_or_else(|| panic!("{name} names no object"));
        let is_list = arguments[id].is_array();
        arguments
            .insert(id.to_owned(), if is_list { json!([NOT_THERE]) } else { json!(NOT_THERE) });
        let text = failure(&harness, name, arguments).await;
        assert_tells(name, &text, 404, "no such ");
        assert!(text.contains(NOT_THERE), "{name}: {text}");
    }
}

/// Tools with a filter can be called so that XO answers 400.
#[tokio::test]
async fn a_filter_that_is_none() {
    let world = World::start().await;
    let harness = world.harness(world.simulator.token());
    let mut count = 0;
    for (name, tool) in with(400) {
        if !tool.params.contains_key("filter") {
            continue;
        }
        let mut arguments = world.arguments(name, &tool).await;
        arguments.insert("filter".to_owned(), json!("(("));
        let text = failure(&harness, name, arguments).await;
        assert_tells(name, &text, 400, "parse error: expected end of input at position 0");
        count += 1;
    }
    assert!(count >= 80, "{count} lists");
}

/// Arguments that fit the schema of a tool and that XO refuses. The other tools with a documented
/// 422 have no argument that a caller could get wrong there and not here.
fn wrong_arguments(tool: &str) -> Option<Value> {
    Some(match tool {
        "export_vm_xva" | "export_vm_ova" | "clone_vm" => json!({ "compress": "lz4" }),
        "export_vm_template" | "export_vm_snapshot" | "export_vdi_snapshot" => {
            json!({ "format": "zip" })
        }
        "get_vm_stats" | "get_pool_stats" | "get_host_stats" => json!({ "granularity": "weeks" }),
        "update_vm" => json!({ "videoram": 3 }),
        "create_vif" => json!({ "locking_mode": "open" }),
        "update_vif" => json!({ "lockingMode": "open" }),
        "create_vbd" => json!({ "mode": "RX" }),
        "create_user" | "update_user" => json!({ "permission": "user" }),
        "create_sr" => json!({ "SR_type": "floppy" }),
        "create_bonded_network" => json!({ "bondMode": "fastest" }),
        "create_acl_privilege" | "update_acl_privilege" => json!({ "effect": "maybe" }),
        _ => return None,
    })
}

#[tokio::test]
async fn arguments_that_are_not_valid() {
    let world = World::start().await;
    let harness = world.harness(world.simulator.token());
    let mut count = 0;
    for (name, tool) in with(422) {
        let Some(wrong) = wrong_arguments(name) else { continue };
        let mut arguments = world.arguments(name, &tool).await;
        arguments.extend(wrong.as_object().unwrap().clone());
        let (argument, _) = wrong.as_object().unwrap().iter().next().unwrap();
        // A word that XO does not take is not sent.
        if let Err(refusal) = harness.gate.check(name, arguments.clone()) {
            assert!(refusal.to_string().contains("must be one of"), "{name}: {refusal}");
            count += 1;
            continue;
        }
        let text = failure(&harness, name, arguments).await;
        // XO names the argument that is wrong.
        let part = if name.ends_with("_acl_privilege") { "privilege" } else { argument };
        assert_tells(name, &text, 422, part);
        count += 1;
    }
    assert!(count >= 17, "{count} tools");
}

/// Brings the world into a state in which a tool cannot do its work, and returns the arguments.
async fn conflict(world: &World, tool: &str) -> Option<Value> {
    let find = async |collection: &str, filter: &str| json!(world.find(collection, filter).await);
    Some(match tool {
        "delete_vm_template" => json!({ "uuid": find("vm-templates", "isDefaultTemplate?").await }),
        "update_user" => json!({ "id": find("users", "name:bob").await, "name": "alice" }),
        "add_server" => json!({ "host": "10.0.1.11", "username": "root", "password": "secret" }),
        "connect_server" => json!({ "id": find("servers", "status:/^connected/").await }),
        "disconnect_server" => json!({ "id": find("servers", "label:Old").await }),
        "forget_host" => json!({ "uuid": find("hosts", "name_label:xcp-01").await }),
        "scan_host_pifs" => {
            let host = world.find("hosts", "name_label:lab-01").await;
            let target = format!("/hosts/{host}/actions/emergency_shutdown?sync=true");
            world.act("POST", &target, &Value::Null).await;
            json!({ "uuid": host })
        }
        "create_group" => json!({ "name": "operators" }),
        "update_group" => {
            json!({ "id": find("groups", "name:developers").await, "name": "operators" })
        }
        "attach_acl_role_to_user" | "attach_acl_role_to_group" => {
            let role = world.find("acl-roles", "name:web").await;
            let (member, id) = match tool {
                "attach_acl_role_to_user" => ("user", world.find("users", "name:bob").await),
                _ => ("group", world.find("groups", "name:developers").await),
            };
            let target = format!("/acl-roles/{role}/{member}s/{id}");
            world.send("PUT", &target, ADMINISTRATOR, &Value::Null).await;
            json!({ "id": role, format!("{member}Id"): id })
        }
        _ => return None,
    })
}

#[tokio::test]
async fn states_that_forbid_it() {
    let world = World::start().await;
    let harness = world.harness(world.simulator.token());
    let mut count = 0;
    for (name, _) in with(409) {
        let Some(Value::Object(arguments)) = conflict(&world, name).await else { continue };
        let text = failure(&harness, name, arguments).await;
        let words = if text.contains("already exists") { "objectType" } else { "incorrect state" };
        assert_tells(name, &text, 409, words);
        count += 1;
    }
    assert_eq!(count, 11);
}

/// What XO's own code or the hypervisor cannot do.
#[tokio::test]
async fn work_that_fails() {
    let world = World::start().await;
    let harness = world.harness(world.simulator.token());
    let find = async |collection: &str, filter: &str| json!(world.find(collection, filter).await);
    let vm = find("vms", "name_label:broken").await;
    let running = find("vms", "name_label:web-01").await;
    let host = world.find("hosts", "name_label:lab-01").await;
    let target = format!("/hosts/{host}/actions/emergency_shutdown?sync=true");
    world.act("POST", &target, &Value::Null).await;
    let disk = find("vdis", r#"name_label:"db-01 data""#).await;
    let upload = json!({ "uuid": disk, "file": "upload.bin" });
    for (tool, arguments, words) in [
        ("start_vm", json!({ "uuid": vm, "sync": true }), "NO_HOSTS_AVAILABLE"),
        ("start_vm", json!({ "uuid": running, "sync": true }), "VM_BAD_POWER_STATE"),
        ("resume_vm", json!({ "uuid": running, "sync": true }), "VM_BAD_POWER_STATE"),
        ("get_host_smt", json!({ "uuid": host }), "HOST_OFFLINE"),
        ("get_host_logs", json!({ "uuid": host }), "HOST_OFFLINE"),
        ("get_host_audit_log", json!({ "uuid": host }), "HOST_OFFLINE"),
        ("import_vdi_to_existing", upload, "the content has 4096 bytes"),
        ("create_auth_token", json!({ "id": "me", "expiresIn": "soon" }), "not a valid duration"),
    ] {
        let text = failure(&harness, tool, arguments.as_object().unwrap().clone()).await;
        assert_tells(tool, &text, 500, words);
    }
    // As a task, which is how a model starts it: the failure has the words of the hypervisor.
    let text = failure(&harness, "start_vm", Map::from_iter([("uuid".to_owned(), vm)])).await;
    assert!(text.contains("NO_HOSTS_AVAILABLE"), "{text}");
}

/// Answers that XO gives for reasons which no simulator has: what the model reads does not depend on
/// the tool, but each is called.
async fn replayed(status: u16, body: Value, words: &str, is_seen: impl Fn(&str, &RawTool) -> bool) {
    let world = World::start().await;
    let upstream = Upstream::start(vec![Answer::json(status, &body.to_string())]).await;
    let harness = harness(&upstream.url(), "some-token");
    let mut count = 0;
    for (name, tool) in with(status) {
        if is_seen(name, &tool) {
            continue;
        }
        let arguments = world.arguments(name, &tool).await;
        let text = failure(&harness, name, arguments).await;
        assert_tells(name, &text, status, words);
        count += 1;
    }
    assert!(count > 0, "no tool is left for {status}");
}

#[tokio::test]
async fn other_bad_requests() {
    let words = "Having multiple authentication methods is not supported, please choose one";
    let body = json!({ "error": words });
    replayed(400, body, words, |_, tool| tool.params.contains_key("filter")).await;
}

#[tokio::test]
async fn other_invalid_arguments() {
    let error = json!({ "message": "invalid boolean value", "value": "1" });
    let body = json!({ "error": { "sync": error }, "data": {} });
    replayed(422, body, "invalid boolean value", |name, _| wrong_arguments(name).is_some()).await;
}

#[tokio::test]
async fn other_states_that_forbid_it() {
    let world = World::start().await;
    let mut seen = Vec::new();
    for (name, _) in with(409) {
        if conflict(&world, name).await.is_some() {
            seen.push(name);
        }
    }
    let data = json!({ "actual": "a", "expected": "b", "object": "x", "property": "y" });
    let body = json!({ "error": "incorrect state", "data": data });
    replayed(409, body, r#""expected":"b""#, |name, _| seen.contains(&name)).await;
}

#[tokio::test]
async fn other_failures() {
    let body = json!({
        "error": "INTERNAL_ERROR(xenopsd)",
        "info": "This is a XenServer/XCP-ng error, not an XO error",
    });
    replayed(500, body, "not an XO error", |_, _| false).await;
    replayed(501, json!({ "error": "not implemented" }), "not implemented", |_, _| false).await;
}

// Paused, so that the retries do not take their time.
#[tokio::test(start_paused = true)]
async fn what_may_pass() {
    let words = "the backup repository is unreachable";
    replayed(502, json!({ "error": words }), words, |_, _| false).await;
    let words = "MCP is disabled by administrator";
    replayed(503, json!({ "error": words }), words, |_, _| false).await;
}

const NOT_THERE: &str = "00000000-0000-0000-0000-000000000000";
