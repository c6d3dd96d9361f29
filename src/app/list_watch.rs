//! Gives the lists of a server anew: when it says that they changed, when it was started again, and when it
//! was not there before.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::list_pace::ListPace;
use crate::{
    catalog::BackendId,
    executor::Executor,
    mcp_client::{ServerFault, ServerLink, ServerList},
};

/// From where on the lists of a server are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchStart {
    /// There is no list of it, or one of an earlier run: it is started and asked.
    AtOnce,
    /// A list was read when it had said so often that one changed, and had introduced itself so often.
    Listed {
        /// As [`ServerLink::changes`] counts.
        changes: u64,
        /// As [`ServerLink::starts`] counts.
        starts: u64,
    },
    /// It is not started before its first call.
    WhenStarted,
}

/// Sends the lists of a server, each within this time, whenever there may be others, until nobody takes
/// them any more or the server was ended by us.
///
/// However often the server says that they changed, it is asked in the pauses of `pace`.
pub async fn watch_lists(
    executor: Executor,
    backend: BackendId,
    start: WatchStart,
    time: Duration,
    pace: ListPace,
    lists: mpsc::Sender<(BackendId, ServerList)>,
) {
    let link = async {
        match start {
            // Until then no credential of it is read.
            WatchStart::WhenStarted => executor.made_server_link(backend).await,
            WatchStart::AtOnce | WatchStart::Listed { .. } => executor.server_link(backend).ok(),
        }
    };
    let link = tokio::select! {
        link = link => link,
        () = lists.closed() => None,
    };
    // Its settings are wrong, which each call says.
    let Some(link) = link else { return };
    follow_lists(&link, backend, start, time, pace, lists).await;
}

/// Does that for a server whose link is there.
pub async fn follow_lists(
    link: &ServerLink,
    backend: BackendId,
    start: WatchStart,
    time: Duration,
    pace: ListPace,
    lists: mpsc::Sender<(BackendId, ServerList)>,
) {
    let closed = lists.clone();
    tokio::select! {
        () = follow(link, backend, start, time, pace, &lists) => {}
        () = closed.closed() => {}
    }
}

async fn follow(
    link: &ServerLink,
    backend: BackendId,
    start: WatchStart,
    time: Duration,
    mut pace: ListPace,
    lists: &mpsc::Sender<(BackendId, ServerList)>,
) {
    let (mut changes, mut starts) = (link.changes(), link.starts());
    let now = Instant::now();
    match start {
        WatchStart::AtOnce => pace.missing(now),
        WatchStart::Listed { changes: seen, starts: seen_starts } => {
            let is_old =
                *changes.borrow_and_update() != seen || *starts.borrow_and_update() != seen_starts;
            if is_old {
                pace.told(now);
            }
        }
        // Its first call has begun to start it.
        WatchStart::WhenStarted if *starts.borrow_and_update() > 0 => pace.told(now),
        WatchStart::WhenStarted => {}
    }
    loop {
        let due = pace.due();
        let wait = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => pace.told(Instant::now()),
                Err(_) => return,
            },
            started = starts.changed() => match started {
                Ok(()) => pace.told(Instant::now()),
                Err(_) => return,
            },
            () = wait => {
                pace.reading();
                match link.list(time).await {
                    Ok(list) => {
                        // The question may have started it.
                        starts.borrow_and_update();
                        pace.read(Instant::now());
                        if lists.send((backend, list)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) if error.fault == ServerFault::Stopped => return,
                    Err(error) => {
                        tracing::debug!("{error}; it is asked for its lists again later");
                        starts.borrow_and_update();
                        pace.failed(Instant::now());
                    }
                }
            }
        }
    }
}
