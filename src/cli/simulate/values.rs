//! Values of the flags of `simulate`, from their text.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use dadl_descriptor::units;
use dadl_simulator::PRODUCTS;

/// What to write instead of a value that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum ValueError {
    #[error("write a duration such as 30s or 1m30s")]
    Duration,
    #[error("write a size such as 512KB or 100MB")]
    Size,
    #[error("a token is made of ASCII letters, digits and signs")]
    Token,
}

/// What a server of the Model Context Protocol is called among the products.
pub(in crate::cli) const MCP: &str = "mcp";

/// The names of the products that can be simulated.
pub(in crate::cli) fn products() -> PossibleValuesParser {
    let products = PRODUCTS.iter().map(|it| PossibleValue::new(it.name).help(it.title));
    let server =
        PossibleValue::new(MCP).help("an MCP server, on standard input and output or over HTTP");
    PossibleValuesParser::new(products.chain([server]))
}

/// Reads a credential that any header field can hold.
pub(in crate::cli) fn parse_token(text: &str) -> Result<String, ValueError> {
    let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| text.to_owned()).ok_or(ValueError::Token)
}

/// Reads `30s` and `1m30s`.
pub(in crate::cli) fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    units::parse_duration(text).ok_or(ValueError::Duration)
}

/// Reads `100MB`.
pub(in crate::cli) fn parse_size(text: &str) -> Result<u64, ValueError> {
    units::parse_size(text).ok_or(ValueError::Size)
}
