//! A whole file gets its name, and what has to be known about it is written down.
//!
//! All in one step, which a caller that goes away does not divide. The record comes first: should the
//! process end here, the record is without its file, and goes.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use dadl_text::text;

use super::{
    FILES_PATH, FileError, FileStore, REFERENCE, candidate_names, exclusive_name, index, io_error,
    part_file::PartFile,
    record::{self, FileId, FileRecord},
    time::{self, MachineUptime},
};
use crate::outcome::SavedFile;

/// A file whose bytes are all there.
pub(super) struct WholeFile {
    pub(super) store: FileStore,
    pub(super) id: FileId,
    /// What people call it.
    pub(super) name: String,
    /// What it is to be called on the disk; nothing when it is stored under its id.
    pub(super) wanted: Option<String>,
    pub(super) content_type: String,
    pub(super) size: u64,
    pub(super) digest: Vec<u8>,
    /// When it is removed: by the clock in seconds since 1970, and by the machine.
    pub(super) expires: Option<(u64, MachineUptime)>,
    /// Locked until it has its name.
    pub(super) file: File,
    pub(super) part: PartFile,
    /// For whose client it was saved.
    pub(super) host: String,
    pub(super) is_spilled: bool,
}

impl WholeFile {
    /// Gives the file a name that nobody has.
    pub(super) fn settle(self) -> Result<SavedFile, FileError> {
        let Self {
            store,
            id,
            name,
            wanted,
            content_type,
            size,
            digest,
            expires,
            file,
            part,
            host,
            is_spilled,
        } = self;
        let directory = store.directory();
        let sha256 = text::hex_text(&digest);
        let metadata = file.metadata().map_err(|error| io_error("read", part.path(), &error))?;
        let (expires, until) = expires.unzip();
        let mut record = FileRecord {
            name: name.clone(),
            file: None,
            content_type: content_type.clone(),
            size,
            host: Some(host).filter(|host| !host.is_empty()),
            sha256: sha256.clone(),
            expires,
            until,
            modified: record::modified_nanos(&metadata),
            spilled: is_spilled,
            inode: record::inode_of(&metadata),
        };
        let is_noted = wanted.is_none() || expires.is_some() || store.is_limited();
        let names: Box<dyn Iterator<Item = Option<String>>> = match &wanted {
            None => Box::new(std::iter::once(None)),
            Some(wanted) => Box::new(candidate_names::candidate_names(wanted).map(Some)),
        };
        let mut path = None;
        for name in names {
            record.file = name;
            path = take_name(directory, &id, &record, is_noted, &part)?;
            if path.is_some() {
                break;
            }
        }
        let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
        let path = path.ok_or_else(|| io_error("name", part.path(), &taken()))?;
        part.keep();
        drop(file);
        if is_noted {
            store.state().index.insert(id.clone(), record);
        } else {
            store.state().remember(record);
        }
        let published = store.published();
        Ok(SavedFile {
            name,
            url: published.map(|base| format!("{base}{FILES_PATH}/{}", id.as_str())),
            reference: published.map(|_| format!("{REFERENCE}{}", id.as_str())),
            path,
            size,
            content_type,
            sha256,
            expires: expires.map(time::rfc3339),
            is_private: false,
        })
    }
}

/// Gives a file the name in its record, and writes the record first where it is needed; `None` when
/// something has that name.
fn take_name(
    directory: &Path,
    id: &FileId,
    record: &FileRecord,
    is_noted: bool,
    part: &PartFile,
) -> Result<Option<PathBuf>, FileError> {
    let path = record.path(directory, id);
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(None);
    }
    if is_noted {
        // What cannot be remembered would never expire.
        let written = index::write_record(directory, id, record);
        written.map_err(|error| io_error("record", &path, &error))?;
    }
    match exclusive_name::give_name(part.path(), &path) {
        Ok(()) => Ok(Some(path)),
        Err(error) => {
            if is_noted {
                index::take_back(directory, id);
            }
            match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(None),
                _ => Err(io_error("name", part.path(), &error)),
            }
        }
    }
}
