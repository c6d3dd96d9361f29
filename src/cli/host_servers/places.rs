//! Where hosts keep their settings. None is read here: a file says which programs run, and somebody else
//! may have written it.

use std::path::{Path, PathBuf};

use crate::config::env_vars::Environment;

/// Where a host keeps its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPlace {
    /// The host.
    pub host: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// Returns the home of the user.
pub(super) fn home_of(environment: &Environment) -> Option<PathBuf> {
    environment.path("HOME").or_else(|| environment.path("USERPROFILE"))
}

/// Returns the places on this system: those of the user first, then those of the project in `directory`.
pub(super) fn host_places(environment: &Environment, directory: &Path) -> Vec<HostPlace> {
    let mut places = Vec::new();
    let mut add = |host, path: Option<PathBuf>| {
        places.extend(path.map(|path| HostPlace { host, path }));
    };
    let home = home_of(environment);
    let home = |path: &str| home.as_ref().map(|home| home.join(path));
    let application = |path: &str| {
        if cfg!(windows) {
            environment.path("APPDATA").map(|folder| folder.join(path))
        } else if cfg!(target_os = "macos") {
            home("Library/Application Support").map(|folder| folder.join(path))
        } else {
            let folder = environment.path("XDG_CONFIG_HOME").or_else(|| home(".config"));
            folder.map(|folder| folder.join(path))
        }
    };
    let below = |variable: &str, usual: &str, file: &str| {
        let folder = environment.path(variable).or_else(|| home(usual));
        folder.map(|folder| folder.join(file))
    };
    add("Claude Desktop", application("Claude/claude_desktop_config.json"));
    add("Claude Code", below("CLAUDE_CONFIG_DIR", "", ".claude.json"));
    add("Cursor", home(".cursor/mcp.json"));
    add("VS Code", application("Code/User/mcp.json"));
    add("Windsurf", home(".codeium/windsurf/mcp_config.json"));
    add("Codex", below("CODEX_HOME", ".codex", "config.toml"));
    add("Gemini CLI", home(".gemini/settings.json"));
    add("Copilot CLI", below("COPILOT_HOME", ".copilot", "mcp-config.json"));
    let project = |path: &str| Some(directory.join(path));
    add("Claude Code", project(".mcp.json"));
    add("Cursor", project(".cursor/mcp.json"));
    add("VS Code", project(".vscode/mcp.json"));
    add("Codex", project(".codex/config.toml"));
    add("Gemini CLI", project(".gemini/settings.json"));
    places
}
