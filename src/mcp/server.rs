//! The handler of MCP requests.

use std::{borrow::Cow, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest,
        CustomResult, ErrorCode, Implementation, ListToolsResult, PaginatedRequestParams,
        ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::json;

use super::{consent::Consents, progress, result, tools};
use crate::{
    executor::Executor,
    gate::{Admitted, Gate, Pending, Refusal},
};

/// How long a host may keep the list of tools: it cannot change while the process lives.
const LIST_TTL_MS: u64 = 3_600_000;

/// Serves the tools of a gate; clones share everything.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    gate: Gate,
    executor: Executor,
    config: ServerConfig,
    tools: Vec<Tool>,
    consents: Consents,
}

impl Server {
    /// Serves what `gate` allows; `instructions` go to models.
    pub fn new(gate: Gate, executor: Executor, instructions: String) -> Self {
        let identity = Implementation::new("dadl-mcp", env!("CARGO_PKG_VERSION"))
            .with_description("HTTP APIs as tools, described by DADL files");
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let config = ServerConfig::new(capabilities)
            .with_server_info(identity)
            .with_instructions(instructions);
        let tools = tools::listed(gate.catalog());
        let consents = Consents::new();
        Self { inner: Arc::new(Inner { gate, executor, config, tools, consents }) }
    }

    /// Returns the number of listed tools.
    pub fn tool_count(&self) -> usize {
        self.inner.tools.len()
    }

    /// Gates a call, asks a person where that is needed, and executes it.
    async fn answer(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Inner { gate, .. } = &*self.inner;
        let arguments = request.arguments.unwrap_or_default();
        let pending = match gate.check(&request.name, arguments) {
            Ok(pending) => pending,
            Err(refusal @ Refusal::UnknownTool { .. }) => {
                return Err(ErrorData::invalid_params(refusal.to_string(), None));
            }
            Err(refusal) => return Ok(result::of_refusal(&refusal).into()),
        };
        let state = request.request_state.as_deref();
        let responses = request.input_responses.as_ref();
        let admitted = if !pending.needs_consent() {
            pending.admit()
        } else if is_stateless(context) && state.is_none() {
            match self.inner.consents.question(context.client_capabilities().as_ref(), &pending) {
                Ok(question) => return Ok(question.into()),
                Err(reason) => Err(pending.refused(reason)),
            }
        } else {
            self.with_consent(pending, state, responses, context).await
        };
        match admitted {
            Ok(call) => Ok(self.execute(call, context).await.into()),
            Err(refusal) => Ok(result::of_refusal(&refusal).into()),
        }
    }

    /// Admits a dangerous call if a person says yes.
    async fn with_consent<'gate>(
        &self,
        pending: Pending<'gate>,
        state: Option<&str>,
        responses: Option<&rmcp::model::InputResponses>,
        context: &RequestContext<RoleServer>,
    ) -> Result<Admitted<'gate>, Refusal> {
        let consent = match state {
            Some(state) => self.inner.consents.answer(state, responses, &pending),
            None => {
                let capabilities = context.client_capabilities();
                Consents::ask(&context.peer, capabilities.as_ref(), &pending).await
            }
        };
        match consent {
            Ok(consent) => pending.admit_with(&consent),
            Err(reason) => Err(pending.refused(reason)),
        }
    }

    async fn execute(
        &self,
        call: Admitted<'_>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let executor = &self.inner.executor;
        let outcome = match context.meta.get_progress_token() {
            None => executor.execute(call, &()).await,
            Some(token) => {
                let (reporter, news) = progress::reporter();
                tokio::select! {
                    biased;
                    outcome = executor.execute(call, &reporter) => outcome,
                    never = progress::notify(&context.peer, token, news) => match never {},
                }
            }
        };
        match outcome {
            Ok(outcome) => result::of_outcome(outcome),
            Err(error) => {
                tracing::info!(%error, "a call failed");
                result::of_error(&error)
            }
        }
    }
}

/// Returns whether the request is of the era without sessions.
fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    // Revisions are dates, so that they compare as text.
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.inner.config.clone()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = ListToolsResult::with_all_items(self.inner.tools.clone());
        // The operator's settings decide what is listed, so it is nobody else's list.
        list.ttl_ms = Some(LIST_TTL_MS);
        list.cache_scope = Some(CacheScope::Private);
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.inner.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let cancelled = context.ct.clone();
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {
                // Nobody reads this: the host has given the request up. Dropping the call closes
                // its connection to the backend.
                Err(ErrorData::internal_error("cancelled", None))
            }
            response = self.answer(request, &context) => response,
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // Requests whose parameters have the wrong shape end up here.
        if request.method == "tools/call" {
            let data = json!({ "expected": { "name": "string", "arguments": "object" } });
            let message = "tools/call takes a name and an object of arguments";
            return Err(ErrorData::invalid_params(message, Some(data)));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None))
    }
}
