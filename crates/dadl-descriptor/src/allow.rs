//! `# allow D702`: an author says that a finding has been looked at.
//!
//! It holds for a heuristic finding (`D7xx`) that begins on the line of the comment, or on the
//! first line below it that is not a comment. Other findings cannot be allowed: they are no matter
//! of opinion.

use crate::{diagnostic::Diagnostic, source::SourceText};

/// Returns the findings that no comment allows.
pub(super) fn without_allowed(
    mut findings: Vec<Diagnostic>,
    source: &SourceText,
) -> Vec<Diagnostic> {
    if source.text().contains("# allow D7") {
        findings.retain(|finding| !is_allowed(finding, source));
    }
    findings
}

fn is_allowed(finding: &Diagnostic, source: &SourceText) -> bool {
    let line = source.position(finding.span.start).line;
    if allows_finding(source.line(line), finding) {
        return true;
    }
    let above = (1..line).rev().map(|number| source.line(number).trim_start());
    above.take_while(|text| text.starts_with('#')).any(|text| allows_finding(text, finding))
}

/// Returns whether a line has a comment that names the code of the finding.
fn allows_finding(line: &str, finding: &Diagnostic) -> bool {
    let Some((_, rest)) = line.split_once("# allow ") else { return false };
    rest.split([' ', ',', ':'])
        .map(str::trim_end)
        .filter(|word| !word.is_empty())
        .take_while(|word| word.starts_with('D'))
        .any(|word| word == finding.code.0)
}
