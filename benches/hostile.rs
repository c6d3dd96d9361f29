//! Answers in bad faith: a few kilobytes of gzip that are as large as an answer may be, and whose trees
//! would be a hundred times larger. Several callers ask for them at once, while another session pings.
//!
//! `cargo bench --bench hostile` prints for each shape and tool the peak memory of the server above idle
//! (`VmHWM`) beside its bound (`max_memory` and three times `max_response_size`), how long pings took, and
//! how the calls ended. `DADL_BENCH_MIB` is the size of an answer (60), `DADL_BENCH_CALLERS` how many ask
//! at once (8), `DADL_BENCH_SHAPES` names some of the shapes (`line,event`), and `DADL_BENCH_PROGRAM` is a
//! program that was built otherwise.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// `max_memory` and three times `max_response_size`, by default, in KiB.
const BOUND: u64 = (256 + 3 * 64) * 1024;

const CREDENTIAL: &str = "s3cr3t-4-hostile";

const TOOLS: &str = r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
requires: { features: [redact] }
backend:
  name: hostile
  type: rest
  description: "In bad faith"
  auth: { type: bearer, credential: hostile }
  defaults: { errors: { message_path: "$.error" } }
  tools:
    plain: { method: GET, path: "/{shape}", access: read, description: "Plain.", params: { shape: { type: string, in: path, required: true } } }
    redacted: { method: GET, path: "/{shape}", access: read, description: "Redacted.", params: { shape: { type: string, in: path, required: true } }, response: { redact: ["$[*].password", "$..token"] } }
    selected: { method: GET, path: "/{shape}", access: read, description: "Selected.", params: { shape: { type: string, in: path, required: true } }, response: { result_path: "$..*..*..*", max_items: 10 } }
    first: { method: GET, path: "/{shape}", access: read, description: "First.", params: { shape: { type: string, in: path, required: true } }, response: { result_path: "$[*]", max_items: 10 } }
"#;

fn shape(name: &str, size: usize) -> (&'static str, Vec<u8>) {
    let row =
        |item: &str| format!("[{}{item}]", format!("{item},").repeat(size / (item.len() + 1)));
    let json = "application/json";
    let (content_type, body) = match name {
        "arrays" => (json, row("[]")),
        "objects" => (json, row(r#"{"":{}}"#)),
        "numbers" => (json, row("0")),
        "nested" => (json, row(&("[".repeat(100) + &"]".repeat(100)))),
        "deep" => (json, "[".repeat(size / 2) + &"]".repeat(size / 2)),
        "members" => {
            let members = (0..size / 13).map(|number| format!("\"k{number:07}\":0"));
            (json, format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
        }
        "escapes" => (json, format!("[\"{}\"]", "\\u0061".repeat(size / 6))),
        "lines" => ("application/x-ndjson", "[[]]\n".repeat(size / 5)),
        "line" => ("application/x-ndjson", row("[]")),
        "passwords" => (json, row(r#"{"password":0}"#)),
        // What is looked through object by object on the way to the list.
        "far" => (json, format!("{}{}{}", r#"{"a":"#.repeat(7), row("[]"), "}".repeat(7))),
        // A server knows the credential.
        "secrets" => (json, row(&format!("\"{CREDENTIAL}\""))),
        // As a JSON string it is six times as long.
        "event" => ("text/event-stream", format!("data: {}\n\n", "\x01".repeat(size))),
        // In UTF-8 these are three times as long.
        "charset" => return ("text/plain; charset=windows-1252", b"\x80".repeat(size)),
        "garbage" => {
            let body = [&b"data: "[..], &b"\xFF".repeat(size), b"\n\n"].concat();
            return ("text/event-stream", body);
        }
        other => panic!("{other}"),
    };
    (content_type, body.into_bytes())
}

const SHAPES: [&str; 15] = [
    "arrays",
    "objects",
    "numbers",
    "nested",
    "deep",
    "members",
    "escapes",
    "lines",
    "line",
    "passwords",
    "far",
    "secrets",
    "event",
    "charset",
    "garbage",
];

/// Returns the shapes that are asked for.
fn wanted() -> Vec<&'static str> {
    let named = std::env::var("DADL_BENCH_SHAPES").unwrap_or_default();
    let is_named = |shape: &str| named.is_empty() || named.split(',').any(|name| name == shape);
    SHAPES.into_iter().filter(|shape| is_named(shape)).collect()
}

/// Answers each request with the shape that its path names.
fn upstream(size: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: BTreeMap<&str, Vec<u8>> = wanted()
        .into_iter()
        .map(|name| {
            let (content_type, body) = shape(name, size);
            let mut packer =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packer.write_all(&body).unwrap();
            let packed = packer.finish().unwrap();
            println!("{name}: {} KiB of gzip are {} MiB", packed.len() / 1024, body.len() >> 20);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Encoding: gzip\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                packed.len()
            );
            (name, [head.as_bytes(), &packed].concat())
        })
        .collect();
    let answers = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answers) = (stream.unwrap(), Arc::clone(&answers));
            std::thread::spawn(move || {
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let _ = reader.read_line(&mut head);
                let mut line = String::from("-");
                while line.trim() != "" {
                    line.clear();
                    let _ = reader.read_line(&mut line);
                }
                let path = head.split(' ').nth(1).unwrap_or_default();
                if let Some(answer) = answers.get(path.trim_start_matches('/')) {
                    let _ = stream.write_all(answer);
                }
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read(&mut [0]);
            });
        }
    });
    url
}

/// A client of 2025-11-25.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    session: String,
}

impl Client {
    async fn new(http: &reqwest::Client, base: &str) -> Self {
        let mut client = Self { http: http.clone(), base: base.to_owned(), session: String::new() };
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "hostile", "version": "1" },
        });
        let (session, _) = client.post("initialize", hello).await.unwrap();
        client.session = session.unwrap();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        client.send(&ready).await.unwrap();
        client
    }

    async fn send(&self, message: &Value) -> reqwest::Result<reqwest::Response> {
        let mut request = self
            .http
            .post(format!("{}/mcp", self.base))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if !self.session.is_empty() {
            request = request
                .header("mcp-session-id", &self.session)
                .header("mcp-protocol-version", "2025-11-25");
        }
        request.body(message.to_string()).send().await
    }

    async fn post(
        &self,
        method: &str,
        parameters: Value,
    ) -> reqwest::Result<(Option<String>, Value)> {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let answer = self.send(&message).await?;
        let session = answer.headers().get("mcp-session-id");
        let session = session.map(|id| id.to_str().unwrap().to_owned());
        let text = answer.text().await?;
        let lines = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
        let mut found = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = found.rfind(|message| message["id"] == 1);
        Ok((session, found.unwrap_or_default()))
    }

    /// Calls a tool and says in few words how that ended.
    async fn call(&self, tool: &str, shape: &str) -> String {
        let parameters = json!({ "name": tool, "arguments": { "shape": shape } });
        match self.post("tools/call", parameters).await {
            Err(error) => format!("{error:?}").chars().take(200).collect(),
            Ok((_, answer)) if answer["result"]["isError"] == false => "a result".to_owned(),
            Ok((_, answer)) => {
                let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
                text.chars().take(150).collect()
            }
        }
    }
}

/// The server under test.
struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(home: &Path, url: &str) -> Self {
        let file = home.join("hostile.dadl");
        std::fs::write(&file, TOOLS).unwrap();
        let program = std::env::var("DADL_BENCH_PROGRAM");
        let mut child = Command::new(program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_dadl-mcp")))
            .args(["serve", "--http", "127.0.0.1:0", "--url", url, "--dadl"])
            .arg(&file)
            .arg("--files")
            .arg(home.join("files"))
            .env("HOME", home)
            .env("CREDENTIAL_HOSTILE", CREDENTIAL)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let base = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server did not start");
            if let Some((_, url)) = line.trim().split_once("listening on ") {
                break url.trim_end_matches("/mcp").to_owned();
            }
        };
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Self { child, base }
    }

    /// Returns a line of the status of the process, in KiB.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Begins another peak.
    fn reset(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::main]
async fn main() {
    let size = variable("DADL_BENCH_MIB", 60) << 20;
    let callers = variable("DADL_BENCH_CALLERS", 8);
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path(), &upstream(size));
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let pinger = Client::new(&http, &server.base).await;
    let mut clients = Vec::new();
    for _ in 0..callers {
        clients.push(Client::new(&http, &server.base).await);
    }
    let idle = server.memory("VmRSS");
    println!("idle: {} MiB; bound above it: {} MiB", idle / 1024, BOUND / 1024);
    for shape in wanted() {
        for tool in ["plain", "redacted", "selected", "first"] {
            server.reset();
            let done = Arc::new(AtomicBool::new(false));
            let pings = tokio::spawn({
                let (pinger, done) = (pinger.clone(), Arc::clone(&done));
                async move {
                    let mut times = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let began = Instant::now();
                        let (_, answer) = pinger.post("ping", json!({})).await.unwrap();
                        assert!(answer["result"].is_object(), "{answer}");
                        times.push(began.elapsed());
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    times.sort_unstable();
                    times
                }
            });
            let began = Instant::now();
            let calls = clients.iter().cloned();
            let calls: Vec<_> = calls
                .map(|client| tokio::spawn(async move { client.call(tool, shape).await }))
                .collect();
            let mut ends: BTreeMap<String, usize> = BTreeMap::new();
            for call in calls {
                *ends.entry(call.await.unwrap()).or_default() += 1;
            }
            done.store(true, Ordering::Relaxed);
            let times = pings.await.unwrap();
            let peak = server.memory("VmHWM").saturating_sub(idle);
            println!(
                "{shape}, {tool}: {:.1} s, peak {} MiB ({}), pings {}: median {:.1} ms, slowest {:.1} ms",
                began.elapsed().as_secs_f64(),
                peak / 1024,
                if peak <= BOUND { "within" } else { "BEYOND" },
                times.len(),
                times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0,
                times.last().copied().unwrap_or_default().as_secs_f64() * 1000.0,
            );
            for (end, count) in ends {
                println!("    {count} x {end}");
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("3 s later: {} MiB", server.memory("VmRSS") / 1024);
}
