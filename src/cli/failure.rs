//! What keeps a subcommand from its result: the error, the exit code, and the next thing to do.

use std::{fmt, io};

use dadl_descriptor::{
    diagnostic::{Diagnostic, Severity},
    source::{SourcePosition, SourceText},
};

use super::{
    console::{BAD, Console, GOOD},
    exit::ExitReason,
    flags::BackendFlags,
    report::{self, ColorMode},
    screen::ours,
    wrap::wrap_text,
};
use crate::{
    access::AccessDenial,
    app::{BuildError, BuildProblem},
    config::SettingsError,
    executor::{CallError, TaskError},
    files::FileError,
    gate::CallRefusal,
    http::BodyTooLarge,
    mcp::ServeError,
};

/// What is shown before the error.
#[derive(Debug)]
enum FailureContext {
    Error(String),
    Findings(Box<SourceText>, Vec<Diagnostic>),
}

/// What to do next.
#[derive(Debug)]
enum NextStep {
    /// It is in the text.
    Text(String),
    /// This command, with the flags in use, does that.
    Command { command: String, does: &'static str },
    /// The command may be given again with one more level; all tools are listed otherwise.
    Allow { level: String },
}

impl NextStep {
    fn text(&self, flags: &BackendFlags) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Command { command, does } => format!("`{}` {does}", flags.command(command)),
            Self::Allow { level } => format!(
                "add `{}` to the command, if you mean it; `{}` shows every tool and why",
                flags.allowing(level),
                flags.command("list --all"),
            ),
        }
    }
}

/// Why a subcommand has no result.
#[derive(Debug)]
pub(super) struct CliFailure {
    error: anyhow::Error,
    exit: ExitReason,
    hint: Option<NextStep>,
    /// What is shown before the error: findings with their excerpts, and errors beside it.
    before: Vec<FailureContext>,
}

impl CliFailure {
    /// Fails with `exit`.
    pub(super) fn new(exit: ExitReason, error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), exit, hint: None, before: Vec::new() }
    }

    /// Fails because what was typed does not fit.
    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitReason::Usage, anyhow::anyhow!("{message}"))
    }

    /// Fails because the settings do not fit.
    pub(super) fn settings(message: impl fmt::Display) -> Self {
        Self::new(ExitReason::Settings, anyhow::anyhow!("{message}"))
    }

    /// Says what to do next.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(NextStep::Text(hint.into()));
        self
    }

    /// Says which command of this program comes next, and what it does.
    #[must_use]
    pub(super) fn next(mut self, command: impl Into<String>, does: &'static str) -> Self {
        self.hint = Some(NextStep::Command { command: command.into(), does });
        self
    }

    /// Returns what to do next.
    pub(super) fn next_step(&self, flags: &BackendFlags) -> Option<String> {
        Some(self.hint.as_ref()?.text(flags))
    }

    /// Returns all that is wrong, one line each, for the log.
    pub(super) fn lines(&self) -> Vec<String> {
        let findings = |source: &SourceText, findings: &[Diagnostic]| -> Vec<String> {
            let line = |finding: &Diagnostic| {
                let SourcePosition { line, column } = source.position(finding.span.start);
                let name = source.name_at(finding.span.start);
                format!("{name}:{line}:{column}: {}", finding.message)
            };
            findings.iter().map(line).collect()
        };
        let before = self.before.iter().flat_map(|before| match before {
            FailureContext::Error(error) => vec![error.clone()],
            FailureContext::Findings(source, found) => findings(source, found),
        });
        before.chain([self.to_string()]).collect()
    }

    /// Writes the failure to standard error and returns how the run ended.
    pub(super) fn print(&self, console: &mut Console) -> ExitReason {
        if self.is_broken_pipe() {
            // `dadl-mcp list | head` has got what it asked for.
            return ExitReason::Ok;
        }
        let color = console.stderr_color();
        // When standard error is gone as well, the exit code still tells.
        let width = console.err_width();
        let hint = self.next_step(&console.flags);
        let _ = self.write(&mut *console.err, color, width, hint.as_deref());
        self.exit
    }

    fn write(
        &self,
        err: &mut dyn io::Write,
        color: ColorMode,
        width: Option<usize>,
        hint: Option<&str>,
    ) -> io::Result<()> {
        // What an error quotes does not begin a line, which could look like one of ours.
        let after = |word: &str, text: &dyn fmt::Display| {
            wrap_text(text.to_string().trim_end(), width, word.len() + 1, 2)
        };
        for before in &self.before {
            match before {
                FailureContext::Error(error) => {
                    writeln!(err, "{BAD}error:{BAD:#} {}", after("error:", error))?;
                }
                FailureContext::Findings(source, findings) => {
                    for finding in findings {
                        writeln!(
                            err,
                            "{}\n",
                            ours(&report::render_finding(source, finding, color))
                        )?;
                    }
                }
            }
        }
        writeln!(err, "{BAD}error:{BAD:#} {}", after("error:", &self.error))?;
        for cause in self.error.chain().skip(1) {
            writeln!(err, "Caused by: {}", after("Caused by:", &cause))?;
        }
        match hint {
            Some(hint) => writeln!(err, "\n{GOOD}hint:{GOOD:#} {}", after("hint:", &hint)),
            None => Ok(()),
        }
    }

    fn is_broken_pipe(&self) -> bool {
        self.error.chain().any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }
}

impl fmt::Display for CliFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.error)
    }
}

impl From<anyhow::Error> for CliFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(ExitReason::Failed, error)
    }
}

impl From<io::Error> for CliFailure {
    fn from(error: io::Error) -> Self {
        Self::new(ExitReason::Failed, error)
    }
}

impl From<SettingsError> for CliFailure {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Invalid { text, findings } => {
                let errors = findings.iter().filter(|found| found.severity == Severity::Error);
                let count = match errors.count() {
                    1 => "1 error".to_owned(),
                    count => format!("{count} errors"),
                };
                let message = format!("{} cannot be used: {count}", text.name());
                Self {
                    before: vec![FailureContext::Findings(text, findings)],
                    ..Self::settings(message)
                }
                .hint("docs/configuration.md lists every key")
            }
            SettingsError::Nothing { ref own } => {
                let write = match own {
                    Some(own) => format!("write {}", own.display()),
                    None => "name a file with --config".to_owned(),
                };
                let hint = format!(
                    "{write}, or begin with `dadl-mcp list --dadl xen-orchestra --url https://..`"
                );
                Self::new(ExitReason::Settings, error).hint(hint)
            }
            SettingsError::Unnamed { ref path, ref own } => {
                let path = path.display();
                let own = own
                    .as_ref()
                    .map(|own| format!(", or move it to {}, which needs no name", own.display()));
                let own = own.unwrap_or_default();
                let hint =
                    format!("if you trust who wrote it, add `--config {path}` to the command{own}");
                Self::new(ExitReason::Settings, error).hint(hint)
            }
            error => Self::new(ExitReason::Settings, error),
        }
    }
}

impl From<BuildError> for CliFailure {
    fn from(error: BuildError) -> Self {
        let mut before = Vec::new();
        for problem in error.problems {
            let (backend, message) = match problem {
                BuildProblem::Address { backend, problem } => (backend, problem.to_string()),
                BuildProblem::Credential { backend, problem } => (backend, problem.to_string()),
                BuildProblem::Setting { backend, problem } => (backend, problem.to_string()),
                BuildProblem::Descriptor { backend, source, mut diagnostics } => {
                    // What only `check` minds does not keep the backend from being served.
                    diagnostics.retain(|finding| finding.severity == Severity::Error);
                    let message = format!("the descriptor {} cannot be used", source.name());
                    before.push(FailureContext::Findings(source, diagnostics));
                    (backend, message)
                }
            };
            before.push(FailureContext::Error(format!("backend \"{backend}\": {message}")));
        }
        let message = match before.pop() {
            Some(FailureContext::Error(last)) => last,
            _ => "no backend can be used".to_owned(),
        };
        Self { before, ..Self::settings(message) }.next("doctor", "shows what was found where")
    }
}

impl From<ServeError> for CliFailure {
    fn from(error: ServeError) -> Self {
        let exit = match &error {
            ServeError::Listen { .. } | ServeError::TokenRequired(_) => ExitReason::Settings,
            _ => ExitReason::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<CallRefusal> for CliFailure {
    fn from(refusal: CallRefusal) -> Self {
        match &refusal {
            CallRefusal::Arguments(error) => {
                let command = format!("show {}", error.tool);
                Self::new(ExitReason::Usage, refusal).next(command, "describes the arguments")
            }
            CallRefusal::UnknownTool { .. } => {
                Self::new(ExitReason::Usage, refusal).next("list", "shows the tools")
            }
            // At a terminal the flag is part of the command, and there is no server to start.
            CallRefusal::Denied {
                tool, denial: denial @ AccessDenial::Bound { level }, ..
            } => {
                let message = anyhow::anyhow!("tool \"{tool}\" is not allowed: {denial}");
                let hint = Some(NextStep::Allow { level: level.clone() });
                Self { hint, ..Self::new(ExitReason::Refused, message) }
            }
            CallRefusal::Denied { .. } => Self::new(ExitReason::Refused, refusal)
                .next("list --all", "shows every tool and why"),
            CallRefusal::NoTask { .. } => Self::new(ExitReason::Usage, refusal),
            CallRefusal::NotConfirmed { .. } | CallRefusal::NotFromScript { .. } => {
                Self::new(ExitReason::Refused, refusal)
            }
        }
    }
}

impl From<CallError> for CliFailure {
    fn from(error: CallError) -> Self {
        let what = match &error {
            CallError::Unsure(unsure) => &unsure.error,
            error => error,
        };
        let exit = match what {
            CallError::Api(_) | CallError::ToolFailed(_) => ExitReason::Api,
            CallError::Task(error) if matches!(**error, TaskError::Failed(_)) => ExitReason::Api,
            CallError::Argument(_)
            | CallError::BodyTooLarge(BodyTooLarge { size: Some(_), .. })
            | CallError::File(FileError::Reference { .. }) => ExitReason::Usage,
            error if error.is_unreachable() => ExitReason::Unreachable,
            CallError::Login { .. } | CallError::Settings { .. } => ExitReason::Settings,
            _ => ExitReason::Failed,
        };
        let failure = Self::new(exit, error);
        match exit {
            ExitReason::Settings | ExitReason::Unreachable => {
                failure.next("doctor", "looks closer")
            }
            _ => failure,
        }
    }
}
