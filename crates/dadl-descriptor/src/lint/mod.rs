//! Rules that look at the whole file and ask whether it says what its author means.
//!
//! What keeps a file from being served is found while lowering. These rules are for authors and
//! reviewers: only [`super::check`] runs them, so a server does not pay for them at its start.
//! They read the tree and not the model, because a file that does not load has them too.
//!
//! Most of them are heuristics. A comment `# allow D702` on the line of a finding, or on a line of
//! comments right above it, says that the author has looked; [`super::allow`] applies it.
//!
//! **Invariant:** each text of the file is searched at most once, however many aliases refer to
//! it, and no rule compares every tool with every other.

mod access;
mod findable;
mod keywords;
mod names;
mod orders;
mod same_operation;
mod secret;
mod spelling;
mod tool;
mod unlimited_list;

use std::{collections::HashSet, ops::Range};

use super::{
    diagnostic::{Diagnostic, RuleCode, Severity},
    source::SourceText,
    yaml::{YamlNode, YamlValue},
};
pub(super) use secret::names_a_secret;
use tool::ToolView;

/// The findings so far, and the file they are about.
struct LintContext<'tree> {
    source: &'tree SourceText,
    findings: Vec<Diagnostic>,
}

impl LintContext<'_> {
    fn report(
        &mut self,
        severity: Severity,
        code: RuleCode,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        self.findings.push_mut(Diagnostic::new(severity, code, span.clone(), message))
    }

    /// Returns where `part` of a text is in the file; the whole text when escapes or folded lines
    /// make the two differ.
    fn place(&self, span: &Range<usize>, part: &str) -> Range<usize> {
        match self.source.slice(span.clone()).find(part) {
            Some(at) => span.start + at..span.start + at + part.len(),
            None => span.clone(),
        }
    }
}

/// Applies all rules to a document.
pub(super) fn run(root: &YamlNode<'_>, source: &SourceText) -> Vec<Diagnostic> {
    let mut lint = LintContext { source, findings: Vec::new() };
    let backend = root.get("backend");
    let defaults = backend.and_then(|backend| backend.get("defaults"));
    let tools: Vec<ToolView<'_>> = backend
        .and_then(|backend| backend.get("tools"))
        .map(YamlNode::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| ToolView::new(entry, defaults))
        .collect();
    same_operation::check(&tools, &mut lint);
    unlimited_list::check(&tools, &mut lint);
    access::check(&tools, &mut lint);
    names::check(&tools, &mut lint);
    keywords::check(root, &mut lint);
    findable::check(&tools, &mut lint);
    spelling::check(backend, &mut lint);
    secret::check(root, &mut lint);
    orders::check(root, &mut lint);
    lint.findings
}

/// A text of the file: where it is, and the keys that lead to it.
struct LintText<'tree, 'walk> {
    value: &'tree str,
    span: &'tree Range<usize>,
    /// The keys from the top of the file; items of a list add nothing.
    path: &'walk [&'tree str],
}

/// Hands every text below `root` to `take`, an aliased one at its first use.
fn each_text<'tree>(root: &'tree YamlNode<'tree>, take: &mut dyn FnMut(&LintText<'tree, '_>)) {
    fn walk<'tree>(
        node: &'tree YamlNode<'tree>,
        path: &mut Vec<&'tree str>,
        seen: &mut HashSet<(usize, usize)>,
        take: &mut dyn FnMut(&LintText<'tree, '_>),
    ) {
        match &node.value {
            YamlValue::String(value) => {
                if seen.insert((node.span.start, node.span.end)) {
                    take(&LintText { value, span: &node.span, path });
                }
            }
            YamlValue::Mapping(entries) => {
                for entry in *entries {
                    path.push(&entry.key);
                    walk(&entry.value, path, seen, take);
                    path.pop();
                }
            }
            YamlValue::Sequence(items) => {
                items.iter().for_each(|item| walk(item, path, seen, take));
            }
            YamlValue::Bool(_) | YamlValue::Null | YamlValue::Number(..) => {}
        }
    }
    // The depth of the tree is bounded by the parser.
    walk(root, &mut Vec::new(), &mut HashSet::new(), take);
}

#[cfg(test)]
mod tests;
