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
};

use super::{
    expiry,
    folder::{file_names, is_directory, remove_quietly},
    record::{FileId, FileRecord, RECORD, STORE, record_path},
    staging,
    time::ClockMoment,
    unfinished,
};

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
        for (id, record_path) in list_records(directory) {
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

    /// Returns all records as of the last look.
    pub(crate) fn all(&self) -> impl Iterator<Item = &FileRecord> {
        self.records.values()
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

/// Lists what has the name of a record; a store that is a link is none.
fn list_records(directory: &Path) -> Vec<(FileId, PathBuf)> {
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
