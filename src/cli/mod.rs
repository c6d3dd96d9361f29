//! The command line: one file per subcommand.
//!
//! Results go to standard output, everything else to standard error. Each subcommand gets a
//! `Console` and gives an `ExitReason`; what fails becomes a
//! `CliFailure`, which says what to do next.

pub(crate) mod args;
mod authorize;
mod call;
pub mod check;
mod completions;
mod console;
#[cfg_attr(not(feature = "simulator"), path = "without_simulator.rs")]
mod demo;
#[cfg(feature = "simulator")]
mod demo_stage;
#[cfg(test)]
mod docs;
mod doctor;
mod drift;
mod entered_credentials;
pub(crate) mod exit;
mod explain;
mod failure;
mod flags;
mod fmt;
mod health;
mod host_servers;
mod import;
mod known_start;
mod list;
mod live_settings;
mod load;
mod log;
mod pin;
mod pinning;
mod possible_values;
mod process_secrets;
mod progress;
mod proposed_levels;
pub mod report;
mod rewrite;
mod runtimes;
mod screen;
mod search;
mod serve;
mod served_profile;
mod server_content;
mod server_contents;
mod server_login;
mod server_questions;
mod settings_watch;
mod setup;
mod show;
mod show_overrides;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
mod stored_credentials;
mod table;
mod task;
mod tool_arguments;
mod usage_error;
mod watch;
mod wrap;
mod yaml_text;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::Parser as _;

use self::{
    args::{Cli, CliCommand, ImportKind},
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    flags::BackendFlags,
    runtimes::one_shot,
};
use crate::{config::env_vars::Environment, http, mcp::ConnectionThreads, mcp_client};

/// Runs the program with the arguments of the process, its name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some((program, arguments)) = mcp_client::child_of(&arguments) {
        // There is one for each MCP server: it takes no more than it needs.
        return mcp_client::supervise(program, arguments);
    }
    usage_error::catch_panics();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; nothing can be done when printing fails.
            let _ = usage_error::print_usage_error(&error, &arguments);
            return if error.use_stderr() { ExitReason::Usage } else { ExitReason::Ok }.into();
        }
    };
    if matches!(cli.command, CliCommand::JqWorker) {
        // It speaks to its parent only: no log, no console, no settings.
        return crate::worker::serve_requests();
    }
    let environment = Environment::of_process();
    let flags = BackendFlags::of(&cli.command, &environment);
    let mut console = Console::of_process(cli.global.color, flags, &environment);
    #[cfg(feature = "simulator")]
    if let CliCommand::Simulate(args) = &cli.command
        && let Some(served) = simulate::run_by_script(args, &mut console)
    {
        return served.map_or_else(|failure| failure.print(&mut console).into(), ExitCode::from);
    }
    let done = log::start_log(&cli.global, &environment, console.stderr_color())
        .and_then(|()| dispatch(cli.command, cli.global.quiet, environment, &mut console));
    let exit = match done {
        Ok(exit) => exit,
        Err(failure) => failure.print(&mut console),
    };
    // A reader that went away has what it wanted.
    let _ = console.out.flush();
    let _ = console.err.flush();
    exit.into()
}

fn dispatch(
    command: CliCommand,
    is_quiet: bool,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    match command {
        CliCommand::Call(args) => to_the_end(call::run(args, environment, console)),
        CliCommand::Check(args) => check::run_check(&args, console),
        CliCommand::Completions(args) => completions::print_completions(&args, console),
        #[cfg(feature = "simulator")]
        CliCommand::Demo(args) => {
            one_shot()?.block_on(demo::run_demo(&args, &environment, console))
        }
        CliCommand::Doctor(args) => to_the_end(doctor::run(&args, environment, console)),
        CliCommand::Drift(args) => to_the_end(drift::run(&args, environment, console)),
        CliCommand::Explain(args) => explain::run(&args, console),
        CliCommand::Health(args) => to_the_end(health::run(&args, environment, console)),
        CliCommand::Import(args) => match &args.kind {
            Some(ImportKind::Hosts(hosts)) => {
                host_servers::run(hosts, is_quiet, &environment, console)
            }
            None => import::run(&args, is_quiet, console),
        },
        // Runs before there is anything to dispatch.
        CliCommand::JqWorker => Ok(ExitReason::Ok),
        CliCommand::Fmt(args) => fmt::run(&args, console),
        CliCommand::List(args) => to_the_end(list::run(&args, environment, console)),
        CliCommand::Man(args) => completions::print_man_page(&args, console),
        CliCommand::Pin(args) => to_the_end(pin::run(&args, environment, console)),
        CliCommand::Search(args) => to_the_end(search::run(&args, environment, console)),
        CliCommand::Serve(args) => {
            // Stdio has one client, and the connections of several have threads of their own.
            let runtime = one_shot()?;
            let is_http = args.http.is_some();
            let threads = is_http.then(ConnectionThreads::of_processors).unwrap_or_default();
            let done = runtime.block_on(async {
                crate::spawn::task(crate::spawn::tick());
                let done = serve::run(args, environment, &threads, console).await;
                // A second signal: nothing is waited for.
                if !matches!(
                    done,
                    Ok(ExitReason::HungUp | ExitReason::Interrupted | ExitReason::Terminated)
                ) {
                    settle_defaults().await;
                }
                done
            });
            // A read of standard input that nobody will answer must not hold the process.
            runtime.shutdown_background();
            done
        }
        CliCommand::Setup(args) => to_the_end(setup::run(&args, environment, console)),
        CliCommand::Show(args) => to_the_end(show::run(&args, environment, console)),
        #[cfg(feature = "simulator")]
        CliCommand::Simulate(args) => {
            runtimes::for_many_clients()?.block_on(simulate::run(args, console))
        }
        CliCommand::Task(args) => to_the_end(task::run(args, environment, console)),
        CliCommand::Watch(args) => to_the_end(watch::run(args, environment, console)),
    }
}

/// Runs a subcommand that asks others: a call may leave a login behind whose server has replaced what is
/// stored, and another MCP server a session.
fn to_the_end(
    command: impl Future<Output = Result<ExitReason, CliFailure>>,
) -> Result<ExitReason, CliFailure> {
    one_shot()?.block_on(async {
        let done = command.await;
        settle_defaults().await;
        done
    })
}

/// Waits for requests that should not be broken off, until a further signal comes.
async fn settle_defaults() {
    let Ok(mut signals) = signals::SignalListener::listen() else { return http::settled().await };
    tokio::select! {
        () = http::settled() => {}
        _ = signals.next() => {}
    }
}
