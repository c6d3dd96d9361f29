//! Dates as APIs write them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, civil::DateTime};

/// When counting begins.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A point in time: seconds since 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SimulatedDate(pub(crate) u64);

impl SimulatedDate {
    /// Returns `2026-01-31T23:59:59Z`.
    pub(crate) fn iso(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%SZ")
    }

    /// Returns `2026-01-31T23:59:59.000Z`.
    pub(crate) fn iso_millis(self) -> String {
        self.written("%Y-%m-%dT%H:%M:%S.000Z")
    }

    /// Returns `20260131T235959Z`.
    pub(crate) fn basic(self) -> String {
        self.written("%Y%m%dT%H%M%SZ")
    }

    /// Returns `20260131_235959`.
    pub(crate) fn compact(self) -> String {
        self.written("%Y%m%d_%H%M%S")
    }

    fn written(self, form: &str) -> String {
        let since = i64::try_from(self.0).ok().map(SignedDuration::from_secs);
        let moment = since.and_then(|since| EPOCH.checked_add(since).ok());
        moment.map(|moment| moment.strftime(form).to_string()).unwrap_or_default()
    }
}

/// Returns the time as milliseconds since 1970.
pub(crate) fn now_millis() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(SimulatedDate(0).iso(), "1970-01-01T00:00:00Z");
        assert_eq!(SimulatedDate(951_782_400).iso(), "2000-02-29T00:00:00Z");
        assert_eq!(SimulatedDate(951_782_400).iso_millis(), "2000-02-29T00:00:00.000Z");
        assert_eq!(SimulatedDate(1_709_251_199).basic(), "20240229T235959Z");
        assert_eq!(SimulatedDate(1_709_251_199).compact(), "20240229_235959");
        assert_eq!(SimulatedDate(4_102_444_800).iso(), "2100-01-01T00:00:00Z");
    }
}
