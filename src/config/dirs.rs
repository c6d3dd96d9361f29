//! Where settings and files live: the XDG base directories, on macOS too, and %APPDATA%.

use std::path::PathBuf;

use super::env_vars::Environment;

/// The name of our directory below each base directory.
const OURS: &str = "dadl-mcp";

/// Returns the directory of `backends.yaml` and of `descriptors`.
pub(crate) fn config_dir(environment: &Environment) -> Option<PathBuf> {
    base_dir(environment, "XDG_CONFIG_HOME", "APPDATA", ".config")
}

/// Returns the directory of saved files.
pub(crate) fn files_dir(environment: &Environment) -> Option<PathBuf> {
    Some(state_dir(environment)?.join("files"))
}

/// Returns the file of the credential store.
pub(crate) fn credentials_dir(environment: &Environment) -> Option<PathBuf> {
    Some(state_dir(environment)?.join("credentials.json"))
}

/// Returns the directory of what can be found out again.
pub(crate) fn cache_dir(environment: &Environment) -> Option<PathBuf> {
    base_dir(environment, "XDG_CACHE_HOME", "LOCALAPPDATA", ".cache")
}

fn state_dir(environment: &Environment) -> Option<PathBuf> {
    base_dir(environment, "XDG_STATE_HOME", "LOCALAPPDATA", ".local/state")
}

/// The XDG specification tells to ignore relative paths.
fn base_dir(environment: &Environment, xdg: &str, windows: &str, in_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| environment.path(name).filter(|path| path.is_absolute());
    absolute(xdg)
        .or_else(|| if cfg!(windows) { absolute(windows) } else { None })
        .or_else(|| Some(absolute("HOME")?.join(in_home)))
        .map(|base| base.join(OURS))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn follows_xdg_and_falls_back_to_home() {
        let environment = Environment::from_iter([("HOME", "/home/ada")]);
        assert_eq!(config_dir(&environment), Some("/home/ada/.config/dadl-mcp".into()));
        assert_eq!(files_dir(&environment), Some("/home/ada/.local/state/dadl-mcp/files".into()));
        assert_eq!(cache_dir(&environment), Some("/home/ada/.cache/dadl-mcp".into()));
        let environment = environment.with("XDG_CONFIG_HOME", "/etc/xdg");
        assert_eq!(config_dir(&environment), Some("/etc/xdg/dadl-mcp".into()));
        let environment = environment.with("XDG_CONFIG_HOME", "relative");
        assert_eq!(config_dir(&environment), Some("/home/ada/.config/dadl-mcp".into()));
        assert_eq!(config_dir(&Environment::default()), None);
    }
}
