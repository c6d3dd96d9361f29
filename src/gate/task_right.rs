//! The right to look at one task, and what may be called with it.

use dadl_descriptor::model::{
    Tool,
    task::{TaskCall, TaskRules},
};

use super::{Admitted, CallRefusal, TaskRight, as_descriptor_gives};
use crate::{call, catalog::CatalogEntry, outcome::task_report::TaskHandle};

impl TaskRight {
    /// Returns the task.
    pub fn handle(&self) -> &TaskHandle {
        &self.handle
    }

    /// Returns how the tasks of the backend work; `None` for no right that was ever given.
    pub(crate) fn tasks(&self) -> Option<&TaskRules> {
        self.gate.catalog.task_tools(self.backend)?.watch.descriptor().tasks.as_ref()
    }

    /// Returns the tool that began the task, whose rules apply to its result.
    pub(crate) fn starter(&self) -> Option<&Tool> {
        let descriptor = self.gate.catalog.task_tools(self.backend)?.watch.descriptor();
        descriptor.tools.iter().find(|tool| tool.name == self.handle.tool)
    }

    /// Returns whether the task stops when it is asked to, as far as the descriptor says.
    pub(crate) fn stops(&self) -> bool {
        self.tasks().is_none_or(|tasks| tasks.stops(&self.handle.tool))
    }

    /// Returns whether the task may be cancelled, and can.
    pub(crate) fn can_cancel(&self) -> bool {
        let can_stop = self.tasks().is_some_and(|tasks| tasks.cancel.is_some());
        self.began_it && (can_stop || self.server_entry().is_some())
    }

    /// Admits the call that looks at the task.
    pub(crate) fn watch(&self) -> Result<Admitted<'_>, CallRefusal> {
        let tools = self.gate.catalog.task_tools(self.backend);
        self.admit(tools.map(|tools| &tools.watch), self.tasks().map(|tasks| &tasks.watch))
    }

    /// Admits the call that answers at the end of the task.
    pub(crate) fn wait_for_end(&self) -> Result<Admitted<'_>, CallRefusal> {
        let tools = self.gate.catalog.task_tools(self.backend);
        let call = self.tasks().and_then(|tasks| tasks.blocking.as_ref());
        self.admit(tools.map(|tools| &tools.watch), call)
    }

    /// Admits the call that tells what became of the task: the one at this place, with `values` in its
    /// arguments. Whoever began the task may know; for others the rules of its tool count.
    pub(crate) fn verdict(
        &self,
        at: usize,
        values: &[(String, String)],
    ) -> Result<Admitted<'_>, CallRefusal> {
        let entry = self.gate.catalog.task_tools(self.backend);
        let entry = entry.and_then(|tools| tools.verdicts.get(at)?.as_ref());
        let call = self.tasks().and_then(|tasks| Some(&tasks.verdicts.get(at)?.call));
        let (Some(entry), Some(call)) = (entry, call) else {
            let reason = "the descriptor has no call for this".to_owned();
            return Err(CallRefusal::NoTask { handle: self.handle.to_string(), reason });
        };
        if !self.began_it {
            self.gate.check_decision(entry)?;
        }
        let arguments =
            call::check_arguments(entry, as_descriptor_gives(entry, call.filled(values)))?;
        Ok(Admitted {
            gate: &self.gate,
            entry,
            arguments,
            consented: self.began_it,
            from_script: false,
        })
    }

    /// Admits the call that asks the task to stop.
    pub(crate) fn cancel(&self) -> Result<Admitted<'_>, CallRefusal> {
        let tools = self.gate.catalog.task_tools(self.backend);
        let call = self.tasks().and_then(|tasks| tasks.cancel.as_ref());
        let entry = tools.and_then(|tools| tools.cancel.as_ref());
        self.admit(entry.filter(|_| self.began_it), call)
    }

    fn admit<'gate>(
        &'gate self,
        entry: Option<&'gate CatalogEntry>,
        call: Option<&TaskCall>,
    ) -> Result<Admitted<'gate>, CallRefusal> {
        let (Some(entry), Some(call)) = (entry, call) else {
            let reason = "the descriptor has no call for this".to_owned();
            return Err(CallRefusal::NoTask { handle: self.handle.to_string(), reason });
        };
        let arguments = call.arguments_for(&self.handle.id, &self.handle.carried);
        let arguments = as_descriptor_gives(entry, arguments);
        let arguments = call::check_arguments(entry, arguments)?;
        Ok(Admitted {
            gate: &self.gate,
            entry,
            arguments,
            consented: self.began_it,
            from_script: false,
        })
    }
}
