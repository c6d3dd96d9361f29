//! Why a call of a script failed: what the script gets to see, and what people do.

use serde_json::json;

use super::{CallError, TaskError};
use crate::gate::CallRefusal;

/// Why an inner call failed: what a script gets to see, and `whole`, all that is known.
pub(super) struct InnerFailure {
    code: String,
    http_status: Option<u16>,
    message: String,
    provider_code: Option<String>,
    pub(super) whole: String,
    /// Whether there is no answer, or none that can be used: not even a no.
    pub(super) is_blind: bool,
}

impl InnerFailure {
    pub(super) fn new(code: &str, message: String) -> Self {
        let (code, whole) = (code.to_owned(), message.clone());
        let is_blind = false;
        Self { code, http_status: None, message, provider_code: None, whole, is_blind }
    }

    pub(super) fn as_json(&self) -> String {
        let Self { code, http_status, message, provider_code, whole, .. } = self;
        json!({
            "code": code,
            "http_status": http_status,
            "message": message,
            "provider_code": provider_code,
            "whole": whole,
        })
        .to_string()
    }
}

impl From<CallError> for InnerFailure {
    fn from(error: CallError) -> Self {
        let is_blind = error.is_blind();
        Self { is_blind, ..Self::of(error) }
    }
}

impl InnerFailure {
    fn of(error: CallError) -> Self {
        let whole = error.for_model();
        if let Some(inner) = error.inner() {
            let inner = Self::of(inner.clone());
            return Self { message: whole.clone(), whole, ..inner };
        }
        match error {
            CallError::Api(error) => Self {
                code: error.code.clone(),
                http_status: Some(error.status),
                // Whoever reads what the script makes of it is helped by the hint.
                message: match &error.hint {
                    Some(hint) => format!("{}; {hint}", error.message),
                    None => error.message.clone(),
                },
                provider_code: error.provider_code.clone(),
                whole,
                is_blind: false,
            },
            CallError::Argument(_) => Self::new("invalid_input", whole),
            CallError::Entries { failures, .. } => {
                Self { message: failures, whole, ..Self::new("internal", String::new()) }
            }
            CallError::ToolFailed(failure) => {
                Self { message: failure.message, whole, ..Self::new("internal", String::new()) }
            }
            CallError::Send(_) | CallError::Server(_) => Self::new("unavailable", whole),
            error if error.is_transient() => Self::new("unavailable", whole),
            CallError::Task(error) => match *error {
                TaskError::OutOfTime { .. } => Self::new("timeout", whole),
                // What a script shows or compares is the reason in the words of the API.
                TaskError::Failed(failure) => {
                    let message = failure.reason.unwrap_or_else(|| whole.clone());
                    Self { message, whole, ..Self::new("internal", String::new()) }
                }
                _ => Self::new("internal", whole),
            },
            _ => Self::new("internal", whole),
        }
    }
}

impl From<CallRefusal> for InnerFailure {
    fn from(refusal: CallRefusal) -> Self {
        let code = match refusal {
            CallRefusal::Arguments(_)
            | CallRefusal::NoTask { .. }
            | CallRefusal::UnknownTool { .. } => "invalid_input",
            CallRefusal::Denied { .. }
            | CallRefusal::NotConfirmed { .. }
            | CallRefusal::NotFromScript { .. } => "forbidden",
        };
        Self::new(code, refusal.to_string())
    }
}
