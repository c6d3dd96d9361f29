//! The certificate that an API is shown: at its origin alone, and without a restart when it changes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use dadl_mcp::{
    access::AllowedOrigin, config::BackendSettings, http::certificate::CertificateDetails,
};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    setup::Home,
};

const DESCRIPTOR: &str = api!(auth: "AUTH", backend: r#"
  defaults: { errors: { retry_strategy: { max_retries: 0 } } }
  tools:
    get: { method: GET, path: /things, access: read, description: Things. }
    file: { method: GET, path: /file, access: read, description: A file., response: { binary: true } }
    far: { method: GET, path: OTHER/far, access: read, description: Far. }
"#);

const BEARER: &str = "type: bearer, credential: fake_token";

/// What signs certificates for both sides.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        let (pem, der) = (own.pem(), own.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// Its own certificate, in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate of somebody called `name`, and its key, in PEM.
    pub(crate) fn client(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub(crate) fn acceptor(&self, is_required: bool) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let clients = if is_required { clients } else { clients.allow_unauthenticated() };
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![leaf], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server that answers with the name in the certificate that it was shown, or null.
struct Server {
    port: u16,
    /// The paths of the requests, and who made them.
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    async fn start(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, &seen).await;
                    }
                });
            }
        });
        Self { port, seen }
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Answers until the client goes away: the connection stays open between requests.
async fn converse(stream: TlsStream<TcpStream>, seen: &Mutex<Vec<(String, Value)>>) {
    let shown = stream.get_ref().1.peer_certificates();
    let name =
        shown.map_or(Value::Null, |shown| CertificateDetails::read(&shown[0]).subject.into());
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match stream.read_line(&mut head).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let body = match path.as_str() {
            "/token" => json!({ "access_token": "tok-of-the-test", "expires_in": 3600 }),
            _ => name.clone(),
        };
        seen.lock().unwrap().push((path, name.clone()));
        let body = body.to_string();
        let head = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An authority, a server that asks for certificates, and files for one.
struct Bench {
    authority: Authority,
    server: Server,
    home: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::asking(true).await
    }

    async fn asking(is_required: bool) -> Self {
        let authority = Authority::new();
        let server = Server::start(authority.acceptor(is_required)).await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("ca.pem"), &authority.pem).unwrap();
        Self { authority, server, home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes the files of somebody called `name`.
    fn become_client(&self, name: &str) {
        let (cert, key) = self.authority.client(name);
        self.write("cert.pem", &cert);
        self.write("key.pem", &key);
    }

    fn harness(&self, auth: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
        self.harness_of(&DESCRIPTOR.replace("AUTH", auth), change)
    }

    fn harness_of(&self, text: &str, change: impl FnOnce(&mut BackendSettings)) -> Harness {
        let credential = Fixed(Ok("s3cr3t-token-value".to_owned()));
        Harness::new(text, &self.server.origin(), credential, |settings| {
            settings.ca_file = Some(self.path("ca.pem"));
            settings.client_cert = Some(self.path("cert.pem"));
            settings.client_key = Some(self.path("key.pem"));
            change(settings);
        })
    }
}

async fn shown(harness: &Harness) -> Value {
    harness.value("get", json!({})).await
}

async fn failure(harness: &Harness) -> String {
    harness.call("get", json!({})).await.unwrap_err().for_model()
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let bench = Bench::new().await;
    bench.become_client("first");
    let harness = bench.harness(BEARER, |_| {});
    assert_eq!(shown(&harness).await, "CN=first");
    // Each client of the backend shows it.
    harness.call("file", json!({})).await.unwrap();
    let seen = bench.server.take();
    assert_eq!(seen[1], ("/file".to_owned(), "CN=first".into()));
    // The key may be in the file of the certificate.
    let (cert, key) = bench.authority.client("both");
    bench.write("both.pem", &format!("{key}{cert}"));
    let harness = bench.harness(BEARER, |settings| {
        settings.client_cert = Some(bench.path("both.pem"));
        settings.client_key = None;
    });
    assert_eq!(shown(&harness).await, "CN=both");
    // Without one the server says no.
    let harness = bench.harness(BEARER, |settings| {
        (settings.client_cert, settings.client_key) = (None, None);
    });
    harness.call("get", json!({})).await.unwrap_err();
    assert_eq!(bench.server.take().len(), 1);
}

#[tokio::test]
async fn a_new_certificate_counts_without_a_restart() {
    let bench = Bench::new().await;
    let harness = bench.harness(BEARER, |_| {});
    for name in ["first", "second", "third"] {
        bench.become_client(name);
        let expected = format!("CN={name}");
        // The connection of before stays open, and is not used.
        assert_eq!(shown(&harness).await, expected);
        assert_eq!(shown(&harness).await, expected);
    }
}

#[tokio::test]
async fn half_a_change_keeps_the_old_one() {
    let bench = Bench::new().await;
    bench.become_client("first");
    let harness = bench.harness(BEARER, |_| {});
    assert_eq!(shown(&harness).await, "CN=first");
    let (cert, key) = bench.authority.client("second");
    bench.write("cert.pem", &cert);
    assert_eq!(shown(&harness).await, "CN=first");
    assert_eq!(shown(&harness).await, "CN=first");
    for half in [&key[..key.len() / 2], "", "no key"] {
        bench.write("key.pem", half);
        assert_eq!(shown(&harness).await, "CN=first", "{half}");
    }
    std::fs::remove_file(bench.path("key.pem")).unwrap();
    assert_eq!(shown(&harness).await, "CN=first");
    bench.write("key.pem", &key);
    assert_eq!(shown(&harness).await, "CN=second");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_not_shown() {
    let bench = Bench::new().await;
    let error = failure(&bench.harness(BEARER, |_| {})).await;
    assert!(error.contains("`client_cert`") && error.contains("cert.pem"), "{error}");
    bench.become_client("first");
    let (_, other) = bench.authority.client("other");
    let body = other.lines().nth(1).unwrap();
    for (text, expected) in [
        (other.as_str(), "they are not of one pair"),
        (&other[..60], "holds no private key"),
        (&other.replace("PRIVATE", "ENCRYPTED PRIVATE"), "not encrypted"),
        ("", "is empty"),
    ] {
        bench.write("key.pem", text);
        let error = failure(&bench.harness(BEARER, |_| {})).await;
        assert!(error.contains(expected) && error.contains("key.pem"), "{error}");
        assert!(!error.contains(body), "{error}");
    }
    // What was wrong is not remembered.
    let harness = bench.harness(BEARER, |_| {});
    failure(&harness).await;
    bench.become_client("first");
    assert_eq!(shown(&harness).await, "CN=first");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_others_can_write_is_refused() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    let bench = Bench::new().await;
    bench.become_client("first");
    let key = bench.path("key.pem");
    std::fs::set_permissions(&key, Permissions::from_mode(0o666)).unwrap();
    let harness = bench.harness(BEARER, |_| {});
    let error = failure(&harness).await;
    assert!(error.contains("`client_key`") && error.contains("cannot be trusted"), "{error}");
    assert!(bench.server.take().is_empty());
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(shown(&harness).await, "CN=first");
}

#[tokio::test]
async fn a_token_endpoint_elsewhere_does_not_get_it() {
    let bench = Bench::asking(false).await;
    let other = Server::start(bench.authority.acceptor(false)).await;
    bench.become_client("first");
    for (endpoint, expected) in [(&other, Value::Null), (&bench.server, "CN=first".into())] {
        let auth = format!(
            "type: oauth2, token_url: '{}/token', client_id_credential: id, \
             client_secret_credential: secret",
            endpoint.origin()
        );
        let harness = bench.harness(&auth, |settings| {
            settings.allow_private_hosts = vec!["localhost".parse().unwrap()];
        });
        assert_eq!(shown(&harness).await, "CN=first");
        let token = endpoint.take().into_iter().find(|(path, _)| path == "/token");
        assert_eq!(token, Some(("/token".to_owned(), expected)));
    }
}

#[tokio::test]
async fn another_host_gets_it_with_the_credential_alone() {
    let bench = Bench::asking(false).await;
    let other = Server::start(bench.authority.acceptor(false)).await;
    bench.become_client("first");
    let text = DESCRIPTOR.replace("AUTH", BEARER).replace("OTHER", &other.origin());
    for (credential, expected) in [(false, Value::Null), (true, "CN=first".into())] {
        let mut allowed: AllowedOrigin = other.origin().parse().unwrap();
        allowed.credential = credential;
        let harness =
            bench.harness_of(&text, |settings| settings.policy.origins = vec![allowed.clone()]);
        assert_eq!(harness.value("far", json!({})).await, expected);
        assert_eq!(shown(&harness).await, "CN=first");
    }
}

/// Runs `list` for the backend at `url` with a client certificate.
async fn list(home: &Home, url: &str, cert: &Path) -> (i32, String) {
    let cert = cert.display().to_string();
    let run = home
        .run_alone(&["list", "--dadl", "fake.dadl", "--url", url, "--client-cert", &cert])
        .await;
    (run.code, run.err)
}

#[tokio::test]
async fn what_cannot_be_shown_is_told_at_the_start() {
    let home = Home::new(BEARER, "", "https://api.example.com");
    let (cert, key) = Authority::new().client("first");
    let file = home.path().join("both.pem");
    std::fs::write(&file, format!("{cert}{key}")).unwrap();
    let (code, err) = list(&home, "https://api.example.com", &file).await;
    assert_eq!(code, 0, "{err}");
    let (code, err) = list(&home, "http://api.example.com", &file).await;
    assert!(code == 3 && err.contains("`client_cert` would not be shown"), "{err}");
    let (code, err) = list(&home, "https://api.example.com", &home.path().join("gone")).await;
    assert!(code == 3 && err.contains("gone cannot be read"), "{err}");
    std::fs::write(&file, cert).unwrap();
    let (code, err) = list(&home, "https://api.example.com", &file).await;
    assert!(code == 3 && err.contains("both.pem holds no private key"), "{err}");
}
