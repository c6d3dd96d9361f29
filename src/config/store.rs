//! The credential store: what `dadl-mcp setup` asked for, and refresh tokens that replaced others.
//!
//! One JSON file below the state directory, mode 0600, entries by backend and credential. Every
//! change writes a whole new file beside it, forces it to the disk and renames it, under a lock
//! that other processes honor, so that a reader sees the old file or the new one.
//!
//! The entries of a backend may be in the keyring of the system instead, all of them in one item.
//! The file then has a note of that, so that a keyring that is locked or gone is an error and
//! never "there is no credential", and so that nobody asks a keyring who has nothing there. The
//! note has a revision that each change replaces, and the item has it too: a process that knows
//! the item of a revision need not ask for it again.
//!
//! Each entry says to which origins it may go; see [`super::binding`].
//!
//! **Invariants:** a file that others can read, or that somebody else could have written, is
//! refused; no text made here holds a value, and the entries of a backend are in one place.

mod content;
mod error;
mod listing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use dadl_text::text::text_head;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use self::content::{KeyringItem, KeyringNote, StoreContent, StoreEntry};
pub(crate) use self::{
    error::StoreError,
    listing::{CredentialListing, RemovedCredentials},
};
use super::{
    Origin,
    file_trust::{self, FileDoubt},
    keyring::{self, Keyring, KeyringError},
    private_files::{create_directory, create_private, is_open_to_others, make_private},
};
pub(crate) use dadl_text::text::text_fingerprint;

/// A store larger than this is something else.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The form of a file whose entries say where they may go: a program that does not know that must
/// not read it. In form 1 all entries are in the file, form 2 leads to a keyring; both are read,
/// and the next change makes them this one.
const VERSION: u32 = 3;

/// What a call does with an entry of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreUse {
    /// It only looks.
    LookUp,
    /// It changes it.
    Replace,
}

/// What becomes of the entries of a backend that are not stored anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEntries {
    /// They go.
    Forget,
    /// They stay, and move with the others.
    Keep,
}

/// Where credentials are kept.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    path: PathBuf,
    keyring: Arc<dyn Keyring>,
    /// What the keyring has, by backend. Not held while it is asked.
    known: Arc<Mutex<BTreeMap<String, KeyringItem>>>,
}

/// Where the entries of a backend are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePlace {
    /// In the file.
    File,
    /// In the keyring of the system.
    Keyring,
}

/// The value of a credential.
#[derive(Debug, Clone)]
pub struct CredentialValue {
    /// What is secret, or names a user or a client.
    pub value: SecretString,
    /// The access token that came with a refresh token, for other processes: a server that
    /// replaces refresh tokens may end the access tokens that came before.
    pub access: Option<AccessToken>,
}

impl From<SecretString> for CredentialValue {
    fn from(value: SecretString) -> Self {
        Self { value, access: None }
    }
}

/// A credential that is stored, or will be.
#[derive(Debug, Clone)]
pub struct StoredCredential {
    /// What it is.
    pub credential: CredentialValue,
    /// The [`text_fingerprint`] of the value from outside that this one replaced, when there was one.
    pub replaces: Option<String>,
    /// Where it may go; an entry of before does not say.
    pub origins: Option<BTreeSet<Origin>>,
}

impl From<CredentialValue> for StoredCredential {
    fn from(credential: CredentialValue) -> Self {
        Self { credential, replaces: None, origins: None }
    }
}

/// An access token whose end is known.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The token.
    pub token: SecretString,
    /// When it ends, by this machine's clock.
    pub ends: SystemTime,
}

/// Keeps other processes from renewing the same credential while it lives.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "closing the file ends the lock")] Option<File>);

impl CredentialStore {
    /// Uses the file at `path`, which need not exist, and `keyring`, which is not asked yet.
    pub fn new(path: PathBuf, keyring: Arc<dyn Keyring>) -> Self {
        Self { path, keyring, known: Arc::default() }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the entries of `backend` are; `None` when there are none.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be used.
    pub fn place(&self, backend: &str) -> Result<Option<StorePlace>, StoreError> {
        let content = self.read()?;
        if content.keyring.contains_key(backend) {
            return Ok(Some(StorePlace::Keyring));
        }
        let some = content.backends.get(backend).is_some_and(|entries| !entries.is_empty());
        Ok(some.then_some(StorePlace::File))
    }

    /// Names a place for people.
    pub fn name(&self, place: StorePlace) -> String {
        match place {
            StorePlace::File => self.path.display().to_string(),
            StorePlace::Keyring => format!("the keyring ({})", keyring::NAME),
        }
    }

    /// Returns what is stored as `name` for `backend`.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be used, or the keyring has the entry and does not give it.
    pub fn entry(&self, backend: &str, name: &str) -> Result<Option<StoredCredential>, StoreError> {
        let mut content = self.read()?;
        let entry = match content.keyring.get(backend) {
            Some(note) => self.item(backend, note)?.entries.remove(name),
            None => content.backends.get_mut(backend).and_then(|entries| entries.remove(name)),
        };
        Ok(entry.map(StoredCredential::from))
    }

    /// Stores all of `entries` for `backend`, or none of them, where its others are.
    ///
    /// # Errors
    ///
    /// The file or the keyring cannot be read or written; it is then as it was.
    pub fn save(
        &self,
        backend: &str,
        entries: &[(&str, StoredCredential)],
    ) -> Result<(), StoreError> {
        self.edit(backend, &|all| add_entries(all, entries))
    }

    /// Binds the entries of `backend` that do not say where they may go.
    ///
    /// # Errors
    ///
    /// As [`Self::save`].
    pub fn bind(&self, backend: &str, origins: &BTreeSet<Origin>) -> Result<(), StoreError> {
        self.edit(backend, &|all| {
            for entry in all.values_mut().filter(|entry| entry.origins.is_none()) {
                entry.origins = Some(origins.clone());
            }
        })
    }

    /// Changes the entries of `backend` where they are, all or nothing.
    fn edit(
        &self,
        backend: &str,
        edit: &dyn Fn(&mut BTreeMap<String, StoreEntry>),
    ) -> Result<(), StoreError> {
        if self.place(backend)? != Some(StorePlace::Keyring) {
            let mut has_moved = false;
            self.change(|content| {
                has_moved = content.keyring.contains_key(backend);
                if !has_moved {
                    edit(content.backends.entry(backend.to_owned()).or_default());
                }
                Ok(())
            })?;
            if !has_moved {
                return Ok(());
            }
        }
        // One at a time changes an item, or moves it.
        let place = self.lock(&place_lock(backend))?;
        let Some(note) = self.read()?.keyring.remove(backend) else {
            drop(place);
            return self.edit(backend, edit);
        };
        let KeyringItem { entries: mut all, .. } = self.item(backend, &note)?;
        edit(&mut all);
        let note = KeyringNote { revision: new_revision(), ..note };
        // First the note: nobody may take the item of before for that of this revision.
        self.change(|content| {
            content.keyring.insert(backend.to_owned(), note.clone());
            Ok(())
        })?;
        let set = self.set_item(backend, note, all);
        set.map_err(|error| StoreError::Keyring { backend: backend.to_owned(), error })
    }

    /// Stores all of `entries` for `backend`, or none of them, at `place`, and moves its others
    /// there or forgets them. Returns what could not be removed from a keyring.
    ///
    /// # Errors
    ///
    /// The file or the keyring cannot be read or written; what was there still counts.
    pub fn save_at(
        &self,
        place: StorePlace,
        backend: &str,
        entries: &[(&str, StoredCredential)],
        others: OtherEntries,
    ) -> Result<Option<KeyringError>, StoreError> {
        if others == OtherEntries::Keep && self.place(backend)? == Some(place) {
            return self.save(backend, entries).map(|()| None);
        }
        let _place = self.lock(&place_lock(backend))?;
        let mut left = None;
        self.change(|content| {
            let note = content.keyring.remove(backend);
            let mut all = content.backends.remove(backend).unwrap_or_default();
            match &note {
                _ if others == OtherEntries::Forget => all.clear(),
                Some(note) => all = self.item(backend, note)?.entries,
                None => {}
            }
            add_entries(&mut all, entries);
            match place {
                StorePlace::File => {
                    content.backends.insert(backend.to_owned(), all);
                    left = note;
                }
                StorePlace::Keyring => {
                    let account = match note {
                        Some(note) => note.account,
                        // Another store may have a backend of this name.
                        None => format!("{backend} ({})", self.path.display()),
                    };
                    let note = KeyringNote { account, revision: new_revision() };
                    self.set_item(backend, note.clone(), all)
                        .map_err(|error| StoreError::Unusable { error })?;
                    content.keyring.insert(backend.to_owned(), note);
                }
            }
            Ok(())
        })?;
        Ok(left.and_then(|note| self.keyring.remove(&note.account).err()))
    }

    /// Returns whether what a call does for `backend` may wait for the keyring.
    pub fn may_wait(&self, backend: &str, usage: StoreUse) -> bool {
        // A file that cannot be read is an error at once.
        let Ok(content) = self.read() else { return false };
        let Some(note) = content.keyring.get(backend) else { return false };
        usage == StoreUse::Replace
            || self.known().get(backend).is_none_or(|item| item.revision != note.revision)
    }

    /// Finds out whether the keyring keeps a secret, which may take a person who unlocks it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`]
    pub fn check_keyring(&self) -> Result<(), StoreError> {
        let probe = || {
            let (account, secret) = (format!("probe-{}", Uuid::new_v4()), new_revision());
            self.keyring.set(&account, &secret.as_str().into())?;
            let kept = self.keyring.get(&account);
            self.keyring.remove(&account)?;
            match kept? {
                Some(kept) if kept.expose_secret() == secret => Ok(()),
                _ => Err(KeyringError::Failed("it did not keep an item".to_owned())),
            }
        };
        probe().map_err(|error| StoreError::Unusable { error })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, KeyringItem>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the item that `note` leads to.
    fn item(&self, backend: &str, note: &KeyringNote) -> Result<KeyringItem, StoreError> {
        if let Some(item) = self.known().get(backend).filter(|item| item.revision == note.revision)
        {
            return Ok(item.clone());
        }
        let backend = backend.to_owned();
        let text = match self.keyring.get(&note.account) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(StoreError::Item { backend, reason: "is gone" }),
            Err(error) => return Err(StoreError::Keyring { backend, error }),
        };
        // The text of a parse error could show a value.
        let item: KeyringItem = serde_json::from_str(text.expose_secret())
            .map_err(|_| StoreError::Item { backend: backend.clone(), reason: "is damaged" })?;
        // Another revision is about to be replaced, or its writer died: it is good for now.
        if item.revision == note.revision {
            self.known().insert(backend, item.clone());
        }
        Ok(item)
    }

    /// Writes the item that `note` leads to; without the access tokens when they take too much.
    fn set_item(
        &self,
        backend: &str,
        KeyringNote { account, revision }: KeyringNote,
        entries: BTreeMap<String, StoreEntry>,
    ) -> Result<(), KeyringError> {
        let mut item = KeyringItem { revision, entries };
        let set = |item: &KeyringItem| {
            let text = serde_json::to_string(item);
            let text = text.map_err(|error| KeyringError::Failed(error.to_string()))?;
            self.keyring.set(&account, &text.into())
        };
        let mut done = set(&item);
        if matches!(done, Err(KeyringError::TooLong(_)))
            && item.entries.values().any(|entry| entry.access.is_some())
        {
            // Other processes then get their own.
            item.entries.values_mut().for_each(|entry| entry.access = None);
            done = set(&item);
        }
        done?;
        self.known().insert(backend.to_owned(), item);
        Ok(())
    }

    /// Changes the file, under the lock that all who write have.
    fn change(
        &self,
        change: impl FnOnce(&mut StoreContent) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _lock = self.lock("write")?;
        let mut content = self.read()?;
        change(&mut content)?;
        content.version = VERSION;
        self.write(&content).map_err(|error| self.fail(&error))
    }

    fn lock(&self, name: &str) -> Result<File, StoreError> {
        let file = self.open_lock(name)?;
        file.lock().map_err(|error| self.fail(&error))?;
        Ok(file)
    }

    /// Finds out whether the store can be written, without changing an entry.
    ///
    /// # Errors
    ///
    /// It cannot, or what is there cannot be read.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.read()?;
        drop(self.open_lock("write")?);
        let probe = || {
            // Others may be doing the same.
            let probe = self.beside(&format!("probe-{}", Uuid::new_v4()))?;
            let made = create_private(&probe);
            let _ = fs::remove_file(&probe);
            made.map(drop)
        };
        probe().map_err(|error| self.fail(&error))
    }

    /// Takes the lock of a credential; `None` while another process holds it.
    ///
    /// # Errors
    ///
    /// The lock cannot be made.
    pub fn try_lock(&self, backend: &str, name: &str) -> Result<Option<StoreLock>, StoreError> {
        let name = text_fingerprint(&format!("{backend}/{name}"));
        let name = name.get(..16).unwrap_or_default();
        let file = self.open_lock(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StoreLock(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems have no locks; the file itself stays whole.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(StoreLock(None)))
            }
            Err(TryLockError::Error(error)) => Err(self.fail(&error)),
        }
    }

    /// Refuses what somebody else could have put there.
    fn trust(&self, doubts: Vec<FileDoubt>) -> Result<(), StoreError> {
        match doubts.into_iter().next() {
            Some(doubt) => {
                Err(StoreError::Untrusted { path: self.path.display().to_string(), doubt })
            }
            None => Ok(()),
        }
    }

    fn read(&self) -> Result<StoreContent, StoreError> {
        match file_trust::way_to(&self.path) {
            Ok(doubts) => self.trust(doubts)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(StoreContent::default());
            }
            Err(error) => return Err(self.fail(&error)),
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(StoreContent::default());
            }
            Err(error) => return Err(self.fail(&error)),
        };
        let wrong = |reason: &str| StoreError::File {
            path: self.path.display().to_string(),
            reason: reason.to_owned(),
        };
        if is_open_to_others(&file).map_err(|error| self.fail(&error))? {
            return Err(wrong("can be read by other users; chmod 600 it, and renew what is in it"));
        }
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| self.fail(&error))?;
        // The text of a parse error could show a value.
        let content: StoreContent = serde_json::from_str(&text)
            .map_err(|_| wrong("is damaged; remove it and run `dadl-mcp setup` again"))?;
        if content.version > VERSION {
            return Err(wrong("was written by a newer version of dadl-mcp"));
        }
        Ok(content)
    }

    fn write(&self, content: &StoreContent) -> io::Result<()> {
        let new = self.beside("new")?;
        let written = || {
            // Whoever holds the lock writes: what is there was left behind by a process that died.
            let _ = fs::remove_file(&new);
            let mut file = create_private(&new)?;
            let text = serde_json::to_string_pretty(content)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            // The new name is on the disk when the directory is; not every system can do that.
            if let Some(Ok(directory)) = self.path.parent().map(File::open) {
                let _ = directory.sync_all();
            }
            Ok(())
        };
        let done = written();
        if done.is_err() {
            let _ = fs::remove_file(&new);
        }
        done
    }

    /// Opens a lock file, and makes the directory when it is missing.
    fn open_lock(&self, name: &str) -> Result<File, StoreError> {
        let open = || {
            let path = self.beside(&format!("{name}.lock"))?;
            let mut doubts = Vec::new();
            if let Some(directory) = path.parent() {
                create_directory(directory)?;
                doubts = file_trust::way_to_own(directory)?;
            }
            Ok((path, doubts))
        };
        let (path, doubts) = open().map_err(|error| self.fail(&error))?;
        self.trust(doubts)?;
        let file =
            make_private(OpenOptions::new().create(true).truncate(false).write(true)).open(path);
        file.map_err(|error| self.fail(&error))
    }

    /// Names a file in the directory of the store.
    fn beside(&self, extension: &str) -> io::Result<PathBuf> {
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut name = name.to_os_string();
        name.push(".");
        name.push(extension);
        Ok(self.path.with_file_name(name))
    }

    fn fail(&self, error: &io::Error) -> StoreError {
        StoreError::File {
            path: self.path.display().to_string(),
            reason: format!("cannot be used: {error}{}", next_step(error)),
        }
    }
}

/// Says what to do about an error of the system, where that is known.
fn next_step(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; let XDG_STATE_HOME be a directory that this process can write and that lasts"
        }
        _ => "",
    }
}

fn add_entries(stored: &mut BTreeMap<String, StoreEntry>, entries: &[(&str, StoredCredential)]) {
    stored
        .extend(entries.iter().map(|(name, entry)| ((*name).to_owned(), StoreEntry::from(entry))));
}

/// Names the lock under which the entries of a backend change their place.
fn place_lock(backend: &str) -> String {
    text_head(&text_fingerprint(&format!("place of {backend}")), 16).to_owned()
}

fn new_revision() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests;
