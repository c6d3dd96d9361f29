//! The text of a descriptor in one layout.
//!
//! What changes: indentation (two spaces a level, also for the items of a list), spaces around
//! `:`, `-` and `,`, blank lines (one at most, one between tools that span several lines), spaces
//! at the ends of lines, line breaks at the end, and the quotes of single words that need none.
//!
//! What stays: the order of keys (it says what the author finds important), comments, flow and
//! block style, line breaks inside of flow collections, block scalars, the quotes of
//! descriptions and of text with spaces (the next edit may need them), long lines.
//!
//! **Invariant:** the tree before and after is the same, all comments are there in their order,
//! and a second run changes nothing. [`format()`] checks that on each text and fails otherwise.

mod printer;
mod quotes;

use super::{
    diagnostic::Diagnostic,
    source::SourceText,
    yaml::{self, YamlArena},
};
use printer::UnsupportedSyntax;

/// Why a text was not formatted; nothing is half formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// The text is no YAML, or has too much of it; the last finding says why.
    Findings(Vec<Diagnostic>),
    /// The text is fine, but this module does not know how to write a part of it.
    Layout {
        /// What it does not know, or that the result was not the same.
        message: &'static str,
        /// Where that is; the start of the file when it is about all of it.
        offset: usize,
    },
}

/// Returns the text of `source` in the one layout.
pub fn format(source: &SourceText) -> Result<String, FormatError> {
    if source.text().starts_with('\u{feff}') {
        // The first one is no part of the text; this one would be the first of the next run.
        let message = "a second byte order mark";
        return Err(FormatError::Layout { message, offset: 0 });
    }
    let mut findings = Vec::new();
    let arena = YamlArena::for_length(source.text().len());
    if yaml::parse_yaml(source.text(), &arena, &mut findings).is_none() {
        if findings.is_empty() {
            // Nothing but comments.
            return Ok(source.text().to_owned());
        }
        return Err(FormatError::Findings(findings));
    }
    if !source.text().contains("\r\n") {
        return formatted(source.text());
    }
    let unix = source.text().replace("\r\n", "\n");
    match formatted(&unix) {
        Ok(text) => Ok(text.replace('\n', "\r\n")),
        // The place is that of another text.
        Err(FormatError::Layout { message, .. }) => Err(FormatError::Layout { message, offset: 0 }),
        Err(error) => Err(error),
    }
}

/// Formats a text with Unix line breaks and proves that it is the same.
fn formatted(text: &str) -> Result<String, FormatError> {
    let problem = |problem: UnsupportedSyntax| FormatError::Layout {
        message: problem.message,
        offset: problem.offset,
    };
    if let Some(offset) = text.find('\r') {
        // YAML ends a line there; whether people do, nobody knows.
        let message = "a carriage return without a line feed";
        return Err(FormatError::Layout { message, offset });
    }
    let first = printer::print_yaml(text).map_err(problem)?;
    let second = printer::print_yaml(&first.text).map_err(problem)?;
    let is_stable = first.text == second.text && first.comments == second.comments;
    if !is_stable || !is_same_tree(text, &first.text) {
        let message = "the layout of this file is not understood well enough";
        return Err(FormatError::Layout { message, offset: 0 });
    }
    Ok(first.text)
}

/// Returns whether two texts have the same tree and the same problems.
fn is_same_tree(before: &str, after: &str) -> bool {
    let (mut problems_before, mut problems_after) = (Vec::new(), Vec::new());
    let arena = YamlArena::for_length(before.len() + after.len());
    let trees = (
        yaml::parse_yaml(before, &arena, &mut problems_before),
        yaml::parse_yaml(after, &arena, &mut problems_after),
    );
    let codes = |findings: &[Diagnostic]| -> Vec<_> {
        findings.iter().map(|finding| (finding.code, finding.message.clone())).collect()
    };
    match trees {
        (Some(before), Some(after)) => {
            before.is_same(&after) && codes(&problems_before) == codes(&problems_after)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
