//! Changes of the text that mend a finding, for `check --fix`.
//!
//! Each is written so that the text around it stays as it is. A change that would not fit the
//! layout of a file is not offered, and [`crate::mend`] checks the result of each.

use std::ops::Range;

use dadl_text::names::only_nearest;

use crate::{
    diagnostic::TextEdit,
    source::SourceText,
    yaml::{YamlEntry, YamlNode, YamlValue},
};

/// Renames an unknown key to the one known key that is near, unless its mapping has that key.
pub(super) fn renamed_key(
    entry: &YamlEntry<'_>,
    entries: &[YamlEntry<'_>],
    known: &[&'static str],
) -> Option<TextEdit> {
    let meant = only_nearest(&entry.key, known.iter().copied())?;
    let is_free = entries.iter().all(|other| other.key != meant);
    is_free.then(|| TextEdit { span: entry.key_span.clone(), replacement: meant.to_owned() })
}

/// Declares version 0.2 of the specification.
pub(super) fn newer_spec(root: &YamlNode<'_>, source: &SourceText) -> Option<TextEdit> {
    let span = &root.get("spec")?.span;
    let at = span.start + source.slice(span.clone()).rfind("-v0.1")?;
    Some(TextEdit { span: at..at + "-v0.1".len(), replacement: "-v0.2".to_owned() })
}

/// Adds `feature` to `requires.features`.
pub(super) fn required_feature(
    root: &YamlNode<'_>,
    source: &SourceText,
    feature: &str,
) -> Option<TextEdit> {
    let line_break = if source.text().contains("\r\n") { "\r\n" } else { "\n" };
    let insert = |at: usize, replacement: String| Some(TextEdit { span: at..at, replacement });
    let begins =
        |node: &YamlNode<'_>, mark: char| source.slice(node.span.clone()).starts_with(mark);
    let Some(requires) = root.get("requires") else {
        let spec = root.entries().iter().find(|entry| entry.key == "spec")?;
        let indent = indentation(source, spec.key_span.start)?;
        let end = end_of_line(source, &spec.value.span);
        let text =
            format!("{line_break}{indent}requires:{line_break}{indent}  features: [{feature}]");
        return insert(end, text);
    };
    let Some(features) = requires.get("features") else {
        let first = requires.entries().first();
        return match first {
            Some(_) if begins(requires, '{') => {
                insert(requires.span.start + 1, format!(" features: [{feature}],"))
            }
            Some(first) => {
                let at = first.key_span.start;
                let indent = indentation(source, at)?;
                insert(at, format!("features: [{feature}]{line_break}{indent}"))
            }
            None if begins(requires, '{') => Some(TextEdit {
                span: requires.span.clone(),
                replacement: format!("{{ features: [{feature}] }}"),
            }),
            None => None,
        };
    };
    let YamlValue::Sequence(items) = &features.value else { return None };
    match items.last() {
        Some(last) if begins(features, '[') => insert(last.span.end, format!(", {feature}")),
        Some(last) => {
            let start = source.slice(0..last.span.start).rfind('\n').map_or(0, |at| at + 1);
            let lead = source.slice(start..last.span.start);
            let (indent, _) = lead.split_once('-').filter(|(before, after)| {
                before.bytes().chain(after.bytes()).all(|byte| byte == b' ')
            })?;
            insert(end_of_line(source, &last.span), format!("{line_break}{indent}- {feature}"))
        }
        None => Some(TextEdit { span: features.span.clone(), replacement: format!("[{feature}]") }),
    }
}

/// Returns the spaces before the first thing of a line.
fn indentation(source: &SourceText, at: usize) -> Option<&str> {
    let start = source.slice(0..at).rfind('\n').map_or(0, |line| line + 1);
    let lead = source.slice(start..at);
    lead.bytes().all(|byte| byte == b' ').then_some(lead)
}

/// Returns where the line of a value ends, before the line break and behind a comment.
fn end_of_line(source: &SourceText, span: &Range<usize>) -> usize {
    let rest = source.slice(span.end..source.text().len());
    let line = rest.split('\n').next().unwrap_or_default();
    span.end + line.trim_end_matches('\r').len()
}
