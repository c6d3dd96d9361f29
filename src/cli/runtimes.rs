//! What runs the asynchronous part of a subcommand.

use tokio::runtime::{Builder, Runtime};

use super::CliFailure;

/// One thread, for who waits for one thing after the other, as a client on stdio does.
pub(super) fn one_shot() -> Result<Runtime, CliFailure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A thread for each processor: the requests of several clients run side by side.
#[cfg(feature = "simulator")]
pub(super) fn for_many_clients() -> Result<Runtime, CliFailure> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}
