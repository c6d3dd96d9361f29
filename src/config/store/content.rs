//! What is written to the file and to the items of a keyring.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{AccessToken, CredentialValue, StoredCredential};
use crate::config::Origin;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoreContent {
    pub(super) version: u32,
    pub(super) backends: BTreeMap<String, BTreeMap<String, StoreEntry>>,
    /// Those whose entries are in the keyring.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) keyring: BTreeMap<String, KeyringNote>,
}

/// Leads to an item of the keyring.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeyringNote {
    pub(super) account: String,
    pub(super) revision: String,
}

/// An item of the keyring.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeyringItem {
    pub(super) revision: String,
    pub(super) entries: BTreeMap<String, StoreEntry>,
}

impl fmt::Debug for KeyringItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Item").field("revision", &self.revision).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoreEntry {
    pub(super) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) access: Option<AccessEntry>,
    /// Where it may go; entries of before do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origins: Option<BTreeSet<Origin>>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AccessEntry {
    pub(super) token: String,
    /// Seconds since 1970.
    pub(super) ends: u64,
}

impl From<StoreEntry> for StoredCredential {
    fn from(StoreEntry { value, replaces, access, origins }: StoreEntry) -> Self {
        let access = access.and_then(|AccessEntry { token, ends }| {
            let ends = UNIX_EPOCH.checked_add(Duration::from_secs(ends))?;
            Some(AccessToken { token: token.into(), ends })
        });
        let credential = CredentialValue { value: value.into(), access };
        Self { credential, replaces, origins }
    }
}

impl From<&StoredCredential> for StoreEntry {
    fn from(stored: &StoredCredential) -> Self {
        let CredentialValue { value, access } = &stored.credential;
        let access = access.as_ref().map(|AccessToken { token, ends }| AccessEntry {
            token: token.expose_secret().to_owned(),
            ends: ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        });
        let value = value.expose_secret().to_owned();
        Self { value, replaces: stored.replaces.clone(), access, origins: stored.origins.clone() }
    }
}
