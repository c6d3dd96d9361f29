//! What an operator says of single tools (`overrides`), of an API and of another MCP server: what is listed,
//! what is allowed, what is sent, and who is told of it.

use std::process::{Command, Stdio};

use dadl_mcp::{
    app::App,
    config::{Settings, SettingsOverrides, credentials::CredentialResolver, env_vars::Environment},
    executor::CallContext,
    gate::CallConsent,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{
    api::api,
    process::Process,
    upstream::{Answer, Upstream},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dadl-mcp");

const API: &str = api!(top: "requires: { features: [composites] }", backend: r#"
  tools:
    list_vms: { method: GET, path: /vms, access: read, description: "Lists VMs." }
    find_vms: { method: POST, path: /vms/find, access: write, description: "Finds VMs.", params: { text: { type: string, in: body } } }
    get_log: { method: GET, path: /log, access: write, description: "Reads a log." }
    delete_vm: { method: DELETE, path: "/vms/{id}", access: write, description: "Deletes a VM.", params: { id: { type: string, in: path, required: true }, force: { type: boolean, in: query }, wait_for: { type: integer, in: query } } }
  composites:
    tidy: { access: write, description: "Tidies.", code: "return await api.delete_vm({ id: \"7\", force: true });" }
"#);

/// A home with the API and the settings of its backend.
struct House {
    home: TempDir,
    backends: Vec<Value>,
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl House {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), backends: Vec::new() }
    }

    fn api(mut self, url: &str, more: Value) -> Self {
        std::fs::write(self.home.path().join("fake.dadl"), API).unwrap();
        let mut backend = json!({
            "name": "fake", "dadl": "./fake.dadl", "url": url, "access": ["all"],
        });
        backend.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.backends.push(backend);
        self
    }

    fn server(mut self, script: &Value, more: Value) -> Self {
        let path = self.home.path().join("script.json");
        std::fs::write(&path, script.to_string()).unwrap();
        let mut backend = json!({
            "name": "notes", "transport": "stdio", "command": PROGRAM,
            "args": ["simulate", "mcp", "--script", path],
        });
        backend.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.backends.push(backend);
        self
    }

    fn environment(&self) -> [(&'static str, String); 2] {
        let home = self.home.path().to_str().unwrap().to_owned();
        [("HOME", home), ("CREDENTIAL_NONE", "credential-of-the-fake".to_owned())]
    }

    fn settings(&self) -> std::path::PathBuf {
        let path = self.home.path().join("backends.yaml");
        std::fs::write(&path, json!({ "backends": self.backends }).to_string()).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(self.settings()).env_clear();
        command.envs(self.environment()).stdin(Stdio::null());
        let output = command.output().unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program, in this process.
    fn app(&self) -> Result<App, String> {
        let home = self.home.path();
        let variables = self.environment();
        let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
        let environment: Environment = variables.collect();
        let overrides = SettingsOverrides {
            config: Some(self.settings()),
            files: Some(home.join("files")),
            ..SettingsOverrides::default()
        };
        let settings =
            Settings::load(&overrides, &environment, home).map_err(|error| error.to_string())?;
        App::build(&settings, &CredentialResolver::new(environment)).map_err(|it| it.to_string())
    }

    fn serve(&self) -> Process {
        let settings = self.settings();
        let arguments = ["serve", "--config", settings.to_str().unwrap()];
        let mut process = Process::with(&arguments, |command| {
            command.envs(self.environment());
        });
        process.initialize();
        process
    }
}

impl Run {
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    fn failure(&self) -> &str {
        assert_ne!(self.code, Some(0), "{}", self.out);
        &self.err
    }
}

/// Settings of one override.
fn of(tool: &str, said: Value) -> Value {
    json!({ "overrides": { tool: said } })
}

fn remove_machine() -> Value {
    of(
        "delete_vm",
        json!({
            "name": "remove_machine", "title": "Remove a machine",
            "description": "Removes\u{202e} a machine\n for good.", "level": "dangerous",
            "annotations": { "idempotent": false }, "hidden": { "force": false, "wait_for": "5" },
            "keywords": ["scrap"],
        }),
    )
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The text of what a host is answered.
fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn hosts_see_the_words_of_the_operator() {
    let house = House::new().api("http://127.0.0.1:9", remove_machine());
    let mut process = house.serve();
    let answer = process.request(2, "tools/list", &json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|it| it["name"] == "remove_machine").unwrap();
    assert!(tools.iter().all(|it| it["name"] != "delete_vm"), "{answer}");
    assert_eq!(tool["title"], "Remove a machine");
    assert_eq!(tool["description"], "Removes a machine for good.");
    assert_eq!(tool["annotations"]["destructiveHint"], true);
    assert_eq!(tool["annotations"]["idempotentHint"], false);
    let properties = tool["inputSchema"]["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["id"]);
    // Who gives it is told, and so is a host that cannot ask a person before a dangerous call.
    for (id, arguments, told) in [
        (3, json!({ "id": "7", "force": true }), "`force` is fixed by the operator"),
        (4, json!({ "id": "7" }), "dangerous"),
        (5, json!({}), "It takes: id (string, required)"),
    ] {
        let params = json!({ "name": "remove_machine", "arguments": arguments });
        let result = process.request(id, "tools/call", &params)["result"].take();
        assert_eq!(result["isError"], true, "{result}");
        assert!(text(&result).contains(told), "{result}");
    }
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_name_follows_the_rule_of_names() {
    let two = House::new()
        .api("http://127.0.0.1:9", remove_machine())
        .server(&json!({}), json!({ "levels": { "*": "read" } }));
    let names = two.run(&["list"]).json();
    let names: Vec<&str> =
        names.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"fake_remove_machine"), "{names:?}");
    assert!(!names.contains(&"fake_delete_vm"), "{names:?}");
}

#[tokio::test]
async fn the_fixed_value_is_sent_and_shown_to_the_person() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let app = House::new().api(&upstream.url(), remove_machine()).app().unwrap();
    let pending = app.gate.check("remove_machine", object(json!({ "id": "7" }))).unwrap();
    assert!(pending.needs_consent());
    let question = pending.question();
    for fact in ["Argument id = \"7\"", "Argument force = false", "Access level: dangerous"] {
        assert!(question.contains(fact), "{question}");
    }
    let consent = CallConsent::given_for(pending.digest());
    let call = pending.admit_with(&consent).unwrap();
    app.executor.execute(call, &CallContext::default()).await.unwrap();
    let line = upstream.requests()[0].lines().next().unwrap().to_owned();
    assert_eq!(line, "DELETE /api/vms/7?force=false&wait_for=5 HTTP/1.1");
    let refused = app.gate.check("delete_vm", Map::new()).unwrap_err().to_string();
    assert!(refused.contains("unknown tool"), "{refused}");
}

#[tokio::test]
async fn a_composite_goes_on_by_the_declared_name_with_the_fixed_values() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let said = of("delete_vm", json!({ "name": "remove_machine", "hidden": { "force": false } }));
    let app = House::new().api(&upstream.url(), said).app().unwrap();
    let call = app.gate.check("tidy", Map::new()).unwrap().admit().unwrap();
    app.executor.execute(call, &CallContext::default()).await.unwrap();
    let line = upstream.requests()[0].lines().next().unwrap().to_owned();
    assert_eq!(line, "DELETE /api/vms/7?force=false HTTP/1.1");
}

#[test]
fn a_level_counts_and_makes_no_safe_request() {
    let overrides = json!({ "overrides": {
        "find_vms": { "level": "read", "annotations": { "read_only": true } },
        "get_log": { "level": "read" },
        "list_vms": { "level": "dangerous" },
    } });
    let app = House::new().api("http://127.0.0.1:9", overrides).app().unwrap();
    let find = |name: &str| app.gate.catalog().find(name).unwrap();
    let level = |name: &str| find(name).access().unwrap().as_str().to_owned();
    assert_eq!((level("find_vms"), level("list_vms")), ("read".into(), "dangerous".into()));
    // It is allowed as a read is, and is none: its author says so.
    for name in ["find_vms", "get_log"] {
        assert!(find(name).has_effect() && find(name).may_change(), "{name}");
        assert!(!find(name).annotations.read_only, "{name}");
    }
    assert!(find("find_vms").listed_annotations().read_only);
    assert!(!find("get_log").listed_annotations().read_only);
    assert!(find("list_vms").has_effect());
    assert!(app.gate.check("list_vms", Map::new()).unwrap().needs_consent());
}

#[test]
fn a_level_decides_what_is_allowed() {
    let more = json!({ "access": ["read"], "overrides": {
        "list_*": { "level": "unclassified" }, "find_vms": { "level": "read" },
    } });
    let house = House::new().api("http://127.0.0.1:9", more);
    let listed = house.run(&["list"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["name"], "find_vms");
    let refused = house.run(&["call", "list_vms"]);
    assert!(refused.failure().contains("access level `unclassified` is not allowed"));
}

#[test]
fn what_does_not_fit_stops_the_start() {
    let problem = |tool: &str, said: Value| {
        House::new().api("http://127.0.0.1:9", of(tool, said)).app().unwrap_err()
    };
    let taken = problem("delete_vm", json!({ "name": "tidy" }));
    assert!(taken.contains("`delete_vm` cannot be called `tidy`: another tool"), "{taken}");
    let lacking = problem("delete_vm", json!({ "hidden": { "forec": true } }));
    assert!(lacking.contains("`forec` in `hidden` of `delete_vm` is no parameter"), "{lacking}");
    assert!(lacking.contains("did you mean `force`"), "{lacking}");
    let mistyped = problem("delete_*", json!({ "hidden": { "wait_for": "long" } }));
    assert!(
        mistyped.contains("`wait_for` in `hidden` of the tool `delete_vm` must be"),
        "{mistyped}"
    );
    let many = problem("*_vms", json!({ "name": "x" }));
    assert!(many.contains("backends.yaml"), "{many}");
    let house = House::new().api("http://127.0.0.1:9", of("deltee_*", json!({ "level": "read" })));
    let listed = house.run(&["list"]);
    let told = "`deltee_*` in `overrides` matches no tool of the descriptor";
    assert!(listed.err.contains(told), "{}", listed.err);
}

#[test]
fn the_terminal_shows_what_came_from_where() {
    let house = House::new().api("http://127.0.0.1:9", remove_machine());
    let shown = house.run(&["show", "remove_machine"]).json();
    let expected = json!({
        "name": { "value": "remove_machine", "original": "delete_vm" },
        "title": { "value": "Remove a machine", "original": "Delete VM" },
        "description": { "value": "Removes a machine for good.", "original": "Deletes a VM." },
        "level": { "value": "dangerous", "original": "write" },
        "annotations": {
            "value": { "idempotentHint": false }, "original": { "idempotentHint": true },
        },
        "hidden": { "value": { "force": false, "wait_for": 5 }, "original": null },
        "keywords": { "value": ["scrap"], "original": null },
    });
    assert_eq!(shown["overridden"], expected, "{shown}");
    let listed = house.run(&["list", "--all"]).json();
    let tool = listed.as_array().unwrap().iter().find(|it| it["name"] == "remove_machine").unwrap();
    assert_eq!(tool["declared_name"], "delete_vm");
    let keys = ["name", "title", "description", "level", "annotations", "hidden", "keywords"];
    assert_eq!(tool["overridden"], json!(keys));
    let examined = house.run(&["doctor"]);
    let told = "1 tool as `overrides` says: name of 1";
    assert!(examined.out.contains(told), "{}{}", examined.out, examined.err);
    let found = house.run(&["search", "scrap"]);
    assert!(found.out.contains("remove_machine"), "{}", found.out);
}

#[test]
fn a_tool_of_a_server_is_overridden_as_one_of_an_api() {
    let says = json!([{ "result": { "content": [], "structuredContent": { "got": "$params" } } }]);
    let script = json!({ "on": { "tools/call add": says } });
    let more = json!({
        "levels": { "*": "dangerous" }, "access": ["read"], "defaults": { "b": 1 },
        "overrides": { "add": {
            "name": "plus_seven", "description": "Adds 7.", "level": "read",
            "hidden": { "b": 7 }, "annotations": { "idempotent": true, "open_world": false },
        } },
    });
    let house = House::new().server(&script, more);
    let listed = house.run(&["list"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["description"], &listed[0]["server_tool"]),
        (&json!("plus_seven"), &json!("Adds 7."), &json!("add"))
    );
    let called = house.run(&["call", "plus_seven", "a=1"]).json();
    assert_eq!(called["got"]["name"], "add", "{called}");
    assert_eq!(called["got"]["arguments"], json!({ "a": 1, "b": 7 }), "{called}");
    let refused = house.run(&["call", "plus_seven", "a=1", "b=2"]);
    assert!(refused.failure().contains("`b` is fixed by the operator"), "{}", refused.err);
    let shown = house.run(&["show", "plus_seven"]).json();
    assert_eq!(shown["overridden"]["level"], json!({ "value": "read", "original": "dangerous" }));
    assert_eq!(shown["inputSchema"]["required"], json!(["a"]), "{shown}");
    assert_eq!(shown["annotations"]["openWorldHint"], false);
    assert_eq!(shown["annotations"]["idempotentHint"], true);
}

#[test]
fn a_server_that_lists_something_else_is_told_and_stays_bounded() {
    let more = json!({
        "levels": { "*": "read" },
        "overrides": {
            "add": { "name": "echo", "hidden": { "b": "seven", "secret": 1 } },
            "nothing_*": { "level": "read" },
        },
    });
    let house = House::new().server(&json!({}), more);
    let listed = house.run(&["list"]);
    let names: Vec<Value> =
        listed.json().as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert!(names.contains(&json!("add")) && names.contains(&json!("echo")), "{names:?}");
    for told in [
        "`add` keeps its name: `overrides` calls it `echo`",
        "`secret` in `hidden` of `add` is in no list of the server",
        "`b` in `hidden` of the tool `add` must be of the type number",
        "`nothing_*` in `overrides` matches no tool of the server",
    ] {
        assert!(listed.err.contains(told), "{told}: {}", listed.err);
    }
    // What does not fit is not the caller's to give either.
    for argument in ["b=2", "secret=2"] {
        let refused = house.run(&["call", "add", "a=1", argument]);
        assert!(refused.failure().contains("is fixed by the operator"), "{}", refused.err);
    }
    assert!(house.run(&["call", "add", "a=1"]).failure().contains("`b`"));
}
