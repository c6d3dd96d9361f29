//! How cost grows with the work: with tools, backends, the size of answers, and calls in flight.
//!
//! `cargo bench --bench curves` prints a table for each, best and median of `DADL_BENCH_ROUNDS` (5); the last
//! column is what one more tool, backend, kilobyte or call costs, which stays the same or falls where growth is
//! straight or flatter. `DADL_BENCH_CURVES` names some of them (`tools,answers`), and `DADL_BENCH_PROGRAM` is a
//! program that was built otherwise.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Process, StdioServer, best, command, median, millis, rounds, upstream};
use tempfile::TempDir;

mod support;

const TOOLS: [usize; 4] = [10, 100, 1_000, 10_000];
const BACKENDS: [usize; 4] = [1, 10, 30, 100];
const SIZES_KB: [usize; 7] = [1, 16, 256, 1_024, 4_096, 16_384, 65_536];
const IN_FLIGHT: [usize; 6] = [1, 4, 16, 64, 256, 1_000];
/// Calls of a row of the table of calls in flight.
const CALLS: usize = 20_000;

/// A descriptor of an API with so many tools, each with parameters, a type and a description.
fn descriptor(tools: usize) -> String {
    let mut text = "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: many\n  type: rest\n  \
                    description: An API of any size.\n  auth: {type: bearer, credential: token}\n  tools:\n"
        .to_owned();
    for number in 0..tools {
        write!(
            text,
            "    get_thing_{number}:\n      method: GET\n      path: \"/things_{number}/{{id}}\"\n      \
             access: read\n      description: \"Shows a thing of kind {number} with all that belongs to it.\"\n      \
             params:\n        id: {{type: string, in: path, required: true, description: The thing.}}\n        \
             depth: {{type: integer, in: query, description: How far what belongs to it is shown.}}\n        \
             fields: {{type: string, in: query, description: Which members come back.}}\n"
        )
        .unwrap();
    }
    text
}

/// Settings of so many backends of one descriptor.
fn settings(backends: usize, tools: usize, address: SocketAddr) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("many.dadl"), descriptor(tools)).unwrap();
    let mut text = "limits: {max_memory: 1GB}\nbackends:\n".to_owned();
    for number in 0..backends {
        writeln!(
            text,
            "  - {{name: many{number}, transport: rest, dadl: many.dadl, url: \"http://{address}\", \
             access: [read], options: {{max_response_size: 256MB, max_calls: 1000}}}}"
        )
        .unwrap();
    }
    std::fs::write(directory.path().join("backends.yaml"), text).unwrap();
    directory
}

fn served(directory: &TempDir) -> StdioServer {
    StdioServer::start(command(directory.path(), &["serve", "--config", "backends.yaml"]))
}

/// What a start took, until the list was there: ms, ms of processors, MiB.
struct Start {
    time: f64,
    processor: f64,
    memory: f64,
}

fn started(directory: &TempDir) -> Start {
    let began = Instant::now();
    let mut server = served(directory);
    server.send("tools/list", &json!({}));
    server.receive();
    Start {
        time: millis(began.elapsed()),
        processor: server.process.processor(),
        memory: server.process.memory(),
    }
}

/// Prints starts with growing numbers of something.
fn starts(what: &str, numbers: &[usize], directory: impl Fn(usize) -> TempDir) {
    println!("\n| {what} | start, best | median | processors | resident | more for one |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut before: Option<(usize, Start)> = None;
    for &number in numbers {
        let directory = directory(number);
        let all: Vec<Start> = (0..rounds(5)).map(|_| started(&directory)).collect();
        let of = |part: fn(&Start) -> f64| all.iter().map(part).collect::<Vec<f64>>();
        let start = Start {
            time: median(of(|it| it.time)),
            processor: best(&of(|it| it.processor)),
            memory: median(of(|it| it.memory)),
        };
        let more = before.map_or_else(String::new, |(fewer, less)| {
            let more = (number - fewer) as f64;
            let (time, memory) = (start.processor - less.processor, start.memory - less.memory);
            format!("{:.1} µs, {:.1} KiB", time / more * 1e3, memory / more * 1024.0)
        });
        println!(
            "| {number} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} MiB | {more} |",
            best(&of(|it| it.time)),
            start.time,
            start.processor,
            start.memory
        );
        before = Some((number, start));
    }
}

/// Reads an answer of `size` bytes and its head by hand.
fn direct(address: SocketAddr, size: usize) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let began = Instant::now();
    stream.write_all(b"GET /things_1/x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut used = 0;
    while used < size {
        used += stream.read(&mut buffer).unwrap();
    }
    millis(began.elapsed())
}

/// Prints calls with answers of growing size, beside the same answers read by hand.
fn answers() {
    println!(
        "\n| answer | direct, median | call, best | median | of direct | processors | resident | a KiB more |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut before: Option<(usize, f64)> = None;
    for kilobytes in SIZES_KB {
        let item = json!({ "id": "f07ab729-c0e8", "name": "a".repeat(200), "size": 1_234_567 });
        let items = vec![item; (kilobytes * 1024 / 250).max(1)];
        let body = Value::from(items).to_string();
        let address = upstream(&body);
        let mut server = served(&settings(1, 10, address));
        let arguments = json!({ "id": "x" });
        server.call("get_thing_1", &arguments);
        let times = (2_000 / kilobytes).clamp(rounds(5), 200);
        let processor = server.process.processor();
        let calls: Vec<f64> =
            (0..times).map(|_| millis(server.call("get_thing_1", &arguments))).collect();
        let processor = (server.process.processor() - processor) / times as f64;
        let by_hand = median((0..times).map(|_| direct(address, body.len())).collect());
        let (least, middle) = (best(&calls), median(calls));
        let more = before.map_or_else(String::new, |(fewer, less)| {
            format!("{:.2} µs", (processor - less) / (kilobytes - fewer) as f64 * 1e3)
        });
        println!(
            "| {kilobytes} KiB | {by_hand:.2} ms | {least:.2} ms | {middle:.2} ms | {:.1} | {processor:.2} ms \
             | {:.1} MiB | {more} |",
            middle / by_hand,
            server.process.memory()
        );
        before = Some((kilobytes, processor));
    }
}

/// A row of calls in flight: calls a second, and µs of processors for each.
struct Rate {
    calls: f64,
    processor: f64,
    memory: f64,
}

/// Keeps so many calls in flight on one pair of pipes.
fn on_stdio(directory: &TempDir, in_flight: usize) -> Rate {
    let mut server = served(directory);
    let params = json!({ "name": "get_thing_1", "arguments": { "id": "x" } });
    server.request("tools/call", &params);
    let (processor, began) = (server.process.processor(), Instant::now());
    (0..in_flight).for_each(|_| server.send("tools/call", &params));
    for answered in 0..CALLS {
        server.receive();
        if answered + in_flight < CALLS {
            server.send("tools/call", &params);
        }
    }
    rate(&server.process, processor, began.elapsed())
}

fn rate(process: &Process, before: f64, taken: Duration) -> Rate {
    Rate {
        calls: CALLS as f64 / taken.as_secs_f64(),
        processor: (process.processor() - before) / CALLS as f64 * 1e3,
        memory: process.memory(),
    }
}

/// So many callers, each with a connection of its own and one call after the other.
fn over_http(directory: &TempDir, callers: usize) -> Rate {
    let arguments = ["serve", "--config", "backends.yaml", "--http", "127.0.0.1:0"];
    let mut command = command(directory.path(), &arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
    let url = loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(url) = line.strip_prefix("listening on ") {
            break url.to_owned();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    // Another part of this program may have done so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let each = async |count: usize| {
            for _ in 0..count {
                http_call(&client, &url).await;
            }
        };
        // Connections are opened before: what they cost depends on how many calls follow.
        futures_util::future::join_all((0..callers).map(|_| each(1))).await;
        let (processor, began) = (process.processor(), Instant::now());
        let all = (0..callers).map(|at| each(CALLS / callers + usize::from(at < CALLS % callers)));
        futures_util::future::join_all(all).await;
        rate(&process, processor, began.elapsed())
    })
}

async fn http_call(client: &reqwest::Client, url: &str) {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "get_thing_1", "arguments": { "id": "x" },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    let request = client
        .post(url)
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", "get_thing_1");
    let answer = request.body(body.to_string()).send().await.unwrap();
    let answer = answer.error_for_status().unwrap().text().await.unwrap();
    assert!(answer.contains("\"isError\":false"), "{answer}");
}

/// Prints calls a second with growing numbers in flight.
fn in_flight(over: &str, measured: fn(&TempDir, usize) -> Rate) {
    let address = upstream(&json!({ "id": "x", "name": "a".repeat(1_000) }).to_string());
    let directory = settings(1, 10, address);
    println!("\n| in flight over {over} | calls a second | processors for a call | resident |");
    println!("| --- | --- | --- | --- |");
    for number in IN_FLIGHT {
        let Rate { calls, processor, memory } = measured(&directory, number);
        println!("| {number} | {calls:.0} | {processor:.0} µs | {memory:.1} MiB |");
    }
}

fn main() {
    let wanted = std::env::var("DADL_BENCH_CURVES");
    let wants =
        |curve: &str| wanted.as_ref().map_or(true, |all| all.split(',').any(|it| it == curve));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    if wants("tools") {
        starts("tools", &TOOLS, |tools| settings(1, tools, nowhere));
    }
    if wants("backends") {
        starts("backends of 20 tools", &BACKENDS, |backends| settings(backends, 20, nowhere));
    }
    if wants("answers") {
        answers();
    }
    if wants("calls") {
        in_flight("stdio", on_stdio);
        in_flight("HTTP, a caller each", over_http);
    }
}
