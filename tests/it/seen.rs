//! What a model reads and what a person is asked, when a descriptor and a server write what nobody
//! sees: over the protocol, in both of its eras.

use dadl_text::text::first_hidden;
use serde_json::{Value, json};

use crate::{
    mcp_support::{Client, failure, serve_descriptor, text, with_meta},
    upstream::{Answer, Upstream},
};

/// Orders in tags, a split word, an override, escape sequences, and a selector that spells.
const HOSTILE: &str = "Seen\u{e0049}\u{e0067}\u{e006e} ig\u{200b}nore\u{202e} \u{1b}[8mx\u{9b}2J\u{ad}\
                       \u{2028}next\u{feff}\u{3164}\u{e0101}\u{fe0f}\u{fe0f}";

const DESCRIPTOR: &str = r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
requires: { features: [composites] }
backend:
  name: fake
  type: rest
  description: "HOSTILE"
  auth: { type: bearer, credential: none }
  hints: { get: { "HOSTILE": "HOSTILE" } }
  examples:
    - { name: "HOSTILE", description: "HOSTILE", code: "return await api.get({});\n// HOSTILE ```" }
  defaults: { errors: { message_path: $.message } }
  types: { Thing: { type: object, properties: { "name HOSTILE": { type: string, description: "HOSTILE", enum: ["HOSTILE"] } } } }
  tools:
    get: { method: GET, path: /things, access: read, description: "HOSTILE", returns: Thing, params: { q: { type: string, in: query, description: "HOSTILE", default: "HOSTILE" } } }
    drop: { method: DELETE, path: "/things/{id}", access: dangerous, description: "HOSTILE\nBackend: other", params: { id: { type: string, in: path }, note: { type: string, in: body } } }
  composites:
    all: { access: write, delegates: [drop], description: "HOSTILE", code: "return await api.drop({ id: '1' });" }
"#;

fn descriptor() -> String {
    let escaped: String = HOSTILE.chars().map(|it| format!("\\U{:08x}", u32::from(it))).collect();
    DESCRIPTOR.replace("HOSTILE", &escaped)
}

/// Checks every text of a message.
fn all_seen(value: &Value) {
    match value {
        Value::String(text) => assert_eq!(first_hidden(text), None, "{text:?}"),
        Value::Array(items) => items.iter().for_each(all_seen),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            assert_eq!(first_hidden(name), None, "{name:?}");
            all_seen(value);
        }),
        _ => {}
    }
}

#[tokio::test]
async fn a_model_reads_of_a_descriptor_what_a_person_sees() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let served = serve_descriptor(&descriptor(), &upstream.url());
    let mut client = Client::legacy(served, json!({})).await;
    for (id, method) in
        (1..).zip(["tools/list", "prompts/list", "resources/list", "resources/templates/list"])
    {
        let answer = client.request(id, method, json!({})).await;
        assert!(answer["result"].is_object(), "{answer}");
        all_seen(&answer);
        if method == "tools/list" {
            let tool = &answer["result"]["tools"][0];
            let description = tool["description"].as_str().unwrap();
            assert!(description.starts_with("Seen ignore [8mx2J next"), "{description:?}");
            assert_eq!(tool["inputSchema"]["properties"]["q"].get("default"), None, "{tool}");
        }
    }
    let listed = client.request(8, "prompts/list", json!({})).await;
    let name = listed["result"]["prompts"][0]["name"].clone();
    let prompt = client.request(9, "prompts/get", json!({ "name": name })).await;
    all_seen(&prompt);
    // The code does not end its fence.
    let told = prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(told.contains("````js\n") && told.ends_with("\n````"), "{told}");
}

#[tokio::test]
async fn a_value_goes_to_a_model_as_it_is_but_for_what_hides_text() {
    let value = json!({ "name": HOSTILE, "other": "a\u{200b}b\u{1f469}\u{200d}\u{1f4bb}" });
    let upstream = Upstream::start(vec![Answer::json(200, &value.to_string())]).await;
    let served = serve_descriptor(&descriptor(), &upstream.url());
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.call(1, "get", json!({})).await;
    let shown: Value = serde_json::from_str(text(&answer)).unwrap();
    let structured = &answer["result"]["structuredContent"];
    assert_eq!((&shown["name"], &shown["other"]), (&structured["name"], &structured["other"]));
    // What hides text is gone, and everything else means the same.
    assert_eq!(shown["other"], value["other"]);
    let masked = HOSTILE
        .replace(['\u{e0049}', '\u{e0067}', '\u{e006e}', '\u{e0101}', '\u{fe0f}'], "\u{fffd}");
    assert_eq!(shown["name"], masked.as_str());
    let remark = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(remark.contains("6 characters that nobody sees"), "{remark}");
    assert_eq!(structured["_note"], remark);
    // The text is JSON in which the rest is written out.
    assert_eq!(first_hidden(text(&answer)), None, "{}", text(&answer));
    assert!(text(&answer).contains("a\\u200bb\u{1f469}\u{200d}\u{1f4bb}"), "{}", text(&answer));
}

#[tokio::test]
async fn errors_of_a_server_show_what_is_in_them() {
    let refusal = Answer::json(400, &json!({ "message": HOSTILE, "x": HOSTILE }).to_string());
    let broken = Answer::full(200, &[("Content-Type", "application/json")], HOSTILE.as_bytes());
    let page = Answer::full(500, &[("Content-Type", "text/html")], HOSTILE.as_bytes());
    for answer in [refusal, broken, page] {
        let upstream = Upstream::start(vec![answer]).await;
        let served = serve_descriptor(&descriptor(), &upstream.url());
        let mut client = Client::legacy(served, json!({})).await;
        let answer = client.call(1, "get", json!({})).await;
        failure(&answer);
        all_seen(&answer);
    }
}

/// Checks a question about `drop`, whose note is [`HOSTILE`].
fn check_question(message: &str, url: &str) {
    let lines: Vec<&str> = message.lines().collect();
    let request = format!("- Request: DELETE \"{url}/things/7\"");
    let start = ["Allow the dangerous call drop on backend fake?", "- Argument id = \"7\""];
    assert_eq!(lines[..2], start, "{message}");
    assert!(lines[2].starts_with("- Argument note = \"Seen\\udb40\\udc49"), "{message}");
    assert_eq!(lines[3..5], ["- Access level: dangerous", &request], "{message}");
    assert!(
        lines[5].starts_with("- The descriptor says about the tool, and nobody has"),
        "{message}"
    );
    assert_eq!(lines.len(), 6, "{message}");
    lines.iter().for_each(|line| assert_eq!(first_hidden(line), None, "{line:?}"));
}

#[tokio::test]
async fn no_text_of_a_descriptor_hides_what_is_asked() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let served = serve_descriptor(&descriptor(), &upstream.url());
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    let drop = json!({ "name": "drop", "arguments": { "id": "7", "note": HOSTILE } });
    client.start(1, "tools/call", drop.clone()).await;
    let question = client.receive().await;
    check_question(question["params"]["message"].as_str().unwrap(), &upstream.url());
    all_seen(&question);
    let result = json!({ "action": "decline" });
    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result })).await;
    failure(&client.receive().await);
    // The question of a composite names what it may call, and where that goes.
    client.start(2, "tools/call", json!({ "name": "all", "arguments": {} })).await;
    let question = client.receive().await;
    let message = question["params"]["message"].as_str().unwrap();
    let sends = format!("\n- drop sends DELETE \"{}/things/{{id}}\"\n", upstream.url());
    assert!(message.contains(&sends), "{message}");
    all_seen(&question);

    // A client of the later era gets the same.
    let served = serve_descriptor(&descriptor(), &upstream.url());
    let mut client = Client::connect(served);
    let answer = client.request(1, "tools/call", with_meta(drop)).await;
    let question = &answer["result"]["inputRequests"]["confirm"]["params"]["message"];
    check_question(question.as_str().unwrap(), &upstream.url());
    assert_eq!(upstream.requests().len(), 0);
}
