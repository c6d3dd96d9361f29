//! What a hostile server may send, up to the message that a host gets: no secret is in it, it is
//! JSON, and it is no longer than a host shows.
#![no_main]

#[path = "../../tests/it/answers.rs"]
mod answers;
#[path = "../../crates/dadl-secrets/src/spell.rs"]
mod spell;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use dadl_mcp::{access::{AccessLevels, AccessPolicy}, call::BaseUrl, catalog::{BackendTools, Catalog}, config::{BackendSettings, ConfirmPolicy, credentials::{CredentialSource, SourceError}}, executor::Executor, files::FileStore, gate::Gate, http::{auth::Authenticator, backend::Backend}, mcp::{self, McpServer}};
use dadl_descriptor::{model::CredentialName, source::SourceText};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::Value;
use spell::{ByteChoices, says};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    runtime::Runtime,
};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "Gen3rated/tok+n-5";

/// Longer than what is shown of a result, in text and structured.
const MOST_BYTES: usize = 4 * 1024 * 1024;

const DESCRIPTOR: &str = r#"
spec: https://dadl.ai/spec/dadl-spec-v0.2
requires: { features: [redact] }
backend:
  name: fuzz
  type: rest
  description: Fuzz.
  auth: { type: bearer, credential: token, header_name: Cookie, prefix: "session=" }
  tools:
    get: { method: GET, path: /a, access: read, description: Gets., errors: { retry_on: [] } }
"#;

struct Fixed;

impl CredentialSource for Fixed {
    fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
        Ok(SECRET.into())
    }
}

/// What the server sends next.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let answer = ANSWER.lock().expect("no panic").clone();
            let _ = stream.write_all(&answer);
        }
    });
    address
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn server() -> McpServer {
    let loaded = dadl_descriptor::load(&SourceText::new("fuzz.dadl", DESCRIPTOR));
    let descriptor = Arc::new(loaded.descriptor.expect("it loads"));
    let url = format!("http://{}", *ADDRESS);
    let mut settings = BackendSettings::new("fuzz".to_owned(), "fuzz.dadl");
    settings.policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
    settings.timeouts.call = Duration::from_secs(2);
    let policy = settings.policy.clone();
    let catalog = Catalog::build(&[BackendTools {
        name: "fuzz",
        descriptor: Arc::clone(&descriptor),
        server: None,
        policy: &policy, task_wait: None,
    }]);
    let authenticator = Authenticator::new(descriptor.auth.clone(), Box::new(Fixed));
    let backend = Backend::new(settings, BaseUrl::parse(&url).expect("a URL"), authenticator);
    let files = FileStore::new(std::env::temp_dir().join("dadl-mcp-fuzz"));
    let executor = Executor::new(vec![backend], files);
    McpServer::new(
        Gate::new(Arc::new(catalog), vec![ConfirmPolicy::Never]),
        Arc::new(executor),
        String::new(),
    )
}

fuzz_target!(|bytes: &[u8]| {
    let answer = answers::answer(SECRET, &mut ByteChoices::new(bytes));
    *ANSWER.lock().expect("no panic") = answer;
    let line = RUNTIME.block_on(async {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let (read, write) = tokio::io::split(theirs);
        let shutdown = CancellationToken::new();
        let session = tokio::spawn(mcp::serve_streams(server(), read, write, shutdown.clone()));
        let (read, mut write) = tokio::io::split(ours);
        let mut read = BufReader::new(read);
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"f","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","arguments":{}}}
"#;
        write.write_all(hello.as_bytes()).await.expect("a session");
        let mut line = String::new();
        for _ in 0..2 {
            line.clear();
            read.read_line(&mut line).await.expect("an answer");
        }
        shutdown.cancel();
        drop((read, write));
        let _ = session.await;
        line
    });
    let message: Value = serde_json::from_str(&line).expect("JSON");
    assert!(message["result"].is_object(), "{message}");
    assert!(line.len() <= MOST_BYTES, "{}", line.len());
    assert!(!says(line.as_bytes(), SECRET.as_bytes(), 2), "{line}");
});
