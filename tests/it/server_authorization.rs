//! Logins at MCP servers that say themselves who gives access: what `setup` asks, shows and stores, what a
//! run makes of it, and what hostile servers get.

use std::path::Path;

use dadl_mcp::{
    app::App,
    catalog::BackendId,
    config::{
        BackendSettings, Settings, SettingsOverrides, credentials::CredentialResolver,
        env_vars::Environment,
    },
    http::mcp_authorization::AuthorizedServer,
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    authorization_server::{Protected, Temper},
    setup::{Consenting, Home, Run, visit},
};

/// A home whose settings have the server, with `more` keys.
fn home(protected: &Protected, more: &str) -> Home {
    let text = format!(
        "backends: [ {{ name: fake, transport: http, url: '{}'{more} }} ]\n",
        protected.url()
    );
    Home::new("type: bearer, credential: none", "", "http://127.0.0.1:1").with_settings(&text)
}

/// Sends a browser to the authorization server, and returns where that sends it.
async fn agreed(url: &Url) -> String {
    let (status, answer) = visit(url.as_str()).await;
    assert_eq!(status, 302, "{answer}");
    answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim().to_owned()
}

/// Logs in, with a person who agrees.
async fn log_in(home: &Home, arguments: &[&str]) -> (Url, Run) {
    let run = Consenting::start(home, arguments, "").await;
    let url = run.url.clone();
    assert_eq!(visit(&agreed(&url).await).await.0, 200);
    (url, run.end().await)
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The server as a run sees it, with what is stored.
fn opened(home: &Home, protected: &Protected) -> Option<AuthorizedServer> {
    let place = home.path().display().to_string();
    let environment = Environment::from_iter([("HOME", place.as_str())]);
    let mut settings = BackendSettings::new("fake", "");
    settings.url = Some(protected.url().to_string());
    let credentials = CredentialResolver::new(environment);
    AuthorizedServer::open(&settings, &protected.url(), &credentials).unwrap()
}

fn record(home: &Home) -> Value {
    serde_json::from_str(&home.stored("fake_login").unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_logs_in_and_a_run_goes_on_with_it() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    let (url, run) = log_in(&home, &["setup", "fake", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    let resource = protected.url().to_string();
    for (name, value) in [
        ("resource", resource.as_str()),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
        ("response_type", "code"),
    ] {
        assert_eq!(parameter(&url, name).as_deref(), Some(value));
    }
    assert!(run.err.contains("the server accepts the login"), "{}", run.err);
    assert!(
        run.out.starts_with("stored `fake_client_id`, `fake_login`, `fake_refresh_token` in /")
    );
    let (there, tokens) = (&protected.there, protected.asked("POST /token"));
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].form("resource").as_ref(), Some(&resource));
    let registered: Value =
        serde_json::from_str(&protected.asked("POST /register")[0].body).unwrap();
    assert_eq!(registered["token_endpoint_auth_method"], "none");
    assert_eq!(registered["application_type"], "native");
    assert_eq!(registered["scope"], Value::Null);
    assert_eq!(registered["redirect_uris"], json!([parameter(&url, "redirect_uri")]));
    // The first introduction and the requests for documents carry nothing.
    let bare = protected.world().asked.iter().filter(|it| it.authorization().is_none()).count();
    assert_eq!(bare, 6);
    assert_eq!(record(&home)["issuer"], *there);
    let listed = home.run_alone(&["setup", "--list", "--json"]).await.out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let bound = &listed["backends"][0]["credentials"]["fake_refresh_token"];
    let mut both = [protected.here.clone(), there.clone()];
    both.sort();
    assert_eq!(*bound, json!(both));

    // What setup got is used, renewed when it has ended, and stored again.
    let first = home.stored("fake_refresh_token").unwrap();
    opened(&home, &protected).unwrap().check().await.unwrap();
    assert_eq!(protected.asked("POST /token").len(), 1);
    protected.end_access();
    opened(&home, &protected).unwrap().check().await.unwrap();
    let renewal = protected.asked("POST /token").pop().unwrap();
    assert_eq!(renewal.form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(renewal.form("refresh_token").as_deref(), Some(first.as_str()));
    assert_eq!(renewal.form("resource").as_ref(), Some(&resource));
    let second = home.stored("fake_refresh_token").unwrap();
    assert_ne!(first, second);
    protected.end_access();
    protected.end_refresh();
    let error = opened(&home, &protected).unwrap().check().await.unwrap_err().to_string();
    assert!(error.contains("(invalid_grant); the refresh token has expired"), "{error}");
    assert!(error.contains("run `dadl-mcp setup fake"), "{error}");
    for secret in [first, second] {
        assert!(!error.contains(&secret) && !run.err.contains(&secret));
    }
}

#[tokio::test]
async fn nothing_is_registered_or_opened_before_a_person_agrees() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    let run = home.run(&["setup", "fake"], "y\n").await;
    assert_eq!(run.code, 2, "{}", run.err);
    let (here, there) = (&protected.here, &protected.there);
    let shown = format!(
        "MCP server fake at {here}/mcp\n\
         the servers say, and nobody has checked:\n  access to {here}/mcp\n  is given by {there}\n  \
         you agree at {there}/authorize\n  tokens come from {there}/token\n  rights: `read`, `write`\n"
    );
    assert!(run.err.contains(&shown), "{}", run.err);
    assert!(run.err.contains("--yes agrees to it"), "{}", run.err);
    for line in ["POST /register", "GET /authorize", "POST /token"] {
        assert!(protected.asked(line).is_empty(), "{line}");
    }
    let run = home.run(&["setup", "--yes", "--scope", "a b"], "").await;
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("--scope: `a b` is no scope"), "{}", run.err);
    assert!(!home.store().exists() || home.stored("fake_login").is_none());
}

#[tokio::test]
async fn a_second_login_keeps_the_client_and_asks_for_what_was_granted_and_more() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    let (first, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    protected.world().temper.challenge =
        r#"Bearer resource_metadata="HERE/.well-known/oauth-protected-resource", scope="admin""#
            .to_owned();
    let (again, run) = log_in(&home, &["setup", "--yes", "--scope", "audit"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    let rights = "rights: `admin` (new), `read`, `write`, `audit` (new)\n";
    assert!(run.err.contains(rights), "{}", run.err);
    assert_eq!(parameter(&again, "scope").as_deref(), Some("admin read write audit"));
    assert_eq!(protected.asked("POST /register").len(), 1);
    for name in ["client_id", "redirect_uri"] {
        assert_eq!(parameter(&first, name), parameter(&again, name));
    }
    for name in ["state", "code_challenge"] {
        assert_ne!(parameter(&first, name), parameter(&again, name));
    }
    assert_eq!(record(&home)["scopes"], json!(["admin", "read", "write", "audit"]));
}

#[tokio::test]
async fn a_client_of_another_authorization_server_is_not_used() {
    let one = Protected::start(Temper::default()).await;
    let home = home(&one, "");
    log_in(&home, &["setup", "--yes"]).await;
    let other = Protected::start(Temper::default()).await;
    let there = other.there.clone();
    one.world().temper.resource =
        Some(Box::new(move |document| document["authorization_servers"] = json!([there])));
    let run = Consenting::start(&home, &["setup", "--yes"], "").await;
    assert_eq!(run.url.origin().ascii_serialization(), other.there);
    assert_eq!(other.asked("POST /register").len(), 1);
    assert_eq!(one.asked("POST /register").len(), 1);
    assert_ne!(parameter(&run.url, "client_id"), home.stored("fake_client_id"));
}

#[tokio::test]
async fn what_is_forgotten_is_given_back() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    log_in(&home, &["setup", "--yes"]).await;
    let refresh = home.stored("fake_refresh_token").unwrap();
    let run = home.run_alone(&["setup", "fake", "--forget"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.err.contains(&format!("the login at {} was revoked", protected.there)),
        "{}",
        run.err
    );
    assert!(protected.world().revoked.contains(&refresh));
    assert!(opened(&home, &protected).is_none());
    let asked = protected.asked("POST /revoke").pop().unwrap();
    assert_eq!(asked.form("token_type_hint").as_deref(), Some("refresh_token"));
    assert!(!run.err.contains(&refresh) && !run.out.contains(&refresh));
    // What a server does not take back is removed all the same.
    log_in(&home, &["setup", "--yes"]).await;
    protected.world().temper.instead.insert("/revoke".to_owned(), (503, String::new()));
    let run = home.run_alone(&["setup", "fake", "--forget"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("was not revoked"), "{}", run.err);
    assert!(home.stored("fake_refresh_token").is_none());
}

/// Runs `setup` at a server that is not trusted; returns what is said.
async fn refused(temper: Temper, more: &str) -> String {
    let protected = Protected::start(temper).await;
    let home = home(&protected, more);
    let run = home.run(&["setup", "--yes"], "").await;
    assert_eq!(run.code, 3, "{}", run.err);
    for line in ["POST /register", "GET /authorize", "POST /token"] {
        assert!(protected.asked(line).is_empty(), "{line}: {}", run.err);
    }
    assert!(home.stored("fake_login").is_none());
    // One line of the terminal, whatever its width.
    run.err.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn of_server(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Temper {
    Temper { resource: Some(Box::new(change)), ..Temper::default() }
}

fn of_issuer(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Temper {
    Temper { issuer: Some(Box::new(change)), ..Temper::default() }
}

#[tokio::test]
async fn a_server_speaks_for_nobody_else() {
    for (resource, is_text) in
        [("https://other.example/mcp", true), ("http://127.0.0.1:1/mcp", true), ("", false)]
    {
        let temper = of_server(move |document| document["resource"] = resource.into());
        let said = refused(temper, "").await;
        let expected = if is_text { "which is neither" } else { "no usable `resource`" };
        assert!(said.contains(expected), "{said}");
    }
    let longer = of_server(|document| {
        document["resource"] = format!("{}/more", document["resource"].as_str().unwrap()).into();
    });
    assert!(refused(longer, "").await.contains("nor a parent of it"));
    let said =
        refused(of_server(|document| document["authorization_servers"] = json!([])), "").await;
    assert!(said.contains("no usable `authorization_servers`"), "{said}");
}

#[tokio::test]
async fn an_authorization_server_speaks_for_itself_alone() {
    let evil = of_issuer(|document| document["issuer"] = "https://honest.example".into());
    let said = refused(evil, "").await;
    assert!(
        said.contains("its `issuer` is https://honest.example, not http://127.0.0.1:"),
        "{said}"
    );
    let two = || {
        of_server(|document| {
            let own = document["authorization_servers"][0].clone();
            document["authorization_servers"] = json!([own, "https://auth.example"]);
        })
    };
    let said = refused(two(), "").await;
    assert!(said.contains("several authorization servers"), "{said}");
    let other = ", auth: { type: mcp, issuer: 'https://third.example' }";
    let said = refused(two(), other).await;
    assert!(said.contains("and not https://third.example/; correct `issuer`"), "{said}");
}

#[tokio::test]
async fn nobody_leads_into_the_network_of_the_operator() {
    let metadata = |place: &str| Temper {
        challenge: format!("Bearer resource_metadata=\"{place}\""),
        ..Temper::default()
    };
    for place in ["https://169.254.169.254/latest", "https://10.0.0.1/x", "https://[fd00::1]/"] {
        let said = refused(metadata(place), "").await;
        let host = Url::parse(place).unwrap().host_str().unwrap().to_owned();
        let expected = format!("says that logins lead to the private address {host}");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("`allow_private_hosts: ["), "{said}");
    }
    let said = refused(metadata("http://169.254.169.254/latest"), "").await;
    assert!(said.contains("it must be https"), "{said}");
    let said = refused(metadata("file:///etc/passwd"), "").await;
    assert!(said.contains("no usable `resource_metadata`"), "{said}");
    let issuer = of_server(|document| {
        document["authorization_servers"] = json!(["https://192.168.1.1"]);
    });
    assert!(refused(issuer, "").await.contains("the private address 192.168.1.1"));
    for key in ["token_endpoint", "authorization_endpoint", "revocation_endpoint"] {
        let temper = of_issuer(move |document| document[key] = "https://172.16.0.1/x".into());
        let said = refused(temper, "").await;
        assert!(said.contains("the private address 172.16.0.1"), "{key}: {said}");
    }
}

#[tokio::test]
async fn secrets_go_over_tls_or_stay_on_this_machine() {
    for key in ["token_endpoint", "authorization_endpoint", "registration_endpoint"] {
        for place in ["http://auth.example/x", "javascript:alert(1)", "ftp://auth.example/"] {
            let temper = of_issuer(move |document| document[key] = place.into());
            let said = refused(temper, "").await;
            assert!(said.contains(&format!("`{key}` is no address to use")), "{said}");
        }
    }
}

#[tokio::test]
async fn without_pkce_nobody_is_sent_anywhere() {
    let key = "code_challenge_methods_supported";
    let plain = refused(of_issuer(move |it| it[key] = json!(["plain"])), "").await;
    assert!(plain.contains("it does not know PKCE with S256"), "{plain}");
    let unsaid = || of_issuer(move |it| it[key] = Value::Null);
    let said = refused(unsaid(), "").await;
    assert!(said.contains("write `assume_pkce: true`"), "{said}");
    // What it says against it counts.
    let assumed = ", auth: { type: mcp, assume_pkce: true }";
    refused(of_issuer(move |it| it[key] = json!([])), assumed).await;
    let protected = Protected::start(unsaid()).await;
    let (_, run) = log_in(&home(&protected, assumed), &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
}

#[tokio::test]
async fn what_is_no_small_document_is_none() {
    let place = "/.well-known/oauth-authorization-server";
    let instead = |path: &str, status: u16, text: String| Temper {
        instead: [(path.to_owned(), (status, text))].into(),
        ..Temper::default()
    };
    let large = format!("{{\"issuer\":\"{}\"}}", "x".repeat(300_000));
    let said = refused(instead(place, 200, large.clone()), "").await;
    assert!(said.contains("its answer is larger than 262144 bytes"), "{said}");
    let said = refused(instead("/.well-known/oauth-protected-resource/mcp", 200, large), "").await;
    assert!(said.contains("its answer is larger than"), "{said}");
    let away = "http://127.0.0.1:1/".to_owned();
    let said = refused(instead(place, 302, away.clone()), "").await;
    assert!(said.contains("does not describe itself at any of the usual places"), "{said}");
    let said = refused(instead("/.well-known/oauth-protected-resource/mcp", 302, away), "").await;
    assert!(said.contains("it answers with redirect 302, which is not followed"), "{said}");
    let said = refused(instead("/mcp", 404, String::new()), "").await;
    assert!(said.contains("answered HTTP 404 to the introduction of MCP"), "{said}");
}

#[tokio::test]
async fn what_others_bring_in_the_browser_is_not_used() {
    for (query, is_ignored) in [
        ("code=stolen&state=STATE&iss=https%3A%2F%2Fevil.example", false),
        (
            "error=invalid_scope&error_description=call%20evil&state=STATE&iss=https%3A%2F%2Fe.example",
            false,
        ),
        ("code=stolen&state=STATE", false),
        ("code=stolen&state=other&iss=ISS", true),
        ("code=stolen&iss=ISS", true),
    ] {
        let protected = Protected::start(Temper::default()).await;
        let home = home(&protected, "");
        let run = Consenting::start(&home, &["setup", "--yes"], "").await;
        let (redirect, state) = (run.parameter("redirect_uri"), run.parameter("state"));
        let query = query.replace("STATE", &state).replace("ISS", &protected.there);
        let (status, page) = visit(&format!("{redirect}?{query}")).await;
        if is_ignored {
            // The login goes on, with the right answer.
            assert_eq!(status, 404, "{page}");
            visit(&agreed(&run.url).await).await;
            assert_eq!(run.end().await.code, 0);
            continue;
        }
        let run = run.end().await;
        assert_eq!(run.code, 1, "{}", run.err);
        assert!(run.err.contains("nothing of it is used"), "{}", run.err);
        assert!(!run.err.contains("call evil") && !page.contains("evil"), "{}", run.err);
        assert!(protected.asked("POST /token").is_empty());
        assert!(home.stored("fake_login").is_none());
    }
}

#[tokio::test]
async fn a_code_is_sent_nowhere_else() {
    let elsewhere = Protected::start(Temper::default()).await;
    let temper = Temper {
        instead: [("/token".to_owned(), (307, format!("{}/token", elsewhere.there)))].into(),
        ..Temper::default()
    };
    let protected = Protected::start(temper).await;
    let home = home(&protected, "");
    let (_, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("it answers with redirect 307, which is not followed"), "{}", run.err);
    assert!(elsewhere.world().asked.is_empty());
    assert!(home.stored("fake_login").is_none());
}

#[tokio::test]
async fn no_server_gets_more_rights_than_the_operator_says() {
    let temper = Temper {
        challenge: r#"Bearer resource_metadata="HERE/.well-known/oauth-protected-resource", scope="read admin""#.to_owned(),
        issuer: Some(Box::new(|it| it["scopes_supported"] = json!(["read", "offline_access"]))),
        needs: Some("admin".to_owned()),
        ..Temper::default()
    };
    let protected = Protected::start(temper).await;
    let home = home(&protected, ", auth: { type: mcp, scopes: [read] }");
    let (url, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(parameter(&url, "scope").as_deref(), Some("read"));
    assert_eq!(run.code, 1, "{}", run.err);
    let said = run.err.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "the login at the MCP server \"fake\" lacks the scope `admin`; if it should have that, \
                    run `dadl-mcp setup fake --config ";
    assert!(said.contains(expected) && said.contains("--scope admin`"), "{said}");
    let (url, run) = log_in(&home, &["setup", "--yes", "--scope", "admin"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(parameter(&url, "scope").as_deref(), Some("read admin"));
}

#[tokio::test]
async fn what_nobody_asked_for_and_who_leads_elsewhere_is_told() {
    let temper = of_issuer(|it| it["token_endpoint"] = "http://localhost:1/token".into());
    let protected = Protected::start(temper).await;
    let run = home(&protected, "").run(&["setup"], "").await;
    let asked = format!("which is another place: do both belong to {}?", protected.there);
    assert!(run.err.contains(&asked), "{}", run.err);
    let protected = Protected::start(Temper::default()).await;
    let run = Consenting::start(&home(&protected, ""), &["setup", "--yes"], "").await;
    protected.world().temper.adds = " admin".to_owned();
    visit(&agreed(&run.url).await).await;
    let run = run.end().await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("granted although nobody asked for it: admin\n"), "{}", run.err);
}

#[tokio::test]
async fn a_right_to_refresh_tokens_is_asked_for_where_there_is_one() {
    let temper = of_issuer(|it| it["scopes_supported"] = json!(["read", "offline_access"]));
    let protected = Protected::start(temper).await;
    let (url, run) = log_in(&home(&protected, ""), &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(parameter(&url, "scope").as_deref(), Some("read write offline_access"));
    assert_eq!(parameter(&url, "prompt").as_deref(), Some("consent"));
}

#[tokio::test]
async fn a_server_of_before_logs_in_itself() {
    let old = Temper {
        challenge: "Bearer".to_owned(),
        resource: None,
        issuer: None,
        is_one: true,
        ..Temper::default()
    };
    let protected = Protected::start(old).await;
    let home = home(&protected, "");
    // It answers in the browser with what it is called.
    let (url, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(url.origin().ascii_serialization(), protected.here);
    assert!(run.err.contains("it does not say who gives access to it"), "{}", run.err);
    let looked: Vec<String> =
        protected.world().asked.iter().take(5).map(|asked| asked.line.clone()).collect();
    assert_eq!(
        looked,
        [
            "POST /mcp",
            "GET /.well-known/oauth-protected-resource/mcp",
            "GET /.well-known/oauth-protected-resource",
            "GET /.well-known/oauth-authorization-server",
            "GET /.well-known/openid-configuration",
        ]
    );
    opened(&home, &protected).unwrap().check().await.unwrap();
}

#[tokio::test]
async fn an_access_token_alone_is_used_until_it_ends() {
    let protected = Protected::start(Temper { refreshes: false, ..Temper::default() }).await;
    let home = home(&protected, "");
    let (_, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(home.stored("fake_access_token").is_some());
    opened(&home, &protected).unwrap().check().await.unwrap();
    protected.end_access();
    let error = opened(&home, &protected).unwrap().check().await.unwrap_err().to_string();
    assert!(error.contains("wants a login, or another one; run `dadl-mcp setup fake"), "{error}");
}

#[tokio::test]
async fn a_program_may_have_credentials_of_its_own() {
    let protected = Protected::start(Temper::default()).await;
    let keys = ", auth: { type: mcp, flow: client_credentials, client_id: robot, \
                client_secret: { credential: robot_secret }, scopes: [read] }";
    let home = home(&protected, keys);
    let run = home.run(&["setup", "--yes"], "s3cret-of-the-robot\n").await;
    assert_eq!(run.code, 0, "{}", run.err);
    let asked = protected.asked("POST /token").pop().unwrap();
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", "s3cret-of-the-robot"),
        ("scope", "read"),
        ("resource", protected.url().as_str()),
    ] {
        assert_eq!(asked.form(name).as_deref(), Some(value));
    }
    opened(&home, &protected).unwrap().check().await.unwrap();
    assert!(protected.asked("POST /register").is_empty());
    for asked in protected.asked("POST /mcp") {
        assert!(!format!("{asked:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_client_of_the_operator_is_used_as_it_is() {
    let protected = Protected::start(Temper::default()).await;
    let keys =
        ", auth: { type: mcp, client_id: ours, redirect_uri: 'https://app.example.com/done' }";
    let home = home(&protected, keys);
    let mut run = Consenting::start(&home, &["setup", "--yes", "--paste"], "").await;
    assert_eq!(run.parameter("client_id"), "ours");
    let back = agreed(&run.url).await;
    assert!(back.starts_with("https://app.example.com/done?code="), "{back}");
    run.type_line(&back).await;
    let run = run.end().await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(protected.asked("POST /register").is_empty());
    // A document about us is a client where it is taken.
    let keys = ", auth: { type: mcp, client_id: 'https://app.example.com/client.json' }";
    let said = refused(Temper::default(), keys).await;
    assert!(said.contains("is the URL of a metadata document"), "{said}");
    let takes = of_issuer(|it| it["client_id_metadata_document_supported"] = true.into());
    let protected = Protected::start(takes).await;
    let (url, run) = log_in(&self::home(&protected, keys), &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    let document = "https://app.example.com/client.json";
    assert_eq!(parameter(&url, "client_id").as_deref(), Some(document));
}

#[tokio::test]
async fn where_nobody_registers_the_operator_is_told() {
    let protected =
        Protected::start(of_issuer(|it| it["registration_endpoint"] = Value::Null)).await;
    let run = home(&protected, "").run(&["setup", "--yes"], "").await;
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("registers nobody by itself"), "{}", run.err);
    let words = r#"{"error":"invalid_redirect_uri","error_description":"only\u001b[31m https"}"#;
    let temper = Temper {
        instead: [("/register".to_owned(), (400, words.to_owned()))].into(),
        ..Temper::default()
    };
    let protected = Protected::start(temper).await;
    let run = home(&protected, "").run(&["setup", "--yes"], "").await;
    assert_eq!(run.code, 3, "{}", run.err);
    let said = run.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("does not register dadl-mcp: it answers HTTP 400: invalid_redirect_uri"));
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_no_login_gets_none() {
    let open = || Temper { is_open: true, ..Temper::default() };
    let protected = Protected::start(open()).await;
    let run = home(&protected, "").run(&["setup"], "").await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "the MCP server \"fake\" asks for no login\n");
    assert_eq!(protected.world().asked.len(), 1);
    // The settings say that there is one: some let anybody introduce himself.
    let protected = Protected::start(open()).await;
    let (_, run) = log_in(&home(&protected, ", auth: { type: mcp }"), &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
}

#[tokio::test]
async fn a_stored_login_goes_to_its_server_alone() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    log_in(&home, &["setup", "--yes"]).await;
    let other = Protected::start(Temper::default()).await;
    let place = home.path().display().to_string();
    let credentials = CredentialResolver::new(Environment::from_iter([("HOME", place.as_str())]));
    let mut settings = BackendSettings::new("fake", "");
    settings.url = Some(other.url().to_string());
    let error = AuthorizedServer::open(&settings, &other.url(), &credentials).unwrap_err();
    assert!(error.to_string().contains("goes to"), "{error}");
    assert!(other.world().asked.is_empty());
    // Another path of the same origin is another server.
    let url = Url::parse(&format!("{}/other", protected.here)).unwrap();
    let error = AuthorizedServer::open(&settings, &url, &credentials).unwrap_err().to_string();
    assert!(error.contains("the stored login is for") && error.contains("/other"), "{error}");
}

/// What a run makes of the settings, before anything is wanted of the server.
fn loaded(home: &Home) -> App {
    let environment = Environment::from_iter([("HOME", home.path().display().to_string())]);
    let config = Some(home.path().join("settings.yaml"));
    let overrides = SettingsOverrides { config, ..SettingsOverrides::default() };
    let settings = Settings::load(&overrides, &environment, Path::new("")).unwrap();
    App::build(&settings, &CredentialResolver::new(environment)).unwrap()
}

#[tokio::test]
async fn a_stored_login_is_read_when_it_is_needed() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    let (early, unused) = (loaded(&home), loaded(&home));
    log_in(&home, &["setup", "--yes"]).await;
    // What came after the start counts, and one that is renewed is.
    let server = early.executor.web(BackendId(0)).unwrap();
    assert!(!server.authenticator().renews(), "nobody has looked");
    server.log_in().await.unwrap();
    assert!(server.authenticator().renews());
    // What cannot be read holds up nobody but who needs it.
    std::fs::write(home.store(), "{ no store").unwrap();
    let late = loaded(&home);
    for app in [unused, late] {
        let error = app.executor.web(BackendId(0)).unwrap().log_in().await.unwrap_err();
        assert!(error.to_string().contains("credentials.json"), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_is_gone_is_registered_again_after_it_is_forgotten() {
    let protected = Protected::start(Temper::default()).await;
    let home = home(&protected, "");
    log_in(&home, &["setup", "--yes"]).await;
    protected.forget_clients();
    home.run_alone(&["setup", "fake", "--forget"]).await;
    let (_, run) = log_in(&home, &["setup", "--yes"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(protected.asked("POST /register").len(), 2);
}
