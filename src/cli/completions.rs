//! What comes out of the definitions of the command line alone: completions and manual pages.

use std::io::Write as _;

use clap::CommandFactory as _;

use super::{
    args::{Cli, CompletionsArgs, ManArgs},
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
};

/// Prints a completion script.
pub(super) fn print_completions(
    args: &CompletionsArgs,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // The generator panics when its stream is gone, so it gets one that stays.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    console.out.write_all(&script)?;
    Ok(ExitReason::Ok)
}

/// Prints a manual page.
pub(super) fn print_man_page(
    args: &ManArgs,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let mut command = Cli::command();
    command.build();
    let page = match &args.subcommand {
        None => command,
        Some(name) => {
            let program = command.get_name().to_owned();
            let found = command.find_subcommand(name).cloned();
            let Some(found) = found else {
                let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
                let names: Vec<&str> = shown.map(clap::Command::get_name).collect();
                return Err(CliFailure::usage(format!("there is no subcommand `{name}`"))
                    .hint(format!("the subcommands are {}", names.join(", "))));
            };
            let title = format!("{program}-{name}");
            found.name(title.clone()).display_name(title)
        }
    };
    clap_mangen::Man::new(page).render(&mut console.out)?;
    Ok(ExitReason::Ok)
}
