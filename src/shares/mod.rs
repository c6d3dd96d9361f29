//! What is scarce, and who gets it.
//!
//! Everything that one client could take from another is given out here: turns that come back soon
//! by a `FairQueue`, where who waits gets the next one by turns, and places and bytes that are held
//! for long by `SharedBudget`, whose last part is kept for those who have little. A lone client of a
//! process is bounded by nothing but the whole.

mod fair_queue;
mod shared_budget;

pub(crate) use self::{
    fair_queue::{FairQueue, QueueFull, QueueTurn},
    shared_budget::{BudgetShare, SharedBudget, leaves_room},
};

/// Who wants something.
///
/// Clients of one address are one host, however many sessions or connections they make, and the
/// sessions of a host share what it gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientKey {
    /// Where the client is; empty for the only one of a process.
    pub host: String,
    /// Its session; empty for clients without one.
    pub session: String,
}

impl ClientKey {
    /// The only client of a process.
    pub const fn only() -> Self {
        Self { host: String::new(), session: String::new() }
    }

    /// Returns whether there is no other.
    pub fn is_only(&self) -> bool {
        self.host.is_empty()
    }
}
