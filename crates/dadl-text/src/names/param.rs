//! Names of parameters.

/// Returns whether a parameter can have this name.
pub fn is_usable(name: &str) -> bool {
    is_usable_with_blanks(name) && !name.contains(' ')
}

/// Returns whether a member of a query or of a body can have this name: there may be blanks in it,
/// though not at its ends, where nobody would see them.
pub fn is_usable_with_blanks(name: &str) -> bool {
    let is_odd = |other: char| other.is_control() || (other.is_whitespace() && other != ' ');
    !name.is_empty() && name.trim() == name && !name.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_stand_within_a_name_alone() {
        for (name, plainly, with_blanks) in [
            ("sort", true, true),
            ("sort by", false, true),
            (" sort", false, false),
            ("sort ", false, false),
            ("sort\tby", false, false),
            ("sort\u{a0}by", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_usable(name), plainly, "{name:?}");
            assert_eq!(is_usable_with_blanks(name), with_blanks, "{name:?}");
        }
    }
}
