//! Every subcommand on a real pseudo-terminal, with a descriptor, a server and arguments that try
//! to steer it: each byte that arrives is looked at. Through a pipe the same bytes are unchanged.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

use regex::Regex;
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use serde_json::{Value, json};

use crate::{
    tasks::{TOOLS, pending, state},
    upstream::{Answer, Upstream},
};

/// What texts of others begin with, so that a test sees that they were shown at all.
const SEEN: &str = "OWNED";

/// Texts that would steer a terminal or would not be seen.
const HOSTILE: &[&str] = &[
    // Styles, a title, a clipboard, a cleared screen, the cursor; sequences of 7 and 8 bits, some
    // without an end.
    "\u{1b}[31m\u{1b}[8mx\u{1b}[0m\u{1b}]0;t\u{7}\u{1b}]52;c;eA==\u{1b}\\\u{1b}[2J\u{1b}[H\u{1b}P1",
    "\u{9b}31m\u{9d}0;t\u{9c}\u{90}q\u{85}\u{80}\u{9f}\u{1b}",
    "\u{8}\u{8}\u{7f}\u{7}\r\u{b}\u{c}\u{0}\u{1b}c\u{1b}[6n",
    // Order and what is not there.
    "\u{202e}\u{202a}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{200b}a\u{200c}b\u{200d}c\u{2060}\u{feff}",
    "\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{180e}\u{2028}\u{2029}\u{3164}\u{ffa0}\u{fff9}\u{fffb}",
    "\u{e0001}\u{e0041}\u{e007f}\u{fe0f}\u{fe00}\u{e0100}\u{e000}\u{f0000}\u{10ffff}\u{fdd0}\u{fffe}",
];

/// The descriptor; `HOSTILE` becomes a text of [`HOSTILE`].
const DESCRIPTOR: &str = r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
_dadl_mcp: { events: { stream: stream } }
backend:
  name: fake
  type: rest
  version: "1.HOSTILE"
  description: "HOSTILE"
  auth: { type: bearer, credential: fake_token }
  setup:
    credential_steps: ["HOSTILE", "two\nHOSTILE"]
    required_scopes: ["HOSTILE"]
    docs_url: "https://docs.example.com/HOSTILE"
    notes: "HOSTILE"
  hints: { get: { usage: "HOSTILE", "HOSTILE": "HOSTILE" } }
  examples:
    - { name: "HOSTILE", description: "HOSTILE", code: "return api.get({});\n// HOSTILE" }
  health: { path: /health }
  defaults: { errors: { message_path: $.message } }
  tools:
    get: { method: GET, path: /things, access: read, description: "HOSTILE", deprecated: "HOSTILE", params: { q: { type: string, in: query, description: "HOSTILE", default: "HOSTILE" } } }
    drop: { method: DELETE, path: "/things/{id}", access: dangerous, description: "HOSTILE", params: { id: { type: string, in: path }, note: { type: string, in: query } } }
    stream: { method: GET, path: /stream, access: read, description: "HOSTILE", response: { streaming: true } }
  composites:
    run: { access: write, description: "HOSTILE", code: "return await api.get({});" }
"#;

/// Styles that this program and its libraries write.
static STYLES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\x1b\[(0|1|2|4|3[1-6]|9[1-6]|38;5;(9|10|12|14))?m").unwrap());
/// How a progress bar moves the cursor.
static CURSOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\r\x1b\[2K|\x1b\[\d+[AB]|\r").unwrap());

/// What a command reads.
pub(crate) enum Input {
    Typed(String),
    File(File),
}

/// Runs a command on a terminal of its own; returns all that was written to it.
fn on_terminal(command: Command, input: Input) -> Vec<u8> {
    on_terminal_of(160, command, input)
}

/// The same on a terminal of so many columns.
pub(crate) fn on_terminal_of(columns: u16, command: Command, input: Input) -> Vec<u8> {
    let (mut child, mut master) = begin_on_terminal(columns, command, input);
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    // Reading fails when nobody has the other end any more.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        all.extend_from_slice(&buffer[..length]);
    }
    child.wait().unwrap();
    all
}

/// Starts a command on a terminal of its own; what is written to it can be read.
pub(crate) fn begin_on_terminal(columns: u16, mut command: Command, input: Input) -> (Child, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let slave: OwnedFd = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    // Bytes arrive as they were written, and nothing of the input comes back.
    let mut attributes = tcgetattr(&slave).unwrap();
    attributes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &attributes).unwrap();
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size).unwrap();
    let typed = match input {
        Input::Typed(text) => {
            command.stdin(slave.try_clone().unwrap());
            text
        }
        Input::File(file) => {
            command.stdin(file);
            String::new()
        }
    };
    command.stdout(slave.try_clone().unwrap()).stderr(slave);
    let child = command.spawn().unwrap();
    // It holds the other ends of the terminal.
    drop(command);
    let mut master = File::from(master);
    master.write_all(typed.as_bytes()).unwrap();
    (child, master)
}

/// A directory with a hostile descriptor, and the program in it.
struct Hostile {
    home: tempfile::TempDir,
    text: String,
    url: String,
}

impl Hostile {
    fn new(text: &str, url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        // In the escapes of YAML.
        let quoted: String = text.chars().map(|it| format!("\\U{:08x}", u32::from(it))).collect();
        let quoted = format!("\"{quoted}\"");
        let written = DESCRIPTOR.replace("HOSTILE", quoted.trim_matches('"'));
        std::fs::write(home.path().join("fake.dadl"), written).unwrap();
        let tasks = TOOLS.replace("\"Backs up.\"", &quoted);
        std::fs::write(home.path().join("tasks.dadl"), tasks).unwrap();
        let broken = format!("spec: {quoted}\nbackend:\n  {quoted}: {quoted}\n  name: {quoted}\n");
        std::fs::write(home.path().join("broken.dadl"), broken).unwrap();
        let document = json!({
            "openapi": "3.0.0",
            "info": { "title": text, "version": text, "description": text },
            "servers": [{ "url": "https://api.example.com" }],
            "paths": {
                "/things": { "get": {
                    "operationId": text, "summary": text, "description": text,
                    "parameters": [
                        { "name": "q", "in": "query", "description": text, "schema": { "type": text } },
                        { "name": text, "in": text },
                    ],
                    "responses": { "200": { "description": text } },
                }},
                format!("/{text}"): { "post": { "summary": text } },
            },
        });
        std::fs::write(home.path().join("api.json"), document.to_string()).unwrap();
        Self { home, text: text.to_owned(), url: url.to_owned() }
    }

    fn command(&self, arguments: &[&str], color: bool) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command
            .args(arguments)
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", self.home.path())
            .env("TERM", "xterm-256color")
            .env("DADL_MCP_STORE", "file")
            .env("CREDENTIAL_FAKE_TOKEN", "t0ken-of-the-test");
        if !color {
            command.env("NO_COLOR", "1");
        }
        command
    }

    /// Runs on a terminal, with and without color, and looks at every byte; returns the text.
    async fn check(&self, arguments: &[&str], input: &str) -> String {
        let mut shown = String::new();
        for color in [true, false] {
            let (command, typed) = (self.command(arguments, color), input.to_owned());
            let run =
                tokio::task::spawn_blocking(move || on_terminal(command, Input::Typed(typed)));
            let bytes = run.await.unwrap();
            let text = String::from_utf8(bytes);
            let text = text.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
            let plain = CURSOR.replace_all(&text, "").into_owned();
            let plain = if color { STYLES.replace_all(&plain, "").into_owned() } else { plain };
            let bad = plain.chars().find(|character| is_bad(*character));
            assert_eq!(bad, None, "{arguments:?} of {:?}: {plain:?}", self.text);
            shown = plain;
        }
        shown
    }

    /// Runs with pipes.
    async fn pipe(&self, arguments: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let mut command = self.command(arguments, false);
        command.stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        (output.stdout, output.stderr)
    }
}

/// What no terminal gets of others: a second opinion, apart from the program's own.
fn is_bad(character: char) -> bool {
    let is_control = character.is_control() && character != '\n' && character != '\t';
    is_control
        || matches!(
            u32::from(character),
            0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
                | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xe000..=0xf8ff
                | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff9..=0xfffb | 0xfffe
                | 0xffff | 0xe0000..=0xe0fff | 0xf0000..
        )
}

fn flags(arguments: &[&'static str], url: &str) -> Vec<String> {
    let rest = ["--dadl", "./fake.dadl", "--url", url, "--access", "all"];
    arguments.iter().chain(&rest).map(|it| (*it).to_owned()).collect()
}

fn hostile_texts() -> impl Iterator<Item = String> {
    HOSTILE.iter().map(|text| format!("{SEEN}{text}{SEEN}"))
}

fn json_answer(text: &str) -> Answer {
    Answer::json(200, &json!({ "message": text, text: [text, 1] }).to_string())
}

#[tokio::test]
async fn what_a_descriptor_says_steers_no_terminal() {
    let upstream = Upstream::start(vec![json_answer("x")]).await;
    for text in hostile_texts() {
        let hostile = Hostile::new(&text, &upstream.url());
        for arguments in [
            &["list"][..],
            &["list", "--all"],
            &["list", "--json"],
            &["show", "get"],
            &["show", "get", "--json"],
            &["show", "get", "--examples"],
            &["show", "get", "--schema"],
            &["show", "drop"],
            &["show", "run"],
            &["doctor"],
            &["doctor", "--json"],
            &["call", "get", "--dry-run"],
            &["call", "run", "--dry-run"],
            &["-vv", "list"],
        ] {
            let arguments = flags(arguments, &hostile.url);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            hostile.check(&arguments, "").await;
        }
        for arguments in [
            &["check", "fake.dadl", "broken.dadl"][..],
            &["check", "--format", "json", "fake.dadl"],
            &["check", "--format", "sarif", "fake.dadl"],
            &["fmt", "--check", "fake.dadl", "broken.dadl"],
            &["import", "api.json"],
            &["import", "api.json", "--name", "x", "--include", SEEN],
            &["drift", "api.json", "./fake.dadl"],
            &["drift", "api.json", "./fake.dadl", "--json"],
            &["list", "--dadl", "./broken.dadl"],
        ] {
            let shown = hostile.check(arguments, "").await;
            assert!(!shown.is_empty(), "{arguments:?}");
        }
        let shown = hostile.check(&["check", "fake.dadl"], "").await;
        assert!(shown.contains("D704"), "{shown}");
    }
}

#[tokio::test]
async fn what_a_server_says_steers_no_terminal() {
    for text in hostile_texts() {
        let object = json_answer(&text);
        let row = json!({ "id": text, text.clone(): text, "name": [text] });
        let rows = Answer::json(200, &json!([row, row]).to_string());
        let plain = Answer::full(200, &[("Content-Type", "text/plain")], text.as_bytes());
        let refusal = Answer::json(400, &json!({ "message": text, "more": text }).to_string());
        let page = Answer::full(500, &[("Content-Type", "text/html")], text.as_bytes());
        let broken = Answer::full(200, &[("Content-Type", "application/json")], text.as_bytes());
        let stream = format!("data: {}\n\nevent: x\ndata: {text}\n\n", json!({ "a": text }));
        let stream = Answer::full(200, &[("Content-Type", "text/event-stream")], stream.as_bytes());
        let calls: &[(&Answer, &[&str])] = &[
            (&object, &["call", "get"]),
            (&object, &["call", "get", "--json"]),
            (&rows, &["call", "get"]),
            (&object, &["call", "run"]),
            (&plain, &["call", "get"]),
            (&plain, &["call", "get", "--json"]),
            (&refusal, &["call", "get"]),
            (&refusal, &["call", "run"]),
            (&page, &["call", "get"]),
            (&broken, &["call", "get"]),
            (&stream, &["call", "stream"]),
            (&refusal, &["-vv", "call", "get"]),
            (&refusal, &["-vv", "--log-format", "json", "call", "get"]),
            (&page, &["health"]),
            (&page, &["doctor"]),
            (&refusal, &["watch", "fake"]),
        ];
        for (answer, arguments) in calls {
            let upstream = Upstream::start(vec![(*answer).clone()]).await;
            let hostile = Hostile::new(&text, &upstream.url());
            let arguments = flags(arguments, &hostile.url);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let shown = hostile.check(&arguments, "").await;
            if arguments[0] == "call" && !arguments.contains(&"run") {
                assert!(shown.contains(SEEN), "{arguments:?}: {shown}");
            }
        }
        // The bar of a task, and its end.
        let failed = json!({ "status": "FAILURE", "result": { "detail": text } });
        let running = state(200, json!({ "status": "STARTED", "progress": 40 }));
        let upstream = Upstream::start(vec![pending(), running, state(400, failed)]).await;
        let hostile = Hostile::new(&text, &upstream.url());
        let flags =
            ["--dadl", "./tasks.dadl", "--url", &hostile.url, "--access", "all"].map(str::to_owned);
        let arguments: Vec<&str> = ["call", "backup", "vm=web"]
            .into_iter()
            .chain(flags.iter().map(String::as_str))
            .collect();
        let shown = hostile.check(&arguments, "").await;
        assert!(shown.contains(SEEN), "{shown}");
    }
}

#[tokio::test]
async fn what_is_typed_or_asked_steers_no_terminal() {
    let upstream = Upstream::start(vec![json_answer("x")]).await;
    for text in hostile_texts() {
        let text = text.replace('\0', "");
        let hostile = Hostile::new(&text, &upstream.url());
        let option = format!("--{text}");
        for arguments in [
            &[text.as_str()][..],
            &["list", &option],
            &["--color", &text, "list"],
            &["check", &text],
            &["call", &text, "--dadl", "./fake.dadl", "--url", &hostile.url],
            &["call", "get", &text, "--dadl", "./fake.dadl", "--url", &hostile.url],
            &["list", "--dadl", &text],
            &["list", "--config", &text],
            &["completions", &text],
            &["man", &text],
            &["task", &text],
        ] {
            let shown = hostile.check(arguments, "").await;
            assert!(shown.contains(SEEN), "{arguments:?}: {shown}");
        }
        // A question about a dangerous call, and the answer no.
        let id = format!("id={text}");
        let note = format!("note={text}");
        let drop = ["call", "drop", "id=7", &note, "--dadl", "./fake.dadl", "--access", "all"];
        let drop: Vec<&str> = drop.into_iter().chain(["--url", &hostile.url]).collect();
        let shown = hostile.check(&drop, "n\n").await;
        assert!(shown.contains("Allow the dangerous call drop on backend fake?\n"), "{shown}");
        assert!(shown.contains("Argument note = \"OWNED"), "{shown}");
        assert!(shown.contains("you said no"), "{shown}");
        let drop: Vec<&str> =
            drop.iter().map(|it| if *it == "id=7" { &*id } else { *it }).collect();
        hostile.check(&drop, "n\n").await;
        // What a descriptor says about its credential.
        let mut setup = hostile.command(&["setup", "--no-check"], false);
        setup.args(["--dadl", "./fake.dadl", "--url", &hostile.url]);
        setup.env_remove("CREDENTIAL_FAKE_TOKEN");
        std::fs::write(hostile.home.path().join("token"), "t0ken\n").unwrap();
        let token = File::open(hostile.home.path().join("token")).unwrap();
        let run = tokio::task::spawn_blocking(move || on_terminal(setup, Input::File(token)));
        let shown = String::from_utf8(run.await.unwrap()).unwrap();
        assert!(shown.contains(SEEN) && !shown.replace('\r', "").contains(is_bad), "{shown:?}");
        for line in shown.lines() {
            assert!(!line.starts_with(SEEN), "{shown}");
        }
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
}

#[tokio::test]
async fn a_pipe_gets_bytes_unchanged() {
    for text in hostile_texts() {
        let plain = Answer::full(200, &[("Content-Type", "text/plain")], text.as_bytes());
        let value = json!({ "message": text, text.clone(): [text, 1] }).to_string();
        let refusal = Answer::json(400, &value);
        for (answer, expected) in [(plain, &text), (Answer::json(200, &value), &value)] {
            let upstream = Upstream::start(vec![answer]).await;
            let hostile = Hostile::new(&text, &upstream.url());
            let arguments = flags(&["call", "get"], &hostile.url);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (out, _) = hostile.pipe(&arguments).await;
            assert_eq!(out, format!("{expected}\n").into_bytes());
            let listed = flags(&["show", "get"], &hostile.url);
            let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
            let (out, _) = hostile.pipe(&listed).await;
            let shown: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(shown["examples"][0]["name"], text.as_str());
        }
        let upstream = Upstream::start(vec![refusal]).await;
        let hostile = Hostile::new(&text, &upstream.url());
        let arguments = flags(&["call", "get"], &hostile.url);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (_, err) = hostile.pipe(&arguments).await;
        let err = String::from_utf8(err).unwrap();
        assert!(err.contains(&text), "{err:?}");
    }
}

/// JSON on a terminal has escapes of its own: what is copied from it means the same.
#[tokio::test]
async fn json_on_a_terminal_means_the_same() {
    for text in hostile_texts() {
        let value = json!({ "message": text, text.clone(): [text, 1] });
        let upstream = Upstream::start(vec![Answer::json(200, &value.to_string())]).await;
        let hostile = Hostile::new(&text, &upstream.url());
        let arguments = flags(&["call", "get", "--json"], &hostile.url);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let shown = hostile.check(&arguments, "").await;
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value, "{shown}");
    }
}
