//! The health check: one request, and a result of the same shape whatever comes of it (DADL 0.2,
//! section 4.6). It never fails; what went wrong is in the result.

use std::time::{Duration, Instant, SystemTime};

use dadl_descriptor::model::HealthCheck;
use dadl_text::json::cost;
use serde_json::{Map, Value};

use super::{
    CallContext, CallError, Executor,
    media::{is_foreign_page, label, page_error},
    result::DecodedAnswer,
    send::{look_rules, refused_answer},
    step::{CallMeans, RequestStep},
};
use crate::{
    gate::Admitted,
    http::{
        backend::{AnswerMode, BackendRefusal, HttpExchange},
        error::SendErrorKind,
    },
    outcome::{AnswerPayload, CallOutcome, HeldMemory, JsonText, timestamp},
    response::media::{AnswerSubject, DeclaredMedia},
};

/// How a backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// Whether it answers as the descriptor expects, with the credential.
    pub ok: bool,
    /// The status of its answer, when it answered.
    pub http_status: Option<u16>,
    /// What kept it from answering: `dns_error`, `tls_error`, `connection_refused`, `timeout` and
    /// `protocol_error` are the specification's, `rate_limited` and `not_configured` ours.
    pub error_code: Option<&'static str>,
    /// How long the check took.
    pub latency: Duration,
    /// When it began: RFC 3339 in UTC.
    pub checked_at: String,
    /// When the credential expires, in the same form, when the backend says it.
    pub auth_expires_at: Option<String>,
    /// Why it is not well.
    pub error: Option<String>,
    /// Whether it refused the credential.
    pub is_refused: bool,
}

impl HealthReport {
    /// Returns the standardized result.
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("ok".to_owned(), self.ok.into());
        if let Some(status) = self.http_status {
            json.insert("http_status".to_owned(), status.into());
        }
        if let Some(code) = self.error_code {
            json.insert("error_code".to_owned(), code.into());
        }
        let latency = u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX);
        json.insert("latency_ms".to_owned(), latency.into());
        json.insert("checked_at".to_owned(), self.checked_at.clone().into());
        for (key, text) in [("auth_expires_at", &self.auth_expires_at), ("error", &self.error)] {
            if let Some(text) = text {
                json.insert(key.to_owned(), text.clone().into());
            }
        }
        Value::Object(json)
    }
}

impl From<HealthReport> for CallOutcome {
    fn from(report: HealthReport) -> Self {
        let payload = AnswerPayload::Json(JsonText::from(&report.to_json()));
        let status = report.http_status.unwrap_or_default();
        Self { status, payload, notes: Vec::new(), next: None, held: HeldMemory::default() }
    }
}

/// What a check has found so far; kept when the time is over.
#[derive(Debug, Default)]
struct HealthFindings {
    http_status: Option<u16>,
    auth_expires_at: Option<String>,
    is_refused: bool,
}

impl Executor {
    /// Makes a health check; `None` when the call is another.
    pub async fn check_health(&self, call: &Admitted<'_>) -> Option<HealthReport> {
        match call.entry().health() {
            Some(health) => Some(self.health(call, health).await),
            None => None,
        }
    }

    /// Makes the health check `health`, which is that of `call`.
    async fn health(&self, call: &Admitted<'_>, health: &HealthCheck) -> HealthReport {
        let checked_at = timestamp::rfc3339(SystemTime::now());
        let started = Instant::now();
        let mut found = HealthFindings::default();
        let failure = self.probe(call, health, &mut found).await.err();
        let latency = started.elapsed();
        let HealthFindings { http_status, auth_expires_at, is_refused } = found;
        let (error_code, error) = match failure {
            None => (None, None),
            Some(BackendFault { code, text }) => {
                (code.filter(|_| http_status.is_none()), Some(text))
            }
        };
        let ok = error.is_none();
        HealthReport {
            ok,
            http_status,
            error_code,
            latency,
            checked_at,
            auth_expires_at,
            error,
            is_refused,
        }
    }

    /// Sends the request and looks at the answer, within the time of the check.
    async fn probe(
        &self,
        call: &Admitted<'_>,
        health: &HealthCheck,
        found: &mut HealthFindings,
    ) -> Result<(), BackendFault> {
        let backend = self.backend(call.entry())?;
        let plan = self.plan(call, &health.tool, backend)?;
        // It takes no turn, and is nobody's in particular.
        let context = CallContext::default();
        let means = CallMeans::new(self, backend, &context);
        let step = means.step(call, &health.tool, &plan);
        let bound = health.timeout.min(backend.settings().timeouts.call);
        let timed_out = |_| {
            let kind = SendErrorKind::Timeout { bound: "timeout of the check", after: bound };
            CallError::Send(backend.failed(&plan, kind))
        };
        tokio::time::timeout(bound, step.check(health, found)).await.map_err(timed_out)?
    }
}

/// What is wrong with a backend.
struct BackendFault {
    /// What kept it from answering.
    code: Option<&'static str>,
    /// A sentence.
    text: String,
}

impl BackendFault {
    /// One of an answer.
    fn answered(text: String) -> Self {
        Self { code: None, text }
    }
}

impl From<CallError> for BackendFault {
    fn from(error: CallError) -> Self {
        Self { code: Some(error_code(&error)), text: error.to_string() }
    }
}

impl RequestStep<'_> {
    /// Sends the request of the check `health` and looks at the answer.
    async fn check(
        self,
        health: &HealthCheck,
        found: &mut HealthFindings,
    ) -> Result<(), BackendFault> {
        let Self { executor, backend, tool, plan, activity, .. } = self;
        let sent = backend
            .send(plan, look_rules(tool), AnswerMode::Whole, &executor.files, activity)
            .await;
        let exchange = sent.map_err(CallError::from)?;
        let status = exchange.response.status();
        found.http_status = Some(status.as_u16());
        let is_expected = health.expect_status == Some(status.as_u16());
        if !status.is_success() && !is_expected {
            found.is_refused = exchange.refusal == Some(BackendRefusal::Credential);
            let (error, _) = refused_answer(backend, tool, &self.request_line(), exchange).await;
            return Err(BackendFault::answered(error.to_string()));
        }
        if let Some(expected) = health.expect_status.filter(|_| !is_expected) {
            let (request, status) = (self.request_line(), status.as_u16());
            return Err(BackendFault::answered(format!(
                "{request} was answered with HTTP {status}, not {expected}"
            )));
        }
        if is_foreign_page(tool, exchange.response.headers()) {
            let label = label(backend, exchange.response.headers());
            let from = (label.as_deref(), exchange.landed);
            let declared = DeclaredMedia::of(tool, AnswerSubject::Result);
            let error = page_error(backend, declared, self.request_line(), status.as_u16(), from);
            return Err(BackendFault::answered(error.to_string()));
        }
        let looks = health.expect_path.is_some() || health.auth_expires_path.is_some();
        let value = self.value(exchange, looks).await?;
        if looks { self.look(health, value.as_ref(), found) } else { Ok(()) }
    }

    /// Reads the JSON of an answer at which the check `looks`.
    async fn value(
        self,
        exchange: HttpExchange,
        looks: bool,
    ) -> Result<Option<JsonText>, BackendFault> {
        if self.tool.rpc().is_some() {
            // An error comes with the status of a success.
            return match self.answer(exchange).await {
                Ok(DecodedAnswer { payload: AnswerPayload::Json(text), .. }) => Ok(Some(text)),
                Ok(_) => Ok(None),
                Err(CallError::Api(error)) => Err(BackendFault::answered(error.to_string())),
                Err(error) => Err(error.into()),
            };
        }
        if !looks {
            return Ok(None);
        }
        let HttpExchange { response, .. } = exchange;
        let body = self.read(response).await?;
        let read = || {
            let body = self.backend.secrets().body(body.clone());
            std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok())
        };
        Ok(self.room.work(body.len(), read).await)
    }

    /// Looks at what the answer has to have.
    fn look(
        &self,
        health: &HealthCheck,
        value: Option<&JsonText>,
        found: &mut HealthFindings,
    ) -> Result<(), BackendFault> {
        let value = value.map(JsonText::as_str);
        if let (Some(path), Some(value)) = (&health.auth_expires_path, value) {
            // A text that is no point in time may be anything, and is not passed on.
            let found_at = path.look(value).and_then(cost::small);
            found.auth_expires_at = found_at.as_ref().and_then(timestamp::normalize_timestamp);
        }
        let request = || self.request_line();
        match (&health.expect_path, value) {
            (Some(path), Some(value)) if path.look(value).is_none() => {
                let (request, path) = (request(), path.as_str());
                Err(BackendFault::answered(format!(
                    "the answer to {request} has nothing at {path}"
                )))
            }
            (Some(_), None) => {
                Err(BackendFault::answered(format!("the answer to {} is no JSON", request())))
            }
            _ => Ok(()),
        }
    }
}

/// Sorts what kept a backend from answering.
fn error_code(error: &CallError) -> &'static str {
    match error {
        CallError::Send(error) => match &error.kind {
            SendErrorKind::Connect(_) => "connection_refused",
            SendErrorKind::Dns(_) => "dns_error",
            SendErrorKind::PrivateAddress(_) => "not_configured",
            SendErrorKind::RateLimited { .. } => "rate_limited",
            SendErrorKind::Timeout { .. } => "timeout",
            SendErrorKind::Certificate(_) | SendErrorKind::Tls(_) => "tls_error",
            _ => "protocol_error",
        },
        CallError::Login { error, .. } if error.is_transient() => "protocol_error",
        CallError::Argument(_) | CallError::Login { .. } | CallError::Settings { .. } => {
            "not_configured"
        }
        _ => "protocol_error",
    }
}
