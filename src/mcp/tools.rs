//! Catalog entries become MCP tools.
//!
//! The protocol library takes a list by value, so a listing clones the tools; their schemas are shared,
//! and what is cloned is a name, a title and a description ([`listed_tools`](super::listed_tools) has
//! another way). There is no `_meta`: the size hint that one host reads would let a single answer
//! fill its context, while without it the host saves a long answer to a file.

use std::{borrow::Cow, sync::Arc};

use rmcp::model::{Tool, ToolAnnotations};

use crate::catalog::CatalogEntry;

/// Makes the tool that hosts see.
pub(super) fn mcp_tool(entry: &CatalogEntry) -> Tool {
    let tool = Tool::new_with_raw(
        entry.name.clone(),
        Some(Cow::Owned(entry.description.clone())),
        entry.shared_schema(),
    )
    .with_title(entry.title.clone())
    .with_annotations(annotations(entry));
    match &entry.output {
        Some(output) => tool.with_raw_output_schema(Arc::clone(output.schema())),
        None => tool,
    }
}

/// Makes the hints about the behavior of a tool that hosts see.
pub(super) fn annotations(entry: &CatalogEntry) -> ToolAnnotations {
    let hints = entry.listed_annotations();
    ToolAnnotations::new()
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(hints.open_world)
}
