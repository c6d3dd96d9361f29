//! Findings as text for people, JSON for scripts and SARIF for code hosts.

mod json;
mod outcome;
pub(super) mod sarif;
mod text;
mod wanted;

use std::io;

use dadl_descriptor::{
    diagnostic::{Diagnostic, RuleCode, Severity},
    source::SourceText,
};

pub use self::outcome::CheckOutcome;
pub(crate) use self::wanted::WantedCredential;

/// How findings are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReportFormat {
    /// One JSON object.
    Json,
    /// SARIF 2.1.0 (OASIS), which code hosts read.
    Sarif,
    /// Excerpts with underlined source.
    #[default]
    Text,
}

/// Whether text may hold escape sequences for color.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// Escape sequences are written.
    Always,
    /// Plain text is written.
    #[default]
    Never,
}

/// A file and what was found in it.
#[derive(Debug, Clone)]
pub struct CheckedFile {
    /// The text that the spans of the findings refer to, those of fragments included.
    pub source: SourceText,
    /// The findings, by their place.
    pub diagnostics: Vec<Diagnostic>,
    /// The credentials that it gets when it is served.
    pub wanted: Vec<WantedCredential>,
}

impl CheckedFile {
    /// Says of a file without a text why there is none.
    pub(super) fn unreadable(name: String, finding: Diagnostic) -> Self {
        let source = SourceText::new(name, "");
        Self { source, diagnostics: vec![finding], wanted: Vec::new() }
    }
}

/// Writes the findings of all `files` to `out`.
pub fn write(
    files: &[CheckedFile],
    outcome: &CheckOutcome,
    format: ReportFormat,
    color: ColorMode,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        ReportFormat::Json => json::write(files, outcome, out),
        ReportFormat::Sarif => sarif::write(files, out),
        ReportFormat::Text => text::write(files, outcome, color, out),
    }
}

/// Renders one finding as text, for the log of a server that loads the file.
pub fn render_finding(source: &SourceText, finding: &Diagnostic, color: ColorMode) -> String {
    text::render_excerpt(source, finding, color)
}

/// Returns the word for a severity that all formats use.
fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Note => "note",
        Severity::Warning => "warning",
    }
}

/// Returns where a code is explained, for programs.
fn documentation_url(code: RuleCode) -> String {
    format!("docs/checks.md#{}", code.0.to_ascii_lowercase())
}
