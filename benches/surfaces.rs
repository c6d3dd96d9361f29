//! What the surface `compact` costs beside `tools`, over stdio.
//!
//! `cargo bench --bench surfaces` starts the server with each surface in turn, `DADL_BENCH_ROUNDS` times (15),
//! and prints medians: the time and the processor time from the start to the list, and the memory then
//! (`VmRSS`). Then it prints what a call takes, by `api_read` and by a script of one call, one after the other
//! against the same upstream on loopback; and what a search takes over 15 backends of 284 tools each.
//! `DADL_BENCH_PROGRAM` is a program that was built otherwise.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

const CALLS: usize = 500;

/// As people ask.
const QUESTIONS: [&str; 8] = [
    "how do I give the mail server eight gigabytes more memory",
    "which machines are switched off",
    "list vm snapshots older than a week",
    "how full are the datastores",
    "why did last night's backup fail",
    "move a running machine to another host",
    "patches that are missing on hosts",
    "create a network with a VLAN",
];

/// A server and its pipes.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Server {
    fn start(directory: &Path, surface: &str) -> Self {
        let program = std::env::var("DADL_BENCH_PROGRAM");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_dadl-mcp"));
        let mut child = Command::new(program)
            .args(["serve", "--config", "backends.yaml", "--surface", surface])
            .current_dir(directory)
            .env_clear()
            .env("HOME", directory)
            .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "a-token-of-the-benchmark")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, input, output, id: 0 };
        let client = json!({ "name": "bench", "version": "1" });
        let hello =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        server.request("initialize", &hello);
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        writeln!(server.input, "{ready}").unwrap();
        server
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params });
        writeln!(self.input, "{request}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has ended");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == self.id {
                return answer;
            }
        }
    }

    /// Calls a tool, and returns how long that took.
    fn call(&mut self, name: &str, arguments: &Value) -> Duration {
        let began = Instant::now();
        let answer = self.request("tools/call", &json!({ "name": name, "arguments": arguments }));
        let taken = began.elapsed();
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        taken
    }

    fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// The time of processors that it has taken, in ms; a tick has ten.
    fn processor(&self) -> f64 {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let of_main = |text: String| text.split(' ').next().unwrap().parse::<f64>().unwrap();
        let threads = std::fs::read_dir(path.replace("schedstat", "task")).unwrap();
        let of_threads = threads
            .map(|it| std::fs::read_to_string(it.unwrap().path().join("schedstat")).unwrap());
        of_threads.map(of_main).sum::<f64>() / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Answers whatever is asked with a VM.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let body = json!({ "id": "x", "name_label": "web", "tags": vec!["a"; 200] }).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    let answer = format!("{head}{}\r\n\r\n{body}", body.len());
    stream.set_nodelay(true).unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        request.extend_from_slice(&buffer[..read]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    }
}

fn backends(count: usize, address: SocketAddr) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "backends:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!(
            "  - {{name: xo{number}, transport: rest, dadl: xen-orchestra, url: \"http://{address}\", \
         access: [read, write, dangerous]}}\n"
        ));
    }
    std::fs::write(directory.path().join("backends.yaml"), text).unwrap();
    directory
}

fn main() {
    let rounds = std::env::var("DADL_BENCH_ROUNDS").map_or(15, |it| it.parse().unwrap());
    let address = upstream();
    let one = backends(1, address);
    let surfaces = ["tools", "compact"];
    let mut figures = [[vec![], vec![], vec![]], [vec![], vec![], vec![]]];
    for _ in 0..rounds {
        for (surface, [time, processor, memory]) in surfaces.iter().zip(&mut figures) {
            let began = Instant::now();
            let mut server = Server::start(one.path(), surface);
            server.request("tools/list", &json!({}));
            time.push(millis(began.elapsed()));
            processor.push(server.processor());
            memory.push(server.memory());
        }
    }
    for (surface, [time, processor, memory]) in surfaces.iter().zip(figures) {
        let (time, processor, memory) = (median(time), median(processor), median(memory));
        println!(
            "{surface:8} list after {time:.1} ms, {processor:.1} ms of processors, {memory:.1} MiB"
        );
    }
    let mut server = Server::start(one.path(), "compact");
    let call = json!({ "tool": "get_vm", "arguments": { "uuid": "x" } });
    let script = json!({ "code": "return api.get_vm({ uuid: \"x\" })" });
    let mut calls = [vec![], vec![]];
    for round in 0..CALLS + 20 {
        for (arguments, times) in [&call, &script].into_iter().zip(&mut calls) {
            let taken = server.call("api_read", arguments);
            // The first ones begin what is kept.
            if round >= 20 {
                times.push(millis(taken));
            }
        }
    }
    let [call, script] = calls.map(median);
    println!(
        "a call {call:.3} ms, a script of one call {script:.3} ms: {:.3} ms more",
        script - call
    );
    let many = backends(15, address);
    let mut server = Server::start(many.path(), "compact");
    let search = |question: &str| json!({ "queries": [question] });
    let first = millis(server.call("api_search", &search(QUESTIONS[0])));
    let mut times = Vec::new();
    for _ in 0..20 {
        let asked = QUESTIONS.iter().map(|question| server.call("api_search", &search(question)));
        times.extend(asked.map(millis));
    }
    let memory = server.memory();
    println!(
        "a search of 15 backends {:.2} ms, the first {first:.1} ms; then {memory:.1} MiB",
        median(times)
    );
}
