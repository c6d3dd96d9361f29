//! Requests that outlive the call which needed them, and that the process waits for at its end: a
//! login whose server may have replaced a refresh token, the request that cancels a task, and the end of a
//! session of another MCP server.

use std::{sync::LazyLock, time::Duration};

use tokio::sync::watch;

/// A process that ends waits this long.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(10);

/// How many such requests this process has.
static UNDER_WAY: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Counts a request for as long as it lives.
pub(crate) struct UnderWay;

impl UnderWay {
    pub(crate) fn begin() -> Self {
        UNDER_WAY.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Waits a little for the requests that are under way, before the process ends.
pub async fn settled() {
    let mut count = UNDER_WAY.subscribe();
    if *count.borrow() > 0 {
        tracing::info!("waiting for requests that are under way");
    }
    let settled = count.wait_for(|count| *count == 0);
    let _ = tokio::time::timeout(LAST_WAIT, settled).await;
}
