//! The keyring of the system: GNOME Keyring on a session bus of its own.
//!
//! Needs `dbus-run-session`, `dbus-send` and `gnome-keyring-daemon`; `cargo test` ignores these tests.

#![expect(clippy::disallowed_methods, reason = "the programs of the session are on the path")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Output, Stdio},
};

use dadl_mcp::config::{
    env_vars::Environment,
    keyring::{Keyring as _, OsKeyring},
};

use crate::{
    setup::{Home, ROTATING, Run, rotating, take_turns},
    upstream::{Answer, Upstream},
};

/// A session with a keyring that is unlocked; it ends when its standard input does, so with this
/// process at the latest.
pub(crate) struct Session {
    child: Child,
    address: String,
    directory: tempfile::TempDir,
}

const SCRIPT: &str = r#"
set -e
printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null
echo "$DBUS_SESSION_BUS_ADDRESS"
exec cat >/dev/null
"#;

impl Session {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", SCRIPT])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory.path())
            .env("XDG_RUNTIME_DIR", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a dbus-run-session");
        let mut address = String::new();
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut address);
        let address = address.trim().to_owned();
        assert!(address.starts_with("unix:"), "there is no gnome-keyring-daemon");
        Self { child, address, directory }
    }

    /// Lets the programs of `home` be part of the session.
    pub(crate) fn open(&self, home: Home) -> Home {
        home.with("DBUS_SESSION_BUS_ADDRESS", &self.address).without("DADL_MCP_STORE")
    }

    /// Locks the keyring; there is no display at which somebody could unlock it.
    fn lock(&self) {
        let path = "array:objpath:/org/freedesktop/secrets/collection/login";
        let sent = self.send("/org/freedesktop/secrets", "Secret.Service.Lock", path);
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Writes an item.
    fn write(&self, account: &str, text: &str) {
        let environment =
            Environment::from_iter([("DBUS_SESSION_BUS_ADDRESS", self.address.as_str())]);
        OsKeyring::new(&environment).set(account, &text.into()).unwrap();
    }

    /// Returns how many items the keyring has for us.
    fn items(&self) -> usize {
        let wanted = "dict:string:string:service,dadl-mcp";
        let sent = self.send("/org/freedesktop/secrets", "Secret.Service.SearchItems", wanted);
        String::from_utf8(sent.stdout).unwrap().matches("object path").count()
    }

    fn send(&self, path: &str, method: &str, argument: &str) -> Output {
        let method = format!("org.freedesktop.{method}");
        Command::new("dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", path])
            .args([&method, argument])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", self.directory.path())
            .output()
            .unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

const BEARER: &str = "type: bearer, credential: fake_token";
const TOKEN: &str = "s3cr3t-token-value";
const KEYRING: &str = "the keyring (Secret Service)";

async fn bearer() -> (Home, Upstream) {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    (Home::new(BEARER, "", &upstream.url()), upstream)
}

/// Runs `call get`, which works and sends the token.
async fn calls(home: &Home, upstream: &Upstream) {
    let run = home.run(&["call", "get"], "").await;
    assert_eq!(run.code, 0, "{}", run.err);
    let requests = upstream.requests();
    let sent = format!("authorization: Bearer {TOKEN}\r\n");
    assert!(requests.last().unwrap().contains(&sent), "{requests:?}");
}

fn told(run: &Run, code: i32, text: &str) {
    assert_eq!(run.code, code, "{}", run.err);
    let (out, err) = (&run.out, &run.err);
    assert!(out.contains(text) || err.contains(text), "{out}{err}");
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN));
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn a_keyring_that_answers_holds_what_setup_stores() {
    let session = Session::start();
    let (home, upstream) = bearer().await;
    let home = session.open(home);
    let run = home.run(&["setup"], &format!("{TOKEN}\n")).await;
    told(&run, 0, &format!("stored `fake_token` in {KEYRING}"));
    told(&run, 0, "outside of your session");
    let file = std::fs::read_to_string(home.store()).unwrap();
    assert!(!file.contains(TOKEN), "{file}");
    assert_eq!(session.items(), 1);
    calls(&home, &upstream).await;
    let doctor = home.run(&["doctor"], "").await;
    told(&doctor, 0, &format!("`fake_token` from {KEYRING}"));
    // It stays there, and a variable wins over it.
    told(&home.run(&["setup"], "\n").await, 0, "nothing had to be stored");
    let home = home.with("CREDENTIAL_FAKE_TOKEN", "other");
    assert_eq!(home.run(&["call", "get"], "").await.code, 0);
    assert!(upstream.requests().last().unwrap().contains("authorization: Bearer other\r\n"));
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn what_the_keyring_holds_is_bound_listed_and_removed() {
    let session = Session::start();
    let (home, upstream) = bearer().await;
    let home = session.open(home);
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    let other = Upstream::start(vec![Answer::json(200, "[]")]).await;
    home.describe(BEARER, "", &other.url());
    let refused = format!("goes to http://{} only", upstream.address);
    told(&home.run(&["call", "get"], "").await, 3, &refused);
    assert!(other.requests().iter().all(|request| !request.contains(TOKEN)));
    let list = home.run_alone(&["setup", "--list"]).await;
    told(&list, 0, &format!(r#"{{"fake_token":["http://{}"]}}"#, upstream.address));
    told(&list, 0, r#""place":"keyring""#);
    told(&home.run(&["setup", "--yes"], "").await, 0, &format!("in {KEYRING}"));
    calls(&home, &other).await;
    let removed = format!("removed `fake_token` of backend \"fake\" from {KEYRING}");
    told(&home.run_alone(&["setup", "--forget", "fake"]).await, 0, &removed);
    assert_eq!(session.items(), 0);
    told(&home.run(&["call", "get"], "").await, 3, "is not set");
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn an_item_of_the_version_before_goes_on_and_is_bound_once() {
    let session = Session::start();
    let (home, upstream) = bearer().await;
    let home = session.open(home);
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    // What the version before would have left: the same, without origins.
    let file = std::fs::read_to_string(home.store()).unwrap();
    let mut note: serde_json::Value = serde_json::from_str(&file).unwrap();
    note["version"] = 2.into();
    let note_of = &note["keyring"]["fake"];
    let account = note_of["account"].as_str().unwrap().to_owned();
    let item = serde_json::json!({
        "revision": note_of["revision"], "entries": { "fake_token": { "value": TOKEN } },
    });
    session.write(&account, &item.to_string());
    std::fs::write(home.store(), note.to_string()).unwrap();
    told(&home.run(&["call", "get"], "").await, 3, "does not say yet where it may go");
    let settings =
        format!("backends: [{{name: fake, dadl: ./fake.dadl, url: '{}'}}]", upstream.url());
    std::fs::write(home.path().join("my.yaml"), settings).unwrap();
    told(&home.run_alone(&["call", "get", "--config", "my.yaml"]).await, 0, "");
    calls(&home, &upstream).await;
    assert_eq!(session.items(), 1);
    let file = std::fs::read_to_string(home.store()).unwrap();
    assert!(file.contains("\"version\": 3") && !file.contains(TOKEN), "{file}");
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn credentials_move_between_the_file_and_the_keyring() {
    let session = Session::start();
    let (home, upstream) = bearer().await;
    let home = session.open(home);
    let run = home.run(&["setup", "--store", "file"], &format!("{TOKEN}\n")).await;
    told(&run, 0, "credentials.json");
    assert_eq!((home.stored("fake_token").as_deref(), session.items()), (Some(TOKEN), 0));
    // Without being told to, they stay.
    told(&home.run(&["setup"], "\n").await, 0, "nothing had to be stored");
    assert_eq!(session.items(), 0);
    let home = home.with("DADL_MCP_STORE", "keyring");
    told(&home.run(&["setup"], "\n").await, 0, "moved the stored credentials to the keyring");
    assert_eq!((home.stored("fake_token"), session.items()), (None, 1));
    calls(&home, &upstream).await;
    let run = home.run(&["setup", "--store", "file"], "\n").await;
    told(&run, 0, "moved the stored credentials to /");
    assert_eq!((home.stored("fake_token").as_deref(), session.items()), (Some(TOKEN), 0));
    calls(&home, &upstream).await;
    let home = home.with("DADL_MCP_STORE", "elsewhere");
    told(&home.run(&["setup"], "\n").await, 2, "`elsewhere` is none of `auto`, `file`");
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn a_keyring_that_is_locked_or_gone_is_an_error_and_can_be_left() {
    let session = Session::start();
    let (home, upstream) = bearer().await;
    let home = session.open(home);
    let run = home.run(&["setup"], &format!("{TOKEN}\n")).await;
    told(&run, 0, &format!("stored `fake_token` in {KEYRING}"));
    let sent = upstream.requests().len();
    session.lock();
    let locked = "are in the keyring (Secret Service), which is locked, and was not unlocked; \
                  unlock it, or `dadl-mcp setup fake --store file`";
    told(&home.run(&["call", "get"], "").await, 3, locked);
    told(&home.run(&["doctor"], "").await, 1, locked);
    told(&home.run(&["setup"], "new\n").await, 3, "is locked");
    drop(session);
    let gone = "cannot be reached (no D-Bus session bus";
    told(&home.run(&["call", "get"], "").await, 3, gone);
    told(&home.run(&["setup"], "new\n").await, 3, "hint: `--store file`");
    // Nothing was sent without the credential.
    assert_eq!(upstream.requests().len(), sent);
    let run = home.run(&["setup", "--store", "file"], &format!("{TOKEN}\n")).await;
    told(&run, 0, "what was stored cannot be kept: the credentials");
    told(&run, 0, "still has them too: it cannot be reached");
    calls(&home, &upstream).await;
    // A new backend goes to the file where there is no keyring, and setup says so.
    let (other, upstream) = bearer().await;
    let run = other.without("DADL_MCP_STORE").with("XDG_RUNTIME_DIR", "/no/such/directory");
    let run = run.with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/bus");
    told(&run.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "credentials will be stored in /");
    assert_eq!(run.stored("fake_token").as_deref(), Some(TOKEN));
    calls(&run, &upstream).await;
}

#[tokio::test]
#[ignore = "needs a keyring"]
async fn processes_take_turns_with_a_refresh_token_in_the_keyring() {
    let session = Session::start();
    let (upstream, api) = rotating().await;
    let home = Home::new(ROTATING, &format!("http://{}", upstream.address), &api.url());
    let home = home.reaching(upstream.address);
    let home = session.open(home);
    let run = home.run(&["setup", "--no-check"], "client-7\nrefresh-token-0\n").await;
    told(&run, 0, &format!("stored `fake_id`, `fake_refresh` in {KEYRING}"));
    take_turns(&home, &upstream).await;
    assert_eq!(session.items(), 1);
    let file = std::fs::read_to_string(home.store()).unwrap();
    assert!(!file.contains("token-"), "{file}");
    // A keyring that is locked in the meantime costs no token: none is asked for.
    session.lock();
    let asked = upstream.requests().len();
    told(&home.run(&["call", "get"], "").await, 3, "which is locked");
    assert_eq!(upstream.requests().len(), asked);
    drop(session);
}
