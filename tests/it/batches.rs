//! Batches of messages, which the revision of 2025-03-26 has and no other.

use serde_json::{Value, json};

use crate::{
    mcp_http::{Reply, Site},
    mcp_support::{Client, Served, serve, text},
    upstream::{Answer, Upstream},
};

const NOBODY: &str = "http://127.0.0.1:9/";
const OLD: &str = "2025-03-26";

fn introduction(revision: &str) -> Value {
    json!({
        "protocolVersion": revision,
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    })
}

fn request(id: u32, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method })
}

fn call(id: u32, tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool } })
}

fn cancel(id: u32) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } })
}

async fn client(served: Served, revision: &str) -> Client {
    let mut client = Client::connect(served);
    client.request(0, "initialize", introduction(revision)).await;
    client.notify("notifications/initialized", json!({})).await;
    client
}

/// A session over HTTP.
struct Session {
    site: Site,
    id: String,
    revision: &'static str,
}

impl Session {
    async fn open(url: &str, revision: &'static str) -> Self {
        let site = Site::start(url).await;
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": introduction(revision) });
        let mut reply = site.post(&[], &message.to_string()).await;
        reply.event().await;
        let session = Self { id: reply.field("mcp-session-id").unwrap(), site, revision };
        let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(session.post(&message).await.status, 202);
        session
    }

    async fn post(&self, message: &Value) -> Reply {
        let fields =
            [("Mcp-Session-Id", self.id.as_str()), ("MCP-Protocol-Version", self.revision)];
        self.site.post(&fields, &message.to_string()).await
    }

    /// The answers to a batch, by their ids.
    async fn answers(&self, batch: &Value, count: usize) -> Vec<Value> {
        let mut reply = self.post(batch).await;
        assert_eq!(reply.status, 200);
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(reply.event().await);
        }
        by_id(answers)
    }
}

fn by_id(mut answers: Vec<Value>) -> Vec<Value> {
    answers.sort_by_key(|answer| answer["id"].to_string());
    answers
}

fn array(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(answers) => by_id(answers),
        other => panic!("no array: {other}"),
    }
}

#[tokio::test]
async fn a_batch_is_answered_as_a_whole() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1]")]).await;
    let session = Session::open(&upstream.url(), OLD).await;
    let mut client = client(serve(&upstream.url()), OLD).await;
    let unheard = json!({ "jsonrpc": "2.0", "method": "notifications/unheard-of" });
    let batch = json!([
        request(1, "ping"), unheard, call(2, "list_things"), { "id": 3 },
        request(1, "tools/list"),
        { "jsonrpc": "2.0", "id": 4, "method": "initialize", "params": introduction(OLD) },
    ]);
    client.send(&batch).await;
    for answers in [array(client.receive().await), session.answers(&batch, 5).await] {
        assert_eq!(answers.len(), 5, "{answers:?}");
        let (pings, rest) = answers.split_at(2);
        // The second request of this id has no answer that anybody could tell from the first.
        assert!(pings.iter().any(|it| it["result"] == json!({})), "{pings:?}");
        assert!(pings.iter().any(|it| it["error"]["code"] == -32600), "{pings:?}");
        assert_eq!(text(&rest[0]), "[1]");
        for (answer, id) in [(&rest[1], 3), (&rest[2], 4)] {
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32600)));
        }
    }
    // And so is what comes after it.
    assert_eq!(client.request(9, "ping", json!({})).await["result"], json!({}));
    assert_eq!(session.post(&request(9, "ping")).await.event().await["result"], json!({}));
}

#[tokio::test]
async fn a_cancelled_part_holds_up_none() {
    let hanging =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[";
    let upstream = Upstream::start(vec![Answer::Hang(hanging.to_vec())]).await;
    let mut client = client(serve(&upstream.url()), OLD).await;
    client.send(&json!([request(1, "ping"), call(2, "list_things")])).await;
    upstream.request_arrived().await;
    // Others are answered meanwhile.
    assert_eq!(client.request(3, "ping", json!({})).await["result"], json!({}));
    client.send(&cancel(2)).await;
    let answers = array(client.receive().await);
    assert_eq!((answers.len(), &answers[0]["id"]), (1, &json!(1)));
    // One that is cancelled as a whole has no answer.
    client.send(&json!([call(4, "list_things"), cancel(4)])).await;
    assert_eq!(client.request(5, "ping", json!({})).await["id"], 5);
}

#[tokio::test]
async fn notifications_need_no_answer() {
    let session = Session::open(NOBODY, OLD).await;
    let mut client = client(serve(NOBODY), OLD).await;
    let batch = json!([cancel(1), cancel(2)]);
    assert_eq!(session.post(&batch).await.status, 202);
    client.send(&batch).await;
    assert_eq!(client.request(1, "ping", json!({})).await["id"], 1);
}

#[tokio::test]
async fn a_batch_without_requests_has_its_faults() {
    let session = Session::open(NOBODY, OLD).await;
    let mut client = client(serve(NOBODY), OLD).await;
    let batch = json!([1, cancel(1), { "id": "a" }]);
    client.send(&batch).await;
    let mut reply = session.post(&batch).await;
    assert_eq!(reply.status, 400);
    for answers in [array(client.receive().await), array(reply.json().await)] {
        let ids: Vec<&Value> = answers.iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [&json!("a"), &Value::Null]);
    }
}

#[tokio::test]
async fn what_is_no_batch_is_told_why() {
    let many: Vec<Value> = (0..65).map(|id| request(id, "ping")).collect();
    for (revision, batch, expected) in [
        (OLD, json!([]), "empty"),
        (OLD, json!(many), "65 messages, and may have 64"),
        ("2024-11-05", json!([request(1, "ping")]), "this session speaks 2024-11-05"),
        ("2025-06-18", json!([request(1, "ping")]), "this session speaks 2025-06-18"),
        ("2025-11-25", json!([]), "this session speaks 2025-11-25"),
    ] {
        let session = Session::open(NOBODY, revision).await;
        let mut client = client(serve(NOBODY), revision).await;
        client.send(&batch).await;
        let mut reply = session.post(&batch).await;
        assert_eq!(reply.status, 400);
        for answer in [client.receive().await, reply.json().await] {
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)));
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(client.request(1, "ping", json!({})).await["id"], 1);
    }
    let site = Site::start(NOBODY).await;
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": introduction(OLD) }]);
    let mut reply = site.post(&[], &batch.to_string()).await;
    assert_eq!((reply.status, &reply.json().await["error"]["code"]), (400, &json!(-32600)));
    let gone = [("Mcp-Session-Id", "gone"), ("MCP-Protocol-Version", OLD)];
    assert_eq!(site.post(&gone, &batch.to_string()).await.status, 404);
    let mut client = Client::connect(serve(NOBODY));
    client.send(&batch).await;
    assert_eq!(client.receive().await["error"]["code"], -32600);
    assert!(client.request(1, "initialize", introduction(OLD)).await["result"].is_object());
}

#[tokio::test]
async fn a_batch_passes_the_checks_of_a_message() {
    let session = Session::open(NOBODY, OLD).await;
    let batch = json!([request(1, "ping")]).to_string();
    let status = async |more: (&str, &str)| {
        let mut fields = vec![("Mcp-Session-Id", session.id.as_str()), more];
        if more.0 != "Accept" {
            fields.push(("Accept", "*/*"));
        }
        if more.0 != "Content-Type" {
            fields.push(("Content-Type", "application/json"));
        }
        session.site.send("POST", "/mcp", &fields, &batch).await.status
    };
    assert_eq!(status(("Origin", "https://evil.example")).await, 403);
    assert_eq!(status(("Host", "evil.example")).await, 403);
    assert_eq!(status(("Accept", "application/json")).await, 406);
    assert_eq!(status(("Content-Type", "application/jsonp")).await, 415);
    assert_eq!(status(("X-Other", "x")).await, 200);
}
