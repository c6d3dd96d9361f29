//! Names that people and some hosts cannot tell apart.

use std::collections::HashMap;

use super::{LintContext, tool::ToolView};
use crate::{code, diagnostic::Severity};

/// Warns about names of tools that differ only by case, and about such header parameters: the
/// names of header fields are the same in any case (RFC 9110, section 5.1).
pub(super) fn check(tools: &[ToolView<'_>], lint: &mut LintContext<'_>) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for tool in tools {
        if let Some(other) = seen.insert(tool.name.to_lowercase(), tool.name) {
            let message = format!("the tools `{other}` and `{}` differ only by case", tool.name);
            lint.report(Severity::Warning, code::CASE, tool.name_span, message)
                .help("give one of them a name that says what is different");
        }
        let mut headers: HashMap<String, &str> = HashMap::new();
        let fields = tool
            .params
            .iter()
            .filter(|param| param.value.get("in").and_then(|place| place.text()) == Some("header"));
        for param in fields {
            if let Some(other) = headers.insert(param.key.to_lowercase(), &param.key) {
                let message = format!(
                    "the header parameters `{other}` and `{}` name the same field",
                    param.key
                );
                lint.report(Severity::Warning, code::CASE, &param.key_span, message)
                    .help("remove one of them");
            }
        }
    }
}
