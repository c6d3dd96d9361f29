//! From YAML text to a checked [`model::Descriptor`]. No network, no MCP, no environment.
//!
//! The phases: the text becomes a tree whose nodes know their bytes, the tree is lowered to the
//! checked model, and rules that span several parts of the file look at both. Every phase reports
//! all problems it finds.

pub mod code;
pub mod diagnostic;
pub mod json_path;
mod lower;
pub mod model;
pub mod source;
pub mod template;
mod units;
mod yaml;

use diagnostic::{Diagnostic, Severity};
use model::Descriptor;
use source::{Source, SourceError};

/// What a file turned out to be.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The descriptor; `None` exactly when a finding is an error.
    pub descriptor: Option<Descriptor>,
    /// All findings, by their place in the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a descriptor out of `source`.
pub fn load(source: &Source) -> Loaded {
    let mut diagnostics = Vec::new();
    let root = yaml::parse(source.text(), &mut diagnostics);
    let mut descriptor = None;
    if let Some(root) = root {
        let (lowered, findings) = lower::lower(&root, source);
        descriptor = lowered;
        diagnostics.extend(findings);
    } else if diagnostics.is_empty() {
        diagnostics.push(Diagnostic {
            code: code::WRONG_TYPE,
            severity: Severity::Error,
            message: "the file is empty".to_owned(),
            span: 0..0,
            label: String::new(),
            help: None,
        });
    }
    // An aliased value is lowered at each of its uses and would report the same thing each time.
    diagnostics.sort_by(|left, right| {
        let key = |finding: &Diagnostic| (finding.span.start, finding.span.end, finding.code);
        key(left).cmp(&key(right)).then_with(|| left.message.cmp(&right.message))
    });
    diagnostics.dedup();
    if diagnostics.iter().any(|finding| finding.severity == Severity::Error) {
        descriptor = None;
    }
    Loaded { descriptor, diagnostics }
}

/// Turns the bytes of a file that cannot be read as text into a finding.
pub fn unreadable(error: &SourceError) -> Diagnostic {
    let help = match error {
        SourceError::Encoding { .. } => "save the file as UTF-8",
        SourceError::TooLarge { .. } => "check that this is a descriptor",
    };
    Diagnostic {
        code: code::UNREADABLE,
        severity: Severity::Error,
        message: error.to_string(),
        span: 0..0,
        label: String::new(),
        help: Some(help.to_owned()),
    }
}
