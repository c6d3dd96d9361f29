//! What a script gave: its value within the memory that answers share, or the words for why there is none.

use std::time::{Duration, Instant};

use super::{Executor, WaitBudget, call_bounds::NoRoom};
use crate::{
    outcome::{HeldMemory, JsonText},
    shares::ClientKey,
};

/// So long before its time is over a script learns that a task which it waits for goes on.
const TO_LEARN: Duration = Duration::from_millis(250);

/// So many of the tasks that may not be looked at are told with a failure.
const MOST_UNSEEN: usize = 3;

/// Why nobody can be shown what a script returned.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptResultError {
    /// The script: it returned too much.
    #[error("it is larger than {0} bytes")]
    Large(usize),
    /// The script: what the engine wrote is nested too deeply, or no JSON.
    #[error("{0}")]
    Json(String),
    /// Others: the answers that are being read have all there is.
    #[error("all answers that are being read have {0} bytes together (`max_memory` of `limits`)")]
    Room(u64),
}

impl Executor {
    /// Takes what a script of `client` returned. It stays text, which may have integers of any length.
    pub(super) async fn script_value(
        &self,
        text: String,
        most: usize,
        client: &ClientKey,
    ) -> Result<(JsonText, HeldMemory), ScriptResultError> {
        if text.len() > most {
            return Err(ScriptResultError::Large(most));
        }
        let room = self.room(client);
        let value = room.work(text.len(), || JsonText::parse(&text)).await;
        let value = value.map_err(|error| ScriptResultError::Json(error.to_string()))?;
        let grown = room.grow(value.as_str().len() as u64);
        grown.map_err(|NoRoom(limit)| ScriptResultError::Room(limit))?;
        Ok((value, HeldMemory::by(room)))
    }
}

/// Returns how long a call may wait for a task, of a script that ends at `end`.
pub(super) fn task_budget(end: Instant) -> WaitBudget {
    let learns = end.checked_sub(TO_LEARN);
    learns.map_or(WaitBudget::AtOnce, |at| WaitBudget::Until(at.into()))
}

/// Adds to the reason of a failure what is to say of tasks that may not be looked at.
pub(super) fn with_unseen(mut reason: String, unseen: &[String]) -> String {
    for note in unseen.iter().take(MOST_UNSEEN) {
        reason.push_str(&format!("; {note}"));
    }
    reason
}
