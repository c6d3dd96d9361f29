//! What is stored, without values, and how it is removed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CredentialStore, StoreError, StorePlace,
    content::{StoreContent, StoreEntry},
    place_lock,
};
use crate::config::Origin;

/// What is stored for a backend, without values.
#[derive(Debug)]
pub struct CredentialListing {
    /// The name of the backend.
    pub backend: String,
    /// Where its entries are.
    pub place: StorePlace,
    /// The names of its entries and where each may go, when the place tells.
    pub entries: Result<BTreeMap<String, Option<BTreeSet<Origin>>>, StoreError>,
}

/// What [`CredentialStore::forget`] has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedCredentials {
    /// Where the entries were.
    pub place: StorePlace,
    /// Their names, as far as they could be read.
    pub names: Vec<String>,
}

impl CredentialStore {
    /// Returns the backends for which something is stored, and where; no keyring is asked.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be used.
    pub fn backends(&self) -> Result<BTreeMap<String, StorePlace>, StoreError> {
        let StoreContent { backends, keyring, .. } = self.read()?;
        let in_file = backends.into_iter().filter(|(_, entries)| !entries.is_empty());
        let in_file = in_file.map(|(backend, _)| (backend, StorePlace::File));
        let in_keyring = keyring.into_keys().map(|backend| (backend, StorePlace::Keyring));
        Ok(in_file.chain(in_keyring).collect())
    }

    /// Returns what is stored, without values; a keyring that has something is asked.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be used.
    pub fn list(&self) -> Result<Vec<CredentialListing>, StoreError> {
        let content = self.read()?;
        let origins = |entries: BTreeMap<String, StoreEntry>| {
            entries.into_iter().map(|(name, entry)| (name, entry.origins)).collect()
        };
        let mut listed: Vec<CredentialListing> = Vec::new();
        for (backend, note) in content.keyring {
            let entries = self.item(&backend, &note).map(|item| origins(item.entries));
            listed.push(CredentialListing { backend, place: StorePlace::Keyring, entries });
        }
        for (backend, entries) in content.backends {
            if !entries.is_empty() {
                listed.push(CredentialListing {
                    backend,
                    place: StorePlace::File,
                    entries: Ok(origins(entries)),
                });
            }
        }
        listed.sort_by(|one, other| one.backend.cmp(&other.backend));
        Ok(listed)
    }

    /// Removes all that is stored for `backend`; `None` when there is nothing.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or the keyring does not remove its item; the file then still
    /// leads to it, so that it can be removed later.
    pub fn forget(&self, backend: &str) -> Result<Option<RemovedCredentials>, StoreError> {
        let _place = self.lock(&place_lock(backend))?;
        let StoreContent { backends, keyring, .. } = self.read()?;
        let forgotten = match (keyring.get(backend), backends.get(backend)) {
            (Some(note), _) => {
                let item = self.item(backend, note);
                let names = item.map(|item| item.entries.into_keys().collect());
                self.keyring
                    .remove(&note.account)
                    .map_err(|error| StoreError::Keyring { backend: backend.to_owned(), error })?;
                RemovedCredentials { place: StorePlace::Keyring, names: names.unwrap_or_default() }
            }
            (None, Some(entries)) => RemovedCredentials {
                place: StorePlace::File,
                names: entries.keys().cloned().collect(),
            },
            (None, None) => return Ok(None),
        };
        self.change(|content| {
            content.keyring.remove(backend);
            content.backends.remove(backend);
            Ok(())
        })?;
        self.known().remove(backend);
        Ok(Some(forgotten))
    }
}
