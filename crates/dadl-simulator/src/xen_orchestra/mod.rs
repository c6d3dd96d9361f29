//! A simulated Xen Orchestra (XO) REST server, as of xo-server 5.207.
//!
//! The way of a request: `router` finds the operation in the table (`operations`), `auth` finds
//! the user, `shape` checks query and body, and then one of these answers: `collections` (lists
//! and single objects), `create`, `edit` (changes and deletions), `actions` (through `tasks`),
//! `transfers` (exports and imports), `events`, `dashboards` and `stats`. All of them work on
//! `state`, which `seed` fills.

mod accounts;
mod action_call;
mod actions;
mod app;
mod auth;
mod collections;
mod create;
mod dashboards;
mod deploy;
mod disks;
mod edit;
mod events;
mod failure;
mod filter;
mod hosts;
mod kind;
mod machines;
mod object;
mod operations;
mod pages;
mod plugins;
mod privileges;
mod router;
mod seed;
mod shape;
mod snapshots;
mod state;
mod stats;
mod store;
mod tasks;
mod transfers;
mod unseen;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::app::XenApp;
use super::SimulatorOptions;
use super::server::{RecordedRequest, RunningService};

/// A running simulated Xen Orchestra; dropping it stops it.
#[derive(Debug)]
pub struct XenOrchestra {
    running: RunningService<XenApp>,
    token: String,
}

impl XenOrchestra {
    /// Starts a server with fresh data. Needs a tokio runtime with I/O and time enabled.
    pub async fn start(options: SimulatorOptions) -> io::Result<Self> {
        let token = options.token.clone();
        let (listen, record) = (options.listen, options.record);
        let changes_per_second = options.changes_per_second;
        let running = RunningService::start(XenApp::new(options), listen, record).await?;
        if let Some(per_second) = changes_per_second {
            let app = Arc::downgrade(running.service());
            tokio::spawn(events::change(app, per_second, u64::MAX));
        }
        Ok(Self { running, token })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Returns the base URL of the API, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/rest/v0", self.address())
    }

    /// Returns the administrator's authentication token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Changes the description of one VM `count` times, which event streams hear of; returns the
    /// identifier of the VM. The descriptions are `change 0`, `change 1` and so on.
    pub fn make_changes(&self, count: u64, per_second: NonZeroU32) -> String {
        let app = self.running.service();
        tokio::spawn(events::change(Arc::downgrade(app), per_second, count));
        events::changed_vm(app).unwrap_or_default()
    }

    /// Turns MCP off, as an administrator can: requests with `X-XO-Client: mcp` are refused.
    pub fn turn_mcp_off(&self) {
        self.running.service().mcp_is_off.store(true, Ordering::Relaxed);
    }

    /// Turns MCP on again.
    pub fn turn_mcp_on(&self) {
        self.running.service().mcp_is_off.store(false, Ordering::Relaxed);
    }

    /// Ends the actions that are running, as if their time had passed.
    pub fn end_tasks(&self) {
        self.running.service().hurried.send_replace(());
    }

    /// Returns how many event streams are open, and to how many collections they are subscribed.
    pub fn event_streams(&self) -> (usize, usize) {
        self.running.service().event_streams()
    }

    /// Returns the requests received since the last call; nothing unless recording is on.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        self.running.take_requests()
    }
}
