//! Answers that are larger than what a host shows, and more calls than may run at once.

use dadl_mcp::{
    config::OperatorLimits,
    executor::{CallContext, CallError},
    shares,
};
use serde_json::{Value, json};

use crate::{
    api::api,
    downloads::sha256,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_harness, serve_tools, with_meta},
    upstream::{Answer, Upstream},
};

const LISTS: &str = api!(backend: r#"
  tools:
    list_vms:
      method: GET
      path: /vms
      access: read
      description: "Lists VMs."
      params:
        limit: { type: integer, in: query }
        fields: { type: string, in: query }
        name: { type: string, in: query }
      response: { allow_jq_override: true }
"#);

/// So many items, each of 21 characters with the comma after it.
fn items(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({ "id": format!("vm-{number:08}") })).collect()
}

/// A client of a server that cuts results to `most` characters, with a backend that answers `body`.
async fn client(body: &str, most: usize) -> (Client, Upstream) {
    let upstream = Upstream::start(vec![Answer::json(200, body)]).await;
    let mut served = serve_tools(LISTS, &format!("http://{}", upstream.address), |_| {});
    served.server = served.server.with_most_chars(most);
    (Client::legacy(served, json!({})).await, upstream)
}

fn texts(result: &Value) -> Vec<&str> {
    let blocks = result["content"].as_array().unwrap();
    blocks.iter().filter_map(|block| block["text"].as_str()).collect()
}

/// Checks what a cut list looks like, and that the whole is where the result says.
fn check_cut(result: &Value, all: &Value) {
    assert_eq!(result["isError"], false, "{result}");
    let texts = texts(result);
    let shown: Value = serde_json::from_str(texts[1]).unwrap();
    assert!(texts[1].len() <= 400);
    assert_eq!(shown.as_array().unwrap(), &all.as_array().unwrap()[..19]);
    assert_eq!(result["structuredContent"]["result"], shown);
    let cut = &result["_meta"]["dadl-mcp/cut"];
    let facts = [&cut["shown"], &cut["total"], &cut["unit"]];
    assert_eq!(facts, [&json!(19), &json!(100), &json!("items")]);
    let path = cut["whole"]["path"].as_str().unwrap();
    let whole = std::fs::read_to_string(path).unwrap();
    assert_eq!(whole, all.to_string());
    let advice = "`fields`, `limit` or `jq` would give less";
    let size = whole.len();
    assert_eq!(cut["whole"]["sha256"], sha256(whole.as_bytes()));
    let notice = format!(
        "cut to the first 19 of 100 items; the whole answer is in {path} ({size} bytes): call \
         read_result with {{\"file\":\"list_vms.json\",\"from\":19}}, or with `jq` or `find`; {advice}"
    );
    assert_eq!(texts[0], notice);
    assert_eq!(result["structuredContent"]["_note"], notice);
    let link = &result["content"][2];
    assert_eq!((&link["type"], &link["size"]), (&json!("resource_link"), &json!(size)));
    assert_eq!(link["uri"], format!("file://{path}"));
}

#[tokio::test]
async fn a_large_list_is_cut_where_an_item_ends_and_kept_as_a_whole() {
    let all = json!(items(100));
    let (mut client, _upstream) = client(&all.to_string(), 400).await;
    let answer = client.call(1, "list_vms", json!({})).await;
    check_cut(&answer["result"], &all);
    // Who saw the part has its link; beside exports it is not listed.
    let uri = answer["result"]["content"][2]["uri"].clone();
    let listed = client.request(2, "resources/list", json!({})).await;
    assert_eq!(listed["result"]["resources"], json!([]));
    let read = client.request(3, "resources/read", json!({ "uri": uri })).await;
    assert_eq!(read["result"]["contents"][0]["text"], all.to_string(), "{read}");
}

#[tokio::test]
async fn a_client_without_a_session_sees_the_same() {
    let all = json!(items(100));
    let upstream = Upstream::start(vec![Answer::json(200, &all.to_string())]).await;
    let mut served = serve_tools(LISTS, &format!("http://{}", upstream.address), |_| {});
    served.server = served.server.with_most_chars(400);
    let mut client = Client::connect(served);
    let call = with_meta(json!({ "name": "list_vms", "arguments": {} }));
    let answer = client.request(1, "tools/call", call).await;
    check_cut(&answer["result"], &all);
}

#[tokio::test]
async fn a_list_within_an_object_is_cut_there() {
    let all = json!({ "total": 100, "data": { "vms": items(100) }, "next": null });
    let (mut client, _upstream) = client(&all.to_string(), 400).await;
    let result = &client.call(1, "list_vms", json!({})).await["result"];
    let shown = &result["structuredContent"];
    assert_eq!((&shown["total"], &shown["next"]), (&json!(100), &Value::Null));
    let kept = shown["data"]["vms"].as_array().unwrap();
    assert!((10..19).contains(&kept.len()), "{shown}");
    let notice = texts(result)[0];
    assert!(notice.contains(&format!("{} of 100 items of `data.vms`", kept.len())), "{notice}");
}

#[tokio::test]
async fn names_of_a_server_do_not_write_the_notice() {
    let name = format!("\u{1b}[2J\u{202e}{}", "x".repeat(1000));
    let all = json!({ name: items(100) });
    let (mut client, _upstream) = client(&all.to_string(), 2000).await;
    let result = &client.call(1, "list_vms", json!({})).await["result"];
    let notice = texts(result)[0];
    assert!(notice.contains(" items of `\\u{1b}[2J\\u{202e}xxx"), "{notice}");
    assert!(notice.contains("xxx…`; the whole answer is in ") && notice.len() < 800, "{notice}");
    assert!(result["_meta"]["dadl-mcp/cut"]["place"].as_str().unwrap().len() < 300);
}

#[tokio::test]
async fn nobody_is_advised_to_change_something_again() {
    let body = json!(items(100)).to_string();
    let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
    let changes = LISTS.replace("method: GET", "method: POST").replace("read", "write");
    let mut served = serve_tools(&changes, &upstream.url(), |_| {});
    served.server = served.server.with_most_chars(400);
    let mut client = Client::legacy(served, json!({})).await;
    let result = &client.call(1, "list_vms", json!({})).await["result"];
    let notice = texts(result)[0];
    assert!(notice.starts_with("cut to the first 19 of 100 items;"), "{notice}");
    assert!(!notice.contains("would give less"), "{notice}");
}

#[tokio::test]
async fn what_has_no_list_is_cut_as_text() {
    let log = json!({ "log": "x".repeat(1000) }).to_string();
    let (mut client, _upstream) = client(&log, 400).await;
    let result = &client.call(1, "list_vms", json!({})).await["result"];
    let texts = texts(result);
    assert_eq!(texts[1], &log[..400]);
    assert!(texts[0].starts_with("cut to the first 400 of 1010 characters;"), "{}", texts[0]);
    assert_eq!(result["structuredContent"], Value::Null);
}

#[tokio::test]
async fn what_fits_stays_as_it_is() {
    let all = json!(items(19)).to_string();
    let (mut client, _upstream) = client(&all, all.len()).await;
    let result = &client.call(1, "list_vms", json!({})).await["result"];
    assert_eq!(texts(result), [all]);
    assert_eq!(result["_meta"]["dadl-mcp/cut"], Value::Null);
}

#[tokio::test]
async fn a_whole_that_cannot_be_kept_is_said_to_be_lost() {
    let all = json!(items(100));
    let upstream = Upstream::start(vec![Answer::json(200, &all.to_string())]).await;
    let url = format!("http://{}", upstream.address);
    let blocker = tempfile::NamedTempFile::new().unwrap();
    let below = blocker.path().join("files");
    let harness = Harness::with_files(
        LISTS,
        &url,
        Fixed(Err("none".into())),
        |_| {},
        |_| dadl_mcp::files::FileStore::new(below),
    );
    let mut served = serve_harness(harness, "");
    served.server = served.server.with_most_chars(400);
    let mut client = Client::legacy(served, json!({})).await;
    let result = &client.call(1, "list_vms", json!({})).await["result"];
    let notice = texts(result)[0];
    assert!(notice.contains("the whole answer could not be kept: cannot create"), "{notice}");
}

const HANGING: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1";

fn harness(upstream: &Upstream, limits: OperatorLimits, max_calls: usize) -> Harness {
    let url = format!("http://{}", upstream.address);
    let mut harness = Harness::new(LISTS, &url, Fixed(Err("none".into())), |settings| {
        settings.max_calls = max_calls;
    });
    harness.executor = harness.executor.with_limits(limits);
    harness
}

async fn call(harness: &Harness, session: &'static str) -> Result<String, CallError> {
    let arguments = json!({ "name": session }).as_object().cloned().unwrap();
    let admitted = harness.gate.check("list_vms", arguments).unwrap().admit().unwrap();
    let client = shares::ClientKey { host: String::new(), session: session.to_owned() };
    let context = CallContext::default().of(client);
    let outcome = harness.executor.execute(admitted, &context).await?;
    Ok(format!("{:?}", outcome.payload))
}

#[tokio::test]
async fn calls_beyond_a_bound_wait_and_the_sessions_take_turns() {
    let hanging = Answer::Hang(HANGING.to_vec());
    let upstream = Upstream::start(vec![hanging, Answer::json(200, "[]")]).await;
    let limits = OperatorLimits { queued: 3, ..OperatorLimits::default() };
    let harness = harness(&upstream, limits, 1);
    let mut first = Box::pin(call(&harness, "a"));
    tokio::select! {
        _ = &mut first => panic!("the backend does not answer"),
        () = upstream.request_arrived() => {}
    }
    let waiting = ["a", "a", "b"].map(|session| call(&harness, session));
    let mut waiting = Box::pin(futures_util::future::join_all(waiting));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let refused = call(&harness, "c").await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the call was not made: 1 calls of the backend run (`max_calls`) and 3 wait; try again \
         later"
    );
    drop(first);
    assert!(waiting.await.iter().all(Result::is_ok));
    let line = |request: &String| request.lines().next().unwrap().to_owned();
    let lines: Vec<String> = upstream.requests().iter().map(line).collect();
    let of = |session| format!("GET /vms?name={session} HTTP/1.1");
    assert_eq!(lines, [of("a"), of("a"), of("b"), of("a")]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_ends_the_call_in_its_time() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let limits = OperatorLimits { calls: 1, ..OperatorLimits::default() };
    let harness = harness(&upstream, limits, 9);
    let mut first = Box::pin(call(&harness, "a"));
    tokio::select! {
        _ = &mut first => panic!("the backend does not answer"),
        () = upstream.request_arrived() => {}
    }
    let error = call(&harness, "b").await.unwrap_err().to_string();
    assert!(error.contains("its turn did not come within 300 s"), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn all_answers_together_have_a_bound() {
    let body = json!(items(100)).to_string();
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}"
    );
    let answers = vec![
        Answer::Hang(HANGING.to_vec()),
        Answer::json(200, &body),
        Answer::Close(chunked.into_bytes()),
        Answer::json(200, "[]"),
    ];
    let upstream = Upstream::start(answers).await;
    let limits = OperatorLimits { memory: body.len() as u64 + 9, ..OperatorLimits::default() };
    let harness = harness(&upstream, limits, 9);
    let mut first = Box::pin(call(&harness, "a"));
    tokio::select! {
        _ = &mut first => panic!("the backend does not answer"),
        () = upstream.request_arrived() => {}
    }
    // The first one has announced ten bytes; whether they are counted yet, nobody knows.
    while futures_util::poll!(&mut first).is_pending() && harness.executor.bytes_in_memory() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        let error = call(&harness, "b").await.unwrap_err().to_string();
        assert!(error.contains("(`max_memory` of `limits`)"), "{error}");
    }
    drop(first);
    assert_eq!(harness.executor.bytes_in_memory(), 0);
    assert!(call(&harness, "b").await.is_ok());
}
