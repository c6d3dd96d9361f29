//! A host: starts the real program, and calls tools over standard input and output or over HTTP.

use std::{net::SocketAddr, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::script::{Over, Person};
use crate::{mcp_http::Reply, mcp_support::with_capabilities};

/// The program, and the host's ends of its pipes or the address it listens on.
pub(crate) struct Session {
    person: Person,
    next_id: u64,
    door: Door,
    /// The header that requests over HTTP carry.
    authorization: Option<String>,
    /// Killed when this is dropped.
    _process: Child,
}

enum Door {
    /// A host of 2025-11-25.
    Stdio { input: ChildStdin, output: Lines<BufReader<ChildStdout>> },
    /// A host of 2026-07-28.
    Http(SocketAddr),
}

impl Session {
    /// Starts `dadl-mcp serve` with these arguments and nothing else in its environment.
    pub(crate) async fn start(
        over: Over,
        person: Person,
        arguments: &[&str],
        environment: &[(&str, &str)],
        home: &Path,
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.arg("serve").args(arguments).env_clear().env("HOME", home).current_dir(home);
        command.envs(environment.iter().copied()).kill_on_drop(true);
        let (process, door) = match over {
            Over::Stdio => {
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
                let mut process = command.spawn().unwrap();
                let input = process.stdin.take().unwrap();
                let output = BufReader::new(process.stdout.take().unwrap()).lines();
                (process, Door::Stdio { input, output })
            }
            Over::Http => {
                command.args(["--http", "127.0.0.1:0"]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
                let mut process = command.spawn().unwrap();
                let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
                let address = loop {
                    let line = lines.next_line().await.unwrap().expect("the server has ended");
                    if let Some(rest) = line.strip_prefix("listening on http://") {
                        break rest.strip_suffix("/mcp").unwrap().parse().unwrap();
                    }
                };
                // Nobody reads the log, but the pipe must not fill up.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                (process, Door::Http(address))
            }
        };
        let mut session = Self { person, next_id: 0, door, authorization: None, _process: process };
        if let Door::Stdio { .. } = session.door {
            let parameters = json!({
                "protocolVersion": "2025-11-25",
                "capabilities": session.capabilities(),
                "clientInfo": { "name": "test", "version": "1" },
            });
            session.request("initialize", parameters).await;
            session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        }
        session
    }

    /// Sends `Authorization` with each request over HTTP from now on.
    pub(crate) fn authorize(&mut self, header: &str) {
        self.authorization = Some(header.to_owned());
    }

    fn capabilities(&self) -> Value {
        match self.person {
            Person::Absent => json!({}),
            Person::Agrees | Person::Declines => json!({ "elicitation": { "form": {} } }),
        }
    }

    /// The tools that the server lists.
    pub(crate) async fn tools(&mut self) -> Vec<Value> {
        let answer = self.request("tools/list", json!({})).await;
        answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// Calls a tool; the person answers what the server asks.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let mut call = json!({ "name": tool, "arguments": arguments });
        let answer = self.request("tools/call", call.clone()).await;
        if answer["result"]["resultType"] != "input_required" {
            return answer;
        }
        call["requestState"] = answer["result"]["requestState"].clone();
        let questions = answer["result"]["inputRequests"].as_object().unwrap();
        let answers = questions.keys().map(|name| (name.clone(), self.opinion()));
        call["inputResponses"] = Value::Object(answers.collect());
        self.request("tools/call", call).await
    }

    /// What the person says to a dangerous call.
    fn opinion(&self) -> Value {
        match self.person {
            Person::Agrees => json!({ "action": "accept", "content": { "confirm": true } }),
            Person::Declines => json!({ "action": "decline" }),
            Person::Absent => panic!("the server asks a host that cannot ask anybody"),
        }
    }

    async fn request(&mut self, method: &str, parameters: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters });
        match &self.door {
            Door::Http(address) => {
                let address = *address;
                self.post(address, method, message).await
            }
            Door::Stdio { .. } => {
                self.send(&message).await;
                loop {
                    let received = self.receive().await;
                    if received["method"] == "elicitation/create" {
                        let yes_or_no = self.opinion();
                        let answer =
                            json!({ "jsonrpc": "2.0", "id": received["id"], "result": yes_or_no });
                        self.send(&answer).await;
                    } else if received["id"] == id {
                        return received;
                    }
                }
            }
        }
    }

    async fn send(&mut self, message: &Value) {
        let Door::Stdio { input, .. } = &mut self.door else { panic!("not on HTTP") };
        input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        let Door::Stdio { output, .. } = &mut self.door else { panic!("not on HTTP") };
        let line = output.next_line().await.unwrap().expect("the server has ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn post(&self, address: SocketAddr, method: &str, mut message: Value) -> Value {
        message["params"] = with_capabilities(message["params"].take(), self.capabilities());
        let body = message.to_string();
        let mut request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: {}\r\nMcp-Method: {method}\r\n",
            body.len(),
            crate::mcp_support::STATELESS,
        );
        if let Some(name) = message["params"]["name"].as_str() {
            request.push_str(&format!("Mcp-Name: {name}\r\n"));
        }
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(&body);
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Reply::read(stream).await.json().await
    }
}
