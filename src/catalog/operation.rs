//! What a call of an entry does, whichever kind of thing is called.

use std::collections::BTreeMap;

use dadl_descriptor::model::{AccessLevel, Tool, template::OtherHost};
use dadl_text::text::cut_text;
use serde_json::{Map, Value};

use super::{CatalogOperation, collapse_spaces};
use crate::access::{AccessDecision, AccessPolicy};

/// So much of a name that a server gave is shown.
const LONGEST_NAME: usize = 100;

/// What is known about values where the schema itself says it.
static NO_HINTS: BTreeMap<String, Map<String, Value>> = BTreeMap::new();

impl<'a> CatalogOperation<'a> {
    /// Returns the name in the descriptor, or that which the server knows.
    pub fn declared_name(self) -> &'a str {
        match self {
            Self::Tool(tool) => &tool.name,
            Self::Composite(composite) => &composite.name,
            Self::Server(tool) => &tool.name,
        }
    }

    /// Returns the access level; `None` when the author did not say, and of a server's tool when the
    /// operator did not.
    pub fn access(self) -> Option<&'a AccessLevel> {
        match self {
            Self::Tool(tool) => tool.access.as_ref(),
            Self::Composite(composite) => composite.access.as_ref(),
            Self::Server(tool) => tool.access.as_ref(),
        }
    }

    /// Returns where a call leads, when its path names a host.
    pub(super) fn elsewhere(self) -> Option<&'a OtherHost> {
        self.tool()?.elsewhere()
    }

    pub(super) fn decided_by(self, policy: &AccessPolicy) -> AccessDecision {
        policy.decide(self.declared_name(), self.access(), self.elsewhere())
    }

    /// Returns the description as it was written.
    pub fn description(self) -> &'a str {
        match self {
            Self::Tool(tool) => &tool.description,
            Self::Composite(composite) => &composite.description,
            Self::Server(tool) => &tool.description,
        }
    }

    /// Returns the author's hints, in the order of the file.
    pub fn hints(self) -> &'a [(String, String)] {
        match self {
            Self::Tool(tool) => &tool.hints,
            Self::Composite(composite) => &composite.hints,
            Self::Server(_) => &[],
        }
    }

    /// Returns what is known about values besides their type, by the name of the parameter.
    pub(super) fn value_hints(self) -> &'a BTreeMap<String, Map<String, Value>> {
        match self {
            Self::Tool(tool) => &tool.value_hints,
            Self::Composite(composite) => &composite.value_hints,
            Self::Server(_) => &NO_HINTS,
        }
    }

    /// Returns the tool, when a call is one request.
    pub fn tool(self) -> Option<&'a Tool> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Composite(_) | Self::Server(_) => None,
        }
    }

    /// Says in a line what a call does: the method and the path of a tool, and the JSON-RPC method; or the
    /// tool that a server is asked to call.
    pub fn summary(self) -> String {
        match self {
            Self::Tool(tool) => tool.line(),
            Self::Composite(composite) => match composite.calls.len() {
                1 => "composite of 1 tool".to_owned(),
                count => format!("composite of {count} tools"),
            },
            Self::Server(tool) => {
                format!("tool {}", cut_text(&collapse_spaces(&tool.name), LONGEST_NAME))
            }
        }
    }
}
