//! When a request is repeated, and after what delay.
//!
//! Repeated are: the statuses of `retry_on` that are not `terminal`, and failures before an answer
//! arrived. Only idempotent methods (RFC 9110, section 9.2.2) are repeated, unless the descriptor
//! says `retry_unsafe`; a connection that was never made may be tried again for any method, as
//! nothing was sent. `Retry-After` (RFC 9110, section 10.2.3) beats the descriptor's backoff. A
//! delay that would outlast the call ends it instead.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, SystemTime},
};

use dadl_descriptor::model::{Backoff, ErrorRules, RateLimitHeaders, RequestMethod, RetryStrategy};
use http::HeaderMap;

use super::{error::SendErrorKind, throttle};

/// No backoff waits longer, whatever the descriptor says.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What may be repeated for one tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryRules<'tool> {
    /// The tool's error rules.
    pub(crate) errors: &'tool ErrorRules,
    /// The tool's method.
    pub(crate) method: RequestMethod,
    /// Whether the descriptor vouches for repeating it.
    pub(crate) retry_unsafe: bool,
    /// Whether others go first when the API takes few requests more.
    pub(crate) is_patient: bool,
}

impl RetryRules<'_> {
    /// Returns whether an answer with this status may be followed by another attempt.
    pub(crate) fn repeats_status(&self, status: u16) -> bool {
        self.may_repeat()
            && self.errors.retry_on.contains(&status)
            && !self.errors.terminal.contains(&status)
    }

    /// Returns whether this failure may be followed by another attempt.
    pub(crate) fn repeats_failure(&self, kind: &SendErrorKind) -> bool {
        kind.is_quick() && (self.may_repeat() || kind.is_before_request())
    }

    /// Returns how long an answer asks to wait, in the tool's own field or in `Retry-After`.
    pub(crate) fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let usual = RateLimitHeaders::default();
        let limit = self.errors.rate_limit.as_ref().unwrap_or(&usual);
        throttle::reset_delay(headers, limit, SystemTime::now())
    }

    /// Returns the delay before retry number `retry` (from 0), or `None` when none is left.
    pub(crate) fn delay(&self, retry: u32, retry_after: Option<Duration>) -> Option<Duration> {
        let strategy = &self.errors.retry;
        (retry < strategy.max_retries)
            .then(|| retry_after.unwrap_or_else(|| backoff_delay(strategy, retry, unit_interval())))
    }

    fn may_repeat(&self) -> bool {
        self.method.is_idempotent() || self.retry_unsafe
    }
}

/// Returns the delay before retry number `retry`; `jitter` is from 0 to 1.
fn backoff_delay(strategy: &RetryStrategy, retry: u32, jitter: f64) -> Duration {
    let initial = strategy.initial_delay;
    let delay = match strategy.backoff {
        Backoff::Fixed => initial,
        Backoff::Linear => initial.saturating_mul(retry.saturating_add(1)),
        Backoff::Exponential => {
            let full = initial.saturating_mul(2_u32.saturating_pow(retry));
            // Between half and all of it, so that callers that failed together spread out.
            full.min(LONGEST_BACKOFF).mul_f64(0.5 + jitter / 2.0)
        }
    };
    delay.min(LONGEST_BACKOFF)
}

/// Returns a number from 0 to 1 that differs from call to call.
pub(crate) fn unit_interval() -> f64 {
    // The standard library seeds each `RandomState` anew: enough for jitter.
    let bits = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(backoff: Backoff) -> RetryStrategy {
        RetryStrategy { max_retries: 3, backoff, initial_delay: Duration::from_secs(2) }
    }

    fn seconds(kind: Backoff, retry: u32, jitter: f64) -> f64 {
        backoff_delay(&strategy(kind), retry, jitter).as_secs_f64()
    }

    #[test]
    fn delays_grow_by_kind() {
        assert_eq!([0, 1, 2].map(|retry| seconds(Backoff::Fixed, retry, 0.3)), [2.0, 2.0, 2.0]);
        assert_eq!([0, 1, 2].map(|retry| seconds(Backoff::Linear, retry, 0.3)), [2.0, 4.0, 6.0]);
        assert_eq!([0, 1, 2].map(|n| seconds(Backoff::Exponential, n, 1.0)), [2.0, 4.0, 8.0]);
        assert_eq!(seconds(Backoff::Exponential, 1, 0.0), 2.0);
        assert_eq!(seconds(Backoff::Exponential, 40, 1.0), 60.0);
    }

    #[test]
    fn a_post_is_repeated_only_when_nothing_was_sent_or_the_author_vouches() {
        let errors = ErrorRules { retry_on: vec![503], ..ErrorRules::default() };
        let rules = |method, retry_unsafe| RetryRules {
            errors: &errors,
            method,
            retry_unsafe,
            is_patient: false,
        };
        let broken = SendErrorKind::Interrupted(String::new());
        let refused = SendErrorKind::Connect(String::new());
        assert!(rules(RequestMethod::Get, false).repeats_status(503));
        assert!(!rules(RequestMethod::Get, false).repeats_status(500));
        assert!(!rules(RequestMethod::Post, false).repeats_status(503));
        assert!(rules(RequestMethod::Post, true).repeats_status(503));
        assert!(rules(RequestMethod::Get, false).repeats_failure(&broken));
        assert!(!rules(RequestMethod::Post, false).repeats_failure(&broken));
        assert!(rules(RequestMethod::Post, false).repeats_failure(&refused));
    }
}
