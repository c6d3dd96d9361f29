//! A start that was made before tells hosts the same without loading anything, and whatever has changed since
//! is found out before it counts.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
};

use dadl_text::text::text_fingerprint;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    mcp_support::with_meta,
    process::Process,
    upstream::{Answer, Upstream},
};

const KNOWN: &str = "this start is known";
const LOADED: &str = "the descriptors are loaded";

/// A home with a descriptor.
struct Home {
    folder: TempDir,
    url: String,
}

impl Home {
    fn new(url: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), url: url.to_owned() };
        home.descriptor(&["a"]);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn descriptor(&self, tools: &[&str]) {
        let tool = |tool: &&str| {
            format!(
                "    {tool}: {{method: GET, path: /{tool}, access: read, description: Shows it.}}\n"
            )
        };
        let tools: String = tools.iter().map(tool).collect();
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: api\n  type: rest\n  \
             description: A fake.\n  auth: {{type: bearer, credential: token}}\n  colour: red\n  \
             tools:\n{tools}"
        );
        fs::write(self.path("api.dadl"), text).unwrap();
    }

    fn command(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("CREDENTIAL_TOKEN", "a-long-secret-token")
            .env("DADL_MCP_LOG", "dadl_mcp=debug")
            .stderr(File::create(self.path("log")).unwrap());
    }

    fn start(&self) -> Process {
        self.start_with(&["--dadl", "./api.dadl", "--url", &self.url])
    }

    fn start_with(&self, more: &[&str]) -> Process {
        let all: Vec<&str> = ["serve"].into_iter().chain(more.iter().copied()).collect();
        Process::with(&all, |command| self.command(command))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn has_logged(&self, words: &str) -> bool {
        self.log().contains(words)
    }

    /// Makes the start known.
    fn begin(&self) -> Told {
        let mut host = self.start();
        let told = Told::by(&mut host);
        assert!(!self.has_logged(KNOWN));
        assert_eq!(host.end(), Some(0));
        told
    }

    /// Returns the one note.
    fn note(&self) -> PathBuf {
        let files = fs::read_dir(self.path("cache/dadl-mcp/starts")).unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|it| it == "json")).unwrap()
    }
}

/// What a host is told before it calls anything.
#[derive(Debug, PartialEq)]
struct Told {
    info: Value,
    lists: Vec<Value>,
}

impl Told {
    fn by(host: &mut Process) -> Self {
        let info = host.initialize();
        let asked = ["tools/list", "prompts/list", "resources/templates/list"];
        let ask = |(id, method)| host.request(id, method, &json!({}));
        Self { info, lists: (10..).zip(asked).map(ask).collect() }
    }
}

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap());
    names.filter(|name| *name != "read_result").collect()
}

fn list(host: &mut Process, id: u32) -> Value {
    host.request(id, "tools/list", &json!({}))
}

fn call(host: &mut Process, id: u32) -> Value {
    host.request(id, "tools/call", &json!({ "name": "a", "arguments": {} }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_start_tells_the_same_and_loads_for_the_first_call() {
    let upstream = Upstream::start(vec![Answer::json(200, "{\"b\":1}")]).await;
    let home = Home::new(&upstream.url());
    let told = home.begin();
    assert_eq!(names(&told.lists[0]), ["a"]);
    let mut host = home.start();
    assert_eq!(Told::by(&mut host), told);
    assert!(home.has_logged(KNOWN) && !home.has_logged(LOADED), "{}", home.log());
    let wrong = json!({ "cursor": "x" });
    assert_eq!(host.request(20, "tools/list", &wrong)["error"]["code"], -32602);
    let answer = call(&mut host, 21);
    assert_eq!(answer["result"]["structuredContent"], json!({ "b": 1 }), "{answer}");
    assert!(home.has_logged(LOADED));
    assert_eq!(
        Told { info: told.info.clone(), lists: vec![list(&mut host, 10)] }.lists[0],
        told.lists[0]
    );
    assert_eq!(host.end(), Some(0));
    // What the operator is told is told each time, and once.
    for _ in 0..2 {
        let log = home.log();
        assert_eq!(log.matches("`colour`").count(), 1, "{log}");
        let mut host = home.start();
        host.initialize();
        assert!(home.has_logged(KNOWN));
        assert_eq!(host.end(), Some(0));
    }
}

#[test]
#[cfg(unix)]
fn a_start_that_is_killed_after_its_list_is_known() {
    let home = Home::new("http://127.0.0.1:9");
    let mut host = home.start();
    let told = Told::by(&mut host);
    host.signal("KILL");
    let mut host = home.start();
    assert_eq!(Told::by(&mut host), told);
    assert!(home.has_logged(KNOWN));
    assert_eq!(host.end(), Some(0));
}

#[test]
fn what_has_changed_is_loaded_and_checked() {
    let home = Home::new("http://127.0.0.1:9");
    home.begin();
    home.descriptor(&["a", "b"]);
    let mut host = home.start();
    assert_eq!(names(&Told::by(&mut host).lists[0]), ["a", "b"]);
    assert!(!home.has_logged(KNOWN));
    assert_eq!(host.end(), Some(0));
    // Other settings and other flags are another start.
    for (more, first) in
        [(["--access", "write"], "--access"), (["--surface", "compact"], "api_search")]
    {
        let known = ["--dadl", "./api.dadl", "--url", "http://127.0.0.1:9"];
        let all: Vec<&str> = known.iter().chain(&more).copied().collect();
        let mut host = home.start_with(&all);
        host.initialize();
        let tools = list(&mut host, 2);
        assert!(!home.has_logged(KNOWN) && (first == "--access" || names(&tools)[0] == first));
        assert_eq!(host.end(), Some(0));
    }
    // A mistake fails the start, however often it is made.
    fs::write(home.path("api.dadl"), "backend: [").unwrap();
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(["serve", "--dadl", "./api.dadl", "--url", "http://127.0.0.1:9"]).env_clear();
        home.command(&mut command);
        assert!(!command.stdin(Stdio::null()).status().unwrap().success());
        assert!(home.has_logged("api.dadl:1"), "{}", home.log());
    }
}

#[test]
fn a_file_that_changes_before_the_first_call_is_served_and_told() {
    let home = Home::new("http://127.0.0.1:9");
    home.begin();
    let mut host = home.start();
    assert_eq!(names(&Told::by(&mut host).lists[0]), ["a"]);
    home.descriptor(&["a", "b"]);
    assert_eq!(host.notification()["method"], "notifications/tools/list_changed");
    assert_eq!(names(&list(&mut host, 3)), ["a", "b"]);
    assert_eq!(host.end(), Some(0));
    // That is what is known now.
    let mut host = home.start();
    assert_eq!(names(&Told::by(&mut host).lists[0]), ["a", "b"]);
    assert!(home.has_logged(KNOWN));
    assert_eq!(host.end(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_before_the_first_call_is_named_until_it_is_mended() {
    let upstream = Upstream::start(vec![Answer::json(200, "{\"b\":1}")]).await;
    let home = Home::new(&upstream.url());
    home.begin();
    let mut host = home.start_with(&["--dadl", "./api.dadl", "--url", &home.url, "--no-watch"]);
    host.initialize();
    assert!(home.has_logged(KNOWN));
    let key = format!("\u{1b}[31m{}", "k".repeat(20_000));
    let broken = format!("spec: 1\n\"{}\": [\n", key.escape_default());
    fs::write(home.path("api.dadl"), broken).unwrap();
    for id in [3, 4] {
        let answer = call(&mut host, id);
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(answer["result"]["isError"] == true && text.contains("api.dadl:"), "{answer}");
        assert!(text.len() < 5000 && !text.contains(['\u{1b}', '\n']), "{text}");
        let answer = host.request(id + 10, "resources/list", &json!({}));
        assert!(answer["error"]["message"].as_str().unwrap().contains("api.dadl:"), "{answer}");
    }
    home.descriptor(&["a"]);
    let answer = call(&mut host, 5);
    assert_eq!(answer["result"]["structuredContent"], json!({ "b": 1 }), "{answer}");
    assert_eq!(host.end(), Some(0));
}

#[test]
fn what_is_told_lets_nothing_through() {
    let home = Home::new("http://127.0.0.1:9");
    home.begin();
    let text = fs::read_to_string(home.note()).unwrap();
    let (head, tools) = text.split_once('\n').unwrap();
    // Another list than that of the descriptor, by one who can write our files.
    let forged = tools.replace("\"name\":\"a\"", "\"name\":\"z\"");
    let head = head.replace(&text_fingerprint(tools), &text_fingerprint(&forged));
    fs::write(home.note(), format!("{head}\n{forged}")).unwrap();
    let mut host = home.start();
    host.initialize();
    assert_eq!(names(&list(&mut host, 2)), ["z"]);
    let wrong = json!({ "name": "z", "arguments": {} });
    let (before, answer) = host.request_with_notifications(3, "tools/call", &wrong);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let told = before.first().cloned().unwrap_or_else(|| host.notification());
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(names(&list(&mut host, 4)), ["a"]);
    assert_eq!(host.end(), Some(0));
    // What is damaged is loaded.
    fs::write(home.note(), format!("{head}\n{}", tools.replace('a', "b"))).unwrap();
    let mut host = home.start();
    host.initialize();
    assert_eq!(names(&list(&mut host, 2)), ["a"]);
    assert!(!home.has_logged(KNOWN));
    assert_eq!(host.end(), Some(0));
}

#[test]
fn a_secret_in_what_hosts_are_told_is_not_kept() {
    let home = Home::new("http://127.0.0.1:9");
    let backend = json!({
        "name": "api", "dadl": "./api.dadl", "url": "http://127.0.0.1:9",
        "hint": "The token is a-long-secret-token.",
    });
    fs::write(home.path("backends.yaml"), json!({ "backends": [backend] }).to_string()).unwrap();
    for _ in 0..2 {
        let mut host = home.start_with(&["--config", "backends.yaml"]);
        let told = host.initialize();
        assert!(!told.to_string().contains("a-long-secret"), "{told}");
        assert!(!home.has_logged(KNOWN));
        assert_eq!(host.end(), Some(0));
    }
}

#[test]
fn what_can_be_subscribed_to_is_known_before_it_is_answered() {
    let home = Home::new("http://127.0.0.1:9/rest/v0");
    let flags = ["--dadl", "xen-orchestra", "--url", &home.url];
    for is_known in [false, true] {
        let mut host = home.start_with(&flags);
        let answer = host.request(1, "server/discover", &with_meta(json!({})));
        assert_eq!(answer["result"]["capabilities"]["resources"]["subscribe"], true, "{answer}");
        assert_eq!(home.has_logged(KNOWN), is_known);
        assert!(!home.has_logged(LOADED));
        let wanted = json!({ "resourceSubscriptions": ["xo://VM/1"], "toolsListChanged": true });
        let params = with_meta(json!({ "notifications": wanted }));
        let listen = json!({ "jsonrpc": "2.0", "id": 2, "method": "subscriptions/listen", "params": params });
        host.write(format!("{listen}\n").as_bytes());
        let told = host.notification();
        assert_eq!(told["method"], "notifications/subscriptions/acknowledged", "{told}");
        assert_eq!(told["params"]["notifications"], wanted, "{told}");
        host.end();
    }
}
