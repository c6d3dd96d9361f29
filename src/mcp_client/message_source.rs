//! Where messages of a server come from: lines of a process, or answers over HTTP.

use std::io;

use tokio::{process::ChildStdout, sync::mpsc};

use super::line_reader::{LineReader, ReadLine};
use crate::shares::{BudgetShare, ClientKey, SharedBudget};

/// So many messages that came over HTTP wait until they are looked at; then their connections wait.
const MOST_WAITING: usize = 64;

/// Gives messages within bounds. Nothing is lost when the future of [`read`](Self::read) is dropped.
pub(super) trait MessageSource: Send {
    /// Waits for the next message.
    fn read(&mut self) -> impl Future<Output = io::Result<ReadLine>> + Send;

    /// Returns a share of the memory that counts nothing.
    fn no_memory(&self) -> BudgetShare;

    /// Takes the buffer of a message that was read back.
    fn reuse(&mut self, line: Vec<u8>);
}

/// One of both.
pub(super) enum LinkSource {
    /// The output of a process.
    Lines(Box<LineReader<ChildStdout>>),
    /// What came over HTTP.
    Inbox(Inbox),
}

impl MessageSource for LinkSource {
    async fn read(&mut self) -> io::Result<ReadLine> {
        match self {
            Self::Lines(lines) => lines.read().await,
            Self::Inbox(inbox) => Ok(inbox.messages.recv().await.unwrap_or(ReadLine::End)),
        }
    }

    fn no_memory(&self) -> BudgetShare {
        match self {
            Self::Lines(lines) => lines.no_memory(),
            Self::Inbox(inbox) => inbox.room.nothing(&ClientKey::only()),
        }
    }

    fn reuse(&mut self, line: Vec<u8>) {
        if let Self::Lines(lines) = self {
            lines.reuse(line);
        }
    }
}

/// Messages of many connections, one after the other.
pub(super) struct Inbox {
    messages: mpsc::Receiver<ReadLine>,
    room: SharedBudget,
}

/// Makes an inbox, and what puts messages into it.
pub(super) fn inbox(room: SharedBudget) -> (mpsc::Sender<ReadLine>, Inbox) {
    let (sender, messages) = mpsc::channel(MOST_WAITING);
    (sender, Inbox { messages, room })
}
