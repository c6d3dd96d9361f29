//! MCP over standard input and output.
//!
//! Standard output carries protocol and nothing else. Input that is no JSON is skipped, a line
//! beyond 16 MiB is skipped without being held in memory, and the end of input ends the server:
//! running calls are dropped, which closes their connections.

use rmcp::{
    ServiceExt as _,
    service::{QuitReason, ServerInitializeError},
    transport::io::stdio_pipes,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{ServeError, Server};

/// Serves the process's own standard streams until the input ends or `shutdown` is cancelled.
///
/// # Errors
///
/// See [`ServeError`]; an input that ends is no error.
pub async fn serve_stdio(server: Server, shutdown: CancellationToken) -> Result<(), ServeError> {
    serve(server, stdio_pipes(), shutdown).await
}

/// Serves one pair of streams until the input ends or `shutdown` is cancelled.
///
/// # Errors
///
/// See [`ServeError`]; an input that ends is no error.
pub async fn serve<R, W>(
    server: Server,
    streams: (R, W),
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    match server.serve_with_ct(streams, shutdown).await {
        Ok(service) => match service.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => {
                Err(ServeError::Internal(error.to_string()))
            }
            Ok(_) => Ok(()),
        },
        // A host that goes away before it says anything has nothing to be told.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(ServeError::Handshake(error.to_string())),
    }
}
