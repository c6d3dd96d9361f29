//! Findings as one JSON object, for scripts.

use std::io;

use serde::Serialize;

use super::{CheckedFile, severity_word};
use crate::cli::check::CheckOutcome;

#[derive(Serialize)]
struct Report<'report> {
    files: Vec<&'report str>,
    findings: Vec<Finding<'report>>,
    summary: Summary,
}

/// Lines and columns count from 1, columns in characters; the end is the first character after.
#[derive(Serialize)]
struct Finding<'report> {
    file: &'report str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    code: &'static str,
    severity: &'static str,
    message: &'report str,
    label: Option<&'report str>,
    help: Option<&'report str>,
    fix: Option<Fix<'report>>,
}

/// What `--fix` would put in the place of what is between the two positions.
#[derive(Serialize)]
struct Fix<'report> {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    replacement: &'report str,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
}

/// Writes the report and a line break.
pub(super) fn write(
    files: &[CheckedFile],
    outcome: &CheckOutcome,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let report = Report {
        files: files.iter().map(|file| file.source.name()).collect(),
        findings: files.iter().flat_map(findings).collect(),
        summary: Summary {
            files: outcome.files,
            errors: outcome.errors,
            warnings: outcome.warnings,
            notes: outcome.notes,
        },
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn findings(file: &CheckedFile) -> impl Iterator<Item = Finding<'_>> {
    file.diagnostics.iter().map(|finding| {
        let start = file.source.position(finding.span.start);
        let end = file.source.position(finding.span.end);
        Finding {
            file: file.source.name_at(finding.span.start),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            code: finding.code.0,
            severity: severity_word(finding.severity),
            message: &finding.message,
            label: Some(finding.label.as_str()).filter(|label| !label.is_empty()),
            help: finding.help.as_deref(),
            fix: finding.fix.as_ref().map(|fix| {
                let start = file.source.position(fix.span.start);
                let end = file.source.position(fix.span.end);
                Fix {
                    line: start.line,
                    column: start.column,
                    end_line: end.line,
                    end_column: end.column,
                    replacement: &fix.replacement,
                }
            }),
        }
    })
}
