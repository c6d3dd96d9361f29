//! The environment variables that dadl-mcp reads, all of them, and the environment as a value.
//!
//! Nothing else in the program looks at the environment of the process, so that a test needs no
//! process of its own and `--help` and `docs/configuration.md` cannot miss a variable.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

/// A variable and what it does.
#[derive(Debug, Clone, Copy)]
pub struct EnvVariable {
    /// The name; `<NAME>` stands for a part that the operator chooses.
    pub name: &'static str,
    /// What it does: an imperative sentence without a full stop.
    pub meaning: &'static str,
    /// The flag that wins over it.
    pub flag: Option<&'static str>,
}

/// The path of backends.yaml.
pub const CONFIG: &str = "DADL_MCP_CONFIG";
/// The upper bound of access levels.
pub const ACCESS: &str = "DADL_MCP_ACCESS";
/// The directory of files.
pub const FILES: &str = "DADL_MCP_FILES";
/// The filter of the log.
pub const LOG: &str = "DADL_MCP_LOG";
/// The bearer token of the HTTP endpoint.
pub const HTTP_TOKEN: &str = "DADL_MCP_HTTP_TOKEN";
/// The file that holds [`HTTP_TOKEN`].
pub const HTTP_TOKEN_FILE: &str = "DADL_MCP_HTTP_TOKEN_FILE";
/// Switches color off (no-color.org).
pub const NO_COLOR: &str = "NO_COLOR";
/// Lead requests through a proxy; the HTTP client reads them.
pub const PROXIES: &[&str] =
    &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"];
/// Where `setup` stores credentials.
pub const STORE: &str = "DADL_MCP_STORE";
/// The address of the D-Bus session bus.
pub const SESSION_BUS: &str = "DBUS_SESSION_BUS_ADDRESS";
/// The directory of the sockets of a session.
pub const RUNTIME_DIRECTORY: &str = "XDG_RUNTIME_DIR";
/// Begins the name of each variable that holds a credential.
pub const CREDENTIAL_PREFIX: &str = "CREDENTIAL_";

/// Every variable, in the order of the documentation.
pub const ALL: &[EnvVariable] = &[
    EnvVariable { name: CONFIG, meaning: "Read backends from this file", flag: Some("--config") },
    EnvVariable {
        name: ACCESS,
        meaning: "Allow at most these access levels, separated by commas",
        flag: Some("--access"),
    },
    EnvVariable {
        name: FILES,
        meaning: "Save downloads to this directory and read uploads from it",
        flag: Some("--files"),
    },
    EnvVariable {
        name: "CREDENTIAL_<NAME>",
        meaning: "Give the value of the credential `<name>` that a descriptor asks for: \
                  upper case, every character besides letters and digits as `_`",
        flag: None,
    },
    EnvVariable {
        name: "CREDENTIAL_<NAME>_FILE",
        meaning: "Give the path of a file that holds the credential",
        flag: None,
    },
    EnvVariable {
        name: HTTP_TOKEN,
        meaning: "Require this bearer token of clients of `serve --http`",
        flag: None,
    },
    EnvVariable {
        name: HTTP_TOKEN_FILE,
        meaning: "Give the path of a file that holds the bearer token",
        flag: Some("--http-token-file"),
    },
    EnvVariable {
        name: LOG,
        meaning: "Log what this filter lets through, such as `dadl_mcp=debug`",
        flag: Some("-v, -q"),
    },
    EnvVariable {
        name: STORE,
        meaning: "Store what `setup` asks for here: `keyring`, `file` or `auto`",
        flag: Some("--store"),
    },
    EnvVariable {
        name: NO_COLOR,
        meaning: "Write no color when this is set and not empty",
        flag: Some("--color"),
    },
    EnvVariable {
        name: "XDG_CONFIG_HOME",
        meaning: "Look for `dadl-mcp/backends.yaml` and `dadl-mcp/descriptors` here instead of \
                  in `~/.config` (Windows: `APPDATA`)",
        flag: None,
    },
    EnvVariable {
        name: "XDG_STATE_HOME",
        meaning: "Keep `dadl-mcp/files` and the credential store here instead of in \
                  `~/.local/state` (Windows: `LOCALAPPDATA`)",
        flag: None,
    },
    EnvVariable {
        name: "XDG_CACHE_HOME",
        meaning: "Keep here what is known of servers, and which files were compiled, in `dadl-mcp`, instead of \
                  in `~/.cache` (Windows: `LOCALAPPDATA`)",
        flag: None,
    },
    EnvVariable {
        name: "DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR",
        meaning: "Reach the keyring over this bus, or over `bus` in this directory, instead of \
                  `/run/user/UID/bus` (Linux)",
        flag: None,
    },
    EnvVariable {
        name: "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY",
        meaning: "Reach backends through a proxy",
        flag: None,
    },
];

/// A variable that holds the name of another: whoever starts the program was to put the value in,
/// and did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} holds `{reference}`: the host did not put the value in; set that variable where the \
     host is started, or write the value itself"
)]
pub struct UnexpandedVariable {
    /// The variable.
    pub variable: String,
    /// What it holds, without a value that stands in it.
    pub reference: String,
}

/// A reference to a variable where its value was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableReference<'value> {
    /// The reference as it is shown: what counts where the variable is not set is left out, since it is
    /// a value like any other.
    pub shown: Cow<'value, str>,
    /// The value that counts where the variable is not set.
    pub default: Option<&'value str>,
}

/// Returns a value that is nothing but a reference to a variable, as hosts and shells write them:
/// `${NAME}`, `${env:NAME}`, `${NAME:-default}`, `$NAME`, `%NAME%`.
///
/// A secret may have such characters in it, so the whole must be a reference.
pub fn unexpanded_reference(value: &str) -> Option<VariableReference<'_>> {
    let value = value.trim();
    let is_name = |name: &str, is_capital: bool| {
        let is_letter =
            |c: char| if is_capital { c.is_ascii_uppercase() } else { c.is_ascii_alphabetic() };
        name.len() > 1
            && name.starts_with(|first| is_letter(first) || first == '_')
            && name.chars().all(|c| is_letter(c) || c.is_ascii_digit() || c == '_')
    };
    let whole = |is_reference: bool| {
        is_reference.then_some(VariableReference { shown: Cow::Borrowed(value), default: None })
    };
    if let Some(inner) = value.strip_prefix("${").and_then(|it| it.strip_suffix('}')) {
        return match inner.split_once(':') {
            None => whole(is_name(inner, false)),
            Some((name, rest)) => match rest.split_at_checked(1) {
                Some((operator @ ("-" | "=" | "?" | "+"), default)) => {
                    if default.is_empty() {
                        return whole(is_name(name, false));
                    }
                    let is_reference = is_name(name, false) && !default.contains(['{', '}']);
                    let shown = Cow::Owned(format!("${{{name}:{operator}..}}"));
                    is_reference.then_some(VariableReference { shown, default: Some(default) })
                }
                // Editors have their own kinds: `env:NAME`, `input:some-id`.
                _ => {
                    let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                    whole(is_name(name, false) && !rest.is_empty() && rest.chars().all(is_id))
                }
            },
        };
    }
    if let Some(name) = value.strip_prefix('$') {
        return whole(is_name(name, true));
    }
    let name = value.strip_prefix('%').and_then(|it| it.strip_suffix('%'));
    whole(name.is_some_and(|name| is_name(name, true)))
}

/// The environment of a process, or one that a test made up.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    /// Leaves the values out: some are secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// Takes the environment of this process; what is not UTF-8 is none of our variables.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Returns the value of a variable; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable as [`Self::get`] does.
    ///
    /// # Errors
    ///
    /// [`UnexpandedVariable`] when it is the name of another one.
    pub fn expanded(&self, name: &str) -> Result<Option<&str>, UnexpandedVariable> {
        let value = self.get(name);
        match value.and_then(unexpanded_reference) {
            Some(reference) => {
                let reference = reference.shown.into_owned();
                Err(UnexpandedVariable { variable: name.to_owned(), reference })
            }
            None => Ok(value),
        }
    }

    /// Returns the variables whose names begin with `prefix`.
    pub fn with_prefix<'own>(
        &'own self,
        prefix: &'own str,
    ) -> impl Iterator<Item = (&'own str, &'own str)> {
        let all = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }

    /// Returns the value of a variable as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// Returns the names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }
}

impl<Name: Into<String>, Text: Into<String>> FromIterator<(Name, Text)> for Environment {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Text)>>(pairs: Pairs) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_that_nobody_replaced_is_no_value() {
        for reference in [
            "${XO_TOKEN}",
            " ${XO_TOKEN}\n",
            "${xo_token}",
            "${env:XO_TOKEN}",
            "${input:xo-token}",
            "${XO_TOKEN:-}",
            "$XO_TOKEN",
            "%XO_TOKEN%",
        ] {
            let read = unexpanded_reference(reference).unwrap();
            assert_eq!((&*read.shown, read.default), (reference.trim(), None), "{reference}");
        }
    }

    #[test]
    fn a_value_within_a_reference_is_not_shown() {
        for (reference, shown, default) in [
            ("${XO_TOKEN:-s3cret}", "${XO_TOKEN:-..}", "s3cret"),
            ("${XO_TOKEN:=s3cret}", "${XO_TOKEN:=..}", "s3cret"),
            ("${XO_TOKEN:+s3cret}", "${XO_TOKEN:+..}", "s3cret"),
            ("${XO_TOKEN:?not set}", "${XO_TOKEN:?..}", "not set"),
        ] {
            let read = unexpanded_reference(reference).unwrap();
            assert_eq!((&*read.shown, read.default), (shown, Some(default)));
            let error = Environment::from_iter([("A", reference)]).expanded("A").unwrap_err();
            assert!(!error.to_string().contains(default), "{error}");
        }
    }

    #[test]
    fn a_secret_with_the_same_characters_is_one() {
        for secret in [
            "",
            "$",
            "$$",
            "${}",
            "%%",
            "pa${x",
            "a${XO_TOKEN}",
            "${XO_TOKEN}b",
            "${A}${B}",
            "${XO TOKEN}",
            "${1ST}",
            "$2y$10$N9qo8uLOickgx2ZMRZoMye",
            "$ecret",
            "$Secret1",
            "$P4ss!word",
            "$A",
            "100%",
            "%20abc%",
            "%a%",
            "Bearer x",
        ] {
            assert!(unexpanded_reference(secret).is_none(), "{secret}");
        }
    }

    #[test]
    fn the_variable_and_what_it_holds_are_named() {
        let environment = Environment::from_iter([("A", "$TOKEN"), ("B", "t"), ("C", "")]);
        let error = environment.expanded("A").unwrap_err().to_string();
        assert!(
            error.starts_with("A holds `$TOKEN`: the host did not put the value in"),
            "{error}"
        );
        assert_eq!(environment.expanded("B"), Ok(Some("t")));
        assert_eq!(environment.expanded("C"), Ok(None));
    }
}
