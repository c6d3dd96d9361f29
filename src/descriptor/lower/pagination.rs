//! `pagination`: how a list is read in pages.

use super::context::{Context, Section};
use crate::descriptor::{
    code,
    json_path::JsonPath,
    model::{PageStrategy, Pagination},
};

const KEYS: &[&str] = &["strategy", "request", "response", "behavior", "max_pages"];

const REQUEST_KEYS: &[&str] =
    &["cursor_param", "page_param", "offset_param", "limit_param", "limit_default"];

const RESPONSE_KEYS: &[&str] =
    &["next_cursor", "has_more", "total_pages_header", "total_count_header"];

#[derive(Clone, Copy)]
enum Strategy {
    Cursor,
    LinkHeader,
    Offset,
    Page,
}

/// Lowers the `pagination` of a tool or of the defaults.
///
/// A missing `behavior` counts as `expose`: the caller then sees every request that is sent.
/// `max_pages` bounds `auto` only.
pub(super) fn lower<'tree>(
    parent: &Section<'tree>,
    context: &mut Context<'tree>,
) -> Option<Pagination> {
    let section = context.subsection(parent, "pagination", KEYS)?;
    if let Some(text) = context.text(&section, "behavior") {
        let behaviors = [("auto", true), ("expose", false)];
        if context.choice(&text, "pagination behavior", &behaviors) == Some(true) {
            context.unsupported(&text.span, "`behavior: auto`");
        }
    }
    context.count(&section, "max_pages");
    let strategies = [
        ("cursor", Strategy::Cursor),
        ("offset", Strategy::Offset),
        ("page", Strategy::Page),
        ("link_header", Strategy::LinkHeader),
    ];
    let strategy = context
        .required_text(&section, "strategy")
        .and_then(|text| context.choice(&text, "pagination strategy", &strategies));
    let request = context.subsection(&section, "request", REQUEST_KEYS);
    let response = context.subsection(&section, "response", RESPONSE_KEYS);
    let mut param = |key: &str| request.as_ref().and_then(|request| context.string(request, key));
    let (cursor_param, page_param) = (param("cursor_param"), param("page_param"));
    let (offset_param, limit_param) = (param("offset_param"), param("limit_param"));
    let limit_default =
        request.as_ref().and_then(|request| context.count(request, "limit_default"));
    let (mut next, mut more) = (None, None);
    if let Some(response) = &response {
        next = context.json_path(response, "next_cursor");
        more = has_more(response, context);
        for key in ["total_pages_header", "total_count_header"] {
            context.text(response, key);
        }
    }
    let strategy = match strategy? {
        Strategy::Cursor => PageStrategy::Cursor { param: cursor_param, next },
        Strategy::LinkHeader => PageStrategy::LinkHeader { param: page_param.or(cursor_param) },
        Strategy::Offset => PageStrategy::Offset { param: offset_param },
        Strategy::Page => PageStrategy::Page { param: page_param },
    };
    Some(Pagination { strategy, limit_param, limit_default, has_more: more })
}

/// Reads `has_more`; authors also write comparisons there, which nothing defines.
fn has_more<'tree>(response: &Section<'tree>, context: &mut Context<'tree>) -> Option<JsonPath> {
    let text = context.text(response, "has_more")?;
    let path = JsonPath::compile(text.value).ok();
    if path.is_none() {
        context
            .warning(code::INERT, &text.span, "`has_more` is not JSONPath and has no effect")
            .help("name a boolean of the answer, such as `$.has_more`, or remove the key");
    }
    path
}
