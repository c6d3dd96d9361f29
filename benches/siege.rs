//! Hostile connections beside a client that behaves.
//!
//! `cargo bench --bench siege` takes a quarter of an hour: 1,000 connections of each kind for two
//! minutes, one kind after the other, all from the address of the client that behaves and against a
//! server of its own on loopback. `DADL_BENCH_SECONDS` is the time for each kind,
//! `DADL_BENCH_CONNECTIONS` their number, `DADL_BENCH_KINDS` names some of the kinds
//! (`HalfABody,Pipelining`), and `DADL_BENCH_PROGRAM` is a program that was built otherwise. It
//! prints the time of short calls before and during each siege, their errors, the memory of the
//! server (`VmRSS`), and how many descriptors it has open a minute later.
//!
//! The client that behaves has a thread of its own: it must not wait for those that do not.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a hostile connection does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    NoHead,
    SlowHead,
    NoReading,
    HalfABody,
    Pipelining,
    ManySessions,
    ManyStreams,
}

const KINDS: [Kind; 7] = [
    Kind::NoHead,
    Kind::SlowHead,
    Kind::NoReading,
    Kind::HalfABody,
    Kind::Pipelining,
    Kind::ManySessions,
    Kind::ManyStreams,
];

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The server, which ends with this.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let program = std::env::var("DADL_BENCH_PROGRAM");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_dadl-mcp"));
        let mut child = Command::new(program)
            .args(["serve", "--demo", "--http", "127.0.0.1:0"])
            .env_clear()
            .env("HOME", std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .find_map(|line| {
                let line = line.unwrap();
                let (_, rest) = line.split_once("listening on http://")?;
                rest.strip_suffix("/mcp")?.parse().ok()
            })
            .unwrap();
        // Nobody may wait for its log to be read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(session: Option<&str>, body: &str) -> String {
    let session =
        session.map(|id| format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n"));
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{}Content-Length: {}\r\n\r\n{body}",
        session.unwrap_or_default(),
        body.len()
    )
}

fn initialize(size: usize) -> String {
    let hello = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": { "experimental": { "x": { "y": vec![0; size] } } },
            "clientInfo": { "name": "siege", "version": "1" },
        },
    });
    post(None, &hello.to_string())
}

/// Opens a session and returns its id.
async fn session(address: SocketAddr, size: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(initialize(size).as_bytes()).await?;
    let mut answer = String::new();
    while !answer.contains("\r\n\r\n") {
        let mut piece = [0; 2048];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    let id = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    id.map(str::to_owned).ok_or_else(|| std::io::Error::other(answer.clone()))
}

/// What one connection does until it is closed.
async fn attack(kind: Kind, address: SocketAddr, known: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let mut waste = vec![0; 16 * 1024];
    match kind {
        Kind::NoHead => {
            let _closed = stream.read(&mut waste).await?;
        }
        Kind::SlowHead => loop {
            stream.write_all(b"X").await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        },
        Kind::NoReading => loop {
            stream.write_all(HEALTH.repeat(100).as_bytes()).await?;
        },
        Kind::HalfABody => {
            let body = post(None, &"x".repeat(200_000));
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await?;
            let _closed = stream.read(&mut waste).await?;
        }
        Kind::Pipelining => loop {
            stream.write_all(HEALTH.repeat(20).as_bytes()).await?;
            let end = tokio::time::Instant::now() + Duration::from_secs(5);
            while let Ok(read) = tokio::time::timeout_at(end, stream.read(&mut waste)).await {
                if read? == 0 {
                    return Ok(());
                }
            }
        },
        Kind::ManySessions => {
            drop(stream);
            session(address, 400).await?;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Kind::ManyStreams => {
            let request = format!(
                "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
                 Mcp-Session-Id: {known}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await?;
            while stream.read(&mut waste).await? > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    Ok(())
}

/// A client that behaves: it calls, waits a little, and calls again.
struct Prober {
    http: reqwest::Client,
    url: String,
    session: String,
    next: u64,
}

impl Prober {
    async fn call(&mut self) -> Result<Duration, String> {
        self.next += 1;
        let call = json!({
            "jsonrpc": "2.0", "id": self.next, "method": "tools/call",
            "params": { "name": "ping", "arguments": {} },
        });
        let begun = Instant::now();
        let answer = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-session-id", &self.session)
            .header("mcp-protocol-version", "2025-11-25")
            .body(call.to_string())
            .send()
            .await
            .map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
        let data = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        let value: Value =
            data.filter_map(|data| serde_json::from_str(data).ok()).next().unwrap_or_default();
        match value["result"]["structuredContent"]["result"] == "pong" {
            true => Ok(begun.elapsed()),
            false => Err(format!("{status}: {text}")),
        }
    }

    /// Calls until `end`.
    async fn probe(&mut self, end: Instant) -> Probed {
        let (mut times, mut errors) = (Vec::new(), Vec::new());
        while Instant::now() < end {
            match self.call().await {
                Ok(time) => times.push(time),
                Err(error) => errors.push(error),
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        let longest = times.last().copied().unwrap_or_default();
        Probed { median: at(50), late: at(99), longest, count: times.len(), errors }
    }
}

/// What the client that behaves has seen.
struct Probed {
    median: Duration,
    late: Duration,
    longest: Duration,
    count: usize,
    errors: Vec<String>,
}

impl std::fmt::Display for Probed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, late, longest, count, errors } = self;
        let errors = errors.len();
        write!(
            formatter,
            "{count} calls, median {median:.2?}, 99% {late:.2?}, longest {longest:.2?}, \
             {errors} errors"
        )
    }
}

/// Gives the client that behaves a thread of its own, and asks it to call until a time.
fn prober(
    url: String,
    session: String,
) -> (mpsc::Sender<Instant>, tokio::sync::mpsc::Receiver<Probed>) {
    let (ask, asked) = mpsc::channel::<Instant>();
    let (give, given) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut prober = Prober { http, url, session, next: 0 };
        while let Ok(end) = asked.recv() {
            let probed = runtime.block_on(prober.probe(end));
            if give.blocking_send(probed).is_err() {
                return;
            }
        }
    });
    (ask, given)
}

fn variable(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

async fn run() {
    let seconds = Duration::from_secs(variable("DADL_BENCH_SECONDS", 120));
    let connections = variable("DADL_BENCH_CONNECTIONS", 1000);
    let server = Server::start();
    let address = server.address;
    let id = session(address, 0).await.unwrap();
    let (ask, mut given) = prober(format!("http://{address}/mcp"), id);
    ask.send(Instant::now() + Duration::from_secs(10)).unwrap();
    let alone = given.recv().await.unwrap();
    assert_eq!(alone.errors, Vec::<String>::new());
    println!("alone: {alone}; {:.1} MiB, {} descriptors", server.memory(), server.descriptors());
    let wanted = std::env::var("DADL_BENCH_KINDS").unwrap_or_default();
    let is_wanted = |kind: &Kind| {
        let name = format!("{kind:?}");
        wanted.is_empty() || wanted.split(',').any(|wanted| wanted == name)
    };
    for kind in KINDS.into_iter().filter(is_wanted) {
        let end = Instant::now() + seconds;
        let mut known = Vec::new();
        for _ in 0..40 {
            known.extend(session(address, 0).await);
        }
        let (known, ended) = (Arc::new(known), Arc::new(AtomicUsize::new(0)));
        let attackers: Vec<_> = (0..usize::try_from(connections).unwrap())
            .map(|number| {
                let (known, ended) = (Arc::clone(&known), Arc::clone(&ended));
                tokio::spawn(async move {
                    let known = known.get(number % known.len().max(1)).cloned().unwrap_or_default();
                    loop {
                        // Whatever the server does about it, they come again.
                        let _ = attack(kind, address, &known).await;
                        ended.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                })
            })
            .collect();
        let watch = async {
            let mut most = (0_f64, 0);
            while Instant::now() < end {
                most = (most.0.max(server.memory()), most.1.max(server.descriptors()));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            most
        };
        ask.send(end).unwrap();
        let (probed, (memory, open)) = tokio::join!(given.recv(), watch);
        let probed = probed.unwrap();
        attackers.iter().for_each(tokio::task::JoinHandle::abort);
        let ended = ended.load(Ordering::Relaxed);
        println!(
            "{kind:?}: {probed}; at most {memory:.1} MiB and {open} descriptors; {ended} \
             connections were closed"
        );
        for error in probed.errors.iter().take(3) {
            println!("    {error}");
        }
        let begun = Instant::now();
        while server.descriptors() > 64 && begun.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        println!(
            "    {:.0} s later: {:.1} MiB, {} descriptors",
            begun.elapsed().as_secs_f64(),
            server.memory(),
            server.descriptors()
        );
    }
}

fn main() {
    // The client wants one, although it is never used here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    tokio::runtime::Runtime::new().unwrap().block_on(run());
}
