//! What a start costs: from the beginning of the process to the whole list of tools, over stdio.
//!
//! `cargo bench --bench start` starts the server, `DADL_BENCH_ROUNDS` times (15), with `xen-orchestra`, with a
//! descriptor of 10,000 tools that it writes itself, and where `DADL_CORPUS` names a folder of descriptors, with
//! all of these and those inside the program; and after each, the floor: a server of the protocol library
//! alone, which has the same list and nothing else. It prints the best and the median of the time and of
//! the processor time until the list has come, the memory then (`VmRSS`), and the ratio of the medians.
//! `DADL_BENCH_PROGRAM` is a program that was built otherwise.
//!
//! The first start compiles the filters and scripts of the files, and notes that it did; it is printed by
//! itself.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]
#![expect(clippy::disallowed_methods, reason = "a measurement has no settings file")]

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

mod floor;

/// Its argument is the file of a list.
const FLOOR: &str = "--floor";

/// The descriptors inside the program.
const BUNDLED: [&str; 3] = ["danube-cloud", "xen-orchestra", "xo-proxy"];

const MANY_TOOLS: usize = 10_000;

/// What one start cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// ms
    time: f64,
    /// ms of all threads
    processor: f64,
    /// MiB
    memory: f64,
}

/// Starts a server, and returns what its list cost and the tools.
fn start(command: &mut Command) -> (Cost, Value) {
    let began = Instant::now();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let client = json!({ "name": "bench", "version": "1" });
    let hello =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    let request = |id: u64, method: &str, params: &Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let all = [request(1, "initialize", &hello), ready, request(2, "tools/list", &json!({}))];
    input.write_all(all.map(|message| format!("{message}\n")).concat().as_bytes()).unwrap();
    let mut line = String::new();
    for _ in 0..2 {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the server has ended");
    }
    let time = began.elapsed().as_secs_f64() * 1e3;
    let cost = Cost { time, processor: processor(&child), memory: memory(&child) };
    drop(input);
    child.wait().unwrap();
    let mut answer: Value = serde_json::from_str(&line).unwrap();
    (cost, answer["result"]["tools"].take())
}

/// Returns the time of processors that a process has taken, in ms.
fn processor(child: &Child) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let of_thread = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().unwrap().parse().unwrap_or(0.0)
    };
    threads.map(|thread| of_thread(thread.unwrap().path())).sum::<f64>() / 1e6
}

fn memory(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Writes a settings file with these descriptors, by their names.
fn settings(directory: &Path, descriptors: &[(String, String)]) {
    let mut text = "backends:\n".to_owned();
    for (name, dadl) in descriptors {
        writeln!(
            text,
            "  - {{name: {name}, transport: rest, dadl: {dadl:?}, url: \"http://127.0.0.1:1\", \
             access: all}}"
        )
        .unwrap();
    }
    std::fs::write(directory.join("backends.yaml"), text).unwrap();
}

/// A descriptor as an import would write it.
fn many_tools() -> String {
    let mut text =
        "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: many\n  type: rest\n  \
                    description: Many tools.\n  auth: {type: bearer, credential: token}\n  tools:\n"
            .to_owned();
    for number in 0..MANY_TOOLS {
        write!(
            text,
            "    get_thing_{number}:\n      method: GET\n      path: /things/{number}/{{id}}\n      \
             access: read\n      description: Returns thing {number} with all that is known about it.\n      \
             params:\n        id: {{ type: string, in: path, required: true, description: Id of the thing }}\n        \
             fields: {{ type: string, in: query, description: Members that the answer has }}\n        \
             limit: {{ type: integer, in: query, default: 20 }}\n"
        )
        .unwrap();
    }
    text
}

fn summary(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2]]
}

fn measure(what: &str, rounds: usize, descriptors: &[(String, String)]) {
    let directory = tempfile::tempdir().unwrap();
    settings(directory.path(), descriptors);
    let program = std::env::var("DADL_BENCH_PROGRAM");
    let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_dadl-mcp"));
    let list = directory.path().join("list.json");
    let server = || {
        let mut command = Command::new(program);
        command.args(["serve", "--config", "backends.yaml"]).current_dir(directory.path());
        command.env_clear().env("HOME", directory.path());
        command.env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "a-token-of-the-benchmark");
        command
    };
    let floor = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(FLOOR).arg(&list).env_clear();
        command
    };
    let (first, tools) = start(&mut server());
    std::fs::write(&list, tools.to_string()).unwrap();
    println!("{what}: {} tools", tools.as_array().unwrap().len());
    println!("  {:8} {:7.1} ms, {:7.1} ms of processors", "first", first.time, first.processor);
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        costs[0].push(start(&mut server()).0);
        costs[1].push(start(&mut floor()).0);
    }
    let figures = costs.map(|costs| {
        let of = |figure: fn(&Cost) -> f64| summary(costs.iter().map(figure).collect());
        [of(|it| it.time), of(|it| it.processor), of(|it| it.memory)]
    });
    for (name, [time, processor, memory]) in ["dadl-mcp", "floor"].iter().zip(&figures) {
        println!(
            "  {name:8} {:7.1} ms ({:.1} at best), {:7.1} ms of processors ({:.1}), {:6.1} MiB",
            time[1], time[0], processor[1], processor[0], memory[1]
        );
    }
    let ratio = |figure: usize| figures[0][figure][1] / figures[1][figure][1];
    println!(
        "  {:8} {:7.1} times    {:14.1} times {:22.1} times",
        "ratio",
        ratio(0),
        ratio(1),
        ratio(2)
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(list) = arguments.iter().skip_while(|it| *it != FLOOR).nth(1) {
        return floor::serve(list, None);
    }
    let rounds = std::env::var("DADL_BENCH_ROUNDS").map_or(15, |it| it.parse().unwrap());
    let named = |name: &str| (name.to_owned(), name.to_owned());
    measure("xen-orchestra", rounds, &[named("xen-orchestra")]);
    let many = tempfile::tempdir().unwrap();
    let path = many.path().join("many.dadl");
    std::fs::write(&path, many_tools()).unwrap();
    measure("10,000 tools", rounds, &[("many".to_owned(), path.display().to_string())]);
    if let Ok(corpus) = std::env::var("DADL_CORPUS") {
        let files = std::fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|it| it == "dadl")).collect();
        files.sort();
        let of_file = |path: &PathBuf| {
            let path = std::path::absolute(path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().replace('.', "-");
            (name, path.display().to_string())
        };
        let mut all: Vec<(String, String)> = files.iter().map(of_file).collect();
        all.extend(BUNDLED.map(|name| (format!("own-{name}"), name.to_owned())));
        measure(&format!("{} descriptors", all.len()), rounds, &all);
    }
}
