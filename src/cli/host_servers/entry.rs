//! One server of a host as a backend: each key that a host has is mapped, or told.
//!
//! No secret is written. What cannot be written without one, or would not work, becomes a comment for a
//! person to complete.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use dadl_text::text::{cut_text, one_line};
use serde_json::{Map, Value};

use super::{
    document::{HostInput, HostServer},
    looks_secret::{looks_secret, names_secret},
    values::{CredentialNames, KnownPlaces, reference_names},
    written::{WrittenBackend, YamlText},
};
use crate::cli::yaml_text;

/// So many items of a list or a mapping are taken.
pub(super) const MOST_ITEMS: usize = 256;

/// A longer text is no setting.
const LONGEST_TEXT: usize = 8 * 1024;

/// A longer name is cut where it is shown.
const LONGEST_NAME: usize = 80;

/// What stands where a secret was.
pub(super) const REMOVED: &str = "SECRET";

/// A backend that was made of a server of a host.
#[derive(Debug)]
pub(super) struct BackendDraft {
    /// What it is called here.
    pub name: String,
    /// What it is called there, and where.
    pub origin: String,
    /// What was changed, or not taken.
    pub told: Vec<String>,
    /// Why it cannot be used as it is; empty where it can.
    pub reasons: Vec<String>,
    /// What is written.
    pub written: WrittenBackend,
    /// The credentials that it needs.
    pub credentials: Vec<String>,
}

/// Reads the settings of one server.
pub(super) struct EntryReader<'all> {
    pub(super) settings: &'all Map<String, Value>,
    pub(super) inputs: &'all BTreeMap<String, HostInput>,
    pub(super) places: KnownPlaces<'all>,
    pub(super) name: &'all str,
    pub(super) names: &'all mut CredentialNames,
    pub(super) told: Vec<String>,
    pub(super) reasons: Vec<String>,
    pub(super) keys: Vec<(&'static str, YamlText)>,
    pub(super) credentials: Vec<String>,
    /// Credentials of a server at a URL that are in variables.
    pub(super) variables: Vec<(String, String)>,
    /// Whether something says what is sent with requests.
    pub(super) has_auth: bool,
    taken: BTreeSet<&'static str>,
}

/// What stands for something that a host asks its user for.
pub(super) enum InputValue {
    /// A credential of this name.
    Credential(String),
    /// What the host proposes, which is no secret.
    Proposed(String),
}

/// How a host reaches a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostTransport {
    Process,
    Url,
}

/// Makes a backend of a server.
pub(super) fn make_backend(
    server: &HostServer,
    name: &str,
    inputs: &BTreeMap<String, HostInput>,
    home: Option<&Path>,
    names: &mut CredentialNames,
) -> BackendDraft {
    let mut reader = EntryReader {
        settings: &server.settings,
        inputs,
        places: KnownPlaces { home, folder: server.folder.as_deref() },
        name,
        names,
        told: Vec::new(),
        reasons: Vec::new(),
        keys: vec![("name", YamlText::Line(yaml_text::scalar(name)))],
        credentials: Vec::new(),
        variables: Vec::new(),
        has_auth: false,
        taken: BTreeSet::new(),
    };
    match reader.transport() {
        Some(HostTransport::Process) => reader.read_process(),
        Some(HostTransport::Url) => reader.read_url(),
        None => reader.reasons.push("it has neither a `command` nor a `url`".to_owned()),
    }
    reader.read_switch();
    reader.read_tools();
    reader.read_times();
    let levels =
        "{}  # none may be called yet: `dadl-mcp list --all` shows what the server proposes";
    reader.keys.push(("levels", YamlText::Line(levels.to_owned())));
    reader.tell_rest();
    let EntryReader { told, reasons, keys, mut credentials, .. } = reader;
    credentials.sort();
    credentials.dedup();
    let origin = format!("{} of {}", shown_name(&server.name), server.origin);
    let written = WrittenBackend { comments: Vec::new(), keys, is_comment: false };
    BackendDraft { name: name.to_owned(), origin, told, reasons, written, credentials }
}

/// Returns whether a server is this program.
pub(super) fn is_own(settings: &Map<String, Value>) -> bool {
    let stem = |text: &str| {
        let file = text.rsplit(['/', '\\']).next().unwrap_or(text);
        file.strip_suffix(".exe").unwrap_or(file) == "dadl-mcp"
    };
    let command = settings.get("command").and_then(Value::as_str).unwrap_or_default();
    let args = settings.get("args").and_then(Value::as_array).into_iter().flatten();
    let words = command.split_whitespace().chain(args.filter_map(Value::as_str));
    let mut behind = words.skip_while(|word| !stem(word));
    behind.next().is_some() && behind.any(|word| word == "serve")
}

/// Returns a text of the file in backquotes, on one line.
pub(super) fn shown_name(text: &str) -> String {
    format!("`{}`", cut_text(&one_line(text), LONGEST_NAME))
}

/// Returns names in backquotes.
pub(super) fn shown_names(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| shown_name(name.as_ref())).collect();
    names.join(", ")
}

impl<'all> EntryReader<'all> {
    /// Returns the value of a key, which is dealt with now.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'all Value> {
        self.taken.insert(key);
        self.settings.get(key).filter(|value| !value.is_null())
    }

    /// Returns the first of these keys that has a text.
    pub(super) fn take_text(&mut self, keys: &[&'static str]) -> Option<&'all str> {
        let values: Vec<_> = keys.iter().map(|key| (*key, self.take(key))).collect();
        values.into_iter().find_map(|(key, value)| match value? {
            Value::String(text) if text.len() <= LONGEST_TEXT && !text.contains('\0') => {
                Some(text.as_str())
            }
            _ => {
                self.told.push(format!("`{key}` is no text that could be one; left out"));
                None
            }
        })
    }

    /// Returns the members of a mapping, of which each is a text, a number or a switch.
    pub(super) fn take_mapping(&mut self, key: &'static str) -> Vec<(&'all str, String)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Some(members) = value.as_object().filter(|it| it.len() <= MOST_ITEMS) else {
            self.reasons.push(format!("`{key}` is no mapping of at most {MOST_ITEMS} members"));
            return Vec::new();
        };
        let mut taken = Vec::with_capacity(members.len());
        for (name, value) in members {
            match plain_text(value) {
                Some(text) => taken.push((name.as_str(), text)),
                None => self.told.push(format!(
                    "{} in `{key}` is no text that could be one; left out",
                    shown_name(name)
                )),
            }
        }
        taken
    }

    /// Returns the items of a list of texts.
    pub(super) fn take_list(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let items = value.as_array().filter(|it| it.len() <= MOST_ITEMS);
        let texts: Option<Vec<String>> = items.and_then(|it| it.iter().map(plain_text).collect());
        texts.unwrap_or_else(|| {
            self.reasons.push(format!("`{key}` is no list of at most {MOST_ITEMS} texts"));
            Vec::new()
        })
    }

    pub(super) fn set(&mut self, key: &'static str, value: String) {
        self.keys.push((key, YamlText::Line(value)));
    }

    /// Fills in what is known here; what is not is a reason. Returns the text as it may be written.
    pub(super) fn filled(&mut self, what: &str, text: &str) -> String {
        let (filled, defaults) = self.places.fill_in(text);
        if !defaults.is_empty() {
            self.told.push(format!(
                "{what}: {} is not looked up here; its default is written",
                shown_names(defaults)
            ));
        }
        let names = reference_names(&filled);
        if !names.is_empty() {
            self.reasons.push(format!(
                "{what}: {} is not filled in here: write what it stands for; a secret belongs into `env`",
                shown_names(names)
            ));
        }
        filled
    }

    /// Returns what stands for an input of the host that something called `name` refers to.
    pub(super) fn asked_for(&mut self, id: &str, name: &str) -> InputValue {
        let input = self.inputs.get(id).cloned().unwrap_or_default();
        let shown = shown_name(&format!("input:{id}"));
        let may_be_written = !input.is_password && !names_secret(name) && !names_secret(id);
        if let Some(default) = input.default.filter(|it| may_be_written && !looks_secret(it)) {
            self.told.push(format!("the host asks for {shown}; what it proposes is written"));
            return InputValue::Proposed(default);
        }
        let credential = self.names.of_source(id, self.name, id);
        let description = match input.description.trim() {
            "" => String::new(),
            text if looks_secret(text) => String::new(),
            text => format!(": {}", shown_name(text)),
        };
        self.told.push(format!(
            "the host asks for {shown}, which is the credential `{credential}`{description}"
        ));
        InputValue::Credential(credential)
    }

    fn transport(&mut self) -> Option<HostTransport> {
        let word = self.take_text(&["type", "transport"]);
        let by_keys = || {
            let has = |key: &str| self.settings.get(key).is_some_and(Value::is_string);
            if has("command") {
                return Some(HostTransport::Process);
            }
            ["url", "serverUrl", "httpUrl"].into_iter().any(has).then_some(HostTransport::Url)
        };
        let plain = word.map(|word| word.to_ascii_lowercase().replace(['-', '_', ' '], ""));
        match plain.as_deref() {
            None => by_keys(),
            Some("stdio" | "local") => Some(HostTransport::Process),
            Some("http" | "streamablehttp" | "remote") => Some(HostTransport::Url),
            Some("sse") => {
                let told = "it speaks HTTP+SSE, the transport before streamable HTTP: `transport: http` \
                            recognizes it; see whether the server has a newer address";
                self.told.push(told.to_owned());
                Some(HostTransport::Url)
            }
            Some(_) => {
                let kind = by_keys();
                let word = shown_name(word.unwrap_or_default());
                self.reasons.push(format!("nobody here speaks its transport {word}"));
                kind
            }
        }
    }

    fn read_switch(&mut self) {
        let disabled = self.take("disabled").and_then(Value::as_bool).unwrap_or_default();
        let enabled = self.take("enabled").and_then(Value::as_bool).unwrap_or(true);
        if disabled || !enabled {
            self.reasons.push("it is switched off in the host".to_owned());
        }
    }

    /// Reads which tools the host shows, and which it calls without a question.
    fn read_tools(&mut self) {
        for (key, host_keys) in [
            ("tools", ["enabled_tools", "includeTools", "tools"].as_slice()),
            ("exclude_tools", &["disabled_tools", "excludeTools", "disabledTools"]),
        ] {
            for host_key in host_keys {
                if self.settings.get(*host_key).is_none_or(|value| !value.is_array()) {
                    continue;
                }
                let tools = self.take_list(host_key);
                if !tools.is_empty() && !tools.iter().any(|tool| tool == "*") {
                    self.set(key, yaml_text::list(tools));
                }
            }
        }
        for key in ["autoApprove", "alwaysAllow", "auto_approve", "trust"] {
            match self.take(key) {
                Some(Value::Array(tools)) if !tools.is_empty() => {
                    let tools: Vec<&str> =
                        tools.iter().take(MOST_ITEMS).filter_map(Value::as_str).collect();
                    self.told.push(format!(
                        "the host calls {} without a question (`{key}`); where they only read, that is \
                         `levels: {}` here",
                        shown_names(&tools),
                        yaml_text::mapping(tools.iter().map(|tool| (*tool, "read".to_owned()))),
                    ));
                }
                Some(Value::Bool(true)) => self.told.push(format!(
                    "the host calls all of its tools without a question (`{key}`); here `levels` decides"
                )),
                _ => {}
            }
        }
    }

    /// Reads bounds of time, which hosts have in milliseconds or in seconds.
    fn read_times(&mut self) {
        let mut options = Vec::new();
        for (option, key) in [
            ("timeout", "tool_timeout_sec"),
            ("timeout", "timeout"),
            ("start_timeout", "startup_timeout_sec"),
            ("start_timeout", "startup_timeout_ms"),
            ("start_timeout", "initTimeout"),
        ] {
            let Some(value) = self.take(key) else { continue };
            let number = value.as_f64().filter(|it| (0.001..=1e9).contains(it));
            let Some(number) = number else {
                self.told.push(format!("`{key}` is no time; left out"));
                continue;
            };
            // Nobody waits a second for a tool, nor an hour.
            let is_millis = key.ends_with("_ms") || (!key.ends_with("_sec") && number >= 1000.0);
            let time = if is_millis { format!("{number:.0}ms") } else { format!("{number}s") };
            if options.iter().all(|(known, _)| *known != option) {
                self.told.push(format!("`{key}` is written as `{option}: {time}`"));
                options.push((option, yaml_text::scalar(&time)));
            }
        }
        if !options.is_empty() {
            self.set("options", yaml_text::mapping(options));
        }
    }

    /// Names the keys that nobody has looked at.
    fn tell_rest(&mut self) {
        let rest = self.settings.keys().filter(|key| !self.taken.contains(key.as_str()));
        let rest: Vec<&String> = rest.take(MOST_ITEMS).collect();
        if !rest.is_empty() {
            self.told
                .push(format!("not taken, since nothing here is like it: {}", shown_names(rest)));
        }
    }
}

/// Returns a text, a number or a switch as text.
fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.len() <= LONGEST_TEXT && !text.contains('\0') => {
            Some(text.clone())
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn this_program_is_recognized() {
        let own = |value: Value| is_own(value.as_object().unwrap());
        assert!(own(json!({ "command": "/usr/local/bin/dadl-mcp", "args": ["serve"] })));
        assert!(own(
            json!({ "command": "C:\\x\\dadl-mcp.exe", "args": ["--config", "x", "serve"] })
        ));
        assert!(own(json!({ "command": "docker", "args": ["run", "-i", "dadl-mcp", "serve"] })));
        assert!(!own(json!({ "command": "dadl-mcp", "args": ["simulate", "mcp"] })));
        assert!(!own(json!({ "command": "npx", "args": ["serve"] })));
        assert!(!own(json!({ "url": "http://127.0.0.1/mcp" })));
    }
}
