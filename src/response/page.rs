//! Bounds a list, and finds the way to the page after this one.

use std::fmt;

use dadl_descriptor::model::{PageStrategy, Pagination};
use dadl_text::json::cost;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    call::CallArguments,
    catalog::CatalogEntry,
    outcome::{JsonText, NextPage},
};

/// Returns the sentence about a list of `total` items when it has to be cut.
pub(crate) fn cut_note(total: usize, max_items: Option<usize>) -> Option<String> {
    let most = max_items.filter(|most| total > *most)?;
    Some(format!("cut to the first {most} of {total} items; narrow the call to see the others"))
}

/// What an answer says about pages; read before the answer is taken apart.
#[derive(Debug, Default)]
pub(crate) struct PageSignals {
    /// `has_more`.
    has_more: Option<bool>,
    /// `next_cursor`, unless it marks the end.
    cursor: Option<Value>,
    /// The target of `rel="next"`.
    link: Option<Url>,
    /// The number of pages.
    pages: Option<u64>,
    /// The number of items on all pages.
    total: Option<u64>,
}

impl PageSignals {
    /// Reads the answer of a request to `url`.
    pub(crate) fn read(
        pagination: &Pagination,
        url: &Url,
        headers: &HeaderMap,
        body: &JsonText,
    ) -> Self {
        let header = |name: &Option<HeaderName>| -> Option<u64> {
            headers.get(name.as_ref()?)?.to_str().ok()?.trim().parse().ok()
        };
        let next = match &pagination.strategy {
            PageStrategy::Cursor { next, .. } => next.as_ref(),
            _ => None,
        };
        let body = body.as_str();
        let is_link = matches!(pagination.strategy, PageStrategy::LinkHeader { .. });
        Self {
            has_more: pagination.has_more.as_ref().and_then(|condition| condition.holds(body)),
            cursor: next
                .and_then(|path| path.look(body))
                .filter(|cursor| !matches!(*cursor, "null" | "\"\""))
                .and_then(cost::small),
            link: if is_link { link_next(headers, url) } else { None },
            pages: header(&pagination.total_pages),
            total: header(&pagination.total_count),
        }
    }
}

/// One page.
#[derive(Clone, Copy)]
pub(crate) struct ResultPage<'page> {
    /// What was asked, the defaults included.
    pub(crate) arguments: &'page CallArguments,
    /// Where it was asked.
    pub(crate) url: &'page Url,
    /// What the answer says.
    pub(crate) signals: &'page PageSignals,
    /// The length of its list, when it has one.
    pub(crate) items: Option<usize>,
    /// How many items the pages before it had.
    pub(crate) before: usize,
}

/// What a page says about the one after it.
#[derive(Debug, PartialEq)]
pub(crate) struct FollowingPage {
    /// Whether there is one.
    pub(crate) more: MorePages,
    /// How to get it, if there is one and the answer or the strategy tells.
    pub(crate) step: Option<PageStep>,
    /// The number of items on all pages, when the answer says.
    pub(crate) total: Option<u64>,
}

/// Whether another page follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MorePages {
    /// The answer says so.
    Yes,
    /// The answer says that there is none.
    No,
    /// The answer does not say. This page is as long as was asked for.
    Full,
    /// The answer does not say. This page is shorter than was asked for, or nothing was: the last
    /// one, or a server that gives fewer items than it is asked for.
    Unknown,
}

/// The way to a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PageStep {
    /// A parameter, by its name on the wire, with another value.
    Argument(String, Value),
    /// A URL that the backend gave.
    Target(Url),
}

/// Works out the page after `page`.
pub(crate) fn following_page(pagination: &Pagination, page: ResultPage<'_>) -> FollowingPage {
    let number = |name: &Option<String>| {
        name.as_deref().and_then(|name| page.arguments.get(name)).and_then(Value::as_u64)
    };
    let items = page.items.unwrap_or_default() as u64;
    let at_offset = |param: &Option<String>| number(param).unwrap_or(page.before as u64);
    let PageSignals { total, .. } = *page.signals;
    let limit = number(&pagination.limit_param).or(pagination.limit_default);
    // Where this page ends, counted from the first item of all. A caller who began in the middle
    // may not have told where that is.
    let end = || {
        let is_first_asked = page.before == 0;
        let named = |param: &Option<String>| {
            param.as_deref().is_some_and(|param| page.arguments.get(param).is_some())
        };
        let skipped = match &pagination.strategy {
            PageStrategy::Offset { param } => at_offset(param),
            PageStrategy::Page { param } if is_first_asked => {
                (number(param).unwrap_or(1).saturating_sub(1)).checked_mul(limit.unwrap_or(0))?
            }
            PageStrategy::Cursor { param, .. } | PageStrategy::LinkHeader { param }
                if is_first_asked && named(param) =>
            {
                return None;
            }
            _ => page.before as u64,
        };
        Some(skipped.saturating_add(items))
    };
    let by_total = || Some(end()? < total?);
    let by_pages = || match &pagination.strategy {
        PageStrategy::Page { param } => Some(number(param).unwrap_or(1) < page.signals.pages?),
        _ => None,
    };
    let says = page.signals.has_more.or_else(by_pages).or_else(by_total);
    let is_full = page.items.is_some() && limit.is_some_and(|limit| limit > 0 && items >= limit);
    let counted = match says {
        Some(true) => MorePages::Yes,
        Some(false) => MorePages::No,
        None if page.items == Some(0) => MorePages::No,
        None if is_full => MorePages::Full,
        None => MorePages::Unknown,
    };
    let argument = |param: &Option<String>, value: Value| {
        param.as_ref().map(|param| PageStep::Argument(param.clone(), value))
    };
    let (more, step) = match &pagination.strategy {
        PageStrategy::Cursor { param, next } => {
            let cursor = page.signals.cursor.as_ref();
            let step = cursor.and_then(|cursor| by_cursor(param.as_deref(), cursor, page.url));
            // Without a cursor there is no way on, and by its absence servers mark the end.
            match (says, &step) {
                (None, Some(_)) => (MorePages::Yes, step),
                (None, None) if next.is_some() => (MorePages::No, None),
                _ => (counted, step),
            }
        }
        PageStrategy::LinkHeader { param } => {
            let target = page.signals.link.clone();
            let step = target.map(|target| by_link(param.as_deref(), target));
            match says {
                Some(false) => (MorePages::No, None),
                _ if step.is_some() => (MorePages::Yes, step),
                _ => (MorePages::No, None),
            }
        }
        PageStrategy::Offset { param } => {
            (counted, argument(param, json!(at_offset(param).saturating_add(items))))
        }
        PageStrategy::Page { param } => {
            (counted, argument(param, json!(number(param).unwrap_or(1).saturating_add(1))))
        }
    };
    let step = step.filter(|_| more != MorePages::No);
    FollowingPage { more, step, total }
}

/// A cursor is a value for its parameter, or a URL that has it in its query.
fn by_cursor(param: Option<&str>, cursor: &Value, url: &Url) -> Option<PageStep> {
    let target = cursor
        .as_str()
        .filter(|text| {
            text.starts_with("http://") || text.starts_with("https://") || text.starts_with('/')
        })
        .and_then(|text| url.join(text).ok());
    match target {
        Some(target) => {
            if param.is_some_and(|param| query_value(&target, param).is_none()) {
                return Some(PageStep::Argument(param?.to_owned(), cursor.clone()));
            }
            Some(by_link(param, target))
        }
        None => Some(PageStep::Argument(param?.to_owned(), cursor.clone())),
    }
}

/// Takes the page out of a URL: behind a proxy a server may not know its own host.
fn by_link(param: Option<&str>, target: Url) -> PageStep {
    let named = param.and_then(|param| Some((param, query_value(&target, param)?)));
    match named {
        Some((param, value)) => PageStep::Argument(param.to_owned(), Value::String(value)),
        None => PageStep::Target(target),
    }
}

fn query_value(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

/// What the caller of one page needs to know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PageNote {
    /// Arguments bring the next page.
    Next(NextPage),
    /// There is more, and no arguments that bring it.
    Note(String),
}

/// Tells the caller how to go on after a page of `items`; nothing where that seems to be all.
pub(crate) fn page_note(
    entry: &CatalogEntry,
    pagination: &Pagination,
    following: FollowingPage,
    items: Option<usize>,
) -> Option<PageNote> {
    let is_worth_saying = matches!(following.more, MorePages::Yes | MorePages::Full);
    if !is_worth_saying {
        return None;
    }
    let all = TotalSuffix(following.total);
    if let Some(PageStep::Argument(wire, value)) = following.step
        && let Some(property) = wire_property(entry, &wire)
    {
        let arguments = Map::from_iter([(property.to_owned(), value)]);
        return Some(PageNote::Next(NextPage {
            reason: format!("there may be more{all}"),
            arguments,
        }));
    }
    // No parameter brings the next page, but a larger limit may bring more.
    let limit = pagination.limit_param.as_deref().and_then(|param| wire_property(entry, param));
    Some(PageNote::Note(match (items, limit) {
        (Some(items), Some(limit)) => {
            format!("this page is full ({items} items): there may be more{all}; raise {limit}")
        }
        _ => format!("there is more than this page shows{all}"),
    }))
}

/// Writes ` (120 in all)`, or nothing.
pub(crate) struct TotalSuffix(pub(crate) Option<u64>);

impl fmt::Display for TotalSuffix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(total) => write!(formatter, " ({total} in all)"),
            None => Ok(()),
        }
    }
}

/// Returns the name under which hosts know a wire parameter.
pub(crate) fn wire_property<'entry>(
    entry: &'entry CatalogEntry,
    wire: &str,
) -> Option<&'entry str> {
    let known = entry.params.iter().find(|known| known.param.name == wire)?;
    Some(&known.property)
}

/// Returns the target of `rel="next"` in the `Link` fields (RFC 8288), resolved against `url`.
pub(crate) fn link_next(headers: &HeaderMap, url: &Url) -> Option<Url> {
    headers
        .get_all(http::header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse_links)
        .find(|(_, parameters)| is_next(parameters))
        .and_then(|(target, _)| url.join(target).ok())
}

/// Splits a field into targets and their parameters. Commas occur in both, which is why a link
/// begins at `<` outside of quotes.
fn parse_links(field: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = field;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        let mut quoted = false;
        let mut escaped = false;
        let end = after.find(|character| {
            match character {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ',' if !quoted => return true,
                _ => {}
            }
            false
        });
        let (parameters, next) =
            after.split_at_checked(end.unwrap_or(after.len())).unwrap_or((after, ""));
        links.push((target.trim(), parameters));
        rest = next;
    }
    links
}

/// Returns whether the relation types of a link include `next`.
fn is_next(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn next(fields: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(http::header::LINK, HeaderValue::from_static(field));
        }
        let url = Url::parse("https://h/api/x?page=1").unwrap();
        link_next(&headers, &url).map(String::from)
    }

    #[test]
    fn the_next_page_is_read_from_the_link_header() {
        let both =
            r#"</x?page=1>; rel="prev", <https://api.example/x?per_page=5&page=3>; rel="next""#;
        assert_eq!(next(&[both]).unwrap(), "https://api.example/x?per_page=5&page=3");
        assert_eq!(next(&["<?page=2>;rel=next"]).unwrap(), "https://h/api/x?page=2");
        assert_eq!(next(&["</a>; rel=last", "</b>; Rel=\"last next\""]).unwrap(), "https://h/b");
        assert_eq!(
            next(&[r#"</a,b>; title="x, <y>; rel=next"; rel="next""#]).unwrap(),
            "https://h/a,b"
        );
        assert_eq!(next(&["</a>; rel=prev"]), None);
        assert_eq!(next(&["</a", "nonsense", "<>", ""]), None);
    }
}
