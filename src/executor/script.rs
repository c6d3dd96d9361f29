//! Scripts on threads of their own.
//!
//! A run has a thread, an engine that has run nothing, and a [`ScriptSlot`]. After it, its thread makes the engine
//! of a next one and waits for that for a while, so that a script need not wait for an engine. A step of the
//! engine's library cannot be broken off: then the caller gets its answer in time, and the thread keeps its slot
//! until the step is done. The number of slots bounds what all scripts together can take.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, SendError},
    },
    thread,
    time::Duration,
};

use dadl_descriptor::script::engine::{
    self, CallReply, FreshEngine, ScriptEvent, ScriptFailure, ScriptJob,
};
use tokio::sync::mpsc as events;

use crate::{
    gate::script::ScriptScope,
    shares::{ClientKey, FairQueue, QueueTurn},
};

/// How many scripts run at once; each may take [`engine::MEMORY`].
pub(super) const MOST_RUNS: usize = 16;

/// How many scripts of callers run at once, besides: of those that read, and of those that may change
/// something. They may call composites, and wait for people.
pub(super) const MOST_CALLER_RUNS: usize = 8;

/// So many of them are kept for clients that run none or few: a script may last for minutes.
const KEPT_RUNS: usize = 2;

/// How many scripts may wait for their turn.
const MOST_WAITING: usize = 1024;

/// What the thread of a script is called.
const NAME: &str = "composite";

/// So many threads wait with an engine for a script.
const MOST_READY: usize = 2;

/// How long each of them waits.
const READY_FOR: Duration = Duration::from_secs(30);

/// The right to run one script.
#[derive(Debug)]
pub(super) struct ScriptSlot {
    _turn: QueueTurn,
}

/// All slots of the program; those who wait take turns.
#[derive(Debug, Clone)]
pub(super) struct ScriptSlots(FairQueue);

impl Default for ScriptSlots {
    fn default() -> Self {
        Self(FairQueue::keeping(KEPT_RUNS, MOST_RUNS, MOST_WAITING))
    }
}

/// The slots of scripts that callers bring: those that wait for people are not in the way of those that
/// only read.
#[derive(Debug, Clone)]
pub(super) struct CallerSlots {
    reads: ScriptSlots,
    changes: ScriptSlots,
}

impl Default for CallerSlots {
    fn default() -> Self {
        let slots = || ScriptSlots(FairQueue::keeping(KEPT_RUNS, MOST_CALLER_RUNS, MOST_WAITING));
        Self { reads: slots(), changes: slots() }
    }
}

impl CallerSlots {
    /// Returns those of scripts that may do this.
    pub(super) fn of(&self, scope: ScriptScope) -> &ScriptSlots {
        match scope {
            ScriptScope::Reads => &self.reads,
            ScriptScope::Changes => &self.changes,
        }
    }
}

impl ScriptSlots {
    /// Waits for a slot; there is none when too many wait.
    pub(super) async fn take(&self, client: &ClientKey) -> Option<ScriptSlot> {
        self.0.turn(client).await.ok().map(|turn| ScriptSlot { _turn: turn })
    }
}

/// A run on its thread. Dropping it ends the script.
#[derive(Debug)]
pub(super) struct ScriptRun {
    events: events::UnboundedReceiver<ScriptEvent>,
    replies: mpsc::Sender<CallReply>,
    dropped: Arc<AtomicBool>,
}

impl ScriptRun {
    /// Starts a script.
    ///
    /// # Errors
    ///
    /// When the system has no thread.
    pub(super) fn start(job: ScriptJob, slot: ScriptSlot) -> std::io::Result<Self> {
        // At most `MOST_CALLS` and `MOST_LINES` events are sent, and as many replies.
        let (to_program, events) = events::unbounded_channel();
        let (replies, from_program) = mpsc::channel();
        let dropped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&dropped);
        let start = ScriptStart { job, to_program, from_program, dropped: seen, slot };
        let ready = ready_threads().pop();
        let start = match ready {
            Some(ReadyThread { give, .. }) => give.send(start).map_err(|SendError(start)| start),
            None => Err(start),
        };
        if let Err(start) = start {
            thread::Builder::new()
                .name(NAME.to_owned())
                .stack_size(engine::THREAD_STACK)
                .spawn(|| run_scripts(start))?;
        }
        Ok(Self { events, replies, dropped })
    }

    /// Waits for what the script does next; `None` when it ended without a word.
    pub(super) async fn next(&mut self) -> Option<ScriptEvent> {
        self.events.recv().await
    }

    /// Answers a call.
    pub(super) fn reply(&self, reply: CallReply) {
        // The script may have ended meanwhile.
        let _ = self.replies.send(reply);
    }
}

impl Drop for ScriptRun {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
    }
}

/// A script that is to run.
struct ScriptStart {
    job: ScriptJob,
    to_program: events::UnboundedSender<ScriptEvent>,
    from_program: mpsc::Receiver<CallReply>,
    dropped: Arc<AtomicBool>,
    slot: ScriptSlot,
}

impl ScriptStart {
    fn run(self, engine: Result<FreshEngine, ScriptFailure>) {
        let Self { job, to_program, from_program, dropped, slot } = self;
        // Nobody listens any more when the call was dropped.
        let send = move |event| drop(to_program.send(event));
        engine::run_script(engine, &job, send, &from_program, dropped);
        drop(slot);
    }
}

/// A thread that waits with an engine.
struct ReadyThread {
    id: u64,
    give: mpsc::Sender<ScriptStart>,
}

fn ready_threads() -> MutexGuard<'static, Vec<ReadyThread>> {
    static READY: Mutex<Vec<ReadyThread>> = Mutex::new(Vec::new());
    READY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a script, and those that come soon enough after it.
fn run_scripts(first: ScriptStart) {
    let mut next = Some((first, FreshEngine::new()));
    while let Some((start, engine)) = next.take() {
        start.run(engine);
        next = another_script().map(|(start, engine)| (start, Ok(engine)));
    }
}

/// Makes an engine, and waits for the script that it is for.
fn another_script() -> Option<(ScriptStart, FreshEngine)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if ready_threads().len() >= MOST_READY {
        return None;
    }
    let engine = FreshEngine::new().ok()?;
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (give, given) = mpsc::channel();
    {
        let mut ready = ready_threads();
        if ready.len() >= MOST_READY {
            return None;
        }
        ready.push(ReadyThread { id, give });
    }
    let start = match given.recv_timeout(READY_FOR) {
        Err(RecvTimeoutError::Timeout) => {
            ready_threads().retain(|thread| thread.id != id);
            // Whoever has taken it out before is about to send.
            given.recv().ok()
        }
        start => start.ok(),
    };
    start.map(|start| (start, engine))
}

#[cfg(test)]
mod tests;
