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
    signals::SignalListener,
};
use crate::{
    config::env_vars::Environment,
    executor::{CallContext, WaitBudget},
};

/// Waits for a task, or cancels it. Ctrl-C ends the waiting only.
pub(super) async fn run(
    args: TaskArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let loaded =
        load::open_backends(&args.backends, args.simulated, environment, load::ServersNeeded::None)
            .await?;
    let app = &loaded.app;
    let right = app.gate.check_task(&args.handle);
    let watch = CallMonitor::new(console.err_is_terminal);
    let context = CallContext::heard_by(&watch);
    let outcome = if args.cancel {
        let call = admit_call(app.gate.check_cancel(&args.handle)?, args.yes, app, console).await?;
        let mut signals = SignalListener::listen()?;
        tokio::select! {
            outcome = app.executor.cancel_task(call, &args.handle, right.as_ref().ok(), &context) => {
                outcome?
            }
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
