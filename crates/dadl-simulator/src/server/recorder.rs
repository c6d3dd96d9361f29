//! Keeps the requests that a server received, for tests to look at.
//!
//! A request is kept from the moment its head was read, so long-lived streams are seen too;
//! its body grows while it is read. Bodies are kept up to 1 MiB and hashed in full.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use dadl_text::text;
use http::request::Parts;
use sha2::{Digest, Sha256};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The method, e.g. `POST`.
    pub method: String,
    /// Path and query exactly as received, neither decoded nor normalized.
    pub target: String,
    /// Field names in lower case with their values, in the order received.
    pub headers: Vec<(String, String)>,
    /// The first MiB of the body.
    pub body: Bytes,
    /// How many bytes of the body were read.
    pub body_length: u64,
    /// SHA-256 of all bytes read, as lower-case hexadecimal.
    pub body_sha256: String,
}

impl RecordedRequest {
    /// Returns the first value of a header; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// The requests kept by one server.
#[derive(Debug, Default)]
pub(crate) struct RequestRecorder {
    recordings: Mutex<Vec<Arc<OpenRecording>>>,
}

impl RequestRecorder {
    /// Starts to keep a request.
    pub(crate) fn begin(&self, parts: &Parts) -> Arc<OpenRecording> {
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let recording = Arc::new(OpenRecording {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            headers,
            body: Mutex::default(),
        });
        self.recordings.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&recording));
        recording
    }

    /// Returns what was kept since the last call, and forgets it.
    pub(crate) fn take(&self) -> Vec<RecordedRequest> {
        mem::take(&mut *self.recordings.lock().unwrap_or_else(PoisonError::into_inner))
            .iter()
            .map(|recording| recording.snapshot())
            .collect()
    }
}

/// A request whose body may still be arriving.
#[derive(Debug)]
pub(crate) struct OpenRecording {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Mutex<RecordedBody>,
}

impl OpenRecording {
    /// Adds a piece of the body.
    pub(crate) fn extend(&self, chunk: &[u8]) {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.length += chunk.len() as u64;
        body.hash.update(chunk);
        let room = BODY_CAP.saturating_sub(body.kept.len()).min(chunk.len());
        body.kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }

    fn snapshot(&self) -> RecordedRequest {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = body.hash.clone().finalize();
        RecordedRequest {
            method: self.method.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body: Bytes::copy_from_slice(&body.kept),
            body_length: body.length,
            body_sha256: text::hex_text(&digest),
        }
    }
}

/// What is known of a body so far.
#[derive(Debug, Default)]
struct RecordedBody {
    kept: BytesMut,
    length: u64,
    hash: Sha256,
}

/// How many bytes of a body are kept.
const BODY_CAP: usize = 1024 * 1024;
