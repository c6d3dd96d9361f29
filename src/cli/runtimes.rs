//! What runs the asynchronous part of a subcommand.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::CliFailure;

/// How long the timer lasts that is always set while serving: less than those of calls do.
const TICK: Duration = Duration::from_secs(10);

/// One thread, for who waits for one thing after the other, as a client on stdio does.
pub(super) fn one_shot() -> Result<Runtime, CliFailure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A thread for each processor: the requests of several clients run side by side.
pub(super) fn for_many_clients() -> Result<Runtime, CliFailure> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Keeps a timer set for as long as the runtime lasts.
///
/// The timers of a call hardly ever fire, but one that is the next to fire wakes whoever waits for events: two
/// system calls for each call, or another thread. Beside this one they are never the next.
pub(super) async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}
