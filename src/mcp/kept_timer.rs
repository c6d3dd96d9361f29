//! Timers for what most often does not take as long: they are kept for the next time.
//!
//! To set a timer that is the next one of all wakes the thread that it is for (a call of the system or two), which
//! is more than most waits take. One that is set already, and earlier, will do: when it is over, it is set again.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer for one wait after the other.
#[derive(Debug, Default)]
pub(super) struct KeptTimer(Option<Pin<Box<Sleep>>>);

impl KeptTimer {
    /// Waits until `end`.
    pub(super) fn poll_until(&mut self, end: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            let set = timer.deadline();
            if set > end || (set < end && timer.is_elapsed()) {
                timer.as_mut().reset(end);
            }
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
        }
    }
}

/// A timer that one uses after the other; a clone is the same.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedTimer(Arc<Mutex<KeptTimer>>);

impl SharedTimer {
    /// Waits until `end`. Who waits at the same time has a timer of its own.
    pub(super) async fn until(&self, end: Instant) {
        let mut held = HeldTimer { place: self, timer: self.exchange(KeptTimer::default()) };
        poll_fn(|context| held.timer.poll_until(end, context)).await;
    }

    fn exchange(&self, timer: KeptTimer) -> KeptTimer {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut place, timer)
    }
}

/// A timer that goes back to its place.
struct HeldTimer<'place> {
    place: &'place SharedTimer,
    timer: KeptTimer,
}

impl Drop for HeldTimer<'_> {
    fn drop(&mut self) {
        self.place.exchange(std::mem::take(&mut self.timer));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_wait_takes_all_of_its_time() {
        let timer = SharedTimer::default();
        for seconds in [5, 5, 2, 9, 1, 1, 30] {
            let start = Instant::now();
            timer.until(start + SECOND * seconds).await;
            assert_eq!(start.elapsed().as_secs(), u64::from(seconds));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_was_given_up_shortens_none() {
        let timer = SharedTimer::default();
        for _ in 0..9 {
            let start = Instant::now();
            assert!(timeout(3 * SECOND, timer.until(start + 5 * SECOND)).await.is_err());
        }
        // What was set is over when the next one begins.
        sleep(20 * SECOND).await;
        let start = Instant::now();
        timer.until(start + 5 * SECOND).await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn two_may_wait_at_once() {
        let timer = SharedTimer::default();
        let start = Instant::now();
        let waits = [3, 7, 5].map(|seconds| timer.until(start + SECOND * seconds));
        futures_util::future::join_all(waits).await;
        assert_eq!(start.elapsed().as_secs(), 7);
    }
}
