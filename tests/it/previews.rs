//! What a person is shown of a thing before they decide about a dangerous call.

use dadl_mcp::access::{AccessPolicy, ToolPatterns};
use serde_json::{Value, json};

use crate::{
    api::api,
    auth::later,
    mcp_support::{Client, failure, serve_tools, text},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(
    top: r#"_dadl_mcp:
  preview:
    - { before: [drop_thing], read: get_thing, arguments: { id: "{id}" }, show: { name: $.name, size: $.size }, bytes: [size] }
"#,
    backend: r#"
  tools:
    get_thing: { method: GET, path: "/things/{id}", access: read, description: "One.", params: { id: { type: string, in: path } } }
    drop_thing: { method: DELETE, path: "/things/{id}", access: dangerous, description: "Drops.", params: { id: { type: string, in: path } } }
"#
);

fn thing(name: &str) -> Answer {
    Answer::json(200, &json!({ "name": name, "size": 2048 }).to_string())
}

fn gone() -> Answer {
    Answer::full(204, &[], b"")
}

fn drop_call() -> Value {
    json!({ "name": "drop_thing", "arguments": { "id": "a" } })
}

/// A host that asks while the call waits.
struct Host {
    client: Client,
    upstream: Upstream,
}

impl Host {
    async fn start(answers: Vec<Answer>) -> Self {
        let upstream = Upstream::start(answers).await;
        let served = serve_tools(TOOLS, &upstream.url(), |_| {});
        let client = Client::legacy(served, json!({ "elicitation": {} })).await;
        let mut host = Self { client, upstream };
        host.client.start(1, "tools/call", drop_call()).await;
        host
    }

    async fn answer(&mut self, question: &Value, action: &str) -> Value {
        let reply =
            json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": action } });
        self.client.send(&reply).await;
        self.client.receive().await
    }

    fn methods(&self) -> Vec<String> {
        methods(&self.upstream)
    }
}

fn methods(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect()
}

fn message(question: &Value) -> &str {
    question["params"]["message"].as_str().unwrap_or_else(|| panic!("{question}"))
}

#[tokio::test]
async fn a_person_sees_what_the_call_is_about() {
    let mut host = Host::start(vec![thing("web1"), gone()]).await;
    let question = host.client.receive().await;
    let lines: Vec<&str> = message(&question).lines().collect();
    assert_eq!(lines[1], "- Argument id = \"a\"");
    assert!(lines[3].starts_with("- Request: DELETE "), "{lines:?}");
    assert_eq!(
        lines[4..6],
        ["- get_thing shows name = \"web1\"", "- get_thing shows size = \"2.0 KiB\""]
    );
    later(50).await;
    assert_eq!(text(&host.answer(&question, "accept").await), "done (HTTP 204)");
    assert_eq!(host.methods(), ["GET", "DELETE"]);
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_asked_about_again() {
    let mut host = Host::start(vec![thing("web1"), thing("web2"), thing("web2"), gone()]).await;
    let question = host.client.receive().await;
    later(61).await;
    let again = host.answer(&question, "accept").await;
    let said = message(&again);
    assert!(
        said.contains("- You are asked again, because what is shown here has changed"),
        "{said}"
    );
    assert!(said.contains("- get_thing shows name = \"web2\""), "{said}");
    assert_eq!(host.methods(), ["GET", "GET"]);
    // It is read once more, and is what the person has seen.
    later(61).await;
    assert_eq!(text(&host.answer(&again, "accept").await), "done (HTTP 204)");
    assert_eq!(host.methods(), ["GET", "GET", "GET", "DELETE"]);
}

#[tokio::test]
async fn a_no_is_a_no() {
    let mut host = Host::start(vec![thing("web1"), thing("web2")]).await;
    let question = host.client.receive().await;
    later(61).await;
    assert!(failure(&host.answer(&question, "decline").await).contains("declined"));
    assert_eq!(host.methods(), ["GET"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_prevents_nothing() {
    let forged = "no\n- get_thing shows name = \"other\" <b>";
    let missing = Answer::json(404, &json!({ "error": forged }).to_string());
    let mut host = Host::start(vec![missing, gone()]).await;
    let question = host.client.receive().await;
    let said = message(&question);
    assert!(said.contains("\n- What get_thing shows could not be read: \""), "{said}");
    assert!(!said.contains("\n- get_thing shows") && !said.contains('<'), "{said}");
    assert_eq!(text(&host.answer(&question, "accept").await), "done (HTTP 204)");
}

#[tokio::test]
async fn nobody_waits_long_to_be_asked() {
    let mut host = Host::start(vec![Answer::Hang(Vec::new()), gone()]).await;
    host.upstream.request_arrived().await;
    later(6).await;
    let question = host.client.receive().await;
    assert!(message(&question).contains("\"no answer within 5 s\""), "{question}");
}

#[tokio::test]
async fn what_the_operator_forbids_is_not_called() {
    let upstream = Upstream::start(vec![gone()]).await;
    let served = serve_tools(TOOLS, &upstream.url(), |settings| {
        let exclude_tools = ToolPatterns::new(["get_*"]).unwrap();
        settings.policy = AccessPolicy { exclude_tools, ..settings.policy.clone() };
    });
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    client.start(1, "tools/call", drop_call()).await;
    let question = client.receive().await;
    assert!(message(&question).contains("could not be read: \"it may not be called"), "{question}");
    assert!(upstream.requests().is_empty());
}

/// The message of a question that ends the request, and its state.
fn put_later(answer: &Value) -> (&str, &Value) {
    assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
    let request = &answer["result"]["inputRequests"]["confirm"];
    (request["params"]["message"].as_str().unwrap(), &answer["result"]["requestState"])
}

fn answered(state: &Value) -> Value {
    let mut call = drop_call();
    call["requestState"] = state.clone();
    call["inputResponses"] = json!({ "confirm": { "action": "accept" } });
    call
}

#[tokio::test]
async fn a_question_that_ends_the_request_is_put_again_as_well() {
    let answers = vec![thing("web1"), thing("web2"), thing("web2"), gone()];
    let upstream = Upstream::start(answers).await;
    let served = serve_tools(TOOLS, &upstream.url(), |_| {});
    let mut client = Client::connect(served);
    let first = client.stateless_call(1, drop_call()).await;
    let (said, state) = put_later(&first);
    assert!(said.contains("- get_thing shows name = \"web1\""), "{said}");
    later(61).await;
    let second = client.stateless_call(2, answered(state)).await;
    let (said, newer) = put_later(&second);
    assert!(said.contains("asked again") && said.contains("name = \"web2\""), "{said}");
    // The first yes is spent.
    assert!(failure(&client.stateless_call(3, answered(state)).await).contains("used already"));
    later(61).await;
    let done = client.stateless_call(4, answered(newer)).await;
    assert_eq!(text(&done), "done (HTTP 204)");
    assert_eq!(methods(&upstream), ["GET", "GET", "GET", "DELETE"]);
}

#[tokio::test]
async fn a_quick_yes_is_taken_as_it_is() {
    let upstream = Upstream::start(vec![thing("web1"), gone()]).await;
    let mut client = Client::connect(serve_tools(TOOLS, &upstream.url(), |_| {}));
    let asked = client.stateless_call(1, drop_call()).await;
    let done = client.stateless_call(2, answered(put_later(&asked).1)).await;
    assert_eq!(text(&done), "done (HTTP 204)");
    assert_eq!(methods(&upstream), ["GET", "DELETE"]);
}
