//! Streams that stay open: opened, read, closed, and opened again when they break off.

use std::time::Duration;

use dadl_mcp::{
    gate::{Admitted, PendingCall},
    live::{ItemBatch, StreamError, StreamHub, StreamOwner, StreamPhase},
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure, serve_tools, text},
    upstream::{Asked, ByHand, Upstream},
};

const TOKEN: &str = "t0ken-of-the-test";

fn descriptor(response: &str) -> String {
    api!(
        top: "requires: { features: [redact] }",
        auth: "type: bearer, credential: key",
        backend: r#"
  tools:
    watch:
      method: GET
      path: /events
      access: read
      description: "Events."
      params: { open: { type: string, in: query } }
      response: { streaming: true, RESPONSE }
    follow:
      method: GET
      path: /lines
      access: read
      description: "Lines."
      response: { streaming: true }
"#
    )
    .replace("RESPONSE", response)
}

/// Waits for a request and begins an answer of this type without an end.
async fn begin(feed: &ByHand, content_type: &str, body: &str) -> Asked {
    let mut asked = feed.asked().await;
    asked.send(format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n{body}")).await;
    asked
}

fn bench(response: &str, feed: &ByHand) -> Harness {
    Harness::new(&descriptor(response), &feed.origin(), Fixed(Ok(TOKEN.into())), |_| {})
}

fn admitted<'gate>(bench: &'gate Harness, tool: &str, arguments: Value) -> Admitted<'gate> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    bench.gate.check(tool, arguments).and_then(PendingCall::admit).unwrap()
}

fn session(name: &str) -> StreamOwner {
    StreamOwner::Session(name.to_owned())
}

async fn open(bench: &Harness, hub: &StreamHub, tool: &str) -> Result<String, StreamError> {
    let name = if tool == "watch" { "stream_open" } else { "open" };
    let call = admitted(bench, tool, json!({ name: true }));
    hub.open(&bench.executor, &call, session("a"), &dadl_mcp::shares::ClientKey::only()).await
}

/// Opens a stream of events that begins with `body`.
async fn opened(bench: &Harness, feed: &ByHand, hub: &StreamHub, body: &str) -> (String, Asked) {
    let (handle, asked) =
        tokio::join!(open(bench, hub, "watch"), begin(feed, "text/event-stream", body));
    (handle.unwrap(), asked)
}

async fn read(hub: &StreamHub, handle: &str) -> ItemBatch {
    hub.read(handle, &session("a"), Duration::from_secs(60), 100, 100_000).await.unwrap()
}

/// Reads until this many items are there.
async fn items(hub: &StreamHub, handle: &str, count: usize) -> Vec<Value> {
    let mut items = Vec::new();
    while items.len() < count {
        let batch = read(hub, handle).await;
        items.extend(batch.taken.items.iter().map(|item| serde_json::from_str(item).unwrap()));
    }
    items
}

#[tokio::test]
async fn a_stream_is_opened_read_and_closed() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let (handle, mut asked) = opened(&bench, &feed, &hub, "data: 1\n\nevent: x\ndata: {}\n").await;
    assert!(asked.head.starts_with("GET /events HTTP"), "{}", asked.head);
    assert_eq!(items(&hub, &handle, 1).await, [json!({"event": "message", "data": 1})]);
    asked.send("\n").await;
    assert_eq!(items(&hub, &handle, 1).await, [json!({"event": "x", "data": {}})]);
    let nothing = hub.read(&handle, &session("a"), Duration::ZERO, 9, 999).await.unwrap();
    assert_eq!((nothing.taken.first, nothing.taken.items.len()), (2, 0));
    let listed = hub.list(&session("a"));
    assert_eq!(listed[0]["stream"], handle.as_str());
    assert_eq!((&listed[0]["state"], &listed[0]["received"]), (&json!("open"), &json!(2)));
    assert_eq!(hub.close(&handle, &session("a")), Ok(0));
    asked.closed().await;
    let error = hub.close(&handle, &session("a")).unwrap_err().to_string();
    assert!(error.contains(&handle) && error.contains("open it again"), "{error}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_opened_again_with_a_gap_in_its_place() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let body = "retry: 50\nid: 7\ndata: 1\n\n";
    let (handle, asked) = opened(&bench, &feed, &hub, body).await;
    assert!(!asked.says("last-event-id"), "{}", asked.head);
    assert_eq!(items(&hub, &handle, 1).await[0]["data"], 1);
    drop(asked);
    // A reader that waits learns that there is nothing to wait for.
    let told = read(&hub, &handle).await;
    assert_eq!(told.phase.word(), "reconnecting");
    // An answer that says "later" is no reason to give up.
    let mut busy = feed.asked().await;
    assert!(busy.says("last-event-id: 7\r\n"), "{}", busy.head);
    busy.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let mut asked = feed.asked().await;
    assert!(asked.says("last-event-id: 7\r\n"), "{}", asked.head);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    asked.send(format!("{head}data: 2\n\ndata: 3\n\n")).await;
    let after = items(&hub, &handle, 3).await;
    let reason = after[0]["gap"]["reason"].as_str().unwrap();
    assert!(reason.contains("ended the stream") || reason.contains("broke off"), "{reason}");
    assert!(after[0]["gap"]["since"].as_str().unwrap().ends_with('Z'), "{after:?}");
    assert_eq!((&after[1]["data"], &after[2]["data"]), (&json!(2), &json!(3)));
    let now = hub.read(&handle, &session("a"), Duration::ZERO, 9, 999).await.unwrap();
    assert_eq!(now.phase, StreamPhase::Open);
}

#[tokio::test]
async fn a_server_that_refuses_ends_the_stream() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let (handle, asked) = opened(&bench, &feed, &hub, "retry: 50\ndata: 1\n\n").await;
    drop(asked);
    let mut asked = feed.asked().await;
    asked.send("HTTP/1.1 403 No\r\nContent-Length: 7\r\nConnection: close\r\n\r\nbye now").await;
    let ended = loop {
        let batch = read(&hub, &handle).await;
        if batch.phase.word() == "ended" {
            break batch;
        }
    };
    assert!(ended.phase.reason().unwrap().contains("bye now"), "{:?}", ended.phase);
    // A stream that is over is not waited for.
    assert_eq!(read(&hub, &handle).await.phase, ended.phase);
}

#[tokio::test]
async fn lines_end_where_the_server_ends_them() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let content_type = "application/x-ndjson";
    let (handle, asked) =
        tokio::join!(open(&bench, &hub, "follow"), begin(&feed, content_type, "[1.50]\n2"));
    let handle = handle.unwrap();
    assert_eq!(read(&hub, &handle).await.taken.items, ["[1.50]"]);
    drop(asked);
    let last = read(&hub, &handle).await;
    assert_eq!(last.taken.items, ["2"]);
    let end = read(&hub, &handle).await;
    assert_eq!(end.phase.reason(), Some("the server ended the stream"));
}

#[tokio::test]
async fn what_is_no_stream_cannot_be_opened() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let answer = async {
        let mut asked = feed.asked().await;
        asked
            .send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")
            .await;
        asked
    };
    let (opened, _asked) = tokio::join!(open(&bench, &hub, "watch"), answer);
    let error = opened.unwrap_err().to_string();
    let expected = "the answer to GET /events is no stream: its content type is text/html; the operator \
                    should check `url`";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(hub.count(), 0);
}

#[tokio::test]
async fn items_are_shaped_and_secrets_hidden_as_in_a_collected_stream() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("result_path: '$[*].data', redact: ['$[*].password']", &feed);
    let body = format!("data: {{\"password\": 1, \"key\": \"{TOKEN}\", \"n\": 1.0}}\n\n");
    let (handle, _asked) = opened(&bench, &feed, &hub, &body).await;
    let expected = json!({"password": "[REDACTED]", "key": "[REDACTED]", "n": 1.0});
    assert_eq!(items(&hub, &handle, 1).await, [expected]);
}

#[tokio::test]
async fn what_is_broken_is_a_gap_and_not_a_silence() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("transform: 'map(.data.n + 1)'", &feed);
    let body = "data: {\"n\": 1}\n\n";
    let (handle, mut asked) = opened(&bench, &feed, &hub, body).await;
    assert_eq!(items(&hub, &handle, 1).await, [json!(2)]);
    asked.send("data: {\"n\": {}}\n\n").await;
    let gap = items(&hub, &handle, 1).await;
    assert!(gap[0]["gap"]["reason"].as_str().unwrap().contains("`transform`"), "{gap:?}");
    asked.send("data: {\"n\": 2}\n\n").await;
    assert_eq!(items(&hub, &handle, 1).await, [json!(3)]);
}

#[tokio::test]
async fn another_session_has_no_access_and_a_handle_alone_suffices_where_there_is_none() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let (handle, _one) = opened(&bench, &feed, &hub, "data: 1\n\n").await;
    let now = Duration::ZERO;
    for other in [session("b"), session(""), StreamOwner::Anybody] {
        assert!(hub.read(&handle, &other, now, 9, 999).await.is_err(), "{other:?}");
        assert!(hub.close(&handle, &other).is_err(), "{other:?}");
        assert!(hub.list(&other).is_empty(), "{other:?}");
    }
    let call = admitted(&bench, "watch", json!({ "stream_open": true }));
    let only = dadl_mcp::shares::ClientKey::only();
    let (free, _two) = tokio::join!(
        hub.open(&bench.executor, &call, StreamOwner::Anybody, &only),
        begin(&feed, "text/event-stream", "data: 1\n\n"),
    );
    let free = free.unwrap();
    assert!(hub.list(&StreamOwner::Anybody).is_empty());
    assert!(hub.read(&free, &session("b"), now, 9, 999).await.is_ok());
    // A session that ends takes its streams with it, and no others.
    hub.close_all("a");
    assert_eq!(hub.count(), 1);
    assert!(hub.read(&handle, &session("a"), now, 9, 999).await.is_err());
}

#[tokio::test]
async fn a_session_has_so_many_streams_and_no_more() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let mut kept = Vec::new();
    for _ in 0..16 {
        kept.push(opened(&bench, &feed, &hub, "").await);
    }
    let error = open(&bench, &hub, "watch").await.unwrap_err().to_string();
    assert!(error.contains("16 streams") && error.contains("stream_close"), "{error}");
    hub.close(&kept[0].0, &session("a")).unwrap();
    opened(&bench, &feed, &hub, "").await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_closed() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let (handle, asked) = opened(&bench, &feed, &hub, "data: 1\n\n").await;
    items(&hub, &handle, 1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(14 * 60)).await;
    assert_eq!(hub.count(), 1);
    tokio::time::advance(Duration::from_secs(2 * 60)).await;
    asked.closed().await;
    assert_eq!(hub.count(), 0);
}

#[tokio::test]
async fn a_server_that_is_silent_for_too_long_is_left() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let events = "\n_dadl_mcp: { events: { stream: watch, silence: 60s, keep_alive: [ping] } }\n";
    let key = Fixed(Ok(TOKEN.into()));
    let bench = Harness::new(&(descriptor("") + events), &feed.origin(), key, |_| {});
    let body = "event: ping\ndata: 1\n\ndata: 2\n\n";
    let (handle, asked) = opened(&bench, &feed, &hub, body).await;
    // What says nothing is no item.
    assert_eq!(items(&hub, &handle, 1).await[0]["data"], 2);
    tokio::time::pause();
    asked.closed().await;
    let _again = begin(&feed, "text/event-stream", "data: 3\n\n").await;
    tokio::time::resume();
    let items = items(&hub, &handle, 2).await;
    assert_eq!(items[0]["gap"]["reason"], "the server was silent for 60 s");
    assert_eq!(items[1]["data"], 3);
}

#[tokio::test]
async fn an_item_without_an_end_is_no_reason_to_fill_the_memory() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let (handle, mut asked) = opened(&bench, &feed, &hub, "retry: 50\ndata: ").await;
    let flood = "x".repeat(1 << 16);
    // The client hangs up before all of it is sent.
    while asked.stream.write_all(flood.as_bytes()).await.is_ok() {}
    let _again = begin(&feed, "text/event-stream", "data: 1\n\n").await;
    let items = items(&hub, &handle, 2).await;
    assert_eq!(items[0]["gap"]["reason"], "an item is larger than 1048576 bytes");
    assert_eq!(items[1]["data"], 1);
}

#[tokio::test]
async fn dropping_the_hub_closes_all_streams() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let bench = bench("", &feed);
    let (_, asked) = opened(&bench, &feed, &hub, "data: 1\n\n").await;
    drop(hub);
    asked.closed().await;
}

#[tokio::test]
async fn an_open_stream_holds_no_turn() {
    let (feed, hub) = (Upstream::by_hand().await, StreamHub::default());
    let key = Fixed(Ok(TOKEN.into()));
    let bench =
        Harness::new(&descriptor(""), &feed.origin(), key, |settings| settings.max_calls = 1);
    let (_, _one) = opened(&bench, &feed, &hub, "").await;
    let (_, _two) = opened(&bench, &feed, &hub, "").await;
}

#[tokio::test]
async fn a_model_opens_reads_lists_and_closes() {
    let feed = Upstream::by_hand().await;
    let served = serve_tools(&descriptor(""), &feed.origin(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    let listed = client.request(1, "tools/list", json!({})).await;
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["watch", "follow", "stream_read", "stream_list", "stream_close", "read_result"]
    );
    let (answer, _asked) = tokio::join!(
        client.call(2, "watch", json!({ "stream_open": true })),
        begin(&feed, "text/event-stream", "id: 1\ndata: 9007199254740993\n\n"),
    );
    let handle = answer["result"]["structuredContent"]["stream"].as_str().unwrap().to_owned();
    // As models write numbers.
    let arguments = json!({ "stream": handle, "wait": "60", "max_items": 5 });
    let answer = client.call(3, "stream_read", arguments).await;
    let expected = r#"{"items":[{"event":"message","id":"1","data":9007199254740993}],"first":0,"state":"open"}"#;
    assert_eq!(text(&answer), expected);
    let answer = client.call(4, "stream_list", json!({})).await;
    let streams = &answer["result"]["structuredContent"]["streams"];
    assert_eq!((&streams[0]["stream"], &streams[0]["tool"]), (&json!(handle), &json!("watch")));
    let answer = client.call(5, "stream_close", json!({ "stream": handle })).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "closed": handle, "unread": 0 }));
    let answer = client.call(6, "stream_read", json!({ "stream": handle })).await;
    assert!(failure(&answer).contains("there is no stream"), "{answer}");
    let answer = client.call(7, "stream_read", json!({ "wait": -1, "of": 1 })).await;
    let expected = "the arguments of `stream_read` cannot be used: `stream` (string) is required; \
                    `wait` must be seconds, 0 or more; there is no parameter `of`";
    assert_eq!(failure(&answer), expected);
}

#[tokio::test]
async fn a_read_fits_the_bound_of_results() {
    let feed = Upstream::by_hand().await;
    let served = serve_tools(&descriptor(""), &feed.origin(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    let body: String = (0..1000).map(|n| format!("data: {n:0100}x\n\n")).collect();
    let (answer, _asked) = tokio::join!(
        client.call(1, "watch", json!({ "stream_open": true })),
        begin(&feed, "text/event-stream", &body),
    );
    let handle = answer["result"]["structuredContent"]["stream"].as_str().unwrap().to_owned();
    let (mut seen, mut id) = (0, 2);
    while seen < 1000 {
        let answer = client.call(id, "stream_read", json!({ "stream": handle, "wait": 60 })).await;
        assert!(text(&answer).len() <= 40_000, "{}", text(&answer).len());
        let items = answer["result"]["structuredContent"]["items"].as_array().unwrap();
        for item in items {
            assert_eq!(item["data"], format!("{seen:0100}x"));
            seen += 1;
        }
        id += 1;
    }
    assert!(id > 4);
}

#[tokio::test]
async fn without_a_streaming_tool_there_is_nothing_to_read() {
    let feed = Upstream::by_hand().await;
    let one = descriptor("").replace("streaming: true, ", "").replace("streaming: true", "");
    // One that may not be called is as good as none.
    let other = descriptor("").replace("access: read", "access: admin");
    for descriptor in [one, other] {
        let served = serve_tools(&descriptor, &feed.origin(), |_| {});
        let mut client = Client::legacy(served, json!({})).await;
        let listed = client.request(1, "tools/list", json!({})).await;
        assert!(!listed.to_string().contains("stream_read"), "{listed}");
        let answer = client.call(2, "stream_read", json!({ "stream": "x" })).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

#[tokio::test]
async fn a_door_without_streams_says_so() {
    let feed = Upstream::by_hand().await;
    let bench = bench("", &feed);
    let error = bench.call("watch", json!({ "stream_open": true })).await.unwrap_err();
    assert!(error.for_model().contains("dadl-mcp watch"), "{error}");
}

pub(crate) mod events {
    //! Against the simulated Xen Orchestra, whose events have to be subscribed to.

    use std::{collections::BTreeSet, num::NonZeroU32};

    use dadl_simulator::{SimulatorOptions, XenOrchestra};

    use super::*;

    pub(crate) fn xen_orchestra(url: &str) -> Harness {
        let text = include_str!("../../dadl/xen-orchestra.dadl");
        Harness::new(text, url, Fixed(Ok("demo-token".into())), |_| {})
    }

    pub(crate) fn per_second(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    async fn subscribed(bench: &Harness, hub: &StreamHub, collections: &[&str]) -> String {
        let arguments = json!({ "open": true, "subscribe": collections });
        let call = admitted(bench, "open_events_stream", arguments);
        hub.open(&bench.executor, &call, session("a"), &dadl_mcp::shares::ClientKey::only())
            .await
            .unwrap()
    }

    fn described(item: &Value) -> Option<&str> {
        item["data"]["name_description"].as_str()
    }

    #[tokio::test]
    async fn one_call_opens_the_stream_and_subscribes() {
        let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
        let (bench, hub) = (xen_orchestra(&simulator.url()), StreamHub::default());
        let handle = subscribed(&bench, &hub, &["VM", "host", "VM"]).await;
        assert_eq!(simulator.event_streams(), (1, 2));
        let vm = simulator.make_changes(2, per_second(1000));
        let items = items(&hub, &handle, 3).await;
        assert_eq!(items[0]["event"], "init");
        assert_eq!((&items[1]["event"], &items[1]["data"]["id"]), (&json!("update"), &json!(vm)));
        assert_eq!(described(&items[2]), Some("change 1"));
        hub.close(&handle, &session("a")).unwrap();
        while simulator.event_streams().0 > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_call_that_collects_can_subscribe_too() {
        let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
        let bench = xen_orchestra(&simulator.url());
        let arguments = json!({ "subscribe": ["VM"], "max_items": 3 });
        let call = admitted(&bench, "open_events_stream", arguments);
        simulator.make_changes(1_000_000, per_second(500));
        let outcome = dadl_mcp::live::collect_once(
            &StreamHub::default(),
            &bench.executor,
            &call,
            &dadl_mcp::shares::ClientKey::only(),
        )
        .await
        .unwrap();
        let dadl_mcp::outcome::AnswerPayload::Json(text) = outcome.payload else { panic!() };
        assert_eq!(text.value().unwrap().as_array().unwrap().len(), 3);
        assert_eq!(outcome.notes, ["stopped after 3 items (`max_items`); there may be more"]);
    }

    #[tokio::test]
    async fn a_subscription_that_is_refused_opens_nothing() {
        let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
        let text = include_str!("../../dadl/xen-orchestra.dadl");
        let key = Fixed(Ok("demo-token".into()));
        let bench = Harness::new(text, &simulator.url(), key, |settings| {
            let tools = dadl_mcp::access::ToolPatterns::new(["add_event_subscription"]).unwrap();
            settings.policy.exclude_tools = tools;
        });
        let call =
            admitted(&bench, "open_events_stream", json!({ "open": true, "subscribe": ["VM"] }));
        let hub = StreamHub::default();
        let error = hub
            .open(&bench.executor, &call, session("a"), &dadl_mcp::shares::ClientKey::only())
            .await
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("cannot subscribe to VM") && error.contains("exclude_tools"),
            "{error}"
        );
        assert_eq!(hub.count(), 0);
    }

    #[tokio::test]
    async fn ten_thousand_events_at_a_thousand_a_second_arrive_in_order() {
        const COUNT: usize = 10_000;
        let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
        let (bench, hub) = (xen_orchestra(&simulator.url()), StreamHub::default());
        let handle = subscribed(&bench, &hub, &["VM"]).await;
        simulator.make_changes(COUNT as u64, per_second(1000));
        let (mut next, mut number) = (0, 0);
        while next < COUNT {
            let batch = read(&hub, &handle).await;
            assert_eq!((batch.taken.first, batch.taken.dropped), (number, 0));
            number += batch.taken.items.len() as u64;
            for item in &batch.taken.items {
                let item: Value = serde_json::from_str(item).unwrap();
                assert!(item.get("gap").is_none(), "{item}");
                if let Some(text) = described(&item) {
                    assert_eq!(text, format!("change {next}"));
                    next += 1;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_is_killed_and_comes_back_leaves_a_gap() {
        let options = SimulatorOptions::default();
        let simulator = XenOrchestra::start(options.clone()).await.unwrap();
        let (bench, hub) = (xen_orchestra(&simulator.url()), StreamHub::default());
        let handle = subscribed(&bench, &hub, &["VM", "task"]).await;
        simulator.make_changes(3, per_second(1000));
        assert_eq!(described(&items(&hub, &handle, 4).await[3]), Some("change 2"));
        let listen = simulator.address();
        drop(simulator);
        while read(&hub, &handle).await.phase == StreamPhase::Open {}
        let options = SimulatorOptions { listen, ..options };
        // The old listener is closed by a task.
        let simulator = loop {
            match XenOrchestra::start(options.clone()).await {
                Ok(simulator) => break simulator,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        while simulator.event_streams() != (1, 2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        simulator.make_changes(1, per_second(1000));
        let items = items(&hub, &handle, 3).await;
        let kinds: BTreeSet<&str> =
            items.iter().filter_map(|item| item["event"].as_str()).collect();
        assert!(items[0]["gap"]["since"].is_string(), "{items:?}");
        assert_eq!(kinds, BTreeSet::from(["init", "update"]));
        assert_eq!(described(&items[2]), Some("change 0"));
    }
}
