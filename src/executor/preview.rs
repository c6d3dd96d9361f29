//! Reads what a person is shown of the thing that a dangerous call is about.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{CallContext, Executor};
use crate::{
    gate::{
        PendingCall,
        preview::{CallPreview, PREVIEW_FRESH, PreviewLook, PreviewRead},
    },
    outcome::AnswerPayload,
    shares::ClientKey,
};

/// A person does not wait longer to be asked.
const TIME: Duration = Duration::from_secs(5);

/// What a person is shown, and when it was read.
#[derive(Debug)]
pub(crate) struct TimedPreview {
    /// What is shown.
    pub preview: CallPreview,
    at: Instant,
}

impl Executor {
    /// Reads what a person is shown before `pending`, for this client. What cannot be read says so.
    pub(crate) async fn preview(
        &self,
        pending: &PendingCall<'_>,
        client: &ClientKey,
    ) -> CallPreview {
        let looks = pending.preview_looks().into_iter().map(|look| self.preview_read(look, client));
        CallPreview::new(join_all(looks).await)
    }

    async fn preview_read(&self, look: PreviewLook<'_>, client: &ClientKey) -> PreviewRead {
        let PreviewLook { rule, tool, call } = look;
        let call = match call {
            Ok(call) => call,
            Err(reason) => return PreviewRead::failed(tool, reason),
        };
        // A composite goes on without what it cannot read, and says so.
        let is_composite = call.entry().tool().is_none();
        let context = CallContext::default().of(client.clone());
        match timeout(TIME, Box::pin(self.execute(call, &context))).await {
            Ok(Ok(outcome)) => match &outcome.payload {
                AnswerPayload::Json(text) => {
                    let read = PreviewRead::of(tool, rule, text.as_str());
                    let read = if outcome.next.is_some() { read.part(rule) } else { read };
                    if is_composite { read.noted(outcome.notes.clone()) } else { read }
                }
                _ => PreviewRead::failed(tool, "the answer is no JSON".to_owned()),
            },
            Ok(Err(error)) => PreviewRead::failed(tool, error.to_string()),
            Err(_) => PreviewRead::failed(tool, format!("no answer within {} s", TIME.as_secs())),
        }
    }
}

impl TimedPreview {
    /// Reads it.
    pub(crate) async fn read(
        executor: &Executor,
        pending: &PendingCall<'_>,
        client: &ClientKey,
    ) -> Self {
        let at = Instant::now();
        Self { preview: executor.preview(pending, client).await, at }
    }

    /// Reads it again, when a person has taken so long that it may be otherwise; `None` when what they
    /// have seen counts.
    pub(crate) async fn changed(
        &self,
        executor: &Executor,
        pending: &PendingCall<'_>,
        client: &ClientKey,
    ) -> Option<Self> {
        if !pending.has_preview() || self.at.elapsed() <= PREVIEW_FRESH {
            return None;
        }
        let Self { preview, at } = Self::read(executor, pending, client).await;
        let is_other = preview.digest() != self.preview.digest();
        is_other.then(|| Self { preview: preview.renewed(), at })
    }
}
