//! Requests to a server and to those whom it names, before there is a login: each to one address, by a
//! client that the connection guard watches, read up to a bound.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use url::Url;

use super::{MOST_BYTES, error::AuthorizationError};
use crate::{
    call::BaseUrl,
    config::{
        AddressKey, BackendSettings, CertificatePin, LoginPin, PrivateHost, address,
        server_login::shown_url,
    },
    files::{HostResolver, SystemResolver},
    http::{
        auth::AppliedCredential,
        certificate_trust,
        client::{self, ClientPurpose},
        client_certificate::IdentityFiles,
        client_error::ClientError,
        connection_guard::{self, ConnectionGuard},
        tls,
    },
    outcome::chain,
};

/// The revision of MCP in which a server is introduced to. Whether that is its own makes no difference to
/// whether it lets us in.
const REVISION: &str = "2025-06-18";

/// A server at a URL, and how it is reached.
#[derive(Clone)]
pub struct ServerSite {
    settings: BackendSettings,
    url: Url,
    base: BaseUrl,
    resolver: Arc<dyn HostResolver>,
    /// Whether one of those whom it names has a private address of its own network.
    is_private: bool,
}

/// An answer to a request, read.
pub(super) struct ReadAnswer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// What a server said to an introduction.
#[derive(Debug, Clone)]
pub struct IntroductionAnswer {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
}

impl ServerSite {
    /// Reaches the server of `settings` at `url`.
    ///
    /// # Errors
    ///
    /// It cannot be reached at all.
    pub fn new(settings: &BackendSettings, url: &Url) -> Result<Self, AuthorizationError> {
        let origin = url.origin().ascii_serialization();
        let base = BaseUrl::parse(&origin).map_err(|error| AuthorizationError::NoAnswer {
            url: shown_url(url),
            reason: error.to_string(),
        })?;
        Ok(Self {
            settings: settings.clone(),
            url: url.clone(),
            base,
            resolver: Arc::new(SystemResolver),
            is_private: false,
        })
    }

    /// Finds addresses by `resolver`.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn HostResolver>) -> Self {
        Self { resolver, ..self }
    }

    /// Returns the server.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the origin of the server.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Returns the settings, with the hosts that were admitted.
    pub fn settings(&self) -> &BackendSettings {
        &self.settings
    }

    /// Returns whether an address was admitted that is private.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// Returns where it may connect.
    pub fn guard(&self) -> ConnectionGuard {
        let reach = self.settings.reach(&self.url, None);
        ConnectionGuard::new(reach).with_resolver(Arc::clone(&self.resolver))
    }

    /// Lets requests go to an address that the server names, where that is in the network that the server
    /// itself is in. Others are judged by the guard.
    pub fn admit(&mut self, url: &Url) {
        let (Some(here), Some(there)) = (self.url.host(), url.host()) else { return };
        if self.url.origin() != url.origin()
            && address::share_network(&here, &there)
            && let Some(host) = PrivateHost::of(url)
        {
            self.is_private = true;
            if !self.settings.allow_private_hosts.contains(&host) {
                self.settings.allow_private_hosts.push(host);
            }
        }
    }

    /// Accepts a certificate that a person has seen, at the origin of `url`.
    pub(crate) fn accept(&mut self, url: &Url, pin: CertificatePin) {
        self.settings.login_pins.push(LoginPin::new(url, pin));
    }

    /// Introduces us to the server, with a login or without; only whether it lets us in is of interest.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub(crate) async fn introduce(
        &self,
        login: Option<&AppliedCredential>,
    ) -> Result<IntroductionAnswer, AuthorizationError> {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": REVISION,
                "capabilities": {},
                "clientInfo": { "name": "dadl-mcp", "version": env!("CARGO_PKG_VERSION") },
            },
        });
        let client = self.client(AddressKey::BaseUrl, &self.url)?;
        let request = client
            .post(self.url.clone())
            .headers(self.settings.headers.iter().cloned().collect())
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let answer = with_login(request, &self.url, login).send().await;
        let answer = answer.map_err(|error| no_answer(&self.url, error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        drop(answer);
        // A session that nobody goes on with.
        if let Some(session) = headers.get("mcp-session-id") {
            let request = client
                .delete(self.url.clone())
                .headers(self.settings.headers.iter().cloned().collect())
                .header("mcp-session-id", session.clone());
            let _ = with_login(request, &self.url, login).send().await;
        }
        Ok(IntroductionAnswer { status, headers })
    }

    /// Fetches a document that `key` leads to.
    ///
    /// # Errors
    ///
    /// There is no answer, or none that is small enough.
    pub(super) async fn get(&self, url: &Url) -> Result<ReadAnswer, AuthorizationError> {
        let client = self.client(AddressKey::AuthorizationServer, url)?;
        let request = client.get(url.clone()).header(header::ACCEPT, "application/json");
        read(url, request).await
    }

    /// Sends JSON to an address that `key` leads to.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub(super) async fn post(
        &self,
        url: &Url,
        body: &Value,
    ) -> Result<ReadAnswer, AuthorizationError> {
        let client = self.client(AddressKey::AuthorizationServer, url)?;
        let request = client
            .post(url.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        read(url, request).await
    }

    /// Makes the client of the server itself.
    ///
    /// # Errors
    ///
    /// The settings allow none.
    pub(super) fn own_client(&self) -> Result<Client, ClientError> {
        self.client(AddressKey::BaseUrl, &self.url)
    }

    fn client(&self, key: AddressKey, url: &Url) -> Result<Client, ClientError> {
        let mut settings = self.settings.clone();
        settings.tls_skip_verify &= url.host() == self.url.host();
        let is_own = url.origin() == self.url.origin();
        let files = IdentityFiles::of(&settings).filter(|_| is_own && url.scheme() == "https");
        let identity = files.map(|files| files.read(url)).transpose().map_err(ClientError::from)?;
        let tls = || tls::client_config(&settings, url, is_own, identity.as_ref());
        client::build_client(&settings, (key, url), &self.guard(), tls, ClientPurpose::Answers)
    }
}

fn with_login(
    request: RequestBuilder,
    url: &Url,
    login: Option<&AppliedCredential>,
) -> RequestBuilder {
    let mut fields = HeaderMap::new();
    if let Some(login) = login {
        // It goes with fields alone: never in an address.
        login.apply(&mut url.clone(), &mut fields);
    }
    request.headers(fields)
}

async fn read(url: &Url, request: RequestBuilder) -> Result<ReadAnswer, AuthorizationError> {
    let answer = request.send().await.map_err(|error| no_answer(url, error))?;
    let status = answer.status();
    let mut body = BytesMut::new();
    let mut stream = answer.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| no_answer(url, error))?;
        if body.len() + piece.len() > MOST_BYTES {
            return Err(AuthorizationError::NoAnswer {
                url: shown_url(url),
                reason: format!("its answer is larger than {MOST_BYTES} bytes"),
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(ReadAnswer { status, body: body.freeze() })
}

fn no_answer(url: &Url, error: reqwest::Error) -> AuthorizationError {
    if let Some(refused) = connection_guard::address_refusal(&error) {
        return AuthorizationError::Private(refused.clone());
    }
    match certificate_trust::certificate_refusal(&error) {
        Some(refused) => {
            let (url, refused) = (Box::new(url.clone()), Box::new(refused.clone()));
            AuthorizationError::Certificate { url, refused }
        }
        None => {
            let reason = chain(&error.without_url());
            AuthorizationError::NoAnswer { url: shown_url(url), reason }
        }
    }
}
