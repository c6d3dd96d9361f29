//! How long a client may say nothing between its requests, and how long it may take for the fields of one.
//!
//! A connection that ends in silence may end while a request is on its way, which is an error to its sender. So
//! silence after a request may last for longer than before the first one, which costs only who connects.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::kept_timer::KeptTimer;

/// How long a client may take while it is its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct SilenceBounds {
    /// Until a request begins that is not the first one.
    pub(super) silence: Duration,
    /// From there on until all of its fields are there; and until the first request begins.
    pub(super) head: Duration,
}

/// Whose turn it is on a connection: the client's, until the fields of a request are there, and the server's, until
/// that is answered. A clone says the same.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionTurns {
    /// How often it has changed; the first turn is the client's.
    changes: Arc<AtomicU32>,
}

/// The server's turn, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct ServerTurn(ConnectionTurns);

impl ConnectionTurns {
    /// Called when the fields of a request are there.
    pub(super) fn begin(&self) -> ServerTurn {
        self.changes.fetch_add(1, Ordering::Relaxed);
        ServerTurn(self.clone())
    }

    fn number(&self) -> u32 {
        self.changes.load(Ordering::Relaxed)
    }
}

impl Drop for ServerTurn {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits for a client while it is its turn.
#[derive(Debug)]
pub(super) struct SilenceTimer {
    turns: ConnectionTurns,
    bounds: SilenceBounds,
    /// The turn that the rest is about.
    turn: u32,
    has_begun: bool,
    end: Option<Instant>,
    timer: KeptTimer,
}

impl SilenceTimer {
    pub(super) fn new(turns: ConnectionTurns, bounds: SilenceBounds) -> Self {
        Self { turns, bounds, turn: 0, has_begun: false, end: None, timer: KeptTimer::default() }
    }

    /// Notes that something has come.
    pub(super) fn came(&mut self) {
        if self.is_clients() && !self.has_begun {
            self.has_begun = true;
            self.end = Some(Instant::now() + self.bounds.head);
        }
    }

    /// Notes that something has gone: who takes the rest of an answer is not silent.
    pub(super) fn went(&mut self) {
        if !self.has_begun {
            self.end = None;
        }
    }

    /// Waits for more; ready when the client took too long.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if !self.is_clients() {
            return Poll::Pending;
        }
        let bound = if self.turn == 0 { self.bounds.head } else { self.bounds.silence };
        let end = *self.end.get_or_insert_with(|| Instant::now() + bound);
        self.timer.poll_until(end, context).map(|()| io::ErrorKind::TimedOut.into())
    }

    fn is_clients(&mut self) -> bool {
        let turn = self.turns.number();
        if turn != self.turn {
            (self.turn, self.has_begun, self.end) = (turn, false, None);
        }
        turn.is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: SilenceBounds = SilenceBounds { silence: Duration::from_secs(100), head: SECOND };

    /// Returns after how many seconds the client is given up; `None` after a thousand.
    async fn given_up(timer: &mut SilenceTimer) -> Option<u64> {
        let start = Instant::now();
        let waiting = std::future::poll_fn(|context| timer.poll(context));
        let error = tokio::time::timeout(1000 * SECOND, waiting).await.ok()?;
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        Some(start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_longer_than_the_fields_of_a_request_may_take() {
        let turns = ConnectionTurns::default();
        let mut timer = SilenceTimer::new(turns.clone(), BOUNDS);
        assert_eq!(given_up(&mut timer).await, Some(1));
        drop(turns.begin());
        assert_eq!(given_up(&mut timer).await, Some(100));
        drop(turns.begin());
        timer.came();
        sleep(SECOND / 2).await;
        // A byte more is no beginning.
        timer.came();
        assert_eq!(given_up(&mut timer).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_client_that_is_being_answered() {
        let turns = ConnectionTurns::default();
        let mut timer = SilenceTimer::new(turns.clone(), BOUNDS);
        for _ in 0..3 {
            timer.came();
            let answering = turns.begin();
            timer.came();
            assert_eq!(given_up(&mut timer).await, None);
            drop(answering);
        }
        assert_eq!(given_up(&mut timer).await, Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_the_rest_of_an_answer_is_not_silent() {
        let turns = ConnectionTurns::default();
        let mut timer = SilenceTimer::new(turns.clone(), BOUNDS);
        drop(turns.begin());
        for _ in 0..5 {
            let waiting = std::future::poll_fn(|context| timer.poll(context));
            assert!(tokio::time::timeout(60 * SECOND, waiting).await.is_err());
            timer.went();
        }
        assert_eq!(given_up(&mut timer).await, Some(100));
        drop(turns.begin());
        timer.came();
        sleep(SECOND).await;
        // What is written meanwhile gives a request no longer.
        timer.went();
        assert_eq!(given_up(&mut timer).await, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn each_silence_has_all_of_its_time() {
        let turns = ConnectionTurns::default();
        let mut timer = SilenceTimer::new(turns.clone(), BOUNDS);
        drop(turns.begin());
        for _ in 0..5 {
            let waiting = std::future::poll_fn(|context| timer.poll(context));
            assert!(tokio::time::timeout(60 * SECOND, waiting).await.is_err());
            timer.came();
            drop(turns.begin());
        }
        assert_eq!(given_up(&mut timer).await, Some(100));
    }
}
