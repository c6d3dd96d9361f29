//! A document that a server has about itself.

use bytes::{Bytes, BytesMut};
use dadl_descriptor::model::{ErrorRules, RequestMethod};
use dadl_text::text::begins_as_page;
use futures_util::StreamExt as _;
use http::{HeaderValue, header::ACCEPT};
use url::Url;

use super::{
    backend::{AnswerMode, Backend, ExchangeError, HttpExchange},
    error::SendError,
    retry::RetryRules,
    upload::UploadActivity,
};
use crate::{
    call::{CallChannel, CallPlan, PlannedBody},
    files::FileStore,
};

/// Why there is no document, in words that follow a colon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentFetchError {
    /// The answer breaks off.
    #[error("{0}")]
    Broken(SendError),
    /// There is no answer.
    #[error("{0}")]
    Exchange(ExchangeError),
    /// The answer to this request has this status.
    #[error("{0} was answered with HTTP {1}")]
    Status(String, u16),
    /// A page came instead, and the base URL may lack this path.
    #[error(
        "{request} was answered with a web page{}",
        .missing.as_ref().map(|path| format!("; is `url` of the backend missing {path}?")).unwrap_or_default()
    )]
    Page {
        /// Method and path.
        request: String,
        /// The path in which base URLs of the API end.
        missing: Option<String>,
    },
    /// It has more bytes than this.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
}

/// Fetches a document of at most `most` bytes, with the credential that `backend` has. How long that may
/// take is for the caller to say.
pub(crate) async fn fetch_document(
    backend: &Backend,
    url: &Url,
    files: &FileStore,
    door: CallChannel,
    most: usize,
) -> Result<Bytes, DocumentFetchError> {
    let accept = HeaderValue::from_static("application/json, application/yaml;q=0.9, */*;q=0.1");
    let plan = CallPlan {
        method: RequestMethod::Get,
        url: url.clone(),
        headers: vec![(ACCEPT, accept)],
        body: PlannedBody::None,
        limit: None,
        door,
        credential_optional: backend.is_credential_optional(),
        shown: None,
    };
    let errors = ErrorRules::default();
    let rules = RetryRules {
        errors: &errors,
        method: RequestMethod::Get,
        retry_unsafe: false,
        is_patient: false,
    };
    let sent =
        backend.send(&plan, rules, AnswerMode::Whole, files, &UploadActivity::default()).await;
    let HttpExchange { response, .. } = sent.map_err(DocumentFetchError::Exchange)?;
    let request = backend.request_line(&plan);
    if !response.status().is_success() {
        return Err(DocumentFetchError::Status(request, response.status().as_u16()));
    }
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let broken = |error| DocumentFetchError::Broken(backend.failure(&plan, &error));
        let piece = piece.map_err(broken)?;
        if body.len() + piece.len() > most {
            return Err(DocumentFetchError::TooLarge(most));
        }
        body.extend_from_slice(&piece);
    }
    if begins_as_page(&body) {
        let missing = backend.missing_path().map(str::to_owned);
        return Err(DocumentFetchError::Page { request, missing });
    }
    Ok(backend.masked(body.freeze()).await)
}
