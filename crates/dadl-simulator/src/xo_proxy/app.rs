//! The simulated product, a call of one of its methods, and what that gives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use super::XoProxyOptions;
use super::methods::{METHODS, OLD_METHODS, ProxyMethod};
use super::seed::ProxyState;

/// The simulated product.
#[derive(Debug)]
pub(super) struct ProxyApp {
    pub(super) options: XoProxyOptions,
    /// Counts the changes of tasks, for those who wait for one.
    pub(super) changed: watch::Sender<u64>,
    state: Mutex<ProxyState>,
}

/// A call that passed all checks.
pub(super) struct ProxyCall {
    /// What is called, behind the first name: `updater.getState` of `appliance.updater.getState`.
    pub(super) name: &'static str,
    /// The parameters.
    pub(super) params: Map<String, Value>,
}

/// What a method gives.
pub(super) enum MethodOutcome {
    /// So many bytes.
    Bytes(u64),
    /// Items at hand, sent as a list.
    List(Vec<Value>),
    /// Items that come over time.
    Stream(mpsc::Receiver<Value>),
    /// A value.
    Value(Value),
}

impl ProxyCall {
    /// Returns a text, or the empty one.
    pub(super) fn text(&self, name: &str) -> &str {
        self.params.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns whether a boolean is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.params.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns a member of a parameter, or null.
    pub(super) fn member(&self, name: &str, member: &str) -> &Value {
        self.params.get(name).and_then(|value| value.get(member)).unwrap_or(&Value::Null)
    }
}

impl ProxyApp {
    /// Makes a product with fresh data.
    pub(super) fn new(options: XoProxyOptions) -> Self {
        let state = Mutex::new(ProxyState::new(&options.common.token, options.common.moment));
        Self { options, changed: watch::Sender::new(0), state }
    }

    /// Locks the state. Never held across an `await`.
    pub(super) fn state(&self) -> MutexGuard<'_, ProxyState> {
        // A panic elsewhere is a bug that a test shows; the data are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the methods that this proxy has.
    pub(super) fn methods(&self) -> impl Iterator<Item = &'static ProxyMethod> {
        let old = if self.options.is_old { OLD_METHODS } else { &[] };
        METHODS.iter().chain(old)
    }
}
