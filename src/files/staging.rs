//! The folder in which files are unfinished: apart from those of people, and private.
//!
//! It lies below the directory of files, so that a whole file only has to be renamed. What is in it has
//! names that this program makes, 32 hexadecimal digits and an ending, and nothing else in it is
//! ever removed. A marker shows that the folder is ours; one without it, or a link to one, is
//! somebody else's and is not used. The marker is locked while a file is made that nobody has locked
//! yet, and while leftovers are removed. The last file that leaves takes the folder with it, and the
//! one around it when that was made for it and nothing else is there.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    exclusive_name::{self, create_private, is_at},
    folder::{self, is_directory, remove_quietly},
    record::{FileId, STORE},
};

/// The name of the folder, in that of records.
pub(super) const WORKSHOP: &str = "unfinished";
/// The name of the marker.
const MARKER: &str = "made-by-dadl-mcp";
/// Ends the name of a file that is being written.
pub(super) const PART: &str = "part";
/// Others tidy up so often at most while somebody begins.
const ATTEMPTS: usize = 100;

/// The folder of a directory of files.
#[derive(Debug)]
pub(super) struct StagingFolder {
    path: PathBuf,
    /// Closing it gives the lock back.
    marker: File,
}

/// A file that was made in it, locked where the system has locks.
#[derive(Debug)]
pub(super) struct StagedFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) id: FileId,
}

/// Returns where the folder is.
pub(super) fn staging_folder(directory: &Path) -> PathBuf {
    directory.join(STORE).join(WORKSHOP)
}

/// Returns where the unfinished file of an id is.
pub(super) fn part_path(directory: &Path, id: &FileId) -> PathBuf {
    path_of(directory, id, PART)
}

/// Returns the path of a name in the folder.
pub(super) fn path_of(directory: &Path, id: &FileId, ending: &str) -> PathBuf {
    staging_folder(directory).join(format!("{}.{ending}", id.as_str()))
}

/// Makes a file in the folder, which is made as well where it is missing.
pub(super) fn make_file(directory: &Path) -> io::Result<StagedFile> {
    for _ in 0..ATTEMPTS {
        let workshop = StagingFolder::open(directory)?;
        // Without locks nobody removes what others left, so that none is needed.
        let _ = workshop.marker.lock_shared();
        if !workshop.is_there() {
            // The last one has just left.
            continue;
        }
        let id = FileId::random();
        let path = part_path(directory, &id);
        let file = create_private(&path)?;
        let _ = file.try_lock();
        return Ok(StagedFile { file, path, id });
    }
    Err(io::Error::other("others keep removing it"))
}

/// Writes a small file, the whole of it or nothing; one that is there is not replaced.
pub(super) fn write_file(directory: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let StagedFile { mut file, path: new, .. } = make_file(directory)?;
    let written =
        io::Write::write_all(&mut file, text).and_then(|()| exclusive_name::give_name(&new, path));
    if written.is_err() {
        remove_quietly(&new);
    }
    written
}

/// Replaces one of our small files, the whole of it or nothing.
pub(super) fn rewrite_file(directory: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let StagedFile { mut file, path: new, .. } = make_file(directory)?;
    let written = io::Write::write_all(&mut file, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        remove_quietly(&new);
    }
    written
}

/// Removes the folder when nothing is in it.
pub(super) fn remove_when_empty(directory: &Path) {
    if let Some(workshop) = StagingFolder::alone(directory) {
        workshop.remove_if_empty();
    }
}

impl StagingFolder {
    /// Makes the folder, unless it is there.
    fn open(directory: &Path) -> io::Result<Self> {
        super::create_private(directory)?;
        let path = staging_folder(directory);
        let marker = path.join(MARKER);
        let store = directory.join(STORE);
        for _ in 0..ATTEMPTS {
            let is_new = make_directory(&store)?;
            match make_directory(&path) {
                // The last one has just left.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                made => made?,
            };
            // Before the marker is looked for: it is the first that comes and the last that goes.
            let is_empty = match fs::read_dir(&path) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => return Err(foreign_error(&path)),
            };
            if let Some(found) = Self::find(directory) {
                return Ok(found);
            }
            if !is_empty || !is_usable(directory) {
                continue;
            }
            match create_private(&marker) {
                // Says that the folder around it goes as well.
                Ok(mut marker) if is_new => io::Write::write_all(&mut marker, b"\n")?,
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        Err(foreign_error(&path))
    }

    /// Finds the folder where it is there and ours.
    fn find(directory: &Path) -> Option<Self> {
        let path = staging_folder(directory);
        if !is_usable(directory) {
            return None;
        }
        let marker = path.join(MARKER);
        if !fs::symlink_metadata(&marker).ok()?.is_file() {
            return None;
        }
        let marker = File::options().read(true).write(true).open(marker).ok()?;
        Some(Self { path, marker })
    }

    /// Finds the folder, and keeps others from making files in it; `None` while somebody does.
    pub(super) fn alone(directory: &Path) -> Option<Self> {
        let workshop = Self::find(directory)?;
        workshop.marker.try_lock().ok()?;
        workshop.is_there().then_some(workshop)
    }

    fn is_there(&self) -> bool {
        is_at(&self.marker, &self.path.join(MARKER))
    }

    /// Returns the files with this ending whose names we make.
    pub(super) fn files(&self, ending: &str) -> impl Iterator<Item = (FileId, PathBuf)> {
        let files = folder::file_names(&self.path).into_iter().filter_map(move |name| {
            let (stem, found) = name.rsplit_once('.')?;
            let id = FileId::parse(stem).filter(|_| found == ending)?;
            let path = self.path.join(&name);
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            is_file.then_some((id, path))
        });
        files.collect::<Vec<_>>().into_iter()
    }

    /// Replaces one of our small files while nobody else makes any.
    pub(super) fn replace(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let new = self.path.join(format!("{}.{PART}", FileId::random().as_str()));
        let mut file = create_private(&new)?;
        let written = io::Write::write_all(&mut file, text).and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            remove_quietly(&new);
        }
        written
    }

    pub(super) fn remove_if_empty(&self) {
        let Ok(mut entries) = fs::read_dir(&self.path) else { return };
        let is_marker =
            |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() == MARKER);
        if !entries.all(is_marker) {
            return;
        }
        let takes_store = self.marker.metadata().is_ok_and(|marker| marker.len() > 0);
        let gone =
            fs::remove_file(self.path.join(MARKER)).and_then(|()| fs::remove_dir(&self.path));
        // A folder that is not empty after all stays.
        if let (Ok(()), true, Some(store)) = (gone, takes_store, self.path.parent()) {
            let _ = fs::remove_dir(store);
        }
    }
}

/// Says that what has the name of the folder was made by somebody else.
fn foreign_error(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} is not a folder that dadl-mcp made for this user; rename or remove it, or use another \
         directory of files",
        path.display()
    ))
}

fn private_directory() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(false);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Makes a directory that only this user can read; says whether it was not there.
fn make_directory(path: &Path) -> io::Result<bool> {
    match private_directory().create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns whether the folder and the one around it are no links, and belong to this user or to whoever
/// the directory belongs to.
fn is_usable(directory: &Path) -> bool {
    let path = staging_folder(directory);
    let around = directory.join(STORE);
    [&around, &path].into_iter().all(|path| is_directory(path) && is_own(directory, path))
}

#[cfg(unix)]
fn is_own(directory: &Path, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(owner) = fs::symlink_metadata(path).map(|metadata| metadata.uid()) else { return false };
    owner == rustix::process::geteuid().as_raw()
        || fs::metadata(directory).is_ok_and(|metadata| metadata.uid() == owner)
}

/// The system keeps others out, by where the directory is.
#[cfg(not(unix))]
fn is_own(_: &Path, _: &Path) -> bool {
    true
}

/// Refuses a folder from which nothing can be renamed to `target`.
#[cfg(unix)]
pub(super) fn check_same_disk(directory: &Path, target: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let path = staging_folder(directory);
    if fs::symlink_metadata(&path)?.dev() == fs::metadata(target)?.dev() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} and {} are on different file systems, between which nothing can be renamed; use \
         another directory of files",
        path.display(),
        target.display()
    )))
}

/// Renaming shows it.
#[cfg(not(unix))]
pub(super) fn check_same_disk(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_there_as_long_as_something_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let made = make_file(home.path()).unwrap();
        remove_when_empty(home.path());
        assert!(made.path.exists());
        fs::remove_file(&made.path).unwrap();
        remove_when_empty(home.path());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn those_who_begin_and_those_who_leave_do_not_meet() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let made = make_file(home.path()).unwrap();
                        assert!(is_at(&made.file, &made.path));
                        fs::remove_file(&made.path).unwrap();
                        remove_when_empty(home.path());
                    }
                });
            }
        });
        remove_when_empty(home.path());
        assert!(!staging_folder(home.path()).exists());
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let foreign = staging_folder(home.path());
        fs::create_dir_all(&foreign).unwrap();
        let theirs = foreign.join(format!("{}.{PART}", "0".repeat(32)));
        fs::write(&theirs, "x").unwrap();
        let error = make_file(home.path()).unwrap_err().to_string();
        assert!(error.contains("is not a folder that dadl-mcp made"), "{error}");
        assert!(StagingFolder::alone(home.path()).is_none());
        remove_when_empty(home.path());
        assert!(theirs.exists());
        // An empty one is as good as none, and the one around it stays.
        fs::remove_file(&theirs).unwrap();
        let made = make_file(home.path()).unwrap();
        fs::remove_file(made.path).unwrap();
        remove_when_empty(home.path());
        assert!(!foreign.exists() && home.path().join(STORE).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_folder() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let made = make_file(elsewhere.path()).unwrap();
        for name in [STORE.to_owned(), format!("{STORE}/{WORKSHOP}")] {
            let (link, target) = (home.path().join(&name), elsewhere.path().join(&name));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&target, &link).unwrap();
            assert!(make_file(home.path()).is_err());
            assert!(StagingFolder::alone(home.path()).is_none());
            assert!(made.path.exists());
            fs::remove_file(&link).unwrap();
        }
    }
}
