//! Descriptors become the tool catalog: what MCP hosts and the command line see.
//!
//! Everything here is computed once at start and depends on the descriptors and settings alone,
//! so that two runs with the same files list the same tools in the same order. Names are settled
//! over all tools, denied ones included: widening the access of a backend renames nothing.

mod annotations;
mod description;
#[cfg(test)]
pub(crate) mod fixture;
mod kind;
mod name;
mod property;
mod schema;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use serde_json::{Map, Value};

pub use self::{
    annotations::Annotations,
    description::DESCRIPTION_MAX,
    name::{PROPERTY_NAME_MAX, TOOL_NAME_MAX},
};
use crate::{
    access::{Decision, Policy},
    descriptor::model::{Descriptor, Param, Tool},
};

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
    pub policy: &'a Policy,
}

/// All tools of all backends, in a stable order.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
}

/// One tool as hosts see it.
#[derive(Debug)]
pub struct Entry {
    /// The MCP name: `[A-Za-z0-9_]`, 45 characters at most.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// The description with deprecation and hints folded in.
    pub description: String,
    /// The JSON Schema of the arguments, as hosts list it.
    pub input_schema: Arc<Map<String, Value>>,
    /// MCP's behavior hints.
    pub annotations: Annotations,
    /// The backend that the tool belongs to.
    pub backend: BackendId,
    /// The name of that backend.
    pub backend_name: Arc<str>,
    /// Whether the tool may be listed and called.
    pub decision: Decision,
    /// The parameters by their host-safe property names, those the runtime adds included;
    /// `required` and `default` say what a caller meets.
    pub params: Arc<[EntryParam]>,
    descriptor: Arc<Descriptor>,
    tool: usize,
    validator: OnceLock<Box<jsonschema::Validator>>,
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
        let pairs: Vec<(&str, &str)> = backends
            .iter()
            .flat_map(|backend| {
                backend.descriptor.tools.iter().map(|tool| (backend.name, tool.name.as_str()))
            })
            .collect();
        let mut names = name::tool_names(backends.len(), &pairs).into_iter();
        let mut entries = Vec::with_capacity(pairs.len());
        for (id, backend) in backends.iter().enumerate() {
            let names: Vec<String> = names.by_ref().take(backend.descriptor.tools.len()).collect();
            backend.add_entries(BackendId(id), names, &mut entries);
        }
        let by_name = entries.iter().enumerate().map(|(at, e)| (e.name.clone(), at)).collect();
        Self { entries, by_name }
    }

    /// Returns all entries, those that may not be called included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entries that may be listed and called.
    pub fn listed(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.decision == Decision::Allow)
    }

    /// Returns the entry with this MCP name, whether it may be called or not.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.by_name.get(name)?)
    }

    /// Returns the listed name that `name` was probably meant to be.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        name::nearest(name, self.listed().map(|entry| entry.name.as_str()))
    }
}

impl BackendTools<'_> {
    /// Appends this backend's entries under the given MCP names, one for each tool.
    fn add_entries(&self, id: BackendId, names: Vec<String>, entries: &mut Vec<Entry>) {
        let backend_name: Arc<str> = self.name.into();
        let decide = |tool: &Tool| self.policy.decide(&tool.name, tool.access.as_ref());
        let tools = &self.descriptor.tools;
        // A replacement that may not be called is no advice.
        let replacements: Vec<Option<String>> = tools
            .iter()
            .map(|tool| {
                let wanted = tool.deprecated.as_ref()?.replaced_by.as_ref()?;
                let at = tools.iter().position(|other| other.name == *wanted)?;
                let allowed = tools.get(at).is_some_and(|other| decide(other) == Decision::Allow);
                names.get(at).filter(|_| allowed).cloned()
            })
            .collect();
        for (at, ((tool, name), replacement)) in
            tools.iter().zip(names).zip(replacements).enumerate()
        {
            let params = property::params(tool, &self.descriptor.unlisted_params);
            entries.push(Entry {
                name,
                title: description::title(&tool.name),
                description: description::describe(tool, replacement.as_deref()),
                input_schema: Arc::new(schema::listed(&params)),
                annotations: Annotations::of(tool),
                backend: id,
                backend_name: Arc::clone(&backend_name),
                decision: decide(tool),
                params,
                descriptor: Arc::clone(&self.descriptor),
                tool: at,
                validator: OnceLock::new(),
            });
        }
    }
}

impl Entry {
    /// Returns the tool in its descriptor.
    pub fn tool(&self) -> &Tool {
        // Invariant: `Catalog::build` takes the index from this descriptor's list.
        self.descriptor.tools.get(self.tool).expect("an entry's tool is in its descriptor")
    }

    /// Returns the descriptor that the tool belongs to.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the parameter with this property name.
    pub fn param(&self, property: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.property == property).map(|param| &param.param)
    }

    /// Returns the known property that `name` was probably meant to be; the name on the wire
    /// finds its property.
    pub fn nearest_property(&self, name: &str) -> Option<&str> {
        let on_the_wire = self.params.iter().find(|param| param.param.name == name);
        on_the_wire.map(|param| param.property.as_str()).or_else(|| {
            name::nearest(name, self.params.iter().map(|param| param.property.as_str()))
        })
    }

    /// Returns the compiled schema of all parameters. Compiling waits for the first call, because
    /// most tools of a large API are never called.
    pub(crate) fn validator(&self) -> &jsonschema::Validator {
        self.validator.get_or_init(|| {
            let schema = Value::Object(schema::checked(&self.params));
            let validator = jsonschema::draft202012::new(&schema);
            // Invariant: `schema` writes types and flat objects only.
            Box::new(validator.expect("generated schemas are valid"))
        })
    }
}

#[cfg(test)]
mod tests;
