//! A file on its way from the network to the disk.
//!
//! Pieces are gathered into batches; each is hashed and written on a thread where blocking is
//! allowed, while the next one arrives. So a file of any size costs the memory of a few batches, and
//! network, hash and disk work side by side.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::{
    FILES_PATH, FileError, FileStore, Incoming, READ_BUFFER, REFERENCE, STORE, create_free,
    create_private, display_name, hexadecimal,
    index::{self, Id, Record},
    io_error, safe_name, space,
    sparse::SparseFile,
    time,
    unfinished::{self, Fingerprint, Leftover, Mark},
};
use crate::{
    config::FileSettings,
    outcome::{
        Observer, SavedFile,
        transfer::{Direction, Meter},
    },
};

/// Bytes are hashed and written in batches of about this size.
const BATCH: usize = 1024 * 1024;
/// What a slow server has sent is written after this time, so that it survives this process.
const LINGER: Duration = Duration::from_millis(100);

/// Removes an unfinished file when it is dropped.
#[derive(Debug)]
pub(super) struct PartFile {
    path: PathBuf,
    keep: bool,
}

impl PartFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, keep: false }
    }

    /// Gives the file its name; from now on it stays.
    fn rename(mut self, path: &Path) -> Result<(), FileError> {
        std::fs::rename(&self.path, path)
            .map_err(|error| io_error("rename", &self.path, &error))?;
        self.keep = true;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.keep {
            // Best effort: the file may be gone already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The room that an unfinished file takes.
struct Room {
    store: FileStore,
    /// What counts against the quota: what is there, or what was announced if that is more.
    bytes: u64,
    /// What was announced and is not there yet.
    awaited: u64,
}

impl Room {
    /// Takes room for a file of which nothing is there yet.
    fn take(store: &FileStore, total: Option<u64>) -> Result<Self, FileError> {
        let (files, bytes) = store.limits();
        let space = store.space();
        let mut state = store.state();
        let (stored, stored_bytes) = state.index.usage();
        if let Some(limit) = files.filter(|limit| stored + state.unfinished >= *limit) {
            return Err(FileError::Quota { setting: "max_files", limit });
        }
        let announced = total.unwrap_or_default();
        let expected = stored_bytes.saturating_add(state.unfinished_bytes);
        if let Some(limit) = bytes.filter(|limit| expected.saturating_add(announced) > *limit) {
            return Err(FileError::Quota { setting: "max_total_size", limit });
        }
        space::check(space, announced, &state)?;
        state.unfinished += 1;
        state.unfinished_bytes += announced;
        state.awaited_bytes += announced;
        drop(state);
        Ok(Self { store: store.clone(), bytes: announced, awaited: announced })
    }

    /// Counts bytes that came, of which there are `received` now.
    fn grow(&mut self, came: u64, received: u64) -> Result<(), FileError> {
        let limit = self.store.limits().1;
        let more = received.saturating_sub(self.bytes);
        let mut state = self.store.state();
        let (_, stored) = state.index.usage();
        let expected = stored.saturating_add(state.unfinished_bytes).saturating_add(more);
        if let Some(limit) = limit.filter(|limit| more > 0 && expected > *limit) {
            return Err(FileError::Quota { setting: "max_total_size", limit });
        }
        let arrived = came.min(self.awaited);
        state.unfinished_bytes += more;
        state.awaited_bytes -= arrived;
        self.bytes += more;
        self.awaited -= arrived;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = self.store.state();
        state.unfinished -= 1;
        state.unfinished_bytes -= self.bytes;
        state.awaited_bytes -= self.awaited;
    }
}

/// A file that is being saved. Dropping it removes what is there.
pub(crate) struct Saving {
    store: FileStore,
    room: Room,
    id: Id,
    name: String,
    content_type: String,
    ttl: Option<Duration>,
    idle: Duration,
    total: Option<u64>,
    is_upload: bool,
    received: u64,
    /// What is being written; `None` after a failure.
    writer: Option<Writer>,
    /// Before the file, so that nobody sees the one without the other.
    mark: Option<Mark>,
    part: PartFile,
    /// What it will be called.
    path: PathBuf,
    resume: Option<(Fingerprint, String)>,
}

/// Where the bytes go: idle, or at work on another thread.
enum Writer {
    Idle(SparseFile),
    Busy(JoinHandle<Result<SparseFile, FileError>>),
}

impl FileStore {
    /// Makes a file for what is about to come. A file that cannot fit is refused here.
    pub(crate) async fn begin(&self, incoming: Incoming<'_>) -> Result<Saving, FileError> {
        let most = self.inner.settings.max_upload_bytes;
        if incoming.is_upload && incoming.total.is_some_and(|total| total > most) {
            return Err(FileError::Quota { setting: "max_upload_size", limit: most });
        }
        self.sweep().await;
        let room = Room::take(self, incoming.total)?;
        let id = Id::random();
        let (file, part, path) = match self.inner.published.get() {
            Some(_) => self.create(STORE, id.as_str()).await?,
            None => self.create("", &safe_name(incoming.name)).await?,
        };
        let writer = Writer::Idle(SparseFile::new(file, Sha256::new()));
        Ok(Saving::new(self, room, id, incoming, writer, part, path))
    }

    /// Finds what another process, or a call that failed, left of this request.
    pub(crate) async fn leftover(&self, request: &Fingerprint) -> Option<Leftover> {
        self.sweep().await;
        let (store, request) = (self.clone(), request.clone());
        let found = tokio::task::spawn_blocking(move || {
            let in_store = store.inner.published.get().is_some();
            unfinished::take(&store.inner.directory, &request, in_store)
        });
        found.await.ok().flatten()
    }

    /// Goes on with what is there of a file, after its first bytes have been read once more: they
    /// are part of the digest.
    pub(crate) async fn resume(
        &self,
        incoming: Incoming<'_>,
        leftover: Leftover,
        observer: &dyn Observer,
    ) -> Result<Saving, FileError> {
        let offset = leftover.offset();
        let Leftover { file, part, mut mark, .. } = leftover;
        let rest = incoming.total.map(|total| total.saturating_sub(offset));
        let mut room = Room::take(self, rest)?;
        // What is there counts as well.
        room.grow(0, rest.unwrap_or_default().saturating_add(offset))?;
        let path = part.with_extension("");
        let id = path.file_name().and_then(|name| Id::parse(name.to_str()?));
        let id = id.unwrap_or_else(Id::random);
        let mut part = PartFile::new(part);
        // Until it is read, it stays as it is for the next call.
        part.keep = true;
        let fail = |error: io::Error| io_error("read", &path, &error);
        let (mut file, mut digest, mut read) = (file, Sha256::new(), 0);
        let mut meter = Meter::new(Direction::Saved, 0);
        while read < offset {
            let length = (offset - read).min(16 * BATCH as u64);
            let done = tokio::task::spawn_blocking(move || {
                file.seek(SeekFrom::Start(read))?;
                let mut buffer = vec![0; READ_BUFFER];
                let mut left = length;
                while left > 0 {
                    let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let piece = buffer.get_mut(..most).unwrap_or_default();
                    file.read_exact(piece)?;
                    digest.update(&piece);
                    left -= piece.len() as u64;
                }
                io::Result::Ok((file, digest))
            });
            let done = done.await.map_err(io::Error::other).and_then(|done| done);
            (file, digest) = done.map_err(fail)?;
            read += length;
            if let Some(transfer) = meter.tick(read, incoming.total) {
                observer.transfer(transfer);
            }
        }
        file.set_len(offset).and_then(|()| file.seek(SeekFrom::Start(offset))).map_err(fail)?;
        part.keep = false;
        mark.keep(false);
        let writer = Writer::Idle(SparseFile::new(file, digest));
        let mut saving = Saving::new(self, room, id, incoming, writer, part, path);
        saving.received = offset;
        saving.mark = Some(mark);
        Ok(saving)
    }

    /// Saves `body`.
    pub(crate) async fn save<E: std::error::Error>(
        &self,
        incoming: Incoming<'_>,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        observer: &dyn Observer,
    ) -> Result<SavedFile, FileError> {
        let mut saving = self.begin(incoming).await?;
        saving.receive(body, observer).await?;
        saving.finish(observer).await
    }

    /// Creates the first free file among `name`, `name-2`, .. below the directory.
    async fn create(
        &self,
        below: &str,
        name: &str,
    ) -> Result<(File, PartFile, PathBuf), FileError> {
        let directory = self.inner.directory.join(below);
        let name = name.to_owned();
        // A caller that goes away before the file is open leaves it to be removed by the task.
        let created = tokio::task::spawn_blocking(move || create_free(&directory, &name)).await;
        created.unwrap_or_else(|error| {
            Err(io_error("create", &self.inner.directory, &io::Error::other(error)))
        })
    }
}

impl Saving {
    fn new(
        store: &FileStore,
        room: Room,
        id: Id,
        incoming: Incoming<'_>,
        writer: Writer,
        part: PartFile,
        path: PathBuf,
    ) -> Self {
        let Incoming { name, content_type, total, ttl, idle, is_upload } = incoming;
        Self {
            store: store.clone(),
            room,
            id,
            name: display_name(name),
            content_type: content_type.to_owned(),
            ttl,
            idle,
            total,
            is_upload,
            received: 0,
            writer: Some(writer),
            mark: None,
            part,
            path,
            resume: None,
        }
    }

    /// Lets another call go on with the file, if this process does not finish it: `validator`
    /// names the version of what `request` brings.
    pub(crate) fn resumable(&mut self, request: Fingerprint, validator: String) {
        self.resume = Some((request, validator));
    }

    /// Returns how many bytes there are.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns how many bytes there will be, when that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Appends a body. After [`FileError::Interrupted`] another one may go on where it ended.
    pub(crate) async fn receive<E: std::error::Error>(
        &mut self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        observer: &dyn Observer,
    ) -> Result<(), FileError> {
        let mut meter = Meter::new(Direction::Saved, self.received);
        let mut batch: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        observer.transfer(meter.now(self.received, self.total));
        let ended = loop {
            let wait = if batch.is_empty() { self.idle } else { LINGER.min(self.idle) };
            let piece = match tokio::time::timeout(wait, body.next()).await {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => break None,
                Ok(Some(Err(error))) => break Some(crate::outcome::chain(&error)),
                Err(_) if batch.is_empty() => {
                    break Some(format!("no data for {} s", self.idle.as_secs_f32()));
                }
                Err(_) => {
                    self.write(std::mem::take(&mut batch)).await?;
                    gathered = 0;
                    continue;
                }
            };
            let length = piece.len() as u64;
            self.check_bounds(length)?;
            gathered += piece.len();
            batch.push(piece);
            if gathered >= BATCH {
                self.write(std::mem::take(&mut batch)).await?;
                gathered = 0;
            }
            if let Some(transfer) = meter.tick(self.received, self.total) {
                observer.transfer(transfer);
            }
        };
        self.write(batch).await?;
        let file = self.settled().await?;
        self.writer = Some(Writer::Idle(file));
        let missing = self.total.filter(|total| *total != self.received);
        let missing = missing.map(|total| format!("{total} had been announced"));
        match ended.or(missing) {
            None => Ok(()),
            Some(reason) => {
                Err(FileError::Interrupted { received: self.received, reason, kept: false })
            }
        }
    }

    fn check_bounds(&mut self, came: u64) -> Result<(), FileError> {
        let most = self.store.inner.settings.max_upload_bytes;
        let received = self.received + came;
        if self.is_upload && received > most {
            return Err(FileError::Quota { setting: "max_upload_size", limit: most });
        }
        self.room.grow(came, received)?;
        self.received = received;
        Ok(())
    }

    /// Hands a batch to the thread that writes, once that has done the one before.
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<(), FileError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut file = self.settled().await?;
        if self.mark.is_none() && self.received >= unfinished::LEAST {
            self.mark = self.marked().await;
        }
        let (store, path) = (self.store.clone(), self.part.path.clone());
        let is_announced = self.total.is_some();
        self.writer = Some(Writer::Busy(tokio::task::spawn_blocking(move || {
            // Room for what was announced was there at the start.
            if !is_announced {
                space::check_now(store.space())?;
            }
            file.append(batch).map_err(|error| io_error("write", &path, &error))?;
            Ok(file)
        })));
        Ok(())
    }

    /// Waits until everything is written.
    async fn settled(&mut self) -> Result<SparseFile, FileError> {
        let gone = || io::Error::other("the writer has ended");
        match &mut self.writer {
            Some(Writer::Busy(task)) => {
                let done = task.await;
                self.writer = None;
                done.unwrap_or_else(|error| {
                    Err(io_error("write", &self.part.path, &io::Error::other(error)))
                })
            }
            writer => match writer.take() {
                Some(Writer::Idle(file)) => Ok(file),
                _ => Err(io_error("write", &self.part.path, &gone())),
            },
        }
    }

    /// Writes down that this file is being written.
    async fn marked(&self) -> Option<Mark> {
        let (store, part) = (self.store.clone(), self.part.path.clone());
        let (resume, total) = (self.resume.clone(), self.total);
        let marked = tokio::task::spawn_blocking(move || {
            let resume = resume.as_ref();
            let resume = resume.map(|(request, validator)| (request, &**validator, total));
            let directory = &store.inner.directory;
            // Another call of the same kind may be under way.
            unfinished::mark(directory, &part, resume)
                .or_else(|| unfinished::mark(directory, &part, None))
        });
        marked.await.ok().flatten()
    }

    /// Forgets what is there: the server has another version now, of this length.
    pub(crate) async fn restart(&mut self, total: Option<u64>) -> Result<(), FileError> {
        let mut file = self.settled().await?;
        self.mark = None;
        self.resume = None;
        let path = self.part.path.clone();
        let restarted = tokio::task::spawn_blocking(move || file.restart().map(|()| file));
        let restarted = restarted.await.map_err(io::Error::other).and_then(|done| done);
        let file = restarted.map_err(|error| io_error("write", &path, &error))?;
        self.writer = Some(Writer::Idle(file));
        self.total = total;
        self.received = 0;
        Ok(())
    }

    /// Leaves what is there to another call, where that can go on with it; says whether it can.
    pub(crate) fn leave(mut self) -> bool {
        let Some(mark) = self.mark.as_mut().filter(|mark| mark.is_resumable) else { return false };
        mark.keep(true);
        self.part.keep = true;
        true
    }

    /// Gives a whole file its name, and remembers it where that is needed. All in one step, which
    /// a caller that goes away does not divide.
    pub(crate) async fn finish(mut self, observer: &dyn Observer) -> Result<SavedFile, FileError> {
        let sparse = self.settled().await?;
        let Self { store, room, id, name, content_type, received, part, mark, path, .. } = self;
        let published = store.inner.published.get().cloned();
        let default = published.as_ref().map(|_| FileSettings::HTTP_TTL);
        let ttl = self.ttl.or(store.inner.settings.ttl).or(default);
        let now = time::seconds((store.inner.clock)());
        let expires = ttl.map(|ttl| now.saturating_add(ttl.as_secs().max(1)));
        let limited = store.limits() != (None, None);
        let finished = tokio::task::spawn_blocking(move || {
            let digest = sparse.finish().map_err(|error| io_error("write", &part.path, &error))?;
            let sha256 = hexadecimal(&digest);
            part.rename(&path)?;
            drop(mark);
            let file = path.file_name().filter(|_| published.is_none());
            let mut record = Record {
                name: name.clone(),
                file: file.map(|name| name.to_string_lossy().into_owned()),
                content_type: content_type.clone(),
                size: received,
                sha256: sha256.clone(),
                expires,
                modified: 0,
            };
            let saved = SavedFile {
                name,
                url: published.as_ref().map(|base| format!("{base}{FILES_PATH}/{}", id.as_str())),
                reference: published.as_ref().map(|_| format!("{REFERENCE}{}", id.as_str())),
                path: path.clone(),
                size: received,
                content_type,
                sha256,
                expires: expires.map(time::rfc3339),
            };
            if expires.is_none() && !limited && record.file.is_some() {
                return Ok(saved);
            }
            let directory = &store.inner.directory;
            let recorded = std::fs::symlink_metadata(&path)
                .map(|metadata| record.modified = index::modified(&metadata))
                .and_then(|()| create_private(&directory.join(STORE)))
                .and_then(|()| store.state().index.insert(directory, id, record));
            recorded.map(|()| saved).map_err(|error| {
                // What cannot be remembered would never expire.
                index::remove(&path);
                io_error("record", &path, &error)
            })
        });
        let saved = finished.await.unwrap_or_else(|error| {
            Err(io_error("finish", Path::new("a file"), &io::Error::other(error)))
        })?;
        drop(room);
        let meter = Meter::new(Direction::Saved, received);
        observer.transfer(meter.now(received, Some(received)));
        Ok(saved)
    }
}
