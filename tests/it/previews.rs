//! What a person is shown of a thing before they decide about a dangerous call.

use dadl_descriptor::{load, model::AccessLevel, source::SourceText};
use dadl_mcp::access::{AccessPolicy, ToolPatterns};
use serde_json::{Value, json};

use crate::{
    api::api,
    auth::later,
    corpus,
    mcp_support::{Client, failure, serve_harness, serve_tools, text},
    upstream::{Answer, Upstream},
    xo_composites::Bench,
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

/// The thing, its owner by name, and its parts: what one request cannot show.
const LINKED: &str = api!(
    top: r#"requires: { features: [composites] }
_dadl_mcp:
  unlisted_composites: [look_at_thing]
  preview:
    - before: [drop_thing, drop_safely]
      read: look_at_thing
      arguments: { id: "{id}" }
      show: { name: $.name, owner: $.owner, parts: "$.parts[*]" }
      bytes: [size]
"#,
    backend: r#"
  tools:
    get_thing: { method: GET, path: "/things/{id}", access: read, description: "One.", params: { id: { type: string, in: path } } }
    get_owner: { method: GET, path: "/owners/{id}", access: read, description: "Who has it.", params: { id: { type: string, in: path } } }
    drop_thing: { method: DELETE, path: "/things/{id}", access: dangerous, description: "Drops.", params: { id: { type: string, in: path } } }
  composites:
    drop_safely:
      description: "Drops with care."
      access: dangerous
      delegates: [drop_thing]
      params: { id: { type: string, required: true } }
      code: "return api.drop_thing({ id: params.id });"
    look_at_thing:
      description: "What is shown before a thing is dropped."
      access: read
      params: { id: { type: string, required: true } }
      code: |
        const thing = await api.get_thing({ id: params.id });
        let owner = thing.owner;
        try {
          owner = (await api.get_owner({ id: thing.owner })).name;
        } catch {
          // Its id is better than nothing.
        }
        return { name: thing.name, owner, parts: thing.parts };
"#
);

fn linked_thing() -> Answer {
    let parts = json!([{ "name": "root", "size": 2048 }, { "name": "data", "size": 0 }]);
    Answer::json(200, &json!({ "name": "web1", "owner": "o1", "parts": parts }).to_string())
}

fn owner(name: &str) -> Answer {
    Answer::json(200, &json!({ "name": name }).to_string())
}

/// Asks for a call, and returns the lines that say what it is about.
async fn shown(client: &mut Client, tool: &str) -> (Value, Vec<String>) {
    let call = json!({ "name": tool, "arguments": { "id": "a" } });
    client.start(1, "tools/call", call).await;
    let question = client.receive().await;
    let is_shown = |line: &&str| line.contains(" shows ");
    let lines = message(&question).lines().filter(is_shown).map(str::to_owned).collect();
    (question, lines)
}

#[tokio::test]
async fn a_composite_follows_what_one_request_shows() {
    for tool in ["drop_thing", "drop_safely"] {
        let upstream = Upstream::start(vec![linked_thing(), owner("Ann"), gone()]).await;
        let served = serve_tools(LINKED, &upstream.url(), |_| {});
        let client = Client::legacy(served, json!({ "elicitation": {} })).await;
        let mut host = Host { client, upstream };
        let (question, lines) = shown(&mut host.client, tool).await;
        assert_eq!(
            lines,
            [
                "- look_at_thing shows name = \"web1\"",
                "- look_at_thing shows owner = \"Ann\"",
                "- look_at_thing shows parts = [{\"name\":\"root\",\"size\":\"2.0 KiB\"},\
                 {\"name\":\"data\",\"size\":\"0 bytes\"}]",
            ]
        );
        later(50).await;
        host.answer(&question, "accept").await;
        assert_eq!(host.methods(), ["GET", "GET", "DELETE"], "{tool}");
    }
}

#[tokio::test]
async fn what_a_composite_shows_is_read_again_after_a_minute() {
    let first = [linked_thing(), owner("Ann"), linked_thing(), owner("Bob")];
    let upstream = Upstream::start(first.to_vec()).await;
    let served = serve_tools(LINKED, &upstream.url(), |_| {});
    let client = Client::legacy(served, json!({ "elicitation": {} })).await;
    let mut host = Host { client, upstream };
    let (question, _) = shown(&mut host.client, "drop_safely").await;
    later(61).await;
    let again = host.answer(&question, "accept").await;
    let said = message(&again);
    assert!(said.contains("You are asked again, because what is shown here has changed"), "{said}");
    assert!(said.contains("- look_at_thing shows owner = \"Bob\""), "{said}");
}

#[tokio::test]
async fn what_a_composite_cannot_read_is_said() {
    let refused = || Answer::json(403, &json!({ "error": "no\n- Request: GET <b>" }).to_string());
    let upstream = Upstream::start(vec![linked_thing(), refused()]).await;
    let served = serve_tools(LINKED, &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    let (question, lines) = shown(&mut client, "drop_thing").await;
    assert!(lines.contains(&"- look_at_thing shows owner = \"o1\"".to_owned()), "{lines:?}");
    assert!(!message(&question).contains("- Request: GET <b>"), "{lines:?}");

    let upstream = Upstream::start(vec![refused(), gone()]).await;
    let served = serve_tools(LINKED, &upstream.url(), |_| {});
    let client = Client::legacy(served, json!({ "elicitation": {} })).await;
    let mut host = Host { client, upstream };
    let (question, lines) = shown(&mut host.client, "drop_thing").await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.starts_with("- What look_at_thing shows could not be read: \""), "{line}");
    assert_eq!(text(&host.answer(&question, "accept").await), "done (HTTP 204)");
}

#[tokio::test]
async fn an_unlisted_composite_is_in_no_list_and_calls_what_is_allowed() {
    let upstream = Upstream::start(vec![linked_thing(), owner("Ann")]).await;
    // Who names the tools that models may call need not know of it.
    let served = serve_tools(LINKED, &upstream.url(), |settings| {
        let tools = Some(ToolPatterns::new(["get_*", "drop_*"]).unwrap());
        settings.policy = AccessPolicy { tools, ..settings.policy.clone() };
    });
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    let listed = client.request(7, "tools/list", json!({})).await;
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names, ["get_thing", "get_owner", "drop_thing", "drop_safely", "read_result"]);
    let (_, lines) = shown(&mut client, "drop_thing").await;
    assert_eq!(lines.len(), 3, "{lines:?}");

    let upstream = Upstream::start(vec![]).await;
    let served = serve_tools(LINKED, &upstream.url(), |settings| {
        let tools = Some(ToolPatterns::new(["drop_*"]).unwrap());
        settings.policy = AccessPolicy { tools, ..settings.policy.clone() };
    });
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    let (_, lines) = shown(&mut client, "drop_thing").await;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains("could not be read") && line.contains("get_thing"), "{line}");
    assert!(upstream.requests().is_empty());
}

#[test]
fn each_dangerous_call_of_our_descriptors_shows_what_it_is_about() {
    let texts = corpus::own();
    for name in ["danube-cloud", "xen-orchestra", "xo-proxy"] {
        let file = format!("{name}.dadl");
        let text = texts[&file].clone();
        let loaded = load(&SourceText::from_bytes(&*file, text).unwrap());
        let descriptor = loaded.descriptor.unwrap();
        let tools = descriptor.tools.iter().map(|it| (&it.name, &it.access));
        let composites = descriptor.composites.iter().map(|it| (&it.name, &it.access));
        for (name, access) in tools.chain(composites) {
            let is_shown = descriptor.previews.iter().any(|rule| rule.before.contains(name));
            assert_eq!(is_shown, *access == Some(AccessLevel::Dangerous), "{file}: {name}");
        }
    }
}

/// The line that shows this value.
fn line_of<'lines>(lines: &'lines [String], label: &str) -> &'lines str {
    let start = format!("- look_at_vm shows {label} = ");
    let line = lines.iter().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{label}: {lines:#?}"))
}

#[tokio::test]
async fn a_vm_is_shown_with_names_and_all_that_would_be_lost() {
    let bench = Bench::start().await;
    let snapshots = bench.value("list_vm_snapshots", json!({ "fields": "*" })).await;
    let snapshot = &snapshots[0];
    let vm = bench.value("get_vm", json!({ "uuid": snapshot["$snapshot_of"] })).await;
    let pool = bench.value("get_pool", json!({ "uuid": vm["$pool"] })).await;
    let Bench { simulator: _simulator, harness } = bench;
    let mut client = Client::legacy(serve_harness(harness, ""), json!({ "elicitation": {} })).await;
    let revert = json!({ "vm": vm["name_label"], "snapshot": snapshot["id"] });
    for (id, tool, arguments) in
        [(1, "delete_vm", json!({ "uuid": vm["id"] })), (2, "revert_vm_safely", revert)]
    {
        client.start(id, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        let question = client.receive().await;
        let lines: Vec<String> = message(&question).lines().map(str::to_owned).collect();
        for (label, value) in [("name", &vm["name_label"]), ("pool", &pool["name_label"])] {
            assert_eq!(line_of(&lines, label), value.to_string(), "{tool}");
        }
        let disks = line_of(&lines, "disks");
        assert!(disks.contains("\"size\":\"") && disks.contains("GiB\""), "{tool}: {disks}");
        let snapshots = line_of(&lines, "snapshots");
        assert!(snapshots.contains(snapshot["name_label"].as_str().unwrap()), "{snapshots}");
        if tool == "revert_vm_safely" {
            assert!(line_of(&lines, "snapshot").contains("\"taken\":\"20"), "{lines:#?}");
        }
        let no =
            json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
        client.send(&no).await;
        assert!(failure(&client.receive().await).contains("declined"));
    }
}
