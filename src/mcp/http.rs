//! Serves MCP over streamable HTTP.
//!
//! `/mcp` speaks the protocol, `/files` takes and gives files, `/health` says that the server is
//! up, and that is all there is.
//! Who may call is decided here, before a body is read: the bearer token, when there is one, and
//! the names under which browsers may reach the server (`Host`, `Origin`), without which any web
//! page could call the tools of a server on the same machine.
//!
//! A client before 2026-07-28 has a session and gets an event stream; a later one gets plain JSON
//! unless there is something to say before the answer.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, combinators::BoxBody};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::{
    model::{Extensions, ProtocolVersion},
    transport::{
        StreamableHttpServerConfig, StreamableHttpService, common::http_header::HEADER_SESSION_ID,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ServeError, Server, files, lines, masked, sessions::Sessions};
use crate::{executor::Executor, files::FileStore, live::Owner};

/// The path of the protocol.
const MCP_PATH: &str = "/mcp";
/// The path for load balancers and people.
const HEALTH_PATH: &str = "/health";
/// The names of this machine in a `Host` field.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How many connections are open at once, where the system allows as many.
const MOST_CONNECTIONS: usize = 4096;
/// How many there are where nobody knows what the system allows: less than the file descriptors
/// that a process usually has.
const USUAL_CONNECTIONS: usize = 512;
/// How long a client may take for the fields of a request, silence between requests included.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long a client may take for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long answers that are on their way may hold up the end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long accepting pauses when the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// An answer; one that sends a file may break off.
pub(super) type Answer = Response<BoxBody<Bytes, io::Error>>;

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What clients have to present; needed for addresses that other machines can reach.
    pub token: Option<SecretString>,
    /// The origins of web pages that may call, as `https://host:port`; `:*` means any port.
    pub allowed_origins: Vec<String>,
    /// The names under which clients reach the server, besides those of loopback. With a token and
    /// without names, any name will do.
    pub allowed_hosts: Vec<String>,
}

impl HttpOptions {
    /// Checks that other machines cannot call the tools at `address` without a token.
    ///
    /// # Errors
    ///
    /// [`ServeError::TokenRequired`].
    pub fn require_token(&self, address: SocketAddr) -> Result<(), ServeError> {
        if self.token.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ServeError::TokenRequired(address));
        }
        Ok(())
    }
}

/// Listens and serves until `shutdown` is cancelled.
///
/// # Errors
///
/// [`ServeError::TokenRequired`] and [`ServeError::Listen`], before anything is served.
pub async fn serve_http(
    server: Server,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = options.listen;
    options.require_token(address)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    serve_listener(server, listener, options, shutdown).await
}

/// Serves on a listener that is bound already; see [`serve_http`].
///
/// # Errors
///
/// Those of [`serve_http`].
pub async fn serve_listener(
    server: Server,
    listener: TcpListener,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener
        .local_addr()
        .map_err(|source| ServeError::Listen { address: options.listen, source })?;
    options.require_token(address)?;
    tracing::info!("listening on http://{address}{MCP_PATH}");
    // Clients are elsewhere, where a path says nothing.
    server.files().publish();
    server.files().sweep().await;
    server.ends_with(&shutdown);
    let endpoint = Arc::new(Endpoint::new(server, options, address, shutdown.clone()));
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(most_connections()));
    while let Some(Ok(place)) =
        shutdown.run_until_cancelled(Arc::clone(&places).acquire_owned()).await
    {
        let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await else { break };
        match accepted {
            Ok((stream, client)) => {
                let (endpoint, shutdown) = (Arc::clone(&endpoint), shutdown.clone());
                connections.spawn(async move {
                    converse(stream, client, endpoint, shutdown).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    // Calls were dropped by the shutdown; a client that does not read is not waited for.
    let _ = tokio::time::timeout(LAST_ANSWERS, connections.wait()).await;
    Ok(())
}

/// Returns how many clients fit: half of the file descriptors are for what their calls open.
fn most_connections() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let half = usize::try_from(limit / 2).unwrap_or(usize::MAX);
        return half.clamp(1, MOST_CONNECTIONS);
    }
    USUAL_CONNECTIONS.min(MOST_CONNECTIONS)
}

/// Serves one connection; at a shutdown the request that is being answered is the last one.
async fn converse(
    stream: TcpStream,
    client: SocketAddr,
    endpoint: Arc<Endpoint>,
    shutdown: CancellationToken,
) {
    // Events are small writes that would wait for each other's acknowledgment.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service_fn(|mut request: Request<Incoming>| {
        let endpoint = Arc::clone(&endpoint);
        request.extensions_mut().insert(Client(client));
        async move { Ok::<_, Infallible>(endpoint.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The other end of the connection on which a request came.
#[derive(Debug, Clone, Copy)]
struct Client(SocketAddr);

/// Names whose request it is: the session, or where there are none, the connection. Empty on
/// stdio, where there is one client.
pub(super) fn session(extensions: &Extensions) -> String {
    let Some(parts) = extensions.get::<http::request::Parts>() else { return String::new() };
    let id = parts.headers.get(HEADER_SESSION_ID).and_then(|value| value.to_str().ok());
    match (id, parts.extensions.get::<Client>()) {
        (Some(id), _) => id.to_owned(),
        (None, Some(Client(address))) => address.to_string(),
        (None, None) => String::new(),
    }
}

/// Says whose the streams are that a request opens. A request that names a session which the
/// revision of the protocol does not have is one without.
pub(super) fn owner(extensions: &Extensions, version: Option<&ProtocolVersion>) -> Owner {
    let Some(parts) = extensions.get::<http::request::Parts>() else {
        return Owner::Session(String::new());
    };
    let id = parts.headers.get(HEADER_SESSION_ID).and_then(|value| value.to_str().ok());
    match id.filter(|_| version.is_none_or(|it| *it < ProtocolVersion::V_2026_07_28)) {
        Some(id) => Owner::Session(id.to_owned()),
        None => Owner::Anybody,
    }
}

/// What is behind the address.
struct Endpoint {
    mcp: StreamableHttpService<Server, Sessions>,
    /// The digest of the token: comparing digests takes the same time whatever was presented.
    token: Option<[u8; 32]>,
    health: Bytes,
    files: FileStore,
    executor: Executor,
}

impl Endpoint {
    fn new(
        server: Server,
        options: HttpOptions,
        address: SocketAddr,
        shutdown: CancellationToken,
    ) -> Self {
        let health = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "tools": server.tool_count(),
        });
        let mut hosts: Vec<String> = LOOPBACK.iter().map(|name| (*name).to_owned()).collect();
        if !address.ip().is_unspecified() {
            hosts.push(address.ip().to_string());
        }
        // A page whose name was rebound to this address has no token, and behind a proxy nobody
        // knows here under which names clients come.
        if options.token.is_some() && options.allowed_hosts.is_empty() {
            hosts.clear();
        }
        hosts.extend(options.allowed_hosts);
        // A page of this very origin could only have come from this server.
        let own = ["localhost", "127.0.0.1", "[::1]"]
            .map(|name| format!("http://{name}:{}", address.port()));
        let origins = options.allowed_origins.iter().map(|text| with_port(text)).chain(own);
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(hosts)
            .with_allowed_origins(origins)
            .enforce_origin_validation()
            .with_json_response(true)
            .with_max_request_body_bytes(lines::MOST_LINE_BYTES)
            .with_cancellation_token(shutdown);
        let (files, executor) = (server.files().clone(), server.executor().clone());
        if let Some(token) = &options.token {
            executor.secrets().add("http_token", token.expose_secret());
        }
        let sessions = Arc::new(Sessions::new(server.streams().clone()));
        let make = move || Ok(server.for_session());
        Self {
            mcp: StreamableHttpService::new(make, sessions, config),
            token: options.token.map(|token| digest(token.expose_secret().as_bytes())),
            health: health.to_string().into(),
            files,
            executor,
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let is_files = files::name_in(path).is_some();
        match (path, request.method()) {
            (path, &Method::OPTIONS) if path == MCP_PATH || is_files => {
                self.preflight(request).await
            }
            (path, _) if path == MCP_PATH || is_files => {
                let origin = request.headers().get(header::ORIGIN).cloned();
                let mut answer =
                    if is_files { self.files(request).await } else { self.mcp(request).await };
                if let Some(origin) = origin {
                    allow_reading(&mut answer, origin);
                }
                answer
            }
            (HEALTH_PATH, &Method::GET | &Method::HEAD) => {
                json_answer(StatusCode::OK, self.health.clone())
            }
            (HEALTH_PATH, _) => {
                let mut answer = text_answer(StatusCode::METHOD_NOT_ALLOWED, "use GET");
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
            _ => text_answer(StatusCode::NOT_FOUND, "not found: MCP is at /mcp"),
        }
    }

    /// Takes or gives a file, under the same checks as a message.
    async fn files(&self, request: Request<Incoming>) -> Answer {
        if !self.is_authorized(request.headers()) {
            return unauthorized();
        }
        let checked = self.check_names(request.uri().clone(), request.headers()).await;
        match checked {
            Ok(()) => files::answer(&self.files, request).await,
            Err(refused) => *refused,
        }
    }

    /// Lets the library check host and origin, which it does before it finds that it has no such
    /// method.
    async fn check_names(&self, uri: http::Uri, headers: &HeaderMap) -> Result<(), Box<Answer>> {
        let mut probe = Request::new(Full::new(Bytes::new()));
        *probe.method_mut() = Method::OPTIONS;
        *probe.uri_mut() = uri;
        for name in [header::HOST, header::ORIGIN] {
            for value in headers.get_all(&name) {
                probe.headers_mut().append(&name, value.clone());
            }
        }
        let answer = self.mcp.handle(probe).await;
        match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            _ => Err(Box::new(answer.map(unfailing))),
        }
    }

    /// Answers a message of the protocol.
    async fn mcp(&self, request: Request<Incoming>) -> Answer {
        if !self.is_authorized(request.headers()) {
            return unauthorized();
        }
        let (mut parts, body) = request.into_parts();
        // The token has done its work, and the library passes the fields on to handlers.
        parts.headers.remove(header::AUTHORIZATION);
        let too_long = || text_answer(StatusCode::PAYLOAD_TOO_LARGE, "the message is too long");
        if body.size_hint().lower() > lines::MOST_LINE_BYTES as u64 {
            return too_long();
        }
        let body = Limited::new(body, lines::MOST_LINE_BYTES);
        let body = match tokio::time::timeout(BODY_TIME, body.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return too_long(),
            Ok(Err(_)) => return text_answer(StatusCode::BAD_REQUEST, "the body broke off"),
            Err(_) => return text_answer(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        };
        let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().to_ascii_lowercase().starts_with(b"application/json")
        });
        if let Some(reply) = lines::check_tree(&body) {
            return json_answer(StatusCode::BAD_REQUEST, reply.into());
        }
        // What its values take is counted among the answers that are being read.
        let room = self.executor.room("");
        if room.grow(lines::tree_bytes(&body)).is_err() {
            return text_answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large messages and answers at once; try again later",
            );
        }
        let answer = self.mcp.handle(Request::from_parts(parts, Full::new(body.clone()))).await;
        drop(room);
        // The library blames the content type for a body that is no message.
        if answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_json {
            let rejection = self.executor.secrets().message(lines::rejection(&body));
            return json_answer(StatusCode::BAD_REQUEST, rejection.into());
        }
        masked::answer(answer, self.executor.secrets()).await.map(unfailing)
    }

    /// Answers a browser that asks whether a page may call.
    async fn preflight(&self, request: Request<Incoming>) -> Answer {
        let origin = request.headers().get(header::ORIGIN).cloned();
        // The library checks host and origin before it finds that it has no such method.
        let request = request.map(|_| Full::new(Bytes::new()));
        let answer = self.mcp.handle(request).await.map(unfailing);
        let Some(origin) = origin else { return answer };
        if answer.status() != StatusCode::METHOD_NOT_ALLOWED {
            return answer;
        }
        let mut answer = text_answer(StatusCode::NO_CONTENT, "");
        allow_reading(&mut answer, origin);
        let headers = answer.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT, DELETE"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(
                "authorization, content-type, last-event-id, mcp-method, mcp-name, \
                 mcp-protocol-version, mcp-session-id",
            ),
        );
        answer
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let presented = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        // RFC 9110, section 11.1: the name of the scheme has no case.
        let presented = presented.and_then(|value| {
            let (scheme, token) = value.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
        });
        presented.is_some_and(|presented| is_same(&digest(presented), token))
    }
}

/// Lets the page at `origin` read the answer, unless it was refused.
fn allow_reading(answer: &mut Answer, origin: HeaderValue) {
    const EXPOSED: HeaderValue = HeaderValue::from_static(
        "location, mcp-session-id, mcp-protocol-version, www-authenticate",
    );
    if answer.status() == StatusCode::FORBIDDEN || answer.status() == StatusCode::UNAUTHORIZED {
        return;
    }
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderName::from_static("origin").into());
}

/// Adds the port that an origin leaves out (RFC 6454, section 6.2); the library would take any.
fn with_port(origin: &str) -> String {
    let default = match origin.split_once("://") {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        _ => return origin.to_owned(),
    };
    let authority = origin.trim_end_matches('/');
    // The colons of an IPv6 address are in brackets.
    let after_address = authority.rsplit(']').next().unwrap_or(authority);
    let port = after_address.rsplit_once("://").map_or(after_address, |(_, rest)| rest);
    if port.contains(':') { authority.to_owned() } else { format!("{authority}{default}") }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares without saying by its time where the difference is.
fn is_same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

fn unauthorized() -> Answer {
    let mut answer =
        text_answer(StatusCode::UNAUTHORIZED, "a bearer token is required, or another one");
    let scheme = HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    answer
}

/// A body that is there already does not break off.
fn unfailing<B>(body: B) -> BoxBody<Bytes, io::Error>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    body.map_err(|never| match never {}).boxed()
}

pub(super) fn json_answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(unfailing(Full::new(body)));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

pub(super) fn text_answer(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(unfailing(Full::new(Bytes::from_static(text.as_bytes()))));
    *answer.status_mut() = status;
    if !text.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_without_a_port_means_the_usual_one() {
        let check = |origin, expect| assert_eq!(with_port(origin), expect);
        check("https://app.example", "https://app.example:443");
        check("http://app.example/", "http://app.example:80");
        check("http://localhost:*", "http://localhost:*");
        check("http://localhost:3000", "http://localhost:3000");
        check("http://[::1]", "http://[::1]:80");
        check("http://[::1]:3000", "http://[::1]:3000");
        check("null", "null");
    }
}
