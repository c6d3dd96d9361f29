//! The streamable HTTP transport: each message of ours is a request of its own, and what comes back goes to
//! those who wait for it.
//!
//! A call is sent once more in two cases, in which the server has said that it did nothing: it does not know
//! the session any more, or it wants header fields that its list of tools names.

use std::{sync::Arc, time::Duration};

use rmcp::model::RequestId;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    error::ServerFault,
    http_answer::{AnswerBounds, AnswerPart, AnswerReader, EventCursor},
    http_fault::HttpRefusal,
    http_message::{Outgoing, OutgoingKind},
    http_site::{HttpSession, HttpSite, answered_by},
    line_reader::ReadLine,
    line_transport::{Connection, LineTransport},
    line_writer::{self, QueuedLines},
    message_source::{LinkSource, inbox},
    settings::{HttpSettings, LinkLimits},
};
use crate::shares::{ClientKey, SharedBudget};

/// So many requests are under way at the same time.
const MOST_REQUESTS: usize = 1024;

/// A list of tools that is read for header fields has no more pages.
const MOST_PAGES: usize = 100;

/// Ends a connection.
pub(super) struct HttpEnd {
    site: Arc<HttpSite>,
    ended: CancellationToken,
}

/// Connects to a server when the first message goes out.
pub(super) fn connect(
    settings: &HttpSettings,
    limits: LinkLimits,
    room: &SharedBudget,
    connection: &Connection,
) -> (LineTransport<LinkSource>, HttpEnd) {
    let (sender, messages) = inbox(room.clone());
    let bounds = AnswerBounds { most: limits.message, room: room.clone(), total: limits.memory };
    let (queue, queued) = line_writer::queue();
    let site = HttpSite::new(settings.clone(), limits, bounds, connection.clone(), sender);
    let (site, ended) = (Arc::new(site), CancellationToken::new());
    crate::spawn::task(post_all(Arc::clone(&site), queued, ended.clone()));
    let transport = LineTransport::new(LinkSource::Inbox(messages), queue, connection.clone());
    (transport, HttpEnd { site, ended })
}

impl HttpEnd {
    /// Returns why the last introduction failed, where it was not for what the server said of it.
    pub(super) fn take_refusal(&self) -> Option<ServerFault> {
        self.site.take_refusal()
    }

    /// Waits until the session is ended that nothing is sent in any more; for so long.
    pub(super) async fn end(self, patience: Duration) {
        if timeout(patience, self.ended.cancelled()).await.is_err() {
            self.site.stop.cancel();
            let _ = timeout(patience, self.ended.cancelled()).await;
        }
    }
}

impl Drop for HttpEnd {
    /// A session that nobody ended is ended all the same, before the process is.
    fn drop(&mut self) {
        if !self.ended.is_cancelled() && self.site.session().is_named() {
            self.site.leave();
        }
    }
}

/// Sends messages until no more will come.
async fn post_all(site: Arc<HttpSite>, mut queue: QueuedLines, ended: CancellationToken) {
    let _ended = ended.drop_guard();
    while let Some(message) = queue.next().await {
        if let Some(message) = Outgoing::read(message) {
            site.dispatch(Arc::new(message)).await;
        }
    }
    site.stop.cancel();
    site.end_session().await;
    site.left();
}

impl HttpSite {
    /// Sends a message, and lets its answer come.
    async fn dispatch(self: &Arc<Self>, message: Arc<Outgoing>) {
        let site = Arc::clone(self);
        match message.kind.clone() {
            OutgoingKind::Request(id) => match self.begin(&id, MOST_REQUESTS) {
                Some(token) => {
                    crate::spawn::task(async move { site.converse(message, id, token).await });
                }
                None => self.hand_on(ReadLine::Skipped(Some(id), ServerFault::Busy)).await,
            },
            // What comes after it is for a server that has heard of it.
            OutgoingKind::Notification { .. } if message.is("notifications/initialized") => {
                let told = timeout(self.patience(), self.tell(&message));
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    _ = told => self.listen(),
                }
            }
            OutgoingKind::Notification { taken_back: Some(id) } => {
                // A stream that is closed is the word for it, from 2026-07-28 on.
                self.end(&id);
                if !self.session().is_stateless() {
                    crate::spawn::task(async move { site.tell_in_time(&message).await });
                }
            }
            OutgoingKind::Notification { taken_back: None } | OutgoingKind::Answer => {
                crate::spawn::task(async move { site.tell_in_time(&message).await });
            }
        }
    }

    async fn tell_in_time(&self, message: &Outgoing) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = timeout(self.patience(), self.tell(message)) => {}
        }
    }

    /// Sends a message that has no answer.
    async fn tell(&self, message: &Outgoing) {
        let backend = &*self.connection.backend;
        match self.post(message, &self.session()).await {
            Ok(exchange) if exchange.response.status().is_success() => {}
            Ok(exchange) => {
                let status = exchange.response.status().as_u16();
                tracing::debug!(backend, status, "a message was not taken");
            }
            Err(fault) => tracing::debug!(backend, %fault, "a message was not taken"),
        }
    }

    /// Makes a request; whatever happens, there is an answer for who waits.
    async fn converse(
        self: Arc<Self>,
        message: Arc<Outgoing>,
        id: RequestId,
        token: CancellationToken,
    ) {
        let answered = tokio::select! {
            biased;
            () = token.cancelled() => return,
            answered = self.ask(&message, &id) => answered,
        };
        self.end(&id);
        if let Err(fault) = answered {
            if message.is_introduction() {
                self.refused(&fault);
            }
            self.hand_on(ReadLine::Skipped(Some(id), fault)).await;
        }
    }

    async fn ask(
        self: &Arc<Self>,
        message: &Arc<Outgoing>,
        id: &RequestId,
    ) -> Result<(), ServerFault> {
        let (mut is_renewed, mut has_learned, mut has_looked) = (false, false, false);
        loop {
            // An introduction is part of no session.
            let session =
                if message.is_introduction() { HttpSession::default() } else { self.session() };
            let exchange = self.post(message, &session).await?;
            if exchange.response.status().is_success() && self.is_old() {
                // The answer comes on its stream.
                return Ok(());
            }
            if exchange.response.status().is_success() {
                self.note_session(message, &exchange);
                let reader = AnswerReader::new(exchange, &self.bounds, EventCursor::default())?;
                return self.take_answer(reader, message, id).await;
            }
            let refusal = HttpRefusal::read(exchange).await;
            if session.is_named() && refusal.is_of_session() {
                if is_renewed {
                    return Err(ServerFault::SessionLost);
                }
                is_renewed = true;
                self.renew(session.generation).await?;
            } else if refusal.is_of_fields() && message.is("tools/call") && !has_learned {
                has_learned = true;
                self.learn_fields(message).await?;
            } else if let Some(error) = refusal.rpc_error().filter(|_| !refusal.is_of_credential())
            {
                let id = serde_json::to_string(id).unwrap_or_default();
                let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}");
                let memory = self.bounds.room.nothing(&ClientKey::only());
                self.hand_on(ReadLine::Line(answer.into_bytes(), memory)).await;
                return Ok(());
            } else if message.is("initialize") && refusal.is_of_address() && !has_looked {
                has_looked = true;
                if !self.find_endpoint().await {
                    return Err(self.fault(&refusal, true));
                }
            } else {
                return Err(self.fault(&refusal, message.is_introduction()));
            }
        }
    }

    /// Hands on what comes until the answer is there.
    async fn take_answer(
        self: &Arc<Self>,
        mut reader: AnswerReader,
        message: &Arc<Outgoing>,
        id: &RequestId,
    ) -> Result<(), ServerFault> {
        let mut tries = 0;
        loop {
            match reader.next().await? {
                AnswerPart::Message(text, memory) => {
                    tries = 0;
                    let is_batch = text.trim_ascii_start().starts_with(b"[");
                    let is_it = answered_by(&text).is_some_and(|found| is_same(&found, id));
                    if is_it {
                        self.note_answer(message, &text);
                    }
                    self.hand_on(ReadLine::Line(text, memory)).await;
                    if is_batch {
                        // Nothing happens where it was among them.
                        self.hand_on(ReadLine::Skipped(Some(id.clone()), no_answer())).await;
                    }
                    if is_it || is_batch {
                        reader.finish().await;
                        return Ok(());
                    }
                }
                AnswerPart::Endpoint(_) => {}
                AnswerPart::End(why) if reader.is_stream() => {
                    let session = self.session();
                    reader = self.resume(reader.cursor(), &session, why, &mut tries).await?;
                }
                AnswerPart::End(Some(why)) => return Err(ServerFault::BrokenOff(why)),
                AnswerPart::End(None) => return Err(no_answer()),
            }
        }
    }

    /// Reads the list of tools for the header fields that it names.
    async fn learn_fields(self: &Arc<Self>, call: &Outgoing) -> Result<(), ServerFault> {
        let mut cursor = None;
        for page in 0..MOST_PAGES {
            let Some(request) = call.list_of_tools(page, cursor.as_deref()) else { return Ok(()) };
            let exchange = self.post(&request, &self.session()).await?;
            if !exchange.response.status().is_success() {
                return Ok(());
            }
            let mut reader = AnswerReader::new(exchange, &self.bounds, EventCursor::default())?;
            let answer = loop {
                match reader.next().await? {
                    AnswerPart::Message(text, _) if answered_by(&text).is_some() => break text,
                    AnswerPart::Endpoint(_) | AnswerPart::Message(..) => {}
                    AnswerPart::End(_) => return Ok(()),
                }
            };
            self.marks.learn(&answer);
            cursor = Outgoing::next_cursor(&answer);
            if cursor.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn no_answer() -> ServerFault {
    ServerFault::Unreadable("it has no answer to the request".to_owned())
}

/// Returns whether two ids are the same; some servers answer a number with its text.
fn is_same(found: &RequestId, id: &RequestId) -> bool {
    match (found, id) {
        (RequestId::String(text), RequestId::Number(number)) => text.parse() == Ok(*number),
        (found, id) => found == id,
    }
}
