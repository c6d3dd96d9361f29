//! How far a call is: a bar on a terminal, and what is to say about it when it is interrupted.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::outcome::{Direction, Observer, Progress, Transfer, task::TaskReport};

const KNOWN: &str = "{bar:30} {bytes}/{total_bytes} {msg}";
const UNKNOWN: &str = "{spinner} {bytes} {msg}";
const TASK: &str = "{bar:30} {elapsed} {wide_msg}";
const TASK_UNKNOWN: &str = "{spinner} {elapsed} {wide_msg}";
/// For what is not counted in bytes.
const STEPS: &str = "{spinner} {msg}";

/// Watches a call.
pub(super) struct Watch {
    bar: Option<Bar>,
    last: Mutex<Option<Last>>,
}

/// What a call was last heard to be doing.
#[derive(Clone, Copy)]
enum Last {
    Task,
    Transfer(Direction),
}

impl Watch {
    /// Draws a bar on standard error if that is a terminal.
    pub(super) fn new(is_terminal: bool) -> Self {
        Self { bar: is_terminal.then(Bar::new), last: Mutex::default() }
    }

    fn heard(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Says what became of a call that was interrupted.
    pub(super) fn interrupted(&self) -> &'static str {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last {
            None => "interrupted: the request was aborted",
            Some(Last::Task) => "interrupted: nobody waits for the task any more",
            Some(Last::Transfer(Direction::Saved)) => {
                "interrupted: the transfer stopped and nothing was kept"
            }
            Some(Last::Transfer(Direction::Sent)) => {
                "interrupted: the upload stopped; what the backend has got of it is incomplete"
            }
        }
    }
}

impl Observer for Watch {
    fn progress(&self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.step(progress);
        }
    }

    fn transfer(&self, transfer: Transfer) {
        self.heard(Last::Transfer(transfer.direction));
        if let Some(bar) = &self.bar {
            bar.draw(transfer);
        }
    }

    fn task(&self, report: &TaskReport) {
        self.heard(Last::Task);
        if let Some(bar) = &self.bar {
            bar.task(report);
        }
    }
}

/// Draws on standard error, which has to be a terminal.
struct Bar {
    bar: ProgressBar,
    /// The template in use.
    style: Mutex<&'static str>,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar, style: Mutex::new("") }
    }

    fn style(&self, template: &'static str) {
        let mut current = self.style.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != template
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            self.bar.set_style(style);
            *current = template;
        }
    }

    fn step(&self, progress: Progress) {
        self.style(STEPS);
        self.bar.set_message(progress.message);
    }

    fn draw(&self, transfer: Transfer) {
        match transfer.total {
            Some(total) => {
                self.style(KNOWN);
                self.bar.set_length(total);
            }
            None => self.style(UNKNOWN),
        }
        self.bar.set_message(transfer.pace());
        self.bar.set_position(transfer.done);
    }

    fn task(&self, report: &TaskReport) {
        let Progress { done, total, message } = report.progress();
        self.style(if total.is_some() { TASK } else { TASK_UNKNOWN });
        self.bar.set_length(total.unwrap_or_default());
        // Handles say which task to go on with when the waiting is over.
        self.bar.set_message(format!("{message} [{}]", report.handle));
        self.bar.set_position(done);
        self.bar.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
