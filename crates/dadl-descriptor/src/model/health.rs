//! The request that says whether a backend is well (DADL 0.2, section 4.6).

use std::time::Duration;

use super::Tool;
use crate::model::json_path::JsonPath;

/// The request that says whether a backend is there and takes the credential (DADL 0.2, section
/// 4.6).
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// The request, as a tool called [`HealthCheck::NAME`] that takes no argument.
    pub tool: Tool,
    /// The tool of the file that the request is from; who may not call that one may not call this.
    pub declared: Option<String>,
    /// The only status that is well; any 2xx when it is not given.
    pub expect_status: Option<u16>,
    /// What the answer must have, whatever its value.
    pub expect_path: Option<JsonPath>,
    /// Where the answer says when the credential expires.
    pub auth_expires_path: Option<JsonPath>,
    /// How long the check may take.
    pub timeout: Duration,
    /// Whether models may make the check.
    pub expose: bool,
}

impl HealthCheck {
    /// The name of the tool that models get.
    pub const NAME: &'static str = "health";
}
