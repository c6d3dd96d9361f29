//! Calls whose answer stays open, and those that subscribe.

use rmcp::{RoleServer, service::RequestContext};
use serde_json::json;

use super::{
    McpServer,
    builtin::{BuiltinTool, task_notes},
    request_owner::{client_key, stream_owner},
};
use crate::{
    gate::Admitted,
    live::{self, StreamError},
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText},
};

/// Makes such a call; `None` when it is another one.
pub(super) async fn perform(
    server: &McpServer,
    call: &Admitted<'_>,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallOutcome, StreamError>> {
    let client = client_key(&context.extensions);
    let executor = server.executor();
    if live::is_open(call) {
        let owner = stream_owner(&context.extensions);
        let opened = server.streams().open(executor, call, owner, &client).await;
        return Some(opened.map(|handle| {
            let payload = AnswerPayload::Json(JsonText::from(&json!({ "stream": handle })));
            let arguments = json!({ "stream": handle });
            let [read, close] = [BuiltinTool::StreamRead, BuiltinTool::StreamClose]
                .map(|builtin| task_notes::way(server, builtin, &arguments));
            let note = match server.is_compact() {
                false => "read it with stream_read, and close it with stream_close".to_owned(),
                true => format!("to read it, {read}; to close it, {close}"),
            };
            let held = HeldMemory::default();
            CallOutcome { status: 200, payload, notes: vec![note], next: None, held }
        }));
    }
    if live::subscribes(call) {
        return Some(live::collect_once(server.streams(), executor, call, &client).await);
    }
    None
}
