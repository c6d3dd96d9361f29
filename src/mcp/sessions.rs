//! Sessions of clients before 2026-07-28, with bounds on their number and on what each holds.
//!
//! Such a client should end its session and often does not. An idle session ends by itself after
//! [`IDLE`]; when there are too many before that, one makes room, and its client opens another when
//! it comes back, as the protocol asks. It is one of the address that has the most, and there one that
//! was never used rather than one that was, and of these the one that was silent for longest; never
//! one that has a request under way.
//!
//! A session holds little: what is left of its client's introduction (1 KB), the identifiers of its
//! requests under way (of [`MOST_PENDING`] at most), the last 16 notifications, and the URIs that it
//! watches (256 KB at most).

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use rmcp::{
    model::{ClientJsonRpcMessage, ProtocolVersion, ServerJsonRpcMessage},
    transport::streamable_http_server::{
        SessionId, SessionManager,
        session::{
            ServerSseMessage,
            local::{LocalSessionManager, LocalSessionManagerError},
        },
    },
};
use tokio::time::Instant;

use super::{
    batch, message_limits,
    plain_answers::{self, PlainAnswer},
    structured_text::{self, TakesCopies},
};
use crate::{live::StreamHub, shares::ClientKey};

/// How long a session may be silent, unless somebody listens to it.
const IDLE: Duration = Duration::from_secs(3600);
/// How many sessions there may be; one takes about 60 KB.
const MOST_SESSIONS: usize = 500;
/// How many requests of a session may be under way.
const MOST_PENDING: usize = 256;
/// How long it may take until a session knows that it ends.
const TO_CLOSE: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// Whose request is being handled.
    pub(super) static CLIENT: ClientKey;
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("all {0} sessions have requests under way; try again later")]
    Full(usize),
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
}

/// Why a request of a session is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SessionRefusal {
    #[error("the session has {MOST_PENDING} requests under way; wait for one of them")]
    TooMany,
    #[error("a request of the session with this id is under way")]
    SameId,
}

/// Says in which session a message came: one that exists.
#[derive(Debug, Clone)]
pub(super) struct InSession(pub(super) SessionId);

/// The library's sessions in memory, bounded.
pub(super) struct BoundedSessions {
    local: LocalSessionManager,
    open: Arc<Mutex<SessionTable>>,
    most: usize,
    /// Those of a session end with it.
    streams: StreamHub,
}

/// The sessions, and how many of them each host has: every request asks for the first, and the
/// second is not counted anew for every session that is opened.
#[derive(Debug, Default)]
struct SessionTable {
    sessions: HashMap<SessionId, OpenSession>,
    hosts: HashMap<String, Arc<AtomicUsize>>,
}

/// What is known of a session.
#[derive(Debug)]
struct OpenSession {
    host: String,
    /// How many its host has.
    of_host: Arc<AtomicUsize>,
    /// When it was last heard of.
    heard: Instant,
    /// Its requests under way.
    pending: HashSet<String>,
    /// How many connections listen to it.
    listeners: usize,
    /// The revision that was agreed on.
    version: Option<ProtocolVersion>,
    /// Whether it ever had a request: many are opened by those who want nothing else.
    is_used: bool,
}

/// A request of a session while it is under way.
#[derive(Debug)]
pub(super) struct PendingRequest {
    open: Arc<Mutex<SessionTable>>,
    session: SessionId,
    id: String,
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.sessions.get_mut(&self.session) {
            known.pending.remove(&self.id);
            known.heard = Instant::now();
        }
    }
}

/// A connection that listens to a session.
struct SessionListener {
    open: Arc<Mutex<SessionTable>>,
    session: SessionId,
}

impl Drop for SessionListener {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.sessions.get_mut(&self.session) {
            known.listeners -= 1;
            known.heard = Instant::now();
        }
    }
}

impl SessionTable {
    fn insert(&mut self, id: SessionId, host: String) {
        let of_host = match self.hosts.get(&host) {
            Some(count) => Arc::clone(count),
            None => Arc::clone(self.hosts.entry(host.clone()).or_default()),
        };
        of_host.fetch_add(1, Ordering::Relaxed);
        let (heard, pending) = (Instant::now(), HashSet::new());
        let open = OpenSession {
            host,
            of_host,
            heard,
            pending,
            listeners: 0,
            version: None,
            is_used: false,
        };
        self.sessions.insert(id, open);
    }

    fn remove(&mut self, id: &SessionId) {
        let Some(gone) = self.sessions.remove(id) else { return };
        if gone.of_host.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.hosts.remove(&gone.host);
        }
    }
}

impl OpenSession {
    /// Returns how many sessions its host has.
    fn count(&self) -> usize {
        self.of_host.load(Ordering::Relaxed)
    }
}

impl BoundedSessions {
    pub(super) fn new(streams: StreamHub) -> Self {
        let mut local = LocalSessionManager::default();
        // Who is silent is decided here.
        local.session_config.keep_alive = None;
        // Only what was cancelled is left, and nobody comes back for that.
        local.session_config.completed_cache_ttl = Duration::ZERO;
        Self { local, open: Arc::default(), most: MOST_SESSIONS, streams }
    }

    fn open(&self) -> MutexGuard<'_, SessionTable> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether there is such a session.
    pub(super) fn has(&self, session: &str) -> bool {
        self.open().sessions.contains_key(session)
    }

    /// Returns the revision of a session.
    pub(super) fn version(&self, session: &str) -> Option<ProtocolVersion> {
        self.open().sessions.get(session).and_then(|known| known.version.clone())
    }

    /// Notes that a request of a session is under way; `None` when there is no such session.
    ///
    /// # Errors
    ///
    /// [`SessionRefusal`]
    pub(super) fn begin(
        &self,
        session: &str,
        id: &str,
    ) -> Result<Option<PendingRequest>, SessionRefusal> {
        let mut open = self.open();
        let Some((session, _)) = open.sessions.get_key_value(session) else { return Ok(None) };
        let session = Arc::clone(session);
        let Some(known) = open.sessions.get_mut(&session) else { return Ok(None) };
        if known.pending.contains(id) {
            return Err(SessionRefusal::SameId);
        }
        if known.pending.len() >= MOST_PENDING {
            return Err(SessionRefusal::TooMany);
        }
        known.pending.insert(id.to_owned());
        known.is_used = true;
        drop(open);
        Ok(Some(PendingRequest { open: Arc::clone(&self.open), session, id: id.to_owned() }))
    }

    /// Takes out the sessions that were silent for too long, and one more when there is no room for
    /// another one of `host`.
    fn take_surplus(&self, host: &str) -> Result<Vec<SessionId>, SessionError> {
        let now = Instant::now();
        let mut open = self.open();
        let is_idle = |it: &OpenSession| it.pending.is_empty();
        let is_over = |it: &OpenSession| {
            is_idle(it) && it.listeners == 0 && now.duration_since(it.heard) >= IDLE
        };
        let over = open.sessions.iter().filter(|(_, it)| is_over(it));
        let mut surplus: Vec<SessionId> = over.map(|(id, _)| Arc::clone(id)).collect();
        if open.sessions.len() - surplus.len() >= self.most {
            // The one that is to be opened counts.
            let known = open.hosts.get(host);
            let own = known.map_or(0, |count| count.load(Ordering::Relaxed)) + 1;
            let count = |it: &OpenSession| match known {
                Some(known) if Arc::ptr_eq(known, &it.of_host) => own,
                _ => it.count(),
            };
            let goes = open
                .sessions
                .iter()
                // Nobody is pushed out by an address that has more.
                .filter(|(_, it)| is_idle(it) && count(it) >= own)
                .max_by_key(|(_, it)| {
                    (count(it), !it.is_used, it.listeners == 0, Reverse(it.heard))
                });
            match goes {
                Some((id, _)) => surplus.push(Arc::clone(id)),
                None => return Err(SessionError::Full(self.most)),
            }
        }
        for id in &surplus {
            open.remove(id);
        }
        Ok(surplus)
    }

    async fn close(&self, id: &SessionId) {
        self.open().remove(id);
        self.streams.close_all(id);
        // One that waits for its client to read does not hear.
        let closing = tokio::time::timeout(TO_CLOSE, self.local.close_session(id)).await;
        if !matches!(closing, Ok(Ok(()))) {
            tracing::debug!("a session ends without a word");
        }
    }

    fn listen<S>(&self, id: &SessionId, stream: S) -> impl Stream<Item = ServerSseMessage> + use<S>
    where
        S: Stream<Item = ServerSseMessage>,
    {
        let listener = self.open().sessions.get_mut(id).map(|known| {
            known.listeners += 1;
            SessionListener { open: Arc::clone(&self.open), session: Arc::clone(id) }
        });
        stream.inspect(move |_| {
            // It lasts as long as the stream.
            let _ = &listener;
        })
    }
}

impl SessionManager for BoundedSessions {
    type Error = SessionError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), SessionError> {
        let client = CLIENT.try_with(ClientKey::clone).unwrap_or_default();
        for surplus in self.take_surplus(&client.host)? {
            tracing::debug!("a session that was silent for long ends");
            self.close(&surplus).await;
        }
        let (id, transport) = self.local.create_session().await?;
        self.open().insert(Arc::clone(&id), client.host);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, SessionError> {
        message_limits::cut_introduction(&mut message);
        message.insert_extension(InSession(Arc::clone(id)));
        let answer = self.local.initialize_session(id, message).await?;
        if let Some(known) = self.open().sessions.get_mut(id) {
            known.version = batch::agreed(&answer).cloned();
        }
        Ok(answer)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, SessionError> {
        // Asked for at the beginning of each request.
        if let Some(known) = self.open().sessions.get_mut(id) {
            known.heard = Instant::now();
        }
        Ok(self.local.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), SessionError> {
        self.close(id).await;
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let plain = PlainAnswer::wanted(&message);
        if plain.is_some() {
            message.insert_extension(TakesCopies);
        }
        message.insert_extension(InSession(Arc::clone(id)));
        let events = self.local.create_stream(id, message).await?;
        Ok(plain_answers::settled(events, plain).await.map(for_library))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        message.insert_extension(InSession(Arc::clone(id)));
        Ok(self.local.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let stream = self.local.create_standalone_stream(id).await?;
        Ok(self.listen(id, stream).map(for_library))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, SessionError> {
        let stream = self.local.resume(id, last_event_id).await?;
        Ok(self.listen(id, stream).map(for_library))
    }
}

/// Returns an event that the library writes.
fn for_library(mut event: ServerSseMessage) -> ServerSseMessage {
    event.message = event.message.map(structured_text::with_trees);
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(most: usize) -> BoundedSessions {
        BoundedSessions { most, ..BoundedSessions::new(StreamHub::default()) }
    }

    /// Opens a session of a host, a second after the one before.
    async fn open(sessions: &BoundedSessions, host: &str) -> Result<SessionId, SessionError> {
        tokio::time::advance(Duration::from_secs(1)).await;
        let client = ClientKey { host: host.to_owned(), session: String::new() };
        let created = CLIENT.scope(client, sessions.create_session()).await;
        // A session without its transport is one that waits.
        created.map(|(id, transport)| {
            std::mem::forget(transport);
            id
        })
    }

    fn alive(sessions: &BoundedSessions, ids: &[SessionId]) -> Vec<bool> {
        ids.iter().map(|id| sessions.open().sessions.contains_key(id)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_are_only_opened_push_out_none_that_is_used() {
        let sessions = sessions(3);
        let mut ids = vec![open(&sessions, "a").await.unwrap()];
        drop(sessions.begin(&ids[0], "1").unwrap());
        for _ in 0..9 {
            ids.push(open(&sessions, "a").await.unwrap());
        }
        let alive = alive(&sessions, &ids);
        assert!(alive[0], "{alive:?}");
        assert_eq!(alive.iter().filter(|alive| **alive).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_session_that_was_silent_for_longest_makes_room() {
        let sessions = sessions(2);
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(open(&sessions, "a").await.unwrap());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.has_session(&ids[0]).await.unwrap());
        ids.push(open(&sessions, "a").await.unwrap());
        assert_eq!(alive(&sessions, &ids), [true, false, true]);
        sessions.close_session(&ids[2]).await.unwrap();
        assert_eq!(sessions.open().sessions.len(), 1);
        sessions.close_session(&ids[0]).await.unwrap();
        assert!(sessions.open().hosts.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_with_a_request_under_way_stays() {
        let sessions = sessions(2);
        let busy = open(&sessions, "a").await.unwrap();
        let call = sessions.begin(&busy, "1").unwrap().unwrap();
        let idle = open(&sessions, "a").await.unwrap();
        let third = open(&sessions, "a").await.unwrap();
        assert_eq!(alive(&sessions, &[busy.clone(), idle, third.clone()]), [true, false, true]);
        let other = sessions.begin(&third, "1").unwrap().unwrap();
        let error = open(&sessions, "b").await.unwrap_err();
        assert_eq!(error.to_string(), "all 2 sessions have requests under way; try again later");
        drop((call, other));
        assert!(open(&sessions, "b").await.is_ok());
        assert_eq!(alive(&sessions, &[busy, third]).iter().filter(|it| **it).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_that_has_the_most_makes_room() {
        let sessions = sessions(4);
        let first = open(&sessions, "b").await.unwrap();
        let mut many = Vec::new();
        for _ in 0..5 {
            many.push(open(&sessions, "a").await.unwrap());
        }
        assert_eq!(alive(&sessions, &many), [false, false, true, true, true]);
        assert_eq!(alive(&sessions, std::slice::from_ref(&first)), [true]);
        // Nobody is pushed out by one who has more.
        let calls: Vec<_> = many[2..].iter().map(|id| sessions.begin(id, "1").unwrap()).collect();
        assert!(open(&sessions, "a").await.is_err());
        drop(calls);
        assert!(open(&sessions, "c").await.is_ok());
        assert_eq!(alive(&sessions, &[first]), [true]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_ends_and_who_listens_stays() {
        let sessions = sessions(9);
        let silent = open(&sessions, "a").await.unwrap();
        let listened = open(&sessions, "a").await.unwrap();
        let stream = sessions.listen(&listened, futures_util::stream::pending());
        tokio::time::advance(IDLE).await;
        let ids = [silent, listened];
        open(&sessions, "a").await.unwrap();
        assert_eq!(alive(&sessions, &ids), [false, true]);
        drop(stream);
        tokio::time::advance(IDLE).await;
        open(&sessions, "a").await.unwrap();
        assert_eq!(alive(&sessions, &ids), [false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_a_session_are_counted_and_have_ids_of_their_own() {
        let sessions = sessions(2);
        let id = open(&sessions, "a").await.unwrap();
        let mut pending = Vec::new();
        for number in 0..MOST_PENDING {
            pending.push(sessions.begin(&id, &number.to_string()).unwrap().unwrap());
        }
        assert_eq!(sessions.begin(&id, "7").unwrap_err(), SessionRefusal::SameId);
        assert_eq!(sessions.begin(&id, "x").unwrap_err(), SessionRefusal::TooMany);
        pending.pop();
        assert!(sessions.begin(&id, "x").unwrap().is_some());
        assert!(sessions.begin("no such session", "1").unwrap().is_none());
    }
}
