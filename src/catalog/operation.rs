//! What a call of an entry does, whichever kind of thing is called.

use std::collections::BTreeMap;

use dadl_descriptor::model::{AccessLevel, Tool, template::OtherHost};
use serde_json::{Map, Value};

use super::CatalogOperation;
use crate::access::{AccessDecision, AccessPolicy};

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
    pub(super) fn elsewhere(self) -> Option<&'a OtherHost> {
        self.tool()?.elsewhere()
    }

    pub(super) fn decided_by(self, policy: &AccessPolicy) -> AccessDecision {
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
    pub(super) fn value_hints(self) -> &'a BTreeMap<String, Map<String, Value>> {
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
