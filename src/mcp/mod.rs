//! The only code that knows MCP: JSON-RPC requests become gated calls, outcomes become results.
//!
//! [`Server`] answers one peer or many; [`serve_stdio`] and [`serve_http`] give it a transport.
//! Both protocol eras are spoken: the sessions of 2024-11-05 to 2025-11-25 and the stateless
//! requests of 2026-07-28.

mod consent;
mod http;
mod instructions;
mod progress;
mod result;
mod server;
mod stdio;
mod tools;

pub use self::{
    http::{HttpOptions, HttpServer},
    instructions::{Introduction, instructions},
    server::Server,
    stdio::{serve, serve_stdio},
};

/// Why serving ended before it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The operator: the address is taken or not allowed.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said, or which rule forbids it.
        reason: String,
    },
    /// The host broke the handshake.
    #[error("the MCP handshake failed: {0}")]
    Handshake(String),
    /// A bug: a task of the server panicked.
    #[error("the server failed: {0}; please report this")]
    Internal(String),
}
