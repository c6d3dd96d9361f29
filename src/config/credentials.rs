//! Credentials come from the environment, directly or through a file that it names.
//!
//! A descriptor names a credential, such as `vault/stripe-key`; the variable is `CREDENTIAL_` and
//! that name in upper case with `_` for every other character. A backend's `env` replaces the
//! name first, so that two backends of one descriptor have a credential each.
//!
//! **Invariant:** values are [`SecretString`]s, and no text made here holds one.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{
    BackendSettings,
    env_vars::{CREDENTIAL_PREFIX, Environment},
};
use crate::descriptor::model::CredentialName;

/// Credential files are tokens and passwords; this is a file that is something else.
const MOST_BYTES: u64 = 64 * 1024;

/// Where credentials are looked up.
#[derive(Debug, Clone)]
pub struct Credentials {
    environment: Environment,
}

/// Why a credential that is set cannot be used. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It is not clear which one counts.
    #[error("both {variable} and {variable}_FILE are set; unset one of them")]
    Both {
        /// The variable that holds the value.
        variable: String,
    },
    /// The file of a `_FILE` variable.
    #[error("{variable}: {path} {reason}")]
    File {
        /// The variable that names the file.
        variable: String,
        /// The file.
        path: String,
        /// Why it cannot be used.
        reason: String,
    },
}

/// A credential and the variable that it comes from.
struct Found {
    variable: String,
    secret: SecretString,
}

impl Credentials {
    /// Looks credentials up in `environment`.
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// Returns the value of the credential that `backend`'s descriptor calls `name`.
    ///
    /// # Errors
    ///
    /// The credential is set, but not in a usable way.
    pub fn resolve(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<SecretString>, CredentialError> {
        Ok(self.find(backend, name)?.map(|found| found.secret))
    }

    /// Returns the variable that gives the credential, without its value.
    ///
    /// # Errors
    ///
    /// The credential is set, but not in a usable way.
    pub fn origin(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<String>, CredentialError> {
        Ok(self.find(backend, name)?.map(|found| found.variable))
    }

    /// Returns the variables that are looked at, in order; each also with `_FILE`.
    pub fn variables(backend: &BackendSettings, name: &CredentialName) -> Vec<String> {
        let wanted = backend.credentials.get(&name.0).unwrap_or(&name.0);
        let mut variables = Vec::new();
        // `env` may name a variable of another program, such as GITHUB_TOKEN.
        if backend.credentials.contains_key(&name.0) && is_variable_name(wanted) {
            variables.push(wanted.clone());
        }
        variables.push(variable(wanted));
        if let Some(bare) = wanted.strip_prefix("vault/") {
            variables.push(variable(bare));
        }
        variables
    }

    /// Says which variable to set for a credential that is missing.
    pub fn missing(backend: &BackendSettings, name: &CredentialName) -> String {
        let variables = Self::variables(backend, name);
        let first = variables.first().map(String::as_str).unwrap_or_default();
        format!("credential `{name}` is not set; set {first} or {first}_FILE")
    }

    fn find(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<Found>, CredentialError> {
        for variable in Self::variables(backend, name) {
            if let Some(secret) = self.environment.secret(&variable)? {
                return Ok(Some(Found { variable, secret }));
            }
        }
        Ok(None)
    }
}

impl Environment {
    /// Returns the secret in `variable`, or in the file that `variable` with `_FILE` names.
    pub(crate) fn secret(&self, variable: &str) -> Result<Option<SecretString>, CredentialError> {
        let file_variable = format!("{variable}_FILE");
        match (self.get(variable), self.path(&file_variable)) {
            (None, None) => Ok(None),
            (Some(value), None) => Ok(Some(value.into())),
            (None, Some(path)) => {
                read(&path).map(Some).map_err(|reason| file_error(file_variable, path, reason))
            }
            (Some(_), Some(_)) => Err(CredentialError::Both { variable: variable.to_owned() }),
        }
    }
}

fn file_error(variable: String, path: PathBuf, reason: String) -> CredentialError {
    CredentialError::File { variable, path: path.display().to_string(), reason }
}

/// Reads a secret from a file; one line break at its end does not belong to it.
pub(crate) fn read(path: &Path) -> Result<SecretString, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    warn_when_open_to_all(path, &file);
    let mut text = String::new();
    file.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > MOST_BYTES {
        return Err("is too large for a credential".to_owned());
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.into())
}

#[cfg(unix)]
fn warn_when_open_to_all(path: &Path, file: &std::fs::File) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = file.metadata() else { return };
    if metadata.is_file() && metadata.permissions().mode() & 0o004 != 0 {
        tracing::warn!(path = %path.display(), "every user can read this credential; chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_when_open_to_all(_: &Path, _: &std::fs::File) {}

/// Returns the variable of a credential.
fn variable(name: &str) -> String {
    let letters = name.chars().map(|character| match character.to_ascii_uppercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '_',
    });
    let letters: String = letters.collect();
    // A name that is a variable already is not prefixed twice.
    if name.starts_with(CREDENTIAL_PREFIX) {
        letters
    } else {
        format!("{CREDENTIAL_PREFIX}{letters}")
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.starts_with(CREDENTIAL_PREFIX)
        && name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn backend(remap: &[(&str, &str)]) -> BackendSettings {
        let mut backend = BackendSettings::new("b", "b.dadl");
        backend.credentials =
            remap.iter().map(|(name, other)| ((*name).into(), (*other).into())).collect();
        backend
    }

    fn resolve(
        variables: &[(&str, &str)],
        backend: &BackendSettings,
        name: &str,
    ) -> Result<Option<String>, String> {
        let credentials = Credentials::new(variables.iter().copied().collect());
        let name = CredentialName(name.to_owned());
        let found = credentials.resolve(backend, &name).map_err(|error| error.to_string())?;
        Ok(found.map(|secret| secret.expose_secret().to_owned()))
    }

    fn value(text: &str) -> Result<Option<String>, String> {
        Ok(Some(text.to_owned()))
    }

    #[test]
    fn names_the_variable_after_the_credential() {
        let variables = [("CREDENTIAL_VAULT_STRIPE_KEY", "long"), ("CREDENTIAL_B_TOKEN", "short")];
        let plain = backend(&[]);
        assert_eq!(resolve(&variables, &plain, "vault/stripe-key"), value("long"));
        assert_eq!(resolve(&variables, &plain, "vault/b.token"), value("short"));
        assert_eq!(resolve(&variables, &plain, "B-Token"), value("short"));
        assert_eq!(resolve(&variables, &plain, "other"), Ok(None));
        assert_eq!(resolve(&[("CREDENTIAL_A", "")], &plain, "a"), Ok(None));
    }

    #[test]
    fn a_replaced_name_is_the_only_one() {
        let variables =
            [("CREDENTIAL_TOKEN", "one"), ("CREDENTIAL_SECOND", "two"), ("GH_TOKEN", "three")];
        let name = "token";
        assert_eq!(resolve(&variables, &backend(&[("token", "second")]), name), value("two"));
        let prefixed = backend(&[("token", "CREDENTIAL_SECOND")]);
        assert_eq!(resolve(&variables, &prefixed, name), value("two"));
        assert_eq!(resolve(&variables, &backend(&[("token", "GH_TOKEN")]), name), value("three"));
        // Falling back to the credential of another account would be worse than none.
        assert_eq!(resolve(&variables, &backend(&[("token", "third")]), name), Ok(None));
    }

    #[test]
    fn reads_files_without_their_last_line_break() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b" s3cret \r\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(resolve(&[("CREDENTIAL_A_FILE", path)], &backend(&[]), "a"), value(" s3cret "));
        let both = [("CREDENTIAL_A_FILE", path), ("CREDENTIAL_A", "x")];
        let error = resolve(&both, &backend(&[]), "a").unwrap_err();
        assert_eq!(error, "both CREDENTIAL_A and CREDENTIAL_A_FILE are set; unset one of them");
    }

    #[test]
    fn says_why_a_file_cannot_be_used() {
        let error =
            |path: &str| resolve(&[("CREDENTIAL_A_FILE", path)], &backend(&[]), "a").unwrap_err();
        assert!(error("/no/such/file").starts_with("CREDENTIAL_A_FILE: /no/such/file cannot be"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(error(empty.path().to_str().unwrap()).ends_with("is empty"));
    }

    #[test]
    fn a_missing_credential_names_its_variable() {
        let name = CredentialName("vault/stripe-key".to_owned());
        insta::assert_snapshot!(
            Credentials::missing(&backend(&[]), &name),
            @"credential `vault/stripe-key` is not set; set CREDENTIAL_VAULT_STRIPE_KEY or CREDENTIAL_VAULT_STRIPE_KEY_FILE"
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let credentials = Credentials::new([("CREDENTIAL_A", "s3cret")].into_iter().collect());
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
