//! Settings that change while they are served: read again, checked whole, told.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    mcp_http::Reply,
    mcp_support::with_meta,
    process::Process,
    upstream::{Answer, Upstream},
};

/// The folder of an operator.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a descriptor with these tools.
    fn descriptor(&self, name: &str, tools: &[&str]) {
        let tools: String = tools
            .iter()
            .map(|tool| {
                format!(
                    "    {tool}: {{ method: GET, path: /{tool}, access: read, description: Shows {tool}. }}\n"
                )
            })
            .collect();
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2.md\nbackend:\n  name: {name}\n  type: rest\n  \
             description: A fake\n  auth: {{ type: bearer, credential: none }}\n  tools:\n{tools}"
        );
        std::fs::write(self.path(&format!("{name}.dadl")), text).unwrap();
    }

    /// Writes the settings.
    fn settings(&self, settings: &Value) {
        // In one step, as careful editors do.
        std::fs::write(self.path("new"), settings.to_string()).unwrap();
        std::fs::rename(self.path("new"), self.path("backends.yaml")).unwrap();
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let config = self.path("backends.yaml").display().to_string();
        let all = ["serve", "--config", &config].into_iter().chain(more.iter().copied());
        all.map(str::to_owned).collect()
    }

    fn attach(&self, more: &[&str]) -> Process {
        let arguments = self.arguments(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Process::with(&arguments, |command| {
            command.env("HOME", self.0.path()).env("CREDENTIAL_NONE", "t");
        })
    }

    /// Serves over HTTP without a terminal.
    fn listen(&self, more: &[&str]) -> Listening {
        let mut command = Command::new("setsid");
        command.arg(env!("CARGO_BIN_EXE_dadl-mcp")).args(self.arguments(more));
        command.args(["--http", "127.0.0.1:0"]).env_clear();
        command.env("HOME", self.0.path()).env("CREDENTIAL_NONE", "t");
        command.env("DADL_MCP_LOG", "dadl_mcp=info");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = log.by_ref().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("listening on http://")).unwrap();
        let address = line["listening on http://".len()..].trim_end_matches("/mcp").to_owned();
        Listening { child, log, address }
    }
}

/// A server that listens.
struct Listening {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Listening {
    /// Reads the log up to a line that has these words.
    fn until(&mut self, words: &str) -> String {
        let mut lines = self.log.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(words)).unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    async fn health(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        send(&mut stream, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        Reply::read(stream).await.json().await
    }

    async fn ask(&self, path: &str, method: &str, params: Value) -> (u16, Value) {
        ask(&self.address, path, method, params).await
    }

    async fn tools(&self, path: &str) -> Vec<String> {
        let (_, answer) = self.ask(path, "tools/list", json!({})).await;
        names(&answer)
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Sends a request of 2026-07-28 to a path; returns the status and the answer.
async fn ask(address: &str, path: &str, method: &str, params: Value) -> (u16, Value) {
    let params = with_meta(params);
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let body = body.to_string();
    let named = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: {method}\r\n{named}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, &(head + &body)).await;
    let mut reply = Reply::read(stream).await;
    let is_json = reply.field("content-type").is_some_and(|it| it == "application/json");
    let answer = if is_json { reply.json().await } else { Value::Null };
    (reply.status, answer)
}

fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
    // Each server has it.
    names.filter(|name| name != "read_result").collect()
}

fn backend(name: &str, more: Value) -> Value {
    let mut backend = json!({
        "name": name, "dadl": format!("./{name}.dadl"), "url": "http://127.0.0.1:9",
    });
    backend.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    backend
}

#[test]
fn a_changed_descriptor_is_served_to_the_same_session_which_is_told() {
    let desk = Desk::new();
    desk.descriptor("one", &["old"]);
    desk.settings(&json!({ "backends": [backend("one", json!({}))] }));
    let mut host = desk.attach(&[]);
    let told = host.initialize();
    assert_eq!(told["capabilities"]["tools"]["listChanged"], true);
    assert_eq!(names(&host.request(2, "tools/list", &json!({}))), ["old"]);
    desk.descriptor("one", &["old", "new"]);
    let note = host.notification();
    assert_eq!(note["method"], "notifications/tools/list_changed");
    assert_eq!(names(&host.request(3, "tools/list", &json!({}))), ["old", "new"]);
    // What it cannot be is not what it becomes.
    std::fs::write(desk.path("one.dadl"), "backend: [").unwrap();
    desk.settings(&json!({ "backends": [backend("one", json!({}))], "surface": "compact" }));
    assert_eq!(names(&host.request(4, "tools/list", &json!({}))), ["old", "new"]);
    desk.descriptor("one", &["newest"]);
    assert_eq!(host.notification()["method"], "notifications/tools/list_changed");
    // The surface is the one that the session began with.
    assert_eq!(names(&host.request(5, "tools/list", &json!({}))), ["newest"]);
    assert_eq!(host.end(), Some(0));
}

#[test]
fn without_watching_what_was_read_first_is_served() {
    let desk = Desk::new();
    desk.descriptor("one", &["old"]);
    desk.settings(&json!({ "backends": [backend("one", json!({}))] }));
    let mut host = desk.attach(&["--no-watch"]);
    assert_eq!(host.initialize()["capabilities"]["tools"].get("listChanged"), None);
    assert_eq!(host.end(), Some(0));
}

#[tokio::test]
async fn a_mistake_keeps_what_runs_and_is_told() {
    let desk = Desk::new();
    desk.descriptor("one", &["a"]);
    desk.settings(&json!({ "backends": [backend("one", json!({}))] }));
    let mut server = desk.listen(&["--no-watch"]);
    assert_eq!(server.health().await.get("settings"), None);
    desk.settings(&json!({ "backends": [backend("one", json!({ "acess": ["all"] }))] }));
    server.signal("HUP");
    let line = server.until("the changed settings are not used");
    assert!(line.contains("backends.yaml:1:") && line.contains("acess"), "{line}");
    let health = server.health().await;
    assert!(health["settings"].as_str().unwrap().contains("mistake"), "{health}");
    assert_eq!(health["status"], "ok");
    assert_eq!(server.tools("/mcp").await, ["a"]);
    // A descriptor that is not there yet is waited for.
    let two = json!({ "backends": [backend("one", json!({})), backend("two", json!({}))] });
    desk.settings(&two);
    server.signal("HUP");
    let line = server.until("the changed settings are not used");
    assert!(line.contains("two.dadl"), "{line}");
    desk.descriptor("two", &["b"]);
    server.signal("HUP");
    server.until("the settings were read again: new: two");
    assert_eq!(server.health().await.get("settings"), None);
    assert_eq!(server.tools("/mcp").await, ["one_a", "two_b"]);
    desk.settings(&json!({ "backends": [backend("two", json!({}))] }));
    server.signal("HUP");
    server.until("the settings were read again: gone: one");
    assert_eq!(server.tools("/mcp").await, ["b"]);
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn what_runs_ends_with_the_settings_that_it_began_with() {
    let (desk, old) = (Desk::new(), Upstream::by_hand().await);
    let new = Upstream::start(vec![Answer::json(200, "{\"from\":\"new\"}")]).await;
    desk.descriptor("one", &["a"]);
    let settings = |url: String| json!({ "backends": [backend("one", json!({ "url": url }))] });
    desk.settings(&settings(old.origin()));
    let mut server = desk.listen(&["--no-watch"]);
    let call = json!({ "name": "a", "arguments": {} });
    let address = server.address.clone();
    let began = call.clone();
    let running = tokio::spawn(async move { ask(&address, "/mcp", "tools/call", began).await });
    let mut asked = old.asked().await;
    desk.settings(&settings(new.url()));
    server.signal("HUP");
    server.until("the settings were read again: changed: one");
    let (_, answer) = server.ask("/mcp", "tools/call", call).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "from": "new" }), "{answer}");
    asked.answer(&Answer::json(200, "{\"from\":\"old\"}")).await;
    let (_, answer) = running.await.unwrap();
    assert_eq!(answer["result"]["structuredContent"], json!({ "from": "old" }), "{answer}");
}

/// A server that says which process it is.
fn child(home: &Desk, name: &str) -> Value {
    let script = json!({});
    std::fs::write(home.path(&format!("{name}.json")), script.to_string()).unwrap();
    json!({
        "name": name, "transport": "stdio", "command": env!("CARGO_BIN_EXE_dadl-mcp"),
        "args": ["simulate", "mcp", "--script", home.path(&format!("{name}.json"))],
        "levels": { "*": "read" },
    })
}

#[tokio::test]
async fn what_did_not_change_is_not_touched() {
    let desk = Desk::new();
    desk.descriptor("one", &["a"]);
    let server_entry = child(&desk, "kept");
    let settings =
        |more: Value| json!({ "backends": [backend("one", more), server_entry.clone()] });
    desk.settings(&settings(json!({})));
    let mut server = desk.listen(&["--no-watch"]);
    let processes = |server: &Listening| -> Vec<String> {
        let parent = server.child.id().to_string();
        let found = Command::new("ps").args(["-o", "pid=", "--ppid", &parent]).output().unwrap();
        let text = String::from_utf8(found.stdout).unwrap();
        text.split_whitespace().map(str::to_owned).collect()
    };
    let before = processes(&server);
    assert_eq!(before.len(), 1, "{before:?}");
    desk.settings(&settings(json!({ "hint": "another" })));
    server.signal("HUP");
    server.until("the settings were read again: changed: one");
    assert_eq!(processes(&server), before);
    desk.settings(&json!({ "backends": [backend("one", json!({}))] }));
    server.signal("HUP");
    server.until("gone: kept");
    while !processes(&server).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_profile_has_a_path_and_only_narrows() {
    let desk = Desk::new();
    desk.descriptor("one", &["list_a", "get_a", "get_b"]);
    desk.descriptor("two", &["list_c"]);
    let backends = [backend("one", json!({})), backend("two", json!({ "access": ["write"] }))];
    let profiles = |of_ops: Value| json!({ "backends": backends, "profiles": { "ops": of_ops, "small": { "surface": "compact" } } });
    let ops = json!({ "backends": ["one"], "tools": ["get_*", "two_*"], "exclude_tools": ["one_get_b"], "access": ["all"] });
    desk.settings(&profiles(ops));
    let mut server = desk.listen(&["--no-watch"]);
    assert_eq!(server.tools("/mcp").await, ["one_list_a", "one_get_a", "one_get_b"]);
    assert_eq!(server.tools("/mcp/ops").await, ["one_get_a"]);
    assert_eq!(server.tools("/mcp/small").await[..2], ["api_search", "api_read"]);
    assert_eq!(server.ask("/mcp/opz", "tools/list", json!({})).await.0, 404);
    // What is not listed is not called either.
    for (name, words) in
        [("one_list_a", "profile `ops` leaves it out"), ("two_list_c", "is not allowed")]
    {
        let call = json!({ "name": name, "arguments": {} });
        let (_, answer) = server.ask("/mcp/ops", "tools/call", call).await;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(words), "{text}");
    }
    // Another meaning of it counts for those who are there.
    desk.settings(&profiles(json!({ "tools": ["list_a"] })));
    server.signal("HUP");
    server.until("limits or profiles");
    assert_eq!(server.tools("/mcp/ops").await, ["one_list_a"]);
}

/// Opens a session at a path; returns what names it.
async fn session(server: &Listening, path: &str) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let mut reply = in_session(server, path, "", &message).await;
    assert_eq!(reply.status, 200);
    let session = reply.field("mcp-session-id").unwrap().to_owned();
    reply.event().await;
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    in_session(server, path, &session, &told).await;
    session
}

/// Sends a message in a session.
async fn in_session(server: &Listening, path: &str, session: &str, message: &Value) -> Reply {
    let body = message.to_string();
    let session = match session {
        "" => String::new(),
        session => format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n"),
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{session}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    send(&mut stream, &(head + &body)).await;
    Reply::read(stream).await
}

#[tokio::test]
async fn profiles_come_and_go_with_the_settings() {
    let (desk, upstream) = (Desk::new(), Upstream::by_hand().await);
    desk.descriptor("one", &["list_a", "get_a"]);
    let backends = [backend("one", json!({ "url": upstream.origin() }))];
    let profiles = |profiles: Value| json!({ "backends": backends, "profiles": profiles });
    let (ops, lists) = (json!({ "tools": ["get_*"] }), json!({ "tools": ["list_*"] }));
    desk.settings(&profiles(json!({ "ops": ops })));
    let mut server = desk.listen(&["--no-watch"]);
    assert_eq!(server.ask("/mcp/new", "tools/list", json!({})).await.0, 404);
    // One that is new has its path at once.
    desk.settings(&profiles(json!({ "ops": ops, "new": lists })));
    server.signal("HUP");
    server.until("limits or profiles");
    assert_eq!(server.tools("/mcp/new").await, ["list_a"]);
    assert_eq!(server.tools("/mcp/ops").await, ["get_a"]);
    // One that is gone has none, and what is under way there ends as it began.
    let opened = session(&server, "/mcp/ops").await;
    let listening = format!(
        "GET /mcp/ops HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
         Mcp-Session-Id: {opened}\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    send(&mut stream, &listening).await;
    let mut listening = Reply::read(stream).await;
    assert_eq!(listening.status, 200);
    let params = json!({ "name": "get_a", "arguments": {} });
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
    let calls = in_session(&server, "/mcp/ops", &opened, &call);
    let (mut called, mut asked) = tokio::join!(calls, upstream.asked());
    desk.settings(&profiles(json!({ "new": lists })));
    server.signal("HUP");
    server.until("limits or profiles");
    assert_eq!(server.ask("/mcp/ops", "tools/list", json!({})).await.0, 404);
    assert_eq!(in_session(&server, "/mcp/ops", &opened, &call).await.status, 404);
    asked.answer(&Answer::json(200, r#"{"from":"api"}"#)).await;
    let answer = called.event().await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "from": "api" }), "{answer}");
    // Then its session ends.
    listening.whole().await;
    assert_eq!(server.tools("/mcp/new").await, ["list_a"]);
    // It may come back, as another one.
    desk.settings(&profiles(json!({ "ops": lists, "new": lists })));
    server.signal("HUP");
    server.until("limits or profiles");
    assert_eq!(server.tools("/mcp/ops").await, ["list_a"]);
}

#[test]
fn a_profile_is_served_on_stdio() {
    let desk = Desk::new();
    desk.descriptor("one", &["list_a", "get_a"]);
    let profiles = json!({ "ops": { "tools": ["get_*"] } });
    desk.settings(&json!({ "backends": [backend("one", json!({}))], "profiles": profiles }));
    let mut host = desk.attach(&["--profile", "ops"]);
    host.initialize();
    assert_eq!(names(&host.request(2, "tools/list", &json!({}))), ["get_a"]);
    desk.descriptor("one", &["list_a", "get_a", "get_b"]);
    assert_eq!(host.notification()["method"], "notifications/tools/list_changed");
    assert_eq!(names(&host.request(3, "tools/list", &json!({}))), ["get_a", "get_b"]);
    assert_eq!(host.end(), Some(0));
    let arguments = desk.arguments(&["--profile", "opps"]);
    let run = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(arguments)
        .env_clear()
        .env("HOME", desk.path(""))
        .env("CREDENTIAL_NONE", "t")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(3), "{said}");
    assert!(said.contains("there is no profile \"opps\"; did you mean \"ops\"?"), "{said}");
}
