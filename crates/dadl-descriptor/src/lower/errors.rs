//! `errors`: how a non-2xx answer is read and when a request is repeated.

use std::{collections::HashSet, ops::Range};

use http::HeaderName;

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    code,
    model::{Backoff, ErrorFormat, ErrorRules, RateLimitHeaders, RetryStrategy},
    yaml::{YamlNode, YamlValue},
};

const KEYS: &[&str] = &[
    "format",
    "message_path",
    "code_path",
    "retry_on",
    "terminal",
    "retry_strategy",
    "rate_limit",
    "map",
];

/// More retries than this are a mistake, whatever the delay.
const MAX_RETRIES: u64 = 100;

/// Lowers the `errors` of a tool or of the defaults; `None` when it has none.
pub(super) fn lower<'tree>(
    parent: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<ErrorRules> {
    let section = context.subsection(parent, "errors", KEYS)?;
    let formats =
        [("json", ErrorFormat::Json), ("text", ErrorFormat::Text), ("xml", ErrorFormat::Xml)];
    let format = context
        .text(&section, "format")
        .and_then(|text| context.choice(&text, "error format", &formats));
    let retry_on = lower_statuses(&section, "retry_on", context);
    let terminal = lower_statuses(&section, "terminal", context);
    let finals: HashSet<u16> = terminal.iter().map(|(status, _)| *status).collect();
    for (status, span) in &retry_on {
        if finals.contains(status) {
            context
                .error(
                    code::RETRY_CONFLICT,
                    span,
                    format!("{status} is in `retry_on` and in `terminal`"),
                )
                .help("remove it from one of the two");
        }
    }
    Some(ErrorRules {
        format: format.unwrap_or_default(),
        message_path: context.json_path(&section, "message_path"),
        code_path: context.json_path(&section, "code_path"),
        retry_on: retry_on.into_iter().map(|(status, _)| status).collect(),
        terminal: terminal.into_iter().map(|(status, _)| status).collect(),
        retry: retry_strategy(&section, context),
        rate_limit: rate_limit(&section, context),
        map: lower_hints_by_status(&section, context),
        messages: Vec::new(),
        failed: Vec::new(),
        results: Vec::new(),
        hints: [].into(),
    })
}

fn lower_statuses<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Vec<(u16, Range<usize>)> {
    let nodes = context.items(section, key);
    statuses_of(nodes, key, context)
}

pub(super) fn statuses_of<'tree>(
    nodes: &'tree [YamlNode<'tree>],
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Vec<(u16, Range<usize>)> {
    let mut statuses = Vec::new();
    for item in nodes {
        let YamlValue::Number(number, text) = &item.value else {
            context.wrong_type(item, &format!("an item of `{key}`"), "a number");
            continue;
        };
        let status = number.as_u64().and_then(|status| u16::try_from(status).ok());
        match status.filter(|status| (100..=599).contains(status)) {
            Some(status) => statuses.push((status, item.span.clone())),
            None => {
                context
                    .error(code::STATUS, &item.span, format!("{text} is not an HTTP status"))
                    .help("statuses are between 100 and 599");
            }
        }
    }
    statuses
}

fn retry_strategy<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> RetryStrategy {
    let usual = RetryStrategy::default();
    let keys = ["max_retries", "backoff", "initial_delay"];
    let Some(section) = context.subsection(section, "retry_strategy", &keys) else {
        return usual;
    };
    let max_retries = context.count(&section, "max_retries");
    if let (Some(count), Some(entry)) = (max_retries, section.entry("max_retries"))
        && count > MAX_RETRIES
    {
        context
            .error(code::RANGE, &entry.value.span, format!("{count} retries are too many"))
            .help(format!("write at most {MAX_RETRIES}"));
    }
    let backoffs = [
        ("exponential", Backoff::Exponential),
        ("linear", Backoff::Linear),
        ("fixed", Backoff::Fixed),
    ];
    let backoff = context
        .text(&section, "backoff")
        .and_then(|text| context.choice(&text, "backoff", &backoffs));
    RetryStrategy {
        max_retries: max_retries
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(usual.max_retries),
        backoff: backoff.unwrap_or(usual.backoff),
        initial_delay: context.duration(&section, "initial_delay").unwrap_or(usual.initial_delay),
    }
}

fn rate_limit<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<RateLimitHeaders> {
    let keys = ["header", "retry_after_header"];
    let section = context.subsection(section, "rate_limit", &keys)?;
    let mut field = |key: &'static str| {
        let text = context.text(&section, key)?;
        let name = HeaderName::from_bytes(text.value.as_bytes()).ok();
        if name.is_none() {
            let message = format!("`{}` is not the name of a header", text.value);
            context.error(code::HEADER_PARAM, &text.span, message);
        }
        name
    };
    Some(RateLimitHeaders { remaining: field("header"), reset: field("retry_after_header") })
}

fn lower_hints_by_status<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<(u16, String)> {
    context.since_v02(section, "map");
    let Some(entry) = section.entry("map") else { return Vec::new() };
    let place = MappingPlace::Key("map");
    let Some(codes) = context.open(&entry.value, &entry.key_span, place) else {
        return Vec::new();
    };
    let mut map = Vec::new();
    for entry in codes.entries() {
        let status = entry.key.parse::<u16>().ok();
        let Some(status) = status.filter(|status| (300..=599).contains(status)) else {
            context
                .error(
                    code::ERROR_MAP,
                    &entry.key_span,
                    format!("`{}` is not a 3xx, 4xx or 5xx status", entry.key),
                )
                .help("errors are mapped by single statuses, such as `404: not_found`");
            continue;
        };
        if let Some(text) = context.node_text(&entry.value, "a semantic code") {
            map.push((status, text.value.to_owned()));
        }
    }
    map
}
