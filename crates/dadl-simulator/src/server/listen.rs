//! The server loop: HTTP/1.1 with keep-alive on a TCP listener.
//!
//! It takes a [`HttpService`] and gives a [`Server`] that stops, with all its connections, when it
//! is dropped.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::EXPECT;
use http::{HeaderMap, Method};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::{HttpReply, QueryParams, RequestBody, RequestRecorder};

/// Something that answers requests.
pub(crate) trait HttpService: Send + Sync + 'static {
    /// Answers one request. The body is drained afterwards if the service left some of it.
    fn answer(
        self: Arc<Self>,
        request: &mut ServiceRequest,
    ) -> impl Future<Output = HttpReply> + Send;
}

/// A request whose head was read.
pub(crate) struct ServiceRequest {
    /// The method.
    pub(crate) method: Method,
    /// The path as received, not decoded.
    pub(crate) path: String,
    /// The query as received, without the question mark; empty when there is none.
    pub(crate) raw_query: String,
    /// The query, decoded.
    pub(crate) query: QueryParams,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, not read yet.
    pub(crate) body: RequestBody,
    /// Who sent it.
    pub(crate) peer: SocketAddr,
}

impl ServiceRequest {
    /// Returns a header when it is readable text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A running server; dropping it closes the listener and all connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Server {
    /// Binds the address and starts to accept. Needs a tokio runtime with I/O and time.
    pub(crate) async fn start<S: HttpService>(
        service: Arc<S>,
        listen: SocketAddr,
        recorder: Option<Arc<RequestRecorder>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(read_accept(listener, service, recorder)).abort_handle();
        Ok(Self { address, accepting })
    }

    /// Returns the address that is listened on.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections for ever. The set owns the connections, so aborting this ends them too.
async fn read_accept<S: HttpService>(
    listener: TcpListener,
    service: Arc<S>,
    recorder: Option<Arc<RequestRecorder>>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve(stream, peer, Arc::clone(&service), recorder.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Most often the process is out of file descriptors: do not spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve<S: HttpService>(
    stream: TcpStream,
    peer: SocketAddr,
    service: Arc<S>,
    recorder: Option<Arc<RequestRecorder>>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let handler = service_fn(move |request| {
        let service = Arc::clone(&service);
        let recorder = recorder.clone();
        async move { Ok::<_, Infallible>(answer(request, peer, service, recorder).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), handler)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

async fn answer<S: HttpService>(
    request: http::Request<Incoming>,
    peer: SocketAddr,
    service: Arc<S>,
    recorder: Option<Arc<RequestRecorder>>,
) -> http::Response<super::ReplyBody> {
    let (parts, incoming) = request.into_parts();
    let recording = recorder.map(|recorder| recorder.begin(&parts));
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let mut request = ServiceRequest {
        path: parts.uri.path().to_owned(),
        query: QueryParams::new(&raw_query),
        raw_query,
        method: parts.method,
        headers: parts.headers,
        body: RequestBody::new(incoming, recording),
        peer,
    };
    let reply = service.answer(&mut request).await;
    tracing::debug!(method = %request.method, path = request.path, status = %reply.status());
    // A client that waits for "100 Continue" has sent nothing yet; reading would ask for it.
    if !request.headers.contains_key(EXPECT) {
        request.body.drain().await;
    }
    reply.into_response()
}
