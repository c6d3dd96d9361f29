//! Adds a backend's credential to its requests.
//!
//! Credentials are looked up when the first call needs them, and kept until a backend refuses them
//! (401) or they end. A missing one is an error that names the variables that were tried: a call
//! leaves without its credential only where the descriptor says that it is optional, and while none
//! of it is set. When a backend renews the credential's cookie
//! (`Set-Cookie` for the same name), the new value goes with the requests that the cookie is for,
//! until it ends or is refused; then the configured one does again.
//!
//! Access tokens and sessions are obtained by [`login`](super::login), a little before the old one
//! ends. Calls that need one at the same time share one renewal, and its failure.

mod applied;
mod later;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::SystemTime,
};

use dadl_descriptor::model::{
    AuthScheme, CredentialName, TokenPlacement,
    auth::rules::{AuthRules, OptionalAuth, RefusalRules},
};
use dadl_text::text::MASK;
use http::{HeaderMap, StatusCode, header};
use secrecy::SecretString;
use url::Url;

use self::state::{AuthState, HeldCookie};
pub(crate) use self::{
    applied::{AppliedCredential, sensitive_value},
    later::LaterLogin,
    source::AsyncSource,
};
use super::{
    cookie::{self, CookieRenewal, SetCookie},
    login::{LoginError, LoginKind, LoginSite},
};
use crate::{
    config::credentials::{CredentialSource, SourceError},
    secrets::Secrets,
};

/// Authenticates the requests of one backend; all clones hold the same credential.
#[derive(Clone)]
pub struct Authenticator {
    state: Arc<AuthState>,
    /// What goes before it, where there is any.
    later: Option<Arc<dyn LaterLogin>>,
}

/// Has no credential, and is asked for none.
struct NoCredential;

impl CredentialSource for NoCredential {
    fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
        Err(SourceError::NotAsked)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auth = &self.state.auth;
        formatter.debug_struct("Authenticator").field("auth", auth).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Authenticates by `auth` with values from `source`.
    pub fn new(auth: AuthScheme, source: Box<dyn CredentialSource>) -> Self {
        Self::with_rules(auth, AuthRules::default(), source)
    }

    /// Adds nothing.
    pub(crate) fn none() -> Self {
        Self::new(AuthScheme::None, Box::new(NoCredential))
    }

    /// Does what [`new`](Self::new) does for an API about whose credential more is known. Which of
    /// `rules.logins` is used has been decided: it is `auth`.
    pub fn with_rules(
        auth: AuthScheme,
        rules: AuthRules,
        source: Box<dyn CredentialSource>,
    ) -> Self {
        let state = Arc::new(AuthState::new(auth, rules, AsyncSource::new(Arc::from(source))));
        Self { state, later: None }
    }

    /// Does the same unless there is a login when a request needs one.
    #[must_use]
    pub(crate) fn after(self, later: Arc<dyn LaterLogin>) -> Self {
        Self { later: Some(later), ..self }
    }

    /// Returns where the secrets are noted that are in use.
    pub fn secrets(&self) -> &Secrets {
        self.state.source.secrets()
    }

    /// Returns the credential in the form in which it is sent to `path`; a login happens at `site`.
    /// One that is optional and not set is nothing, and is looked up by the next call again.
    ///
    /// # Errors
    ///
    /// A credential is missing or unusable, or a login failed.
    pub(crate) async fn applied<E: From<LoginError>>(
        &self,
        path: &str,
        is_optional: bool,
        site: impl FnOnce() -> Result<LoginSite, E>,
    ) -> Result<Arc<AppliedCredential>, E> {
        if let Some(later) = &self.later
            && let Some(applied) = later.applied().await?
        {
            return Ok(applied);
        }
        if let Some(applied) = self.state.renewed(path) {
            return Ok(applied);
        }
        if let Some(applied) = self.state.fresh() {
            return Ok(applied);
        }
        if is_optional && self.state.has_none().await {
            return Ok(Arc::default());
        }
        if self.login().is_none() {
            return Ok(self.state.looked_up().await?);
        }
        let flight = self.state.flight(site)?;
        Ok(flight.await?)
    }

    /// Finds out whether there is anything to authenticate with, where that is needed; nobody is asked for it.
    ///
    /// # Errors
    ///
    /// None of the credentials is set.
    pub(crate) async fn check_set(&self, path: &str, is_optional: bool) -> Result<(), LoginError> {
        let is_later = self.later.as_ref().is_some_and(|later| later.is_there());
        if is_optional || is_later || self.state.renewed(path).is_some() {
            return Ok(());
        }
        match self.state.fresh() {
            Some(_) => Ok(()),
            None => self.state.check_set().await,
        }
    }

    /// Returns whether the credential comes from a login, and can be renewed by another.
    pub fn renews(&self) -> bool {
        self.login().is_some() || self.later.as_ref().is_some_and(|later| later.renews())
    }

    /// Returns whether requests carry a credential at all.
    pub(crate) fn has_credential(&self) -> bool {
        let is_later = self.later.as_ref().is_some_and(|later| later.is_there());
        is_later || self.state.auth != AuthScheme::None
    }

    /// Returns whether every request can go without the credential.
    pub(crate) fn is_optional(&self) -> bool {
        self.state.rules.optional == OptionalAuth::All
    }

    /// Returns whether the backend gave this one instead of the configured credential, which it may
    /// still take when it takes this one no more.
    pub(crate) fn is_renewed(&self, applied: &Arc<AppliedCredential>) -> bool {
        let renewed = self.state.renewed.read().unwrap_or_else(PoisonError::into_inner);
        let is_held = renewed.as_ref().is_some_and(|held| Arc::ptr_eq(&held.applied, applied));
        is_held || applied.is_renewed
    }

    /// Returns what answers refuse the credential, besides those with 401.
    pub(crate) fn refused(&self) -> Option<&RefusalRules> {
        self.state.rules.refused.as_ref()
    }

    /// Forgets the credential that a backend refused: the next call looks it up or renews it, so
    /// that a new token in its file is found without a restart. Another one that has come in the
    /// meantime stays.
    pub(crate) fn forget(&self, refused: &Arc<AppliedCredential>) {
        if let Some(later) = &self.later {
            later.forget(refused);
        }
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

    /// Has the stored login that goes before the credential read again by the next request: its server wants
    /// more than it gives.
    pub(crate) fn look_again(&self) {
        if let Some(later) = &self.later {
            later.look_again();
        }
    }

    /// Describes where the credential goes, with its value masked: a line for a dry run.
    pub fn masked(&self) -> Option<String> {
        masked_header(&self.state.auth)
    }

    /// Takes over what an answer of the backend from `url` does to the credential's cookie, unless
    /// it is one that refuses something. Of several credentials none is renewed so.
    pub(crate) fn observe(&self, status: StatusCode, headers: &HeaderMap, url: &Url) {
        let AuthScheme::Token { placement: TokenPlacement::Cookie(name), .. } = &self.state.auth
        else {
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
            Some(CookieRenewal::Ended) => None,
            Some(CookieRenewal::Set(SetCookie { value, path, ends })) => {
                if self.state.is_configured(name, &value) {
                    None
                } else {
                    self.secrets().add_derived(name, &value);
                    let Ok(applied) = AppliedCredential::renewed_cookie(name, &value) else {
                        return;
                    };
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

    fn login(&self) -> Option<LoginKind<'_>> {
        self.state.login()
    }
}

fn masked_header(auth: &AuthScheme) -> Option<String> {
    let placement = match auth {
        AuthScheme::None => return None,
        AuthScheme::Basic { .. } => return Some("Authorization: Basic [REDACTED]".to_owned()),
        AuthScheme::Session(session) => {
            let fields = session.inject.iter();
            let fields: Vec<String> =
                fields.map(|(name, value)| format!("{name}: {}", value.fill(|_| MASK))).collect();
            return (!fields.is_empty()).then(|| fields.join("\n"));
        }
        AuthScheme::Several(all) => {
            let lines: Vec<String> = all.iter().filter_map(masked_header).collect();
            return (!lines.is_empty()).then(|| lines.join("\n"));
        }
        AuthScheme::OAuth2(oauth2) => &oauth2.placement,
        AuthScheme::Token { placement, .. } => placement,
    };
    Some(match placement {
        TokenPlacement::Cookie(name) => format!("Cookie: {name}={MASK}"),
        TokenPlacement::Header { name, prefix } => format!("{name}: {prefix}{MASK}"),
        TokenPlacement::Query(name) => format!("(query) {name}={MASK}"),
    })
}
