//! Long uploads, as a server sees them that reads and answers when it likes.

use std::sync::{Arc, Mutex};

use dadl_mcp::{
    executor::{CallContext, CallError},
    gate::CallConsent,
    outcome::{CallObserver, CallOutcome, CallProgress},
};
use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, task::JoinHandle};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_tools, text, with_meta},
    upstream::{Answer, ByHand, Upstream},
};

const TOOLS: &str = api!(
    top: r#"
_dadl_mcp:
  uploads:
    overwrite: { size: { tool: get_disk, path: $.disk.size } }"#,
    backend: r#"
  tools:
    import: { method: POST, path: /import, access: read, description: "Imports.", content_type: application/octet-stream }
    get_disk: { method: GET, path: "/disks/{id}", access: read, description: "A disk.", params: { id: { type: string, in: path, required: true }, fields: { type: string, in: query, default: all } } }
    overwrite: { method: PUT, path: "/disks/{id}/content", access: read, description: "Overwrites.", content_type: application/octet-stream, params: { id: { type: string, in: path, required: true }, force: { type: boolean, in: query } } }
"#
);

const SIZE: usize = 4 * 1024 * 1024;
/// More than the sockets of both sides hold.
const LARGE: usize = 512 * 1024 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A call that is being made, and the server's side of it.
struct Bench {
    backend: ByHand,
    harness: Arc<Harness>,
    heard: Arc<Heard>,
}

/// All that was reported.
#[derive(Default)]
struct Heard(Mutex<Vec<CallProgress>>);

impl CallObserver for Heard {
    fn progress(&self, progress: CallProgress) {
        self.0.lock().unwrap().push(progress);
    }
}

impl Bench {
    async fn new() -> Self {
        let backend = Upstream::by_hand().await;
        let harness = Harness::new(TOOLS, &backend.origin(), Fixed(Ok(String::new())), |_| {});
        let directory = harness.executor.files().directory();
        std::fs::create_dir(directory).unwrap();
        for (name, size) in [("small", 1000), ("disk.raw", SIZE), ("large.raw", LARGE)] {
            std::fs::File::create(directory.join(name)).unwrap().set_len(size as u64).unwrap();
        }
        Self { backend, harness: Arc::new(harness), heard: Arc::default() }
    }

    fn import(&self, file: &'static str) -> JoinHandle<Result<CallOutcome, CallError>> {
        let (harness, heard) = (Arc::clone(&self.harness), Arc::clone(&self.heard));
        tokio::spawn(async move {
            let arguments = json!({ "file": file }).as_object().unwrap().clone();
            let pending = harness.gate.check("import", arguments).unwrap();
            let consent = CallConsent::given_for(pending.digest());
            let call = pending.admit_with(&consent).unwrap();
            harness.executor.execute(call, &CallContext::heard_by(&*heard)).await
        })
    }
}

fn ok() -> Answer {
    Answer::json(200, "{}")
}

fn refusal(status: u16) -> Answer {
    Answer::json(status, r#"{"error":"not here"}"#)
}

async fn failure(call: JoinHandle<Result<CallOutcome, CallError>>) -> String {
    call.await.unwrap().unwrap_err().for_model()
}

#[tokio::test]
async fn a_long_body_waits_until_the_server_wants_it() {
    let bench = Bench::new().await;
    let call = bench.import("disk.raw");
    let mut peer = bench.backend.asked().await;
    assert!(peer.says("expect: 100-continue\r\n"), "{}", peer.head);
    assert!(peer.says(&format!("content-length: {SIZE}\r\n")), "{}", peer.head);
    peer.send(CONTINUE).await;
    peer.read(SIZE).await;
    peer.answer(&ok()).await;
    call.await.unwrap().unwrap();
    let heard = bench.heard.0.lock().unwrap();
    let last = heard.last().unwrap();
    assert_eq!((last.done, last.total), (SIZE as u64, Some(SIZE as u64)));
    assert!(last.message.starts_with("sent 4.0 MiB of 4.0 MiB (100 %)"), "{}", last.message);
}

#[tokio::test]
async fn a_server_that_never_asks_gets_the_body_as_well() {
    let bench = Bench::new().await;
    let call = bench.import("disk.raw");
    let mut peer = bench.backend.asked().await;
    peer.read(SIZE).await;
    peer.answer(&ok()).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_short_body_is_sent_at_once() {
    let bench = Bench::new().await;
    let call = bench.import("small");
    let mut peer = bench.backend.asked().await;
    assert!(!peer.says("expect:"), "{}", peer.head);
    peer.read(1000).await;
    peer.answer(&ok()).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_comes_before_the_body() {
    for status in [401, 403, 413] {
        let bench = Bench::new().await;
        let call = bench.import("disk.raw");
        let mut peer = bench.backend.asked().await;
        peer.answer(&refusal(status)).await;
        assert_eq!(peer.closed().await, 0, "nothing of the body was sent");
        let error = failure(call).await;
        assert!(
            error.contains(&format!("HTTP {status}: ")) && error.contains("not here"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_ends_the_body() {
    for closes in [false, true] {
        let bench = Bench::new().await;
        let call = bench.import("large.raw");
        let mut peer = bench.backend.asked().await;
        peer.send(CONTINUE).await;
        peer.read(100_000).await;
        peer.answer(&refusal(413)).await;
        if closes {
            // As servers close a connection whose request they do not want (RFC 9112, section 9.6).
            peer.stream.shutdown().await.unwrap();
        }
        assert!(peer.closed().await < LARGE - 100_000);
        let error = failure(call).await;
        assert!(error.contains("HTTP 413: ") && error.contains("not here"), "{closes}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_meets_no_expectation_is_asked_without() {
    let bench = Bench::new().await;
    let call = bench.import("disk.raw");
    let mut first = bench.backend.asked().await;
    first.answer(&refusal(417)).await;
    assert_eq!(first.closed().await, 0);
    let mut second = bench.backend.asked().await;
    assert!(!second.says("expect:"), "{}", second.head);
    second.read(SIZE).await;
    second.answer(&ok()).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cancelled_upload_closes_its_connection() {
    for (reads, answers) in [(0, false), (100_000, false), (100_000, true)] {
        let bench = Bench::new().await;
        let call = bench.import("large.raw");
        let mut peer = bench.backend.asked().await;
        if reads > 0 {
            peer.send(CONTINUE).await;
            peer.read(reads).await;
        }
        if answers {
            // The answer has begun, and waits for the rest of the request.
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1,").await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert!(peer.closed().await < LARGE - reads);
    }
}

#[tokio::test]
async fn a_file_of_the_wrong_length_is_not_sent() {
    let upstream = Upstream::start(vec![Answer::json(200, r#"{"disk":{"size":5}}"#)]).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    let directory = harness.executor.files().directory();
    std::fs::create_dir(directory).unwrap();
    std::fs::write(directory.join("disk.raw"), "four").unwrap();
    let arguments = json!({ "file": "disk.raw", "id": "a", "force": true });
    let error = harness.call("overwrite", arguments.clone()).await.unwrap_err().for_model();
    assert_eq!(
        error,
        "file \"disk.raw\" has 4 bytes, and `overwrite` takes exactly 5: `get_disk` answers that \
         at $.disk.size; nothing was sent"
    );
    let requests = upstream.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("GET /api/disks/a?fields=all HTTP/1.1\r\n"), "{}", requests[0]);
    std::fs::write(directory.join("disk.raw"), "fifth").unwrap();
    harness.call("overwrite", arguments).await.unwrap();
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[2].starts_with("PUT /api/disks/a/content?force=true "), "{}", requests[2]);
    assert!(requests[2].ends_with("fifth"), "{}", requests[2]);
}

#[tokio::test]
async fn an_upload_whose_length_nobody_knows_is_not_sent() {
    for (status, body, reason) in [
        (200, r#"{"disk":{}}"#, "has nothing at $.disk.size"),
        (200, r#"{"disk":{"size":"large"}}"#, "has nothing at $.disk.size"),
        (200, "[", "has nothing at $.disk.size"),
        (404, r#"{"error":"no such disk"}"#, "no such disk\"} (GET /disks/a)"),
    ] {
        let upstream = Upstream::start(vec![Answer::json(status, body)]).await;
        let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {});
        let directory = harness.executor.files().directory();
        std::fs::create_dir(directory).unwrap();
        std::fs::write(directory.join("disk.raw"), "four").unwrap();
        let arguments = json!({ "file": "disk.raw", "id": "a" });
        let error = harness.call("overwrite", arguments).await.unwrap_err().for_model();
        assert!(error.contains(reason), "{error}");
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_raw_disk_is_overwritten_with_as_many_bytes() {
    let options = SimulatorOptions { record: true, ..SimulatorOptions::default() };
    let simulator = XenOrchestra::start(options).await.unwrap();
    let token = Fixed(Ok(simulator.token().to_owned()));
    let descriptor = include_str!("../../dadl/xen-orchestra.dadl");
    let harness = Harness::new(descriptor, &simulator.url(), token, |_| {});
    let directory = harness.executor.files().directory();
    std::fs::create_dir(directory).unwrap();
    std::fs::write(directory.join("disk.raw"), vec![1; 4096]).unwrap();
    let storages = harness.value("list_srs", json!({ "limit": 1, "fields": "id" })).await;
    let storage = &storages[0]["id"];
    let import = json!({ "sr_uuid": storage, "name_label": "x", "raw": true, "file": "disk.raw" });
    let disk = harness.value("import_vdi_to_sr", import).await["id"].clone();
    let overwrite = json!({ "uuid": disk, "file": "disk.raw" });
    harness.call("import_vdi_to_existing_raw", overwrite.clone()).await.unwrap();
    std::fs::write(directory.join("disk.raw"), vec![1; 4095]).unwrap();
    simulator.take_requests();
    let error = harness.call("import_vdi_to_existing_raw", overwrite).await.unwrap_err();
    let error = error.for_model();
    assert!(
        error.contains("has 4095 bytes, and `import_vdi_to_existing_raw` takes exactly 4096"),
        "{error}"
    );
    let methods: Vec<String> =
        simulator.take_requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["GET"], "nothing of the file was sent");
}

#[tokio::test]
async fn a_host_hears_how_far_an_upload_is() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    for stateless in [false, true] {
        let served = serve_tools(TOOLS, &upstream.url(), |_| {});
        let directory = served.files();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("disk.raw"), vec![7; 3_000_000]).unwrap();
        let mut client = if stateless {
            Client::connect(served)
        } else {
            Client::legacy(served, json!({})).await
        };
        let mut parameters = json!({ "name": "import", "arguments": { "file": "disk.raw" } });
        if stateless {
            parameters = with_meta(parameters);
        }
        parameters["_meta"]["progressToken"] = json!("p");
        client.start(1, "tools/call", parameters).await;
        let mut last = Value::Null;
        let answer = loop {
            let message = client.receive().await;
            if message["id"] == 1 {
                break message;
            }
            assert_eq!(message["params"]["progressToken"], "p", "{message}");
            last = message["params"].clone();
        };
        assert_eq!(text(&answer), "{}");
        assert_eq!((&last["progress"], &last["total"]), (&json!(3e6), &json!(3e6)), "{last}");
        let message = last["message"].as_str().unwrap();
        assert!(message.starts_with("sent 2.8 MiB of 2.8 MiB (100 %)"), "{message}");
    }
}
