//! Messages of another protocol that go over HTTP to one URL: whoever sends them reads the answers as they
//! come, for as long as somebody waits.

use dadl_descriptor::model::{ErrorRules, RequestMethod, RetryStrategy};
use http::{HeaderName, HeaderValue};
use url::Url;

use super::{AnswerMode, Backend, ExchangeError, HttpExchange};
use crate::{
    call::{CallChannel, CallPlan, PlannedBody},
    files::FileStore,
    http::{client::ClientPurpose, retry::RetryRules, upload::UploadActivity},
};

/// One message, or a question for more of them.
pub(crate) struct HttpMessage {
    /// The method.
    pub(crate) method: RequestMethod,
    /// The whole URL; one of another origin than the backend's is refused.
    pub(crate) url: Url,
    /// The header fields; they go before the operator's.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, if it has one.
    pub(crate) body: Option<Vec<u8>>,
}

impl Backend {
    /// Sends a message as calls are sent: with the credential, within the limits of the backend, and again
    /// where nothing of it can have arrived. How long the answer may take is for the caller to say.
    ///
    /// # Errors
    ///
    /// See [`ExchangeError`].
    pub(crate) async fn send_message(
        &self,
        message: HttpMessage,
        files: &FileStore,
    ) -> Result<HttpExchange, ExchangeError> {
        let HttpMessage { method, url, headers, body } = message;
        let retry = RetryStrategy { max_retries: 1, ..RetryStrategy::default() };
        let errors = ErrorRules { retry, ..ErrorRules::default() };
        let rules = RetryRules { errors: &errors, method, retry_unsafe: false, is_patient: false };
        let plan = CallPlan {
            method,
            url,
            headers,
            body: body.map_or(PlannedBody::None, PlannedBody::Bytes),
            limit: None,
            door: CallChannel::Mcp,
            credential_optional: false,
            shown: None,
        };
        let how = (AnswerMode::Stream, files, &UploadActivity::default());
        self.send_by(ClientPurpose::Messages, &plan, rules, how).await
    }
}
