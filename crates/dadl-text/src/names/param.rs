//! Names of parameters.

/// Returns whether a parameter can have this name. Within a pair of a query and a member of a body
/// there may be blanks, though not at its ends, where nobody would see them.
pub fn is_usable(name: &str, may_have_blanks: bool) -> bool {
    let is_odd = |other: char| {
        other.is_control() || (other.is_whitespace() && !(may_have_blanks && other == ' '))
    };
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
            assert_eq!(is_usable(name, false), plainly, "{name:?}");
            assert_eq!(is_usable(name, true), with_blanks, "{name:?}");
        }
    }
}
