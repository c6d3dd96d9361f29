//! What a call carries besides its arguments: who makes it, who hears about it, and how it waits for
//! a task.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{outcome::Observer, shares::Client};

/// What a call carries besides its arguments. By default the only client of the process makes it,
/// nobody hears about it, and it waits for a task as usual.
#[derive(Clone)]
pub struct CallContext<'call> {
    /// Whose call it is: what is scarce is shared among clients.
    pub client: Client,
    /// Hears how far it is; says nothing about who asks.
    pub observer: &'call dyn Observer,
    /// How long it waits for a task that it begins; its argument `wait` goes before it.
    pub budget: Budget,
    /// Whether the task goes on when the call is dropped.
    pub leave: Leave,
}

impl<'call> CallContext<'call> {
    /// The context of a call about whose progress `observer` hears.
    pub fn heard_by(observer: &'call dyn Observer) -> Self {
        Self { observer, ..Self::default() }
    }

    /// The same for a call of `client`.
    #[must_use]
    pub fn of(self, client: Client) -> Self {
        Self { client, ..self }
    }

    /// The same for a call that waits so long for its task.
    #[must_use]
    pub fn waiting(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The same for a call whose task goes on as `leave` says.
    #[must_use]
    pub fn leaving(self, leave: Leave) -> Self {
        Self { leave, ..self }
    }

    /// The same for a call about which nobody hears.
    pub(super) fn unheard(&self) -> CallContext<'static> {
        let Self { client, budget, leave, .. } = self.clone();
        CallContext { client, observer: &(), budget, leave }
    }
}

impl Default for CallContext<'_> {
    fn default() -> Self {
        Self {
            client: Client::only(),
            observer: &(),
            budget: Budget::default(),
            leave: Leave::default(),
        }
    }
}

impl fmt::Debug for CallContext<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, budget, leave, .. } = self;
        formatter
            .debug_struct("CallContext")
            .field("client", client)
            .field("budget", budget)
            .field("leave", leave)
            .finish_non_exhaustive()
    }
}

/// How long a caller waits for a task. None of them is longer than the descriptor's `max_wait`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Budget {
    /// Not at all: the task's handle is the result.
    AtOnce,
    /// `task_wait_progress` of the backend: somebody hears how far the task is.
    Heard,
    /// As long as any.
    Longest,
    /// So long.
    For(Duration),
    /// Up to this time, and no handle after it: the caller has no use for one.
    Until(Instant),
    /// `task_wait` of the backend.
    #[default]
    Usual,
}

/// Says whether a task goes on when the call that waits for it is dropped. It does not, unless the
/// call just took too long for its host, or the program ends.
#[derive(Debug, Clone, Default)]
pub struct Leave {
    asked: Arc<AtomicBool>,
    shutdown: Option<CancellationToken>,
}

impl Leave {
    /// Leaves tasks alone once `shutdown` is cancelled; who waits for one then gets its handle.
    pub fn at(shutdown: Option<CancellationToken>) -> Self {
        Self { asked: Arc::default(), shutdown }
    }

    /// Leaves the task alone.
    pub fn set(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Returns whether no call holds this any more.
    pub fn is_unused(&self) -> bool {
        Arc::strong_count(&self.asked) == 1
    }

    /// Waits until the program ends.
    pub(super) async fn program_ends(&self) {
        match &self.shutdown {
            Some(shutdown) => shutdown.cancelled().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn is_set(&self) -> bool {
        let ends = self.shutdown.as_ref().is_some_and(CancellationToken::is_cancelled);
        ends || self.asked.load(Ordering::Relaxed)
    }
}
