//! What sessions hold, as the system counts it: the server is a process of its own.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::ChildStderr,
};

use crate::mcp_http::Reply;

/// The greatest number of sessions.
const SESSIONS: usize = 500;
/// All of them together take less than this, in KB. A session holds about 130 KB in a build for
/// tests, its tasks and buffers included; one introduction that was kept whole could take 500 MB.
const MOST_GROWTH: u64 = 128 * 1024;

/// The memory of a process that is in use, in KB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Introductions of all shapes, of about this size.
fn introductions(size: usize) -> Vec<String> {
    let text = "x".repeat(size);
    let values: Vec<Value> = (0..size / 2).map(|number| json!(number % 10)).collect();
    let named: serde_json::Map<String, Value> =
        (0..size / 12).map(|number| (format!("{number:06}"), json!({}))).collect();
    let deep = (0..size.min(600) / 6).fold(json!(1), |inner, _| json!({ "in": inner }));
    let client = |key: &str, value: &str| {
        let mut client = json!({ "name": "test", "version": "1" });
        client[key] = json!(value);
        client
    };
    let shapes = [
        (json!({ "experimental": { "x": { "y": text } } }), client("name", "test")),
        (json!({ "experimental": { "x": { "y": values } } }), client("name", "test")),
        (json!({ "experimental": named }), client("name", "test")),
        (json!({ "experimental": { "x": deep } }), client("name", "test")),
        (json!({ "unknown": { "x": text } }), client("name", "test")),
        (json!({}), client("name", &text)),
        (json!({}), client("title", &text)),
        (json!({}), client("version", &text)),
    ];
    let message = |(capabilities, client): (Value, Value)| {
        json!({
            "jsonrpc": "2.0", "id": "i".repeat(size.min(4_000)), "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": capabilities,
                "clientInfo": client,
            },
        })
        .to_string()
    };
    shapes.into_iter().map(message).collect()
}

/// Opens a session, and returns its id, unless the message is too large.
async fn open(address: &str, message: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: \
         application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        message.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(message.as_bytes()).await.unwrap();
    let mut reply = Reply::read(stream).await;
    if reply.field("content-type").as_deref() != Some("text/event-stream") {
        return None;
    }
    let session = reply.field("mcp-session-id");
    assert_eq!(reply.event().await["result"]["serverInfo"]["name"], "dadl-mcp");
    session
}

/// Finds the largest introduction of each shape that is read.
async fn largest(address: &str) -> Vec<String> {
    let mut sizes = (1..=40).rev().map(|step| introductions(step * 1_500));
    let mut found: Vec<Option<String>> = vec![None; introductions(0).len()];
    while let (true, Some(messages)) = (found.contains(&None), sizes.next()) {
        for (found, message) in found.iter_mut().zip(messages) {
            if found.is_none() && open(address, &message).await.is_some() {
                *found = Some(message);
            }
        }
    }
    found.into_iter().map(Option::unwrap).collect()
}

/// Asks a session whether it is there.
async fn ping(address: &str, session: &str) -> u16 {
    let message = json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }).to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: \
         application/json, text/event-stream\r\nMcp-Session-Id: {session}\r\nContent-Length: \
         {}\r\n\r\n{message}",
        message.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    Reply::read(stream).await.status
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "the memory of a process is read from /proc")]
async fn all_sessions_with_the_largest_introductions_take_little() {
    let served = Served::demo().await;
    let (server, address) = (&served.server, served.address.as_str());
    // What the first ones need once is not what a session holds.
    let introductions = largest(address).await;
    let before = resident(server.id());
    let mut sessions = Vec::new();
    for message in introductions.iter().cycle().take(SESSIONS) {
        sessions.push(open(address, message).await.unwrap());
    }
    let after = resident(server.id());
    // They are all there, the first one as well.
    for session in sessions.iter().step_by(SESSIONS / 10) {
        assert_eq!(ping(address, session).await, 200);
    }
    let grown = after.saturating_sub(before);
    assert!(grown < MOST_GROWTH, "{SESSIONS} sessions take {grown} KB on top of {before} KB");
}

/// A server of the demo, a process that ends with the test.
pub(crate) struct Served {
    pub(crate) server: Ended,
    pub(crate) address: String,
    /// What it says is read for as long as it runs.
    _log: Lines<BufReader<ChildStderr>>,
    _home: tempfile::TempDir,
}

impl Served {
    pub(crate) async fn demo() -> Self {
        let home = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(["serve", "--demo", "--http", "127.0.0.1:0"])
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Ended(child);
        let log = ChildStderr::from_std(server.0.stderr.take().unwrap()).unwrap();
        let mut log = BufReader::new(log).lines();
        let address = loop {
            let line = log.next_line().await.unwrap().expect("it ended");
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        Self { server, address, _log: log, _home: home }
    }
}

/// A process that ends with the test.
pub(crate) struct Ended(std::process::Child);

impl Ended {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
