//! Who has an account: passwords, tokens, and who failed lately.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::object::XenObject;

/// A user who is logged in.
#[derive(Debug, Clone)]
pub(super) struct XenUser {
    /// The identifier.
    pub(super) id: String,
    /// Whether everything is allowed.
    pub(super) is_admin: bool,
}

/// Passwords, tokens, and who failed lately.
#[derive(Debug, Default)]
pub(super) struct AccountTable {
    /// Passwords by user identifier.
    pub(super) passwords: BTreeMap<String, String>,
    /// Tokens as XO shows them, oldest first.
    pub(super) tokens: Vec<XenObject>,
    /// When each name failed last.
    pub(super) failures: BTreeMap<String, Instant>,
}
