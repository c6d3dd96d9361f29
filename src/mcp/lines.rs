//! JSON-RPC messages as lines of a byte stream.
//!
//! Takes a reader and gives the protocol library's transport. It differs from the library's own in
//! what it does with input that is no message: a line that is not JSON, is no request or is longer
//! than [`MOST_BYTES`] gets an error reply and the next line is read, so that one bad line
//! costs a client neither its session nor its patience. Lines that are too long are never held in
//! memory. Writing is a task of its own that joins what is ready into one write.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use dadl_text::growth;
use rmcp::{
    RoleServer,
    model::ErrorCode,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    LiveServer,
    asleep::{needs_everything, written_list},
    batch::{self, BatchError, BatchMessage, MessageBatch, OpenBatches},
    json_rpc::{LineAction, error_line, id_of, parse_line},
    listed_tools::TakesText,
    message_limits::{self, MOST_BYTES},
    param_shapes,
    shutdown::{GracefulShutdown, UnderWay},
    structured_text::{self, TakesCopies},
};
use crate::{
    secrets::Secrets,
    shares::{BudgetShare, ClientKey, SharedBudget},
};

/// How many bytes the messages of the client may take while they are answered.
const MOST_IN_MEMORY: u64 = 512 * 1024 * 1024;
/// What answering a message takes besides its text, about.
const ANSWERING: u64 = 16 * 1024;
/// What the line buffer keeps after a long line.
const KEPT_LINE_BYTES: usize = 64 * 1024;
/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;
/// Up to which size messages are joined into one write.
const JOINED_BYTES: usize = 64 * 1024;
/// How many messages wait for a client that reads slowly.
const QUEUED_MESSAGES: usize = 64;
/// How long calls may go on after the end of the input. Who pipes a few requests into the program
/// closes the input at once and waits for the answers; a host that goes away does the same.
const GRACE: Duration = Duration::from_secs(2);

/// The transport.
pub(super) struct LineTransport<R> {
    read: BufReader<R>,
    /// The line that is being read. Reading may be interrupted at any await, so it lives here.
    line: Vec<u8>,
    /// Whether the rest of a line that is too long is being skipped.
    skipping: bool,
    ended: bool,
    /// Whether a request has come; nothing else opens a session.
    opened: bool,
    /// The messages of a batch that are still to be handled.
    batch: VecDeque<RxJsonRpcMessage<RoleServer>>,
    batches: OpenBatches,
    /// An error reply, or what answers a batch, that has not been queued yet.
    reply: Option<Vec<u8>>,
    write: Option<mpsc::Sender<Vec<u8>>>,
    connection: CancellationToken,
    ending: GracefulShutdown,
    memory: SharedBudget,
    /// What answers the messages.
    server: LiveServer,
}

/// What lasts as long as the handler of a message.
#[derive(Debug)]
struct LineGuard {
    _memory: BudgetShare,
    _under_way: UnderWay,
}

impl<R: AsyncRead + Unpin> LineTransport<R> {
    /// Reads messages from `read` and queues those to be sent on `write`. `connection` is
    /// cancelled a while after the input has ended.
    pub(super) fn new(
        read: R,
        write: mpsc::Sender<Vec<u8>>,
        connection: CancellationToken,
        ending: GracefulShutdown,
        server: LiveServer,
    ) -> Self {
        Self {
            read: BufReader::with_capacity(READ_BYTES, read),
            line: Vec::new(),
            skipping: false,
            ended: false,
            opened: false,
            batch: VecDeque::new(),
            batches: OpenBatches::default(),
            reply: None,
            write: Some(write),
            connection,
            ending,
            memory: SharedBudget::new(MOST_IN_MEMORY),
            server,
        }
    }

    /// Reads up to the end of a line; returns whether there is one in `self.line`.
    ///
    /// Nothing is lost when the future is dropped: bytes are taken from the reader and put into
    /// the line without an await in between.
    async fn read_line(&mut self) -> io::Result<bool> {
        loop {
            let available = self.read.fill_buf().await?;
            if available.is_empty() {
                self.ended = true;
                // The last line may lack its end.
                return Ok(!self.skipping && !self.line.is_empty());
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.map_or(available.len(), |end| end + 1);
            let too_long = self.line.len() + taken > MOST_BYTES;
            let started_skipping = too_long && !self.skipping;
            if too_long {
                self.line = Vec::new();
                self.skipping = true;
            } else if !self.skipping {
                self.line.extend_from_slice(available.get(..taken).unwrap_or(available));
            }
            self.read.consume(taken);
            let skipped = self.skipping;
            if end.is_some() {
                self.skipping = false;
            }
            if started_skipping {
                let message = format!("message longer than {MOST_BYTES} bytes");
                self.reply = Some(error_line(&Value::Null, ErrorCode::PARSE_ERROR, &message));
                return Ok(false);
            }
            if end.is_some() && !skipped {
                return Ok(true);
            }
        }
    }

    /// Counts a request for as long as it is answered. What answers or cancels one always passes:
    /// others wait for it.
    fn hold(&self, line: LineAction, text: &[u8], weight: u64) -> LineAction {
        let LineAction::Message(mut message) = line else { return line };
        if !is_request(&message) {
            return LineAction::Message(message);
        }
        let Some(memory) = self.memory.take(&ClientKey::only(), weight + ANSWERING) else {
            let reason = "too much is being answered; wait for some of it";
            return LineAction::Reply(error_line(&id_of(text), ErrorCode::INVALID_REQUEST, reason));
        };
        message_limits::cut_introduction(&mut message);
        let held = LineGuard { _memory: memory, _under_way: self.ending.begin() };
        message.insert_extension(Arc::new(held));
        message.insert_extension(TakesText);
        message.insert_extension(TakesCopies);
        LineAction::Message(message)
    }

    /// Says what is wrong with an introduction: the library only finds that nobody was introduced.
    fn introduced(&self, line: LineAction) -> LineAction {
        let LineAction::Message(message) = &line else { return line };
        match param_shapes::wrong_introduction(message) {
            Some(fault) => {
                LineAction::Reply(error_line(&id_of(&self.line), ErrorCode::INVALID_PARAMS, &fault))
            }
            None => line,
        }
    }

    /// Lets the messages of a batch be handled, one after the other.
    fn take_batch(&mut self, read: Result<MessageBatch, BatchError>) -> LineAction {
        let MessageBatch { parts, mut ids, mut answers } = match read {
            Ok(batch) => batch,
            Err(error) => return LineAction::Reply(error.reply()),
        };
        for BatchMessage { text, message, weight } in parts {
            let id = match &*message {
                RxJsonRpcMessage::<RoleServer>::Request(request) => Some(request.id.clone()),
                _ => None,
            };
            match self.hold(LineAction::Message(message), &text, weight) {
                LineAction::Message(message) => self.batch.push_back(*message),
                LineAction::Reply(reply) => {
                    if let Some(id) = id {
                        ids.remove(&id);
                    }
                    answers.push(reply);
                }
                LineAction::Ignore => {}
            }
        }
        self.batches.wait(ids, answers).map_or(LineAction::Ignore, LineAction::Reply)
    }

    /// Gives a message to be handled.
    fn hand_over(&mut self, message: RxJsonRpcMessage<RoleServer>) -> RxJsonRpcMessage<RoleServer> {
        if let Some(id) = batch::cancelled(&message) {
            self.reply = self.batches.cancelled(id);
        }
        message
    }

    /// Takes the line out of the buffer and decides about it.
    fn take_line(&mut self) -> LineAction {
        let line = match message_limits::weigh(&self.line) {
            Ok(_) if batch::is_batch(&self.line) => {
                let read = batch::read_batch(&self.line, self.batches.version().as_ref());
                self.take_batch(read)
            }
            Ok(weight) => self.hold(self.introduced(parse_line(&self.line)), &self.line, weight),
            Err(error) => {
                let id = id_of(&self.line);
                LineAction::Reply(error_line(&id, error.code(), &error.to_string()))
            }
        };
        self.line.clear();
        self.line.shrink_to(KEPT_LINE_BYTES);
        match line {
            // The library ends a session that opens with anything but a request.
            LineAction::Message(message) if !self.opened && !is_request(&message) => {
                LineAction::Ignore
            }
            LineAction::Message(message) => {
                self.opened = true;
                LineAction::Message(message)
            }
            other => other,
        }
    }
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleServer> for LineTransport<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (write, batches) = (self.write.clone(), self.batches.clone());
        let list = written_list(&mut message, || self.server.tools_text());
        async move {
            let write = write.ok_or(io::ErrorKind::NotConnected)?;
            let text = match list {
                Some(list) => list?,
                None => structured_text::message_bytes(&message)?,
            };
            let Some(line) = batches.sent(&message, text) else {
                return Ok(());
            };
            write.send(line).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if self.reply.is_some() {
                let permit = self.write.as_ref()?.reserve().await.ok()?;
                if let Some(reply) = self.reply.take() {
                    permit.send(reply);
                }
            }
            // It stays here while it waits: this may be interrupted.
            if self.batch.front().is_some_and(needs_everything) {
                // What went wrong is the answer.
                let _ = self.server.wake().await;
            }
            if let Some(message) = self.batch.pop_front() {
                return Some(self.hand_over(message));
            }
            if self.ended {
                let (connection, ending) = (self.connection.clone(), self.ending.clone());
                crate::spawn::task(async move {
                    tokio::time::sleep(GRACE).await;
                    // A task goes on, and who reads the answers learns its handle.
                    ending.stop().await;
                    connection.cancel();
                });
                return None;
            }
            match self.read_line().await {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => {
                    tracing::debug!(%error, "the input failed");
                    self.ended = true;
                    continue;
                }
            }
            match self.take_line() {
                LineAction::Ignore => {}
                LineAction::Message(message) if needs_everything(&message) => {
                    self.batch.push_back(*message);
                }
                LineAction::Message(message) => return Some(self.hand_over(*message)),
                LineAction::Reply(reply) => self.reply = Some(reply),
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.write = None;
        Ok(())
    }
}

/// Writes queued messages, without secrets, until the queue is closed; `connection` is cancelled
/// when the other side does not take them any more.
pub(super) async fn write_all(
    mut write: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    secrets: Secrets,
    connection: CancellationToken,
) {
    let mut next = queue.recv().await.map(|line| secrets.message(line));
    while let Some(mut bytes) = next.take() {
        while bytes.len() < JOINED_BYTES
            && let Ok(more) = queue.try_recv()
        {
            let more = secrets.message(more);
            if bytes.len() + more.len() > JOINED_BYTES {
                next = Some(more);
                break;
            }
            bytes.extend_from_slice(&more);
        }
        let written = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(%error, "the output is closed");
            connection.cancel();
            return;
        }
        growth::spare_block(bytes);
        if next.is_none() {
            next = queue.recv().await.map(|line| secrets.message(line));
        }
    }
}

/// Makes the queue of messages to be written.
pub(super) fn queue() -> (mpsc::Sender<Vec<u8>>, mpsc::Receiver<Vec<u8>>) {
    mpsc::channel(QUEUED_MESSAGES)
}

fn is_request(message: &RxJsonRpcMessage<RoleServer>) -> bool {
    matches!(message, RxJsonRpcMessage::<RoleServer>::Request(_))
}
