//! Processes that get a signal at each stage of what they do: nothing is lost, nothing is half done,
//! and nothing of anybody else is touched.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    downloads::{
        BINARY, MIB, RANGES, TOOLS, VERSION, WORKSHOP, content, names, output, sha256, unfinished,
    },
    setup::{Home, ROTATING},
    upstream::{Answer, Upstream},
};

const SIGNALS: [&str; 4] = ["KILL", "TERM", "INT", "HUP"];

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

/// A directory of files in which others have theirs.
pub(crate) struct Shared {
    home: tempfile::TempDir,
    theirs: BTreeMap<PathBuf, String>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut theirs = BTreeMap::new();
        let id = "0123456789abcdef".repeat(2);
        for name in [
            "export.raw",
            "export.raw.part",
            "notes.part",
            &format!("{id}.part"),
            ".store/mine.txt",
            &format!(".store/{id}"),
            &format!(".store/{id}.part"),
            &format!(".store/{id}.unfinished"),
        ] {
            let path = home.path().join("files").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = format!("the work of a person: {name}");
            std::fs::write(&path, &text).unwrap();
            theirs.insert(path, text);
        }
        Self { home, theirs }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.home.path().join("files")
    }

    /// Checks that all of theirs is there, and returns what else has a name.
    pub(crate) fn others(&self) -> Vec<PathBuf> {
        for (path, text) in &self.theirs {
            assert_eq!(std::fs::read_to_string(path).unwrap(), *text, "{}", path.display());
        }
        let all = ["", ".store"].into_iter().flat_map(|below| {
            let folder = self.files().join(below);
            names(&folder).into_iter().map(move |name| folder.join(name))
        });
        all.filter(|path| !path.is_dir() && !self.theirs.contains_key(path)).collect()
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let descriptor = self.home.path().join("fake.dadl");
        let upload = "    send: { method: PUT, path: /disk.raw, access: write, description: Sends., \
                      content_type: application/octet-stream, params: { file: { type: file_url, \
                      in: body, required: true } } }\n";
        std::fs::write(&descriptor, format!("{TOOLS}{upload}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(arguments).arg("--dadl").arg(&descriptor).env_clear();
        command.args(["--access", "all", "--url", url, "--files"]).arg(self.files());
        command.env("HOME", self.home.path()).env("CREDENTIAL_TOKEN", "s3cret");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Where a download is when the signal comes.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The server has the request.
    Asked,
    /// So many bytes are on the disk.
    Written(usize),
}

/// Waits until the only unfinished file has so many bytes, and can be continued where it should be.
pub(crate) async fn until_written(child: &mut Child, files: &Path, size: u64, continues: bool) {
    loop {
        let kept = unfinished(files);
        let length = |name: &String| {
            let metadata = std::fs::metadata(files.join(WORKSHOP).join(name));
            metadata.map_or(0, |metadata| metadata.len())
        };
        let is_marked = !continues || kept.iter().any(|name| name.ends_with(".unfinished"));
        let parts = kept.iter().filter(|name| name.ends_with(".part"));
        if is_marked && parts.map(length).any(|length| length >= size) {
            return;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        tokio::task::yield_now().await;
    }
}

async fn ended(mut child: Child) -> Option<i32> {
    drop(child.stdin.take());
    output(child).await.0
}

/// Asks a server on stdio for a download.
fn begin_on_stdio(child: &mut Child) {
    let message = |id: u32, method: &str, params: Value| {
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string() + "\n"
    };
    let hello = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let called = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
    let call = message(2, "tools/call", json!({ "name": "export", "arguments": {} }));
    let text = message(1, "initialize", hello) + called + &call;
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
}

/// Lets a process download until `stage`, sends it a signal, and looks what is left; then lets
/// another one do the same call.
async fn download(on_stdio: bool, fields: &[(&str, &str)], stage: Stage, name: &str) {
    let whole = content();
    let server = Server::start(fields, stage);
    let shared = Shared::new();
    let arguments: &[&str] = if on_stdio { &["serve"] } else { &["call", "export", "--json"] };
    let mut child = shared.command(&server.url, arguments).spawn().unwrap();
    if on_stdio {
        begin_on_stdio(&mut child);
    }
    server.next_request().await;
    if let Stage::Written(size) = stage {
        let is_marked = fields.contains(&VERSION) && size >= MIB;
        until_written(&mut child, &shared.files(), size as u64, is_marked).await;
    }
    signal(&child, name);
    let code = ended(child).await;
    let case = format!("{name} at {stage:?}, {fields:?}");
    assert_eq!(shared.others(), Vec::<PathBuf>::new(), "{case}: nothing has a name yet");
    // A signal that a process hears lets it clean up.
    if !on_stdio && code.is_some() {
        assert!(
            !shared.files().join(WORKSHOP).exists(),
            "{case}: {:?}",
            unfinished(&shared.files())
        );
    }
    assert!(on_stdio || name != "INT" || code == Some(130), "{case}: {code:?}");
    let continues = unfinished(&shared.files()).iter().any(|name| name.ends_with(".unfinished"));
    // Whatever is left, the next process gets the whole file, and leaves nothing else.
    let second = shared.command(&server.url, &["call", "export", "--json"]).spawn().unwrap();
    let (code, out, err) = output(second).await;
    assert_eq!(code, Some(0), "{case}: {err}");
    assert!(out.contains(&sha256(&whole)), "{case}: {out}");
    let saved = shared.files().join("export-2.raw");
    assert_eq!(shared.others(), std::slice::from_ref(&saved), "{case}");
    assert!(std::fs::read(saved).unwrap() == whole, "{case}");
    assert!(!shared.files().join(WORKSHOP).exists(), "{case}: {:?}", unfinished(&shared.files()));
    assert_eq!(err.contains("were there already"), continues, "{case}: {err}");
    let range = server.next_request().await.to_lowercase().contains("\r\nrange: bytes=");
    assert_eq!(range, continues, "{case}");
}

/// A server whose first answer stops at a stage, and whose others are whole, or the part that was
/// asked for.
struct Server {
    url: String,
    requests: Mutex<tokio::sync::mpsc::UnboundedReceiver<String>>,
}

impl Server {
    fn start(fields: &[(&str, &str)], stage: Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        let (seen, requests) = tokio::sync::mpsc::unbounded_channel();
        let fields: String =
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        std::thread::spawn(move || {
            let whole = content();
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                let request = head_of(&mut stream);
                let number = held.len();
                let start = request
                    .to_lowercase()
                    .split_once("\r\nrange: bytes=")
                    .map(|(_, rest)| rest.split('-').next().unwrap().parse::<usize>().unwrap());
                let (status, extra) = match start {
                    Some(start) => (
                        206,
                        format!(
                            "Content-Range: bytes {start}-{}/{}\r\n",
                            whole.len() - 1,
                            whole.len()
                        ),
                    ),
                    None => (200, String::new()),
                };
                let body = &whole[start.unwrap_or_default()..];
                let head = format!(
                    "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n{fields}{extra}\r\n",
                    body.len()
                );
                let answer = [head.as_bytes(), body].concat();
                let most = match (number, stage) {
                    (0, Stage::Asked) => 0,
                    (0, Stage::Written(size)) => head.len() + size,
                    _ => answer.len(),
                };
                // The test may have ended.
                let _ = seen.send(request);
                let _ = stream.write_all(&answer[..most]);
                held.push(stream);
            }
        });
        Self { url, requests: Mutex::new(requests) }
    }

    /// Waits for a request and returns its head.
    async fn next_request(&self) -> String {
        self.requests.lock().await.recv().await.unwrap()
    }
}

fn head_of(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

const STAGES: [Stage; 5] = [
    Stage::Asked,
    Stage::Written(0),
    Stage::Written(1000),
    Stage::Written(2 * MIB),
    Stage::Written(3 * MIB - 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_at_any_stage_of_a_download_leaves_nothing_half() {
    for name in SIGNALS {
        for stage in STAGES {
            download(false, &[BINARY, RANGES, VERSION], stage, name).await;
        }
        download(false, &[BINARY], Stage::Written(2 * MIB), name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_at_any_stage_of_a_download_leaves_nothing_half() {
    for stage in STAGES {
        download(true, &[BINARY, RANGES, VERSION], stage, "KILL").await;
    }
    for name in SIGNALS {
        download(true, &[BINARY], Stage::Written(2 * MIB), name).await;
    }
}

/// Takes a connection and reads so many bytes of its request; nothing is answered.
fn read_some(listener: &TcpListener, bytes: usize) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let mut start = vec![0; bytes];
    stream.read_exact(&mut start).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_at_any_stage_of_an_upload_leaves_the_file_alone() {
    for name in SIGNALS {
        for bytes in [1, 600, 200_000] {
            let shared = Shared::new();
            let disk = shared.files().join("disk.raw");
            std::fs::write(&disk, vec![7; 300_000]).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let url = format!("http://{address}/api");
            let child = shared.command(&url, &["call", "send", "file=disk.raw"]).spawn().unwrap();
            let reading =
                tokio::task::spawn_blocking(move || read_some(&listener, bytes)).await.unwrap();
            signal(&child, name);
            ended(child).await;
            drop(reading);
            assert_eq!(shared.others(), std::slice::from_ref(&disk), "{name} after {bytes} bytes");
            assert_eq!(std::fs::read(&disk).unwrap(), vec![7; 300_000]);
            assert!(!shared.files().join(WORKSHOP).exists());
        }
    }
}

/// A server for files on HTTP, and where it listens.
fn file_server(shared: &Shared) -> (Child, String) {
    let mut command = shared.command("http://127.0.0.1:9/", &["serve", "--http", "127.0.0.1:0"]);
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
        if let Some(at) = line.find("listening on http://") {
            let rest = &line[at + "listening on http://".len()..];
            break rest.split('/').next().unwrap().to_owned();
        }
    };
    // The log goes on.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (child, address)
}

fn exchange(address: &str, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let text = format!("{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    stream.write_all(format!("{text}Content-Length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_in_the_middle_of_an_upload_keeps_what_was_whole() {
    // Without a terminal a hangup ends no endpoint: it reads its settings again.
    for name in SIGNALS.into_iter().filter(|name| *name != "HUP") {
        let shared = Shared::new();
        let (mut child, address) = file_server(&shared);
        let answer = exchange(&address, "PUT /files/whole.txt", b"whole");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let url = body["url"].as_str().unwrap().to_owned();
        let mut half = TcpStream::connect(&address).unwrap();
        let head =
            format!("PUT /files/half HTTP/1.1\r\nHost: {address}\r\nContent-Length: 9\r\n\r\nhalf");
        half.write_all(head.as_bytes()).unwrap();
        until_written(&mut child, &shared.files(), 4, false).await;
        signal(&child, name);
        // Somebody who waits for the rest is told by the end of the connection.
        drop(half);
        ended(child).await;
        let (child, address) = file_server(&shared);
        assert!(exchange(&address, &format!("GET {url}"), b"").ends_with("whole"), "{name}");
        assert_eq!(shared.others().len(), 2, "{name}: the whole one and its record");
        assert!(!shared.files().join(WORKSHOP).exists(), "{name}");
        signal(&child, "KILL");
        ended(child).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_under_way_is_not_lost() {
    // Everything that logs in at a terminal; `setup` has tests of its own.
    let commands: [&[&str]; 3] = [&["call", "get"], &["doctor"], &["health"]];
    for (name, command) in SIGNALS.into_iter().flat_map(|name| commands.map(|it| (name, it))) {
        let slow = Upstream::by_hand().await;
        let origin = slow.origin();
        let home = Home::new(ROTATING, &origin, &origin)
            .declaring_health()
            .with("CREDENTIAL_FAKE_ID", "client-7")
            .with("CREDENTIAL_FAKE_REFRESH", "refresh-token-0");
        let mut child = home.command(command).spawn().unwrap();
        let mut asked = slow.asked().await;
        let id = child.id().unwrap().to_string();
        let kill = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(kill.unwrap().success());
        if name == "KILL" {
            child.wait().await.unwrap();
        }
        // The answer comes after the signal, whether anybody still waits for it.
        let body = r#"{"access_token":"access-token-1","refresh_token":"refresh-token-1"}"#;
        asked.answer(&Answer::json(200, body)).await;
        let code = child.wait().await.unwrap().code();
        assert!(name != "INT" || code == Some(130), "{name} {command:?}: {code:?}");
        // A process that hears the signal waits for the token that replaces its own.
        let expected = code.map(|_| "refresh-token-1");
        assert_eq!(home.stored("fake_refresh").as_deref(), expected, "{name} {command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_whole_whenever_its_writer_is_killed() {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    let home = Home::new("type: bearer, credential: fake_token", "", &upstream.url());
    let run = home.run(&["setup", "fake"], "the first token\n").await;
    assert_eq!(run.code, 0, "{}", run.err);
    let mut stored = "the first token".to_owned();
    let mut finished = 0;
    for number in 0..24_u32 {
        let token = format!("token {number}");
        let mut child = home.command(&["setup", "fake", "--no-check"]).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let typed = format!("{token}\n");
        // It may be gone already.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut input, typed.as_bytes()).await;
        drop(input);
        // Later each time, until one is done.
        for _ in 0..number * 400 {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = child.start_kill();
        finished += u32::from(child.wait().await.unwrap().success());
        let now = home.stored("fake_token").unwrap();
        assert!(now == stored || now == token, "{now} after {stored}");
        stored = now;
    }
    assert!(finished < 24, "none was killed");
    // Nothing is in the way of the next one.
    let run = home.run(&["setup", "fake"], "the last token\n").await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(home.stored("fake_token").as_deref(), Some("the last token"));
}
