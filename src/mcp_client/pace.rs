//! How many lines of a server go into the log.

use std::time::{Duration, Instant};

/// So many lines a second; the rest is counted.
#[derive(Debug)]
pub(super) struct LinePace {
    most: u32,
    since: Instant,
    passed: u32,
    left_out: u64,
}

/// What is done with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineTurn {
    /// It is logged, after so many that were not.
    Log { left_out: u64 },
    /// It is not.
    LeaveOut,
}

impl LinePace {
    pub(super) fn new(most: u32, now: Instant) -> Self {
        Self { most, since: now, passed: 0, left_out: 0 }
    }

    /// Decides about a line.
    pub(super) fn take(&mut self, now: Instant) -> LineTurn {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.passed = 0;
        }
        if self.passed >= self.most {
            self.left_out += 1;
            return LineTurn::LeaveOut;
        }
        self.passed += 1;
        LineTurn::Log { left_out: std::mem::take(&mut self.left_out) }
    }

    /// Returns how many lines were left out since the last that was logged.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let start = Instant::now();
        let mut pace = LinePace::new(2, start);
        assert_eq!(pace.take(start), LineTurn::Log { left_out: 0 });
        assert_eq!(pace.take(start), LineTurn::Log { left_out: 0 });
        for _ in 0..3 {
            assert_eq!(pace.take(start), LineTurn::LeaveOut);
        }
        assert_eq!(pace.left_out(), 3);
        let later = start + Duration::from_secs(1);
        assert_eq!(pace.take(later), LineTurn::Log { left_out: 3 });
        assert_eq!(pace.take(later), LineTurn::Log { left_out: 0 });
        assert_eq!(pace.take(later), LineTurn::LeaveOut);
    }
}
