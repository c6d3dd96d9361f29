//! The command line: one file per subcommand.
//!
//! Results go to standard output, everything else to standard error. Each subcommand gets a
//! `Console` and gives an [`Exit`]; what fails becomes a
//! `Failure`, which says what to do next.

pub mod args;
mod arguments;
mod authorize;
mod call;
pub mod check;
mod complete;
mod console;
#[cfg(test)]
mod docs;
mod doctor;
mod drift;
pub mod exit;
mod explain;
mod failure;
mod flags;
mod fmt;
mod health;
mod import;
mod list;
mod load;
mod log;
mod mishap;
mod pinning;
mod progress;
pub mod report;
mod rewrite;
mod screen;
mod serve;
mod setup;
mod show;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
#[cfg_attr(not(feature = "simulator"), path = "without_simulator.rs")]
mod simulated;
#[cfg(feature = "simulator")]
mod stage;
mod stored;
mod table;
mod task;
mod values;
mod watch;
mod wrap;

use std::{ffi::OsString, io::Write as _, process::ExitCode};

use clap::Parser as _;

use self::{
    args::{Cli, Command},
    console::Console,
    exit::Exit,
    failure::Failure,
    flags::Flags,
};
use crate::{config::env_vars::Environment, http};

/// Runs the program with the arguments of the process, its name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    mishap::catch_panics();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; nothing can be done when printing fails.
            let _ = mishap::print(&error, &arguments);
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    if matches!(cli.command, Command::JqWorker) {
        // It speaks to its parent only: no log, no console, no settings.
        return crate::worker::serve();
    }
    let environment = Environment::of_process();
    let flags = Flags::of(&cli.command, &environment);
    let mut console = Console::of_process(cli.global.color, flags, &environment);
    let done = log::start(&cli.global, &environment, console.colors_stderr())
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
    command: Command,
    is_quiet: bool,
    environment: Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match command {
        Command::Call(args) => to_the_end(call::run(args, environment, console)),
        Command::Check(args) => complete::check(&args, console),
        Command::Completions(args) => complete::completions(&args, console),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => one_shot()?.block_on(simulated::demo(&args, &environment, console)),
        Command::Doctor(args) => to_the_end(doctor::run(&args, environment, console)),
        Command::Drift(args) => to_the_end(drift::run(&args, environment, console)),
        Command::Explain(args) => explain::run(&args, console),
        Command::Health(args) => to_the_end(health::run(&args, environment, console)),
        Command::Import(args) => import::run(&args, is_quiet, console),
        // Runs before there is anything to dispatch.
        Command::JqWorker => Ok(Exit::Ok),
        Command::Fmt(args) => fmt::run(&args, console),
        Command::List(args) => one_shot()?.block_on(list::run(&args, environment, console)),
        Command::Man(args) => complete::man(&args, console),
        Command::Serve(args) => {
            // Requests of several HTTP clients may run side by side; stdio has one client.
            let runtime = if args.http.is_some() { for_many_clients() } else { one_shot() }?;
            let done = runtime.block_on(async {
                let done = serve::run(args, environment, console).await;
                // A second signal: nothing is waited for.
                if !matches!(done, Ok(Exit::HungUp | Exit::Interrupted | Exit::Terminated)) {
                    settle().await;
                }
                done
            });
            // A read of standard input that nobody will answer must not hold the process.
            runtime.shutdown_background();
            done
        }
        Command::Setup(args) => to_the_end(setup::run(&args, environment, console)),
        Command::Show(args) => one_shot()?.block_on(show::run(&args, environment, console)),
        #[cfg(feature = "simulator")]
        Command::Simulate(args) => for_many_clients()?.block_on(simulate::run(args, console)),
        Command::Task(args) => to_the_end(task::run(args, environment, console)),
        Command::Watch(args) => to_the_end(watch::run(args, environment, console)),
    }
}

/// Runs a subcommand that makes calls: a call may leave a login behind whose server has replaced
/// what is stored.
fn to_the_end(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    one_shot()?.block_on(async {
        let done = command.await;
        settle().await;
        done
    })
}

/// Waits for requests that should not be broken off, until a further signal comes.
async fn settle() {
    let Ok(mut signals) = signals::Signals::listen() else { return http::settled().await };
    tokio::select! {
        () = http::settled() => {}
        _ = signals.next() => {}
    }
}

fn one_shot() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn for_many_clients() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
