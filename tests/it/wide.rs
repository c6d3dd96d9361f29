//! What a person sees on a terminal of 80 columns.

use std::{
    io::{BufRead as _, BufReader},
    process::Command,
};

use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::Value;

use crate::terminal::{Input, begin_on_terminal, on_terminal_of};

/// The descriptors inside the binary, with an address that is theirs alone.
const BUNDLED: &[&str] = &["xen-orchestra", "xo-proxy", "danube-cloud"];
const NOBODY: &str = "http://127.0.0.1:1";

fn command(home: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(arguments).current_dir(home).env_clear();
    command.env("HOME", home.path()).env("TERM", "xterm").env("NO_COLOR", "1");
    command
}

/// Runs on a terminal of so many columns, and returns what it showed.
fn shown(columns: u16, arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    shown_by(columns, command(&home, arguments))
}

fn shown_by(columns: u16, command: Command) -> String {
    let bytes = on_terminal_of(columns, command, Input::Typed(String::new()));
    String::from_utf8(bytes).unwrap()
}

/// Runs with pipes.
fn piped(arguments: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    printed(command(&home, arguments))
}

fn printed(mut command: Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Lines that are wider, but for what has to stay whole to be copied.
fn too_wide(text: &str, columns: usize) -> Vec<&str> {
    let is_one_word = |line: &str| line.contains("`dadl-mcp ") || !line.trim().contains(' ');
    text.lines().filter(|line| line.chars().count() > columns && !is_one_word(line)).collect()
}

#[test]
fn a_list_fits_with_every_request_readable() {
    for dadl in BUNDLED {
        for access in ["all", "read"] {
            let flags = ["list", "--all", "--dadl", dadl, "--url", NOBODY, "--access", access];
            let listed = piped(&flags);
            let text = shown(80, &flags);
            assert_eq!(too_wide(&text, 80), Vec::<&str>::new(), "{dadl}");
            let mut lines = text.lines();
            for tool in listed.as_array().unwrap() {
                let name = tool["name"].as_str().unwrap();
                let begins = |line: &&str| line.split(' ').next() == Some(name);
                let mut line =
                    lines.find(begins).unwrap_or_else(|| panic!("no {name}: {text}")).to_owned();
                let (Some(method), Some(path)) = (tool["method"].as_str(), tool["path"].as_str())
                else {
                    continue;
                };
                if !line.contains(method) {
                    line.push_str(lines.clone().next().unwrap());
                }
                let last = path.rsplit('/').next().unwrap();
                assert!(line.contains(&format!("{method} /")) && line.contains(last), "{line}");
            }
            // Each reason stands once.
            let reasons = text.lines().filter(|line| line.contains("not allowed:")).count();
            let denied = listed.as_array().unwrap().iter().any(|tool| tool["allowed"] == false);
            assert_eq!(reasons > 0, denied, "{text}");
            assert!(reasons < 8, "{text}");
        }
    }
    let wide = shown(160, &["list", "--dadl", "xen-orchestra", "--url", NOBODY]);
    assert!(wide.starts_with("TOOL "), "{wide}");
    assert_eq!(too_wide(&wide, 160), Vec::<&str>::new());
}

#[test]
fn a_tool_is_shown_on_a_screen() {
    let flags = ["--dadl", "xen-orchestra", "--url", NOBODY];
    let show = |more: &[&str]| shown(80, &[&["show", "get_vm"], more, &flags[..]].concat());
    let text = show(&[]);
    assert!(text.lines().count() <= 40, "{text}");
    assert_eq!(too_wide(&text, 80), Vec::<&str>::new());
    assert!(text.contains("backend      xen-orchestra (descriptor"), "{text}");
    assert!(text.contains("Examples: ") && text.contains("get_vm --examples"), "{text}");
    assert!(!text.contains("Input schema") && !text.contains("api."), "{text}");
    assert!(show(&["--examples"]).contains("api."));
    let schema = show(&["--schema"]);
    assert!(schema.contains("Input schema") && schema.contains("\"properties\""), "{schema}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_list_of_objects_is_a_table_with_its_names_whole() {
    // One server for all the calls: each `--demo` is one of its own, of the minute it starts in.
    let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
    let call = |arguments: &[&str]| {
        let (home, url) = (tempfile::tempdir().unwrap(), simulator.url());
        let flags = ["--dadl", "xen-orchestra", "--url", &url];
        let mut command = command(&home, &[&["call"], arguments, &flags].concat());
        command.env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", simulator.token());
        (command, home)
    };
    let shown = |arguments: &[&str]| {
        let (command, _home) = call(arguments);
        shown_by(80, command)
    };
    let flags = ["list_vms", "limit=3", "fields=*"];
    let (command, _home) = call(&flags);
    let vms = printed(command);
    let text = shown(&flags);
    let table: Vec<&str> = text.lines().take(4).collect();
    assert!(table[0].contains("id") && table[0].contains("name_label"), "{text}");
    for (vm, line) in vms.as_array().unwrap().iter().zip(&table[1..]) {
        assert!(line.contains(vm["id"].as_str().unwrap()), "{text}");
        assert!(line.contains(vm["name_label"].as_str().unwrap()), "{text}");
    }
    assert!(text.contains("columns are not shown: "), "{text}");
    assert_eq!(too_wide(&text, 80), Vec::<&str>::new());
    // JSON stays what it was, where it is asked for.
    let json = shown(&[&flags[..], &["--json"]].concat());
    let end = json.rfind("\n]").unwrap() + 2;
    assert_eq!(serde_json::from_str::<Value>(&json[..end]).unwrap(), vms);
    // One object has a line for each member.
    let id = format!("uuid={}", vms[0]["id"].as_str().unwrap());
    let one = shown(&["get_vm", &id]);
    let name = vms[0]["name_label"].as_str().unwrap();
    let is_name = |line: &str| line.starts_with("name_label ") && line.ends_with(name);
    assert!(one.lines().any(is_name), "{one}");
}

#[test]
fn errors_break_between_words() {
    let text = shown(80, &["call", "start_vm", "uid=1", "--demo"]);
    assert!(text.starts_with("error: ") && text.lines().count() > 3, "{text}");
    assert_eq!(too_wide(&text, 80), Vec::<&str>::new());
    let text = shown(80, &["doctor", "--dadl", "xen-orchestra", "--url", NOBODY]);
    assert_eq!(too_wide(&text, 80), Vec::<&str>::new());
}

#[test]
fn nobody_is_asked_on_a_terminal_before_there_is_a_credential() {
    let call = ["call", "delete_vm", "uuid=1", "--access", "all"];
    let text = shown(80, &[&call[..], &["--dadl", "xen-orchestra", "--url", NOBODY]].concat());
    assert!(text.contains("is not set") && !text.contains("[y/N]"), "{text}");
}

#[test]
fn a_tool_that_is_not_allowed_is_named_all_the_same() {
    let text = shown(200, &["call", "strat_vm", "--demo", "--access", "read"]);
    assert!(text.contains("did you mean \"start_vm\"?"), "{text}");
    let text = shown(200, &["show", "strat_vm", "--demo", "--access", "read"]);
    assert!(text.contains("did you mean \"start_vm\"?"), "{text}");
}

/// A person who starts the server by hand learns what it waits for.
/// What `serve` says at a terminal.
fn said_by_serve(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(&home, &[&["serve"], flags].concat());
    command.envs(variables.iter().copied());
    let (mut child, terminal) = begin_on_terminal(80, command, Input::Typed(String::new()));
    let lines = BufReader::new(terminal).lines().map(Result::unwrap);
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        text.push('\n');
        if line == "Ctrl-C ends it." {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[test]
fn serving_at_a_terminal_says_what_to_do_next() {
    let text = said_by_serve(&["--demo"], &[]);
    assert!(text.starts_with("Serving ") && text.contains("tools of xen-orchestra"), "{text}");
    let program = env!("CARGO_BIN_EXE_dadl-mcp");
    for host in ["claude", "codex"] {
        let line = format!("    {host} mcp add xen-orchestra -- {program} serve --demo");
        assert!(text.lines().any(|it| it == line), "{text}");
    }
}

#[test]
fn a_host_gets_the_variables_of_its_own_backends() {
    let flags = ["--dadl", "xen-orchestra", "--url", NOBODY, "--max-result-chars", "900"];
    let variables = [
        ("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "t"),
        ("CREDENTIAL_OTHER_API", "another"),
        ("DADL_MCP_ACCESS", "read"),
    ];
    let text = said_by_serve(&flags, &variables);
    let given = "--env CREDENTIAL_XEN_ORCHESTRA_TOKEN=\"$CREDENTIAL_XEN_ORCHESTRA_TOKEN\" \
                 --env DADL_MCP_ACCESS=\"$DADL_MCP_ACCESS\" -- ";
    assert!(text.contains(given) && text.contains(" --max-result-chars 900"), "{text}");
    assert!(!text.contains("OTHER_API"), "{text}");
}
