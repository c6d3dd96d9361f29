//! What a script that a caller brings may call.
//!
//! Its calls pass what direct calls pass, with two differences: nothing dangerous is called from a
//! script, whatever `confirm` says, because a person who agrees to a call must have seen that call; and a
//! script that only reads calls nothing that has an effect.

use dadl_descriptor::model::{AccessLevel, Composite};
use dadl_text::text;
use serde_json::{Map, Value, json};

use super::{Admitted, CallRefusal, Gate, PendingCall, with_properties};
use crate::{
    catalog::{CatalogEntry, CatalogOperation},
    config::ConfirmPolicy,
};

/// The tool that makes any call that is allowed.
pub(crate) const CHANGE_TOOL: &str = "api_change";

/// So much of a call is repeated where another tool has to make it, in characters.
const LONGEST_CALL: usize = 600;

const DANGEROUS: &str = "it is dangerous, and no script calls what a person should see first";

/// Makes the refusal that has the call to make instead.
fn not_from_script(
    entry: &CatalogEntry,
    reason: &'static str,
    arguments: &Map<String, Value>,
) -> CallRefusal {
    let tool = entry.name.clone();
    let call = json!({ "tool": &tool, "arguments": arguments }).to_string();
    let call = text::cut_text(&call, LONGEST_CALL).into();
    CallRefusal::NotFromScript { tool, reason, call }
}

/// What the script of a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptScope {
    /// It calls what has no effect.
    Reads,
    /// It calls whatever is allowed and not dangerous.
    Changes,
}

impl Gate {
    /// Admits a call of the tool `name` that the script of a caller makes. `arguments` may have the names
    /// of the wire as well as those of the schema; they may say of stored files those with the given `ids`.
    ///
    /// # Errors
    ///
    /// What a direct call would be refused for, and [`CallRefusal::NotFromScript`].
    pub(crate) fn admit_for_script(
        &self,
        scope: ScriptScope,
        name: &str,
        arguments: Map<String, Value>,
        ids: impl FnOnce() -> Vec<String>,
    ) -> Result<Admitted<'_>, CallRefusal> {
        if let Some(entry) = self.catalog().find(name) {
            self.check_decision(entry)?;
            if let Some(reason) = self.is_not_for(scope, entry) {
                return Err(not_from_script(entry, reason, &arguments));
            }
            let pending = self.check_made(name, with_properties(entry, arguments))?;
            let pending = match pending.arguments.names_files() {
                true => PendingCall { arguments: pending.arguments.of_script(ids()), ..pending },
                false => pending,
            };
            return Ok(Admitted { from_script: true, ..pending.admit()? });
        }
        self.check_made(name, arguments)?.admit()
    }

    /// Refuses what a composite that a script calls would call, where it is dangerous: its code may name
    /// any tool, delegated or not.
    pub(super) fn refuse_danger(
        &self,
        entry: &CatalogEntry,
        arguments: &Map<String, Value>,
    ) -> Result<(), CallRefusal> {
        match self.is_dangerous(entry) {
            true => Err(not_from_script(entry, DANGEROUS, arguments)),
            false => Ok(()),
        }
    }

    /// Returns why a script may not call a tool that is allowed.
    fn is_not_for(&self, scope: ScriptScope, entry: &CatalogEntry) -> Option<&'static str> {
        if self.is_dangerous(entry) {
            return Some(DANGEROUS);
        }
        (scope == ScriptScope::Reads && entry.has_effect())
            .then_some("it may leave something behind, and this script only reads")
    }

    /// Returns whether a call is dangerous, or delegates what is.
    fn is_dangerous(&self, entry: &CatalogEntry) -> bool {
        let level = |entry: &CatalogEntry| entry.access() == Some(&AccessLevel::Dangerous);
        let delegates = match entry.operation() {
            CatalogOperation::Composite(Composite { delegates, .. }) => delegates.as_slice(),
            CatalogOperation::Tool(_) | CatalogOperation::Server(_) => &[],
        };
        let mut delegated =
            delegates.iter().filter_map(|name| self.catalog().find_declared(entry.backend, name));
        level(entry) || delegated.any(level)
    }

    /// Returns whether a script may call the tool.
    pub(crate) fn is_for_script(&self, scope: ScriptScope, entry: &CatalogEntry) -> bool {
        entry.is_listed() && self.is_not_for(scope, entry).is_none()
    }

    /// Returns whether a person is asked before a script changes something at the backend of `entry`.
    pub(crate) fn asks_before_changes(&self, entry: &CatalogEntry) -> bool {
        self.confirm.get(entry.backend.0).copied().unwrap_or_default() == ConfirmPolicy::Ask
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::catalog::fixture;

    #[test]
    fn a_script_that_reads_takes_a_servers_tool_only_where_the_operator_says_so() {
        let all: Value = ["get", "list", "push", "drop"]
            .map(|name| {
                json!({ "name": name, "inputSchema": {}, "annotations": { "readOnlyHint": true } })
            })
            .into_iter()
            .collect();
        let levels = [("get", "read"), ("push", "write"), ("drop", "dangerous")];
        let catalog = fixture::server_catalog(&all, &levels, &["all"]);
        let gate = Gate::new(Arc::new(catalog), vec![ConfirmPolicy::Never]);
        let admits = |scope, tool: &str| {
            let admitted = gate.admit_for_script(scope, tool, Map::new(), Vec::new);
            let is_offered = gate.is_for_script(scope, gate.catalog().find(tool).unwrap());
            assert_eq!(admitted.is_ok(), is_offered, "{tool}");
            is_offered
        };
        let admitted = |scope| ["get", "list", "push", "drop"].map(|tool| admits(scope, tool));
        // One without a level may do anything.
        assert_eq!(admitted(ScriptScope::Reads), [true, false, false, false]);
        assert_eq!(admitted(ScriptScope::Changes), [true, true, true, false]);
    }
}
