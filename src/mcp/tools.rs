//! Catalog entries as MCP tools. They are converted once: the list never changes.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};

use crate::catalog::{Catalog, Entry};

/// Converts the listed tools, in the order of the catalog.
pub(super) fn listed(catalog: &Catalog) -> Vec<Tool> {
    catalog.listed().map(tool).collect()
}

fn tool(entry: &Entry) -> Tool {
    let hints = entry.annotations;
    let annotations = ToolAnnotations::from_raw(
        None,
        Some(hints.read_only),
        Some(hints.destructive),
        Some(hints.idempotent),
        Some(hints.open_world),
    );
    Tool::new(entry.name.clone(), entry.description.clone(), Arc::clone(&entry.input_schema))
        .with_title(entry.title.clone())
        .with_annotations(annotations)
}
