//! Tells the operator that requests were refused for the names in them: `Host` or `Origin`.
//!
//! It is either a page that should not call, or a name that the operator forgot to allow.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dadl_text::text::start_of;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::Instant;

/// The least time between two lines about it.
const INTERVAL: Duration = Duration::from_secs(60);
/// So much of a name is written.
const LONGEST: usize = 100;

/// The names in a request.
pub(super) struct RequestNames {
    host: Option<HeaderValue>,
    origin: Option<HeaderValue>,
}

impl RequestNames {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let of = |name| headers.get(name).cloned();
        Self { host: of(header::HOST), origin: of(header::ORIGIN) }
    }
}

/// Writes of refusals, seldom enough for a log.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<Option<Instant>>);

impl RefusalLog {
    /// Notes how a request was answered.
    pub(super) fn note(&self, status: StatusCode, names: &RequestNames) {
        if status != StatusCode::FORBIDDEN {
            return;
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        let text = |value: &Option<HeaderValue>| match value {
            Some(value) => start_of(&String::from_utf8_lossy(value.as_bytes()), LONGEST),
            None => "none".to_owned(),
        };
        let (host, origin) = (text(&names.host), text(&names.origin));
        tracing::warn!(
            host,
            origin,
            "a request was refused: its host or its origin is not allowed (--allowed-host, \
             --allowed-origin)"
        );
    }
}
