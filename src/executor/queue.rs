//! Bounds of what happens at once.
//!
//! A [`Queue`] lets so many calls run; the others wait, and the turn goes round among the sessions,
//! so that one with a thousand calls holds up nobody else. A [`Memory`] counts the bytes of the
//! answers that are being read.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

use super::work::Work;
use crate::config::Limits;

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
            transfers: Queue::new(limits.transfers, limits.queued),
            of_backends: of_backends.collect(),
            memory: Memory::new(limits.memory),
            work: Work::default(),
        }
    }

    /// Returns how many bytes the answers take that are being read.
    pub(super) fn used(&self) -> u64 {
        self.memory.used()
    }

    /// Returns the room of a call of `session`, which takes nothing yet.
    pub(super) fn room(&self, session: &str) -> Room {
        Room {
            share: Arc::new(Share { memory: self.memory.clone(), bytes: AtomicU64::new(0) }),
            work: self.work.clone(),
            session: session.into(),
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
        session: &str,
        is_transfer: bool,
    ) -> Result<Turns, String> {
        if is_transfer {
            let turn = self.transfers.turn(session).await.map_err(|Full(waiting)| {
                let most = self.limits.transfers;
                format!("{most} transfers run (`max_transfers`) and {waiting} calls wait")
            })?;
            return Ok(Turns([Some(turn), None]));
        }
        let own = match self.of_backends.get(backend) {
            None => None,
            Some((queue, most)) => Some(queue.turn(session).await.map_err(|Full(waiting)| {
                format!("{most} calls of the backend run (`max_calls`) and {waiting} wait")
            })?),
        };
        let turn = self.calls.turn(session).await.map_err(|Full(waiting)| {
            format!("{} calls run (`max_calls` of `limits`) and {waiting} wait", self.limits.calls)
        })?;
        Ok(Turns([Some(turn), own]))
    }
}

/// Lets a bounded number of calls run at once; a clone is the same queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    most_waiting: usize,
    /// The session whose turn is next comes first.
    sessions: VecDeque<Session>,
}

/// The calls of one session that wait, in their order.
#[derive(Debug)]
struct Session {
    name: String,
    calls: VecDeque<oneshot::Sender<()>>,
}

/// The right to run; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Queue,
}

/// Why there is no turn: so many calls wait already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) usize);

impl Queue {
    /// Lets `most` calls run at once and `most_waiting` wait.
    pub(super) fn new(most: usize, most_waiting: usize) -> Self {
        let state = State { free: most, waiting: 0, most_waiting, sessions: VecDeque::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a turn of `session`. Who goes away while waiting leaves the queue.
    pub(super) async fn turn(&self, session: &str) -> Result<Turn, Full> {
        let Some(mut wait) = self.enter(session)? else {
            return Ok(Turn { queue: self.clone() });
        };
        // The sender is dropped with the queue only, which this borrows.
        let given = (&mut wait.given).await;
        wait.is_over = true;
        debug_assert!(given.is_ok(), "a queue outlives its calls");
        Ok(Turn { queue: self.clone() })
    }

    /// Takes a free turn, or a place in the queue.
    fn enter(&self, session: &str) -> Result<Option<Wait<'_>>, Full> {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Ok(None);
        }
        if state.waiting >= state.most_waiting {
            return Err(Full(state.waiting));
        }
        state.waiting += 1;
        let (give, given) = oneshot::channel();
        match state.sessions.iter_mut().find(|known| known.name == session) {
            Some(known) => known.calls.push_back(give),
            None => {
                let calls = VecDeque::from([give]);
                state.sessions.push_back(Session { name: session.to_owned(), calls });
            }
        }
        Ok(Some(Wait { queue: self, given, is_over: false }))
    }

    /// Gives a turn to the next call that still waits.
    fn give_back(&self) {
        let mut state = self.lock();
        while let Some(mut session) = state.sessions.pop_front() {
            let Some(next) = session.calls.pop_front() else { continue };
            if !session.calls.is_empty() {
                state.sessions.push_back(session);
            }
            // One that went away has counted itself out.
            if next.send(()).is_ok() {
                state.waiting -= 1;
                return;
            }
        }
        state.free += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.give_back();
    }
}

/// A call that waits for its turn.
struct Wait<'queue> {
    queue: &'queue Queue,
    given: oneshot::Receiver<()>,
    is_over: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let was_given = {
            // Under the lock: nothing is given between the look and the count.
            let mut state = self.queue.lock();
            self.given.close();
            let was_given = self.given.try_recv().is_ok();
            if !was_given {
                state.waiting -= 1;
                // Who keeps going away must not leave a longer and longer queue behind.
                for session in &mut state.sessions {
                    session.calls.retain(|call| !call.is_closed());
                }
                state.sessions.retain(|session| !session.calls.is_empty());
            }
            was_given
        };
        if was_given {
            // Nobody took it.
            self.queue.give_back();
        }
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
    session: Arc<str>,
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
        self.work.step(&self.session, size, step).await
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_turn_goes_round_among_the_sessions() {
        let queue = Queue::new(1, 9);
        let first = queue.turn("a").await.unwrap();
        let order = Mutex::new(Vec::new());
        let call = |session: &'static str, number: u32| {
            let (queue, order) = (&queue, &order);
            async move {
                let _turn = queue.turn(session).await.unwrap();
                order.lock().unwrap().push((session, number));
            }
        };
        let calls = [call("a", 1), call("a", 2), call("a", 3), call("b", 1), call("c", 1)];
        let mut all = Box::pin(futures_util::future::join_all(calls));
        assert!((&mut all).now_or_never().is_none());
        drop(first);
        all.await;
        let order = order.into_inner().unwrap();
        assert_eq!(order, [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("a", 3)]);
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let queue = Queue::new(1, 1);
        let turn = queue.turn("a").await.unwrap();
        let mut waiting = Box::pin(queue.turn("a"));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(queue.turn("b").await.unwrap_err(), Full(1));
        drop(turn);
        drop(waiting.await.unwrap());
        assert!(queue.turn("b").now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_queue() {
        let queue = Queue::new(1, 1);
        let turn = queue.turn("a").await.unwrap();
        // Before its turn, and after it was given and not taken.
        let mut waiting = Box::pin(queue.turn("a"));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        let mut waiting = Box::pin(queue.turn("a"));
        assert!((&mut waiting).now_or_never().is_none());
        drop(turn);
        drop(waiting);
        assert!(queue.turn("a").now_or_never().is_some());
        let state = queue.lock();
        assert_eq!((state.waiting, state.free, state.sessions.len()), (0, 1, 0));
    }

    #[test]
    fn memory_is_counted_and_given_back() {
        let bounds = Bounds::new(Limits { memory: 10, ..Limits::default() }, std::iter::empty());
        let (one, two) = (bounds.room("a"), bounds.room("b"));
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
