//! Values of a host's settings: what they refer to, and what can be filled in here.

use std::{collections::BTreeMap, path::Path};

use dadl_text::{
    names::snake,
    text::{cut_text, one_line},
};

use super::looks_secret::{looks_secret, names_secret};
use crate::{cli::yaml_text::scalar, config::env_vars::unexpanded_reference};

/// A longer name of a reference is cut where it is shown.
const LONGEST_NAME: usize = 60;

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostValue<'text> {
    /// A text that refers to nothing.
    Text(&'text str),
    /// All of it is a variable of the environment, with what counts where it is not set.
    Variable { name: &'text str, default: Option<&'text str> },
    /// All of it is something that the host asks for.
    Input(&'text str),
    /// It has references among other things.
    Mixed,
}

impl<'text> HostValue<'text> {
    /// Reads a value of something that is called `name`.
    pub(super) fn of(name: &str, text: &'text str) -> Self {
        let trimmed = text.trim();
        if let Some(inner) = whole(trimmed) {
            return match reference(inner) {
                Reference::Variable { name, default } => Self::Variable { name, default },
                Reference::Input(id) => Self::Input(id),
                Reference::Other => Self::Mixed,
            };
        }
        if text.contains("${") {
            return Self::Mixed;
        }
        // `$NAME` and `%NAME%` may as well be passwords.
        if !names_secret(name) && unexpanded_reference(trimmed).is_some() {
            return Self::Variable { name: trimmed.trim_matches(['$', '%']), default: None };
        }
        Self::Text(text)
    }
}

enum Reference<'text> {
    Variable { name: &'text str, default: Option<&'text str> },
    Input(&'text str),
    Other,
}

/// Returns what is inside of a text that is one reference.
fn whole(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    (!inner.contains(['{', '}'])).then_some(inner)
}

fn reference(inner: &str) -> Reference<'_> {
    let inner = inner.strip_prefix("env:").unwrap_or(inner);
    if let Some(id) = inner.strip_prefix("input:") {
        return Reference::Input(id);
    }
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default).filter(|it| !it.is_empty())),
        None => (inner, None),
    };
    match is_variable_name(name) && !is_place(name) {
        true => Reference::Variable { name, default },
        false => Reference::Other,
    }
}

/// Returns whether a name is that of a place which only a host knows.
fn is_place(name: &str) -> bool {
    name.starts_with("workspace") || name.starts_with("CLAUDE_") || name == "cwd"
}

/// Returns whether a variable can be called so.
pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What is known of where a host starts its servers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KnownPlaces<'path> {
    /// The home of the user.
    pub home: Option<&'path Path>,
    /// The folder of the project.
    pub folder: Option<&'path Path>,
}

impl KnownPlaces<'_> {
    /// Fills in the references to places, and those that have a value of their own which is no secret;
    /// returns the text, and the names of what was filled in by such a value.
    pub(super) fn fill_in(self, text: &str) -> (String, Vec<String>) {
        let mut filled = String::with_capacity(text.len());
        let mut defaults = Vec::new();
        let mut rest = text;
        while let Some((before, inner, behind)) = next_reference(rest) {
            filled.push_str(before);
            match (self.place(inner), reference(inner)) {
                (Some(place), _) => filled.push_str(&place),
                (None, Reference::Variable { name, default: Some(default) })
                    if !names_secret(name) && !looks_secret(default) =>
                {
                    defaults.push(name.to_owned());
                    filled.push_str(default);
                }
                _ => filled.extend(["${", inner, "}"]),
            }
            rest = behind;
        }
        filled.push_str(rest);
        (filled, defaults)
    }

    fn place(self, inner: &str) -> Option<String> {
        let text = |path: Option<&Path>| path.map(|it| it.display().to_string());
        match inner {
            "workspaceFolder"
            | "workspaceRoot"
            | "CLAUDE_PROJECT_DIR"
            | "CLAUDE_PROJECT_DIR:-." => text(self.folder),
            "workspaceFolderBasename" => text(self.folder?.file_name().map(Path::new)),
            "userHome" | "HOME" | "env:HOME" | "USERPROFILE" | "env:USERPROFILE" => text(self.home),
            "pathSeparator" | "/" => Some(std::path::MAIN_SEPARATOR.to_string()),
            _ => None,
        }
    }
}

fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (inner, behind) = rest.split_once('}')?;
    Some((before, inner, behind))
}

/// Returns the references of a text by what they are called, without what they would be.
pub(super) fn reference_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, inner, behind)) = next_reference(rest) {
        let name = inner.split([':', '}']).next().unwrap_or_default();
        let name = match inner.split_once(':') {
            Some((kind @ ("env" | "input"), id)) => {
                format!("{kind}:{}", id.split(':').next().unwrap_or_default())
            }
            _ => name.to_owned(),
        };
        names.push(format!("${{{}}}", cut_text(&one_line(&name), LONGEST_NAME)));
        rest = behind;
    }
    names
}

/// Returns a text whose references have no values of their own.
pub(super) fn without_defaults(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    for name in reference_names(text) {
        let Some((before, _, behind)) = next_reference(rest) else { break };
        shown.extend([before, name.as_str()]);
        rest = behind;
    }
    shown + rest
}

/// The names of credentials, each for one secret of one backend: nothing is sent to two places.
#[derive(Debug, Default)]
pub(super) struct CredentialNames {
    /// By name, what the secret is.
    known: BTreeMap<String, String>,
    /// The secrets themselves, so that none is written by another way.
    secrets: Vec<String>,
}

impl CredentialNames {
    /// Notes a secret that has no name, since it cannot be given by one.
    pub(super) fn note(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    /// Returns the name of the credential with this value: `wanted` unless another one has it, and then
    /// with the name of the backend before it.
    pub(super) fn of_value(&mut self, wanted: &str, backend: &str, value: &str) -> String {
        self.note(value);
        self.named(wanted, backend, &format!("{backend}={value}"))
    }

    /// Returns the name of the credential that is known as `source` alone: an input of a host.
    pub(super) fn of_source(&mut self, wanted: &str, backend: &str, source: &str) -> String {
        self.named(wanted, backend, &format!("{backend}:{source}"))
    }

    fn named(&mut self, wanted: &str, backend: &str, identity: &str) -> String {
        let wanted = match snake(wanted).as_str() {
            "" | "none" => "secret".to_owned(),
            name => name.to_owned(),
        };
        let with_backend = format!("{}_{wanted}", snake(backend));
        let numbered = (2..).map(|number| format!("{with_backend}_{number}"));
        let mut names = [wanted, with_backend.clone()].into_iter().chain(numbered);
        let is_free = |name: &String| self.known.get(name).is_none_or(|it| it == identity);
        let name = names.find(is_free).unwrap_or(with_backend);
        self.known.insert(name.clone(), identity.to_owned());
        name
    }

    /// Returns whether a text that is going to be written has a secret in it that is no ordinary word.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let is_word = |secret: &String| secret.bytes().all(|it| it.is_ascii_lowercase());
        let all = self.secrets.iter().filter(|it| it.len() >= SHORTEST_SEARCHED && !is_word(it));
        all.into_iter().any(|secret| {
            let quoted = scalar(secret);
            text.contains(secret) || text.contains(quoted.trim_matches('"'))
        })
    }
}

/// Shorter secrets occur by chance.
const SHORTEST_SEARCHED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_texts() {
        let of = HostValue::of;
        let variable = |name, default| HostValue::Variable { name, default };
        assert_eq!(of("A", "${env:GITHUB_TOKEN}"), variable("GITHUB_TOKEN", None));
        assert_eq!(of("A", "${LEVEL:-info}"), variable("LEVEL", Some("info")));
        assert_eq!(of("A", "${input:api-key}"), HostValue::Input("api-key"));
        assert_eq!(of("A", "%APPDATA%"), variable("APPDATA", None));
        assert_eq!(of("A_TOKEN", "$ECRET"), HostValue::Text("$ECRET"));
        for mixed in ["a ${B}", "${A}${B}", "${file:/x}", "${workspaceFolder}"] {
            assert_eq!(of("A", mixed), HostValue::Mixed, "{mixed}");
        }
    }

    #[test]
    fn places_are_filled_in_and_secrets_are_not_shown() {
        let places =
            KnownPlaces { home: Some(Path::new("/home/me")), folder: Some(Path::new("/srv/shop")) };
        let fill = |text: &str| places.fill_in(text).0;
        assert_eq!(fill("${workspaceFolder}/a:${env:HOME}"), "/srv/shop/a:/home/me");
        assert_eq!(fill("--port=${PORT:-80} ${X}"), "--port=80 ${X}");
        assert_eq!(fill("${API_KEY:-hunter2} ${"), "${API_KEY:-hunter2} ${");
        assert_eq!(
            without_defaults("a ${API_KEY:-hunter2} b ${input:x}"),
            "a ${API_KEY} b ${input:x}"
        );
        assert_eq!(reference_names("${file:/secret} ${"), ["${file}"]);
    }

    #[test]
    fn a_credential_has_a_name_of_its_own() {
        let mut names = CredentialNames::default();
        assert_eq!(names.of_value("API_KEY", "one", "a"), "api_key");
        assert_eq!(names.of_value("API_KEY", "one", "a"), "api_key");
        assert_eq!(names.of_value("API_KEY", "one", "b"), "one_api_key");
        assert_eq!(names.of_value("API_KEY", "two", "a"), "two_api_key");
        assert_eq!(names.of_value("api-key", "two", "c"), "two_api_key_2");
        assert_eq!(names.of_value("", "two", "d"), "secret");
    }
}
