//! Where a backend's credentials come from, as whoever sends them sees it.

use std::collections::BTreeSet;

use dadl_descriptor::model::CredentialName;
use secrecy::SecretString;

use super::{CredentialError, CredentialResolver, CredentialValue};
use crate::{
    config::{BackendSettings, Origin, binding::CredentialRecipient, store::StoreUse},
    secrets::Secrets,
};

/// Why there is no credential, or why it cannot be kept. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is none; a sentence that says where it was looked for.
    #[error("{0}")]
    Missing(String),
    /// Nothing can take one that a server replaces.
    #[error("there is no store for `{0}`")]
    NoStore(CredentialName),
    /// The process is about to end, most likely.
    #[error("the keyring was not asked; call again")]
    NotAsked,
    /// It is there, and cannot be used or replaced.
    #[error(transparent)]
    Unusable(#[from] CredentialError),
}

impl SourceError {
    /// Returns whether it may be otherwise when the same is asked again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotAsked)
    }
}

/// Finds the value of a credential, and keeps those that servers replace.
///
/// The text of an error is shown to callers: it names variables, never values.
pub trait CredentialSource: Send + Sync {
    /// Returns the value of `name`.
    ///
    /// # Errors
    ///
    /// There is none, or none that can be used.
    fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError>;

    /// Returns `name` after all replacements, by other processes too, with the access token that the
    /// last of them got.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    fn latest(&self, name: &CredentialName) -> Result<CredentialValue, SourceError> {
        Ok(self.find(name)?.into())
    }

    /// Keeps what a server gave instead of what it had; on the disk when it returns.
    ///
    /// # Errors
    ///
    /// It cannot be kept.
    fn replace(
        &self,
        name: &CredentialName,
        credential: &CredentialValue,
    ) -> Result<(), SourceError> {
        let _ = credential;
        Err(SourceError::NoStore(name.clone()))
    }

    /// Finds out whether [`Self::replace`] will take a value, before a server gives one.
    ///
    /// # Errors
    ///
    /// It will not.
    fn check_replaceable(&self, name: &CredentialName) -> Result<(), SourceError> {
        let _ = name;
        Ok(())
    }

    /// Keeps others from renewing with `name` until the result is dropped; `None` while somebody
    /// else does.
    ///
    /// # Errors
    ///
    /// There can be no lock.
    fn try_lock(&self, name: &CredentialName) -> Result<Option<Box<dyn Send>>, SourceError> {
        let _ = name;
        Ok(Some(Box::new(())))
    }

    /// Returns whether the other methods may wait for something slower than a file, such as a
    /// person who unlocks a keyring.
    fn may_wait(&self, usage: StoreUse) -> bool {
        let _ = usage;
        false
    }

    /// Returns where the secrets are noted that are in use.
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }
}

/// Credentials as one backend sees them.
#[derive(Debug, Clone)]
pub(crate) struct BackendCredentials {
    /// Where they are looked up.
    pub credentials: CredentialResolver,
    /// Whose they are.
    pub backend: BackendSettings,
    /// Where they go, or what a login makes of them.
    pub origins: BTreeSet<Origin>,
}

impl BackendCredentials {
    fn recipient(&self) -> CredentialRecipient<'_> {
        CredentialRecipient { backend: &self.backend, origins: &self.origins }
    }

    fn missing(&self, name: &CredentialName) -> SourceError {
        SourceError::Missing(CredentialResolver::missing_hint(&self.backend, name))
    }
}

impl CredentialSource for BackendCredentials {
    fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError> {
        let found = self.credentials.resolve(self.recipient(), name)?;
        found.ok_or_else(|| self.missing(name))
    }

    fn latest(&self, name: &CredentialName) -> Result<CredentialValue, SourceError> {
        let latest = self.credentials.latest(self.recipient(), name)?;
        latest.ok_or_else(|| self.missing(name))
    }

    fn replace(
        &self,
        name: &CredentialName,
        credential: &CredentialValue,
    ) -> Result<(), SourceError> {
        Ok(self.credentials.replace(self.recipient(), name, credential)?)
    }

    fn check_replaceable(&self, name: &CredentialName) -> Result<(), SourceError> {
        Ok(self.credentials.check_replaceable(self.recipient(), name)?)
    }

    fn try_lock(&self, name: &CredentialName) -> Result<Option<Box<dyn Send>>, SourceError> {
        let lock = self.credentials.try_lock(&self.backend, name)?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn Send>))
    }

    fn may_wait(&self, usage: StoreUse) -> bool {
        self.credentials.may_wait(&self.backend, usage)
    }

    fn secrets(&self) -> Secrets {
        self.credentials.secrets().clone()
    }
}
