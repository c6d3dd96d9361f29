//! The server that clients talk to: its tools may become others while sessions go on.
//!
//! Each request is answered by the [`McpServer`] of the moment it comes, and by that one to its end. A
//! client is told when a list has become another one, if it understands that. Before anything is loaded, it
//! may tell what was told at an earlier start ([`asleep`](super::asleep)).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
        CompleteResult, CustomRequest, CustomResult, DiscoverResult, GetPromptRequestParams,
        GetPromptResponse, GetTaskParams, GetTaskResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SubscribeRequestParams,
        SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, Peer, RequestContext, SubscriptionContext},
};
use tokio::sync::{Notify, watch};

use super::{
    McpServer,
    asleep::{Asleep, SameLists, WakeError, list_written_later, told_by},
    handler::{discovered, only_page, prompts_page, templates_page},
    listed_tools::TakesText,
    result,
    shutdown::GracefulShutdown,
};
use crate::config::known_start::{KnownStart, ToldStart};

/// A client that does not read is not told any more after this time.
const TO_TELL: Duration = Duration::from_secs(10);

/// Serves the tools of the newest server; a clone serves the same.
#[derive(Clone)]
pub struct LiveServer(Arc<LiveInner>);

struct LiveInner {
    /// Whether lists may become others: clients are told that.
    may_change: bool,
    /// The newest one, and how often its lists have become others.
    now: watch::Sender<Generation>,
    /// Whether there are newer settings that cannot be used.
    has_trouble: AtomicBool,
    /// Clients before 2026-07-28, which are told unasked.
    sessions: Mutex<Vec<Peer<RoleServer>>>,
    /// What is told while nothing is loaded.
    asleep: RwLock<Option<Arc<Asleep>>>,
}

/// A server, and what has changed up to it.
#[derive(Clone)]
struct Generation {
    server: Arc<McpServer>,
    changes: ListChanges,
}

/// How often each list has become another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ListChanges {
    tools: u64,
    prompts: u64,
    resources: u64,
}

impl ListChanges {
    /// Returns the changes after `next` has come after `before`.
    fn after(self, before: &McpServer, next: &McpServer) -> Self {
        let count = |changes: u64, has_changed: bool| changes + u64::from(has_changed);
        Self {
            tools: count(self.tools, !before.has_same_tools(next)),
            prompts: count(self.prompts, !before.has_same_prompts(next)),
            resources: count(self.resources, !before.has_same_resources(next)),
        }
    }

    /// Returns the changes after all lists but these have become others.
    fn but_for(self, same: SameLists) -> Self {
        Self {
            tools: self.tools + u64::from(!same.tools),
            prompts: self.prompts + u64::from(!same.prompts),
            resources: self.resources + u64::from(!same.resources),
        }
    }
}

impl From<McpServer> for LiveServer {
    /// Serves the tools of one server for ever.
    fn from(server: McpServer) -> Self {
        Self::new(server, false)
    }
}

impl LiveServer {
    /// Serves the tools of `server`; `may_change` says whether others may come after it.
    pub(crate) fn new(server: McpServer, may_change: bool) -> Self {
        let first = Generation { server: Arc::new(server), changes: ListChanges::default() };
        let (has_trouble, sessions, asleep) = Default::default();
        let now = watch::channel(first).0;
        Self(Arc::new(LiveInner { may_change, now, has_trouble, sessions, asleep }))
    }

    /// Tells what is known of an earlier start until something is published; `asked` hears when that is
    /// needed.
    ///
    /// # Errors
    ///
    /// What is known has not the shapes of the protocol.
    pub(crate) fn sleep(&self, start: &KnownStart, asked: Arc<Notify>) -> serde_json::Result<()> {
        let asleep = Asleep::new(start, asked)?;
        *self.0.asleep.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(asleep));
        Ok(())
    }

    /// Returns what the server of this moment tells hosts before they call anything, and its list of tools, as
    /// JSON text.
    ///
    /// # Errors
    ///
    /// There is no JSON for it.
    pub(crate) fn told(&self) -> serde_json::Result<(ToldStart, String)> {
        told_by(&self.now())
    }

    /// Says that there is nothing to serve, to those that wait for it.
    pub(crate) fn wake_failed(&self, why: &str) {
        if let Some(asleep) = self.asleep() {
            asleep.failed(why);
        }
    }

    /// Waits until everything is loaded, where it is not yet.
    ///
    /// # Errors
    ///
    /// Why it cannot be.
    pub(super) async fn wake(&self) -> Result<(), WakeError> {
        match self.asleep() {
            Some(asleep) => asleep.wake().await,
            None => Ok(()),
        }
    }

    /// Returns the list of tools of this moment as JSON text.
    ///
    /// # Errors
    ///
    /// There is no JSON for it.
    pub(super) fn tools_text(&self) -> serde_json::Result<Arc<str>> {
        match self.asleep() {
            Some(asleep) => Ok(Arc::clone(asleep.tools())),
            None => Ok(self.now().tools_text().into()),
        }
    }

    /// Returns the server of this moment, with everything loaded.
    async fn awake(&self) -> Result<Arc<McpServer>, ErrorData> {
        self.wake().await?;
        Ok(self.now())
    }

    fn asleep(&self) -> Option<Arc<Asleep>> {
        self.0.asleep.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the next requests answered by `next`, and tells clients which lists have become others. What is
    /// under way goes on as it began.
    pub(crate) fn publish(&self, next: McpServer) {
        let mut changed = (ListChanges::default(), ListChanges::default());
        let told = self.asleep();
        let same = told.as_ref().map(|told| told.same_lists(&next));
        self.0.now.send_modify(|now| {
            let next = Arc::new(next.succeeding(&now.server));
            let changes = match same {
                Some(same) => now.changes.but_for(same),
                None => now.changes.after(&now.server, &next),
            };
            changed = (now.changes, changes);
            *now = Generation { server: next, changes };
        });
        if let Some(told) = told {
            *self.0.asleep.write().unwrap_or_else(PoisonError::into_inner) = None;
            told.served();
        }
        let (before, after) = changed;
        let sessions = self.sessions().clone();
        if before == after || sessions.is_empty() {
            return;
        }
        crate::spawn::task(async move {
            let told = sessions
                .iter()
                .map(|peer| tokio::time::timeout(TO_TELL, tell_session(peer, before, after)));
            join_all(told).await;
        });
    }

    /// Notes whether there are newer settings that cannot be used.
    pub(crate) fn note_trouble(&self, has_trouble: bool) {
        self.0.has_trouble.store(has_trouble, Ordering::Relaxed);
    }

    /// Returns whether there are newer settings that cannot be used.
    pub(super) fn has_trouble(&self) -> bool {
        self.0.has_trouble.load(Ordering::Relaxed)
    }

    /// Returns the server of this moment.
    pub(super) fn now(&self) -> Arc<McpServer> {
        Arc::clone(&self.0.now.borrow().server)
    }

    /// Returns whether both are the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the same server, which ends so.
    pub(super) fn ending_with(self, ending: &GracefulShutdown) -> Self {
        self.0.now.send_modify(|now| {
            let server = McpServer::clone(&now.server).ending_with(ending);
            now.server = Arc::new(server);
        });
        self
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Peer<RoleServer>>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a client that listens which lists become others, for as long as it does.
    async fn tell_listener(&self, context: &SubscriptionContext) {
        let mut news = self.0.now.subscribe();
        let (accepted, sink) = (context.accepted(), context.sink());
        let mut told = news.borrow_and_update().changes;
        loop {
            if news.changed().await.is_err() {
                return;
            }
            let now = news.borrow_and_update().changes;
            let wants = |accepted: Option<bool>| accepted == Some(true);
            let mut sent = Ok(());
            if now.tools != told.tools && wants(accepted.tools_list_changed) {
                sent = sent.and(sink.notify_tool_list_changed().await);
            }
            if now.prompts != told.prompts && wants(accepted.prompts_list_changed) {
                sent = sent.and(sink.notify_prompt_list_changed().await);
            }
            if now.resources != told.resources && wants(accepted.resources_list_changed) {
                sent = sent.and(sink.notify_resource_list_changed().await);
            }
            told = now;
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Tells a session which lists have become others; one that is gone hears nothing.
async fn tell_session(peer: &Peer<RoleServer>, before: ListChanges, after: ListChanges) {
    if before.tools != after.tools && peer.notify_tool_list_changed().await.is_err() {
        return;
    }
    if before.prompts != after.prompts && peer.notify_prompt_list_changed().await.is_err() {
        return;
    }
    if before.resources != after.resources {
        let _ = peer.notify_resource_list_changed().await;
    }
}

impl ServerHandler for LiveServer {
    fn get_info(&self) -> ServerConfig {
        let mut info = match self.asleep() {
            Some(asleep) => asleep.info(),
            None => self.now().get_info(),
        };
        if self.0.may_change {
            let capabilities = &mut info.capabilities;
            capabilities.tools.get_or_insert_default().list_changed = Some(true);
            capabilities.resources.get_or_insert_default().list_changed = Some(true);
            if let Some(prompts) = &mut capabilities.prompts {
                prompts.list_changed = Some(true);
            }
        }
        info
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if !self.0.may_change {
            return;
        }
        let mut sessions = self.sessions();
        sessions.retain(|peer| !peer.is_transport_closed());
        sessions.push(context.peer);
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        Ok(discovered(self.supported_protocol_versions().into_owned(), self.get_info()))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let takes_text = context.extensions.get::<TakesText>().is_some();
        if takes_text || self.asleep().is_some() {
            only_page(request)?;
            return Ok(list_written_later());
        }
        self.now().list_tools(request, context).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        match self.asleep() {
            Some(asleep) => prompts_page(asleep.prompts().to_vec(), request),
            None => self.now().list_prompts(request, context).await,
        }
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.awake().await?.get_prompt(request, context).await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.awake().await?.complete(request, context).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.awake().await?.list_resources(request, context).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        match self.asleep() {
            Some(asleep) => templates_page(asleep.templates().to_vec(), request),
            None => self.now().list_resource_templates(request, context).await,
        }
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.awake().await?.read_resource(request, context).await
    }

    #[expect(deprecated, reason = "clients before 2026-07-28 subscribe so")]
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.awake().await?.subscribe(request, context).await
    }

    #[expect(deprecated, reason = "clients before 2026-07-28 subscribe so")]
    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.awake().await?.unsubscribe(request, context).await
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let accepted = self.now().accepted_subscription_filter(requested);
        if !self.0.may_change {
            return accepted;
        }
        let mut accepted = accepted.unwrap_or_default();
        accepted.tools_list_changed = requested.tools_list_changed;
        accepted.prompts_list_changed = requested.prompts_list_changed;
        accepted.resources_list_changed = requested.resources_list_changed;
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let server = self.now();
        tokio::select! {
            listened = Box::pin(server.objects().listen(&context)) => listened,
            () = self.tell_listener(&context) => Ok(()),
            () = server.ending().closing() => Ok(()),
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.now().get_tool(name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match self.awake().await {
            Ok(server) => server.call_tool(request, context).await,
            // A model reads it, and a host shows it.
            Err(error) => Ok(result::failure_result(error.message.into_owned()).into()),
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.awake().await?.get_task(request, context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.awake().await?.update_task(request, context).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.awake().await?.cancel_task(request, context).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        self.awake().await?.on_custom_request(request, context).await
    }
}
