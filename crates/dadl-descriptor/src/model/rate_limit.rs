//! How many requests an API takes (`_dadl_mcp.rate_limit`).

use std::time::Duration;

/// `rate_limit`: how many requests the API takes in how long a time, whatever its answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// So many requests; at least one.
    pub requests: u32,
    /// In any stretch of this length; longer than zero.
    pub per: Duration,
}
