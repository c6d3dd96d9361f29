//! Files of ours that are written anew as a whole and that nobody else may have written.
//!
//! **Invariants:** a file that somebody else could have written is not read; a reader sees the old file or
//! the new one; one process at a time writes to a folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    file_trust::{self, FileDoubt},
    private_files::{create_directory, create_private, make_private},
};

/// Why there is no file, or none could be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptFileError {
    /// Nobody has written one.
    #[error("nothing is known of the server yet")]
    Missing,
    /// Somebody else could have written it.
    #[error("{0}")]
    Untrusted(Box<FileDoubt>),
    /// It is none, or about something else.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
    /// Another process is writing.
    #[error("another process is writing it")]
    Busy,
    /// There are too many.
    #[error("{} has {most} notes; remove those of servers that are gone", folder.display())]
    Full {
        /// Where they are.
        folder: PathBuf,
        /// So many there may be.
        most: usize,
    },
    /// The system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Whether a file has to be there after the power was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// What is lost or damaged is found out again.
    Cached,
    /// It is forced to the disk.
    Forced,
}

/// Whether one who wants to write waits for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockWait {
    /// The other one has the same to write.
    Never,
    /// A person waits.
    ForIt,
}

/// Keeps others from writing to a folder while it lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    #[expect(dead_code, reason = "closing the file ends the lock")]
    file: File,
}

/// Reads a file of at most so many bytes.
///
/// # Errors
///
/// There is none, or none that counts.
pub(super) fn read_kept(path: &Path, most_bytes: u64) -> Result<String, KeptFileError> {
    let fail = |error| KeptFileError::Io { path: path.to_owned(), error };
    let file = match open_kept(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeptFileError::Missing);
        }
        Err(error) => return Err(fail(error)),
    };
    let folder = path.parent().unwrap_or(path);
    let mut doubts = file_trust::way_to_own(folder).map_err(fail)?;
    // A link leads elsewhere.
    doubts.extend(file_trust::way_to(path).map_err(fail)?);
    doubts.extend(file_trust::check_opened(path, &file).map_err(fail)?);
    if let Some(doubt) = doubts.into_iter().next() {
        return Err(KeptFileError::Untrusted(Box::new(doubt)));
    }
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut text = String::new();
    let read = file.take(most_bytes + 1).read_to_string(&mut text);
    if !is_file || read.is_err() || text.len() as u64 > most_bytes {
        return Err(KeptFileError::Damaged(path.to_owned()));
    }
    Ok(text)
}

/// Makes a folder that has files of ours alone, and locks it for writing.
///
/// # Errors
///
/// It cannot be made, is not ours alone, or another process writes.
pub(super) fn lock_folder(folder: &Path, wait: LockWait) -> Result<FolderLock, KeptFileError> {
    let fail = |error| KeptFileError::Io { path: folder.to_owned(), error };
    create_directory(folder).map_err(fail)?;
    let doubts = file_trust::way_to_own(folder).map_err(fail)?;
    if let Some(doubt) = doubts.into_iter().next() {
        return Err(KeptFileError::Untrusted(Box::new(doubt)));
    }
    let file = make_private(OpenOptions::new().create(true).truncate(false).write(true))
        .open(folder.join("lock"))
        .map_err(fail)?;
    match wait {
        LockWait::ForIt => file.lock().map_err(fail)?,
        LockWait::Never => match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(KeptFileError::Busy),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        },
    }
    Ok(FolderLock { file })
}

/// Finds out whether one more file may be in a folder, of which so many may be.
///
/// # Errors
///
/// [`KeptFileError::Full`]
pub(super) fn check_room(path: &Path, most: usize) -> Result<(), KeptFileError> {
    let folder = path.parent().unwrap_or(path);
    // The lock is one of them.
    if !path.exists() && fs::read_dir(folder).map_or(0, Iterator::count) > most {
        return Err(KeptFileError::Full { folder: folder.to_owned(), most });
    }
    Ok(())
}

/// Makes room for one more file in a folder that is locked, of which so many may be: the oldest goes.
pub(super) fn make_room(path: &Path, most: usize) {
    if check_room(path, most).is_ok() {
        return;
    }
    let files = fs::read_dir(path.parent().unwrap_or(path)).into_iter().flatten().flatten();
    let kept = files.filter(|file| file.path().extension() == path.extension());
    let oldest = kept.min_by_key(|file| {
        file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    });
    if let Some(oldest) = oldest {
        let _ = fs::remove_file(oldest.path());
    }
}

/// Writes a file of a locked folder, in the place of the one that is there.
///
/// # Errors
///
/// It could not be written. The old one stays then.
pub(super) fn write_kept(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
    _lock: &FolderLock,
) -> Result<(), KeptFileError> {
    let new = path.with_extension("new");
    let done = || -> io::Result<()> {
        // Whoever holds the lock writes: what is there was left behind by a process that died.
        let _ = fs::remove_file(&new);
        let mut file = create_private(&new)?;
        file.write_all(bytes)?;
        if durability == Durability::Forced {
            file.sync_all()?;
        }
        fs::rename(&new, path)
    };
    let done = done();
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done.map_err(|error| KeptFileError::Io { path: path.to_owned(), error })
}

/// Opens a file for reading, and never waits for a pipe that somebody has put in its place.
fn open_kept(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
}
