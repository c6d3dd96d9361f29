//! The tools that read, list and close the streams that are open.
//!
//! A stream is that of the session which opened it; where there are no sessions, who knows its handle
//! may read it.

use std::time::Duration;

use rmcp::{RoleServer, model::CallToolResponse, service::RequestContext};
use serde_json::{Map, Value, json};

use super::{
    arguments::{self, ArgumentsError, GivenArguments},
    listing::{STREAM_CLOSE, STREAM_LIST, STREAM_READ},
};
use crate::{
    live::{self, ItemBatch, LONGEST_WAIT, NoSuchStream, StreamOwner, StreamPhase},
    mcp::{McpServer, notes::ResultNotes, request_owner, result},
    outcome::JsonText,
};

/// How many items a read takes unless the caller says otherwise.
const ITEMS: usize = 1000;

/// So many characters go around the items.
const AROUND: usize = 400;

/// Why a tool has nothing to show.
#[derive(Debug, thiserror::Error)]
enum StreamToolError {
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
    #[error(transparent)]
    NoSuchStream(#[from] NoSuchStream),
}

/// Takes what a stream has brought.
pub(super) async fn read_stream(
    server: &McpServer,
    arguments: Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    tool_response(take_items(server, arguments, &stream_owner(context)).await)
}

async fn take_items(
    server: &McpServer,
    arguments: Map<String, Value>,
    owner: &StreamOwner,
) -> Result<(JsonText, ResultNotes), StreamToolError> {
    let ReadArguments { stream, wait, items } = ReadArguments::read(arguments)?;
    let room = server.most_chars().saturating_sub(AROUND);
    let taken = server.streams().read(&stream, owner, wait, items, room).await?;
    Ok((batch(&taken), batch_notes(&taken)))
}

/// Lists the streams of a session.
pub(super) fn list_streams(
    server: &McpServer,
    arguments: Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    let checked = GivenArguments::new(STREAM_LIST.name, arguments).finish(Some(()));
    let listed =
        checked.map(|()| json!({ "streams": server.streams().list(&stream_owner(context)) }));
    tool_response(listed.map(|value| plain_value(&value)).map_err(Into::into))
}

/// Closes a stream.
pub(super) fn close_stream(
    server: &McpServer,
    arguments: Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    let closed = || -> Result<(JsonText, ResultNotes), StreamToolError> {
        let mut given = GivenArguments::new(STREAM_CLOSE.name, arguments);
        let stream = handle_argument(&mut given);
        let stream = given.finish(stream)?;
        let unread = server.streams().close(&stream, &stream_owner(context))?;
        Ok(plain_value(&json!({ "closed": stream, "unread": unread })))
    };
    tool_response(closed())
}

/// The arguments of a read.
#[derive(Debug, PartialEq)]
struct ReadArguments {
    stream: String,
    wait: Duration,
    items: usize,
}

impl ReadArguments {
    fn read(arguments: Map<String, Value>) -> Result<Self, ArgumentsError> {
        let mut given = GivenArguments::new(STREAM_READ.name, arguments);
        let stream = handle_argument(&mut given);
        let wait = given.optional("wait", "seconds, 0 or more", |wait| {
            let seconds = arguments::as_number(&wait).filter(|seconds| *seconds >= 0.0)?;
            Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
        });
        let items = given.optional("max_items", "an integer of at least 1", |items| {
            arguments::as_count(&items).filter(|count| *count >= 1)
        });
        let (wait, items) = (wait.unwrap_or_default(), items.unwrap_or(ITEMS));
        given.finish(stream.map(|stream| Self { stream, wait, items }))
    }
}

/// Takes the handle of a stream.
fn handle_argument(given: &mut GivenArguments) -> Option<String> {
    given.required("stream", "string", "a handle", |stream| match stream {
        Value::String(handle) if !handle.is_empty() => Some(handle),
        _ => None,
    })
}

fn stream_owner(context: &RequestContext<RoleServer>) -> StreamOwner {
    request_owner::stream_owner(&context.extensions)
}

/// Writes what a read gives; items keep every digit.
fn batch(batch: &ItemBatch) -> JsonText {
    let ItemBatch { taken, phase, .. } = batch;
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

/// Says what a read leaves out: what waits, what is lost, and why nothing more comes.
fn batch_notes(batch: &ItemBatch) -> ResultNotes {
    let ItemBatch { taken, phase, failures } = batch;
    let mut notes = ResultNotes::default();
    if let Some(failures) = failures {
        notes.push(&live::failed_subscriptions(failures));
    }
    if taken.dropped > 0 {
        notes.push(&format!("{} items came too fast and were dropped", taken.dropped));
    }
    if taken.left > 0 {
        notes.push(&format!("{} more items wait for the next read", taken.left));
    }
    match phase {
        StreamPhase::Open => {}
        StreamPhase::Reconnecting { reason } => {
            notes.push(&format!("the stream broke off and is being opened again: {reason}"));
        }
        StreamPhase::Ended { reason } => notes.push(&format!("the stream ended: {reason}")),
    }
    notes
}

fn tool_response(shown: Result<(JsonText, ResultNotes), StreamToolError>) -> CallToolResponse {
    match shown {
        Ok((value, notes)) => result::own_result(&value, notes).into(),
        Err(error) => result::failure_result(error.to_string()).into(),
    }
}

/// What has nothing to say besides its value.
fn plain_value(value: &Value) -> (JsonText, ResultNotes) {
    (JsonText::from(value), ResultNotes::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_refused() {
        let read = |given: Value| {
            let Value::Object(given) = given else { panic!("not an object") };
            ReadArguments::read(given)
        };
        let wanted = read(json!({ "stream": "s", "wait": "1.5", "max_items": "7" })).unwrap();
        let expected =
            ReadArguments { stream: "s".to_owned(), wait: Duration::from_millis(1500), items: 7 };
        assert_eq!(wanted, expected);
        let wanted = read(json!({ "stream": "s", "wait": 1e300, "max_items": null })).unwrap();
        assert_eq!((wanted.wait, wanted.items), (LONGEST_WAIT, ITEMS));
        let error = |given| read(given).unwrap_err().to_string();
        assert_eq!(
            error(json!({ "wait": -1, "max_items": 0.5, "x": 1 })),
            "the arguments of `stream_read` cannot be used: `stream` (string) is required; `wait` \
             must be seconds, 0 or more; `max_items` must be an integer of at least 1; there is no \
             parameter `x`"
        );
        assert!(error(json!({ "stream": 1 })).contains("`stream` must be a handle"));
    }
}
