//! The settings of a host as plain values: JSON, JSON with comments, or TOML.
//!
//! Hosts differ in the key that holds their servers and agree in most of what is below it. Whatever else
//! such a file has (histories, accounts, logins) is not looked at. No error quotes the file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// A larger file is no settings file, in bytes.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;

/// So many servers of one file are taken.
const MOST_SERVERS: usize = 200;

/// Where hosts have their servers.
const HOLDERS: [&[&str]; 4] =
    [&["mcpServers"], &["servers"], &["mcp_servers"], &["mcp", "servers"]];

/// A server as a host has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HostServer {
    /// What the host calls it.
    pub name: String,
    /// The file that it is from, and the project in it.
    pub origin: String,
    /// The folder of the project that it belongs to; the host starts it there.
    pub folder: Option<PathBuf>,
    /// What the host says of it.
    pub settings: Map<String, Value>,
}

/// Something that the host asks its user for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostInput {
    /// What it is, in the words of the file.
    pub description: String,
    /// Whether nobody may look over a shoulder.
    pub is_password: bool,
    /// What counts when nothing is entered.
    pub default: Option<String>,
}

/// What a file has.
#[derive(Debug, Clone, Default)]
pub(super) struct HostDocument {
    /// The servers, in the order of the file.
    pub servers: Vec<HostServer>,
    /// What the host asks for, by its id.
    pub inputs: BTreeMap<String, HostInput>,
    /// What could not be taken.
    pub remarks: Vec<String>,
}

/// Why a file has no servers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentError {
    /// It is too large.
    #[error("it has more than {} MB", MAX_BYTES / 1024 / 1024)]
    Large,
    /// It is no text.
    #[error("it is not in UTF-8")]
    Encoding,
    /// It is no JSON.
    #[error("it is no JSON: something is wrong at line {line}, column {column}")]
    Json { line: usize, column: usize },
    /// It is no TOML.
    #[error("it is no TOML: something is wrong at line {line}")]
    Toml { line: usize },
    /// It is something else.
    #[error("it has none of `mcpServers`, `servers` and `mcp_servers`")]
    NoServers,
}

/// Reads the settings of a host; `path` says which format they have and which project they are of.
pub(super) fn read_document(
    bytes: &[u8],
    path: &Path,
    home: Option<&Path>,
) -> Result<HostDocument, DocumentError> {
    if bytes.len() > MAX_BYTES {
        return Err(DocumentError::Large);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::Encoding)?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let value = if is_toml(text, path) { read_toml(text)? } else { read_json(text)? };
    let is_stdin = path.as_os_str() == "-";
    let origin = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let folder = if is_stdin { None } else { project_of(path, home) };
    let mut document = HostDocument::default();
    let mut has_servers = false;
    for holder in HOLDERS {
        let held = holder.iter().try_fold(&value, |value, key| value.get(key));
        if let Some(servers) = held.and_then(Value::as_object) {
            has_servers = true;
            document.take(servers, &origin, folder.as_deref());
        }
    }
    // `.claude.json` has the servers of each project under the folder of the project.
    for (project, settings) in
        value.get("projects").and_then(Value::as_object).into_iter().flatten()
    {
        if let Some(servers) = settings.get("mcpServers").and_then(Value::as_object) {
            has_servers = true;
            let origin = format!("{origin}, project {project}");
            document.take(servers, &origin, Some(Path::new(project)));
        }
    }
    for inputs in [value.get("inputs"), value.get("mcp").and_then(|mcp| mcp.get("inputs"))] {
        document.take_inputs(inputs.and_then(Value::as_array).into_iter().flatten());
    }
    if has_servers { Ok(document) } else { Err(DocumentError::NoServers) }
}

impl HostDocument {
    fn take(&mut self, servers: &Map<String, Value>, origin: &str, folder: Option<&Path>) {
        for (name, settings) in servers {
            let Value::Object(settings) = settings else {
                self.remarks.push(format!("an entry of {origin} is no object; left out"));
                continue;
            };
            if self.servers.len() == MOST_SERVERS {
                self.remarks.push(format!(
                    "{origin} has more than {MOST_SERVERS} servers; the rest is left out"
                ));
                return;
            }
            self.servers.push(HostServer {
                name: name.clone(),
                origin: origin.to_owned(),
                folder: folder.map(Path::to_owned),
                settings: settings.clone(),
            });
        }
    }

    fn take_inputs<'value>(&mut self, inputs: impl Iterator<Item = &'value Value>) {
        for input in inputs.take(MOST_SERVERS) {
            let text = |key: &str| input.get(key).and_then(Value::as_str);
            let Some(id) = text("id") else { continue };
            let known = HostInput {
                description: text("description").unwrap_or_default().to_owned(),
                is_password: input.get("password").and_then(Value::as_bool).unwrap_or_default(),
                default: text("default").map(str::to_owned),
            };
            self.inputs.insert(id.to_owned(), known);
        }
    }
}

fn is_toml(text: &str, path: &Path) -> bool {
    let is_named = |name: &str| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(name));
    is_named("toml") || (!is_named("json") && !text.trim_start().starts_with(['{', '/']))
}

fn read_toml(text: &str) -> Result<Value, DocumentError> {
    // The error shows the line, which may have a secret.
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        DocumentError::Toml { line: before.matches('\n').count() + 1 }
    })
}

fn read_json(text: &str) -> Result<Value, DocumentError> {
    serde_json::from_str(&plain_json(text))
        .map_err(|error| DocumentError::Json { line: error.line(), column: error.column() })
}

/// Puts spaces where JSON has comments, and commas before an end; places stay what they are.
fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    // The place of a comma between a value and nothing, so far.
    let (mut comma, mut last) = (None, None);
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => next.len_utf8(),
        };
        let (part, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = behind;
        if part.len() > 1 && next == '/' {
            plain.extend(part.chars().map(|it| if it == '\n' { it } else { ' ' }));
            continue;
        }
        if matches!(next, '}' | ']')
            && let Some(at) = comma
        {
            plain.replace_range(at..at + 1, " ");
        }
        if !next.is_whitespace() {
            let is_behind_value = next == ',' && !matches!(last, None | Some('{' | '[' | ','));
            comma = is_behind_value.then_some(plain.len());
            last = Some(next);
        }
        plain.push_str(part);
    }
    plain
}

/// Returns the length of a string of JSON with its quotes; that of all the rest where it has no end.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the folder of the project whose settings are at `path`; `None` for those of a user.
fn project_of(path: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let folder = path.parent()?;
    if path.file_name()? == ".mcp.json" {
        return Some(folder.to_owned());
    }
    let is_settings = |name: &str| folder.file_name().is_some_and(|it| it == name);
    let of_projects = [".codex", ".cursor", ".gemini", ".vscode", ".windsurf"];
    let project = of_projects.into_iter().any(is_settings).then(|| folder.parent())??;
    (Some(project) != home).then(|| project.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, path: &str) -> Result<HostDocument, DocumentError> {
        read_document(text.as_bytes(), Path::new(path), Some(Path::new("/home/me")))
    }

    #[test]
    fn comments_and_last_commas_are_no_mistake() {
        let text = "\u{FEFF}{ // a, comment\n \"servers\": { /* and, \n another } */\n \"a\\\"//b\": {\"url\": \"http://x//y\",\n },\n },\n}";
        let document = read(text, "/x/mcp.json").unwrap();
        assert_eq!(document.servers[0].name, "a\"//b");
        assert_eq!(document.servers[0].settings["url"], "http://x//y");
        assert_eq!(plain_json("[1, /* , */ ]"), "[1          ]");
        // A comma alone is one.
        for wrong in ["{\"servers\": {,}}", "{\"servers\": {\"a\": {},,}}"] {
            assert!(read(wrong, "/x/mcp.json").is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_have_a_place_and_no_text() {
        let error = read("{\"servers\": {\n\"a\": secret}}", "/x/mcp.json").unwrap_err();
        assert_eq!(error, DocumentError::Json { line: 2, column: 6 });
        let error = read("a = 1\nb = sk-secret\n", "/x/config.toml").unwrap_err();
        assert_eq!(error, DocumentError::Toml { line: 2 });
        assert!(!error.to_string().contains("secret"));
        assert_eq!(read("{}", "/x/mcp.json").unwrap_err(), DocumentError::NoServers);
        assert_eq!(read("a = 1", "-").unwrap_err(), DocumentError::NoServers);
        for deep in ["[".repeat(1_000_000), "{\"servers\":".repeat(100_000)] {
            assert!(read(&deep, "/x/mcp.json").is_err());
        }
        assert!(read(&format!("a = {}", "[".repeat(1_000_000)), "/x/config.toml").is_err());
    }

    #[test]
    fn a_project_is_known_by_its_file() {
        let project = |path: &str| project_of(Path::new(path), Some(Path::new("/home/me")));
        assert_eq!(project("/srv/shop/.mcp.json"), Some("/srv/shop".into()));
        assert_eq!(project("/srv/shop/.vscode/mcp.json"), Some("/srv/shop".into()));
        assert_eq!(project("/home/me/.cursor/mcp.json"), None);
        assert_eq!(project("/home/me/.claude.json"), None);
    }
}
