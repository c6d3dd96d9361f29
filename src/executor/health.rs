//! The health check: one request, and a result of the same shape whatever comes of it (DADL 0.2,
//! section 4.6). It never fails; what went wrong is in the result.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value};

use super::{
    CallError, Executor, Target, refusal,
    result::{Answer, end_of_call},
};
use crate::{
    call,
    descriptor::model::Health,
    gate::Admitted,
    http::{
        backend::{Exchange, Refusal},
        error::SendErrorKind,
        retry::RetryRules,
        upload::Activity,
    },
    json::cost,
    outcome::{Held, JsonText, Outcome, Payload, timestamp},
    shares::Client,
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

impl From<HealthReport> for Outcome {
    fn from(report: HealthReport) -> Self {
        let payload = Payload::Json(JsonText::from(&report.to_json()));
        let status = report.http_status.unwrap_or_default();
        Self { status, payload, notes: Vec::new(), next: None, held: Held::default() }
    }
}

/// What a check has found so far; kept when the time is over.
#[derive(Debug, Default)]
struct Found {
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
    async fn health(&self, call: &Admitted<'_>, health: &Health) -> HealthReport {
        let checked_at = timestamp::rfc3339(SystemTime::now());
        let started = Instant::now();
        let mut found = Found::default();
        let failure = self.probe(call, health, &mut found).await.err();
        let latency = started.elapsed();
        let Found { http_status, auth_expires_at, is_refused } = found;
        let (error_code, error) = match failure {
            None => (None, None),
            Some((code, text)) => (code.filter(|_| http_status.is_none()), Some(text)),
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

    /// Sends the request and looks at the answer; the error is a code and a sentence.
    async fn probe(
        &self,
        call: &Admitted<'_>,
        health: &Health,
        found: &mut Found,
    ) -> Result<(), (Option<&'static str>, String)> {
        let failed = |error: CallError| (Some(error_code(&error)), error.to_string());
        let backend = self.backend(call.entry()).map_err(failed)?;
        let plan =
            call::plan(call.entry(), &health.tool, backend.base(), call.arguments(), call.door())
                .map_err(|error| failed(error.into()))?;
        let plan = self.numbered(plan);
        let bound = health.timeout.min(backend.settings().timeouts.call);
        let send = async {
            let tool = &health.tool;
            let rules = RetryRules {
                errors: &tool.errors,
                method: tool.method(),
                retry_unsafe: false,
                is_patient: false,
            };
            let (activity, room) = (Activity::default(), self.bounds.room(&Client::only()));
            let ends = end_of_call(backend);
            let target = Target { backend, call, tool, activity: &activity, room: &room, ends };
            let sent = backend.send(&plan, rules, false, &self.files, &activity).await;
            let exchange = sent.map_err(|error| failed(error.into()))?;
            let status = exchange.response.status();
            found.http_status = Some(status.as_u16());
            let request = backend.request_line(&plan);
            match health.expect_status {
                Some(expected) if expected != status.as_u16() && status.is_success() => {
                    let text = format!(
                        "{request} was answered with HTTP {}, not {expected}",
                        status.as_u16()
                    );
                    return Err((None, text));
                }
                Some(expected) if expected == status.as_u16() => {}
                _ if status.is_success() => {}
                _ => {
                    found.is_refused = exchange.refusal == Some(Refusal::Credential);
                    let error = refusal(backend, tool, &request, exchange).await;
                    return Err((None, error.to_string()));
                }
            }
            let looks = health.expect_path.is_some() || health.auth_expires_path.is_some();
            let value: Option<JsonText> = if tool.rpc().is_some() {
                // An error comes with the status of a success.
                match self.answer(target, &plan, exchange).await {
                    Ok(Answer { payload: Payload::Json(text), .. }) => Some(text),
                    Ok(_) => None,
                    Err(CallError::Api(error)) => return Err((None, error.to_string())),
                    Err(error) => return Err(failed(error)),
                }
            } else if looks {
                let Exchange { response, .. } = exchange;
                let body = self.read(target, &plan, response).await.map_err(failed)?;
                let read = || {
                    let body = backend.secrets().body(body.clone());
                    std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok())
                };
                room.work(body.len(), read).await
            } else {
                None
            };
            if !looks {
                return Ok(());
            }
            let value = value.as_ref().map(JsonText::as_str);
            if let (Some(path), Some(value)) = (&health.auth_expires_path, value) {
                // A text that is no point in time may be anything, and is not passed on.
                let found_at = path.look(value).and_then(cost::small);
                found.auth_expires_at = found_at.as_ref().and_then(timestamp::normalize);
            }
            match (&health.expect_path, value) {
                (Some(path), Some(value)) if path.look(value).is_none() => {
                    Err((None, format!("the answer to {request} has nothing at {}", path.as_str())))
                }
                (Some(_), None) => Err((None, format!("the answer to {request} is no JSON"))),
                _ => Ok(()),
            }
        };
        let timed_out = |_| {
            let kind = SendErrorKind::Timeout { bound: "timeout of the check", after: bound };
            failed(CallError::Send(backend.failed(&plan, kind)))
        };
        tokio::time::timeout(bound, send).await.map_err(timed_out)?
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
            SendErrorKind::Tls(_) => "tls_error",
            _ => "protocol_error",
        },
        CallError::Login { error, .. } if error.is_transient() => "protocol_error",
        CallError::Argument(_) | CallError::Login { .. } | CallError::Settings { .. } => {
            "not_configured"
        }
        _ => "protocol_error",
    }
}
