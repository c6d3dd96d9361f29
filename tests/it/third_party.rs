//! Logins at a server by others: see `tests/third_party/auth_server`.
//!
//! `DADL_AUTH_SERVER_PYTHON` names a Python that has its requirements; `cargo test` ignores these
//! tests.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use dadl_mcp::executor::CallError;
use serde_json::{Value, json};
use url::Url;

use crate::{
    auth::{self, Vault, later},
    harness::Harness,
    setup::{Consenting, Home, visit},
};

/// The password of `ada`, the only user.
const PASSWORD: &str = "pass:w0rd & more";

/// A secret with everything that an encoding could get wrong.
const SECRET: &str = "s:e+c/r%25 t=\u{e9}&";

/// The server; it ends when this process does, as its standard input is a pipe from here.
struct Server {
    origin: String,
    _child: Child,
    _directory: tempfile::TempDir,
}

/// Returns the server that all tests share.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let python = std::env::var("DADL_AUTH_SERVER_PYTHON")
            .expect("DADL_AUTH_SERVER_PYTHON names a Python");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(python)
            .arg(root.join("tests/third_party/auth_server/server.py"))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("DADL_AUTH_SERVER_PYTHON can be run");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().expect("the server says its port");
        let origin = format!("http://127.0.0.1:{port}");
        Server { origin, _child: child, _directory: directory }
    })
}

impl Server {
    /// Asks the server for `what`, which is below `/control/`.
    async fn control(&self, what: &str, given: Value) -> Value {
        let client = browser();
        let url = format!("{}/control/{what}", self.origin);
        let answer = client.post(url).body(given.to_string()).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Registers a client.
    async fn client(&self, name: &str, secret: &str, grant: &str) {
        let redirect = "http://127.0.0.1/callback";
        let given =
            json!({ "client": name, "secret": secret, "grant": grant, "redirect": redirect });
        self.control("client", given).await;
    }

    /// Returns how often `client` asked for a token, by grant.
    async fn logins(&self, client: &str) -> BTreeMap<String, usize> {
        let answer = self.control("logins", json!({})).await;
        let mut counts = BTreeMap::new();
        for login in answer["logins"].as_array().unwrap() {
            if login["client"] == client {
                *counts.entry(login["grant"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        counts
    }

    fn bench(&self, keys: &str, vault: &Vault) -> Harness {
        let text = auth::DESCRIPTOR.replace("AUTH", &keys.replace("HOST", &self.origin));
        Harness::new(&text, &self.origin, vault.clone(), |_| {})
    }
}

/// An HTTP client that follows nothing, so that a test sees each step.
fn browser() -> reqwest::Client {
    // A second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap()
}

fn refusal(outcome: Result<impl std::fmt::Debug, CallError>) -> String {
    let text = outcome.unwrap_err().for_model();
    assert!(!text.contains(SECRET) && !text.contains(PASSWORD), "{text}");
    text
}

const CLIENT: &str = "type: oauth2, token_url: HOST/o/token/, client_id_credential: id, \
                      client_secret_credential: secret, scopes: [read, write]";
const ROTATING: &str = "type: oauth2, flow: refresh_token, token_url: HOST/o/token/, \
                        client_id_credential: id, client_secret_credential: secret, \
                        refresh_token_credential: refresh, rotates_refresh_token: true";

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn client_credentials_in_the_body_and_in_the_header() {
    let server = server();
    for (name, keys) in
        [("cc-post", CLIENT.to_owned()), ("cc-basic", format!("{CLIENT}, token_auth: basic"))]
    {
        server.client(name, SECRET, "client-credentials").await;
        let vault = Vault::new(&[("id", name), ("secret", SECRET)]);
        let bench = server.bench(&keys, &vault);
        let sent = bench.value("post", json!({ "name": "x" })).await;
        assert_eq!(sent["sent"], json!({ "name": "x" }));
        vault.set("secret", "not-the-secret");
        let text = refusal(server.bench(&keys, &vault).call("get", json!({})).await);
        let expected = "refuses the login (invalid_client); check the credentials `id`, `secret`";
        assert!(text.ends_with(expected), "{text}");
    }
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn a_token_that_has_expired_at_the_server_is_renewed_once_for_all() {
    let server = server();
    server.client("shared", SECRET, "client-credentials").await;
    let bench = server.bench(CLIENT, &Vault::new(&[("id", "shared"), ("secret", SECRET)]));
    let at_once = async || {
        let calls = (0..30).map(|_| bench.call("post", json!({ "name": "x" })));
        for outcome in futures_util::future::join_all(calls).await {
            outcome.unwrap();
        }
        server.logins("shared").await["client_credentials"]
    };
    assert_eq!(at_once().await, 1);
    assert_eq!(at_once().await, 1);
    let expired = server.control("expire", json!({ "client": "shared" })).await;
    assert_eq!(expired["tokens"], 1);
    assert_eq!(at_once().await, 2);
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn a_short_lifetime_is_renewed_in_time() {
    let server = server();
    server.client("short", SECRET, "client-credentials").await;
    let keys = format!("{CLIENT}, refresh_before_expiry: 10s");
    let bench = server.bench(&keys, &Vault::new(&[("id", "short"), ("secret", SECRET)]));
    for (passed, logins) in [(0, 1), (45, 1), (10, 2), (45, 2), (3600, 3)] {
        later(passed).await;
        bench.value("get", json!({})).await;
        assert_eq!(server.logins("short").await["client_credentials"], logins, "{passed}");
    }
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn refresh_tokens_rotate_and_can_be_revoked() {
    let server = server();
    server.client("rotating", SECRET, "authorization-code").await;
    let first = server.control("refresh", json!({ "client": "rotating" })).await;
    let first = first["token"].as_str().unwrap();
    let vault = Vault::new(&[("id", "rotating"), ("secret", SECRET), ("refresh", first)]);
    let bench = server.bench(ROTATING, &vault);
    let mut seen = vec![first.to_owned()];
    for _ in 0..4 {
        server.control("expire", json!({ "client": "rotating" })).await;
        assert_eq!(bench.value("get", json!({})).await["user"], "ada");
        let now = vault.get("refresh").unwrap();
        assert!(!seen.contains(&now));
        seen.push(now);
    }
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", seen.last().unwrap())
        .append_pair("client_id", "rotating")
        .append_pair("client_secret", SECRET)
        .finish();
    let revoke = browser()
        .post(format!("{}/o/revoke_token/", server.origin))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    let text = refusal(bench.call("get", json!({})).await);
    assert!(text.contains("invalid_grant"), "{text}");
    assert!(text.contains("run `dadl-mcp setup fake"), "{text}");
    assert!(!seen.iter().any(|token| text.contains(token.as_str())), "{text}");
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn processes_share_a_login_and_use_no_refresh_token_twice() {
    let server = server();
    server.client("processes", SECRET, "authorization-code").await;
    let first = server.control("refresh", json!({ "client": "processes" })).await;
    let keys = "type: oauth2, flow: refresh_token, token_url: HOST/o/token/, client_id_credential: \
                fake_id, client_secret_credential: fake_secret, refresh_token_credential: \
                fake_refresh, rotates_refresh_token: true";
    let home = Home::new(keys, &server.origin, &server.origin)
        .with("CREDENTIAL_FAKE_ID", "processes")
        .with("CREDENTIAL_FAKE_SECRET", SECRET)
        .with("CREDENTIAL_FAKE_REFRESH", first["token"].as_str().unwrap());
    // The server ends the whole login when it sees a refresh token a second time, and an access
    // token when the refresh token that came with it is used.
    for logins in 1..=3 {
        let calls = (0..6).map(|_| home.run(&["call", "get"], ""));
        for run in futures_util::future::join_all(calls).await {
            assert_eq!(run.code, 0, "{}", run.err);
        }
        assert_eq!(server.logins("processes").await["refresh_token"], logins);
        server.control("expire", json!({ "client": "processes" })).await;
    }
}

/// A person at a browser: cookies, and the fields of the form on the page.
struct Person {
    browser: reqwest::Client,
    cookies: BTreeMap<String, String>,
    origin: String,
}

impl Person {
    fn at(origin: &str) -> Self {
        Self { browser: browser(), cookies: BTreeMap::new(), origin: origin.to_owned() }
    }

    /// Sends a request; returns where it leads or the page.
    async fn go(&mut self, url: &str, form: Option<String>) -> Result<String, String> {
        let request = match form {
            Some(form) => self
                .browser
                .post(url)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form),
            None => self.browser.get(url),
        };
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header("Cookie", cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        match location {
            Some(to) => Ok(Url::parse(url).unwrap().join(&to).unwrap().into()),
            None => Err(String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap()),
        }
    }

    /// Goes through the login and the consent page; returns where the browser is sent.
    async fn answer(&mut self, url: &Url, allow: bool) -> String {
        let login = self.go(url.as_str(), None).await.unwrap();
        assert!(login.starts_with(&format!("{}/accounts/login/", self.origin)), "{login}");
        let page = self.go(&login, None).await.unwrap_err();
        let mut form = hidden(&page);
        form.extend([
            ("username".to_owned(), "ada".to_owned()),
            ("password".to_owned(), PASSWORD.to_owned()),
        ]);
        let consent = self.go(&login, Some(encoded(&form))).await.unwrap();
        let page = self.go(&consent, None).await.unwrap_err();
        let mut form = hidden(&page);
        if allow {
            form.push(("allow".to_owned(), "Authorize".to_owned()));
        }
        self.go(&consent, Some(encoded(&form))).await.unwrap()
    }
}

fn encoded(form: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// Reads the hidden fields of a form.
fn hidden(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}="))?;
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let value = match quote {
            Some(quote) => rest[1..].split(quote).next()?,
            None => rest.split([' ', '>']).next()?,
        };
        Some(value.replace("&amp;", "&"))
    };
    page.split("<input ")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|tag| {
            Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
        })
        .collect()
}

const CONSENT: &str = "type: oauth2, flow: authorization_code, authorize_url: HOST/o/authorize/, \
                       token_url: HOST/o/token/, client_id_credential: fake_id, \
                       refresh_token_credential: fake_refresh, scopes: [read, write], \
                       rotates_refresh_token: true";

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn a_person_agrees_at_the_consent_page() {
    let server = server();
    server.client("public", "", "authorization-code").await;
    server.client("confidential", SECRET, "authorization-code").await;
    let secret = ", client_secret_credential: fake_secret";
    for (name, more, input) in [
        ("public", "", "public\n".to_owned()),
        ("confidential", secret, format!("confidential\n{SECRET}\n")),
    ] {
        let home = Home::new(&format!("{CONSENT}{more}"), &server.origin, &server.origin);
        let run = Consenting::start(&home, &["setup"], &input).await;
        let back = Person::at(&server.origin).answer(&run.url, true).await;
        assert!(back.starts_with(&run.parameter("redirect_uri")), "{back}");
        let (status, page) = visit(&back).await;
        assert_eq!(status, 200, "{page}");
        let run = run.end().await;
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.err.contains("the credential is accepted"), "{}", run.err);
        let before = home.stored("fake_refresh").unwrap();
        assert!(!run.err.contains(&before) && !run.out.contains(&before));
        for _ in 0..2 {
            server.control("expire", json!({ "client": name })).await;
            let call = home.run(&["call", "get"], "").await;
            assert_eq!(call.code, 0, "{name}: {}", call.err);
            assert!(call.out.contains(r#""user":"ada""#), "{}", call.out);
        }
        assert_ne!(home.stored("fake_refresh").unwrap(), before);
    }
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn a_person_can_say_no_at_the_consent_page() {
    let server = server();
    server.client("unwanted", "", "authorization-code").await;
    let home = Home::new(CONSENT, &server.origin, &server.origin);
    let run = Consenting::start(&home, &["setup"], "unwanted\n").await;
    let back = Person::at(&server.origin).answer(&run.url, false).await;
    visit(&back).await;
    let run = run.end().await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("refuses (access_denied"), "{}", run.err);
    assert!(!home.store().exists());
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn a_service_account_signs_whatever_the_clocks_say() {
    let server = server();
    for (email, pkcs8) in [("one@accounts.example.com", true), ("two@accounts.example.com", false)]
    {
        let account = server.control("account", json!({ "email": email, "pkcs8": pkcs8 })).await;
        let vault = Vault::new(&[("account", &account.to_string())]);
        let keys = "type: oauth2, flow: jwt_bearer, service_account_credential: account, subject: \
                    ada@example.com, scopes: [read]";
        let skewed = |seconds: i32| format!("{keys}, token_url: 'HOST/jwt/token?skew={seconds}'");
        for keys in [keys.to_owned(), skewed(0), skewed(20), skewed(3600), skewed(-3600)] {
            let bench = server.bench(&keys, &vault);
            assert_eq!(bench.value("get", json!({})).await["user"], "ada", "{keys}");
        }
    }
    let mut stranger = server.control("account", json!({ "email": "three@example.com" })).await;
    stranger["client_email"] = json!("nobody@example.com");
    let vault = Vault::new(&[("account", &stranger.to_string())]);
    let keys = "type: oauth2, flow: jwt_bearer, service_account_credential: account";
    let text = refusal(server.bench(keys, &vault).call("get", json!({})).await);
    assert!(text.contains("refuses the login (invalid_grant"), "{text}");
    assert!(text.ends_with("check the credentials `account`"), "{text}");
    vault.set("account", "not json");
    let text = refusal(server.bench(keys, &vault).call("get", json!({})).await);
    assert!(text.contains("credential `account` is not a service account"), "{text}");
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_PYTHON"]
async fn a_session_that_the_server_ended_begins_again() {
    let server = server();
    let keys = r#"type: session, login: { method: POST, path: /session/login,
        body: { username_credential: user, password: "credential:password" },
        extract: { token: $.token } },
        inject: [ { header: Authorization, value: "Token {{token}}" } ]"#;
    let vault = Vault::new(&[("user", "ada"), ("password", PASSWORD)]);
    let bench = server.bench(keys, &vault);
    for _ in 0..2 {
        let answer = bench.value("post", json!({ "name": "x" })).await;
        assert_eq!(answer, json!({ "user": "ada", "sent": { "name": "x" } }));
        assert_eq!(server.control("logout", json!({})).await["tokens"], 1);
    }
    vault.set("password", "wrong-password");
    let text = refusal(bench.call("get", json!({})).await);
    assert!(text.contains("the login (POST /session/login) failed: HTTP 400"), "{text}");
    assert!(text.ends_with("check the credentials `user`, `password`"), "{text}");
}
