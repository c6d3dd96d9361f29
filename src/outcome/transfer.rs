//! How far a file is that is being saved or sent, and how fast it goes.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::CallProgress;

/// A rate is worked out over at least this time.
const TICK: Duration = Duration::from_millis(200);
/// Reports come after this many bytes even when less than a tick has passed.
const STEP: u64 = 4 * 1024 * 1024;
/// What was measured so long ago counts for little.
const MEMORY: Duration = Duration::from_secs(3);
/// What the sizes of people are counted in.
const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferDirection {
    /// From a backend into a file.
    Saved,
    /// From a file to a backend.
    Sent,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferProgress {
    /// Which way it goes.
    pub direction: TransferDirection,
    /// In bytes.
    pub done: u64,
    /// In bytes, when known.
    pub total: Option<u64>,
    /// In bytes a second, over the last few seconds, once it is known.
    pub rate: Option<u64>,
}

impl TransferProgress {
    /// Returns how long the rest takes at this rate.
    pub fn left(&self) -> Option<Duration> {
        let rest = self.total?.checked_sub(self.done)?;
        rest.checked_div(self.rate?).map(Duration::from_secs)
    }

    /// Writes `430.1 MiB/s, 20 s left`; empty as long as nothing is known.
    pub(crate) fn pace(&self) -> String {
        let Some(rate) = self.rate else { return String::new() };
        let rate = format!("{}/s", format_size(rate));
        match self.left().map(|left| left.as_secs()) {
            None | Some(0) => rate,
            Some(seconds @ 1..120) => format!("{rate}, {seconds} s left"),
            Some(seconds @ 120..7200) => format!("{rate}, {} min left", seconds / 60),
            Some(seconds) => format!("{rate}, {} h left", seconds / 3600),
        }
    }
}

impl From<TransferProgress> for CallProgress {
    fn from(transfer: TransferProgress) -> Self {
        let TransferProgress { done, total, .. } = transfer;
        Self { done, total, message: transfer.to_string() }
    }
}

impl fmt::Display for TransferProgress {
    /// Writes `saved 1.5 GiB of 10.0 GiB (15 %), 430.1 MiB/s, 20 s left`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.direction {
            TransferDirection::Saved => "saved",
            TransferDirection::Sent => "sent",
        };
        write!(formatter, "{verb} {}", format_size(self.done))?;
        if let Some(total) = self.total {
            write!(formatter, " of {}", format_size(total))?;
            if let Some(percent) = (u128::from(self.done) * 100).checked_div(u128::from(total)) {
                write!(formatter, " ({percent} %)")?;
            }
        }
        match self.pace() {
            pace if pace.is_empty() => Ok(()),
            pace => write!(formatter, ", {pace}"),
        }
    }
}

/// Writes a size for people: `512 bytes`, `1.5 GiB`.
pub(crate) fn format_size(bytes: u64) -> String {
    // One decimal place, without a float.
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "bytes";
    for name in UNITS {
        if tenths < 10 * 1024 {
            break;
        }
        tenths /= 1024;
        unit = name;
    }
    match unit {
        "bytes" => format!("{bytes} bytes"),
        unit => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// Measures a transfer, and says when there is something to report.
#[derive(Debug)]
pub(crate) struct TransferMeter {
    direction: TransferDirection,
    measured: Instant,
    /// What was done then.
    before: u64,
    reported: u64,
    rate: Option<f64>,
}

impl TransferMeter {
    /// Starts to measure a transfer of which `done` bytes are there already.
    pub(crate) fn new(direction: TransferDirection, done: u64) -> Self {
        Self { direction, measured: Instant::now(), before: done, reported: done, rate: None }
    }

    /// Takes how far it is; returns what to report, when it is time.
    pub(crate) fn tick(&mut self, done: u64, total: Option<u64>) -> Option<TransferProgress> {
        let elapsed = self.measured.elapsed();
        let is_due = elapsed >= TICK;
        if is_due {
            self.measure(done, elapsed);
        }
        let moved = done != self.reported;
        ((is_due && moved) || done.saturating_sub(self.reported) >= STEP).then(|| {
            self.reported = done;
            self.now(done, total)
        })
    }

    /// Returns how far it is.
    pub(crate) fn now(&self, done: u64, total: Option<u64>) -> TransferProgress {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let rate = self.rate.map(|rate| rate as u64);
        TransferProgress { direction: self.direction, done, total, rate }
    }

    fn measure(&mut self, done: u64, elapsed: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53rd bit")]
        let bytes = done.saturating_sub(self.before) as f64;
        let current = bytes / elapsed.as_secs_f64();
        let weight = elapsed.as_secs_f64() / (elapsed + MEMORY).as_secs_f64();
        self.rate = Some(match self.rate {
            None => current,
            Some(rate) => rate + (current - rate) * weight,
        });
        (self.measured, self.before) = (Instant::now(), done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (10 << 30, "10.0 GiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }

    #[test]
    fn says_what_is_known() {
        let check = |done, total, rate, text: &str| {
            let transfer =
                TransferProgress { direction: TransferDirection::Saved, done, total, rate };
            assert_eq!(transfer.to_string(), text);
        };
        check(5, None, None, "saved 5 bytes");
        check(0, Some(0), None, "saved 0 bytes of 0 bytes");
        check(1 << 20, Some(4 << 20), None, "saved 1.0 MiB of 4.0 MiB (25 %)");
        let (mib, gib) = (1 << 20, 1 << 30);
        check(gib, Some(2 * gib), Some(64 * mib), {
            "saved 1.0 GiB of 2.0 GiB (50 %), 64.0 MiB/s, 16 s left"
        });
        check(0, Some(gib), Some(mib), "saved 0 bytes of 1.0 GiB (0 %), 1.0 MiB/s, 17 min left");
        check(0, Some(20 * gib), Some(mib), {
            "saved 0 bytes of 20.0 GiB (0 %), 1.0 MiB/s, 5 h left"
        });
        check(2, Some(2), Some(0), "saved 2 bytes of 2 bytes (100 %), 0 bytes/s");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = TransferMeter::new(TransferDirection::Sent, 1000);
        assert_eq!(meter.tick(1000, None), None, "nothing has moved");
        let mut last = None;
        for second in 1..=60 {
            tokio::time::advance(Duration::from_secs(1)).await;
            last = meter.tick(1000 + second * 500, None);
        }
        assert_eq!(last.and_then(|last| last.rate), Some(500));
        for second in 1..=60 {
            tokio::time::advance(Duration::from_secs(1)).await;
            last = meter.tick(31_000 + second * 100, None);
        }
        let rate = last.and_then(|last| last.rate).unwrap();
        assert!((100..=101).contains(&rate), "{rate}");
        tokio::time::advance(TICK / 2).await;
        assert_eq!(meter.tick(37_001, None), None, "too soon");
        assert!(meter.tick(37_001 + STEP, None).is_some(), "much has moved");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn no_number_makes_it_panic(done: u64, total: Option<u64>, rate: Option<u64>) {
            let transfer = TransferProgress { direction: TransferDirection::Saved, done, total, rate };
            assert!(!transfer.to_string().is_empty());
            let progress = CallProgress::from(transfer);
            assert_eq!((progress.done, progress.total), (done, total));
        }
    }
}
