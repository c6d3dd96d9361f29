//! The one gate that every call passes, whichever door it came through.
//!
//! A name and raw arguments go in. What comes out is either a [`CallRefusal`], before anything was
//! sent, or an [`Admitted`] call, which is the only thing the executor takes. A dangerous call is
//! [`PendingCall`] until a [`CallConsent`] for exactly this call is given.
//!
//! **Invariant:** `Admitted` has no public constructor, and a `CallConsent` holds the digest of the
//! call that a person saw: it fits no other tool, backend or argument.

mod detached;
pub mod preview;
mod question;
pub mod script;
mod shown_name;
mod task_right;
mod task_stop;

use std::sync::Arc;

use dadl_descriptor::model::{
    AccessLevel, Composite,
    task::{TaskCall, carried::CarriedValues},
};
use dadl_text::{names::OrMeant, text::quoted_text};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(crate) use self::detached::DetachedCall;
pub use self::task_stop::TaskStop;
use crate::{
    access::{AccessDecision, AccessDenial, ProfileBound},
    call::{self, ArgumentError, BackendPlace, BaseUrl, CallArguments, CallChannel},
    catalog::{BackendId, Catalog, CatalogEntry, CatalogOperation, EntryParam, TaskTools},
    config::ConfirmPolicy,
    outcome::task_report::TaskHandle,
};

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 100;

/// Decides about calls.
#[derive(Debug, Clone)]
pub struct Gate {
    catalog: Arc<Catalog>,
    /// By position of the backend.
    confirm: Arc<[ConfirmPolicy]>,
    /// By position of the backend, as far as they are known: where calls go, for the question.
    places: Arc<[BackendPlace]>,
    /// Which door it stands at.
    door: CallChannel,
    /// Whether the one backend is a simulator inside this process.
    simulated: bool,
    /// How a person reaches the same backends.
    terminal: TerminalCommand,
}

/// Why a call was refused; nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallRefusal {
    /// The caller's fault: the arguments do not fit.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// The operator's decision: the tool is not allowed.
    #[error("tool \"{tool}\" is not allowed: {denial}; {remedy}")]
    Denied {
        /// The tool's MCP name.
        tool: String,
        /// The reason.
        denial: AccessDenial,
        /// The setting that would allow it.
        remedy: String,
    },
    /// Nobody could be asked, or somebody said no.
    #[error("tool \"{tool}\" was not called: {reason}")]
    NotConfirmed {
        /// The tool's MCP name.
        tool: String,
        /// What happened, and what the operator can do.
        reason: String,
    },
    /// The tool is not called from this script: somebody else has to make the call.
    #[error(
        "tool \"{tool}\" was not called: {reason}. Make this call by itself: {} {call}",
        script::CHANGE_TOOL
    )]
    NotFromScript {
        /// The tool's MCP name.
        tool: String,
        /// Why not.
        reason: &'static str,
        /// The arguments of the call to make, as JSON; cut if they are long.
        call: String,
    },
    /// The caller's fault: nothing here has such a task.
    #[error("there is no task \"{handle}\": {reason}")]
    NoTask {
        /// What was asked for.
        handle: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller's fault: there is no such tool.
    #[error("unknown tool {}{:#}", quoted_text(name, LONGEST_NAME), OrMeant(nearest.as_deref()))]
    UnknownTool {
        /// The name that was asked for.
        name: String,
        /// A listed tool with a similar name.
        nearest: Option<String>,
    },
}

/// How a person reaches the backends of a process from a terminal.
#[derive(Debug, Clone, Default)]
pub struct TerminalCommand {
    /// The flags that lead to them, as a shell takes them, each with a blank before it.
    pub flags: String,
    /// Whether the backends are flags alone, so that there is no file with their settings.
    pub has_no_file: bool,
}

/// A call that fits its schema and is allowed; a dangerous one still needs a person's consent.
#[derive(Debug)]
pub struct PendingCall<'gate> {
    gate: &'gate Gate,
    entry: &'gate CatalogEntry,
    arguments: CallArguments,
    needs_consent: bool,
}

/// A call that may be executed.
#[derive(Debug)]
pub struct Admitted<'gate> {
    gate: &'gate Gate,
    entry: &'gate CatalogEntry,
    arguments: CallArguments,
    /// Whether a person agreed to this call.
    consented: bool,
    /// Whether the script of a caller makes it, which calls nothing dangerous by any way.
    from_script: bool,
}

/// The right to look at one task, and perhaps to cancel it.
///
/// It belongs to the call that began the task: who may start a migration may see how it goes and
/// stop it, whatever the tools that do this are allowed for. For a task that only a handle names,
/// [`Gate::check_task`] gives it, under the rules of the watching tool.
#[derive(Debug, Clone)]
pub struct TaskRight {
    gate: Gate,
    backend: BackendId,
    handle: TaskHandle,
    /// Whether it comes from the call that began the task.
    began_it: bool,
}

/// The digest of a call: what a consent is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallDigest([u8; 32]);

/// A person's yes to one call.
#[derive(Debug)]
pub struct CallConsent(CallDigest);

impl CallConsent {
    /// Records that a person agreed to the call with this digest.
    ///
    /// Only a front end that has asked a person may make one.
    pub fn given_for(digest: CallDigest) -> Self {
        Self(digest)
    }
}

impl CallDigest {
    /// Returns the digest as bytes, for sealing into a state that travels.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Restores a digest from bytes that were sealed.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Gate {
    /// Guards `catalog`, at the door of models unless [`at`](Self::at) says otherwise; `confirm` is
    /// given by position of the backend.
    pub fn new(catalog: Arc<Catalog>, confirm: impl Into<Arc<[ConfirmPolicy]>>) -> Self {
        Self {
            catalog,
            confirm: confirm.into(),
            places: Arc::default(),
            door: CallChannel::default(),
            simulated: false,
            terminal: TerminalCommand::default(),
        }
    }

    /// Says how a person reaches the same backends at a terminal.
    #[must_use]
    pub fn reached_by(self, terminal: TerminalCommand) -> Self {
        Self { terminal, ..self }
    }

    /// Decides about the tools of another catalog of the same backends.
    #[must_use]
    pub fn with_catalog(self, catalog: Arc<Catalog>) -> Self {
        Self { catalog, ..self }
    }

    /// Makes a gate that also leaves out what `bound` does.
    #[must_use]
    pub(crate) fn narrowed(&self, bound: &ProfileBound) -> Self {
        self.clone().with_catalog(Arc::new(self.catalog.narrowed(bound)))
    }

    /// Makes a gate at the same place for other backends: `confirm` and `places` are by their positions.
    #[must_use]
    pub(crate) fn for_backends(
        &self,
        catalog: Arc<Catalog>,
        confirm: impl Into<Arc<[ConfirmPolicy]>>,
        places: impl Into<Arc<[BackendPlace]>>,
    ) -> Self {
        let (confirm, places) = (confirm.into(), places.into());
        Self { catalog, confirm, places, ..self.clone() }
    }

    /// Says where calls go, by position of the backend, so that a person who is asked sees it.
    #[must_use]
    pub fn with_places(self, places: impl Into<Arc<[BackendPlace]>>) -> Self {
        Self { places: places.into(), ..self }
    }

    /// Says so of backends that are all APIs.
    #[must_use]
    pub fn with_bases(self, bases: Vec<BaseUrl>) -> Self {
        self.with_places(bases.into_iter().map(BackendPlace::Api).collect::<Vec<_>>())
    }

    /// Stands at `door`: all calls that it admits came through this one, and so did what follows
    /// from them.
    #[must_use]
    pub fn at(self, door: CallChannel) -> Self {
        Self { door, ..self }
    }

    /// Says that a simulator inside this process is what is called: no settings are for it, and it
    /// is reached from nowhere else.
    #[must_use]
    pub fn of_simulator(self) -> Self {
        Self { simulated: true, ..self }
    }

    /// Returns the door at which it stands.
    pub(crate) fn door(&self) -> CallChannel {
        self.door
    }

    /// Returns the catalog for what lives as long as the gate.
    pub(crate) fn shared_catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog)
    }

    /// Returns the catalog behind the gate.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Checks that `name` may be called with `arguments`, which a caller gave: what they say of stored
    /// files counts.
    pub fn check(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<PendingCall<'_>, CallRefusal> {
        let pending = self.check_made(name, arguments)?;
        Ok(PendingCall { arguments: pending.arguments.of_caller(), ..pending })
    }

    /// Checks that `name` may be called with `arguments`, which this program made: of what an API said,
    /// or of the name of a resource.
    pub(crate) fn check_made(
        &self,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<PendingCall<'_>, CallRefusal> {
        let Some(entry) = self.catalog.find(name) else {
            let nearest = self.catalog.nearest(name).map(str::to_owned);
            return Err(CallRefusal::UnknownTool { name: name.to_owned(), nearest });
        };
        self.check_entry(entry, arguments)
    }

    /// Checks that the operator may make the health check of a backend; `None` when it has none.
    pub fn check_health(&self, backend: BackendId) -> Option<Result<PendingCall<'_>, CallRefusal>> {
        let entry = self.catalog.health(backend)?;
        Some(self.check_entry(entry, Map::new()))
    }

    /// Checks that the operator may ask how the switch of a backend stands; `None` when the
    /// descriptor names no tool for this.
    pub fn check_switch(&self, backend: BackendId) -> Option<Result<PendingCall<'_>, CallRefusal>> {
        let entry = self.catalog.switch(backend)?;
        Some(self.check_entry(entry, Map::new()))
    }

    /// Checks that the operator may ask which methods a backend has; `None` when the descriptor names
    /// no tool for this.
    pub fn check_fit(&self, backend: BackendId) -> Option<Result<PendingCall<'_>, CallRefusal>> {
        let entry = self.catalog.fit(backend)?;
        Some(self.check_entry(entry, Map::new()))
    }

    /// Checks that the operator may ask for the version of a backend; `None` when the descriptor names
    /// no tool for this.
    pub fn check_fit_version(
        &self,
        backend: BackendId,
    ) -> Option<Result<PendingCall<'_>, CallRefusal>> {
        let entry = self.catalog.fit_version(backend)?;
        Some(self.check_entry(entry, Map::new()))
    }

    /// Checks that the task with this handle may be looked at.
    ///
    /// # Errors
    ///
    /// [`CallRefusal::NoTask`] for a handle that leads nowhere, [`CallRefusal::Denied`] when the level or
    /// the name of the watching tool is not allowed.
    pub fn check_task(&self, handle: &TaskHandle) -> Result<TaskRight, CallRefusal> {
        if let Some(right) = self.check_server_task(handle) {
            return right;
        }
        let (backend, tools) = self.task_tools(handle)?;
        self.check_decision(&tools.watch)?;
        let right =
            TaskRight { gate: self.clone(), backend, handle: handle.clone(), began_it: false };
        // Ids that make no request are refused before anything is sent.
        right.watch()?;
        Ok(right)
    }

    /// Checks that the task with this handle may be cancelled.
    ///
    /// # Errors
    ///
    /// Those of [`check_task`](Self::check_task), about the cancelling tool; also
    /// [`CallRefusal::NoTask`] when the API cannot cancel tasks.
    pub fn check_cancel(&self, handle: &TaskHandle) -> Result<PendingCall<'_>, CallRefusal> {
        let (_, tools) = self.task_tools(handle)?;
        let call = tools.watch.descriptor().tasks.as_ref().and_then(|it| it.cancel.as_ref());
        let (Some(entry), Some(call)) = (&tools.cancel, call) else {
            let reason = format!("tasks of backend \"{}\" cannot be cancelled", handle.backend);
            return Err(CallRefusal::NoTask { handle: handle.to_string(), reason });
        };
        let arguments = call.arguments_for(&handle.id, &handle.carried);
        self.check_entry(entry, as_descriptor_gives(entry, arguments))
    }

    /// Finds the tools for a task; its handle must be one that a call here could have given.
    fn task_tools(&self, handle: &TaskHandle) -> Result<(BackendId, &TaskTools), CallRefusal> {
        let no_task = |reason: String| CallRefusal::NoTask { handle: handle.to_string(), reason };
        let found = self
            .catalog
            .task_backend(&handle.backend)
            .ok_or_else(|| no_task(format!("no backend \"{}\" has tasks", handle.backend)))?;
        let Some(tasks) = found.1.watch.descriptor().tasks_of(&handle.tool) else {
            return Err(no_task(format!(
                "backend \"{}\" has no tool \"{}\" that begins tasks",
                handle.backend, handle.tool
            )));
        };
        if let Some(name) = handle.carried.names().find(|name| !tasks.carried.contains(*name)) {
            let tool = &handle.tool;
            return Err(no_task(format!("handles of \"{tool}\" carry no \"{name}\"")));
        }
        Ok(found)
    }

    /// Refuses what the operator does not allow.
    fn check_decision(&self, entry: &CatalogEntry) -> Result<(), CallRefusal> {
        let AccessDecision::Deny(denial) = &entry.decision else { return Ok(()) };
        let remedy = denial.remedy(&entry.backend_name, entry.declared_name());
        Err(CallRefusal::Denied { tool: entry.name.clone(), denial: denial.clone(), remedy })
    }

    fn check_entry<'gate>(
        &'gate self,
        entry: &'gate CatalogEntry,
        arguments: Map<String, Value>,
    ) -> Result<PendingCall<'gate>, CallRefusal> {
        self.check_decision(entry)?;
        let arguments = call::check_arguments(entry, arguments)?;
        let needs_consent =
            self.asks_for(entry) || self.dangerous_delegates(entry).next().is_some();
        let pending = PendingCall { gate: self, entry, arguments, needs_consent };
        if needs_consent {
            pending.check_request()?;
        }
        Ok(pending)
    }

    /// Returns whether a person is asked before a call of this level.
    fn asks_for(&self, entry: &CatalogEntry) -> bool {
        // A backend without a setting of its own is asked for: fail closed.
        let confirm = self.confirm.get(entry.backend.0).copied().unwrap_or_default();
        entry.access() == Some(&AccessLevel::Dangerous) && confirm == ConfirmPolicy::Ask
    }

    /// Returns the tools that a composite may call under its own consent, and that need one.
    fn dangerous_delegates(&self, entry: &CatalogEntry) -> impl Iterator<Item = &CatalogEntry> {
        let delegates = match entry.operation() {
            CatalogOperation::Composite(Composite { delegates, .. }) => delegates.as_slice(),
            CatalogOperation::Tool(_) | CatalogOperation::Server(_) => &[],
        };
        delegates.iter().filter_map(|name| self.catalog.find_declared(entry.backend, name)).filter(
            |delegate| delegate.decision == AccessDecision::Allow && self.asks_for(delegate),
        )
    }
}

impl<'gate> PendingCall<'gate> {
    /// Returns the tool.
    pub fn entry(&self) -> &'gate CatalogEntry {
        self.entry
    }

    /// Returns the checked arguments.
    pub fn arguments(&self) -> &CallArguments {
        &self.arguments
    }

    /// Returns the door that the call came through.
    pub(crate) fn door(&self) -> CallChannel {
        self.gate.door
    }

    /// Returns whether a person has to agree first.
    pub fn needs_consent(&self) -> bool {
        self.needs_consent
    }

    /// Returns what identifies this call: backend, tool and arguments.
    pub fn digest(&self) -> CallDigest {
        let mut hasher = Sha256::new();
        for part in [&*self.entry.backend_name, &*self.entry.name] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(Value::Object(self.arguments.as_object()).to_string().as_bytes());
        CallDigest(hasher.finalize().into())
    }

    /// Admits a call that needs no consent.
    ///
    /// # Errors
    ///
    /// [`CallRefusal::NotConfirmed`] when a person has to agree first.
    pub fn admit(self) -> Result<Admitted<'gate>, CallRefusal> {
        if self.needs_consent {
            return Err(self.refused("a person has to confirm dangerous calls"));
        }
        let Self { gate, entry, arguments, .. } = self;
        Ok(Admitted { gate, entry, arguments, consented: false, from_script: false })
    }

    /// Admits a call that a person agreed to.
    ///
    /// # Errors
    ///
    /// [`CallRefusal::NotConfirmed`] when the consent was given for another call.
    pub fn admit_with(self, consent: &CallConsent) -> Result<Admitted<'gate>, CallRefusal> {
        if consent.0 != self.digest() {
            return Err(self.refused("the confirmation was given for another call"));
        }
        let Self { gate, entry, arguments, .. } = self;
        Ok(Admitted { gate, entry, arguments, consented: true, from_script: false })
    }

    /// Returns whether a simulator inside this process would get the call.
    pub fn is_simulated(&self) -> bool {
        self.gate.simulated
    }

    /// Returns how a person reaches the same backends.
    pub fn terminal(&self) -> &TerminalCommand {
        &self.gate.terminal
    }

    /// Makes the refusal of this call.
    pub fn refused(&self, reason: impl Into<String>) -> CallRefusal {
        CallRefusal::NotConfirmed { tool: self.entry.name.clone(), reason: reason.into() }
    }
}

impl<'gate> Admitted<'gate> {
    /// Returns the gate that the call passed: what follows from the call passes it too.
    pub(crate) fn gate(&self) -> &'gate Gate {
        self.gate
    }

    /// Returns the tool.
    pub fn entry(&self) -> &'gate CatalogEntry {
        self.entry
    }

    /// Returns the checked arguments.
    pub fn arguments(&self) -> &CallArguments {
        &self.arguments
    }

    /// Returns the door that the call came through.
    pub(crate) fn door(&self) -> CallChannel {
        self.gate.door
    }

    /// Admits the call of another tool of the backend that only looks at what this call has written;
    /// `None` when it may not be called, or there is none.
    pub(crate) fn look(&self, call: &TaskCall, values: &[(String, String)]) -> Option<Self> {
        look_call(self.gate, self.entry.backend, &call.tool, call.filled(values))
    }

    /// Returns the right to go on with the task `id` that this call began by what was `sent`; `None`
    /// when its tool begins none.
    pub(crate) fn task(&self, id: String, sent: &CallArguments) -> Option<TaskRight> {
        let tasks = self.entry.tasks()?;
        let carried = CarriedValues::of(&tasks.carried, |name| sent.get(name));
        let backend = self.entry.backend_name.to_string();
        let handle =
            TaskHandle { backend, tool: self.entry.declared_name().to_owned(), id, carried };
        let (gate, backend) = (self.gate.clone(), self.entry.backend);
        Some(TaskRight { gate, backend, handle, began_it: true })
    }

    /// Admits a call of `tool` that the script of this composite makes: it passes what a direct
    /// call passes. `arguments` may have the names of the wire as well as those of the schema. They may
    /// say of stored files what the caller of the composite may, and of those that were `saved` for it.
    ///
    /// # Errors
    ///
    /// What a direct call would be refused for. A call that needs a person's consent is admitted
    /// only if the person agreed to the composite, and the composite lists the tool in `delegates`,
    /// so that the question named it.
    pub(crate) fn call_within(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        saved: impl FnOnce() -> Vec<String>,
    ) -> Result<Self, CallRefusal> {
        let unknown = || CallRefusal::UnknownTool { name: tool.to_owned(), nearest: None };
        let CatalogOperation::Composite(composite) = self.entry.operation() else {
            return Err(unknown());
        };
        let found = self.gate.catalog.find_declared(self.entry.backend, tool);
        // A composite calls no composites.
        let entry = found.filter(|entry| entry.tool().is_some()).ok_or_else(unknown)?;
        let pending = self.gate.check_made(&entry.name, as_descriptor_gives(entry, arguments))?;
        let pending = if pending.arguments.names_files() {
            let ids = [self.arguments.ids(), saved()].concat();
            PendingCall { arguments: pending.arguments.of_script(ids), ..pending }
        } else {
            pending
        };
        if self.from_script {
            self.gate.refuse_danger(entry, &pending.arguments.as_given_by_caller())?;
        }
        if !pending.needs_consent {
            return pending.admit();
        }
        if !composite.delegates.iter().any(|delegate| delegate == tool) {
            let reason = format!(
                "it is dangerous, and the composite \"{}\" does not list it in `delegates`",
                composite.name
            );
            return Err(pending.refused(reason));
        }
        if !self.consented {
            return Err(pending.refused("nobody was asked about it"));
        }
        let PendingCall { gate, entry, arguments, .. } = pending;
        Ok(Admitted { gate, entry, arguments, consented: true, from_script: false })
    }
}

/// Admits a call that only looks; `None` when it may not be called, or there is no such tool.
fn look_call<'gate>(
    gate: &'gate Gate,
    backend: BackendId,
    tool: &str,
    arguments: Map<String, Value>,
) -> Option<Admitted<'gate>> {
    let entry = gate.catalog.find_declared(backend, tool)?;
    let only_looks = match entry.operation() {
        CatalogOperation::Tool(tool) => tool.only_reads(),
        CatalogOperation::Composite(_) => !entry.has_effect(),
        CatalogOperation::Server(_) => false,
    };
    if entry.decision != AccessDecision::Allow || !only_looks {
        return None;
    }
    let arguments = call::check_arguments(entry, as_descriptor_gives(entry, arguments)).ok()?;
    Some(Admitted { gate, entry, arguments, consented: false, from_script: false })
}

/// Returns the arguments of a call that a descriptor makes, by the names of the schema. Where the operator
/// has fixed a value, that is what counts: a descriptor knows nothing of it.
fn as_descriptor_gives(
    entry: &CatalogEntry,
    mut arguments: Map<String, Value>,
) -> Map<String, Value> {
    for EntryParam { property, param, .. } in entry.fixed_params() {
        arguments.remove(property);
        arguments.remove(&param.name);
    }
    with_properties(entry, arguments)
}

/// Renames arguments from the names of the wire to those of the schema.
fn with_properties(entry: &CatalogEntry, arguments: Map<String, Value>) -> Map<String, Value> {
    let known = |name: &str| entry.params.iter().any(|param| param.property == name);
    if arguments.keys().all(|name| known(name)) {
        return arguments;
    }
    let property = |name: &str| {
        let param = entry.params.iter().find(|param| param.param.name == name)?;
        // What has both names says two things; the check reports the one that is left.
        (!known(name) && !arguments.contains_key(&param.property)).then(|| param.property.clone())
    };
    let renamed: Vec<Option<String>> = arguments.keys().map(|name| property(name)).collect();
    arguments
        .into_iter()
        .zip(renamed)
        .map(|((name, value), property)| (property.unwrap_or(name), value))
        .collect()
}
