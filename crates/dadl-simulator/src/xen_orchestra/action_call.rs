//! What the effect of an action needs to know of the call.

use serde_json::Value;

use super::object::XenObject;

/// A call of an action.
#[derive(Debug, Clone)]
pub(super) struct ActionCall {
    /// The object acted on.
    pub(super) id: String,
    /// The name of the action, as in the path.
    pub(super) name: &'static str,
    /// The body.
    pub(super) body: XenObject,
    /// Who asks.
    pub(super) user: String,
}

impl ActionCall {
    /// Returns a text of the body when it is given.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }
}
