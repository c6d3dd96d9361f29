//! Through which door a call came.

/// Who calls. Some APIs let their administrators turn away what comes through MCP, and have to be
/// told what does ([`McpSwitch`](dadl_descriptor::model::switch::McpSwitch)).
///
/// A plan has the door of the call that it was made for, so that each request of the call has it:
/// pages, retries, the looks at a task, a stream that is opened again. No argument names a door.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallChannel {
    /// A model, over MCP; also whoever has not been named.
    #[default]
    Mcp,
    /// A person at a terminal.
    Terminal,
}
