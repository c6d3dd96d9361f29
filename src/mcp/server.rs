//! The MCP server: what hosts may list and call.
//!
//! Each call takes the one way through the gate. A refusal and a failure come back as results
//! with `isError`, which a model reads and acts on; only an unknown tool and a malformed request
//! are protocol errors, which most hosts show to nobody.

use std::{sync::Arc, time::Duration};

use dadl_descriptor::model::ParamRole;
use dadl_text::text::{self, quoted_text};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams,
        CompleteRequestParams, CompleteResult, ConstString as _, CustomRequest, CustomResult,
        DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
        GetTaskResult, Implementation, JsonObject, ListPromptsRequestMethod, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        PromptsCapability, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext},
};
use tokio_util::sync::CancellationToken;

use super::{
    builtin::{self, BuiltinTool},
    completions::ArgumentCompletions,
    connections::ConnectionBounds,
    consent::{self, ConsentAnswer, ConsentBroker, ConsentRetry},
    file_resources, http, object_resources, param_shapes,
    progress::{self, ProgressReporter},
    prompts::{self, ArgumentError, ExamplePrompt},
    result,
    shutdown::{GracefulShutdown, StopReason, TOO_LATE},
    stream_opening,
    task_protocol::{self, TaskId},
    tools,
};
use crate::{
    access::AccessDecision,
    call::CallChannel,
    config::OperatorLimits,
    executor::{CallContext, Executor, WaitBudget},
    files::FileStore,
    gate::{Admitted, CallRefusal, Gate, PendingCall},
    live::{StreamHub, watch::ResourceHub},
    outcome::AnswerPayload,
};

/// How long clients may keep the list, which lasts as long as the process: long enough to spare
/// listings, short enough to notice a restart with other settings.
pub(super) const LIST_TTL_MS: u64 = 300_000;

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 100;

/// What a call is answered with; an error is for the host and not for the model.
pub(super) type ToolAnswer = Result<CallToolResponse, ErrorData>;

/// Serves the tools behind a gate; a clone serves the same tools.
#[derive(Clone)]
pub struct HttpServer {
    shared: Arc<ServerShared>,
    /// A longer result is cut.
    most_chars: usize,
    /// A larger image or audio file is not shown.
    most_media: u64,
    /// How long calls may go on when the program ends.
    grace: Duration,
    bounds: ConnectionBounds,
    ending: GracefulShutdown,
}

struct ServerShared {
    gate: Gate,
    executor: Arc<Executor>,
    instructions: String,
    tools: Vec<Tool>,
    prompts: Vec<ExamplePrompt>,
    consents: ConsentBroker,
    builtins: Vec<BuiltinTool>,
    streams: StreamHub,
    objects: object_resources::Served,
    completions: ArgumentCompletions,
}

impl HttpServer {
    /// Prepares the tools for listing.
    pub fn new(gate: Gate, executor: Arc<Executor>, instructions: String) -> Self {
        let gate = gate.at(CallChannel::Mcp);
        let builtins = BuiltinTool::needed(&gate);
        let built_in = builtins.iter().map(|builtin| builtin.tool());
        let tools = gate.catalog().listed().map(tools::mcp_tool).chain(built_in).collect();
        let prompts = prompts::of_examples(gate.catalog());
        let consents = ConsentBroker::new();
        let watched = ResourceHub::new(Executor::clone(&executor), gate.clone());
        let shared = ServerShared {
            gate,
            executor,
            instructions,
            tools,
            prompts,
            consents,
            builtins,
            streams: StreamHub::default(),
            objects: object_resources::Served::new(watched),
            completions: ArgumentCompletions::default(),
        };
        let OperatorLimits {
            result_chars: most_chars,
            media_bytes: most_media,
            shutdown_grace: grace,
            ..
        } = OperatorLimits::default();
        Self {
            shared: Arc::new(shared),
            most_chars,
            most_media,
            grace,
            bounds: ConnectionBounds::default(),
            ending: GracefulShutdown::new(&CancellationToken::new()),
        }
    }

    /// Cuts results of more than `most` characters; by default as [`OperatorLimits`] say.
    #[must_use]
    pub fn with_most_chars(self, most: usize) -> Self {
        Self { most_chars: most, ..self }
    }

    /// Shows images and audio files of at most `most` bytes; by default as [`OperatorLimits`] say.
    #[must_use]
    pub fn with_most_media(self, most: u64) -> Self {
        Self { most_media: most, ..self }
    }

    /// Lets calls go on for `grace` when the program ends; by default as [`OperatorLimits`] say.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Bounds the connections of HTTP clients.
    #[must_use]
    pub fn with_connections(self, bounds: ConnectionBounds) -> Self {
        Self { bounds, ..self }
    }

    pub(super) fn grace(&self) -> Duration {
        self.grace
    }

    pub(super) fn bounds(&self) -> ConnectionBounds {
        self.bounds
    }

    /// Returns how many characters a result may have.
    pub(super) fn most_chars(&self) -> usize {
        self.most_chars
    }

    /// Returns how many bytes an image or an audio file may have that a result shows.
    pub(super) fn most_media(&self) -> u64 {
        self.most_media
    }

    /// Returns what executes calls.
    pub(super) fn executor(&self) -> &Executor {
        &self.shared.executor
    }

    /// Returns the same server, which ends so.
    pub(super) fn ending_with(self, ending: &GracefulShutdown) -> Self {
        Self { ending: ending.clone(), ..self }
    }

    /// Returns how it ends.
    pub(super) fn ending(&self) -> &GracefulShutdown {
        &self.ending
    }

    /// Returns the directory of files.
    pub(super) fn files(&self) -> &FileStore {
        self.shared.executor.files()
    }

    /// Returns the open streams.
    pub(super) fn streams(&self) -> &StreamHub {
        &self.shared.streams
    }

    /// Returns the prompts.
    pub(super) fn prompts(&self) -> &[ExamplePrompt] {
        &self.shared.prompts
    }

    /// Returns the objects of backends.
    pub(super) fn objects(&self) -> &object_resources::Served {
        &self.shared.objects
    }

    /// Returns the gate.
    pub(super) fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Returns the built-in tools that are listed.
    pub(super) fn builtins(&self) -> &[BuiltinTool] {
        &self.shared.builtins
    }

    /// Returns the listed built-in tool of this name.
    fn builtin(&self, name: &str) -> Option<BuiltinTool> {
        self.shared.builtins.iter().copied().find(|builtin| builtin.name() == name)
    }

    /// Returns how many tools are listed.
    pub fn tool_count(&self) -> usize {
        self.shared.tools.len()
    }

    /// Asks if need be.
    ///
    /// # Errors
    ///
    /// What the call is answered with instead.
    pub(super) async fn admit<'gate>(
        &self,
        pending: PendingCall<'gate>,
        retry: ConsentRetry,
        context: &RequestContext<RoleServer>,
    ) -> Result<Admitted<'gate>, ToolAnswer> {
        let admitted = if pending.needs_consent() {
            match self.shared.consents.obtain(&pending, retry, context).await {
                ConsentAnswer::Ask(question) => return Err(Ok(question.into())),
                ConsentAnswer::Given(consent) => pending.admit_with(&consent),
                ConsentAnswer::Refused(reason) => Err(pending.refused(reason)),
                ConsentAnswer::Forged => {
                    return Err(Err(ErrorData::invalid_params(consent::FORGED, None)));
                }
            }
        } else {
            pending.admit()
        };
        admitted.map_err(|refusal| Ok(result::failure_result(refusal.to_string()).into()))
    }

    /// Runs a checked call: asks if need be, executes, and makes the result.
    async fn perform(
        &self,
        pending: PendingCall<'_>,
        retry: ConsentRetry,
        context: &RequestContext<RoleServer>,
        carried: CallContext<'_>,
    ) -> ToolAnswer {
        let ServerShared { gate, executor, builtins, .. } = &*self.shared;
        let entry = pending.entry();
        // How long it waits, and what is made of the result, are no business of a host's task.
        let is_given = |role| pending.arguments().given(role).is_some();
        let is_plain = !is_given(ParamRole::Wait) && !is_given(ParamRole::Jq);
        let watch = gate.catalog().task_tools(entry.backend).map(|tools| &tools.watch.decision);
        let as_task = entry.tasks().is_some()
            && is_plain
            && watch == Some(&AccessDecision::Allow)
            && context.client_capabilities().is_some_and(|client| client.supports_tasks());
        let call = match self.admit(pending, retry, context).await {
            Ok(call) => call,
            Err(answered) => return answered,
        };
        // Boxed, like what it waits for: the futures of calls are large, and would lie side by side.
        match Box::pin(stream_opening::perform(self, &call, context)).await {
            Some(Ok(outcome)) => return Ok(self.shown(outcome, Some(entry), context).await.into()),
            Some(Err(error)) => return Ok(result::failure_result(error.to_string()).into()),
            None => {}
        }
        let budget = if as_task { WaitBudget::Brief } else { WaitBudget::Usual };
        Ok(match executor.execute(call, &carried.waiting(budget)).await {
            Ok(mut outcome) => match outcome.payload {
                AnswerPayload::Task(report) if as_task && report.is_running => {
                    // It may have been waited for.
                    let began = executor.task_began(&report.handle);
                    CallToolResponse::Task(task_protocol::created(*report, began))
                }
                _ => {
                    builtin::advise(&mut outcome, builtins);
                    self.shown(outcome, Some(entry), context).await.into()
                }
            },
            Err(error) => result::failure_result(error.for_model()).into(),
        })
    }
}

impl ServerHandler for HttpServer {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().build();
        if !self.shared.prompts.is_empty() {
            capabilities.prompts = Some(PromptsCapability::default());
        }
        let has_arguments = self.shared.prompts.iter().any(|it| !it.arguments.is_empty());
        if has_arguments || self.shared.objects.templates().next().is_some() {
            capabilities.completions = Some(JsonObject::default());
        }
        if let Some(resources) = &mut capabilities.resources {
            resources.subscribe = self.shared.objects.can_watch().then_some(true);
        }
        if self.shared.builtins.contains(&BuiltinTool::TaskWait) {
            let tasks = ServerCapabilities::builder().enable_tasks().build();
            capabilities.extensions = tasks.extensions;
        }
        let implementation = Implementation::new("dadl-mcp", env!("CARGO_PKG_VERSION"));
        let info = ServerConfig::new(capabilities).with_server_info(implementation);
        match self.shared.instructions.as_str() {
            "" => info,
            instructions => info.with_instructions(instructions),
        }
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(versions, self.get_info()).with_ttl_ms(LIST_TTL_MS))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        only_page(request)?;
        Ok(ListToolsResult::with_all_items(self.shared.tools.clone())
            .with_ttl_ms(LIST_TTL_MS)
            // What is listed may depend on who is authorized.
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = &self.shared.prompts;
        if prompts.is_empty() {
            let message = param_shapes::unknown_method(ListPromptsRequestMethod::VALUE);
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
        }
        only_page(request)?;
        let all = prompts.iter().map(|example| example.prompt.clone()).collect();
        Ok(ListPromptsResult::with_all_items(all)
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut prompts = self.shared.prompts.iter();
        match prompts.find(|example| example.prompt.name == request.name) {
            Some(example) => {
                let filled = example.result(&request.arguments.unwrap_or_default());
                let wrong =
                    |error: ArgumentError| ErrorData::invalid_params(error.to_string(), None);
                filled.map(Into::into).map_err(wrong)
            }
            None => {
                let message =
                    format!("unknown prompt {}", quoted_text(&request.name, LONGEST_NAME));
                Err(ErrorData::invalid_params(message, None))
            }
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Box::pin(self.shared.completions.complete(self, &request, &context)).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        only_page(request)?;
        let objects = Box::pin(self.shared.objects.listed().objects(self, &context)).await;
        let all = file_resources::list_files(self.files(), &objects).await;
        Ok(ListResourcesResult::with_all_items(all).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        only_page(request)?;
        let mut all = file_resources::file_templates();
        all.extend(self.shared.objects.templates());
        Ok(ListResourceTemplatesResult::with_all_items(all)
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if let Some(read) = Box::pin(self.shared.objects.read(self, &request.uri, &context)).await {
            return read.map(Into::into);
        }
        let read = file_resources::read_resource(self.files(), &request.uri).await?;
        Ok(read.with_cache_scope(CacheScope::Private).into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Box::pin(self.shared.objects.subscribe(&request.uri, &context)).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.objects.unsubscribe(&request.uri, &context);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.shared.objects.accepted(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        tokio::select! {
            listened = Box::pin(self.shared.objects.listen(&context)) => listened,
            () = self.ending.closing() => Ok(()),
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        if let Some(builtin) = self.builtin(name) {
            return Some(builtin.tool());
        }
        let entry = self.shared.gate.catalog().find(name)?;
        (entry.decision == AccessDecision::Allow).then(|| tools::mcp_tool(entry))
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let retry = ConsentRetry::take(&mut request);
        let arguments = request.arguments.unwrap_or_default();
        if self.ending.is_closing() {
            return Ok(result::failure_result(TOO_LATE.to_owned()).into());
        }
        let reporter = ProgressReporter::default();
        let carried = CallContext::heard_by(&reporter)
            .of(http::client_key(&context.extensions))
            .until(self.ending.token());
        // At the end of the server; nobody waits for the answer of a cancelled request.
        let stopped = |why: StopReason| Ok(result::failure_result(why.to_string()).into());
        if let Some(builtin) = self.builtin(&request.name) {
            let call = Box::pin(builtin.run(self, arguments, retry, &context, &carried));
            let done = progress::run_reporting(&context, &self.ending, &reporter, call).await;
            return done.unwrap_or_else(stopped);
        }
        let pending = match self.shared.gate.check(&request.name, arguments) {
            Ok(pending) => pending,
            Err(refusal @ CallRefusal::UnknownTool { .. }) => {
                return Err(refusal_error(refusal));
            }
            Err(refusal) => return Ok(result::failure_result(refusal.to_string()).into()),
        };
        let call = Box::pin(self.perform(pending, retry, &context, carried));
        let response = progress::run_reporting(&context, &self.ending, &reporter, call).await;
        response.unwrap_or_else(stopped)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let ServerShared { gate, executor, .. } = &*self.shared;
        let id = TaskId::read(&request.task_id)?;
        let right = gate.check_task(&id.handle).map_err(refusal_error)?;
        let carried = CallContext::default()
            .of(http::client_key(&context.extensions))
            .waiting(WaitBudget::AtOnce);
        let looked = executor.watch_task(&right, &carried);
        let looked =
            progress::run_reporting(&context, &self.ending, &ProgressReporter::default(), looked)
                .await;
        let stopped = |why: StopReason| ErrorData::internal_error(why.to_string(), None);
        let looked = looked.map_err(stopped)?;
        Box::pin(self.task_shown(&id, looked, &context)).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let ServerShared { gate, executor, .. } = &*self.shared;
        let id = TaskId::read(&request.task_id)?;
        let call =
            gate.check_cancel(&id.handle).and_then(PendingCall::admit).map_err(refusal_error)?;
        let carried = CallContext::default().of(http::client_key(&context.extensions));
        match executor.execute(call, &carried).await {
            Ok(_) => Ok(()),
            Err(error) => Err(ErrorData::internal_error(error.for_model(), None)),
        }
    }

    /// Requests whose parameters do not have the shape of the method arrive here.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // The revision without sessions has no such methods, whatever their parameters.
        let has_sessions =
            context.protocol_version().is_none_or(|it| it < ProtocolVersion::V_2026_07_28);
        let method = request.method.as_str();
        let has_tasks = self.shared.builtins.contains(&BuiltinTool::TaskWait);
        let fault = match method {
            param_shapes::INITIALIZE | "ping" | "resources/subscribe" | "resources/unsubscribe"
                if !has_sessions =>
            {
                None
            }
            "subscriptions/listen" if has_sessions => None,
            "tasks/get" | "tasks/cancel" if !has_tasks => None,
            _ => param_shapes::wrong(method, request.params.as_ref()),
        };
        Err(match fault {
            Some(fault) => ErrorData::invalid_params(fault, None),
            None => ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                param_shapes::unknown_method(method),
                None,
            ),
        })
    }
}

/// Refuses a cursor: what is listed is on one page, and no page has given one.
fn only_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        Some(_) => Err(ErrorData::invalid_params("unknown cursor: all is on one page", None)),
        None => Ok(()),
    }
}

fn refusal_error(refusal: CallRefusal) -> ErrorData {
    ErrorData::invalid_params(text::shown_text(&refusal.to_string()).into_owned(), None)
}
