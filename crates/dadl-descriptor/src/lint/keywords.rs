//! Words of people that lead to no tool.

use std::collections::BTreeSet;

use dadl_text::names::{nearest_name, split_words};

use super::LintContext;
use crate::{code, diagnostic::Severity, yaml::YamlNode};

/// Warns about words of `_dadl_mcp.keywords` that no name and no description of a tool has.
pub(super) fn check(root: &YamlNode<'_>, lint: &mut LintContext<'_>) {
    let path = ["_dadl_mcp", "keywords", "words"];
    let Some(words) = path.iter().try_fold(root, |node, key| node.get(key)) else { return };
    let known = known_words(root);
    for entry in words.entries() {
        let parts = split_words(&entry.key);
        if !parts.is_empty()
            && parts.iter().all(|part| forms(part).any(|form| known.contains(form)))
        {
            continue;
        }
        let message = format!("no name and no description of a tool has `{}`", entry.key);
        let meant = nearest_name(&entry.key, known.iter().map(String::as_str));
        let finding = lint.report(Severity::Warning, code::KEYWORDS, &entry.key_span, message);
        finding.label("what people say for it leads nowhere").meant(meant);
    }
}

/// Returns the words of all names and descriptions.
fn known_words(root: &YamlNode<'_>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let mut add = |text: &str| {
        for word in split_words(text) {
            known.extend(forms(&word).map(str::to_owned));
        }
    };
    let sections = ["tools", "composites"].into_iter();
    let sections = sections.filter_map(|key| root.get("backend")?.get(key));
    for tool in sections.flat_map(YamlNode::entries) {
        add(&tool.key);
        tool.value.get("description").and_then(YamlNode::text).into_iter().for_each(&mut add);
    }
    known
}

/// Returns a word, and what it may be the plural of.
fn forms(word: &str) -> impl Iterator<Item = &str> {
    let singular = ["s", "es"].into_iter().filter_map(|plural| word.strip_suffix(plural));
    std::iter::once(word).chain(singular).filter(|form| !form.is_empty())
}
