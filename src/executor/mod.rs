//! One call from plan to result.
//!
//! [`Executor::execute`] is the whole call in one place: plan, credential, request with redirects
//! and retries, decoding, result; `pipeline` has the steps in their order. It takes an [`Admitted`] call
//! only, which the gate alone makes. Dropping its future aborts the request and removes an unfinished
//! download.

mod answer;
mod backend_client;
mod before_asking;
mod begun_tasks;
mod call_bounds;
mod caller_script;
mod change_approval;
mod change_ledger;
mod composite;
pub(crate) mod connection;
mod content_files;
mod context;
mod disposition;
mod download;
mod dry_run;
mod elicitation;
mod error;
mod file_name;
mod health;
pub(crate) mod inline;
mod inner_failure;
mod known_servers;
mod look;
mod media;
mod pages;
mod peek;
mod pipeline;
mod preparing;
mod preview;
mod questions;
mod range;
mod read;
mod result;
mod rpc;
mod script;
mod script_loop;
mod script_result;
mod sealed;
mod send;
mod server_call;
mod server_content;
mod server_exchange;
mod server_questions;
mod server_result;
mod server_task;
mod settle_write;
mod step;
mod step_queue;
pub(crate) mod stream;
mod task;
mod upload_size;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::SystemTime,
};

use dadl_descriptor::model::Composite;
use serde_json::Value;

pub(crate) use self::call_bounds::AnswerMemory;
pub use self::{
    backend_client::{BackendClient, ServerClient, ServerPlace},
    caller_script::{CallerScript, ScriptError, ScriptGuide},
    change_approval::{ChangeApproval, ChangeQuestion, ChangeRefusal},
    context::{CallContext, OnDrop, WaitBudget},
    elicitation::{Elicitation, ElicitationFault},
    error::{CallError, TaskError, ToolFailure},
    questions::{QuestionAnswer, ServerQuestion, ServerQuestions},
    script_result::ScriptResultError,
};
use self::{
    begun_tasks::BegunTasks,
    call_bounds::CallBounds,
    change_ledger::ChangeLedgers,
    known_servers::KnownServers,
    script::{CallerSlots, ScriptSlots},
    settle_write::LastWrites,
};
pub(crate) use self::{
    call_bounds::BusyError,
    caller_script::script_name,
    dry_run::DryRun,
    error::{MediaTypeError, TaskFailure, UploadSizeError},
    health::HealthReport,
    known_servers::KnownServer,
    preview::TimedPreview,
};
use crate::{
    call,
    catalog::CatalogOperation,
    config::OperatorLimits,
    files::FileStore,
    gate::{Admitted, PendingCall},
    outcome::{CallOutcome, task_report::TaskHandle},
    secrets::Secrets,
    shares::{ClientKey, FairQueue},
    worker::FilterPool,
};

/// Executes calls.
#[derive(Debug, Clone)]
pub struct Executor {
    backends: Arc<[Arc<BackendClient>]>,
    secrets: Secrets,
    files: FileStore,
    filters: FilterPool,
    slots: ScriptSlots,
    /// Of scripts that callers bring: they may call composites, which need a slot of their own.
    caller_slots: CallerSlots,
    ledgers: ChangeLedgers,
    bounds: CallBounds,
    begun: BegunTasks,
    written: LastWrites,
    fits: KnownServers,
    /// How many JSON-RPC requests there were.
    requests: Arc<AtomicU64>,
}

impl Executor {
    /// Executes calls of `backends`, whose order is that of the settings.
    pub fn new(
        backends: impl IntoIterator<Item = impl Into<BackendClient>>,
        files: FileStore,
    ) -> Self {
        let filters = FilterPool::default();
        let (slots, caller_slots) = <(ScriptSlots, CallerSlots)>::default();
        let backends: Arc<[Arc<BackendClient>]> =
            backends.into_iter().map(|client| Arc::new(client.into())).collect();
        let bounds = call_bounds(OperatorLimits::default(), &backends);
        let secrets = joined_secrets(&backends);
        let (begun, written, fits, requests, ledgers) = Default::default();
        Self {
            backends,
            secrets,
            files,
            filters,
            slots,
            caller_slots,
            ledgers,
            bounds,
            begun,
            written,
            fits,
            requests,
        }
    }

    /// Keeps these secrets out of what is written besides those of the backends.
    #[must_use]
    pub(crate) fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// Does so much at once; by default as [`OperatorLimits`] say.
    #[must_use]
    pub fn with_limits(self, limits: OperatorLimits) -> Self {
        let bounds = call_bounds(limits, &self.backends);
        Self { bounds, ..self }
    }

    /// Makes what executes the calls of other backends after these: `kept` says at which position a backend
    /// was that stays as it is, with its client, its connections and its turns. Tasks, scripts, files and
    /// the memory of answers are those of this executor.
    pub(crate) fn succeeded_by(
        &self,
        backends: Vec<NextClient>,
        limits: OperatorLimits,
        known: Vec<Option<KnownServer>>,
    ) -> Self {
        let before = |client: &NextClient| match client {
            NextClient::Kept(at) => Some(*at),
            NextClient::New(_) => None,
        };
        let positions: Vec<Option<usize>> = backends.iter().map(before).collect();
        let clients = backends.into_iter().filter_map(|client| match client {
            NextClient::Kept(at) => self.backends.get(at).cloned(),
            NextClient::New(client) => Some(Arc::new(*client)),
        });
        let clients: Arc<[Arc<BackendClient>]> = clients.collect();
        let most = clients.iter().map(|it| it.settings().max_calls).zip(positions);
        let bounds = self.bounds.succeeded_by(limits, most);
        let secrets = joined_secrets(&clients);
        let fits = self.fits.succeeded_by(known);
        Self {
            backends: clients,
            secrets,
            bounds,
            fits,
            // Which backend a write was of is known by its position.
            written: LastWrites::default(),
            ..self.clone()
        }
    }

    /// Runs jq filters in these processes; by default they are this program.
    #[must_use]
    pub fn with_filters(self, filters: FilterPool) -> Self {
        Self { filters, ..self }
    }

    /// Returns how many bytes the answers take that are being read.
    pub fn bytes_in_memory(&self) -> u64 {
        self.bounds.used()
    }

    /// Returns turns for transfers that are no part of calls: as many as calls have.
    pub(crate) fn transfer_queue(&self) -> FairQueue {
        self.bounds.transfer_queue()
    }

    /// Returns room for what is made of an answer beside it.
    pub(crate) fn room(&self, client: &ClientKey) -> AnswerMemory {
        self.bounds.room(client)
    }

    /// Returns what runs the jq programs of `client`.
    pub(crate) fn filters(&self, client: &ClientKey) -> FilterPool {
        self.filters.of(client)
    }

    /// Returns the secrets that are in use.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the tasks that calls of `client` began, the newest first, as they were last seen:
    /// `{"task", "tool", "began", "running", "state", "message", "reason", "trouble", "progress",
    /// "stop_requested", "seen"}`;
    /// what is not known is left out.
    pub fn begun(&self, client: &ClientKey) -> Vec<Value> {
        self.begun.tasks_of(client)
    }

    /// Returns when a call of this process began a task; now, if none did.
    pub(crate) fn task_began(&self, handle: &TaskHandle) -> SystemTime {
        self.begun.when(handle).unwrap_or_else(SystemTime::now)
    }

    /// Returns the directory of files.
    pub fn files(&self) -> &FileStore {
        &self.files
    }

    /// Plans a call without sending anything.
    ///
    /// # Errors
    ///
    /// [`CallError::Argument`] when an argument makes no request.
    pub fn dry_run(&self, call: &PendingCall<'_>) -> Result<DryRun, CallError> {
        let tool = match call.entry().operation() {
            CatalogOperation::Tool(tool) => tool,
            CatalogOperation::Composite(Composite { name, calls, .. }) => {
                return Ok(DryRun::Composite { name: name.clone(), calls: calls.to_vec() });
            }
            CatalogOperation::Server(tool) => {
                return Ok(DryRun::Server {
                    backend: call.entry().backend_name.to_string(),
                    tool: tool.name.clone(),
                    arguments: call.arguments().as_wire(),
                });
            }
        };
        let backend = self.backend(call.entry())?;
        let plan =
            call::plan_call(call.entry(), tool, backend.base(), call.arguments(), call.door())?;
        let credential = backend.masked_credential(&plan);
        Ok(DryRun::Request { plan: Box::new(plan), credential })
    }

    /// Executes a call.
    ///
    /// # Errors
    ///
    /// See [`CallError`]; each variant says whose fault it usually is.
    pub async fn execute(
        &self,
        call: Admitted<'_>,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        if call.entry().health().is_some()
            && let Some(report) = Box::pin(self.check_health(&call)).await
        {
            return Ok(report.into());
        }
        // Each of these is large, and a composite holds many: on the heap they take no stack.
        let done = match call.entry().operation() {
            CatalogOperation::Tool(tool) => Box::pin(self.request(&call, tool, context)).await,
            CatalogOperation::Composite(composite) => {
                Box::pin(composite::run(self, &call, composite, context)).await
            }
            CatalogOperation::Server(tool) => {
                Box::pin(self.call_server(&call, tool, context)).await
            }
        };
        self.fits.after(self, &call, &done);
        done
    }
}

/// The client of a backend of the next executor.
#[derive(Debug)]
pub(crate) enum NextClient {
    /// That at this position of the one before.
    Kept(usize),
    /// Another one.
    New(Box<BackendClient>),
}

fn joined_secrets(backends: &[Arc<BackendClient>]) -> Secrets {
    let noted: Vec<Secrets> = backends.iter().map(|client| client.secrets()).collect();
    Secrets::joined(&noted)
}

fn call_bounds(limits: OperatorLimits, backends: &[Arc<BackendClient>]) -> CallBounds {
    CallBounds::new(limits, backends.iter().map(|backend| backend.settings().max_calls))
}
