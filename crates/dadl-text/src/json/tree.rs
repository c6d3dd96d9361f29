//! Trees of JSON texts that are small enough for one.
//!
//! They are built here and not where they are wanted, because this library is compiled for speed.

use serde_json::Value;

/// Builds the tree of a text.
///
/// # Errors
///
/// The text is no JSON, is nested too deeply, or has half of a surrogate pair.
#[inline(never)]
pub fn read_tree(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}
