//! Progress of a call as MCP notifications.
//!
//! A host that sent a progress token hears about downloads at most twice a second, and every
//! five seconds that a call still runs: many hosts give up on calls that stay silent.

use std::{
    convert::Infallible,
    sync::Mutex,
    time::{Duration, Instant},
};

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
};
use tokio::sync::mpsc;

use crate::outcome::{Observer, Progress};

/// Between two notifications about a download.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// Between two notifications that say that a call still runs.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Passes progress on to the task that notifies the host.
pub(super) struct Reporter {
    sender: mpsc::Sender<Progress>,
    last: Mutex<Option<Instant>>,
}

impl Observer for Reporter {
    fn progress(&self, progress: Progress) {
        let is_last = progress.total == Some(progress.done);
        let Ok(mut last) = self.last.lock() else { return };
        if !is_last && last.is_some_and(|last| last.elapsed() < SHORTEST_PAUSE) {
            return;
        }
        *last = Some(Instant::now());
        // A host that reads slowly misses some: the next one says more.
        let _ = self.sender.try_send(progress);
    }
}

/// Makes an observer, and what its notifications are read from.
pub(super) fn reporter() -> (Reporter, mpsc::Receiver<Progress>) {
    let (sender, receiver) = mpsc::channel(8);
    (Reporter { sender, last: Mutex::new(None) }, receiver)
}

/// Notifies the host until it is dropped, which is when the call ends.
pub(super) async fn notify(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    mut news: mpsc::Receiver<Progress>,
) -> Infallible {
    let started = Instant::now();
    // Values must grow, whatever they count; bytes and seconds never mix in one call.
    let mut bytes_seen = false;
    loop {
        let param = match tokio::time::timeout(HEARTBEAT, news.recv()).await {
            Ok(Some(progress)) => {
                bytes_seen = true;
                of_progress(&token, progress)
            }
            // The reporter lives as long as the call.
            Ok(None) => return std::future::pending().await,
            // Silence in the middle of a download: its last value still stands.
            Err(_) if bytes_seen => continue,
            Err(_) => {
                let elapsed = started.elapsed().as_secs();
                ProgressNotificationParam::new(token.clone(), float(elapsed))
                    .with_message(format!("running for {elapsed} s"))
            }
        };
        if peer.notify_progress(param).await.is_err() {
            // The host is gone; the transport ends the call.
            return std::future::pending().await;
        }
    }
}

fn of_progress(token: &ProgressToken, progress: Progress) -> ProgressNotificationParam {
    let mut param = ProgressNotificationParam::new(token.clone(), float(progress.done))
        .with_message(progress.message);
    param.total = progress.total.map(float);
    param
}

/// Progress values are floating point numbers in MCP; counts stay exact up to 2^53.
fn float(count: u64) -> f64 {
    count as f64
}
