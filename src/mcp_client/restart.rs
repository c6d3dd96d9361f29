//! When a server that has ended is started again.

use std::time::{Duration, Instant};

/// A server that lives longer works.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// The first pause; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pauses between the starts of a server: none after the first short life, so that a server that ends in
/// a call costs that call alone, then growing ones.
#[derive(Debug, Default)]
pub(super) struct RestartPause {
    short_lives: u32,
    until: Option<Instant>,
    why: String,
    /// When it ended, or could not be started, for the first time since it was there.
    down_since: Option<Instant>,
}

impl RestartPause {
    /// Notes that a server ended after this life; one that could not be started had none.
    pub(super) fn ended(&mut self, life: Duration, why: String, now: Instant) {
        self.short_lives = if life >= LONG_LIFE { 0 } else { self.short_lives.saturating_add(1) };
        self.why = why;
        self.down_since.get_or_insert(now);
        let doublings = self.short_lives.checked_sub(2);
        let pause = doublings.map(|doublings| {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
        });
        self.until = pause.map(|pause| now + pause);
    }

    /// Notes that the server is there.
    pub(super) fn is_up(&mut self) {
        self.down_since = None;
    }

    /// Returns how long the server has not been there; `None` where it is, or nobody has tried.
    pub(super) fn down(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.down_since?))
    }

    /// Returns how long the server is not started yet, and why it ended.
    pub(super) fn left(&self, now: Instant) -> Option<(Duration, &str)> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some((left, self.why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_down_from_its_first_end_until_it_is_there() {
        let (mut pause, now) = (RestartPause::default(), Instant::now());
        assert_eq!(pause.down(now), None);
        let later = |seconds| now + Duration::from_secs(seconds);
        pause.ended(Duration::ZERO, String::new(), now);
        pause.ended(Duration::ZERO, String::new(), later(5));
        assert_eq!(pause.down(later(7)), Some(Duration::from_secs(7)));
        pause.is_up();
        assert_eq!(pause.down(later(8)), None);
        pause.ended(LONG_LIFE, String::new(), later(9));
        assert_eq!(pause.down(later(9)), Some(Duration::ZERO));
    }

    #[test]
    fn pauses_grow_until_a_server_lives() {
        let (mut pause, now) = (RestartPause::default(), Instant::now());
        let mut after = |life: u64, now: Instant| {
            pause.ended(Duration::from_secs(life), "why".to_owned(), now);
            pause.left(now).map_or(0, |(left, _)| left.as_secs())
        };
        let pauses: Vec<u64> = (0..10).map(|_| after(0, now)).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!([after(60, now), after(59, now), after(0, now)], [0, 0, 1]);
        assert_eq!(pause.left(now), Some((Duration::from_secs(1), "why")));
        assert_eq!(pause.left(now + Duration::from_secs(1)), None);
        for _ in 0..100 {
            pause.ended(Duration::ZERO, String::new(), now);
        }
        assert_eq!(pause.left(now).unwrap().0, LONGEST_PAUSE);
    }
}
