//! A server with one backend, and a client that writes and reads JSON-RPC as text: a reading of
//! the protocol that owes nothing to the library which the server is built on.

use std::{sync::Arc, time::Duration};

use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    config::{BackendSettings, Surface},
    mcp::{self, McpServer, ShownTools},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::api,
    harness::{Fixed, Harness},
};

/// The tools that these tests call.
pub(crate) const TOOLS: &str = api!(auth: "type: bearer, credential: fake_token", backend: r#"
  tools:
    list_things: { method: GET, path: /things, access: read, description: "Lists things." }
    get_thing:
      method: GET
      path: "/things/{id}"
      access: read
      description: "One thing."
      params: { id: { type: string, in: path, required: true }, depth: { type: integer, in: query } }
    save_thing: { method: POST, path: /things, access: write, description: "Saves.", params: { name: { type: string, in: body } } }
    drop_thing: { method: DELETE, path: "/things/{id}", access: dangerous, description: "Deletes a thing.", params: { id: { type: string, in: path, required: true } } }
    forbidden: { method: POST, path: /forbidden, access: admin, description: "For administrators." }
    export: { method: GET, path: "/things/{id}.raw", access: read, description: "Exports.", params: { id: { type: string, in: path, required: true } }, response: { binary: true } }
  examples:
    - { name: Look around, description: Lists things., code: "return await api.list_things({});" }
    - { name: Break things, description: Needs more., code: "return await api.forbidden({});" }
"#);

/// The revision in which clients carry what they are in each request.
pub(crate) const STATELESS: &str = "2026-07-28";

/// A server for the backend at `url`; tools of level `admin` are not allowed.
pub(crate) struct Served {
    pub(crate) server: McpServer,
    harness: Harness,
}

impl Served {
    /// Serves the same otherwise.
    pub(crate) fn changed(self, change: impl FnOnce(McpServer) -> McpServer) -> Self {
        Self { server: change(self.server), ..self }
    }

    /// The directory of files.
    pub(crate) fn files(&self) -> std::path::PathBuf {
        self.harness.executor.files().directory().to_owned()
    }
}

pub(crate) fn serve(url: &str) -> Served {
    serve_with(url, |_| {})
}

pub(crate) fn serve_with(url: &str, change: impl FnOnce(&mut BackendSettings)) -> Served {
    serve_tools(TOOLS, url, change)
}

/// A server for the backend of this descriptor.
pub(crate) fn serve_tools(
    tools: &str,
    url: &str,
    change: impl FnOnce(&mut BackendSettings),
) -> Served {
    let harness = Harness::new(tools, url, Fixed(Ok("t0ken-of-the-test".into())), |settings| {
        let levels = AccessLevels::new(["read", "write", "dangerous"]);
        settings.policy = AccessPolicy { levels, ..AccessPolicy::default() };
        change(settings);
    });
    serve_harness(harness, "One fake.")
}

/// A server of this gate and this executor.
pub(crate) fn serve_harness(harness: Harness, instructions: &str) -> Served {
    let executor = Arc::new(harness.executor.clone());
    let server = McpServer::new(harness.gate.clone(), executor, instructions.to_owned());
    // Tests do not wait.
    Served { server: server.with_grace(Duration::ZERO), harness }
}

/// A server of this gate and this executor, whose tools are found by a search.
pub(crate) fn serve_compact(harness: Harness) -> Served {
    let executor = Arc::new(harness.executor.clone());
    let shown = ShownTools { surface: Surface::Compact, exposed: Vec::new() };
    let gate = harness.gate.clone();
    let server = McpServer::with_surface(gate, executor, "One fake.".to_owned(), &shown);
    Served { server: server.with_grace(Duration::ZERO), harness }
}

/// A server of another descriptor, which allows everything.
pub(crate) fn serve_descriptor(descriptor: &str, url: &str) -> Served {
    let harness = Harness::new(descriptor, url, Fixed(Ok("t0ken-of-the-test".into())), |_| {});
    serve_harness(harness, "")
}

/// A client on a stream.
pub(crate) struct Client {
    read: BufReader<ReadHalf<DuplexStream>>,
    write: Option<WriteHalf<DuplexStream>>,
    pub(crate) shutdown: CancellationToken,
    session: JoinHandle<Result<(), mcp::ServeError>>,
    _served: Served,
}

impl Client {
    /// Connects without saying anything.
    pub(crate) fn connect(served: Served) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (read, write) = tokio::io::split(theirs);
        let shutdown = CancellationToken::new();
        let server = served.server.clone();
        let session = tokio::spawn(mcp::serve_streams(server, read, write, shutdown.clone()));
        let (read, write) = tokio::io::split(ours);
        let read = BufReader::new(read);
        Self { read, write: Some(write), shutdown, session, _served: served }
    }

    /// Connects and shakes hands as a client of 2025-11-25 with these capabilities.
    pub(crate) async fn legacy(served: Served, capabilities: Value) -> Self {
        let mut client = Self::connect(served);
        let parameters = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = client.request(0, "initialize", parameters).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        client.notify("notifications/initialized", json!({})).await;
        client
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let write = self.write.as_mut().unwrap();
        write.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_bytes(format!("{message}\n").as_bytes()).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, parameters: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters })).await;
    }

    pub(crate) async fn start(&mut self, id: u32, method: &str, parameters: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }))
            .await;
    }

    /// Sends a request and returns its answer; nothing else may come before.
    pub(crate) async fn request(&mut self, id: u32, method: &str, parameters: Value) -> Value {
        self.start(id, method, parameters).await;
        let answer = self.receive().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Calls a tool and returns what comes back.
    pub(crate) async fn call(&mut self, id: u32, tool: &str, arguments: Value) -> Value {
        self.request(id, "tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Calls a tool as a client of 2026-07-28.
    pub(crate) async fn stateless_call(&mut self, id: u32, parameters: Value) -> Value {
        self.request(id, "tools/call", with_meta(parameters)).await
    }

    /// Returns the next message.
    pub(crate) async fn receive(&mut self) -> Value {
        self.next().await.expect("the server closed the stream")
    }

    /// Returns the next message, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        // A guard against a server that hangs; no test waits for it.
        let read = tokio::time::timeout(Duration::from_secs(3600), self.read.read_line(&mut line));
        if read.await.expect("no answer").unwrap() == 0 {
            return None;
        }
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Closes the client's side of the stream.
    pub(crate) async fn close_input(&mut self) {
        self.write.take().unwrap().shutdown().await.unwrap();
    }

    /// Waits for the end of the session.
    pub(crate) async fn ended(self) -> Result<(), mcp::ServeError> {
        self.session.await.unwrap()
    }
}

/// Adds what a request of 2026-07-28 carries, with the ability to ask a person.
pub(crate) fn with_meta(parameters: Value) -> Value {
    with_capabilities(parameters, json!({ "elicitation": { "form": {} } }))
}

/// Adds what a request of 2026-07-28 carries.
pub(crate) fn with_capabilities(mut parameters: Value, capabilities: Value) -> Value {
    parameters["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    parameters
}

/// The text of the value: the last block of text, before which stands what there is to say about it.
pub(crate) fn text(answer: &Value) -> &str {
    let blocks = answer["result"]["content"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut texts = blocks.iter().filter_map(|block| block["text"].as_str());
    texts.next_back().unwrap_or_else(|| panic!("{answer}"))
}

/// Checks that a call gave a result that is an error, and returns its text.
pub(crate) fn failure(answer: &Value) -> &str {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    text(answer)
}
