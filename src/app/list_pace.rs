//! When the list of a server that says that it changed is read again.
//!
//! A server may say so all the time. The first word leads to a reading soon, so that several that come
//! together are one; each one that comes right after a reading makes the pause before the next one longer,
//! and a quiet while makes it short again. Whatever is said while a list is read leads to another reading,
//! so that the newest list is the last one.

use std::time::{Duration, Instant};

/// The pauses between readings of one list.
#[derive(Debug, Clone)]
pub struct ListPace {
    shortest: Duration,
    longest: Duration,
    pause: Duration,
    /// When the list was read last, or could not be.
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Default for ListPace {
    fn default() -> Self {
        Self::between(Duration::from_millis(250), Duration::from_secs(60))
    }
}

impl ListPace {
    /// Makes a pace of these bounds; nothing is due.
    pub fn between(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, pause: shortest, last: None, due: None }
    }

    /// Notes that the list may have changed.
    pub fn told(&mut self, now: Instant) {
        if self.due.is_some() {
            return;
        }
        let soon = now + self.shortest;
        let quiet = self.last.map(|last| now.saturating_duration_since(last));
        self.due = Some(match (self.last, quiet) {
            (Some(last), Some(quiet)) if quiet < self.pause.saturating_mul(2) => {
                self.lengthen();
                soon.max(last + self.pause)
            }
            _ => {
                self.pause = self.shortest;
                soon
            }
        });
    }

    /// Notes that there is no list yet: it is read at once.
    pub fn missing(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// Returns when the list is read next; `None` when there is no reason to.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that the list is being read: what is told from now on is about another one.
    pub fn reading(&mut self) {
        self.due = None;
    }

    /// Notes that the list was read.
    pub fn read(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Notes that the list could not be read: it is tried again later.
    pub fn failed(&mut self, now: Instant) {
        self.lengthen();
        self.last = Some(now);
        self.due = Some(now + self.pause);
    }

    fn lengthen(&mut self) {
        self.pause = self.pause.saturating_mul(2).min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(250);
    const LONG: Duration = Duration::from_secs(60);

    /// Reads when it is due, and says at once that the list has changed; returns the pauses.
    fn flood(pace: &mut ListPace, begin: Instant, readings: usize) -> (Vec<Duration>, Instant) {
        let (mut now, mut pauses) = (begin, Vec::new());
        pace.told(now);
        for _ in 0..readings {
            let due = pace.due().unwrap();
            pauses.push(due - now);
            now = due;
            pace.reading();
            pace.read(now);
            pace.told(now);
        }
        (pauses, now)
    }

    #[test]
    fn a_flood_is_read_with_growing_pauses_up_to_a_bound() {
        let (mut pace, begin) = (ListPace::default(), Instant::now());
        assert_eq!(pace.due(), None);
        let (pauses, _) = flood(&mut pace, begin, 12);
        let expected: Vec<Duration> =
            (0..12).map(|at| SHORT.saturating_mul(1 << at).min(LONG)).collect();
        assert_eq!(pauses, expected);
        // In an hour of it there are hardly more readings than minutes.
        let (mut pace, begin) = (ListPace::default(), Instant::now());
        let (_, end) = flood(&mut pace, begin, 70);
        assert!(end - begin > Duration::from_secs(3600), "{:?}", end - begin);
    }

    #[test]
    fn several_words_are_one_reading_and_quiet_makes_it_quick_again() {
        let (mut pace, now) = (ListPace::default(), Instant::now());
        pace.told(now);
        pace.told(now + SHORT / 2);
        assert_eq!(pace.due(), Some(now + SHORT));
        pace.reading();
        pace.read(now + SHORT);
        assert_eq!(pace.due(), None);
        let (pauses, end) = flood(&mut pace, now + SHORT, 9);
        assert_eq!(pauses.last(), Some(&LONG));
        pace.reading();
        pace.read(end + LONG);
        let later = end + LONG + 2 * LONG;
        pace.told(later);
        assert_eq!(pace.due(), Some(later + SHORT));
    }

    #[test]
    fn what_is_said_during_a_reading_leads_to_another() {
        let (mut pace, now) = (ListPace::default(), Instant::now());
        pace.told(now);
        pace.reading();
        pace.told(now + SHORT);
        assert_eq!(pace.due(), Some(now + 2 * SHORT));
        pace.read(now + 2 * SHORT);
        assert_eq!(pace.due(), Some(now + 2 * SHORT));
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later() {
        let (mut pace, now) = (ListPace::default(), Instant::now());
        pace.missing(now);
        assert_eq!(pace.due(), Some(now));
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pace.reading();
            pace.failed(now);
            pauses.push(pace.due().unwrap() - now);
        }
        let expected: Vec<Duration> =
            (1..=10).map(|at| SHORT.saturating_mul(1 << at).min(LONG)).collect();
        assert_eq!(pauses, expected);
        // A word that it has changed does not make it sooner.
        pace.told(now);
        assert_eq!(pace.due(), Some(now + LONG));
    }
}
