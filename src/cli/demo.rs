//! The embedded Xen Orchestra on the command line: `demo`, and `--demo` of other subcommands.

use std::{num::NonZeroU32, path::Path};

use anyhow::Context as _;
use dadl_simulator::{SimulatorOptions, WriteLag, XenOrchestra};
use uuid::Uuid;

use super::{
    args::{BackendArgs, DemoArgs},
    console::Console,
    demo_stage::ConsoleStage,
    exit::ExitReason,
    failure::CliFailure,
    process_secrets::SECRETS,
};
use crate::{
    access::{ALL, AccessLevels},
    app::App,
    config::{
        DescriptorPaths, Settings, SettingsOverrides,
        credentials::CredentialResolver,
        env_vars::{self, Environment},
    },
    demo,
};

/// The product that `--demo` shows.
pub(super) type Simulator = XenOrchestra;

/// The descriptor that describes what the simulator serves.
const DESCRIPTOR: &str = "xen-orchestra";
/// The variable of that descriptor's credential.
const TOKEN_VARIABLE: &str = "CREDENTIAL_XEN_ORCHESTRA_TOKEN";

/// An export is large enough to take a moment.
const EXPORT_BYTES: u64 = 32 * 1024 * 1024;

/// Walks through the main job.
pub(super) async fn run_demo(
    args: &DemoArgs,
    environment: &Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let program = std::env::current_exe().context("cannot find the program itself")?;
    // Nobody can have made a directory of this name.
    let scratch = std::env::temp_dir().join(format!("dadl-mcp-demo-{}", Uuid::new_v4()));
    let files = args.files.as_deref().unwrap_or(&scratch);
    let ours: Vec<&str> = environment.names().filter(|name| is_ours(name)).collect();
    let mut stage = ConsoleStage::new(console);
    let done = tokio::select! {
        done = demo::run(&program, files, &ours, &mut stage) => done.map(|()| ExitReason::Ok),
        _ = tokio::signal::ctrl_c() => Ok(ExitReason::Interrupted),
    };
    if args.files.is_none() {
        // It is the system's temporary directory: what stays there is cleaned up one day.
        let _ = std::fs::remove_dir_all(&scratch);
    }
    Ok(done?)
}

/// Returns whether a variable tells the program where settings or credentials are: the demo's
/// server gets none of them.
fn is_ours(name: &str) -> bool {
    const PLACES: &[&str] =
        &["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA"];
    let prefixes = [env_vars::CREDENTIAL_PREFIX, "DADL_MCP_"];
    name != env_vars::LOG
        && (PLACES.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix)))
}

/// How often a second an object changes while somebody watches the simulator.
pub(super) const CHANGES: NonZeroU32 = NonZeroU32::MIN;

/// Starts the simulator and loads it as the only backend, with every level allowed unless the
/// operator says otherwise; it runs until it is dropped. Objects change so many times a second.
pub(super) async fn simulated_app(
    args: &BackendArgs,
    environment: &Environment,
    changes_per_second: Option<NonZeroU32>,
) -> Result<(App, Simulator), CliFailure> {
    let (settings, credentials, simulator) =
        start_simulator(args, environment, changes_per_second).await?;
    let app = App::build(&settings, &credentials)?;
    Ok((App { gate: app.gate.of_simulator(), ..app }, simulator))
}

/// Starts the simulator, and gives the settings and the credential that lead to it.
pub(super) async fn start_simulator(
    args: &BackendArgs,
    environment: &Environment,
    changes_per_second: Option<NonZeroU32>,
) -> Result<(Settings, CredentialResolver, Simulator), CliFailure> {
    let options = SimulatorOptions {
        changes_per_second,
        export_size: EXPORT_BYTES,
        moment: dadl_simulator::recent(),
        lag: WriteLag::REAL,
        ..SimulatorOptions::default()
    };
    let simulator = XenOrchestra::start(options).await.context("cannot start the simulator")?;
    let all = environment.get(env_vars::ACCESS).is_none().then(|| AccessLevels::new([ALL]));
    let overrides = SettingsOverrides {
        dadl: Some(DESCRIPTOR.to_owned()),
        url: Some(simulator.url()),
        access: args.access.clone().or(all),
        files: args.files.clone(),
        ..SettingsOverrides::default()
    };
    let mut settings = Settings::load(&overrides, environment, Path::new(""))?;
    // Only the descriptor inside the binary fits the simulator inside the binary, and nothing that
    // anybody has stored or set is for it: this environment has one variable, and no store.
    settings.places = DescriptorPaths::default();
    // Its port is another each time: there is nothing to remember.
    settings.cache = None;
    let only = Environment::from_iter([(TOKEN_VARIABLE, simulator.token())]);
    Ok((settings, CredentialResolver::new(only).noting(&SECRETS), simulator))
}
