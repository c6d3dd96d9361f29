//! `dadl-mcp setup` as the real binary runs it: what it asks, what it tries, what it stores.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};
use url::Url;

use crate::{
    api::api,
    upstream::{Answer, Upstream},
};

/// A home directory with a descriptor of one backend.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
    has_settings: bool,
}

impl Home {
    /// Writes a descriptor with `auth`, whose HOST is `origin`, for the API at `url`.
    pub(crate) fn new(auth: &str, origin: &str, url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Nobody's real keyring is asked.
        let variables = vec![("DADL_MCP_STORE".to_owned(), "file".to_owned())];
        let home = Self { directory, variables, has_settings: false };
        home.describe(auth, origin, url);
        home
    }

    /// Writes another descriptor.
    pub(crate) fn describe(&self, auth: &str, origin: &str, url: &str) {
        let text = api!(
            top: "requires: { features: [refresh_token_rotation] }",
            auth: "AUTH",
            backend: r#"
  base_url: URL
  setup:
    credential_steps: ["Open the console.", "Copy the token."]
    required_scopes: [read]
    docs_url: https://docs.example.com/tokens
  tools:
    get: { method: GET, path: /things, access: read, description: Things. }
"#
        );
        let text = text.replace("AUTH", auth).replace("HOST", origin).replace("URL", url);
        std::fs::write(self.directory.path().join("fake.dadl"), text).unwrap();
    }

    /// Lets the descriptor declare a health check.
    pub(crate) fn declaring_health(self) -> Self {
        let path = self.directory.path().join("fake.dadl");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("features: [", "features: [health, ");
        let text = text.replace("  setup:\n", "  health: { path: /things }\n  setup:\n");
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Lets the descriptor lead to this address as well, by a settings file instead of flags.
    pub(crate) fn reaching(mut self, address: std::net::SocketAddr) -> Self {
        let text = format!(
            "backends: [ {{ name: fake, transport: rest, dadl: ./fake.dadl, url: '{}', \
             allow_private_hosts: ['{address}'] }} ]\n",
            self.url()
        );
        std::fs::write(self.directory.path().join("settings.yaml"), text).unwrap();
        self.has_settings = true;
        self
    }

    /// Lets these settings count instead of flags.
    pub(crate) fn with_settings(mut self, text: &str) -> Self {
        std::fs::write(self.directory.path().join("settings.yaml"), text).unwrap();
        self.has_settings = true;
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self
    }

    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        let mut home = self.without(name);
        home.variables.push((name.to_owned(), value.to_owned()));
        home
    }

    /// The file of the credential store.
    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join(".local/state/dadl-mcp/credentials.json")
    }

    pub(crate) fn stored(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.store()).ok()?;
        let store: serde_json::Value = serde_json::from_str(&text).unwrap();
        store["backends"]["fake"][name]["value"].as_str().map(str::to_owned)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let url = self.url();
        let backend: &[&str] = if self.has_settings {
            &["--config", "settings.yaml"]
        } else {
            &["--dadl", "fake.dadl", "--url", &url]
        };
        self.command_alone(&[arguments, backend].concat())
    }

    /// A command that does not say which backend.
    fn command_alone(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("HOME", self.directory.path())
            .envs(self.variables.iter().cloned())
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The base URL of the descriptor: an operator who names it allows this machine.
    fn url(&self) -> String {
        let text = std::fs::read_to_string(self.directory.path().join("fake.dadl")).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("base_url: "));
        line.unwrap().to_owned()
    }

    /// Runs to the end with `input` on standard input.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> Run {
        Self::end(self.command(arguments), input).await
    }

    pub(crate) async fn run_alone(&self, arguments: &[&str]) -> Run {
        self.run_alone_with(arguments, "").await
    }

    pub(crate) async fn run_alone_with(&self, arguments: &[&str], input: &str) -> Run {
        Self::end(self.command_alone(arguments), input).await
    }

    async fn end(mut command: Command, input: &str) -> Run {
        let mut child = command.spawn().unwrap();
        // A process that needs no input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        child.wait_with_output().await.unwrap().into()
    }
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A run that waits for a browser.
pub(crate) struct Consenting {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    /// What it said before the address.
    said: String,
    /// The address that a person opens.
    pub(crate) url: Url,
}

impl Consenting {
    /// Starts `setup` with `input` and reads the address that it prints.
    pub(crate) async fn start(home: &Home, arguments: &[&str], input: &str) -> Self {
        let mut child = home.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let url = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("no address: {seen}"));
            if line.starts_with("  http") {
                break Url::parse(line.trim()).unwrap();
            }
            seen += &(line + "\n");
        };
        // Standard input stays open for as long as the person is at the browser.
        child.stdin = Some(stdin);
        Self { child, lines, said: seen, url }
    }

    /// Gives a line to standard input.
    pub(crate) async fn type_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// A parameter of the authorization request.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let found = self.url.query_pairs().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("{} has no {name}", self.url)).1.into_owned()
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> Run {
        let mut err = std::mem::take(&mut self.said);
        while let Some(line) = self.lines.next_line().await.unwrap() {
            err += &(line + "\n");
        }
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        let code = self.child.wait().await.unwrap().code().unwrap();
        Run { code, out, err }
    }
}

/// Sends a browser to `url`; returns the status and the page.
pub(crate) async fn visit(url: &str) -> (u16, String) {
    let url = Url::parse(url).unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", address.0);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

const BEARER: &str = "type: bearer, credential: fake_token";
const TOKEN: &str = "s3cr3t-token-value";

async fn bearer(answers: Vec<Answer>) -> (Home, Upstream) {
    let upstream = Upstream::start(answers).await;
    (Home::new(BEARER, "", &upstream.url()), upstream)
}

#[tokio::test]
async fn a_credential_that_works_is_stored_and_used_from_then_on() {
    let (home, upstream) = bearer(vec![Answer::json(200, "[]")]).await;
    let run = home.run(&["setup", "fake"], &format!("{TOKEN}\n")).await;
    assert_eq!(run.code, 0, "{}", run.err);
    for text in ["1. Open the console.", "required scopes: read", "docs.example.com/tokens"] {
        assert!(run.err.contains(text), "{}", run.err);
    }
    assert!(run.err.contains("the credential is accepted"), "{}", run.err);
    assert!(run.out.starts_with("stored `fake_token` in /"), "{}", run.out);
    assert!(!run.err.contains(TOKEN) && !run.out.contains(TOKEN));
    assert_eq!(home.stored("fake_token").as_deref(), Some(TOKEN));
    let call = home.run(&["call", "get"], "").await;
    assert_eq!(call.code, 0, "{}", call.err);
    let requests = upstream.requests();
    assert!(requests.last().unwrap().contains(&format!("authorization: Bearer {TOKEN}\r\n")));
    // An empty line keeps it.
    let again = home.run(&["setup"], "\n").await;
    assert_eq!((again.code, again.out.as_str()), (0, "nothing had to be stored\n"));
}

#[tokio::test]
async fn a_credential_that_does_not_work_is_not_stored_unless_told_to() {
    let (home, _upstream) = bearer(vec![Answer::json(401, "{}")]).await;
    let run = home.run(&["setup"], &format!("{TOKEN}\n")).await;
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("the credentials do not work; nothing was stored"), "{}", run.err);
    assert!(!home.store().exists());
    let run = home.run(&["setup", "--no-check"], &format!("{TOKEN}\n")).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(home.stored("fake_token").as_deref(), Some(TOKEN));
}

#[tokio::test]
async fn what_the_environment_has_is_not_asked_for() {
    let (home, _upstream) = bearer(vec![Answer::json(200, "[]")]).await;
    let home = home.with("CREDENTIAL_FAKE_TOKEN", TOKEN);
    let run = home.run(&["setup"], "").await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("`fake_token` comes from CREDENTIAL_FAKE_TOKEN"), "{}", run.err);
    assert_eq!(home.stored("fake_token"), None);
    let run = home.run(&["setup", "--from-env"], "").await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(home.stored("fake_token").as_deref(), Some(TOKEN));
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (home, _upstream) = bearer(vec![Answer::json(200, "[]")]).await;
    let run = home.run(&["setup"], "").await;
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("no value for `fake_token`"), "{}", run.err);
    let run = home.run(&["setup", "--from-env"], "").await;
    assert!(run.err.contains("set CREDENTIAL_FAKE_TOKEN or"), "{}", run.err);
    let run = home.run(&["setup", "fakee"], "").await;
    assert!(run.err.contains("did you mean `fake`?"), "{}", run.err);
    assert!(!home.store().exists());
}

const CONSENT: &str = "type: oauth2, flow: authorization_code, authorize_url: 'HOST/authorize?a=1', \
                       token_url: HOST/token, client_id_credential: fake_id, \
                       refresh_token_credential: fake_refresh, scopes: [read, offline_access], \
                       authorization_params: { prompt: consent }, rotates_refresh_token: true";

fn tokens(number: u32) -> Answer {
    let text = format!(
        r#"{{"access_token":"access-token-{number}","refresh_token":"refresh-token-{number}"}}"#
    );
    Answer::json(200, &text)
}

#[tokio::test]
async fn a_person_agrees_in_a_browser() {
    let answers = vec![tokens(1), tokens(2), Answer::json(200, "[]"), tokens(3)];
    let upstream = Upstream::start(answers).await;
    let home = Home::new(CONSENT, &format!("http://{}", upstream.address), &upstream.url());
    let run = Consenting::start(&home, &["setup"], "client-7\n").await;
    assert_eq!(run.url.path(), "/authorize");
    let expected = [
        ("a", "1"),
        ("response_type", "code"),
        ("client_id", "client-7"),
        ("scope", "read offline_access"),
        ("prompt", "consent"),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in expected {
        assert_eq!(run.parameter(name), value);
    }
    let (redirect, state) = (run.parameter("redirect_uri"), run.parameter("state"));
    assert!(redirect.starts_with("http://127.0.0.1:"), "{redirect}");
    // Somebody else's login, another page and a silent connection do not end this one.
    let silent = tokio::net::TcpStream::connect(redirect[7..].split('/').next().unwrap()).await;
    assert_eq!(visit(&format!("{redirect}?code=stolen&state=other")).await.0, 404);
    assert_eq!(visit(&redirect.replace("/callback", "/favicon.ico")).await.0, 404);
    let (status, page) = visit(&format!("{redirect}?code=the-code&state={state}")).await;
    drop(silent);
    assert_eq!(status, 200);
    assert!(page.contains("You can close this page") && !page.contains("the-code"), "{page}");
    let challenge = run.parameter("code_challenge");
    let run = run.end().await;
    assert_eq!(run.code, 0, "{}", run.err);
    let requests = upstream.requests();
    let form = requests[0].split_once("\r\n\r\n").unwrap().1;
    let sent = |name: &str| {
        let found = url::form_urlencoded::parse(form.as_bytes()).find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("{form} has no {name}")).1.into_owned()
    };
    assert_eq!(sent("grant_type"), "authorization_code");
    assert_eq!(sent("code"), "the-code");
    assert_eq!(sent("client_id"), "client-7");
    assert_eq!(sent("redirect_uri"), redirect);
    let digest = Sha256::digest(sent("code_verifier").as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(digest), challenge);
    // The check has used the first refresh token up: what is stored is what came after it.
    assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-2"));
    assert_eq!(home.stored("fake_id").as_deref(), Some("client-7"));
}

#[tokio::test]
async fn a_person_who_disagrees_changes_nothing() {
    let upstream = Upstream::start(vec![tokens(1)]).await;
    let home = Home::new(CONSENT, &format!("http://{}", upstream.address), &upstream.url());
    let run = Consenting::start(&home, &["setup"], "client-7\n").await;
    let (redirect, state) = (run.parameter("redirect_uri"), run.parameter("state"));
    let (_, page) = visit(&format!("{redirect}?error=access_denied&state={state}")).await;
    assert!(page.contains("was not completed"), "{page}");
    let run = run.end().await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("the authorization server refuses (access_denied)"), "{}", run.err);
    assert!(upstream.requests().is_empty() && !home.store().exists());
}

#[tokio::test]
async fn an_address_can_be_pasted() {
    let upstream = Upstream::start(vec![tokens(1)]).await;
    let auth = format!("{CONSENT}, redirect_uri: https://app.example.com/done");
    let home = Home::new(&auth, &format!("http://{}", upstream.address), &upstream.url());
    let pasted = "client-7\nhttps://app.example.com/done?code=x&state=not-it\n";
    let run = home.run(&["setup", "--no-check"], pasted).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("not the address of this login"), "{}", run.err);
    let mut run = Consenting::start(&home, &["setup", "--no-check"], "client-7\n").await;
    assert_eq!(run.parameter("redirect_uri"), "https://app.example.com/done");
    let line = format!("https://app.example.com/done?code=c&state={}\n", run.parameter("state"));
    run.child.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
    let run = run.end().await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-1"));
}

#[tokio::test]
async fn a_replaced_refresh_token_is_stored_although_the_check_fails() {
    let keys = "type: oauth2, flow: refresh_token, token_url: HOST/token, client_id_credential: \
                fake_id, refresh_token_credential: fake_refresh, rotates_refresh_token: true";
    let upstream = Upstream::start(vec![tokens(1), Answer::json(500, "{}")]).await;
    let home = Home::new(keys, &format!("http://{}", upstream.address), &upstream.url());
    let run = home.run(&["setup"], "client-7\nrefresh-token-0\n").await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("the credentials were stored"), "{}", run.err);
    assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-1"));
}

pub(crate) const ROTATING: &str = "type: oauth2, flow: refresh_token, token_url: HOST/token, client_id_credential: fake_id, \
     refresh_token_credential: fake_refresh, rotates_refresh_token: true";

/// The signals that end a command, and how it ends.
#[cfg(unix)]
fn ends() -> Vec<(rustix::process::Signal, i32)> {
    use rustix::process::Signal;
    let mut all = vec![(Signal::TERM, 143), (Signal::INT, 130)];
    all.extend((!crate::ending::ignores_hangup()).then_some((Signal::HUP, 129)));
    all
}

#[cfg(unix)]
fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_login_gives_once_is_stored_although_setup_is_interrupted() {
    for (name, code) in ends() {
        let slow = Upstream::by_hand().await;
        let origin = slow.origin();
        let home = Home::new(CONSENT, &origin, &origin);
        let run = Consenting::start(&home, &["setup"], "client-7\n").await;
        let (redirect, state) = (run.parameter("redirect_uri"), run.parameter("state"));
        assert_eq!(visit(&format!("{redirect}?code=the-code&state={state}")).await.0, 200);
        // The server has the code, and the person is impatient.
        let mut asked = slow.asked().await;
        signal(&run.child, name);
        asked.answer(&tokens(1)).await;
        let run = run.end().await;
        assert_eq!(run.code, code, "{}", run.err);
        assert!(run.err.contains("stored without a check"), "{}", run.err);
        assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-1"));
        assert_eq!(home.stored("fake_id").as_deref(), Some("client-7"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_the_check_replaces_is_stored_although_setup_is_interrupted() {
    for (name, code) in ends() {
        for gives in [true, false] {
            let slow = Upstream::by_hand().await;
            let origin = slow.origin();
            let home = Home::new(ROTATING, &origin, &origin);
            let mut child = home.command(&["setup", "-v"]).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"client-7\nrefresh-token-0\n").await.unwrap();
            let mut asked = slow.asked().await;
            signal(&child, name);
            // It has heard it.
            let mut log = BufReader::new(child.stderr.take().unwrap());
            let mut err = String::new();
            while !err.contains("waiting for requests that are under way") {
                assert_ne!(log.read_line(&mut err).await.unwrap(), 0, "{err}");
            }
            if gives {
                asked.answer(&tokens(1)).await;
            }
            drop(asked);
            log.read_to_string(&mut err).await.unwrap();
            assert_eq!(child.wait().await.unwrap().code(), Some(code), "{err}");
            let stored = home.stored("fake_refresh");
            assert_eq!(stored.as_deref(), gives.then_some("refresh-token-1"), "{err}");
            assert_eq!(err.contains("interrupted; nothing was stored"), !gives, "{err}");
            assert_eq!(home.store().exists(), gives);
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_ends_setup_at_once() {
    let slow = Upstream::by_hand().await;
    let origin = slow.origin();
    let home = Home::new(CONSENT, &origin, &origin);
    let mut run = Consenting::start(&home, &["setup"], "client-7\n").await;
    let (redirect, state) = (run.parameter("redirect_uri"), run.parameter("state"));
    assert_eq!(visit(&format!("{redirect}?code=the-code&state={state}")).await.0, 200);
    let _asked = slow.asked().await;
    while run.child.try_wait().unwrap().is_none() {
        signal(&run.child, rustix::process::Signal::INT);
        tokio::task::yield_now().await;
    }
    let run = run.end().await;
    assert_eq!(run.code, 130, "{}", run.err);
    assert!(run.err.contains("interrupted; nothing was stored"), "{}", run.err);
    assert!(!home.store().exists());
}

/// A token endpoint that gives the tokens 1 to 5, and the API for them.
pub(crate) async fn rotating() -> (Upstream, Upstream) {
    let upstream = Upstream::start((1..=5).map(tokens).collect()).await;
    (upstream, Upstream::start(vec![Answer::json(200, "[]")]).await)
}

/// Calls from five processes at once, of which each uses a refresh token of its own, in order.
pub(crate) async fn take_turns(home: &Home, upstream: &Upstream) {
    let calls = (0..5).map(|_| home.run(&["call", "get"], ""));
    for run in futures_util::future::join_all(calls).await {
        assert_eq!(run.code, 0, "{}", run.err);
    }
    let used: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| {
            let form = request.split_once("\r\n\r\n").unwrap().1.to_owned();
            let mut pairs = url::form_urlencoded::parse(form.as_bytes());
            pairs.find(|(key, _)| key == "refresh_token").unwrap().1.into_owned()
        })
        .collect();
    let expected: Vec<String> = (0..5).map(|number| format!("refresh-token-{number}")).collect();
    assert_eq!(used, expected);
}

#[tokio::test]
async fn processes_take_turns_with_a_refresh_token_that_rotates() {
    let (upstream, api) = rotating().await;
    let home = Home::new(ROTATING, &format!("http://{}", upstream.address), &api.url())
        .reaching(upstream.address)
        .with("CREDENTIAL_FAKE_ID", "client-7")
        .with("CREDENTIAL_FAKE_REFRESH", "refresh-token-0");
    take_turns(&home, &upstream).await;
    assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-5"));
    // A new one in the environment counts again.
    let home = home.with("CREDENTIAL_FAKE_REFRESH", "refresh-token-9");
    assert_eq!(home.run(&["call", "get"], "").await.code, 0);
    assert!(upstream.requests().last().unwrap().contains("refresh_token=refresh-token-9"));
}

#[tokio::test]
async fn without_a_place_to_keep_it_a_rotating_token_is_refused() {
    let keys = "type: oauth2, flow: refresh_token, token_url: HOST/token, client_id_credential: \
                fake_id, refresh_token_credential: fake_refresh, rotates_refresh_token: true";
    let home = Home::new(keys, "http://127.0.0.1:1", "http://127.0.0.1:1");
    std::fs::write(home.directory.path().join("file"), "").unwrap();
    let path = home.directory.path().join("file").display().to_string();
    let home = home.with("XDG_STATE_HOME", &path);
    let run = home.run(&["list"], "").await;
    assert_eq!(run.code, 3);
    let text = "each use of the refresh token `fake_refresh` gives a new one";
    assert!(run.err.contains(text) && run.err.contains("set XDG_STATE_HOME"), "{}", run.err);
}

#[tokio::test]
async fn doctor_tells_a_login_from_a_call() {
    let keys = "type: oauth2, token_url: HOST/token, client_id_credential: fake_id, \
                client_secret_credential: fake_secret";
    let token = Answer::json(200, r#"{"access_token":"access-token-1"}"#);
    let refused = Answer::json(401, r#"{"error":"invalid_client"}"#);
    let good = [("OK", "login"), ("OK", "call")].as_slice();
    let bad = [("FAIL", "login")].as_slice();
    for (answers, expected) in [(vec![token, Answer::json(200, "[]")], good), (vec![refused], bad)]
    {
        let upstream = Upstream::start(answers).await;
        let home = Home::new(keys, &format!("http://{}", upstream.address), &upstream.url())
            .with("CREDENTIAL_FAKE_ID", "client-7")
            .with("CREDENTIAL_FAKE_SECRET", TOKEN);
        let run = home.run(&["doctor", "--json"], "").await;
        let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let lines = report["checks"].as_array().unwrap();
        let found: Vec<(&str, &str)> = lines
            .iter()
            .map(|line| (line["health"].as_str().unwrap(), line["subject"].as_str().unwrap()))
            .filter(|(_, subject)| matches!(*subject, "login" | "call"))
            .collect();
        assert_eq!(found, expected, "{}", run.out);
        let hint = "`dadl-mcp setup fake --dadl ";
        assert_eq!(run.out.contains(hint), expected == bad, "{}", run.out);
        assert!(!run.out.contains(TOKEN) && !run.out.contains("client-7"));
    }
}

#[tokio::test]
async fn a_server_that_ends_keeps_the_refresh_token_that_is_on_its_way() {
    let slow = Upstream::by_hand().await;
    let origin = slow.origin();
    let home = Home::new(ROTATING, &origin, &origin)
        .with("CREDENTIAL_FAKE_ID", "client-7")
        .with("CREDENTIAL_FAKE_REFRESH", "refresh-token-0");
    let mut child = home.command(&["serve", "-v"]).spawn().unwrap();
    let mut host = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    host.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    answers.next_line().await.unwrap().unwrap();
    let call = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get","arguments":{}}}"#;
    host.write_all(format!("{call}\n").as_bytes()).await.unwrap();
    // The token endpoint has the request, and the host goes away.
    let mut asked = slow.asked().await;
    drop(host);
    loop {
        let line = log.next_line().await.unwrap().unwrap();
        if line.contains("waiting for requests that are under way") {
            break;
        }
    }
    asked.answer(&tokens(1)).await;
    assert!(child.wait().await.unwrap().success());
    assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-1"));
}
