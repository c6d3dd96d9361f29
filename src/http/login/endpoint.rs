//! Requests to a token endpoint (RFC 6749, section 3.2).

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_descriptor::model::auth::login::ClientAuth;
use dadl_text::json::cost;
use http::{HeaderMap, header};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{NoAnswer, describe_answer, is_page, no_answer, read_answer, retry_after};
use crate::{
    call::BaseUrl,
    config::{AddressKey, BackendSettings},
    http::{
        client, client_certificate::IdentityFiles, client_error::ClientError,
        connection_guard::ConnectionGuard, tls,
    },
    outcome,
    secrets::Secrets,
};

/// A lifetime beyond this says nothing: more than thirty years.
const LONGEST_LIFETIME: f64 = 1e9;

/// An answer whose tree would take more holds no tokens, in bytes.
const LARGEST_TREE: u64 = 4 * 1024 * 1024;

/// Kinds of tokens that a request would have to prove more for (RFC 9449 and drafts).
const BOUND_KINDS: &[&str] = &["dpop", "mac", "pop"];

/// Codes that say no (RFC 6749, section 5.2), whatever the status.
const REFUSALS: &[&str] = &[
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Codes that say nothing about the credentials, whatever the status.
const TRANSIENT: &[&str] = &["server_error", "slow_down", "temporarily_unavailable"];

/// Where tokens come from.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    url: Url,
    client: Client,
    auth: ClientAuth,
    secrets: Secrets,
}

/// Who asks for a token.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The client identifier; some APIs treat it as a secret.
    pub id: SecretString,
    /// The client secret, unless the client is public.
    pub secret: Option<SecretString>,
}

/// What a token endpoint gave.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token.
    pub access: SecretString,
    /// A refresh token, when there is a new one.
    pub refresh: Option<SecretString>,
    /// How long the access token lives, counted from [`Self::asked`], when that is known.
    pub lifetime: Option<Duration>,
    /// The moment before the request.
    pub asked: Instant,
    /// The scopes that were granted, as the server writes them, where it says so.
    pub scope: Option<String>,
}

/// Why a token endpoint gave nothing. Its text shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// The server said no (RFC 6749, section 5.2).
    Refused {
        /// The code, such as `invalid_grant`.
        error: String,
        /// The server's own words.
        description: Option<String>,
        /// The server's clock, when it tells.
        server_time: Option<SystemTime>,
    },
    /// The server cannot do it now.
    Unavailable {
        /// What came.
        reason: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// There was no answer.
    NoAnswer {
        /// What happened.
        reason: String,
        /// Whether that may pass.
        is_transient: bool,
    },
    /// There was an answer that cannot be used.
    Unusable(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { error, description: Some(words), .. } => {
                write!(formatter, "{error}: {words}")
            }
            Self::Refused { error, description: None, .. } => formatter.write_str(error),
            Self::NoAnswer { reason, .. }
            | Self::Unavailable { reason, .. }
            | Self::Unusable(reason) => formatter.write_str(reason),
        }
    }
}

impl TokenError {
    /// Returns whether the server refused with this code.
    pub fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused { error, .. } if error == code)
    }
}

impl From<NoAnswer> for TokenError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Broken { reason, is_transient } => Self::NoAnswer { reason, is_transient },
            NoAnswer::TooLarge => Self::Unusable(error.to_string()),
        }
    }
}

impl TokenEndpoint {
    /// Makes a client for the endpoint at `url`.
    ///
    /// The backend's authorities are trusted here too; accepting any certificate is not inherited by
    /// another host, and its own certificate is accepted at its own origin alone, where alone the client
    /// certificate is shown.
    ///
    /// # Errors
    ///
    /// There can be no client: `guard` may not let it connect.
    pub fn new(
        url: Url,
        auth: ClientAuth,
        settings: &BackendSettings,
        base: &BaseUrl,
        guard: &ConnectionGuard,
    ) -> Result<Self, ClientError> {
        let mut settings = settings.clone();
        settings.tls_skip_verify &= url.host() == base.as_url().host();
        let is_own = url.origin() == base.as_url().origin();
        let files = IdentityFiles::of(&settings).filter(|_| is_own && url.scheme() == "https");
        let identity =
            files.map(|files| files.read(&url)).transpose().map_err(ClientError::from)?;
        let tls = || tls::client_config(&settings, &url, is_own, identity.as_ref());
        let place = (AddressKey::TokenUrl, &url);
        let purpose = client::ClientPurpose::Answers;
        let client = client::build_client(&settings, place, guard, tls, purpose)?;
        Ok(Self { url, client, auth, secrets: Secrets::default() })
    }

    /// Notes in `secrets` what is sent and what comes.
    #[must_use]
    pub fn noting(self, secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone(), ..self }
    }

    /// Returns the host, for messages.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Asks for a token with `parameters`, whose values are secrets.
    ///
    /// # Errors
    ///
    /// See `TokenError`.
    pub async fn ask(
        &self,
        identity: Option<&ClientIdentity>,
        parameters: &[(&str, &str)],
    ) -> Result<TokenResponse, TokenError> {
        let (request, secrets) = self.request(identity, parameters)?;
        let asked = Instant::now();
        let response = request.send().await;
        let response = response.map_err(no_answer)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            return Err(TokenError::Unusable(format!(
                "it answers with redirect {}, which is not followed; correct `token_url`",
                status.as_u16()
            )));
        }
        let body = read_answer(response).await?;
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let tokens = read_token_answer(status, &headers, &body, (&secrets, &self.secrets), asked)?;
        self.secrets.add_derived("access_token", tokens.access.expose_secret());
        if let Some(refresh) = &tokens.refresh {
            self.secrets.add_derived("refresh_token", refresh.expose_secret());
        }
        Ok(tokens)
    }

    /// Asks the server to forget a token of the kind `hint` (RFC 7009).
    ///
    /// # Errors
    ///
    /// See `TokenError`.
    pub async fn revoke(
        &self,
        identity: &ClientIdentity,
        token: &SecretString,
        hint: &str,
    ) -> Result<(), TokenError> {
        let parameters = [("token", token.expose_secret()), ("token_type_hint", hint)];
        let (request, secrets) = self.request(Some(identity), &parameters)?;
        let response = request.send().await.map_err(no_answer)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return Ok(());
        }
        let body = read_answer(response).await?;
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let known = (secrets.as_slice(), &self.secrets);
        match read_token_answer(status, &headers, &body, known, Instant::now()) {
            Err(error) => Err(error),
            Ok(_) => Err(TokenError::Unusable(format!("it answered HTTP {}", status.as_u16()))),
        }
    }

    /// Makes a request, and lists what must not be shown should the server repeat it.
    fn request(
        &self,
        identity: Option<&ClientIdentity>,
        parameters: &[(&str, &str)],
    ) -> Result<(RequestBuilder, Vec<String>), TokenError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters);
        let mut authorization = None;
        let public = ["grant_type", "scope", "redirect_uri", "resource", "token_type_hint"];
        let shown = |name: &&(&str, &str)| !public.contains(&name.0);
        let sent = parameters.iter().filter(shown).map(|(_, value)| (*value).to_owned());
        let mut secrets: Vec<String> = sent.collect();
        for (name, value) in
            parameters.iter().filter(shown).filter(|(name, _)| *name != "client_id")
        {
            self.secrets.add_derived(name, value);
        }
        if let Some(ClientIdentity { id, secret }) = identity {
            let id = id.expose_secret();
            if let Some(secret) = secret {
                self.secrets.add("client_secret", secret.expose_secret());
            }
            secrets.push(id.to_owned());
            match (secret, self.auth) {
                (Some(secret), ClientAuth::Basic) => {
                    // Both are form-encoded first (section 2.3.1).
                    let encode = |text: &str| -> String {
                        form_urlencoded::byte_serialize(text.as_bytes()).collect()
                    };
                    let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
                    let encoded = STANDARD.encode(pair);
                    self.secrets.add_derived("basic", &encoded);
                    let mut field = http::HeaderValue::from_str(&format!("Basic {encoded}"))
                        .map_err(|_| {
                            TokenError::Unusable("the client secret is unusable".into())
                        })?;
                    field.set_sensitive(true);
                    authorization = Some(field);
                    secrets.extend([secret.expose_secret().to_owned(), encoded]);
                }
                (Some(secret), ClientAuth::Post) => {
                    form.append_pair("client_id", id);
                    form.append_pair("client_secret", secret.expose_secret());
                    secrets.push(secret.expose_secret().to_owned());
                }
                // A public client says who it is in the body (section 3.2.1).
                (None, _) => {
                    form.append_pair("client_id", id);
                }
            }
        }
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish());
        if let Some(field) = authorization {
            request = request.header(header::AUTHORIZATION, field);
        }
        Ok((request, secrets))
    }
}

/// Reads the answer of a token endpoint (RFC 6749, sections 5.1 and 5.2).
fn read_token_answer(
    status: http::StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    (secrets, known): (&[&str], &Secrets),
    asked: Instant,
) -> Result<TokenResponse, TokenError> {
    let transient = outcome::is_transient_status(status.as_u16());
    let unavailable =
        |reason| TokenError::Unavailable { reason, retry_after: retry_after(headers) };
    let unusable =
        |reason| Err(if transient { unavailable(reason) } else { TokenError::Unusable(reason) });
    let text = std::str::from_utf8(body).ok();
    let Some(Value::Object(answer)) = text.and_then(|text| cost::parse_tree(text, LARGEST_TREE))
    else {
        let what = if is_page(headers, body) { "with a web page instead of" } else { "without" };
        return unusable(format!("it answered HTTP {} {what} JSON", status.as_u16()));
    };
    let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(access) = text("access_token").filter(|_| status.is_success()) else {
        // Some servers refuse with status 200.
        return match text("error") {
            Some(error) => {
                let passes = TRANSIENT.contains(&error) || transient && !REFUSALS.contains(&error);
                let refused = TokenError::Refused {
                    error: describe_answer(error, secrets, known),
                    description: text("error_description")
                        .map(|text| describe_answer(text, secrets, known)),
                    server_time: headers
                        .get(header::DATE)
                        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok()),
                };
                Err(if passes { unavailable(refused.to_string()) } else { refused })
            }
            None => unusable(format!("it answered HTTP {} without a token", status.as_u16())),
        };
    };
    if let Some(kind) = text("token_type")
        && BOUND_KINDS.contains(&kind.to_ascii_lowercase().as_str())
    {
        return unusable(format!("it gives tokens of the type `{kind}`, which are not supported"));
    }
    Ok(TokenResponse {
        access: access.into(),
        refresh: text("refresh_token").map(Into::into),
        lifetime: answer.get("expires_in").and_then(token_lifetime),
        asked,
        scope: text("scope").map(str::to_owned),
    })
}

/// Reads `expires_in`. Nonsense counts as absent: the token is then used until it is refused.
fn token_lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        // Some servers send text.
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds > 0.0 && seconds < LONGEST_LIFETIME).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<TokenResponse, TokenError> {
        let status = http::StatusCode::from_u16(status).unwrap();
        let secrets = (["s3cret", "client-7"].as_slice(), &Secrets::default());
        read_token_answer(status, &HeaderMap::new(), body.as_bytes(), secrets, Instant::now())
    }

    #[test]
    fn nonsense_lifetimes_count_as_unknown() {
        let seconds = |value: Value| token_lifetime(&value).map(|lifetime| lifetime.as_secs());
        assert_eq!(seconds(json!(3600)), Some(3600));
        assert_eq!(seconds(json!("60")), Some(60));
        for nonsense in [json!(0), json!(-5), json!(1e300), json!("soon"), json!(null), json!([1])]
        {
            assert_eq!(seconds(nonsense.clone()), None, "{nonsense}");
        }
    }

    #[test]
    fn a_refusal_is_told_without_secrets() {
        let body = r#"{"error":"invalid_client","error_description":"client-7 with s3cret?"}"#;
        for status in [200, 400, 401] {
            let error = answer(status, body).unwrap_err();
            assert_eq!(error.to_string(), "invalid_client: [REDACTED] with [REDACTED]?");
            assert!(error.is("invalid_client"));
        }
    }

    #[test]
    fn what_passes_is_no_refusal() {
        let transient = |status, code: &str| {
            let error = answer(status, &json!({ "error": code }).to_string()).unwrap_err();
            matches!(error, TokenError::Unavailable { .. })
        };
        for code in TRANSIENT {
            assert!(transient(400, code) && transient(200, code), "{code}");
        }
        for code in REFUSALS {
            assert!(!transient(400, code) && !transient(500, code), "{code}");
        }
        // What frameworks write into the bodies of all their errors.
        assert!(transient(503, "Service Unavailable") && transient(429, "rate_limited"));
        assert!(!transient(401, "Unauthorized"));
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "7".parse().unwrap())]);
        let status = http::StatusCode::SERVICE_UNAVAILABLE;
        let error =
            read_token_answer(status, &headers, b"", (&[], &Secrets::default()), Instant::now());
        let retry_after = Some(Duration::from_secs(7));
        let reason = "it answered HTTP 503 without JSON".to_owned();
        assert_eq!(error.unwrap_err(), TokenError::Unavailable { reason, retry_after });
    }

    #[test]
    fn other_answers_are_unusable() {
        let reason = |status, body: &str| answer(status, body).unwrap_err().to_string();
        assert_eq!(reason(502, "{"), "it answered HTTP 502 without JSON");
        let page = "it answered HTTP 502 with a web page instead of JSON";
        assert_eq!(reason(502, "<html>"), page);
        assert_eq!(reason(200, "{}"), "it answered HTTP 200 without a token");
        assert_eq!(reason(500, r#"{"access_token":"x"}"#), "it answered HTTP 500 without a token");
        let bound = reason(200, r#"{"access_token":"x","token_type":"DPoP"}"#);
        assert!(bound.contains("`DPoP`"), "{bound}");
    }

    fn config() -> ProptestConfig {
        ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn any_answer_is_understood_or_refused(status in 100..600_u16, body in any::<Vec<u8>>()) {
            let status = http::StatusCode::from_u16(status).unwrap();
            let _ = read_token_answer(status, &HeaderMap::new(), &body, (&[], &Secrets::default()), Instant::now());
        }

        #[test]
        fn no_refusal_shows_a_secret(before in ".{0,20}", after in "\\PC{0,400}", code in "[a-z_]{1,9}") {
            let words = format!("{before}s3cret{after}client-7");
            let body = json!({ "error": code, "error_description": words }).to_string();
            let text = answer(400, &body).unwrap_err().to_string();
            prop_assert!(!text.contains("s3cret") && !text.contains("client-7"), "{}", text);
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug() {
        let tokens = answer(200, r#"{"access_token":"acc-1","refresh_token":"ref-1"}"#).unwrap();
        assert_eq!(tokens.access.expose_secret(), "acc-1");
        assert_eq!(tokens.refresh.as_ref().unwrap().expose_secret(), "ref-1");
        let shown = format!("{tokens:?}");
        assert!(!shown.contains("acc-1") && !shown.contains("ref-1"), "{shown}");
    }
}
