//! A file that is not whole yet, and goes unless somebody keeps it.

use std::path::{Path, PathBuf};

use super::staging;

/// Removes an unfinished file when it is dropped, and its folder when that is empty.
#[derive(Debug)]
pub(super) struct PartFile {
    directory: PathBuf,
    pub(super) path: PathBuf,
    pub(super) keep: bool,
}

impl PartFile {
    pub(super) fn new(directory: &Path, path: PathBuf) -> Self {
        Self { directory: directory.to_owned(), path, keep: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file where it is, or where it was moved to.
    pub(super) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: the file may be gone already.
            let _ = std::fs::remove_file(&self.path);
        }
        staging::remove_when_empty(&self.directory);
    }
}
