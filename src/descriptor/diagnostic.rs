//! Findings about a descriptor or a settings file, as data.
//!
//! Detection never formats: a finding holds a stable code, a place and its sentences, and the
//! `report` module of the command line turns it into text, JSON or SARIF.

use std::ops::Range;

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
    pub code: Code,
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
    pub fix: Option<Box<Edit>>,
}

/// A change of a file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go; empty where something is only added.
    pub span: Range<usize>,
    /// What comes in their place.
    pub replacement: String,
}

impl Diagnostic {
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

    /// Sets the change that mends it.
    pub fn fix(&mut self, span: Range<usize>, replacement: impl Into<String>) -> &mut Self {
        self.fix = Some(Box::new(Edit { span, replacement: replacement.into() }));
        self
    }
}

/// The stable code of a rule; listed in `docs/checks.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

/// Returns the known name that is nearest to `name`, when one is near enough to be meant.
pub fn nearest<'known>(
    name: &str,
    known: impl IntoIterator<Item = &'known str>,
) -> Option<&'known str> {
    let length = name.chars().count();
    let limit = (length / 3).max(1);
    known
        .into_iter()
        // The distance is at least the difference of the lengths, and much cheaper to have.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the known name that is nearest to `name`, when exactly one is.
pub fn only_nearest<'known>(
    name: &str,
    known: impl IntoIterator<Item = &'known str> + Clone,
) -> Option<&'known str> {
    let first = nearest(name, known.clone())?;
    let distance = strsim::damerau_levenshtein(name, first);
    let length = name.chars().count();
    let is_as_near = |other: &&str| {
        *other != first
            && other.chars().count().abs_diff(length) <= distance
            && strsim::damerau_levenshtein(name, other) <= distance
    };
    known.into_iter().find(is_as_near).is_none().then_some(first)
}
