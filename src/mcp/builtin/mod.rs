//! Tools that belong to no descriptor: going on with a task, cancelling it and listing those that were
//! begun; reading, listing and closing the streams that are open; reading
//! what a result was cut from.
//!
//! They are listed after those of the catalog, and only where an allowed tool needs them. Their
//! names are reserved (see [`RESERVED`](dadl_text::names::RESERVED)). What they do to an API passes the
//! gate like any call.

mod api_script;
mod api_tools;
mod arguments;
mod listing;
mod result_tool;
mod run;
mod stream_tools;
pub(super) mod task_notes;
mod task_tools;

use std::sync::Arc;

use rmcp::model::{MetaObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use self::listing::{ListedProperty, ToolListing};
use crate::{
    access::AccessDecision,
    catalog::CatalogEntry,
    finding::BuiltinText,
    gate::{Gate, script::ScriptScope},
};

/// A tool that belongs to no descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltinTool {
    /// Finds tools.
    ApiSearch,
    /// Calls a tool without an effect, or runs a script over such tools.
    ApiRead,
    /// Calls any tool.
    ApiChange,
    /// Runs a script that changes something.
    ApiScript,
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
    /// Reads an answer that was stored.
    ReadResult,
}

impl BuiltinTool {
    /// All, in the order of the list.
    const ALL: [Self; 11] = [
        Self::ApiSearch,
        Self::ApiRead,
        Self::ApiChange,
        Self::ApiScript,
        Self::TaskWait,
        Self::TaskCancel,
        Self::TaskList,
        Self::StreamRead,
        Self::StreamList,
        Self::StreamClose,
        Self::ReadResult,
    ];

    /// Returns those through which hosts reach the tools of `gate` that they do not see.
    pub(super) fn of_compact(gate: &Gate) -> Vec<Self> {
        let changes = |entry: &CatalogEntry| {
            entry.may_change() && gate.is_for_script(ScriptScope::Changes, entry)
        };
        let has_effects = gate.catalog().listed().any(CatalogEntry::has_effect);
        let is_needed = |builtin: &Self| match builtin {
            Self::ApiSearch | Self::ApiRead => true,
            Self::ApiChange => has_effects,
            Self::ApiScript => gate.catalog().listed().any(changes),
            _ => false,
        };
        Self::ALL.into_iter().filter(is_needed).collect()
    }

    /// Returns whether hosts reach other tools through it.
    fn is_of_compact(self) -> bool {
        matches!(self, Self::ApiSearch | Self::ApiRead | Self::ApiChange | Self::ApiScript)
    }

    /// Returns whether a call leaves nothing behind.
    pub(super) fn only_reads(self) -> bool {
        self.listing().effect.is_read_only
    }

    /// Returns those that the allowed tools of `gate` need.
    pub(super) fn needed(gate: &Gate) -> Vec<Self> {
        let is_allowed = |entry: &CatalogEntry| entry.decision == AccessDecision::Allow;
        let starters: Vec<_> = gate.catalog().task_starters().collect();
        let mut cancels = starters.iter().filter_map(|tools| tools.cancel.as_ref());
        // What began a task of another MCP server may look at it, and stop it.
        let has_servers = gate
            .catalog()
            .listed()
            .any(|entry| entry.server_tool().is_some_and(|tool| tool.begins_tasks));
        let can_wait = has_servers || starters.iter().any(|tools| is_allowed(&tools.watch));
        let can_cancel = has_servers || cancels.any(is_allowed);
        let opens =
            |entry: &CatalogEntry| entry.tool().is_some_and(|tool| tool.response.is_stream());
        let has_streams = gate.catalog().listed().any(opens);
        let is_needed = |builtin: &Self| match builtin {
            Self::TaskWait | Self::TaskList => can_wait,
            Self::TaskCancel => can_cancel,
            Self::StreamRead | Self::StreamList | Self::StreamClose => has_streams,
            // Any answer may be larger than what a host shows.
            Self::ReadResult => gate.catalog().listed().next().is_some(),
            // Where hosts see all tools, nothing has to be found.
            Self::ApiSearch | Self::ApiRead | Self::ApiChange | Self::ApiScript => false,
        };
        Self::ALL.into_iter().filter(is_needed).collect()
    }

    /// Returns the name.
    pub(super) fn name(self) -> &'static str {
        self.listing().name
    }

    const fn listing(self) -> ToolListing {
        match self {
            Self::ApiSearch => listing::API_SEARCH,
            Self::ApiRead => listing::API_READ,
            Self::ApiChange => listing::API_CHANGE,
            Self::ApiScript => listing::API_SCRIPT,
            Self::TaskWait => listing::TASK_WAIT,
            Self::TaskCancel => listing::TASK_CANCEL,
            Self::TaskList => listing::TASK_LIST,
            Self::StreamRead => listing::STREAM_READ,
            Self::StreamList => listing::STREAM_LIST,
            Self::StreamClose => listing::STREAM_CLOSE,
            Self::ReadResult => listing::READ_RESULT,
        }
    }

    /// Returns what a search knows about it; `None` when hosts always see it.
    pub(super) fn text(self) -> Option<BuiltinText> {
        if self.is_of_compact() {
            return None;
        }
        let ToolListing { name, description, properties, effect, .. } = self.listing();
        let params = properties.iter().map(|it| {
            let mark = if it.is_required { "" } else { "?" };
            format!("{}{mark}: {}", it.name, it.kind)
        });
        let params = params.collect::<Vec<_>>().join(", ");
        let level = if effect.is_read_only { "read" } else { "write" };
        Some(BuiltinText {
            name: name.to_owned(),
            description: description.to_owned(),
            signature: format!("{name}({params})  // {level}. {description}"),
            reads: effect.is_read_only,
        })
    }

    /// Makes the tool that hosts see.
    pub(super) fn tool(self) -> Tool {
        let ToolListing { name, title, description, properties, effect } = self.listing();
        let property = |it: &ListedProperty| {
            let mut schema = match it.kind {
                "strings" => json!({ "type": "array", "items": { "type": "string" } }),
                kind => json!({ "type": kind }),
            };
            if let Some(schema) = schema.as_object_mut().filter(|_| !it.description.is_empty()) {
                schema.insert("description".to_owned(), it.description.into());
            }
            (it.name.to_owned(), schema)
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
        let tool = Tool::new_with_raw(name, Some(description.into()), Arc::new(schema))
            .with_title(title)
            .with_annotations(annotations);
        if self.is_of_compact() { tool.with_meta(always_loaded()) } else { tool }
    }
}

/// Has Claude Code show a tool from the start, which it hides behind a search of its own by default: a search
/// for the tool that searches would be one too many.
fn always_loaded() -> MetaObject {
    let mut meta = Map::new();
    meta.insert("anthropic/alwaysLoad".to_owned(), true.into());
    MetaObject(meta)
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
