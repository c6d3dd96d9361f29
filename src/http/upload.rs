//! Request bodies on their way out: bytes, one file, or fields and files.
//!
//! Files are streamed, so that a body of any size costs the same memory. A stream that breaks
//! reaches the client as a broken connection; its own reason is kept beside it.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, header};
use uuid::Uuid;

use crate::{
    call::{
        BodyLimit, Multipart, PlannedBody,
        multipart::{self, FieldValue},
    },
    files::{ByteStream, FileError, FileStore, Upload},
};

/// The caller: the body is larger than `max_body_size` of the tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the body of `{tool}` {}, more than the {limit} bytes of its `max_body_size`; {}",
    .size.map_or_else(|| "turned out larger".to_owned(), |size| format!("has {size} bytes")),
    if .size.is_some() { "nothing was sent" } else { "the request was broken off" }
)]
pub struct BodyTooLarge {
    /// The tool.
    pub tool: String,
    /// In bytes; `None` when only sending showed it.
    pub size: Option<u64>,
    /// In bytes.
    pub limit: u64,
}

/// Why a body cannot be sent.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// A file cannot be read.
    File(FileError),
    /// There is too much of it.
    TooLarge(BodyTooLarge),
}

impl From<FileError> for UploadError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// Keeps the reason for which a body broke off.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<UploadError>>>);

impl Fault {
    /// Returns the reason, when there is one.
    pub(crate) fn take(&self) -> Option<UploadError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: UploadError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Counts the bytes of files that leave: an upload lasts as long as it lasts, only silence ends it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<AtomicU64>);

impl Activity {
    fn moved(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits for `task` until no byte has left for as long as `bound`; without files that is
    /// `bound` from now.
    pub(crate) async fn timeout<T>(
        &self,
        bound: Duration,
        task: impl Future<Output = T>,
    ) -> Option<T> {
        let mut task = pin!(task);
        loop {
            let before = self.0.load(Ordering::Relaxed);
            if let Ok(done) = tokio::time::timeout(bound, &mut task).await {
                return Some(done);
            }
            if self.0.load(Ordering::Relaxed) == before {
                return None;
            }
        }
    }
}

/// Returns whether the body is read from files while it is sent.
pub(crate) fn is_streamed(body: &PlannedBody) -> bool {
    matches!(body, PlannedBody::File(_) | PlannedBody::Multipart(_))
}

/// Gives `request` its body. All files are open, and every size that can be known is checked,
/// before anything is sent.
pub(crate) async fn attach(
    request: &mut reqwest::Request,
    body: &PlannedBody,
    limit: Option<&BodyLimit>,
    files: &FileStore,
    activity: &Activity,
) -> Result<Fault, UploadError> {
    let mut guard = Guard {
        limit: limit.cloned(),
        sent: Arc::default(),
        fault: Fault::default(),
        activity: activity.clone(),
    };
    match body {
        PlannedBody::None => {}
        PlannedBody::Bytes(bytes) => {
            guard.check(bytes.len() as u64)?;
            *request.body_mut() = Some(bytes.clone().into());
        }
        PlannedBody::File(reference) => {
            let upload = files.open(reference).await?;
            guard.check(upload.size.unwrap_or_default())?;
            set_length(request, upload.size);
            *request.body_mut() = Some(reqwest::Body::wrap_stream(guard.watch(upload)));
        }
        PlannedBody::Multipart(multipart) => {
            attach_multipart(request, multipart, &mut guard, files).await?;
        }
    }
    Ok(guard.fault)
}

async fn attach_multipart(
    request: &mut reqwest::Request,
    multipart: &Multipart,
    guard: &mut Guard,
    files: &FileStore,
) -> Result<(), UploadError> {
    let boundary = multipart.boundary(|| Uuid::new_v4().simple().to_string());
    let text = |text: String| stream::once(std::future::ready(Ok(Bytes::from(text)))).boxed();
    let mut pieces: Vec<ByteStream> = Vec::new();
    let mut known = true;
    // With what is between the fields, and without.
    let (mut length, mut content) = (0_u64, 0_u64);
    for field in &multipart.fields {
        match &field.value {
            FieldValue::Text(value) => {
                let mut whole = multipart::head(&boundary, &field.name, None);
                whole.push_str(value);
                whole.push_str(multipart::AFTER_FIELD);
                content += value.len() as u64;
                guard.sent.fetch_add(value.len() as u64, Ordering::Relaxed);
                length += whole.len() as u64;
                pieces.push(text(whole));
            }
            FieldValue::File(reference) => {
                let upload = files.open(reference).await?;
                let file = (upload.name.as_str(), upload.content_type.as_str());
                let head = multipart::head(&boundary, &field.name, Some(file));
                let size = upload.size.unwrap_or_default();
                known &= upload.size.is_some();
                content += size;
                length += head.len() as u64 + size + multipart::AFTER_FIELD.len() as u64;
                pieces.push(text(head));
                pieces.push(guard.watch(upload));
                pieces.push(text(multipart::AFTER_FIELD.to_owned()));
            }
        }
        guard.check(content)?;
    }
    let end = multipart::end(&boundary);
    length += end.len() as u64;
    pieces.push(text(end));
    let content_type = format!("multipart/form-data; boundary={boundary}");
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        request.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    set_length(request, known.then_some(length));
    *request.body_mut() = Some(reqwest::Body::wrap_stream(stream::iter(pieces).flatten()));
    Ok(())
}

/// Says how long the body is; without, it goes out in chunks.
fn set_length(request: &mut reqwest::Request, length: Option<u64>) {
    if let Some(length) = length {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Watches the bytes of files go by.
struct Guard {
    limit: Option<BodyLimit>,
    /// The bytes of all files so far.
    sent: Arc<AtomicU64>,
    fault: Fault,
    activity: Activity,
}

impl Guard {
    /// Checks what is known before sending.
    fn check(&self, size: u64) -> Result<(), UploadError> {
        match &self.limit {
            Some(BodyLimit { tool, bytes }) if size > *bytes => {
                Err(UploadError::TooLarge(BodyTooLarge {
                    tool: tool.clone(),
                    size: Some(size),
                    limit: *bytes,
                }))
            }
            _ => Ok(()),
        }
    }

    /// Returns the bytes of a file; they break off where the bound is passed.
    fn watch(&self, upload: Upload) -> ByteStream {
        let Self { limit, sent, fault, activity } = self;
        let (limit, sent, fault) = (limit.clone(), Arc::clone(sent), fault.clone());
        let activity = activity.clone();
        let Upload { stream, name, .. } = upload;
        stream
            .map(move |piece| {
                let piece = piece.inspect_err(|error| {
                    fault.set(FileError::broken(&name, error).into());
                })?;
                let length = piece.len() as u64;
                activity.moved(length);
                let total = sent.fetch_add(length, Ordering::Relaxed) + length;
                match &limit {
                    Some(BodyLimit { tool, bytes }) if total > *bytes => {
                        let error = BodyTooLarge { tool: tool.clone(), size: None, limit: *bytes };
                        let message = error.to_string();
                        fault.set(UploadError::TooLarge(error));
                        Err(std::io::Error::other(message))
                    }
                    _ => Ok(piece),
                }
            })
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_is_not_cut_off() {
        let activity = Activity::default();
        let second = Duration::from_secs(1);
        let uploading = async {
            for _ in 0..100 {
                tokio::time::sleep(second).await;
                activity.moved(1);
            }
        };
        assert!(activity.timeout(2 * second, uploading).await.is_some());
        let silent = tokio::time::sleep(3 * second);
        assert!(activity.timeout(2 * second, silent).await.is_none());
        assert!(activity.timeout(2 * second, std::future::pending::<()>()).await.is_none());
    }
}
