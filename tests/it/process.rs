//! The real binary on real pipes: what is left when a host misbehaves or dies.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
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
    /// One with the embedded simulator.
    fn demo() -> Command {
        let mut command = Self::command(&std::env::temp_dir());
        command.arg("--demo");
        command
    }

    /// The command that serves, in a home and with nothing else.
    pub(crate) fn command(home: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.arg("serve").current_dir(home).env_clear().env("HOME", home);
        command
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Starts it, and says hello; returns what it answers.
    pub(crate) fn greeted(command: &mut Command) -> (Self, Value) {
        let mut process = Self::start(command);
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = process.request(1, "initialize", &params);
        assert_eq!(answer["result"]["serverInfo"]["name"], "dadl-mcp");
        process.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
        (process, answer["result"].clone())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Sends a request, and waits for its answer.
    pub(crate) fn request(&mut self, id: u32, method: &str, params: &Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(format!("{message}\n").as_bytes());
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the server is gone");
            // Standard output carries protocol and nothing else.
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == id {
                return answer;
            }
        }
    }

    fn works(&mut self, id: u32) {
        let params = json!({ "name": "ping", "arguments": {} });
        let answer = self.request(id, "tools/call", &params);
        assert_eq!(answer["result"]["structuredContent"]["result"], "pong", "{answer}");
    }

    /// Closes the input and returns the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.input = None;
        self.child.wait().unwrap().code()
    }

    /// The most memory that the process has held, in KiB.
    #[cfg(target_os = "linux")]
    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[test]
fn a_host_that_closes_its_end_ends_the_server() {
    let (mut process, _) = Process::greeted(&mut Process::demo());
    process.works(2);
    assert_eq!(process.end(), Some(0));
    assert_eq!(Process::start(&mut Process::demo()).end(), Some(0));
}

#[test]
fn half_a_message_at_the_end_is_dropped() {
    let (mut process, _) = Process::greeted(&mut Process::demo());
    process.write(b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/ca");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn noise_and_a_line_of_100_megabytes_cost_neither_session_nor_memory() {
    let (mut process, _) = Process::greeted(&mut Process::demo());
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
