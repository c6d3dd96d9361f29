//! What the scripts of callers have changed.
//!
//! A script that fails, or that nobody waits for any more, may have changed something. Each change is
//! noted before it is sent, and its end after that; every end of a script tells them, and `task_list` has
//! those of scripts that ended without an answer.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use dadl_text::text;
use serde_json::{Value, json};

use crate::{outcome::timestamp, shares::ClientKey};

/// So many scripts with changes are known; the oldest make room.
const MOST: usize = 64;

/// So many of one address.
const MOST_OF_CLIENT: usize = 16;

/// So many changes of a script are told one by one.
const MOST_TOLD: usize = 20;

/// More changes than this are told by numbers where all went well.
const FEW: usize = 3;

/// So much is kept of the arguments of a change, and of its failure, in characters.
const LONGEST: usize = 120;

/// The changes of all scripts; a clone holds the same.
#[derive(Debug, Clone, Default)]
pub(super) struct ChangeLedgers(Arc<Mutex<VecDeque<Arc<ChangeLedger>>>>);

/// The changes of a script.
#[derive(Debug)]
pub(super) struct ChangeLedger {
    client: ClientKey,
    began: SystemTime,
    state: Mutex<LedgerState>,
}

#[derive(Debug, Default)]
struct LedgerState {
    changes: Vec<ScriptChange>,
    /// `None` while the script runs.
    end: Option<ScriptEnd>,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptEnd {
    /// With a result.
    Done,
    /// With an error.
    Failed,
    /// Nobody waited for it any more.
    Cancelled,
}

#[derive(Debug)]
struct ScriptChange {
    tool: String,
    arguments: String,
    end: ChangeEnd,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChangeEnd {
    /// It was sent, and nobody knows yet.
    Sent,
    /// The API said yes.
    Done,
    /// The API said yes, and its task goes on.
    Begun(String),
    /// It may have been done: there is no answer that says so.
    Unsure,
    /// The API said no, or nothing was sent.
    Failed(String),
}

impl ChangeLedgers {
    /// Opens the ledger of a script of `client`, which is kept with its first change.
    pub(super) fn open(&self, client: &ClientKey) -> LedgerGuard {
        let (began, state) = (SystemTime::now(), Mutex::default());
        let ledger = ChangeLedger { client: client.clone(), began, state };
        LedgerGuard { ledgers: self.clone(), ledger: Arc::new(ledger) }
    }

    /// Returns the scripts of `client` that changed something, the newest first: `{"script", "began",
    /// "changes": [{"tool", "arguments", "end"}]}`.
    pub(super) fn scripts_of(&self, client: &ClientKey) -> Vec<Value> {
        let known = self.lock();
        known.iter().rev().filter(|it| it.client == *client).map(|it| it.value()).collect()
    }

    fn keep(&self, ledger: &Arc<ChangeLedger>) {
        let mut known = self.lock();
        // However many sessions an address opens.
        let is_own = |it: &Arc<ChangeLedger>| it.client.host == ledger.client.host;
        if known.iter().filter(|it| is_own(it)).count() >= MOST_OF_CLIENT {
            let oldest = known.iter().position(is_own);
            oldest.and_then(|at| known.remove(at));
        }
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back(Arc::clone(ledger));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<ChangeLedger>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ledger of a script that runs. Dropping it before its end notes that nobody waited.
#[derive(Debug)]
pub(super) struct LedgerGuard {
    ledgers: ChangeLedgers,
    ledger: Arc<ChangeLedger>,
}

impl LedgerGuard {
    /// Notes a change before it is sent, and returns its place.
    pub(super) fn begin(&self, tool: &str, arguments: &str) -> usize {
        let arguments = text::cut_text(arguments, LONGEST).into();
        let change = ScriptChange { tool: tool.to_owned(), arguments, end: ChangeEnd::Sent };
        let mut state = self.ledger.lock();
        state.changes.push(change);
        let at = state.changes.len() - 1;
        drop(state);
        if at == 0 {
            self.ledgers.keep(&self.ledger);
        }
        at
    }

    /// Notes what became of the change at this place.
    pub(super) fn end(&self, at: usize, end: ChangeEnd) {
        if let Some(change) = self.ledger.lock().changes.get_mut(at) {
            change.end = match end {
                ChangeEnd::Failed(why) => ChangeEnd::Failed(text::cut_text(&why, LONGEST).into()),
                other => other,
            };
        }
    }

    /// Returns how many changes there are.
    pub(super) fn count(&self) -> usize {
        self.ledger.lock().changes.len()
    }

    /// Notes how the script ended, and returns a sentence about what it changed, if it did.
    pub(super) fn close(&self, end: ScriptEnd) -> Option<String> {
        let mut state = self.ledger.lock();
        state.end = Some(end);
        state.sentence()
    }
}

impl Drop for LedgerGuard {
    fn drop(&mut self) {
        self.ledger.lock().end.get_or_insert(ScriptEnd::Cancelled);
    }
}

impl ChangeLedger {
    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(&self) -> Value {
        let state = self.lock();
        let script = match state.end {
            None => "running",
            Some(ScriptEnd::Done) => "done",
            Some(ScriptEnd::Failed) => "failed",
            Some(ScriptEnd::Cancelled) => "cancelled",
        };
        let changes: Vec<Value> = state
            .changes
            .iter()
            .map(|it| json!({ "tool": it.tool, "arguments": it.arguments, "end": it.end.words() }))
            .collect();
        json!({ "script": script, "began": timestamp::rfc3339(self.began), "changes": changes })
    }
}

impl LedgerState {
    /// Says what was changed: one by one, then by numbers.
    fn sentence(&self) -> Option<String> {
        if self.changes.is_empty() {
            return None;
        }
        let plural = if self.changes.len() == 1 { "1 change" } else { "changes" };
        let mut text = match self.changes.len() {
            1 => plural.to_owned(),
            many => format!("{many} {plural}"),
        };
        text.push_str(" by this script: ");
        if self.end == Some(ScriptEnd::Done)
            && self.changes.len() > FEW
            && let Some(all) = self.all_done()
        {
            text.push_str(&all);
            return Some(text);
        }
        for (at, change) in self.changes.iter().take(MOST_TOLD).enumerate() {
            let ScriptChange { tool, arguments, end } = change;
            let separator = if at > 0 { "; " } else { "" };
            // Writing to a text does not fail.
            let _ = write!(text, "{separator}{tool} {arguments} {}", end.words());
        }
        if let Some(more) = self.changes.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            let rest = self.changes.iter().skip(MOST_TOLD);
            let done = rest.filter(|it| it.end == ChangeEnd::Done).count();
            let _ = write!(text, "; and {more} more, {done} of them done");
        }
        Some(text)
    }
}

impl LedgerState {
    /// Says how often each tool was called, when each call was done: who wrote the script knows the rest.
    fn all_done(&self) -> Option<String> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for ScriptChange { tool, end, .. } in &self.changes {
            if *end != ChangeEnd::Done {
                return None;
            }
            match counts.iter_mut().find(|(known, _)| known == tool) {
                Some((_, count)) => *count += 1,
                None => counts.push((tool, 1)),
            }
        }
        let of: Vec<String> =
            counts.iter().map(|(tool, count)| format!("{tool} {count} times")).collect();
        Some(format!("{} (all done)", of.join(", ")))
    }
}

impl ChangeEnd {
    fn words(&self) -> String {
        match self {
            Self::Sent => "(sent; its end is not known)".to_owned(),
            Self::Done => "(done)".to_owned(),
            Self::Begun(handle) => format!("(begun; its task {handle} goes on)"),
            Self::Unsure => "(may have been done: look before it is done again)".to_owned(),
            Self::Failed(why) => format!("(failed: {why})"),
        }
    }
}
