//! `response`: how a 2xx answer becomes a result.

use super::context::{Context, Section};
use crate::descriptor::model::ResponseRules;

const KEYS: &[&str] = &[
    "result_path",
    "metadata_path",
    "transform",
    "max_items",
    "allow_jq_override",
    "redact",
    "type",
    "ttl",
    "binary",
    "content_type",
    "streaming",
    "stream_handling",
    "max_duration",
];

/// Lowers the `response` of a tool or of the defaults; `None` when it has none.
pub(super) fn lower<'tree>(
    parent: &Section<'tree>,
    context: &mut Context<'tree>,
) -> Option<ResponseRules> {
    let section = context.subsection(parent, "response", KEYS)?;
    for key in ["metadata_path", "transform", "ttl", "max_duration"] {
        if let Some(entry) = section.entry(key) {
            context.unsupported(&entry.key_span, format_args!("`response.{key}`"));
        }
    }
    for key in ["allow_jq_override", "streaming"] {
        if context.boolean(&section, key) == Some(true)
            && let Some(entry) = section.entry(key)
        {
            context.unsupported(&entry.key_span, format_args!("`{key}: true`"));
        }
    }
    if let Some(text) = context.text(&section, "stream_handling") {
        let known = context.choice(&text, "stream handling", &[("collect", ()), ("skip", ())]);
        if known.is_some() {
            context.unsupported(&text.span, "`response.stream_handling`");
        }
    }
    if let Some(text) = context.text(&section, "type") {
        context.unsupported(&text.span, format_args!("`response.type: {}`", text.value));
    }
    if let Some(entry) = section.entry("redact") {
        context.since_v02(&section, "redact");
        context.requires_feature(entry, "redact");
    }
    Some(ResponseRules {
        result_path: context.json_path(&section, "result_path"),
        redact: context.json_paths(&section, "redact"),
        max_items: context
            .count(&section, "max_items")
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        binary: context.boolean(&section, "binary").unwrap_or_default(),
        content_type: context.string(&section, "content_type"),
    })
}
