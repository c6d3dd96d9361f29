//! Streams that stay open: the tools that read, list and close them.
//!
//! They are listed when a backend has a streaming tool that may be called, and belong to no
//! descriptor. A stream is that of the session which opened it; where there are no sessions, who
//! knows its handle may read it.

use std::{sync::Arc, time::Duration};

use rmcp::{
    RoleServer,
    model::{CallToolResult, ContentBlock, Tool, ToolAnnotations},
    service::RequestContext,
};
use serde_json::{Map, Value, json};

use super::{Server, http, result};
use crate::{
    catalog::Catalog,
    gate::Admitted,
    live::{self, Batch, LONGEST_WAIT, Owner},
    outcome::{Held, JsonText, Outcome, Payload},
};

/// A tool that belongs to no descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    Close,
    List,
    Read,
}

/// How many items a read takes unless the caller says otherwise.
const ITEMS: u64 = 1000;

impl Builtin {
    const ALL: [Self; 3] = [Self::Read, Self::List, Self::Close];

    fn name(self) -> &'static str {
        match self {
            Self::Close => "stream_close",
            Self::List => "stream_list",
            Self::Read => "stream_read",
        }
    }

    /// Returns the parameters: name, type, description, and whether it is required.
    fn params(self) -> &'static [(&'static str, &'static str, &'static str, bool)] {
        match self {
            Self::Close => &[("stream", "string", "Handle", true)],
            Self::List => &[],
            Self::Read => &[
                ("stream", "string", "Handle", true),
                ("wait", "number", "Seconds to wait when nothing has come, 0 by default", false),
                ("max_items", "integer", "1000 by default", false),
            ],
        }
    }

    fn tool(self) -> Tool {
        let (title, description) = match self {
            Self::Close => ("Stream close", "Close an open stream."),
            Self::List => ("Stream list", "List the streams that the session has open."),
            Self::Read => (
                "Stream read",
                "Take what an open stream has brought since the last read. `state` is open, \
                 reconnecting or ended; an item {gap} stands where items may be missing; \
                 `dropped` counts items that came too fast; `left` wait for the next read.",
            ),
        };
        let property = |(name, kind, text, _): &(&str, &str, &str, bool)| {
            ((*name).to_owned(), json!({ "type": kind, "description": text }))
        };
        let properties: Map<String, Value> = self.params().iter().map(property).collect();
        let required: Vec<&str> =
            self.params().iter().filter(|param| param.3).map(|param| param.0).collect();
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let annotations = ToolAnnotations::new()
            .read_only(self != Self::Close)
            .destructive(false)
            .idempotent(self != Self::Read)
            .open_world(false);
        Tool::new_with_raw(self.name(), Some(description.into()), Arc::new(schema))
            .with_title(title)
            .with_annotations(annotations)
    }

    /// Runs the tool.
    pub(super) async fn run(
        self,
        server: &Server,
        arguments: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        match self.answer(server, arguments, context).await {
            Ok(result) => result,
            Err(text) => result::failure(text),
        }
    }

    async fn answer(
        self,
        server: &Server,
        arguments: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, String> {
        let given = self.check(arguments)?;
        let owner = owner(context);
        let handle = given.stream.as_str();
        match self {
            Self::Close => {
                let closed = server.streams().close(handle, &owner);
                let unread = closed.map_err(|error| error.to_string())?;
                let value = json!({ "closed": handle, "unread": unread });
                Ok(shown(&JsonText::from(&value)))
            }
            Self::List => {
                let streams = server.streams().list(&owner);
                Ok(shown(&JsonText::from(&json!({ "streams": streams }))))
            }
            Self::Read => {
                // What goes around the items is short.
                let room = server.most_chars().saturating_sub(400);
                let (wait, most) = (given.wait, given.max_items);
                let read = server.streams().read(handle, &owner, wait, most, room).await;
                Ok(shown(&batch(&read.map_err(|error| error.to_string())?)))
            }
        }
    }

    /// Checks the arguments; models send `"5"` for 5.
    fn check(self, arguments: Map<String, Value>) -> Result<Given, String> {
        let mut problems = Vec::new();
        let mut given = Given {
            stream: String::new(),
            wait: Duration::ZERO,
            max_items: usize::try_from(ITEMS).unwrap_or(usize::MAX),
        };
        for (name, value) in &arguments {
            if value.is_null() {
                continue;
            }
            let number = || match value {
                Value::String(text) => text.trim().parse::<f64>().ok(),
                value => value.as_f64(),
            };
            let is_known = self.params().iter().any(|param| param.0 == name);
            match name.as_str() {
                _ if !is_known => problems.push(format!("there is no parameter `{name}`")),
                "stream" => match value.as_str() {
                    Some(handle) => handle.clone_into(&mut given.stream),
                    None => problems.push("`stream` must be a handle".to_owned()),
                },
                "wait" => match number().filter(|seconds| *seconds >= 0.0) {
                    Some(seconds) => {
                        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT);
                        given.wait = wait.min(LONGEST_WAIT);
                    }
                    None => problems.push("`wait` must be seconds, 0 or more".to_owned()),
                },
                _ => match number().filter(|count| *count >= 1.0 && count.fract() == 0.0) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a cast from a float saturates, and the number is positive"
                    )]
                    Some(count) => given.max_items = count as usize,
                    None => {
                        problems.push("`max_items` must be an integer of at least 1".to_owned())
                    }
                },
            }
        }
        if self != Self::List && given.stream.is_empty() && problems.is_empty() {
            problems.push("`stream` (string) is required".to_owned());
        }
        if problems.is_empty() {
            return Ok(given);
        }
        let problems = problems.join("; ");
        Err(format!("the arguments of `{}` cannot be used: {problems}", self.name()))
    }
}

/// Checked arguments.
struct Given {
    stream: String,
    wait: Duration,
    max_items: usize,
}

/// Returns the tools, when there is something to open.
pub(super) fn tools(catalog: &Catalog) -> impl Iterator<Item = Tool> + use<> {
    let all = if has_streams(catalog) { Builtin::ALL.as_slice() } else { &[] };
    all.iter().map(|builtin| builtin.tool())
}

/// Returns the tool with this name.
pub(super) fn builtin(catalog: &Catalog, name: &str) -> Option<Builtin> {
    let found = Builtin::ALL.into_iter().find(|builtin| builtin.name() == name)?;
    has_streams(catalog).then_some(found)
}

fn has_streams(catalog: &Catalog) -> bool {
    catalog.listed().any(|entry| entry.tool().is_some_and(|tool| tool.response.is_stream()))
}

/// Makes a call whose answer stays open, or that subscribes; `None` when it is another one.
pub(super) async fn perform(
    server: &Server,
    call: &Admitted<'_>,
    context: &RequestContext<RoleServer>,
) -> Option<Result<Outcome, String>> {
    let client = http::client(&context.extensions);
    let executor = server.executor();
    if live::is_open(call) {
        let opened = server.streams().open(executor, call, owner(context), &client).await;
        return Some(opened.map_err(|error| error.to_string()).map(|handle| {
            let payload = Payload::Json(JsonText::from(&json!({ "stream": handle })));
            let note = "read it with stream_read, and close it with stream_close".to_owned();
            let held = Held::default();
            Outcome { status: 200, payload, notes: vec![note], next: None, held }
        }));
    }
    if live::subscribes(call) {
        let collected = live::collect(server.streams(), executor, call, &client).await;
        return Some(collected.map_err(|error| error.to_string()));
    }
    None
}

fn owner(context: &RequestContext<RoleServer>) -> Owner {
    http::owner(&context.extensions)
}

/// Writes what a read gives; items keep every digit.
fn batch(batch: &Batch) -> JsonText {
    let Batch { taken, phase } = batch;
    let mut text = format!("{{\"items\":[{}]", taken.items.join(","));
    let mut member = |name: &str, value: Value| text.push_str(&format!(",\"{name}\":{value}"));
    member("first", taken.first.into());
    if taken.dropped > 0 {
        member("dropped", taken.dropped.into());
    }
    if taken.left > 0 {
        member("left", taken.left.into());
    }
    member("state", phase.word().into());
    if let Some(reason) = phase.reason() {
        member("reason", reason.into());
    }
    text.push('}');
    JsonText::trusted(text)
}

fn shown(value: &JsonText) -> CallToolResult {
    let shown = result::json(value.as_str().to_owned());
    let mut content = vec![ContentBlock::text(shown.text)];
    content.extend(shown.remark.map(ContentBlock::text));
    let mut result = CallToolResult::success(content);
    let tree = result::tree(value, result::MOST_TREE_BYTES, &|_| true);
    result.structured_content = tree.map(result::masked_value);
    result
}
