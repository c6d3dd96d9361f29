//! `dadl-mcp simulate`: a product to try things on, from the real binary.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use dadl_simulator::PRODUCTS;
use serde_json::Value;

use crate::process::Process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dadl-mcp");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("simulate").args(arguments).env_clear().env("HOME", std::env::temp_dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn refused(arguments: &[&str]) -> (i32, String) {
    let output = command(arguments).output().unwrap();
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A simulator that runs in a process of its own.
struct Simulator {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it said about itself.
    lines: Vec<String>,
}

impl Simulator {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with("Try it: ")) {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended: {lines:?}");
            lines.push(line.trim_end().to_owned());
        }
        Self { child, output, lines }
    }

    /// Runs the line that it offers in a shell, as a person would.
    fn try_it(&self) -> Output {
        let line = self.lines.last().unwrap().strip_prefix("Try it: ").unwrap();
        let directory = std::path::Path::new(PROGRAM).parent().unwrap();
        Command::new("/bin/sh")
            .args(["-c", line])
            .env_clear()
            .env("PATH", directory)
            .env("HOME", std::env::temp_dir())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Sends a signal and returns the exit code and what was written besides.
    #[cfg(unix)]
    fn end(mut self, signal: rustix::process::Signal) -> (Option<i32>, String, String) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
        let code = self.child.wait().unwrap().code();
        let (mut out, mut err) = (String::new(), String::new());
        self.output.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (code, out, err)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
    }
}

#[cfg(unix)]
#[test]
fn each_product_answers_the_call_that_it_offers_and_ends_cleanly() {
    use rustix::process::Signal;
    for (product, signal) in PRODUCTS.iter().zip([Signal::TERM, Signal::INT].iter().cycle()) {
        let simulator = Simulator::start(&[product.name]);
        let shown = simulator.lines.join("\n");
        assert!(shown.contains("listens on http://127.0.0.1:"), "{shown}");
        for host in ["claude", "codex"] {
            let start = format!("Attach it: {host} mcp add {} --env ", product.name);
            let line = simulator.lines.iter().find_map(|line| line.strip_prefix(&start)).unwrap();
            let (variable, command) = line.split_once(" -- dadl-mcp ").unwrap();
            let arguments: Vec<&str> = command.split(' ').collect();
            let mut server = Process::with(&arguments, |command| {
                command.envs(variable.split_once('='));
            });
            server.initialize();
            assert_eq!(server.end(), Some(0));
        }
        assert!(shown.contains(product.title) && shown.contains(product.credential), "{shown}");
        let output = simulator.try_it();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {err}", product.name);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!value.is_null());
        assert_eq!(simulator.end(*signal), (Some(0), String::new(), String::new()));
    }
}

#[cfg(unix)]
#[test]
fn the_credential_can_be_chosen() {
    let simulator = Simulator::start(&["xen-orchestra", "--token", "it's-$ecret"]);
    assert!(simulator.lines.contains(&"Its credential is it's-$ecret".to_owned()));
    let output = simulator.try_it();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    simulator.end(rustix::process::Signal::TERM);
}

#[test]
fn only_this_machine_is_listened_to_unless_said() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let (code, err) = refused(&["xen-orchestra", "--listen", address]);
        assert_eq!(code, 3, "{err}");
        assert!(err.contains(&format!("{address} can be reached from other machines")), "{err}");
        assert!(err.contains("--allow-remote"), "{err}");
    }
    #[cfg(unix)]
    {
        let simulator =
            Simulator::start(&["xen-orchestra", "--listen", "0.0.0.0:0", "--allow-remote"]);
        assert!(simulator.lines[0].contains("http://0.0.0.0:"), "{:?}", simulator.lines);
        simulator.end(rustix::process::Signal::TERM);
    }
}

#[test]
fn a_port_in_use_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, err) = refused(&["xen-orchestra", "--listen", &address]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("cannot listen on {address}")), "{err}");
    assert!(err.contains("Caused by: "), "{err}");
}

#[test]
fn what_cannot_be_simulated_is_said() {
    let (code, err) = refused(&["vcenter"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("xen-orchestra"), "{err}");
    for arguments in [["--token", "a b"], ["--task-duration", "5"], ["--export-size", "much"]] {
        let (code, err) = refused(&[&["xen-orchestra"], &arguments[..]].concat());
        assert_eq!(code, 2, "{err}");
    }
    for product in PRODUCTS.iter().filter(|product| !product.changes) {
        let (code, err) = refused(&[product.name, "--changes", "1"]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("--changes: nothing changes by itself"), "{err}");
    }
}

#[test]
fn a_script_that_means_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.yaml");
    for (script, expected) in [
        ("on: {ping: [{say: 1}]}", "a key `say` in `ping`"),
        ("on: [", "script.yaml"),
        ("greeting: 1", "`greeting` of the script has to be text"),
    ] {
        std::fs::write(&path, script).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["simulate", "mcp", "--script"]).arg(&path).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let mut command = Command::new(PROGRAM);
    command.args(["simulate", "xo-proxy", "--script"]).arg(&path);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
    // A script for people is YAML.
    std::fs::write(&path, "on:\n  ping:\n  - result: {n: 1}\n  - exit: 5\n").unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["simulate", "mcp", "--script"]).arg(&path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let ping = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), ping).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":1}}\n");
}
