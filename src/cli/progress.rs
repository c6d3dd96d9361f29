//! How far a call is: a bar on a terminal, and what is to say about it when it is interrupted.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use console::Term;
use dadl_text::text;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::{flags::BackendFlags, process_secrets::SECRETS, signals::ProcessSignal};
use crate::{
    config::shell::shell_quoted,
    outcome::{
        CallObserver, CallProgress, TransferDirection, TransferProgress,
        task_report::{TaskHandle, TaskReport},
    },
};

const KNOWN: &str = "{bar:30} {bytes}/{total_bytes} {msg}";
const UNKNOWN: &str = "{spinner} {bytes} {msg}";
const TASK: &str = "{bar:30} {elapsed} {wide_msg}";
const TASK_UNKNOWN: &str = "{spinner} {elapsed} {wide_msg}";
/// For what is not counted in bytes.
const STEPS: &str = "{spinner} {msg}";

/// What a bar and a spinner are made of: every terminal has it, in every encoding.
const BAR: &str = "#>-";
const SPINNER: &str = "|/-\\ ";

/// How often a second the bar is drawn at most.
const FRAMES: u8 = 20;

/// Watches a call.
pub(super) struct CallMonitor {
    bar: Option<TerminalBar>,
    last: Mutex<Option<LastReport>>,
}

/// What a call was last heard to be doing.
#[derive(Clone)]
enum LastReport {
    /// A task, and whether it stops when it is asked to.
    Task(TaskHandle, bool),
    Transfer(TransferDirection),
}

impl CallMonitor {
    /// Draws a bar on standard error if that is a terminal.
    pub(super) fn new(is_terminal: bool) -> Self {
        Self { bar: is_terminal.then(TerminalBar::new), last: Mutex::default() }
    }

    fn heard(&self, last: LastReport) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Says what became of a call that a signal ended.
    pub(super) fn interrupted(&self, signal: ProcessSignal, flags: &BackendFlags) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = match last {
            None => "interrupted: the request was aborted",
            Some(LastReport::Task(handle, true)) if signal == ProcessSignal::Interrupt => {
                return format!("interrupted: asking the task {handle} to stop");
            }
            Some(LastReport::Task(handle, _)) => {
                let command = flags.command(&format!("task {}", shell_quoted(&handle.to_string())));
                if signal == ProcessSignal::Interrupt {
                    return format!(
                        "interrupted: asking the task {handle} to stop, but tasks of {} cannot be \
                         stopped: `{command}` follows it",
                        handle.tool
                    );
                }
                return format!("interrupted: the task goes on: `{command}` follows it");
            }
            Some(LastReport::Transfer(TransferDirection::Saved)) => {
                "interrupted: the transfer stopped and nothing was kept"
            }
            Some(LastReport::Transfer(TransferDirection::Sent)) => {
                "interrupted: the upload stopped; what the backend has got of it is incomplete"
            }
        };
        text.to_owned()
    }
}

impl CallObserver for CallMonitor {
    fn progress(&self, progress: CallProgress) {
        if let Some(bar) = &self.bar {
            bar.step(progress);
        }
    }

    fn transfer(&self, transfer: TransferProgress) {
        self.heard(LastReport::Transfer(transfer.direction));
        if let Some(bar) = &self.bar {
            bar.draw(transfer);
        }
    }

    fn task(&self, report: &TaskReport) {
        self.heard(LastReport::Task(report.handle.clone(), report.stops));
        if let Some(bar) = &self.bar {
            bar.task(report);
        }
    }
}

/// Draws on standard error, which has to be a terminal.
struct TerminalBar {
    bar: ProgressBar,
    /// The template in use.
    style: Mutex<&'static str>,
}

impl TerminalBar {
    fn new() -> Self {
        let term = Term::buffered_stderr();
        let target = if term.is_term() && !console::is_dumb() {
            ProgressDrawTarget::term_like_with_hz(Box::new(BarTerminal(term)), FRAMES)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        Self { bar, style: Mutex::new("") }
    }

    fn style(&self, template: &'static str) {
        let mut current = self.style.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != template
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            self.bar.set_style(style.progress_chars(BAR).tick_chars(SPINNER));
            *current = template;
        }
    }

    /// Says it in one line, whose width the bar has to know.
    fn say(&self, message: &str) {
        let line = text::one_line(message);
        self.bar.set_message(SECRETS.text(&line).into_owned());
    }

    fn step(&self, progress: CallProgress) {
        self.style(STEPS);
        self.say(&progress.message);
    }

    fn draw(&self, transfer: TransferProgress) {
        match transfer.total {
            Some(total) => {
                self.style(KNOWN);
                self.bar.set_length(total);
            }
            None => self.style(UNKNOWN),
        }
        self.say(&transfer.pace());
        self.bar.set_position(transfer.done);
    }

    fn task(&self, report: &TaskReport) {
        let CallProgress { done, total, .. } = report.progress();
        self.style(if total.is_some() { TASK } else { TASK_UNKNOWN });
        self.bar.set_length(total.unwrap_or_default());
        // Handles say which task to go on with when the waiting is over.
        self.say(&format!("{} [{}]", report.summary(), report.handle));
        self.bar.set_position(done);
        self.bar.tick();
    }
}

impl Drop for TerminalBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The terminal of a bar: the cursor moves as the bar has it, and what is written is text.
#[derive(Debug)]
struct BarTerminal(Term);

impl TermLike for BarTerminal {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(&text::shown_text(line))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(&text::shown_text(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
