//! Messages that wait until a server reads them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

/// So many messages wait for a server that does not read.
const MOST_MESSAGES: usize = 1024;

/// And so many bytes.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Up to which size messages are joined into one write.
const JOINED_BYTES: usize = 64 * 1024;

/// Where messages are put; the input of the server is closed when the last clone is gone and what waits is
/// written.
#[derive(Clone)]
pub(super) struct LineQueue {
    lines: mpsc::Sender<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
}

/// What takes them out.
pub(super) struct QueuedLines {
    lines: mpsc::Receiver<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
}

/// Makes a queue.
pub(super) fn queue() -> (LineQueue, QueuedLines) {
    let (sender, receiver) = mpsc::channel(MOST_MESSAGES);
    let bytes = Arc::<AtomicUsize>::default();
    (LineQueue { lines: sender, bytes: Arc::clone(&bytes) }, QueuedLines { lines: receiver, bytes })
}

impl LineQueue {
    /// Puts a message there; nobody waits.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when too much waits, [`io::ErrorKind::BrokenPipe`] when the server
    /// takes nothing any more.
    pub(super) fn push(&self, line: Vec<u8>) -> io::Result<()> {
        let length = line.len();
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        let pushed = if before > 0 && before.saturating_add(length) > MOST_BYTES {
            Err(io::ErrorKind::WouldBlock)
        } else {
            self.lines.try_send(line).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => io::ErrorKind::WouldBlock,
                mpsc::error::TrySendError::Closed(_) => io::ErrorKind::BrokenPipe,
            })
        };
        if pushed.is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
        }
        pushed.map_err(io::Error::from)
    }
}

impl QueuedLines {
    /// Returns the next message, with the end of its line; nothing when no more will come.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.recv().await?;
        self.bytes.fetch_sub(line.len(), Ordering::Relaxed);
        Some(line)
    }
}

/// Writes messages until the queue is closed or the server takes no more.
pub(super) async fn write_all(mut write: impl AsyncWrite + Unpin, mut queue: QueuedLines) {
    let mut next = queue.lines.recv().await;
    while let Some(mut bytes) = next.take() {
        while bytes.len() < JOINED_BYTES
            && let Ok(more) = queue.lines.try_recv()
        {
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
            tracing::debug!(%error, "an MCP server takes no more messages");
            return;
        }
        queue.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        if next.is_none() {
            next = queue.lines.recv().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_written_in_order_and_then_the_input_is_closed() {
        let (queue, lines) = queue();
        for number in 0..100 {
            queue.push(format!("{number}\n").into_bytes()).unwrap();
        }
        let (mut ours, theirs) = tokio::io::duplex(16);
        let writer = tokio::spawn(write_all(theirs, lines));
        drop(queue);
        let mut text = String::new();
        ours.read_to_string(&mut text).await.unwrap();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, expected);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_does_not_read_holds_a_bounded_queue() {
        let (queue, lines) = queue();
        // One message may be as large as it is.
        queue.push(vec![0; MOST_BYTES + 1]).unwrap();
        let error = queue.push(vec![0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(lines);
        let (queue, lines) = super::queue();
        for _ in 0..MOST_MESSAGES {
            queue.push(vec![0; 1]).unwrap();
        }
        assert_eq!(queue.push(vec![0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(lines);
        assert_eq!(queue.push(vec![0; 1]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
