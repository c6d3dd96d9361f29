//! `check`: reports everything that is wrong with descriptors, for authors and for CI.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use dadl_descriptor::{
    code,
    diagnostic::{Diagnostic, Severity},
    mend::mend_with,
    source::{MAX_BYTES, SourceError, SourceText},
};

use super::{
    args::CheckArgs,
    console::Console,
    exit::ExitReason,
    failure::CliFailure,
    report::{self, CheckOutcome, CheckedFile, ColorMode, ReportFormat, WantedCredential},
    rewrite,
    screen::ours,
};
use crate::{app::openapi, config::descriptor_folder::DescriptorFolder};

/// Whether what can be mended is mended first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FixMode {
    /// The changes are listed and made.
    Apply,
    /// The changes are listed; the report is about the file as it is.
    DryRun,
    /// Nothing is changed.
    #[default]
    Off,
}

/// Reports what is wrong with descriptors.
pub(super) fn run_check(args: &CheckArgs, console: &mut Console) -> Result<ExitReason, CliFailure> {
    let color = console.color;
    let format = args.format.into();
    let fixing = match (args.fix, args.dry_run) {
        (false, _) => FixMode::Off,
        (true, true) => FixMode::DryRun,
        (true, false) => FixMode::Apply,
    };
    // The lines about changes must not get into a report that a program reads.
    let mut lines = Vec::new();
    let mut report = Vec::new();
    let outcome = run_fixing(&args.files, fixing, format, color, &mut report, &mut lines)?;
    let log = if format == ReportFormat::Text { &mut console.out } else { &mut console.err };
    log.write_all(&lines)?;
    let report = String::from_utf8_lossy(&report);
    match format {
        ReportFormat::Text => write!(console.out, "{}", ours(&report))?,
        ReportFormat::Json | ReportFormat::Sarif => {
            console.json_text(report.trim_end_matches('\n'))?
        }
    }
    Ok(match outcome.exit_code() {
        0 => ExitReason::Ok,
        3 => ExitReason::Settings,
        _ => ExitReason::Failed,
    })
}

/// Checks `files` and writes one report about all of them to `out`.
///
/// A file that cannot be read is a finding as well; only a failure to write is an error.
pub fn run(
    files: &[PathBuf],
    format: ReportFormat,
    color: ColorMode,
    out: &mut dyn io::Write,
) -> io::Result<CheckOutcome> {
    run_fixing(files, FixMode::Off, format, color, out, &mut io::sink())
}

/// Does what [`run`] does; before, it mends what has one obvious mending and writes a line about
/// each change to `log`.
///
/// A file that cannot be written is a finding of its own.
pub fn run_fixing(
    files: &[PathBuf],
    fixing: FixMode,
    format: ReportFormat,
    color: ColorMode,
    out: &mut dyn io::Write,
    log: &mut dyn io::Write,
) -> io::Result<CheckOutcome> {
    let mut outcome = CheckOutcome { files: files.len(), ..CheckOutcome::default() };
    let mut checked = Vec::with_capacity(files.len());
    for path in files {
        let name = path.display().to_string();
        let changes;
        let file = match read_file(path) {
            Ok(bytes) if fixing == FixMode::Off => check_file(path, name, bytes, &mut outcome),
            Ok(bytes) => {
                let mut file;
                (file, changes) = mend_file(path, name, bytes, fixing, &mut outcome);
                for line in changes {
                    writeln!(log, "{line}")?;
                }
                // Findings at the same place keep the order of the rules.
                file.diagnostics.sort_by_key(|finding| finding.span.start);
                file
            }
            Err(error) => unreadable_file(name, &error),
        };
        checked.push(file);
    }
    let findings = || checked.iter().flat_map(|file| &file.diagnostics);
    let fixable = |file: &CheckedFile| {
        let edits = file.diagnostics.iter().filter_map(|finding| finding.fix.as_ref());
        edits.filter(|edit| file.source.is_own(edit.span.start)).count()
    };
    outcome.fixable = checked.iter().map(fixable).sum();
    for finding in findings() {
        match finding.severity {
            Severity::Error => outcome.errors += 1,
            Severity::Warning => outcome.warnings += 1,
            Severity::Note => outcome.notes += 1,
        }
    }
    report::write(&checked, &outcome, format, color, out)?;
    Ok(outcome)
}

/// Mends a file; returns what is left to report, and a line for each change.
fn mend_file(
    path: &Path,
    name: String,
    bytes: Vec<u8>,
    fixing: FixMode,
    outcome: &mut CheckOutcome,
) -> (CheckedFile, Vec<String>) {
    let Ok(source) = SourceText::from_bytes(name.clone(), bytes.clone()) else {
        return (check_file(path, name, bytes, outcome), Vec::new());
    };
    let mended = mend_with(source, &mut DescriptorFolder::beside(path));
    if mended.changes.is_empty() {
        return (check_file(path, name, bytes, outcome), Vec::new());
    }
    let done = if fixing == FixMode::Apply { "wrote" } else { "would write" };
    let lines = mended.changes.iter().map(|change| {
        let (before, after) = (change.before.escape_debug(), change.after.escape_debug());
        let what = if change.before.is_empty() {
            format!("{done} `{after}`")
        } else {
            format!("{done} `{after}` for `{before}`")
        };
        format!("{name}:{}: {}: {what}", change.line, change.code.0)
    });
    let lines: Vec<String> = lines.collect();
    if fixing == FixMode::DryRun {
        return (check_file(path, name, bytes, outcome), lines);
    }
    match rewrite::replace_file(path, &bytes, mended.source.text()) {
        Ok(()) => {
            // Read anew, with the fragments that the file includes.
            let text = mended.source.text().as_bytes().to_vec();
            (check_file(path, name, text, outcome), lines)
        }
        Err(error) => {
            let mut file = check_file(path, name, bytes, outcome);
            file.diagnostics.push(not_written(&error));
            (file, Vec::new())
        }
    }
}

fn not_written(error: &io::Error) -> Diagnostic {
    Diagnostic {
        code: code::UNREADABLE,
        severity: Severity::Error,
        message: format!("the file cannot be written: {error}"),
        span: 0..0,
        label: String::new(),
        help: Some("nothing was changed".to_owned()),
        fix: None,
    }
}

/// Reads a file, but never more than can be a descriptor: the name may be that of a device.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES as u64 + 1), &mut bytes)?;
    Ok(bytes)
}

fn check_file(
    path: &Path,
    name: String,
    bytes: Vec<u8>,
    outcome: &mut CheckOutcome,
) -> CheckedFile {
    match SourceText::from_bytes(name.clone(), bytes) {
        Ok(source) => {
            outcome.readable += 1;
            let mut folder = DescriptorFolder::beside(path);
            let (source, mut loaded) = dadl_descriptor::check_with(source, &mut folder);
            openapi::fill_in(&mut loaded, &folder);
            let wanted = loaded.descriptor.as_ref().map(WantedCredential::of).unwrap_or_default();
            CheckedFile { source, diagnostics: loaded.diagnostics, wanted }
        }
        Err(error) => {
            let finding = match error {
                // The file was cut at the limit, so its size is not known.
                SourceError::TooLarge { .. } => Diagnostic {
                    message: format!("the file is larger than the limit of {MAX_BYTES} bytes"),
                    ..dadl_descriptor::unreadable(&error)
                },
                SourceError::Encoding { .. } => dadl_descriptor::unreadable(&error),
            };
            CheckedFile::unreadable(name, finding)
        }
    }
}

fn unreadable_file(name: String, error: &io::Error) -> CheckedFile {
    let finding = Diagnostic {
        code: code::UNREADABLE,
        severity: Severity::Error,
        message: format!("the file cannot be read: {error}"),
        span: 0..0,
        label: String::new(),
        help: None,
        fix: None,
    };
    CheckedFile::unreadable(name, finding)
}
