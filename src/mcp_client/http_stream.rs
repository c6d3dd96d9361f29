//! Streams of events of a server at a URL: one that broke off is gone on with, and one is open for what the
//! server says unasked.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use http::StatusCode;

use super::{
    error::ServerFault,
    http_answer::{AnswerPart, AnswerReader, EventCursor},
    http_site::{HttpSession, HttpSite},
    line_reader::ReadLine,
};

/// A stream that brings nothing is gone on with so many times in a row.
const MOST_TRIES: u32 = 5;

/// How long is waited before that, where the server does not say; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is shorter, whatever a server says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// Nor longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long the address for messages may take.
const ENDPOINT_TIME: Duration = Duration::from_secs(5);

/// A stream that lived so long works.
const LONG_LIFE: Duration = Duration::from_secs(60);

impl HttpSite {
    /// Goes on with the stream of an answer that broke off.
    ///
    /// # Errors
    ///
    /// The server gave nothing to go on from, or does not go on.
    pub(super) async fn resume(
        &self,
        cursor: &EventCursor,
        session: &HttpSession,
        why: Option<String>,
        tries: &mut u32,
    ) -> Result<AnswerReader, ServerFault> {
        let why = why.unwrap_or_else(|| "the stream ended without it".to_owned());
        let Some(last_id) = cursor.last_id.as_deref() else {
            return Err(ServerFault::BrokenOff(why));
        };
        while *tries < MOST_TRIES {
            tokio::time::sleep(pause(cursor, *tries)).await;
            *tries += 1;
            let exchange = match self.get(session, Some(last_id)).await {
                Ok(exchange) => exchange,
                Err(fault) if fault.is_transient() => continue,
                Err(_) => break,
            };
            if exchange.response.status() == StatusCode::OK {
                let reader = AnswerReader::new(exchange, &self.bounds, cursor.clone());
                let reader = reader.ok().filter(AnswerReader::is_stream);
                return reader.ok_or(ServerFault::BrokenOff(why));
            }
            if exchange.response.status().is_client_error() {
                break;
            }
        }
        Err(ServerFault::BrokenOff(format!("{why}; the server does not go on with it")))
    }

    /// Listens to what the server says unasked, where it does and has no other way.
    pub(super) fn listen(self: &Arc<Self>) {
        if self.session().is_stateless() || self.is_old() {
            return;
        }
        let token = self.stop.child_token();
        let before = std::mem::replace(
            &mut *self.listener.lock().unwrap_or_else(PoisonError::into_inner),
            token.clone(),
        );
        before.cancel();
        let site = Arc::clone(self);
        crate::spawn::task(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = site.keep_listening() => {}
            }
        });
    }

    async fn keep_listening(self: &Arc<Self>) {
        let (session, mut cursor, mut tries) = (self.session(), EventCursor::default(), 0);
        loop {
            let begun = tokio::time::Instant::now();
            let (last_id, backend) = (cursor.last_id.clone(), &*self.connection.backend);
            match self.get(&session, last_id.as_deref()).await {
                Ok(exchange) if exchange.response.status() == StatusCode::OK => {
                    let reader = AnswerReader::new(exchange, &self.bounds, cursor.clone());
                    // Other content is no stream.
                    let Ok(mut reader) = reader else { return };
                    if !reader.is_stream() {
                        return;
                    }
                    self.take_news(&mut reader).await;
                    cursor = reader.cursor().clone();
                }
                Ok(exchange) if exchange.response.status() == StatusCode::NOT_FOUND => {
                    if session.is_named() {
                        self.lost_unasked(session.generation);
                    }
                    return;
                }
                // It has no such stream, or none for us.
                Ok(exchange) if exchange.response.status().is_client_error() => return,
                Ok(_) => {}
                Err(fault) if fault.is_transient() => {
                    tracing::debug!(backend, %fault, "its news cannot be heard");
                }
                Err(_) => return,
            }
            tries = if begun.elapsed() >= LONG_LIFE { 0 } else { tries + 1 };
            tokio::time::sleep(pause(&cursor, tries)).await;
        }
    }

    /// Finds out whether a server speaks HTTP+SSE of 2024-11-05: a stream that begins with the address for
    /// messages, and brings all answers. It ends with that stream.
    pub(super) async fn find_endpoint(self: &Arc<Self>) -> bool {
        let Ok(exchange) = self.get(&HttpSession::default(), None).await else { return false };
        if exchange.response.status() != StatusCode::OK {
            return false;
        }
        let reader = AnswerReader::new(exchange, &self.bounds, EventCursor::default());
        let Some(mut reader) = reader.ok().filter(AnswerReader::is_stream) else { return false };
        let first = tokio::time::timeout(ENDPOINT_TIME, reader.next()).await;
        let Ok(Ok(AnswerPart::Endpoint(address))) = first else { return false };
        if !self.set_endpoint(&address) {
            return false;
        }
        let site = Arc::clone(self);
        crate::spawn::task(async move {
            tokio::select! {
                () = site.stop.cancelled() => {}
                () = site.take_news(&mut reader) => {
                    let why = "its stream ended".to_owned();
                    site.end_all(ServerFault::BrokenOff(why)).await;
                }
            }
        });
        true
    }

    /// Opens a session anew of which nobody wants anything now: its server may list something else.
    fn lost_unasked(self: &Arc<Self>, generation: u64) {
        let site = Arc::clone(self);
        // What listens is ended by it.
        crate::spawn::task(async move {
            let renewed = tokio::select! {
                () = site.stop.cancelled() => return,
                renewed = site.renew(generation) => renewed,
            };
            if let Err(fault) = renewed {
                let backend = &*site.connection.backend;
                tracing::debug!(backend, %fault, "the session is lost");
            }
        });
    }

    async fn take_news(&self, reader: &mut AnswerReader) {
        loop {
            match reader.next().await {
                Ok(AnswerPart::Message(message, memory)) => {
                    self.hand_on(ReadLine::Line(message, memory)).await;
                }
                Ok(AnswerPart::Endpoint(_)) => {}
                Ok(AnswerPart::End(_)) => return,
                Err(fault) => {
                    let backend = &*self.connection.backend;
                    tracing::debug!(backend, %fault, "what it says unasked is left out");
                    return;
                }
            }
        }
    }
}

fn pause(cursor: &EventCursor, tries: u32) -> Duration {
    let first = cursor.retry.unwrap_or(FIRST_PAUSE);
    first.saturating_mul(2_u32.saturating_pow(tries)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}
