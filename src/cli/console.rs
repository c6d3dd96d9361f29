//! The two streams of the process, and what is known about who reads them.
//!
//! Each of them is a [`TerminalStream`], so that nothing of others steers the terminal that shows it.

use std::io::{self, IsTerminal as _, Write};

use anstream::{
    AutoStream,
    stream::{AsLockedWrite, RawStream},
};
use clap::builder::styling::{AnsiColor, Color, Style};
use dadl_text::text;
use serde_json::Value;

use super::{
    args::ColorChoice,
    flags::BackendFlags,
    process_secrets::SECRETS,
    report::ColorMode,
    screen::{StreamKind, TerminalStream, TextStyle},
    wrap::wrap_text,
};
use crate::{
    config::env_vars::{Environment, NO_COLOR},
    secrets::MaskedWriter,
};

/// The width of a terminal that does not tell.
const USUAL_WIDTH: usize = 100;

/// What went well.
pub(super) const GOOD: TextStyle =
    TextStyle(Style::new().fg_color(Some(Color::Ansi(AnsiColor::Green))));
/// What deserves a look.
pub(super) const DOUBTFUL: TextStyle =
    TextStyle(Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow))));
/// What went wrong.
pub(super) const BAD: TextStyle =
    TextStyle(Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red))).bold());
/// The name of a thing.
pub(super) const NAME: TextStyle = TextStyle(Style::new().bold());

/// Where a subcommand writes. Styles may always be written; a stream that shows none drops them.
/// Text of others may be written too: what a terminal would obey becomes visible.
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
    /// The flags in use, for commands that are shown.
    pub(super) flags: BackendFlags,
    /// Whether the results may be colored.
    pub(super) color: ColorMode,
    color_stderr: ColorMode,
}

impl Console {
    /// Takes the streams of this process.
    pub(super) fn of_process(
        choice: ColorChoice,
        flags: BackendFlags,
        environment: &Environment,
    ) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let out_is_terminal = out.is_terminal();
        let err_is_terminal = err.is_terminal();
        let wanted = |is_terminal: bool| match choice {
            ColorChoice::Always => ColorMode::Always,
            ColorChoice::Never => ColorMode::Never,
            ColorChoice::Auto => {
                let is_plain = environment.get(NO_COLOR).is_some()
                    || environment.get("TERM").is_some_and(|term| term == "dumb");
                if is_terminal && !is_plain { ColorMode::Always } else { ColorMode::Never }
            }
        };
        let (color, color_stderr) = (wanted(out_is_terminal), wanted(err_is_terminal));
        Self {
            out: Box::new(masked_screen(out, color)),
            err: Box::new(masked_screen(err, color_stderr)),
            out_is_terminal,
            err_is_terminal,
            can_ask: io::stdin().is_terminal() && err_is_terminal,
            flags,
            color,
            color_stderr,
        }
    }

    /// Returns whether what goes to standard error is colored.
    pub(super) fn stderr_color(&self) -> ColorMode {
        self.color_stderr
    }

    /// Returns the width of the terminal that shows the results, if one does.
    pub(super) fn out_width(&self) -> Option<usize> {
        self.out_is_terminal.then(|| terminal_width(&console::Term::stdout()))
    }

    /// Returns the width of the terminal that shows everything else, if one does.
    pub(super) fn err_width(&self) -> Option<usize> {
        self.err_is_terminal.then(|| terminal_width(&console::Term::stderr()))
    }

    /// Writes a JSON value: indented for a person, on one line for a program.
    pub(super) fn print_json(&mut self, value: &Value) -> io::Result<()> {
        if self.out_is_terminal {
            self.json_text(&format!("{value:#}"))
        } else {
            writeln!(self.out, "{value}")
        }
    }

    /// Writes a JSON text as it is; for a terminal with what it must not get as escapes of JSON.
    pub(super) fn json_text(&mut self, json: &str) -> io::Result<()> {
        if self.out_is_terminal {
            writeln!(self.out, "{}", text::shown_json(json))
        } else {
            writeln!(self.out, "{json}")
        }
    }

    /// Writes a remark about the results.
    pub(super) fn print_note(&mut self, text: &str) -> io::Result<()> {
        // What it quotes does not begin a line.
        let text = wrap_text(text, self.err_width(), "note: ".len(), 2);
        writeln!(self.err, "{DOUBTFUL}note:{DOUBTFUL:#} {text}")
    }
}

fn terminal_width(terminal: &console::Term) -> usize {
    terminal.size_checked().map_or(USUAL_WIDTH, |(_, columns)| columns.into())
}

/// Makes the only way to a stream of the process; no secret goes it.
pub(super) fn masked_screen<S: RawStream + AsLockedWrite>(
    stream: S,
    color: ColorMode,
) -> MaskedWriter<TerminalStream<AutoStream<S>>> {
    mask_output(unmasked_screen(stream, color))
}

/// Takes secrets out of what is written.
pub(super) fn mask_output<W: Write>(inner: W) -> MaskedWriter<W> {
    MaskedWriter::new(inner, SECRETS.clone())
}

/// Makes the way to a stream for what holds no secret any more.
pub(super) fn unmasked_screen<S: RawStream + AsLockedWrite>(
    stream: S,
    color: ColorMode,
) -> TerminalStream<AutoStream<S>> {
    let kind = if stream.is_terminal() { StreamKind::Terminal } else { StreamKind::Pipe };
    // Older terminals of Windows have styles, but no sequences.
    let inner = if (color, kind) == (ColorMode::Always, StreamKind::Terminal) {
        AutoStream::new(stream, anstream::ColorChoice::Always)
    } else {
        AutoStream::always_ansi(stream)
    };
    TerminalStream::new(inner, kind, color)
}
