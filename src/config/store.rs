//! The credential store: what `dadl-mcp setup` asked for, and refresh tokens that replaced others.
//!
//! One JSON file below the state directory, mode 0600, entries by backend and credential. Every
//! change writes a whole new file beside it, forces it to the disk and renames it, under a lock
//! that other processes honor, so that a reader sees the old file or the new one.
//!
//! **Invariant:** a file that others can read is refused, and no text made here holds a value.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A store larger than this is something else.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The form of the file.
const VERSION: u32 = 1;

/// Where credentials are kept.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
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
#[error("the credential store {path} {reason}")]
pub struct StoreError {
    /// The file.
    pub path: String,
    /// What is wrong, and what to do where that is known.
    pub reason: String,
}

/// Keeps other processes from renewing the same credential while it lives.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "closing the file ends the lock")] Option<File>);

#[derive(Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    backends: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access: Option<AccessEntry>,
}

#[derive(Serialize, Deserialize)]
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
    /// Uses the file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what is stored as `name` for `backend`.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be used.
    pub fn entry(&self, backend: &str, name: &str) -> Result<Option<Stored>, StoreError> {
        let mut content = self.read()?;
        let entry = content.backends.get_mut(backend).and_then(|entries| entries.remove(name));
        Ok(entry.map(Stored::from))
    }

    /// Stores all of `entries` for `backend`, or none of them.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written; it is then as it was.
    pub fn save(&self, backend: &str, entries: &[(&str, Stored)]) -> Result<(), StoreError> {
        let _lock = self.open_lock("write").and_then(|file| file.lock().map(|()| file));
        let _lock = _lock.map_err(|error| self.fail(&error))?;
        let mut content = self.read()?;
        let stored = content.backends.entry(backend.to_owned()).or_default();
        for (name, entry) in entries {
            stored.insert((*name).to_owned(), entry.into());
        }
        content.version = VERSION;
        self.write(&content).map_err(|error| self.fail(&error))
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
        let wrong = |reason: &str| StoreError {
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
        if content.version > VERSION {
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
        StoreError {
            path: self.path.display().to_string(),
            reason: format!("cannot be used: {error}"),
        }
    }
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
    use super::*;

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
        let store = Store::new(home.path().join("state/credentials.json"));
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
        let store = Store::new(home.path().join("credentials.json"));
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
        let store = Store::new(home.path().join("credentials.json"));
        create_private(store.path()).unwrap().write_all(b"{\"s3cret\"").unwrap();
        let error = store.save("a", &[("x", stored("1"))]).unwrap_err().to_string();
        assert!(error.contains("is damaged") && !error.contains("s3cret"), "{error}");
        assert_eq!(fs::read(store.path()).unwrap(), b"{\"s3cret\"");
    }

    #[test]
    fn one_process_at_a_time_renews_a_credential() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("credentials.json"));
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
        let store = Store::new(home.path().join("state/credentials.json"));
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
        let store = Store::new(home.path().join("file/credentials.json"));
        let error = store.check_writable().unwrap_err().to_string();
        assert!(error.contains("file/credentials.json cannot be used"), "{error}");
    }
}
