//! A simulated Xen Orchestra (XO) REST server, as of xo-server 5.207.
//!
//! The way of a request: `app` finds the operation in the table (`operations`), `auth` finds
//! the user, `shape` checks query and body, and then one of these answers: `collections` (lists
//! and single objects), `create`, `edit` (changes and deletions), `actions` (through `tasks`),
//! `transfers` (exports and imports), `events`, `dashboards` and `stats`. All of them work on
//! `state`, which `seed` fills.

mod actions;
mod app;
mod auth;
mod collections;
mod create;
mod dashboards;
mod edit;
mod events;
mod failure;
mod filter;
mod hosts;
mod kind;
mod machines;
mod operations;
mod pages;
mod privileges;
mod seed;
mod shape;
mod snapshots;
mod state;
mod stats;
mod store;
mod tasks;
mod transfers;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use self::app::App;
use super::SimulatorOptions;
use super::core::{RecordedRequest, Recorder, Server};

/// A running simulated Xen Orchestra; dropping it stops it.
#[derive(Debug)]
pub struct XenOrchestra {
    server: Server,
    token: String,
    recorder: Option<Arc<Recorder>>,
}

impl XenOrchestra {
    /// Starts a server with fresh data. Needs a tokio runtime with I/O and time enabled.
    pub async fn start(options: SimulatorOptions) -> io::Result<Self> {
        let recorder = options.record.then(|| Arc::new(Recorder::default()));
        let token = options.token.clone();
        let listen = options.listen;
        let app = Arc::new(App::new(options));
        let server = Server::start(app, listen, recorder.clone()).await?;
        Ok(Self { server, token, recorder })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the base URL of the API, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/rest/v0", self.address())
    }

    /// Returns the administrator's authentication token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns the requests received since the last call; nothing unless recording is on.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        self.recorder.as_ref().map(|recorder| recorder.take()).unwrap_or_default()
    }
}
