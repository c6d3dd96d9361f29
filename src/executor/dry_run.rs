//! What a call would do, without doing it.

use std::fmt;

use dadl_text::text::{quoted_text, shown_text};
use serde_json::{Map, Value};

use crate::call::CallPlan;

/// A longer name of a tool is cut.
const LONGEST_NAME: usize = 200;

/// What a call would do; its `Display` shows it with the credential masked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DryRun {
    /// A script would run, whose calls nobody can know before.
    Composite {
        /// The name in the descriptor.
        name: String,
        /// The tools that it may call, as far as the descriptor says.
        calls: Vec<String>,
    },
    /// One request would be sent.
    Request {
        /// The request, without its credential.
        plan: Box<CallPlan>,
        /// The line that stands for the credential.
        credential: Option<String>,
    },
    /// Another MCP server would be asked.
    Server {
        /// The name of the backend.
        backend: String,
        /// The name that the server knows.
        tool: String,
        /// The arguments that it would get, by its own names.
        arguments: Map<String, Value>,
    },
}

impl DryRun {
    /// Returns the request, when the call is one.
    pub fn plan(&self) -> Option<&CallPlan> {
        match self {
            Self::Composite { .. } | Self::Server { .. } => None,
            Self::Request { plan, .. } => Some(plan),
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Composite { name, calls } if calls.is_empty() => {
                write!(formatter, "the composite {name} would run; it calls no tool")
            }
            Self::Composite { name, calls } => write!(
                formatter,
                "the composite {name} would run; what it sends depends on the answers. It may call \
                 {}",
                calls.join(", ")
            ),
            Self::Server { backend, tool, arguments } => {
                let tool = quoted_text(tool, LONGEST_NAME);
                writeln!(
                    formatter,
                    "tools/call {tool} of the MCP server of backend \"{backend}\""
                )?;
                let arguments = serde_json::to_string_pretty(arguments).unwrap_or_default();
                write!(formatter, "\n{}", shown_text(&arguments))
            }
            Self::Request { plan, credential: None } => write!(formatter, "{plan}"),
            Self::Request { plan, credential: Some(credential) } => {
                write!(formatter, "{plan}\n\nwith {credential}")
            }
        }
    }
}
