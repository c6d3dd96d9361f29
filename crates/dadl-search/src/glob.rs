//! Patterns of names: `*` is any text, `?` any one letter.

/// Returns whether a query is a pattern.
pub(crate) fn is_pattern(query: &str) -> bool {
    let query = query.trim();
    // A question may end with `?`.
    let has_star = query.contains('*');
    let has_mark = query.char_indices().any(|(at, it)| it == '?' && at + 1 < query.len());
    (has_star || has_mark)
        && query.chars().any(char::is_alphanumeric)
        && query.chars().all(|it| it.is_alphanumeric() || matches!(it, '*' | '?' | '_' | '-' | '.'))
}

/// Returns whether a whole name fits a pattern; case does not matter in ASCII. The time is at most that of
/// each letter of one with each of the other.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.trim().chars(), name.chars());
    // Where to go on when what follows the last star does not fit.
    let mut again = None;
    loop {
        let rest_of_name = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = rest_of_name.clone();
                again = Some((pattern.clone(), rest_of_name));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(letter)) if wanted.eq_ignore_ascii_case(&letter) => {}
            _ => {
                let Some((after_star, mut skipped)) = again.take() else { return false };
                if skipped.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                name = skipped.clone();
                again = Some((after_star, skipped));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_names() {
        assert!(is_pattern("*snapshot*") && is_pattern("get_v?_stats"));
        assert!(
            !is_pattern("which vms?")
                && !is_pattern("backup?")
                && !is_pattern("*")
                && !is_pattern("")
        );
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name, expected) in [
            ("*snapshot*", "list_vm_snapshots", true),
            ("list_*", "list_vms", true),
            ("list_*s", "list_vm_vdis", true),
            ("LIST_vms", "list_vms", true),
            ("get_v?", "get_vm", true),
            ("get_v?", "get_vms", false),
            ("*_vm", "list_vms", false),
            ("*a*b", "aaab", true),
            ("a*b*c", "abcbd", false),
            ("vm*", "vm", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn patterns_agree_with_the_slow_way(pattern in "[ab*?]{0,7}", name in "[ab]{0,8}") {
            fn slow(pattern: &[char], name: &[char]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some(('*', rest)) => (0..=name.len()).any(|at| slow(rest, &name[at..])),
                    Some((wanted, rest)) => name.split_first().is_some_and(|(first, more)| {
                        (*wanted == '?' || wanted == first) && slow(rest, more)
                    }),
                }
            }
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            proptest::prop_assert_eq!(fits(&pattern, &name), slow(&letters(&pattern), &letters(&name)));
        }
    }
}
