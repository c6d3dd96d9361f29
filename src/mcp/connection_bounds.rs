//! How much of the server a connection of an HTTP client may take, and for how long.

use std::time::Duration;

use super::slow_peers::PeerPace;

/// How many connections are open at once, where the system allows as many.
const MOST_CONNECTIONS: usize = 4096;
/// How many there are where nobody knows what the system allows: less than the file descriptors
/// that a process usually has.
const USUAL_CONNECTIONS: usize = 512;

/// How much of the server a connection may take, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionBounds {
    /// How many there are at once; half of the file descriptors of the process unless it is said.
    pub most: Option<usize>,
    /// How long a client may say nothing between requests.
    pub silence: Duration,
    /// How long a client may take for the fields of a request, and may say nothing before the first one.
    pub head: Duration,
    /// How long a client may take for the body of a message.
    pub body: Duration,
    /// How long a client may take nothing of an answer, or send nothing of a file.
    pub patience: Duration,
    /// How many bytes a second it takes or sends over longer times.
    pub least_rate: u32,
    /// After so long, the request that is being answered is the last one.
    pub life: Duration,
}

impl Default for ConnectionBounds {
    fn default() -> Self {
        Self {
            most: None,
            // Longer than clients keep connections that they do not use, usually 90 s: one that ends while a request is
            // on its way is an error to its sender.
            silence: Duration::from_secs(120),
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            least_rate: 256,
            life: Duration::from_secs(3600),
        }
    }
}

impl ConnectionBounds {
    pub(super) fn pace(&self) -> PeerPace {
        PeerPace { patience: self.patience, least: self.least_rate }
    }

    /// Returns how many clients fit: half of the file descriptors are for what their calls open.
    pub(super) fn places(&self) -> usize {
        if let Some(most) = self.most {
            return most;
        }
        #[cfg(unix)]
        if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            let half = usize::try_from(limit / 2).unwrap_or(usize::MAX);
            return half.clamp(1, MOST_CONNECTIONS);
        }
        USUAL_CONNECTIONS.min(MOST_CONNECTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_leave_time_for_people() {
        let bounds = ConnectionBounds::default();
        assert!(bounds.places() >= 1 && bounds.places() <= MOST_CONNECTIONS);
        assert!(bounds.life > bounds.patience && bounds.patience >= bounds.head);
        let few = ConnectionBounds { most: Some(3), ..bounds };
        assert_eq!(few.places(), 3);
    }
}
