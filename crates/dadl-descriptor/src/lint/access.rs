//! Access levels that do not fit what the request does.

use dadl_text::names::{path::fixed_parts, split_words, verbs};

use super::{LintContext, tool::ToolView};
use crate::{code, diagnostic::Severity};

/// Words in the names of parameters that only a question has.
const ASKS: &[&str] = &["cursor", "filter", "filters", "offset", "page", "query", "sort"];

/// Looks at each tool by itself.
pub(super) fn check(tools: &[ToolView<'_>], lint: &mut LintContext<'_>) {
    // Where nothing is a GET, POST is how everything is asked for.
    let has_get = tools.iter().any(|tool| tool.method == "GET");
    for tool in tools {
        let Some((level, span)) = tool.access else {
            if tool.misspells("access") {
                continue;
            }
            let message = format!("tool `{}` has no access level", tool.name);
            lint.report(Severity::Warning, code::NO_ACCESS, tool.name_span, message)
                .label("refused unless an operator allows what is not classified")
                .help("write `access: read`, `write`, `admin` or `dangerous`");
            continue;
        };
        if level != "read" {
            continue;
        }
        match tool.method {
            "DELETE" => {
                let message = format!("`{}` deletes, but its access is `read`", tool.name);
                lint.report(Severity::Warning, code::DELETE_READ, span, message)
                    .label("runs without a question wherever reading is allowed")
                    .help("write `access: dangerous`, or `write` if nothing is lost");
            }
            "POST" if has_get && !reads(tool) => {
                let message = format!("`{}` is a POST, but its access is `read`", tool.name);
                lint.report(Severity::Note, code::POST_READ, span, message)
                    .label("runs without a question wherever reading is allowed")
                    .help("write `access: write` if a call changes or creates anything");
            }
            _ => {}
        }
    }
}

/// Returns whether name, path or description say that the tool only reads.
fn reads(tool: &ToolView<'_>) -> bool {
    let is_reading = |word: &String| verbs::may_read(word);
    let last = fixed_parts(tool.path).next_back().unwrap_or_default();
    let first =
        tool.description.split(|other: char| !other.is_alphanumeric()).find(|it| !it.is_empty());
    let name = tool.words();
    if name.first().is_some_and(|word| verbs::is_changing(word)) {
        return false;
    }
    let asks = |word: &String| ASKS.contains(&word.as_str());
    name.iter().any(is_reading)
        || tool.params.iter().any(|param| split_words(&param.key).iter().any(asks))
        || split_words(last).iter().any(is_reading)
        || first.is_some_and(|first| is_reading(&first.to_lowercase()))
}
