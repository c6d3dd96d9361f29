//! Bounds of what happens at once.
//!
//! [`CallBounds`] let so many calls run; the others wait for their turns. A [`AnswerMemory`] counts the bytes of an
//! answer that is being read, within a share of what all answers may take.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    config::OperatorLimits,
    shares::{BudgetShare, ClientKey, FairQueue, QueueFull, QueueTurn, SharedBudget},
};

use super::step_queue::StepQueue;

/// One part of so many of the transfers, which last long, is kept for clients that have few.
const KEPT_TRANSFERS: usize = 8;

/// One part of so many of the calls is kept for them too: a call whose answer does not come lasts long as well.
const KEPT_CALLS: usize = 16;

/// Why a call has no turn: the bound that was hit, with its setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BusyError {
    /// Too many calls of its backend.
    #[error("{most} calls of the backend run (`max_calls`) and {waiting} wait")]
    Backend {
        /// So many may run.
        most: usize,
        /// So many wait.
        waiting: usize,
    },
    /// Too many calls.
    #[error("{most} calls run (`max_calls` of `limits`) and {waiting} wait")]
    Calls {
        /// So many may run.
        most: usize,
        /// So many wait.
        waiting: usize,
    },
    /// The time of the call was over before its turn.
    #[error("its turn did not come within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The files in its arguments do not fit beside what is being read.
    #[error(
        "its files and all answers that are being read have {0} bytes together (`max_memory` of `limits`)"
    )]
    Memory(u64),
    /// Too many transfers.
    #[error("{most} transfers run (`max_transfers`) and {waiting} calls wait")]
    Transfers {
        /// So many may run.
        most: usize,
        /// So many wait.
        waiting: usize,
    },
}

/// The bounds of an executor; a clone counts with it.
#[derive(Debug, Clone)]
pub(super) struct CallBounds {
    limits: OperatorLimits,
    calls: FairQueue,
    transfers: FairQueue,
    /// By position of the backend, each with its bound.
    of_backends: Arc<[(FairQueue, usize)]>,
    memory: SharedBudget,
    work: StepQueue,
}

/// The right to make a call; given back when it is dropped.
#[derive(Debug)]
pub(super) struct CallTurns(
    #[expect(dead_code, reason = "held until the call ends")] [Option<QueueTurn>; 2],
);

impl CallBounds {
    /// Bounds calls by `limits`, and those of each backend by its own limit.
    pub(super) fn new(limits: OperatorLimits, of_backends: impl Iterator<Item = usize>) -> Self {
        let of_backends = of_backends.map(|most| (call_queue(most, &limits), most));
        Self {
            limits,
            calls: call_queue(limits.calls, &limits),
            transfers: transfer_queue(&limits),
            of_backends: of_backends.collect(),
            memory: SharedBudget::new(limits.memory),
            work: StepQueue::default(),
        }
    }

    /// Makes the bounds of other backends after these, each with its limit and the position that it had
    /// here, if it is the same. What counts goes on counting, unless its limit is another one.
    pub(super) fn succeeded_by(
        &self,
        limits: OperatorLimits,
        of_backends: impl Iterator<Item = (usize, Option<usize>)>,
    ) -> Self {
        let before = self.limits;
        let fresh = Self::new(limits, std::iter::empty());
        let has_same_queue = before.queued == limits.queued;
        let of_backends = of_backends.map(|(most, at)| {
            let known = at.filter(|_| has_same_queue).and_then(|at| self.of_backends.get(at));
            known.cloned().unwrap_or_else(|| (call_queue(most, &limits), most))
        });
        let is_same = has_same_queue && before.calls == limits.calls;
        let transfers = has_same_queue && before.transfers == limits.transfers;
        Self {
            calls: if is_same { self.calls.clone() } else { fresh.calls },
            transfers: if transfers { self.transfers.clone() } else { fresh.transfers },
            of_backends: of_backends.collect(),
            memory: match before.memory == limits.memory {
                true => self.memory.clone(),
                false => fresh.memory,
            },
            work: self.work.clone(),
            limits,
        }
    }

    /// Returns how many bytes the answers take that are being read.
    pub(super) fn used(&self) -> u64 {
        self.memory.used()
    }

    /// Returns the memory of all answers.
    pub(super) fn memory(&self) -> &SharedBudget {
        &self.memory
    }

    /// Returns how many bytes they may take together.
    pub(super) fn most_memory(&self) -> u64 {
        self.limits.memory
    }

    /// Returns the room of a call of `client`, which takes nothing yet.
    pub(super) fn room(&self, client: &ClientKey) -> AnswerMemory {
        AnswerMemory {
            share: Arc::new(Mutex::new(self.memory.nothing(client))),
            most: self.limits.memory,
            work: self.work.clone(),
            client: client.clone(),
        }
    }

    /// Makes turns for transfers.
    pub(super) fn transfer_queue(&self) -> FairQueue {
        transfer_queue(&self.limits)
    }

    /// Waits until a call that transfers a file may be sent: it lasts long and takes little memory, so
    /// that it is counted apart.
    ///
    /// # Errors
    ///
    /// Which bound was hit.
    pub(super) async fn transfer_turns(&self, client: &ClientKey) -> Result<CallTurns, BusyError> {
        let most = self.limits.transfers;
        let turn = self.transfers.turn(client).await;
        let turn = turn.map_err(|QueueFull(waiting)| BusyError::Transfers { most, waiting })?;
        Ok(CallTurns([Some(turn), None]))
    }

    /// Waits until another call of the backend at `backend` may be sent.
    ///
    /// # Errors
    ///
    /// Which bound was hit.
    pub(super) async fn turns(
        &self,
        backend: usize,
        client: &ClientKey,
    ) -> Result<CallTurns, BusyError> {
        let own = match self.of_backends.get(backend) {
            None => None,
            Some((queue, most)) => {
                let busy = |QueueFull(waiting)| BusyError::Backend { most: *most, waiting };
                Some(queue.turn(client).await.map_err(busy)?)
            }
        };
        let busy = |QueueFull(waiting)| BusyError::Calls { most: self.limits.calls, waiting };
        let turn = self.calls.turn(client).await.map_err(busy)?;
        Ok(CallTurns([Some(turn), own]))
    }
}

/// Makes turns for calls, of which the last part is for those who have few.
fn call_queue(most: usize, limits: &OperatorLimits) -> FairQueue {
    FairQueue::keeping(most / KEPT_CALLS, most, limits.queued)
}

/// Makes turns for transfers, of which the last part is for those who have few.
fn transfer_queue(limits: &OperatorLimits) -> FairQueue {
    FairQueue::keeping(limits.transfers / KEPT_TRANSFERS, limits.transfers, limits.queued)
}

/// Where one call reads its answer: the bytes that it takes, and the turns to work on it.
///
/// The bytes are given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct AnswerMemory {
    share: Arc<Mutex<BudgetShare>>,
    most: u64,
    work: StepQueue,
    client: ClientKey,
}

/// There is no room for more: the bound, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom(pub(crate) u64);

impl AnswerMemory {
    /// Returns whose call it is.
    pub(crate) fn client(&self) -> &ClientKey {
        &self.client
    }

    /// Takes room for more bytes.
    pub(crate) fn grow(&self, bytes: u64) -> Result<(), NoRoom> {
        if self.share().grow(bytes) { Ok(()) } else { Err(NoRoom(self.most)) }
    }

    /// Takes room for `after` bytes instead of `before`, which it has taken.
    pub(crate) fn resize(&self, before: u64, after: u64) -> Result<(), NoRoom> {
        match before.checked_sub(after) {
            None => self.grow(after - before),
            Some(less) => {
                self.share().shrink(less);
                Ok(())
            }
        }
    }

    fn share(&self) -> MutexGuard<'_, BudgetShare> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on an answer of `size` bytes where that holds up nobody else.
    pub(crate) async fn work<T>(&self, size: usize, step: impl FnOnce() -> T) -> T {
        self.work.step(&self.client, size, step).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn memory_is_counted_and_given_back() {
        let bounds = CallBounds::new(
            OperatorLimits { memory: 10, ..OperatorLimits::default() },
            std::iter::empty(),
        );
        let (one, two) = (bounds.room(&ClientKey::only()), bounds.room(&ClientKey::only()));
        assert_eq!(one.grow(6), Ok(()));
        assert_eq!(two.grow(5), Err(NoRoom(10)));
        assert_eq!(two.grow(4), Ok(()));
        drop(one);
        assert_eq!(two.grow(6), Ok(()));
        assert_eq!(two.grow(u64::MAX), Err(NoRoom(10)));
        assert_eq!((two.resize(6, 1), bounds.used()), (Ok(()), 5));
        let clone = two.clone();
        assert_eq!((two.resize(1, 7), two.resize(0, 0)), (Err(NoRoom(10)), Ok(())));
        drop(two);
        assert_eq!((clone.resize(99, 0), bounds.used()), (Ok(()), 0));
    }

    #[test]
    fn one_address_does_not_take_the_memory_of_all() {
        let bounds = CallBounds::new(
            OperatorLimits { memory: 80, ..OperatorLimits::default() },
            std::iter::empty(),
        );
        let client = |host: &str| ClientKey { host: host.to_owned(), session: String::new() };
        let (greedy, other) = (bounds.room(&client("a")), bounds.room(&client("b")));
        assert_eq!(greedy.grow(70), Ok(()));
        assert_eq!(greedy.grow(1), Err(NoRoom(80)));
        assert_eq!(other.grow(10), Ok(()));
    }

    #[tokio::test]
    async fn calls_of_one_address_that_hang_leave_turns_to_others() {
        let bounds = CallBounds::new(OperatorLimits::default(), [256].into_iter());
        let client = |host: &str| ClientKey { host: host.to_owned(), session: String::new() };
        let (greedy, other) = (client("a"), client("b"));
        let mut hanging = Vec::new();
        while let Some(turns) = bounds.turns(0, &greedy).now_or_never() {
            hanging.push(turns.unwrap());
        }
        assert_eq!(hanging.len(), 240);
        assert!(bounds.turns(0, &other).now_or_never().is_some());
        // One that has the program to itself has all of them.
        let bounds = CallBounds::new(OperatorLimits::default(), [256].into_iter());
        let only = ClientKey::only();
        let all = (0..256).map_while(|_| bounds.turns(0, &only).now_or_never());
        assert_eq!(all.collect::<Vec<_>>().len(), 256);
    }
}
