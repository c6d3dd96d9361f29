//! The MCP server on a pair of streams: what a host gets back, line by line.

use serde_json::{Value, json};

use crate::{
    mcp_support::{
        Client, STATELESS, failure, serve, serve_with, text, with_capabilities, with_meta,
    },
    upstream::{Answer, Upstream},
};

/// The head of an answer whose body never ends.
const HANGING: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1";

async fn client(answers: Vec<Answer>) -> (Client, Upstream) {
    let upstream = Upstream::start(answers).await;
    (Client::legacy(serve(&upstream.url()), json!({})).await, upstream)
}

#[tokio::test]
async fn every_revision_shakes_hands() {
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Client::connect(serve("http://127.0.0.1:9/"));
        let parameters = json!({
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = client.request(1, "initialize", parameters).await;
        assert_eq!(answer["result"]["protocolVersion"], revision);
        assert_eq!(answer["result"]["serverInfo"]["name"], "dadl-mcp");
        assert_eq!(
            answer["result"]["capabilities"],
            json!({ "prompts": {}, "resources": {}, "tools": {} })
        );
        assert_eq!(answer["result"]["instructions"], "One fake.");
        assert_eq!(client.request(2, "ping", json!({})).await["result"], json!({}));
    }
}

#[tokio::test]
async fn a_stateless_client_discovers_and_lists() {
    let mut client = Client::connect(serve("http://127.0.0.1:9/"));
    let answer = client.request(1, "server/discover", with_meta(json!({}))).await;
    let versions = answer["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!(STATELESS)), "{answer}");
    let answer = client.request(2, "tools/list", with_meta(json!({}))).await;
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["ttlMs"], 300_000);
    assert_eq!(answer["result"]["cacheScope"], "private");
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn the_list_has_what_hosts_need() {
    let (mut client, _upstream) = client(vec![Answer::json(200, "[]")]).await;
    let answer = client.request(1, "tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["list_things", "get_thing", "save_thing", "drop_thing", "export", "read_result"]
    );
    assert_eq!(
        tools[1],
        json!({
            "name": "get_thing",
            "title": "Get thing",
            "description": "One thing.",
            "inputSchema": {
                "type": "object",
                "properties": { "id": { "type": "string" }, "depth": { "type": "integer" } },
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
    assert!(answer["result"].get("nextCursor").is_none());
    assert!(answer["result"].get("resultType").is_none(), "older clients know no such field");
    let answer = client.request(2, "tools/list", json!({ "cursor": "x" })).await;
    assert_eq!(answer["error"]["code"], -32602);
}

#[tokio::test]
async fn a_call_gives_the_value_twice() {
    let body = r#"[{"b":1,"a":12345678901234567890}]"#;
    let (mut client, upstream) = client(vec![Answer::json(200, body)]).await;
    let answer = client.call(1, "list_things", json!({})).await;
    assert_eq!(text(&answer), body);
    let wrapped = format!(r#"{{"result":{body}}}"#);
    assert_eq!(answer["result"]["structuredContent"].to_string(), wrapped);
    assert_eq!(answer["result"]["isError"], false);
    // Models leave out what they do not need.
    client.request(2, "tools/call", json!({ "name": "list_things" })).await;
    client.request(3, "tools/call", json!({ "name": "list_things", "arguments": null })).await;
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn an_object_and_an_empty_answer() {
    let empty = Answer::full(204, &[], b"");
    let (mut client, _upstream) = client(vec![Answer::json(200, r#"{"id":7}"#), empty]).await;
    let answer = client.call(1, "get_thing", json!({ "id": "a" })).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "id": 7 }));
    let answer = client.call(2, "save_thing", json!({})).await;
    assert_eq!(text(&answer), "done (HTTP 204)");
    assert_eq!(answer["result"]["structuredContent"], json!({ "status": 204 }));
}

#[tokio::test]
async fn only_an_unknown_tool_and_a_malformed_request_are_protocol_errors() {
    let (mut client, upstream) = client(vec![Answer::json(404, r#"{"message":"no thing"}"#)]).await;
    let answer = client.call(1, "list_thing", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean \"list_things\"?"), "{message}");

    for arguments in [json!([]), json!("{}"), json!(1)] {
        let answer = client.call(2, "list_things", arguments).await;
        assert_eq!(answer["error"]["code"], -32602);
        assert_eq!(answer["error"]["message"], "`arguments` must be an object");
    }
    let answer = client.request(3, "tools/call", json!({})).await;
    assert_eq!(answer["error"]["message"], "`name` must be the name of a tool");
    let answer = client.request(4, "no/such", json!({})).await;
    assert_eq!(answer["error"]["code"], -32601);

    let answer = client.call(5, "get_thing", json!({ "depth": "deep" })).await;
    assert!(failure(&answer).contains("id"), "{answer}");
    let answer = client.call(6, "forbidden", json!({})).await;
    assert!(failure(&answer).contains("backends.yaml"), "{answer}");
    assert!(upstream.requests().is_empty());

    let answer = client.call(7, "get_thing", json!({ "id": "a" })).await;
    assert!(failure(&answer).contains("HTTP 404"), "{answer}");
}

// Paused, so that the retries of the read do not take their time.
#[tokio::test(start_paused = true)]
async fn an_unreachable_backend_is_an_error_that_a_model_reads() {
    let mut client = Client::legacy(serve("http://127.0.0.1:1/"), json!({})).await;
    let answer = client.call(1, "list_things", json!({})).await;
    assert!(failure(&answer).contains("fake"), "{answer}");
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let (mut client, _upstream) = client(vec![Answer::Hang(HANGING.to_vec())]).await;
    client.start(1, "tools/call", json!({ "name": "list_things" })).await;
    assert_eq!(client.request(2, "ping", json!({})).await["result"], json!({}));
    let answer = client.call(3, "forbidden", json!({})).await;
    assert_eq!(answer["id"], 3);
}

#[tokio::test]
async fn cancelling_closes_the_connection_to_the_backend() {
    let (mut client, upstream) = client(vec![Answer::Hang(HANGING.to_vec())]).await;
    client.start(1, "tools/call", json!({ "name": "list_things" })).await;
    upstream.request_arrived().await;
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    upstream.connection_closed().await;
    // No answer comes for the cancelled request.
    client.request(2, "ping", json!({})).await;
}

#[tokio::test]
async fn a_shutdown_drops_the_calls() {
    let (mut client, upstream) = client(vec![Answer::Hang(HANGING.to_vec())]).await;
    client.start(1, "tools/call", json!({ "name": "list_things" })).await;
    upstream.request_arrived().await;
    client.shutdown.cancel();
    upstream.connection_closed().await;
    let answer = client.receive().await;
    assert!(failure(&answer).starts_with("the server is ending"), "{answer}");
    assert!(client.next().await.is_none());
    client.ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_went_away_drops_the_calls() {
    let (mut client, upstream) = client(vec![Answer::Hang(HANGING.to_vec())]).await;
    client.start(1, "tools/call", json!({ "name": "list_things" })).await;
    upstream.request_arrived().await;
    tokio::time::pause();
    client.close_input().await;
    upstream.connection_closed().await;
    client.ended().await.unwrap();
}

#[tokio::test]
async fn requests_that_were_piped_in_are_answered() {
    let (mut client, _upstream) = client(vec![Answer::json(200, "[1]")]).await;
    // The last line has no end, as `printf` writes it.
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "list_things" }
    });
    client.send_bytes(request.to_string().as_bytes()).await;
    client.close_input().await;
    assert_eq!(text(&client.receive().await), "[1]");
    assert!(client.next().await.is_none());
    client.ended().await.unwrap();
}

#[tokio::test]
async fn an_end_before_the_handshake_is_no_error() {
    for start in ["", "{\"jsonrpc\":\"2.0\",", "\n\n"] {
        let mut client = Client::connect(serve("http://127.0.0.1:9/"));
        client.send_bytes(start.as_bytes()).await;
        client.close_input().await;
        client.ended().await.unwrap();
    }
    let client = Client::connect(serve("http://127.0.0.1:9/"));
    client.shutdown.cancel();
    client.ended().await.unwrap();
}

#[tokio::test]
async fn noise_gets_an_error_and_the_session_goes_on() {
    let mut client = Client::connect(serve("http://127.0.0.1:9/"));
    client.notify("notifications/initialized", json!({})).await;
    let parameters = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" }
    });
    client.request(1, "initialize", parameters).await;

    let mut rejected = async |bytes: &[u8], code: i32, id: Value| {
        client.send_bytes(bytes).await;
        client.send_bytes(b"\n").await;
        let answer = client.receive().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer.as_object().unwrap().contains_key("id"));
    };
    rejected(b"{\"jsonrpc\":", -32700, Value::Null).await;
    rejected(b"\x00\xff\xfe\x80", -32700, Value::Null).await;
    rejected("[".repeat(5000).as_bytes(), -32700, Value::Null).await;
    rejected(b"42", -32600, Value::Null).await;
    rejected(b"[]", -32600, Value::Null).await;
    rejected(b"{\"id\":9}", -32600, json!(9)).await;
    rejected(b"{\"jsonrpc\":\"1.0\",\"id\":\"a\",\"method\":\"ping\"}", -32600, json!("a")).await;

    client
        .send_bytes(b"\r\n\xEF\xBB\xBF{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}\r\n")
        .await;
    assert_eq!(client.receive().await["id"], 3);
    client.notify("$/unheard-of", json!({})).await;
    client.request(4, "ping", json!({})).await;
}

#[tokio::test]
async fn a_line_without_end_is_skipped() {
    let (mut client, _upstream) = client(vec![Answer::json(200, "[]")]).await;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        client.send_bytes(&piece).await;
    }
    let answer = client.receive().await;
    assert_eq!(answer["error"]["code"], -32700);
    assert_eq!(answer["id"], Value::Null);
    client.send_bytes(b"\n").await;
    client.request(1, "ping", json!({})).await;
}

#[tokio::test]
async fn a_large_answer_passes() {
    let body = serde_json::to_string(&vec!["x".repeat(1000); 4000]).unwrap();
    let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
    let mut served = serve(&upstream.url());
    served.server = served.server.with_most_chars(body.len());
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.call(1, "list_things", json!({})).await;
    assert_eq!(text(&answer).len(), body.len());
}

// Confirmation

/// The question of a call that waits, and its id.
async fn question(client: &mut Client) -> (Value, Value) {
    let question = client.receive().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let form = &question["params"];
    let message = form["message"].as_str().unwrap();
    assert!(message.contains("drop_thing") && message.contains("id = \"a\""), "{message}");
    assert_eq!(form["requestedSchema"], json!({ "type": "object", "properties": {} }));
    (question["id"].clone(), question)
}

#[tokio::test]
async fn a_person_confirms_while_the_call_waits() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let capabilities = json!({ "elicitation": {} });
    let mut client = Client::legacy(serve(&upstream.url()), capabilities).await;
    let refusals = [
        json!({ "action": "decline" }),
        json!({ "action": "cancel" }),
        json!({ "action": "decline", "content": { "confirm": true } }),
        json!({ "action": "ACCEPT" }),
        json!({ "action": null }),
        json!({ "confirm": true }),
    ];
    for answer in refusals {
        client
            .start(1, "tools/call", json!({ "name": "drop_thing", "arguments": { "id": "a" } }))
            .await;
        let (id, _) = question(&mut client).await;
        client.send(&json!({ "jsonrpc": "2.0", "id": id, "result": answer })).await;
        assert!(failure(&client.receive().await).contains("was not called"));
    }
    assert!(upstream.requests().is_empty());

    // Who accepts means yes; hosts fill in what they like.
    let accepted = [
        json!({ "action": "accept" }),
        json!({ "action": "accept", "content": {} }),
        json!({ "action": "accept", "content": { "confirm": false } }),
        json!({ "action": "accept", "content": { "confirm": true } }),
    ];
    for (asked, yes) in accepted.iter().enumerate() {
        client
            .start(2, "tools/call", json!({ "name": "drop_thing", "arguments": { "id": "a" } }))
            .await;
        let (id, _) = question(&mut client).await;
        client.send(&json!({ "jsonrpc": "2.0", "id": id, "result": yes })).await;
        assert_eq!(text(&client.receive().await), "done (HTTP 204)");
        assert_eq!(upstream.requests().len(), asked + 1);
    }
    assert!(upstream.requests()[0].starts_with("DELETE /api/things/a "));
}

#[tokio::test]
async fn a_model_cannot_confirm() {
    let (mut client, upstream) = client(vec![Answer::json(200, "{}")]).await;
    let answer = client.call(1, "drop_thing", json!({ "id": "a" })).await;
    let reason = failure(&answer);
    for word in ["dadl-mcp call drop_thing", "confirm: never", "\"fake\""] {
        assert!(reason.contains(word), "{reason}");
    }
    let answer = client.call(2, "drop_thing", json!({ "id": "a", "confirm": true })).await;
    failure(&answer);
    // Only URLs can be shown here, not forms.
    let capabilities = json!({ "elicitation": { "url": {} } });
    let mut other = Client::legacy(serve(&upstream.url()), capabilities).await;
    failure(&other.call(3, "drop_thing", json!({ "id": "a" })).await);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn the_operator_can_vouch_for_the_host() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let served = serve_with(&upstream.url(), |settings| {
        settings.confirm = dadl_mcp::config::ConfirmPolicy::Never;
    });
    let mut client = Client::legacy(served, json!({})).await;
    assert_eq!(text(&client.call(1, "drop_thing", json!({ "id": "a" })).await), "{}");
}

#[tokio::test(start_paused = true)]
async fn a_person_who_does_not_answer_refuses() {
    let served = serve("http://127.0.0.1:9/");
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    client
        .start(1, "tools/call", json!({ "name": "drop_thing", "arguments": { "id": "a" } }))
        .await;
    let (id, _) = question(&mut client).await;
    let withdrawn = client.receive().await;
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], id);
    assert!(failure(&client.receive().await).contains("within 9 minutes"));
}

#[tokio::test]
async fn cancelling_takes_the_question_back() {
    let served = serve("http://127.0.0.1:9/");
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    client
        .start(1, "tools/call", json!({ "name": "drop_thing", "arguments": { "id": "a" } }))
        .await;
    let (id, _) = question(&mut client).await;
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    let withdrawn = client.receive().await;
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], id);
}

/// Asks for a dangerous call as a client of 2026-07-28; returns the state to be echoed.
async fn ask(client: &mut Client, id: u32) -> Value {
    let call = json!({ "name": "drop_thing", "arguments": { "id": "a" } });
    let answer = client.stateless_call(id, call).await;
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    let question = &result["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create");
    assert!(question["params"]["message"].as_str().unwrap().contains("id = \"a\""));
    result["requestState"].clone()
}

/// Calls again with an answer.
async fn retry(client: &mut Client, thing: &str, state: &Value, answer: Value) -> Value {
    let call = json!({
        "name": "drop_thing",
        "arguments": { "id": thing },
        "requestState": state,
        "inputResponses": { "confirm": answer },
    });
    client.stateless_call(99, call).await
}

#[tokio::test]
async fn a_stateless_client_confirms_by_calling_again() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let mut client = Client::connect(serve(&upstream.url()));
    let yes = json!({ "action": "accept", "content": { "confirm": true } });

    let state = ask(&mut client, 1).await;
    let answer = retry(&mut client, "a", &state, yes.clone()).await;
    assert_eq!(text(&answer), "done (HTTP 204)");
    assert_eq!(upstream.requests().len(), 1);

    // It was good once, and for these arguments.
    let answer = retry(&mut client, "a", &state, yes.clone()).await;
    assert!(failure(&answer).contains("used already"), "{answer}");
    let state = ask(&mut client, 2).await;
    let answer = retry(&mut client, "b", &state, yes.clone()).await;
    assert!(failure(&answer).contains("other arguments"), "{answer}");

    // A no cannot become a yes.
    let state = ask(&mut client, 3).await;
    let answer = retry(&mut client, "a", &state, json!({ "action": "decline" })).await;
    assert!(failure(&answer).contains("was declined"), "{answer}");
    failure(&retry(&mut client, "a", &state, yes.clone()).await);

    // Nothing opens but what this process has sealed.
    let other = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let mut elsewhere = Client::connect(serve(&other.url()));
    let foreign = ask(&mut elsewhere, 4).await;
    for state in [foreign, json!("rs1.AAAA.BBBB"), json!("")] {
        let answer = retry(&mut client, "a", &state, yes.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("requestState"), "{answer}");
    }
    // An answer without a state is only another question.
    let call = json!({
        "name": "drop_thing", "arguments": { "id": "a" }, "inputResponses": { "confirm": yes }
    });
    let answer = client.stateless_call(5, call).await;
    assert_eq!(answer["result"]["resultType"], "input_required");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_stateless_client_that_cannot_ask_is_refused() {
    let mut client = Client::connect(serve("http://127.0.0.1:9/"));
    let call = json!({ "name": "drop_thing", "arguments": { "id": "a" } });
    let call = with_capabilities(call, json!({}));
    let answer = client.request(1, "tools/call", call).await;
    assert!(failure(&answer).contains("confirm: never"), "{answer}");
}

// Progress

#[tokio::test]
async fn a_long_call_says_that_it_runs() {
    let (mut client, upstream) = client(vec![Answer::Hang(HANGING.to_vec())]).await;
    let call = json!({ "name": "list_things", "_meta": { "progressToken": "p" } });
    client.start(1, "tools/call", call).await;
    upstream.request_arrived().await;
    tokio::time::pause();
    let mut last = 0.0;
    for seconds in [4, 8, 12] {
        let progress = client.receive().await;
        assert_eq!(progress["method"], "notifications/progress");
        assert_eq!(progress["params"]["progressToken"], "p");
        assert_eq!(progress["params"]["message"], format!("running for {seconds} s"));
        let value = progress["params"]["progress"].as_f64().unwrap();
        assert!(value > last);
        last = value;
    }
}

#[tokio::test]
async fn a_download_says_how_far_it_is() {
    let body = vec![7_u8; 3_000_000];
    let export = Answer::full(200, &[("Content-Type", "application/octet-stream")], &body);
    let (mut client, _upstream) = client(vec![export]).await;
    let call = json!({
        "name": "export", "arguments": { "id": "a" }, "_meta": { "progressToken": 4 }
    });
    client.start(1, "tools/call", call).await;
    let mut last = 0.0;
    let answer = loop {
        let message = client.receive().await;
        if message["id"] == 1 {
            break message;
        }
        assert_eq!(message["params"]["progressToken"], 4, "{message}");
        let value = message["params"]["progress"].as_f64().unwrap();
        assert!(value > last);
        last = value;
    };
    assert_eq!(answer["result"]["structuredContent"]["size"], 3_000_000);
    assert!(text(&answer).starts_with("saved to "), "{answer}");
}

#[tokio::test]
async fn examples_are_prompts_when_their_tools_are_listed() {
    let (mut client, _) = client(vec![Answer::json(200, "[]")]).await;
    let prompts = client.request(1, "prompts/list", json!({})).await["result"]["prompts"].clone();
    assert_eq!(prompts.as_array().unwrap().len(), 1, "{prompts}");
    assert_eq!(prompts[0]["title"], "Look around");
    let name = &prompts[0]["name"];
    let prompt = client.request(2, "prompts/get", json!({ "name": name })).await;
    let text = prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("api.list_things({})"), "{text}");
    let unknown = client.request(3, "prompts/get", json!({ "name": "nope" })).await;
    assert_eq!(unknown["error"]["code"], -32602);
}
