//! Resources that change, and who wants to be told.
//!
//! All who watch objects of a backend share one stream of its events. It is opened when the first
//! of them comes and closed when the last has gone. What other MCP servers tell of their resources comes
//! from their links, which count in the same way. A watcher is told which URIs changed, not what
//! happened to them: changes that come faster than it is told become one. After a gap, everything
//! may have changed, and every URI is told.

mod kinds;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dadl_descriptor::model::events::{self, EventRules};
use dadl_text::json::scan;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tokio::{sync::Notify, task::AbortHandle};

pub(crate) use self::kinds::ObjectKind;
use super::{
    reader::{StreamGap, StreamReader, StreamSink, WantedCollections},
    source::{self, StreamError, StreamSource},
};
use crate::{
    access::AccessDecision,
    catalog::{BackendId, Catalog, CatalogEntry},
    executor::Executor,
    gate::{CallRefusal, Gate, PendingCall},
    mcp_client::{ResourceSubscription, UpdateListener},
    outcome::JsonText,
    shares::{BudgetShare, ClientKey, SharedBudget},
};

/// How many URIs a watcher may have.
pub(crate) const MOST_URIS: usize = 1000;
/// How many bytes these URIs may have.
pub(crate) const MOST_URI_BYTES: usize = 256 * 1024;
/// How many watchers there may be in all.
const MOST_WATCHERS: u64 = 1024;
/// How long a subscription may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after a server refused the stream that others still wait for.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// The resources of all backends; a clone is the same.
#[derive(Debug, Clone)]
pub(crate) struct ResourceHub {
    inner: Arc<ResourcesInner>,
}

#[derive(Debug)]
struct ResourcesInner {
    executor: Executor,
    gate: Gate,
    backends: Vec<BackendResources>,
    watchers: SharedBudget,
}

/// The resources of one backend.
#[derive(Debug)]
struct BackendResources {
    id: BackendId,
    name: Arc<str>,
    scheme: String,
    events: EventRules,
    /// Those whose tool may be called.
    readers: Vec<events::ObjectReader>,
    /// The MCP name of the tool that opens the stream; `None` when changes cannot be watched.
    stream: Option<String>,
    feed: Mutex<Option<SharedFeed>>,
}

/// The stream that all watchers of a backend share.
#[derive(Debug)]
struct SharedFeed {
    wanted: Arc<WantedCollections>,
    fan: Arc<FeedFanOut>,
    task: AbortHandle,
}

impl Drop for SharedFeed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A kind of resource, for lists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateKind<'a> {
    /// The scheme of its URIs.
    pub scheme: &'a str,
    /// The collection, which stands where URLs have a host.
    pub collection: &'a str,
    /// The name of the backend.
    pub backend: &'a str,
    /// The MCP name of the tool that reads one.
    pub tool: &'a str,
}

/// One resource.
#[derive(Debug, Clone)]
pub(crate) struct FoundResource<'a> {
    backend: &'a BackendResources,
    reader: &'a events::ObjectReader,
    id: String,
}

impl ResourceHub {
    /// Finds what may be read in the catalog behind `gate`.
    pub(crate) fn new(executor: Executor, gate: Gate) -> Self {
        let mut backends: Vec<BackendResources> = Vec::new();
        for entry in gate.catalog().entries() {
            if backends.iter().all(|known| known.id != entry.backend) {
                backends.extend(backend_resources(gate.catalog(), entry));
            }
        }
        let schemes: Vec<String> = backends.iter().map(|it| it.scheme.clone()).collect();
        for backend in &mut backends {
            // Two places of the same API have the same identifiers for different things.
            if schemes.iter().filter(|scheme| **scheme == backend.scheme).count() > 1 {
                backend.scheme = format!("{}+{}", backend.scheme, backend.name);
            }
        }
        let watchers = SharedBudget::new(MOST_WATCHERS);
        Self { inner: Arc::new(ResourcesInner { executor, gate, backends, watchers }) }
    }

    /// Returns the kinds of resources that can be read.
    pub(crate) fn templates(&self) -> impl Iterator<Item = TemplateKind<'_>> {
        self.inner.backends.iter().flat_map(|backend| {
            backend.readers.iter().map(|reader| TemplateKind {
                scheme: &backend.scheme,
                collection: &reader.collection,
                backend: &backend.name,
                tool: &reader.tool,
            })
        })
    }

    /// Returns whether changes can be watched.
    pub(crate) fn can_watch(&self) -> bool {
        let servers = self.inner.gate.catalog().contents();
        self.inner.backends.iter().any(|backend| backend.stream.is_some())
            || servers.can_subscribe()
    }

    /// Finds the other MCP server that tells of the resource of a URI, and the URI that it knows.
    pub(crate) fn find_at_server(&self, uri: &str) -> Option<(BackendId, String)> {
        let servers = self.inner.gate.catalog().contents();
        let (backend, known) = servers.find(uri)?;
        let tells = servers.of(backend).is_some_and(|content| content.can_subscribe);
        tells.then_some((backend, known))
    }

    /// Finds the resource of a URI.
    pub(crate) fn find(&self, uri: &str) -> Option<FoundResource<'_>> {
        let (scheme, rest) = uri.split_once("://")?;
        let (collection, id) = rest.split_once('/')?;
        if id.is_empty() || id.len() > 1000 || id.contains(['?', '#']) {
            return None;
        }
        let mut backends = self.inner.backends.iter();
        let backend = backends.find(|backend| backend.scheme.eq_ignore_ascii_case(scheme))?;
        let mut readers = backend.readers.iter();
        // Clients put what looks like a host in lower case.
        let reader = readers.find(|it| it.collection.eq_ignore_ascii_case(collection))?;
        let id = percent_decode_str(id).decode_utf8().ok()?.into_owned();
        Some(FoundResource { backend, reader, id })
    }

    /// Returns the call that reads a resource.
    ///
    /// # Errors
    ///
    /// What the gate refuses.
    pub(crate) fn read_call(
        &self,
        found: &FoundResource<'_>,
    ) -> Result<PendingCall<'_>, CallRefusal> {
        let gate = &self.inner.gate;
        let name = &found.reader.tool;
        let entry = gate.catalog().find_declared(found.backend.id, name);
        let unknown = || CallRefusal::UnknownTool { name: name.clone(), nearest: None };
        let entry = entry.ok_or_else(unknown)?;
        let known = entry.params.iter().find(|known| known.param.name == found.reader.param);
        let property = known.map(|known| known.property.clone()).unwrap_or_default();
        let arguments = Map::from_iter([(property, Value::from(found.id.as_str()))]);
        gate.check_made(&entry.name, arguments)
    }

    /// Returns whether changes of a resource can be watched.
    pub(crate) fn is_watchable(&self, uri: &str) -> bool {
        match self.find(uri) {
            Some(found) => found.backend.stream.is_some(),
            None => self.find_at_server(uri).is_some(),
        }
    }

    /// Returns whether a URI leads to an object, or to another MCP server.
    pub(crate) fn leads_somewhere(&self, uri: &str) -> bool {
        let servers = self.inner.gate.catalog().contents();
        self.find(uri).is_some() || servers.find(uri).is_some()
    }

    /// Makes a watcher of nothing yet.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub(crate) fn watcher(&self, client: &ClientKey) -> Result<ResourceWatcher, StreamError> {
        let full =
            || StreamError::of(format!("{MOST_WATCHERS} clients watch resources; try again later"));
        let place = self.inner.watchers.take(client, 1).ok_or_else(full)?;
        Ok(ResourceWatcher { resources: self.clone(), told: Arc::default(), _place: place })
    }
}

/// Returns the resources of the backend of `entry`, when any may be read.
fn backend_resources(catalog: &Catalog, entry: &CatalogEntry) -> Option<BackendResources> {
    let events = entry.descriptor().events.as_ref()?;
    let resources = events.resources.as_ref()?;
    let allowed = |name: &str| {
        let entry = catalog.find_declared(entry.backend, name)?;
        (entry.decision == AccessDecision::Allow).then_some(entry)
    };
    let readers: Vec<events::ObjectReader> = resources
        .readers
        .iter()
        .filter(|reader| allowed(&reader.tool).is_some())
        .cloned()
        .collect();
    if readers.is_empty() {
        return None;
    }
    let subscribes = events.subscribe.as_ref().is_none_or(|it| allowed(&it.tool).is_some());
    let stream = allowed(&events.stream).filter(|_| subscribes).map(|entry| entry.name.clone());
    Some(BackendResources {
        id: entry.backend,
        name: Arc::clone(&entry.backend_name),
        scheme: resources.scheme.clone(),
        events: events.clone(),
        readers,
        stream,
        feed: Mutex::default(),
    })
}

/// What one client watches; dropping it ends that.
#[derive(Debug)]
pub(crate) struct ResourceWatcher {
    resources: ResourceHub,
    told: Arc<WatcherState>,
    _place: BudgetShare,
}

/// What a client watches and what it has to be told.
#[derive(Debug, Default)]
struct WatcherState {
    state: Mutex<WatchedUris>,
    news: Notify,
}

#[derive(Debug, Default)]
struct WatchedUris {
    /// URIs as the client wrote them, by backend and identifier.
    uris: HashMap<(usize, String), Vec<WatchedUri>>,
    count: usize,
    /// Of the texts of all URIs.
    bytes: usize,
    /// In the order in which they changed.
    changed: Vec<String>,
}

#[derive(Debug)]
struct WatchedUri {
    text: String,
    collection: String,
    /// Of a resource of another MCP server.
    subscription: Option<ResourceSubscription>,
}

impl ResourceWatcher {
    /// Watches one more URI; done when the backend sends its changes.
    ///
    /// # Errors
    ///
    /// The URI names nothing that can be watched, or the stream cannot be opened.
    pub(crate) async fn watch(&self, uri: &str) -> Result<(), StreamError> {
        let resources = &self.resources;
        let unknown = || StreamError::of(format!("changes of \"{uri}\" cannot be watched"));
        let Some(found) = resources.find(uri) else { return self.watch_at_server(uri).await };
        let stream = found.backend.stream.as_deref().ok_or_else(unknown)?;
        let collection = &found.reader.collection;
        self.told.add(found.backend.id.0, &found.id, uri, collection)?;
        let fan = match resources.feed(found.backend, stream, &self.told, collection) {
            Ok(fan) => fan,
            Err(error) => {
                self.forget(uri);
                return Err(error);
            }
        };
        let ready = tokio::time::timeout(PATIENCE, fan.ready(collection)).await;
        let late = || StreamError::of(format!("the events of {collection} did not begin in time"));
        let done = ready.map_err(|_| late()).flatten();
        if done.is_err() {
            self.forget(uri);
        }
        done
    }

    /// Does the same where another MCP server has the resource.
    async fn watch_at_server(&self, uri: &str) -> Result<(), StreamError> {
        let unknown = || StreamError::of(format!("changes of \"{uri}\" cannot be watched"));
        let (backend, known) = self.resources.find_at_server(uri).ok_or_else(unknown)?;
        self.told.add(backend.0, &known, uri, "")?;
        let told = Arc::downgrade(&self.told);
        let listener = Arc::new(ServerFeed { backend: backend.0, told });
        let executor = &self.resources.inner.executor;
        match Box::pin(executor.watch_server_resource(backend, &known, listener)).await {
            Ok(subscription) => {
                self.told.keep(backend.0, &known, uri, subscription);
                Ok(())
            }
            Err(error) => {
                self.forget(uri);
                Err(StreamError::of(error.for_model()))
            }
        }
    }

    /// Stops watching a URI.
    pub(crate) fn forget(&self, uri: &str) {
        if let Some(found) = self.resources.find(uri) {
            self.told.remove(found.backend.id.0, &found.id, uri);
            self.resources.clear(found.backend);
        } else if let Some((backend, known)) = self.resources.find_at_server(uri) {
            self.told.remove(backend.0, &known, uri);
        }
    }

    /// Waits until something has changed, and takes the URIs.
    pub(crate) async fn changed(&self) -> Vec<String> {
        loop {
            let mut news = std::pin::pin!(self.told.news.notified());
            news.as_mut().enable();
            let changed = std::mem::take(&mut self.told.lock().changed);
            if !changed.is_empty() {
                return changed;
            }
            news.await;
        }
    }

    /// Returns whether it watches what is among these resources.
    pub(crate) fn is_of(&self, resources: &ResourceHub) -> bool {
        Arc::ptr_eq(&self.resources.inner, &resources.inner)
    }

    /// Returns whether another MCP server has the resource of a URI.
    pub(crate) fn is_of_server(&self, uri: &str) -> bool {
        self.resources.find_at_server(uri).is_some()
    }

    /// Returns whether nothing is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.told.lock().count == 0
    }
}

impl Drop for ResourceWatcher {
    fn drop(&mut self) {
        *self.told.lock() = WatchedUris::default();
        for backend in &self.resources.inner.backends {
            self.resources.clear(backend);
        }
    }
}

impl WatcherState {
    fn lock(&self) -> MutexGuard<'_, WatchedUris> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        backend: usize,
        id: &str,
        uri: &str,
        collection: &str,
    ) -> Result<(), StreamError> {
        let mut state = self.lock();
        let key = (backend, id.to_owned());
        let mut known = state.uris.get(&key).into_iter().flatten();
        if known.any(|known| known.text == uri) {
            return Ok(());
        }
        let bytes = state.bytes + uri.len();
        if state.count >= MOST_URIS || bytes > MOST_URI_BYTES {
            return Err(StreamError::of(format!(
                "{} resources are watched already; there may be {MOST_URIS}, and their URIs may have \
                 {} KB together",
                state.count,
                MOST_URI_BYTES / 1024
            )));
        }
        let (text, collection) = (uri.to_owned(), collection.to_owned());
        let watched = WatchedUri { text, collection, subscription: None };
        state.uris.entry(key).or_default().push(watched);
        state.count += 1;
        state.bytes = bytes;
        Ok(())
    }

    /// Keeps what has a server tell of a resource, for as long as its URI is watched.
    fn keep(&self, backend: usize, id: &str, uri: &str, subscription: ResourceSubscription) {
        let mut state = self.lock();
        let uris = state.uris.get_mut(&(backend, id.to_owned()));
        if let Some(known) = uris.into_iter().flatten().find(|known| known.text == uri) {
            known.subscription = Some(subscription);
        }
    }

    fn remove(&self, backend: usize, id: &str, uri: &str) {
        let mut state = self.lock();
        let key = (backend, id.to_owned());
        let Some(uris) = state.uris.get_mut(&key) else { return };
        let before = uris.len();
        uris.retain(|known| known.text != uri);
        let (removed, is_empty) = (before - uris.len(), uris.is_empty());
        if is_empty {
            state.uris.remove(&key);
        }
        state.count -= removed;
        state.bytes -= removed * uri.len();
        state.changed.retain(|known| known != uri);
    }

    /// Notes that an object changed; without its collection, that of any.
    fn mark(&self, backend: usize, id: &str, collection: Option<&str>) {
        let mut state = self.lock();
        let WatchedUris { uris, changed, .. } = &mut *state;
        let Some(uris) = uris.get(&(backend, id.to_owned())) else { return };
        let of_it = |uri: &&WatchedUri| {
            collection.is_none_or(|collection| uri.collection.eq_ignore_ascii_case(collection))
        };
        for uri in uris.iter().filter(of_it) {
            if !changed.contains(&uri.text) {
                changed.push(uri.text.clone());
            }
        }
        drop(state);
        self.news.notify_waiters();
    }

    /// Notes that everything of a backend may have changed.
    fn mark_all(&self, backend: usize) {
        let mut state = self.lock();
        let WatchedUris { uris, changed, .. } = &mut *state;
        let known: HashSet<String> = changed.iter().cloned().collect();
        let of_backend = uris.iter().filter(|((owner, _), _)| *owner == backend);
        let all = of_backend.flat_map(|(_, uris)| uris).map(|uri| uri.text.clone());
        changed.extend(all.filter(|uri| !known.contains(uri)));
        drop(state);
        self.news.notify_waiters();
    }

    /// Returns the collections of a backend that are watched.
    fn collections(&self, backend: usize) -> HashSet<String> {
        let state = self.lock();
        let of_backend = state.uris.iter().filter(|((owner, _), _)| *owner == backend);
        of_backend.flat_map(|(_, uris)| uris).map(|uri| uri.collection.clone()).collect()
    }
}

impl ResourceHub {
    /// Adds a watcher to the stream of a backend, which is opened if it is not open.
    fn feed(
        &self,
        backend: &BackendResources,
        stream: &str,
        told: &Arc<WatcherState>,
        collection: &str,
    ) -> Result<Arc<FeedFanOut>, StreamError> {
        let mut feed = backend.lock();
        if let Some(feed) = feed.as_ref() {
            feed.fan.add(told);
            feed.fan.wait_for(collection);
            feed.wanted.add(collection);
            return Ok(Arc::clone(&feed.fan));
        }
        let ResourcesInner { executor, gate, .. } = &*self.inner;
        let admitted = gate.check(stream, Map::new()).and_then(PendingCall::admit);
        let admitted = admitted.map_err(|refusal| StreamError::of(refusal.to_string()))?;
        let source = StreamSource::new(executor, &admitted, &ClientKey::only())?;
        let fan = Arc::new(FeedFanOut {
            backend: backend.id.0,
            events: backend.events.clone(),
            told: Mutex::new(vec![Arc::clone(told)]),
            state: Mutex::default(),
            news: Notify::new(),
            is_broken: AtomicBool::new(false),
        });
        fan.wait_for(collection);
        let wanted = Arc::new(WantedCollections::new(vec![collection.to_owned()]));
        let (sink, names) = (Arc::clone(&fan), Arc::clone(&wanted));
        let task = crate::spawn::task(async move {
            loop {
                let (source, wanted) = (source.clone(), Arc::clone(&names));
                StreamReader { source, wanted, sink: Arc::clone(&sink) }.run(None).await;
                // Those who watch still want to know when it is possible again.
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        });
        let task = task.abort_handle();
        *feed = Some(SharedFeed { wanted, fan: Arc::clone(&fan), task });
        Ok(fan)
    }

    /// Closes the stream of a backend that nobody watches any more.
    fn clear(&self, backend: &BackendResources) {
        let mut feed = backend.lock();
        let Some(open) = feed.as_ref() else { return };
        let watched = open.fan.watched();
        if watched.is_empty() {
            *feed = None;
            return;
        }
        // The next connection is without the collections that nobody needs.
        for name in open.wanted.names() {
            if !watched.contains(&name) {
                open.wanted.remove(&name);
                open.fan.state().remove(&name);
            }
        }
    }
}

impl BackendResources {
    fn lock(&self) -> MutexGuard<'_, Option<SharedFeed>> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a watcher what another MCP server tells.
struct ServerFeed {
    backend: usize,
    told: Weak<WatcherState>,
}

impl UpdateListener for ServerFeed {
    fn updated(&self, uri: &str) {
        if let Some(told) = self.told.upgrade() {
            told.mark(self.backend, uri, None);
        }
    }
}

/// Tells all watchers of a backend what its stream brings.
#[derive(Debug)]
struct FeedFanOut {
    backend: usize,
    events: EventRules,
    told: Mutex<Vec<Arc<WatcherState>>>,
    /// Whether the changes of a collection come, or why not; nothing while that is not known.
    state: Mutex<HashMap<String, Option<Result<(), StreamError>>>>,
    news: Notify,
    /// Whether changes may have been missed.
    is_broken: AtomicBool,
}

impl FeedFanOut {
    fn told(&self) -> MutexGuard<'_, Vec<Arc<WatcherState>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, HashMap<String, Option<Result<(), StreamError>>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, told: &Arc<WatcherState>) {
        let mut all = self.told();
        if !all.iter().any(|known| Arc::ptr_eq(known, told)) {
            all.push(Arc::clone(told));
        }
    }

    /// Returns the collections that are watched; who watches nothing leaves.
    fn watched(&self) -> HashSet<String> {
        let mut all = self.told();
        all.retain(|told| !told.collections(self.backend).is_empty());
        all.iter().flat_map(|told| told.collections(self.backend)).collect()
    }

    /// Begins to wait for a collection that did not come before.
    fn wait_for(&self, collection: &str) {
        let mut state = self.state();
        if !matches!(state.get(collection), Some(Some(Ok(())))) {
            state.insert(collection.to_owned(), None);
        }
    }

    /// Waits until it is known whether the changes of a collection come.
    async fn ready(&self, collection: &str) -> Result<(), StreamError> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            if let Some(Some(outcome)) = self.state().get(collection) {
                return outcome.clone();
            }
            news.await;
        }
    }

    /// Answers those who wait for a collection that is not there.
    fn fail(&self, reason: &str) {
        self.is_broken.store(true, Ordering::Relaxed);
        let error = StreamError::of(reason);
        for outcome in self.state().values_mut() {
            if !matches!(outcome, Some(Ok(()))) {
                *outcome = Some(Err(error.clone()));
            }
        }
        self.news.notify_waiters();
    }
}

impl StreamSink for FeedFanOut {
    async fn items(&self, items: JsonText) {
        let EventRules { changes, object, collection, .. } = &self.events;
        for item in items.items().into_iter().flatten() {
            let kind = source::item_member(item, "event").and_then(scan::unquote);
            let is_change = kind.is_some_and(|kind| changes.iter().any(|change| *change == kind));
            let id = object.as_ref().filter(|_| is_change).and_then(|path| path.look(item));
            let Some(id) = id.and_then(source::identifier_text) else { continue };
            let collection = collection.as_ref().and_then(|path| path.look(item));
            // One that is not watched under this name says nothing: an object has one identifier.
            let known = |name: &Cow<'_, str>| self.events.reader(name).is_some();
            let collection = collection.and_then(scan::unquote).filter(known);
            for told in self.told().iter() {
                told.mark(self.backend, &id, collection.as_deref());
            }
        }
    }

    fn interrupted(&self, reason: &str) {
        self.fail(reason);
    }

    fn resumed(&self, _: &StreamGap) {}

    fn subscribed(&self, collection: &str, outcome: Result<(), &StreamError>) {
        if let Err(error) = outcome {
            tracing::warn!(%error, "changes of {collection} cannot be watched");
        }
        self.state().insert(collection.to_owned(), Some(outcome.map_err(StreamError::clone)));
        self.news.notify_waiters();
        if outcome.is_ok() && self.is_broken.swap(false, Ordering::Relaxed) {
            for told in self.told().iter() {
                told.mark_all(self.backend);
            }
        }
    }

    fn ended(&self, reason: &str) {
        tracing::warn!(reason, "changes cannot be watched");
        self.fail(reason);
    }
}
