//! What the measurements have in common: the program as a child, a client on its pipes, and an API on
//! loopback.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The program that is measured; `DADL_BENCH_PROGRAM` is one that was built otherwise.
pub(crate) fn program() -> String {
    std::env::var("DADL_BENCH_PROGRAM")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_dadl-mcp").to_owned())
}

/// The command of the program, with nothing in its environment but the credential of the descriptors here.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "a-token-of-the-benchmark")
        .env("CREDENTIAL_TOKEN", "a-token-of-the-benchmark");
    command
}

/// A process that ends with this.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// The time of processors that its threads have taken, in ms.
    pub(crate) fn processor(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let of_one = |text: String| text.split(' ').next().unwrap().parse::<f64>().unwrap();
        // A thread may end while it is looked at.
        let texts =
            threads.flatten().map(|it| std::fs::read_to_string(it.path().join("schedstat")));
        texts.flatten().map(of_one).sum::<f64>() / 1e6
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server on stdio, and its client.
pub(crate) struct StdioServer {
    pub(crate) process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u64,
    line: Vec<u8>,
}

impl StdioServer {
    /// Starts `command`, and introduces a client of 2025-11-25.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::with_capacity(256 * 1024, child.stdout.take().unwrap());
        let mut server = Self { process: Process(child), input, output, id: 0, line: Vec::new() };
        let client = json!({ "name": "bench", "version": "1" });
        let hello =
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        server.request("initialize", &hello);
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        writeln!(server.input, "{ready}").unwrap();
        server
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, method: &str, params: &Value) {
        self.id += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params });
        let mut line = request.to_string();
        line.push('\n');
        self.input.write_all(line.as_bytes()).unwrap();
    }

    /// Reads a message: the bytes of its line.
    pub(crate) fn receive(&mut self) -> &[u8] {
        self.line.clear();
        let read = self.output.read_until(b'\n', &mut self.line).unwrap();
        assert!(read > 0, "the server has ended");
        &self.line
    }

    /// Reads until the answer of the last request.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        self.send(method, params);
        loop {
            let id = self.id;
            let answer: Value = serde_json::from_slice(self.receive()).unwrap();
            if answer["id"] == id {
                return answer;
            }
        }
    }

    /// Calls a tool, which must not fail.
    pub(crate) fn call(&mut self, name: &str, arguments: &Value) -> Duration {
        let began = Instant::now();
        let answer = self.request("tools/call", &json!({ "name": name, "arguments": arguments }));
        let taken = began.elapsed();
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        taken
    }
}

/// Answers whatever is asked with this JSON.
pub(crate) fn upstream(body: &str) -> SocketAddr {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    let answer: Arc<str> = format!("{head}{}\r\n\r\n{body}", body.len()).into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            std::thread::spawn(move || answer_each(stream, &answer));
        }
    });
    address
}

fn answer_each(mut stream: TcpStream, answer: &str) {
    stream.set_nodelay(true).unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        request.extend_from_slice(&buffer[..read]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// The median; of none, nothing that could be taken for a figure.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The least.
pub(crate) fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How often everything is measured: `DADL_BENCH_ROUNDS`.
pub(crate) fn rounds(unless_said: usize) -> usize {
    std::env::var("DADL_BENCH_ROUNDS").map_or(unless_said, |it| it.parse().unwrap())
}
