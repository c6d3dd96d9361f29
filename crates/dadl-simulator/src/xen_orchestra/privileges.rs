//! Which actions exist on which resources, for checking privileges that clients make.

/// Says whether a privilege can name this action on this resource. XO's validator treats each
/// resource as one shape of a union, so a wrong pair is reported like any wrong shape.
pub(super) fn is_known(resource: &str, action: &str) -> bool {
    let mut lines = include_str!("privileges.txt").lines();
    let actions = lines.find_map(|line| line.strip_prefix(resource)?.strip_prefix(": "));
    actions.is_some_and(|actions| action == "*" || actions.split(' ').any(|one| one == action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_pairs() {
        assert!(is_known("vm", "start"));
        assert!(is_known("vm", "*"));
        assert!(!is_known("vm", "fly"));
        assert!(!is_known("alarm", "delete"));
        assert!(!is_known("nothing", "*"));
    }
}
