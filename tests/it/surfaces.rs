//! The compact surface: a few tools through which a model reaches all others.

use serde_json::{Value, json};

use crate::{
    caller_scripts::TOOLS,
    harness::{Fixed, Harness},
    mcp_support::{Client, Served, failure, serve_compact, text},
    upstream::{Answer, Upstream},
};

fn served(upstream: &Upstream) -> Served {
    serve_compact(Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {}))
}

async fn fake() -> Upstream {
    Upstream::start(vec![Answer::json(200, r#"{"id":1}"#)]).await
}

fn names(list: &Value) -> Vec<&str> {
    let tools = list["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_few_tools_are_listed_and_all_can_be_called() {
    let upstream = fake().await;
    let mut client = Client::legacy(served(&upstream), json!({})).await;
    let list = client.request(1, "tools/list", json!({})).await;
    assert_eq!(names(&list), ["api_search", "api_read", "api_change", "api_script"]);
    let hints: Vec<&Value> = list["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["annotations"]["readOnlyHint"])
        .collect();
    assert_eq!(hints, [true, true, false, false]);
    // A host that hides tools behind a search of its own shows these.
    let tools = list["result"]["tools"].as_array().unwrap();
    assert!(tools.iter().all(|tool| tool["_meta"]["anthropic/alwaysLoad"] == true), "{list}");
    // By its own name, and through the others.
    assert_eq!(text(&client.call(2, "get", json!({ "id": 1 })).await), r#"{"id":1}"#);
    let read = json!({ "tool": "get", "arguments": { "id": 1 } });
    assert_eq!(text(&client.call(3, "api_read", read.clone()).await), r#"{"id":1}"#);
    assert_eq!(text(&client.call(4, "api_change", read).await), r#"{"id":1}"#);
    let as_text = json!({ "tool": "put", "arguments": "{\"id\": 2}" });
    assert_eq!(text(&client.call(5, "api_change", as_text).await), r#"{"id":1}"#);
    let code = json!({ "code": "return (await api.get({ id: 1 })).id + 1" });
    assert_eq!(text(&client.call(6, "api_read", code).await), "2");
}

#[tokio::test]
async fn what_only_reads_is_what_is_called_without_a_question() {
    let upstream = fake().await;
    let mut client = Client::legacy(served(&upstream), json!({})).await;
    for tool in ["put", "pop", "query", "file", "delete", "clear"] {
        let answer = client.call(1, "api_read", json!({ "tool": tool })).await;
        assert!(failure(&answer).contains("call api_change with the same arguments"), "{answer}");
    }
    let code = json!({ "code": "return api.put({ id: 1 })" });
    assert!(
        failure(&client.call(2, "api_read", code).await).contains("api_change {\"tool\":\"put\"")
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn mistakes_say_what_is_right() {
    let upstream = fake().await;
    let mut client = Client::legacy(served(&upstream), json!({})).await;
    for (tool, arguments, said) in [
        ("api_read", json!({}), "`tool` or `code` is required"),
        ("api_read", json!({ "tool": "get", "code": "x" }), "either `tool` or `code`"),
        ("api_read", json!({ "code": "x", "arguments": {} }), "takes no `arguments`"),
        ("api_read", json!({ "tool": "lst" }), "api_search finds tools"),
        ("api_read", json!({ "tool": "get" }), "; it is get("),
        ("api_change", json!({ "arguments": {} }), "`tool` (the name of a tool) is required"),
        ("api_search", json!({}), "`queries` (what to find) is required"),
        ("api_search", json!({ "queries": [] }), "`queries` must be a list of 1 to 8 texts"),
        ("api_search", json!({ "queries": vec!["a"; 9] }), "must be a list of 1 to 8 texts"),
        ("api_script", json!({ "code": 1 }), "`code` must be text"),
        ("api_script", json!({ "code": "return 1", "x": 1 }), "no parameter `x`"),
    ] {
        let answer = client.call(1, tool, arguments).await;
        assert!(failure(&answer).contains(said), "{said}: {answer}");
    }
    let nested = client.call(2, "api_read", json!({ "tool": "api_read" })).await;
    assert!(failure(&nested).contains("unknown tool"), "{nested}");
    assert!(upstream.requests().is_empty());
}

const CHANGES: &str =
    "const r = []; for (const id of [1, 2]) r.push((await api.put({ id })).id); return r";

#[tokio::test]
async fn a_host_is_asked_while_the_script_waits() {
    for (action, done) in [("accept", true), ("decline", false)] {
        let upstream = fake().await;
        let mut client = Client::legacy(served(&upstream), json!({ "elicitation": {} })).await;
        let call = json!({ "name": "api_script", "arguments": { "code": CHANGES } });
        client.start(1, "tools/call", call).await;
        let question = client.receive().await;
        let message = question["params"]["message"].as_str().unwrap();
        assert!(
            message.contains("- \"put\" once") && message.contains("50 calls at most"),
            "{message}"
        );
        let reply =
            json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": action } });
        client.send(&reply).await;
        let answer = client.receive().await;
        if done {
            assert_eq!(text(&answer), "[1,1]");
            let note = answer["result"]["content"][0]["text"].as_str().unwrap();
            assert!(
                note.contains("2 changes by this script: put {\"id\":1} (done); put"),
                "{note}"
            );
        } else {
            assert!(failure(&answer).contains("declined"), "{answer}");
            assert!(upstream.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn a_question_that_ends_the_request_makes_no_call_twice() {
    let upstream = fake().await;
    let mut client = Client::connect(served(&upstream));
    let code = format!("await api.get({{ id: 7 }}); {CHANGES}");
    let mut call = json!({ "name": "api_script", "arguments": { "code": code } });
    let asked = client.stateless_call(1, call.clone()).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let state = |answer: &Value| answer["result"]["requestState"].clone();
    // A host that has not put the question is asked again.
    call["requestState"] = state(&asked);
    let again = client.stateless_call(2, call.clone()).await;
    assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    call["inputResponses"] = json!({ "confirm": { "action": "accept", "content": {} } });
    // The first state is spent.
    let answer = client.stateless_call(3, call.clone()).await;
    assert!(failure(&answer).contains("is over"), "{answer}");
    call["requestState"] = state(&again);
    let answer = client.stateless_call(4, call.clone()).await;
    assert_eq!(text(&answer), "[1,1]");
    let lines: Vec<String> =
        upstream.requests().iter().map(|it| it.lines().next().unwrap().to_owned()).collect();
    let once =
        ["GET /api/things/7 HTTP/1.1", "PUT /api/things/1 HTTP/1.1", "PUT /api/things/2 HTTP/1.1"];
    assert_eq!(lines, once);
    let answer = client.stateless_call(5, call.clone()).await;
    assert!(failure(&answer).contains("is over"), "{answer}");
    // The answer counts for the script that it was given for.
    let mut other = json!({ "name": "api_script", "arguments": { "code": CHANGES } });
    let asked = client.stateless_call(6, other.clone()).await;
    other["requestState"] = state(&asked);
    other["inputResponses"] = json!({ "confirm": { "action": "accept" } });
    other["arguments"]["code"] = json!("return api.put({ id: 3 })");
    let answer = client.stateless_call(7, other).await;
    assert!(failure(&answer).contains("another script"), "{answer}");
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn what_was_changed_stands_in_the_list_of_tasks() {
    let upstream = fake().await;
    let mut client = Client::legacy(served(&upstream), json!({})).await;
    let code = json!({ "code": "await api.put({ id: 1 }); throw new Error('no')" });
    let failed = client.call(1, "api_script", code).await;
    assert!(failure(&failed).contains("no (line 1). 1 change by this script: put"), "{failed}");
    let list = client.call(2, "api_read", json!({ "tool": "task_list" })).await;
    let scripts = &list["result"]["structuredContent"]["scripts"];
    assert_eq!(scripts[0]["changes"][0]["tool"], "put", "{list}");
}

#[tokio::test]
async fn an_example_is_a_script_there() {
    let example = "  examples: [{ name: Look, description: \"At one\", code: \"return api.get({ id: params.id })\" }]\n";
    let upstream = fake().await;
    let tools = TOOLS.to_owned() + example;
    let served = |text: &str| {
        serve_compact(Harness::new(text, &upstream.url(), Fixed(Ok(String::new())), |_| {}))
    };
    let mut client = Client::legacy(served(&tools), json!({})).await;
    let prompts = client.request(1, "prompts/list", json!({})).await;
    let name = prompts["result"]["prompts"][0]["name"].as_str().unwrap();
    let given = json!({ "name": name, "arguments": { "id": "7" } });
    let prompt = client.request(2, "prompts/get", given).await;
    let text = prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    let way =
        "it is a script for `api_read` or `api_script`, with values in place of `params.NAME`";
    assert!(text.contains(way) && text.ends_with(r#"`params.id` is "7""#), "{text}");
    let code = json!({ "code": "return api.get({ id: \"7\" })" });
    assert_eq!(self::text(&client.call(3, "api_read", code).await), r#"{"id":1}"#);
}
