//! A simulated Danube Cloud (erigones) API, version 4.6: accounts, tasks, and the definitions and
//! backups of virtual machines.
//!
//! The way of a request: `app` finds the view by path, `accounts` the user, `throttle` counts; then
//! `data` reads the parameters (query or body, by method), and one of `definitions`, `backups` and
//! `tasks` answers. All of them work on `state`, whose rows are in `records`, `task_records` and `users`,
//! and which `seed` fills.
//!
//! What the product gets wrong or does in a way of its own is kept: a path without its last slash is
//! redirected and the body is lost, a body that cannot be read is none, a wrong credential is 403, a
//! synchronous answer names a task that does not exist, 201 means two things, and `extended=false` is a
//! yes for one definition.

mod accounts;
mod app;
mod backups;
mod clock;
mod data;
mod definitions;
mod failure;
mod fields;
mod records;
mod seed;
mod state;
mod task_records;
mod tasks;
mod throttle;
mod users;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use self::app::DanubeApp;
use super::SimulatorOptions;
use super::server::{RecordedRequest, RunningService};

/// A running simulated Danube Cloud; dropping it stops it.
///
/// Its clock is that of tokio: where a test pauses the one, the other stands still. The users are
/// `admin`, a super administrator whose API key is [`token`](Self::token); `operator`, who
/// administers the datacenter `main`; `owner`, who has some of its machines; and `guest`, who may
/// not use the API. The key of each of these is `demo-key-` and the name.
#[derive(Debug)]
pub struct DanubeCloud {
    running: RunningService<DanubeApp>,
    token: String,
}

impl DanubeCloud {
    /// The password of every user.
    pub const PASSWORD: &'static str = "demo-password";

    /// Starts a server with fresh data. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    pub async fn start(options: SimulatorOptions) -> io::Result<Self> {
        let token = options.token.clone();
        let (listen, record) = (options.listen, options.record);
        let running = RunningService::start(DanubeApp::new(&options), listen, record).await?;
        Ok(Self { running, token })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Returns the base URL of the API, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/api", self.address())
    }

    /// Returns the API key of the user `admin`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Lets so much time pass: tasks go on, tokens end, and the limit of requests forgets.
    pub fn advance(&self, time: Duration) {
        self.running.service().state().clock.advance(time);
    }

    /// Switches backups off, as `VMS_VM_BACKUP_ENABLED` does.
    pub fn disable_backups(&self) {
        self.running.service().state().backups_enabled = false;
    }

    /// Ends all sessions, as a login elsewhere does.
    pub fn end_sessions(&self) {
        self.running.service().state().tokens.clear();
    }

    /// Returns how many requests were refused because there were too many.
    pub fn throttled(&self) -> u64 {
        self.running.service().state().throttle.refused()
    }

    /// Returns the requests received since the last call; nothing unless recording is on.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        self.running.take_requests()
    }
}
