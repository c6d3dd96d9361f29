//! A binary answer becomes a file, over several connections if need be.
//!
//! A server that names the version of what it sends, and sends parts of it, lets a transfer go on
//! where it broke off: within the call, and after this process was killed. The request is the same
//! as before, with `Range` and `If-Range` (see `range`), so that a changed file comes whole. From
//! other servers an answer comes whole or not at all.

use std::time::Duration;

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

use super::{
    CallError,
    file_name::file_name,
    peek::header_text,
    preparing,
    range::{self, RangePart, ranged, total},
    step::{RequestStep, timed_out},
};
use crate::{
    config::BackendTimeouts,
    files::{FileError, FileSaving, IncomingFile, SavePurpose, UnfinishedFile},
    http::{backend::HttpExchange, error::SendErrorKind},
    outcome::{AnswerPayload, CallOutcome, CallProgress, HeldMemory, transfer},
};

/// A transfer is continued so many times.
const MOST_RESUMES: u32 = 8;
/// The pause before the first of them; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The bytes of an answer.
type BodyStream = BoxStream<'static, reqwest::Result<bytes::Bytes>>;

/// What the rest of a transfer came as.
enum ResumedBody {
    Part(BodyStream),
    Whole(BodyStream, Option<u64>),
    Refused(String),
}

/// An answer whose body goes to a file, and what is there of it already.
pub(super) struct FileDownload {
    pub(super) exchange: HttpExchange,
    leftover: Option<UnfinishedFile>,
    /// What there is to say about it.
    pub(super) notes: Vec<String>,
}

impl FileDownload {
    /// All of it is to come.
    fn whole(exchange: HttpExchange) -> Self {
        Self { exchange, leftover: None, notes: Vec::new() }
    }
}

impl RequestStep<'_> {
    /// Returns what the file of an answer is called, and what it holds.
    pub(super) fn name_and_type(&self, headers: &HeaderMap) -> (String, String) {
        let content_type = header_text(headers, &header::CONTENT_TYPE)
            .or(self.tool.response.content_type.as_deref())
            .unwrap_or("application/octet-stream");
        let name = file_name(self.call, self.tool, headers, content_type);
        let secrets = self.backend.secrets();
        (secrets.text(&name).into_owned(), secrets.text(content_type).into_owned())
    }

    /// Returns how the file of an answer is saved.
    pub(super) fn incoming<'own>(
        &'own self,
        name: &'own str,
        content_type: &'own str,
        total: Option<u64>,
    ) -> IncomingFile<'own> {
        let settings = self.backend.settings();
        IncomingFile {
            name,
            content_type,
            total,
            ttl: self.tool.response.ttl.or(settings.file_ttl),
            idle: if self.tool.response.binary {
                settings.timeouts.stall
            } else {
                settings.timeouts.read
            },
            purpose: SavePurpose::Kept,
            client: self.room.client(),
        }
    }

    /// Sends the request; when a call before it left a part of its answer, for the rest alone.
    pub(super) async fn send_or_continue(self) -> Result<FileDownload, CallError> {
        let leftover = match self.fingerprint() {
            Some(request) => Box::pin(self.executor.files.leftover(&request)).await,
            None => None,
        };
        match leftover {
            None => self.send().await.map(FileDownload::whole),
            Some(leftover) => Box::pin(self.go_on_with(leftover)).await,
        }
    }

    /// Asks for what a call before this one did not get.
    async fn go_on_with(self, leftover: UnfinishedFile) -> Result<FileDownload, CallError> {
        let offset = leftover.offset();
        let exchange = match ranged(self.plan, offset, &leftover.validator) {
            Some(rest) => self.with(&rest).send().await,
            None => self.send().await,
        };
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(CallError::Api(error)) if error.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                leftover.discard();
                return self.send().await.map(FileDownload::whole);
            }
            // It stays for another call.
            Err(error) => return Err(error),
        };
        match range::range_part(&exchange.response, offset, leftover.total, &leftover.validator) {
            RangePart::Rest => {
                Ok(FileDownload { exchange, leftover: Some(leftover), notes: Vec::new() })
            }
            RangePart::Whole => {
                leftover.discard();
                Ok(FileDownload::whole(exchange))
            }
            RangePart::Other(reason) => {
                tracing::debug!(%reason, "cannot go on with an unfinished file");
                leftover.discard();
                self.send().await.map(FileDownload::whole)
            }
        }
    }

    /// Waits for the first bytes of a body, which may take longer than the pauses between others.
    async fn begun(&self, mut body: BodyStream) -> Result<BodyStream, CallError> {
        let settings = self.backend.settings();
        let bound = settings.timeouts.first_byte;
        let most = (&*settings.name, bound);
        let first = tokio::time::timeout(bound, body.next());
        let first = preparing::observed(self.context.observer, most, Instant::now(), first).await;
        let first = first.map_err(|_| {
            let kind = SendErrorKind::Timeout { bound: "first_byte_timeout", after: bound };
            CallError::Send(self.backend.failed(self.plan, kind))
        })?;
        Ok(stream::iter(first).chain(body).boxed())
    }

    /// Streams a body to a file.
    pub(super) async fn download(self, download: FileDownload) -> Result<CallOutcome, CallError> {
        let FileDownload { exchange: HttpExchange { response, .. }, leftover, notes: told } =
            download;
        let status = match leftover {
            Some(_) => StatusCode::OK,
            None => response.status(),
        };
        let observer = self.context.observer;
        let mut ongoing = ResumableDownload::begin(self, &response, leftover).await?;
        let mut body = self.begun(response.bytes_stream().boxed()).await?;
        loop {
            let Err(error) = ongoing.saving.receive(body, observer).await else { break };
            let FileError::Interrupted { received, reason, .. } = error else {
                return Err(error.into());
            };
            (ongoing, body) = ongoing.go_on(received, reason).await?;
        }
        let ResumableDownload { saving, resumes, mut notes, .. } = ongoing;
        if resumes > 0 {
            let times = if resumes == 1 { "once".to_owned() } else { format!("{resumes} times") };
            notes.push(format!("the connection was lost {times} on the way"));
        }
        notes.extend(told);
        let payload = AnswerPayload::File(saving.finish(observer).await?);
        Ok(CallOutcome {
            status: status.as_u16(),
            payload,
            notes,
            next: None,
            held: HeldMemory::default(),
        })
    }
}

/// A transfer that goes on where it breaks off.
struct ResumableDownload<'call> {
    step: RequestStep<'call>,
    saving: FileSaving,
    /// Names the version that is being transferred; without it, what broke off is lost.
    validator: Option<String>,
    /// How many times it broke off.
    resumes: u32,
    notes: Vec<String>,
}

impl<'call> ResumableDownload<'call> {
    /// Begins with a file, or goes on with what there is of one.
    async fn begin(
        step: RequestStep<'call>,
        response: &reqwest::Response,
        leftover: Option<UnfinishedFile>,
    ) -> Result<Self, CallError> {
        let executor = step.executor;
        let headers = response.headers();
        let (name, content_type) = step.name_and_type(headers);
        let before = leftover.as_ref().map_or(0, UnfinishedFile::offset);
        let total = total(response).and_then(|rest| before.checked_add(rest));
        let incoming = step.incoming(&name, &content_type, total);
        let known = leftover.as_ref().map(|leftover| leftover.validator.clone());
        let validator = known.or_else(|| range::validator(headers));
        let mut notes = Vec::new();
        let mut saving = match leftover {
            Some(leftover) => {
                notes.push(format!(
                    "{} of it were there already, from a call that did not end",
                    transfer::format_size(before)
                ));
                executor.files.resume(incoming, leftover, step.context.observer).await?
            }
            None => executor.files.begin(incoming).await?,
        };
        // Without both, what broke off is lost.
        let validator = match (step.fingerprint(), validator) {
            (Some(request), Some(validator)) => {
                saving.resumable(request, validator.clone());
                Some(validator)
            }
            _ => None,
        };
        Ok(Self { step, saving, validator, resumes: 0, notes })
    }

    /// Asks for what is missing until it comes, or until there is no use in asking.
    async fn go_on(
        mut self,
        received: u64,
        mut reason: String,
    ) -> Result<(Self, BodyStream), CallError> {
        loop {
            let Some(version) = self.validator.clone().filter(|_| self.resumes < MOST_RESUMES)
            else {
                let kept = self.saving.leave();
                return Err(FileError::Interrupted { received, reason, kept }.into());
            };
            let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.resumes));
            self.resumes += 1;
            let message = format!(
                "the connection was lost after {}; going on from there ({})",
                transfer::format_size(received),
                self.resumes
            );
            let progress = CallProgress { done: received, total: self.saving.total(), message };
            self.step.context.observer.progress(progress);
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            match self.rest(&version).await {
                Ok(ResumedBody::Part(rest)) => return Ok((self, rest)),
                Ok(ResumedBody::Whole(whole, total)) => {
                    self.saving.restart(total).await?;
                    self.validator = None;
                    let note = "the server has another version now; it began anew";
                    self.notes.push(note.to_owned());
                    return Ok((self, whole));
                }
                Ok(ResumedBody::Refused(why)) => {
                    // What is there is no beginning of what the server has now.
                    let reason = format!("{reason}; then {why}");
                    return Err(FileError::Interrupted { received, reason, kept: false }.into());
                }
                Err(error) if error.is_unreachable() => reason = error.to_string(),
                Err(error) => {
                    let reason = format!("{reason}; then {error}");
                    let kept = self.saving.leave();
                    return Err(FileError::Interrupted { received, reason, kept }.into());
                }
            }
        }
    }

    /// Asks for what is missing of the version that `validator` names.
    async fn rest(&self, validator: &str) -> Result<ResumedBody, CallError> {
        let Self { step, saving, .. } = self;
        let offset = saving.received();
        let Some(plan) = ranged(step.plan, offset, validator) else {
            return Ok(ResumedBody::Refused("its entity tag is no field value".to_owned()));
        };
        let BackendTimeouts { call, first_byte, .. } = step.backend.settings().timeouts;
        let bound = call.saturating_add(first_byte);
        let sent = tokio::time::timeout(bound, step.with(&plan).send()).await;
        let HttpExchange { response, .. } =
            sent.unwrap_or_else(|_| Err(timed_out(step.backend, &plan)))?;
        Ok(match range::range_part(&response, offset, saving.total(), validator) {
            RangePart::Rest => ResumedBody::Part(response.bytes_stream().boxed()),
            RangePart::Whole => {
                let total = total(&response);
                ResumedBody::Whole(response.bytes_stream().boxed(), total)
            }
            RangePart::Other(reason) => ResumedBody::Refused(reason),
        })
    }
}
