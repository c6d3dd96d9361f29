//! `response`: how a 2xx answer becomes a result.

use super::context::{Context, Section};
use crate::descriptor::{
    code,
    model::{ResponseRules, StreamHandling, Streaming},
};

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
    for key in ["ttl"] {
        if let Some(entry) = section.entry(key) {
            context.unsupported(&entry.key_span, format_args!("`response.{key}`"));
        }
    }
    // For programs that read pages by it; this one reads the whole answer for that.
    context.json_path(&section, "metadata_path");
    let streaming = streaming(&section, context);
    if let Some(text) = context.text(&section, "type") {
        context.unsupported(&text.span, format_args!("`response.type: {}`", text.value));
    }
    if let Some(entry) = section.entry("redact") {
        context.since_v02(&section, "redact");
        context.requires_feature(entry, "redact");
    }
    let binary = context.boolean(&section, "binary").unwrap_or_default();
    for key in ["allow_jq_override", "transform"] {
        if binary && let Some(entry) = section.entry(key) {
            let message = format!("`{key}` has no effect on a binary answer");
            context
                .warning(code::INERT, &entry.key_span, message)
                .label("the answer goes to a file as it is");
        }
    }
    let result_path = context.json_path(&section, "result_path");
    Some(ResponseRules {
        transform: super::transform::lower(&section, result_path.as_ref(), context),
        allow_jq: context.boolean(&section, "allow_jq_override").unwrap_or_default(),
        result_path,
        redact: context.json_paths(&section, "redact"),
        max_items: context
            .count(&section, "max_items")
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        binary,
        content_type: context.string(&section, "content_type"),
        streaming,
    })
}

fn streaming<'tree>(section: &Section<'tree>, context: &mut Context<'tree>) -> Streaming {
    let handlings = [("collect", StreamHandling::Collect), ("skip", StreamHandling::Skip)];
    let is_declared = context.boolean(section, "streaming").unwrap_or_default();
    for key in ["stream_handling", "max_duration"] {
        if let Some(entry) = section.entry(key).filter(|_| !is_declared) {
            let message = format!("`{key}` has no effect without `streaming: true`");
            context.warning(code::INERT, &entry.key_span, message).help("add `streaming: true`");
        }
    }
    let handling = context
        .text(section, "stream_handling")
        .and_then(|text| context.choice(&text, "stream handling", &handlings));
    let max_duration = context.duration(section, "max_duration");
    Streaming {
        is_declared,
        handling: handling.filter(|_| is_declared).unwrap_or_default(),
        max_duration: max_duration.filter(|_| is_declared),
    }
}
