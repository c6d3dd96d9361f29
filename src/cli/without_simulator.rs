//! What stands for the simulator in a program that was built without it.

use std::num::NonZeroU32;

use super::{args::BackendArgs, failure::CliFailure};
use crate::{
    app::App,
    config::{Settings, credentials::CredentialResolver, env_vars::Environment},
};

/// There is none.
pub(super) enum Simulator {}

/// How often a second an object would change.
pub(super) const CHANGES: NonZeroU32 = NonZeroU32::MIN;

/// Refuses.
pub(super) async fn simulated_app(
    args: &BackendArgs,
    environment: &Environment,
    changes_per_second: Option<NonZeroU32>,
) -> Result<(App, Simulator), CliFailure> {
    let (settings, credentials, simulator) =
        start_simulator(args, environment, changes_per_second).await?;
    Ok((App::build(&settings, &credentials)?, simulator))
}

/// Refuses.
pub(super) async fn start_simulator(
    _: &BackendArgs,
    _: &Environment,
    _: Option<NonZeroU32>,
) -> Result<(Settings, CredentialResolver, Simulator), CliFailure> {
    Err(CliFailure::usage("--demo: this dadl-mcp was built without the simulator")
        .hint("build it with the feature `simulator`, which is on by default"))
}
