//! What runs beside its caller: tasks of the runtime, and work on threads that may wait.
//!
//! The runtime compiles all that it does with a task for each type of future, and for both of its schedulers:
//! five kilobytes for each place that spawns. Behind one type it is compiled once.

use std::{any::Any, future::Future, pin::Pin, time::Duration};

use tokio::task::{JoinError, JoinHandle};

/// How long the timer lasts that is always set while serving: less than those of calls do.
const TICK: Duration = Duration::from_secs(10);

/// A future of whatever makes a `T`.
pub(crate) type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Returns the future behind the one type that tasks have.
pub(crate) fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> BoxedFuture<T> {
    Box::pin(future)
}

/// Runs a future as a task of the runtime that this is called in.
pub(crate) fn task<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(boxed(future))
}

/// Runs work that may wait on a thread of its own, from now on; the future is that of its result, and ends
/// nothing when it is dropped.
///
/// # Errors
///
/// The work panicked, or the runtime ends before it began.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, JoinError>> + Send {
    type Work = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;
    let work: Work = Box::new(move || -> Box<dyn Any + Send> { Box::new(work()) });
    let done = tokio::task::spawn_blocking(work);
    async move {
        // Invariant: the work returns a `T` in its box.
        done.await.map(|it| *it.downcast().expect("the work returns this type"))
    }
}

/// Keeps a timer set for as long as the runtime lasts.
///
/// The timers of a call hardly ever fire, but one that is the next to fire wakes whoever waits for events: two
/// system calls for each call, or another thread. Beside this one they are never the next.
pub(crate) async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}
