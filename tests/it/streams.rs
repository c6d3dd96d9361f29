//! Answers without an end: events and lines are collected until a bound is hit.

use dadl_mcp::outcome::{Outcome, Payload};
use serde_json::{Value, json};

use crate::{
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "t0ken-\"with\"-quotes";

fn descriptor(response: &str) -> String {
    format!(
        r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
requires: {{ features: [redact] }}
backend:
  name: fake
  type: rest
  description: "A fake"
  auth: {{ type: apikey, credential: key }}
  tools:
    watch:
      method: GET
      path: /events
      access: read
      description: "Events."
      response: {{ {response} }}
"#
    )
}

/// A head without a length, and the start of a body that goes on.
fn head(content_type: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n{body}").into_bytes()
}

async fn call(response: &str, answer: Answer) -> (Outcome, Upstream) {
    call_with(response, answer, json!({})).await
}

async fn call_with(response: &str, answer: Answer, arguments: Value) -> (Outcome, Upstream) {
    let upstream = Upstream::start(vec![answer]).await;
    let bench =
        Harness::new(&descriptor(response), &upstream.url(), Fixed(Ok(TOKEN.into())), |_| {});
    let outcome = bench.call("watch", arguments).await.unwrap_or_else(|error| panic!("{error}"));
    (outcome, upstream)
}

fn value(outcome: &Outcome) -> Value {
    match &outcome.payload {
        Payload::Json(text) => text.value().unwrap(),
        other => panic!("{other:?}"),
    }
}

const EVENTS: &str = "event: init\ndata: {\"id\": 1}\n\n: ping\n\nid: 5\ndata: hello\n\n";

#[tokio::test]
async fn events_are_collected_until_the_stream_ends() {
    let answer = Answer::Close(head("text/event-stream", EVENTS));
    let (outcome, upstream) = call("streaming: true", answer).await;
    let expected = json!([
        {"event": "init", "data": {"id": 1}},
        {"event": "message", "id": "5", "data": "hello"},
    ]);
    assert_eq!(value(&outcome), expected);
    assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
    let request = &upstream.requests()[0];
    assert!(request.contains("accept: text/event-stream, application/x-ndjson"), "{request}");
}

#[tokio::test]
async fn a_stream_without_an_end_is_left_after_max_duration() {
    let answer = Answer::Hang(head("text/event-stream", EVENTS));
    let (outcome, upstream) = call("streaming: true, max_duration: 50ms", answer).await;
    assert_eq!(value(&outcome).as_array().unwrap().len(), 2);
    let note = "stopped after 0.05 s with 2 items (`max_duration`); the stream goes on";
    assert_eq!(outcome.notes, [note]);
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_stream_is_left_when_enough_items_are_there() {
    for (content_type, body) in
        [("text/event-stream", EVENTS), ("application/x-ndjson", "{\"n\": 1}\n2\n")]
    {
        let answer = Answer::Hang(head(content_type, body));
        // What an answer is counts, not what its author said.
        let (outcome, upstream) = call("max_items: 1", answer).await;
        assert_eq!(value(&outcome).as_array().unwrap().len(), 1);
        assert_eq!(outcome.notes, ["stopped after 1 items (`max_items`); there may be more"]);
        upstream.connection_closed().await;
    }
}

#[tokio::test]
async fn a_caller_bounds_a_stream_within_what_the_author_allows() {
    let rules = "streaming: true, max_duration: 50ms, max_items: 2";
    let answer = || Answer::Hang(head("text/event-stream", EVENTS));
    let (outcome, upstream) = call_with(rules, answer(), json!({"max_items": 1})).await;
    assert_eq!(outcome.notes, ["stopped after 1 items (`max_items`); there may be more"]);
    upstream.connection_closed().await;
    let (outcome, _upstream) = call_with(rules, answer(), json!({"max_items": 9})).await;
    assert_eq!(outcome.notes, ["stopped after 2 items (`max_items`); there may be more"]);
    let rules = "streaming: true, max_duration: 50ms";
    let (outcome, _upstream) = call_with(rules, answer(), json!({"duration": 0.02})).await;
    let note = "stopped after 0.02 s with 2 items (`max_duration`); the stream goes on";
    assert_eq!(outcome.notes, [note]);
    let (outcome, _upstream) = call_with(rules, answer(), json!({"duration": 1e300})).await;
    assert!(outcome.notes[0].starts_with("stopped after 0.05 s"), "{:?}", outcome.notes);
}

#[tokio::test]
async fn a_bound_of_nothing_is_refused() {
    let upstream = Upstream::start(vec![]).await;
    let key = Fixed(Ok(TOKEN.into()));
    let bench = Harness::new(&descriptor("streaming: true"), &upstream.url(), key, |_| {});
    for (arguments, message) in [
        (json!({"duration": 0}), "`duration` must be more than 0"),
        (json!({"max_items": -1}), "`max_items` must be at least 1"),
    ] {
        let Value::Object(arguments) = arguments else { panic!() };
        let error = bench.gate.check("watch", arguments).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_skipped_stream_is_not_read() {
    let answer = Answer::Hang(head("text/event-stream", EVENTS));
    let (outcome, upstream) = call("streaming: true, stream_handling: skip", answer).await;
    assert!(matches!(outcome.payload, Payload::Empty));
    assert!(outcome.notes[0].contains("was not read"), "{:?}", outcome.notes);
    upstream.connection_closed().await;
}

#[tokio::test]
async fn results_are_shaped_and_secrets_hidden_as_elsewhere() {
    let body = format!("data: {{\"secret\": 1, \"key\": {}}}\n\n", Value::from(TOKEN));
    let answer = Answer::Close(head("text/event-stream", &(body + "data: " + TOKEN + "\n\n")));
    let (outcome, _) = call("redact: ['$[*].data.secret']", answer).await;
    let expected = json!([
        {"event": "message", "data": {"secret": "[REDACTED]", "key": "[REDACTED]"}},
        {"event": "message", "data": "[REDACTED]"},
    ]);
    assert_eq!(value(&outcome), expected);
}

#[tokio::test]
async fn a_flood_ends_in_an_error_that_names_the_bound() {
    for content_type in ["text/event-stream", "application/x-ndjson"] {
        let upstream = Upstream::start(vec![Answer::Endless(head(content_type, "data: "))]).await;
        let key = Fixed(Ok(TOKEN.into()));
        let bench = Harness::new(&descriptor("max_items: 5"), &upstream.url(), key, |settings| {
            settings.max_response_bytes = 1_000_000;
        });
        let error = bench.call("watch", json!({})).await.unwrap_err().for_model();
        assert!(error.contains("1000000 bytes (`max_response_size`"), "{error}");
    }
}

#[tokio::test]
async fn a_broken_line_is_an_error_that_says_which() {
    let upstream =
        Upstream::start(vec![Answer::Close(head("application/x-ndjson", "{}\nnope\n"))]).await;
    let bench =
        Harness::new(&descriptor("max_items: 5"), &upstream.url(), Fixed(Ok(TOKEN.into())), |_| {});
    let error = bench.call("watch", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("no valid NDJSON: line 2"), "{error}");
}
