//! The clock: tokio's, so that a test that pauses it pauses the product, and one that can be put
//! forward.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

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
        let [year, month, day, hour, minute, second] = self.parts();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Returns `20260131_235959`.
    pub(super) fn compact(self) -> String {
        let [year, month, day, hour, minute, second] = self.parts();
        format!("{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}")
    }

    /// Splits into year, month, day, hour, minute and second of the Gregorian calendar.
    fn parts(self) -> [u64; 6] {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        // Years begin in March, so that a leap day is the last of its year; 719468 days lie between
        // 0000-03-01 and 1970-01-01.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        [year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60]
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
