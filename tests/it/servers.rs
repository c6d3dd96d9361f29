//! Backends that are other MCP servers, through the real binary: listed, called and ended.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dadl-mcp");

/// A home with a settings file and the scripts of servers.
pub(crate) struct House {
    pub(crate) home: TempDir,
    pub(crate) backends: Vec<Value>,
    pub(crate) top: Value,
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home, backends: Vec::new(), top: json!({}), variables: Vec::new() }
    }

    /// Adds a server that does what a script says, with these settings besides.
    pub(crate) fn server(mut self, name: &str, script: &Value, more: Value) -> Self {
        let path = self.home.path().join(format!("{name}.json"));
        std::fs::write(&path, script.to_string()).unwrap();
        let mut backend = json!({
            "name": name, "transport": "stdio", "command": PROGRAM,
            "args": ["simulate", "mcp", "--script", path],
        });
        backend.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.backends.push(backend);
        self
    }

    /// Adds a backend as it is.
    pub(crate) fn backend(mut self, backend: Value) -> Self {
        self.backends.push(backend);
        self
    }

    pub(crate) fn top(mut self, key: &str, value: Value) -> Self {
        self.top[key] = value;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Writes the settings; returns the arguments of a command with them.
    pub(crate) fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut settings = self.top.clone();
        settings["backends"] = self.backends.clone().into();
        let path = self.home.path().join("backends.yaml");
        std::fs::write(&path, settings.to_string()).unwrap();
        let flag = ["--config".to_owned(), path.to_str().unwrap().to_owned()];
        arguments.iter().map(|it| (*it).to_owned()).chain(flag).collect()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(self.arguments(arguments)).env_clear();
        command.env("HOME", self.home.path()).envs(self.variables.clone());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Starts a server for hosts, and introduces one.
    pub(crate) fn serve(&self) -> Process {
        let mut process = self.start();
        process.initialize();
        process
    }

    /// Starts a server for hosts, and introduces none.
    pub(crate) fn start(&self) -> Process {
        let arguments = self.arguments(&["serve"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Process::with(&arguments, |command| {
            command.env("HOME", self.home.path()).envs(self.variables.clone());
        })
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.json();
        list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What went wrong, where something did.
    pub(crate) fn failure(&self) -> &str {
        assert_ne!(self.code, Some(0), "{}", self.out);
        &self.err
    }
}

/// Levels for the tools that every simulated server has.
pub(crate) fn levels() -> Value {
    json!({ "levels": { "{echo,add}": "read", "picture": "read", "forget": "dangerous" } })
}

/// The same, and all of them allowed.
pub(crate) fn everything() -> Value {
    json!({ "levels": { "{echo,add}": "read", "picture": "read", "forget": "dangerous" }, "access": ["all"] })
}

/// Steps that answer with the text of a tool.
fn says(text: &str) -> Value {
    json!([{ "result": { "content": [{ "type": "text", "text": text }] } }])
}

/// The tools that a host sees, without those that are ours.
pub(crate) fn seen(process: &mut Process, id: u32) -> Vec<String> {
    let answer = process.request(id, "tools/list", &json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// The result of a call of a host.
pub(crate) fn called(process: &mut Process, id: u32, name: &str, arguments: Value) -> Value {
    let params = json!({ "name": name, "arguments": arguments });
    process.request(id, "tools/call", &params)["result"].take()
}

pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// Waits until a process is gone, by its number.
#[cfg(target_os = "linux")]
fn is_gone_soon(process: &str) -> bool {
    let begun = Instant::now();
    let stat = format!("/proc/{process}/stat");
    // One that nobody waits for is as good as gone.
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|it| !it.contains(") Z "));
    while lives() {
        if begun.elapsed() > Duration::from_secs(60) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn tools_have_bare_names_with_one_backend_and_prefixed_ones_with_several() {
    let one = House::new().server("notes", &json!({}), levels());
    assert_eq!(one.run(&["list"]).names(), ["echo", "add", "picture"]);
    let two = one.server("more", &json!({}), levels());
    let names = two.run(&["list"]).names();
    assert_eq!(names[..4], ["notes_echo", "notes_add", "notes_picture", "more_echo"]);
}

#[test]
fn what_has_no_level_is_not_listed_and_an_operator_is_told() {
    let house = House::new().server("notes", &json!({}), json!({ "access": ["all"] }));
    let listed = house.run(&["list"]);
    // All levels are allowed, and none is a level of its own.
    assert_eq!(listed.names().len(), 4, "{}", listed.out);
    let house = House::new().server("notes", &json!({}), json!({}));
    let listed = house.run(&["list"]);
    assert_eq!(listed.names(), Vec::<String>::new());
    assert!(
        listed.err.contains("no tool of backend \"notes\" is allowed: none has a level"),
        "{}",
        listed.err
    );
    let all = house.run(&["list", "--all"]).json();
    assert_eq!(all[0]["access"], "unclassified");
    assert_eq!(all[0]["server_tool"], "echo");
    let called = house.run(&["call", "echo", "text=hello"]);
    assert!(called.failure().contains("is not allowed"), "{}", called.err);
}

#[test]
fn settings_that_name_no_tool_are_told() {
    let more = json!({
        "levels": { "{echo,add}": "read", "gte_*": "read" },
        "exclude_tools": ["add", "nothing"], "defaults": { "txt": "hello" },
    });
    let house = House::new().server("notes", &json!({}), more);
    let listed = house.run(&["list"]);
    assert_eq!(listed.names(), ["echo"]);
    for told in [
        "`gte_*` in `levels` matches no tool of the server",
        "`nothing` in `exclude_tools` matches no tool of the server",
        "no tool has a parameter `txt`",
    ] {
        assert!(listed.err.contains(told), "{told}: {}", listed.err);
    }
}

#[test]
fn a_call_from_the_command_line_gives_what_the_server_says() {
    let house = House::new().server("notes", &json!({}), everything());
    let echoed = house.run(&["call", "echo", "text=hello"]);
    assert_eq!((echoed.code, echoed.out.trim()), (Some(0), "hello"), "{}", echoed.err);
    assert_eq!(house.run(&["call", "add", "a=1", "b=2"]).json(), json!({ "sum": 3.0 }));
    let picture = house.run(&["call", "picture"]).json();
    assert_eq!(picture["content"][0]["content_type"], "image/png");
    let failed = house.run(&["call", "forget", "--yes"]);
    assert!(failed.failure().contains("nothing can be forgotten"), "{}", failed.err);
    // Dangerous is what the operator says, whatever the server does.
    let refused = house.run(&["call", "forget"]);
    assert!(refused.failure().contains("it is dangerous"), "{}", refused.err);
    let planned = house.run(&["call", "add", "a=1", "b=2", "--dry-run", "--json"]).json();
    assert_eq!(
        planned,
        json!({ "backend": "notes", "tool": "add", "arguments": { "a": 1, "b": 2 } })
    );
    let shown = house.run(&["show", "add"]).json();
    assert_eq!(shown["inputSchema"]["required"], json!(["a", "b"]), "{shown}");
    let found = house.run(&["search", "adds numbers"]);
    assert!(found.out.contains("add"), "{}", found.out);
}

#[test]
fn arguments_are_checked_before_anything_is_sent() {
    let script = json!({ "on": { "tools/call add": [{ "exit": 1 }] } });
    let house = House::new().server("notes", &script, levels());
    for (arguments, told) in [
        (&["call", "add", "a=1"][..], "`b`"),
        (&["call", "add", "a=one", "b=2"][..], "`a`"),
        (&["call", "subtract", "a=1"][..], "unknown tool"),
    ] {
        let refused = house.run(arguments);
        assert!(refused.failure().contains(told), "{}", refused.err);
        assert!(!refused.err.contains("ended"), "{}", refused.err);
    }
}

#[test]
fn what_the_operator_says_of_parameters_counts() {
    let more = json!({ "levels": { "echo": "read" }, "defaults": { "text": "as ever" } });
    let house = House::new().server("notes", &json!({}), more);
    let echoed = house.run(&["call", "echo"]);
    assert_eq!((echoed.code, echoed.out.trim()), (Some(0), "as ever"), "{}", echoed.err);
}

#[test]
fn a_host_lists_and_calls_in_the_order_of_its_requests() {
    let house = House::new().server("notes", &json!({}), everything());
    let mut process = house.serve();
    let names = seen(&mut process, 2);
    assert!(
        ["echo", "add", "picture", "forget"].iter().all(|it| names.contains(&(*it).to_owned())),
        "{names:?}"
    );
    let echoed = called(&mut process, 3, "echo", json!({ "text": "hello" }));
    assert_eq!(text(&echoed), "hello", "{echoed}");
    let sum = called(&mut process, 4, "add", json!({ "a": 1, "b": "2" }));
    assert_eq!(sum["structuredContent"], json!({ "sum": 3.0 }), "{sum}");
    // Nobody can be asked here.
    let refused = called(&mut process, 5, "forget", json!({}));
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(!text(&refused).contains("nothing can be forgotten"), "{refused}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_host_of_the_newest_revision_calls_without_an_introduction() {
    let house = House::new().server("notes", &json!({}), levels());
    let arguments = house.arguments(&["serve"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut process = Process::with(&arguments, |command| {
        command.env("HOME", house.home.path());
    });
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "echo", "arguments": { "text": "hello" }, "_meta": meta });
    let answer = process.request(1, "tools/call", &params);
    assert_eq!(text(&answer["result"]), "hello", "{answer}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_crash_costs_one_call_and_no_other_backend() {
    let script = json!({ "on": { "tools/call echo": { "rounds": [
        [{ "stderr": "out of ideas\n" }, { "exit": 3 }], [{ "answer": true }],
    ] } } });
    let house = House::new()
        .server("bad", &script, json!({ "levels": { "echo": "write" }, "access": ["write"] }))
        .server("good", &json!({}), levels());
    let mut process = house.serve();
    let crashed = called(&mut process, 2, "bad_echo", json!({ "text": "a" }));
    assert_eq!(crashed["isError"], true);
    let told = text(&crashed);
    assert!(told.contains("bad") && told.contains("out of ideas"), "{told}");
    // The tool may have done something.
    assert!(told.contains("may have been done"), "{told}");
    let good = called(&mut process, 3, "good_echo", json!({ "text": "b" }));
    assert_eq!(text(&good), "b");
    // A server that ended counts its calls anew, and ends again: the next call is one of its own.
    let again = called(&mut process, 4, "bad_echo", json!({ "text": "c" }));
    assert_eq!(again["isError"], true, "{again}");
    assert!(text(&again).contains("ended"), "{again}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn one_backend_that_is_down_takes_nothing_from_the_others() {
    let house = House::new()
        .backend(json!({ "name": "gone", "transport": "stdio", "command": "no-such-program-here" }))
        .server("mute", &json!({ "on": { "initialize": [], "server/discover": [] } }), levels())
        .server("good", &json!({}), levels())
        .top("limits", json!({ "list_wait": "2s" }));
    let listed = house.run(&["list"]);
    assert_eq!(listed.names(), ["good_echo", "good_add", "good_picture"], "{}", listed.err);
    assert!(listed.err.contains("no program \"no-such-program-here\""), "{}", listed.err);
    assert!(
        listed.err.contains("has not listed its tools within 2 s (`list_wait`"),
        "{}",
        listed.err
    );
    let echoed = house.run(&["call", "good_echo", "text=hello"]);
    assert_eq!(echoed.out.trim(), "hello", "{}", echoed.err);
    let health = house.run(&["health", "good", "--json"]);
    assert_eq!(health.json()["backends"][0]["ok"], true);
    let health = house.run(&["health", "gone", "--json"]);
    assert_eq!(health.code, Some(1));
    assert!(health.out.contains("no-such-program-here"), "{}", health.out);
}

#[test]
fn progress_of_a_server_reaches_the_host() {
    let progress = json!({
        "progressToken": "$token", "progress": 1, "total": 2, "message": "half\nway",
    });
    let script = json!({ "on": { "tools/call echo": [
        { "notify": { "method": "notifications/progress", "params": progress } }, { "answer": true },
    ] } });
    let house = House::new().server("notes", &script, levels());
    let mut process = house.serve();
    let params = json!({
        "name": "echo", "arguments": { "text": "a" }, "_meta": { "progressToken": "mine" },
    });
    let (told, answer) = process.request_with_notifications(2, "tools/call", &params);
    assert_eq!(text(&answer["result"]), "a");
    let told: Vec<&Value> = told.iter().map(|it| &it["params"]).collect();
    assert!(
        told.iter().any(|it| it["progressToken"] == "mine" && it["message"] == "half way"),
        "{told:?}"
    );
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_call_that_a_host_gives_up_is_given_up_at_the_server() {
    // It answers the next call when it has heard of the end of the first.
    let script = json!({ "on": { "tools/call echo": [{ "await": "notifications/cancelled" }],
        "tools/call add": says("cancelled") } });
    let house = House::new().server("notes", &script, levels());
    let mut process = house.serve();
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "echo", "arguments": { "text": "a" } } });
    process.write(format!("{call}\n").as_bytes());
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": 2 } });
    process.write(format!("{cancel}\n").as_bytes());
    let added = called(&mut process, 3, "add", json!({ "a": 1, "b": 2 }));
    assert_eq!(text(&added), "cancelled", "{added}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_server_gets_what_is_named_and_no_secret_comes_back() {
    let script = json!({ "on": { "tools/call echo": [
        { "result": { "content": [{ "type": "text", "text": "x" }], "structuredContent": { "env": "$environment" } } },
    ] } });
    let more = json!({
        "levels": { "echo": "read" },
        "env": { "MODE": "fast", "DATABASE": "postgres://u:the-datab4se-password@localhost/x", "API_TOKEN": "literal-s3cr3t-text", "KEY": "${NOTES_KEY}" },
    });
    let house = House::new()
        .server("notes", &script, more)
        .with("NOTES_KEY", "credential-0f-the-notes")
        .with("OTHER_SECRET", "nobody-else-gets-this");
    let called = house.run(&["call", "echo", "text=a"]);
    let result = called.json();
    let environment = result["env"].as_object().unwrap();
    assert_eq!(environment["MODE"], "fast");
    assert!(environment.contains_key("KEY") && environment.contains_key("HOME"), "{result}");
    assert!(!environment.contains_key("OTHER_SECRET"), "{result}");
    for secret in
        ["literal-s3cr3t-text", "the-datab4se-password", "credential-0f-the-notes", "nobody-else"]
    {
        assert!(!called.out.contains(secret) && !called.err.contains(secret), "{}", called.out);
    }
    // Without the credential nothing is started.
    let without = House { variables: Vec::new(), ..house };
    let listed = without.run(&["list"]);
    assert!(listed.err.contains("NOTES_KEY"), "{}", listed.err);
    // It has what it listed before, and no call of it begins.
    assert_eq!(listed.names(), ["echo"]);
    let called = without.run(&["call", "echo", "text=a"]);
    assert!(called.failure().contains("NOTES_KEY"), "{}", called.err);
}

#[test]
fn scripts_of_callers_call_tools_of_servers_within_their_levels() {
    let house = House::new()
        .server(
            "notes",
            &json!({}),
            json!({ "levels": { "add": "read", "echo": "write" }, "access": ["read", "write"] }),
        )
        .top("surface", json!("compact"));
    let mut process = house.serve();
    assert!(seen(&mut process, 2).contains(&"api_read".to_owned()));
    let code = "return (await api.add({a: 1, b: 2})).sum";
    let sum = called(&mut process, 3, "api_read", json!({ "code": code }));
    assert_ne!(sum["isError"], true, "{sum}");
    assert!(text(&sum).contains('3'), "{sum}");
    // What the server says of it counts for nothing.
    let code = "return await api.echo({text: 'a'})";
    let refused = called(&mut process, 4, "api_read", json!({ "code": code }));
    assert_eq!(refused["isError"], true, "{refused}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn doctor_says_what_was_found_or_why_nothing_was() {
    let house = House::new()
        .server(
            "notes",
            &json!({}),
            json!({ "levels": { "echo": "read" }, "env": { "MODE": "fast" } }),
        )
        .backend(
            json!({ "name": "gone", "transport": "stdio", "command": "no-such-program-here" }),
        );
    let examined = house.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&examined.out).unwrap();
    let of = |backend: &str| -> String {
        let checks = report["checks"].as_array().unwrap().iter();
        checks.filter(|it| it["backend"] == backend).map(Value::to_string).collect()
    };
    assert!(of("notes").contains("simulated 1.0.0 speaks MCP 2025-11-25: 4 tools"), "{report}");
    assert!(of("notes").contains("MODE") && of("notes").contains("1 of 4 tools"), "{report}");
    assert!(of("gone").contains("there is no program"), "{report}");
}

#[cfg(target_os = "linux")]
#[test]
fn servers_end_with_us_whatever_ends_us() {
    let process = json!({ "content": [], "structuredContent": { "process": "$process" } });
    let script =
        json!({ "ignores_end": true, "on": { "tools/call echo": [{ "result": process }] } });
    let house = House::new().server("notes", &script, levels());
    for signal in ["TERM", "KILL"] {
        let mut process = house.serve();
        let answer = called(&mut process, 2, "echo", json!({ "text": "a" }));
        let number = answer["structuredContent"]["process"].to_string();
        assert!(Path::new(&format!("/proc/{number}")).exists(), "{answer}");
        process.signal(signal);
        assert!(is_gone_soon(&number), "{signal}");
    }
}
