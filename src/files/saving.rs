//! A file on its way from the network to the disk.
//!
//! Pieces are gathered into batches; each is hashed and written on a thread where blocking is
//! allowed, while the next one arrives. So a file of any size costs the memory of a few batches, and
//! network, hash and disk work side by side.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::{
    FileError, FileStore, IncomingFile, READ_BUFFER, SavePurpose, StoreState,
    candidate_names::{display_name, safe_name},
    index, io_error,
    naming::WholeFile,
    part_file::PartFile,
    record::FileId,
    space,
    sparse::SparseFile,
    staging::{self, StagedFile},
    time,
    unfinished::{self, RequestFingerprint, UnfinishedFile, UnfinishedMark},
};
use crate::{
    config::FileSettings,
    outcome::{
        CallObserver, SavedFile,
        transfer::{TransferDirection, TransferMeter},
    },
    shares::{ClientKey, leaves_room},
};

/// Bytes are hashed and written in batches of about this size.
const BATCH: usize = 1024 * 1024;
/// What a slow server has sent is written after this time, so that it survives this process.
const LINGER: Duration = Duration::from_millis(100);

/// The room that an unfinished file takes.
struct ReservedSpace {
    store: FileStore,
    client: ClientKey,
    /// What counts against the quota: what is there, or what was announced if that is more.
    bytes: u64,
    /// What was announced and is not there yet.
    awaited: u64,
}

impl ReservedSpace {
    /// Takes room for a file of which nothing is there yet.
    fn take(store: &FileStore, client: &ClientKey, total: Option<u64>) -> Result<Self, FileError> {
        let (files, bytes) = store.limits();
        let space = store.space();
        let mut state = store.state();
        let (stored, stored_bytes) = state.index.usage();
        if let Some(limit) = files {
            let own = |state: &StoreState| state.usage_of(&client.host).files + 1;
            check_limit(("max_files", limit), stored + state.unfinished + 1, client, &state, own)?;
        }
        let announced = total.unwrap_or_default();
        let expected = stored_bytes.saturating_add(state.unfinished_bytes);
        if let Some(limit) = bytes {
            let own =
                |state: &StoreState| state.usage_of(&client.host).bytes.saturating_add(announced);
            let all = expected.saturating_add(announced);
            check_limit(("max_total_size", limit), all, client, &state, own)?;
        }
        space::check_space(space, announced, &state)?;
        state.unfinished += 1;
        state.unfinished_bytes += announced;
        state.awaited_bytes += announced;
        if !client.is_only() {
            let own = state.of_hosts.entry(client.host.clone()).or_default();
            own.files += 1;
            own.bytes += announced;
        }
        drop(state);
        let (store, client) = (store.clone(), client.clone());
        Ok(Self { store, client, bytes: announced, awaited: announced })
    }

    /// Counts bytes that came, of which there are `received` now.
    fn grow(&mut self, came: u64, received: u64) -> Result<(), FileError> {
        let limit = self.store.limits().1;
        let more = received.saturating_sub(self.bytes);
        let mut state = self.store.state();
        let (_, stored) = state.index.usage();
        let expected = stored.saturating_add(state.unfinished_bytes).saturating_add(more);
        if let Some(limit) = limit.filter(|_| more > 0) {
            let client = &self.client;
            let own = |state: &StoreState| state.usage_of(&client.host).bytes.saturating_add(more);
            check_limit(("max_total_size", limit), expected, client, &state, own)?;
        }
        if let Some(own) = state.of_hosts.get_mut(&self.client.host) {
            own.bytes += more;
        }
        let arrived = came.min(self.awaited);
        state.unfinished_bytes += more;
        state.awaited_bytes -= arrived;
        self.bytes += more;
        self.awaited -= arrived;
        Ok(())
    }
}

impl Drop for ReservedSpace {
    fn drop(&mut self) {
        let mut state = self.store.state();
        state.unfinished -= 1;
        state.unfinished_bytes -= self.bytes;
        state.awaited_bytes -= self.awaited;
        if let Some(own) = state.of_hosts.get_mut(&self.client.host) {
            own.files -= 1;
            own.bytes -= self.bytes;
            if own.files == 0 {
                state.of_hosts.remove(&self.client.host);
            }
        }
    }
}

/// Checks that a bound of all files holds, and that what is left of it is for those who have little.
fn check_limit(
    (setting, limit): (&'static str, u64),
    all: u64,
    client: &ClientKey,
    state: &StoreState,
    own: impl FnOnce(&StoreState) -> u64,
) -> Result<(), FileError> {
    if all > limit {
        return Err(FileError::Quota { setting, limit });
    }
    if client.is_only() || leaves_room(limit, all, own(state)) {
        return Ok(());
    }
    Err(FileError::Share { setting, limit })
}

/// A file that is being saved. Dropping it removes what is there.
pub(crate) struct FileSaving {
    store: FileStore,
    room: ReservedSpace,
    id: FileId,
    name: String,
    /// What it is to be called on the disk; nothing when it is stored under its id.
    wanted: Option<String>,
    content_type: String,
    ttl: Option<Duration>,
    idle: Duration,
    total: Option<u64>,
    purpose: SavePurpose,
    received: u64,
    /// What is being written; `None` after a failure.
    writer: Option<FileWriter>,
    /// Before the file, so that nobody sees the one without the other.
    mark: Option<UnfinishedMark>,
    part: PartFile,
    resume: Option<(RequestFingerprint, String)>,
}

/// Where the bytes go: idle, or at work on another thread.
enum FileWriter {
    Idle(SparseFile),
    Busy(JoinHandle<Result<SparseFile, FileError>>),
}

impl FileStore {
    /// Makes a file for what is about to come. A file that cannot fit is refused here.
    pub(crate) async fn begin(&self, incoming: IncomingFile<'_>) -> Result<FileSaving, FileError> {
        let most = self.inner.settings.max_upload_bytes;
        if incoming.purpose == SavePurpose::Upload
            && incoming.total.is_some_and(|total| total > most)
        {
            return Err(FileError::Quota { setting: "max_upload_size", limit: most });
        }
        self.sweep().await;
        let room = ReservedSpace::take(self, incoming.client, incoming.total)?;
        let (file, part, id) = self.make().await?;
        let writer = FileWriter::Idle(SparseFile::new(file, Sha256::new()));
        Ok(FileSaving::new(self, room, id, incoming, writer, part))
    }

    /// Finds what another process, or a call that failed, left of this request.
    pub(crate) async fn leftover(&self, request: &RequestFingerprint) -> Option<UnfinishedFile> {
        self.sweep().await;
        let (store, request) = (self.clone(), request.clone());
        let found = crate::spawn::blocking(move || {
            let is_published = store.published().is_some();
            unfinished::take_leftover(&store.inner.directory, &request, is_published)
        });
        found.await.ok().flatten()
    }

    /// Goes on with what is there of a file, after its first bytes have been read once more: they
    /// are part of the digest.
    pub(crate) async fn resume(
        &self,
        incoming: IncomingFile<'_>,
        leftover: UnfinishedFile,
        observer: &dyn CallObserver,
    ) -> Result<FileSaving, FileError> {
        let offset = leftover.offset();
        let UnfinishedFile { file, part, id, mut mark, .. } = leftover;
        let rest = incoming.total.map(|total| total.saturating_sub(offset));
        let mut room = ReservedSpace::take(self, incoming.client, rest)?;
        // What is there counts as well.
        room.grow(0, rest.unwrap_or_default().saturating_add(offset))?;
        let mut part = PartFile::new(&self.inner.directory, part);
        // Until it is read, it stays as it is for the next call.
        part.keep = true;
        let path = part.path.clone();
        let fail = |error: io::Error| io_error("read", &path, &error);
        let (mut file, mut digest, mut read) = (file, Sha256::new(), 0);
        let mut meter = TransferMeter::new(TransferDirection::Saved, 0);
        while read < offset {
            let length = (offset - read).min(16 * BATCH as u64);
            let done = crate::spawn::blocking(move || {
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
        mark.withdraw();
        let writer = FileWriter::Idle(SparseFile::new(file, digest));
        let mut saving = FileSaving::new(self, room, id, incoming, writer, part);
        saving.received = offset;
        saving.mark = Some(mark);
        Ok(saving)
    }

    /// Saves `body`.
    pub(crate) async fn save<E: std::error::Error>(
        &self,
        incoming: IncomingFile<'_>,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        observer: &dyn CallObserver,
    ) -> Result<SavedFile, FileError> {
        let mut saving = self.begin(incoming).await?;
        saving.receive(body, observer).await?;
        saving.finish(observer).await
    }

    /// Makes a file where unfinished ones are.
    async fn make(&self) -> Result<(File, PartFile, FileId), FileError> {
        let store = self.clone();
        // A caller that goes away before the file is open leaves it to be removed by the task.
        let made = crate::spawn::blocking(move || {
            let directory = &store.inner.directory;
            let target = match store.published() {
                Some(_) => index::open_store(directory),
                None => super::create_private(directory).map(|()| directory.clone()),
            };
            let made = target.and_then(|target| {
                let StagedFile { file, path, id } = staging::make_file(directory)?;
                let part = PartFile::new(directory, path);
                staging::check_same_disk(directory, &target)?;
                Ok((file, part, id))
            });
            made.map_err(|error| io_error("create a file in", directory, &error))
        });
        made.await.unwrap_or_else(|error| {
            Err(io_error("create a file in", &self.inner.directory, &io::Error::other(error)))
        })
    }
}

impl FileSaving {
    fn new(
        store: &FileStore,
        room: ReservedSpace,
        id: FileId,
        incoming: IncomingFile<'_>,
        writer: FileWriter,
        part: PartFile,
    ) -> Self {
        let IncomingFile { name, content_type, total, ttl, idle, purpose, client: _ } = incoming;
        Self {
            store: store.clone(),
            room,
            id,
            name: display_name(name),
            wanted: store.published().is_none().then(|| safe_name(name)),
            content_type: content_type.to_owned(),
            ttl,
            idle,
            total,
            purpose,
            received: 0,
            writer: Some(writer),
            mark: None,
            part,
            resume: None,
        }
    }

    /// Lets another call go on with the file, if this process does not finish it: `validator`
    /// names the version of what `request` brings.
    pub(crate) fn resumable(&mut self, request: RequestFingerprint, validator: String) {
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
        observer: &dyn CallObserver,
    ) -> Result<(), FileError> {
        let mut meter = TransferMeter::new(TransferDirection::Saved, self.received);
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
        self.writer = Some(FileWriter::Idle(file));
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
        if self.purpose == SavePurpose::Upload && received > most {
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
        // The disk goes round among those who write.
        let turn = store.inner.writes.turn(&self.room.client).await;
        let turn = turn.map_err(|full| io_error("write", &path, &io::Error::other(full)))?;
        self.writer = Some(FileWriter::Busy(tokio::task::spawn_blocking(move || {
            let _turn = turn;
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
            Some(FileWriter::Busy(task)) => {
                let done = task.await;
                self.writer = None;
                done.unwrap_or_else(|error| {
                    Err(io_error("write", &self.part.path, &io::Error::other(error)))
                })
            }
            writer => match writer.take() {
                Some(FileWriter::Idle(file)) => Ok(file),
                _ => Err(io_error("write", &self.part.path, &gone())),
            },
        }
    }

    /// Writes down how another call goes on with this file, where one can.
    async fn marked(&self) -> Option<UnfinishedMark> {
        let (request, validator) = self.resume.clone()?;
        let (store, id, total) = (self.store.clone(), self.id.clone(), self.total);
        let marked = crate::spawn::blocking(move || {
            let is_published = store.published().is_some();
            let resume = (&request, &*validator, total);
            unfinished::write_mark(&store.inner.directory, &id, is_published, resume)
        });
        marked.await.ok().flatten()
    }

    /// Forgets what is there: the server has another version now, of this length.
    pub(crate) async fn restart(&mut self, total: Option<u64>) -> Result<(), FileError> {
        let mut file = self.settled().await?;
        self.mark = None;
        self.resume = None;
        let path = self.part.path.clone();
        let restarted = crate::spawn::blocking(move || file.restart().map(|()| file));
        let restarted = restarted.await.map_err(io::Error::other).and_then(|done| done);
        let file = restarted.map_err(|error| io_error("write", &path, &error))?;
        self.writer = Some(FileWriter::Idle(file));
        self.total = total;
        self.received = 0;
        Ok(())
    }

    /// Leaves what is there to another call, where that can go on with it; says whether it can.
    pub(crate) fn leave(mut self) -> bool {
        let Some(mark) = self.mark.as_mut() else { return false };
        mark.keep();
        self.part.keep = true;
        true
    }

    /// Gives a whole file its name, and remembers it where that is needed.
    pub(crate) async fn finish(
        mut self,
        observer: &dyn CallObserver,
    ) -> Result<SavedFile, FileError> {
        let sparse = self.settled().await?;
        let Self {
            store, room, id, name, content_type, received, part, mark, wanted, purpose, ..
        } = self;
        let default = store.published().map(|_| FileSettings::HTTP_TTL);
        let ttl = self.ttl.or(store.inner.settings.ttl).or(default);
        let now = store.inner.time.now();
        let expires = ttl.map(|ttl| {
            let ttl = ttl.max(Duration::from_secs(1));
            (time::unix_seconds(now.clock).saturating_add(ttl.as_secs()), now.uptime.after(ttl))
        });
        let host = room.client.host.clone();
        let finished = crate::spawn::blocking(move || {
            let whole = sparse.finish().map_err(|error| io_error("write", &part.path, &error));
            let (digest, file) = whole?;
            let size = received;
            let saved = WholeFile {
                store,
                id,
                name,
                wanted,
                content_type,
                size,
                digest,
                expires,
                file,
                part,
                host,
                is_spilled: purpose == SavePurpose::Spilled,
            }
            .settle()?;
            // Until here another process could go on with it.
            drop(mark);
            Ok(saved)
        });
        let saved = finished.await.unwrap_or_else(|error| {
            Err(io_error("finish", Path::new("a file"), &io::Error::other(error)))
        })?;
        drop(room);
        let meter = TransferMeter::new(TransferDirection::Saved, received);
        observer.transfer(meter.now(received, Some(received)));
        Ok(saved)
    }
}
