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

use std::{net::SocketAddr, time::Instant};

use serde_json::json;
use support::{StdioServer, best, command, median, millis, rounds, upstream};
use tempfile::TempDir;

mod support;

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

fn served(directory: &TempDir, surface: &str) -> StdioServer {
    let arguments = ["serve", "--config", "backends.yaml", "--surface", surface];
    StdioServer::start(command(directory.path(), &arguments))
}

fn backends(count: usize, address: SocketAddr) -> TempDir {
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
    let vm = json!({ "id": "x", "name_label": "web", "tags": vec!["a"; 200] });
    let address = upstream(&vm.to_string());
    let one = backends(1, address);
    let surfaces = ["tools", "compact"];
    let mut figures = [[vec![], vec![], vec![]], [vec![], vec![], vec![]]];
    for _ in 0..rounds(15) {
        for (surface, [time, processor, memory]) in surfaces.iter().zip(&mut figures) {
            let began = Instant::now();
            let mut server = served(&one, surface);
            server.request("tools/list", &json!({}));
            time.push(millis(began.elapsed()));
            processor.push(server.process.processor());
            memory.push(server.process.memory());
        }
    }
    for (surface, [time, processor, memory]) in surfaces.iter().zip(figures) {
        let least = best(&time);
        let (time, processor, memory) = (median(time), median(processor), median(memory));
        println!(
            "{surface:8} list after {time:.1} ms (best {least:.1}), {processor:.1} ms of processors, {memory:.1} MiB"
        );
    }
    let mut server = served(&one, "compact");
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
    let mut server = served(&many, "compact");
    let search = |question: &str| json!({ "queries": [question] });
    let first = millis(server.call("api_search", &search(QUESTIONS[0])));
    let mut times = Vec::new();
    for _ in 0..20 {
        let asked = QUESTIONS.iter().map(|question| server.call("api_search", &search(question)));
        times.extend(asked.map(millis));
    }
    let memory = server.process.memory();
    println!(
        "a search of 15 backends {:.2} ms, the first {first:.1} ms; then {memory:.1} MiB",
        median(times)
    );
}
