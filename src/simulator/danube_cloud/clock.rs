//! The clock: tokio's, so that a test that pauses it pauses the product, and one that can be put
//! forward.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::outcome::timestamp;

/// Counts from the start of the simulator.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// Seconds since 1970 at the start.
    epoch: u64,
    skipped: Duration,
}

impl Clock {
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
    pub(super) fn date(&self, ago: Duration) -> Date {
        Date((self.epoch + self.now().as_secs()).saturating_sub(ago.as_secs()))
    }
}

/// A point in time: seconds since 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(pub(super) u64);

impl Date {
    /// Returns `2026-01-31T23:59:59Z`.
    pub(super) fn iso(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%SZ")
    }

    /// Returns `20260131_235959`.
    pub(super) fn compact(self) -> String {
        self.written("%Y%m%d_%H%M%S")
    }

    fn written(self, form: &str) -> String {
        let moment = i64::try_from(self.0).ok().and_then(timestamp::moment);
        moment.map(|moment| moment.strftime(form).to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(Date(0).iso(), "1970-01-01T00:00:00Z");
        assert_eq!(Date(951_782_400).iso(), "2000-02-29T00:00:00Z");
        assert_eq!(Date(1_709_251_199).compact(), "20240229_235959");
        assert_eq!(Date(4_102_444_800).iso(), "2100-01-01T00:00:00Z");
    }
}
