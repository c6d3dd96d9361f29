//! Findings as one JSON object, for scripts.

use std::io;

use serde::Serialize;

use super::{CheckOutcome, CheckedFile, severity_word};

#[derive(Serialize)]
struct JsonReport<'report> {
    files: Vec<&'report str>,
    findings: Vec<JsonFinding<'report>>,
    credentials: Vec<JsonCredential<'report>>,
    summary: JsonSummary,
}

/// Lines and columns count from 1, columns in characters; the end is the first character after.
#[derive(Serialize)]
struct JsonFinding<'report> {
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
    fix: Option<JsonFix<'report>>,
}

/// A credential that a descriptor gets, and where it goes.
#[derive(Serialize)]
struct JsonCredential<'report> {
    file: &'report str,
    login: Option<&'report str>,
    name: &'report str,
    sent_to: &'report [String],
    access_token_sent_to: &'report [String],
}

/// What `--fix` would put in the place of what is between the two positions.
#[derive(Serialize)]
struct JsonFix<'report> {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    replacement: &'report str,
}

#[derive(Serialize)]
struct JsonSummary {
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
    let report = JsonReport {
        files: files.iter().map(|file| file.source.name()).collect(),
        findings: files.iter().flat_map(json_findings).collect(),
        credentials: files.iter().flat_map(json_credentials).collect(),
        summary: JsonSummary {
            files: outcome.files,
            errors: outcome.errors,
            warnings: outcome.warnings,
            notes: outcome.notes,
        },
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn json_credentials(file: &CheckedFile) -> impl Iterator<Item = JsonCredential<'_>> {
    file.wanted.iter().map(|wanted| JsonCredential {
        file: file.source.name(),
        login: wanted.login.as_deref(),
        name: &wanted.name,
        sent_to: &wanted.sent_to,
        access_token_sent_to: &wanted.access_token_sent_to,
    })
}

fn json_findings(file: &CheckedFile) -> impl Iterator<Item = JsonFinding<'_>> {
    file.diagnostics.iter().map(|finding| {
        let start = file.source.position(finding.span.start);
        let end = file.source.position(finding.span.end);
        JsonFinding {
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
                JsonFix {
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
