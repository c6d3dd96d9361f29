//! Sessions: one request logs in, and what its answer holds goes with every other.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::{LoginError, Renewed, Site, no_answer, read, words};
use crate::{
    descriptor::{login::Session, model::CredentialName},
    http::auth::{Applied, Source, sensitive},
    json::{cost, scan},
    outcome::JsonText,
    secrets::is_secret,
};

/// A session is begun anew so long before its end, or a tenth of its life before.
const EARLY: Duration = Duration::from_secs(60);

/// Where servers put their words about a refused login.
const MESSAGES: &[&[&str]] =
    &[&["message"], &["error", "message"], &["error_description"], &["detail"], &["error"]];

/// Logs in.
pub(super) async fn renew(
    session: &Session,
    lifetime: Option<Duration>,
    source: &Source,
    site: &Site,
) -> Result<Renewed, LoginError> {
    // It counts from the login, which begins no later than now.
    let begun = Instant::now();
    let login = &session.login;
    let request_line = format!("{} {}", login.method, login.path.as_str());
    let mut given: Vec<(&CredentialName, SecretString)> = Vec::new();
    let mut names = Vec::new();
    if let Some(body) = &login.body {
        body.credentials(&mut names);
    }
    for name in names {
        let found = if is_secret(&name.0) {
            source.find(name).await?
        } else {
            source.find_public(name).await?
        };
        given.push((name, found));
    }
    let mut find = |name: &CredentialName| {
        let found = given.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.expose_secret().to_owned()).ok_or_else(|| name.to_string())
    };
    let body = login.body.as_ref().map(|body| body.fill(&mut find)).transpose()?;
    let url = site.base.join(&login.path).map_err(|error| format!("{request_line}: {error}"))?;
    let method = reqwest::Method::from_bytes(login.method.as_str().as_bytes())
        .map_err(|error| error.to_string())?;
    let mut fields = HeaderMap::new();
    fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in site.settings.headers.iter().chain(&login.headers).chain(&site.marks) {
        fields.insert(name.clone(), value.clone());
    }
    let mut request = site.client.request(method, url).headers(fields);
    if let Some(body) = &body {
        let json = HeaderValue::from_static("application/json");
        request = request.header(header::CONTENT_TYPE, json).body(body.to_string());
    }
    let failed = |reason: &str| format!("the login ({request_line}) failed: {reason}");
    let response = request.send().await.map_err(|error| failed(&no_answer(error)))?;
    let status = response.status();
    let body = read(response).await.map_err(|error| failed(&error))?;
    let text = std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).ok());
    let answer = text.as_ref().map(JsonText::as_str);
    if !status.is_success() {
        let secrets: Vec<&str> = given.iter().map(|(_, value)| value.expose_secret()).collect();
        let said = answer.and_then(|answer| {
            MESSAGES.iter().find_map(|names| scan::unquote(scan::at(answer, names)?))
        });
        let said = said
            .map(|text| format!(": {}", words(&text, &secrets, source.secrets())))
            .unwrap_or_default();
        let names: Vec<String> = given.iter().map(|(name, _)| format!("`{name}`")).collect();
        let next = match (status.as_u16(), names.is_empty()) {
            (400 | 401 | 403 | 422, false) => {
                format!("; check the credentials {}", names.join(", "))
            }
            (404 | 405, _) | (300..=399, _) => "; check `url` of the backend".to_owned(),
            _ => String::new(),
        };
        let is_refusal = matches!(status.as_u16(), 400 | 401 | 403 | 422);
        let text = failed(&format!("HTTP {}{said}{next}", status.as_u16()));
        return Err(LoginError { text, is_refusal });
    }
    let mut extracted: Vec<(&str, String)> = Vec::new();
    for (name, path) in &session.extract {
        let answer = answer.ok_or_else(|| failed("the answer is no JSON"))?;
        let value = match path.look(answer).and_then(cost::small) {
            Some(Value::String(text)) if !text.is_empty() => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => {
                let path = path.as_str();
                return Err(failed(&format!("the answer has no text at {path} (`{name}`)")).into());
            }
        };
        source.secrets().add_derived(name, &value);
        extracted.push((name, value));
    }
    let headers = fields_of(session, &extracted).map_err(|error| failed(&error))?;
    let applied = Applied::fields(headers);
    // Where nothing says how long a session lasts, it does until the backend refuses it.
    let after = |time: Duration| begun.checked_add(time);
    let ends = lifetime.and_then(after);
    let renew = lifetime.and_then(|lifetime| after(lifetime - EARLY.min(lifetime / 10)));
    Ok(Renewed { applied, ends, renew })
}

/// Returns the fields of `inject`; cookies become one field (RFC 6265, section 5.4).
fn fields_of(
    session: &Session,
    extracted: &[(&str, String)],
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut fields: Vec<(HeaderName, String)> = Vec::new();
    for (name, template) in &session.inject {
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
    fields
        .into_iter()
        .map(|(name, value)| match sensitive(&value) {
            Ok(value) => Ok((name, value)),
            Err(error) => Err(format!("the value for `{name}` {error}")),
        })
        .collect()
}
