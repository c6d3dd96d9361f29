//! Findings as text: the code, the place, the underlined source, and what to write instead.

use std::io;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{CheckedFile, Color, documentation};
use crate::{
    cli::check::CheckOutcome,
    descriptor::{
        diagnostic::{Diagnostic, Severity},
        source::Source,
    },
};

/// Writes all findings and a line that counts them.
pub(super) fn write(
    files: &[CheckedFile],
    outcome: &CheckOutcome,
    color: Color,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    for file in files {
        for finding in &file.diagnostics {
            writeln!(out, "{}\n", render(&file.source, finding, color))?;
        }
    }
    let counts =
        [(outcome.errors, "error"), (outcome.warnings, "warning"), (outcome.notes, "note")];
    let found: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| plural(*n, what)).collect();
    let found = if found.is_empty() { "no findings".to_owned() } else { found.join(", ") };
    writeln!(out, "{} checked: {found}", plural(outcome.files, "file"))
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Renders one finding, without a line break at its end.
pub(super) fn render(source: &Source, finding: &Diagnostic, color: Color) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
    };
    let mut group: Group<'_> =
        Group::with_title(level.primary_title(&finding.message).id(finding.code.0));
    if source.text().is_empty() {
        group = group.element(Origin::path(source.name()));
    } else {
        let line = Line::of(source, finding);
        let annotation = AnnotationKind::Primary.span(line.marked).label(&finding.label);
        let snippet = Snippet::source(line.text)
            .path(source.name())
            .line_start(line.number)
            .annotation(annotation);
        group = group.element(snippet);
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help));
    }
    let see = documentation(finding.code);
    group = group.element(Level::NOTE.with_name("see").message(see));
    let renderer = match color {
        Color::Always => Renderer::styled(),
        Color::Never => Renderer::plain(),
    };
    renderer.render(&[group])
}

/// The line that a finding begins in. A finding that spans several lines is about how they
/// begin, and handing over one line keeps the cost of a finding apart from the size of the file.
struct Line<'text> {
    text: &'text str,
    number: usize,
    marked: std::ops::Range<usize>,
}

impl<'text> Line<'text> {
    fn of(source: &'text Source, finding: &Diagnostic) -> Self {
        let span = source.clamp(&finding.span);
        let before = source.slice(0..span.start);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = source.slice(start..source.text().len());
        let text = rest.lines().next().unwrap_or_default();
        let end = (span.end - start).min(text.len());
        let begin = (span.start - start).min(text.len());
        Self { text, number: source.position(span.start).line, marked: begin..end.max(begin) }
    }
}
