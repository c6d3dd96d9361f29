//! What a server has or lacks (`_dadl_mcp.fit`), as the real binary learns it, keeps it and says it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dadl_simulator::{SimulatorOptions, XenOrchestra, XoProxy, XoProxyOptions};
use serde_json::{Value, json};

use crate::{process::Process, xo_world::World};

const LACKED: &str = "POST /hosts/{id}/actions/scan_pifs";
const DOCUMENT: &str = "/rest/v0/docs/swagger.json";

/// A server, and the home of whoever uses it.
struct Bench {
    url: String,
    product: &'static str,
    token: String,
    home: tempfile::TempDir,
}

impl Bench {
    fn new(product: &'static str, url: String, token: &str) -> Self {
        Self { url, product, token: token.to_owned(), home: tempfile::tempdir().unwrap() }
    }

    async fn of_xo(options: SimulatorOptions) -> (Self, XenOrchestra) {
        let options = SimulatorOptions { record: true, task_duration: Duration::ZERO, ..options };
        let simulator = XenOrchestra::start(options).await.unwrap();
        (Self::new("xen-orchestra", simulator.url(), simulator.token()), simulator)
    }

    fn variable(&self) -> String {
        format!("CREDENTIAL_{}_TOKEN", self.product.to_uppercase().replace('-', "_"))
    }

    fn settings(&self, more: &str) -> PathBuf {
        let path = self.home.path().join("backends.yaml");
        let text = format!(
            "backends:\n  - name: {0}\n    dadl: {0}\n    url: {1}\n    access: [all]\n{more}",
            self.product, self.url
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn prepared(&self, command: &mut Command) {
        command.env_clear().env("HOME", self.home.path()).env(self.variable(), &self.token);
    }

    fn serve(&self, settings: &Path) -> Process {
        let arguments = ["serve", "--config", settings.to_str().unwrap()];
        let mut process = Process::with(&arguments, |command| self.prepared(command));
        process.initialize();
        process
    }

    /// Runs a command of one backend; gives exit code, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(arguments);
        if arguments.first() != Some(&"serve") && !arguments.contains(&"--config") {
            command.args(["--dadl", self.product, "--url", &self.url, "--access", "all"]);
        }
        self.prepared(&mut command);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, out, err) = self.run(arguments);
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out}{err}"))
    }

    /// What is kept of the server, without the time.
    fn note(&self) -> Option<Value> {
        let folder = self.home.path().join(".cache/dadl-mcp/fit");
        let files = std::fs::read_dir(folder).ok()?;
        let mut notes = files.map(|file| file.unwrap().path());
        let path = notes.find(|path| path.extension().is_some_and(|end| end == "json"))?;
        let mut note: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        note.as_object_mut().unwrap().remove("checked").unwrap();
        Some(note)
    }

    /// Waits for the note, for as long as the server answers.
    fn learned(&self, process: &mut Process) -> Value {
        for id in 1_000..100_000 {
            if let Some(note) = self.note() {
                return note;
            }
            process.request(id, "ping", &json!({}));
        }
        panic!("nothing was learned");
    }
}

fn listed(process: &mut Process, id: u32) -> Vec<String> {
    let answer = process.request(id, "tools/list", &json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn call(process: &mut Process, id: u32, tool: &str, arguments: &Value) -> String {
    let params = json!({ "name": tool, "arguments": arguments });
    process.request(id, "tools/call", &params)["result"].to_string()
}

fn documents(simulator: &XenOrchestra) -> Vec<dadl_simulator::RecordedRequest> {
    let requests = simulator.take_requests().into_iter();
    requests.filter(|request| request.target == DOCUMENT).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_a_process_does_not_change_and_that_of_the_next_does() {
    let options = SimulatorOptions {
        version: Some("0.33.0".to_owned()),
        lacks: vec![LACKED.to_owned()],
        ..SimulatorOptions::default()
    };
    let (bench, simulator) = Bench::of_xo(options).await;
    let settings = bench.settings("");
    let mut first = bench.serve(&settings);
    let before = listed(&mut first, 2);
    assert!(before.iter().any(|name| name == "scan_host_pifs"));
    assert!(!before.iter().any(|name| name == "join_pool" || name.contains("traffic_rule")));
    // Nobody has used the server: it is asked nothing.
    assert_eq!(simulator.take_requests().len(), 0);
    call(&mut first, 3, "ping", &json!({}));
    let note = bench.learned(&mut first);
    assert_eq!(listed(&mut first, 4), before);
    let asked = documents(&simulator);
    assert_eq!(asked.len(), 1);
    // Whose rights would the list be, otherwise? It comes through MCP all the same.
    assert_eq!(asked[0].header("cookie"), None);
    assert_eq!(asked[0].header("x-xo-client"), Some("mcp"));
    assert_eq!(note["version"], "0.33.0");
    assert!(!note.to_string().contains(&bench.token), "{note}");
    first.end();

    let mut second = bench.serve(&settings);
    let after = listed(&mut second, 2);
    let left: Vec<&String> = before.iter().filter(|name| !after.contains(name)).collect();
    assert_eq!(left, ["scan_host_pifs"]);
    assert!(after.iter().all(|name| before.contains(name)));
    // What is not listed can be called, and the answer says why it is not there.
    let said = call(&mut second, 3, "scan_host_pifs", &json!({ "uuid": "some-host" }));
    let expected = "`scan_host_pifs` needs rest-api 0.37.0 (XO 6.7) or later, and this server has \
                    rest-api 0.33.0 (XO 6.5); update XO";
    assert!(said.contains(expected), "{said}");
    assert!(said.contains("the server has no such operation"), "{said}");
    let requests = simulator.take_requests();
    // The note is fresh: nothing is asked before a server lacks what was called.
    assert!(requests[0].target.ends_with("/actions/scan_pifs"), "{requests:?}");
    // An object that is missing is no operation that is missing.
    let said = call(&mut second, 4, "get_host", &json!({ "uuid": "some-host" }));
    assert!(said.contains("not_found") && !said.contains("no such operation"), "{said}");
    second.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_says_what_it_may_lack_before_anything_is_known() {
    let options =
        SimulatorOptions { lacks: vec![LACKED.to_owned()], ..SimulatorOptions::default() };
    let (bench, _simulator) = Bench::of_xo(options).await;
    let (code, _, err) = bench.run(&["call", "scan_host_pifs", "uuid=x"]);
    assert_eq!(code, Some(5), "{err}");
    let flat = err.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "this server may lack what `scan_host_pifs` needs: rest-api 0.37.0 (XO 6.7) or \
                    later; update XO (Settings, Updates, or a newer build from sources); `dadl-mcp \
                    doctor` says what it has";
    assert!(flat.contains(expected), "{flat}");
    assert_eq!(bench.note(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_holds_no_rights() {
    let world = World::start().await;
    let url = world.simulator.url();
    let administrator = Bench::new("xen-orchestra", url.clone(), world.simulator.token());
    let nobody = Bench::new("xen-orchestra", url, &world.token_of_nobody().await);
    for bench in [&administrator, &nobody] {
        let (_, out, err) = bench.run(&["doctor"]);
        assert!(out.contains("rest-api 0.37.0 (XO 6.7)"), "{out}{err}");
    }
    assert!(administrator.note().is_some());
    assert_eq!(administrator.note(), nobody.note());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_a_plugin_is_listed_where_the_plugin_is() {
    let rules = |bench: &Bench| -> Vec<String> {
        let all = bench.json(&["list", "--json"]);
        let names = all.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap());
        let few = names.filter(|name| name.contains("traffic_rule") || *name == "join_pool");
        few.map(str::to_owned).collect()
    };
    for extras in [false, true] {
        let options = SimulatorOptions { extras, ..SimulatorOptions::default() };
        let (bench, _simulator) = Bench::of_xo(options).await;
        assert!(rules(&bench).is_empty());
        bench.run(&["doctor"]);
        // The document has those that change a rule, and these show the others.
        assert_eq!(rules(&bench).len(), if extras { 7 } else { 0 });
        let all = bench.json(&["list", "--all", "--json"]);
        let find = |name: &str| -> Value {
            let mut tools = all.as_array().unwrap().iter();
            tools.find(|tool| tool["name"] == name).unwrap().clone()
        };
        let tool = find("add_vif_traffic_rule");
        assert_eq!(tool["allowed"], true);
        if !extras {
            assert_eq!((&tool["listed"], &tool["fit"]), (&json!(false), &json!("lacking")));
            let reason = tool["reason"].as_str().unwrap();
            assert!(reason.contains("needs the plugin sdn-controller"), "{reason}");
            let reason = find("join_pool")["reason"].as_str().unwrap().to_owned();
            assert!(reason.contains("call `add_host_to_pool`"), "{reason}");
        }
    }
    // Before that, the operator's word counts.
    let (bench, _simulator) = Bench::of_xo(SimulatorOptions::default()).await;
    let settings = bench.settings("    tools: [add_vif_traffic_rule]\n");
    let mut process = bench.serve(&settings);
    assert_eq!(listed(&mut process, 2)[0], "add_vif_traffic_rule");
    process.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_says_which_methods_it_has() {
    for is_old in [false, true] {
        let options =
            XoProxyOptions { is_old, ..XoProxyOptions::from(SimulatorOptions::default()) };
        let proxy = XoProxy::start(options).await.unwrap();
        let bench = Bench::new("xo-proxy", proxy.url(), proxy.token());
        let (_, out, err) = bench.run(&["doctor"]);
        assert!(out.contains("xo-proxy 0."), "{out}{err}");
        let tools = bench.json(&["list", "--json"]);
        let has = tools.as_array().unwrap().iter().any(|tool| tool["name"] == "list_tasks");
        assert_eq!(has, is_old, "{tools}");
        if !is_old {
            let (_, _, err) = bench.run(&["call", "list_tasks"]);
            let flat = err.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains("has no task.getAll, which `list_tasks` calls"), "{flat}");
            assert!(flat.contains("call `list_running_jobs`"), "{flat}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_left_out_and_why() {
    let options = SimulatorOptions {
        version: Some("0.33.0".to_owned()),
        lacks: vec![LACKED.to_owned()],
        ..SimulatorOptions::default()
    };
    let (bench, _simulator) = Bench::of_xo(options).await;
    let report = bench.json(&["doctor", "--json"]).to_string();
    assert!(report.contains("rest-api 0.33.0 (XO 6.5): 277 of 278 tools"), "{report}");
    let why = "not listed: scan_host_pifs: this server has rest-api 0.33.0 (XO 6.5), and these need \
               rest-api 0.37.0 (XO 6.7) or later";
    assert!(report.contains(why), "{report}");
    assert!(report.contains("kept for the next start: "), "{report}");
    let (bench, _simulator) = Bench::of_xo(SimulatorOptions {
        version: Some("0.41.0".to_owned()),
        ..SimulatorOptions::default()
    })
    .await;
    let report = bench.json(&["doctor", "--json"]).to_string();
    assert!(report.contains("newer than the last that was tried, rest-api 0.37.0"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_says_nothing_about_another() {
    // Half of the tools are missing: it is some other API, or one that would hide its tools.
    let descriptor = include_str!("../../dadl/xen-orchestra.dadl");
    let lacks = descriptor.lines().filter_map(|line| line.strip_prefix("      path: "));
    let paths = lacks.map(|path| path.replace("{uuid}", "{id}"));
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let lacks = paths.flat_map(|path| methods.map(|method| format!("{method} {path}")));
    let keeps = ["/ping", "/docs/swagger.json"];
    let lacks: Vec<String> =
        lacks.filter(|line| !keeps.iter().any(|kept| line.ends_with(kept))).collect();
    let options = SimulatorOptions { lacks, ..SimulatorOptions::default() };
    let (bench, _simulator) = Bench::of_xo(options).await;
    let (_, out, err) = bench.run(&["doctor"]);
    let flat = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("it has less than half of the tools"), "{out}{err}");
    assert_eq!(bench.note(), None);
    // What is known of a server is not known of another.
    let (other, _simulator) = Bench::of_xo(SimulatorOptions::default()).await;
    other.run(&["doctor"]);
    assert_eq!(other.note().unwrap()["base"], other.url.trim_end_matches('/'));
    let elsewhere = Bench { url: bench.url.clone(), ..other };
    let tools = elsewhere.json(&["list", "--json"]);
    assert_eq!(tools.as_array().unwrap().len(), 278);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_it_asks_nothing() {
    let (bench, simulator) = Bench::of_xo(SimulatorOptions::default()).await;
    let settings = bench.settings("    fit: false\n");
    let mut process = bench.serve(&settings);
    call(&mut process, 2, "ping", &json!({}));
    process.end();
    let path = settings.to_str().unwrap();
    let (_, out, _) = bench.run(&["doctor", "--config", path]);
    assert!(!out.contains("fit"), "{out}");
    assert_eq!(documents(&simulator).len(), 0);
    assert_eq!(bench.note(), None);
    // Where nothing can be kept, nothing is lost but that.
    let cache = bench.home.path().join(".cache");
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(cache, "no folder").unwrap();
    let (_, out, _) = bench.run(&["doctor"]);
    assert!(out.contains("all 278 tools"), "{out}");
}
