//! Backends that are other MCP servers at a URL, through the real binary: reached, called and lost.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    mcp_site::{
        Asked, McpSite, Reply, SESSION, discovery, event, introduction, stream, text_result,
    },
    process::Process,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dadl-mcp");

/// A home with settings.
pub(crate) struct Home {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
}

pub(crate) struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Home {
    /// Settings of one server, called `hub`, all of whose tools are reads.
    pub(crate) fn new(url: &str, more: Value) -> Self {
        let mut backend = json!({
            "name": "hub", "transport": "http", "url": url, "levels": { "*": "read" },
        });
        backend.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Self::with_file(&json!({ "backends": [backend] }).to_string())
    }

    fn with_file(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("backends.yaml"), settings).unwrap();
        let variables = vec![("DADL_MCP_STORE", "file".to_owned())];
        Self { directory, variables }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let path = self.directory.path().join("backends.yaml");
        let flag = ["--config".to_owned(), path.to_str().unwrap().to_owned()];
        arguments.iter().map(|it| (*it).to_owned()).chain(flag).collect()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(PROGRAM);
        command.args(self.arguments(arguments)).env_clear().stdin(Stdio::null());
        command.env("HOME", self.directory.path()).envs(self.variables.clone());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn serve(&self) -> Process {
        let arguments = self.arguments(&["serve"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::with(&arguments, |command| {
            command.env("HOME", self.directory.path()).envs(self.variables.clone());
        });
        process.initialize();
        process
    }
}

impl Run {
    pub(crate) fn err(&self) -> &str {
        &self.err
    }

    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out.trim()
    }

    pub(crate) fn failure(&self) -> &str {
        assert_ne!(self.code, Some(0), "{}", self.out);
        &self.err
    }
}

/// Calls the tool that an honest server has.
fn echo(process: &mut Process, id: u32, text: &str) -> Value {
    let params = json!({ "name": "echo", "arguments": { "text": text } });
    process.request(id, "tools/call", &params)["result"].take()
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

/// Answers calls as `handler` does, and everything else honestly.
fn calls(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> McpSite {
    McpSite::start(move |asked| match asked.method() {
        "tools/call" => handler(asked),
        _ => Reply::Honest,
    })
}

#[test]
fn a_server_with_sessions_is_listed_called_and_left() {
    let site = McpSite::honest();
    let home = Home::new(&site.url(), json!({}));
    let listed: Value = serde_json::from_str(home.run(&["list"]).ok()).unwrap();
    assert_eq!(listed[0]["name"], "echo");
    assert_eq!(home.run(&["call", "echo", "text=hello"]).ok(), "hello");
    let call = &site.asked_for("tools/call")[0];
    assert_eq!(call.line, "POST /mcp");
    assert_eq!(call.field("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(call.field("mcp-session-id"), Some("session-2"));
    assert_eq!(call.field("accept"), Some("application/json, text/event-stream"));
    assert_eq!(call.field("mcp-method"), None);
    assert!(call.field("user-agent").unwrap().starts_with("dadl-mcp/"));
    let introductions = site.asked_for("initialize");
    assert_eq!(introductions[0].field("mcp-session-id"), None);
    assert_eq!(introductions[0].field("mcp-protocol-version"), None);
    let left = site.asked_for("DELETE");
    let left: Vec<_> = left.iter().map(|asked| asked.field("mcp-session-id").unwrap()).collect();
    assert_eq!(left, [SESSION, "session-2"]);
    assert!(home.run(&["search", "say again"]).ok().contains("echo"));
    assert!(home.run(&["show", "echo"]).ok().contains("Says it again."));
    assert!(home.run(&["health", "--json"]).ok().contains("latency_ms"));
    let examined = home.run(&["doctor"]);
    assert!(examined.ok().contains("site 1 speaks MCP 2025-11-25: 1 tools"), "{}", examined.out);
}

/// Speaks the newest revision only; its tool wants its argument in a field, too.
pub(crate) fn stateless(asked: &Asked) -> Reply {
    let id = &asked.message["id"];
    let error = |status: u16, error: Value| {
        let answer = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
        let fields = "Content-Type: application/json\r\n".to_owned();
        Reply::Full(status, fields, answer.into())
    };
    if asked.message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] != "2026-07-28" {
        return error(400, json!({ "code": -32601, "message": "what is that?" }));
    }
    if asked.field("mcp-method") != Some(asked.method()) {
        return error(400, json!({ "code": -32020, "message": "Mcp-Method" }));
    }
    let schema = json!({ "type": "object", "properties": {
        "text": { "type": "string", "x-mcp-header": "Text" },
    } });
    let complete = |result: Value| {
        let mut result = result;
        result["resultType"] = json!("complete");
        Reply::events(&event(asked, &result))
    };
    match asked.method() {
        "server/discover" => complete(discovery()),
        "tools/list" => complete(json!({ "tools": [{ "name": "echo", "inputSchema": schema }] })),
        "tools/call" if asked.field("mcp-name") != Some("echo") => {
            error(400, json!({ "code": -32020, "message": "Mcp-Name" }))
        }
        "tools/call" => complete(text_result(asked.field("mcp-param-text").unwrap_or("none"))),
        _ => error(404, json!({ "code": -32601, "message": "no such method" })),
    }
}

#[test]
fn a_server_without_sessions_is_told_in_fields_what_is_in_a_message() {
    let site = McpSite::start(stateless);
    for protocol in ["auto", "2026-07-28"] {
        let home = Home::new(&site.url(), json!({ "protocol": protocol }));
        assert_eq!(home.run(&["call", "echo", "text=hello"]).ok(), "hello");
        assert_eq!(home.run(&["call", "echo", "text=größe"]).ok(), "=?base64?Z3LDtsOfZQ==?=");
    }
    assert_eq!(site.asked_for("DELETE").len() + site.asked_for("GET").len(), 0);
}

#[test]
fn what_comes_before_the_answer_in_a_stream_reaches_the_host() {
    let site = calls(|asked| {
        let token = &asked.message["params"]["_meta"]["progressToken"];
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": token, "progress": 1, "message": "half way" } });
        let ping = json!({ "jsonrpc": "2.0", "id": "theirs", "method": "ping" });
        let events = format!(
            ": hello\n\nid: 1\ndata:\n\nevent: message\ndata: {progress}\n\ndata: {ping}\n\n{}",
            event(asked, &text_result("done"))
        );
        Reply::events(&events)
    });
    let home = Home::new(&site.url(), json!({}));
    let mut process = home.serve();
    let params = json!({ "name": "echo", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let (told, answer) = process.request_with_notifications(2, "tools/call", &params);
    assert_eq!(text(&answer["result"]), "done");
    assert!(told.iter().any(|it| it["params"]["message"] == "half way"), "{told:?}");
    // What the server asked is answered in a message of its own, and news are asked for.
    assert_eq!(site.wait_for("POST", 1)[0].message["id"], "theirs");
    assert_eq!(site.wait_for("GET", 1)[0].field("accept"), Some("text/event-stream"));
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_lost_session_is_opened_anew_and_the_call_is_done_once() {
    let unknown =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session"}}"#;
    for (status, said) in [(404, ""), (400, unknown)] {
        let done = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&done);
        let site = calls(move |asked| {
            // The server was started again, and knows no session of before.
            if asked.field("mcp-session-id") == Some(SESSION) && asked.count > 1 {
                let fields = "Content-Type: application/json\r\n".to_owned();
                return Reply::Full(status, fields, said.into());
            }
            noted.lock().unwrap().push(asked.message["params"]["arguments"]["text"].to_string());
            Reply::Honest
        });
        let home = Home::new(&site.url(), json!({}));
        let mut process = home.serve();
        for (id, said) in [(2, "a"), (3, "b"), (4, "c")] {
            assert_eq!(text(&echo(&mut process, id, said)), said);
        }
        assert_eq!(process.end(), Some(0));
        assert_eq!(*done.lock().unwrap(), ["\"a\"", "\"b\"", "\"c\""]);
        assert_eq!(site.asked_for("initialize").len(), 2);
        assert_eq!(site.asked_for("DELETE")[0].field("mcp-session-id"), Some("session-2"));
    }
}

#[test]
fn a_server_that_loses_every_session_is_told_of() {
    let site = calls(|_| Reply::status(404, ""));
    let home = Home::new(&site.url(), json!({}));
    let called = home.run(&["call", "echo", "text=a"]);
    assert!(
        called.failure().contains("knows the session no more; nothing was done"),
        "{}",
        called.err
    );
    assert_eq!(site.asked_for("tools/call").len(), 2);
}

#[test]
fn a_stream_that_breaks_off_is_gone_on_with_from_where_it_was() {
    let asked_before = Arc::<Mutex<Option<Asked>>>::default();
    let site = McpSite::start(move |asked| {
        let mut before = asked_before.lock().unwrap();
        match (asked.method(), asked.field("last-event-id")) {
            ("tools/call", _) => {
                *before = Some(asked.clone());
                Reply::cut("retry: 10\nid: e-1\ndata:\n\n")
            }
            // Once more it has nothing.
            ("", Some("e-1")) => Reply::events("id: e-2\ndata:\n\n"),
            ("", Some("e-2")) => {
                Reply::events(&event(before.as_ref().unwrap(), &text_result("at last")))
            }
            _ => Reply::Honest,
        }
    });
    let home = Home::new(&site.url(), json!({}));
    assert_eq!(home.run(&["call", "echo", "text=a"]).ok(), "at last");
    assert_eq!(site.asked_for("tools/call").len(), 1);
}

#[test]
fn an_answer_that_breaks_off_may_have_been_done() {
    for (reply, told) in [
        ("data: {\"jsonrpc\"", "broke its answer off"),
        ("id: 7\nretry: 10\ndata:\n\n", "does not go on with it"),
    ] {
        let site = calls(move |_| Reply::cut(reply));
        let write = json!({ "levels": { "*": "write" }, "access": ["write"] });
        let home = Home::new(&site.url(), write);
        let called = home.run(&["call", "echo", "text=a"]);
        assert!(called.failure().contains(told), "{}", called.err);
        assert!(called.err.contains("may have been done"), "{}", called.err);
        assert_eq!(site.asked_for("tools/call").len(), 1);
    }
}

#[test]
fn what_is_too_large_or_has_no_end_costs_one_call() {
    let huge = |json: bool| {
        move |_: &Asked| {
            let head = if json {
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"id\":\"".to_vec()
            } else {
                stream("data: {\"id\":\"")
            };
            // A chunk of the stream, or a part of the text.
            let piece = if json { vec![b'x'; 1 << 16] } else { chunk(&[b'x'; 1 << 16]) };
            Reply::Endless(head, piece)
        }
    };
    let comments = |_: &Asked| Reply::Endless(stream(""), chunk(b": still here\n\n"));
    let options = json!({ "options": { "max_response_size": "1MB", "timeout": "2s" } });
    type Faulty = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;
    let faults: [(Faulty, &str); 3] = [
        (Box::new(huge(true)), "more than 1048576 bytes"),
        (Box::new(huge(false)), "more than 1048576 bytes"),
        (Box::new(comments), "did not answer within 2 s"),
    ];
    for (fault, told) in faults {
        let site = calls(move |asked| if asked.count == 1 { fault(asked) } else { Reply::Honest });
        let home = Home::new(&site.url(), options.clone());
        let mut process = home.serve();
        let failed = echo(&mut process, 2, "a");
        assert!(text(&failed).contains(told), "{failed}");
        assert_eq!(text(&echo(&mut process, 3, "b")), "b");
        assert_eq!(process.end(), Some(0));
        assert_eq!(site.asked_for("initialize").len(), 1);
    }
}

pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[test]
fn a_call_that_is_given_up_is_given_up_at_the_server() {
    let site = calls(|asked| match asked.count {
        1 => Reply::Endless(stream(""), chunk(b":\n\n")),
        _ => Reply::Honest,
    });
    let home = Home::new(&site.url(), json!({}));
    let mut process = home.serve();
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "echo", "arguments": { "text": "a" } } });
    process.write(format!("{call}\n").as_bytes());
    site.wait_for("tools/call", 1);
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": 2 } });
    process.write(format!("{cancel}\n").as_bytes());
    let told = site.wait_for("notifications/cancelled", 1);
    let id = &site.asked_for("tools/call")[0].message["id"];
    assert_eq!(told[0].message["params"]["requestId"], *id);
    assert_eq!(text(&echo(&mut process, 3, "b")), "b");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_credential_goes_to_the_server_and_comes_back_masked() {
    let site = calls(|asked| Reply::result(asked, text_result(&asked.head)));
    let secret = "the-hub-t0ken-of-the-house";
    let home =
        Home::new(&site.url(), json!({ "api_key_env": "HUB_TOKEN", "headers": { "X-Team": "a" } }))
            .with("HUB_TOKEN", secret);
    let called = home.run(&["call", "echo", "text=a"]);
    assert!(called.ok().contains("x-team: a") && !called.out.contains(secret), "{}", called.out);
    for asked in site.asked() {
        assert_eq!(asked.field("authorization"), Some(format!("Bearer {secret}").as_str()));
    }
    let key = json!({ "auth": {
        "type": "apikey", "credential": "hub_key", "header_name": "X-Key",
    } });
    let home = Home::new(&site.url(), key).with("CREDENTIAL_HUB_KEY", secret);
    assert!(!home.run(&["call", "echo", "text=a"]).ok().contains(secret));
    assert_eq!(site.asked().last().unwrap().field("x-key"), Some(secret));
    let basic = json!({ "auth": {
        "type": "basic", "username_credential": "user", "password_credential": "password",
    } });
    let home = Home::new(&site.url(), basic)
        .with("CREDENTIAL_USER", "ada")
        .with("CREDENTIAL_PASSWORD", "l0ve-and-lace");
    assert!(!home.run(&["call", "echo", "text=a"]).ok().contains("l0ve-and-lace"));
    assert_eq!(
        site.asked().last().unwrap().field("authorization"),
        Some("Basic YWRhOmwwdmUtYW5kLWxhY2U=")
    );
}

#[test]
fn a_refused_credential_says_what_to_do() {
    let site = McpSite::start(|_| Reply::status(401, "WWW-Authenticate: Bearer scope=\"a\"\r\n"));
    let home = Home::new(&site.url(), json!({ "api_key_env": "HUB_TOKEN" }))
        .with("HUB_TOKEN", "some-old-token");
    let listed = home.run(&["list"]);
    assert!(
        listed.err.contains(
            "backend \"hub\" does not accept the credential (HTTP 401): run `dadl-mcp setup hub"
        ),
        "{}",
        listed.err
    );
    assert!(!listed.err.contains("some-old-token"), "{}", listed.err);
    // It is not asked in another way: the answer would be the same.
    assert_eq!(site.asked().len(), 1);
    let without = Home::new(&site.url(), json!({}));
    let listed = without.run(&["list"]);
    assert!(listed.err.contains("the settings name none (HTTP 401)"), "{}", listed.err);
    let missing = Home::new(&site.url(), json!({ "api_key_env": "HUB_TOKEN" }));
    let listed = missing.run(&["list"]);
    assert!(listed.err.contains("HUB_TOKEN"), "{}", listed.err);
    assert_eq!(site.asked().len(), 2);
}

/// A server that takes the newest token alone, and gives one for a password.
fn with_tokens(asked: &Asked) -> Reply {
    if asked.line == "POST /token" {
        assert!(asked.body.contains("grant_type=client_credentials"), "{}", asked.body);
        let token = format!("access-token-number-{}", asked.count);
        let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
        return Reply::message(&answer);
    }
    let newest = if asked.method() == "tools/call" { 2 } else { 1 };
    let is_new = (newest..5).any(|number| {
        asked.field("authorization")
            == Some(format!("Bearer access-token-number-{number}").as_str())
    });
    if is_new { Reply::Honest } else { Reply::status(401, "") }
}

#[test]
fn a_login_gives_a_token_and_another_one_when_that_is_refused() {
    let site = McpSite::start(with_tokens);
    let auth = json!({ "auth": {
        "type": "oauth2", "flow": "client_credentials", "token_url": format!("{}/token", site.origin()),
        "client_id_credential": "hub_id", "client_secret_credential": "hub_secret",
    } });
    let home = Home::new(&site.url(), auth)
        .with("CREDENTIAL_HUB_ID", "client")
        .with("CREDENTIAL_HUB_SECRET", "s3cret-of-the-client");
    assert_eq!(home.run(&["call", "echo", "text=a"]).ok(), "a");
    assert_eq!(site.asked_for("tools/call").len(), 2);
    let tokens = site.asked().into_iter().filter(|asked| asked.line == "POST /token");
    assert_eq!(tokens.count(), 2);
    let examined = home.run(&["doctor"]);
    assert!(
        examined.ok().contains("`client_credentials` gave an access token"),
        "{}",
        examined.out
    );
}

#[test]
fn setup_asks_tries_and_stores() {
    let site = McpSite::start(|asked| match asked.field("authorization") {
        Some("Bearer the-right-hub-token") => Reply::Honest,
        _ => Reply::status(401, ""),
    });
    let auth = json!({ "auth": { "type": "bearer", "credential": "hub_token" } });
    let home = Home::new(&site.url(), auth);
    let give = |token: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(home.arguments(&["setup", "hub"])).env_clear();
        command.env("HOME", home.directory.path()).envs(home.variables.clone());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let line = format!("{token}\n");
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = give("a-wrong-token");
    assert!(code != Some(0) && err.contains("the credentials do not work"), "{err}");
    let (code, err) = give("the-right-hub-token");
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(home.run(&["call", "echo", "text=a"]).ok(), "a");
}

#[test]
fn nothing_goes_to_another_origin() {
    let other = McpSite::honest();
    let location = format!("Location: {}\r\n", other.url());
    let site = McpSite::start(move |_| Reply::status(307, &location));
    let home = Home::new(&site.url(), json!({ "api_key_env": "HUB_TOKEN" }))
        .with("HUB_TOKEN", "t0ken-of-the-hub");
    let listed = home.run(&["list"]);
    assert!(listed.err.contains("redirects to another origin"), "{}", listed.err);
    assert_eq!(other.asked().len(), 0);
    // Within one it is followed.
    let moved = McpSite::start(|asked| match asked.line.as_str() {
        "POST /mcp" => Reply::status(308, "Location: /mcp/\r\n"),
        _ => Reply::Honest,
    });
    let home = Home::new(&moved.url(), json!({}));
    assert_eq!(home.run(&["call", "echo", "text=a"]).ok(), "a");
}

#[test]
fn what_is_no_server_is_told() {
    for (reply, told) in [
        ((404, "Content-Type: text/html\r\n"), "is `url` the whole address of its endpoint?"),
        ((405, ""), "answers HTTP 405 to the first message"),
        ((200, "Content-Type: text/html\r\n"), "answers with \"text/html\""),
        ((200, "Content-Type: application/json\r\n"), "it has no answer to the request"),
        ((500, ""), "answers HTTP 500"),
    ] {
        let site = McpSite::start(move |_| Reply::status(reply.0, reply.1));
        let home = Home::new(&site.url(), json!({}));
        let listed = home.run(&["list"]);
        assert!(listed.err.contains(told), "{}", listed.err);
        assert!(listed.err.contains("backend \"hub\" has no tools"), "{}", listed.err);
    }
    let listed = Home::new("http://127.0.0.1:9/mcp", json!({})).run(&["list"]);
    assert!(listed.err.contains("no connection"), "{}", listed.err);
    let examined = Home::new("http://127.0.0.1:9/mcp", json!({})).run(&["doctor"]);
    assert!(examined.out.contains("cannot be reached"), "{}", examined.out);
}

#[test]
fn a_call_that_cannot_be_done_says_why_and_costs_no_other() {
    let site = calls(|asked| match asked.count {
        1 => Reply::Full(503, "Retry-After: 7\r\n".to_owned(), b"too much to do".to_vec()),
        2 => Reply::Full(
            400,
            String::new(),
            br#"{"error":{"code":-32602,"message":"no, thanks"}}"#.to_vec(),
        ),
        _ => Reply::Honest,
    });
    let home = Home::new(&site.url(), json!({}));
    let mut process = home.serve();
    let busy = echo(&mut process, 2, "a");
    assert!(text(&busy).contains("answers HTTP 503; it said last: too much to do"), "{busy}");
    let refused = echo(&mut process, 3, "a");
    assert!(text(&refused).contains("-32602: no, thanks"), "{refused}");
    assert_eq!(text(&echo(&mut process, 4, "a")), "a");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn an_older_revision_is_spoken_as_it_is() {
    let site = McpSite::start(|asked| match asked.method() {
        // It answers with several messages at once, and gives no session.
        "initialize" => Reply::result(asked, introduction("2025-03-26")),
        "tools/call" => {
            let id = &asked.message["id"];
            let log = json!({ "jsonrpc": "2.0", "method": "notifications/message",
                "params": { "level": "info", "data": "x" } });
            let answer = json!({ "jsonrpc": "2.0", "id": id, "result": text_result("both") });
            Reply::message(&json!([log, answer]))
        }
        _ => Reply::Honest,
    });
    let home = Home::new(&site.url(), json!({}));
    assert_eq!(home.run(&["call", "echo", "text=a"]).ok(), "both");
    let call = &site.asked_for("tools/call")[0];
    assert_eq!(call.field("mcp-protocol-version"), Some("2025-03-26"));
    assert_eq!(site.asked_for("DELETE").len(), 0);
}

#[test]
fn a_mixed_file_of_toolmesh_starts_unchanged() {
    let site = McpSite::honest();
    let dadl = "spec: https://dadl.ai/spec/dadl-spec-v0.1.md\nbackend:\n  name: NAME\n  type: rest\n  base_url: http://127.0.0.1:9/\n  auth: {type: bearer, credential: none}\n  tools:\n    get: {method: GET, path: /x, access: read, description: Gets.}\n";
    let settings = format!(
        r#"
backends:
  - name: deepl
    transport: rest
    dadl: ./deepl.dadl
    url: http://127.0.0.1:9/
    allow_private_file_url: true
  - name: docs
    transport: rest
    dadl: ./docs.dadl
    url: http://127.0.0.1:9/
    file_url_allowed_hosts: [files.example.com, "intranet:8443"]
    allow_private_file_url: true
  - name: github
    transport: http
    url: {}
    api_key_env: GITHUB_TOKEN
    hint: Code
    include_tools: ["e*"]
    expose_tools: [echo]
    file_url_allowed_hosts: [github.com]
    access: [unclassified]
  - name: db
    transport: stdio
    command: '{PROGRAM}'
    args: [simulate, mcp]
    env: {{ DATABASE_URL: "${{DATABASE_URL}}" }}
    include_tools: [add]
    access: [unclassified]
    options: {{ timeout: 30s, streaming_timeout: 1h }}
"#,
        site.url()
    );
    let home = Home::with_file(&settings)
        .with("GITHUB_TOKEN", "the-t0ken-of-github")
        .with("DATABASE_URL", "postgres://localhost/x");
    for name in ["deepl", "docs"] {
        let path = home.directory.path().join(format!("{name}.dadl"));
        std::fs::write(path, dadl.replace("NAME", name)).unwrap();
    }
    let listed = home.run(&["list"]);
    let listed: Value = serde_json::from_str(listed.ok()).unwrap();
    let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["deepl_get", "docs_get", "github_echo", "db_add"]);
    let mut process = home.serve();
    let call = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let echoed = process.request(2, "tools/call", &call("github_echo", json!({ "text": "a" })));
    assert_eq!(text(&echoed["result"]), "a", "{echoed}");
    let sum = process.request(3, "tools/call", &call("db_add", json!({ "a": 1, "b": 2 })));
    assert_eq!(sum["result"]["structuredContent"]["sum"], 3.0, "{sum}");
    assert_eq!(process.end(), Some(0));
    let authorized = site.asked_for("tools/call");
    assert_eq!(authorized[0].field("authorization"), Some("Bearer the-t0ken-of-github"));
}

/// Our own server over HTTP, with the embedded simulator behind it.
struct OwnServer {
    child: Child,
    url: String,
}

impl OwnServer {
    fn start() -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--demo", "--http", "127.0.0.1:0"])
            .env_clear()
            .env("HOME", std::env::temp_dir())
            .env("XDG_CACHE_HOME", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it has ended");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Self { child, url }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn our_own_server_stands_behind_another() {
    let own = OwnServer::start();
    for protocol in ["2025-11-25", "2026-07-28"] {
        let home = Home::new(&own.url, json!({ "protocol": protocol, "tools": ["list_*"] }));
        let listed: Value = serde_json::from_str(home.run(&["list"]).ok()).unwrap();
        assert!(listed.as_array().unwrap().len() > 10, "{listed}");
        let vms = home.run(&["call", "list_vms", "limit=2", "fields=[\"name_label\"]"]);
        let vms: Value = serde_json::from_str(vms.ok()).unwrap();
        assert!(vms.to_string().contains("name_label"), "{vms}");
        let examined = home.run(&["doctor"]);
        let told = format!("dadl-mcp {} speaks MCP {protocol}", env!("CARGO_PKG_VERSION"));
        assert!(examined.ok().contains(&told), "{}", examined.out);
    }
}
