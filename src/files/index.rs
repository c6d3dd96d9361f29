//! What the store knows about its files: a small JSON file for each, beside the bytes.
//!
//! Several processes may share a directory, so that the disk is the truth: a record is written to
//! a temporary file and renamed, and what other processes wrote is read when it is looked for.
//! Records never change, so that each is read once. A record is there before its file is, so that
//! no file is left that nobody knows; while the file is still unfinished, the record waits.
//!
//! Only what a record names is ever removed, and only while it is the file that was stored.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    expiry, staging,
    time::{ClockMoment, MachineUptime},
    unfinished,
};

/// The directory of records, and of the files that have no name of their own.
pub(crate) const STORE: &str = ".store";
/// Ends the name of a record.
const RECORD: &str = "json";

/// The name of a stored file: 32 lower-case hexadecimal digits that cannot be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileId(String);

impl FileId {
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
pub(crate) struct FileRecord {
    /// What people call it.
    pub(crate) name: String,
    /// Its path below the directory of files, when it is kept under a name of its own.
    pub(crate) file: Option<String>,
    /// The content type that was stored with it.
    pub(crate) content_type: String,
    /// In bytes.
    pub(crate) size: u64,
    /// The host for whose client it was saved, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// In lower-case hexadecimal.
    pub(crate) sha256: String,
    /// When it is removed, in seconds since 1970.
    pub(crate) expires: Option<u64>,
    /// The same by what no change of the clock touches, until the machine starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<MachineUptime>,
    /// When it was last written to, in nanoseconds since 1970: a file with another time is
    /// somebody else's and stays.
    pub(crate) modified: u64,
    /// Which file it is, where the system numbers them: another one of that name stays as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inode: Option<u64>,
    /// Whether it is the whole of an answer that was shown in part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) spilled: bool,
}

impl FileRecord {
    /// Returns where the bytes are.
    pub(crate) fn path(&self, directory: &Path, id: &FileId) -> PathBuf {
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
                && (self.inode.is_none() || self.inode == inode_of(&metadata))
        })
    }
}

/// Returns when a file was last written to, as records have it.
pub(crate) fn modified(metadata: &fs::Metadata) -> u64 {
    let time = metadata.modified().unwrap_or(UNIX_EPOCH);
    let nanos = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Returns the number of a file.
#[cfg(unix)]
pub(crate) fn inode_of(metadata: &fs::Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::ino(metadata))
}

/// Files have no numbers here that are easy to get.
#[cfg(not(unix))]
pub(crate) fn inode_of(_: &fs::Metadata) -> Option<u64> {
    None
}

/// The records of a directory, as of the last look.
#[derive(Debug, Default)]
pub(crate) struct FileIndex {
    records: HashMap<FileId, FileRecord>,
    /// Whether leftovers were looked for.
    swept: bool,
}

impl FileIndex {
    /// Reads what is new and removes what has expired; the first time, leftovers too.
    pub(crate) fn refresh(&mut self, directory: &Path, now: &ClockMoment) {
        let mut present = HashMap::with_capacity(self.records.len());
        for (id, record_path) in records(directory) {
            let known = self.records.remove(&id);
            // A record that cannot be read names nothing.
            let Some(record) = known.or_else(|| read_record(&record_path)) else { continue };
            let path = record.path(directory, &id);
            let mut there = record.is_at(&path);
            if !there {
                // It gets its name in one step, so that it is one of both while somebody is at it.
                if staging::part_path(directory, &id).exists() {
                    continue;
                }
                there = record.is_at(&path);
            }
            let expired = there && expiry::is_over(directory, &id, &record, now);
            if expired {
                remove_quietly(&path);
            }
            if expired || !there {
                remove_quietly(&record_path);
                expiry::forget_expiry(directory, &id);
                continue;
            }
            present.insert(id, record);
        }
        self.records = present;
        if !self.swept {
            self.swept = unfinished::sweep_leftovers(directory, &now.uptime);
        }
    }

    /// Returns a record as of the last look.
    pub(crate) fn get(&self, id: &FileId) -> Option<&FileRecord> {
        self.records.get(id)
    }

    /// Returns the names of the files that hold answers which were shown in part, as of the last look.
    pub(crate) fn spilled(&self) -> HashSet<String> {
        let spilled = self.records.values().filter(|record| record.spilled);
        spilled.filter_map(|record| record.file.clone()).collect()
    }

    /// Returns the number of files and of their bytes as of the last look.
    pub(crate) fn usage(&self) -> (u64, u64) {
        (self.records.len() as u64, self.records.values().map(|record| record.size).sum())
    }

    /// Returns the same of one host.
    pub(crate) fn usage_of(&self, host: &str) -> (u64, u64) {
        let own = self.records.values().filter(|record| record.host.as_deref() == Some(host));
        own.fold((0, 0), |(files, bytes), record| (files + 1, bytes + record.size))
    }

    /// Removes a file and its record; says whether there was one.
    pub(crate) fn remove(&mut self, directory: &Path, id: &FileId) -> bool {
        let Some(record) = self.records.remove(id) else { return false };
        let path = record.path(directory, id);
        if record.is_at(&path) {
            remove_quietly(&path);
        }
        remove_quietly(&record_path(directory, id));
        expiry::forget_expiry(directory, id);
        true
    }

    /// Knows a file whose record was written.
    pub(crate) fn insert(&mut self, id: FileId, record: FileRecord) {
        self.records.insert(id, record);
    }
}

/// Makes the directory of records, for writing.
pub(super) fn open_store(directory: &Path) -> io::Result<PathBuf> {
    let store = directory.join(STORE);
    super::create_private(&store)?;
    if !is_directory(&store) {
        return Err(io::Error::other("it is a link, which is not followed"));
    }
    Ok(store)
}

/// Writes a record, whole or not at all.
pub(super) fn write_record(directory: &Path, id: &FileId, record: &FileRecord) -> io::Result<()> {
    open_store(directory)?;
    staging::write_file(directory, &record_path(directory, id), &serde_json::to_vec(record)?)
}

/// Removes a record whose file did not get its name.
pub(super) fn take_back(directory: &Path, id: &FileId) {
    remove_quietly(&record_path(directory, id));
}

pub(super) fn record_path(directory: &Path, id: &FileId) -> PathBuf {
    directory.join(STORE).join(format!("{}.{RECORD}", id.as_str()))
}

/// Lists what has the name of a record; a store that is a link is none.
fn records(directory: &Path) -> Vec<(FileId, PathBuf)> {
    let store = directory.join(STORE);
    if !is_directory(&store) {
        return Vec::new();
    }
    let records = file_names(&store).into_iter().filter_map(|name| {
        let id = name.rsplit_once('.').filter(|(_, ending)| *ending == RECORD);
        Some((FileId::parse(id?.0)?, store.join(&name)))
    });
    records.collect()
}

fn read_record(path: &Path) -> Option<FileRecord> {
    let record: FileRecord = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // A record is no way to name a file elsewhere.
    let is_name = |file: &String| {
        !file.contains(['/', '\\', '\0']) && !matches!(file.as_str(), "" | "." | "..")
    };
    record.file.as_ref().is_none_or(is_name).then_some(record)
}

/// Returns whether this is a directory, and no link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns the names in a directory; none when it cannot be read.
pub(super) fn file_names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Removes a file; another process may have been faster.
pub(super) fn remove_quietly(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a file");
    }
}
