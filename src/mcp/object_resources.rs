//! Objects of backends as resources: what has a URI, and tells when it changes. Resources of other MCP servers
//! are watched in the same way.
//!
//! A client before 2026-07-28 subscribes to one URI at a time and is told on its session; a later one
//! lists all of them in one `subscriptions/listen`, which lasts as long as it wants to be told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dadl_text::text::{one_line, quoted_text};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use rmcp::{
    ErrorData, RoleServer,
    model::{ErrorCode, ResourceTemplate, ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{Peer, RequestContext, SubscriptionContext},
};
use tokio::task::AbortHandle;

use super::{file_resources, listed_resources::ListedResources, request_owner::client_key};
use crate::{
    live::{
        StreamError,
        watch::{MOST_URIS, ResourceHub, ResourceWatcher},
    },
    shares::ClientKey,
};

/// The least time between two notifications about the same resource.
const INTERVAL: Duration = Duration::from_millis(500);
/// When a server is asked once more that did not want to tell.
const AGAIN: Duration = Duration::from_secs(60);
/// So many resources are asked for at the same time.
const AT_ONCE: usize = 32;
/// How often it is looked whether a client that is told nothing is still there.
const LOOK: Duration = Duration::from_secs(30);

/// So much of a URI is said, in characters.
const LONGEST_URI: usize = 200;

/// The resources of a server, and who watches them.
pub(super) struct ObjectResources {
    resources: ResourceHub,
    listed: ListedResources,
}

/// What clients before 2026-07-28 watch, by session; a clone has the same. It outlives the resources of a
/// moment: what was subscribed to of earlier ones goes on.
#[derive(Clone, Default)]
pub(super) struct WatchSessions(Arc<Mutex<HashMap<String, Vec<WatchSession>>>>);

/// What one session watches; the task that tells it ends with it.
struct WatchSession {
    watcher: Arc<ResourceWatcher>,
    task: AbortHandle,
}

impl Drop for WatchSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ObjectResources {
    pub(super) fn new(resources: ResourceHub) -> Self {
        Self { resources, listed: ListedResources::default() }
    }

    /// Returns whether clients can subscribe to anything.
    pub(super) fn can_watch(&self) -> bool {
        self.resources.can_watch()
    }

    /// Returns what can be read.
    pub(super) fn resources(&self) -> &ResourceHub {
        &self.resources
    }

    /// Returns the few objects that are listed.
    pub(super) fn listed(&self) -> &ListedResources {
        &self.listed
    }

    /// Returns whether there is any kind of resources: this is asked for each request without a session.
    pub(super) fn has_templates(&self) -> bool {
        self.resources.templates().next().is_some()
    }

    /// Lists the kinds of resources; most objects are too many to be listed.
    pub(super) fn templates(&self) -> impl Iterator<Item = ResourceTemplate> {
        self.resources.templates().map(|it| {
            let uri = format!("{}://{}/{{id}}", it.scheme, it.collection);
            let name = format!("{}-{}", it.scheme, it.collection);
            let text =
                format!("A {} of backend {}, as {} reads it", it.collection, it.backend, it.tool);
            ResourceTemplate::new(uri, name)
                .with_title(one_line(it.collection).into_owned())
                .with_description(one_line(&text).into_owned())
                .with_mime_type("application/json")
        })
    }

    /// Watches a resource for a session.
    pub(super) async fn subscribe(
        &self,
        uri: &str,
        sessions: &WatchSessions,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !self.resources.is_watchable(uri) {
            return Err(self.unwatchable(uri));
        }
        let client = client_key(&context.extensions);
        let watcher = sessions.watcher(&self.resources, &client, &context.peer);
        let watcher = watcher.map_err(resource_error)?;
        let watched = tokio::select! {
            watched = watcher.watch(uri) => watched.map_err(resource_error),
            () = context.ct.cancelled() => {
                watcher.forget(uri);
                Err(ErrorData::internal_error("the subscription was cancelled", None))
            }
        };
        if watched.is_err() {
            sessions.leave(&client.session);
        }
        watched
    }

    /// Says why a resource cannot be watched.
    fn unwatchable(&self, uri: &str) -> ErrorData {
        if !self.resources.leads_somewhere(uri) {
            return file_resources::unknown_resource(uri);
        }
        let why = format!(
            "changes of {} are not told, so that nobody can subscribe to it; read it again to see them",
            quoted_text(uri, LONGEST_URI)
        );
        match self.resources.can_watch() {
            true => ErrorData::invalid_params(why, None),
            false => {
                let why = format!("Method not found: {why}");
                ErrorData::new(ErrorCode::METHOD_NOT_FOUND, why, None)
            }
        }
    }

    /// Returns what of a request to listen can be done.
    pub(super) fn accepted(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        if !self.resources.can_watch() {
            return None;
        }
        let uris = requested.resource_subscriptions.iter().flatten();
        let known = uris.filter(|uri| self.resources.is_watchable(uri)).take(MOST_URIS);
        let builder = SubscriptionFilter::builder();
        Some(builder.resource_subscriptions(known.cloned()).build())
    }

    /// Tells a client what changes, for as long as it listens.
    pub(super) async fn listen(&self, context: &SubscriptionContext) -> Result<(), ErrorData> {
        let accepted = context.accepted().resource_subscriptions.as_deref().unwrap_or_default();
        if accepted.is_empty() {
            context.cancelled().await;
            return Ok(());
        }
        let client = client_key(&context.request_context().extensions);
        let watcher = self.resources.watcher(&client).map_err(resource_error)?;
        let sink = context.sink();
        let told = async {
            let mut missing = watch_all(&watcher, accepted).await?;
            // The library has acknowledged before any of them was watched: what changed since then,
            // nobody saw.
            for uri in accepted {
                if sink.notify_resource_updated(uri.clone()).await.is_err() {
                    return Ok(());
                }
            }
            loop {
                let changed = match missing.is_empty() {
                    true => watcher.changed().await,
                    false => tokio::select! {
                        changed = watcher.changed() => changed,
                        () = tokio::time::sleep(AGAIN) => {
                            let tried = std::mem::take(&mut missing);
                            missing = watch_all(&watcher, &tried).await?;
                            // What changed until now, nobody saw.
                            tried.into_iter().filter(|uri| !missing.contains(uri)).collect()
                        }
                    },
                };
                for uri in changed {
                    if sink.notify_resource_updated(uri).await.is_err() {
                        return Ok(());
                    }
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::select! {
            told = told => told,
            () = context.cancelled() => Ok(()),
        }
    }
}

impl WatchSessions {
    /// Stops watching a resource.
    pub(super) fn unsubscribe(&self, uri: &str, context: &RequestContext<RoleServer>) {
        let session = client_key(&context.extensions).session;
        let watchers: Vec<Arc<ResourceWatcher>> = {
            let all = self.lock();
            let known = all.get(&session).into_iter().flatten();
            known.map(|known| Arc::clone(&known.watcher)).collect()
        };
        watchers.iter().for_each(|watcher| watcher.forget(uri));
        self.leave(&session);
    }

    /// Forgets what watches nothing in a session.
    fn leave(&self, session: &str) {
        let mut all = self.lock();
        let Some(known) = all.get_mut(session) else { return };
        let (gone, left) = std::mem::take(known).into_iter().partition(|it| it.watcher.is_empty());
        *known = left;
        if known.is_empty() {
            all.remove(session);
        }
        drop(all);
        // They take their locks.
        let gone: Vec<WatchSession> = gone;
        drop(gone);
    }

    fn watcher(
        &self,
        resources: &ResourceHub,
        client: &ClientKey,
        peer: &Peer<RoleServer>,
    ) -> Result<Arc<ResourceWatcher>, StreamError> {
        let session = client.session.as_str();
        let mut all = self.lock();
        let mut known = all.get(session).into_iter().flatten();
        if let Some(known) = known.find(|known| known.watcher.is_of(resources)) {
            return Ok(Arc::clone(&known.watcher));
        }
        let watcher = Arc::new(resources.watcher(client)?);
        let (told, peer, name) = (Arc::clone(&watcher), peer.clone(), session.to_owned());
        let sessions = Arc::downgrade(&self.0);
        let task = crate::spawn::task(async move {
            tell_changes(&told, &peer).await;
            // The client is gone.
            let all = sessions.upgrade();
            let gone = all
                .and_then(|all| all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name));
            drop(gone);
        });
        let known = WatchSession { watcher: Arc::clone(&watcher), task: task.abort_handle() };
        all.entry(session.to_owned()).or_default().push(known);
        Ok(watcher)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<WatchSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches resources; returns those whose server is down, or does not want to tell: who listens to several
/// backends is told of the others all the same.
async fn watch_all(watcher: &ResourceWatcher, uris: &[String]) -> Result<Vec<String>, ErrorData> {
    let watched: Vec<BoxFuture<'_, _>> =
        uris.iter().map(|uri| watcher.watch(uri).boxed()).collect();
    let watched = futures_util::stream::iter(watched).buffered(AT_ONCE).collect::<Vec<_>>().await;
    let mut missing = Vec::new();
    for (uri, outcome) in uris.iter().zip(watched) {
        match outcome {
            Ok(()) => {}
            Err(error) if watcher.is_of_server(uri) => {
                tracing::warn!(%error, "a resource cannot be watched");
                missing.push(uri.clone());
            }
            Err(error) => return Err(resource_error(error)),
        }
    }
    Ok(missing)
}

/// Tells a session what changes until its client is gone.
async fn tell_changes(watcher: &ResourceWatcher, peer: &Peer<RoleServer>) {
    loop {
        let changed = match tokio::time::timeout(LOOK, watcher.changed()).await {
            Ok(changed) => changed,
            Err(_) if peer.is_transport_closed() => return,
            Err(_) => continue,
        };
        for uri in changed {
            let update = ResourceUpdatedNotificationParam::new(uri);
            if peer.notify_resource_updated(update).await.is_err() {
                return;
            }
        }
        // What changes meanwhile is told after this, once.
        tokio::time::sleep(INTERVAL).await;
    }
}

fn resource_error(error: StreamError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
