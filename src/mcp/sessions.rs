//! Sessions of clients before 2026-07-28, with a bound on their number.
//!
//! Such a client should end its session and often does not. An idle session ends by itself after
//! [`IDLE`]; when there are too many before that, the one that was silent for longest makes room,
//! and its client opens another when it comes back, as the protocol asks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_server::{
        SessionId, SessionManager,
        session::{ServerSseMessage, local::LocalSessionManager},
    },
};
use tokio::time::Instant;

use crate::live::Hub;

/// How long a session may be silent.
const IDLE: Duration = Duration::from_secs(3600);
/// How many sessions there may be; one takes about 60 KB.
const MOST_SESSIONS: usize = 500;

type Error = <LocalSessionManager as SessionManager>::Error;

/// The library's sessions in memory, bounded.
pub(super) struct Sessions {
    local: LocalSessionManager,
    /// When each session was last heard of.
    heard: Mutex<HashMap<SessionId, Instant>>,
    most: usize,
    /// Those of a session end with it.
    streams: Hub,
}

impl Sessions {
    pub(super) fn new(streams: Hub) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(IDLE);
        Self { local, heard: Mutex::default(), most: MOST_SESSIONS, streams }
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<SessionId, Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the session that was silent for longest when there is no room for another.
    fn take_surplus(&self) -> Option<SessionId> {
        let mut heard = self.heard();
        if heard.len() < self.most {
            return None;
        }
        let oldest = heard.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone())?;
        heard.remove(&oldest);
        Some(oldest)
    }
}

impl SessionManager for Sessions {
    type Error = Error;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Error> {
        if let Some(surplus) = self.take_surplus() {
            tracing::debug!("too many sessions: the one that was silent for longest ends");
            self.streams.close_all(&surplus);
            self.local.close_session(&surplus).await?;
        }
        let (id, transport) = self.local.create_session().await?;
        self.heard().insert(id.clone(), Instant::now());
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Error> {
        // Asked for at the beginning of each request.
        if let Some(at) = self.heard().get_mut(id) {
            *at = Instant::now();
        }
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Error> {
        self.heard().remove(id);
        self.streams.close_all(id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.local.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.local.resume(id, last_event_id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_session_that_was_silent_for_longest_makes_room() {
        let sessions = Sessions { most: 2, ..Sessions::new(Hub::default()) };
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(sessions.create_session().await.unwrap().0);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(sessions.has_session(&ids[0]).await.unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
        ids.push(sessions.create_session().await.unwrap().0);
        let mut alive = Vec::new();
        for id in &ids {
            alive.push(sessions.has_session(id).await.unwrap());
        }
        assert_eq!(alive, [true, false, true]);
        sessions.close_session(&ids[2]).await.unwrap();
        assert_eq!(sessions.heard().len(), 1);
    }
}
