//! Certificates that appliances make themselves: accepted when the operator names them, and refused with
//! their fingerprint when they are others.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dadl_descriptor::model::auth::login::ClientAuth;
use dadl_mcp::{
    call::BaseUrl,
    config::{BackendSettings, CertificatePin},
    executor::CallError,
    http::{
        certificate_trust::RefusedCertificate, connection_guard::ConnectionGuard,
        error::SendErrorKind, login::TokenEndpoint,
    },
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    api::api,
    harness::{Fixed, Harness},
};

const DESCRIPTOR: &str = api!(auth: "type: bearer, credential: fake_token", backend: r#"
  defaults: { errors: { retry_strategy: { max_retries: 0 } } }
  tools:
    get: { method: GET, path: /things, access: read, description: "Things." }
    put: { method: POST, path: /things, access: write, description: "Things.", params: { name: { type: string, in: body } } }
    save: { method: GET, path: /file, access: read, description: "A file.", response: { binary: true } }
    send: { method: POST, path: /file, access: write, description: "A file.", content_type: application/octet-stream, params: { file: { type: file_url, in: body } } }
    watch: { method: GET, path: /events, access: read, description: "Events.", response: { streaming: true } }
"#);

/// A certificate of a server's own, as XO makes them: an authority without a name; and its key.
struct Own {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Own {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "xo.lab");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { der: certificate.der().clone(), pem: certificate.pem(), key }
    }

    fn pin(&self) -> CertificatePin {
        CertificatePin::of(&self.der)
    }
}

/// Presents a certificate with a key that need not be its own.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A server that presents a certificate; counts the requests that it gets.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(own: &Own) -> Self {
        Self::with_key(own, &own.key).await
    }

    async fn with_key(own: &Own, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let presents = Presents(Arc::new(CertifiedKey::new(vec![own.der.clone()], key)));
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(presents));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not accept the certificate goes away during the handshake.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 4096];
                let Ok(length @ 1..) = stream.read(&mut request).await else { continue };
                counter.fetch_add(1, Ordering::SeqCst);
                let is_stream = request[..length].starts_with(b"GET /events");
                let kind = if is_stream { "application/x-ndjson" } else { "application/json" };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntrue\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, requests }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }

    fn bench(&self, change: impl FnOnce(&mut BackendSettings)) -> Harness {
        Harness::new(DESCRIPTOR, &self.url("localhost"), credential(), change)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn credential() -> Fixed {
    Fixed(Ok("a-long-token".to_owned()))
}

/// Why the certificate was refused.
async fn refused(bench: &Harness) -> (RefusedCertificate, String) {
    let error = bench.call("get", json!({})).await.unwrap_err();
    let text = error.for_model();
    let CallError::Send(error) = error else { panic!("{error:?}") };
    let SendErrorKind::Certificate(refused) = error.kind else { panic!("{error:?}") };
    (*refused, text)
}

#[tokio::test]
async fn a_pinned_certificate_is_accepted_for_everything() {
    let own = Own::with(|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let server = Server::start(&own).await;
    for host in ["localhost", "127.0.0.1"] {
        let bench = Harness::new(DESCRIPTOR, &server.url(host), credential(), |settings| {
            settings.tls_fingerprint = vec![CertificatePin::of(b"the one before"), own.pin()];
        });
        for tool in ["get", "put", "save", "watch"] {
            bench.call(tool, json!({})).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
        }
    }
    assert_eq!(server.requests(), 8);
}

#[tokio::test]
async fn a_certificate_that_is_in_the_file_itself_is_accepted() {
    let (own, other) = (Own::new(), Own::new());
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("xo.pem");
    std::fs::write(&file, format!("{}{}", other.pem, own.pem)).unwrap();
    let server = Server::start(&own).await;
    let bench = server.bench(|settings| settings.ca_file = Some(file.clone()));
    assert_eq!(bench.value("get", json!({})).await, json!(true));
    // One that has changed is not.
    let changed = Own::new();
    let server = Server::start(&changed).await;
    let bench = server.bench(|settings| settings.ca_file = Some(file));
    let (refused, text) = refused(&bench).await;
    assert_eq!(refused.fingerprint(), changed.pin());
    assert!(text.contains(&changed.pin().to_string()) && text.contains("dadl-mcp setup"), "{text}");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_changed_certificate_is_refused_with_its_fingerprint() {
    let (own, pinned) = (Own::new(), Own::new());
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("xo.pem");
    std::fs::write(&file, &own.pem).unwrap();
    let server = Server::start(&own).await;
    // Whatever else would accept it.
    for skips in [false, true] {
        let bench = server.bench(|settings| {
            settings.tls_fingerprint = vec![pinned.pin()];
            settings.ca_file = Some(file.clone());
            settings.tls_skip_verify = skips;
        });
        let (refused, text) = refused(&bench).await;
        assert_eq!(refused, RefusedCertificate::Changed(own.pin()));
        assert!(text.contains(&own.pin().to_string()), "{text}");
        assert!(text.contains("nothing was sent") && text.contains("`tls_fingerprint`"), "{text}");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn who_has_the_certificate_and_not_its_key_is_refused() {
    let own = Own::new();
    let server = Server::with_key(&own, &KeyPair::generate().unwrap()).await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("xo.pem");
    std::fs::write(&file, &own.pem).unwrap();
    let pinned = server.bench(|settings| settings.tls_fingerprint = vec![own.pin()]);
    let known = server.bench(|settings| settings.ca_file = Some(file));
    let both = server.bench(|settings| {
        settings.tls_fingerprint = vec![own.pin()];
        settings.tls_skip_verify = true;
    });
    for bench in [pinned, known, both] {
        let error = bench.call("get", json!({})).await.unwrap_err().for_model();
        assert!(error.contains("TLS failed"), "{error}");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn what_is_pinned_is_pinned_for_its_origin_alone() {
    let own = Own::new();
    let (api, other) = (Server::start(&own).await, Server::start(&own).await);
    let mut settings = BackendSettings::new("fake", "fake.dadl");
    settings.tls_fingerprint = vec![own.pin()];
    settings.allow_private_hosts = vec!["localhost".parse().unwrap()];
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("xo.pem");
    std::fs::write(&file, &own.pem).unwrap();
    settings.ca_file = Some(file);
    let base = BaseUrl::parse(&api.url("localhost")).unwrap();
    let ask = async |server: &Server| {
        let url: url::Url = format!("{}/token", server.url("localhost")).parse().unwrap();
        let reach = settings.reach(base.as_url(), None);
        let endpoint = TokenEndpoint::new(
            url,
            ClientAuth::Post,
            &settings,
            &base,
            &ConnectionGuard::new(reach),
        );
        endpoint.unwrap().ask(None, &[("grant_type", "x")]).await.unwrap_err().to_string()
    };
    // The answer of the server is no token, and it is an answer.
    let error = ask(&api).await;
    assert!(error.contains("it answered HTTP 200"), "{error}");
    let error = ask(&other).await;
    assert!(error.contains("not trusted") && error.contains(&own.pin().to_string()), "{error}");
    assert_eq!((api.requests(), other.requests()), (1, 0));
}

/// Runs the program with these arguments and a credential in its environment.
async fn run(home: &std::path::Path, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("DADL_MCP_STORE", "file")
        .env("CREDENTIAL_FAKE_TOKEN", "a-long-token")
        .stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn setup_shows_the_certificate_and_sends_nothing_before_it_is_pinned() {
    let own = Own::new();
    let server = Server::start(&own).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("fake.dadl"), DESCRIPTOR).unwrap();
    let (url, pin) = (server.url("localhost"), own.pin().to_string());
    let flags = ["setup", "--dadl", "./fake.dadl", "--url", &url, "--from-env"];
    let (ok, _, err) = run(home.path(), &flags).await;
    assert!(!ok && err.contains("NOT trusted") && err.contains("CN=xo.lab"), "{err}");
    assert!(err.contains(&format!("--tls-fingerprint {pin}")), "{err}");
    assert!(err.contains("nothing was sent"), "{err}");
    assert_eq!(server.requests(), 0);
    // By a settings file the line to paste is another.
    let settings = format!("backends: [{{ name: fake, dadl: ./fake.dadl, url: '{url}' }}]\n");
    std::fs::write(home.path().join("settings.yaml"), &settings).unwrap();
    let (ok, _, err) =
        run(home.path(), &["setup", "--config", "settings.yaml", "--from-env"]).await;
    assert!(!ok && err.contains(&format!("`tls_fingerprint: \"{pin}\"` of \"fake\"")), "{err}");
    assert_eq!(server.requests(), 0);
    let pinned = settings.replace(" }]", &format!(", tls_fingerprint: '{pin}' }}]"));
    std::fs::write(home.path().join("settings.yaml"), pinned).unwrap();
    let (ok, _, err) =
        run(home.path(), &["setup", "--config", "settings.yaml", "--from-env"]).await;
    assert!(ok && err.contains("it is pinned") && server.requests() > 0, "{err}");
}

#[tokio::test]
async fn doctor_names_the_certificate_and_why_it_is_accepted() {
    let own = Own::with(|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let server = Server::start(&own).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("fake.dadl"), DESCRIPTOR).unwrap();
    let (url, pin) = (server.url("localhost"), own.pin().to_string());
    let lower = pin.to_lowercase().replace(':', "");
    let tls = async |flags: &[&str]| {
        let base = ["doctor", "--json", "--dadl", "./fake.dadl", "--url", &url];
        let (_, out, err) = run(home.path(), &[&base[..], flags].concat()).await;
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        let mut lines = report["checks"].as_array().unwrap().iter();
        let line = lines.rfind(|line| line["subject"] == "tls").unwrap().clone();
        let text = format!("{} {}", line["finding"], line["hint"]);
        (line["health"].as_str().unwrap().to_owned(), text)
    };
    let (health, text) = tls(&[]).await;
    assert!(
        health == "FAIL" && text.contains(&pin) && text.contains("--tls-fingerprint"),
        "{text}"
    );
    let (health, text) = tls(&["--tls-fingerprint", &lower]).await;
    assert!(health == "WARN" && text.contains(&pin), "{text}");
    assert!(text.contains("it is pinned") && text.contains("valid until 2002-01-01"), "{text}");
    assert!(text.contains("it has expired, and is accepted all the same"), "{text}");
    let (health, text) = tls(&["--tls-skip-verify"]).await;
    assert!(health == "WARN" && text.contains("instead of `tls_skip_verify`"), "{text}");
    assert!(text.contains(&format!("--tls-fingerprint {pin}")), "{text}");
    let other = CertificatePin::of(b"another").to_string();
    let (health, text) = tls(&["--tls-fingerprint", &other]).await;
    assert!(health == "FAIL" && text.contains(&pin) && text.contains("in between"), "{text}");
}
