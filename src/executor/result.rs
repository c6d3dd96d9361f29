//! An answer becomes the result of its call.

use http::HeaderMap;
use serde_json::Value;

use super::CallError;
use crate::{
    call::CallPlan,
    descriptor::model::Tool,
    gate::Admitted,
    http::{backend::Backend, redact},
    outcome::{JsonText, Outcome, Payload},
    response::{
        decode::{self, DecodeError},
        join,
        page::{self, Signals},
    },
};

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) struct Target<'call> {
    pub(super) backend: &'call Backend,
    pub(super) call: &'call Admitted<'call>,
    pub(super) tool: &'call Tool,
}

impl Target<'_> {
    /// Selects the result in an answer.
    pub(super) fn at_result_path(&self, value: Value, plan: &CallPlan) -> Result<Value, CallError> {
        let Some(path) = &self.tool.response.result_path else { return Ok(value) };
        join::select(value, path).ok_or_else(|| CallError::ResultPath {
            request: self.backend.request_line(plan),
            path: path.as_str().to_owned(),
        })
    }

    /// Makes the error of a body that is not what its content type says.
    pub(super) fn undecodable(
        &self,
        plan: &CallPlan,
        status: u16,
        error: DecodeError,
    ) -> CallError {
        let backend = self.backend.settings().name.clone();
        CallError::Decode { backend, request: self.backend.request_line(plan), status, error }
    }

    /// Makes the error of an answer beyond the backend's bound.
    pub(super) fn too_large(&self, plan: &CallPlan) -> CallError {
        let settings = self.backend.settings();
        CallError::TooLarge {
            backend: settings.name.clone(),
            request: self.backend.request_line(plan),
            limit: settings.max_response_bytes,
        }
    }
}

/// An answer that was read and decoded.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    /// The length of the body in bytes.
    pub(super) size: u64,
    /// What the caller should know about it.
    pub(super) notes: Vec<String>,
}

impl Answer {
    /// Builds the tree of a JSON answer.
    pub(super) fn value(
        &self,
        text: &JsonText,
        target: Target<'_>,
        plan: &CallPlan,
    ) -> Result<Value, CallError> {
        text.value().map_err(|error| {
            let reason = error.to_string();
            let excerpt = decode::excerpt(text.as_str().as_bytes());
            let error = DecodeError { expected: "JSON", reason, excerpt };
            target.undecodable(plan, self.status, error)
        })
    }
}

/// Makes the result of an answer that is all there is, or one page of more.
pub(super) fn finish(
    target: Target<'_>,
    plan: &CallPlan,
    answer: Answer,
) -> Result<Outcome, CallError> {
    let Target { call, tool, .. } = target;
    let status = answer.status;
    let text = match &answer.payload {
        Payload::Json(text) if is_read(tool) => text,
        _ => return unread(target, plan, answer),
    };
    let value = answer.value(text, target, plan)?;
    let paged = tool.pagination.as_ref().map(|pagination| {
        (pagination, Signals::read(pagination, &plan.url, &answer.headers, &value))
    });
    let value = target.at_result_path(value, plan)?;
    let page = paged.map(|(pagination, signals)| {
        let items = value.as_array().map(Vec::len);
        let page = page::Page {
            arguments: call.arguments(),
            url: &plan.url,
            signals: &signals,
            items,
            before: 0,
        };
        page::tell(call.entry(), pagination, page::following(pagination, page), items)
    });
    let mut outcome = shape(value, status, tool);
    outcome.notes.extend(answer.notes);
    if let Some(page) = page {
        outcome.notes.extend(page.note);
        outcome.next = page.arguments;
    }
    Ok(outcome)
}

/// Makes the result of an answer that is passed on as it is.
fn unread(target: Target<'_>, plan: &CallPlan, answer: Answer) -> Result<Outcome, CallError> {
    let Target { backend, tool, .. } = target;
    let Answer { status, payload, notes, .. } = answer;
    let mut outcome = Outcome { status, payload, notes, next: None };
    match &outcome.payload {
        Payload::Text { .. } if !tool.response.redact.is_empty() => {
            return Err(CallError::Redaction { request: backend.request_line(plan) });
        }
        Payload::Text { content_type, .. } if content_type.starts_with("text/html") => {
            outcome
                .notes
                .push("the answer is a web page, not data: the operator should check `url`".into());
        }
        Payload::Empty | Payload::File(_) | Payload::Json(_) | Payload::Text { .. } => {}
    }
    Ok(outcome)
}

/// Takes a selected result through the rest of the pipeline.
pub(super) fn shape(mut value: Value, status: u16, tool: &Tool) -> Outcome {
    for path in &tool.response.redact {
        path.replace_all(&mut value, &Value::from(redact::MASK));
    }
    let notes = page::cut(&mut value, tool.response.max_items).into_iter().collect();
    Outcome { status, payload: Payload::Json(JsonText::from(&value)), notes, next: None }
}

/// Returns whether something has to be taken out of a JSON answer, or counted in it.
fn is_read(tool: &Tool) -> bool {
    let rules = &tool.response;
    tool.pagination.is_some()
        || rules.result_path.is_some()
        || rules.max_items.is_some()
        || !rules.redact.is_empty()
}
