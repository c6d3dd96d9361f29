//! Descriptors become the tool catalog: what MCP hosts and the command line see.
//!
//! Everything here is computed once at start and depends on the descriptors and settings alone,
//! so that two runs with the same files list the same tools in the same order. Names are settled
//! over all tools, denied ones included: widening the access of a backend renames nothing.

mod annotations;
pub(crate) mod availability;
mod build;
mod description;
mod entry;
#[cfg(test)]
pub(crate) mod fixture;
mod name;
mod narrowed;
mod offered;
mod operation;
pub(crate) mod output;
mod overrides;
mod plain_schema;
mod portable;
mod property;
mod resolved;
mod schema;
mod server_content;
mod server_schema;
mod server_tool;
mod text_shape;
pub(crate) mod tool_doubts;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use dadl_descriptor::{
    model::{Composite, Descriptor, Param, Shared, Tool},
    offer,
};
use dadl_text::names::{nearest_operation, readers};
use serde_json::{Map, Value, value::RawValue};

pub(crate) use self::description::collapse_spaces;
pub(crate) use self::{
    annotations::ToolHints,
    offered::template_variables,
    output::{NOTE, OutputSchema},
    server_content::content_annotations,
};
pub use self::{
    offered::{BackendContent, Offered, OfferedContents},
    overrides::{AppliedOverride, AppliedOverrides, OverruledLevel},
    server_content::{
        ContentWords, PromptParam, ServerContent, ServerContentError, ServerPrompt, ServerResource,
        ServerTemplate,
    },
    server_tool::{ProposedHints, ServerTool, ServerToolError, ServerTools},
};
use crate::access::{AccessDecision, AccessPolicy, ProfileBound};

/// The position of a backend in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(pub usize);

/// One backend on its way into the catalog.
#[derive(Debug, Clone)]
pub struct BackendTools<'a> {
    /// The backend's name in the settings; no other backend has it.
    pub name: &'a str,
    /// Its descriptor; that of an MCP server has no tools.
    pub descriptor: Arc<Descriptor>,
    /// The tools of an MCP server.
    pub server: Option<ServerTools>,
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
    /// The places of the entries, by their names.
    by_name: Arc<[u32]>,
    /// The profile that it is narrowed to.
    profile: Option<Arc<ProfileBound>>,
    contents: OfferedContents,
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
    /// The JSON Schema of the arguments, as hosts list it: an object. It is read by few, and kept as the
    /// text that goes into the list.
    pub schema_text: Arc<RawValue>,
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
    /// Where the tools are, when the backend is an MCP server.
    server: Option<ServerTools>,
    place: OperationIndex,
    /// What the operator says of it.
    overridden: Option<Arc<AppliedOverride>>,
    validator: OnceLock<Box<jsonschema::Validator>>,
    /// The listed schema as a tree, once somebody wanted that.
    schema: OnceLock<Arc<Map<String, Value>>>,
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
    /// Another MCP server makes the call.
    Server(&'a ServerTool),
}

/// Where the operation of an entry is in its descriptor, or in the list of its server.
#[derive(Debug, Clone, Copy)]
enum OperationIndex {
    Tool(usize),
    Composite(usize),
    Health,
    Server(usize),
}

/// A parameter under the name that hosts use for it.
#[derive(Debug, Clone)]
pub struct EntryParam {
    /// The property of the input schema.
    pub property: String,
    /// What it stands for.
    pub param: Shared<Param>,
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
        Self::overridden(backends, offers, &[])
    }

    /// Does what [`fitted`](Self::fitted) does, with what the operator says of single tools: at the position
    /// of each backend.
    pub fn overridden(
        backends: &[BackendTools<'_>],
        offers: &[Option<Arc<offer::ServerOffer>>],
        overrides: &[&AppliedOverrides],
    ) -> Self {
        let none = AppliedOverrides::default();
        let said_of = |id: usize| overrides.get(id).copied().unwrap_or(&none);
        let pairs: Vec<(&str, &str)> = backends
            .iter()
            .enumerate()
            .flat_map(|(id, backend)| {
                let names = backend.operations().map(|(_, it)| it.declared_name());
                names.map(move |name| (backend.name, said_of(id).shown_name(name)))
            })
            .collect();
        let mut names = name::tool_names(backends.len(), &pairs).into_iter();
        let mut entries = Vec::with_capacity(pairs.len());
        for (id, backend) in backends.iter().enumerate() {
            let count = backend.operations().count();
            let names: Vec<String> = names.by_ref().take(count).collect();
            let offer = offers.get(id).and_then(Option::as_deref);
            let first = entries.len();
            backend.add_entries(BackendId(id), names, offer, &mut entries);
            for entry in entries.iter_mut().skip(first) {
                if let Some(said) = said_of(id).of(entry.declared_name()) {
                    said.put_on(entry);
                }
            }
        }
        let by_name = places_by_name(&entries);
        let checks =
            backends.iter().enumerate().map(|(id, backend)| backend.check(BackendId(id))).collect();
        let switches =
            backends.iter().enumerate().map(|(id, it)| it.switch(BackendId(id))).collect();
        let tasks =
            backends.iter().enumerate().map(|(id, it)| it.task_tools(BackendId(id))).collect();
        let (fits, fit_versions) =
            backends.iter().enumerate().map(|(id, it)| it.fit_tools(BackendId(id))).unzip();
        let contents = OfferedContents::default();
        Self {
            entries,
            checks,
            switches,
            fits,
            fit_versions,
            tasks,
            by_name,
            contents,
            profile: None,
        }
    }

    /// Adds what other MCP servers offer besides tools.
    #[must_use]
    pub fn with_contents(self, contents: OfferedContents) -> Self {
        Self { contents, ..self }
    }

    /// Returns what other MCP servers offer besides tools.
    pub fn contents(&self) -> &OfferedContents {
        &self.contents
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

    /// Returns the places of [`listed`](Self::listed) ones among all [`entries`](Self::entries).
    pub(crate) fn listed_places(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.is_listed()).map(|(at, _)| at)
    }

    /// Returns the entries that are listed: they may be called, and nothing says that the server lacks
    /// them.
    pub fn listed(&self) -> impl Iterator<Item = &CatalogEntry> {
        self.entries.iter().filter(|entry| entry.is_listed())
    }

    /// Returns the entries that may be called and are not listed, because the server lacks them or may lack
    /// them.
    pub fn left_out(&self) -> impl Iterator<Item = &CatalogEntry> {
        self.entries.iter().filter(|entry| entry.is_left_out())
    }

    /// Returns the entry with this MCP name, whether it may be called or not.
    pub fn find(&self, name: &str) -> Option<&CatalogEntry> {
        let entry = |at: u32| self.entries.get(usize::try_from(at).unwrap_or(usize::MAX));
        let found = self
            .by_name
            .binary_search_by(|at| entry(*at).map_or("", |entry| entry.name.as_str()).cmp(name));
        entry(*self.by_name.get(found.ok()?)?)
    }

    /// Returns the entry that a backend's descriptor calls `name`.
    pub fn find_declared(&self, backend: BackendId, name: &str) -> Option<&CatalogEntry> {
        let found =
            |entry: &&CatalogEntry| entry.backend == backend && entry.declared_name() == name;
        self.entries.iter().find(found)
    }

    /// Returns the tool of another MCP server that a handle of a task names: by the name that the server
    /// knows, or by that which hosts see.
    pub fn find_server_tool(&self, backend: &str, tool: &str) -> Option<&CatalogEntry> {
        let mut entries = self
            .entries
            .iter()
            .filter(|entry| *entry.backend_name == *backend && entry.server_tool().is_some());
        let shown = entries.clone().find(|entry| entry.name == tool);
        entries.find(|entry| entry.declared_name() == tool).or(shown)
    }

    /// Returns the names of the tools that read what `entry` changes, by what both are called after:
    /// at most three, those that read one thing first.
    pub fn readers_of(&self, entry: &CatalogEntry) -> Vec<String> {
        let reads = |known: &&CatalogEntry| {
            let shows = match known.operation() {
                CatalogOperation::Tool(tool) => tool.only_reads() && !tool.response.binary,
                CatalogOperation::Server(_) => !known.has_effect(),
                CatalogOperation::Composite(_) => false,
            };
            shows && known.backend == entry.backend
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

/// Returns the places of entries in the order of their names.
fn places_by_name(entries: &[CatalogEntry]) -> Arc<[u32]> {
    let mut places: Vec<(&str, u32)> =
        entries.iter().map(|entry| entry.name.as_str()).zip(0..).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests;
