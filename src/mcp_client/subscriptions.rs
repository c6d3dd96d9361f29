//! Keeps a server telling of the resources that are watched, for as long as the server lives.
//!
//! A server up to 2025-11-25 is asked for one resource at a time. A later one is asked for all of them in one
//! request, together with the changes of its lists; where another resource is watched, a new request takes
//! the place of the old one, which ends when the new one is acknowledged.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use rmcp::{
    RoleClient,
    model::{
        ClientRequest, GetExtensions as _, Request, ServerPeerInfo, SubscribeRequestParams,
        SubscriptionFilter, SubscriptionsListenRequest, SubscriptionsListenRequestParams,
        UnsubscribeRequestParams,
    },
    service::{Peer, PeerRequestOptions, RequestHandle},
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{
    call_slot::CallSlot, error::ServerFault, line_transport::Connection, news::ListenNews,
    session::Session, settings::ServerEra,
};

/// How long a server may take to begin, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a server is asked once more that refused, and the longest pause after a subscription that ended.
const AGAIN: Duration = Duration::from_secs(60);

/// The first pause after a subscription that ended by itself; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// So many requests are under way at the same time.
const MOST_ASKED: usize = 32;

/// Keeps the subscriptions at a server that has introduced itself.
pub(super) struct SubscriptionKeeper {
    peer: Peer<RoleClient>,
    connection: Connection,
    era: ServerEra,
    info: Arc<ServerPeerInfo>,
}

/// How far a resource is at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpstreamState {
    Asked,
    Open,
    Refused(Instant),
}

/// What a resource was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Subscribe,
    Unsubscribe,
}

type AskedResource<'keeper> = BoxFuture<'keeper, (String, Asked, Result<(), ServerFault>)>;

impl Session {
    /// Makes what keeps the subscriptions at this server; it does not keep the server alive.
    pub(super) fn keeper(&self) -> SubscriptionKeeper {
        SubscriptionKeeper {
            peer: self.peer.clone(),
            connection: self.connection.clone(),
            era: self.era,
            info: Arc::clone(&self.info),
        }
    }

    /// Returns whether the server tells of changes of its resources.
    pub(super) fn can_subscribe(&self) -> bool {
        self.info.capabilities.resources.as_ref().is_some_and(|it| it.subscribe == Some(true))
    }
}

impl SubscriptionKeeper {
    /// Runs until the server is gone.
    pub(super) async fn run(self) {
        let ended = self.connection.ended.clone();
        // What an earlier process of the server told is told no more.
        self.connection.news.lose();
        let kept = async {
            match self.era {
                ServerEra::Initialize => self.keep_each().await,
                ServerEra::Discover => self.keep_listening().await,
            }
        };
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            () = kept => {}
        }
    }

    /// Asks for one resource at a time, and does not return.
    async fn keep_each(&self) {
        let news = &self.connection.news;
        let mut version = news.version();
        let mut upstream: HashMap<String, UpstreamState> = HashMap::new();
        let mut asked: FuturesUnordered<AskedResource<'_>> = FuturesUnordered::new();
        loop {
            version.borrow_and_update();
            let watched = news.watched();
            self.ask_for(&watched, &mut upstream, &mut asked);
            let is_refused = |state: &UpstreamState| matches!(state, UpstreamState::Refused(_));
            let waits = upstream.values().any(is_refused);
            tokio::select! {
                _ = version.changed() => {}
                Some((uri, what, outcome)) = asked.next(), if !asked.is_empty() => {
                    match (what, &outcome) {
                        (Asked::Subscribe, Ok(())) => {
                            upstream.insert(uri.clone(), UpstreamState::Open);
                        }
                        (Asked::Subscribe, Err(_)) => {
                            let again = UpstreamState::Refused(Instant::now() + AGAIN);
                            upstream.insert(uri.clone(), again);
                        }
                        (Asked::Unsubscribe, _) => drop(upstream.remove(&uri)),
                    }
                    if what == Asked::Subscribe {
                        news.settle(&uri, outcome);
                    }
                }
                () = sleep(AGAIN), if waits => {}
            }
        }
    }

    /// Asks for what is watched and not there, and ends what is there and not watched.
    fn ask_for<'keeper>(
        &'keeper self,
        watched: &HashMap<String, bool>,
        upstream: &mut HashMap<String, UpstreamState>,
        asked: &mut FuturesUnordered<AskedResource<'keeper>>,
    ) {
        let is_watched = |uri: &String| watched.contains_key(uri);
        upstream
            .retain(|uri, state| is_watched(uri) || !matches!(state, UpstreamState::Refused(_)));
        let now = Instant::now();
        let mut wanted: Vec<(String, Asked)> = Vec::new();
        for (uri, is_settled) in watched {
            let is_missing = match upstream.get(uri) {
                None => true,
                Some(UpstreamState::Refused(again)) => !is_settled || *again <= now,
                // Who comes later is served by what is there.
                Some(UpstreamState::Open) => {
                    if !is_settled {
                        self.connection.news.settle(uri, Ok(()));
                    }
                    false
                }
                Some(UpstreamState::Asked) => false,
            };
            if is_missing {
                wanted.push((uri.clone(), Asked::Subscribe));
            }
        }
        let open = upstream.iter().filter(|(_, state)| **state == UpstreamState::Open);
        let surplus = open.filter(|(uri, _)| !is_watched(uri));
        wanted.extend(surplus.map(|(uri, _)| (uri.clone(), Asked::Unsubscribe)));
        for (uri, what) in wanted.into_iter().take(MOST_ASKED.saturating_sub(asked.len())) {
            upstream.insert(uri.clone(), UpstreamState::Asked);
            asked.push(Box::pin(async move {
                let request = match what {
                    Asked::Subscribe => ClientRequest::SubscribeRequest(Request::new(
                        SubscribeRequestParams::new(uri.clone()),
                    )),
                    Asked::Unsubscribe => ClientRequest::UnsubscribeRequest(Request::new(
                        UnsubscribeRequestParams::new(uri.clone()),
                    )),
                };
                let outcome = self.ask(request).await;
                (uri, what, outcome)
            }));
        }
    }

    /// Makes a request whose result says nothing more.
    async fn ask(&self, request: ClientRequest) -> Result<(), ServerFault> {
        let answer = async { OpenAsk::send(self, request).await?.answer().await };
        let late = ServerFault::Timeout { after: PATIENCE };
        timeout(PATIENCE, answer).await.map_err(|_| late).flatten()
    }

    /// Asks for everything at once, and does not return.
    async fn keep_listening(&self) {
        let news = &self.connection.news;
        let mut version = news.version();
        let mut current: Option<(OpenAsk, BTreeSet<String>)> = None;
        let (mut pause, mut begun, mut is_after_gap) = (FIRST_PAUSE, Instant::now(), false);
        loop {
            version.borrow_and_update();
            let watched = news.watched();
            let wanted: BTreeSet<String> = watched.keys().cloned().collect();
            let is_new = current.as_ref().is_none_or(|(_, uris)| *uris != wanted);
            let filter = self.filter(&wanted);
            if is_new && filter == SubscriptionFilter::new() {
                current = None;
            } else if is_new {
                match self.listen(filter).await {
                    Ok((listen, accepted)) => {
                        for uri in &wanted {
                            let refused = || Err(ServerFault::NotOffered("tell of that resource"));
                            let is_told = accepted.contains(uri);
                            news.settle(uri, if is_told { Ok(()) } else { refused() });
                        }
                        // The old one ends now that the new one is there.
                        current = Some((listen, wanted));
                        begun = Instant::now();
                        if std::mem::take(&mut is_after_gap) {
                            // What changed in between nobody has told.
                            news.lists_may_differ();
                        }
                    }
                    Err(fault) => {
                        let known = current.as_ref().map(|(_, uris)| uris);
                        let new =
                            wanted.iter().filter(|it| known.is_none_or(|all| !all.contains(*it)));
                        new.for_each(|uri| news.settle(uri, Err(fault.clone())));
                        let wait = match fault {
                            // It has said that it does not.
                            ServerFault::Rpc(_) | ServerFault::NotOffered(_) => AGAIN,
                            _ => pause,
                        };
                        (is_after_gap, pause) = (true, pause.saturating_mul(2).min(AGAIN));
                        tokio::select! {
                            _ = version.changed() => {}
                            () = sleep(wait) => {}
                        }
                        continue;
                    }
                }
            } else {
                // One that came back before it was gone.
                let open = watched.iter().filter(|(_, is_settled)| !**is_settled);
                open.for_each(|(uri, _)| news.settle(uri, Ok(())));
            }
            let over = async {
                match &mut current {
                    Some((listen, _)) => listen.over().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = version.changed() => {}
                () = over => {
                    (current, is_after_gap) = (None, true);
                    news.lose();
                    if begun.elapsed() >= AGAIN {
                        pause = FIRST_PAUSE;
                    }
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(AGAIN);
                }
            }
        }
    }

    /// Says what the server should tell.
    fn filter(&self, uris: &BTreeSet<String>) -> SubscriptionFilter {
        let capabilities = serde_json::to_value(&self.info.capabilities).unwrap_or_default();
        let changes = |list: &str| {
            let said = capabilities.pointer(&format!("/{list}/listChanged"));
            said == Some(&Value::Bool(true))
        };
        let mut filter = SubscriptionFilter::builder();
        if changes("tools") {
            filter = filter.tools_list_changed();
        }
        if changes("prompts") {
            filter = filter.prompts_list_changed();
        }
        if changes("resources") {
            filter = filter.resources_list_changed();
        }
        if !uris.is_empty() {
            filter = filter.resource_subscriptions(uris.iter().cloned());
        }
        filter.build()
    }

    /// Listens to the server; done when it has said to what.
    async fn listen(
        &self,
        filter: SubscriptionFilter,
    ) -> Result<(OpenAsk, HashSet<String>), ServerFault> {
        let mut listens = self.connection.news.listens();
        let params = SubscriptionsListenRequestParams::new(filter);
        let request = SubscriptionsListenRequest::new(params);
        let begun = async {
            let mut listen = OpenAsk::send(self, request.into()).await?;
            let Some(id) = listen.handle.as_ref().map(|handle| handle.id.clone()) else {
                return Err(ServerFault::Stopped);
            };
            let accepted = tokio::select! {
                // It may have begun and ended at once.
                biased;
                news = listens.wait_for(|all| all.iter().any(|(known, _)| *known == id)) => {
                    let news = news.map_err(|_| ServerFault::Stopped)?;
                    news.iter().find(|(known, _)| *known == id).map(|(_, news)| news.clone())
                }
                () = listen.answered() => None,
            };
            match accepted {
                Some(ListenNews::Accepted(uris)) => Ok((listen, uris.into_iter().collect())),
                Some(ListenNews::Ended) => Err(ServerFault::NotOffered("tell of changes")),
                None => match listen.answer().await {
                    Err(fault) => Err(fault),
                    Ok(_) => Err(ServerFault::NotOffered("tell of changes")),
                },
            }
        };
        let late = ServerFault::Timeout { after: PATIENCE };
        timeout(PATIENCE, begun).await.map_err(|_| late).flatten()
    }
}

/// A request that is under way; the server is told when nobody waits for it any more.
struct OpenAsk {
    handle: Option<RequestHandle<RoleClient>>,
    slot: Arc<CallSlot>,
    connection: Connection,
    is_answered: bool,
}

impl OpenAsk {
    async fn send(
        keeper: &SubscriptionKeeper,
        mut request: ClientRequest,
    ) -> Result<Self, ServerFault> {
        let slot = Arc::new(CallSlot::default());
        request.extensions_mut().insert(Arc::clone(&slot));
        let options = PeerRequestOptions::no_options();
        let sent = keeper.peer.send_request_with_option(request, options).await;
        let handle = Some(sent.map_err(|_| ServerFault::Stopped)?);
        Ok(Self { handle, slot, connection: keeper.connection.clone(), is_answered: false })
    }

    /// Waits until there is an answer, or will be none.
    async fn answered(&mut self) {
        if let (Some(handle), false) = (&mut self.handle, self.is_answered) {
            let _ = (&mut handle.rx).await;
            self.is_answered = true;
        }
    }

    /// Waits for the answer.
    async fn answer(mut self) -> Result<(), ServerFault> {
        self.answered().await;
        self.close();
        self.slot.take().unwrap_or(Err(ServerFault::Stopped)).map(drop)
    }

    /// Waits until the server tells nothing more.
    async fn over(&mut self) {
        let Some(id) = self.handle.as_ref().map(|handle| handle.id.clone()) else { return };
        let mut listens = self.connection.news.listens();
        let is_over = |it: &(_, ListenNews)| it.0 == id && it.1 == ListenNews::Ended;
        tokio::select! {
            () = self.answered() => self.close(),
            _ = listens.wait_for(|all| all.iter().any(is_over)) => {}
        }
    }

    fn close(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.connection.open.abandon(&handle.id);
        }
    }
}

impl Drop for OpenAsk {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        self.connection.open.abandon(&handle.id);
        if self.is_answered || self.connection.ended.is_cancelled() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(crate::spawn::boxed(async move {
            let _ = handle.cancel(Some("nobody waits for it".to_owned())).await;
        }));
    }
}
