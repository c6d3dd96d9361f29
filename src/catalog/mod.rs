//! Descriptors become the tool catalog: what MCP hosts and the command line see.
//!
//! Everything here is computed once at start and depends on the descriptors and settings alone,
//! so that two runs with the same files list the same tools in the same order.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::{
    access::Decision,
    descriptor::model::{Descriptor, Param, Tool},
};

/// The position of a backend in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(pub usize);

/// All tools of all backends, in a stable order.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
}

/// One tool as hosts see it.
#[derive(Debug)]
pub struct Entry {
    /// The MCP name: `[a-z0-9_]`, 45 characters at most where that is possible.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// The description with deprecation and hints folded in.
    pub description: String,
    /// The JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// MCP's behaviour hints.
    pub annotations: Annotations,
    /// The backend that the tool belongs to.
    pub backend: BackendId,
    /// The name of that backend.
    pub backend_name: Arc<str>,
    /// Whether the tool may be listed and called.
    pub decision: Decision,
    /// The parameters by their host-safe property names, those the runtime adds included.
    pub params: Vec<EntryParam>,
    descriptor: Arc<Descriptor>,
    tool: usize,
    validator: OnceLock<Arc<jsonschema::Validator>>,
}

/// A parameter under the name that hosts use for it.
#[derive(Debug, Clone)]
pub struct EntryParam {
    /// The property of the input schema.
    pub property: String,
    /// What it stands for.
    pub param: Param,
}

/// MCP's tool annotations, all four given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotations {
    /// `readOnlyHint`
    pub read_only: bool,
    /// `destructiveHint`
    pub destructive: bool,
    /// `idempotentHint`
    pub idempotent: bool,
    /// `openWorldHint`
    pub open_world: bool,
}
