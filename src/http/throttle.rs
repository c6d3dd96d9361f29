//! Keeps within the rate limit that a backend announces, before the backend has to refuse.
//!
//! An answer may say how many requests are left, and when there are more, in fields that the descriptor
//! names (`errors.rate_limit`) or in `Retry-After`. When none is left, and after a 429, the next request
//! of any caller has to wait until then, an hour at most. This file only tells how long: the sender
//! (`http::backend`) waits, or does not send when that would outlast the call.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dadl_descriptor::model::RateLimitHeaders;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tokio::time::Instant;

/// Numbers from here on are points in time (seconds since 1970), smaller ones are delays: no API
/// tells its callers to wait for 30 years.
const FIRST_TIMESTAMP: u64 = 1_000_000_000;
/// Numbers from here on count milliseconds.
const FIRST_MILLISECONDS: u64 = 100_000_000_000;

/// What is reported of a longer delay is this: a month is as good as never.
const LONGEST_DELAY: Duration = Duration::from_secs(31 * 24 * 3600);

/// After this time a request is sent whatever the last answer said, to learn what holds now: a field
/// in an unknown unit must not shut a backend off for good.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// When the next request of a backend may leave; shared by all its callers.
#[derive(Debug, Default)]
pub(crate) struct BackendThrottle {
    until: Mutex<Option<Instant>>,
}

impl BackendThrottle {
    /// Returns how long the next request has to wait.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until?.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Holds requests back until the reset that an answer names, when none is left or it is a 429;
    /// without a reset it does nothing.
    pub(crate) fn observe(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        limit: &RateLimitHeaders,
    ) {
        let remaining = limit.remaining.as_ref().and_then(|name| header_number(headers, name));
        if remaining != Some(0) && status != StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        let Some(delay) = reset_delay(headers, limit, SystemTime::now()) else { return };
        let until = Instant::now() + delay.min(LONGEST_HOLD);
        let mut current = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // Answers overtake each other: the latest end counts.
        if current.is_none_or(|current| current < until) {
            *current = Some(until);
        }
    }
}

/// Returns after what time there are more requests: by the field that the descriptor names, else by
/// `Retry-After`.
pub(crate) fn reset_delay(
    headers: &HeaderMap,
    limit: &RateLimitHeaders,
    now: SystemTime,
) -> Option<Duration> {
    let own = limit.reset.as_ref().and_then(|name| header_delay(headers, name, now));
    own.or_else(|| header_delay(headers, &header::RETRY_AFTER, now))
}

/// Reads a delay in seconds, a point in time, or a date (RFC 9110, section 10.2.3); one beyond
/// [`LONGEST_DELAY`] is that long.
fn header_delay(headers: &HeaderMap, name: &HeaderName, now: SystemTime) -> Option<Duration> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    let at = match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => match number.ceil() {
            // The cast saturates: such a time never comes.
            whole if whole >= FIRST_MILLISECONDS as f64 => {
                UNIX_EPOCH.checked_add(Duration::from_millis(whole as u64))?
            }
            whole if whole >= FIRST_TIMESTAMP as f64 => {
                UNIX_EPOCH.checked_add(Duration::from_secs(whole as u64))?
            }
            whole => return Some(Duration::from_secs(whole as u64).min(LONGEST_DELAY)),
        },
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(text).ok()?,
    };
    Some(at.duration_since(now).unwrap_or_default().min(LONGEST_DELAY))
}

fn header_number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn limit() -> RateLimitHeaders {
        RateLimitHeaders {
            remaining: Some(HeaderName::from_static("x-ratelimit-remaining")),
            reset: Some(HeaderName::from_static("x-ratelimit-reset")),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn resets_are_delays_points_in_time_or_dates() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let seconds = |value: &'static str| {
            let headers = headers(&[("x-ratelimit-reset", value)]);
            reset_delay(&headers, &limit(), now).map(|delay| delay.as_secs())
        };
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("0.2"), Some(1));
        assert_eq!(seconds("1800000060"), Some(60));
        assert_eq!(seconds("1800000060000"), Some(60));
        assert_eq!(seconds("1700000000"), Some(0));
        assert_eq!(seconds("Fri, 15 Jan 2027 08:01:00 GMT"), Some(60));
        assert_eq!(seconds("-1"), None);
        assert_eq!(seconds("soon"), None);
        for nothing in ["NaN", "inf", "-inf", "-1e300", "", "1 2", "0x10"] {
            assert_eq!(seconds(nothing), None, "{nothing}");
        }
        let longest = Some(LONGEST_DELAY.as_secs());
        for never in [
            "9999999999999",
            "18446744073709551615",
            "1e300",
            "999999999",
            "99999999999",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ] {
            assert_eq!(seconds(never), longest, "{never}");
        }
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        let standard = headers(&[("retry-after", "9")]);
        assert_eq!(reset_delay(&standard, &limit(), now), Some(Duration::from_secs(9)));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        /// Whatever a server writes, it can be added to any time, and a request leaves in the end.
        #[test]
        fn any_field_is_a_bounded_delay(
            text in "[ -~]{0,20}|-?[0-9]{1,40}(\\.[0-9]{1,5})?(e[0-9]{1,4})?",
            date in 0..253_402_300_800_u64,
        ) {
            let now = SystemTime::now();
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(date));
            for text in [text, date] {
                let Ok(value) = HeaderValue::from_str(&text) else { continue };
                let mut headers = HeaderMap::new();
                headers.insert("x-ratelimit-reset", value.clone());
                headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
                headers.insert(header::RETRY_AFTER, value);
                if let Some(delay) = reset_delay(&headers, &limit(), now) {
                    assert!(delay <= LONGEST_DELAY, "{text}");
                }
                let throttle = BackendThrottle::default();
                throttle.observe(StatusCode::TOO_MANY_REQUESTS, &headers, &limit());
                assert!(throttle.wait().is_none_or(|wait| wait <= LONGEST_HOLD), "{text}");
            }
        }
    }

    // Paused, so that the clock moves when the test says so.
    #[tokio::test(start_paused = true)]
    async fn the_last_request_makes_the_next_one_wait() {
        let throttle = BackendThrottle::default();
        let left = headers(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "30")]);
        throttle.observe(StatusCode::OK, &left, &limit());
        assert_eq!(throttle.wait(), None);
        let none = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")]);
        throttle.observe(StatusCode::OK, &none, &limit());
        assert_eq!(throttle.wait(), Some(Duration::from_secs(30)));
        let sooner = headers(&[("retry-after", "5")]);
        throttle.observe(StatusCode::TOO_MANY_REQUESTS, &sooner, &limit());
        assert_eq!(throttle.wait(), Some(Duration::from_secs(30)));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(throttle.wait(), None);
        let never = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1e300")]);
        throttle.observe(StatusCode::OK, &never, &limit());
        assert_eq!(throttle.wait(), Some(LONGEST_HOLD));
    }
}
