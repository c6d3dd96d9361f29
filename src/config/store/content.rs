//! What is written to the file and to the items of a keyring.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Access, Credential, Stored};
use crate::config::Origin;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) version: u32,
    pub(super) backends: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Those whose entries are in the keyring.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) keyring: BTreeMap<String, Note>,
}

/// Leads to an item of the keyring.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) account: String,
    pub(super) revision: String,
}

/// An item of the keyring.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) revision: String,
    pub(super) entries: BTreeMap<String, Entry>,
}

impl fmt::Debug for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Item").field("revision", &self.revision).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
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

impl From<Entry> for Stored {
    fn from(Entry { value, replaces, access, origins }: Entry) -> Self {
        let access = access.and_then(|AccessEntry { token, ends }| {
            let ends = UNIX_EPOCH.checked_add(Duration::from_secs(ends))?;
            Some(Access { token: token.into(), ends })
        });
        let credential = Credential { value: value.into(), access };
        Self { credential, replaces, origins }
    }
}

impl From<&Stored> for Entry {
    fn from(stored: &Stored) -> Self {
        let Credential { value, access } = &stored.credential;
        let access = access.as_ref().map(|Access { token, ends }| AccessEntry {
            token: token.expose_secret().to_owned(),
            ends: ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        });
        let value = value.expose_secret().to_owned();
        Self { value, replaces: stored.replaces.clone(), access, origins: stored.origins.clone() }
    }
}
