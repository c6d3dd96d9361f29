//! What takes long with a large answer: checking it, following paths in it, masking, cutting.
//!
//! A step (one of these with one answer) runs where it holds up no other call, and only so many of them
//! run at once: a step may need as much memory again as the answer it works on, which is given back at
//! its end, and only what stays is counted among the answers that are being read.

use crate::shares::{Client, Queue};

/// A step with less is shorter than the way to another thread, in bytes.
const SMALL: usize = 128 * 1024;

/// So many steps run at once.
const MOST: usize = 2;

/// The steps of all calls; a clone counts with it.
#[derive(Debug, Clone)]
pub(super) struct Work {
    turns: Queue,
}

impl Default for Work {
    fn default() -> Self {
        // Who waits here has a turn among the calls, which are bounded.
        Self { turns: Queue::new(MOST, usize::MAX) }
    }
}

impl Work {
    /// Does `step` with an answer of `size` bytes for `client`. A call that is dropped meanwhile ends
    /// before its next step.
    pub(super) async fn step<T>(
        &self,
        client: &Client,
        size: usize,
        step: impl FnOnce() -> T,
    ) -> T {
        if size <= SMALL {
            return step();
        }
        // None is refused.
        let _turn = self.turns.turn(client).await.ok();
        use tokio::runtime::{Handle, RuntimeFlavor};
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(step),
            // There is one thread, and who waits is alone.
            _ => step(),
        }
    }
}
