//! A tool of another MCP server, as data: what the server says of it, and what the operator does.
//!
//! Everything that the server says is the text of a stranger. It is kept as it came, for the server and
//! for what is compared with it; what hosts and people see of it is cleaned and bounded where it is shown.
//! The access level never comes from the server.

use std::sync::{Arc, OnceLock};

use dadl_descriptor::model::{AccessLevel, Param, Shared};
use dadl_text::text::cut_text;
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::{
    EntryParam,
    resolved::{Resolved, resolve},
    server_schema,
};
use crate::access::{LevelMap, PinDoubt};

/// A longer name is none, in bytes.
const LONGEST_NAME: usize = 1024;

/// The schema of a longer one is listed, and nothing is checked against it.
const LONGEST_CHECKED: usize = 256 * 1024;

/// So much is done for one pattern of a schema.
const PATTERN_STEPS: usize = 20_000;
const PATTERN_BYTES: usize = 1024 * 1024;

/// Where a server says that calls may go on as tasks (2026-07-28).
const TASKS_EXTENSION: &str = "/extensions/io.modelcontextprotocol~1tasks";

/// A tool of another MCP server.
#[derive(Debug)]
pub struct ServerTool {
    /// The name that the server knows.
    pub name: String,
    /// What the server calls it for people.
    pub title: Option<String>,
    /// What the server says of it; may be empty.
    pub description: String,
    /// What the server says of its arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// What the server says of its structured results.
    pub output_schema: Option<Arc<Map<String, Value>>>,
    /// How the server says that it behaves; nothing is decided by it.
    pub proposed: ProposedHints,
    /// The level that the operator gave it.
    pub access: Option<AccessLevel>,
    /// Why it is held back, whatever its level allows.
    pub held: Option<PinDoubt>,
    /// Whether the server calls it as a task only (`execution.taskSupport` of 2025-11-25).
    pub needs_task: bool,
    /// Whether a call may go on as a task, as far as the server says.
    pub begins_tasks: bool,
    params: Vec<Shared<Param>>,
    is_open: bool,
    /// The results, without references.
    output: Option<Value>,
    validator: OnceLock<Option<Box<Validator>>>,
    output_validator: OnceLock<Option<Box<Validator>>>,
}

/// MCP's behavior hints, as far as a server gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProposedHints {
    /// `readOnlyHint`
    pub read_only: Option<bool>,
    /// `destructiveHint`
    pub destructive: Option<bool>,
    /// `idempotentHint`
    pub idempotent: Option<bool>,
    /// `openWorldHint`
    pub open_world: Option<bool>,
}

/// Why an item of a server's list is no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerToolError {
    /// The item at this place has no name that could be one.
    #[error("item {0} of the server's list has no name of 1 to {LONGEST_NAME} bytes")]
    Name(usize),
    /// Another one has the name.
    #[error("the server lists the tool {name:?} twice; the first counts", name = cut_text(.0, 100))]
    Repeated(String),
    /// The tool has no schema of arguments that could be one.
    #[error("the tool {name:?} of the server has no `inputSchema` that is an object", name = cut_text(.0, 100))]
    Schema(String),
}

/// The tools of a server, in its order; no two have one name.
#[derive(Debug, Clone, Default)]
pub struct ServerTools(Arc<[ServerTool]>);

impl ServerTools {
    /// Reads the items of a `tools/list`; what is none is left out and told.
    pub fn read(items: &[Value], levels: &LevelMap) -> (Self, Vec<ServerToolError>) {
        let mut tools: Vec<ServerTool> = Vec::with_capacity(items.len());
        let mut names = std::collections::HashSet::with_capacity(items.len());
        let mut errors = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match ServerTool::read(item, at, levels) {
                Ok(tool) if names.insert(tool.name.clone()) => tools.push(tool),
                Ok(tool) => errors.push(ServerToolError::Repeated(tool.name)),
                Err(error) => errors.push(error),
            }
        }
        (Self(tools.into()), errors)
    }

    /// Returns the items of a `tools/list` that are tools, with their names.
    pub(crate) fn items(items: &[Value]) -> Vec<(&str, &Value)> {
        let mut names = std::collections::HashSet::with_capacity(items.len());
        let tools = items.iter().filter_map(|item| {
            let name = ServerTool::name_of(item)?;
            item.get("inputSchema")?.is_object().then_some((name, item))
        });
        tools.filter(|(name, _)| names.insert(*name)).collect()
    }

    /// Notes of tools, which nobody else has yet, whether they begin tasks by what the server says that it
    /// can do: from 2026-07-28 on each may.
    pub(crate) fn note_tasks(&mut self, capabilities: &Value) {
        let may_begin = capabilities.pointer(TASKS_EXTENSION).is_some_and(Value::is_object);
        for tool in self.each_mut() {
            tool.begins_tasks |= may_begin;
        }
    }

    /// Holds tools back, which nobody else has yet.
    pub(crate) fn hold_back(&mut self, doubt: impl Fn(&str) -> Option<PinDoubt>) {
        for tool in Arc::get_mut(&mut self.0).into_iter().flatten() {
            tool.held = doubt(&tool.name);
        }
    }

    /// Returns the tools.
    pub fn iter(&self) -> impl Iterator<Item = &ServerTool> + Clone {
        self.0.iter()
    }

    /// Changes the parameters of all tools, which nobody else has yet, up to the first that cannot be.
    ///
    /// # Errors
    ///
    /// That of the change.
    pub(crate) fn change_params<Problem>(
        &mut self,
        mut change: impl FnMut(&str, &mut Param) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let tools = Arc::get_mut(&mut self.0).into_iter().flatten();
        for ServerTool { name, params, .. } in tools {
            params.iter_mut().try_for_each(|param| change(name, param))?;
        }
        Ok(())
    }

    /// Returns the tools to be changed; none where somebody else has them already.
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = &mut ServerTool> {
        Arc::get_mut(&mut self.0).into_iter().flatten()
    }

    pub(super) fn get(&self, at: usize) -> Option<&ServerTool> {
        self.0.get(at)
    }
}

impl ServerTool {
    fn read(item: &Value, at: usize, levels: &LevelMap) -> Result<Self, ServerToolError> {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let name = Self::name_of(item).ok_or(ServerToolError::Name(at))?.to_owned();
        let Some(Value::Object(input_schema)) = item.get("inputSchema") else {
            return Err(ServerToolError::Schema(name));
        };
        let output_schema = item.get("outputSchema").and_then(Value::as_object);
        let annotations = item.get("annotations");
        let hint = |key: &str| annotations.and_then(|it| it.get(key)?.as_bool());
        let titled = annotations.and_then(|it| it.get("title")?.as_str());
        let resolved = resolve(input_schema);
        let form = server_schema::arguments(&resolved.schema);
        let support = item.pointer("/execution/taskSupport").and_then(Value::as_str);
        let needs_task = support == Some("required");
        Ok(Self {
            title: text("title").or(titled).map(str::to_owned),
            description: text("description").unwrap_or_default().to_owned(),
            input_schema: Arc::new(input_schema.clone()),
            output: output_schema.map(|schema| Value::Object(resolve(schema).schema)),
            output_schema: output_schema.map(|schema| Arc::new(schema.clone())),
            proposed: ProposedHints {
                read_only: hint("readOnlyHint"),
                destructive: hint("destructiveHint"),
                idempotent: hint("idempotentHint"),
                open_world: hint("openWorldHint"),
            },
            access: levels.level_of(&name).cloned(),
            held: None,
            needs_task,
            begins_tasks: needs_task,
            params: server_schema::params(&form),
            is_open: form.is_open,
            validator: OnceLock::new(),
            output_validator: OnceLock::new(),
            name,
        })
    }

    fn name_of(item: &Value) -> Option<&str> {
        let name = item.get("name").and_then(Value::as_str);
        name.filter(|name| (1..=LONGEST_NAME).contains(&name.len()))
    }

    /// Returns the arguments that the server names, in its order.
    pub fn params(&self) -> &[Shared<Param>] {
        &self.params
    }

    /// Returns the same to be changed.
    pub(crate) fn params_mut(&mut self) -> &mut Vec<Shared<Param>> {
        &mut self.params
    }

    /// Returns whether the server takes arguments that it does not name.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns the schema of the arguments that hosts list.
    pub(super) fn listed_schema(&self, params: &[EntryParam]) -> Map<String, Value> {
        server_schema::listed(&resolve(&self.input_schema).schema, params)
    }

    /// Returns the shape of its structured results, without references.
    pub(crate) fn output(&self) -> Option<&Value> {
        self.output.as_ref()
    }

    /// Returns what arguments are checked against, by the names that the server knows; `None` where the
    /// schema cannot be used: then the server alone checks.
    pub(crate) fn validator(&self) -> Option<&Validator> {
        let made = self.validator.get_or_init(|| self.make_validator().map(Box::new));
        made.as_deref()
    }

    /// Says where a value is not what the server declares of its structured results; `None` as well where
    /// it declares nothing that can be used.
    pub(crate) fn output_fault(&self, value: &Value) -> Option<String> {
        let made = self.output_validator.get_or_init(|| {
            self.output_schema.as_ref().and_then(|it| self.validator_of(it)).map(Box::new)
        });
        let error = made.as_ref()?.validate(value).err()?;
        // What it quotes of the value is what the caller gets anyway.
        Some(error.to_string())
    }

    fn make_validator(&self) -> Option<Validator> {
        self.validator_of(&self.input_schema)
    }

    fn validator_of(&self, schema: &Map<String, Value>) -> Option<Validator> {
        // One with references may lead into itself, and checking would have no end.
        let Resolved { schema, is_whole: true } = resolve(schema) else { return None };
        let schema = Value::Object(schema);
        if schema.to_string().len() > LONGEST_CHECKED {
            return None;
        }
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(PATTERN_STEPS)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES);
        let made = jsonschema::options().with_pattern_options(patterns).build(&schema);
        made.inspect_err(|error| {
            tracing::debug!(tool = %self.name, reason = %error, "a schema cannot be used");
        })
        .ok()
    }
}

#[cfg(test)]
mod tests;
