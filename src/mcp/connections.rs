//! Connections of HTTP clients: who has a place, how slow a client may be, and how they end.
//!
//! A connection is bounded in every state. Between requests, by [`ConnectionBounds::silence`]; while the fields of one
//! arrive, by [`ConnectionBounds::head`]; while a body arrives, by the time or the pace of it; while an answer
//! is written, by the pace at which it is taken; and in all by [`ConnectionBounds::life`], after
//! which it ends with the request that is being answered. What lasts as long as it is wanted, such
//! as a stream of events, ends when it is wanted no more.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LiveServer, ServeError,
    connection_bounds::ConnectionBounds,
    connection_slots::{ConnectionSlots, host_of},
    connection_threads::ConnectionThreads,
    http::{HttpEndpoint, HttpOptions, MCP_PATH, ServedPaths},
    kept_timer::SharedTimer,
    request_owner::ConnectionPeer,
    shutdown::{GracefulShutdown, LAST_ANSWERS, STREAM_ENDING},
    silence::{ConnectionTurns, SilenceBounds, SilenceTimer},
    slow_peers::{ClientHaste, GuardedStream, PeerPace},
};

/// How long accepting pauses when the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// The fields of a request have so many bytes at most, and as much is read or written at once.
const BUFFER: usize = 64 * 1024;
/// How long a client at the door may stay.
const AT_DOOR: Duration = Duration::from_secs(5);
/// How long connections on which nothing is being answered may hold up the end.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// Listens and serves until `shutdown` is cancelled; what is under way then has the grace time of
/// the server.
///
/// # Errors
///
/// [`ServeError::TokenRequired`] and [`ServeError::Listen`], before anything is served.
pub async fn serve_http(
    server: impl Into<LiveServer>,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = options.listen;
    options.require_token(address)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    serve_listener(server, listener, options, shutdown).await
}

/// Serves on a listener that is bound already; see [`serve_http`].
///
/// # Errors
///
/// Those of [`serve_http`].
pub async fn serve_listener(
    server: impl Into<LiveServer>,
    listener: TcpListener,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (paths, threads) = (ServedPaths::default(), ConnectionThreads::default());
    serve_paths(server.into(), paths, listener, options, &threads, shutdown).await
}

/// Does the same on `threads`, and serves others at paths that end with their names.
pub(crate) async fn serve_paths(
    server: LiveServer,
    paths: ServedPaths,
    listener: TcpListener,
    options: HttpOptions,
    threads: &ConnectionThreads,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener
        .local_addr()
        .map_err(|source| ServeError::Listen { address: options.listen, source })?;
    options.require_token(address)?;
    tracing::info!("listening on http://{address}{MCP_PATH}");
    // Clients are elsewhere, where a path says nothing.
    let ending = GracefulShutdown::new(&shutdown);
    let server = server.ending_with(&ending);
    let first = server.now();
    first.files().publish();
    first.files().sweep().await;
    let (bounds, grace) = (first.bounds(), first.grace());
    // The server of a moment keeps what its settings named.
    drop(first);
    // Sessions end after their calls.
    let sessions = CancellationToken::new();
    let endpoint = HttpEndpoint::with_others(server, paths, &options, address, &sessions, &ending);
    let endpoint = Arc::new(endpoint);
    let connections = TaskTracker::new();
    let places = ConnectionSlots::new(bounds.places());
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, client)) => {
                let place = Arc::new(places.take(client));
                let host = host_of(client).into();
                let peer = ConnectionPeer { host, place, timer: SharedTimer::default() };
                let (endpoint, ending) = (Arc::clone(&endpoint), ending.clone());
                let converse = move |stream| converse(stream, peer, endpoint, bounds, ending);
                if let Err(error) = threads.serve(stream, &connections, converse) {
                    tracing::debug!(%error, "a connection is gone before it is served");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    endpoint.end_streams(STREAM_ENDING);
    ending.run(grace).await;
    sessions.cancel();
    // What is answered is being written; a client that does not read is not waited for.
    let last = if ending.is_idle() { LAST_WRITES } else { LAST_ANSWERS };
    let _ = tokio::time::timeout(last, connections.wait()).await;
    Ok(())
}

/// Serves one connection; at the end of its life, or of the server, the request that is being
/// answered is the last one.
async fn converse(
    stream: TcpStream,
    peer: ConnectionPeer,
    endpoint: Arc<HttpEndpoint>,
    bounds: ConnectionBounds,
    ending: GracefulShutdown,
) {
    // Events are small writes that would wait for each other's acknowledgment.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let place = Arc::clone(&peer.place);
    let haste = ClientHaste::default();
    let hurry = haste.clone();
    let turns = ConnectionTurns::default();
    let of_server = turns.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let endpoint = Arc::clone(&endpoint);
        request.extensions_mut().insert(peer.clone());
        let turn = of_server.begin();
        let pause = hurry.pause();
        let client = peer.client();
        async move {
            if let Some(pause) = pause {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                endpoint.lanes().hasty.pass(&client).await;
            }
            Ok::<_, Infallible>(endpoint.answer(request).await.map(|body| body.during(turn)))
        }
    });
    let (silence, life, pace) = if place.is_at_door() {
        let silence = SilenceBounds { silence: AT_DOOR, head: AT_DOOR };
        (silence, AT_DOOR, PeerPace { patience: AT_DOOR, ..bounds.pace() })
    } else {
        let silence = SilenceBounds { silence: bounds.silence, head: bounds.head };
        (silence, bounds.life, bounds.pace())
    };
    let stream = GuardedStream::new(stream, pace, SilenceTimer::new(turns, silence), haste);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The stream has the bound of fields, which is shorter. With this one, the stream is asked again after each
        // answer, without which nobody would wait for the next request.
        .header_read_timeout(silence.silence)
        .max_buf_size(BUFFER)
        .keep_alive(!place.is_at_door())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = place.gone() => None,
        () = async {
            tokio::select! {
                () = ending.closing() => {}
                () = tokio::time::sleep(life) => {}
            }
        } => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = place.gone() => None,
            }
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        None => tracing::debug!("a connection made room for another one"),
    }
}
