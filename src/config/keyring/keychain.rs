//! The macOS keychain: generic passwords of the login keychain.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use security_framework::{base::Error, passwords};

use super::{KeyringError, SERVICE};
use crate::config::env_vars::Environment;

/// What people call it.
pub(super) const NAME: &str = "macOS keychain";

/// `errSecItemNotFound`
const NOT_FOUND: i32 = -25300;
/// `errSecAuthFailed`, `errSecInteractionNotAllowed` and `errSecUserCanceled`
const LOCKED: [i32; 3] = [-25293, -25308, -128];
/// `errSecNotAvailable` and `errSecNoDefaultKeychain`
const ABSENT: [i32; 2] = [-25291, -25307];

/// The keychain; the time limit is that of the caller.
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
        match passwords::get_generic_password(SERVICE, account) {
            // The text of the error would hold the value.
            Ok(value) => String::from_utf8(value)
                .map(|text| Some(text.into()))
                .map_err(|_| KeyringError::Failed("the item is no text".to_owned())),
            Err(error) if error.code() == NOT_FOUND => Ok(None),
            Err(error) => Err(keyring_error(&error)),
        }
    }

    pub(super) fn set(
        &self,
        account: &str,
        secret: &SecretString,
        _: Duration,
    ) -> Result<(), KeyringError> {
        let value = secret.expose_secret().as_bytes();
        passwords::set_generic_password(SERVICE, account, value)
            .map_err(|error| keyring_error(&error))
    }

    pub(super) fn remove(&self, account: &str, _: Duration) -> Result<(), KeyringError> {
        match passwords::delete_generic_password(SERVICE, account) {
            Err(error) if error.code() != NOT_FOUND => Err(keyring_error(&error)),
            _ => Ok(()),
        }
    }
}

fn keyring_error(error: &Error) -> KeyringError {
    match error.code() {
        code if LOCKED.contains(&code) => KeyringError::Locked,
        code if ABSENT.contains(&code) => KeyringError::Absent(error.to_string()),
        _ => KeyringError::Failed(error.to_string()),
    }
}
