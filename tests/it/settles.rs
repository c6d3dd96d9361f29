//! Reading after writing: what a call wrote can be seen when it is over.

use dadl_mcp::{executor::CallContext, shares::ClientKey};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{self, failure, serve_tools},
    outcomes::answer,
    tasks::lines,
    upstream::{Answer, Upstream},
};

/// An API that shows what it did later than it did it.
const TOOLS: &str = api!(
    top: r#"
requires: { features: [composites] }
_dadl_mcp:
  tasks:
    only: [begin]
    started: { status: 202 }
    id: $.task
    watch: { tool: get_task, arguments: { id: "{task}" }, poll: [100ms] }
    state: { path: $.state, running: [on], succeeded: [done], failed: [bad] }
    result: $.result
  settles:
    - { after: [make, begin], id: $.id, read: get, arguments: { id: "{id}" }, within: 1s }
    - { after: [tag], read: get, arguments: { id: "{id}" }, path: "$.tags[*]", is: "{tag}", within: 1s }
    - { after: [untag], read: get, arguments: { id: "{id}" }, path: "$.tags[*]", is_not: "{tag}", within: 1s }
    - { after: [drop], read: get, arguments: { id: "{id}" }, gone: true, within: 1s }
    - { after: [revert], read: get, arguments: { id: "{id}" }, path: $.state, steady: 100ms, within: 2s }"#,
    backend: r#"
  defaults: { errors: { message_path: "$.error", retry_on: [503] } }
  tools:
    make: { method: POST, path: /things, access: write, description: "Makes." }
    begin: { method: POST, path: /things/later, access: write, description: "Makes." }
    tag: { method: PUT, path: "/things/{id}/tags/{tag}", access: write, description: "Tags.", params: { id: { type: string, in: path }, tag: { type: string, in: path } } }
    untag: { method: DELETE, path: "/things/{id}/tags/{tag}", access: write, description: "Untags.", params: { id: { type: string, in: path }, tag: { type: string, in: path } } }
    drop: { method: DELETE, path: "/things/{id}", access: write, description: "Drops.", params: { id: { type: string, in: path } } }
    revert: { method: POST, path: "/things/{id}/revert", access: write, description: "Reverts.", params: { id: { type: string, in: path } } }
    get: { method: GET, path: "/things/{id}", access: read, description: "Gets.", params: { id: { type: string, in: path } } }
    stats: { method: GET, path: "/things/{id}/stats", access: read, description: "Stats.", params: { id: { type: string, in: path } } }
    other: { method: GET, path: "/others/{id}", access: read, description: "Gets.", params: { id: { type: string, in: path } } }
    get_task: { method: GET, path: "/tasks/{id}", access: read, description: "A task.", params: { id: { type: string, in: path } } }
  composites:
    made:
      description: "Makes."
      access: write
      code: |
        const { id } = await api.make({});
        return api.get({ id });
    state_after:
      description: "Reverts."
      access: write
      code: |
        await api.revert({ id: "7" });
        return (await api.get({ id: "7" })).state;
"#
);

fn missing() -> Answer {
    answer(404, &json!({ "error": "no such thing" }))
}

fn thing(more: Value) -> Answer {
    answer(200, &more)
}

fn none() -> Answer {
    Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())
}

fn bench(upstream: &Upstream) -> Harness {
    Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {})
}

const MAKE: &str = "POST /api/things";
const GET: &str = "GET /api/things/7";

/// Calls a tool of a backend that gives `answers`; returns its notes and the lines of its requests.
async fn called(tool: &str, arguments: Value, answers: Vec<Answer>) -> (Vec<String>, Vec<String>) {
    let upstream = Upstream::start(answers).await;
    let outcome = bench(&upstream).call(tool, arguments).await.unwrap();
    (outcome.notes, lines(&upstream))
}

fn made() -> Answer {
    answer(201, &json!({ "id": 7 }))
}

#[tokio::test]
async fn a_write_is_over_when_it_can_be_read() {
    let shown = || thing(json!({ "id": 7 }));
    let answers = vec![made(), missing(), missing(), shown()];
    let (notes, lines) = called("make", json!({}), answers).await;
    assert_eq!((notes.len(), lines), (0, [MAKE, GET, GET, GET].map(str::to_owned).to_vec()));
    // Where it is there at once, one look is all.
    let (_, lines) = called("make", json!({}), vec![made(), shown()]).await;
    assert_eq!(lines, [MAKE, GET]);
    let tags = |tags: Value| thing(json!({ "tags": tags }));
    let tag = json!({ "id": "7", "tag": "a b" });
    let answers = vec![none(), tags(json!([])), tags(json!(["x", "a b"]))];
    let (notes, lines) = called("tag", tag.clone(), answers).await;
    assert_eq!((notes.len(), &lines[1..]), (0, &[GET, GET].map(str::to_owned)[..]));
    let answers = vec![none(), tags(json!(["a b"])), tags(json!([]))];
    let (_, lines) = called("untag", tag, answers).await;
    assert_eq!(lines.len(), 3);
    let answers = vec![none(), shown(), missing()];
    let (notes, lines) = called("drop", json!({ "id": "7" }), answers).await;
    assert_eq!((notes.len(), lines.len()), (0, 3));
}

#[tokio::test]
async fn what_does_not_come_is_a_note_and_no_failure() {
    let (notes, lines) = called("make", json!({}), vec![made(), missing()]).await;
    assert_eq!(notes, ["`get` does not show it yet, 1 s after it was made"]);
    assert!(lines.len() > 3, "{lines:?}");
    let odd = thing(json!({ "tags": [] }));
    let (notes, _) = called("tag", json!({ "id": "7", "tag": "a" }), vec![none(), odd]).await;
    assert_eq!(notes, ["`get` does not show the change at $.tags[*] yet, 1 s after it was made"]);
    // Trouble may pass; a reader that is refused tells nothing.
    let down = answer(503, &json!({ "error": "busy" }));
    let answers = vec![made(), down, thing(json!({}))];
    assert_eq!(called("make", json!({}), answers).await.1.len(), 3);
    let forbidden = answer(403, &json!({ "error": "no" }));
    let (notes, lines) = called("make", json!({}), vec![made(), forbidden]).await;
    assert_eq!((notes.len(), lines.len()), (0, 2));
    // Without an identifier there is nothing to look for.
    let (_, lines) = called("make", json!({}), vec![answer(201, &json!({}))]).await;
    assert_eq!(lines, [MAKE]);
}

#[tokio::test]
async fn a_script_sees_what_it_wrote() {
    let shown = thing(json!({ "name": "n" }));
    let upstream = Upstream::start(vec![made(), missing(), missing(), shown]).await;
    assert_eq!(bench(&upstream).value("made", json!({})).await, json!({ "name": "n" }));
    // Nobody knows what the state will be: it is read when it has stopped changing.
    let state = |state: &str| thing(json!({ "state": state }));
    let answers = vec![none(), state("on"), state("on"), state("off")];
    let upstream = Upstream::start(answers).await;
    assert_eq!(bench(&upstream).value("state_after", json!({})).await, json!("off"));
}

#[tokio::test]
async fn what_a_task_made_is_looked_for_by_whoever_waits() {
    let begun = answer(202, &json!({ "task": "t1" }));
    let done = thing(json!({ "state": "done", "result": { "id": 7 } }));
    let shown = || thing(json!({}));
    let answers = vec![begun.clone(), done.clone(), missing(), shown()];
    let (_, lines) = called("begin", json!({}), answers).await;
    assert_eq!(lines[1..], ["GET /api/tasks/t1", GET, GET]);
    let upstream = Upstream::start(vec![done, missing(), shown()]).await;
    let served = serve_tools(TOOLS, &upstream.url(), |_| {});
    let mut client = mcp_support::Client::legacy(served, json!({})).await;
    client.call(1, "task_wait", json!({ "task": "fake:begin:t1" })).await;
    assert_eq!(self::lines(&upstream), ["GET /api/tasks/t1", GET, GET]);
    // Who does not wait looks for nothing.
    let (_, lines) = called("begin", json!({ "wait": 0 }), vec![begun]).await;
    assert_eq!(lines, ["POST /api/things/later"]);
}

#[tokio::test]
async fn a_miss_right_after_a_write_hints_at_it() {
    let upstream = Upstream::routes(&[
        ("POST /api/things", made()),
        ("GET /api/things/7", thing(json!({ "tags": ["x"] }))),
        ("PUT /api/things/7/tags/x", none()),
        ("GET /api/things/8", missing()),
        ("GET /api/things/8/stats", missing()),
    ])
    .await;
    let bench = bench(&upstream);
    let error = async |client: Option<ClientKey>, tool: &str| {
        let arguments = json!({ "id": "8" }).as_object().unwrap().clone();
        let call = bench.gate.check(tool, arguments).unwrap().admit().unwrap();
        let context = CallContext::default();
        let context = match client {
            Some(client) => context.of(client),
            None => context,
        };
        bench.executor.execute(call, &context).await.unwrap_err().for_model()
    };
    assert!(error(None, "get").await.ends_with("look it up with a tool that lists"));
    // What was changed was there before.
    bench.call("tag", json!({ "id": "7", "tag": "x" })).await.unwrap();
    assert!(error(None, "get").await.ends_with("look it up with a tool that lists"));
    bench.call("make", json!({})).await.unwrap();
    for tool in ["get", "stats"] {
        let said = error(None, tool).await;
        assert!(said.contains("`make` was called ") && said.contains("look once more"), "{said}");
    }
    assert!(!error(None, "other").await.contains("`make`"), "things of another kind");
    let other = ClientKey { host: "other".to_owned(), session: String::new() };
    assert!(!error(Some(other), "get").await.contains("`make`"), "it wrote nothing");
    // A model reads it too.
    let served = serve_tools(TOOLS, &upstream.url(), |_| {});
    let mut client = mcp_support::Client::legacy(served, json!({})).await;
    client.call(1, "make", json!({})).await;
    let said = client.call(2, "get", json!({ "id": "8" })).await;
    assert!(failure(&said).contains("look once more"), "{said}");
}
