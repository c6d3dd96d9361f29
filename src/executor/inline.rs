//! Files in the texts of arguments: what is sent has them in the place of their handles.
//!
//! It comes between the plan with the handles, which shows that the call makes a request, and the request.
//! Every handle is looked up before a byte is read, and what they become is counted before it is there.

use std::collections::HashMap;

use dadl_descriptor::model::Tool;

use super::{
    BusyError, CallError, Executor,
    call_bounds::{AnswerMemory, NoRoom},
    step::to_usize,
};
use crate::{
    call::{self, CallArguments, CallPlan, handle::FileHandle},
    files::{FileStore, InlineFile, ReferenceError},
    gate::Admitted,
    http::backend::Backend,
};

/// The files of a call may have so many bytes together.
const MOST_OF_CALL: u64 = 32 * 1024 * 1024;

/// So often a text is there while it is sent: in the arguments, in the plan and on its way.
const COPIES: u64 = 3;

/// What is sent of a call whose arguments have files in them.
#[derive(Debug)]
pub(crate) struct InlinedCall {
    pub(crate) arguments: CallArguments,
    pub(crate) plan: CallPlan,
    pub(crate) charge: MemoryCharge,
}

/// The arguments of a call with files in them.
#[derive(Debug)]
pub(super) struct InlinedTexts {
    pub(super) arguments: CallArguments,
    #[expect(dead_code, reason = "held until the call ends")]
    charge: MemoryCharge,
}

/// Memory that texts take, counted with a call until it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryCharge {
    room: AnswerMemory,
    bytes: u64,
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        // Less always fits.
        let _ = self.room.resize(self.bytes, 0);
    }
}

impl Executor {
    /// Returns what is sent instead of `asked`, the plan with the handles; `None` when there are none.
    ///
    /// # Errors
    ///
    /// A handle that is wrong, too many bytes, or what such arguments make no request for.
    pub(crate) async fn inlined(
        &self,
        call: &Admitted<'_>,
        (tool, asked): (&Tool, &CallPlan),
        backend: &Backend,
        room: &AnswerMemory,
    ) -> Result<Option<InlinedCall>, CallError> {
        let handles = call.arguments().handles();
        if handles.is_empty() {
            return Ok(None);
        }
        let (texts, charge) = Box::pin(texts(&self.files, &handles, room)).await?;
        let plan = || {
            let arguments = call.arguments().with_inlined(&texts);
            let plan =
                call::plan_call(call.entry(), tool, backend.base(), &arguments, call.door())?;
            let plan = plan.shown_as(&asked.url);
            Ok::<_, CallError>((arguments, plan))
        };
        let (arguments, plan) = room.work(to_usize(charge.bytes), plan).await?;
        Ok(Some(InlinedCall { arguments, plan, charge }))
    }

    /// Returns what is sent instead of `arguments` with handles; `None` when there are none.
    ///
    /// # Errors
    ///
    /// A handle that is wrong, or too many bytes.
    pub(super) async fn inlined_texts(
        &self,
        arguments: &CallArguments,
        room: &AnswerMemory,
    ) -> Result<Option<InlinedTexts>, CallError> {
        let handles = arguments.handles();
        if handles.is_empty() {
            return Ok(None);
        }
        let (texts, charge) = Box::pin(texts(&self.files, &handles, room)).await?;
        let with_texts = || Ok::<_, CallError>(arguments.with_inlined(&texts));
        let arguments = room.work(to_usize(charge.bytes), with_texts).await?;
        Ok(Some(InlinedTexts { arguments, charge }))
    }

    /// Checks the handles of a call that is one request.
    pub(super) async fn check_sent_handles(
        &self,
        arguments: &CallArguments,
    ) -> Result<(), CallError> {
        for text in arguments.handles() {
            look_up(&self.files, text).await?;
        }
        Ok(())
    }

    /// Checks the handles that a script gets: it would find out when it has done other things already.
    pub(super) async fn check_handles(&self, arguments: &CallArguments) -> Result<(), CallError> {
        for text in arguments.handles_of_script() {
            look_up(&self.files, text).await?;
        }
        Ok(())
    }
}

/// Returns what the handles stand for, each once.
async fn texts(
    files: &FileStore,
    handles: &[&str],
    room: &AnswerMemory,
) -> Result<(HashMap<String, String>, MemoryCharge), CallError> {
    let mut found: HashMap<&str, InlineFile> = HashMap::new();
    let (mut bytes, mut length) = (0_u64, 0_u64);
    for text in handles {
        let file = match found.get(text) {
            Some(file) => file,
            None => found.entry(text).or_insert(look_up(files, text).await?),
        };
        bytes += file.size();
        length += file.length();
        if bytes > MOST_OF_CALL {
            let reason = ReferenceError::TooLargeTogether(MOST_OF_CALL);
            return Err(files.not_inlined(text, reason).into());
        }
    }
    let taken = length.saturating_mul(COPIES);
    room.grow(taken).map_err(|NoRoom(limit)| BusyError::Memory(limit))?;
    let charge = MemoryCharge { room: room.clone(), bytes: taken };
    let mut texts = HashMap::with_capacity(found.len());
    for (text, file) in found {
        texts.insert(text.to_owned(), files.inlined(text, file).await?);
    }
    Ok((texts, charge))
}

async fn look_up(files: &FileStore, text: &str) -> Result<InlineFile, CallError> {
    // Whoever gives a text has read it as a handle.
    let handle = FileHandle::read(text).unwrap_or(FileHandle { id: text, form: "" });
    Ok(files.inline(text, handle).await?)
}

#[cfg(test)]
mod tests;
