//! The directory of files: where binary answers are saved and uploads are read from.
//!
//! Nothing outside the directory is read or written, unless the operator names it: a reference is
//! resolved, links included, and must lie below it. A file is written in a private folder and renamed
//! when it is whole, to a name that nobody has; one that is cut off, or whose call is cancelled, leaves
//! nothing behind. What others put into the directory is never replaced and never removed.
//!
//! On stdio and on the command line a file is saved under a name that people can read, and stays.
//! Behind an HTTP server it is saved under an id that cannot be guessed, has a URL, expires,
//! and counts against quotas.

mod candidate_names;
mod error;
pub(crate) mod exclusive_name;
mod expiry;
mod folder;
mod index;
mod inline;
mod media_type;
mod naming;
mod part_file;
mod readable;
mod record;
mod remote;
mod saving;
mod sealed;
mod space;
mod sparse;
mod staging;
mod time;
mod unfinished;

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use dadl_text::text::text_head;
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use url::Url;

use self::{
    error::io_error, index::FileIndex, record::STORE, remote::FetchRules, time::Timekeeper,
};
pub(crate) use self::{
    error::{FetchClientError, FileError, ReferenceError},
    inline::InlineFile,
    media_type::{extension_of, of_name as media_type_of},
    readable::ReadableFile,
    record::{FileId, FileRecord},
    saving::FileSaving,
    space::SpaceGauge,
    time::SystemClock,
    unfinished::{RequestFingerprint, UnfinishedFile},
};
pub use self::{
    remote::{HostResolver, SystemResolver},
    space::DiskSpace,
};
pub(crate) use crate::call::handle::REFERENCE;
use crate::{
    config::{FileHosts, FileSettings},
    shares::{ClientKey, FairQueue},
};

/// Bytes are read in pieces of this size.
const READ_BUFFER: usize = 256 * 1024;
/// So many files that stay are remembered.
const MOST_REMEMBERED: usize = 1000;
/// So much of a reference is repeated in an error.
const LONGEST_REFERENCE: usize = 200;
/// Longer text is the name of no file.
const LONGEST_NAME: usize = 1024;
/// The path of stored files on an HTTP server.
pub(crate) const FILES_PATH: &str = "/files";

/// The directory of files; a clone is the same one.
#[derive(Clone)]
pub struct FileStore {
    inner: Arc<StoreInner>,
    /// From where files are fetched for one backend, where the operator says so.
    of_backend: Option<Arc<FileHosts>>,
}

struct StoreInner {
    directory: PathBuf,
    settings: FileSettings,
    time: Timekeeper,
    resolver: Arc<dyn HostResolver>,
    gauge: SpaceGauge,
    /// What goes before the path of a stored file, once an HTTP server has it to give.
    published: OnceLock<String>,
    /// What fetches files, by what is said of a backend.
    clients: Mutex<HashMap<FileHosts, Result<reqwest::Client, FetchClientError>>>,
    state: Mutex<StoreState>,
    /// Batches on their way to the disk.
    writes: FairQueue,
}

#[derive(Default)]
struct StoreState {
    index: FileIndex,
    /// Files that are being written, and their bytes so far.
    unfinished: u64,
    unfinished_bytes: u64,
    /// What was announced and has not come yet.
    awaited_bytes: u64,
    /// The unfinished files of each host.
    of_hosts: HashMap<String, FileUsage>,
    /// Of files that stay, and have no record on the disk: what this process saved last.
    staying: VecDeque<FileRecord>,
}

/// What files take: how many there are, and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct FileUsage {
    files: u64,
    bytes: u64,
}

impl StoreState {
    /// Returns what a host has here, finished or not.
    fn usage_of(&self, host: &str) -> FileUsage {
        let (files, bytes) = self.index.usage_of(host);
        let unfinished = self.of_hosts.get(host).copied().unwrap_or_default();
        FileUsage { files: files + unfinished.files, bytes: bytes + unfinished.bytes }
    }

    /// Remembers a file that has no record on the disk.
    fn remember(&mut self, record: FileRecord) {
        if self.staying.len() >= MOST_REMEMBERED {
            self.staying.pop_front();
        }
        self.staying.push_back(record);
    }

    /// Returns what is known of the file that this server saved under a name.
    fn record_of(&self, name: &str) -> Option<FileRecord> {
        let staying = self.staying.iter().rev();
        let found = staying.chain(self.index.all()).find(|it| it.file.as_deref() == Some(name));
        found.cloned()
    }
}

/// A file that is about to be sent.
pub(crate) struct FileUpload {
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

/// How many batches are written at once: the disk is busy with them, and who waits for a turn of
/// its own is not far from it.
fn at_once() -> usize {
    2 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Why a file is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SavePurpose {
    /// It is what somebody asked for.
    Kept,
    /// It is the whole of an answer that was shown in part: who saw the part has its name, and it is
    /// not listed.
    Spilled,
    /// A client sends it, so that `max_upload_size` counts.
    Upload,
}

/// A file that is about to be saved.
pub(crate) struct IncomingFile<'a> {
    /// What it should be called.
    pub(crate) name: &'a str,
    /// What it holds.
    pub(crate) content_type: &'a str,
    /// How many bytes were announced.
    pub(crate) total: Option<u64>,
    /// How long to keep it; the default counts where nobody says.
    pub(crate) ttl: Option<Duration>,
    /// How long to wait for each piece.
    pub(crate) idle: Duration,
    /// Why it is saved.
    pub(crate) purpose: SavePurpose,
    /// For whom it is saved: it counts as theirs for as long as it is kept.
    pub(crate) client: &'a ClientKey,
}

impl fmt::Debug for FileStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("FileStore").field(&self.inner.directory).finish()
    }
}

impl FileStore {
    /// Uses `directory`, which is created when the first file needs it, with the default settings.
    pub fn new(directory: PathBuf) -> Self {
        Self::with_settings(directory, FileSettings::default())
    }

    /// Uses `directory` as `settings` say.
    pub fn with_settings(directory: PathBuf, settings: FileSettings) -> Self {
        Self::with_time(directory, settings, Timekeeper::of_system(), Arc::new(SystemResolver))
    }

    /// The same with another clock, by which files grow old, and another resolver.
    pub fn with_parts(
        directory: PathBuf,
        settings: FileSettings,
        clock: SystemClock,
        resolver: Arc<dyn HostResolver>,
    ) -> Self {
        Self::with_time(directory, settings, Timekeeper::of_clock(clock), resolver)
    }

    fn with_time(
        directory: PathBuf,
        settings: FileSettings,
        time: Timekeeper,
        resolver: Arc<dyn HostResolver>,
    ) -> Self {
        let (published, clients, state) = Default::default();
        let gauge: SpaceGauge = Arc::new(space::disk_space);
        let writes = FairQueue::new(at_once(), usize::MAX);
        let inner = StoreInner {
            directory,
            settings,
            time,
            resolver,
            gauge,
            published,
            clients,
            state,
            writes,
        };
        Self { inner: Arc::new(inner), of_backend: None }
    }

    /// The same files for the calls of a backend, for which more may be fetched.
    #[must_use]
    pub(crate) fn of_backend(&self, hosts: &FileHosts) -> Self {
        let of_backend = (!hosts.hosts.is_empty()).then(|| Arc::new(hosts.clone()));
        Self { of_backend, ..self.clone() }
    }

    /// Measures the disk with `gauge`; a store that is shared already keeps its own.
    #[must_use]
    pub fn with_gauge(mut self, gauge: SpaceGauge) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.gauge = gauge;
        }
        self
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Saves files under ids from now on, for an HTTP server that gives them out.
    pub fn publish(&self) {
        let base = self.inner.settings.public_url.clone().unwrap_or_default();
        self.inner.published.get_or_init(|| base);
    }

    /// Removes what has expired, and the first time what a killed process left over.
    pub async fn sweep(&self) {
        let store = self.clone();
        // The task ends early only when the process does.
        let _ = crate::spawn::blocking(move || store.refresh()).await;
    }

    /// Returns a stored file and where its bytes are.
    pub(crate) async fn stored(&self, id: &FileId) -> Option<(FileRecord, PathBuf)> {
        self.sweep().await;
        let record = self.state().index.get(id)?.clone();
        let path = record.path(&self.inner.directory, id);
        Some((record, path))
    }

    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self) {
        let now = self.inner.time.now();
        self.state().index.refresh(&self.inner.directory, &now);
    }

    /// Returns what goes before the path of a stored file, where an HTTP server gives them out.
    fn published(&self) -> Option<&str> {
        self.inner.published.get().map(String::as_str)
    }

    /// Returns whether files count against a quota.
    fn is_limited(&self) -> bool {
        self.limits() != (None, None)
    }

    /// Measures the disk of the directory, or of the nearest one above that is there.
    fn space(&self) -> Option<DiskSpace> {
        let mut above = self.inner.directory.ancestors();
        above
            .find(|directory| directory.exists())
            .and_then(|directory| (self.inner.gauge)(directory))
    }

    /// Returns the bounds of the number of files and of their bytes.
    fn limits(&self) -> (Option<u64>, Option<u64>) {
        let FileSettings { max_files, max_total_bytes, .. } = self.inner.settings;
        let default = |bound| self.inner.published.get().map(|_| bound);
        (
            max_files.or_else(|| default(FileSettings::HTTP_FILES)),
            max_total_bytes.or_else(|| default(FileSettings::HTTP_TOTAL_BYTES)),
        )
    }

    /// Opens the file that a caller named, for sending.
    pub(crate) async fn open(&self, reference: &str) -> Result<FileUpload, FileError> {
        let stored = match self.id_of(reference) {
            Some(id) => self.stored(&id).await.map(Some).ok_or(()),
            None if reference.starts_with(REFERENCE) => Err(()),
            None => Ok(None),
        };
        let scheme = reference.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let opened = match (stored, scheme.as_deref()) {
            (Ok(Some((record, path))), _) => open_stored(record, &path).await,
            // A path of this kind may be another server's.
            (_, Some("https")) if !self.is_own(reference) => self.fetch(reference).await,
            (Err(()), _) | (_, Some("https")) => Err(ReferenceError::Gone),
            (_, Some("http")) => Err(ReferenceError::Unencrypted),
            _ => self.open_local(reference).await,
        };
        opened.map_err(|reason| FileError::Reference {
            reference: text_head(reference, LONGEST_REFERENCE).to_owned(),
            reason,
            advice: self.advice(),
        })
    }

    /// Returns whether text is the name of a file of the directory, and of no other place: what is
    /// only text names nothing by a path, a URL or a link that leads elsewhere.
    pub(crate) async fn has(&self, name: &str) -> bool {
        let is_name = (1..=LONGEST_NAME).contains(&name.len())
            && !name.contains(char::is_control)
            && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_name {
            return false;
        }
        let Ok(directory) = tokio::fs::canonicalize(&self.inner.directory).await else {
            return false;
        };
        let Ok(path) = tokio::fs::canonicalize(directory.join(name)).await else { return false };
        path.starts_with(&directory)
            && !path.starts_with(directory.join(STORE))
            && tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_file())
    }

    /// Returns whether a URL is below the one under which this server is known.
    fn is_own(&self, reference: &str) -> bool {
        let base = self.inner.published.get().filter(|base| !base.is_empty());
        let files = base.map(|base| format!("{base}{FILES_PATH}/"));
        files.is_some_and(|files| reference.starts_with(&files))
    }

    /// Says where files are looked for; the clients of a server do not know its directories.
    fn advice(&self) -> String {
        if self.inner.published.get().is_some() {
            return format!(
                "upload it with PUT to {FILES_PATH}, and give the `file` of the answer"
            );
        }
        format!("put it below {} and give its name", self.inner.directory.display())
    }

    /// Returns the id in `dadl-file:ID`, and in a URL or path that this server gave out.
    fn id_of(&self, reference: &str) -> Option<FileId> {
        if let Some(id) = reference.strip_prefix(REFERENCE) {
            return FileId::parse(id);
        }
        self.inner.published.get()?;
        let (before, id) = reference.rsplit_once('/')?;
        before.ends_with(FILES_PATH).then(|| FileId::parse(id)).flatten()
    }

    async fn fetch(&self, reference: &str) -> Result<FileUpload, ReferenceError> {
        let StoreInner { settings, resolver, clients, .. } = &*self.inner;
        let of_backend = self.of_backend.as_deref().cloned().unwrap_or_default();
        let rules = FetchRules { settings, of_backend: &of_backend };
        let client = {
            let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
            let client = clients
                .entry(of_backend.clone())
                .or_insert_with(|| remote::build_client(rules, Arc::clone(resolver)));
            client.clone()?
        };
        remote::open_upload(&client, rules, reference).await
    }

    /// Opens a file on this machine.
    async fn open_local(&self, reference: &str) -> Result<FileUpload, ReferenceError> {
        self.sweep().await;
        let file_url = reference.strip_prefix("file://");
        let name = match file_url.map(|rest| (rest, Url::parse(reference))) {
            // `file://name` is no proper URL, but what is meant is clear.
            Some((rest, url)) => match url.ok().and_then(|url| url.to_file_path().ok()) {
                Some(path) => path,
                None => PathBuf::from(rest),
            },
            None => PathBuf::from(reference),
        };
        if name.as_os_str().is_empty() || reference.contains('\0') {
            return Err(ReferenceError::NoName);
        }
        let directory = tokio::fs::canonicalize(&self.inner.directory).await;
        let path = match &directory {
            Ok(directory) => directory.join(name),
            Err(_) if name.is_absolute() => name,
            Err(_) => return Err(ReferenceError::NotFound),
        };
        let path = tokio::fs::canonicalize(path)
            .await
            .map_err(|error| ReferenceError::Unreadable(error.kind()))?;
        if !self.is_allowed(&path, directory.as_deref().ok()).await {
            return Err(ReferenceError::Outside);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content_type = media_type::of_name(&name).to_owned();
        open_file(&path, name, content_type).await
    }

    /// Returns whether a resolved path is below the directory, or below one that the operator
    /// names. Stored files have their ids, which a path would go around, and unfinished ones nobody
    /// reads.
    async fn is_allowed(&self, path: &Path, directory: Option<&Path>) -> bool {
        let is_in =
            |name: &str| directory.is_some_and(|directory| path.starts_with(directory.join(name)));
        if is_in(STORE) || is_in(sealed::PRIVATE) {
            return false;
        }
        if directory.is_some_and(|directory| path.starts_with(directory)) {
            return true;
        }
        for allowed in &self.inner.settings.allow_directories {
            let allowed = tokio::fs::canonicalize(allowed).await;
            if allowed.is_ok_and(|allowed| path.starts_with(allowed)) {
                return true;
            }
        }
        false
    }
}

/// Creates a directory that only this user can read.
fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

async fn open_stored(record: FileRecord, path: &Path) -> Result<FileUpload, ReferenceError> {
    open_file(path, record.name, record.content_type).await
}

async fn open_file(
    path: &Path,
    name: String,
    content_type: String,
) -> Result<FileUpload, ReferenceError> {
    let fail = |error: io::Error| ReferenceError::Unreadable(error.kind());
    // Opening a pipe would wait for somebody to write into it.
    if !tokio::fs::metadata(path).await.map_err(fail)?.is_file() {
        return Err(ReferenceError::NoRegularFile);
    }
    let file = tokio::fs::File::open(path).await.map_err(fail)?;
    let size = file.metadata().await.map_err(fail)?.len();
    // A file that grows meanwhile must not outgrow the length that was announced.
    let stream = ReaderStream::with_capacity(file.take(size), READ_BUFFER).boxed();
    Ok(FileUpload { name, content_type, size: Some(size), stream })
}

#[cfg(test)]
mod tests;
