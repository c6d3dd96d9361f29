//! What becomes of a task whose call is dropped: it goes on, unless a person stopped the call.

use std::time::Duration;

use crate::{
    executor::{CallContext, CallError, Executor, OnDrop},
    gate::{CallRefusal, TaskRight},
    http::under_way::UnderWay,
    shares::ClientKey,
};

/// A request to cancel a task that nobody waits for may take so long.
const CANCEL_TIME: Duration = Duration::from_secs(8);

/// Sees to a task when the call that began it is dropped. A request to stop it is made in a task of
/// its own, which the process waits for at its end.
pub(in crate::executor) struct TaskGuard {
    armed: Option<ArmedGuard>,
}

struct ArmedGuard {
    executor: Executor,
    right: TaskRight,
    on_drop: OnDrop,
    /// Whose call it is.
    client: ClientKey,
}

impl TaskGuard {
    pub(in crate::executor) fn new(
        executor: &Executor,
        right: &TaskRight,
        context: &CallContext<'_>,
    ) -> Self {
        let CallContext { client, on_drop, .. } = context.clone();
        let (executor, right) = (executor.clone(), right.clone());
        Self { armed: Some(ArmedGuard { executor, right, on_drop, client }) }
    }

    pub(in crate::executor) fn disarm(&mut self) {
        self.armed = None;
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let Some(ArmedGuard { executor, right, on_drop, client }) = self.armed.take() else {
            return;
        };
        let task = right.handle().to_string();
        if !on_drop.stops() {
            tracing::info!("nobody waits for the task {task} any more; it goes on");
            return;
        }
        let runtime = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = runtime.filter(|_| right.can_cancel()) else {
            tracing::warn!("the task {task} cannot be cancelled and goes on");
            return;
        };
        let under_way = UnderWay::begin();
        runtime.spawn(crate::spawn::boxed(async move {
            let _under_way = under_way;
            match cancel_task(&executor, &right, client).await {
                Ok(()) if right.stops() => {
                    tracing::warn!("asked the task {task} to stop: its call was cancelled");
                }
                Ok(()) => tracing::warn!(
                    "asked the task {task} to stop, but tasks of {} cannot be stopped: it goes on",
                    right.handle().tool
                ),
                Err(error) => {
                    tracing::warn!("the task {task} could not be cancelled and goes on: {error}");
                }
            }
        }));
    }
}

/// Why a task that nobody waits for could not be asked to stop.
#[derive(Debug, thiserror::Error)]
enum CancelError {
    /// The descriptor or the settings: it may not be asked.
    #[error(transparent)]
    Refused(#[from] CallRefusal),
    /// The request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The remote: it does not answer.
    #[error("no answer within {} s", CANCEL_TIME.as_secs())]
    Timeout,
}

/// Asks a task to stop that nobody waits for any more.
async fn cancel_task(
    executor: &Executor,
    right: &TaskRight,
    client: ClientKey,
) -> Result<(), CancelError> {
    let context = CallContext::default().of(client);
    if right.server_entry().is_some() {
        let asked = Box::pin(executor.ask_to_stop(right, &context));
        return Ok(tokio::time::timeout(CANCEL_TIME, asked)
            .await
            .map_err(|_| CancelError::Timeout)??);
    }
    let call = right.cancel()?;
    let cancelled = tokio::time::timeout(CANCEL_TIME, executor.execute(call, &context)).await;
    cancelled.map_err(|_| CancelError::Timeout)??;
    Ok(())
}
