//! The files beside a descriptor: fragments that it includes, and an OpenAPI document.
//!
//! A descriptor may come from somebody else, so that it reaches no file outside of its own folder,
//! whatever its paths and the links on them say.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use dadl_descriptor::{
    FolderError, FragmentFiles,
    source::{MAX_BYTES, SourceError, SourceText},
};
use dadl_openapi::SiblingFiles;
use sha2::{Digest as _, Sha256};

/// The folder of a descriptor; a clone knows what was read of it too.
#[derive(Debug, Clone, Default)]
pub struct DescriptorFolder {
    /// `None` for a descriptor inside the binary.
    path: Option<PathBuf>,
    /// The files that were read, with their digests.
    read: Arc<Mutex<Vec<(PathBuf, FileDigest)>>>,
}

/// The SHA-256 digest of a file.
pub(crate) type FileDigest = [u8; 32];

impl DescriptorFolder {
    /// Returns the folder of a descriptor that is in no folder.
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the folder that holds the file `descriptor`.
    pub fn beside(descriptor: &Path) -> Self {
        let parent = descriptor.parent().unwrap_or(Path::new(""));
        let path = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        Self { path: Some(path.to_owned()), ..Self::default() }
    }

    /// Reads the fragment at `path`.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub fn fragment(&self, path: &str) -> Result<SourceText, FolderError> {
        let (name, bytes) = self.read(path, MAX_BYTES)?;
        SourceText::from_bytes(name, bytes).map_err(|error| match error {
            SourceError::TooLarge { .. } => FolderError::TooLarge(MAX_BYTES),
            encoding @ SourceError::Encoding { .. } => FolderError::Encoding(encoding),
        })
    }

    /// Reads the file at `path`, but not much more than `limit` bytes, and returns it with the
    /// name that people know it by.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub(crate) fn read(&self, path: &str, limit: usize) -> Result<(String, Vec<u8>), FolderError> {
        let Some(folder) = &self.path else {
            return Err(FolderError::Bundled);
        };
        let relative = Path::new(path);
        let is_plain = relative
            .components()
            .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        // A backslash separates on Windows alone; a colon there names a drive or a stream.
        if path.is_empty() || !is_plain || path.contains(['\\', ':', '\0']) {
            return Err(FolderError::PathLeaves);
        }
        let file = folder.join(relative);
        let name = file.strip_prefix("./").unwrap_or(&file).display().to_string();
        let resolved = fs::canonicalize(&file).map_err(FolderError::Unreadable)?;
        if !resolved.starts_with(fs::canonicalize(folder).map_err(FolderError::Unreadable)?) {
            return Err(FolderError::LinkLeaves);
        }
        let bytes = read_bounded(&resolved, limit)?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.push((file, Sha256::digest(&bytes).into()));
        Ok((name, bytes))
    }

    /// Returns the files that were read so far, with their digests.
    pub(crate) fn files(&self) -> Vec<(PathBuf, FileDigest)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads a file, but not much more than `limit` bytes.
///
/// # Errors
///
/// It cannot be read, or is something else than a file.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, FolderError> {
    // Opening something else may wait for ever.
    if !fs::metadata(path).map_err(FolderError::Unreadable)?.is_file() {
        return Err(FolderError::NotAFile);
    }
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(FolderError::Unreadable)?;
    opened.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(FolderError::Unreadable)?;
    Ok(bytes)
}

impl FragmentFiles for DescriptorFolder {
    fn fragment(&mut self, path: &str) -> Result<SourceText, FolderError> {
        Self::fragment(self, path)
    }
}

/// The files beside an OpenAPI document, and below.
#[derive(Debug)]
pub(crate) struct BesideDocument {
    folder: DescriptorFolder,
    /// Where the document is in the folder, with a slash at the end.
    below: String,
    name: String,
}

impl BesideDocument {
    /// For the document at `path`.
    pub(crate) fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { folder: DescriptorFolder::beside(path), below: String::new(), name }
    }

    /// For the document at `path` in the folder of a descriptor, which nothing leaves.
    pub(crate) fn within(folder: &DescriptorFolder, path: &str) -> Self {
        let at = path.rfind('/').map_or(0, |at| at + 1);
        let (below, name) = path.split_at_checked(at).unwrap_or(("", path));
        Self { folder: folder.clone(), below: below.to_owned(), name: name.to_owned() }
    }
}

impl SiblingFiles for BesideDocument {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn bytes(&mut self, path: &str, limit: usize) -> Result<Vec<u8>, FolderError> {
        let (_, bytes) = self.folder.read(&format!("{}{path}", self.below), limit)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir_all(inner.join("common")).unwrap();
        fs::write(home.path().join("secret.yaml"), "outside").unwrap();
        fs::write(inner.join("common/a.yaml"), "a: 1").unwrap();
        let folder = DescriptorFolder::beside(&inner.join("x.dadl"));
        assert_eq!(folder.fragment("common/a.yaml").unwrap().text(), "a: 1");
        assert_eq!(folder.fragment("./common/a.yaml").unwrap().text(), "a: 1");
        let absolute = inner.join("common/a.yaml").display().to_string();
        for path in ["", "../secret.yaml", "common/../../secret.yaml", "c:x", &absolute] {
            let error = folder.fragment(path).unwrap_err();
            assert_eq!(error.to_string(), "the path leaves the folder of the descriptor", "{path}");
        }
        assert!(folder.fragment("missing.yaml").is_err());
        assert_eq!(folder.fragment("common").unwrap_err().to_string(), "it is not a file");
        assert!(DescriptorFolder::none().fragment("a.yaml").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn follows_links_inside_only() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(home.path().join("secret.yaml"), "outside").unwrap();
        fs::write(inner.join("a.yaml"), "a: 1").unwrap();
        std::os::unix::fs::symlink("../secret.yaml", inner.join("out.yaml")).unwrap();
        std::os::unix::fs::symlink("a.yaml", inner.join("in.yaml")).unwrap();
        let folder = DescriptorFolder::beside(&inner.join("x.dadl"));
        assert_eq!(folder.fragment("in.yaml").unwrap().text(), "a: 1");
        let error = folder.fragment("out.yaml").unwrap_err();
        assert_eq!(error.to_string(), "a link leads out of the folder of the descriptor");
    }
}
