//! The MCP server: what hosts may list and call.
//!
//! Each call takes the one way through the gate. A refusal and a failure come back as results
//! with `isError`, which a model reads and acts on; only an unknown tool and a malformed request
//! are protocol errors, which most hosts show to nobody.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest,
        CustomResult, DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse,
        Implementation, ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, PromptsCapability,
        ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
        ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::Value;

use super::{
    budget,
    consent::{Answer, Consents, Retry},
    http,
    progress::{self, Reporter},
    prompts::{self, ExamplePrompt},
    resources, result, tools,
};
use crate::{
    access::Decision,
    catalog::Entry,
    config::Limits,
    executor::Executor,
    files::FileStore,
    gate::{Gate, Pending, Refusal},
    outcome::{Outcome, Payload},
};

/// How long clients may keep the list, which lasts as long as the process: long enough to spare
/// listings, short enough to notice a restart with other settings.
const LIST_TTL_MS: u64 = 300_000;

/// Serves the tools behind a gate; a clone serves the same tools.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    /// A longer result is cut.
    most_chars: usize,
}

struct Shared {
    gate: Gate,
    executor: Arc<Executor>,
    instructions: String,
    tools: Vec<Tool>,
    prompts: Vec<ExamplePrompt>,
    consents: Consents,
}

impl Server {
    /// Prepares the tools for listing.
    pub fn new(gate: Gate, executor: Arc<Executor>, instructions: String) -> Self {
        let tools = gate.catalog().listed().map(tools::tool).collect();
        let prompts = prompts::of_examples(gate.catalog());
        let consents = Consents::new();
        let shared = Shared { gate, executor, instructions, tools, prompts, consents };
        Self { shared: Arc::new(shared), most_chars: Limits::default().result_chars }
    }

    /// Cuts results of more than `most` characters; by default as [`Limits`] say.
    #[must_use]
    pub fn with_most_chars(self, most: usize) -> Self {
        Self { most_chars: most, ..self }
    }

    /// Returns the directory of files.
    pub(super) fn files(&self) -> &FileStore {
        self.shared.executor.files()
    }

    /// Returns how many tools are listed.
    pub fn tool_count(&self) -> usize {
        self.shared.tools.len()
    }

    /// Runs a checked call: asks if need be, executes, and makes the result.
    async fn perform(
        &self,
        pending: Pending<'_>,
        retry: Retry,
        context: &RequestContext<RoleServer>,
        reporter: &Reporter,
    ) -> CallToolResponse {
        let entry = pending.entry();
        let admitted = if pending.needs_consent() {
            match self.shared.consents.obtain(&pending, retry, context).await {
                Answer::Ask(question) => return question.into(),
                Answer::Given(consent) => pending.admit_with(&consent),
                Answer::Refused(reason) => Err(pending.refused(reason)),
            }
        } else {
            pending.admit()
        };
        let outcome = match admitted {
            Ok(call) => self.shared.executor.execute(call, reporter).await,
            Err(refusal) => return result::failure(refusal.to_string()).into(),
        };
        match outcome {
            Ok(outcome) => self.shown(outcome, entry, context).await.into(),
            Err(error) => result::failure(error.for_model()).into(),
        }
    }
}

impl Server {
    /// Makes the result of a call that went well, cut to what a host shows.
    async fn shown(
        &self,
        outcome: Outcome,
        entry: &Entry,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let version = context.protocol_version();
        let (outcome, notice) = budget::fit(outcome, entry, self.files(), self.most_chars).await;
        let link = match &outcome.payload {
            Payload::File(file) => result::link(file, version.as_ref()),
            _ => None,
        };
        let mut result = result::success(outcome, entry.output.as_ref());
        result.content.extend(link);
        if let Some(notice) = notice {
            notice.add_to(&mut result, version.as_ref());
        }
        result
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().build();
        if !self.shared.prompts.is_empty() {
            capabilities.prompts = Some(PromptsCapability::default());
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
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params(
                "unknown cursor: all tools are on one page",
                None,
            ));
        }
        Ok(ListToolsResult::with_all_items(self.shared.tools.clone())
            .with_ttl_ms(LIST_TTL_MS)
            // What is listed may depend on who is authorized.
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = &self.shared.prompts;
        if prompts.is_empty() {
            return Err(ErrorData::method_not_found::<ListPromptsRequestMethod>());
        }
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
            Some(example) => Ok(example.result().into()),
            None => {
                let message = format!("unknown prompt \"{}\"", request.name);
                Err(ErrorData::invalid_params(message, None))
            }
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all = resources::list(self.files()).await;
        Ok(ListResourcesResult::with_all_items(all).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = resources::read(self.files(), &request.uri).await?;
        Ok(read.with_cache_scope(CacheScope::Private).into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let entry = self.shared.gate.catalog().find(name)?;
        (entry.decision == Decision::Allow).then(|| tools::tool(entry))
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let retry = Retry::take(&mut request);
        let arguments = request.arguments.unwrap_or_default();
        let pending = match self.shared.gate.check(&request.name, arguments) {
            Ok(pending) => pending,
            Err(refusal @ Refusal::UnknownTool { .. }) => {
                return Err(ErrorData::invalid_params(refusal.to_string(), None));
            }
            Err(refusal) => return Ok(result::failure(refusal.to_string()).into()),
        };
        let reporter = Reporter::new(http::session(&context.extensions));
        let call = self.perform(pending, retry, &context, &reporter);
        match progress::run(&context, &reporter, call).await {
            Some(response) => Ok(response),
            // Seen at a shutdown only: nobody waits for the answer of a cancelled request.
            None => Ok(result::failure("the call was cancelled".to_owned()).into()),
        }
    }

    /// Requests whose parameters do not have the shape of the method arrive here.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let parameters = request.params.as_ref();
        // The revision without sessions has no such methods, whatever their parameters.
        let has_sessions =
            context.protocol_version().is_none_or(|it| it < ProtocolVersion::V_2026_07_28);
        let message = match request.method.as_str() {
            "tools/call" => misshaped_call(parameters),
            "initialize" | "ping" if has_sessions => {
                format!("the parameters of {} do not have its shape", request.method)
            }
            "server/discover" | "tools/list" => {
                format!("the parameters of {} do not have its shape", request.method)
            }
            _ => return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None)),
        };
        Err(ErrorData::invalid_params(message, None))
    }
}

/// Says what is wrong with the parameters of a call.
fn misshaped_call(parameters: Option<&Value>) -> String {
    let of = |name: &str| parameters.and_then(|parameters| parameters.get(name));
    if !of("name").is_some_and(Value::is_string) {
        "`name` must be the name of a tool".to_owned()
    } else if of("arguments").is_some_and(|arguments| !arguments.is_object()) {
        "`arguments` must be an object".to_owned()
    } else {
        "the parameters of tools/call do not have its shape".to_owned()
    }
}
