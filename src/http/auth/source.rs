//! A source of credentials that holds up nobody.

use std::sync::Arc;

use dadl_descriptor::model::CredentialName;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    config::{
        credentials::{CredentialSource, CredentialValue, SourceError},
        store::StoreUse,
    },
    secrets::Secrets,
};

/// A source whose answers are waited for, without holding up a thread that serves others. What it
/// gives is noted as a secret.
#[derive(Clone)]
pub(crate) struct AsyncSource {
    inner: Arc<dyn CredentialSource>,
    secrets: Secrets,
}

impl AsyncSource {
    pub(super) fn new(inner: Arc<dyn CredentialSource>) -> Self {
        let secrets = inner.secrets();
        Self { inner, secrets }
    }

    /// Returns where the secrets are noted that are in use.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// See [`CredentialSource::find`].
    pub(crate) async fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError> {
        let found = self.find_public(name).await?;
        self.secrets.add(&name.0, found.expose_secret());
        Ok(found)
    }

    /// Finds what is a credential and no secret: the name of a user or of a client.
    pub(crate) async fn find_public(
        &self,
        name: &CredentialName,
    ) -> Result<SecretString, SourceError> {
        let name = name.clone();
        self.ask(StoreUse::LookUp, move |source| source.find(&name)).await
    }

    /// See [`CredentialSource::latest`].
    pub(crate) async fn latest(
        &self,
        name: &CredentialName,
    ) -> Result<CredentialValue, SourceError> {
        let own = name.clone();
        let latest = self.ask(StoreUse::LookUp, move |source| source.latest(&own)).await?;
        self.secrets.add(&name.0, latest.value.expose_secret());
        if let Some(access) = &latest.access {
            self.secrets.add_derived("access_token", access.token.expose_secret());
        }
        Ok(latest)
    }

    /// See [`CredentialSource::replace`]. Once begun it goes on when nobody waits any more, and
    /// `lock` is held for as long.
    pub(crate) async fn replace(
        &self,
        name: &CredentialName,
        credential: CredentialValue,
        lock: Option<Box<dyn Send>>,
    ) -> Result<(), SourceError> {
        self.secrets.add_derived(&name.0, credential.value.expose_secret());
        let name = name.clone();
        let replace = move |source: &dyn CredentialSource| {
            let replaced = source.replace(&name, &credential);
            drop(lock);
            replaced
        };
        self.ask(StoreUse::Replace, replace).await
    }

    /// See [`CredentialSource::check_replaceable`].
    pub(crate) async fn check_replaceable(&self, name: &CredentialName) -> Result<(), SourceError> {
        let name = name.clone();
        self.ask(StoreUse::LookUp, move |source| source.check_replaceable(&name)).await
    }

    /// See [`CredentialSource::try_lock`].
    pub(crate) fn try_lock(
        &self,
        name: &CredentialName,
    ) -> Result<Option<Box<dyn Send>>, SourceError> {
        self.inner.try_lock(name)
    }

    async fn ask<T: Send + 'static>(
        &self,
        usage: StoreUse,
        question: impl FnOnce(&dyn CredentialSource) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        if !self.inner.may_wait(usage) {
            return question(self.inner.as_ref());
        }
        let source = Arc::clone(&self.inner);
        let asked = crate::spawn::blocking(move || question(source.as_ref()));
        asked.await.unwrap_or(Err(SourceError::NotAsked))
    }
}
