//! What is known about a stored file, how it is called, and where both are.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::time::MachineUptime;

/// The directory of records, and of the files that have no name of their own.
pub(crate) const STORE: &str = ".store";
/// Ends the name of a record.
pub(super) const RECORD: &str = "json";

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
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.len() == self.size
                && modified_nanos(&metadata) == self.modified
                && (self.inode.is_none() || self.inode == inode_of(&metadata))
        })
    }
}

/// Returns where the record of a file is.
pub(super) fn record_path(directory: &Path, id: &FileId) -> PathBuf {
    directory.join(STORE).join(format!("{}.{RECORD}", id.as_str()))
}

/// Returns when a file was last written to, as records have it.
pub(crate) fn modified_nanos(metadata: &fs::Metadata) -> u64 {
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
