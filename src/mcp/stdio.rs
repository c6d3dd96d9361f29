//! Serves one client on standard input and output.
//!
//! Standard output carries the protocol and nothing else. The end of the input, a closed output
//! and a shutdown all end the session the same way, and are no errors.
//!
//! Hosts connect pipes (Python, Go, Rust) or socket pairs (Node). Both are driven without a thread
//! hand-over for each message, which is several times faster and lets the process end while a read
//! is pending; anything else falls back to blocking handles.

use std::time::Duration;

use rmcp::{
    service::{QuitReason, ServerInitializeError, serve_server_with_ct},
    transport::io::stdio_pipes,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    LiveServer, ServeError,
    lines::{self, LineTransport},
    shutdown::{GracefulShutdown, STREAM_ENDING},
};

/// How long a client that does not read may hold up the end.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Serves the client on standard input and output until it goes away or `shutdown` is cancelled;
/// what is under way then has the grace time of the server.
///
/// # Errors
///
/// [`ServeError::Handshake`] when client and server agree on no revision of the protocol.
pub(crate) async fn serve_stdio(
    server: LiveServer,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let files = server.now().files().clone();
    crate::spawn::task(async move { files.sweep().await });
    #[cfg(unix)]
    if let Some((read, write)) = sockets::standard_streams() {
        return serve_streams(server, read, write, shutdown).await;
    }
    #[cfg(target_os = "linux")]
    widen_output();
    let (read, write) = stdio_pipes();
    serve_streams(server, read, write, shutdown).await
}

/// So much of what a host has not read the pipe to it holds, in bytes.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 256 * 1024;

/// Lets standard output hold more where it is a pipe: one of the usual 64 KB makes writer and reader wait for each
/// other 17 times in a megabyte, which takes three times as long.
#[cfg(target_os = "linux")]
fn widen_output() {
    use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
    let output = std::io::stdout();
    if fcntl_getpipe_size(&output).is_ok_and(|size| size < PIPE_BYTES) {
        // The system bounds what the pipes of a user hold together; then it stays as it is.
        let _ = fcntl_setpipe_size(&output, PIPE_BYTES);
    }
}

/// Serves a client on any pair of streams; see `serve_stdio`.
///
/// # Errors
///
/// Those of `serve_stdio`.
pub async fn serve_streams(
    server: impl Into<LiveServer>,
    read: impl AsyncRead + Send + Unpin + 'static,
    write: impl AsyncWrite + Send + Unpin + 'static,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let ending = GracefulShutdown::new(&shutdown);
    let server = server.into().ending_with(&ending);
    let first = server.now();
    // Calls listen to this token through their requests.
    let connection = CancellationToken::new();
    let end = crate::spawn::task({
        let (ending, connection) = (ending.clone(), connection.clone());
        let (grace, streams) = (first.grace(), first.streams().clone());
        async move {
            ending.closing().await;
            streams.end_all(STREAM_ENDING);
            ending.run(grace).await;
            connection.cancel();
        }
    });
    let (queue, queued) = lines::queue();
    let secrets = first.executor().secrets().clone();
    let mut writer =
        crate::spawn::task(lines::write_all(write, queued, secrets, connection.clone()));
    // The server of a moment keeps what its settings named.
    drop(first);
    let transport = LineTransport::new(read, queue, connection.clone(), ending, server.clone());
    let ended = match serve_server_with_ct(server, transport, connection).await {
        Ok(session) => match session.waiting().await {
            Ok(reason) => {
                let reason = match reason {
                    QuitReason::Closed => "the client went away",
                    QuitReason::Cancelled => "the server ends",
                    _ => "its task failed",
                };
                tracing::debug!(reason, "the session ended");
                Ok(())
            }
            Err(error) => Err(ServeError::Internal(error.to_string())),
        },
        // The client went away before it said anything.
        Err(
            ServerInitializeError::Cancelled
            | ServerInitializeError::ConnectionClosed(_)
            | ServerInitializeError::TransportError { .. },
        ) => Ok(()),
        Err(error) => Err(ServeError::Handshake(error.to_string())),
    };
    if tokio::time::timeout(LAST_WRITES, &mut writer).await.is_err() {
        writer.abort();
    }
    end.abort();
    ended
}

#[cfg(unix)]
mod sockets {
    //! Standard streams that are sockets, as Node makes them.

    use std::{
        fs::File,
        io,
        os::{
            fd::{AsFd, BorrowedFd, OwnedFd},
            unix::{
                fs::{FileTypeExt as _, MetadataExt as _},
                net::UnixStream as StdStream,
            },
        },
    };

    use tokio::net::UnixStream;

    /// Returns standard input and output when both are sockets.
    pub(super) fn standard_streams() -> Option<(UnixStream, UnixStream)> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let log = descriptor_inode(stderr.as_fd());
        // The flag that makes a stream non-blocking is shared by all its descriptors: a log on
        // the same socket would lose lines.
        if descriptor_inode(stdin.as_fd()) == log || descriptor_inode(stdout.as_fd()) == log {
            return None;
        }
        Some((descriptor_stream(stdin.as_fd())?, descriptor_stream(stdout.as_fd())?))
    }

    fn descriptor_inode(descriptor: BorrowedFd<'_>) -> Option<(u64, u64)> {
        let metadata = File::from(descriptor.try_clone_to_owned().ok()?).metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    fn descriptor_stream(descriptor: BorrowedFd<'_>) -> Option<UnixStream> {
        let file = File::from(descriptor.try_clone_to_owned().ok()?);
        if !file.metadata().ok()?.file_type().is_socket() {
            return None;
        }
        let stream = StdStream::from(OwnedFd::from(file));
        // Sockets of other families have another kind of address.
        stream.local_addr().ok()?;
        stream.set_nonblocking(true).ok()?;
        UnixStream::from_std(stream).ok()
    }
}
