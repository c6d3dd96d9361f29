//! What goes wrong, in the two forms in which the API tells it: an error that was raised,
//! `{"detail": ..}`, and a task that failed, in the envelope.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::server::BodyError;

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DanubeFailure {
    /// Raised: status and text.
    Raised(StatusCode, String),
    /// The parameters do not fit: messages by field, in the envelope.
    Invalid(Map<String, Value>),
    /// The same where there is no envelope.
    Fields(Map<String, Value>),
    /// It could not be begun: 400 in the envelope, with a text.
    NotBegun(String),
    /// Too many requests: seconds to wait.
    Throttled(u64),
}

impl DanubeFailure {
    /// Raises an error.
    pub(super) fn new(status: u16, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Raised(status, detail.into())
    }

    /// Refuses for a lack of rights.
    pub(super) fn forbidden() -> Self {
        Self::new(403, "Permission denied")
    }

    /// Refuses a field.
    pub(super) fn field(name: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert(name.to_owned(), json!([message.into()]));
        Self::Invalid(fields)
    }

    /// Says that there is no such thing.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, format!("{what} not found"))
    }
}

impl From<BodyError> for DanubeFailure {
    fn from(error: BodyError) -> Self {
        Self::new(400, format!("JSON parse error - {error}"))
    }
}
