//! The MCP front end, spoken to in raw JSON-RPC: over streams in this process and over HTTP.

use dadl_mcp::{
    config::BackendSettings,
    mcp::{self, HttpOptions, HttpServer, Server},
};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream,
        ReadHalf, WriteHalf,
    },
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const DESCRIPTOR: &str = r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
backend:
  name: fake
  type: rest
  description: "A fake"
  auth: { type: bearer, credential: fake_token }
  defaults: { errors: { message_path: "$.error" } }
  tools:
    list_things: { method: GET, path: /things, access: read, description: "Things." }
    get_thing: { method: GET, path: "/things/{id}", access: read, description: "A thing.", params: { id: { type: string, in: path, required: true } } }
    delete_thing: { method: DELETE, path: "/things/{id}", access: dangerous, description: "Gone.", params: { id: { type: string, in: path, required: true } } }
    make_thing: { method: POST, path: /things, access: write, description: "New.", params: { name: { type: string, in: body } } }
"#;

fn server(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Server {
    let harness = Harness::new(DESCRIPTOR, url, Fixed(Ok("a-long-token".to_owned())), change);
    let instructions = "fake (4 tools): A fake".to_owned();
    Server::new(harness.gate.clone(), harness.executor.clone(), instructions)
}

/// A host at the other end of a pair of streams.
struct Host {
    input: WriteHalf<DuplexStream>,
    output: BufReader<ReadHalf<DuplexStream>>,
    served: JoinHandle<Result<(), mcp::ServeError>>,
    last_id: u64,
}

impl Host {
    fn connect(server: Server) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (output, input) = tokio::io::split(ours);
        let streams = tokio::io::split(theirs);
        let served = tokio::spawn(mcp::serve(server, streams, CancellationToken::new()));
        Self { input, output: BufReader::new(output), served, last_id: 0 }
    }

    /// Opens a session of the era with sessions.
    async fn initialized(server: Server, version: &str, capabilities: Value) -> Self {
        let mut host = Self::connect(server);
        let params = json!({
            "protocolVersion": version,
            "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        });
        let result = host.request("initialize", params).await;
        assert_eq!(result["result"]["protocolVersion"], version, "{result}");
        assert_eq!(result["result"]["serverInfo"]["name"], "dadl-mcp");
        assert_eq!(result["result"]["instructions"], "fake (4 tools): A fake");
        host.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        host
    }

    async fn send(&mut self, message: Value) {
        self.send_bytes(format!("{message}\n").as_bytes()).await;
    }

    async fn send_bytes(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    async fn start(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        id
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.start(method, params).await;
        let response = self.receive().await;
        assert_eq!(response["id"], id, "{response}");
        response
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        self.request("tools/call", params).await["result"].clone()
    }

    /// Closes the input and waits until the server has ended.
    async fn close(mut self) -> Result<(), mcp::ServeError> {
        self.input.shutdown().await.unwrap();
        drop((self.input, self.output));
        self.served.await.unwrap()
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

async fn answering(body: &str) -> Upstream {
    Upstream::start(vec![Answer::json(200, body)]).await
}

/// The parameters of a request of the era without sessions.
fn stateless(mut params: Value, capabilities: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    params
}

#[tokio::test]
async fn every_revision_of_the_session_era_lists_and_calls() {
    let upstream = answering(r#"{"id":"7"}"#).await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let server = server(&upstream.url(), |_| {});
        let mut host = Host::initialized(server, version, json!({})).await;
        let tools = host.request("tools/list", json!({})).await["result"]["tools"].clone();
        let names: Vec<&str> =
            tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["list_things", "get_thing", "delete_thing", "make_thing"]);
        assert_eq!(
            tools[1],
            json!({
                "name": "get_thing",
                "title": "Get thing",
                "description": "A thing.",
                "inputSchema": {
                    "type": "object",
                    "properties": { "id": { "type": "string" } },
                    "required": ["id"],
                },
                "annotations": {
                    "readOnlyHint": true,
                    "destructiveHint": false,
                    "idempotentHint": true,
                    "openWorldHint": true,
                },
            })
        );
        let result = host.call("get_thing", json!({ "id": "7" })).await;
        assert_eq!(text(&result), r#"{"id":"7"}"#);
        assert_eq!(result["structuredContent"], json!({ "id": "7" }));
        host.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_stateless_revision_discovers_lists_and_calls() {
    let upstream = answering("[1,2]").await;
    let mut host = Host::connect(server(&upstream.url(), |_| {}));
    let discovered = host.request("server/discover", stateless(json!({}), json!({}))).await;
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    let listed = host.request("tools/list", stateless(json!({}), json!({}))).await;
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 4);
    assert!(listed["result"]["ttlMs"].is_number() && listed["result"]["cacheScope"] == "private");
    let call = stateless(json!({ "name": "list_things", "arguments": {} }), json!({}));
    let called = host.request("tools/call", call).await;
    assert_eq!(called["result"]["structuredContent"], json!({ "result": [1, 2] }));
    assert_eq!(called["result"]["resultType"], "complete");
}

#[tokio::test]
async fn mistakes_of_the_model_are_results_and_mistakes_of_the_host_are_errors() {
    let upstream = Upstream::start(vec![Answer::json(404, r#"{"error":"no such thing"}"#)]).await;
    let server = server(&upstream.url(), |settings| {
        settings.policy.levels = dadl_mcp::access::Levels::new(["read"]);
    });
    let mut host = Host::initialized(server, "2025-11-25", json!({})).await;

    let unknown = host.request("tools/call", json!({ "name": "get_thnig" })).await;
    assert_eq!(unknown["error"]["code"], -32602);
    assert!(unknown["error"]["message"].as_str().unwrap().contains("get_thing"), "{unknown}");
    let shape = json!({ "name": "get_thing", "arguments": [1] });
    assert_eq!(host.request("tools/call", shape).await["error"]["code"], -32602);

    let wrong = host.call("get_thing", json!({ "idd": 7 })).await;
    assert_eq!(wrong["isError"], true);
    assert!(text(&wrong).contains("idd") && text(&wrong).contains("required"), "{wrong}");
    let denied = host.call("make_thing", json!({})).await;
    assert_eq!(denied["isError"], true);
    assert!(text(&denied).contains("add `write` to `access` of backend `fake`"), "{denied}");
    assert!(upstream.requests().is_empty());

    let missing = host.call("get_thing", json!({ "id": "x" })).await;
    assert_eq!(missing["isError"], true);
    assert_eq!(text(&missing), "[not_found] HTTP 404: no such thing (GET /things/x)");
}

#[tokio::test]
async fn a_cancelled_request_closes_the_connection_and_the_next_is_served() {
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new()), Answer::json(200, "[]")]).await;
    let server = server(&upstream.url(), |_| {});
    let mut host = Host::initialized(server, "2025-11-25", json!({})).await;
    let params = json!({ "name": "list_things", "arguments": {} });
    let id = host.start("tools/call", params).await;
    while upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let params = json!({ "requestId": id });
    host.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }))
        .await;
    upstream.connection_closed().await;
    assert_eq!(text(&host.call("list_things", json!({})).await), "[]");
}

#[tokio::test]
async fn a_host_that_goes_away_ends_the_server_and_its_calls() {
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new())]).await;
    let server = server(&upstream.url(), |_| {});
    let mut host = Host::initialized(server, "2025-11-25", json!({})).await;
    host.start("tools/call", json!({ "name": "list_things", "arguments": {} })).await;
    while upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    host.close().await.unwrap();
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_host_that_says_nothing_is_no_error() {
    let server = server("http://127.0.0.1:1/api", |_| {});
    Host::connect(server.clone()).close().await.unwrap();
    let mut host = Host::connect(server);
    host.send_bytes(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"met").await;
    host.close().await.unwrap();
}

#[tokio::test]
async fn noise_and_endless_lines_are_skipped() {
    let upstream = answering("[]").await;
    let server = server(&upstream.url(), |_| {});
    let mut host = Host::initialized(server, "2025-11-25", json!({})).await;
    host.send_bytes(b"\x00\xff\xfe noise\n{\"jsonrpc\":\n[1,2\n\n").await;
    // 100 MB without a line break, then the next request.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        host.send_bytes(&chunk).await;
    }
    host.send_bytes(b"\n").await;
    assert_eq!(text(&host.call("list_things", json!({})).await), "[]");
}

#[tokio::test]
async fn a_dangerous_call_asks_the_person() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let elicitation = json!({ "elicitation": {} });
    let server = server(&upstream.url(), |_| {});
    let mut host = Host::initialized(server, "2025-11-25", elicitation).await;
    let answers = [
        (json!({ "action": "accept", "content": { "allow": true } }), None),
        (json!({ "action": "accept", "content": { "allow": false } }), Some("said no")),
        (json!({ "action": "accept" }), Some("said no")),
        (json!({ "action": "decline" }), Some("said no")),
        (json!({ "action": "cancel" }), Some("closed the question")),
    ];
    for (answer, refusal) in answers {
        let before = upstream.requests().len();
        let params = json!({ "name": "delete_thing", "arguments": { "id": "7" } });
        let call = host.start("tools/call", params).await;
        let question = host.receive().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.contains("delete_thing") && message.contains("fake"), "{message}");
        assert!(message.contains("id = \"7\""), "{message}");
        assert_eq!(upstream.requests().len(), before);
        host.send(json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer })).await;
        let result = host.receive().await;
        assert_eq!(result["id"], call);
        match refusal {
            None => assert_eq!(result["result"]["structuredContent"]["status"], 204),
            Some(reason) => {
                assert!(text(&result["result"]).contains(reason), "{result}");
                assert_eq!(upstream.requests().len(), before);
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_cannot_ask_is_refused_unless_the_operator_vouches() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    for capabilities in [json!({}), json!({ "elicitation": { "url": {} } })] {
        let server = server(&upstream.url(), |_| {});
        let mut host = Host::initialized(server, "2025-06-18", capabilities).await;
        // Whatever a model writes into its arguments is no consent.
        let result = host.call("delete_thing", json!({ "id": "7" })).await;
        assert_eq!(result["isError"], true);
        assert!(text(&result).contains("confirm: never"), "{result}");
    }
    assert!(upstream.requests().is_empty());
    let server = server(&upstream.url(), |settings| {
        settings.confirm = dadl_mcp::config::Confirm::Never;
    });
    let mut host = Host::initialized(server, "2025-06-18", json!({})).await;
    let result = host.call("delete_thing", json!({ "id": "7" })).await;
    assert_eq!(result["structuredContent"]["status"], 204);
}

#[tokio::test]
async fn the_stateless_revision_asks_with_an_intermediate_result() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let mut host = Host::connect(server(&upstream.url(), |_| {}));
    let capabilities = json!({ "elicitation": { "form": {} } });
    let call = |id: &str, extra: Value| {
        let mut params = json!({ "name": "delete_thing", "arguments": { "id": id } });
        for (key, value) in extra.as_object().unwrap() {
            params[key] = value.clone();
        }
        stateless(params, capabilities.clone())
    };
    let asked = host.request("tools/call", call("7", json!({}))).await["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    assert!(question["params"]["message"].as_str().unwrap().contains("id = \"7\""));
    let yes = json!({ "confirm": { "action": "accept", "content": { "allow": true } } });
    let no = json!({ "confirm": { "action": "decline" } });
    let state = &asked["requestState"];
    let answer = |responses: &Value, state: &Value| json!({ "inputResponses": responses, "requestState": state });

    // For other arguments, with a forged state, or with a no: nothing is sent.
    for params in [
        call("8", answer(&yes, state)),
        call("7", answer(&yes, &json!("rs1.forged.state"))),
        call("7", json!({ "requestState": "x" })),
    ] {
        let refused = host.request("tools/call", params).await["result"].clone();
        assert_eq!(refused["isError"], true, "{refused}");
    }
    let again = host.request("tools/call", call("7", json!({}))).await["result"].clone();
    let refused = call("7", answer(&no, &again["requestState"]));
    let refused = host.request("tools/call", refused).await["result"].clone();
    assert!(text(&refused).contains("said no"), "{refused}");
    assert!(upstream.requests().is_empty());

    let done = host.request("tools/call", call("7", answer(&yes, state))).await["result"].clone();
    assert_eq!(done["structuredContent"]["status"], 204, "{done}");
    let replayed = host.request("tools/call", call("7", answer(&yes, state))).await;
    assert!(text(&replayed["result"]).contains("used already"), "{replayed}");
    assert_eq!(upstream.requests().len(), 1);

    let unable =
        stateless(json!({ "name": "delete_thing", "arguments": { "id": "7" } }), json!({}));
    let refused = host.request("tools/call", unable).await["result"].clone();
    assert!(text(&refused).contains("confirm: never"), "{refused}");
}

#[tokio::test]
async fn a_download_reports_progress_to_a_host_that_asked_for_it() {
    let size = 6 << 20;
    let headers = [("Content-Type", "application/octet-stream")];
    let upstream = Upstream::start(vec![Answer::full(200, &headers, &vec![7; size])]).await;
    let server = server(&upstream.url(), |_| {});
    let mut host = Host::initialized(server, "2025-11-25", json!({})).await;
    let params = json!({
        "name": "list_things", "arguments": {}, "_meta": { "progressToken": "p" }
    });
    host.start("tools/call", params).await;
    let first = host.receive().await;
    assert_eq!(first["method"], "notifications/progress", "{first}");
    assert_eq!(first["params"]["progressToken"], "p");
    assert_eq!(first["params"]["total"].as_f64(), Some(size as f64));
    let mut message = host.receive().await;
    while message["method"] == "notifications/progress" {
        message = host.receive().await;
    }
    assert_eq!(message["result"]["structuredContent"]["size"], size);
}

/// An HTTP server in this process, and requests to it.
struct Endpoint {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Endpoint {
    async fn start(server: Server, token: Option<&str>) -> Self {
        let options = HttpOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            token: token.map(Into::into),
            allowed_origins: vec!["https://app.example.com:443".to_owned()],
            allowed_hosts: Vec::new(),
        };
        let shutdown = CancellationToken::new();
        let bound = HttpServer::bind(server, options, shutdown.clone()).await.unwrap();
        let address = bound.address();
        Self { address, shutdown, served: tokio::spawn(bound.run()) }
    }

    /// Sends one request and returns the status line and everything after it.
    async fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        (status, answer)
    }

    async fn post(&self, headers: &str, body: &Value) -> (u16, String) {
        let host = self.address;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}"
        );
        self.send(&head, &body.to_string()).await
    }
}

fn stateless_list() -> (String, Value) {
    let params = stateless(json!({}), json!({}));
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params });
    ("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n".to_owned(), body)
}

#[tokio::test]
async fn http_serves_both_eras() {
    let upstream = answering(r#"{"id":"7"}"#).await;
    let endpoint = Endpoint::start(server(&upstream.url(), |_| {}), None).await;
    let (headers, body) = stateless_list();
    let (status, answer) = endpoint.post(&headers, &body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("application/json") && answer.contains("delete_thing"), "{answer}");
    let params = stateless(json!({ "name": "get_thing", "arguments": { "id": "7" } }), json!({}));
    let body = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
    let headers =
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: get_thing\r\n";
    let (status, answer) = endpoint.post(headers, &body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""structuredContent":{"id":"7"}"#), "{answer}");

    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let (status, answer) = endpoint.post("", &body).await;
    assert_eq!(status, 200, "{answer}");
    let session = answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "))
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned();
    let headers = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n");
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(endpoint.post(&headers, &initialized).await.0, 202);
    let call = json!({ "name": "get_thing", "arguments": { "id": "7" } });
    let body = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": call });
    let (status, answer) = endpoint.post(&headers, &body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""structuredContent":{"id":"7"}"#), "{answer}");

    endpoint.shutdown.cancel();
    endpoint.served.await.unwrap();
}

#[tokio::test]
async fn http_checks_token_origin_and_host() {
    let server = server("http://127.0.0.1:1/api", |_| {});
    let guarded = Endpoint::start(server.clone(), Some("right-token")).await;
    let (list, body) = stateless_list();
    let (status, answer) = guarded.post(&list, &body).await;
    assert_eq!(status, 401, "{answer}");
    assert!(answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
    let wrong = format!("{list}Authorization: Bearer wrong-token\r\n");
    assert_eq!(guarded.post(&wrong, &body).await.0, 401);
    let right = format!("{list}Authorization: bearer right-token\r\n");
    assert_eq!(guarded.post(&right, &body).await.0, 200);

    let open = Endpoint::start(server, None).await;
    let evil = format!("{list}Origin: https://evil.example\r\n");
    assert_eq!(open.post(&evil, &body).await.0, 403);
    let known = format!("{list}Origin: https://app.example.com\r\n");
    assert_eq!(open.post(&known, &body).await.0, 200);
    let rebound = "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n\
                   Accept: application/json, text/event-stream\r\n";
    assert_eq!(open.send(rebound, &body.to_string()).await.0, 403);
}

#[tokio::test]
async fn http_tells_its_health_and_nothing_else() {
    let endpoint = Endpoint::start(server("http://127.0.0.1:1/api", |_| {}), Some("t")).await;
    let (status, answer) = endpoint.send("GET /health HTTP/1.1\r\nHost: h\r\n", "").await;
    assert_eq!(status, 200);
    assert!(answer.contains(r#""status":"ok""#) && answer.contains(r#""tools":4"#), "{answer}");
    assert_eq!(endpoint.send("POST /health HTTP/1.1\r\nHost: h\r\n", "").await.0, 405);
    assert_eq!(endpoint.send("GET / HTTP/1.1\r\nHost: h\r\n", "").await.0, 404);
    assert_eq!(endpoint.send("GET /mcp/../health HTTP/1.1\r\nHost: h\r\n", "").await.0, 404);
}

#[tokio::test]
async fn http_beyond_loopback_needs_a_token() {
    let options = |token: Option<&str>| HttpOptions {
        listen: "0.0.0.0:0".parse().unwrap(),
        token: token.map(Into::into),
        allowed_origins: Vec::new(),
        allowed_hosts: Vec::new(),
    };
    let server = server("http://127.0.0.1:1/api", |_| {});
    let refused = HttpServer::bind(server.clone(), options(None), CancellationToken::new()).await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("--http-token-file"), "{error}");
    let bound = HttpServer::bind(server, options(Some("t")), CancellationToken::new()).await;
    assert!(bound.is_ok());
}

#[tokio::test]
async fn requests_are_answered_concurrently() {
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new()), Answer::json(200, "[]")]).await;
    let server = server(&upstream.url(), |_| {});
    let mut host = Host::initialized(server, "2025-11-25", json!({})).await;
    host.start("tools/call", json!({ "name": "list_things", "arguments": {} })).await;
    while upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let quick = host.call("list_things", json!({})).await;
    assert_eq!(text(&quick), "[]");
}
