//! The end of a run, which moves while the run waits for a person.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// When a run ends, whatever it does. Both the engine's thread and whoever drives it look at it.
#[derive(Debug)]
pub struct RunDeadline {
    began: Instant,
    /// So many microseconds after the beginning.
    after: AtomicU64,
}

impl RunDeadline {
    /// Ends a run `time` from now.
    pub fn after(time: Duration) -> Self {
        Self { began: Instant::now(), after: AtomicU64::new(micros(time)) }
    }

    /// Returns the end as it stands.
    pub fn at(&self) -> Instant {
        self.began + Duration::from_micros(self.after.load(Ordering::Relaxed))
    }

    /// Returns how long a run has from now.
    pub fn time_left(&self) -> Duration {
        self.at().saturating_duration_since(Instant::now())
    }

    /// Lets the run end `time` from now.
    pub fn move_to(&self, time: Duration) {
        let after = self.began.elapsed().saturating_add(time);
        self.after.store(micros(after), Ordering::Relaxed);
    }
}

/// Half a million years at most, so that it can be added to any clock.
fn micros(time: Duration) -> u64 {
    const MOST: u64 = u64::MAX >> 8;
    u64::try_from(time.as_micros()).unwrap_or(MOST).min(MOST)
}
