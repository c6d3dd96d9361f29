//! Credentials come from the environment, directly or through a file that it names, and then from
//! the credential store.
//!
//! A descriptor names a credential, such as `vault/stripe-key`; the variable is `CREDENTIAL_` and
//! that name in upper case with `_` for every other character. A backend's `env` replaces the
//! name first, so that two backends of one descriptor have a credential each. The store has an
//! entry for each backend and credential, in its file or in the keyring of the system.
//!
//! A refresh token that a server replaced is a case of its own: the environment still has the one
//! that no longer works. The store then notes which one its value replaced; as long as the
//! environment has that one, the store's counts, and a new one in the environment counts again.
//!
//! **Invariant:** values are [`SecretString`]s, and no text made here holds one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BackendSettings, dirs,
    env_vars::{CREDENTIAL_PREFIX, Environment, PROXIES},
    keyring::{Keyring, KeyringError, OsKeyring},
    store::{Access, Place, Store, StoreError, StoreLock, Stored, fingerprint},
};
use crate::{
    descriptor::model::CredentialName,
    secrets::{self, Secrets},
};

/// Credential files are tokens and passwords; this is a file that is something else.
const MOST_BYTES: u64 = 64 * 1024;

/// Where credentials are looked up.
#[derive(Debug, Clone)]
pub struct Credentials {
    environment: Environment,
    store: Option<Store>,
    draft: Option<Draft>,
    secrets: Secrets,
}

/// Values that are used and not stored yet.
type Draft = Arc<Mutex<Drafted>>;

#[derive(Debug, Default)]
struct Drafted {
    /// By the name of the credential.
    values: BTreeMap<String, (SecretString, Option<Access>)>,
    /// Whether a server has replaced one of them, so that the one before is of no use.
    replaced: bool,
    /// Whether what is stored does not count, as it cannot be read.
    ignores_store: bool,
}

/// Where a value of [`Credentials::draft`] comes from.
const DRAFTED: &str = "what you entered";

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
    /// There is nowhere to keep it.
    #[error("there is no credential store: set HOME or XDG_STATE_HOME")]
    NoStore,
    /// The credential store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What [`Credentials::commit`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The names of what was stored.
    pub names: Vec<String>,
    /// Whether the backend's credentials were in another place before.
    pub has_moved: bool,
    /// Why they could not be removed there.
    pub left: Option<KeyringError>,
}

/// A credential and the variable or file that it comes from.
struct Found {
    origin: String,
    secret: SecretString,
    access: Option<Access>,
}

impl Credentials {
    /// Looks credentials up in `environment`, then in the store that it says where to find.
    pub fn new(environment: Environment) -> Self {
        let keyring = OsKeyring::new(&environment);
        Self::with_keyring(environment, Arc::new(keyring))
    }

    /// As [`Self::new`], with another keyring.
    pub fn with_keyring(environment: Environment, keyring: Arc<dyn Keyring>) -> Self {
        let store = dirs::credentials(&environment).map(|path| Store::new(path, keyring));
        Self { environment, store, draft: None, secrets: Secrets::default() }
            .noting(&Secrets::default())
    }

    /// Notes secrets that are in use in `secrets`.
    #[must_use]
    pub fn noting(self, secrets: &Secrets) -> Self {
        for name in PROXIES {
            if let Some(proxy) = self.environment.get(name) {
                secrets.add_url("proxy", proxy);
            }
        }
        for (name, value) in self.environment.beginning(CREDENTIAL_PREFIX) {
            let name = name.strip_prefix(CREDENTIAL_PREFIX).unwrap_or(name);
            if !name.ends_with("_FILE") && secrets::is_secret(name) {
                secrets.add(name, value);
            }
        }
        Self { secrets: secrets.clone(), ..self }
    }

    /// Returns where secrets are noted.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the credential store.
    ///
    /// # Errors
    ///
    /// [`CredentialError::NoStore`] when no directory is known that could hold it.
    pub fn store(&self) -> Result<&Store, CredentialError> {
        self.store.as_ref().ok_or(CredentialError::NoStore)
    }

    /// Begins a draft, which `setup` stores when everything else has gone well: its values count
    /// before all others, and nothing is written to the store.
    #[must_use]
    pub fn draft(&self) -> Self {
        Self { draft: Some(Draft::default()), ..self.clone() }
    }

    /// Adds a value to the draft.
    pub fn set(&self, name: &CredentialName, value: SecretString) {
        if let Some(mut draft) = self.drafted() {
            draft.values.insert(name.0.clone(), (value, None));
        }
    }

    /// Goes on without what the keyring has for `backend`, when it does not give it: the draft
    /// then has to have everything. Returns why.
    ///
    /// # Errors
    ///
    /// The file of the store cannot be read.
    pub fn give_up_lost(
        &self,
        backend: &BackendSettings,
    ) -> Result<Option<StoreError>, CredentialError> {
        match self.store()?.entry(&backend.name, "") {
            Err(error @ (StoreError::Keyring { .. } | StoreError::Item { .. })) => {
                if let Some(mut draft) = self.drafted() {
                    draft.ignores_store = true;
                }
                Ok(Some(error))
            }
            found => Ok(found.map(|_| None)?),
        }
    }

    /// Returns whether a server has replaced a value of the draft: not storing it loses the login.
    pub fn has_replaced(&self) -> bool {
        self.drafted().is_some_and(|draft| draft.replaced)
    }

    fn drafted(&self) -> Option<MutexGuard<'_, Drafted>> {
        Some(self.draft.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores the draft for `backend` at `place`, all of it or nothing, and moves what is stored
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn commit(
        &self,
        backend: &BackendSettings,
        place: Place,
    ) -> Result<Committed, CredentialError> {
        let values = self.drafted().map(|draft| draft.values.clone()).unwrap_or_default();
        let mut entries = Vec::new();
        for (name, (value, access)) in &values {
            let replaces = self.replaced(backend, &CredentialName(name.clone()))?;
            let (value, access) = (value.clone(), access.clone());
            entries.push((name.as_str(), Stored { value, replaces, access }));
        }
        let store = self.store()?;
        let now = store.place(&backend.name)?;
        let has_moved = now.is_some_and(|now| now != place);
        let mut left = None;
        if has_moved || !entries.is_empty() {
            let keeps_others = !self.drafted().is_some_and(|draft| draft.ignores_store);
            left = store.save_at(place, &backend.name, &entries, keeps_others)?;
        }
        Ok(Committed { names: values.into_keys().collect(), has_moved, left })
    }

    /// Returns whether looking up or replacing a credential of `backend` may wait for a keyring.
    pub fn may_wait(&self, backend: &BackendSettings, writes: bool) -> bool {
        let store = self.store.as_ref().filter(|_| self.draft.is_none());
        store.is_some_and(|store| store.may_wait(&backend.name, writes))
    }

    /// Returns the value of a credential that servers replace, as the last one of them left it,
    /// and the access token that came with it.
    ///
    /// # Errors
    ///
    /// The credential or the store is there, but cannot be used.
    pub fn latest(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<(SecretString, Option<Access>)>, CredentialError> {
        Ok(self.find_latest(backend, name)?.map(|found| (found.secret, found.access)))
    }

    /// Stores the value that a server gave instead of the one it had.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn replace(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
        value: &SecretString,
        access: Option<&Access>,
    ) -> Result<(), CredentialError> {
        if let Some(mut draft) = self.drafted() {
            draft.values.insert(name.0.clone(), (value.clone(), access.cloned()));
            draft.replaced = true;
            return Ok(());
        }
        let (replaces, access) = (self.replaced(backend, name)?, access.cloned());
        let stored = Stored { value: value.clone(), replaces, access };
        Ok(self.store()?.save(&backend.name, &[(&name.0, stored)])?)
    }

    /// Returns what tells the value that the environment has.
    fn replaced(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<String>, CredentialError> {
        let outside = self.find_outside(backend, name)?;
        Ok(outside.map(|found| fingerprint(found.secret.expose_secret())))
    }

    fn find_drafted(&self, name: &CredentialName) -> Option<Found> {
        let (secret, access) = self.drafted()?.values.get(&name.0)?.clone();
        Some(Found { origin: DRAFTED.to_owned(), secret, access })
    }

    /// Keeps other processes from renewing with the same credential; `None` while one does.
    ///
    /// # Errors
    ///
    /// The store cannot be used.
    pub fn try_lock(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<StoreLock>, CredentialError> {
        Ok(self.store()?.try_lock(&backend.name, &name.0)?)
    }

    /// Returns the variable that gives the credential, whatever the store has.
    ///
    /// # Errors
    ///
    /// The credential is set, but not in a usable way.
    pub fn variable_that_is_set(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<String>, CredentialError> {
        Ok(self.find_outside(backend, name)?.map(|found| found.origin))
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
        Ok(self.find(backend, name)?.map(|found| found.origin))
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
        format!(
            "credential `{name}` is not set; set {first} or {first}_FILE, or run `dadl-mcp setup \
             {}`",
            backend.name
        )
    }

    fn find(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<Found>, CredentialError> {
        if let Some(found) = self.find_drafted(name) {
            return Ok(Some(found));
        }
        match self.find_outside(backend, name)? {
            Some(found) => Ok(Some(found)),
            None => self.find_stored(backend, name, |_| true),
        }
    }

    fn find_latest(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<Found>, CredentialError> {
        if let Some(found) = self.find_drafted(name) {
            return Ok(Some(found));
        }
        let Some(outside) = self.find_outside(backend, name)? else {
            return self.find_stored(backend, name, |_| true);
        };
        let print = fingerprint(outside.secret.expose_secret());
        let replaced = |stored: &Stored| stored.replaces.as_ref() == Some(&print);
        Ok(Some(self.find_stored(backend, name, replaced)?.unwrap_or(outside)))
    }

    fn find_outside(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<Found>, CredentialError> {
        for variable in Self::variables(backend, name) {
            if let Some(secret) = self.environment.secret(&variable)? {
                return Ok(Some(Found { origin: variable, secret, access: None }));
            }
        }
        Ok(None)
    }

    fn find_stored(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
        counts: impl FnOnce(&Stored) -> bool,
    ) -> Result<Option<Found>, CredentialError> {
        let Some(store) = &self.store else { return Ok(None) };
        if self.drafted().is_some_and(|draft| draft.ignores_store) {
            return Ok(None);
        }
        let Some(stored) = store.entry(&backend.name, &name.0)?.filter(counts) else {
            return Ok(None);
        };
        let place = store.place(&backend.name)?.unwrap_or(Place::File);
        let Stored { value, access, .. } = stored;
        Ok(Some(Found { origin: store.name(place), secret: value, access }))
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
            @"credential `vault/stripe-key` is not set; set CREDENTIAL_VAULT_STRIPE_KEY or CREDENTIAL_VAULT_STRIPE_KEY_FILE, or run `dadl-mcp setup b`"
        );
    }

    #[test]
    fn the_store_comes_after_the_environment() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().to_str().unwrap();
        let credentials = |variables: &[(&str, &str)]| {
            let environment: Environment = variables.iter().copied().collect();
            Credentials::new(environment.with("XDG_STATE_HOME", state))
        };
        let (one, name) = (backend(&[]), CredentialName("a".to_owned()));
        let text = |found: Result<Option<SecretString>, CredentialError>| {
            found.unwrap().map(|secret| secret.expose_secret().to_owned())
        };
        let latest = |credentials: &Credentials| {
            Ok(credentials.latest(&one, &name)?.map(|(secret, _)| secret))
        };
        let bare = credentials(&[]);
        assert_eq!(text(bare.resolve(&one, &name)), None);
        bare.replace(&one, &name, &"stored".into(), None).unwrap();
        assert_eq!(text(bare.resolve(&one, &name)).as_deref(), Some("stored"));
        assert!(bare.origin(&one, &name).unwrap().unwrap().ends_with("credentials.json"));
        let set = credentials(&[("CREDENTIAL_A", "outside")]);
        assert_eq!(text(set.resolve(&one, &name)).as_deref(), Some("outside"));
        // What the server gave instead of it counts, until the operator sets another.
        assert_eq!(text(latest(&set)).as_deref(), Some("outside"));
        set.replace(&one, &name, &"newer".into(), None).unwrap();
        assert_eq!(text(latest(&set)).as_deref(), Some("newer"));
        let reset = credentials(&[("CREDENTIAL_A", "another")]);
        assert_eq!(text(latest(&reset)).as_deref(), Some("another"));
        assert_eq!(text(latest(&bare)).as_deref(), Some("newer"));
    }

    #[test]
    fn a_draft_is_stored_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().to_str().unwrap();
        let environment: Environment = [("CREDENTIAL_A", "outside")].into_iter().collect();
        let credentials = Credentials::new(environment.with("XDG_STATE_HOME", state));
        let (one, name) = (backend(&[]), |text: &str| CredentialName(text.to_owned()));
        let draft = credentials.draft();
        draft.set(&name("a"), "new-a".into());
        draft.set(&name("b"), "new-b".into());
        assert!(!draft.has_replaced());
        let ends = std::time::SystemTime::now();
        let access = Access { token: "access-b".into(), ends };
        draft.replace(&one, &name("b"), &"newer-b".into(), Some(&access)).unwrap();
        assert!(draft.has_replaced() && !credentials.has_replaced());
        let text = |found: Option<SecretString>| found.unwrap().expose_secret().to_owned();
        let latest = |credentials: &Credentials, text: &str| {
            credentials.latest(&one, &name(text)).unwrap().map(|(secret, _)| secret)
        };
        assert_eq!(text(draft.resolve(&one, &name("a")).unwrap()), "new-a");
        assert_eq!(text(latest(&draft, "b")), "newer-b");
        assert_eq!(text(latest(&credentials, "a")), "outside");
        assert!(!format!("{draft:?}").contains("new"), "{draft:?}");
        assert_eq!(draft.commit(&one, Place::File).unwrap().names, ["a", "b"]);
        assert_eq!(text(latest(&credentials, "a")), "new-a");
        assert_eq!(text(credentials.resolve(&one, &name("a")).unwrap()), "outside");
        assert_eq!(text(credentials.resolve(&one, &name("b")).unwrap()), "newer-b");
        let (_, access) = credentials.latest(&one, &name("b")).unwrap().unwrap();
        assert_eq!(access.unwrap().token.expose_secret(), "access-b");
    }

    #[test]
    fn debug_shows_no_value() {
        let credentials = Credentials::new([("CREDENTIAL_A", "s3cret")].into_iter().collect());
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
