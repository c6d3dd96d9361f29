//! Messages between us and a server as lines.
//!
//! It differs from the protocol library's own transport in what may be sent to us: results are handed on
//! as text by their [`CallSlot`](super::call_slot::CallSlot), what is too long or cannot be read fails the
//! call that it answers and no other, notifications make no tasks, and all of it is bounded.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, OnceLock},
    time::Instant,
};

use dadl_text::{
    json::{cost, scan},
    text,
};
use rmcp::{
    RoleClient,
    model::{ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerResult},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    call_slot::{OpenRequests, RawResult, Waiting},
    decode::{self, ServerMessage, UnreadableMessage},
    error::ServerFault,
    line_reader::ReadLine,
    line_writer::LineQueue,
    message_source::MessageSource,
    news::ServerNews,
    oversized::IdFinder,
    pace::{LinePace, LineTurn},
};
use crate::{outcome::JsonText, secrets::Secrets, shares::BudgetShare};

/// Messages that the protocol library reads make no larger trees, in bytes.
const LARGEST_TREE: u64 = 64 * 1024 * 1024;

/// So many requests of a server are answered at the same time.
const MOST_REQUESTS: usize = 16;

/// After so many lines in a row that are no messages a process is no server.
const MOST_NOISE: u32 = 100;

/// How much of a line is quoted, in characters.
const QUOTED: usize = 200;

/// A notification of a subscription is no larger, in bytes.
const LARGEST_NOTICE: usize = 64 * 1024;

/// Some libraries begin what they write with it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// So many messages of a server are logged, a second.
const MOST_LOGGED: u32 = 50;

/// What we know of a connection beside its messages; a clone knows the same.
#[derive(Clone)]
pub(super) struct Connection {
    /// The name of the backend.
    pub backend: Arc<str>,
    /// What is under way.
    pub open: OpenRequests,
    /// Cancelled when nothing comes any more.
    pub ended: CancellationToken,
    /// Why we ended it, if it was not the server.
    pub fault: Arc<OnceLock<ServerFault>>,
    /// What the server tells without being asked.
    pub news: ServerNews,
    /// What is taken out of all that comes.
    pub secrets: Secrets,
}

impl Connection {
    pub(super) fn new(backend: &str, secrets: Secrets) -> Self {
        Self {
            backend: backend.into(),
            open: OpenRequests::default(),
            ended: CancellationToken::new(),
            fault: Arc::default(),
            news: ServerNews::default(),
            secrets,
        }
    }
}

/// The transport; a clone is the same one, for a second introduction.
pub(super) struct LineTransport<R> {
    reader: Arc<Mutex<Incoming<R>>>,
    queue: Option<LineQueue>,
    connection: Connection,
}

impl<R> Clone for LineTransport<R> {
    fn clone(&self) -> Self {
        Self {
            reader: Arc::clone(&self.reader),
            queue: self.queue.clone(),
            connection: self.connection.clone(),
        }
    }
}

impl<R: MessageSource> LineTransport<R> {
    pub(super) fn new(lines: R, queue: LineQueue, connection: Connection) -> Self {
        let incoming = Incoming {
            lines,
            batch: VecDeque::new(),
            noise: 0,
            pace: LinePace::new(MOST_LOGGED, Instant::now()),
            queue: queue.clone(),
            connection: connection.clone(),
        };
        Self { reader: Arc::new(Mutex::new(incoming)), queue: Some(queue), connection }
    }
}

impl<R: MessageSource + 'static> Transport<RoleClient> for LineTransport<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.connection.open.sent(&message);
        let sent = match &self.queue {
            Some(queue) => line_of(&message).and_then(|line| queue.push(line)),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        std::future::ready(sent)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.reader.lock().await.next().await;
        if message.is_none() {
            self.connection.ended.cancel();
        }
        message
    }

    async fn close(&mut self) -> io::Result<()> {
        self.queue = None;
        self.connection.ended.cancel();
        Ok(())
    }
}

fn line_of(message: &TxJsonRpcMessage<RoleClient>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// What comes from a server.
struct Incoming<R> {
    lines: R,
    /// Messages of a batch that are still to be handled.
    batch: VecDeque<String>,
    /// How many lines in a row were none.
    noise: u32,
    pace: LinePace,
    queue: LineQueue,
    connection: Connection,
}

impl<R: MessageSource> Incoming<R> {
    /// Returns the next message that the protocol library has to hear of.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(part) = self.batch.pop_front() {
                // The memory of a batch is counted until it was read, which it is now.
                let nothing = self.lines.no_memory();
                if let Some(message) = self.take_text(part, nothing) {
                    return Some(message);
                }
                continue;
            }
            let handled = match self.lines.read().await {
                Ok(ReadLine::Line(line, memory)) => self.take_line(line, memory),
                Ok(ReadLine::Skipped(id, fault)) => id.and_then(|id| self.fail(&id, fault)),
                Ok(ReadLine::End) => return None,
                Err(error) => {
                    tracing::debug!(backend = &*self.connection.backend, %error, "the output failed");
                    return None;
                }
            };
            if handled.is_some() {
                return handled;
            }
            if self.noise > MOST_NOISE {
                return None;
            }
        }
    }

    fn take_line(
        &mut self,
        line: Vec<u8>,
        memory: BudgetShare,
    ) -> Option<RxJsonRpcMessage<RoleClient>> {
        if line.is_empty() {
            self.lines.reuse(line);
            return None;
        }
        match String::from_utf8(line) {
            Ok(line) => self.take_text(line, memory),
            Err(error) => {
                let why = error.utf8_error().to_string();
                self.take_noise(error.as_bytes(), &UnreadableMessage::Json(why))
            }
        }
    }

    fn take_text(
        &mut self,
        mut text: String,
        memory: BudgetShare,
    ) -> Option<RxJsonRpcMessage<RoleClient>> {
        if text.starts_with(BYTE_ORDER_MARK) {
            text.remove(0);
        }
        let message = match decode::read_message(&text) {
            Ok(message) => message,
            Err(error) => return self.take_noise(text.as_bytes(), &error),
        };
        self.noise = 0;
        match message {
            ServerMessage::Answer { id, result } => match self.connection.open.answered(&id) {
                (id, Waiting::Slot(slot)) => {
                    let result = self.result_of(text, result.start, result.end);
                    slot.answer(Ok(RawResult::new(result, memory)));
                    Some(JsonRpcMessage::response(ServerResult::empty(()), id))
                }
                (id, Waiting::Library) => self.for_library(&text, Some(&id)),
                (id, Waiting::Nobody) => self.nobody(&id),
            },
            ServerMessage::Failure { id: Some(id), mut failure } => {
                match self.connection.open.answered(&id) {
                    (id, Waiting::Slot(slot)) => {
                        failure.message = self.connection.secrets.masked(failure.message);
                        let secrets = &self.connection.secrets;
                        failure.data = failure.data.map(|data| secrets.masked_json(data));
                        slot.answer(Err(ServerFault::Rpc(failure)));
                        Some(JsonRpcMessage::response(ServerResult::empty(()), id))
                    }
                    (id, Waiting::Library) => self.for_library(&text, Some(&id)),
                    (id, Waiting::Nobody) => self.nobody(&id),
                }
            }
            // An introduction is refused like this; nothing else can be meant by it.
            ServerMessage::Failure { id: None, .. } => self.for_library(&text, None),
            ServerMessage::Request { id } => self.take_request(id, &text),
            ServerMessage::Notification { method, params } => {
                let place = params.unwrap_or_default();
                let params = text.get(place).unwrap_or_default();
                if self.take_notification(&method, params) {
                    return self.for_library(&text, None);
                }
                self.lines.reuse(text.into_bytes());
                None
            }
            ServerMessage::Batch => match decode::batch_parts(&text) {
                Ok(parts) => {
                    self.batch = parts.into();
                    None
                }
                Err(error) => self.take_noise(text.as_bytes(), &error),
            },
        }
    }

    /// Makes a result of a part of a message, without a copy of it.
    fn result_of(&self, mut text: String, start: usize, end: usize) -> JsonText {
        // Invariant: the parser found both between characters.
        text.truncate(end);
        drop(text.drain(..start));
        let text = scan::compact_in_place(text);
        JsonText::trusted(self.connection.secrets.masked_json(text))
    }

    /// Handles a notification; returns whether the protocol library has to hear of it.
    fn take_notification(&mut self, method: &str, params: &str) -> bool {
        let connection = &self.connection;
        match method {
            "notifications/progress" => {
                let read = decode::read_progress(params);
                if let Some((token, mut progress)) = read
                    && let Some(slot) = connection.open.slot_of(&token)
                {
                    progress.message = progress.message.map(|it| connection.secrets.masked(it));
                    slot.tell(progress);
                }
                false
            }
            "notifications/message" => {
                self.log(params);
                false
            }
            "notifications/cancelled" => {
                let id = Self::id_in(params, &["requestId"]);
                id.is_some_and(|id| {
                    connection.news.ended(&id);
                    connection.open.withdrawn(&id) || connection.open.is_plain(&id)
                })
            }
            _ if connection.news.take(method, params) => false,
            _ => self.is_of_subscription(params),
        }
    }

    /// Returns whether a notification belongs to a subscription that is open.
    fn is_of_subscription(&self, params: &str) -> bool {
        let id = Self::id_in(params, &["_meta", "io.modelcontextprotocol/subscriptionId"]);
        id.is_some_and(|id| self.connection.open.is_plain(&id))
    }

    /// Returns an id that a notification carries.
    fn id_in(params: &str, names: &[&str]) -> Option<RequestId> {
        if params.len() > LARGEST_NOTICE {
            return None;
        }
        let params = scan::compact_in_place(params.to_owned());
        serde_json::from_str(scan::member_at(&params, names)?).ok()
    }

    /// Hands a request of the server to who answers it, within bounds.
    fn take_request(&self, id: RequestId, text: &str) -> Option<RxJsonRpcMessage<RoleClient>> {
        if !self.connection.open.asked(&id, MOST_REQUESTS) {
            self.refuse(id, "too many requests are being answered");
            return None;
        }
        let request = self.for_library(text, None);
        if request.is_none() {
            self.connection.open.withdrawn(&id);
            self.refuse(id, "the request cannot be read");
        }
        request
    }

    /// Logs a message of the server.
    fn log(&mut self, params: &str) {
        let LineTurn::Log { left_out } = self.pace.take(Instant::now()) else { return };
        let backend = &*self.connection.backend;
        if left_out > 0 {
            tracing::info!(target: "server", backend, "{left_out} messages left out");
        }
        let params = scan::compact_in_place(params.to_owned());
        let data = scan::member_at(&params, &["data"]).unwrap_or_default();
        let data = scan::unquote(data).filter(|_| data.starts_with('"')).unwrap_or(data.into());
        let data = text::start_of(&data, 4096);
        let data = text::one_line(&data);
        let data = self.connection.secrets.text(&data);
        match scan::member_at(&params, &["level"]).map(|level| level.trim_matches('"')) {
            Some("debug") => tracing::debug!(target: "server", backend, "{data}"),
            Some("warning") => tracing::warn!(target: "server", backend, "{data}"),
            Some("error" | "critical" | "alert" | "emergency") => {
                tracing::error!(target: "server", backend, "{data}");
            }
            _ => tracing::info!(target: "server", backend, "{data}"),
        }
    }

    /// Reads a message as the protocol library does.
    fn for_library(
        &self,
        text: &str,
        id: Option<&RequestId>,
    ) -> Option<RxJsonRpcMessage<RoleClient>> {
        let limit = LARGEST_TREE;
        if cost::parse_cost(text) > limit {
            let id = id?.clone();
            let error =
                ErrorData::internal_error(ServerFault::TooLarge { limit }.to_string(), None);
            return Some(JsonRpcMessage::error(error, Some(id)));
        }
        match serde_json::from_str(text) {
            Ok(message) => Some(message),
            Err(error) => {
                let backend = &*self.connection.backend;
                tracing::debug!(backend, %error, "a message cannot be read");
                let id = id?.clone();
                let error = ErrorData::internal_error(error.to_string(), None);
                Some(JsonRpcMessage::error(error, Some(id)))
            }
        }
    }

    /// Handles a line that is no message: what it answers fails, and else it is logged.
    fn take_noise(
        &mut self,
        line: &[u8],
        why: &UnreadableMessage,
    ) -> Option<RxJsonRpcMessage<RoleClient>> {
        let mut finder = IdFinder::default();
        finder.push(line);
        if let Some(id) = finder.answered() {
            return self.fail(&id, ServerFault::Unreadable(why.to_string()));
        }
        self.noise += 1;
        let quoted = String::from_utf8_lossy(line.get(..4 * QUOTED).unwrap_or(line));
        let quoted = self.connection.secrets.text(&text::one_line(&quoted)).into_owned();
        let quoted = text::start_of(&quoted, QUOTED);
        tracing::debug!(backend = &*self.connection.backend, "a line that is no message: {quoted}");
        if self.noise > MOST_NOISE {
            // The first reason counts.
            let _ = self.connection.fault.set(ServerFault::NotAServer { line: quoted });
        }
        None
    }

    /// Fails a request that is under way.
    fn fail(&mut self, id: &RequestId, fault: ServerFault) -> Option<RxJsonRpcMessage<RoleClient>> {
        match self.connection.open.answered(id) {
            (id, Waiting::Slot(slot)) => {
                slot.answer(Err(fault));
                Some(JsonRpcMessage::response(ServerResult::empty(()), id))
            }
            (id, Waiting::Library) => {
                let error = ErrorData::internal_error(fault.to_string(), None);
                Some(JsonRpcMessage::error(error, Some(id)))
            }
            (id, Waiting::Nobody) => self.nobody(&id),
        }
    }

    fn nobody(&self, id: &RequestId) -> Option<RxJsonRpcMessage<RoleClient>> {
        tracing::debug!(backend = &*self.connection.backend, %id, "an answer that nobody waits for");
        None
    }

    /// Answers a request of the server with an error.
    fn refuse(&self, id: RequestId, why: &'static str) {
        let error = ErrorData::new(ErrorCode::INTERNAL_ERROR, why, None);
        let message: TxJsonRpcMessage<RoleClient> = JsonRpcMessage::error(error, Some(id));
        // A server that does not read hears nothing.
        let _ = line_of(&message).and_then(|line| self.queue.push(line));
    }
}
