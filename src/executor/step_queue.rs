//! What takes long with a large answer: checking it, following paths in it, masking, cutting.
//!
//! A step (one of these with one answer) runs where it holds up no other call, and only so many of them
//! run at once: a step may need as much memory again as the answer it works on, which is given back at
//! its end, and only what stays is counted among the answers that are being read.

use crate::shares::{ClientKey, FairQueue};

/// A step with less is shorter than the way to another thread, in bytes.
const SMALL: usize = 128 * 1024;

/// So many steps run at once.
const MOST: usize = 2;

/// Of steps with more, one runs at once: it may need the memory of its answer twice, in bytes.
const LARGE: usize = 16 * 1024 * 1024;

/// The steps of all calls; a clone counts with it.
#[derive(Debug, Clone)]
pub(super) struct StepQueue {
    turns: FairQueue,
    large: FairQueue,
}

impl Default for StepQueue {
    fn default() -> Self {
        // Who waits here has a turn among the calls, which are bounded.
        Self { turns: FairQueue::new(MOST, usize::MAX), large: FairQueue::new(1, usize::MAX) }
    }
}

impl StepQueue {
    /// Does `step` with an answer of `size` bytes for `client`. A call that is dropped meanwhile ends
    /// before its next step.
    pub(super) async fn step<T>(
        &self,
        client: &ClientKey,
        size: usize,
        step: impl FnOnce() -> T,
    ) -> T {
        if size <= SMALL {
            return step();
        }
        // None is refused.
        let _large = if size > LARGE { self.large.turn(client).await.ok() } else { None };
        let _turn = self.turns.turn(client).await.ok();
        use tokio::runtime::{Handle, RuntimeFlavor};
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(step),
            // There is one thread, and who waits is alone.
            _ => step(),
        }
    }
}

/// A line takes as long as so many bytes that are only read.
const LINE: usize = 256;

/// Lets others have the thread while a body is read: what is unpacked from little that has arrived
/// comes without a pause.
#[derive(Debug, Default)]
pub(super) struct YieldBudget {
    bytes: usize,
}

impl YieldBudget {
    /// Notes that a piece of a stream was read, whose lines are taken apart here.
    pub(super) async fn after_lines(&mut self, piece: &[u8]) {
        let lines = memchr::memchr2_iter(b'\n', b'\r', piece).count();
        self.after(piece.len().saturating_add(lines.saturating_mul(LINE))).await;
    }

    /// Notes that `bytes` were read, and pauses now and then.
    pub(super) async fn after(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > SMALL {
            self.bytes = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn short_lines_pause_more_often_than_what_is_only_read() {
        let pauses = |piece: &[u8]| {
            let mut rest = YieldBudget::default();
            // A pause is what is not ready at once.
            (0..100).filter(|_| rest.after_lines(piece).now_or_never().is_none()).count()
        };
        assert_eq!(pauses(&b"x".repeat(8 * 1024)), 5);
        assert_eq!(pauses(&b"[0]\n".repeat(2 * 1024)), 100);
        assert_eq!(pauses(b"[0]\n"), 0);
    }
}
