//! What the tool of another MCP server says when it fails.

/// The tool of a server says that it failed. The caller or the remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tool \"{tool}\" of the MCP server of backend \"{backend}\" failed: {message}")]
pub struct ToolFailure {
    /// The name of the backend.
    pub backend: String,
    /// The name that the server knows.
    pub tool: String,
    /// In the words of the server, bounded.
    pub message: String,
}
