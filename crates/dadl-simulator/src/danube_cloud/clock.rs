//! The clock: tokio's, so that a test that pauses it pauses the product, and one that can be put
//! forward.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::server::SimulatedDate;

/// Counts from the start of the simulator.
#[derive(Debug)]
pub(super) struct SimulatedClock {
    started: Instant,
    /// Seconds since 1970 at the start.
    epoch: u64,
    skipped: Duration,
}

impl SimulatedClock {
    /// Starts a clock.
    pub(super) fn new() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { started: Instant::now(), epoch, skipped: Duration::ZERO }
    }

    /// Puts the clock forward.
    pub(super) fn advance(&mut self, time: Duration) {
        self.skipped = self.skipped.saturating_add(time);
    }

    /// Returns the time since the start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed().saturating_add(self.skipped)
    }

    /// Returns the date `ago` before now.
    pub(super) fn date(&self, ago: Duration) -> SimulatedDate {
        SimulatedDate((self.epoch + self.now().as_secs()).saturating_sub(ago.as_secs()))
    }
}
