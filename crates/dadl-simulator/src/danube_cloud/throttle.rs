//! The limit of requests: so many in any minute, for each user and for each address of those who
//! have not said who they are. A request that is refused does not count.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Requests of a user in a minute.
const PER_USER: usize = 45;
/// Requests of an address without a user in a minute.
const PER_ADDRESS: usize = 30;
/// The length of a window.
const WINDOW: Duration = Duration::from_secs(60);

/// What was asked lately, by user or address.
#[derive(Debug, Default)]
pub(super) struct RequestThrottle {
    seen: BTreeMap<String, VecDeque<Duration>>,
    refused: u64,
}

impl RequestThrottle {
    /// Counts a request of `user`, or of `address` when there is none.
    ///
    /// # Errors
    ///
    /// How many seconds to wait.
    pub(super) fn take(
        &mut self,
        user: Option<&str>,
        address: &str,
        now: Duration,
    ) -> Result<(), u64> {
        let (key, most) = match user {
            Some(user) => (format!("user {user}"), PER_USER),
            None => (format!("address {address}"), PER_ADDRESS),
        };
        let seen = self.seen.entry(key).or_default();
        while seen.front().is_some_and(|first| now.saturating_sub(*first) >= WINDOW) {
            seen.pop_front();
        }
        match seen.front() {
            Some(first) if seen.len() >= most => {
                self.refused += 1;
                let left = (*first + WINDOW).saturating_sub(now);
                Err(left.as_secs() + u64::from(left.subsec_nanos() > 0))
            }
            _ => {
                seen.push_back(now);
                Ok(())
            }
        }
    }

    /// Returns how many requests were refused.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_room_for_45() {
        let mut throttle = RequestThrottle::default();
        let at = Duration::from_secs;
        for second in 0..45 {
            assert_eq!(throttle.take(Some("admin"), "", at(second)), Ok(()));
        }
        assert_eq!(throttle.take(Some("admin"), "", Duration::from_millis(45_500)), Err(15));
        assert_eq!(throttle.take(Some("other"), "", at(45)), Ok(()));
        assert_eq!(throttle.take(Some("admin"), "", at(60)), Ok(()));
        assert_eq!(throttle.take(Some("admin"), "", at(60)), Err(1));
        assert_eq!(throttle.refused(), 2);
        assert!((0..30).all(|_| throttle.take(None, "::1", at(0)).is_ok()));
        assert_eq!(throttle.take(None, "::1", at(0)), Err(60));
    }
}
