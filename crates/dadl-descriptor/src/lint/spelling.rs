//! Values that this program understands and the specification spells otherwise.

use super::LintContext;
use crate::{code, diagnostic::Severity, yaml::YamlNode};

/// The keys that lead to a value, what is accepted there, and what the specification says.
const SPELLINGS: &[(&[&str], &str, &str)] = &[(&["auth", "type"], "api_key", "apikey")];

/// Notes them.
pub(super) fn check(backend: Option<&YamlNode<'_>>, lint: &mut LintContext<'_>) {
    let Some(backend) = backend else { return };
    for (path, other, right) in SPELLINGS {
        let found = path.iter().try_fold(backend, |node, key| node.get(key));
        let Some(node) = found.filter(|node| node.text() == Some(other)) else { continue };
        let message = format!("the specification writes `{right}`, not `{other}`");
        lint.report(Severity::Note, code::SPELLING, &node.span, message)
            .label("other programs may refuse it")
            .help(format!("write `{right}`"))
            .fix(node.span.clone(), *right);
    }
}
