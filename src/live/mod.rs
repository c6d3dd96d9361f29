//! Streams that stay open: what they bring is kept, bounded, until somebody reads it.
//!
//! A [`StreamHub`] holds the open streams of a process. Each has a handle that nobody can guess and
//! belongs to the session that opened it; a task of its own reads it, connects again when it breaks
//! off, and puts an item `{"gap": ..}` where items may be missing.
//!
//! **Invariants:** a stream that nobody reads is closed after a while; dropping the hub closes all
//! of them; what the bounds make room for is counted, and the next read says so.

mod buffer;
mod reader;
mod source;
pub(crate) mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use dadl_descriptor::model::{StreamArgument, entries::EntryFailures};
use dadl_text::text::cut_text;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::AbortHandle, time::Instant};
use uuid::Uuid;

pub(crate) use self::buffer::TakenItems;
pub use self::source::StreamError;
use self::{
    buffer::ItemBuffer,
    reader::{StreamGap, StreamReader, StreamSink, WantedCollections},
    source::StreamSource,
};
use crate::{
    executor::{Executor, stream::StreamBounds},
    gate::Admitted,
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText, timestamp},
    shares::{BudgetShare, ClientKey, SharedBudget},
};

/// How many streams may be open in all; the last of them are for clients that have few.
const MOST_STREAMS: u64 = 640;
/// How many streams a session may have open.
const MOST_OF_SESSION: usize = 16;
/// How many items of a stream wait to be read.
const MOST_ITEMS: usize = 20_000;
/// How many bytes of a stream wait to be read.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How many bytes of all streams wait to be read.
const MOST_BYTES_IN_ALL: u64 = 64 * 1024 * 1024;
/// A stream that nobody reads for so long is closed.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// The longest time that a read waits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(280);

/// Whose a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StreamOwner {
    /// Anybody's who knows the handle: the client has no session.
    Anybody,
    /// That of a session; one without a name is the only client of a process.
    Session(String),
}

/// The open streams of a process; a clone holds the same.
#[derive(Debug, Clone)]
pub struct StreamHub {
    inner: Arc<HubInner>,
}

#[derive(Debug)]
struct HubInner {
    streams: Mutex<HashMap<String, StreamSlot>>,
    places: SharedBudget,
    bytes: SharedBudget,
}

/// A stream and the task that reads it, which ends with it.
#[derive(Debug)]
struct StreamSlot {
    stream: Arc<LiveStream>,
    task: AbortHandle,
    _place: BudgetShare,
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.task.abort();
        self.stream.set_phase(StreamPhase::Ended { reason: "it was closed".to_owned() });
    }
}

/// What a read gives.
#[derive(Debug, Clone)]
pub struct ItemBatch {
    /// The items, and how many there are no longer.
    pub taken: TakenItems,
    /// How the stream is.
    pub phase: StreamPhase,
    /// What failed, as the entries say that have come.
    pub failures: Option<String>,
}

/// How a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamPhase {
    /// It brings what comes.
    Open,
    /// It broke off, and is being opened again.
    Reconnecting {
        /// Why it is not open.
        reason: String,
    },
    /// There will be no more.
    Ended {
        /// Why.
        reason: String,
    },
}

impl StreamPhase {
    /// Returns the word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reconnecting { .. } => "reconnecting",
            Self::Ended { .. } => "ended",
        }
    }

    /// Returns why it is not open.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Open => None,
            Self::Reconnecting { reason } | Self::Ended { reason } => Some(reason),
        }
    }
}

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no stream \"{0}\": it was closed, nobody read it for 15 minutes, or another session \
     opened it; open it again"
)]
pub struct NoSuchStream(String);

impl Default for StreamHub {
    fn default() -> Self {
        let (places, bytes) =
            (SharedBudget::new(MOST_STREAMS), SharedBudget::new(MOST_BYTES_IN_ALL));
        Self { inner: Arc::new(HubInner { streams: Mutex::default(), places, bytes }) }
    }
}

impl StreamHub {
    /// Opens the stream of an admitted call and returns its handle.
    ///
    /// # Errors
    ///
    /// [`StreamError`] when it cannot be opened, or when too many are open.
    pub async fn open(
        &self,
        executor: &Executor,
        call: &Admitted<'_>,
        owner: StreamOwner,
        client: &ClientKey,
    ) -> Result<String, StreamError> {
        check_room(&self.lock(), &owner)?;
        let full =
            || StreamError::of(format!("{MOST_STREAMS} streams may be open; try again later"));
        let place = self.inner.places.take(client, 1).ok_or_else(full)?;
        let source = StreamSource::new(executor, call, client)?.with_files(call).await?;
        let jq = call.arguments().jq().map(str::to_owned);
        if let Some(jq) = &jq {
            let checked = executor.check_jq(jq, client).await;
            checked.map_err(|error| StreamError::of(error.to_string()))?;
        }
        let wanted = watched_collections(call);
        let connected = source.connect(None, &wanted).await?;
        let stream = Arc::new(LiveStream {
            tool: call.entry().name.clone(),
            owner: owner.clone(),
            opened: SystemTime::now(),
            source: source.clone(),
            jq,
            state: Mutex::new(StreamState {
                buffer: ItemBuffer::new(MOST_ITEMS, MOST_BYTES, self.inner.bytes.nothing(client)),
                phase: StreamPhase::Open,
                failures: EntryFailures::default(),
                told: true,
                read: Instant::now(),
            }),
            news: Notify::new(),
        });
        let handle = format!("stream_{}", Uuid::new_v4().simple());
        let reader = StreamReader {
            source,
            wanted: Arc::new(WantedCollections::new(wanted)),
            sink: Arc::clone(&stream),
        };
        let mut streams = self.lock();
        // Others may have come while this one was being opened.
        check_room(&streams, &owner)?;
        let (hub, name) = (Arc::downgrade(&self.inner), handle.clone());
        let watched = Arc::clone(&stream);
        let task = crate::spawn::task(async move {
            tokio::select! {
                () = async {
                    reader.run(Some(connected)).await;
                    // What it brought can still be read.
                    std::future::pending::<()>().await;
                } => {}
                () = watched.abandoned() => {}
            }
            close_idle(&hub, &name);
        });
        streams.insert(
            handle.clone(),
            StreamSlot { stream, task: task.abort_handle(), _place: place },
        );
        Ok(handle)
    }

    /// Takes what has come since the last read: up to `most` items of up to `most_bytes`. When there
    /// is nothing, waits for something for `wait`, or until the stream breaks off.
    ///
    /// Nothing is taken when the future is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// [`NoSuchStream`]
    pub async fn read(
        &self,
        handle: &str,
        owner: &StreamOwner,
        wait: Duration,
        most: usize,
        most_bytes: usize,
    ) -> Result<ItemBatch, NoSuchStream> {
        let stream = self.find(handle, owner)?;
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            let mut news = std::pin::pin!(stream.news.notified());
            // From here on no news is missed.
            news.as_mut().enable();
            if let Some(batch) = stream.take_news(most, most_bytes) {
                return Ok(batch);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return Ok(stream.take(most, most_bytes));
            }
        }
    }

    /// Describes the streams of a session, oldest first; there are none for clients without one.
    pub fn list(&self, owner: &StreamOwner) -> Vec<Value> {
        if *owner == StreamOwner::Anybody {
            return Vec::new();
        }
        let streams = self.lock();
        let mut own: Vec<(&String, &Arc<LiveStream>)> = streams
            .iter()
            .filter(|(_, slot)| slot.stream.owner == *owner)
            .map(|(handle, slot)| (handle, &slot.stream))
            .collect();
        own.sort_by_key(|(_, stream)| stream.opened);
        own.into_iter().map(|(handle, stream)| stream.describe(handle)).collect()
    }

    /// Closes a stream and returns how many items nobody has read.
    ///
    /// # Errors
    ///
    /// [`NoSuchStream`]
    pub fn close(&self, handle: &str, owner: &StreamOwner) -> Result<usize, NoSuchStream> {
        let stream = self.find(handle, owner)?;
        let slot = self.lock().remove(handle);
        drop(slot);
        Ok(stream.lock().buffer.len())
    }

    /// Closes the streams of a session that ended.
    pub fn close_all(&self, session: &str) {
        let owner = StreamOwner::Session(session.to_owned());
        let mut streams = self.lock();
        let ended: Vec<String> = streams
            .iter()
            .filter(|(_, slot)| slot.stream.owner == owner)
            .map(|(handle, _)| handle.clone())
            .collect();
        let slots: Vec<Option<StreamSlot>> =
            ended.iter().map(|handle| streams.remove(handle)).collect();
        drop(streams);
        drop(slots);
    }

    /// Ends all streams, because of `reason`; what they brought can still be read.
    pub fn end_all(&self, reason: &str) {
        for slot in self.lock().values() {
            slot.task.abort();
            slot.stream.set_phase(StreamPhase::Ended { reason: reason.to_owned() });
        }
    }

    /// Returns how many streams are open.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn find(&self, handle: &str, owner: &StreamOwner) -> Result<Arc<LiveStream>, NoSuchStream> {
        let streams = self.lock();
        let found = streams.get(handle).map(|slot| &slot.stream);
        // Another session learns as little as from a handle that never was.
        let own =
            found.filter(|stream| stream.owner == StreamOwner::Anybody || stream.owner == *owner);
        own.cloned().ok_or_else(|| NoSuchStream(cut_text(handle, 80).into_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, StreamSlot>> {
        self.inner.lock()
    }
}

impl HubInner {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, StreamSlot>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_room(
    streams: &HashMap<String, StreamSlot>,
    owner: &StreamOwner,
) -> Result<(), StreamError> {
    let own = streams.values().filter(|slot| slot.stream.owner == *owner).count();
    if *owner != StreamOwner::Anybody && own >= MOST_OF_SESSION {
        return Err(StreamError::of(format!(
            "{MOST_OF_SESSION} streams of the session are open; close one with stream_close"
        )));
    }
    Ok(())
}

fn close_idle(hub: &Weak<HubInner>, handle: &str) {
    let Some(hub) = hub.upgrade() else { return };
    tracing::debug!("a stream that nobody reads is closed");
    let slot = hub.lock().remove(handle);
    drop(slot);
}

/// Returns whether a call is to keep its stream open.
pub fn is_open(call: &Admitted<'_>) -> bool {
    call.arguments().stream_argument(StreamArgument::Open) == Some(&Value::Bool(true))
}

/// Returns whether a call collects a stream after it has subscribed.
pub fn subscribes(call: &Admitted<'_>) -> bool {
    call.arguments().stream_argument(StreamArgument::Subscribe).is_some()
}

/// Opens a stream in `hub`, subscribes, collects for a bounded time or number of items, and closes
/// it.
///
/// # Errors
///
/// [`StreamError`] when it cannot be opened.
pub async fn collect_once(
    hub: &StreamHub,
    executor: &Executor,
    call: &Admitted<'_>,
    client: &ClientKey,
) -> Result<CallOutcome, StreamError> {
    // The stream is nobody else's, and not one of those that the session has open.
    let owner = StreamOwner::Session(Uuid::new_v4().to_string());
    let entry = call.entry();
    let no_stream = || StreamError::of(format!("tool \"{}\" answers no stream", entry.name));
    let tool = entry.tool().ok_or_else(no_stream)?;
    let backend = executor.api(entry.backend).ok_or_else(no_stream)?;
    let bounds = StreamBounds::of(call, tool, backend);
    let handle = hub.open(executor, call, owner.clone(), client).await?;
    let _closing = CloseOnDrop { hub, handle: &handle };
    let deadline = Instant::now() + bounds.duration;
    let most = bounds.items.unwrap_or(MOST_ITEMS);
    let (mut items, mut notes) = (Vec::new(), Vec::new());
    loop {
        let left = most.saturating_sub(items.len());
        if left == 0 {
            notes.push(format!("stopped after {most} items (`max_items`); there may be more"));
            break;
        }
        let wait = deadline.saturating_duration_since(Instant::now());
        let batch = hub.read(&handle, &owner, wait, left, usize::MAX).await;
        let batch = batch.map_err(|error| StreamError::of(error.to_string()))?;
        if batch.taken.dropped > 0 {
            notes.push(format!("{} items came too fast and were dropped", batch.taken.dropped));
        }
        items.extend(batch.taken.items);
        if let (Some(failures), StreamPhase::Ended { .. }) = (&batch.failures, &batch.phase) {
            notes.push(failed_subscriptions(failures));
        }
        if let StreamPhase::Ended { reason } = batch.phase {
            notes.push(format!("the stream ended: {reason}"));
            break;
        }
        if Instant::now() >= deadline {
            notes.push(format!(
                "stopped after {} s with {} items (`duration`); the stream goes on",
                bounds.duration.as_secs_f64(),
                items.len()
            ));
            break;
        }
    }
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let payload = AnswerPayload::Json(JsonText::array(&items));
    Ok(CallOutcome { status: 200, payload, notes, next: None, held: HeldMemory::default() })
}

/// Says that what a log is about failed.
pub(crate) fn failed_subscriptions(failures: &str) -> String {
    format!("what the log tells has failed in part: {failures}")
}

/// Closes a stream when it is dropped.
struct CloseOnDrop<'hub> {
    hub: &'hub StreamHub,
    handle: &'hub str,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let slot = self.hub.lock().remove(self.handle);
        drop(slot);
    }
}

/// Returns the collections that a call names.
fn watched_collections(call: &Admitted<'_>) -> Vec<String> {
    let named =
        call.arguments().stream_argument(StreamArgument::Subscribe).and_then(Value::as_array);
    let mut all: Vec<String> = Vec::new();
    for name in named.into_iter().flatten().filter_map(Value::as_str) {
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    all
}

/// One open stream.
#[derive(Debug)]
struct LiveStream {
    tool: String,
    owner: StreamOwner,
    opened: SystemTime,
    source: StreamSource,
    jq: Option<String>,
    state: Mutex<StreamState>,
    news: Notify,
}

#[derive(Debug)]
struct StreamState {
    buffer: ItemBuffer,
    phase: StreamPhase,
    /// What failed, as the entries say that have come.
    failures: EntryFailures,
    /// Whether a reader knows the phase.
    told: bool,
    /// When somebody read last.
    read: Instant,
}

impl StreamState {
    fn take(&mut self, most: usize, most_bytes: usize) -> ItemBatch {
        self.read = Instant::now();
        self.told = true;
        let failures = self.failures.sentence();
        let taken = self.buffer.take(most, most_bytes);
        ItemBatch { taken, phase: self.phase.clone(), failures }
    }
}

impl LiveStream {
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has come; `None` when there is nothing that a reader does not know.
    fn take_news(&self, most: usize, most_bytes: usize) -> Option<ItemBatch> {
        let mut state = self.lock();
        let is_over = matches!(state.phase, StreamPhase::Ended { .. });
        if !state.buffer.has_news() && state.told && !is_over {
            state.read = Instant::now();
            return None;
        }
        Some(state.take(most, most_bytes))
    }

    /// Takes what has come, be it nothing.
    fn take(&self, most: usize, most_bytes: usize) -> ItemBatch {
        self.lock().take(most, most_bytes)
    }

    fn push(&self, items: impl IntoIterator<Item = String>) {
        let mut state = self.lock();
        for item in items {
            state.buffer.push(item);
        }
        drop(state);
        self.news.notify_waiters();
    }

    fn set_phase(&self, phase: StreamPhase) {
        let mut state = self.lock();
        if matches!(state.phase, StreamPhase::Ended { .. }) || state.phase == phase {
            return;
        }
        // That it is open again says the gap.
        state.told = phase == StreamPhase::Open;
        state.phase = phase;
        drop(state);
        self.news.notify_waiters();
    }

    /// Waits until nobody has read for too long.
    async fn abandoned(&self) {
        loop {
            let until = self.lock().read + IDLE;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn describe(&self, handle: &str) -> Value {
        let state = self.lock();
        json!({
            "stream": handle,
            "tool": self.tool,
            "state": state.phase.word(),
            "opened": timestamp::rfc3339(self.opened),
            "waiting": state.buffer.len(),
            "received": state.buffer.received(),
            "dropped": state.buffer.dropped(),
        })
    }
}

impl StreamSink for LiveStream {
    async fn items(&self, items: JsonText) {
        let Some(items) = without_keep_alive(&self.source, items) else { return };
        if let Some(rules) = self.source.entries() {
            let mut state = self.lock();
            for entry in items.items().into_iter().flatten() {
                state.failures.see(entry, rules);
            }
        }
        let rules = &self.source.tool().response;
        let shaped = self
            .source
            .executor()
            .shape_items(items, rules, self.jq.as_deref(), self.source.client())
            .await;
        match shaped {
            Ok(items) => self.push(items),
            Err(error) => self.push([StreamGap::now(error.to_string()).to_json()]),
        }
    }

    fn interrupted(&self, reason: &str) {
        self.set_phase(StreamPhase::Reconnecting { reason: reason.to_owned() });
    }

    fn resumed(&self, gap: &StreamGap) {
        self.push([gap.to_json()]);
        self.set_phase(StreamPhase::Open);
    }

    fn subscribed(&self, _: &str, _: Result<(), &StreamError>) {}

    fn ended(&self, reason: &str) {
        self.set_phase(StreamPhase::Ended { reason: reason.to_owned() });
    }
}

/// Takes out the events that say nothing.
fn without_keep_alive(source: &StreamSource, items: JsonText) -> Option<JsonText> {
    let Some(events) = source.events().filter(|events| !events.keep_alive.is_empty()) else {
        return Some(items);
    };
    let Some(all) = items.items().map(Iterator::collect::<Vec<_>>) else { return Some(items) };
    let is_kept = |item: &&str| {
        let kind = JsonText::trusted((*item).to_owned()).member(&["event"]);
        let kind = kind.and_then(|kind| kind.value().ok());
        let kind = kind.as_ref().and_then(Value::as_str);
        kind.is_none_or(|kind| !events.keep_alive.iter().any(|it| it == kind))
    };
    let kept: Vec<&str> = all.iter().copied().filter(is_kept).collect();
    match kept.len() {
        0 => None,
        count if count == all.len() => Some(items),
        _ => Some(JsonText::array(&kept)),
    }
}
