//! `response.transform`: a jq program, compiled while loading.

use std::ops::Range;

use super::context::{LowerContext, YamlSection, YamlText};
use crate::{code, jq::JqFilter, model::json_path::JsonPath, source::SourceText};

/// Lowers the `transform` of a `response`, which works on what `result_path` selects.
pub(super) fn lower<'tree>(
    section: &YamlSection<'tree>,
    result_path: Option<&JsonPath>,
    context: &mut LowerContext<'tree>,
) -> Option<JqFilter> {
    let text = context.text(section, "transform")?;
    // Aliases give the same text to many tools.
    let known = context.filters.iter().find(|(known, _)| *known == text.value);
    let compiled = match known {
        Some((_, compiled)) => compiled.clone(),
        None => {
            let compiled = match context.compiles_programs() {
                true => JqFilter::new(text.value),
                false => Ok(JqFilter::known(text.value)),
            };
            context.filters.push((text.value, compiled.clone()));
            compiled
        }
    };
    match compiled {
        Ok(filter) => {
            warn_repeats(&text, result_path, context);
            Some(filter)
        }
        Err(error) => {
            let span = match &error.span {
                Some(range) => place_in_file(&text, context.source, range),
                None => text.span.clone(),
            };
            context
                .error(code::TRANSFORM, &span, "`transform` is not a jq program")
                .label(error.message)
                .help("try the program with `jq` on an answer of the API");
            None
        }
    }
}

/// Returns where `range` of a program is in the file, also when the program is an indented block.
fn place_in_file(text: &YamlText<'_>, source: &SourceText, range: &Range<usize>) -> Range<usize> {
    let part = text.part(source, range);
    if part != text.span {
        return part;
    }
    in_block(text, source, range).unwrap_or(part)
}

/// Finds the line of the program that `range` begins in among the indented lines of the file.
fn in_block(
    text: &YamlText<'_>,
    source: &SourceText,
    range: &Range<usize>,
) -> Option<Range<usize>> {
    let before = text.value.get(..range.start)?;
    let number = before.matches('\n').count();
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.value.lines().nth(number).unwrap_or_default();
    let block = source.slice(text.span.clone());
    let first = text.value.lines().find(|line| !line.trim().is_empty())?.trim();
    let skipped = text.value.lines().take_while(|line| line.trim().is_empty()).count();
    let mut at = text.span.start;
    let lines: Vec<(usize, &str)> = block
        .split_inclusive('\n')
        .map(|line| {
            at += line.len();
            (at - line.len(), line)
        })
        .collect();
    let begin = lines.iter().position(|(_, line)| line.trim() == first)?;
    let (start, indented) = lines.get((begin + number).checked_sub(skipped)?)?;
    let column = column + indented.find(line.trim_end()).filter(|_| !line.trim().is_empty())?;
    let start = (start + column).min(text.span.end);
    let end = (start + range.len()).min(text.span.end);
    Some(start..end.max(start))
}

/// Warns when the program begins with the path that `result_path` took already.
fn warn_repeats<'tree>(
    text: &YamlText<'tree>,
    taken: Option<&JsonPath>,
    context: &mut LowerContext<'tree>,
) {
    let Some(taken) = taken.and_then(|path| path.as_str().strip_prefix('$')) else { return };
    if !taken.starts_with('.') || taken.contains(['[', '*', '-']) {
        return;
    }
    let start =
        text.value.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '[' | '('));
    let offset = text.value.len() - start.len();
    let ends = start
        .strip_prefix(taken)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    // `$.data` with `.data // .`: the program knows that the path may be gone.
    if !ends || text.value.contains("//") || text.value.contains('?') {
        return;
    }
    let span = place_in_file(text, context.source, &(offset..offset + taken.len()));
    context
        .warning(
            code::TRANSFORM_PATH,
            &span,
            format!("`transform` begins with `{taken}`, which `result_path` has taken already"),
        )
        .label("the program runs on what `result_path` selects")
        .help("remove the path from the program, or remove `result_path`");
}
