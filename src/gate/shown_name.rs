//! Names of tools, backends and arguments, as a question shows them.

use dadl_text::text;

/// So much of a name is shown.
pub(super) const LONGEST_NAME: usize = 120;

/// Writes a name, in quotes unless it is a plain word.
pub(super) fn quoted_name(name: &str) -> String {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let quoted = text::quoted_text(name, LONGEST_NAME);
    let bare = quoted.trim_matches('"');
    if bare == name && !name.is_empty() && name.bytes().all(is_word) {
        name.to_owned()
    } else {
        quoted
    }
}
