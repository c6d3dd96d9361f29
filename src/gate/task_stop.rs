//! The right to go on with a task of another MCP server, and what stops a task.
//!
//! Such a task is looked at and stopped by requests of the protocol, which have no level of their own: what
//! counts is whether the tool that began it may be called.

use sha2::{Digest as _, Sha256};

use super::{Admitted, CallDigest, CallRefusal, Gate, PendingCall, TaskRight};
use crate::{
    catalog::CatalogEntry,
    outcome::{server_task_id::ServerTaskId, task_report::TaskHandle},
};

/// What asks a task to stop.
#[derive(Debug)]
pub enum TaskStop<'gate> {
    /// A call of the API that has the task.
    Call(PendingCall<'gate>),
    /// A request to the MCP server that has it.
    Request(TaskRight),
}

impl Gate {
    /// Checks that the task with this handle may be asked to stop. A task of another MCP server may be where
    /// the tool that began it may be called: nobody is asked for a consent.
    ///
    /// # Errors
    ///
    /// Those of [`check_task`](Self::check_task) and [`check_cancel`](Self::check_cancel).
    pub fn check_stop(&self, handle: &TaskHandle) -> Result<TaskStop<'_>, CallRefusal> {
        match self.check_server_task(handle) {
            Some(right) => Ok(TaskStop::Request(right?)),
            None => Ok(TaskStop::Call(self.check_cancel(handle)?)),
        }
    }

    /// Checks that a task of another MCP server may be looked at; `None` for one of something else.
    pub(super) fn check_server_task(
        &self,
        handle: &TaskHandle,
    ) -> Option<Result<TaskRight, CallRefusal>> {
        let no_task = |reason: String| CallRefusal::NoTask { handle: handle.to_string(), reason };
        let Some(entry) = self.catalog.find_server_tool(&handle.backend, &handle.tool) else {
            let is_of = |entry: &CatalogEntry| {
                *entry.backend_name == *handle.backend && entry.server_tool().is_some()
            };
            let is_server = self.catalog.entries().iter().any(is_of);
            return is_server.then(|| {
                let TaskHandle { backend, tool, .. } = handle;
                Err(no_task(format!("backend \"{backend}\" has no tool \"{tool}\"")))
            });
        };
        if let Some(name) = handle.carried.names().next() {
            let tool = &handle.tool;
            return Some(Err(no_task(format!("handles of \"{tool}\" carry no \"{name}\""))));
        }
        let right = TaskRight {
            gate: self.clone(),
            backend: entry.backend,
            handle: handle.clone(),
            began_it: false,
        };
        Some(self.check_decision(entry).map(|()| right))
    }
}

impl TaskRight {
    /// Returns the tool of the MCP server that has the task; `None` for a task of an API.
    pub(crate) fn server_entry(&self) -> Option<&CatalogEntry> {
        let TaskHandle { backend, tool, .. } = &self.handle;
        self.gate.catalog.find_server_tool(backend, tool)
    }

    /// Returns what identifies the waiting for this task, for an answer that a later request brings.
    pub(crate) fn digest(&self) -> CallDigest {
        let mut hasher = Sha256::new();
        hasher.update(b"task\0");
        hasher.update(self.handle.to_string().as_bytes());
        CallDigest(hasher.finalize().into())
    }
}

impl Admitted<'_> {
    /// Returns the right to go on with the task that this call of a tool of another MCP server began; `None`
    /// where no handle can have its name.
    pub(crate) fn server_task(&self, id: &str) -> Option<TaskRight> {
        let tool = self.entry.server_tool()?;
        let id = ServerTaskId::of(id).into_inner();
        let backend = self.entry.backend_name.to_string();
        // Names of servers may have characters that handles do not.
        let handle = [&tool.name, &self.entry.name].into_iter().find_map(|tool| {
            let (backend, id) = (&backend, &id);
            format!("{backend}:{tool}:{id}").parse::<TaskHandle>().ok()
        })?;
        let is_own = handle.backend == backend && handle.id == id && handle.carried.is_empty();
        let (gate, backend) = (self.gate.clone(), self.entry.backend);
        is_own.then_some(TaskRight { gate, backend, handle, began_it: true })
    }
}
