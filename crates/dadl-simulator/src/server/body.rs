//! The body of a request: read whole, counted, or drained, and recorded on the way.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::recorder::OpenRecording;

/// A request's body that feeds the recorder as it is read.
pub(crate) struct RequestBody {
    incoming: Incoming,
    recording: Option<Arc<OpenRecording>>,
    ended: bool,
}

/// Why a body could not be read: the client's fault in both cases.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection broke.
    Broken,
    /// The body is longer than the reader accepts.
    TooLarge,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Broken => "request aborted",
            Self::TooLarge => "request entity too large",
        })
    }
}

impl RequestBody {
    /// Wraps a body.
    pub(crate) const fn new(incoming: Incoming, recording: Option<Arc<OpenRecording>>) -> Self {
        Self { incoming, recording, ended: false }
    }

    /// Returns the next piece, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        while !self.ended {
            match self.incoming.frame().await {
                None => self.ended = true,
                Some(Err(_)) => {
                    self.ended = true;
                    return Err(BodyError::Broken);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if let Some(recording) = &self.recording {
                            recording.extend(&data);
                        }
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads the whole body when it is not longer than `limit`.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut collected = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if collected.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge);
            }
            collected.extend_from_slice(&chunk);
        }
        Ok(collected.freeze())
    }

    /// Reads the whole body and returns its length, keeping nothing.
    pub(crate) async fn count(&mut self) -> Result<u64, BodyError> {
        let mut length = 0;
        while let Some(chunk) = self.next().await? {
            length += chunk.len() as u64;
        }
        Ok(length)
    }

    /// Reads on to the end, so that the connection can be used again, but gives up on a body
    /// that is too long to be worth it.
    pub(crate) async fn drain(&mut self) {
        let mut length = 0;
        while let Ok(Some(chunk)) = self.next().await {
            length += chunk.len();
            if length > DRAIN_CAP {
                return;
            }
        }
    }
}

/// Where draining gives up.
const DRAIN_CAP: usize = 16 * 1024 * 1024;
