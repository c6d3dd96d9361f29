//! One call that only looks: at a task, at what became of it, at what was written.

use dadl_descriptor::model::Tool;

use super::{
    AnswerMemory, CallContext, CallError, Executor,
    send::{look_rules, refused_answer},
    step::CallMeans,
};
use crate::{
    gate::Admitted,
    http::{backend::AnswerMode, retry::RetryRules},
    outcome::{AnswerPayload, JsonText},
};

/// What a call showed that only looks.
pub(super) struct LookResult {
    pub(super) text: JsonText,
    /// Counts what that takes.
    pub(super) room: AnswerMemory,
    /// What its status says, where that is no success.
    pub(super) rejected: Option<CallError>,
}

/// Returns the same tool without retries of its own, for looks that repeat themselves.
pub(super) fn once(tool: &Tool) -> Tool {
    let mut tool = tool.clone();
    tool.errors.retry.max_retries = 0;
    tool
}

/// Makes a call of `tool`, and returns what it gives to a caller: after its `result_path`, `transform`
/// and `redact`. `None` when that is no JSON.
pub(super) async fn look_once(
    executor: &Executor,
    context: &CallContext<'_>,
    call: &Admitted<'_>,
    tool: &Tool,
) -> Result<Option<LookResult>, CallError> {
    let backend = executor.backend(call.entry())?;
    let plan = executor.plan(call, tool, backend)?;
    let means = CallMeans::new(executor, backend, context);
    let step = means.step(call, tool, &plan);
    let rules = RetryRules { is_patient: true, ..look_rules(tool) };
    let exchange =
        backend.send(&plan, rules, AnswerMode::Whole, &executor.files, &means.activity).await?;
    let status = exchange.response.status();
    let (text, rejected) = if status.is_success() {
        let answer = step.answer(exchange).await?;
        match step.readable(answer.payload)? {
            AnswerPayload::Json(text) => (text, None),
            _ => return Ok(None),
        }
    } else {
        // Some APIs show a task that failed with a status of its own.
        let (error, body) = refused_answer(backend, tool, &step.request_line(), exchange).await;
        let error = CallError::from(Box::new(error));
        match std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok()) {
            Some(text) => (text, Some(error)),
            None => return Err(error),
        }
    };
    let seen = async {
        let before = text.as_str().len();
        let selected = means.room.work(before, || step.select(text)).await?;
        step.resize(before as u64, selected.as_str().len() as u64)?;
        step.shape(selected, status.as_u16()).await
    };
    match seen.await {
        Ok(outcome) => Ok(match outcome.payload {
            AnswerPayload::Json(text) => {
                Some(LookResult { text, room: means.room.clone(), rejected })
            }
            _ => None,
        }),
        Err(error) => Err(rejected.unwrap_or(error)),
    }
}
