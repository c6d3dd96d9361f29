//! Signals to a server, at each stage of what its calls do, at each door: what ends in time is
//! finished, the rest is answered, nothing is lost or half done, and nothing of others is touched.

use std::{
    io::{BufRead as _, BufReader as Lines},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    api::api,
    downloads::{MIB, WORKSHOP, content, sha256, unfinished},
    ending::ignores_hangup,
    kills::{Shared, until_written},
    mcp_http::Reply,
    mcp_support::{STATELESS, failure, text, with_meta},
    setup::ROTATING,
    tasks,
    upstream::{Answer, Asked, ByHand, Upstream},
};

const TOOLS: &str = api!(top: "requires: { features: [refresh_token_rotation] }", auth: "AUTH", backend: r#"
  tools:
    list_things: { method: GET, path: /things, access: read, description: "Lists things." }
    export: { method: GET, path: /disk.raw, access: read, description: "Exports.", response: { binary: true } }
    send: { method: PUT, path: /disk.raw, access: write, description: "Sends.", content_type: application/octet-stream, params: { file: { type: file_url, in: body, required: true } } }
"#);
const BEARER: &str = "type: bearer, credential: token";
/// What somebody else has stored.
const STORED: &str = r#"{"version":3,"backends":{"other":{"token":{"value":"the-token-of-another","origins":["https://other.example.com"]}}}}"#;
const HANDLE: &str = "fake:backup:t-1";
/// Larger than what the buffers of two sockets take.
const DISK: usize = 16 * MIB;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A file goes to the API.
    Upload,
    /// The token endpoint has been asked for the token that replaces the stored one.
    Login,
    /// That token has come, and is being written.
    Write,
    /// A file comes from the API.
    Download,
    /// A client puts a file here; over HTTP only.
    Put,
    /// The API works on a task.
    Task,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Http,
    Stdio,
}

/// What happens, and when the API answers: within the grace time, or not at all.
#[derive(Debug, Clone, Copy)]
struct Case {
    stage: Stage,
    door: Door,
    signal: &'static str,
    in_time: bool,
}

impl Case {
    /// All of a stage; a hangup that is ignored around here stays ignored.
    fn of(stage: Stage) -> Vec<Self> {
        let signals = ["KILL", "TERM", "INT", "HUP"].into_iter();
        let signals: Vec<_> = signals.filter(|it| *it != "HUP" || !ignores_hangup()).collect();
        let doors: &[Door] =
            if stage == Stage::Put { &[Door::Http] } else { &[Door::Http, Door::Stdio] };
        let mut all = Vec::new();
        for door in doors.iter().copied() {
            for signal in signals.iter().copied() {
                // Without a terminal it is no end but the word to read settings again.
                if (door, signal) == (Door::Http, "HUP") {
                    continue;
                }
                for in_time in [true, false] {
                    all.push(Self { stage, door, signal, in_time });
                }
            }
        }
        // Whoever is killed does not wait.
        all.retain(|case| case.signal != "KILL" || !case.in_time);
        all
    }

    fn rotates(&self) -> bool {
        matches!(self.stage, Stage::Login | Stage::Write)
    }

    fn call(&self) -> (&'static str, Value) {
        match self.stage {
            Stage::Login | Stage::Write => ("list_things", json!({})),
            Stage::Download => ("export", json!({})),
            Stage::Upload | Stage::Put => ("send", json!({ "file": "disk.raw" })),
            Stage::Task => ("backup", json!({ "vm": "a" })),
        }
    }
}

/// The API, and the machine that the server runs on.
struct World {
    api: ByHand,
    shared: Shared,
    case: Case,
}

impl World {
    async fn new(case: Case) -> Self {
        let api = Upstream::by_hand().await;
        let origin = api.origin();
        let shared = Shared::new();
        let home = shared.home();
        let auth = if case.rotates() { ROTATING.replace("HOST", &origin) } else { BEARER.into() };
        let descriptor = match case.stage {
            Stage::Task => tasks::TOOLS.to_owned(),
            _ => TOOLS.replace("AUTH", &auth),
        };
        std::fs::write(home.join("fake.dadl"), descriptor).unwrap();
        let grace = if case.in_time { "1h" } else { "10ms" };
        let settings = format!(
            "limits: {{ shutdown_grace: {grace} }}\nbackends:\n  - {{ name: fake, dadl: \
             ./fake.dadl, url: \"{origin}/api\", access: all }}\n"
        );
        std::fs::write(home.join("backends.yaml"), settings).unwrap();
        let world = Self { api, shared, case };
        std::fs::create_dir_all(world.store().parent().unwrap()).unwrap();
        std::fs::write(world.store(), STORED).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(world.store(), mode).unwrap();
        if case.stage == Stage::Upload {
            std::fs::write(world.disk(), vec![7; DISK]).unwrap();
        }
        world
    }

    fn store(&self) -> PathBuf {
        self.shared.home().join(".local/state/dadl-mcp/credentials.json")
    }

    fn disk(&self) -> PathBuf {
        self.shared.files().join("disk.raw")
    }

    /// Reads the whole store, and returns the refresh token.
    fn refresh_token(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.store()).unwrap();
        let store: Value = serde_json::from_str(&text).unwrap();
        let others = serde_json::from_str::<Value>(STORED).unwrap();
        let (now, before) = (&store["backends"]["other"], &others["backends"]["other"]);
        assert_eq!(now["token"]["value"], before["token"]["value"], "{:?}", self.case);
        store["backends"]["fake"]["fake_refresh"]["value"].as_str().map(str::to_owned)
    }

    /// Waits for a request that contains `wanted`; what a server sent that is gone does not count.
    async fn asked(&self, wanted: &str) -> Asked {
        loop {
            let mut asked = self.api.asked().await;
            let body = asked.body().await;
            if asked.head.contains(wanted) || String::from_utf8(body).unwrap().contains(wanted) {
                return asked;
            }
        }
    }
}

fn answer_of(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn answer(asked: &mut Asked, text: &str) {
    asked.answer(&Answer::json(200, text)).await;
}

fn tokens(number: u32) -> String {
    format!(
        r#"{{"access_token":"access-token-{number}","refresh_token":"refresh-token-{number}"}}"#
    )
}

/// A server.
struct Server {
    child: Child,
    log: mpsc::Receiver<String>,
    door: Door,
    /// Where it listens.
    address: String,
    /// What it says to its host.
    said: Option<Lines<std::process::ChildStdout>>,
}

impl Server {
    fn start(world: &World) -> Self {
        let home = world.shared.home();
        let door = world.case.door;
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(["serve", "--config", "backends.yaml", "-v", "--files"]);
        command.arg(world.shared.files()).current_dir(home).env_clear().env("HOME", home);
        command.env("DADL_MCP_STORE", "file").env("CREDENTIAL_TOKEN", "s3cret");
        command.env("CREDENTIAL_NONE", "n0ne-of-it");
        if world.case.rotates() {
            command.env("CREDENTIAL_FAKE_ID", "client-7");
            command.env("CREDENTIAL_FAKE_REFRESH", "refresh-token-0");
        }
        if door == Door::Http {
            command.args(["--http", "127.0.0.1:0"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Lines::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The test may have ended.
                let _ = sender.send(line);
            }
        });
        let said = child.stdout.take().map(Lines::new);
        let mut server = Self { child, log, door, address: String::new(), said };
        if door == Door::Http {
            let line = server.logged("listening on http://");
            let (_, rest) = line.split_once("listening on http://").unwrap();
            server.address = rest.split('/').next().unwrap().to_owned();
        }
        server
    }

    /// Waits for a line of the log.
    fn logged(&self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let Ok(line) = self.log.recv() else { panic!("it ended without `{words}`: {all}") };
            if line.contains(words) {
                return line;
            }
            all += &(line + "\n");
        }
    }

    /// Calls a tool; the answer comes later.
    async fn call(&mut self, (name, arguments): (&str, Value)) -> Option<TcpStream> {
        let parameters = with_meta(json!({ "name": name, "arguments": arguments }));
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters })
                .to_string();
        match self.door {
            Door::Stdio => {
                use std::io::Write as _;
                let input = self.child.stdin.as_mut().unwrap();
                input.write_all(format!("{message}\n").as_bytes()).unwrap();
                None
            }
            Door::Http => {
                let mut stream = TcpStream::connect(&self.address).await.unwrap();
                let request = format!(
                    "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nContent-Type: \
                     application/json\r\nAccept: application/json, text/event-stream\r\n\
                     MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: tools/call\r\nMcp-Name: \
                     {name}\r\n\r\n{message}",
                    self.address,
                    message.len()
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                Some(stream)
            }
        }
    }

    /// Reads the answer to a call.
    async fn answer(&mut self, stream: Option<TcpStream>) -> Value {
        if let Some(stream) = stream {
            let mut reply = Reply::read(stream).await;
            return match reply.field("content-type").as_deref() {
                Some("text/event-stream") => reply.event().await,
                _ => reply.json().await,
            };
        }
        let mut said = self.said.take().unwrap();
        let (said, line) = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            loop {
                line.clear();
                assert_ne!(said.read_line(&mut line).unwrap(), 0, "the server is gone");
                if line.contains("\"id\":1") {
                    return (said, line);
                }
            }
        })
        .await
        .unwrap();
        self.said = Some(said);
        serde_json::from_str(&line).unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for the end.
    async fn ended(mut self) -> Option<i32> {
        tokio::task::spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }
}

/// Goes on with what the API does, to its end.
async fn finish(world: &World, mut asked: Asked, whole: &[u8]) {
    match world.case.stage {
        Stage::Upload => {
            let rest = asked.read(DISK - 1000).await;
            assert!(rest.iter().all(|byte| *byte == 7));
            answer(&mut asked, "[7]").await;
        }
        Stage::Login => {
            answer(&mut asked, &tokens(1)).await;
            answer(&mut world.asked("earer access-token-1").await, "[7]").await;
        }
        Stage::Write => answer(&mut world.asked("earer access-token-1").await, "[7]").await,
        Stage::Download => asked.send(&whole[2 * MIB..]).await,
        Stage::Task => {
            answer(&mut asked, r#"{"status":"SUCCESS","result":{"n":1}}"#).await;
        }
        Stage::Put => {}
    }
}

/// Lets the API go on until `stage`; returns the connection that the call hangs on.
async fn reach(world: &World, server: &mut Server) -> Asked {
    match world.case.stage {
        Stage::Upload => {
            let mut asked = world.api.asked().await;
            asked.read(1000).await;
            asked
        }
        Stage::Login => world.asked("refresh-token-0").await,
        Stage::Write => {
            let mut asked = world.asked("refresh-token-0").await;
            answer(&mut asked, &tokens(1)).await;
            // A writer makes a new file beside the old one; it may be done before it is seen.
            let new = world.store().with_extension("json.new");
            while !new.exists() && world.refresh_token().is_none() {
                tokio::task::yield_now().await;
            }
            asked
        }
        Stage::Download => {
            let mut asked = world.api.asked().await;
            let whole = answer_of("application/octet-stream", &content());
            let start = whole.len() - 3 * MIB + 2 * MIB;
            asked.send(&whole[..start]).await;
            until_written(&mut server.child, &world.shared.files(), 2 * MIB as u64, false).await;
            asked
        }
        Stage::Task => {
            let mut asked = world.asked("/vm/a/backup/").await;
            answer(&mut asked, r#"{"task_id":"t-1","status":"PENDING"}"#).await;
            // The next request comes on the same connection.
            asked.next().await;
            assert!(asked.head.contains("/task/t-1/status/"), "{}", asked.head);
            asked
        }
        Stage::Put => unreachable!("it has a test of its own"),
    }
}

/// Sends a signal to a server in the middle of a call, and looks at the answer, and at what is
/// left; then the same call is made again.
async fn check(case: Case) {
    let world = World::new(case).await;
    let mut server = Server::start(&world);
    let call = server.call(case.call()).await;
    let mut asked = reach(&world, &mut server).await;
    server.signal(case.signal);
    let whole = content();
    if case.signal == "KILL" {
        assert_eq!(server.ended().await, None, "{case:?}");
        drop(asked);
    } else {
        server.logged("ending: what is under way has");
        if case.in_time {
            let (answer, ()) = tokio::join!(server.answer(call), finish(&world, asked, &whole));
            assert_eq!(answer["result"]["isError"], json!(false), "{case:?}: {answer}");
            match case.stage {
                Stage::Download => assert!(answer.to_string().contains(&sha256(&whole))),
                Stage::Task => assert!(text(&answer).contains("\"n\""), "{case:?}: {answer}"),
                _ => assert_eq!(text(&answer), "[7]", "{case:?}"),
            }
        } else {
            let said = server.answer(call).await;
            if case.stage == Stage::Task {
                let task = &said["result"]["structuredContent"]["task"];
                assert_eq!(task["handle"], HANDLE, "{case:?}: {said}");
            } else {
                let said = failure(&said);
                assert!(said.starts_with("the server is ending, and the call"), "{case:?}: {said}");
            }
            if case.stage == Stage::Login {
                // It comes too late for the call, and not for the store.
                server.logged("waiting for requests that are under way");
                answer(&mut asked, &tokens(1)).await;
            }
        }
        assert_eq!(server.ended().await, Some(0), "{case:?}");
    }
    let stored = world.refresh_token();
    match (case.rotates(), case.signal) {
        (false, _) => assert_eq!(stored, None, "{case:?}"),
        // Whoever is killed has it or not; the file is whole.
        (true, "KILL") => {
            assert!(stored.as_deref().is_none_or(|it| it == "refresh-token-1"), "{stored:?}");
        }
        (true, _) => assert_eq!(stored.as_deref(), Some("refresh-token-1"), "{case:?}"),
    }
    let mut others = world.shared.others();
    others.retain(|path| *path != world.disk());
    if case.stage == Stage::Download && case.in_time {
        // Over HTTP, a file has a record.
        let expected = if case.door == Door::Http { 2 } else { 1 };
        assert_eq!(others.len(), expected, "{case:?}: {others:?}");
    } else {
        assert_eq!(others, Vec::<PathBuf>::new(), "{case:?}");
    }
    if case.stage == Stage::Upload {
        assert!(std::fs::read(world.disk()).unwrap() == vec![7; DISK], "{case:?}");
    }
    let is_left = world.shared.files().join(WORKSHOP).exists();
    assert!(!is_left || case.signal == "KILL", "{case:?}: {:?}", unfinished(&world.shared.files()));
    if case.stage != Stage::Task {
        again(&world, stored).await;
    }
}

/// Whatever was left, the next server does the same to its end, and leaves nothing else.
async fn again(world: &World, stored: Option<String>) {
    let case = world.case;
    let mut server = Server::start(world);
    let call = server.call(case.call()).await;
    let api = async {
        match case.stage {
            Stage::Login | Stage::Write => {
                let current = stored.as_deref().unwrap_or("refresh-token-0");
                answer(&mut world.asked(current).await, &tokens(2)).await;
                answer(&mut world.asked("earer access-token-2").await, "[8]").await;
            }
            Stage::Download => {
                let mut asked = world.api.asked().await;
                asked.send(answer_of("application/octet-stream", &content())).await;
                // Until whoever asked has everything.
                return Some(asked);
            }
            _ => {
                let mut asked = world.api.asked().await;
                assert_eq!(asked.body().await.len(), DISK);
                answer(&mut asked, "[8]").await;
            }
        }
        None
    };
    let (answer, _held) = tokio::join!(server.answer(call), api);
    assert_eq!(answer["result"]["isError"], json!(false), "{case:?}: {answer}");
    if case.rotates() {
        assert_eq!(world.refresh_token().as_deref(), Some("refresh-token-2"), "{case:?}");
    }
    assert!(!world.shared.files().join(WORKSHOP).exists(), "{case:?}");
    world.shared.others();
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0), "{case:?}");
}

async fn check_all(stage: Stage) {
    for case in Case::of(stage) {
        check(case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_call_ends_or_is_answered() {
    check_all(Stage::Upload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_a_call_is_stored_whoever_waits_for_it() {
    check_all(Stage::Login).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_the_store_is_whole() {
    check_all(Stage::Write).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_of_a_call_ends_or_is_answered() {
    check_all(Stage::Download).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_ends_or_is_handed_over() {
    check_all(Stage::Task).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_client_puts_here_is_whole_or_not_there() {
    for case in Case::of(Stage::Put) {
        let world = World::new(case).await;
        let mut server = Server::start(&world);
        let mut put = TcpStream::connect(&server.address).await.unwrap();
        let head = format!(
            "PUT /files/half HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\nhalf",
            server.address
        );
        put.write_all(head.as_bytes()).await.unwrap();
        until_written(&mut server.child, &world.shared.files(), 4, false).await;
        server.signal(case.signal);
        let mut url = None;
        if case.signal == "KILL" {
            assert_eq!(server.ended().await, None);
        } else {
            server.logged("ending: what is under way has");
            if case.in_time {
                put.write_all(b" and half").await.unwrap();
            }
            let mut reply = Reply::read(put).await;
            let said = reply.text().await;
            if case.in_time {
                assert_eq!(reply.status, 201, "{case:?}: {said}");
                let said: Value = serde_json::from_str(&said).unwrap();
                url = said["url"].as_str().map(str::to_owned);
            } else {
                assert_eq!(reply.status, 503, "{case:?}: {said}");
                assert_eq!(said, "the server is ending; nothing was kept", "{case:?}");
            }
            assert_eq!(server.ended().await, Some(0), "{case:?}");
            assert!(!world.shared.files().join(WORKSHOP).exists(), "{case:?}");
        }
        let server = Server::start(&world);
        let expected = if case.in_time { 2 } else { 0 };
        assert_eq!(world.shared.others().len(), expected, "{case:?}");
        if let Some(url) = url {
            let mut get = TcpStream::connect(&server.address).await.unwrap();
            let path = url.split_once(&server.address).map_or(url.as_str(), |(_, path)| path);
            let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
            get.write_all(head.as_bytes()).await.unwrap();
            assert_eq!(Reply::read(get).await.text().await, "half and ", "{case:?}");
        }
        server.signal("TERM");
        assert_eq!(server.ended().await, Some(0), "{case:?}");
        assert!(!world.shared.files().join(WORKSHOP).exists(), "{case:?}");
    }
}
