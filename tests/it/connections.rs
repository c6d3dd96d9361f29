//! Clients that hold connections, sessions and memory, and one client beside another.

use std::time::Duration;

use dadl_mcp::{
    mcp::ConnectionBounds,
    shares::ClientKey,
    worker::{FilterError, FilterPool},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::{
    api::api,
    mcp_http::Site,
    mcp_support::{Served, serve, serve_tools, text, with_meta},
    upstream::{Answer, Upstream},
};

const HANGING: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1";
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn bounded(url: &str, change: impl FnOnce(&mut ConnectionBounds)) -> Served {
    let mut bounds = ConnectionBounds::default();
    change(&mut bounds);
    serve(url).changed(|server| server.with_connections(bounds))
}

async fn site(url: &str, change: impl FnOnce(&mut ConnectionBounds)) -> Site {
    Site::start_served(bounded(url, change), |_| {}).await
}

/// Reads until the other side closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A connection that is reset is closed as well.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn answers_that_nobody_reads_end_the_connection() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    tokio::time::pause();
    let requests = HEALTH.repeat(1000);
    // Sooner or later the server cannot write and stops reading; it must not wait for ever.
    while stream.write_all(&requests).await.is_ok() {}
}

#[tokio::test]
async fn silence_trickling_and_half_a_request_end_the_connection() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let half: [&[u8]; 6] = [
        b"",
        b"GET /hea",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"PUT /files/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
        HEALTH,
    ];
    for sent in half {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        tokio::time::pause();
        let answer = until_closed(&mut stream).await;
        tokio::time::resume();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_outlives_the_time_for_which_clients_keep_one_that_they_do_not_use() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let mut answer = [0; 4096];
    for _ in 0..3 {
        stream.write_all(HEALTH).await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(90)).await;
        tokio::time::resume();
    }
    tokio::time::pause();
    let silent = tokio::time::Instant::now();
    assert_eq!(until_closed(&mut stream).await, "");
    assert!(silent.elapsed() < Duration::from_secs(200), "{:?}", silent.elapsed());
}

#[tokio::test]
async fn requests_that_do_not_wait_are_answered_in_their_order() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let session = site.session(json!({})).await;
    let ping = |id: usize| {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string();
        format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMcp-Session-Id: {session}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut connections = Vec::new();
    for number in 0..20 {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let missing = format!("GET /missing{number} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let last = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let health = String::from_utf8_lossy(HEALTH);
        let sent = format!("{health}{missing}{}{health}{missing}{last}", ping(100 + number));
        stream.write_all(sent.as_bytes()).await.unwrap();
        connections.push(stream);
    }
    for (number, stream) in connections.iter_mut().enumerate() {
        let answer = until_closed(stream).await;
        let id = format!("\"id\":{}", 100 + number);
        let expected =
            ["\"status\":\"ok\"", "404", &id, "\"status\":\"ok\"", "404", "\"status\":\"ok\""];
        let mut rest = answer.as_str();
        for part in expected {
            let found = rest.split_once(part);
            rest = found.unwrap_or_else(|| panic!("no {part} in {rest} of {answer}")).1;
        }
        assert_eq!(answer.matches("HTTP/1.1 ").count(), expected.len(), "{answer}");
    }
}

#[tokio::test]
async fn a_crowd_that_opens_sessions_and_sends_long_messages_is_served() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let own = site.session(json!({})).await;
    let crowd = (0..100).map(|_| site.session(json!({})));
    let (mut crowd, ping) = tokio::join!(futures_util::future::join_all(crowd), async {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        site.in_session(&own, &ping).await.event().await
    });
    assert_eq!(ping["id"], 1);
    crowd.sort_unstable();
    crowd.dedup();
    assert_eq!(crowd.len(), 100);
    // Each longer than what is read at once.
    let long = crowd.iter().enumerate().map(|(number, session)| {
        let message = json!({
            "jsonrpc": "2.0", "id": number, "method": "ping",
            "params": { "_meta": { "x": "y".repeat(100_000 + number) } },
        });
        let site = &site;
        async move { site.in_session(session, &message).await.event().await["id"].clone() }
    });
    let ids = futures_util::future::join_all(long).await;
    assert_eq!(ids, (0..100).map(|number| json!(number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn heads_and_chunks_without_an_end_are_refused() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let many = format!("GET /health HTTP/1.1\r\n{}", "X: y\r\n".repeat(20_000));
    let long = format!("GET /health HTTP/1.1\r\nX: {}", "y".repeat(1_000_000));
    let extension = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;{}",
        "x".repeat(1_000_000)
    );
    for sent in [many, long, extension] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let (mut read, mut write) = stream.split();
        let sending = async {
            // It may be closed before everything is sent.
            let _ = write.write_all(sent.as_bytes()).await;
        };
        let mut answer = Vec::new();
        let reading = async {
            let _ = read.read_to_end(&mut answer).await;
        };
        tokio::join!(sending, reading);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(site.send("GET", "/health", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_newcomer_is_answered_although_all_connections_are_taken() {
    let site = site("http://127.0.0.1:9/", |bounds| bounds.most = Some(4)).await;
    let mut idle = Vec::new();
    for _ in 0..12 {
        idle.push(TcpStream::connect(site.address).await.unwrap());
        assert_eq!(site.send("GET", "/health", &[], "").await.status, 200);
    }
    assert_eq!(site.stateless("tools/list", json!({})).await.status, 200);
    // The first ones made room.
    assert_eq!(until_closed(&mut idle[0]).await, "");
}

#[tokio::test]
async fn health_is_answered_although_all_connections_work() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = site(&upstream.url(), |bounds| bounds.most = Some(2)).await;
    let session = site.session(json!({})).await;
    let mut calls = Vec::new();
    for id in 0..2 {
        let call = json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "list_things" }
        });
        calls.push(site.in_session(&session, &call).await);
        upstream.request_arrived().await;
    }
    for _ in 0..100 {
        assert_eq!(site.send("GET", "/health", &[], "").await.status, 200);
    }
    let mut reply = site.stateless("tools/list", json!({})).await;
    assert_eq!((reply.status, reply.field("retry-after").as_deref()), (503, Some("5")));
    assert!(reply.text().await.contains("all connections are taken"));
    drop(calls.pop());
    // Its place is free as soon as the server knows.
    while site.stateless("tools/list", json!({})).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_old_connection_ends_between_requests_and_no_stream_is_cut() {
    let site = site("http://127.0.0.1:9/", |bounds| {
        (bounds.life, bounds.silence) = (Duration::from_millis(50), Duration::from_secs(3600));
    })
    .await;
    let session = site.session(json!({})).await;
    let fields = [("Accept", "text/event-stream"), ("Mcp-Session-Id", session.as_str())];
    let mut stream = site.send("GET", "/mcp", &fields, "").await;
    assert_eq!(stream.status, 200);
    // Two connections that came later are over, one after the other.
    for _ in 0..2 {
        let mut kept = TcpStream::connect(site.address).await.unwrap();
        kept.write_all(HEALTH).await.unwrap();
        assert!(until_closed(&mut kept).await.starts_with("HTTP/1.1 200"));
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 5, "method": "ping" });
    assert_eq!(site.in_session(&session, &ping).await.event().await["id"], 5);
    site.shutdown.cancel();
    assert!(stream.whole().await.ends_with("connect again when it is back\n\n"));
}

#[tokio::test]
async fn messages_are_bounded_before_they_are_built() {
    let site = site("http://127.0.0.1:9/", |_| {}).await;
    let initialize = |experimental: Value| {
        json!({
            "jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": { "experimental": { "x": experimental } },
                "clientInfo": { "name": "test", "version": "1" },
            },
        })
    };
    let mut reply =
        site.post(&[], &initialize(json!({ "y": vec![0; 4_000_000] })).to_string()).await;
    assert_eq!(reply.status, 413);
    let answer = reply.json().await;
    assert_eq!(answer["id"], 3);
    assert!(answer["error"]["message"].as_str().unwrap().contains("values"), "{answer}");
    let mut reply =
        site.post(&[], &initialize(json!({ "y": "z".repeat(70_000) })).to_string()).await;
    let answer = reply.json().await;
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.starts_with("`initialize` has 70"), "{answer}");
    let mut reply =
        site.post(&[], &initialize(json!({ "y": "z".repeat(50_000) })).to_string()).await;
    assert_eq!(reply.event().await["result"]["serverInfo"]["name"], "dadl-mcp");
    let id = "i".repeat(5_000);
    let message = json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    let mut reply = site.post(&[], &message.to_string()).await;
    assert_eq!(reply.json().await["error"]["message"], "`id` has 5002 bytes, and may have 4096");
}

#[tokio::test]
async fn two_requests_of_a_session_under_way_have_two_ids() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = site(&upstream.url(), |_| {}).await;
    let session = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": { "name": "list_things" }
    });
    let first = site.in_session(&session, &call).await;
    upstream.request_arrived().await;
    let mut second = site.in_session(&session, &call).await;
    assert_eq!(second.status, 429);
    let answer = second.json().await;
    assert_eq!(answer["id"], "a");
    assert!(answer["error"]["message"].as_str().unwrap().contains("this id"), "{answer}");
    // Another session may have a request of that id.
    let other = site.session(json!({})).await;
    assert_eq!(site.in_session(&other, &call).await.status, 200);
    drop(first);
}

#[tokio::test]
async fn a_session_with_a_call_under_way_is_not_pushed_out() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = site(&upstream.url(), |_| {}).await;
    let busy = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": { "name": "list_things" }
    });
    let under_way = site.in_session(&busy, &call).await;
    upstream.request_arrived().await;
    let idle = site.session(json!({})).await;
    // As many as there may be.
    for _ in 0..500 {
        site.session(json!({})).await;
    }
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(site.in_session(&busy, &ping).await.status, 200);
    assert_eq!(site.in_session(&idle, &ping).await.status, 404, "one had to go");
    drop(under_way);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn endless_filters_of_one_address_do_not_hold_up_another() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1]")]).await;
    let site = Site::start_served(serve_tools(FILTERED, &upstream.url(), |_| {}), |_| {}).await;
    let parameters =
        |program: &str| with_meta(json!({ "name": "get", "arguments": { "jq": program } }));
    let mut hogs = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let request = request_of(&site, parameters("def f: f; f"));
        let address = site.address;
        hogs.spawn(async move {
            // All of this network is this machine.
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            // The head of an answer, and what keeps it alive, may come long before its end.
            let mut answer = Vec::new();
            while !answer.windows(6).any(|part| part == br#""id":1"#) {
                if stream.read_buf(&mut answer).await.unwrap_or_default() == 0 {
                    break;
                }
            }
        });
    }
    // So many filters of one address run. Those of the others are not even compiled meanwhile.
    while upstream.requests().len() < 4 {
        upstream.request_arrived().await;
    }
    let mut reply = site.stateless_with("tools/call", parameters("map(. + 1)")).await;
    assert_eq!(text(&reply.json().await), "[2]");
    // Whoever waits in one queue with the others is answered after them.
    let ended = std::iter::from_fn(|| hogs.try_join_next()).count();
    assert!(ended < 5, "{ended} of those who came before were done");
}

/// A call of 2026-07-28.
#[cfg(target_os = "linux")]
fn request_of(site: &Site, parameters: Value) -> String {
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters });
    let body = message.to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: \
         application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: \
         tools/call\r\nMcp-Name: get\r\nContent-Length: {}\r\n\r\n{body}",
        site.address,
        body.len()
    )
}

/// A tool whose answer a caller may filter.
#[cfg(target_os = "linux")]
const FILTERED: &str = api!(auth: "type: bearer, credential: fake_token", backend: r#"
  tools:
    get: { method: GET, path: /things, access: read, description: "Things.", response: { allow_jq_override: true } }
"#);

#[tokio::test]
async fn a_session_that_a_client_invents_is_none() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1]")]).await;
    let site = site(&upstream.url(), |_| {}).await;
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(site.in_session(&"s".repeat(40_000), &message).await.status, 404);
    let fields = [
        ("Mcp-Session-Id", "mine"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "list_things"),
    ];
    let parameters = with_meta(json!({ "name": "list_things" }));
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters });
    let mut reply = site.post(&fields, &message.to_string()).await;
    assert_eq!(text(&reply.json().await), "[1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_one_client_leave_room_for_those_of_another() {
    let filters = FilterPool::with_executable(env!("CARGO_BIN_EXE_dadl-mcp"));
    let host = |name: &str| ClientKey { host: name.to_owned(), session: String::new() };
    let (greedy, modest) = (host("192.0.2.1"), host("192.0.2.2"));
    // Without an end, for as long as anybody may wait.
    let endless = filters.of(&greedy).with_time(Duration::from_secs(3600));
    let mut hogs: Vec<_> = (0..40)
        .map(|_| {
            let endless = endless.clone();
            tokio::spawn(async move { endless.run("def f: f; f", b"1").await })
        })
        .collect();
    let result = filters.of(&modest).run(". + 1", b"1").await.unwrap();
    assert_eq!(result, "2");
    hogs.drain(..).for_each(|hog| hog.abort());
    // Who gave up left the queue.
    let ended = filters.of(&greedy).with_time(Duration::from_secs(60)).run(".", b"1").await;
    assert!(!matches!(ended, Err(FilterError::Busy(_))), "{ended:?}");
}
