//! One backend: its base URL, its client, its credential.

mod credential;
mod message;

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use dadl_descriptor::model::{RequestMethod, RequestRate, switch::McpSwitch};
use dadl_text::text::cut_text;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Client;
use tokio::time::Instant;
use url::Url;

pub(crate) use self::message::HttpMessage;
use super::{
    answer_start::peek_body,
    auth::{AppliedCredential, Authenticator},
    backend_origin::BackendOrigin,
    client::ClientPurpose,
    client_error::ClientError,
    connection_guard::ConnectionGuard,
    error::{SendError, SendErrorKind},
    expect_continue::HeldSending,
    login::LoginError,
    rate_limiter::RateLimiter,
    redirect::{self, MOST_REDIRECTS},
    retry::RetryRules,
    upload::{self, AttachedBody, BodyTooLarge, UploadActivity, UploadError},
    wire_method,
};
use crate::{
    call::{BaseUrl, CallChannel, CallPlan, PlannedBody},
    config::{BackendSettings, BackendTimeouts},
    files::{FileError, FileStore},
    secrets::Secrets,
};

/// So much is told of a path to which a server led.
const MOST_PATH: usize = 100;

/// A body of this size is masked where that holds up nobody.
const LARGE: usize = 256 * 1024;

/// One API at one place.
#[derive(Debug)]
pub struct Backend {
    settings: BackendSettings,
    base: BaseUrl,
    guard: ConnectionGuard,
    authenticator: Authenticator,
    own: BackendOrigin,
    /// Where else requests go, on the operator's word.
    others: Vec<BackendOrigin>,
    pacer: RateLimiter,
    switch: Option<McpSwitch>,
    /// The path in which base URLs of the API end.
    base_path: Option<String>,
}

/// Why no answer is there to be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExchangeError {
    /// The caller: the body is larger than the tool allows.
    #[error(transparent)]
    BodyTooLarge(#[from] BodyTooLarge),
    /// The operator: the client cannot be built.
    #[error("backend \"{0}\": {1}")]
    Client(String, ClientError),
    /// The caller: the file to be sent cannot be.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no credential to send; nothing was sent.
    #[error("backend \"{0}\": {1}")]
    Login(String, Box<LoginError>),
    /// The request brought no answer.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl From<UploadError> for ExchangeError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::File(error) => Self::File(error),
            UploadError::TooLarge(error) => Self::BodyTooLarge(error),
        }
    }
}

/// An answer whose body nobody has read yet.
pub(crate) struct HttpExchange {
    /// The answer.
    pub(crate) response: reqwest::Response,
    /// How many requests were sent, redirects not counted.
    pub(crate) attempts: u32,
    /// What `Retry-After` said.
    pub(crate) retry_after: Option<Duration>,
    /// Why the backend refuses whatever is asked, when it does.
    pub(crate) refusal: Option<BackendRefusal>,
    /// The path to which redirects led.
    pub(crate) landed: Option<String>,
    /// Ends the body of the request, if it is still being sent, when this is dropped.
    pub(crate) _sending: HeldSending,
}

/// How an answer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerMode {
    /// It is read to its end before anybody sees it.
    Whole,
    /// Item by item, as it comes.
    Stream,
    /// It goes to a file.
    File,
}

/// How an answer is taken, where the files of the request are, and what counts their bytes.
type SendContext<'call> = (AnswerMode, &'call FileStore, &'call UploadActivity);

/// Why a backend refuses, whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendRefusal {
    /// It does not accept the credential.
    Credential,
    /// Its administrator has turned MCP off.
    SwitchedOff,
}

impl HttpExchange {
    /// Reads the start of the answer, and gives one that begins with it and has no more.
    pub(crate) async fn peeked(self, silence: Duration) -> (Bytes, Self) {
        let (start, response) = peek_body(self.response, silence).await;
        (start, Self { response, ..self })
    }
}

impl Backend {
    /// Puts a backend together; nothing is sent or read yet.
    pub fn new(settings: BackendSettings, base: BaseUrl, authenticator: Authenticator) -> Self {
        for (name, value) in &settings.headers {
            if let Ok(value) = value.to_str() {
                authenticator.secrets().add_field(name.as_str(), value);
            }
        }
        // Whoever writes a base URL into a program vouches for it; `App` says more precisely.
        let reach = settings.reach(base.as_url(), None).covering(base.as_url());
        let guard = ConnectionGuard::new(reach);
        let own = BackendOrigin::own(&base);
        let others = BackendOrigin::others(&settings.policy.origins, &base);
        Self {
            settings,
            base,
            guard,
            authenticator,
            own,
            others,
            pacer: RateLimiter::default(),
            switch: None,
            base_path: None,
        }
    }

    /// Returns a client of the same place without the credential. What the operator adds to each request
    /// stays.
    pub(crate) fn without_credential(&self) -> Self {
        let plain = Self::new(self.settings.clone(), self.base.clone(), Authenticator::none());
        plain
            .with_guard(self.guard.clone())
            .with_pace(self.pacer.pace())
            .with_switch(self.switch.clone())
            .with_base_path(self.base_path.clone())
    }

    /// Tells the API which calls come through MCP.
    #[must_use]
    pub fn with_switch(self, switch: Option<McpSwitch>) -> Self {
        Self { switch, ..self }
    }

    /// Knows in which path base URLs of the API end.
    #[must_use]
    pub fn with_base_path(self, base_path: Option<String>) -> Self {
        Self { base_path, ..self }
    }

    /// Returns the path in which base URLs of the API end, where this one does not.
    pub fn missing_path(&self) -> Option<&str> {
        self.base_path.as_deref().filter(|path| !self.base.ends_in(path))
    }

    /// Keeps within `pace`, whatever the answers say.
    #[must_use]
    pub fn with_pace(self, pace: Option<RequestRate>) -> Self {
        Self { pacer: RateLimiter::new(pace), ..self }
    }

    /// Connects where `guard` says; without this, to the base URL and to what is public.
    #[must_use]
    pub fn with_guard(self, guard: ConnectionGuard) -> Self {
        Self { guard, ..self }
    }

    /// Returns the settings.
    pub fn settings(&self) -> &BackendSettings {
        &self.settings
    }

    /// Returns the base URL.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Returns what adds the credential.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Returns the secrets that are in use.
    pub fn secrets(&self) -> &Secrets {
        self.authenticator.secrets()
    }

    /// Takes the secrets out of a body, before anything reads it.
    pub(crate) async fn masked(&self, body: Bytes) -> Bytes {
        if body.len() < LARGE {
            return self.secrets().body(body);
        }
        let (secrets, kept) = (self.secrets().clone(), body.clone());
        let masked = crate::spawn::blocking(move || secrets.body(kept)).await;
        // It ends early only when the process does.
        masked.unwrap_or_default()
    }

    /// Sends `plan`, following redirects and repeating as `rules` allow.
    pub(crate) async fn send(
        &self,
        plan: &CallPlan,
        rules: RetryRules<'_>,
        taken: AnswerMode,
        files: &FileStore,
        activity: &UploadActivity,
    ) -> Result<HttpExchange, ExchangeError> {
        let plan = &*upload::settled(plan, files).await;
        let purpose = match (upload::is_streamed(&plan.body), taken) {
            (true, _) => ClientPurpose::Lasting,
            (false, AnswerMode::File) => ClientPurpose::Downloads,
            (false, AnswerMode::Stream | AnswerMode::Whole) => ClientPurpose::Answers,
        };
        self.send_by(purpose, plan, rules, (taken, files, activity)).await
    }

    /// Sends `plan` for an answer without an end: the pause between two pieces has no bound.
    pub(crate) async fn send_for_stream(
        &self,
        plan: &CallPlan,
        rules: RetryRules<'_>,
        files: &FileStore,
    ) -> Result<HttpExchange, ExchangeError> {
        let plan = &*upload::settled(plan, files).await;
        self.send_by(
            ClientPurpose::Lasting,
            plan,
            rules,
            (AnswerMode::Stream, files, &UploadActivity::default()),
        )
        .await
    }

    async fn send_by(
        &self,
        purpose: ClientPurpose,
        plan: &CallPlan,
        rules: RetryRules<'_>,
        how: SendContext<'_>,
    ) -> Result<HttpExchange, ExchangeError> {
        let place = self.place(plan)?;
        let client = &self.client(place, purpose)?;
        let mut applied = self.applied_to(place, plan).await?;
        let headers = self.headers(place, plan, how.0);
        let started = Instant::now();
        let outlasts = |pause: Duration| {
            started.elapsed().saturating_add(pause) >= self.settings.timeouts.call
        };
        let mut attempts = 0;
        let mut renewed = false;
        loop {
            if let Err(wait) = self.paced(place, rules.is_patient, outlasts).await {
                let error = self.failed(plan, SendErrorKind::RateLimited { wait });
                return Err(SendError { attempts, ..error }.into());
            }
            attempts += 1;
            let sent = Instant::now();
            let outcome = self.attempt(client, plan, &headers, &applied, how).await;
            let (outcome, refusal) = self.refusal(place, outcome).await;
            let is_refused = refusal == Some(BackendRefusal::Credential);
            self.log(plan, &outcome, sent.elapsed());
            if let (Ok((LocatedAnswer { response, .. }, _)), Some(limit)) =
                (&outcome, &rules.errors.rate_limit)
            {
                place.throttle.observe(response.status(), response.headers(), limit);
            }
            let has_another =
                self.authenticator.renews() || self.authenticator.is_renewed(&applied);
            if !renewed && is_refused && has_another {
                // The backend did nothing but refuse, so that any method may be repeated: once.
                renewed = true;
                self.authenticator.forget(&applied);
                drop(outcome);
                applied = self.applied_to(place, plan).await?;
                continue;
            }
            let retry = attempts - 1 - u32::from(renewed);
            // Of what somebody has decided, nothing passes.
            let may_pass = refusal != Some(BackendRefusal::SwitchedOff);
            let pause = may_pass.then(|| pause_after(&outcome, rules, retry)).flatten();
            // A pause that would outlast the whole call is no help: the caller learns when to
            // come back instead.
            let pause = pause.filter(|pause| !outlasts(*pause));
            if let Some(pause) = pause {
                tracing::debug!(backend = %self.settings.name, attempts, "waiting to try again");
                drop(outcome);
                tokio::time::sleep(pause).await;
                continue;
            }
            return match outcome {
                Ok((LocatedAnswer { response, url }, sending)) => {
                    if is_refused {
                        self.authenticator.forget(&applied);
                    } else if refusal.is_none() && place.is_own {
                        let status = response.status();
                        self.authenticator.observe(status, response.headers(), &url);
                    }
                    let retry_after = rules.retry_after(response.headers());
                    let landed = self.landed(plan, &url);
                    let _sending = sending;
                    Ok(HttpExchange { response, attempts, retry_after, refusal, landed, _sending })
                }
                Err(ExchangeError::Send(error)) => Err(SendError { attempts, ..error }.into()),
                Err(error) => Err(error),
            };
        }
    }

    /// Waits until the limits of a place let a request go; one that would outlast the call is the error.
    async fn paced(
        &self,
        place: &BackendOrigin,
        is_patient: bool,
        outlasts: impl Fn(Duration) -> bool,
    ) -> Result<(), Duration> {
        let count = || {
            let pacer = &self.pacer;
            if is_patient { pacer.count_patient_request() } else { pacer.count_request() }
        };
        while let Some(wait) = place.throttle.wait().or_else(|| count().err()) {
            if outlasts(wait) {
                return Err(wait);
            }
            let ms = wait.as_millis();
            tracing::debug!(backend = %self.settings.name, ms, "waiting for the rate limit");
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Returns why an answer refuses whatever is asked, and the answer. One that may do so by its
    /// body is read for that.
    async fn refusal(
        &self,
        place: &BackendOrigin,
        outcome: AttemptOutcome,
    ) -> (AttemptOutcome, Option<BackendRefusal>) {
        let (LocatedAnswer { response, url }, sending) = match outcome {
            Ok(answer) => answer,
            Err(error) => return (Err(error), None),
        };
        if !place.has_credential {
            // It was asked for nothing that this backend has.
            return (Ok((LocatedAnswer { response, url }, sending)), None);
        }
        let status = response.status();
        let off = self.switch.as_ref().filter(|_| place.is_own);
        let off = off.and_then(|switch| switch.off.as_ref());
        let off = off.filter(|rule| rule.may_be(status.as_u16()));
        let refused = self.authenticator.refused().filter(|rule| rule.may_be(status.as_u16()));
        if off.is_none() && refused.is_none() {
            let is_refused = status == http::StatusCode::UNAUTHORIZED;
            let refusal = is_refused.then_some(BackendRefusal::Credential);
            return (Ok((LocatedAnswer { response, url }, sending)), refusal);
        }
        let peeked = Box::pin(peek_body(response, self.settings.timeouts.read));
        let (body, response) = peeked.await;
        let refusal = if off.is_some_and(|rule| rule.says(&body)) {
            Some(BackendRefusal::SwitchedOff)
        } else {
            refused.is_some_and(|rule| rule.says(&body)).then_some(BackendRefusal::Credential)
        };
        (Ok((LocatedAnswer { response, url }, sending)), refusal)
    }

    /// Returns where a request goes. The gate admits no call of a tool at another place; this is what
    /// stands behind it.
    fn place(&self, plan: &CallPlan) -> Result<&BackendOrigin, ExchangeError> {
        let others = || self.others.iter().find(|place| place.has(&plan.url));
        let place = Some(&self.own).filter(|own| own.has(&plan.url)).or_else(others);
        place.ok_or_else(|| {
            let origin = plan.url.origin().ascii_serialization();
            self.failed(plan, SendErrorKind::OtherOrigin { origin }).into()
        })
    }

    /// Returns the client of `place` for `purpose`.
    fn client(
        &self,
        place: &BackendOrigin,
        purpose: ClientPurpose,
    ) -> Result<Client, ExchangeError> {
        let client = place.client(&self.settings, &self.guard, purpose);
        client.map_err(|error| ExchangeError::Client(self.settings.name.clone(), error))
    }

    /// Sends one request and follows its redirects.
    async fn attempt(
        &self,
        client: &Client,
        plan: &CallPlan,
        headers: &HeaderMap,
        applied: &AppliedCredential,
        (taken, files, activity): SendContext<'_>,
    ) -> AttemptOutcome {
        let mut may_expect = true;
        let mut url = plan.url.clone();
        let mut method = plan.method;
        let mut body = &plan.body;
        let files = &files.of_backend(&self.settings.file_hosts);
        for _ in 0..=MOST_REDIRECTS {
            let mut target = url.clone();
            let mut fields = headers.clone();
            applied.apply(&mut target, &mut fields);
            if *body == PlannedBody::None {
                fields.remove(header::CONTENT_TYPE);
            }
            let mut request = reqwest::Request::new(wire_method(method), target);
            *request.headers_mut() = fields;
            // Made anew for each attempt: a stream cannot be rewound.
            let limit = plan.limit.as_ref();
            let attached =
                upload::attach_body(&mut request, body, limit, files, activity, may_expect).await?;
            let AttachedBody { fault, sending, expects } = attached;
            let answer = client.execute(request);
            let response = match self.answered(plan, taken, activity, answer).await? {
                Ok(response) => response,
                Err(error) => {
                    return Err(match fault.take() {
                        Some(fault) => fault.into(),
                        None => self.failure(plan, &error).into(),
                    });
                }
            };
            if expects && response.status() == http::StatusCode::EXPECTATION_FAILED {
                // RFC 9110, section 15.5.18: the same request without it.
                may_expect = false;
                continue;
            }
            let status = response.status().as_u16();
            let hop =
                redirect::follow_redirect(status, response.headers(), &url, response.url(), method)
                    .map_err(|kind| self.failed(plan, kind))?;
            let Some(hop) = hop else {
                // Nobody wants the rest of a body that was refused.
                let sending =
                    if response.status().is_success() { sending } else { HeldSending::default() };
                return Ok((LocatedAnswer { response, url }, sending));
            };
            if hop.becomes_get {
                // The method that was called would be lost.
                if matches!(plan.body, PlannedBody::Rpc(_)) {
                    let status = response.status().as_u16();
                    return Err(self.failed(plan, SendErrorKind::RedirectUnsafe { status }).into());
                }
                method = RequestMethod::Get;
                body = &PlannedBody::None;
            }
            url = hop.url;
        }
        Err(self.failed(plan, SendErrorKind::RedirectLoop).into())
    }

    /// Waits for the head of an answer: of a file for as long as preparing it may take, behind an upload
    /// for as long as bytes move, and else for as long as the client does.
    async fn answered<T>(
        &self,
        plan: &CallPlan,
        taken: AnswerMode,
        activity: &UploadActivity,
        answer: impl Future<Output = T>,
    ) -> Result<T, SendError> {
        let BackendTimeouts { connect, read, first_byte, .. } = self.settings.timeouts;
        let (bound, after) = match taken {
            AnswerMode::File => ("first_byte_timeout", first_byte),
            AnswerMode::Stream | AnswerMode::Whole => ("read_timeout", read),
        };
        let most = connect.saturating_add(after);
        let answer = match (upload::is_streamed(&plan.body), taken) {
            (true, _) => activity.timeout(most, answer).await,
            (false, AnswerMode::File) => tokio::time::timeout(after, answer).await.ok(),
            (false, AnswerMode::Stream | AnswerMode::Whole) => Some(answer.await),
        };
        answer.ok_or_else(|| self.failed(plan, SendErrorKind::Timeout { bound, after }))
    }

    /// Writes what was asked and how it went; neither arguments nor header fields.
    fn log(&self, plan: &CallPlan, outcome: &AttemptOutcome, elapsed: Duration) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (backend, request) = (&self.settings.name, self.request_line(plan));
        let ms = elapsed.as_millis();
        match outcome {
            Ok((LocatedAnswer { response, .. }, _)) => {
                let status = response.status().as_u16();
                tracing::debug!(%backend, %request, status, ms, "answered");
            }
            Err(error) => tracing::debug!(%backend, %request, %error, ms, "failed"),
        }
    }

    /// Returns what a call through `door` tells the API about itself.
    fn marks(&self, door: CallChannel) -> &[(HeaderName, HeaderValue)] {
        match (door, &self.switch) {
            (CallChannel::Mcp, Some(switch)) => &switch.headers,
            _ => &[],
        }
    }

    /// Merges the operator's header fields, which stay with the credential, with those of the plan,
    /// which win, and with what tells the API where the call comes from, which wins over all.
    fn headers(&self, place: &BackendOrigin, plan: &CallPlan, taken: AnswerMode) -> HeaderMap {
        let own = self.settings.headers.iter().filter(|_| place.has_credential);
        let mut headers: HeaderMap = own.cloned().collect();
        for (name, value) in &plan.headers {
            let set = headers.get(name).filter(|_| *name == header::COOKIE);
            // Those of the operator come first and stay.
            let joined = set.and_then(|set| {
                let cookies = [set.as_bytes(), b"; ", value.as_bytes()].concat();
                let mut joined = HeaderValue::from_bytes(&cookies).ok()?;
                joined.set_sensitive(set.is_sensitive() || value.is_sensitive());
                Some(joined)
            });
            headers.insert(name.clone(), joined.unwrap_or_else(|| value.clone()));
        }
        if taken != AnswerMode::Whole {
            // What is saved should be what the backend has, byte for byte; and what compresses a
            // stream holds its items back.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        for (name, value) in self.marks(plan.door) {
            headers.insert(name, value.clone());
        }
        headers
    }

    /// Names the request that failed.
    pub(crate) fn failure(&self, plan: &CallPlan, error: &reqwest::Error) -> SendError {
        let BackendTimeouts { connect, read, .. } = self.settings.timeouts;
        self.failed(plan, SendErrorKind::from_reqwest(error, connect, read))
    }

    /// Names the request that failed for `kind`.
    pub(crate) fn failed(&self, plan: &CallPlan, kind: SendErrorKind) -> SendError {
        let kind = match kind {
            SendErrorKind::RedirectElsewhere { target } => {
                let target = self.secrets().text(&target).into_owned();
                SendErrorKind::RedirectElsewhere { target }
            }
            kind => kind,
        };
        let request = self.request_line(plan);
        SendError { backend: self.settings.name.clone(), request, kind, attempts: 1 }
    }

    /// Returns the path of `url`, without its query, as it may be shown, where that is not what was
    /// planned. One that has files in it is not shown.
    fn landed(&self, plan: &CallPlan, url: &Url) -> Option<String> {
        let is_elsewhere = *url != plan.url && plan.shown.is_none();
        is_elsewhere.then(|| cut_text(&self.secrets().text(url.path()), MOST_PATH).into_owned())
    }

    /// Returns `GET /vms/x`: the method and the path below the base URL, without the query, or the whole
    /// URL where it is at another host; behind them the name of a JSON-RPC method.
    pub(crate) fn request_line(&self, plan: &CallPlan) -> String {
        let url = plan.shown.as_deref().unwrap_or(&plan.url);
        let path = if self.own.has(url) {
            Cow::Borrowed(self.base.relative_path(url))
        } else {
            let origin = url.origin().ascii_serialization();
            Cow::Owned(format!("{origin}{}", url.path()))
        };
        let line = format!("{} {path}", plan.method);
        match &plan.body {
            PlannedBody::Rpc(call) => format!("{line} {call}"),
            _ => line,
        }
    }
}

/// An answer, and where it came from after all redirects.
struct LocatedAnswer {
    response: reqwest::Response,
    url: Url,
}

/// What one request came to.
type AttemptOutcome = Result<(LocatedAnswer, HeldSending), ExchangeError>;

/// Returns how long to wait before retry number `retry`; `None` when there is none.
fn pause_after(outcome: &AttemptOutcome, rules: RetryRules<'_>, retry: u32) -> Option<Duration> {
    match outcome {
        Ok((LocatedAnswer { response, .. }, _)) => {
            let repeats = rules.repeats_status(response.status().as_u16());
            repeats.then(|| rules.delay(retry, rules.retry_after(response.headers()))).flatten()
        }
        Err(ExchangeError::Send(error)) => {
            rules.repeats_failure(&error.kind).then(|| rules.delay(retry, None)).flatten()
        }
        Err(_) => None,
    }
}

/// Why there is no credential.
enum CredentialUnready {
    Client(ExchangeError),
    Login(LoginError),
}

impl From<LoginError> for CredentialUnready {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}
