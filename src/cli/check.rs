//! `check`: reports everything that is wrong with descriptors, for authors and for CI.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::report::{self, CheckedFile, Color, Format};
use crate::{
    config::folder::Folder,
    descriptor::{
        self, code,
        diagnostic::{Diagnostic, Severity},
        source::{MAX_BYTES, Source, SourceError},
    },
};

/// What a run found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Files that were named.
    pub files: usize,
    /// Files whose text could be read.
    pub readable: usize,
    /// Findings that keep a file from being served.
    pub errors: usize,
    /// Findings that `check` fails for.
    pub warnings: usize,
    /// Findings that are worth knowing.
    pub notes: usize,
}

impl CheckOutcome {
    /// Returns the exit status: 0 clean, 1 findings, 3 nothing could be read.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { readable: 0, .. } => 3,
            Self { errors: 0, warnings: 0, .. } => 0,
            _ => 1,
        }
    }
}

/// Checks `files` and writes one report about all of them to `out`.
///
/// A file that cannot be read is a finding as well; only a failure to write is an error.
pub fn run(
    files: &[PathBuf],
    format: Format,
    color: Color,
    out: &mut dyn io::Write,
) -> io::Result<CheckOutcome> {
    let mut outcome = CheckOutcome { files: files.len(), ..CheckOutcome::default() };
    let checked: Vec<CheckedFile> = files
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            match read(path) {
                Ok(bytes) => check(path, name, bytes, &mut outcome),
                Err(error) => unreadable(name, &error),
            }
        })
        .collect();
    for finding in checked.iter().flat_map(|file| &file.diagnostics) {
        match finding.severity {
            Severity::Error => outcome.errors += 1,
            Severity::Warning => outcome.warnings += 1,
            Severity::Note => outcome.notes += 1,
        }
    }
    report::write(&checked, &outcome, format, color, out)?;
    Ok(outcome)
}

/// Reads a file, but never more than can be a descriptor: the name may be that of a device.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES as u64 + 1), &mut bytes)?;
    Ok(bytes)
}

fn check(path: &Path, name: String, bytes: Vec<u8>, outcome: &mut CheckOutcome) -> CheckedFile {
    match Source::from_bytes(name.clone(), bytes) {
        Ok(source) => {
            outcome.readable += 1;
            let folder = Folder::beside(path);
            let (source, loaded) =
                descriptor::check_with(source, &mut |path| folder.fragment(path));
            CheckedFile { source, diagnostics: loaded.diagnostics }
        }
        Err(error) => {
            let finding = match error {
                // The file was cut at the limit, so its size is not known.
                SourceError::TooLarge { .. } => Diagnostic {
                    message: format!("the file is larger than the limit of {MAX_BYTES} bytes"),
                    ..descriptor::unreadable(&error)
                },
                SourceError::Encoding { .. } => descriptor::unreadable(&error),
            };
            CheckedFile { source: Source::new(name, ""), diagnostics: vec![finding] }
        }
    }
}

fn unreadable(name: String, error: &io::Error) -> CheckedFile {
    let finding = Diagnostic {
        code: code::UNREADABLE,
        severity: Severity::Error,
        message: format!("the file cannot be read: {error}"),
        span: 0..0,
        label: String::new(),
        help: None,
    };
    CheckedFile { source: Source::new(name, ""), diagnostics: vec![finding] }
}
