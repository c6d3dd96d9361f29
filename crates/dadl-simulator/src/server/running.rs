//! A service that runs on a port, with what every simulated product needs around it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{HttpService, RecordedRequest, RequestRecorder, Server};

/// A running service; dropping it closes the listener and all connections.
#[derive(Debug)]
pub(crate) struct RunningService<S> {
    service: Arc<S>,
    server: Server,
    recorder: Option<Arc<RequestRecorder>>,
}

impl<S: HttpService> RunningService<S> {
    /// Starts to serve, and keeps the requests when `record` says so. Needs a tokio runtime with
    /// I/O and time.
    pub(crate) async fn start(service: S, listen: SocketAddr, record: bool) -> io::Result<Self> {
        let service = Arc::new(service);
        let recorder = record.then(|| Arc::new(RequestRecorder::default()));
        let server = Server::start(Arc::clone(&service), listen, recorder.clone()).await?;
        Ok(Self { service, server, recorder })
    }

    /// Returns what answers the requests.
    pub(crate) const fn service(&self) -> &Arc<S> {
        &self.service
    }

    /// Returns the address that is listened on.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the requests received since the last call; nothing unless they are kept.
    pub(crate) fn take_requests(&self) -> Vec<RecordedRequest> {
        self.recorder.as_ref().map(|recorder| recorder.take()).unwrap_or_default()
    }
}
