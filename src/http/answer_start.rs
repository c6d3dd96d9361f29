//! The start of an answer, which may say all that counts: why it is an error.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

/// An error body longer than this is not read to its end.
pub(crate) const MOST_ERROR_BYTES: usize = 256 * 1024;

/// Reads the start of the body of an error, up to its end or a silence.
pub(crate) async fn start_of(response: reqwest::Response, silence: Duration) -> Bytes {
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(silence, stream.next()).await {
        let room = MOST_ERROR_BYTES.saturating_sub(body.len());
        body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if room <= piece.len() {
            break;
        }
    }
    body.freeze()
}

/// Reads the start of an answer, and gives one that begins with it and has no more.
pub(super) async fn peek_body(
    response: reqwest::Response,
    silence: Duration,
) -> (Bytes, reqwest::Response) {
    let mut answer = http::Response::new(());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    let start = start_of(response, silence).await;
    (start.clone(), reqwest::Response::from(answer.map(|()| start)))
}
