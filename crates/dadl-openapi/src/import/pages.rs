//! Pagination, recognised by the names of parameters and members.

use dadl_descriptor::model::{ParamKind, ParamLocation, RequestMethod};
use dadl_text::names::snake;

use crate::{
    model::{ApiOperation, OperationInput},
    schema::JsonTypes,
};

/// How a list is read in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageGuess {
    pub(super) strategy: &'static str,
    /// The keys of `request` and the names of the parameters.
    pub(super) request: Vec<(&'static str, String)>,
    /// The keys of `response` and their paths.
    pub(super) response: Vec<(&'static str, String)>,
}

const LIMIT: &[&str] = &[
    "limit",
    "per_page",
    "page_size",
    "size",
    "count",
    "max_results",
    "maxresults",
    "take",
    "pagesize",
    "perpage",
    "page_limit",
    "num_results",
    "items_per_page",
    "results_per_page",
    "max_items",
    "first",
    "rows",
    "top",
    "page_length",
];

const PAGE: &[&str] = &["page", "page_number", "page_num", "pagenumber", "page_no", "pageno", "p"];

const OFFSET: &[&str] =
    &["offset", "skip", "start_index", "startindex", "start_at", "page_offset", "from_index"];

const CURSOR: &[&str] = &[
    "cursor",
    "after",
    "starting_after",
    "page_token",
    "pagetoken",
    "next_token",
    "nexttoken",
    "continuation_token",
    "continue",
    "next_cursor",
    "start_cursor",
    "page_cursor",
    "marker",
    "next_page_token",
    "scroll_id",
    "after_id",
    "next_page",
];

/// Members of an answer that hold the next cursor.
const NEXT: &[&str] = &[
    "next_cursor",
    "next_page_token",
    "next_token",
    "nexttoken",
    "nextpagetoken",
    "nextcursor",
    "continuation_token",
    "end_cursor",
    "next_page_cursor",
    "cursor",
    "continue",
    "next_page",
    "next",
    "after",
    "last_id",
    "next_marker",
];

const MORE: &[&str] = &["has_more", "has_next", "has_next_page", "more"];

/// Returns how the list of an operation is read in pages, if it seems to be one.
pub(super) fn guess(operation: &ApiOperation) -> Option<PageGuess> {
    if operation.method != RequestMethod::Get || operation.answer.file.is_some() {
        return None;
    }
    let find = |known: &[&str], is_number: bool| -> Option<&OperationInput> {
        let fits = |input: &&OperationInput| {
            input.location == ParamLocation::Query
                && (!is_number
                    || matches!(
                        input.kind,
                        ParamKind::Integer | ParamKind::Number | ParamKind::String
                    ))
        };
        // The order of the words decides, so that `limit` counts before `count`.
        known.iter().find_map(|word| {
            let inputs = operation.inputs.iter().filter(fits);
            inputs.into_iter().find(|input| bare(&input.name) == *word)
        })
    };
    let limit = find(LIMIT, true).map(|input| ("limit_param", input.name.clone()));
    let members = &operation.answer.members;
    let more = find_member(members, MORE, ParamKind::Boolean);
    let more = more.map(|path| ("has_more", path));
    if let Some(page) = find(PAGE, true) {
        let mut request = vec![("page_param", page.name.clone())];
        request.extend(limit);
        // With a `Link` header nothing needs to be counted.
        let strategy = if operation.answer.has_link { "link_header" } else { "page" };
        let response = more.into_iter().filter(|_| strategy == "page").collect();
        return Some(PageGuess { strategy, request, response });
    }
    if let Some(cursor) = find(CURSOR, false)
        && let Some(next) = find_member(members, NEXT, ParamKind::String)
    {
        let mut request = vec![("cursor_param", cursor.name.clone())];
        request.extend(limit);
        let mut response = vec![("next_cursor", next)];
        response.extend(more);
        return Some(PageGuess { strategy: "cursor", request, response });
    }
    if let (Some(offset), Some(limit)) = (find(OFFSET, true), limit) {
        let request = vec![("offset_param", offset.name.clone()), limit];
        return Some(PageGuess {
            strategy: "offset",
            request,
            response: more.into_iter().collect(),
        });
    }
    None
}

fn bare(name: &str) -> String {
    snake(name.trim_start_matches('$'))
}

/// Returns the path to a member with one of these names; one at the top counts before others, then
/// the order of the names.
fn find_member(members: &[(String, JsonTypes)], names: &[&str], kind: ParamKind) -> Option<String> {
    let rank = |path: &str| {
        let name = bare(path.rsplit('.').next().unwrap_or_default());
        names.iter().position(|known| *known == name).map(|at| (path.matches('.').count(), at))
    };
    members
        .iter()
        .filter(|(_, kinds)| kinds.is_any() || kinds.contains(kind))
        .filter_map(|(path, _)| Some((rank(path)?, path)))
        .min()
        .map(|(_, path)| path.clone())
}
