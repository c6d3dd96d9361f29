//! Lines of a server, within bounds of size and memory.

use std::io;

use dadl_text::growth;
use rmcp::model::RequestId;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use super::{error::ServerFault, oversized::IdFinder};
use crate::shares::{BudgetShare, ClientKey, SharedBudget};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// What the line buffer keeps after a long line.
const KEPT_BYTES: usize = 64 * 1024;

/// A line of this length costs nothing; more is counted by this much.
const FREE_BYTES: u64 = 64 * 1024;

/// What was read.
pub(super) enum ReadLine {
    /// A line without its end, and the memory that it takes.
    Line(Vec<u8>, BudgetShare),
    /// A line that was skipped: whose answer it was, and why.
    Skipped(Option<RequestId>, ServerFault),
    /// The end; half a line before it is nobody's.
    End,
}

/// Reads lines.
pub(super) struct LineReader<R> {
    read: BufReader<R>,
    /// The line that is being read. Reading may be interrupted at any await, so it lives here.
    line: Vec<u8>,
    memory: BudgetShare,
    room: SharedBudget,
    most: u64,
    total: u64,
    /// What looks at a line that is not kept, and why it is not.
    skipped: Option<(IdFinder, ServerFault)>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads lines of at most `most` bytes, which share `room` of `total` bytes.
    pub(super) fn new(read: R, most: u64, room: SharedBudget, total: u64) -> Self {
        Self {
            read: BufReader::with_capacity(READ_BYTES, read),
            line: Vec::new(),
            memory: room.nothing(&ClientKey::only()),
            room,
            most,
            total,
            skipped: None,
        }
    }

    /// Reads a line.
    ///
    /// Nothing is lost when the future is dropped: bytes are taken from the reader and put into the line
    /// without an await in between.
    pub(super) async fn read(&mut self) -> io::Result<ReadLine> {
        loop {
            let available = self.read.fill_buf().await?;
            if available.is_empty() {
                return Ok(ReadLine::End);
            }
            let end = memchr::memchr(b'\n', available);
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if self.skipped.is_none() {
                let length = (self.line.len() + part.len()) as u64;
                if length > self.most {
                    self.skipped =
                        Some((IdFinder::default(), ServerFault::TooLarge { limit: self.most }));
                } else if !has_room(&mut self.memory, length) {
                    self.skipped = Some((IdFinder::default(), ServerFault::NoRoom(self.total)));
                }
                if let Some((finder, _)) = &mut self.skipped {
                    finder.push(&self.line);
                    self.line = Vec::new();
                    self.memory = self.room.nothing(&ClientKey::only());
                }
            }
            match &mut self.skipped {
                Some((finder, _)) => finder.push(part),
                None => growth::append_to(&mut self.line, part),
            }
            let taken = end.map_or(available.len(), |end| end + 1);
            self.read.consume(taken);
            if end.is_some() {
                return Ok(self.take_line());
            }
        }
    }

    fn take_line(&mut self) -> ReadLine {
        if let Some((finder, fault)) = self.skipped.take() {
            return ReadLine::Skipped(finder.answered(), fault);
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let nothing = self.room.nothing(&ClientKey::only());
        ReadLine::Line(line, std::mem::replace(&mut self.memory, nothing))
    }

    /// Returns a share of the memory that counts nothing.
    pub(super) fn no_memory(&self) -> BudgetShare {
        self.room.nothing(&ClientKey::only())
    }

    /// Takes the buffer of a line that was read back, for the next one.
    pub(super) fn reuse(&mut self, mut line: Vec<u8>) {
        if self.line.is_empty() && line.capacity() <= KEPT_BYTES {
            line.clear();
            self.line = line;
        }
    }
}

/// Counts a line of this length; returns whether there is room for it.
pub(super) fn has_room(memory: &mut BudgetShare, length: u64) -> bool {
    let wanted = length.saturating_sub(FREE_BYTES).next_multiple_of(FREE_BYTES);
    let more = wanted.saturating_sub(memory.amount());
    more == 0 || memory.grow(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], most: u64, total: u64) -> Vec<String> {
        let mut reader = LineReader::new(input, most, SharedBudget::new(total), total);
        let mut found = Vec::new();
        loop {
            found.push(match reader.read().await.unwrap() {
                ReadLine::Line(line, _) => String::from_utf8(line).unwrap(),
                ReadLine::Skipped(id, fault) => format!("{id:?} {fault}"),
                ReadLine::End => return found,
            });
        }
    }

    #[tokio::test]
    async fn half_a_line_is_nobodys() {
        assert_eq!(lines(b"a\r\n\nb\nhalf", 10, 10).await, ["a", "", "b"]);
    }

    #[tokio::test]
    async fn a_long_line_is_skipped_and_its_id_is_known() {
        let long = "x".repeat(200_000);
        let first = format!("{{\"id\":1,\"result\":\"{long}\"}}\n");
        let last = format!("{{\"result\":\"{long}\",\"id\":2}}\nnext\n");
        let found = lines((first + &last).as_bytes(), 100_000, 1_000_000).await;
        assert_eq!(found.len(), 3);
        assert!(
            found[0].starts_with("Some(Number(1)) answered with more than 100000"),
            "{}",
            found[0]
        );
        assert!(found[1].starts_with("Some(Number(2))"), "{}", found[1]);
        assert_eq!(found[2], "next");
    }

    #[tokio::test]
    async fn what_has_no_room_is_skipped() {
        let long = format!("{{\"id\":1,\"result\":\"{}\"}}\nnext\n", "x".repeat(200_000));
        let found = lines(long.as_bytes(), 1_000_000, 100_000).await;
        assert!(found[0].contains("answers share 100000 bytes"), "{}", found[0]);
        assert_eq!(found[1], "next");
    }
}
