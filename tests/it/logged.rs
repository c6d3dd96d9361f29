//! The log is for people: words, and no structures of the program.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Returns what of a text looks like `Debug` of a Rust value: `Name { field: ..`, `Some(..`.
fn debug_text(text: &str) -> Option<&str> {
    text.lines().find(|line| {
        let is_struct = line.match_indices(" { ").any(|(at, _)| {
            let name = line[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap();
            name.starts_with(char::is_uppercase)
        });
        let variants = ["Some(", "None,", "Ok(", "Err(", "ErrorCode(", "Error(", "Session("];
        is_struct || variants.iter().any(|variant| line.contains(variant))
    })
}

#[test]
fn debug_text_is_recognised() {
    for line in ["error=ErrorData { code: 1 }", "port: Some(1)", "code: ErrorCode(-32602)"] {
        assert_eq!(debug_text(line), Some(line));
    }
    for line in ["{\"a\": { \"b\": 1 } }", "listening on http://127.0.0.1:1/mcp", "a { b } c"] {
        assert_eq!(debug_text(line), None, "{line}");
    }
}

/// Everything that a client can get wrong, and what it may send.
fn messages() -> Vec<Value> {
    let request = |id: u32, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    vec![
        request(1, "initialize", json!({})),
        request(
            1,
            "initialize",
            json!({
                "protocolVersion": "2025-03-26", "capabilities": { "elicitation": {} },
                "clientInfo": { "name": "t", "version": "1" },
            }),
        ),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        request(2, "no/such", json!({})),
        request(3, "tools/list", json!({ "cursor": "x" })),
        request(4, "tools/call", json!({ "name": "no_such_tool" })),
        request(5, "tools/call", json!({ "name": "get_vm", "arguments": { "uuid": "nope" } })),
        request(6, "tools/call", json!({ "name": "delete_vm", "arguments": {} })),
        request(7, "prompts/get", json!({ "name": "zz" })),
        request(8, "resources/read", json!({ "uri": "xo://VM/none" })),
        request(9, "completion/complete", json!({})),
        request(10, "tasks/get", json!({ "taskId": "x" })),
        json!([request(11, "ping", json!({})), {}, 7]),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 99 } }),
        json!({ "jsonrpc": "2.0", "id": 12345, "result": {} }),
        request(12, "ping", json!({})),
    ]
}

fn log_of(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["serve", "--demo"])
        .args(flags)
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for message in messages() {
        writeln!(input, "{message}").unwrap();
    }
    // All before the last one has been read.
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"id\":12,") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the server is gone");
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn faults_of_clients_are_told_to_them_and_not_to_the_operator() {
    for flags in [&[] as &[&str], &["-q"]] {
        let log = log_of(flags, &[]);
        // That the list is long is the operator's concern.
        let told: Vec<&str> =
            log.lines().filter(|line| !line.contains("are listed, and")).collect();
        assert!(told.is_empty(), "{flags:?}: {told:?}");
    }
}

#[test]
fn what_is_logged_has_words() {
    for format in ["text", "json"] {
        let log = log_of(&["-v", "--log-format", format], &[]);
        assert!(log.contains("answered"), "{log}");
        assert_eq!(debug_text(&log), None, "{log}");
    }
}

#[test]
fn nothing_is_logged_as_the_program_sees_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, start) in text.match_indices("tracing::") {
                let call = &text[at + start.len()..];
                let macros = ["trace!", "debug!", "info!", "warn!", "error!"];
                if !macros.iter().any(|name| call.starts_with(name)) {
                    continue;
                }
                let call = call.split(';').next().unwrap();
                let is_debug = call.contains(":?}")
                    || call.match_indices('?').any(|(at, _)| {
                        call[at + 1..].starts_with(|next: char| next.is_alphabetic() || next == '_')
                    });
                assert!(!is_debug, "{}: tracing::{call}", path.display());
            }
        }
    }
}
