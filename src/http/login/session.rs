//! Sessions: one request logs in, and what its answer holds goes with every other.

use std::{fmt::Display, time::Duration};

use dadl_descriptor::model::{CredentialName, auth::login::SessionAuth};
use dadl_text::json::{cost, scan};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    LoginError, LoginSite, NoAnswer, RenewedLogin, describe_answer, is_page, no_answer,
    read_answer, retry_after,
};
use crate::{
    config::credentials::SourceError,
    http::{
        auth::{AppliedCredential, AsyncSource, sensitive_value},
        upload::frame_nothing,
        wire_method,
    },
    outcome::JsonText,
    secrets::is_secret,
};

/// A session is begun anew so long before its end, or a tenth of its life before.
const EARLY: Duration = Duration::from_secs(60);

/// Where servers put their words about a refused login.
const MESSAGES: &[&[&str]] =
    &[&["message"], &["error", "message"], &["error_description"], &["detail"], &["error"]];

/// What the body of a login holds of the credentials.
type GivenCredentials<'login> = Vec<(&'login CredentialName, SecretString)>;

/// Logs in.
pub(super) async fn renew_session(
    session: &SessionAuth,
    lifetime: Option<Duration>,
    source: &AsyncSource,
    site: &LoginSite,
) -> Result<RenewedLogin, LoginError> {
    // It counts from the login, which begins no later than now.
    let begun = Instant::now();
    let attempt = SessionLogin { session, source, site };
    let given = attempt.given().await?;
    let response = attempt.request(&given)?.send().await;
    let response = response.map_err(|error| attempt.unanswered(no_answer(error)))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read_answer(response).await.map_err(|error| attempt.unanswered(error))?;
    let text = std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok());
    let answer = text.as_ref().map(JsonText::as_str);
    if !status.is_success() {
        let text = attempt.refusal(status.as_u16(), answer, &given);
        return Err(LoginError::answered(text, status.as_u16(), retry_after(&headers)));
    }
    if answer.is_none() && !session.extract.is_empty() && is_page(&headers, &body) {
        let missing = site
            .missing_path
            .as_deref()
            .map(|path| format!("; is `url` of the backend missing {path}?"));
        let missing = missing.unwrap_or_else(|| "; check `url` of the backend".to_owned());
        let reason = format!("HTTP {} with a web page instead of JSON{missing}", status.as_u16());
        return Err(attempt.unusable(reason));
    }
    let extracted = attempt.extracted(answer)?;
    let applied = AppliedCredential::fields(attempt.fields(&extracted)?);
    // Where nothing says how long a session lasts, it does until the backend refuses it.
    let after = |time: Duration| begun.checked_add(time);
    let ends = lifetime.and_then(after);
    let renew = lifetime.and_then(|lifetime| after(lifetime - EARLY.min(lifetime / 10)));
    Ok(RenewedLogin { applied, ends, renew })
}

/// One login.
struct SessionLogin<'login> {
    session: &'login SessionAuth,
    source: &'login AsyncSource,
    site: &'login LoginSite,
}

impl<'login> SessionLogin<'login> {
    /// Finds the credentials that the body holds.
    async fn given(&self) -> Result<GivenCredentials<'login>, SourceError> {
        let mut names = Vec::new();
        if let Some(body) = &self.session.login.body {
            body.credentials(&mut names);
        }
        let mut given = Vec::new();
        for name in names {
            let found = if is_secret(&name.0) {
                self.source.find(name).await?
            } else {
                self.source.find_public(name).await?
            };
            given.push((name, found));
        }
        Ok(given)
    }

    fn request_line(&self) -> String {
        let login = &self.session.login;
        format!("{} {}", login.method, login.path.as_str())
    }

    fn request(&self, given: &GivenCredentials<'_>) -> Result<RequestBuilder, LoginError> {
        let (login, site) = (&self.session.login, self.site);
        let find = |name: &CredentialName| {
            let found = given.iter().find(|(other, _)| *other == name);
            let found = found.map(|(_, value)| value.expose_secret().to_owned());
            // Invariant: they are those of this body.
            found.ok_or_else(|| SourceError::Missing(name.to_string()))
        };
        let body = login.body.as_ref().map(|body| body.fill(&mut { find })).transpose()?;
        let url = site.base.join(&login.path);
        let url =
            url.map_err(|error| LoginError::Path(format!("{}: {error}", self.request_line())))?;
        let mut fields = HeaderMap::new();
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in site.settings.headers.iter().chain(&login.headers).chain(&site.marks) {
            fields.insert(name.clone(), value.clone());
        }
        let method = wire_method(login.method);
        if body.is_none() {
            frame_nothing(&method, &mut fields);
        }
        let request = site.client.request(method, url).headers(fields);
        let json = HeaderValue::from_static("application/json");
        Ok(match &body {
            Some(body) => request.header(header::CONTENT_TYPE, json).body(body.to_string()),
            None => request,
        })
    }

    fn failed(&self, reason: impl Display) -> String {
        format!("the login ({}) failed: {reason}", self.request_line())
    }

    fn unanswered(&self, error: NoAnswer) -> LoginError {
        let text = self.failed(&error);
        match error {
            NoAnswer::Broken { is_transient, .. } => LoginError::NoAnswer { text, is_transient },
            NoAnswer::TooLarge => LoginError::Unusable { text },
        }
    }

    fn unusable(&self, reason: impl Display) -> LoginError {
        LoginError::Unusable { text: self.failed(reason) }
    }

    /// Says what the server said, and what to check.
    fn refusal(&self, status: u16, answer: Option<&str>, given: &GivenCredentials<'_>) -> String {
        let secrets: Vec<&str> = given.iter().map(|(_, value)| value.expose_secret()).collect();
        let said = answer.and_then(|answer| {
            MESSAGES.iter().find_map(|names| scan::unquote(scan::member_at(answer, names)?))
        });
        let said = said
            .map(|text| format!(": {}", describe_answer(&text, &secrets, self.source.secrets())))
            .unwrap_or_default();
        let names: Vec<String> = given.iter().map(|(name, _)| format!("`{name}`")).collect();
        let next = match (status, names.is_empty()) {
            (400 | 401 | 403 | 422, false) => {
                format!("; check the credentials {}", names.join(", "))
            }
            (404 | 405, _) | (300..=399, _) => "; check `url` of the backend".to_owned(),
            _ => String::new(),
        };
        self.failed(format_args!("HTTP {status}{said}{next}"))
    }

    /// Takes out of the answer what requests carry.
    fn extracted(&self, answer: Option<&str>) -> Result<Vec<(&'login str, String)>, LoginError> {
        let mut extracted: Vec<(&str, String)> = Vec::new();
        for (name, path) in &self.session.extract {
            let answer = answer.ok_or_else(|| self.unusable("the answer is no JSON"))?;
            let value = match path.look(answer).and_then(cost::small) {
                Some(Value::String(text)) if !text.is_empty() => text,
                Some(Value::Number(number)) => number.to_string(),
                _ => {
                    let path = path.as_str();
                    let reason = format_args!("the answer has no text at {path} (`{name}`)");
                    return Err(self.unusable(reason));
                }
            };
            self.source.secrets().add_derived(name, &value);
            extracted.push((name, value));
        }
        Ok(extracted)
    }

    /// Returns the fields of `inject`; cookies become one field (RFC 6265, section 5.4).
    fn fields(
        &self,
        extracted: &[(&str, String)],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, LoginError> {
        let mut fields: Vec<(HeaderName, String)> = Vec::new();
        for (name, template) in &self.session.inject {
            let value = template.fill(|wanted| {
                let found = extracted.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| value.as_str()).unwrap_or_default()
            });
            match fields.iter_mut().find(|(other, _)| *other == header::COOKIE && other == name) {
                Some((_, cookies)) => {
                    cookies.push_str("; ");
                    cookies.push_str(&value);
                }
                None => fields.push((name.clone(), value)),
            }
        }
        let sendable = |(name, value): (HeaderName, String)| match sensitive_value(&value) {
            Ok(value) => Ok((name, value)),
            Err(reason) => Err(reason.of(self.failed(format_args!("the value for `{name}`")))),
        };
        fields.into_iter().map(sendable).collect()
    }
}
