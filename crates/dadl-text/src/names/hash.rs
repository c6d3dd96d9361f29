//! Names that stay apart, because a hash of what they stand for is at their end.

use sha2::{Digest as _, Sha256};

use crate::text;

/// The hexadecimal digits of a hash in a name.
const DIGITS: usize = 6;

/// The bytes that [`suffixed`] puts behind a name.
pub const SUFFIX: usize = DIGITS + 1;

/// Returns a name of at most `max` characters: its stem, cut if needed, and a hash of what it
/// stands for.
pub fn suffixed(stem: &str, identity: &[u8], max: usize) -> String {
    let hash = text::hex_text(&Sha256::digest(identity));
    let stem = text::text_head(stem, max.saturating_sub(SUFFIX)).trim_end_matches('_');
    format!("{stem}_{}", text::text_head(&hash, DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_before_its_hash() {
        let name = suffixed("list_virtual_machines", b"x", 20);
        assert_eq!(name, "list_virtual_2d7116");
        assert!(suffixed("list", b"x", 20).starts_with("list_"));
        assert_ne!(suffixed("list", b"x", 20), suffixed("list", b"y", 20));
    }
}
