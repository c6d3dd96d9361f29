//! What a call costs, on stdio and over HTTP in both eras of the protocol, beside the same request sent
//! directly and beside a floor: a server of the protocol library alone that has the same list, gives a fixed
//! answer and asks nobody.
//!
//! `cargo bench --bench calls` starts all of them, and the API behind them, as processes, and takes turns
//! among them. It prints for one call at a time, for 32 in flight, and for answers of 1 MB (as text alone, and
//! with the copy that a declared type asks for) the best and the median, the processor time that a call takes of
//! the server, and the median as a multiple of the direct request and of the floor. `--json` prints the same for
//! programs.
//!
//! `DADL_BENCH_PROGRAM` is a program that was built otherwise, `DADL_BENCH_OLDER` another one to compare with,
//! `DADL_BENCH_ROUNDS` how many turns each has (20), and `DADL_BENCH_ONLY` some of the cases (`one,many`).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use floor::{machine, machines};
use serde_json::{Value, json};

mod floor;

/// How many calls one turn has, one after the other.
const CALLS: usize = 100;
/// How many it has of those in flight, and how many of these are at once.
const CALLS_IN_FLIGHT: usize = 1000;
const IN_FLIGHT: usize = 32;
/// How many it has of large ones.
const LARGE_CALLS: usize = 4;

const OLD: &str = "2025-11-25";
const NEW: &str = "2026-07-28";

const DESCRIPTOR: &str = r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
backend:
  name: machines
  type: rest
  description: "Machines"
  auth: { type: bearer, credential: machines }
  types:
    VM:
      type: object
      properties:
        uuid: { type: string }
        name_label: { type: string }
        power_state: { type: string }
        memory: { type: object }
        tags: { type: array, items: { type: string } }
  tools:
    get_vm: { method: GET, path: "/vms/{uuid}", access: read, description: "One machine.", returns: VM, params: { uuid: { type: string, in: path, required: true } } }
    list_vms: { method: GET, path: /vms, access: read, description: "All machines." }
    list_typed: { method: GET, path: /vms, access: read, description: "All machines, with their type.", returns: { type: array, items: VM } }
"#;

/// Answers requests for a machine and for all of them.
fn serve_machines() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let answer = |body: String| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
        format!("{head}{}\r\n\r\n{body}", body.len())
    };
    let (one, all) = (answer(machine(0)), answer(machines()));
    for stream in listener.incoming() {
        let (mut stream, one, all) = (stream.unwrap(), one.clone(), all.clone());
        std::thread::spawn(move || {
            stream.set_nodelay(true).unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 16 * 1024];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                request.extend_from_slice(&buffer[..read]);
                if request.ends_with(b"\r\n\r\n") {
                    let answer = if request.starts_with(b"GET /vms/") { &one } else { &all };
                    request.clear();
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        });
    }
}

/// A kept connection that reads the body of each answer.
struct HttpWire {
    stream: TcpStream,
    /// What has come, and how much of it is read.
    buffer: Vec<u8>,
    read: usize,
}

impl HttpWire {
    fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), read: 0 }
    }

    fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    /// Makes sure that there are `count` bytes from `self.read` on.
    fn fill(&mut self, count: usize) {
        while self.buffer.len() - self.read < count {
            self.more();
        }
    }

    fn more(&mut self) {
        let before = self.buffer.len();
        self.buffer.resize(before + 256 * 1024, 0);
        let count = self.stream.read(&mut self.buffer[before..]).unwrap();
        assert!(count > 0, "the connection has ended");
        self.buffer.truncate(before + count);
    }

    fn line(&mut self) -> String {
        let mut seen = 0;
        loop {
            let rest = &self.buffer[self.read..];
            if let Some(end) = memchr::memmem::find(&rest[seen..], b"\r\n") {
                let line = String::from_utf8_lossy(&rest[..seen + end]).into_owned();
                self.read += seen + end + 2;
                return line;
            }
            seen = rest.len().saturating_sub(1);
            self.more();
        }
    }

    fn take(&mut self, count: usize) -> &[u8] {
        self.fill(count);
        self.read += count;
        &self.buffer[self.read - count..self.read]
    }

    /// Reads an answer; returns its head and its body.
    fn answer(&mut self) -> (String, Vec<u8>) {
        self.buffer.drain(..self.read);
        self.read = 0;
        let (mut head, mut length) = (String::new(), None);
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let line = line.to_ascii_lowercase();
            if let Some(count) = line.strip_prefix("content-length: ") {
                length = Some(count.parse().unwrap());
            }
            head.push_str(&line);
            head.push('\n');
        }
        let mut body = Vec::new();
        if let Some(length) = length {
            body.extend_from_slice(self.take(length));
        } else if head.contains("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line(), 16).unwrap();
                body.extend_from_slice(self.take(size));
                self.take(2);
                if size == 0 {
                    break;
                }
            }
        }
        (head, body)
    }
}

/// How a peer is spoken with.
enum Wires {
    Direct(Vec<HttpWire>),
    Stdio(ChildStdin, BufReader<ChildStdout>),
    /// With the session of those before 2026-07-28.
    Http(Vec<HttpWire>, Option<String>),
}

/// Who is asked.
struct Peer {
    name: &'static str,
    child: Child,
    address: String,
    wires: Wires,
    id: u64,
}

impl Peer {
    /// The request for a tool, as bytes.
    fn call(&mut self, tool: &str) -> Vec<u8> {
        if let Wires::Direct(_) = self.wires {
            let path = if tool == "get_vm" { "/vms/1" } else { "/vms" };
            return format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).into_bytes();
        }
        let arguments = if tool == "get_vm" { json!({ "uuid": "1" }) } else { json!({}) };
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    fn request(&mut self, method: &str, mut params: Value) -> Vec<u8> {
        self.id += 1;
        let is_new = matches!(self.wires, Wires::Http(_, None)) && method != "initialize";
        if is_new {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": NEW,
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n"));
        let message =
            json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params });
        let Wires::Http(_, session) = &self.wires else {
            return format!("{message}\n").into_bytes();
        };
        let more = match session {
            Some(session) => {
                format!("MCP-Protocol-Version: {OLD}\r\nMcp-Session-Id: {session}\r\n")
            }
            None if is_new => {
                let name = name.unwrap_or_default();
                format!("MCP-Protocol-Version: {NEW}\r\nMcp-Method: {method}\r\n{name}")
            }
            None => String::new(),
        };
        self.post(&message, &more)
    }

    fn post(&self, message: &Value, more: &str) -> Vec<u8> {
        let message = message.to_string();
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: \
             application/json, text/event-stream\r\n{more}Content-Length: {}\r\n\r\n{message}",
            self.address,
            message.len()
        )
        .into_bytes()
    }

    /// Sends a request on one of the connections, of which stdio has one.
    fn send(&mut self, at: usize, request: &[u8]) {
        match &mut self.wires {
            Wires::Direct(wires) | Wires::Http(wires, _) => wires[at].send(request),
            Wires::Stdio(input, _) => input.write_all(request).unwrap(),
        }
    }

    /// Reads the next answer there.
    fn answer(&mut self, at: usize) -> Vec<u8> {
        match &mut self.wires {
            Wires::Direct(wires) | Wires::Http(wires, _) => wires[at].answer().1,
            Wires::Stdio(_, output) => {
                let mut line = Vec::new();
                output.read_until(b'\n', &mut line).unwrap();
                assert!(!line.is_empty(), "{} has ended", self.name);
                line
            }
        }
    }

    fn asked(&mut self, method: &str, params: Value) -> Value {
        let request = self.request(method, params);
        self.send(0, &request);
        let answer = String::from_utf8(self.answer(0)).unwrap();
        let answer = answer.trim().lines().last().unwrap().trim_start_matches("data: ");
        serde_json::from_str(answer).unwrap()
    }

    /// Introduces the client, where the protocol asks for that.
    fn introduce(&mut self) {
        let client = json!({ "name": "bench", "version": "1" });
        let hello = json!({ "protocolVersion": OLD, "capabilities": {}, "clientInfo": client });
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        if let Wires::Stdio(..) = self.wires {
            self.asked("initialize", hello);
            self.send(0, format!("{ready}\n").as_bytes());
            return;
        }
        let request = self.request("initialize", hello);
        self.send(0, &request);
        let Wires::Http(wires, _) = &mut self.wires else { return };
        let head = wires[0].answer().0;
        let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        let fields =
            format!("MCP-Protocol-Version: {OLD}\r\nMcp-Session-Id: {}\r\n", session.unwrap());
        let ready = self.post(&ready, &fields);
        let Wires::Http(wires, kept) = &mut self.wires else { return };
        *kept = session.map(str::to_owned);
        wires[0].send(&ready);
        wires[0].answer();
    }

    /// The time of processors that the process has taken.
    fn processor(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let times = threads.filter_map(|it| {
            let text = std::fs::read_to_string(it.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }

    /// Opens the connections anew: one that says nothing for long is closed.
    fn reconnect(&mut self) {
        let fresh = || (0..IN_FLIGHT).map(|_| HttpWire::new(&self.address)).collect();
        match &mut self.wires {
            Wires::Direct(wires) | Wires::Http(wires, _) => *wires = fresh(),
            Wires::Stdio(..) => {}
        }
    }

    fn one_after_the_other(&mut self, tool: &str, calls: usize, seen: &mut Seen) {
        let before = self.processor();
        for _ in 0..calls {
            let request = self.call(tool);
            let began = Instant::now();
            self.send(0, &request);
            let answer = self.answer(0);
            seen.times.push(began.elapsed().as_secs_f64() * 1e6);
            seen.size = answer.len();
            assert!(is_right(&answer), "{}: {}", self.name, String::from_utf8_lossy(&answer));
        }
        seen.spent(self.processor() - before, calls);
    }

    fn in_flight(&mut self, tool: &str, seen: &mut Seen) {
        let before = self.processor();
        let wires = |at: usize| at % IN_FLIGHT;
        let requests: Vec<Vec<u8>> = (0..CALLS_IN_FLIGHT).map(|_| self.call(tool)).collect();
        let began = Instant::now();
        for (at, request) in requests.iter().enumerate().take(IN_FLIGHT) {
            self.send(at, request);
        }
        for at in 0..CALLS_IN_FLIGHT {
            seen.size = self.answer(wires(at)).len();
            if let Some(request) = requests.get(at + IN_FLIGHT) {
                self.send(wires(at), request);
            }
        }
        let each = began.elapsed().as_secs_f64() * 1e6 / CALLS_IN_FLIGHT as f64;
        seen.times.push(each);
        seen.spent(self.processor() - before, CALLS_IN_FLIGHT);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at the end of an answer: the whole has been there when it was measured.
fn is_right(answer: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(answer, text).is_some();
    has(b"tag-of-vm-55") && !has(b"\"isError\":true") && !has(b"\"error\":{")
}

/// What was measured of a peer in a case.
#[derive(Default)]
struct Seen {
    /// Microseconds.
    times: Vec<f64>,
    /// Microseconds of processors for a call, by turns.
    processor: Vec<f64>,
    /// Bytes of an answer.
    size: usize,
}

impl Seen {
    fn spent(&mut self, time: Duration, calls: usize) {
        self.processor.push(time.as_secs_f64() * 1e6 / calls as f64);
    }
}

/// What is asked.
const CASES: [(&str, &str, &str); 4] = [
    ("one", "get_vm", "one call at a time, µs"),
    ("many", "get_vm", "32 in flight, µs for each call"),
    ("large", "list_vms", "an answer of 1 MB, µs"),
    ("typed", "list_typed", "the same with a declared type, µs"),
];

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The process of another role of this program.
fn own(arguments: &[&str]) -> Child {
    spawn(Command::new(std::env::current_exe().unwrap()).args(arguments))
}

/// An address that nobody has at the moment.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn stdio(name: &'static str, mut child: Child) -> Peer {
    let input = child.stdin.take().unwrap();
    let output = BufReader::with_capacity(256 * 1024, child.stdout.take().unwrap());
    let mut peer =
        Peer { name, child, address: String::new(), wires: Wires::Stdio(input, output), id: 0 };
    peer.introduce();
    peer
}

fn http(name: &'static str, child: Child, address: &str, has_session: bool) -> Peer {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "{name} does not listen");
        std::thread::yield_now();
    }
    let wires = (0..IN_FLIGHT).map(|_| HttpWire::new(address)).collect();
    let address = address.to_owned();
    let mut peer = Peer { name, child, address, wires: Wires::Http(wires, None), id: 0 };
    if has_session {
        peer.introduce();
    }
    peer
}

/// Starts all who are asked.
fn peers(directory: &Path) -> Vec<Peer> {
    let mut upstream = own(&["as-machines"]);
    let mut line = String::new();
    BufReader::new(upstream.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let api = line.trim().to_owned();
    let wires = Wires::Direct((0..IN_FLIGHT).map(|_| HttpWire::new(&api)).collect());
    let direct = Peer { name: "direct", child: upstream, address: api.clone(), wires, id: 0 };
    let descriptor = directory.join("machines.dadl");
    std::fs::write(&descriptor, DESCRIPTOR).unwrap();
    let serve = |program: &str, more: &[&str]| {
        let url = format!("http://{api}");
        let mut command = Command::new(program);
        command
            .args(["serve", "--dadl", descriptor.to_str().unwrap(), "--url", &url])
            .args(["--max-result-chars", "2000000"])
            .args(more)
            .current_dir(directory)
            .env_clear()
            .env("HOME", directory)
            .env("CREDENTIAL_MACHINES", "a-token-of-the-benchmark");
        spawn(&mut command)
    };
    let mut all = vec![direct];
    let program = std::env::var("DADL_BENCH_PROGRAM");
    let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_dadl-mcp"));
    let mut ours = |names: [&'static str; 3], program: &str| {
        all.push(stdio(names[0], serve(program, &[])));
        for (name, has_session) in [(names[1], true), (names[2], false)] {
            let address = free_address();
            all.push(http(name, serve(program, &["--http", &address]), &address, has_session));
        }
    };
    ours(["stdio", "HTTP, 2025-11-25", "HTTP, 2026-07-28"], program);
    if let Ok(older) = std::env::var("DADL_BENCH_OLDER") {
        ours(["older stdio", "older HTTP, 2025-11-25", "older HTTP, 2026-07-28"], &older);
    }
    let list = all[1].asked("tools/list", json!({}))["result"]["tools"].clone();
    let path = directory.join("tools.json");
    std::fs::write(&path, list.to_string()).unwrap();
    let path = path.to_str().unwrap();
    all.push(stdio("floor stdio", own(&["as-floor", path])));
    for (name, has_session) in [("floor HTTP, 2025-11-25", true), ("floor HTTP, 2026-07-28", false)]
    {
        let address = free_address();
        all.push(http(name, own(&["as-floor", path, &address]), &address, has_session));
    }
    all
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Prints a case; returns the same for programs.
fn report(title: &str, seen: &BTreeMap<usize, Seen>, peers: &[Peer], is_shown: bool) -> Value {
    let of = |name: &str| {
        let at = peers.iter().position(|peer| peer.name == name);
        at.map_or(f64::NAN, |at| median(&seen[&at].times))
    };
    if is_shown {
        println!(
            "\n{title:34} {:>9} {:>9} {:>9} {:>8} {:>8}",
            "best", "median", "CPU", "/direct", "/floor"
        );
    }
    let mut all = Vec::new();
    for (at, Seen { times, processor, size }) in seen {
        let name = peers[*at].name;
        let floor =
            format!("floor {}", name.trim_start_matches("older ").trim_start_matches("floor "));
        let (best, median, processor) = (best(times), median(times), median(processor));
        let (direct, floor) = (median / of("direct"), median / of(&floor));
        if is_shown {
            println!("{name:34} {best:9.1} {median:9.1} {processor:9.1} {direct:8.2} {floor:8.2}");
        }
        all.push(json!({
            "peer": name, "best": best, "median": median, "cpu": processor, "bytes": size,
            "of_direct": direct, "of_floor": if floor.is_nan() { Value::Null } else { floor.into() },
        }));
    }
    all.into()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["as-machines"] => return serve_machines(),
        ["as-floor", list] => return floor::serve(list, None),
        ["as-floor", list, address] => return floor::serve(list, Some(address)),
        _ => {}
    }
    let is_json = arguments.iter().any(|it| it == "--json");
    let rounds = std::env::var("DADL_BENCH_ROUNDS").map_or(20, |it| it.parse().unwrap());
    let only = std::env::var("DADL_BENCH_ONLY").ok();
    let directory = tempfile::tempdir().unwrap();
    let mut peers = peers(directory.path());
    let mut all = serde_json::Map::new();
    for (case, tool, title) in CASES {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|it| it == case)) {
            continue;
        }
        let mut seen: BTreeMap<usize, Seen> = BTreeMap::new();
        peers.iter_mut().for_each(Peer::reconnect);
        // The first turn warms up.
        for round in 0..=rounds {
            for (at, peer) in peers.iter_mut().enumerate() {
                let mut warming = Seen::default();
                let seen = seen.entry(at).or_default();
                let seen = if round == 0 { &mut warming } else { seen };
                match case {
                    "one" => peer.one_after_the_other(tool, CALLS, seen),
                    "many" => peer.in_flight(tool, seen),
                    _ => peer.one_after_the_other(tool, LARGE_CALLS, seen),
                }
            }
        }
        all.insert(case.to_owned(), report(title, &seen, &peers, !is_json));
    }
    if is_json {
        println!("{}", Value::Object(all));
    }
}
