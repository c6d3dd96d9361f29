//! Descriptors become the tool catalog: what MCP hosts and the command line see.
//!
//! Everything here is computed once at start and depends on the descriptors and settings alone,
//! so that two runs with the same files list the same tools in the same order. Names are settled
//! over all tools, denied ones included: widening the access of a backend renames nothing.

mod annotations;
pub(crate) mod availability;
mod description;
mod entry;
#[cfg(test)]
pub(crate) mod fixture;
mod name;
pub(crate) mod output;
mod portable;
mod property;
mod schema;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
    time::Duration,
};

use dadl_descriptor::{
    model::{AccessLevel, Composite, Descriptor, Param, Tool, fit::FitSource, template::OtherHost},
    offer,
};
use dadl_text::names::{nearest_operation, readers};
use serde_json::{Map, Value};

pub(crate) use self::description::collapse_spaces;
pub(crate) use self::{
    annotations::ToolHints,
    output::{NOTE, OutputSchema},
};
use crate::access::{AccessDecision, AccessPolicy};

/// The position of a backend in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(pub usize);

/// One backend on its way into the catalog.
#[derive(Debug, Clone)]
pub struct BackendTools<'a> {
    /// The backend's name in the settings; no other backend has it.
    pub name: &'a str,
    /// Its descriptor.
    pub descriptor: Arc<Descriptor>,
    /// What it allows.
    pub policy: &'a AccessPolicy,
    /// How long a call waits for a task that it begins, when its caller does not say; hosts list it.
    pub task_wait: Option<Duration>,
}

/// All tools of all backends, in a stable order.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<CatalogEntry>,
    /// The health check of each backend, whether or not models may make it.
    checks: Vec<Option<CatalogEntry>>,
    /// What says how the switch of each backend stands, where it can be asked.
    switches: Vec<Option<CatalogEntry>>,
    /// What says which methods each backend has, where it can be asked.
    fits: Vec<Option<CatalogEntry>>,
    /// What says the version of each backend, where it can be asked.
    fit_versions: Vec<Option<CatalogEntry>>,
    /// What watches and cancels the tasks of each backend that has some.
    tasks: Vec<Option<TaskTools>>,
    by_name: HashMap<String, usize>,
}

/// One tool as hosts see it.
#[derive(Debug)]
pub struct CatalogEntry {
    /// The MCP name: `[A-Za-z0-9_]`, 45 characters at most.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// The description with deprecation and hints folded in.
    pub description: String,
    /// The JSON Schema of the arguments, as hosts list it.
    pub input_schema: Arc<Map<String, Value>>,
    /// The shape of structured results, when it can be listed.
    pub output: Option<Arc<OutputSchema>>,
    /// MCP's behavior hints.
    pub annotations: ToolHints,
    /// The backend that the tool belongs to.
    pub backend: BackendId,
    /// The name of that backend.
    pub backend_name: Arc<str>,
    /// Whether the tool may be listed and called.
    pub decision: AccessDecision,
    /// Why it is not listed all the same: the server lacks it, as far as anybody knows.
    pub absence: Option<UnlistedReason>,
    /// The parameters by their host-safe property names, those the runtime adds included;
    /// `required` and `default` say what a caller meets.
    pub params: Arc<[EntryParam]>,
    descriptor: Arc<Descriptor>,
    place: OperationIndex,
    validator: OnceLock<Box<jsonschema::Validator>>,
}

/// Why a tool that may be called is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnlistedReason {
    /// The server lacked it when it was last asked.
    Lacking(offer::UnmetNeed),
    /// It needs what few servers have, and nobody knows whether this one does.
    Unknown(offer::UnmetNeed),
}

impl UnlistedReason {
    /// Returns what is missing, or may be.
    pub fn lack(&self) -> &offer::UnmetNeed {
        match self {
            Self::Lacking(lack) | Self::Unknown(lack) => lack,
        }
    }
}

/// What watches and cancels tasks. Their decisions are about going on with a task that is named by
/// its handle: the levels and `exclude_tools` count, but not `tools`, which says what is listed.
#[derive(Debug)]
pub struct TaskTools {
    /// Shows a task.
    pub watch: CatalogEntry,
    /// Asks a task to stop, where the API can.
    pub cancel: Option<CatalogEntry>,
    /// Tell what became of a task, in the order of the descriptor.
    pub verdicts: Vec<Option<CatalogEntry>>,
}

/// What a call of an entry does.
#[derive(Debug, Clone, Copy)]
pub enum CatalogOperation<'a> {
    /// It sends one request.
    Tool(&'a Tool),
    /// It runs a script, which calls tools.
    Composite(&'a Composite),
}

/// Where the operation of an entry is in its descriptor.
#[derive(Debug, Clone, Copy)]
enum OperationIndex {
    Tool(usize),
    Composite(usize),
    Health,
}

/// A parameter under the name that hosts use for it.
#[derive(Debug, Clone)]
pub struct EntryParam {
    /// The property of the input schema.
    pub property: String,
    /// What it stands for.
    pub param: Param,
    /// Whether the listed schema has it; a caller may pass it either way.
    pub listed: bool,
}

impl Catalog {
    /// Builds the catalog; entries follow the order of the backends and of their files.
    pub fn build(backends: &[BackendTools<'_>]) -> Self {
        Self::fitted(backends, &[])
    }

    /// Does what [`build`](Self::build) does, and leaves out of the list what the servers lack: what each
    /// has stands at the position of its backend, where anything is known.
    pub fn fitted(
        backends: &[BackendTools<'_>],
        offers: &[Option<Arc<offer::ServerOffer>>],
    ) -> Self {
        let pairs: Vec<(&str, &str)> = backends
            .iter()
            .flat_map(|backend| {
                catalog_operations(&backend.descriptor)
                    .map(|(_, it)| (backend.name, it.declared_name()))
            })
            .collect();
        let mut names = name::tool_names(backends.len(), &pairs).into_iter();
        let mut entries = Vec::with_capacity(pairs.len());
        for (id, backend) in backends.iter().enumerate() {
            let count = catalog_operations(&backend.descriptor).count();
            let names: Vec<String> = names.by_ref().take(count).collect();
            let offer = offers.get(id).and_then(Option::as_deref);
            backend.add_entries(BackendId(id), names, offer, &mut entries);
        }
        let by_name = entries.iter().enumerate().map(|(at, e)| (e.name.clone(), at)).collect();
        let checks =
            backends.iter().enumerate().map(|(id, backend)| backend.check(BackendId(id))).collect();
        let switches =
            backends.iter().enumerate().map(|(id, it)| it.switch(BackendId(id))).collect();
        let tasks =
            backends.iter().enumerate().map(|(id, it)| it.task_tools(BackendId(id))).collect();
        let (fits, fit_versions) =
            backends.iter().enumerate().map(|(id, it)| it.fit_tools(BackendId(id))).unzip();
        Self { entries, checks, switches, fits, fit_versions, tasks, by_name }
    }

    /// Returns what watches and cancels the tasks of a backend; `None` when it has no tasks.
    pub fn task_tools(&self, backend: BackendId) -> Option<&TaskTools> {
        self.tasks.get(backend.0)?.as_ref()
    }

    /// Returns the backend of this name when it has tasks.
    pub fn task_backend(&self, name: &str) -> Option<(BackendId, &TaskTools)> {
        let mut all = self.tasks.iter().enumerate();
        all.find_map(|(id, tools)| {
            let tools = tools.as_ref()?;
            (*tools.watch.backend_name == *name).then_some((BackendId(id), tools))
        })
    }

    /// Returns the backends whose listed tools can begin a task, with what watches these.
    pub fn task_starters(&self) -> impl Iterator<Item = &TaskTools> {
        let starts = |id: usize| {
            self.listed().any(|entry| entry.backend == BackendId(id) && entry.tasks().is_some())
        };
        let all = self.tasks.iter().enumerate();
        all.filter_map(move |(id, tools)| tools.as_ref().filter(|_| starts(id)))
    }

    /// Returns the health check of a backend, for the operator: which tools models may call does
    /// not matter, the level does.
    pub fn health(&self, backend: BackendId) -> Option<&CatalogEntry> {
        self.checks.get(backend.0)?.as_ref()
    }

    /// Returns the tool that says how the switch of a backend stands, for the operator: which tools
    /// models may call does not matter, the level does.
    pub fn switch(&self, backend: BackendId) -> Option<&CatalogEntry> {
        self.switches.get(backend.0)?.as_ref()
    }

    /// Returns the tool that says which methods a backend has, for the operator, as
    /// [`switch`](Self::switch) does.
    pub fn fit(&self, backend: BackendId) -> Option<&CatalogEntry> {
        self.fits.get(backend.0)?.as_ref()
    }

    /// Returns the tool that says the version of a backend, for the operator.
    pub fn fit_version(&self, backend: BackendId) -> Option<&CatalogEntry> {
        self.fit_versions.get(backend.0)?.as_ref()
    }

    /// Returns all entries, those that may not be called included.
    pub fn entries(&self) -> &[CatalogEntry] {
        &self.entries
    }

    /// Returns the entries that are listed: they may be called, and nothing says that the server lacks
    /// them.
    pub fn listed(&self) -> impl Iterator<Item = &CatalogEntry> {
        self.entries.iter().filter(|entry| entry.is_listed())
    }

    /// Returns the entries that may be called and are not listed.
    pub fn left_out(&self) -> impl Iterator<Item = &CatalogEntry> {
        let is_left_out = |entry: &&CatalogEntry| {
            entry.decision == AccessDecision::Allow && entry.absence.is_some()
        };
        self.entries.iter().filter(is_left_out)
    }

    /// Returns the entry with this MCP name, whether it may be called or not.
    pub fn find(&self, name: &str) -> Option<&CatalogEntry> {
        self.entries.get(*self.by_name.get(name)?)
    }

    /// Returns the entry that a backend's descriptor calls `name`.
    pub fn find_declared(&self, backend: BackendId, name: &str) -> Option<&CatalogEntry> {
        let found =
            |entry: &&CatalogEntry| entry.backend == backend && entry.declared_name() == name;
        self.entries.iter().find(found)
    }

    /// Returns the names of the tools that read what `entry` changes, by what both are called after:
    /// at most three, those that read one thing first.
    pub fn readers_of(&self, entry: &CatalogEntry) -> Vec<String> {
        let reads = |known: &&CatalogEntry| {
            let shows = |tool: &Tool| tool.only_reads() && !tool.response.binary;
            known.backend == entry.backend && known.tool().is_some_and(shows)
        };
        let known = self.listed().filter(reads).map(CatalogEntry::known);
        readers(entry.declared_name(), known).into_iter().take(3).map(str::to_owned).collect()
    }

    /// Returns the listed name that `name` was probably meant to be; never one that goes further.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest_operation(name, self.listed().map(CatalogEntry::known))
    }

    /// Returns the name that was probably meant, whether it may be called or not.
    pub fn nearest_of_all(&self, name: &str) -> Option<&str> {
        self.nearest(name)
            .or_else(|| nearest_operation(name, self.entries.iter().map(CatalogEntry::known)))
    }
}

impl BackendTools<'_> {
    /// Appends this backend's entries under the given MCP names, one for each operation.
    fn add_entries(
        &self,
        id: BackendId,
        names: Vec<String>,
        offer: Option<&offer::ServerOffer>,
        entries: &mut Vec<CatalogEntry>,
    ) {
        let backend_name: Arc<str> = self.name.into();
        let first = entries.len();
        let decide = |it: CatalogOperation<'_>| self.decide(it);
        let mut outputs = output::OutputSchemas::new(&self.descriptor.types);
        // A replacement that may not be called is no advice, and neither is one that goes further.
        let replacements: Vec<Option<String>> = catalog_operations(&self.descriptor)
            .map(|(_, it)| {
                let wanted = it.tool()?.deprecated.as_ref()?.replaced_by.as_ref()?;
                let (at, other) = catalog_operations(&self.descriptor)
                    .map(|(_, other)| other)
                    .enumerate()
                    .find(|(_, other)| other.declared_name() == wanted)?;
                let goes_further =
                    AccessLevel::danger(other.access()) > AccessLevel::danger(it.access());
                let is_there = self.absence(other, offer).is_none();
                let is_advice = decide(other) == AccessDecision::Allow && is_there && !goes_further;
                names.get(at).filter(|_| is_advice).cloned()
            })
            .collect();
        for (((place, operation), name), replacement) in
            catalog_operations(&self.descriptor).zip(names).zip(replacements)
        {
            let decision = match place {
                OperationIndex::Health => self.decide_health(operation),
                OperationIndex::Tool(_) | OperationIndex::Composite(_) => decide(operation),
            };
            let absence = match place {
                OperationIndex::Health => None,
                OperationIndex::Tool(_) | OperationIndex::Composite(_) => {
                    self.absence(operation, offer)
                }
            };
            let backend_name = Arc::clone(&backend_name);
            entries.push(CatalogEntry {
                absence,
                description: description::tool_description(operation, replacement.as_deref()),
                output: operation
                    .tool()
                    .filter(|_| decision == AccessDecision::Allow)
                    .and_then(|tool| outputs.of(tool)),
                decision,
                ..self.entry(id, backend_name, place, operation, name)
            });
        }
        if outputs.are_too_long() {
            entries.iter_mut().skip(first).for_each(|entry| entry.output = None);
        }
    }

    /// Makes an entry that may be called.
    fn entry(
        &self,
        backend: BackendId,
        backend_name: Arc<str>,
        place: OperationIndex,
        operation: CatalogOperation<'_>,
        name: String,
    ) -> CatalogEntry {
        let is_unlisted = |param: &str| match place {
            // Defaults are sent, but a check takes no argument.
            OperationIndex::Health => {
                operation.tool().is_some_and(|tool| tool.params.iter().any(|it| it.name == param))
            }
            OperationIndex::Tool(_) | OperationIndex::Composite(_) => {
                self.descriptor.unlisted_params.has(operation.declared_name(), param)
            }
        };
        let may_wait = match place {
            OperationIndex::Tool(_) => {
                self.descriptor.tasks_of(operation.declared_name()).is_some()
            }
            OperationIndex::Composite(_) | OperationIndex::Health => false,
        };
        let events = self.descriptor.events.as_ref();
        let params = property::entry_params(operation, is_unlisted, may_wait, events);
        let mut input_schema = schema::listed_schema(&params);
        if let Some(wait) = self.task_wait {
            schema::add_task_wait(&mut input_schema, &params, wait);
        }
        schema::add_hints(&mut input_schema, &params, operation.value_hints());
        portable::make_portable(&mut input_schema);
        CatalogEntry {
            name,
            title: description::tool_title(operation.declared_name()),
            description: description::tool_description(operation, None),
            input_schema: Arc::new(input_schema),
            output: None,
            annotations: ToolHints::of(operation, &self.descriptor),
            backend,
            backend_name,
            decision: AccessDecision::Allow,
            absence: None,
            params,
            descriptor: Arc::clone(&self.descriptor),
            place,
            validator: OnceLock::new(),
        }
    }

    /// Makes the entry of the health check for the operator.
    fn check(&self, id: BackendId) -> Option<CatalogEntry> {
        let operation = CatalogOperation::Tool(&self.descriptor.health.as_ref()?.tool);
        Some(self.operators(id, OperationIndex::Health, operation))
    }

    /// Makes the entry that says how the switch stands, for the operator.
    fn switch(&self, id: BackendId) -> Option<CatalogEntry> {
        self.asked(id, &self.descriptor.switch.as_ref()?.state.as_ref()?.tool)
    }

    /// Makes the entries that say which methods a server has, and its version, for the operator.
    fn fit_tools(&self, id: BackendId) -> (Option<CatalogEntry>, Option<CatalogEntry>) {
        let Some(fit) = &self.descriptor.fit else { return (None, None) };
        let methods = match &fit.source {
            FitSource::Methods(tool) => self.asked(id, tool),
            FitSource::OpenApi(_) => None,
        };
        (methods, fit.version.as_ref().and_then(|version| self.asked(id, &version.tool)))
    }

    /// Makes the entry of a tool that is asked for the operator.
    fn asked(&self, id: BackendId, name: &str) -> Option<CatalogEntry> {
        let mut tools = catalog_operations(&self.descriptor);
        let (place, operation) = tools.find(|(place, it)| {
            matches!(place, OperationIndex::Tool(_)) && it.declared_name() == name
        })?;
        Some(self.operators(id, place, operation))
    }

    /// Makes an entry for the operator: which tools models may call does not matter.
    fn operators(
        &self,
        id: BackendId,
        place: OperationIndex,
        operation: CatalogOperation<'_>,
    ) -> CatalogEntry {
        let AccessPolicy { levels, bound, origins, .. } = self.policy;
        let policy = AccessPolicy {
            levels: levels.clone(),
            bound: bound.clone(),
            origins: origins.clone(),
            ..AccessPolicy::default()
        };
        let decision = operation.decided_by(&policy);
        let name = operation.declared_name().to_owned();
        CatalogEntry { decision, ..self.entry(id, self.name.into(), place, operation, name) }
    }

    /// Makes the entries that watch and cancel tasks.
    fn task_tools(&self, id: BackendId) -> Option<TaskTools> {
        let tasks = self.descriptor.tasks.as_ref()?;
        let policy = AccessPolicy { tools: None, ..self.policy.clone() };
        let backend_name: Arc<str> = self.name.into();
        let entry = |name: &str| {
            let mut tools = catalog_operations(&self.descriptor);
            let (place, it) = tools.find(|(place, it)| {
                matches!(place, OperationIndex::Tool(_)) && it.declared_name() == name
            })?;
            let decision = it.decided_by(&policy);
            let backend_name = Arc::clone(&backend_name);
            Some(CatalogEntry {
                decision,
                ..self.entry(id, backend_name, place, it, name.to_owned())
            })
        };
        let cancel = tasks.cancel.as_ref().and_then(|call| entry(&call.tool));
        let verdicts = tasks.verdicts.iter().map(|it| entry(&it.call.tool)).collect();
        Some(TaskTools { watch: entry(&tasks.watch.tool)?, cancel, verdicts })
    }

    fn decide(&self, operation: CatalogOperation<'_>) -> AccessDecision {
        operation.decided_by(self.policy)
    }

    /// Says why an operation need not be listed. Who names a tool wants it, unless it is known to be
    /// missing.
    fn absence(
        &self,
        operation: CatalogOperation<'_>,
        offer: Option<&offer::ServerOffer>,
    ) -> Option<UnlistedReason> {
        let absence = availability::unlisted_reason(&self.descriptor, operation, offer)?;
        let name = operation.declared_name();
        let is_named = || self.policy.tools.as_ref().is_some_and(|tools| tools.names(name));
        match absence {
            UnlistedReason::Unknown(_) if is_named() => None,
            absence => Some(absence),
        }
    }

    /// Decides about the health check: it must not be a way to call a tool that is not allowed.
    fn decide_health(&self, operation: CatalogOperation<'_>) -> AccessDecision {
        let declared = self.descriptor.health.as_ref().and_then(|health| health.declared.as_ref());
        let elsewhere = operation.elsewhere();
        match declared.map(|name| self.policy.decide(name, operation.access(), elsewhere)) {
            Some(denied @ AccessDecision::Deny(_)) => denied,
            _ => self.decide(operation),
        }
    }
}

/// Returns what a descriptor offers, in the order of its entries.
fn catalog_operations(
    descriptor: &Descriptor,
) -> impl Iterator<Item = (OperationIndex, CatalogOperation<'_>)> {
    let tools = descriptor.tools.iter().enumerate();
    let composites = descriptor.composites.iter().enumerate();
    let checks = descriptor.health.iter().filter(|health| health.expose);
    tools
        .map(|(at, tool)| (OperationIndex::Tool(at), CatalogOperation::Tool(tool)))
        .chain(
            composites
                .map(|(at, it)| (OperationIndex::Composite(at), CatalogOperation::Composite(it))),
        )
        .chain(checks.map(|health| (OperationIndex::Health, CatalogOperation::Tool(&health.tool))))
}

impl<'a> CatalogOperation<'a> {
    /// Returns the name in the descriptor.
    pub fn declared_name(self) -> &'a str {
        match self {
            Self::Tool(tool) => &tool.name,
            Self::Composite(composite) => &composite.name,
        }
    }

    /// Returns the access level; `None` when the author did not say.
    pub fn access(self) -> Option<&'a AccessLevel> {
        match self {
            Self::Tool(tool) => tool.access.as_ref(),
            Self::Composite(composite) => composite.access.as_ref(),
        }
    }

    /// Returns where a call leads, when its path names a host.
    fn elsewhere(self) -> Option<&'a OtherHost> {
        self.tool()?.elsewhere()
    }

    fn decided_by(self, policy: &AccessPolicy) -> AccessDecision {
        policy.decide(self.declared_name(), self.access(), self.elsewhere())
    }

    /// Returns the description in the descriptor.
    pub fn description(self) -> &'a str {
        match self {
            Self::Tool(tool) => &tool.description,
            Self::Composite(composite) => &composite.description,
        }
    }

    /// Returns the author's hints, in the order of the file.
    pub fn hints(self) -> &'a [(String, String)] {
        match self {
            Self::Tool(tool) => &tool.hints,
            Self::Composite(composite) => &composite.hints,
        }
    }

    /// Returns what is known about values besides their type, by the name of the parameter.
    fn value_hints(self) -> &'a BTreeMap<String, Map<String, Value>> {
        match self {
            Self::Tool(tool) => &tool.value_hints,
            Self::Composite(composite) => &composite.value_hints,
        }
    }

    /// Returns the tool, when a call is one request.
    pub fn tool(self) -> Option<&'a Tool> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Composite(_) => None,
        }
    }

    /// Says in a line what a call does: the method and the path of a tool, and the JSON-RPC method.
    pub fn summary(self) -> String {
        match self {
            Self::Tool(tool) => tool.line(),
            Self::Composite(composite) => match composite.calls.len() {
                1 => "composite of 1 tool".to_owned(),
                count => format!("composite of {count} tools"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
