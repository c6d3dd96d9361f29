//! Resources of other MCP servers: listed, read and watched through us, in both eras of the protocol.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    mcp_http::Reply,
    process::Process,
    servers::{House, called, everything},
};

const UPDATED: &str = "notifications/resources/updated";

/// Adds what a request of 2026-07-28 carries.
pub(crate) fn stateless(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    params
}

/// The members of a list that a host gets, by one of their members.
pub(crate) fn listed(answer: &Value, list: &str, member: &str) -> Vec<String> {
    let items = answer["result"][list].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|it| it[member].as_str().unwrap().to_owned()).collect()
}

fn read(process: &mut Process, id: u32, uri: &str) -> Value {
    process.request(id, "resources/read", &json!({ "uri": uri }))
}

fn read_text(process: &mut Process, id: u32, uri: &str) -> String {
    let answer = read(process, id, uri);
    let text = answer["result"]["contents"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Says which resources are subscribed to at a server, and tells of one first.
fn telling(uri: &str) -> Value {
    json!([
        { "updated": uri },
        { "result": { "content": [], "structuredContent": { "of": "$subscriptions" } } },
    ])
}

/// Has a server tell of a resource; returns those that are subscribed to there, and what came meanwhile.
fn tell(process: &mut Process, id: u32, (tool, arguments): (&str, Value)) -> (Value, Vec<Value>) {
    let params = json!({ "name": tool, "arguments": arguments });
    let (told, mut answer) = process.request_with_notifications(id, "tools/call", &params);
    (answer["result"]["structuredContent"]["of"].take(), told)
}

fn echo() -> (&'static str, Value) {
    ("echo", json!({ "text": "x" }))
}

fn subscribe(process: &mut Process, id: u32, uri: &str) -> Value {
    process.request(id, "resources/subscribe", &json!({ "uri": uri }))
}

/// Returns the next notification about a resource, which may have come already.
fn updated(process: &mut Process, told: Vec<Value>) -> Value {
    let mut told = told.into_iter();
    loop {
        let mut message = told.next().unwrap_or_else(|| process.receive());
        if message["method"] == UPDATED {
            return message["params"].take();
        }
    }
}

#[test]
fn a_resource_is_listed_and_read_as_the_server_has_it() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let script = json!({ "resources": [
            { "uri": "note://welcome", "name": "welcome", "title": "Welcome", "mimeType": "text/x-note",
              "description": "Says\u{202e} hello.", "size": 5, "text": "hello", "_meta": { "a": 1 },
              "annotations": { "audience": ["user"], "priority": 0.5 } },
            { "uri": "note://dot", "name": "dot", "mimeType": "image/png", "blob": "AAEC" },
        ], "templates": [{ "uriTemplate": "note://{name}", "name": "note", "text": "any" }] });
        let house = House::new().server("notes", &script, json!({ "protocol": revision }));
        let mut process = house.serve();
        let list = process.request(2, "resources/list", &json!({}));
        assert_eq!(listed(&list, "resources", "uri"), ["note://welcome", "note://dot"]);
        let welcome = &list["result"]["resources"][0];
        let expected = json!({
            "uri": "note://welcome", "name": "welcome", "title": "Welcome", "mimeType": "text/x-note",
            "description": "Says hello.", "size": 5,
            "annotations": { "audience": ["user"], "priority": 0.5 },
        });
        assert_eq!(*welcome, expected);
        let templates = process.request(3, "resources/templates/list", &json!({}));
        let templates = listed(&templates, "resourceTemplates", "uriTemplate");
        assert_eq!(templates.last().unwrap(), "note://{name}");
        let welcome = read(&mut process, 4, "note://welcome");
        let expected =
            json!([{ "uri": "note://welcome", "mimeType": "text/x-note", "text": "hello" }]);
        assert_eq!(welcome["result"]["contents"], expected);
        let dot = read(&mut process, 5, "note://dot");
        let expected = json!([{ "uri": "note://dot", "mimeType": "image/png", "blob": "AAEC" }]);
        assert_eq!(dot["result"]["contents"], expected);
        // What is not listed is read by a template.
        assert_eq!(read_text(&mut process, 6, "note://other"), "any");
        assert_eq!(read(&mut process, 7, "other://x")["error"]["code"], -32002);
        // A host of the newest revision gets the same.
        let params = stateless(json!({ "uri": "note://dot" }));
        let dot = process.request(8, "resources/read", &params);
        assert_eq!(dot["result"]["contents"], expected);
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn two_servers_with_the_same_uris_stay_apart() {
    let script = |text: &str| {
        json!({ "resources": [{ "uri": "file:///x", "name": "x", "text": text }],
                "templates": [{ "uriTemplate": "file:///{+path}", "name": "f", "text": "other" }] })
    };
    let house = House::new().server("one", &script("of one"), json!({})).server(
        "two",
        &script("of two"),
        json!({}),
    );
    let mut process = house.serve();
    let list = process.request(2, "resources/list", &json!({}));
    assert_eq!(listed(&list, "resources", "uri"), ["one+file:///x", "two+file:///x"]);
    let templates = process.request(3, "resources/templates/list", &json!({}));
    let templates = listed(&templates, "resourceTemplates", "uriTemplate");
    assert_eq!(templates[templates.len() - 2..], ["one+file:///{+path}", "two+file:///{+path}"]);
    assert_eq!(read_text(&mut process, 4, "one+file:///x"), "of one");
    assert_eq!(read_text(&mut process, 5, "two+file:///x"), "of two");
    assert_eq!(read_text(&mut process, 6, "two+file:///a/b"), "other");
    let answer = read(&mut process, 7, "two+file:///x");
    assert_eq!(answer["result"]["contents"][0]["uri"], "two+file:///x");
    for nobodys in ["file:///x", "three+file:///x", "+file:///x", "one+", "dadl-file:x"] {
        assert_eq!(read(&mut process, 8, nobodys)["error"]["code"], -32002, "{nobodys}");
    }
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_scheme_of_ours_is_not_a_servers() {
    let script = json!({ "resources": [{ "uri": "file:///x", "name": "x", "text": "theirs" }] });
    let house = House::new().server("notes", &script, json!({}));
    let mut process = house.serve();
    let list = process.request(2, "resources/list", &json!({}));
    assert_eq!(listed(&list, "resources", "uri"), ["notes+file:///x"]);
    assert_eq!(read_text(&mut process, 3, "notes+file:///x"), "theirs");
    assert_eq!(read(&mut process, 4, "file:///x")["error"]["code"], -32002);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn what_may_not_be_read_is_not_offered() {
    for settings in [json!({ "resources": false }), json!({ "access": ["write"] })] {
        // It would end if it were asked.
        let script = json!({ "on": { "resources/read": [{ "exit": 1 }] } });
        let house = House::new().server("notes", &script, settings.clone());
        let mut process = house.serve();
        let list = process.request(2, "resources/list", &json!({}));
        assert_eq!(list["result"]["resources"], json!([]), "{settings}");
        let templates = process.request(3, "resources/templates/list", &json!({}));
        let templates = listed(&templates, "resourceTemplates", "uriTemplate");
        assert_eq!(templates.len(), 1, "{templates:?}");
        assert_eq!(read(&mut process, 4, "note://welcome")["error"]["code"], -32002);
        assert_eq!(subscribe(&mut process, 5, "note://welcome")["error"]["code"], -32002);
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_server_that_is_down_takes_no_resources_from_the_others() {
    let house = House::new()
        .backend(json!({ "name": "gone", "transport": "stdio", "command": "no-such-program-here" }))
        .server("notes", &json!({}), json!({}));
    let mut process = house.serve();
    let list = process.request(2, "resources/list", &json!({}));
    assert_eq!(listed(&list, "resources", "uri"), ["notes+note://welcome"]);
    let text = read_text(&mut process, 3, "notes+note://welcome");
    assert_eq!(text, "This is the note welcome.");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn contents_are_whole_cleaned_and_without_secrets() {
    let blob = json!([
        { "text": "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"result\":{\"contents\":[{\"uri\":\"note://big\",\"blob\":\"" },
        { "text": "AAAA", "times": 2_500_000 },
        { "text": "\"}]}}\n" },
    ]);
    let script = json!({
        "resources": [{ "uri": "note://a", "name": "a", "text": "s3cret-of-the-note b\u{e0041}c" }],
        "on": { "resources/read note://big": blob, "resources/read note://none": [{ "result": {} }],
                "resources/read note://input": [{ "result": { "resultType": "input_required" } }],
                "resources/read note://error": [{ "error": { "code": -32603, "message": "no\n s3cret-of-the-note" } }] },
    });
    let settings = json!({ "env": { "API_TOKEN": "s3cret-of-the-note" } });
    let house = House::new().server("notes", &script, settings);
    let mut process = house.serve();
    let contents = read(&mut process, 2, "note://a")["result"]["contents"].take();
    assert_eq!(contents[1]["text"], "[REDACTED] b\u{fffd}c", "{contents}");
    assert!(contents[0]["text"].as_str().unwrap().contains("nobody sees"), "{contents}");
    let contents = read(&mut process, 3, "note://big")["result"]["contents"].take();
    assert_eq!(contents[0]["blob"].as_str().unwrap().len(), 10_000_000);
    for (uri, told) in [
        ("note://none", "with what is no resource"),
        ("note://input", "asks for more input"),
        ("note://error", "[REDACTED]"),
    ] {
        let answer = read(&mut process, 4, uri);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(told) && !message.contains('\n'), "{answer}");
    }
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_read_has_progress_and_can_be_cancelled() {
    let progress = json!({ "progressToken": "$token", "progress": 1, "message": "half" });
    let script = json!({ "on": {
        "resources/read note://slow": [{ "await": "notifications/cancelled" }],
        "resources/read note://told": [
            { "notify": { "method": "notifications/progress", "params": progress } }, { "answer": true },
        ],
        "tools/call echo": [{ "result": { "content": [{ "type": "text", "text": "cancelled" }] } }],
    } });
    let house = House::new().server("notes", &script, everything());
    let mut process = house.serve();
    let params = json!({ "uri": "note://told", "_meta": { "progressToken": 7 } });
    let (told, answer) = process.request_with_notifications(2, "resources/read", &params);
    assert_eq!(answer["result"]["contents"][0]["text"], "This is the note told.");
    assert!(told.iter().any(|it| it["params"]["message"] == "half"), "{told:?}");
    let slow = json!({ "jsonrpc": "2.0", "id": 3, "method": "resources/read",
        "params": { "uri": "note://slow" } });
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": 3 } });
    process.write(format!("{slow}\n{cancel}\n").as_bytes());
    // It answers when it has heard of the end of the read.
    let answer = called(&mut process, 4, "echo", json!({ "text": "a" }));
    assert_eq!(answer["content"][0]["text"], "cancelled");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_subscription_is_one_at_the_server_and_ends_with_the_last() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let script = json!({ "on": { "tools/call echo": telling("note://welcome") } });
        let mut settings = everything();
        settings["protocol"] = revision.into();
        let house = House::new().server("notes", &script, settings);
        let mut process = house.serve();
        assert_eq!(tell(&mut process, 2, echo()), (json!([]), Vec::new()));
        let answer = subscribe(&mut process, 3, "note://welcome");
        assert_eq!(answer["result"], json!({}), "{answer}");
        assert_eq!(subscribe(&mut process, 4, "note://welcome")["result"], json!({}));
        assert_eq!(subscribe(&mut process, 5, "note://other")["result"], json!({}));
        let (of, told) = tell(&mut process, 6, echo());
        assert_eq!(of, json!(["note://other", "note://welcome"]), "{revision}");
        assert_eq!(updated(&mut process, told), json!({ "uri": "note://welcome" }));
        let params = json!({ "uri": "note://other" });
        process.request(7, "resources/unsubscribe", &params);
        process.request(8, "resources/unsubscribe", &json!({ "uri": "note://welcome" }));
        // The server hears of it a moment later.
        let mut id = 9;
        while tell(&mut process, id, echo()).0 != json!([]) {
            id += 1;
        }
        // And again.
        assert_eq!(subscribe(&mut process, id + 1, "note://welcome")["result"], json!({}));
        let (of, told) = tell(&mut process, id + 2, echo());
        assert_eq!(of, json!(["note://welcome"]));
        assert_eq!(updated(&mut process, told)["uri"], "note://welcome");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn what_nobody_tells_of_is_not_subscribed_to() {
    let deaf = json!({ "capabilities": { "resources": {} } });
    let house = House::new().server("deaf", &deaf, json!({}));
    let mut process = house.serve();
    let error = &subscribe(&mut process, 2, "note://welcome")["error"];
    assert_eq!(error["code"], -32601, "{error}");
    assert!(error["message"].as_str().unwrap().contains("read it again"), "{error}");
    assert_eq!(process.end(), Some(0));
    let house = house.server("telling", &json!({}), json!({}));
    let mut process = house.serve();
    assert_eq!(subscribe(&mut process, 2, "deaf+note://welcome")["error"]["code"], -32602);
    assert_eq!(subscribe(&mut process, 3, "note://welcome")["error"]["code"], -32002);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_host_without_sessions_listens_to_several_servers() {
    let script = json!({ "on": { "tools/call echo": telling("note://welcome") } });
    let deaf = json!({ "capabilities": { "resources": {} } });
    let refusing =
        json!({ "on": { "resources/subscribe": [{ "error": { "code": -1, "message": "no" } }] } });
    let mut newest = everything();
    newest["protocol"] = "2026-07-28".into();
    let house = House::new()
        .server("old", &script, everything())
        .server("new", &script, newest)
        .server("deaf", &deaf, json!({}))
        .server("refusing", &refusing, json!({}));
    let mut process = house.start();
    let uris = ["old+note://welcome", "new+note://welcome", "refusing+note://welcome"];
    let unknown = ["deaf+note://welcome", "note://welcome"];
    let wanted: Vec<&str> = uris.into_iter().chain(unknown).collect();
    let params = stateless(json!({ "notifications": { "resourceSubscriptions": wanted } }));
    let listen =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params });
    process.write(format!("{listen}\n").as_bytes());
    let acknowledged = process.receive();
    let accepted = &acknowledged["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(*accepted, json!(uris), "{acknowledged}");
    // What changed until it was watched, nobody saw.
    for uri in uris {
        assert_eq!(updated(&mut process, Vec::new())["uri"], uri);
    }
    for (id, tool) in [(2, "old_echo"), (3, "new_echo")] {
        let call = stateless(json!({ "name": tool, "arguments": { "text": "x" } }));
        let (told, _) = process.request_with_notifications(id, "tools/call", &call);
        let told = updated(&mut process, told);
        let uri = format!("{}+note://welcome", &tool[..3]);
        assert_eq!(told["uri"], uri, "{told}");
        assert_eq!(told["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    }
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_subscription_is_renewed_after_the_server_was_restarted() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let script = json!({ "on": {
            "tools/call echo": [{ "exit": 1 }], "tools/call add": telling("note://welcome"),
        } });
        let mut settings = everything();
        settings["protocol"] = revision.into();
        let house = House::new().server("notes", &script, settings);
        let mut process = house.serve();
        assert_eq!(subscribe(&mut process, 2, "note://welcome")["result"], json!({}));
        let (_, told) = tell(&mut process, 3, echo());
        // It is started without a call, and what changed meanwhile, nobody saw.
        assert_eq!(updated(&mut process, told)["uri"], "note://welcome", "{revision}");
        let (of, told) = tell(&mut process, 4, ("add", json!({ "a": 1, "b": 2 })));
        assert_eq!(of, json!(["note://welcome"]));
        assert_eq!(updated(&mut process, told)["uri"], "note://welcome");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_flood_of_updates_becomes_few() {
    let update = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/updated\",\"params\":{\"uri\":\"note://welcome\"}}\n";
    let script = json!({ "on": { "tools/call echo": [
        { "text": update, "times": 20_000 }, { "answer": true },
    ], "tools/call add": telling("note://welcome") } });
    let house = House::new().server("notes", &script, everything());
    let mut process = house.serve();
    subscribe(&mut process, 2, "note://welcome");
    let params = json!({ "name": "echo", "arguments": { "text": "x" } });
    let (mut told, answer) = process.request_with_notifications(3, "tools/call", &params);
    assert_eq!(answer["result"]["content"][0]["text"], "x");
    let params = json!({ "name": "add", "arguments": { "a": 1, "b": 1 } });
    // The last change is told in any case.
    let (last, _) = process.request_with_notifications(4, "tools/call", &params);
    told.push(updated(&mut process, last));
    assert!((1..200).contains(&told.len()), "{}", told.len());
    assert_eq!(process.end(), Some(0));
}

/// A server on HTTP.
struct HttpServer {
    child: Child,
    address: String,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl HttpServer {
    fn start(house: &House) -> Self {
        let mut command = house.command(&["serve", "--http", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    async fn send(&self, method: &str, session: &str, message: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let mut head = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n",
            self.address,
            message.len()
        );
        if !session.is_empty() {
            head += &format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        }
        stream.write_all(format!("{head}\r\n{message}").as_bytes()).await.unwrap();
        Reply::read(stream).await
    }

    /// Opens a session, and a stream of what it is told.
    async fn session(&self) -> (String, Reply) {
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let message =
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let mut reply = self.send("POST", "", &message.to_string()).await;
        let session = reply.field("mcp-session-id").unwrap();
        reply.event().await;
        let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.send("POST", &session, &message.to_string()).await.status, 202);
        let told = self.send("GET", &session, "").await;
        (session, told)
    }

    async fn request(&self, session: &str, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.send("POST", session, &message.to_string()).await.event().await
    }
}

#[tokio::test]
async fn sessions_are_told_of_what_they_subscribed_to_alone() {
    let script = json!({ "on": {
        "tools/call echo": telling("note://a"), "tools/call picture": telling("note://b"),
    } });
    let house = House::new().server("notes", &script, everything());
    let server = HttpServer::start(&house);
    let ((first, mut first_told), (second, mut second_told)) =
        (server.session().await, server.session().await);
    let subscribe = async |session: &str, uri: &str| {
        let params = json!({ "uri": uri });
        let answer = server.request(session, "resources/subscribe", params).await;
        assert_eq!(answer["result"], json!({}), "{answer}");
    };
    subscribe(&first, "note://a").await;
    subscribe(&first, "note://b").await;
    subscribe(&second, "note://b").await;
    let call = async |tool: &str, arguments: Value| {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = server.request(&second, "tools/call", params).await;
        answer["result"]["structuredContent"]["of"].clone()
    };
    // One subscription serves both.
    let of = call("echo", json!({ "text": "x" })).await;
    assert_eq!(of, json!(["note://a", "note://b"]));
    assert_eq!(first_told.event().await["params"]["uri"], "note://a");
    call("picture", json!({})).await;
    // The second has heard nothing before.
    assert_eq!(second_told.event().await["params"]["uri"], "note://b");
    assert_eq!(first_told.event().await["params"]["uri"], "note://b");
    let params = json!({ "uri": "note://b" });
    server.request(&first, "resources/unsubscribe", params.clone()).await;
    server.request(&first, "resources/unsubscribe", json!({ "uri": "note://a" })).await;
    while call("echo", json!({ "text": "x" })).await != json!(["note://b"]) {}
    server.request(&second, "resources/unsubscribe", params).await;
    while call("echo", json!({ "text": "x" })).await != json!([]) {}
}

#[test]
fn the_command_line_lists_and_shows_them() {
    let script =
        json!({ "resources": [{ "uri": "note://a", "name": "a", "description": "First." }] });
    let house = House::new().server("notes", &script, json!({})).server(
        "more",
        &json!({}),
        json!({ "resources": false }),
    );
    let list = house.run(&["list", "--resources"]).json();
    assert_eq!(list[0]["uri"], "notes+note://a");
    assert_eq!(
        (&list[0]["backend"], &list[0]["server_uri"]),
        (&json!("notes"), &json!("note://a"))
    );
    assert_eq!(list[1]["uriTemplate"], "notes+note://{name}");
    assert_eq!(list.as_array().unwrap().len(), 2);
    let shown = house.run(&["show", "notes+note://a"]).json();
    assert_eq!(shown, list[0]);
}
