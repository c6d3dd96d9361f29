//! `doctor`: examines settings, descriptors, credentials and backends, one line for each fact,
//! with a hint under each line that is not well. Values of credentials are never shown.

mod availability;
mod backend;
mod certificate;
mod server;
mod switch;

use std::io::{self, Write};

use dadl_text::text;
use serde_json::{Value, json};

use super::{
    args::DoctorArgs,
    console::{BAD, Console, DOUBTFUL, GOOD},
    demo,
    exit::ExitReason,
    failure::CliFailure,
    flags::BackendFlags,
    load,
    process_secrets::SECRETS,
    screen::TextStyle,
    served_profile::MOST_LISTED,
    signals::SignalListener,
    wrap::wrap_text,
};
use crate::{
    catalog::tool_doubts::{NamedTool, shadow_remarks},
    config::{
        FileSettings, Settings, Surface,
        credentials::CredentialResolver,
        env_vars::{self, Environment},
        file_trust::{self, FileDoubt},
    },
};

/// The column in which findings begin.
const FINDING: usize = 18;
/// The column in which hints begin.
const HINT: usize = 24;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckStatus {
    Fail,
    Ok,
    Warn,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReportLine {
    health: CheckStatus,
    /// The backend, unless the line is about the settings.
    backend: Option<String>,
    /// What was examined, in a word.
    subject: &'static str,
    /// What was found.
    finding: String,
    /// What to do about it.
    hint: Option<String>,
}

/// The lines so far, and the backend that they are about.
#[derive(Debug, Default)]
struct DoctorReport {
    lines: Vec<ReportLine>,
    backend: Option<String>,
    /// How many tools hosts would see.
    listed: usize,
    /// Those that may be called.
    named: Vec<NamedTool>,
    /// For the commands in hints.
    flags: BackendFlags,
}

impl DoctorReport {
    /// Returns a command of this program that leads to the same backends, in backquotes.
    fn command(&self, command: &str) -> String {
        format!("`{}`", self.flags.command(command))
    }

    fn ok(&mut self, subject: &'static str, finding: impl Into<String>) {
        self.add(CheckStatus::Ok, subject, finding.into(), None);
    }

    fn warn(&mut self, subject: &'static str, finding: impl Into<String>, hint: impl Into<String>) {
        self.add(CheckStatus::Warn, subject, finding.into(), Some(hint.into()));
    }

    fn fail(&mut self, subject: &'static str, finding: impl Into<String>, hint: impl Into<String>) {
        self.add(CheckStatus::Fail, subject, finding.into(), Some(hint.into()));
    }

    fn add(
        &mut self,
        health: CheckStatus,
        subject: &'static str,
        finding: String,
        hint: Option<String>,
    ) {
        let backend = self.backend.clone();
        self.lines.push(ReportLine { health, backend, subject, finding, hint });
    }

    fn exit(&self) -> ExitReason {
        if self.lines.iter().any(|line| line.health == CheckStatus::Fail) {
            ExitReason::Failed
        } else {
            ExitReason::Ok
        }
    }
}

/// Examines the only backend of `settings` with `credentials`, which need not be stored, and
/// writes what was found to standard error; returns whether nothing failed.
///
/// `setup` ends with this: it is the one place that decides whether a login works.
pub(super) async fn verify_backend(
    settings: &Settings,
    credentials: &CredentialResolver,
    environment: &Environment,
    console: &mut Console,
) -> io::Result<bool> {
    let mut report = DoctorReport { flags: console.flags.clone(), ..DoctorReport::default() };
    backend::examine_backends(settings, credentials, is_proxied(environment), &mut report).await;
    let width = console.err_width();
    write_lines(&report, width, &mut *console.err)?;
    // That others have turned MCP off says nothing about the login.
    let failed =
        |line: &ReportLine| line.health == CheckStatus::Fail && line.subject != switch::SUBJECT;
    Ok(!report.lines.iter().any(failed))
}

/// Examines everything.
pub(super) async fn run(
    args: &DoctorArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let mut report = DoctorReport { flags: console.flags.clone(), ..DoctorReport::default() };
    match load_settings(args, environment).await {
        Ok((settings, credentials, proxied, _simulator)) => {
            describe_settings(&settings, &mut report);
            let mut signals = SignalListener::listen()?;
            for backend in &settings.backends {
                // One at a time, so that a broken backend does not hide the others.
                let alone = settings.only(&backend.name);
                tokio::select! {
                    () = backend::examine_backends(&alone, &credentials, proxied, &mut report) => {}
                    signal = signals.next() => return Ok(signal.exit()),
                }
            }
            describe_surface(&settings, &mut report);
            describe_names(&mut report);
        }
        Err(failure) if args.json || !console.out_is_terminal => {
            let hint = failure.next_step(&console.flags);
            let hint = hint.unwrap_or_else(|| "docs/configuration.md".to_owned());
            report.fail("settings", failure.to_string(), hint);
        }
        // A person gets the findings with their lines.
        Err(failure) => return Err(failure),
    }
    write_report(&report, args.json, console)?;
    Ok(report.exit())
}

/// Returns what is examined: settings and credentials, whether requests leave through a proxy, and
/// the simulator, which runs for as long as it is there.
async fn load_settings(
    args: &DoctorArgs,
    environment: Environment,
) -> Result<(Settings, CredentialResolver, bool, Option<demo::Simulator>), CliFailure> {
    let proxied = is_proxied(&environment);
    if args.simulated.demo {
        let (settings, credentials, simulator) =
            demo::start_simulator(&args.backends, &environment, None).await?;
        return Ok((settings, credentials, proxied, Some(simulator)));
    }
    let settings = load::load_settings(&args.backends, &environment)?;
    Ok((settings, CredentialResolver::new(environment).noting(&SECRETS), proxied, None))
}

fn is_proxied(environment: &Environment) -> bool {
    env_vars::PROXIES.iter().any(|name| environment.get(name).is_some())
}

/// Says when hosts would see more tools than some of them take.
fn describe_surface(settings: &Settings, report: &mut DoctorReport) {
    let listed = report.listed;
    if settings.surface == Surface::Tools && listed > MOST_LISTED {
        let finding = format!(
            "{listed} tools are listed, and some hosts take {MOST_LISTED} at most; with `--surface \
             compact` a few find the others"
        );
        let health = CheckStatus::Ok;
        let line = ReportLine { health, backend: None, subject: "surface", finding, hint: None };
        // It is about the settings, which come first.
        let of_backend = report.lines.iter().position(|line| line.backend.is_some());
        report.lines.insert(of_backend.unwrap_or(report.lines.len()), line);
    }
}

/// Says which tools could be taken for those of another backend; each backend was examined alone.
fn describe_names(report: &mut DoctorReport) {
    let remarks = shadow_remarks(&report.named).into_iter().map(|finding| ReportLine {
        health: CheckStatus::Warn,
        backend: None,
        subject: "names",
        finding,
        hint: Some("models choose by name and description".to_owned()),
    });
    let remarks: Vec<ReportLine> = remarks.collect();
    // They are about several backends, whose lines follow.
    let of_backend = report.lines.iter().position(|line| line.backend.is_some());
    let at = of_backend.unwrap_or(report.lines.len());
    report.lines.splice(at..at, remarks);
}

/// Reports what the settings are and where they come from.
fn describe_settings(settings: &Settings, report: &mut DoctorReport) {
    let count = match settings.backends.len() {
        1 => "1 backend".to_owned(),
        count => format!("{count} backends"),
    };
    let origin = match &settings.origin {
        Some(path) => path.display().to_string(),
        None => "the command line".to_owned(),
    };
    report.ok("settings", format!("{count} from {origin}"));
    for warning in &settings.warnings {
        report.warn("settings", warning.clone(), "docs/configuration.md says which files count");
    }
    let files = &settings.files;
    match files.metadata() {
        Ok(metadata) if !metadata.is_dir() => report.fail(
            "files",
            format!("{} is no directory", files.display()),
            "name a directory with --files",
        ),
        Ok(metadata) if metadata.permissions().readonly() => report.fail(
            "files",
            format!("{} cannot be written to", files.display()),
            "name another directory with --files, or change its permissions",
        ),
        Ok(_) => {
            report.ok("files", files.display().to_string());
            let doubts = file_trust::way_to(files).unwrap_or_default();
            if let Some(doubt) = doubts.into_iter().find(FileDoubt::is_anybodys) {
                let hint = "name another directory with --files, or change its permissions";
                report.warn("files", doubt.to_string(), hint);
            }
        }
        Err(_) => {
            report.ok("files", format!("{} (made when the first download comes)", files.display()))
        }
    }
    describe_sources(&settings.file_settings, report);
}

/// Reports what `files` names and is not there.
fn describe_sources(settings: &FileSettings, report: &mut DoctorReport) {
    for directory in &settings.allow_directories {
        if !directory.is_dir() {
            report.warn(
                "files",
                format!("{} of `allow_directories` is no directory", directory.display()),
                "make it, or remove it from `files` in backends.yaml",
            );
        }
    }
    if let Some(path) = &settings.ca_file
        && let Err(error) = std::fs::read(path)
    {
        report.fail(
            "files",
            format!("`ca_file` {} cannot be read: {error}", path.display()),
            "mend the path under `files` in backends.yaml",
        );
    }
}

fn write_report(report: &DoctorReport, as_json: bool, console: &mut Console) -> io::Result<()> {
    if as_json || !console.out_is_terminal {
        let lines: Vec<Value> = report.lines.iter().map(ReportLine::to_json).collect();
        return console
            .print_json(&json!({ "ok": report.exit() == ExitReason::Ok, "checks": lines }));
    }
    let width = console.out_width();
    write_lines(report, width, &mut *console.out)
}

/// Writes the report for a person.
fn write_lines(report: &DoctorReport, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let mut last = None;
    for line in &report.lines {
        if line.backend != last {
            let name = line.backend.as_deref().unwrap_or_default();
            writeln!(out, "\nbackend {name}")?;
            last.clone_from(&line.backend);
        }
        let style = line.health.style();
        let word = line.health.word();
        let finding = wrap_text(&text::one_line(&line.finding), width, FINDING, FINDING);
        writeln!(out, "{style}{word:<4}{style:#}  {:<12}{finding}", line.subject)?;
        if let Some(hint) = &line.hint {
            for (number, part) in hint.lines().enumerate() {
                let word = if number == 0 { "hint:" } else { "" };
                let part = wrap_text(&text::one_line(part), width, HINT, HINT);
                writeln!(out, "      {:<12}{word:<5} {part}", "")?;
            }
        }
    }
    Ok(())
}

impl ReportLine {
    fn to_json(&self) -> Value {
        json!({
            "health": self.health.word(),
            "backend": self.backend,
            "subject": self.subject,
            "finding": self.finding,
            "hint": self.hint,
        })
    }
}

impl CheckStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Ok => "OK",
            Self::Warn => "WARN",
        }
    }

    fn style(self) -> TextStyle {
        match self {
            Self::Fail => BAD,
            Self::Ok => GOOD,
            Self::Warn => DOUBTFUL,
        }
    }
}
