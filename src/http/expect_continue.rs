//! Holds a body back until the server wants it (`Expect: 100-continue`, RFC 9110, section 10.1.1),
//! and ends it when the server has answered already.
//!
//! The client library does not tell when `100 Continue` comes. But it asks for the body again
//! whenever anything comes, so that a held body sees that something did: it waits a moment longer, in
//! which a final answer ends it, and is sent otherwise. When nothing comes at all it is sent after a
//! second, as the RFC allows. Sent too early it does no harm.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep};

use crate::files::ByteStream;

/// Shorter bodies are sent at once: that costs no more than asking.
pub(crate) const EXPECT_FROM: u64 = 1024 * 1024;
/// How long a server may take to ask for the body; one that knows nothing of it never does.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a final answer may take to be noticed.
const MOMENT: Duration = Duration::from_millis(10);

/// What becomes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyDecision {
    /// It waits.
    Hold,
    /// It is sent.
    Go,
    /// Nobody wants it any more.
    Stop,
}

/// Decides about a body that is being sent; dropping it ends the body.
#[derive(Debug, Default)]
pub(crate) struct HeldSending(Option<Arc<BodyGate>>);

#[derive(Debug)]
struct BodyGate(Mutex<BodyState>);

#[derive(Debug)]
struct BodyState {
    verdict: BodyDecision,
    /// Whoever sends the body.
    waker: Option<Waker>,
}

impl BodyGate {
    fn state(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldSending {
    fn drop(&mut self) {
        let Some(gate) = &self.0 else { return };
        let mut state = gate.state();
        state.verdict = BodyDecision::Stop;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Makes a body of which this is decided at first, and what decides about it.
pub(crate) fn hold_body(body: ByteStream, verdict: BodyDecision) -> (ByteStream, HeldSending) {
    let gate = Arc::new(BodyGate(Mutex::new(BodyState { verdict, waker: None })));
    let sending = HeldSending(Some(Arc::clone(&gate)));
    (Box::pin(HeldBody { body, gate, wait: None }), sending)
}

struct HeldBody {
    body: ByteStream,
    gate: Arc<BodyGate>,
    wait: Option<ContinueWait>,
}

impl Stream for HeldBody {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut state = this.gate.state();
        if state.verdict == BodyDecision::Hold {
            let wait = this.wait.get_or_insert_with(ContinueWait::new);
            if wait.poll(context).is_ready() {
                state.verdict = BodyDecision::Go;
            }
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        match state.verdict {
            BodyDecision::Hold => Poll::Pending,
            BodyDecision::Go => {
                drop(state);
                this.body.as_mut().poll_next(context)
            }
            BodyDecision::Stop => {
                let error = io::Error::other("the server has answered already");
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

/// How long a body waits.
struct ContinueWait {
    sleep: Pin<Box<Sleep>>,
    /// Set once the task that sends has had its first turn: from then on, something has come.
    turned: Arc<WakeFlag>,
    polls: u32,
    is_short: bool,
}

#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl ContinueWait {
    fn new() -> Self {
        let turned = Arc::new(WakeFlag::default());
        // Whoever yields is woken after the task that runs now has had its turn.
        let waker = Waker::from(Arc::clone(&turned));
        let mut yielding = Box::pin(tokio::task::yield_now());
        let _ = yielding.as_mut().poll(&mut Context::from_waker(&waker));
        let sleep = Box::pin(tokio::time::sleep(LONGEST_WAIT));
        Self { sleep, turned, polls: 0, is_short: false }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.polls += 1;
        // The library asks twice in its first turn.
        let has_news = self.polls > 2 || (self.polls > 1 && self.turned.0.load(Ordering::Acquire));
        if has_news && !self.is_short {
            self.is_short = true;
            let soon = Instant::now() + MOMENT;
            if soon < self.sleep.deadline() {
                self.sleep.as_mut().reset(soon);
            }
        }
        self.sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _, stream};

    use super::*;

    fn body() -> ByteStream {
        stream::iter([Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))]).boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_asks_for_is_sent_after_a_second() {
        let (mut held, _sending) = hold_body(body(), BodyDecision::Hold);
        let started = Instant::now();
        assert_eq!(held.next().await.unwrap().unwrap(), "a");
        assert_eq!(started.elapsed(), LONGEST_WAIT);
        assert_eq!(held.next().await.unwrap().unwrap(), "b");
        assert!(held.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn when_something_comes_the_body_is_sent_soon() {
        let (mut held, _sending) = hold_body(body(), BodyDecision::Hold);
        let started = Instant::now();
        assert!(held.next().now_or_never().is_none());
        tokio::task::yield_now().await;
        assert_eq!(held.next().await.unwrap().unwrap(), "a");
        assert!(started.elapsed() <= MOMENT + Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_a_body() {
        for begin in [BodyDecision::Hold, BodyDecision::Go] {
            let endless = stream::pending().boxed();
            let (mut held, sending) = hold_body(endless, begin);
            let reading = tokio::spawn(async move { held.next().await.unwrap() });
            tokio::task::yield_now().await;
            drop(sending);
            let error = reading.await.unwrap().unwrap_err();
            assert_eq!(error.to_string(), "the server has answered already");
        }
    }
}
