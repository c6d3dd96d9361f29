//! Backends that are other MCP servers: how each is started or reached, and what its tools may do.
//!
//! A server gets no more of our environment than is named here. Its arguments can be read by anybody on
//! the machine, so that a credential in them is refused; one in `env` is named and looked up like those
//! of descriptors.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use dadl_descriptor::{
    code,
    diagnostic::{Diagnostic, Severity},
    model::{AuthScheme, CredentialName, TokenPlacement},
    yaml::{YamlEntry, YamlNode, YamlValue},
};
use http::header;
use url::Url;

use super::{
    BackendSettings,
    backends_file::is_level,
    env_vars::{CREDENTIAL_PREFIX, unexpanded_reference},
    keys::{self, ConfigKey, TransportKind},
    reader::{ConfigReader, ConfigSection, ConfigText},
    server_authorization::McpAuthorization,
};
use crate::access::{ALL, LevelMap};

/// [`ServerSettings::start_timeout`] unless the operator says otherwise.
pub const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(60);

/// The revisions of MCP that a server can be spoken to in.
const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// The levels of messages that a server can be asked for.
const LOG_LEVELS: [&str; 5] = ["debug", "info", "notice", "warning", "error"];

/// What is said of a backend that is another MCP server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// How it is started or reached.
    pub connection: ServerConnection,
    /// The access levels of its tools.
    pub levels: LevelMap,
    /// When it is started.
    pub start: ServerStart,
    /// Until it has introduced itself and listed what it has.
    pub start_timeout: Duration,
    /// The revision of MCP to speak; `None` for the one that it knows.
    pub protocol: Option<&'static str>,
    /// Whether hosts are offered its prompts.
    pub prompts: bool,
    /// Whether hosts are offered its resources.
    pub resources: bool,
    /// Directories that it is told of as roots.
    pub roots: Vec<PathBuf>,
    /// Whether it may ask the host's model.
    pub sampling: bool,
    /// Which of its messages it is asked for; `None` for those that it sends by itself.
    pub log_level: Option<&'static str>,
}

/// How a server is started or reached.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerConnection {
    /// It is started, and spoken to over its standard streams.
    Stdio(StdioSettings),
    /// It is at the `url` of the backend, with its header fields.
    Http(HttpServerSettings),
}

/// A server that is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StdioSettings {
    /// The program: a bare name to look for, or a path.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The variables that it gets besides the usual ones.
    pub env: BTreeMap<String, EnvValue>,
    /// Where it is started; `None` for the home directory.
    pub cwd: Option<PathBuf>,
}

/// The value of a variable of a server.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// A credential, looked up when the server is started.
    Credential(CredentialName),
    /// This text.
    Literal(String),
}

/// Keeps to itself what is in a text: people write secrets into files.
impl fmt::Debug for EnvValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => formatter.debug_tuple("Credential").field(name).finish(),
            Self::Literal(_) => formatter.write_str("Literal(..)"),
        }
    }
}

/// A server at a URL.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpServerSettings {
    /// How requests authenticate.
    pub auth: AuthScheme,
    /// How the server lets this program in as MCP specifies it; `None` where `auth` does that.
    pub authorization: Option<Box<McpAuthorization>>,
}

/// When a server is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerStart {
    /// At once.
    #[default]
    Eager,
    /// By the first call, when its tools are known.
    Lazy,
}

impl ConfigReader {
    /// Reads `transport`, and reports the keys of other transports and those that nobody knows.
    pub(super) fn read_transport(&mut self, section: ConfigSection<'_>) -> TransportKind {
        let choices = TransportKind::ALL.iter().map(|kind| (kind.word(), *kind));
        let read = self.read_choice(section, "transport", &choices.collect::<Vec<_>>());
        let is_said = section.entry("transport").is_none() || read.is_some();
        let kind = read.unwrap_or(TransportKind::Rest);
        self.check_backend_keys(section, keys::BACKEND, is_said.then_some(kind), |_| false);
        kind
    }

    /// Reports the keys of `section` that no backend has, and those that another one has, but for those
    /// that are `free`; `kind` is missing where nobody can say which it is.
    pub(super) fn check_backend_keys(
        &mut self,
        section: ConfigSection<'_>,
        known: &[ConfigKey],
        kind: Option<TransportKind>,
        free: impl Fn(&str) -> bool,
    ) {
        let is_for = |key: &&ConfigKey| {
            let is_name = !key.name.starts_with('`');
            is_name && kind.is_none_or(|kind| key.transports.contains(&kind))
        };
        let names: Vec<&str> = known.iter().filter(is_for).map(|key| key.name).collect();
        for entry in section.entries() {
            if names.contains(&entry.key.as_ref()) || free(&entry.key) {
                continue;
            }
            match (known.iter().find(|key| key.name == entry.key), kind) {
                (Some(key), Some(kind)) => self.other_transport(entry, key, kind),
                _ => self.unknown_key(section, entry, &names),
            }
        }
    }

    fn other_transport(&mut self, entry: &YamlEntry<'_>, key: &ConfigKey, kind: TransportKind) {
        let words: Vec<String> =
            key.transports.iter().map(|kind| format!("`{}`", kind.word())).collect();
        let words = words.join(" or ").replacen('`', "`transport: ", 1);
        let message = format!(
            "`{}` is a key of {words}, and this backend has `transport: {}`",
            key.name,
            kind.word()
        );
        let help = match (key.name, key.transports) {
            ("levels", _) => "the levels of an API are in its descriptor".to_owned(),
            (_, [TransportKind::Stdio | TransportKind::Http]) => {
                format!("remove the key, or write {words}")
            }
            _ => "remove the key".to_owned(),
        };
        self.report_error(code::UNKNOWN_KEY, &entry.key_span, message, help);
    }

    /// Reads what is particular to a server, but for its `options`; `None` for an API.
    pub(super) fn read_server(
        &mut self,
        section: ConfigSection<'_>,
        kind: TransportKind,
        directory: &Path,
        backend: &mut BackendSettings,
    ) -> Option<Box<ServerSettings>> {
        let connection = match kind {
            TransportKind::Rest => return None,
            TransportKind::Stdio => {
                ServerConnection::Stdio(self.read_process(section, directory, backend))
            }
            TransportKind::Http => {
                let (auth, authorization) = self.read_server_auth(section, backend);
                let authorization = authorization.map(Box::new);
                self.check_server_headers(section);
                ServerConnection::Http(HttpServerSettings { auth, authorization })
            }
        };
        let starts = [("eager", ServerStart::Eager), ("lazy", ServerStart::Lazy)];
        let auto = std::iter::once(("auto", None));
        let revisions: Vec<_> = auto.chain(REVISIONS.map(|it| (it, Some(it)))).collect();
        let roots = self.read_texts(section, "roots").unwrap_or_default();
        Some(Box::new(ServerSettings {
            connection,
            levels: self.read_levels(section),
            start: self.read_choice(section, "start", &starts).unwrap_or_default(),
            start_timeout: DEFAULT_START_TIMEOUT,
            protocol: self.read_choice(section, "protocol", &revisions).flatten(),
            prompts: self.read_boolean(section, "prompts").unwrap_or(true),
            resources: self.read_boolean(section, "resources").unwrap_or(true),
            roots: roots.iter().map(|root| directory.join(root.value)).collect(),
            sampling: self.read_boolean(section, "sampling").unwrap_or_default(),
            log_level: self.read_choice(section, "log_level", &LOG_LEVELS.map(|it| (it, it))),
        }))
    }

    fn read_levels(&mut self, section: ConfigSection<'_>) -> LevelMap {
        let mut levels = LevelMap::default();
        let Some(section) = self.read_mapping(section, "levels") else { return levels };
        for entry in section.entries() {
            let what = format!("the level of `{}`", entry.key);
            let Some(level) = self.node_text(&entry.value, &what) else { continue };
            if !is_level(level.value) || level.value == ALL {
                let message = format!("`{}` is no access level of a tool", level.value);
                let help = "levels are words such as `read`, `write`, `admin`, `dangerous` and \
                            `unclassified`";
                self.report_error(code::UNKNOWN_VALUE, &level.span, message, help);
            } else if let Err(error) = levels.push(&entry.key, level.value) {
                let help = "write the name of a tool, or a glob such as `delete_*`";
                let message = format!("{error} (in `levels`)");
                self.report_error(code::WRONG_TYPE, &entry.key_span, message, help);
            }
        }
        levels
    }

    fn read_process(
        &mut self,
        section: ConfigSection<'_>,
        directory: &Path,
        backend: &mut BackendSettings,
    ) -> StdioSettings {
        let cwd = self.read_string(section, "cwd").map(|path| directory.join(path));
        let args = self.read_args(section);
        let command = self.read_command(section, directory).unwrap_or_default();
        let env = self.read_variables(section, backend);
        StdioSettings { command, args, env, cwd }
    }

    fn read_command(&mut self, section: ConfigSection<'_>, directory: &Path) -> Option<PathBuf> {
        if section.entry("command").is_none() {
            let span = section.entry("transport").map(|it| it.key_span.clone()).unwrap_or_default();
            let message = format!("{} has no `command`", section.what());
            let help = "write `command: npx`, and its arguments under `args`";
            self.report_error(code::MISSING_KEY, &span, message, help);
            return None;
        }
        let ConfigText { value, span } = self.read_text(section, "command")?;
        let is_path = value.contains(std::path::is_separator);
        if value.trim().is_empty() || value.contains(char::is_control) {
            self.report_error(code::WRONG_TYPE, &span, "`command` names no program", "");
            return None;
        }
        if !is_path && value.contains(char::is_whitespace) {
            let message = "`command` is the program alone";
            let help = "write its arguments under `args`, one item for each";
            self.report_error(code::WRONG_TYPE, &span, message, help);
            return None;
        }
        Some(if is_path { directory.join(value) } else { value.into() })
    }

    fn read_args(&mut self, section: ConfigSection<'_>) -> Vec<String> {
        if let Some(entry) = section.entry("args")
            && matches!(entry.value.value, YamlValue::String(_))
        {
            let message = "`args` must be a list, not text";
            let help = "one item for each argument: `args: [-y, some-server]`";
            self.report_error(code::WRONG_TYPE, &entry.value.span, message, help);
            return Vec::new();
        }
        let items = self.read_texts(section, "args").unwrap_or_default();
        for ConfigText { value, span } in &items {
            if value.contains('\0') {
                self.report_error(code::WRONG_TYPE, span, "an item of `args` has a NUL", "");
            } else if let Some(reference) = reference_in(value) {
                let message = format!("`{reference}` in `args` is not replaced");
                let help =
                    "others can see the arguments of a process: give it the credential by `env`";
                self.report_error(code::UNKNOWN_VALUE, span, message, help);
            }
        }
        items.into_iter().map(|item| item.value.to_owned()).collect()
    }

    /// Reads the variables of a server; a credential that ToolMesh's files name has the name of its
    /// variable, and is looked up under it.
    fn read_variables(
        &mut self,
        section: ConfigSection<'_>,
        backend: &mut BackendSettings,
    ) -> BTreeMap<String, EnvValue> {
        let mut variables = BTreeMap::new();
        let Some(section) = self.read_mapping(section, "env") else { return variables };
        for entry in section.entries() {
            let name = entry.key.as_ref();
            if !is_variable_name(name) {
                let message = format!("`{name}` is no name for a variable");
                self.report_error(code::UNKNOWN_KEY, &entry.key_span, message, "");
                continue;
            }
            if name.starts_with("DADL_MCP_") {
                let message = format!("`{name}` is a variable of dadl-mcp itself");
                self.report_error(code::UNKNOWN_KEY, &entry.key_span, message, "remove it");
                continue;
            }
            if let Some(value) = self.variable_value(entry, backend) {
                variables.insert(name.to_owned(), value);
            }
        }
        variables
    }

    fn variable_value(
        &mut self,
        YamlEntry { key, value, .. }: &YamlEntry<'_>,
        backend: &mut BackendSettings,
    ) -> Option<EnvValue> {
        let what = format!("`{key}` in `env`");
        let text = match &value.value {
            YamlValue::Mapping(_) => return self.named_credential(value, &what),
            YamlValue::Bool(value) => return Some(EnvValue::Literal(value.to_string())),
            YamlValue::Number(_, text) => return Some(EnvValue::Literal(text.to_string())),
            _ => self.node_text(value, &what)?.value,
        };
        if text.contains('\0') {
            self.report_error(code::WRONG_TYPE, &value.span, format!("{what} has a NUL"), "");
            return None;
        }
        let name = text.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
        if let Some(name) = name.filter(|name| is_variable_name(name)) {
            return Some(EnvValue::Credential(credential_in(name, backend)));
        }
        if let Some(reference) = reference_in(text) {
            let message = format!("{what}: `{reference}` is not replaced");
            let help = format!(
                "where the whole value is a credential, write `{key}: {{credential: NAME}}`; a part of \
                 one is not filled in"
            );
            self.report_error(code::UNKNOWN_VALUE, &value.span, message, help);
            return None;
        }
        Some(EnvValue::Literal(text.to_owned()))
    }

    fn named_credential(&mut self, node: &YamlNode<'_>, what: &str) -> Option<EnvValue> {
        self.credential_name(node, what).map(EnvValue::Credential)
    }

    /// Reads `{credential: NAME}`.
    pub(super) fn credential_name(
        &mut self,
        node: &YamlNode<'_>,
        what: &str,
    ) -> Option<CredentialName> {
        let section = self.open_section(node, what)?;
        self.check_keys(section, &["credential"]);
        if section.entry("credential").is_none() {
            self.report_missing(section, "credential", &(node.span.start..node.span.start));
            return None;
        }
        let name = self.read_text(section, "credential")?;
        if name.value.trim().is_empty() {
            self.report_error(code::WRONG_TYPE, &name.span, "a credential has a name", "");
            return None;
        }
        Some(CredentialName(name.value.to_owned()))
    }

    /// Reads how requests of a server at a URL authenticate: by what the file says, or as MCP specifies.
    fn read_server_auth(
        &mut self,
        section: ConfigSection<'_>,
        backend: &mut BackendSettings,
    ) -> (AuthScheme, Option<McpAuthorization>) {
        let is_of_mcp = match section.entry("auth").map(|entry| &entry.value.value) {
            None => true,
            Some(YamlValue::Mapping(entries)) => entries.iter().any(|entry| {
                entry.key == "type"
                    && matches!(&entry.value.value, YamlValue::String(text) if *text == "mcp")
            }),
            Some(_) => false,
        };
        if is_of_mcp {
            return (self.read_bearer(section, backend), self.read_authorization(section));
        }
        let Some(entry) = self.find_value(section, "auth") else { return (AuthScheme::None, None) };
        if let Some(other) = section.entry("api_key_env") {
            let message = "`auth` and `api_key_env` both say what is sent";
            self.report_error(code::DUPLICATE_KEY, &other.key_span, message, "keep `auth`");
        }
        let (auth, findings) = dadl_descriptor::read_auth(&entry.value, &entry.key_span);
        // What is wrong in settings is an error.
        let findings = findings.into_iter().filter(|it| it.severity != Severity::Note);
        self.findings.extend(findings.map(|it| Diagnostic { severity: Severity::Error, ..it }));
        (auth.unwrap_or(AuthScheme::None), None)
    }

    /// Reads the bearer token of a server at a URL.
    fn read_bearer(
        &mut self,
        section: ConfigSection<'_>,
        backend: &mut BackendSettings,
    ) -> AuthScheme {
        let Some(ConfigText { value, span }) = self.read_text(section, "api_key_env") else {
            return AuthScheme::None;
        };
        if !is_variable_name(value) {
            // The text may be a token that somebody put in the wrong place.
            let message = "what `api_key_env` has here is no name for a variable";
            let help = "write the name of the variable that holds the token, not the token itself";
            self.report_error(code::UNKNOWN_VALUE, &span, message, help);
            return AuthScheme::None;
        }
        let credential = credential_in(value, backend);
        let placement =
            TokenPlacement::Header { name: header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
        AuthScheme::Token { credential, placement }
    }

    /// Refuses header fields that the transport of MCP sets.
    fn check_server_headers(&mut self, section: ConfigSection<'_>) {
        let Some(entry) = section.entry("headers") else { return };
        let YamlValue::Mapping(entries) = &entry.value.value else { return };
        for entry in *entries {
            let name = entry.key.to_ascii_lowercase();
            let is_ours = name.starts_with("mcp-")
                || ["accept", "content-type", "last-event-id"].contains(&name.as_str());
            if is_ours {
                let message =
                    format!("header `{}` cannot be set here: the protocol sets it", entry.key);
                self.report_error(code::HEADER_PARAM, &entry.key_span, message, "remove it");
            }
        }
    }

    /// Reads the URL of a server, which is whole and of which nothing is filled in.
    pub(super) fn server_url(
        &mut self,
        section: ConfigSection<'_>,
        place: &Range<usize>,
    ) -> Option<String> {
        if section.entry("url").is_none() {
            let message = format!("{} has no `url`", section.what());
            let help = "a server over HTTP needs one, such as `https://api.example.com/mcp`";
            self.report_error(code::MISSING_KEY, place, message, help);
            return None;
        }
        let ConfigText { value, span } = self.read_text(section, "url")?;
        let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let problem = match (&url, unexpanded_reference(value)) {
            (_, Some(reference)) => Some(format!(
                "is `{}`, the name of a variable that nobody replaced",
                reference.shown
            )),
            (None, None) => Some("is no URL that begins with http:// or https://".to_owned()),
            (Some(url), None) if !url.username().is_empty() || url.password().is_some() => {
                Some("must not hold a user name or a password; use a credential".to_owned())
            }
            (Some(url), None) if url.fragment().is_some() => {
                Some("must not have a fragment".to_owned())
            }
            (Some(_), None) => None,
        };
        if let Some(problem) = problem {
            let help = "write the URL of the server, such as `https://api.example.com/mcp`";
            self.report_error(code::BASE_URL, &span, format!("`url` {problem}"), help);
        }
        Some(value.to_owned())
    }
}

/// Returns the first `${NAME}` in a text, or the whole of it when it is a reference in another form:
/// whoever wrote it expected that somebody fills it in.
fn reference_in(text: &str) -> Option<String> {
    if let Some(reference) = unexpanded_reference(text) {
        return Some(reference.shown.into_owned());
    }
    text.match_indices("${").find_map(|(at, _)| {
        let inner = text.get(at + 2..)?;
        let name = inner.get(..inner.find('}')?)?;
        is_variable_name(name).then(|| format!("${{{name}}}"))
    })
}

/// Returns the credential that a variable holds, and has it looked up there too.
fn credential_in(variable: &str, backend: &mut BackendSettings) -> CredentialName {
    // The usual variables say which credential they hold.
    if let Some(name) = variable.strip_prefix(CREDENTIAL_PREFIX) {
        return CredentialName(name.to_ascii_lowercase());
    }
    backend.credentials.insert(variable.to_owned(), variable.to_owned());
    CredentialName(variable.to_owned())
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
