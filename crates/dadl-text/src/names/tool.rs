//! What a tool can be called at every MCP host.

/// The longest tool name: hosts allow 64 characters with their own prefix counted in.
pub const TOOL_NAME_MAX: usize = 45;

/// The names of built-in tools, which no tool of a descriptor gets: whether they are listed depends
/// on what is allowed, and that renames nothing.
pub const RESERVED: [&str; 11] = [
    "api_change",
    "api_read",
    "api_script",
    "api_search",
    "read_result",
    "stream_close",
    "stream_list",
    "stream_read",
    "task_cancel",
    "task_list",
    "task_wait",
];
