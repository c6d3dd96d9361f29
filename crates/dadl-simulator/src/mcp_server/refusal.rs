//! Errors that a server answers with when no script says otherwise.

use serde_json::{Value, json};

pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const UNSUPPORTED_VERSION: i32 = -32022;
pub(super) const RESOURCE_NOT_FOUND: i32 = -32002;

/// Why a request gets no result.
pub(super) struct HonestError {
    code: i32,
    message: String,
    /// What the error has besides.
    pub(super) data: Option<Value>,
}

impl HonestError {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(data), Some(members)) = (&self.data, error.as_object_mut()) {
            members.insert("data".to_owned(), data.clone());
        }
        error
    }
}
