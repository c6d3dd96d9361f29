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
//! What is stored goes to the origins that it is bound to; see `config::binding`. What the
//! environment has goes where the operator's settings lead.
//!
//! **Invariant:** values are [`SecretString`]s, and no text made here holds one.

mod file;
mod source;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dadl_descriptor::model::CredentialName;
use secrecy::{ExposeSecret as _, SecretString};

pub(crate) use self::file::{read_public, read_secret};
pub use self::source::{CredentialSource, SourceError};
pub(crate) use self::{file::SecretFileError, source::BackendCredentials};
pub use super::store::CredentialValue;
use super::{
    BackendSettings,
    binding::{BindingError, BindingStatus, CredentialRecipient},
    dirs,
    env_vars::{CREDENTIAL_PREFIX, Environment, PROXIES, UnexpandedVariable, unexpanded_reference},
    keyring::{Keyring, KeyringError, OsKeyring},
    store::{
        CredentialStore, OtherEntries, StoreError, StoreLock, StorePlace, StoreUse,
        StoredCredential, text_fingerprint,
    },
};
use crate::secrets::{self, Secrets};

/// Where credentials are looked up.
#[derive(Debug, Clone)]
pub struct CredentialResolver {
    environment: Environment,
    store: Option<CredentialStore>,
    draft: Option<DraftValues>,
    secrets: Secrets,
}

/// Values that are used and not stored yet.
type DraftValues = Arc<Mutex<DraftState>>;

#[derive(Debug, Default)]
struct DraftState {
    /// By the name of the credential.
    values: BTreeMap<String, StoredCredential>,
    /// Whether a server has replaced one of them, so that the one before is of no use.
    replaced: bool,
    /// Whether what is stored does not count, as it cannot be read.
    ignores_store: bool,
}

/// Where a value of [`CredentialResolver::draft`] comes from.
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
    /// Whoever started the program did not replace the name of a variable.
    #[error("{0}, or name a file that holds it in {file}", file = file_of(&.0.variable))]
    Unexpanded(UnexpandedVariable),
    /// The file of a `_FILE` variable.
    #[error("{variable}: {path} {reason}")]
    File {
        /// The variable that names the file.
        variable: String,
        /// The file.
        path: String,
        /// Why it cannot be used.
        reason: SecretFileError,
    },
    /// There is nowhere to keep it.
    #[error("there is no credential store: set HOME or XDG_STATE_HOME")]
    NoStore,
    /// The credential store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It may not go there.
    #[error(transparent)]
    Binding(#[from] BindingError),
}

impl From<UnexpandedVariable> for CredentialError {
    fn from(unexpanded: UnexpandedVariable) -> Self {
        Self::Unexpanded(unexpanded)
    }
}

/// Returns the variable that names the file for a variable, which may be it already.
fn file_of(variable: &str) -> String {
    format!("{}_FILE", variable.strip_suffix("_FILE").unwrap_or(variable))
}

/// What [`CredentialResolver::commit`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitReport {
    /// The names of what was stored.
    pub names: Vec<String>,
    /// Whether the backend's credentials were in another place before.
    pub has_moved: bool,
    /// Why they could not be removed there.
    pub left: Option<KeyringError>,
}

/// Where the environment has a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsidePlace {
    /// The variable that is set.
    pub variable: String,
    /// The file that it names, links resolved, when it ends in `_FILE`.
    pub file: Option<PathBuf>,
}

impl OutsidePlace {
    /// Returns whether both are the same credential.
    pub fn is(&self, other: &Self) -> bool {
        self.variable == other.variable || (self.file.is_some() && self.file == other.file)
    }
}

/// A credential and the variable or file that it comes from.
struct FoundCredential {
    origin: String,
    credential: CredentialValue,
}

impl CredentialResolver {
    /// Looks credentials up in `environment`, then in the store that it says where to find.
    pub fn new(environment: Environment) -> Self {
        let keyring = OsKeyring::new(&environment);
        Self::with_keyring(environment, Arc::new(keyring))
    }

    /// As [`Self::new`], with another keyring.
    pub fn with_keyring(environment: Environment, keyring: Arc<dyn Keyring>) -> Self {
        let store =
            dirs::credentials_dir(&environment).map(|path| CredentialStore::new(path, keyring));
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
        for (name, value) in self.environment.with_prefix(CREDENTIAL_PREFIX) {
            let name = name.strip_prefix(CREDENTIAL_PREFIX).unwrap_or(name);
            if name.ends_with("_FILE") || !secrets::is_secret(name) {
                continue;
            }
            match unexpanded_reference(value) {
                None => secrets.add(name, value),
                Some(reference) => {
                    if let Some(default) = reference.default {
                        secrets.add(name, default);
                    }
                }
            }
        }
        Self { secrets: secrets.clone(), ..self }
    }

    /// Returns the environment that credentials are looked up in.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
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
    pub fn store(&self) -> Result<&CredentialStore, CredentialError> {
        self.store.as_ref().ok_or(CredentialError::NoStore)
    }

    /// Begins a draft, which `setup` stores when everything else has gone well: its values count
    /// before all others, and nothing is written to the store.
    #[must_use]
    pub fn draft(&self) -> Self {
        Self { draft: Some(DraftValues::default()), ..self.clone() }
    }

    /// Adds a value to the draft.
    pub fn set(&self, name: &CredentialName, value: SecretString) {
        if let Some(mut draft) = self.drafted() {
            draft.values.insert(name.0.clone(), CredentialValue::from(value).into());
        }
    }

    /// Adds a value that a server gave, with the access token that came with it.
    pub fn set_given(&self, name: &CredentialName, value: CredentialValue) {
        if let Some(mut draft) = self.drafted() {
            draft.values.insert(name.0.clone(), value.into());
        }
    }

    /// Returns what the draft or the store has as `name`, whatever the environment has.
    ///
    /// # Errors
    ///
    /// The store cannot be used, or has one that goes elsewhere.
    pub fn kept(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<Option<SecretString>, CredentialError> {
        let found = match self.find_drafted(name) {
            Some(found) => Some(found),
            None => self.find_stored(recipient, name, |_| true)?,
        };
        Ok(found.map(|found| found.credential.value))
    }

    /// Takes what is stored as `name` into the draft, wherever it could go until now: a person has
    /// agreed that it goes to the backend.
    ///
    /// # Errors
    ///
    /// The store cannot be used.
    pub fn agree(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<(), CredentialError> {
        let stored = self.store()?.entry(&backend.name, &name.0)?;
        if let (Some(stored), Some(mut draft)) = (stored, self.drafted()) {
            draft.values.insert(name.0.clone(), stored);
        }
        Ok(())
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

    fn drafted(&self) -> Option<MutexGuard<'_, DraftState>> {
        Some(self.draft.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stores the draft for a backend at `place`, all of it or nothing, and moves what is stored
    /// elsewhere. From now on it goes to the origins of the recipient.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub fn commit(
        &self,
        CredentialRecipient { backend, origins }: CredentialRecipient<'_>,
        place: StorePlace,
    ) -> Result<CommitReport, CredentialError> {
        let values = self.drafted().map(|draft| draft.values.clone()).unwrap_or_default();
        let mut entries = Vec::new();
        for (name, StoredCredential { credential, replaces, .. }) in values.clone() {
            let now = self.replaced(backend, &CredentialName(name.clone()))?;
            let origins = Some(origins.clone());
            entries
                .push((name, StoredCredential { credential, replaces: now.or(replaces), origins }));
        }
        let entries: Vec<(&str, StoredCredential)> =
            entries.iter().map(|(name, stored)| (name.as_str(), stored.clone())).collect();
        let store = self.store()?;
        let now = store.place(&backend.name)?;
        let has_moved = now.is_some_and(|now| now != place);
        let mut left = None;
        if has_moved || !entries.is_empty() {
            let others = match self.drafted() {
                Some(draft) if draft.ignores_store => OtherEntries::Forget,
                _ => OtherEntries::Keep,
            };
            left = store.save_at(place, &backend.name, &entries, others)?;
        }
        Ok(CommitReport { names: values.into_keys().collect(), has_moved, left })
    }

    /// Returns whether looking up or replacing a credential of `backend` may wait for a keyring.
    pub fn may_wait(&self, backend: &BackendSettings, usage: StoreUse) -> bool {
        let store = self.store.as_ref().filter(|_| self.draft.is_none());
        store.is_some_and(|store| store.may_wait(&backend.name, usage))
    }

    /// Returns a credential that servers replace, as the last one of them left it.
    ///
    /// # Errors
    ///
    /// The credential or the store is there, but cannot be used.
    pub fn latest(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<Option<CredentialValue>, CredentialError> {
        Ok(self.find_latest(recipient, name)?.map(|found| found.credential))
    }

    /// Stores what a server gave instead of what it had; it goes where that went.
    ///
    /// # Errors
    ///
    /// The store cannot be written, or has one that goes elsewhere.
    pub fn replace(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
        credential: &CredentialValue,
    ) -> Result<(), CredentialError> {
        if let Some(mut draft) = self.drafted() {
            draft.values.insert(name.0.clone(), credential.clone().into());
            draft.replaced = true;
            return Ok(());
        }
        self.check_replaceable(recipient, name)?;
        let CredentialRecipient { backend, origins } = recipient;
        let (replaces, origins) = (self.replaced(backend, name)?, Some(origins.clone()));
        let stored = StoredCredential { credential: credential.clone(), replaces, origins };
        Ok(self.store()?.save(&backend.name, &[(&name.0, stored)])?)
    }

    /// Finds out whether [`Self::replace`] would put its value in the place of one that goes
    /// elsewhere, and that nobody could get back.
    ///
    /// # Errors
    ///
    /// It would, or the store cannot be used.
    pub fn check_replaceable(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<(), CredentialError> {
        if self.draft.is_some() {
            return Ok(());
        }
        let backend = recipient.backend;
        let Some(stored) = self.store()?.entry(&backend.name, &name.0)? else { return Ok(()) };
        // One that came instead of a value that the environment no longer has is of no use.
        let print = self.replaced(backend, name)?;
        let is_dead = print.is_some() && stored.replaces.is_some() && stored.replaces != print;
        if !is_dead {
            recipient.check(&name.0, stored.origins.as_ref())?;
        }
        Ok(())
    }

    /// Returns what tells the value that the environment has.
    fn replaced(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<String>, CredentialError> {
        let outside = self.find_outside(backend, name)?;
        Ok(outside.map(|found| text_fingerprint(found.credential.value.expose_secret())))
    }

    fn find_drafted(&self, name: &CredentialName) -> Option<FoundCredential> {
        let StoredCredential { credential, .. } = self.drafted()?.values.get(&name.0)?.clone();
        Some(FoundCredential { origin: DRAFTED.to_owned(), credential })
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

    /// Returns where the environment has the credential, without looking at its value.
    pub fn place(&self, backend: &BackendSettings, name: &CredentialName) -> Option<OutsidePlace> {
        Self::variable_names(backend, name).into_iter().find_map(|variable| {
            if self.environment.get(&variable).is_some() {
                return Some(OutsidePlace { variable, file: None });
            }
            let variable = format!("{variable}_FILE");
            let path = self.environment.path(&variable)?;
            // Two paths of one file are one place.
            let file = Some(path.canonicalize().unwrap_or(path));
            Some(OutsidePlace { variable, file })
        })
    }

    /// Returns the value of the credential that the recipient's descriptor calls `name`.
    ///
    /// # Errors
    ///
    /// The credential is set, but not in a usable way.
    pub fn resolve(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<Option<SecretString>, CredentialError> {
        Ok(self.find(recipient, name)?.map(|found| found.credential.value))
    }

    /// Returns the variable that gives the credential, without its value.
    ///
    /// # Errors
    ///
    /// The credential is set, but not in a usable way.
    pub fn origin(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<Option<String>, CredentialError> {
        Ok(self.find(recipient, name)?.map(|found| found.origin))
    }

    /// Returns the variables that are looked at, in order; each also with `_FILE`.
    pub fn variable_names(backend: &BackendSettings, name: &CredentialName) -> Vec<String> {
        let wanted = backend.credentials.get(&name.0).unwrap_or(&name.0);
        let mut variables = Vec::new();
        // `env` may name a variable of another program, such as GITHUB_TOKEN.
        if backend.credentials.contains_key(&name.0) && is_variable_name(wanted) {
            variables.push(wanted.clone());
        }
        variables.push(variable_name(wanted));
        if let Some(bare) = wanted.strip_prefix("vault/") {
            variables.push(variable_name(bare));
        }
        variables
    }

    /// Says which variable to set for a credential that is missing.
    pub fn missing_hint(backend: &BackendSettings, name: &CredentialName) -> String {
        let variables = Self::variable_names(backend, name);
        let first = variables.first().map(String::as_str).unwrap_or_default();
        format!(
            "credential `{name}` is not set; set {first} or {first}_FILE, or run `{}`",
            backend.setup_command()
        )
    }

    fn find(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<Option<FoundCredential>, CredentialError> {
        if let Some(found) = self.find_drafted(name) {
            return Ok(Some(found));
        }
        match self.find_outside(recipient.backend, name)? {
            Some(found) => Ok(Some(found)),
            None => self.find_stored(recipient, name, |_| true),
        }
    }

    fn find_latest(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
    ) -> Result<Option<FoundCredential>, CredentialError> {
        if let Some(found) = self.find_drafted(name) {
            return Ok(Some(found));
        }
        let Some(outside) = self.find_outside(recipient.backend, name)? else {
            return self.find_stored(recipient, name, |_| true);
        };
        let print = text_fingerprint(outside.credential.value.expose_secret());
        let replaced = |stored: &StoredCredential| stored.replaces.as_ref() == Some(&print);
        Ok(Some(self.find_stored(recipient, name, replaced)?.unwrap_or(outside)))
    }

    fn find_outside(
        &self,
        backend: &BackendSettings,
        name: &CredentialName,
    ) -> Result<Option<FoundCredential>, CredentialError> {
        for variable in Self::variable_names(backend, name) {
            if let Some(secret) = self.environment.secret(&variable)? {
                return Ok(Some(FoundCredential { origin: variable, credential: secret.into() }));
            }
        }
        Ok(None)
    }

    fn find_stored(
        &self,
        recipient: CredentialRecipient<'_>,
        name: &CredentialName,
        counts: impl FnOnce(&StoredCredential) -> bool,
    ) -> Result<Option<FoundCredential>, CredentialError> {
        let Some(store) = &self.store else { return Ok(None) };
        if self.drafted().is_some_and(|draft| draft.ignores_store) {
            return Ok(None);
        }
        let backend = recipient.backend.name.as_str();
        let Some(mut stored) = store.entry(backend, &name.0)?.filter(counts) else {
            return Ok(None);
        };
        if recipient.check(&name.0, stored.origins.as_ref())? == BindingStatus::NotYet {
            match self.drafted() {
                // It is bound when the draft is stored.
                Some(mut draft) => {
                    draft.values.insert(name.0.clone(), stored.clone());
                }
                None => {
                    store.bind(backend, recipient.origins)?;
                    // Somebody else may have bound it elsewhere, or replaced it, at this moment.
                    let Some(again) = store.entry(backend, &name.0)? else { return Ok(None) };
                    recipient.check(&name.0, again.origins.as_ref())?;
                    stored = again;
                }
            }
        }
        let place = store.place(backend)?.unwrap_or(StorePlace::File);
        Ok(Some(FoundCredential { origin: store.name(place), credential: stored.credential }))
    }
}

impl Environment {
    /// Returns the secret in `variable`, or in the file that `variable` with `_FILE` names.
    pub(crate) fn secret(&self, variable: &str) -> Result<Option<SecretString>, CredentialError> {
        let file_variable = format!("{variable}_FILE");
        let path = self.expanded(&file_variable)?.map(PathBuf::from);
        match (self.expanded(variable)?, path) {
            (None, None) => Ok(None),
            (Some(value), None) => Ok(Some(value.into())),
            (None, Some(path)) => {
                let path_text = path.display().to_string();
                read_secret(&path).map(Some).map_err(|reason| CredentialError::File {
                    variable: file_variable,
                    path: path_text,
                    reason,
                })
            }
            (Some(_), Some(_)) => Err(CredentialError::Both { variable: variable.to_owned() }),
        }
    }
}

/// Returns the variable of a credential.
fn variable_name(name: &str) -> String {
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
mod tests;
