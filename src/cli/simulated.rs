//! The embedded Xen Orchestra on the command line: `demo` and `serve --demo`.

use std::{num::NonZeroU32, path::Path};

use anyhow::Context as _;
use uuid::Uuid;

use super::{
    args::{BackendArgs, DemoArgs},
    console::Console,
    exit::Exit,
    failure::Failure,
};
use crate::{
    access::{ALL, Levels},
    app::App,
    config::{
        Overrides, Settings,
        credentials::Credentials,
        env_vars::{self, Environment},
    },
    demo,
    simulator::{SimulatorOptions, XenOrchestra},
};

/// The descriptor that describes what the simulator serves.
const DESCRIPTOR: &str = "xen-orchestra";
/// The variable of that descriptor's credential.
const TOKEN_VARIABLE: &str = "CREDENTIAL_XEN_ORCHESTRA_TOKEN";

/// Walks through the main job.
pub(super) async fn demo(args: &DemoArgs, console: &mut Console) -> Result<Exit, Failure> {
    let program = std::env::current_exe().context("cannot find the program itself")?;
    // A name that nobody guesses: what has it was made here, and may be removed.
    let scratch = std::env::temp_dir().join(format!("dadl-mcp-demo-{}", Uuid::new_v4().simple()));
    let files = args.files.as_deref().unwrap_or(&scratch);
    let done = tokio::select! {
        done = demo::run(&program, files, &mut *console.out) => done.map(|()| Exit::Ok),
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    };
    if args.files.is_none() {
        // It is the system's temporary directory: what stays there is cleaned up one day.
        let _ = std::fs::remove_dir_all(&scratch);
    }
    Ok(done?)
}

/// How often a second an object changes while somebody watches the simulator.
pub(super) const CHANGES: NonZeroU32 = NonZeroU32::MIN;

/// Starts the simulator and loads it as the only backend, with every level allowed unless the
/// operator says otherwise; it runs until it is dropped. Objects change so many times a second.
pub(super) async fn app(
    args: &BackendArgs,
    environment: Environment,
    changes_per_second: Option<NonZeroU32>,
) -> Result<(App, XenOrchestra), Failure> {
    let options = SimulatorOptions { changes_per_second, ..SimulatorOptions::default() };
    let simulator = XenOrchestra::start(options).await.context("cannot start the simulator")?;
    let all = environment.get(env_vars::ACCESS).is_none().then(|| Levels::new([ALL]));
    let overrides = Overrides {
        dadl: Some(DESCRIPTOR.to_owned()),
        url: Some(simulator.url()),
        access: args.access.clone().or(all),
        files: args.files.clone(),
        ..Overrides::default()
    };
    let environment = environment
        .with(TOKEN_VARIABLE, simulator.token())
        .with(format!("{TOKEN_VARIABLE}_FILE"), "");
    let mut settings = Settings::load(&overrides, &environment, Path::new(""))?;
    // Only the descriptor inside the binary fits the simulator inside the binary.
    settings.descriptor_directories.clear();
    Ok((App::build(&settings, &Credentials::new(environment))?, simulator))
}
