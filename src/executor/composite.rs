//! A composite from its script to its result.
//!
//! The script runs on a thread of its own; its calls run here, all at once, each through the gate (see
//! [`ScriptLoop`]). The time limit covers both, and dropping the future ends both.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dadl_descriptor::{
    model::{AccessLevel, Composite},
    script::{
        api::ScriptApi,
        deadline::RunDeadline,
        engine::{MOST_BUSY, MOST_CALLS, ScriptFailure, ScriptJob},
    },
};
use serde_json::{Map, Value};

use super::{
    CallContext, CallError, Executor, WaitBudget,
    call_bounds::NoRoom,
    inner_failure::InnerFailure,
    script::MOST_RUNS,
    script_loop::{SavedIds, ScriptHost, ScriptLoop},
};
use crate::{
    gate::Admitted,
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText},
};

/// So long before its time is over a script learns that a task which it waits for goes on.
const TO_LEARN: Duration = Duration::from_millis(250);

/// So many of the tasks that may not be looked at are told with a failure.
const MOST_UNSEEN: usize = 3;
/// What is said of a composite that was ended and may have changed something.
const WHAT_WAS_BEGUN: &str =
    "; what it had begun may have been done: look before it is called again";

/// Runs `composite`, which `call` calls.
pub(super) async fn run(
    executor: &Executor,
    call: &Admitted<'_>,
    composite: &Composite,
    context: &CallContext<'_>,
) -> Result<CallOutcome, CallError> {
    let most_bytes = executor.backend(call.entry())?.settings().max_response_bytes;
    executor.check_handles(call.arguments()).await?;
    // A script learns that a task goes on before its own time is over.
    let budget =
        WaitBudget::Until((Instant::now() + composite.timeout.saturating_sub(TO_LEARN)).into());
    let context = &context.clone().waiting(budget).of_script(call.arguments());
    let host = CompositeHost { executor, call, composite, context };
    let mut running = ScriptLoop::new(&host);
    let job = ScriptJob {
        code: composite.script.code.clone(),
        params: Value::Object(host.params()).to_string(),
        api: ScriptApi::Tools(composite.calls.to_vec()),
        most_calls: MOST_CALLS,
        most_busy: MOST_BUSY,
        deadline: Arc::new(RunDeadline::after(composite.timeout)),
    };
    let run = running.finish(&executor.slots, &context.client, job);
    let ended = tokio::time::timeout(composite.timeout, run).await;
    let result = ended.unwrap_or_else(|_| {
        let after = composite.timeout.as_secs_f64();
        let message = if running.has_slot {
            let may_change = composite.access != Some(AccessLevel::Read);
            let done = if may_change { WHAT_WAS_BEGUN } else { "" };
            format!("it did not end within {after} s{done}")
        } else {
            format!("{MOST_RUNS} others were running for {after} s; try again later")
        };
        Err(ScriptFailure { message, line: None })
    });
    let failed =
        |reason: String| CallError::Composite { composite: call.entry().name.clone(), reason };
    let text = result.map_err(|failure| failed(host.explain(failure, &running.unseen)))?;
    if text.len() as u64 > most_bytes {
        return Err(failed(format!(
            "its result is larger than {most_bytes} bytes (`max_response_size` of backend \"{}\")",
            call.entry().backend_name
        )));
    }
    // As text: it may have integers of any length.
    let value = executor.room(&context.client).work(text.len(), || JsonText::parse(&text)).await;
    let value =
        value.map_err(|error| failed(format!("its result cannot be shown as JSON: {error}")))?;
    let room = executor.room(&context.client);
    room.grow(value.as_str().len() as u64).map_err(|NoRoom(limit)| {
        failed(format!(
            "there is no room for its result: all answers that are being read have {limit} bytes \
             together (`max_memory` of `limits`)"
        ))
    })?;
    let (payload, notes) = (AnswerPayload::Json(value), running.notes);
    Ok(CallOutcome { status: 200, payload, notes, next: None, held: HeldMemory::by(room) })
}

/// Whose calls those of the script of a composite are.
struct CompositeHost<'run> {
    executor: &'run Executor,
    call: &'run Admitted<'run>,
    composite: &'run Composite,
    context: &'run CallContext<'run>,
}

impl ScriptHost for CompositeHost<'_> {
    fn noun(&self) -> &'static str {
        "composite"
    }

    async fn call(
        &self,
        saved: &SavedIds,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallOutcome, InnerFailure> {
        let call = self.call.call_within(tool, arguments, || saved.ids())?;
        if let Some(report) = self.executor.check_health(&call).await {
            return Ok(report.into());
        }
        // The gate admits tools only.
        let Some(tool) = call.entry().tool() else {
            return Err(InnerFailure::new(
                "invalid_input",
                "a composite calls no composites".to_owned(),
            ));
        };
        self.executor.request(&call, tool, self.context).await.map_err(InnerFailure::from)
    }

    fn log(&self, level: &str, text: &str) {
        let backend = &*self.call.entry().backend_name;
        let composite = self.composite.name.as_str();
        match level {
            "debug" => tracing::debug!(backend, composite, text, "console"),
            "warn" => tracing::warn!(backend, composite, text, "console"),
            "error" => tracing::error!(backend, composite, text, "console"),
            _ => tracing::info!(backend, composite, text, "console"),
        }
    }

    fn log_call(&self, tool: &str, done: Result<u16, &str>, ms: u128) {
        let backend = &*self.call.entry().backend_name;
        let composite = self.call.entry().declared_name();
        match done {
            Ok(status) => tracing::info!(backend, composite, tool, status, ms, "inner call"),
            Err(error) => tracing::info!(backend, composite, tool, error, ms, "inner call"),
        }
    }
}

impl CompositeHost<'_> {
    /// Returns the arguments under the names that the descriptor has for them.
    fn params(&self) -> Map<String, Value> {
        let arguments = self.call.arguments().iter();
        arguments.map(|(param, value)| (param.name.clone(), value.clone())).collect()
    }

    /// Says what went wrong and where in the descriptor.
    fn explain(&self, failure: ScriptFailure, unseen: &[String]) -> String {
        let ScriptFailure { mut message, line } = failure;
        for note in unseen.iter().take(MOST_UNSEEN) {
            message.push_str(&format!("; {note}"));
        }
        match (line, self.composite.script.first_line) {
            (None, _) => message,
            (Some(line), Some(first)) => {
                format!("{message} (line {} of the descriptor)", first + line - 1)
            }
            (Some(line), None) => format!("{message} (line {line} of its code)"),
        }
    }
}
