//! Sends no more requests than an API takes, whatever its answers say.
//!
//! All callers of a backend share the count. Looks at tasks are patient: they leave a part of what
//! the API takes to calls that somebody waits for.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dadl_descriptor::model::RequestRate;
use tokio::time::Instant;

/// What was sent lately.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    pace: Option<RequestRate>,
    /// When, oldest first; no more than the pace allows.
    sent: Mutex<VecDeque<Instant>>,
}

impl RateLimiter {
    /// Keeps within `pace`, when there is one.
    pub(super) fn new(pace: Option<RequestRate>) -> Self {
        Self { pace, sent: Mutex::default() }
    }

    /// Returns what it keeps within.
    pub(super) fn pace(&self) -> Option<RequestRate> {
        self.pace
    }

    /// Counts a request that is about to be sent.
    ///
    /// # Errors
    ///
    /// How long to wait before asking again; nothing was counted.
    pub(super) fn count_request(&self) -> Result<(), Duration> {
        self.count_below(|requests| requests)
    }

    /// Counts a request that can wait: it leaves room for others.
    ///
    /// # Errors
    ///
    /// As [`Self::count_request`].
    pub(super) fn count_patient_request(&self) -> Result<(), Duration> {
        self.count_below(|requests| (requests * 2 / 3).max(1))
    }

    fn count_below(&self, most: impl Fn(u32) -> u32) -> Result<(), Duration> {
        let Some(RequestRate { requests, per }) = self.pace else { return Ok(()) };
        let most = most(requests) as usize;
        let now = Instant::now();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|oldest| now.duration_since(*oldest) >= per) {
            sent.pop_front();
        }
        // When this one is over, there is room.
        let blocking = sent.len().checked_sub(most).and_then(|at| sent.get(at));
        match blocking {
            Some(blocking) => Err((*blocking + per).saturating_duration_since(now)),
            None => {
                sent.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn no_stretch_of_time_has_more_requests() {
        let pacer = RateLimiter::new(Some(RequestRate { requests: 3, per: 60 * SECOND }));
        for _ in 0..3 {
            assert_eq!(pacer.count_request(), Ok(()));
            tokio::time::advance(10 * SECOND).await;
        }
        assert_eq!(pacer.count_request(), Err(30 * SECOND));
        tokio::time::advance(30 * SECOND).await;
        assert_eq!(pacer.count_request(), Ok(()));
        assert_eq!(pacer.count_request(), Err(10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn looks_leave_room_for_calls() {
        let pacer = RateLimiter::new(Some(RequestRate { requests: 6, per: 60 * SECOND }));
        for _ in 0..4 {
            assert_eq!(pacer.count_patient_request(), Ok(()));
            tokio::time::advance(SECOND).await;
        }
        assert_eq!(pacer.count_patient_request(), Err(56 * SECOND));
        assert_eq!(pacer.count_request(), Ok(()));
        assert_eq!(pacer.count_request(), Ok(()));
        assert_eq!(pacer.count_request(), Err(56 * SECOND));
        // Two of the six have to be over before a look is made again, and then two more.
        assert_eq!(pacer.count_patient_request(), Err(58 * SECOND));
    }

    #[test]
    fn without_a_pace_nobody_waits() {
        let pacer = RateLimiter::default();
        assert!((0..1000).all(|_| pacer.count_patient_request().is_ok()));
        assert!(pacer.sent.lock().unwrap().is_empty());
    }
}
