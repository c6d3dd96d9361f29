//! One tool, planned.

use std::sync::Arc;

use dadl_mcp::{access::{AccessLevels, AccessPolicy}, call::{self, BaseUrl, CallPlan, CallChannel}, catalog::{BackendTools, Catalog}};
use dadl_descriptor::{load, source::SourceText};
use serde_json::{Map, Value};

/// Loads a descriptor with one tool; `None` when it is refused.
pub fn catalog(tool: &Value) -> Option<Catalog> {
    // JSON is YAML.
    let descriptor = serde_json::json!({
        "spec": "https://dadl.ai/spec/dadl-spec-v0.2.md",
        "backend": {
            "name": "fuzz",
            "type": "rest",
            "description": "Fuzz.",
            "auth": { "type": "bearer", "credential": "none" },
            "tools": { "tool": tool },
        },
    });
    let loaded = load(&SourceText::new("fuzz.dadl", descriptor.to_string()));
    let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
    let descriptor = Arc::new(loaded.descriptor?);
    Some(Catalog::build(&[BackendTools { name: "fuzz", descriptor, server: None, policy: &policy, task_wait: None }]))
}

/// Plans a call with arguments under their names on the wire; `None` when it is refused.
pub fn plan(catalog: &Catalog, base: &BaseUrl, given: &Map<String, Value>) -> Option<CallPlan> {
    let entry = catalog.entries().first()?;
    let arguments: Map<String, Value> = entry
        .params
        .iter()
        .filter_map(|known| Some((known.property.clone(), given.get(&known.param.name)?.clone())))
        .collect();
    let arguments = call::check_arguments(entry, arguments).ok()?;
    call::plan_call(entry, entry.tool()?, base, &arguments, CallChannel::Mcp).ok()
}
