//! `task`: goes on with a task that a call began, in this process or another.

use std::time::Duration;

use super::{
    args::TaskArgs,
    call::{admit_call, print_outcome},
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    load,
    progress::CallMonitor,
    server_questions::AskingTerminal,
    signals::SignalListener,
};
use crate::{
    config::env_vars::Environment,
    executor::{CallContext, CallError, ServerQuestions, WaitBudget},
    gate::TaskStop,
};

/// Waits for a task, or cancels it. Ctrl-C ends the waiting only.
pub(super) async fn run(
    args: TaskArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let needed = load::ServersNeeded::Of(&args.handle.backend);
    let loaded = load::open_backends(&args.backends, args.simulated, environment, needed).await?;
    let app = &loaded.app;
    let right = app.gate.check_task(&args.handle);
    let watch = CallMonitor::new(console.err_is_terminal);
    let questions = console.can_ask.then_some(&AskingTerminal as &dyn ServerQuestions);
    let context = CallContext { questions, ..CallContext::heard_by(&watch).saving_media() };
    let outcome = if args.cancel {
        let stop = app.gate.check_stop(&args.handle)?;
        let call = match stop {
            TaskStop::Call(pending) => Some(admit_call(pending, args.yes, app, console).await?),
            TaskStop::Request(_) => None,
        };
        let cancel = async {
            match (call, &right) {
                (Some(call), right) => {
                    let right = right.as_ref().ok();
                    app.executor.cancel_task(call, &args.handle, right, &context).await
                }
                (None, Ok(right)) => app.executor.stop_task(right, &context).await,
                // Who may stop a task of a server may look at it.
                (None, Err(refusal)) => Err(CallError::Settings { message: refusal.to_string() }),
            }
        };
        let mut signals = SignalListener::listen()?;
        tokio::select! {
            outcome = cancel => outcome?,
            signal = signals.next() => return Ok(signal.exit()),
        }
    } else {
        let right = right?;
        let budget = match args.wait {
            None => WaitBudget::Longest,
            Some(0) => WaitBudget::AtOnce,
            Some(seconds) => WaitBudget::For(Duration::from_secs(seconds)),
        };
        let context = context.waiting(budget);
        let mut signals = SignalListener::listen()?;
        tokio::select! {
            outcome = app.executor.watch_task(&right, &context) => outcome?,
            signal = signals.next() => {
                drop(watch);
                // The terminal may be gone.
                let _ = console.print_note("the task goes on");
                return Ok(signal.exit());
            }
        }
    };
    drop(watch);
    print_outcome(outcome, args.json, console)?;
    Ok(ExitReason::Ok)
}
