//! What is asked of another MCP server besides calls of its tools, in turn with those.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::{BusyError, CallContext, CallError, Executor, call_bounds::CallTurns, server_exchange};
use crate::{
    catalog::BackendId,
    mcp_client::{
        CompletionQuestion, RawResult, ResourceSubscription, ServerLink, ServerProgress,
        UpdateListener,
    },
};

/// A server has no more time to agree that it tells of a resource.
const LONGEST_SUBSCRIBE: Duration = Duration::from_secs(30);

impl Executor {
    /// Reads a resource of a server by the URI that it knows, and returns the result as it came.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) async fn read_server_resource(
        &self,
        backend: BackendId,
        uri: &str,
        context: &CallContext<'_>,
    ) -> Result<RawResult, CallError> {
        let (link, time, _turns) = self.server_turn(backend, context).await?;
        let listener = |progress: &ServerProgress| {
            context.observer.progress(server_exchange::told(progress));
        };
        Ok(link.read_resource(uri, time, &listener).await?)
    }

    /// Gets a prompt of a server by the name that it knows, and returns the result as it came.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) async fn get_server_prompt(
        &self,
        backend: BackendId,
        name: &str,
        arguments: Map<String, Value>,
        context: &CallContext<'_>,
    ) -> Result<RawResult, CallError> {
        let (link, time, _turns) = self.server_turn(backend, context).await?;
        let listener = |progress: &ServerProgress| {
            context.observer.progress(server_exchange::told(progress));
        };
        Ok(link.get_prompt(name, arguments, time, &listener).await?)
    }

    /// Asks a server for values of an argument.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub(crate) async fn complete_at_server(
        &self,
        backend: BackendId,
        question: CompletionQuestion,
        context: &CallContext<'_>,
    ) -> Result<RawResult, CallError> {
        let (link, time, _turns) = self.server_turn(backend, context).await?;
        Ok(link.complete(question, time).await?)
    }

    /// Watches a resource of a server until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Why it cannot be watched.
    pub(crate) async fn watch_server_resource(
        &self,
        backend: BackendId,
        uri: &str,
        listener: Arc<dyn UpdateListener>,
    ) -> Result<ResourceSubscription, CallError> {
        let link = self.server_link(backend)?;
        let time = self.server_time(backend).min(LONGEST_SUBSCRIBE);
        Ok(link.subscribe(uri, listener, time).await?)
    }

    /// Waits for a turn at a server, as a call does.
    async fn server_turn(
        &self,
        backend: BackendId,
        context: &CallContext<'_>,
    ) -> Result<(ServerLink, Duration, CallTurns), CallError> {
        let link = self.server_link(backend)?;
        let time = self.server_time(backend);
        let turns = self.bounds.turns(backend.0, &context.client);
        let turns = tokio::time::timeout(time, turns).await;
        Ok((link, time, turns.map_err(|_| BusyError::Late(time))??))
    }

    fn server_time(&self, backend: BackendId) -> Duration {
        let client = self.backends.get(backend.0);
        client.map_or(LONGEST_SUBSCRIBE, |client| client.settings().timeouts.call)
    }
}
