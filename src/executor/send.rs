//! Sends the request of a step. An answer that is no success is an error.

use std::borrow::Cow;

use bytes::Bytes;
use dadl_descriptor::model::{ErrorFormat, Tool, condition::AnswerCondition};
use dadl_text::{json::scan, text::begins_as_page};
use http::HeaderValue;
use uuid::Uuid;

use super::{CallError, error::media_type::missing_path, step::RequestStep};
use crate::{
    call::CallPlan,
    http::{
        answer_start::{MOST_ERROR_BYTES, start_of},
        backend::{AnswerMode, Backend, BackendRefusal, HttpExchange},
        retry::RetryRules,
    },
    outcome::{ApiError, SWITCHED_OFF},
    response::{
        api_error::{self, RejectedAnswer},
        masked_error,
    },
};

impl RequestStep<'_> {
    /// Sends the request and turns a non-2xx answer into an error.
    pub(super) async fn send(self) -> Result<HttpExchange, CallError> {
        let Self { executor, backend, tool, activity, .. } = self;
        let plan = &with_key(self.plan, tool);
        let rules = retry_rules(tool);
        let taken = match &tool.response {
            rules if rules.binary => AnswerMode::File,
            rules if rules.is_stream() => AnswerMode::Stream,
            _ => AnswerMode::Whole,
        };
        let exchange = backend.send(plan, rules, taken, &executor.files, activity).await?;
        if exchange.response.status().is_success() {
            return Ok(exchange);
        }
        let results = &tool.errors.results;
        if !self.shows_tasks() && results.is_empty() {
            return Err(Box::pin(rejected_error(backend, tool, plan, exchange)).await);
        }
        // Some APIs show a task that failed or was cancelled with a status of its own, or answer a
        // question with one; to see that is a success.
        let (start, exchange) = Box::pin(exchange.peeked(backend.settings().timeouts.read)).await;
        if (self.shows_tasks() && self.shows_task(&start))
            || AnswerCondition::any_holds(results, &start)
        {
            return Ok(exchange);
        }
        Err(Box::pin(rejected_error(backend, tool, plan, exchange)).await)
    }
}

/// Adds the idempotency key of this call; its retries send the same.
fn with_key<'plan>(plan: &'plan CallPlan, tool: &Tool) -> Cow<'plan, CallPlan> {
    let Some(name) = &tool.idempotency else { return Cow::Borrowed(plan) };
    let mut plan = plan.clone();
    // A UUID is made of digits, letters and hyphens, which every field value may hold.
    if let Ok(key) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        plan.headers.push(((**name).clone(), key));
    }
    Cow::Owned(plan)
}

/// Returns what may be sent again within a call of `tool`.
pub(super) fn retry_rules(tool: &Tool) -> RetryRules<'_> {
    // A backend that knows the key does the work once; a method that reads may be called again.
    let retry_unsafe = tool.retry_unsafe || tool.idempotency.is_some() || tool.only_reads();
    RetryRules { retry_unsafe, ..look_rules(tool) }
}

/// Returns what may be sent again of a request that only looks, by the method of `tool` alone.
pub(super) fn look_rules(tool: &Tool) -> RetryRules<'_> {
    RetryRules {
        errors: &tool.errors,
        method: tool.method(),
        is_patient: false,
        retry_unsafe: false,
    }
}

/// Reads a non-2xx answer.
pub(super) async fn rejected_error(
    backend: &Backend,
    tool: &Tool,
    plan: &CallPlan,
    exchange: HttpExchange,
) -> CallError {
    let (error, _) = refused_answer(backend, tool, &backend.request_line(plan), exchange).await;
    Box::new(error).into()
}

/// Reads the error in a non-2xx answer; gives the start of its body as well, without secrets.
pub(super) async fn refused_answer(
    backend: &Backend,
    tool: &Tool,
    request: &str,
    exchange: HttpExchange,
) -> (ApiError, Bytes) {
    let HttpExchange { response, attempts, retry_after, refusal, .. } = exchange;
    let status = response.status().as_u16();
    // A body that breaks off still has a status, which says most.
    let body = start_of(response, backend.settings().timeouts.read).await;
    let body = backend.masked(body).await;
    let rejection = RejectedAnswer { status, body: &body, request, retry_after, attempts };
    let mut error = masked_error::read_masked_error(rejection, tool);
    error.is_no_route = is_no_route(status, tool, &body);
    name_refusal(&mut error, refusal, tool);
    // A server that knows no such path answers a page.
    if let (404 | 405, true, Some(path)) = (status, begins_as_page(&body), backend.missing_path()) {
        error.message = format!("{}; {}", error.message, missing_path(path));
        // Nothing was asked of the API.
        error.is_no_route = false;
    }
    (error, body)
}

/// Returns whether an answer says that there is no such operation. APIs say that an object is missing
/// with the same status, in their own format.
fn is_no_route(status: u16, tool: &Tool, body: &[u8]) -> bool {
    let is_json = || {
        body.len() >= MOST_ERROR_BYTES
            || std::str::from_utf8(body).is_ok_and(|text| scan::check_json(text).is_ok())
    };
    match status {
        405 | 501 => true,
        404 => {
            let is_declared = tool.http().is_some() && tool.errors.format == ErrorFormat::Json;
            is_declared && !body.is_empty() && !is_json()
        }
        _ => false,
    }
}

/// Gives the error of an answer that refuses whatever is asked the code that says so.
fn name_refusal(error: &mut ApiError, refusal: Option<BackendRefusal>, tool: &Tool) {
    let is_mapped = || tool.errors.map.iter().any(|(mapped, _)| *mapped == error.status);
    let code = match refusal {
        Some(BackendRefusal::SwitchedOff) => SWITCHED_OFF,
        Some(BackendRefusal::Credential) if !is_mapped() => api_error::CREDENTIAL_REFUSED,
        Some(BackendRefusal::Credential) | None => return,
    };
    code.clone_into(&mut error.code);
}
