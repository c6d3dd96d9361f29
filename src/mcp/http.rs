//! MCP over streamable HTTP: `/mcp`, and `/health` for whoever watches the process.
//!
//! It listens on loopback unless a token is set. Every request to `/mcp` is checked in this order:
//! token (401), then `Host` and `Origin` (403, in rmcp's transport), so that neither a web page nor
//! a name that resolves to this machine can use the operator's credentials.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::{ServeError, Server};

/// A client that is slower than this with its head is not one of ours.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// What running requests may still take after a shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections beyond this wait to be accepted.
const MOST_CONNECTIONS: usize = 1024;

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What clients send as `Authorization: Bearer`; required beyond loopback.
    pub token: Option<SecretString>,
    /// Browser origins that may use the server, such as `https://app.example.com:443`.
    pub allowed_origins: Vec<String>,
    /// Values of `Host` besides the loopback names.
    pub allowed_hosts: Vec<String>,
}

/// A server that listens.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
    shutdown: CancellationToken,
}

type Body = BoxBody<Bytes, Infallible>;

/// What every connection needs.
#[derive(Clone)]
struct Endpoint {
    server: Server,
    service: StreamableHttpService<Server, LocalSessionManager>,
    /// Digests take the same time to compare whatever they hold.
    token: Option<[u8; 32]>,
}

impl HttpServer {
    /// Begins to listen; nothing is served before [`Self::run`].
    ///
    /// # Errors
    ///
    /// [`ServeError::Listen`] when the address is taken, or needs a token.
    pub async fn bind(
        server: Server,
        options: HttpOptions,
        shutdown: CancellationToken,
    ) -> Result<Self, ServeError> {
        let HttpOptions { listen, token, allowed_origins, allowed_hosts } = options;
        let failed = |reason: String| ServeError::Listen { address: listen, reason };
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(failed(
                "beyond loopback a token is required; set --http-token-file or \
                 DADL_MCP_HTTP_TOKEN_FILE"
                    .to_owned(),
            ));
        }
        let listener =
            TcpListener::bind(listen).await.map_err(|error| failed(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let mut config = StreamableHttpServerConfig::default()
            .with_json_response(true)
            .with_allowed_origins(allowed_origins)
            .enforce_origin_validation()
            .with_cancellation_token(shutdown.child_token());
        if token.is_some() && allowed_hosts.is_empty() {
            // A page that was rebound to this address has no token.
            config = config.disable_allowed_hosts();
        } else {
            config.allowed_hosts.extend(allowed_hosts);
        }
        let shared = server.clone();
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(shared.clone()), sessions, config);
        let token = token.map(|token| Sha256::digest(token.expose_secret().as_bytes()).into());
        let endpoint = Endpoint { server, service, token };
        Ok(Self { listener, address, endpoint, shutdown })
    }

    /// Returns the address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown token is cancelled, then lets running requests end.
    pub async fn run(self) {
        let Self { listener, endpoint, shutdown, .. } = self;
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = accept(&listener, &room) => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let endpoint = endpoint.clone();
            let service = service_fn(move |request| endpoint.clone().answer(request));
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // A client that breaks off is no news.
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "an HTTP connection ended");
                }
                drop(permit);
            });
        }
        // Long-lived streams end with their sessions, which the token has ended.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
    }
}

/// Accepts a connection when there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Nagle's algorithm would hold small events back for 40 ms.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            if !is_of_one_client(&error) {
                // Out of descriptors, most likely: trying again at once would spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            None
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

impl Endpoint {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        match request.uri().path() {
            "/health" if matches!(*request.method(), Method::GET | Method::HEAD) => {
                Ok(self.health())
            }
            "/health" => Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "use GET")),
            "/mcp" if !self.is_authorized(&request) => Ok(unauthorized()),
            "/mcp" => {
                let mut service = self.service.clone();
                service.call(request).await
            }
            _ => Ok(plain(StatusCode::NOT_FOUND, "MCP is served at /mcp")),
        }
    }

    fn health(&self) -> Response<Body> {
        let body = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "tools": self.server.tool_count(),
        });
        let mut response = plain(StatusCode::OK, &body.to_string());
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    /// Compares the bearer token (RFC 6750, section 2.1).
    fn is_authorized(&self, request: &Request<Incoming>) -> bool {
        let Some(expected) = self.token else { return true };
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        given.is_some_and(|given| <[u8; 32]>::from(Sha256::digest(given.as_bytes())) == expected)
    }
}

fn unauthorized() -> Response<Body> {
    let mut response = plain(StatusCode::UNAUTHORIZED, "a bearer token is required");
    let challenge = header::HeaderValue::from_static("Bearer realm=\"dadl-mcp\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed());
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
