//! `returns`: what clients that insist on an output schema get, whatever the server answers.

use serde_json::{Value, json};

use crate::{
    api::api,
    mcp_support::{Client, serve_descriptor, text},
    upstream::{Answer, Upstream},
};

const TYPED: &str = api!(top: "requires: { features: [returns, redact] }", name: "typed", backend: r#"
  types:
    Customer:
      type: object
      required: [id]
      properties:
        id: { type: string, description: "Its id." }
        parent: { $ref: Customer }
        plan: { type: string, enum: [free, paid] }
  tools:
    get: { method: GET, path: /c, access: read, description: "One.", returns: Customer }
    list: { method: GET, path: /l, access: read, description: "All.", returns: { type: array, items: Customer } }
    untyped: { method: GET, path: /u, access: read, description: "Any." }
    raw: { method: GET, path: /r, access: read, description: "A file.", returns: Customer, response: { binary: true } }
    hidden: { method: GET, path: /h, access: read, description: "Cut.", returns: Customer, response: { redact: ["$.id"] } }
"#);

async fn client(answers: Vec<Answer>) -> (Client, Value, Upstream) {
    let upstream = Upstream::start(answers).await;
    let mut served = serve_descriptor(TYPED, &upstream.url());
    // What is cut has no structured copy of the whole.
    served.server = served.server.with_most_chars(usize::MAX);
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.request(1, "tools/list", json!({})).await;
    let tools = answer["result"]["tools"].clone();
    (client, tools, upstream)
}

#[tokio::test]
async fn output_schemas_are_listed_where_results_have_one_shape() {
    let (_client, tools, _upstream) = client(vec![Answer::json(200, "{}")]).await;
    let schemas: Vec<&Value> =
        tools.as_array().unwrap().iter().map(|tool| &tool["outputSchema"]).collect();
    let customer = json!({
        "id": { "type": ["string", "null"], "description": "Its id." },
        "parent": {},
        "plan": { "type": ["string", "null"], "examples": ["free", "paid"] },
    });
    assert_eq!(*schemas[0], json!({ "type": "object", "properties": customer }));
    assert_eq!(schemas[1]["type"], "object");
    assert_eq!(schemas[1]["properties"]["result"]["items"]["properties"], customer);
    assert!(schemas[2..].iter().all(|schema| schema.is_null()), "{schemas:?}");
}

/// What a strict client does: no structured content, or other than announced, is a broken server.
#[tokio::test]
async fn every_answer_arrives_and_conforms() {
    let large = format!(r#"{{"id":"{}"}}"#, "x".repeat(300_000));
    let huge = format!(r#"{{"id":"{}"}}"#, "x".repeat(5 << 20));
    let bodies = [
        r#"{"id":"a","plan":"new","more":1}"#,
        r#"{"id":null}"#,
        "{}",
        r#"{"id":7}"#,
        r#"[{"id":"a"}]"#,
        "\"text\"",
        "null",
        &large,
        &huge,
    ];
    let mut answers: Vec<Answer> = Vec::new();
    for body in bodies {
        answers.extend([Answer::json(200, body), Answer::json(200, body)]);
    }
    let empty = Answer::full(204, &[], b"");
    let page = Answer::full(200, &[("Content-Type", "text/html")], b"<p>Log in</p>");
    answers.extend([empty.clone(), empty]);
    let count = answers.len() / 2;
    answers.push(page);
    let (mut client, tools, _upstream) = client(answers).await;
    let mut results = Vec::new();
    for call in 0..count {
        for (at, tool) in ["get", "list"].into_iter().enumerate() {
            let id = u32::try_from(call * 2 + at).unwrap() + 10;
            let answer = client.call(id, tool, json!({})).await;
            assert_eq!(answer["result"]["isError"], false, "{answer:.300}");
            let structured = &answer["result"]["structuredContent"];
            assert!(structured.is_object(), "{answer:.300}");
            let schema = &tools[at]["outputSchema"];
            assert!(jsonschema::draft202012::is_valid(schema, structured), "{answer:.300}");
            if let Some(body) = bodies.get(call) {
                assert_eq!(text(&answer), *body, "the text is the answer itself");
            }
            if tool == "get" {
                results.push(structured.clone());
            }
        }
    }
    assert_eq!(results[0], json!({ "id": "a", "plan": "new", "more": 1 }));
    assert_eq!(results[3], json!({ "unexpected": { "id": 7 } }));
    assert_eq!(results[4], json!({ "result": [{ "id": "a" }] }));
    assert_eq!(results[7]["id"].as_str().unwrap().len(), 300_000);
    assert_eq!(
        results[8]["text"],
        "the answer has 5242889 bytes; it is in the content of this result"
    );
    assert_eq!(results[9], json!({ "status": 204 }));
    let answer = client.call(90, "get", json!({})).await;
    assert_eq!(answer["result"]["isError"], true);
    assert!(text(&answer).contains("a web page (text/html) instead of JSON"), "{answer}");
}

#[tokio::test]
async fn an_error_has_no_structured_content() {
    let (mut client, _, _upstream) = client(vec![Answer::json(404, "{}")]).await;
    let answer = client.call(2, "get", json!({})).await;
    assert_eq!(answer["result"]["isError"], true);
    assert!(answer["result"].get("structuredContent").is_none());
}
