//! A server that a host starts.

use std::path::Path;

use serde_json::Value;

use super::{
    entry::{EntryReader, InputValue, MOST_ITEMS, REMOVED, shown_name, shown_names},
    looks_secret::{is_path, is_secret, looks_secret, names_secret},
    values::{HostValue, is_variable_name, reference_names, without_defaults},
    written::YamlText,
};
use crate::cli::yaml_text;

/// Flags whose value is a field of a header.
const HEADER_FLAGS: [&str; 3] = ["--header", "--headers", "-H"];

impl EntryReader<'_> {
    pub(super) fn read_process(&mut self) {
        self.set("transport", "stdio".to_owned());
        let mut args = self.read_command();
        args.extend(self.take_list("args"));
        if args.iter().any(|arg| arg == "mcp-remote" || arg.starts_with("mcp-remote@")) {
            let told = "`mcp-remote` only passes on to a URL, which dadl-mcp reaches by itself: \
                        `transport: http`, with that `url`";
            self.told.push(told.to_owned());
        }
        let args = self.safe_args(&args);
        if !args.is_empty() {
            self.set("args", yaml_text::list(args));
        }
        self.read_directory();
        self.read_variables();
        if self.take("envFile").is_some() {
            let told = "`envFile` is not read: what the server needs of it belongs into `env`";
            self.told.push(told.to_owned());
        }
    }

    /// Reads the program; returns the arguments that stand on its line.
    fn read_command(&mut self) -> Vec<String> {
        let Some(command) = self.take_text(&["command"]) else {
            self.reasons.push("it has no `command`".to_owned());
            return Vec::new();
        };
        let command = self.filled("`command`", command.trim());
        if looks_secret(&command) {
            self.names.note(&command);
            self.reasons.push("`command` looks like a secret".to_owned());
            return Vec::new();
        }
        let is_file = is_path(&command) || command.contains(std::path::is_separator);
        let mut words = command.split_whitespace();
        let (command, rest) = match is_file || command.contains(['"', '\'']) {
            true => (command.as_str(), Vec::new()),
            false => (words.next().unwrap_or_default(), words.map(str::to_owned).collect()),
        };
        if !rest.is_empty() {
            self.told.push("`command` had arguments: they are in `args` now".to_owned());
        }
        let command =
            if is_file { self.absolute("`command`", command) } else { command.to_owned() };
        self.set("command", yaml_text::scalar(&without_defaults(&command)));
        rest
    }

    /// Makes a path absolute by the folder of the project: what is relative here is so to backends.yaml.
    fn absolute(&mut self, what: &str, path: &str) -> String {
        let is_whole = Path::new(path).is_absolute() || path.as_bytes().get(1) == Some(&b':');
        if is_whole || path.starts_with("${") {
            return path.to_owned();
        }
        if path.starts_with("~/") {
            self.reasons.push(format!("{what} begins with `~`, which nobody replaces here"));
        } else if let Some(folder) = self.places.folder {
            let path = path.strip_prefix("./").unwrap_or(path);
            return folder.join(path).display().to_string();
        } else {
            self.told
                .push(format!("{what} is relative: here that is to the folder of backends.yaml"));
        }
        path.to_owned()
    }

    /// Returns arguments without secrets, which are reasons: everybody on the machine can see arguments.
    fn safe_args(&mut self, args: &[String]) -> Vec<String> {
        let mut safe = Vec::with_capacity(args.len());
        let mut removed = 0;
        let mut before: Option<&str> = None;
        for arg in args {
            let filled = self.filled("`args`", arg);
            match without_secret(before, &filled) {
                Some((left, secret)) => {
                    self.names.note(secret);
                    removed += 1;
                    safe.push(without_defaults(&left));
                }
                None => safe.push(without_defaults(&filled)),
            }
            before = Some(arg);
        }
        if removed > 0 {
            self.reasons.push(format!(
                "its arguments have a secret, where `{REMOVED}` stands now; others can see the arguments of \
                 a process: give it by `env`, as the server calls it there"
            ));
        }
        safe
    }

    fn read_directory(&mut self) {
        let Some(folder) = self.take_text(&["cwd"]) else {
            if let Some(folder) = self.places.folder {
                self.set("cwd", yaml_text::scalar(&folder.display().to_string()));
            }
            return;
        };
        let folder = self.filled("`cwd`", folder);
        if looks_secret(&folder) {
            self.names.note(&folder);
            self.reasons.push("`cwd` looks like a secret".to_owned());
            return;
        }
        let folder = self.absolute("`cwd`", &folder);
        self.set("cwd", yaml_text::scalar(&without_defaults(&folder)));
    }

    fn read_variables(&mut self) {
        let mut variables = Vec::new();
        for (name, value) in self.take_mapping("env") {
            if !self.may_be_set(name) {
                if is_secret(name, &value) {
                    self.names.note(&value);
                }
                continue;
            }
            let value = self.variable(name, &value);
            variables.push((name.to_owned(), value));
        }
        // Codex names variables that it hands on.
        let handed_on: Vec<&Value> = match self.take("env_vars") {
            Some(Value::Array(items)) => items.iter().take(MOST_ITEMS).collect(),
            _ => Vec::new(),
        };
        for item in handed_on {
            let name = item.as_str().or_else(|| item.get("name").and_then(Value::as_str));
            let Some(name) = name.filter(|name| self.may_be_set(name)) else { continue };
            if variables.iter().all(|(known, _)| known != name) {
                self.credentials.push(name.to_owned());
                self.told.push(format!(
                    "{} is handed on from the environment: it has to be set for dadl-mcp too",
                    shown_name(name)
                ));
                variables.push((name.to_owned(), yaml_text::scalar(&format!("${{{name}}}"))));
            }
        }
        if !variables.is_empty() {
            self.keys.push(("env", YamlText::Block(variables)));
        }
    }

    fn may_be_set(&mut self, name: &str) -> bool {
        let may = is_variable_name(name) && !name.starts_with("DADL_MCP_");
        if !may {
            self.told.push(format!(
                "{} in `env` is no variable that a server can get; left out",
                shown_name(name)
            ));
        }
        may
    }

    /// Returns the value of a variable as YAML.
    fn variable(&mut self, name: &str, value: &str) -> String {
        let (filled, defaults) = self.places.fill_in(value);
        match HostValue::of(name, &filled) {
            // A secret may look like anything: what it stands for is not searched in it.
            _ if is_secret(name, &filled) && !filled.contains("${") => {
                let credential = self.names.of_value(name, self.name, &filled);
                self.ask(credential)
            }
            HostValue::Text(text) => {
                if !defaults.is_empty() {
                    self.told.push(format!(
                        "{} is not looked up for {}; its default is written",
                        shown_names(defaults),
                        shown_name(name)
                    ));
                }
                yaml_text::scalar(text)
            }
            HostValue::Variable { name: variable, default } => {
                if let Some(default) = default {
                    self.names.note(default);
                    self.told.push(format!(
                        "the default of {} is left out: it may be a secret",
                        shown_name(variable)
                    ));
                }
                self.credentials.push(variable.to_owned());
                yaml_text::scalar(&format!("${{{variable}}}"))
            }
            HostValue::Input(id) => self.input(id, name),
            HostValue::Mixed => {
                self.told.push(format!(
                    "{} is put together of {} and more: the credential is all of it",
                    shown_name(name),
                    shown_names(reference_names(&filled))
                ));
                let credential = self.names.of_value(name, self.name, &filled);
                self.ask(credential)
            }
        }
    }

    /// Returns what the host asks its user for, as YAML.
    fn input(&mut self, id: &str, name: &str) -> String {
        match self.asked_for(id, name) {
            InputValue::Proposed(text) => yaml_text::scalar(&text),
            InputValue::Credential(credential) => self.ask(credential),
        }
    }

    /// Notes that `setup` asks for a credential; returns the reference to it.
    fn ask(&mut self, credential: String) -> String {
        let reference = yaml_text::credential(&credential);
        self.credentials.push(credential);
        reference
    }
}

/// Returns an argument without its secret, and the secret; `None` where there is none.
fn without_secret<'arg>(before: Option<&str>, arg: &'arg str) -> Option<(String, &'arg str)> {
    let is_flag = |text: &str| text.starts_with('-') && !text.contains('=');
    if let Some(flag) = before.filter(|flag| is_flag(flag)) {
        if HEADER_FLAGS.contains(&flag)
            && let Some((name, value)) = arg.split_once(':')
            && is_secret(name, value)
        {
            return has_value(value).then(|| (format!("{name}: {REMOVED}"), value.trim()));
        }
        if !arg.starts_with('-') && names_secret(flag) && is_secret(flag, arg) {
            return has_value(arg).then(|| (REMOVED.to_owned(), arg));
        }
    }
    let is_name = |name: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !name.is_empty() && name.len() <= 64 && name.chars().all(letter) && !looks_secret(name)
    };
    if let Some((name, value)) = arg.split_once('=')
        && is_name(name)
        && is_secret(name, value)
    {
        return has_value(value).then(|| (format!("{name}={REMOVED}"), value));
    }
    looks_secret(arg).then(|| (REMOVED.to_owned(), arg))
}

/// Returns whether a value is more than a reference.
fn has_value(value: &str) -> bool {
    let value = value.trim();
    let is_reference = value.starts_with("${") && value.ends_with('}') && !value.contains(":-");
    !is_reference || looks_secret(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lose_their_secrets_and_nothing_else() {
        let left =
            |before: &str, arg: &str| without_secret(Some(before), arg).map(|(left, _)| left);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(left("--api-key", "hunter2"), some("SECRET"));
        assert_eq!(left("-e", "GITHUB_TOKEN=hunter2"), some("GITHUB_TOKEN=SECRET"));
        assert_eq!(left("x", "--password=hunter2"), some("--password=SECRET"));
        assert_eq!(left("--header", "Authorization: hunter2"), some("Authorization: SECRET"));
        assert_eq!(left("x", "postgres://me:hunter2@db/shop"), some("SECRET"));
        for (before, arg) in [
            ("-e", "GITHUB_TOKEN"),
            ("--api-key", "--verbose"),
            ("--key-file", "/home/me/key.pem"),
            ("--header", "X-Region: eu"),
            ("--token", "${input:token}"),
            ("-y", "@modelcontextprotocol/server-github"),
        ] {
            assert_eq!(left(before, arg), None, "{before} {arg}");
        }
    }
}
