//! How often memory is allocated by what every start and every call does, compared with `figures.json`.
//!
//! Time is noise on a shared machine; allocations are not: the same code makes the same ones, and most of what
//! becomes slower allocates more. Figures that are more than [`ROOM`] away fail, also where there are fewer: then
//! the file is outdated. `UPDATE_ALLOCATIONS=1 cargo test --test allocations` writes it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![expect(clippy::indexing_slicing, reason = "a JSON value that is absent is null")]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
};

use allocation_counter::{AllocationInfo, measure};
use dadl_descriptor::source::SourceText;
use dadl_mcp::{
    app::App,
    call::{self, BaseUrl, CallChannel},
    config::{Settings, SettingsOverrides, credentials::CredentialResolver, env_vars::Environment},
    mcp::{McpServer, serve_streams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::Runtime,
};
use tokio_util::sync::CancellationToken;

/// How far a figure may be from that of the file, as a part of it.
const ROOM: f64 = 0.05;

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/allocations/figures.json");

const XEN_ORCHESTRA: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// What a stage allocates on the thread that does it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct StageFigures {
    allocations: u64,
    bytes: u64,
}

impl StageFigures {
    /// Of one of `times`.
    fn of(info: AllocationInfo, times: u64) -> Self {
        Self { allocations: info.count_total / times, bytes: info.bytes_total / times }
    }

    /// Returns what is too far from what it was, as a sentence.
    fn difference(self, stage: &str, before: Self) -> Option<String> {
        let is_near = |now: u64, before: u64| {
            // Invariant: figures of a start and of a call are far below what a float holds exactly.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            let (now, before) = (now as f64, before as f64);
            (now - before).abs() <= before * ROOM
        };
        let both =
            is_near(self.allocations, before.allocations) && is_near(self.bytes, before.bytes);
        (!both).then(|| {
            let Self { allocations, bytes } = self;
            let Self { allocations: fewer, bytes: less } = before;
            format!("{stage}: {allocations} allocations of {bytes} bytes, {fewer} of {less} before")
        })
    }
}

/// An API that answers each request with the same kilobyte of JSON, on threads that are not measured.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_each(stream));
        }
    });
    address
}

fn answer_each(mut stream: TcpStream) {
    // A tree of it would be as many blocks as it has texts.
    let tags: Vec<String> = (0..60).map(|number| format!("tag-{number:02}")).collect();
    let body = json!({ "id": "x", "name_label": "a".repeat(400), "tags": tags }).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let (mut request, mut used) = ([0; 4096], 0);
    while let Ok(read @ 1..) = stream.read(&mut request[used..]) {
        used += read;
        // The requests of this test have no body.
        if request[..used].ends_with(b"\r\n\r\n") {
            used = 0;
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// What a start makes of the bundled descriptor of Xen Orchestra.
fn app(url: &str, environment: &Environment, home: &Path) -> App {
    let overrides = SettingsOverrides {
        dadl: Some("xen-orchestra".to_owned()),
        url: Some(url.to_owned()),
        files: Some(home.join("files")),
        ..SettingsOverrides::default()
    };
    let settings = Settings::load(&overrides, environment, home).unwrap();
    let credentials = CredentialResolver::new(environment.clone());
    App::build(&settings, &credentials).unwrap().at(CallChannel::Mcp)
}

/// A client of a server in this process; it allocates nothing while it is measured.
struct StreamClient {
    runtime: Runtime,
    stream: DuplexStream,
    answer: Vec<u8>,
}

impl StreamClient {
    fn new(server: McpServer) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stream, theirs) = tokio::io::duplex(1024 * 1024);
        let (read, write) = tokio::io::split(theirs);
        runtime.spawn(serve_streams(server, read, write, CancellationToken::new()));
        Self { runtime, stream, answer: vec![0; 4 * 1024 * 1024] }
    }

    /// Sends a line, and returns the bytes of the answer, a line too.
    fn ask(&mut self, line: &str) -> usize {
        let Self { runtime, stream, answer } = self;
        runtime.block_on(async {
            stream.write_all(line.as_bytes()).await.unwrap();
            let mut used = 0;
            while !answer[..used].ends_with(b"\n") {
                used += stream.read(&mut answer[used..]).await.unwrap();
            }
            used
        })
    }

    fn answered(&self, used: usize) -> Value {
        serde_json::from_slice(&self.answer[..used]).unwrap()
    }
}

/// A request of 2026-07-28, which needs no session.
fn request(method: &str, params: &Value) -> String {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    format!("{request}\n")
}

/// Argument check and plan of one call.
fn plan_figures(app: &App) -> StageFigures {
    let entry = app.gate.catalog().find("get_vm").unwrap();
    let tool = entry.tool().unwrap();
    let base = BaseUrl::parse("https://xo.example.com/rest/v0").unwrap();
    let arguments = || Map::from_iter([("id".to_owned(), json!("x"))]);
    let plan = |arguments| {
        let arguments = call::check_arguments(entry, arguments).unwrap();
        call::plan_call(entry, tool, &base, &arguments, CallChannel::Mcp).unwrap()
    };
    // The first one compiles the schema.
    plan(arguments());
    let arguments = arguments();
    StageFigures::of(measure(|| drop(plan(arguments))), 1)
}

/// What each stage allocates now.
fn figures() -> BTreeMap<&'static str, StageFigures> {
    const CALLS: u64 = 20;
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://{}/rest/v0", upstream());
    let variables = [("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "a-token-of-the-test")];
    let environment: Environment =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // What is made once in a process is no part of a stage.
    drop(app(&url, &environment, home.path()));
    let load = measure(|| drop(dadl_descriptor::load(&SourceText::new("xo", XEN_ORCHESTRA))));
    let mut served = None;
    let start = measure(|| {
        let app = app(&url, &environment, home.path());
        let server = McpServer::new(app.gate.clone(), app.executor.clone().into(), String::new());
        served = Some((app, server));
    });
    let (app, server) = served.unwrap();
    let plan = plan_figures(&app);
    let mut client = StreamClient::new(server);
    let (list, call) = (
        request("tools/list", &json!({})),
        request("tools/call", &json!({ "name": "get_vm", "arguments": { "id": "x" } })),
    );
    let used = client.ask(&list);
    assert!(client.answered(used)["result"]["tools"].as_array().unwrap().len() > 100);
    let used = client.ask(&call);
    assert_eq!(client.answered(used)["result"]["structuredContent"]["id"], "x");
    let list = measure(|| assert!(client.ask(&list) > 0));
    let call = measure(|| (0..CALLS).for_each(|_| assert!(client.ask(&call) > 0)));
    BTreeMap::from([
        ("load", StageFigures::of(load, 1)),
        ("start", StageFigures::of(start, 1)),
        ("plan", plan),
        ("list", StageFigures::of(list, 1)),
        ("call", StageFigures::of(call, CALLS)),
    ])
}

#[test]
fn no_stage_allocates_more_than_it_did() {
    let now = figures();
    #[expect(clippy::disallowed_methods, reason = "a test has no settings")]
    if std::env::var_os("UPDATE_ALLOCATIONS").is_some() {
        let text = serde_json::to_string_pretty(&now).unwrap();
        std::fs::write(FIGURES, format!("{text}\n")).unwrap();
        return;
    }
    let before: BTreeMap<String, StageFigures> =
        serde_json::from_str(&std::fs::read_to_string(FIGURES).unwrap()).unwrap();
    assert_eq!(before.len(), now.len(), "{FIGURES} has other stages");
    let differences: Vec<String> =
        now.iter().filter_map(|(stage, now)| now.difference(stage, before[*stage])).collect();
    assert!(
        differences.is_empty(),
        "{}\nif that is meant: UPDATE_ALLOCATIONS=1 cargo test --test allocations",
        differences.join("\n")
    );
}
