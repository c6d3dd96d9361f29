//! Calls whose answer stays open, and those that subscribe.

use rmcp::{RoleServer, service::RequestContext};
use serde_json::json;

use super::{Server, http};
use crate::{
    gate::Admitted,
    live::{self, StreamError},
    outcome::{Held, JsonText, Outcome, Payload},
};

/// Makes such a call; `None` when it is another one.
pub(super) async fn perform(
    server: &Server,
    call: &Admitted<'_>,
    context: &RequestContext<RoleServer>,
) -> Option<Result<Outcome, StreamError>> {
    let client = http::client(&context.extensions);
    let executor = server.executor();
    if live::is_open(call) {
        let owner = http::owner(&context.extensions);
        let opened = server.streams().open(executor, call, owner, &client).await;
        return Some(opened.map(|handle| {
            let payload = Payload::Json(JsonText::from(&json!({ "stream": handle })));
            let note = "read it with stream_read, and close it with stream_close".to_owned();
            let held = Held::default();
            Outcome { status: 200, payload, notes: vec![note], next: None, held }
        }));
    }
    if live::subscribes(call) {
        return Some(live::collect(server.streams(), executor, call, &client).await);
    }
    None
}
