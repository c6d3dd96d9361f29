//! The real binary on real pipes: what is left when a host misbehaves or dies.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// A server process, and the host's ends of its pipes.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts one with the embedded simulator.
    fn start() -> Self {
        Self::with(&["serve", "--demo"], |_| {})
    }

    /// Starts one with these arguments, after `change`; it has no environment but a home.
    pub(crate) fn with(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", std::env::temp_dir())
            // What is known of a server that had the same port would be found there.
            .env("XDG_CACHE_HOME", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn initialized() -> Self {
        let mut process = Self::start();
        process.initialize();
        process
    }

    /// Introduces the host, with the request 1; returns what the server says of itself.
    pub(crate) fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let mut answer = self.request(1, "initialize", &params);
        assert_eq!(answer["result"]["serverInfo"]["name"], "dadl-mcp");
        self.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
        answer["result"].take()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn request(&mut self, id: u32, method: &str, params: &Value) -> Value {
        self.request_with_notifications(id, method, params).1
    }

    /// Makes a request; returns what came before its answer, too.
    pub(crate) fn request_with_notifications(
        &mut self,
        id: u32,
        method: &str,
        params: &Value,
    ) -> (Vec<Value>, Value) {
        let mut before = Vec::new();
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(format!("{message}\n").as_bytes());
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server is gone");
            // Standard output carries protocol and nothing else.
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == id {
                return (before, answer);
            }
            before.push(answer);
        }
    }

    /// Waits for what the server says by itself.
    pub(crate) fn notification(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server is gone");
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message.get("id"), None, "{message}");
        message
    }

    /// Returns the next message, whatever it is.
    pub(crate) fn receive(&mut self) -> Value {
        self.line()
    }

    /// Reads the next message.
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server is gone");
        serde_json::from_str(&line).unwrap()
    }

    /// Makes a request, and gives these results to requests of the server until its answer comes.
    pub(crate) fn request_answering(
        &mut self,
        id: u32,
        method: &str,
        params: &Value,
        mut answer: impl FnMut(&Value) -> Value,
    ) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(format!("{message}\n").as_bytes());
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server is gone");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["method"].is_null() && message["id"] == id {
                return message;
            }
            if !message["method"].is_null() && !message["id"].is_null() {
                let result = answer(&message);
                let reply = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                self.write(format!("{reply}\n").as_bytes());
            }
        }
    }

    fn works(&mut self, id: u32) {
        let params = json!({ "name": "ping", "arguments": {} });
        let answer = self.request(id, "tools/call", &params);
        assert_eq!(answer["result"]["structuredContent"]["result"], "pong", "{answer}");
    }

    /// Sends the process a signal, and waits for its end.
    #[cfg(unix)]
    pub(crate) fn signal(mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    /// Closes the input and returns the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.input = None;
        self.child.wait().unwrap().code()
    }

    /// The most memory that the process has held, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[test]
fn a_host_that_closes_its_end_ends_the_server() {
    let mut process = Process::initialized();
    process.works(2);
    assert_eq!(process.end(), Some(0));
    assert_eq!(Process::start().end(), Some(0));
}

#[test]
fn half_a_message_at_the_end_is_dropped() {
    let mut process = Process::initialized();
    process.write(b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/ca");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn noise_and_a_line_of_100_megabytes_cost_neither_session_nor_memory() {
    let mut process = Process::initialized();
    let noise: Vec<u8> = (0..=255_u8).cycle().take(1 << 16).collect();
    process.write(&noise);
    process.write(b"\n");
    process.works(2);
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        process.write(&chunk);
    }
    process.write(b"\n");
    process.works(3);
    #[cfg(target_os = "linux")]
    assert!(process.peak_memory() < 100 * 1024, "{} KiB", process.peak_memory());
    assert_eq!(process.end(), Some(0));
}

#[test]
fn what_the_demo_refuses_has_a_way_that_works_there() {
    let mut process = Process::initialized();
    let vms = json!({ "name": "list_vms", "arguments": { "limit": 1 } });
    let vms = process.request(2, "tools/call", &vms);
    let id = vms["result"]["structuredContent"]["result"][0]["id"].clone();
    let call = json!({ "name": "delete_vm", "arguments": { "uuid": id } });
    let answer = process.request(3, "tools/call", &call);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("`dadl-mcp serve --demo`"), "{text}");
    assert!(text.contains("`dadl-mcp call delete_vm .. --demo`"), "{text}");
    assert!(!text.contains("backends.yaml") && !text.contains("confirm: never"), "{text}");
}

#[test]
fn a_refused_call_names_a_command_that_reaches_the_same_backend() {
    let flags =
        ["--dadl", "xen-orchestra", "--url", "http://127.0.0.1:9/rest/v0", "--access", "all"];
    let mut process = Process::with(&[&["serve"], &flags[..]].concat(), |command| {
        command.env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "t");
    });
    process.initialize();
    let call = json!({ "name": "delete_vm", "arguments": { "uuid": "a" } });
    let answer = process.request(2, "tools/call", &call);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    let command = text.split('`').nth(1).unwrap();
    assert!(!text.contains("backends.yaml"), "{text}");
    // Pasted, it leads to the same question.
    let words = command.strip_prefix("dadl-mcp ").unwrap().replace("..", "uuid=a");
    let words: Vec<&str> = words.split(' ').collect();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(&words)
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "t")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it is dangerous, and there is no terminal to ask on"), "{said}");
}
