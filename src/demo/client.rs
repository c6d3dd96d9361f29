//! The client of the demo: as much of MCP as it takes, one request after another.
//!
//! The protocol library's own client is compiled once for each kind of connection; this one costs less than
//! one of these copies.

use std::{io, process::Stdio};

use anyhow::{Context as _, bail};
use rmcp::model::ProgressNotificationParam;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// What the client says it speaks.
const VERSION: &str = "2025-11-25";

/// A process that serves, and the pipes to it.
pub(super) struct DemoClient {
    server: Child,
    requests: ChildStdin,
    messages: Lines<BufReader<ChildStdout>>,
    last: u64,
}

impl DemoClient {
    /// Starts the server and greets it.
    pub(super) async fn connect(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut server = command.kill_on_drop(true).spawn().context("cannot start the server")?;
        let (Some(requests), Some(stdout)) = (server.stdin.take(), server.stdout.take()) else {
            bail!("the server has no pipes");
        };
        let messages = BufReader::new(stdout).lines();
        let mut client = Self { server, requests, messages, last: 0 };
        let who = json!({ "name": "dadl-mcp demo", "version": env!("CARGO_PKG_VERSION") });
        let hello = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": who });
        let greeted = client.request("initialize", hello, &mut |_| Ok(())).await;
        greeted.context("the MCP handshake failed")?;
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(client)
    }

    /// Sends a request, and returns its result; what is said of its progress meanwhile goes to `progress`.
    pub(super) async fn request(
        &mut self,
        method: &str,
        mut params: Value,
        progress: &mut dyn FnMut(&ProgressNotificationParam) -> io::Result<()>,
    ) -> anyhow::Result<Value> {
        self.last += 1;
        let id = self.last;
        params["_meta"] = json!({ "progressToken": id });
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&request).await?;
        loop {
            let Some(line) = self.messages.next_line().await? else {
                bail!("the server ended before it answered");
            };
            let mut message: Value = serde_json::from_str(&line)?;
            if message["method"] == "notifications/progress" {
                progress(&serde_json::from_value(message["params"].take())?)?;
            } else if message["method"].is_string() {
                // Nothing else that it says is of the demo.
            } else if message["id"] == id && message["error"].is_object() {
                bail!("{}", message["error"]["message"].as_str().unwrap_or(&line));
            } else if message["id"] == id {
                return Ok(message["result"].take());
            }
        }
    }

    async fn send(&mut self, message: &Value) -> io::Result<()> {
        self.requests.write_all(format!("{message}\n").as_bytes()).await?;
        self.requests.flush().await
    }

    /// Lets the server end, as it does when its standard input closes.
    pub(super) async fn end(self) -> io::Result<()> {
        let Self { mut server, requests, messages, .. } = self;
        drop((requests, messages));
        server.wait().await.map(|_| ())
    }
}
