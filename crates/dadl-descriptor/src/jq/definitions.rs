//! Definitions that belong to the program.

use jaq_core::load::parse;

/// Parses definitions that belong to the program.
pub(super) fn definitions(text: &'static str) -> Vec<parse::Def<&'static str>> {
    parse(text, |parser| parser.defs()).unwrap_or_default()
}
