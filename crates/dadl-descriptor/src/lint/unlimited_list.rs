//! Lists that a caller cannot keep short.

use std::collections::HashSet;

use dadl_text::names::{path::anonymous, split_words};

use super::{LintContext, tool::ToolView};
use crate::{code, diagnostic::Severity};

/// Words in the name of a parameter that bounds or narrows a list.
const LIMITS: &[&str] = &[
    "after",
    "amount",
    "before",
    "count",
    "cursor",
    "end",
    "fields",
    "filter",
    "filters",
    "first",
    "from",
    "hits",
    "last",
    "length",
    "limit",
    "max",
    "maxresults",
    "n",
    "num",
    "offset",
    "page",
    "pagesize",
    "per",
    "perpage",
    "q",
    "query",
    "results",
    "rowcount",
    "rows",
    "search",
    "since",
    "size",
    "skip",
    "start",
    "take",
    "to",
    "top",
    "until",
];

/// Words that say that a list is short because somebody counted.
const SHORT: &[&str] = &["top", "first", "last", "latest", "recent"];

/// Notes tools that give a whole collection, whatever its size.
///
/// Only a list that other tools add to or remove from counts: an enumeration that the API has by
/// nature is as long as it is.
pub(super) fn check(tools: &[ToolView<'_>], lint: &mut LintContext<'_>) {
    // What a POST or PUT adds to, or a DELETE takes from, grows with use.
    let collections: HashSet<String> = tools
        .iter()
        .filter_map(|tool| {
            let path = anonymous(tool.plain_path());
            match tool.method {
                "POST" | "PUT" => Some(path),
                "DELETE" => path.strip_suffix("/{}").map(str::to_owned),
                _ => None,
            }
        })
        .collect();
    for tool in tools {
        if tool.method != "GET" || !gives_a_list(tool) || is_limited(tool) {
            continue;
        }
        if !collections.contains(&anonymous(tool.plain_path())) {
            continue;
        }
        let message = format!("nothing limits how much `{}` gives", tool.name);
        lint.report(Severity::Note, code::UNLIMITED_LIST, tool.path_span, message)
            .label("grows with use, and comes whole")
            .help(
                "declare a limit parameter or `pagination` if the API has one, or set \
                 `response.max_items`",
            );
    }
}

/// Returns whether the name says that this is a list and the path names a collection.
fn gives_a_list(tool: &ToolView<'_>) -> bool {
    let last = tool.plain_path().rsplit('/').next().unwrap_or_default();
    let is_plural = last.len() > 3
        && last.ends_with('s')
        && !["ss", "us", "is", "status", "settings", "stats", "news"]
            .iter()
            .any(|end| last.ends_with(end));
    let is_list = tool.words().iter().any(|word| matches!(word.as_str(), "list" | "all"))
        || tool.description.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("list"));
    is_plural && is_list && !last.contains('{')
}

fn is_limited(tool: &ToolView<'_>) -> bool {
    let has_limit = tool
        .params
        .iter()
        .any(|param| split_words(&param.key).iter().any(|word| LIMITS.contains(&word.as_str())));
    let in_response = ["allow_jq_override", "binary", "max_items", "streaming", "transform"]
        .iter()
        .any(|key| tool.response_has(key));
    has_limit
        || in_response
        || tool.pagination.is_some()
        || tool.path.contains('?')
        || names_a_number(tool.description)
}

/// Returns whether a description says how many items there are, such as `the last 10 blocks`.
fn names_a_number(description: &str) -> bool {
    let mut before = "";
    description.split(|other: char| !other.is_alphanumeric()).any(|word| {
        let is_count = SHORT.iter().any(|known| before.eq_ignore_ascii_case(known))
            && word.starts_with(|first: char| first.is_ascii_digit());
        before = word;
        is_count
    })
}
