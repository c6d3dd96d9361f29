//! The exit codes: stable, documented in `docs/configuration.md`, never reused.

use std::process::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// The backend said no.
    Api,
    /// `drift` found differences.
    Drift,
    /// Something failed, or `check` or `doctor` found something.
    Failed,
    /// SIGHUP.
    HungUp,
    /// Ctrl-C.
    Interrupted,
    /// All is well.
    Ok,
    /// The call is not allowed or was not confirmed; nothing was sent.
    Refused,
    /// There is nothing to load, or the settings are broken.
    Settings,
    /// SIGTERM.
    Terminated,
    /// The backend did not answer.
    Unreachable,
    /// The command line or the arguments of the tool do not fit; nothing was sent.
    Usage,
}

impl ExitReason {
    /// Every exit code with its meaning, in ascending order.
    pub const ALL: [(Self, &str); 11] = [
        (Self::Ok, "all is well"),
        (Self::Failed, "it failed, or `check` or `doctor` found something"),
        (
            Self::Usage,
            "the command line, the name of the tool or its arguments do not fit; nothing was sent",
        ),
        (
            Self::Settings,
            "there is nothing to load, or the settings, a descriptor or a credential cannot be used",
        ),
        (Self::Refused, "the call is not allowed or was not confirmed; nothing was sent"),
        (Self::Api, "the backend answered with an error"),
        (Self::Unreachable, "the backend could not be reached or did not answer in time"),
        (Self::Drift, "`drift` found differences, or exceptions that no difference needs any more"),
        (Self::HungUp, "the terminal was closed (SIGHUP); a request under way was aborted"),
        (Self::Interrupted, "interrupted with Ctrl-C; a request under way was aborted"),
        (Self::Terminated, "ended with SIGTERM; a request under way was aborted"),
    ];

    /// Returns the code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Settings => 3,
            Self::Refused => 4,
            Self::Api => 5,
            Self::Unreachable => 6,
            Self::Drift => 7,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<ExitReason> for ExitCode {
    fn from(exit: ExitReason) -> Self {
        Self::from(exit.code())
    }
}
