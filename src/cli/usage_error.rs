//! What is written without a [`Console`](super::console::Console): errors of the command line, which
//! repeat arguments, and panics, which may quote anything.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    panic, thread,
};

use dadl_text::text;

use super::{console::masked_screen, report::ColorMode};

/// Prints an error of the command line, or help.
pub(super) fn print_usage_error(error: &clap::Error, arguments: &[OsString]) -> io::Result<()> {
    let is_clean = |argument: &OsString| {
        let bytes = argument.as_encoded_bytes();
        *text::clean(bytes) == *bytes
    };
    if arguments.iter().all(is_clean) {
        // All styles in it are those of the parser.
        return error.print();
    }
    let plain = error.render().to_string();
    if error.use_stderr() {
        masked_screen(io::stderr(), ColorMode::Never).write_all(plain.as_bytes())
    } else {
        masked_screen(io::stdout(), ColorMode::Never).write_all(plain.as_bytes())
    }
}

/// Makes panics go the way of all text; elsewhere than on a terminal they stay as they are.
pub(super) fn catch_panics() {
    if !io::stderr().is_terminal() {
        return;
    }
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        // Nothing can be done when this fails.
        let mut err = masked_screen(io::stderr(), ColorMode::Never);
        let _ = writeln!(err, "\nthread '{name}' {panic}");
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let _ = writeln!(err, "stack backtrace:\n{backtrace}");
        }
    }));
}
