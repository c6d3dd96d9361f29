//! What a call gave becomes a result as a host shows it: cut, and with what there is to say.

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResult, GetTaskResult},
    service::RequestContext,
};

use super::{
    Server, budget, http, result,
    tasks::{self, TaskId},
};
use crate::{
    catalog::Entry,
    executor::CallError,
    outcome::{Outcome, Payload},
};

impl Server {
    /// Makes the result of a call that went well, cut to what a host shows.
    pub(super) async fn shown(
        &self,
        outcome: Outcome,
        entry: Option<&Entry>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let version = context.protocol_version();
        let room = self.executor().room(&http::client(&context.extensions));
        let fit = budget::fit(outcome, entry, self.files(), self.most_chars(), &room);
        let (outcome, notice) = Box::pin(fit).await;
        let link = match &outcome.payload {
            Payload::File(file) => result::link(file, version.as_ref()),
            _ => None,
        };
        let output = entry.and_then(|entry| entry.output.as_deref());
        let has_room = |bytes| room.grow(bytes).is_ok();
        let size = usize::try_from(outcome.payload.bytes()).unwrap_or(usize::MAX);
        let success = || result::success(outcome, output, &has_room);
        let mut result = room.work(size, success).await;
        result.content.extend(link);
        if let Some(notice) = notice {
            notice.add_to(&mut result, version.as_ref());
        }
        result
    }

    /// Makes the answer to `tasks/get` of what a look at the task gave.
    pub(super) fn task_shown(
        &self,
        id: &TaskId,
        looked: Result<Outcome, CallError>,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let catalog = self.gate().catalog();
        let backend = catalog.task_backend(&id.handle.backend);
        let begun_by =
            backend.and_then(|(backend, _)| catalog.find_declared(backend, &id.handle.tool));
        let output = begun_by.and_then(|entry| entry.output.as_deref());
        let room = self.executor().room(&http::client(&context.extensions));
        tasks::shown(id, looked, output, &|bytes| room.grow(bytes).is_ok())
    }
}
