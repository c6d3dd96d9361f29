//! How a non-2xx answer is read and when a request is repeated.

use std::time::Duration;

use http::HeaderName;

use crate::descriptor::{condition::Condition, json_path::JsonPath};

/// How a non-2xx answer is read and when a request is repeated.
#[derive(Debug, Clone, Default)]
pub struct ErrorRules {
    /// What bodies are.
    pub format: ErrorFormat,
    /// Where the message is.
    pub message_path: Option<JsonPath>,
    /// Where the provider's code is.
    pub code_path: Option<JsonPath>,
    /// Statuses that are worth another attempt.
    pub retry_on: Vec<u16>,
    /// Statuses that are final.
    pub terminal: Vec<u16>,
    /// How often and how fast.
    pub retry: RetryStrategy,
    /// Where answers say how many requests are left.
    pub rate_limit: Option<RateLimit>,
    /// Semantic codes by status; goes before the default table.
    pub map: Vec<(u16, String)>,
    /// Places where the message may be, before [`message_path`](Self::message_path)
    /// (`_dadl_mcp.errors`).
    pub messages: Vec<JsonPath>,
    /// Conditions on the body of a 2xx answer, one of which says that it is an error.
    pub failed: Vec<Condition>,
}

/// The header fields in which answers tell about the rate limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Holds the number of requests that are left.
    pub remaining: Option<HeaderName>,
    /// Says when there are more: seconds, a point in time, or a date; `Retry-After` otherwise.
    pub reset: Option<HeaderName>,
}

/// The form of an error body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// JSON, searched by path.
    #[default]
    Json,
    /// Text, shown as it is.
    Text,
    /// XML, searched by path: `$.Error.Message`.
    Xml,
}

/// How often a request is repeated, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStrategy {
    /// Further attempts after the first.
    pub max_retries: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The delay before the first retry.
    pub initial_delay: Duration,
}

impl Default for RetryStrategy {
    /// Three retries, one second at first, doubling: DADL's defaults.
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff: Backoff::Exponential,
            initial_delay: Duration::from_secs(1),
        }
    }
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Doubles, with jitter.
    Exponential,
    /// Stays.
    Fixed,
    /// Grows by the initial delay.
    Linear,
}
