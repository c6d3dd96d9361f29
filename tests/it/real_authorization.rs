//! Logins at an MCP server behind an authorization server by others: see
//! `tests/servers/authorization_server.mjs`.
//!
//! `DADL_AUTH_SERVER_MODULES` names a folder that `tests/servers/authorization` has filled; `cargo test`
//! ignores these tests.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use dadl_mcp::{
    config::{BackendSettings, credentials::CredentialResolver, env_vars::Environment},
    http::mcp_authorization::AuthorizedServer,
};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::setup::{Consenting, Home, Run, visit};

/// Both servers; they end when this process does, as their standard input is a pipe from here.
struct Servers {
    issuer: String,
    server: Url,
    _child: Child,
}

/// Returns the servers that all tests share.
fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let modules = std::env::var("DADL_AUTH_SERVER_MODULES")
            .expect("DADL_AUTH_SERVER_MODULES names a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(Path::new(&modules).join("node_modules/node/bin/node"))
            .arg(root.join("tests/servers/authorization_server.mjs"))
            .arg(&modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Node of the folder can be run");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("the servers say where they are");
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        let server = Url::parse(&text("server")).unwrap();
        Servers { issuer: text("issuer"), server, _child: child }
    })
}

impl Servers {
    fn home(&self, more: &str) -> Home {
        let text = format!(
            "backends: [ {{ name: fake, transport: http, url: '{}'{more} }} ]\n",
            self.server
        );
        Home::new("type: bearer, credential: none", "", "http://127.0.0.1:1").with_settings(&text)
    }

    /// Ends all access tokens that were used.
    async fn expire(&self) {
        let url = self.server.join("/control/expire").unwrap();
        let answer = Browser::default().client.post(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    fn opened(&self, home: &Home) -> Option<AuthorizedServer> {
        let place = home.path().display().to_string();
        let environment = Environment::from_iter([("HOME", place.as_str())]);
        let mut settings = BackendSettings::new("fake", "");
        settings.url = Some(self.server.to_string());
        let credentials = CredentialResolver::new(environment);
        AuthorizedServer::open(&settings, &self.server, &credentials).unwrap()
    }
}

/// A browser that keeps cookies, and a person who fills in the forms of the authorization server.
struct Browser {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Default for Browser {
    fn default() -> Self {
        // A second installation is refused, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([])
            .no_proxy()
            .build()
            .unwrap();
        Self { client, cookies: BTreeMap::new() }
    }
}

impl Browser {
    async fn ask(&mut self, url: &Url, form: Option<&str>) -> (u16, Option<String>, String) {
        let request = match form {
            None => self.client.get(url.clone()),
            Some(form) => self
                .client
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned()),
        };
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header("cookie", cookies.join("; ")).send().await.unwrap();
        for field in answer.headers().get_all("set-cookie") {
            let pair = field.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location, answer.text().await.unwrap())
    }

    /// Agrees to everything, and returns where the browser comes back to.
    async fn agree(&mut self, url: &Url) -> String {
        let redirect = url.query_pairs().find(|(key, _)| key == "redirect_uri").unwrap().1;
        let (mut next, mut form) = (url.clone(), None);
        for _ in 0..20 {
            let (status, location, page) = self.ask(&next, form.take().as_deref()).await;
            if let Some(location) = location {
                if location.starts_with(redirect.as_ref()) {
                    return location;
                }
                next = next.join(&location).unwrap();
                continue;
            }
            assert_eq!(status, 200, "{page}");
            let action = page.split("action=\"").nth(1).and_then(|it| it.split('"').next());
            next = next.join(action.unwrap_or_else(|| panic!("no form: {page}"))).unwrap();
            let mut fields = form_urlencoded::Serializer::new(String::new());
            if page.contains("name=\"login\"") {
                fields.append_pair("prompt", "login").append_pair("login", "ada");
                fields.append_pair("password", "any");
            } else {
                fields.append_pair("prompt", "consent");
            }
            form = Some(fields.finish());
        }
        panic!("the person is asked again and again")
    }
}

async fn log_in(home: &Home, arguments: &[&str]) -> (Url, Run) {
    let run = Consenting::start(home, arguments, "").await;
    let url = run.url.clone();
    let back = Browser::default().agree(&url).await;
    assert_eq!(visit(&back).await.0, 200);
    (url, run.end().await)
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_MODULES"]
async fn a_login_is_discovered_registered_used_renewed_and_revoked() {
    let servers = servers();
    let home = servers.home("");
    let (url, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains(&format!("is given by {}\n", servers.issuer)), "{}", run.err);
    assert!(run.err.contains("the server accepts the login"), "{}", run.err);
    assert_eq!(parameter(&url, "scope").as_deref(), Some("mcp:read offline_access"));
    let record: Value = serde_json::from_str(&home.stored("fake_login").unwrap()).unwrap();
    assert_eq!(record["gives"], "refresh_token");
    assert_eq!(record["resource"].as_str(), Some(servers.server.as_str()));

    let first = home.stored("fake_refresh_token").unwrap();
    servers.opened(&home).unwrap().check().await.unwrap();
    assert_eq!(home.stored("fake_refresh_token").as_deref(), Some(first.as_str()));
    servers.expire().await;
    servers.opened(&home).unwrap().check().await.unwrap();
    let second = home.stored("fake_refresh_token").unwrap();
    assert_ne!(first, second, "a public client gets a new refresh token each time");

    let kept = home.path().join("kept.json");
    std::fs::copy(home.store(), &kept).unwrap();
    let run = home.run_alone(&["setup", "fake", "--forget"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("was revoked"), "{}", run.err);
    // Whoever has a copy has nothing of it.
    std::fs::copy(&kept, home.store()).unwrap();
    servers.expire().await;
    let error = servers.opened(&home).unwrap().check().await.unwrap_err().to_string();
    assert!(error.contains("(invalid_grant"), "{error}");
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_MODULES"]
async fn more_rights_are_granted_to_the_same_client() {
    let servers = servers();
    let home = servers.home("");
    let (first, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    let (second, run) = log_in(&home, &["setup", "--yes", "--scope", "mcp:audit"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(parameter(&first, "client_id"), parameter(&second, "client_id"));
    let record: Value = serde_json::from_str(&home.stored("fake_login").unwrap()).unwrap();
    let scopes: Vec<&str> =
        record["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
    for scope in ["mcp:read", "mcp:audit"] {
        assert!(scopes.contains(&scope), "{scopes:?}");
    }
}

#[tokio::test]
#[ignore = "needs DADL_AUTH_SERVER_MODULES"]
async fn a_client_with_its_own_credentials_needs_nobody() {
    let servers = servers();
    let home = servers.home(
        ", auth: { type: mcp, flow: client_credentials, client_id: robot, client_secret: \
         { credential: robot_secret }, scopes: [mcp:read] }",
    );
    let run = home.run(&["setup", "--yes"], "secret-of-the-robot-that-is-long-enough\n").await;
    assert_eq!(run.code, 0, "{}", run.err);
    servers.opened(&home).unwrap().check().await.unwrap();
    let home = servers.home(
        ", auth: { type: mcp, flow: client_credentials, client_id: robot, client_secret: \
         { credential: robot_secret } }",
    );
    let run = home.run(&["setup", "--yes"], "not-the-secret\n").await;
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("invalid_client"), "{}", run.err);
    assert!(home.stored("robot_secret").is_none());
}
