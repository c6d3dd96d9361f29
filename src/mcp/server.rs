//! The server as data: the gate, what executes, what is listed, and what is kept for its clients.
//!
//! It asks for consent where a call needs one. What clients ask for is answered by
//! [`handler`](super::handler) and the files that it uses.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResponse, Prompt, ResourceTemplate, Tool},
    service::RequestContext,
};
use tokio_util::sync::CancellationToken;

use super::{
    builtin::BuiltinTool,
    call_sessions::CallSession,
    connection_bounds::ConnectionBounds,
    consent::{self, ConsentAnswer, ConsentBroker, ConsentRetry},
    known_values::KnownValues,
    listed_tools::ListedTools,
    object_resources::{ObjectResources, WatchSessions},
    prompts::{self, ExamplePrompt},
    request_owner::client_key,
    result,
    script_sessions::{PausedSessions, ScriptSession},
    shown_tools::{ShownTools, ToolList},
    shutdown::GracefulShutdown,
};
use crate::{
    call::CallChannel,
    config::OperatorLimits,
    executor::{CallerScript, Executor},
    files::FileStore,
    finding::ToolFinder,
    gate::{Admitted, Gate, PendingCall, script::ScriptScope},
    live::{StreamHub, watch::ResourceHub},
};

/// What a call is answered with; an error is for the host and not for the model.
pub(super) type ToolAnswer = Result<CallToolResponse, ErrorData>;

/// Serves the tools behind a gate; a clone serves the same tools.
#[derive(Clone)]
pub struct McpServer {
    shared: Arc<ServerShared>,
    kept: Arc<KeptState>,
    /// A longer result is cut.
    most_chars: usize,
    /// A larger image or audio file is not shown.
    most_media: u64,
    /// How long calls may go on when the program ends.
    grace: Duration,
    bounds: ConnectionBounds,
    script_time: Duration,
    script_calls: u32,
    ending: GracefulShutdown,
}

struct ServerShared {
    gate: Gate,
    executor: Arc<Executor>,
    instructions: String,
    tools: ListedTools,
    prompts: Vec<ExamplePrompt>,
    /// Finds the tools that hosts do not see.
    finder: Option<Arc<ToolFinder>>,
    builtins: Vec<BuiltinTool>,
    objects: ObjectResources,
}

/// What clients have under way: it goes on when the tools are others.
struct KeptState {
    consents: ConsentBroker,
    scripts: PausedSessions<ScriptSession>,
    calls: PausedSessions<CallSession>,
    streams: StreamHub,
    watch_sessions: WatchSessions,
    known_values: KnownValues,
}

impl McpServer {
    /// Prepares the tools for listing; hosts see each one.
    pub fn new(gate: Gate, executor: Arc<Executor>, instructions: String) -> Self {
        Self::with_surface(gate, executor, instructions, &ShownTools::default())
    }

    /// Prepares the tools for listing; hosts see what `shown` says.
    pub fn with_surface(
        gate: Gate,
        executor: Arc<Executor>,
        instructions: String,
        shown: &ShownTools,
    ) -> Self {
        let gate = gate.at(CallChannel::Mcp);
        let ToolList { tools, builtins, is_compact } = shown.list(&gate);
        let finder = is_compact.then(|| {
            let texts = builtins.iter().filter_map(|builtin| builtin.text()).collect();
            Arc::new(ToolFinder::new(gate.shared_catalog()).with_builtins(texts))
        });
        let runs_scripts =
            |it: &BuiltinTool| matches!(it, BuiltinTool::ApiRead | BuiltinTool::ApiScript);
        let runners: Vec<BuiltinTool> = builtins.iter().copied().filter(runs_scripts).collect();
        let prompts = prompts::of_examples(gate.catalog(), &runners);
        let watched = ResourceHub::new(Executor::clone(&executor), gate.clone());
        let shared = ServerShared {
            gate,
            executor,
            instructions,
            tools,
            prompts,
            finder,
            builtins,
            objects: ObjectResources::new(watched),
        };
        let kept = KeptState {
            consents: ConsentBroker::new(),
            scripts: PausedSessions::default(),
            calls: PausedSessions::default(),
            streams: StreamHub::default(),
            watch_sessions: WatchSessions::default(),
            known_values: KnownValues::default(),
        };
        let OperatorLimits {
            result_chars: most_chars,
            media_bytes: most_media,
            shutdown_grace: grace,
            script_time,
            script_calls,
            ..
        } = OperatorLimits::default();
        Self {
            shared: Arc::new(shared),
            kept: Arc::new(kept),
            most_chars,
            most_media,
            grace,
            bounds: ConnectionBounds::default(),
            script_time,
            script_calls,
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

    /// Lets a script of a caller run for `time` and make `calls`; by default as [`OperatorLimits`] say.
    #[must_use]
    pub fn with_scripts(self, time: Duration, calls: u32) -> Self {
        Self { script_time: time, script_calls: calls, ..self }
    }

    /// Bounds the connections of HTTP clients.
    #[must_use]
    pub fn with_connections(self, bounds: ConnectionBounds) -> Self {
        Self { bounds, ..self }
    }

    /// Returns this server as the one that comes after `before`: what clients have under way goes on, and
    /// it ends as that one.
    #[must_use]
    pub(super) fn succeeding(self, before: &Self) -> Self {
        let (kept, ending) = (Arc::clone(&before.kept), before.ending.clone());
        Self { kept, ending, ..self }
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
        &self.kept.streams
    }

    /// Returns the prompts.
    pub(super) fn prompts(&self) -> &[ExamplePrompt] {
        &self.shared.prompts
    }

    /// Returns whether clients list the same prompts of both.
    pub(super) fn has_same_prompts(&self, other: &Self) -> bool {
        let listed = |server: &Self| server.prompts().iter().map(|it| it.prompt.clone()).collect();
        let [own, others]: [Vec<Prompt>; 2] = [listed(self), listed(other)];
        own == others && self.has_same_contents(other)
    }

    fn has_same_contents(&self, other: &Self) -> bool {
        self.gate().catalog().contents() == other.gate().catalog().contents()
    }

    /// Returns whether clients list the same resources of both.
    pub(super) fn has_same_resources(&self, other: &Self) -> bool {
        let listed = |server: &Self| server.objects().templates().collect();
        let [own, others]: [Vec<ResourceTemplate>; 2] = [listed(self), listed(other)];
        own == others && self.has_same_contents(other)
    }

    /// Returns the objects of backends.
    pub(super) fn objects(&self) -> &ObjectResources {
        &self.shared.objects
    }

    /// Returns what clients before 2026-07-28 watch.
    pub(super) fn watch_sessions(&self) -> &WatchSessions {
        &self.kept.watch_sessions
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
    pub(super) fn builtin(&self, name: &str) -> Option<BuiltinTool> {
        self.shared.builtins.iter().copied().find(|builtin| builtin.name() == name)
    }

    /// Returns what was listed a moment ago.
    pub(super) fn known_values(&self) -> &KnownValues {
        &self.kept.known_values
    }

    /// Returns what hosts are told about the whole.
    pub(super) fn instructions(&self) -> &str {
        &self.shared.instructions
    }

    /// Returns the listed tools, built-in ones last.
    pub(super) fn tools(&self) -> &[Tool] {
        self.shared.tools.values(self.gate().catalog())
    }

    /// Returns these as JSON text.
    pub(super) fn tools_text(&self) -> String {
        self.shared.tools.text(self.gate().catalog())
    }

    /// Returns whether clients list the same tools of both.
    pub(super) fn has_same_tools(&self, other: &Self) -> bool {
        let (own, others) = (self.gate().catalog(), other.gate().catalog());
        self.shared.tools.is_same(own, &other.shared.tools, others)
    }

    /// Returns whether hosts find tools by a search.
    pub(super) fn is_compact(&self) -> bool {
        self.shared.finder.is_some()
    }

    /// Returns what finds the tools that hosts do not see, where they see a few.
    pub(super) fn finder(&self) -> Option<&Arc<ToolFinder>> {
        self.shared.finder.as_ref()
    }

    /// Returns the scripts that wait for a person.
    pub(super) fn paused_scripts(&self) -> &PausedSessions<ScriptSession> {
        &self.kept.scripts
    }

    /// Returns the calls that wait for a person.
    pub(super) fn paused_calls(&self) -> &PausedSessions<CallSession> {
        &self.kept.calls
    }

    /// Returns what asks persons.
    pub(super) fn consents(&self) -> &ConsentBroker {
        &self.kept.consents
    }

    /// Returns what executes calls, for what outlives a request.
    pub(super) fn shared_executor(&self) -> Arc<Executor> {
        Arc::clone(&self.shared.executor)
    }

    /// Makes a script with the bounds of the operator.
    pub(super) fn script(&self, code: String, scope: ScriptScope) -> CallerScript {
        let (time, most_calls) = (self.script_time, self.script_calls);
        CallerScript { time, most_calls, ..CallerScript::new(code, scope) }
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
            let client = client_key(&context.extensions);
            if let Err(error) = self.executor().check_before_asking(&pending, &client).await {
                let note = pending.arguments().taken_note();
                let note = note.map(|note| format!("; {note}")).unwrap_or_default();
                return Err(Ok(result::failure_result(error.for_model() + &note).into()));
            }
            match self.kept.consents.obtain(&pending, retry, context, self.executor()).await {
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
}
