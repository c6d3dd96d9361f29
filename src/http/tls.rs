//! Which certificates of a backend are accepted.
//!
//! XO and many other appliances make their own, without a name in it and marked as that of an
//! authority: no chain leads to it. An operator who has seen it can say so, by its fingerprint
//! (`tls_fingerprint`) or by the certificate itself (`ca_file`). Then it is accepted whatever else is in
//! it, for the host of the backend alone; that the server has its key is proved by the handshake in
//! every case. With fingerprints nothing else is accepted: one that has changed is refused.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{Client, redirect::Policy};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier as Platform;
use url::{Host, Url};

use super::{
    certificate::CertificateDetails,
    certificate_trust::{CertificateTrust, PresentedCertificate, RefusedCertificate},
    client_certificate::ClientCertificate,
    client_error::ClientError,
    connection_guard::ConnectionGuard,
    crypto_provider::install_provider,
    error::{SendError, SendErrorKind},
};
use crate::{
    call::BaseUrl,
    config::{AddressKey, BackendSettings, CertificatePin},
};

/// What this program speaks, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Returns the settings of TLS for the origin of `url`. What is accepted by itself is so for the host of
/// the backend alone: where `is_own` says that `url` has its origin. `identity` is shown to a server
/// that asks for one.
pub(super) fn client_config(
    settings: &BackendSettings,
    url: &Url,
    is_own: bool,
    identity: Option<&ClientCertificate>,
) -> Result<ClientConfig, ClientError> {
    Ok(config_with_verifier(verifier_at(settings, url, is_own)?, identity))
}

/// Finds out what a server presents: the handshake ends before anything is sent.
///
/// # Errors
///
/// There is no connection, or no certificate came over it.
pub(crate) async fn presented_certificate(
    settings: &BackendSettings,
    base: &BaseUrl,
    guard: &ConnectionGuard,
) -> Result<PresentedCertificate, PresentError> {
    presented_at(settings, (AddressKey::BaseUrl, base.as_url(), true), guard).await
}

/// Does the same at the origin of `url`, which `key` gives; `is_own` says that it is that of the backend.
///
/// # Errors
///
/// Those of [`presented_certificate`].
pub(crate) async fn presented_at(
    settings: &BackendSettings,
    (key, url, is_own): (AddressKey, &Url, bool),
    guard: &ConnectionGuard,
) -> Result<PresentedCertificate, PresentError> {
    let seen = Arc::new(Mutex::new(None));
    let verifier = verifier_at(settings, url, is_own)?;
    let verifier = OriginVerifier { seen: Some(Arc::clone(&seen)), ..verifier };
    let builder = Client::builder()
        .connect_timeout(settings.timeouts.connect)
        .timeout(settings.timeouts.connect)
        .redirect(Policy::none())
        .tls_backend_preconfigured(config_with_verifier(verifier, None));
    let builder = guard.watch(builder, key, url).map_err(ClientError::from)?;
    let client =
        builder.build().map_err(|error| ClientError::Client(crate::outcome::chain(&error)))?;
    let sent = client.head(url.clone()).send().await;
    if let Some(presented) = seen.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Ok(presented);
    }
    let connect = settings.timeouts.connect;
    let kind = match sent {
        Err(error) => SendErrorKind::from_reqwest(&error, connect, connect),
        Ok(_) => SendErrorKind::Tls("no certificate came".to_owned()),
    };
    let backend = settings.name.clone();
    Err(SendError { backend, request: "a TLS handshake".to_owned(), kind, attempts: 1 }.into())
}

/// Why nobody knows what a server presents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PresentError {
    /// The operator: the client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no connection.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Returns the certificates of a PEM file.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let fail = |reason: String| ClientError::CaFile { path: path.display().to_string(), reason };
    let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| fail("is no PEM file".to_owned()))?;
    if certificates.is_empty() {
        return Err(fail("holds no certificate".to_owned()));
    }
    Ok(certificates)
}

fn config_with_verifier(
    verifier: OriginVerifier,
    identity: Option<&ClientCertificate>,
) -> ClientConfig {
    let provider = Arc::clone(&verifier.provider);
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS);
    // Invariant: ring has cipher suites for both versions.
    let builder = builder.unwrap_or_else(|_| ClientConfig::builder());
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config
}

/// Makes what decides about certificates at the origin of `url`.
fn verifier_at(
    settings: &BackendSettings,
    url: &Url,
    is_own: bool,
) -> Result<OriginVerifier, ClientError> {
    let own = own_verifier(settings, url)?;
    if is_own {
        return Ok(own);
    }
    // What a person has seen there, and nothing that is of the backend.
    let pins = settings.login_pins.iter().filter_map(|pin| pin.at(url)).collect();
    Ok(OriginVerifier { pins, ..own.by_chain_alone() })
}

/// Makes what decides about certificates of the backend itself.
fn own_verifier(settings: &BackendSettings, url: &Url) -> Result<OriginVerifier, ClientError> {
    let provider = install_provider();
    let files = settings.ca_file.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
    let known = files.iter().map(|it| CertificatePin::of(it)).collect();
    let chain = if settings.tls_skip_verify {
        None
    } else {
        // One that can be no authority may be the server's own.
        let is_authority =
            |it: &CertificateDer<'static>| RootCertStore::empty().add(it.clone()).is_ok();
        let roots = files.into_iter().filter(is_authority);
        let platform = Platform::new_with_extra_roots(roots, Arc::clone(&provider));
        // Without a single authority only what is known by itself can be accepted.
        Some(platform)
    };
    let pins = settings.tls_fingerprint.clone();
    Ok(OriginVerifier { host: url_host(url), pins, known, chain, provider, seen: None })
}

/// Returns the host as certificates name it.
fn url_host(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.to_ascii_lowercase(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    }
}

/// Decides about the certificates of one origin.
#[derive(Debug)]
struct OriginVerifier {
    /// A proxy on the way is another host.
    host: String,
    pins: Vec<CertificatePin>,
    /// Of the certificates in `ca_file`.
    known: Vec<CertificatePin>,
    /// Follows the chain; `None` where any certificate will do.
    chain: Option<Result<Platform, rustls::Error>>,
    provider: Arc<CryptoProvider>,
    /// Where it only looks: what it has seen.
    seen: Option<Arc<Mutex<Option<PresentedCertificate>>>>,
}

impl OriginVerifier {
    /// Accepts nothing by itself: the host is not that of the backend.
    fn by_chain_alone(self) -> Self {
        Self { pins: Vec::new(), known: Vec::new(), ..self }
    }

    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<CertificateTrust, RefusedCertificate> {
        let fingerprint = CertificatePin::of(certificate);
        if self.is_host(name) {
            if self.pins.contains(&fingerprint) {
                return Ok(CertificateTrust::Pin);
            }
            if !self.pins.is_empty() {
                return Err(RefusedCertificate::Changed(fingerprint));
            }
            if self.known.contains(&fingerprint) {
                return Ok(CertificateTrust::File);
            }
        }
        let untrusted = |error: &rustls::Error| RefusedCertificate::Untrusted {
            fingerprint,
            reason: error.to_string(),
        };
        match &self.chain {
            None => Ok(CertificateTrust::Any),
            Some(Err(error)) => Err(untrusted(error)),
            Some(Ok(platform)) => {
                let checked =
                    platform.verify_server_cert(certificate, intermediates, name, &[], now);
                checked.map(|_| CertificateTrust::Chain).map_err(|error| untrusted(&error))
            }
        }
    }

    /// Returns whether `name` is that of the backend.
    fn is_host(&self, name: &ServerName<'_>) -> bool {
        name.to_str().trim_end_matches('.').eq_ignore_ascii_case(self.host.trim_end_matches('.'))
    }

    /// Whether the signature of a handshake need not be right: where any certificate will do, nothing
    /// is proved by it.
    fn is_careless(&self) -> bool {
        self.chain.is_none() && self.pins.is_empty()
    }
}

impl ServerCertVerifier for OriginVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let trust = self.judge(certificate, intermediates, name, now);
        if let Some(seen) = &self.seen
            && self.is_host(name)
        {
            let details = CertificateDetails::read(certificate);
            let presented = PresentedCertificate {
                details,
                fingerprint: CertificatePin::of(certificate),
                trust,
            };
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
            return Err(rustls::Error::General("it was only looked at".to_owned()));
        }
        trust.map(|_| ServerCertVerified::assertion()).map_err(|refused| {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                refused,
            ))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.is_careless() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.is_careless() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
