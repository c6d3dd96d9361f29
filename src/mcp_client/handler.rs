//! What a server may ask of us: pings, and for now nothing else.

use rmcp::{
    ClientHandler,
    model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion},
};

/// Answers a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnsweringClient;

impl ClientHandler for AnsweringClient {
    fn get_info(&self) -> ClientConfig {
        let name = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let mut config = ClientConfig::new(ClientCapabilities::default(), name);
        config.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        config
    }
}
