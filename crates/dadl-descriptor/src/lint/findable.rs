//! Tools that a search does not bring, whatever it is asked, and tools that it cannot tell apart.

use std::collections::{BTreeSet, HashMap};

use dadl_search::{ParamText, SearchIndex, SearchQuery, ToolEffect, ToolText, text_stems};
use dadl_text::names::split_words;

use super::{LintContext, tool::ToolView};
use crate::{code, diagnostic::Severity};

/// Who searches looks at so many.
const LOOKED_AT: usize = 10;

/// Each tool is searched for among all: with more of them this would take longer than all else.
const MOST_TRIED: usize = 500;

/// Tells of both.
pub(super) fn check(tools: &[ToolView<'_>], lint: &mut LintContext<'_>) {
    check_alike(tools, lint);
    if tools.len() > MOST_TRIED {
        return;
    }
    let texts: Vec<ToolText<'_>> = tools.iter().map(tool_text).collect();
    let index = SearchIndex::build(&texts, &[]);
    for (position, tool) in tools.iter().enumerate() {
        let by_name = split_words(tool.name).join(" ");
        let by_description = tool.description.to_owned();
        if [by_name, by_description].iter().any(|query| brings(&index, query, position)) {
            continue;
        }
        let message = format!(
            "neither the name nor the description of `{}` brings it among the first {LOOKED_AT} of a search",
            tool.name
        );
        lint.report(Severity::Note, code::NOT_FOUND, tool.name_span, message)
            .label("a model that searches does not find it")
            .help("say in the description what this tool does and others do not");
    }
}

/// Tells of each tool that has the words of an earlier one, and no others.
fn check_alike(tools: &[ToolView<'_>], lint: &mut LintContext<'_>) {
    let mut seen: HashMap<(BTreeSet<String>, BTreeSet<String>), &str> = HashMap::new();
    for tool in tools {
        let words = (text_stems(tool.name), text_stems(tool.description));
        let Some(other) = seen.insert(words, tool.name) else { continue };
        // That is told of names that differ by case alone.
        if other.eq_ignore_ascii_case(tool.name) {
            continue;
        }
        let message = format!("`{}` and `{other}` are alike in all words", tool.name);
        lint.report(Severity::Note, code::ALIKE, tool.name_span, message)
            .label("the same words in name and description")
            .help("say in one of the two how it differs: a model cannot choose between them");
    }
}

fn brings(index: &SearchIndex, query: &str, position: usize) -> bool {
    let queries = [query.to_owned()];
    let found = index.search(SearchQuery { queries: &queries, backend: None });
    found.hits.iter().take(LOOKED_AT).any(|hit| hit.position == position)
}

fn tool_text<'tree>(tool: &ToolView<'tree>) -> ToolText<'tree> {
    let reads = matches!(tool.method, "GET" | "HEAD")
        || tool.access.is_some_and(|(level, _)| level == "read");
    ToolText {
        name: tool.name.into(),
        description: tool.description.into(),
        params: tool
            .params
            .iter()
            .map(|param| ParamText { name: (&*param.key).into(), ..ParamText::default() })
            .collect(),
        effect: if reads { ToolEffect::Reads } else { ToolEffect::Changes },
        ..ToolText::default()
    }
}
