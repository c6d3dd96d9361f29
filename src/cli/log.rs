//! The log: to standard error alone, because standard output is the protocol's or the result's.
//!
//! What is logged may quote anybody. It reaches a terminal through a
//! [`TerminalStream`](super::screen::TerminalStream), and no line but the first of an event begins at the margin.

use std::{fmt, io};

use clap::builder::styling::{AnsiColor, Color, Style};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use super::{
    args::{GlobalArgs, LogFormat},
    console::{BAD, DOUBTFUL, GOOD, mask_output, masked_screen, unmasked_screen},
    failure::CliFailure,
    report::ColorMode,
    screen::TextStyle,
};
use crate::config::env_vars::{self, Environment};

/// Starts the log. `DADL_MCP_LOG` is a filter of its own; `-v` and `-q` are short for three.
pub(super) fn start_log(
    args: &GlobalArgs,
    environment: &Environment,
    color: ColorMode,
) -> Result<(), CliFailure> {
    let filter = match environment.get(env_vars::LOG) {
        Some(filter) if args.verbose == 0 && !args.quiet => EnvFilter::try_new(filter)
            .map_err(|error| CliFailure::settings(format!("{}: {error}", env_vars::LOG)))?,
        _ => EnvFilter::new(match (args.quiet, args.verbose) {
            // The protocol library writes its own structures, and at lower levels arguments and
            // results. What is worth a line of it is written here.
            (true, _) => "error,rmcp=off",
            (false, 0) => "warn,rmcp=off",
            (false, 1) => "warn,rmcp=off,dadl_mcp=debug",
            (false, _) => "debug,rmcp=warn",
        }),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // An error means that a test has started it already.
    let _ = match args.log_format {
        LogFormat::Json => log
            .json()
            .with_writer(|| mask_output(unmasked_screen(io::stderr(), ColorMode::Never).of_json()))
            .try_init(),
        LogFormat::Text => {
            let with_target = args.verbose > 1;
            let log = log.event_format(EventFormatter { with_target });
            log.with_writer(move || masked_screen(io::stderr(), color)).try_init()
        }
    };
    Ok(())
}

/// What is not worth a look.
const FAINT: TextStyle = TextStyle(Style::new().dimmed());
const DEBUG: TextStyle = TextStyle(Style::new().fg_color(Some(Color::Ansi(AnsiColor::Blue))));

/// Writes an event as the library does, with styles that nobody can imitate.
struct EventFormatter {
    /// Whether each line says which module it is from.
    with_target: bool,
}

impl<S, N> FormatEvent<S, N> for EventFormatter
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => BAD,
            Level::WARN => DOUBTFUL,
            Level::INFO => GOOD,
            Level::DEBUG => DEBUG,
            Level::TRACE => FAINT,
        };
        write!(writer, "{FAINT}")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{FAINT:#} {level}{:>5}{level:#} ", metadata.level())?;
        let mut text = String::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            text.push_str(span.name());
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && !fields.is_empty()
            {
                text.push_str(&format!("{{{fields}}}"));
            }
            text.push(':');
        }
        if !text.is_empty() {
            text.push(' ');
        }
        if self.with_target {
            write!(writer, "{FAINT}{}:{FAINT:#} ", metadata.target())?;
        }
        context.format_fields(Writer::new(&mut text), event)?;
        // Whoever is quoted could begin a line that looks like another event.
        writeln!(writer, "{}", text.trim_end().replace('\n', "\n    "))
    }
}
