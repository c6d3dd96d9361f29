//! Tasks on the command line: the real program, one process after the other.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    tasks::{TOOLS, lines, pending, requests, state, success},
    upstream::Upstream,
};

const HANDLE: &str = "fake:backup:1-a:b";

/// A directory with the descriptor, and the program in it.
struct Shell {
    home: tempfile::TempDir,
    url: String,
}

impl Shell {
    fn new(upstream: &Upstream) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("fake.dadl"), TOOLS).unwrap();
        Self { home, url: upstream.url() }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(arguments)
            .args(["--dadl", "fake.dadl", "--url", &self.url, "--access", "all"])
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.start(arguments).wait_with_output().await.unwrap()
    }
}

fn value(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn one_process_begins_a_task_and_another_ends_it() {
    let running = state(201, json!({ "status": "STARTED", "progress": 40 }));
    let upstream = Upstream::start(vec![pending(), running, success(json!([7]))]).await;
    let shell = Shell::new(&upstream);
    let begun = shell.run(&["call", "backup", "vm=web", "wait=0"]).await;
    assert_eq!(value(&begun)["task"]["handle"], HANDLE);
    let next = format!("the task goes on: `dadl-mcp task {HANDLE} --dadl ");
    assert!(said(&begun).contains(&next), "{}", said(&begun));
    let looked = shell.run(&["task", HANDLE, "--wait", "0"]).await;
    assert_eq!(value(&looked)["task"]["progress"], 40);
    assert_eq!(looked.status.code(), Some(0));
    let ended = shell.run(&["task", HANDLE]).await;
    assert_eq!((value(&ended), ended.status.code()), (json!([7]), Some(0)));
}

#[tokio::test]
async fn a_call_waits_and_a_failure_has_the_exit_code_of_the_api() {
    let failed = state(400, json!({ "status": "FAILURE", "result": { "detail": "no space" } }));
    let upstream = Upstream::start(vec![pending(), failed]).await;
    let shell = Shell::new(&upstream);
    for arguments in [["call", "backup", "vm=web"], ["task", HANDLE, "--json"]] {
        let output = shell.run(&arguments).await;
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(said(&output).contains("failed: no space (state \"FAILURE\")"), "{output:?}");
    }
    let output = shell.run(&["task", "no-handle"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("this is no handle of a task"), "{output:?}");
    let output = shell.run(&["task", "other:backup:1"]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[tokio::test]
async fn a_task_is_cancelled_by_its_handle() {
    let taken = state(200, json!({ "status": "STARTED" }));
    let revoked = state(410, json!({ "status": "REVOKED", "result": null }));
    let upstream = Upstream::start(vec![taken, revoked]).await;
    let output = Shell::new(&upstream).run(&["task", HANDLE, "--cancel"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(value(&output)["task"]["state"], "REVOKED");
    assert!(said(&output).contains("the task was cancelled"), "{output:?}");
    assert_eq!(lines(&upstream)[0], "PUT /api/task/1-a%3Ab/cancel/");
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_stops_the_task_of_a_call_and_other_signals_leave_it() {
    let ended = |signal: &'static str, code, arguments: &'static [&'static str]| async move {
        let running = state(201, json!({ "status": "STARTED" }));
        let first = if arguments[0] == "call" { pending() } else { running.clone() };
        let upstream = Upstream::start(vec![first, running]).await;
        let shell = Shell::new(&upstream);
        let child = shell.start(arguments);
        requests(&upstream, 2).await;
        let id = child.id().unwrap().to_string();
        Command::new("kill").args([signal, &id]).status().await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        (said(&output), lines(&upstream))
    };
    let call: &[&str] = &["call", "backup", "vm=web"];
    let composite: &[&str] = &["call", "both"];
    for arguments in [call, composite] {
        let (said, lines) = ended("-INT", 130, arguments).await;
        assert!(said.contains(&format!("asked the task {HANDLE} to stop")), "{said}");
        assert!(said.contains(&format!("asking the task {HANDLE} to stop")), "{said}");
        assert_eq!(lines.last().map(String::as_str), Some("PUT /api/task/1-a%3Ab/cancel/"));
    }
    for (signal, code) in [("-TERM", 143), ("-HUP", 129)] {
        let (said, lines) = ended(signal, code, call).await;
        let goes_on = format!("the task goes on: `dadl-mcp task {HANDLE} --dadl ");
        assert!(said.contains(&goes_on), "{said}");
        assert!(!lines.iter().any(|line| line.starts_with("PUT ")), "{lines:?}");
    }
    let (said, lines) = ended("-INT", 130, &["task", HANDLE]).await;
    assert!(said.contains("the task goes on"), "{said}");
    assert!(lines.iter().all(|line| line.starts_with("GET ")), "{lines:?}");
}
