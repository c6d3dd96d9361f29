//! What a call gave becomes what a host shows: cut, and with what there is to say. Each result of a tool
//! of a descriptor, of a task and of an object is made here.

use rmcp::{
    ErrorData, RoleServer,
    model::{CallToolResult, ContentBlock, GetTaskResult, MetaObject, ResourceContents},
    service::RequestContext,
};
use serde_json::Map;

use super::{
    McpServer,
    budget::{self, CutNotice},
    builtin::{BuiltinTool, task_notes},
    media,
    notes::{META_NOTE, ResultNotes},
    omission::Omission,
    request_owner::client_key,
    result,
    structured_text::{CopyForm, CopySlot},
    task_protocol::{self, TaskId},
};
use crate::{
    catalog::CatalogEntry,
    executor::CallError,
    outcome::{AnswerPayload, CallOutcome, SavedFile, task_report::TaskHandle},
};

/// What programs read about a file that is shown, below `_meta` of the result.
const META_FILE: &str = "dadl-mcp/file";

impl McpServer {
    /// Makes the result of a call that went well.
    pub(super) async fn shown(
        &self,
        outcome: CallOutcome,
        entry: Option<&CatalogEntry>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.shown_without(outcome, (entry, None), context).await
    }

    /// Makes the same without what a model does not get of it.
    pub(super) async fn shown_without(
        &self,
        outcome: CallOutcome,
        (entry, omission): (Option<&CatalogEntry>, Option<&Omission<'_>>),
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let shown = self.shown_as(outcome, (entry, omission), CopyForm::of(context), context).await;
        CopySlot::keep(shown, context)
    }

    async fn shown_as(
        &self,
        outcome: CallOutcome,
        (entry, omission): (Option<&CatalogEntry>, Option<&Omission<'_>>),
        form: CopyForm,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        if let AnswerPayload::Content(content) = outcome.payload {
            let outcome = CallOutcome { payload: AnswerPayload::Empty, ..outcome };
            return Box::pin(self.shown_content(*content, outcome, (entry, form), context)).await;
        }
        self.shown_value(outcome, (entry, omission), form, context).await.0
    }

    /// Makes the result of anything but content; returns whether it was cut.
    pub(super) async fn shown_value(
        &self,
        outcome: CallOutcome,
        (entry, omission): (Option<&CatalogEntry>, Option<&Omission<'_>>),
        form: CopyForm,
        context: &RequestContext<RoleServer>,
    ) -> (CallToolResult, bool) {
        let version = context.protocol_version();
        let room = self.executor().room(&client_key(&context.extensions));
        let most = self.most_chars();
        let fit = budget::fit_outcome(outcome, (entry, omission), self.files(), most, &room);
        let (outcome, notice) = Box::pin(fit).await;
        let is_cut = notice.is_some();
        let (file, medium) = match &outcome.payload {
            AnswerPayload::File(file) if !file.is_private => {
                let declared = entry.and_then(|it| it.tool()?.response.content_type.as_deref());
                let most = self.most_media();
                let medium = media::inline_content(file, declared, most, version.as_ref(), &room);
                (Some(file.clone()), Box::pin(medium).await)
            }
            _ => (None, None),
        };
        let output = entry.and_then(|entry| entry.output.as_deref());
        let is_declared = output.is_some();
        let has_room = |bytes| room.grow(bytes).is_ok();
        let size = usize::try_from(outcome.payload.bytes()).unwrap_or(usize::MAX);
        let cut = notice.as_ref().map(|notice| self.cut_sentence(notice));
        let success = || result::success(outcome, cut.as_deref(), output, form, &has_room);
        let mut result = room.work(size, success).await;
        match (file, medium) {
            (Some(file), Some(medium)) => show_medium(medium, &file, is_declared, &mut result),
            (Some(file), None) => result.content.extend(result::file_link(&file, version.as_ref())),
            (None, _) => {}
        }
        if let Some(notice) = notice {
            notice.add_to(&mut result, version.as_ref());
        }
        (result, is_cut)
    }

    /// Says what was cut, and with which call the rest is read.
    fn cut_sentence(&self, notice: &CutNotice) -> String {
        let is_listed = self.builtins().contains(&BuiltinTool::ReadResult);
        let arguments = notice.rest_arguments().filter(|_| is_listed);
        let way = arguments.map(|it| task_notes::way(self, BuiltinTool::ReadResult, &it));
        notice.sentence(way.as_deref())
    }

    /// Makes the answer to `tasks/get` of what a look at the task gave. What the task gave in the end is
    /// shown like the result of a call.
    pub(super) async fn task_shown(
        &self,
        id: &TaskId,
        looked: Result<CallOutcome, CallError>,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let is_hidden = matches!(
            &looked,
            Ok(CallOutcome { payload: AnswerPayload::Task(report), .. }) if report.is_hidden
        );
        let ended = match looked {
            Ok(CallOutcome { payload: AnswerPayload::Task(report), .. }) if report.is_running => {
                return Ok(task_protocol::working(id, &report));
            }
            Ok(outcome) => {
                let begun_by = self.begun_by(&id.handle);
                let omission = begun_by.and_then(Omission::of_tool);
                // What becomes of it is no message of its own.
                let of_tool = (begun_by, omission.as_ref());
                Ok(self.shown_as(outcome, of_tool, CopyForm::Tree, context).await)
            }
            Err(error) => Err(error),
        };
        task_protocol::ended_task(id, ended, is_hidden)
    }

    /// Returns the tool that began a task.
    fn begun_by(&self, handle: &TaskHandle) -> Option<&CatalogEntry> {
        let catalog = self.gate().catalog();
        if let Some(entry) = catalog.find_server_tool(&handle.backend, &handle.tool) {
            return Some(entry);
        }
        let (backend, _) = catalog.task_backend(&handle.backend)?;
        catalog.find_declared(backend, &handle.tool)
    }

    /// Makes the result of a built-in tool that looked at a task, of what the task gives.
    pub(super) async fn shown_of_task(
        &self,
        outcome: CallOutcome,
        handle: &TaskHandle,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let omission = self.begun_by(handle).and_then(Omission::of_tool);
        self.shown_without(outcome, (None, omission.as_ref()), context).await
    }

    /// Makes the contents of an object that was read; `None` when it is no value. What there is to say
    /// comes first, since hosts show contents and nothing else.
    pub(super) async fn contents(
        &self,
        outcome: CallOutcome,
        entry: &CatalogEntry,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Option<Vec<ResourceContents>> {
        let room = self.executor().room(&client_key(&context.extensions));
        let most = self.most_chars();
        let fit = budget::fit_outcome(outcome, (Some(entry), None), self.files(), most, &room);
        let (outcome, notice) = Box::pin(fit).await;
        let cut = notice.as_ref().map(|notice| self.cut_sentence(notice));
        // What the answer takes is counted until the contents are made.
        let CallOutcome { payload, notes: said, next, held: _held, .. } = outcome;
        let mut notes = ResultNotes::of(cut.as_deref(), next.as_ref(), &said);
        let (text, content_type) = match payload {
            AnswerPayload::Json(text) => {
                let text = result::shown_json(text.into_string()).told(&mut notes);
                (text, "application/json".to_owned())
            }
            // A part of JSON is no JSON.
            AnswerPayload::Text { content_type, text } => {
                let is_part = notice.is_some() && content_type == "application/json";
                let content_type = if is_part { "text/plain".to_owned() } else { content_type };
                (result::shown_masked(text).told(&mut notes), content_type)
            }
            AnswerPayload::Empty => (String::new(), "text/plain".to_owned()),
            AnswerPayload::Content(_) | AnswerPayload::File(_) | AnswerPayload::Task(_) => {
                return None;
            }
        };
        let value = ResourceContents::text(text, uri).with_mime_type(content_type);
        let Some(note) = notes.joined() else { return Some(vec![value]) };
        let meta = Map::from_iter([(META_NOTE.to_owned(), note.as_str().into())]);
        let note = ResourceContents::text(note, uri).with_mime_type("text/plain");
        Some(vec![note, value.with_meta(MetaObject(meta))])
    }
}

/// Puts an image or audio into the result that says where its file is. Hosts that show the structured
/// content show nothing else, so that there is none unless the listing announces it; a link would be shown
/// as a second image.
fn show_medium(
    medium: ContentBlock,
    file: &SavedFile,
    is_declared: bool,
    result: &mut CallToolResult,
) {
    result.content.push(medium);
    if !is_declared {
        result.structured_content = None;
    }
    let meta = result.meta.get_or_insert_with(MetaObject::default);
    meta.insert(META_FILE.to_owned(), file.to_value());
}
