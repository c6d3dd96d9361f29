//! What hosts may list and call: the answers to their requests.
//!
//! Each call takes the one way through the gate. A refusal and a failure come back as results
//! with `isError`, which a model reads and acts on; only an unknown tool and a malformed request
//! are protocol errors, which most hosts show to nobody.

use dadl_text::text::{self, quoted_text};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams,
        CompleteRequestParams, CompleteResult, ConstString as _, CustomRequest, CustomResult,
        DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
        GetTaskResult, Implementation, JsonObject, ListPromptsRequestMethod, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        Prompt, PromptsCapability, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ResourceTemplate, ServerCapabilities, ServerConfig,
        SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
        UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext},
};

use super::{
    McpServer,
    builtin::BuiltinTool,
    consent::ConsentRetry,
    file_resources, param_shapes,
    progress::{self, ProgressReporter},
    prompts::ArgumentError,
    request_owner::client_key,
    result, server_resources,
    shutdown::{StopReason, TOO_LATE},
    tools,
};
use crate::{access::AccessDecision, executor::CallContext, gate::CallRefusal};

/// How long clients may keep the list, which lasts as long as the process: long enough to spare
/// listings, short enough to notice a restart with other settings.
const LIST_TTL_MS: u64 = 300_000;

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 100;

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().build();
        let contents = self.gate().catalog().contents();
        if !self.prompts().is_empty() || contents.prompts().next().is_some() {
            capabilities.prompts = Some(PromptsCapability::default());
        }
        let has_arguments = self.prompts().iter().any(|it| !it.arguments.is_empty());
        let has_templates = self.objects().has_templates();
        if has_arguments || has_templates || contents.can_complete() {
            capabilities.completions = Some(JsonObject::default());
        }
        if let Some(resources) = &mut capabilities.resources {
            resources.subscribe = self.objects().can_watch().then_some(true);
        }
        if self.builtins().contains(&BuiltinTool::TaskWait) {
            let tasks = ServerCapabilities::builder().enable_tasks().build();
            capabilities.extensions = tasks.extensions;
        }
        let implementation = Implementation::new("dadl-mcp", env!("CARGO_PKG_VERSION"));
        let info = ServerConfig::new(capabilities).with_server_info(implementation);
        match self.instructions() {
            "" => info,
            instructions => info.with_instructions(instructions),
        }
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        Ok(discovered(self.supported_protocol_versions().into_owned(), self.get_info()))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        only_page(request)?;
        Ok(tools_page(self.tools().to_vec()))
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        prompts_page(self.listed_prompts(), request)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut prompts = self.prompts().iter();
        match prompts.find(|example| example.prompt.name == request.name) {
            Some(example) => {
                let filled = example.result(&request.arguments.unwrap_or_default());
                let wrong =
                    |error: ArgumentError| ErrorData::invalid_params(error.to_string(), None);
                filled.map(Into::into).map_err(wrong)
            }
            None => {
                if let Some(got) = Box::pin(self.get_of_server(&request, &context)).await {
                    return got.map(Into::into);
                }
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
        Box::pin(self.complete_argument(&request, &context)).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        only_page(request)?;
        let objects = Box::pin(self.list_objects(&context)).await;
        let contents = self.gate().catalog().contents();
        let of_servers = server_resources::listed_resources(contents);
        let listing = file_resources::list_files(self.files(), &objects, of_servers);
        let all = Box::pin(listing).await;
        Ok(ListResourcesResult::with_all_items(all).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        templates_page(self.listed_templates(), request)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if let Some(read) = Box::pin(self.read_object(&request.uri, &context)).await {
            return read.map(Into::into);
        }
        if let Some(read) = Box::pin(self.read_of_server(&request.uri, &context)).await {
            return read.map(Into::into);
        }
        let read = Box::pin(file_resources::read_resource(self.files(), &request.uri)).await?;
        Ok(read.with_cache_scope(CacheScope::Private).into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let sessions = self.watch_sessions();
        Box::pin(self.objects().subscribe(&request.uri, sessions, &context)).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watch_sessions().unsubscribe(&request.uri, &context);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.objects().accepted(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        tokio::select! {
            listened = Box::pin(self.objects().listen(&context)) => listened,
            () = self.ending().closing() => Ok(()),
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        if let Some(builtin) = self.builtin(name) {
            return Some(builtin.tool());
        }
        let entry = self.gate().catalog().find(name)?;
        (entry.decision == AccessDecision::Allow).then(|| tools::mcp_tool(entry))
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let retry = ConsentRetry::take(&mut request);
        let arguments = request.arguments.unwrap_or_default();
        if self.ending().is_closing() {
            return Ok(result::failure_result(TOO_LATE.to_owned()).into());
        }
        let reporter = ProgressReporter::default();
        let carried = CallContext::heard_by(&reporter)
            .of(client_key(&context.extensions))
            .until(self.ending().token());
        // At the end of the server; nobody waits for the answer of a cancelled request.
        let stopped = |why: StopReason| Ok(result::failure_result(why.to_string()).into());
        if let Some(builtin) = self.builtin(&request.name) {
            let call = Box::pin(builtin.run(self, arguments, retry, &context, &carried));
            let done = progress::run_reporting(&context, self.ending(), &reporter, call).await;
            return done.unwrap_or_else(stopped);
        }
        let pending = match self.gate().check(&request.name, arguments) {
            Ok(pending) => pending,
            Err(refusal @ CallRefusal::UnknownTool { .. }) => {
                return Err(refusal_error(refusal));
            }
            Err(refusal) => return Ok(result::failure_result(refusal.to_string()).into()),
        };
        let call = Box::pin(self.perform(pending, retry, &context, carried));
        let response = progress::run_reporting(&context, self.ending(), &reporter, call).await;
        response.unwrap_or_else(stopped)
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Box::pin(self.task_state(request, &context)).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Box::pin(self.answer_task(request, &context)).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Box::pin(self.stop_task(request, &context)).await
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
        let has_tasks = self.builtins().contains(&BuiltinTool::TaskWait);
        let fault = match method {
            param_shapes::INITIALIZE | "ping" | "resources/subscribe" | "resources/unsubscribe"
                if !has_sessions =>
            {
                None
            }
            "subscriptions/listen" if has_sessions => None,
            "tasks/get" | "tasks/update" | "tasks/cancel" if !has_tasks => None,
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

impl McpServer {
    /// Returns the prompts that hosts list.
    pub(super) fn listed_prompts(&self) -> Vec<Prompt> {
        let examples = self.prompts().iter().map(|example| example.prompt.clone());
        examples.chain(self.server_prompts()).collect()
    }

    /// Returns the templates of resources that hosts list.
    pub(super) fn listed_templates(&self) -> Vec<ResourceTemplate> {
        let mut all = file_resources::file_templates();
        all.extend(self.objects().templates());
        all.extend(server_resources::listed_templates(self.gate().catalog().contents()));
        all
    }
}

/// Puts all tools on a page.
pub(super) fn tools_page(tools: Vec<Tool>) -> ListToolsResult {
    ListToolsResult::with_all_items(tools)
        .with_ttl_ms(LIST_TTL_MS)
        // What is listed may depend on who is authorized.
        .with_cache_scope(CacheScope::Private)
}

/// Puts all prompts on a page.
///
/// # Errors
///
/// There are none, or another page is asked for.
pub(super) fn prompts_page(
    all: Vec<Prompt>,
    request: Option<PaginatedRequestParams>,
) -> Result<ListPromptsResult, ErrorData> {
    if all.is_empty() {
        let message = param_shapes::unknown_method(ListPromptsRequestMethod::VALUE);
        return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
    }
    only_page(request)?;
    Ok(ListPromptsResult::with_all_items(all)
        .with_ttl_ms(LIST_TTL_MS)
        .with_cache_scope(CacheScope::Private))
}

/// Puts all templates of resources on a page.
///
/// # Errors
///
/// Another page is asked for.
pub(super) fn templates_page(
    all: Vec<ResourceTemplate>,
    request: Option<PaginatedRequestParams>,
) -> Result<ListResourceTemplatesResult, ErrorData> {
    only_page(request)?;
    Ok(ListResourceTemplatesResult::with_all_items(all)
        .with_ttl_ms(LIST_TTL_MS)
        .with_cache_scope(CacheScope::Private))
}

/// Says what the server is and can do, and how long that lasts.
pub(super) fn discovered(versions: Vec<ProtocolVersion>, info: ServerConfig) -> DiscoverResult {
    DiscoverResult::from_server_info(versions, info).with_ttl_ms(LIST_TTL_MS)
}

/// Refuses a cursor: what is listed is on one page, and no page has given one.
///
/// # Errors
///
/// There is a cursor.
pub(super) fn only_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        Some(_) => Err(ErrorData::invalid_params("unknown cursor: all is on one page", None)),
        None => Ok(()),
    }
}

pub(super) fn refusal_error(refusal: CallRefusal) -> ErrorData {
    ErrorData::invalid_params(text::shown_text(&refusal.to_string()).into_owned(), None)
}
