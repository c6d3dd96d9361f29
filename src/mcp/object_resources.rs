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

use dadl_text::text::one_line;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use rmcp::{
    ErrorData, RoleServer,
    model::{ResourceTemplate, ResourceUpdatedNotificationParam, SubscriptionFilter},
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

/// The resources of a server, and who watches them.
pub(super) struct ObjectResources {
    resources: ResourceHub,
    listed: ListedResources,
    /// By session, for clients before 2026-07-28.
    sessions: Arc<Mutex<HashMap<String, WatchSession>>>,
}

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
        Self { resources, listed: ListedResources::default(), sessions: Arc::default() }
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
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !self.resources.is_watchable(uri) {
            return Err(file_resources::unknown_resource(uri));
        }
        let client = client_key(&context.extensions);
        let watcher = self.watcher(&client, &context.peer).map_err(resource_error)?;
        let watched = tokio::select! {
            watched = watcher.watch(uri) => watched.map_err(resource_error),
            () = context.ct.cancelled() => {
                watcher.forget(uri);
                Err(ErrorData::internal_error("the subscription was cancelled", None))
            }
        };
        if watched.is_err() {
            self.leave(&client.session);
        }
        watched
    }

    /// Stops watching a resource.
    pub(super) fn unsubscribe(&self, uri: &str, context: &RequestContext<RoleServer>) {
        let session = client_key(&context.extensions).session;
        let watcher = self.sessions().get(&session).map(|known| Arc::clone(&known.watcher));
        if let Some(watcher) = watcher {
            watcher.forget(uri);
            self.leave(&session);
        }
    }

    /// Forgets a session that watches nothing.
    fn leave(&self, session: &str) {
        let mut sessions = self.sessions();
        let gone = match sessions.get(session) {
            Some(known) if known.watcher.is_empty() => sessions.remove(session),
            _ => None,
        };
        drop(sessions);
        drop(gone);
    }

    fn watcher(
        &self,
        client: &ClientKey,
        peer: &Peer<RoleServer>,
    ) -> Result<Arc<ResourceWatcher>, StreamError> {
        let session = client.session.as_str();
        let mut sessions = self.sessions();
        if let Some(known) = sessions.get(session) {
            return Ok(Arc::clone(&known.watcher));
        }
        let watcher = Arc::new(self.resources.watcher(client)?);
        let (told, peer, name) = (Arc::clone(&watcher), peer.clone(), session.to_owned());
        let all = Arc::downgrade(&self.sessions);
        let task = tokio::spawn(async move {
            tell_changes(&told, &peer).await;
            // The client is gone.
            let all = all.upgrade();
            let gone = all
                .and_then(|all| all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name));
            drop(gone);
        });
        let known = WatchSession { watcher: Arc::clone(&watcher), task: task.abort_handle() };
        sessions.insert(session.to_owned(), known);
        Ok(watcher)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, WatchSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
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
