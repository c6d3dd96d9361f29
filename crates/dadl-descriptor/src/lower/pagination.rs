//! `pagination`: how a list is read in pages.

use http::HeaderName;

use super::context::{LowerContext, YamlSection};
use crate::{
    code,
    model::{PageBehavior, PageStrategy, Pagination, condition::AnswerCondition},
};

const KEYS: &[&str] = &["strategy", "request", "response", "behavior", "max_pages"];

const REQUEST_KEYS: &[&str] =
    &["cursor_param", "page_param", "offset_param", "limit_param", "limit_default"];

const RESPONSE_KEYS: &[&str] =
    &["next_cursor", "has_more", "total_pages_header", "total_count_header"];

/// `auto` stops after this many pages unless the author says otherwise.
const DEFAULT_MAX_PAGES: u32 = 100;

#[derive(Clone, Copy)]
enum StrategyKind {
    Cursor,
    LinkHeader,
    Offset,
    Page,
}

/// Lowers the `pagination` of a tool or of the defaults.
///
/// A missing `behavior` counts as `expose`: the caller then sees every request that is sent.
/// `max_pages` bounds `auto` only. Many files name the parameter of every strategy `cursor_param`.
pub(super) fn lower<'tree>(
    parent: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Pagination> {
    let section = context.subsection(parent, "pagination", KEYS)?;
    let behaviors = [("auto", true), ("expose", false)];
    let is_auto = context
        .text(&section, "behavior")
        .and_then(|text| context.choice(&text, "pagination behavior", &behaviors))
        .unwrap_or_default();
    let max_pages = max_pages(&section, context);
    let strategies = [
        ("cursor", StrategyKind::Cursor),
        ("offset", StrategyKind::Offset),
        ("page", StrategyKind::Page),
        ("link_header", StrategyKind::LinkHeader),
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
    let (mut next, mut has_more) = (None, None);
    let (mut total_pages, mut total_count) = (None, None);
    if let Some(response) = &response {
        next = context.json_path(response, "next_cursor");
        has_more = lower_condition(response, is_auto, context);
        total_pages = lower_header(response, "total_pages_header", context);
        total_count = lower_header(response, "total_count_header", context);
    }
    let strategy = match strategy? {
        StrategyKind::Cursor => PageStrategy::Cursor { param: cursor_param, next },
        StrategyKind::LinkHeader => PageStrategy::LinkHeader { param: page_param.or(cursor_param) },
        StrategyKind::Offset => PageStrategy::Offset { param: offset_param.or(cursor_param) },
        StrategyKind::Page => PageStrategy::Page { param: page_param.or(cursor_param) },
    };
    Some(Pagination {
        behavior: if is_auto { PageBehavior::Auto { max_pages } } else { PageBehavior::Expose },
        strategy,
        limit_param,
        limit_default,
        has_more,
        total_pages,
        total_count,
    })
}

/// Reads the number of pages after which `auto` stops.
fn max_pages<'tree>(section: &YamlSection<'tree>, context: &mut LowerContext<'tree>) -> u32 {
    let count = context.count(section, "max_pages");
    if let (Some(0), Some(entry)) = (count, section.entry("max_pages")) {
        context
            .error(code::RANGE, &entry.value.span, "`max_pages` must be at least 1")
            .help("write `behavior: expose` to let the caller ask for pages");
    }
    count.map_or(DEFAULT_MAX_PAGES, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// Reads `has_more`; authors also write comparisons there, which DADL does not have. What is neither
/// has no effect, which matters only where this program walks through the pages.
fn lower_condition<'tree>(
    response: &YamlSection<'tree>,
    is_auto: bool,
    context: &mut LowerContext<'tree>,
) -> Option<AnswerCondition> {
    let text = context.text(response, "has_more")?;
    let reason = match AnswerCondition::compile(text.value) {
        Ok(condition) => {
            if !condition.is_path() {
                context
                    .warning(code::JSON_PATH, &text.span, "`has_more` is a comparison, not a path")
                    .label("works here, but DADL does not have it")
                    .help("name a boolean of the answer, such as `$.has_more`, if there is one");
            }
            return Some(condition);
        }
        Err(error) => error.to_string(),
    };
    if is_auto {
        context
            .error(code::JSON_PATH, &text.span, "`has_more` is not JSONPath")
            .label(reason)
            .help("a path begins with `$`, such as `$.has_more`");
    } else {
        context
            .warning(code::INERT, &text.span, "`has_more` is not JSONPath and has no effect")
            .label(reason)
            .help("name a boolean of the answer, such as `$.has_more`, or remove the key");
    }
    None
}

fn lower_header<'tree>(
    response: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Option<HeaderName> {
    let text = context.text(response, key)?;
    let name = HeaderName::from_bytes(text.value.as_bytes()).ok();
    if name.is_none() {
        let message = format!("`{}` is not the name of a header", text.value);
        context.error(code::HEADER_PARAM, &text.span, message);
    }
    name
}
