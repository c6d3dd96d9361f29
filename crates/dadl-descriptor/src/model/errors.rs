//! How a non-2xx answer is read and when a request is repeated.

use std::{sync::Arc, time::Duration};

use http::HeaderName;

use crate::model::{condition::AnswerCondition, json_path::JsonPath};

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
    pub rate_limit: Option<RateLimitHeaders>,
    /// Semantic codes by status; goes before the default table.
    pub map: Vec<(u16, String)>,
    /// Places where the message may be, before [`message_path`](Self::message_path)
    /// (`_dadl_mcp.errors`).
    pub messages: Vec<JsonPath>,
    /// Conditions on the body of a 2xx answer, one of which says that it is an error.
    pub failed: Vec<AnswerCondition>,
    /// Conditions on the body of an answer that is none, one of which says that it is a result.
    pub results: Vec<AnswerCondition>,
    /// What a caller can do about errors that say more than their status; the first that fits counts.
    pub hints: Arc<[ErrorHint]>,
}

/// What a caller can do about an error, told by what the error says.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorHint {
    /// The statuses of such answers; any when there is none.
    pub statuses: Vec<u16>,
    /// Conditions on the body, one of which must hold; none when it does not matter.
    pub when: Vec<AnswerCondition>,
    /// Texts, one of which the message has, whatever its case; none when it does not matter.
    pub says: Vec<String>,
    /// What to do.
    pub hint: String,
    /// The semantic code, where that of the status says something else.
    pub code: Option<String>,
}

impl ErrorRules {
    /// Returns what is known about an answer with this status, whose message and body (a compact JSON
    /// text, where it is one) are these.
    pub fn hint(&self, status: u16, message: &str, body: Option<&str>) -> Option<&ErrorHint> {
        if self.hints.is_empty() {
            return None;
        }
        let message = message.to_lowercase();
        let fits = |hint: &&ErrorHint| {
            let holds = |condition: &AnswerCondition| condition.holds(body?);
            (hint.statuses.is_empty() || hint.statuses.contains(&status))
                && (hint.says.is_empty()
                    || hint.says.iter().any(|text| message.contains(&text.to_lowercase())))
                && (hint.when.is_empty() || hint.when.iter().any(|it| holds(it) == Some(true)))
        };
        self.hints.iter().find(fits)
    }
}

/// The header fields in which answers tell about the rate limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimitHeaders {
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
