//! The few objects that are listed: some hosts read nothing else.
//!
//! A descriptor says of which kinds, and which tool lists them. Its calls pass the gate like any other.
//! An API that does not answer in time costs a moment and its objects, not the list.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dadl_text::text::{one_line, text_head};
use futures_util::future::join_all;
use rmcp::{
    RoleServer,
    model::{MetaObject, Resource, ResourceContents},
    service::RequestContext,
};
use serde_json::Map;
use tokio::time::Instant;

use super::{HttpServer, completions};
use crate::{gate::PendingCall, live::watch::ObjectKind};

/// How long a list is kept.
const KEPT: Duration = Duration::from_secs(60);
/// How long one is kept that lacks what an API did not give in time.
const KEPT_PART: Duration = Duration::from_secs(10);
/// How long an API may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many kinds are listed.
const MOST_KINDS: usize = 16;
/// So many objects of a kind.
const MOST_OF_A_KIND: usize = 25;
/// So many objects in all.
const MOST_OBJECTS: usize = 50;
/// So much of a name is shown, in bytes.
const LONGEST_NAME: usize = 80;
/// What programs read about an object that was listed and cannot be read, below `_meta`.
const META_ERROR: &str = "dadl-mcp/error";

/// What is listed, as of the last look.
#[derive(Default)]
pub(super) struct ListedResources {
    kept: Mutex<KeptListing>,
    /// Who asks meanwhile waits for the list that is being made.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct KeptListing {
    until: Option<Instant>,
    objects: Arc<[Resource]>,
}

impl ListedResources {
    /// Lists the objects.
    pub(super) async fn objects(
        &self,
        server: &HttpServer,
        context: &RequestContext<RoleServer>,
    ) -> Arc<[Resource]> {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => match self.stale() {
                // Somebody asks already: who has an older list waits for no API.
                Some(objects) => return objects,
                None => self.turn.lock().await,
            },
        };
        if let Some(objects) = self.fresh() {
            return objects;
        }
        let kinds = server.objects().resources().listed().take(MOST_KINDS);
        let lists = join_all(kinds.map(|(kind, call)| of_kind(server, kind, call, context))).await;
        let is_whole = lists.iter().all(Option::is_some);
        let objects: Arc<[Resource]> =
            lists.into_iter().flatten().flatten().take(MOST_OBJECTS).collect();
        let until = Instant::now() + if is_whole { KEPT } else { KEPT_PART };
        *self.kept() = KeptListing { until: Some(until), objects: Arc::clone(&objects) };
        objects
    }

    /// Returns what is said in the place of an object that was listed and cannot be read: who reads all
    /// that is listed goes on with the rest. `None` for what was not listed.
    pub(super) fn instead_of(&self, uri: &str, error: &str) -> Option<ResourceContents> {
        self.kept().objects.iter().find(|listed| listed.uri == uri)?;
        let meta = Map::from_iter([(META_ERROR.to_owned(), error.into())]);
        let contents = ResourceContents::text(error, uri).with_mime_type("text/plain");
        Some(contents.with_meta(MetaObject(meta)))
    }

    fn stale(&self) -> Option<Arc<[Resource]>> {
        let kept = self.kept();
        kept.until.map(|_| Arc::clone(&kept.objects))
    }

    fn fresh(&self) -> Option<Arc<[Resource]>> {
        let kept = self.kept();
        let is_fresh = kept.until.is_some_and(|until| Instant::now() < until);
        is_fresh.then(|| Arc::clone(&kept.objects))
    }

    fn kept(&self) -> MutexGuard<'_, KeptListing> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists the objects of a kind; `None` when the API does not in time.
async fn of_kind(
    server: &HttpServer,
    kind: ObjectKind<'_>,
    call: PendingCall<'_>,
    context: &RequestContext<RoleServer>,
) -> Option<Vec<Resource>> {
    let list = completions::list_values(server, call, context);
    let Ok(list) = tokio::time::timeout(PATIENCE, list).await else {
        tracing::debug!(kind = kind.collection(), "no objects are listed in time");
        return None;
    };
    let known = completions::read_values(&list?, &kind.id_members());
    let resource = |known: completions::KnownValue| {
        let name = if known.name.is_empty() { &known.value } else { &known.name };
        let text = format!("A {} of backend {}", kind.collection(), kind.backend());
        Resource::new(kind.uri(&known.value), text_head(&one_line(name), LONGEST_NAME).to_owned())
            .with_description(one_line(&text).into_owned())
            .with_mime_type("application/json")
    };
    Some(known.into_iter().take(MOST_OF_A_KIND).map(resource).collect())
}
