//! Many sessions at once for a long time: each has a task that it waits for, an export and a stream
//! of events, again and again, while another client makes short calls.
//!
//! `cargo bench --bench soak` takes a minute; `DADL_BENCH_SECONDS=600` takes ten, and
//! `DADL_BENCH_SESSIONS` is their number (200). Half of the clients have sessions (2025-11-25), the
//! others none (2026-07-28). `DADL_BENCH_PROGRAM` is a program that was built otherwise. It prints the memory of
//! the server (`VmRSS`) each minute, the time of short calls before and during the load, and every kind of
//! error.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};

const MIB: u64 = 1024 * 1024;

/// What happened so far.
#[derive(Default)]
struct Tally {
    tasks: AtomicU64,
    exports: AtomicU64,
    streams: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    fn add(&self, counter: &AtomicU64, result: Result<Value, String>) {
        match result {
            Ok(_) => {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let error = error.chars().take(300).collect();
                *self.errors.lock().unwrap().entry(error).or_default() += 1;
            }
        }
    }
}

/// A client of the server.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    session: Option<String>,
    next: Arc<AtomicU64>,
}

impl Client {
    /// A client of 2026-07-28, which has no session.
    fn stateless(http: &reqwest::Client, base: &str) -> Self {
        let (http, base) = (http.clone(), base.to_owned());
        Self { http, base, session: None, next: Arc::default() }
    }

    /// A client of 2025-11-25.
    async fn with_session(http: &reqwest::Client, base: &str) -> Self {
        let client = Self::stateless(http, base);
        let hello = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": { "name": "soak", "version": "1" },
            },
        });
        let answer = client.post(&hello, &[]).await.unwrap();
        let session = answer.headers().get("mcp-session-id").unwrap().to_str().unwrap().to_owned();
        answer.bytes().await.unwrap();
        let client = Self { session: Some(session), ..client };
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        client.post(&ready, &[]).await.unwrap();
        client
    }

    async fn post(
        &self,
        message: &Value,
        fields: &[(&str, &str)],
    ) -> Result<reqwest::Response, String> {
        let mut request = self
            .http
            .post(format!("{}/mcp", self.base))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", "2025-11-25");
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let answer = request.body(message.to_string()).send().await;
        answer.map_err(|error| format!("HTTP: {error:?}"))
    }

    /// Calls a tool and returns its result; an error result is an error.
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut parameters = json!({ "name": tool, "arguments": arguments });
        let mut fields = Vec::new();
        if self.session.is_none() {
            parameters["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "soak", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            fields.extend([
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", tool),
            ]);
        }
        let message = json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": parameters,
        });
        let answer = self.post(&message, &fields).await?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("{tool}: {error:?}"))?;
        // The answer is the message with this id, alone or among events.
        let messages = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
        let answer = messages
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|message| message["id"] == id)
            .ok_or_else(|| format!("{tool}: HTTP {status} without an answer: {text:.200}"))?;
        if answer["result"]["isError"] == false {
            return Ok(answer["result"].clone());
        }
        Err(format!("{tool}: {answer:.300}"))
    }
}

/// The server under test.
struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(simulator: &XenOrchestra, home: &std::path::Path) -> Self {
        let program = std::env::var("DADL_BENCH_PROGRAM");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_dadl-mcp"));
        let mut command = Command::new(program);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--access", "read,write"])
            .args(["--dadl", "xen-orchestra", "--url", &simulator.url()])
            .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", simulator.token())
            .env("HOME", home)
            .arg("--files")
            .arg(home.join("files"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let base = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server did not start");
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                break url.trim_end_matches("/mcp").to_owned();
            }
        };
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                println!("server: {line}");
            }
        });
        Self { child, base }
    }

    /// Returns the time of processors that it has taken, in seconds; threads that have ended count.
    fn processor(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // `utime` and `stime`, in ticks of which every Linux has a hundred a second.
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Returns the resident memory in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Makes short calls, ten a second, until `end`.
async fn short_calls(client: &Client, vm: &str, end: Instant) -> (Vec<Duration>, Vec<String>) {
    let (mut times, mut errors) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        let started = Instant::now();
        match client.call("get_vm", json!({ "uuid": vm })).await {
            Ok(_) => times.push(started.elapsed()),
            Err(error) => errors.push(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (times, errors)
}

/// The three things that a session does at once.
async fn session(client: Client, vm: String, storage: String, tally: Arc<Tally>, end: Instant) {
    let tasks = async {
        while Instant::now() < end {
            let result = client.call("scan_sr", json!({ "uuid": storage })).await;
            tally.add(&tally.tasks, result);
        }
    };
    let exports = async {
        while Instant::now() < end {
            let result = client.call("export_vm_xva", json!({ "uuid": vm })).await;
            if let Ok(result) = &result
                && let Some(url) = result["structuredContent"]["url"].as_str()
            {
                let url = format!("{}{url}", client.base);
                let deleted = client.http.delete(url).send().await;
                assert!(deleted.unwrap().status().is_success(), "a file is deleted");
            }
            tally.add(&tally.exports, result);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    let streams = async {
        while Instant::now() < end {
            let result = client.call("open_events_stream", json!({})).await;
            tally.add(&tally.streams, result);
        }
    };
    tokio::join!(tasks, exports, streams);
}

async fn run() {
    let seconds = variable("DADL_BENCH_SECONDS", 60);
    let sessions = variable("DADL_BENCH_SESSIONS", 200);
    let options = SimulatorOptions {
        task_duration: Duration::from_secs(20),
        export_size: 4 * MIB,
        ..SimulatorOptions::default()
    };
    let simulator = XenOrchestra::start(options).await.unwrap();
    let home = std::env::temp_dir().join(format!("dadl-mcp-soak-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let server = Server::start(&simulator, &home);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let prober = Client::with_session(&http, &server.base).await;
    let list = |tool: &'static str| {
        let prober = prober.clone();
        async move {
            let result = prober.call(tool, json!({ "limit": 1, "fields": "id" })).await.unwrap();
            result["structuredContent"]["result"][0]["id"].as_str().unwrap().to_owned()
        }
    };
    let (vm, storage) = (list("list_vms").await, list("list_srs").await);

    let idle_end = Instant::now() + Duration::from_secs(10);
    let (mut idle, errors) = short_calls(&prober, &vm, idle_end).await;
    assert_eq!(errors, Vec::<String>::new());
    println!("idle: short calls {:?} (median of {})", median(&mut idle), idle.len());

    let tally = Arc::new(Tally::default());
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let mut running = Vec::new();
    for number in 0..sessions {
        let client = match number % 2 {
            0 => Client::with_session(&http, &server.base).await,
            _ => Client::stateless(&http, &server.base),
        };
        let (vm, storage, tally) = (vm.clone(), storage.clone(), Arc::clone(&tally));
        running.push(tokio::spawn(session(client, vm, storage, tally, end)));
    }
    let watch = async {
        // A short run is seen more often.
        let pause = Duration::from_secs((seconds / 4).clamp(1, 60));
        while Instant::now() < end {
            tokio::time::sleep(pause).await;
            let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            println!(
                "{:>4} s: {:.1} MiB, {:.1} s of processors, {} tasks, {} exports, {} streams, {} kinds of errors",
                started.elapsed().as_secs(),
                server.memory() as f64 / 1024.0,
                server.processor(),
                count(&tally.tasks),
                count(&tally.exports),
                count(&tally.streams),
                tally.errors.lock().unwrap().len(),
            );
        }
    };
    let ((mut busy, errors), ()) = tokio::join!(short_calls(&prober, &vm, end), watch);
    for session in running {
        session.await.unwrap();
    }
    println!("busy: short calls {:?} (median of {})", median(&mut busy), busy.len());
    for error in errors {
        println!("error of a short call: {error}");
    }
    for (error, count) in &*tally.errors.lock().unwrap() {
        println!("{count} times: {error}");
    }
    drop(server);
    let _ = std::fs::remove_dir_all(home);
}

fn main() {
    // The client wants one, although it is never used here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new().unwrap().block_on(run());
}
