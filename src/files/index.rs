//! What the store knows about its files: a small JSON file for each, beside the bytes.
//!
//! Several processes may share a directory, so that the disk is the truth: a record is written to
//! a temporary file and renamed, and what other processes wrote is read when it is looked for.
//! Records never change, so that each is read once.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{time, unfinished};

/// The directory of records, and of the files that have no name of their own.
pub(crate) const STORE: &str = ".store";
/// Ends the name of a record.
const RECORD: &str = "json";
/// Ends the name of an unfinished file.
pub(crate) const PART: &str = "part";
/// What nobody has written to for so long is left over from a process that was killed.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The name of a stored file: 32 lower-case hexadecimal digits that cannot be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Id(String);

impl Id {
    /// Makes a new one of 122 random bits.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// Reads one; what has another form names no file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 32 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Returns the digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What people call it.
    pub(crate) name: String,
    /// Its path below the directory of files, when it is kept under a name of its own.
    pub(crate) file: Option<String>,
    /// The content type that was stored with it.
    pub(crate) content_type: String,
    /// In bytes.
    pub(crate) size: u64,
    /// In lower-case hexadecimal.
    pub(crate) sha256: String,
    /// When it is removed, in seconds since 1970.
    pub(crate) expires: Option<u64>,
    /// When it was last written to, in nanoseconds since 1970: a file with another time is
    /// somebody else's and stays.
    pub(crate) modified: u64,
}

impl Record {
    /// Returns where the bytes are.
    pub(crate) fn path(&self, directory: &Path, id: &Id) -> PathBuf {
        match &self.file {
            Some(file) => directory.join(file),
            None => directory.join(STORE).join(id.as_str()),
        }
    }

    /// Returns whether the bytes at `path` are still those that were stored.
    fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.len() == self.size
                && modified(&metadata) == self.modified
        })
    }
}

/// Returns when a file was last written to, as records have it.
pub(crate) fn modified(metadata: &fs::Metadata) -> u64 {
    let time = metadata.modified().unwrap_or(UNIX_EPOCH);
    let nanos = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// The records of a directory, as of the last look.
#[derive(Debug, Default)]
pub(crate) struct Index {
    records: HashMap<Id, Record>,
    /// Whether leftovers were looked for.
    swept: bool,
}

impl Index {
    /// Reads what is new and removes what has expired; the first time, leftovers too.
    pub(crate) fn refresh(&mut self, directory: &Path, now: SystemTime) {
        let store = directory.join(STORE);
        let mut present = HashMap::with_capacity(self.records.len());
        for name in names(&store) {
            let Some((stem, RECORD)) = name.rsplit_once('.') else { continue };
            let Some(id) = Id::parse(stem) else { continue };
            let known = self.records.remove(&id);
            // A record that cannot be read names nothing; its bytes are left over.
            let Some(record) = known.or_else(|| read(&store.join(&name))) else { continue };
            let path = record.path(directory, &id);
            let expired = record.expires.is_some_and(|expires| expires <= time::seconds(now));
            let there = record.is_at(&path);
            if expired && there {
                remove(&path);
            }
            if expired || !there {
                remove(&store.join(&name));
                continue;
            }
            present.insert(id, record);
        }
        self.records = present;
        if !self.swept {
            self.swept = true;
            self.remove_leftovers(directory, now);
        }
    }

    fn remove_leftovers(&self, directory: &Path, now: SystemTime) {
        let store = directory.join(STORE);
        let is_old = |path: &Path| {
            fs::symlink_metadata(path).is_ok_and(|metadata| {
                let age = metadata.modified().ok().and_then(|time| now.duration_since(time).ok());
                metadata.is_file() && age.is_some_and(|age| age > LEFT_OVER)
            })
        };
        unfinished::sweep(directory, is_old);
        let in_store = names(&store).into_iter().filter_map(|name| {
            let known = Id::parse(name.split('.').next().unwrap_or_default())
                .is_some_and(|id| self.records.contains_key(&id));
            let is_mark = name.ends_with(unfinished::UNFINISHED);
            (!known && !is_mark).then(|| store.join(name))
        });
        let parts = names(directory).into_iter().filter_map(|name| {
            let part = name.rsplit_once('.').is_some_and(|(_, end)| end == PART);
            part.then(|| directory.join(name))
        });
        for path in in_store.chain(parts).filter(|path| is_old(path)) {
            tracing::info!(path = %path.display(), "removing an unfinished file");
            remove(&path);
        }
    }

    /// Returns a record as of the last look.
    pub(crate) fn get(&self, id: &Id) -> Option<&Record> {
        self.records.get(id)
    }

    /// Returns the number of files and of their bytes as of the last look.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (self.records.len() as u64, self.records.values().map(|record| record.size).sum())
    }

    /// Removes a file and its record; says whether there was one.
    pub(crate) fn remove(&mut self, directory: &Path, id: &Id) -> bool {
        let Some(record) = self.records.remove(id) else { return false };
        let path = record.path(directory, id);
        if record.is_at(&path) {
            remove(&path);
        }
        remove(&directory.join(STORE).join(format!("{}.{RECORD}", id.as_str())));
        true
    }

    /// Writes a record, whole or not at all.
    pub(crate) fn insert(&mut self, directory: &Path, id: Id, record: Record) -> io::Result<()> {
        let store = directory.join(STORE);
        let path = store.join(format!("{}.{RECORD}", id.as_str()));
        let part = store.join(format!("{}.{RECORD}.{PART}", id.as_str()));
        let text = serde_json::to_vec(&record)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&part)
            .and_then(|mut file| io::Write::write_all(&mut file, &text))
            .and_then(|()| fs::rename(&part, &path));
        if written.is_err() {
            remove(&part);
        }
        written?;
        self.records.insert(id, record);
        Ok(())
    }
}

fn read(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // A record is no way to name a file elsewhere.
    let is_name = |file: &String| {
        !file.contains(['/', '\\', '\0']) && !matches!(file.as_str(), "" | "." | "..")
    };
    record.file.as_ref().is_none_or(is_name).then_some(record)
}

/// Returns the names in a directory; none when it cannot be read.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Removes a file; another process may have been faster.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a file");
    }
}
