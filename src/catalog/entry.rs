//! What an entry of the catalog says about itself.

use std::{collections::BTreeMap, sync::Arc};

use dadl_descriptor::model::{
    AccessLevel, DeclaredEffect, Descriptor, HealthCheck, Param, ParamRole, Tool, task::TaskRules,
};
use dadl_text::names::{KnownOperation, nearest_loosely, split_words, verbs};
use serde_json::{Map, Value};

use super::{
    CatalogEntry, CatalogOperation, EntryParam, OperationIndex, ServerTool, output, schema,
};
use crate::access::AccessDecision;

impl CatalogEntry {
    /// Returns what a call does, as the descriptor has it.
    pub fn operation(&self) -> CatalogOperation<'_> {
        let tools = &self.descriptor.tools;
        let composites = &self.descriptor.composites;
        match self.place {
            OperationIndex::Tool(at) => tools.get(at).map(CatalogOperation::Tool),
            OperationIndex::Composite(at) => composites.get(at).map(CatalogOperation::Composite),
            OperationIndex::Health => {
                self.descriptor.health.as_ref().map(|health| CatalogOperation::Tool(&health.tool))
            }
            OperationIndex::Server(at) => {
                self.server.as_ref().and_then(|tools| tools.get(at)).map(CatalogOperation::Server)
            }
        }
        // Invariant: `Catalog::build` takes the index from this descriptor's list, or this server's.
        .expect("an entry's operation is in its descriptor")
    }

    /// Returns whether hosts see it.
    pub fn is_listed(&self) -> bool {
        self.decision == AccessDecision::Allow && self.absence.is_none() && !self.is_unlisted()
    }

    /// Returns whether it may be called and is not listed, because the server lacks it or may lack it.
    pub fn is_left_out(&self) -> bool {
        self.decision == AccessDecision::Allow && self.absence.is_some() && !self.is_unlisted()
    }

    /// Returns whether it is a composite that no list has, because it is there for questions before dangerous
    /// calls.
    pub fn is_unlisted(&self) -> bool {
        matches!(self.operation(), CatalogOperation::Composite(it) if it.is_unlisted)
    }

    /// Returns the tool in its descriptor; `None` when a call is not one request.
    pub fn tool(&self) -> Option<&Tool> {
        self.operation().tool()
    }

    /// Returns the tool of the MCP server that makes the call; `None` when none does.
    pub fn server_tool(&self) -> Option<&ServerTool> {
        match self.operation() {
            CatalogOperation::Server(tool) => Some(tool),
            CatalogOperation::Tool(_) | CatalogOperation::Composite(_) => None,
        }
    }

    /// Returns whether arguments that no parameter is for are handed on.
    pub(crate) fn is_open(&self) -> bool {
        match self.operation() {
            CatalogOperation::Tool(tool) => tool.http().is_some_and(|http| http.rules.open),
            CatalogOperation::Composite(_) => false,
            CatalogOperation::Server(tool) => tool.is_open(),
        }
    }

    /// Returns whether a call leaves something behind: a change, a file, a task or an open stream. What
    /// the author says goes before what level and method say.
    pub fn has_effect(&self) -> bool {
        match self.operation() {
            CatalogOperation::Tool(tool) => {
                !tool.has_no_effect() || self.tasks().is_some() || self.opens_stream()
            }
            CatalogOperation::Composite(composite) => {
                let called = |name: &String| {
                    self.called_tool(name).is_some_and(|tool| {
                        tool.has_no_effect() && self.descriptor.tasks_of(name).is_none()
                    })
                };
                composite.access != Some(AccessLevel::Read) || !composite.calls.iter().all(called)
            }
            // What the server says of it counts for nothing.
            CatalogOperation::Server(tool) => tool.access != Some(AccessLevel::Read),
        }
    }

    /// Returns whether a call shows something and leaves nothing behind, an administrator's included: what a
    /// question before another call may show.
    pub fn only_shows(&self) -> bool {
        match self.operation() {
            CatalogOperation::Tool(tool) => {
                tool.only_shows() && self.tasks().is_none() && !self.opens_stream()
            }
            CatalogOperation::Composite(_) => !self.has_effect(),
            CatalogOperation::Server(_) => false,
        }
    }

    /// Returns whether a call may change something at the API: its level is another one than `read`, or the
    /// author says that a read leaves something behind; of a composite also that of each tool that it calls.
    pub fn may_change(&self) -> bool {
        let changes = |tool: &Tool| {
            tool.access != Some(AccessLevel::Read)
                || tool.lowered
                || tool.declared_effect == Some(DeclaredEffect::Some)
        };
        match self.operation() {
            CatalogOperation::Tool(tool) => changes(tool),
            CatalogOperation::Composite(composite) => {
                let called = |name: &String| self.called_tool(name).is_none_or(changes);
                composite.access != Some(AccessLevel::Read) || composite.calls.iter().any(called)
            }
            CatalogOperation::Server(tool) => tool.access != Some(AccessLevel::Read),
        }
    }

    /// Returns the tool of the file that a composite calls so.
    fn called_tool(&self, name: &str) -> Option<&Tool> {
        let check = self.descriptor.health.as_ref().map(|health| &health.tool);
        self.descriptor.tools.iter().chain(check).find(|tool| tool.name == name)
    }

    /// Returns whether a parameter opens a stream or subscribes.
    fn opens_stream(&self) -> bool {
        self.params.iter().any(|param| matches!(param.param.role, ParamRole::Stream(_)))
    }

    /// Returns whether a call takes files, or saves one.
    pub fn handles_files(&self) -> bool {
        self.params.iter().any(|param| schema::how_given(&param.param).is_some())
            || self.tool().is_some_and(|tool| tool.response.binary)
    }

    /// Returns the health check, when a call is one.
    pub fn health(&self) -> Option<&HealthCheck> {
        self.descriptor.health.as_ref().filter(|_| matches!(self.place, OperationIndex::Health))
    }

    /// Returns how tasks work, when calls can begin one.
    pub fn tasks(&self) -> Option<&TaskRules> {
        let tool = matches!(self.place, OperationIndex::Tool(_)).then(|| self.declared_name())?;
        self.descriptor.tasks_of(tool)
    }

    /// Returns whether a call may begin a task, of an API or of another MCP server.
    pub fn may_begin_task(&self) -> bool {
        self.tasks().is_some() || self.server_tool().is_some_and(|tool| tool.begins_tasks)
    }

    /// Returns the name in the descriptor, or that which the server knows.
    pub fn declared_name(&self) -> &str {
        self.operation().declared_name()
    }

    /// Returns the JSON Schema of the arguments, as hosts list it.
    pub fn input_schema(&self) -> Map<String, Value> {
        // Invariant: the text was written from an object.
        serde_json::from_str(self.schema_text.get()).expect("the text of a JSON object")
    }

    /// Returns the same for somebody who keeps it; it is made once.
    pub(crate) fn shared_schema(&self) -> Arc<Map<String, Value>> {
        Arc::clone(self.schema.get_or_init(|| Arc::new(self.input_schema())))
    }

    /// Returns the declared shape of a result as JSON Schema, the types that it needs in `$defs`.
    pub fn returns(&self) -> Option<Value> {
        if let Some(tool) = self.server_tool() {
            return tool.output_schema.as_ref().map(|schema| Value::Object((**schema).clone()));
        }
        Some(output::in_full(self.returned()?, &self.descriptor.types))
    }

    /// Returns the declared shape of a result; the types that it names are those of the descriptor.
    pub(crate) fn returned(&self) -> Option<&Value> {
        match self.operation() {
            CatalogOperation::Tool(tool) => tool.returns.as_deref(),
            CatalogOperation::Composite(_) => None,
            CatalogOperation::Server(tool) => tool.output(),
        }
    }

    /// Returns the access level; `None` when the author did not say.
    pub fn access(&self) -> Option<&AccessLevel> {
        self.operation().access()
    }

    /// Returns the author's hints, in the order of the file.
    pub fn hints(&self) -> &[(String, String)] {
        self.operation().hints()
    }

    /// Returns the descriptor that the tool belongs to.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the parameter with this property name.
    pub fn param(&self, property: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.property == property).map(|param| &*param.param)
    }

    /// Returns the property of the parameter that the runtime adds for this.
    pub fn property_of(&self, role: ParamRole) -> Option<&str> {
        let known = self.params.iter().find(|known| known.param.role == role)?;
        Some(&known.property)
    }

    /// Returns the known property that `name` was probably meant to be; the name on the wire
    /// finds its property.
    pub fn nearest_property(&self, name: &str) -> Option<&str> {
        let is_it = |param: &&EntryParam| param.param.name == name && !param.param.fixed;
        let on_the_wire = self.params.iter().find(is_it);
        on_the_wire.map(|param| param.property.as_str()).or_else(|| {
            let said = split_words(name);
            // Who says nothing of force is not told to use it.
            let is_worse = |property: &str| {
                split_words(property).iter().any(|word| verbs::harms(word) && !said.contains(word))
            };
            let given = self.params.iter().filter(|param| !param.param.fixed);
            let properties = given.map(|param| param.property.as_str());
            nearest_loosely(name, properties.filter(|property| !is_worse(property)))
        })
    }

    /// Returns the entry as one that an unknown name could have meant.
    pub(super) fn known(&self) -> KnownOperation<'_> {
        KnownOperation {
            name: &self.name,
            declared: self.declared_name(),
            backend: &self.backend_name,
            danger: AccessLevel::danger(self.access()),
        }
    }

    /// Returns the compiled schema of all parameters. Compiling waits for the first call, because
    /// most tools of a large API are never called.
    pub(crate) fn validator(&self) -> &jsonschema::Validator {
        self.validator.get_or_init(|| {
            let of = |hints: &BTreeMap<_, _>| {
                let schema = Value::Object(schema::checked_schema(&self.params, hints));
                schema::compiled(&schema)
            };
            // A pattern that this library does not read is left to the API.
            let none = BTreeMap::new();
            let validator = of(self.operation().value_hints()).or_else(|_| of(&none));
            // Invariant: `schema` writes types and flat objects only.
            Box::new(validator.expect("generated schemas are valid"))
        })
    }
}
