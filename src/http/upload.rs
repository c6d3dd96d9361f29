//! Request bodies on their way out: bytes, one file, or fields and files.
//!
//! Files are streamed, so that a body of any size costs the same memory. A stream that breaks
//! reaches the client as a broken connection; its own reason is kept beside it.

use std::{
    borrow::Cow,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, header};
use uuid::Uuid;

use super::expect_continue::{self, BodyDecision, EXPECT_FROM, HeldSending};
use crate::{
    call::{
        BodyLimit, CallPlan, MultipartBody, PlannedBody,
        multipart::{self, FieldValue},
    },
    files::{ByteStream, FileError, FileStore, FileUpload},
    outcome::{
        CallObserver,
        transfer::{TransferDirection, TransferMeter},
    },
};

/// How often an upload is looked at, to say how far it is.
const LOOK: Duration = Duration::from_millis(200);

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
pub(crate) struct UploadFault(Arc<Mutex<Option<UploadError>>>);

impl UploadFault {
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
pub(crate) struct UploadActivity(Arc<ActivityCounters>);

#[derive(Debug, Default)]
struct ActivityCounters {
    /// All bytes of all attempts.
    moved: AtomicU64,
    attempt: Mutex<Option<BodyAttempt>>,
}

/// What the body of the current attempt is.
#[derive(Debug, Clone, Copy)]
struct BodyAttempt {
    /// How many bytes had left before it.
    before: u64,
    /// The bytes of its files, where that is known.
    total: Option<u64>,
}

impl UploadActivity {
    fn moved(&self, bytes: u64) {
        self.0.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins to count a body whose files have `total` bytes.
    fn begin(&self, total: Option<u64>) {
        let attempt = BodyAttempt { before: self.0.moved.load(Ordering::Relaxed), total };
        *self.attempt() = Some(attempt);
    }

    fn attempt(&self) -> MutexGuard<'_, Option<BodyAttempt>> {
        self.0.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many bytes of the current body have left, and of how many.
    fn sent(&self) -> Option<(u64, Option<u64>)> {
        let BodyAttempt { before, total } = (*self.attempt())?;
        Some((self.0.moved.load(Ordering::Relaxed).saturating_sub(before), total))
    }

    /// Tells `observer` while `task` sends a file.
    pub(crate) async fn observed<T>(
        &self,
        observer: &dyn CallObserver,
        task: impl Future<Output = T>,
    ) -> T {
        let mut task = pin!(task);
        let mut meter = TransferMeter::new(TransferDirection::Sent, 0);
        let mut last = None;
        loop {
            let done = tokio::time::timeout(LOOK, &mut task).await;
            if let Some((sent, total)) = self.sent() {
                let transfer = meter.tick(sent, total);
                // The first and the last one, whatever the time.
                let first_or_last = (last.is_none() || done.is_ok()) && last != Some(sent);
                let now = first_or_last.then(|| meter.now(sent, total));
                if let Some(transfer) = transfer.or(now) {
                    last = Some(sent);
                    observer.transfer(transfer);
                }
            }
            if let Ok(done) = done {
                return done;
            }
        }
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
            let before = self.0.moved.load(Ordering::Relaxed);
            if let Ok(done) = tokio::time::timeout(bound, &mut task).await {
                return Some(done);
            }
            if self.0.moved.load(Ordering::Relaxed) == before {
                return None;
            }
        }
    }
}

/// Decides what a body is that names a file if there is one: once, so that a retry sends the same.
pub(crate) async fn settled<'plan>(
    plan: &'plan CallPlan,
    files: &FileStore,
) -> Cow<'plan, CallPlan> {
    let PlannedBody::Named { name, otherwise } = &plan.body else { return Cow::Borrowed(plan) };
    let body = if files.has(name).await {
        PlannedBody::File(name.clone())
    } else {
        PlannedBody::Bytes(otherwise.clone())
    };
    Cow::Owned(CallPlan { body, ..plan.clone() })
}

/// Returns whether the body is read from files while it is sent.
pub(crate) fn is_streamed(body: &PlannedBody) -> bool {
    matches!(body, PlannedBody::File(_) | PlannedBody::Multipart(_))
}

/// A body on its way.
pub(crate) struct AttachedBody {
    /// Why it broke off, if it did.
    pub(crate) fault: UploadFault,
    /// Ends the body when it is dropped.
    pub(crate) sending: HeldSending,
    /// Whether the server is asked before the body is sent.
    pub(crate) expects: bool,
}

/// Gives `request` its body. All files are open, and every size that can be known is checked,
/// before anything is sent. A body that is known to be long waits until the server wants it, if `may_expect`.
pub(crate) async fn attach_body(
    request: &mut reqwest::Request,
    body: &PlannedBody,
    limit: Option<&BodyLimit>,
    files: &FileStore,
    activity: &UploadActivity,
    may_expect: bool,
) -> Result<AttachedBody, UploadError> {
    let mut guard = UploadGuard {
        limit: limit.cloned(),
        sent: Arc::default(),
        fault: UploadFault::default(),
        activity: activity.clone(),
    };
    let stream = match body {
        PlannedBody::None => None,
        PlannedBody::Bytes(bytes) | PlannedBody::Named { otherwise: bytes, .. } => {
            guard.check(bytes.len() as u64)?;
            *request.body_mut() = Some(bytes.clone().into());
            None
        }
        PlannedBody::Rpc(call) => {
            let bytes = call.to_json().to_string().into_bytes();
            guard.check(bytes.len() as u64)?;
            *request.body_mut() = Some(bytes.into());
            None
        }
        PlannedBody::File(reference) => {
            let upload = files.open(reference).await?;
            guard.check(upload.size.unwrap_or_default())?;
            set_length(request, upload.size);
            activity.begin(upload.size);
            Some((guard.watch(upload), body_length(request)))
        }
        PlannedBody::Multipart(multipart) => {
            let (stream, content) = frame_multipart(request, multipart, &mut guard, files).await?;
            activity.begin(content);
            Some((stream, body_length(request)))
        }
    };
    let fault = guard.fault;
    let Some((stream, length)) = stream else {
        let is_empty = request.body().is_none_or(|body| body.as_bytes() == Some(b""));
        if is_empty {
            let method = request.method().clone();
            frame_nothing(&method, request.headers_mut());
        }
        return Ok(AttachedBody { fault, sending: HeldSending::default(), expects: false });
    };
    let expects = may_expect && length.is_some_and(|length| length >= EXPECT_FROM);
    let mut begin = BodyDecision::Go;
    if expects {
        let value = HeaderValue::from_static("100-continue");
        request.headers_mut().insert(header::EXPECT, value);
        begin = BodyDecision::Hold;
    }
    let (stream, sending) = expect_continue::hold_body(stream, begin);
    *request.body_mut() = Some(reqwest::Body::wrap_stream(stream));
    Ok(AttachedBody { fault, sending, expects })
}

/// Says that there is no body, to methods whose body means something (RFC 9110, section 8.6): the client
/// library writes no length for an empty one, and strict servers answer 411.
pub(crate) fn frame_nothing(method: &http::Method, headers: &mut http::HeaderMap) {
    if matches!(*method, http::Method::POST | http::Method::PUT | http::Method::PATCH) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Returns the announced length of a body.
fn body_length(request: &reqwest::Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Frames fields and files; returns the bytes, and how many of them are those of files.
async fn frame_multipart(
    request: &mut reqwest::Request,
    multipart: &MultipartBody,
    guard: &mut UploadGuard,
    files: &FileStore,
) -> Result<(ByteStream, Option<u64>), UploadError> {
    let boundary = multipart.boundary(|| Uuid::new_v4().simple().to_string());
    let text = |text: String| stream::once(std::future::ready(Ok(Bytes::from(text)))).boxed();
    let mut pieces: Vec<ByteStream> = Vec::new();
    let mut known = true;
    // With what is between the fields, and without.
    let (mut length, mut content) = (0_u64, 0_u64);
    let mut of_files = 0_u64;
    for field in &multipart.fields {
        let declared = field.content_type.as_ref().map(AsRef::as_ref);
        match &field.value {
            FieldValue::Text(value) => {
                let mut whole = multipart::part_head(&boundary, &field.name, None, declared);
                whole.push_str(value);
                whole.push_str(multipart::AFTER_FIELD);
                content += value.len() as u64;
                guard.sent.fetch_add(value.len() as u64, Ordering::Relaxed);
                length += whole.len() as u64;
                pieces.push(text(whole));
            }
            FieldValue::File(reference) => {
                let upload = files.open(reference).await?;
                let (name, own) = (upload.name.as_str(), upload.content_type.as_str());
                let content_type = declared.unwrap_or(own);
                let head =
                    multipart::part_head(&boundary, &field.name, Some(name), Some(content_type));
                let size = upload.size.unwrap_or_default();
                known &= upload.size.is_some();
                content += size;
                of_files += size;
                length += head.len() as u64 + size + multipart::AFTER_FIELD.len() as u64;
                pieces.push(text(head));
                pieces.push(guard.watch(upload));
                pieces.push(text(multipart::AFTER_FIELD.to_owned()));
            }
        }
        guard.check(content)?;
    }
    let end = multipart::closing_boundary(&boundary);
    length += end.len() as u64;
    pieces.push(text(end));
    let content_type = format!("multipart/form-data; boundary={boundary}");
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        request.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    set_length(request, known.then_some(length));
    Ok((stream::iter(pieces).flatten().boxed(), known.then_some(of_files)))
}

/// Says how long the body is; without, it goes out in chunks.
fn set_length(request: &mut reqwest::Request, length: Option<u64>) {
    if let Some(length) = length {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Watches the bytes of files go by.
struct UploadGuard {
    limit: Option<BodyLimit>,
    /// The bytes of all files so far.
    sent: Arc<AtomicU64>,
    fault: UploadFault,
    activity: UploadActivity,
}

impl UploadGuard {
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
    fn watch(&self, upload: FileUpload) -> ByteStream {
        let Self { limit, sent, fault, activity } = self;
        let (limit, sent, fault) = (limit.clone(), Arc::clone(sent), fault.clone());
        let activity = activity.clone();
        let FileUpload { stream, name, .. } = upload;
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
        let activity = UploadActivity::default();
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
