//! A write whose answer did not come, or cannot be read: it may have been done, and nobody is told to
//! repeat it. What reads the same things is named, so that the caller can look.

use dadl_descriptor::model::Tool;

use super::CallError;
use crate::{
    gate::Admitted,
    http::error::{SendError, SendErrorKind},
    outcome::SWITCHED_OFF,
};

/// A write of which nobody knows whether it was done.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{}; it may have been done all the same: do not repeat it before you have looked ({})",
    .error.without_advice(),
    if .look.is_empty() { "with a tool that reads".to_owned() } else { .look.join(", ") }
)]
pub struct UnsureError {
    /// What happened.
    pub error: CallError,
    /// The tools that read what the call would have changed.
    pub look: Vec<String>,
}

impl CallError {
    /// The same; of a call of `tool` that changes something and may have been done, with how to look.
    pub(in crate::executor) fn of_write(self, call: &Admitted<'_>, tool: &Tool) -> Self {
        if !tool.may_change() || !self.is_unsure() {
            return self;
        }
        let look = call.gate().catalog().readers_of(call.entry());
        Self::Unsure(Box::new(UnsureError { error: self, look }))
    }

    /// The same, where nobody knows what reads.
    pub(in crate::executor) fn of_write_of(self, tool: &Tool) -> Self {
        if !tool.may_change() || !self.is_unsure() {
            return self;
        }
        Self::Unsure(Box::new(UnsureError { error: self, look: Vec::new() }))
    }

    /// The same; of a call of a server's tool that is not said to read only.
    pub(in crate::executor) fn of_server_write(self, call: &Admitted<'_>) -> Self {
        if !call.entry().may_change() || !self.is_unsure() {
            return self;
        }
        let look = call.gate().catalog().readers_of(call.entry());
        Self::Unsure(Box::new(UnsureError { error: self, look }))
    }

    /// Returns whether the request may have been served, although there is no result.
    fn is_unsure(&self) -> bool {
        match self {
            Self::Api(error) => {
                matches!(error.status, 502..=504)
                    && error.code != SWITCHED_OFF
                    && error.retry_after.is_none()
                    && error.hint.is_none()
            }
            Self::Send(error) => error.is_unsure(),
            Self::Server(error) => error.fault.is_unsure(),
            // Its answer came.
            Self::Crowded { .. }
            | Self::Decode { .. }
            | Self::Encoded { .. }
            | Self::Jq { .. }
            | Self::MediaType(_)
            | Self::Path { .. }
            | Self::Redaction { .. }
            | Self::ResultPath { .. }
            | Self::TooLarge { .. }
            | Self::Transform { .. } => true,
            _ => false,
        }
    }

    /// Says what happened, without what a reader could do next.
    fn without_advice(&self) -> String {
        match self {
            Self::Crowded { request, limit } => format!(
                "the answer to {request} was not read to its end: all answers that are being read \
                 have {limit} bytes together (`max_memory` of `limits`)"
            ),
            Self::Send(error) => error.to_string(),
            Self::TooLarge { backend, request, limit } => format!(
                "the answer to {request} is larger than {limit} bytes (`max_response_size` of backend \
                 \"{backend}\")"
            ),
            // What runs filters may have no room for one.
            other => other.to_string().trim_end_matches("; try again later").to_owned(),
        }
    }
}

impl SendError {
    /// Returns whether the request may have reached the backend, and may do something.
    fn is_unsure(&self) -> bool {
        // What a call asks first, such as a size, only looks.
        let only_looks = ["GET ", "HEAD "].iter().any(|method| self.request.starts_with(method));
        let was_sent = match self.kind {
            SendErrorKind::Interrupted(_) | SendErrorKind::Malformed(_) => true,
            SendErrorKind::Timeout { .. } => !self.kind.is_before_request(),
            _ => false,
        };
        was_sent && !only_looks
    }
}
