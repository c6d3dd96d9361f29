//! A call of a tool of another MCP server, from its turn to its result.
//!
//! The arguments were checked, and a server gets them by its own names. What it answers is a stranger's
//! text: it came without our secrets, and is a value for whoever called, never a command.

use dadl_text::text::{cut_text, one_line};

use super::{
    CallContext, CallError, Executor, ToolFailure,
    call_bounds::NoRoom,
    inline::InlinedTexts,
    server_exchange::{ServerEnd, ServerExchange},
    server_questions::CallQuestions,
    server_result::{self, ReadResult},
};
use crate::{
    catalog::{CatalogEntry, ServerTool},
    gate::Admitted,
    mcp_client::{CallClock, RawResult, ServerError, ServerFault},
    outcome::{AnswerPayload, CallOutcome, HeldMemory},
};

/// The name of a tool is cut behind so many characters.
const LONGEST_NAME: usize = 200;

/// The status that outcomes of servers have: there is none of HTTP, and what came is a result.
const STATUS: u16 = 200;

/// What a result came to.
pub(super) enum MadeOutcome {
    /// An outcome.
    Done(Box<CallOutcome>),
    /// The tool says that it failed, in these words.
    Failed(String),
}

impl MadeOutcome {
    /// Makes the error of a tool that says that it failed.
    pub(super) fn failure(
        entry: &CatalogEntry,
        tool: &ServerTool,
        words: String,
        notes: Vec<String>,
    ) -> CallError {
        let all: Vec<String> = std::iter::once(words).chain(notes).collect();
        CallError::ToolFailed(Box::new(ToolFailure {
            backend: entry.backend_name.to_string(),
            tool: cut_text(&one_line(&tool.name), LONGEST_NAME).into_owned(),
            message: all.join("; "),
        }))
    }
}

impl Executor {
    /// Executes a call of a server's tool.
    pub(super) async fn call_server(
        &self,
        call: &Admitted<'_>,
        tool: &ServerTool,
        context: &CallContext<'_>,
    ) -> Result<CallOutcome, CallError> {
        let entry = call.entry();
        let turns = self.turns(entry, false, context).await?;
        let room = self.bounds.room(&context.client);
        let inlined = self.inlined_texts(call.arguments(), &room).await?;
        let arguments = match &inlined {
            Some(InlinedTexts { arguments, .. }) => arguments.as_wire(),
            None => call.arguments().as_wire(),
        };
        let link = self.server_link(entry.backend)?;
        let time = self.client(entry)?.settings().timeouts.call;
        let clock = CallClock::new(time);
        let offer = self.server_offer(entry.backend);
        let questions =
            CallQuestions::new((&entry.backend_name, &link), offer, context, &clock, Some(turns));
        let mut place = link.place(context.client.clone(), questions.can_ask());
        let is_repeatable = !entry.may_change() || entry.is_idempotent_by_operator();
        let (link, questions, clock) = (&link, &questions, &clock);
        let exchange = ServerExchange { link, tool, questions, clock, context, is_repeatable };
        let done = Box::pin(exchange.result(arguments, &mut place)).await;
        questions.give_turn();
        drop(inlined);
        let (end, retries) = done.map_err(|error| CallError::from(error).of_server_write(call))?;
        let mut notes = questions.notes(&place);
        if retries > 0 {
            notes.push("the server could not answer at first, and was asked again".to_owned());
        }
        let made = match end {
            ServerEnd::Failed(words) => MadeOutcome::Failed(words),
            ServerEnd::Result(result) => {
                let made = self.server_outcome(result, entry, tool, context).await;
                made.map_err(|error| error.of_server_write(call))?
            }
            // Tasks leave their turn to others, and have a time of their own.
            ServerEnd::Task(begun) => {
                let mut outcome =
                    Box::pin(self.follow_server_task(call, &begun, place, context)).await?;
                outcome.notes.extend(notes);
                return Ok(outcome);
            }
        };
        match made {
            MadeOutcome::Done(mut outcome) => {
                outcome.notes.extend(notes);
                Ok(*outcome)
            }
            MadeOutcome::Failed(words) => Err(MadeOutcome::failure(entry, tool, words, notes)),
        }
    }

    /// Makes the outcome of a result; what the tool says where it says that it failed.
    pub(super) async fn server_outcome(
        &self,
        result: RawResult,
        entry: &CatalogEntry,
        tool: &ServerTool,
        context: &CallContext<'_>,
    ) -> Result<MadeOutcome, CallError> {
        let (text, memory) = result.into_counted();
        let size = text.as_str().len();
        // While it is read there is a copy of its parts.
        let room = self.bounds.room(&context.client);
        room.grow(size as u64).map_err(|NoRoom(limit)| {
            let backend = entry.backend_name.to_string();
            CallError::from(ServerError { backend, fault: ServerFault::NoRoom(limit), down: None })
        })?;
        let read = || match server_result::read_result(text.as_str()) {
            ReadResult::Failure(words) => Err(words),
            ReadResult::Content(content) => {
                let remark = server_result::remark(tool, &content);
                Ok((content, remark))
            }
        };
        let read = room.work(size, read).await;
        drop(text);
        let (mut content, remark) = match read {
            Ok(read) => read,
            Err(words) => return Ok(MadeOutcome::Failed(words)),
        };
        let mut notes: Vec<String> = remark.into_iter().collect();
        let payload = if context.is_script || context.saves_media {
            notes.extend(self.save_media(&mut content, entry, &context.client).await);
            room.work(size, || server_result::payload_for_programs(content)).await
        } else {
            // A host gets what the server wrote.
            AnswerPayload::Content(Box::new(content))
        };
        drop(room);
        let held = HeldMemory::by(memory);
        let outcome = CallOutcome { status: STATUS, payload, notes, next: None, held };
        Ok(MadeOutcome::Done(Box::new(outcome)))
    }
}
