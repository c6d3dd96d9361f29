//! One backend becomes entries: its tools, and what the operator and the program call of it.

use std::sync::{Arc, OnceLock};

use dadl_descriptor::{
    model::{AccessLevel, Descriptor, fit::FitSource},
    offer,
};

use super::{
    BackendId, BackendTools, CatalogEntry, CatalogOperation, OperationIndex, ServerTool,
    ServerTools, TaskTools, ToolHints, UnlistedReason, availability, description, output,
    plain_schema, portable, property, schema,
};
use crate::access::{AccessDecision, AccessDenial, AccessPolicy};

impl BackendTools<'_> {
    /// Appends this backend's entries under the given MCP names, one for each operation.
    pub(super) fn add_entries(
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
        let replacements: Vec<Option<String>> = self
            .operations()
            .map(|(_, it)| {
                let wanted = it.tool()?.deprecated.as_ref()?.replaced_by.as_ref()?;
                let (at, other) = self
                    .operations()
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
            self.operations().zip(names).zip(replacements)
        {
            let decision = match place {
                OperationIndex::Health => self.decide_health(operation),
                OperationIndex::Composite(_) if is_unlisted(operation) => {
                    self.decide_unlisted(operation)
                }
                OperationIndex::Tool(_)
                | OperationIndex::Composite(_)
                | OperationIndex::Server(_) => decide(operation),
            };
            let absence = match place {
                OperationIndex::Health | OperationIndex::Server(_) => None,
                OperationIndex::Tool(_) | OperationIndex::Composite(_) => {
                    self.absence(operation, offer)
                }
            };
            let backend_name = Arc::clone(&backend_name);
            let replacement = replacement.as_deref();
            entries.push(CatalogEntry {
                absence,
                output: Some(operation)
                    .filter(|_| decision == AccessDecision::Allow)
                    .and_then(|operation| outputs.of(operation)),
                decision,
                ..self.entry(id, backend_name, (place, operation), name, replacement)
            });
        }
        if outputs.are_too_long() {
            entries.iter_mut().skip(first).for_each(|entry| entry.output = None);
        }
    }

    /// Makes an entry that may be called; `replacement` is the name of the tool to use instead.
    fn entry(
        &self,
        backend: BackendId,
        backend_name: Arc<str>,
        (place, operation): (OperationIndex, CatalogOperation<'_>),
        name: String,
        replacement: Option<&str>,
    ) -> CatalogEntry {
        let is_unlisted = |param: &str| match place {
            // Defaults are sent, but a check takes no argument.
            OperationIndex::Health => {
                operation.tool().is_some_and(|tool| tool.params.iter().any(|it| it.name == param))
            }
            OperationIndex::Tool(_) | OperationIndex::Composite(_) | OperationIndex::Server(_) => {
                self.descriptor.unlisted_params.has(operation.declared_name(), param)
            }
        };
        let may_wait = match place {
            OperationIndex::Tool(_) => {
                self.descriptor.tasks_of(operation.declared_name()).is_some()
            }
            OperationIndex::Composite(_) | OperationIndex::Health | OperationIndex::Server(_) => {
                false
            }
        };
        let events = self.descriptor.events.as_ref();
        let params = property::entry_params(operation, is_unlisted, may_wait, events);
        let plain = match operation {
            CatalogOperation::Server(_) => None,
            CatalogOperation::Tool(_) | CatalogOperation::Composite(_) => {
                plain_schema::plain_text(&params, operation.value_hints())
            }
        };
        let from_tree = || match operation {
            CatalogOperation::Server(tool) => schema::text(&tool.listed_schema(&params)),
            CatalogOperation::Tool(_) | CatalogOperation::Composite(_) => {
                let mut schema = schema::listed_schema(&params);
                if let Some(wait) = self.task_wait {
                    schema::add_task_wait(&mut schema, &params, wait);
                }
                schema::add_hints(&mut schema, &params, operation.value_hints());
                portable::make_portable(&mut schema);
                schema::text(&schema)
            }
        };
        CatalogEntry {
            name,
            title: description::operation_title(operation),
            description: description::tool_description(operation, replacement),
            schema_text: plain.unwrap_or_else(from_tree),
            output: None,
            annotations: ToolHints::of(operation, &self.descriptor),
            backend,
            backend_name,
            decision: AccessDecision::Allow,
            absence: None,
            params,
            descriptor: Arc::clone(&self.descriptor),
            server: self.server.clone().filter(|_| matches!(place, OperationIndex::Server(_))),
            place,
            overridden: None,
            validator: OnceLock::new(),
            schema: OnceLock::new(),
        }
    }

    /// Makes the entry of the health check for the operator.
    pub(super) fn check(&self, id: BackendId) -> Option<CatalogEntry> {
        let operation = CatalogOperation::Tool(&self.descriptor.health.as_ref()?.tool);
        Some(self.operators(id, OperationIndex::Health, operation))
    }

    /// Makes the entry that says how the switch stands, for the operator.
    pub(super) fn switch(&self, id: BackendId) -> Option<CatalogEntry> {
        self.asked(id, &self.descriptor.switch.as_ref()?.state.as_ref()?.tool)
    }

    /// Makes the entries that say which methods a server has, and its version, for the operator.
    pub(super) fn fit_tools(&self, id: BackendId) -> (Option<CatalogEntry>, Option<CatalogEntry>) {
        let Some(fit) = &self.descriptor.fit else { return (None, None) };
        let methods = match &fit.source {
            FitSource::Methods(tool) => self.asked(id, tool),
            FitSource::OpenApi(_) => None,
        };
        (methods, fit.version.as_ref().and_then(|version| self.asked(id, &version.tool)))
    }

    /// Makes the entry of a tool that is asked for the operator.
    fn asked(&self, id: BackendId, name: &str) -> Option<CatalogEntry> {
        let mut tools = self.operations();
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
        CatalogEntry {
            decision,
            ..self.entry(id, self.name.into(), (place, operation), name, None)
        }
    }

    /// Makes the entries that watch and cancel tasks.
    pub(super) fn task_tools(&self, id: BackendId) -> Option<TaskTools> {
        let tasks = self.descriptor.tasks.as_ref()?;
        let policy = AccessPolicy { tools: None, ..self.policy.clone() };
        let backend_name: Arc<str> = self.name.into();
        let entry = |name: &str| {
            let mut tools = self.operations();
            let (place, it) = tools.find(|(place, it)| {
                matches!(place, OperationIndex::Tool(_)) && it.declared_name() == name
            })?;
            let decision = it.decided_by(&policy);
            let backend_name = Arc::clone(&backend_name);
            Some(CatalogEntry {
                decision,
                ..self.entry(id, backend_name, (place, it), name.to_owned(), None)
            })
        };
        let cancel = tasks.cancel.as_ref().and_then(|call| entry(&call.tool));
        let verdicts = tasks.verdicts.iter().map(|it| entry(&it.call.tool)).collect();
        Some(TaskTools { watch: entry(&tasks.watch.tool)?, cancel, verdicts })
    }

    fn decide(&self, operation: CatalogOperation<'_>) -> AccessDecision {
        let decision = operation.decided_by(self.policy);
        match (operation, &decision) {
            // Nobody but the operator gives these a level.
            (
                CatalogOperation::Server(ServerTool { access: None, .. }),
                AccessDecision::Deny(AccessDenial::Level { .. }),
            ) => AccessDecision::Deny(AccessDenial::NoLevel),
            // A person has agreed to something else.
            (
                CatalogOperation::Server(ServerTool { held: Some(doubt), .. }),
                AccessDecision::Allow,
            ) => AccessDecision::Deny(AccessDenial::Pin(*doubt)),
            _ => decision,
        }
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

    /// Decides about a composite that no list has: who chose the tools that are listed did not choose it, and
    /// each of its calls is decided about.
    fn decide_unlisted(&self, operation: CatalogOperation<'_>) -> AccessDecision {
        operation.decided_by(&AccessPolicy { tools: None, ..self.policy.clone() })
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

    /// Returns what the backend offers, in the order of its entries.
    pub(super) fn operations(
        &self,
    ) -> impl Iterator<Item = (OperationIndex, CatalogOperation<'_>)> {
        let Descriptor { tools, composites, health, .. } = &*self.descriptor;
        let tools = tools.iter().enumerate();
        let composites = composites.iter().enumerate();
        let checks = health.iter().filter(|health| health.expose);
        let of_server = self.server.iter().flat_map(ServerTools::iter).enumerate();
        tools
            .map(|(at, tool)| (OperationIndex::Tool(at), CatalogOperation::Tool(tool)))
            .chain(
                composites.map(|(at, it)| {
                    (OperationIndex::Composite(at), CatalogOperation::Composite(it))
                }),
            )
            .chain(
                checks.map(|health| (OperationIndex::Health, CatalogOperation::Tool(&health.tool))),
            )
            .chain(
                of_server
                    .map(|(at, it)| (OperationIndex::Server(at), CatalogOperation::Server(it))),
            )
    }
}

fn is_unlisted(operation: CatalogOperation<'_>) -> bool {
    matches!(operation, CatalogOperation::Composite(composite) if composite.is_unlisted)
}
