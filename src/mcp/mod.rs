//! The MCP front end: the only code that knows the Model Context Protocol.
//!
//! It takes a [`Gate`](crate::gate::Gate) and an [`Executor`](crate::executor::Executor) and
//! serves them to hosts on standard input and output or over streamable HTTP, in all revisions of
//! the protocol from 2024-11-05 to 2026-07-28. What a model may do is decided by the gate; what it
//! adds is asking the person, saying how far a call is, and dropping a call that nobody waits for.
//!
//! **Invariant:** a call runs as long as somebody waits for its answer. Cancellation, a client
//! that went away and a shutdown drop its future, which aborts the request. A task that the call
//! began goes on: its handle was in every note about its progress, and is in `task_list`.

mod accept;
mod admission_lane;
mod asking_calls;
mod asleep;
mod batch;
mod budget;
mod builtin;
mod call_message;
mod call_sessions;
mod completions;
mod connection_bounds;
mod connection_slots;
mod connection_threads;
mod connections;
mod consent;
mod file_resources;
mod files;
mod handler;
mod host_questions;
mod http;
mod instructions;
mod json_rpc;
mod kept_timer;
mod known_values;
mod lines;
mod listed_resources;
mod listed_tools;
mod live_server;
mod masked_events;
mod media;
mod message_limits;
mod notes;
mod object_calls;
mod object_resources;
mod omission;
mod param_shapes;
mod performing;
mod plain_answers;
mod progress;
mod prompts;
mod refusals;
mod request_owner;
mod result;
mod script_sessions;
mod server;
mod server_content;
mod server_prompts;
mod server_resources;
mod sessions;
mod shown_tools;
mod shutdown;
mod silence;
mod slow_peers;
mod stdio;
mod stream_opening;
mod structured_text;
mod task_protocol;
mod task_requests;
mod tool_result;
mod tools;
mod tracked;

pub use self::{
    connection_bounds::ConnectionBounds,
    connections::{serve_http, serve_listener},
    http::HttpOptions,
    live_server::LiveServer,
    server::McpServer,
    shown_tools::{ListedTool, ShownTools},
    stdio::serve_streams,
};
pub(crate) use self::{
    connection_threads::ConnectionThreads,
    connections::serve_paths,
    http::ServedPaths,
    instructions::{BackendSummary, FileMention, SearchMention, instructions},
    stdio::serve_stdio,
};

/// Why serving ended otherwise than asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The operator or the system: the address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The client: no session was agreed on.
    #[error("the MCP handshake failed: {0}")]
    Handshake(String),
    /// The operator: anybody on the network could call the tools.
    #[error(
        "{0} can be reached from other machines: give a bearer token with --http-token-file, \
         DADL_MCP_HTTP_TOKEN_FILE or DADL_MCP_HTTP_TOKEN, or listen on 127.0.0.1"
    )]
    TokenRequired(std::net::SocketAddr),
    /// Bug: please report.
    #[error("the server stopped: {0}")]
    Internal(String),
}
