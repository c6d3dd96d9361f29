//! A server at a URL: what is sent to it, the session that it may have given us, and what of it is under way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use dadl_descriptor::model::RequestMethod;
use http::{HeaderName, HeaderValue, header};
use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    error::ServerFault,
    http_answer::{AnswerBounds, AnswerPart, AnswerReader, EventCursor},
    http_fault::{HttpRefusal, exchange_fault},
    http_message::{MarkedArguments, Outgoing, STATELESS},
    line_reader::ReadLine,
    line_transport::Connection,
    oversized::IdFinder,
    settings::{HttpSettings, LinkLimits},
};
use crate::http::{
    backend::{HttpExchange, HttpMessage},
    under_way::UnderWay,
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// A longer name of a session is none.
const LONGEST_SESSION: usize = 4096;

/// So much is asked of a session anew.
const MOST_STANDING: usize = 1024;

/// What follows an introduction.
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A server at a URL.
pub(super) struct HttpSite {
    settings: HttpSettings,
    limits: LinkLimits,
    pub(super) bounds: AnswerBounds,
    pub(super) connection: Connection,
    inbox: mpsc::Sender<ReadLine>,
    session: Mutex<HttpSession>,
    /// Where messages go instead, when the server speaks the older transport.
    endpoint: OnceLock<Url>,
    /// What a session was asked to do until it ends, and the next one has to be asked again.
    standing: Mutex<BTreeMap<String, Arc<Outgoing>>>,
    /// Held while a session is opened.
    renewal: AsyncMutex<()>,
    pub(super) marks: MarkedArguments,
    /// Cancelled when a request is given up.
    running: Mutex<HashMap<RequestId, CancellationToken>>,
    /// What listens to a server that says something unasked.
    pub(super) listener: Mutex<CancellationToken>,
    /// Cancelled when all that is under way has to end.
    pub(super) stop: CancellationToken,
    /// Lets the process wait until the session is ended.
    leaving: Mutex<Option<UnderWay>>,
    /// Why the last introduction failed.
    refusal: Mutex<Option<ServerFault>>,
}

/// What a server has to be told with each message.
#[derive(Debug, Clone, Default)]
pub(super) struct HttpSession {
    /// The name that it gave.
    id: Option<HeaderValue>,
    /// The revision that it speaks.
    revision: Option<String>,
    /// How we introduced ourselves.
    introduction: Option<Arc<Outgoing>>,
    /// How many sessions there were before.
    pub(super) generation: u64,
}

impl HttpSession {
    /// Returns whether the server gave it a name.
    pub(super) fn is_named(&self) -> bool {
        self.id.is_some()
    }

    /// Returns whether each message stands for itself.
    pub(super) fn is_stateless(&self) -> bool {
        self.revision.as_deref().is_some_and(|revision| revision >= STATELESS)
    }
}

#[derive(Deserialize)]
struct IntroductionAnswer<'text> {
    #[serde(borrow, default)]
    result: Option<Introduced<'text>>,
    #[serde(borrow, default)]
    error: Option<&'text RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Introduced<'text> {
    #[serde(borrow)]
    protocol_version: std::borrow::Cow<'text, str>,
}

impl HttpSite {
    pub(super) fn new(
        settings: HttpSettings,
        limits: LinkLimits,
        bounds: AnswerBounds,
        connection: Connection,
        inbox: mpsc::Sender<ReadLine>,
    ) -> Self {
        Self {
            settings,
            limits,
            bounds,
            connection,
            inbox,
            session: Mutex::default(),
            endpoint: OnceLock::new(),
            standing: Mutex::default(),
            renewal: AsyncMutex::default(),
            marks: MarkedArguments::default(),
            running: Mutex::default(),
            listener: Mutex::default(),
            stop: CancellationToken::new(),
            leaving: Mutex::default(),
            refusal: Mutex::default(),
        }
    }

    /// Returns the session as it is now.
    pub(super) fn session(&self) -> HttpSession {
        self.held_session().clone()
    }

    fn held_session(&self) -> MutexGuard<'_, HttpSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and returns what is cancelled when it is given up; nothing when there are `most`.
    pub(super) fn begin(&self, id: &RequestId, most: usize) -> Option<CancellationToken> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        (running.len() < most).then(|| {
            let token = self.stop.child_token();
            running.insert(id.clone(), token.clone());
            token
        })
    }

    /// Forgets a request, and ends what is left of it; returns whether there was one.
    pub(super) fn end(&self, id: &RequestId) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(id).inspect(CancellationToken::cancel).is_some()
    }

    /// Hands a message of the server on; waits when too many wait.
    pub(super) async fn hand_on(&self, message: ReadLine) {
        // Without a receiver there is nobody who wants it.
        let _ = self.inbox.send(message).await;
    }

    /// Notes why an introduction failed.
    pub(super) fn refused(&self, fault: &ServerFault) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
    }

    /// Takes the reason why the last introduction failed.
    pub(super) fn take_refusal(&self) -> Option<ServerFault> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says why an error of HTTP is the answer to a message.
    pub(super) fn fault(&self, refusal: &HttpRefusal, is_introduction: bool) -> ServerFault {
        refusal.fault(&self.settings.client, is_introduction)
    }

    /// Sends a message.
    pub(super) async fn post(
        &self,
        message: &Outgoing,
        session: &HttpSession,
    ) -> Result<HttpExchange, ServerFault> {
        let mut headers = message.fields(session.revision.as_deref(), &self.marks);
        let is_stateless =
            message.revision(session.revision.as_deref()).is_some_and(|it| it >= STATELESS);
        if !is_stateless {
            headers.extend(session.id.clone().map(|id| (SESSION, id)));
        }
        self.send(RequestMethod::Post, headers, Some(message.body.clone())).await
    }

    /// Asks for what the server says unasked, or goes on with a stream that broke off.
    pub(super) async fn get(
        &self,
        session: &HttpSession,
        last_id: Option<&str>,
    ) -> Result<HttpExchange, ServerFault> {
        let mut headers = self.session_fields(session);
        headers.push((header::ACCEPT, HeaderValue::from_static("text/event-stream")));
        let last_id = last_id.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok());
        headers.extend(last_id.map(|id| (LAST_EVENT, id)));
        self.send(RequestMethod::Get, headers, None).await
    }

    /// Tells the server that we go, where it has a session for us.
    pub(super) async fn end_session(&self) {
        let session = self.session();
        if session.is_named() {
            let headers = self.session_fields(&session);
            let ended = self.send(RequestMethod::Delete, headers, None);
            // Some servers do not let us, and that is their business.
            let _ = timeout(self.limits.end, ended).await;
        }
    }

    /// Notes that the session is being ended.
    pub(super) fn leave(&self) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(UnderWay::begin());
    }

    /// Notes that it is ended.
    pub(super) fn left(&self) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn session_fields(&self, session: &HttpSession) -> Vec<(HeaderName, HeaderValue)> {
        let revision = HeaderName::from_static("mcp-protocol-version");
        let spoken = session.revision.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
        let id = session.id.clone().map(|id| (SESSION, id));
        id.into_iter().chain(spoken.map(|it| (revision, it))).collect()
    }

    async fn send(
        &self,
        method: RequestMethod,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Option<Vec<u8>>,
    ) -> Result<HttpExchange, ServerFault> {
        let HttpSettings { client, url, files } = &self.settings;
        let url = self.endpoint.get().unwrap_or(url);
        let message = HttpMessage { method, url: url.clone(), headers, body };
        client.send_message(message, files).await.map_err(exchange_fault)
    }

    /// Notes what the answer to an introduction says of the session before it was read.
    pub(super) fn note_session(&self, message: &Arc<Outgoing>, exchange: &HttpExchange) {
        if message.is("initialize") {
            let id = session_of(exchange);
            let mut session = self.held_session();
            *session = HttpSession {
                id,
                introduction: Some(Arc::clone(message)),
                generation: session.generation,
                revision: None,
            };
        }
    }

    /// Notes which revision the answer to an introduction names.
    pub(super) fn note_answer(&self, message: &Arc<Outgoing>, answer: &[u8]) {
        if message.is("initialize") {
            self.held_session().revision = revision_of(answer);
        } else if message.is("server/discover") && has_result(answer) {
            let revision = message.revision(None).map(str::to_owned);
            *self.held_session() = HttpSession { revision, ..HttpSession::default() };
        } else if message.is("tools/list") {
            self.marks.learn(answer);
        } else if let Some((standing, begins)) = message.standing()
            && has_result(answer)
        {
            let mut all = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
            if begins && all.len() < MOST_STANDING {
                all.insert(standing, Arc::clone(message));
            } else {
                all.remove(&standing);
            }
        }
    }

    /// Opens a session anew after the one of this generation was lost; of several who want that one does.
    ///
    /// # Errors
    ///
    /// The server opens none, or one that is different.
    pub(super) async fn renew(self: &Arc<Self>, generation: u64) -> Result<(), ServerFault> {
        let _one = self.renewal.lock().await;
        let lost = self.session();
        if lost.generation != generation {
            return Ok(());
        }
        let introduction = lost.introduction.clone().ok_or(ServerFault::SessionLost)?;
        let opened = timeout(self.limits.start, self.open(&introduction)).await;
        let opened = opened.map_err(|_| ServerFault::SessionLost)??;
        if opened.revision != lost.revision {
            // All that is known of the server is of another one.
            self.end_all(ServerFault::SessionLost).await;
            return Err(ServerFault::SessionLost);
        }
        let session = HttpSession { generation: generation + 1, ..opened };
        *self.held_session() = session.clone();
        let begun = Outgoing::read(INITIALIZED.to_vec()).ok_or(ServerFault::SessionLost)?;
        self.post(&begun, &session).await?;
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asked_again = async {
            for message in standing.values() {
                // What fails was not promised for longer than a session.
                let _ = self.post(message, &session).await;
            }
        };
        let _ = timeout(self.limits.start, asked_again).await;
        let backend = &*self.connection.backend;
        tracing::info!(backend, "the server had lost the session, and has opened another");
        // What it lists may be something else.
        self.connection.news.lists_may_differ();
        self.listen();
        Ok(())
    }

    /// Introduces us once more.
    async fn open(&self, introduction: &Arc<Outgoing>) -> Result<HttpSession, ServerFault> {
        let exchange = self.post(introduction, &HttpSession::default()).await?;
        if !exchange.response.status().is_success() {
            let refusal = HttpRefusal::read(exchange).await;
            return Err(self.fault(&refusal, true));
        }
        let id = session_of(&exchange);
        let mut reader = AnswerReader::new(exchange, &self.bounds, EventCursor::default())?;
        loop {
            match reader.next().await? {
                AnswerPart::End(_) => return Err(ServerFault::SessionLost),
                AnswerPart::Message(message, _) if answered_by(&message).is_some() => {
                    let revision = revision_of(&message).ok_or(ServerFault::SessionLost)?;
                    let introduction = Some(Arc::clone(introduction));
                    return Ok(HttpSession {
                        id,
                        revision: Some(revision),
                        introduction,
                        generation: 0,
                    });
                }
                // It says something before that, which the next session says as well.
                AnswerPart::Endpoint(_) | AnswerPart::Message(..) => {}
            }
        }
    }

    /// Returns whether the server speaks the older transport, and answers on a stream of its own.
    pub(super) fn is_old(&self) -> bool {
        self.endpoint.get().is_some()
    }

    /// Sends messages to this address from now on; returns whether it is one of the same origin.
    pub(super) fn set_endpoint(&self, address: &str) -> bool {
        let url = self.settings.url.join(address.trim()).ok();
        let url = url.filter(|url| url.origin() == self.settings.url.origin());
        url.is_some_and(|url| self.endpoint.set(url).is_ok())
    }

    /// Ends the connection for this reason.
    pub(super) async fn end_all(&self, fault: ServerFault) {
        let _ = self.connection.fault.set(fault);
        self.hand_on(ReadLine::End).await;
    }

    /// Returns how long it may take to be there.
    pub(super) fn patience(&self) -> Duration {
        self.limits.start
    }
}

/// Returns the id of the request that a message answers, if it answers one.
pub(super) fn answered_by(message: &[u8]) -> Option<RequestId> {
    let mut finder = IdFinder::default();
    finder.push(message);
    finder.answered()
}

fn session_of(exchange: &HttpExchange) -> Option<HeaderValue> {
    let id = exchange.response.headers().get(SESSION)?;
    (!id.is_empty() && id.len() <= LONGEST_SESSION).then(|| {
        let mut id = id.clone();
        // Whoever has it is us.
        id.set_sensitive(true);
        id
    })
}

fn has_result(answer: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer<'text> {
        #[serde(borrow, default)]
        result: Option<&'text RawValue>,
    }
    let answer: Result<Answer<'_>, _> = serde_json::from_slice(answer);
    answer.is_ok_and(|answer| answer.result.is_some())
}

fn revision_of(answer: &[u8]) -> Option<String> {
    let answer: IntroductionAnswer<'_> = serde_json::from_slice(answer).ok()?;
    let introduced = answer.result.filter(|_| answer.error.is_none())?;
    Some(introduced.protocol_version.into_owned()).filter(|it| it.len() <= 100)
}
