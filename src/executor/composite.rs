//! A composite from its script to its result.
//!
//! The script runs on a thread of its own; its calls run here, all at once, each through the gate (see
//! [`ScriptLoop`]). The time limit covers both, and dropping the future ends both.

use std::{sync::Arc, time::Instant};

use dadl_descriptor::{
    model::Composite,
    script::{
        api::ScriptApi,
        deadline::RunDeadline,
        engine::{MOST_BUSY, MOST_CALLS, ScriptFailure, ScriptJob},
    },
};
use serde_json::{Map, Value};

use super::{
    CallContext, CallError, Executor,
    inner_failure::InnerFailure,
    script::MOST_RUNS,
    script_loop::{SavedIds, ScriptHost, ScriptLoop},
    script_result::{self, ScriptResultError},
};
use crate::{
    gate::Admitted,
    outcome::{AnswerPayload, CallOutcome},
};

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
    let most_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX);
    executor.check_handles(call.arguments()).await?;
    let budget = script_result::task_budget(Instant::now() + composite.timeout);
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
            let may_change = call.entry().may_change();
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
    let value = executor.script_value(text, most_bytes, &context.client).await;
    let (value, held) = value.map_err(|error| {
        let setting = match error {
            ScriptResultError::Large(_) => {
                let backend = &call.entry().backend_name;
                format!(" (`max_response_size` of backend \"{backend}\")")
            }
            _ => String::new(),
        };
        failed(format!("its result cannot be shown: {error}{setting}"))
    })?;
    let (payload, notes) = (AnswerPayload::Json(value), running.notes);
    Ok(CallOutcome { status: 200, payload, notes, next: None, held })
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
        let ScriptFailure { message, line } = failure;
        let message = script_result::with_unseen(message, unseen);
        match (line, self.composite.script.first_line) {
            (None, _) => message,
            (Some(line), Some(first)) => {
                format!("{message} (line {} of the descriptor)", first + line - 1)
            }
            (Some(line), None) => format!("{message} (line {line} of its code)"),
        }
    }
}
