//! The command line, as the real binary shows it.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::Value;

use crate::{
    api::api,
    upstream::{Answer, Upstream},
};

/// A home directory and the environment of a process that has nothing else.
struct Cli {
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// What a run left behind.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Cli {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.home.path().join(name), text).unwrap();
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(arguments).current_dir(&self.home).env_clear();
        command.env("HOME", self.home.path()).envs(self.variables.clone());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// The result of a run that went well.
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    /// The exit code and standard error of a run that gave no result.
    fn failure(&self) -> String {
        assert_eq!(self.out, "");
        format!("exit {}\n{}", self.code, self.err)
    }
}

const XO: &[&str] = &["--dadl", "xen-orchestra", "--url", "http://127.0.0.1:1/rest/v0"];

/// `arguments` for a Xen Orchestra that is not there.
fn xo<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, XO].concat()
}

#[test]
fn help_and_version_go_to_standard_output() {
    let cli = Cli::new();
    let help = cli.run(&["--help"]);
    assert_eq!((help.code, &*help.err), (0, ""));
    assert!(help.out.contains("Usage: dadl-mcp [OPTIONS] <COMMAND>"));
    let call = cli.run(&["call", "--help"]);
    assert!(call.out.contains("[env: DADL_MCP_CONFIG]"), "{}", call.out);
    let version = cli.run(&["--version"]);
    assert_eq!(version.out, concat!("dadl-mcp ", env!("CARGO_PKG_VERSION"), "\n"));
    let none = cli.run(&[]);
    assert_eq!((none.code, &*none.out), (2, ""));
    assert_eq!(cli.run(&["lst"]).code, 2);
}

#[test]
fn completions_and_manual_pages_come_from_the_definitions() {
    let cli = Cli::new();
    assert!(cli.run(&["completions", "bash"]).out.contains("dadl-mcp"));
    assert!(cli.run(&["man"]).out.contains(".TH dadl-mcp 1"));
    assert!(cli.run(&["man", "serve"]).out.contains(r"http\-token\-file"));
    assert_eq!(cli.run(&["man", "nothing"]).code, 2);
}

#[test]
fn a_search_shows_how_a_model_calls_what_it_finds() {
    let cli = Cli::new();
    let found = cli.run(&xo(&["search", "how full are the datastores"]));
    assert_eq!((found.code, &*found.err), (0, ""));
    let first: Vec<&str> = found.out.lines().take(2).collect();
    assert!(first.iter().any(|line| line.starts_with("list_srs(")), "{}", found.out);
    let json = cli.run(&xo(&["search", "--json", "--only", "xen-orchestra", "get_vm"])).json();
    assert_eq!(json["tools"][0], "get_vm");
    assert!(json["text"].as_str().unwrap().starts_with("get_vm(uuid: string): {"), "{json}");
    // What may not be called is not found.
    assert!(!cli.run(&xo(&["search", "delete a vm"])).out.contains("delete_vm("));
    let few = cli.run(&xo(&["search", "--tokens", "200", "vm"])).out;
    assert!(few.len() <= 800 && few.contains("Also: "), "{few}");
    assert_eq!(cli.run(&xo(&["search"])).code, 2);
    assert_eq!(cli.run(&xo(&["search", "1", "2", "3", "4", "5", "6", "7", "8"])).code, 0);
    assert_eq!(cli.run(&xo(&["search", "1", "2", "3", "4", "5", "6", "7", "8", "9"])).code, 2);
}

#[test]
fn lists_what_is_allowed_and_says_why_the_rest_is_not() {
    let cli = Cli::new();
    let listed = cli.run(&xo(&["list"])).json();
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().all(|tool| tool["access"] == "read" && tool["allowed"] == true));
    let all = cli.run(&xo(&["list", "--all"])).json();
    let all = all.as_array().unwrap();
    assert!(all.len() > listed.len());
    let delete = all.iter().find(|tool| tool["name"] == "delete_vm").unwrap();
    assert_eq!(delete["reason"], "--access does not allow level `dangerous`");
    assert_eq!(delete["remedy"], "start dadl-mcp with `dangerous` in --access");
    let wide = Cli::new().with("DADL_MCP_ACCESS", "all").run(&xo(&["list"])).json();
    // What not every server has is named once that is known.
    let all = Cli::new().with("DADL_MCP_ACCESS", "all").run(&xo(&["list", "--all"])).json();
    let usual = all.as_array().unwrap().iter().filter(|tool| tool["listed"] != false);
    assert_eq!(wide.as_array().unwrap().len(), usual.count());
}

#[test]
fn shows_a_tool_or_the_nearest_name() {
    let cli = Cli::new();
    let tool = cli.run(&xo(&["show", "get_vm"])).json();
    assert_eq!(tool["annotations"]["readOnlyHint"], true);
    assert_eq!(tool["path"], "/vms/{uuid}");
    assert!(tool["definedIn"].as_str().unwrap().starts_with("bundled:xen-orchestra:"));
    insta::assert_snapshot!(cli.run(&xo(&["show", "get_vmm"])).failure(), @r#"
        exit 2
        error: unknown tool "get_vmm"; did you mean "get_vm"?

        hint: `dadl-mcp list --dadl xen-orchestra --url http://127.0.0.1:1/rest/v0` shows the tools
        "#);
}

#[test]
fn a_call_is_refused_before_anything_is_sent() {
    let cli = Cli::new();
    insta::assert_snapshot!(cli.run(&xo(&["call", "delete_vm", "uuid=1"])).failure(), @r#"
        exit 4
        error: tool "delete_vm" is not allowed: --access does not allow level `dangerous`

        hint: add `--access dangerous,read` to the command, if you mean it; `dadl-mcp list --all --dadl xen-orchestra --url http://127.0.0.1:1/rest/v0` shows every tool and why
        "#);
    let dangerous = xo(&["call", "delete_vm", "uuid=1", "--access", "all"]);
    insta::assert_snapshot!(cli.run(&dangerous).failure(), @r#"
        exit 4
        error: tool "delete_vm" was not called: it is dangerous, and there is no terminal to ask on

        hint: add --yes if you mean it
        "#);
    insta::assert_snapshot!(cli.run(&xo(&["call", "get_vm", "uid=1"])).failure(), @r"
        exit 2
        error: the arguments of `get_vm` cannot be used: there is no parameter `uid`, did you mean `uuid`?; `uuid` (string) is required. It takes: uuid (string, required)

        hint: `dadl-mcp show get_vm --dadl xen-orchestra --url http://127.0.0.1:1/rest/v0` describes the arguments
        ");
    insta::assert_snapshot!(cli.run(&xo(&["call", "get_vm", "uuid"])).failure(), @r"
        exit 2
        error: `uuid` is no argument; write key=value, or key:=json
        ");
    insta::assert_snapshot!(cli.run(&xo(&["call", "get_vm", "uuid=1"])).failure(), @r#"
        exit 3
        error: backend "xen-orchestra": credential `xen_orchestra_token` is not set; set CREDENTIAL_XEN_ORCHESTRA_TOKEN or CREDENTIAL_XEN_ORCHESTRA_TOKEN_FILE, or run `dadl-mcp setup xen-orchestra --dadl xen-orchestra --url http://127.0.0.1:1/rest/v0`

        hint: `dadl-mcp doctor --dadl xen-orchestra --url http://127.0.0.1:1/rest/v0` looks closer
        "#);
}

#[test]
fn a_hint_works_when_it_is_pasted() {
    let cli = Cli::new();
    let run = cli.run(&["call", "get_vmm", "--demo"]);
    let hint = run.err.split('`').find(|it| it.starts_with("dadl-mcp ")).unwrap().to_owned();
    assert_eq!(hint, "dadl-mcp list --demo");
    let words: Vec<&str> = hint.split(' ').skip(1).collect();
    assert!(cli.run(&words).json().as_array().unwrap().len() > 200);
    // The flag that is missing allows the call, which then wants a yes.
    let refused = cli.run(&["call", "delete_vm", "uuid=1", "--demo", "--access", "read"]);
    assert_eq!(refused.code, 4);
    let flag = refused.err.split('`').find(|it| it.starts_with("--access ")).unwrap().to_owned();
    let words: Vec<&str> =
        ["call", "delete_vm", "uuid=1", "--demo"].into_iter().chain(flag.split(' ')).collect();
    let again = cli.run(&words);
    assert!(again.err.contains("there is no terminal to ask on"), "{}", again.err);
}

#[test]
fn a_simulated_product_answers_every_command() {
    // A variable of the user's own backend is not for the simulator.
    let cli = Cli::new().with("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "not-the-t0ken");
    let vms = cli.run(&["call", "list_vms", "limit=2", "--demo"]).json();
    assert_eq!(vms.as_array().unwrap().len(), 2);
    assert_eq!(cli.run(&["show", "get_vm", "--demo"]).json()["allowed"], true);
    assert_eq!(cli.run(&["doctor", "--demo"]).json()["ok"], true);
    assert_eq!(cli.run(&["health", "--demo"]).json()["ok"], true);
    let id = vms[0]["id"].as_str().unwrap();
    let done = cli.run(&["call", "snapshot_vm", &format!("uuid={id}"), "name_label=x", "--demo"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(cli.run(&["list", "--demo", "--dadl", "xen-orchestra"]).code, 2);
}

#[test]
fn a_code_is_explained_without_the_network() {
    let cli = Cli::new();
    let run = cli.run(&["explain", "d303"]);
    assert_eq!((run.code, &*run.err), (0, ""));
    assert!(run.out.starts_with("D303  "), "{}", run.out);
    assert!(run.out.contains("\nFails:\n\n    ") && !run.out.contains("```"), "{}", run.out);
    let both = cli.run(&["explain", "D303", "D001", "--json"]).json();
    assert_eq!((&both[0]["code"], &both[1]["code"]), (&"D303".into(), &"D001".into()));
    assert!(cli.run(&["explain"]).out.lines().count() > 100);
    insta::assert_snapshot!(cli.run(&["explain", "D0011"]).failure(), @r#"
        exit 2
        error: there is no code "D0011"; did you mean "D001"?

        hint: `dadl-mcp explain` lists all of them
        "#);
    // What a report says is what can be typed.
    let report = cli.file("bad.dadl", "a: [").run(&["check", "bad.dadl"]);
    assert!(report.out.contains("see: dadl-mcp explain D002"), "{}", report.out);
}

#[test]
fn a_dry_run_shows_the_request_without_a_credential() {
    let arguments = ["call", "list_vms", "limit=2", "fields=id", "filter=name_label:a b"];
    let arguments = xo(&[&arguments[..], &["--dry-run"]].concat());
    insta::assert_snapshot!(Cli::new().run(&arguments).out, @r"
        GET http://127.0.0.1:1/rest/v0/vms?fields=id&filter=name_label%3Aa%20b&limit=2
        accept: application/json

        with Cookie: authenticationToken=[REDACTED]
        ");
}

#[test]
fn arguments_come_from_standard_input() {
    let arguments = xo(&["call", "get_vm", "--args", "-", "--dry-run"]);
    let run = Cli::new().run_with_input(&arguments, r#"{"uuid": "a/b"}"#);
    assert!(run.out.starts_with("GET http://127.0.0.1:1/rest/v0/vms/a%2Fb\n"), "{}", run.out);
}

#[test]
fn says_where_settings_were_looked_for() {
    let cli = Cli::new();
    let text = cli.run(&["list"]).failure();
    insta::assert_snapshot!(text.replace(cli.home.path().to_str().unwrap(), "~"), @r"
        exit 3
        error: there is nothing to load: no --dadl was given, and no backends.yaml was found

        hint: write ~/.config/dadl-mcp/backends.yaml, or begin with `dadl-mcp list --dadl xen-orchestra --url https://..`
        ");
}

#[test]
fn shows_every_problem_of_a_file_with_its_place() {
    let cli = Cli::new().file(
        "backends.yaml",
        "backends:\n  - name: xo\n    dadle: xen-orchestra\n    acess: all\n",
    );
    let run = cli.run(&["list", "--config", "backends.yaml"]);
    insta::assert_snapshot!(run.failure(), @r"
        exit 3
        error[D009]: backend `xo` has no `dadl`
         --> backends.yaml:2:5
          |
        2 |   - name: xo
          |     ^
          |
          = help: add `dadl: ..`
          = see: dadl-mcp explain D009

        error[D008]: unknown key `dadle` in backend `xo`
         --> backends.yaml:3:5
          |
        3 |     dadle: xen-orchestra
          |     ^^^^^
          |
          = help: did you mean `dadl`?
          = see: dadl-mcp explain D008

        error[D008]: unknown key `acess` in backend `xo`
         --> backends.yaml:4:5
          |
        4 |     acess: all
          |     ^^^^^
          |
          = help: did you mean `access`?
          = see: dadl-mcp explain D008

        error: backends.yaml cannot be used: 3 errors

        hint: docs/configuration.md lists every key
        ");
}

#[test]
fn shows_every_problem_of_descriptors() {
    let cli = Cli::new().file("bad.dadl", "spec: https://dadl.ai/spec/dadl-spec-v0.1.md\n").file(
        "backends.yaml",
        "backends:\n  - {name: a, dadl: bad.dadl}\n  - {name: b, dadl: xen-orchestre}\n  \
         - {name: c, dadl: xen-orchestra}\n",
    );
    let run = cli.run(&["list", "--config", "backends.yaml"]);
    insta::assert_snapshot!(run.failure(), @r#"
        exit 3
        error[D009]: the file has no `backend`
         --> bad.dadl:1:1
          |
        1 | spec: https://dadl.ai/spec/dadl-spec-v0.1.md
          | ^ `backend` is required
          |
          = see: dadl-mcp explain D009

        error: backend "a": the descriptor bad.dadl cannot be used
        error: backend "b": descriptor `xen-orchestre` was not found; did you mean `xen-orchestra`?
        error: backend "c": it has no `url`, and its descriptor has no `base_url`

        hint: `dadl-mcp doctor --config backends.yaml` shows what was found where
        "#);
}

#[test]
fn beyond_loopback_a_token_is_required() {
    let run = Cli::new().run(&xo(&["serve", "--http", "0.0.0.0:0"]));
    insta::assert_snapshot!(run.failure(), @r"
        exit 3
        error: 0.0.0.0:0 can be reached from other machines: give a bearer token with --http-token-file, DADL_MCP_HTTP_TOKEN_FILE or DADL_MCP_HTTP_TOKEN, or listen on 127.0.0.1
        ");
}

#[test]
fn the_doctor_says_what_to_do() {
    let run = Cli::new().run(&xo(&["doctor"]));
    assert_eq!(run.code, 1);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["ok"], false);
    let failed: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["health"] == "FAIL")
        .collect();
    assert_eq!(failed.len(), 2, "{report:#}");
    assert!(failed.iter().all(|line| line["hint"].is_string()));
    let credential = failed.iter().find(|line| line["subject"] == "credential").unwrap();
    assert!(credential["finding"].as_str().unwrap().contains("CREDENTIAL_XEN_ORCHESTRA_TOKEN"));
}

#[test]
fn the_doctor_looks_at_what_files_names() {
    let settings = "files: {allow_directories: [gone], ca_file: gone.pem}\n\
                    backends: [{name: xo, dadl: xen-orchestra, url: 'http://127.0.0.1:9'}]\n";
    let run =
        Cli::new().file("backends.yaml", settings).run(&["doctor", "--config", "backends.yaml"]);
    assert!(run.out.contains("gone of `allow_directories` is no directory"), "{}", run.out);
    assert!(run.out.contains("gone.pem cannot be read"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_a_backend() {
    let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
    let url = simulator.url();
    let on = |arguments: &[&str]| {
        let cli = Cli::new().with("CREDENTIAL_XEN_ORCHESTRA_TOKEN", simulator.token());
        let with_url = [arguments, &["--dadl", "xen-orchestra", "--url", &url]].concat();
        cli.run(&with_url)
    };
    let vms = on(&["call", "list_vms", "limit:=1", "fields=name_label"]).json();
    assert!(vms[0]["name_label"].is_string(), "{vms}");
    let report = on(&["doctor"]).json();
    assert_eq!(report["ok"], true, "{report:#}");
    let last = &report["checks"].as_array().unwrap().last().unwrap()["finding"];
    assert!(last.as_str().unwrap().starts_with("HTTP 200 in "), "{report:#}");

    let missing = on(&["call", "get_vm", "uuid=nothing"]);
    assert_eq!((missing.code, &*missing.out), (5, ""));
    assert!(missing.err.starts_with("error: [not_found] HTTP 404"), "{}", missing.err);

    let id = on(&["call", "list_vms", "limit=1", "filter=power_state:Halted"]).json();
    let id = format!("uuid={}", id[0]["id"].as_str().unwrap());
    let deleted = on(&["call", "delete_vm", &id, "--access", "all", "--yes"]);
    assert_eq!(deleted.code, 0, "{}", deleted.err);
    let file = on(&["call", "export_vm_xva", &id]);
    assert_eq!(file.code, 5, "the VM is gone: {}", file.err);

    // A wrong token is told from a missing one.
    let cli = Cli::new().with("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "not-the-t0ken");
    let run = cli.run(&["doctor", "--dadl", "xen-orchestra", "--url", &url]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("the credential is wrong or expired"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn saves_files_and_prints_where() {
    let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
    let url = simulator.url();
    let cli = Cli::new().with("CREDENTIAL_XEN_ORCHESTRA_TOKEN", simulator.token());
    let flags = ["--dadl", "xen-orchestra", "--url", &url, "--files", "exports"];
    let ids = cli.run(&[&["call", "list_vms", "limit=1"], &flags[..]].concat()).json();
    let id = format!("uuid={}", ids[0]["id"].as_str().unwrap());
    let file = cli.run(&[&["call", "export_vm_xva", &id], &flags[..]].concat()).json();
    let path = cli.home.path().join(file["path"].as_str().unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), file["size"].as_u64().unwrap());
    assert!(path.starts_with(cli.home.path().join("exports")));
}

#[test]
fn the_demo_walks_through_the_main_job() {
    let run = Cli::new().run(&["demo", "--files", "exports"]);
    assert_eq!(run.code, 0, "{}", run.err);
    for shown in [
        "285 tools",
        "> list_vms",
        "> migrate_vm",
        "> stream_read",
        r#""state":"success""#,
        "VM web-06: power_state Halted -> Running",
        "VM web-06: $container ",
        "33554432",
        "! the arguments of `start_vm` cannot be used",
        "! [not_found] HTTP 404: no such VM no-such-vm",
        "! tool \"delete_vm\" was not called",
        "claude mcp add xo -- dadl-mcp serve --demo",
    ] {
        assert!(run.out.contains(shown), "no {shown} in:\n{}", run.out);
    }
    assert!(!run.out.contains("[?"), "{}", run.out);
    // In a pipe, where nothing can be drawn again, a call says how it begins and how it ends.
    let saved = run.out.lines().filter(|line| line.contains("saved ") && !line.contains("_note"));
    assert!(saved.count() <= 2, "{}", run.out);
    assert!(run.out.contains(&format!("[{}]", "#".repeat(20))), "{}", run.out);
}

#[test]
fn a_key_without_effect_is_said_when_a_descriptor_is_served() {
    let text = include_str!("../fixtures/check/D008/fail.dadl");
    let run = Cli::new().file("odd.dadl", text).run(&["list", "--dadl", "odd.dadl"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("odd.dadl:") && run.err.contains("it has no effect"), "{}", run.err);
}

/// A descriptor with one tool and one composite.
const COMPOSITE: &str = api!(backend: r#"
  tools:
    list: { method: GET, path: /things, access: read, description: "Lists." }
  composites:
    count:
      description: "Counts."
      params: { add: { type: integer, default: 0 } }
      code: |
        const all: number[] = await api.list();
        console.warn("counting", all);
        if (params.add < 0) throw new Error("too few");
        return { count: all.length + params.add };
"#);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn composites_are_called_like_tools() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1,2,3]")]).await;
    let url = upstream.url();
    let cli = Cli::new().file("fake.dadl", COMPOSITE);
    let on = |arguments: &[&str]| {
        cli.run(&[arguments, &["--dadl", "./fake.dadl", "--url", &url]].concat())
    };
    let run = on(&["call", "count", "add=2"]);
    assert_eq!(run.json(), serde_json::json!({ "count": 5 }));
    assert!(run.err.contains("counting [1,2,3]"), "{}", run.err);

    // Each call of the script is in the log, with the composite that made it.
    let log = on(&["call", "count", "-v", "--log-format", "json"]).err;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let inner = lines.map(|line| line["fields"].clone());
    let inner: Vec<Value> = inner.filter(|fields| fields["message"] == "inner call").collect();
    let expected = (&Value::from("fake"), &Value::from("count"), &Value::from("list"), 200);
    let fields = &inner[0];
    let status = fields["status"].as_u64().unwrap();
    assert_eq!((&fields["backend"], &fields["composite"], &fields["tool"], status), expected);

    let failed = on(&["call", "count", "add:=-1"]);
    assert_eq!((failed.code, &*failed.out), (1, ""));
    assert!(
        failed.err.contains("composite \"count\" failed: too few (line 17 of the descriptor)"),
        "{}",
        failed.err
    );

    let dry = on(&["call", "count", "--dry-run"]);
    assert_eq!(
        dry.out,
        "the composite count would run; what it sends depends on the answers. It may call list\n"
    );
    let shown = on(&["show", "count"]).json();
    assert_eq!(shown["composite_of"], serde_json::json!(["list"]));
    assert!(shown["definedIn"].as_str().unwrap().ends_with(":11"), "{shown}");
    let listed = on(&["list"]).json();
    assert_eq!(listed[1]["name"], "count");
    assert_eq!(on(&["doctor"]).code, 0);
    assert_eq!(cli.run(&["check", "fake.dadl"]).code, 0);
}

#[test]
fn fmt_writes_files_and_prints_standard_input() {
    let text = "# top\na:   1\nb:\n- 'x'   # y\n";
    let expected = "# top\na: 1\nb:\n  - x   # y\n";
    let cli = Cli::new().file("a.dadl", text).file("good.dadl", expected).file("bad.dadl", "a: [");
    let read = |name: &str| std::fs::read_to_string(cli.home.path().join(name)).unwrap();

    let run = cli.run(&["fmt", "--check", "a.dadl", "good.dadl"]);
    assert_eq!((run.code, run.out.as_str()), (1, "a.dadl\n"), "{}", run.err);
    assert_eq!(read("a.dadl"), text, "only looked at");

    let run = cli.run(&["fmt", "bad.dadl", "missing.dadl", "a.dadl", "good.dadl"]);
    assert_eq!((run.code, run.out.as_str()), (1, "a.dadl\n"));
    assert!(run.err.contains("error[D002]") && run.err.contains("missing.dadl"), "{}", run.err);
    assert_eq!((read("a.dadl").as_str(), read("bad.dadl").as_str()), (expected, "a: ["));

    assert_eq!(cli.run(&["fmt", "--check", "a.dadl"]).code, 0);
    let run = cli.run_with_input(&["fmt", "-"], text);
    assert_eq!((run.code, run.out.as_str()), (0, expected));
    let run = cli.run_with_input(&["fmt", "-"], "? a\n: 1\n");
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("standard input:1: a key that is written with `?`"), "{}", run.err);
}

#[test]
fn watch_says_what_cannot_be_watched() {
    let cli = Cli::new();
    let none = cli.run(&xo(&["watch", "xen-orchestra"]));
    assert_eq!(none.code, 2, "{}", none.err);
    assert!(none.err.contains("some are VM, VM-snapshot"), "{}", none.err);
    let wrong = cli.run(&xo(&["watch", "xen-orchestr", "VM"]));
    assert_eq!(wrong.code, 3, "{}", wrong.err);
    assert!(wrong.err.contains("did you mean \"xen-orchestra\"?"), "{}", wrong.err);
}

#[test]
fn watch_prints_events_one_a_line() {
    let mut child = Cli::new()
        .command(&["watch", "--demo", "xen-orchestra", "VM"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["event"], "init");
    assert_eq!(next()["data"]["type"], "VM");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn tools_that_the_operator_exposes_are_listed_beside_the_few() {
    let file = "\
surface: compact
backends:
  - name: xo
    transport: rest
    dadl: xen-orchestra
    url: http://127.0.0.1:9
    expose_tools: [list_vms, \"*_pools\"]
";
    let cli = Cli::new().file("backends.yaml", file).with("XO_TOKEN", "t0ken");
    let counted = |file: &str| {
        let run = cli.run(&["list", "--tokens", "--json", "--config", file]);
        let sizes: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{}", run.err));
        let of_compact = sizes.as_array().unwrap().iter().find(|it| it["list"] == "compact");
        of_compact.unwrap()["tools"].as_u64().unwrap()
    };
    let listed = |file: &str| -> Vec<String> {
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
        let input = [hello, ready, list, ""].join("\n");
        let run = cli.run_with_input(&["serve", "--config", file], &input);
        let answers = run.out.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
        let answer = answers.into_iter().find(|it| it["id"] == 2);
        let tools = answer.unwrap_or_else(|| panic!("{}", run.err))["result"]["tools"].clone();
        tools.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let with = listed("backends.yaml");
    let mut last = with[with.len() - 2..].to_vec();
    last.sort_unstable();
    assert_eq!(last, ["list_pools", "list_vms"], "{with:?}");
    assert_eq!(counted("backends.yaml"), with.len() as u64);
}

#[test]
fn another_mcp_server_is_told_and_the_backends_beside_it_are_examined() {
    let file = "\
backends:
  - name: xo
    dadl: xen-orchestra
    url: http://127.0.0.1:9
  - name: git
    transport: http
    url: http://127.0.0.1:9/mcp
";
    let cli = Cli::new().file("backends.yaml", file);
    let listed = cli.run(&["list", "--config", "backends.yaml"]);
    assert_eq!(listed.code, 0, "{}", listed.out);
    assert!(listed.err.contains("backend \"git\" has no tools"), "{}", listed.err);
    let examined = cli.run(&["doctor", "--json", "--config", "backends.yaml"]);
    let findings: Value = serde_json::from_str(&examined.out).unwrap();
    let of = |backend: &str| -> String {
        let findings = findings["checks"].as_array().unwrap().iter();
        findings.filter(|it| it["backend"] == backend).map(Value::to_string).collect()
    };
    assert!(of("git").contains("127.0.0.1:9"), "{findings}");
    assert!(!of("git").contains("descriptor"), "{findings}");
    assert!(of("xo").contains("descriptor") && !of("xo").contains("MCP server"), "{findings}");
}
