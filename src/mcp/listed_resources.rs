//! The few objects that are listed: some hosts read nothing else.
//!
//! A descriptor says of which kinds, and which tool lists them. The list is kept for a while; an API
//! that does not answer in time costs a moment and its objects, not the list.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::model::{MetaObject, Resource, ResourceContents};
use serde_json::Map;
use tokio::time::Instant;

/// How long a list is kept.
const KEPT: Duration = Duration::from_secs(60);
/// How long one is kept that lacks what an API did not give in time.
const KEPT_PART: Duration = Duration::from_secs(10);
/// So many objects in all.
const MOST_OBJECTS: usize = 50;
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
    /// Returns the list; `listing` asks for it anew, kind by kind, and gives `None` for what was not to
    /// be had in time.
    pub(super) async fn objects(
        &self,
        listing: impl Future<Output = Vec<Option<Vec<Resource>>>>,
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
        let lists = listing.await;
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
