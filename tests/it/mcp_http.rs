//! The MCP server over HTTP, on a real socket and without an HTTP library on this side.

use std::net::SocketAddr;

use dadl_mcp::mcp::{self, HttpOptions, ServeError};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::api,
    mcp_support::{STATELESS, Served, failure, serve, serve_tools, text, with_meta},
    upstream::{Answer, Upstream},
};

const HANGING: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1";

fn options(listen: &str) -> HttpOptions {
    HttpOptions {
        listen: listen.parse().unwrap(),
        token: None,
        allowed_origins: vec!["https://app.example".to_owned()],
        allowed_hosts: vec!["mcp.example".to_owned()],
    }
}

/// A server on a socket.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<Result<(), ServeError>>,
    _served: Served,
}

impl Site {
    pub(crate) async fn start(url: &str) -> Self {
        Self::start_with(url, |_| {}).await
    }

    async fn start_with(url: &str, change: impl FnOnce(&mut HttpOptions)) -> Self {
        Self::start_served(serve(url), change).await
    }

    pub(crate) async fn start_served(
        served: Served,
        change: impl FnOnce(&mut HttpOptions),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let mut options = options("127.0.0.1:0");
        change(&mut options);
        let serving =
            mcp::serve_listener(served.server.clone(), listener, options, shutdown.clone());
        Self { address, shutdown, serving: tokio::spawn(serving), _served: served }
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        Reply::read(self.start_sending(method, path, fields, body).await).await
    }

    async fn start_sending(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !fields.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request of 2026-07-28 and reads nothing yet.
    pub(crate) async fn stateless_started(&self, method: &str, parameters: Value) -> TcpStream {
        let parameters = with_meta(parameters);
        let name = parameters["name"].as_str().unwrap_or_default().to_owned();
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        let fields = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", STATELESS),
            ("Mcp-Method", method),
            ("Mcp-Name", name.as_str()),
        ];
        self.start_sending("POST", "/mcp", &fields, &message.to_string()).await
    }

    /// Posts a message to the protocol's path.
    pub(crate) async fn post(&self, fields: &[(&str, &str)], message: &str) -> Reply {
        let mut all = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        all.extend(fields);
        self.send("POST", "/mcp", &all, message).await
    }

    /// Sends a request of 2026-07-28.
    pub(crate) async fn stateless(&self, method: &str, parameters: Value) -> Reply {
        self.stateless_with(method, with_meta(parameters)).await
    }

    /// Sends a request of 2026-07-28 whose `_meta` is there already.
    pub(crate) async fn stateless_with(&self, method: &str, parameters: Value) -> Reply {
        let name = parameters["name"].as_str().unwrap_or_default().to_owned();
        let mut fields = vec![("MCP-Protocol-Version", STATELESS), ("Mcp-Method", method)];
        if !name.is_empty() {
            fields.push(("Mcp-Name", &name));
        }
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
        self.post(&fields, &message.to_string()).await
    }

    /// Opens a session of 2025-11-25 and returns its id.
    pub(crate) async fn session(&self, capabilities: Value) -> String {
        let parameters = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        });
        let message =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": parameters });
        let mut reply = self.post(&[], &message.to_string()).await;
        let session = reply.field("mcp-session-id").unwrap();
        assert_eq!(reply.event().await["result"]["serverInfo"]["name"], "dadl-mcp");
        let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.in_session(&session, &message).await.status, 202);
        session
    }

    pub(crate) async fn in_session(&self, session: &str, message: &Value) -> Reply {
        let fields = [("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-11-25")];
        self.post(&fields, &message.to_string()).await
    }
}

/// The answer to a request.
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    stream: BufReader<TcpStream>,
}

impl Reply {
    pub(crate) async fn read(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "the server hung up: {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, stream }
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    /// Reads a body of known length.
    pub(crate) async fn text(&mut self) -> String {
        let length = self.field("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Reads a body of known length, or of chunks.
    pub(crate) async fn whole(&mut self) -> String {
        if self.field("transfer-encoding").is_none() {
            return self.text().await;
        }
        let mut body = String::new();
        loop {
            let mut size = String::new();
            self.stream.read_line(&mut size).await.unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).await.unwrap();
            if size == 0 {
                return body;
            }
            body.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        assert_eq!(self.field("content-type").as_deref(), Some("application/json"));
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Reads the next message: that of an event, or the one that a plain answer is.
    pub(crate) async fn event(&mut self) -> Value {
        if self.field("content-type").as_deref() == Some("application/json") {
            return self.json().await;
        }
        assert_eq!(self.field("content-type").as_deref(), Some("text/event-stream"));
        loop {
            let mut line = String::new();
            assert_ne!(self.stream.read_line(&mut line).await.unwrap(), 0, "no more events");
            // Sizes of chunks and other fields of events are lines of their own.
            if let Some(data) = line.trim_end().strip_prefix("data: ")
                && !data.is_empty()
            {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn health_needs_no_token_and_other_paths_are_not_there() {
    let site = Site::start_with("http://127.0.0.1:9/", |options| {
        options.token = Some("sesame".to_owned().into());
    })
    .await;
    let mut reply = site.send("GET", "/health", &[], "").await;
    assert_eq!(reply.status, 200);
    let health = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "tools": 6 });
    assert_eq!(reply.json().await, health);
    assert_eq!(site.send("HEAD", "/health", &[], "").await.status, 200);
    assert_eq!(site.send("POST", "/health", &[], "").await.status, 405);
    for path in
        ["/", "/mcp//", "//mcp", "/mcp2", "/health/x", "/health//", "/sse", "/mcp/../health"]
    {
        assert_eq!(site.send("GET", path, &[], "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_token_is_required() {
    let site = Site::start_with("http://127.0.0.1:9/", |options| {
        options.token = Some("sesame".to_owned().into());
        options.allowed_hosts.clear();
    })
    .await;
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for value in
        ["", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesame2", "Basic sesame", "sesame"]
    {
        for method in ["POST", "GET", "DELETE"] {
            let fields = [("Authorization", value), ("Accept", "text/event-stream")];
            let reply = site.send(method, "/mcp", &fields, message).await;
            assert_eq!(reply.status, 401, "{value}");
            assert_eq!(reply.field("www-authenticate").as_deref(), Some("Bearer"));
        }
    }
    for value in ["Bearer sesame", "bearer sesame"] {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": with_meta(json!({}))
        });
        let fields = [
            ("Authorization", value),
            // Behind a proxy the server has other names; the token is what counts.
            ("Host", "mcp.internal.example"),
            ("MCP-Protocol-Version", STATELESS),
            ("Mcp-Method", "tools/list"),
        ];
        assert_eq!(site.post(&fields, &message.to_string()).await.status, 200);
    }
}

#[tokio::test]
async fn other_machines_need_a_token() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let server = serve("http://127.0.0.1:9/").server.clone();
        let error = mcp::serve_http(server, options(listen), CancellationToken::new()).await;
        let error = error.unwrap_err().to_string();
        for word in ["--http-token-file", "DADL_MCP_HTTP_TOKEN_FILE", "DADL_MCP_HTTP_TOKEN"] {
            assert!(error.contains(word), "{error}");
        }
    }
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let server = serve("http://127.0.0.1:9/").server.clone();
    let error = mcp::serve_http(server, options(&listen), CancellationToken::new()).await;
    assert!(error.unwrap_err().to_string().contains(&listen));
}

#[tokio::test]
async fn web_pages_need_to_be_allowed() {
    let site = Site::start("http://127.0.0.1:9/").await;
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": with_meta(json!({}))
    });
    let message = message.to_string();
    let base = [("MCP-Protocol-Version", STATELESS), ("Mcp-Method", "tools/list")];
    let status = async |name, value| {
        let mut fields = base.to_vec();
        fields.push((name, value));
        site.post(&fields, &message).await
    };
    for origin in
        ["https://evil.example", "http://app.example", "https://app.example:8443", "null", "x"]
    {
        let reply = status("Origin", origin).await;
        assert_eq!(reply.status, 403, "{origin}");
        assert_eq!(reply.field("access-control-allow-origin"), None);
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.2"] {
        assert_eq!(status("Host", host).await.status, 403, "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:1", "mcp.example", "MCP.example:8443"] {
        assert_eq!(status("Host", host).await.status, 200, "{host}");
    }
    let reply = status("Origin", "https://app.example").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.field("access-control-allow-origin").as_deref(), Some("https://app.example"));

    let asked = ("Access-Control-Request-Method", "POST");
    let origin = ("Origin", "https://app.example");
    let reply = site.send("OPTIONS", "/mcp", &[origin, asked], "").await;
    assert_eq!(reply.status, 204);
    assert!(reply.field("access-control-allow-headers").unwrap().contains("mcp-session-id"));
    let reply =
        site.send("OPTIONS", "/mcp", &[("Origin", "https://evil.example"), asked], "").await;
    assert_eq!(reply.status, 403);
    assert_eq!(site.send("OPTIONS", "/mcp", &[], "").await.status, 405);
}

#[tokio::test]
async fn a_stateless_call_is_answered_in_json() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1,2]")]).await;
    let site = Site::start(&upstream.url()).await;
    let mut reply = site.stateless("server/discover", json!({})).await;
    let versions = reply.json().await["result"]["supportedVersions"].clone();
    assert!(versions.as_array().unwrap().contains(&json!(STATELESS)));
    let mut reply = site.stateless("tools/list", json!({})).await;
    assert_eq!(reply.json().await["result"]["tools"].as_array().unwrap().len(), 6);
    let mut reply = site.stateless("tools/call", json!({ "name": "list_things" })).await;
    let answer = reply.json().await;
    assert_eq!(text(&answer), "[1,2]");
    assert_eq!(reply.field("mcp-session-id"), None);
    let mut reply = site.stateless("tools/call", json!({ "name": "list_thing" })).await;
    assert_eq!(reply.json().await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_stateless_client_finds_no_methods_of_sessions() {
    let site = Site::start("http://127.0.0.1:1/").await;
    for method in ["initialize", "ping", "logging/setLevel", "no/such"] {
        let mut reply = site.stateless(method, json!({})).await;
        assert_eq!(reply.status, 404, "{method}");
        assert_eq!(reply.json().await["error"]["code"], -32601, "{method}");
    }
}

#[tokio::test]
async fn a_session_calls_and_ends() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1,2]")]).await;
    let site = Site::start(&upstream.url()).await;
    let session = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "list_things" }
    });
    let mut reply = site.in_session(&session, &call).await;
    assert_eq!(text(&reply.event().await), "[1,2]");
    let fields = [("Mcp-Session-Id", session.as_str())];
    let status = site.send("DELETE", "/mcp", &fields, "").await.status;
    assert_eq!(status, 204);
    assert_eq!(site.in_session(&session, &call).await.status, 404);
}

/// A backend that streams events without an end.
const STREAMING: &str = api!(auth: "type: bearer, credential: fake_token", backend: r#"
  tools:
    watch: { method: GET, path: /events, access: read, description: "Events.", response: { streaming: true } }
"#);

const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";

#[tokio::test]
async fn a_stream_is_that_of_its_session_and_ends_with_it() {
    let upstream = Upstream::start(vec![Answer::Hang(EVENTS.to_vec())]).await;
    let site = Site::start_served(serve_tools(STREAMING, &upstream.url(), |_| {}), |_| {}).await;
    let call = |tool: &str, arguments: Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments } })
    };
    let (own, other) = (site.session(json!({})).await, site.session(json!({})).await);
    let answer = site.in_session(&own, &call("watch", json!({ "open": true }))).await.event().await;
    let handle = answer["result"]["structuredContent"]["stream"].clone();
    let read = call("stream_read", json!({ "stream": handle, "wait": 60 }));
    let list = call("stream_list", json!({}));
    let listed = async |session: &str| {
        let answer = site.in_session(session, &list).await.event().await;
        answer["result"]["structuredContent"]["streams"].as_array().unwrap().len()
    };
    assert_eq!((listed(&own).await, listed(&other).await), (1, 0));
    let answer = site.in_session(&other, &read).await.event().await;
    assert!(failure(&answer).contains("there is no stream"), "{answer}");
    // A client without sessions cannot take one by naming it.
    let parameters = json!({ "name": "stream_read", "arguments": { "stream": handle } });
    let answer = site.stateless("tools/call", parameters).await.json().await;
    assert!(failure(&answer).contains("there is no stream"), "{answer}");
    let answer = site.in_session(&own, &read).await.event().await;
    assert_eq!(answer["result"]["structuredContent"]["items"][0]["data"], 1, "{answer}");
    let fields = [("Mcp-Session-Id", own.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    site.send("DELETE", "/mcp", &fields, "").await;
    upstream.connection_closed().await;
}

#[tokio::test]
async fn without_sessions_who_knows_the_handle_reads_the_stream() {
    let upstream = Upstream::start(vec![Answer::Hang(EVENTS.to_vec())]).await;
    let site = Site::start_served(serve_tools(STREAMING, &upstream.url(), |_| {}), |_| {}).await;
    let call = async |tool: &str, arguments: Value| {
        let parameters = json!({ "name": tool, "arguments": arguments });
        let answer = site.stateless("tools/call", parameters).await.json().await;
        answer["result"]["structuredContent"].clone()
    };
    let handle = call("watch", json!({ "open": true })).await["stream"].clone();
    assert_eq!(call("stream_list", json!({})).await, json!({ "streams": [] }));
    let read = call("stream_read", json!({ "stream": handle, "wait": 60 })).await;
    assert_eq!(read["items"][0]["data"], 1, "{read}");
    call("stream_close", json!({ "stream": handle })).await;
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_person_confirms_in_either_era() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let site = Site::start(&upstream.url()).await;
    let arguments = json!({ "name": "drop_thing", "arguments": { "id": "a" } });

    let session = site.session(json!({ "elicitation": {} })).await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments });
    let mut reply = site.in_session(&session, &call).await;
    let question = reply.event().await;
    assert_eq!(question["method"], "elicitation/create");
    let yes = json!({ "action": "accept", "content": { "confirm": true } });
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": yes });
    assert_eq!(site.in_session(&session, &answer).await.status, 202);
    assert_eq!(text(&reply.event().await), "done (HTTP 204)");

    let mut reply = site.stateless("tools/call", arguments.clone()).await;
    let asked = reply.json().await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let mut again = arguments;
    again["requestState"] = asked["result"]["requestState"].clone();
    again["inputResponses"] = json!({ "confirm": yes });
    let mut reply = site.stateless("tools/call", again.clone()).await;
    assert_eq!(text(&reply.json().await), "done (HTTP 204)");
    let mut reply = site.stateless("tools/call", again).await;
    assert!(failure(&reply.json().await).contains("used already"));
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_drops_its_call() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = Site::start(&upstream.url()).await;
    let waiting = site.stateless("tools/call", json!({ "name": "list_things" }));
    tokio::select! {
        _ = waiting => panic!("the call has ended"),
        () = upstream.request_arrived() => {}
    }
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_session_cancels_its_call() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = Site::start(&upstream.url()).await;
    let session = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "list_things" }
    });
    let _reply = site.in_session(&session, &call).await;
    upstream.request_arrived().await;
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 }
    });
    assert_eq!(site.in_session(&session, &cancel).await.status, 202);
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_shutdown_drops_calls_and_ends() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = Site::start(&upstream.url()).await;
    let session = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "list_things" }
    });
    let _reply = site.in_session(&session, &call).await;
    upstream.request_arrived().await;
    site.shutdown.cancel();
    upstream.connection_closed().await;
    site.serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(site.address).await.is_err());
}

#[tokio::test]
async fn a_body_that_is_no_message_is_answered_as_such() {
    let site = Site::start("http://127.0.0.1:9/").await;
    for (body, code) in [("{", -32700), ("", -32600), ("[]", -32600), ("{\"id\":1}", -32600)] {
        let mut reply = site.post(&[], body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.json().await["error"]["code"], code);
    }
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let reply = site.send("POST", "/mcp", &[("Accept", "*/*")], message).await;
    assert_eq!(reply.status, 415);
    assert_eq!(site.send("PUT", "/mcp", &[], "").await.status, 405);
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let site = Site::start("http://127.0.0.1:9/").await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: 99999999999\r\n\r\n",
        site.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Reply::read(stream).await.status, 413);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dawdles_is_cut_off() {
    let site = Site::start("http://127.0.0.1:9/").await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(b"POST /mcp HTTP/1.1\r\nHost:").await.unwrap();
    let mut rest = Vec::new();
    // The server may or may not say why before it closes.
    let _ = stream.read_to_end(&mut rest).await;

    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head =
        format!("POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n{{", site.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Reply::read(stream).await.status, 408);
}
