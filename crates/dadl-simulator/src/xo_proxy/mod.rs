//! A simulated XO Proxy: the JSON-RPC API of the appliance that reads and writes backups where Xen
//! Orchestra cannot, as of xo-proxy 0.31.
//!
//! The way of a request: `router` checks path, method and cookie, reads the call, finds the method in
//! the table (`methods`) and has `params` check what it is given. Then one of these answers:
//! `system`, `backups` (what lies in repositories), `runs` (jobs and restores, which write a log),
//! `remotes`, `appliance` and `tasks` (what older proxies have). Errors are those of `failure`,
//! stack traces included.

mod app;
mod appliance;
mod backups;
mod failure;
mod methods;
mod params;
mod remotes;
mod router;
mod runs;
mod seed;
mod system;
mod task_table;
mod tasks;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::app::ProxyApp;
use super::SimulatorOptions;
use super::server::{RecordedRequest, RequestRecorder, Server};

/// How a simulated XO Proxy behaves.
#[derive(Debug, Clone)]
pub struct XoProxyOptions {
    /// What all simulators have. A run lasts `task_duration`, a file has `export_size` bytes.
    pub common: SimulatorOptions,
    /// Whether it has the methods that today's proxies lack: `task.*` and `event.*`.
    pub is_old: bool,
    /// How often a space is sent while a list waits for its next item.
    pub keep_alive: Duration,
}

impl From<SimulatorOptions> for XoProxyOptions {
    fn from(common: SimulatorOptions) -> Self {
        Self { common, is_old: false, keep_alive: Duration::from_secs(10) }
    }
}

/// A running simulated XO Proxy; dropping it stops it.
#[derive(Debug)]
pub struct XoProxy {
    server: Server,
    app: Arc<ProxyApp>,
    token: String,
    recorder: Option<Arc<RequestRecorder>>,
}

impl XoProxy {
    /// A backup repository with backups of VMs, pools and XO.
    pub const REPOSITORY: &str = seed::REPOSITORY;

    /// Starts a server with fresh data. Needs a tokio runtime with I/O and time enabled.
    pub async fn start(options: impl Into<XoProxyOptions>) -> io::Result<Self> {
        let options = options.into();
        let recorder = options.common.record.then(|| Arc::new(RequestRecorder::default()));
        let token = options.common.token.clone();
        let listen = options.common.listen;
        let app = Arc::new(ProxyApp::new(options));
        let server = Server::start(Arc::clone(&app), listen, recorder.clone()).await?;
        Ok(Self { server, app, token, recorder })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the base URL, without the path of the API, which the descriptor has.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns the authentication token that it was started with.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Has the next answer replace the token of its client (`Set-Cookie`); the old one is refused
    /// from then on.
    pub fn renew_token(&self, token: &str) {
        self.app.state().next_token = Some(token.to_owned());
    }

    /// Returns the requests received since the last call; nothing unless recording is on.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        self.recorder.as_ref().map(|recorder| recorder.take()).unwrap_or_default()
    }
}
