//! How long each stage of a call takes: loading, the catalog, checking, planning, and a whole call
//! over loopback beside the same request by a bare client.
//!
//! `DADL_CORPUS` names a folder of other descriptors to load; without it the bundled one is loaded.

#![expect(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use dadl_descriptor::{
    model::{CredentialName, Descriptor},
    source::SourceText,
};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    call::{self, BaseUrl, CallChannel},
    catalog::{BackendTools, Catalog},
    config::{
        BackendSettings, ConfirmPolicy,
        credentials::{CredentialSource, SourceError},
    },
    executor::{CallContext, Executor},
    files::FileStore,
    finding::{SearchRequest, ToolFinder},
    gate::Gate,
    http::{auth::Authenticator, backend::Backend},
    secrets::Secrets,
};
use divan::Bencher;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

const BUNDLED: &str = include_str!("../dadl/xen-orchestra.dadl");

/// The descriptors to load: name and text.
static DESCRIPTORS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let mut texts = BTreeMap::from([("(bundled) xen-orchestra".to_owned(), BUNDLED.to_owned())]);
    #[expect(clippy::disallowed_methods, reason = "a benchmark has no settings")]
    let folder = std::env::var_os("DADL_CORPUS").map(PathBuf::from);
    for entry in folder.iter().flat_map(std::fs::read_dir).flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "dadl") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            texts.extend(std::fs::read_to_string(&path).map(|text| (name, text)));
        }
    }
    texts
});

fn names() -> impl Iterator<Item = &'static str> {
    DESCRIPTORS.keys().map(String::as_str)
}

/// YAML text to a checked descriptor and its findings: what `check` and `serve` do first.
#[divan::bench(args = names())]
fn load(bencher: Bencher<'_, '_>, name: &str) {
    let text = &DESCRIPTORS[name];
    bencher.bench(|| dadl_descriptor::load(&SourceText::new(name, text.as_str())));
}

fn bundled() -> Arc<Descriptor> {
    let loaded = dadl_descriptor::load(&SourceText::new("bundled", BUNDLED));
    Arc::new(loaded.descriptor.expect("the bundled descriptor loads"))
}

fn policy() -> AccessPolicy {
    AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() }
}

fn catalog() -> Catalog {
    let policy = policy();
    Catalog::build(&[BackendTools {
        name: "xo",
        descriptor: bundled(),
        server: None,
        policy: &policy,
        task_wait: None,
    }])
}

/// Names, schemas and descriptions of all tools.
#[divan::bench]
fn catalog_of_the_bundled_descriptor(bencher: Bencher<'_, '_>) {
    let (descriptor, policy) = (bundled(), policy());
    bencher.bench(|| {
        let descriptor = Arc::clone(&descriptor);
        Catalog::build(&[BackendTools {
            name: "xo",
            descriptor,
            server: None,
            policy: &policy,
            task_wait: None,
        }])
    });
}

/// Finds tools among those of fifteen backends, 4,000 of them.
fn finder() -> ToolFinder {
    let names: Vec<String> = (0..15).map(|number| format!("xo{number}")).collect();
    let (descriptor, policy) = (bundled(), policy());
    let backends: Vec<BackendTools<'_>> = names
        .iter()
        .map(|name| BackendTools {
            name,
            descriptor: Arc::clone(&descriptor),
            server: None,
            policy: &policy,
            task_wait: None,
        })
        .collect();
    ToolFinder::new(Arc::new(Catalog::build(&backends)))
}

const QUESTION: &str = "how do I give the mail server eight gigabytes more memory";

/// The index of 4,000 tools, and its first question.
#[divan::bench]
fn first_search(bencher: Bencher<'_, '_>) {
    let request = SearchRequest::new(vec![QUESTION.to_owned()]);
    bencher.with_inputs(finder).bench_local_values(|finder| finder.search(&request));
}

/// A question to 4,000 tools, and what a model reads of the answer.
#[divan::bench]
fn search(bencher: Bencher<'_, '_>) {
    let finder = finder();
    let request = SearchRequest::new(vec![QUESTION.to_owned()]);
    finder.search(&request);
    bencher.bench_local(|| finder.search(&request));
}

fn arguments() -> Map<String, Value> {
    let Value::Object(arguments) =
        json!({ "uuid": "f07ab729-c0e8-721c-45ec-f11276377030", "hostId": "h", "sync": "true" })
    else {
        unreachable!()
    };
    arguments
}

/// The first check of a tool, which compiles its schema.
#[divan::bench]
fn first_check(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(catalog).bench_refs(|catalog| {
        call::check_arguments(catalog.find("start_vm").expect("start_vm"), arguments())
    });
}

/// Argument check, with one coercion, and plan.
#[divan::bench]
fn check_and_plan(bencher: Bencher<'_, '_>) {
    let catalog = catalog();
    let entry = catalog.find("start_vm").expect("start_vm");
    let tool = entry.tool().expect("a tool");
    let base = BaseUrl::parse("https://xo.example.com/rest/v0").expect("a base URL");
    bencher.with_inputs(arguments).bench_values(|arguments| {
        let arguments = call::check_arguments(entry, arguments).expect("the arguments fit");
        call::plan_call(entry, tool, &base, &arguments, CallChannel::Mcp).expect("a plan")
    });
}

/// A backend that answers every request with the same 1 KiB of JSON, on one thread a connection.
fn upstream() -> SocketAddr {
    answering(vec![answer(&format!("{{\"x\":\"{}\"}}", "a".repeat(1016)))])
}

/// A backend that has [`PAGES`] pages of a list, and says how many items there are.
fn paged_upstream() -> SocketAddr {
    let item = |id: usize| json!({ "id": id, "name": format!("item {id}"), "tags": ["a", "b"] });
    let page = |page: usize| {
        let items: Vec<Value> = (page * PAGE..(page + 1) * PAGE).map(item).collect();
        answer(&Value::from(items).to_string())
    };
    answering((0..PAGES).map(page).collect())
}

/// Items on a page.
const PAGE: usize = 100;
/// Pages of a list.
const PAGES: usize = 100;

fn answer(body: &str) -> String {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Total: 10000\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Gives the answer of the page that a request names, the first one otherwise.
fn answering(answers: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answers = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || serve(stream, &answers));
        }
    });
    address
}

/// Returns the page of `GET /items?offset=200 HTTP/1.1`.
fn page_of(request: &[u8]) -> usize {
    let text = std::str::from_utf8(request).unwrap_or_default();
    let digits = text.split_once("offset=").map(|(_, rest)| rest);
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let offset = digits.and_then(|rest| rest[..end(rest)].parse::<usize>().ok());
    offset.unwrap_or(0) / PAGE
}

fn serve(mut stream: TcpStream, answers: &[String]) {
    let _ = stream.set_nodelay(true);
    let mut request = [0; 4096];
    let mut used = 0;
    while let Ok(read @ 1..) = stream.read(&mut request[used..]) {
        used += read;
        // The requests of this benchmark have no body.
        if request[..used].ends_with(b"\r\n\r\n") {
            let answer = &answers[page_of(&request[..used])];
            used = 0;
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

struct Fixed;

impl CredentialSource for Fixed {
    fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
        Ok("a-token-of-the-benchmark".into())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The baseline: the same request, written and read by hand over one kept connection.
#[divan::bench]
fn direct_call(bencher: Bencher<'_, '_>) {
    let mut stream = TcpStream::connect(upstream()).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut answer = [0; 8192];
    bencher.bench_local(move || {
        stream.write_all(b"GET /rest/v0/vms/x HTTP/1.1\r\nHost: h\r\n\r\n").expect("a request");
        let mut used = 0;
        while !answer[..used].ends_with(b"\"}") {
            used += stream.read(&mut answer[used..]).expect("an answer");
        }
        used
    });
}

/// Gate, plan, request, decoding: everything but MCP.
#[divan::bench]
fn whole_call(bencher: Bencher<'_, '_>) {
    call_of(bencher, bundled(), "get_vm");
}

/// The same within a composite: what its thread, engine and script cost.
#[divan::bench]
fn composite_call(bencher: Bencher<'_, '_>) {
    const TEXT: &str = r#"
spec: https://dadl.ai/spec/dadl-spec-v0.2
backend:
  name: xo
  type: rest
  description: One tool and one composite.
  auth: {type: bearer, credential: token}
  tools:
    get_vm: {method: GET, path: "/vms/{uuid}", access: read, description: Gets., params: {uuid: {type: string, in: path}}}
  composites:
    composite:
      description: The same.
      params: {uuid: {type: string, required: true}}
      code: "return await api.get_vm({ uuid: params.uuid });"
"#;
    let loaded = dadl_descriptor::load(&SourceText::new("composite", TEXT));
    call_of(bencher, Arc::new(loaded.descriptor.expect("the descriptor loads")), "composite");
}

/// The baseline of the next one: a loop over all pages with a bare client, which joins the lists.
#[divan::bench]
fn pages_by_hand(bencher: Bencher<'_, '_>) {
    let url = format!("http://{}/items", paged_upstream());
    let runtime = runtime();
    // Another benchmark may have done so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    bencher.bench_local(move || {
        runtime.block_on(async {
            let mut all: Vec<Value> = Vec::new();
            loop {
                let page = format!("{url}?offset={}&limit={PAGE}", all.len());
                let answer = client.get(page).send().await.expect("an answer");
                let total = answer.headers()["x-total"].to_str().expect("a number");
                let total: usize = total.parse().expect("a number");
                let bytes = answer.bytes().await.expect("a body");
                let items: Vec<Value> = serde_json::from_slice(&bytes).expect("a list");
                all.extend(items);
                if all.len() >= total {
                    break Value::from(all).to_string();
                }
            }
        })
    });
}

/// Nine secrets in use, and a list of 10 KB in which there is none: what each answer passes twice.
#[divan::bench]
fn masks_of_10_kb(bencher: Bencher<'_, '_>) {
    let secrets = Secrets::default();
    for number in 0..9 {
        secrets.add("token", &format!("q7Xh2Lw9-{number}-Zt4mB8sVn1Kc6Rd3"));
    }
    let item = |id: usize| {
        json!({
            "uuid": format!("f07ab729-c0e8-721c-45ec-f112763{id:05}"),
            "name_label": format!("virtual machine {id}"),
            "description": "a\nline with \"quotes\" and https://xo.example.com/vms?filter=a%20b",
            "memory": 4_294_967_296_u64 + id as u64,
        })
    };
    let body: bytes::Bytes = Value::from((0..46).map(item).collect::<Vec<_>>()).to_string().into();
    bencher
        .counter(divan::counter::BytesCount::new(body.len()))
        .bench(|| secrets.body(body.clone()));
}

/// All pages of a list, joined: `behavior: auto`.
#[divan::bench]
fn pages_joined(bencher: Bencher<'_, '_>) {
    const TEXT: &str = r#"
spec: https://dadl.ai/spec/dadl-spec-v0.2
backend:
  name: pages
  type: rest
  description: One list.
  auth: {type: bearer, credential: token}
  tools:
    list:
      method: GET
      path: /items
      access: read
      description: Lists.
      pagination:
        strategy: offset
        behavior: auto
        request: {offset_param: offset, limit_param: limit, limit_default: 100}
        response: {total_count_header: X-Total}
"#;
    let loaded = dadl_descriptor::load(&SourceText::new("pages", TEXT));
    let descriptor = Arc::new(loaded.descriptor.expect("the descriptor loads"));
    call_at(bencher, paged_upstream(), descriptor, "list", json!({}));
}

fn call_of(bencher: Bencher<'_, '_>, descriptor: Arc<Descriptor>, tool: &str) {
    call_at(bencher, upstream(), descriptor, tool, json!({ "uuid": "x" }));
}

fn call_at(
    bencher: Bencher<'_, '_>,
    address: SocketAddr,
    descriptor: Arc<Descriptor>,
    tool: &str,
    arguments: Value,
) {
    let url = format!("http://{address}/rest/v0");
    let mut settings = BackendSettings::new("xo".to_owned(), "xen-orchestra");
    settings.policy = policy();
    let authenticator = Authenticator::new(descriptor.auth.clone(), Box::new(Fixed));
    let backend = Backend::new(settings, BaseUrl::parse(&url).expect("a URL"), authenticator);
    let policy = policy();
    let catalog = Catalog::build(&[BackendTools {
        name: "xo",
        descriptor,
        server: None,
        policy: &policy,
        task_wait: None,
    }]);
    let gate = Gate::new(Arc::new(catalog), vec![ConfirmPolicy::Ask]);
    let executor = Executor::new(vec![backend], FileStore::new(std::env::temp_dir()));
    let runtime = runtime();
    let Value::Object(arguments) = arguments else { unreachable!() };
    bencher.bench_local(move || {
        let call = gate.check(tool, arguments.clone()).expect("allowed");
        let call = call.admit().expect("not dangerous");
        runtime.block_on(executor.execute(call, &CallContext::default())).expect("an answer")
    });
}
