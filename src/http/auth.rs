//! Adds a backend's credential to its requests.
//!
//! Credentials are looked up when the first call needs them, and kept until a backend refuses them
//! (401) or they end. A missing one is an error that names the variables that were tried: a call
//! never leaves without its credential. When a backend renews the credential's cookie
//! (`Set-Cookie` for the same name), the new value goes with the requests that the cookie is for,
//! until it ends or is refused; then the configured one does again.
//!
//! Access tokens and sessions are obtained by [`login`], a little before the old one
//! ends. Calls that need one at the same time share one renewal, and its failure.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{FutureExt as _, future::Shared};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::{
    cookie::{self, Cookie, Renewal},
    login::{self, Login, LoginError, Memory, Renewed, Site, Unsendable},
    under_way::UnderWay,
};
use crate::{
    config::{
        credentials::{CredentialSource, SourceError},
        store::{Access, fingerprint},
    },
    descriptor::{
        model::{Auth, CredentialName, Placement},
        rules::{AuthRules, Refused},
    },
    secrets::{MASK, Secrets},
};

/// After a renewal that failed while the old token still works, the next one waits this long.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// A login that was refused is not tried again for this long, unless a credential has changed:
/// callers come again at once, and many servers lock an account after a few attempts.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// A source whose answers are waited for, without holding up a thread that serves others. What it
/// gives is noted as a secret.
#[derive(Clone)]
pub(crate) struct Source {
    inner: Arc<dyn CredentialSource>,
    secrets: Secrets,
}

impl Source {
    fn new(inner: Arc<dyn CredentialSource>) -> Self {
        let secrets = inner.secrets();
        Self { inner, secrets }
    }

    /// Returns where the secrets are noted that are in use.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// See [`CredentialSource::find`].
    pub(crate) async fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError> {
        let found = self.find_public(name).await?;
        self.secrets.add(&name.0, found.expose_secret());
        Ok(found)
    }

    /// Finds what is a credential and no secret: the name of a user or of a client.
    pub(crate) async fn find_public(
        &self,
        name: &CredentialName,
    ) -> Result<SecretString, SourceError> {
        let name = name.clone();
        self.ask(false, move |source| source.find(&name)).await
    }

    /// See [`CredentialSource::latest`].
    pub(crate) async fn latest(
        &self,
        name: &CredentialName,
    ) -> Result<(SecretString, Option<Access>), SourceError> {
        let own = name.clone();
        let (value, access) = self.ask(false, move |source| source.latest(&own)).await?;
        self.secrets.add(&name.0, value.expose_secret());
        if let Some(access) = &access {
            self.secrets.add_derived("access_token", access.token.expose_secret());
        }
        Ok((value, access))
    }

    /// See [`CredentialSource::replace`]. Once begun it goes on when nobody waits any more, and
    /// `lock` is held for as long.
    pub(crate) async fn replace(
        &self,
        name: &CredentialName,
        value: &SecretString,
        access: Option<&Access>,
        lock: Option<Box<dyn Send>>,
    ) -> Result<(), SourceError> {
        self.secrets.add_derived(&name.0, value.expose_secret());
        let (name, value, access) = (name.clone(), value.clone(), access.cloned());
        let replace = move |source: &dyn CredentialSource| {
            let replaced = source.replace(&name, &value, access.as_ref());
            drop(lock);
            replaced
        };
        self.ask(true, replace).await
    }

    /// See [`CredentialSource::check_replaceable`].
    pub(crate) async fn check_replaceable(&self, name: &CredentialName) -> Result<(), SourceError> {
        let name = name.clone();
        self.ask(false, move |source| source.check_replaceable(&name)).await
    }

    /// See [`CredentialSource::try_lock`].
    pub(crate) fn try_lock(
        &self,
        name: &CredentialName,
    ) -> Result<Option<Box<dyn Send>>, SourceError> {
        self.inner.try_lock(name)
    }

    async fn ask<T: Send + 'static>(
        &self,
        writes: bool,
        question: impl FnOnce(&dyn CredentialSource) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        if !self.inner.may_wait(writes) {
            return question(self.inner.as_ref());
        }
        let source = Arc::clone(&self.inner);
        let asked = tokio::task::spawn_blocking(move || question(source.as_ref()));
        asked.await.unwrap_or(Err(SourceError::NotAsked))
    }
}

/// Authenticates the requests of one backend; all clones hold the same credential.
#[derive(Clone)]
pub struct Authenticator {
    state: Arc<State>,
}

/// What an authenticator and a renewal under way share.
struct State {
    auth: Auth,
    rules: AuthRules,
    source: Source,
    current: RwLock<Option<Held>>,
    /// The credential's cookie as the backend has renewed it.
    renewed: RwLock<Option<HeldCookie>>,
    flight: Mutex<Option<Flight>>,
    refusal: Mutex<Option<Refusal>>,
    memory: Memory,
}

/// A login that the server refused.
struct Refusal {
    /// What it said.
    error: LoginError,
    /// What tells the credentials from others.
    given: String,
    /// When to try again.
    until: Instant,
}

/// A credential that is in use.
struct Held {
    applied: Arc<Applied>,
    ends: Option<Instant>,
    renew: Option<Instant>,
}

/// A cookie that a backend gave instead of the credential's.
struct HeldCookie {
    applied: Arc<Applied>,
    /// It goes with requests below this path.
    path: String,
    ends: Option<SystemTime>,
}

/// A renewal that is under way, for all who wait for it.
type Flight = Shared<Pin<Box<dyn Future<Output = Result<Arc<Applied>, LoginError>> + Send>>>;

/// A credential in the form in which it is sent.
#[derive(Default)]
pub(crate) struct Applied {
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Option<(String, SecretString)>,
    /// Whether a backend gave it instead of the configured one.
    is_renewed: bool,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auth = &self.state.auth;
        formatter.debug_struct("Authenticator").field("auth", auth).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Authenticates by `auth` with values from `source`.
    pub fn new(auth: Auth, source: Box<dyn CredentialSource>) -> Self {
        Self::with_rules(auth, AuthRules::default(), source)
    }

    /// Does what [`new`](Self::new) does for an API about whose credential more is known. Which of
    /// `rules.logins` is used has been decided: it is `auth`.
    pub fn with_rules(auth: Auth, rules: AuthRules, source: Box<dyn CredentialSource>) -> Self {
        let state = State {
            auth,
            rules,
            source: Source::new(Arc::from(source)),
            current: RwLock::default(),
            renewed: RwLock::default(),
            flight: Mutex::default(),
            refusal: Mutex::default(),
            memory: Memory::default(),
        };
        Self { state: Arc::new(state) }
    }

    /// Returns where the secrets are noted that are in use.
    pub fn secrets(&self) -> &Secrets {
        self.state.source.secrets()
    }

    /// Returns the credential in the form in which it is sent to `path`; a login happens at `site`.
    ///
    /// # Errors
    ///
    /// A credential is missing or unusable, or a login failed.
    pub(crate) async fn applied<E: From<LoginError>>(
        &self,
        path: &str,
        site: impl FnOnce() -> Result<Site, E>,
    ) -> Result<Arc<Applied>, E> {
        if let Some(applied) = self.state.renewed(path) {
            return Ok(applied);
        }
        if let Some(applied) = self.state.fresh() {
            return Ok(applied);
        }
        if self.login().is_none() {
            return Ok(self.state.looked_up().await?);
        }
        let flight = self.state.flight(site)?;
        Ok(flight.await?)
    }

    /// Returns whether the credential comes from a login, and can be renewed by another.
    pub fn renews(&self) -> bool {
        self.login().is_some()
    }

    /// Returns whether the backend gave this one instead of the configured credential, which it may
    /// still take when it takes this one no more.
    pub(crate) fn is_renewed(&self, applied: &Arc<Applied>) -> bool {
        let renewed = self.state.renewed.read().unwrap_or_else(PoisonError::into_inner);
        let is_held = renewed.as_ref().is_some_and(|held| Arc::ptr_eq(&held.applied, applied));
        is_held || applied.is_renewed
    }

    /// Returns what answers refuse the credential, besides those with 401.
    pub(crate) fn refused(&self) -> Option<&Refused> {
        self.state.rules.refused.as_ref()
    }

    /// Forgets the credential that a backend refused: the next call looks it up or renews it, so
    /// that a new token in its file is found without a restart. Another one that has come in the
    /// meantime stays.
    pub(crate) fn forget(&self, refused: &Arc<Applied>) {
        let mut renewed = self.state.renewed.write().unwrap_or_else(PoisonError::into_inner);
        if renewed.as_ref().is_some_and(|held| Arc::ptr_eq(&held.applied, refused)) {
            *renewed = None;
        }
        drop(renewed);
        let mut current = self.state.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(&held.applied, refused)) {
            *current = None;
        }
    }

    /// Describes where the credential goes, with its value masked: a line for a dry run.
    pub fn masked(&self) -> Option<String> {
        let placement = match &self.state.auth {
            Auth::None => return None,
            Auth::Basic { .. } => return Some("Authorization: Basic [REDACTED]".to_owned()),
            Auth::Session(session) => {
                let fields = session.inject.iter();
                let fields: Vec<String> = fields
                    .map(|(name, value)| format!("{name}: {}", value.fill(|_| MASK)))
                    .collect();
                return (!fields.is_empty()).then(|| fields.join("\n"));
            }
            Auth::OAuth2(oauth2) => &oauth2.placement,
            Auth::Token { placement, .. } => placement,
        };
        Some(match placement {
            Placement::Cookie(name) => format!("Cookie: {name}={MASK}"),
            Placement::Header { name, prefix } => format!("{name}: {prefix}{MASK}"),
            Placement::Query(name) => format!("(query) {name}={MASK}"),
        })
    }

    /// Takes over what an answer of the backend from `url` does to the credential's cookie, unless
    /// it is one that refuses something.
    pub(crate) fn observe(&self, status: StatusCode, headers: &HeaderMap, url: &Url) {
        let Auth::Token { placement: Placement::Cookie(name), .. } = &self.state.auth else {
            return;
        };
        let refuses = matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::TOO_MANY_REQUESTS
        );
        if refuses || !headers.contains_key(header::SET_COOKIE) {
            return;
        }
        let held = match cookie::renewal(name, headers, url, SystemTime::now()) {
            None => return,
            Some(Renewal::Ended) => None,
            Some(Renewal::Set(Cookie { value, path, ends })) => {
                if self.state.is_configured(name, &value) {
                    None
                } else {
                    self.secrets().add_derived(name, &value);
                    let Ok(applied) = Applied::renewed_cookie(name, &value) else { return };
                    Some(HeldCookie { applied: Arc::new(applied), path, ends })
                }
            }
        };
        match &held {
            Some(_) => {
                tracing::info!(cookie = %name, "the backend renewed the credential's cookie")
            }
            None => tracing::debug!(cookie = %name, "the configured credential counts"),
        }
        *self.state.renewed.write().unwrap_or_else(PoisonError::into_inner) = held;
    }

    fn login(&self) -> Option<Login<'_>> {
        self.state.login()
    }
}

impl Held {
    fn forever(applied: Arc<Applied>) -> Self {
        Self { applied, ends: None, renew: None }
    }
}

impl State {
    fn login(&self) -> Option<Login<'_>> {
        match &self.auth {
            Auth::OAuth2(oauth2) => Some(Login::OAuth2(oauth2)),
            Auth::Session(session) => Some(Login::Session(session, self.rules.lifetime)),
            Auth::Basic { .. } | Auth::None | Auth::Token { .. } => None,
        }
    }

    /// Returns the credential in use, unless it is time for another.
    fn fresh(&self) -> Option<Arc<Applied>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let held = current.as_ref()?;
        let is_fresh = held.renew.is_none_or(|renew| Instant::now() < renew);
        is_fresh.then(|| Arc::clone(&held.applied))
    }

    /// Returns the cookie that the backend gave for requests of `path`, unless it has ended.
    fn renewed(&self, path: &str) -> Option<Arc<Applied>> {
        let renewed = self.renewed.read().unwrap_or_else(PoisonError::into_inner);
        let held = renewed.as_ref().filter(|held| cookie::is_for(&held.path, path))?;
        let is_over = held.ends.is_some_and(|ends| ends <= SystemTime::now());
        (!is_over).then(|| Arc::clone(&held.applied))
    }

    /// Returns whether the cookie is the configured one.
    fn is_configured(&self, name: &str, value: &str) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let field = cookie(name, value).ok();
        let held = current.as_ref().and_then(|held| held.applied.headers.first());
        held.zip(field).is_some_and(|((_, held), field)| *held == field)
    }

    fn hold(&self, held: Held) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    /// Looks up a credential that is sent as it is.
    async fn looked_up(&self) -> Result<Arc<Applied>, LoginError> {
        let applied = Arc::new(self.prepare().await?);
        self.hold(Held::forever(Arc::clone(&applied)));
        Ok(applied)
    }

    /// Returns the renewal under way, or begins one.
    fn flight<E>(self: &Arc<Self>, site: impl FnOnce() -> Result<Site, E>) -> Result<Flight, E> {
        let mut flight = self.flight.lock().unwrap_or_else(PoisonError::into_inner);
        // One may have landed since the caller looked.
        if let Some(applied) = self.fresh() {
            let done: Flight = Box::pin(std::future::ready(Ok(applied))).boxed().shared();
            return Ok(done);
        }
        if let Some(flight) = &*flight {
            return Ok(flight.clone());
        }
        let site = site()?;
        let (state, under_way) = (Arc::clone(self), UnderWay::begin());
        let task = tokio::spawn(async move {
            let _under_way = under_way;
            let _landing = Landing(&state);
            state.renew(&site).await
        });
        let begun: Flight =
            async move { task.await.unwrap_or(Err(LoginError::Interrupted)) }.boxed().shared();
        *flight = Some(begun.clone());
        Ok(begun)
    }

    /// Logs in, and holds what that gives.
    async fn renew(&self, site: &Site) -> Result<Arc<Applied>, LoginError> {
        let Some(login) = self.login() else { return self.looked_up().await };
        let renewed = match self.refused().await {
            Some(error) => Err(error),
            None => login::renew(login, &self.source, &self.memory, site).await,
        };
        match renewed {
            Ok(Renewed { applied, ends, renew }) => {
                tracing::debug!(backend = %site.settings.name, "logged in");
                let applied = Arc::new(applied);
                self.hold(Held { applied: Arc::clone(&applied), ends, renew });
                Ok(applied)
            }
            Err(error) => {
                if matches!(error, LoginError::Refused { .. }) {
                    self.remember(&error).await;
                }
                // Renewal comes early: until the old one ends there is time for more attempts.
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                match &mut *current {
                    Some(held) if held.ends.is_some_and(|ends| now < ends) => {
                        tracing::warn!(backend = %site.settings.name, %error, "cannot renew yet");
                        held.renew = Some(now + RETRY_PAUSE).min(held.ends);
                        Ok(Arc::clone(&held.applied))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Returns the refusal of the login that would be tried again.
    async fn refused(&self) -> Option<LoginError> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?;
        let now_given = self.given().await;
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let left = refusal.as_ref()?.until.checked_duration_since(Instant::now());
        let left = left.filter(|left| !left.is_zero());
        let Refusal { error, given, .. } = refusal.as_ref()?;
        match left {
            Some(left) if *given == now_given => {
                Some(LoginError::RefusedBefore { refusal: error.to_string(), left })
            }
            _ => {
                *refusal = None;
                None
            }
        }
    }

    async fn remember(&self, error: &LoginError) {
        let until = Instant::now() + REFUSED_PAUSE;
        let refusal = Refusal { error: error.clone(), given: self.given().await, until };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// Returns what tells the credentials from others, without showing them.
    async fn given(&self) -> String {
        let mut all = String::new();
        for name in self.auth.credentials() {
            // One that cannot be read is told by the login.
            let latest = self.source.latest(name).await;
            let value = latest.map(|(value, _)| value).unwrap_or_default();
            all.push_str(&fingerprint(value.expose_secret()));
        }
        fingerprint(&all)
    }

    async fn prepare(&self) -> Result<Applied, LoginError> {
        match &self.auth {
            Auth::Basic { username, password } => {
                let (username, password) = match password {
                    Some(name) => {
                        (self.source.find_public(username).await?, self.source.find(name).await?)
                    }
                    // What is sent without a password is a key.
                    None => (self.source.find(username).await?, SecretString::default()),
                };
                if username.expose_secret().contains(':') {
                    return Err(LoginError::UserName);
                }
                let pair = format!("{}:{}", username.expose_secret(), password.expose_secret());
                let encoded = STANDARD.encode(&pair);
                self.source.secrets.add_derived("basic", &pair);
                self.source.secrets.add_derived("basic", &encoded);
                let value = sensitive(&format!("Basic {encoded}"))
                    .map_err(|reason| reason.of("the user name or the password"))?;
                Ok(Applied::fields(vec![(header::AUTHORIZATION, value)]))
            }
            Auth::Token { credential, placement } => {
                let token = self.source.find(credential).await?;
                Applied::token(placement, &token)
                    .map_err(|reason| reason.of(format!("credential `{credential}`")))
            }
            // The last two are logins, which [`State::renew`] makes.
            Auth::None | Auth::OAuth2(_) | Auth::Session(_) => Ok(Applied::default()),
        }
    }
}

/// Ends a renewal however its task ends.
struct Landing<'state>(&'state State);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        *self.0.flight.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Applied {
    /// Sends `headers`.
    pub(crate) fn fields(headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { headers, ..Self::default() }
    }

    /// Sends `token` at `placement`.
    pub(crate) fn token(placement: &Placement, token: &SecretString) -> Result<Self, Unsendable> {
        let value = token.expose_secret();
        let (field, query) = match placement {
            Placement::Cookie(name) => (Some((header::COOKIE, cookie(name, value)?)), None),
            Placement::Header { name, prefix } => {
                (Some((name.clone(), sensitive(&format!("{prefix}{value}"))?)), None)
            }
            Placement::Query(name) => (None, Some((name.clone(), token.clone()))),
        };
        Ok(Self { headers: field.into_iter().collect(), query, is_renewed: false })
    }

    /// Sends a cookie as a backend has set it.
    fn renewed_cookie(name: &str, value: &str) -> Result<Self, Unsendable> {
        let fields = vec![(header::COOKIE, sensitive(&format!("{name}={value}"))?)];
        Ok(Self { is_renewed: true, ..Self::fields(fields) })
    }

    /// Adds the credential to a request.
    pub(crate) fn apply(&self, url: &mut Url, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            match headers.get(name).filter(|_| *name == header::COOKIE) {
                Some(others) => {
                    let joined = [others.as_bytes(), b"; ", value.as_bytes()].concat();
                    // Both are legal, and what joins them is.
                    if let Ok(mut joined) = HeaderValue::from_bytes(&joined) {
                        joined.set_sensitive(true);
                        headers.insert(name, joined);
                    }
                }
                None => {
                    headers.insert(name, value.clone());
                }
            }
        }
        if let Some((name, value)) = &self.query {
            url.query_pairs_mut().append_pair(name, value.expose_secret());
        }
    }
}

/// Makes the value of a `Cookie` field.
fn cookie(name: &str, value: &str) -> Result<HeaderValue, Unsendable> {
    if value.contains([';', ',', ' ', '"', '\\']) {
        return Err(Unsendable::Cookie);
    }
    sensitive(&format!("{name}={value}"))
}

/// Makes a header value that `Debug` does not print.
pub(crate) fn sensitive(text: &str) -> Result<HeaderValue, Unsendable> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Unsendable::Field)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str);

    impl CredentialSource for Fixed {
        fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
            Ok(self.0.into())
        }
    }

    /// Nothing here waits.
    fn looked_up(state: &State) -> Result<Arc<Applied>, LoginError> {
        state.looked_up().now_or_never().unwrap()
    }

    fn sent(auth: Auth, value: &'static str) -> (String, HeaderMap) {
        let authenticator = Authenticator::new(auth, Box::new(Fixed(value)));
        let mut url = Url::parse("http://h/p?a=1").unwrap();
        let mut headers = HeaderMap::new();
        looked_up(&authenticator.state).unwrap().apply(&mut url, &mut headers);
        (url.to_string(), headers)
    }

    fn token(placement: Placement) -> Auth {
        Auth::Token { credential: CredentialName("t".into()), placement }
    }

    #[test]
    fn puts_a_token_where_the_descriptor_says() {
        let (_, headers) = sent(token(Placement::Cookie("session".into())), "tok");
        assert_eq!(headers[header::COOKIE], "session=tok");
        let bearer =
            Placement::Header { name: header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
        let (_, headers) = sent(token(bearer), "tok");
        assert_eq!(headers[header::AUTHORIZATION], "Bearer tok");
        assert!(headers[header::AUTHORIZATION].is_sensitive());
        let (url, _) = sent(token(Placement::Query("key".into())), "a b");
        assert_eq!(url, "http://h/p?a=1&key=a+b");
    }

    #[test]
    fn a_cookie_joins_those_of_the_operator() {
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(Fixed("tok")));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("lang=en"));
        let mut url = Url::parse("http://h/").unwrap();
        looked_up(&authenticator.state).unwrap().apply(&mut url, &mut headers);
        assert_eq!(headers[header::COOKIE], "lang=en; session=tok");
        assert!(headers[header::COOKIE].is_sensitive());
    }

    #[test]
    fn encodes_basic_credentials() {
        let auth = Auth::Basic {
            username: CredentialName("u".into()),
            password: Some(CredentialName("p".into())),
        };
        let (_, headers) = sent(auth, "Aladdin");
        assert_eq!(headers[header::AUTHORIZATION], "Basic QWxhZGRpbjpBbGFkZGlu");
    }

    #[test]
    fn refuses_a_token_that_would_break_the_header() {
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(Fixed("a;b")));
        let error = looked_up(&authenticator.state).err().unwrap().to_string();
        assert!(error.contains("cookie cannot hold"), "{error}");
        assert!(!error.contains("a;b"), "{error}");
    }

    fn sent_to(authenticator: &Authenticator, path: &str) -> String {
        let state = &authenticator.state;
        let applied = state.renewed(path).or_else(|| state.fresh());
        let applied = applied.unwrap_or_else(|| looked_up(state).unwrap());
        let mut headers = HeaderMap::new();
        applied.apply(&mut Url::parse("http://h/").unwrap(), &mut headers);
        headers[header::COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_renewed_cookie_goes_where_it_is_for_until_it_ends_or_is_refused() {
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(Fixed("old")));
        let observe = |status: StatusCode, field: &'static str| {
            let mut answer = HeaderMap::new();
            answer.insert(header::SET_COOKIE, HeaderValue::from_static(field));
            let url = Url::parse("http://h/rest/v0/vms").unwrap();
            authenticator.observe(status, &answer, &url);
            sent_to(&authenticator, "/rest/v0")
        };
        assert_eq!(sent_to(&authenticator, "/"), "session=old");
        for status in [401, 403, 407, 429] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(observe(status, "session=x; Path=/"), "session=old");
        }
        assert_eq!(observe(StatusCode::OK, "session=x; Path=/elsewhere"), "session=old");
        assert_eq!(observe(StatusCode::OK, "session=new; Path=/rest; HttpOnly"), "session=new");
        assert_eq!(sent_to(&authenticator, "/restore"), "session=old");
        assert_eq!(observe(StatusCode::OK, "session=x; Max-Age=0"), "session=old");
        assert_eq!(observe(StatusCode::OK, "session=new; Max-Age=9"), "session=new");
        assert_eq!(
            authenticator.secrets().text("an old-value, session=new"),
            "an old-value, session=[REDACTED]"
        );
        let renewed = authenticator.state.renewed("/rest/v0").unwrap();
        assert!(authenticator.is_renewed(&renewed));
        authenticator.forget(&renewed);
        assert_eq!(sent_to(&authenticator, "/rest/v0"), "session=old");
    }

    #[test]
    fn a_refused_credential_is_looked_up_again() {
        struct Counting(std::sync::atomic::AtomicU32);
        impl CredentialSource for Counting {
            fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
                let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(format!("token-{number}").into())
            }
        }
        let source = Counting(std::sync::atomic::AtomicU32::new(0));
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(source));
        let state = &authenticator.state;
        let current = || state.fresh().unwrap_or_else(|| looked_up(state).unwrap());
        let cookie = |applied: &Applied| applied.headers[0].1.to_str().unwrap().to_owned();
        assert_eq!([current(), current()].map(|one| cookie(&one)), ["session=token-0"; 2]);
        let first = current();
        authenticator.forget(&first);
        assert_eq!(cookie(&current()), "session=token-1");
        // A late refusal of the first one does not cost the second.
        authenticator.forget(&first);
        assert_eq!(cookie(&current()), "session=token-1");
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(Fixed("s3cr3t")));
        looked_up(&authenticator.state).unwrap();
        assert!(!format!("{authenticator:?}").contains("s3cr3t"));
    }

    #[tokio::test]
    async fn a_keyring_that_waits_for_somebody_holds_up_nobody_else() {
        struct Locked(Mutex<std::sync::mpsc::Receiver<()>>);
        impl CredentialSource for Locked {
            fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
                let unlocked = self.0.lock().unwrap().recv_timeout(Duration::from_secs(60));
                unlocked.map(|()| "tok".into()).map_err(|_| SourceError::NotAsked)
            }

            fn may_wait(&self, writes: bool) -> bool {
                !writes
            }
        }
        let (unlock, unlocked) = std::sync::mpsc::channel();
        let source = Box::new(Locked(Mutex::new(unlocked)));
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, source);
        let other = async { unlock.send(()).unwrap() };
        let (found, ()) = tokio::join!(authenticator.state.looked_up(), other);
        assert_eq!(found.unwrap().headers[0].1, "session=tok");
    }
}
