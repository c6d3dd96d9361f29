//! The Windows Credential Manager: generic credentials, 2560 bytes at most.

use std::{sync::Arc, time::Duration};

use keyring_core::{Entry, Error, api::CredentialStoreApi as _};
use secrecy::{ExposeSecret as _, SecretString};
use windows_native_keyring_store::Store;

use super::{KeyringError, SERVICE};
use crate::config::env_vars::Environment;

/// What people call it.
pub(super) const NAME: &str = "Windows Credential Manager";

/// The Credential Manager; the time limit is that of the caller.
#[derive(Debug, Clone)]
pub(super) struct PlatformKeyring;

impl PlatformKeyring {
    pub(super) fn new(_: &Environment) -> Self {
        Self
    }

    pub(super) fn get(
        &self,
        account: &str,
        _: Duration,
    ) -> Result<Option<SecretString>, KeyringError> {
        match entry(account)?.get_secret() {
            // The text of the error would hold the value.
            Ok(value) => String::from_utf8(value)
                .map(|text| Some(text.into()))
                .map_err(|_| KeyringError::Failed("the item is no text".to_owned())),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(keyring_error(error)),
        }
    }

    pub(super) fn set(
        &self,
        account: &str,
        secret: &SecretString,
        _: Duration,
    ) -> Result<(), KeyringError> {
        let value = secret.expose_secret().as_bytes();
        entry(account)?.set_secret(value).map_err(keyring_error)
    }

    pub(super) fn remove(&self, account: &str, _: Duration) -> Result<(), KeyringError> {
        match entry(account)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(keyring_error(error)),
        }
    }
}

fn entry(account: &str) -> Result<Entry, KeyringError> {
    let store: Arc<Store> = Store::new().map_err(keyring_error)?;
    store.build(SERVICE, account, None).map_err(keyring_error)
}

fn keyring_error(error: Error) -> KeyringError {
    match error {
        Error::NoStorageAccess(error) => KeyringError::Absent(error.to_string()),
        Error::TooLong(_, most) => KeyringError::TooLong(most.into()),
        // Texts of other kinds could show what was stored.
        Error::PlatformFailure(error) => KeyringError::Failed(error.to_string()),
        _ => KeyringError::Failed("the item cannot be used".to_owned()),
    }
}
