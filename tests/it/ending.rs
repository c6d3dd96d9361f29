//! How a server ends: what is finished, what is answered, what is handed over.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use crate::{
    mcp_http::Site,
    mcp_support::{Client, Served, failure, serve, text},
    upstream::{Answer, Asked, ByHand, Upstream},
};

const HANGING: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[1";
/// Longer than a test.
const LONG: Duration = Duration::from_secs(3600);

fn patient(url: &str) -> Served {
    serve(url).changed(|server| server.with_grace(LONG))
}

async fn answer(mut asked: Asked) {
    asked.answer(&Answer::json(200, "[7]")).await;
}

#[tokio::test]
async fn a_call_that_ends_in_time_is_answered_over_http() {
    let slow = Upstream::by_hand().await;
    let site = Site::start_served(patient(&slow.url()), |_| {}).await;
    let session = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "list_things" }
    });
    let mut in_session = site.in_session(&session, &call).await;
    let first = slow.asked().await;
    let (stateless, second) = tokio::join!(
        site.stateless_started("tools/call", json!({ "name": "list_things" })),
        slow.asked()
    );
    site.shutdown.cancel();
    while TcpStream::connect(site.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    answer(first).await;
    answer(second).await;
    assert_eq!(text(&in_session.event().await), "[7]");
    let mut stateless = crate::mcp_http::Reply::read(stateless).await;
    assert_eq!(text(&stateless.json().await), "[7]");
    drop((in_session, stateless));
    site.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_end_is_answered_over_http() {
    let upstream = Upstream::start(vec![Answer::Hang(HANGING.to_vec())]).await;
    let site = Site::start(&upstream.url()).await;
    let session = site.session(json!({})).await;
    let call = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "list_things" }
    });
    let mut in_session = site.in_session(&session, &call).await;
    upstream.request_arrived().await;
    let stateless = site.stateless_started("tools/call", json!({ "name": "list_things" })).await;
    upstream.request_arrived().await;
    site.shutdown.cancel();
    let event = in_session.event().await;
    assert_eq!(event["id"], 7);
    assert!(
        failure(&event).starts_with("the server is ending, and the call was stopped"),
        "{event}"
    );
    let mut stateless = crate::mcp_http::Reply::read(stateless).await;
    assert!(failure(&stateless.json().await).starts_with("the server is ending"));
    site.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_of_events_says_why_it_ends() {
    let site = Site::start_served(patient("http://127.0.0.1:9/"), |_| {}).await;
    let session = site.session(json!({})).await;
    let fields = [("Accept", "text/event-stream"), ("Mcp-Session-Id", session.as_str())];
    let mut stream = site.send("GET", "/mcp", &fields, "").await;
    site.shutdown.cancel();
    let said = stream.whole().await;
    assert!(said.ends_with(": the server is ending; connect again when it is back\n\n"), "{said}");
    // Nothing was under way, and nothing is waited for.
    site.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn stdio_finishes_what_ends_in_time_and_begins_nothing_new() {
    let slow = Upstream::by_hand().await;
    let mut client = Client::legacy(patient(&slow.url()), json!({})).await;
    client.start(1, "tools/call", json!({ "name": "list_things" })).await;
    let stream = slow.asked().await;
    client.shutdown.cancel();
    let late = client.call(2, "list_things", json!({})).await;
    assert_eq!(
        failure(&late),
        "the server is ending, and nothing was sent; call again when it is back"
    );
    assert_eq!(client.request(3, "ping", json!({})).await["result"], json!({}));
    answer(stream).await;
    let answer = client.receive().await;
    assert_eq!((&answer["id"], text(&answer)), (&json!(1), "[7]"));
    assert!(client.next().await.is_none());
    client.ended().await.unwrap();
}

/// Returns whether the tests run where hangups are ignored, as below `nohup`.
#[cfg(unix)]
pub(crate) fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| mask.trim().ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']))
}

#[cfg(unix)]
mod processes {
    //! The real binary and real signals.

    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        process::{Child, Command},
    };

    use super::*;
    use crate::api::api;

    const TOOLS: &str = api!(backend: r#"
  base_url: "http://127.0.0.1:9"
  tools:
    list_things: { method: GET, path: /things, access: read, description: "Lists things." }
"#);

    struct Server {
        child: Child,
        input: tokio::process::ChildStdin,
        output: BufReader<tokio::process::ChildStdout>,
        _home: tempfile::TempDir,
    }

    impl Server {
        fn start(url: &str, grace: &str) -> Self {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("fake.dadl"), TOOLS).unwrap();
            let settings = format!(
                "limits: {{ shutdown_grace: {grace} }}\nbackends:\n  - {{ name: fake, dadl: ./fake.dadl, url: \"{url}\" }}\n"
            );
            std::fs::write(home.path().join("backends.yaml"), settings).unwrap();
            let mut child = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
                .args(["serve", "--config", "backends.yaml"])
                .current_dir(home.path())
                .env_clear()
                .env("HOME", home.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let input = child.stdin.take().unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            Self { child, input, output, _home: home }
        }

        async fn send(&mut self, message: &serde_json::Value) {
            self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        }

        async fn receive(&mut self) -> serde_json::Value {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).await.unwrap(), 0, "the server is gone");
            serde_json::from_str(&line).unwrap()
        }

        async fn with_a_call(slow: &ByHand, grace: &str) -> (Self, Asked) {
            let mut server = Self::start(&slow.url(), grace);
            let params = json!({
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            });
            server
                .send(
                    &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }),
                )
                .await;
            server.receive().await;
            server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
            let params = json!({ "name": "list_things", "arguments": {} });
            server
                .send(
                    &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }),
                )
                .await;
            (server, slow.asked().await)
        }

        fn signal(&self, signal: Signal) {
            let id = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
            kill_process(id, signal).unwrap();
        }
    }

    /// The signals that end the program; a hangup that is ignored around here stays ignored.
    fn signals() -> Vec<Signal> {
        let mut all = vec![Signal::TERM, Signal::INT];
        all.extend((!ignores_hangup()).then_some(Signal::HUP));
        all
    }

    #[tokio::test]
    async fn each_signal_lets_a_call_end() {
        for signal in signals() {
            let slow = Upstream::by_hand().await;
            let (mut server, stream) = Server::with_a_call(&slow, "1h").await;
            server.signal(signal);
            // It answers that it ends before the call does.
            let params = json!({ "name": "list_things", "arguments": {} });
            loop {
                let late =
                    json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
                let ping = json!({ "jsonrpc": "2.0", "id": 3, "method": "ping" });
                server.send(&ping).await;
                assert_eq!(server.receive().await["id"], 3);
                server.send(&late).await;
                let probe = tokio::select! {
                    answer = server.receive() => Some(answer),
                    stream = slow.asked() => { answer(stream).await; None }
                };
                let answer = match probe {
                    Some(answer) => answer,
                    None => server.receive().await,
                };
                assert_eq!(answer["id"], 2);
                if answer["result"]["isError"] == true {
                    assert!(failure(&answer).starts_with("the server is ending"), "{answer}");
                    break;
                }
            }
            answer(stream).await;
            let last = server.receive().await;
            assert_eq!((&last["id"], text(&last)), (&json!(1), "[7]"), "{signal:?}");
            assert_eq!(server.child.wait().await.unwrap().code(), Some(0), "{signal:?}");
        }
    }

    #[tokio::test]
    async fn a_call_without_an_end_is_answered_and_a_second_signal_waits_for_nothing() {
        let slow = Upstream::by_hand().await;
        let (mut server, _stream) = Server::with_a_call(&slow, "10ms").await;
        server.signal(Signal::TERM);
        let last = server.receive().await;
        assert!(failure(&last).starts_with("the server is ending"), "{last}");
        assert_eq!(server.child.wait().await.unwrap().code(), Some(0));
        let (mut server, _stream) = Server::with_a_call(&slow, "1h").await;
        let ended = loop {
            server.signal(Signal::TERM);
            tokio::task::yield_now().await;
            if let Some(status) = server.child.try_wait().unwrap() {
                break status;
            }
        };
        assert_eq!(ended.code(), Some(143));
    }
}
