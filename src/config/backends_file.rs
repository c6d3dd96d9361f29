//! backends.yaml becomes [`BackendSettings`]; all problems are reported at once.

use std::{collections::BTreeMap, ops::Range, path::Path};

use dadl_descriptor::{
    code,
    diagnostic::{Diagnostic, Severity},
    source::SourceText,
    yaml::{self, YamlArena, YamlNode, YamlValue},
};
use dadl_text::names::header;
use http::{HeaderName, HeaderValue};

use super::{
    BackendSettings, CertificatePin, ConfirmPolicy, FileSettings, NoHost, OperatorLimits,
    PrivateHost, ProfileSettings, Surface,
    base_url::check_url,
    keys::{self, TransportKind},
    reader::{ConfigReader, ConfigSection, ConfigText},
};
use crate::access::{AccessLevels, ToolPatterns};

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    /// Empty when there is a finding that is an error.
    pub(super) backends: Vec<BackendSettings>,
    /// What the operator says about files.
    pub(super) files: FileSettings,
    /// What the operator says about limits.
    pub(super) limits: OperatorLimits,
    /// Which tools hosts are shown.
    pub(super) surface: Surface,
    /// What else can be served than all of it.
    pub(super) profiles: Vec<ProfileSettings>,
    /// All findings, by their place.
    pub(super) findings: Vec<Diagnostic>,
    /// What works and is not what the operator means.
    pub(super) warnings: Vec<String>,
}

/// Reads `source`; relative paths in it are relative to `directory`.
pub(super) fn read_backends_file(source: &SourceText, directory: &Path) -> ConfigFile {
    let mut reader = ConfigReader::default();
    let arena = YamlArena::for_length(source.text().len());
    let root = yaml::parse_yaml(source.text(), &arena, &mut reader.findings);
    let mut file = ConfigFile::default();
    if let Some(root) = &root {
        file = reader.read_file(root, directory);
    } else if reader.findings.is_empty() {
        reader.report_error(code::MISSING_KEY, &(0..0), "the file is empty", NO_BACKENDS);
    }
    let ConfigReader { mut findings, warnings } = reader;
    findings.sort_by_key(|finding| (finding.span.start, finding.span.end));
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        file.backends.clear();
    }
    ConfigFile { findings, warnings, ..file }
}

/// Returns what keeps a text from being a backends.yaml.
pub(crate) fn backends_file_problems(text: &str) -> Vec<String> {
    let source = SourceText::new("backends.yaml", text.to_owned());
    let findings = read_backends_file(&source, Path::new("")).findings;
    let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.message).collect()
}

const NO_BACKENDS: &str = "list at least one backend under `backends:`";

impl ConfigReader {
    fn read_file(&mut self, root: &YamlNode<'_>, directory: &Path) -> ConfigFile {
        let Some(file) = self.open_section(root, "the file") else { return Default::default() };
        self.check_keys(file, &key_names(keys::FILE));
        let files = self.file_settings(file, directory);
        let limits = self.read_limits(file);
        let surface = self.read_surface(file).unwrap_or_default();
        let backends = self.read_backends(file, directory);
        let profiles = self.read_profiles(file, &backends);
        ConfigFile { backends, files, limits, surface, profiles, ..ConfigFile::default() }
    }

    pub(super) fn read_surface(&mut self, section: ConfigSection<'_>) -> Option<Surface> {
        let ConfigText { value, span } = self.read_text(section, "surface")?;
        let read = value.parse().map_err(|error| {
            let message = format!("`{value}`: {error}");
            let help = "`tools` shows each tool, `compact` a few that find the others";
            self.report_error(code::UNKNOWN_VALUE, &span, message, help);
        });
        read.ok()
    }

    fn read_backends(&mut self, file: ConfigSection<'_>, directory: &Path) -> Vec<BackendSettings> {
        let Some(entry) = file.entry("backends") else {
            self.report_missing(file, "backends", &(0..0));
            return Vec::new();
        };
        let items = match &entry.value.value {
            YamlValue::Sequence(items) if !items.is_empty() => items,
            YamlValue::Sequence(_) | YamlValue::Null => {
                let message = "`backends` names no backend";
                self.report_error(code::MISSING_KEY, &entry.key_span, message, NO_BACKENDS);
                return Vec::new();
            }
            _ => {
                self.wrong_type(&entry.value, "`backends`", "a list");
                return Vec::new();
            }
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut backends = Vec::new();
        for item in *items {
            let Some(section) = self.open_section(item, "a backend") else { continue };
            let name = self.backend_name(section, item);
            if let Some(ConfigText { value, span }) = &name {
                if seen.contains(value) {
                    let message = format!("two backends are called `{value}`");
                    self.report_error(code::DUPLICATE_KEY, span, message, "give one another name");
                }
                seen.push(value);
            }
            let name = name.map_or("", |name| name.value);
            let what =
                if name.is_empty() { String::from("a backend") } else { quote_backend(name) };
            // The parts of the entry live as long as the tree, its name in messages does not.
            backends.extend(self.read_backend(section.called(&what), item, name, directory));
        }
        backends
    }

    fn backend_name<'tree>(
        &mut self,
        section: ConfigSection<'tree>,
        item: &YamlNode<'_>,
    ) -> Option<ConfigText<'tree>> {
        if section.entry("name").is_none() {
            self.report_missing(section, "name", &first_line(item));
            return None;
        }
        let name = self.read_text(section, "name")?;
        if !is_backend_name(name.value) {
            self.report_error(
                code::BACKEND_NAME,
                &name.span,
                format!("`{}` is no name for a backend", name.value),
                "use lower-case letters, digits and hyphens, and begin with a letter",
            );
        }
        Some(name)
    }

    fn read_backend(
        &mut self,
        section: ConfigSection<'_>,
        item: &YamlNode<'_>,
        name: &str,
        directory: &Path,
    ) -> Option<BackendSettings> {
        let kind = self.read_transport(section);
        if kind == TransportKind::Rest && section.entry("dadl").is_none() {
            self.report_missing(section, "dadl", &first_line(item));
        }
        let mut backend =
            BackendSettings::new(name, self.read_string(section, "dadl").unwrap_or_default());
        backend.url = match kind {
            TransportKind::Http => self.server_url(section, &first_line(item)),
            TransportKind::Rest | TransportKind::Stdio => self.read_url(section),
        };
        backend.hint = self.read_string(section, "hint");
        self.read_policy(section, &mut backend);
        let confirm = [("ask", ConfirmPolicy::Ask), ("never", ConfirmPolicy::Never)];
        backend.confirm = self.read_choice(section, "confirm", &confirm).unwrap_or_default();
        backend.headers = self.read_headers(section);
        backend.ca_file = self.read_string(section, "ca_file").map(|path| directory.join(path));
        self.client_cert(section, directory, &mut backend);
        backend.tls_fingerprint = self.read_pins(section);
        backend.tls_skip_verify = self.read_boolean(section, "tls_skip_verify").unwrap_or_default();
        backend.allow_private_url =
            self.read_boolean(section, "allow_private_url").unwrap_or_default();
        backend.allow_private_hosts = self.private_hosts(section);
        backend.fetch_openapi = self.read_boolean(section, "fetch_openapi").unwrap_or_default();
        backend.fit = self.read_boolean(section, "fit").unwrap_or(true);
        backend.login = self.read_string(section, "login");
        backend.defaults = self.read_defaults(section);
        backend.overrides = self.read_overrides(section);
        backend.file_hosts = self.file_hosts(section);
        if kind != TransportKind::Stdio {
            backend.credentials = self.read_credentials(section);
        }
        backend.server = self.read_server(section, kind, directory, &mut backend);
        self.read_options(section, kind, &mut backend);
        Some(backend)
    }

    fn read_url(&mut self, section: ConfigSection<'_>) -> Option<String> {
        let ConfigText { value, span } = self.read_text(section, "url")?;
        if let Err(problem) = check_url(value) {
            let help = "write a base URL such as `https://xo.example.com/rest/v0`";
            self.report_error(code::BASE_URL, &span, format!("`url` {problem}"), help);
        }
        Some(value.to_owned())
    }

    fn private_hosts(&mut self, section: ConfigSection<'_>) -> Vec<PrivateHost> {
        let texts = self.read_texts(section, "allow_private_hosts").unwrap_or_default();
        let mut hosts = Vec::new();
        for ConfigText { value, span } in texts {
            match value.parse() {
                Ok(host) => hosts.push(host),
                Err(NoHost) => {
                    let message = format!("`{value}` in `allow_private_hosts` is no host");
                    let help = "write a name such as `sso.example.com`, or `sso.example.com:8443`; \
                                an IPv6 address in brackets";
                    self.report_error(code::UNKNOWN_VALUE, &span, message, help);
                }
            }
        }
        hosts
    }

    fn client_cert(
        &mut self,
        section: ConfigSection<'_>,
        directory: &Path,
        backend: &mut BackendSettings,
    ) {
        let mut path = |key| self.read_string(section, key).map(|path| directory.join(path));
        (backend.client_cert, backend.client_key) = (path("client_cert"), path("client_key"));
        if let (None, Some(entry)) = (section.entry("client_cert"), section.entry("client_key")) {
            let message = "`client_key` is the key of a certificate that nothing names";
            self.report_error(code::MISSING_KEY, &entry.key_span, message, "add `client_cert: ..`");
        }
    }

    fn read_pins(&mut self, section: ConfigSection<'_>) -> Vec<CertificatePin> {
        let mut pins = Vec::new();
        for ConfigText { value, span } in
            self.read_words(section, "tls_fingerprint").unwrap_or_default()
        {
            match value.parse() {
                Ok(pin) => pins.push(pin),
                Err(error) => {
                    let message = format!("`{value}` in `tls_fingerprint` is none: {error}");
                    let help = "`dadl-mcp setup` shows that of the backend";
                    self.report_error(code::UNKNOWN_VALUE, &span, message, help);
                }
            }
        }
        pins
    }

    fn read_policy(&mut self, section: ConfigSection<'_>, backend: &mut BackendSettings) {
        if let Some(levels) = self.read_access(section) {
            backend.policy.levels = levels;
        }
        let ours = self.read_patterns(section, "tools");
        let theirs = self.read_patterns(section, "include_tools");
        if let (Some(_), Some(_), Some(entry)) = (&ours, &theirs, section.entry("include_tools")) {
            let message = "`tools` and `include_tools` mean the same";
            self.report_error(code::DUPLICATE_KEY, &entry.key_span, message, "keep `tools`");
        }
        backend.policy.tools = ours.or(theirs);
        backend.policy.exclude_tools =
            self.read_patterns(section, "exclude_tools").unwrap_or_default();
        backend.policy.origins = self.allowed_origins(section);
        backend.exposed = self.read_patterns(section, "expose_tools").unwrap_or_default();
    }

    /// Reads the access levels under `access`.
    pub(super) fn read_access(&mut self, section: ConfigSection<'_>) -> Option<AccessLevels> {
        let words = self.read_words(section, "access")?;
        for word in &words {
            if !is_level(word.value) {
                let message = format!("`{}` is no access level", word.value);
                let help = "levels are words such as `read`, `write`, `admin`, `dangerous`, \
                            `unclassified` and `all`";
                self.report_error(code::UNKNOWN_VALUE, &word.span, message, help);
            }
        }
        Some(AccessLevels::new(words.iter().map(|word| word.value)))
    }

    pub(super) fn read_patterns(
        &mut self,
        section: ConfigSection<'_>,
        key: &str,
    ) -> Option<ToolPatterns> {
        let mut valid = Vec::new();
        for ConfigText { value, span } in self.read_texts(section, key)? {
            match ToolPatterns::new([value]) {
                Ok(_) => valid.push(value),
                Err(error) => self.report_error(
                    code::WRONG_TYPE,
                    &span,
                    format!("{error} (in `{key}`)"),
                    "write the name of a tool, or a glob such as `list_*`",
                ),
            }
        }
        ToolPatterns::new(valid).ok()
    }

    fn read_headers(&mut self, section: ConfigSection<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        let Some(section) = self.read_mapping(section, "headers") else { return headers };
        for entry in section.entries() {
            let what = format!("header `{}`", entry.key);
            let Ok(name) = HeaderName::try_from(entry.key.as_ref()) else {
                let message = format!("`{}` is no name for a header", entry.key);
                self.report_error(code::HEADER_PARAM, &entry.key_span, message, "");
                continue;
            };
            if header::is_ours(name.as_str()) {
                let message = format!("{what} cannot be set here");
                let help = "a credential comes from a CREDENTIAL_ variable; the rest follows \
                            from the request";
                self.report_error(code::HEADER_PARAM, &entry.key_span, message, help);
                continue;
            }
            let Some(text) = self.node_text(&entry.value, &what) else { continue };
            match HeaderValue::try_from(text.value) {
                Ok(value) => headers.push((name, value)),
                Err(_) => {
                    let message = format!("the value of {what} has characters no header may have");
                    self.report_error(code::HEADER_PARAM, &text.span, message, "");
                }
            }
        }
        headers
    }

    fn read_credentials(&mut self, section: ConfigSection<'_>) -> BTreeMap<String, String> {
        let mut credentials = BTreeMap::new();
        let Some(section) = self.read_mapping(section, "env") else { return credentials };
        for entry in section.entries() {
            let what = format!("`{}` in `env`", entry.key);
            if let Some(text) = self.node_text(&entry.value, what) {
                credentials.insert(entry.key.clone().into_owned(), text.value.to_owned());
            }
        }
        credentials
    }

    /// Reads what parameters are when nobody says; whether there are such parameters is known when
    /// the descriptor is.
    fn read_defaults(&mut self, section: ConfigSection<'_>) -> BTreeMap<String, serde_json::Value> {
        let mut defaults = BTreeMap::new();
        let Some(section) = self.read_mapping(section, "defaults") else { return defaults };
        for entry in section.entries() {
            if matches!(entry.value.value, YamlValue::Null) {
                let message = format!("`{}` in `defaults` has no value", entry.key);
                self.report_error(
                    code::WRONG_TYPE,
                    &entry.key_span,
                    message,
                    "give it one, or remove it",
                );
                continue;
            }
            defaults.insert(entry.key.clone().into_owned(), entry.value.to_json());
        }
        defaults
    }

    fn read_options(
        &mut self,
        section: ConfigSection<'_>,
        kind: TransportKind,
        backend: &mut BackendSettings,
    ) {
        let Some(section) = self.read_mapping(section, "options") else { return };
        let fills_in = |name: &str| kind == TransportKind::Rest && is_variable(name);
        self.check_backend_keys(section, keys::OPTIONS, Some(kind), fills_in);
        for entry in section.entries().iter().filter(|entry| fills_in(&entry.key)) {
            let what = format!("`{}` in `options`", entry.key);
            if let Some(text) = self.node_text(&entry.value, what) {
                backend.variables.insert(entry.key.clone().into_owned(), text.value.to_owned());
            }
        }
        let timeouts = &mut backend.timeouts;
        for (key, timeout) in [
            ("timeout", &mut timeouts.call),
            ("connect_timeout", &mut timeouts.connect),
            ("read_timeout", &mut timeouts.read),
            ("first_byte_timeout", &mut timeouts.first_byte),
            ("stall_timeout", &mut timeouts.stall),
            ("task_wait", &mut backend.task_wait),
        ] {
            *timeout = self.read_duration(section, key).unwrap_or(*timeout);
        }
        backend.task_after =
            self.duration_or_zero(section, "task_after").unwrap_or(backend.task_after);
        self.read_duration(section, "streaming_timeout");
        if self.read_duration(section, "task_wait_progress").is_some() {
            let backend = &backend.name;
            self.warnings.push(format!(
                "`task_wait_progress` of backend \"{backend}\" has no effect: `task_wait` counts for \
                 hosts that ask for progress as well"
            ));
        }
        if let Some(server) = &mut backend.server {
            let time = self.read_duration(section, "start_timeout");
            server.start_timeout = time.unwrap_or(server.start_timeout);
        }
        backend.file_ttl = self.read_duration(section, "blob_ttl");
        let size = self.read_size(section, "max_response_size");
        backend.max_response_bytes = size.unwrap_or(backend.max_response_bytes);
        if let Some(most) = self.read_positive(section, "max_calls") {
            backend.max_calls = usize::try_from(most).unwrap_or(usize::MAX);
        }
    }
}

/// Returns whether `name` can name a backend.
pub(super) fn is_backend_name(name: &str) -> bool {
    let rest = name.strip_prefix(|first: char| first.is_ascii_lowercase());
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    rest.is_some_and(|rest| rest.chars().all(allowed))
}

/// Returns whether `word` can be an access level.
pub(super) fn is_level(word: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.');
    !word.is_empty() && word.chars().all(allowed)
}

/// `{NAME}` placeholders are upper case, so that a mistyped option is not taken for one.
fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn key_names(keys: &[keys::ConfigKey]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

fn quote_backend(name: &str) -> String {
    format!("backend `{name}`")
}

/// The start of a mapping: a finding about all of it is shown at its first line.
fn first_line(node: &YamlNode<'_>) -> Range<usize> {
    node.span.start..node.span.start
}
