//! Files that are being written, as the next process finds them.
//!
//! A process that is killed leaves its `.part` file behind. A small record beside the store says
//! whose it is, so that the next process removes it at once instead of after a day, or goes on with
//! it: where the server names the version of what it sends, and sends parts of it (RFC 9110,
//! sections 13.1.5 and 14.2). A file is locked as long as somebody writes it, so that nobody takes it
//! away from a process that lives.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::index::{self, Id, STORE};

/// Ends the name of a record.
pub(super) const UNFINISHED: &str = "unfinished";
/// Ends the name of a file that is being written.
pub(super) const PART: &str = ".part";
/// Shorter files are not worth a record: they are fetched again.
pub(super) const LEAST: u64 = 1024 * 1024;

/// What identifies a request: a digest of everything that makes it, without any secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Fingerprint {
    fn name(&self) -> String {
        let digest = super::hexadecimal(&self.0);
        let start = digest.get(..32).unwrap_or(&digest);
        format!("{start}.{UNFINISHED}")
    }
}

/// What is known about a file that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The `.part` file, below the directory of files.
    part: String,
    /// How to go on with it, where that is possible.
    resume: Option<Resume>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Resume {
    /// What the request is, in hexadecimal.
    request: String,
    /// The `ETag` or `Last-Modified` of the answer.
    validator: String,
    /// The length of the whole, where it was announced.
    total: Option<u64>,
    /// When the machine was started: what was written before it stopped may not be on the disk.
    boot: String,
}

/// The record of a file that this process writes; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    keep: bool,
    /// Whether another call can go on with the file.
    pub(super) is_resumable: bool,
}

impl Mark {
    /// Lets the next process go on with the file, or not.
    pub(super) fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if !self.keep {
            index::remove(&self.path);
        }
    }
}

/// A file that another process did not finish; this one holds its lock. Dropping it leaves it to
/// another call.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(super) file: File,
    pub(super) part: PathBuf,
    pub(super) mark: Mark,
    /// How many bytes of it are there.
    pub(super) size: u64,
    /// The length of the whole, where it was announced.
    pub(crate) total: Option<u64>,
    /// What names the version that it is a part of.
    pub(crate) validator: String,
}

impl Leftover {
    /// Returns where to go on: with one byte at least, so that an answer can say that it is the same.
    pub(crate) fn offset(&self) -> u64 {
        match self.total {
            Some(total) => self.size.min(total.saturating_sub(1)),
            None => self.size,
        }
    }

    /// Removes it: it is a part of something that is no more.
    pub(crate) fn discard(mut self) {
        index::remove(&self.part);
        self.mark.keep(false);
    }
}

/// Writes down that `part` is being written; `resume` names the request, its validator and the
/// announced length. Nothing depends on it but what happens after a crash, so that a failure is
/// none.
pub(super) fn mark(
    directory: &Path,
    part: &Path,
    resume: Option<(&Fingerprint, &str, Option<u64>)>,
) -> Option<Mark> {
    let resume = resume.and_then(|(request, validator, total)| {
        let (boot, validator) = (boot()?, validator.to_owned());
        let record = Resume { request: super::hexadecimal(&request.0), validator, total, boot };
        Some((request, record))
    });
    let store = directory.join(STORE);
    let name = match &resume {
        Some((request, _)) => request.name(),
        None => format!("{}.{UNFINISHED}", Id::random().as_str()),
    };
    let part = part.strip_prefix(directory).ok()?.to_str()?.to_owned();
    let is_resumable = resume.is_some();
    let record = Record { part, resume: resume.map(|(_, record)| record) };
    let path = store.join(name);
    super::create_private(&store).ok()?;
    let written = write(&path, &record);
    if let Err(error) = &written {
        tracing::debug!(%error, path = %path.display(), "cannot mark an unfinished file");
    }
    written.ok()?;
    Some(Mark { path, keep: false, is_resumable })
}

/// Takes over what another process did not finish of this request; `in_store` says where files are
/// that this process saves.
pub(super) fn take(directory: &Path, request: &Fingerprint, in_store: bool) -> Option<Leftover> {
    let path = directory.join(STORE).join(request.name());
    let record = read(&path)?;
    let resume = record.resume?;
    let same = resume.request == super::hexadecimal(&request.0);
    if !same || record.part.starts_with(STORE) != in_store || boot().as_ref() != Some(&resume.boot)
    {
        return None;
    }
    let part = directory.join(&record.part);
    if !part.exists() {
        index::remove(&path);
    }
    let file = lock(&part)?;
    let size = file.metadata().ok()?.len();
    let mark = Mark { path, keep: true, is_resumable: true };
    let Resume { validator, total, .. } = resume;
    Some(Leftover { file, part, mark, size, total, validator })
}

/// Removes what dead processes left, unless another call may go on with it.
pub(super) fn sweep(directory: &Path, is_old: impl Fn(&Path) -> bool) {
    let store = directory.join(STORE);
    for name in index::names(&store) {
        if !name.ends_with(&format!(".{UNFINISHED}")) {
            continue;
        }
        let path = store.join(name);
        let Some(record) = read(&path) else {
            // Nobody knows what it is about; somebody may be writing it.
            if is_old(&path) {
                index::remove(&path);
            }
            continue;
        };
        let part = directory.join(&record.part);
        if !part.exists() {
            index::remove(&path);
            continue;
        }
        let is_of_use = record.resume.is_some_and(|resume| Some(resume.boot) == boot());
        // Locked: somebody is writing it.
        let Some(_lock) = (!is_of_use || is_old(&part)).then(|| lock(&part)).flatten() else {
            continue;
        };
        tracing::info!(path = %part.display(), "removing an unfinished file");
        index::remove(&part);
        index::remove(&path);
    }
}

/// Opens a file that nobody writes any more, and keeps others from it.
fn lock(part: &Path) -> Option<File> {
    if !fs::symlink_metadata(part).ok()?.is_file() {
        return None;
    }
    let file = File::options().read(true).write(true).open(part).ok()?;
    file.try_lock().ok()?;
    // Whoever wrote it may have given it its name in between.
    is_at(&file, part).then_some(file)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same =
        |one: &fs::Metadata, two: &fs::Metadata| (one.dev(), one.ino()) == (two.dev(), two.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => same(&open, &there),
        _ => false,
    }
}

/// An open file cannot be renamed here.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

fn read(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // A record is no way to name a file elsewhere.
    let name = record.part.strip_prefix(STORE).and_then(|rest| rest.strip_prefix('/'));
    let is_part = name
        .unwrap_or(&record.part)
        .strip_suffix(PART)
        .is_some_and(|name| !name.is_empty() && !name.contains(['/', '\\', '\0']));
    is_part.then_some(record)
}

/// Writes a record; one that is there is not replaced. Half of one is none, and its file goes when
/// it is old.
fn write(path: &Path, record: &Record) -> io::Result<()> {
    let text = serde_json::to_vec(record)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    io::Write::write_all(&mut file, &text).inspect_err(|_| index::remove(path))
}

/// Returns what changes with each start of the machine; `None` where nothing tells.
fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}
