//! What of our environment a server gets: what every program needs, and nothing that could be a secret.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use super::settings::ProcessSettings;

/// The variables that a server gets when we have them.
pub const INHERITED: &[&str] = if cfg!(windows) {
    // What the libraries of the protocol hand on there.
    &[
        "APPDATA",
        "COMSPEC",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "PATH",
        "PATHEXT",
        "PROCESSOR_ARCHITECTURE",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "USERNAME",
        "USERPROFILE",
    ]
} else {
    &[
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_COLLATE",
        "LC_CTYPE",
        "LC_MESSAGES",
        "LC_MONETARY",
        "LC_NUMERIC",
        "LC_TIME",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
    ]
};

/// Returns all variables of a server: those of the operator come before ours.
pub(super) fn variables(settings: &ProcessSettings) -> BTreeMap<&str, &str> {
    let ours = INHERITED.iter().filter_map(|name| Some((*name, settings.environment.get(name)?)));
    let given =
        settings.variables.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
    ours.chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::env_vars::Environment, mcp_client::settings::ProcessSettings};

    #[test]
    fn a_server_gets_the_list_and_what_the_operator_gives() {
        let ours = [("PATH", "/bin"), ("HOME", "/home/me"), ("GITHUB_TOKEN", "t"), ("LANG", "")];
        let settings = ProcessSettings {
            command: String::new(),
            arguments: Vec::new(),
            variables: vec![
                ("HOME".to_owned(), "/srv".to_owned().into()),
                ("MINE".to_owned(), "x".to_owned().into()),
            ],
            environment: ours.into_iter().collect::<Environment>(),
            directory: None,
            supervisor: None,
        };
        let expected = [("HOME", "/srv"), ("MINE", "x"), ("PATH", "/bin")];
        assert_eq!(variables(&settings), BTreeMap::from(expected));
        let shown = format!("{settings:?}");
        assert!(shown.contains("MINE") && !shown.contains("/srv"), "{shown}");
    }
}
