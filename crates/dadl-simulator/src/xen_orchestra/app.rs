//! The simulated product, and a request that is being answered.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::accounts::XenUser;
use super::object::XenObject;
use super::operations::XenOperation;
use super::seed;
use super::state::XenState;
use crate::SimulatorOptions;
use crate::server::ServiceRequest;

/// The simulated product.
#[derive(Debug)]
pub(super) struct XenApp {
    /// What was asked for when it was started.
    pub(super) options: SimulatorOptions,
    /// Wakes those who wait for the end of a task, or for somebody who wants it.
    pub(super) ended: watch::Sender<()>,
    /// Ends the time of the tasks that run.
    pub(super) hurried: watch::Sender<()>,
    state: Mutex<XenState>,
    /// Whether the administrator has turned MCP off.
    pub(super) mcp_is_off: AtomicBool,
}

/// A request that passed all checks.
pub(super) struct XenCall<'a> {
    /// The operation.
    pub(super) operation: &'static XenOperation,
    /// The captures of the path.
    pub(super) captures: Vec<String>,
    /// Who asks. Operations that need no login get nobody.
    pub(super) user: XenUser,
    /// The JSON body, or an empty object.
    pub(super) body: XenObject,
    /// The request itself, for its query and for bodies that are not JSON.
    pub(super) request: &'a mut ServiceRequest,
}

impl XenCall<'_> {
    /// Returns a capture of the path, or the empty text.
    pub(super) fn capture(&self, index: usize) -> &str {
        self.captures.get(index).map_or("", String::as_str)
    }

    /// Says whether a boolean of the query is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.request.query.first(name) == Some("true")
    }
}

impl XenApp {
    /// Makes a product with fresh data.
    pub(super) fn new(options: SimulatorOptions) -> Self {
        let mut state = seed::seed(&options.token, options.moment);
        state.store.delay(options.lag);
        let mcp_is_off = AtomicBool::new(!options.mcp);
        Self {
            options,
            ended: watch::Sender::new(()),
            hurried: watch::Sender::new(()),
            state: Mutex::new(state),
            mcp_is_off,
        }
    }

    /// Locks the state. Never held across an `await`.
    pub(super) fn state(&self) -> MutexGuard<'_, XenState> {
        // A panic elsewhere is a bug that a test shows; the data are still whole objects.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
