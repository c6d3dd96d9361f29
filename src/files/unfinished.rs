//! Files that are being written, as the next process finds them.
//!
//! A process that is killed leaves its unfinished file behind, in the folder that is there for them.
//! A file is locked as long as somebody writes it; the next process removes one that is not, or goes
//! on with it: where the server names the version of what it sends, and sends parts of it (RFC 9110,
//! sections 13.1.5 and 14.2). A small record beside the file says so.

use std::{
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use dadl_text::text;
use serde::{Deserialize, Serialize};

use super::{
    exclusive_name::is_at,
    expiry::SEEN,
    folder::{is_directory, remove_quietly},
    record::{self, FileId},
    staging::{self, PART, StagingFolder},
    time::{self, MachineUptime},
};

/// Ends the name of a record.
const UNFINISHED: &str = "unfinished";
/// Shorter files are not worth a record: they are fetched again.
pub(super) const LEAST: u64 = 1024 * 1024;
/// What can be continued is kept so long after it was found.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What identifies a request: a digest of everything that makes it, without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestFingerprint(pub(crate) [u8; 32]);

impl RequestFingerprint {
    fn record(&self, directory: &Path) -> Option<PathBuf> {
        let digest = text::hex_text(&self.0);
        let id = FileId::parse(digest.get(..32)?)?;
        Some(staging::path_of(directory, &id, UNFINISHED))
    }
}

/// How to go on with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct UnfinishedRecord {
    /// The id of the file.
    part: String,
    /// Which file that is, where the system numbers them.
    inode: Option<u64>,
    /// What the request is, in hexadecimal.
    request: String,
    /// The `ETag` or `Last-Modified` of the answer.
    validator: String,
    /// The length of the whole, where it was announced.
    total: Option<u64>,
    /// When the machine was started: what was written before it stopped may not be on the disk.
    boot: String,
    /// Whether it is to be stored under an id.
    is_published: bool,
    /// When somebody saw first that nobody writes it.
    found: Option<MachineUptime>,
}

/// The record of a file that this process writes; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct UnfinishedMark {
    directory: PathBuf,
    path: PathBuf,
    keep: bool,
}

impl UnfinishedMark {
    /// Lets the next process go on with the file.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }

    /// Lets nobody go on with the file but this process.
    pub(super) fn withdraw(&mut self) {
        self.keep = false;
    }
}

impl Drop for UnfinishedMark {
    fn drop(&mut self) {
        if !self.keep {
            remove_quietly(&self.path);
            staging::remove_when_empty(&self.directory);
        }
    }
}

/// A file that another process did not finish; this one holds its lock. Dropping it leaves it to
/// another call.
#[derive(Debug)]
pub(crate) struct UnfinishedFile {
    pub(super) file: File,
    pub(super) part: PathBuf,
    pub(super) id: FileId,
    pub(super) mark: UnfinishedMark,
    /// How many bytes of it are there.
    pub(super) size: u64,
    /// The length of the whole, where it was announced.
    pub(crate) total: Option<u64>,
    /// What names the version that it is a part of.
    pub(crate) validator: String,
}

impl UnfinishedFile {
    /// Returns where to go on: with one byte at least, so that an answer can say that it is the same.
    pub(crate) fn offset(&self) -> u64 {
        match self.total {
            Some(total) => self.size.min(total.saturating_sub(1)),
            None => self.size,
        }
    }

    /// Removes it: it is a part of something that is no more.
    pub(crate) fn discard(mut self) {
        remove_quietly(&self.part);
        self.mark.withdraw();
    }
}

/// Writes down how to go on with the file of `id`: its request, its validator and the announced
/// length. Nothing depends on it but what happens after a crash, so that a failure is none; another
/// call of the same kind may be under way, whose record stays.
pub(super) fn write_mark(
    directory: &Path,
    id: &FileId,
    is_published: bool,
    (request, validator, total): (&RequestFingerprint, &str, Option<u64>),
) -> Option<UnfinishedMark> {
    let path = request.record(directory)?;
    let metadata = fs::symlink_metadata(staging::part_path(directory, id)).ok()?;
    let record = UnfinishedRecord {
        part: id.as_str().to_owned(),
        inode: record::inode_of(&metadata),
        request: text::hex_text(&request.0),
        validator: validator.to_owned(),
        total,
        boot: time::boot_id()?.to_owned(),
        is_published,
        found: None,
    };
    let written = staging::write_file(directory, &path, &serde_json::to_vec(&record).ok()?);
    if let Err(error) = &written {
        tracing::debug!(%error, path = %path.display(), "cannot mark an unfinished file");
    }
    written.ok()?;
    Some(UnfinishedMark { directory: directory.to_owned(), path, keep: false })
}

/// Takes over what another process did not finish of this request.
pub(super) fn take_leftover(
    directory: &Path,
    request: &RequestFingerprint,
    is_published: bool,
) -> Option<UnfinishedFile> {
    let path = request.record(directory)?;
    let record = read_record(&path)?;
    let same = record.request == text::hex_text(&request.0);
    if !same || record.is_published != is_published || time::boot_id() != Some(&record.boot) {
        return None;
    }
    let id = FileId::parse(&record.part)?;
    let part = staging::part_path(directory, &id);
    let file = lock_part(&part, record.inode)?;
    let size = file.metadata().ok()?.len();
    let mut record = record;
    if record.found.take().is_some()
        && let Err(error) =
            staging::rewrite_file(directory, &path, &serde_json::to_vec(&record).ok()?)
    {
        tracing::debug!(%error, "cannot note that somebody goes on with an unfinished file");
    }
    let mark = UnfinishedMark { directory: directory.to_owned(), path, keep: true };
    let UnfinishedRecord { validator, total, .. } = record;
    Some(UnfinishedFile { file, part, id, mark, size, total, validator })
}

/// Removes what dead processes left, unless another call may go on with it. Returns whether that
/// was possible: nobody else may be beginning a file meanwhile.
pub(super) fn sweep_leftovers(directory: &Path, now: &MachineUptime) -> bool {
    if !is_directory(&staging::staging_folder(directory)) {
        return true;
    }
    let Some(workshop) = StagingFolder::alone(directory) else { return false };
    let mut kept = HashSet::new();
    for (_, path) in workshop.files(UNFINISHED) {
        match read_record(&path).and_then(|record| Some((FileId::parse(&record.part)?, record))) {
            Some((id, record)) if is_of_use(directory, &workshop, &path, &id, &record, now) => {
                kept.insert(id);
            }
            _ => remove_quietly(&path),
        }
    }
    for (_, path) in workshop.files(PART).filter(|(id, _)| !kept.contains(id)) {
        // Locked: somebody is writing it.
        if let Some(_lock) = lock_part(&path, None) {
            tracing::info!(path = %path.display(), "removing an unfinished file");
            remove_quietly(&path);
        }
    }
    for (id, path) in workshop.files(SEEN) {
        if !record::record_path(directory, &id).exists() {
            remove_quietly(&path);
        }
    }
    workshop.remove_if_empty();
    true
}

/// Returns whether a call may go on with a file, or does so; begins to count when nobody does.
fn is_of_use(
    directory: &Path,
    workshop: &StagingFolder,
    path: &Path,
    id: &FileId,
    record: &UnfinishedRecord,
    now: &MachineUptime,
) -> bool {
    let part = staging::part_path(directory, id);
    if !part.exists() {
        return false;
    }
    let Some(lock) = lock_part(&part, None) else { return true };
    let is_same = lock.metadata().is_ok_and(|metadata| {
        record.inode.is_none() || record.inode == record::inode_of(&metadata)
    });
    if !is_same || time::boot_id() != Some(&record.boot) {
        return false;
    }
    match record.found.as_ref().and_then(|found| now.since(found)) {
        Some(passed) => passed < KEPT,
        None => {
            let record = UnfinishedRecord { found: Some(now.clone()), ..record.clone() };
            let text = serde_json::to_vec(&record).unwrap_or_default();
            if let Err(error) = workshop.replace(path, &text) {
                tracing::debug!(%error, "cannot note when an unfinished file was found");
            }
            true
        }
    }
}

/// Opens a file that nobody writes any more, and keeps others from it.
fn lock_part(part: &Path, inode: Option<u64>) -> Option<File> {
    let metadata = fs::symlink_metadata(part).ok()?;
    if !metadata.is_file() || (inode.is_some() && inode != record::inode_of(&metadata)) {
        return None;
    }
    let file = File::options().read(true).write(true).open(part).ok()?;
    file.try_lock().ok()?;
    // Whoever wrote it may have given it its name in between.
    is_at(&file, part).then_some(file)
}

fn read_record(path: &Path) -> Option<UnfinishedRecord> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
