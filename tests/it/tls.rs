//! TLS: the operator's own authority is trusted, a stranger's certificate is not.

use std::sync::Arc;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
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
"#);

/// What speaks TLS as this host, with a certificate of its own authority; and the authority in PEM.
pub(crate) fn acceptor(host: &str) -> (TlsAcceptor, String) {
    let provider = rustls::crypto::ring::default_provider();
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let leaf: CertificateDer<'static> = leaf.signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), pem)
}

/// A server on this machine; returns its port and its authority.
async fn server() -> (u16, String) {
    let (acceptor, pem) = acceptor("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate goes away during the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\ntrue";
            let _ = stream.write_all(head).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, pem)
}

fn credential() -> Fixed {
    Fixed(Ok("a-long-token".to_owned()))
}

#[tokio::test]
async fn an_unknown_authority_is_refused_with_the_setting_that_helps() {
    let (port, _) = server().await;
    let url = format!("https://localhost:{port}/api");
    let harness = Harness::new(DESCRIPTOR, &url, credential(), |_| {});
    let error = harness.call("get", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("TLS failed") && error.contains("`ca_file`"), "{error}");
}

#[tokio::test]
async fn the_authority_of_ca_file_is_trusted() {
    let (port, pem) = server().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let url = format!("https://localhost:{port}/api");
    let harness = Harness::new(DESCRIPTOR, &url, credential(), |settings| {
        settings.ca_file = Some(file);
    });
    assert_eq!(harness.value("get", json!({})).await, json!(true));
    // The certificate names localhost, and nothing else.
    let home = tempfile::tempdir().unwrap();
    let broken = home.path().join("broken.pem");
    std::fs::write(&broken, "no certificate").unwrap();
    let harness = Harness::new(DESCRIPTOR, &url, credential(), |settings| {
        settings.ca_file = Some(broken.clone());
    });
    let error = harness.call("get", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("broken.pem") && error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn verification_can_be_switched_off_for_one_backend() {
    let (port, _) = server().await;
    let url = format!("https://localhost:{port}/api");
    let harness = Harness::new(DESCRIPTOR, &url, credential(), |settings| {
        settings.tls_skip_verify = true;
    });
    assert_eq!(harness.value("get", json!({})).await, json!(true));
}
