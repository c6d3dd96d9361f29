//! `response`: how a 2xx answer becomes a result.

use std::time::Duration;

use super::context::{LowerContext, YamlSection};
use crate::{
    code,
    model::{ResponseRules, StreamHandling, StreamRules},
    yaml::YamlValue,
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
    parent: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<ResponseRules> {
    let section = context.subsection(parent, "response", KEYS)?;
    // For programs that read pages by it; this one reads the whole answer for that.
    context.json_path(&section, "metadata_path");
    let streaming = lower_streaming(&section, context);
    let is_file = match context.text(&section, "type") {
        Some(text) if text.value == "file_url" => true,
        Some(text) => {
            let message = format!("unknown type of a response `{}`", text.value);
            context
                .warning(code::RESPONSE_TYPE, &text.span, message)
                .label("ignored: the content type of the answer decides")
                .help("the one type is `file_url`, which saves the answer to a file");
            false
        }
        None => false,
    };
    let binary = context.boolean(&section, "binary").unwrap_or_default() || is_file;
    let ttl = lower_ttl(&section, binary, context);
    if binary {
        without_effect_on_a_file(&section, context);
    }
    if let Some(entry) = section.entry("redact") {
        context.since_v02(&section, "redact");
        context.requires_feature(entry, "redact");
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
        ttl,
        content_type: context.string(&section, "content_type"),
        streaming,
        is_private: false,
    })
}

fn lower_streaming<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> StreamRules {
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
    StreamRules {
        is_declared,
        handling: handling.filter(|_| is_declared).unwrap_or_default(),
        max_duration: max_duration.filter(|_| is_declared),
    }
}

/// Reads how long a saved answer is kept.
fn lower_ttl<'tree>(
    section: &YamlSection<'tree>,
    binary: bool,
    context: &mut LowerContext<'tree>,
) -> Option<Duration> {
    let entry = section.entry("ttl")?;
    let ttl = context.duration(section, "ttl")?;
    if ttl.is_zero() {
        context.error(code::RANGE, &entry.value.span, "`ttl` must be longer than zero");
        return None;
    }
    if !binary {
        // An answer can turn out to be binary without anybody saying so.
        context
            .warning(code::FILE_TTL, &entry.key_span, "`ttl` says how long a file is kept")
            .label("nothing says that the answer is one")
            .help("write `type: file_url` beside it");
    }
    Some(ttl)
}

/// Reports rules that look into an answer which nobody reads.
fn without_effect_on_a_file<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) {
    for key in ["result_path", "metadata_path", "transform", "max_items", "allow_jq_override"] {
        let Some(entry) = section.entry(key) else { continue };
        // `$` is the whole answer, which a file is.
        let is_whole = match &entry.value.value {
            YamlValue::String(text) => matches!(text.trim(), "$" | "."),
            YamlValue::Bool(value) => !value,
            _ => false,
        };
        if !is_whole {
            let message = format!("`{key}` has no effect on an answer that is saved to a file");
            context.warning(code::FILE_RULE, &entry.key_span, message);
        }
    }
    if let Some(entry) = section.entry("redact")
        && !matches!(&entry.value.value, YamlValue::Sequence(items) if items.is_empty())
    {
        context
            .warning(
                code::FILE_REDACTION,
                &entry.key_span,
                "nothing can be hidden in an answer that is saved to a file",
            )
            .label("every call ends in an error")
            .help("remove `redact`, or return the answer as JSON");
    }
}
