//! Bounds of what happens at once.
//!
//! [`Bounds`] let so many calls run; the others wait for their turns. A [`Memory`] counts the bytes
//! of the answers that are being read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    config::Limits,
    shares::{Client, Full, Queue, Turn},
};

use super::work::Work;

/// One part of so many of the transfers, which last long, is kept for clients that have few.
const KEPT_TRANSFERS: usize = 8;

/// The bounds of an executor; a clone counts with it.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    limits: Limits,
    calls: Queue,
    transfers: Queue,
    /// By position of the backend, each with its bound.
    of_backends: Arc<[(Queue, usize)]>,
    memory: Memory,
    work: Work,
}

/// The right to make a call; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turns(
    #[expect(dead_code, reason = "held until the call ends")] [Option<Turn>; 2],
);

impl Bounds {
    /// Bounds calls by `limits`, and those of each backend by its own limit.
    pub(super) fn new(limits: Limits, of_backends: impl Iterator<Item = usize>) -> Self {
        let of_backends = of_backends.map(|most| (Queue::new(most, limits.queued), most));
        Self {
            limits,
            calls: Queue::new(limits.calls, limits.queued),
            transfers: Queue::keeping(
                limits.transfers / KEPT_TRANSFERS,
                limits.transfers,
                limits.queued,
            ),
            of_backends: of_backends.collect(),
            memory: Memory::new(limits.memory),
            work: Work::default(),
        }
    }

    /// Returns how many bytes the answers take that are being read.
    pub(super) fn used(&self) -> u64 {
        self.memory.used()
    }

    /// Returns the room of a call of `client`, which takes nothing yet.
    pub(super) fn room(&self, client: &Client) -> Room {
        Room {
            share: Arc::new(Share { memory: self.memory.clone(), bytes: AtomicU64::new(0) }),
            work: self.work.clone(),
            client: client.clone(),
        }
    }

    /// Waits until a call of the backend at `backend` may be sent. One that transfers a file, which
    /// lasts long and takes little memory, is counted apart.
    ///
    /// # Errors
    ///
    /// Which bound was hit.
    pub(super) async fn turns(
        &self,
        backend: usize,
        client: &Client,
        is_transfer: bool,
    ) -> Result<Turns, String> {
        if is_transfer {
            let turn = self.transfers.turn(client).await.map_err(|Full(waiting)| {
                let most = self.limits.transfers;
                format!("{most} transfers run (`max_transfers`) and {waiting} calls wait")
            })?;
            return Ok(Turns([Some(turn), None]));
        }
        let own = match self.of_backends.get(backend) {
            None => None,
            Some((queue, most)) => Some(queue.turn(client).await.map_err(|Full(waiting)| {
                format!("{most} calls of the backend run (`max_calls`) and {waiting} wait")
            })?),
        };
        let turn = self.calls.turn(client).await.map_err(|Full(waiting)| {
            format!("{} calls run (`max_calls` of `limits`) and {waiting} wait", self.limits.calls)
        })?;
        Ok(Turns([Some(turn), own]))
    }
}

/// The bytes that answers take while they are read; a clone counts with it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    used: Arc<AtomicU64>,
    most: u64,
}

/// Where one call reads its answer: the bytes that it takes, and the turns to work on it.
///
/// The bytes are given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    share: Arc<Share>,
    work: Work,
    client: Client,
}

/// The bytes of one call.
#[derive(Debug)]
struct Share {
    memory: Memory,
    bytes: AtomicU64,
}

/// There is no room for more: the bound, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom(pub(crate) u64);

impl Memory {
    /// Has room for `most` bytes.
    pub(super) fn new(most: u64) -> Self {
        Self { used: Arc::default(), most }
    }

    /// Returns how many bytes are taken.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Room {
    /// Takes room for more bytes.
    pub(crate) fn grow(&self, bytes: u64) -> Result<(), NoRoom> {
        let Memory { used, most } = &self.share.memory;
        let grown = |used: u64| used.checked_add(bytes).filter(|sum| sum <= most);
        match used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown) {
            Ok(_) => {
                self.share.bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(NoRoom(*most)),
        }
    }

    /// Takes room for `after` bytes instead of `before`, which it has taken.
    pub(crate) fn resize(&self, before: u64, after: u64) -> Result<(), NoRoom> {
        let Some(less) = before.checked_sub(after) else { return self.grow(after - before) };
        let Share { memory, bytes } = &*self.share;
        let less = less.min(bytes.load(Ordering::Relaxed));
        bytes.fetch_sub(less, Ordering::Relaxed);
        memory.used.fetch_sub(less, Ordering::Relaxed);
        Ok(())
    }

    /// Works on an answer of `size` bytes where that holds up nobody else.
    pub(crate) async fn work<T>(&self, size: usize, step: impl FnOnce() -> T) -> T {
        self.work.step(&self.client, size, step).await
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_and_given_back() {
        let bounds = Bounds::new(Limits { memory: 10, ..Limits::default() }, std::iter::empty());
        let (one, two) = (bounds.room(&Client::only()), bounds.room(&Client::only()));
        assert_eq!(one.grow(6), Ok(()));
        assert_eq!(two.grow(5), Err(NoRoom(10)));
        assert_eq!(two.grow(4), Ok(()));
        drop(one);
        assert_eq!(two.grow(6), Ok(()));
        assert_eq!(two.grow(u64::MAX), Err(NoRoom(10)));
        assert_eq!((two.resize(6, 1), bounds.used()), (Ok(()), 5));
        let clone = two.clone();
        assert_eq!((two.resize(1, 7), two.resize(0, 0)), (Err(NoRoom(10)), Ok(())));
        drop(two);
        assert_eq!((clone.resize(99, 0), bounds.used()), (Ok(()), 0));
    }
}
