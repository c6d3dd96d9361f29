//! Serves MCP over streamable HTTP.
//!
//! `/mcp` speaks the protocol, `/files` takes and gives files, `/health` says that the server is
//! up, and that is all there is. A slash at the end of the first and the last changes nothing.
//! Who may call is decided here, before a body is read: the bearer token, when there is one, and
//! the names under which browsers may reach the server (`Host`, `Origin`), without which any web
//! page could call the tools of a server on the same machine.
//!
//! A client before 2026-07-28 has a session, a later one has none. Both get plain JSON unless there is
//! something to say before the answer.

pub(super) mod answer;
mod batches;
mod doors;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use dadl_text::{growth, text::text_head};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use rmcp::{
    model::{ErrorCode, ServerJsonRpcMessage},
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        common::http_header::{HEADER_MCP_METHOD, HEADER_SESSION_ID},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

pub(crate) use self::doors::ServedPaths;
use self::{
    answer::{HttpAnswer, busy, json_answer, text_answer, unfailing},
    doors::OtherDoors,
};
use super::{
    LiveServer, ServeError, accept,
    admission_lane::AdmissionLanes,
    batch,
    connection_bounds::ConnectionBounds,
    connection_slots::{ConnectionPhase, ConnectionSlots},
    files, json_rpc, masked_events, message_limits,
    plain_answers::PlainAnswer,
    refusals::{RefusalLog, RequestNames},
    request_owner::ConnectionPeer,
    sessions::{BoundedSessions, CLIENT, PendingRequest},
    shutdown::{GracefulShutdown, UnderWay},
    structured_text::{self, CopySlot},
    tracked::TrackedBody,
};
use crate::{
    config::env_vars::unexpanded_reference,
    files::FileStore,
    secrets::Secrets,
    shares::{BudgetShare, ClientKey, FairQueue, SharedBudget},
};

/// The path of the protocol.
pub(super) const MCP_PATH: &str = "/mcp";
/// The path for load balancers and people.
const HEALTH_PATH: &str = "/health";
/// Where servers had the transport of the first revision.
const OLD_PATH: &str = "/sse";
/// The names of this machine in a `Host` field.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How many bytes the messages of all clients may take while they are read and answered.
const MOST_IN_MEMORY: u64 = 512 * 1024 * 1024;
/// What answering a message takes besides its text, about.
const ANSWERING: u64 = 16 * 1024;
/// A body up to this size is read whatever the others take.
const SMALL_BODY: usize = 64 * 1024;
/// So much of a body is read at once; between the pieces of the rest others have their turns.
const AT_ONCE: usize = 16 * 1024;
/// So much of a reference in place of a token is repeated.
const LONGEST_REFERENCE: usize = 100;
/// How long to wait before it is looked again whether there is room for a large body.
const LOOK: Duration = Duration::from_millis(50);

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

/// What lasts as long as the handler of a message.
#[derive(Debug)]
struct HandlerGuard {
    _memory: BudgetShare,
    _under_way: UnderWay,
    _pending: Option<PendingRequest>,
}

/// What is behind the address.
pub(super) struct HttpEndpoint {
    /// Where the protocol is spoken.
    path: String,
    /// Those at the other paths, which share what is bounded.
    others: Option<OtherDoors>,
    server: LiveServer,
    mcp: StreamableHttpService<LiveServer, BoundedSessions>,
    sessions: Arc<BoundedSessions>,
    /// What the messages of all clients take.
    memory: SharedBudget,
    lanes: AdmissionLanes,
    bounds: ConnectionBounds,
    ending: GracefulShutdown,
    refusals: RefusalLog,
    /// The digest of the token: comparing digests takes the same time whatever was presented.
    token: Option<[u8; 32]>,
    files: FileStore,
    /// The files that clients send and fetch by themselves; those of calls are counted apart.
    transfers: FairQueue,
    secrets: Secrets,
}

impl HttpEndpoint {
    /// Serves the tools of `server`, and what is at other `paths`; sessions end with `end`.
    pub(super) fn with_others(
        server: LiveServer,
        paths: ServedPaths,
        options: &HttpOptions,
        address: SocketAddr,
        end: &CancellationToken,
        ending: &GracefulShutdown,
    ) -> Self {
        let others = OtherDoors::new(paths, options, address, end);
        let endpoint = Self::new(server, options, address, end.clone(), ending);
        Self { others: Some(others), ..endpoint }
    }

    fn new(
        server: LiveServer,
        options: &HttpOptions,
        address: SocketAddr,
        end: CancellationToken,
        ending: &GracefulShutdown,
    ) -> Self {
        let first = server.now();
        let mut hosts: Vec<String> = LOOPBACK.iter().map(|name| (*name).to_owned()).collect();
        if !address.ip().is_unspecified() {
            hosts.push(address.ip().to_string());
        }
        // A page whose name was rebound to this address has no token, and behind a proxy nobody
        // knows here under which names clients come.
        if options.token.is_some() && options.allowed_hosts.is_empty() {
            hosts.clear();
        }
        hosts.extend(options.allowed_hosts.iter().cloned());
        // A page of this very origin could only have come from this server.
        let own = ["localhost", "127.0.0.1", "[::1]"]
            .map(|name| format!("http://{name}:{}", address.port()));
        let origins = options.allowed_origins.iter().map(|text| with_port(text)).chain(own);
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(hosts)
            .with_allowed_origins(origins)
            .enforce_origin_validation()
            .with_json_response(true)
            .with_max_request_body_bytes(message_limits::MOST_BYTES)
            .with_cancellation_token(end);
        let files = first.files().clone();
        let transfers = first.executor().transfer_queue();
        let secrets = first.executor().secrets().clone();
        if let Some(token) = &options.token {
            secrets.add("http_token", token.expose_secret());
        }
        let sessions = Arc::new(BoundedSessions::new(first.streams().clone()));
        let bounds = first.bounds();
        let served = server.clone();
        let make = move || Ok(served.clone());
        Self {
            path: MCP_PATH.to_owned(),
            others: None,
            server,
            mcp: StreamableHttpService::new(make, Arc::clone(&sessions), config),
            sessions,
            memory: SharedBudget::new(MOST_IN_MEMORY),
            lanes: AdmissionLanes::default(),
            bounds,
            ending: ending.clone(),
            refusals: RefusalLog::default(),
            token: options.token.as_ref().map(|token| digest(token.expose_secret().as_bytes())),
            files,
            transfers,
            secrets,
        }
    }

    /// Returns what goes one after the other.
    pub(super) fn lanes(&self) -> &AdmissionLanes {
        &self.lanes
    }

    /// Answers a request, and notes on its connection that it does.
    pub(super) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<TrackedBody> {
        let door = self.door(request.uri().path());
        // What is answered at a door is under way there as well.
        let ending = door.as_ref().map_or(&self.ending, |door| &door.ending);
        let under_way = ending.begin();
        let peer = request.extensions().get::<ConnectionPeer>().cloned();
        let client = peer.as_ref().map(ConnectionPeer::client).unwrap_or_default();
        let Some(ConnectionPeer { place, .. }) = peer else {
            // Every request comes on a connection.
            let answer = text_answer(StatusCode::INTERNAL_SERVER_ERROR, "no connection");
            let place = ConnectionSlots::new(1).take(([127, 0, 0, 1], 0).into());
            return answer.map(|body| TrackedBody::new(body, Arc::new(place), under_way));
        };
        place.set(ConnectionPhase::Answering);
        let path = request.uri().path();
        let listens = request.method() == Method::GET && door.is_some();
        let is_health = is_at(path, HEALTH_PATH);
        let answer = if place.is_at_door() && !is_health {
            busy("all connections are taken; try again later")
        } else {
            CLIENT.scope(client, self.dispatch(request, door.as_deref())).await
        };
        let listens = listens && answer.status() == StatusCode::OK;
        answer.map(|body| {
            let body = TrackedBody::new(body, place, under_way);
            if listens { body.ending_with(ending) } else { body }
        })
    }

    async fn dispatch(&self, request: Request<Incoming>, door: Option<&Self>) -> HttpAnswer {
        let path = request.uri().path();
        let is_files = files::name_in(path).is_some();
        let is_mcp = door.is_some();
        match (is_at(path, HEALTH_PATH), request.method()) {
            (_, &Method::OPTIONS) if is_mcp || is_files => self.preflight(request).await,
            _ if is_mcp || is_files => {
                let origin = request.headers().get(header::ORIGIN).cloned();
                let mut answer = match door.filter(|_| !is_files) {
                    Some(door) => door.mcp(request).await,
                    None => self.files(request).await,
                };
                if let Some(origin) = origin {
                    allow_reading(&mut answer, origin);
                }
                answer
            }
            (true, &Method::GET | &Method::HEAD) => json_answer(StatusCode::OK, self.health()),
            (true, _) => {
                let mut answer = text_answer(StatusCode::METHOD_NOT_ALLOWED, "use GET");
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
            _ if is_at(path, OLD_PATH) => text_answer(
                StatusCode::NOT_FOUND,
                "not found: the transport of 2024-11-05 is not served; MCP is at /mcp, as \
                 streamable HTTP",
            ),
            _ => text_answer(StatusCode::NOT_FOUND, "not found: MCP is at /mcp"),
        }
    }

    /// Says how the server is, without anything that not everybody should know.
    fn health(&self) -> Bytes {
        let mut health = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "tools": self.server.now().tool_count(),
        });
        if let Some(health) = health.as_object_mut().filter(|_| self.server.has_trouble()) {
            let text = "the changed settings have a mistake, which the log tells; those before it are used";
            health.insert("settings".to_owned(), text.into());
        }
        health.to_string().into()
    }

    /// Takes or gives a file, under the same checks as a message.
    async fn files(&self, request: Request<Incoming>) -> HttpAnswer {
        if !self.is_authorized(request.headers()) {
            return unauthorized(request.headers());
        }
        let checked = self.check_names(request.uri().clone(), request.headers()).await;
        let client = CLIENT.try_with(ClientKey::clone).unwrap_or_default();
        let turns = (&self.transfers, &client);
        match checked {
            Ok(()) => tokio::select! {
                answer = files::answer_request(&self.files, turns, request, self.bounds.pace()) => answer,
                () = self.ending.leaving() => busy("the server is ending; nothing was kept"),
            },
            Err(refused) => *refused,
        }
    }

    /// Lets the library check host and origin, which it does before it finds that it has no such
    /// method.
    async fn check_names(
        &self,
        uri: http::Uri,
        headers: &HeaderMap,
    ) -> Result<(), Box<HttpAnswer>> {
        let mut probe = Request::new(Full::new(Bytes::new()));
        *probe.method_mut() = Method::OPTIONS;
        *probe.uri_mut() = uri;
        for name in [header::HOST, header::ORIGIN] {
            for value in headers.get_all(&name) {
                probe.headers_mut().append(&name, value.clone());
            }
        }
        let answer = self.mcp.handle(probe).await;
        self.refusals.note(answer.status(), &RequestNames::of(headers));
        match answer.status() {
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            _ => Err(Box::new(answer.map(unfailing))),
        }
    }

    /// Answers a message of the protocol.
    async fn mcp(&self, request: Request<Incoming>) -> HttpAnswer {
        if !self.is_authorized(request.headers()) {
            return unauthorized(request.headers());
        }
        let (mut parts, body) = request.into_parts();
        // The token has done its work, and the library passes the fields on to handlers.
        parts.headers.remove(header::AUTHORIZATION);
        if let Some(all) = accept::spelled_out(&parts.method, &parts.headers) {
            parts.headers.insert(header::ACCEPT, all);
        }
        let read = self.read(&parts, body).await;
        let (body, held) = match read {
            Ok(read) => read,
            Err(refused) => return *refused,
        };
        parts.extensions.insert(Arc::new(held));
        if parts.method == Method::POST && batch::is_batch(&body) {
            return Box::pin(self.batch(parts, &body)).await;
        }
        let peer = parts.extensions.get::<ConnectionPeer>();
        let plain = PlainAnswer::new(peer.map(|peer| peer.timer.clone()).unwrap_or_default());
        parts.extensions.insert(plain.clone());
        let is_json = is_json(&parts.headers);
        let session = session_of(&parts).map(|session| self.sessions.has(session));
        let has_session = parts.headers.contains_key(HEADER_SESSION_ID);
        let slot = CopySlot::default();
        // Sessions mark what they answer.
        if !has_session {
            parts.extensions.insert(slot.clone());
        }
        let names = RequestNames::of(&parts.headers);
        let (is_post, ends) = (parts.method == Method::POST, parts.method == Method::DELETE);
        let answer = self.mcp.handle(Request::from_parts(parts, Full::new(body.clone()))).await;
        self.refusals.note(answer.status(), &names);
        if let Some(message) = plain.get() {
            return self.plain(message);
        }
        match answer.status() {
            // Nothing else fails there.
            StatusCode::INTERNAL_SERVER_ERROR if !has_session => {
                busy("there is no room for another session; try again later")
            }
            // The library blames the content type for a body that is no message.
            StatusCode::UNSUPPORTED_MEDIA_TYPE if is_json => {
                let rejection = self.secrets.message(json_rpc::rejection_line(&body));
                json_answer(StatusCode::BAD_REQUEST, rejection.into())
            }
            // And a session that is not there for an introduction that is none.
            StatusCode::BAD_REQUEST if is_post && !has_session => {
                match json_rpc::wrong_introduction(&body) {
                    Some(reply) => {
                        json_answer(StatusCode::BAD_REQUEST, self.secrets.message(reply).into())
                    }
                    None => masked_events::masked_answer(answer, &self.secrets, slot)
                        .await
                        .map(unfailing),
                }
            }
            // It says of each session that it will end. Clients know 204, and what is gone is 404.
            StatusCode::ACCEPTED if ends && session == Some(true) => {
                text_answer(StatusCode::NO_CONTENT, "")
            }
            StatusCode::ACCEPTED if ends => {
                text_answer(StatusCode::NOT_FOUND, "not found: there is no such session")
            }
            _ => masked_events::masked_answer(answer, &self.secrets, slot).await.map(unfailing),
        }
    }

    /// Makes the answer of a message that needs no stream.
    fn plain(&self, message: &ServerJsonRpcMessage) -> HttpAnswer {
        match structured_text::message_bytes(message) {
            Ok(message) => {
                let message = growth::spared_bytes(self.secrets.message(message));
                json_answer(StatusCode::OK, message)
            }
            Err(error) => {
                tracing::warn!(%error, "an answer cannot be written");
                text_answer(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written")
            }
        }
    }

    /// Reads a message, within the bounds of all.
    async fn read(
        &self,
        parts: &http::request::Parts,
        mut body: Incoming,
    ) -> Result<(Bytes, HandlerGuard), Box<HttpAnswer>> {
        let refuse = |status, text| Box::new(text_answer(status, text));
        let too_long = || refuse(StatusCode::PAYLOAD_TOO_LARGE, "the message is too long");
        if body.size_hint().lower() > message_limits::MOST_BYTES as u64 {
            return Err(too_long());
        }
        let Some(peer) = parts.extensions.get::<ConnectionPeer>() else {
            return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "no connection"));
        };
        peer.place.set(ConnectionPhase::Reading);
        let client = peer.client();
        if opens_session(parts) {
            self.lanes.opening.pass(&client).await;
        }
        let mut memory = self.memory.nothing(&client);
        let mut text = BytesMut::new();
        let reading = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else {
                    return Err(refuse(StatusCode::BAD_REQUEST, "the body broke off"));
                };
                let Ok(piece) = frame.into_data() else { continue };
                let size = text.len() + piece.len();
                if size > message_limits::MOST_BYTES {
                    return Err(too_long());
                }
                if size > SMALL_BODY {
                    grow_memory(&mut memory, piece.len() as u64).await;
                }
                text.extend_from_slice(&piece);
                if size > AT_ONCE {
                    self.lanes.reading.pass(&client).await;
                }
            }
            Ok(())
        };
        let late = |_| refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long");
        tokio::time::timeout(self.bounds.body, reading).await.map_err(late)??;
        peer.place.set(ConnectionPhase::Answering);
        let reject = |status, code, message: &str| {
            let text = json_rpc::error_line(&json_rpc::id_of(&text), code, message);
            Err(Box::new(json_answer(status, text.into())))
        };
        let weight = match message_limits::weigh(&text) {
            Ok(weight) => weight,
            Err(error) => {
                return reject(StatusCode::PAYLOAD_TOO_LARGE, error.code(), &error.to_string());
            }
        };
        let rest = (weight + ANSWERING).saturating_sub(memory.amount());
        let waiting = tokio::time::timeout(self.bounds.body, grow_memory(&mut memory, rest));
        if waiting.await.is_err() {
            return Err(Box::new(busy("too much is being answered; try again later")));
        }
        let pending = match session_of(parts).zip(json_rpc::request_id(&text)) {
            Some((session, id)) => match self.sessions.begin(session, &id) {
                Ok(pending) => pending,
                Err(refused) => {
                    return {
                        let code = ErrorCode::INVALID_REQUEST;
                        reject(StatusCode::TOO_MANY_REQUESTS, code, &refused.to_string())
                    };
                }
            },
            None => None,
        };
        let held =
            HandlerGuard { _memory: memory, _under_way: self.ending.begin(), _pending: pending };
        Ok((text.freeze(), held))
    }

    /// Answers a browser that asks whether a page may call.
    async fn preflight(&self, request: Request<Incoming>) -> HttpAnswer {
        let origin = request.headers().get(header::ORIGIN).cloned();
        // The library checks host and origin before it finds that it has no such method.
        let names = RequestNames::of(request.headers());
        let request = request.map(|_| Full::new(Bytes::new()));
        let answer = self.mcp.handle(request).await.map(unfailing);
        self.refusals.note(answer.status(), &names);
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
        presented(headers).is_some_and(|presented| is_same(&digest(presented), token))
    }
}

/// Returns the bearer token of a request.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    // RFC 9110, section 11.1: the name of the scheme has no case.
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

/// Returns whether a path is that of `place`, with or without a slash at its end.
fn is_at(path: &str, place: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path) == place
}

/// Returns whether the body of a request is said to be JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|it| it.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Returns the session that a request names.
fn session_of(parts: &http::request::Parts) -> Option<&str> {
    parts.headers.get(HEADER_SESSION_ID).and_then(|value| value.to_str().ok())
}

/// Returns whether a request opens a session, if it does anything: later revisions of the protocol,
/// which have none, name the method.
fn opens_session(parts: &http::request::Parts) -> bool {
    let method = parts.headers.get(HEADER_MCP_METHOD);
    parts.method == Method::POST
        && !parts.headers.contains_key(HEADER_SESSION_ID)
        && method.is_none_or(|method| method == "initialize")
}

/// Takes more memory as soon as there is some.
async fn grow_memory(memory: &mut BudgetShare, bytes: u64) {
    while !memory.grow(bytes) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Lets the page at `origin` read the answer, unless it was refused.
fn allow_reading(answer: &mut HttpAnswer, origin: HeaderValue) {
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

fn unauthorized(headers: &HeaderMap) -> HttpAnswer {
    let presented = presented(headers).and_then(|token| std::str::from_utf8(token).ok());
    // What is no token is no secret.
    let text = match presented.and_then(unexpanded_reference) {
        Some(reference) => format!(
            "the bearer token is `{}`: the host did not put the value of the variable in",
            text_head(&reference.shown, LONGEST_REFERENCE)
        ),
        None => "a bearer token is required, or another one".to_owned(),
    };
    let mut answer = text_answer(StatusCode::UNAUTHORIZED, text);
    let scheme = HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
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
