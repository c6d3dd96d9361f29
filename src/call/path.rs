//! The path of a request: the base path and the tool's template, joined as text.
//!
//! Nothing is ever resolved: URL parsers remove dot segments, `%2e` spellings included, and that
//! is how an argument `..` reaches operations that the descriptor does not have. A path that a
//! parser would change is refused.

use std::borrow::Cow;

use dadl_descriptor::model::{Param, ParamLocation, ParamStyle, template::TemplatePiece};
use dadl_text::names::path::is_dot_segment;
use serde_json::Value;

use super::{ArgumentProblem, BaseUrl, CallArguments, encode, style};
use crate::catalog::EntryParam;

/// Returns the encoded path below `base`, which may be empty.
pub(super) fn compose_path(
    base: &BaseUrl,
    pieces: &[TemplatePiece],
    arguments: &CallArguments,
    problems: &mut Vec<ArgumentProblem>,
) -> String {
    let mut path = String::with_capacity(64);
    path.push_str(base.path());
    let starts_with_slash =
        matches!(pieces.first(), Some(TemplatePiece::Literal(text)) if text.starts_with('/'));
    if !pieces.is_empty() && !starts_with_slash {
        path.push('/');
    }
    let mut segment = SegmentWriter { start: path.len(), properties: Vec::new() };
    for piece in pieces {
        match piece {
            TemplatePiece::Literal(text) => {
                for (at, part) in text.split('/').enumerate() {
                    if at > 0 {
                        segment.finish(&path, problems);
                        path.push('/');
                        segment.start = path.len();
                    }
                    encode::push_text(&mut path, part);
                }
            }
            TemplatePiece::Placeholder(name) => {
                let given = arguments.named().find(|(EntryParam { param, .. }, _)| {
                    param.is_in(ParamLocation::Path) && *param.name == **name
                });
                let parts = given.and_then(|(param, value)| path_parts(&param.param, value));
                match (given, parts) {
                    (Some((param, _)), Some(parts)) => {
                        for (at, part) in parts.iter().enumerate() {
                            if at > 0 {
                                segment.finish(&path, problems);
                                path.push('/');
                                segment.start = path.len();
                            }
                            if part.is_empty() {
                                let reason = "has an empty part, which would name something else";
                                problems.push(ArgumentProblem::value(&param.property, reason));
                            }
                            path.push_str(part);
                            segment.properties.push(param.property.clone());
                        }
                    }
                    // `check` refuses these two, but for a list without items; a plan without a
                    // value would name the collection instead of its member.
                    (Some((param, _)), None) => {
                        let reason = "cannot be part of a path";
                        problems.push(ArgumentProblem::value(&param.property, reason));
                    }
                    (None, _) => {
                        problems.push(ArgumentProblem::value(name, "is required by the path"));
                    }
                }
            }
        }
    }
    segment.finish(&path, problems);
    path
}

/// Returns what a value writes into the path, encoded: one part, or one for each segment.
fn path_parts(param: &Param, value: &Value) -> Option<Vec<String>> {
    match param.form.style {
        ParamStyle::Usual => Some(vec![encode::encode_value(&encode::scalar_text(value)?)]),
        ParamStyle::Json => Some(vec![encode::encode_value(&style::json_text(param, value)?)]),
        ParamStyle::Listed { .. } => {
            Some(vec![style::one_text(param, value, encode::encode_value)?])
        }
        ParamStyle::Segments => match value {
            Value::Array(items) => {
                let items: Option<Vec<Cow<'_, str>>> =
                    items.iter().map(encode::scalar_text).collect();
                let parts =
                    items?.iter().map(|item| encode::encode_value(item)).collect::<Vec<_>>();
                (!parts.is_empty()).then_some(parts)
            }
            scalar => {
                let text = encode::scalar_text(scalar)?;
                Some(text.split('/').map(encode::encode_value).collect())
            }
        },
    }
}

/// The segment that is being written.
struct SegmentWriter {
    start: usize,
    /// The properties whose values are part of it.
    properties: Vec<String>,
}

impl SegmentWriter {
    /// Reports a segment that would climb or vanish.
    fn finish(&mut self, path: &str, problems: &mut Vec<ArgumentProblem>) {
        let properties = std::mem::take(&mut self.properties);
        if !is_dot_segment(path.get(self.start..).unwrap_or_default()) {
            return;
        }
        let reason = "makes a path segment `.` or `..`, which would name something else";
        // Without a value it is the template's fault, which the loader reports.
        let name = if properties.is_empty() { "path".to_owned() } else { properties.join("`, `") };
        problems.push(ArgumentProblem::value(&name, reason));
    }
}
