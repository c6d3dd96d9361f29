//! Where the demo is shown: a line that is drawn again on a terminal, its first and last state in a
//! pipe.

use std::io::{self, Write as _};

use console::Term;
use dadl_text::text;
use serde_json::Value;

use super::{console::Console, process_secrets::SECRETS, table};
use crate::demo::DemoStage;

/// Shows the demo.
pub(super) struct ConsoleStage<'console> {
    console: &'console mut Console,
    /// The terminal, where lines can be drawn again.
    terminal: Option<Term>,
    /// What was last said about a call, and whether it is written.
    last: Option<(String, bool)>,
}

impl<'console> ConsoleStage<'console> {
    pub(super) fn new(console: &'console mut Console) -> Self {
        let can_redraw = console.out_is_terminal && !console::is_dumb();
        let terminal = can_redraw.then(Term::stdout);
        Self { console, terminal, last: None }
    }

    /// Draws a line over the one that is there.
    fn draw(terminal: &Term, line: &str) -> io::Result<()> {
        let width = usize::from(terminal.size().1).saturating_sub(1);
        let line = SECRETS.text(line);
        terminal.clear_line()?;
        terminal.write_str(&console::truncate_str(
            &text::shown_text(&text::one_line(&line)),
            width,
            "..",
        ))
    }

    /// Leaves what was last said about a call where it is.
    fn settle(&mut self) -> io::Result<()> {
        let Some((line, is_written)) = self.last.take() else { return Ok(()) };
        match &self.terminal {
            Some(terminal) => terminal.write_line(""),
            None if is_written => Ok(()),
            None => writeln!(self.console.out, "{line}"),
        }
    }
}

impl DemoStage for ConsoleStage<'_> {
    fn line(&mut self, line: &str) -> io::Result<()> {
        self.settle()?;
        writeln!(self.console.out, "{line}")?;
        self.console.out.flush()
    }

    fn progress(&mut self, line: &str) -> io::Result<()> {
        let is_first = self.last.is_none();
        if let Some(terminal) = &self.terminal {
            Self::draw(terminal, line)?;
        } else if is_first {
            writeln!(self.console.out, "{line}")?;
            self.console.out.flush()?;
        }
        self.last = Some((line.to_owned(), is_first));
        Ok(())
    }

    fn list(&mut self, items: &[Value]) -> io::Result<()> {
        if let Some(width) = self.console.out_width()
            && let Some(shown) =
                table::cell_text(&Value::Array(items.to_vec()), width.saturating_sub(3))
        {
            return shown.text.lines().try_for_each(|line| self.line(&format!("   {line}")));
        }
        for item in items {
            self.line(&format!("   {item}"))?;
        }
        Ok(())
    }
}
