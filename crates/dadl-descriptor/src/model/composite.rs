//! Scripts that call tools (spec section 12).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use super::{AccessLevel, Param, Shared};

/// A script that calls several tools (spec section 12).
#[derive(Debug, Clone)]
pub struct Composite {
    /// The key under `composites`.
    pub name: String,
    /// How dangerous a call is: the author's word, or the highest level of the tools that it may
    /// call; `None` when one of these has no level.
    pub access: Option<AccessLevel>,
    /// What the composite does, for a model.
    pub description: String,
    /// Domain knowledge from `hints`, in the order of the file.
    pub hints: Vec<(String, String)>,
    /// The members of `params`; their role is [`Role::Script`](super::ParamRole::Script).
    pub params: Vec<Shared<Param>>,
    /// What is known about values besides their type, by the name of the parameter: keywords of
    /// JSON Schema. Hosts list them; nobody enforces them here.
    pub value_hints: BTreeMap<String, Map<String, Value>>,
    /// What runs.
    pub script: CompositeScript,
    /// The time for everything, inner calls included: 30 s unless the author says otherwise, and
    /// never more than 120 s.
    pub timeout: Duration,
    /// Tools that the composite may call under the consent that was given to itself.
    pub delegates: Vec<String>,
    /// Tools that the composite may call, as far as the file says: those that the script names,
    /// `delegates` and `depends_on`; every tool where the script computes a name.
    pub calls: Arc<[String]>,
    /// Whether no list has it: it is there for questions before dangerous calls
    /// (`_dadl_mcp.unlisted_composites`).
    pub is_unlisted: bool,
}

/// The body of an async function with the parameters `api` and `params`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositeScript {
    /// JavaScript: as written, with spaces where TypeScript's annotations were.
    pub code: String,
    /// The line of the file that holds the first line of the code; `None` when folding or quoting
    /// makes the lines of both differ.
    pub first_line: Option<usize>,
}
