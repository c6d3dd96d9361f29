//! The clock of the store, and times as text.
//!
//! The clock of a machine can be set: by a person, by a server of time, by a battery that is empty.
//! What is removed when its time is over goes by how long the machine has been running, which nobody
//! sets; the clock says when that will be, and counts alone only after a restart.

use std::{
    fs,
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::outcome::timestamp;

/// Tells the time; tests bring their own.
pub(crate) type SystemClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// For how long a machine has been running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineUptime {
    /// What changes with each start of the machine; of the process where nothing tells.
    pub(crate) boot: String,
    /// Since then.
    pub(crate) milliseconds: u64,
}

impl MachineUptime {
    /// Asks the system.
    pub(crate) fn now() -> Self {
        static PROCESS: LazyLock<(String, Instant)> =
            LazyLock::new(|| (Uuid::new_v4().to_string(), Instant::now()));
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match boot_id().zip(since_boot()) {
            Some((boot, since)) => {
                Self { boot: boot.to_owned(), milliseconds: milliseconds(since) }
            }
            None => {
                let (process, start) = &*PROCESS;
                Self { boot: process.clone(), milliseconds: milliseconds(start.elapsed()) }
            }
        }
    }

    /// Returns the same run of the machine, so much later.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.milliseconds = self.milliseconds.saturating_add(milliseconds);
        self
    }

    /// Returns how much later this is than `other`; `None` when the machine was started in between.
    pub(crate) fn since(&self, other: &Self) -> Option<Duration> {
        let passed = self.milliseconds.saturating_sub(other.milliseconds);
        (self.boot == other.boot).then(|| Duration::from_millis(passed))
    }
}

/// Returns what changes with each start of the machine; `None` where nothing tells.
pub(crate) fn boot_id() -> Option<&'static str> {
    static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned())
    });
    BOOT.as_deref()
}

/// Returns how long the machine has been running, the time that it slept included.
fn since_boot() -> Option<Duration> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split_whitespace().next()?.parse().ok()?).ok()
}

/// A moment, by the clock and by what nobody can set.
#[derive(Debug, Clone)]
pub(crate) struct ClockMoment {
    pub(crate) clock: SystemTime,
    pub(crate) uptime: MachineUptime,
}

/// Where moments come from.
#[derive(Clone)]
pub(super) struct Timekeeper {
    clock: SystemClock,
    uptime: Arc<dyn Fn() -> MachineUptime + Send + Sync>,
}

impl Timekeeper {
    /// Asks the system.
    pub(super) fn of_system() -> Self {
        Self { clock: Arc::new(SystemTime::now), uptime: Arc::new(MachineUptime::now) }
    }

    /// Passes as `clock` does, which nobody sets.
    pub(super) fn of_clock(clock: SystemClock) -> Self {
        let steady = Arc::clone(&clock);
        let uptime = move || {
            let since = steady().duration_since(UNIX_EPOCH).unwrap_or_default();
            MachineUptime { boot: "the clock".to_owned(), milliseconds: 0 }.after(since)
        };
        Self { clock, uptime: Arc::new(uptime) }
    }

    #[cfg(test)]
    pub(super) fn new(
        clock: SystemClock,
        uptime: Arc<dyn Fn() -> MachineUptime + Send + Sync>,
    ) -> Self {
        Self { clock, uptime }
    }

    pub(super) fn now(&self) -> ClockMoment {
        ClockMoment { clock: (self.clock)(), uptime: (self.uptime)() }
    }
}

/// Returns the seconds since 1970.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Writes seconds since 1970 as `2026-11-21T05:33:55Z` (RFC 3339).
pub(crate) fn rfc3339(seconds: u64) -> String {
    // The year 9999 is the last one that the format has.
    timestamp::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799)))
}
