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
//! **Invariants:** a file that others can read is refused, no text made here holds a value, and
//! the entries of a backend are in one place.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::keyring::{self, Keyring, KeyringError};

/// A store larger than this is something else.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The form of a file with all entries in it.
const VERSION: u32 = 1;

/// The form of a file that leads to a keyring: others must not take it for an empty one.
const VERSION_WITH_KEYRING: u32 = 2;

/// Where credentials are kept.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    keyring: Arc<dyn Keyring>,
    /// What the keyring has, by backend. Not held while it is asked.
    known: Arc<Mutex<BTreeMap<String, Item>>>,
}

/// Where the entries of a backend are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the file.
    File,
    /// In the keyring of the system.
    Keyring,
}

/// A stored credential.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The value.
    pub value: SecretString,
    /// The [`fingerprint`] of the value from outside that this one replaced, when there was one.
    pub replaces: Option<String>,
    /// The access token that came with a refresh token, for other processes: a server that
    /// replaces refresh tokens may end the access tokens that came before.
    pub access: Option<Access>,
}

/// An access token whose end is known.
#[derive(Debug, Clone)]
pub struct Access {
    /// The token.
    pub token: SecretString,
    /// When it ends, by this machine's clock.
    pub ends: SystemTime,
}

/// Why the store cannot be used. Usually the operator's or the system's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file.
    #[error("the credential store {path} {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong, and what to do where that is known.
        reason: String,
    },
    /// The keyring has the entries of a backend, and does not give or take them.
    #[error(
        "the credentials of backend \"{backend}\" are in the keyring ({}), which {error}; {}",
        keyring::NAME, next_step(.error, .backend)
    )]
    Keyring {
        /// The backend.
        backend: String,
        /// What is wrong.
        error: KeyringError,
    },
    /// The keyring no longer has what was stored there.
    #[error(
        "the credentials of backend \"{backend}\" were in the keyring ({}), and their item there \
         {reason}; run `dadl-mcp setup {backend}`",
        keyring::NAME
    )]
    Item {
        /// The backend.
        backend: String,
        /// What has become of it.
        reason: &'static str,
    },
    /// The keyring cannot be used for what is to be stored.
    #[error("the keyring ({}) {error}", keyring::NAME)]
    Unusable {
        /// What is wrong.
        error: KeyringError,
    },
}

/// Says what to do about a keyring that does not work.
fn next_step(error: &KeyringError, backend: &str) -> String {
    let file = format!("`dadl-mcp setup {backend} --store file` keeps them in a file instead");
    match error {
        KeyringError::Locked | KeyringError::Timeout(_) => format!("unlock it, or {file}"),
        KeyringError::Absent(_) => {
            format!("start dadl-mcp in the session of the user who stored them, or {file}")
        }
        _ => file,
    }
}

/// Keeps other processes from renewing the same credential while it lives.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "closing the file ends the lock")] Option<File>);

#[derive(Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    backends: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Those whose entries are in the keyring.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    keyring: BTreeMap<String, Note>,
}

/// Leads to an item of the keyring.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    account: String,
    revision: String,
}

/// An item of the keyring.
#[derive(Clone, Serialize, Deserialize)]
struct Item {
    revision: String,
    entries: BTreeMap<String, Entry>,
}

impl fmt::Debug for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Item").field("revision", &self.revision).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<AccessEntry>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct AccessEntry {
    token: String,
    /// Seconds since 1970.
    ends: u64,
}

impl From<Entry> for Stored {
    fn from(Entry { value, replaces, access }: Entry) -> Self {
        let access = access.and_then(|AccessEntry { token, ends }| {
            let ends = UNIX_EPOCH.checked_add(Duration::from_secs(ends))?;
            Some(Access { token: token.into(), ends })
        });
        Self { value: value.into(), replaces, access }
    }
}

impl From<&Stored> for Entry {
    fn from(stored: &Stored) -> Self {
        let access = stored.access.as_ref().map(|Access { token, ends }| AccessEntry {
            token: token.expose_secret().to_owned(),
            ends: ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        });
        let value = stored.value.expose_secret().to_owned();
        Self { value, replaces: stored.replaces.clone(), access }
    }
}

impl Store {
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
    pub fn place(&self, backend: &str) -> Result<Option<Place>, StoreError> {
        let content = self.read()?;
        if content.keyring.contains_key(backend) {
            return Ok(Some(Place::Keyring));
        }
        let some = content.backends.get(backend).is_some_and(|entries| !entries.is_empty());
        Ok(some.then_some(Place::File))
    }

    /// Names a place for people.
    pub fn name(&self, place: Place) -> String {
        match place {
            Place::File => self.path.display().to_string(),
            Place::Keyring => format!("the keyring ({})", keyring::NAME),
        }
    }

    /// Returns what is stored as `name` for `backend`.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be used, or the keyring has the entry and does not give it.
    pub fn entry(&self, backend: &str, name: &str) -> Result<Option<Stored>, StoreError> {
        let mut content = self.read()?;
        let entry = match content.keyring.get(backend) {
            Some(note) => self.item(backend, note)?.entries.remove(name),
            None => content.backends.get_mut(backend).and_then(|entries| entries.remove(name)),
        };
        Ok(entry.map(Stored::from))
    }

    /// Stores all of `entries` for `backend`, or none of them, where its others are.
    ///
    /// # Errors
    ///
    /// The file or the keyring cannot be read or written; it is then as it was.
    pub fn save(&self, backend: &str, entries: &[(&str, Stored)]) -> Result<(), StoreError> {
        if self.place(backend)? != Some(Place::Keyring) {
            let mut has_moved = false;
            self.change(|content| {
                has_moved = content.keyring.contains_key(backend);
                if !has_moved {
                    let stored = content.backends.entry(backend.to_owned()).or_default();
                    add(stored, entries);
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
            return self.save(backend, entries);
        };
        let Item { entries: mut all, .. } = self.item(backend, &note)?;
        add(&mut all, entries);
        let note = Note { revision: revision(), ..note };
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
        place: Place,
        backend: &str,
        entries: &[(&str, Stored)],
        keeps_others: bool,
    ) -> Result<Option<KeyringError>, StoreError> {
        if keeps_others && self.place(backend)? == Some(place) {
            return self.save(backend, entries).map(|()| None);
        }
        let _place = self.lock(&place_lock(backend))?;
        let mut left = None;
        self.change(|content| {
            let note = content.keyring.remove(backend);
            let mut all = content.backends.remove(backend).unwrap_or_default();
            match &note {
                _ if !keeps_others => all.clear(),
                Some(note) => all = self.item(backend, note)?.entries,
                None => {}
            }
            add(&mut all, entries);
            match place {
                Place::File => {
                    content.backends.insert(backend.to_owned(), all);
                    left = note;
                }
                Place::Keyring => {
                    let account = match note {
                        Some(note) => note.account,
                        // Another store may have a backend of this name.
                        None => format!("{backend} ({})", self.path.display()),
                    };
                    let note = Note { account, revision: revision() };
                    self.set_item(backend, note.clone(), all)
                        .map_err(|error| StoreError::Unusable { error })?;
                    content.keyring.insert(backend.to_owned(), note);
                }
            }
            Ok(())
        })?;
        Ok(left.and_then(|note| self.keyring.remove(&note.account).err()))
    }

    /// Returns whether what a call does for `backend` may wait for the keyring; `writes` says
    /// whether it changes something.
    pub fn may_wait(&self, backend: &str, writes: bool) -> bool {
        // A file that cannot be read is an error at once.
        let Ok(content) = self.read() else { return false };
        let Some(note) = content.keyring.get(backend) else { return false };
        writes || self.known().get(backend).is_none_or(|item| item.revision != note.revision)
    }

    /// Finds out whether the keyring keeps a secret, which may take a person who unlocks it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unusable`]
    pub fn check_keyring(&self) -> Result<(), StoreError> {
        let probe = || {
            let (account, secret) = (format!("probe-{}", Uuid::new_v4()), revision());
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

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Item>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the item that `note` leads to.
    fn item(&self, backend: &str, note: &Note) -> Result<Item, StoreError> {
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
        let item: Item = serde_json::from_str(text.expose_secret())
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
        Note { account, revision }: Note,
        entries: BTreeMap<String, Entry>,
    ) -> Result<(), KeyringError> {
        let mut item = Item { revision, entries };
        let set = |item: &Item| {
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
        change: impl FnOnce(&mut Content) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _lock = self.lock("write")?;
        let mut content = self.read()?;
        change(&mut content)?;
        let has_keyring = !content.keyring.is_empty();
        content.version = if has_keyring { VERSION_WITH_KEYRING } else { VERSION };
        self.write(&content).map_err(|error| self.fail(&error))
    }

    fn lock(&self, name: &str) -> Result<File, StoreError> {
        let file = self.open_lock(name).and_then(|file| file.lock().map(|()| file));
        file.map_err(|error| self.fail(&error))
    }

    /// Finds out whether the store can be written, without changing an entry.
    ///
    /// # Errors
    ///
    /// It cannot, or what is there cannot be read.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.read()?;
        let probe = || {
            drop(self.open_lock("write")?);
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
        let name = fingerprint(&format!("{backend}/{name}"));
        let name = name.get(..16).unwrap_or_default();
        let file = self.open_lock(name).map_err(|error| self.fail(&error))?;
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

    fn read(&self) -> Result<Content, StoreError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
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
        let content: Content = serde_json::from_str(&text)
            .map_err(|_| wrong("is damaged; remove it and run `dadl-mcp setup` again"))?;
        if content.version > VERSION_WITH_KEYRING {
            return Err(wrong("was written by a newer version of dadl-mcp"));
        }
        Ok(content)
    }

    fn write(&self, content: &Content) -> io::Result<()> {
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
    fn open_lock(&self, name: &str) -> io::Result<File> {
        let path = self.beside(&format!("{name}.lock"))?;
        if let Some(directory) = path.parent() {
            create_directory(directory)?;
        }
        private(OpenOptions::new().create(true).truncate(false).write(true)).open(path)
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
            reason: format!("cannot be used: {error}"),
        }
    }
}

fn add(stored: &mut BTreeMap<String, Entry>, entries: &[(&str, Stored)]) {
    stored.extend(entries.iter().map(|(name, entry)| ((*name).to_owned(), Entry::from(entry))));
}

/// Names the lock under which the entries of a backend change their place.
fn place_lock(backend: &str) -> String {
    fingerprint(&format!("place of {backend}")).chars().take(16).collect()
}

fn revision() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Returns what tells two values apart without showing either: SHA-256 in hexadecimal digits.
pub fn fingerprint(value: &str) -> String {
    Sha256::digest(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn create_private(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().create_new(true).write(true)).open(path)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn create_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::{
        super::keyring::{KeyringError, MemoryKeyring},
        *,
    };

    fn file_store(path: PathBuf) -> Store {
        // Nothing that these tests do may ask it.
        let broken = Some(KeyringError::Failed("it was asked".to_owned())).into();
        Store::new(path, Arc::new(MemoryKeyring { broken, ..MemoryKeyring::default() }))
    }

    fn stored(value: &str) -> Stored {
        Stored { value: value.into(), replaces: None, access: None }
    }

    fn value(store: &Store, backend: &str, name: &str) -> Option<String> {
        let entry = store.entry(backend, name).unwrap();
        entry.map(|entry| entry.value.expose_secret().to_owned())
    }

    #[test]
    fn keeps_what_is_saved_by_backend_and_name() {
        let home = tempfile::tempdir().unwrap();
        let store = file_store(home.path().join("state/credentials.json"));
        assert_eq!(value(&store, "a", "x"), None);
        store.save("a", &[("x", stored("1")), ("y", stored("2"))]).unwrap();
        store.save("b", &[("x", stored("3"))]).unwrap();
        store.save("a", &[("x", stored("4"))]).unwrap();
        assert_eq!(value(&store, "a", "x").as_deref(), Some("4"));
        assert_eq!(value(&store, "a", "y").as_deref(), Some("2"));
        assert_eq!(value(&store, "b", "x").as_deref(), Some("3"));
        let files = fs::read_dir(home.path().join("state")).unwrap();
        let left: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(!format!("{:?}", store.entry("a", "x")).contains('4'));
    }

    #[cfg(unix)]
    #[test]
    fn a_store_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let store = file_store(home.path().join("credentials.json"));
        store.save("a", &[("x", stored("1"))]).unwrap();
        let mode = fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(store.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = store.entry("a", "x").unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        assert!(store.save("a", &[("x", stored("2"))]).is_err());
        assert!(store.check_writable().is_err());
    }

    #[test]
    fn a_damaged_store_is_left_alone_and_not_shown() {
        let home = tempfile::tempdir().unwrap();
        let store = file_store(home.path().join("credentials.json"));
        create_private(store.path()).unwrap().write_all(b"{\"s3cret\"").unwrap();
        let error = store.save("a", &[("x", stored("1"))]).unwrap_err().to_string();
        assert!(error.contains("is damaged") && !error.contains("s3cret"), "{error}");
        assert_eq!(fs::read(store.path()).unwrap(), b"{\"s3cret\"");
    }

    #[test]
    fn one_process_at_a_time_renews_a_credential() {
        let home = tempfile::tempdir().unwrap();
        let store = file_store(home.path().join("credentials.json"));
        let held = store.try_lock("a", "x").unwrap();
        assert!(held.is_some());
        assert!(store.try_lock("a", "x").unwrap().is_none());
        assert!(store.try_lock("a", "y").unwrap().is_some());
        drop(held);
        assert!(store.try_lock("a", "x").unwrap().is_some());
    }

    #[test]
    fn nothing_is_lost_when_many_write() {
        let home = tempfile::tempdir().unwrap();
        let store = file_store(home.path().join("state/credentials.json"));
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..5 {
                        store.check_writable().unwrap();
                        let name = format!("{writer}-{number}");
                        store.save("a", &[(&name, stored(&name))]).unwrap();
                    }
                });
            }
        });
        for name in (0..8).flat_map(|writer| (0..5).map(move |number| format!("{writer}-{number}")))
        {
            assert_eq!(value(&store, "a", &name), Some(name));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let store = file_store(home.path().join("file/credentials.json"));
        let error = store.check_writable().unwrap_err().to_string();
        assert!(error.contains("file/credentials.json cannot be used"), "{error}");
    }

    /// A store whose entries of backend `a` are in a keyring.
    struct Bench {
        keyring: Arc<MemoryKeyring>,
        store: Store,
        _home: tempfile::TempDir,
    }

    impl Bench {
        fn new(room: Option<usize>) -> Self {
            let home = tempfile::tempdir().unwrap();
            let keyring = Arc::new(MemoryKeyring { room, ..MemoryKeyring::default() });
            let store = Store::new(home.path().join("credentials.json"), keyring.clone());
            let bench = Self { keyring, store, _home: home };
            bench.move_to(Place::Keyring, &[("x", stored("s3cret"))]).unwrap();
            bench
        }

        /// The store as another process sees it.
        fn other(&self) -> Store {
            Store::new(self.store.path().to_owned(), self.keyring.clone())
        }

        fn move_to(
            &self,
            place: Place,
            entries: &[(&str, Stored)],
        ) -> Result<Option<KeyringError>, StoreError> {
            self.store.save_at(place, "a", entries, true)
        }

        fn file(&self) -> String {
            fs::read_to_string(self.store.path()).unwrap()
        }

        fn is(&self, error: Option<KeyringError>) {
            *self.keyring.broken.lock().unwrap() = error;
        }
    }

    #[test]
    fn a_keyring_holds_all_entries_of_a_backend_and_the_file_none() {
        let bench = Bench::new(None);
        let store = &bench.store;
        store.save("b", &[("x", stored("in-the-file"))]).unwrap();
        store.save("a", &[("y", stored("2"))]).unwrap();
        assert_eq!(value(store, "a", "x").as_deref(), Some("s3cret"));
        assert_eq!(value(&bench.other(), "a", "y").as_deref(), Some("2"));
        assert_eq!(value(store, "b", "x").as_deref(), Some("in-the-file"));
        assert_eq!(store.place("a").unwrap(), Some(Place::Keyring));
        assert_eq!(store.place("b").unwrap(), Some(Place::File));
        assert_eq!(store.place("c").unwrap(), None);
        assert!(bench.file().contains("in-the-file") && !bench.file().contains("s3cret"));
        // An older version must not take this for a store without `a`.
        assert!(bench.file().contains("\"version\": 2"), "{}", bench.file());
        let account = format!("a ({})", store.path().display());
        assert_eq!(bench.keyring.accounts(), [account]);
        assert!(!format!("{store:?}").contains("s3cret"), "{store:?}");
    }

    #[test]
    fn a_keyring_is_asked_once_until_somebody_changes_the_item() {
        let bench = Bench::new(None);
        let other = bench.other();
        assert!(other.may_wait("a", false) && !other.may_wait("b", true));
        assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
        assert!(!other.may_wait("a", false) && other.may_wait("a", true));
        let count = bench.keyring.count();
        assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
        assert_eq!(value(&other, "b", "x"), None);
        assert_eq!(bench.keyring.count(), count);
        bench.store.save("a", &[("x", stored("newer"))]).unwrap();
        assert_eq!(value(&other, "a", "x").as_deref(), Some("newer"));
    }

    #[test]
    fn a_keyring_that_fails_is_an_error_that_says_what_to_do() {
        let bench = Bench::new(None);
        let other = bench.other();
        let cases = [
            (KeyringError::Locked, "is locked", "; unlock it, or `dadl-mcp setup a --store file`"),
            (KeyringError::Timeout(Duration::from_secs(45)), "within 45 s", "; unlock it, or"),
            (KeyringError::Absent("no bus".to_owned()), "(no bus)", "; start dadl-mcp in"),
            (KeyringError::Failed("x".to_owned()), "failed: x", "; `dadl-mcp setup a --store"),
        ];
        for (error, what, next) in cases {
            bench.is(Some(error));
            for text in [
                other.entry("a", "x").unwrap_err().to_string(),
                other.save("a", &[("x", stored("1"))]).unwrap_err().to_string(),
            ] {
                let start = "the credentials of backend \"a\" are in the keyring (";
                assert!(text.starts_with(start), "{text}");
                assert!(text.contains(what) && text.contains(next), "{text}");
            }
        }
        // Another backend has nothing there.
        other.save("b", &[("x", stored("1"))]).unwrap();
        bench.is(None);
        assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
        bench.keyring.remove(&bench.keyring.accounts()[0]).unwrap();
        let text = bench.other().entry("a", "x").unwrap_err().to_string();
        assert!(text.ends_with("their item there is gone; run `dadl-mcp setup a`"), "{text}");
    }

    #[test]
    fn a_write_that_fails_leaves_the_item_of_before() {
        let bench = Bench::new(None);
        let other = bench.other();
        assert_eq!(value(&bench.store, "a", "x").as_deref(), Some("s3cret"));
        bench.is(Some(KeyringError::Locked));
        assert!(bench.store.save("a", &[("x", stored("lost"))]).is_err());
        bench.is(None);
        for store in [&bench.store, &other] {
            assert_eq!(value(store, "a", "x").as_deref(), Some("s3cret"));
        }
        bench.store.save("a", &[("x", stored("kept"))]).unwrap();
        assert_eq!(value(&other, "a", "x").as_deref(), Some("kept"));
    }

    #[test]
    fn entries_move_between_the_file_and_the_keyring() {
        let bench = Bench::new(None);
        let (store, other) = (&bench.store, bench.other());
        assert_eq!(bench.move_to(Place::File, &[("y", stored("2"))]), Ok(None));
        assert!(bench.keyring.accounts().is_empty());
        assert!(bench.file().contains("s3cret") && bench.file().contains("\"version\": 1"));
        assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
        assert_eq!(bench.move_to(Place::Keyring, &[]), Ok(None));
        assert!(!bench.file().contains("s3cret"));
        for (name, expected) in [("x", "s3cret"), ("y", "2")] {
            assert_eq!(value(store, "a", name).as_deref(), Some(expected));
            assert_eq!(value(&other, "a", name).as_deref(), Some(expected));
        }
        bench.is(Some(KeyringError::Locked));
        // Nothing is lost unless that is asked for.
        let file = bench.file();
        assert!(bench.other().save_at(Place::File, "a", &[], true).is_err());
        assert_eq!(bench.file(), file);
        let left = bench.other().save_at(Place::File, "a", &[("x", stored("new"))], false);
        assert_eq!(left, Ok(Some(KeyringError::Locked)));
        assert_eq!(value(store, "a", "x").as_deref(), Some("new"));
        assert_eq!(value(store, "a", "y"), None);
        // A move into a keyring that does not take it changes nothing.
        let text = bench.move_to(Place::Keyring, &[]).unwrap_err().to_string();
        assert!(text.contains("is locked"), "{text}");
        assert_eq!(value(store, "a", "x").as_deref(), Some("new"));
    }

    #[test]
    fn access_tokens_give_way_where_an_item_has_little_room() {
        let bench = Bench::new(Some(300));
        let access = Access { token: "t".repeat(200).into(), ends: UNIX_EPOCH };
        let entry = Stored { access: Some(access), ..stored("refresh") };
        bench.store.save("a", &[("x", entry)]).unwrap();
        let found = bench.other().entry("a", "x").unwrap().unwrap();
        assert!(found.access.is_none());
        assert_eq!(found.value.expose_secret(), "refresh");
        let text = bench.store.save("a", &[("y", stored(&"v".repeat(400)))]).unwrap_err();
        assert!(text.to_string().contains("has room for 300 bytes in an item"), "{text}");
        assert_eq!(value(&bench.store, "a", "x").as_deref(), Some("refresh"));
    }

    #[test]
    fn nothing_is_lost_when_many_write_to_a_keyring_and_it_moves() {
        let bench = Bench::new(None);
        std::thread::scope(|scope| {
            for writer in 0..6 {
                let store = bench.other();
                scope.spawn(move || {
                    for number in 0..5 {
                        let name = format!("{writer}-{number}");
                        store.save("a", &[(&name, stored(&name))]).unwrap();
                        assert_eq!(value(&store, "a", &name), Some(name));
                    }
                });
            }
            let bench = &bench;
            scope.spawn(move || {
                for place in [Place::File, Place::Keyring, Place::File, Place::Keyring] {
                    bench.move_to(place, &[]).unwrap();
                }
            });
        });
        for name in (0..6).flat_map(|writer| (0..5).map(move |number| format!("{writer}-{number}")))
        {
            assert_eq!(value(&bench.store, "a", &name), Some(name));
        }
    }

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let bench = Bench::new(None);
        bench.store.check_keyring().unwrap();
        assert_eq!(bench.keyring.accounts().len(), 1);
        bench.is(Some(KeyringError::Absent("no bus".to_owned())));
        let text = bench.store.check_keyring().unwrap_err().to_string();
        assert!(text.contains("cannot be reached (no bus)"), "{text}");
    }
}
