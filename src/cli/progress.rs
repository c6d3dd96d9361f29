//! The progress of a download, as a bar on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::outcome::{Observer, Progress};

const KNOWN: &str = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN: &str = "{spinner} {bytes} {bytes_per_sec}";

/// Draws on standard error, which has to be a terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
    }
}

impl Observer for Bar {
    fn progress(&self, progress: Progress) {
        match progress.total {
            Some(total) if self.0.length() != Some(total) => {
                self.style(KNOWN);
                self.0.set_length(total);
            }
            None if self.0.position() == 0 => self.style(UNKNOWN),
            _ => {}
        }
        self.0.set_position(progress.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
