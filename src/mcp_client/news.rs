//! What a server tells without being asked: which of its lists changed, and which resources.
//!
//! Lists are counted. Resources are told to those who watch them: one subscription at the server serves all
//! of them, so that what a server tells is looked up here and goes to nobody else. Nothing is kept of a
//! flood but that there was one.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dadl_text::json::scan;
use rmcp::model::RequestId;
use tokio::sync::watch;

use super::{error::ServerFault, pages::OpenPages};

/// So many resources of a server are watched at the same time.
const MOST_WATCHED: usize = 4096;

/// So much is read of a notification, in bytes.
const LARGEST_NOTICE: usize = 64 * 1024;

/// A URI is looked for with so many of its last segments taken away.
const MOST_SEGMENTS: usize = 32;

/// What is known of the last subscriptions is kept for so many.
const KEPT_LISTENS: usize = 4;

/// How often a server said that a list of its has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListChanges {
    /// That of its tools.
    pub tools: u64,
    /// That of its prompts.
    pub prompts: u64,
    /// Those of its resources and templates.
    pub resources: u64,
}

/// Hears that a resource has changed; must not block.
pub trait UpdateListener: Send + Sync {
    /// Tells that the resource of this URI has changed, or may have; the URI is the one that is watched.
    fn updated(&self, uri: &str);
}

/// What a server tells; a clone hears the same.
#[derive(Clone, Default)]
pub(super) struct ServerNews(Arc<NewsInner>);

struct NewsInner {
    changes: watch::Sender<u64>,
    lists: watch::Sender<ListChanges>,
    watched: Mutex<WatchedTable>,
    /// Grows when another resource is watched, or one no more.
    version: watch::Sender<u64>,
    listens: watch::Sender<VecDeque<(RequestId, ListenNews)>>,
    pages: OpenPages,
}

impl Default for NewsInner {
    fn default() -> Self {
        Self {
            changes: watch::channel(0).0,
            lists: watch::channel(ListChanges::default()).0,
            watched: Mutex::default(),
            version: watch::channel(0).0,
            listens: watch::channel(VecDeque::new()).0,
            pages: OpenPages::default(),
        }
    }
}

/// What became of a `subscriptions/listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListenNews {
    /// The server tells of these resources.
    Accepted(Vec<String>),
    /// The server tells nothing more.
    Ended,
}

/// Whether the server tells of a resource, or why not; nothing while that is not known.
pub(super) type SubscribeOutcome = Option<Result<(), ServerFault>>;

#[derive(Default)]
struct WatchedTable {
    resources: HashMap<String, WatchedResource>,
    last_number: u64,
}

struct WatchedResource {
    listeners: Vec<(u64, Arc<dyn UpdateListener>)>,
    outcome: watch::Sender<SubscribeOutcome>,
    /// Whether changes may have been missed since it was told last.
    is_stale: bool,
}

/// A resource that is watched; dropping it ends that.
pub struct ResourceSubscription {
    news: ServerNews,
    uri: String,
    number: u64,
}

impl fmt::Debug for ResourceSubscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ResourceSubscription").field(&self.uri).finish()
    }
}

impl Drop for ResourceSubscription {
    fn drop(&mut self) {
        let mut table = self.news.lock();
        let Some(watched) = table.resources.get_mut(&self.uri) else { return };
        watched.listeners.retain(|(number, _)| *number != self.number);
        if watched.listeners.is_empty() {
            table.resources.remove(&self.uri);
            drop(table);
            self.news.wake();
        }
    }
}

impl ServerNews {
    /// Returns what counts how often the server said that any list of its has changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Returns what counts them list by list.
    pub(super) fn list_changes(&self) -> watch::Receiver<ListChanges> {
        self.0.lists.subscribe()
    }

    /// Takes a notification; returns whether it is one of those that are told here.
    pub(super) fn take(&self, method: &str, params: &str) -> bool {
        match method {
            "notifications/tools/list_changed" => self.count(|lists| &mut lists.tools),
            "notifications/prompts/list_changed" => self.count(|lists| &mut lists.prompts),
            "notifications/resources/list_changed" => self.count(|lists| &mut lists.resources),
            "notifications/resources/updated" => {
                if let Some(uri) = member::<String>(params, &["uri"]) {
                    self.tell(&uri);
                }
            }
            "notifications/elicitation/complete" => {
                if let Some(id) = member::<String>(params, &["elicitationId"]) {
                    self.0.pages.done(&id);
                }
            }
            "notifications/subscriptions/acknowledged" => {
                let id = member(params, &["_meta", "io.modelcontextprotocol/subscriptionId"]);
                let uris = member(params, &["notifications", "resourceSubscriptions"]);
                if let Some(id) = id {
                    self.note(id, ListenNews::Accepted(uris.unwrap_or_default()));
                }
            }
            _ => return false,
        }
        true
    }

    /// Returns the pages that were asked for.
    pub(super) fn pages(&self) -> &OpenPages {
        &self.0.pages
    }

    /// Notes that the server ended a request that may be a subscription.
    pub(super) fn ended(&self, id: &RequestId) {
        self.note(id.clone(), ListenNews::Ended);
    }

    /// Returns what becomes of subscriptions.
    pub(super) fn listens(&self) -> watch::Receiver<VecDeque<(RequestId, ListenNews)>> {
        self.0.listens.subscribe()
    }

    /// Has `listener` told of a resource, as soon as the server tells of it.
    ///
    /// # Errors
    ///
    /// [`ServerFault::TooManyWatched`]
    pub(super) fn watch(
        &self,
        uri: &str,
        listener: Arc<dyn UpdateListener>,
    ) -> Result<(ResourceSubscription, watch::Receiver<SubscribeOutcome>), ServerFault> {
        let mut table = self.lock();
        let WatchedTable { resources, last_number } = &mut *table;
        if resources.len() >= MOST_WATCHED && !resources.contains_key(uri) {
            return Err(ServerFault::TooManyWatched(MOST_WATCHED));
        }
        *last_number += 1;
        let number = *last_number;
        let watched = resources.entry(uri.to_owned()).or_insert_with(|| WatchedResource {
            listeners: Vec::new(),
            outcome: watch::channel(None).0,
            is_stale: false,
        });
        watched.listeners.push((number, listener));
        if matches!(&*watched.outcome.borrow(), Some(Err(_))) {
            // It is asked for once more.
            watched.outcome.send_replace(None);
        }
        let outcome = watched.outcome.subscribe();
        drop(table);
        self.wake();
        Ok((ResourceSubscription { news: self.clone(), uri: uri.to_owned(), number }, outcome))
    }

    /// Returns whether anything is watched.
    pub(super) fn is_watched(&self) -> bool {
        !self.lock().resources.is_empty()
    }

    /// Returns the URIs that are watched, and whether it is known what the server says to each.
    pub(super) fn watched(&self) -> HashMap<String, bool> {
        let table = self.lock();
        let known = |it: &WatchedResource| it.outcome.borrow().is_some();
        table.resources.iter().map(|(uri, it)| (uri.clone(), known(it))).collect()
    }

    /// Returns what counts the changes of what is watched.
    pub(super) fn version(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Notes what the server says to a resource; who watched it before is told that it may have changed.
    pub(super) fn settle(&self, uri: &str, outcome: Result<(), ServerFault>) {
        let is_open = outcome.is_ok();
        let mut table = self.lock();
        let Some(watched) = table.resources.get_mut(uri) else { return };
        watched.outcome.send_replace(Some(outcome));
        let is_late = is_open && std::mem::take(&mut watched.is_stale);
        drop(table);
        if is_late {
            self.tell(uri);
        }
    }

    /// Notes that the server tells of nothing any more.
    pub(super) fn lose(&self) {
        // The next process counts its requests anew.
        self.0.listens.send_replace(VecDeque::new());
        for watched in self.lock().resources.values_mut() {
            watched.is_stale |= matches!(&*watched.outcome.borrow(), Some(Ok(())));
            watched.outcome.send_replace(None);
        }
    }

    /// Tells that a resource has changed: those who watch it, or what it is a part of.
    fn tell(&self, uri: &str) {
        let told = {
            let table = self.lock();
            let mut places = parts_above(uri).filter_map(|it| table.resources.get_key_value(it));
            places.next().map(|(uri, watched)| {
                let listeners = watched.listeners.iter().map(|(_, it)| Arc::clone(it));
                (uri.clone(), listeners.collect::<Vec<_>>())
            })
        };
        // Whoever is told may end what it watches.
        let Some((uri, listeners)) = told else { return };
        listeners.iter().for_each(|listener| listener.updated(&uri));
    }

    /// Notes that all lists may have become others unseen.
    pub(super) fn lists_may_differ(&self) {
        self.0.lists.send_modify(|lists| {
            lists.tools += 1;
            lists.prompts += 1;
            lists.resources += 1;
        });
        self.0.changes.send_modify(|count| *count += 1);
    }

    fn count(&self, list: impl FnOnce(&mut ListChanges) -> &mut u64) {
        self.0.lists.send_modify(|lists| *list(lists) += 1);
        self.0.changes.send_modify(|count| *count += 1);
    }

    fn note(&self, id: RequestId, news: ListenNews) {
        self.0.listens.send_modify(|listens| {
            listens.push_back((id, news));
            if listens.len() > KEPT_LISTENS {
                listens.pop_front();
            }
        });
    }

    fn wake(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, WatchedTable> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a URI, and what it is a part of: with the last segments taken away, and with and without a slash
/// at the end, which some libraries add.
fn parts_above(uri: &str) -> impl Iterator<Item = &str> {
    let starts = uri.rmatch_indices('/').take(MOST_SEGMENTS);
    let above = starts.flat_map(move |(at, _)| [uri.get(..=at), uri.get(..at)]);
    std::iter::once(uri).chain(above.flatten())
}

/// Reads a member of the parameters of a notification.
fn member<Member: serde::de::DeserializeOwned>(params: &str, path: &[&str]) -> Option<Member> {
    if params.len() > LARGEST_NOTICE {
        return None;
    }
    let params = scan::compact_in_place(params.to_owned());
    serde_json::from_str(scan::member_at(&params, path)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl UpdateListener for Told {
        fn updated(&self, uri: &str) {
            self.0.lock().unwrap().push(uri.to_owned());
        }
    }

    impl Told {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    fn updated(news: &ServerNews, uri: &str) {
        let params = json!({ "uri": uri }).to_string();
        assert!(news.take("notifications/resources/updated", &params));
    }

    #[test]
    fn who_watches_a_resource_is_told_of_it_and_of_its_parts() {
        let (news, told) = (ServerNews::default(), Arc::new(Told::default()));
        let (first, _) = news.watch("note://a", told.clone()).unwrap();
        let other = Arc::new(Told::default());
        let (second, _) = news.watch("note://a", other.clone()).unwrap();
        for uri in ["note://a", "note://a/", "note://a/b/c", "note://ab", "note://b", "", "/"] {
            updated(&news, uri);
        }
        assert_eq!(told.take(), ["note://a"; 3]);
        assert_eq!(other.take(), ["note://a"; 3]);
        drop(first);
        assert!(news.is_watched());
        updated(&news, "note://a");
        assert_eq!((told.take().len(), other.take().len()), (0, 1));
        drop(second);
        assert!(!news.is_watched());
        updated(&news, "note://a");
        assert_eq!(other.take().len(), 0);
    }

    #[test]
    fn what_was_missed_is_told() {
        let (news, told) = (ServerNews::default(), Arc::new(Told::default()));
        let (_watched, outcome) = news.watch("a:b", told.clone()).unwrap();
        news.settle("a:b", Ok(()));
        assert_eq!(*outcome.borrow(), Some(Ok(())));
        assert_eq!(told.take().len(), 0);
        news.lose();
        assert_eq!(*outcome.borrow(), None);
        news.settle("a:b", Err(ServerFault::Stopped));
        assert_eq!(told.take().len(), 0);
        news.settle("a:b", Ok(()));
        assert_eq!(told.take(), ["a:b"]);
        news.settle("a:b", Ok(()));
        assert_eq!(told.take().len(), 0);
    }

    #[test]
    fn lists_are_counted_each_by_itself() {
        let news = ServerNews::default();
        assert!(news.take("notifications/tools/list_changed", ""));
        assert!(news.take("notifications/resources/list_changed", "{}"));
        assert!(!news.take("notifications/roots/list_changed", "{}"));
        let expected = ListChanges { tools: 1, prompts: 0, resources: 1 };
        assert_eq!((*news.list_changes().borrow(), *news.changes().borrow()), (expected, 2));
    }

    #[test]
    fn there_are_so_many_at_most() {
        let (news, told) = (ServerNews::default(), Arc::new(Told::default()));
        let watch = |number: usize| news.watch(&format!("a:{number}"), told.clone());
        let all: Vec<_> = (0..MOST_WATCHED).map(|number| watch(number).unwrap()).collect();
        assert!(matches!(watch(MOST_WATCHED), Err(ServerFault::TooManyWatched(_))));
        assert!(watch(0).is_ok());
        drop(all);
        assert!(watch(MOST_WATCHED).is_ok());
    }
}
