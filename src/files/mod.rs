//! The directory of files: where binary answers are saved and uploads are read from.
//!
//! Nothing outside the directory is read or written: a reference is resolved, links included,
//! and must lie below it. A download is written to a `.part` file and renamed when it is whole;
//! one that is cut off, or whose call is cancelled, leaves nothing behind.

mod media_type;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use crate::outcome::{Observer, Progress, SavedFile};

/// Bytes are written in pieces of this size.
const WRITE_BUFFER: usize = 256 * 1024;
/// Progress is told after this many bytes.
const PROGRESS_STEP: u64 = 4 * 1024 * 1024;
/// Longer names are cut; every file system takes this many bytes.
const LONGEST_NAME: usize = 120;

/// The directory of files.
#[derive(Debug, Clone)]
pub struct FileStore {
    directory: PathBuf,
}

/// Why a file could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FileError {
    /// The backend or the network: the answer ended early.
    #[error("the download ended after {received} bytes: {reason}; nothing was kept")]
    Interrupted {
        /// How many bytes had come.
        received: u64,
        /// What happened.
        reason: String,
    },
    /// The operator: the directory or the disk.
    #[error("cannot {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The system or the network: a file broke off while it was sent.
    #[error("file \"{name}\" broke off while it was sent: {reason}")]
    Broken {
        /// The name of the file.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The caller: the reference names nothing that may be sent.
    #[error("file \"{reference}\" {reason}; put it below {directory} and give its name")]
    Reference {
        /// What the caller wrote.
        reference: String,
        /// Why it cannot be sent.
        reason: String,
        /// The directory of files.
        directory: String,
    },
}

/// A file that is about to be sent.
pub(crate) struct Upload {
    /// The last part of its name.
    pub(crate) name: String,
    /// As it was stored or by its extension.
    pub(crate) content_type: String,
    /// In bytes, when known before it is read.
    pub(crate) size: Option<u64>,
    /// Its bytes.
    pub(crate) stream: ByteStream,
}

/// The bytes of a file or of a body.
pub(crate) type ByteStream = BoxStream<'static, io::Result<Bytes>>;

impl FileError {
    /// Names a file whose bytes broke off.
    pub(crate) fn broken(name: &str, error: &io::Error) -> Self {
        Self::Broken { name: name.to_owned(), reason: error.to_string() }
    }
}

/// Removes an unfinished download when it is dropped.
struct PartFile {
    path: PathBuf,
    keep: bool,
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: the file may be gone already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl FileStore {
    /// Uses `directory`, which is created when the first file needs it.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the file that a caller named, for sending.
    pub(crate) async fn open(&self, reference: &str) -> Result<Upload, FileError> {
        let fail = |reason: &str| FileError::Reference {
            reference: reference.to_owned(),
            reason: reason.to_owned(),
            directory: self.directory.display().to_string(),
        };
        if reference.starts_with("http://") || reference.starts_with("https://") {
            return Err(fail("is a URL, which this version does not fetch"));
        }
        let name = reference.strip_prefix("file://").unwrap_or(reference);
        if name.is_empty() || name.contains('\0') {
            return Err(fail("is no file name"));
        }
        let directory = tokio::fs::canonicalize(&self.directory)
            .await
            .map_err(|_| fail("was not found, nor was the directory"))?;
        let path = tokio::fs::canonicalize(directory.join(name))
            .await
            .map_err(|error| fail(&format!("cannot be read ({})", error.kind())))?;
        if !path.starts_with(&directory) {
            return Err(fail("lies outside the directory of files"));
        }
        let io = |error: io::Error| fail(&format!("cannot be read ({})", error.kind()));
        // Opening a pipe would wait for somebody to write into it.
        if !tokio::fs::metadata(&path).await.map_err(io)?.is_file() {
            return Err(fail("is no regular file"));
        }
        let file = tokio::fs::File::open(&path).await.map_err(io)?;
        let size = file.metadata().await.map_err(io)?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content_type = media_type::of_name(&name).to_owned();
        // A file that grows meanwhile must not outgrow the length that was announced.
        let stream = ReaderStream::with_capacity(file.take(size), WRITE_BUFFER).boxed();
        Ok(Upload { name, content_type, size: Some(size), stream })
    }

    /// Saves `body` under a name like `name`; waits at most `idle` for each piece.
    pub(crate) async fn save<E: std::error::Error>(
        &self,
        name: &str,
        content_type: &str,
        total: Option<u64>,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        idle: Duration,
        observer: &dyn Observer,
    ) -> Result<SavedFile, FileError> {
        let (file, mut part, path) = self.create(&safe_name(name)).await?;
        let io = |error: io::Error| io_error("write", &part_path(&path), &error);
        let mut writer = tokio::io::BufWriter::with_capacity(WRITE_BUFFER, file);
        let mut digest = Sha256::new();
        let mut received = 0_u64;
        let mut told = 0_u64;
        loop {
            let interrupted = |reason: String| FileError::Interrupted { received, reason };
            let piece = tokio::time::timeout(idle, body.next())
                .await
                .map_err(|_| interrupted(format!("no data for {} s", idle.as_secs_f32())))?;
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| interrupted(crate::outcome::chain(&error)))?;
            digest.update(&piece);
            writer.write_all(&piece).await.map_err(io)?;
            received += piece.len() as u64;
            if received - told >= PROGRESS_STEP {
                told = received;
                let message = format!("saved {received} bytes");
                observer.progress(Progress { done: received, total, message });
            }
        }
        if let Some(total) = total.filter(|total| *total != received) {
            let reason = format!("the backend had announced {total}");
            return Err(FileError::Interrupted { received, reason });
        }
        writer.flush().await.map_err(io)?;
        tokio::fs::rename(&part.path, &path)
            .await
            .map_err(|error| io_error("rename", &part.path, &error))?;
        part.keep = true;
        let message = format!("saved {received} bytes");
        observer.progress(Progress { done: received, total: Some(received), message });
        Ok(SavedFile {
            path,
            size: received,
            content_type: content_type.to_owned(),
            sha256: hexadecimal(&digest.finalize()),
        })
    }

    /// Creates the first free file among `name`, `name-2`, ..
    async fn create(&self, name: &str) -> Result<(tokio::fs::File, PartFile, PathBuf), FileError> {
        let mut builder = tokio::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        builder
            .create(&self.directory)
            .await
            .map_err(|error| io_error("create", &self.directory, &error))?;
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let (stem, extension) = split_extension(name);
        for number in 1_u32.. {
            let candidate = match number {
                1 => name.to_owned(),
                _ => format!("{stem}-{number}{extension}"),
            };
            let path = self.directory.join(candidate);
            let part_path = part_path(&path);
            if tokio::fs::try_exists(&path).await.unwrap_or(true) {
                continue;
            }
            match options.open(&part_path).await {
                Ok(file) => return Ok((file, PartFile { path: part_path, keep: false }, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("create", &part_path, &error)),
            }
        }
        let exhausted = io::Error::other("every name is taken");
        Err(io_error("create", &self.directory, &exhausted))
    }
}

fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn io_error(action: &'static str, path: &Path, error: &io::Error) -> FileError {
    FileError::Io { action, path: path.display().to_string(), reason: error.to_string() }
}

/// Makes a file name of what a backend or a path gave: no separators, no leading dot.
fn safe_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => character,
            _ => '_',
        })
        .collect();
    let trimmed = safe.trim_matches(['.', '_', '-']);
    let (stem, extension) = split_extension(trimmed);
    let extension = extension.get(..extension.len().min(16)).unwrap_or_default();
    let stem = stem.get(..stem.len().min(LONGEST_NAME - extension.len())).unwrap_or_default();
    if stem.is_empty() { format!("file{extension}") } else { format!("{stem}{extension}") }
}

/// Splits `a.tar` into `a` and `.tar`.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 => name.split_at(at),
        _ => (name, ""),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn pieces(texts: &[&'static str]) -> impl Stream<Item = Result<Bytes, io::Error>> + Unpin {
        let pieces: Vec<_> =
            texts.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect();
        stream::iter(pieces)
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        assert_eq!(safe_name("../../etc/passwd"), "etc_passwd");
        assert_eq!(safe_name(".."), "file");
        assert_eq!(safe_name("disk 1.vhd"), "disk_1.vhd");
        assert_eq!(safe_name(&"x".repeat(500)).len(), LONGEST_NAME);
        assert_eq!(safe_name("é1.xva"), "1.xva");
    }

    #[tokio::test]
    async fn saves_whole_files_under_free_names() {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path().join("files"));
        for _ in 0..2 {
            let body = pieces(&["hel", "lo"]);
            let saved = store.save("a.bin", "x/y", Some(5), body, IDLE, &()).await.unwrap();
            assert_eq!(saved.size, 5);
            assert_eq!(
                saved.sha256,
                "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
            );
            assert_eq!(std::fs::read(&saved.path).unwrap(), b"hello");
        }
        assert_eq!(names(store.directory()), ["a-2.bin", "a.bin"]);
    }

    #[tokio::test]
    async fn keeps_nothing_of_a_download_that_ends_early() {
        let home = tempfile::tempdir().unwrap();
        let store = FileStore::new(home.path().to_owned());
        let body = pieces(&["hel"]);
        let error = store.save("a.bin", "x/y", Some(5), body, IDLE, &()).await.unwrap_err();
        assert!(error.to_string().contains("ended after 3 bytes"), "{error}");
        let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(io::Error::other("gone"))]);
        store.save("a.bin", "x/y", None, broken, IDLE, &()).await.unwrap_err();
        assert!(names(home.path()).is_empty());
    }

    #[tokio::test]
    async fn sends_files_below_the_directory_only() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("outside"), "x").unwrap();
        let store = FileStore::new(home.path().join("files"));
        std::fs::create_dir(store.directory()).unwrap();
        std::fs::write(store.directory().join("disk.raw"), "abc").unwrap();
        assert_eq!(store.open("disk.raw").await.ok().unwrap().size, Some(3));
        let outside = home.path().join("outside").display().to_string();
        for reference in ["../outside", &outside, "missing", "", "https://h/x", "."] {
            let error = store.open(reference).await.err().unwrap();
            assert!(matches!(error, FileError::Reference { .. }), "{reference}: {error}");
        }
    }
}
