//! Answers without an end: events and lines are collected until a bound is hit.

use std::{process::Command, time::Duration};

use dadl_mcp::{
    config::{BackendSettings, BackendTimeouts},
    executor::CallError,
    outcome::{AnswerPayload, CallOutcome},
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_http::Site,
    mcp_support::{Client, serve_harness},
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "t0ken-\"with\"-quotes";

fn descriptor(response: &str) -> String {
    api!(
        top: "requires: { features: [redact] }",
        auth: "type: apikey, credential: key",
        backend: r#"
  tools:
    watch:
      method: GET
      path: /events
      access: read
      description: "Events."
      response: { RESPONSE }
"#
    )
    .replace("RESPONSE", response)
}

/// A head without a length, and the start of a body that goes on.
fn head(content_type: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n{body}").into_bytes()
}

async fn call(response: &str, answer: Answer) -> (CallOutcome, Upstream) {
    call_with(response, answer, json!({})).await
}

async fn call_with(response: &str, answer: Answer, arguments: Value) -> (CallOutcome, Upstream) {
    let upstream = Upstream::start(vec![answer]).await;
    let bench =
        Harness::new(&descriptor(response), &upstream.url(), Fixed(Ok(TOKEN.into())), |_| {});
    let outcome = bench.call("watch", arguments).await.unwrap_or_else(|error| panic!("{error}"));
    (outcome, upstream)
}

fn value(outcome: &CallOutcome) -> Value {
    match &outcome.payload {
        AnswerPayload::Json(text) => text.value().unwrap(),
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
    assert!(matches!(outcome.payload, AnswerPayload::Empty));
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
async fn an_event_that_is_too_large_as_json_ends_the_stream() {
    let long = "\u{1}".repeat(200_000);
    for (before, items) in [("", 0), ("data: 1\n\n", 1)] {
        let body = format!("{before}data: {long}\n\ndata: 2\n\n");
        let answer = Answer::Close(head("text/event-stream", &body));
        let upstream = Upstream::start(vec![answer]).await;
        let key = Fixed(Ok(TOKEN.into()));
        let bench = Harness::new(&descriptor("max_items: 5"), &upstream.url(), key, |settings| {
            settings.max_response_bytes = 1_000_000;
        });
        match bench.call("watch", json!({})).await {
            Ok(outcome) => {
                assert_eq!(value(&outcome), json!([{"event": "message", "data": 1}]));
                let note = "stopped after 1 items: they are too large (`max_response_size`)";
                assert!(outcome.notes[0].starts_with(note), "{:?}", outcome.notes);
                assert_eq!(items, 1);
            }
            Err(error) => {
                let error = error.for_model();
                assert!(error.contains("1000000 bytes (`max_response_size`"), "{error}");
                assert_eq!(items, 0);
            }
        }
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

/// A tool of which nobody says that its answer is a stream; its items have a secret.
const QUIET: &str = "redact: ['$[*].secret']";
const LINES: &str =
    "{\"id\": 1, \"secret\": \"x1\"}\n{\"id\": 2, \"secret\": \"x2\"}\n{\"id\": 3}\n";

/// The answer in one chunk whose connection stays open or not; nothing says that it has ended.
fn chunk(content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n",
        body.len()
    )
    .into_bytes()
}

async fn bounded(
    response: &str,
    answer: Answer,
    change: impl FnOnce(&mut BackendSettings),
) -> Result<CallOutcome, CallError> {
    let upstream = Upstream::start(vec![answer]).await;
    let key = Fixed(Ok(TOKEN.into()));
    let bench = Harness::new(&descriptor(response), &upstream.url(), key, change);
    bench.call("watch", json!({})).await
}

/// The time for a call, and the one without a byte.
fn patience(call: Duration, read: Duration) -> impl Fn(&mut BackendSettings) {
    move |settings| settings.timeouts = BackendTimeouts { call, read, ..settings.timeouts }
}

const SOON: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn what_came_of_a_stream_that_nobody_declared_is_given() {
    let hang = || Answer::Hang(chunk("application/x-ndjson", LINES));
    for (bounds, note) in [
        (patience(SOON, NEVER), "stopped after 0.3 s with 3 items (`timeout`); the stream goes on"),
        (
            patience(NEVER, SOON),
            "stopped after 3 items: nothing came for 0.3 s (`read_timeout`); the stream goes on",
        ),
    ] {
        let outcome = bounded(QUIET, hang(), bounds).await.unwrap();
        let expected = json!([
            {"id": 1, "secret": "[REDACTED]"}, {"id": 2, "secret": "[REDACTED]"}, {"id": 3}
        ]);
        assert_eq!((value(&outcome), &outcome.notes[..]), (expected, &[note.to_owned()][..]));
    }
    // A part goes the way of the whole: what the author and the caller select is selected.
    let rules = "result_path: '$[*].id', redact: ['$[0]']";
    let outcome = bounded(rules, hang(), patience(SOON, NEVER)).await.unwrap();
    assert_eq!(value(&outcome), json!(["[REDACTED]", 2, 3]));
    let rules = "redact: ['$[*].secret'], allow_jq_override: true";
    let upstream = Upstream::start(vec![hang()]).await;
    let key = Fixed(Ok(TOKEN.into()));
    let bench = Harness::new(&descriptor(rules), &upstream.url(), key, patience(SOON, NEVER));
    let jq = json!({"jq": "map(.secret)"});
    let outcome = bench.call("watch", jq).await.unwrap();
    assert_eq!(value(&outcome), json!(["[REDACTED]", "[REDACTED]", null]));
    assert!(outcome.notes.iter().any(|note| note.contains("(`timeout`)")), "{:?}", outcome.notes);
}

#[tokio::test]
async fn an_author_gives_a_stream_no_more_time_than_the_operator() {
    let answer = Answer::Hang(chunk("text/event-stream", EVENTS));
    let bounds = patience(SOON, NEVER);
    let outcome = bounded("streaming: true, max_duration: 10m", answer, bounds).await.unwrap();
    assert_eq!(value(&outcome).as_array().unwrap().len(), 2);
    let note = "stopped after 0.3 s with 2 items (`timeout`); the stream goes on";
    assert_eq!(outcome.notes, [note]);
}

#[tokio::test]
async fn what_brings_nothing_and_is_no_stream_is_an_error() {
    for (content_type, body) in [
        ("application/x-ndjson", "\n"),
        ("application/x-ndjson", "{\"id\": 1"),
        ("application/json", "[{\"id\": 1},"),
        ("application/json", "{\"id\": 1}\n{\"id\": 2}\n"),
    ] {
        for bounds in [patience(SOON, NEVER), patience(NEVER, SOON)] {
            let answer = Answer::Hang(chunk(content_type, body));
            let error = bounded("max_items: 9", answer, bounds).await.unwrap_err().for_model();
            assert!(error.contains("did not answer GET /events"), "{body}: {error}");
        }
    }
    // A stream without events is one nevertheless.
    let answer = || Answer::Hang(chunk("text/event-stream", ": ping\n\n"));
    for bounds in [patience(SOON, NEVER), patience(NEVER, SOON)] {
        let outcome = bounded(QUIET, answer(), bounds).await.unwrap();
        assert_eq!((value(&outcome), outcome.notes.len()), (json!([]), 1));
        assert!(outcome.notes[0].ends_with("the stream goes on"), "{:?}", outcome.notes);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_gives_its_whole_items() {
    let line = "{\"id\": 1}\n{\"id\": 2}\n{\"id\": 3, \"secret\": \"s3cr";
    let event = "data: {\"id\": 1}\n\ndata: {\"id\": 2}\n\ndata: {\"secret\": \"s3cr";
    for (content_type, body) in [("application/x-ndjson", line), ("text/event-stream", event)] {
        let broken = chunk(content_type, body);
        let ended = [&broken[..], b"0\r\n\r\n"].concat();
        for (bytes, note) in [
            (broken, "incomplete: the connection broke off after 2 items ("),
            (ended, "incomplete: the answer ends within an item; these are the 2 before it"),
        ] {
            let outcome = bounded(QUIET, Answer::Close(bytes), |_| {}).await.unwrap();
            let items = value(&outcome);
            assert_eq!(items.as_array().unwrap().len(), 2, "{items}");
            assert!(outcome.notes[0].starts_with(note), "{:?}", outcome.notes);
            assert!(!format!("{outcome:?}").contains("s3cr"), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_line_that_breaks_off_is_not_quoted() {
    // Half of a credential is nothing that could be found and masked.
    let half = TOKEN.get(..10).unwrap().replace('"', "");
    for response in ["max_items: 9", QUIET, "streaming: true"] {
        for end in ["", "0\r\n\r\n"] {
            let body = format!("{{\"you sent\": \"{half}");
            let bytes = [&chunk("application/x-ndjson", &body)[..], end.as_bytes()].concat();
            let error = bounded(response, Answer::Close(bytes), |_| {}).await.unwrap_err();
            for text in [error.for_model(), error.to_string(), format!("{error:?}")] {
                assert!(!text.contains(&half), "{response} {end:?}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn too_many_bytes_leave_what_was_there_before() {
    let lines = "{\"id\": 1}\n".repeat(300);
    for (content_type, body) in [
        ("application/x-ndjson", lines.clone() + "\"" + &"x".repeat(5000)),
        ("text/event-stream", "data: 1\n\n".repeat(100) + "data: " + &"x".repeat(5000)),
    ] {
        // The end comes in pieces of its own.
        let (start, end) = body.split_at(body.len() - 5000);
        let more = format!("{:x}\r\n{end}\r\n", end.len());
        let bytes = [&chunk(content_type, start)[..], more.as_bytes()].concat();
        let few = |settings: &mut BackendSettings| settings.max_response_bytes = 5000;
        let outcome = bounded(QUIET, Answer::Hang(bytes), few).await.unwrap();
        let count = value(&outcome).as_array().unwrap().len();
        assert!(count == 300 || count == 100, "{count}");
        let note = format!(
            "stopped after {count} items: they are too large (`max_response_size`); there may be \
             more"
        );
        assert_eq!(outcome.notes, [note]);
    }
}

#[tokio::test]
async fn a_surprising_stream_says_that_it_ended() {
    let answer = Answer::Close(head("text/event-stream", EVENTS));
    let (outcome, _) = call("result_path: $", answer).await;
    assert_eq!(outcome.notes, ["the server ended the stream after 2 items"]);
}

#[tokio::test]
async fn behind_a_part_of_a_page_there_is_no_other_page() {
    let descriptor = descriptor(QUIET).replace(
        "description: \"Events.\"",
        "description: \"Events.\"\n      pagination: { strategy: page, behavior: auto, \
         request: { page_param: page } }",
    );
    let whole = Answer::full(200, &[("Content-Type", "application/x-ndjson")], LINES.as_bytes());
    let part = Answer::Hang(chunk("application/x-ndjson", LINES));
    for (answers, requests, items) in [(vec![part.clone()], 1, 3), (vec![whole, part], 2, 6)] {
        let upstream = Upstream::start(answers).await;
        let key = Fixed(Ok(TOKEN.into()));
        let bench = Harness::new(&descriptor, &upstream.url(), key, patience(NEVER, SOON));
        let outcome = bench.call("watch", json!({})).await.unwrap();
        let value = value(&outcome);
        assert!(value.as_array().unwrap().len() <= items, "{value}");
        assert!(!value.to_string().contains("x1"), "{value}");
        assert_eq!(upstream.requests().len(), requests);
        assert!(outcome.notes.iter().any(|note| note.contains("`read_timeout`")), "{outcome:?}");
    }
}

/// A composite that passes on what a stream brought.
const COMPOSITE: &str = r#"
  composites:
    look:
      description: "Looks."
      depends_on: [watch]
      code: |
        return await api.watch({});
"#;

#[tokio::test]
async fn every_door_gives_what_came() {
    let text = descriptor(QUIET).replace("[redact]", "[redact, composites]") + COMPOSITE;
    let upstream = Upstream::start(vec![Answer::Hang(chunk("application/x-ndjson", LINES))]).await;
    let served = || {
        let key = Fixed(Ok(TOKEN.into()));
        let bench = Harness::new(&text, &upstream.url(), key, patience(NEVER, SOON));
        serve_harness(bench, "")
    };
    let check = |answer: &Value| {
        let answer = answer.to_string();
        assert!(answer.contains("nothing came for 0.3 s"), "{answer}");
        assert!(answer.contains("[REDACTED]") && !answer.contains("x1"), "{answer}");
        assert!(!answer.contains("\"isError\":true"), "{answer}");
    };
    let mut client = Client::legacy(served(), json!({})).await;
    check(&client.call(2, "watch", json!({})).await);
    check(&client.call(3, "look", json!({})).await);
    let site = Site::start_served(served(), |_| {}).await;
    for tool in ["watch", "look"] {
        let named = json!({ "name": tool });
        check(&site.stateless("tools/call", named.clone()).await.json().await);
        let session = site.session(json!({})).await;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": named });
        check(&site.in_session(&session, &call).await.event().await);
    }
    // And the command line.
    let home = tempfile::tempdir().unwrap();
    let (dadl, settings) = (home.path().join("fake.dadl"), home.path().join("backends.yaml"));
    std::fs::write(&dadl, &text).unwrap();
    let yaml = format!(
        "backends:\n  - name: fake\n    dadl: {}\n    url: {}\n    options: {{ read_timeout: 300ms }}\n",
        dadl.display(),
        upstream.url()
    );
    std::fs::write(&settings, yaml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(["call", "watch", "--config"]).arg(&settings).env_clear();
    command.env("HOME", home.path()).env("CREDENTIAL_KEY", TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(out.contains("[REDACTED]") && !out.contains("x1"), "{out}");
    assert!(format!("{out}{err}").contains("nothing came for 0.3 s"), "{out}\n{err}");
}
