//! What clients get wrong, or write otherwise than others: paths, header fields, shapes, cursors and
//! the end of a session, over HTTP and on a pair of streams.

use serde_json::{Value, json};

use crate::{
    mcp_http::{Reply, Site},
    mcp_support::{Client, STATELESS, serve, serve_descriptor, with_meta},
};

const NOBODY: &str = "http://127.0.0.1:9/";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");

fn initialize(params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string()
}

fn introduction() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    })
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let site = Site::start(NOBODY).await;
    let message = initialize(introduction());
    for path in ["/mcp/", "/mcp/?x=1", "/mcp?x=1"] {
        let mut reply = site.send("POST", path, &[JSON, BOTH], &message).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.event().await["result"]["serverInfo"]["name"], "dadl-mcp");
        let session = reply.field("mcp-session-id").unwrap();
        let fields = [("Mcp-Session-Id", session.as_str()), ("Accept", "text/event-stream")];
        assert_eq!(site.send("GET", path, &fields, "").await.status, 200, "{path}");
        assert_eq!(site.send("DELETE", path, &fields[..1], "").await.status, 204, "{path}");
    }
    assert_eq!(site.send("GET", "/health/", &[], "").await.status, 200);
    let asked = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(site.send("OPTIONS", "/mcp/", &asked, "").await.status, 204);
    let mut reply = site.send("GET", "/sse", &[], "").await;
    assert_eq!(reply.status, 404);
    assert!(reply.text().await.contains("MCP is at /mcp"));
}

#[tokio::test]
async fn who_takes_any_answer_gets_one() {
    let site = Site::start(NOBODY).await;
    let message = initialize(introduction());
    for accept in [None, Some("*/*"), Some("application/*, text/*"), Some("*/*;q=0.5, text/html")] {
        let mut fields = vec![JSON];
        fields.extend(accept.map(|accept| ("Accept", accept)));
        let mut reply = site.send("POST", "/mcp", &fields, &message).await;
        assert_eq!(reply.status, 200, "{accept:?}");
        reply.event().await;
        let session = reply.field("mcp-session-id").unwrap();
        let mut fields = vec![("Mcp-Session-Id", session.as_str())];
        fields.extend(accept.map(|accept| ("Accept", accept)));
        assert_eq!(site.send("GET", "/mcp", &fields, "").await.status, 200, "{accept:?}");
    }
    for accept in ["application/json", "text/html", "text/event-stream;q=0, */*", "*/*;q=0"] {
        let fields = [JSON, ("Accept", accept)];
        assert_eq!(site.send("POST", "/mcp", &fields, &message).await.status, 406, "{accept}");
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list",
        "params": with_meta(json!({})) });
    let fields = [JSON, ("MCP-Protocol-Version", STATELESS), ("Mcp-Method", "tools/list")];
    let mut reply = site.send("POST", "/mcp", &fields, &message.to_string()).await;
    assert_eq!(reply.json().await["result"]["tools"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_session_gets_plain_json_where_nothing_is_said_before_the_answer() {
    let site = Site::start(NOBODY).await;
    let session = site.session(json!({})).await;
    for (method, answer) in [("tools/list", "result"), ("no/such", "error")] {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method }).to_string();
        let mut reply = site.post(&[("Mcp-Session-Id", session.as_str())], &message).await;
        let message = reply.json().await;
        assert_eq!((reply.status, &message["id"]), (200, &json!(7)));
        assert!(!message[answer].is_null(), "{message}");
    }
}

#[tokio::test]
async fn the_whole_media_type_counts() {
    let site = Site::start(NOBODY).await;
    let message = initialize(introduction());
    let status = async |content_type: Option<&str>, body: &str| {
        let mut fields = vec![BOTH];
        fields.extend(content_type.map(|it| ("Content-Type", it)));
        site.send("POST", "/mcp", &fields, body).await.status
    };
    for right in ["application/json", "Application/JSON", "application/json ; charset=utf-8"] {
        assert_eq!(status(Some(right), &message).await, 200, "{right}");
        // Only then it is the body that is wrong.
        assert_eq!(status(Some(right), "{").await, 400, "{right}");
    }
    for wrong in ["application/jsonp", "application/json-rpc", "text/json", "text/plain", "json"] {
        assert_eq!(status(Some(wrong), &message).await, 415, "{wrong}");
        assert_eq!(status(Some(wrong), "{").await, 415, "{wrong}");
        assert_eq!(status(Some(wrong), "[]").await, 415, "{wrong}");
    }
    assert_eq!(status(None, &message).await, 415);
}

/// Introductions that are none, and what is said about them.
fn wrong_introductions() -> Vec<(Value, &'static str)> {
    let without = |member: &str| {
        let mut params = introduction();
        params.as_object_mut().unwrap().remove(member);
        params
    };
    let with = |member: &str, value: Value| {
        let mut params = introduction();
        params[member] = value;
        params
    };
    vec![
        (without("clientInfo"), "`clientInfo` is missing"),
        (without("capabilities"), "`capabilities` is missing"),
        (without("protocolVersion"), "`protocolVersion` is missing"),
        (with("clientInfo", json!({ "name": "x" })), "`clientInfo.version` is missing"),
        (with("protocolVersion", json!(1)), "`protocolVersion` must be"),
        (with("capabilities", json!([])), "`capabilities` must be"),
        (Value::Null, "`protocolVersion` is missing"),
        (json!([]), "`params` must be an object"),
    ]
}

#[tokio::test]
async fn an_introduction_is_told_what_is_wrong_with_it() {
    let site = Site::start(NOBODY).await;
    let mut client = Client::connect(serve(NOBODY));
    for (params, expected) in wrong_introductions() {
        let mut message = json!({ "jsonrpc": "2.0", "id": "i", "method": "initialize" });
        if !params.is_null() {
            message["params"] = params;
        }
        let mut reply = site.post(&[], &message.to_string()).await;
        assert_eq!(reply.status, 400, "{message}");
        assert_eq!(reply.field("mcp-session-id"), None);
        client.send(&message).await;
        for answer in [reply.json().await, client.receive().await] {
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("i"), &json!(-32602)));
            let text = answer["error"]["message"].as_str().unwrap();
            assert!(text.starts_with("initialize: ") && text.contains(expected), "{text}");
        }
        // A ping is allowed before.
        assert_eq!(client.request(2, "ping", json!({})).await["result"], json!({}));
    }
    // What comes next may be right, and an unknown revision is no fault.
    let mut params = introduction();
    params["protocolVersion"] = json!("1999-01-01");
    let answer = client.request(3, "initialize", params.clone()).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(site.post(&[], &initialize(params)).await.status, 200);
}

/// Requests that do not have the shape of their method.
fn misshaped() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("prompts/get", json!({}), "`name` is missing"),
        ("prompts/get", json!({ "name": "x", "arguments": [] }), "`arguments` must be"),
        ("resources/read", json!({}), "`uri` is missing"),
        ("resources/read", json!({ "uri": 7 }), "`uri` must be"),
        ("completion/complete", json!({}), "`ref` is missing"),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt" }, "argument": { "name": "a", "value": "" } }),
            "`ref.name` must be",
        ),
        ("tools/call", json!({ "name": 1 }), "`name` must be the name of a tool"),
    ]
}

fn refusal(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap())
}

#[tokio::test]
async fn a_request_is_told_what_is_wrong_with_it() {
    let site = Site::start(NOBODY).await;
    let session = site.session(json!({})).await;
    let mut client = Client::legacy(serve(NOBODY), json!({})).await;
    let mut later = Client::connect(serve(NOBODY));
    for (method, params, expected) in misshaped() {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let answers = [
            site.in_session(&session, &message).await.event().await,
            client.request(7, method, params.clone()).await,
            later.request(7, method, with_meta(params)).await,
        ];
        for answer in answers {
            let (code, text) = refusal(&answer);
            assert_eq!(code, -32602, "{answer}");
            assert!(text.contains(expected), "{method}: {text}");
        }
    }
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let answer = client.request(8, method, json!({})).await;
        assert!(refusal(&answer).1.contains("`uri` is missing"), "{answer}");
        // The later revision has no such method.
        assert_eq!(refusal(&later.request(8, method, with_meta(json!({}))).await).0, -32601);
    }
    for method in ["no/such", "tasks/list", "x"] {
        let expected = format!("unknown method \"{method}\"");
        let answer = client.request(9, method, json!({})).await;
        assert_eq!(refusal(&answer), (-32601, expected.as_str()));
    }
}

const PAGES: [&str; 4] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];

#[tokio::test]
async fn no_list_knows_a_cursor() {
    let mut client = Client::legacy(serve(NOBODY), json!({})).await;
    let mut later = Client::connect(serve(NOBODY));
    for method in PAGES {
        for cursor in ["bogus", ""] {
            let params = json!({ "cursor": cursor });
            let answers = [
                client.request(1, method, params.clone()).await,
                later.request(1, method, with_meta(params)).await,
            ];
            for answer in answers {
                let (code, text) = refusal(&answer);
                assert_eq!(code, -32602, "{method} {answer}");
                assert!(text.contains("unknown cursor"), "{text}");
            }
        }
        let answer = client.request(2, method, json!({ "cursor": null })).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
    // Where there are no prompts, there is no such method either.
    let none = crate::mcp_support::TOOLS.split("  examples:").next().unwrap();
    let mut client = Client::legacy(serve_descriptor(none, NOBODY), json!({})).await;
    let answer = client.request(1, "prompts/list", json!({ "cursor": "x" })).await;
    assert_eq!(refusal(&answer).0, -32601);
}

#[tokio::test]
async fn a_session_ends_once() {
    let site = Site::start(NOBODY).await;
    let session = site.session(json!({})).await;
    let version = ("MCP-Protocol-Version", "2025-11-25");
    let delete = async |session: &str, version| {
        site.send("DELETE", "/mcp", &[("Mcp-Session-Id", session), version], "").await
    };
    let mut reply: Reply = delete(&session, version).await;
    assert_eq!((reply.status, reply.text().await.as_str()), (204, ""));
    for gone in [session.as_str(), "never-there"] {
        let mut reply = delete(gone, version).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().await.contains("no such session"));
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(site.in_session(&session, &ping).await.status, 404);
    assert_eq!(site.send("DELETE", "/mcp", &[version], "").await.status, 400);
    // The later revision has no sessions; and names are checked first.
    let other = site.session(json!({})).await;
    assert_eq!(delete(&other, ("MCP-Protocol-Version", STATELESS)).await.status, 405);
    assert_eq!(delete(&other, ("Origin", "https://evil.example")).await.status, 403);
    assert_eq!(delete(&other, version).await.status, 204);
}

#[tokio::test]
async fn what_is_not_found_is_named() {
    let mut client = Client::legacy(serve(NOBODY), json!({})).await;
    let mut later = Client::connect(serve(NOBODY));
    for uri in ["dadl-file:zzz", "http://x/y", "xo://vms/none", "file:///no/such", "nothing", ""] {
        let params = json!({ "uri": uri });
        let answer = client.request(1, "resources/read", params.clone()).await;
        assert_eq!(refusal(&answer).0, -32002, "{answer}");
        assert_eq!(answer["error"]["data"]["uri"], uri);
        assert_eq!(refusal(&answer).1.contains("expired"), uri.starts_with("dadl-file:"));
        let answer = later.request(1, "resources/read", with_meta(params.clone())).await;
        assert_eq!(refusal(&answer).0, -32602, "{answer}");
        assert_eq!(answer["error"]["data"]["uri"], uri);
        let answer = client.request(2, "resources/subscribe", params).await;
        assert_eq!(refusal(&answer).0, -32002, "{answer}");
        assert_eq!(answer["error"]["data"]["uri"], uri);
    }
    let uri = "dadl-file:zzz?offset=x";
    let answer = client.request(3, "resources/read", json!({ "uri": uri })).await;
    assert_eq!((refusal(&answer).0, &answer["error"]["data"]["uri"]), (-32602, &json!(uri)));
}
