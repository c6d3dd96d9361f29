//! The clock of the store, and times as text.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::outcome::timestamp;

/// Tells the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Returns the seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Writes seconds since 1970 as `2026-11-21T05:33:55Z` (RFC 3339).
pub(crate) fn rfc3339(seconds: u64) -> String {
    // The year 9999 is the last one that the format has.
    timestamp::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799)))
}
