//! Fair queues in which bursts of work begin one after the other, so that answers which somebody waits for
//! are not delayed.
//!
//! A thousand clients that come at the same moment would be a thousand tasks to run before the next
//! answer. So whatever a client can ask for any number of times without waiting for replies goes
//! through a lane: opening a session, a request that comes before the answer to the one before it, the
//! next piece of a long message. Only the start is put in order, by turns among the hosts, and nothing
//! is refused; between two starts the runtime does whatever else is ready.

use crate::shares::{ClientKey, FairQueue};

/// Lets one begin after the other; a clone is the same lane.
#[derive(Debug, Clone)]
pub(super) struct AdmissionLane {
    queue: FairQueue,
}

/// The lanes of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct AdmissionLanes {
    /// Of pipelined requests: sent before the answer to the one before.
    pub(super) hasty: AdmissionLane,
    /// Of clients that open sessions.
    pub(super) opening: AdmissionLane,
    /// Of pieces of long messages.
    pub(super) reading: AdmissionLane,
}

impl Default for AdmissionLane {
    fn default() -> Self {
        // One turn at a time. The queue needs no bound of its own: a connection waits once at most, and
        // connections are bounded.
        Self { queue: FairQueue::new(1, usize::MAX) }
    }
}

impl AdmissionLane {
    /// Waits until it is the turn of `client` to begin. The turn ends before its work begins, so that
    /// how long the work takes is not the lane's concern.
    pub(super) async fn pass(&self, client: &ClientKey) {
        let turn = self.queue.turn(client).await;
        // The task resumes after what was ready has run and the sockets were polled again.
        tokio::task::yield_now().await;
        drop(turn);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn client(host: &str) -> ClientKey {
        ClientKey { host: host.to_owned(), session: String::new() }
    }

    /// Returns in which order those of these hosts begin.
    async fn order(hosts: &[&str]) -> Vec<String> {
        let (lane, order) = (AdmissionLane::default(), Arc::new(Mutex::new(Vec::new())));
        let tasks: Vec<_> = hosts
            .iter()
            .map(|host| {
                let (lane, order, client) = (lane.clone(), Arc::clone(&order), client(host));
                tokio::spawn(async move {
                    lane.pass(&client).await;
                    order.lock().unwrap().push(client.host);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        order.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn the_hosts_begin_by_turns() {
        assert_eq!(order(&["a", "a", "a", "a", "b", "c"]).await, ["a", "a", "b", "c", "a", "a"]);
    }

    #[tokio::test]
    async fn what_needs_no_lane_goes_on_between_two_of_a_crowd() {
        let (lane, begun) = (AdmissionLane::default(), Arc::new(AtomicUsize::new(0)));
        let crowd: Vec<_> = (0..1000)
            .map(|_| {
                let (lane, begun) = (lane.clone(), Arc::clone(&begun));
                tokio::spawn(async move {
                    lane.pass(&client("a")).await;
                    begun.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        // Five steps of one that behaves, each of which is due when the one before is done.
        for step in 0..5 {
            tokio::spawn(async {}).await.unwrap();
            let begun = begun.load(Ordering::Relaxed);
            assert!(begun <= 2 * (step + 1), "{begun} had begun after step {step}");
        }
        for one in crowd {
            one.await.unwrap();
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1000);
    }

    #[tokio::test]
    async fn who_goes_away_holds_nobody_up() {
        let lane = AdmissionLane::default();
        for _ in 0..2 {
            let waiting: Vec<_> = (0..10)
                .map(|_| {
                    let lane = lane.clone();
                    tokio::spawn(async move { lane.pass(&client("a")).await })
                })
                .collect();
            tokio::task::yield_now().await;
            waiting.iter().for_each(tokio::task::JoinHandle::abort);
        }
        lane.pass(&client("a")).await;
    }
}
