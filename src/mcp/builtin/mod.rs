//! Tools that belong to no descriptor: going on with a task, cancelling it and listing those that were
//! begun; reading, listing and
//! closing the streams that are open.
//!
//! They are listed after those of the catalog, and only where an allowed tool needs them. Their
//! names are reserved (see [`RESERVED`](dadl_text::names::RESERVED)). What they do to an API passes the
//! gate like any call.

mod arguments;
mod stream_tools;
mod task_tools;

use std::sync::Arc;

use rmcp::{
    RoleServer,
    model::{Tool, ToolAnnotations},
    service::RequestContext,
};
use serde_json::{Map, Value, json};

pub(super) use self::task_tools::advise;
use super::{HttpServer, consent::ConsentRetry, server::ToolAnswer};
use crate::{access::AccessDecision, catalog::CatalogEntry, executor::CallContext, gate::Gate};

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

/// What hosts are told about one.
struct ToolListing {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    properties: &'static [ListedProperty],
    effect: CallEffect,
}

/// A parameter: its name, its type in JSON Schema, and what it is.
struct ListedProperty {
    name: &'static str,
    kind: &'static str,
    description: &'static str,
    is_required: bool,
}

impl ListedProperty {
    const fn required(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self { name, kind, description, is_required: true }
    }

    const fn optional(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self { name, kind, description, is_required: false }
    }
}

/// What a call changes, in the words of the protocol.
struct CallEffect {
    is_read_only: bool,
    is_destructive: bool,
    is_idempotent: bool,
    is_open_world: bool,
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
            Self::TaskWait => task_tools::WAIT,
            Self::TaskCancel => task_tools::CANCEL,
            Self::TaskList => task_tools::LIST,
            Self::StreamRead => stream_tools::READ,
            Self::StreamList => stream_tools::LIST,
            Self::StreamClose => stream_tools::CLOSE,
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

    /// Runs it.
    pub(super) async fn run(
        self,
        server: &HttpServer,
        arguments: Map<String, Value>,
        retry: ConsentRetry,
        context: &RequestContext<RoleServer>,
        carried: &CallContext<'_>,
    ) -> ToolAnswer {
        Ok(match self {
            Self::TaskWait => task_tools::wait_for_task(server, arguments, context, carried).await,
            Self::TaskCancel => {
                return task_tools::cancel_task(server, arguments, retry, context, carried).await;
            }
            Self::TaskList => task_tools::list_tasks(server, arguments, carried),
            Self::StreamRead => stream_tools::read_stream(server, arguments, context).await,
            Self::StreamList => stream_tools::list_streams(server, arguments, context),
            Self::StreamClose => stream_tools::close_stream(server, arguments, context),
        })
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
