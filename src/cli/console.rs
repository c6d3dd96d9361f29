//! The two streams of the process, and what is known about who reads them.

use std::io::{self, IsTerminal as _, Write};

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Color, Style};
use serde_json::Value;

use super::args::ColorChoice;
use crate::config::env_vars::{Environment, NO_COLOR};

/// The width of a terminal that does not tell.
const USUAL_WIDTH: u16 = 100;

/// What went well.
pub(super) const GOOD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green)));
/// What deserves a look.
pub(super) const DOUBTFUL: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
/// What went wrong.
pub(super) const BAD: Style = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red))).bold();
/// The name of a thing.
pub(super) const NAME: Style = Style::new().bold();

/// Where a subcommand writes. Styles may always be written; a stream that shows none drops them.
pub(super) struct Console {
    /// Results.
    pub(super) out: Box<dyn Write>,
    /// Everything else.
    pub(super) err: Box<dyn Write>,
    /// Whether a person reads the results.
    pub(super) out_is_terminal: bool,
    /// Whether a person reads the rest.
    pub(super) err_is_terminal: bool,
    /// Whether a person can answer a question.
    pub(super) can_ask: bool,
    /// Whether the results may be colored.
    pub(super) color: bool,
    color_stderr: bool,
}

impl Console {
    /// Takes the streams of this process.
    pub(super) fn of_process(choice: ColorChoice, environment: &Environment) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let out_is_terminal = out.is_terminal();
        let err_is_terminal = err.is_terminal();
        let wanted = |terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let plain = environment.get(NO_COLOR).is_some()
                    || environment.get("TERM").is_some_and(|term| term == "dumb");
                terminal && !plain
            }
        };
        let (color, color_stderr) = (wanted(out_is_terminal), wanted(err_is_terminal));
        let stream = |color| {
            if color { anstream::ColorChoice::Always } else { anstream::ColorChoice::Never }
        };
        Self {
            out: Box::new(AutoStream::new(out, stream(color))),
            err: Box::new(AutoStream::new(err, stream(color_stderr))),
            out_is_terminal,
            err_is_terminal,
            can_ask: io::stdin().is_terminal() && err_is_terminal,
            color,
            color_stderr,
        }
    }

    /// Returns whether what goes to standard error is colored.
    pub(super) fn colors_stderr(&self) -> bool {
        self.color_stderr
    }

    /// Returns the width of the terminal that shows the results.
    pub(super) fn width(&self) -> u16 {
        comfy_table::Table::new().width().unwrap_or(USUAL_WIDTH)
    }

    /// Writes a JSON value: indented for a person, on one line for a program.
    pub(super) fn json(&mut self, value: &Value) -> io::Result<()> {
        if self.out_is_terminal {
            writeln!(self.out, "{value:#}")
        } else {
            writeln!(self.out, "{value}")
        }
    }

    /// Writes a remark about the results.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{DOUBTFUL}note:{DOUBTFUL:#} {text}")
    }
}
