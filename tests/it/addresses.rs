//! Where a descriptor may lead: a host of its own that has a private address is not reached, by no
//! request of any kind, unless the operator names it.

use std::{
    io,
    net::IpAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    app::{App, BuildError},
    call::BaseUrl,
    config::{
        BackendSettings, DescriptorPaths, FileSettings, OperatorLimits, Settings,
        SettingsProvenance, credentials::CredentialResolver, env_vars::Environment,
    },
    executor::CallContext,
    files::HostResolver,
    http::{self, connection_guard::ConnectionGuard},
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    api::api,
    setup::{Home, ROTATING, rotating},
    upstream::{Answer, Upstream},
};

const ID: &str = "client-identifier-7";
const SECRET: &str = "s3cr3t-of-the-client";

/// Gives every name the same addresses, and remembers who asked.
#[derive(Clone)]
pub(crate) struct Everywhere {
    addresses: Vec<IpAddr>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Everywhere {
    pub(crate) fn at(addresses: &str) -> Self {
        let addresses = addresses.split(' ').map(|text| text.parse().unwrap()).collect();
        Self { addresses, asked: Arc::default() }
    }
}

impl HostResolver for Everywhere {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host);
        Box::pin(std::future::ready(Ok(self.addresses.clone())))
    }
}

/// Each test gives its own `AUTH` and `MORE`.
const DESCRIPTOR: &str = api!(auth: "AUTH", backend: r#"
  MORE
  tools:
    get: { method: GET, path: /things, access: read, description: Things. }
    events: { method: GET, path: /events, access: read, description: Events., response: { streaming: true } }
    export: { method: GET, path: /export, access: read, description: Exports., response: { binary: true } }
    send: { method: POST, path: /import, access: read, description: Sends., content_type: application/octet-stream }
"#);

const BEARER: &str = "{ type: bearer, credential: id }";

fn oauth2(token_url: &str) -> String {
    format!(
        "{{ type: oauth2, token_url: '{token_url}', client_id_credential: id, \
         client_secret_credential: secret }}"
    )
}

/// A program with one backend, whose descriptor leads to `base_url` and logs in by `auth`.
struct Program {
    app: App,
    resolver: Everywhere,
    home: tempfile::TempDir,
}

impl Program {
    fn build(
        base_url: &str,
        auth: &str,
        addresses: &str,
        change: impl FnOnce(&mut BackendSettings),
    ) -> Result<Self, BuildError> {
        let home = tempfile::tempdir().unwrap();
        let keys = format!("base_url: '{base_url}'\n  openapi_source: '{base_url}/openapi.json'");
        let text = DESCRIPTOR.replace("{ AUTH }", auth).replace("MORE", &keys);
        let path = home.path().join("fake.dadl");
        std::fs::write(&path, text).unwrap();
        let mut backend = BackendSettings::new("fake", path.to_str().unwrap());
        backend.provenance = SettingsProvenance::Own;
        backend.policy =
            AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        change(&mut backend);
        let settings = Settings {
            backends: vec![backend],
            beside: Vec::new(),
            files: home.path().join("files"),
            cache: None,
            pins: None,
            file_settings: FileSettings::default(),
            limits: OperatorLimits::default(),
            profiles: Vec::new(),
            surface: dadl_mcp::config::Surface::default(),
            origin: None,
            places: DescriptorPaths {
                base: Some(home.path().to_owned()),
                ..DescriptorPaths::default()
            },
            warnings: Vec::new(),
        };
        let variables = [("CREDENTIAL_ID", ID), ("CREDENTIAL_SECRET", SECRET)];
        let environment: Environment = variables.into_iter().collect();
        let resolver = Everywhere::at(addresses);
        let app = App::build_with(
            &settings,
            &CredentialResolver::new(environment),
            Arc::new(resolver.clone()),
        )?;
        Ok(Self { app, resolver, home })
    }

    /// The same, for settings that fit.
    fn new(
        base_url: &str,
        auth: &str,
        addresses: &str,
        change: impl FnOnce(&mut BackendSettings),
    ) -> Self {
        Self::build(base_url, auth, addresses, change).unwrap()
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<(), String> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let call = self.app.gate.check(tool, arguments).unwrap().admit().unwrap();
        match self.app.executor.execute(call, &CallContext::default()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.for_model()),
        }
    }
}

/// An API that would answer everything.
async fn api() -> Upstream {
    Upstream::start(vec![Answer::json(200, r#"{"access_token":"t0k"}"#)]).await
}

fn name(upstream: &Upstream) -> String {
    format!("api.example:{}", upstream.address.port())
}

#[tokio::test]
async fn a_base_url_whose_name_is_private_is_not_reached() {
    for address in [
        "127.0.0.1",
        "10.0.0.1 192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
    ] {
        let api = api().await;
        let program = Program::new(&format!("http://{}/v1", name(&api)), BEARER, address, |_| {});
        let error = program.call("get", json!({})).await.unwrap_err();
        let first = address.split(' ').next().unwrap();
        for part in [
            "`base_url` of the descriptor ",
            "fake.dadl leads to ",
            &format!("{}, which has the private address {first}", name(&api)),
            "set `url` of the backend, or write `allow_private_hosts: [\"api.example:",
        ] {
            assert!(error.contains(part), "{address}: {error}");
        }
        assert!(!error.contains("attempts"), "trying again would not help: {error}");
        assert!(api.requests().is_empty());
        assert_eq!(*program.resolver.asked.lock().unwrap(), ["api.example"]);
    }
}

#[tokio::test]
async fn requests_of_every_kind_are_refused_alike() {
    let api = api().await;
    let base = format!("http://{}/v1", name(&api));
    let program = Program::new(&base, BEARER, "127.0.0.1", |_| {});
    std::fs::create_dir_all(program.home.path().join("files")).unwrap();
    std::fs::write(program.home.path().join("files/data.bin"), "bytes").unwrap();
    for (tool, arguments) in [
        ("get", json!({})),
        ("events", json!({ "duration": 1 })),
        ("export", json!({})),
        ("send", json!({ "file": "data.bin" })),
    ] {
        let error = program.call(tool, arguments).await.unwrap_err();
        assert!(error.contains("which has the private address 127.0.0.1"), "{tool}: {error}");
    }
    // A session logs in below the base URL, and the OpenAPI document is there as well.
    let session = r#"{ type: session, login: { method: POST, path: /login, body: { a_credential: id } }, inject: [ { header: X, value: y } ] }"#;
    let program = Program::new(&base, session, "127.0.0.1", |backend| backend.fetch_openapi = true);
    let warnings = program.app.warnings.concat();
    assert!(warnings.contains("which has the private address 127.0.0.1"), "{warnings}");
    let error = program.call("get", json!({})).await.unwrap_err();
    assert!(error.contains("which has the private address 127.0.0.1"), "{error}");
    let program = Program::new(&base, BEARER, "127.0.0.1", |backend| backend.fetch_openapi = true);
    let warnings = program.app.warnings.concat();
    assert!(warnings.contains("which has the private address 127.0.0.1"), "{warnings}");
    // `doctor` connects by itself.
    let guard = &program.app.backends[0].api().unwrap().guard;
    let base = BaseUrl::parse(&base).unwrap();
    let error =
        http::check_reachable(&base, Duration::from_secs(5), guard).await.unwrap_err().to_string();
    assert!(error.contains("which has the private address 127.0.0.1"), "{error}");
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn a_token_endpoint_whose_name_is_private_gets_no_secret() {
    let (api, login) = (api().await, api().await);
    let port = login.address.port();
    let token_url = format!("https://sso.example:{port}/token");
    // The operator's `url` is no word for other origins.
    let operators = |backend: &mut BackendSettings| backend.url = Some(api.url());
    let program = Program::new("https://x.example", &oauth2(&token_url), "127.0.0.1", operators);
    let error = program.call("get", json!({})).await.unwrap_err();
    for part in [
        "`token_url` of the descriptor ",
        &format!("sso.example:{port}, which has the private address 127.0.0.1"),
        &format!("write `allow_private_hosts: [\"sso.example:{port}\"]` for the backend"),
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("set `url`"), "{error}");
    assert!(!error.contains(ID) && !error.contains(SECRET), "{error}");
    assert!(api.requests().is_empty() && login.requests().is_empty());
    // Named, it is reached; that no TLS is spoken there is another matter.
    let program = Program::new("https://x.example", &oauth2(&token_url), "127.0.0.1", |backend| {
        backend.url = Some(api.url());
        backend.allow_private_hosts = vec![format!("sso.example:{port}").parse().unwrap()];
    });
    let error = program.call("get", json!({})).await.unwrap_err();
    assert!(!error.contains("private address"), "{error}");
    assert!(program.resolver.asked.lock().unwrap().is_empty(), "resolved as ever");
}

#[tokio::test]
async fn numbers_and_names_of_this_machine_are_refused_at_the_start() {
    let problems = |base: &str, auth: &str, change: fn(&mut BackendSettings)| match Program::build(
        base, auth, "1.1.1.1", change,
    ) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    for host in [
        "127.0.0.1:1",
        "127.1:1",
        "0x7f000001:1",
        "2130706433:1",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]:1",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost:1",
        "a.localhost.",
        "xo.internal",
    ] {
        let found = problems(&format!("http://{host}/v1"), BEARER, |_| {});
        assert!(found.contains("`base_url` of the descriptor "), "{host}: {found}");
        assert!(found.contains("leads to the private address "), "{host}: {found}");
        // `https`: plain http goes to this machine alone, whatever the operator says.
        let auth = oauth2(&format!("https://{host}/token"));
        let found = problems("https://api.example", &auth, |_| {});
        assert!(found.contains("`token_url` of the descriptor "), "{host}: {found}");
        let auth = format!(
            "{{ type: oauth2, flow: authorization_code, token_url: 'https://{host}/token', \
             authorize_url: 'https://{host}/agree', client_id_credential: id, \
             refresh_token_credential: refresh }}"
        );
        let found = problems(&format!("http://{host}/v1"), &auth, |_| {});
        // The base URL is looked at first: the others may be on its origin.
        assert!(found.contains("`base_url`"), "{host}: {found}");
        let found = problems("https://api.example", &auth, |_| {});
        for key in ["`token_url`", "`authorize_url`"] {
            assert!(found.contains(key), "all problems at once: {host}: {found}");
        }
        let found = problems("https://api.example", &auth, |backend| {
            backend.allow_private_url = true;
        });
        assert!(found.contains("`token_url`"), "it is for `base_url` alone: {host}: {found}");
    }
}

#[tokio::test]
async fn the_operators_word_opens_what_it_names() {
    let api = api().await;
    let port = api.address.port();
    let base = format!("http://127.0.0.1:{port}/v1");
    let token = oauth2(&format!("http://127.0.0.1:{port}/token"));
    // `url` covers its origin, and so do `allow_private_url` and what fills the host.
    for change in [
        |backend: &mut BackendSettings, base: &str| backend.url = Some(base.to_owned()),
        |backend: &mut BackendSettings, _: &str| backend.allow_private_url = true,
        |backend: &mut BackendSettings, base: &str| {
            backend.allow_private_hosts = vec![base.split('/').nth(2).unwrap().parse().unwrap()];
        },
        |backend: &mut BackendSettings, _: &str| {
            backend.allow_private_hosts = vec!["127.0.0.1".parse().unwrap()];
        },
    ] {
        let program = Program::new(&base, &token, "1.1.1.1", |backend| change(backend, &base));
        program.call("get", json!({})).await.unwrap();
        assert!(program.resolver.asked.lock().unwrap().is_empty());
    }
    let program = Program::new("http://{HOST}/v1", &token, "1.1.1.1", |backend| {
        backend.variables.insert("HOST".to_owned(), format!("127.0.0.1:{port}"));
    });
    program.call("get", json!({})).await.unwrap();
    assert_eq!(api.requests().len(), 10);
    let other = |backend: &mut BackendSettings| {
        backend.allow_private_hosts = vec![format!("127.0.0.1:{}", port ^ 1).parse().unwrap()];
    };
    assert!(Program::build(&base, BEARER, "1.1.1.1", other).is_err());
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_as_good_as_the_origin() {
    let answers = vec![Answer::redirect(302, "/elsewhere"), Answer::json(200, "[]")];
    let upstream = Upstream::start(answers).await;
    let base = format!("http://127.0.0.1:{}/v1", upstream.address.port());
    let program =
        Program::new(&base, BEARER, "1.1.1.1", |backend| backend.allow_private_url = true);
    program.call("get", json!({})).await.unwrap();
    let elsewhere = format!("http://localhost:{}/", upstream.address.port());
    let upstream = Upstream::start(vec![Answer::redirect(302, &elsewhere)]).await;
    let base = format!("http://127.0.0.1:{}/v1", upstream.address.port());
    let program = Program::new(&base, BEARER, "1.1.1.1", |backend| {
        backend.allow_private_url = true;
        backend.allow_private_hosts = vec!["localhost".parse().unwrap()];
    });
    let error = program.call("get", json!({})).await.unwrap_err();
    assert!(error.contains("redirects to another origin"), "{error}");
}

#[tokio::test]
async fn the_guard_stands_where_the_connection_is_made() {
    let settings = BackendSettings::new("b", "b.dadl");
    let base = BaseUrl::parse("http://api.example:1").unwrap();
    // A name whose addresses are mixed is reached at the public ones: none of them listens here,
    // and one on this machine would.
    let reach = settings.reach(base.as_url(), None);
    let guard =
        ConnectionGuard::new(reach).with_resolver(Arc::new(Everywhere::at("127.0.0.1 ::1")));
    let error =
        http::check_reachable(&base, Duration::from_secs(5), &guard).await.unwrap_err().to_string();
    assert!(error.contains("has the private address 127.0.0.1"), "{error}");
}

/// Runs the program in `home` with these variables.
async fn run(home: &Path, arguments: &[&str], variables: &[(&str, String)]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("CREDENTIAL_ID", ID)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn through_a_proxy_the_name_is_judged() {
    let proxy = Upstream::start(vec![Answer::json(200, "[]")]).await;
    let port = proxy.address.port();
    let home = tempfile::tempdir().unwrap();
    let descriptor = |base: &str| {
        let text = DESCRIPTOR.replace("{ AUTH }", BEARER);
        let text = text.replace("MORE", &format!("base_url: '{base}'"));
        std::fs::write(home.path().join("fake.dadl"), text).unwrap();
    };
    let call = ["call", "get", "--dadl", "./fake.dadl"];
    // The proxy may be private, whatever it is called: the operator named it.
    for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
        let variables = [("HTTP_PROXY", format!("http://{host}:{port}"))];
        descriptor("http://api.example/v1");
        let (ok, err) = run(home.path(), &call, &variables).await;
        assert!(ok, "{err}");
        for base in ["http://10.0.0.1/v1", "http://localhost/v1", "http://[::ffff:127.0.0.1]:9/"] {
            descriptor(base);
            let (ok, err) = run(home.path(), &call, &variables).await;
            assert!(!ok && err.contains("private address"), "{base}: {err}");
        }
    }
    let lines: Vec<String> =
        proxy.requests().iter().map(|it| it.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET http://api.example/v1/things HTTP/1.1"; 3]);
}

#[tokio::test]
async fn flags_name_a_private_host_as_settings_do() {
    let (login, api) = rotating().await;
    let home = Home::new(ROTATING, &format!("http://{}", login.address), &api.url())
        .with("CREDENTIAL_FAKE_ID", "client-7")
        .with("CREDENTIAL_FAKE_REFRESH", "refresh-token-0");
    let host = login.address.to_string();
    let flag = format!("--allow-private-host {host}");
    for command in [&["call", "get"][..], &["doctor"], &["setup", "--from-env"]] {
        let refused = home.run(command, "").await;
        assert_ne!(refused.code, 0);
        let said = refused.out + &refused.err;
        assert!(said.contains(&format!("if that is meant, add `{flag}`")), "{command:?}: {said}");
    }
    // Another port is another place.
    let elsewhere = format!("--allow-private-host=127.0.0.1:{}", login.address.port() ^ 1);
    assert_ne!(home.run(&["call", "get", &elsewhere], "").await.code, 0);
    assert!(login.requests().is_empty());
    let flags = ["--allow-private-host", "sso.example", "--allow-private-host", &host];
    let run = home.run(&[&["call", "get"], &flags[..]].concat(), "").await;
    assert_eq!(run.code, 0, "{}", run.err);
    let run = home.run(&["call", "get", "--allow-private-host", "http://a/"], "").await;
    assert!(run.code == 2 && run.err.contains("write a name such as"), "{}", run.err);
}
