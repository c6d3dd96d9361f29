//! A server of 2026-07-28 or later tells that a list of its has changed to those alone who have asked for it
//! (`subscriptions/listen`). The transport counts what it tells; here the question is kept open.

use std::time::Duration;

use rmcp::{
    RoleClient,
    model::{ServerCapabilities, SubscriptionFilter},
    service::{Peer, ServiceError},
};

use super::line_transport::Connection;

/// How long is waited after a stream that ended, before it is opened again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A stream that lived so long works.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// Asks, and asks again when the server ends its answer, until the connection ends.
pub(super) async fn hear(
    peer: Peer<RoleClient>,
    capabilities: ServerCapabilities,
    connection: Connection,
) {
    let mut filter = SubscriptionFilter::new();
    filter.tools_list_changed = Some(true);
    filter.prompts_list_changed = Some(true);
    filter.resources_list_changed = Some(true);
    let filter = filter.supported_by(&capabilities);
    if filter == SubscriptionFilter::new() {
        return;
    }
    let ended = connection.ended.clone();
    tokio::select! {
        () = ended.cancelled() => {}
        () = keep_asking(&peer, &filter, &connection) => {}
    }
}

async fn keep_asking(
    peer: &Peer<RoleClient>,
    filter: &SubscriptionFilter,
    connection: &Connection,
) {
    let (backend, mut pause, mut has_heard) = (&*connection.backend, FIRST_PAUSE, false);
    loop {
        let begun = tokio::time::Instant::now();
        match peer.listen(filter.clone()).await {
            Ok(mut subscription) => {
                if std::mem::replace(&mut has_heard, true) {
                    // What changed in between nobody has told.
                    connection.changes.send_modify(|count| *count += 1);
                }
                while let Ok(Some(_)) = subscription.next().await {}
            }
            // It does not do this.
            Err(ServiceError::McpError(_)) if !has_heard => return,
            Err(error) => tracing::debug!(backend, %error, "its changes cannot be heard"),
        }
        pause = if begun.elapsed() >= LONG_LIFE { FIRST_PAUSE } else { pause };
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
