//! What comes out of the definitions alone: completions, manual pages; and `check`, whose logic
//! is in [`super::check`].

use std::io::Write as _;

use clap::CommandFactory as _;

use super::{
    args::{CheckArgs, Cli, CompletionsArgs, ManArgs},
    check::{self, Fixing},
    console::Console,
    exit::Exit,
    failure::CliFailure,
    report::{Color, Format},
    screen::ours,
};

/// Reports what is wrong with descriptors.
pub(super) fn run_check(args: &CheckArgs, console: &mut Console) -> Result<Exit, CliFailure> {
    let color = if console.color { Color::Always } else { Color::Never };
    let format = args.format.into();
    let fixing = match (args.fix, args.dry_run) {
        (false, _) => Fixing::Off,
        (true, true) => Fixing::DryRun,
        (true, false) => Fixing::Apply,
    };
    // The lines about changes must not get into a report that a program reads.
    let mut lines = Vec::new();
    let mut report = Vec::new();
    let outcome = check::run_fixing(&args.files, fixing, format, color, &mut report, &mut lines)?;
    let log = if format == Format::Text { &mut console.out } else { &mut console.err };
    log.write_all(&lines)?;
    let report = String::from_utf8_lossy(&report);
    match format {
        Format::Text => write!(console.out, "{}", ours(&report))?,
        Format::Json | Format::Sarif => console.json_text(report.trim_end_matches('\n'))?,
    }
    Ok(match outcome.exit_code() {
        0 => Exit::Ok,
        3 => Exit::Settings,
        _ => Exit::Failed,
    })
}

/// Prints a completion script.
pub(super) fn completions(
    args: &CompletionsArgs,
    console: &mut Console,
) -> Result<Exit, CliFailure> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // The generator panics when its stream is gone, so it gets one that stays.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    console.out.write_all(&script)?;
    Ok(Exit::Ok)
}

/// Prints a manual page.
pub(super) fn man(args: &ManArgs, console: &mut Console) -> Result<Exit, CliFailure> {
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
    Ok(Exit::Ok)
}
