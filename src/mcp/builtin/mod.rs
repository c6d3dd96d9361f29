//! Tools that belong to no descriptor: going on with a task, cancelling it and listing those that were
//! begun; reading, listing and closing the streams that are open.
//!
//! They are listed after those of the catalog, and only where an allowed tool needs them. Their
//! names are reserved (see [`RESERVED`](dadl_text::names::RESERVED)). What they do to an API passes the
//! gate like any call.

mod arguments;
mod listing;
mod run;
mod stream_tools;
pub(super) mod task_tools;

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use self::listing::{ListedProperty, ToolListing};
use crate::{access::AccessDecision, catalog::CatalogEntry, gate::Gate};

/// A tool that belongs to no descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltinTool {
    /// Waits for a task that a call began.
    TaskWait,
    /// Asks a task to stop.
    TaskCancel,
    /// Lists the tasks that calls began.
    TaskList,
    /// Takes what an open stream has brought.
    StreamRead,
    /// Lists the open streams.
    StreamList,
    /// Closes one.
    StreamClose,
}

impl BuiltinTool {
    /// All, in the order of the list.
    const ALL: [Self; 6] = [
        Self::TaskWait,
        Self::TaskCancel,
        Self::TaskList,
        Self::StreamRead,
        Self::StreamList,
        Self::StreamClose,
    ];

    /// Returns those that the allowed tools of `gate` need.
    pub(super) fn needed(gate: &Gate) -> Vec<Self> {
        let is_allowed = |entry: &CatalogEntry| entry.decision == AccessDecision::Allow;
        let starters: Vec<_> = gate.catalog().task_starters().collect();
        let mut cancels = starters.iter().filter_map(|tools| tools.cancel.as_ref());
        let can_wait = starters.iter().any(|tools| is_allowed(&tools.watch));
        let can_cancel = cancels.any(is_allowed);
        let opens =
            |entry: &CatalogEntry| entry.tool().is_some_and(|tool| tool.response.is_stream());
        let has_streams = gate.catalog().listed().any(opens);
        let is_needed = |builtin: &Self| match builtin {
            Self::TaskWait | Self::TaskList => can_wait,
            Self::TaskCancel => can_cancel,
            Self::StreamRead | Self::StreamList | Self::StreamClose => has_streams,
        };
        Self::ALL.into_iter().filter(is_needed).collect()
    }

    /// Returns the name.
    pub(super) fn name(self) -> &'static str {
        self.listing().name
    }

    const fn listing(self) -> ToolListing {
        match self {
            Self::TaskWait => listing::TASK_WAIT,
            Self::TaskCancel => listing::TASK_CANCEL,
            Self::TaskList => listing::TASK_LIST,
            Self::StreamRead => listing::STREAM_READ,
            Self::StreamList => listing::STREAM_LIST,
            Self::StreamClose => listing::STREAM_CLOSE,
        }
    }

    /// Makes the tool that hosts see.
    pub(super) fn tool(self) -> Tool {
        let ToolListing { name, title, description, properties, effect } = self.listing();
        let property = |it: &ListedProperty| {
            (it.name.to_owned(), json!({ "type": it.kind, "description": it.description }))
        };
        let required = properties.iter().filter(|it| it.is_required).map(|it| it.name);
        let required: Vec<&str> = required.collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        let properties = properties.iter().map(property).collect();
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let annotations = ToolAnnotations::new()
            .read_only(effect.is_read_only)
            .destructive(effect.is_destructive)
            .idempotent(effect.is_idempotent)
            .open_world(effect.is_open_world);
        Tool::new_with_raw(name, Some(description.into()), Arc::new(schema))
            .with_title(title)
            .with_annotations(annotations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_reserved() {
        let mut names = BuiltinTool::ALL.map(BuiltinTool::name);
        names.sort_unstable();
        assert_eq!(names, dadl_text::names::RESERVED);
    }
}
