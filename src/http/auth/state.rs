//! The credential in use: looked up or logged in for, renewed once for all who wait, and forgotten.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_descriptor::model::{AuthScheme, auth::rules::AuthRules};
use futures_util::{FutureExt as _, future::Shared};
use http::header;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{
    applied::{AppliedCredential, cookie_field, sensitive_value},
    source::AsyncSource,
};
use crate::{
    config::{credentials::SourceError, store::text_fingerprint},
    http::{
        cookie,
        login::{self, LoginError, LoginKind, LoginMemory, LoginSite, RenewedLogin},
        under_way::UnderWay,
    },
};

/// After a renewal that failed while the old token still works, the next one waits this long.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// A login that was refused is not tried again for this long, unless a credential has changed:
/// callers come again at once, and many servers lock an account after a few attempts.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// What an authenticator and a renewal under way share.
pub(super) struct AuthState {
    pub(super) auth: AuthScheme,
    pub(super) rules: AuthRules,
    pub(super) source: AsyncSource,
    pub(super) current: RwLock<Option<HeldCredential>>,
    /// The credential's cookie as the backend has renewed it.
    pub(super) renewed: RwLock<Option<HeldCookie>>,
    flight: Mutex<Option<RenewalInFlight>>,
    refusal: Mutex<Option<LoginRefusal>>,
    memory: LoginMemory,
}

/// A login that the server refused.
struct LoginRefusal {
    /// What it said.
    error: LoginError,
    /// What tells the credentials from others.
    given: String,
    /// When to try again.
    until: Instant,
}

/// A credential that is in use.
pub(super) struct HeldCredential {
    pub(super) applied: Arc<AppliedCredential>,
    ends: Option<Instant>,
    renew: Option<Instant>,
}

/// A cookie that a backend gave instead of the credential's.
pub(super) struct HeldCookie {
    pub(super) applied: Arc<AppliedCredential>,
    /// It goes with requests below this path.
    pub(super) path: String,
    pub(super) ends: Option<SystemTime>,
}

/// A renewal that is under way, for all who wait for it.
pub(super) type RenewalInFlight =
    Shared<Pin<Box<dyn Future<Output = Result<Arc<AppliedCredential>, LoginError>> + Send>>>;

impl HeldCredential {
    fn forever(applied: Arc<AppliedCredential>) -> Self {
        Self { applied, ends: None, renew: None }
    }
}

impl AuthState {
    pub(super) fn new(auth: AuthScheme, rules: AuthRules, source: AsyncSource) -> Self {
        Self {
            auth,
            rules,
            source,
            current: RwLock::default(),
            renewed: RwLock::default(),
            flight: Mutex::default(),
            refusal: Mutex::default(),
            memory: LoginMemory::default(),
        }
    }

    pub(super) fn login(&self) -> Option<LoginKind<'_>> {
        match &self.auth {
            AuthScheme::OAuth2(oauth2) => Some(LoginKind::OAuth2(oauth2)),
            AuthScheme::Session(session) => Some(LoginKind::Session(session, self.rules.lifetime)),
            AuthScheme::Basic { .. }
            | AuthScheme::None
            | AuthScheme::Several(_)
            | AuthScheme::Token { .. } => None,
        }
    }

    /// Returns the credential in use, unless it is time for another.
    pub(super) fn fresh(&self) -> Option<Arc<AppliedCredential>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let held = current.as_ref()?;
        let is_fresh = held.renew.is_none_or(|renew| Instant::now() < renew);
        is_fresh.then(|| Arc::clone(&held.applied))
    }

    /// Returns the cookie that the backend gave for requests of `path`, unless it has ended.
    pub(super) fn renewed(&self, path: &str) -> Option<Arc<AppliedCredential>> {
        let renewed = self.renewed.read().unwrap_or_else(PoisonError::into_inner);
        let held = renewed.as_ref().filter(|held| cookie::is_for(&held.path, path))?;
        let is_over = held.ends.is_some_and(|ends| ends <= SystemTime::now());
        (!is_over).then(|| Arc::clone(&held.applied))
    }

    /// Returns whether the cookie is the configured one.
    pub(super) fn is_configured(&self, name: &str, value: &str) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let field = cookie_field(name, value).ok();
        let held = current.as_ref().and_then(|held| held.applied.headers.first());
        held.zip(field).is_some_and(|((_, held), field)| *held == field)
    }

    fn hold(&self, held: HeldCredential) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    /// Looks up a credential that is sent as it is.
    pub(super) async fn looked_up(&self) -> Result<Arc<AppliedCredential>, LoginError> {
        let applied = Arc::new(self.prepare().await?);
        self.hold(HeldCredential::forever(Arc::clone(&applied)));
        Ok(applied)
    }

    /// Returns the renewal under way, or begins one.
    pub(super) fn flight<E>(
        self: &Arc<Self>,
        site: impl FnOnce() -> Result<LoginSite, E>,
    ) -> Result<RenewalInFlight, E> {
        let mut flight = self.flight.lock().unwrap_or_else(PoisonError::into_inner);
        // One may have landed since the caller looked.
        if let Some(applied) = self.fresh() {
            let done: RenewalInFlight = Box::pin(std::future::ready(Ok(applied))).boxed().shared();
            return Ok(done);
        }
        if let Some(flight) = &*flight {
            return Ok(flight.clone());
        }
        let site = site()?;
        let (state, under_way) = (Arc::clone(self), UnderWay::begin());
        let task = crate::spawn::task(async move {
            let _under_way = under_way;
            let _landing = RenewalGuard(&state);
            state.renew(&site).await
        });
        let begun: RenewalInFlight =
            async move { task.await.unwrap_or(Err(LoginError::Interrupted)) }.boxed().shared();
        *flight = Some(begun.clone());
        Ok(begun)
    }

    /// Logs in, and holds what that gives.
    async fn renew(&self, site: &LoginSite) -> Result<Arc<AppliedCredential>, LoginError> {
        let Some(login) = self.login() else { return self.looked_up().await };
        let renewed = match self.refused().await {
            Some(error) => Err(error),
            None => login::renew_login(login, &self.source, &self.memory, site).await,
        };
        match renewed {
            Ok(RenewedLogin { applied, ends, renew }) => {
                tracing::debug!(backend = %site.settings.name, "logged in");
                let applied = Arc::new(applied);
                self.hold(HeldCredential { applied: Arc::clone(&applied), ends, renew });
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
        let LoginRefusal { error, given, .. } = refusal.as_ref()?;
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
        let refusal = LoginRefusal { error: error.clone(), given: self.given().await, until };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// Returns what tells the credentials from others, without showing them.
    async fn given(&self) -> String {
        let mut all = String::new();
        for name in self.auth.credentials() {
            // One that cannot be read is told by the login.
            let latest = self.source.latest(name).await;
            let value = latest.map(|latest| latest.value).unwrap_or_default();
            all.push_str(&text_fingerprint(value.expose_secret()));
        }
        text_fingerprint(&all)
    }

    /// Returns whether none of the credentials is set; of some that are, the others are missing.
    pub(super) async fn has_none(&self) -> bool {
        self.check_set().await.is_err() || self.auth.credentials().is_empty()
    }

    /// Finds out whether any of the credentials is set, if there are any.
    ///
    /// # Errors
    ///
    /// The first is missing, like all others.
    pub(super) async fn check_set(&self) -> Result<(), LoginError> {
        let mut first = None;
        for name in self.auth.credentials() {
            // One that is there and cannot be used is an error that the call tells.
            match self.source.latest(name).await {
                Err(missing @ SourceError::Missing(_)) => _ = first.get_or_insert(missing),
                _ => return Ok(()),
            }
        }
        first.map_or(Ok(()), |missing| Err(missing.into()))
    }

    async fn prepare(&self) -> Result<AppliedCredential, LoginError> {
        let AuthScheme::Several(all) = &self.auth else {
            return self.prepare_one(&self.auth).await;
        };
        let mut joined = AppliedCredential::default();
        for auth in all {
            joined = joined.and(self.prepare_one(auth).await?);
        }
        Ok(joined)
    }

    async fn prepare_one(&self, auth: &AuthScheme) -> Result<AppliedCredential, LoginError> {
        match auth {
            AuthScheme::Basic { username, password } => {
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
                self.source.secrets().add_derived("basic", &pair);
                self.source.secrets().add_derived("basic", &encoded);
                let value = sensitive_value(&format!("Basic {encoded}"))
                    .map_err(|reason| reason.of("the user name or the password"))?;
                Ok(AppliedCredential::fields(vec![(header::AUTHORIZATION, value)]))
            }
            AuthScheme::Token { credential, placement } => {
                let token = self.source.find(credential).await?;
                AppliedCredential::token(placement, &token)
                    .map_err(|reason| reason.of(format!("credential `{credential}`")))
            }
            // Logins are made by [`AuthState::renew`], and several hold none of their kind.
            AuthScheme::None
            | AuthScheme::OAuth2(_)
            | AuthScheme::Session(_)
            | AuthScheme::Several(_) => Ok(AppliedCredential::default()),
        }
    }
}

/// Ends a renewal however its task ends.
struct RenewalGuard<'state>(&'state AuthState);

impl Drop for RenewalGuard<'_> {
    fn drop(&mut self) {
        *self.0.flight.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
