//! The first half of the authorization code flow (RFC 6749, section 4.1): a person agrees in a
//! browser, which then comes back to a port of this machine (RFC 8252, section 7.3) with a code.
//!
//! PKCE (RFC 7636, S256) binds the code to this run, and `state` the browser. A request that does
//! not have the right `state` is told so and otherwise ignored: another page in the browser must
//! not be able to end a login, or to bring in a code of its own.

use std::{
    convert::Infallible,
    io::{self, BufRead as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use dadl_descriptor::model::auth::login::{AuthorizationConsent, OAuth2, is_loopback};
use dadl_text::text;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use url::Url;

use super::{console::Console, failure::CliFailure, process_secrets::SECRETS};
use crate::{
    app::{ApiAccess, LoadedBackend},
    config::AddressKey,
    http::login::{ClientIdentity, TokenEndpoint, TokenResponse},
};

/// How long a person has to agree.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long a browser has to say what it wants.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// Where the browser comes back to when the descriptor does not say.
const PATH: &str = "/callback";

/// What a browser shows afterwards; nothing of the request is in it.
const DONE: &str = "You can close this page and go back to the terminal.";
const REFUSED: &str = "The login was not completed. The terminal says why.";
const STRANGE: &str = "This is not the login that dadl-mcp waits for.";

/// Why a browser brought no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum NoCode {
    /// The remote: somebody else answers, or nobody says who.
    #[error(
        "{}; nothing of it is used: log in again, and in no other window meanwhile",
        if *.is_said {
            "another authorization server has answered in the browser"
        } else {
            "the answer in the browser does not say which authorization server gave it"
        }
    )]
    Issuer { is_said: bool },
    /// The system: nobody listens any more.
    #[error("the listener has ended")]
    Ended,
    /// The person or the server: the login was refused, in the words of the server.
    #[error("the authorization server refuses ({0})")]
    Refused(String),
}

/// What an answer in the browser is recognized by.
struct KnownRedirect {
    path: String,
    state: String,
    issuer: Option<ExpectedIssuer>,
}

/// What the browser brought.
type BrowserAnswer = Result<SecretString, NoCode>;

/// What one login is recognized by.
struct LoginAttempt {
    state: String,
    verifier: String,
    redirect: Url,
    issuer: Option<ExpectedIssuer>,
}

/// What a person is asked to agree to.
pub(super) struct ConsentQuestion<'a> {
    /// Where.
    pub(super) authorize_url: &'a Url,
    /// As whom.
    pub(super) client_id: &'a SecretString,
    /// Which rights.
    pub(super) scopes: &'a [String],
    /// More parameters of the request.
    pub(super) parameters: &'a [(String, String)],
    /// Who has to answer, where that is known.
    pub(super) issuer: Option<ExpectedIssuer>,
}

/// Who has to answer in the browser (RFC 9207): another one may have got the browser to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExpectedIssuer {
    /// Its name, as it writes it.
    pub(super) issuer: String,
    /// Whether it always says so.
    pub(super) is_always_said: bool,
}

/// Where the browser comes back to.
pub(super) struct RedirectPlace {
    redirect: Url,
    /// Without one a person pastes the address.
    listener: Option<TcpListener>,
}

/// What a person agreed to: a code that can be used once.
pub(super) struct AgreedCode {
    attempt: LoginAttempt,
    code: SecretString,
}

/// The same, for a refresh token.
pub(super) struct AuthorizationGrant {
    endpoint: TokenEndpoint,
    agreed: AgreedCode,
}

/// Asks a person to agree.
pub(super) async fn ask_authorization(
    oauth2: &OAuth2,
    consent: &AuthorizationConsent,
    identity: &ClientIdentity,
    backend: &LoadedBackend,
    paste: bool,
    console: &mut Console,
) -> Result<AuthorizationGrant, CliFailure> {
    let token_url = oauth2.token_url.clone();
    let token_url =
        token_url.ok_or_else(|| anyhow::anyhow!("the descriptor has no `token_url`"))?;
    let api = backend.web().ok_or_else(|| anyhow::anyhow!("the backend has no URL"))?;
    let (settings, ApiAccess { base, guard }) = (&backend.settings, api);
    let endpoint = TokenEndpoint::new(token_url, oauth2.client_auth, settings, base, guard)
        .map(|endpoint| endpoint.noting(&SECRETS))
        .map_err(anyhow::Error::from)?;
    // The browser goes there with the client identifier, and with whatever it knows.
    let checked = guard.check(AddressKey::AuthorizeUrl, &consent.authorize_url).await;
    checked.map_err(CliFailure::settings)?;
    let place = RedirectPlace::open(consent.redirect_uri.as_ref(), paste).await?;
    let question = ConsentQuestion {
        authorize_url: &consent.authorize_url,
        client_id: &identity.id,
        scopes: &oauth2.scopes,
        parameters: &consent.parameters,
        issuer: None,
    };
    let agreed = ask_code(question, place, console).await?;
    Ok(AuthorizationGrant { endpoint, agreed })
}

/// Sends a person to a browser, and waits for what comes back.
pub(super) async fn ask_code(
    question: ConsentQuestion<'_>,
    RedirectPlace { redirect, listener }: RedirectPlace,
    console: &mut Console,
) -> Result<AgreedCode, CliFailure> {
    let issuer = question.issuer.clone();
    let attempt =
        LoginAttempt { state: random_token()?, verifier: random_token()?, redirect, issuer };
    let url = attempt.authorization_url(&question);
    writeln!(console.err, "\nOpen this address in a browser, and agree:\n\n  {url}\n")?;
    let code = match listener {
        Some(listener) => {
            if console.can_ask {
                open_browser(&url);
            }
            writeln!(console.err, "waiting for the browser ..")?;
            console.err.flush()?;
            attempt.wait_for_code(listener).await?
        }
        None => {
            writeln!(console.err, "Then paste the address at which the browser ends:")?;
            console.err.flush()?;
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            attempt.pasted(line.trim())?
        }
    };
    Ok(AgreedCode { attempt, code })
}

impl RedirectPlace {
    /// Listens at `wanted`, or at a free port of this machine; not where a person pastes the address.
    pub(super) async fn open(wanted: Option<&Url>, paste: bool) -> Result<Self, CliFailure> {
        let listens = !paste && wanted.is_none_or(|url| url.scheme() == "http" && is_loopback(url));
        let listener = if listens { Some(listen_for_redirect(wanted).await?) } else { None };
        let redirect = redirect_url(wanted, listener.as_ref())?;
        Ok(Self { redirect, listener })
    }

    /// Returns its address.
    pub(super) fn url(&self) -> &Url {
        &self.redirect
    }
}

impl AgreedCode {
    /// Exchanges the code for tokens, of `resource` where that is said. The server takes the code once, and
    /// gives what nobody can get a second time.
    pub(super) async fn exchange(
        self,
        endpoint: &TokenEndpoint,
        identity: &ClientIdentity,
        resource: Option<&str>,
    ) -> Result<TokenResponse, CliFailure> {
        let Self { attempt, code } = self;
        let mut parameters = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", attempt.redirect.as_str()),
            ("code_verifier", &attempt.verifier),
        ];
        parameters.extend(resource.map(|resource| ("resource", resource)));
        endpoint.ask(Some(identity), &parameters).await.map_err(|error| {
            let host = endpoint.host();
            anyhow::anyhow!("the token endpoint at {host} refuses the login ({error})").into()
        })
    }
}

impl AuthorizationGrant {
    /// Returns the refresh token.
    pub(super) async fn refresh_token(
        self,
        identity: &ClientIdentity,
    ) -> Result<SecretString, CliFailure> {
        let tokens = self.agreed.exchange(&self.endpoint, identity, None).await?;
        tokens.refresh.ok_or_else(|| {
            CliFailure::from(anyhow::anyhow!("the server gave no refresh token")).hint(
                "many servers give one only for the scope `offline_access`, or with \
                 `authorization_params: {access_type: offline, prompt: consent}`",
            )
        })
    }
}

impl LoginAttempt {
    /// Returns the address to open (RFC 6749, section 4.1.1; RFC 7636, section 4.3).
    fn authorization_url(&self, question: &ConsentQuestion<'_>) -> Url {
        let mut url = question.authorize_url.clone();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", question.client_id.expose_secret())
            .append_pair("redirect_uri", self.redirect.as_str())
            .append_pair("state", &self.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !question.scopes.is_empty() {
            query.append_pair("scope", &question.scopes.join(" "));
        }
        query.extend_pairs(question.parameters);
        drop(query);
        url
    }

    /// Waits until the browser comes back.
    async fn wait_for_code(&self, listener: TcpListener) -> Result<SecretString, CliFailure> {
        let (sender, mut answers) = mpsc::channel::<BrowserAnswer>(1);
        let known = Arc::new(self.known());
        let accept = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (known, sender) = (Arc::clone(&known), sender.clone());
                // A connection that says nothing must not keep the browser's from being heard.
                crate::spawn::task(async move {
                    let found = serve_redirect(stream, known).await;
                    if let Some(found) = found {
                        // The first one counts.
                        let _ = sender.try_send(found);
                    }
                });
            }
        };
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            () = accept => None,
            () = tokio::time::sleep(PATIENCE) => {
                let minutes = PATIENCE.as_secs() / 60;
                return Err(anyhow::anyhow!("nobody agreed within {minutes} minutes").into());
            }
        };
        answer.unwrap_or(Err(NoCode::Ended)).map_err(|error| anyhow::Error::from(error).into())
    }

    fn known(&self) -> KnownRedirect {
        let path = self.redirect.path().to_owned();
        KnownRedirect { path, state: self.state.clone(), issuer: self.issuer.clone() }
    }

    /// Reads the address that a person copied from the browser.
    fn pasted(&self, text: &str) -> Result<SecretString, CliFailure> {
        let url = Url::parse(text).map_err(|_| anyhow::anyhow!("this is not an address"))?;
        match parse_redirect(&url, &self.known()) {
            Some(Ok(code)) => Ok(code),
            Some(Err(error)) => Err(anyhow::Error::from(error).into()),
            None => Err(anyhow::anyhow!("this is not the address of this login").into()),
        }
    }
}

/// Answers one request of a browser, and returns what it brought once it has its page.
async fn serve_redirect(stream: TcpStream, known: Arc<KnownRedirect>) -> Option<BrowserAnswer> {
    let found = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&found);
    let service = service_fn(move |request: Request<Incoming>| {
        let (response, found) = respond_to_redirect(request.uri(), &known);
        if found.is_some() {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that goes away before it has its page has brought its answer all the same.
    let _ = tokio::time::timeout(2 * HEAD_PATIENCE, connection).await;
    found.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Makes the page that a browser gets.
fn respond_to_redirect(
    uri: &http::Uri,
    known: &KnownRedirect,
) -> (Response<Full<Bytes>>, Option<BrowserAnswer>) {
    let url = Url::parse("http://localhost").and_then(|url| url.join(&uri.to_string())).ok();
    let url = url.filter(|url| url.path() == known.path);
    let found = url.and_then(|url| parse_redirect(&url, known));
    let (status, text) = match &found {
        Some(Ok(_)) => (200, DONE),
        Some(Err(_)) => (200, REFUSED),
        None => (404, STRANGE),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>dadl-mcp</title><p>{text}\n"
    );
    let mut response = Response::new(Full::new(Bytes::from(page)));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    let fields = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    (response, found)
}

/// Reads what an authorization server sends with the browser (RFC 6749, section 4.1.2); `None`
/// when it belongs to another login.
fn parse_redirect(url: &Url, known: &KnownRedirect) -> Option<BrowserAnswer> {
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|pair| pair.1);
    // Both are made of random bits that are used once, so that timing tells nothing of use.
    if value("state").as_deref() != Some(&known.state) {
        return None;
    }
    // Of somebody else nothing is used or shown, an error neither.
    if let Some(ExpectedIssuer { issuer, is_always_said }) = &known.issuer {
        match value("iss") {
            Some(said) if said == issuer.as_str() => {}
            None if !is_always_said => {}
            said => return Some(Err(NoCode::Issuer { is_said: said.is_some() })),
        }
    }
    if let Some(code) = value("code").filter(|code| !code.is_empty()) {
        return Some(Ok(code.into_owned().into()));
    }
    let shown = |text: &str| text::start_of(text, 300);
    let error = value("error").map(|error| shown(&error));
    let description = value("error_description").map(|text| format!(": {}", shown(&text)));
    let (error, description) = (error.unwrap_or_default(), description.unwrap_or_default());
    Some(Err(NoCode::Refused(format!("{error}{description}"))))
}

/// Listens where the browser will come back to.
async fn listen_for_redirect(wanted: Option<&Url>) -> Result<TcpListener, CliFailure> {
    let address = match wanted.and_then(Url::host) {
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let address = SocketAddr::new(address, wanted.and_then(Url::port).unwrap_or_default());
    TcpListener::bind(address).await.map_err(|error| {
        let error = anyhow::anyhow!("cannot listen on {address} for the browser: {error}");
        CliFailure::from(error).hint("end what uses that port, or use --paste")
    })
}

/// Returns where the browser is sent.
fn redirect_url(wanted: Option<&Url>, listener: Option<&TcpListener>) -> Result<Url, CliFailure> {
    let mut url = match wanted {
        Some(url) => url.clone(),
        None => Url::parse(&format!("http://127.0.0.1{PATH}")).map_err(anyhow::Error::from)?,
    };
    if let Some(listener) = listener
        && url.port().is_none()
    {
        let _ = url.set_port(Some(listener.local_addr()?.port()));
    }
    Ok(url)
}

/// Returns 256 random bits as text.
fn random_token() -> Result<String, CliFailure> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens a browser, where there is one.
fn open_browser(url: &Url) {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let quiet = std::process::Stdio::null;
    // A person who sees no browser has the address.
    let _ = std::process::Command::new(program)
        .args(arguments)
        .arg(url.as_str())
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(issuer: Option<(&str, bool)>) -> KnownRedirect {
        let issuer = issuer.map(|(issuer, is_always_said)| ExpectedIssuer {
            issuer: issuer.to_owned(),
            is_always_said,
        });
        KnownRedirect { path: "/callback".to_owned(), state: "st4te".to_owned(), issuer }
    }

    fn found(query: &str) -> Option<Result<String, NoCode>> {
        found_of(query, None)
    }

    fn found_of(query: &str, issuer: Option<(&str, bool)>) -> Option<Result<String, NoCode>> {
        let url = Url::parse(&format!("http://127.0.0.1:1/callback?{query}")).unwrap();
        parse_redirect(&url, &known(issuer))
            .map(|answer| answer.map(|code| code.expose_secret().to_owned()))
    }

    #[test]
    fn only_the_browser_that_was_sent_can_answer() {
        assert_eq!(found("code=c&state=st4te"), Some(Ok("c".to_owned())));
        for strange in ["code=c", "code=c&state=other", "", "error=access_denied"] {
            assert_eq!(found(strange), None, "{strange}");
        }
        let refusal = found("error=access_denied&error_description=no%0Aline&state=st4te");
        let text = "the authorization server refuses (access_denied: no line)";
        assert_eq!(refusal.unwrap().unwrap_err().to_string(), text);
    }

    #[test]
    fn only_the_authorization_server_that_was_asked_can_answer() {
        let ours = "https://auth.example";
        let answer = |query: &str, is_always_said| {
            let query = format!("state=st4te&{query}");
            found_of(&query, Some((ours, is_always_said))).unwrap()
        };
        let said = "iss=https%3A%2F%2Fauth.example";
        for is_always_said in [true, false] {
            assert_eq!(answer(&format!("code=c&{said}"), is_always_said), Ok("c".to_owned()));
            for other in
                ["iss=https%3A%2F%2Fevil.example", "iss=https%3A%2F%2Fauth.example%2F", "iss="]
            {
                for what in ["code=c", "error=access_denied&error_description=visit%20evil"] {
                    let answer = answer(&format!("{what}&{other}"), is_always_said);
                    assert_eq!(answer, Err(NoCode::Issuer { is_said: true }), "{other}");
                }
            }
        }
        assert_eq!(answer("code=c", false), Ok("c".to_owned()));
        assert_eq!(answer("code=c", true), Err(NoCode::Issuer { is_said: false }));
    }

    #[test]
    fn the_page_shows_nothing_of_the_request() {
        let known = known(None);
        let get = |uri: &str| {
            let (response, found) = respond_to_redirect(&uri.parse().unwrap(), &known);
            (response.status().as_u16(), found.is_some())
        };
        assert_eq!(get("/favicon.ico"), (404, false));
        assert_eq!(get("/callback?code=c&state=x"), (404, false));
        assert_eq!(get("//elsewhere/callback?code=c&state=x"), (404, false));
        assert_eq!(get("/callback?code=c0de&state=st4te"), (200, true));
        for page in [DONE, REFUSED, STRANGE] {
            assert!(!page.contains(['{', '}']));
        }
    }

    #[test]
    fn random_texts_differ_and_are_long_enough_for_pkce() {
        let (one, other) = (random_token().unwrap(), random_token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
    }
}
