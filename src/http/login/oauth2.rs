//! OAuth 2.0: what an operator has given becomes an access token.

use std::{
    sync::PoisonError,
    time::{Duration, SystemTime},
};

use dadl_descriptor::model::{
    CredentialName,
    auth::login::{OAuth2, OAuth2Grant},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::{
    ClientIdentity, LoginError, LoginMemory, LoginSite, RenewedLogin, TokenEndpoint, TokenError,
    TokenResponse, assertion::ServiceAccount, error::LOCK_WAIT,
};
use crate::{
    config::{
        credentials::{CredentialValue, SourceError},
        store::AccessToken,
    },
    http::auth::{AppliedCredential, AsyncSource},
};

/// Clocks that differ by more make another assertion worth a try.
const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// An access token that another process got has to last this long at least.
const SHARED_MARGIN: Duration = Duration::from_secs(10);

/// How often it is looked whether another process has renewed.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Obtains an access token.
pub(super) async fn renew_oauth2(
    oauth2: &OAuth2,
    source: &AsyncSource,
    memory: &LoginMemory,
    site: &LoginSite,
) -> Result<RenewedLogin, LoginError> {
    let tokens = match &oauth2.grant {
        OAuth2Grant::ClientCredentials { client_id, client_secret } => {
            let identity = client_identity(source, client_id, Some(client_secret)).await?;
            let endpoint = token_endpoint(oauth2, None, site)?.noting(source.secrets());
            let scope = oauth2.scopes.join(" ");
            let mut parameters = vec![("grant_type", "client_credentials")];
            if !scope.is_empty() {
                parameters.push(("scope", &scope));
            }
            parameters.extend(oauth2.resource.as_deref().map(|resource| ("resource", resource)));
            let tokens = endpoint.ask(Some(&identity), &parameters).await;
            tokens.map_err(|error| login_failure(&error, &endpoint, &oauth2.grant, site))?
        }
        OAuth2Grant::JwtBearer { service_account, subject } => {
            let account = source.find(service_account).await?;
            let wrong = |error| LoginError::Account { name: service_account.clone(), error };
            let account = ServiceAccount::parse(account.expose_secret()).map_err(wrong)?;
            source.secrets().add("private_key", account.private_key());
            let url = match &oauth2.token_url {
                Some(url) => url.clone(),
                None => account.token_url().map_err(wrong)?,
            };
            let endpoint =
                token_endpoint(oauth2, Some(url.clone()), site)?.noting(source.secrets());
            let ask = async |now| {
                let subject = subject.as_deref();
                let assertion = account.assertion(&url, &oauth2.scopes, subject, now);
                let assertion = assertion.map_err(wrong)?;
                let parameters = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.as_str()),
                ];
                Ok::<_, LoginError>(endpoint.ask(None, &parameters).await)
            };
            let now = SystemTime::now();
            let mut tokens = ask(now).await?;
            if let Err(TokenError::Refused { server_time: Some(theirs), .. }) = &tokens
                && times_differ(now, *theirs)
            {
                tracing::warn!("this clock and that of {} differ", endpoint.host());
                tokens = ask(*theirs).await?;
            }
            tokens.map_err(|error| login_failure(&error, &endpoint, &oauth2.grant, site))?
        }
        OAuth2Grant::RefreshToken { client_id, client_secret, refresh_token, rotates, .. } => {
            let identity = client_identity(source, client_id, client_secret.as_ref()).await?;
            let endpoint = token_endpoint(oauth2, None, site)?.noting(source.secrets());
            let chain =
                RefreshTokenChain { source, memory, name: refresh_token, rotates: *rotates };
            let tokens = chain.renew(&endpoint, &identity, oauth2, site).await?;
            let used = Some(tokens.access.clone());
            *memory.used.lock().unwrap_or_else(PoisonError::into_inner) = used;
            tokens
        }
    };
    let lifetime = tokens.lifetime;
    let applied = AppliedCredential::token(&oauth2.placement, &tokens.access)
        .map_err(|reason| reason.of("the access token"))?;
    let ends = lifetime.and_then(|lifetime| tokens.asked.checked_add(lifetime));
    // A margin that is longer than half of the lifetime would renew for nearly every call.
    let early = lifetime.map(|lifetime| lifetime - oauth2.renew_before.min(lifetime / 2));
    let renew = early.and_then(|early| tokens.asked.checked_add(early));
    Ok(RenewedLogin { applied, ends, renew })
}

/// Returns who asks for a token.
async fn client_identity(
    source: &AsyncSource,
    id: &CredentialName,
    secret: Option<&CredentialName>,
) -> Result<ClientIdentity, SourceError> {
    let secret = match secret {
        Some(name) => Some(source.find(name).await?),
        None => None,
    };
    Ok(ClientIdentity { id: source.find_public(id).await?, secret })
}

/// Makes a client for the token endpoint: that of the descriptor, or the one that a service account
/// names, which is the operator's own.
fn token_endpoint(
    oauth2: &OAuth2,
    own: Option<Url>,
    site: &LoginSite,
) -> Result<TokenEndpoint, LoginError> {
    let LoginSite { settings, base, guard, .. } = site;
    Ok(match (own, &oauth2.token_url) {
        (_, Some(url)) => {
            TokenEndpoint::new(url.clone(), oauth2.client_auth, settings, base, guard)?
        }
        (Some(url), None) => {
            let guard = guard.clone().covering(&url);
            TokenEndpoint::new(url, oauth2.client_auth, settings, base, &guard)?
        }
        (None, None) => return Err(LoginError::NoTokenUrl),
    })
}

fn times_differ(ours: SystemTime, theirs: SystemTime) -> bool {
    let apart = ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours));
    apart.is_ok_and(|apart| apart > CLOCK_SKEW)
}

/// Says what happened, and what to do.
fn login_failure(
    error: &TokenError,
    endpoint: &TokenEndpoint,
    grant: &OAuth2Grant,
    site: &LoginSite,
) -> LoginError {
    let host = endpoint.host();
    let none = || format!("no access token from the token endpoint at {host}: {error}");
    let code = match error {
        TokenError::Refused { error, .. } => error,
        TokenError::Unavailable { retry_after, .. } => {
            return LoginError::Unavailable { text: none(), retry_after: *retry_after };
        }
        TokenError::NoAnswer { is_transient, .. } => {
            return LoginError::NoAnswer { text: none(), is_transient: *is_transient };
        }
        TokenError::Unusable(_) => return LoginError::Unusable { text: none() },
    };
    let names: Vec<String> = grant.credentials().iter().map(|name| format!("`{name}`")).collect();
    let next = match (code.as_str(), grant) {
        ("invalid_grant", OAuth2Grant::RefreshToken { .. }) => format!(
            "the refresh token has expired or was revoked; run `{}`",
            site.settings.setup_command()
        ),
        // What is asked with there, `setup` has got as well.
        _ if site.settings.server.is_some() => format!("run `{}`", site.settings.setup_command()),
        ("invalid_scope", _) => "the client may not have the `scopes` of the descriptor".to_owned(),
        _ => format!("check the credentials {}", names.join(", ")),
    };
    let text = format!("the token endpoint at {host} refuses the login ({error}); {next}");
    LoginError::Refused { text }
}

/// A refresh token and those that replace it.
struct RefreshTokenChain<'login> {
    source: &'login AsyncSource,
    memory: &'login LoginMemory,
    name: &'login CredentialName,
    rotates: bool,
}

impl RefreshTokenChain<'_> {
    async fn renew(
        &self,
        endpoint: &TokenEndpoint,
        identity: &ClientIdentity,
        oauth2: &OAuth2,
        site: &LoginSite,
    ) -> Result<TokenResponse, LoginError> {
        // Held until the new refresh token is stored: each may be used once.
        let lock = if self.rotates { Some(self.lock().await?) } else { None };
        if self.rotates {
            self.source.check_replaceable(self.name).await?;
        }
        let CredentialValue { value: mut refresh, access } = self.current().await?;
        if let Some(tokens) = access.and_then(|access| self.shared(access, oauth2.renew_before)) {
            return Ok(tokens);
        }
        let resource = oauth2.resource.as_deref();
        let mut answer = ask_tokens(endpoint, identity, &refresh, resource).await;
        if answer.as_ref().is_err_and(|error| error.is("invalid_grant")) {
            // Somebody else may have replaced it, or `setup` has run again.
            let again = self.source.latest(self.name).await?.value;
            if again.expose_secret() != refresh.expose_secret() {
                self.remember(None);
                refresh = again;
                answer = ask_tokens(endpoint, identity, &refresh, resource).await;
            }
        }
        let tokens =
            answer.map_err(|error| login_failure(&error, endpoint, &oauth2.grant, site))?;
        let access = tokens.lifetime.and_then(|lifetime| {
            let ends = SystemTime::now().checked_add(lifetime)?;
            Some(AccessToken { token: tokens.access.clone(), ends })
        });
        let replaced = tokens.refresh.as_ref();
        match replaced.filter(|new| new.expose_secret() != refresh.expose_secret()) {
            Some(new) => {
                self.keep(CredentialValue { value: new.clone(), access }, lock).await?;
            }
            // The old one goes on, and only other processes miss something when this fails.
            None if self.rotates => {
                let same = CredentialValue { value: refresh, access };
                let _ = self.source.replace(self.name, same, lock).await;
            }
            None => {}
        }
        Ok(tokens)
    }

    /// Returns the access token that another process got, when it is not about to end: a server
    /// that replaces refresh tokens may end it as soon as somebody asks for the next.
    fn shared(&self, access: AccessToken, margin: Duration) -> Option<TokenResponse> {
        let used = self.memory.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.as_ref().is_some_and(|used| used.expose_secret() == access.token.expose_secret()) {
            return None;
        }
        let left = access.ends.duration_since(SystemTime::now()).ok()?;
        (self.rotates && left > margin.min(SHARED_MARGIN)).then(|| TokenResponse {
            access: access.token,
            refresh: None,
            lifetime: Some(left),
            asked: Instant::now(),
            scope: None,
        })
    }

    /// Waits until no other process renews with the same token.
    async fn lock(&self) -> Result<Box<dyn Send>, LoginError> {
        let until = Instant::now() + LOCK_WAIT;
        loop {
            if let Some(lock) = self.source.try_lock(self.name)? {
                return Ok(lock);
            }
            if Instant::now() >= until {
                return Err(LoginError::Busy { name: self.name.clone() });
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// Returns the refresh token to use, with the access token that came with it.
    async fn current(&self) -> Result<CredentialValue, LoginError> {
        let unsaved = self.memory.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(unsaved) = unsaved else {
            return Ok(self.source.latest(self.name).await?);
        };
        let unsaved = CredentialValue::from(unsaved);
        match self.source.replace(self.name, unsaved.clone(), None).await {
            Ok(()) => self.remember(None),
            Err(error) if self.rotates => return Err(self.unkept(error)),
            Err(_) => {}
        }
        Ok(unsaved)
    }

    /// Stores the refresh token that the server gave.
    async fn keep(
        &self,
        mut new: CredentialValue,
        lock: Option<Box<dyn Send>>,
    ) -> Result<(), LoginError> {
        // Only those who take turns can share.
        new.access = new.access.filter(|_| self.rotates);
        // The time for a login may end while a keyring waits for somebody.
        self.remember(Some(new.value.clone()));
        let Err(error) = self.source.replace(self.name, new, lock).await else {
            self.remember(None);
            return Ok(());
        };
        if self.rotates {
            return Err(self.unkept(error));
        }
        let name = self.name;
        tracing::warn!("the new refresh token `{name}` is lost when this process ends: {error}");
        Ok(())
    }

    fn unkept(&self, error: SourceError) -> LoginError {
        LoginError::Unkept { name: self.name.clone(), error: Box::new(error) }
    }

    fn remember(&self, unsaved: Option<SecretString>) {
        *self.memory.unsaved.lock().unwrap_or_else(PoisonError::into_inner) = unsaved;
    }
}

/// Uses a refresh token (RFC 6749, section 6). The scopes are those that were granted: asking for
/// others would fail.
async fn ask_tokens(
    endpoint: &TokenEndpoint,
    identity: &ClientIdentity,
    refresh: &SecretString,
    resource: Option<&str>,
) -> Result<TokenResponse, TokenError> {
    let mut parameters =
        vec![("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
    parameters.extend(resource.map(|resource| ("resource", resource)));
    endpoint.ask(Some(identity), &parameters).await
}
