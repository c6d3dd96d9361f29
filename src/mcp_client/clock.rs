//! The time of a call, which stands still while a person is asked something.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// How long a call may still take; a clone is the same clock.
#[derive(Debug, Clone)]
pub struct CallClock {
    state: Arc<watch::Sender<ClockState>>,
    time: Duration,
}

#[derive(Debug, Clone, Copy)]
enum ClockState {
    Runs(Instant),
    Stands(Duration),
}

/// Keeps a clock still until it is dropped.
#[derive(Debug)]
pub struct StoppedClock(CallClock);

impl CallClock {
    /// Begins to count.
    pub fn new(time: Duration) -> Self {
        let state = watch::channel(ClockState::Runs(Instant::now() + time)).0;
        Self { state: Arc::new(state), time }
    }

    /// Returns how much time there was at first.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Returns how much time is left.
    pub fn left(&self) -> Duration {
        match *self.state.borrow() {
            ClockState::Runs(until) => until.saturating_duration_since(Instant::now()),
            ClockState::Stands(left) => left,
        }
    }

    /// Stops it for as long as what is returned lives.
    pub fn stop(&self) -> StoppedClock {
        let left = self.left();
        self.state.send_replace(ClockState::Stands(left));
        StoppedClock(self.clone())
    }

    /// Waits until the time is over.
    pub(super) async fn over(&self) {
        let mut state = self.state.subscribe();
        loop {
            let now = *state.borrow_and_update();
            let until = match now {
                ClockState::Runs(until) => Some(until),
                ClockState::Stands(_) => None,
            };
            tokio::select! {
                () = async {
                    match until {
                        Some(until) => tokio::time::sleep_until(until).await,
                        None => std::future::pending().await,
                    }
                } => return,
                // Its sender is `self`.
                _ = state.changed() => {}
            }
        }
    }
}

impl Drop for StoppedClock {
    fn drop(&mut self) {
        let until = Instant::now() + self.0.left();
        self.0.state.send_replace(ClockState::Runs(until));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_takes_no_time() {
        let clock = CallClock::new(Duration::from_secs(10));
        let stopped = clock.stop();
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(clock.left(), Duration::from_secs(10));
        assert!(clock.over().now_or_never().is_none());
        drop(stopped);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(clock.over().now_or_never().is_none());
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.over().await;
        assert_eq!(clock.left(), Duration::ZERO);
    }
}
