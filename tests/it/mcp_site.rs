//! A server of the streamable HTTP transport in the hands of a test: written without a library of the
//! protocol, and answering byte by byte.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::Receiver,
    },
    thread,
};

use serde_json::{Value, json};

/// The name of the first session; the next ones count on.
pub(crate) const SESSION: &str = "session-1";

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `POST /mcp`.
    pub(crate) line: String,
    /// All header fields, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    /// The message, if it is one.
    pub(crate) message: Value,
    /// Which request of its method this is, from 1 on.
    pub(crate) count: usize,
}

impl Asked {
    pub(crate) fn method(&self) -> &str {
        self.message["method"].as_str().unwrap_or_default()
    }

    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str()))
    }

    /// A text that stands for it: its HTTP method or that of the message.
    pub(crate) fn name(&self) -> String {
        match self.method() {
            "" => self.line.split(' ').next().unwrap().to_owned(),
            method => method.to_owned(),
        }
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// What an honest server answers.
    Honest,
    /// A whole answer with these header fields besides.
    Full(u16, String, Vec<u8>),
    /// These bytes, then the connection closes.
    Close(Vec<u8>),
    /// These bytes, then what comes, until nothing will come any more.
    Piped(Vec<u8>, Receiver<String>),
    /// These bytes, then this again and again, until the client goes away.
    Endless(Vec<u8>, Vec<u8>),
}

impl Reply {
    /// A result of the request, as JSON.
    pub(crate) fn result(asked: &Asked, result: Value) -> Self {
        Self::message(&json!({ "jsonrpc": "2.0", "id": asked.message["id"], "result": result }))
    }

    pub(crate) fn message(message: &Value) -> Self {
        Self::Full(200, "Content-Type: application/json\r\n".to_owned(), message.to_string().into())
    }

    pub(crate) fn status(status: u16, fields: &str) -> Self {
        Self::Full(status, fields.to_owned(), Vec::new())
    }

    /// Events, then the end of the stream.
    pub(crate) fn events(events: &str) -> Self {
        Self::Full(200, "Content-Type: text/event-stream\r\n".to_owned(), events.into())
    }

    /// Events, then the connection breaks.
    pub(crate) fn cut(events: &str) -> Self {
        Self::Close(stream(events))
    }
}

/// The head of a stream without an end, and what it begins with.
pub(crate) fn stream(events: &str) -> Vec<u8> {
    let chunk = format!("{:x}\r\n{events}\r\n", events.len());
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    format!("{head}{}", if events.is_empty() { "" } else { &chunk }).into()
}

/// A text result.
pub(crate) fn text_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// An event with the result of a request.
pub(crate) fn event(asked: &Asked, result: &Value) -> String {
    let message = json!({ "jsonrpc": "2.0", "id": asked.message["id"], "result": result });
    format!("data: {message}\n\n")
}

type Handler = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// The server; it lives as long as the test.
pub(crate) struct McpSite {
    origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Shared {
    handler: Handler,
    asked: Arc<Mutex<Vec<Asked>>>,
    sessions: AtomicUsize,
}

impl McpSite {
    /// Answers as `handler` says.
    pub(crate) fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            asked: Arc::clone(&asked),
            sessions: AtomicUsize::new(0),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.converse(&stream));
            }
        });
        Self { origin, asked }
    }

    /// One that always does what it should.
    pub(crate) fn honest() -> Self {
        Self::start(|_| Reply::Honest)
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The host and the port.
    pub(crate) fn address(&self) -> String {
        let url = self.url();
        url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.origin)
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests of one method.
    pub(crate) fn asked_for(&self, name: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.name() == name).collect()
    }

    /// Waits until there were so many requests of a method.
    pub(crate) fn wait_for(&self, name: &str, count: usize) -> Vec<Asked> {
        let begun = std::time::Instant::now();
        loop {
            let asked = self.asked_for(name);
            if asked.len() >= count {
                return asked;
            }
            assert!(begun.elapsed().as_secs() < 60, "{:?}", self.asked());
            thread::yield_now();
        }
    }
}

impl Shared {
    fn converse(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        loop {
            let asked = self.read(&mut reader)?;
            match (self.handler)(&asked) {
                Reply::Honest => writer.write_all(&self.honest(&asked)).ok()?,
                Reply::Full(status, fields, body) => {
                    writer.write_all(&full(status, &fields, &body)).ok()?;
                }
                Reply::Close(bytes) => {
                    let _ = writer.write_all(&bytes);
                    return None;
                }
                Reply::Piped(bytes, pipe) => {
                    writer.write_all(&bytes).ok()?;
                    for text in pipe {
                        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                        writer.write_all(chunk.as_bytes()).ok()?;
                    }
                    return None;
                }
                Reply::Endless(bytes, more) => {
                    writer.write_all(&bytes).ok()?;
                    loop {
                        writer.write_all(&more).ok()?;
                    }
                }
            }
        }
    }

    fn read(&self, reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut head = String::new();
        loop {
            let mut field = String::new();
            reader.read_line(&mut field).ok()?;
            if field.trim().is_empty() {
                break;
            }
            let (name, value) = field.split_once(':')?;
            head.push_str(&format!("{}: {}\n", name.to_ascii_lowercase(), value.trim()));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let message = serde_json::from_str(&body).unwrap_or_default();
        let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
        let mut asked = Asked { line, head, body, message, count: 0 };
        let mut all = self.asked.lock().unwrap();
        asked.count = all.iter().filter(|it| it.name() == asked.name()).count() + 1;
        all.push(asked.clone());
        Some(asked)
    }

    /// An answer of a server that has sessions, JSON, and no stream of news.
    fn honest(&self, asked: &Asked) -> Vec<u8> {
        let message = &asked.message;
        if !asked.line.starts_with("POST ") {
            return full(if asked.line.starts_with("DELETE ") { 200 } else { 405 }, "", b"");
        }
        if message["id"].is_null() || message["method"].is_null() {
            return full(202, "", b"");
        }
        let mut fields = "Content-Type: application/json\r\n".to_owned();
        let result = match asked.method() {
            "initialize" => {
                let number = self.sessions.fetch_add(1, Ordering::SeqCst) + 1;
                fields.push_str(&format!("Mcp-Session-Id: session-{number}\r\n"));
                introduction("2025-11-25")
            }
            "tools/list" => json!({ "tools": [{
                "name": "echo", "description": "Says it again.",
                "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
            }] }),
            "tools/call" => {
                text_result(message["params"]["arguments"]["text"].as_str().unwrap_or_default())
            }
            "ping" => json!({}),
            method => {
                let error = json!({ "code": -32601, "message": format!("no method {method}") });
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
                return full(200, &fields, answer.to_string().as_bytes());
            }
        };
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        full(200, &fields, answer.to_string().as_bytes())
    }
}

/// What a server says of itself in the revisions with `initialize`.
pub(crate) fn introduction(revision: &str) -> Value {
    json!({
        "protocolVersion": revision, "capabilities": { "tools": { "listChanged": true } },
        "serverInfo": { "name": "site", "version": "1" },
    })
}

/// What a server says of itself in the revision without.
pub(crate) fn discovery() -> Value {
    json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
        "cacheScope": "private", "capabilities": { "tools": { "listChanged": true } },
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "new", "version": "2" } },
    })
}

fn full(status: u16, fields: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    [head.as_bytes(), body].concat()
}
