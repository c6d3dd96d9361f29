//! Findings about a descriptor or a settings file, as data.
//!
//! Detection never formats: a finding holds a stable code, a place and its sentences, and the
//! `report` module of the command line turns it into text, JSON or SARIF.

use std::ops::Range;

use dadl_text::names::{MeantName, meant_or};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; `check` still passes.
    Note,
    /// The file loads, but `check` fails.
    Warning,
    /// The file does not load.
    Error,
}

/// One finding about one place of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, such as `D101`.
    pub code: RuleCode,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, naming the thing; lower case, no full stop.
    pub message: String,
    /// The bytes of the file that are wrong.
    pub span: Range<usize>,
    /// A few words under the marked bytes; may be empty.
    pub label: String,
    /// What to write instead, or the nearest known name.
    pub help: Option<String>,
    /// The one change of the text that mends it, where there is one; `check --fix` applies it.
    pub fix: Option<Box<TextEdit>>,
}

/// A change of a file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextEdit {
    /// The bytes that go; empty where something is only added.
    pub span: Range<usize>,
    /// What comes in their place.
    pub replacement: String,
}

impl Diagnostic {
    /// Makes a finding that says what is wrong, and nothing else yet.
    pub fn new(
        severity: Severity,
        code: RuleCode,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self { code, severity, message, span, label: String::new(), help: None, fix: None }
    }

    /// Sets the words under the marked bytes.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Sets what to write instead.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Says which name was meant, where one was.
    pub fn meant(&mut self, name: Option<&str>) -> &mut Self {
        if let Some(name) = name {
            self.help(MeantName(name).to_string());
        }
        self
    }

    /// Says which name was meant, or else what there is.
    pub fn meant_or(&mut self, name: Option<&str>, known: impl FnOnce() -> String) -> &mut Self {
        self.help(meant_or(name, known))
    }

    /// Sets the change that mends it.
    pub fn fix(&mut self, span: Range<usize>, replacement: impl Into<String>) -> &mut Self {
        self.fix = Some(Box::new(TextEdit { span, replacement: replacement.into() }));
        self
    }
}

/// The stable code of a rule; listed in `docs/checks.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleCode(pub &'static str);
