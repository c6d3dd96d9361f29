//! `/files` beside `/mcp`: a client puts a file there, tools send it and save others, and the
//! client fetches those. On real sockets, without an HTTP library on this side.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use dadl_mcp::{
    config::{FileSettings, OperatorLimits},
    files::{FileStore, SystemResolver},
    mcp::{self, HttpOptions, McpServer},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{STATELESS, failure, text, with_meta},
    upstream::{Answer, Upstream},
};

mod handles;

const TOOLS: &str = api!(backend: r#"
  tools:
    attach:
      method: POST
      path: /attachments
      access: read
      description: "Attaches."
      content_type: multipart/form-data
      params: { file: { type: file_url, in: body, required: true } }
    export: { method: GET, path: /export.pdf, access: read, description: "Exports.", response: { type: file_url, ttl: 1h } }
"#);

struct Site {
    address: SocketAddr,
    harness: Harness,
    upstream: Upstream,
    now: Arc<Mutex<SystemTime>>,
    shutdown: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The answer to a request.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Site {
    async fn start(answers: Vec<Answer>, settings: FileSettings) -> Self {
        Self::start_with(answers, settings, |_| {}).await
    }

    async fn start_with(
        answers: Vec<Answer>,
        settings: FileSettings,
        change: impl FnOnce(&mut HttpOptions),
    ) -> Self {
        Self::start_bounded(answers, settings, OperatorLimits::default(), change).await
    }

    async fn start_bounded(
        answers: Vec<Answer>,
        settings: FileSettings,
        limits: OperatorLimits,
        change: impl FnOnce(&mut HttpOptions),
    ) -> Self {
        Self::start_of(TOOLS, answers, settings, limits, change).await
    }

    async fn start_of(
        tools: &str,
        answers: Vec<Answer>,
        settings: FileSettings,
        limits: OperatorLimits,
        change: impl FnOnce(&mut HttpOptions),
    ) -> Self {
        let upstream = Upstream::start(answers).await;
        let now = Arc::new(Mutex::new(SystemTime::now()));
        let clock = Arc::clone(&now);
        let files = |directory| {
            let clock = Arc::new(move || *clock.lock().unwrap());
            FileStore::with_parts(directory, settings, clock, Arc::new(SystemResolver))
        };
        let credential = Fixed(Ok(String::new()));
        let harness = Harness::with_files(tools, &upstream.url(), credential, |_| {}, files);
        let executor = Arc::new(harness.executor.clone().with_limits(limits));
        let server = McpServer::new(harness.gate.clone(), executor, "One fake.".to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = HttpOptions {
            listen: address,
            token: None,
            allowed_origins: vec!["https://app.example".to_owned()],
            allowed_hosts: Vec::new(),
        };
        change(&mut options);
        let shutdown = CancellationToken::new();
        tokio::spawn(mcp::serve_listener(server, listener, options, shutdown.clone()));
        Self { address, harness, upstream, now, shutdown }
    }

    async fn connect(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn send(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n",
            body.len()
        );
        if !fields.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = self.connect(&(head + "\r\n")).await;
        // A server that refuses need not read on.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let blank = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..blank].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: answer[blank + 4..].to_vec() }
    }

    async fn upload(&self, name: &str, body: &[u8]) -> Value {
        let reply = self.send("PUT", &format!("/files/{name}"), &[], body).await;
        assert_eq!(reply.status, 201, "{}", reply.head);
        reply.json()
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let parameters = json!({ "name": tool, "arguments": arguments });
        self.ask("tools/call", tool, parameters).await
    }

    /// Sends a request of 2026-07-28 about what `name` names.
    async fn ask(&self, method: &str, name: &str, parameters: Value) -> Value {
        let parameters = with_meta(parameters);
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let mut fields = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", STATELESS),
            ("Mcp-Method", method),
        ];
        if !name.is_empty() {
            fields.push(("Mcp-Name", name));
        }
        self.send("POST", "/mcp", &fields, message.to_string().as_bytes()).await.json()
    }

    /// Sends requests in a session of 2025-11-25 and returns their results or errors.
    async fn in_session(&self, requests: &[(&str, Value)]) -> Vec<Value> {
        let answers = self.streams_in_session(requests).await;
        answers.into_iter().map(|mut messages| messages.pop().unwrap()).collect()
    }

    /// The same with the notifications before each of them.
    async fn streams_in_session(&self, requests: &[(&str, Value)]) -> Vec<Vec<Value>> {
        let json = ("Content-Type", "application/json");
        let accept = ("Accept", "application/json, text/event-stream");
        let parameters = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let hello =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": parameters });
        let reply = self.send("POST", "/mcp", &[json, accept], hello.to_string().as_bytes()).await;
        let session = reply.field("mcp-session-id").unwrap().to_owned();
        let fields =
            [json, accept, ("Mcp-Session-Id", &*session), ("MCP-Protocol-Version", "2025-11-25")];
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.send("POST", "/mcp", &fields, ready.to_string().as_bytes()).await;
        let mut answers = Vec::new();
        for (method, parameters) in requests {
            let message =
                json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
            let reply = self.send("POST", "/mcp", &fields, message.to_string().as_bytes()).await;
            answers.push(messages(&reply));
        }
        answers
    }

    fn stored(&self) -> usize {
        let store = self.harness.executor.files().directory().join(".store");
        std::fs::read_dir(store).map_or(0, Iterator::count)
    }
}

/// The messages of an event stream, or the one that a plain answer is.
fn messages(reply: &Reply) -> Vec<Value> {
    let body = String::from_utf8(reply.body.clone()).unwrap();
    let data = body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    data.filter(|data| data.starts_with('{'))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[tokio::test]
async fn a_client_hears_how_far_a_download_is() {
    let body = vec![7; 3_000_000];
    let export = Answer::full(200, &[("Content-Type", "application/pdf")], &body);
    let site = Site::start(vec![export], defaults()).await;
    let call = json!({ "name": "export", "arguments": {}, "_meta": { "progressToken": "p" } });
    let legacy = site.streams_in_session(&[("tools/call", call.clone())]).await.remove(0);
    let mut parameters = with_meta(call);
    parameters["_meta"]["progressToken"] = json!("p");
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters });
    let fields = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", STATELESS),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "export"),
    ];
    let reply = site.send("POST", "/mcp", &fields, message.to_string().as_bytes()).await;
    for mut messages in [legacy, messages(&reply)] {
        let answer = messages.pop().unwrap();
        assert_eq!(answer["result"]["structuredContent"]["size"], 3_000_000, "{answer}");
        let last = &messages.last().unwrap()["params"];
        assert_eq!((&last["progress"], &last["total"]), (&json!(3e6), &json!(3e6)), "{last}");
        let message = last["message"].as_str().unwrap();
        assert!(message.starts_with("saved 2.8 MiB of 2.8 MiB (100 %)"), "{message}");
    }
}

fn defaults() -> FileSettings {
    FileSettings::default()
}

#[tokio::test]
async fn an_upload_is_sent_by_a_tool() {
    let site = Site::start(vec![Answer::json(200, "{}")], defaults()).await;
    let uploaded = site.upload("a%20%22b%22.png", b"\x89PNG bytes").await;
    assert_eq!(uploaded["name"], "a \"b\".png");
    assert_eq!(uploaded["content_type"], "image/png");
    assert_eq!(uploaded["size"], 10);
    assert!(uploaded["expires"].as_str().unwrap().ends_with('Z'));
    let absolute = format!("http://{}{}", site.address, uploaded["url"].as_str().unwrap());
    for reference in [&uploaded["file"], &uploaded["url"], &json!(absolute)] {
        let answer = site.call("attach", json!({ "file": reference })).await;
        assert_eq!(text(&answer), "{}", "{reference}");
    }
    let requests = site.upstream.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(
            request.contains("filename=\"a %22b%22.png\"\r\nContent-Type: image/png"),
            "{request}"
        );
        assert!(request.contains("PNG bytes"), "{request}");
    }
}

#[tokio::test]
async fn what_a_tool_saved_is_fetched() {
    let pdf = Answer::full(200, &[("Content-Type", "application/pdf")], b"%PDF-1.7 text");
    let settings =
        FileSettings { public_url: Some("https://mcp.example".to_owned()), ..defaults() };
    let site = Site::start(vec![pdf], settings).await;
    let answer = site.call("export", json!({})).await;
    let saved = &answer["result"]["structuredContent"];
    let url = saved["url"].as_str().unwrap();
    let path = url.strip_prefix("https://mcp.example").unwrap();
    assert!(text(&answer).starts_with(&format!("saved to {url} (13 bytes, application/pdf, ")));
    assert!(!answer.to_string().contains(".store"), "paths of the server are its own: {answer}");
    let reply = site.send("GET", path, &[], b"").await;
    assert_eq!((reply.status, &*reply.body), (200, &b"%PDF-1.7 text"[..]));
    assert_eq!(reply.field("content-type"), Some("application/pdf"));
    assert_eq!(reply.field("content-length"), Some("13"));
    assert_eq!(reply.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        reply.field("content-disposition"),
        Some("attachment; filename=\"export.pdf\"; filename*=UTF-8''export.pdf")
    );
    let head = site.send("HEAD", path, &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-length"), Some("13"));
    let part = site.send("GET", path, &[("Range", "bytes=5-7")], b"").await;
    assert_eq!((part.status, &*part.body), (206, &b"1.7"[..]));
    assert_eq!(part.field("content-range"), Some("bytes 5-7/13"));
    assert_eq!(site.send("GET", path, &[("Range", "bytes=13-")], b"").await.status, 416);
    // The next tool sends it on.
    site.call("attach", json!({ "file": saved["file"] })).await;
    assert!(site.upstream.requests()[1].contains("%PDF-1.7 text"));
}

#[tokio::test]
async fn files_expire() {
    let pdf = Answer::full(200, &[("Content-Type", "application/pdf")], b"%PDF");
    let site = Site::start(vec![pdf], defaults()).await;
    let answer = site.call("export", json!({})).await;
    let path = answer["result"]["structuredContent"]["url"].as_str().unwrap().to_owned();
    *site.now.lock().unwrap() += Duration::from_secs(3599);
    assert_eq!(site.send("GET", &path, &[], b"").await.status, 200);
    *site.now.lock().unwrap() += Duration::from_secs(1);
    let reply = site.send("GET", &path, &[], b"").await;
    assert_eq!(reply.status, 404);
    assert_eq!(site.stored(), 0);
    let answer = site.call("attach", json!({ "file": path })).await;
    let error = failure(&answer);
    assert!(error.contains("is not in the store; it may have expired"), "{error}");
    assert!(error.contains("upload it with PUT to /files"), "{error}");
}

#[tokio::test]
async fn a_file_whose_time_is_over_by_the_clock_alone_stays() {
    let pdf = Answer::full(200, &[("Content-Type", "application/pdf")], b"%PDF");
    let site = Site::start(vec![pdf], defaults()).await;
    let answer = site.call("export", json!({})).await;
    let path = answer["result"]["structuredContent"]["url"].as_str().unwrap().to_owned();
    let directory = site.harness.executor.files().directory();
    // The clock of this machine has jumped behind what the record says.
    let mut records = 0;
    for entry in std::fs::read_dir(directory.join(".store")).unwrap() {
        let record = entry.unwrap().path();
        if record.extension().is_some_and(|it| it == "json") {
            let mut fields: Value =
                serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
            assert!(fields["expires"].as_u64().unwrap() > 1);
            fields["expires"] = json!(1);
            std::fs::write(&record, fields.to_string()).unwrap();
            records += 1;
        }
    }
    assert_eq!(records, 1);
    // Another process looks at it for the first time.
    let clock = Arc::new(SystemTime::now);
    let resolver = Arc::new(SystemResolver);
    let other = FileStore::with_parts(directory.to_owned(), defaults(), clock, resolver);
    other.publish();
    let credential = Fixed(Ok(String::new()));
    let url = site.upstream.url();
    let harness = Harness::with_files(TOOLS, &url, credential, |_| {}, |_| other);
    let id = path.split('/').find(|part| part.len() == 32).unwrap();
    // What the API answers to it is no matter of this test.
    let _ = harness.call("attach", json!({ "file": format!("dadl-file:{id}") })).await;
    let requests = site.upstream.requests();
    assert!(requests.len() == 2 && requests[1].contains("%PDF"), "{requests:?}");
    assert_eq!(site.send("GET", &path, &[], b"").await.status, 200);
}

#[tokio::test]
async fn nothing_else_is_behind_the_path() {
    let site = Site::start(vec![], defaults()).await;
    let uploaded = site.upload("x.txt", b"x").await;
    let id = uploaded["url"].as_str().unwrap().strip_prefix("/files/").unwrap().to_owned();
    std::fs::write(site.harness.executor.files().directory().join("mine.txt"), "x").unwrap();
    let upper = id.to_uppercase();
    for name in [
        "mine.txt",
        ".store",
        "..",
        "../mine.txt",
        "%2e%2e%2fmine.txt",
        ".store%2f",
        &upper,
        &format!("{id}.json"),
        &format!("{id}/"),
        "00000000000000000000000000000000",
    ] {
        let reply = site.send("GET", &format!("/files/{name}"), &[], b"").await;
        assert_eq!(reply.status, 404, "{name}");
    }
    assert_eq!(site.send("GET", "/files", &[], b"").await.status, 405);
    assert_eq!(site.send("GET", "/files/", &[], b"").await.status, 405);
    let refused = site.send("PATCH", &format!("/files/{id}"), &[], b"").await;
    assert_eq!(refused.field("allow"), Some("DELETE, GET, HEAD, POST, PUT"));
    assert_eq!(site.send("DELETE", "/files/", &[], b"").await.status, 405);
    for name in ["mine.txt", ".store", &format!("{id}.json"), &"0".repeat(32)] {
        let reply = site.send("DELETE", &format!("/files/{name}"), &[], b"").await;
        assert_eq!(reply.status, 404, "{name}");
    }
    // The name of an upload is no path.
    let named = site.upload("..%2f..%2fetc%2fpasswd", b"y").await;
    assert_eq!(named["url"].as_str().unwrap().len(), "/files/".len() + 32);
    let answer = site.call("attach", json!({ "file": format!(".store/{id}") })).await;
    assert!(failure(&answer).contains("lies outside"), "{answer}");
}

#[tokio::test]
async fn the_checks_are_those_of_the_protocol() {
    let site = Site::start_with(vec![], defaults(), |options| {
        options.token = Some("sesame".to_owned().into());
        options.allowed_hosts = vec!["localhost".to_owned()];
    })
    .await;
    let token = ("Authorization", "Bearer sesame");
    let put = async |fields: &[(&str, &str)]| site.send("PUT", "/files/a", fields, b"x").await;
    let accepted = put(&[token]).await;
    assert_eq!(accepted.status, 201);
    let path = accepted.json()["url"].as_str().unwrap().to_owned();
    for fields in [&[][..], &[("Authorization", "Bearer sesam")]] {
        assert_eq!(put(fields).await.status, 401);
        let reply = site.send("GET", &path, fields, b"").await;
        assert_eq!(reply.status, 401);
        assert_eq!(site.send("DELETE", &path, fields, b"").await.status, 401);
        assert_eq!(reply.field("www-authenticate"), Some("Bearer"));
    }
    for wrong in [("Host", "evil.example"), ("Origin", "https://evil.example")] {
        assert_eq!(put(&[token, wrong]).await.status, 403, "{wrong:?}");
        assert_eq!(site.send("GET", &path, &[token, wrong], b"").await.status, 403, "{wrong:?}");
    }
    assert_eq!(site.stored(), 2, "one upload and what is known about it");
    let app = ("Origin", "https://app.example");
    let other = accepted_again(&site, &[token, app]).await;
    assert_eq!(site.send("DELETE", &other, &[token, app], b"").await.status, 204);
    assert_eq!(site.stored(), 2);
    let reply = site.send("GET", &path, &[token, app], b"").await;
    assert_eq!(reply.field("access-control-allow-origin"), Some("https://app.example"));
    let preflight = site.send("OPTIONS", "/files", &[app], b"").await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.field("access-control-allow-methods").unwrap().contains("PUT"));
}

async fn accepted_again(site: &Site, fields: &[(&str, &str)]) -> String {
    let reply = site.send("PUT", "/files/b", fields, b"y").await;
    reply.json()["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_that_is_deleted_is_gone() {
    let site = Site::start(vec![Answer::json(200, "{}")], defaults()).await;
    let uploaded = site.upload("a.txt", b"hello").await;
    let path = uploaded["url"].as_str().unwrap();
    let reply = site.send("DELETE", path, &[], b"").await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(site.stored(), 0);
    assert_eq!(site.send("GET", path, &[], b"").await.status, 404);
    assert_eq!(site.send("DELETE", path, &[], b"").await.status, 404);
    let answer = site.call("attach", json!({ "file": uploaded["file"] })).await;
    assert!(failure(&answer).contains("is not in the store"), "{answer}");
}

#[tokio::test]
async fn a_saved_file_is_linked_and_read_in_ranges() {
    let content = b"%PDF-1.7\xff text".to_vec();
    let pdf = Answer::full(200, &[("Content-Type", "application/pdf")], &content);
    let site = Site::start(vec![pdf], defaults()).await;
    let answer = site.call("export", json!({})).await;
    let saved = &answer["result"]["structuredContent"];
    let link = &answer["result"]["content"][1];
    let uri = link["uri"].as_str().unwrap().to_owned();
    assert_eq!(link["type"], "resource_link");
    assert_eq!(uri, saved["file"]);
    assert_eq!(
        (&link["name"], &link["mimeType"], &link["size"]),
        (&json!("export.pdf"), &json!("application/pdf"), &json!(content.len()))
    );
    assert_eq!(link["_meta"]["expires"], saved["expires"]);
    let expires = saved["expires"].as_str().unwrap();
    assert_eq!(link["description"], format!("kept until {expires}"));
    let part = format!("{uri}?offset=5&length=4");
    let read = |uri: &str| ("resources/read", json!({ "uri": uri }));
    let beyond = format!("{uri}?offset={}", content.len());
    let unknown = format!("dadl-file:{}", "0".repeat(32));
    let legacy = site
        .in_session(&[
            read(&uri),
            read(&part),
            read(&beyond),
            read(&unknown),
            ("resources/list", json!({})),
            ("resources/templates/list", json!({})),
        ])
        .await;
    let mut stateless = Vec::new();
    for uri in [&uri, &part, &beyond, &unknown] {
        stateless.push(site.ask("resources/read", uri, json!({ "uri": uri })).await);
    }
    stateless.push(site.ask("resources/list", "", json!({})).await);
    stateless.push(site.ask("resources/templates/list", "", json!({})).await);
    for (answers, missing) in [(legacy, -32002), (stateless, -32602)] {
        let whole = &answers[0]["result"]["contents"][0];
        let expected = json!({
            "uri": uri, "mimeType": "application/pdf", "blob": "JVBERi0xLjf/IHRleHQ=",
            "_meta": { "offset": 0, "length": content.len(), "size": content.len() },
        });
        assert_eq!(whole, &expected);
        let expected = json!({
            "uri": part, "mimeType": "application/pdf", "blob": "MS43/w==",
            "_meta": { "offset": 5, "length": 4, "size": content.len() },
        });
        assert_eq!(answers[1]["result"]["contents"][0], expected);
        assert_eq!(answers[2]["error"]["code"], -32602, "{}", answers[2]);
        let message = answers[2]["error"]["message"].as_str().unwrap();
        assert!(message.contains("is beyond the end: the file has 14 bytes"), "{message}");
        assert_eq!(answers[3]["error"]["code"], missing, "{}", answers[3]);
        assert_eq!(answers[4]["result"]["resources"], json!([]), "ids are secrets");
        let template = &answers[5]["result"]["resourceTemplates"][0];
        assert_eq!(template["uriTemplate"], "dadl-file:{id}{?offset,length}");
    }
    // Names of the server's own disk are none of its clients' business.
    let store = site.harness.executor.files().directory();
    std::fs::write(store.join("mine.txt"), "x").unwrap();
    let uri = format!("file://{}", store.join("mine.txt").display());
    let answer = site.ask("resources/read", &uri, json!({ "uri": uri })).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn quotas_bound_what_clients_leave() {
    let settings = FileSettings {
        max_upload_bytes: 4,
        max_total_bytes: Some(6),
        max_files: Some(3),
        ..defaults()
    };
    let site = Site::start(vec![Answer::json(200, "{}")], settings).await;
    let put = async |body: &[u8]| {
        let reply = site.send("PUT", "/files/a", &[], body).await;
        let error = serde_json::from_slice::<Value>(&reply.body).unwrap()["error"].to_string();
        (reply.status, error)
    };
    let (status, error) = put(b"12345").await;
    assert_eq!(status, 413);
    assert!(error.contains("`max_upload_size` of `files`"), "{error}");
    assert_eq!(put(b"1234").await.0, 201);
    let (status, error) = put(b"123").await;
    assert_eq!(status, 507);
    assert!(error.contains("`max_total_size` of `files`"), "{error}");
    assert_eq!(put(b"1").await.0, 201);
    assert_eq!(put(b"").await.0, 201);
    let (status, error) = put(b"").await;
    assert_eq!(status, 507);
    assert!(error.contains("`max_files` of `files`"), "{error}");
    // A length that nobody announced is bounded as well.
    *site.now.lock().unwrap() += Duration::from_secs(24 * 3600);
    let head = format!(
        "POST /files HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\n123\r\n3\r\n456\r\n0\r\n\r\n",
        site.address
    );
    let mut stream = site.connect(&head).await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    assert_eq!(site.stored(), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let site = Site::start(vec![], defaults()).await;
    let head = format!(
        "PUT /files/a.bin HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n12345",
        site.address
    );
    let stream = site.connect(&head).await;
    while site.stored() == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while site.stored() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_form_is_no_file() {
    let site = Site::start(vec![], defaults()).await;
    let form = [("Content-Type", "multipart/form-data; boundary=x")];
    let reply = site.send("POST", "/files", &form, b"--x--\r\n").await;
    assert_eq!(reply.status, 415);
    // curl calls every body a form.
    let plain = [("Content-Type", "application/x-www-form-urlencoded")];
    let reply = site.send("PUT", "/files/a.csv", &plain, b"1,2").await;
    assert_eq!(reply.json()["content_type"], "text/csv");
    let stated = [("Content-Type", "text/x-special")];
    let reply = site.send("PUT", "/files/a.csv", &stated, b"1,2").await;
    assert_eq!(reply.json()["content_type"], "text/x-special");
}

/// A client at another address of this machine.
#[cfg(target_os = "linux")]
async fn connect_from(address: &str, site: &Site) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(site.address).await.unwrap()
}

/// Begins an upload of two bytes, of which one comes.
#[cfg(target_os = "linux")]
async fn half_an_upload(address: &str, site: &Site) -> TcpStream {
    let mut stream = connect_from(address, site).await;
    let host = site.address;
    let head = format!("PUT /files/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n1");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Sends the rest, and returns the status.
#[cfg(target_os = "linux")]
async fn whole_upload(mut stream: TcpStream) -> u16 {
    // A server that refuses need not read on.
    let _ = stream.write_all(b"2").await;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

/// Waits until so many uploads have begun.
#[cfg(target_os = "linux")]
async fn begun(site: &Site, count: usize) {
    let directory = site.harness.executor.files().directory().to_owned();
    let is_part = |name: &String| name.ends_with(".part");
    while crate::downloads::unfinished(&directory).into_iter().filter(is_part).count() != count {
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn uploads_of_one_client_leave_room_for_those_of_another() {
    let limits = OperatorLimits { transfers: 8, queued: 2, ..OperatorLimits::default() };
    let site = Site::start_bounded(Vec::new(), defaults(), limits, |_| {}).await;
    let (greedy, modest) = ("127.0.0.2", "127.0.0.3");
    let mut under_way = Vec::new();
    for count in 1..=7 {
        under_way.push(half_an_upload(greedy, &site).await);
        begun(&site, count).await;
    }
    let waiting = half_an_upload(greedy, &site).await;
    // The last turn is for somebody else, as often as it is needed.
    for _ in 0..3 {
        assert_eq!(whole_upload(half_an_upload(modest, &site).await).await, 201);
    }
    begun(&site, 7).await;
    // Who only asks about a file needs none.
    assert_eq!(site.send("HEAD", "/files/0", &[], b"").await.status, 404);
    // Who waits gets the next one.
    assert_eq!(whole_upload(under_way.remove(0)).await, 201);
    assert_eq!(whole_upload(waiting).await, 201);
    for stream in under_way {
        assert_eq!(whole_upload(stream).await, 201);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_of_one_client_leave_room_for_those_of_another() {
    let settings = FileSettings { max_files: Some(8), ..defaults() };
    let site = Site::start(Vec::new(), settings).await;
    let (greedy, modest) = ("127.0.0.2", "127.0.0.3");
    for expected in [201, 201, 201, 201, 201, 201, 201, 507, 507] {
        assert_eq!(whole_upload(half_an_upload(greedy, &site).await).await, expected);
    }
    assert_eq!(whole_upload(half_an_upload(modest, &site).await).await, 201);
}
