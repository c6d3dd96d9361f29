//! Which files a host may read as resources.

use std::{path::PathBuf, time::UNIX_EPOCH};

use url::Url;

use super::{FileId, FileRecord, FileStore, REFERENCE, folder, media_type};

/// A file that a host may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadableFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What people call it.
    pub(crate) name: String,
    /// As it was stored or by its extension.
    pub(crate) content_type: String,
    /// In bytes.
    pub(crate) size: u64,
}

impl FileStore {
    /// Finds `dadl-file:ID`, and, where clients are on this machine, a `file://` URL below the
    /// directory of files. Query and fragment of a URL are no part of its path.
    pub(crate) async fn readable(&self, uri: &str) -> Option<ReadableFile> {
        if let Some(id) = uri.strip_prefix(REFERENCE) {
            let (record, path) = self.stored(&FileId::parse(id)?).await?;
            let FileRecord { name, content_type, size, .. } = record;
            return Some(ReadableFile { path, name, content_type, size });
        }
        if self.inner.published.get().is_some() {
            return None;
        }
        self.sweep().await;
        let path = Url::parse(uri).ok()?.to_file_path().ok()?;
        let directory = self.inner.directory.clone();
        let found = crate::spawn::blocking(move || {
            let path = path.canonicalize().ok()?;
            let below = path.strip_prefix(directory.canonicalize().ok()?).ok()?;
            let is_own = |part: &std::path::Path| part.to_string_lossy().starts_with('.');
            let is_hidden = below
                .ancestors()
                .filter_map(|part| part.file_name())
                .any(|part| is_own(part.as_ref()));
            (!is_hidden).then(|| readable_at(path)).flatten()
        });
        found.await.ok().flatten()
    }

    /// Finds a file that this server stored: by `dadl-file:ID` or the URL that it gave out, and where
    /// clients are on this machine by its name, its path or a `file://` URL. What others have put into the
    /// directory is none.
    pub(crate) async fn stored_text(&self, reference: &str) -> Option<ReadableFile> {
        if let Some(id) = self.id_of(reference) {
            let (record, path) = self.stored(&id).await?;
            let FileRecord { name, content_type, size, .. } = record;
            return Some(ReadableFile { path, name, content_type, size });
        }
        if self.published().is_some() || reference.contains('\0') {
            return None;
        }
        self.sweep().await;
        let path = match reference.strip_prefix("file://") {
            Some(_) => Url::parse(reference).ok()?.to_file_path().ok()?,
            None => PathBuf::from(reference),
        };
        let store = self.clone();
        let found = crate::spawn::blocking(move || {
            let directory = store.directory().canonicalize().ok()?;
            let path = directory.join(path).canonicalize().ok()?;
            let name = path.strip_prefix(&directory).ok()?.to_str()?;
            let record = store.state().record_of(name)?;
            record.is_at(&path).then_some(())?;
            let FileRecord { content_type, size, .. } = record;
            Some(ReadableFile { name: name.to_owned(), path, content_type, size })
        });
        found.await.ok().flatten()
    }

    /// Returns the newest files that can be read, where clients are on this machine; elsewhere who has
    /// the name of a file got it in a result. So did who saw a part of an answer: the whole of it is
    /// not listed.
    pub(crate) async fn listed(&self, most: usize) -> Vec<ReadableFile> {
        if self.inner.published.get().is_some() {
            return Vec::new();
        }
        self.sweep().await;
        let directory = self.inner.directory.clone();
        let spilled = self.state().index.spilled();
        let found = crate::spawn::blocking(move || {
            let directory = directory.canonicalize().unwrap_or(directory);
            let is_listed = |name: &String| !name.starts_with('.') && !spilled.contains(name);
            let names = folder::file_names(&directory).into_iter().filter(is_listed);
            let mut files: Vec<ReadableFile> =
                names.filter_map(|name| readable_at(directory.join(name))).collect();
            files.sort_by_cached_key(|file| {
                let metadata = std::fs::metadata(&file.path);
                let modified = metadata.and_then(|metadata| metadata.modified());
                std::cmp::Reverse(modified.unwrap_or(UNIX_EPOCH))
            });
            // A host that reads all that is listed fails at the first that it cannot.
            let readable = files.into_iter().filter(|file| std::fs::File::open(&file.path).is_ok());
            readable.take(most).collect()
        });
        found.await.unwrap_or_default()
    }

    /// Removes a stored file; says whether there was one.
    pub(crate) async fn remove(&self, id: &FileId) -> bool {
        self.sweep().await;
        let (store, id) = (self.clone(), id.clone());
        let removed =
            crate::spawn::blocking(move || store.state().index.remove(&store.inner.directory, &id));
        removed.await.unwrap_or_default()
    }
}

/// Ends the name of what is not whole: what other programs write, and this one did once.
const PART: &str = ".part";

/// Describes a regular file; `None` for what is not whole.
fn readable_at(path: PathBuf) -> Option<ReadableFile> {
    let metadata = std::fs::symlink_metadata(&path).ok()?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    let is_whole = metadata.is_file() && !name.ends_with(PART);
    is_whole.then(|| {
        let content_type = media_type::of_name(&name).to_owned();
        ReadableFile { path, name, content_type, size: metadata.len() }
    })
}
