//! A server with the login that is stored for it: what a run has of all this.

use std::{collections::BTreeSet, sync::Arc};

use url::Url;

use super::{
    challenge::ServerRefusal,
    error::AuthorizationError,
    requests::{IntroductionAnswer, ServerSite},
};
use crate::{
    config::{
        BackendSettings, Origin,
        credentials::{BackendCredentials, CredentialResolver},
        server_login::{ServerLogin, ServerLoginError},
    },
    http::{
        auth::{AppliedCredential, Authenticator},
        client_error::ClientError,
        login::{LoginError, LoginSite},
    },
};

/// A server and the login that is stored for it.
#[derive(Debug)]
pub struct AuthorizedServer {
    login: ServerLogin,
    site: ServerSite,
    authenticator: Authenticator,
}

/// Why a server does not take its login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginProblem {
    /// The server was not reached.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// The operator: no client can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no token.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server takes none, or not for this.
    #[error(transparent)]
    Refused(#[from] ServerRefusal),
    /// It answers something else.
    #[error("the server answers HTTP {0} to the introduction of MCP")]
    Status(u16),
}

impl std::fmt::Debug for ServerSite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServerSite")
            .field("backend", &self.settings().name)
            .finish_non_exhaustive()
    }
}

impl AuthorizedServer {
    /// Takes the login that `credentials` has for the server of `settings` at `url`; `None` when there is
    /// none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is for another server.
    pub fn open(
        settings: &BackendSettings,
        url: &Url,
        credentials: &CredentialResolver,
    ) -> Result<Option<Self>, ServerLoginError> {
        let Some(login) = ServerLogin::load(credentials, settings, url)? else { return Ok(None) };
        let mut settings = settings.clone();
        login.admit(&mut settings);
        let origins: BTreeSet<Origin> = login.origins(url);
        let backend = settings.clone();
        let source = BackendCredentials { credentials: credentials.clone(), backend, origins };
        let authenticator = Authenticator::new(login.auth(&settings.name), Box::new(source));
        let Ok(site) = ServerSite::new(&settings, url) else { return Ok(None) };
        Ok(Some(Self { login, site, authenticator }))
    }

    /// Returns what requests to the server carry, renewed where it is time.
    ///
    /// # Errors
    ///
    /// The login failed.
    pub(crate) async fn applied(&self) -> Result<Arc<AppliedCredential>, LoginProblem> {
        let site = || -> Result<LoginSite, LoginProblem> {
            Ok(LoginSite {
                settings: self.site.settings().clone(),
                base: self.site.base().clone(),
                client: self.site.own_client()?,
                guard: self.site.guard(),
                missing_path: None,
                marks: Vec::new(),
            })
        };
        self.authenticator.applied(self.site.url().path(), false, site).await
    }

    /// Returns what is stored.
    pub(super) fn login(&self) -> &ServerLogin {
        &self.login
    }

    /// Returns whether the login can be renewed.
    pub(super) fn renews(&self) -> bool {
        self.authenticator.renews()
    }

    /// Forgets what the server refused.
    pub(super) fn forget(&self, refused: &Arc<AppliedCredential>) {
        self.authenticator.forget(refused);
    }

    /// Introduces us to the server with the login. One that it refuses is renewed once.
    ///
    /// # Errors
    ///
    /// It does not let us in.
    pub async fn check(&self) -> Result<(), LoginProblem> {
        let login = self.applied().await?;
        let mut answer = self.site.introduce(Some(&login)).await?;
        if answer.status == http::StatusCode::UNAUTHORIZED && self.authenticator.renews() {
            self.authenticator.forget(&login);
            let login = self.applied().await?;
            answer = self.site.introduce(Some(&login)).await?;
        }
        let IntroductionAnswer { status, headers } = answer;
        match ServerRefusal::of(status, &headers, self.site.settings()) {
            Some(refusal) => Err(refusal.into()),
            // What it thinks of the revision is for the client to find out.
            None if status.is_success() || status == http::StatusCode::BAD_REQUEST => Ok(()),
            None => Err(LoginProblem::Status(status.as_u16())),
        }
    }
}
