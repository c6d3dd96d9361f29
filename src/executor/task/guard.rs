//! A task whose call is dropped is asked to stop.

use std::time::Duration;

use crate::{
    executor::{CallContext, CallError, Executor, Leave},
    gate::{Refusal, TaskRight},
    http::under_way::UnderWay,
};

/// A request to cancel a task that nobody waits for may take so long.
const CANCEL_TIME: Duration = Duration::from_secs(8);

/// How long a dropped call waits for the word that it only took too long.
const LEAVE_GRACE: Duration = Duration::from_millis(100);

/// Cancels a task when the call that began it is dropped. The request is made in a task of its
/// own, which the process waits for at its end.
pub(super) struct Guard {
    armed: Option<(Executor, TaskRight, Leave)>,
}

impl Guard {
    pub(super) fn new(executor: &Executor, right: &TaskRight, leave: &Leave) -> Self {
        Self { armed: Some((executor.clone(), right.clone(), leave.clone())) }
    }

    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((executor, right, leave)) = self.armed.take() else { return };
        let task = right.handle().to_string();
        let goes_on = move |task: &str| {
            tracing::warn!("nobody waits for the task {task} any more; it goes on");
        };
        let runtime = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = runtime.filter(|_| right.can_cancel() && !leave.is_set()) else {
            return goes_on(&task);
        };
        let under_way = UnderWay::begin();
        runtime.spawn(async move {
            let _under_way = under_way;
            tokio::time::sleep(LEAVE_GRACE).await;
            if leave.is_set() {
                return goes_on(&task);
            }
            match cancel(&executor, &right).await {
                Ok(()) => tracing::warn!("asked the task {task} to stop: its call was cancelled"),
                Err(error) => {
                    tracing::warn!("the task {task} could not be cancelled and goes on: {error}");
                }
            }
        });
    }
}

/// Why a task that nobody waits for could not be asked to stop.
#[derive(Debug, thiserror::Error)]
enum CancelError {
    /// The descriptor or the settings: it may not be asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The remote: it does not answer.
    #[error("no answer within {} s", CANCEL_TIME.as_secs())]
    Timeout,
}

/// Asks a task to stop that nobody waits for any more.
async fn cancel(executor: &Executor, right: &TaskRight) -> Result<(), CancelError> {
    let call = right.cancel()?;
    let context = CallContext::default();
    let cancelled = tokio::time::timeout(CANCEL_TIME, executor.execute(call, &context)).await;
    cancelled.map_err(|_| CancelError::Timeout)??;
    Ok(())
}
