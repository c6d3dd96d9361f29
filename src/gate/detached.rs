//! A call that was admitted and outlives the request that it came with.

use super::{Admitted, Gate};
use crate::call::CallArguments;

/// An admitted call apart from the gate that admitted it. It is made of an [`Admitted`] alone, and becomes
/// the same one again.
#[derive(Debug, Clone)]
pub(crate) struct DetachedCall {
    gate: Gate,
    name: String,
    arguments: CallArguments,
    consented: bool,
    from_script: bool,
}

impl Admitted<'_> {
    /// Returns the same call for what outlives this one.
    pub(crate) fn detached(&self) -> DetachedCall {
        DetachedCall {
            gate: self.gate.clone(),
            name: self.entry.name.clone(),
            arguments: self.arguments.clone(),
            consented: self.consented,
            from_script: self.from_script,
        }
    }
}

impl DetachedCall {
    /// Returns the call; its catalog has not changed, as its gate is the same.
    pub(crate) fn call(&self) -> Option<Admitted<'_>> {
        Some(Admitted {
            gate: &self.gate,
            entry: self.gate.catalog.find(&self.name)?,
            arguments: self.arguments.clone(),
            consented: self.consented,
            from_script: self.from_script,
        })
    }
}
