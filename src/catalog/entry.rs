//! What an entry of the catalog says about itself.

use std::collections::BTreeMap;

use dadl_descriptor::model::{
    AccessLevel, DeclaredEffect, Descriptor, HealthCheck, Param, ParamRole, Tool, task::TaskRules,
};
use dadl_text::names::{KnownOperation, nearest_loosely, split_words, verbs};
use serde_json::Value;

use super::{CatalogEntry, CatalogOperation, OperationIndex, output, schema};
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
        }
        // Invariant: `Catalog::build` takes the index from this descriptor's list.
        .expect("an entry's operation is in its descriptor")
    }

    /// Returns whether hosts see it.
    pub fn is_listed(&self) -> bool {
        self.decision == AccessDecision::Allow && self.absence.is_none()
    }

    /// Returns the tool in its descriptor; `None` when a call is not one request.
    pub fn tool(&self) -> Option<&Tool> {
        self.operation().tool()
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
        }
    }

    /// Returns whether a call may change something at the API: its level is another one than `read`, or the
    /// author says that a read leaves something behind; of a composite also that of each tool that it calls.
    pub fn may_change(&self) -> bool {
        let changes = |tool: &Tool| {
            tool.access != Some(AccessLevel::Read)
                || tool.declared_effect == Some(DeclaredEffect::Some)
        };
        match self.operation() {
            CatalogOperation::Tool(tool) => changes(tool),
            CatalogOperation::Composite(composite) => {
                let called = |name: &String| self.called_tool(name).is_none_or(changes);
                composite.access != Some(AccessLevel::Read) || composite.calls.iter().any(called)
            }
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

    /// Returns the name in the descriptor.
    pub fn declared_name(&self) -> &str {
        self.operation().declared_name()
    }

    /// Returns the declared shape of a result as JSON Schema, the types that it needs in `$defs`.
    pub fn returns(&self) -> Option<Value> {
        let returns = self.tool()?.returns.as_ref()?;
        Some(output::in_full(returns, &self.descriptor.types))
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
        self.params.iter().find(|param| param.property == property).map(|param| &param.param)
    }

    /// Returns the property of the parameter that the runtime adds for this.
    pub fn property_of(&self, role: ParamRole) -> Option<&str> {
        let known = self.params.iter().find(|known| known.param.role == role)?;
        Some(&known.property)
    }

    /// Returns the known property that `name` was probably meant to be; the name on the wire
    /// finds its property.
    pub fn nearest_property(&self, name: &str) -> Option<&str> {
        let on_the_wire = self.params.iter().find(|param| param.param.name == name);
        on_the_wire.map(|param| param.property.as_str()).or_else(|| {
            let said = split_words(name);
            // Who says nothing of force is not told to use it.
            let is_worse = |property: &str| {
                split_words(property).iter().any(|word| verbs::harms(word) && !said.contains(word))
            };
            let properties = self.params.iter().map(|param| param.property.as_str());
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
                jsonschema::draft202012::new(&schema)
            };
            // A pattern that this library does not read is left to the API.
            let none = BTreeMap::new();
            let validator = of(self.operation().value_hints()).or_else(|_| of(&none));
            // Invariant: `schema` writes types and flat objects only.
            Box::new(validator.expect("generated schemas are valid"))
        })
    }
}
